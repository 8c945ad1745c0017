"""Schemas kept as code, and commands in programs that empty or rebuild a database.

Prisma's schema language (prisma.io/docs/orm/reference/prisma-schema-reference) by its own line grammar; programs through `checks.readers.calls`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from checks.readers import text_of
from checks.readers.calls import Value, program, walk

_BLOCK = re.compile(r"^\s*(model|enum|view|type)\s+(\w+)\s*\{")
_MAP = re.compile(r"@@map\(\s*(?:name:\s*)?\"([^\"]+)\"")
_FIELD_MAP = re.compile(r"(?<!@)@map\(\s*(?:name:\s*)?\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a Prisma schema."""

    name: str
    table: str
    line: int
    columns: tuple[tuple[str, str, int], ...]
    """(column, type, line) of everything that is stored: relations are not."""


@lru_cache(maxsize=64)
def prisma(data: bytes, path: str) -> tuple[Model, ...]:
    """The models of a Prisma schema. Raises `Unreadable` where it is no text."""
    found: list[tuple[str, str, int, list[tuple[str, str, int]]]] = []
    kind = ""
    for number, line in enumerate(text_of(data, path).split("\n"), 1):
        code = re.sub(r"//.*$", "", line).strip()
        if match := _BLOCK.match(code):
            kind = match[1]
            if kind == "model":
                found.append((match[2], match[2], number, []))
        elif code == "}":
            kind = ""
        elif kind == "model" and code:
            if mapped := _MAP.search(code):
                name, _, at, columns = found[-1]
                found[-1] = (name, mapped[1], at, columns)
            elif not code.startswith("@@") and len(words := code.split(None, 2)) > 1:
                column = (match[1] if (match := _FIELD_MAP.search(code)) else words[0]), words[1].rstrip("?"), number
                if "@relation" not in code:
                    found[-1][3].append(column)
    names = {name for name, _, _, _ in found}
    return tuple(
        Model(name, table, line, tuple(column for column in columns if column[1].removesuffix("[]") not in names))
        for name, table, line, columns in found
    )


@dataclass(frozen=True, slots=True)
class Reset:
    """A call that empties or rebuilds a database."""

    what: str
    """The call as a key: equal for the same call in another place."""
    line: int
    message: str


@lru_cache(maxsize=256)
def resets(data: bytes, path: str) -> tuple[Reset, ...]:
    """Every such call of a program. Raises `Unreadable`."""
    return tuple(found for value in walk(program(data, path)) if (found := _reset(value)) is not None)


_ROOTS = re.compile(r"(?:^|_)(?:prisma|db|tx|client|orm|models?)(?:$|_)", re.IGNORECASE)


