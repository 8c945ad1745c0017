"""Shell globs on repository paths, compiled to linear regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=1024)
def glob(pattern: str) -> re.Pattern[str]:
    """`pattern` as an expression for a whole path, case ignored.

    `*` and `?` do not cross `/`; `**/` is any folders or none, a last `**` everything below; `{a,b}` is either; anything else is itself.
    A pattern without `/` is for the file's name in any folder.
    """
    if "/" not in pattern:
        pattern = "**/" + pattern
    return re.compile(_expression(pattern), re.IGNORECASE | re.DOTALL)


def _expression(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        elif pattern[at] == "*":
            out.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            out.append("[^/]")
            at += 1
        elif pattern[at] == "{" and "}" in pattern[at:]:
            end = pattern.index("}", at)
            out.append("(?:" + "|".join(_expression(part) for part in pattern[at + 1 : end].split(",")) + ")")
            at = end + 1
        else:
            out.append(re.escape(pattern[at]))
            at += 1
    return "".join(out)


@lru_cache(maxsize=256)
def any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all of `patterns`."""
    return re.compile("|".join(f"(?:{glob(pattern).pattern})\\Z" for pattern in patterns) or r"(?!)", re.IGNORECASE | re.DOTALL)


def matching(patterns: Iterable[str], path: str) -> bool:
    """Whether `path` matches any of `patterns`."""
    return any_of(tuple(patterns)).match(path) is not None
