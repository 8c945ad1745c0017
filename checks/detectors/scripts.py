"""Commands that scripts newly run: what they destroy, what they no longer ask, what they download and run

## What it detects
In shell scripts, makefiles, `scripts` of package.json, `RUN` of Dockerfiles and steps of workflows: a command that deletes data or
infrastructure and was not there; the condition, the dry run or the question that stood before such a command, gone; a script that no longer
stops at the first error; a test, scan or linter that leaves out more than before, whose failure is ignored, or that is only talked of; a
protection of the machine (kernel hardening, SELinux, AppArmor, the firewall, the audit log) that is switched off; a script from the network
that is run as it comes (of an image build, the image's own page tells).

## Why it matters
A script runs with all the rights of whoever starts it, and nobody sees a plan first.

## Example
```sh
terraform plan                     # base
terraform apply -auto-approve      # head
```

## What makes it safe
Ask before it deletes, default to a dry run, run it from a protected environment only, keep backups; check a download against a digest written down here.

## What it cannot see
Who runs the script and where, what a variable holds, and what happens in programs that are not shell. Cleaning up in build directories,
images and hosted runners is left out on purpose, and so is everything below tests, examples and documentation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.access.checks import SCAN, STYLE, TEST, command_check
from checks.access.destruction import DATA, Harm, Skip, download_run, dry, harm, skips, unguards
from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.shell import Command, Named, Script, is_shell, script, scripts

DATA_LOST = Rule(
    "scripts/deletes-data",
    Hazard.DATA_DESTROYED,
    Severity.HIGH,
    Reversible.NO,
    "A script newly deletes data",
    question=Question.DESTRUCTIVE,
    confidence=Confidence.LIKELY,
)
RESOURCE_LOST = Rule(
    "scripts/deletes-resource",
    Hazard.RESOURCE_DESTROYED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A script newly deletes infrastructure",
    question=Question.DESTRUCTIVE,
    confidence=Confidence.LIKELY,
)
UNGUARDED = Rule(
    "scripts/guard-removed",
    Hazard.PROTECTION_REMOVED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A condition or dry run before a destructive command is gone",
    question=Question.DESTRUCTIVE,
    confidence=Confidence.LIKELY,
)
UNASKED = Rule(
    "scripts/question-skipped",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A command no longer asks or checks first",
    question=Question.DESTRUCTIVE,
)
UNSTOPPED = Rule(
    "scripts/goes-on-after-error", Hazard.PROTECTION_REMOVED, Severity.LOW, Reversible.YES, "A script no longer stops at the first error"
)
DOWNLOADED = Rule(
    "scripts/download-run", Hazard.SUPPLY_CHANGED, Severity.LOW, Reversible.PARTLY, "A script from the network is run as it comes"
)
EXPOSED = Rule(
    "scripts/machine-unprotected",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.YES,
    "A protection of the machine is switched off",
)
WEAKENED = Rule(
    "scripts/check-weakened",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A test, scan or linter that a script runs lets more pass",
    question=Question.FORCED,
    confidence=Confidence.LIKELY,
)
RULES = (DATA_LOST, RESOURCE_LOST, UNGUARDED, UNASKED, UNSTOPPED, DOWNLOADED, EXPOSED, WEAKENED)


@dataclass(frozen=True, slots=True)
class _Part:
    """One script of a file, parsed."""

    path: str
    named: Named
    script: Script


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed file that holds scripts. All files together, so that a script that moves is no news."""
    sides: list[tuple[str, list[_Part], list[_Part]]] = []
    for file in files:
        if _elsewhere(file.path) and _elsewhere(file.base_path):
            continue
        before, _ = _parts(change.base_bytes(file), file.base_path)
        after, unread = _parts(change.head_bytes(file), file.path)
        if unread is not None and _parts(change.base_bytes(file), file.base_path)[1] is None:
            yield not_analysed(file.path, unread.why, unread.line, severity=Severity.MODERATE)
        elif unread is None:
            sides.append((file.path, before, after))
    had = Counter(command.words for _, before, _ in sides for part in before for command in part.script.commands)
    for path, before, after in sides:
        if _elsewhere(path):
            continue
        names = {_name(part): part for part in before}
        told = {_host(address) for part in before for command in part.script.commands if (address := download_run(command))}
        for part in after:
            old = names.get(_name(part))
            yield from _harms(part, old, had)
            yield from _questions(part, old)
            yield from _errors(part, old)
            yield from _unprotected(part, before)
            if old is not None and part.named.kind in ("file", "target", "package"):  # what a workflow's step checks is told of workflows
                yield from _weakened(part, old)
            if part.named.kind != "image":  # what an image build fetches is told of the image
                yield from _downloads(part, told, had)


