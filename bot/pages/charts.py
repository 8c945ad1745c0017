"""Small pictures as SVG inside the page: no script, no style attribute, every figure also in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

BANDS = ("low", "moderate", "high", "critical")


def trend(points: Sequence[tuple[float, int, str]]) -> Markup:
    """Scores over time, oldest first: (time, score, state) each."""
    width, height, left, top, bottom = 640, 180, 48, 18, 14
    if not points:
        return Markup("")
    first, last = points[0][0], points[-1][0]
    span = max(last - first, 1.0)

    def x(when: float) -> float:
        return left + 8 + (width - left - 16) * ((when - first) / span if len(points) > 1 else 0.5)

    def y(score: float) -> float:
        return top + (height - bottom - top) * (1 - score / 100)

    lines = Markup("").join(
        Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/><text class="tick" x="{}" y="{:.1f}">{}</text>').format(
            left, width, y(mark), y(mark), left - 6, y(mark) + 4, mark
        )
        for mark in (0, 20, 40, 70, 100)
    )
    dots = Markup("").join(
        Markup('<circle class="state-{}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(state, x(when), y(score)) for when, score, state in points
    )
    words = f"{len(points)} verdicts; the newest has {points[-1][1]} of 100 points"
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(width, height, words, lines, dots)


def distribution(counts: Mapping[str, int]) -> Markup:
    """How many there are in each band."""
    width, row = 640, 30
    most = max([*counts.values(), 1])
    bars = Markup("").join(
        Markup(
            '<text class="label" x="0" y="{:.0f}">{}</text><rect class="band-{}" x="110" y="{:.0f}" width="{:.1f}" height="18" rx="3"/>'
            '<text class="label" x="{:.1f}" y="{:.0f}">{}</text>'
        ).format(
            at * row + 19,
            band,
            band,
            at * row + 6,
            max(2.0, 460 * counts.get(band, 0) / most),
            120 + max(2.0, 460 * counts.get(band, 0) / most),
            at * row + 19,
            counts.get(band, 0),
        )
        for at, band in enumerate(BANDS)
    )
    words = ", ".join(f"{band}: {counts.get(band, 0)}" for band in BANDS)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(width, row * len(BANDS), words, bars)


def score(points: Sequence[tuple[str, int]], total: int, band: str) -> Markup:
    """The score as a bar made of its terms, on a scale from 0 to 100 with the bands marked."""
    parts, at = [], 0.0
    for number, (name, value) in enumerate(points):
        parts.append(
            Markup('<rect class="term-{}" x="{:.1f}" y="4" width="{:.1f}" height="18"><title>{}: {}</title></rect>').format(
                number % 3, at * 6.4, max(0, value) * 6.4, name, value
            )
        )
        at += max(0, value)
    marks = Markup("").join(
        Markup(
            '<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="26"/><text class="tick start" x="{1:.1f}" y="40">{2}</text>'
        ).format(mark * 6.4, mark * 6.4 + 3, word)
        for mark, word in ((20, "moderate"), (40, "high"), (70, "critical"))
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 640 44" role="img" aria-label="{} of 100 points: {}"><rect class="ground" x="0" y="4" width="640" height="18"/>{}{}</svg>'
    ).format(total, band, Markup("").join(parts), marks)
