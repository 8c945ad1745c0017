"""Python source: read quietly, or told to be none."""

from __future__ import annotations

import pytest

from checks.model import Unreadable
from checks.readers import python


def test_odd_python_is_read_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    """What the interpreter would warn its author of is not said to the reviewer."""
    assert len(python.module("y = 1\nx = 1if y else 2\nz = '\\d'\n", "a.py").body) == 3
    assert not recwarn.list


def test_what_is_no_python_is_told_with_its_line() -> None:
    """Nor is what the parser cannot take: too deep, or with a NUL."""
    with pytest.raises(Unreadable) as told:
        python.module("x = 1\ndef f(:\n", "a.py")
    assert told.value.line == 2
    for text in ("(" * 5000, "x = '\0'"):
        with pytest.raises(Unreadable):
            python.module(text, "a.py")
