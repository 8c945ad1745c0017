"""
A backup of this data store was restored, not long ago.

## What it proves
What is lost can be brought back: it was tried.

## What counts as proof
The newest finished run of a drill workflow that the policy names, on the branch this change lands on, succeeded within N days (30 unless the
policy says otherwise). A drill that failed since takes the proof back. Where the policy names an artifact, its record must name this very store
among those that were restored, with rows that came back from a backup that is not older than the drill may be.

## How the proof is authenticated
It is a run of the workflow file as merged, in this repository, under a schedule, a dispatch or a push to that branch; exactly `success`.

## What turns it green
Run the restore drill on the branch this change lands on.

## What it cannot prove
That the backup holds the newest rows; and, where the policy names no artifact, which data store the drill restored.
"""

from __future__ import annotations

import datetime
from typing import Any

from checks.evidence import DrillFact, Evidence
from checks.model import Assessment, Effect, Hazard, Proof, Status, Unreadable
from checks.patterns import matching
from checks.policy import Policy, Source
from checks.readers.documents import plain_json
from checks.safeguards.base import ACTIONS, Safeguard, failed, met, missing, offline, plain, unknown

SCHEMA = "interlock/restore-drill/1"
"""`stores`: what was restored; `taken` and `restored`: when, in RFC 3339; `seconds`; `rows`: how many came back."""

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
    proofs = [_newest(source, evidence, effect) for source in sources]
    return next((proof for proof in proofs if proof.status is Status.MET), proofs[0])


def _newest(source: Source, evidence: Evidence, effect: Effect) -> Proof:
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
    last = max(mine, key=lambda drill: (drill.completed or evidence.now, drill.conclusion != "success"))
    assert last.completed is not None
    age = (evidence.now - last.completed).total_seconds() / 86400
    days = source.within_days or DAYS
    if last.conclusion != "success":
        return failed(f"the newest drill ended as {last.conclusion}; only success counts", last.url)
    if age > days:
        return missing(f"the newest drill is {age:.0f} days old; {days} are allowed")
    if age < -0.01:
        return unknown("the newest drill ended in the future: one of the clocks is wrong")
    if source.artifact is not None and (doubt := _doubt(last, effect, evidence.now, days)) is not None:
        return doubt
    return met(f"{source.workflow} restored a backup {age:.0f} days ago", last.url)


def _doubt(drill: DrillFact, effect: Effect, now: datetime.datetime, days: int) -> Proof | None:
    """Why the record of a drill is no proof for an effect; None if it is."""
    if not drill.record:
        return missing("the newest drill published no record under the name that the policy gives")
    try:
        record: Any = plain_json(drill.record.encode(), "record", 1 << 20)
    except Unreadable as unreadable:
        return failed(f"the drill's record cannot be read: {unreadable.why}", drill.url)
    stores = record.get("stores") if isinstance(record, dict) and record.get("schema") == SCHEMA else None
    if not isinstance(stores, list) or not all(isinstance(one, str) for one in stores) or type(record.get("rows")) is not int:
        return failed(f"the drill's record is no {SCHEMA}", drill.url)
    if record["rows"] < 1:
        return failed("nothing came back in the newest drill", drill.url)
    if not any(_speaks_of(store, effect) for store in stores):
        return missing(f"the newest drill restored {', '.join(stores[:3]) or 'nothing that it names'}, not {effect.subject}")
    taken = record.get("taken")
    if taken is None:
        return None
    try:
        age = (now - datetime.datetime.fromisoformat(str(taken).replace("Z", "+00:00"))).total_seconds() / 86400
    except (ValueError, TypeError):
        return failed("the drill's record does not say when its backup was taken", drill.url)
    if age < -0.01:
        return failed("the drill's record says that its backup was taken in the future", drill.url)
    return missing(f"the backup that was restored is {age:.0f} days old; {days} are allowed") if age > days else None


def _speaks_of(store: str, effect: Effect) -> bool:
    """Whether a store's name means what an effect takes: by its subject, address or table, or by a pattern of its files."""
    names = {effect.subject, effect.subject.partition(" ")[0], *(value for name, value in effect.facts if name in ("address", "table"))}
    return store in names or ("/" in store and matching((store,), effect.path))


def _turns_green(effect: Effect, policy: Policy) -> str:
    sources = policy.sources("restore-proven")
    if sources:
        named = f", with `{effect.subject}` among its `stores`" if sources[0].artifact else ""
        return f"Run `{sources[0].workflow}` on the branch this change lands on{named}, then comment `/interlock recheck`."
    return (
        "Practise the restore of this data store on a schedule, on the branch this change lands on, as `.github/workflows/restore-drill.yml`:\n\n"
        "```yaml\non:\n  schedule: [{cron: 17 3 * * 1}]\n  workflow_dispatch:\npermissions: {}\njobs:\n  restore:\n    permissions: {contents: read}\n"
        f"    uses: {ACTIONS}/.github/workflows/proofs.yml@COMMIT\n    with:\n      restore: ./scripts/restore-newest-backup.sh\n"
        "      restore-count: ./scripts/count-restored-rows.sh\n"
        f"      restore-stores: {plain(effect.subject, 'NAME')}\n"
        "    secrets:\n      environment: ${{ secrets.BACKUP_READER }}\n```\n\nand name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  restore-proven:\n    app: github-actions\n    workflow: .github/workflows/restore-drill.yml\n"
        "    check: restore / restore-drill\n    artifact: interlock-restore-drill\n    within_days: 30\n```"
    )


SAFEGUARD = Safeguard(
    name="restore-proven",
    title="A restore was practised",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
