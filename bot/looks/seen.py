"""What is remembered of every open pull request that was looked at: enough to find it by its head, and to know what its verdict depends on.

The facts are
`heads/REPOSITORY/SHA`      numbers of the pull requests that had this head;
`groups/REPOSITORY/SHA`     the merge group whose combined commit this is;
`seen/REPOSITORY/NUMBER`    how it stood when it was last judged;
`head/REPOSITORY/NUMBER`    the head that is or was looked at last;
`bases/REPOSITORY/BRANCH`   the tip of a branch that pull requests go to, empty while it is not known;
`verdict/REPOSITORY/SHA`    what was published on a commit, by base branch.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

from bot.store import Store

_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Seen:
    """A pull request as it was judged."""

    head: str
    base_ref: str
    state: str
    asks: bool
    """Whether something has to be proven: then the verdict depends on evidence and on the tip of the base."""
    updated: str
    """`updated_at`, as GitHub gave it before it was judged."""
    at: float


def remember_head(store: Store, repository: str, head: str, number: int, base_ref: str) -> None:
    """Before evidence is gathered: whoever hears of new evidence for this head from now on finds the pull request."""
    with _LOCK:
        key = f"heads/{repository}/{head}"
        numbers = store.fact(key) or []
        if number not in numbers:
            store.remember(key, [*numbers, number])
        store.remember(f"head/{repository}/{number}", head)
        if store.fact(f"bases/{repository}/{base_ref}") is None:
            store.remember(f"bases/{repository}/{base_ref}", "")


def pulls_of(store: Store, repository: str, head: str) -> list[int]:
    """The pull requests that have or had a head."""
    return list(store.fact(f"heads/{repository}/{head}") or [])


def present_head(store: Store, repository: str, number: int) -> str | None:
    """The head of a pull request that is or was looked at last."""
    head: str | None = store.fact(f"head/{repository}/{number}")
    return head


def seen(store: Store, repository: str, number: int) -> Seen | None:
    """How a pull request stood when it was last judged; None where it never was, or is closed."""
    value: dict[str, Any] | None = store.fact(f"seen/{repository}/{number}")
    return Seen(**value) if value else None


def remember_seen(store: Store, repository: str, number: int, now: Seen | None) -> list[int]:
    """Keep how it stands (None: it is closed); the other pull requests whose gate was red for its sake alone, and may not be any more."""
    before = seen(store, repository, number)
    store.remember(f"seen/{repository}/{number}", asdict(now) if now else None)
    if before is None or before.state != "blocked":
        return []
    if now is not None and (now.head, now.base_ref, now.state) == (before.head, before.base_ref, before.state):
        return []
    return [other for other in pulls_of(store, repository, before.head) if other != number]


def is_base(store: Store, repository: str, branch: str) -> bool:
    """Whether a pull request to this branch was ever judged."""
    return store.fact(f"bases/{repository}/{branch}") is not None


def remember_verdict(store: Store, repository: str, head: str, base_ref: str, state: str, review: str, pull: int | None) -> None:
    """Keep what was published on a commit: it answers for the commit when it is merged or deployed."""
    with _LOCK:
        key = f"verdict/{repository}/{head}"
        kept = store.fact(key) or {}
        one = {"state": state, "review": review, "pull": pull}
        if kept.get(base_ref) != one:
            store.remember(key, {**kept, base_ref: one})


def verdict_on(store: Store, repository: str, head: str, base_ref: str | None = None) -> dict[str, Any] | None:
    """What was published on a commit for a base branch; for any, the worst, where none is named."""
    kept: dict[str, dict[str, Any]] = store.fact(f"verdict/{repository}/{head}") or {}
    if base_ref is not None:
        return kept.get(base_ref)
    return max(kept.values(), key=lambda one: one["state"] == "blocked", default=None)
