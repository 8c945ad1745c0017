"""The little Markdown that our own texts use, as HTML: headings, paragraphs, lists, fenced and inline code, strong.

Our texts quote names from outside as code. Nothing in a text can become markup of its own: everything is escaped, and no link is ever made.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from markupsafe import Markup, escape

from bot.escape import visible

_INLINE = re.compile(r"(`++)(.+?)\1|\*\*(.+?)\*\*|\*([^*\s][^*]*)\*")
_ITEM = re.compile(r"(\s*)(?:[-*]|\d+\.)\s+(.*)")


def as_html(text: str, top: int = 2, limit: int = 60_000) -> Markup:
    """`text` as HTML; its first level of headings (`##`) becomes `<h{top}>`."""
    return Markup("\n").join(_blocks(text[:limit].split("\n"), top))


def _blocks(lines: list[str], top: int) -> Iterator[Markup]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if fence := re.match(r"\s*(`{3,})(\w*)", line):
            end = at + 1
            while end < len(lines) and lines[end].strip() != fence[1]:
                end += 1
            yield _code(lines[at + 1 : end])
            at = end + 1
        elif heading := re.match(r"(#{1,6})\s+(.*)", line):
            level = min(6, max(1, top + len(heading[1]) - 2))
            yield Markup("<h{0}>{1}</h{0}>").format(level, inline(heading[2]))
            at += 1
        elif _ITEM.fullmatch(line):
            end = at
            while end < len(lines) and lines[end].strip() and not re.match(r"\s*`{3,}|#", lines[end]):
                end += 1
            yield _list(lines[at:end])
            at = end
        elif not line.strip():
            at += 1
        else:
            end = at
            while (
                end < len(lines)
                and lines[end].strip()
                and not re.match(r"\s*`{3,}|#{1,6}\s", lines[end])
                and not (end > at and _ITEM.fullmatch(lines[end]))
            ):
                end += 1
            yield Markup("<p>{}</p>").format(inline(" ".join(lines[at:end])))
            at = end


def _code(lines: list[str]) -> Markup:
    """A block of code that can be reached by keyboard and selected with one click."""
    return Markup('<pre class="copy" tabindex="0"><code>{}</code></pre>').format(Markup("\n").join(escape(visible(line)) for line in lines))


def _list(lines: list[str]) -> Markup:
    items: list[str] = []
    for line in lines:
        if match := _ITEM.fullmatch(line):
            items.append(match[2])
        elif items:
            items[-1] += " " + line.strip()
    return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(inline(item)) for item in items))


def inline(text: str) -> Markup:
    """One run of text: code, strong and emphasis."""
    made, at = Markup(""), 0
    for match in _INLINE.finditer(text):
        made += _words(text[at : match.start()])
        if match[2] is not None:
            made += Markup("<code>{}</code>").format(visible(match[2].strip()))
        elif match[3] is not None:
            made += Markup("<strong>{}</strong>").format(inline(match[3]))
        else:
            made += Markup("<em>{}</em>").format(_words(match[4]))
        at = match.end()
    return made + _words(text[at:])


def _words(text: str) -> Markup:
    """Plain words: entities that stand for characters are resolved first, then everything is escaped."""
    return escape(visible(html.unescape(text)))
