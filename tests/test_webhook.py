"""The front door: what is stored is what was signed; everything else gets a clear answer and is not."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.demo.running import Running
from bot.settings import Credentials, Settings, read_settings
from bot.store import Delivery
from bot.triggers import read, triggers
from bot.webhook import BODY
from tests.octokit import Example

SECRET, PREVIOUS = b"s" * 32, b"p" * 32
KEY = "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----"


def settings(folder: Path, credentials: Credentials | None, missing: tuple[str, ...] = ()) -> Settings:
    return Settings(credentials, missing, "http://127.0.0.1:9", "http://127.0.0.1:9", "", folder, 1, 1 << 30)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Running]:
    """A server with credentials and two secrets, as while one is being changed."""
    server = Running(settings(tmp_path, Credentials(7, KEY, (SECRET, PREVIOUS))))
    yield server
    server.stop()


def sign(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def send(server: Running, body: bytes, method: str = "POST", **changes: str | None) -> tuple[int, str]:
    """Deliver; `changes` set or, with None, leave out a header."""
    headers: dict[str, str | None] = {
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": "d-1",
        "X-Hub-Signature-256": sign(body),
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request(method, "/webhook", body, {name: value for name, value in headers.items() if value is not None})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def stored(server: Running) -> int:
    return int(server.app.store._db.execute("select count(*) from deliveries").fetchone()[0])


def test_a_signed_delivery_is_stored_and_accepted(door: Running) -> None:
    """A ping that is signed is answered with 202, and is on disk."""
    assert send(door, b'{"zen": "x"}') == (202, "stored\n")
    assert stored(door) == 1


def test_the_secret_before_the_present_one_still_opens(door: Running) -> None:
    """While the secret is being changed, both are accepted."""
    assert send(door, b"{}", X_Hub_Signature_256=sign(b"{}", PREVIOUS))[0] == 202


def test_the_same_guid_is_stored_once(door: Running) -> None:
    """A delivery that comes twice is there once."""
    send(door, b"{}")
    assert send(door, b"{}")[0] == 202
    assert stored(door) == 1


GOOD = sign(b"{}")
UNSIGNED: list[tuple[str, str | None]] = [
    ("none", None),
    ("empty", ""),
    ("sha1", "sha1=" + "a" * 40),
    ("short", GOOD[:-1]),
    ("long", GOOD + "0"),
    ("upper case", "sha256=" + GOOD[7:].upper()),
    ("no prefix", GOOD[7:]),
    ("other secret", sign(b"{}", b"x" * 32)),
    ("other body", sign(b"{} ")),
    ("empty secret", sign(b"{}", b"")),
    ("not ASCII", "sha256=" + "é" * 64),
    ("two in one", GOOD + "," + GOOD),
]


@pytest.mark.parametrize("signature", [value for _, value in UNSIGNED], ids=[name for name, _ in UNSIGNED])
@pytest.mark.bypass("BP-84")
def test_what_is_not_signed_is_refused(door: Running, signature: str | None) -> None:
    """Whatever is wrong with the signature, the answer is 401 and nothing is stored."""
    assert send(door, b"{}", X_Hub_Signature_256=signature)[0] == 401
    assert stored(door) == 0


def test_a_signature_that_stands_twice_is_refused(door: Running) -> None:
    """Two signature headers are one too many: nobody chooses which one counts."""
    with socket.create_connection((urlsplit(door.url).hostname, urlsplit(door.url).port), 10) as raw:
        head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: d\r\nX-Hub-Signature-256: {GOOD}\r\nX-Hub-Signature-256: {GOOD}\r\n\r\n{{}}"
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 401")
    assert stored(door) == 0


def test_a_body_over_the_limit_is_refused_before_it_is_read(door: Running) -> None:
    """More than 25 MB is refused by its stated length, without taking it in."""
    with socket.create_connection((urlsplit(door.url).hostname, urlsplit(door.url).port), 10) as raw:
        raw.sendall(
            f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY + 1}\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: d\r\nX-Hub-Signature-256: {GOOD}\r\n\r\n".encode()
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_without_a_length_is_refused(door: Running) -> None:
    """A chunked body has no size to look at first."""
    with socket.create_connection((urlsplit(door.url).hostname, urlsplit(door.url).port), 10) as raw:
        raw.sendall(
            f"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: d\r\nX-Hub-Signature-256: {GOOD}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode()
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 411")
    assert stored(door) == 0


def connected(door: Running) -> socket.socket:
    return socket.create_connection((urlsplit(door.url).hostname, urlsplit(door.url).port), 10)


def request(guid: str, body: bytes, *more: str, length: int | None = None) -> bytes:
    """A delivery as it goes over the wire."""
    lines = [
        "POST /webhook HTTP/1.1", "Host: x", f"Content-Length: {len(body) if length is None else length}",
        "X-GitHub-Event: ping", f"X-GitHub-Delivery: {guid}", f"X-Hub-Signature-256: {sign(body)}", *more,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


def answered(raw: socket.socket) -> bytes:
    """One answer, whole."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = raw.recv(4096)
        assert piece, f"the connection ended after {got!r}"
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split(b":")[1])
    while len(body) < length:
        body += raw.recv(4096)
    return head


