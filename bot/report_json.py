"""The report as JSON: `interlock/report/1`, stable and versioned; `bot.report_schema` has its schema."""

from __future__ import annotations

from typing import Any

from checks.model import Effect, Report, Requirement


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values, in the order of the published schema; bytes of names that are no text stand as `\\udcff`."""
    values: dict[str, Any] = _writable(_values(report))
    return values


def _writable(value: Any) -> Any:
    """The same with every text such that UTF-8 can hold it."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _writable(one) for key, one in value.items()}
    return [_writable(one) for one in value] if isinstance(value, list) else value


def _values(report: Report) -> dict[str, Any]:
    assessment = report.assessment
    change = assessment.change
    attribution = assessment.attribution
    return {
        "schema": "interlock/report/1",
        "engine": {"version": report.engine, "policy": assessment.policy},
        "change": {
            "repository": change.repository,
            "base": change.base,
            "merge_base": change.merge_base,
            "head": change.head,
            "files": change.files,
            "additions": change.additions,
            "deletions": change.deletions,
        },
        "attribution": {
            "level": attribution.level.value,
            "agents": list(attribution.agents),
            "signals": [
                {"signal": signal.signal, "where": signal.where, "value": signal.value, "strength": signal.strength.value}
                for signal in attribution.signals
            ],
            "requesters": list(attribution.requesters),
        },
        "effects": [_effect(effect) for effect in assessment.effects],
        "reach": {
            "files": assessment.reach.files,
            "units": list(assessment.reach.units),
            "owners": list(assessment.reach.owners),
            "environments": list(assessment.reach.environments),
            "truncated": assessment.reach.truncated,
            "paths": [list(path) for path in assessment.reach.paths],
            "reasons": [list(reasons) for reasons in assessment.reach.reasons],
        },
        "risk": {
            "score": assessment.risk.score,
            "band": assessment.risk.band.value,
            "terms": [{"name": term.name, "points": term.points, "because": term.because} for term in assessment.risk.terms],
            "percentile": assessment.risk.percentile,
        },
        "requirements": [_requirement(requirement) for requirement in report.requirements],
        "analysis": {
            "complete": assessment.analysis.complete,
            "files": assessment.analysis.files,
            "analysed": assessment.analysis.analysed,
            "not_analysed": [{"path": item.path, "why": item.why} for item in assessment.analysis.not_analysed],
            "milliseconds": assessment.analysis.milliseconds,
        },
        "mistakes": [{"path": mistake.path, "line": mistake.line, "message": mistake.message} for mistake in assessment.mistakes],
        "agents": [
            {"agent": one.agent, "title": one.title, "alone": one.alone, "unasked": list(one.unasked), "own_limits": one.own_limits}
            for one in assessment.agents
        ],
        "gate": list(report.gate),
        "exceptions": [{"effect": one.effect, "reason": one.reason, "expires": one.expires} for one in report.exceptions],
        "verdict": {"state": report.verdict.state.value, "unmet": list(report.verdict.unmet), "summary": report.verdict.summary},
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "id": effect.id,
        "rule": effect.rule,
        "hazard": effect.hazard.value,
        "severity": effect.severity.value,
        "confidence": effect.confidence.value,
        "reversible": effect.reversible.value,
        "subject": effect.subject,
        "path": effect.path,
        "line": effect.line,
        "side": effect.side.value,
        "environment": effect.environment.value if effect.environment else "unknown",
        "before": effect.before,
        "after": effect.after,
        "message": effect.message,
        "question": effect.question.value if effect.question else None,
    }


def _requirement(requirement: Requirement) -> dict[str, Any]:
    return {
        "safeguard": requirement.safeguard,
        "effects": list(requirement.effects),
        "status": requirement.proof.status.value,
        "alternatives": list(requirement.alternatives),
        "proof": {"source": requirement.proof.source, "url": requirement.proof.url},
        "turns_green": requirement.turns_green,
    }
