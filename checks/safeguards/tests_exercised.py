"""
Tests that reach the changed code ran and passed in trusted CI on this head.

## What it proves
The changed lines were executed by tests that could have failed.

## What counts as proof
A check that the policy names for it, on this head.

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt; exactly `success`.

## What turns it green
Let the tests run on this head with the workflow as it is on the base branch.

## What it cannot prove
That the tests assert the right thing.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, from_checks


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    return from_checks("tests-exercised", assessment, evidence, policy)[1]


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        "Let the tests run on this head, with the workflow as it is on the base branch. Name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  tests-exercised: {app: github-actions, workflow: .github/workflows/test.yml, check: test}\n```"
    )


SAFEGUARD = Safeguard(
    name="tests-exercised",
    title="Tests reached the changed code",
    hazards=frozenset({Hazard.CHECK_WEAKENED, Hazard.SUPPLY_CHANGED, Hazard.COMPATIBILITY_BROKEN, Hazard.AVAILABILITY_REDUCED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
