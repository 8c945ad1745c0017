"""Migrations of many frameworks as one thing: what the way up does, and whether there is a way down.

A framework is known by its path and by marks in the file. Files that only ever build an empty database (schema dumps, seeds, fixtures,
initialisation scripts) are no migrations. Sources: the documentation of each framework; the shapes are in the table `FRAMEWORKS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from checks.places import Place, place_of
from checks.readers import text_of
from checks.readers.sql import Operation, Script, Unread, operations, script


class Back(StrEnum):
    """Whether a migration can be undone by its framework."""

    WRITTEN = "written"
    AUTOMATIC = "automatic"
    """The framework derives it."""
    MISSING = "missing"
    """The framework expects it, and it is not there."""
    EMPTY = "empty"
    RAISES = "raises"
    NEVER = "never"
    """The framework has none."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file."""

    path: str
    framework: str
    up: tuple[Operation, ...] = ()
    unread: tuple[Unread, ...] = ()
    back: Back = Back.NEVER
    back_line: int = 1
    down: tuple[Operation, ...] = ()


_FOLDER = re.compile(
    r"(?:^|/)(?:[\w.-]*[-_])?(?:migrations?|migrate|changelogs?|changesets?|deltas?|schema[-_]?updates?|sql[-_]?updates?|upgrades?|evolutions|drizzle)(?:[-_](?:sql|up|files|scripts))?/",
    re.IGNORECASE,
)
_NO_FOLDER = re.compile(
    r"(?:^|/)(?:[\w-]*(?:seed|fixture|snapshot|dump|initdb|entrypoint)[\w.-]*|init|bootstrap|\.?docker|backups?|queries|examples?|samples?|test[-_]?\w*|downgrades?|rollbacks?|meta)/",
    re.IGNORECASE,
)
_NO_FILE = re.compile(
    r"(?:^|/)(?:[\w.-]*(?:seeds?|fixtures?|dump|sample|mock|test[-_]?data|dummy[-_]?data)(?:[-_.][\w.-]*)?|schema|structure|tables|full[-_]schema|current[-_]schema)\.sql$",
    re.IGNORECASE,
)
_DECLARED = re.compile(
    r"(?:^|/)(?:[\w.-]*[-_.])?(?:(?:db[-_]?)?(?:grants?|roles|permissions|privileges|policies|rls|access)|db[-_]?users?)(?:[-_.][\w.-]*)?\.sql$",
    re.IGNORECASE,
)
_FLYWAY = re.compile(r"(?:^|/)([VUR])(\d[\w.]*?)?__[^/]+\.sql$")
_NUMBERED = re.compile(r"(?:^|/)\d{1,17}[-_.][^/]+\.sql$")
_PAIRED = re.compile(r"^(.*)\.(up|down|do|undo)\.sql$", re.IGNORECASE)
_CODE = (
    ("rails", re.compile(r"(?:^|/)(?:db|[\w-]*)/?(?:post_)?migrate/\d{10,}_\w+\.rb$")),
    ("django", re.compile(r"(?:^|/)migrations/(?!__init__)\w+\.py$")),
    ("alembic", re.compile(r"(?:^|/)(?:[\w-]*versions|alembic(?:/[\w-]+)*)/(?!__init__|env)[\w-]+\.py$")),
    ("script", re.compile(r"(?:^|/)(?:migrations?|migrate)/(?:[\w-]+/)?(?!index\.)[\w.-]+\.(?:ts|js|mjs|cjs)$")),
    ("ecto", re.compile(r"(?:^|/)priv/(?:[\w-]+/)*(?:[\w]*migrations)/\d+_\w+\.exs$")),
    ("laravel", re.compile(r"(?:^|/)database/migrations/(?:[\w-]+/)*\d{4}_\d\d_\d\d_\d+_\w+\.php$")),
    (
        "liquibase",
        re.compile(
            r"(?:^|/)(?:[\w.-]*(?:changelog|changeset|liquibase)[\w.-]*/(?:.*/)?[\w.-]+|[\w.-]*changelog[\w.-]*)\.(?:xml|ya?ml)$",
            re.IGNORECASE,
        ),
    ),
)


@lru_cache(maxsize=16384)
def framework_of(path: str) -> str:
    """The framework whose migration `path` looks like, "" for none. The content can still say otherwise."""
    if place_of(path) is not Place.DEPLOYED:
        return ""
    if path.lower().endswith(".sql"):
        return _sql_framework(path)
    return next((name for name, shape in _CODE if shape.search(path)), "")


def _sql_framework(path: str) -> str:
    if _DECLARED.search(path) and not _FOLDER.search(path):
        return "declared"
    if _NO_FILE.search(path) or (_NO_FOLDER.search(path) and not _FOLDER.search(path[_last_end(_NO_FOLDER, path) - 1 :])):
        return ""
    name = path.rpartition("/")[2].lower()
    if path.endswith("/migration.sql"):
        return "prisma"
    if name in ("up.sql", "down.sql"):
        return "pair-folder"
    if _PAIRED.match(path):
        return "pair-file"
    if _FLYWAY.search(path):
        return "flyway"
    if _FOLDER.search(path):
        return "sql"
    return "numbered" if _NUMBERED.search(path) else ""


def _last_end(shape: re.Pattern[str], path: str) -> int:
    return max((match.end() for match in shape.finditer(path)), default=1)


