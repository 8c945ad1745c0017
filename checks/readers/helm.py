"""Helm templates rendered as far as a chart's own default values allow, without Helm.

In goes a template and the values of `values.yaml`; out comes YAML text and, for each of its lines, the line of the template it came from.
What cannot be known (release name, cluster capabilities, named templates) stands as `⟦text⟧`; what an unknown condition guards is kept.
Sources: pkg.go.dev/text/template (actions, trimming, pipelines), helm.sh/docs/chart_template_guide (built-in objects, functions).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from checks.model import Unreadable
from checks.readers import documents, text_of

OUTPUT = documents.LIMIT
"""Characters of rendered text."""
STEPS = 60_000
"""Actions carried out for one template: loops multiply them."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only a cluster or a release knows."""

    text: str
    block: str | None = None
    """Of lines that are indented: what no lines at all would leave there."""
    negated: bool = False
    """`not` of something unknown: where one branch must be chosen, unknown things are taken to be there."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of a rendered template and, for each line of it, the 1-based line of the template."""

    text: str
    lines: tuple[int, ...]


@dataclass(slots=True)
class _Step:
    """One part of a template: text, an output, or a block with branches."""

    kind: str
    line: int
    text: str = ""
    branches: list[tuple[str, list[_Step]]] = field(default_factory=list)
    inline: bool = False
    """Of an output: text follows it on its line."""
    taken: str = ""
    """Of an output: the space before it that it takes away."""


_ACTION = re.compile(r"\{\{(-?)\s*+(/\*.*?\*/\s*+|(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|[^}\"`]|\}(?!\}))*?)(-?)\}\}", re.DOTALL)
_BLOCKS = ("if", "with", "range", "define", "block")


def _steps(text: str, path: str) -> list[_Step]:
    root: list[_Step] = []
    stack: list[tuple[_Step | None, list[_Step]]] = [(None, root)]
    at, line, trim = 0, 1, False
    for match in _ACTION.finditer(text):
        chunk = text[at : match.start()]
        _text(stack[-1][1], chunk, line, trim, match.group(1) == "-")
        line += chunk.count("\n")
        action = match.group(2).strip()
        out = _action(stack, action, line, path)
        if out is not None:
            out.inline = text[match.end() : match.end() + 1].strip() != ""
            out.taken = chunk[len(chunk.rstrip()) :] if match.group(1) else ""
        line += match.group().count("\n")
        at, trim = match.end(), match.group(3) == "-"
        if len(stack) > 60:
            raise Unreadable(path, "its blocks are nested more than 60 deep", line)
    _text(stack[-1][1], text[at:], line, trim, False)
    return root


def _text(into: list[_Step], chunk: str, line: int, trim_left: bool, trim_right: bool) -> None:
    if trim_left:
        stripped = chunk.lstrip(" \t\r\n")
        line += chunk[: len(chunk) - len(stripped)].count("\n")
        chunk = stripped
    if trim_right:
        chunk = chunk.rstrip(" \t\r\n")
    if chunk:
        into.append(_Step("text", line, chunk))


_WORD = re.compile(r"(if|with|range|define|block|else|end)\b(?!\s*:?=)")


def _action(stack: list[tuple[_Step | None, list[_Step]]], action: str, line: int, path: str) -> _Step | None:
    match = _WORD.match(action)
    word, rest = (match[1], action[match.end() :].strip()) if match else ("", action)
    if not action or action.startswith("/*"):
        return None
    if word in _BLOCKS:
        body: list[_Step] = []
        step = _Step(word, line, rest, [(rest, body)])
        stack[-1][1].append(step)
        stack.append((step, body))
    elif word == "else" and stack[-1][0] is not None:
        step = stack[-1][0]
        body = []
        condition = rest.removeprefix("if ").strip() if rest.startswith("if ") else rest.removeprefix("with ").strip()
        step.branches.append((condition, body))
        stack[-1] = (step, body)
    elif word == "end":
        if len(stack) > 1:
            stack.pop()
    else:
        out = _Step("out", line, action)
        stack[-1][1].append(out)
        return out
    return None


