"""Secrets stay where they belong: a whole run is watched and searched for every byte of them."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.house import AGENT, TOPIC, House, build, demolish

DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}


def secrets_of(house: House) -> dict[str, bytes]:
    """Every secret of the house by what it is: also in the ways in which programs like to write them."""
    found = {"webhook secret": house.app.webhook_secret, "client secret": house.app.client_secret}
    lines = [line for line in house.app.private_key.splitlines() if len(line) > 40 and "-" not in line]
    found |= {f"line {number} of the key": line for number, line in enumerate(lines)}
    found |= {f"token {number}": value for number, value in enumerate(house.github.world.tokens)}
    plain = {name: text.encode() for name, text in found.items()}
    basic = {f"{name} in a header": base64.b64encode(b"x-access-token:" + value)[24:-4] for name, value in plain.items() if "token" in name}
    return {**plain, **basic}


def descendants() -> Iterator[Path]:
    """The folders under /proc of what this process started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for number in parents:
        above, seen = number, 0
        while above not in (0, os.getpid()) and seen < 50:
            above, seen = parents.get(above, 0), seen + 1
        if above == os.getpid() and number != os.getpid():
            yield Path(f"/proc/{number}")


class Watching:
    """Reads again and again what the system shows of all children."""

    def __init__(self) -> None:
        self.shown: dict[bytes, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.002):
            for folder in descendants():
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.shown[(folder / name).read_bytes()] = name


def bytes_below(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of some folders."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                with contextlib.suppress(OSError):
                    yield str(file), file.read_bytes()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this machine shows no processes under /proc")
def test_no_byte_of_a_secret_leaves_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in the words or environments of children, git's configuration, logs, errors, the database, pages, checks or comments.

    The run has ordinary reviews, refused tokens, a broken repository, comment commands, pages and a failing GitHub.
    """
    caplog.set_level(logging.DEBUG)
    # The stand-in plays GitHub, so its own logs and files may hold what GitHub holds.
    house = build(tmp_path / "data")
    try:
        with Watching() as watching:
            sha, pull = house.propose(DESTROY, "claude/tidy", "Tidy" + AGENT)
            house.propose({"README.md": "# The shop\n"}, "docs")
            house.repo.comment(pull, "sam", "/interlock explain")
            house.settle()
            for path, kind in (("*/access_tokens", "401"), ("*/pulls/*", "500"), ("*/check-runs", "422"), ("*/access_tokens", "cut-body")):
                house.github.fault("*", path, kind)
                house.propose({f"notes/{kind}{len(path)}.txt": "x\n"}, f"fault-{kind}-{len(path)}")
            time.sleep(0.01)
        store = house.server.app.store
        pages = ["/", "/healthz", "/metrics", f"/acme/shop/pull/{pull.number}", "/acme/shop", "/rules", "/webhook", "/setup", "/nowhere"]
        shown = [(page, httpx.get(house.server.url + page).content) for page in pages]
        shown += [
            ("a check", str((run.title, run.summary, run.text, run.external_id, run.details_url)).encode())
            for run in house.repo.check_runs(sha)
        ]
        shown += [("a comment", comment.body.encode()) for comment in house.repo.comments(pull)]
        shown += [("dead letters", repr(store.dead_letters()).encode())]
        shown += [("a record", (record.inputs + record.report).encode()) for record in store.every_record()]
        settings = house.server.app.settings
        shown += [
            ("settings as text", repr(value).encode()) for value in (settings, settings.credentials, settings.client, house.server.app)
        ]
        api = house.server.app.tools.api if house.server.app.tools else None
        shown += [("the client as text", repr([api, getattr(api, "_tokens", None)]).encode())]
        for record in caplog.records:
            text = logging.Formatter().format(record)
            if not record.name.startswith(("bot.demo", "httpcore", "httpx", "asyncio", "git.cmd")) or record.name.startswith("git.cmd"):
                shown.append((f"the log of {record.name}", text.encode("utf-8", "backslashreplace")))
        out, err = capfd.readouterr()
        shown += [("standard output", out.encode()), ("standard error", err.encode())]
        shown += [(f"a child's {what}", data) for data, what in watching.shown.items()]
        shown += list(bytes_below(tmp_path / "data"))
        assert any(b"git" in data for what, data in shown if what == "a child's cmdline")
        secrets = secrets_of(house)
        assert sum(name.startswith("token") for name in secrets) > 4 and len(secrets) > 25
        leaks = {(name, where) for name, secret in secrets.items() for where, data in shown if secret in data}
        assert not leaks
        assert not [where for where, data in shown if re.search(rb"eyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.", data)]
    finally:
        demolish(house)
