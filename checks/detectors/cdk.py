"""AWS CDK apps in TypeScript, JavaScript and Python: constructs that lose their data's protection, or go, and permissions that grow.

## What it detects

Read from source, without running it: a removal policy that becomes DESTROY, `autoDeleteObjects`, deletion or termination protection,
versioning or point-in-time recovery switched off; a construct that holds data whose id changes or that is gone; policy statements compared as
sets, calls of `grant…` and managed policies that are new; public read access.

## Why it matters

CDK derives the logical id from the construct's id and place: renaming it replaces the table. A removal policy of DESTROY deletes the data with
the stack, or with the next rename.

## Example

```typescript
 new dynamodb.Table(this, 'Orders', {
-  removalPolicy: cdk.RemovalPolicy.RETAIN,
+  removalPolicy: cdk.RemovalPolicy.DESTROY,
 });
```

## What makes it safe

`cdk diff` of this commit against the deployed stack in CI, with nothing destroyed or replaced that was not foreseen; `overrideLogicalId` or
stack refactoring for a rename; `RemovalPolicy.RETAIN`.

## What it cannot see

What code computes: conditions, loops, values from other files, constructs of libraries. All is likely or possible, never certain; the
synthesized template says for sure. Go, Java and C# apps are not read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.access.aws import ANYONE, Condition, Principal, Statement, principal
from checks.access.aws_grades import Kind, Setting, grade, managed
from checks.access.aws_policy import token
from checks.access.aws_rules import effects, rules_for
from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers.calls import Value, program, walk

LOW, MODERATE, HIGH, CRITICAL = Severity.LOW, Severity.MODERATE, Severity.HIGH, Severity.CRITICAL
GRADED = rules_for("cdk", (Kind.ADMIN, Kind.ESCALATION, Kind.SECRETS, Kind.ACCESS, Kind.CONDITION, Kind.PUBLIC, Kind.DENY))
GRANT = Rule(
    "cdk/grant-added",
    Hazard.PRIVILEGE_WIDENED,
    LOW,
    Reversible.PARTLY,
    "A construct is newly granted access to another",
    question=Question.ALONE,
    confidence=Confidence.LIKELY,
)
ATTACHED = Rule(
    "cdk/policy-attached",
    Hazard.PRIVILEGE_WIDENED,
    MODERATE,
    Reversible.PARTLY,
    "A managed policy is newly attached",
    question=Question.ALONE,
    confidence=Confidence.LIKELY,
)
RETENTION = Rule(
    "cdk/removal-policy-weakened",
    Hazard.PROTECTION_REMOVED,
    HIGH,
    Reversible.YES,
    "Data is no longer kept when its construct goes",
    confidence=Confidence.LIKELY,
)
GUARD = Rule(
    "cdk/guard-removed",
    Hazard.PROTECTION_REMOVED,
    HIGH,
    Reversible.YES,
    "A guard against loss is taken off a construct",
    confidence=Confidence.LIKELY,
)
RENAMED = Rule(
    "cdk/construct-renamed",
    Hazard.RESOURCE_REPLACED,
    HIGH,
    Reversible.PARTLY,
    "A construct that holds data gets another id",
    confidence=Confidence.LIKELY,
)
REMOVED = Rule(
    "cdk/construct-removed",
    Hazard.RESOURCE_DESTROYED,
    HIGH,
    Reversible.PARTLY,
    "A construct that holds data is removed",
    confidence=Confidence.LIKELY,
)

_STATEFUL = {
    "Bucket": "RETAIN", "Table": "RETAIN", "TableV2": "RETAIN", "GlobalTable": "RETAIN", "DatabaseInstance": "SNAPSHOT", "DatabaseCluster": "SNAPSHOT", "ServerlessCluster": "SNAPSHOT",
    "DatabaseInstanceFromSnapshot": "SNAPSHOT", "FileSystem": "RETAIN", "Key": "RETAIN", "UserPool": "RETAIN", "Secret": "DESTROY", "Stream": "RETAIN", "LogGroup": "RETAIN",
    "Domain": "RETAIN", "Repository": "RETAIN", "Volume": "RETAIN", "Queue": "DESTROY", "Ledger": "RETAIN", "BackupVault": "RETAIN", "HostedZone": "DESTROY", "PublicHostedZone": "DESTROY",
    "Cluster": "", "Stack": "",
}  # fmt: skip
"""Construct → what happens to the data by default when it is removed (docs.aws.amazon.com/cdk/api/v2, `removalPolicy`)."""
_GUARDS = {
    "deletionProtection": "deletion protection", "terminationProtection": "termination protection", "versioned": "versioning", "pointInTimeRecovery": "point-in-time recovery",
    "storageEncrypted": "encryption", "enableKeyRotation": "key rotation", "enforceSSL": "the demand for encrypted transport",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Construct:
    kind: str
    id: str
    path: str
    line: int
    value: Value

    def option(self, name: str) -> Value | None:
        return self.value.option(name, _snake(name))

    @property
    def removal(self) -> str:
        given = self.option("removalPolicy")
        return given.text.rpartition(".")[2] if given is not None else _STATEFUL.get(self.kind, "")


@dataclass(slots=True)
class _App:
    """What the changed files of one side build."""

    constructs: dict[tuple[str, str, str], _Construct]
    statements: list[Statement]
    grants: Counter[str]
    lines: dict[str, tuple[str, int]]
    attached: dict[str, tuple[str, int]]
    path: str = ""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    ours = [file for file in files if place_of(file.path) is Place.DEPLOYED]
    before, after = _App({}, [], Counter(), {}, {}), _App({}, [], Counter(), {}, {})
    for file in ours:
        old, new = change.base_bytes(file), change.head_bytes(file)
        if (not _is_app(old) and not _is_app(new)) or _compiled(change, file.path):
            continue
        try:
            _read(old, file.path, before)
        except Unreadable:
            continue
        try:
            _read(new, file.path, after)
        except Unreadable as unreadable:
            yield not_analysed(file.path, f"it builds infrastructure with the CDK, but {unreadable.why}", unreadable.line)
            continue
        if new is not None:
            yield from _access(file, before, after)
        before.statements.clear()
        after.statements.clear()
    yield from _constructs(change, before, after)
    yield from _grants(before, after)


def _app_gone(change: Change, path: str) -> str | None:
    """The folder of the app a file belonged to, where the app itself is gone: its `cdk.json` stood at base and does not at head."""
    folder = path.rpartition("/")[0]
    while True:
        settings = f"{folder}/cdk.json" if folder else "cdk.json"
        if change.before.entry(settings) is not None:
            return None if change.after.entry(settings) is not None else folder
        if not folder:
            return None
        folder = folder.rpartition("/")[0]


def _compiled(change: Change, path: str) -> bool:
    """Whether a JavaScript file stands beside the TypeScript it was made from."""
    source = re.sub(r"\.[mc]?js\Z", ".ts", path)
    return source != path and (change.before.entry(source) is not None or change.after.entry(source) is not None)


def _is_app(data: bytes | None) -> bool:
    return data is not None and re.search(rb"aws-cdk-lib|@aws-cdk/|aws_cdk", data) is not None


def _read(data: bytes | None, path: str, app: _App) -> None:
    if not _is_app(data):
        return
    assert data is not None
    calls = [call for value in walk(program(data, path)) if value.kind == "call" for call in value.chain if call.kind == "call"]
    limits = {item.line for call in calls if _limits(call) for item in call.items}
    for call in calls:
        if call.text != "PolicyStatement" or call.line not in limits:
            _call(call, path, app)


def _limits(call: Value) -> bool:
    """Whether a call adds to the policy of a VPC endpoint, which limits what goes through it and lets nobody in."""
    return call.text in ("addToPolicy", "add_to_policy") and call.receiver is not None and "endpoint" in _spell(call.receiver).lower()


def _call(call: Value, path: str, app: _App) -> None:
    name = call.text
    scope = call.arg(0)
    if name in _STATEFUL and scope is not None and scope.kind == "word" and call.string(1):
        app.constructs.setdefault((name, call.string(1), path), _Construct(name, call.string(1), path, call.line, call))
    elif name == "PolicyStatement":
        app.statements.append(_statement(call))
    elif re.match(r"grant(_?[A-Za-z]|$)", name) and call.receiver is not None:
        label = f"{_spell(call.receiver)}.{name}({', '.join(_spell(item) for item in call.items)})"
        app.grants[label] += 1
        app.lines[label] = (path, call.line)
    elif name in ("fromAwsManagedPolicyName", "from_aws_managed_policy_name") and call.string(0):
        app.attached[call.string(0)] = (path, call.line)


def _spell(value: Value) -> str:
    """A value in one line, receivers included."""
    head = f"{_spell(value.receiver)}." if value.receiver is not None else ""
    if value.kind == "call":
        return f"{head}{value.text}({', '.join(_spell(item) for item in value.items)})"
    if value.kind == "list":
        return f"[{', '.join(_spell(item) for item in value.items)}]"
    return head + (value.text or value.kind)


def _texts(value: Value | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if value.kind == "list":
        return tuple(text for item in value.items for text in _texts(item))
    if value.kind == "text" and value.whole:
        return (value.text,)
    return (token(_spell(value)),)


def _statement(call: Value) -> Statement:
    def option(name: str) -> Value | None:
        return call.option(name, _snake(name))

    actions, not_actions = option("actions"), option("notActions")
    resources, not_resources = option("resources"), option("notResources")
    effect = option("effect")
    people = option("principals")
    conditions = option("conditions")
    return Statement(
        allow=effect is None or effect.text.rpartition(".")[2] != "DENY",
        actions=_texts(actions if actions is not None else not_actions),
        resources=_texts(resources if resources is not None else not_resources) or ("*",),
        principals=tuple(_who(item) for item in people.items) if people is not None and people.kind == "list" else (),
        conditions=_conditions(conditions),
        not_actions=actions is None and not_actions is not None,
        not_resources=resources is None and not_resources is not None,
        line=call.line,
    )


def _conditions(value: Value | None) -> frozenset[Condition]:
    """The conditions of a statement: what code computes is one condition of which nothing is known."""
    if value is None:
        return frozenset()
    if value.kind != "map" or not all(inner.kind == "map" for _, inner in value.named):
        return frozenset({Condition("unknown", _map(value).lower(), frozenset())})
    return frozenset(
        Condition(operator.lower(), key.lower(), frozenset(_texts(item))) for operator, inner in value.named for key, item in inner.named
    )


def _map(value: Value) -> str:
    return token(";".join(f"{key}={_map(item) if item.named else _spell(item)}" for key, item in value.named) or _spell(value))


def _who(value: Value) -> Principal:
    if value.text in ("AnyPrincipal", "StarPrincipal", "Anyone"):
        return ANYONE
    name = value.string(0)
    kind = (
        "Service" if value.text == "ServicePrincipal" else "Federated" if "Federated" in value.text or "Identity" in value.text else "AWS"
    )
    return principal(kind, name or token(_spell(value)))


# Comparing ----------------------------------------------------------------------------------------------------------------------------


def _access(file: FileChange, before: _App, after: _App) -> Iterator[Effect]:
    own, shared = ([s for s in app.statements if not s.principals] for app in (before, after))
    name = file.path.rpartition("/")[2]
    for old, new, setting in (
        (own, shared, Setting.IDENTITY),
        ([s for s in before.statements if s.principals], [s for s in after.statements if s.principals], Setting.RESOURCE),
    ):
        verdicts = [v for v in grade(old if file.old is not None else None, new, setting) if v.kind in GRADED]
        yield from effects(GRADED, verdicts, name, file.path, 1, Confidence.LIKELY)


def _apps_removed(gone: dict[str, list[_Construct]]) -> Iterator[Effect]:
    """Apps that are gone as a whole: no deployment takes their stacks away, and none looks after them any more."""
    for folder, constructs in gone.items():
        first = constructs[0]
        names = ", ".join(f"{c.kind} {c.id}" for c in constructs[:6]) + (f" and {len(constructs) - 6} more" if len(constructs) > 6 else "")
        yield REMOVED.effect(
            subject=folder or ".", path=first.path, line=first.line, side=Side.BASE, before=names, severity=MODERATE, confidence=Confidence.POSSIBLE,
            message=f"The CDK app in {folder or 'the root folder'} is gone with {names}: its stacks stay until someone deletes them, and nothing looks after them.",
        )  # fmt: skip


def _constructs(change: Change, before: _App, after: _App) -> Iterator[Effect]:
    fresh = [c for key, c in after.constructs.items() if key not in before.constructs]
    moved = {(c.kind, c.id) for c in fresh}
    gone = [c for key, c in before.constructs.items() if key not in after.constructs and _STATEFUL[c.kind] and (c.kind, c.id) not in moved]
    removed: list[Effect] = []
    apps: dict[str, list[_Construct]] = {}
    for construct in list(gone):
        folder = _app_gone(change, construct.path)
        if folder is not None:
            gone.remove(construct)
            apps.setdefault(folder, []).append(construct)
    yield from _apps_removed(apps)
    for construct in gone:
        twin = next((c for c in fresh if c.kind == construct.kind and _options(c) == _options(construct)), None) or next(
            (c for c in fresh if c.kind == construct.kind and c.path == construct.path and sum(g.kind == c.kind for g in gone) == 1), None
        )
        kept = construct.removal != "DESTROY"
        severity = (HIGH if construct.kind not in ("LogGroup", "Queue") else MODERATE) if kept else CRITICAL
        if construct.kind in ("LogGroup", "Queue"):
            severity = MODERATE
        tail = "its data stays behind, unmanaged" if kept else "its data is deleted"
        if twin is not None:
            fresh.remove(twin)
            yield RENAMED.effect(
                subject=construct.id, path=twin.path, line=twin.line, before=construct.id, after=twin.id, severity=severity, hazard=None if kept else Hazard.DATA_DESTROYED,
                message=f"The {construct.kind} {construct.id} has the id {twin.id} now: CloudFormation makes an empty one, and {tail}.",
            )  # fmt: skip
        else:
            removed.append(REMOVED.effect(
                subject=construct.id, path=construct.path, line=construct.line, side=Side.BASE, before=construct.kind, severity=severity.step(-1) if kept else severity,
                hazard=None if kept else Hazard.DATA_DESTROYED, reversible=None if kept else Reversible.NO,
                message=f"The {construct.kind} {construct.id} is no longer built: it leaves its stack, and {tail}.",
            ))  # fmt: skip
    yield from _few(removed)
    for key, construct in after.constructs.items():
        old = before.constructs.get(key)
        if old is None:
            continue
        yield from _weakened(old, construct)


def _few(removed: list[Effect]) -> Iterator[Effect]:
    """Each by itself, or many as one: an app that goes is one thing."""
    if len(removed) <= 3:
        yield from removed
        return
    worst = max(removed, key=lambda effect: effect.severity.rank)
    names = ", ".join(effect.subject for effect in removed[:6])
    yield REMOVED.effect(
        subject=f"{len(removed)} constructs", path=worst.path, line=worst.line, side=Side.BASE, before=names, severity=worst.severity, hazard=worst.hazard, reversible=worst.reversible,
        message=f"{len(removed)} constructs that hold data are no longer built: {names}{' and more' if len(removed) > 6 else ''}.",
    )  # fmt: skip


def _options(construct: _Construct) -> str:
    named = construct.value.named + tuple(pair for item in construct.value.items if item.kind == "map" for pair in item.named)
    return ";".join(sorted(f"{key}={_spell(value)}" for key, value in named))


def _weakened(old: _Construct, new: _Construct) -> Iterator[Effect]:
    weakened = old.removal in ("RETAIN", "SNAPSHOT", "RETAIN_ON_UPDATE_OR_DELETE") and new.removal == "DESTROY"
    if weakened:
        yield RETENTION.effect(
            subject=f"{new.id}.removalPolicy", path=new.path, line=new.line, before=old.removal, after="DESTROY", severity=HIGH if new.kind != "LogGroup" else MODERATE,
            message=f"The {new.kind} {new.id} and its data are deleted when it leaves the stack or is replaced; so far they were kept.", keeps="removalPolicy: RemovalPolicy.RETAIN",
        )  # fmt: skip
    for name in ("autoDeleteObjects", "emptyOnDelete", "autoDeleteImages"):
        before, after = old.option(name), new.option(name)
        if not weakened and after is not None and after.true and not (before is not None and before.true):
            yield RETENTION.effect(
                subject=f"{new.id}.{name}",
                path=new.path,
                line=new.line,
                before="off",
                after="on",
                message=f"The {new.kind} {new.id} is emptied when it is deleted.",
            )
    for name, what in _GUARDS.items():
        before, after = old.option(name), new.option(name)
        if before is not None and before.true and (after is None or after.false):
            yield GUARD.effect(
                subject=f"{new.id}.{name}",
                path=new.path,
                line=new.line,
                before="true",
                after="false" if after else "absent",
                message=f"The {new.kind} {new.id} loses {what}.",
            )


def _grants(before: _App, after: _App) -> Iterator[Effect]:
    added = [label for label in after.grants if after.grants[label] > before.grants.get(label, 0)]
    gone = [label for label in before.grants if before.grants[label] > after.grants.get(label, 0)]
    # A renamed variable is no new grant: the same call with the same number of arguments that is gone elsewhere answers it.
    for label in list(added):
        twin = next(
            (other for other in gone if re.sub(r"[^(]*\.", "", other.partition("(")[0]) == re.sub(r"[^(]*\.", "", label.partition("(")[0])),
            None,
        )
        if twin is not None:
            gone.remove(twin)
            added.remove(label)
    if added:
        path, line = after.lines[added[0]]
        strong = any(
            re.search(
                r"grant_?(write|readwrite|read_write|delete|full|all|admin|assume|put|invoke|encrypt|$|\()",
                label.partition(".grant")[1] + label.partition(".grant")[2],
                re.IGNORECASE,
            )
            for label in added
        )
        yield GRANT.effect(
            subject=added[0].partition("(")[0], path=path, line=line, after="; ".join(added[:4]), severity=MODERATE if strong and len(added) > 3 else LOW,
            message=f"Access is newly granted: {'; '.join(added[:4])}{f' and {len(added) - 4} more' if len(added) > 4 else ''}.",
        )  # fmt: skip
    attached: dict[str, list[tuple[Severity, str, str, int]]] = {}
    for name, (path, line) in after.attached.items():
        short, severity, what = managed(name)
        if name not in before.attached and not (severity is LOW and name.startswith("service-role/")):
            attached.setdefault(path, []).append((severity, short, what, line))
    for path, rows in attached.items():
        severity, short, what, line = max(rows, key=lambda row: row[0].rank)
        names = ", ".join(row[1] for row in rows[:4])
        yield ATTACHED.effect(
            subject=short,
            path=path,
            line=line,
            after=names,
            severity=severity,
            message=f"Managed policies are newly attached ({names}): {short} opens {what}.",
        )


DETECTOR = Detector(
    name="cdk",
    title="AWS CDK apps",
    rules=(*GRADED.values(), GRANT, ATTACHED, RETENTION, GUARD, RENAMED, REMOVED),
    detect=detect,
    group=together,
    sure=re.compile(rb"aws[-_]cdk"),
)
