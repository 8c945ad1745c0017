"""
The unit ships by canary or steps with automatic analysis.

## What it proves
A bad version reaches few, and is noticed by a machine.

## What counts as proof
A Rollout, Canary or deployment preference with steps and analysis for this unit at head, not weakened here.

## How the proof is authenticated
It is read from the two trees that merge: there at head, and not weakened by this change.

## What turns it green
Give the unit steps and an analysis.

## What it cannot prove
That the analysis looks at the right metric.
"""

from __future__ import annotations

from checks.delivery import lines_for, proof_of
from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    return proof_of(
        effect, change, effects, lambda found: found.staged, "nothing in the unit's folders at head ships in steps with automatic analysis"
    )


def _turns_green(effect: Effect, policy: Policy) -> str:
    return f"Let the unit of `{effect.subject}` ship in steps with automatic analysis. {lines_for(effect, staged=True)}"


SAFEGUARD = Safeguard(
    name="rollout-staged",
    title="It ships in steps",
    hazards=frozenset({Hazard.COMPATIBILITY_BROKEN, Hazard.AVAILABILITY_REDUCED, Hazard.RESOURCE_REPLACED}),
    turns_green=_turns_green,
    from_change=_from_change,
)
