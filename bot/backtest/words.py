"""A replayed history as text and as JSON."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from bot.backtest.figures import SMALL, Figures, figures_of
from bot.backtest.run import Replay, Row, as_rows, scores
from bot.escape import terminal
from checks.assess import ENGINE

LISTED = 25
"""Steps listed in the text."""


def as_json(replay: Replay) -> dict[str, Any]:
    """`interlock/backtest/1`: figures, every step, and what a proposed policy would change."""
    figures = figures_of(replay)
    return {
        "schema": "interlock/backtest/1",
        "engine": {"version": ENGINE, "policy": replay.policy, "proposed": replay.proposed_policy},
        "repository": replay.repository,
        "steps": figures.steps,
        "stopped": figures.stopped,
        "seconds": round(replay.seconds, 2),
        "kept": replay.kept,
        "scores": list(scores(replay.rows)),
        "quantiles": {str(percent): score for percent, score in figures.quantiles},
        "histogram": [{"from": ten * 10, "steps": steps, "stopped": stopped} for ten, (steps, stopped) in enumerate(figures.histogram)],
        "written_by": [{"level": name, "steps": steps, "stopped": stopped} for name, steps, stopped in figures.levels],
        "agents": [{"agent": name, "steps": steps, "stopped": stopped} for name, steps, stopped in figures.agents],
        "reasons": [{"rule": rule, "steps": steps} for rule, steps in figures.reasons],
        "safeguards": [{"safeguard": name, "steps": steps} for name, steps in figures.needed],
        "weeks": [{"monday": monday, "merges": merges, "stopped": stopped} for monday, merges, stopped in figures.weeks],
        "doubtful": [row.head for row in figures.doubtful],
        "proposed": {
            "newly_stopped": [one.proposed.head for one in figures.newly_stopped],
            "newly_free": [one.proposed.head for one in figures.newly_free],
            "otherwise": [one.proposed.head for one in figures.otherwise],
        }
        if replay.proposed_policy
        else None,
        "rows": list(as_rows(replay.rows)),
    }


def as_text(replay: Replay, width: int = 100) -> str:
    """The figures for a terminal."""
    figures = figures_of(replay)
    if not figures.steps:
        return f"{terminal(replay.repository)}: there is no step to replay yet.\n"
    return "\n".join([*_head(replay, figures), *_tables(figures), *_proposed(replay, figures), *_steps(replay, figures, width)]) + "\n"


def day(when: int) -> str:
    """A time as a day."""
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%d")


def share(part: int, whole: int) -> str:
    """A share in words."""
    return f"{part:,} of {whole:,} ({100 * part / whole:.1f} %)" if whole else "none"


def per_week(figures: Figures) -> float:
    """Merges in a week, on average."""
    return figures.steps / len(figures.weeks) if figures.weeks else 0.0


def _head(replay: Replay, figures: Figures) -> Iterable[str]:
    rows = replay.rows
    yield f"{terminal(replay.repository)}: {figures.steps:,} steps of the default branch, {day(rows[-1].when)} to {day(rows[0].when)}"
    yield f"Would have waited for a proof: {share(figures.stopped, figures.steps)}; {per_week(figures):.1f} merges a week"
    yield "Scores: " + ", ".join(f"{percent} % are at most {score}" for percent, score in figures.quantiles)
    kept = f", {replay.kept:,} kept from before" if replay.kept else ""
    yield f"Policy {replay.policy[:19]}; {replay.seconds:.1f} s, {figures.steps / max(replay.seconds, 0.001):.0f} steps a second{kept}"
    yield ""
    most = max(steps for steps, _ in figures.histogram)
    for ten, (steps, stopped) in enumerate(figures.histogram):
        bar = "█" * round(40 * steps / most) or ("▏" if steps else "")
        yield f"  {ten * 10:>3}  {bar:<40} {steps:>5}" + (f"  {stopped} stopped" if stopped else "")


def _tables(figures: Figures) -> Iterable[str]:
    yield ""
    yield "Written by: " + "; ".join(f"{name} {steps:,}, stopped {stopped:,}" for name, steps, stopped in figures.levels)
    if figures.agents:
        yield "Agents: " + "; ".join(f"{terminal(name)} {steps:,}, stopped {stopped:,}" for name, steps, stopped in figures.agents)
    if figures.reasons:
        yield ""
        yield "What stopped them"
        yield from (f"  {steps:>5}  {rule}" for rule, steps in figures.reasons[:LISTED])
        yield "What they would have needed"
        yield from (f"  {steps:>5}  {name}" for name, steps in figures.needed[:LISTED])


def _proposed(replay: Replay, figures: Figures) -> Iterable[str]:
    if replay.proposed_policy:
        yield ""
        yield f"The proposed policy stops {len(figures.newly_stopped)} more, {len(figures.newly_free)} fewer, and asks {len(figures.otherwise)} for other proofs"
        for word, differences in (("more", figures.newly_stopped), ("fewer", figures.newly_free), ("other", figures.otherwise)):
            yield from (f"  {word:<6}{_line(one.proposed if word != 'fewer' else one.present, 100)}" for one in differences[:LISTED])


def _steps(replay: Replay, figures: Figures, width: int) -> Iterable[str]:
    stopped = sorted((row for row in replay.rows if row.stopped), key=lambda row: -row.score)
    for title, rows in (
        ("Would have been stopped, the riskiest first", stopped),
        (f"Look here for false alarms: at most {SMALL} files, on mild or uncertain evidence", figures.doubtful),
    ):
        if rows:
            yield ""
            yield title
            yield from ("  " + _line(row, width - 2) for row in rows[:LISTED])
            if len(rows) > LISTED:
                yield f"  … and {len(rows) - LISTED} more (--format json or html lists all)"


def _line(row: Row, width: int) -> str:
    who = ", ".join(row.agents) or row.level
    return terminal(
        f"{row.score:>3}  {row.head[:10]}  {day(row.when)}  {who}: {row.title} ← {', '.join(row.why) or row.summary}", max(60, width)
    )
