"""The page of a repository: what is open by risk, how the score goes, which safeguards are missing, how the gate stands; and its agents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot.backtest import kept
from bot.backtest.figures import figures_of
from bot.escapes import escapes
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import GitError
from bot.pages.sign_in import Guard
from bot.pages.web import House, Missing, Page
from bot.store import Line, Store
from checks.model import Hazard, Unreadable

OPEN_SHOWN = 100
READ = 200
"""Reports that are read for the figures."""
BANDS = (("critical", 70), ("high", 40), ("moderate", 20), ("low", 0))


class Repositories:
    """Pages of repositories."""

    def __init__(self, house: House, guard: Guard) -> None:
        self._house, self._guard = house, guard

    async def repository(self, request: Request) -> Page:
        """The figures of a repository."""
        name, number = await self._guard.readable(request, request.path_params["owner"], request.path_params["repo"])
        return await run_in_threadpool(self._figures, name, number)

    async def agents(self, request: Request) -> Page:
        """What each configured agent may do at the tip of the base branch."""
        name, number = await self._guard.readable(request, request.path_params["owner"], request.path_params["repo"])
        return await run_in_threadpool(self._agents, name, number)

    async def past(self, request: Request) -> Page:
        """The replayed history of a repository, as far as it is kept."""
        name, number = await self._guard.readable(request, request.path_params["owner"], request.path_params["repo"])
        return await run_in_threadpool(self._past, name, number)

    def _past(self, repository: str, number: int | None) -> Page:
        self._lines(repository, number)
        store = self._house.store
        replay = kept.replay_of(store, repository)
        figures = figures_of(replay) if replay is not None else None
        if replay is None or figures is None or not replay.rows:
            return Page("past.html", f"The past of {repository}", {"repository": repository, "steps": 0})
        stopped = sorted((row for row in replay.rows if row.stopped), key=lambda row: -row.score)
        data = {
            "repository": repository,
            "github": self._house.settings.github_url,
            "steps": figures.steps,
            "whole": kept.whole(store, repository),
            "stopped": figures.stopped,
            "quantiles": {str(percent): score for percent, score in figures.quantiles},
            "trend": [[row.when, row.score, "blocked" if row.stopped else "pass"] for row in reversed(replay.rows)],
            "writers": [{"name": name, "steps": steps, "stopped": waited} for name, steps, waited in (*figures.levels, *figures.agents)],
            "reasons": [{"name": name, "steps": steps} for name, steps in figures.reasons[:20]],
            "worst": [
                {key: getattr(row, key) for key in ("head", "title", "score", "band", "unmet", "summary")} for row in stopped[:OPEN_SHOWN]
            ],
        }
        return Page("past.html", f"The past of {repository}", data)

    def _lines(self, repository: str, number: int | None) -> list[Line]:
        """The records of a repository that is still the same one. Raises `Missing` where nothing was recorded."""
        lines = self._house.store.lines(repository)
        if number is not None and lines and repository_id(self._house.store, lines[0]) != number:
            raise Missing
        return lines

    def _figures(self, repository: str, number: int | None) -> Page:
        store = self._house.store
        lines = self._lines(repository, number)
        if not lines:
            return Page("repository_empty.html", repository, {"repository": repository, "open": []})
        newest = newest_of_each(lines)
        closed = {line.pull for line in newest if store.fact(f"closed/{repository}/{line.pull}")}
        reports = {line.id: json.loads(record.report) for line in newest[:READ] if (record := store.record(line.id))}
        standing = sorted((line for line in newest if line.pull not in closed), key=lambda line: (-line.score, -(line.pull or 0)))
        data = {
            "repository": repository,
            "github": self._house.settings.github_url,
            "open": [_row(store, line, reports.get(line.id)) for line in standing[:OPEN_SHOWN]],
            "open_count": len(standing),
            "reviewed": len(newest),
            "verdicts": len(lines),
            "trend": [[line.made, line.score, line.state] for line in reversed(lines[:150])],
            "bands": dict(Counter(band_of(line.score) for line in newest)),
            "states": dict(Counter(line.state for line in newest)),
            "missing": missing_safeguards(list(reports.values())),
            "gate": [{"base": line.base_ref, "made": line.made, "says": says} for line, says in gates(newest, reports)],
            "merges": merges(store, repository, newest, reports),
            "escapes": escapes(store, repository)[:20],
        }
        return Page("repository.html", repository, data)

    def _agents(self, repository: str, number: int | None) -> Page:
        store, tools = self._house.store, self._house.tools
        lines = self._lines(repository, number)
        if not lines:
            return Page("repository_empty.html", repository, {"repository": repository, "open": []})
        record = store.record(lines[0].id)
        assert record is not None
        inputs = json.loads(record.inputs)
        found: list[dict[str, Any]] | None = None
        why = ""
        if tools is None:
            why = "this server has no credentials, so it has no copy of the repository"
        else:
            try:
                found = _answers(tools.mirrors.path(int(inputs["repository_id"])), str(inputs["base"]))
            except (GitError, Unreadable, OSError) as error:
                why = str(error)
        history, proposed = authority_history(store, repository, record.base_ref, newest_of_each(lines))
        data = {
            "repository": repository,
            "github": self._house.settings.github_url,
            "commit": inputs["base"],
            "base_ref": record.base_ref,
            "made": record.made,
            "agents": found,
            "why": why,
            "history": history,
            "proposed": proposed,
        }
        return Page("agents.html", f"Agents of {repository}", data)


def _answers(git_dir: Any, commit: str) -> list[dict[str, Any]]:
    from checks.authority.answers import answers, as_json

    with Objects(git_dir) as objects:
        made: list[dict[str, Any]] = json.loads(as_json(answers(GitTree(objects, commit))))["agents"]
        return made


def repository_id(store: Store, line: Line) -> int:
    """GitHub's number of the repository a record is of: a name can be given to another one."""
    record = store.record(line.id)
    return int(json.loads(record.inputs).get("repository_id") or 0) if record else 0


