"""Who may do what inside a database: grants, roles, row security, definer functions, and the permissions of Hasura.

## What it detects
In migrations and in files that declare grants, roles or policies: new GRANTs, role memberships and role powers (superuser, bypassing row
security, creating roles), default privileges for whatever is made later, functions that run with their owner's rights, changed owners, row
security switched off, policies that let every row through or are gone, and permissions in Hasura's metadata that grow. A REVOKE is shown as
a narrowing.

## Why it matters
A grant outlives the pull request: a revert of the code does not take it back, and what was read or changed meanwhile stays so. With
Supabase or PostgREST a table without row security is open to everyone who has the address.

## Example
`GRANT ALL ON ALL TABLES IN SCHEMA public TO anon;`

## What makes it safe
Grants to one role, on named objects, with the least privilege; row security tests in CI; a separate migration role; REVOKE in the way down.

## What it cannot see
What a role already had before the oldest migration; privileges given outside the repository; whether the condition of a policy is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers import documents
from checks.readers.documents import Node
from checks.readers.schema import Sequenced, Step, sequence
from checks.readers.sql import shown

_ASK = Question.ALONE
GRANTED = Rule(
    "database-access/privilege-granted",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A database role gets a privilege",
    _ASK,
)
MEMBER = Rule(
    "database-access/role-granted",
    Hazard.PRIVILEGE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A database role becomes a member of another",
    _ASK,
)
POWERS = Rule(
    "database-access/role-powers",
    Hazard.PRIVILEGE_WIDENED,
    Severity.CRITICAL,
    Reversible.PARTLY,
    "A database role gets powers over everything",
    _ASK,
)
DEFINER = Rule(
    "database-access/definer-function",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A function runs with its owner's rights",
    _ASK,
)
OWNER = Rule(
    "database-access/owner-changed",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.YES,
    "A database object gets another owner",
    _ASK,
)
ROW_SECURITY = Rule(
    "database-access/row-security-off", Hazard.PRIVILEGE_WIDENED, Severity.CRITICAL, Reversible.PARTLY, "Row security is switched off", _ASK
)
OPEN = Rule(
    "database-access/policy-open", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A row policy lets every row through", _ASK
)
POLICY_GONE = Rule(
    "database-access/policy-dropped",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.YES,
    "A row policy is dropped or changed",
    _ASK,
)
HASURA = Rule(
    "database-access/api-permission-widened",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A role may do more through the API",
    _ASK,
)
REVOKED = Rule(
    "database-access/privilege-revoked", Hazard.PRIVILEGE_NARROWED, Severity.LOW, Reversible.YES, "A database role loses a privilege"
)
RULES = (GRANTED, MEMBER, POWERS, DEFINER, OWNER, ROW_SECURITY, OPEN, POLICY_GONE, HASURA, REVOKED)

_ANYBODY = frozenset({"public", "anon", "anonymous", "guest", "everyone", "web_anon", "%", "authenticated"})
_WRITES = ("all", "insert", "update", "delete", "truncate", "create", "trigger", "references", "alter", "drop", "super", "control")


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """Who may newly do what once the migrations have run and the metadata is applied."""
    metadata = [file for file in files if file.path.endswith((".yaml", ".yml", ".json"))]
    found = sequence(change, [file for file in files if file not in metadata])
    for step in found.steps:
        handler = _VERBS.get(step.operation.verb)
        if handler:
            yield from handler(step, found)
    for file in metadata:
        if place_of(file.path) is Place.DEPLOYED:
            yield from _metadata(change, file)


def _effect(
    rule: Rule,
    step: Step,
    subject: str,
    message: str,
    severity: Severity | None = None,
    confidence: Confidence | None = None,
    hazard: Hazard | None = None,
    after: str | None = None,
) -> Effect:
    return rule.effect(
        subject=shown(subject),
        path=step.path,
        line=step.operation.line,
        message=shown(message),
        severity=severity,
        confidence=confidence or (None if step.operation.sure else Confidence.LIKELY),
        hazard=hazard,
        after=None if after is None else shown(after),
        facts=(("table", step.operation.table),) if step.operation.table else (),
    )


def _roles(text: str) -> set[str]:
    return {role.strip().strip("'\"`").partition(" @")[0].strip("'\"` ").lower() or "%" for role in text.split(",")}


def _grant(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if found.history and found.history.granted(step.path, operation):
        return
    what, options, target = operation.get("what"), operation.get("options"), operation.table
    to = operation.name
    extra = f" {options}" if options else ""
    if operation.kind == "role":
        severity = Severity.CRITICAL if "super" in what or "rds_superuser" in what or "admin option" in options else None
        yield _effect(
            MEMBER, step, f"{what} to {to}", f"The role {to} gets everything {what} may do{extra}.", severity, after=f"{what}{extra}"
        )
        return
    writes = any(word in what for word in _WRITES)
    anybody = bool(_roles(to) & _ANYBODY)
    everything = target in ("*.*", "* . *") or target.startswith("all ") or bool(operation.get("later"))
    if options or (target in ("*.*", "* . *") and writes) or (anybody and writes):
        severity = Severity.HIGH
    elif anybody and "usage" not in what and "execute" not in what:
        severity = Severity.MODERATE
    else:
        severity = Severity.MODERATE if writes or everything else Severity.LOW
    if step.fresh:
        severity = severity.step(-1)
    yield _effect(
        GRANTED, step, f"{target} to {to}", f"The role {to} may newly use {what} on {target}{extra}.", severity, after=f"{what}{extra}"
    )


def _revoke(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    of = f" on {operation.table}" if operation.table else ""
    yield _effect(
        REVOKED,
        step,
        f"{operation.table or operation.get('what')} from {operation.name}",
        f"{operation.name} may no longer use {operation.get('what')}{of}.",
        after=operation.get("what"),
    )


def _create(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if operation.kind in ("role", "login") and operation.get("powers"):
        yield _effect(
            POWERS, step, operation.name, f"The new role {operation.name} has {operation.get('powers')}.", after=operation.get("powers")
        )
    elif operation.kind == "function" and operation.get("definer"):
        old = found.history.definition(step.path, operation) if found.history else None
        if old is not None and old.get("definer"):
            return
        loose = operation.get("definer") == "no search_path"
        why = ", and finds objects by a search path that its caller can set" if loose else ""
        yield _effect(
            DEFINER,
            step,
            operation.name,
            f"The function {operation.name} runs with the rights of its owner for everyone who may call it{why}.",
            after="SECURITY DEFINER" + (", no search_path" if loose else ""),
        )
    elif operation.kind == "policy":
        yield from _policy(step, found)


def _policy(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if operation.get("permissive") == "no" or "always" not in (operation.get("using"), operation.get("check")):
        return
    old = found.history.definition(step.path, operation) if found.history else None
    if old is not None and old.get("definition") == operation.get("definition"):
        return
    command = operation.get("command") or "all"
    roles = _roles(operation.get("roles") or "public")
    if roles & _ANYBODY:
        severity = Severity.MODERATE if command == "select" else Severity.HIGH
    else:
        severity = Severity.LOW
    if step.fresh:
        severity = severity.step(-1)
    who = operation.get("roles") or "public"
    yield _effect(
        OPEN,
        step,
        operation.subject,
        f"The policy {operation.name} lets {who} {_DOES.get(command, 'use')} every row of {operation.table}.",
        severity,
        after=f"{command} to {who}: true",
    )


_DOES = {"select": "read", "insert": "add", "update": "change", "delete": "delete", "all": "read and change"}


def _alter(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if operation.kind == "role" and operation.get("powers"):
        yield _effect(
            POWERS, step, operation.name, f"The role {operation.name} gets {operation.get('powers')}.", after=operation.get("powers")
        )
    elif operation.kind == "function" and operation.get("definer"):
        yield _effect(
            DEFINER,
            step,
            operation.name,
            f"The function {operation.name} newly runs with the rights of its owner.",
            after="SECURITY DEFINER",
        )
    elif operation.kind == "policy":
        yield from _policy(step, found)


def _disable(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if "row security" not in operation.kind or step.fresh:
        return
    if any(
        other.operation.verb == "enable" and other.operation.kind == operation.kind and other.operation.table == operation.table
        for other in found.steps
    ):
        return
    forced = operation.kind.startswith("forced")
    message = "no longer holds for the owner" if forced else "is off: every role with a privilege on it sees and changes every row"
    yield _effect(
        ROW_SECURITY,
        step,
        operation.table,
        f"Row security of {operation.table} {message}.",
        Severity.MODERATE if forced else None,
        after=operation.kind,
    )


def _drop(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if operation.kind != "policy" or step.fresh:
        return
    old = found.history.definition(step.path, operation) if found.history else None
    if step.again is not None:
        opened = "always" in (step.again.get("using"), step.again.get("check"))
        if (
            opened
            or (old is None and operation.get("if there"))
            or (old is not None and old.get("definition") == step.again.get("definition"))
        ):
            return
        yield _effect(
            POLICY_GONE,
            step,
            operation.subject,
            f"The policy {operation.name} of {operation.table} has another condition.",
            Severity.LOW,
            hazard=Hazard.COMPATIBILITY_BROKEN,
            after="changed",
        )
        return
    if old is not None and old.get("permissive") == "no":
        yield _effect(
            POLICY_GONE,
            step,
            operation.subject,
            f"The restrictive policy {operation.name} of {operation.table} is gone: rows it kept back are let through.",
            Severity.HIGH,
            hazard=Hazard.PRIVILEGE_WIDENED,
        )
    elif old is not None:
        yield _effect(
            POLICY_GONE,
            step,
            operation.subject,
            f"The policy {operation.name} of {operation.table} is gone: what it let through is refused.",
            Severity.LOW,
            hazard=Hazard.COMPATIBILITY_BROKEN,
        )
    else:
        yield _effect(
            POLICY_GONE,
            step,
            operation.subject,
            f"The policy {operation.name} of {operation.table} is gone; whether it let rows through or kept them back is not in the migrations.",
            confidence=Confidence.POSSIBLE,
        )


def _own(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if step.fresh:
        return
    yield _effect(
        OWNER,
        step,
        operation.subject,
        f"{operation.get('to')} becomes the owner of {operation.subject} and may do everything with it.",
        after=operation.get("to"),
    )


_VERBS: dict[str, Callable[[Step, Sequenced], Iterable[Effect]]] = {
    "grant": _grant, "revoke": _revoke, "create": _create, "alter": _alter, "disable": _disable, "drop": _drop, "own": _own,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------------ Hasura


@dataclass(frozen=True, slots=True)
class _Permission:
    """One role's permission for one thing on one table."""

    line: int
    columns: frozenset[str]
    filter: object
    check: object


