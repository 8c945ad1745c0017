"""`python -m tests.fuzz [--minutes M] [--seed N] [--atheris] [HARNESS…]`: feeds harness after harness, and keeps what does harm.

Each harness runs in a process of its own, so that a crash or an endless loop is found like anything else. What is found is written to the folder
`build/fuzz` as `<harness>.<number>`; once mended it moves to `tests/fuzz/found`, where the tests feed it again for ever.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import random
import signal
import struct
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.harnesses import HARNESSES, seeds
from tests.fuzz.mutations import LARGEST, mutated

SECONDS = 5
"""Computing time of one input."""
OUT = Path("build/fuzz")


def _child(name: str, until: float, seed: int, board: mmap.mmap) -> None:
    """Feed one harness until the time is over; the board always shows how many came before, and the input that is being tried."""
    dice, harness, corpus = random.Random(seed), HARNESSES[name], seeds(name)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    done = struct.unpack_from(">Q", board)[0]
    while time.monotonic() < until:
        data = mutated(corpus, dice)
        struct.pack_into(">QI", board, 0, done, len(data))
        board[12 : 12 + len(data)] = data
        if done % 50 == 0:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
        harness.run(data)
        done += 1
    struct.pack_into(">QI", board, 0, done, 0)


def feed(name: str, seconds: float, seed: int, most: int = 5) -> tuple[int, list[Path]]:
    """How many inputs a harness took, and the files of those that did harm."""
    board = mmap.mmap(-1, 12 + LARGEST)
    until, found, reasons = time.monotonic() + seconds, [], set()
    seeds(name)
    while time.monotonic() < until and len(found) < most:
        out, into = os.pipe()
        child = os.fork()
        if not child:
            os.close(out)
            try:
                _child(name, until, seed, board)
            except BaseException:  # noqa: BLE001 - told to the parent, whatever it is
                os.write(into, traceback.format_exc()[-4000:].encode("utf-8", "backslashreplace"))
                os._exit(1)
            os._exit(0)
        os.close(into)
        _, status = os.waitpid(child, 0)
        words = os.read(out, 1 << 16).decode()
        os.close(out)
        if status == 0:
            break
        done, size = struct.unpack_from(">QI", board)
        struct.pack_into(">Q", board, 0, done + 1)
        seed += 1
        data = bytes(board[12 : 12 + size])
        why = words.strip().splitlines()[-1] if words else f"ended with status {status}"
        where = [line.strip() for line in words.splitlines() if line.lstrip().startswith("File ")][-1:]
        if (why[:60], str(where)) in reasons:
            continue
        reasons.add((why[:60], str(where)))
        OUT.mkdir(parents=True, exist_ok=True)
        file = OUT / f"{name}.{hashlib.sha256(data).hexdigest()[:8]}"
        file.write_bytes(data)
        file.with_name(file.name + ".why").write_text(words or why)
        print(f"  {name}: {why[:200]} ({file})", flush=True)
        found.append(file)
    return struct.unpack_from(">Q", board)[0], found


def main() -> int:
    """Feed the chosen harnesses in turn; 1 when something did harm."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("harness", nargs="*", choices=[*HARNESSES, []], help="all by default")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--atheris", action="store_true", help="let Atheris choose the inputs of the one harness named, guided by coverage")
    chosen = parser.parse_args()
    names = chosen.harness or list(HARNESSES)
    if chosen.atheris:
        import atheris

        atheris.instrument_all()
        corpus = OUT / f"corpus-{names[0]}"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(seeds(names[0])):
            (corpus / str(number)).write_bytes(data)
        atheris.Setup(
            [sys.argv[0], str(corpus), f"-max_total_time={int(chosen.minutes * 60)}", "-rss_limit_mb=2048"], HARNESSES[names[0]].run
        )
        atheris.Fuzz()
    total, harm = 0, 0
    for name in names:
        count, found = feed(name, chosen.minutes * 60 / len(names), chosen.seed)
        total, harm = total + count, harm + len(found)
        print(f"{name}: {count:,} inputs, {len(found)} did harm", flush=True)
    print(f"{total:,} inputs, {harm} did harm (seed {chosen.seed})")
    return 1 if harm else 0


if __name__ == "__main__":
    sys.exit(main())
