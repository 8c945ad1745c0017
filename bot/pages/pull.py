"""The page of one verdict: what to do, what the change does and how far it reaches, who wrote it, what was proven, and what came before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot import codec
from bot.pages.sign_in import Guard
from bot.pages.web import House, Missing, Page
from bot.records import Inputs
from bot.store import Line, Record
from checks.model import Question
from checks.reach.picture import STYLE, picture

HISTORY = 40
"""Verdicts of one pull request that the timeline compares."""
SHOWN = 300
"""Effects that a page shows."""
_RANK = {"low": 0, "moderate": 1, "high": 2, "critical": 3}
_OPEN = ("missing", "failed", "unknown")


class Pulls:
    """Pages of verdicts."""

    def __init__(self, house: House, guard: Guard) -> None:
        self._house, self._guard = house, guard

    async def pull(self, request: Request) -> Page:
        """The newest verdict on a pull request."""
        name, number = await self._guard.readable(request, request.path_params["owner"], request.path_params["repo"])
        pull = int(request.path_params["number"])
        return await run_in_threadpool(self._page, name, number, pull, None)

    async def review(self, request: Request) -> Page:
        """One verdict."""
        name, number = await self._guard.readable(request, request.path_params["owner"], request.path_params["repo"])
        return await run_in_threadpool(self._page, name, number, None, request.path_params["review"])

    def _page(self, repository: str, number: int | None, pull: int | None, review: str | None) -> Page:
        store = self._house.store
        lines = store.lines(repository)
        if pull is not None:
            chosen = next((line for line in lines if line.pull == pull), None)
        else:
            chosen = next((line for line in lines if line.id == review), None)
        wanted = chosen.id if chosen else review
        record = store.record(wanted) if wanted else None
        if record is None or record.repository != repository or (review is not None and record.id != review):
            raise Missing
        inputs = json.loads(record.inputs)
        if number is not None and int(inputs.get("repository_id") or number) != number:
            raise Missing
        same = [line for line in lines if line.pull == record.pull and line.pull is not None][:HISTORY]
        data = self._data(record, inputs, same)
        title = f"#{record.pull} {data['pull']['title']}" if data["pull"] else f"{record.base_ref}: {record.head[:12]}"
        return Page("pull.html", title, data, unlisted=frozenset({"picture"}))

    def _data(self, record: Record, inputs: Mapping[str, Any], same: Sequence[Line]) -> dict[str, Any]:
        report = json.loads(record.report)
        pull = inputs.get("pull") or None
        closed = record.pull is not None and bool(self._house.store.fact(f"closed/{record.repository}/{record.pull}"))
        return {
            "repository": record.repository,
            "review": record.id,
            "made": record.made,
            "newest": same[0].id if same else record.id,
            "pull": {
                "number": pull["number"],
                "title": pull["title"],
                "author": pull["author"]["login"],
                "base": pull["base_ref"],
                "head": pull["head_ref"],
                "draft": pull.get("draft", False),
                "fork": pull.get("fork", False),
                "closed": closed,
            }
            if pull
            else None,
            "base_ref": record.base_ref,
            "github": self._house.settings.github_url,
            "report": report,
            "picture": drawn(record),
            "next": next_step(report),
            "hazards": by_hazard(report["effects"][:SHOWN]),
            "left_out": max(0, len(report["effects"]) - SHOWN),
            "questions": by_question(report["effects"]),
            "evidence": evidence(inputs),
            "timeline": self._timeline(same, record),
        }

    def _timeline(self, same: Sequence[Line], record: Record) -> list[dict[str, Any]]:
        """The verdicts of the pull request, newest first, each with what changed since the one before."""
        reports = {line.id: json.loads(kept.report) for line in same if (kept := self._house.store.record(line.id))}
        steps = []
        for at, line in enumerate(same):
            before = reports.get(same[at + 1].id) if at + 1 < len(same) else None
            steps.append(
                {
                    "review": line.id,
                    "made": line.made,
                    "head": line.head,
                    "base_ref": line.base_ref,
                    "state": line.state,
                    "score": line.score,
                    "this": line.id == record.id,
                    "summary": reports[line.id]["verdict"]["summary"] if line.id in reports else "",
                    "changed": difference(before, reports[line.id], same[at + 1].head == line.head)
                    if before and line.id in reports
                    else None,
                }
            )
        return steps


def drawn(record: Record) -> Markup | None:
    """The picture of the blast radius, without its own style: the style sheet has it. None for a record that cannot be read any more."""
    try:
        assessment = codec.load(Inputs, record.inputs).assessment
    except ValueError:
        return None
    return Markup(picture(assessment).replace(f"<style>{STYLE}</style>", ""))  # noqa: S704 - `picture` escapes all it draws


def next_step(report: Mapping[str, Any]) -> str:
    """The one thing to do, in a sentence."""
    if report["mistakes"]:
        mistake = report["mistakes"][0]
        where = f" line {mistake['line']}" if mistake["line"] else ""
        return f"Mend the policy file first: {mistake['path']}{where}: {mistake['message']}"
    unmet = [one for one in report["requirements"] if one["status"] != "met"]
    if not unmet:
        return "Nothing is left to do." if report["verdict"]["state"] == "pass" else "Nothing is left to prove."
    worst = {effect["id"]: _RANK[effect["severity"]] for effect in report["effects"]}
    first = max(unmet, key=lambda one: max((worst.get(effect, 0) for effect in one["effects"]), default=0))
    others = len(unmet) - 1
    rest = "" if not others else " Then one more." if others == 1 else f" Then {others} more."
    return f"Prove {' or '.join([first['safeguard'], *first['alternatives']])}.{rest}"


def by_hazard(effects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The effects by hazard, the worst hazard first, narrowings last."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for effect in effects:
        groups.setdefault(effect["hazard"], []).append(effect)
    made = [
        {
            "hazard": hazard,
            "harmless": hazard.endswith(".narrowed"),
            "worst": max((effect["severity"] for effect in group), key=_RANK.__getitem__),
            "effects": sorted(group, key=lambda effect: -_RANK[effect["severity"]]),
        }
        for hazard, group in groups.items()
    ]
    return sorted(made, key=lambda group: (group["harmless"], -_RANK[str(group["worst"])], group["hazard"]))


def by_question(effects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The three questions about agents, each with the effects that touch its answer."""
    return [
        {"question": question.value, "effects": touching}
        for question in Question
        if (touching := [effect for effect in effects if effect.get("question") == question.value])
    ]


