"""What a server does by the clock: it has deliveries swept, forgets what is past its time, and answers whoever measures it.

The inner door serves `/metrics`, `/livez` and `/readyz` on an address of its own, which is this machine's alone unless it is set otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bot import metrics, sweep
from bot.pipeline import Tools

logger = logging.getLogger("interlock.rounds")

FIRST, EVERY = 45.0, 30.0
"""Seconds after the start, and between two rounds."""
HOUSEKEEPING = 3600.0
DELIVERIES = 14 * 86400.0
"""Seconds that the body of a delivery that was read is kept: longer than GitHub keeps it."""


class Rounds:
    """The rounds of one process. `retention` is in seconds; 0 keeps records for ever."""

    def __init__(self, tools: Tools, retention: float) -> None:
        self._tools, self._retention = tools, retention
        self._kept_house = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await asyncio.sleep(FIRST)
        while True:
            try:
                await asyncio.to_thread(self.once)
            except Exception:
                logger.exception("a round failed; the next one tries again")
            await asyncio.sleep(EVERY)

    def once(self) -> None:
        """One round."""
        now = self._tools.clock()
        if sweep.due(self._tools):
            self._tools.store.mark(sweep.mark())
        for installation, budget in self._tools.api.budgets.items():
            if budget.remaining is not None:
                metrics.RATELIMIT_REMAINING.labels(installation=str(installation)).set(budget.remaining)
        if now - self._kept_house >= HOUSEKEEPING:
            self._kept_house = now
            self._tools.store.forget_deliveries(now - DELIVERIES)
            if self._retention:
                forgotten = self._tools.store.forget_records(now - self._retention)
                if forgotten:
                    logger.info("%d records are past their time; their digests stay", forgotten)
            metrics.MIRROR_BYTES.set(self._tools.mirrors.size())


class Inner:
    """The inner door."""

    def __init__(self, address: str, ready: Callable[[], tuple[bool, str]]) -> None:
        host, _, port = address.rpartition(":")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers: dict[str, Callable[[], tuple[int, str, bytes]]] = {
                    "/metrics": lambda: (200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()),
                    "/livez": lambda: (200, "text/plain", b"ok\n"),
                    "/readyz": lambda: (lambda told: (200 if told[0] else 503, "text/plain", told[1].encode() + b"\n"))(ready()),
                }
                answer = answers.get(self.path)
                status, kind, body = answer() if answer else (404, "text/plain", b"there is /metrics, /livez and /readyz\n")
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: whoever measures comes every few seconds."""

        self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="inner door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()
