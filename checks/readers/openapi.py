"""OpenAPI (2 and 3) and AsyncAPI documents as operations, and what one document demands and gives beside another.

Only references within the document are followed; a reference to another file is compared as text.
Sources: spec.openapis.org/oas/v3.1.0 and /oas/v2.0; asyncapi.com/docs/reference/specification/v3.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from checks.readers import documents

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
STEPS = 60_000
"""Schemas compared for one pair of documents."""
DEPTH = 24
"""Levels of schemas below one operation."""
_MARK = re.compile(rb"^[\s{]*[\"']?(?:openapi|swagger|asyncapi)[\"']?\s*:\s*[\"']?[0-9]", re.MULTILINE)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One description of an interface."""

    root: Mapping[str, Any]
    operations: Mapping[tuple[str, str], Mapping[str, Any]]
    """(path with its parameters' names left out, method) → the operation; for AsyncAPI (channel, "channel")."""
    written: Mapping[tuple[str, str], str]
    """The operation as it is written: `GET /pets/{id}`."""


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """What somebody who holds on to the old document runs into."""

    kind: str
    """`removed` (given no longer), `demanded` (has to be given now), `changed` (another type)."""
    where: str
    what: str
    before: str
    after: str


def may_be(data: bytes) -> bool:
    """Whether the bytes look like such a document: a cheap look before parsing."""
    return _MARK.search(data[:65536]) is not None or (data[:1] == b"{" and _MARK.search(data) is not None)


@lru_cache(maxsize=32)
def read(data: bytes, path: str) -> Document | None:
    """The document, None if it is none. Raises `Unreadable`."""
    if not may_be(data):
        return None
    if path.endswith(".json"):
        root = documents.plain_json(data, path)
    else:
        node = documents.one_yaml(data, path)
        root = node.plain_value() if node is not None else None
    if not isinstance(root, dict) or not any(key in root for key in ("openapi", "swagger", "asyncapi")):
        return None
    operations: dict[tuple[str, str], Mapping[str, Any]] = {}
    written: dict[tuple[str, str], str] = {}
    for name, item in _map(root.get("paths")).items():
        item = _resolved(root, item)
        for method in METHODS:
            if isinstance(item.get(method), dict):
                key = (re.sub(r"\{[^}]*\}", "{}", str(name)).rstrip("/") or "/", method)
                shared = {"parameters": [*_list(item.get("parameters")), *_list(item[method].get("parameters"))]}
                operations[key] = {**item[method], **shared}
                written[key] = f"{method.upper()} {name}"
    if "asyncapi" in root:
        for name, item in _map(root.get("channels")).items():
            operations[str(name), "channel"] = _map(item)
            written[str(name), "channel"] = f"channel {name}"
    return Document(root, operations, written)


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolved(root: Mapping[str, Any], value: object) -> dict[str, Any]:
    """A map with its local reference followed (a few times at most)."""
    for _ in range(8):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str) or not value["$ref"].startswith("#/"):
            break
        target: Any = root
        for step in value["$ref"][2:].split("/"):
            target = _map(target).get(step.replace("~1", "/").replace("~0", "~"))
        value = target
    return _map(value)


def open_to_all(document: Document, operation: Mapping[str, Any]) -> bool:
    """Whether an operation may be called without proof of who calls."""
    demanded = operation.get("security", document.root.get("security"))
    return not isinstance(demanded, list) or not demanded or any(option == {} for option in demanded)


def differences(old: Document, new: Document) -> Iterator[Difference]:
    """What the operations that stay demand more or give less; each once, however many operations share it."""
    walk = _Walk(old.root, new.root)
    for key, operation in old.operations.items():
        now = new.operations.get(key)
        if now is not None and "asyncapi" not in old.root and (operation != now or walk.shared):
            walk.operation(new.written[key], operation, now)
    yield from dict.fromkeys(walk.found)


