"""Access that Pulumi programs grant: AWS policies written in the program, managed policies, and roles of Google Cloud and Azure.

## What it detects
Policies in TypeScript, JavaScript and Python programs, however they are handed over: as a map, through `JSON.stringify` or `json.dumps`, inside
`apply`, as a text, or as `getPolicyDocument`. What they newly allow is computed as for any other AWS policy: actions, resources, principals,
conditions and prohibitions, and the ways to more that become whole. Managed policies newly attached, and roles of Google Cloud and Azure newly
granted. A policy that moves between files of the same change is the same policy.

## Why it matters
A line in a program gives a role the same power as a line in a policy file, and no reader of policies looks into programs.

## Example
```typescript
 new aws.iam.RolePolicy("worker", { role: role.id, policy: JSON.stringify({
   Version: "2012-10-17",
-  Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::orders/*" }],
+  Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }],
 }) });
```

## What makes it safe
A permissions boundary, conditions, resources that are named; a preview made for this head by trusted CI.

## What it cannot see
Policies built in steps or by functions of the program, names that are computed, component packages, and which stack uses which part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from checks.access.aws import Statement
from checks.access.aws_grades import Kind, Setting, grade, managed
from checks.access.aws_policy import policy
from checks.access.aws_rules import effects, rules_for
from checks.access.clouds import azure_role, google_role
from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.calls import Value, below, program, walk
from checks.readers.documents import Node
from checks.readers.pulumi import is_program

GRADED = rules_for(
    "pulumi-access", (Kind.ADMIN, Kind.ESCALATION, Kind.SECRETS, Kind.ACCESS, Kind.CONDITION, Kind.PUBLIC, Kind.PRINCIPAL, Kind.FEDERATION, Kind.DENY)
)  # fmt: skip
ATTACHED = Rule(
    "pulumi-access/policy-attached", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "A managed policy is newly attached",
    question=Question.ALONE, confidence=Confidence.LIKELY,
)  # fmt: skip
GRANTED = Rule(
    "pulumi-access/role-granted", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "A role of Google Cloud or Azure is newly granted",
    question=Question.ALONE, confidence=Confidence.LIKELY,
)  # fmt: skip

_DOCUMENTS = ("policy", "assumeRolePolicy", "assume_role_policy", "inlinePolicy", "inline_policy", "resourcePolicy", "resource_policy")
"""Arguments that hold a policy document (pulumi.com/registry/packages/aws)."""
_ARNS = ("policyArn", "policy_arn", "managedPolicyArns", "managed_policy_arns", "managedPolicyArn", "managed_policy_arn")
_SPEAKS = re.compile(rb"[pP]olic|I[aA][mM](?:Member|Binding)|RoleAssignment")
"""A program without one of these grants nothing that is looked for here."""
_DEPTH = 40


@dataclass(slots=True)
class _Holder:
    """One resource of a program, with what its policies say and what is attached to it."""

    name: str
    path: str
    line: int
    statements: dict[Setting, list[Statement]] = field(default_factory=dict)
    attached: dict[str, int] = field(default_factory=dict)
    granted: dict[tuple[str, str], tuple[int, Severity]] = field(default_factory=dict)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    before: dict[tuple[str, str], _Holder] = {}
    after: dict[tuple[str, str], _Holder] = {}
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED:
            continue
        try:
            _read(change.base_bytes(file), file.base_path, before)
        except Unreadable:
            continue
        try:
            _read(change.head_bytes(file), file.path, after)
        except Unreadable as unreadable:
            yield not_analysed(file.path, f"it is a Pulumi program, but {unreadable.why}", unreadable.line)
    gone = [holder for key, holder in before.items() if key not in after]
    for key, holder in after.items():
        old = before.get(key) or next((one for one in gone if _holds(one, holder)), None)
        yield from _compared(old, holder)


def _holds(old: _Holder, new: _Holder) -> bool:
    """Whether a resource that is gone held all that a new one holds: it has another name now."""
    return (
        not new.attached.keys() - old.attached.keys()
        and not new.granted.keys() - old.granted.keys()
        and all(not grade(old.statements.get(setting, ()), found, setting) for setting, found in new.statements.items())
    )


def _compared(old: _Holder | None, new: _Holder) -> Iterator[Effect]:
    for setting, found in new.statements.items():
        verdicts = [v for v in grade(None if old is None else old.statements.get(setting, ()), found, setting) if v.kind in GRADED]
        yield from effects(GRADED, verdicts, new.name, new.path, new.line, Confidence.LIKELY)
    for arn, line in new.attached.items():
        name, severity, what = managed(arn)
        if (old is None or arn not in old.attached) and not (severity is Severity.LOW and old is None):
            rule = GRADED[Kind.ADMIN] if severity is Severity.CRITICAL else ATTACHED
            yield rule.effect(
                subject=new.name, path=new.path, line=line, after=name, severity=severity, confidence=Confidence.LIKELY,
                message=f"{new.name} newly holds the managed policy {name}: {what}.",
            )  # fmt: skip
    for (role, who), (line, severity) in new.granted.items():
        if old is None or (role, who) not in old.granted:
            yield GRANTED.effect(
                subject=new.name, path=new.path, line=line, after=f"{role} to {who}", severity=severity,
                message=f"{new.name} newly grants {role} to {who}.",
            )  # fmt: skip


# Reading.


def _read(data: bytes | None, path: str, into: dict[tuple[str, str], _Holder]) -> None:
    if data is None or not is_program(data) or not _SPEAKS.search(data):
        return
    for value in walk(program(data, path)):
        for call in value.chain if value.kind == "call" else ():
            if call.kind == "call" and call.text[:1].isupper() and call.string(0):
                _resource(call, path, into)


def _resource(call: Value, path: str, into: dict[tuple[str, str], _Holder]) -> None:
    holder = _Holder(f"{call.text} {call.string(0)}", path, call.line)
    for name in _DOCUMENTS:
        given = call.option(name)
        found = _statements(given, 0) if given is not None else None
        if found:
            people = any(s.principals for s in found)
            setting = Setting.TRUST if name.lower().startswith("assume") else Setting.RESOURCE if people else Setting.IDENTITY
            holder.statements.setdefault(setting, []).extend(found)
    for name in _ARNS:
        given = call.option(name)
        for text in _texts(given) if given is not None else ():
            if text.startswith("arn:"):
                holder.attached[text] = call.line
    _roles(call, holder)
    if holder.statements or holder.attached or holder.granted:
        into.setdefault((call.text, call.string(0)), holder)


def _roles(call: Value, holder: _Holder) -> None:
    if re.search(r"IAM(Member|Binding)\Z|IamMember\Z|IamBinding\Z", call.text):
        role, given = call.option("role"), call.option("member", "members")
        for who in _texts(given) if role is not None and role.kind == "text" and given is not None else ():
            severity = google_role(role.text) if role is not None else Severity.LOW
            if who in ("allUsers", "allAuthenticatedUsers"):
                severity = Severity.HIGH
            elif not re.match(r"IAM", call.text) or "rojects" not in _spelled(call.receiver):
                severity = severity.step(-1) if severity.rank > Severity.LOW.rank else severity
            holder.granted[(role.text if role is not None else "", who)] = (call.line, severity)
    elif call.text == "RoleAssignment":
        given = call.option("roleDefinitionName", "role_definition_name")
        if given is not None and given.kind == "text":
            principal = call.option("principalId", "principal_id")
            holder.granted[(given.text, _spelled(principal) or "someone")] = (call.line, azure_role(given.text))


def _spelled(value: Value | None) -> str:
    """A name with what stands before it."""
    if value is None:
        return ""
    head = _spelled(value.receiver)
    return f"{head}.{value.text}" if head and value.text else head or value.text


def _texts(value: Value) -> tuple[str, ...]:
    if value.kind == "list":
        return tuple(text for item in value.items for text in _texts(item))
    return (_text(value),)


def _text(value: Value) -> str:
    """A text with its computed parts as one unknown; the name of anything else as a reference."""
    if value.kind == "text":
        return value.text.replace("{{computed}}", "${computed}")
    return "${" + re.sub(r"[{}$]", "", _spelled(value)) + "}"


def _statements(value: Value, depth: int) -> tuple[Statement, ...] | None:
    """The statements of a policy argument: of the document that stands in it, whatever it is wrapped in; None where there is none."""
    if depth > _DEPTH:
        return None
    if value.kind == "map" and any(key == "Statement" for key, _ in value.named):
        return policy(_node(value, 0))
    if value.kind == "text" and value.text.lstrip().startswith("{"):
        return policy(Node(line=value.line, text=_text(value), plain=False))
    made = next((link for link in value.chain if link.kind == "call" and re.match(r"get_?[pP]olicy_?[dD]ocument", link.text)), None)
    if made is not None:
        listed = made.option("statements")
        return tuple(_block(item) for item in (listed.items if listed is not None else ()) if item.kind in ("map", "call"))
    for inner in below(value):
        found = _statements(inner, depth + 1)
        if found is not None:
            return found
    return None


def _node(value: Value, depth: int) -> Node:
    if depth > _DEPTH:
        return Node(line=value.line, text="${…}", plain=False)
    if value.kind == "map":
        return Node(
            line=value.line,
            pairs=tuple((Node(line=item.line or value.line, text=key, plain=False), _node(item, depth + 1)) for key, item in value.named),
        )
    if value.kind == "list":
        return Node(line=value.line, items=tuple(_node(item, depth + 1) for item in value.items))
    return Node(line=value.line, text=_text(value), plain=False)


def _block(value: Value) -> Statement:
    """A statement of `getPolicyDocument`, as the node a policy document would have in its place."""

    def given(*names: str) -> Value | None:
        return value.option(*names)

    pairs: list[tuple[str, Node]] = []
    for key, names in (
        ("Effect", ("effect",)), ("Action", ("actions",)), ("NotAction", ("notActions", "not_actions")), ("Resource", ("resources",)),
        ("NotResource", ("notResources", "not_resources")), ("Sid", ("sid",)),
    ):  # fmt: skip
        item = given(*names)
        if item is not None:
            pairs.append((key, _node(item, 0)))
    if given("effect") is None:
        pairs.append(("Effect", Node(line=value.line, text="Allow", plain=False)))
    people = given("principals")
    if people is not None:
        kinds: dict[str, list[Node]] = {}
        for item in people.items:
            kind, names_of = item.option("type"), item.option("identifiers")
            if names_of is not None:
                kinds.setdefault(_text(kind) if kind is not None else "AWS", []).append(_node(names_of, 0))
        listed = tuple(
            (_key(kind, value.line), Node(line=value.line, items=tuple(each for node in nodes for each in node.elements())))
            for kind, nodes in kinds.items()
        )
        pairs.append(
            ("Principal", Node(line=value.line, text="*", plain=False) if set(kinds) == {"*"} else Node(line=value.line, pairs=listed))
        )
    tests = given("conditions")
    if tests is not None:
        rows = [
            (_text(test), Node(line=item.line, pairs=((_key(_text(variable), item.line), _node(values, 0)),)))
            for item in tests.items
            if (test := item.option("test")) and (variable := item.option("variable")) and (values := item.option("values"))
        ]
        pairs.append(("Condition", Node(line=value.line, pairs=tuple((_key(name, value.line), node) for name, node in rows))))
    made = Node(line=value.line, pairs=tuple((_key(key, value.line), node) for key, node in pairs))
    found = policy(Node(line=value.line, pairs=((_key("Statement", value.line), Node(line=value.line, items=(made,))),)))
    return found[0] if found else Statement(True, ("${…}",), unsure=True, line=value.line)


def _key(text: str, line: int) -> Node:
    return Node(line=line, text=text, plain=False)


DETECTOR = Detector(
    name="pulumi-access",
    title="Access in Pulumi programs",
    rules=(*GRADED.values(), ATTACHED, GRANTED),
    detect=detect,
    group=together,
)
