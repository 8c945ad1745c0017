"""
The change itself keeps the thing that would be lost.

## What it proves
What leaves the configuration is not deleted: the tool is told to let go of it, or to move it.

## What counts as proof
At head: a `removed` block with `destroy = false` or a `moved` block (Terraform, OpenTofu), `DeletionPolicy: Retain` (CloudFormation),
`Prune=false` (Argo CD), `helm.sh/resource-policy: keep` (Helm). Then the loss is no effect any more, and this requirement goes with it.
A plan made in trusted CI that positively shows the thing as kept counts as well.

## How the proof is authenticated
It is read from the two trees that merge; a plan is authenticated as `plan-verified` says.

## What turns it green
Add the lines below, for this resource, and push.

## What it cannot prove
That somebody does not delete the thing by hand afterwards.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, met, missing
from checks.safeguards.plan_verified import shown_as_kept, shown_as_lost, trusted_plans


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    """An effect that is still there was not kept: a kept thing gives no effect."""
    return missing(f"nothing at head keeps {effect.subject}")


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    """A trusted plan that positively shows the thing as kept outranks the prediction."""
    plans = trusted_plans(assessment, evidence, policy)
    if not isinstance(plans, Proof):
        kept = [url for plan, url in plans if shown_as_kept(effect, plan)]
        if kept and not any(shown_as_lost(effect, plan) for plan, _ in plans):
            return met("the plan for this head keeps it", kept[0])
    return missing(f"nothing at head keeps {effect.subject}")


def _turns_green(effect: Effect, policy: Policy) -> str:
    if effect.keeps:
        return f"Keep `{effect.subject}`: add\n\n```\n{effect.keeps.strip()}\n```"
    return f"Keep `{effect.subject}`: leave it where it is, or tell the tool to let go of it without deleting it."


SAFEGUARD = Safeguard(
    name="state-kept",
    title="The change keeps the thing",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED}),
    turns_green=_turns_green,
    from_change=_from_change,
    from_evidence=_from_evidence,
)