class _Walk:
    """Goes through two documents side by side."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self.old, self.new = old, new
        self.found: list[Difference] = []
        self.seen: set[tuple[str, str, bool]] = set()
        self.steps = 0
        self.shared = "asyncapi" not in old and any(
            old.get(key) != new.get(key) for key in ("components", "definitions", "parameters", "responses")
        )

    def operation(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        before, after = self._parameters(self.old, old), self._parameters(self.new, new)
        for key, parameter in after.items():
            if key[0] == "body":
                continue
            known = before.get(key)
            schema = _resolved(self.new, parameter.get("schema"))
            if (
                parameter.get("required") is True
                and (known is None or known.get("required") is not True)
                and "default" not in {**parameter, **schema}
            ):
                # A parameter of the path that appears goes with a path that is another: the path's own text says so.
                if key[0] != "path":
                    self._add(
                        "demanded", where, f"the {key[0]} parameter {key[1]}", "optional" if known is not None else "none", "required"
                    )
            elif known is not None:
                self._schema(
                    where, f"the {key[0]} parameter {key[1]}", known.get("schema", known), parameter.get("schema", parameter), True, 0
                )
        self._body(where, before, after, old, new)
        self._responses(where, old, new)

    @staticmethod
    def _parameters(root: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        out: dict[tuple[str, str], dict[str, Any]] = {}
        for item in _list(operation.get("parameters")):
            parameter = _resolved(root, item)
            place = str(parameter.get("in"))
            out[place, "" if place == "body" else str(parameter.get("name"))] = parameter
        return out

    def _body(self, where: str, before: Any, after: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        if ("body", "") in before and ("body", "") in after:
            self._schema(where, "the body", before["body", ""].get("schema"), after["body", ""].get("schema"), True, 0)
        was, now = _resolved(self.old, old.get("requestBody")), _resolved(self.new, new.get("requestBody"))
        if now.get("required") is True and was.get("required") is not True:
            self._add("demanded", where, "a body", "optional" if was else "none", "required")
        for kind, content in _map(was.get("content")).items():
            other = _map(now.get("content")).get(kind)
            if other is not None:
                self._schema(where, "the body", _map(content).get("schema"), _map(other).get("schema"), True, 0)

    def _responses(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        after = {str(status): item for status, item in _map(new.get("responses")).items()}
        for status, item in _map(old.get("responses")).items():
            if not str(status).startswith("2"):
                continue
            if str(status) not in after:
                if not {"2XX", "2xx", "default"} & after.keys():
                    self._add("removed", where, f"the answer {status}", str(status), "none")
                continue
            was, now = _resolved(self.old, item), _resolved(self.new, after[str(status)])
            if "schema" in was:
                self._schema(where, "the answer", was.get("schema"), now.get("schema"), False, 0)
            for kind, content in _map(was.get("content")).items():
                other = _map(now.get("content")).get(kind)
                if other is not None:
                    self._schema(where, "the answer", _map(content).get("schema"), _map(other).get("schema"), False, 0)

    def _schema(self, where: str, what: str, old: object, new: object, given: bool, depth: int) -> None:
        self.steps += 1
        if self.steps > STEPS or depth > DEPTH or not isinstance(old, dict) or not isinstance(new, dict):
            return
        names = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if names[0].startswith("#/"):
            if (*names, given) in self.seen:
                return
            self.seen.add((*names, given))
            where, what = names[0].rpartition("/")[2], ""
        was, now = _flat(self.old, old), _flat(self.new, new)
        if was == now and not names[0] and "$ref" not in str(was):
            return
        one, other = _types(was), _types(now)
        if one and other and not _fits(one if given else other, other if given else one):
            self._add("changed", where, what or "the value", " or ".join(sorted(one)), " or ".join(sorted(other)))
            return
        values, kept = _list(was.get("enum")), _list(now.get("enum"))
        if given and kept:
            lost = [str(value) for value in values if value not in kept]
            if lost:
                self._add(
                    "demanded",
                    where,
                    f"{what or 'the value'} without {', '.join(lost[:5])}",
                    ", ".join(map(str, values[:8])),
                    ", ".join(map(str, kept[:8])),
                )
        self._properties(where, what, was, now, given, depth)
        for key in ("items", "additionalProperties"):
            self._schema(where, f"{what}[]" if what else "[]", was.get(key), now.get(key), given, depth + 1)

    def _properties(self, where: str, what: str, was: dict[str, Any], now: dict[str, Any], given: bool, depth: int) -> None:
        before, after = _map(was.get("properties")), _map(now.get("properties"))
        open_ended = any(key in now for key in ("oneOf", "anyOf", "$ref"))
        for name, schema in before.items():
            label = f"{what}.{name}" if what else str(name)
            if name in after:
                self._schema(where, label, schema, after[name], given, depth + 1)
            elif not given and not open_ended and not _map(schema).get("writeOnly"):
                self._add("removed", where, label, str(name), "none")
        if not given:
            return
        needed = set(map(str, _list(was.get("required"))))
        for name in _list(now.get("required")):
            schema = _resolved(self.new, after.get(name))
            known = bool(was.get("properties")) or not any(key in was for key in ("oneOf", "anyOf", "$ref"))
            if str(name) not in needed and known and "default" not in schema and not schema.get("readOnly"):
                label = f"{what}.{name}" if what else str(name)
                self._add("demanded", where, label, "optional" if name in before else "none", "required")

    def _add(self, kind: str, where: str, what: str, before: str, after: str) -> None:
        self.found.append(Difference(kind, where, what, before, after))


def _flat(root: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A schema with its reference followed and its `allOf` parts made one."""
    own = _resolved(root, schema)
    parts = _list(own.get("allOf"))
    if not parts or depth > 8:
        return own
    out: dict[str, Any] = {key: value for key, value in own.items() if key != "allOf"}
    properties = dict(_map(own.get("properties")))
    required = list(_list(own.get("required")))
    for part in parts:
        flat = _flat(root, part, depth + 1) if isinstance(part, dict) else {}
        properties = {**_map(flat.get("properties")), **properties}
        required += [name for name in _list(flat.get("required")) if name not in required]
        for key in ("type", "oneOf", "anyOf", "enum", "items", "$ref"):
            if key in flat:
                out.setdefault(key, flat[key])
    return {**out, "properties": properties, "required": required} if properties or required else out


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    """The types a schema names (null aside); nothing where it does not say."""
    kind = schema.get("type")
    named = {kind} if isinstance(kind, str) else {item for item in _list(kind) if isinstance(item, str)}
    return frozenset(named - {"null"})


def _fits(narrow: frozenset[str], wide: frozenset[str]) -> bool:
    return all(kind in wide or (kind == "integer" and "number" in wide) for kind in narrow)
