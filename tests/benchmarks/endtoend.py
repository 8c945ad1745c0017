"""Pull requests a second, from the open door to the published verdict, with 1, 2 and 4 workers on SQLite and on PostgreSQL.

The stand-in for GitHub runs beside it on the same machine, and its share of the work is not taken off.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.town import Town
from tests.database import BACKENDS, address


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pulls", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    for backend in BACKENDS:
        for workers in options.workers:
            folder = Path(tempfile.mkdtemp(prefix="interlock-endtoend-"))
            town = Town(folder, address(backend))
            try:
                town.serve(workers)
                town.app.webhook_url = f"http://127.0.0.1:{town.port}/webhook"
                town.build(4, options.pulls // 4)
                asked = len(town.github.requests)
                # Opened while it already looks: the clock runs from the first pull request to the last verdict.
                town.until(lambda town=town: town.judged() == len(town.pulls))  # type: ignore[misc]
                first = min(pull.created_at for _, pull, _ in town.pulls)
                seconds = town.github.world.clock() - first
                used = len(town.github.requests)
                print(
                    f"{backend}, {workers} workers: {len(town.pulls)} pull requests in {seconds:.1f} s, {len(town.pulls) / seconds:.2f} a second,"
                    f" {used / len(town.pulls):.1f} requests each ({asked} before the last was opened)",
                    flush=True,
                )
            finally:
                town.close()
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
