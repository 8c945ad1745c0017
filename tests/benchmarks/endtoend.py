"""Pull requests a second, from the open door to the published verdict, with 1, 2 and 4 workers on SQLite and on PostgreSQL, beside the same looks
one after another without deliveries and without anyone waiting for a turn.

The stand-in for GitHub runs beside it on the same machine, and its share of the work is not taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from bot.demo.running import Running
from bot.pipeline import look_at_pull
from bot.triggers import pull_mark
from tests.benchmarks.town import Town
from tests.database import BACKENDS, address
from tests.house import settings_for


def without_turns(pulls: int) -> tuple[int, float]:
    """How many pull requests were looked at by plain calls, and in how many seconds."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-endtoend-"))
    town = Town(folder)
    server = Running(settings_for(town.github, town.app, folder), looks=False)
    try:
        town.build(4, pulls // 4)
        tools = server.app.tools
        assert tools is not None

        async def look() -> None:
            for repo, pull, _ in town.pulls:
                tools.store.mark(pull_mark(f"acme/{repo.state.name}", town.installation.id, pull.number))
                work = tools.store.take("bench", 600.0)
                assert work is not None
                await look_at_pull(work, tools)
                tools.store.finish(work)

        began = time.perf_counter()
        assert server._loop is not None
        asyncio.run_coroutine_threadsafe(look(), server._loop).result()
        return len(town.pulls), time.perf_counter() - began
    finally:
        server.stop()
        town.close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pulls", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    count, alone = without_turns(options.pulls)
    print(f"by plain calls, one after another: {count} pull requests in {alone:.1f} s, {count / alone:.2f} a second", flush=True)
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
