"""What a database of Interlock promises, and the words for it. Two keep the promise: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


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


class NoBackup(Exception):
    """No copy was made: a sentence that says why, or names the tools of the database for it."""


class NoDriver(Exception):
    """The package for this database is not installed: a sentence with the remedy."""


Deed = Callable[[], Awaitable[bool]]
"""Something to do when one is woken; whether there was anything to do."""


class Turns(Protocol):
    """Who is woken when there is something to do, and how much is done at a time. It decides nothing: what is looked at, in which order and by
    whom alone, is the state's business (`take`), so a turn too many costs a look at the table and a turn too few is made up for by the sweep."""

    async def run(self, read: Deed, look: Deed) -> None:
        """Call `read` when deliveries were stored and `look` when work may be ready, until `stop`. Neither raises."""

    def wake(self) -> None:
        """Something was stored in this process."""

    def stop(self) -> None:
        """Begin nothing new; `run` returns when what runs has ended."""


class Store(Protocol):
    """The database of one installation of Interlock. Safe to use from several threads, processes and (PostgreSQL) machines."""

    place: str
    """Where it is, without a password: for messages to people."""

    def close(self) -> None:
        """Close the database."""

    def turns(self, count: int) -> Turns:
        """Who wakes the workers of this process, at most `count` looks at a time."""

    def put_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        """Store deliveries durably in one transaction; how many were new. A GUID that is known stays as it is."""

    def new_deliveries(self, limit: int = 100) -> list[Delivery]:
        """Deliveries that nobody has read yet, oldest first."""

    def read_delivery(self, guid: str, marks: Iterable[Mark], note: str = "") -> None:
        """In one transaction: the delivery is read, and what it speaks of is to be looked at."""

    def known_deliveries(self, guids: Sequence[str]) -> set[str]:
        """Which of these GUIDs are stored."""

    def forget_deliveries(self, before: float) -> int:
        """Drop the bodies of deliveries read before a time; their GUIDs stay, so that a repetition is still known."""

    def mark(self, mark: Mark) -> None:
        """Something is to be looked at (again)."""

    def take(self, worker: str, lease: float, per_repository: int = 2) -> Work | None:
        """The next piece of work under a lease of `lease` seconds: the installation, then the repository, whose turn is longest ago goes first.

        What people ask (kinds comment and button) is done one at a time in each repository, in the order it was asked: each answer knows the others.
        A repository's past (kind past) comes after everything else, and one at a time in all.
        """

    def keep(self, work: Work, lease: float) -> None:
        """Hold on to a lease. Raises `LostLease`."""

    def check(self, work: Work) -> None:
        """Raise `LostLease` unless this worker still holds the work."""

    def finish(self, work: Work) -> None:
        """Done; if it was marked again meanwhile, it will be looked at again. Silent when the lease was lost."""

    def retry(self, work: Work, delay: float, error: str, dead: bool = False, counted: bool = True) -> None:
        """Look again after `delay` seconds; `dead` leaves it to a person; a try that is not `counted` brings it no nearer to that."""

    def drop_work(self, installation: int, repository: str | None = None) -> int:
        """Forget the work of an installation (or of one repository of it), also what is being done; how much there was."""

    def rename(self, old: str, new: str) -> None:
        """A repository has another name: its work, its records and what was remembered of it follow."""

    def ready(self, per_repository: int = 2) -> bool:
        """Whether there is something that nobody has begun: a delivery to read, or work that `take` would give."""

    def waiting(self) -> dict[str, float]:
        """How much work waits, is being done and is dead, and the age of the oldest in seconds."""

    def dead_letters(self) -> list[tuple[str, str]]:
        """Keys of work that was given up, with the last error."""

    def revive(self, key: str) -> bool:
        """Give dead work another chance; whether there was any of that key."""

    def append_record(self, record: Callable[[str], Record], work: Work | None = None) -> Record:
        """Add a verdict, made from the digest of the one before it, in one transaction; with `work`, only while its lease holds.

        Raises `LostLease`.
        """

    def record(self, review: str) -> Record | None:
        """A record by its id (or an unambiguous beginning of it)."""

    def records(self, repository: str, pull: int | None = None, head: str | None = None, base_ref: str | None = None) -> list[Record]:
        """Records of a repository, newest first, narrowed by pull request, head or base branch."""

    def lines(self, repository: str, limit: int = 2000) -> list[Line]:
        """The newest records of a repository without their texts, newest first."""

    def repositories(self, limit: int = 200) -> list[tuple[str, float]]:
        """Repositories that have records, and when the newest was made, the newest first."""

    def every_record(self) -> Iterator[Record]:
        """All records in the order they were made."""

    def forget_records(self, before: float) -> int:
        """Empty the inputs and the report of records made before a time; their digests stay, so that the chain still closes."""

    def fact(self, name: str) -> Any:
        """A small remembered value, None if there is none."""

    def facts(self, prefix: str) -> dict[str, Any]:
        """All remembered values whose name begins so."""

    def remember(self, name: str, value: Any) -> None:
        """Remember a small value."""

    def put_session(self, key: str, body: str, expires: float) -> None:
        """Keep a session of someone who looks at the pages (the key is a digest of what the cookie holds); those that have ended go."""

    def session(self, key: str) -> str | None:
        """A session that has not ended."""

    def end_session(self, key: str) -> None:
        """End a session."""

    def assessment(self, key: str) -> str | None:
        """A kept assessment."""

    def keep_assessment(self, key: str, body: str, most: int = 5000) -> None:
        """Keep an assessment; the oldest ones go when there are more than `most`."""

    def backup(self, target: str) -> None:
        """Write a whole copy to a file while the server runs. Raises `NoBackup`, also where the database has its own way."""
