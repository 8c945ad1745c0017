"""The checks that GitHub workflows run

## What it detects
A check (a workflow, a job, a step, a leg of a matrix) that is gone, that is skipped (`if: false`, a new condition), that can no longer fail
(`continue-on-error`, `|| true`, a flag such as `--passWithNoTests`, a scanner's threshold), or that no longer starts on pull requests; a
deployment that no longer waits for its checks; a step that signs or attests what is released and is gone.

Checks are told from deployments and chores by what they run: tests, linters, builds on pull requests, scanners.

## Why it matters
A job skipped by a condition counts as passed, and so does one that may not fail: the list of checks stays green while nothing is checked.

## Example
```yaml
- run: npm test              # base
- run: npm test || true      # head
```

## What makes it safe
Require the check by name in the branch's rules, together with one job that runs always and looks at the results of the others; move a check in the same pull request that takes it away.

## What it cannot see
Whether the check is required, what a script runs that a step starts, and whether a job that has a new condition is meant for those cases only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.access.checks import BUILD, RUNNERS, SCAN, SIGN, STYLE, TEST, Check, checks_in, is_check, ships
from checks.access.workflows import both_sides, deploys
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.readers.documents import one_yaml
from checks.readers.expression import conjuncts, never
from checks.readers.shell import Command, script
from checks.readers.waivers import waived
from checks.readers.workflow import Both, Job, Pair, Step, Workflow

GONE = Rule(
    "workflow-checks/check-removed", Hazard.CHECK_WEAKENED, Severity.MODERATE, Reversible.YES, "A check is gone", question=Question.FORCED
)
SKIPPED = Rule(
    "workflow-checks/check-skipped",
    Hazard.CHECK_WEAKENED,
    Severity.HIGH,
    Reversible.YES,
    "A check never runs, or runs less often",
    question=Question.FORCED,
)
SOFT = Rule(
    "workflow-checks/check-cannot-fail",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A check can no longer fail",
    question=Question.FORCED,
)
LESS = Rule(
    "workflow-checks/check-covers-less",
    Hazard.CHECK_WEAKENED,
    Severity.LOW,
    Reversible.YES,
    "A check covers less",
    question=Question.FORCED,
    confidence=Confidence.LIKELY,
)
UNTRIGGERED = Rule(
    "workflow-checks/trigger-lost",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "Checks no longer start",
    question=Question.FORCED,
)
UNWAITED = Rule(
    "workflow-checks/deployment-waits-no-longer",
    Hazard.CHECK_WEAKENED,
    Severity.HIGH,
    Reversible.YES,
    "A deployment no longer waits for its checks",
    question=Question.FORCED,
)
UNSIGNED = Rule(
    "workflow-checks/signing-removed",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "What is released is no longer signed or attested",
)
CANCELLED = Rule(
    "workflow-checks/deployment-cancellable",
    Hazard.AVAILABILITY_REDUCED,
    Severity.MODERATE,
    Reversible.YES,
    "A running deployment is cancelled by the next",
)
RULES = (GONE, SKIPPED, SOFT, LESS, UNTRIGGERED, UNWAITED, UNSIGNED, CANCELLED)


@dataclass(frozen=True, slots=True)
class _Lost:
    both: Both
    pair: Pair
    check: Check
    step: Step


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed workflow and action."""
    sides, unread = both_sides(change, files)
    yield from unread
    yield from _gone(sides)
    for both in sides:
        for pair in both.jobs:
            if pair.old is not None and pair.new is not None and both.after is not None and pair.before is not None:
                yield from _weakened(both, pair, pair.before, both.after)
        if both.before is not None and both.after is not None and not both.after.action:
            yield from _triggers(change, both, both.before, both.after)
            yield from _cancelled(both, both.before, both.after)


# Gone


def _gone(sides: Sequence[Both]) -> Iterator[Effect]:
    lost, gained = _balance(sides)
    lost = [item for item in lost if not _replaced(item, gained)]
    yield from _unsigned([item for item in lost if item.check.kind == SIGN])
    found = [item for item in lost if item.check.kind != SIGN]
    told: set[tuple[str, str]] = set()
    whole: list[Both] = []
    for both in sides:
        if both.before is None or both.before.action:
            continue
        gone = [pair for pair in both.jobs if pair.old is not None and pair.new is None and is_check(both.before, pair.old)]
        if gone and _handed_over(both, sides):
            told |= {(both.path, pair.old.id) for pair in gone if pair.old is not None}
            continue
        if both.after is None:
            if gone and (any(item.both is both for item in found) or not _any_checks(both)):
                whole.append(both)
            told |= {(both.path, pair.old.id) for pair in both.jobs if pair.old is not None}
            continue
        legs = [pair.old for pair in gone if pair.old is not None and _other_version_runs(pair.old, both)]
        yield from _versions_gone(both, legs)
        for pair in gone:
            assert pair.old is not None
            told.add((both.path, pair.old.id))
            if pair.old in legs:
                continue
            if any(other.old is None and other.new is not None and other.new.uses.startswith(("./", "$/")) for other in both.jobs):
                continue  # the workflow now calls another of this repository in its place
            theirs = [item for item in found if item.pair is pair]
            if theirs or (not any(list(checks_in(step, both.path)) for step in pair.old.steps) and not _called_elsewhere(pair.old, sides)):
                yield _job_gone(both, pair.old, theirs)
    yield from _files_gone(whole)
    yield from _steps_gone([item for item in found if item.pair.old is not None and (item.both.path, item.pair.old.id) not in told])


