"""The reach of a setting: which jobs get a token, which workloads an account. As paths of plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.model import Change, Effect, Hazard, Unreadable
from checks.readers import workflow

REASONS = ("runs in", "is deployed to by")
"""Why a job depends on its workflow, and an environment on the job."""
JOBS = 3
"""Jobs of one workflow that are shown."""
_TOKEN = frozenset({Hazard.PRIVILEGE_WIDENED, Hazard.PIPELINE_WIDENED, Hazard.SECRET_EXPOSED})


def settings_paths(change: Change, effects: Sequence[Effect]) -> tuple[tuple[str, ...], ...]:
    """workflow → job → environment, for every workflow in which an effect gives away more."""
    touched = dict.fromkeys(effect.path for effect in effects if effect.hazard in _TOKEN and workflow.is_workflow(effect.path))
    return tuple(path for one in touched for path in _jobs(change, one))


def _jobs(change: Change, path: str) -> Iterator[tuple[str, ...]]:
    try:
        data = change.after.read(path)
        flow = workflow.workflow(data, path) if data else None
    except Unreadable:
        return
    jobs = flow.jobs if flow else ()
    for job in sorted(jobs, key=lambda one: not one.environment)[:JOBS]:
        yield (path, f"job {job.id}", *([f"environment {job.environment}"] if job.environment else []))
