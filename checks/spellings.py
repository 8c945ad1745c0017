"""Which source names a table or column: the spellings that code gives a name, and a bounded search through the files that can read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, cast

from checks.kept import Kept
from checks.model import Tree, Unreadable
from checks.places import Place, place_of

Found = TypeVar("Found")

FILES, BYTES = 4000, 64 << 20
"""How much source is searched; more is not known."""

_SOURCE = re.compile(
    r".*\.(?:py|rb|js|jsx|mjs|cjs|ts|tsx|mts|cts|go|java|kt|kts|scala|cs|php|rs|ex|exs|swift|vue|svelte|erb|haml|html|jinja2?|graphql|prisma|sql|ya?ml|json|lua|pl|sh)\Z",
    re.IGNORECASE | re.DOTALL,
)
_OF_SCHEMA = re.compile(
    r"(?:^|/)(?:[\w.-]*migrat\w*|alembic|versions|changelogs?|liquibase|flyway)(?:/|[\w.-]*$)|(?:^|/)(?:schema\.rb|structure\.sql|schema\.sql|schema\.prisma)$|lock",
    re.IGNORECASE,
)
"""Where the schema itself is written: migrations and dumps read nothing."""


def bare(name: str) -> str:
    """The last part of a qualified name, without quotes."""
    return name.rpartition(".")[2].strip('"`[]')


@dataclass(frozen=True, slots=True)
class Word:
    """A name in all its spellings."""

    forms: tuple[bytes, ...]
    """In small letters, the longest first."""
    either: bytes
    """The forms as alternatives of a pattern."""
    pattern: re.Pattern[bytes]
    """It as a whole word."""

    def possible(self, small: bytes) -> bool:
        """Whether a text in small letters has one of the forms anywhere: most have none, which a plain search says many times faster."""
        return any(form in small for form in self.forms)

    def within(self, content: bytes) -> bool:
        """Whether a content names it as a whole word, whatever the case of its letters."""
        small = content.lower()
        return self.possible(small) and self.pattern.search(small) is not None


@lru_cache(maxsize=64)
def spellings(name: str, table: bool) -> Word:
    """A name as code spells it: as written, in camel case, and for a table also the class of one row."""
    parts = [part for part in re.split(r"[_\W]+", name) if part]
    forms = {name, "".join(parts), "_".join(parts)}
    if table and parts:
        last = parts[-1]
        single = last[:-3] + "y" if last.endswith("ies") else last[:-2] if last.endswith(("sses", "xes")) else last.removesuffix("s")
        forms |= {"".join((*parts[:-1], single)), "_".join((*parts[:-1], single))}
    small = sorted({form.encode("utf-8", "surrogateescape").lower() for form in forms if form}, key=lambda form: (-len(form), form))
    either = b"|".join(re.escape(form) for form in small)
    return Word(tuple(small), either, re.compile(rb"(?<![a-z0-9_])(?:" + either + rb")(?![a-z0-9_])"))


def reads_names(path: str) -> bool:
    """Whether a path is source that may read a table or column: not migrations, dumps, tests, words."""
    return (
        _SOURCE.match(path) is not None
        and _OF_SCHEMA.search(path) is None
        and place_of(path) in (Place.DEPLOYED, Place.EXAMPLE)
        and not path.startswith(".github/")
    )


def looked_at(tree: Tree, paths: Sequence[str], question: object, look: Callable[[bytes, str], Found]) -> Iterator[tuple[str, Found]]:
    """What `look` says of each file, in their order; the same `question` asked of the same content again is answered from memory.

    Raises `Unreadable` where a bound leaves some out.
    """
    entries = {path: entry for path in paths[:FILES] if (entry := tree.entry(path)) is not None and entry.is_file}
    known = {path: cast("tuple[Found, int] | None", _LOOKED.get((entry.oid, question))) for path, entry in entries.items()}
    unread = [path for path, answer in known.items() if answer is None]
    tree.prefetch(unread)
    ahead = {path: unread[at : at + AHEAD] for at in range(0, len(unread), AHEAD) for path in unread[at : at + 1]}
    size = 0
    for path, entry in entries.items():
        answer = known[path]
        if answer is None:
            if path in ahead:
                tree.read_ahead(ahead[path])
            content = tree.read(path) or b""
            answer = (look(content, path), len(content))
            _LOOKED.put((entry.oid, question), answer)
        yield path, answer[0]
        size += answer[1]
        if size >= BYTES:
            raise Unreadable(path, f"more than {BYTES >> 20} MiB")
    if len(paths) > FILES:
        raise Unreadable(paths[FILES], f"more than {FILES:,} source files")


AHEAD = 250
"""Files that are read in one exchange."""
_LOOKED = Kept(200_000)
