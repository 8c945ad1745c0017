"""Contracts between programs, as the names that others hold on to: protobuf files and GraphQL schemas.

Both are small languages, so both have a reader of their own: one pass over tokens, no recursion into the text.
Sources: protobuf.dev/reference/protobuf/proto3-spec and proto2-spec; spec.graphql.org/October2021 appendix B.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from checks.model import Unreadable
from checks.readers import text_of

TOKENS = 400_000
"""Tokens of one file."""
DEPTH = 60
"""Levels of braces."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, string or sign, with its line."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Part:
    """One field, value, argument or method of a definition."""

    name: str
    type: str
    line: int
    number: int | None = None
    """Its number on the wire (protobuf)."""
    required: bool = False
    """Has to be given by whoever calls: an argument or input field that is not null and has no default (GraphQL)."""
    deprecated: bool = False
    arguments: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A message, enumeration, service (protobuf) or type, input, interface, enumeration, union (GraphQL)."""

    kind: str
    name: str
    line: int
    parts: tuple[Part, ...] = ()
    reserved: frozenset[str] = field(default_factory=frozenset)
    """Numbers and names that may not be used again."""
    extends: bool = False


_PROTO = re.compile(
    r"""(?P<skip>[ \t\f\v]+|//[^\n]*)|(?P<line>\n)|(?P<block>/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<word>\.?[A-Za-z_][\w.]*)|(?P<number>[-+]?[0-9][\w.]*)|(?P<sign>[^\s\w])""",
    re.DOTALL,
)
_GRAPHQL = re.compile(
    r"""(?P<skip>[ \t\f\v,\ufeff]+|\#[^\n]*)|(?P<line>\n)|(?P<block>\"{3}(?:\\\"{3}|.)*?\"{3})|(?P<string>"(?:\\.|[^"\\\n])*")"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<number>-?[0-9][\w.]*)|(?P<sign>\.\.\.|[^\s\w])""",
    re.DOTALL,
)


def _tokens(text: str, path: str, expression: re.Pattern[str], strings: bool) -> list[Token]:
    out: list[Token] = []
    line, at = 1, 0
    while at < len(text):
        match = expression.match(text, at)
        if match is None:
            raise Unreadable(path, "it has a character that no part of the language begins with", line)
        kind = match.lastgroup
        if kind in ("word", "number", "sign") or (kind == "string" and strings):
            out.append(Token(match.group(), line))
            if len(out) > TOKENS:
                raise Unreadable(path, f"it has more than {TOKENS:,} words", line)
        line += match.group().count("\n") if kind in ("line", "block") else 0
        at = match.end()
    return out


class _Stream:
    """Tokens and a place among them."""

    def __init__(self, tokens: list[Token], path: str) -> None:
        self.tokens, self.path, self.at = tokens, path, 0

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead].text if self.at + ahead < len(self.tokens) else ""

    @property
    def line(self) -> int:
        return self.tokens[min(self.at, len(self.tokens) - 1)].line if self.tokens else 1

    def next(self) -> Token:
        if self.at >= len(self.tokens):
            raise Unreadable(self.path, "it ends in the middle of a definition", self.line)
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, text: str) -> None:
        if self.next().text != text:
            raise Unreadable(self.path, f"`{text}` is missing", self.tokens[self.at - 1].line)

    def until(self, *ends: str) -> list[Token]:
        """What comes before the next of `ends` outside of brackets; that sign is passed."""
        out: list[Token] = []
        depth = 0
        while True:
            token = self.next()
            if depth == 0 and token.text in ends:
                return out
            depth += (token.text in "([{<") - (token.text in ")]}>") if len(token.text) == 1 else 0
            out.append(token)

    def skip_block(self) -> None:
        """Past the braces that open here."""
        self.expect("{")
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.next().text, 0)


@lru_cache(maxsize=256)
def protobuf(data: bytes, path: str) -> tuple[Definition, ...]:
    """The messages, enumerations and services of a .proto file, by their full names. Raises `Unreadable`."""
    stream = _Stream(_tokens(text_of(data, path), path, _PROTO, strings=True), path)
    out: list[Definition] = []
    package = ""
    while stream.at < len(stream.tokens):
        word = stream.next().text
        if word == "package":
            package = "".join(token.text for token in stream.until(";"))
        elif word in ("message", "enum", "service"):
            _proto_block(stream, word, package, out, 0)
        elif word == "extend":
            stream.next()
            stream.skip_block()
        elif word != ";":
            stream.until(";")
    return tuple(out)


_LABELS = frozenset({"optional", "required", "repeated"})