def _balance(sides: Sequence[Both]) -> tuple[list[_Lost], list[tuple[Both, Pair, Check, Step]]]:
    """Checks whose key is rarer at head than at base, over all changed files, and those that are new."""
    old: list[_Lost] = []
    new: list[tuple[Both, Pair, Check, Step]] = []
    for both in sides:
        for pair in both.jobs:
            if pair.old is not None and pair.before is not None:
                old += [_Lost(both, pair, check, step) for step in pair.old.steps for check in checks_in(step, both.path)]
            if pair.new is not None:
                new += [(both, pair, check, step) for step in pair.new.steps for check in checks_in(step, both.path)]
    have = Counter(check.key for _, _, check, _ in new)
    had = Counter(item.check.key for item in old)
    lost: list[_Lost] = []
    # What stays in its own job is taken off first, so that the loss falls on the job that lost it.
    own = Counter((id(pair), check.key) for _, pair, check, _ in new)
    rest: list[_Lost] = []
    for item in old:
        place = (id(item.pair), item.check.key)
        if own[place] > 0:
            own[place] -= 1
            have[item.check.key] -= 1
        else:
            rest.append(item)
    for item in rest:
        if have[item.check.key] > 0:
            have[item.check.key] -= 1
        else:
            lost.append(item)
    extra: list[tuple[Both, Pair, Check, Step]] = []
    for row in new:
        if had[row[2].key] > 0:
            had[row[2].key] -= 1
        else:
            extra.append(row)
    return lost, extra


def _replaced(item: _Lost, gained: list[tuple[Both, Pair, Check, Step]]) -> bool:
    """Whether another check of the same tool came anywhere, or one of the same kind in the same job (or workflow, where the job is gone)."""
    for both, pair, check, step in gained:
        if check.tool == item.check.tool or (pair is item.pair and (check.kind == item.check.kind or _same_step(step, item.step))):
            return True
        if check.kind == item.check.kind and (both is item.both or item.both.after is None):
            return True
        if pair is item.pair and check.tool in RUNNERS and item.check.kind in (STYLE, BUILD):
            return True  # a task of its own, which runs more than its name tells
    # The step stands, and now does its work in another way (a script, an action of the repository).
    return item.pair.new is not None and any(
        _same_step(step, item.step) and step.body != item.step.body and (step.run or step.uses) and not _emptied(step)
        for step in item.pair.new.steps
    )


def _emptied(step: Step) -> bool:
    return bool(step.run) and all(_NOTHING.match(line.strip()) for line in step.run.splitlines())


_NOTHING = re.compile(r"(?:(?:echo|printf|true|:)(?:\s.*)?|exit(?:\s+0)?)?\s*(?:#.*)?\Z")
"""A command that does nothing, or only says something."""


def _same_step(one: Step, other: Step) -> bool:
    return bool((one.name and one.name == other.name) or (one.id and one.id == other.id))


def _any_checks(both: Both) -> bool:
    return any(list(checks_in(step, both.path)) for pair in both.jobs if pair.old is not None for step in pair.old.steps)


def _called_elsewhere(job: Job, sides: Sequence[Both]) -> bool:
    """Whether something of the same name stands in another workflow at head."""
    return any(pair.new is not None and pair.new.label == job.label for both in sides for pair in both.jobs)


_ORDINARY = frozenset(
    {"test", "tests", "build", "check", "checks", "lint", "main", "workflow", "workflows", "action", "actions", "core", "call", "reusable"}
)


def _handed_over(both: Both, sides: Sequence[Both]) -> bool:
    """Whether the file or all its jobs are gone and a job that is new calls a workflow for the same thing, known by a word of its own in the names."""
    if any(pair.new is not None for pair in both.jobs) or both.before is None:
        return False
    own = _name_words(both.path.rpartition("/")[2].rpartition(".")[0], both.before.name)
    return any(
        pair.new is not None
        and pair.old is None
        and bool(pair.new.uses)
        and bool(own & _name_words(pair.new.id, pair.new.uses.partition("@")[0].rpartition("/")[2].rpartition(".")[0]))
        for other in sides
        for pair in other.jobs
    )