def test_one_connection_carries_many_deliveries(door: Running) -> None:
    """A connection stays open: deliveries, a question for the health page and a refusal follow one another on it."""
    with connected(door) as raw:
        for step in (
            request("d-1", b"{}"),
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            request("d-2", b""),
            request("d 3", b"{}"),
            request("d-4", b"[]"),
        ):
            raw.sendall(step)
            status = answered(raw).split(b" ")[1]
            assert status == (b"200" if b"healthz" in step else b"400" if b"d 3" in step else b"202")
    assert stored(door) == 3


@pytest.mark.parametrize("size", [30_000, 3 << 20])
def test_a_body_may_come_in_pieces(door: Running, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent bit by bit is taken as a whole, also when that takes longer than a head may."""
    monkeypatch.setattr("bot.protocol.HEAD_SECONDS", 0.3)
    message = request("d-1", json.dumps({"filler": "x" * size}).encode())
    with connected(door) as raw:
        for at in (0, len(message) - 9000, len(message) - 4000, len(message) - 1):
            end = {0: len(message) - 9000, len(message) - 9000: len(message) - 4000, len(message) - 4000: len(message) - 1}.get(at)
            raw.sendall(message[at:end])
            # The silence is what is tried here.
            assert select.select([raw], [], [], 0.3 if end else 10)[0] == ([] if end else [raw])
        assert answered(raw).startswith(b"HTTP/1.1 202")
    assert stored(door) == 1


@pytest.mark.parametrize("size", [30_000, 3 << 20])
def test_a_body_that_does_not_end_is_let_go(door: Running, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery whose body stops gets 408 and the end of its connection; nothing is stored."""
    monkeypatch.setattr("bot.webhook.SECONDS", 0.3)
    with connected(door) as raw:
        raw.sendall(request("d-1", b"{", length=size))
        assert answered(raw).startswith(b"HTTP/1.1 408")
        assert raw.recv(100) == b""
    assert stored(door) == 0


def test_a_second_delivery_before_the_first_is_answered_is_not_taken(door: Running) -> None:
    """Two at once on one connection end it, and no answer says that the second was stored; alone it is."""
    with connected(door) as raw:
        raw.sendall(request("d-1", b"{}") + request("d-2", b"{}"))
        with contextlib.suppress(ConnectionError):
            assert raw.recv(4096) == b""
    with connected(door) as raw:
        raw.sendall(request("d-2", b"{}"))
        assert answered(raw).startswith(b"HTTP/1.1 202")


def test_a_delivery_under_way_is_answered_before_the_server_stops(door: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is told to stop while a delivery is written to disk still says that it was stored, then ends the connection."""
    writing, go_on, store = threading.Event(), threading.Event(), door.app.store.put_deliveries

    def slowly(deliveries: Sequence[Delivery]) -> int:
        writing.set()
        assert go_on.wait(20)
        return store(deliveries)

    monkeypatch.setattr(door.app.store, "put_deliveries", slowly)
    with connected(door) as raw:
        raw.sendall(request("d-1", b"{}"))
        assert writing.wait(20)
        stopping = threading.Thread(target=door.stop)
        stopping.start()
        until = time.monotonic() + 20
        while not door._server.should_exit and time.monotonic() < until:
            stopping.join(0.01)
        with pytest.raises(OSError):  # the door is closed to others
            for _ in range(200):
                connected(door).close()
                stopping.join(0.05)
        go_on.set()
        assert answered(raw).startswith(b"HTTP/1.1 202")
        assert raw.recv(100) == b""
        stopping.join(30)
        assert not stopping.is_alive()


def test_a_client_that_leaves_is_no_fault(door: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that hangs up before its answer leaves the server as it was; its delivery is stored all the same."""
    writing, go_on, store = threading.Event(), threading.Event(), door.app.store.put_deliveries

    def slowly(deliveries: Sequence[Delivery]) -> int:
        writing.set()
        assert go_on.wait(20)
        return store(deliveries)

    monkeypatch.setattr(door.app.store, "put_deliveries", slowly)
    with connected(door) as raw:
        raw.sendall(request("d-1", b"{}"))
        assert writing.wait(20)
    go_on.set()
    assert send(door, b"{}", X_GitHub_Delivery="d-2")[0] == 202
    assert stored(door) == 2


@pytest.mark.parametrize("header", ["X_GitHub_Event", "X_GitHub_Delivery"])
def test_a_delivery_without_its_name_is_refused(door: Running, header: str) -> None:
    """Without an event or a GUID it is no delivery."""
    assert send(door, b"{}", **{header: None})[0] == 400
    assert send(door, b"{}", **{header: "a b"})[0] == 400


def test_only_post_is_taken(door: Running) -> None:
    """Looking at the address does nothing."""
    assert send(door, b"", method="GET")[0] == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[1]",
        b'"x"',
        b"[" * 100_000,
        b'{"repository": 7}',
        b'{"action": {"a": 1}, "repository": {"full_name": "a/b"}}',
        b"\xff\xfe",
    ],
)
def test_a_signed_body_that_says_nothing_is_kept_and_passed_over(door: Running, body: bytes) -> None:
    """What is signed but is no payload is stored, read, noted, and disturbs nothing."""
    assert send(door, body, X_GitHub_Event="pull_request")[0] == 202
    door.settle()
    (row,) = door.app.store._db.execute("select state from deliveries").fetchall()
    assert row["state"] == "read"


