"""Durable acknowledgement at the front door's pace: deliveries are committed in groups, by one thread, before anyone is answered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

from bot.store import Delivery, Store

LINGER = 0.001
"""Seconds a group waits for company before it is committed."""
GROUP = 512
PATIENCE = 8.0
"""Seconds a delivery may wait to be on disk. GitHub gives up after ten (docs.github.com/webhooks, "Respond within 10 seconds") and keeps it then."""
FULL = 5000
"""Deliveries waiting to be committed above which new ones are refused: GitHub can deliver them again."""


class InboxFull(Exception):
    """Too much is waiting to be stored."""


class Inbox:
    """Stores deliveries in groups. `put` returns when the delivery is on disk."""

    def __init__(self, store: Store, stored: Callable[[], None]) -> None:
        self._store, self._stored = store, stored
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="inbox", daemon=True)
        self._thread.start()

    async def put(self, delivery: Delivery) -> None:
        """Store one delivery durably. Raises `InboxFull`, `TimeoutError` (it may still be stored), or what the database raised."""
        stored = self.hand(delivery)
        async with asyncio.timeout(PATIENCE):
            await stored

    def hand(self, delivery: Delivery) -> asyncio.Future[None]:
        """Have one delivery stored; what is returned is done when it is on disk, or failed as the database did. Raises `InboxFull`."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._wake:
            if len(self._waiting) >= FULL or self._closed:
                raise InboxFull
            self._waiting.append((delivery, stored))
            self._wake.notify()
        return stored

    def close(self) -> None:
        """Store what waits, then stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _write(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closed:
                    self._wake.wait()
                if not self._waiting:
                    return
            time.sleep(LINGER)
            with self._wake:
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            error: BaseException | None = None
            try:
                self._store.put_deliveries([delivery for delivery, _ in group])
            except Exception as failure:  # noqa: BLE001 - whoever waits is told, whatever it is
                error = failure
            if group:
                # Whoever waits is told by one call for the whole group: each call wakes the loop.
                group[0][1].get_loop().call_soon_threadsafe(self._settle, [stored for _, stored in group], error)

    def _settle(self, waiting: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
        for stored in waiting:
            if stored.done():
                continue
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)
        if error is None:
            self._stored()
