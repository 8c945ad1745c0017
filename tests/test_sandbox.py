"""Whatever happens in a parser, the review goes on: a crash, an endless loop and a hunger for memory are effects, their neighbours are judged."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.mirror.change import opened
from bot.sandbox import Sandbox
from checks.assess import assess, decide
from checks.evidence import OFFLINE
from checks.model import Assessment, State
from checks.policy import PATH, read_policy
from checks.trees import MemoryTree
from tests.bombs import BOMBS, DATABASE, NEIGHBOUR, SAID, TOPIC
from tests.repositories import Repository

POLICY = read_policy(MemoryTree({PATH: b"version: 1\nmode: enforce\n"}))
CRASH, HANG, SWELL = "src/app.py", "Dockerfile", "etc/sudoers"


@pytest.fixture(scope="module")
def armed() -> Iterator[Sandbox]:
    """A sandbox whose workers hold three broken detectors."""
    sandbox = Sandbox(workers=1, seconds=2.0, memory=512 << 20, prepare="tests.explosives")
    yield sandbox
    sandbox.close()


def judged(sandbox: Sandbox | None, folder: Path, files: dict[str, str | bytes | None]) -> Assessment:
    repository = Repository(folder)
    repository.commit({NEIGHBOUR: DATABASE, "README.md": "# Shop\n"}, "Start")
    repository.branch("work")
    repository.commit({NEIGHBOUR: TOPIC, **files})
    with opened(folder / ".git", "main", "work", "acme/shop") as change:
        return sandbox.assess(change, POLICY) if sandbox else assess(change, POLICY)


def told(assessment: Assessment) -> dict[str, str]:
    return {effect.path: str(effect.after) for effect in assessment.effects if effect.hazard.value == "not.analysed"}


def destroyed(assessment: Assessment) -> bool:
    return any(effect.rule == "terraform/resource-destroyed" for effect in assessment.effects)


CASES = [
    (CRASH, "import flask\n\nlogin_required = 1\n", "crashed the reader"),
    (HANG, "FROM a\n", "took too much computing time"),
    (SWELL, "a ALL=(ALL) ALL\n", "MemoryError"),
]


@pytest.mark.parametrize(("path", "content", "why"), CASES, ids=["crash", "hang", "swell"])
def test_what_ends_a_worker_is_told_and_the_rest_is_judged(armed: Sandbox, tmp_path: Path, path: str, content: str, why: str) -> None:
    """A segmentation fault, an endless loop and a memory bomb cost one file its analysis, the review a moment, and the verdict is red."""
    started = time.monotonic()
    assessment = judged(armed, tmp_path / "shop", {path: content})
    assert time.monotonic() - started < 30
    assert why in told(assessment)[path]
    assert destroyed(assessment)
    assert decide(assessment, OFFLINE, POLICY).verdict.state is State.BLOCKED


@pytest.mark.parametrize(
    ("step", "how"), [("reach", "hang"), ("reach", "raise"), ("attribution", "crash"), ("attribution", "raise"), ("agents", "crash")]
)
def test_a_step_over_the_whole_change_that_ends_early_is_told(armed: Sandbox, tmp_path: Path, step: str, how: str) -> None:
    """Reach, attribution and the agents' limits may hang or crash as well: that is an effect that blocks, and the other effects stand."""
    assessment = judged(armed, tmp_path / "shop", {f"{how}/{step}": "x\n"})
    (why,) = told(assessment).values()
    assert "is not known: " in why and {"hang": "computing time", "crash": "crashed", "raise": "OverflowError"}[how] in why
    assert destroyed(assessment)
    assert decide(assessment, OFFLINE, POLICY).verdict.state is State.BLOCKED


def test_all_at_once_are_told_each(armed: Sandbox, tmp_path: Path) -> None:
    """Several of them in one change are each told, and the neighbour is still judged."""
    assessment = judged(armed, tmp_path / "shop", {path: content for path, content, _ in CASES})
    assert set(told(assessment)) == {CRASH, HANG, SWELL} and destroyed(assessment)


