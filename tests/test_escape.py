"""No name, title or value leaves the place it is put in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.escape import code, fenced, html, log, markdown, terminal, visible

ANY = st.text(st.characters(), max_size=200)


@given(ANY)
def test_visible_text_is_one_printable_line(text: str) -> None:
    """No control, format, surrogate or odd space character survives, whatever the text."""
    assert visible(text).isprintable()
    assert not set(visible(text)) & set("\u202e\u2066\u200b\u00ad\u2028\n\r\t\x1b")


@given(ANY)
@pytest.mark.bypass("BP-81")
def test_a_code_span_cannot_be_left(text: str) -> None:
    """Between the two backticks there is none, and no table cell ends there."""
    inner = code(text)[1:-1]
    assert "`" not in inner and "|" not in inner and "\n" not in inner


@given(ANY)
def test_markdown_means_only_itself(text: str) -> None:
    """None of the characters that start markup, a mention, HTML or a table cell stands unescaped."""
    import re

    rest = re.sub(r"&#\d+;", "", markdown(text))
    assert not set(rest) & set("`*_[]<>|@!~$\\")
    assert "://" not in rest and "www." not in rest


@given(ANY)
def test_html_is_escaped(text: str) -> None:
    """Neither a tag nor an attribute's end can come from outside."""
    assert not set(html(text)) & set("<>\"'")


@given(ANY)
def test_a_fence_is_longer_than_any_in_its_text(text: str) -> None:
    """A fenced block ends where we end it."""
    lines = fenced(text).split("\n")
    assert lines[0] == lines[-1] and not any(lines[0] in line for line in lines[1:-1])


@given(ANY)
@pytest.mark.bypass("BP-83")
def test_terminal_and_log_lines_hold_no_control(text: str) -> None:
    """No escape sequence reaches a terminal, no line break a log."""
    assert terminal(text).isprintable() and log(text).isprintable()


def test_a_log_masks_secrets() -> None:
    """Tokens and keys are masked wherever they stand."""
    for secret in (
        "ghs_" + "a" * 40,
        "github_pat_" + "b" * 30,
        "Bearer abcdefgh12345678",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ):
        assert secret.split()[-1] not in log(f"x {secret} y") and "[masked]" in log(f"x {secret} y")
