"""The front door: verify, store, answer 202. Nothing of a delivery is parsed before it is on disk.

A bare ASGI application, because the way through a router costs more than all it does. The signature is computed over the raw body while it
comes in; sizes first. docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
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

_SIGNATURE = re.compile(rb"sha256=[0-9a-f]{64}\Z")
_GUID = re.compile(r"[0-9A-Za-z-]{1,100}\Z")
_EVENT = re.compile(r"[a-z0-9_]{1,60}\Z")


class Refusal(Exception):
    """A request that is not stored: status and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Webhook:
    """`POST /webhook`."""

    def __init__(self, secrets: Sequence[bytes], inbox: Inbox | None, missing: Sequence[str] = ()) -> None:
        self._secrets, self._inbox, self._missing = tuple(secrets), inbox, tuple(missing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        named = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-github-event"), "")
        event = named if named in NAMED else "other"
        try:
            await self._accept(scope, receive)
        except Refusal as refusal:
            WEBHOOK.labels(event=event, result=str(refusal.status)).inc()
            await _answer(send, refusal.status, refusal.why)
        else:
            WEBHOOK.labels(event=event, result="202").inc()
            WEBHOOK_ACK.observe(time.perf_counter() - started)
            await _answer(send, 202, "stored")

    async def _accept(self, scope: Scope, receive: Receive) -> None:
        if scope["method"] != "POST":
            raise Refusal(405, "deliveries come by POST")
        if self._inbox is None or not self._secrets:
            raise Refusal(503, "Interlock has no credentials yet: set " + ", ".join(self._missing or ("INTERLOCK_WEBHOOK_SECRET",)))
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers and name.startswith(b"x-"):
                raise Refusal(401, "a header stands twice")
            headers[name] = value
        signature = headers.get(b"x-hub-signature-256", b"")
        if not _SIGNATURE.match(signature):
            raise Refusal(401, "the signature is missing or not of the form sha256=…")
        guid = headers.get(b"x-github-delivery", b"").decode("latin-1")
        event = headers.get(b"x-github-event", b"").decode("latin-1")
        if not _GUID.match(guid) or not _EVENT.match(event):
            raise Refusal(400, "X-GitHub-Delivery or X-GitHub-Event is missing")
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            raise Refusal(411, "Content-Length is missing")
        if int(length) > BODY:
            raise Refusal(413, f"a delivery has at most {BODY:,} bytes")
        try:
            body = await asyncio.wait_for(self._body(receive, signature, int(length)), SECONDS)
        except TimeoutError:
            raise Refusal(408, "the body took too long") from None
        try:
            await self._inbox.put(Delivery(guid, event, zstandard.ZstdCompressor(level=1).compress(body), time.time()))
        except InboxFull:
            raise Refusal(503, "too much is waiting; deliver again later") from None
        except Exception:  # noqa: BLE001 - a full disk, a locked database: GitHub keeps the delivery and is asked for it again
            raise Refusal(503, "the delivery could not be stored; deliver again later") from None

    async def _body(self, receive: Receive, signature: bytes, length: int) -> bytes:
        pieces: list[bytes] = []
        macs = [hmac.new(secret, digestmod=sha256) for secret in self._secrets]
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "the connection ended early")
            piece = message.get("body", b"")
            size += len(piece)
            if size > length:
                raise Refusal(413, "the body is longer than it said")
            for mac in macs:
                mac.update(piece)
            pieces.append(piece)
            if not message.get("more_body"):
                break
        # Every secret is compared, so that the time does not tell which one fits.
        fits = [hmac.compare_digest(b"sha256=" + mac.hexdigest().encode(), signature) for mac in macs]
        if True not in fits:
            raise Refusal(401, "the signature does not fit the body")
        return b"".join(pieces)


async def _answer(send: Send, status: int, text: str) -> None:
    body = (text + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"30"))
    if status in (408, 411, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
