"""The README's picture of a red check, drawn from what the engine really says about the demonstration's change."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from bot import render
from checks.model import Report

WIDTH, LINE = 920, 21


@dataclass(frozen=True, slots=True)
class Row:
    """One line of text in the picture."""

    text: str
    indent: int = 0
    style: str = "text"


def rows(report: Report) -> Iterator[Row]:
    """The lines of the picture: the title, what turns it green, what the change does."""
    for line in textwrap.wrap(render.title(report), 98):
        yield Row(line, 0, "title")
    yield Row("", 0)
    yield Row("What turns this green", 0, "head")
    for requirement in report.requirements[:4]:
        others = f" (or {', '.join(requirement.alternatives)})" if requirement.alternatives else ""
        for number, line in enumerate(textwrap.wrap(f"{requirement.safeguard}{others}: {requirement.proof.source}", 96)):
            yield Row(("○ " if number == 0 else "   ") + line, 1, "open")
    yield Row("", 0)
    yield Row("What this change does", 0, "head")
    for effect in [one for one in report.assessment.effects if not one.hazard.harmless][:5]:
        for number, line in enumerate(textwrap.wrap(f"{effect.severity}  {effect.rule}  {effect.message}", 96)):
            yield Row(("■ " if number == 0 else "   ") + line, 1, effect.severity.value)
    yield Row("", 0)
    yield Row(
        f"Score {report.assessment.risk.score} of 100 ({report.assessment.risk.band})   written by {', '.join(report.assessment.attribution.agents)}",
        0,
        "text",
    )


def svg(report: Report) -> str:
    """The picture."""
    lines = list(rows(report))
    height = 74 + LINE * len(lines) + 14
    described = html.escape(re.sub(r"\s+", " ", " ".join(row.text for row in lines)).strip())
    body = "".join(
        f'<text x="{28 + 16 * row.indent}" y="{86 + LINE * number}" class="{row.style}">{html.escape(row.text)}</text>'
        for number, row in enumerate(lines)
        if row.text
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">'
        f'<title id="t">A red check run: interlock: main</title><desc id="d">{described}</desc>'
        "<style>.box{fill:#ffffff;stroke:#d0d7de}.bar{fill:#f6f8fa;stroke:#d0d7de}text{font:13px ui-sans-serif,system-ui,sans-serif;fill:#1f2328;white-space:pre}"
        ".name{font-weight:600;font-size:15px}.title{font-weight:600}.head{font-weight:600}.red{fill:#cf222e}.critical{fill:#a40e26;font-weight:600}.high{fill:#bc4c00}"
        ".moderate{fill:#7d4e00}.low{fill:#59636e}.open{fill:#1f2328}"
        "@media(prefers-color-scheme:dark){.box{fill:#0d1117;stroke:#30363d}.bar{fill:#161b22;stroke:#30363d}text{fill:#e6edf3}.open{fill:#e6edf3}.critical{fill:#ff7b72}.high{fill:#f0883e}.moderate{fill:#d29922}.low{fill:#9198a1}}"
        "</style>"
        f'<rect class="box" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="8"/><rect class="bar" x="1" y="1" width="{WIDTH - 2}" height="52" rx="8"/>'
        '<circle cx="28" cy="27" r="9" class="red"/><path d="M24.5 23.5l7 7M31.5 23.5l-7 7" stroke="#fff" stroke-width="2"/>'
        '<text x="48" y="32" class="name">interlock: main</text><text x="180" y="32" class="low">failure · required</text>'
        f"{body}</svg>\n"
    )


def demonstration() -> Report:
    """The report on the demonstration's change, without GitHub."""
    from bot.demo import files
    from checks.assess import assess, decide
    from checks.evidence import OFFLINE
    from checks.model import Change, Commit, Identity
    from checks.policy import read_policy
    from checks.trees import MemoryTree, changed

    before = MemoryTree({path: text.encode() for path, text in files.BEFORE.items()})
    after = MemoryTree({path: text.encode() for path, text in {**files.BEFORE, **files.DELETED_AND_RECREATED}.items()})
    author = Identity("Robin", "robin@example.com")
    message = "Recreate the environment\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"
    base, head = "b" * 40, "a" * 40
    change = Change(
        "acme/shop", base, base, head, changed(before, after), (Commit(head, author, author, message, (base,)),), before, after, before
    )
    policy = read_policy(before)
    return decide(assess(change, policy), OFFLINE, policy)


if __name__ == "__main__":
    print(svg(demonstration()), end="")
