"""Azure templates: Bicep source and ARM JSON as the same resources, modules and parameters.

Values come as `documents.Node`s: literals as scalars, expressions as scalars with the tag `!expr`. Only what stands in the file is read.
Sources: learn.microsoft.com/azure/azure-resource-manager/bicep/file, .../templates/syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from checks.model import Unreadable
from checks.readers import documents, text_of
from checks.readers.documents import Node

EXPRESSION = "!expr"
DEPTH = 60


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A resource or module the template deploys."""

    key: str
    """`Microsoft.Storage/storageAccounts name`, or in Bicep the type and the symbol."""
    type: str
    symbol: str
    body: Node
    line: int
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the template."""

    name: str
    secure: bool
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What one file deploys."""

    resources: tuple[Resource, ...]
    parameters: tuple[Parameter, ...]


@lru_cache(maxsize=256)
def read(data: bytes, path: str) -> Template | None:
    """The template in a `.bicep` or JSON file; None for JSON that is none. Raises `Unreadable`."""
    if path.endswith(".bicep"):
        return _Bicep(text_of(data, path), path).template()
    if b"deploymentTemplate.json" not in data:
        return None
    root = documents.json_node(data, path)
    if "deploymentTemplate.json" not in (root.string("$schema") or ""):
        return None
    parameters = root.get("parameters")
    return Template(
        tuple(_arm(root.get("resources"), "", 0)),
        tuple(
            Parameter(name, (node.string("type") or "").lower() in ("securestring", "secureobject"), node.line)
            for name, node in (parameters.entries() if parameters is not None else ())
        ),
    )


def _arm(resources: Node | None, above: str, depth: int) -> Iterator[Resource]:
    if resources is None or depth > 8:
        return
    entries = list(resources.entries()) if resources.is_map else [("", node) for node in resources.items or ()]
    for symbol, node in entries:
        kind, name = node.string("type") or "", node.string("name") or symbol
        full = f"{above}/{kind}" if above and "/" not in kind else kind
        if kind and documents_truth(node.get("existing")) is not True:
            yield Resource(f"{full.lower()} {name}", full, symbol or name, _expressed(node), node.line)
        yield from _arm(node.get("resources"), full, depth + 1)


def documents_truth(node: Node | None) -> bool | None:
    """A literal boolean, None for anything else."""
    return node.value if node is not None and isinstance(node.value, bool) else None


def _expressed(node: Node) -> Node:
    """ARM's strings in brackets are expressions."""
    if node.pairs is not None:
        return Node(line=node.line, pairs=tuple((key, _expressed(value)) for key, value in node.pairs))
    if node.items is not None:
        return Node(line=node.line, items=tuple(_expressed(item) for item in node.items))
    if node.text is not None and node.text.startswith("[") and not node.text.startswith("[["):
        return Node(line=node.line, tag=EXPRESSION, text=node.text)
    return node


_SPACE = re.compile(r"(?:[ \t]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_STRING = re.compile(r"'''(.*?)'''|'((?:\\.|[^'\\\n])*)'", re.DOTALL)
_DECLARATION = re.compile(r"(resource|module|param)\s+([A-Za-z_]\w*)\s*", re.DOTALL)
_LITERAL = re.compile(r"(?:-?\d+|true|false|null)(?=[ \t]*(?:[\n,\]}]|//|\Z))")


