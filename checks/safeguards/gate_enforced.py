"""
Interlock's own check is required here, pinned to its App, and nobody on the agent's side may bypass it.

## What it proves
The gate is a gate: a red check really stops the merge.

## What counts as proof
The base branch's rules require the check `interlock: <branch>` from this App's id, and the list of those who may bypass is known and empty.

## How the proof is authenticated
GitHub's own answer about the branch's active rules, asked at the moment of the decision.

## What turns it green
An administrator makes the check required; the command below does it.

## What it cannot prove
What an administrator does with the rules tomorrow.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met, missing, offline, unknown


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    if (answer := offline(evidence)) is not None:
        return answer
    if evidence.rules is None:
        return unknown("GitHub did not say what the branch's rules are")
    ours = [required for required in evidence.rules.required if required.context == evidence.gate_check]
    if not ours:
        return missing(f"`{evidence.gate_check}` is not a required check of the base branch")
    if not any(required.app_id == evidence.gate_app_id for required in ours):
        return failed(f"`{evidence.gate_check}` is required, but from any source: anyone who can push can fake it")
    if evidence.rules.bypass is None:
        return unknown("GitHub does not say who may bypass the branch's rules")
    if evidence.rules.bypass:
        return failed(f"the rules can be bypassed by {', '.join(evidence.rules.bypass[:3])}")
    return met("the check is required, pinned to this App, and nobody may bypass it")


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        "An administrator makes Interlock's check required and pins it to the App (Settings → Rules → Rulesets → Require status checks → "
        "source: Interlock) and empties the bypass list. `interlock doctor OWNER/REPO` prints the exact command."
    )


SAFEGUARD = Safeguard(
    name="gate-enforced",
    title="The gate is enforced",
    hazards=frozenset({Hazard.GATE_CHANGED, Hazard.AGENT_WIDENED, Hazard.AGENT_UNGUARDED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
