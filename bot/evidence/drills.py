"""Runs of a drill on the branch that a change wants to land on: docs.github.com/rest/actions/workflow-runs"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from bot.evidence.checks import only_file
from bot.github.client import ARTIFACT, ApiError, Repository
from checks.evidence import DrillFact
from checks.policy import Source

RUNS = 30
"""Newest runs of a drill that are looked at."""


async def drill_facts(repository: Repository, sources: Sequence[Source], branch: str) -> tuple[DrillFact, ...]:
    """The finished runs of every source's workflow on `branch`, newest first. Raises `ApiError`."""
    found: list[DrillFact] = []
    for source in sources:
        if source.workflow is None:
            continue
        try:
            answer = await repository.ask(
                "workflow-runs",
                workflow=source.workflow.rpartition("/")[2],
                params={"branch": branch, "status": "completed", "per_page": RUNS},
            )
        except ApiError as error:
            if error.status == 404:  # a workflow that never ran here
                continue
            raise
        on_branch = [run for run in answer.get("workflow_runs") or [] if run.get("head_branch") == branch]
        runs = sorted(on_branch, key=lambda run: int(run["id"]), reverse=True)
        for run in runs[:1] if source.check or source.artifact else runs:
            found.append(await _fact(repository, source, run))
    return tuple(found)


async def _fact(repository: Repository, source: Source, run: dict[str, Any]) -> DrillFact:
    conclusion, head = run.get("conclusion"), (run.get("head_repository") or {}).get("id")
    if source.check is not None and conclusion == "success":
        jobs = await repository.every("run-jobs", "jobs", run=run["id"], params={"filter": "latest"})
        named = [job.get("conclusion") for job in jobs if job.get("name") == source.check]
        conclusion = next((one for one in named if one != "success"), "success") if named else f"success without a job {source.check}"
    return DrillFact(
        workflow=str(run.get("path") or "").partition("@")[0],
        conclusion=conclusion,
        completed=_time(run.get("updated_at")),
        event=str(run.get("event")),
        branch=str(run.get("head_branch")),
        same_repository=head is not None and head == (run.get("repository") or {}).get("id"),
        job=source.check,
        url=run.get("html_url"),
        record=await _record(repository, source.artifact, run) if source.artifact and conclusion == "success" else None,
    )


async def _record(repository: Repository, name: str, run: dict[str, Any]) -> str:
    """What a run published under a name; empty where that is nothing, or not one JSON file."""
    listing = await repository.every("run-artifacts", "artifacts", run=run["id"])
    named = [item for item in listing if item.get("name") == name and not item.get("expired")]
    if not named:
        return ""
    newest = max(named, key=lambda item: int(item["id"]))
    if int(newest.get("size_in_bytes") or 0) > ARTIFACT:
        raise ApiError("artifact", 0, "it is over the size limit")
    return only_file(await repository.artifact(int(newest["id"]))) or ""


def _time(text: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
