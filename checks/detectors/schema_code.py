"""Schemas kept as code, and programs that empty or rebuild a database.

## What it detects
Models and columns that leave a Prisma schema while no migration in the same change says so; ORM settings that change or drop the schema when the
program starts (`synchronize: true`, `dropSchema`, Hibernate's `ddl-auto`); calls in application code and commands in scripts and manifests
that empty a database (`drop_all()`, `deleteMany({})`, `.objects.all().delete()`, `prisma db push --accept-data-loss`, `migrate:fresh`, `db:reset`, …).

## Why it matters
These need no migration to be reviewed: the next start or the next deployment runs them.

## Example
`synchronize: true` in the options of a TypeORM data source.

## What makes it safe
Migrations only, in every environment with data in it; a guard on the environment around such commands; a database role that may not drop.

## What it cannot see
Whether the code is ever reached, and which database its connection leads to. Tests, seeds and fixtures are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import schema_code, text_of
from checks.readers.schema_code import Model, Reset

MODEL = Rule(
    "schema-code/model-removed",
    Hazard.DATA_DESTROYED,
    Severity.MODERATE,
    Reversible.NO,
    "A model leaves the schema",
    Question.DESTRUCTIVE,
    Confidence.LIKELY,
)
COLUMN = Rule(
    "schema-code/column-removed",
    Hazard.DATA_DESTROYED,
    Severity.MODERATE,
    Reversible.NO,
    "A column leaves the schema",
    Question.DESTRUCTIVE,
    Confidence.LIKELY,
)
SYNCHRONISED = Rule(
    "schema-code/schema-follows-code",
    Hazard.DATA_DESTROYED,
    Severity.HIGH,
    Reversible.NO,
    "The database is changed to fit the code at every start",
    Question.ALONE,
    Confidence.LIKELY,
)
EMPTIED = Rule(
    "schema-code/database-emptied",
    Hazard.DATA_DESTROYED,
    Severity.HIGH,
    Reversible.NO,
    "Code or a command newly empties a database",
    Question.DESTRUCTIVE,
    Confidence.LIKELY,
)
RULES = (MODEL, COLUMN, SYNCHRONISED, EMPTIED)

_CODE = re.compile(r"\.(?:py|rb|js|mjs|cjs|ts|mts|cts|php|ex|exs)$")
_SCRIPT = re.compile(
    r"(?:^|/)(?:Procfile|Dockerfile[\w.-]*|package\.json|entrypoint[\w.-]*)$|(?:deploy|release|start|entrypoint|migrat|prod|boot|init|run|upgrade)[\w.-]*\.(?:sh|bash)$",
    re.IGNORECASE,
)
"""Scripts that a deployment or a start runs; what a developer calls by hand (make targets, CI of tests) is left out."""
_SETTINGS = re.compile(r"(?:^|/)(?:application|bootstrap|hibernate|persistence)[\w.-]*\.(?:properties|ya?ml)$")
_TEST = re.compile(
    r"(?:^|[/._-])(?:tests?|specs?|seeds?|seeders?|seeding|fixtures?|factories|mocks?|e2e|conftest|cleanup|teardown|reset|playground|stories|dev|development|local|ci|bench(?:marks?)?)(?:[/._-]|$)",
    re.IGNORECASE,
)
_RANK = {"none": 0, "validate": 0, "create-only": 1, "update": 2, "create": 3, "create-drop": 3, "drop": 3}


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What schemas and programs of the change newly take away."""
    migrated = any("migration" in file.path.lower() for file in change.files if file.new is not None and file.path.endswith(".sql"))
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED:
            continue
        try:
            if file.path.endswith(".prisma"):
                if not migrated:
                    yield from _prisma(change, file)
            elif _TEST.search(file.path) or file.new is None or re.search(r"(?:^|/)(?:migrations?|migrate|alembic)/", file.path):
                continue
            elif _SETTINGS.search(file.path):
                yield from _setting(change, file)
            else:
                yield from _new_resets(change, file)
        except Unreadable as unreadable:
            if unreadable.path == file.path and file.path.endswith(".prisma"):
                yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)


def _prisma(change: Change, file: FileChange) -> Iterator[Effect]:
    before, after = change.base_bytes(file), change.head_bytes(file)
    old = schema_code.prisma(before, file.base_path) if before is not None else ()
    new = schema_code.prisma(after, file.path) if after is not None else ()
    folder = file.path.rpartition("/")[0]
    if folder:
        # A schema may be kept in several files of one folder.
        for name, entry in change.after.list(folder).items():
            other = f"{folder}/{name}"
            if entry.is_file and name.endswith(".prisma") and other != file.path:
                new += schema_code.prisma(change.after.read(other) or b"", other)
    tables = {model.table: model for model in new}
    lost = [model for model in old if model.table not in tables]
    yield from _models(lost, file.path)
    for model in old:
        twin = tables.get(model.table)
        if twin is None:
            continue
        kept = {name for name, _, _ in twin.columns}
        for name, _, line in model.columns:
            if name not in kept:
                yield COLUMN.effect(
                    subject=f"{model.table}.{name}", path=file.path, line=line, side=Side.BASE, facts=(("table", model.table), ("column", name), ("action", "drop")),
                    message=f"The column {model.table}.{name} leaves the schema: the next push drops it with its values.",
                )  # fmt: skip


