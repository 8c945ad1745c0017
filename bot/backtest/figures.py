"""What a replayed history adds up to. Pure: rows in, figures out."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.backtest.run import Replay, Row
from checks.model import Confidence, Level, Severity

QUANTILES = (50, 75, 90, 95, 99)
SMALL = 3
"""Files of a change that is small."""
WEEK = 7 * 86400


@dataclass(frozen=True, slots=True)
class Difference:
    """A step that a proposed policy judges otherwise."""

    present: Row
    proposed: Row


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything the reports say, once."""

    steps: int
    stopped: int
    histogram: tuple[tuple[int, int], ...]
    """(steps, of them stopped) for scores 0-9, 10-19 … 90-100."""
    quantiles: tuple[tuple[int, int], ...]
    """(percent, score)."""
    levels: tuple[tuple[str, int, int], ...]
    """(how it was written, steps, of them stopped)."""
    agents: tuple[tuple[str, int, int], ...]
    reasons: tuple[tuple[str, int], ...]
    """(rule, steps that it stopped), the most first."""
    needed: tuple[tuple[str, int], ...]
    """(safeguard, steps that would have needed it)."""
    weeks: tuple[tuple[str, int, int], ...]
    """(Monday, merges, of them stopped), oldest first, no week left out."""
    doubtful: tuple[Row, ...]
    """Stopped, small, and on evidence that is not certain: look here for false alarms."""
    newly_stopped: tuple[Difference, ...] = ()
    newly_free: tuple[Difference, ...] = ()
    otherwise: tuple[Difference, ...] = ()
    """Stopped under both, for other proofs."""


def figures_of(replay: Replay) -> Figures:
    """The figures of a replayed history."""
    rows = replay.rows
    tens = Counter(min(row.score // 10, 9) for row in rows)
    tens_stopped = Counter(min(row.score // 10, 9) for row in rows if row.stopped)
    differences = [
        Difference(present, proposed)
        for present, proposed in zip(rows, replay.proposed, strict=bool(replay.proposed))
        if present.unmet != proposed.unmet
    ]
    return Figures(
        steps=len(rows),
        stopped=sum(row.stopped for row in rows),
        histogram=tuple((tens[ten], tens_stopped[ten]) for ten in range(10)),
        quantiles=tuple((percent, quantile([row.score for row in rows], percent)) for percent in QUANTILES),
        levels=_shares((row.level, row) for row in rows),
        agents=_shares((agent, row) for row in rows for agent in row.agents),
        reasons=tuple(Counter(rule for row in rows if row.stopped for rule in row.why).most_common()),
        needed=tuple(Counter(name for row in rows for name in row.unmet).most_common()),
        weeks=_weeks(rows),
        doubtful=tuple(row for row in rows if is_doubtful(row)),
        newly_stopped=tuple(one for one in differences if one.proposed.stopped and not one.present.stopped),
        newly_free=tuple(one for one in differences if one.present.stopped and not one.proposed.stopped),
        otherwise=tuple(one for one in differences if one.present.stopped and one.proposed.stopped),
    )


def quantile(scores: Sequence[int], percent: int) -> int:
    """The least score that at least `percent` of all do not exceed; 0 where there is none."""
    ordered = sorted(scores)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def is_doubtful(row: Row) -> bool:
    """Whether a stop deserves a second look: a small change, stopped on nothing certain, or on nothing severe."""
    needed = [effect for effect in row.effects if effect.needed]
    uncertain = all(effect.confidence != Confidence.CERTAIN for effect in needed)
    mild = all(effect.severity in (Severity.LOW, Severity.MODERATE) for effect in needed)
    return row.stopped and row.files <= SMALL and bool(needed) and (uncertain or mild)


def _shares(pairs: Iterable[tuple[str, Row]]) -> tuple[tuple[str, int, int], ...]:
    every: Counter[str] = Counter()
    stopped: Counter[str] = Counter()
    for name, row in pairs:
        every[name] += 1
        stopped[name] += row.stopped
    order = {level.value: at for at, level in enumerate(Level)}
    return tuple((name, every[name], stopped[name]) for name in sorted(every, key=lambda name: (order.get(name, 0), -every[name], name)))


def _weeks(rows: Sequence[Row]) -> tuple[tuple[str, int, int], ...]:
    merges: Counter[int] = Counter()
    stopped: Counter[int] = Counter()
    for row in rows:
        # 1970-01-05 was a Monday.
        week = (row.when - 4 * 86400) // WEEK
        merges[week] += 1
        stopped[week] += row.stopped
    if not merges:
        return ()
    return tuple((_monday(week), merges[week], stopped[week]) for week in range(max(min(merges), max(merges) - 519), max(merges) + 1))


def _monday(week: int) -> str:
    return (datetime.datetime(1970, 1, 5, tzinfo=datetime.UTC) + datetime.timedelta(weeks=week)).strftime("%Y-%m-%d")
