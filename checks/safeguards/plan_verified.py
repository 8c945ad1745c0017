"""
The plan made in trusted CI for this head says the same as the prediction.

## What it proves
The tool's own plan covers every predicted deletion and replacement, and shows nothing destructive besides.

## What counts as proof
A redacted digest of the plan that a trusted check or artifact carries.

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt; exactly `success`.

## What turns it green
Let trusted CI make the plan for this head and publish its digest.

## What it cannot prove
What changes between the plan and the apply.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, from_checks


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    return from_checks("plan-verified", assessment, evidence, policy)[1]


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        "Let trusted CI make the plan for this head and publish its digest (`interlock plan digest plan.json`). Name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  plan-verified: {app: github-actions, workflow: .github/workflows/plan.yml, check: plan, artifact: interlock-plan}\n```"
    )


SAFEGUARD = Safeguard(
    name="plan-verified",
    title="The plan agrees",
    hazards=frozenset({Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED, Hazard.DATA_DESTROYED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
