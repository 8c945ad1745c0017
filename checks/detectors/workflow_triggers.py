"""Who can start a GitHub workflow, and with what code

## What it detects
Events that strangers can cause and that run with the repository's token and secrets (`pull_request_target`, `workflow_run`, comments,
issues, discussions) newly in `on`; the code of a pull request newly checked out under such an event; text that a stranger, or the
caller of the workflow, writes newly put into a script; filters on such events, or on pushes that deploy, dropped or widened; a
deployment that needed a person and now starts by itself; a condition on who is behind the event dropped from a job or step.

## Why it matters
Under these events GitHub does not hold back write access or secrets as it does for a pull request from a fork. Code or text from outside
that runs there acts as the repository.

## Example
```yaml
on: pull_request          # base
on: pull_request_target   # head, and the job checks out github.event.pull_request.head.sha
```

## What makes it safe
Use `pull_request` for anything that runs the contributor's code; pass texts through `env:` and quote them; gate privileged jobs by an
environment with required reviewers; keep `types`, `branches` and author conditions narrow.

## What it cannot see
Whether a script that takes an environment variable treats it safely, what an action does with a text it is given, and which of the
repository's settings (approval for outside contributors, environments' rules) stand in the way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.access.checks import ships
from checks.access.workflows import (
    DEPLOY_WORD,
    PRIVILEGED,
    STRANGERS,
    WRITE,
    both_sides,
    caller_controlled,
    checks_out_head,
    deploys,
    environment_fact,
    gates,
    grant,
    job_secrets,
    never_from_a_pull,
    untrusted,
)
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, Environment, FileChange, Hazard, Reversible, Severity
from checks.places import environment_of
from checks.readers.expression import Expression, conjuncts, expressions
from checks.readers.workflow import Both, Job, Pair, Step, Trigger, Workflow

UNTRUSTED_EVENT = Rule(
    "workflow-triggers/untrusted-event-added",
    Hazard.PIPELINE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "Strangers can start a privileged workflow",
)
UNTRUSTED_CODE = Rule(
    "workflow-triggers/untrusted-code-checked-out",
    Hazard.PIPELINE_WIDENED,
    Severity.CRITICAL,
    Reversible.PARTLY,
    "A privileged workflow checks out a stranger's code",
)
INJECTION = Rule(
    "workflow-triggers/text-put-into-script",
    Hazard.PIPELINE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "Text from outside becomes part of a script",
)
FILTER = Rule(
    "workflow-triggers/filter-widened", Hazard.PIPELINE_WIDENED, Severity.MODERATE, Reversible.YES, "A workflow starts on more than before"
)
AUTOMATIC = Rule(
    "workflow-triggers/deployment-made-automatic",
    Hazard.PIPELINE_WIDENED,
    Severity.HIGH,
    Reversible.YES,
    "A deployment starts without a person",
)
GATE = Rule(
    "workflow-triggers/author-condition-dropped",
    Hazard.PIPELINE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A condition on who is behind the event is dropped",
    confidence=Confidence.LIKELY,
)
RULES = (UNTRUSTED_EVENT, UNTRUSTED_CODE, INJECTION, FILTER, AUTOMATIC, GATE)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed workflow and action."""
    sides, unread = both_sides(change, files)
    yield from unread
    injected = Counter(key for both in sides if both.before for key in _keys(both.before))
    for both in sides:
        if both.after is None:
            continue
        yield from _injections(both, both.after, injected)
        if both.after.action:
            continue
        yield from _events(both, both.after)
        yield from _checkouts(both, both.after)
        yield from _filters(both, both.after)
        yield from _automatic(both, both.after)
        yield from _gates(both, both.after)


# Events


