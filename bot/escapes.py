"""What reached a base branch round the gate: found on the push, remembered, shown by the repository's page and by `interlock doctor`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bot.metrics import GATE_ESCAPES
from bot.store import Store

if TYPE_CHECKING:
    from bot.looks.landed import Landed

logger = logging.getLogger("interlock.escapes")

ESCAPES = 200
"""Ways round the gate that are remembered of a repository."""


def remember_escapes(store: Store, repository: str, branch: str, found: Iterable[Landed], now: float) -> None:
    """Record what went round the gate, each once."""
    key = f"escapes/{repository}/all"
    kept: list[dict[str, Any]] = store.fact(key) or []
    known = {(one["sha"], one["state"]) for one in kept}
    fresh = [one for one in found if (one.sha, one.state) not in known]
    for one in fresh:
        GATE_ESCAPES.labels(why=one.why).inc()
        logger.warning("%s %s: %s", repository, branch, one.sentence, extra={"escape": one.state, "sha": one.sha})
    if fresh:
        rows = [{"at": now, "branch": branch, "sha": one.sha, "pull": one.pull, "state": one.state, "why": one.sentence} for one in fresh]
        store.remember(key, [*rows, *kept][:ESCAPES])


def escapes(store: Store, repository: str) -> list[dict[str, Any]]:
    """What went round the gate of a repository, newest first."""
    return list(store.fact(f"escapes/{repository}/all") or [])
