"""Database migrations: what they destroy, narrow or rename, and whether there is a way back.

## What it detects
New migrations, in the order they run, against the schema that stood before: dropped tables, schemas, databases, columns and other objects;
truncated, deleted or rewritten rows; types that no longer hold what they held; columns that become required; renames; constraints,
triggers and defaults that go; migrations that were merged before and are now edited, deleted or renumbered, or that Drizzle's journal passes over; a way down that is missing,
empty or refuses. Plain SQL (PostgreSQL, MySQL, SQL Server, SQLite, Oracle, ClickHouse) and the migrations of the usual frameworks.

## Why it matters
A dropped column is gone at the moment the migration runs. A revert of the pull request brings back the code, not the rows. A renamed column
breaks every copy of the old code that is still running while the new one rolls out.

## Example
`ALTER TABLE users DROP COLUMN email;` in a new migration.

## What makes it safe
Expand and contract: stop reading the column in one release, drop it in a later one. A backup and restore drill that passes. A migration
that goes up, down and up again in CI with the same schema.

## What it cannot see
What a statement put together at run time does; what a function that a migration calls does; how many rows a condition lets through;
whether the code still reads what is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from checks.detectors.base import Detector, Rule, not_analysed, short, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers.documents import json_node
from checks.readers.migrations import Back, Migration, is_down, partner
from checks.readers.schema import Sequenced, Step, sequence, type_change
from checks.readers.sql import Operation, shown

_ASK = Question.DESTRUCTIVE
TABLE = Rule("migrations/table-dropped", Hazard.DATA_DESTROYED, Severity.HIGH, Reversible.NO, "A migration drops a table", _ASK)
REBUILT = Rule(
    "migrations/table-rebuilt",
    Hazard.DATA_DESTROYED,
    Severity.MODERATE,
    Reversible.NO,
    "A migration copies a table and drops the original",
    _ASK,
    Confidence.LIKELY,
)
STORE = Rule(
    "migrations/database-dropped", Hazard.DATA_DESTROYED, Severity.CRITICAL, Reversible.NO, "A migration drops a database or schema", _ASK
)
COLUMN = Rule("migrations/column-dropped", Hazard.DATA_DESTROYED, Severity.HIGH, Reversible.NO, "A migration drops a column", _ASK)
EMPTIED = Rule(
    "migrations/rows-emptied", Hazard.DATA_DESTROYED, Severity.HIGH, Reversible.NO, "A migration deletes every row of a table", _ASK
)
DELETED = Rule("migrations/rows-deleted", Hazard.DATA_DESTROYED, Severity.MODERATE, Reversible.NO, "A migration deletes rows", _ASK)
UPDATED = Rule(
    "migrations/rows-overwritten", Hazard.DATA_DESTROYED, Severity.MODERATE, Reversible.NO, "A migration overwrites values", _ASK
)
OBJECT = Rule(
    "migrations/object-dropped",
    Hazard.COMPATIBILITY_BROKEN,
    Severity.MODERATE,
    Reversible.YES,
    "A migration drops a view, function, type or other object",
)
INDEX = Rule("migrations/index-dropped", Hazard.AVAILABILITY_REDUCED, Severity.LOW, Reversible.YES, "A migration drops an index")
GUARD = Rule(
    "migrations/constraint-dropped",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A migration drops or disables a constraint or trigger",
)
REPLACED = Rule(
    "migrations/object-replaced",
    Hazard.COMPATIBILITY_BROKEN,
    Severity.LOW,
    Reversible.YES,
    "A migration drops an object and makes it again with another meaning",
)
NARROWED = Rule(
    "migrations/type-narrowed", Hazard.COMPATIBILITY_BROKEN, Severity.HIGH, Reversible.PARTLY, "A column's type no longer holds all it held"
)
RETYPED = Rule("migrations/type-changed", Hazard.COMPATIBILITY_BROKEN, Severity.MODERATE, Reversible.PARTLY, "A column's type changes")
REQUIRED = Rule("migrations/column-required", Hazard.COMPATIBILITY_BROKEN, Severity.MODERATE, Reversible.YES, "A column becomes required")
LOOSENED = Rule(
    "migrations/default-dropped", Hazard.COMPATIBILITY_BROKEN, Severity.LOW, Reversible.YES, "A column loses its default or may be empty"
)
RENAMED = Rule("migrations/renamed", Hazard.COMPATIBILITY_BROKEN, Severity.HIGH, Reversible.YES, "A migration renames something others use")
REWRITTEN = Rule(
    "migrations/merged-migration-changed",
    Hazard.COMPATIBILITY_BROKEN,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A merged migration is edited, deleted or renumbered",
)
NO_BACK = Rule(
    "migrations/no-way-back", Hazard.AVAILABILITY_REDUCED, Severity.LOW, Reversible.PARTLY, "A migration cannot be undone by its framework"
)
PASSED_OVER = Rule(
    "migrations/never-runs", Hazard.COMPATIBILITY_BROKEN, Severity.MODERATE, Reversible.YES, "A migration stands there and is not run"
)
RULES = (
    TABLE, REBUILT, STORE, COLUMN, EMPTIED, DELETED, UPDATED, OBJECT, INDEX, GUARD, REPLACED, NARROWED, RETYPED, REQUIRED, LOOSENED, RENAMED,
    REWRITTEN, NO_BACK, PASSED_OVER,
)  # fmt: skip

OLD_ENOUGH = 5
"""Older migrations without a way down that make a rule."""
OLDER = 200
"""Older migrations that are asked for theirs."""
MANY = 6
"""Effects of one rule in one file that are still said one by one."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What the changed migrations do to what stood before them."""
    found = sequence(change, files)
    effects: list[Effect] = []
    for step in found.steps:
        effects += _effects(step, found)
    yield from _collapsed(effects)
    for unreadable in found.unreadable:
        yield not_analysed(unreadable.path, unreadable.why, unreadable.line)
    for path, group in groupby(found.unread, key=lambda pair: pair[0]):
        items = [item for _, item in group]
        more = f", and {len(items) - 1} more statements" if len(items) > 1 else ""
        yield not_analysed(path, f"{items[0].why}: {items[0].text}{more}", items[0].line, severity=Severity.MODERATE)
    yield from _rewritten(found)
    for file in files:
        if file.path.endswith("/meta/_journal.json") and place_of(file.path) is Place.DEPLOYED:
            yield from _journal(change, file)
    yield from _no_way_back(change, found, effects)


