"""Waking the workers of any number of machines: PgQueuer, on the database that holds the state.

Whatever makes work ready also puts a job into PgQueuer's table, in the same transaction. PgQueuer wakes a worker by LISTEN/NOTIFY, gives each job to
one of them, holds back what is not due, watches the heart-beats, and gives a dead worker's job to a live one. A job names no key: it is the turn to
take what is fairly next (`take`), under a lease with a fencing number. So its guarantees need not be as strong as ours: a job that runs twice finds
nothing the second time, and a job that is lost is made up for by the sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.core.qm import QueueManager
from pgqueuer.db import AsyncpgDriver, SyncPsycopgDriver
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries

from bot.store.contract import Deed

logger = logging.getLogger("interlock.worker")

READ, LOOK = "read", "look"
STALE = timedelta(seconds=15)
"""Without a heart-beat for so long, a job's worker is dead and the job another's."""
SWEEP = 5.0
"""Seconds between two sweeps for what is ready and nobody was woken for."""
TIDY = 3600.0
"""Seconds between two clearings of PgQueuer's log, which nobody here reads."""
RECONNECT = (0.5, 1.0, 2.0, 5.0)

_NAMES = {
    "channel": "ch_",
    "function": "fn_",
    "statistics_table": "statistics_",
    "queue_status_type": "status_",
    "queue_table": "",
    "queue_table_log": "log_",
    "trigger": "tg_",
    "schedules_table": "schedules_",
}


def settings() -> DBSettings:
    """PgQueuer's names, all of them said here: it would take them from variables such as CHANNEL too."""
    names: dict[str, Any] = {name: f"{kind}interlock_turns" for name, kind in _NAMES.items()}
    return DBSettings(prefix="", db_schema=None, durability=Durability.balanced, widen_id=True, **names)


_SETTINGS = settings()


def _queries(connection: asyncpg.Connection) -> Queries:
    return Queries(
        AsyncpgDriver(connection),
        qbe=QueryBuilderEnvironment(_SETTINGS),
        qbq=QueryQueueBuilder(_SETTINGS),
        qbs=QuerySchedulerBuilder(_SETTINGS),
    )


async def upgrade(url: str) -> None:
    """Bring PgQueuer's tables up to what the installed PgQueuer needs; replicas that start together do it one after the other."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await _queries(connection).apply_upgrade()
    finally:
        await connection.close()


_TURNS = QueryQueueBuilder(_SETTINGS)


def announce(connection: psycopg.Connection[Any], deed: str, what: str = "", delay: float = 0.0, once: str | None = None) -> None:
    """A turn for someone, in the transaction of `connection`, after `delay` seconds; with `once`, unless there is one of that name.

    `what` is for people who read the table.
    """
    turns = SyncQueries(SyncPsycopgDriver(connection), qbq=_TURNS)
    turns.enqueue(deed, what.encode(), execute_after=timedelta(seconds=max(0.0, delay)), dedupe_key=once, on_conflict="skip")


class Distributed:
    """The part of this process in PgQueuer: one connection that listens, one job at a time for each of `count` looks."""

    def __init__(self, url: str, ready: Callable[[], bool], sweep: Callable[[str], None], count: int) -> None:
        self._url, self._ready, self._sweep, self._count = url, ready, sweep, count
        self._stop = asyncio.Event()
        self._managers: list[QueueManager] = []

    def wake(self) -> None:
        """Nothing to do: the database tells everyone."""

    def stop(self) -> None:
        """Take no more jobs."""
        self._stop.set()
        for manager in self._managers:
            manager.shutdown.set()

    async def run(self, read: Deed, look: Deed) -> None:
        """Until `stop`; a connection that is lost is made anew."""
        sweeping = asyncio.create_task(self._sweeps())
        failures = 0
        try:
            while not self._stop.is_set():
                try:
                    began = time.monotonic()
                    await self._serve(read, look)
                except Exception as error:  # noqa: BLE001 - said, and tried again: the database may be restarting
                    failures = 0 if time.monotonic() - began > 60 else failures + 1
                    patience = RECONNECT[min(failures, len(RECONNECT) - 1)]
                    logger.warning("no turns from PostgreSQL (%s: %s); connecting again in %.1f s", type(error).__name__, error, patience)
                    await self._rest(patience)
        finally:
            sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping

    async def _serve(self, read: Deed, look: Deed) -> None:
        connection = await asyncpg.connect(
            self._url, timeout=10, command_timeout=30, server_settings={"application_name": "interlock turns"}
        )
        try:
            queries = _queries(connection)
            # Reading waits for no look: it has a manager of its own.
            self._managers = [self._manager(queries, READ, read, 1), self._manager(queries, LOOK, look, self._count)]
            if self._stop.is_set():
                return
            serving = [asyncio.create_task(self._one(manager)) for manager in self._managers]
            try:
                await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
                for manager in self._managers:
                    manager.shutdown.set()
                await asyncio.gather(*serving)
            except asyncio.CancelledError:
                for task in serving:
                    task.cancel()
                await asyncio.gather(*serving, return_exceptions=True)
                raise
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=2)

    async def _one(self, manager: QueueManager) -> None:
        # The cap is at least two jobs; `_manager` keeps to the count where it is one.
        await manager.run(
            dequeue_timeout=timedelta(seconds=SWEEP),
            batch_size=1,
            max_concurrent_tasks=max(2, self._count if LOOK in manager.entrypoint_registry else 2),
            shutdown_on_listener_failure=True,
            heartbeat_timeout=STALE,
            log_aggregation_interval=timedelta(0),
        )

    def _manager(self, queries: Queries, name: str, deed: Deed, count: int) -> QueueManager:
        manager = QueueManager(queries, channel=Channel(_SETTINGS.channel))
        seats = asyncio.Semaphore(count)

        async def turn(_: Job) -> None:
            async with seats:
                # On with the next as long as there is one: who is at work needs nobody to wake them.
                while not self._stop.is_set():
                    if not await deed():
                        return
            raise RetryRequested(timedelta(0), "this worker stops; another one goes on")

        manager.entrypoint(name, accepts_context=False)(turn)
        return manager

    async def _sweeps(self) -> None:
        tidied = time.monotonic()
        while not self._stop.is_set():
            await self._rest(SWEEP)
            try:
                if await asyncio.to_thread(self._ready):
                    await asyncio.to_thread(self._sweep, f"sweep {int(time.time() / SWEEP)}")
                if time.monotonic() - tidied > TIDY:
                    tidied = time.monotonic()
                    await self._tidy()
            except Exception:
                logger.exception("the sweep found no database; trying again")

    async def _tidy(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=10, command_timeout=60)
        try:
            await _queries(connection).clear_queue_log([READ, LOOK])
        finally:
            await connection.close(timeout=2)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
