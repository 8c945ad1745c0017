"""Access in CloudFormation and SAM templates: what roles, users and resource policies newly allow, and to whom.

## What it detects

Policies written in templates, compared as sets of permissions: inline and managed policies of a role, user or group taken together (so that a
statement moved between two policies of one role is nothing new), trust policies, policies of buckets, queues, topics, keys and other
resources, Lambda permissions, SAM's `Policies`. Also newly attached managed policies, permissions boundaries that are gone, access keys and
login profiles, and memberships and assignments that are added.

## Why it matters

A stack update with `CAPABILITY_IAM` changes what every workload of the stack may do, at once and without a question. A wildcard added for
a failing deployment stays for years.

## Example

```yaml
             - Effect: Allow
-              Action: cloudformation:DescribeStacks
+              Action: cloudformation:*
               Resource: "*"
```

## What makes it safe

A permissions boundary or service control policy around the role, and a resource or condition that bounds the statement.

## What it cannot see

Values given at deployment: a reference is one unknown text, equal only to itself. Policies imported from elsewhere, macros, and what other
policies of the account allow or deny.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from checks.access.aws import ANYONE, Condition, Principal, Statement, compare, principal
from checks.access.aws_grades import Kind, Setting, grade, managed
from checks.access.aws_policy import call, canonical, is_policy, policy, spell, texts
from checks.access.aws_rules import effects, rules_for, within
from checks.detectors.base import Detector, Rule
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.cloudformation import Resource, Template, possible, spelled, template
from checks.readers.documents import Node

GRADED = rules_for("cloudformation-access")
ATTACHED = Rule(
    "cloudformation-access/policy-attached",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A managed policy is newly attached",
    question=Question.ALONE,
)
BOUNDARY = Rule(
    "cloudformation-access/boundary-removed",
    Hazard.PRIVILEGE_WIDENED,
    Severity.CRITICAL,
    Reversible.PARTLY,
    "A permissions boundary is gone",
    question=Question.ALONE,
)
KEY = Rule(
    "cloudformation-access/key-created",
    Hazard.PRIVILEGE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A long-lived key or password is created",
)
MEMBER = Rule(
    "cloudformation-access/member-added",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "Someone is added to a group or assigned to an account",
)


@dataclass(slots=True)
class _Subject:
    """Someone who holds permissions, or a resource with a policy."""

    id: str
    setting: Setting
    line: int
    statements: list[Statement] = field(default_factory=list)
    attached: dict[str, int] = field(default_factory=dict)
    """Managed policy → line."""
    boundary: str | None = None
    owned: bool = False
    """Its own resource stands in the template."""
    type: str = ""


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    for file in files:
        if place_of(file.path) is Place.DEPLOYED:
            yield from _one(change, file)


def _one(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = change.base_bytes(file), change.head_bytes(file)
    try:
        head = template(new, file.path) if new is not None else None
        base = template(old, file.base_path) if old is not None else None
    except Unreadable:
        return  # said by the detector of templates
    if head is None:
        return
    before, after = _subjects(base) if base is not None else {}, _subjects(head)
    renamed = _renames(before, after)
    for key, subject in after.items():
        was = before.get(renamed.get(key, key))
        found = _compared(file.path, was, subject)
        kept = subject.boundary is not None and (was is None or was.boundary == subject.boundary)
        yield from within(str(subject.boundary), found) if kept else found
    yield from _keys(file.path, base, head)


def _renames(before: dict[str, _Subject], after: dict[str, _Subject]) -> dict[str, str]:
    """New subjects that hold nothing a vanished one of the same kind did not: the same under another logical id."""
    out: dict[str, str] = {}
    gone = [key for key in before if key not in after]
    for key, subject in after.items():
        if key in before or not gone:
            continue
        for other in gone:
            old = before[other]
            alike = old.setting is subject.setting and old.type == subject.type and not (subject.attached.keys() - old.attached.keys())
            if alike and not compare(old.statements, subject.statements).widened:
                out[key] = other
                gone.remove(other)
                break
    return out


def _compared(path: str, old: _Subject | None, new: _Subject) -> Iterator[Effect]:
    fresh = old is None
    verdicts = grade(None if old is None else old.statements, new.statements, new.setting)
    yield from effects(GRADED, verdicts, new.id, path, new.line)
    said = bool(verdicts)
    for arn, line in new.attached.items():
        if old is not None and arn in old.attached:
            continue
        name, severity, what = managed(arn)
        if (
            fresh
            and (said or severity is Severity.LOW)
            and severity.rank < Severity.HIGH.rank
            and "${" not in arn
            and "service-role" in arn
        ):
            continue
        kind = GRADED[Kind.ADMIN] if severity is Severity.CRITICAL else ATTACHED
        yield kind.effect(
            subject=new.id, path=path, line=line, after=name, severity=severity, confidence=Confidence.LIKELY if "${" in arn else Confidence.CERTAIN,
            message=f"{new.id} newly holds the managed policy {name}: {what}.",
        )  # fmt: skip
    if old is not None and old.boundary and not new.boundary and new.owned:
        yield BOUNDARY.effect(
            subject=new.id, path=path, line=new.line, before=old.boundary, after="none",
            message=f"{new.id} loses its permissions boundary: nothing limits what its policies allow, nor what it may create.",
        )  # fmt: skip


# Gathering ----------------------------------------------------------------------------------------------------------------------------

_HOLDERS = {"AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName", "AWS::IAM::Group": "GroupName", "AWS::SSO::PermissionSet": "Name"}
_ATTACHABLE = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")
_LIMITS = ("AWS::EC2::VPCEndpoint", "AWS::Organizations::Policy")


def _subjects(template_: Template) -> dict[str, _Subject]:
    out: dict[str, _Subject] = {}
    names: dict[str, str] = {}
    for resource in template_.resources.values():
        if not possible(template_, resource.condition):
            continue
        if resource.type in _HOLDERS:
            subject = _Subject(resource.id, Setting.IDENTITY, resource.line, owned=True, type=resource.type)
            out[resource.id] = subject
            names["${" + resource.id + "}"] = resource.id
            for name in texts(resource.get(_HOLDERS[resource.type])):
                names[name] = resource.id
            boundary = texts(resource.get("PermissionsBoundary"))
            subject.boundary = boundary[0] if boundary else None
    for resource in template_.resources.values():
        if possible(template_, resource.condition):
            _gather(template_, resource, out, names)
    for subject in list(out.values()):
        for arn in list(subject.attached):
            inside = template_.resources.get(re.sub(r"\A\$\{|\}\Z|\.Arn\Z", "", arn).removesuffix(".PolicyArn"))
            if inside is not None and inside.type == "AWS::IAM::ManagedPolicy":
                # A policy of the same template: its statements count as the holder's own.
                del subject.attached[arn]
                subject.statements.extend(policy(inside.get("PolicyDocument")) or ())
                out.pop(inside.id, None)
        subject.statements = [
            replace(s, resources=tuple(spelled(template_, text) for text in s.resources))
            if any("${" in text for text in s.resources)
            else s
            for s in subject.statements
        ]
    return out


def _gather(template_: Template, resource: Resource, out: dict[str, _Subject], names: dict[str, str]) -> None:
    if resource.type in _HOLDERS:
        _holder(resource, out)
    elif resource.type in _ATTACHABLE:
        owners = [
            names[text]
            for key in ("Roles", "Users", "Groups", "RoleName", "UserName", "GroupName")
            for text in texts(resource.get(key))
            if text in names
        ]
        statements = policy(resource.get("PolicyDocument")) or ()
        for owner in dict.fromkeys(owners):
            out[owner].statements.extend(statements)
        if not owners:
            out[resource.id] = _Subject(resource.id, Setting.IDENTITY, resource.line, list(statements), type=resource.type)
    elif resource.type == "AWS::Lambda::Permission":
        _permission(resource, out)
    elif resource.type == "AWS::Serverless::Function":
        _function(template_, resource, out)
    else:
        for name, value in resource.properties.entries():
            if is_policy(value):
                _resource_policy(resource, name, value, out)


def _holder(resource: Resource, out: dict[str, _Subject]) -> None:
    subject = out[resource.id]
    for item in _each(resource.get("Policies")):
        subject.statements.extend(policy(item.get("PolicyDocument")) or ())
    subject.statements.extend(policy(resource.get("InlinePolicy")) or ())
    for key in ("ManagedPolicyArns", "ManagedPolicies"):
        node = resource.get(key)
        if node is not None:
            subject.attached.update(dict.fromkeys(texts(node), node.line))
    trust = policy(resource.get("AssumeRolePolicyDocument"))
    if trust:
        out[resource.id + " (trust)"] = _Subject(resource.id, Setting.TRUST, resource.line, list(trust), type=resource.type)


def _each(node: Node | None) -> Iterator[Node]:
    """The maps of a list, those under `Fn::If` too."""
    stack = [node] if node is not None else []
    while stack:
        item = stack.pop()
        found = call(item)
        if found is not None:
            if found[0] == "Fn::If" and found[1].items is not None:
                stack.extend(reversed(found[1].items[1:]))
        elif item.items is not None:
            stack.extend(reversed(item.items))
        elif item.is_map:
            yield item


def _resource_policy(resource: Resource, name: str, value: Node, out: dict[str, _Subject]) -> None:
    statements = policy(value) or ()
    if resource.type.startswith(_LIMITS):
        setting = Setting.LIMIT
    elif name == "AssumeRolePolicyDocument":
        setting = Setting.TRUST
    elif any(statement.principals for statement in statements):
        setting = Setting.RESOURCE
    else:
        setting = Setting.IDENTITY
    out[f"{resource.id} {name}"] = _Subject(resource.id, setting, value.line or resource.line, list(statements), type=resource.type)


def _permission(resource: Resource, out: dict[str, _Subject]) -> None:
    """A Lambda permission as the statement it adds to its function's policy."""
    function = (texts(resource.get("FunctionName")) or [resource.id])[0].strip("${}").removesuffix(".Arn")
    conditions = set()
    for key, name in (
        ("SourceArn", "aws:SourceArn"),
        ("SourceAccount", "aws:SourceAccount"),
        ("PrincipalOrgID", "aws:PrincipalOrgID"),
        ("FunctionUrlAuthType", "lambda:FunctionUrlAuthType"),
    ):
        values = texts(resource.get(key))
        if values:
            conditions.add(Condition("ArnLike" if key == "SourceArn" else "StringEquals", name, frozenset(values)))
    key = f"{function} (permissions)"
    subject = out.setdefault(key, _Subject(function, Setting.RESOURCE, resource.line, type=resource.type))
    for name in texts(resource.get("Principal")):
        who: Principal = ANYONE if name == "*" else principal("Service" if "." in name and not name.startswith("arn:") else "AWS", name)
        actions = tuple(texts(resource.get("Action"))) or ("lambda:InvokeFunction",)
        subject.statements.append(Statement(True, actions, ("*",), (who,), frozenset(conditions), line=resource.line))


