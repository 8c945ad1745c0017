"""
The plan made in trusted CI for this head says what was predicted, and nothing destructive besides.

## What it proves
The tool itself, with its state and its credentials, comes to the same deletions and replacements as the prediction from the two trees: what is
about to happen is known in full before anything merges.

## What counts as proof
A redacted digest of a plan (Terraform, OpenTofu, a CloudFormation change set), as `interlock plan digest` makes it, in the artifact that the
policy names. It must name every predicted deletion and replacement, and hold no destructive change that was not predicted.
A plan that positively shows a resource as kept (updated, moved, forgotten) settles the prediction as well. What a plan does not speak of is not
settled: it may be the plan of another directory.

## How the proof is authenticated
The artifact is of a run of the named workflow, whose file is the same at head as on the base branch, for the head commit, under an event that
runs the head's code, in this repository, concluded exactly `success`. The digest's own checksum must fit.

## What turns it green
Let trusted CI make the plan for this head and publish its digest.

## What it cannot prove
What changes between the plan and the apply: apply the plan that was made.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof, Status, Unreadable
from checks.plans import PlanDigest, covers, read_digest
from checks.policy import Policy
from checks.safeguards.base import ACTIONS, Safeguard, failed, from_checks, met, missing, offline, plain, refused, unknown


def trusted_plans(assessment: Assessment, evidence: Evidence, policy: Policy) -> tuple[tuple[PlanDigest, str | None], ...] | Proof:
    """The plans that trusted CI published for this head, with their addresses; or why there is none that counts."""
    if (answer := offline(evidence)) is not None:
        return answer
    sources = [source for source in policy.sources("plan-verified") if source.artifact]
    if not sources:
        return missing("the policy names no workflow and artifact that carry the plan's digest")
    plans: list[tuple[PlanDigest, str | None]] = []
    for source in sources:
        _, ran = from_checks("plan-verified", assessment, evidence, policy)
        if ran.status is Status.FAILED:
            return ran
        for artifact in evidence.artifacts:
            if artifact.name != source.artifact:
                continue
            why = refused(artifact, source, assessment.change.head)
            if why is not None:
                return failed(f"the plan is not accepted: {why}", artifact.check.url)
            try:
                plans.append((read_digest(artifact.content.encode()), artifact.check.url))
            except Unreadable as unreadable:
                return failed(f"the plan's digest cannot be read: {unreadable.why}", artifact.check.url)
    if not plans:
        return missing(f"no artifact `{sources[0].artifact}` of a finished run for this head")
    return tuple(plans)


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    plans = trusted_plans(assessment, evidence, policy)
    if isinstance(plans, Proof):
        return plans
    if effect.fact("action") is None:
        return missing("a plan says nothing about this kind of effect")
    doubt: Proof | None = None
    judged = [(plan, url, covers(assessment.effects, plan)) for plan, url in plans]
    # Every plan must be without surprises before any of them counts, in whatever order they came.
    for _, url, coverage in judged:
        if coverage.unpredicted:
            rows = ", ".join(f"{row.action} {row.address}" for row in coverage.unpredicted[:3])
            return failed(f"the plan destroys more than was predicted: {rows}", url)
    for plan, url, coverage in judged:
        if effect.id in coverage.covered:
            return met("the plan for this head says the same", url)
        if effect.id in coverage.unknown:
            doubt = unknown("the plan itself does not know what happens to it")
        elif shown_as_kept(effect, plan):
            return met("the plan for this head keeps it", url)
    return doubt or missing(f"no plan for this head speaks of {effect.subject}")


def shown_as_kept(effect: Effect, plan: PlanDigest) -> bool:
    """Whether a plan positively shows every address of an effect as not destroyed."""
    found = [[row for row in plan.changes if address in (row.address, row.previous)] for address in _addresses(effect)]
    return plan.complete and bool(found) and all(rows and not any(row.destructive for row in rows) for rows in found)


def shown_as_lost(effect: Effect, plan: PlanDigest) -> bool:
    """Whether a plan destroys an address of an effect."""
    return any(row.destructive and address in (row.address, row.previous) for row in plan.changes for address in _addresses(effect))


def _addresses(effect: Effect) -> list[str]:
    return [value for name, value in effect.facts if name == "address"]


def _turns_green(effect: Effect, policy: Policy) -> str:
    source = next((one for one in policy.sources("plan-verified") if one.artifact), None)
    if source is not None:
        return f"Let `{source.workflow or source.check}` make the plan for this head and publish its digest as the artifact `{source.artifact}`."
    folder = plain(effect.path.rpartition("/")[0], ".")
    return (
        "Let trusted CI make the plan for this head and publish its digest, as `.github/workflows/proofs.yml` on the base branch:\n\n"
        "```yaml\non: pull_request\npermissions: {}\njobs:\n  proofs:\n    permissions: {contents: read}\n"
        f"    uses: {ACTIONS}/.github/workflows/proofs.yml@COMMIT\n    with:\n      terraform: {folder}\n"
        "    secrets:\n      environment: ${{ secrets.TERRAFORM_READER }}\n```\n\n"
        f"(or, after a plan that your own workflow makes, the action `{ACTIONS}/.github/actions/plan-digest`), "
        "and name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  plan-verified:\n    app: github-actions\n    workflow: .github/workflows/proofs.yml\n    check: proofs / plan\n"
        "    artifact: interlock-plan\n```"
    )


SAFEGUARD = Safeguard(
    name="plan-verified",
    title="The plan agrees",
    hazards=frozenset({Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED, Hazard.DATA_DESTROYED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
