"""AWS policies kept as JSON files: what a file newly allows, to whom, and what it no longer denies.

## What it detects

Identity policies, trust policies, bucket, queue, topic and key policies, service control policies and permissions boundaries in JSON files,
known by their content (statements with an effect). The two states are compared as sets: wildcards expanded over AWS's 17,752 actions,
`NotAction` complemented, Deny subtracted, resources, principals and conditions compared by containment. It names what is new: everything, a
way to other permissions, secrets, actions, resources, principals, federated subjects, and conditions and denials that are gone.

## Why it matters

A policy is what a leaked credential, a wrong script or an agent can do. It grows in small steps, each harmless to the eye; a removed
condition or a star does not look like much in a diff.

## Example

```json
- "Resource": "arn:aws:s3:::shop-logs/*"
+ "Resource": "*"
```

## What makes it safe

A permissions boundary or service control policy that the author cannot change; a resource, condition or expiry that bounds the statement.

## What it cannot see

Which principal a file is attached to, what other policies allow or deny, and values put in at deployment (`${…}` counts as one unknown text).
A file with several policies is compared policy by policy, found by their place in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from checks.access.aws import Statement
from checks.access.aws_grades import Setting, grade
from checks.access.aws_policy import is_policy, policy
from checks.access.aws_rules import effects, rules_for
from checks.detectors.base import Detector, not_analysed
from checks.model import Change, Effect, FileChange, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.documents import Node, json_node

RULES = rules_for("iam-policy")
_LEVELS = 4
"""Levels of maps above a policy in a file."""
_LIMITS = re.compile(r"\bscps?\b|service.?control|boundar|guard.?rail|\brcps?\b|resource.?control|stack.?policy", re.IGNORECASE)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    for file in files:
        if place_of(file.path) is Place.DEPLOYED:
            yield from _one(change, file)


def _one(change: Change, file: FileChange) -> Iterator[Effect]:
    base, head = change.base_bytes(file), change.head_bytes(file)
    if not _candidate(base) and not _candidate(head):
        return
    try:
        before = _policies(base, file.base_path)
    except Unreadable:
        before = None
    try:
        after = _policies(head, file.path)
    except Unreadable as unreadable:
        if before or base is None:
            # A template with bare placeholders is no JSON until it is filled in; where Terraform fills it in, its detector reads it.
            template = head is not None and (b"${" in head or b"%{" in head or b"{{" in head)
            yield not_analysed(file.path, unreadable.why, unreadable.line, severity=Severity.LOW if template else None)
        return
    if before is None:
        before = {}
    name = file.path.rpartition("/")[2]
    for where, node in after.items():
        statements = policy(node)
        if statements is None:
            continue
        old = policy(before[where]) if where in before else None
        setting = _setting(file.path, statements)
        yield from effects(RULES, grade(old, statements, setting), _subject(name, where), file.path, node.line)
    for where in before.keys() - after.keys():
        old = policy(before[where]) or ()
        if _setting(file.base_path, old) is Setting.LIMIT:
            verdicts = grade(old, (), Setting.LIMIT)
            yield from effects(RULES, verdicts, _subject(name, where), file.path, 1)


def _candidate(data: bytes | None) -> bool:
    return data is not None and b'"Statement"' in data and b'"Effect"' in data and b'"Resources"' not in data


def _policies(data: bytes | None, path: str) -> dict[tuple[str, ...], Node]:
    """The policies of a file, by the keys that lead to them."""
    if not _candidate(data):
        return {}
    assert data is not None
    found: dict[tuple[str, ...], Node] = {}
    stack: list[tuple[tuple[str, ...], Node]] = [((), json_node(data, path))]
    while stack and len(found) < 200:
        where, node = stack.pop()
        if is_policy(node):
            found[where] = node
        elif node.is_map and len(where) < _LEVELS:
            stack.extend(((*where, key), value) for key, value in node.entries())
        elif node.items is not None and len(where) < _LEVELS:
            stack.extend(
                ((*where, item.string("Name") or item.string("PolicyName") or str(at)), item) for at, item in enumerate(node.items[:200])
            )
    return found


def _subject(name: str, where: tuple[str, ...]) -> str:
    return f"{name} ({'.'.join(where)})" if where else name


def _setting(path: str, statements: Sequence[Statement]) -> Setting:
    # The policy of a CloudFormation stack always speaks of everybody: it limits what an update may do, and gives nobody anything.
    if statements and all(action.lower().startswith("update:") for s in statements for action in s.actions):
        return Setting.LIMIT
    if any(statement.principals for statement in statements):
        return Setting.TRUST if all(action.lower().startswith("sts:") for s in statements for action in s.actions) else Setting.RESOURCE
    if not statements or _LIMITS.search(re.sub(r"[/_.-]", " ", path)):
        return Setting.LIMIT
    return Setting.IDENTITY


DETECTOR = Detector(
    name="iam-policy", title="AWS policies in JSON", rules=tuple(RULES.values()), detect=detect, sure=re.compile(rb"\"Statement\"\s*:")
)
