"""When a verdict must be given anew although nothing happens: an exception or an override that it rests on ends."""

from __future__ import annotations

import datetime
import json

from bot.store import Mark, Store
from checks.evidence import Evidence
from checks.model import Report, State
from checks.policy import Policy

LATE = 1.0
"""Seconds after the end, so that it is over when it is looked at."""


def next_end(report: Report, evidence: Evidence, policy: Policy) -> float | None:
    """When the first of the exceptions and overrides that a report rests on ends, in seconds since 1970; None where it rests on none."""
    ends = [
        datetime.datetime.combine(one.expires + datetime.timedelta(days=1), datetime.time.min, datetime.UTC)
        for one in policy.exceptions
        if one.effect in {used.effect for used in report.exceptions}
    ]
    if report.verdict.state is State.OVERRIDDEN:
        ends += [one.until for one in evidence.overrides if one.until > evidence.now]
    return min(ends).timestamp() + LATE if ends else None


def write_down(store: Store, repository: str, number: int, installation: int, when: float | None) -> None:
    """Remember when to look at a pull request again; None: never."""
    key = f"due/{repository}/{number}"
    value = None if when is None else [when, installation]
    if store.fact(key) != value:
        store.remember(key, value)


def mark(store: Store, now: float) -> int:
    """Have every pull request looked at whose time has come; how many there were."""
    count = 0
    for name, value in store.facts("due/").items():
        if value is None or value[0] > now:
            continue
        repository, _, number = name.removeprefix("due/").rpartition("/")
        store.mark(Mark(f"{repository}/pull/{number}", repository, int(value[1]), "pull", json.dumps({"number": int(number)})))
        store.remember(name, None)
        count += 1
    return count
