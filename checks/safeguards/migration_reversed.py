"""
The migration ran up, down and up again on this head, and the schemas agree.

## What it proves
There is a way back, and it was walked.

## What counts as proof
The artifact that the policy names, of a run on this head: the schema's digest before, after up, after down and after up again; the first and the
third agree, the second and the fourth too, and up changes something, so an empty down part is no proof. Or, where the policy names no artifact,
a check on this head.

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt; exactly `success`.

## What turns it green
Let the round trip run on this head.

## What it cannot prove
That the way back keeps the data that was in the dropped columns.
"""

from __future__ import annotations

import re

from checks.evidence import ArtifactFact, Evidence
from checks.model import Assessment, Effect, Hazard, Proof, Unreadable
from checks.policy import Policy
from checks.readers.documents import plain_json
from checks.safeguards.base import ACTIONS, Safeguard, failed, from_checks, met, of_artifacts, offline, plain, refused

SCHEMA = "interlock/round-trip/1"
"""`start`, `up`, `down` and `again`: the schema's SHA-256 before, after up, after down and after up again."""
_HASH = re.compile(r"[0-9a-f]{64}")


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    sources = [source for source in policy.sources("migration-reversed") if source.artifact]
    if not sources:
        return from_checks("migration-reversed", assessment, evidence, policy)[1]
    if (answer := offline(evidence)) is not None:
        return answer
    proofs = []
    for source in sources:
        for artifact in evidence.artifacts:
            if artifact.name == source.artifact:
                why = refused(artifact, source, assessment.change.head)
                proofs.append(failed(f"the round trip is not accepted: {why}", artifact.check.url) if why else _agrees(artifact))
    return of_artifacts(sources[0].artifact, proofs)


def _agrees(artifact: ArtifactFact) -> Proof:
    """Whether a record of a round trip shows a way there, a way back, and the same schema each time."""
    url = artifact.check.url
    try:
        record = plain_json(artifact.content.encode(), artifact.name, 1 << 20)
    except Unreadable as unreadable:
        return failed(f"the round trip's record cannot be read: {unreadable.why}", url)
    names = ("start", "up", "down", "again")
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or not all(_HASH.fullmatch(str(record.get(name))) for name in names):
        return failed(f"the round trip's record is no {SCHEMA}", url)
    start, up, down, again = (str(record[name]) for name in names)
    if start == up:
        return failed("the migration changed nothing in the round trip", url)
    if down != start:
        return failed("down does not lead back to the schema before; an empty down part is no way back", url)
    if again != up:
        return failed("up does not lead to the same schema the second time", url)
    return met("up, down and up again, and the schemas agree", url)


def _turns_green(effect: Effect, policy: Policy) -> str:
    sources = policy.sources("migration-reversed")
    if sources:
        return f"Give `{effect.path}` a way back, and let `{sources[0].workflow or sources[0].check}` walk it on this head."
    folder = plain(effect.path.rpartition("/")[0], ".")
    return (
        "Let the migration run up, down and up on a throw-away database, as `.github/workflows/proofs.yml` on the base branch (the commands are "
        "your tool's; `$STEPS` is the number of migrations that a change adds):\n\n"
        "```yaml\non: pull_request\npermissions: {}\njobs:\n  proofs:\n    permissions: {contents: read}\n"
        f"    uses: {ACTIONS}/.github/workflows/proofs.yml@COMMIT\n    with:\n"
        f'      migrate-up: alembic upgrade head\n      migrate-down: alembic downgrade "-$STEPS"\n      migrations: {folder}\n```\n\n'
        "and name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  migration-reversed:\n    app: github-actions\n    workflow: .github/workflows/proofs.yml\n    check: proofs / round-trip\n"
        "    artifact: interlock-round-trip\n```"
    )


SAFEGUARD = Safeguard(
    name="migration-reversed",
    title="The migration was run up, down and up again",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.COMPATIBILITY_BROKEN}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
