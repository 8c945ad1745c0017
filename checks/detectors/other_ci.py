"""Pipelines outside GitHub Actions, and hooks that check commits

## What it detects
In GitLab CI, CircleCI, Azure Pipelines, Buildkite, Travis, Drone, Bitbucket, Jenkins, pre-commit, lefthook and husky: a check that is gone,
that may no longer fail, or that never runs; a question to a person before a deployment gone; a credential, context or group of variables that a pipeline newly uses; a pipeline that
newly trusts changes from outside.

## Why it matters
They guard the same repository, and are changed as easily as a workflow.

## Example
```yaml
test:
  script: make test
  allow_failure: true   # new at head
```

## What makes it safe
Require the pipeline's result by name in the branch's rules; keep credentials in protected contexts or environments; ask before a deployment.

## What it cannot see
Included files of other repositories, shared libraries, and settings that live in the service. A Jenkinsfile is read by its known words only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from checks.access.checks import BUILD, SCAN, STYLE, TEST, Check, command_check
from checks.access.workflows import DEPLOY_WORD
from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import text_of
from checks.readers.documents import Node, yaml
from checks.readers.shell import script

GONE = Rule("other-ci/check-removed", Hazard.CHECK_WEAKENED, Severity.MODERATE, Reversible.YES, "A check is gone", question=Question.FORCED)
SOFT = Rule(
    "other-ci/check-cannot-fail",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A check can no longer fail",
    question=Question.FORCED,
)
SKIPPED = Rule(
    "other-ci/check-skipped", Hazard.CHECK_WEAKENED, Severity.MODERATE, Reversible.YES, "A check never runs", question=Question.FORCED
)
UNASKED = Rule(
    "other-ci/approval-removed",
    Hazard.PROTECTION_REMOVED,
    Severity.HIGH,
    Reversible.YES,
    "Nobody is asked before a job runs",
    confidence=Confidence.LIKELY,
)
SECRET = Rule(
    "other-ci/credential-newly-used", Hazard.SECRET_EXPOSED, Severity.MODERATE, Reversible.NO, "A pipeline uses a credential it did not use"
)
UNTRUSTED = Rule(
    "other-ci/outside-changes-trusted", Hazard.PIPELINE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A pipeline trusts changes from outside"
)
RULES = (GONE, SOFT, SKIPPED, UNASKED, SECRET, UNTRUSTED)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A job, step or hook of a pipeline."""

    name: str
    line: int
    checks: tuple[Check, ...] = ()
    soft: bool = False
    off: bool = False
    asks: bool = False
    """A person has to start it or to say yes."""


@dataclass(frozen=True, slots=True)
class _Pipeline:
    units: tuple[_Unit, ...] = ()
    secrets: tuple[tuple[str, int], ...] = ()
    trusts: tuple[tuple[str, int], ...] = ()
    """Settings that trust changes from outside."""
    hooks: bool = field(default=False)
    """Hooks on a person's machine rather than a pipeline."""


