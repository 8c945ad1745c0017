"""The register of safeguards: one line each, imported when first needed."""

from __future__ import annotations

import importlib

from checks.safeguards.base import Safeguard
from checks.safeguards.defaults import NAMES


def load(name: str) -> Safeguard:
    """The safeguard `name`. Raises `KeyError` for a name that is none."""
    if name not in NAMES:
        raise KeyError(name)
    safeguard: Safeguard = importlib.import_module(f"checks.safeguards.{name.replace('-', '_')}").SAFEGUARD
    return safeguard


def every() -> tuple[Safeguard, ...]:
    """All safeguards in the register's order."""
    return tuple(load(name) for name in NAMES)