class _Bicep:
    """A reader over one Bicep text: declarations at the top level, and their objects."""

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path = text, path
        self.ends = [match.start() for match in re.finditer("\n", text)]

    def line(self, at: int) -> int:
        from bisect import bisect_left

        return bisect_left(self.ends, at) + 1

    def fail(self, why: str, at: int) -> Unreadable:
        return Unreadable(self.path, f"it is not valid Bicep: {why}", self.line(at))

    def template(self) -> Template:
        resources: list[Resource] = []
        parameters: list[Parameter] = []
        at, secure = 0, False
        while at < len(self.text):
            at = self.blank(at)
            match = _DECLARATION.match(self.text, at)
            if match:
                line = self.line(at)
                if match.group(1) == "param":
                    parameters.append(Parameter(match.group(2), secure, line))
                    at = self.expression(match.end(), "\n")[1]
                else:
                    found, at = self.deployed(match, line)
                    resources.extend(found)
                secure = False
            elif self.text.startswith("@", at):
                word, at = self.expression(at, "\n")
                secure = secure or word.startswith(("@secure(", "@sys.secure("))
            elif at < len(self.text):
                at = self.expression(at, "\n")[1] + 1
                secure = False
        return Template(tuple(resources), tuple(parameters))

    def blank(self, at: int) -> int:
        match = _BLANK.match(self.text, at)
        return match.end() if match else at

    def deployed(self, match: re.Match[str], line: int, above: str = "", depth: int = 0) -> tuple[list[Resource], int]:
        named = _STRING.match(self.text, match.end())
        if not named:
            raise self.fail(f"the type of {match.group(2)} is missing", match.end())
        kind = (named.group(1) or named.group(2) or "").split("@")[0] if match.group(1) == "resource" else named.group(2) or ""
        at = self.blank(named.end())
        existing = self.text.startswith("existing", at)
        at = self.blank(at + len("existing")) if existing else at
        if not self.text.startswith("=", at):
            raise self.fail(f"the body of {match.group(2)} is missing", at)
        at = self.blank(at + 1)
        if self.text.startswith("if", at):
            at = self.blank(self.balanced(self.blank(at + 2)))
        if self.text.startswith("[", at):
            close = self.balanced(at)
            body_at = self.text.find("{", at)
            colon = re.compile(r":\s*(?:if\s*\(.*?\)\s*)?\{", re.DOTALL).search(self.text, at, close)
            body_at = colon.end() - 1 if colon else body_at
            inner: list[Resource] = []
            body, _ = self.value(body_at, depth + 1, inner, kind) if 0 <= body_at < close else (Node(line=line, pairs=()), close)
            at = close
        else:
            inner = []
            body, at = self.value(at, depth + 1, inner, kind)
        full = f"{above}/{kind}" if above and kind.count("/") == 0 else kind
        module = kind if match.group(1) == "module" else None
        symbol = match.group(2)
        own = [] if existing else [Resource(f"{full.lower()} {symbol}", full, symbol, body, line, module)]
        return [*own, *inner], at

    def balanced(self, at: int) -> int:
        """Past the bracket that closes the one at `at`."""
        depth = 0
        while at < len(self.text):
            char = self.text[at]
            if char == "'":
                string = _STRING.match(self.text, at)
                at = string.end() if string else at + 1
                continue
            if self.text.startswith(("//", "/*"), at):
                at = max(self.blank(at), at + 1)
                continue
            depth += (char in "([{") - (char in ")]}")
            at += 1
            if depth <= 0:
                return at
        raise self.fail("a bracket is not closed", at - 1)

    def expression(self, at: int, ends: str) -> tuple[str, int]:
        """The text up to one of `ends` outside brackets and strings."""
        start = at
        while at < len(self.text) and self.text[at] not in ends:
            char = self.text[at]
            if char == "'":
                string = _STRING.match(self.text, at)
                at = string.end() if string else at + 1
            elif char in "([{":
                at = self.balanced(at)
            elif self.text.startswith("//", at):
                at = self.text.find("\n", at) if "\n" in self.text[at:] else len(self.text)
            elif self.text.startswith("/*", at):
                close = self.text.find("*/", at)
                at = close + 2 if close >= 0 else len(self.text)
            elif char in ")]}":
                break
            else:
                at += 1
        return " ".join(self.text[start:at].split()), at

    def value(self, at: int, depth: int, inner: list[Resource], kind: str) -> tuple[Node, int]:
        if depth > DEPTH:
            raise self.fail(f"it is nested more than {DEPTH} levels deep", at)
        line = self.line(at)
        if self.text.startswith("{", at):
            return self.map(at + 1, line, depth, inner, kind)
        if self.text.startswith("[", at) and not re.match(r"\[\s*for\b", self.text[at : at + 200]):
            items: list[Node] = []
            at = self.separators(at + 1)
            while at < len(self.text) and self.text[at] != "]":
                item, at = self.value(at, depth + 1, inner, kind)
                items.append(item)
                at = self.separators(at)
            return Node(line=line, items=tuple(items)), at + 1
        string = _STRING.match(self.text, at)
        literal = _LITERAL.match(self.text, at)
        if literal:
            return Node(line=line, text=literal.group()), literal.end()
        if string:
            after = _SPACE.match(self.text, string.end())
            end = after.end() if after else string.end()
            if end >= len(self.text) or self.text[end] in "\n,]}":
                text = string.group(1) if string.group(1) is not None else string.group(2) or ""
                return Node(line=line, text=text, plain=False, tag=EXPRESSION if "${" in text else None), end
        text, end = self.expression(at, "\n,")
        if end == at:
            raise self.fail("a value is missing", at)
        return Node(line=line, text=text, tag=EXPRESSION), end

    def separators(self, at: int) -> int:
        at = self.blank(at)
        while at < len(self.text) and self.text[at] == ",":
            at = self.blank(at + 1)
        return at

    def map(self, at: int, line: int, depth: int, inner: list[Resource], kind: str) -> tuple[Node, int]:
        pairs: list[tuple[Node, Node]] = []
        at = self.separators(at)
        while at < len(self.text) and self.text[at] != "}":
            nested = _DECLARATION.match(self.text, at)
            if nested and nested.group(1) == "resource":
                found, at = self.deployed(nested, self.line(at), kind, depth + 1)
                inner.extend(found)
            elif self.text[at] == "@":
                at = self.expression(at, "\n")[1]
            else:
                key_line = self.line(at)
                string, word = _STRING.match(self.text, at), _NAME.match(self.text, at)
                match = string or word
                if match is None:
                    at = max(self.expression(at, "\n,")[1], at + 1)
                    at = self.separators(at)
                    continue
                key = (string.group(2) or "") if string else match.group()
                at = self.blank(match.end())
                if not self.text.startswith(":", at):
                    raise self.fail(f"the value of {key[:40]} is missing", at)
                value, at = self.value(self.blank(at + 1), depth + 1, inner, kind)
                pairs.append((Node(line=key_line, text=key, plain=False), value))
            at = self.separators(at)
        if at >= len(self.text):
            raise self.fail("a bracket is not closed", at - 1)
        return Node(line=line, pairs=tuple(pairs)), at + 1
