"""Check runs of the head commit, each with what binds it: App, workflow file, event, attempt, and that it is a job of its run."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.github.client import ARTIFACT, ApiError, Repository
from checks.closure import unchanged
from checks.evidence import ArtifactFact, CheckFact
from checks.model import Change
from checks.policy import Source

ACTIONS = "github-actions"
"""Slug of the App under which all workflows post."""


async def check_facts(
    repository: Repository, change: Change, sources: Sequence[Source]
) -> tuple[tuple[CheckFact, ...], tuple[ArtifactFact, ...]]:
    """The check runs that could prove one of `sources`, and the artifacts these name. Raises `ApiError`."""
    # All of them: GitHub's "latest" keeps one of each name and App, so that a success could hide the failure of another run.
    runs = await repository.every("check-runs", "check_runs", sha=change.head, params={"filter": "all"})
    newest = _newest(runs)
    needs_runs = any(source.app in (None, ACTIONS) for source in sources)
    workflow_runs = await repository.every("runs", "workflow_runs", params={"head_sha": change.head}) if needs_runs else []
    by_suite = {run["check_suite_id"]: run for run in workflow_runs if run.get("check_suite_id")}
    facts: list[CheckFact] = []
    jobs_of: dict[int, frozenset[str]] = {}
    for check in runs:
        run_of = by_suite.get(_suite(check))
        app = str((check.get("app") or {}).get("slug", ""))
        if not _named(check, app, run_of, sources):
            continue
        jobs: frozenset[str] = frozenset()
        if run_of is not None:
            if run_of["id"] not in jobs_of:
                listing = await repository.every("run-jobs", "jobs", run=run_of["id"], params={"filter": "latest"})
                jobs_of[run_of["id"]] = frozenset(_last(str(job.get("check_run_url") or job["id"])) for job in listing)
            jobs = jobs_of[run_of["id"]]
        # Two jobs of one run may have one name: each of the newest attempt counts.
        if check["id"] in newest or str(check["id"]) in jobs:
            facts.append(_fact(check, app, run_of, change, jobs))
    artifacts: list[ArtifactFact] = []
    for source in sources:
        if source.artifact:
            artifacts += await _artifacts(repository, source, workflow_runs, change)
    return tuple(facts), tuple(artifacts)


def _newest(runs: Iterable[Mapping[str, Any]]) -> frozenset[int]:
    """Of each name the newest of its suite: a suite of a workflow is one run with all its attempts, another App's are its re-runs."""
    newest: dict[tuple[object, object], int] = {}
    for run in runs:
        key = _suite(run), run["name"]
        newest[key] = max(run["id"], newest.get(key, 0))
    return frozenset(newest.values())


def _suite(check: Mapping[str, Any]) -> int | None:
    return (check.get("check_suite") or {}).get("id")


def _named(check: Mapping[str, Any], app: str, run: Mapping[str, Any] | None, sources: Sequence[Source]) -> bool:
    """Whether a check run could be meant by a source: by its name, or by its workflow where no name is given."""
    path = _path(run)
    return any(
        source.check == check.get("name") if source.check else source.workflow == path if source.workflow else source.app == app
        for source in sources
    )


def _path(run: Mapping[str, Any] | None) -> str | None:
    """The path of a run's workflow, without the `@ref` that GitHub adds for reusable ones."""
    return str(run["path"]).partition("@")[0] if run and run.get("path") else None


def _last(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def _fact(check: Mapping[str, Any], app: str, run: Mapping[str, Any] | None, change: Change, jobs: frozenset[str]) -> CheckFact:
    path = _path(run)
    return CheckFact(
        name=str(check.get("name", "")),
        app=app,
        conclusion=check.get("conclusion") if check.get("status") == "completed" else None,
        head=str(check.get("head_sha", "")),
        url=check.get("html_url"),
        workflow=path,
        event=str(run.get("event")) if run else None,
        same_as_base=same_workflow(change, path) if path else None,
        same_repository=_same_repository(run),
        from_run=str(check["id"]) in jobs,
        completed=_time(check.get("completed_at")),
        app_id=(check.get("app") or {}).get("id"),
    )


def _same_repository(run: Mapping[str, Any] | None) -> bool:
    if run is None:
        return True
    head, base = (run.get("head_repository") or {}).get("id"), (run.get("repository") or {}).get("id")
    return head is not None and head == base


def _time(text: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


def same_workflow(change: Change, path: str) -> bool | None:
    """Whether a workflow file, and what it names inside this repository, are the same at head as at the base's tip."""
    return unchanged(change.tip, change.after, path)


async def _artifacts(repository: Repository, source: Source, runs: Iterable[Mapping[str, Any]], change: Change) -> list[ArtifactFact]:
    """The named artifact of every run of the source's workflow on this head."""
    found: list[ArtifactFact] = []
    for run in runs:
        path = _path(run)
        if path is None or (source.workflow is not None and path != source.workflow) or run.get("head_sha") != change.head:
            continue
        listing = await repository.every("run-artifacts", "artifacts", run=run["id"])
        named = [item for item in listing if item.get("name") == source.artifact and not item.get("expired")]
        if not named:
            continue
        newest = max(named, key=lambda item: int(item["id"]))
        if int(newest.get("size_in_bytes") or 0) > ARTIFACT:
            raise ApiError("artifact", 0, "it is over the size limit")
        check = CheckFact(
            name=source.check or str(source.artifact),
            app=ACTIONS,
            conclusion=run.get("conclusion") if run.get("status") == "completed" else None,
            head=str(run.get("head_sha", "")),
            url=run.get("html_url"),
            workflow=path,
            event=str(run.get("event")),
            same_as_base=same_workflow(change, path),
            same_repository=_same_repository(run),
            completed=_time(run.get("updated_at")),
        )
        text = only_file(await repository.artifact(int(newest["id"])))
        if text is not None:
            found.append(ArtifactFact(str(source.artifact), text, check))
    return found


def only_file(content: bytes, limit: int = 4 << 20) -> str | None:
    """The one JSON file of an artifact's zip, read in memory and bounded; None where it is anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if len(members) != 1 or members[0].file_size > limit or not members[0].filename.endswith(".json"):
                return None
            with archive.open(members[0]) as file:
                data = file.read(limit + 1)
            return data.decode("utf-8") if len(data) <= limit else None
    except (zipfile.BadZipFile, UnicodeDecodeError, RuntimeError, NotImplementedError, OSError, EOFError):
        return None
