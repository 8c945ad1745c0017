"""
The protection was taken off earlier, in a change of its own.

## What it proves
The deletion was announced: there were two steps, with time between them to notice.

## What counts as proof
The base branch's history shows that a merged commit took the guard off this thing (`prevent_destroy`, `deletion_protection`,
`DeletionPolicy`, …) at least N hours ago (24 unless the policy says otherwise), and it stands without the guard at the merge base.
Never when this change takes the guard off itself.

## How the proof is authenticated
The commit is an ancestor of the base branch on its first-parent line; its time is the time it was merged, not the time its author wrote.

## What turns it green
Open a pull request that only takes the guard off, merge it, and come back after the time is over.

## What it cannot prove
That anybody looked.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met, missing, unknown

HOURS = 24
"""How long a guard must have been off, if the policy does not say."""


def _hours(policy: Policy) -> int:
    return next((source.hours for source in policy.sources("deletion-staged") if source.hours is not None), HOURS)


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    together = [
        other
        for other in effects
        if other.hazard is Hazard.PROTECTION_REMOVED and other.subject.partition(" ")[0] == effect.subject.partition(" ")[0]
    ]
    return failed("this change takes the guard off and the thing away at once") if together else None


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    if any(name == "deletion-staged" and one == effect.id for name, one, _ in assessment.proofs):
        return failed("this change takes the guard off and the thing away at once")
    if evidence.staged is None:
        return unknown("the history of the base branch was not looked at")
    hours = _hours(policy)
    staged = [removal for removal in evidence.staged if (removal.path, removal.subject) == (effect.path, effect.subject)]
    if not staged:
        return missing(f"no earlier change on the base branch took a guard off {effect.subject}")
    last = max(staged, key=lambda removal: removal.when)
    age = (evidence.now - last.when).total_seconds() / 3600
    if age < hours:
        return missing(f"the guard went off in {last.commit[:12]} only {age:.0f} hours ago; {hours} are needed")
    return met(f"the guard went off in {last.commit[:12]}, {age / 24:.0f} days ago")


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        f"Take the guard off `{effect.subject}` in a pull request of its own, merge it, and delete `{effect.subject}` "
        f"in this one {_hours(policy)} hours later."
    )


SAFEGUARD = Safeguard(
    name="deletion-staged",
    title="Deletion in two steps",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED}),
    turns_green=_turns_green,
    from_change=_from_change,
    from_evidence=_from_evidence,
)