def _name_words(*names: str) -> set[str]:
    return {word.lower() for name in names for word in re.findall(r"[A-Za-z]{4,}", name)} - _ORDINARY


def _numberless(job: Job) -> str:
    return re.sub(r"\d+(?:[._-]\d+)*", "#", job.id)


def _other_version_runs(job: Job, both: Both) -> bool:
    """Whether the same job stands at head for another version: its id differs in the number alone, and both sides had it."""
    name = _numberless(job)
    return name != job.id and any(
        pair.old is not None and pair.new is not None and _numberless(pair.new) == name and len(pair.new.steps) >= len(job.steps)
        for pair in both.jobs
    )


def _versions_gone(both: Both, jobs: Sequence[Job]) -> Iterator[Effect]:
    if jobs:
        names = ", ".join(job.label for job in jobs[:3]) + (f" and {len(jobs) - 3} more" if len(jobs) > 3 else "")
        yield LESS.effect(
            subject=f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}: {jobs[0].id}",
            path=both.path,
            line=jobs[0].line,
            side=Side.BASE,
            before=names,
            severity=Severity.LOW,
            message=f"The checks no longer run for {names}; the same go on for other versions.",
        )


def _severity(kinds: Iterable[str]) -> Severity:
    found = set(kinds)
    return Severity.MODERATE if found & {TEST, SCAN} or not found else Severity.LOW


def _job_gone(both: Both, job: Job, items: Sequence[_Lost]) -> Effect:
    assert both.before is not None
    kinds = {item.check.kind for item in items} or {is_check(both.before, job) or STYLE}
    what = ", ".join(dict.fromkeys(item.check.key for item in items[:4]))
    return GONE.effect(
        subject=f"job {job.id}",
        path=both.path,
        line=job.line,
        side=Side.BASE,
        before=what or job.label,
        severity=_severity(kinds),
        message=f"The job {job.label} is gone{f' and with it {what}' if what else ''}, so nothing here checks that any more.",
    )


def _files_gone(files: Sequence[Both]) -> Iterator[Effect]:
    if len(files) > 3:
        names = ", ".join(both.path.rpartition("/")[2] for both in files[:6])
        yield GONE.effect(
            subject=f"{len(files)} workflows",
            path=files[0].path,
            line=1,
            side=Side.BASE,
            before=names,
            message=f"{len(files)} workflows that check changes are gone: {names}{' and more' if len(files) > 6 else ''}.",
        )
        return
    for both in files:
        assert both.before is not None
        jobs = [pair.old for pair in both.jobs if pair.old is not None]
        kinds = {kind for job in jobs if (kind := is_check(both.before, job))}
        yield GONE.effect(
            subject=f"workflow {both.before.name or both.path.rpartition('/')[2]}",
            path=both.path,
            line=1,
            side=Side.BASE,
            before=", ".join(job.label for job in jobs[:6]),
            severity=_severity(kinds),
            message=f"The workflow {both.before.name or both.path.rpartition('/')[2]} is gone, so its checks ({', '.join(job.label for job in jobs[:4])}) no longer run.",
        )


def _steps_gone(items: Sequence[_Lost]) -> Iterator[Effect]:
    groups: dict[tuple[str, str], list[_Lost]] = {}
    for item in items:
        old, before = item.pair.old, item.pair.before
        if old is None or before is None or (item.check.kind == BUILD) or (ships(old) and item.check.kind not in (TEST, SCAN)):
            continue
        if not before.action and not is_check(before, old) and item.check.kind not in (TEST, SCAN):
            continue
        if item.pair.new is not None and item.pair.new.uses and not old.uses:
            continue  # the job now calls a workflow; what that one runs is its own file
        groups.setdefault((item.both.path, old.id), []).append(item)
    for (path, job), members in groups.items():
        what = ", ".join(dict.fromkeys(item.check.key for item in members))
        yield GONE.effect(
            subject=f"{f'job {job}' if job else 'the action'}: {what}",
            path=path,
            line=members[0].check.line,
            side=Side.BASE,
            before=what,
            severity=_severity(item.check.kind for item in members),
            message=f"{'The job ' + job if job else 'The action'} no longer runs {what}, and no other changed workflow does.",
        )


def _unsigned(items: Sequence[_Lost]) -> Iterator[Effect]:
    for item in {(entry.both.path, entry.check.key): entry for entry in items}.values():
        if item.pair.new is None:
            continue
        yield UNSIGNED.effect(
            subject=f"job {item.pair.new.id}: {item.check.key}",
            path=item.both.path,
            line=item.check.line,
            side=Side.BASE,
            before=item.check.key,
            message=f"The job {item.pair.new.id} no longer runs {item.check.key}, so what it releases can no longer be verified.",
        )


