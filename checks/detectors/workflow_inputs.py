"""What a workflow takes in from other runs, and what it leaves lying about: caches, artifacts, the checkout's token.

## What it detects
Jobs that publish, or whose workflow runs for releases only, and newly restore a cache that runs of pull requests may have filled; workflows that
newly take artifacts from the run that woke them; checkouts that no longer leave their token out of the working copy; and jobs in which commands
that a step prints are obeyed again.

## Why it matters
A cache is shared between branches of a repository: what a run for a pull request stores there, a release build restores and ships. Artifacts of a
run for a fork hold what the fork's author put in them.

## Example
```diff
   release:
     steps:
       - uses: actions/setup-node@v4
+        with: { cache: npm }
```

## What makes it safe
No cache in jobs that publish; artifacts unpacked to a folder of their own and read as data; `persist-credentials: false`.

## What it cannot see
Caches that actions keep without saying so, and what a later job does with files handed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from checks.access.workflows import both_sides
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity
from checks.readers.workflow import Both, Job, Step, Workflow

CACHE = Rule(
    "workflow-inputs/release-restores-cache", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES,
    "A job that publishes builds from a shared cache", confidence=Confidence.LIKELY,
)  # fmt: skip
ARTIFACT = Rule(
    "workflow-inputs/takes-foreign-artifacts", Hazard.PIPELINE_WIDENED, Severity.MODERATE, Reversible.YES,
    "A privileged run takes artifacts of the run that woke it", confidence=Confidence.LIKELY,
)  # fmt: skip
COMMANDS = Rule(
    "workflow-inputs/printed-commands-obeyed", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.YES,
    "Whatever a step prints may change later steps",
)  # fmt: skip
TOKEN = Rule(
    "workflow-inputs/token-left-in-checkout", Hazard.PIPELINE_WIDENED, Severity.LOW, Reversible.YES, "A checkout keeps its token on disk"
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed workflow; what cannot be read is said by the detector of the token's permissions."""
    sides, _ = both_sides(change, files)
    for both in sides:
        if both.after is None:
            continue
        for pair in both.jobs:
            if pair.new is not None and pair.after is both.after:
                yield from _cache(both, pair.old, pair.new)
                yield from _artifacts(both.path, pair.before, pair.after, pair.old, pair.new)
                if pair.old is not None:
                    yield from _token(both.path, pair.old, pair.new)
        yield from _commands(both)


_PUBLISH = re.compile(
    r"\b(?:npm|pnpm|yarn)\s+(?:npm\s+)?publish\b|\btwine\s+upload\b|\bcargo\s+publish\b|\bgem\s+push\b|\buv\s+publish\b|\bpoetry\s+publish\b"
    r"|\bgh\s+release\s+(?:create|upload)\b|\bsemantic-release\b|\bgoreleaser\s+release\b|\bchangeset\s+publish\b",
)
_PUBLISHERS = re.compile(
    r"(?:pypa/gh-action-pypi-publish|goreleaser/goreleaser-action|softprops/action-gh-release|js-devtools/npm-publish|changesets/action"
    r"|cycjimmy/semantic-release-action|ncipollo/release-action|rubygems/release-gem)$",
    re.IGNORECASE,
)
_CACHES = frozenset({"actions/cache", "actions/cache/restore", "swatinem/rust-cache"})
_BY_DEFAULT = {"actions/setup-go": "cache", "astral-sh/setup-uv": "enable-cache"}
"""Actions that cache unless an input says otherwise (their action.yml)."""
_SETUPS = ("actions/setup-", "astral-sh/setup-uv", "ruby/setup-ruby")
_CACHE_INPUTS = ("cache", "enable-cache", "bundler-cache")


def _publishes(job: Job) -> bool:
    return any(_PUBLISHERS.match(step.action) or _PUBLISH.search(step.run) for step in job.steps)


def _released(file: Workflow | None, job: Job) -> bool:
    """Whether what the job builds is for others: it publishes, or the workflow runs for releases and for nothing else."""
    if _publishes(job):
        return True
    return file is not None and bool(file.triggers) and all(
        trigger.name == "release" or (trigger.name == "push" and trigger.filter("tags") is not None and trigger.filter("branches") is None)
        for trigger in file.triggers
        if trigger.name != "workflow_dispatch"
    ) and bool(file.events & {"release", "push"})  # fmt: skip


