"""The token of GitHub workflows

## What it detects
The rights of the `GITHUB_TOKEN` of each job, worked out at base and at head: the job's own `permissions`, else the workflow's, else the
repository's default. A scope that reaches `write` (or `id-token: write`, which lets a job take cloud roles) where it could not before is
reported; so is a limit that is deleted, so that the repository's default, which may be write, applies again, and a new job or workflow that starts with write.

## Why it matters
The token acts as the repository. With `contents: write` a step, or any action it uses, can push code and replace releases; with
`id-token: write` it can become whatever cloud role trusts this repository.

## Example
```yaml
permissions:
  contents: read    # base
  contents: write   # head
```

## What makes it safe
Grant the scope to the one job that needs it, keep third-party actions out of that job or pinned to a commit, run it in an environment with
protection rules, and pin the cloud role's trust to that environment.

## What it cannot see
The repository's and the organisation's default for the token: where nothing is written, both ends of the range are assumed, and writing
down what the default already gave is silent. Tokens of apps and personal tokens are secrets, not this token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from checks.access.workflows import NONE, PRIVILEGED, READ, STRONG, WORDS, WRITE, Grant, both_sides, environment_fact, grant, scopes
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity
from checks.readers.workflow import Both, Job, Workflow

WRITE_GRANTED = Rule(
    "workflow-token/write-granted",
    Hazard.PRIVILEGE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A job's token gains a write scope",
)
WRITE_ALL = Rule(
    "workflow-token/write-all",
    Hazard.PRIVILEGE_WIDENED,
    Severity.CRITICAL,
    Reversible.PARTLY,
    "A job's token may write everything",
)
LIMIT_REMOVED = Rule(
    "workflow-token/limit-removed",
    Hazard.PRIVILEGE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A limit on a job's token is deleted",
    confidence=Confidence.LIKELY,
)
NEW_WRITER = Rule(
    "workflow-token/new-job-writes",
    Hazard.PRIVILEGE_WIDENED,
    Severity.LOW,
    Reversible.PARTLY,
    "A new job starts with a write scope",
)
RULES = (WRITE_GRANTED, WRITE_ALL, LIMIT_REMOVED, NEW_WRITER)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed workflow."""
    sides, unread = both_sides(change, files)
    yield from unread
    files_ = [(both, both.after) for both in sides if both.after is not None and not both.after.action]
    for both, after in files_:
        yield from _widened(both, after)
        yield from _new(both, after)
    written_out = [found for both, after in files_ for found in _written_out(both, after)]
    if len(written_out) == 1:
        yield from _over_default(*written_out[0])


def _widened(both: Both, after: Workflow) -> Iterator[Effect]:
    blocks: dict[tuple[Rule, int, str], list[tuple[Job, tuple[str, ...], Grant, Grant]]] = {}
    for pair in both.jobs:
        if pair.old is None or pair.new is None or pair.before is None:
            continue
        old, new = grant(pair.before, pair.old), grant(after, pair.new)
        gained = tuple(scope for scope in scopes() if new.sure(scope) == WRITE and old.possible(scope) < WRITE)
        limits = _limit_removed(old, new)
        rule = WRITE_ALL if new.whole and not old.whole and gained else WRITE_GRANTED if gained else LIMIT_REMOVED if limits else None
        if rule is not None:
            line = new.line if rule is not LIMIT_REMOVED else (after.triggers_line if old.source == "workflow" else pair.new.line)
            where = "workflow" if (old if rule is LIMIT_REMOVED else new).source == "workflow" else pair.new.id
            blocks.setdefault((rule, line, where), []).append((pair.new, gained or limits, old, new))
    for (rule, line, where), members in blocks.items():
        names = tuple(dict.fromkeys(scope for _, found, _, _ in members for scope in found))
        jobs = ", ".join(job.id for job, _, _, _ in members[:5]) + (f" and {len(members) - 5} more" if len(members) > 5 else "")
        strong = bool(STRONG.intersection(names))
        old = members[0][2]
        subject = "the workflow's token" if where == "workflow" else f"job {where}"
        if rule is LIMIT_REMOVED:
            message = (
                f"The permissions block that limited the token of {jobs} is gone, so the repository's default applies, which may be write."
            )
            yield rule.effect(
                subject=subject,
                path=both.path,
                line=line,
                before=_said(old, names),
                after="the repository's default",
                severity=Severity.MODERATE if any(old.sure(scope) == WRITE for scope in STRONG) else None,
                message=message,
                facts=environment_fact(job for job, _, _, _ in members),
            )
        else:
            what = "everything, the identity token included" if rule is WRITE_ALL else ", ".join(names)
            yield rule.effect(
                subject=subject,
                path=both.path,
                line=line,
                before=_said(old, names),
                after="write-all" if rule is WRITE_ALL else ", ".join(f"{name}: write" for name in names),
                severity=None if rule is WRITE_ALL or strong else Severity.MODERATE,
                message=f"The token of {jobs} may now write {what}, and so may every step and action in it.",
                facts=environment_fact(job for job, _, _, _ in members),
            )