# Weakened where it stands

_HARMLESS = re.compile(
    r"^!?\s*(?:always|success|cancelled|failure)\(\)$|^github\.repository(?:_owner)?\s*==|default_branch|^github\.event\.repository\.|^!?\s*github\.event\.pull_request\.draft|merge_group|runner\.os|^!?\s*github\.event\.deleted"
    r"|github\.event\.pull_request\.draft\s*==\s*false|skip.?duplicate|should_skip|skipped|'skip-ci'",
    re.I,
)


def _bare(text: str) -> str:
    return re.sub(r"^\$\{\{\s*|\s*\}\}$", "", text.strip()).strip()


def _weakened(both: Both, pair: Pair, before: Workflow, after: Workflow) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    assert old is not None and new is not None
    kind = is_check(before, old)
    yield from _waits(both, pair, before, after)
    yield from _soft_job(both, old, new, kind)
    if kind:
        yield from _condition(both, old.condition, new.condition, f"job {new.label}", new.condition_line or new.line, kind, before)
        yield from _legs(both, old, new)
    for was, now in _steps(old, new):
        yield from _step(both, before, new, was, now, kind)


def _soft(text: str) -> bool:
    return bool(text) and text.strip().lower() != "false"


def _soft_job(both: Both, old: Job, new: Job, kind: str | None) -> Iterator[Effect]:
    if _soft(new.soft) and not _soft(old.soft):
        yield SOFT.effect(
            subject=f"job {new.id}",
            path=both.path,
            line=new.soft_line,
            before="fails",
            after=f"continue-on-error: {new.soft}",
            severity=Severity.LOW
            if kind is None
            else Severity.HIGH
            if kind in (TEST, SCAN) and "${{" not in new.soft
            else Severity.MODERATE,
            message=f"The job {new.label} may now fail without failing the run.",
        )


def _condition(both: Both, old: str, new: str, what: str, line: int, kind: str, before: Workflow) -> Iterator[Effect]:
    if old == new or not new:
        return
    if never(new) and not never(old):
        yield SKIPPED.effect(
            subject=what,
            path=both.path,
            line=line,
            before=old or "always",
            after=f"if: {_bare(new)}",
            severity=Severity.HIGH if kind in (TEST, SCAN) else Severity.MODERATE,
            message=f"The {what} never runs any more, and a skipped job counts as passed.",
        )
        return
    had = {_squeezed(part) for part in conjuncts(old)} if old else set()
    added = [
        part for part in conjuncts(new) if _squeezed(part) not in had and not _HARMLESS.search(part) and not _for_new_event(part, before)
    ]
    if not added or len(conjuncts(new)) <= len(had):
        return  # rewritten, not narrowed
    yield SKIPPED.effect(
        subject=what,
        path=both.path,
        line=line,
        before=old or "always",
        after=added[0],
        severity=Severity.LOW,
        confidence=Confidence.LIKELY,
        message=f"The {what} now runs only if {added[0]}; where that does not hold it is skipped, which counts as passed.",
    )


def _for_new_event(part: str, before: Workflow) -> bool:
    """A condition on an event that did not start the workflow before takes nothing away from the others."""
    match = re.match(r"github\.event_name\s*!=\s*'(\w+)'(?:\s*\|\||$)", part)
    return match is not None and match.group(1) not in before.events


def _squeezed(text: str) -> str:
    return re.sub(r"[\s()]", "", text).replace('"', "'").lower()


def _legs(both: Both, old: Job, new: Job) -> Iterator[Effect]:
    now = dict(new.matrix)
    for name, values in old.matrix:
        left = now.get(name)
        if left is None or name in ("include", "exclude") or any("${{" in value for value in left):
            continue
        gone = [value for value in values if value not in left]
        if gone and len(left) < len(values):
            yield LESS.effect(
                subject=f"job {new.id}: {name}",
                path=both.path,
                line=new.matrix_line,
                before=", ".join(values),
                after=", ".join(left),
                message=f"The job {new.label} no longer runs for {name} {', '.join(gone)}.",
            )


def _steps(old: Job, new: Job) -> Iterator[tuple[Step, Step]]:
    """Steps of the same job, paired by what they do, id, name, or action and place."""
    rest = list(old.steps)
    for step in new.steps:
        match = next((was for test in _SAME for was in rest if test(was, step)), None)
        if match is not None:
            rest.remove(match)
            yield match, step


_SAME: tuple[Callable[[Step, Step], bool], ...] = (
    lambda was, step: was.body == step.body,
    lambda was, step: bool(step.id) and was.id == step.id,
    lambda was, step: bool(step.name) and was.name == step.name and bool(was.uses) == bool(step.uses),
    lambda was, step: bool(step.uses) and was.action == step.action,
    lambda was, step: bool(step.run) and was.run.split()[:3] == step.run.split()[:3],
)


