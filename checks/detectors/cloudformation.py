"""CloudFormation and SAM templates: what an update deletes or replaces, which guards it removes, and what it opens to the network.

## What it detects

Resources whose logical id is gone (CloudFormation knows no rename), templates that are gone, resources whose type changes, and resources that
AWS replaces because a property changed (1,668 types), and resources whose condition no longer holds, as far as literals, mappings and the
parameters' defaults say. Templates that a Go template makes are read with its values unknown. `DeletionPolicy` and `UpdateReplacePolicy` are kept apart, with the defaults that
databases have. Guards that are taken off: retention policies, deletion and termination protection, backups, point-in-time recovery,
versioning, encryption, automatic rollback. Exposure that grows: public access, public addresses, security group rules, requests without
authorization, routes straight to the internet. A function's alias that gives a new version all its traffic at once. Templates are known by their content, in YAML or JSON, also in the `resources` of a serverless.yml.

## Why it matters

An update of a stack deletes what the template no longer names, and replacement deletes the old resource once the new one stands. Both happen
without a question, and for a table or bucket the data goes along.

## Example

```yaml
   OrdersTable:
     Type: AWS::DynamoDB::Table
-    DeletionPolicy: Retain
```

## What makes it safe

`DeletionPolicy: Retain` for removal and `UpdateReplacePolicy: Retain` for replacement, merged before the removal; a change set of this commit
that shows nothing destructive that was not foreseen.

## What it cannot see

Values given at deployment, transforms and macros other than SAM, what a nested stack holds, and whether the stack is deployed at all. A value
behind a reference that changes may or may not change: such a replacement is only possible.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files as packaged

from checks.access.aws_policy import call, spell
from checks.detectors.base import Detector, Rule, not_analysed
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers.cloudformation import Resource, Template, holds, looks_like_template, meaning, plain, possible, template, truth
from checks.readers.documents import Node, same

LOW, MODERATE, HIGH, CRITICAL = Severity.LOW, Severity.MODERATE, Severity.HIGH, Severity.CRITICAL

DESTROYED = Rule(
    "cloudformation/resource-destroyed",
    Hazard.RESOURCE_DESTROYED,
    MODERATE,
    Reversible.PARTLY,
    "A resource leaves its template and is deleted",
)
TEMPLATE = Rule("cloudformation/template-removed", Hazard.RESOURCE_DESTROYED, HIGH, Reversible.PARTLY, "A whole template is removed")
RENAMED = Rule(
    "cloudformation/resource-renamed",
    Hazard.RESOURCE_REPLACED,
    MODERATE,
    Reversible.PARTLY,
    "A logical id changes, so the resource is deleted and created again",
)
REPLACED = Rule(
    "cloudformation/resource-replaced", Hazard.RESOURCE_REPLACED, MODERATE, Reversible.PARTLY, "A changed property replaces the resource"
)
TYPE = Rule("cloudformation/type-changed", Hazard.RESOURCE_REPLACED, HIGH, Reversible.NO, "A logical id gets another resource type")
RETENTION = Rule(
    "cloudformation/retention-removed",
    Hazard.PROTECTION_REMOVED,
    HIGH,
    Reversible.YES,
    "A resource is no longer kept when it is removed or replaced",
)
GUARD = Rule(
    "cloudformation/guard-removed", Hazard.PROTECTION_REMOVED, HIGH, Reversible.YES, "A guard against loss is taken off a resource"
)
ROLLBACK = Rule(
    "cloudformation/rollback-removed", Hazard.PROTECTION_REMOVED, HIGH, Reversible.YES, "A deployment no longer rolls back by itself"
)
EXPOSED = Rule(
    "cloudformation/exposure-widened", Hazard.EXPOSURE_WIDENED, HIGH, Reversible.PARTLY, "A resource is newly reachable, or by more"
)
KEPT = Rule(
    "cloudformation/resource-forgotten",
    Hazard.RESOURCE_FORGOTTEN,
    LOW,
    Reversible.YES,
    "A resource leaves its template and is kept, unmanaged",
)

_LIST = 8
"""Names in a collapsed effect."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """One template in both states."""

    path: str
    base: Template
    head: Template


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    (file,) = files
    if place_of(file.path) is not Place.DEPLOYED or (file.renamed and place_of(file.base_path) is not Place.DEPLOYED):
        return
    old, new = change.base_bytes(file), change.head_bytes(file)
    unread: Unreadable | None = None
    try:
        base = template(old, file.base_path) if old is not None else None
    except Unreadable as unreadable:
        base, unread = None, unreadable
    try:
        head = template(new, file.path) if new is not None else None
    except Unreadable as unreadable:
        assert new is not None
        yield not_analysed(
            file.path, f"it looks like a CloudFormation template, but {unreadable.why}", unreadable.line, severity=LOW if unread else None
        )
        return
    if unread is not None and head is None and new is None and old is not None and looks_like_template(old):
        yield TEMPLATE.effect(
            subject=file.path,
            path=file.path,
            side=Side.BASE,
            confidence=Confidence.POSSIBLE,
            message="A template that could not be read is removed.",
        )
    if base is None:
        if head is not None:
            yield from _opened(_Pair(file.path, _nothing(head), head))
        return
    if head is None:
        if new is None or not looks_like_template(new):
            yield from _gone(file, base, moved=_elsewhere(change, file, base))
        return
    pair = _Pair(file.path, base, head)
    for name, (line, text, why) in head.broken.items():
        before_it = base.broken.get(name)
        if before_it is None or before_it[1] != text:
            severity = None if before_it is None else MODERATE
            yield not_analysed(file.path, f"{name} of this CloudFormation template: {why}", line, severity=severity)
    yield from _removed(pair)
    yield from _left_out(pair)
    replaced: list[Effect] = []
    for name, resource in head.resources.items():
        before = base.resources.get(name)
        if before is None:
            continue
        if before.type != resource.type:
            yield from _typed(pair, before, resource)
            continue
        replaced.extend(_replaced(pair, before, resource))
        yield from _retention(pair, before, resource)
        yield from _guards(pair, before, resource)
        yield from _rollback(pair, before, resource)
    yield from _together(replaced)
    yield from _opened(pair)


def _together(effects: list[Effect]) -> Iterator[Effect]:
    """Many replacements that lose no data are one thing: a property changed everywhere."""
    plain_ones = [effect for effect in effects if effect.severity is LOW]
    yield from (effect for effect in effects if effect.severity is not LOW)
    if len(plain_ones) <= 5:
        yield from plain_ones
        return
    names = ", ".join(effect.subject for effect in plain_ones[:_LIST])
    first = plain_ones[0]
    yield REPLACED.effect(
        subject=f"{len(plain_ones)} resources", path=first.path, line=first.line, before=names, severity=LOW, confidence=first.confidence,
        message=f"{len(plain_ones)} resources are replaced, each created anew and its old one deleted: {names}{' and more' if len(plain_ones) > _LIST else ''}.",
        facts=(("address", ",".join(effect.subject for effect in plain_ones)), ("template", first.path), ("action", "replace")),
    )  # fmt: skip


def _nothing(like: Template) -> Template:
    return Template({}, {}, {}, None, None, like.sam, like.node)


def _elsewhere(change: Change, file: FileChange, base: Template) -> bool:
    """Whether another changed file at head now holds most of this template: it was moved and edited."""
    ids = {name for name, resource in base.resources.items()}
    for other in change.files:
        if other.path == file.path or other.new is None or not other.path.endswith((".yml", ".yaml", ".json", ".template")):
            continue
        data = change.head_bytes(other)
        try:
            found = template(data, other.path) if data is not None else None
        except Unreadable:
            continue
        if found is not None and ids and len(ids & found.resources.keys()) * 2 > len(ids) and other.old is None:
            return True
    return False


# Deleted ------------------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _stateful() -> Mapping[str, tuple[str, str]]:
    lines = packaged("checks.data").joinpath("cfn_stateful.txt").read_text().splitlines()
    rows = (line.split() for line in lines if line and not line.startswith("#"))
    return {kind: (lost.replace("-", " "), back) for kind, lost, back in rows}


_MINOR = (
    "AWS::IAM::", "AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig", "AWS::CloudWatch::", "AWS::Events::Rule",
    "AWS::ApiGateway::", "AWS::ApiGatewayV2::", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SSM::Parameter",
    "AWS::CloudFormation::WaitCondition", "AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::SecurityGroup", "AWS::ApplicationAutoScaling::", "AWS::Logs::",
    "AWS::AutoScaling::Sc", "AWS::Lambda::LayerVersion", "AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::Scheduler::", "AWS::KMS::Alias", "AWS::CodeBuild::", "AWS::CodePipeline::",
    "Custom::", "AWS::Config::", "AWS::Serverless::LayerVersion",
)  # fmt: skip
"""Types whose loss is mended by a revert, as a rule."""
_DISPOSABLE = frozenset(
    {
        "AWS::ApiGateway::Deployment", "AWS::ApiGatewayV2::Deployment", "AWS::Lambda::Version", "AWS::Lambda::Permission", "AWS::Lambda::LayerVersion", "AWS::ECS::TaskDefinition",
        "AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle", "AWS::Lambda::EventInvokeConfig", "AWS::IAM::Policy", "AWS::CDK::Metadata",
        "AWS::AutoScaling::LaunchConfiguration", "AWS::Serverless::LayerVersion", "AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::EC2::LaunchTemplate",
        "AWS::Batch::JobDefinition", "AWS::EC2::SubnetRouteTableAssociation", "AWS::Greengrass::FunctionDefinitionVersion", "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress", "AWS::SNS::Subscription", "AWS::ApplicationAutoScaling::ScalingPolicy",
    }
)  # fmt: skip
"""Types that are made to be replaced: nothing is lost when they are."""


def _loss(resource: Resource) -> tuple[Severity, Reversible, Hazard]:
    """How bad it is when a resource is deleted with nothing kept."""
    row = _stateful().get(resource.type)
    if row is None:
        minor = resource.type.startswith(_MINOR) or "::" not in resource.type
        return (LOW if minor else MODERATE), Reversible.PARTLY, Hazard.RESOURCE_DESTROYED
    if resource.type == "AWS::Logs::LogGroup":
        return MODERATE, Reversible.NO, Hazard.DATA_DESTROYED
    if resource.type == "AWS::SQS::Queue":
        return MODERATE, Reversible.NO, Hazard.DATA_DESTROYED
    if resource.type == "AWS::ECR::Repository":
        return HIGH, Reversible.NO, Hazard.DATA_DESTROYED
    back = row[1]
    return CRITICAL, Reversible.WINDOW if back == "window" else Reversible.NO, Hazard.DATA_DESTROYED


def effective_deletion(resource: Resource) -> str:
    """What happens to a resource that leaves the template: `DeletionPolicy`, or its type's default (AWS::RDS::DBCluster, and a
    DBInstance outside a cluster, take a snapshot; docs: aws-attribute-deletionpolicy)."""
    if resource.deletion is not None:
        return resource.deletion
    if resource.type == "AWS::RDS::DBCluster" or (resource.type == "AWS::RDS::DBInstance" and resource.get("DBClusterIdentifier") is None):
        return "Snapshot"
    return "Delete"


def _effective_replacement(resource: Resource) -> str:
    return resource.replacement or "Delete"


def _facts(path: str, resource: Resource, action: str) -> tuple[tuple[str, str], ...]:
    return (("address", resource.id), ("template", path), ("action", action))


def _removed(pair: _Pair) -> Iterator[Effect]:
    gone = [
        r
        for name, r in pair.base.resources.items()
        if name not in pair.head.resources and name not in pair.head.broken and possible(pair.base, r.condition)
    ]
    fresh = [r for name, r in pair.head.resources.items() if name not in pair.base.resources and name not in pair.base.broken]
    plain_ones: list[Resource] = []
    for resource in gone:
        policy = effective_deletion(resource)
        if policy == "Retain" or policy == "RetainExceptOnCreate":
            yield KEPT.effect(
                subject=resource.id, path=pair.path, line=resource.line, side=Side.BASE, before=resource.type,
                message=f"{resource.id} ({resource.type}) leaves the template but is retained: nothing manages it any more.",
            )  # fmt: skip
            continue
        twin = next(
            (r for r in fresh if r.type == resource.type and same(r.properties, resource.properties) and r.type not in _DISPOSABLE), None
        )
        if twin is not None and (resource.properties.pairs or len(fresh) == 1):
            fresh.remove(twin)
            yield _renamed(pair.path, resource, twin, policy)
        elif resource.type in _DISPOSABLE:
            if not any(r.type == resource.type for r in fresh):
                plain_ones.append(resource)
        elif resource.type in _stateful():
            yield _destroyed(pair.path, resource, policy)
        else:
            plain_ones.append(resource)
    if len(plain_ones) > 5:
        yield _collapsed(pair.path, plain_ones)
    else:
        for resource in plain_ones:
            yield _destroyed(pair.path, resource, effective_deletion(resource))


def _left_out(pair: _Pair) -> Iterator[Effect]:
    """Resources that stay in the template under a condition that does not hold any more: CloudFormation deletes them all the same."""
    lost: list[tuple[Resource, Resource, bool]] = []
    for name, new in pair.head.resources.items():
        old = pair.base.resources.get(name)
        if old is None or new.condition is None or effective_deletion(new).startswith("Retain"):
            continue
        before, after = holds(pair.base, old.condition), holds(pair.head, new.condition)
        if after is not None and not after[0] and before is not None and before[0]:
            lost.append((old, new, after[1] and before[1]))
    for condition in dict.fromkeys(new.condition for _, new, _ in lost):
        together = [row for row in lost if row[1].condition == condition]
        old, new, sure = max(together, key=lambda row: _loss(row[0])[0].rank)
        severity, reversible, hazard = _loss(old)
        names = ", ".join(row[1].id for row in together[:_LIST]) + (f" and {len(together) - _LIST} more" if len(together) > _LIST else "")
        yield DESTROYED.effect(
            subject=new.id if len(together) == 1 else f"{len(together)} resources", path=pair.path, line=new.line, before=old.type, after=f"Condition: {condition}",
            severity=severity if sure else severity.step(-1), reversible=reversible, hazard=hazard, confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
            message=f"{names}: deleted with the next update, as the condition {condition} does not hold any more{'' if sure else ' where parameters keep their defaults'}.",
            keeps="DeletionPolicy: Retain" if old.type in _stateful() else None,
            facts=(("address", ",".join(row[1].id for row in together)), ("template", pair.path), ("action", "delete")),
        )  # fmt: skip


def _destroyed(path: str, resource: Resource, policy: str) -> Effect:
    severity, reversible, hazard = _loss(resource)
    lost = _stateful().get(resource.type, ("", ""))[0]
    tail = f": {lost} is lost" if lost else ""
    if lost.endswith(("s", "users and their credentials")) and not lost.startswith("a "):
        tail = f": {lost} are lost"
    if policy == "Snapshot":
        severity, reversible, tail = severity.step(-1), Reversible.PARTLY, ": only a final snapshot is kept"
    return DESTROYED.effect(
        subject=resource.id, path=path, line=resource.line, side=Side.BASE, before=resource.type, severity=severity, reversible=reversible, hazard=hazard,
        confidence=Confidence.CERTAIN if not resource.condition and not policy.startswith("${") else Confidence.LIKELY,
        message=f"{resource.id} ({resource.type}) is no longer in the template and is deleted with the next update{tail}.",
        keeps="DeletionPolicy: Retain" if lost else None, facts=_facts(path, resource, "delete"),
    )  # fmt: skip


def _collapsed(path: str, resources: list[Resource]) -> Effect:
    worst = max((_loss(resource)[0] for resource in resources), key=lambda s: s.rank)
    names = ", ".join(resource.id for resource in resources[:_LIST]) + (
        f" and {len(resources) - _LIST} more" if len(resources) > _LIST else ""
    )
    return DESTROYED.effect(
        subject=f"{len(resources)} resources", path=path, line=resources[0].line, side=Side.BASE, before=names, severity=worst,
        message=f"{len(resources)} resources are no longer in the template and are deleted with the next update: {names}.",
        facts=(("address", ",".join(resource.id for resource in resources)), ("template", path), ("action", "delete")),
    )  # fmt: skip


def _renamed(path: str, old: Resource, new: Resource, policy: str) -> Effect:
    severity, reversible, hazard = _loss(old)
    data = old.type in _stateful()
    if policy == "Snapshot":
        severity = severity.step(-1)
    return RENAMED.effect(
        subject=old.id, path=path, line=old.line, side=Side.BASE, before=old.id, after=new.id, severity=severity,
        reversible=reversible, hazard=hazard if data else Hazard.RESOURCE_REPLACED,
        message=f"{old.id} ({old.type}) is named {new.id} now: CloudFormation creates it anew and deletes the old one{', with its data' if data else ''}.",
        keeps="DeletionPolicy: Retain" if data else None, facts=_facts(path, old, "delete"),
    )  # fmt: skip


def _gone(file: FileChange, base: Template, moved: bool) -> Iterator[Effect]:
    lost = [r for r in base.resources.values() if effective_deletion(r) not in ("Retain", "RetainExceptOnCreate")]
    if not lost or moved or (base.node.get("AWSTemplateFormatVersion") is None and file.path.rpartition("/")[2].startswith("serverless")):
        return  # a removed serverless.yml is told as a service
    data = [r for r in lost if r.type in _stateful()]
    names = ", ".join(r.id for r in (data + [r for r in lost if r not in data])[:_LIST])
    severity = max((_loss(r)[0].step(-1) if effective_deletion(r) == "Snapshot" else _loss(r)[0] for r in lost), key=lambda s: s.rank)
    yield TEMPLATE.effect(
        subject=file.path, path=file.path, line=1, side=Side.BASE, before=f"{len(lost)} resources: {names}", severity=severity.step(-1) if severity is CRITICAL else severity,
        confidence=Confidence.LIKELY, hazard=Hazard.DATA_DESTROYED if data else Hazard.RESOURCE_DESTROYED,
        message=f"The template is removed with {len(lost)} resources ({names}{' and more' if len(lost) > _LIST else ''}): where a pipeline deletes stacks without a template, all of them go.",
        facts=(("template", file.path), ("action", "delete")),
    )  # fmt: skip


# Replaced -----------------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _table() -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    out = {}
    for line in packaged("checks.data").joinpath("cfn_replacement.txt").read_text().splitlines()[1:]:
        kind, certain, maybe = [*line.split(" "), "", ""][:3]
        out[kind] = (tuple(filter(None, certain.split(","))), tuple(filter(None, maybe.split(","))))
    return out


_CALM = frozenset(
    {
        "AWS::RDS::DBInstance.AutoMinorVersionUpgrade", "AWS::RDS::DBInstance.BackupRetentionPeriod", "AWS::RDS::DBInstance.PreferredMaintenanceWindow", "AWS::RDS::DBInstance.MultiAZ",
        "AWS::RDS::DBInstance.DBParameterGroupName", "AWS::RDS::DBInstance.StorageType", "AWS::EC2::Instance.InstanceType",
    }
)  # fmt: skip
"""Marked "maybe" in the registry though the documented update is an interruption, never a new resource."""
_SAM = {
    "AWS::Serverless::Function": (("FunctionName", "PackageType"), ()),
    "AWS::Serverless::SimpleTable": (("TableName", "PrimaryKey"), ()),
    "AWS::Serverless::StateMachine": (("Name", "Type"), ()),
}
"""SAM's own types, by the resource they become."""


