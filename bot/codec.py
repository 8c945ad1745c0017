"""The engine's frozen values as JSON and back: for records, kept assessments and replay."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

from pydantic import TypeAdapter

Value = TypeVar("Value")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(value: Any) -> str:
    """A frozen value as JSON."""
    return _adapter(type(value)).dump_json(value, by_alias=False, warnings="error").decode()


def load(kind: type[Value], text: str) -> Value:
    """A frozen value from its JSON. Raises `ValueError` when it is not one."""
    value: Value = _adapter(kind).validate_json(text)
    return value


def canonical(value: Any) -> str:
    """JSON in one fixed form: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(text: str) -> str:
    """`sha256:` and the digest of a text."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
