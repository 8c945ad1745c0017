"""What whoever runs Interlock for years relies on: upgrades, backups, full disks, locked files, and processes apart."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from bot import cli
from bot.records import verify
from bot.store import Mark, NoDriver, Work, open_store
from bot.store.sqlite import SCHEMA, SqliteStore
from bot.worker import TRIES
from tests.database import address
from tests.house import TOPIC, House

VERSION_1 = Path(__file__).parent / "fixtures" / "store" / "version-1.sql"


def deliver(house: House, guid: str, size: int = 10) -> int:
    """Send a signed delivery that says nothing; the status of the answer."""
    body = json.dumps({"action": "created", "filler": os.urandom(size).hex()}).encode()
    signature = "sha256=" + hmac.new(house.app.webhook_secret.encode(), body, "sha256").hexdigest()
    headers = {"X-GitHub-Event": "star", "X-GitHub-Delivery": guid, "X-Hub-Signature-256": signature}
    return httpx.post(f"{house.server.url}/webhook", content=body, headers=headers, timeout=30).status_code


def test_a_database_of_version_one_opens_after_the_upgrade(tmp_path: Path) -> None:
    """All that the first version wrote is there: what is unread, what waits, what was given up, the chain, what was remembered."""
    with closing(sqlite3.connect(tmp_path / "interlock.db")) as old:
        old.executescript(VERSION_1.read_text())
    with closing(open_store(tmp_path)) as store:
        assert [one.guid for one in store.new_deliveries()] == ["a"] and store.known_deliveries(["a", "b"]) == {"a", "b"}
        assert (work := store.take("w", 10)) is not None and work.key == "acme/shop/pull/1"
        assert store.dead_letters() == [("acme/shop/pull/2", "broken")]
        assert [one.id for one in store.every_record()] == ["one", "two"] and verify(store) == []
        assert store.fact("policy/acme/shop/main") is True and store.assessment("k") == "kept"
    with closing(sqlite3.connect(tmp_path / "interlock.db")) as new:
        assert new.execute("pragma user_version").fetchone()[0] == len(SCHEMA)


def test_four_processes_that_start_at_once_upgrade_once(tmp_path: Path) -> None:
    """Four replicas on an empty PostgreSQL: all start, and PgQueuer's tables are made once too."""
    url = address("postgres")
    program = "import sys; from pathlib import Path; from bot.store import open_store; open_store(Path(sys.argv[1]), sys.argv[2]).close()"
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), url], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [one.communicate()[1] for one in started]
    assert [one.returncode for one in started] == [0, 0, 0, 0], errors


