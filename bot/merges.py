"""What was merged, and with what verdict: whether anybody went round the gate, and what an approval alone let through.

Written down when a pull request is seen to be merged; read for the check run's own section and by `interlock doctor`. A push that went past pull
requests altogether is not seen here.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from bot.store import Store

DAYS = 90
"""How far back is looked."""
_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class Merges:
    """The merges into one branch of the last `DAYS` days."""

    merged: int = 0
    round: tuple[int, ...] = ()
    """Pull requests that were merged while the gate was red or had never spoken of their last commit."""
    hazardous: int = 0
    """Merges that did something severe."""
    unproven: int = 0
    """Of these: with a safeguard unproven, so that at most an approval cleared them."""


def write_down(store: Store, repository: str, number: int, pull: dict[str, Any], now: float) -> None:
    """Remember a merge with the last verdict on its head, once."""
    key = f"landed/{repository}/{number}"
    if store.fact(key) is not None:
        return
    head, base = str(pull["head"]["sha"]), str(pull["base"]["ref"])
    record = next(iter(store.records(repository, pull=number, head=head, base_ref=base)), None)
    report = json.loads(record.report) if record is not None and not record.report.startswith("sha256:") else {}
    severe = any(one["severity"] in ("high", "critical") and not one["hazard"].endswith(".narrowed") for one in report.get("effects", []))
    open_ones = any(one["status"] != "met" for one in report.get("requirements", []))
    store.remember(
        key,
        {
            "when": _time(pull.get("merged_at"), now),
            "base": base,
            "state": record.state if record is not None else "never",
            "hazardous": severe,
            "unproven": severe and open_ones,
        },
    )


def _time(text: Any, otherwise: float) -> float:
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return otherwise


def of_branch(store: Store, repository: str, base: str, now: float) -> Merges:
    """What is known of the merges into a branch."""
    known = {
        int(name.rpartition("/")[2]): one
        for name, one in store.facts(f"landed/{repository}/").items()
        if one and one["base"] == base and one["when"] > now - DAYS * _SECONDS
    }
    return Merges(
        merged=len(known),
        round=tuple(sorted(number for number, one in known.items() if one["state"] in ("blocked", "never"))),
        hazardous=sum(bool(one["hazardous"]) for one in known.values()),
        unproven=sum(bool(one["unproven"]) for one in known.values()),
    )


def sentences(found: Merges) -> tuple[str, ...]:
    """The same in words; nothing where nothing was merged."""
    if not found.merged:
        return ()
    which = ", ".join(f"#{number}" for number in found.round[-5:])
    told = [
        f"Of the {found.merged} merges seen here in the last {DAYS} days "
        + (f"{len(found.round)} went round this check ({which})." if found.round else "none went round this check.")
    ]
    if found.hazardous:
        share = round(100 * found.unproven / found.hazardous)
        told.append(
            f"{found.unproven} of {found.hazardous} hazardous merges ({share} %) were cleared by an approval at most: nothing was proven."
        )
    return tuple(told)