def _caching(step: Step) -> Severity | None:
    """How much it counts that a step restores a cache: less where it does so by the action's own default. None where it does not."""
    action = step.action.lower()
    if action in _CACHES:
        return None if step.input("lookup-only") == "true" else Severity.MODERATE
    if action in _BY_DEFAULT:
        said = (step.input(_BY_DEFAULT[action]) or "").lower()
        return None if said == "false" else Severity.LOW if said in ("", "auto") else Severity.MODERATE
    if action.startswith(_SETUPS) and any((step.input(key) or "false").lower() not in ("false", "", "auto") for key in _CACHE_INPUTS):
        return Severity.MODERATE
    return None


def _cache(both: Both, old: Job | None, new: Job) -> Iterator[Effect]:
    if old is None or not _released(both.after, new) or not _released(both.before, old) or any(_caching(step) for step in old.steps):
        return  # a job that is new says elsewhere what it may do
    step = next((step for step in new.steps if _caching(step)), None)
    if step is None:
        return
    yield CACHE.effect(
        subject=f"{new.id} {step.action}", path=both.path, line=step.line, after=step.action, severity=_caching(step),
        message=f"The job {new.label} makes what is released, and now makes it from a cache that other runs can fill.",
    )  # fmt: skip


_OLD_COMMANDS = "ACTIONS_ALLOW_UNSECURE_COMMANDS"
"""Lets `::set-env` and `::add-path` work again (github.blog, 1 October 2020)."""


def _commands(both: Both) -> Iterator[Effect]:
    """Where printed commands are newly obeyed. The setting may stand at the workflow, a job or a step."""
    after = both.after
    if after is None or (both.before is not None and _obeyed(both.before)):
        return
    found = _obeyed(after)
    if found:
        job, line = found[0]
        yield COMMANDS.effect(
            subject=f"job {job.id}" if job.id else "the action", path=both.path, line=line, after=f"{_OLD_COMMANDS}: true",
            message=f"{f'In the job {job.label}' if job.id else 'In the action'}, whatever a step prints may set variables and paths of the steps after it.",
        )  # fmt: skip


def _obeyed(file: Workflow) -> list[tuple[Job, int]]:
    everywhere = _set(file.env)
    found = [(job, job.line) for job in file.jobs if everywhere or _set(job.env)]
    return found + [(job, step.line) for job in file.jobs for step in job.steps if _set(step.env)]


def _set(env: Sequence[tuple[str, str]]) -> bool:
    return any(name.upper() == _OLD_COMMANDS and text.strip().lower() not in ("", "false", "0") for name, text in env)


def _foreign(step: Step) -> bool:
    action = step.action.lower()
    if action == "dawidd6/action-download-artifact":
        return True
    return action == "actions/download-artifact" and "workflow_run" in (step.input("run-id") or "")


def _artifacts(path: str, before: Workflow | None, after: Workflow | None, old: Job | None, new: Job) -> Iterator[Effect]:
    if after is None or "workflow_run" not in after.events:
        return
    known = old is not None and before is not None and "workflow_run" in before.events and any(_foreign(step) for step in old.steps)
    step = next((step for step in new.steps if _foreign(step)), None)
    if step is None or known:
        return
    yield ARTIFACT.effect(
        subject=f"{new.id} {step.action}", path=path, line=step.line, after=step.action,
        message=f"The job {new.label} takes files that a run for anybody's pull request made, with the rights of the base branch.",
    )  # fmt: skip


def _checkouts(job: Job) -> list[Step]:
    return [step for step in job.steps if step.action.lower() == "actions/checkout"]


def _token(path: str, old: Job, new: Job) -> Iterator[Effect]:
    before, after = _checkouts(old), _checkouts(new)
    if not before or not all((step.input("persist-credentials") or "").lower() == "false" for step in before):
        return
    step = next((step for step in after if (step.input("persist-credentials") or "true").lower() == "true"), None)
    if step is not None:
        yield TOKEN.effect(
            subject=f"{new.id} {step.label}", path=path, line=step.line, before="persist-credentials: false", after="kept",
            message=f"Every later step of the job {new.label} can read the token that the checkout leaves on disk.",
        )  # fmt: skip


DETECTOR = Detector(
    name="workflow-inputs",
    title="What workflows take in and leave",
    rules=(CACHE, ARTIFACT, TOKEN, COMMANDS),
    detect=detect,
    group=together,
    sure=True,
)