def newest_of_each(lines: Sequence[Line]) -> list[Line]:
    """The newest record of each pull request, newest first."""
    seen: dict[int, Line] = {}
    for line in lines:
        if line.pull is not None:
            seen.setdefault(line.pull, line)
    return list(seen.values())


def band_of(score: int) -> str:
    """The band of a score."""
    return next(band for band, least in BANDS if score >= least)


def _row(store: Store, line: Line, report: dict[str, Any] | None) -> dict[str, Any]:
    record = store.record(line.id)
    pull = (json.loads(record.inputs).get("pull") or {}) if record else {}
    return {
        "number": line.pull,
        "title": pull.get("title", ""),
        "author": (pull.get("author") or {}).get("login", ""),
        "base_ref": line.base_ref,
        "state": line.state,
        "score": line.score,
        "band": band_of(line.score),
        "review": line.id,
        "made": line.made,
        "unmet": report["verdict"]["unmet"] if report else [],
        "agents": report["attribution"]["agents"] if report else [],
        "summary": report["verdict"]["summary"] if report else "",
    }


def missing_safeguards(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The safeguards that the newest verdicts miss, the most often missing first."""
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update({one["safeguard"] for one in report["requirements"] if one["status"] != "met"})
    return [{"safeguard": name, "pulls": count} for name, count in counts.most_common(15)]


def gates(newest: Sequence[Line], reports: dict[str, dict[str, Any]]) -> list[tuple[Line, list[str]]]:
    """What the newest verdict on each base branch knows of the gate's enforcement."""
    seen: dict[str, tuple[Line, list[str]]] = {}
    for line in newest:
        if line.id in reports:
            seen.setdefault(line.base_ref, (line, reports[line.id]["gate"]))
    return list(seen.values())[:20]


def hazardous(report: dict[str, Any]) -> bool:
    """Whether something in a change is severe enough to stop for."""
    return any(effect["severity"] in ("high", "critical") and not effect["hazard"].endswith(".narrowed") for effect in report["effects"])


def merges(store: Store, repository: str, newest: Sequence[Line], reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of the merged pull requests: how many were hazardous, and how many of those were merged with a safeguard unproven."""
    known = [line for line in newest if line.id in reports and store.fact(f"merged/{repository}/{line.pull}")]
    severe = [line for line in known if hazardous(reports[line.id])]
    unproven = [line for line in severe if any(one["status"] != "met" for one in reports[line.id]["requirements"])]
    return {
        "merged": len(known),
        "hazardous": len(severe),
        "unproven": len(unproven),
        "share": len(unproven) / len(severe) if severe else None,
        "round": [{"number": line.pull, "score": line.score, "state": line.state} for line in known if line.state == "blocked"][:20],
    }


def authority_history(
    store: Store, repository: str, base_ref: str, newest: Sequence[Line]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What changed the agents' authority, newest first: merged on the branch, by agent; and proposed to it by open pull requests."""
    merged: dict[str, list[dict[str, Any]]] = {}
    proposed = []
    for line in [one for one in newest if one.base_ref == base_ref][:READ]:
        head = store.fact(f"merged/{repository}/{line.pull}")
        if not head and store.fact(f"closed/{repository}/{line.pull}"):
            continue
        # What was merged is what was judged last on the merged head, which a later push to the branch does not change.
        kept = (
            next(iter(store.records(repository, pull=line.pull, head=str(head), base_ref=base_ref)), None)
            if head
            else store.record(line.id)
        )
        if kept is None or kept.report.startswith("sha256:"):
            continue
        landed = store.fact(f"landed/{repository}/{line.pull}") or {}
        by_agent: dict[str, list[dict[str, Any]]] = {}
        for effect in json.loads(kept.report)["effects"]:
            if str(effect["hazard"]).startswith("agent."):
                by_agent.setdefault(agent_of(effect), []).append(effect)
        for agent, effects in by_agent.items():
            step: dict[str, Any] = {
                "number": line.pull,
                "review": kept.id,
                "when": landed.get("when", kept.made),
                "state": kept.state,
                "direction": direction({effect["hazard"] for effect in effects}),
                "effects": [{key: effect[key] for key in ("hazard", "severity", "rule", "subject", "message")} for effect in effects[:10]],
                "count": len(effects),
            }
            if head:
                merged.setdefault(agent, []).append(step)
            else:
                proposed.append({"agent": agent, **step})
    by_time: list[dict[str, Any]] = [
        {"agent": agent, "steps": sorted(steps, key=lambda step: -float(step["when"]))} for agent, steps in sorted(merged.items())
    ]
    return by_time, proposed


def agent_of(effect: dict[str, Any]) -> str:
    """The agent that an effect is about; what is written for any agent is of all."""
    return str(effect["subject"]).partition(": ")[0] if str(effect["rule"]).startswith("agent-permissions/") else "Every agent"


def direction(hazards: set[str]) -> str:
    """Which way the authority went."""
    narrowed = Hazard.AGENT_NARROWED.value in hazards
    return "narrowed" if narrowed and len(hazards) == 1 else "both ways" if narrowed else "widened"
