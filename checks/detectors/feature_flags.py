"""Feature flags kept as files: switches that flip for everybody when the file lands.

## What it detects
Flags of flagd, Flipt, GO Feature Flag, LaunchDarkly exports and Unleash exports that are switched the other way, whose default variant changes
without targeting in between, whose share of users goes to everybody, or that leave the file while others stay.

## Why it matters
A flag is the switch with which an operator takes a broken feature away. Flipping it in a pull request releases the feature to everybody the moment
the file is read, with no staged rollout; removing it takes the switch away.

## Example
```diff
 "new-checkout": {
   "state": "ENABLED",
-  "defaultVariant": "off"
+  "defaultVariant": "on"
```

## What makes it safe
Raising the share in steps, and removing a flag only after the code no longer asks for it.

## What it cannot see
What a flag does in the code, and flags that live in a service alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checks.detectors.base import Detector, Rule, by_file
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import documents
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node

_AVAILABLE = Hazard.AVAILABILITY_REDUCED
FLIPPED = Rule("feature-flags/flag-flipped", _AVAILABLE, Severity.LOW, Reversible.YES, "A flag says the opposite for everybody")
EVERYBODY = Rule("feature-flags/rolled-out-to-all", _AVAILABLE, Severity.LOW, Reversible.YES, "A flag is on for everybody at once")
REMOVED = Rule(
    "feature-flags/flag-removed", _AVAILABLE, Severity.LOW, Reversible.YES, "A switch is no longer there", confidence=Confidence.LIKELY
)


@dataclass(frozen=True, slots=True)
class _Flag:
    """One flag: whether it is on, what it gives by default, and the largest share of users that one of its rules gives a feature to."""

    line: int
    on: bool | None
    default: str
    share: int | None


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED or file.new is None or file.old is None:
            continue
        try:
            before, after = change.base_bytes(file), change.head_bytes(file)
            if before is None or after is None:
                continue
            old, new = _flags(before, file.base_path), _flags(after, file.path)
        except Unreadable:
            continue  # a file of flags by its name only; nothing else reads it
        if old and new is not None:
            yield from _compared(file, old, new)


def _compared(file: FileChange, old: dict[str, _Flag], new: dict[str, _Flag]) -> Iterator[Effect]:
    gone = [name for name in old if name not in new]
    if gone:
        names = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        yield REMOVED.effect(
            subject=names, path=file.base_path, line=old[gone[0]].line, side=Side.BASE, before=names,
            message=f"{'The flag' if len(gone) == 1 else 'The flags'} {names} can no longer be switched: code that asks gets what it falls back to.",
        )  # fmt: skip
    for name, flag in new.items():
        was = old.get(name)
        if was is None:
            continue
        if was.on is not None and flag.on is not None and was.on is not flag.on:
            yield FLIPPED.effect(
                subject=name, path=file.path, line=flag.line, before="on" if was.on else "off", after="on" if flag.on else "off",
                message=f"The flag {name} is switched {'on' if flag.on else 'off'} when this lands.",
            )  # fmt: skip
        elif was.default and flag.default and was.default != flag.default:
            yield FLIPPED.effect(
                subject=name, path=file.path, line=flag.line, before=was.default, after=flag.default,
                message=f"Whoever no rule of the flag {name} speaks of gets {flag.default} instead of {was.default}.",
            )  # fmt: skip
        if was.share is not None and flag.share == 100 and was.share < 100 and flag.on is not False:
            yield EVERYBODY.effect(
                subject=name, path=file.path, line=flag.line, before=f"{was.share} %", after="100 %",
                severity=Severity.MODERATE if was.share < 25 else None,
                message=f"The flag {name} goes from {was.share} % to everybody in one step.",
            )  # fmt: skip


def _flags(data: bytes, path: str) -> dict[str, _Flag] | None:
    """The flags of a file, None where it is no file of flags."""
    node = next(iter(documents.read(data, path)), None)
    if node is None or not node.is_map:
        return None
    for reader in (_flagd, _flipt, _unleash, _launchdarkly, _go):
        found = reader(node)
        if found:
            return found
    empty = any((part := node.get(key)) is not None and not (part.items or part.pairs) for key in ("flags", "features"))
    return {} if empty else None


def _named(node: Node, key: str) -> list[tuple[str, Node]]:
    """The members of a list of maps or of a map, with their names."""
    part = node.get(key)
    if part is None:
        return []
    if part.is_map:
        return list(part.entries())
    return [(item.string("key") or item.string("name") or "", item) for item in part.items or ()]


def _flagd(node: Node) -> dict[str, _Flag]:
    """flagd.dev/schema/v0/flags.json."""
    return {
        name: _Flag(flag.line, _word(flag, "state", "ENABLED", "DISABLED"), flag.string("defaultVariant") or "", None)
        for name, flag in _named(node, "flags")
        if flag.get("variants") is not None and flag.get("state") is not None
    }


def _word(node: Node, key: str, on: str, off: str) -> bool | None:
    return {on: True, off: False}.get(node.string(key) or "")


def _flipt(node: Node) -> dict[str, _Flag]:
    """docs.flipt.io/configuration/storage: `flags` with a key and `enabled`."""
    out: dict[str, _Flag] = {}
    for name, flag in _named(node, "flags"):
        if name and flag.get("key") is not None and k8s.truth(flag.get("enabled")) is not None:
            rollouts = flag.get("rollouts")
            shares = [
                share
                for item in (rollouts.items or () if rollouts is not None else ())
                if k8s.truth(item.get("threshold", "value")) and (share := _share(item.get("threshold", "percentage"))) is not None
            ]
            out[name] = _Flag(flag.line, k8s.truth(flag.get("enabled")), "", max(shares, default=None))
    return out


def _share(node: Node | None) -> int | None:
    try:
        return None if node is None or node.text is None else round(float(node.text))
    except (ValueError, OverflowError):
        return None


def _unleash(node: Node) -> dict[str, _Flag]:
    """docs.getunleash.io/reference/deploy/import-export: `features` with strategies."""
    out: dict[str, _Flag] = {}
    for name, flag in _named(node, "features"):
        if not name or flag.get("strategies") is None:
            continue
        shares: list[int] = []
        listed = flag.get("strategies")
        for strategy in (listed.items or ()) if listed is not None else ():
            if strategy.string("name") == "default":
                shares.append(100)
            for key in ("rollout", "percentage"):
                share = _share(strategy.get("parameters", key))
                shares += [share] if share is not None else []
        out[name] = _Flag(flag.line, k8s.truth(flag.get("enabled")), "", max(shares, default=None))
    return out


def _launchdarkly(node: Node) -> dict[str, _Flag]:
    """docs.launchdarkly.com/sdk/features/flags-from-files: `flags` with `variations`, `on`, `fallthrough`."""
    out: dict[str, _Flag] = {}
    for name, flag in _named(node, "flags"):
        if flag.get("variations") is None and flag.get("fallthrough") is None:
            continue
        default = flag.string("fallthrough", "variation")
        parts = flag.get("fallthrough", "rollout", "variations")
        weights = [
            weight for item in (parts.items or () if parts is not None else ()) if (weight := k8s.number(item.get("weight"))) is not None
        ]
        out[name] = _Flag(
            flag.line,
            k8s.truth(flag.get("on")),
            f"variation {default}" if default else "",
            max(weights) // 1000 if weights else 100 if default else None,
        )
    simple = node.get("flagValues")
    for name, value in simple.entries() if simple is not None else ():
        if value.text is not None:
            out[name] = _Flag(value.line, k8s.truth(value), value.text, None)
    return out


def _go(node: Node) -> dict[str, _Flag]:
    """gofeatureflag.org/docs/configure_flag: flags at the root with `variations` and `defaultRule`."""
    out: dict[str, _Flag] = {}
    for name, flag in node.entries():
        if flag.is_map and flag.get("variations") is not None and flag.get("defaultRule") is not None:
            share: int | None = None
            parts = flag.get("defaultRule", "percentage")
            if parts is not None:
                share = max((value for _, item in parts.entries() if (value := _share(item)) is not None), default=None)
            disabled = k8s.truth(flag.get("disable"))
            out[name] = _Flag(flag.line, not disabled, flag.string("defaultRule", "variation") or "", share)
    return out


DETECTOR = Detector(
    name="feature-flags", title="Feature flags", rules=(FLIPPED, EVERYBODY, REMOVED), detect=detect, group=by_file, sure=True
)
