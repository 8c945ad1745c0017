"""Python source as the standard library's tree. Only parsed, never compiled or run."""

from __future__ import annotations

import ast
import warnings

from checks.model import Unreadable


def module(text: str, path: str) -> ast.Module:
    """The tree of a file. Raises `Unreadable` with the line where it is not Python, or is nested deeper than the parser goes."""
    try:
        with warnings.catch_warnings():
            # What the parser finds odd (`1if x`, an unknown escape) is its author's affair, and no word on the reviewer's terminal.
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(path, f"it is not valid Python: {type(error).__name__}", getattr(error, "lineno", None)) from None
