"""The actions, workflows and images that GitHub workflows bring in

## What it detects
An action, a called workflow or an image that was pinned to a commit or digest (or an exact version) and now follows a tag or a branch; an
action that comes from another owner under the same name; a new third-party action that is not pinned, in a job with secrets or a token that writes.

## Why it matters
A tag or branch can be moved by whoever controls the other repository, and then the new code runs here with this job's secrets and token, with no pull request to show it.

## Example
```yaml
- uses: some/action@8f4b7f84864484a7bf31766abe9204da3cbe65b3   # base
- uses: some/action@v3                                         # head
```

## What makes it safe
Pin to a full commit hash with the version in a comment and let a bot raise it; allow only listed actions in the repository's settings; give jobs with third-party actions a token that only reads.

## What it cannot see
Whether the commit or tag exists and belongs to that repository, what the action does, and what it brings in itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.access.workflows import WRITE, both_sides, grant, job_secrets
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity
from checks.readers.workflow import Both, Job, Workflow

LOOSENED = Rule(
    "workflow-supply/pin-loosened",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "An action follows a looser reference than before",
)
OWNER = Rule(
    "workflow-supply/owner-changed",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "An action of the same name comes from another owner",
)
NEW_ACTION = Rule(
    "workflow-supply/unpinned-action-added",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A new third-party action can change by itself in a job that has something to lose",
)
IMAGE = Rule(
    "workflow-supply/image-unpinned",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "An image is no longer pinned to a digest",
)
RULES = (LOOSENED, OWNER, NEW_ACTION, IMAGE)


@dataclass(frozen=True, slots=True)
class _Use:
    action: str
    ref: str
    line: int
    job: Job
    power: str
    """What the job has to lose: secrets, a token that writes; empty for nothing."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed workflow and action."""
    sides, unread = both_sides(change, files)
    yield from unread
    own = change.repository.partition("/")[0].lower()
    known = {use.action for both in sides if both.before for use in _uses(both.before)}
    for both in sides:
        if both.after is not None:
            yield from _loosened(both, both.after)
            yield from _owners(both, both.after, known)
            yield from _added(both, both.after, known, own)
            yield from _images(both, both.after)


def _uses(file: Workflow) -> Iterator[_Use]:
    for job in file.jobs:
        power = _power(file, job)
        for text, line in [(job.uses, job.uses_line), *((step.uses, step.uses_line) for step in job.steps)]:
            if text and not text.startswith((".", "$/", "docker://")) and "${{" not in text:
                action, _, ref = text.partition("@")
                yield _Use(action.lower(), ref.strip(), line, job, power)


def _power(file: Workflow, job: Job) -> str:
    if file.action:
        return ""
    if job_secrets(file, job):
        return "secrets"
    now = grant(file, job)
    writes = [scope for scope, level in now.least.items() if level == WRITE]
    return f"a token that may write {', '.join(writes[:3])}" if writes else ""


_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?$", re.I)
_EXACT = re.compile(r"(?:[\w/.-]*?(?<!\d))??v?\d++\.\d++\.\d++[\w.+-]*+$")
_LOOSE = re.compile(r"(?:[\w/.-]*?(?<!\d))??v?\d++(?:\.\d++)?(?:\.x)?$")
_WORDS = ("a branch", "a tag that moves with each release", "an exact version tag", "a commit")


def _firmness(ref: str) -> int:
    """3 for a commit, 2 for an exact version, 1 for a tag that moves, 0 for a branch or nothing."""
    if _COMMIT.match(ref):
        return 3
    if _EXACT.match(ref):
        return 2
    return 1 if _LOOSE.match(ref) else 0


def _loosened(both: Both, after: Workflow) -> Iterator[Effect]:
    if both.before is None:
        return
    old: dict[str, set[str]] = {}
    for use in _uses(both.before):
        old.setdefault(use.action, set()).add(use.ref)
    found: dict[int, list[tuple[_Use, str]]] = {}
    for use in _uses(after):
        was = old.get(use.action)
        if not was or use.ref in was:
            continue
        firmest = min(was, key=_firmness)
        if _firmness(use.ref) < _firmness(firmest) and not (
            _firmness(use.ref) == 1 and _firmness(firmest) == 2 and use.action.startswith("actions/")
        ):
            found.setdefault(_firmness(use.ref), []).append((use, firmest))
    for firmness, uses in found.items():
        use, was_ref = uses[0]
        names = ", ".join(dict.fromkeys(item.action for item, _ in uses))
        power = next((item.power for item, _ in uses if item.power), "")
        drop = max(_firmness(ref) for _, ref in uses)
        severity = Severity.HIGH if power and firmness == 0 else Severity.MODERATE if drop == 3 or firmness == 0 else Severity.LOW
        yield LOOSENED.effect(
            subject=names,
            path=both.path,
            line=use.line,
            before=was_ref[:40],
            after=use.ref or "no reference",
            severity=severity,
            message=f"{names} now follows {_WORDS[firmness]} instead of {_WORDS[drop]}, so that its owner can change what runs here{f' with {power}' if power else ''}.",
        )