_SAM_READ = re.compile(r"Read|Describe|Poll|Subscribe|Rekognition|Comprehend|Polly|List|Get")


def _function(template_: Template, resource: Resource, out: dict[str, _Subject]) -> None:
    """A SAM function: its policies make a role of its own, unless it has one."""
    subject = out.setdefault(resource.id, _Subject(resource.id, Setting.IDENTITY, resource.line, owned=True, type=resource.type))
    policies = resource.get("Policies")
    for item in _items(policies):
        found = call(item)
        if found is None and item.is_map and is_policy(item):
            subject.statements.extend(policy(item) or ())
        elif found is None and item.is_map and len(item.keys()) == 1:
            name = item.keys()[0]
            if name == "Statement":
                subject.statements.extend(policy(item) or ())
            else:
                # One of SAM's policy templates: its name and arguments say what it opens.
                subject.statements.append(
                    Statement(True, (f"sam:{'read' if _SAM_READ.search(name) else 'use'}-{name}",), (_arguments(item),), line=item.line)
                )
        elif found is None and item.is_map and item.get("Effect") is not None:
            subject.statements.extend(policy(Node(line=item.line, pairs=((Node(line=item.line, text="Statement"), item),))) or ())
        else:
            subject.attached.update(dict.fromkeys(spell(item), item.line))
    boundary = texts(resource.get("PermissionsBoundary")) or (
        texts(template_.globals.get("Function", "PermissionsBoundary")) if template_.globals is not None else []
    )
    subject.boundary = boundary[0] if boundary else None
    trust = policy(resource.get("AssumeRolePolicyDocument"))
    if trust:
        out[resource.id + " (trust)"] = _Subject(resource.id, Setting.TRUST, resource.line, list(trust), type=resource.type)