def test_a_backup_is_restored(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`interlock backup` while the server runs; the copy in a new place has every record, its chain closes, and nothing is written over."""
    house.propose({"infra/prod/main.tf": TOPIC})
    data, copy = house.server.app.settings.data, tmp_path / "restored" / "interlock.db"
    copy.parent.mkdir()
    assert cli.main(["backup", str(copy), "--data", str(data)]) == 0
    with closing(open_store(copy.parent)) as restored:
        kept = [one.id for one in house.server.app.store.every_record()]
        assert kept and [one.id for one in restored.every_record()] == kept and verify(restored) == []
    assert cli.main(["backup", str(copy), "--data", str(data)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_the_backup_of_postgresql_is_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says which tool makes it, with the line to run."""
    monkeypatch.setenv("INTERLOCK_DATABASE_URL", address("postgres"))
    assert cli.main(["backup", str(tmp_path / "copy")]) == 2
    assert "pg_dump --format=custom" in capsys.readouterr().err


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra the error says what to install, in one line."""
    monkeypatch.setitem(sys.modules, "bot.store.postgres", None)
    with pytest.raises(NoDriver, match=r"interlock\[postgres\]"):
        open_store(tmp_path, "postgresql://nobody@127.0.0.1/nothing")
    monkeypatch.setenv("INTERLOCK_DATABASE_URL", "postgresql://nobody@127.0.0.1/nothing")
    assert cli.main(["replay", "abc", "--data", str(tmp_path)]) == 2
    assert "pip install 'interlock[postgres]'" in capsys.readouterr().err


def test_a_full_disk_refuses_and_loses_nothing(house: House) -> None:
    """What cannot be stored is answered with 503, so that GitHub keeps it; once there is room it is taken, and what was stored is still there."""
    store = house.server.app.store
    assert isinstance(store, SqliteStore)
    assert deliver(house, "before") == 202
    with store._lock:  # the bound is that of the connection that writes
        pages = store._db.execute("pragma page_count").fetchone()[0]
        store._db.execute(f"pragma max_page_count = {pages}")
    assert [deliver(house, f"full-{number}", 2_000_000) for number in range(2)] == [503, 503]
    with store._lock:
        store._db.execute("pragma max_page_count = 1073741823")
    assert deliver(house, "full-0", 2_000_000) == 202
    house.settle()
    assert store.known_deliveries(["before", "full-0", "full-1"]) == {"before", "full-0"}


def test_a_locked_database_refuses_in_time_and_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the file: GitHub is answered 503 before it gives up, and afterwards deliveries are taken and read as ever."""
    monkeypatch.setattr("bot.inbox.PATIENCE", 0.3)
    with closing(sqlite3.connect(house.server.app.store.place, isolation_level=None)) as other:
        other.execute("begin immediate")
        assert deliver(house, "locked") == 503
        other.execute("rollback")
    assert deliver(house, "locked") == 202
    house.settle()
    assert house.server.app.store.known_deliveries(["locked"]) == {"locked"} and house.server.app.store.waiting()["unread"] == 0


def test_a_waiting_worker_of_another_process_wakes_at_once(tmp_path: Path) -> None:
    """On PostgreSQL whoever waits hears of work that another process stored, long before the next sweep."""
    import asyncio
    import time

    from bot.store import distribution

    url = address("postgres")

    async def hear() -> float:
        with closing(open_store(tmp_path, url)) as here, closing(open_store(tmp_path, url)) as there:
            looked, turns = asyncio.Event(), here.turns(2)

            async def nothing() -> bool:
                return False

            async def look() -> bool:
                looked.set()
                return False

            running = asyncio.create_task(turns.run(nothing, look))
            await asyncio.to_thread(there.mark, Mark("acme/a/pull/0", "acme/a", 1, "pull"))
            await asyncio.wait_for(looked.wait(), 30)
            looked.clear()
            began = time.monotonic()
            await asyncio.to_thread(there.mark, Mark("acme/a/pull/1", "acme/a", 1, "pull"))
            await asyncio.wait_for(looked.wait(), 30)
            took = time.monotonic() - began
            turns.stop()
            await running
            return took

    assert asyncio.run(hear()) < distribution.SWEEP / 2


def test_what_fails_after_it_was_taken_over_is_no_news(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A worker stood still, its work was done by another, and its last try fails: the verdict stays as it was told."""
    sha, pull = house.propose({"infra/prod/main.tf": TOPIC})
    shown = [(run.id, run.conclusion, run.summary) for run in house.repo.check_runs(sha)]
    workers = house.server.app.workers
    assert workers is not None
    late = Work(f"acme/shop/pull/{pull.number}", "acme/shop", house.installation.id, "pull", {"number": pull.number}, 1, TRIES, 1)
    with caplog.at_level("WARNING", "interlock"):
        asyncio.run(workers._failed(late, TimeoutError()))
    assert "was taken over by another worker (TimeoutError)" in caplog.text
    assert [(run.id, run.conclusion, run.summary) for run in house.repo.check_runs(sha)] == shown
    assert house.server.app.store.dead_letters() == []


def test_the_server_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """SIGTERM ends `interlock serve --web` and `interlock serve` with status 0, well within what supervisors wait."""
    environment = {**os.environ, "INTERLOCK_DATA": str(tmp_path)}
    for more in ([], ["--web"]):
        server = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "serve", "--port", "0", *more], env=environment, stderr=subprocess.PIPE, text=True
        )
        assert server.stderr is not None
        heard = threading.Event()
        lines: list[str] = []

        def listen(server: subprocess.Popen[str] = server, lines: list[str] = lines, heard: threading.Event = heard) -> None:
            assert server.stderr is not None
            for line in server.stderr:
                lines.append(line)
                if "set it up" in line:
                    heard.set()

        listening = threading.Thread(target=listen)
        listening.start()
        assert heard.wait(30), lines
        # The signal is heeded once uvicorn runs; before that it ends the process too, as a signal does.
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM)
        listening.join()
        server.stderr.close()
