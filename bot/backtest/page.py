"""A replayed history as one HTML file: nothing is fetched, only the style and the script that stand in it may run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from bot.backtest.figures import SMALL, Difference, Figures, figures_of
from bot.backtest.run import Replay, Row
from bot.backtest.words import day, per_week, share
from bot.escape import html
from checks.reach.picture import STYLE as PICTURE
from checks.reach.picture import picture

STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--mute:#57606a;--page:#fff;--card:#f6f8fa;--edge:#d0d7de;--bar:#6b7f99;--stop:#b3123c}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--mute:#9da7b3;--page:#0d1117;--card:#161b22;--edge:#3d444d;--bar:#7d93b2;--stop:#ff6b8b}}
*{box-sizing:border-box}body{margin:0 auto;padding:1rem;max-width:72rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}
h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.3em 0}.mute{color:var(--mute)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1rem 0}.cards div{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:.75rem}
.cards b{display:block;font-size:1.5rem}svg.plot{width:100%;height:auto;max-width:44rem}svg.plot text{font:12px system-ui,sans-serif;fill:var(--mute)}
.bar{fill:var(--bar)}.stop{fill:var(--stop)}table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.4rem .5rem;border-bottom:1px solid var(--edge);vertical-align:top}
th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid}th[aria-sort=ascending] button::after{content:" ▲"}th[aria-sort=descending] button::after{content:" ▼"}
td.n{text-align:right;font-variant-numeric:tabular-nums}td{overflow-wrap:anywhere}td.day,td.who{white-space:nowrap}td.change{width:34%}tr.stopped td:first-child{border-left:4px solid var(--stop)}code{font-size:.85em}
@media(max-width:40rem){td.change{width:auto}thead,table.sort tr,table.sort td{display:block;border:0;padding:.1rem .5rem}table.sort tr{border-bottom:1px solid var(--edge);padding:.5rem 0}td.n{text-align:left}table.sort thead tr{display:flex;flex-wrap:wrap}th{border:0}
td[data-name]::before{content:attr(data-name) ": ";color:var(--mute)}}
"""
SCRIPT = """
document.querySelectorAll("table.sort").forEach(function(table){table.querySelectorAll("th").forEach(function(head,at){
var button=document.createElement("button");button.textContent=head.textContent;head.textContent="";head.appendChild(button);
button.addEventListener("click",function(){var down=head.getAttribute("aria-sort")!=="descending";
table.querySelectorAll("th").forEach(function(one){one.removeAttribute("aria-sort")});head.setAttribute("aria-sort",down?"descending":"ascending");
var body=table.tBodies[0];Array.from(body.rows).map(function(row){var cell=row.cells[at];return[cell.dataset.key||cell.textContent,row]}).sort(function(a,b){
var x=Number(a[0]),y=Number(b[0]);var order=isNaN(x)||isNaN(y)?String(a[0]).localeCompare(String(b[0])):x-y;return down?-order:order}).forEach(function(pair){body.appendChild(pair[1])})})})});
"""
_COLUMNS = ("Score", "Day", "Change", "Written by", "Files", "Would have waited for", "Because")


def as_html(replay: Replay) -> str:
    """The page."""
    figures = figures_of(replay)
    parts = [*_head(replay, figures), *_plots(figures), *_proposed(replay, figures), *_worst(replay)]
    if figures.doubtful:
        note = f"Stopped, at most {SMALL} files, on evidence that is mild or not certain."
        parts += ["<h2>Look here for false alarms</h2>", f'<p class="mute">{note}</p>', _table(figures.doubtful)]
    parts += ["<h2>Every step</h2>", _table(replay.rows)]
    policy = f"default-src 'none'; style-src '{_digest(STYLE)}' '{_digest(PICTURE)}'; script-src '{_digest(SCRIPT)}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Interlock backtest: {html(replay.repository)}</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(parts)
        + f"\n</main><script>{SCRIPT}</script></body></html>\n"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _head(replay: Replay, figures: Figures) -> Iterable[str]:
    yield f"<h1>{html(replay.repository)}: the past under Interlock</h1>"
    if not replay.rows:
        yield "<p>There is no step to replay yet.</p>"
        return
    yield f'<p class="mute">{figures.steps:,} steps of the default branch, {day(replay.rows[-1].when)} to {day(replay.rows[0].when)}. Policy {html(replay.policy[:19])}. Nothing outside the repository was asked, so every proof that comes from elsewhere counts as missing.</p>'
    quantiles = dict(figures.quantiles)
    cards = (
        (share(figures.stopped, figures.steps), "would have waited for a proof"),
        (f"{per_week(figures):.1f}", "merges a week"),
        (f"{quantiles[50]} / {quantiles[90]} / {quantiles[99]}", "score: median, 90th, 99th percentile"),
        (str(len(figures.doubtful)), "candidates for a false alarm"),
    )
    yield '<div class="cards">' + "".join(f"<div><b>{html(value)}</b>{html(name)}</div>" for value, name in cards) + "</div>"
    yield (
        "<p>"
        + "; ".join(f"<b>{html(name)}</b> {steps:,}, stopped {stopped:,}" for name, steps, stopped in (*figures.levels, *figures.agents))
        + "</p>"
    )