def _step(both: Both, before: Workflow, job: Job, was: Step, now: Step, kind: str | None) -> Iterator[Effect]:
    if was.body == now.body:
        return
    old, new = list(checks_in(was, both.path)), list(checks_in(now, both.path))
    checked = kind or ("" if not old else old[0].kind)
    what = f"step “{now.label}” of job {job.id}" if job.id else f"step “{now.label}”"
    if _soft(now.soft) and not _soft(was.soft):
        serious = bool(old) and any(check.kind in (TEST, SCAN) for check in old)
        yield SOFT.effect(
            subject=what,
            path=both.path,
            line=now.soft_line,
            before="fails",
            after=f"continue-on-error: {now.soft}",
            severity=Severity.MODERATE if serious else Severity.LOW,
            message=f"The {what} may now fail without failing the job.",
        )
    split = Counter(check.key for step in job.steps for check in checks_in(step, both.path))
    if any(check.kind != BUILD for check in old) and all(split[check.key] < 2 for check in old):
        yield from _condition(both, was.condition, now.condition, what, now.condition_line or now.line, checked or STYLE, before)
    if old:
        yield from _soft_commands(both, what, was, now, old, new)
    yield from _thresholds(both, what, was, now, bool(old))
    yield from _stops(both, what, was, now)


def _stops(both: Both, what: str, was: Step, now: Step) -> Iterator[Effect]:
    """A script that ended itself when somebody was not who they should be, and no longer does."""
    old, new = _exits(was), _exits(now)
    if old and not new and now.run:
        guard = next(iter(old))
        yield GONE.effect(
            subject=f"{what}: {guard[:80]}",
            path=both.path,
            line=now.run_line,
            before=guard,
            after="goes on",
            severity=Severity.MODERATE,
            confidence=Confidence.LIKELY,
            message=f"The {what} no longer ends when “{guard[:120]}” says that it must.",
        )


def _exits(step: Step) -> dict[str, int]:
    if not step.run or "exit" not in step.run:
        return {}
    try:
        commands = script(step.run, "", step.run_line).commands
    except Unreadable:
        return {}
    ends = {command.function for command in commands if command.function and _fails(command) and not command.guards}
    return {
        guard: command.line
        for command in commands
        if _fails(command) or command.name in ends
        for guard in command.guards[-1:]
        if _WHO.search(guard)
    }


def _fails(command: Command) -> bool:
    return command.words[:1] == ("exit",) and command.words[1:] not in ((), ("0",))


_WHO = re.compile(r"author|actor|\buser\b|sender|member|collaborator|permission|owner|trusted|login", re.I)


_FLAGS = re.compile(
    r"^--?(?:passwithnotests|exit-zero|no-fail(?:-on.*)?|soft-fail|exit-code=0|exit_code=0|issues-exit-code=0|no-exit-code|allow-failures?|continue-on-error|ignore-failures?|no-error-on-unmatched-pattern"
    r"|dskiptests.*|dmaven\.test\.(?:skip|failure\.ignore).*|deselect.*|ignore=.*|ignore-glob=.*|ignore-vuln.*|testpathignorepatterns.*|skip-tests?|skip-(?:dirs|files|check).*|no-verify|severity-threshold=critical"
    r"|keep-going|silent-fail|warn-only|force-exclude|no-bail)$",
    re.I,
)


def _soft_commands(both: Both, what: str, was: Step, now: Step, old: Sequence[Check], new: Sequence[Check]) -> Iterator[Effect]:
    before = Counter(check.key for check in old if not check.soft)
    soft_before = Counter(check.key for check in old if check.soft)
    for check in new:
        if check.soft:
            if soft_before[check.key] > 0:
                soft_before[check.key] -= 1
            elif before[check.key] > 0 and sum(not item.soft and item.key == check.key for item in new) < before[check.key]:
                yield _softened(both, what, check.line, check.key, check.soft)
    flags_before = frozenset(flag for check in old for flag in check.flags)
    loose = [
        (check, flag)
        for check in new
        for flag in sorted(check.flags)
        if _FLAGS.match(flag) and flag not in flags_before and any(item.tool == check.tool for item in old)
    ]
    for check, flag in loose[:1]:
        severity = Severity.LOW if flag.lower().startswith(("--ignore", "--deselect", "--skip-", "--testpath")) else Severity.MODERATE
        yield (LESS if severity is Severity.LOW else SOFT).effect(
            subject=f"{what}: {check.key}",
            path=both.path,
            line=check.line,
            after=flag,
            severity=severity,
            message=f"The {what} now runs {check.key} with {flag}, so it passes where it did not.",
        )
    asked = _asked(was.run)
    for name, least in _asked(now.run).items():
        if name in asked and (least > asked[name] if name == "max-warnings" else least < asked[name]):
            yield SOFT.effect(
                subject=f"{what}: --{name}",
                path=both.path,
                line=now.run_line,
                before=f"{asked[name]:g}",
                after=f"{least:g}",
                severity=Severity.LOW,
                message=f"The {what} now passes where it did not: --{name} goes from {asked[name]:g} to {least:g}.",
            )
    if _switched_off(now) and not _switched_off(was):
        yield _softened(both, what, now.run_line, ", ".join(check.key for check in old[:3]), _switched_off(now))


