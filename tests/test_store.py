"""What every database of Interlock promises. SQLite and a real PostgreSQL are held to the same words."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot import codec
from bot.store import Delivery, LostLease, Mark, NoBackup, Record, Store, Work, open_store
from bot.store.sqlite import SCHEMA, SqliteStore
from tests.database import BACKENDS, address

LEASE = 10.0


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty database."""
    with closing(open_store(tmp_path, address(request.param), clock)) as made:
        yield made


def mark(number: int = 1, repository: str = "acme/shop", installation: int = 1, **more: Any) -> Mark:
    return Mark(f"{repository}/pull/{number}", repository, installation, "pull", f'{{"number": {number}}}', **more)


def taken(store: Store, worker: str = "w") -> Work:
    work = store.take(worker, LEASE)
    assert work is not None
    return work


def record(previous: str, name: str = "r", made: float = 1.0) -> Record:
    digest = codec.digest(codec.canonical({"previous": previous, "inputs": codec.digest("{}"), "report": codec.digest("{}")}))
    return Record(name, made, "acme/shop", 1, "main", "a" * 40, "pass", 1, "{}", "{}", previous, digest)


def test_a_delivery_counts_once(store: Store) -> None:
    """The same GUID, stored twice and read twice, asks for one look."""
    assert store.put_deliveries([Delivery("a", "ping", b"1", 1.0), Delivery("b", "ping", b"2", 2.0)]) == 2
    assert store.put_deliveries([Delivery("a", "ping", b"other", 3.0)]) == 0
    assert [(one.guid, one.body) for one in store.new_deliveries()] == [("a", b"1"), ("b", b"2")]
    store.read_delivery("a", [mark()])
    store.read_delivery("a", [mark()])
    assert [one.guid for one in store.new_deliveries()] == ["b"]
    assert taken(store).generation == 1
    assert store.known_deliveries(["a", "b", "c"]) == {"a", "b"}


def test_marked_many_times_it_is_looked_at_once(store: Store) -> None:
    """Marks of one key come together while it waits."""
    for _ in range(5):
        store.mark(mark())
    store.finish(taken(store))
    assert store.take("w", LEASE) is None and store.waiting()["waiting"] == 0


def test_marked_while_it_is_looked_at_it_is_looked_at_again(store: Store) -> None:
    """A newer generation survives the end of the older look, and no second worker looks meanwhile."""
    store.mark(mark())
    first = taken(store)
    store.mark(mark())
    assert store.take("other", LEASE) is None
    store.finish(first)
    assert taken(store).generation == first.generation + 1


def test_work_of_a_dead_worker_is_taken_over_when_its_lease_ends(store: Store, clock: Clock) -> None:
    """Nobody takes it before; somebody does after; and who lost it can neither keep it, nor record, nor end it."""
    store.mark(mark())
    old = taken(store, "old")
    clock.now += LEASE - 0.1
    assert store.take("new", LEASE) is None
    clock.now += 0.1
    new = taken(store, "new")
    assert new.fence > old.fence
    for refused in (lambda: store.keep(old, LEASE), lambda: store.check(old), lambda: store.append_record(record, old)):
        with pytest.raises(LostLease):
            refused()
    store.finish(old)
    store.retry(old, 0, "late")
    store.check(new)
    assert list(store.every_record()) == []


def test_a_slow_worker_stays_out_when_the_work_was_ended_and_marked_anew(store: Store, clock: Clock) -> None:
    """The fence of a key that was finished and marked again is a new one."""
    store.mark(mark())
    old = taken(store, "old")
    clock.now += LEASE
    store.finish(taken(store, "new"))
    store.mark(mark())
    taken(store, "newest")
    with pytest.raises(LostLease):
        store.append_record(record, old)


def test_a_lease_that_is_kept_is_not_taken_over(store: Store, clock: Clock) -> None:
    """A worker that lives renews its lease for as long as it needs."""
    store.mark(mark())
    work = taken(store)
    for _ in range(5):
        clock.now += LEASE * 0.9
        store.keep(work, LEASE)
        assert store.take("other", LEASE) is None
    store.append_record(record, work)


