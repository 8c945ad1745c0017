"""YAML and JSON as nodes that know their line.

YAML is composed from the C parser's events, never by its own composer (which can crash the process on deep input), with the core schema of
YAML 1.2 (so `on` is a word, not true). JSON is read with comments and trailing commas allowed, as editors' settings have them.
Sources: yaml.org/spec/1.2.2 section 10.3; json.org; code.visualstudio.com/docs/languages/json ("JSON with Comments").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's C scanner, not in the type stubs
from typing import Any

from checks.model import Unreadable
from checks.readers import text_of

DEPTH = 100
"""Levels of nesting."""
NODES = 400_000
"""Nodes of one file."""
LIMIT = 4 << 20
"""Bytes of one file: bundles of Kubernetes objects are large."""


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a list or a map, with the line it starts on. Never changed once made (not frozen only because that doubles the time).

    Exactly one of `text`, `items` and `pairs` is not None. Comparing two nodes: use `same`.
    """

    line: int
    tag: str | None = None
    """A local tag as written (`!Ref`), None for none."""
    text: str | None = None
    plain: bool = True
    """A scalar without quotes (or a JSON literal): may mean a number, a boolean or null."""
    items: tuple[Node, ...] | None = None
    pairs: tuple[tuple[Node, Node], ...] | None = None

    @property
    def is_scalar(self) -> bool:
        return self.text is not None

    @property
    def is_list(self) -> bool:
        return self.items is not None

    @property
    def is_map(self) -> bool:
        return self.pairs is not None

    def get(self, *keys: str) -> Node | None:
        """The node found by going down the maps by `keys`, None where a step is missing."""
        node: Node | None = self
        for key in keys:
            if node is None or node.pairs is None:
                return None
            node = next((value for name, value in node.pairs if name.text == key), None)
        return node

    def key_line(self, key: str) -> int:
        """The line on which `key` stands; the map's own line where it is missing."""
        return next((name.line for name, _ in self.pairs or () if name.text == key), self.line)

    def keys(self) -> tuple[str, ...]:
        """The map's keys in order; empty for anything else."""
        return tuple(name.text or "" for name, _ in self.pairs or ())

    def entries(self) -> Iterator[tuple[str, Node]]:
        """The map's (key, value) pairs; nothing for anything else."""
        for name, value in self.pairs or ():
            yield name.text or "", value

    def elements(self) -> tuple[Node, ...]:
        """The list's nodes; a scalar or map counts as a list of itself, which many formats allow; null is empty."""
        if self.items is not None:
            return self.items
        return () if self.value is None and self.is_scalar else (self,)

    def string(self, *keys: str) -> str | None:
        """The text of the scalar below `keys`, None where there is none."""
        node = self.get(*keys)
        return None if node is None else node.text

    @property
    def value(self) -> Any:
        """The scalar's value by the core schema (str, int, float, bool or None); for lists and maps see `plain_value`."""
        if self.text is None or not self.plain or self.tag:
            return self.text
        return _scalar(self.text)

    def plain_value(self) -> Any:
        """The whole node as ordinary Python values, tags dropped. Raises `Unreadable` when aliases blow it up."""
        return _plain(self, [NODES])

    def walk(self) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """Every node below and this one, with its path of keys and indexes. Bounded as `plain_value` is."""
        budget = NODES
        stack: list[tuple[tuple[str | int, ...], Node]] = [((), self)]
        while stack:
            path, node = stack.pop()
            budget -= 1
            if budget < 0:
                raise Unreadable("", "its aliases expand to too many values", node.line)
            yield path, node
            if node.pairs is not None:
                stack.extend(((*path, name.text or ""), value) for name, value in reversed(node.pairs))
            elif node.items is not None:
                stack.extend(((*path, index), node.items[index]) for index in reversed(range(len(node.items))))


def same(one: Node | None, other: Node | None) -> bool:
    """Whether two nodes mean the same: values, tags and order of lists; not lines, quotes or order of keys."""
    if one is None or other is None:
        return one is other
    return frozen(one) == frozen(other)


def frozen(node: Node) -> object:
    """A hashable value, equal for nodes that mean the same."""
    if node.pairs is not None:
        return ("map", node.tag, frozenset((name.text, frozen(value)) for name, value in node.pairs))
    if node.items is not None:
        return ("list", node.tag, tuple(frozen(item) for item in node.items))
    return ("scalar", node.tag, node.value)


