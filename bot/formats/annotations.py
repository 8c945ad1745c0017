"""The report as workflow commands of GitHub Actions: printed by a step, each becomes a note on the line it is about.

docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are those of `@actions/core`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bot.escape import visible
from bot.formats import Look
from bot.formats.judged import Judged, judged
from checks.model import Report, Side

PER_LEVEL = 10
"""Notes of one level that GitHub keeps of one step."""


def write(report: Report, _: Look) -> str:
    """One command a line, the reasons for a stop first. The verdict itself is a note as well, so that a pass is seen too."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    shown: Counter[str] = Counter(notice=1)
    left = 0
    yield command("notice", report.verdict.summary, title=f"Interlock: {report.verdict.state.value}")
    for mistake in report.assessment.mistakes:
        shown["error"] += 1
        yield command("error", mistake.message, file=mistake.path, line=str(mistake.line or 1), title="The policy file is wrong")
    for one in judged(report):
        # One of the ten is kept for the sentence that says how many are left out.
        if shown[one.level] >= PER_LEVEL - (one.level == "notice"):
            left += 1
            continue
        shown[one.level] += 1
        yield _note(one)
    if left:
        yield command("notice", f"{left} more effects are in the whole report: interlock review --format text --all", title="Interlock")


def _note(one: Judged) -> str:
    effect = one.effect
    needs = f" Needs {' and '.join(one.needs)}." if one.needs else ""
    title = f"{effect.rule} ({effect.severity})"
    if effect.side is Side.HEAD:
        return command(one.level, effect.message + needs, file=effect.path, line=str(effect.line or 1), title=title)
    # A line of the base is another line at head, or none: the note stands on no line and names the place in words.
    where = f"{effect.path}:{effect.line}" if effect.line else effect.path
    return command(one.level, f"{effect.message}{needs} (At base: {where})", title=title)


def command(level: str, message: str, **properties: str) -> str:
    """A workflow command on one line that its values cannot leave."""
    words = ",".join(f"{name}={_property(visible(value, 1000))}" for name, value in properties.items())
    return f"::{level} {words}::{_data(visible(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