_TRIAL = re.compile(
    r"(?<![a-z])(?:tests?|e2e|kind|minikube|k3d|k3s|integration|smoke|verify|bench\w*|localdev|devcontainer|teardown|conformance)(?![a-z])",
    re.I,
)


def _elsewhere(path: str) -> bool:
    """Below tests, examples, documentation or other people's code, or for trials by its own name."""
    return place_of(path) is not Place.DEPLOYED or bool(_TRIAL.search(path.rpartition("/")[2])) or ".devcontainer/" in path


def _name(part: _Part) -> tuple[str, ...]:
    return (part.named.kind, part.named.name, *part.named.where)


_ENDINGS = (".sh", ".bash", ".zsh", ".ksh")
_OTHERS = re.compile(
    r"(?:^|/)(?:makefile[^/]*|gnumakefile|[^/]+\.mk|package\.json|(?:[^/]+\.)?dockerfile[^/]*|containerfile[^/]*|action\.ya?ml)$|^\.github/workflows/[^/]+\.ya?ml$",
    re.I,
)


def _parts(data: bytes | None, path: str) -> tuple[list[_Part], Unreadable | None]:
    """The scripts of a file; for a file that is no script by name, its first line decides."""
    if data is None:
        return [], None
    known = path.lower().endswith(_ENDINGS) or _OTHERS.search(path) is not None
    if not known and not re.match(rb"#!\s*/\S*(?:sh\b|env\s+(?:-S\s+)?(?:ba|z|da|k)?sh\b)", data[:80]):
        return [], None
    try:
        return [
            _Part(path, named, script(named.text, path, named.line))
            for named in scripts(data, path)
            if is_shell(named) and named.text.strip()
        ], None
    except Unreadable as unreadable:
        return [], unreadable


# What is destroyed


_TRIAL_CLUSTER = re.compile(r"\b(?:kind|k3d|minikube)\b|localstack|testcontainers", re.I)
_EPHEMERAL = re.compile(r"(?<![a-z])(?:pr|preview|ephemeral|sandbox|tmp|temp|test|e2e|ci|dev|local|kind|review|staging)(?![a-z])", re.I)


def _harms(part: _Part, old: _Part | None, had: Counter[tuple[str, ...]]) -> Iterator[Effect]:
    if any(_TRIAL_CLUSTER.search(command.name) or command.name in ("kind", "k3d", "minikube") for command in part.script.commands):
        return
    before = Counter(found.label for command in (old.script.commands if old else ()) if (found := harm(command)))
    fresh: list[tuple[Command, Harm]] = []
    for command in part.script.commands:
        found = harm(command)
        if found is None or (found.local and part.named.kind != "file" and "ssh" not in command.through):
            continue
        if before[found.label] > 0:
            before[found.label] -= 1
            yield from _guard(part, old, command, found)
        elif had[command.words] > 0:
            had[command.words] -= 1
        else:
            fresh.append((command, found))
    for rule in (DATA_LOST, RESOURCE_LOST):
        mine = [(command, found) for command, found in fresh if (found.kind == DATA) == (rule is DATA_LOST)]
        if mine:
            yield _lost(rule, part, mine)


def _lost(rule: Rule, part: _Part, items: Sequence[tuple[Command, Harm]]) -> Effect:
    command, found = max(items, key=lambda item: item[1].severity.rank)
    severity = found.severity
    text = command.text(100)
    if part.named.kind in ("target", "package") or _EPHEMERAL.search(f"{part.named.name} {text} {' '.join(part.named.where)}"):
        severity = severity.step(-1)
    guarded = any(_ASKS.search(guard) for guard in command.guards)
    more = f" and {len(items) - 1} more of the kind" if len(items) > 1 else ""
    what = "data" if rule is DATA_LOST else "infrastructure"
    return rule.effect(
        subject=f"{_where(part)}: {found.label}",
        path=part.path,
        line=command.line,
        after=text,
        severity=severity.step(-1) if guarded else severity,
        confidence=Confidence.POSSIBLE if part.named.kind in ("file", "target", "package") else None,
        message=f"{_where(part)[0].upper()}{_where(part)[1:]} now runs “{text}”{more}, which deletes {what}.",
    )


