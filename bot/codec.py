"""The engine's frozen values as JSON and back: for records, kept assessments and replay."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter

Value = TypeVar("Value")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_SIGN = "\U0010fffe"
"""Stands before four hexadecimal digits in place of what UTF-8 cannot hold; a text never means this character, which Unicode assigns to nothing."""
_HELD = re.compile(f"[\ud800-\udfff{_SIGN}]")
_HOLDER = re.compile(f"{_SIGN}([0-9a-f]{{4}}|-)")


def dump(value: Any) -> str:
    """A frozen value as JSON. Names whose bytes are no text (surrogate escapes) come back from it as they were."""
    adapter = _adapter(type(value))
    try:
        text: str = adapter.dump_json(value, by_alias=False, warnings="error").decode()
    except ValueError:  # surrogates
        text = ""
    if not text or _SIGN in text:
        held = _with_texts(value, lambda one: _HELD.sub(lambda found: _SIGN + ("-" if found[0] == _SIGN else f"{ord(found[0]):04x}"), one))
        text = adapter.dump_json(held, by_alias=False, warnings="error").decode()
    return text


def load(kind: type[Value], text: str) -> Value:
    """A frozen value from its JSON. Raises `ValueError` when it is not one."""
    value: Value = _adapter(kind).validate_json(text)
    if _SIGN in text:
        value = _with_texts(value, lambda one: _HOLDER.sub(lambda found: _SIGN if found[1] == "-" else chr(int(found[1], 16)), one))
    return value


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with each text in it changed."""
    if type(value) is str:
        return change(value)
    if isinstance(value, (tuple, list, frozenset, set)):
        return type(value)(_with_texts(one, change) for one in value)
    if isinstance(value, Mapping):
        return {_with_texts(key, change): _with_texts(one, change) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **{name: _with_texts(one, change) for name, one in old.items()})
    return value


def canonical(value: Any) -> str:
    """JSON in one fixed form: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(text: str) -> str:
    """`sha256:` and the digest of a text."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
