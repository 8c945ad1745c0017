"""
The migration ran up, down and up again on this head, and the schemas agree.

## What it proves
There is a way back, and it was walked.

## What counts as proof
A check that the policy names for it, on this head; an empty down part is no proof.

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt; exactly `success`.

## What turns it green
Let the round trip run on this head.

## What it cannot prove
That the way back keeps the data that was in the dropped columns.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, from_checks


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    return from_checks("migration-reversed", assessment, evidence, policy)[1]


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        "Let the migration run up, down and up on a throw-away database in trusted CI. Name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  migration-reversed: {app: github-actions, workflow: .github/workflows/migrations.yml, check: round-trip}\n```"
    )


SAFEGUARD = Safeguard(
    name="migration-reversed",
    title="The migration was run up, down and up again",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.COMPATIBILITY_BROKEN}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
