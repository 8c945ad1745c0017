"""The report in Markdown."""

from __future__ import annotations

from bot.formats import Look
from bot.render import as_markdown
from checks.model import Report


def write(report: Report, _: Look) -> str:
    """What the check run shows, in one text."""
    return as_markdown(report)
