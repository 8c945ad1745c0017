"""
Tests that reach the changed code ran and passed in trusted CI on this head.

## What it proves
The changed lines were executed by tests that could have failed.

## What counts as proof
The artifact that the policy names, of a run on this head, lists for each file the lines that can run and those that tests ran; of the changed ones
all were (or the share that the policy asks for with `percent`). Or, where the policy names no artifact, a check on this head.

## How the proof is authenticated
Bound to the App, the workflow file as it is on the base branch, the event, the head commit and the newest attempt; exactly `success`.

## What turns it green
Let the tests run on this head with the workflow as it is on the base branch.

## What it cannot prove
That the tests assert the right thing.
"""

from __future__ import annotations

from checks.evidence import ArtifactFact, CoverageFact, Evidence
from checks.model import Assessment, Effect, Hazard, Proof
from checks.policy import Policy, Source
from checks.safeguards.base import ACTIONS, Safeguard, failed, from_checks, met, missing, of_artifacts, offline, refused


def _from_evidence(effect: Effect, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    sources = [source for source in policy.sources("tests-exercised") if source.artifact]
    if not sources:
        return from_checks("tests-exercised", assessment, evidence, policy)[1]
    if (answer := offline(evidence)) is not None:
        return answer
    proofs = [_reached(source, fact, assessment.change.head) for source in sources for fact in evidence.coverage]
    return of_artifacts(sources[0].artifact, proofs)


def _reached(source: Source, fact: CoverageFact, head: str) -> Proof:
    """What one artifact says: of several, each must say yes."""
    why = refused(ArtifactFact(str(source.artifact), "", fact.check), source, head) or fact.wrong
    if why:
        return failed(f"the coverage is not accepted: {why}", fact.check.url)
    if not fact.lines:
        return missing("no changed line is one that tests can run, so tests say nothing of this change")
    wanted = source.percent or 100
    if fact.run * 100 < wanted * fact.lines:
        return failed(
            f"tests ran {fact.run} of {fact.lines} changed lines ({wanted} % are needed); not {', '.join(fact.missed[:3])}", fact.check.url
        )
    return met(f"tests ran {fact.run} of {fact.lines} changed lines", fact.check.url)


def _turns_green(effect: Effect, policy: Policy) -> str:
    sources = policy.sources("tests-exercised")
    if sources:
        return f"Let `{sources[0].workflow or sources[0].check}` succeed on this head, with tests that run the changed lines of `{effect.path}`."
    return (
        "Let tests run the changed lines in trusted CI, as `.github/workflows/proofs.yml` on the base branch:\n\n"
        "```yaml\non: pull_request\npermissions: {}\njobs:\n  proofs:\n    permissions: {contents: read}\n"
        f"    uses: {ACTIONS}/.github/workflows/proofs.yml@COMMIT\n    with:\n"
        "      prepare: pip install --requirement requirements.txt\n      tests: pytest --cov --cov-report=xml\n```\n\n"
        "and name it in `.github/interlock.yml`:\n\n"
        "```yaml\nevidence:\n  tests-exercised:\n    app: github-actions\n    workflow: .github/workflows/proofs.yml\n    check: proofs / tests\n"
        "    artifact: interlock-coverage\n    percent: 90\n```"
    )


SAFEGUARD = Safeguard(
    name="tests-exercised",
    title="Tests reached the changed code",
    hazards=frozenset({Hazard.CHECK_WEAKENED, Hazard.SUPPLY_CHANGED, Hazard.COMPATIBILITY_BROKEN, Hazard.AVAILABILITY_REDUCED}),
    turns_green=_turns_green,
    from_evidence=_from_evidence,
)
