"""
Nothing at head still reads what is dropped or renamed.

## What it proves
The release that is running does not break when the column or table goes.

## What counts as proof
No source file at head names it, and none at the merge base did: the last reader went in an earlier change.

## How the proof is authenticated
It is read from the two trees that merge: there at head, and not weakened by this change.

## What turns it green
Remove the last reader in a pull request of its own, release it, then drop.

## What it cannot prove
Readers outside this repository.
"""

from __future__ import annotations

from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, met, missing


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    shown = effect.fact("unread")
    return met(shown) if shown else missing("nothing at head shows it")


def _turns_green(effect: Effect, policy: Policy) -> str:
    return f"Remove every reader of `{effect.subject}` in a pull request of its own, release that, and drop it afterwards."


SAFEGUARD = Safeguard(
    name="expand-contract",
    title="Nothing reads it any more",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.COMPATIBILITY_BROKEN}),
    turns_green=_turns_green,
    from_change=_from_change,
)
