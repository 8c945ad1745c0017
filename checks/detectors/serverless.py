"""Serverless Framework services on AWS: functions and services that go, stacks that move, requests without an authorizer, wider permissions.

## What it detects

In serverless.yml (or .yaml, .json): permissions of the service's role (`provider.iam.role.statements`, `iamRoleStatements`, those of single
functions), compared as sets; managed policies attached; the permissions boundary taken off; functions removed; the whole service removed; an
authorizer, API key or IAM authorization taken off an endpoint; a changed service name, stage, region or stack name, which deploys a second
stack and leaves the first. The resources under `resources` are judged as a CloudFormation template.

## Why it matters

`serverless deploy` applies all of it at once, and `serverless remove` of a renamed stage takes the tables along. An endpoint without its
authorizer answers the internet a minute later.

## Example

```yaml
       - httpApi:
           path: /orders
           method: get
-          authorizer: customers
```

## What makes it safe

A deployment to a stage that is a copy; a permissions boundary; a default authorizer for the whole API.

## What it cannot see

Values of variables (`${opt:stage}`), what plugins add, and configuration written in JavaScript or TypeScript.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from checks.access.aws import Statement
from checks.access.aws_grades import Kind, Setting, grade, managed
from checks.access.aws_policy import policy, texts
from checks.access.aws_rules import effects, rules_for
from checks.detectors.base import Detector, Rule, not_analysed
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers.documents import Node, read

GRADED = rules_for("serverless", (Kind.ADMIN, Kind.ESCALATION, Kind.SECRETS, Kind.ACCESS, Kind.CONDITION, Kind.DENY))
ATTACHED = Rule(
    "serverless/policy-attached",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A managed policy is newly attached",
    question=Question.ALONE,
)
BOUNDARY = Rule(
    "serverless/boundary-removed",
    Hazard.PRIVILEGE_WIDENED,
    Severity.CRITICAL,
    Reversible.PARTLY,
    "A permissions boundary is gone",
    question=Question.ALONE,
)
FUNCTION = Rule("serverless/function-removed", Hazard.RESOURCE_DESTROYED, Severity.LOW, Reversible.YES, "A function is removed")
SERVICE = Rule(
    "serverless/service-removed",
    Hazard.RESOURCE_DESTROYED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A whole service is removed",
    confidence=Confidence.LIKELY,
)
MOVED = Rule(
    "serverless/stack-moved",
    Hazard.RESOURCE_REPLACED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A service is deployed as another stack",
    confidence=Confidence.LIKELY,
)
UNGUARDED = Rule(
    "serverless/authorizer-removed",
    Hazard.EXPOSURE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "An endpoint answers without asking who calls",
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    for file in files:
        if place_of(file.path) is Place.DEPLOYED:
            yield from _one(change, file)


def _service(data: bytes | None, path: str) -> Node | None:
    """The service a file describes; None where it is none on AWS."""
    if data is None or b"provider" not in data or b"service" not in data:
        return None
    node = next(iter(read(data, path)), None)
    if node is None or node.get("service") is None or node.get("provider") is None:
        return None
    name = node.string("provider", "name") or node.string("provider")
    return node if name in (None, "aws") else None


def _one(change: Change, file: FileChange) -> Iterator[Effect]:
    try:
        head = _service(change.head_bytes(file), file.path)
    except Unreadable as unreadable:
        yield not_analysed(file.path, unreadable.why, unreadable.line)
        return
    try:
        base = _service(change.base_bytes(file), file.base_path)
    except Unreadable:
        base = None
    if base is not None and head is None and file.deleted:
        names = _names(base)
        yield SERVICE.effect(
            subject=base.string("service") or base.string("service", "name") or file.path, path=file.path, line=1, side=Side.BASE, before=", ".join(names[:6]) or None,
            severity=Severity.HIGH if base.get("resources") is not None else None,
            message=f"The service and its {len(names)} functions are no longer described: its stack stays unmanaged, or goes with the pipeline that removes it.",
        )  # fmt: skip
    if head is None:
        return
    yield from _access(file.path, base, head)
    if base is not None:
        yield from _removed(file.path, base, head)
        yield from _stack(file.path, base, head)
        yield from _endpoints(file.path, base, head)


def _functions(service: Node) -> dict[str, Node]:
    node = service.get("functions")
    return {name: body for part in (node.elements() if node is not None else ()) for name, body in part.entries()}


def _names(service: Node) -> list[str]:
    return list(_functions(service))


# Access -------------------------------------------------------------------------------------------------------------------------------


def _holders(service: Node) -> dict[str, tuple[list[Statement], int]]:
    """Who holds statements: the service's role, and functions with their own."""
    out: dict[str, tuple[list[Statement], int]] = {}
    provider = service.get("provider")
    assert provider is not None
    for node in (provider.get("iam", "role", "statements"), provider.get("iamRoleStatements")):
        if node is not None:
            out.setdefault("the service's role", ([], node.line))[0].extend(_statements(node))
    for name, body in _functions(service).items():
        node = body.get("iamRoleStatements")
        if node is not None:
            out[name] = (_statements(node), node.line)
    return out