@lru_cache(maxsize=512)
def _parsed(data: bytes, path: str) -> tuple[_Step, ...]:
    return tuple(_steps(text_of(data, path, documents.LIMIT), path))


def render(data: bytes, path: str, values: Any = None, both: bool = True) -> Rendered:
    """The template's text under `values` (ordinary values of `values.yaml`, None if there is none).

    `both`: of an unknown condition both branches are kept; otherwise the one where the unknown thing is there. Raises `Unreadable` over its bounds.
    """
    root: dict[str, Any] = {"Values": Unknown(".Values") if values is None else values}
    run = _Run(path, root, both)
    run.go(_parsed(data, path), root, {"$": root})
    return run.rendered()


class _Run:
    """One rendering: the output so far and what is left of its budget."""

    def __init__(self, path: str, root: dict[str, Any], both: bool) -> None:
        self.path, self.root, self.both = path, root, both
        self.out: list[tuple[str, int, bool]] = []
        self.left, self.room = STEPS, OUTPUT

    def put(self, text: str, line: int, moves: bool) -> None:
        """Adds text; `moves` if its line breaks are line breaks of the template."""
        self.room -= len(text)
        if self.room < 0:
            raise Unreadable(self.path, "it renders to too much text", line)
        if text:
            # Helm begins a document wherever `---` opens a line, whatever a trimmed line break has put behind it.
            if self.out and not text[0].isspace() and _OPENS.search(self.out[-1][0]):
                self.out.append(("\n", line, False))
            self.out.append((text, line, moves))

    def go(self, steps: Sequence[_Step], dot: Any, names: dict[str, Any]) -> None:
        for step in steps:
            self.left -= 1
            if self.left < 0:
                raise Unreadable(self.path, "its loops render too often", step.line)
            if step.kind == "text":
                self.put(step.text, step.line, True)
            elif step.kind == "out":
                shown = self.output(step, dot, names)
                # What is not known may begin with the space or the line break that a trimmed `- {{- include …}}` took away.
                apart = step.taken and shown.startswith("⟦") and self.out and _WANTS_SPACE.search(self.out[-1][0])
                self.put(f" {shown}" if apart else shown, step.line, False)
            elif step.kind == "if":
                self.choose(step, dot, names)
            elif step.kind == "with":
                self.with_(step, dot, names)
            elif step.kind == "range":
                self.range(step, dot, names)
            elif step.kind == "block":
                self.go(step.branches[0][1], dot, names)

    def output(self, step: _Step, dot: Any, names: dict[str, Any]) -> str:
        assigned = re.match(r"(\$\w+)\s*:?=(?!=)\s*(.*)", step.text, re.DOTALL)
        if assigned:
            names[assigned.group(1)] = evaluate(assigned.group(2), dot, names)
            return ""
        value = evaluate(step.text, dot, names)
        if not isinstance(value, Unknown):
            return _shown(value)
        shown = f"⟦{_safe(value.text)}⟧"
        if value.block is not None:
            return value.block + shown if step.inline else value.block
        # A named template that takes the line break away brings one of its own, and then lines.
        return "\n" if "\n" in step.taken and not step.inline and step.text.startswith(("include ", "template ")) else shown

    def choose(self, step: _Step, dot: Any, names: dict[str, Any]) -> None:
        for condition, body in step.branches:
            value = evaluate(condition, dot, names) if condition else True
            if isinstance(value, Unknown) and self.both:
                self.go(body, dot, dict(names))
            elif (isinstance(value, Unknown) and not value.negated) or (not isinstance(value, Unknown) and value):
                self.go(body, dot, names)
                return

    def with_(self, step: _Step, dot: Any, names: dict[str, Any]) -> None:
        inner = dict(names)
        expression = step.branches[0][0]
        assigned = re.match(r"(\$\w+)\s*:=\s*(.*)", expression, re.DOTALL)
        value = evaluate(assigned.group(2) if assigned else expression, dot, names)
        if assigned:
            inner[assigned.group(1)] = value
        if isinstance(value, Unknown) or value:
            self.go(step.branches[0][1], value, inner)
        elif len(step.branches) > 1:
            self.go(step.branches[1][1], dot, inner)

    def range(self, step: _Step, dot: Any, names: dict[str, Any]) -> None:
        assigned = re.match(r"(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*(.*)", step.branches[0][0], re.DOTALL)
        value = evaluate(assigned.group(3) if assigned else step.branches[0][0], dot, names)
        pairs: list[tuple[Any, Any]]
        if isinstance(value, Unknown):
            pairs = [(Unknown(value.text + " key"), Unknown(value.text + " item"))]
        elif isinstance(value, dict):
            pairs = list(value.items())[:500]
        elif isinstance(value, list):
            pairs = list(enumerate(value))[:500]
        else:
            pairs = []
        for key, item in pairs:
            inner = dict(names)
            if assigned:
                inner[assigned.group(2)] = item
                if assigned.group(1):
                    inner[assigned.group(1)] = key
            self.go(step.branches[0][1], item, inner)
        if not pairs and len(step.branches) > 1:
            self.go(step.branches[1][1], dot, names)

    def rendered(self) -> Rendered:
        lines: list[int] = []
        current: int | None = None
        parts: list[str] = []
        last = 1
        for text, line, moves in self.out:
            for number, part in enumerate(text.split("\n")):
                here = line + number if moves else line
                if number:
                    lines.append(current or last)
                    current = None
                if part.strip() and current is None:
                    current = here
                last = here
            parts.append(text)
        lines.append(current or last)
        return Rendered(_without_siblings("".join(parts)), tuple(lines))


