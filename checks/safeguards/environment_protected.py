"""
The job that gains something runs in a protected environment.

## What it proves
Secrets and deploy rights are behind a door that neither the author nor the agent can open alone.

## What counts as proof
The job names a GitHub environment, and GitHub says that the environment has required reviewers or a branch
policy that administrators cannot bypass. A wait timer alone is no protection: it opens by itself.

## How the proof is authenticated
GitHub's own answer about the environment, asked at the moment of the decision.

## What turns it green
Give the job an `environment:` and protect that environment.

## What it cannot prove
That the reviewers of the environment read what they release.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met, missing, offline, unknown


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    name = effect.fact("job-environment")
    if not name:
        return missing("the job runs in no environment")
    if (answer := offline(evidence)) is not None:
        return answer
    if evidence.environments is None:
        return unknown("GitHub did not say how its environments are protected")
    environment = next((one for one in evidence.environments if one.name == name), None)
    if environment is None or not environment.protected:
        return failed(f"the environment {name} has no protection rules")
    if environment.admins_bypass is not False:
        return failed(f"administrators may bypass the environment {name}, or GitHub does not say")
    return met(f"the environment {name} is protected")


def _turns_green(effect: Effect, policy: Policy) -> str:
    return (
        f"Run `{effect.subject}` in a protected environment (Settings → Environments: required reviewers or a branch policy, "
        "administrators may not bypass), or take back what it gains:\n\n```yaml\n    environment: production\n```"
    )


SAFEGUARD = Safeguard(
    name="environment-protected",
    title="A protected environment",
    hazards=frozenset({Hazard.PRIVILEGE_WIDENED, Hazard.SECRET_EXPOSED, Hazard.PIPELINE_WIDENED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
