"""`interlock replay`: a recorded review computed again from its stored inputs. `interlock backup`: the database they are stored in, copied."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot import codec, records
from bot.mirror.change import RepositoryError
from bot.mirror.objects import Objects
from bot.store import Store, open_store


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the review came out the same, in words."""

    same: bool
    text: str


def open_kept(directory: Path, database_url: str = "") -> Store:
    """The database of a server that ran before. Raises `RepositoryError` where there is none, `NoDriver`."""
    database = directory / "interlock.db"
    if not database_url and not database.is_file():
        raise RepositoryError(f"there is no database at {database}; name the server's data directory with --data DIR")
    return open_store(directory, database_url)


@contextlib.contextmanager
def opened(data: Path | None) -> Iterator[Store]:
    """The database that the settings name, for as long as the body runs. Raises `RepositoryError`, `NoDriver`."""
    from bot.settings import database_address

    store = open_kept(data or Path(os.environ.get("INTERLOCK_DATA", "var")), database_address())
    try:
        yield store
    finally:
        store.close()


def replay_review(data: Path | None, review: str, database_url: str = "") -> Answer:
    """Replay a review of the server's database: a PostgreSQL one by its address, otherwise the file in `data`. Raises `RepositoryError`, `NoDriver`."""
    directory = data or Path(os.environ.get("INTERLOCK_DATA", "var"))
    store = open_kept(directory, database_url)
    try:
        record = store.record(review)
        if record is None:
            raise RepositoryError(f"there is no single review whose id begins with {review!r}")
        inputs = codec.load(records.Inputs, record.inputs)
        mirror = directory / "mirrors" / f"{inputs.repository_id}.git"
        if mirror.is_dir():
            with Objects(mirror) as objects:
                result = records.replay(record, objects)
        else:
            result = records.replay(record, None)
    finally:
        store.close()
    how = "from the two trees up" if result.whole else "from the kept assessment (the mirror no longer has the commits)"
    words = "the same" if result.same else "NOT the same: " + "; ".join(result.difference)
    return Answer(
        result.same,
        f"review {record.id}, {record.repository} {record.head[:12]}, computed again {how}: {words}\nrecorded {result.recorded}\ncomputed {result.computed}",
    )


def backup(data: Path | None, database_url: str, target: Path) -> str:
    """Copy a server's database to a new file while the server runs. Raises `RepositoryError`, `NoDriver`, `NoBackup`."""
    if target.exists():
        raise RepositoryError(f"{target} is there already; name a new file")
    store = open_kept(data or Path(os.environ.get("INTERLOCK_DATA", "var")), database_url)
    scratch = target.with_name(target.name + ".part")
    try:
        store.backup(str(scratch))
        # A copy that was broken off does not look like one that is whole.
        scratch.replace(target)
    except OSError as error:
        raise RepositoryError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        store.close()
        scratch.unlink(missing_ok=True)
    return f"{store.place} was copied to {target}; to restore it, stop the server and put the copy in its place"
