"""Replicas as processes of their own on one PostgreSQL, against the stand-in: killed, paused, cut from the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.demo.running import Running
from bot.demo.standin import Repo, StandIn
from bot.demo.standin.state import App
from tests.database import address
from tests.house import FILES, GATE, TOPIC, settings_for

WITHIN = 30.0
"""Seconds after which another worker has a dead worker's work."""
DESTROY = {"infra/prod/main.tf": TOPIC}


@dataclass
class Fleet:
    """One web process (in this one) and workers in processes of their own."""

    github: StandIn
    app: App
    web: Running
    repo: Repo
    url: str
    folder: Path
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, url: str = "", **more: str) -> subprocess.Popen[str]:
        """One more worker process; returns once it works."""
        environment = {
            **os.environ,
            "INTERLOCK_APP_ID": str(self.app.id),
            "INTERLOCK_PRIVATE_KEY": self.app.private_key,
            "INTERLOCK_WEBHOOK_SECRET": self.app.webhook_secret,
            "INTERLOCK_GITHUB_URL": self.github.url,
            "INTERLOCK_API_URL": self.github.url,
            "INTERLOCK_DATA": str(self.folder / f"worker-{len(self.workers)}"),
            "INTERLOCK_DATABASE_URL": url or self.url,
            "INTERLOCK_WRITE_SECONDS": "0",
            **more,
        }
        with (self.folder / f"worker-{len(self.workers)}.log").open("w") as log:
            made = subprocess.Popen([sys.executable, "-m", "bot.cli", "work"], env=environment, stderr=log, stdout=log, text=True)
        self.workers.append(made)
        return made

    def propose(self, number: int) -> str:
        """A pull request of its own; its head."""
        head = self.repo.commit(f"work-{number}", {**DESTROY, "n.txt": str(number)}, f"Change {number}", author="robin", start="main")
        self.repo.open_pull(f"work-{number}", "main", f"Change {number}", "", "robin")
        return head

    def until(self, what: Callable[[], object], patience: float = 90.0) -> float:
        """How long it took until something was so."""
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < patience, "\n".join(path.read_text()[-1500:] for path in self.folder.glob("*.log"))
            time.sleep(0.01)
        return time.monotonic() - began

    def holds(self, worker: subprocess.Popen[str]) -> list[str]:
        """What a worker has taken."""
        with self.web.app.store._reading() as db:  # type: ignore[attr-defined]
            rows = db.execute("select key from work where leased_until > ? and leased_by like ?", (time.time(), f"%/{worker.pid}/%"))
            return [row["key"] for row in rows.fetchall()]

    def rests(self) -> bool:
        """Whether all that came was read and looked at."""
        waiting = self.web.app.store.waiting()
        return not (waiting["unread"] or waiting["waiting"] or waiting["taken"])

    def judged_once(self, heads: list[str]) -> None:
        """Every head has one gate, and it is red; every pull request has one comment; no work was given up."""
        for head in heads:
            gates = [run for run in self.repo.check_runs(head) if run.name == GATE and run.app.id == self.app.id]
            assert [run.conclusion for run in gates if run.status == "completed"] == ["failure"], head
        for pull in self.repo.state.pulls.values():
            assert len([one for one in self.repo.comments(pull) if one.app is not None]) == 1
        assert self.web.app.store.dead_letters() == []


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """The stand-in, the web process, an enforced repository; no worker yet."""
    url = address("postgres")
    with StandIn.start() as github:
        app = github.app("interlock")
        web = Running(settings_for(github, app, tmp_path / "web", database_url=url), looks=False)
        app.webhook_url = f"{web.url}/webhook"
        repo = github.repository("acme", "shop", roles={"robin": "write"})
        github.install(app, "acme")
        repo.commit("main", FILES, "Start", author="robin")
        made = Fleet(github, app, web, repo, url, tmp_path)
        yield made
        for worker in made.workers:
            worker.kill()
            worker.wait()
        web.stop()


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 3])
def test_a_killed_replicas_work_is_taken_over(fleet: Fleet, replicas: int) -> None:
    """One is killed in the middle of a look; the others look again, within the bound, and nothing is lost or doubled."""
    workers = [fleet.start() for _ in range(replicas)]
    heads = [fleet.propose(number) for number in range(4)]
    fleet.until(lambda: fleet.holds(workers[0]))
    held = fleet.holds(workers[0])
    workers[0].kill()
    killed = time.monotonic()
    fleet.until(lambda: not [key for key in held if key in fleet_keys(fleet)])
    fleet.until(fleet.rests)
    taken_over = time.monotonic() - killed
    print(f"taken over and judged {taken_over:.1f} s after the kill ({replicas} replicas)")
    assert taken_over < WITHIN
    fleet.judged_once(heads)