_INT = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]{1,300}(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def _plain(node: Node, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise Unreadable("", "its aliases expand to too many values", node.line)
    if node.pairs is not None:
        return {name.text or "": _plain(value, budget) for name, value in node.pairs}
    if node.items is not None:
        return [_plain(item, budget) for item in node.items]
    return node.value


@lru_cache(maxsize=256)
def yaml(data: bytes, path: str) -> tuple[Node, ...]:
    """All documents of a YAML file; empty documents are left out. Raises `Unreadable` with the line."""
    try:
        return tuple(_documents(text_of(data, path, LIMIT), path))
    except Unreadable as unreadable:
        raise unreadable.of(data) from None


def one_yaml(data: bytes, path: str) -> Node | None:
    """The first document of a YAML file, None if it has none."""
    return next(iter(yaml(data, path)), None)


def read(data: bytes, path: str) -> tuple[Node, ...]:
    """All documents of a file, JSON or YAML by its name's ending."""
    return (
        (json_node(data, path),)
        if path.endswith((".json", ".jsonc", ".json5", ".template", ".tfstate")) and _looks_json(data)
        else yaml(data, path)
    )


def _looks_json(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b"/", b'"')


class _Frame:
    """A list or map being composed."""

    __slots__ = ("anchor", "items", "key", "line", "pairs", "seen", "size", "tag")

    def __init__(self, line: int, tag: str | None, anchor: str | None, is_map: bool) -> None:
        self.line, self.tag, self.anchor = line, tag, anchor
        self.items: list[Node] = []
        self.pairs: list[tuple[Node, Node]] | None = [] if is_map else None
        self.seen: set[str] = set()
        self.key: Node | None = None
        self.size = 1


def _documents(text: str, path: str) -> Iterator[Node]:
    import yaml as pyyaml

    loader = getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)
    anchors: dict[str, Node] = {}
    sizes: dict[str, int] = {}
    stack: list[_Frame] = []
    count = 0
    try:
        event: Any
        for event in pyyaml.parse(text, Loader=loader):
            kind = type(event)
            if kind is pyyaml.DocumentStartEvent:
                anchors, sizes = {}, {}
                continue
            if kind is pyyaml.ScalarEvent:
                count += 1
                node = Node(
                    line=event.start_mark.line + 1,
                    tag=_tag(event.tag),
                    text=event.value,
                    plain=not event.style,
                )
                anchor, size = event.anchor, 1
            elif kind is pyyaml.AliasEvent:
                count += 1
                if event.anchor not in anchors:
                    raise Unreadable(path, f"the alias *{event.anchor[:60]} has no anchor", event.start_mark.line + 1)
                node, anchor, size = anchors[event.anchor], None, sizes[event.anchor]
            elif kind in (pyyaml.MappingStartEvent, pyyaml.SequenceStartEvent):
                count += 1
                if len(stack) >= DEPTH:
                    raise Unreadable(path, f"it is nested more than {DEPTH} levels deep", event.start_mark.line + 1, ours=True)
                stack.append(_Frame(event.start_mark.line + 1, _tag(event.tag), event.anchor, kind is pyyaml.MappingStartEvent))
                continue
            elif kind in (pyyaml.MappingEndEvent, pyyaml.SequenceEndEvent):
                frame = stack.pop()
                node = _closed(frame, path)
                anchor, size = frame.anchor, frame.size
            else:
                continue
            if count > NODES:
                raise Unreadable(path, f"it has more than {NODES:,} values", ours=True)
            if anchor:
                anchors[anchor], sizes[anchor] = node, size
            if stack:
                # What aliases stand for counts each time it is used: those who walk the nodes meet it each time.
                stack[-1].size += size
                if stack[-1].size > NODES:
                    raise Unreadable(path, f"with its aliases it has more than {NODES:,} values", event.start_mark.line + 1, ours=True)
            if not stack:
                if not (node.is_scalar and node.value is None):
                    yield node
            else:
                _put(stack[-1], node, path)
    except pyyaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(
            path, f"it is not valid YAML: {getattr(error, 'problem', None) or 'cannot be read'}", mark.line + 1 if mark else None
        ) from None
    except ValueError as error:
        raise Unreadable(path, f"it is not valid YAML: {str(error)[:80]}") from None


def _tag(tag: str | None) -> str | None:
    return tag if tag and tag.startswith("!") and tag != "!" else None


def _put(frame: _Frame, node: Node, path: str) -> None:
    if frame.pairs is None:
        frame.items.append(node)
    elif frame.key is None:
        frame.key = node if node.is_scalar else Node(line=node.line, text="?", plain=False)
    else:
        key, frame.key = frame.key, None
        name = key.text or ""
        if name != "<<":
            if name in frame.seen and node.is_scalar | node.is_list | node.is_map and name != "?":
                raise Unreadable(path, f"the key “{name[:60]}” stands twice in one map, and readers differ in which one counts", key.line)
            frame.seen.add(name)
        frame.pairs.append((key, node))


def _closed(frame: _Frame, path: str) -> Node:
    if frame.pairs is None:
        return Node(line=frame.line, tag=frame.tag, items=tuple(frame.items))
    pairs = frame.pairs
    if any(key.text == "<<" and key.plain for key, _ in pairs):
        pairs = _merged(pairs, path)
    return Node(line=frame.line, tag=frame.tag, pairs=tuple(pairs))


def _merged(pairs: list[tuple[Node, Node]], path: str) -> list[tuple[Node, Node]]:
    """Merge keys resolved: own keys win over merged ones, earlier merged maps over later ones (yaml.org/type/merge.html)."""
    out = [(key, value) for key, value in pairs if not (key.text == "<<" and key.plain)]
    have = {key.text for key, _ in out}
    for key, value in pairs:
        if not (key.text == "<<" and key.plain):
            continue
        for source in value.elements():
            for name, merged in source.pairs or ():
                if name.text not in have:
                    have.add(name.text)
                    out.append((name, merged))
                if len(out) > 20_000:
                    raise Unreadable(path, "its merge keys expand to too many values", key.line, ours=True)
    return out


_SPACE = re.compile(r"(?:[ \t\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SINGLE = re.compile(r"'((?:[^'\\\n]|\\.)*)'", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_LITERAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity")