def _proto_block(stream: _Stream, kind: str, scope: str, out: list[Definition], depth: int) -> None:
    if depth > DEPTH:
        raise Unreadable(stream.path, f"it is nested deeper than {DEPTH} levels", stream.line)
    token = stream.next()
    name = f"{scope}.{token.text}" if scope else token.text
    stream.expect("{")
    parts: list[Part] = []
    reserved: set[str] = set()
    place = len(out)
    groups = 0
    while True:
        here = stream.next()
        word = here.text
        if word == "}":
            if not groups:
                break
            groups -= 1
        elif word == ";":
            continue
        elif word == "option" and stream.peek() != "=":
            stream.until(";")
        elif word in ("message", "enum") and kind == "message" and stream.peek(1) == "{":
            _proto_block(stream, word, name, out, depth + 1)
        elif word == "oneof" and stream.peek(1) == "{":
            stream.at += 2
            groups += 1
        elif word == "extend" and stream.peek(1) == "{":
            stream.next()
            stream.skip_block()
        elif word in ("reserved", "extensions") and kind != "service" and stream.peek() != "=" and stream.peek(1) != "=":
            tokens = stream.until(";")
            reserved |= _reserved(tokens) if word == "reserved" else set()
        elif kind == "service" and word == "rpc":
            parts.append(_method(stream, here.line))
        elif kind == "service":
            stream.until(";")
        elif kind == "enum":
            parts.append(_value(stream, here))
        else:
            stream.at -= 1
            found = _field(stream)
            if found is not None:
                parts.append(found)
    out.insert(place, Definition(kind, name, token.line, tuple(parts), frozenset(reserved)))


def _reserved(tokens: list[Token]) -> set[str]:
    out: set[str] = set()
    texts = [token.text.strip("\"'") for token in tokens if token.text != ","]
    for index, text in enumerate(texts):
        if text == "to" and 0 < index < len(texts) - 1 and texts[index - 1].isdigit():
            start = int(texts[index - 1])
            end = int(texts[index + 1]) if texts[index + 1].isdigit() else start + 1000
            out |= {str(number) for number in range(start, min(end, start + 5000) + 1)}
        else:
            out.add(text)
    return out


def _number(token: Token, path: str) -> int:
    try:
        return int(token.text, 0) if not re.fullmatch(r"0[0-7]+", token.text) else int(token.text, 8)
    except ValueError:
        raise Unreadable(path, f"{token.text[:20]} is not a number", token.line) from None


def _deprecated(tokens: list[Token]) -> bool:
    texts = [token.text for token in tokens]
    return any(texts[index : index + 3] == ["deprecated", "=", "true"] for index in range(len(texts)))


def _value(stream: _Stream, name: Token) -> Part:
    stream.expect("=")
    number = _number(stream.next(), stream.path)
    return Part(name.text, "", name.line, number, deprecated=_deprecated(stream.until(";")))


def _field(stream: _Stream) -> Part | None:
    label = stream.next().text if stream.peek() in _LABELS and stream.peek(1) not in ("=", "") else ""
    if stream.peek() == "group" and stream.peek(2) == "=":
        # A group of proto2 is a message and a field at once: its body is passed over.
        stream.next()
        name = stream.next()
        stream.expect("=")
        number = _number(stream.next(), stream.path)
        while stream.peek() != "{":
            stream.next()
        stream.skip_block()
        return Part(name.text, f"{label} group".strip(), name.line, number)
    kind = stream.next().text
    if kind == "map" and stream.peek() == "<":
        stream.next()
        kind = "map<" + "".join(token.text for token in stream.until(">")) + ">"
    name = stream.next()
    stream.expect("=")
    number = _number(stream.next(), stream.path)
    rest = stream.until(";")
    repeated = f"{label} {kind}" if label in ("repeated", "required") else kind
    return Part(name.text, repeated, name.line, number, deprecated=_deprecated(rest))


def _method(stream: _Stream, line: int) -> Part:
    name = stream.next().text
    stream.expect("(")
    asked = " ".join(token.text for token in stream.until(")"))
    stream.expect("returns")
    stream.expect("(")
    given = " ".join(token.text for token in stream.until(")"))
    deprecated = False
    if stream.peek() == "{":
        start = stream.at
        stream.skip_block()
        deprecated = _deprecated(stream.tokens[start : stream.at])
    elif stream.peek() == ";":
        stream.next()
    return Part(name, f"{asked} -> {given}", line, deprecated=deprecated)


_GRAPHQL_KINDS = frozenset({"type", "input", "interface", "enum", "union", "scalar"})


