"""GitHub's `${{ … }}` expressions: which contexts an expression reads, and whose text can come out of it.

Source: docs.github.com/actions/reference/workflows-and-actions/expressions (operators, functions). `a && b` gives `b`, or an `a` that counts as
false, so only `b` carries text; a comparison, `!` and the functions that answer yes or no carry none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

LIMIT = 8_000
"""Characters of one expression that are read; longer ones are taken to carry every context in them."""

_BRACES = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s+|(?P<text>'(?:[^']|'')*')|(?P<number>[-+]?(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?![\w-]))"
    r"|(?P<name>[A-Za-z_*][\w-]*)|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!().,\[\]*])|(?P<other>.)",
    re.DOTALL,
)
_ANSWERS = frozenset({"contains", "startswith", "endswith", "hashfiles", "success", "failure", "always", "cancelled"})
"""Functions whose result is a truth value or a digest: what goes in does not come out."""
_CONTEXT = re.compile(
    r"(?<![\w.'-])(?:github|inputs|secrets|env|steps|needs|matrix|vars|jobs|job|runner|strategy)\b(?:\.[\w*-]+|\[[^\]]*\])*", re.I
)


@dataclass(frozen=True, slots=True)
class Expression:
    """One `${{ … }}`: its text with single spaces, the line within the string it stands in (0-based), and its contexts in lower case."""

    text: str
    line: int
    reads: tuple[str, ...]
    """Every context named anywhere: `github.event.issue.title`, `secrets.token`; an index that is no literal is `*`."""
    carries: tuple[str, ...]
    """The contexts whose text can be part of the result."""


def expressions(text: str) -> Iterator[Expression]:
    """All expressions in `text`, in order."""
    for match in _BRACES.finditer(text):
        yield expression(match.group(1), text.count("\n", 0, match.start()))


def condition(text: str) -> Expression:
    """An `if:` value, with or without braces, as one expression."""
    return expression(_BRACES.sub(lambda match: f"({match.group(1)})", text), 0)


@lru_cache(maxsize=4096)
def expression(source: str, line: int = 0) -> Expression:
    """The expression between braces. What does not parse is taken to carry all it names."""
    text = " ".join(source.split())
    try:
        if len(source) > LIMIT:
            raise ValueError
        parser = _Parser(source)
        carries = parser.whole()
        return Expression(text, line, tuple(dict.fromkeys(parser.reads)), tuple(dict.fromkeys(carries)))
    except (ValueError, RecursionError):
        names = tuple(dict.fromkeys(match.group().lower() for match in _CONTEXT.finditer(source)))
        return Expression(text, line, names, names)


def conjuncts(text: str) -> tuple[str, ...]:
    """The parts of a condition joined by `&&` at its top level, each with normalised space: all must hold."""
    source = " ".join(_BRACES.sub(lambda match: match.group(1), text).split())
    parts = [part.strip() for part in split(source, "&&")]
    if len(parts) == 1 or len(split(source, "||")) > 1:
        return (source,)
    return tuple(inner for part in parts for inner in (conjuncts(part[1:-1]) if wrapped(part) else (part,)))


def never(text: str) -> bool:
    """Whether a condition can hold in no run, as one of its parts is false whatever happens. An empty one always holds."""
    return any(_FALSE.fullmatch(part.strip("() ")) for part in conjuncts(text))


_FALSE = re.compile(r"false|!\s*\(?true|0|''|null|1\s*==\s*0", re.IGNORECASE)


def split(text: str, sign: str) -> list[str]:
    """The parts of a condition between the `&&` or `||` of its top level, as they stand."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif not quoted and char in "([":
            depth += 1
        elif not quoted and char in ")]":
            depth -= 1
        elif not quoted and depth == 0 and text.startswith(sign, at):
            parts.append(text[start:at])
            start = at + len(sign)
    return [*parts, text[start:]]


def wrapped(text: str) -> bool:
    """Whether one pair of brackets goes around the whole of a condition."""
    depth = 0
    for char in re.sub(r"'[^']*'", "", text[1:-1]):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0 and text.startswith("(") and text.endswith(")")


Value = str | bool | float | None
"""What an expression can be worked out to; None is `null`."""


def filled(text: str, known: Mapping[str, str]) -> str:
    """`text` with every expression worked out that needs nothing but literals and the `known` contexts (in lower case); the others stay."""
    return _BRACES.sub(lambda match: match[0] if (value := worked_out(match[1], known)) is None else value, text)


def worked_out(source: str, known: Mapping[str, str]) -> str | None:
    """The text an expression comes to where only literals and `known` contexts decide it; None where something else does."""
    try:
        if len(source) > LIMIT:
            raise ValueError
        parser = _Values(source, known)
        value = parser.either()
        if parser.at != len(parser.tokens):
            raise ValueError("tokens left")
    except (ValueError, LookupError, RecursionError):
        return None
    return _words(value)


def _words(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else value


class _Values:
    """Works an expression out. An unknown context or function raises LookupError, also in a branch that is not taken."""

    def __init__(self, source: str, known: Mapping[str, str]) -> None:
        self.tokens = _Parser(source).tokens
        self.known = known
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, sign: str) -> bool:
        if self.peek() == sign:
            self.at += 1
            return True
        return False

    def either(self) -> Value:
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Value:
        value = self.compared()
        while self.take("&&"):
            other = self.compared()
            value = other if value else value
        return value

    def compared(self) -> Value:
        value = self.single()
        while (sign := self.peek()) in ("==", "!="):
            self.at += 1
            other = self.single()
            same = _words(value).lower() == _words(other).lower()  # strings compare without case
            value = same if sign == "==" else not same
        return value

    def single(self) -> Value:
        if self.take("!"):
            return not self.single()
        if self.take("("):
            value = self.either()
            if not self.take(")"):
                raise ValueError(")")
            return value
        if self.at >= len(self.tokens):
            raise ValueError("ends")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(int(text, 16)) if "x" in text else float(text)
        if kind != "name":
            raise ValueError(text)
        if text in ("true", "false", "null"):
            return {"true": True, "false": False}.get(text)
        if self.take("("):
            return self.call(text.lower())
        name = text.lower()
        while self.take("."):
            name += "." + self.peek().lower()
            self.at += 1
        return self.known[name]

    def call(self, name: str) -> Value:
        given: list[str] = []
        while not self.take(")"):
            given.append(_words(self.either()))
            if not self.take(",") and self.peek() != ")":
                raise ValueError(name)
        if name != "format" or not given:
            raise LookupError(name)
        return re.sub(r"\{\{|\}\}|\{(\d+)\}", lambda match: given[int(match[1]) + 1] if match[1] else match[0][0], given[0])


class _Parser:
    """Recursive descent over the tokens; each method gives the contexts that its result can carry."""

    def __init__(self, source: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        for match in _TOKEN.finditer(source):
            kind = match.lastgroup
            if kind == "other":
                raise ValueError(source)
            if kind:
                self.tokens.append((kind, match.group()))
        self.at = 0
        self.reads: list[str] = []

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, sign: str) -> bool:
        if self.peek() == sign:
            self.at += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise ValueError(sign)

    def whole(self) -> list[str]:
        found = self.either()
        if self.at != len(self.tokens):
            raise ValueError("tokens left")
        return found

    def either(self) -> list[str]:
        found = self.both()
        while self.take("||"):
            found = found + self.both()
        return found

    def both(self) -> list[str]:
        found = self.compared()
        while self.take("&&"):
            found = self.compared()
        return found

    def compared(self) -> list[str]:
        found = self.single()
        while self.peek() in ("==", "!=", "<", ">", "<=", ">="):
            self.at += 1
            self.single()
            found = []
        return found

    def single(self) -> list[str]:
        if self.take("!"):
            self.single()
            return []
        if self.take("("):
            found = self.either()
            self.need(")")
            return self.path(found, None)
        if self.at >= len(self.tokens):
            raise ValueError("ends")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind in ("text", "number"):
            return []
        if kind != "name":
            raise ValueError(text)
        if self.take("("):
            return self.call(text.lower())
        if text.lower() in ("true", "false", "null", "nan", "infinity"):
            return []
        return self.path([], text.lower())

    def call(self, name: str) -> list[str]:
        found: list[str] = []
        while not self.take(")"):
            found += self.either()
            self.take(",")
        return self.path([] if name in _ANSWERS else found, None)

    def path(self, found: list[str], name: str | None) -> list[str]:
        """The rest of `a.b['c'][d]`; after a call or bracket the rest only narrows what it carries."""
        while True:
            if self.take("."):
                kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
                if kind != "name" and text != "*":
                    raise ValueError(text)
                self.at += 1
                name = None if name is None else f"{name}.{text.lower()}"
            elif self.take("["):
                kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
                if kind in ("text", "number") or text == "*":
                    self.at += 1
                    step = text.strip("'").lower()
                else:
                    found = found + self.either()
                    step = "*"
                self.need("]")
                name = None if name is None else f"{name}.{step}"
            else:
                break
        if name is None:
            return found
        self.reads.append(name)
        return [name]
