"""HCL as plain values: blocks with their labels and lines, and expressions taken apart far enough to be resolved and compared.

A file is cut at its top-level blocks first, so that a syntax error costs one block and an unchanged block is parsed once for both states.
What stands in a broken block is kept as text: only a change to it is worth mentioning.
Sources: github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md; developer.hashicorp.com/terraform/language/syntax/json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from checks.model import Unreadable
from checks.readers import LIMIT, text_of
from checks.readers.documents import Node, json_node

DEPTH = 60
"""Levels of nesting of expressions and blocks."""
PIECE = 256 << 10
"""Characters of one top-level block: the parser's memory grows with the longest of them."""

Literal = str | int | float | bool | None

BROKEN = 200
"""Blocks of one file that may be broken before it is no HCL at all."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A value as written. Two expressions mean the same when their `text` is equal; `line` never counts."""

    kind: str
    """literal, list, map, template, reference, call, operation, conditional, access or other."""
    line: int = field(compare=False)
    value: Literal = None
    """Of a literal."""
    name: str = ""
    """A reference's dotted name, a call's function, an operation's sign, a piece of opaque text."""
    items: tuple[Expression, ...] = ()
    """A list's items, a template's parts, a call's arguments, an operation's sides, (condition, then, else), or the parts of opaque text."""
    pairs: tuple[tuple[Expression, Expression], ...] = ()
    """A map's keys and values."""
    assumed: bool = False
    """The value came from a variable's default, which a caller or a variables file may replace."""
    heredoc: bool = False

    @property
    def text(self) -> str:
        """The expression in one canonical spelling: comments, spaces, quotes and the order of a map's keys gone."""
        return _text(self)

    @property
    def is_literal(self) -> bool:
        """Whether everything in it is known: a literal, or a list or map of such."""
        return known(self)

    @property
    def is_null(self) -> bool:
        return self.kind == "literal" and self.value is None

    @property
    def plain(self) -> Any:
        """The value as Python has it; what is not known stands as an `Opaque` text. Never raises."""
        if self.kind == "literal":
            return self.value
        if self.kind == "list":
            return [item.plain for item in self.items]
        if self.kind == "map":
            return {key.key: value.plain for key, value in self.pairs}
        return Opaque(self.text)

    @property
    def key(self) -> str:
        """The text this stands for as a map's key: `a` and `"a"` are the same; of an expression, its canonical text."""
        if self.kind == "literal":
            return scalar(self.value)
        return self.text

    def get(self, *keys: str) -> Expression | None:
        """Down the maps by `keys`, None where a step is missing."""
        at: Expression | None = self
        for name in keys:
            if at is None or at.kind != "map":
                return None
            at = next((value for key, value in at.pairs if key.key == name), None)
        return at

    def elements(self) -> tuple[Expression, ...]:
        """A list's items; null is none; anything else is a list of itself."""
        if self.kind == "list":
            return self.items
        return () if self.is_null else (self,)

    def walk(self) -> Iterator[Expression]:
        """This expression and every one inside it."""
        stack = [self]
        while stack:
            at = stack.pop()
            yield at
            stack.extend(at.items)
            for key, value in at.pairs:
                stack += (key, value)


class Opaque(str):
    """The text of an expression whose value is not known; never equal to a known string by accident, as it says `${…}`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Opaque:
        return super().__new__(cls, text if text.startswith("${") else f"${{{text}}}")


@dataclass(frozen=True, slots=True)
class Block:
    """A block: `type "label" { … }`."""

    type: str
    labels: tuple[str, ...]
    line: int = field(compare=False)
    end: int = field(compare=False)
    attributes: Mapping[str, Expression] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    dynamic: Expression | None = None
    """What a `dynamic` block repeats over; the block then stands under its own name with the attributes of its `content`."""

    def get(self, name: str) -> Expression | None:
        """An attribute's value, None where it is not set."""
        return self.attributes.get(name)

    def nested(self, *names: str) -> tuple[Block, ...]:
        """The blocks below by the path of `names`; a list of maps written as an attribute counts as blocks, as Terraform takes it."""
        found: tuple[Block, ...] = (self,)
        for name in names:
            found = tuple(child for block in found for child in _children(block, name))
        return found

    def names(self) -> tuple[str, ...]:
        """The names of everything set in it."""
        return tuple(dict.fromkeys((*self.attributes, *(block.type for block in self.blocks))))


