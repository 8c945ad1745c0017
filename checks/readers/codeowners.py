"""CODEOWNERS: whose review a path asks for. The format: docs.github.com, "About code owners"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from checks.readers import text_of

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""In GitHub's order: the first that is there counts."""
SIZE = 3 << 20
"""Bytes of a file that GitHub still reads."""

Owners = tuple[tuple[str, tuple[str, ...], int], ...]
"""(pattern, owners, line), in the file's order."""


def effective(read: Callable[[str], bytes | None]) -> tuple[str | None, Owners]:
    """The file that counts and its lines, given how a path is read; (None, ()) where there is none. Raises `Unreadable`."""
    for path in PLACES:
        data = read(path)
        if data is not None:
            return path, lines_of(data, path)
    return None, ()


@lru_cache(maxsize=64)
def lines_of(data: bytes, path: str) -> Owners:
    """The lines that mean something: `!` and `[` have no meaning in this format."""
    found: list[tuple[str, tuple[str, ...], int]] = []
    for number, line in enumerate(text_of(data, path, SIZE).split("\n"), 1):
        words = re.split(r"(?<!\\)\s+", re.sub(r"(?:^|(?<=\s))#.*", "", line).strip())
        if words[0] and not words[0].startswith("!") and "[" not in words[0]:
            found.append((words[0], tuple(sorted(word.lower() for word in words[1:] if "@" in word)), number))
    return tuple(found)


def owners_of(rules: Owners, paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The owners of each path: the last matching line's."""
    last = rules[::-1]
    if not last:
        return [()] * len(paths)
    expression = _expression(last)
    return [last[match.lastindex - 1][1] if (match := expression.match(path)) and match.lastindex else () for path in paths]


@lru_cache(maxsize=64)
def _expression(last: Owners) -> re.Pattern[str]:
    """All lines in one expression, tried from the end of the file."""
    return re.compile("|".join(f"({_pattern(pattern)})\\Z" for pattern, _, _ in last))


def _pattern(pattern: str) -> str:
    """A pattern as an expression: gitignore's rules, but `dir/*` does not reach below the folder."""
    anchored = "/" in pattern.rstrip("/")
    body = pattern.strip("/").replace("\\ ", " ")
    out = ""
    at = 0
    while at < len(body):
        if body.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif body.startswith("**", at):
            out, at = out + ".*", at + 2
        elif body[at] == "*":
            out, at = out + "[^/]*", at + 1
        elif body[at] == "?":
            out, at = out + "[^/]", at + 1
        else:
            out, at = out + re.escape(body[at]), at + 1
    end = "/.*" if pattern.endswith("/") else "" if body.endswith("/*") else "(?:/.*)?"
    return ("" if anchored or pattern.startswith("/") else "(?:.*/)?") + out + end