def _asked(run: str) -> dict[str, float]:
    """The numbers on a step's command lines that decide whether a check passes (eslint.org, pytest-cov, coverage.readthedocs.io)."""
    return {
        name: float(number) for name, number in re.findall(r"(?<!\S)--(max-warnings|cov-fail-under|fail-under)[= ](\d{1,9})(?![\w.])", run)
    }


def _softened(both: Both, what: str, line: int, key: str, how: str) -> Effect:
    return SOFT.effect(
        subject=f"{what}: {key}",
        path=both.path,
        line=line,
        before="fails",
        after=how,
        severity=Severity.MODERATE,
        message=f"In the {what} the failure of {key} no longer counts ({how}).",
    )


_REPORTS = re.compile(r"exit\s+[\"']?\$|return\s+[\"']?\$|exit\s+1|\bset\s+-[a-z]*e|PIPESTATUS|GITHUB_OUTPUT|\$\?|\$EXIT", re.I)


def _switched_off(step: Step) -> str:
    """`set +e` or a last `exit 0` with which nothing in the step hands the failure on."""
    if not step.run or _REPORTS.search(step.run):
        return ""
    try:
        found = script(step.run, "", step.run_line)
    except Unreadable:
        return ""
    if found.commands and found.commands[-1].words == ("exit", "0") and not found.commands[-1].guards:
        previous = found.commands[-2] if len(found.commands) > 1 else None
        if previous is not None and any(setting.option == "errexit" and not setting.on for setting in found.settings):
            return "set +e … exit 0"
    return "set +e" if any(setting.option == "errexit" and not setting.on for setting in found.settings) else ""


_ORDER = {
    "low": 0,
    "moderate": 1,
    "medium": 1,
    "high": 2,
    "critical": 3,
    "none": 4,
    "any": 0,
    "all": 0,
    "error": 2,
    "warning": 1,
    "note": 0,
    "info": 0,
    "style": 0,
}
_RAISING = re.compile(
    r"^(?:fail-on-severity|severity-cutoff|severity-threshold|fail-on|fail_level|min-severity|minimum-severity|level|severity)$"
)
_MUST_STAY_ON = re.compile(
    r"^(?:fail_ci_if_error|fail-on-error|fail_on_error|fail-on-issues|fail_on_failure|fail-on-findings|fail-build|fail|strict|fail-fast-on-error|verify|check-only|only-verified|exit-code|fail-on-empty|failonerror|fail-on-cache-miss)$"
)
_MUST_STAY_OFF = re.compile(
    r"^(?:soft_fail|soft-fail|continue|warn-only|warn_only|ignore-unfixed|no-fail|continue-on-error|allow-failure|skip|dry-run|ignore-failure|comment-only|advisory-mode)$"
)
_OFF = frozenset({"false", "0", "no", "never"})


def _thresholds(both: Both, what: str, was: Step, now: Step, checks: bool) -> Iterator[Effect]:
    if not now.uses or was.action != now.action:
        return
    old = {name.lower(): text.strip() for name, text in was.with_}
    for name, text in now.with_:
        key, value, before = name.lower(), text.strip(), old.get(name.lower())
        if before == value or not _relaxed(key, before, value):
            continue
        yield SOFT.effect(
            subject=f"{what}: {name}",
            path=both.path,
            line=now.input_line(key),
            before=before,
            after=value,
            severity=Severity.MODERATE if _RAISING.match(key) else Severity.LOW,
            message=f"The {what} now passes where it did not: {name} is {value}.",
        )
    for key in [name.lower() for name, _ in now.with_ if checks and _WAIVING.match(name.lower())]:
        allowed, wider = _let_pass(was, key), _let_pass(now, key)
        if wider - allowed and len(wider) > len(allowed):
            shown = ", ".join(sorted(wider - allowed)[:6])
            yield LESS.effect(
                subject=f"{what}: {key}",
                path=both.path,
                line=now.input_line(key),
                after=shown,
                severity=Severity.LOW,
                message=f"The {what} newly leaves out {shown}.",
            )
    for name, text in was.with_:
        if _MUST_STAY_ON.match(name.lower()) and text.strip().lower() in ("true", "1", "yes") and now.input(name.lower()) is None:
            yield SOFT.effect(
                subject=f"{what}: {name}",
                path=both.path,
                line=now.line,
                before=text.strip(),
                after="not set",
                severity=Severity.LOW,
                message=f"The {what} no longer has to succeed: {name} is not set any more.",
            )


