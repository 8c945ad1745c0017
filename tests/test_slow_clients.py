"""Clients that begin a request and do not go on: they are let go, and nobody else waits for them."""

from __future__ import annotations

import http.client
import resource
import socket
import time
from urllib.parse import urlsplit

import pytest

from bot import protocol
from bot.demo.running import Running
from tests.test_webhook import door as door

CLIENTS = 2000


def test_two_thousand_half_open_connections_stop_nobody(door: Running) -> None:
    """While two thousand clients hold a request half sent, a probe is answered within ten seconds; no more than a bounded number is held."""
    place = (urlsplit(door.url).hostname, urlsplit(door.url).port)
    held: list[socket.socket] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    # Both ends are in this process, so half of its file handles are the clients'.
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - protocol.WAITING - 400
    try:
        for _ in range(CLIENTS):
            client = socket.create_connection(place, 10)
            client.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            held.append(client)
            if len(held) > room:
                held.pop(0).close()
        started = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(door.url).netloc, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        assert time.monotonic() - started < 10
        assert len(protocol._waiting) <= protocol.WAITING
    finally:
        for client in held:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_head_that_does_not_end_is_let_go(door: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose head takes too long is ended by the server, also on a connection that was used before."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    for before in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection((urlsplit(door.url).hostname, urlsplit(door.url).port), 10) as client:
            if before:
                client.sendall(before)
                answer = b""
                while not answer.endswith(b"ok\n"):
                    answer += client.recv(4096)
            client.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            client.settimeout(10)
            with pytest.raises((ConnectionError, AssertionError)):
                assert client.recv(4096)
