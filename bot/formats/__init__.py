"""The forms a report is printed in: a table of name, what it is for, and the function that writes it. Each is loaded when it is asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.model import Report

HOME = "https://github.com/interlock-app/interlock"
"""Where the project is found; `app.yml` says the same."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the person who asked wants to see it; only the form for a terminal cares."""

    width: int = 100
    colour: bool = False
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One value of `--format`."""

    name: str
    purpose: str
    module: str
    """A module with a function `write(report, look) -> str`."""


FORMS: tuple[Form, ...] = (
    Form("text", "for a terminal", "bot.formats.text"),
    Form("json", "interlock/report/1, whose schema `interlock schema report` prints", "bot.formats.plain"),
    Form("markdown", "for a job summary or a comment", "bot.formats.words"),
    Form("sarif", "SARIF 2.1.0, within the limits of GitHub code scanning", "bot.formats.sarif"),
    Form("annotations", "workflow commands of GitHub Actions: a note on each line", "bot.formats.annotations"),
    Form("junit", "JUnit XML, a test case for each effect", "bot.formats.junit"),
)
NAMES = tuple(form.name for form in FORMS)


def write(report: Report, name: str, look: Look | None = None) -> str:
    """The report in the form `name`, ending with a line break."""
    form = next(form for form in FORMS if form.name == name)
    text: str = importlib.import_module(form.module).write(report, look or Look())
    return text
