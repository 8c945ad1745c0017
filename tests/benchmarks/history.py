"""How fast `interlock backtest` goes over 500 steps, the share of it that is git's, its memory, and a second run from what was kept.

python -m tests.benchmarks.history GIT_DIRECTORY …
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from bot.backtest.run import replay
from tests.benchmarks.review import computing


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", type=Path, nargs="+")
    parser.add_argument("--last", type=int, default=500)
    options = parser.parse_args()
    print(
        f"| repository | steps | seconds | steps a second | ms a step, one of {os.cpu_count()} processors | in git | peak MiB of a process | again, seconds |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for repository in options.repositories:
        with tempfile.TemporaryDirectory() as cache:
            before = computing()
            first = replay(repository, options.last, cache=Path(cache))
            computed = computing() - before
            start = time.perf_counter()
            again = replay(repository, options.last, cache=Path(cache))
            seconds = time.perf_counter() - start
        steps = len(first.rows)
        assert again.kept == steps and again.rows == first.rows
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
        print(
            f"| {first.repository} | {steps} | {first.seconds:.1f} | {steps / first.seconds:.1f} | {computed / steps * 1000:.0f} "
            f"| {first.git_seconds / computed:.0%} | {peak} | {seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
