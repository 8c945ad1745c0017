"""PostgreSQL: any number of web and worker replicas on any number of machines. Chosen by INTERLOCK_DATABASE_URL."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from bot.store import distribution
from bot.store.contract import NoBackup, Turns
from bot.store.sql import Cursor, Session, SqlStore

SCHEMA: tuple[str, ...] = (
    """
    create table deliveries (
        guid text primary key, event text not null, received double precision not null, body bytea not null, state text not null default 'new',
        note text not null default ''
    );
    create index deliveries_new on deliveries (received) where state = 'new';
    create table work (
        key text primary key, repository text not null, installation bigint not null, kind text not null, payload text not null default '{}',
        marked double precision not null, generation bigint not null default 1, not_before double precision not null default 0,
        attempts integer not null default 0, fence bigint not null default 0, leased_until double precision not null default 0,
        leased_by text not null default '', error text not null default '', dead integer not null default 0
    ) with (fillfactor = 70);
    create index work_ready on work (dead, not_before, marked);
    create index work_of_repository on work (repository, leased_until);
    create index work_of_installation on work (installation);
    create table turns (repository text primary key, taken double precision not null);
    create table records (
        rowid bigint generated always as identity unique, id text primary key, made double precision not null, repository text not null, pull bigint,
        base_ref text not null, head text not null, fence bigint not null, state text not null, score integer not null, inputs text not null,
        report text not null, previous text not null, digest text not null
    );
    create index records_of_pull on records (repository, pull, made);
    create index records_of_head on records (repository, head, base_ref);
    create index records_made on records (made);
    create table assessments (key text primary key, made double precision not null, body text not null);
    create index assessments_made on assessments (made);
    create table facts (name text primary key, value text not null);
    create table sessions (id text primary key, expires double precision not null, body text not null);
    create index sessions_end on sessions (expires);
    """,
    """
    create index facts_by_character on facts (name text_pattern_ops)
    """,
)
"""One script a version; a later one only adds, so that replicas of the version before go on while it is brought up."""

LOCKS = {"schema": 7_305_001, "take": 7_305_002, "records": 7_305_003}
"""Advisory locks, held until the transaction ends (postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS)."""


class _Session:
    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.connection = self._db = db

    def execute(self, query: str, values: Sequence[Any] = ()) -> Cursor:
        return self._db.execute(query.replace("?", "%s").encode(), values)


def _aside(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in a thread of its own: whoever opens a database may have a loop already."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure.append(error)

    thread = threading.Thread(target=run, name="upgrade")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


class PostgresStore(SqlStore):
    """A PostgreSQL database, through a small pool of connections that are made anew when they break."""

    between = "name ~>=~ ? and name ~<~ ?"
    for_update = " for update"

    def __init__(self, url: str, clock: Callable[[], float] | None = None) -> None:
        super().__init__(clock or time.time)
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=8,
            timeout=30,
            open=False,
            check=ConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "connect_timeout": 10,
                # A database that is silently gone is noticed, not waited for (postgresql.org/docs/current/libpq-connect.html).
                "tcp_user_timeout": 15_000,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 2,
                "application_name": "interlock",
                "options": "-c statement_timeout=60000",
            },
        )
        self._pool.open(wait=True, timeout=30)
        self._url = url
        info = psycopg.conninfo.conninfo_to_dict(url)
        self.place = f"PostgreSQL {info.get('dbname', '')} at {info.get('host', 'this machine')}"
        try:
            self._upgrade()
            if clock is None:
                self._follow_clock()
        except BaseException:
            self._pool.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def backup(self, target: str) -> None:
        raise NoBackup("PostgreSQL has its own: pg_dump --format=custom --file=FILE, and pg_restore")

    def _follow_clock(self) -> None:
        """Leases of several machines are measured by one clock: the database's."""
        with self._reading() as db:
            ahead = float(db.execute("select extract(epoch from clock_timestamp()) as now").fetchone()["now"]) - time.time()
        self._clock = lambda: time.time() + ahead

    def _upgrade(self) -> None:
        # Replicas that start together bring the database up one after the other, and all but the first find nothing to do.
        with self._transaction("schema") as db:
            db.execute("create table if not exists interlock_schema (version integer not null)")
            row = db.execute("select version from interlock_schema").fetchone()
            version = row["version"] if row else 0
            if version > len(SCHEMA):
                raise RuntimeError(
                    f"the database was made by a newer Interlock (schema {version}, this one knows {len(SCHEMA)}): upgrade Interlock"
                )
            for script in SCHEMA[version:]:
                for statement in script.split(";"):
                    if statement.strip():
                        db.execute(statement)
            if version < len(SCHEMA):
                db.execute("delete from interlock_schema")
                db.execute("insert into interlock_schema values (?)", (len(SCHEMA),))
        _aside(distribution.upgrade(self._url))

    @contextmanager
    def _transaction(self, only: str = "") -> Iterator[Session]:
        with self._pool.connection() as connection, connection.transaction():
            if only:
                connection.execute("select pg_advisory_xact_lock(%s)", (LOCKS[only],))
            yield _Session(connection)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._pool.connection() as connection:
            yield _Session(connection)

    def turns(self, count: int) -> Turns:
        return distribution.Distributed(self._url, self.ready, self._sweep, count)

    def _announce_deliveries(self, db: Session) -> None:
        assert isinstance(db, _Session)
        distribution.announce(db.connection, distribution.READ)

    def _announce(self, db: Session, key: str, delay: float) -> None:
        assert isinstance(db, _Session)
        distribution.announce(db.connection, distribution.LOOK, key, delay)

    def _sweep(self, name: str) -> None:
        """Turns for what is ready and nobody was woken for; the same name is one sweep, however many replicas ask."""
        with self._pool.connection() as connection:
            for deed in (distribution.READ, distribution.LOOK):
                distribution.announce(connection, deed, name, once=f"{deed} {name}")
