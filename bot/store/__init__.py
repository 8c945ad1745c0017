"""What must survive: deliveries, work to be looked at, records of verdicts, what was published."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bot.store.contract import Delivery, Line, LostLease, Mark, NoBackup, NoDriver, Record, Store, Work
from bot.store.sqlite import SqliteStore

__all__ = ["Delivery", "Line", "LostLease", "Mark", "NoBackup", "NoDriver", "Record", "Store", "Work", "open_store"]


def open_store(data: Path, database_url: str = "", clock: Callable[[], float] = time.time) -> Store:
    """The database: PostgreSQL where an address is given, otherwise a SQLite file in `data`. Raises `NoDriver`."""
    if not database_url:
        return SqliteStore(data / "interlock.db", clock)
    try:
        from bot.store.postgres import PostgresStore
    except ImportError:
        raise NoDriver("INTERLOCK_DATABASE_URL needs the PostgreSQL driver: pip install 'interlock[postgres]'") from None
    return PostgresStore(database_url, None if clock is time.time else clock)