def _where(part: _Part) -> str:
    kind = {"target": "the target", "package": "the script", "image": "the image build", "step": "the step"}.get(part.named.kind)
    return f"{kind} {part.named.name}" if kind else f"the script {part.path.rpartition('/')[2]}"


_ASKS = re.compile(r"prod|confirm|dry|force|read\b|reply|\byes\b|answer|\benv\b|environment|are.you.sure|exists|\bif \[", re.I)


def _guard(part: _Part, old: _Part | None, command: Command, found: Harm) -> Iterator[Effect]:
    """The same act under fewer conditions."""
    if old is None:
        return
    theirs = [other for other in old.script.commands if (was := harm(other)) and was.label == found.label]
    if any(len(other.guards) <= len(command.guards) for other in theirs):
        return
    lost = [guard for other in theirs[:1] for guard in other.guards if guard not in command.guards and _ASKS.search(guard)]
    if lost:
        yield UNGUARDED.effect(
            subject=f"{_where(part)}: {found.label}",
            path=part.path,
            line=command.line,
            before=lost[0],
            after="always",
            severity=found.severity,
            message=f"{_where(part)[0].upper()}{_where(part)[1:]} runs “{command.text(80)}” without the condition that stood before it.",
        )


# Questions


def _act(command: Command) -> tuple[str, ...]:
    return (command.name, *command.arguments[:2])


def _questions(part: _Part, old: _Part | None) -> Iterator[Effect]:
    before = old.script.commands if old else ()
    seen = Counter((command.name, skip.flag) for command in before for skip in skips(command))
    told: set[str] = set()
    for command in part.script.commands:
        for skip in skips(command):
            if seen[(command.name, skip.flag)] > 0:
                seen[(command.name, skip.flag)] -= 1
            elif skip.flag not in told and (old is not None or part.named.kind == "step" or skip.severity is Severity.HIGH):
                told.add(skip.flag)
                yield _asked(part, command, skip)
    if old is None:
        return
    tried = {_act(command)[:2] for command in before if dry(command)}
    still = {_act(command)[:2] for command in part.script.commands if dry(command)} | {
        _act(command)[:2] for command in before if not dry(command)
    }
    for command in part.script.commands:
        act = _act(command)[:2]
        if act in tried and act not in still and not any("dry" in word.lower() for word in command.words):
            yield UNGUARDED.effect(
                subject=f"{_where(part)}: {' '.join(act)}",
                path=part.path,
                line=command.line,
                before="a dry run",
                after=command.text(100),
                severity=Severity.MODERATE,
                message=f"{_where(part)[0].upper()}{_where(part)[1:]} now really runs “{command.text(80)}”, which was a dry run.",
            )
            tried.discard(act)


def _asked(part: _Part, command: Command, skip: Skip) -> Effect:
    return UNASKED.effect(
        subject=f"{_where(part)}: {command.name} {skip.flag}",
        path=part.path,
        line=command.line,
        after=command.text(100),
        severity=skip.severity.step(-1) if part.named.kind in ("target", "package") else skip.severity,
        message=f"{_where(part)[0].upper()}{_where(part)[1:]} now runs {command.name} with {skip.flag}, which {skip.means}.",
    )


# Errors


def _errors(part: _Part, old: _Part | None) -> Iterator[Effect]:
    if old is None or part.named.kind != "file" or old.script.broken or part.script.broken:
        return
    if old.script.ever("errexit") and not part.script.ever("errexit") and part.script.commands and not _sources(part.script):
        yield UNSTOPPED.effect(
            subject=f"{_where(part)}: set -e",
            path=part.path,
            line=part.script.commands[0].line,
            before="set -e",
            after="goes on",
            severity=Severity.MODERATE if any(harm(command) for command in part.script.commands) else None,
            message=f"{_where(part)[0].upper()}{_where(part)[1:]} no longer stops at the first error.",
        )


def _sources(found: Script) -> bool:
    return any(command.name in ("source", ".") for command in found.commands)


# Checks

_LEFT_OUT = re.compile(
    r"^--?(?:exclude|ignore|skip|disable|deselect|no-fail|extend-ignore|extend-exclude|omit)[\w-]*(?:=(?P<values>.*))?$", re.I
)
_PASSES = re.compile(
    r"^--?(?:passwithnotests|exit-zero|soft-fail|no-exit-code|exit-code=0|allow-failures?|warn-only|no-error-on-unmatched-pattern|no-fail)$",
    re.I,
)
_SAYS = frozenset({"echo", "true", ":", "exit", "printf"})


