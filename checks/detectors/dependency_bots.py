"""The bots that keep dependencies current: Dependabot and Renovate

## What it detects
Updates that are no longer looked for (the file, an ecosystem or the security alerts gone or switched off); the waiting time before a new
release is taken dropped or shortened; merging without a person switched on or widened; running the code of dependencies while updating allowed.

## Why it matters
A bot that is off lets known holes stand; a bot that merges at once lets a release that was hijacked an hour ago in.

## Example
```yaml
cooldown:
  default-days: 7   # base; gone at head
```

## What makes it safe
Keep a waiting time of some days, merge by itself only patches of what is tested, with required checks, and keep scripts off.

## What it cannot see
Presets and organisation settings that live elsewhere, and updates made by another tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.readers.documents import Node, json_node, one_yaml

REMOVED = Rule(
    "dependency-bots/updates-removed", Hazard.PROTECTION_REMOVED, Severity.LOW, Reversible.YES, "Dependencies are no longer kept current"
)
SOONER = Rule("dependency-bots/waiting-time-cut", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES, "New releases are taken sooner")
MERGED = Rule(
    "dependency-bots/merges-by-itself", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.PARTLY, "Updates are merged without a person"
)
CODE = Rule(
    "dependency-bots/runs-foreign-code",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "The bot may run the code of dependencies",
)
RULES = (REMOVED, SOONER, MERGED, CODE)

_DEPENDABOT = re.compile(r"^\.github/dependabot\.ya?ml$", re.I)
_RENOVATE = re.compile(r"^(?:\.github/|\.gitlab/)?renovate\.json5?$|^\.renovaterc(?:\.json5?)?$", re.I)
RENOVATE_FILES = (
    "renovate.json",
    "renovate.json5",
    ".github/renovate.json",
    ".github/renovate.json5",
    ".renovaterc",
    ".renovaterc.json",
    ".gitlab/renovate.json",
)
DEPENDABOT_FILES = (".github/dependabot.yml", ".github/dependabot.yaml")


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a bot does, whichever bot it is."""

    updates: Mapping[str, int]
    """What it looks after (ecosystem and directory, or everything) → line."""
    waits: Mapping[str, tuple[float, int]]
    """Whom → (days, line)."""
    merges: Mapping[str, int]
    """What it merges by itself → line."""
    runs: Mapping[str, int]
    """Permissions to run code → line."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of the bots' changed settings."""
    for file in files:
        kind = _kind(file.base_path) or _kind(file.path)
        if kind is None:
            continue
        before, _ = _side(change.base_bytes(file), file.base_path)
        after, unread = _side(change.head_bytes(file), file.path)
        if unread is not None:
            if _side(change.base_bytes(file), file.base_path)[1] is None:
                yield not_analysed(file.path, unread.why, unread.line, severity=Severity.LOW)
            continue
        if before is None:
            before = _moved(change, file, kind)
        if after is None and before is not None:
            yield from _gone(change, file, before, kind)
        elif after is not None:
            yield from _changed(change, file, before or _Settings({}, {}, {}, {}), after)


def _kind(path: str) -> str | None:
    return "Dependabot" if _DEPENDABOT.match(path) else "Renovate" if _RENOVATE.match(path) else None


def _side(data: bytes | None, path: str) -> tuple[_Settings | None, Unreadable | None]:
    kind = _kind(path)
    if data is None or kind is None:
        return None, None
    try:
        if kind == "Dependabot":
            root = one_yaml(data, path)
            return (_dependabot(root) if root is not None else None), None
        return _renovate(json_node(data, path)), None
    except Unreadable as unreadable:
        return None, unreadable


def _moved(change: Change, file: FileChange, kind: str) -> _Settings | None:
    """The settings under the bot's other file names at base: a file that takes another name is the same."""
    for path in DEPENDABOT_FILES if kind == "Dependabot" else RENOVATE_FILES:
        data = change.before.read(path) if path != file.path else None
        if data is not None:
            return _side(data, path)[0]
    return None


