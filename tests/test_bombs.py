"""Small files that cost others minutes or gigabytes: here each is told or read, in seconds, and the file beside it is judged."""

from __future__ import annotations

import json
import os
import resource
import signal
import time

import pytest

from tests.bombs import BOMBS, SAID, Bomb, judge

SECONDS, WALL, MEMORY = 5.0, 60.0, 1 << 30
"""Of computing time, of waiting on a busy machine, and bytes of address space for one review."""


def alone(bomb: Bomb) -> dict[str, object]:
    """The judgement of a bomb in a process of its own, which ends when it takes too much: a crash is then no result."""
    out, into = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        os.close(out)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + 2 * SECONDS) + 2, int(used + 2 * SECONDS) + 3))
        resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY, 2 * MEMORY))
        try:
            os.write(into, json.dumps(judge(bomb)).encode())
        finally:
            os._exit(0)
    os.close(into)
    os.set_blocking(out, False)
    until, answer = time.monotonic() + WALL, b""
    while time.monotonic() < until and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.005)
    if time.monotonic() >= until:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    try:
        answer = os.read(out, 1 << 20)
    except BlockingIOError:
        answer = b""
    os.close(out)
    assert answer, "the review ended without a word"
    result: dict[str, object] = json.loads(answer)
    return result


@pytest.mark.parametrize("bomb", BOMBS, ids=[bomb.name for bomb in BOMBS])
def test_a_bomb_is_bounded_and_hides_nothing(bomb: Bomb) -> None:
    """The review ends within five seconds of computing and a gigabyte, red, with the file beside it judged; what was not read is told."""
    result = alone(bomb)
    assert result["neighbour"] and result["state"] == "blocked"
    assert isinstance(result["cpu"], float) and result["cpu"] <= SECONDS
    assert bool(result["said"]) == (bomb.outcome == SAID), result
    assert "engine/detector-failed" not in str(result["rules"])
