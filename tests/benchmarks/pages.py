"""Time to the first byte of the pages: at rest, and while signed deliveries come in on the same server as fast as it takes them.

python -m tests.benchmarks.pages [--requests 200] [--connections 64]
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.door import SECRET
from tests.benchmarks.town import Town

PATHS = ("/acme/r0/pull/1", "/acme/r0", "/acme/r0/agents", "/")


def first_bytes(port: int, path: str, more: Callable[[int], bool]) -> list[float]:
    """Milliseconds to the first byte of an answer, sorted, on one connection that is kept."""
    taken: list[float] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while more(len(taken)):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        taken.append((time.perf_counter() - began) * 1000)
        body = answer.read()
        assert answer.status == 200 and b"<html" in body, (path, answer.status)
    connection.close()
    return sorted(taken)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="interlock-pages-"))
    town = Town(folder)
    try:
        town.serve(2, INTERLOCK_PRIVATE="behind-proxy", INTERLOCK_WEBHOOK_SECRET_PREVIOUS=SECRET)
        town.app.webhook_url = f"http://127.0.0.1:{town.port}/webhook"
        town.build(1, 3)
        town.until(lambda: town.judged() == len(town.pulls))
        print("| page | at rest, p50 ms | p99 ms | under load, p50 ms | p99 ms | deliveries a second meanwhile |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for path in PATHS:
            first_bytes(town.port, path, lambda done: done < 5)
            rest = first_bytes(town.port, path, lambda done: done < options.requests)
            words = ["--generate", str(town.port), "/webhook", str(options.seconds), str(options.connections), str(folder / "load.json")]
            load = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.door", *words])
            time.sleep(1)
            busy = first_bytes(town.port, path, lambda done, load=load: done < options.requests and load.poll() is None)  # type: ignore[misc]
            load.wait()
            rate = json.loads((folder / "load.json").read_text())["figures"]["a second"]
            columns = (figures[int(len(figures) * share)] for figures in (rest, busy) for share in (0.5, 0.99))
            print(f"| {path} | " + " | ".join(f"{column:.1f}" for column in columns) + f" | {rate} |", flush=True)
    finally:
        town.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