def _plots(figures: Figures) -> Iterable[str]:
    yield "<h2>Scores</h2>"
    yield _bars(
        [(str(ten * 10), steps, stopped) for ten, (steps, stopped) in enumerate(figures.histogram)],
        "Steps by score; the darker part would have been stopped",
    )
    if len(figures.weeks) > 1:
        yield "<h2>Merges a week</h2>"
        yield _bars(figures.weeks[-80:], "Merges by week; the darker part would have been stopped")
    for title, counted in (("What stopped them", figures.reasons), ("What they would have needed", figures.needed)):
        if counted:
            yield (
                f"<h2>{title}</h2><table><tbody>"
                + "".join(f"<tr><td>{count:,}</td><td><code>{html(name)}</code></td></tr>" for name, count in counted[:20])
                + "</tbody></table>"
            )


def _bars(values: Sequence[tuple[str, int, int]], title: str) -> str:
    most = max((count for _, count, _ in values), default=0) or 1
    step = 680 / max(1, len(values))
    every = 1 if len(values) <= 12 else -(-len(values) // 6)
    out = []
    for at, (name, count, stopped) in enumerate(values):
        x, high, low = 10 + at * step, 150 * count / most, 150 * stopped / most
        out.append(
            f'<rect class="bar" x="{x:.1f}" y="{170 - high:.1f}" width="{step * 0.8:.1f}" height="{high:.1f}"><title>{html(name)}: {count}, stopped {stopped}</title></rect>'
        )
        out.append(f'<rect class="stop" x="{x:.1f}" y="{170 - low:.1f}" width="{step * 0.8:.1f}" height="{low:.1f}"/>')
        if at % every == 0:
            out.append(f'<text x="{x:.1f}" y="186">{html(name)}</text>')
        if count and len(values) <= 12:
            out.append(f'<text x="{x:.1f}" y="{166 - high:.1f}">{count}</text>')
    words = ", ".join(f"{name}: {count} ({stopped} stopped)" for name, count, stopped in values if count)
    return f'<svg class="plot" viewBox="0 0 700 195" role="img"><title>{html(title)}</title><desc>{html(words)}</desc>{"".join(out)}</svg>'


def _proposed(replay: Replay, figures: Figures) -> Iterable[str]:
    if replay.proposed_policy is None:
        return
    yield "<h2>What the proposed policy changes</h2>"
    for title, differences in (
        ("Newly stopped", figures.newly_stopped),
        ("No longer stopped", figures.newly_free),
        ("Stopped, for other proofs", figures.otherwise),
    ):
        yield f"<h3>{title}: {len(differences)}</h3>" + (_table([_shown(one) for one in differences]) if differences else "")


def _shown(difference: Difference) -> Row:
    return difference.proposed if difference.proposed.stopped else difference.present


def _worst(replay: Replay) -> Iterable[str]:
    if replay.worst is not None:
        row = max(replay.rows, key=lambda row: row.score)
        yield f"<h2>The riskiest step</h2><p><code>{html(row.head[:12])}</code> {html(row.title)}</p>{picture(replay.worst.assessment)}"


def _table(rows: Sequence[Row]) -> str:
    heads = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    return f'<table class="sort"><thead><tr>{heads}</tr></thead><tbody>{"".join(map(_row, rows))}</tbody></table>'


def _row(row: Row) -> str:
    because = "; ".join(f"{effect.rule} ({effect.severity}, {effect.confidence}): {effect.message}" for effect in row.effects[:3])
    cells = (
        ("n", str(row.score), html(str(row.score))),
        ("day", str(row.when), day(row.when)),
        ("change", "", f"<code>{html(row.head[:10])}</code> {html(row.title, 160)}"),
        ("who", "", html(", ".join(row.agents) or row.level)),
        ("n", str(row.files), f"{row.files:,}"),
        ("", "", html(", ".join(row.unmet)) or "nothing"),
        ("", "", html(because, 500) or "no harmful effect"),
    )
    drawn = "".join(
        f'<td{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} data-name="{name}"{f" data-key={chr(34)}{key}{chr(34)}" if key else ""}>{content}</td>'
        for name, (kind, key, content) in zip(_COLUMNS, cells, strict=True)
    )
    return f"<tr{' class=stopped' if row.stopped else ''}>{drawn}</tr>\n"
