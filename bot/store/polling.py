"""Waking the workers of one process by asking the table: for SQLite, where there is nobody else to wake."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from bot.store.contract import Deed

logger = logging.getLogger("interlock.worker")

IDLE = 5.0
"""Seconds between two looks at the table when nothing woke the worker: other processes may have put work there."""
SOON = 0.1
"""The same while there is work that is due but may not be begun yet (its repository has its share): nobody tells when it may."""


class Polling:
    """Loops that look at the table when they are woken, when work becomes due, and every few seconds."""

    def __init__(self, due: Callable[[], float | None], count: int) -> None:
        self._due, self._count = due, count
        self._woken = asyncio.Event()
        self._wakes = 0
        self._stopping = False

    async def run(self, read: Deed, look: Deed) -> None:
        """Until `stop`: one reader and as many lookers as were asked for."""
        await asyncio.gather(self._loop(read), *(self._loop(look) for _ in range(self._count)))

    def wake(self) -> None:
        """Everyone looks again."""
        self._wakes += 1
        self._woken.set()

    def stop(self) -> None:
        """No loop begins anything new."""
        self._stopping = True
        self.wake()

    async def _loop(self, deed: Deed) -> None:
        while not self._stopping:
            wakes = self._wakes
            if await deed():
                self.wake()
                await asyncio.sleep(0)
                continue
            patience = await self._patience()
            # Woken since the look began: what was stored meanwhile was perhaps not seen.
            if self._wakes == wakes:
                self._woken.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), patience)

    async def _patience(self) -> float:
        try:
            due = await asyncio.to_thread(self._due)
        except Exception:
            logger.exception("the database did not tell what waits; asking again")
            return 1.0
        return IDLE if due is None else min(IDLE, max(SOON, due))