def _events(both: Both, after: Workflow) -> Iterator[Effect]:
    old = both.before.events if both.before else frozenset()
    added = [trigger for trigger in after.triggers if trigger.name in PRIVILEGED and trigger.name not in old]
    # One privileged event for another of the same reach is no news: a comment on an issue or on a discussion is a stranger's comment.
    if not added or (
        len(old & PRIVILEGED) >= len(after.events & PRIVILEGED) and "pull_request_target" not in {item.name for item in added}
    ):
        return
    power = _power(after)
    for trigger in added:
        severity = _severity(trigger, after, power)
        if trigger.name == "workflow_run" and after.jobs and all(_shut_to_pulls(after, job) for job in after.jobs):
            continue  # what a stranger's pull request sets off is skipped
        if severity is None:
            continue
        yield UNTRUSTED_EVENT.effect(
            subject=f"on {trigger.name}",
            path=both.path,
            line=trigger.line,
            before=", ".join(sorted(old)) or None,
            after=trigger.name,
            severity=severity,
            message=f"{_CAUSE[trigger.name]} now starts this workflow{power.words}.",
            facts=environment_fact(after.jobs),
        )


_CAUSE = {
    "pull_request_target": "A pull request from anybody, a fork included,",
    "workflow_run": "The end of another workflow, which a stranger's pull request may have started,",
    "issue_comment": "A comment by anybody",
    "pull_request_comment": "A comment by anybody",
    "issues": "An issue by anybody",
    "discussion": "A discussion by anybody",
    "discussion_comment": "A comment by anybody",
}


@dataclass(frozen=True, slots=True)
class _Power:
    """What a stranger's event sets going."""

    writes: tuple[str, ...]
    secrets: bool
    code: bool
    gated: bool
    unknown: bool

    @property
    def words(self) -> str:
        have = []
        if self.writes:
            have.append("a token that may write " + ", ".join(self.writes[:4]))
        if self.secrets:
            have.append("secrets")
        if self.code:
            have.append("the pull request's code")
        if not have and self.unknown:
            have.append("the repository's default token")
        return " with " + " and ".join(have) if have else ""


def _power(file: Workflow) -> _Power:
    writes: dict[str, None] = {}
    for job in file.jobs:
        now = grant(file, job)
        writes |= dict.fromkeys(scope for scope in now.least if now.sure(scope) == WRITE)
    return _Power(
        writes=tuple(writes),
        secrets=any(job_secrets(file, job) for job in file.jobs),
        code=any(checks_out_head(step) for job in file.jobs for step in job.steps),
        gated=bool(file.jobs) and all(job.environment or gates(job.condition) or _needs_gated(file, job) for job in file.jobs),
        unknown=any(grant(file, job).source == "default" for job in file.jobs),
    )


def _needs_gated(file: Workflow, job: Job) -> bool:
    """A job behind a gated one does not run when that one is skipped, unless it says so."""
    if "always()" in job.condition or "cancelled()" in job.condition:
        return False
    return any((other := file.job(name)) is not None and (gates(other.condition) or bool(other.environment)) for name in job.needs)


def _shut_to_pulls(file: Workflow, job: Job) -> bool:
    """Whether the job never runs at the end of a workflow that a pull request started, by its condition or by a job it waits for."""
    if never_from_a_pull(job.condition):
        return True
    if "always()" in job.condition or "cancelled()" in job.condition:
        return False
    return any((other := file.job(name)) is not None and never_from_a_pull(other.condition) for name in job.needs)


def _severity(trigger: Trigger, file: Workflow, power: _Power) -> Severity | None:
    """How bad a new privileged event is; None where it gives a stranger nothing."""
    strong = bool(set(power.writes) - {"issues", "pull-requests", "discussions", "checks", "statuses"})
    if trigger.name == "pull_request_target" and power.code:
        return Severity.HIGH if power.gated else Severity.CRITICAL
    if not (power.writes or power.secrets or power.unknown):
        return None
    if trigger.name in ("issues", "discussion"):
        # Labelling and greeting bots: worth a word only where more than the discussion itself can be written.
        return Severity.MODERATE if power.secrets and not power.gated else Severity.LOW if strong or power.secrets else None
    closed = trigger.filter("types") in (("closed",), ("labeled",))
    severity = Severity.HIGH if power.secrets or strong or power.unknown else Severity.MODERATE
    if power.code:
        severity = severity.step(1)
    return severity.step(-1) if power.gated or closed else severity


