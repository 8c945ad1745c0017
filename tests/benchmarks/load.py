"""A large organisation's day: 20,000 deliveries in bursts, against the stand-in, as fast as the bursts are worked off.

Most deliveries of a day say nothing about a verdict or say again what is known; before each burst four pull requests get a commit, and the burst
speaks of them many times over, as a push does with its checks. Lag: from the last acknowledgement of a burst to the record of each new head.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import random
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.town import Town, memory
from tests.database import address


def _payload(chance: random.Random, town: Town, pull: tuple[Any, Any, str]) -> tuple[str, dict[str, Any], bool]:
    repo, made, head = pull
    common = {"repository": {"id": repo.state.id, "full_name": repo.full_name}, "installation": {"id": town.installation.id}}
    dice = chance.random()
    if dice < 0.35:
        return "check_run", {**common, "action": "completed", "check_run": {"head_sha": head, "name": "ci", "app": {"id": 15368}}}, False
    if dice < 0.45:
        return "workflow_run", {**common, "action": "completed", "workflow_run": {"head_sha": head}}, False
    if dice < 0.60:
        about = {"number": made.number, "state": "open", "head": {"sha": head}, "base": {"ref": "main"}}
        return "pull_request", {**common, "action": chance.choice(["synchronize", "edited", "labeled"]), "pull_request": about}, True
    return chance.choice(["check_run", "workflow_job", "issues", "status"]), {**common, "action": "created"}, False


async def _burst(port: int, secret: str, deliveries: list[tuple[str, dict[str, Any], bool]], kept: list[str]) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=16), timeout=httpx.Timeout(30, pool=None)) as client:

        async def send(event: str, payload: dict[str, Any]) -> None:
            body, guid = json.dumps({**payload, "filler": "x" * 8000}).encode(), str(uuid.uuid4())
            signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": guid, "X-Hub-Signature-256": signature}
            answer = await client.post(f"http://127.0.0.1:{port}/webhook", content=body, headers=headers)
            if answer.status_code == 202:
                kept.append(guid)

        await asyncio.gather(*(send(event, payload) for event, payload, _ in deliveries))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--burst", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    folder, chance = Path(tempfile.mkdtemp(prefix="interlock-load-")), random.Random(20_000)
    town = Town(folder, address("postgres") if options.postgres else "")
    try:
        server = town.serve(options.workers)
        town.app.webhook_url = f"http://127.0.0.1:{town.port}/webhook"
        town.build(10, 6)
        town.until(lambda: town.judged() == len(town.pulls))
        town.app.webhook_url = ""
        store = town.store()
        used, most, stop = len(town.github.requests), [0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.25):
                most[0] = max(most[0], memory(server.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        kept: list[str] = []
        lags: list[float] = []
        began = time.time()
        for _ in range(options.deliveries // options.burst):
            chosen = [town.push(number) for number in chance.sample(range(len(town.pulls)), 4)]
            burst = [_payload(chance, town, chance.choice(chosen)) for _ in range(options.burst)]
            asyncio.run(_burst(town.port, town.app.webhook_secret, burst, kept))
            acknowledged = time.time()

            def rests() -> bool:
                waiting = store.waiting()
                return not (waiting["unread"] or waiting["waiting"] or waiting["taken"])

            town.until(rests)
            for repo, made, head in chosen:
                newest = store.records(repo.full_name, pull=made.number, head=head)[0].made
                lags.append(max(0.0, newest - acknowledged))
        seconds = time.time() - began
        stop.set()
        watching.join()
        lags.sort()
        lost = set(kept) - store.known_deliveries(kept)
        dead = store.dead_letters()
        store.close()
        print(
            f"{'PostgreSQL' if options.postgres else 'SQLite'}, {options.workers} workers: {len(kept)} deliveries in bursts of {options.burst},"
            f" worked off in {seconds:.0f} s ({len(kept) / seconds:.0f} a second); last verdict after a burst: p50 {lags[len(lags) // 2]:.1f} s,"
            f" p99 {lags[int(len(lags) * 0.99)]:.1f} s; most memory {most[0]} MB; {len(town.github.requests) - used} requests;"
            f" lost {len(lost)}, given up {len(dead)}"
        )
    finally:
        town.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