def _replaced(pair: _Pair, old: Resource, new: Resource) -> Iterator[Effect]:
    certain, maybe = _table().get(new.type) or _SAM.get(new.type) or ((), ())
    if new.type in _DISPOSABLE:
        return
    changed: list[tuple[str, Confidence]] = []
    for path, conditional in (*((path, False) for path in certain), *((path, True) for path in maybe)):
        if f"{new.type}.{path}" in _CALM or (conditional and new.type not in _stateful()):
            continue
        verdict = _differs(pair, old, new, path)
        if verdict is not None:
            changed.append((path, Confidence.POSSIBLE if conditional and verdict is Confidence.CERTAIN else verdict))
    if not changed:
        return
    changed.sort(key=lambda row: -row[1].rank)
    name, confidence = changed[0]
    data = new.type in _stateful()
    severity, reversible, hazard = _loss(old)
    if not data:
        severity = severity.step(-1)
    policy = _effective_replacement(new)
    if policy == "Retain":
        severity, reversible, hazard = LOW, Reversible.PARTLY, Hazard.RESOURCE_REPLACED
    elif policy == "Snapshot" or (data and confidence is not Confidence.CERTAIN):
        severity = severity.step(-1)
    kept = " (the old one is retained)" if policy == "Retain" else " with its data" if data else ""
    may = "is" if confidence is Confidence.CERTAIN else "may be"
    yield REPLACED.effect(
        subject=new.id, path=pair.path, line=_line(new, name), severity=severity, reversible=reversible, confidence=confidence,
        hazard=hazard if data and policy != "Retain" else Hazard.RESOURCE_REPLACED,
        before=_shown(old, name), after=_shown(new, name),
        message=f"{new.id} ({new.type}) {may} replaced because {', '.join(n for n, _ in changed[:3])} changes: a new one is created and the old one deleted{kept}.",
        keeps="UpdateReplacePolicy: Retain" if data else None, facts=_facts(pair.path, new, "replace"),
    )  # fmt: skip