def _items(node: Node | None) -> Iterator[Node]:
    if node is None:
        return
    found = call(node)
    if found is not None and found[0] == "Fn::If" and found[1].items is not None:
        for branch in found[1].items[1:]:
            yield from _items(branch)
    elif found is None and node.items is not None:
        for item in node.items:
            yield from _items(item)
    elif not (node.is_scalar and node.value is None):
        yield node


def _arguments(item: Node) -> str:
    assert item.pairs is not None
    values = item.pairs[0][1]
    return ",".join(text for _, value in values.entries() for text in texts(value)) or canonical(values)


# Keys and members ---------------------------------------------------------------------------------------------------------------------


def _keys(path: str, base: Template | None, head: Template) -> Iterator[Effect]:
    for name, resource in head.resources.items():
        old = base.resources.get(name) if base is not None else None
        if resource.type == "AWS::IAM::AccessKey" and old is None:
            user = (texts(resource.get("UserName")) or ["a user"])[0]
            yield KEY.effect(subject=name, path=path, line=resource.line, message=f"A long-lived access key is created for {user}.")
        elif (
            resource.type == "AWS::IAM::User"
            and resource.get("LoginProfile") is not None
            and (old is None or old.get("LoginProfile") is None)
        ):
            yield KEY.effect(subject=name, path=path, line=resource.line, message=f"{name} gets a password for the console.")
        elif resource.type in ("AWS::IAM::UserToGroupAddition", "AWS::SSO::Assignment"):
            keys = ("Users", "GroupName") if resource.type.endswith("Addition") else ("PrincipalId", "TargetId", "PermissionSetArn")
            before = {(key, text) for key in keys for text in texts(old.get(key))} if old is not None else set()
            new = [text for key in keys for text in texts(resource.get(key)) if (key, text) not in before]
            if new:
                yield MEMBER.effect(
                    subject=name,
                    path=path,
                    line=resource.line,
                    after=", ".join(new[:4]),
                    message=f"{name} newly puts {', '.join(new[:4])} together: whoever is in it gets its permissions.",
                )


DETECTOR = Detector(
    name="cloudformation-access",
    title="Access in CloudFormation and SAM templates",
    rules=(*GRADED.values(), ATTACHED, BOUNDARY, KEY, MEMBER),
    detect=detect,
)