@lru_cache(maxsize=256)
def json_node(data: bytes, path: str) -> Node:
    """A JSON file as a node; comments and trailing commas are allowed, a key that stands twice is not. Raises `Unreadable` with the line."""
    try:
        return _Json(text_of(data, path, LIMIT), path).document()
    except Unreadable as unreadable:
        raise unreadable.of(data) from None


def plain_json(data: bytes, path: str, limit: int = 32 << 20) -> Any:
    """A strict JSON file as ordinary values, fast and without lines: for large machine-written files. Raises `Unreadable`."""
    try:
        return json.loads(text_of(data, path, limit))
    except (ValueError, RecursionError) as error:
        raise Unreadable(path, f"it is not valid JSON: {str(error)[:80]}", getattr(error, "lineno", None)).of(data) from None


class _Json:
    """A recursive reader over one text; the depth is bounded."""

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path, self.count = text, path, 0
        self.loose = path.endswith((".json5", "renovaterc"))  # JSON5: names without quotes, strings between single ones (spec.json5.org)
        self.starts: list[int] = [0]
        self.starts.extend(match.end() for match in re.finditer("\n", text))

    def line(self, at: int) -> int:
        from bisect import bisect_right

        return bisect_right(self.starts, at)

    def fail(self, why: str, at: int, ours: bool = False) -> Unreadable:
        return Unreadable(self.path, f"it is not valid JSON: {why}" if not ours else why, self.line(at), ours)

    def space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def document(self) -> Node:
        node, at = self.any(self.space(0), 0)
        at = self.space(at)
        if at != len(self.text):
            raise self.fail("something stands after its end", at)
        return node

    def any(self, at: int, depth: int) -> tuple[Node, int]:
        self.count += 1
        if depth > DEPTH or self.count > NODES:
            raise self.fail(f"it is nested more than {DEPTH} levels deep, or has more than {NODES:,} values", at, ours=True)
        head = self.text[at : at + 1]
        if head == "{":
            return self.map(at, depth)
        if head == "[":
            return self.list(at, depth)
        if head == '"' or (self.loose and head == "'"):
            value, end = self.string(at)
            return Node(line=self.line(at), text=value, plain=False), end
        match = _LITERAL.match(self.text, at)
        if not match:
            raise self.fail("a value is missing", at)
        return Node(line=self.line(at), text=match.group()), match.end()

    def string(self, at: int) -> tuple[str, int]:
        if self.text[at] == "'":
            single = _SINGLE.match(self.text, at)
            if single is None:
                raise self.fail("a string does not end", at)
            return re.sub(r"\\(.)", r"\1", single[1], flags=re.DOTALL), single.end()
        try:
            value, end = scanstring(self.text, at + 1, False)
            return str(value), int(end)
        except ValueError:
            raise self.fail("a string does not end", at) from None

    def list(self, start: int, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        at = self.space(start + 1)
        while self.text[at : at + 1] != "]":
            node, at = self.any(at, depth + 1)
            items.append(node)
            at = self.after(at, "]")
        return Node(line=self.line(start), items=tuple(items)), at + 1

    def map(self, start: int, depth: int) -> tuple[Node, int]:
        pairs: list[tuple[Node, Node]] = []
        seen: set[str] = set()
        at = self.space(start + 1)
        while self.text[at : at + 1] != "}":
            bare = _NAME.match(self.text, at) if self.loose else None
            if bare is None and self.text[at : at + 1] != '"' and not (self.loose and self.text[at : at + 1] == "'"):
                raise self.fail("a key is missing", at)
            name, end = (bare[0], bare.end()) if bare else self.string(at)
            if name in seen:
                raise self.fail(f"the key “{name[:60]}” stands twice in one map, and readers differ in which one counts", at)
            seen.add(name)
            key = Node(line=self.line(at), text=name, plain=False)
            at = self.space(end)
            if self.text[at : at + 1] != ":":
                raise self.fail("a colon is missing", at)
            node, at = self.any(self.space(at + 1), depth + 1)
            pairs.append((key, node))
            at = self.after(at, "}")
        return Node(line=self.line(start), pairs=tuple(pairs)), at + 1

    def after(self, at: int, closing: str) -> int:
        """Past a comma, or at the closing bracket."""
        at = self.space(at)
        head = self.text[at : at + 1]
        if head == ",":
            return self.space(at + 1)
        if head != closing:
            raise self.fail(f"a comma or {closing} is missing", at)
        return at