@dataclass(frozen=True, slots=True)
class Broken:
    """A top-level piece that cannot be read."""

    line: int = field(compare=False)
    end: int = field(compare=False)
    why: str
    text: str
    """As written, without the spaces at line ends."""
    type: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """One file."""

    path: str
    blocks: tuple[Block, ...]
    attributes: Mapping[str, Expression] = field(default_factory=dict)
    """What a variables file sets; empty in a configuration."""
    broken: tuple[Broken, ...] = ()


@lru_cache(maxsize=512)
def hcl(data: bytes, path: str) -> File:
    """A `.tf`, `.tofu`, `.tfvars`, `.hcl` file, or its JSON twin by the name's ending. Raises `Unreadable` where nothing can be read."""
    if path.endswith(".json"):
        return _json_file(json_node(data, path), path)
    text = text_of(data, path, LIMIT)
    blocks: list[Block] = []
    attributes: dict[str, Expression] = {}
    broken: list[Broken] = []
    for line, piece in _pieces(text):
        parsed = _piece(piece, line)
        if isinstance(parsed, Broken):
            broken.append(parsed)
            if len(broken) > BROKEN:
                raise Unreadable(path, f"more than {BROKEN} of its blocks are not valid HCL", parsed.line)
            continue
        blocks += parsed[1]
        attributes.update(parsed[0])
    if broken and len(text) <= PIECE:
        # The cut may have been wrong (a nested block at the start of a line): the file as a whole decides.
        whole = _piece(text, 1)
        if not isinstance(whole, Broken):
            return File(path, whole[1], whole[0])
    return File(path, tuple(blocks), attributes, tuple(broken))


def expression(text: str, line: int = 1) -> Expression | None:
    """One expression read from text, None if it is none."""
    parsed = _piece(f"x = {text}\n", line)
    return None if isinstance(parsed, Broken) else parsed[0].get("x")


def template(text: str, line: int = 1) -> Expression:
    """Text with `${…}` in it as an expression, as the JSON syntax and `templatefile` read it."""
    if "${" not in text and "%{" not in text:
        return Expression("literal", line, text)
    quoted = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    parsed = expression('"' + _outside_quotes(quoted) + '"', line)
    return parsed if parsed is not None else Expression("other", line, name=json.dumps(text))


def literal(value: Literal, line: int = 0) -> Expression:
    """A literal."""
    return Expression("literal", line, value)


def known(expression: Expression) -> bool:
    """Whether nothing in `expression` is left open."""
    if expression.kind == "literal":
        return True
    if expression.kind == "list":
        return all(map(known, expression.items))
    if expression.kind == "map":
        return all(known(key) and known(value) for key, value in expression.pairs)
    return False