_WANTS_SPACE = re.compile(r"(?:\A|\s)-\Z|:\Z")
_OPENS = re.compile(r"(?:\A|\n)---\Z")


def _without_siblings(text: str) -> str:
    """Leaves out what is not known where it stands beside the keys of a map, as more keys: a line of its own, as deep as the line before or after."""
    if "⟦" not in text:
        return text
    lines = text.split("\n")
    depths = [len(match[1]) if (match := _ALONE.fullmatch(line)) else -1 for line in lines]
    for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        beside = -1
        within = False
        for number in order:
            if depths[number] >= 0:
                # At the very left within something deeper it can only be lines that bring their own depth.
                if depths[number] == beside or (within and depths[number] == 0):
                    lines[number] = ""
            elif lines[number].strip() and not lines[number].lstrip().startswith("#"):
                within = lines[number].startswith("  ") and order.step > 0
                beside = len(match[1]) if (match := _KEYED.match(lines[number])) else -1
    return "\n".join(lines)


_ALONE = re.compile(r"( *)⟦[^⟦⟧\n]*⟧[ \t]*")
_KEYED = re.compile(r"( *)(?:[\w./-]+|\"[^\"\n]*\"|'[^'\n]*'):(?:\s|\Z)")


def _safe(text: str) -> str:
    """A placeholder's text with nothing in it that means something to YAML."""
    return re.sub(r"[\s\"'`:#{}\[\],&*!|>%@\\⟦⟧]+", " ", text).strip()[:120]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return _json(value)
    return str(value)


