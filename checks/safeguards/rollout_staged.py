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

from checks.delivery import deliveries
from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met, missing


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    weakened = [
        other
        for other in effects
        if other.rule.startswith("rollouts/") or (other.hazard is Hazard.PROTECTION_REMOVED and other.path == effect.path)
    ]
    for found in deliveries(change.after, effect.path):
        if found.staged and (not found.name or _same(found.name, effect.subject)):
            if any(other.path == found.path for other in weakened):
                return failed(f"{found.path} has it, and this change weakens it")
            return met(f"{found.staged} ({found.path})")
    return missing("nothing in the unit's folders at head ships in steps with automatic analysis")


def _same(name: str, subject: str) -> bool:
    """Whether a description is for the thing an effect speaks of: its name stands in the subject, or the subject names no workload."""
    words = subject.replace("/", " ").replace(":", " ").split()
    return name in words or any(word.split(".")[-1] == name.split(".")[-1] for word in words) or (len(words) == 1 and "." not in subject)


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        f"Let the unit of `{effect.subject}` ship in steps with automatic analysis (Argo Rollouts, Flagger, CodeDeploy). In its folder:\n\n"
        "```yaml\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec:\n  strategy:\n    canary:\n      analysis:\n"
        "        templates: [{templateName: success-rate}]\n      steps: [{setWeight: 10}, {pause: {duration: 10m}}, {setWeight: 50}, {pause: {duration: 10m}}]\n```"
    )


SAFEGUARD = Safeguard(
    name="rollout-staged",
    title="It ships in steps",
    hazards=frozenset({Hazard.COMPATIBILITY_BROKEN, Hazard.AVAILABILITY_REDUCED, Hazard.RESOURCE_REPLACED}),
    turns_green=_turns_green,
    from_change=_from_change,
)