def _statements(node: Node) -> list[Statement]:
    label = Node(line=node.line, text="Statement")
    return list(policy(Node(line=node.line, pairs=((label, node),))) or ())


def _access(path: str, base: Node | None, head: Node) -> Iterator[Effect]:
    before = _holders(base) if base is not None else {}
    for name, (statements, line) in _holders(head).items():
        old = before.get(name)
        # A service that had no statements had no permissions of its own beyond its logs: its role is not new.
        had = old[0] if old is not None else [] if base is not None else None
        yield from effects(GRADED, grade(had, statements, Setting.IDENTITY), name, path, line)
    node = head.get("provider", "iam", "role", "managedPolicies") or head.get("provider", "iamManagedPolicies")
    known = (
        set(texts(base.get("provider", "iam", "role", "managedPolicies") or base.get("provider", "iamManagedPolicies")))
        if base is not None
        else set()
    )
    for arn in texts(node):
        if arn not in known and node is not None:
            name, severity, what = managed(arn)
            yield ATTACHED.effect(
                subject=name,
                path=path,
                line=node.line,
                after=name,
                severity=severity,
                message=f"The service's role newly holds the managed policy {name}: {what}.",
            )
    if base is not None:
        keys = (
            ("provider", "iam", "role", "permissionsBoundary"),
            ("provider", "iam", "role", "permissionBoundary"),
            ("provider", "rolePermissionsBoundary"),
        )
        if any(base.get(*key) for key in keys) and not any(head.get(*key) for key in keys):
            yield BOUNDARY.effect(
                subject="the service's role",
                path=path,
                line=head.key_line("provider"),
                before="set",
                after="none",
                message="The service's role loses its permissions boundary: nothing limits what its statements allow.",
            )


# What goes ----------------------------------------------------------------------------------------------------------------------------


def _removed(path: str, base: Node, head: Node) -> Iterator[Effect]:
    before, after = _functions(base), _functions(head)
    included = head.get("functions")
    if included is not None and any(item.is_scalar for item in included.elements()):
        return  # some functions stand in another file
    gone = [name for name in before if name not in after]
    fresh = [body for name, body in after.items() if name not in before]
    gone = [
        name
        for name in gone
        if not any(body.string("handler") and body.string("handler") == before[name].string("handler") for body in fresh)
    ]
    if gone:
        line = base.get("functions")
        yield FUNCTION.effect(
            subject=", ".join(gone[:4]), path=path, line=line.key_line(gone[0]) if line is not None else 1, side=Side.BASE, before=", ".join(gone[:8]),
            severity=Severity.MODERATE if len(gone) > 3 else Severity.LOW,
            message=f"{'The functions' if len(gone) > 1 else 'The function'} {', '.join(gone[:4])}{' and more' if len(gone) > 4 else ''} {'are' if len(gone) > 1 else 'is'} deleted with the next deployment.",
        )  # fmt: skip