def _gone(change: Change, file: FileChange, before: _Settings, kind: str) -> Iterator[Effect]:
    for path in (*DEPENDABOT_FILES, *RENOVATE_FILES, ".dependabot/config.yml"):
        if change.after.entry(path) is not None:
            return  # the settings, or the other bot's, stand elsewhere at head
    yield REMOVED.effect(
        subject=kind,
        path=file.path if file.deleted else file.base_path,
        line=1,
        side=Side.BASE,
        before=", ".join(list(before.updates)[:5]) or "on",
        message=f"{kind} is switched off, so nothing proposes updates for known holes in dependencies any more.",
    )


def _changed(change: Change, file: FileChange, before: _Settings, after: _Settings) -> Iterator[Effect]:
    lost = [name for name in before.updates if not _still(name, after.updates) and not _directory_gone(change, name)]
    if lost and len(after.updates) < len(before.updates):
        yield REMOVED.effect(
            subject=", ".join(lost[:5]),
            path=file.path,
            line=before.updates[lost[0]],
            side=Side.BASE,
            before=", ".join(lost[:5]),
            message=f"Nothing proposes updates for {', '.join(lost[:5])} any more.",
        )
    for name, (days, line) in before.waits.items():
        now = after.waits.get(name)
        if (now[0] if now else 0) < min(days, 7) and (name in ("everything",) or name in after.updates or now):
            yield SOONER.effect(
                subject=name,
                path=file.path,
                line=now[1] if now else line,
                side=Side.HEAD if now else Side.BASE,
                before=f"{days:g} days",
                after=f"{now[0]:g} days" if now else "at once",
                severity=Severity.LOW if now and now[0] >= 3 else None,
                message=f"New releases for {name} are now taken {f'after {now[0]:g} days' if now else 'at once'} instead of after {days:g} days.",
            )
    yield from _new(MERGED, before.merges, after.merges, file, "merged without a person")
    yield from _new(CODE, before.runs, after.runs, file, "allowed to run code")


def _still(name: str, updates: Mapping[str, int]) -> bool:
    """Whether the same is looked after, by name or through a folder above."""
    ecosystem, _, directory = name.partition(" in ")
    return any(
        other == name or (other.partition(" in ")[0] == ecosystem and _covers(other.partition(" in ")[2], directory)) for other in updates
    )


def _covers(pattern: str, directory: str) -> bool:
    wide = pattern.strip("/").removesuffix("**").removesuffix("*").strip("/")
    return pattern.strip("/") == directory.strip("/") or (("*" in pattern or not wide) and directory.strip("/").startswith(wide))


def _new(rule: Rule, old: Mapping[str, int], new: Mapping[str, int], file: FileChange, what: str) -> Iterator[Effect]:
    fresh = [name for name in new if name not in old]
    if fresh and "everything" not in old:
        yield rule.effect(
            subject=", ".join(fresh[:5]),
            path=file.path,
            line=new[fresh[0]],
            after=", ".join(fresh[:5]),
            severity=Severity.HIGH if any("ignoreTests" in name or "major" in name for name in fresh) else None,
            confidence=Confidence.LIKELY,
            message=f"Updates are now {what}: {', '.join(fresh[:5])}.",
        )


def _directory_gone(change: Change, name: str) -> bool:
    """Whether what was looked after is gone itself."""
    directory = name.partition(" in ")[2].strip("/")
    return bool(directory) and "*" not in directory and change.after.entry(directory) is None and not change.after.list(directory)


