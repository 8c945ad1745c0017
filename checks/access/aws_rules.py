"""The rules that every detector of AWS policies has in common, under its own name, and a verdict as an effect of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from checks.access.aws_grades import Kind, Verdict
from checks.detectors.base import Rule
from checks.model import Confidence, Effect, Hazard, Question, Reversible, Severity

_TABLE: dict[Kind, tuple[Severity, Reversible, str]] = {
    Kind.ADMIN: (Severity.CRITICAL, Reversible.PARTLY, "Someone may newly do everything, or give themselves any permission"),
    Kind.ESCALATION: (Severity.HIGH, Reversible.PARTLY, "Someone can newly reach the permissions of others"),
    Kind.SECRETS: (Severity.HIGH, Reversible.PARTLY, "Someone may newly read secrets, credentials or stored data"),
    Kind.ACCESS: (Severity.MODERATE, Reversible.PARTLY, "Someone may newly do something, or do it to more"),
    Kind.CONDITION: (Severity.HIGH, Reversible.PARTLY, "A permission loses the condition that bounded it"),
    Kind.PUBLIC: (Severity.CRITICAL, Reversible.PARTLY, "Anyone may newly use a resource or take a role"),
    Kind.PRINCIPAL: (Severity.HIGH, Reversible.PARTLY, "Another account, role or service is newly let in"),
    Kind.FEDERATION: (Severity.HIGH, Reversible.PARTLY, "More tokens of an identity provider may take a role"),
    Kind.DENY: (Severity.HIGH, Reversible.PARTLY, "A prohibition is gone or covers less"),
    Kind.LOCKOUT: (Severity.CRITICAL, Reversible.NO, "A policy denies everyone, its administrators included"),
}


def rules_for(detector: str, kinds: Iterable[Kind] = tuple(Kind)) -> dict[Kind, Rule]:
    """The rules of `detector` for these kinds of gain, by kind."""
    return {
        kind: Rule(
            f"{detector}/{kind}",
            Hazard.AVAILABILITY_REDUCED if kind is Kind.LOCKOUT else Hazard.PRIVILEGE_WIDENED,
            severity,
            reversible,
            title,
            question=Question.ALONE,
        )
        for kind, (severity, reversible, title) in _TABLE.items()
        if kind in set(kinds)
    }


def effects(
    rules: Mapping[Kind, Rule], verdicts: Iterable[Verdict], subject: str, path: str, line: int, sure: Confidence | None = None
) -> Iterator[Effect]:
    """Each verdict as an effect on `subject`; `sure` lowers its confidence where the reading was less than certain."""
    for verdict in verdicts:
        confidence = verdict.confidence if sure is None or verdict.confidence.rank < sure.rank else sure
        yield rules[verdict.kind].effect(
            subject=subject,
            path=path,
            line=verdict.line or line,
            before=verdict.before,
            after=verdict.after,
            severity=verdict.severity,
            confidence=confidence,
            message=f"{subject} {verdict.message}.",
            facts=(("bounded", verdict.bounded),) if verdict.bounded else (),
        )


def within(boundary: str, found: Iterable[Effect]) -> Iterator[Effect]:
    """The effects on what a holder may do, with the fact that its permissions boundary bounds them; who may take its place is not bounded so."""
    for effect in found:
        inside = effect.rule.partition("/")[2].startswith(_NAMES) and effect.fact("bounded") is None
        yield replace(effect, facts=(*effect.facts, ("bounded", f"the permissions boundary {boundary}"))) if inside else effect


_NAMES = (*(str(kind) for kind in (Kind.ADMIN, Kind.ESCALATION, Kind.SECRETS, Kind.ACCESS, Kind.CONDITION)), "policy-attached")
"""How the names of rules on a holder's own permissions begin."""