def _owners(both: Both, after: Workflow, known: set[str]) -> Iterator[Effect]:
    if both.before is None:
        return
    now = {use.action for use in _uses(after)}
    gone = {use.action.partition("/")[2]: use.action for use in _uses(both.before) if use.action not in now}
    seen: set[str] = set()
    for use in _uses(after):
        name = use.action.partition("/")[2]
        if use.action in known or use.action in seen or name not in gone or not name:
            continue
        seen.add(use.action)
        firm = _firmness(use.ref) == 3
        yield OWNER.effect(
            subject=use.action,
            path=both.path,
            line=use.line,
            before=gone[name],
            after=use.action,
            severity=Severity.LOW
            if firm or use.action.startswith(("actions/", "github/"))
            else Severity.HIGH
            if use.power
            else Severity.MODERATE,
            message=f"The code of {name} now comes from {use.action.partition('/')[0]} instead of {gone[name].partition('/')[0]}.",
        )


def _added(both: Both, after: Workflow, known: set[str], own: str) -> Iterator[Effect]:
    gone = {use.action.partition("/")[2] for use in _uses(both.before)} if both.before else set()
    found: dict[str, _Use] = {}
    for use in _uses(after):
        owner, _, name = use.action.partition("/")
        if use.action in known or owner in ("actions", "github", own) or _firmness(use.ref) == 3 or not use.power or name in gone:
            continue
        found.setdefault(use.action, use)
    if found:
        first = min(found.values(), key=lambda use: use.line)
        names = ", ".join(found)
        loose = any(_firmness(use.ref) == 0 for use in found.values())
        yield NEW_ACTION.effect(
            subject=names,
            path=both.path,
            line=first.line,
            after=", ".join(f"{use.action}@{use.ref}" for use in found.values()),
            severity=Severity.MODERATE if loose else Severity.LOW,
            message=f"{names} {'are' if len(found) > 1 else 'is'} newly used without a pinned commit in a job with {first.power}, so that the owner can change what runs there.",
        )


def _images(both: Both, after: Workflow) -> Iterator[Effect]:
    if both.before is None:
        return
    pinned = {
        image.partition("@")[0].rpartition(":")[0] or image.partition("@")[0]: image
        for image, _ in _image_names(both.before)
        if "@sha256:" in image
    }
    pinned |= {image.partition("@")[0]: image for image, _ in _image_names(both.before) if "@sha256:" in image}
    for image, line in _image_names(after):
        if "@sha256:" in image or "${{" in image:
            continue
        base = image.rpartition(":")[0] if "/" not in image.rpartition(":")[2] and ":" in image else image
        was = pinned.get(image) or pinned.get(base)
        if was:
            yield IMAGE.effect(
                subject=base,
                path=both.path,
                line=line,
                before=was,
                after=image,
                message=f"The image {base} is no longer pinned to a digest, so that whoever can push the tag decides what runs here.",
            )


_MATRIX = re.compile(r"\$\{\{\s*matrix\.([\w.-]+)\s*\}\}")


def _chosen(values: Mapping[str, Sequence[str]], name: str) -> Iterator[str]:
    """The values that a matrix gives a name: of its own list, as a key of each item there, or in `include`."""
    first, _, key = name.partition(".")
    for holder, wanted in ((first, key), ("include", name)):
        for value in values.get(holder, ()):
            if not wanted:
                yield value
            elif found := re.search(rf"[{{,] ?{re.escape(wanted)}: ([^,{{}}]+)", value):
                yield found[1]


def _image_names(file: Workflow) -> Iterator[tuple[str, int]]:
    for job in file.jobs:
        values = dict(job.matrix)
        for box in job.containers:
            chosen = _MATRIX.fullmatch(box.image.strip())
            for image in _chosen(values, chosen[1]) if chosen else (box.image,):
                yield image.removeprefix("docker://"), job.matrix_line if chosen else box.line
        for step in job.steps:
            if step.uses.startswith("docker://"):
                yield step.uses.removeprefix("docker://"), step.uses_line


DETECTOR = Detector(
    name="workflow-supply",
    title="The actions, workflows and images that GitHub workflows bring in",
    rules=RULES,
    detect=detect,
    group=together,
    sure=True,
)
