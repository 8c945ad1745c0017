"""What people let pass with a reason, as it was stored: the decision says whether it still counts."""

from __future__ import annotations

import datetime

from bot.store import Store
from checks.evidence import Override


def overrides_of(store: Store, repository: str, number: int) -> tuple[Override, ...]:
    """The overrides given for a pull request, whether they still count or not: the decision says."""
    kept = store.fact(key_of(repository, number)) or []
    return tuple(
        Override(one["effect"], one["head"], datetime.datetime.fromisoformat(one["until"]), one["reason"], one["by"], one["under"])
        for one in kept
    )


def end_overrides(store: Store, repository: str, number: int, head: str) -> None:
    """A push ended what was given for an earlier head: it does not come back with that head."""
    kept = store.fact(key_of(repository, number)) or []
    if any(one["head"] != head for one in kept):
        store.remember(key_of(repository, number), [one for one in kept if one["head"] == head])


def key_of(repository: str, number: int) -> str:
    """Where the overrides of a pull request are stored."""
    return f"override/{repository}/{number}"
