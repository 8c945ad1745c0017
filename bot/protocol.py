"""HTTP connections that send their request's head in time, and not too many that have not yet: uvicorn itself waits for ever.

Half-open connections cost an attacker nothing and a server its file handles. The oldest go first when there are too many.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 5.0
"""How long the head of a request may take."""
WAITING = 400
"""Connections whose head is not whole yet; below the file handles that a process commonly has."""

_waiting: OrderedDict[Guarded, None] = OrderedDict()


class Guarded(HttpToolsProtocol):
    """A connection with a bound on the time and the number of unfinished heads."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self._at_head():
            self._await_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._forget()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _at_head(self) -> bool:
        """Whether what comes in next belongs to the head of a request."""
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._drop)
        _waiting[self] = None
        if len(_waiting) > WAITING:
            next(iter(_waiting))._drop()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _waiting.pop(self, None)

    def _drop(self) -> None:
        self._forget()
        self.transport.abort()
