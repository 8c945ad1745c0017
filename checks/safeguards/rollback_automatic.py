"""
An alarm or analysis rolls the unit back without a person.

## What it proves
A bad version goes away by itself.

## What counts as proof
A rollback configuration for this unit at head, not weakened here.

## How the proof is authenticated
It is read from the two trees that merge: there at head, and not weakened by this change.

## What turns it green
Switch automatic rollback on.

## What it cannot prove
That the alarm fires.
"""

from __future__ import annotations

from checks.delivery import lines_for, proof_of
from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    return proof_of(
        effect, change, effects, lambda found: found.rollback, "nothing in the unit's folders at head rolls it back without a person"
    )


def _turns_green(effect: Effect, policy: Policy) -> str:
    return f"Switch automatic rollback on for the unit of `{effect.subject}`. {lines_for(effect, staged=False)}"


SAFEGUARD = Safeguard(
    name="rollback-automatic",
    title="It rolls back by itself",
    hazards=frozenset({Hazard.AVAILABILITY_REDUCED}),
    turns_green=_turns_green,
    from_change=_from_change,
)