_KINDS = {"select_permissions": "read", "insert_permissions": "add", "update_permissions": "change", "delete_permissions": "delete"}


def _metadata(change: Change, file: FileChange) -> Iterator[Effect]:
    """Hasura's metadata: columns added, filters dropped, roles new (hasura.io/docs/2.0/api-reference/syntax-defs/#permissions)."""
    new = _permissions(change.head_bytes(file), file.path)
    try:
        old = _permissions(change.base_bytes(file), file.base_path)
    except Unreadable:
        old = {}
    for key, permission in new.items():
        table, kind, role = key
        was = old.get(key)
        does = _KINDS[kind]
        subject = f"{table}: {role} {does}"
        anybody = role in _ANYBODY
        if was is None:
            new_table = not any(other[0] == table for other in old)
            severity = Severity.HIGH if anybody and (kind != "select_permissions" or permission.filter == _NOTHING) else Severity.MODERATE
            yield HASURA.effect(
                subject=subject,
                path=file.path,
                line=permission.line,
                after="new",
                severity=severity.step(-1) if new_table else severity,
                message=f"The role {role} may newly {does} rows of {table} through the API.",
            )
            continue
        if (was.filter != permission.filter and permission.filter == _NOTHING) or (
            was.check != permission.check and permission.check == _NOTHING
        ):
            yield HASURA.effect(
                subject=subject,
                path=file.path,
                line=permission.line,
                after="no filter",
                severity=Severity.HIGH,
                message=f"The role {role} may {does} every row of {table}: the filter is gone.",
            )
        grown = permission.columns - was.columns
        if grown and "*" not in was.columns:
            names = ", ".join(sorted(grown)[:6])
            yield HASURA.effect(
                subject=subject,
                path=file.path,
                line=permission.line,
                after=names,
                severity=None if "*" in grown or anybody else Severity.LOW,
                message=f"The role {role} may newly {does} the columns {names} of {table}.",
            )


_NOTHING = documents.frozen(Node(line=0, pairs=()))


def _permissions(data: bytes | None, path: str) -> dict[tuple[str, str, str], _Permission]:
    out: dict[tuple[str, str, str], _Permission] = {}
    if data is None or b"_permissions" not in data:
        return out
    for document in documents.read(data, path):
        for _, node in document.walk():
            if not node.is_map or node.get("table") is None:
                continue
            table = (
                ".".join(filter(None, (node.string("table", "schema"), node.string("table", "name")))) or node.string("table") or "a table"
            )
            for kind in _KINDS:
                entries = node.get(kind)
                for entry in entries.elements() if entries else ():
                    role, permission = entry.string("role"), entry.get("permission")
                    if role is None or permission is None:
                        continue
                    columns = permission.get("columns")
                    names = frozenset(item.text or "" for item in columns.elements()) if columns else frozenset()
                    parts = [documents.frozen(part) if (part := permission.get(key)) is not None else None for key in ("filter", "check")]
                    out[table, kind, role] = _Permission(entry.line, names, parts[0], parts[1])
    return out


DETECTOR = Detector(name="database-access", title="Access inside databases", rules=RULES, detect=detect, group=together)