def _effects(step: Step, found: Sequenced) -> Iterable[Effect]:
    operation = step.operation
    if operation.get("temporary") or (step.fresh and operation.verb != "grant"):
        return ()
    handler = _VERBS.get(operation.verb)
    return handler(step, found) if handler else ()


def _effect(
    rule: Rule,
    step: Step,
    message: str,
    *,
    severity: Severity | None = None,
    confidence: Confidence | None = None,
    before: str | None = None,
    after: str | None = None,
) -> Effect:
    operation = step.operation
    facts = [("table", operation.table)] if operation.table else []
    if operation.kind == "column":
        facts.append(("column", operation.name))
    facts += [("kind", operation.kind), ("action", operation.verb)]
    return rule.effect(
        subject=operation.subject,
        path=step.path,
        line=operation.line,
        message=shown(message),
        severity=severity,
        confidence=confidence or (None if operation.sure else Confidence.LIKELY),
        before=before,
        after=after,
        facts=tuple(facts),
    )


def _drop(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation, kind = step.operation, step.operation.kind
    name = operation.subject
    cascade = ", and everything that depends on it" if operation.get("cascade") else ""
    if kind == "table":
        if step.rebuilt:
            yield _effect(
                REBUILT, step, f"The table {name} is copied and the original dropped: rows or columns that the copy leaves out are gone."
            )
        else:
            again = " (it is made again, empty)" if step.again else ""
            yield _effect(TABLE, step, f"The table {name} and all its rows are dropped{cascade}{again}.")
    elif kind in ("schema", "database"):
        yield _effect(STORE, step, f"The {kind} {name} and everything in it are dropped.")
    elif kind == "column":
        yield _effect(COLUMN, step, f"The column {name} and all its values are dropped{cascade}.")
    elif kind == "partition":
        yield _effect(TABLE, step, f"A partition of {operation.table} and all its rows are dropped.")
    elif kind in ("policy", "role", "statistics"):
        return
    elif step.again is not None:
        yield from _replaced(step, step.again, found)
    elif kind == "index":
        old = found.definition(step.path, operation)
        if old is not None and old.get("unique"):
            yield _effect(GUARD, step, f"The unique index {name} is dropped: two rows with the same key become possible.")
        else:
            yield _effect(INDEX, step, f"The index {name} is dropped: queries that need it read the whole table.")
    elif kind in ("constraint", "trigger", "rule"):
        what = operation.get("what") or kind
        yield _effect(GUARD, step, f"The {what} {name} is dropped: what it prevented or recorded is no longer.")
    elif kind == "materialized view":
        yield _effect(OBJECT, step, f"The materialized view {name} is dropped; it must be computed again{cascade}.")
    elif kind == "sequence":
        yield _effect(OBJECT, step, f"The sequence {name} is dropped, and the number it had reached is lost{cascade}.")
    elif kind == "extension":
        yield _effect(OBJECT, step, f"The extension {name} is dropped, with every column of its types{cascade}.", severity=Severity.HIGH)
    else:
        yield _effect(OBJECT, step, f"The {kind} {name} is dropped: code that still calls or reads it fails{cascade}.")


def _replaced(step: Step, again: Operation, found: Sequenced) -> Iterator[Effect]:
    """Dropped and made again: silent where the older migrations gave it the same definition."""
    operation, kind = step.operation, step.operation.kind
    old = found.definition(step.path, operation)
    if old is not None and old.get("definition") == again.get("definition"):
        return
    if old is not None and old.get("values") and set(old.get("values").split("\n")) <= set(again.get("values").split("\n")):
        return
    if old is None and operation.get("if there"):
        # DROP … IF EXISTS before CREATE is how a migration is made repeatable; no older migration knows the object.
        return
    name = operation.subject
    cascades = again.get("cascade") and not (old and old.get("cascade"))
    if kind == "constraint" and cascades and (old is not None or again.get("what") == "foreign key"):
        yield _effect(
            GUARD,
            step,
            f"The foreign key {name} now deletes dependent rows with their parent.",
            confidence=None if old else Confidence.LIKELY,
            after="ON DELETE CASCADE",
        )
    elif kind == "index":
        return
    else:
        yield _effect(
            REPLACED,
            step,
            f"The {kind} {name} is dropped and made again with another definition.",
            confidence=None if old else Confidence.POSSIBLE,
        )


def _truncate(step: Step, found: Sequenced) -> Iterator[Effect]:
    cascade = " and of every table that refers to it" if step.operation.get("cascade") else ""
    yield _effect(EMPTIED, step, f"All rows of {step.operation.table}{cascade} are deleted.", after="TRUNCATE")


def _delete(step: Step, found: Sequenced) -> Iterator[Effect]:
    if _BOOKKEEPING.search(step.operation.table):
        return
    if step.operation.get("where") in ("none", "always"):
        yield _effect(EMPTIED, step, f"All rows of {step.operation.table} are deleted: no condition holds any back.", after="DELETE")
    else:
        yield _effect(DELETED, step, f"Rows of {step.operation.table} that meet a condition are deleted.")


_BOOKKEEPING = re.compile(
    r"(?:^|\.)(?:alembic_version\w*|schema_migrations?|django_migrations|flyway_schema_history|schema_version|databasechangelog(?:lock)?|knex_migrations\w*|"
    r"_prisma_migrations|__drizzle_migrations|ar_internal_metadata|sequelizemeta|goose_db_version|__efmigrationshistory|atlas_schema_revisions)$",
    re.IGNORECASE,
)
"""Tables in which the migration tools themselves keep count."""


def _update(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if _BOOKKEEPING.search(operation.table):
        return
    table, where = operation.table, operation.get("where")
    columns = [column for column in operation.get("columns").split(",") if column]
    made = {
        other.operation.name
        for other in found.steps
        if other.operation.verb == "create"
        and other.operation.kind == "column"
        and other.operation.table.endswith(table.rpartition(".")[2])
    }
    old = [column for column in columns if column not in made]
    if (columns and not old) or (where.startswith("null ") and old == [where.removeprefix("null ")]):
        return
    named = ", ".join(old[:4]) or "values"
    if where in ("none", "always"):
        yield _effect(UPDATED, step, f"Every row of {table} gets new {named}; the old values are lost.")
    else:
        yield _effect(
            UPDATED, step, f"Rows of {table} that meet a condition get new {named}; the old values are lost.", severity=Severity.LOW
        )


def _type(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    old = found.definition(step.path, operation)
    before = operation.get("from") or (old.get("type") or old.get("to") if old else "")
    after = operation.get("to")
    how = type_change(before, after)
    if how == "narrowed" and (swapped := _enum_change(before, after, step, found)):
        how = swapped
    if how in ("same", "widened") or (how == "unknown" and operation.get("restated")):
        return
    if how == "narrowed":
        yield _effect(
            NARROWED,
            step,
            f"The column {operation.subject} goes from {before} to {after}: values that do not fit are refused, cut or lost.",
            before=before,
            after=after,
        )
    elif how == "rewritten":
        yield _effect(
            RETYPED,
            step,
            f"The column {operation.subject} goes from {before} to {after}: its values are kept, the table is rewritten.",
            before=before,
            after=after,
        )
    else:
        yield _effect(
            RETYPED,
            step,
            f"The column {operation.subject} gets the type {after or 'computed at run time'}; what it was is not in the migrations.",
            after=after,
            confidence=Confidence.POSSIBLE,
        )


def _enum_change(before: str, after: str, step: Step, found: Sequenced) -> str:
    """How an enum changes that is swapped for another under the same name; "" where the two types are not two of such."""
    if _SWAP.sub("", before) != _SWAP.sub("", after):
        return ""
    kinds = [other.operation for other in found.steps if other.operation.verb == "create" and other.operation.kind == "type"]
    new = next((operation for operation in kinds if operation.name == after), None)
    old = found.definition(step.path, Operation("create", "type", "", before, 0)) or found.definition(
        step.path, Operation("create", "type", "", _SWAP.sub("", before), 0)
    )
    if new is None or old is None or not old.get("values"):
        return "unknown"
    return "same" if set(old.get("values").split("\n")) <= set(new.get("values").split("\n")) else "narrowed"


_SWAP = re.compile(r"_(?:new|old|tmp|temp|v\d+|backup)$|^(?:new|old|tmp)_")


def _required(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    old = found.definition(step.path, operation) if operation.get("with type") else None
    if (old is None and operation.get("with type")) or (old is not None and (old.get("required") or old.verb == "type")):
        return
    if operation.get("default"):
        yield _effect(
            REQUIRED,
            step,
            f"The column {operation.subject} becomes required: writers that put in an explicit NULL fail, the others get its default.",
            severity=Severity.LOW,
        )
        return
    yield _effect(
        REQUIRED, step, f"The column {operation.subject} becomes required: writers that leave it empty fail.", severity=_proven(step, found)
    )


def _proven(step: Step, found: Sequenced) -> Severity | None:
    """Low where a validated CHECK (column IS NOT NULL) in the change shows that no row is empty."""
    return Severity.LOW if step.operation.name in found.shown_full else None


def _create(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if operation.kind == "column" and operation.get("required") and not (operation.get("default") or operation.get("generated")):
        yield _effect(
            REQUIRED,
            step,
            f"The new column {operation.subject} is required and has no default: the running code's inserts fail, and so does this on a table with rows.",
        )


def _loosen(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    lost = "its default" if operation.verb == "undefault" else "its NOT NULL"
    yield _effect(LOOSENED, step, f"The column {operation.subject} loses {lost}.", after=operation.verb)


def _rename(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if operation.kind in ("table", "column", "schema", "value", "type", "view", "function"):
        if operation.kind == "table" and any(other.rebuilt and other.operation.name == operation.get("to") for other in found.steps):
            return
        severity = None if operation.kind in ("table", "column", "schema") else Severity.MODERATE
        yield _effect(
            RENAMED,
            step,
            f"The {operation.kind} {operation.subject} becomes {operation.get('to')}: code that still uses the old name fails.",
            severity=severity,
            after=operation.get("to"),
        )


def _disable(step: Step, found: Sequenced) -> Iterator[Effect]:
    operation = step.operation
    if "security" in operation.kind:
        return
    back = any(
        other.path == step.path
        and other.operation.verb == "enable"
        and other.operation.kind == operation.kind
        and other.operation.table == operation.table
        for other in found.steps
    )
    if not back:
        what = f"the {operation.kind}" if operation.kind.startswith("all") else f"the {operation.kind} {operation.name}"
        yield _effect(GUARD, step, f"On {operation.table or 'the session'}, {what} no longer run or hold.")


_VERBS: dict[str, Callable[[Step, Sequenced], Iterable[Effect]]] = {
    "drop": _drop, "truncate": _truncate, "delete": _delete, "update": _update, "type": _type, "required": _required, "create": _create,
    "undefault": _loosen, "optional": _loosen, "rename": _rename, "disable": _disable,
}  # fmt: skip


def _collapsed(effects: Sequence[Effect]) -> Iterator[Effect]:
    """Effects of one rule in one file as one, where they are many."""
    groups: dict[tuple[str, str, str], list[Effect]] = {}
    for effect in effects:
        groups.setdefault((effect.path, effect.rule, effect.severity), []).append(effect)
    for members in groups.values():
        if len(members) <= MANY:
            yield from members
            continue
        first = members[0]
        names = list(dict.fromkeys(member.subject for member in members))
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        rule = next(rule for rule in RULES if rule.id == first.rule)
        yield rule.effect(
            subject=f"{len(names)} objects",
            path=first.path,
            line=first.line,
            after=short(listed, 200),
            severity=first.severity,
            confidence=first.confidence,
            message=f"{rule.title}, {len(members)} times in this file: {listed}.",
            facts=tuple(fact for member in members[:100] for fact in member.facts),
        )


_HOW = {
    "edited": "A migration that was merged before is edited: databases where it has run keep the old schema, and checksums no longer agree.",
    "deleted": "A migration that was merged before is deleted: databases where it has run keep its schema, and new ones never get it.",
    "renamed": "A migration that was merged before gets another number or name: it runs a second time, or the tool refuses to start.",
}


def _rewritten(found: Sequenced) -> Iterator[Effect]:
    for how, message in _HOW.items():
        items = [item for item in found.rewritten if item.how == how]
        for item in items[:1] if len(items) > MANY // 2 else items:
            many = f" ({len(items)} migrations)" if len(items) > MANY // 2 else ""
            yield REWRITTEN.effect(
                subject=item.path,
                path=item.path,
                side=Side.BASE if how == "deleted" else Side.HEAD,
                line=1,
                before=item.base_path or None,
                after=how + many,
                message=message.replace(":", many + ":", 1),
            )


def _journal(change: Change, file: FileChange) -> Iterator[Effect]:
    """What Drizzle's list of migrations leaves out: it runs those whose time is later than that of the last one it ran (orm.drizzle.team)."""
    before, after = change.base_bytes(file), change.head_bytes(file)
    try:
        old, new = (_entries(data, file.path) if data is not None else {} for data in (before, after))
    except Unreadable as unreadable:
        yield not_analysed(file.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)
        return
    folder = file.path.removesuffix("meta/_journal.json")
    latest = max((when for when, _ in old.values()), default=0)
    for tag, (when, line) in new.items():
        if tag not in old and when < latest:
            yield PASSED_OVER.effect(
                subject=tag, path=file.path, line=line, after=str(when), confidence=Confidence.LIKELY,
                message=f"The migration {tag} is dated before one that was merged earlier: databases where that one has run pass it over.",
            )  # fmt: skip
    for tag, (_, line) in old.items():
        if tag not in new and change.after.entry(f"{folder}{tag}.sql") is not None:
            yield PASSED_OVER.effect(
                subject=tag, path=file.path, line=line, side=Side.BASE, before=tag, after="not listed",
                message=f"The migration {tag} is no longer listed: databases that have not run it yet never get it.",
            )  # fmt: skip


def _entries(data: bytes, path: str) -> dict[str, tuple[int, int]]:
    """The migrations of a journal: name → (time, line)."""
    entries = json_node(data, path).get("entries")
    found: dict[str, tuple[int, int]] = {}
    for entry in entries.elements() if entries is not None else ():
        tag, when = (entry.string("tag"), entry.string("when")) if entry.is_map else (None, None)
        if tag:
            found[tag] = (int(when) if when and when.isdigit() and len(when) < 20 else 0, entry.line)
    return found


_WORDS = {Back.MISSING: "has no way down", Back.EMPTY: "has an empty way down", Back.RAISES: "refuses to go down"}


def _no_way_back(change: Change, found: Sequenced, effects: Sequence[Effect]) -> Iterator[Effect]:
    heavy = {effect.path for effect in effects if effect.severity.rank >= Severity.MODERATE.rank}
    groups: dict[tuple[Back, bool], list[Migration]] = {}
    for migration in found.new:
        if migration.back not in _WORDS or all(operation.verb in ("set", "insert") for operation in migration.up):
            continue
        if migration.path not in heavy and migration.back is Back.MISSING and _forward_only(change, migration.path):
            continue
        groups.setdefault((migration.back, migration.path in heavy), []).append(migration)
    for (back, weighs), members in groups.items():
        many = len(members) > MANY
        for migration in members[:1] if many else members:
            yield NO_BACK.effect(
                subject=f"{len(members)} migrations" if many else migration.path,
                path=migration.path,
                line=migration.back_line,
                severity=Severity.MODERATE if weighs else None,
                after=back.value,
                message=f"{f'Each of {len(members)} migrations' if many else 'This migration'} {_WORDS[back]}: the framework cannot undo it.",
            )


def _forward_only(change: Change, path: str) -> bool:
    """Whether the older migrations beside one whose way down is a file of its own have no such file either, as a rule of the project."""
    if partner(path) is None:
        return False
    folder, _, name = path.rpartition("/")
    if name == "up.sql":
        above = folder.rpartition("/")[0]
        older = [f"{above}/{one}/up.sql" for one, entry in change.before.list(above).items() if entry.is_directory][:OLDER]
        older = [one for one in older if change.before.entry(one) is not None]
    else:
        older = [f"{folder}/{one}" for one in change.before.list(folder) if partner(one) and not is_down(one)]
    return len(older) >= OLD_ENOUGH and not any(change.before.entry(partner(one) or "") for one in older)


DETECTOR = Detector(name="migrations", title="Database migrations", rules=RULES, detect=detect, group=together)
