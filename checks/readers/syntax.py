"""Source files as tree-sitter trees, and the words of languages without a grammar here: bounded, parsed once.

Used by the readers of this room only; their values are plain, these trees are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from checks.model import Unreadable

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Tree

LIMIT = 1 << 20
"""Bytes of one source file."""
DEPTH = 400
"""Levels of nesting that a walk goes down."""
BRACKETS = 1_000
"""Levels of brackets, those in strings and comments counted: the parser's stack and a query's time grow with them."""

LANGUAGES = {
    ".py": "python", ".pyi": "python",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".go": "go", ".java": "java", ".rb": "ruby", ".rake": "ruby",
}  # fmt: skip
"""Ending of a file's name → grammar."""


def language_of(path: str) -> str | None:
    """The grammar for `path`, None where there is none here."""
    dot = path.rfind(".")
    return LANGUAGES.get(path[dot:].lower()) if dot >= 0 else None


@lru_cache(maxsize=16)
def grammar(name: str) -> Language:
    """A grammar, loaded on first use."""
    from tree_sitter import Language

    source: Callable[[], object]
    if name == "python":
        from tree_sitter_python import language as source
    elif name == "javascript":
        from tree_sitter_javascript import language as source
    elif name == "typescript":
        from tree_sitter_typescript import language_typescript as source
    elif name == "tsx":
        from tree_sitter_typescript import language_tsx as source
    elif name == "go":
        from tree_sitter_go import language as source
    elif name == "java":
        from tree_sitter_java import language as source
    else:
        from tree_sitter_ruby import language as source
    return Language(source())


@lru_cache(maxsize=16)
def _parser(name: str) -> Parser:
    from tree_sitter import Parser

    return Parser(grammar(name))


@lru_cache(maxsize=48)
def tree(data: bytes, path: str, language: str) -> Tree:
    """The syntax tree of a file; tree-sitter always gives one, with error nodes where the text makes no sense. Raises `Unreadable`."""
    if len(data) > LIMIT:
        raise Unreadable(path, f"{len(data):,} bytes are over the limit of {LIMIT:,}")
    if too_deep(data, BRACKETS):
        raise Unreadable(path, f"its brackets nest more than {BRACKETS:,} levels deep")
    if language in ("typescript", "tsx"):
        # The grammar does not know `f<typeof import("x")>()` and loses the rest of the file; a name of the same length stands in.
        data = _IMPORTED_TYPE.sub(lambda match: b"T" * len(match.group()), data)
    return _parser(language).parse(data)


_BRACKETS = re.compile(rb"[\[({\])}]")


def too_deep(data: bytes, limit: int) -> bool:
    """Whether brackets are open at once more than `limit` times, whatever stands in strings."""
    if data.count(b"(") + data.count(b"[") + data.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _BRACKETS.finditer(data):
        depth = depth + 1 if bracket.group() in b"([{" else max(0, depth - 1)
        if depth > limit:
            return True
    return False


_IMPORTED_TYPE = re.compile(rb"""typeof\s+import\(\s*["'][^"'\n]*["']\s*\)""")


def text(node: Node | None) -> str:
    """The source text of a node, "" for none."""
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def line(node: Node) -> int:
    """The 1-based line a node starts on."""
    return int(node.start_point[0]) + 1


def walk(node: Node, into: Callable[[Node], bool]) -> Iterator[Node]:
    """Every named node below `node` and itself, in order; below those that `into` refuses it does not look."""
    stack: list[tuple[Node, int]] = [(node, 0)]
    while stack:
        here, depth = stack.pop()
        yield here
        if depth < DEPTH and into(here):
            stack.extend((child, depth + 1) for child in reversed(here.named_children))


@lru_cache(maxsize=64)
def query(language: str, source: str) -> Any:
    """A compiled query."""
    from tree_sitter import Query

    return Query(grammar(language), source)


def captures(node: Node, language: str, source: str) -> dict[str, list[Node]]:
    """All nodes below `node` that a query captures, by the capture's name."""
    from tree_sitter import QueryCursor

    found: dict[str, list[Node]] = QueryCursor(query(language, source)).captures(node)
    return found


_NOT_NEWLINE = re.compile(r"[^\n]")


@lru_cache(maxsize=16)
def _covers(line_comments: tuple[str, ...], block: tuple[str, str] | None, quotes: str, literals: str) -> re.Pattern[str]:
    parts = [f"{re.escape(block[0])}.*?(?:{re.escape(block[1])}|\\Z)"] if block else []
    parts += [literals] if literals else []
    parts += [f"{re.escape(mark)}[^\n]*" for mark in line_comments]
    for quote in quotes:
        parts += [f"{quote * 3}.*?(?:{quote * 3}|\\Z)", f"{quote}(?:\\\\.|[^{quote}\\\\\n])*{quote}?"]
    return re.compile("|".join(parts), re.DOTALL)


def blank(
    source: str,
    line_comments: tuple[str, ...] = ("//",),
    block: tuple[str, str] | None = ("/*", "*/"),
    quotes: str = '"',
    literals: str = "",
) -> str:
    """`source` with comments and string contents replaced by spaces, newlines and length kept: for languages read by their braces.

    `literals` is a pattern of the language's other literals (raw strings, characters). A string ends at its quote or at the line's end (a triple
    quote at the next triple quote), so a stray quote costs one line at most.
    """

    def wiped(match: re.Match[str]) -> str:
        found = match.group()
        if found[0] not in quotes:
            return _NOT_NEWLINE.sub(" ", found)
        return found[0] + _NOT_NEWLINE.sub(" ", found[1:-1]) + found[-1] if len(found) > 1 else found

    return _covers(line_comments, block, quotes, literals).sub(wiped, source)


_BRACE = re.compile(r"[{}]")


def closings(source: str) -> dict[int, int]:
    """For each brace that opens in blanked text and is closed: its index, and the index after the one that closes it."""
    opened: list[int] = []
    found: dict[int, int] = {}
    for brace in _BRACE.finditer(source):
        if brace.group() == "{":
            opened.append(brace.start())
        elif opened:
            found[opened.pop()] = brace.end()
    return found
