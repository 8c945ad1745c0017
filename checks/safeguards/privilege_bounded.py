"""
New access stays inside a boundary, by computation.

## What it proves
What is newly allowed is limited: by a permissions boundary, by a scope, or by a condition on environment, source or time.

## What counts as proof
The detector that computed the new access marks it as bounded: the principal has a permissions boundary at head that this change does not
touch, or every new statement names its resources and has a condition. A token that is narrowed again gives no effect at all.

## How the proof is authenticated
It is computed from the two trees that merge.

## What turns it green
Narrow the access to what the job needs; the lines below say where.

## What it cannot prove
That the boundary itself is tight enough.
"""

from __future__ import annotations

from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, met, missing


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    bound = effect.fact("bounded")
    return met(f"bounded by {bound}") if bound else missing("the new access has no boundary, scope or condition")


def _turns_green(effect: Effect, policy: Policy) -> str:
    text = f"Narrow what `{effect.subject}` newly gets"
    was = f" (it was `{effect.before}`)" if effect.before else ""
    return f"{text}{was}: name the actions and resources it needs, or bind it to an environment, a source or a permissions boundary." + (
        f"\n\n```\n{effect.keeps.strip()}\n```" if effect.keeps else ""
    )


SAFEGUARD = Safeguard(
    name="privilege-bounded",
    title="New access is bounded",
    hazards=frozenset({Hazard.PRIVILEGE_WIDENED, Hazard.EXPOSURE_WIDENED, Hazard.SECRET_EXPOSED, Hazard.PIPELINE_WIDENED}),
    turns_green=_turns_green,
    from_change=_from_change,
)
