"""The reach of a schema: which source reads a table or column that goes, gets another name or takes less than before.

A name alone says little, so how code names it counts: in SQL, as an attribute, field or quoted key, as the class of a model. The more common the
name, the nearer its table must stand. Looked for only where an effect takes away from a table or column, and within the bounds of that search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from checks.model import Change, Effect, Hazard, Unreadable
from checks.reach.edges import of_tests
from checks.reach.units import ships
from checks.spellings import Word, bare, looked_at, reads_names, spellings

REASONS = ("is changed in", "names it")
"""Why a table or column depends on the file that changes it, and its reader on the table or column."""
NAMES = 40
"""Tables and columns that are looked for."""
READERS = 200
"""Readers that are kept."""
MENTIONS = 300
"""Mentions of one name that are looked at in one file."""
STATEMENT = 1_800
"""Bytes before a table's name in which its statement begins."""
NEAR, BESIDE = 8, 2
"""Lines between a name and its table: where it may stand bare, and where it is one of the common names."""

_TAKEN = frozenset({Hazard.DATA_DESTROYED, Hazard.COMPATIBILITY_BROKEN})
_CODE = re.compile(
    r".*\.(?:py|rb|[cm]?[jt]sx?|go|java|kts?|scala|cs|php|rs|exs?|swift|vue|svelte|erb|haml|graphql|prisma|sql|lua|pl)\Z",
    re.IGNORECASE | re.DOTALL,
)
_COMMON = frozenset(
    {
        "id", "ids", "uid", "uuid", "guid", "pk", "key", "keys", "name", "names", "title", "label", "slug", "code", "type", "types",
        "kind", "status", "state", "flag", "flags", "value", "values", "data", "meta", "metadata", "info", "content", "contents",
        "body", "text", "note", "notes", "description", "comment", "comments", "message", "messages", "email", "phone", "address",
        "url", "uri", "link", "path", "file", "files", "size", "count", "total", "amount", "price", "order", "orders", "sort",
        "position", "index", "rank", "level", "priority", "score", "version", "hash", "token", "secret", "password", "user", "users",
        "owner", "author", "parent", "group", "groups", "role", "roles", "tag", "tags", "date", "time", "day", "month", "year", "start",
        "end", "created", "updated", "deleted", "created_at", "updated_at", "deleted_at", "created_by", "updated_by", "user_id",
        "is_active", "active", "enabled", "disabled", "visible", "hidden", "public", "private", "default", "options", "option",
        "settings", "setting", "config", "item", "items", "image", "images", "source", "target", "category", "country", "city",
        "zip", "lat", "lng", "currency", "language", "locale", "timestamp", "expires_at", "active_at", "first_name", "last_name",
    }
)  # fmt: skip
_OFTEN = re.compile(r"^(?:is|has)_|_(?:ids?|at|by|on)\Z|(?:Ids?|At|By)\Z", re.ASCII)
"""Names that many tables share: references, times and flags."""
_COMMENT = re.compile(rb"[ \t]*(?:#(?!\[)|//|--|/?\*|<!--|\{#)")
_SQL_LINE = re.compile(rb"\b(?:select|insert\s+into|update|delete\s+from|where|set|order\s+by|group\s+by|returning|join|having)\b")


@dataclass(frozen=True, slots=True)
class Reader:
    """A line that names a table or column which an effect takes from."""

    effect: Effect
    subject: str
    """The table, or the column of the table."""
    path: str
    line: int

    @property
    def steps(self) -> tuple[str, str, str]:
        """From the change to the reader, in words."""
        return self.effect.path, self.subject, f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class _Wanted:
    effect: Effect
    table: str
    column: str | None


def readers_of(change: Change, effects: Sequence[Effect]) -> tuple[tuple[Reader, ...], bool]:
    """One reader a file, for the first name that it reads; and whether a bound cut the search."""
    every = list(dict.fromkeys(_taken(effects)))
    wanted = every[:NAMES]
    if not wanted:
        return (), False
    folders = frozenset(part for one in wanted for part in one.effect.path.split("/")[:1])
    paths = [
        path
        for path in change.after.paths()
        if _CODE.match(path) and reads_names(path) and ships(path) and not of_tests(path.rpartition("/")[2])
    ]
    names = tuple((one.table, one.column) for one in wanted)
    found: list[Reader] = []
    try:
        # Where a bound is met, what stands under the same folder was looked at first.
        paths.sort(key=lambda path: path.split("/")[0] not in folders)
        for path, named in looked_at(change.after, paths, ("first", names), lambda content, _: _first(content, names)):
            if named is not None:
                one = wanted[named[0]]
                subject = f"column {one.table}.{one.column}" if one.column else f"table {one.table}"
                found.append(Reader(one.effect, subject, path, named[1]))
                if len(found) >= READERS:
                    return tuple(found), True
    except Unreadable:
        return tuple(found), True
    return tuple(found), len(every) > NAMES


def _taken(effects: Sequence[Effect]) -> Iterator[_Wanted]:
    """The tables and columns that effects take from; an index, a constraint or what is new is read by nobody."""
    for effect in effects:
        if effect.hazard not in _TAKEN:
            continue
        at = [number for number, (key, _) in enumerate(effect.facts) if key == "table"]
        for start, end in pairwise([*at, len(effect.facts)]):
            facts = dict(effect.facts[start:end])
            if facts.get("kind", "table") in ("table", "column", "view") and facts.get("action") != "create" and bare(facts["table"]):
                yield _Wanted(effect, bare(facts["table"]), bare(facts.get("column", "")) or None)