def _stack(path: str, base: Node, head: Node) -> Iterator[Effect]:
    for label, keys in (
        ("service", (("service",), ("service", "name"))),
        ("stage", (("provider", "stage"),)),
        ("region", (("provider", "region"),)),
        ("stackName", (("provider", "stackName"),)),
    ):
        before, after = (next((text for key in keys if (text := side.string(*key))), None) for side in (base, head))
        if before is None or after is None or before == after or "${" in before or "${" in after:
            continue
        data = head.get("resources") is not None
        yield MOVED.effect(
            subject=label, path=path, line=head.key_line("service" if label == "service" else "provider"), before=before, after=after,
            severity=Severity.HIGH if data else Severity.MODERATE,
            message=f"The {label} goes from {before} to {after}: the next deployment makes a second stack, empty, and leaves the first without updates.",
        )  # fmt: skip


# Endpoints ----------------------------------------------------------------------------------------------------------------------------

_GUARDS = ("authorizer", "private")


def _events(service: Node) -> dict[tuple[str, str, str], Node]:
    out: dict[tuple[str, str, str], Node] = {}
    for name, body in _functions(service).items():
        events = body.get("events")
        for event in events.elements() if events is not None else ():
            for kind in ("http", "httpApi", "websocket"):
                node = event.get(kind)
                if node is not None and node.is_map:
                    where = f"{(node.string('method') or '*').lower()} {node.string('path') or node.string('route') or ''}"
                    out[(name, kind, where)] = node
    return out


def _endpoints(path: str, base: Node, head: Node) -> Iterator[Effect]:
    after = _events(head)
    shared = head.get("provider", "httpApi", "authorizers") is not None and head.get("provider", "httpApi", "authorizer") is not None
    for key, node in _events(base).items():
        now = after.get(key)
        if now is None:
            continue
        for guard in _GUARDS:
            old, new = node.get(guard), now.get(guard)
            on = old is not None and old.value not in (False, None)
            if on and (new is None or new.value is False) and not (shared and guard == "authorizer") and now.get("authorizer") is None:
                yield _open(path, f"{key[0]} {key[2]}", now.line, guard)
                break
    kept = _restrictions(head)
    if _restrictions(base) and kept == 0:
        yield _open(path, "provider.apiGateway.resourcePolicy", head.key_line("provider"), "a policy that turns callers away")
    for name, body in _functions(head).items():
        before = _functions(base).get(name)
        if before is None:
            continue
        old, new = before.get("url"), body.get("url")
        guarded = old is not None and old.string("authorizer") == "aws_iam"
        if new is not None and new.value is not False and (guarded or old is None) and new.string("authorizer") != "aws_iam":
            yield _open(path, f"{name} url", new.line, "authorizer" if guarded else "no such address")


def _restrictions(service: Node) -> int | None:
    """How many statements of the API's own policy turn callers away; None where the policy stands elsewhere."""
    node = service.get("provider", "apiGateway", "resourcePolicy") or service.get("provider", "resourcePolicy")
    if node is not None and node.is_scalar and node.text:
        return None
    return sum(
        item.string("Effect") == "Deny" or any(item.get(key) is not None for key in ("Condition", "NotPrincipal"))
        for item in ((node.items or ()) if node is not None else ())
    )


def _open(path: str, subject: str, line: int, before: str) -> Effect:
    return UNGUARDED.effect(
        subject=subject,
        path=path,
        line=line,
        before=before,
        after="none",
        message=f"{subject} answers requests without asking who sends them.",
    )


DETECTOR = Detector(
    name="serverless",
    title="Serverless Framework services",
    rules=(*GRADED.values(), ATTACHED, BOUNDARY, FUNCTION, SERVICE, MOVED, UNGUARDED),
    detect=detect,
    sure=True,
)
