"""
A backup of this data store was restored, not long ago.

## What it proves
What is lost can be brought back: it was tried.

## What counts as proof
A drill workflow that the policy names succeeded within N days (30 unless the policy says otherwise).

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt; exactly `success`.

## What turns it green
Run the restore drill, with the workflow as it is on the base branch.

## What it cannot prove
That the backup holds the newest rows.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, from_checks


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    return from_checks("restore-proven", assessment, evidence, policy)[1]


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        "Run the restore drill for this data store. Name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  restore-proven: {app: github-actions, workflow: .github/workflows/restore-drill.yml, check: restore, within_days: 30}\n```"
    )


SAFEGUARD = Safeguard(
    name="restore-proven",
    title="A restore was practised",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