def _reset(value: Value) -> Reset | None:
    if value.kind == "map":
        synchronize = next((item for key, item in value.named if key in ("synchronize", "dropSchema")), None)
        keys = {key for key, _ in value.named}
        if (
            synchronize is not None
            and synchronize.true
            and keys & {"type", "entities", "host", "url", "database", "migrations", "autoLoadEntities"}
        ):
            drop = any(key == "dropSchema" and item.true for key, item in value.named)
            return Reset(
                "dropSchema" if drop else "synchronize",
                synchronize.line,
                "drops the whole schema when it starts"
                if drop
                else "changes the database to fit the code when it starts, dropping columns that the code no longer has",
            )
        return None
    if value.kind != "call":
        return None
    chain = value.chain
    names = [link.text for link in chain]
    name, last = value.text, value
    if name == "drop_all" and "metadata" in names:
        return Reset("drop_all", last.line, "drops every table that the code knows")
    if name == "sync" and (force := last.option("force")) is not None and force.true:
        return Reset("sync force", last.line, "drops and makes again every table that the code knows")
    if name in ("dropDatabase", "drop_database", "dropSchema") and last.receiver is not None:
        return Reset(".".join(names[-3:]), last.line, "drops a whole database or schema")
    if name == "deleteMany" and len(names) >= 2 and _ROOTS.search(names[0]):
        given = last.arg(0)
        where = next((item for key, item in given.named if key == "where"), None) if given is not None else None
        if given is None or (given.kind == "map" and (not given.named or (where is not None and where.kind == "map" and not where.named))):
            return Reset(".".join(names), last.line, f"deletes every row of {names[-2]}")
    if name in ("delete", "_raw_delete") and not last.items and len(chain) >= 3 and chain[-2].text == "all" and "objects" in names:
        return Reset(".".join(names), last.line, f"deletes every row of {names[0]}")
    if (
        name in ("delete_all", "destroy_all")
        and len(chain) == 2
        and chain[0].kind == "word"
        and chain[0].text[:1].isupper()
        and not last.items
        and not last.named
    ):
        return Reset(".".join(names), last.line, f"deletes every row of {chain[0].text}")
    if name in ("flushall", "flushAll", "flushdb", "flushDb", "FlushAll", "FlushDB") and last.receiver is not None:
        return Reset(".".join(names), last.line, "empties a whole Redis database")
    if name in ("call_command", "call") and last.string(0) in (
        "flush",
        "reset_db",
        "migrate:fresh",
        "migrate:refresh",
        "db:wipe",
        "migrate:reset",
    ):
        return Reset(f"{name} {last.string(0)}", last.line, f"runs {last.string(0)}, which empties the database")
    return None


_COMMANDS = (
    (re.compile(r"\bprisma\s+db\s+push\b[^\n;&|]*--(?:accept-data-loss|force-reset)"), "pushes a schema and accepts that data is lost"),
    (re.compile(r"\bprisma\s+migrate\s+reset\b"), "drops the database and makes it again"),
    (re.compile(r"\bdrizzle-kit\s+push\b[^\n;&|]*--force"), "pushes a schema and accepts that data is lost"),
    (re.compile(r"\b(?:rails|rake|bin/rails|bin/rake)\s+(?:[\w:]+\s+)*db:(?:reset|drop|migrate:reset|seed:replant|purge|truncate_all)\b"), "drops or empties the database"),
    (re.compile(r"\bartisan\s+(?:migrate:(?:fresh|refresh|reset)|db:wipe)\b"), "drops or empties the database"),
    (re.compile(r"\bmanage\.py\s+(?:flush|reset_db|sqlflush)\b"), "empties the database"),
    (re.compile(r"\b(?:mix\s+ecto\.(?:reset|drop)|sequelize(?:-cli)?\s+db:(?:drop|migrate:undo:all)|typeorm\s+schema:(?:drop|sync)|knex\s+migrate:rollback\s+--all|alembic\s+downgrade\s+base|flyway\s+clean|liquibase\s+drop-?all|goose\s+[^\n;&|]*\breset|migrate\s+[^\n;&|]*\bdrop\b\s+-f|supabase\s+db\s+reset\s+--linked|dropdb\b)"), "drops or empties the database"),
)  # fmt: skip


def commands(text: str) -> tuple[Reset, ...]:
    """Every such command in a shell script, a Makefile or a manifest's script."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        code = re.sub(r"(?:^|\s)#.*$", "", line)
        for shape, message in _COMMANDS:
            if match := shape.search(code):
                found.append(Reset(" ".join(match[0].split()), number, message))
    return tuple(found)


_SETTING = re.compile(
    r"^\s*(?:spring\.jpa\.hibernate\.|hibernate\.hbm2|.*\.)?(ddl-auto|ddl\.auto|hbm2ddl\.auto|ddlauto)\s*[:=]\s*[\"']?([\w-]+)",
    re.IGNORECASE,
)


def schema_setting(text: str) -> tuple[str, int] | None:
    """The value of Hibernate's schema setting and its line (docs.jboss.org/hibernate: hibernate.hbm2ddl.auto)."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.lstrip().startswith("#") and (match := _SETTING.match(line)):
            return match[2].lower(), number
    return None
