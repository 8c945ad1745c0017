"""A whole Interlock for tests: the real server over HTTP, the stand-in for GitHub, an installed App and a repository."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.demo.running import Running
from bot.demo.standin import Repo, StandIn
from bot.demo.standin.state import App, Installation
from bot.settings import Client, Credentials, Settings

GATE, RISK = "interlock: main", "interlock risk: main"
ENFORCE = "version: 1\nmode: enforce\n"
DATABASE = 'resource "aws_db_instance" "main" {\n  identifier = "shop"\n  engine     = "postgres"\n}\n'
TOPIC = 'resource "aws_sns_topic" "orders" {\n  name = "orders"\n}\n'
FILES = {"infra/prod/main.tf": DATABASE + TOPIC, "README.md": "# Shop\n", ".github/interlock.yml": ENFORCE}
AGENT = "\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"


@dataclass
class House:
    """Everything that runs, with short words for what happens in a test."""

    github: StandIn
    server: Running
    app: App
    installation: Installation
    repo: Repo

    def settle(self) -> None:
        """Let everything that was set off come to rest."""
        for _ in range(3):
            self.github.settle()
            self.server.settle()

    def propose(
        self, files: Mapping[str, str | None], branch: str = "work", message: str = "Change", base: str = "main", **more: Any
    ) -> tuple[str, Any]:
        """Someone pushes a branch and opens a pull request; Interlock looks at it."""
        sha = self.repo.commit(branch, files, message, author="robin", start=base)
        pull = self.repo.open_pull(branch, base, more.pop("title", "Change"), more.pop("body", ""), more.pop("author", "robin"), **more)
        self.settle()
        return sha, pull

    def gate(self, sha: str, name: str = GATE) -> Any:
        """The newest gate on a commit, None if there is none."""
        runs = [run for run in self.repo.check_runs(sha) if run.name == name and run.app.id == self.app.id]
        return runs[-1] if runs else None

    def verdict(self, sha: str, name: str = GATE) -> str | None:
        """How the newest gate on a commit ended."""
        run = self.gate(sha, name)
        return run.conclusion if run else None


def settings_for(github: StandIn, app: App, folder: Path, **more: Any) -> Settings:
    """The settings of a server that belongs to a stand-in."""
    values: dict[str, Any] = {
        "credentials": Credentials(app.id, app.private_key, (app.webhook_secret.encode(),)),
        "missing": (),
        "github_url": github.url,
        "api_url": github.url,
        "public_url": "",
        "data": folder,
        "workers": 2,
        "mirror_quota": 1 << 30,
        "client": Client(app.client_id, app.client_secret),
        "write_seconds": 0.0,
    }
    return Settings(**{**values, **more})


def build(folder: Path, files: Mapping[str, str] = FILES, clock: Callable[[], float] = time.time, api: str = "", **more: Any) -> House:
    """A running house with one repository on which the App is installed. Call `demolish` at the end.

    `api` is where the API stands below the address, as on a server of one's own.
    """
    github = StandIn.start(clock=clock)
    app = github.app("interlock")
    server = Running(settings_for(github, app, folder, api_url=github.url + api, **more))
    app.webhook_url = f"{server.url}/webhook"
    repo = github.repository("acme", "shop", roles={"sam": "maintain", "robin": "write", "eve": "read", "mallory": "none"})
    installation = github.install(app, "acme")
    repo.commit("main", files, "Start", author="robin")
    house = House(github, server, app, installation, repo)
    house.settle()
    return house


def demolish(house: House) -> None:
    """Stop the server, then the stand-in."""
    house.server.stop()
    house.github.stop()
