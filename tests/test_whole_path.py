"""The whole path against an emulator that nobody of this project wrote: signed webhook, App key, token, git, check runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.demo.running import Running
from bot.settings import Credentials, Settings
from tests.emulator import Emulator
from tests.house import AGENT, DATABASE, ENFORCE, GATE, RISK, TOPIC


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def newest(world: Emulator, sha: str, name: str) -> dict[str, Any]:
    runs = [run for run in world.done("GET", f"/commits/{sha}/check-runs")["check_runs"] if run["name"] == name]
    return max(runs, key=lambda run: run["id"]) if runs else {}


def judged(world: Emulator, server: Running, sha: str, patience: float = 60) -> dict[str, Any]:
    """The gate of a commit, once it is completed and everything rests."""
    until = time.monotonic() + patience
    while newest(world, sha, GATE).get("status") != "completed":
        assert time.monotonic() < until, "the gate was not completed"
        server.settle()
    server.settle()
    return newest(world, sha, GATE)


@pytest.mark.slow
def test_an_agents_pull_request_is_stopped_and_the_mended_one_passes(emulator: Callable[..., Emulator], tmp_path: Path) -> None:
    """An agent's pull request destroys a database and is red on the emulator; one that does not is green, with its score beside it."""
    port = free_port()
    world = emulator(f"http://127.0.0.1:{port}/webhook", people={"robin": "member"})
    credentials = Credentials(world.app_id, world.private_key, (world.webhook_secret.encode(),))
    server = Running(Settings(credentials, (), world.git_url, world.url, "", tmp_path / "data", 2, 1 << 30), port)
    try:
        world.commit("main", {"infra/prod/main.tf": DATABASE + TOPIC, ".github/interlock.yml": ENFORCE}, "Start")
        bad = world.commit("claude/tidy", {"infra/prod/main.tf": TOPIC}, "Tidy up" + AGENT, author="robin")
        world.open_pull("claude/tidy", title="Tidy up", by="robin")
        gate = judged(world, server, bad)
        assert gate["conclusion"] == "failure"
        assert "aws_db_instance.main" in gate["output"]["title"] and "claude-code" in gate["output"]["summary"]
        assert newest(world, bad, RISK)["conclusion"] == "success"
        good = world.commit("words", {"README.md": "# Shop\n"}, "Words", author="robin")
        world.open_pull("words", title="Words", by="robin")
        assert judged(world, server, good)["conclusion"] == "success"
    finally:
        server.stop()
