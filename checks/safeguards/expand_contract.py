"""
Nothing at head still reads what is dropped or renamed.

## What it proves
The release that is running does not break when the column or table goes.

## What counts as proof
No source file at head names the column or table as a whole word, in the spellings that code gives it, and this change does not take the last
reader away itself: that went in an earlier change, or there never was one. A common word is found somewhere, and then nothing is proven.

## How the proof is authenticated
It is read from the two trees that merge. Where the repository is too large to be searched, nothing is known.

## What turns it green
Remove the last reader in a pull request of its own, release it, then drop.

## What it cannot prove
Readers outside this repository, names put together at run time, and that the earlier change has been released.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from checks.model import Change, Effect, Hazard, Proof, Tree, Unreadable
from checks.places import Place, place_of
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met, missing, unknown

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


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    name = effect.fact("column") or effect.fact("table")
    if not name:
        return missing("it is not known which table or column is meant, so its readers cannot be looked for")
    word = spellings(name.rpartition(".")[2].strip('"`[]'), table=effect.fact("column") is None)
    removed = _removed(change, word)
    if removed:
        return failed(f"this change takes away a reader ({removed}) together with what it reads: release that first")
    try:
        reader = _reader(change.after, word)
    except Unreadable as unreadable:
        return unknown(f"readers could not be looked for everywhere: {unreadable.why}")
    return met(f"no source file names {name}") if reader is None else missing(f"{reader} still names {name}")


@dataclass(frozen=True, slots=True)
class Word:
    """A name in all its spellings."""

    forms: tuple[bytes, ...]
    """In small letters."""
    pattern: re.Pattern[bytes]

    def within(self, content: bytes) -> bool:
        """Whether a content names it as a whole word, whatever the case of its letters."""
        small = content.lower()
        # Most contents have none of the forms anywhere, which a plain search says many times faster.
        return any(form in small for form in self.forms) and self.pattern.search(small) is not None


@lru_cache(maxsize=64)
def spellings(name: str, table: bool) -> Word:
    """A name as code spells it: as written, in camel case, and for a table also the class of one row."""
    parts = [part for part in re.split(r"[_\W]+", name) if part]
    forms = {name, "".join(parts), "_".join(parts)}
    if table and parts:
        last = parts[-1]
        single = last[:-3] + "y" if last.endswith("ies") else last[:-2] if last.endswith(("sses", "xes")) else last.removesuffix("s")
        forms |= {"".join((*parts[:-1], single)), "_".join((*parts[:-1], single))}
    small = {form.encode("utf-8", "surrogateescape").lower() for form in forms if form}
    words = b"|".join(re.escape(form) for form in sorted(small, key=len, reverse=True))
    return Word(tuple(small), re.compile(rb"(?<![a-z0-9_])(?:" + words + rb")(?![a-z0-9_])"))


def _reads(path: str) -> bool:
    return (
        _SOURCE.match(path) is not None
        and _OF_SCHEMA.search(path) is None
        and place_of(path) in (Place.DEPLOYED, Place.EXAMPLE)
        and not path.startswith(".github/")
    )


def _removed(change: Change, word: Word) -> str | None:
    """A changed file that named it at base and does not at head."""
    for file in change.files:
        if file.old is None or not _reads(file.base_path):
            continue
        try:
            gone = b"\n".join(line for _, line in change.lines(file).removed)
            if word.within(gone) and not word.within(change.head_bytes(file) or b""):
                return file.base_path
        except Unreadable:
            continue
    return None


def _reader(tree: Tree, word: Word) -> str | None:
    """A source file that names it. Raises `Unreadable` where not all of them can be searched."""
    paths = [path for path in tree.paths() if _reads(path)]
    tree.prefetch(paths[:FILES])
    return _search(tree, paths, word)


def _search(tree: Tree, paths: Iterable[str], word: Word) -> str | None:
    size = 0
    for searched, path in enumerate(paths, 1):
        content = tree.read(path) or b""
        size += len(content)
        if word.within(content):
            return path
        if searched >= FILES or size >= BYTES:
            raise Unreadable(path, f"more than {FILES:,} source files or {BYTES >> 20} MiB")
    return None


def _turns_green(effect: Effect, policy: Policy) -> str:
    name = effect.fact("column") or effect.fact("table") or effect.subject
    return (
        f"Remove every reader of `{effect.subject}` in a pull request of its own, release that, and drop it afterwards. To find them:\n\n"
        f"```\ngit grep -nwi {name.rpartition('.')[2]}\n```"
    )


SAFEGUARD = Safeguard(
    name="expand-contract",
    title="Nothing reads it any more",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.COMPATIBILITY_BROKEN}),
    turns_green=_turns_green,
    from_change=_from_change,
)