def scalar(value: Literal) -> str:
    """A literal as Terraform turns it into text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _text(at: Expression) -> str:
    kind = at.kind
    if kind == "literal":
        value = at.value
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        return "null" if value is None else scalar(value)
    if kind == "reference" or (kind == "other" and not at.items):
        return at.name
    if kind == "list":
        return "[" + ", ".join(map(_text, at.items)) + "]"
    if kind == "map":
        return "{" + ", ".join(sorted(f"{_key_text(key)} = {_text(value)}" for key, value in at.pairs)) + "}"
    if kind == "template":
        return '"' + "".join(_template_part(part) for part in at.items) + '"'
    if kind == "call":
        return f"{at.name}(" + ", ".join(map(_text, at.items)) + ")"
    if kind == "operation":
        if len(at.items) == 1:
            return at.name + _text(at.items[0])
        return f"({_text(at.items[0])} {at.name} {_text(at.items[1])})"
    if kind == "conditional":
        return "({} ? {} : {})".format(*map(_text, at.items))
    if kind == "access":
        return "".join(_text(item) if index == 0 or item.kind == "other" else f"[{_text(item)}]" for index, item in enumerate(at.items))
    return " ".join(map(_text, at.items))


def _key_text(key: Expression) -> str:
    return json.dumps(key.key, ensure_ascii=False) if key.kind == "literal" else f"({_text(key)})"


def _template_part(part: Expression) -> str:
    if part.kind == "literal" and isinstance(part.value, str):
        return json.dumps(part.value, ensure_ascii=False)[1:-1]
    return "${" + _text(part) + "}"


def _children(block: Block, name: str) -> list[Block]:
    found = [child for child in block.blocks if child.type == name]
    value = block.attributes.get(name)
    if value is not None:
        found += [_as_block(name, item) for item in value.elements() if item.kind == "map"]
    return found


def _as_block(name: str, value: Expression) -> Block:
    return Block(name, (), value.line, value.line, {key.key: item for key, item in value.pairs})


# Cutting a file into its top-level blocks.

_OPENS = re.compile(
    r"(?:resource|data|module|variable|output|locals|provider|terraform|moved|removed|import|check|ephemeral|action)\b[^={]*\{"
)
_HEREDOC = re.compile(r"<<-?[ \t]*([A-Za-z_][\w-]*)[ \t]*$")


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(line of its start, text) of each run of lines from one top-level block's head to the next."""
    start = 1
    lines: list[str] = []
    heredoc: str | None = None
    comment = False
    for number, line in enumerate(text.split("\n"), 1):
        if heredoc is not None:
            if line.strip() == heredoc:
                heredoc = None
        elif comment:
            comment = "*/" not in line
        else:
            if lines and _OPENS.match(line):
                yield start, "\n".join(lines) + "\n"
                start, lines = number, []
            if "<<" in line and (found := _HEREDOC.search(line)) and not line.lstrip().startswith(("#", "//")):
                heredoc = found.group(1)
            stripped = line.lstrip()
            comment = stripped.startswith("/*") and "*/" not in stripped
        lines.append(line)
    yield start, "\n".join(lines) + "\n"


@cache
def _parser() -> Any:
    import tree_sitter
    import tree_sitter_hcl

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_hcl.language()))


_Parsed = tuple[dict[str, Expression], tuple[Block, ...]]
_HEAD = re.compile(r"([a-z_]+)((?:[ \t]+\"[^\"\n]*\")*)[ \t]*\{", re.MULTILINE)


_NO_DIRECTIVE = re.compile(r"(?<!%)%\{(?!~?\s*(?:if|for|else|endif|endfor)\b)")
_QUOTED_NAME = re.compile(r"^([ \t]*)\"([A-Za-z_][\w.-]*)\"(?=[ \t]*=(?!=))", re.MULTILINE)


def _before_0_12(text: str) -> str:
    """What Terraform read before 0.12, as it is written since: only `${` had a meaning in a string, and an argument's name could be quoted."""
    return _QUOTED_NAME.sub(lambda match: f"{match[1]} {match[2].replace('.', '_')} ", _NO_DIRECTIVE.sub("%(", text))


@lru_cache(maxsize=8192)
def _piece(text: str, line: int) -> _Parsed | Broken:
    if not text.strip():
        return {}, ()
    why, at = "", line
    if len(text) > PIECE:
        why = f"one block has more than {PIECE:,} characters"
    elif not _shallow(text):
        why = f"it is nested more than {DEPTH} levels deep"
    else:
        data = text.encode()
        root = _parser().parse(data).root_node
        if root.has_error and (older := _before_0_12(text)) != text:
            data = older.encode()
            root = _parser().parse(data).root_node
        if root.has_error:
            at = line + _error_row(root)
            why = f"it is not valid HCL near line {at}"
        else:
            try:
                return _Reader(data, line).body(next((child for child in root.children if child.type == "body"), None), 0)
            except Unreadable as unreadable:
                why = unreadable.why
            except RecursionError:
                why = "an expression in it is too deep"
    head = _HEAD.search(text)
    start = line + (text.count("\n", 0, head.start()) if head else 0)
    labels = tuple(re.findall(r"\"([^\"\n]*)\"", head.group(2))) if head else ()
    stripped = "\n".join(part.rstrip() for part in text.strip().split("\n"))
    return Broken(start, line + text.rstrip().count("\n"), why, stripped, head.group(1) if head else "", labels)


