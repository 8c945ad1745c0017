"""A stand-in for GitHub on this machine: stateful, over real HTTP, with real git repositories and really delivered webhooks.

The demo and the tests talk to it as they would to GitHub. It is held to GitHub's own OpenAPI description by `tests/conformance.py`.

    with StandIn.start() as github:
        app = github.app("interlock", webhook_url="http://127.0.0.1:8000/webhook")
        repo = github.repository("acme", "platform")
        github.install(app, "acme")
        repo.commit("main", {"main.tf": "…"}, "First")
"""

from __future__ import annotations

from bot.demo.standin.driver import StandIn
from bot.demo.standin.faults import Fault
from bot.demo.standin.repo import Repo
from bot.demo.standin.server import Exchange

__all__ = ["Exchange", "Fault", "Repo", "StandIn"]
