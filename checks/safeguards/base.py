"""What a safeguard is: which hazards it answers, what counts as proof, what turns it green."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from checks.evidence import ArtifactFact, CheckFact, Evidence
from checks.model import Assessment, Change, Effect, Hazard, Proof, Status
from checks.policy import Policy, Source

ACTIONS = "YOUR-ORG/interlock"
"""What stands for your copy of this project in lines to paste; COMMIT, beside it, for the full commit that you trust."""
HEADINGS = ("What it proves", "What counts as proof", "How the proof is authenticated", "What turns it green", "What it cannot prove")
"""The headings of every safeguard's docstring, in this order."""

FromChange = Callable[[Effect, Change, tuple[Effect, ...]], Proof | None]
"""The effect, the change and all its effects → a proof that the two trees alone give, or None."""
FromEvidence = Callable[[Effect, Assessment, Evidence, Policy], Proof]
"""The effect, its assessment, the facts and the policy → a proof."""
TurnsGreen = Callable[[Effect, Policy], str]
"""The effect and the policy → lines to paste, in Markdown."""


@dataclass(frozen=True, slots=True)
class Safeguard:
    """One automatic safeguard. Its module's docstring is its page."""

    name: str
    title: str
    hazards: frozenset[Hazard]
    turns_green: TurnsGreen
    from_change: FromChange | None = None
    from_evidence: FromEvidence | None = None


def plain(text: str, otherwise: str) -> str:
    """A name of the change inside lines to paste: only one that means nothing else there, else a word for it."""
    return text if _PLAIN.fullmatch(text) else otherwise


_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}")


def met(source: str, url: str | None = None) -> Proof:
    """Proven."""
    return Proof(Status.MET, source, url)


def missing(source: str) -> Proof:
    """Looked for, not there."""
    return Proof(Status.MISSING, source)


def failed(source: str, url: str | None = None) -> Proof:
    """There, and it says no."""
    return Proof(Status.FAILED, source, url)


def unknown(source: str) -> Proof:
    """Could not be looked up."""
    return Proof(Status.UNKNOWN, source)


def offline(evidence: Evidence) -> Proof | None:
    """The answer of every safeguard that needs GitHub when there is none."""
    return None if evidence.connected else unknown("needs GitHub, and this review ran without it")


def of_artifacts(name: str | None, proofs: Sequence[Proof]) -> Proof:
    """What the artifacts of one name say together: of several, each must say yes."""
    if not proofs:
        return missing(f"no artifact `{name}` of a finished run for this head")
    return next((proof for proof in proofs if proof.status is not Status.MET), proofs[0])


TRUSTED_EVENTS = frozenset({"pull_request", "push", "merge_group", "workflow_dispatch", "schedule"})
"""Events under which the workflow file that runs is the head's own: trusted because its content is compared with the base's. Under
`pull_request_target` and `workflow_run` it is the default branch's, and the code it checks out is not bound to the head."""


def authentic(check: CheckFact, source: Source, head: str) -> str | None:
    """Why a check run is not proof from `source` for `head`; None if it is.

    Bound to: the head commit, the App, for GitHub Actions the workflow's path, its content on the base branch, the event, the newest attempt,
    and that the check is a job of that very run.
    """
    reasons = (
        (check.head != head, "it is for another commit"),
        (source.app is not None and check.app != source.app, f"it comes from {check.app}, not {source.app}"),
        (source.check is not None and check.name != source.check, "it has another name"),
        (source.workflow is not None and check.workflow != source.workflow, f"it is no job of {source.workflow}"),
        (check.app == "github-actions" and not check.from_run, "it was posted with a workflow's token and is no job of a workflow"),
        (
            check.workflow is not None and check.same_as_base is not True,
            "its workflow is changed by this pull request, or could not be compared",
        ),
        (
            check.workflow is not None and check.event not in TRUSTED_EVENTS,
            f"it ran on {check.event}, where the head's code is not what is checked",
        ),
        (not check.same_repository, "it ran in a fork"),
        (not check.latest, "a newer attempt exists"),
    )
    return next((why for holds, why in reasons if holds), None)


def refused(artifact: ArtifactFact, source: Source, head: str) -> str | None:
    """Why an artifact is not proof from `source` for `head`; None if it is."""
    if artifact.check.conclusion != "success":
        return f"its run ended as {artifact.check.conclusion or 'not yet'}"
    return authentic(artifact.check, Source(app=source.app, workflow=source.workflow), head)


def from_checks(
    safeguard: str, assessment: Assessment, evidence: Evidence, policy: Policy, default: tuple[Source, ...] = ()
) -> tuple[CheckFact | None, Proof]:
    """The check run that proves `safeguard` for this head, and what is known: met only for exactly `success`.

    Of several runs of one name the worst counts: a success beside a failure is a failure.
    """
    if (answer := offline(evidence)) is not None:
        return None, answer
    sources = policy.sources(safeguard) or default
    if not sources:
        return None, missing("the policy names no app, workflow and check for it")
    doubts: list[str] = []
    for source in sources:
        named = [
            check
            for check in evidence.checks
            if source.check in (None, check.name) and (source.app in (None, check.app) or source.check == check.name)
        ]
        right = []
        for check in named:
            why = authentic(check, source, assessment.change.head)
            if why is None:
                right.append(check)
            else:
                doubts.append(f"{check.name}: {why}")
        if not right:
            continue
        bad = next((check for check in right if check.conclusion not in ("success", None)), None)
        if bad is not None:
            return bad, failed(f"{bad.name} ended as {bad.conclusion}; only success counts", bad.url)
        if any(check.conclusion is None for check in right):
            return None, missing(f"{right[0].name} is still running")
        return right[0], met(f"{right[0].name} by {right[0].app}", right[0].url)
    if doubts:
        return None, failed("not accepted as proof: " + "; ".join(sorted(set(doubts))[:3]))
    wanted = " or ".join(f"`{source.check or source.artifact or source.workflow or source.app}`" for source in sources)
    return None, missing(f"no run of {wanted} on this head")