_WAIVING = re.compile(
    r"(?:config|ignore[-_]?(?:vulns?|vulnerabilities|cves?|ids?|rules?|paths?)|trivyignores|allow[-_](?:ghsas|licenses|dependencies-licenses)"
    r"|(?:skip|exclude)[-_](?:checks?|paths?|dirs?|files?|rules?|framework)|paths[-_]ignore|disabled?[-_](?:checks|rules|linters))\Z"
)
"""Inputs of scanners' actions that name what is let pass (pip-audit, Trivy, checkov, dependency-review, CodeQL's `config`)."""


def _let_pass(step: Step, key: str) -> frozenset[str]:
    """What one input of a scanner's action lets pass; of CodeQL's configuration within a step, what that leaves out (docs.github.com)."""
    given = step.input(key) or ""
    if key != "config":
        return frozenset(re.split(r"[\s,]+", given.strip())) - {""}
    try:
        node = one_yaml(given.encode(), "config") if step.action.startswith("github/codeql-action/init") else None
    except Unreadable:
        return frozenset()
    return waived("codeql-config.yml", node.plain_value()) if node is not None else frozenset()


def _relaxed(key: str, before: str | None, value: str) -> bool:
    if _RAISING.match(key):
        low_before = min((_ORDER.get(word.strip().lower(), 9) for word in (before or "").split(",")), default=9)
        low_after = min((_ORDER.get(word.strip().lower(), 9) for word in value.split(",")), default=9)
        return before is not None and low_before < low_after < 9
    if _MUST_STAY_ON.match(key):
        return value.lower() in _OFF and before is not None and before.lower() not in _OFF
    if _MUST_STAY_OFF.match(key):
        return value.lower() in ("true", "1", "yes") and (before is None or before.lower() in _OFF)
    return False


# Waiting


def _waits(both: Both, pair: Pair, before: Workflow, after: Workflow) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    assert old is not None and new is not None
    gate = (
        bool(re.search(r"all.?green|(?:^|[-_])(?:ci|gate|required|status|success|passed|result)(?:[-_]|$)", new.id, re.I))
        and len(old.needs) > 1
    )
    if not deploys(new) and not gate:
        return
    names = {item.old.id: item.new.id for item in both.jobs if item.old is not None and item.new is not None}
    reached = _upstream(after, new)
    lost = []
    for name in sorted(_upstream(before, old)):
        job = before.job(name)
        if job is None or not is_check(before, job) or names.get(name, name) in reached or after.job(names.get(name, name)) is None:
            continue
        lost.append(job)
    if lost:
        what = ", ".join(job.label for job in lost[:5])
        yield UNWAITED.effect(
            subject=f"job {new.id}",
            path=both.path,
            line=new.needs_line,
            before=", ".join(old.needs),
            after=", ".join(new.needs) or "no needs",
            severity=Severity.HIGH if deploys(new) and any(is_check(before, job) in (TEST, SCAN) for job in lost) else Severity.MODERATE,
            message=f"The job {new.label} no longer waits for {what}, so it goes on although {'they fail' if len(lost) > 1 else 'it fails'}.",
        )
    elif (
        new.needs
        and _goes_on(new.condition)
        and not _goes_on(old.condition)
        and not _CLEANS.search(new.id)
        and any((job := before.job(name)) and is_check(before, job) for name in old.needs)
    ):
        yield UNWAITED.effect(
            subject=f"job {new.id}",
            path=both.path,
            line=new.condition_line,
            before=old.condition or "only after success",
            after=new.condition,
            message=f"The job {new.label} now runs although {', '.join(new.needs[:4])} failed.",
        )


_CLEANS = re.compile(r"tear.?down|clean|notif|report|summary|test.*destroy|destroy.*test", re.I)
"""What ought to run whatever happened before."""


def _goes_on(condition: str) -> bool:
    return bool(re.search(r"always\(\)|!\s*cancelled\(\)|failure\(\)", condition)) and not re.search(
        r"needs\.[\w.*-]+\.result|needs\.\*|failure\(\)", condition
    )


def _upstream(file: Workflow, job: Job) -> set[str]:
    found: set[str] = set()
    queue = list(job.needs)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            other = file.job(name)
            queue.extend(other.needs if other else ())
    return found


# Triggers


_DOCS = re.compile(
    r"(?:\.(?:md|mdx|rst|txt|adoc|png|svg|jpe?g|gif)$|(?:^|/)docs?(?:/|$)|LICENSE|CODEOWNERS|README|CHANGELOG|\.gitignore|\.github/(?:ISSUE|PULL)|\.editorconfig|\.vscode)",
    re.I,
)


