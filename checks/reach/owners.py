"""Who owns what changed, by CODEOWNERS as it stood before the change."""

from __future__ import annotations

from collections.abc import Sequence

from checks.model import Change, Unreadable
from checks.readers import codeowners


def owners_of(change: Change, paths: Sequence[str]) -> tuple[str, ...]:
    """The owners of `paths`, each once, sorted; none where the file is missing or unreadable (its detector says so)."""
    try:
        _, rules = codeowners.effective(change.before.read)
    except Unreadable:
        return ()
    return tuple(sorted({owner for owners in codeowners.owners_of(rules, paths) for owner in owners}))
