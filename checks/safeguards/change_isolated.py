"""
The hazardous effect stands alone in its pull request.

## What it proves
Whoever looks at the change sees this one effect and nothing beside it, and a revert takes back nothing else.

## What counts as proof
All effects of at least moderate severity have the same hazard, and no more than a handful of files outside the effect's own folder change.

## How the proof is authenticated
It is computed from the two trees that merge.

## What turns it green
Move everything else into another pull request.

## What it cannot prove
That the effect is right: it only makes it visible.
"""

from __future__ import annotations

from checks.model import Change, Effect, Hazard, Proof, Severity
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met

ELSEWHERE = 5
"""Files that may change outside the folder of the effect."""


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    others = sorted(
        {
            other.hazard.value
            for other in effects
            if other.hazard is not effect.hazard and not other.hazard.harmless and other.severity.rank >= Severity.MODERATE.rank
        }
    )
    if others:
        return failed(f"the same change also has {', '.join(others[:3])}")
    folder = effect.path.rpartition("/")[0]
    elsewhere = sum(not (file.path.rpartition("/")[0] + "/").startswith(folder + "/" if folder else "") for file in change.files)
    if elsewhere > ELSEWHERE:
        return failed(f"{elsewhere} files change outside {folder}/")
    return met("no other effect in this change")


def _turns_green(effect: Effect, policy: Policy) -> str:
    return f"Move everything that has nothing to do with `{effect.subject}` into another pull request."


SAFEGUARD = Safeguard(
    name="change-isolated",
    title="The effect stands alone",
    hazards=frozenset(hazard for hazard in Hazard if not hazard.harmless),
    turns_green=_turns_green,
    from_change=_from_change,
)
