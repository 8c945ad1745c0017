"""Monitoring as code: rules and monitors that are gone, silenced or see less.

## What it detects
Prometheus rules (also PrometheusRule objects and Loki or Mimir rule files), Alertmanager routes, receivers, inhibitions and mute times, Grafana
provisioned rules and Datadog monitors as JSON or YAML, and SLO definitions (OpenSLO, Sloth, Pyrra): removed, paused or muted, waiting longer before they fire, with
a looser threshold or objective, a lower severity, or routed to nobody. A rule that moves to another file or group is silent.

## Why it matters
Whatever breaks next breaks unseen. Nobody misses the page that is not sent.

## Example
`for: 5m` becomes `for: 2h`.

## What makes it safe
A rule that watches the watchers (a dead man's switch), unit tests for rules (`promtool test rules`), and the reason in the same pull request.

## What it cannot see
Whether an expression that was rewritten means less than before; silences set by hand; monitors kept elsewhere.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checks.detectors.base import Detector, Rule, not_analysed, short, together
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import documents
from checks.readers.documents import Node

REMOVED = Rule("alerting/rule-removed", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.YES, "A monitoring rule is gone")
SILENCED = Rule(
    "alerting/rule-silenced",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.YES,
    "A monitoring rule is paused, muted or routed to nobody",
)
LOOSENED = Rule(
    "alerting/rule-loosened", Hazard.PROTECTION_REMOVED, Severity.LOW, Reversible.YES, "A monitoring rule fires later or for less"
)
RULES = (REMOVED, SILENCED, LOOSENED)

_WAKING = (b"expr", b"receiver", b"monitor", b"alert", b"objective", b"rules")
_SEVERITIES = (
    "none",
    "debug",
    "info",
    "information",
    "low",
    "notice",
    "minor",
    "warn",
    "warning",
    "medium",
    "ticket",
    "average",
    "high",
    "major",
    "error",
    "page",
    "severe",
    "critical",
    "emergency",
    "disaster",
)


@dataclass(frozen=True, slots=True)
class _Monitor:
    """One rule, monitor or objective, from whatever format."""

    name: str
    path: str
    line: int
    expression: str = ""
    wait: str = ""
    severity: str = ""
    paused: bool = False
    objective: float | None = None


@dataclass(frozen=True, slots=True)
class _Routing:
    """What an Alertmanager configuration sends, and where to."""

    path: str
    line: int
    receivers: dict[str, bool]
    """Name → whether it sends anything."""
    root: str
    routes: dict[str, tuple[int, str, tuple[str, ...]]]
    """Matchers → (line, receiver, mute times)."""
    inhibitions: frozenset[object]


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """Rules of all changed files together, so that one that moves is not lost."""
    before: list[_Monitor] = []
    after: list[_Monitor] = []
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED:
            continue
        old: tuple[Node, ...] = ()
        new: tuple[Node, ...] = ()
        with contextlib.suppress(Unreadable):
            old = _documents(change.base_bytes(file), file.base_path)
        try:
            new = _documents(change.head_bytes(file), file.path)
        except Unreadable as unreadable:
            if any(_monitors(node, file.base_path) for node in old):
                yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)
            continue
        before += [monitor for node in old for monitor in _monitors(node, file.base_path)]
        after += [monitor for node in new for monitor in _monitors(node, file.path)]
        yield from _routed(
            next(filter(None, (_routing(node, file.base_path) for node in old)), None),
            next(filter(None, (_routing(node, file.path) for node in new)), None),
            file.path,
        )
    yield from _compared(before, after)


def _documents(data: bytes | None, path: str) -> tuple[Node, ...]:
    if data is None or not any(word in data for word in _WAKING) or (b"{{" in data and b"{{-" in data):
        return ()
    return documents.read(data, path)


# ---------------------------------------------------------------------------------------------------------------------- monitors


def _monitors(root: Node, path: str) -> list[_Monitor]:
    """Every monitor of a document."""
    if not root.is_map and not root.is_list:
        return []
    if (
        root.string("kind") == "SLO"
        or (root.get("slos") is not None and root.get("service") is not None)
        or root.string("kind") in ("PrometheusServiceLevel", "ServiceLevelObjective")
    ):
        return _objectives(root, path)
    if _is_datadog(root):
        return [_datadog(root, path)]
    if root.is_list:
        return [_datadog(item, path) for item in root.elements() if _is_datadog(item)]
    groups = root.get("spec", "groups") if root.string("kind") == "PrometheusRule" else root.get("groups")
    out: list[_Monitor] = []
    for group in groups.elements() if groups is not None else ():
        rules = group.get("rules")
        for rule in rules.elements() if rules is not None else ():
            if rule.string("alert") and rule.get("expr") is not None:
                out.append(
                    _Monitor(
                        rule.string("alert") or "", path, rule.line, " ".join((rule.string("expr") or "").split()), rule.string("for") or "0s",
                        (rule.string("labels", "severity") or rule.string("labels", "priority") or "").lower(),
                    )
                )  # fmt: skip
            elif rule.string("title") and (rule.get("data") is not None or rule.get("condition") is not None):
                out.append(_grafana(rule, path))
    return out


def _grafana(rule: Node, path: str) -> _Monitor:
    """A provisioned rule (grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning)."""
    data = rule.get("data")
    text = str(documents.frozen(data)) if data is not None else ""
    name = rule.string("uid") or rule.string("title") or ""
    return _Monitor(
        name,
        path,
        rule.line,
        text,
        rule.string("for") or "0s",
        (rule.string("labels", "severity") or "").lower(),
        (rule.string("isPaused") or "").lower() == "true",
    )


def _is_datadog(node: Node) -> bool:
    return (
        node.is_map
        and node.get("query") is not None
        and node.get("type") is not None
        and node.get("name") is not None
        and (node.get("message") is not None or node.get("options") is not None)
    )


def _datadog(node: Node, path: str) -> _Monitor:
    """A monitor (docs.datadoghq.com/api/latest/monitors)."""
    priority = node.string("priority") or ""
    silenced = node.get("options", "silenced")
    paused = silenced is not None and bool(silenced.pairs)
    severity = {"1": "critical", "2": "high", "3": "medium", "4": "low", "5": "info"}.get(priority, "")
    return _Monitor(node.string("name") or "", path, node.line, " ".join((node.string("query") or "").split()), "", severity, paused)


def _objectives(root: Node, path: str) -> list[_Monitor]:
    """OpenSLO, Sloth and Pyrra: a name and an objective in per cent or as a ratio."""
    out: list[_Monitor] = []
    for _, node in root.walk():
        if not node.is_map:
            continue
        value = next((text for key in ("objective", "target", "targetPercent") if (text := node.string(key)) is not None), None)
        if value is None or not re.fullmatch(r"[0-9.]+", value):
            continue
        number = float(value) if value.count(".") < 2 else 0.0
        name = node.string("name") or root.string("metadata", "name") or "objective"
        out.append(_Monitor(f"SLO {name}", path, node.line, objective=number * 100 if number <= 1 else number))
    return out


def _compared(before: Sequence[_Monitor], after: Sequence[_Monitor]) -> Iterator[Effect]:
    """Paired by name and, among several of a name, by expression, then by severity, then in order."""
    left = list(after)
    gone: list[_Monitor] = []
    for old in before:
        same = [item for item in left if item.name == old.name]
        twin = next((item for item in same if item.expression == old.expression and item.severity == old.severity), None)
        twin = twin or next((item for item in same if item.severity == old.severity), None) or next(iter(same), None)
        if twin is None:
            gone.append(old)
            continue
        left.remove(twin)
        yield from _weaker(old, twin)
    renamed = {item.expression: item for item in left if item.expression}
    lost = [item for item in gone if not (item.expression and item.expression in renamed)]
    if len(lost) > 5:
        names = ", ".join(item.name for item in lost[:6])
        yield REMOVED.effect(
            subject=f"{len(lost)} rules",
            path=lost[0].path,
            line=lost[0].line,
            side=Side.BASE,
            before=names,
            message=f"{len(lost)} monitoring rules are gone: {names} and others.",
        )
        return
    for item in lost:
        yield REMOVED.effect(
            subject=item.name,
            path=item.path,
            line=item.line,
            side=Side.BASE,
            before=short(item.expression, 120) or None,
            message=f"Nothing reports {item.name} any more.",
        )


def _weaker(old: _Monitor, new: _Monitor) -> Iterator[Effect]:
    if new.paused and not old.paused:
        yield SILENCED.effect(subject=new.name, path=new.path, line=new.line, after="paused", message=f"{new.name} is paused or muted.")
    if (was := _seconds(old.wait)) is not None and (now := _seconds(new.wait)) is not None and now > was:
        long = now >= 4 * max(was, 60)
        yield LOOSENED.effect(
            subject=f"{new.name} for",
            path=new.path,
            line=new.line,
            before=old.wait,
            after=new.wait,
            severity=Severity.MODERATE if long else None,
            message=f"{new.name} waits {new.wait} instead of {old.wait} before it says anything.",
        )
    if old.severity in _SEVERITIES and new.severity in _SEVERITIES and _SEVERITIES.index(new.severity) < _SEVERITIES.index(old.severity):
        yield LOOSENED.effect(
            subject=f"{new.name} severity",
            path=new.path,
            line=new.line,
            before=old.severity,
            after=new.severity,
            message=f"{new.name} is {new.severity} instead of {old.severity}: it may reach nobody at night.",
        )
    if old.objective is not None and new.objective is not None and new.objective < old.objective:
        yield LOOSENED.effect(
            subject=f"{new.name} objective",
            path=new.path,
            line=new.line,
            before=str(old.objective),
            after=str(new.objective),
            message=f"{new.name} promises {new.objective:g} % instead of {old.objective:g} %.",
        )
    if threshold := _looser(old.expression, new.expression):
        yield LOOSENED.effect(
            subject=f"{new.name} threshold",
            path=new.path,
            line=new.line,
            before=threshold[0],
            after=threshold[1],
            message=f"{new.name} fires at {threshold[1]} instead of {threshold[0]}.",
        )


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def _seconds(text: str) -> float | None:
    parts = _DURATION.findall(text)
    return (
        sum(float(number) * _UNITS[unit] for number, unit in parts) if parts and "".join(a + b for a, b in parts) == text.strip() else None
    )


_COMPARISON = re.compile(r"(>=|<=|>|<)\s*(?:bool\s+)?(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")


def _looser(old: str, new: str) -> tuple[str, str] | None:
    """The thresholds of two expressions that differ in one number only, where the new one fires for less."""
    if old == new or _COMPARISON.sub(r"\1 #", old) != _COMPARISON.sub(r"\1 #", new):
        return None
    for (operator, was), (_, now) in zip(_COMPARISON.findall(old), _COMPARISON.findall(new), strict=True):
        if (float(now) > float(was)) if operator.startswith(">") else (float(now) < float(was)):
            return f"{operator} {was}", f"{operator} {now}"
    return None


# ----------------------------------------------------------------------------------------------------------------------- routing


def _routing(root: Node, path: str) -> _Routing | None:
    """An Alertmanager configuration (prometheus.io/docs/alerting/latest/configuration)."""
    if root.get("route") is None or root.get("receivers") is None:
        return None
    receivers = {
        item.string("name") or "": any(key.endswith("_configs") and value.elements() for key, value in item.entries())
        for item in (root.get("receivers") or root).elements()
    }
    routes: dict[str, tuple[int, str, tuple[str, ...]]] = {}
    top = root.string("route", "receiver") or ""
    _routes(root.get("route"), top, "", routes, 0)
    rules = root.get("inhibit_rules")
    return _Routing(
        path,
        root.line,
        receivers,
        top,
        routes,
        frozenset(documents.frozen(item) for item in (rules.elements() if rules is not None else ())),
    )


def _routes(route: Node | None, receiver: str, above: str, out: dict[str, tuple[int, str, tuple[str, ...]]], depth: int) -> None:
    if route is None or depth > 20:
        return
    matchers = sorted(
        [item.text or "" for item in (route.get("matchers") or Node(line=0, items=())).elements()]
        + [
            f"{key}={value.text}"
            for name in ("match", "match_re")
            for key, value in (route.get(name) or route).entries()
            if route.get(name) is not None
        ]
    )
    key = f"{above} {' '.join(matchers)}".strip() or "everything"
    target = route.string("receiver") or receiver
    mutes = tuple(item.text or "" for item in (route.get("mute_time_intervals") or Node(line=0, items=())).elements())
    out[key] = (route.line, target, mutes)
    below = route.get("routes")
    for item in below.elements() if below is not None else ():
        _routes(item, target, "" if key == "everything" else key, out, depth + 1)


def _routed(old: _Routing | None, new: _Routing | None, path: str) -> Iterator[Effect]:
    if old is None:
        return
    if new is None:
        yield REMOVED.effect(
            subject=f"{path}: routing",
            path=path,
            line=1,
            side=Side.BASE,
            message="The configuration that says who is told of what is gone.",
        )
        return
    for key, (line, receiver, mutes) in new.routes.items():
        was = old.routes.get(key)
        sends = new.receivers.get(receiver, True)
        if was is not None and old.receivers.get(was[1], True) and not sends:
            yield SILENCED.effect(
                subject=f"{path}: {short(key, 100)}",
                path=path,
                line=line,
                before=was[1],
                after=receiver,
                severity=Severity.HIGH if key == "everything" else None,
                message=f"What matches {short(key, 80)} goes to {receiver}, which tells nobody.",
            )
        elif was is None and not sends and key != "everything":
            yield SILENCED.effect(
                subject=f"{path}: {short(key, 100)}",
                path=path,
                line=line,
                after=receiver,
                message=f"What matches {short(key, 80)} goes to {receiver}, which tells nobody.",
            )
        for mute in mutes:
            if was is None or mute not in was[2]:
                yield SILENCED.effect(
                    subject=f"{path}: {short(key, 100)} {mute}",
                    path=path,
                    line=line,
                    after=mute,
                    severity=Severity.LOW,
                    message=f"What matches {short(key, 80)} is muted during {mute}.",
                )
    for _ in new.inhibitions - old.inhibitions:
        if len(new.inhibitions) > len(old.inhibitions):
            yield SILENCED.effect(
                subject=f"{path}: inhibition",
                path=path,
                line=new.line,
                severity=Severity.LOW,
                message="A new inhibition keeps some notifications back while others fire.",
            )
            break


DETECTOR = Detector(
    name="alerting",
    title="Monitoring rules",
    rules=RULES,
    detect=detect,
    group=together,
    sure=re.compile(rb"(?m)^[ \t]*+-?[ \t]*+alert\s*:"),
)