def is_down(path: str) -> bool:
    """Whether a file holds only a way down."""
    name = path.rpartition("/")[2].lower()
    pair = _PAIRED.match(path)
    flyway = _FLYWAY.search(path)
    return name == "down.sql" or bool(pair and pair[2].lower() in ("down", "undo")) or bool(flyway and flyway[1] == "U")


def partner(path: str) -> str | None:
    """Where the way down of the migration at `path` stands if it has a file of its own."""
    if path.endswith("/up.sql"):
        return path.removesuffix("up.sql") + "down.sql"
    pair = _PAIRED.match(path)
    if pair:
        return f"{pair[1]}.{'undo' if pair[2].lower() == 'do' else 'down'}.sql"
    return None


def version_of(path: str) -> tuple[object, ...]:
    """A key that puts migrations of one folder in the order they run."""
    folder, _, name = path.rpartition("/")
    if name in ("migration.sql", "up.sql", "down.sql"):
        folder, _, name = folder.rpartition("/")
    parts: list[object] = [folder]
    for number, word in re.findall(r"(\d+)|(\D+)", name):
        parts.append((0, int(number[:60]), "") if number else (1, 0, word))
    return tuple(parts)


@lru_cache(maxsize=1024)
def read(data: bytes, path: str, down: bytes | None = None) -> Migration | None:
    """The migration in `data`, None where it is none. `down` is the content of its partner file, if there is one.

    Raises `Unreadable`.
    """
    framework = framework_of(path)
    if not framework or is_down(path):
        return None
    if framework in _READERS:
        return _READERS[framework](data, path, down)
    from checks.readers import migration_code

    return migration_code.read(data, path, framework)


# --------------------------------------------------------------------------------------------------------------------------- SQL

_UP_MARK = re.compile(
    r"^[ \t]*--[ \t]*(?:\+goose|\+micrate|\+migrate|migrate:|rambler)[ \t]*(up|down|statementbegin|statementend)\b[^\n]*$"
    r"|^[ \t]*--+[ \t]*(up|down)(?:[ \t]+migration)?[ \t]*:?[ \t]*$"
    r"|^[ \t]*--[ \t]*//[ \t]*@(undo)\b[^\n]*$"
    r"|^[ \t]*---- create above / (drop) below ----[ \t]*$"
    r"|^[ \t]*(?:#[ \t]*---|--)[ \t]*!(ups|downs)[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""Marks that part a file in two: goose, sql-migrate, micrate, dbmate, rambler, node-pg-migrate, MyBatis migrations, tern, Play."""
_SIDES = {"up": "up", "ups": "up", "down": "down", "downs": "down", "undo": "down", "drop": "down"}
_LIQUIBASE = re.compile(r"\A\s*--\s*liquibase\s+formatted\s+sql", re.IGNORECASE)
_ROLLBACK = re.compile(r"^[ \t]*--[ \t]*rollback\b[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)


def _word(match: re.Match[str]) -> str:
    """up, down, or "" for a mark that opens neither."""
    return _SIDES.get((match[match.lastindex or 0] or "").lower(), "")


def _sql(data: bytes, path: str, down: bytes | None) -> Migration:
    text = text_of(data, path)
    if any(_word(match) for match in _UP_MARK.finditer(text)):
        return _marked(text, path)
    if _LIQUIBASE.match(text):
        return _liquibase_sql(text, path)
    whole = script(data, path)
    return Migration(path, framework_of(path), whole.operations, whole.unread)


def _marked(text: str, path: str) -> Migration:
    """One file with an up part and a down part."""
    parts: dict[str, list[str]] = {"up": [], "down": []}
    where, at, back_line, written = "up", 0, 1, False
    for match in [*_UP_MARK.finditer(text), None]:
        part = text[at : match.start() if match else len(text)]
        for side, kept in parts.items():
            kept.append(part if side == where else "\n" * part.count("\n"))
        if match is None:
            break
        if (word := _word(match)) and word != where:
            where = word
            if where == "down":
                written, back_line = True, text.count("\n", 0, match.start()) + 1
        at = match.end()
    up, down = (operations("".join(parts[side]), path) for side in ("up", "down"))
    return Migration(path, "marked", up.operations, up.unread, _back(down) if written else Back.MISSING, back_line, down.operations)


def _back(down: Script) -> Back:
    if down.unread or any(operation.verb != "set" for operation in down.operations):
        return Back.WRITTEN
    return Back.EMPTY


def _liquibase_sql(text: str, path: str) -> Migration:
    up = operations(text, path)
    rollbacks = [match[1].strip() for match in _ROLLBACK.finditer(text)]
    if not rollbacks:
        return Migration(path, "liquibase", up.operations, up.unread, Back.MISSING)
    down = operations(";\n".join(rollbacks).replace(";;", ";"), path)
    return Migration(path, "liquibase", up.operations, up.unread, _back(down), down=down.operations)


def _paired(data: bytes, path: str, down: bytes | None) -> Migration:
    whole = script(data, path)
    if down is None:
        return Migration(path, framework_of(path), whole.operations, whole.unread, Back.MISSING)
    back = script(down, partner(path) or path)
    return Migration(path, framework_of(path), whole.operations, whole.unread, _back(back), down=back.operations)


_READERS: dict[str, Callable[[bytes, str, bytes | None], Migration]] = {
    "declared": _sql, "prisma": _sql, "flyway": _sql, "sql": _sql, "numbered": _sql, "pair-folder": _paired, "pair-file": _paired,
}  # fmt: skip
