"""What the benchmarks share: the stand-in, an installed App, repositories with pull requests, and `interlock serve` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.demo.standin import Repo, StandIn
from bot.store import Store, open_store
from tests.benchmarks.door import _free, _up
from tests.house import FILES, GATE, TOPIC


class Town:
    """Everything that runs. `close` at the end."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url, self.port = folder, url, _free()
        self.github = StandIn.start()
        self.app = self.github.app("interlock")
        self.servers: list[subprocess.Popen[bytes]] = []
        self.installation: Any = None
        self.pulls: list[tuple[Repo, Any, str]] = []
        self.repositories = 0

    def serve(self, workers: int, **more: str) -> subprocess.Popen[bytes]:
        """`interlock serve`, once its door is open; `more` are further settings."""
        environment = {
            **os.environ,
            "INTERLOCK_APP_ID": str(self.app.id),
            "INTERLOCK_PRIVATE_KEY": self.app.private_key,
            "INTERLOCK_WEBHOOK_SECRET": self.app.webhook_secret,
            "INTERLOCK_GITHUB_URL": self.github.url,
            "INTERLOCK_API_URL": self.github.url,
            "INTERLOCK_DATA": str(self.folder),
            "INTERLOCK_DATABASE_URL": self.url,
            "INTERLOCK_WRITE_SECONDS": "0",
            "INTERLOCK_WORKERS": str(workers),
            **more,
        }
        with (self.folder / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "bot.cli", "serve", "--port", str(self.port)]
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.servers.append(server)
        _up(self.port)
        return server

    def build(self, repositories: int, pulls: int) -> None:
        """So many repositories, each with so many open pull requests that destroy a database."""
        made = []
        self.repositories = repositories
        for number in range(repositories):
            repo = self.github.repository("acme", f"r{number}", roles={"robin": "write"})
            repo.commit("main", FILES, "Start", author="robin")
            made.append(repo)
        self.installation = self.github.install(self.app, "acme")
        for one in range(pulls):
            for repo in made:
                head = repo.commit(f"w{one}", {"infra/prod/main.tf": TOPIC, "n.txt": str(one)}, "Change", author="robin", start="main")
                self.pulls.append((repo, repo.open_pull(f"w{one}", "main", "Change", "", "robin"), head))
        self.github.settle()

    def push(self, number: int) -> tuple[Repo, Any, str]:
        """One more commit on the branch of a pull request; the pull request as it is then."""
        repo, made, head = self.pulls[number]
        self.pulls[number] = (repo, made, repo.commit(f"w{number // self.repositories}", {"n.txt": head}, "One more", author="robin"))
        return self.pulls[number]

    def judged(self) -> int:
        """How many pull requests have a verdict."""
        return sum(any(run.name == GATE and run.status == "completed" for run in repo.check_runs(head)) for repo, _, head in self.pulls)

    def store(self) -> Store:
        """The server's database, beside the server."""
        return open_store(self.folder, self.url)

    def until(self, what: Callable[[], bool], patience: float = 900.0) -> float:
        """How long it took until something was so."""
        began = time.monotonic()
        while not what():
            if time.monotonic() - began > patience:
                raise SystemExit((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.05)
        return time.monotonic() - began

    def close(self) -> None:
        """Stop everything."""
        for server in self.servers:
            server.terminate()
            server.wait()
        self.github.stop()


def memory(pid: int) -> int:
    """MB that a process and its children hold now."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            waiting += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except OSError:
            continue
        total += int(next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")), 0))
    return total // 1024
