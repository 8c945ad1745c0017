"""The front door: verify, store, answer 202. Nothing of a delivery is parsed before it is on disk.

A bare ASGI application, because the way through a router costs more than all it does; a plain small delivery does not even come this way, see
`bot.door`. The signature is computed over the raw body while it comes in; sizes first.
docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from hashlib import sha256
from typing import Any

import zstandard

from bot.inbox import Inbox, InboxFull
from bot.metrics import WEBHOOK, WEBHOOK_ACK
from bot.store import Delivery
from bot.triggers import EVENTS

BODY = 25 << 20
"""Bytes of a payload: GitHub sends no larger one (docs.github.com/webhooks/webhook-events-and-payloads, "Payload cap")."""
NAMED = frozenset({*EVENTS, "ping"})
"""Events that are counted by their name."""
SECONDS = 10.0
"""How long a body may take to come in."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

_SIGNATURE = re.compile(rb"sha256=[0-9a-f]{64}\Z")
_GUID = re.compile(r"[0-9A-Za-z-]{1,100}\Z")
_EVENT = re.compile(r"[a-z0-9_]{1,60}\Z")


class Refusal(Exception):
    """A request that is not stored: status and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Incoming:
    """One delivery while its body comes in."""

    def __init__(self, guid: str, event: str, length: int, signature: bytes, secrets: Sequence[bytes]) -> None:
        self.guid, self.event, self.length = guid, event, length
        self._signature = signature
        self._macs = [hmac.new(secret, digestmod=sha256) for secret in secrets]
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> None:
        """The next piece of the body. Raises `Refusal` where it is longer than it said."""
        self._size += len(piece)
        if self._size > self.length:
            raise Refusal(413, "the body is longer than it said")
        for mac in self._macs:
            mac.update(piece)
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """The body, once all of it is there. Raises `Refusal` where the signature does not fit."""
        # Every secret is compared, so that the time does not tell which one fits.
        fits = [hmac.compare_digest(b"sha256=" + mac.hexdigest().encode(), self._signature) for mac in self._macs]
        if True not in fits:
            raise Refusal(401, "the signature does not fit the body")
        return b"".join(self._pieces)


class Webhook:
    """`POST /webhook`."""

    def __init__(self, secrets: Sequence[bytes], inbox: Inbox | None, missing: Sequence[str] = ()) -> None:
        self._secrets, self._inbox, self._missing = tuple(secrets), inbox, tuple(missing)
        self._packer = zstandard.ZstdCompressor(level=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        refusal = None
        try:
            await self._accept(scope, receive)
        except Refusal as why:
            refusal = why
        told(next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-github-event"), ""), started, refusal)
        status, headers, body = answer(refusal)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _accept(self, scope: Scope, receive: Receive) -> None:
        incoming = self.expect(scope["method"], scope["headers"])
        try:
            async with asyncio.timeout(SECONDS):
                await _body(receive, incoming)
        except TimeoutError:
            raise Refusal(408, "the body took too long") from None
        delivery = self.checked(incoming)
        assert self._inbox is not None
        try:
            await self._inbox.put(delivery)
        except Exception as error:  # noqa: BLE001 - a full disk, a locked database: GitHub keeps the delivery and is asked for it again
            raise not_stored(error) from None

    def expect(self, method: str, headers: Headers) -> Incoming:
        """The delivery that a request's head announces. Raises `Refusal`."""
        if method != "POST":
            raise Refusal(405, "deliveries come by POST")
        if self._inbox is None or not self._secrets:
            raise Refusal(503, "Interlock has no credentials yet: set " + ", ".join(self._missing or ("INTERLOCK_WEBHOOK_SECRET",)))
        given: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in given and name.startswith(b"x-"):
                raise Refusal(401, "a header stands twice")
            given[name] = value
        signature = given.get(b"x-hub-signature-256", b"")
        if not _SIGNATURE.match(signature):
            raise Refusal(401, "the signature is missing or not of the form sha256=…")
        guid = given.get(b"x-github-delivery", b"").decode("latin-1")
        event = given.get(b"x-github-event", b"").decode("latin-1")
        if not _GUID.match(guid) or not _EVENT.match(event):
            raise Refusal(400, "X-GitHub-Delivery or X-GitHub-Event is missing")
        length = given.get(b"content-length", b"")
        if not length.isdigit():
            raise Refusal(411, "Content-Length is missing")
        if int(length) > BODY:
            raise Refusal(413, f"a delivery has at most {BODY:,} bytes")
        return Incoming(guid, event, int(length), signature, self._secrets)

    def checked(self, incoming: Incoming) -> Delivery:
        """A delivery that came in whole, as it is stored. Raises `Refusal`."""
        return Delivery(incoming.guid, incoming.event, self._packer.compress(incoming.whole()), time.time())

    def hand(self, incoming: Incoming) -> asyncio.Future[None]:
        """Have a delivery that came in whole stored: what is returned is done when it is on disk. Raises `Refusal`."""
        delivery = self.checked(incoming)
        assert self._inbox is not None
        try:
            return self._inbox.hand(delivery)
        except InboxFull as full:
            raise not_stored(full) from None


async def _body(receive: Receive, incoming: Incoming) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the connection ended early")
        incoming.take(message.get("body", b""))
        if not message.get("more_body"):
            return


def not_stored(error: BaseException) -> Refusal:
    """Why a delivery that fits was not stored."""
    if isinstance(error, InboxFull):
        return Refusal(503, "too much is waiting; deliver again later")
    return Refusal(503, "the delivery could not be stored; deliver again later")


def told(event: str, started: float, refusal: Refusal | None) -> None:
    """Count an answer."""
    event = event if event in NAMED else "other"
    if refusal is None:
        WEBHOOK.labels(event=event, result="202").inc()
        WEBHOOK_ACK.observe(time.perf_counter() - started)
    else:
        WEBHOOK.labels(event=event, result=str(refusal.status)).inc()


def answer(refusal: Refusal | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an answer."""
    status, text = (202, "stored") if refusal is None else (refusal.status, refusal.why)
    body = (text + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"30"))
    if status in (408, 411, 413):
        headers.append((b"connection", b"close"))
    return status, headers, body
