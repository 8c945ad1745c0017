"""GitHub, the disk, the database and the clock on a bad day: nothing is lost, nothing doubled, and nothing is green on half of the facts.

The table of what is played stands in SECURITY.md. The whole of it takes minutes: `make test ARGS="tests/test_faults.py"`; the quick part is in every run.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.store import Delivery, Mark
from bot.store.sqlite import SqliteStore
from tests.house import ENFORCE, FILES, TOPIC, House, build, demolish

CI, TEST = ".github/workflows/ci.yml", "test"
PROVEN = (
    ENFORCE
    + f"evidence: {{check-required: {{app: github-actions, workflow: {CI}, check: {TEST}}}}}\n"
    + "requirements: {resource.destroyed: [check-required], data.destroyed: [check-required]}\n"
)
DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}
NUMBERS = itertools.count(1)

CALLS = {
    "token": ("POST", "*/access_tokens"),
    "pull": ("GET", "*/pulls/*"),
    "pulls": ("GET", "*/pulls"),
    "check-create": ("POST", "*/check-runs"),
    "check-update": ("PATCH", "*/check-runs/*"),
    "check-runs": ("GET", "*/commits/*/check-runs"),
    "rules": ("GET", "*/rules/branches/*"),
    "ruleset": ("GET", "*/rulesets/*"),
    "runs": ("GET", "*/actions/runs"),
    "run-jobs": ("GET", "*/actions/runs/*/jobs"),
    "policy of the organisation": ("GET", "*/contents/*"),
    "comments": ("GET", "*/issues/*/comments"),
    "comment-create": ("POST", "*/issues/*/comments"),
    "label-add": ("POST", "*/labels"),
}
"""The calls of a review with evidence."""
KINDS = ("timeout", "500", "502", "rate-limit", "secondary-limit", "422", "cut-page", "cut-body", "stale")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose policy takes the job `test`, forced on main, as proof; GitHub's silence is believed after half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.github.client.TIMEOUT", httpx.Timeout(0.5))
        patch.setattr("bot.worker.random.uniform", lambda low, high: low / 10)
        made = build(
            tmp_path_factory.mktemp("faults"),
            {
                **FILES,
                CI: "on: pull_request\njobs:\n  test:\n    runs-on: x\n    steps:\n    - run: make\n",
                ".github/interlock.yml": PROVEN,
            },
        )
        assert made.server.app.tools is not None
        made.server.app.tools.api._write_seconds = 0.0
        made.repo.require_check(TEST, made.github.actions)
        yield made
        demolish(made)


def play(house: House, call: str, kind: str, done: bool = False) -> None:
    """One fault in a review whose proof failed, one in a review whose proof is there; each ends as without the fault, once."""
    for conclusion, verdict in (("failure", "failure"), ("success", "success")):
        branch = f"work-{next(NUMBERS)}"
        sha = house.repo.commit(branch, {**DESTROY, f"notes/{branch}.txt": "x\n"}, "Change", author="robin", start="main")
        house.github.fault(*CALLS[call], kind, done=done)
        house.repo.open_pull(branch, "main", branch, "", "robin")
        house.settle()
        assert house.verdict(sha) == "failure", "no proof is there yet"
        # Not every call is made before there is a run: one fault at a time.
        house.github.forget_faults()
        house.github.fault(*CALLS[call], kind, done=done)
        house.repo.run_workflow(CI, "pull_request", sha, jobs={TEST: conclusion}, conclusion=conclusion)
        house.settle()
        if house.verdict(sha) != verdict:
            # What GitHub refused for good or told wrongly is looked at again when anything happens, or when someone asks.
            assert house.verdict(sha) == "failure"
            house.repo.comment(house.repo.state.pulls[max(house.repo.state.pulls)], "sam", "/interlock recheck")
            house.settle()
        assert house.verdict(sha) == verdict, (call, kind, conclusion)
        runs = [run for run in house.repo.check_runs(sha) if run.name == "interlock: main"]
        # A run whose making was told in half is made again; of one name and App the newest counts.
        assert max(runs, key=lambda run: run.id).status == "completed"
        pull = house.repo.state.pulls[max(house.repo.state.pulls)]
        assert len([one for one in house.repo.comments(pull) if "<!-- interlock -->" in one.body]) <= (2 if done else 1)
        for fault in list(house.github._front.faults):
            house.github._front.faults.remove(fault)
        house.repo.close(pull, "robin")
        house.settle()
    assert house.server.app.store.dead_letters() == []


QUICK = (
    ("pull", "502"),
    ("check-runs", "cut-page"),
    ("runs", "timeout"),
    ("check-create", "secondary-limit"),
    ("rules", "cut-body"),
    ("label-add", "502"),
)


@pytest.mark.parametrize(("call", "kind"), QUICK)
def test_a_fault_in_a_review_changes_no_verdict(house: House, call: str, kind: str) -> None:
    """Whatever call goes wrong: failed proof stays red, real proof becomes green, and the gate is given once."""
    play(house, call, kind)


@pytest.mark.long
@pytest.mark.parametrize(
    ("call", "kind"),
    [(call, kind) for call in CALLS for kind in KINDS if CALLS[call][0] == "GET" or kind not in ("stale", "cut-page")],
)
def test_each_call_with_each_fault(house: House, call: str, kind: str) -> None:
    """All of them."""
    play(house, call, kind)


# The database, the disk and the clock


def delivery(number: int) -> Delivery:
    """A stored request."""
    return Delivery(f"guid-{number}", "pull_request", b"x" * 2000, 0.0)


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """What was acknowledged is there; what does not fit is refused with an error (the server answers 503), and afterwards all goes on."""
    store = SqliteStore(tmp_path / "db", time.time)
    kept = 0
    with sqlite3.connect(tmp_path / "db") as direct:
        pages = direct.execute("PRAGMA page_count").fetchone()[0]
    _limit(store, pages + 20)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        while kept < 1000:
            store.put_deliveries([delivery(kept)])
            kept += 1
    assert 0 < kept < 1000
    assert len(store.known_deliveries([f"guid-{number}" for number in range(1000)])) == kept
    _limit(store, 1 << 30)
    store.put_deliveries([delivery(kept)])
    assert len(store.known_deliveries([f"guid-{number}" for number in range(1000)])) == kept + 1
    store.close()


def _limit(store: Any, pages: int) -> None:
    """The database may have so many pages: a disk that is full, as SQLite sees it."""
    connection = next(value for value in vars(store).values() if isinstance(value, sqlite3.Connection))
    connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    """Another process that holds the database for a while delays a write; the write is there once, afterwards."""
    store = SqliteStore(tmp_path / "db", time.time)
    other = sqlite3.connect(tmp_path / "db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    import threading

    threading.Timer(1.0, lambda: other.execute("COMMIT")).start()
    started = time.monotonic()
    assert store.put_deliveries([delivery(1)]) == 1
    assert time.monotonic() - started > 0.5
    assert store.put_deliveries([delivery(1)]) == 0
    store.close()
    other.close()


@pytest.mark.parametrize("skew", [-600.0, 600.0])
def test_a_clock_that_jumps_ten_minutes_loses_and_doubles_nothing(tmp_path: Path, skew: float) -> None:
    """A lease that the jump ends is taken over with a new fence, and the old holder can write nothing; work that waits is not lost."""
    from bot.store import LostLease

    now = [1_000_000.0]
    store = SqliteStore(tmp_path / "db", lambda: now[0])
    store.mark(Mark("a/b/pull/1", "a/b", 1, "pull", '{"number": 1}'))
    work = store.take("one", 25)
    assert work is not None
    now[0] += skew
    again = store.take("two", 25)
    if again is not None:
        with pytest.raises(LostLease):
            store.check(work)
        store.finish(again)
    else:
        store.check(work)
        store.finish(work)
    store.mark(Mark("a/b/pull/2", "a/b", 1, "pull", '{"number": 2}'))
    now[0] += 1
    found = store.take("three", 25)
    assert found is not None and found.key == "a/b/pull/2"
    store.finish(found)
    assert store.waiting()["waiting"] == 0 and store.waiting()["taken"] == 0
    store.close()