def _triggers(change: Change, both: Both, before: Workflow, after: Workflow) -> Iterator[Effect]:
    checks = [pair.new for pair in both.jobs if pair.old is not None and pair.new is not None and is_check(before, pair.old)]
    if not checks:
        return
    what = ", ".join(job.label for job in checks[:4])
    lost = [name for name in ("pull_request", "merge_group") if name in before.events and name not in after.events]
    if "pull_request" in lost and after.events & {"pull_request_target", "workflow_call", "merge_group"}:
        lost.remove("pull_request")
    if lost:
        yield UNTRIGGERED.effect(
            subject=f"on {lost[0]}",
            path=both.path,
            line=after.triggers_line,
            before=", ".join(sorted(before.events)),
            after=", ".join(sorted(after.events)),
            message=f"{what} no longer start{'s' if len(checks) == 1 else ''} on {' and '.join(lost)}.",
        )
    for name in ("pull_request", "merge_group", "push"):
        old, new = before.trigger(name), after.trigger(name)
        if old is None or new is None or (name == "push" and after.trigger("pull_request") is not None):
            continue
        paths_old, paths_new = old.filter("paths"), new.filter("paths")
        ignored_old, ignored_new = old.filter("paths-ignore") or (), new.filter("paths-ignore") or ()
        added = (
            [item for item in ignored_new if item not in ignored_old and not _DOCS.search(item)]
            if len(ignored_new) > len(ignored_old)
            else []
        )
        fewer = [
            item
            for item in paths_old or ()
            if paths_new is not None
            and item not in paths_new
            and not item.startswith("!")
            and not _DOCS.search(item)
            and not _stale(change, item)
        ]
        excluded = [item for item in paths_new or () if item.startswith("!") and item not in (paths_old or ()) and not _DOCS.search(item)]
        if paths_old is None or paths_new is None or len(paths_new) >= len(paths_old):
            fewer = []
        if paths_old is None or sum(item.startswith("!") for item in paths_new or ()) <= sum(item.startswith("!") for item in paths_old):
            excluded = []
        narrowed = paths_old is None and paths_new is not None and old.filter("paths-ignore") is None
        branches = (
            [item for item in old.filter("branches") or () if item not in (new.filter("branches") or ())]
            if new.filter("branches") is not None
            else []
        )
        fresh_branches = old.filter("branches") is None and new.filter("branches") is not None and old.filter("branches-ignore") is None
        if added or fewer or narrowed or excluded:
            said = ", ".join(added or fewer or excluded or list(paths_new or ()))
            yield LESS.effect(
                subject=f"on {name}: paths",
                path=both.path,
                line=new.line,
                before=", ".join(paths_old or old.filter("paths-ignore") or ()) or "all paths",
                after=", ".join(paths_new or new.filter("paths-ignore") or ()),
                message=f"{what} no longer start{'s' if len(checks) == 1 else ''} for {'changes in ' + said if added or fewer or excluded else 'changes outside ' + said}.",
            )
        elif (branches and len(new.filter("branches") or ()) < len(old.filter("branches") or ())) or (
            fresh_branches and name == "pull_request"
        ):
            yield LESS.effect(
                subject=f"on {name}: branches",
                path=both.path,
                line=new.line,
                before=", ".join(old.filter("branches") or ()) or "all branches",
                after=", ".join(new.filter("branches") or ()),
                message=f"{what} now start{'s' if len(checks) == 1 else ''} on {name} only for {', '.join(new.filter('branches') or ())}.",
            )


def _stale(change: Change, pattern: str) -> bool:
    """Whether a filter's pattern speaks of a file or folder that is gone itself."""
    place = pattern.partition("*")[0].rstrip("/")
    return (
        bool(place)
        and change.after.entry(place) is None
        and not change.after.list(place.rpartition("/")[0] if "*" in pattern and not pattern.partition("*")[0].endswith("/") else place)
    )


def _cancelled(both: Both, before: Workflow, after: Workflow) -> Iterator[Effect]:
    for pair in both.jobs:
        if pair.old is None or pair.new is None or not ships(pair.new):
            continue
        if (
            (after.cancels or pair.new.cancels)
            and not (before.cancels or pair.old.cancels)
            and after.events & {"push", "workflow_dispatch", "release", "schedule"}
        ):
            yield CANCELLED.effect(
                subject=f"job {pair.new.id}",
                path=both.path,
                line=pair.new.line,
                after="cancel-in-progress: true",
                message=f"A running {pair.new.label} is now cancelled half-way when the next one starts.",
            )
            return


DETECTOR = Detector(
    name="workflow-checks", title="The checks that GitHub workflows run", rules=RULES, detect=detect, group=together, sure=True
)
