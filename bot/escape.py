"""One function per place that text from outside can reach: Markdown, HTML, a terminal, a log line.

Text from outside is file names, branch names, titles, values in files: anything a pull request's author chooses.
"""

from __future__ import annotations

import html as _html
import re
import unicodedata

_VISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SECRETS = re.compile(
    r"gh[pousr]_[A-Za-z0-9._-]{16,}|github_pat_[A-Za-z0-9_]{16,}|[Bb]earer\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+|-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)",
    re.DOTALL,
)


def visible(text: str, limit: int = 4000) -> str:
    """`text` on one line with every control, format, surrogate and odd space character written as `\\u{…}`."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(_shown(char) for char in cut)


def _shown(char: str) -> str:
    if char == " ":
        return char
    category = unicodedata.category(char)
    return f"\\u{{{ord(char):x}}}" if category in _VISIBLE or category == "Zs" else char


def code(text: str, limit: int = 300) -> str:
    """`text` as a Markdown code span that it cannot leave: no backtick, no pipe, no line break survives."""
    shown = visible(text, limit).replace("`", "ˋ").replace("|", "¦").strip()
    return f"`{shown}`" if shown else "` `"


_ENTITIES = str.maketrans({char: f"&#{ord(char)};" for char in "\\`*_{}[]#|<>~&@!$"})


def markdown(text: str, limit: int = 4000) -> str:
    """`text` as Markdown that means only itself: no markup, link, mention, HTML, formula or table cell can start in it."""
    return visible(text, limit).translate(_ENTITIES).replace("://", "&#58;//").replace("www.", "www&#46;")


def fenced(text: str, language: str = "", limit: int = 8000) -> str:
    """`text` as a fenced block that it cannot close; its lines are kept."""
    lines = [visible(line, 1000) for line in text[:limit].split("\n")]
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    return "\n".join((fence + language, *lines, fence))


def html(text: str, limit: int = 4000) -> str:
    """`text` for HTML content and quoted attributes."""
    return _html.escape(visible(text, limit), quote=True)


def terminal(text: str, limit: int = 4000) -> str:
    """`text` for a terminal: no escape sequence, no bidirectional control."""
    return visible(text, limit)


def log(text: str, limit: int = 2000) -> str:
    """`text` for a log: one line, with tokens and keys masked."""
    return visible(_SECRETS.sub("[masked]", text), limit)
