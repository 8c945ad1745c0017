"""What must survive: deliveries, work to be looked at, records of verdicts, what was published. SQLite, nothing to install.

Work is state, not messages: a delivery marks a key (a pull request) as to be looked at; a worker takes the key under a lease with a fencing
number and looks at GitHub's present state. Marked twice, it is looked at once; marked while it is being looked at, once more.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
)
"""One script a version; a database is brought up step by step and never down."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook request, as it came."""

    guid: str
    event: str
    body: bytes
    received: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something is to be looked at."""

    key: str
    repository: str
    """owner/name."""
    installation: int
    kind: str
    payload: str = "{}"
    """JSON: only numbers and names that say what to look at, never state."""
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """A key taken under a lease. `fence` grows each time it is taken: a write with an older one is refused."""

    key: str
    repository: str
    installation: int
    kind: str
    payload: dict[str, Any]
    generation: int
    attempts: int
    fence: int


@dataclass(frozen=True, slots=True)
class Record:
    """One verdict that was given, never changed."""

    id: str
    made: float
    repository: str
    pull: int | None
    base_ref: str
    head: str
    state: str
    score: int
    inputs: str
    report: str
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Line:
    """A record without its texts: for lists and plots."""

    id: str
    made: float
    repository: str
    pull: int | None
    base_ref: str
    head: str
    state: str
    score: int


class LostLease(Exception):
    """Another worker holds this work now: what this one found must not be shown."""


class Store:
    """The database of one installation of Interlock. Safe to use from several threads and processes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma busy_timeout = 60000")
        self._upgrade()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def _upgrade(self) -> None:
        with self._transaction() as db:
            version = int(db.execute("pragma user_version").fetchone()[0])
            if version > len(SCHEMA):
                raise RuntimeError(
                    f"the database was made by a newer Interlock (schema {version}, this one knows {len(SCHEMA)}): upgrade Interlock"
                )
            for number, script in enumerate(SCHEMA[version:], start=version + 1):
                for statement in script.split(";"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"pragma user_version = {number}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    # Deliveries

    def put_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        """Store deliveries durably in one transaction; how many were new. A GUID that is known stays as it is."""
        with self._transaction() as db:
            before = db.total_changes
            db.executemany(
                "insert or ignore into deliveries (guid, event, body, received) values (?, ?, ?, ?)",
                [(delivery.guid, delivery.event, delivery.body, delivery.received) for delivery in deliveries],
            )
            return db.total_changes - before

    def new_deliveries(self, limit: int = 100) -> list[Delivery]:
        """Deliveries that nobody has read yet, oldest first."""
        with self._lock:
            rows = self._db.execute("select * from deliveries where state = 'new' order by received limit ?", (limit,)).fetchall()
        return [Delivery(row["guid"], row["event"], row["body"], row["received"]) for row in rows]

    def read_delivery(self, guid: str, marks: Iterable[Mark], note: str = "") -> None:
        """In one transaction: the delivery is read, and what it speaks of is to be looked at."""
        with self._transaction() as db:
            changed = db.execute("update deliveries set state = 'read', note = ? where guid = ? and state = 'new'", (note, guid)).rowcount
            if changed:
                for mark in marks:
                    self._mark(db, mark)

    def forget_deliveries(self, before: float) -> int:
        """Drop the bodies of deliveries read before a time; their GUIDs stay, so that a repetition is still known."""
        with self._transaction() as db:
            return db.execute("update deliveries set body = x'' where state = 'read' and received < ? and body <> x''", (before,)).rowcount

    # Work

    def mark(self, mark: Mark) -> None:
        """Something is to be looked at (again)."""
        with self._transaction() as db:
            self._mark(db, mark)

    def _mark(self, db: sqlite3.Connection, mark: Mark) -> None:
        now = self._clock()
        db.execute(
            """insert into work (key, repository, installation, kind, payload, marked, not_before) values (?, ?, ?, ?, ?, ?, ?)
            on conflict (key) do update set generation = generation + 1, installation = excluded.installation, repository = excluded.repository,
            payload = excluded.payload, attempts = 0, dead = 0, not_before = min(not_before, excluded.not_before)""",
            (mark.key, mark.repository, mark.installation, mark.kind, mark.payload, now, now + mark.delay),
        )

    def take(self, worker: str, lease: float, per_repository: int = 2) -> Work | None:
        """The next piece of work under a lease of `lease` seconds: the repository whose last turn is longest ago goes first."""
        now = self._clock()
        with self._transaction() as db:
            row = db.execute(
                """select w.* from work w left join turns t on t.repository = w.repository
                where w.dead = 0 and w.not_before <= ? and w.leased_until <= ?
                and (select count(*) from work o where o.repository = w.repository and o.leased_until > ?) < ?
                order by coalesce(t.taken, 0), w.marked limit 1""",
                (now, now, now, per_repository),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "update work set fence = fence + 1, leased_until = ?, leased_by = ?, attempts = attempts + 1 where key = ?",
                (now + lease, worker, row["key"]),
            )
            db.execute(
                "insert into turns values (?, ?) on conflict (repository) do update set taken = excluded.taken", (row["repository"], now)
            )
            return Work(
                row["key"],
                row["repository"],
                row["installation"],
                row["kind"],
                json.loads(row["payload"]),
                row["generation"],
                row["attempts"] + 1,
                row["fence"] + 1,
            )

    def keep(self, work: Work, lease: float) -> None:
        """Hold on to a lease. Raises `LostLease`."""
        with self._transaction() as db:
            self._owned(db, work)
            db.execute("update work set leased_until = ? where key = ?", (self._clock() + lease, work.key))

    def check(self, work: Work) -> None:
        """Raise `LostLease` unless this worker still holds the work."""
        with self._lock:
            self._owned(self._db, work)

    def _owned(self, db: sqlite3.Connection, work: Work) -> None:
        row = db.execute("select fence from work where key = ?", (work.key,)).fetchone()
        if row is None or row["fence"] != work.fence:
            raise LostLease(work.key)

    def finish(self, work: Work) -> None:
        """Done; if it was marked again meanwhile, it will be looked at again. Silent when the lease was lost."""
        with self._transaction() as db:
            gone = db.execute(
                "delete from work where key = ? and fence = ? and generation = ?", (work.key, work.fence, work.generation)
            ).rowcount
            if not gone:
                db.execute("update work set leased_until = 0, attempts = 0 where key = ? and fence = ?", (work.key, work.fence))

    def retry(self, work: Work, delay: float, error: str, dead: bool = False) -> None:
        """Look again after `delay` seconds; `dead` leaves it to a person."""
        with self._transaction() as db:
            db.execute(
                "update work set leased_until = 0, not_before = ?, error = ?, dead = ? where key = ? and fence = ?",
                (self._clock() + delay, error[:1000], int(dead), work.key, work.fence),
            )

    def waiting(self) -> dict[str, float]:
        """How much work waits, is being done and is dead, and the age of the oldest in seconds."""
        now = self._clock()
        with self._lock:
            row = self._db.execute(
                """select coalesce(sum(dead = 0 and leased_until <= ?), 0) as waiting, coalesce(sum(leased_until > ?), 0) as taken,
                coalesce(sum(dead), 0) as dead, min(case when dead = 0 then marked end) as oldest from work""",
                (now, now),
            ).fetchone()
            unread = self._db.execute("select count(*) from deliveries where state = 'new'").fetchone()[0]
        return {
            "waiting": row["waiting"],
            "taken": row["taken"],
            "dead": row["dead"],
            "unread": unread,
            "oldest": now - row["oldest"] if row["oldest"] else 0.0,
        }

    def dead_letters(self) -> list[tuple[str, str]]:
        """Keys of work that was given up, with the last error."""
        with self._lock:
            return [(row["key"], row["error"]) for row in self._db.execute("select key, error from work where dead = 1 order by key")]

    def revive(self, key: str) -> bool:
        """Give dead work another chance; whether there was any of that key."""
        with self._transaction() as db:
            return (
                db.execute(
                    "update work set dead = 0, attempts = 0, not_before = 0, generation = generation + 1 where key = ? and dead = 1", (key,)
                ).rowcount
                > 0
            )

    # Records

    def append_record(self, record: Record, work: Work | None = None) -> None:
        """Add a verdict. With `work`, only while its lease holds: raises `LostLease`."""
        with self._transaction() as db:
            if work is not None:
                self._owned(db, work)
            db.execute(
                "insert into records values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.id,
                    record.made,
                    record.repository,
                    record.pull,
                    record.base_ref,
                    record.head,
                    work.fence if work else 0,
                    record.state,
                    record.score,
                    record.inputs,
                    record.report,
                    record.previous,
                    record.digest,
                ),
            )

    def last_digest(self) -> str:
        """The digest of the newest record: the next one names it."""
        with self._lock:
            row = self._db.execute("select digest from records order by rowid desc limit 1").fetchone()
        return row["digest"] if row else ""

    def record(self, review: str) -> Record | None:
        """A record by its id (or an unambiguous beginning of it)."""
        with self._lock:
            rows = self._db.execute(
                "select * from records where id = ? or id like ? limit 2", (review, review.replace("%", "") + "%")
            ).fetchall()
        return _record(rows[0]) if len(rows) == 1 or (rows and rows[0]["id"] == review) else None

    def records(self, repository: str, pull: int | None = None, head: str | None = None, base_ref: str | None = None) -> list[Record]:
        """Records of a repository, newest first, narrowed by pull request, head or base branch."""
        wheres = [("repository = ?", repository), ("pull = ?", pull), ("head = ?", head), ("base_ref = ?", base_ref)]
        chosen = [(text, value) for text, value in wheres if value is not None]
        query = "select * from records where " + " and ".join(text for text, _ in chosen) + " order by rowid desc limit 500"  # noqa: S608 - fixed texts only
        with self._lock:
            return [_record(row) for row in self._db.execute(query, [value for _, value in chosen])]

    def lines(self, repository: str, limit: int = 2000) -> list[Line]:
        """The newest records of a repository without their texts, newest first."""
        with self._lock:
            rows = self._db.execute(
                """select id, made, repository, pull, base_ref, head, state, score from records
                where repository = ? order by rowid desc limit ?""",
                (repository, limit),
            ).fetchall()
        return [Line(*(row[name] for name in ("id", "made", "repository", "pull", "base_ref", "head", "state", "score"))) for row in rows]

    def repositories(self, limit: int = 200) -> list[tuple[str, float]]:
        """Repositories that have records, and when the newest was made, the newest first."""
        with self._lock:
            rows = self._db.execute(
                "select repository, max(made) as newest from records group by repository order by newest desc limit ?", (limit,)
            ).fetchall()
        return [(row["repository"], row["newest"]) for row in rows]

    def every_record(self) -> Iterator[Record]:
        """All records in the order they were made."""
        last = 0
        while True:
            with self._lock:
                rows = self._db.execute("select rowid, * from records where rowid > ? order by rowid limit 200", (last,)).fetchall()
            if not rows:
                return
            for row in rows:
                last = row["rowid"]
                yield _record(row)

    # Small facts: what was published, cached assessments

    def fact(self, name: str) -> Any:
        """A small remembered value, None if there is none."""
        with self._lock:
            row = self._db.execute("select value from facts where name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else None

    def remember(self, name: str, value: Any) -> None:
        """Remember a small value."""
        with self._transaction() as db:
            db.execute("insert into facts values (?, ?) on conflict (name) do update set value = excluded.value", (name, json.dumps(value)))

    # Sessions of people who look at the pages: the key is a digest of what the cookie holds

    def put_session(self, key: str, body: str, expires: float) -> None:
        """Keep a session; those that have ended go."""
        with self._transaction() as db:
            db.execute("delete from sessions where expires <= ?", (self._clock(),))
            db.execute("insert or replace into sessions values (?, ?, ?)", (key, expires, body))

    def session(self, key: str) -> str | None:
        """A session that has not ended."""
        with self._lock:
            row = self._db.execute("select body from sessions where id = ? and expires > ?", (key, self._clock())).fetchone()
        return row["body"] if row else None

    def end_session(self, key: str) -> None:
        """End a session."""
        with self._transaction() as db:
            db.execute("delete from sessions where id = ?", (key,))

    def assessment(self, key: str) -> str | None:
        """A kept assessment."""
        with self._lock:
            row = self._db.execute("select body from assessments where key = ?", (key,)).fetchone()
        return row["body"] if row else None

    def keep_assessment(self, key: str, body: str, most: int = 5000) -> None:
        """Keep an assessment; the oldest ones go when there are more than `most`."""
        with self._transaction() as db:
            db.execute("insert or replace into assessments values (?, ?, ?)", (key, self._clock(), body))
            db.execute("delete from assessments where key in (select key from assessments order by made desc limit -1 offset ?)", (most,))


def _record(row: sqlite3.Row) -> Record:
    return Record(
        row["id"],
        row["made"],
        row["repository"],
        row["pull"],
        row["base_ref"],
        row["head"],
        row["state"],
        row["score"],
        row["inputs"],
        row["report"],
        row["previous"],
        row["digest"],
    )
