"""SQLite: nothing to install, one machine. Every write is on disk before anyone is told."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bot.store.contract import NoBackup
from bot.store.sql import Cursor, Session, SqlStore

SCHEMA: tuple[str, ...] = (
    """
    create table deliveries (
        guid text primary key, event text not null, received real not null, body blob not null, state text not null default 'new', note text not null default ''
    ) without rowid;
    create index deliveries_new on deliveries (received) where state = 'new';
    create table work (
        key text primary key, repository text not null, installation integer not null, kind text not null, payload text not null default '{}',
        marked real not null, generation integer not null default 1, not_before real not null default 0, attempts integer not null default 0,
        fence integer not null default 0, leased_until real not null default 0, leased_by text not null default '', error text not null default '',
        dead integer not null default 0
    ) without rowid;
    create index work_ready on work (dead, not_before, marked);
    create table turns (repository text primary key, taken real not null) without rowid;
    create table records (
        id text primary key, made real not null, repository text not null, pull integer, base_ref text not null, head text not null, fence integer not null,
        state text not null, score integer not null, inputs text not null, report text not null, previous text not null, digest text not null
    );
    create index records_of_pull on records (repository, pull, made);
    create index records_of_head on records (repository, head, base_ref);
    create table assessments (key text primary key, made real not null, body text not null) without rowid;
    create table facts (name text primary key, value text not null) without rowid;
    """,
    """
    create table sessions (id text primary key, expires real not null, body text not null) without rowid;
    create index sessions_end on sessions (expires)
    """,
    """
    create index work_of_repository on work (repository, leased_until);
    create index work_of_installation on work (installation);
    create index records_made on records (made);
    create index assessments_made on assessments (made);
    """,
)
"""One script a version; a database is brought up step by step and never down."""


class _Session:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, query: str, values: Sequence[Any] = ()) -> Cursor:
        return self._db.execute(query, values)


class SqliteStore(SqlStore):
    """A file. Safe to use from several threads and processes of one machine."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.place = str(path)
        self._lock = threading.RLock()
        self._readers: deque[sqlite3.Connection] = deque()
        self._closed = threading.Event()
        self._db = self._connected()
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        try:
            self._upgrade()
        except BaseException:
            self._db.close()
            raise

    def _connected(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.place, timeout=60, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("pragma busy_timeout = 60000")
        return db

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._closed.set()
            while self._readers:
                self._readers.pop().close()
            self._db.close()

    def backup(self, target: str) -> None:
        """A whole copy, consistent, while the server runs (sqlite.org/backup.html)."""
        try:
            with closing(sqlite3.connect(self.place, timeout=60)) as source, closing(sqlite3.connect(target)) as copy:
                # One write between two steps begins the copy anew, so it is made in one: readers and writers of a WAL do not wait for it.
                source.backup(copy)
        except sqlite3.Error as error:
            raise NoBackup(f"{target} could not be written: {error}") from None

    def _upgrade(self) -> None:
        with self._transaction():
            version = int(self._db.execute("pragma user_version").fetchone()[0])
            if version > len(SCHEMA):
                raise RuntimeError(
                    f"the database was made by a newer Interlock (schema {version}, this one knows {len(SCHEMA)}): upgrade Interlock"
                )
            for number, script in enumerate(SCHEMA[version:], start=version + 1):
                for statement in script.split(";"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"pragma user_version = {number}")

    def _announce_deliveries(self, db: Session) -> None:
        """Nobody to tell: the workers of this process are woken by the inbox, others look every few seconds."""

    def _announce(self, db: Session, key: str, delay: float) -> None:
        """Nobody to tell, as above."""

    @contextmanager
    def _transaction(self, only: str = "") -> Iterator[Session]:
        # `immediate` lets one writer in at a time, in all processes: `only` is always kept.
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield _Session(self._db)
            except BaseException:
                # A full disk ends the transaction by itself.
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise
            self._db.execute("commit")

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        # A connection for each reader: nobody who reads waits for a write to be on disk, and no write waits for a page (sqlite.org/wal.html).
        if self._closed.is_set():
            raise sqlite3.ProgrammingError("the database is closed")
        try:
            db = self._readers.pop()
        except IndexError:
            db = self._connected()
            db.execute("pragma query_only = on")
        try:
            yield _Session(db)
        finally:
            if self._closed.is_set():
                db.close()
            else:
                self._readers.append(db)