def evidence(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What was found outside the two trees when the verdict was made."""
    facts = inputs.get("evidence") or {}
    return {
        "asked": bool(facts.get("connected")),
        "checks": [
            {
                "name": check["name"],
                "app": check["app"],
                "conclusion": check["conclusion"],
                "url": check.get("url"),
                "workflow": check.get("workflow"),
                "same_as_base": check.get("same_as_base"),
                "latest": check.get("latest", True),
            }
            for check in (facts.get("checks") or [])[:100]
        ],
        "artifacts": [artifact["name"] for artifact in facts.get("artifacts") or []],
        "unknown": list(facts.get("unknown") or []),
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any], same_head: bool) -> dict[str, Any]:
    """What changed between two verdicts."""

    def keyed(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        return {effect["id"]: effect for effect in report["effects"]}

    def statuses(report: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
        return {(one["safeguard"], *one["effects"]): one["status"] for one in report["requirements"]}

    then, now = keyed(before), keyed(after)
    was, becomes = statuses(before), statuses(after)
    return {
        "same_head": same_head,
        "score": after["risk"]["score"] - before["risk"]["score"],
        "new": [_short(effect) for key, effect in now.items() if key not in then],
        "gone": [_short(effect) for key, effect in then.items() if key not in now],
        "proofs": [
            {"safeguard": key[0], "was": was[key], "is": status} for key, status in becomes.items() if key in was and was[key] != status
        ],
        "policy": before["engine"]["policy"] != after["engine"]["policy"],
        "moved": any(before[key] != after[key] for key in ("effects", "requirements", "verdict", "risk", "engine")),
    }


def _short(effect: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(effect[key]) for key in ("rule", "subject", "severity")}