@pytest.mark.parametrize("installation", [1, 2])
def test_a_thousand_of_one_repository_do_not_delay_the_single_one_of_another(store: Store, clock: Clock, installation: int) -> None:
    """The repository (and the installation) whose turn is longest ago goes first."""
    store.put_deliveries([Delivery("many", "push", b"", 1.0)])
    store.read_delivery("many", [mark(number, "acme/big") for number in range(1000)])
    for _ in range(2):
        clock.now += 1
        store.finish(taken(store))
    clock.now += 1
    store.mark(mark(1, "acme/small", installation))
    clock.now += 1
    assert taken(store).repository == "acme/small"


def test_an_installation_with_many_repositories_has_one_turn(store: Store, clock: Clock) -> None:
    """Fifty repositories of one installation do not stand in the way of the single one of another."""
    for number in range(50):
        store.mark(mark(1, f"acme/r{number}", 1))
    store.mark(mark(1, "zeta/only", 2))
    seen = []
    for _ in range(2):
        clock.now += 1
        seen.append(taken(store).installation)
    assert sorted(seen) == [1, 2]


def test_a_repository_has_only_so_many_at_a_time(store: Store) -> None:
    """Two at once, however many workers ask at the same moment."""
    for number in range(20):
        store.mark(mark(number))
    found: list[Work | None] = []
    threads = [threading.Thread(target=lambda: found.append(store.take("w", LEASE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(work is not None for work in found) == 2


def test_what_people_ask_is_done_one_at_a_time(store: Store, clock: Clock) -> None:
    """A comment and a button of one repository wait for each other, as they came; its pull requests and other repositories do not wait."""
    for kind, repository, number in (
        ("comment", "acme/shop", 1),
        ("button", "acme/shop", 2),
        ("pull", "acme/shop", 3),
        ("comment", "acme/web", 4),
    ):
        clock.now += 1
        store.mark(Mark(f"{repository}/{kind}/{number}", repository, 1, kind))
    held = {work.key: work for _ in range(4) if (work := store.take("w", LEASE)) is not None}
    assert sorted(held) == ["acme/shop/comment/1", "acme/shop/pull/3", "acme/web/comment/4"]
    store.finish(held["acme/shop/comment/1"])
    assert taken(store).key == "acme/shop/button/2"


def test_the_past_waits_for_everything_else_and_is_looked_at_once_at_a_time(store: Store, clock: Clock) -> None:
    """A replay that waited longer comes after the newest pull request, and while one slice is made no second is."""
    for name in ("old/one", "old/two"):
        store.mark(Mark(f"{name}/past", name, 7, "past"))
    clock.now += 10
    store.mark(mark())
    assert taken(store).kind == "pull"
    slice_ = taken(store)
    assert slice_.kind == "past" and store.take("w", LEASE) is None
    store.finish(slice_)
    assert taken(store).kind == "past"


def test_no_two_workers_hold_one_key(store: Store) -> None:
    """Twenty keys, eight takers: each key once."""
    for number in range(20):
        store.mark(mark(number, f"acme/r{number}"))
    keys: list[str] = []

    def take() -> None:
        while (work := store.take("w", LEASE)) is not None:
            keys.append(work.key)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(keys) == sorted(f"acme/r{number}/pull/{number}" for number in range(20))


def test_what_failed_waits_and_a_new_mark_does_not(store: Store, clock: Clock) -> None:
    """After an error the work rests for its time; news bring it forward and give it new tries."""
    store.mark(mark())
    store.retry(taken(store), 60, "no answer")
    assert store.take("w", LEASE) is None
    clock.now += 60
    work = taken(store)
    assert work.attempts == 2
    store.retry(work, 60, "no answer")
    store.mark(mark())
    assert taken(store).attempts == 1


def test_a_try_that_is_not_counted_brings_no_end_nearer(store: Store) -> None:
    """Waiting for a rate limit is no failure."""
    store.mark(mark())
    for _ in range(9):
        work = taken(store)
        assert work.attempts == 1
        store.retry(work, 0, "limited", counted=False)


def test_a_dead_letter_is_shown_and_can_be_revived(store: Store) -> None:
    """What was given up stands there with its error, is not taken, and gets another chance when asked for."""
    store.mark(mark())
    store.retry(taken(store), 0, "broken", dead=True)
    assert store.dead_letters() == [("acme/shop/pull/1", "broken")]
    assert store.take("w", LEASE) is None and store.waiting()["dead"] == 1
    assert store.revive("acme/shop/pull/1") and not store.revive("acme/shop/pull/2")
    assert taken(store).attempts == 1


def test_news_during_the_last_try_are_not_buried(store: Store) -> None:
    """A key marked while its last try failed is looked at again."""
    store.mark(mark())
    work = taken(store)
    store.mark(mark())
    store.retry(work, 0, "broken", dead=True)
    assert store.dead_letters() == [] and taken(store).key == work.key


def test_records_of_many_writers_make_one_chain(store: Store) -> None:
    """Each record names the one before it, also when eight write at once."""

    def write(worker: int) -> None:
        for number in range(10):
            store.append_record(partial(record, name=f"{worker}-{number}"))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = list(store.every_record())
    assert len(written) == 80
    assert [one.previous for one in written] == ["", *(one.digest for one in written[:-1])]


def test_records_are_found(store: Store) -> None:
    """By an unambiguous beginning of the id, by pull request, head and branch; newest first."""
    for name in ("aa1", "aa2", "b"):
        store.append_record(lambda previous, name=name: record(previous, name))
    assert (store.record("b") or record("")).id == "b" and store.record("aa") is None and store.record("%") is None
    assert [one.id for one in store.records("acme/shop", pull=1, base_ref="main")] == ["b", "aa2", "aa1"]
    assert store.records("acme/shop", pull=2) == []


def test_forgotten_records_keep_the_chain_whole(store: Store) -> None:
    """After the retention the texts are gone, their digests are not."""
    from bot.records import verify

    store.append_record(lambda previous: record(previous, "old", 1.0))
    store.append_record(lambda previous: record(previous, "new", 9.0))
    assert store.forget_records(5.0) == 1 and store.forget_records(5.0) == 0
    assert verify(store) == []
    assert (store.record("old") or record("")).inputs.startswith("sha256:")


def test_a_renamed_repository_takes_everything_along(store: Store) -> None:
    """Work, records and what was remembered are found under the new name, and nothing under the old."""
    store.mark(mark(7))
    store.append_record(record)
    store.remember("policy/acme/shop/main", True)
    store.remember("policy/acme/shop2/main", False)
    store.remember("past/acme/shop", {"whole": True})
    store.remember("past/acme/shop/0000", [])
    store.rename("acme/shop", "new/store")
    work = taken(store)
    assert (work.key, work.repository) == ("new/store/pull/7", "new/store")
    assert len(store.records("new/store")) == 1 and store.records("acme/shop") == []
    assert store.fact("policy/new/store/main") and store.fact("policy/acme/shop/main") is None
    assert store.facts("policy/acme/") == {"policy/acme/shop2/main": False}
    assert store.facts("past/") == {"past/new/store": {"whole": True}, "past/new/store/0000": []}


def test_work_of_a_removed_installation_is_dropped(store: Store) -> None:
    """What waits is forgotten, and who is at it finds the lease lost."""
    store.mark(mark(1))
    store.mark(mark(1, "other/shop", 2))
    held = taken(store)
    assert store.drop_work(held.installation) == 1
    with pytest.raises(LostLease):
        store.check(held)
    assert store.waiting()["waiting"] == 1


def test_kept_assessments_are_bounded(store: Store, clock: Clock) -> None:
    """The oldest go first."""
    for number in range(5):
        clock.now += 1
        store.keep_assessment(str(number), "x", most=3)
    assert [store.assessment(str(number)) for number in range(5)] == [None, None, "x", "x", "x"]


def test_the_bodies_of_old_deliveries_go_and_their_guids_stay(store: Store) -> None:
    """A repetition is known for ever."""
    store.put_deliveries([Delivery("a", "ping", b"1", 1.0), Delivery("b", "ping", b"2", 1.0)])
    store.read_delivery("a", [])
    assert store.forget_deliveries(2.0) == 1
    assert store.put_deliveries([Delivery("a", "ping", b"1", 3.0)]) == 0
    assert [one.body for one in store.new_deliveries()] == [b"2"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_replicas_that_start_together_make_one_schema(backend: str, tmp_path: Path) -> None:
    """Six at once on an empty database: all open it."""
    url, opened, wrong = address(backend), [], []

    def start() -> None:
        try:
            opened.append(open_store(tmp_path, url))
        except Exception as error:  # noqa: BLE001 - shown below
            wrong.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in opened:
        one.close()
    assert wrong == [] and len(opened) == 6


def test_a_database_of_version_one_opens(tmp_path: Path) -> None:
    """What the first version wrote is there after the upgrade; a database of a later version is refused with the remedy."""
    import sqlite3

    old = sqlite3.connect(tmp_path / "interlock.db")
    old.executescript(SCHEMA[0] + "pragma user_version = 1;")
    old.execute("insert into deliveries (guid, event, received, body) values ('a', 'ping', 1, x'31')")
    old.execute("insert into work (key, repository, installation, kind, marked) values ('acme/shop/pull/1', 'acme/shop', 1, 'pull', 1)")
    old.commit()
    old.close()
    with closing(open_store(tmp_path)) as store:
        assert [one.guid for one in store.new_deliveries()] == ["a"]
        assert taken(store).key == "acme/shop/pull/1"
    newer = sqlite3.connect(tmp_path / "interlock.db")
    newer.execute("pragma user_version = 999")
    newer.close()
    with pytest.raises(RuntimeError, match="upgrade Interlock"):
        open_store(tmp_path)


def test_a_backup_made_while_it_is_written_to_is_whole(tmp_path: Path) -> None:
    """A copy opens, and its chain closes."""
    from bot.records import verify

    store = SqliteStore(tmp_path / "interlock.db")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.append_record(lambda previous: record(previous, str(random.getrandbits(60))))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        (tmp_path / "copy").mkdir()
        store.backup(str(tmp_path / "copy" / "interlock.db"))
    finally:
        stop.set()
        writer.join()
        store.close()
    with closing(open_store(tmp_path / "copy")) as copy:
        assert verify(copy) == []


def test_postgres_names_its_own_backup(tmp_path: Path) -> None:
    """PostgreSQL has its tools; the error says which."""
    with closing(open_store(tmp_path, address("postgres"))) as store, pytest.raises(NoBackup, match="pg_dump"):
        store.backup(str(tmp_path / "x"))


WORKER = """
import sys, time
from pathlib import Path
from bot.store import LostLease, open_store
from tests.test_store import record
store = open_store(Path(sys.argv[1]), sys.argv[2])
print("up", flush=True)
while True:
    for delivery in store.new_deliveries():
        from tests.test_store import mark
        number = int(delivery.guid)
        store.read_delivery(delivery.guid, [mark(number, f"acme/r{number % 5}")])
    work = store.take(sys.argv[3], 0.3)
    if work is None:
        time.sleep(0.005)
        continue
    try:
        name = work.key.replace("/", "-")
        if store.record(name) is None:
            store.append_record(lambda previous: record(previous, name), work)
        store.finish(work)
    except LostLease:
        pass
"""


def kills(backend: str, folder: Path, times: int) -> None:
    """Workers are killed at random moments while deliveries come in; in the end each was recorded exactly once and the chain is whole."""
    from bot.records import verify

    url, chance = address(backend), random.Random(8)
    with closing(open_store(folder, url)) as store:

        def start() -> subprocess.Popen[str]:
            made = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(folder), url, str(chance.random())], stdout=subprocess.PIPE, text=True
            )
            assert made.stdout is not None and made.stdout.readline() == "up\n"
            return made

        stored = 0
        workers = [start(), start()]
        for _ in range(times):
            store.put_deliveries([Delivery(str(number), "ping", b"x", float(number)) for number in range(stored, stored + 3)])
            stored += 3
            threading.Event().wait(chance.uniform(0, 0.03))
            dying = workers.pop(0)
            dying.send_signal(signal.SIGKILL)
            dying.communicate()
            workers.append(start())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            waiting = store.waiting()
            if not (waiting["unread"] or waiting["waiting"] or waiting["taken"]):
                break
            threading.Event().wait(0.02)
        for worker in workers:
            worker.kill()
            worker.communicate()
        assert sorted(one.id for one in store.every_record()) == sorted(f"acme-r{number % 5}-pull-{number}" for number in range(stored))
        assert verify(store) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_workers_that_are_killed_lose_nothing_and_double_nothing(backend: str, tmp_path: Path) -> None:
    """Ten kills at random moments."""
    kills(backend, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_hundred_kills(backend: str, tmp_path: Path) -> None:
    """Two hundred kills at random moments."""
    kills(backend, tmp_path, 200)
