"""TOML as nodes that know their line (toml.io/en/v1.0.0). The values are the standard library's; the lines are those of headers and keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from checks.model import Unreadable
from checks.readers import text_of
from checks.readers.documents import DEPTH, Node

_HEADER = re.compile(r"[ \t]*\[{1,2}[ \t]*+([^\[\]\n]{1,400}?)[ \t]*+\]{1,2}[ \t]*(?:#.*)?\Z")
_KEY = re.compile(r"""[ \t]*((?:[A-Za-z0-9_.-]|"[^"\n]{0,200}"|'[^'\n]{0,200}')+)[ \t]*=""")


_QUOTED = re.compile(r"""\"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
DOTS = 200
"""Dots on one line outside quotes: the standard parser's time grows with the square of a key's parts."""


def loads(text: str, path: str) -> dict[str, Any]:
    """The values of TOML text. Raises `Unreadable` with the line where the parser gives one."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > DOTS and _QUOTED.sub("", line).count(".") > DOTS:
            raise Unreadable(path, f"a line has more than {DOTS} dots outside quotes", number)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        found = re.search(r"line ([0-9]+)", str(error))
        raise Unreadable(path, f"it is not valid TOML: {str(error)[:80]}", int(found[1]) if found else None) from None


@lru_cache(maxsize=64)
def toml(data: bytes, path: str) -> Node:
    """A TOML file as a map. Raises `Unreadable` with the line where the parser gives one."""
    text = text_of(data, path)
    try:
        return _node(loads(text, path), (), _lines(text), 1, 0, path)
    except Unreadable as unreadable:
        raise unreadable.of(data) from None


def _lines(text: str) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        header = _HEADER.match(line)
        if header:
            table = _split(header[1])
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault(table + _split(key[1]), number)
    return lines


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part[0] or part[1] or part[2] for part in re.findall(r'"([^"]*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)', dotted))


def _node(value: Any, at: tuple[str, ...], lines: Mapping[tuple[str, ...], int], line: int, depth: int, path: str) -> Node:
    if depth > DEPTH:
        raise Unreadable(path, f"it is nested more than {DEPTH} levels deep")
    line = lines.get(at, line)
    if isinstance(value, dict):
        pairs = []
        for key, item in value.items():
            node = _node(item, (*at, key), lines, line, depth + 1, path)
            pairs.append((Node(line=node.line, text=key, plain=False), node))
        return Node(line=line, pairs=tuple(pairs))
    if isinstance(value, list):
        return Node(line=line, items=tuple(_node(item, at, lines, line, depth + 1, path) for item in value))
    if isinstance(value, bool):
        return Node(line=line, text="true" if value else "false")
    if isinstance(value, int | float):
        return Node(line=line, text=str(value))
    return Node(line=line, text=str(value), plain=False)