def _differs(pair: _Pair, old: Resource, new: Resource, path: str) -> Confidence | None:
    keys = path.split(".")
    if old.get(keys[0]) is None and new.get(keys[0]) is None:
        return None
    before, sure = _values(pair.base, old.properties, keys)
    after, now_sure = _values(pair.head, new.properties, keys)
    if before == after:
        return None
    if {before, after} <= {(), ("false",)} or {before, after} <= {(), (None,), ("false",)}:
        return None
    return Confidence.CERTAIN if sure and now_sure else Confidence.POSSIBLE


def _values(template_: Template, node: Node, keys: list[str]) -> tuple[tuple[object, ...], bool]:
    """The values at a path, lists crossed, with whether all are literal."""
    current = [node]
    for key in keys:
        current = [value for item in current for element in _crossed(item) if (value := element.get(key)) is not None]
    found = [meaning(template_, item) for item in current]
    return tuple(value for value, _ in found if value is not None), all(sure for _, sure in found)


def _crossed(node: Node) -> tuple[Node, ...]:
    return node.items if node.items is not None and call(node) is None else (node,)


def _shown(resource: Resource, path: str) -> str | None:
    node = resource.get(*path.split("."))
    if node is None:
        return f"no {path}"
    return f"{path}: {spell(node)[0] if node.is_scalar or call(node) else '…'}"