def _models(lost: Sequence[Model], path: str) -> Iterator[Effect]:
    if len(lost) > 6:
        names = ", ".join(model.table for model in lost[:6])
        yield MODEL.effect(
            subject=f"{len(lost)} models",
            path=path,
            line=lost[0].line,
            side=Side.BASE,
            before=names,
            message=f"{len(lost)} models leave the schema ({names} and others): the next push drops their tables.",
            facts=tuple(("table", model.table) for model in lost[:100]),
        )
        return
    for model in lost:
        yield MODEL.effect(
            subject=model.table,
            path=path,
            line=model.line,
            side=Side.BASE,
            facts=(("table", model.table), ("action", "drop")),
            message=f"The model {model.name} leaves the schema: the next push drops the table {model.table} and all its rows.",
        )


def _setting(change: Change, file: FileChange) -> Iterator[Effect]:
    before, after = change.base_bytes(file), change.head_bytes(file)
    was = schema_code.schema_setting(text_of(before, file.base_path)) if before is not None else None
    now = schema_code.schema_setting(text_of(after, file.path)) if after is not None else None
    if now is None or _RANK.get(now[0], 0) < 2 or _RANK.get(now[0], 0) <= _RANK.get(was[0] if was else "none", 0):
        return
    drops = _RANK[now[0]] == 3
    what = "drops every table and makes it again" if drops else "changes tables to fit the code"
    yield SYNCHRONISED.effect(
        subject=file.path,
        path=file.path,
        line=now[1],
        before=was[0] if was else None,
        after=now[0],
        severity=Severity.CRITICAL if drops else Severity.MODERATE,
        message=f"At every start the program {what} ({now[0]}).",
    )


def _new_resets(change: Change, file: FileChange) -> Iterator[Effect]:
    before, after = change.base_bytes(file), change.head_bytes(file)
    if after is None:
        return
    read = _program if _CODE.search(file.path) else _script if _SCRIPT.search(file.path) else None
    if read is None:
        return
    if before is not None and read is _program and not _may_differ(change, file):
        return
    try:
        old = Counter(reset.what for reset in read(before, file.base_path)) if before is not None else Counter[str]()
    except Unreadable:
        old = Counter()
    for reset in read(after, file.path):
        if old[reset.what]:
            old[reset.what] -= 1
            continue
        rule = SYNCHRONISED if reset.what in ("synchronize", "dropSchema") else EMPTIED
        yield rule.effect(
            subject=f"{file.path}: {reset.what}",
            path=file.path,
            line=reset.line,
            after=reset.what,
            severity=Severity.MODERATE if before is None else None,
            message=f"The code {reset.message}." if read is _program else f"The command {reset.message}.",
        )


_HINTS = (
    b"synchronize",
    b"dropSchema",
    b"drop_all",
    b"force",
    b"dropDatabase",
    b"drop_database",
    b"deleteMany",
    b"objects",
    b"delete_all",
    b"destroy_all",
    b"lush",
    b"call_command",
    b"Artisan",
)


def _may_differ(change: Change, file: FileChange) -> bool:
    """Whether a line that differs speaks of emptying something, or of the condition that such a call had."""
    lines = change.lines(file)
    return any(hint in line for _, line in lines.added for hint in _HINTS) or any(
        b"where" in line or b"filter" in line for _, line in lines.removed
    )


def _program(data: bytes, path: str) -> Iterable[Reset]:
    return schema_code.resets(data, path) if any(hint in data for hint in _HINTS) else ()


def _script(data: bytes, path: str) -> Iterable[Reset]:
    text = text_of(data, path)
    if path.endswith("package.json"):
        # Only the scripts that a host or a deployment calls by name.
        text = "\n".join(line if _CALLED.match(line) or '"scripts": {"' in line else "" for line in text.split("\n"))
    return schema_code.commands(text)


_CALLED = re.compile(r"\s*\"[\w:.-]*(?:deploy|start|build|release|prod|install|vercel|heroku|railway|render|ci)[\w:.-]*\"\s*:")


DETECTOR = Detector(name="schema-code", title="Schemas as code", rules=RULES, detect=detect, group=together)