def fleet_keys(fleet: Fleet) -> list[str]:
    """The keys of the work that there is."""
    with fleet.web.app.store._reading() as db:  # type: ignore[attr-defined]
        return [row["key"] for row in db.execute("select key from work").fetchall()]


@pytest.mark.slow
def test_a_paused_replica_does_not_publish_over_a_newer_verdict(fleet: Fleet) -> None:
    """One stands still for 30 s in the middle of a look; another judges meanwhile; when it goes on, its lease is lost and nothing changes."""
    slow = fleet.start()
    fleet.until(lambda: "workers on" in (fleet.folder / "worker-0.log").read_text())
    head = fleet.propose(1)
    fleet.until(lambda: "acme/shop/pull/1" in fleet.holds(slow))
    slow.send_signal(signal.SIGSTOP)
    paused = time.monotonic()
    fleet.start()
    fleet.until(fleet.rests)
    print(f"taken over and judged {time.monotonic() - paused:.1f} s after the pause")
    assert time.monotonic() - paused < WITHIN
    verdict = [(run.id, run.conclusion, run.summary) for run in fleet.repo.check_runs(head)]
    records = [one.id for one in fleet.web.app.store.records("acme/shop")]
    fleet.until(lambda: time.monotonic() - paused > 30)
    slow.send_signal(signal.SIGCONT)
    fleet.until(lambda: "taken over by another worker" in (fleet.folder / "worker-0.log").read_text())
    assert [(run.id, run.conclusion, run.summary) for run in fleet.repo.check_runs(head)] == verdict
    assert [one.id for one in fleet.web.app.store.records("acme/shop")] == records
    fleet.judged_once([head])


@pytest.mark.slow
def test_a_replica_that_is_cut_from_the_database_is_done_without_and_comes_back(fleet: Fleet) -> None:
    """One loses its connections and gets none for ten seconds: the other does the work, and it works again afterwards."""
    import psycopg

    parts = urlsplit(fleet.url)
    with psycopg.connect(fleet.url, autocommit=True) as database:
        database.execute("create role cut login superuser")
        try:
            other = fleet.url.replace(f"//{parts.username}", "//cut", 1)
            lonely = fleet.start(other)
            fleet.until(lambda: "workers on" in (fleet.folder / "worker-0.log").read_text())
            heads = [fleet.propose(number) for number in range(3)]
            fleet.until(lambda: fleet.holds(lonely))
            database.execute("alter role cut nologin")
            began = time.monotonic()
            second = fleet.start()
            while time.monotonic() - began < 10:
                database.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cut'")
                time.sleep(0.1)
            fleet.until(fleet.rests)
            print(f"all judged {time.monotonic() - began:.1f} s after the cut")
            assert time.monotonic() - began < WITHIN
            fleet.judged_once(heads)
            database.execute("alter role cut login")
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) == 0
            heads.append(fleet.propose(9))
            fleet.until(lambda: len(fleet.repo.check_runs(heads[-1])) > 0)
            fleet.until(fleet.rests)
            fleet.judged_once(heads)
        finally:
            for worker in fleet.workers:
                worker.kill()
                worker.wait()
            database.execute("drop owned by cut")
            database.execute("drop role cut")


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_gives_its_work_to_the_next(fleet: Fleet) -> None:
    """SIGTERM: what runs ends, nothing new is begun, the process ends well within the bound, and the next worker does the rest."""
    first = fleet.start()
    heads = [fleet.propose(number) for number in range(5)]
    fleet.until(lambda: fleet.holds(first))
    first.send_signal(signal.SIGTERM)
    assert first.wait(35) == 0
    assert not fleet.holds(first)
    fleet.start()
    fleet.until(fleet.rests)
    fleet.judged_once(heads)