def _yaml(value: Any) -> str:
    """One level in block style, the rest in flow style: short, and valid YAML wherever `toYaml` is used."""
    if isinstance(value, dict) and value:
        return "\n".join(f"{_json(str(key))}: {_json(item)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "\n".join(f"- {_json(item)}" for item in value)
    return _json(value)


# Expressions.

_TOKEN = re.compile(r"\s*(?:(\"(?:\\.|[^\"\\])*\"|`[^`]*`)|(-?\d+(?:\.\d+)?)(?![\w.])|([|(),])|(\$?[\w]*(?:\.[\w-]*)*)|(.))", re.DOTALL)


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match or match.end() == at:
            return
        at = match.end()
        token = match.group().strip()
        if token:
            yield token


def evaluate(expression: str, dot: Any, names: dict[str, Any]) -> Any:
    """The value of a pipeline, `Unknown` where it cannot be known."""
    tokens = list(_tokens(expression))[:400]
    if not tokens:
        return None
    value, at = _pipeline(tokens, 0, dot, names, 0)
    return value if at >= len(tokens) else Unknown(_plain(expression))


def _plain(text: str) -> str:
    found = re.match(r"\s*+\(*+\s*+(?:include|template)\s+\"([^\"]*)\"", text)
    return found.group(1) if found else text


def _pipeline(tokens: list[str], at: int, dot: Any, names: dict[str, Any], depth: int) -> tuple[Any, int]:
    start = at
    value, at = _command(tokens, at, dot, names, None, False, depth)
    while at < len(tokens) and tokens[at] == "|":
        value, at = _command(tokens, at + 1, dot, names, value, True, depth)
    if isinstance(value, Unknown) and depth == 0:
        end = at
        while end - start > 2 and tokens[end - 2] == "|" and tokens[end - 1] in ("quote", "squote", "toString", "trim"):
            end -= 2
        value = Unknown(_plain(" ".join(tokens[start:end])), value.block, value.negated)
    return value, at


def _command(tokens: list[str], at: int, dot: Any, names: dict[str, Any], piped: Any, has_piped: bool, depth: int) -> tuple[Any, int]:
    operands: list[Any] = []
    name: str | None = None
    while at < len(tokens) and tokens[at] not in ("|", ")"):
        token = tokens[at]
        if token == "(":  # noqa: S105 - a token of a template
            if depth > 40:
                return Unknown("(…)"), len(tokens)
            value, at = _pipeline(tokens, at + 1, dot, names, depth + 1)
            at += 1
            if at < len(tokens) and tokens[at].startswith(".") and len(tokens[at]) > 1:
                value = _down(value, tokens[at][1:].split("."), tokens[at])
                at += 1
            operands.append(value)
            continue
        if not operands and name is None and re.match(r"[A-Za-z]\w*\Z", token) and token not in ("true", "false", "nil"):
            name = token
        else:
            operands.append(_operand(token, dot, names))
        at += 1
    if has_piped:
        operands.append(piped)
    if name is None:
        return (operands[0] if operands else None), at
    return _call(name, operands), at


def _number(token: str) -> float | int | Unknown:
    """A number as it stands in a template; what only looks like one is not known."""
    try:
        return float(token) if "." in token else int(token)
    except ValueError:
        return Unknown(token[:80])


def _json(value: Any) -> str:
    """JSON, with what is not known as the text that stands for it."""
    return json.dumps(value, ensure_ascii=False, default=lambda one: one.text if isinstance(one, Unknown) else str(one))


def _operand(token: str, dot: Any, names: dict[str, Any]) -> Any:
    if token[0] == '"':
        try:
            return json.loads(token)
        except ValueError:
            return token[1:-1]
    if token[0] == "`":
        return token[1:-1]
    if re.match(r"-?\d", token):
        return _number(token)
    if token in ("true", "false", "nil"):
        return {"true": True, "false": False, "nil": None}[token]
    if token == ".":  # noqa: S105 - a token of a template
        return dot
    if token[0] == "$":
        head, *rest = token.split(".")
        return _down(names.get(head, Unknown(head)), rest, token)
    if token[0] == ".":
        return _down(dot, token[1:].split("."), token)
    return Unknown(token)


def _down(value: Any, keys: list[str], text: str) -> Any:
    for key in keys:
        if not key:
            continue
        if isinstance(value, Unknown):
            return Unknown(text)
        if isinstance(value, dict):
            # Beside the values stand what Helm knows at a release (Release, Chart, Capabilities, …) and whatever another renderer puts there.
            if "Values" in value and key != "Values":
                return Unknown(text)
            value = value.get(key)
        else:
            return None if value is None else Unknown(text)
    return value


def _call(name: str, args: list[Any]) -> Any:
    """A function of Go templates or Helm; one not known here, or of unknown arguments, gives an unknown value."""
    if name in ("include", "template"):
        return Unknown(str(args[0]) if args else name)
    if name == "fail":
        return ""  # nothing is made then
    if name in ("nindent", "indent") and args and isinstance(args[-1], Unknown):
        return Unknown(args[-1].text, ("\n" if name == "nindent" else "") + _indent(args[0], "") if isinstance(args[0], int) else "")
    if name == "and":
        false = next((arg for arg in args if not isinstance(arg, Unknown) and not arg), _NOTHING)
        if false is not _NOTHING:
            return false
        return next((arg for arg in args if isinstance(arg, Unknown)), args[-1] if args else None)
    if name == "or":
        true = next((arg for arg in args if not isinstance(arg, Unknown) and arg), _NOTHING)
        if true is not _NOTHING:
            return true
        return next((arg for arg in args if isinstance(arg, Unknown)), args[-1] if args else None)
    if name == "default" and len(args) == 2:
        return args[1] if isinstance(args[1], Unknown) or args[1] not in (None, "", 0, False, [], {}) else args[0]
    if name == "coalesce":
        return next((arg for arg in args if isinstance(arg, Unknown) or arg), None)
    if name == "required" and args:
        return args[-1] if args[-1] not in (None, "") else Unknown("required")
    if name == "tpl" and args:
        return _ACTION.sub("⟦tpl⟧", args[0]) if isinstance(args[0], str) else Unknown("tpl")
    if name == "not" and args and isinstance(args[0], Unknown):
        return Unknown(args[0].text, negated=not args[0].negated)
    if any(isinstance(arg, Unknown) for arg in args):
        return next(Unknown(arg.text, arg.block) for arg in args if isinstance(arg, Unknown))
    simple = _SIMPLE.get(name)
    if simple is None:
        return Unknown(name)
    try:
        return simple(*args)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError):
        return Unknown(name)