def _weakened(part: _Part, old: _Part) -> Iterator[Effect]:
    """The same check with more left out, with its failure ignored, or replaced by words alone."""
    was, now = _checks(old), _checks(part)
    if was and not now and part.script.commands and all(command.name in _SAYS for command in part.script.commands):
        yield _less(part, part.script.commands[0], " and ".join(sorted(was)[:3]), "says something instead of running it", None)
        return
    for key, commands in now.items():
        if key not in was:
            continue
        soft = next((command for command in commands if command.soft), None)
        if soft is not None and not any(command.soft for command in was[key]):
            yield _less(part, soft, key, f"goes on whatever it says ({soft.soft})", None)
            continue
        before, after = _left_out(was[key]), _left_out(commands)
        if after - before and not before - after:
            new = ", ".join(sorted(after - before)[:5])
            yield _less(part, commands[0], key, f"now leaves out {new}", Severity.LOW)


def _less(part: _Part, command: Command, key: str, how: str, severity: Severity | None) -> Effect:
    return WEAKENED.effect(
        subject=f"{_where(part)}: {key}", path=part.path, line=command.line, before=key, after=command.text(100), severity=severity,
        message=f"{_where(part)[0].upper()}{_where(part)[1:]} {how}, so {key} lets more pass.",
    )  # fmt: skip


def _checks(part: _Part) -> dict[str, list[Command]]:
    """The commands that test, scan or lint, by tool."""
    found: dict[str, list[Command]] = {}
    for command in part.script.commands:
        check = command_check(command)
        if check is not None and check.kind in (TEST, SCAN, STYLE):
            found.setdefault(check.tool, []).append(command)
    return found


def _left_out(commands: Sequence[Command]) -> frozenset[str]:
    """What the flags of some commands leave out: each value of a list by itself."""
    out: set[str] = set()
    for command in commands:
        words = command.words[1:]
        for at, word in enumerate(words):
            if _PASSES.match(word):
                out.add(word)
            elif found := _LEFT_OUT.match(word):
                following = words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("-") else ""
                values = found["values"] if found["values"] is not None else following
                out |= {f"{word.partition('=')[0]} {value}".strip() for value in values.split(",")}
    return frozenset(out)


# Protections of the machine


def _unprotected(part: _Part, before: Sequence[_Part]) -> Iterator[Effect]:
    """What a script newly switches off on the machine it runs on. A machine that a pipeline borrows for one run loses less."""
    had = {what for other in before for command in other.script.commands if (what := unguards(command))}
    told: dict[str, Command] = {}
    for command in part.script.commands:
        if (what := unguards(command)) and what not in had:
            told.setdefault(what, command)
    if told:
        first = next(iter(told.values()))
        yield EXPOSED.effect(
            subject=f"{_where(part)}: {', '.join(told)}",
            path=part.path,
            line=first.line,
            after=first.text(100),
            severity=Severity.LOW if part.named.kind in ("step", "image") else None,
            message=f"{_where(part)[0].upper()}{_where(part)[1:]} now switches off {' and '.join(list(told)[:3])}, which protects the machine it runs on.",
        )


# Downloads


def _downloads(part: _Part, told: set[str], had: Counter[tuple[str, ...]]) -> Iterator[Effect]:
    for command in part.script.commands:
        address = download_run(command)
        if address is None or _host(address) in told or had[command.words] > 0:
            continue
        told.add(_host(address))
        plain = address.startswith("http://")
        yield DOWNLOADED.effect(
            subject=f"{_where(part)}: {_host(address)}",
            path=part.path,
            line=command.line,
            after=address,
            severity=Severity.HIGH if plain else Severity.MODERATE if command.through else None,
            message=f"{_where(part)[0].upper()}{_where(part)[1:]} now runs whatever {_host(address)} answers, without looking at it.",
        )


def _host(address: str) -> str:
    match = re.match(r"https?://([^/\s]+(?:/[^/\s]+){0,2})", address)
    return match.group(1) if match else address


DETECTOR = Detector(
    name="scripts",
    title="Commands that scripts newly run",
    rules=RULES,
    detect=detect,
    group=together,
)
