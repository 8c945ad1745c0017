"""Plain deliveries, taken where their bytes come in: no task, no queue of messages, no headers built anew for each.

A delivery as GitHub sends it (a POST of known length, one at a time on its connection) needs nothing that a web application has. What it costs
beside receiving, hashing and storing is what bounds how many can be taken in a burst. All else goes the ordinary way to `bot.webhook`, also what
would be refused by its head.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from bot import inbox, webhook
from bot.protocol import Guarded
from bot.webhook import Incoming, Refusal, Webhook

PATH = b"/webhook"
SMALL = 1 << 20
"""Bytes of a body that is taken here: a larger one is read at the pace at which it can be hashed."""


def door(find: Callable[[], Webhook]) -> type[Guarded]:
    """Connections that take deliveries for the webhook that stands at the moment."""
    return type("Door", (_Door,), {"find": staticmethod(find)})


class _Door(Guarded):
    """A connection. Between a delivery's head and its answer nothing else is read from it."""

    find: Callable[[], Webhook]
    _incoming: Incoming | None = None
    _webhook: Webhook
    _stored: asyncio.Future[None] | None = None
    _late: asyncio.TimerHandle | None = None
    _started = 0.0
    _last = False
    """The connection ends after this answer."""

    def on_headers_complete(self) -> None:
        if self._incoming is not None:
            # A second request before the first was answered: GitHub never does that, and what is not answered is delivered again.
            self.transport.abort()
        elif self._plain():
            self._forget()
            self._started = time.perf_counter()
        else:
            super().on_headers_complete()

    def _plain(self) -> bool:
        """Whether this is a plain delivery that is welcome; if so it is expected from now on."""
        if self.url != PATH or self.expect_100_continue or not (self.cycle is None or self.cycle.response_complete):
            return False
        if self.parser.get_http_version() != "1.1" or not self.parser.should_keep_alive() or self.parser.should_upgrade():
            return False
        self._webhook = self.find()
        try:
            incoming = self._webhook.expect(self.parser.get_method().decode("latin-1"), self.headers)
        except Refusal:
            return False
        if incoming.length > SMALL:
            return False
        self._incoming = incoming
        return True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._incoming is not None and self._late is None:
            self._late = self.loop.call_later(webhook.SECONDS, self._answer, Refusal(408, "the body took too long"))

    def _at_head(self) -> bool:
        return self._incoming is None and super()._at_head()

    def on_body(self, body: bytes) -> None:
        if self._incoming is None:
            super().on_body(body)
        elif not self.transport.is_closing():
            self._incoming.take(body)

    def on_message_complete(self) -> None:
        if self._incoming is None:
            super().on_message_complete()
            return
        if self.transport.is_closing():
            return
        self._on_time()
        try:
            self._stored = self._webhook.hand(self._incoming)
        except Refusal as refusal:
            self._answer(refusal)
        else:
            self.flow.pause_reading()
            self._stored.add_done_callback(self._on_disk)
            self._late = self.loop.call_later(inbox.PATIENCE, self._answer, webhook.not_stored(TimeoutError()))

    def _on_disk(self, stored: asyncio.Future[None]) -> None:
        error = stored.exception()
        if stored is self._stored:
            self._answer(None if error is None else webhook.not_stored(error))

    def _answer(self, refusal: Refusal | None) -> None:
        assert self._incoming is not None
        webhook.told(self._incoming.event, self._started, refusal)
        status, headers, body = webhook.answer(refusal)
        last = self._last or (b"connection", b"close") in headers
        self._done()
        if self.transport.is_closing():
            return
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in (*self.server_state.default_headers, *headers))
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        if last:
            self.transport.close()
        self.on_response_complete()

    def _done(self) -> None:
        self._on_time()
        self._incoming = self._stored = None

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._done()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called by the server when it is to stop: a delivery under way is still answered."""
        if self._incoming is None:
            super().shutdown()
        else:
            self._last = True