def test_too_many_of_them_give_a_red_verdict_without_detectors(armed: Sandbox, tmp_path: Path) -> None:
    """A change of nothing but bombs does not keep the server busy: after four workers it is told as not analysed as a whole."""
    assessment = judged(armed, tmp_path / "shop", {f"image{number}/Dockerfile": "FROM a\n" for number in range(9)})
    assert "ended early" in " ".join(told(assessment).values())
    assert decide(assessment, OFFLINE, POLICY).verdict.state is State.BLOCKED


def test_a_worker_says_the_same_as_this_process(tmp_path: Path) -> None:
    """Ordinary changes, names that are no text among them, are judged alike inside and outside."""
    sandbox = Sandbox(workers=1)
    files: dict[str, str | bytes | None] = {"README.md": "# The shop\n", "infra/prod/ü.tf": TOPIC, "k8s/web.yaml": "kind: Pod\n"}
    try:
        inside = judged(sandbox, tmp_path / "one", files)
        outside = judged(None, tmp_path / "two", files)
    finally:
        sandbox.close()
    assert inside.effects == outside.effects and inside.risk == outside.risk and inside.reach == outside.reach


def test_a_worker_inherits_nothing(tmp_path: Path) -> None:
    """A worker has no environment, and is a session of its own."""
    sandbox = Sandbox(workers=1)
    sandbox.warm()
    worker = sandbox._idle.queue[0]
    assert worker is not None
    number = worker._child.pid
    try:
        if not Path(f"/proc/{number}/environ").exists():
            pytest.skip("this machine shows no processes under /proc")
        assert Path(f"/proc/{number}/environ").read_bytes() == b""
        assert os.getsid(number) == number
    finally:
        sandbox.close()
    assert not Path(f"/proc/{number}").exists()


MEASURED = (
    "yaml-merge-keys", "yaml-laughs", "yaml-dashes", "yaml-brackets", "yaml-sixty", "yaml-1-mb-map", "json-deep", "json-digits", "hcl-sum",
    "hcl-5000-resources", "hcl-newlines", "sql-arrays", "sql-parens", "sql-case", "sql-10000-tables", "sql-insert-25000-rows", "dockerfile-continuations",
)  # fmt: skip
"""The bombs that were measured against common parsers, by their names in `tests.bombs`."""


def test_a_bomb_hinders_nobody(tmp_path: Path) -> None:
    """While one worker takes bomb after bomb, another judges ordinary changes as always, and each bomb ends red within five seconds of computing."""
    bombs = {bomb.name: bomb for bomb in BOMBS}
    sandbox = Sandbox(workers=2)
    sandbox.warm()
    ordinary: list[float] = []
    over = threading.Event()

    def others() -> None:
        while not over.is_set():
            started = time.monotonic()
            assessment = judged(sandbox, tmp_path / f"ordinary{len(ordinary)}", {"README.md": "# The shop\n"})
            assert destroyed(assessment) and not told(assessment)
            ordinary.append(time.monotonic() - started)

    try:
        with ThreadPoolExecutor() as pool:
            beside = pool.submit(others)
            try:
                for name in MEASURED:
                    used = _computed(sandbox)
                    assessment = judged(sandbox, tmp_path / name, {bombs[name].path: bombs[name].make()})
                    assert decide(assessment, OFFLINE, POLICY).verdict.state is State.BLOCKED and destroyed(assessment), name
                    assert bool(told(assessment)) or bombs[name].outcome != SAID, name
                    assert _computed(sandbox) - used < 5 + ordinary_seconds(ordinary), name
            finally:
                over.set()
            beside.result(60)
        assert sandbox.kills == 0 and len(ordinary) > len(MEASURED) / 4
    finally:
        sandbox.close()


def _computed(sandbox: Sandbox) -> float:
    """Seconds that the busiest worker has computed so far."""
    tick = os.sysconf("SC_CLK_TCK")
    stats = [Path(f"/proc/{worker._child.pid}/stat").read_text().rpartition(")")[2].split() for worker in tuple(sandbox._alive)]
    return max(int(fields[11]) + int(fields[12]) for fields in stats) / tick


def ordinary_seconds(walls: list[float]) -> float:
    """What the ordinary reviews beside a bomb may have computed in the same worker meanwhile."""
    return sum(walls[-3:])
