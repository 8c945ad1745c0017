"""Code as the calls it makes: Python, Ruby, JavaScript, TypeScript, PHP and Elixir in one shape.

Enough of a program to read a migration or a script that acts on a database: functions by name, chains of calls with their arguments, literals.
Everything else is kept only for the calls inside it. Bounded in size and depth; nothing is evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.readers import python, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

LIMIT = 384 << 10
"""Bytes of one source file."""
DEPTH = 120
"""Levels of nesting that are looked into."""
ENDINGS = {
    "py": "python", "rb": "ruby", "rake": "ruby", "js": "javascript", "mjs": "javascript", "cjs": "javascript", "jsx": "javascript",
    "ts": "typescript", "mts": "typescript", "cts": "typescript", "tsx": "tsx", "php": "php", "ex": "elixir", "exs": "elixir",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """Something in a program.

    `kind`: text (a string or symbol), word (a name, or a literal as written), list, map, function, call, other.
    """

    kind: str
    text: str = ""
    """The string, the name, the called function, the function's own name."""
    line: int = 0
    items: tuple[Value, ...] = ()
    """Elements, positional arguments, or statements."""
    named: tuple[tuple[str, Value], ...] = ()
    """Pairs of a map, or named arguments."""
    receiver: Value | None = None
    body: tuple[Value, ...] = ()
    """Statements of the block given to a call."""
    whole: bool = True
    """False for a string with computed parts."""

    def arg(self, index: int) -> Value | None:
        """A positional argument, None where there is none."""
        return self.items[index] if index < len(self.items) else None

    def string(self, index: int) -> str:
        """A positional argument that is a string, "" for anything else."""
        value = self.arg(index)
        return value.text if value is not None and value.kind == "text" else ""

    def option(self, *names: str) -> Value | None:
        """A named argument (or a pair of a map given as last argument)."""
        last = self.items[-1] if self.items else None
        pairs = self.named + (last.named if last is not None and last.kind == "map" else ())
        return next((value for key, value in pairs if key in names), None)

    @property
    def false(self) -> bool:
        return self.kind == "word" and self.text.lower() == "false"

    @property
    def true(self) -> bool:
        return self.kind == "word" and self.text.lower() == "true"

    @property
    def null(self) -> bool:
        return self.kind == "word" and self.text.lower() in ("null", "nil", "none", "undefined")

    def strings(self) -> tuple[str, ...]:
        """The string itself, or the strings of a list."""
        if self.kind == "text":
            return (self.text,)
        return tuple(item.text for item in self.items if item.kind == "text") if self.kind == "list" else ()

    @property
    def chain(self) -> tuple[Value, ...]:
        """The calls and names from the root to this one: `a.b(1).c(2)` is a, b(1), c(2)."""
        out: list[Value] = []
        here: Value | None = self
        while here is not None:
            out.append(here)
            here = here.receiver
        return tuple(reversed(out))


def below(value: Value) -> Iterator[Value]:
    """What stands directly inside a value; for a call, inside every link of its chain."""
    for link in value.chain if value.kind in ("call", "word") else (value,):
        yield from link.items
        yield from (item for _, item in link.named)
        yield from link.body


def walk(values: Sequence[Value]) -> Iterator[Value]:
    """Every value in order, chains once, by their last call."""
    stack = list(reversed(values))
    while stack:
        value = stack.pop()
        yield value
        stack.extend(reversed(tuple(below(value))))


@lru_cache(maxsize=256)
def program(data: bytes, path: str) -> tuple[Value, ...]:
    """The statements of a source file. Raises `Unreadable`; empty for a language that is not known."""
    language = ENDINGS.get(path.rpartition(".")[2].lower())
    if language is None:
        return ()
    text = text_of(data, path, LIMIT)
    if language == "python":
        return _python(text, path)
    from tree_sitter import Parser

    root = Parser(_grammar(language)).parse(text.encode("utf-8", "surrogatepass")).root_node
    return tuple(_CONVERT[language](child, 0) for child in root.named_children)


