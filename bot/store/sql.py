"""The contract in SQL that SQLite and PostgreSQL both understand. What differs between them is in their own modules.

Work is state, not messages: a delivery marks a key (a pull request) as to be looked at; a worker takes the key under a lease with a fencing
number and looks at GitHub's present state. Marked twice, it is looked at once; marked while it is being looked at, once more.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bot import codec
from bot.store.contract import Delivery, Line, LostLease, Mark, Record, Turns, Work
from bot.store.polling import Polling

LAST = chr(0x10FFFF)
"""Sorts behind every character of a name."""
TOGETHER = 200
"""Rows in one statement: SQLite takes 999 values in its oldest builds (sqlite.org/limits.html)."""

Row = Any
"""A row, read by the names of its columns."""


ROOMS = (
    "answered", "bases", "check", "closed", "commands", "comment", "commits", "deployed", "due", "escapes", "forged", "groups", "head", "heads", "landed",
    "merged", "override", "past", "policy", "proposed", "rules", "seen", "told", "verdict",
)  # fmt: skip
"""What is remembered of a repository under its name, and follows it."""


class Cursor(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row: ...
    def fetchall(self) -> list[Row]: ...


class Session(Protocol):
    """One transaction."""

    def execute(self, query: str, values: Sequence[Any] = ()) -> Cursor: ...


class SqlStore(ABC):
    """Everything but the connection. Statements hold `?` for values."""

    place = ""
    between = "name >= ? and name < ?"
    """Names between two others by their characters' numbers, found through the index."""
    for_update = ""
    """What a `select` ends with so that nobody changes the row before this transaction is over."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    @abstractmethod
    def _transaction(self, only: str = "") -> AbstractContextManager[Session]:
        """A transaction that writes; with `only`, no other one of that name runs at the same time, anywhere."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Session]:
        """A session that reads."""

    def turns(self, count: int) -> Turns:
        return Polling(self.due, count)

    @abstractmethod
    def _announce_deliveries(self, db: Session) -> None:
        """Deliveries were stored in this transaction."""

    @abstractmethod
    def _announce(self, db: Session, key: str, delay: float) -> None:
        """In this transaction, work of a key became ready, or will be after `delay` seconds."""

    def put_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        rows = sorted(deliveries, key=lambda one: one.guid)
        new = 0
        with self._transaction() as db:
            for at in range(0, len(rows), TOGETHER):
                part = rows[at : at + TOGETHER]
                # One statement for many rows: a thread that stores lets the others run, and waits for its turn again, once and not once a row.
                holes = ", ".join(["(?, ?, ?, ?)"] * len(part))
                values = [value for one in part for value in (one.guid, one.event, one.body, one.received)]
                query = f"insert into deliveries (guid, event, body, received) values {holes} on conflict (guid) do nothing"  # noqa: S608 - ours
                new += db.execute(query, values).rowcount
            if new:
                self._announce_deliveries(db)
            return new

    def new_deliveries(self, limit: int = 100) -> list[Delivery]:
        with self._reading() as db:
            rows = db.execute("select * from deliveries where state = 'new' order by received limit ?", (limit,)).fetchall()
        return [Delivery(row["guid"], row["event"], bytes(row["body"]), row["received"]) for row in rows]

    def read_delivery(self, guid: str, marks: Iterable[Mark], note: str = "") -> None:
        with self._transaction() as db:
            changed = db.execute("update deliveries set state = 'read', note = ? where guid = ? and state = 'new'", (note, guid)).rowcount
            if changed:
                for mark in sorted(marks, key=lambda one: one.key):
                    self._mark(db, mark)

    def known_deliveries(self, guids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with self._reading() as db:
            for at in range(0, len(guids), 500):
                part = list(guids[at : at + 500])
                holes = ", ".join("?" * len(part))
                found |= {row["guid"] for row in db.execute(f"select guid from deliveries where guid in ({holes})", part).fetchall()}  # noqa: S608
        return found

    def forget_deliveries(self, before: float) -> int:
        with self._transaction() as db:
            return db.execute(
                "update deliveries set body = ? where state = 'read' and received < ? and length(body) > 0", (b"", before)
            ).rowcount

    def mark(self, mark: Mark) -> None:
        with self._transaction() as db:
            self._mark(db, mark)

    def _mark(self, db: Session, mark: Mark) -> None:
        now = self._clock()
        db.execute(
            """insert into work (key, repository, installation, kind, payload, marked, not_before) values (?, ?, ?, ?, ?, ?, ?)
            on conflict (key) do update set generation = work.generation + 1, installation = excluded.installation,
            repository = excluded.repository, payload = excluded.payload, attempts = 0, dead = 0,
            not_before = case when work.not_before < excluded.not_before then work.not_before else excluded.not_before end""",
            (mark.key, mark.repository, mark.installation, mark.kind, mark.payload, now, now + mark.delay),
        )
        self._announce(db, mark.key, mark.delay)

    def take(self, worker: str, lease: float, per_repository: int = 2) -> Work | None:
        now = self._clock()
        # One at a time: two takers that do not see each other would go over the limit of a repository.
        with self._transaction("take") as db:
            row = self._next(db, now, per_repository)
            if row is None:
                return None
            # Of one count for all keys, so that a key that was finished and marked anew has no fence of before.
            fence = db.execute(
                """insert into turns values ('fence', (select coalesce(max(fence), 0) + 1 from work))
                on conflict (repository) do update set taken = turns.taken + 1 returning taken"""
            ).fetchone()["taken"]
            # Whoever marks at this moment waits for the row, and what is returned is what is in it.
            row = db.execute(
                """update work set fence = ?, leased_until = ?, leased_by = ?, attempts = attempts + 1 where key = ?
                returning key, repository, installation, kind, payload, generation, attempts, fence""",
                (int(fence), now + lease, worker, row["key"]),
            ).fetchone()
            if row is None:
                return None
            for turn in (row["repository"], f"installation:{row['installation']}"):
                db.execute("insert into turns values (?, ?) on conflict (repository) do update set taken = excluded.taken", (turn, now))
        return Work(
            row["key"],
            row["repository"],
            row["installation"],
            row["kind"],
            json.loads(row["payload"]),
            row["generation"],
            row["attempts"],
            row["fence"],
        )

    def _next(self, db: Session, now: float, per_repository: int) -> Row:
        return db.execute(
            """select w.* from work w left join turns t on t.repository = w.repository
            left join turns i on i.repository = 'installation:' || w.installation
            where w.dead = 0 and w.not_before <= ? and w.leased_until <= ?
            and (select count(*) from work o where o.repository = w.repository and o.leased_until > ?) < ?
            and not (w.kind in ('comment', 'button') and exists (select 1 from work o
                where o.repository = w.repository and o.kind in ('comment', 'button') and o.leased_until > ?))
            and not (w.kind = 'past' and exists (select 1 from work o where o.kind = 'past' and o.leased_until > ?))
            order by case when w.kind = 'past' then 1 else 0 end, coalesce(i.taken, 0), coalesce(t.taken, 0), w.marked limit 1""",
            (now, now, now, per_repository, now, now),
        ).fetchone()

    def ready(self, per_repository: int = 2) -> bool:
        with self._reading() as db:
            if db.execute("select 1 from deliveries where state = 'new' limit 1").fetchone() is not None:
                return True
            return self._next(db, self._clock(), per_repository) is not None

    def due(self) -> float | None:
        """Seconds until the next work may be taken (below zero: it is due, and its repository may have its share), None if none waits."""
        now = self._clock()
        with self._reading() as db:
            row = db.execute(
                """select min(case when not_before < leased_until then leased_until else not_before end) as due from work
                where dead = 0"""
            ).fetchone()
        return None if row["due"] is None else row["due"] - now

    def keep(self, work: Work, lease: float) -> None:
        with self._transaction() as db:
            self._owned(db, work)
            db.execute("update work set leased_until = ? where key = ?", (self._clock() + lease, work.key))

    def check(self, work: Work) -> None:
        with self._reading() as db:
            self._owned(db, work, lock=False)

    def _owned(self, db: Session, work: Work, lock: bool = True) -> None:
        row = db.execute("select fence from work where key = ?" + (self.for_update if lock else ""), (work.key,)).fetchone()  # noqa: S608
        if row is None or row["fence"] != work.fence:
            raise LostLease(work.key)

    def finish(self, work: Work) -> None:
        with self._transaction() as db:
            gone = db.execute(
                "delete from work where key = ? and fence = ? and generation = ?", (work.key, work.fence, work.generation)
            ).rowcount
            if not gone:
                again = db.execute(
                    "update work set leased_until = 0, attempts = 0, marked = ? where key = ? and fence = ?",
                    (self._clock(), work.key, work.fence),
                ).rowcount
                if again:
                    self._announce(db, work.key, 0.0)

    def retry(self, work: Work, delay: float, error: str, dead: bool = False, counted: bool = True) -> None:
        with self._transaction() as db:
            # Marked again since it was taken: what failed is old, so the new state gets its own tries.
            rests = db.execute(
                """update work set leased_until = 0, not_before = ?, error = ?, dead = case when generation = ? then ? else 0 end,
                attempts = attempts - ? where key = ? and fence = ?""",
                (
                    self._clock() + delay,
                    error.replace("\0", "")[:1000],
                    work.generation,
                    int(dead),
                    0 if counted else 1,
                    work.key,
                    work.fence,
                ),
            ).rowcount
            if rests and not dead:
                self._announce(db, work.key, delay)

    def drop_work(self, installation: int, repository: str | None = None) -> int:
        with self._transaction() as db:
            if repository is None:
                return db.execute("delete from work where installation = ?", (installation,)).rowcount
            return db.execute("delete from work where installation = ? and repository = ?", (installation, repository)).rowcount

    def rename(self, old: str, new: str) -> None:
        with self._transaction("take") as db:
            for row in db.execute("select * from work where repository = ?", (old,)).fetchall():
                db.execute("delete from work where key = ?", (row["key"],))
                key = new + row["key"].removeprefix(old)
                self._mark(db, Mark(key, new, row["installation"], row["kind"], row["payload"]))
            db.execute("update records set repository = ? where repository = ?", (new, old))
            for room in ROOMS:
                here = f"{room}/{old}"
                below = (here, here + "/", here + "/" + LAST)
                for row in db.execute(f"select name, value from facts where name = ? or ({self.between})", below).fetchall():  # noqa: S608 - ours
                    name = f"{room}/{new}" + row["name"].removeprefix(here)
                    db.execute("delete from facts where name = ?", (row["name"],))
                    db.execute("insert into facts values (?, ?) on conflict (name) do nothing", (name, row["value"]))

    def waiting(self) -> dict[str, float]:
        now = self._clock()
        with self._reading() as db:
            row = db.execute(
                """select coalesce(sum(case when dead = 0 and leased_until <= ? then 1 else 0 end), 0) as waiting,
                coalesce(sum(case when leased_until > ? then 1 else 0 end), 0) as taken, coalesce(sum(dead), 0) as dead,
                min(case when dead = 0 then marked end) as oldest from work""",
                (now, now),
            ).fetchone()
            unread = db.execute("select count(*) as number from deliveries where state = 'new'").fetchone()["number"]
        return {
            "waiting": row["waiting"],
            "taken": row["taken"],
            "dead": row["dead"],
            "unread": unread,
            "oldest": max(0.0, now - row["oldest"]) if row["oldest"] else 0.0,
        }

    def dead_letters(self) -> list[tuple[str, str]]:
        with self._reading() as db:
            return [(row["key"], row["error"]) for row in db.execute("select key, error from work where dead = 1 order by key").fetchall()]

    def revive(self, key: str) -> bool:
        with self._transaction() as db:
            revived = db.execute(
                "update work set dead = 0, attempts = 0, not_before = 0, generation = generation + 1 where key = ? and dead = 1", (key,)
            ).rowcount
            if revived:
                self._announce(db, key, 0.0)
            return revived > 0

    def append_record(self, record: Callable[[str], Record], work: Work | None = None) -> Record:
        # The digest before it is read and the record appended in one go: a chain has no two links on one.
        with self._transaction("records") as db:
            if work is not None:
                self._owned(db, work)
            row = db.execute("select digest from records order by rowid desc limit 1").fetchone()
            made = record(row["digest"] if row else "")
            db.execute(
                """insert into records (id, made, repository, pull, base_ref, head, fence, state, score, inputs, report, previous, digest)
                values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    made.id,
                    made.made,
                    made.repository,
                    made.pull,
                    made.base_ref,
                    made.head,
                    work.fence if work else 0,
                    made.state,
                    made.score,
                    made.inputs,
                    made.report,
                    made.previous,
                    made.digest,
                ),
            )
        return made

    def record(self, review: str) -> Record | None:
        with self._reading() as db:
            rows = db.execute(
                "select * from records where id = ? or substr(id, 1, ?) = ? limit 2", (review, len(review), review)
            ).fetchall()
        exact = [row for row in rows if row["id"] == review]
        return _record((exact or rows)[0]) if len(rows) == 1 or exact else None

    def records(self, repository: str, pull: int | None = None, head: str | None = None, base_ref: str | None = None) -> list[Record]:
        wheres = [("repository = ?", repository), ("pull = ?", pull), ("head = ?", head), ("base_ref = ?", base_ref)]
        chosen = [(text, value) for text, value in wheres if value is not None]
        query = "select * from records where " + " and ".join(text for text, _ in chosen) + " order by rowid desc limit 500"  # noqa: S608 - fixed texts only
        with self._reading() as db:
            return [_record(row) for row in db.execute(query, [value for _, value in chosen]).fetchall()]

    def lines(self, repository: str, limit: int = 2000) -> list[Line]:
        with self._reading() as db:
            rows = db.execute(
                """select id, made, repository, pull, base_ref, head, state, score from records
                where repository = ? order by rowid desc limit ?""",
                (repository, limit),
            ).fetchall()
        return [Line(*(row[name] for name in ("id", "made", "repository", "pull", "base_ref", "head", "state", "score"))) for row in rows]

    def repositories(self, limit: int = 200) -> list[tuple[str, float]]:
        with self._reading() as db:
            rows = db.execute(
                "select repository, max(made) as newest from records group by repository order by newest desc limit ?", (limit,)
            ).fetchall()
        return [(row["repository"], row["newest"]) for row in rows]

    def every_record(self) -> Iterator[Record]:
        last = 0
        while True:
            with self._reading() as db:
                rows = db.execute("select rowid, * from records where rowid > ? order by rowid limit 200", (last,)).fetchall()
            if not rows:
                return
            for row in rows:
                last = row["rowid"]
                yield _record(row)

    def forget_records(self, before: float) -> int:
        number = 0
        while True:
            with self._transaction() as db:
                rows = db.execute(
                    "select id, inputs, report from records where made < ? and inputs like ? limit 100", (before, "{%")
                ).fetchall()
                for row in rows:
                    db.execute(
                        "update records set inputs = ?, report = ? where id = ?",
                        (codec.digest(row["inputs"]), codec.digest(row["report"]), row["id"]),
                    )
            if not rows:
                return number
            number += len(rows)

    def fact(self, name: str) -> Any:
        with self._reading() as db:
            row = db.execute("select value from facts where name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else None

    def facts(self, prefix: str) -> dict[str, Any]:
        with self._reading() as db:
            rows = db.execute(f"select name, value from facts where {self.between}", (prefix, prefix + LAST)).fetchall()  # noqa: S608 - ours
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def remember(self, name: str, value: Any) -> None:
        with self._transaction() as db:
            db.execute("insert into facts values (?, ?) on conflict (name) do update set value = excluded.value", (name, json.dumps(value)))

    def put_session(self, key: str, body: str, expires: float) -> None:
        with self._transaction() as db:
            db.execute("delete from sessions where expires <= ?", (self._clock(),))
            db.execute(
                "insert into sessions values (?, ?, ?) on conflict (id) do update set expires = excluded.expires, body = excluded.body",
                (key, expires, body),
            )

    def session(self, key: str) -> str | None:
        with self._reading() as db:
            row = db.execute("select body from sessions where id = ? and expires > ?", (key, self._clock())).fetchone()
        return row["body"] if row else None

    def end_session(self, key: str) -> None:
        with self._transaction() as db:
            db.execute("delete from sessions where id = ?", (key,))

    def assessment(self, key: str) -> str | None:
        with self._reading() as db:
            row = db.execute("select body from assessments where key = ?", (key,)).fetchone()
        return row["body"] if row else None

    def keep_assessment(self, key: str, body: str, most: int = 5000) -> None:
        with self._transaction() as db:
            db.execute(
                """insert into assessments values (?, ?, ?)
                on conflict (key) do update set made = excluded.made, body = excluded.body""",
                (key, self._clock(), body),
            )
            db.execute(
                """delete from assessments where key in
                (select key from assessments order by made desc limit 1000000000 offset ?)""",
                (most,),
            )


def _record(row: Row) -> Record:
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