# Code


def _checkouts(both: Both, after: Workflow) -> Iterator[Effect]:
    risky = after.events & PRIVILEGED
    if not risky:
        return
    was_risky = bool(both.before and both.before.events & PRIVILEGED)
    found: list[tuple[Job, Step, bool]] = []
    for pair in both.jobs:
        if pair.new is None:
            continue
        old = sum(checks_out_head(step) for step in pair.old.steps) if pair.old and was_risky else 0
        now = [step for step in pair.new.steps if checks_out_head(step)]
        let = _let_through(pair.old, now) if pair.old and was_risky else None
        if len(now) > old or let:
            if risky == {"workflow_run"} and _shut_to_pulls(after, pair.new):
                continue
            gated = bool(pair.new.environment) or gates(pair.new.condition) or _needs_gated(after, pair.new)
            found.append((pair.new, let or now[-1], gated))
    if found:
        _, step, _ = found[0]
        names = ", ".join(item.id for item, _, _ in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        yield UNTRUSTED_CODE.effect(
            subject=f"job {names}" if len(found) == 1 else f"jobs {names}",
            path=both.path,
            line=step.line,
            after=" ".join(filter(None, (step.input("repository"), step.input("ref")))) or step.run,
            severity=Severity.HIGH if all(gated for _, _, gated in found) else None,
            message=f"{names}, started by {', '.join(sorted(risky))} with the repository's rights, now check{'s' if len(found) == 1 else ''} out the code of the pull request.",
            facts=environment_fact(job for job, _, _ in found),
        )


def _let_through(old: Job, now: Sequence[Step]) -> Step | None:
    """The checkout of a stranger's code that is refused at base and forced at head: the same release of the action, with `allow-unsafe-pr-checkout` new.

    github.com/actions/checkout, action.yml: a fork's code is refused in privileged runs without that input, since v7 and in the later releases of v6.
    """
    was = [(step.uses, step.input("allow-unsafe-pr-checkout") or "") for step in old.steps if checks_out_head(step)]
    if any(forced.lower() == "true" for _, forced in was):
        return None
    same = {uses for uses, _ in was}
    return next((step for step in now if step.uses in same and (step.input("allow-unsafe-pr-checkout") or "").lower() == "true"), None)


# Injection

_SCRIPT_INPUTS = {
    "cardinalby/js-eval-action": ("expression",),
    "addnab/docker-run-action": ("run", "options"),
    "8398a7/action-slack": ("custom_payload",),
}
"""Actions that run an input as code whose name does not say so. Source: the actions' own metadata."""
_SCRIPT_NAME = re.compile(r"(?:\w+[-_])?(?:inline[-_]?)?(?:script|command)s?|run|cmd")
"""Inputs that an action runs, in a shell or as a program of their own, whoever wrote it (CodeQL's list of sinks for actions: these names)."""


@dataclass(frozen=True, slots=True)
class _Sink:
    job: Job
    step: Step
    line: int
    expression: Expression
    source: str
    stranger: bool
    kept: str = ""
    """The file through which it reaches the later steps, where it does so."""


def _sinks(file: Workflow) -> Iterator[_Sink]:
    shared = dict(file.env)
    for job in file.jobs:
        job_env = shared | dict(job.env)
        for step in job.steps:
            env: Mapping[str, str] = job_env | dict(step.env)
            for text, line in _scripts(step):
                if "${{" not in text:
                    continue
                for item in expressions(text):
                    stranger = untrusted(item.carries, env)
                    source = stranger or caller_controlled(item.carries, file)
                    if source:
                        yield _Sink(job, step, line + item.line, item, source, bool(stranger))
            if file.events & PRIVILEGED and (written := _KEPT.search(step.run)):
                at = step.run_line + step.run.count("\n", 0, written.start())
                for _, text in step.env:
                    for item in expressions(text) if "${{" in text else ():
                        if stranger := untrusted(item.carries, {}):
                            yield _Sink(job, step, at, item, stranger, True, written["file"])


_KEPT = re.compile(r"""^(?!\s*\#)[^\n]*[$`][^\n]*>>?\s*["']?\$\{?(?P<file>GITHUB_ENV|GITHUB_PATH)\b""", re.MULTILINE)
"""A line that writes something worked out at run time for all later steps (docs.github.com, workflow commands)."""


def _scripts(step: Step) -> Iterator[tuple[str, int]]:
    if step.run:
        yield step.run, step.run_line
    for name, text in step.with_:
        if _SCRIPT_NAME.fullmatch(name.lower()) or name.lower() in _SCRIPT_INPUTS.get(step.action, ()):
            yield text, step.input_line(name)


def _keys(file: Workflow, strangers: bool = True) -> Iterator[tuple[str, str]]:
    """What was interpolated before: (script without space, source), so that a step that moves takes its interpolations along."""
    for sink in _sinks(file):
        if strangers or not sink.stranger:
            yield sink.source, sink.expression.text


def _injections(both: Both, after: Workflow, before: Counter[tuple[str, str]]) -> Iterator[Effect]:
    left = before
    found: dict[tuple[str, bool], list[_Sink]] = {}
    for sink in _sinks(after):
        key = (sink.source, sink.expression.text)
        if left[key] > 0:
            left[key] -= 1
            continue
        found.setdefault((sink.job.id, sink.stranger), []).append(sink)
    if both.before is not None:
        # A caller's text under another name in its place is no news.
        now = {(sink.source, sink.expression.text) for sink in _sinks(after)}
        spare = sum(key not in now for key in _keys(both.before, strangers=False))
        for place, sinks in list(found.items()):
            if not place[1]:
                found[place] = sinks[spare:]
                spare = max(0, spare - len(sinks))
    for (job_id, stranger), sinks in found.items():
        if not sinks:
            continue
        if (not stranger and after.action and both.before is None) or not stranger:
            severity = Severity.LOW
        elif after.events & PRIVILEGED or after.only_called:
            severity = Severity.HIGH
        else:
            severity = Severity.MODERATE
        sources = ", ".join(dict.fromkeys(sink.source for sink in sinks))
        who = "anybody who opens an issue, a comment or a pull request" if stranger else "whoever starts or calls it"
        where = f"job {job_id}" if job_id else "the action"
        yield INJECTION.effect(
            subject=f"{where}: {sources}",
            path=both.path,
            line=sinks[0].line,
            after=sinks[0].expression.text,
            severity=severity,
            confidence=Confidence.CERTAIN if stranger else Confidence.LIKELY,
            message=f"Text written by {who} ({sources}) becomes part of "
            + (
                f"{sinks[0].kept} in the step “{sinks[0].step.label}”, so that it can decide what later steps run."
                if sinks[0].kept
                else f"a script in the step “{sinks[0].step.label}”, so that it can run commands there."
            ),
            facts=environment_fact(sink.job for sink in sinks),
        )


# Filters


def _filters(both: Both, after: Workflow) -> Iterator[Effect]:
    before = both.before
    if before is None or before.action:
        return
    for trigger in after.triggers:
        old = before.trigger(trigger.name)
        if old is None or old.filters == trigger.filters:
            continue
        matters = trigger.name in PRIVILEGED or (
            trigger.name in ("push", "release", "schedule")
            and any(deploys(job) and not job.environment for job in after.jobs if before.job(job.id))
        )
        widened = [name for name in ("branches", "types", "workflows") if _wider(old, trigger, name)]
        if matters and widened:
            name = widened[0]
            yield FILTER.effect(
                subject=f"on {trigger.name}: {name}",
                path=both.path,
                line=trigger.line,
                before=", ".join(old.filter(name) or ()) or None,
                after=", ".join(trigger.filter(name) or ()) or "everything",
                severity=None if trigger.name in PRIVILEGED else Severity.LOW,
                message=f"The workflow now starts on {trigger.name} for {_whatever(trigger, name)}, where it was limited to {', '.join(old.filter(name) or ()) or 'fewer'}.",
            )


def _whatever(trigger: Trigger, name: str) -> str:
    values = trigger.filter(name)
    return f"{name} {', '.join(values)}" if values else f"any {name}"


def _wider(old: Trigger, new: Trigger, name: str) -> bool:
    """Whether a positive filter lets through what it did not. A filter that is newly there narrows; a new pattern that an old one covers does not widen."""
    was, now = old.filter(name), new.filter(name)
    if was is None or set(was) == set(now or ()):
        return False
    if now is None:
        return name in ("types", "workflows") or not any(
            new.filter(other) for other in ("branches", "tags", "branches-ignore", "tags-ignore")
        )
    if "**" in was or "*" in was:
        return False
    return len(now) > len(was) and any(value not in was and not value.startswith("!") for value in now)


# Deployments

_BY_HAND = frozenset({"workflow_dispatch"})
_BY_ITSELF = frozenset({"push", "schedule", "workflow_run", "pull_request", "pull_request_target", "repository_dispatch", "issue_comment"})


def _automatic(both: Both, after: Workflow) -> Iterator[Effect]:
    before = both.before
    if before is None or before.events - {"workflow_call"} != _BY_HAND:
        return
    new = [trigger for trigger in after.triggers if trigger.name in _BY_ITSELF]
    found = [pair.new for pair in both.jobs if pair.old and pair.new and _delivers(pair.new) and not _only_by_hand(pair.new)]
    jobs = [job.id for job in found]
    if new and jobs:
        yield AUTOMATIC.effect(
            subject=f"on {new[0].name}",
            path=both.path,
            line=new[0].line,
            before="workflow_dispatch",
            after=", ".join(trigger.name for trigger in new),
            severity=None if any(job.environment or "deploy" in job.id.lower() for job in found) else Severity.MODERATE,
            message=f"{', '.join(jobs[:4])} ran only when a person started it; now {' and '.join(trigger.name for trigger in new)} starts it too.",
            facts=environment_fact(found),
        )


def _delivers(job: Job) -> bool:
    """Whether the job delivers something: by what it does, or by an environment that has the name of one; other environments only hold secrets."""
    return ships(job) or environment_of(job.environment) is not Environment.UNKNOWN or bool(DEPLOY_WORD.search(job.environment))


def _only_by_hand(job: Job) -> bool:
    return "workflow_dispatch" in job.condition


# Conditions on people


def _gates(both: Both, after: Workflow) -> Iterator[Effect]:
    if not after.events & STRANGERS:
        return
    privileged = bool(after.events & PRIVILEGED)
    for pair in both.jobs:
        if pair.old is None or pair.new is None:
            continue
        for old, new, what, line in _conditions(pair):
            lost = [part for part in conjuncts(old) if gates(part)] if old else []
            if not lost or gates(new):
                continue
            if not privileged and not job_secrets(after, pair.new) and not deploys(pair.new):
                continue
            yield GATE.effect(
                subject=what,
                path=both.path,
                line=line,
                before=lost[0],
                after=new or "no condition",
                severity=Severity.HIGH if privileged else Severity.MODERATE,
                message=f"{what[0].upper()}{what[1:]} no longer asks who is behind the event or where its code comes from.",
                facts=environment_fact([pair.new]),
            )


def _conditions(pair: Pair) -> Iterator[tuple[str, str, str, int]]:
    assert pair.old is not None and pair.new is not None
    yield pair.old.condition, pair.new.condition, f"job {pair.new.id}", pair.new.condition_line or pair.new.line
    if gates(pair.new.condition):
        return
    steps = {_step_key(step): step for step in pair.old.steps}
    for step in pair.new.steps:
        old = steps.get(_step_key(step))
        if old is not None and old.condition != step.condition:
            yield old.condition, step.condition, f"step “{step.label}” of job {pair.new.id}", step.condition_line or step.line


def _step_key(step: Step) -> tuple[str, str]:
    return (step.action, step.id or step.name or step.run[:80])


DETECTOR = Detector(
    name="workflow-triggers",
    title="Who can start a GitHub workflow, and with what code",
    rules=RULES,
    detect=detect,
    group=together,
    sure=True,
)