def _shallow(text: str) -> bool:
    """Whether brackets nest within the limit; those in strings count too, which errs on the safe side only far above any real file."""
    depth = 0
    for match in re.finditer(r"[\[({]|[\])}]", text):
        depth += 1 if match.group() in "[({" else -1
        if depth > DEPTH:
            return False
    return True


def _error_row(root: Any) -> int:
    node = root
    while True:
        if node.type == "ERROR" or node.is_missing:
            return int(node.start_point[0])
        following = next((child for child in node.children if child.has_error or child.is_missing), None)
        if following is None:
            return int(node.start_point[0])
        node = following


_ESCAPE = re.compile(r"\\(?:n|r|t|\"|\\|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|\$\$\{|%%\{")
_ESCAPED = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\", "$${": "${", "%%{": "%{"}


def _unescaped(text: str) -> str:
    if "\\" not in text and "{" not in text:
        return text
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    found = match.group()
    if found in _ESCAPED:
        return _ESCAPED[found]
    number = int(found[2:], 16)
    return chr(number) if number < 0x110000 else found


class _Reader:
    """Turns the parser's tree of one piece into values."""

    def __init__(self, data: bytes, first: int) -> None:
        self.data, self.first = data, first

    def line(self, node: Any) -> int:
        return int(node.start_point[0]) + self.first

    def source(self, node: Any) -> str:
        return self.data[node.start_byte : node.end_byte].decode()

    def body(self, node: Any, depth: int) -> _Parsed:
        attributes: dict[str, Expression] = {}
        blocks: list[Block] = []
        if depth > DEPTH:
            raise Unreadable("", f"it is nested more than {DEPTH} levels deep")
        for child in node.named_children if node is not None else ():
            if child.type == "attribute":
                name = self.source(child.named_children[0])
                if name in attributes:
                    raise Unreadable("", f"the argument “{name[:60]}” is set twice", self.line(child))
                attributes[name] = self.expression(child.named_children[-1], depth + 1)
            elif child.type == "block":
                blocks.append(self.block(child, depth))
        return attributes, tuple(blocks)

    def block(self, node: Any, depth: int) -> Block:
        words: list[str] = []
        inside = None
        for child in node.named_children:
            if child.type == "identifier":
                words.append(self.source(child))
            elif child.type == "string_lit":
                words.append(_unescaped(self.data[child.start_byte + 1 : child.end_byte - 1].decode()))
            elif child.type == "body":
                inside = child
        attributes, blocks = self.body(inside, depth + 1)
        block = Block(words[0], tuple(words[1:]), self.line(node), int(node.end_point[0]) + self.first, attributes, blocks)
        content = next((child for child in blocks if child.type == "content"), None)
        if block.type == "dynamic" and len(block.labels) == 1 and content is not None:
            each = attributes.get("for_each") or Expression("other", block.line, name="?")
            return Block(block.labels[0], (), block.line, block.end, content.attributes, content.blocks, each)
        return block

    def expression(self, node: Any, depth: int) -> Expression:
        if depth > DEPTH:
            raise Unreadable("", f"it is nested more than {DEPTH} levels deep", self.line(node))
        children = [child for child in node.children if child.type != "comment"]
        if len(children) == 3 and children[0].type == "(":
            return self.expression(children[1], depth + 1)
        return self.sequence(children, node, depth)

    def sequence(self, children: list[Any], node: Any, depth: int) -> Expression:
        """A term and the steps (`.name`, `[index]`, splats) that follow it."""
        if children[0].type == "(" and len(children) > 3:
            at = self.expression(children[1], depth + 1)
            rest = children[3:]
        else:
            at = self.term(children[0], depth)
            rest = children[1:]
        for step in rest:
            at = self.step(at, step, depth)
        return at

    def step(self, base: Expression, step: Any, depth: int) -> Expression:
        if step.type == "get_attr":
            return _stepped(base, self.source(step.named_children[-1]))
        if step.type == "index":
            inner = step.children[0]
            if inner.type == "legacy_index":
                return _stepped(base, re.sub(r"\D", "", self.source(inner)))
            index = self.expression(inner.named_children[0], depth + 1)
            if index.kind == "literal" and not isinstance(index.value, bool) and index.value is not None:
                return _stepped(base, scalar(index.value))
            return Expression("access", base.line, items=(*_parts(base), index))
        text = re.sub(r"\s+", "", self.source(step))
        return Expression("access", base.line, items=(*_parts(base), Expression("other", base.line, name=text)))

    def term(self, node: Any, depth: int) -> Expression:
        kind = node.type
        line = self.line(node)
        if kind == "expression":
            return self.expression(node, depth + 1)
        if kind == "literal_value":
            return self.literal(node.children[0], line)
        if kind == "variable_expr":
            return Expression("reference", line, name=self.source(node))
        if kind == "collection_value":
            return self.collection(node.children[0], line, depth)
        if kind == "template_expr":
            inner = node.children[0]
            return self.quoted(inner, line, depth) if inner.type == "quoted_template" else self.heredoc(inner, line, depth)
        if kind == "function_call":
            arguments = next((child for child in node.children if child.type == "function_arguments"), None)
            items = (
                [self.expression(child, depth + 1) for child in arguments.named_children if child.type == "expression"] if arguments else []
            )
            name = self.source(node.children[0])
            if arguments and any(child.type == "ellipsis" for child in arguments.children):
                return Expression("call", line, name=name + "…", items=tuple(items))
            return Expression("call", line, name=name, items=tuple(items))
        if kind == "conditional":
            return self.conditional(node, line, depth)
        if kind == "operation":
            return self.operation(node.children[0], line, depth)
        return self.opaque(node, line, depth)

    def literal(self, node: Any, line: int) -> Expression:
        if node.type == "string_lit":
            return Expression("literal", line, _unescaped(self.data[node.start_byte + 1 : node.end_byte - 1].decode()))
        text = self.source(node)
        if node.type == "bool_lit":
            return Expression("literal", line, text == "true")
        if node.type == "null_lit":
            return Expression("literal", line, None)
        return Expression("literal", line, _number(text))

    def collection(self, node: Any, line: int, depth: int) -> Expression:
        if node.type == "tuple":
            return Expression(
                "list", line, items=tuple(self.expression(child, depth + 1) for child in node.named_children if child.type == "expression")
            )
        pairs = []
        for child in node.named_children:
            if child.type == "object_elem":
                sides = [part for part in child.named_children if part.type == "expression"]
                pairs.append((self.key(sides[0], depth), self.expression(sides[-1], depth + 1)))
        return Expression("map", line, pairs=tuple(pairs))

    def key(self, node: Any, depth: int) -> Expression:
        key = self.expression(node, depth + 1)
        bare = key.kind == "reference" and node.children[0].type == "variable_expr" and len(node.children) == 1
        return Expression("literal", key.line, key.name) if bare else key

    def quoted(self, node: Any, line: int, depth: int) -> Expression:
        return self.pieces(node, node.start_byte + 1, node.end_byte - 1, line, depth, _unescaped, False)

    def heredoc(self, node: Any, line: int, depth: int) -> Expression:
        marks = [child for child in node.children if child.type == "heredoc_identifier"]
        start = self.data.find(b"\n", marks[0].end_byte) + 1
        end = self.data.rfind(b"\n", 0, marks[-1].start_byte) + 1
        at = self.pieces(node, start, max(start, end), line, depth, lambda text: text.replace("$${", "${").replace("%%{", "%{"), True)
        if node.children[0].type == "heredoc_start" and self.source(node.children[0]) == "<<-":
            at = _dedented(at)
        return at

    def pieces(self, node: Any, start: int, end: int, line: int, depth: int, read: Any, heredoc: bool) -> Expression:
        """The parts of a template: what stands between two interpolations is text, spaces and all."""
        parts: list[Expression] = []
        at = start
        for child in node.named_children:
            if child.type not in ("template_interpolation", "template_directive"):
                continue
            if child.start_byte > at:
                parts.append(Expression("literal", line, read(self.data[at : child.start_byte].decode())))
            if child.type == "template_interpolation":
                inner = next((part for part in child.named_children if part.type == "expression"), None)
                part = self.expression(inner, depth + 1) if inner is not None else Expression("literal", line, "")
                parts.append(part)
            else:
                parts.append(self.opaque(child, self.line(child), depth))
            at = child.end_byte
        if end > at or not parts:
            parts.append(Expression("literal", line, read(self.data[at:end].decode())))
        if len(parts) == 1 and not heredoc and parts[0].kind != "other":
            return parts[0]
        return joined(parts, line, heredoc)

    def conditional(self, node: Any, line: int, depth: int) -> Expression:
        """`a ? b : c ? d : e` belongs to the right, where the grammar binds it to the left."""
        chain: list[Any] = []
        at = node
        while True:
            sides = [child for child in at.named_children if child.type != "comment"]
            chain.append(sides)
            first = sides[0]
            inner = first.named_children
            if first.type == "expression" and len(first.children) == 1 and inner and inner[0].type == "conditional":
                at = inner[0]
                continue
            break
        tests = [chain[-1][0], *(sides[1:3] for sides in reversed(chain))]
        flat = [self.term(tests[0], depth + 1)]
        for pair in tests[1:]:
            flat += [self.term(side, depth + 1) for side in pair]
        # flat: c1 a1 c2 a2 c3 … last
        result = flat[-1]
        for index in range(len(flat) - 3, -1, -2):
            result = Expression("conditional", line, items=(flat[index], flat[index + 1], result))
        return result

    def operation(self, node: Any, line: int, depth: int) -> Expression:
        children = [child for child in node.children if child.type != "comment"]
        if node.type == "unary_operation":
            inner = self.operand(children[1:], node, depth)
            if self.source(children[0]) == "-" and inner.kind == "literal" and isinstance(inner.value, int | float):
                return Expression("literal", line, -inner.value)
            return Expression("operation", line, name=self.source(children[0]), items=(inner,))
        level = 0
        for index, child in enumerate(children):
            level += {"(": 1, ")": -1}.get(child.type, 0)
            if not level and index and not child.is_named and child.type != ")":
                left, right = children[:index], children[index + 1 :]
                return Expression(
                    "operation", line, name=self.source(child), items=(self.operand(left, node, depth), self.operand(right, node, depth))
                )
        return self.opaque(node, line, depth)

    def operand(self, children: list[Any], node: Any, depth: int) -> Expression:
        if len(children) == 3 and children[0].type == "(":
            return self.expression(children[1], depth + 1)
        return self.sequence(children, node, depth + 1)

    def opaque(self, node: Any, line: int, depth: int) -> Expression:
        """A `for` or a directive: its words, with the expressions inside still expressions."""
        parts: list[Expression] = []
        stack = [node]
        while stack:
            at = stack.pop()
            if at.type == "comment":
                continue
            if at.type == "expression" and at is not node:
                parts.append(self.expression(at, depth + 1))
            elif at.child_count and at.type not in ("quoted_template", "string_lit"):
                stack += reversed(at.children)
            elif self.source(at).strip():
                parts.append(Expression("other", self.line(at), name=self.source(at).strip()))
        return Expression("other", line, items=tuple(parts))


def joined(parts: list[Expression], line: int, heredoc: bool = False) -> Expression:
    """Template parts as one expression: neighbouring texts run together, and text alone is a literal."""
    out: list[Expression] = []
    assumed = False
    for part in parts:
        inner = part.items if part.kind == "template" else (part,)
        for one in inner:
            assumed = assumed or one.assumed
            if one.kind == "literal" and out and out[-1].kind == "literal":
                out[-1] = Expression("literal", out[-1].line, scalar(out[-1].value) + scalar(one.value))
            elif one.kind == "literal":
                out.append(Expression("literal", one.line, scalar(one.value)))
            else:
                out.append(one)
    if len(out) == 1 and out[0].kind == "literal":
        return Expression("literal", line, out[0].value, assumed=assumed, heredoc=heredoc)
    return Expression("template", line, items=tuple(out), assumed=assumed, heredoc=heredoc)


def _dedented(at: Expression) -> Expression:
    """`<<-`: the smallest indentation of its lines taken off each."""
    whole = "".join(scalar(part.value) if part.kind == "literal" else "\x00" for part in (at.items or (at,)))
    widths = [len(line) - len(line.lstrip(" ")) for line in whole.split("\n") if line.strip()]
    if not widths or not min(widths):
        return at
    cut = re.compile(r"(?m)^ {1," + str(min(widths)) + "}")
    if at.kind == "literal":
        return Expression("literal", at.line, cut.sub("", scalar(at.value)), heredoc=True)
    parts: list[Expression] = []
    after_newline = True
    for part in at.items:
        if part.kind == "literal":
            text = scalar(part.value)
            lines = text.split("\n")
            lines = [line if index == 0 and not after_newline else cut.sub("", line) for index, line in enumerate(lines)]
            parts.append(Expression("literal", part.line, "\n".join(lines)))
        else:
            parts.append(part)
        after_newline = False
    return Expression("template", at.line, items=tuple(parts), heredoc=True)


def _stepped(base: Expression, step: str) -> Expression:
    if base.kind == "reference":
        return Expression("reference", base.line, name=f"{base.name}.{step}")
    return Expression("access", base.line, items=(*_parts(base), Expression("other", base.line, name="." + step)))


def _parts(base: Expression) -> tuple[Expression, ...]:
    return base.items if base.kind == "access" else (base,)


def _number(text: str) -> int | float:
    try:
        return int(text) if re.fullmatch(r"[0-9]{1,300}", text) else float(text)
    except (ValueError, OverflowError):
        return 0


def _outside_quotes(text: str) -> str:
    """Quotes escaped where they are the text's own, left where they stand inside `${…}`."""
    out: list[str] = []
    depth = at = 0
    while at < len(text):
        if text.startswith(("$${", "%%{"), at):
            out.append(text[at : at + 3])
            at += 3
            continue
        if text.startswith(("${", "%{"), at):
            depth += 1
            out.append(text[at : at + 2])
            at += 2
            continue
        char = text[at]
        if depth and char in "{}":
            depth += 1 if char == "{" else -1
        out.append('\\"' if char == '"' and not depth else char)
        at += 1
    return "".join(out)


# The JSON syntax.

_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "module": 1, "variable": 1, "output": 1, "provider": 1, "check": 1}


def _json_file(root: Node, path: str) -> File:
    if not root.is_map:
        raise Unreadable(path, "it is not a JSON object", root.line)
    if ".tfvars." in path:
        return File(path, (), {key: _json_value(value) for key, value in root.entries()})
    blocks: list[Block] = []
    for kind, node in root.entries():
        for part in node.elements():
            blocks += _json_blocks(kind, (), part, _LABELS.get(kind, 0))
    return File(path, tuple(blocks))


def _json_blocks(kind: str, labels: tuple[str, ...], node: Node, more: int) -> Iterator[Block]:
    if more:
        for key, value in node.entries():
            for part in value.elements():
                yield from _json_blocks(kind, (*labels, key), part, more - 1)
        return
    attributes: dict[str, Expression] = {}
    blocks: list[Block] = []
    for key, value in node.entries():
        if key == "//":
            continue
        if key in ("lifecycle", "provisioner", "connection", "backend", "cloud", "validation", "features", "assume_role"):
            for part in value.elements():
                blocks += _json_blocks(key, (), part, int(key in ("provisioner", "backend")))
        elif key == "dynamic":
            blocks += _json_dynamic(value)
        else:
            attributes[key] = _json_value(value)
    yield Block(kind, labels, node.line, node.line, attributes, tuple(blocks))


def _json_dynamic(node: Node) -> Iterator[Block]:
    for part in node.elements():
        for name, value in part.entries():
            for one in value.elements():
                content = one.get("content") or Node(line=one.line, pairs=())
                each = one.get("for_each")
                block = next(_json_blocks(name, (), content, 0))
                yield Block(name, (), one.line, one.line, block.attributes, block.blocks, _json_value(each) if each else literal(None))


def _json_value(node: Node) -> Expression:
    if node.pairs is not None:
        return Expression(
            "map", node.line, pairs=tuple((template(key.text or "", key.line), _json_value(value)) for key, value in node.pairs)
        )
    if node.items is not None:
        return Expression("list", node.line, items=tuple(map(_json_value, node.items)))
    value = node.value
    return template(value, node.line) if isinstance(value, str) else Expression("literal", node.line, value)
