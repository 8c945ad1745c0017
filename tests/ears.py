"""A webhook receiver for tests: it hears, writes down and answers as told."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest


class Ear:
    """What came, as (headers in lower case, raw body), and the status that is answered."""

    def __init__(self) -> None:
        self.url = ""
        self.answer = 202
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self._came = threading.Condition()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Write down what came."""
        with self._came:
            self.heard.append((headers, body))
            self._came.notify_all()

    def events(self) -> list[str]:
        """What was heard, as `event.action`."""
        return [".".join(filter(None, (headers["x-github-event"], json.loads(body).get("action")))) for headers, body in self.heard]

    def payload(self, event: str) -> dict[str, Any]:
        """The newest payload of an event."""
        return next(json.loads(body) for headers, body in reversed(self.heard) if headers["x-github-event"] == event)

    def wait_for(self, event: str, patience: float = 20) -> tuple[dict[str, str], bytes]:
        """The first `event.action` that is heard, now or soon."""
        with self._came:
            assert self._came.wait_for(lambda: event in self.events(), patience), f"{event} did not come, only {self.events()}"
            return self.heard[self.events().index(event)]


@pytest.fixture
def ear() -> Iterator[Ear]:
    """A listening receiver."""
    made = Ear()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(made.answer)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}/webhook"
        yield made
        server.shutdown()
        thread.join()