@lru_cache(maxsize=256)
def graphql(data: bytes, path: str) -> tuple[Definition, ...]:
    """The types of a GraphQL schema file; queries and fragments are passed over. Raises `Unreadable`."""
    stream = _Stream(_tokens(text_of(data, path, 4 << 20), path, _GRAPHQL, strings=False), path)
    out: list[Definition] = []
    while stream.at < len(stream.tokens):
        word = stream.next()
        extends = word.text == "extend"
        kind = stream.next().text if extends else word.text
        if kind in _GRAPHQL_KINDS:
            out.append(_graphql_definition(stream, kind, extends))
        elif kind == "schema":
            out.append(_graphql_schema(stream, word.line))
        elif kind == "directive":
            _graphql_directive(stream)
        elif kind in ("query", "mutation", "subscription", "fragment", "{"):
            stream.at -= kind == "{"
            while stream.peek() != "{":
                if stream.next().text == "(":
                    stream.until(")")
            stream.skip_block()
        else:
            raise Unreadable(path, f"`{kind[:30]}` begins no definition of a schema", word.line)
    return tuple(out)


def _directives(stream: _Stream) -> bool:
    """Past the directives that stand here; whether one of them says deprecated."""
    deprecated = False
    while stream.peek() == "@":
        stream.next()
        deprecated |= stream.next().text == "deprecated"
        if stream.peek() == "(":
            stream.next()
            stream.until(")")
    return deprecated


def _graphql_schema(stream: _Stream, line: int) -> Definition:
    _directives(stream)
    parts: list[Part] = []
    if stream.peek() == "{":
        stream.next()
        while stream.peek() != "}":
            name = stream.next()
            stream.expect(":")
            parts.append(Part(name.text, stream.next().text, name.line))
        stream.next()
    return Definition("schema", "schema", line, tuple(parts))


def _graphql_directive(stream: _Stream) -> None:
    stream.expect("@")
    stream.next()
    if stream.peek() == "(":
        stream.next()
        stream.until(")")
    if stream.peek() == "repeatable":
        stream.next()
    stream.expect("on")
    while stream.peek() == "|" or (stream.peek().isupper() and stream.peek()):
        stream.next()


def _graphql_definition(stream: _Stream, kind: str, extends: bool) -> Definition:
    name = stream.next()
    parts: list[Part] = []
    if stream.peek() == "implements":
        stream.next()
        while stream.peek() == "&" or re.fullmatch(r"[A-Za-z_]\w*", stream.peek()):
            if stream.peek() in _STARTS and stream.peek(1) not in ("&", "{", "@"):
                break
            word = stream.next()
            if word.text != "&":
                parts.append(Part(f"implements {word.text}", "", word.line))
    _directives(stream)
    if kind == "union" and stream.peek() == "=":
        stream.next()
        while True:
            if stream.peek() == "|":
                stream.next()
            word = stream.next()
            parts.append(Part(word.text, "", word.line))
            if stream.peek() != "|":
                break
    elif kind not in ("union", "scalar") and stream.peek() == "{":
        stream.next()
        read: Callable[[_Stream, bool], Part] = _graphql_value if kind == "enum" else _graphql_field
        while stream.peek() != "}":
            parts.append(read(stream, kind == "input"))
        stream.next()
    return Definition(kind, name.text, name.line, tuple(parts), extends=extends)


_STARTS = frozenset({"type", "input", "interface", "enum", "union", "scalar", "extend", "schema", "directive"})


def _graphql_value(stream: _Stream, given: bool) -> Part:
    name = stream.next()
    return Part(name.text, "", name.line, deprecated=_directives(stream))


def _graphql_field(stream: _Stream, given: bool) -> Part:
    name = stream.next()
    arguments: list[Part] = []
    if stream.peek() == "(":
        stream.next()
        while stream.peek() != ")":
            arguments.append(_graphql_field(stream, True))
        stream.next()
    stream.expect(":")
    kind = _graphql_type(stream)
    default = False
    if stream.peek() == "=":
        stream.next()
        default = True
        _graphql_literal(stream)
    deprecated = _directives(stream)
    return Part(
        name.text, kind, name.line, required=given and kind.endswith("!") and not default, deprecated=deprecated, arguments=tuple(arguments)
    )


def _graphql_type(stream: _Stream) -> str:
    opened = 0
    while stream.peek() == "[":
        stream.next()
        opened += 1
        if opened > DEPTH:
            raise Unreadable(stream.path, "a type is nested too deep", stream.line)
    text = "[" * opened + stream.next().text
    while stream.peek() in ("]", "!") and (stream.peek() == "!" or opened):
        sign = stream.next().text
        opened -= sign == "]"
        text += sign
    return text


def _graphql_literal(stream: _Stream) -> None:
    if stream.peek() in ("[", "{"):
        stream.until("]" if stream.next().text == "[" else "}")
    elif stream.peek() == "$":
        stream.at += 2
    elif stream.peek() not in (")", "}", "@") and not (re.fullmatch(r"[A-Za-z_]\w*", stream.peek()) and stream.peek(1) in (":", "(")):
        # Texts leave no token (a default that is one ends before the next name), so only what cannot be a name of its own is passed.
        stream.next()
