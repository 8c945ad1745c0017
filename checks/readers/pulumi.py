"""Pulumi programs in TypeScript, JavaScript and Python as the resources their text names, and stack configuration files.

A resource is a constructor of an imported provider package with a literal name. Nothing is evaluated: names that are computed are left out.
Sources: pulumi.com/docs/iac/concepts/resources/names, .../options (protect, retainOnDelete, aliases, deleteBeforeReplace).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.readers import documents, syntax

if TYPE_CHECKING:
    from tree_sitter import Node

RESOURCES = 5000
"""Resources of one file."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a program."""

    type: str
    """`rds.Instance`: the last module and the class."""
    name: str
    options: tuple[tuple[str, str], ...]
    """Resource options as written, by their name in camel case."""
    line: int

    def option(self, name: str) -> str | None:
        """An option's source text, None where it is missing."""
        return next((value for key, value in self.options if key == name), None)

    def on(self, name: str) -> bool:
        """Whether an option is literally true."""
        return self.option(name) in ("true", "True")


@dataclass(frozen=True, slots=True)
class Program:
    """What one source file names."""

    resources: tuple[Resource, ...]
    aliases: frozenset[str]
    """Names that stand in `aliases` options."""


def is_program(data: bytes) -> bool:
    """Whether a source file can name Pulumi resources: a look at its bytes."""
    return b"pulumi" in data


@lru_cache(maxsize=256)
def read(data: bytes, path: str) -> Program:
    """The resources of a source file. Raises `Unreadable` over its limits."""
    language = syntax.language_of(path)
    if language not in ("python", "javascript", "typescript", "tsx") or not is_program(data):
        return Program((), frozenset())
    root = syntax.tree(data, path, language).root_node
    text = data.decode("utf-8", "replace")
    roots = _packages(text)
    found: list[Resource] = []
    for node in syntax.walk(root, lambda _: True):
        made = _python(node, roots) if language == "python" else _script(node, roots)
        if made is not None:
            found.append(made)
            if len(found) >= RESOURCES:
                break
    aliases = frozenset(name for resource in found for name in re.findall(r"[\"']([^\"']+)[\"']", resource.option("aliases") or ""))
    return Program(tuple(found), aliases)


_IMPORTS = (
    re.compile(
        r"import\s+\*\s+as\s+(\w+)\s+from\s+[\"'](?:@[\w-]*/)?[\w./-]*pulumi[\w./-]*[\"']|import\s+\*\s+as\s+(\w+)\s+from\s+[\"']@pulumi/[\w./-]+[\"']"
    ),
    re.compile(r"import\s+(\w+)\s+from\s+[\"']@?pulumi[\w./-]*[\"']"),
    re.compile(r"(?:const|let|var)\s+(\w+)\s*=\s*require\(\s*[\"']@?pulumi[\w./-]*[\"']\s*\)"),
    re.compile(r"^[ \t]*import\s+pulumi_[\w.]+\s+as\s+(\w+)", re.MULTILINE),
    re.compile(r"^[ \t]*import\s+(pulumi_\w+)\s*$", re.MULTILINE),
)
_NAMED = re.compile(
    r"import\s*\{([^}]*)\}\s*from\s+[\"']@?pulumi[\w./-]*[\"']|^\s*from\s+pulumi_[\w.]+\s+import\s+\(?([^)\n]*)", re.MULTILINE
)


def _packages(text: str) -> frozenset[str]:
    """The names under which provider packages, their modules and classes are imported."""
    names = {name for pattern in _IMPORTS for match in pattern.finditer(text) for name in match.groups() if name}
    for match in _NAMED.finditer(text):
        for part in (match.group(1) or match.group(2) or "").split(","):
            word = re.split(r"\s+as\s+", part.strip())[-1].strip()
            if re.fullmatch(r"\w+", word):
                names.add(word)
    return frozenset(names - {"pulumi"})


def _class(name: str, roots: frozenset[str]) -> str | None:
    parts = name.split(".")
    if parts[0] not in roots or not parts[-1][:1].isupper() or parts[-1] in ("Provider", "Config", "Output") or parts[-1].endswith("Args"):
        return None
    return ".".join(parts[-2:])


def _script(node: Node, roots: frozenset[str]) -> Resource | None:
    if node.type != "new_expression":
        return None
    kind = _class(syntax.text(node.child_by_field_name("constructor")), roots)
    arguments = node.child_by_field_name("arguments")
    given = [child for child in arguments.named_children if child.type != "comment"] if arguments is not None else []
    name = _literal(given[0]) if given else None
    if kind is None or name is None:
        return None
    options: dict[str, str] = {}
    for part in given[2:3]:
        if part.type == "object":
            for pair in part.named_children:
                key = pair.child_by_field_name("key")
                if key is not None:
                    options[syntax.text(key).strip("\"'")] = syntax.text(pair.child_by_field_name("value"))
        else:
            options["..."] = syntax.text(part)
    return Resource(kind, name, tuple(sorted(options.items())), syntax.line(node))


def _python(node: Node, roots: frozenset[str]) -> Resource | None:
    if node.type != "call":
        return None
    kind = _class(syntax.text(node.child_by_field_name("function")), roots)
    arguments = node.child_by_field_name("arguments")
    given = [child for child in arguments.named_children if child.type != "comment"] if arguments is not None else []
    name = _literal(given[0]) if given else None
    if kind is None or name is None:
        return None
    options: dict[str, str] = {}
    for part in given[1:]:
        if part.type == "keyword_argument" and syntax.text(part.child_by_field_name("name")) == "opts":
            value = part.child_by_field_name("value")
            inner = value.child_by_field_name("arguments") if value is not None and value.type == "call" else None
            if inner is None:
                options["..."] = syntax.text(value)
            for option in inner.named_children if inner is not None else ():
                if option.type == "keyword_argument":
                    options[_camel(syntax.text(option.child_by_field_name("name")))] = syntax.text(option.child_by_field_name("value"))
    return Resource(kind, name, tuple(sorted(options.items())), syntax.line(node))


def _literal(node: Node) -> str | None:
    text = syntax.text(node)
    return text[1:-1] if node.type == "string" and text[:1] in "\"'" and len(text) > 1 and "\\" not in text else None


def _camel(text: str) -> str:
    head, *rest = text.split("_")
    return head + "".join(part.capitalize() for part in rest)


def settings(data: bytes, path: str) -> Iterator[tuple[str, bool, int]]:
    """(key, whether its value is encrypted, line) of a stack's configuration. Raises `Unreadable`."""
    node = documents.one_yaml(data, path)
    config = node.get("config") if node is not None else None
    for key, value in config.entries() if config is not None else ():
        yield key, value.get("secure") is not None, value.line
