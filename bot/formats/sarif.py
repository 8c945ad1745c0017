"""The report as SARIF 2.1.0, within what GitHub code scanning takes.

docs.oasis-open.org/sarif/sarif/v2.1.0; docs.github.com/code-security ("SARIF support for code scanning"): it shows the 5,000 worst results of a run and
takes 25,000 rules, 10 tags a rule and 10 MB compressed. Narrowings are left out: code scanning would show them as faults.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bot.escape import visible
from bot.formats import HOME, Look
from bot.formats.judged import Judged, judged
from checks.model import Mistake, Report, Severity, Side

RESULTS = 5_000
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {"error": "error", "warning": "warning", "notice": "note"}
# The scores at which code scanning says critical (over 9.0), high (7.0), medium (4.0) and low.
_SCORE = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MODERATE: "5.5", Severity.LOW: "2.0"}
_POLICY = "policy/mistake"


def write(report: Report, _: Look) -> str:
    """A log with one run."""
    return json.dumps(log(report), indent=1) + "\n"


def log(report: Report) -> dict[str, Any]:
    """The log as plain values."""
    assessment = report.assessment
    every = judged(report)
    shown = every[: RESULTS - len(assessment.mistakes)]
    rules = _rules(shown, assessment.mistakes)
    place = {rule["id"]: at for at, rule in enumerate(rules)}
    notes = [_notification(f"{item.path} was not analysed: {item.why}") for item in assessment.analysis.not_analysed[:1000]]
    if len(shown) < len(every):
        notes.append(_notification(f"{len(every) - len(shown)} effects are left out: code scanning takes {RESULTS:,} results"))
    run = {
        "tool": {"driver": {"name": "Interlock", "version": report.engine, "informationUri": HOME, "rules": rules}},
        "automationDetails": {"id": "interlock/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": [
            *(_mistake(mistake, place[_POLICY]) for mistake in assessment.mistakes),
            *(_result(one, place[one.effect.rule]) for one in shown),
        ],
        "properties": {
            "verdict": report.verdict.state.value,
            "summary": visible(report.verdict.summary),
            "score": assessment.risk.score,
            "band": assessment.risk.band.value,
            "base": assessment.change.base,
            "mergeBase": assessment.change.merge_base,
            "head": assessment.change.head,
            "policy": assessment.policy,
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rules(shown: Sequence[Judged], mistakes: Sequence[Mistake]) -> list[dict[str, Any]]:
    """The rules that the results name, each with its page and the worst severity it has here."""
    worst: dict[str, Judged] = {}
    for one in shown:
        known = worst.get(one.effect.rule)
        if known is None or one.effect.severity.rank > known.effect.severity.rank:
            worst[one.effect.rule] = one
    rules = [_rule(name, worst[name]) for name in sorted(worst)]
    if mistakes:
        title = "The policy file is wrong"
        rules.append(_described(_POLICY, title, f"{title}: it is enforced as the built-in requirements until it is mended.", None))
    return rules


def _rule(name: str, one: Judged) -> dict[str, Any]:
    from bot.explain import page
    from checks import detectors

    module = name.partition("/")[0].replace("-", "_")
    known = detectors.load(module).rules if module in detectors.REGISTER else ()
    title = next((rule.title for rule in known if rule.id == name), name)
    rule = _described(name, title, f"{title}. Hazard: {one.effect.hazard.value}.", page(name))
    rule["defaultConfiguration"] = {"level": _LEVEL[one.level]}
    rule["properties"] = {
        "tags": ["security", one.effect.hazard.value],
        "security-severity": _SCORE[one.effect.severity],
        "precision": {"certain": "very-high", "likely": "high", "possible": "medium"}[one.effect.confidence.value],
    }
    return rule


def _described(name: str, title: str, text: str, help_page: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": text},
        "help": {"text": help_page, "markdown": help_page} if help_page else {"text": text},
    }


def _result(one: Judged, rule: int) -> dict[str, Any]:
    effect = one.effect
    words = [effect.message]
    if effect.side is Side.BASE:
        words.append(f"(At base{f', line {effect.line}' if effect.line else ''}.)")
    if one.needs:
        words.append(f"Needs {' and '.join(one.needs)}.")
    return {
        "ruleId": effect.rule,
        "ruleIndex": rule,
        "level": _LEVEL[one.level],
        "message": {"text": message(" ".join(words))},
        # A line of the base is another line at head: such a result stands at the top of the file.
        "locations": [_location(effect.path, effect.line if effect.side is Side.HEAD else None, effect.subject)],
        # The only fingerprint code scanning reads; it follows the effect through rebases.
        "partialFingerprints": {"primaryLocationLineHash": f"{effect.id}:1"},
        "properties": {
            "effect": effect.id,
            "hazard": effect.hazard.value,
            "severity": effect.severity.value,
            "confidence": effect.confidence.value,
            "reversible": effect.reversible.value,
            "environment": effect.environment.value if effect.environment else "unknown",
            "side": effect.side.value,
            "needs": list(one.needs),
        },
    }


def _mistake(mistake: Mistake, rule: int) -> dict[str, Any]:
    return {
        "ruleId": _POLICY,
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": message(mistake.message)},
        "locations": [_location(mistake.path, mistake.line, None)],
    }


def _location(path: str, line: int | None, subject: str | None) -> dict[str, Any]:
    uri = quote(path.encode("utf-8", "surrogateescape"), safe="/")
    where: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": {"startLine": max(1, line or 1)}}
    }
    if subject:
        where["logicalLocations"] = [{"fullyQualifiedName": visible(subject)}]
    return where


def _notification(text: str) -> Mapping[str, Any]:
    return {"level": "warning", "message": {"text": message(text)}}


def message(text: str) -> str:
    """`text` as a SARIF message that means only itself: no link (3.11.6) and no placeholder (3.11.5) can stand in it."""
    plain = re.sub(r"([\\\[\]])", r"\\\1", visible(text))
    return re.sub(r"\{(\d+)\}", r"{{\1}}", plain)
