"""The pages of rules, detectors and safeguards: their docstrings, set as pages. No sign-in; the words are the same everywhere."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot.explain import _doc
from bot.pages.web import Go, Guarding, Missing, Page, rule_path
from checks import detectors, safeguards
from checks.safeguards.defaults import DEFAULTS, NAMES


@cache
def catalogue() -> list[dict[str, Any]]:
    """All detectors with their rules."""
    return [
        {
            "detector": detector.name,
            "title": detector.title,
            "rules": [
                {
                    "id": rule.id,
                    "title": rule.title,
                    "hazard": rule.hazard.value,
                    "severity": rule.severity.value,
                    "reversible": rule.reversible.value,
                }
                for rule in detector.rules
            ],
        }
        for detector in detectors.every()
    ]


@cache
def guards() -> list[dict[str, Any]]:
    """All safeguards with the hazards whose built-in requirements name them."""
    asked = {
        name: sorted({hazard.value for hazard, rows in DEFAULTS.items() for _, groups in rows for group in groups if name in group})
        for name in NAMES
    }
    return [{"name": one.name, "title": one.title, "hazards": asked[one.name]} for one in safeguards.every()]


def matches(query: str, *texts: str) -> bool:
    """Whether every word of a query is in one of the texts."""
    whole = " ".join(texts).lower()
    return all(word in whole for word in query.lower().split())


def found_rules(query: str) -> list[dict[str, Any]]:
    """The detectors and rules that a query names; all for an empty one."""
    if not query.strip():
        return catalogue()
    kept = [
        {**detector, "rules": [rule for rule in detector["rules"] if matches(query, detector["title"], *map(str, rule.values()))]}
        for detector in catalogue()
    ]
    return [detector for detector in kept if detector["rules"]]


def found_guards(query: str) -> list[dict[str, Any]]:
    """The safeguards that a query names; all for an empty one."""
    return [guard for guard in guards() if matches(query, guard["name"], guard["title"], *guard["hazards"])]


class Rules:
    """The pages that anyone may see."""

    def __init__(self, guard: Guarding) -> None:
        self._guard = guard

    async def listing(self, request: Request) -> Page:
        """All rules and safeguards, or those that a query names."""
        self._guard.visitor(request)
        return await run_in_threadpool(self._listing, request.query_params.get("q", "")[:200])

    def _listing(self, query: str) -> Page:
        data = {"query": query, "detectors": found_rules(query), "safeguards": found_guards(query)}
        return Page("rules.html", "Rules and safeguards", data)

    async def rule(self, request: Request) -> Page:
        """The page of a detector or of one rule."""
        self._guard.visitor(request)
        name = request.path_params["name"].rstrip("/")
        if not name:
            return await self.listing(request)
        return await run_in_threadpool(self._rule, name)

    def _rule(self, name: str) -> Page:
        detector_name = name.partition("/")[0]
        detector = next((one for one in catalogue() if one["detector"] == detector_name), None)
        if detector is None:
            raise Missing
        rules = [rule for rule in detector["rules"] if name in (detector_name, rule["id"])]
        if not rules:
            raise Missing
        text = _doc("checks.detectors." + detector_name.replace("-", "_"))
        one = rules[0] if len(rules) == 1 and name == rules[0]["id"] else None
        data = {
            "name": name,
            "detector": detector["detector"],
            "about": detector["title"],
            "rules": rules,
            "text": text,
            "all": len(detector["rules"]),
        }
        return Page("rule.html", one["title"] if one else detector["title"], data)

    async def safeguard(self, request: Request) -> Page:
        """The page of a safeguard."""
        self._guard.visitor(request)
        name = request.path_params["name"].rstrip("/")
        if not name:
            raise Go(rule_path("").rstrip("/") + "#safeguards")
        return await run_in_threadpool(self._safeguard, name)

    def _safeguard(self, name: str) -> Page:
        guard = next((one for one in guards() if one["name"] == name), None)
        if guard is None:
            raise Missing
        return Page("safeguard.html", guard["name"], {**guard, "text": _doc("checks.safeguards." + name.replace("-", "_"))})