def test_an_unknown_event_is_kept_and_passed_over(door: Running) -> None:
    """GitHub adds events; they are stored and mean nothing."""
    assert (
        send(door, json.dumps({"repository": {"full_name": "a/b"}, "installation": {"id": 1}}).encode(), X_GitHub_Event="sponsorship")[0]
        == 202
    )
    door.settle()
    assert door.app.store.waiting()["waiting"] == 0


def test_without_credentials_it_starts_and_says_what_to_set(tmp_path: Path) -> None:
    """A server without credentials answers, refuses deliveries with 503, and names the settings."""
    server = Running(settings(tmp_path, None, ("INTERLOCK_APP_ID", "INTERLOCK_WEBHOOK_SECRET")))
    try:
        status, text = send(server, b"{}")
        assert status == 503 and "INTERLOCK_APP_ID" in text and "INTERLOCK_WEBHOOK_SECRET" in text
        for path, expected in (("/healthz", 200), ("/livez", 200), ("/readyz", 503)):
            connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == expected
            connection.close()
    finally:
        server.stop()


def test_settings_are_read_once_and_the_secrets_leave_the_environment() -> None:
    """After the settings are read, no child can inherit a secret; and no representation shows one."""
    environment = {"INTERLOCK_APP_ID": "7", "INTERLOCK_PRIVATE_KEY": KEY, "INTERLOCK_WEBHOOK_SECRET": "s" * 32, "PATH": "/bin"}
    read = read_settings(environment)
    assert read.credentials is not None and read.credentials.app_id == 7
    assert set(environment) == {"INTERLOCK_APP_ID", "PATH"}
    assert "ssss" not in repr(read) and "PRIVATE" not in repr(read)


def test_every_example_payload_is_accepted(door: Running, webhook_examples: list[Example]) -> None:
    """All example payloads of GitHub's own collection are stored, read and understood without an error, whatever they hold or leave out."""
    assert len(webhook_examples) == 329
    for number, example in enumerate(webhook_examples):
        body = json.dumps(example.payload).encode()
        assert send(door, body, X_GitHub_Event=example.event, X_GitHub_Delivery=f"e-{number}", X_Hub_Signature_256=sign(body))[0] == 202
        triggers(example.event, read(body), 7)
    assert stored(door) == 329
