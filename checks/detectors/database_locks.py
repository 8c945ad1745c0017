"""Migrations that hold up everyone else: locks and rewrites of tables that are in use.

## What it detects
In new migrations, on tables that existed before (PostgreSQL): an index made or dropped without CONCURRENTLY, a foreign key or check validated
at once, a unique or primary key that builds its index under the lock, a column whose default or type makes the server rewrite the table,
NOT NULL that scans it, a partition detached under a lock, VACUUM FULL, CLUSTER and REINDEX.

## Why it matters
While such a statement runs, and while it waits for its lock, every reader or writer of the table waits behind it. On a large table that is an outage.

## Example
`CREATE INDEX users_email ON users (email);` on a table with a hundred million rows.

## What makes it safe
CONCURRENTLY; NOT VALID followed by VALIDATE in a later transaction; a new column filled in steps; `lock_timeout`.

## What it cannot see
How large a table is, and how long other transactions hold it. Tables that the same change creates are left out: they are empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.readers.schema import Sequenced, Step, sequence, type_change
from checks.readers.sql import Operation, shown

INDEX = Rule(
    "database-locks/index-blocks-writes",
    Hazard.AVAILABILITY_REDUCED,
    Severity.MODERATE,
    Reversible.YES,
    "Writes wait while an index is built or dropped",
)
VALIDATED = Rule(
    "database-locks/constraint-scans-table",
    Hazard.AVAILABILITY_REDUCED,
    Severity.LOW,
    Reversible.YES,
    "Everyone waits while a constraint is checked against every row",
)
REWRITE = Rule(
    "database-locks/table-rewritten",
    Hazard.AVAILABILITY_REDUCED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "Everyone waits while a table is rewritten",
)
RULES = (INDEX, VALIDATED, REWRITE)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """Statements of the new migrations that lock a table which existed before: one effect for a rule and table in a file."""
    found = sequence(change, files)
    said: set[tuple[str, str, str]] = set()
    for step in found.steps:
        if step.fresh:
            continue
        if step.operation.get("perhaps") and _other_database(change, step.path):
            continue
        for effect in _effects(step, found):
            key = (effect.rule, effect.path, step.operation.table)
            if key not in said:
                said.add(key)
                yield effect


_RAILS = re.compile(r"(?P<root>(?:.*/)?)db/(?:\w+_)?migrate/[^/]+\.rb")
_ADAPTER = re.compile(rb"""^[ \t]*gem[ (]*["'](mysql2|trilogy|sqlite3|pg|activerecord-postgis-adapter)["']""", re.MULTILINE)


def _other_database(change: Change, path: str) -> bool:
    """Whether a Rails application's Gemfile names adapters and none is PostgreSQL's: the statement is then run by a database with other locks."""
    found = _RAILS.fullmatch(path)
    try:
        gems = {match[1] for match in _ADAPTER.finditer(change.after.read(f"{found['root']}Gemfile") or b"")} if found else set()
    except Unreadable:
        return False
    return bool(gems) and not gems & {b"pg", b"activerecord-postgis-adapter"}


def _effects(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    told = _told(operation, step, found)
    if told is not None:
        rule, message, severity = told
        confidence = (
            None if operation.sure and not operation.get("perhaps") and operation.get("volatile") != "perhaps" else Confidence.POSSIBLE
        )
        yield rule.effect(
            subject=shown(operation.table) or operation.subject,
            path=step.path,
            line=operation.line,
            message=shown(message),
            severity=severity,
            confidence=confidence,
            after=operation.subject,
            facts=(("table", operation.table),),
        )


def _told(operation: Operation, step: Step, found: Sequenced) -> tuple[Rule, str, Severity | None] | None:
    """The rule, message and severity of one operation, None where it takes no heavy lock."""
    verb, kind, table = operation.verb, operation.kind, operation.table
    if kind == "index" and verb == "create" and _postgres(operation) and not operation.get("concurrently"):
        return INDEX, f"Writes to {table} wait while the index {operation.name} is built.", None
    if kind == "index" and verb == "drop" and operation.get("dialect") and not operation.get("concurrently") and step.again is None:
        return INDEX, f"Everyone on its table waits for the lock under which the index {operation.name} is dropped.", Severity.LOW
    if kind == "constraint" and verb == "create" and _postgres(operation):
        return _constraint(operation)
    if kind == "constraint" and verb == "validate" and _one_transaction(step, found):
        return (
            VALIDATED,
            f"{operation.name} is checked against every row in the transaction that added it, and its lock on {table} holds all the while.",
            None,
        )
    if kind == "column" and verb == "create":
        return _column(operation)
    if kind == "column" and verb == "type":
        old = found.definition(step.path, operation)
        how = type_change((old.get("type") or old.get("to")) if old else "", operation.get("to"))
        if how in ("rewritten", "narrowed"):
            return REWRITE, f"Everyone on {table} waits while it is rewritten for the new type of {operation.name}.", None
    if kind == "column" and verb == "required" and not _checked(operation, found):
        return VALIDATED, f"Everyone on {table} waits while every row is checked for an empty {operation.name}.", None
    if kind == "partition" and verb == "alter" and not operation.get("concurrently"):
        return INDEX, f"Everyone on {table} waits for the lock under which a partition is detached.", Severity.LOW
    if kind == "rewrite":
        return REWRITE, f"Everyone on {operation.subject} waits while it is rewritten.", None
    if kind == "reindex":
        return INDEX, f"Everyone on {operation.subject} waits while its indexes are built anew.", None
    return None


def _one_transaction(step: Step, found: Sequenced) -> bool:
    """Whether a written-out transaction both adds a constraint as NOT VALID and validates it."""
    added = opened = False
    for other in found.steps:
        operation = other.operation
        if other is step:
            return added
        if operation.kind == "transaction":
            opened = operation.name in ("begin", "start")
            added = added and opened
        elif opened and other.path == step.path and operation.name == step.operation.name and operation.get("not valid"):
            added = True
    return False


def _postgres(operation: Operation) -> bool:
    """Whether the statement came through PostgreSQL's own parser, or says itself that it is for PostgreSQL."""
    return operation.get("definition").startswith("{") or bool(operation.get("perhaps"))


def _constraint(operation: Operation) -> tuple[Rule, str, Severity | None] | None:
    what, table = operation.get("what"), operation.table
    if what in ("foreign key", "check") and not operation.get("not valid"):
        other = f" and {operation.get('references')}" if operation.get("references") else ""
        return VALIDATED, f"Writes to {table}{other} wait while the {what} {operation.name} is checked against every row.", None
    if what in ("unique", "primary key", "exclusion") and not operation.get("using index"):
        return INDEX, f"Everyone on {table} waits while the index of the {what} {operation.name} is built.", None
    return None


def _column(operation: Operation) -> tuple[Rule, str, Severity | None] | None:
    table, name = operation.table, operation.name
    if operation.get("volatile") or operation.get("generated") in ("stored", "serial", "identity"):
        return (
            REWRITE,
            f"Everyone on {table} waits while it is rewritten to fill the new column {name}.",
            Severity.LOW if operation.get("volatile") == "perhaps" else None,
        )
    if operation.get("primary") or operation.get("unique"):
        return INDEX, f"Everyone on {table} waits while the index of the new column {name} is built.", Severity.LOW
    if operation.get("references") and operation.get("checked"):
        other = operation.get("references")
        return VALIDATED, f"Writes to {table} and {other} wait while the reference of the new column {name} is checked.", None
    return None


def _checked(operation: Operation, found: Sequenced) -> bool:
    return operation.name in found.shown_full


DETECTOR = Detector(name="database-locks", title="Locks on live tables", rules=RULES, detect=detect, group=together)