@lru_cache(maxsize=8)
def _grammar(language: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the library is imported on first use
    from tree_sitter import Language

    from checks.readers import syntax

    if language == "php":
        from tree_sitter_php import language_php

        return Language(language_php())
    if language == "elixir":
        import tree_sitter_elixir

        return Language(tree_sitter_elixir.language())
    return syntax.grammar(language)


# ------------------------------------------------------------------------------------------------------------------------ Python


def _python(text: str, path: str) -> tuple[Value, ...]:
    return tuple(_py(item, 0) for item in python.module(text, path).body)


def _py(node: ast.AST, depth: int) -> Value:
    line = getattr(node, "lineno", 0)
    if depth > DEPTH:
        return Value("other", line=line)
    deeper = depth + 1
    if isinstance(node, ast.Constant):
        return Value("text", node.value, line) if isinstance(node.value, str) else Value("word", str(node.value), line)
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{{computed}}" for part in node.values]
        return Value("text", "".join(map(str, parts)), line, whole=all(isinstance(part, ast.Constant) for part in node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _py(node.left, deeper), _py(node.right, deeper)
        return _joined(left, right, line)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = _py(node.left, deeper)
        return Value("text", left.text.replace("%s", "{{computed}}"), line, whole=False) if left.kind == "text" else left
    if isinstance(node, ast.Name):
        return Value("word", node.id, line)
    if isinstance(node, ast.Attribute):
        return Value("word", node.attr, line, receiver=_py(node.value, deeper))
    if isinstance(node, ast.Call):
        function = _py(node.func, deeper)
        named = tuple((keyword.arg or "**", _py(keyword.value, deeper)) for keyword in node.keywords)
        return Value("call", function.text, line, tuple(_py(item, deeper) for item in node.args), named, function.receiver)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return Value("list", "", line, tuple(_py(item, deeper) for item in node.elts))
    if isinstance(node, ast.Dict):
        pairs = [(_py(key, deeper).text if key else "**", _py(value, deeper)) for key, value in zip(node.keys, node.values, strict=True)]
        return Value("map", "", line, named=tuple(pairs))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return Value("function", node.name, line, tuple(_py(item, deeper) for item in node.body))
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = _py(node.targets[0], deeper)
        return Value("other", f"={target.text}", line, (_py(node.value, deeper),), receiver=target)
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return Value("other", f"={_py(node.target, deeper).text}", line, (_py(node.value, deeper),))
    if isinstance(node, ast.Raise):
        return Value("other", "raise", line, tuple(_py(item, deeper) for item in ast.iter_child_nodes(node)))
    if isinstance(node, ast.Pass):
        return Value("other", "pass", line)
    if isinstance(node, ast.Expr):
        return _py(node.value, deeper)
    word = "if" if isinstance(node, (ast.If, ast.IfExp)) else ""
    return Value("other", word, line, tuple(_py(item, deeper) for item in ast.iter_child_nodes(node)))


def _joined(left: Value, right: Value, line: int) -> Value:
    if "text" not in (left.kind, right.kind):
        return Value("other", "", line, (left, right))
    parts = [side.text if side.kind == "text" else "{{computed}}" for side in (left, right)]
    return Value("text", "".join(parts), line, whole=left.whole and right.whole and left.kind == right.kind)


# ------------------------------------------------------------------------------------------------------------------- tree-sitter


def _text(node: Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def _line(node: Node) -> int:
    return int(node.start_point[0]) + 1


def _pieces(node: Node, literal: frozenset[str]) -> tuple[str, bool]:
    """The text of a string node: its literal pieces, with a mark for the computed ones."""
    out, whole = [], True
    for child in node.named_children:
        if child.type in literal:
            out.append(_text(child))
        elif child.type in ("escape_sequence", "string_escape"):
            out.append({"\\n": "\n", "\\t": "\t"}.get(_text(child), _text(child)[1:]))
        elif child.type not in ("heredoc_start", "heredoc_end", "quoted_start", "quoted_end"):
            out.append("{{computed}}")
            whole = False
    return "".join(out), whole


def _others(node: Node, depth: int, convert: Callable[[Node, int], Value], word: str = "") -> Value:
    if depth > DEPTH:
        return Value("other", line=_line(node))
    return Value("other", word, _line(node), tuple(convert(child, depth + 1) for child in node.named_children if child.type != "comment"))


_JS_FUNCTIONS = frozenset(
    {"arrow_function", "function_expression", "function_declaration", "method_definition", "function", "generator_function_declaration"}
)
_JS_STRINGS = frozenset({"string_fragment"})


def _js(node: Node, depth: int) -> Value:
    kind, line = node.type, _line(node)
    if depth > DEPTH:
        return Value("other", line=line)
    deeper = depth + 1
    if kind in ("string", "template_string"):
        text, whole = _pieces(node, _JS_STRINGS)
        return Value("text", text, line, whole=whole)
    if kind in (
        "identifier",
        "property_identifier",
        "number",
        "true",
        "false",
        "null",
        "undefined",
        "this",
        "shorthand_property_identifier",
        "private_property_identifier",
    ):
        return Value("word", _text(node), line)
    if kind in (
        "await_expression",
        "parenthesized_expression",
        "expression_statement",
        "as_expression",
        "non_null_expression",
        "return_statement",
        "satisfies_expression",
    ):
        inner = node.named_children
        return _js(inner[0], deeper) if inner else Value("other", line=line)
    if kind == "member_expression":
        source = node.child_by_field_name("object")
        return Value("word", _text(node.child_by_field_name("property")), line, receiver=_js(source, deeper) if source else None)
    if kind in ("call_expression", "new_expression"):
        function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        called = _js(function, deeper) if function else Value("word")
        given = node.child_by_field_name("arguments")
        items: list[Value] = []
        body: list[Value] = []
        if given is not None and given.type == "template_string":
            items.append(_js(given, deeper))
        for child in given.named_children if given is not None and given.type == "arguments" else ():
            if child.type in _JS_FUNCTIONS:
                body.extend(_js(child, deeper).items)
            elif child.type != "comment":
                items.append(_js(child, deeper))
        if called.kind == "call":
            return Value("call", "", line, tuple(items), receiver=called, body=tuple(body))
        return Value(
            "call",
            called.text,
            _line(function.child_by_field_name("property") or function) if function else line,
            tuple(items),
            (),
            called.receiver,
            tuple(body),
        )
    if kind in _JS_FUNCTIONS:
        inside = node.child_by_field_name("body")
        statements = (
            []
            if inside is None
            else [child for child in inside.named_children if child.type != "comment"]
            if inside.type == "statement_block"
            else [inside]
        )
        return Value("function", _text(node.child_by_field_name("name")), line, tuple(_js(item, deeper) for item in statements))
    if kind == "array":
        return Value("list", "", line, tuple(_js(item, deeper) for item in node.named_children))
    if kind == "object":
        pairs: list[tuple[str, Value]] = []
        for child in node.named_children:
            if child.type == "pair":
                key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
                if key is not None and value is not None:
                    made = _js(value, deeper)
                    word = _js(key, deeper).text
                    pairs.append((word, Value("function", word, made.line, made.items) if made.kind == "function" else made))
            elif child.type == "method_definition":
                pairs.append((_text(child.child_by_field_name("name")), _js(child, deeper)))
            elif child.type != "comment":
                pairs.append((_text(child), _js(child, deeper)))
        return Value("map", "", line, named=tuple(pairs))
    if kind in ("variable_declarator", "assignment_expression", "public_field_definition", "field_definition"):
        name = node.child_by_field_name("name") or node.child_by_field_name("left") or node.child_by_field_name("property")
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        target = _js(name, deeper) if name is not None else Value("word")
        given_value = _js(value, deeper) if value is not None else Value("other")
        if given_value.kind == "function":
            return Value("function", target.text, line, given_value.items)
        return Value("other", f"={target.text}", line, (given_value,), receiver=target)
    if kind == "binary_expression" and _text(node.child_by_field_name("operator")) == "+":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return _joined(_js(left, deeper), _js(right, deeper), line) if left and right else _others(node, depth, _js)
    if kind == "throw_statement":
        return _others(node, depth, _js, "raise")
    return _others(node, depth, _js, "if" if kind in ("if_statement", "ternary_expression") else "")


_RUBY_STRINGS = frozenset({"string_content", "heredoc_content"})


def _ruby(node: Node, depth: int) -> Value:
    kind, line = node.type, _line(node)
    if depth > DEPTH:
        return Value("other", line=line)
    deeper = depth + 1
    if kind in ("string", "heredoc_body", "bare_string"):
        text, whole = _pieces(node, _RUBY_STRINGS)
        return Value("text", text, line, whole=whole)
    if kind == "heredoc_beginning":
        text_node = _heredoc(node)
        if text_node is None:
            return Value("other", line=line)
        text, whole = _pieces(text_node, _RUBY_STRINGS)
        return Value("text", text, _line(text_node) + (1 if text.startswith("\n") else 0), whole=whole)
    if kind == "heredoc_body":
        return Value("other", line=line)
    if kind in ("simple_symbol", "hash_key_symbol", "delimited_symbol", "bare_symbol"):
        return Value("text", _text(node).strip(":\"'"), line)
    if kind == "string_array" or kind == "symbol_array":
        return Value("list", "", line, tuple(Value("text", _text(child), line) for child in node.named_children))
    if kind in ("identifier", "constant", "scope_resolution", "integer", "float", "true", "false", "nil", "self", "instance_variable"):
        return Value("word", _text(node), line)
    if kind == "call":
        receiver = node.child_by_field_name("receiver")
        method = node.child_by_field_name("method")
        items: list[Value] = []
        named: list[tuple[str, Value]] = []
        given = node.child_by_field_name("arguments")
        for child in given.named_children if given is not None else ():
            if child.type == "pair":
                key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
                if key is not None:
                    named.append((_ruby(key, deeper).text, _ruby(value, deeper) if value is not None else Value("word", _text(key))))
            elif child.type not in ("comment", "heredoc_body"):
                items.append(_ruby(child, deeper))
        block = node.child_by_field_name("block")
        inside = block.child_by_field_name("body") if block is not None else None
        statements_of = (
            tuple(_ruby(child, deeper) for child in inside.named_children if child.type not in ("comment", "heredoc_body"))
            if inside is not None
            else ()
        )
        if block is not None and not statements_of:
            statements_of = (Value("other", "empty block", line),)
        return Value(
            "call",
            _text(method),
            _line(method) if method else line,
            tuple(items),
            tuple(named),
            _ruby(receiver, deeper) if receiver is not None else None,
            statements_of,
        )
    if kind in ("method", "singleton_method"):
        inside = node.child_by_field_name("body")
        statements = () if inside is None else inside.named_children if inside.type == "body_statement" else [inside]
        return Value(
            "function",
            _text(node.child_by_field_name("name")),
            line,
            tuple(_ruby(child, deeper) for child in statements if child.type not in ("comment", "heredoc_body")),
        )
    if kind == "class":
        inside = node.child_by_field_name("body")
        parent = node.child_by_field_name("superclass")
        return Value(
            "function",
            f"class {_text(parent).lstrip('< ')}",
            line,
            tuple(_ruby(child, deeper) for child in inside.named_children) if inside is not None else (),
        )
    if kind == "array":
        return Value("list", "", line, tuple(_ruby(child, deeper) for child in node.named_children if child.type != "comment"))
    if kind == "hash":
        pairs = [
            (child.child_by_field_name("key"), child.child_by_field_name("value")) for child in node.named_children if child.type == "pair"
        ]
        return Value(
            "map",
            "",
            line,
            named=tuple((_ruby(key, deeper).text, _ruby(value, deeper)) for key, value in pairs if key is not None and value is not None),
        )
    if kind == "assignment":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return Value(
            "other",
            f"={_text(left)}",
            line,
            (_ruby(right, deeper),) if right is not None else (),
            receiver=_ruby(left, deeper) if left is not None else None,
        )
    return _others(node, depth, _ruby, "if" if kind in ("if", "unless", "if_modifier", "unless_modifier") else "")


def _heredoc(node: Node) -> Node | None:
    """The body of a heredoc: the one that follows in an enclosing node, the nth for the nth beginning of the line."""
    here: Node | None = node
    while here is not None:
        following = here.next_named_sibling
        while following is not None:
            if following.type == "heredoc_body" and following.start_byte >= node.end_byte:
                return following
            following = following.next_named_sibling
        here = here.parent
    return None


_PHP_STRINGS = frozenset({"string_content", "string_value", "nowdoc_string", "heredoc_body"})


def _php(node: Node, depth: int) -> Value:
    kind, line = node.type, _line(node)
    if depth > DEPTH:
        return Value("other", line=line)
    deeper = depth + 1
    if kind in ("string", "encapsed_string", "heredoc_body", "nowdoc_body"):
        text, whole = _pieces(node, _PHP_STRINGS)
        return Value("text", text, line, whole=whole)
    if kind in ("heredoc", "nowdoc"):
        inner = next((child for child in node.named_children if child.type.endswith("body")), None)
        return _php(inner, deeper) if inner is not None else Value("text", "", line)
    if kind in ("name", "integer", "float", "boolean", "null", "qualified_name", "variable_name"):
        return Value("word", _text(node).lstrip("$"), line)
    if kind in ("expression_statement", "argument", "parenthesized_expression", "return_statement"):
        inner_nodes = [child for child in node.named_children if child.type != "comment"]
        return _php(inner_nodes[-1], deeper) if inner_nodes else Value("other", line=line)
    if kind in ("scoped_call_expression", "member_call_expression", "function_call_expression", "nullsafe_member_call_expression"):
        receiver = node.child_by_field_name("scope") or node.child_by_field_name("object")
        name = node.child_by_field_name("name") or node.child_by_field_name("function")
        items: list[Value] = []
        body: list[Value] = []
        given = node.child_by_field_name("arguments")
        for child in given.named_children if given is not None else ():
            value = _php(child, deeper)
            if value.kind == "function":
                body.extend(value.items)
            elif child.type != "comment":
                items.append(value)
        return Value(
            "call",
            _text(name),
            _line(name) if name is not None else line,
            tuple(items),
            (),
            _php(receiver, deeper) if receiver is not None else None,
            tuple(body),
        )
    if kind in (
        "method_declaration",
        "function_definition",
        "anonymous_function",
        "arrow_function",
        "anonymous_function_creation_expression",
    ):
        inside = node.child_by_field_name("body")
        statements = [] if inside is None else inside.named_children if inside.type == "compound_statement" else [inside]
        return Value(
            "function",
            _text(node.child_by_field_name("name")),
            line,
            tuple(_php(child, deeper) for child in statements if child.type != "comment"),
        )
    if kind == "array_creation_expression":
        items, pairs = [], []
        for child in node.named_children:
            inner_nodes = child.named_children
            if len(inner_nodes) == 2:
                pairs.append((_php(inner_nodes[0], deeper).text, _php(inner_nodes[1], deeper)))
            elif inner_nodes:
                items.append(_php(inner_nodes[0], deeper))
        return Value("map", "", line, named=tuple(pairs)) if pairs else Value("list", "", line, tuple(items))
    if kind == "binary_expression" and "." in [_text(child) for child in node.children if not child.is_named]:
        left, right = node.named_children[0], node.named_children[-1]
        return _joined(_php(left, deeper), _php(right, deeper), line)
    if kind == "throw_expression":
        return _others(node, depth, _php, "raise")
    return _others(node, depth, _php, "if" if kind == "if_statement" else "")


_ELIXIR_STRINGS = frozenset({"quoted_content"})


def _elixir(node: Node, depth: int) -> Value:
    kind, line = node.type, _line(node)
    if depth > DEPTH:
        return Value("other", line=line)
    deeper = depth + 1
    if kind in ("string", "charlist", "sigil"):
        text, whole = _pieces(node, _ELIXIR_STRINGS)
        return Value("text", text, line, whole=whole)
    if kind in ("atom", "quoted_atom", "keyword"):
        return Value("text", _text(node).strip(": \"'"), line)
    if kind in ("identifier", "alias", "integer", "float", "boolean", "nil", "dot"):
        return Value("word", _text(node), line)
    if kind == "call":
        target = node.child_by_field_name("target")
        receiver, name = None, _text(target)
        if target is not None and target.type == "dot" and len(target.named_children) == 2:
            receiver, name = _elixir(target.named_children[0], deeper), _text(target.named_children[1])
        items: list[Value] = []
        named: list[tuple[str, Value]] = []
        body: list[Value] = []
        for child in node.named_children:
            if child.type == "arguments":
                for given in child.named_children:
                    if given.type == "keywords":
                        for pair in given.named_children:
                            parts = pair.named_children
                            if len(parts) == 2:
                                named.append((_text(parts[0]).strip(": "), _elixir(parts[1], deeper)))
                    else:
                        items.append(_elixir(given, deeper))
            elif child.type == "do_block":
                body.extend(_elixir(statement, deeper) for statement in child.named_children if statement.type != "comment")
                if not body:
                    body.append(Value("other", "empty block", line))
        if name in ("def", "defp") and items:
            inline = next((value for key, value in named if key == "do"), None)
            return Value("function", items[0].text, line, tuple(body) or ((inline,) if inline else ()))
        word = "raise" if name == "raise" else ""
        if word:
            return Value("other", word, line)
        return Value("call", name, line, tuple(items), tuple(named), receiver, tuple(body))
    if kind == "list":
        return Value("list", "", line, tuple(_elixir(child, deeper) for child in node.named_children))
    return _others(node, depth, _elixir)


_CONVERT: dict[str, Callable[[Node, int], Value]] = {
    "javascript": _js, "typescript": _js, "tsx": _js, "ruby": _ruby, "php": _php, "elixir": _elixir,
}  # fmt: skip
