"""Migrations written in a programming language."""

from __future__ import annotations

from checks.readers.migrations import Migration


def read(data: bytes, path: str, framework: str) -> Migration | None:
    """The migration in `data`, None where it is none. Raises `Unreadable`."""
    return None