_NAMES = re.compile(
    r"(?:^|/)(?:\.gitlab-ci\.ya?ml|\.travis\.ya?ml|\.drone\.ya?ml|azure-pipelines[^/]*\.ya?ml|bitbucket-pipelines\.ya?ml|appveyor\.ya?ml|cloudbuild[^/]*\.ya?ml|buildspec[^/]*\.ya?ml|\.cirrus\.ya?ml|"
    r"\.pre-commit-config\.ya?ml|\.?lefthook(?:-local)?\.ya?ml|jenkinsfile[^/]*|[^/]+\.jenkinsfile)$"
    r"|^\.gitlab/ci/.*\.ya?ml$|^\.circleci/[^/]+\.ya?ml$|^\.buildkite/[^/]+\.ya?ml$|^\.woodpecker/[^/]+\.ya?ml$|^\.azure-pipelines/.*\.ya?ml$|^\.husky/[^/._][^/]*$",
    re.I,
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed pipeline; all together, so that a job that moves to another file is no news."""
    sides: list[tuple[str, _Pipeline | None, _Pipeline | None]] = []
    for file in files:
        if not any(_NAMES.search(path) for path in (file.path, file.base_path)) or place_of(file.path) is not Place.DEPLOYED:
            continue
        before, _ = _side(change.base_bytes(file), file.base_path)
        after, unread = _side(change.head_bytes(file), file.path)
        if unread is not None:
            if _side(change.base_bytes(file), file.base_path)[1] is None:
                yield not_analysed(file.path, unread.why, unread.line, severity=Severity.MODERATE)
            continue
        sides.append((file.path, before, after))
    moved = any(file.added and (_NAMES.search(file.path) or file.path.startswith(".github/workflows/")) for file in change.files)
    have = Counter(check.key for _, _, after in sides if after for unit in after.units for check in unit.checks)
    have.subtract(check.key for _, before, _ in sides if before for unit in before.units for check in unit.checks)
    for path, before, after in sides:
        if before is None and after is None:
            continue
        if before is not None:
            yield from _gone(path, before, after, have, moved)
        if after is not None:
            yield from _weaker(path, before or _Pipeline(), after)
            yield from _wider(path, before, after)


def _side(data: bytes | None, path: str) -> tuple[_Pipeline | None, Unreadable | None]:
    if data is None or not _NAMES.search(path):
        return None, None
    try:
        return _pipeline(data, path), None
    except Unreadable as unreadable:
        return None, unreadable


# Reading


@lru_cache(maxsize=128)
def _pipeline(data: bytes, path: str) -> _Pipeline:
    name = path.rpartition("/")[2].lower()
    if "jenkinsfile" in name:
        return _jenkins(text_of(data, path))
    if path.startswith(".husky/"):
        return _Pipeline((_Unit(name, 1, _checks(text_of(data, path), 1, path)),), hooks=True)
    documents = yaml(data, path)
    if name.startswith(".pre-commit-config"):
        return _pre_commit(documents)
    units: list[_Unit] = []
    secrets: list[tuple[str, int]] = []
    for root in documents:
        units += _walk(root, "", path, 0)
        secrets += _secrets(root)
    return _Pipeline(tuple(units), tuple(secrets), hooks="lefthook" in name)


_COMMANDS = ("script", "before_script", "after_script", "run", "command", "commands", "bash", "install", "args")
_SOFT = ("allow_failure", "continueOnError", "soft_fail", "continue-on-error", "allow_failures", "ignore_failures")
_NAMING = ("name", "label", "displayName", "job", "step", "key", "task")


def _walk(node: Node, name: str, path: str, depth: int) -> Iterator[_Unit]:
    """Every map that runs commands, named by its own words or its key."""
    if depth > 30:
        return
    for item in node.items or ():
        yield from _walk(item, name, path, depth + 1)
    if not node.is_map:
        return
    own = next((said for key in _NAMING if (said := node.string(key))), name or node.string("stage") or "")
    text = [
        (line.text or "", line.line)
        for key in _COMMANDS
        if (value := node.get(key)) is not None
        for line in value.elements()
        if line.is_scalar
    ]
    task = node.string("task") or node.string("uses") or ""
    asks = (
        node.string("when") == "manual"
        or node.string("type") == "approval"
        or node.get("block") is not None
        or task.startswith("ManualValidation")
    )
    if text or asks:
        checks = tuple(check for body, line in text for check in _checks(body, line + (1 if "\n" in body else 0), path))
        yield _Unit(own or node.string("block") or name, node.line, checks, any(_on(node.get(key)) for key in _SOFT), _off(node), asks)
    for key, value in node.entries():
        if key not in _COMMANDS and (value.is_map or value.is_list):
            yield from _walk(value, key if key not in ("steps", "jobs", "stages", "include", "step", "parallel") else own, path, depth + 1)


def _on(node: Node | None) -> bool:
    """Whether a switch that forgives is on: true, or anything but false (GitLab's `exit_codes`, Buildkite's list)."""
    return node is not None and not (node.is_scalar and node.value in (False, None, "false"))


def _off(node: Node) -> bool:
    if node.string("when") == "never" or any(
        (found := node.get(key)) is not None and found.value is False for key in ("if", "condition", "enabled")
    ):
        return True
    return any((found := node.get(key)) is not None and found.value is True for key in ("skip", "disabled"))


def _checks(text: str, line: int, path: str) -> tuple[Check, ...]:
    found = script(text, path, line)
    return tuple(check for command in found.commands if (check := command_check(command)) is not None)


def _secrets(root: Node) -> Iterator[tuple[str, int]]:
    """CircleCI contexts, groups of variables in Azure, service connections, GitLab's secrets and identity tokens."""
    for path, node in root.walk():
        last = path[-1] if path else ""
        if last in ("context", "azureSubscription", "serviceConnection", "containerRegistry") and node.is_scalar and node.text:
            yield f"{last} {node.text}", node.line
        elif last == "context" and node.is_list:
            for item in node.elements():
                yield f"context {item.text}", item.line
        elif last == "group" and len(path) > 1 and "variables" in path and node.text:
            yield f"group {node.text}", node.line
        elif last in ("secrets", "id_tokens") and node.is_map:
            for key, value in node.entries():
                yield f"{last} {key}", value.line


_HOOK_KINDS = (
    (re.compile(r"gitleaks|secret|detect-private-key|bandit|semgrep|trivy|checkov|tfsec|zizmor|safety|audit", re.I), SCAN),
    (re.compile(r"test", re.I), TEST),
)


def _pre_commit(documents: Sequence[Node]) -> _Pipeline:
    units: list[_Unit] = []
    for root in documents:
        skipped = {node.text for node in (root.get("ci", "skip") or Node(line=1, items=())).elements()}
        for repo in (root.get("repos") or Node(line=1, items=())).elements():
            for hook in (repo.get("hooks") or Node(line=1, items=())).elements():
                name = hook.string("id") or ""
                kind = next((kind for pattern, kind in _HOOK_KINDS if pattern.search(name)), STYLE)
                stages = [node.text for node in (hook.get("stages") or Node(line=1, items=())).elements()]
                units.append(_Unit(name, hook.line, (Check(kind, name, name, hook.line),), off=stages == ["manual"] or name in skipped))
    return _Pipeline(tuple(units), hooks=True)


_STAGE = re.compile(r"\bstage\s*\(\s*(?:name:\s*)?['\"]([^'\"]+)['\"]")
_SH = re.compile(r"\b(?:sh|bat|powershell|pwsh)\s*\(?\s*(?:script\s*:\s*)?('''|\"\"\"|'|\")(.*?)\1", re.S)
_CREDENTIAL = re.compile(
    r"(?:credentialsId\s*[:=]\s*|credentials\s*\(\s*|sshagent\s*\(\s*(?:credentials\s*:\s*)?\[?\s*)['\"]([^'\"]+)['\"]"
)
_TRUSTS = re.compile(r"\b(allowUntrusted\w*|trustAll\w*|trustForks?|buildForks?\w*|allowForks?\w*)\s*[:=]\s*true\b", re.I)
_INPUT = re.compile(r"^[ \t]*input\s*(?:\(|\{|message|['\"])", re.M)


def _jenkins(text: str) -> _Pipeline:
    """A Jenkinsfile by its known words; comments are left out."""
    code = re.sub(r"/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), text, flags=re.S)
    code = re.sub(r"(?m)(^|\s)//.*$", "", code)
    stages = [(match.start(), match.group(1)) for match in _STAGE.finditer(code)]

    def line(at: int) -> int:
        return code.count("\n", 0, at) + 1

    def stage(at: int) -> str:
        return next((name for start, name in reversed(stages) if start <= at), "pipeline")

    units = []
    for match in _SH.finditer(code):
        soft = (
            bool(re.search(r"(?:catchError|warnError)\s*(?:\([^)]*\))?\s*\{[^{}]*$", code[max(0, match.start() - 400) : match.start()]))
            or "returnStatus" in code[match.end() : match.end() + 40]
        )
        units.append(_Unit(stage(match.start()), line(match.start()), _checks(match.group(2), line(match.start()), "Jenkinsfile"), soft))
    units += [_Unit(stage(match.start()), line(match.start()), asks=True) for match in _INPUT.finditer(code)]
    return _Pipeline(
        tuple(units),
        tuple((f"credential {match.group(1)}", line(match.start())) for match in _CREDENTIAL.finditer(code)),
        tuple((match.group(1), line(match.start())) for match in _TRUSTS.finditer(code)),
    )


# Comparing


def _gone(path: str, before: _Pipeline, after: _Pipeline | None, have: Counter[str], moved: bool) -> Iterator[Effect]:
    new = Counter(check.key for unit in (after.units if after else ()) for check in unit.checks)
    old = [(unit, check) for unit in before.units for check in unit.checks if check.kind != BUILD]
    gained = [check for unit in (after.units if after else ()) for check in unit.checks if check.key not in {item.key for _, item in old}]
    lost: list[tuple[_Unit, Check]] = []
    for unit, check in old:
        if new[check.key] > 0:
            new[check.key] -= 1
        elif have[check.key] < 0:
            have[check.key] += 1
            lost.append((unit, check))
    lost = [(unit, check) for unit, check in lost if not any(item.kind == check.kind or item.tool == check.tool for item in gained)]
    if not lost or (after is None and moved):
        return
    names = list(dict.fromkeys(check.key for _, check in lost))
    serious = any(check.kind in (TEST, SCAN) for _, check in lost)
    what = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    yield GONE.effect(
        subject=what if after is not None else path,
        path=path,
        line=lost[0][1].line,
        side=Side.BASE,
        before=what,
        severity=Severity.LOW if before.hooks or not serious else None,
        message=f"{'The hooks' if before.hooks else 'The pipeline'} no longer run{'' if before.hooks else 's'} {what}.",
    )


def _weaker(path: str, before: _Pipeline, after: _Pipeline) -> Iterator[Effect]:
    old = _by_name(before)
    for name, unit in _by_name(after).items():
        was = old.get(name)
        if was is None:
            continue
        checks = ", ".join(dict.fromkeys(check.key for check in unit.checks if check.kind != BUILD)) or (unit.name if was.checks else "")
        lowered = Severity.LOW if after.hooks else None
        if checks and unit.soft and not was.soft:
            yield SOFT.effect(
                subject=unit.name,
                path=path,
                line=unit.line,
                after="may fail",
                severity=lowered,
                message=f"{unit.name} may now fail without failing the pipeline.",
            )
        if checks and unit.off and not was.off:
            yield SKIPPED.effect(
                subject=unit.name, path=path, line=unit.line, after="never", severity=lowered, message=f"{unit.name} never runs any more."
            )
        forgiven = [check for check in unit.checks if check.soft and any(item.key == check.key and not item.soft for item in was.checks)]
        if forgiven and not any(item.key == forgiven[0].key and not item.soft for item in unit.checks):
            yield SOFT.effect(
                subject=f"{unit.name}: {forgiven[0].key}",
                path=path,
                line=forgiven[0].line,
                after=forgiven[0].soft,
                severity=lowered,
                message=f"The failure of {forgiven[0].key} in {unit.name} no longer counts ({forgiven[0].soft}).",
            )
    asked = [unit for unit in before.units if unit.asks]
    if len(asked) > sum(unit.asks for unit in after.units):
        names = {unit.name for unit in after.units if unit.asks}
        lost = [unit for unit in asked if unit.name not in names] or asked
        still = {unit.name for unit in after.units}
        waits = [unit for unit in lost if (unit.name in still or not unit.checks) and not _only_checks(unit.name)]
        if waits and (len(after.units) >= len(before.units) - len(waits)):
            yield UNASKED.effect(
                subject=waits[0].name,
                path=path,
                line=waits[0].line,
                side=Side.BASE,
                before="a person starts it",
                after="by itself",
                message=f"{waits[0].name} no longer waits for a person.",
            )


_CHECKS = re.compile(r"(?<![a-z])(?:tests?|e2e|unit|lint|check|scan|build)(?![a-z])", re.I)


def _only_checks(name: str) -> bool:
    """Whether a job tests or builds by its name: that it runs by itself takes nothing away."""
    return _CHECKS.search(name) is not None and DEPLOY_WORD.search(name) is None


def _by_name(pipeline: _Pipeline) -> dict[str, _Unit]:
    found: dict[str, _Unit] = {}
    for unit in pipeline.units:
        if unit.name in found:
            other = found[unit.name]
            found[unit.name] = _Unit(
                unit.name, other.line, other.checks + unit.checks, other.soft or unit.soft, other.off and unit.off, other.asks or unit.asks
            )
        else:
            found[unit.name] = unit
    return found


def _wider(path: str, before: _Pipeline | None, after: _Pipeline) -> Iterator[Effect]:
    had = {name for name, _ in before.secrets} if before else set()
    fresh = {name: line for name, line in after.secrets if name not in had}
    if fresh:
        yield SECRET.effect(
            subject=", ".join(list(fresh)[:5]),
            path=path,
            line=next(iter(fresh.values())),
            after=", ".join(list(fresh)[:5]),
            severity=Severity.LOW if before and len(had - {name for name, _ in after.secrets}) >= len(fresh) else None,
            message=f"The pipeline now uses {', '.join(list(fresh)[:5])}.",
        )
    trusted = {name for name, _ in before.trusts} if before else set()
    for name, line in after.trusts:
        if name not in trusted:
            yield UNTRUSTED.effect(
                subject=name,
                path=path,
                line=line,
                after=f"{name}: true",
                message=f"With {name} the pipeline now runs changes from outside with its own credentials.",
            )


DETECTOR = Detector(
    name="other-ci",
    title="Pipelines outside GitHub Actions, and hooks that check commits",
    rules=RULES,
    detect=detect,
    group=together,
    sure=True,
)