def _written_out(both: Both, after: Workflow) -> Iterator[tuple[Both, Job, Grant, Grant]]:
    """Jobs for which a block is newly written where the repository's default applied."""
    if both.before is None or after.only_called:
        return
    for pair in both.jobs:
        if pair.old is not None and pair.new is not None and pair.before is not None:
            old, new = grant(pair.before, pair.old), grant(after, pair.new)
            if old.source == "default" and new.source != "default":
                yield both, pair.new, old, new


def _over_default(both: Both, job: Job, old: Grant, new: Grant) -> Iterator[Effect]:
    """One job alone is given a write scope in so many words, and nothing else is: more than the default, where that is the restricted one.

    Blocks written for several jobs, or for the whole workflow (its own block restricts and the job's says what is needed), put the default into words.
    """
    if both.before is not None and both.after is not None and both.before.permissions is None and both.after.permissions is not None:
        return
    names = tuple(
        scope
        for scope in scopes()
        if scope in STRONG and new.sure(scope) == WRITE and old.possible(scope) >= READ and old.sure(scope) < WRITE
    )
    if new.source == "job" and names and "id-token" not in {scope for scope in scopes() if new.sure(scope) == WRITE}:
        yield WRITE_GRANTED.effect(
            subject=f"job {job.id}",
            path=both.path,
            line=new.line,
            before=_said(old, names),
            after=", ".join(f"{name}: write" for name in names),
            severity=Severity.MODERATE,
            confidence=Confidence.POSSIBLE,
            message=f"The token of {job.id} may now write {', '.join(names)}, which it could not if the repository's default is the restricted one.",
            facts=environment_fact([job]),
        )


def _limit_removed(old: Grant, new: Grant) -> tuple[str, ...]:
    if old.source == "default" or new.source != "default":
        return ()
    return tuple(scope for scope in scopes() if scope in STRONG and new.possible(scope) == WRITE and old.possible(scope) < WRITE)


def _said(side: Grant, names: Iterable[str]) -> str:
    parts = []
    for name in names:
        low, high = side.sure(name), side.possible(name)
        if high:
            parts.append(f"{name}: {WORDS[high]}" if low == high else f"{name}: {WORDS[low]} or {WORDS[high]} (default)")
    return ", ".join(parts) or "none"


def _new(both: Both, after: Workflow) -> Iterator[Effect]:
    held = _held(both)
    found: list[tuple[Job, Grant, tuple[str, ...]]] = []
    for pair in both.jobs:
        if pair.old is None and pair.new is not None:
            new = grant(after, pair.new)
            gained = tuple(scope for scope in scopes() if new.sure(scope) == WRITE and held.get(scope, NONE) < WRITE)
            if gained and new.source != "default":
                found.append((pair.new, new, gained))
    if not found:
        return
    names = tuple(dict.fromkeys(scope for _, _, gained in found for scope in gained))
    jobs = ", ".join(job.id for job, _, _ in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    line = min(new.line for _, new, _ in found)
    whole = any(new.whole for _, new, _ in found)
    strangers = bool(after.events & PRIVILEGED)
    strong = bool(STRONG.intersection(names))
    yield NEW_WRITER.effect(
        subject=f"jobs {jobs}" if len(found) > 1 else f"job {jobs}",
        path=both.path,
        line=line,
        after="write-all" if whole else ", ".join(f"{name}: write" for name in names),
        severity=Severity.HIGH if whole else Severity.MODERATE if strong and strangers else Severity.LOW,
        message=f"The new {'jobs' if len(found) > 1 else 'job'} {jobs} may write {'everything' if whole else ', '.join(names)} with the repository's token.",
        facts=environment_fact(job for job, _, _ in found),
    )


def _held(both: Both) -> dict[str, int]:
    """The most that any job of the same file had at base: a job split in two gains nothing."""
    held: dict[str, int] = {}
    for pair in both.jobs:
        if pair.old is None or pair.before is None:
            continue
        old = grant(pair.before, pair.old)
        for scope in scopes():
            held[scope] = max(held.get(scope, NONE), old.possible(scope) if old.source != "default" else old.sure(scope))
    return held


DETECTOR = Detector(name="workflow-token", title="The token of GitHub workflows", rules=RULES, detect=detect, group=together, sure=True)