def _first(content: bytes, names: Sequence[tuple[str, str | None]]) -> tuple[int, int] | None:
    """The first of the tables and columns that a content reads, by its place among them, and the line."""
    small = content.lower()
    for number, (table, column) in enumerate(names):
        if spellings(column or table, table=column is None).possible(small):
            line = _column_line(small, table, column) if column else _table_line(small, table)
            if line is not None:
                return number, line
    return None


def _table_line(small: bytes, table: str) -> int | None:
    """The first line that names a table: a name of several words by itself, one word only as SQL or an object mapper names a table."""
    word = spellings(table, table=True)
    if _parts(table) > 1:
        return next((line for line, _ in _mentions(small, word)), None)
    as_table = _as_table(word)
    for number, match in enumerate(word.pattern.finditer(small)):
        if number >= MENTIONS:
            break
        # Few mentions stand beside a word that makes them a table's, so few are looked at as a statement.
        if _BESIDE_TABLE.search(small, max(0, match.start() - 60), match.end() + 60):
            start = small.rfind(b"\n", 0, max(0, match.start() - STATEMENT)) + 1
            named = as_table.search(small, start, match.end() + 200)
            if named:
                return small.count(b"\n", 0, named.end()) + 1
    return None


def _column_line(small: bytes, table: str, column: str) -> int | None:
    """The first line that names a column of this table."""
    word = spellings(column, table=False)
    access = _access(word)
    common = column.lower() in _COMMON or len(column) < 4 or _OFTEN.search(column) is not None
    near = [line for line, _ in _mentions(small, spellings(table, table=True))]
    for line, text in _mentions(small, word):
        accessed = access.search(text) is not None
        plain = accessed or _SQL_LINE.search(text) is not None
        if common:
            if plain and any(abs(line - other) <= BESIDE for other in near):
                return line
        elif (plain and (near or _parts(column) > 1)) or any(abs(line - other) <= NEAR for other in near):
            return line
    return None


def _parts(name: str) -> int:
    return len([part for part in re.split(r"[_\W]+|(?<=[a-z0-9])(?=[A-Z])", name) if part])


def _mentions(small: bytes, word: Word) -> Iterator[tuple[int, bytes]]:
    """The lines that name it, comments left out, as number and text."""
    line, at = 1, 0
    for number, match in enumerate(word.pattern.finditer(small)):
        if number >= MENTIONS:
            return
        line, at = line + small.count(b"\n", at, match.start()), match.start()
        end = small.find(b"\n", at)
        text = small[small.rfind(b"\n", 0, at) + 1 : end if end >= 0 else len(small)]
        if not _COMMENT.match(text):
            yield line, text


@lru_cache(maxsize=128)
def _access(word: Word) -> re.Pattern[bytes]:
    """As an attribute, a quoted or symbolic key, a keyword or a field."""
    forms = word.either
    return re.compile(rb"(?:[.\"'`:@]|->)(?:" + forms + rb")(?![a-z0-9_])|(?<![a-z0-9_])(?:" + forms + rb")[\"'`]?\s*(?:=(?!=)|:|\?:)")


_BESIDE_TABLE = re.compile(
    rb"from|into|table|join|update|truncate|knex|has_|belongs_to|@@map|select|query|getrepository|get_object_or|prisma|class|model|\.(?:objects|where|find|all|first|exists)|::"
)
"""What stands beside a table's name in each form of `_as_table`."""


@lru_cache(maxsize=128)
def _as_table(word: Word) -> re.Pattern[bytes]:
    """A one-word table as SQL, an object mapper's declaration, or a model's class names it."""
    forms = word.either
    sql = rb"[\"`\[]?(?:\w+[\"`\]]?\.[\"`\[]?)?(?:" + forms + rb")(?![a-z0-9_])"
    return re.compile(
        rb"(?:\bselect\b[^;]{1,1500}?\bfrom|\binsert\s+into|\bdelete\s+from|\btruncate(?:\s+table)?|\balter\s+table)\s+" + sql
        + rb"|\bjoin\s+" + sql + rb"(?:[\"`\]]?\s+(?:as\s+)?\w+)?[\"`\]]?\s+(?:on|using)\b"
        + rb"|\bupdate\s+" + sql + rb"[\"`\]]?\s+(?:(?:as\s+)?\w+\s+)?set\b"
        + rb"|(?:table|table_?name__|table_?name|(?:pg|mysql|sqlite)table|knex|\.from|\.into|has_many|has_one|belongs_to|@@map)[\"']?\s*[=:(,]*\s*[:\"'`](?:"
        + forms + rb")(?![a-z0-9_])"
        + rb"|(?<![a-z0-9_.])(?:" + forms + rb")(?:\.(?:objects|query|where|find\w*|all|first|exists)\b|::(?:where|find|query|all)\b)"
        + rb"|(?:\bselect|\bquery|getrepository|\bget_object_or_404)\(\s*(?:" + forms + rb")(?![a-z0-9_])"
        + rb"|\bprisma\.(?:" + forms + rb")\.|^[ \t]*(?:class|model)\s+(?:" + forms + rb")\s*(?:\(.*\b(?:model|base)\)|<\s*\w*record\b|\{\s*$)",
        re.MULTILINE,
    )  # fmt: skip
