"""The blast radius as a picture: what changed, what depends on it, where it ships. Pure: an assessment in, SVG text out.

Danger is told by colour and by shape and by word, never by colour alone. One column of rows, so that it is legible on a phone; the drawing
scales with the page, and the same facts stand in its title and description.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.model import Assessment, Effect, Severity

WIDTH = 400
"""Units of the drawing's own measure: at 400 pixels text is 13 pixels high."""
ROWS = 6
"""Things shown of each kind; the rest is counted."""
_STEP = 26
_SHAPES = {
    Severity.CRITICAL: '<path class="critical" d="M{x} {t}L{r} {b}L{l} {b}Z"/>',
    Severity.HIGH: '<path class="high" d="M{x} {t}L{r} {y}L{x} {b}L{l} {y}Z"/>',
    Severity.MODERATE: '<rect class="moderate" x="{l}" y="{t}" width="12" height="12"/>',
    Severity.LOW: '<circle class="low" cx="{x}" cy="{y}" r="5"/>',
    None: '<circle class="none" cx="{x}" cy="{y}" r="4"/>',
}
STYLE = (
    ".radius{max-width:720px}.radius text{font:13px system-ui,sans-serif;fill:#1f2328}.radius .head{font-weight:600}.radius .mute{fill:#57606a;font-size:12px}"
    ".radius .card{fill:#f6f8fa;stroke:#d0d7de}.radius .line{stroke:#8c959f;fill:none}.radius .critical{fill:#b3123c}.radius .high{fill:#c4500a}"
    ".radius .moderate{fill:#8a6500}.radius .low,.radius .none{fill:#57606a}@media(prefers-color-scheme:dark){.radius text{fill:#e6edf3}.radius .mute{fill:#9da7b3}"
    ".radius .card{fill:#161b22;stroke:#3d444d}.radius .line{stroke:#7d8590}.radius .critical{fill:#ff6b8b}.radius .high{fill:#ff9a57}.radius .moderate{fill:#e3b341}"
    ".radius .low,.radius .none{fill:#9da7b3}}"
)
"""The picture's own style: a page that allows styles by digest allows this one."""


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    indent: int = 0
    severity: Severity | None = None
    mark: bool = True


def picture(assessment: Assessment) -> str:
    """The blast radius of a change as SVG."""
    sections = [(name, list(rows)) for name, rows in _sections(assessment)]
    body: list[str] = []
    y = 16
    for at, (name, rows) in enumerate(sections):
        height = 34 + _STEP * len(rows)
        if at:
            body.append(f'<path class="line" d="M200 {y - 12}v12m-4 -5l4 5l4 -5"/>')
        body.append(f'<rect class="card" x="8" y="{y}" width="{WIDTH - 16}" height="{height}" rx="8"/>')
        body.append(f'<text class="head" x="20" y="{y + 22}">{_safe(name)}</text>')
        for number, row in enumerate(rows):
            body += _drawn(row, y + 34 + _STEP * number + 8)
        y += height + 16
    title = f"Blast radius: {assessment.risk.score} of 100, {assessment.risk.band.value}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="100%" class="radius" role="img" aria-labelledby="radius-title radius-words">'
        f'<title id="radius-title">{_safe(title)}</title><desc id="radius-words">{_safe(words(assessment), 4000)}</desc><style>{STYLE}</style>'
        + "".join(body)
        + "</svg>"
    )


def words(assessment: Assessment) -> str:
    """The picture in words."""
    return " ".join(f"{name}: {'; '.join(row.text for row in rows) or 'none'}." for name, rows in _sections(assessment))


