"""The score: named terms that add up to 0…100, led by the worst effect, never by size.

hazard (0–70)  the worst effect: a range by severity, and inside it confidence, reversibility and environment.
reach (0–20)   units, environments, owners and dependents on a log scale; weighs fully only where the worst effect is severe.
compounding (0–10)  effects that make each other worse.
Adding an effect never lowers any term, nor does moving one to production. Attribution adds nothing: it decides which rules apply.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from checks.model import Attribution, Band, Confidence, Effect, Environment, Hazard, Reach, Reversible, Risk, Severity, Term

RANGES: dict[Severity, tuple[int, int]] = {
    Severity.LOW: (4, 12),
    Severity.MODERATE: (20, 34),
    Severity.HIGH: (40, 56),
    Severity.CRITICAL: (60, 70),
}
"""Points of the hazard term by severity: the least and the most."""

_CONFIDENCE = {Confidence.POSSIBLE: 0.0, Confidence.LIKELY: 0.6, Confidence.CERTAIN: 1.0}
_REVERSIBLE = {Reversible.YES: 0.0, Reversible.WINDOW: 0.4, Reversible.PARTLY: 0.6, Reversible.NO: 1.0}
_ENVIRONMENT = {Environment.PRODUCTION: 1.0, Environment.UNKNOWN: 1.0, Environment.STAGING: 0.5, Environment.DEVELOPMENT: 0.0}
_WEIGHTS = (0.5, 0.3, 0.2)
"""Confidence, reversibility, environment."""
_REACH_SHARE = {None: 0.25, Severity.LOW: 0.35, Severity.MODERATE: 0.6, Severity.HIGH: 1.0, Severity.CRITICAL: 1.0}

BANDS = ((70, Band.CRITICAL), (40, Band.HIGH), (20, Band.MODERATE), (0, Band.LOW))

_LOSS = frozenset({Hazard.DATA_DESTROYED, Hazard.RESOURCE_DESTROYED, Hazard.RESOURCE_REPLACED})
_OPENING = frozenset({Hazard.PRIVILEGE_WIDENED, Hazard.PIPELINE_WIDENED, Hazard.SECRET_EXPOSED, Hazard.EXPOSURE_WIDENED})
_GUARDS = frozenset({Hazard.CHECK_WEAKENED, Hazard.GATE_CHANGED})
_AGENT = frozenset({Hazard.AGENT_WIDENED, Hazard.AGENT_UNGUARDED})


def points_of(effect: Effect) -> int:
    """The hazard points of one effect: 0 for a narrowing, else 4…70."""
    if effect.hazard.harmless:
        return 0
    least, most = RANGES[effect.severity]
    share = sum(
        weight * value
        for weight, value in zip(
            _WEIGHTS,
            (_CONFIDENCE[effect.confidence], _REVERSIBLE[effect.reversible], _ENVIRONMENT[effect.environment or Environment.UNKNOWN]),
            strict=True,
        )
    )
    return least + round((most - least) * share)


def risk_of(effects: Sequence[Effect], reach: Reach, attribution: Attribution, told: str | None = None) -> Risk:
    """The score of a change, with a sentence for each term. `told`: the pull request's title and body, None where there is none."""
    terms = (_hazard(effects), _reach(effects, reach), _compounding(effects, attribution, told))
    score = min(100, sum(term.points for term in terms))
    return Risk(score, band_of(score), terms)


def band_of(score: int) -> Band:
    """The band a score lies in."""
    return next(band for least, band in BANDS if score >= least)


def percentile(score: int, scores: Sequence[int]) -> float | None:
    """The percentage of earlier scores that `score` is above (equal ones count half), to one decimal; None without a history."""
    if not scores:
        return None
    below = sum(one < score for one in scores) + 0.5 * sum(one == score for one in scores)
    return round(100 * below / len(scores), 1)


def _worst(effects: Iterable[Effect]) -> Effect | None:
    return max(
        (effect for effect in effects if not effect.hazard.harmless), key=lambda effect: (points_of(effect), effect.id), default=None
    )


def _hazard(effects: Sequence[Effect]) -> Term:
    worst = _worst(effects)
    if worst is None:
        return Term("hazard", 0, "no effect that could do harm")
    where = (worst.environment or Environment.UNKNOWN).value
    because = f"{worst.rule} on {worst.subject}: {worst.severity}, {worst.confidence}, reversible: {worst.reversible}, environment: {where}"
    return Term("hazard", points_of(worst), because)


def _reach(effects: Sequence[Effect], reach: Reach) -> Term:
    worst = _worst(effects)
    size = reach.files + 4 * len(reach.units) + 4 * len(reach.environments) + 2 * len(reach.owners)
    share = _REACH_SHARE[worst.severity if worst else None]
    points = min(20, round(share * 4 * math.log2(1 + size / 4)))
    because = f"{_count(reach.files, 'file')}, {_count(len(reach.units), 'unit')}, {_count(len(reach.environments), 'environment')}, {_count(len(reach.owners), 'owner')}"
    return Term("reach", points, because + (" (cut)" if reach.truncated else ""))


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


_SAYS = re.compile(
    r"\b(?:permissions?|permitted|allow(?:s|ed|list|-list)?|deny|denied|sandbox\w*|hooks?|mcp|authority|approvals?|auto-approv\w*|yolo|unasked"
    r"|settings\.json|config\.toml|workflow token)\b|\.(?:claude|codex|gemini|cursor|kiro|roo|cline|opencode|amp|vscode)\b",
    re.IGNORECASE,
)


def _untold(effects: Iterable[Effect], told: str) -> bool:
    """Whether a title and body say nothing of the authority that these effects widen: neither its words nor its files."""
    names = {effect.path.rpartition("/")[2].lower() for effect in effects}
    return not _SAYS.search(told) and not any(name and name in told.lower() for name in names)


def _compounding(effects: Sequence[Effect], attribution: Attribution, told: str | None) -> Term:
    """Pairs that make each other worse: 5 points each, at most 10."""
    hazards = {effect.hazard for effect in effects}
    reasons = []
    if Hazard.PROTECTION_REMOVED in hazards and hazards & _LOSS:
        reasons.append("a guard goes together with what is lost")
    own = [effect for effect in effects if effect.hazard in _AGENT and effect.fact("agent") in attribution.agents]
    if own:
        reasons.append("the agent that wrote this widens its own authority")
    # One effect that is told of must not hide another that is not.
    if told is not None and any(_untold([effect], told) for effect in own):
        reasons.append("neither title nor body says so")
    if hazards & _GUARDS and hazards & (_LOSS | _OPENING | _AGENT):
        reasons.append("a check is weakened in the same change")
    if hazards & _LOSS and hazards & _OPENING:
        reasons.append("something is lost and someone gains access in one change")
    if Hazard.NOT_ANALYSED in hazards and len({h for h in hazards if not h.harmless}) > 1:
        reasons.append("part of the change could not be judged")
    return Term("compounding", min(10, 5 * len(reasons)), "; ".join(reasons) or "no effects that make each other worse")