_NOTHING = object()


def _indent(width: int, text: Any) -> str:
    space = " " * min(int(width), 200)
    return "\n".join(space + line for line in _shown(text).split("\n"))


def _printf(pattern: str, *args: Any) -> Any:
    return re.sub(r"%[dvs]", "%s", pattern) % tuple(_shown(arg) for arg in args)


_SIMPLE: dict[str, Any] = {
    "toYaml": _yaml,
    "toJson": lambda value: json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":")),
    "nindent": lambda width, text: "\n" + _indent(width, text),
    "indent": _indent,
    "quote": lambda value: "" if value is None else _json(_shown(value)),
    "squote": lambda value: "" if value is None else "'" + _shown(value).replace("'", "''") + "'",
    "not": lambda value: not value,
    "empty": lambda value: not value,
    "eq": lambda one, *others: any(one == other for other in others),
    "ne": lambda one, other: one != other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "printf": _printf,
    "print": lambda *args: "".join(_shown(arg) for arg in args),
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "trunc": lambda width, text: str(text)[: int(width)] if int(width) >= 0 else str(text)[int(width) :],
    "trim": lambda text: str(text).strip(),
    "trimSuffix": lambda suffix, text: str(text).removesuffix(suffix),
    "trimPrefix": lambda prefix, text: str(text).removeprefix(prefix),
    "replace": lambda old, new, text: str(text).replace(old, new),
    "toString": _shown,
    "int": lambda value: int(value or 0),
    "int64": lambda value: int(value or 0),
    "len": lambda value: len(value or ()),
    "keys": list,
    "ternary": lambda yes, no, test: yes if test else no,
    "hasKey": lambda value, key: key in (value or {}),
    "has": lambda item, values: item in (values or []),
    "dig": lambda *args: _dig(list(args)),
    "get": lambda value, key: (value or {}).get(key, ""),
    "list": lambda *args: list(args),
    "dict": lambda *args: dict(zip(args[::2], args[1::2], strict=True)),
    "concat": lambda *args: [item for arg in args for item in arg],
    "kindIs": lambda kind, value: _KINDS.get(type(value)) == kind,
    "omit": lambda value, *keys: {key: item for key, item in value.items() if key not in keys},
    "pick": lambda value, *keys: {key: item for key, item in value.items() if key in keys},
    "join": lambda between, values: str(between).join(_shown(value) for value in values),
}
_KINDS: dict[type, str] = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map", list: "slice", type(None): "invalid"}


def _dig(args: list[Any]) -> Any:
    *keys, fallback, value = args
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return fallback
        value = value[key]
    return value
