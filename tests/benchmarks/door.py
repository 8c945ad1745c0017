"""The front door under load: signed deliveries from 64 connections for two minutes, then a count of what is stored.

The load comes from a process of its own. With PROBOT=directory (an `npm install probot@14`) the same generator is pointed at Probot with an empty
handler in turns, so that both meet the same machine. `python -m tests.benchmarks.door --seconds 120`
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

SECRET = "a-secret-of-the-benchmark-0123456789"
"""Only between these two programs."""


def body() -> bytes:
    """A delivery of the size of an ordinary pull request's, about 24 KB, which says nothing about a verdict."""
    return json.dumps(
        {"action": "assigned", "zen": "x", "filler": [{"id": n, "url": f"https://example.com/{n}" * 3} for n in range(260)]}
    ).encode()


async def _connection(port: int, path: str, until: float, taken: list[float], kept: list[str], refused: list[int]) -> None:
    payload = body()
    signature = "sha256=" + hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        guid = str(uuid.uuid4())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            f"X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: {guid}\r\nX-Hub-Signature-256: {signature}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + payload)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length:")[2].split("\r\n")[0] or 0) if "content-length:" in answer else 0
        if length:
            await reader.readexactly(length)
        elif "transfer-encoding: chunked" in answer:
            await reader.readuntil(b"0\r\n\r\n")
        status = int(answer.split(" ", 2)[1])
        if status in (200, 202):
            taken.append(time.perf_counter() - began)
            kept.append(guid)
        else:
            refused.append(status)
    writer.close()


def generate(port: int, path: str, seconds: float, connections: int, out: Path) -> None:
    """The load: run in a process of its own."""
    taken: list[float] = []
    kept: list[str] = []
    refused: list[int] = []

    async def main() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(_connection(port, path, until, taken, kept, refused) for _ in range(connections)))

    import uvloop

    uvloop.run(main())
    taken.sort()
    figures = {
        "accepted": len(taken),
        "a second": round(len(taken) / seconds),
        "p50 ms": round(taken[len(taken) // 2] * 1000, 1) if taken else None,
        "p99 ms": round(taken[int(len(taken) * 0.99)] * 1000, 1) if taken else None,
        "refused": len(refused),
    }
    out.write_text(json.dumps({"figures": figures, "kept": kept}))


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _up(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def _key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        .decode()
    )


def _measure(port: int, path: str, seconds: float, connections: int, folder: Path) -> tuple[dict[str, object], list[str]]:
    out = folder / "load.json"
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.door", "--generate", str(port), path, str(seconds), str(connections), str(out)], check=True
    )
    read = json.loads(out.read_text())
    return read["figures"], read["kept"]


def _cpu(pid: int) -> float:
    """Seconds of a processor that a server has had: what it costs, however busy the machine is."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def interlock(seconds: float, connections: int, folder: Path, url: str = "") -> dict[str, object]:
    """`interlock serve --web`, and afterwards a count of what it acknowledged and does not have."""
    from bot.store import open_store

    data, port = folder / "data", _free()
    environment = {
        **os.environ,
        "INTERLOCK_APP_ID": "1",
        "INTERLOCK_PRIVATE_KEY": _key(),
        "INTERLOCK_WEBHOOK_SECRET": SECRET,
        "INTERLOCK_DATA": str(data),
        "INTERLOCK_DATABASE_URL": url,
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "serve", "--web", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _up(port)
        idle = _cpu(server.pid)
        figures, kept = _measure(port, "/webhook", seconds, connections, folder)
        cost = round((_cpu(server.pid) - idle) * 1e6 / max(1, len(kept)))
        memory = next(line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    finally:
        # As hard as a machine that loses its power: what was acknowledged is on disk.
        server.kill()
        server.wait()
    store = open_store(data, url)
    stored = store.known_deliveries(kept)
    store.close()
    return {
        **figures,
        "processor µs each": cost,
        "acknowledged and lost": len(set(kept) - stored),
        "most memory MB": int(memory.split()[1]) // 1024,
    }


PROBOT = """
import { run } from "probot";
run((app) => { app.on("pull_request", async () => {}); });
"""


def probot(seconds: float, connections: int, folder: Path, where: Path) -> dict[str, object]:
    """Probot with an empty handler, which stores nothing."""
    port = _free()
    (where / "bench.mjs").write_text(PROBOT)
    environment = {
        **os.environ,
        "APP_ID": "1",
        "PRIVATE_KEY": _key(),
        "WEBHOOK_SECRET": SECRET,
        "PORT": str(port),
        "WEBHOOK_PATH": "/webhook",
        "NODE_ENV": "production",
        "LOG_LEVEL": "info",
    }
    with (folder / "probot.log").open("w") as log:
        server = subprocess.Popen(["node", "bench.mjs"], cwd=where, env=environment, stdout=log, stderr=log)
    try:
        _up(port)
        idle = _cpu(server.pid)
        figures, kept = _measure(port, "/webhook", seconds, connections, folder)
        return {**figures, "processor µs each": round((_cpu(server.pid) - idle) * 1e6 / max(1, len(kept)))}
    finally:
        server.kill()
        server.wait()


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--postgres", action="store_true", help="the same on PostgreSQL")
    parser.add_argument("--generate", nargs=5)
    options = parser.parse_args()
    if options.generate:
        port, path, seconds, connections, out = options.generate
        return generate(int(port), path, float(seconds), int(connections), Path(out))
    folder = Path(tempfile.mkdtemp(prefix="interlock-door-"))
    try:
        where = os.environ.get("PROBOT", "")
        (folder / "sqlite").mkdir()
        print(f"{options.connections} connections, {options.seconds:.0f} s")
        print("interlock, SQLite", interlock(options.seconds, options.connections, folder / "sqlite"))
        if where:
            print("probot, stores nothing", probot(options.seconds, options.connections, folder, Path(where)))
        if options.postgres:
            from tests.database import address

            (folder / "postgres").mkdir()
            print("interlock, PostgreSQL", interlock(options.seconds, options.connections, folder / "postgres", address("postgres")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