def _sections(assessment: Assessment) -> Iterable[tuple[str, Sequence[_Row]]]:
    reach = assessment.reach
    yield f"{assessment.risk.score} of 100: {assessment.risk.band.value}", list(_effects(assessment))
    yield f"Changed: {_count(assessment.change.files, 'file')}", _changed(assessment)
    dependents = max(0, reach.files - assessment.change.files)
    more = "at least " if reach.truncated else ""
    yield f"Depends on it: {more}{_count(dependents, 'file')}", list(_paths(reach.paths))
    yield (
        "Ships in",
        [*_listed(reach.units, "unit"), *(_Row(f"environment {name}") for name in reach.environments)]
        or [_Row("nothing known", mark=False)],
    )
    if reach.owners:
        yield "Owned by", _listed(reach.owners, "owner")


def _effects(assessment: Assessment) -> Iterable[_Row]:
    harmful = [effect for effect in assessment.effects if not effect.hazard.harmless]
    for effect in harmful[:ROWS]:
        yield _Row(f"{effect.severity.value}: {effect.rule.partition('/')[2].replace('-', ' ')}, {effect.subject}", 0, effect.severity)
    if len(harmful) > ROWS:
        yield _Row(f"and {len(harmful) - ROWS:,} more", mark=False)
    if not harmful:
        yield _Row("no effect that could do harm", mark=False)


def _changed(assessment: Assessment) -> list[_Row]:
    worst: dict[str, Effect] = {}
    for effect in assessment.effects:
        if not effect.hazard.harmless and (effect.path not in worst or effect.severity.rank > worst[effect.path].severity.rank):
            worst[effect.path] = effect
    starts = [path[0] for path in assessment.reach.paths if path]
    names = list(dict.fromkeys([*worst, *starts]))
    rows = [_Row(path, 0, worst[path].severity if path in worst else None) for path in names[:ROWS]]
    rest = assessment.change.files - len(rows)
    return rows + ([_Row(f"and {rest:,} more", mark=False)] if rest > 0 else [])


def _paths(paths: Sequence[Sequence[str]]) -> Iterable[_Row]:
    """Shortest paths as a tree: a step that stands already is not repeated."""
    drawn: set[tuple[str, ...]] = set()
    rows = 0
    for path in paths:
        for depth in range(1, len(path)):
            prefix = tuple(path[: depth + 1])
            if prefix not in drawn:
                drawn.add(prefix)
                rows += 1
                if rows <= 2 * ROWS:
                    yield _Row(path[depth], min(depth - 1, 5))


def _listed(names: Sequence[str], what: str) -> list[_Row]:
    rows = [_Row(f"{what} {'the repository' if name == '.' else name}") for name in names[:ROWS]]
    return rows + ([_Row(f"and {len(names) - ROWS:,} more", mark=False)] if len(names) > ROWS else [])


def _drawn(row: _Row, y: int) -> Iterable[str]:
    x = 26 + 14 * row.indent
    if row.mark:
        yield _SHAPES[row.severity].format(x=x, y=y, l=x - 6, r=x + 6, t=y - 6, b=y + 6)
    if row.indent:
        yield f'<path class="line" d="M{x - 14} {y - 18}v18h7"/>'
    start = x + 14 if row.mark else 20
    yield f'<text x="{start}" y="{y + 5}"{"" if row.mark else " class=" + chr(34) + "mute" + chr(34)}>{_safe(_fitted(row.text, WIDTH - 20 - start))}</text>'


def _fitted(text: str, room: int) -> str:
    """`text` cut in its middle to what fits: the ends of a path say the most. Wide letters count twice."""
    most = room / 7.4
    if sum(_wide(char) for char in text) <= most:
        return text
    half = int(most / 2) - 1
    head, tail = text, text
    while sum(_wide(char) for char in head) > half:
        head = head[:-1]
    while sum(_wide(char) for char in tail) > half:
        tail = tail[1:]
    return f"{head}…{tail}"


def _wide(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _safe(text: str, limit: int = 300) -> str:
    """Text from outside for SVG: no markup, no control or direction mark."""
    return html.escape("".join(char if char.isprintable() else "�" for char in text[:limit]), quote=True)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
