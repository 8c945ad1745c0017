"""
A backup of this data store was restored, not long ago.

## What it proves
What is lost can be brought back: it was tried.

## What counts as proof
The newest finished run of a drill workflow that the policy names, on the branch this change lands on, succeeded within N days (30 unless the
policy says otherwise). A drill that failed since takes the proof back.

## How the proof is authenticated
It is a run of the workflow file as merged, in this repository, under a schedule, a dispatch or a push to that branch; exactly `success`.

## What turns it green
Run the restore drill on the branch this change lands on.

## What it cannot prove
That the backup holds the newest rows, and which data store the drill restored: its workflow says.
"""

from __future__ import annotations

from checks.evidence import Evidence
from checks.model import Assessment, Effect, Hazard, Proof, Status
from checks.policy import Policy, Source
from checks.safeguards.base import Safeguard, failed, met, missing, offline, unknown

DAYS = 30
"""How old a drill may be, if the policy does not say."""
EVENTS = frozenset({"schedule", "workflow_dispatch", "push", "repository_dispatch"})
"""Events under which a workflow of the branch itself runs, not one of a pull request."""


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    if (answer := offline(evidence)) is not None:
        return answer
    sources = [source for source in policy.sources("restore-proven") if source.workflow]
    if not sources:
        return missing("the policy names no workflow that practises a restore")
    if evidence.drills is None:
        return unknown("the runs of the drill could not be read")
    proofs = [_newest(source, evidence) for source in sources]
    return next((proof for proof in proofs if proof.status is Status.MET), proofs[0])


def _newest(source: Source, evidence: Evidence) -> Proof:
    """What the newest finished run of a drill says."""
    mine = [
        drill
        for drill in evidence.drills or ()
        if drill.workflow == source.workflow
        and drill.event in EVENTS
        and drill.same_repository
        and drill.completed is not None
        and drill.job in (None, source.check)
    ]
    if not mine:
        return missing(f"no finished run of {source.workflow} on the branch this lands on")
    last = max(mine, key=lambda drill: drill.completed or evidence.now)
    assert last.completed is not None
    age = (evidence.now - last.completed).total_seconds() / 86400
    days = source.within_days or DAYS
    if last.conclusion != "success":
        return failed(f"the newest drill ended as {last.conclusion}; only success counts", last.url)
    if age > days:
        return missing(f"the newest drill is {age:.0f} days old; {days} are allowed")
    if age < -0.01:
        return unknown("the newest drill ended in the future: one of the clocks is wrong")
    return met(f"{source.workflow} restored a backup {age:.0f} days ago", last.url)


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
