"""What the App keeps of a repository's past: the rows of its replay, filled in slices, and the scores that later reviews are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bot.backtest.run import Replay, Row, row_from
from bot.store import Store


def begun(store: Store, repository: str) -> bool:
    """Whether the replay of a repository has been started."""
    return store.fact(_state(repository)) is not None


def whole(store: Store, repository: str) -> bool:
    """Whether the replay of a repository has come to its end."""
    return bool((store.fact(_state(repository)) or {}).get("whole"))


def heads(store: Store, repository: str) -> frozenset[str]:
    """The steps that are kept already, by their commit."""
    return frozenset((store.fact(_state(repository)) or {}).get("heads", ()))


def scores_of(store: Store, repository: str) -> tuple[int, ...]:
    """The scores of a repository's past; none until the whole of it was replayed, so that a percentile never stands on a part."""
    state = store.fact(_state(repository)) or {}
    return tuple(state.get("scores", ())) if state.get("whole") else ()


def add(store: Store, repository: str, policy: str, rows: Sequence[Row], ended: bool) -> None:
    """Keep a slice of rows; `ended` says that it is the last."""
    state = store.fact(_state(repository)) or {"heads": [], "scores": [], "slices": 0}
    if rows:
        store.remember(f"{_state(repository)}/{state['slices']:04}", [asdict(row) for row in rows])
    store.remember(
        _state(repository),
        {
            "heads": [*state["heads"], *(row.head for row in rows)],
            "scores": [*state["scores"], *(row.score for row in rows)],
            "slices": state["slices"] + bool(rows),
            "policy": policy,
            "whole": ended,
        },
    )


def replay_of(store: Store, repository: str) -> Replay | None:
    """The replay of a repository as far as it is kept, newest step first; None where none was started."""
    state = store.fact(_state(repository))
    if state is None:
        return None
    slices = store.facts(f"{_state(repository)}/")
    rows = [row_from(values) for name in sorted(slices) for values in slices[name]]
    return Replay(repository, str(state.get("policy", "")), tuple(sorted(rows, key=lambda row: -row.when)), kept=len(rows))


def propose(store: Store, repository: str, number: int, head: str, sentences: Sequence[str]) -> None:
    """Keep what the policy of a pull request's head would have changed."""
    store.remember(f"proposed/{repository}/{number}", {"head": head, "sentences": list(sentences)})


def proposed(store: Store, repository: str, number: int, head: str) -> tuple[str, ...] | None:
    """What the policy of this head would have changed, a sentence each; None where that was not looked at."""
    kept = store.fact(f"proposed/{repository}/{number}")
    return tuple(kept["sentences"]) if kept and kept["head"] == head else None


def _state(repository: str) -> str:
    return f"past/{repository}"
