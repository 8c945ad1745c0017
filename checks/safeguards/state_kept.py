"""
The change itself keeps the thing that would be lost.

## What it proves
What leaves the configuration is not deleted: the tool is told to let go of it, or to move it.

## What counts as proof
At head: a `removed` block with `destroy = false` or a `moved` block (Terraform, OpenTofu), `DeletionPolicy: Retain` (CloudFormation),
`Prune=false` (Argo CD), `helm.sh/resource-policy: keep` (Helm). Then the loss is no effect any more, and this requirement goes with it.

## How the proof is authenticated
It is read from the two trees that merge; nothing else can claim it.

## What turns it green
Add the lines below, for this resource, and push.

## What it cannot prove
That somebody does not delete the thing by hand afterwards.
"""

from __future__ import annotations

from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, missing


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    """An effect that is still there was not kept: a kept thing gives no effect."""
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
)