def _dependabot(root: Node) -> _Settings:
    updates: dict[str, int] = {}
    waits: dict[str, tuple[float, int]] = {}
    runs: dict[str, int] = {}
    for item in (root.get("updates") or Node(line=1, items=())).elements():
        ecosystem = item.string("package-ecosystem") or "?"
        places = item.get("directories") or item.get("directory")
        directories = [node.text or "/" for node in places.elements()] if places is not None else ["/"]
        for directory in directories:
            name = f"{ecosystem} in {directory}"
            if (limit := item.get("open-pull-requests-limit")) is None or limit.value != 0:
                updates[name] = item.line
            if (cooldown := item.get("cooldown")) is not None:
                waits[name] = (_shortest(cooldown), cooldown.line)
            if item.string("insecure-external-code-execution") == "allow":
                runs[name] = item.key_line("insecure-external-code-execution")
    return _Settings(updates, waits, {}, runs)


def _shortest(cooldown: Node) -> float:
    """The shortest time that any kind of release waits: what is not given falls back to the default, and that to nothing."""
    default = _number(cooldown, "default-days") or 0
    given = [_number(cooldown, f"semver-{kind}-days") for kind in ("major", "minor", "patch")]
    return min(default if days is None else days for days in given)


def _number(node: Node, key: str) -> int | None:
    value = _value(node, key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _renovate(root: Node) -> _Settings:
    updates = {} if root.get("enabled") is not None and _value(root, "enabled") is False else {"everything": root.line}
    alerts = root.get("vulnerabilityAlerts")
    if updates and not (alerts is not None and _value(alerts, "enabled") is False):
        updates["security alerts"] = root.line
    waits: dict[str, tuple[float, int]] = {}
    merges: dict[str, int] = {}
    runs: dict[str, int] = {}
    for name, node in _levels(root):
        age = node.string("minimumReleaseAge") or node.string("stabilityDays")
        if age is not None:
            waits[name] = (_days(age), node.key_line("minimumReleaseAge"))
        if _value(node, "automerge") is True:
            merges[name] = node.key_line("automerge")
        if _value(node, "ignoreTests") is True:
            merges[f"{name} with ignoreTests"] = node.key_line("ignoreTests")
        if _value(node, "ignoreScripts") is False or _value(node, "allowScripts") is True:
            runs[f"{name}: scripts"] = node.key_line("ignoreScripts")
        for key in ("postUpgradeTasks", "allowedCommands", "allowedPostUpgradeCommands"):
            if node.get(key) is not None:
                runs[f"{name}: {key}"] = node.key_line(key)
        presets = node.get("extends")
        for preset in presets.elements() if presets is not None else ():
            if re.match(r":automerge(?!Disabled)", preset.text or ""):
                merges[preset.text or ""] = preset.line
    return _Settings(updates, waits, merges, runs)


def _value(node: Node, key: str) -> object:
    found = node.get(key)
    return None if found is None else found.value


def _levels(root: Node) -> Iterator[tuple[str, Node]]:
    """The settings for everything, for kinds of update, and of each rule for packages, by what the rule is for."""
    yield "everything", root
    for kind in ("major", "minor", "patch", "pin", "digest", "lockFileMaintenance", "vulnerabilityAlerts", "devDependencies"):
        node = root.get(kind)
        if node is not None and node.is_map:
            yield kind, node
    rules = root.get("packageRules")
    for rule in rules.elements() if rules is not None else ():
        about = [
            f"{key.removeprefix('match').lower()} {', '.join(item.text or '' for item in value.elements())}"
            for key, value in sorted(rule.entries(), key=lambda entry: entry[0])
            if key.startswith(("match", "package", "dep"))
        ]
        yield ("; ".join(about) or "everything"), rule


def _days(text: str) -> float:
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*(day|week|hour|month|minute)?", text)
    if match is None:
        return 0
    return float(match.group(1)) * {"week": 7.0, "hour": 1 / 24, "month": 30.0, "minute": 1 / 1440}.get(match.group(2) or "day", 1.0)


DETECTOR = Detector(
    name="dependency-bots",
    title="The bots that keep dependencies current: Dependabot and Renovate",
    rules=RULES,
    detect=detect,
    group=together,
    sure=True,
)
