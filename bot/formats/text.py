"""The report for a terminal."""

from __future__ import annotations

from bot.formats import Look
from bot.render import as_text
from checks.model import Report


def write(report: Report, look: Look) -> str:
    """Verdict first, then effects, what turns it green, and the score as a sum."""
    return as_text(report, look.width, look.colour, look.everything)
