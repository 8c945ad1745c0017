"""
A named check from a pinned App succeeded on this head, and the branch's rules force it.

## What it proves
A check that nobody on the agent's side can leave out or fake looked at exactly this commit and said yes.

## What counts as proof
A check run that the policy names (`evidence: check-required`), on the head commit, concluded exactly `success`, and the base branch's rules
require that check from that App.

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt. The App that the branch's
rules pin is the one that made the check, by its number.

## What turns it green
Name the check in the policy and make it required; then let it run on this head.

## What it cannot prove
That the check looks at the right thing: that is the choice of whoever wrote the policy.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof, Status
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, from_checks, unknown


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    check, proof = from_checks("check-required", assessment, evidence, policy)
    if proof.status is not Status.MET or check is None:
        return proof
    if evidence.rules is None:
        return unknown("GitHub did not say which checks the branch forces")
    forced = [required for required in evidence.rules.required if required.context == check.name]
    if not forced:
        return failed(f"{check.name} succeeded, but the base branch does not require it", check.url)
    if all(required.app_id is None for required in forced):
        return failed(f"{check.name} is required from any source: pin it to {check.app}", check.url)
    if check.app_id is None or all(required.app_id != check.app_id for required in forced):
        return failed(f"{check.name} is required from another App than {check.app}, which made this one", check.url)
    return proof


def _turns_green(effect: Effect, policy: Policy) -> str:
    sources = policy.sources("check-required")
    if sources:
        return f"Let `{sources[0].check or sources[0].workflow}` succeed on this head; it must be a required check of the base branch, pinned to its App."
    return (
        "Name the check that looks at this in `.github/interlock.yml` and make it a required check of the branch:\n\n"
        "```yaml\nevidence:\n  check-required: {app: github-actions, workflow: .github/workflows/ci.yml, check: test}\n```"
    )


SAFEGUARD = Safeguard(
    name="check-required",
    title="A forced check succeeded",
    hazards=frozenset({Hazard.CHECK_WEAKENED, Hazard.SUPPLY_CHANGED, Hazard.NOT_ANALYSED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