def _line(resource: Resource, path: str) -> int:
    node = resource.get(*path.split("."))
    return node.line if node is not None and node.line else resource.line


def _typed(pair: _Pair, old: Resource, new: Resource) -> Iterator[Effect]:
    if {old.type, new.type} == {"AWS::Serverless::SimpleTable", "AWS::DynamoDB::Table"}:
        return
    severity, reversible, hazard = _loss(old)
    if effective_deletion(old) == "Retain":
        severity = LOW
    yield TYPE.effect(
        subject=new.id, path=pair.path, line=new.line, before=old.type, after=new.type, severity=max(severity, MODERATE, key=lambda s: s.rank),
        reversible=reversible, hazard=hazard if old.type in _stateful() else Hazard.RESOURCE_REPLACED,
        message=f"{new.id} becomes a {new.type}: CloudFormation deletes the {old.type} it was, or the update fails.",
        facts=_facts(pair.path, new, "replace"), keeps=None,
    )  # fmt: skip


# Guards -------------------------------------------------------------------------------------------------------------------------------


def _retention(pair: _Pair, old: Resource, new: Resource) -> Iterator[Effect]:
    data = new.type in _stateful()
    for name, before, after in (
        ("DeletionPolicy", effective_deletion(old), effective_deletion(new)),
        ("UpdateReplacePolicy", _effective_replacement(old), _effective_replacement(new)),
    ):
        if before in ("Retain", "RetainExceptOnCreate", "Snapshot") and after == "Delete":
            yield RETENTION.effect(
                subject=f"{new.id}.{name}", path=pair.path, line=new.line, before=before, after=after, severity=HIGH if data else LOW,
                message=f"{new.id} ({new.type}) is no longer kept when it is {'removed' if name == 'DeletionPolicy' else 'replaced'}: {name} goes from {before} to {after}.",
                keeps=f"{name}: {before}", facts=_facts(pair.path, new, "delete"),
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Guard:
    """A property that guards data: by default absent, it is on when it has one of these values (or a number, the more the better)."""

    path: str
    on: str = "true"
    default: bool = False
    what: str = "deletion protection"
    severity: Severity = HIGH
    types: tuple[str, ...] = ()


_GUARDS = (
    _Guard("DeletionProtection", types=("AWS::RDS::", "AWS::DocDB::", "AWS::Neptune::", "AWS::QLDB::", "AWS::EKS::")),
    _Guard("DeletionProtectionEnabled"),
    _Guard("DeletionProtection", on="active", types=("AWS::Cognito::",)),
    _Guard("DisableApiTermination", types=("AWS::EC2::Instance",), what="termination protection"),
    _Guard("TerminationProtected", what="termination protection"),
    _Guard("PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", what="point-in-time recovery"),
    _Guard("VersioningConfiguration.Status", on="enabled", what="versioning"),
    _Guard("ObjectLockEnabled", what="object lock"),
    _Guard("StorageEncrypted", what="encryption"),
    _Guard("Encrypted", what="encryption"),
    _Guard("AtRestEncryptionEnabled", what="encryption"),
    _Guard("TransitEncryptionEnabled", what="encryption in transit"),
    _Guard("EncryptionAtRestOptions.Enabled", what="encryption"),
    _Guard("EnableKeyRotation", what="key rotation", severity=MODERATE),
    _Guard("EnableLogFileValidation", what="log validation", severity=MODERATE),
    _Guard("IsLogging", what="the audit trail"),
    _Guard("AutomaticFailoverEnabled", what="automatic failover", severity=MODERATE),
    _Guard("MultiAZ", what="the standby in another zone", severity=MODERATE, types=("AWS::RDS::",)),
)
_NUMBERS = (("BackupRetentionPeriod", 1, "backups"), ("SnapshotRetentionLimit", 0, "snapshots"), ("AutomaticBackupRetentionDays", 0, "backups"), ("PendingWindowInDays", 30, "the waiting time before deletion"), ("AutomatedSnapshotRetentionPeriod", 1, "snapshots"))  # fmt: skip
_PRESENT = (("BucketEncryption", "encryption"), ("SSESpecification", "encryption"), ("KmsMasterKeyId", "encryption"), ("BackupPolicy", "backups"), ("ReplicationConfiguration", "replication"), ("ObjectLockConfiguration", "object lock"), ("LoggingConfiguration", "access logging"))  # fmt: skip


def _guards(pair: _Pair, old: Resource, new: Resource) -> Iterator[Effect]:
    for guard in _GUARDS:
        if guard.types and not new.type.startswith(guard.types):
            continue
        keys = guard.path.split(".")
        if old.get(keys[0]) is None:
            continue
        before, after = plain(pair.base, old.get(*keys)), plain(pair.head, new.get(*keys))
        if before is not None and before.lower() == guard.on and (after is None or after.lower() != guard.on):
            unknown = after is None and new.get(*keys) is not None
            yield _unguarded(
                pair,
                new,
                guard.path,
                before,
                after or "absent",
                guard.what,
                guard.severity,
                Confidence.POSSIBLE if unknown else Confidence.CERTAIN,
            )
    for name, default, what in _NUMBERS:
        before_number, after_number = _number(pair.base, old, name), _number(pair.head, new, name)
        if before_number is not None and new.get(name) is not None and after_number is None:
            continue
        before_number = default if before_number is None and old.get(name) is None else before_number
        after_number = default if after_number is None else after_number
        if before_number is not None and after_number < before_number and (old.get(name) is not None or new.get(name) is not None):
            off = after_number == 0
            yield _unguarded(
                pair, new, name, str(before_number), str(after_number), what, HIGH if off else MODERATE, Confidence.CERTAIN, shorter=not off
            )
    for name, what in _PRESENT:
        if (
            new.type.startswith(("AWS::S3::", "AWS::DynamoDB::", "AWS::SQS::", "AWS::SNS::", "AWS::EFS::"))
            and old.get(name) is not None
            and new.get(name) is None
        ):
            yield _unguarded(pair, new, name, "set", "absent", what, MODERATE, Confidence.CERTAIN)


def _number(template_: Template, resource: Resource, name: str) -> int | None:
    text = plain(template_, resource.get(name))
    return int(text) if text is not None and text.isdigit() else None


def _unguarded(
    pair: _Pair, new: Resource, name: str, before: str, after: str, what: str, severity: Severity, sure: Confidence, shorter: bool = False
) -> Effect:
    verb = "gets shorter or fewer" if shorter else "is switched off"
    return GUARD.effect(
        subject=f"{new.id}.{name}", path=pair.path, line=_line(new, name), before=before, after=after, severity=severity, confidence=sure,
        message=f"{what[:1].upper()}{what[1:]} of {new.id} ({new.type}) {verb}: {name} goes from {before} to {after}.",
        facts=(("address", new.id), ("template", pair.path)),
    )  # fmt: skip


def _rollback(pair: _Pair, old: Resource, new: Resource) -> Iterator[Effect]:
    for keys, what in (
        (("DeploymentConfiguration", "DeploymentCircuitBreaker", "Rollback"), "the deployment circuit breaker's rollback"),
        (("DeploymentConfiguration", "DeploymentCircuitBreaker", "Enable"), "the deployment circuit breaker"),
        (("DeploymentConfiguration", "Alarms", "Rollback"), "the rollback by its alarms"),
        (("AutoRollbackConfiguration", "Enabled"), "automatic rollback"),
        (("DeploymentPreference", "Enabled"), "gradual deployment"),
    ):
        if (
            truth(pair.base, old.get(*keys))
            and truth(pair.head, new.get(*keys)) is not True
            and not (keys[0] == "DeploymentPreference" and new.get(*keys) is None and new.get(keys[0]) is not None)
        ):
            yield _unrolled(pair, new, ".".join(keys), what)
            return
    for names, what in (
        (("DeploymentPreference",), "gradual deployment"),
        (("DeploymentPreference", "Alarms"), "the alarms that roll a deployment back"),
    ):
        if _global(pair.base, old, names) is not None and _global(pair.head, new, names) is None:
            yield _unrolled(pair, new, ".".join(names), what)
            return
    if new.type == "AWS::Lambda::Alias":
        had, has = _weights(old), _weights(new)
        version, previous = new.get("FunctionVersion"), old.get("FunctionVersion")
        jumps = version is not None and not same(version, previous) and spell(version)[0] not in had
        if had and not has and jumps:
            yield ROLLBACK.effect(
                subject=f"{new.id}.RoutingConfig", path=pair.path, line=new.line, before=", ".join(sorted(had)), after="absent", severity=MODERATE,
                message=f"{new.id} ({new.type}) gives every request to the new version at once, as its traffic is no longer split.",
            )  # fmt: skip
            return
    before, after = (plain(t, _global(t, r, ("DeploymentPreference", "Type"))) for t, r in ((pair.base, old), (pair.head, new)))
    if before and after == "AllAtOnce" and before != "AllAtOnce":
        yield _unrolled(pair, new, "DeploymentPreference.Type", "gradual deployment")


def _weights(alias: Resource) -> frozenset[str]:
    """The versions that get a part of an alias's traffic."""
    listed = alias.get("RoutingConfig", "AdditionalVersionWeights")
    return frozenset(
        text
        for item in (listed.elements() if listed is not None else ())
        if (version := item.get("FunctionVersion"))
        for text in spell(version)
    )


def _global(template_: Template, resource: Resource, keys: tuple[str, ...]) -> Node | None:
    found = resource.get(*keys)
    if found is None and resource.type == "AWS::Serverless::Function" and template_.globals is not None:
        found = template_.globals.get("Function", *keys)
    return found


def _unrolled(pair: _Pair, new: Resource, name: str, what: str) -> Effect:
    return ROLLBACK.effect(
        subject=f"{new.id}.{name}", path=pair.path, line=new.line, before="on", after="off",
        message=f"{new.id} ({new.type}) loses {what}: a bad release stays until someone acts.",
    )  # fmt: skip


# Exposure -----------------------------------------------------------------------------------------------------------------------------

_OPEN = (
    ("PubliclyAccessible", "true", "a public address", CRITICAL, ()),
    ("Scheme", "internet-facing", "the internet", HIGH, ()),
    ("MapPublicIpOnLaunch", "true", "public addresses for its machines", MODERATE, ()),
    ("AssociatePublicIpAddress", "true", "a public address", HIGH, ()),
    ("ResourcesVpcConfig.EndpointPublicAccess", "true", "a public endpoint of the cluster", HIGH, ()),
    ("AuthType", "none", "requests without authorization", HIGH, ("AWS::Lambda::Url",)),
    ("AuthorizationType", "none", "requests without authorization", HIGH, ("AWS::ApiGateway::Method", "AWS::ApiGatewayV2::Route")),
    ("FunctionUrlConfig.AuthType", "none", "requests without authorization", HIGH, ("AWS::Serverless::Function",)),
    ("AccessControl", "publicread", "reading by anyone", CRITICAL, ("AWS::S3::Bucket",)),
    ("AccessControl", "publicreadwrite", "reading and writing by anyone", CRITICAL, ("AWS::S3::Bucket",)),
)
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_ADMIN = (22, 3389, 3306, 5432, 1433, 1521, 6379, 9200, 27017, 11211, 5439, 2379, 6443, 2375, 5985, 5986, 445, 23)


def _opened(pair: _Pair) -> Iterator[Effect]:
    for name, new in pair.head.resources.items():
        old = pair.base.resources.get(name)
        if old is not None and old.type != new.type:
            continue
        for path, value, what, severity, types in _OPEN:
            if (types and new.type not in types) or new.get(path.split(".")[0]) is None:
                continue
            after = plain(pair.head, new.get(*path.split(".")))
            if after is None or after.lower() != value:
                continue
            node = old.get(*path.split(".")) if old is not None else None
            before = plain(pair.base, node)
            if before is not None and before.lower() == value:
                continue
            if old is not None and value == "none" and node is None and new.type != "AWS::Serverless::Function":
                continue
            if old is not None and value == "internet-facing" and node is None:
                continue
            if new.type == "AWS::ApiGateway::Method" and plain(pair.head, new.get("HttpMethod")) == "OPTIONS":
                continue
            level = (
                severity
                if old is not None
                else LOW
                if value in ("internet-facing", "none") or path == "MapPublicIpOnLaunch"
                else severity.step(-1)
            )
            yield EXPOSED.effect(
                subject=f"{new.id}.{path}", path=pair.path, line=_line(new, path), before=before or ("absent" if old is not None else "no such resource"), after=after, severity=level,
                message=f"{new.id} ({new.type}) newly has {what}." if "address" in what or "endpoint" in what else f"{new.id} ({new.type}) is newly open to {what}.",
            )  # fmt: skip
        yield from _unblocked(pair, old, new)
        yield from _authorizers(pair, old, new)
    yield from _networks(pair)
    yield from _routed(pair)


def _routed(pair: _Pair) -> Iterator[Effect]:
    """A route straight to the internet in a table that stood before and had none."""

    def ways(template_: Template) -> dict[tuple[str, str], Resource]:
        return {
            (spell(table)[0], plain(template_, destination) or ""): resource
            for resource in template_.resources.values()
            if resource.type == "AWS::EC2::Route" and resource.get("GatewayId") is not None and (table := resource.get("RouteTableId"))
            and (destination := resource.get("DestinationCidrBlock") or resource.get("DestinationIpv6CidrBlock"))
        }  # fmt: skip

    before = ways(pair.base)
    for (table, destination), resource in ways(pair.head).items():
        root = table.strip("${}").partition(".")[0]
        if (table, destination) not in before and _public(destination) and pair.base.resources.get(root) is not None:
            yield EXPOSED.effect(
                subject=resource.id, path=pair.path, line=resource.line, after=f"{destination} by {spell(resource.get('GatewayId') or resource.node)[0]}", severity=MODERATE,
                confidence=Confidence.LIKELY, message=f"What stands behind {root} newly has a route straight to the internet and back.",
            )  # fmt: skip


def _unblocked(pair: _Pair, old: Resource | None, new: Resource) -> Iterator[Effect]:
    if old is None or old.get("PublicAccessBlockConfiguration") is None:
        return
    lost = [
        name for name in _BLOCKS
        if truth(pair.base, old.get("PublicAccessBlockConfiguration", name)) and truth(pair.head, new.get("PublicAccessBlockConfiguration", name)) is not True
        and (new.get("PublicAccessBlockConfiguration", name) is None or truth(pair.head, new.get("PublicAccessBlockConfiguration", name)) is False)
    ]  # fmt: skip
    if lost:
        yield EXPOSED.effect(
            subject=f"{new.id}.PublicAccessBlockConfiguration", path=pair.path, line=_line(new, "PublicAccessBlockConfiguration"), before="true", after="off: " + ", ".join(lost), severity=HIGH,
            message=f"{new.id} ({new.type}) no longer refuses public access ({', '.join(lost)}).",
        )  # fmt: skip


def _authorizers(pair: _Pair, old: Resource | None, new: Resource) -> Iterator[Effect]:
    """An authorizer taken away from a method, route, API or function event."""
    if old is None:
        return
    for keys in (("AuthorizerId",), ("Auth", "DefaultAuthorizer"), ("Auth", "ApiKeyRequired")):
        if old.get(*keys) is not None and new.get(*keys) is None and not same(old.get(keys[0]), new.get(keys[0])):
            yield _unauthorized(pair, new, ".".join(keys), _line(new, keys[0]))
    events, now = old.get("Events"), new.get("Events")
    if events is None or now is None:
        return
    for name, event in events.entries():
        authorizer = event.get("Properties", "Auth", "Authorizer")
        after = now.get(name, "Properties", "Auth", "Authorizer")
        if authorizer is not None and authorizer.text != "NONE" and now.get(name) is not None:
            explicit = after is not None and after.text == "NONE"
            bare = after is None and not _default_authorizer(pair.head)
            if explicit or bare:
                yield _unauthorized(pair, new, f"Events.{name}.Auth", now.get(name).line)  # type: ignore[union-attr]


def _default_authorizer(template_: Template) -> bool:
    everywhere = template_.globals is not None and any(
        template_.globals.get(kind, "Auth", "DefaultAuthorizer") for kind in ("Api", "HttpApi")
    )
    return everywhere or any(resource.get("Auth", "DefaultAuthorizer") is not None for resource in template_.resources.values())


def _unauthorized(pair: _Pair, new: Resource, name: str, line: int) -> Effect:
    return EXPOSED.effect(
        subject=f"{new.id}.{name}", path=pair.path, line=line, before="an authorizer", after="none", severity=HIGH,
        message=f"{new.id} ({new.type}) answers requests without asking who sends them: its authorizer is gone.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _RuleOf:
    """One rule of a security group, as ranges."""

    outward: bool
    protocol: str
    low: int
    high: int
    source: str
    line: int

    def covers(self, other: _RuleOf) -> bool:
        return (
            self.outward == other.outward
            and self.protocol in ("-1", other.protocol)
            and (self.protocol == "-1" or (self.low <= other.low and other.high <= self.high))
            and _within(other.source, self.source)
        )


def _within(narrow: str, wide: str) -> bool:
    if narrow == wide:
        return True
    try:
        one, other = ipaddress.ip_network(narrow, strict=False), ipaddress.ip_network(wide, strict=False)
    except ValueError:
        return False
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def _networks(pair: _Pair) -> Iterator[Effect]:
    before, after = _groups(pair.base), _groups(pair.head)
    for name, rules in after.items():
        old = before.get(name)
        limited = old is not None and any(rule.outward for rule in old)
        new = [rule for rule in rules if not any(other.covers(rule) for other in old or ()) and (not rule.outward or limited)]
        if not new:
            continue
        graded = sorted(((_openness(rule, old is None), rule) for rule in new), key=lambda pair_: -pair_[0].rank)
        severity, worst = graded[0]
        if old is None and severity is LOW and not _public(worst.source):
            continue
        ports = _ports(worst)
        yield EXPOSED.effect(
            subject=name, path=pair.path, line=worst.line, after=f"{ports} {'to' if worst.outward else 'from'} {worst.source}", severity=severity,
            confidence=Confidence.POSSIBLE if "${" in worst.source else Confidence.CERTAIN,
            message=f"{name} newly lets {ports} {'out to' if worst.outward else 'in from'} {worst.source}{f' and {len(new) - 1} more' if len(new) > 1 else ''}.",
        )  # fmt: skip


def _public(source: str) -> bool:
    return source in ("0.0.0.0/0", "::/0")


def _ports(rule: _RuleOf) -> str:
    if rule.protocol == "-1" or (rule.low <= 0 and rule.high >= 65535):
        return "every port"
    return f"{rule.protocol} {rule.low}" if rule.low == rule.high else f"{rule.protocol} {rule.low}-{rule.high}"


def _openness(rule: _RuleOf, fresh: bool) -> Severity:
    wide = _public(rule.source)
    if rule.outward:
        return LOW
    if wide:
        admin = rule.protocol == "-1" or any(rule.low <= port <= rule.high for port in _ADMIN)
        if admin:
            return HIGH if fresh else CRITICAL
        return LOW if fresh and rule.low == rule.high and rule.low in (80, 443) else MODERATE if fresh else HIGH
    try:
        network = ipaddress.ip_network(rule.source, strict=False)
    except ValueError:
        return LOW
    return MODERATE if not network.is_private and network.num_addresses > 256 else LOW


def _groups(template_: Template) -> dict[str, list[_RuleOf]]:
    """Rules by the group they stand in (or belong to by reference)."""
    out: dict[str, list[_RuleOf]] = {}
    for resource in template_.resources.values():
        if resource.type == "AWS::EC2::SecurityGroup":
            rules = out.setdefault(resource.id, [])
            for name, outward in (("SecurityGroupIngress", False), ("SecurityGroupEgress", True)):
                node = resource.get(name)
                if node is not None and call(node) is None:
                    rules.extend(_rule(template_, item, outward) for item in node.elements() if item.is_map and call(item) is None)
        elif resource.type in ("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"):
            group = resource.get("GroupId") or resource.get("GroupName")
            owner = spell(group)[0].strip("${}").removesuffix(".GroupId") if group is not None else resource.id
            out.setdefault(owner, []).append(_rule(template_, resource.properties, resource.type.endswith("Egress")))
    return out


def _rule(template_: Template, node: Node, outward: bool) -> _RuleOf:
    protocol = plain(template_, node.get("IpProtocol")) or "-1"
    low, high = (plain(template_, node.get(name)) for name in ("FromPort", "ToPort"))
    source = "unknown"
    for name in (
        "CidrIp",
        "CidrIpv6",
        "SourceSecurityGroupId",
        "DestinationSecurityGroupId",
        "SourcePrefixListId",
        "DestinationPrefixListId",
        "SourceSecurityGroupName",
    ):
        value = node.get(name)
        if value is not None:
            source = plain(template_, value) or spell(value)[0]
            break
    return _RuleOf(outward, "-1" if protocol == "all" else protocol, _port(low, 0), _port(high, 65535), source, node.line)


def _port(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.lstrip("-").isdigit() else default


DETECTOR = Detector(
    name="cloudformation",
    title="CloudFormation and SAM templates",
    rules=(DESTROYED, TEMPLATE, RENAMED, REPLACED, TYPE, RETENTION, GUARD, ROLLBACK, EXPOSED, KEPT),
    detect=detect,
    sure=re.compile(rb"AWSTemplateFormatVersion|\bAWS::"),
)
