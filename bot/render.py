"""A report as a check run's texts, as Markdown, and as text for a terminal. Pure: a report in, text out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from bot.escape import code, markdown, terminal, visible
from checks.model import Assessment, Band, Effect, Level, Report, Requirement, Severity, Side, State, Status

CHECK_TEXT = 65_535
"""Characters GitHub takes for a check run's summary and text: docs.github.com/rest/checks/runs."""
EFFECTS_SHOWN = 100
ANNOTATIONS_SHOWN = 200

_MARK = {Status.MET: "✅", Status.MISSING: "⬜", Status.FAILED: "❌", Status.UNKNOWN: "❔"}
_SEVERITY_MARK = {Severity.CRITICAL: "🟥", Severity.HIGH: "🟧", Severity.MODERATE: "🟨", Severity.LOW: "⬜"}
_HEAD = {
    State.PASS: "Nothing stands in the way of this change.",
    State.BLOCKED: "This change is stopped until what is listed below is proven. An approval does not change that.",
    State.OBSERVED: "Interlock only observes here. Enforced, this change would be stopped until what is listed below is proven.",
    State.OVERRIDDEN: "This change was let through by an override. It is not proven safe.",
}


@dataclass(frozen=True, slots=True)
class Annotation:
    """A note on a line of a file."""

    path: str
    line: int
    level: str
    """notice, warning or failure."""
    title: str
    message: str


def cut(text: str, limit: int = CHECK_TEXT) -> str:
    """`text` within GitHub's limit, with a word about what was cut."""
    if len(text) <= limit:
        return text
    note = "\n\n*The rest was cut: GitHub takes {:,} characters, this has {:,}. The whole report: `interlock review --format json`.*"
    tail = note.format(limit, len(text))
    return text[: limit - len(tail)].rsplit("\n", 1)[0] + tail


def title(report: Report) -> str:
    """The one thing to know, on one line."""
    verdict = report.verdict
    prefix = {State.OBSERVED: "Would be blocked: ", State.OVERRIDDEN: "Overridden: "}.get(verdict.state, "")
    return visible(prefix + verdict.summary, 250)


def summary(report: Report) -> str:
    """The gate's summary in Markdown: verdict, what turns it green, effects, reach, attribution, what was not analysed, the gate itself."""
    assessment = report.assessment
    parts = [
        f"**{_HEAD[report.verdict.state]}**",
        *_mistakes(assessment),
        *_requirements(report),
        *_effects(assessment),
        *_agents(assessment),
        *_facts(report),
    ]
    return cut("\n\n".join(part for part in parts if part))


def risk_summary(report: Report) -> str:
    """The risk check's summary in Markdown: the score as a sum, and the blast radius."""
    risk, reach = report.assessment.risk, report.assessment.reach
    rows = ["| term | points | because |", "| --- | ---: | --- |"]
    rows += [f"| {term.name} | {term.points} | {markdown(term.because, 400)} |" for term in risk.terms]
    rows.append(f"| **score** | **{risk.score}** | {risk.band.value} |")
    parts = ["\n".join(rows)]
    if risk.percentile is not None:
        parts.append(f"Riskier than {risk.percentile:.0f} % of the changes in this repository's history.")
    listed = [
        f"{name}: {', '.join(code(value) for value in values[:20])}"
        for name, values in (("Units", reach.units), ("Environments", reach.environments), ("Owners", reach.owners))
        if values
    ]
    paths = [" → ".join(code(step, 120) for step in path) for path in reach.paths[:5]]
    parts += ["\n".join(f"- {line}" for line in listed + paths)]
    return cut("\n\n".join(part for part in parts if part))


def risk_title(report: Report) -> str:
    """Score and band on one line."""
    return f"{report.assessment.risk.score} of 100: {report.assessment.risk.band.value}"


def notes(report: Report) -> tuple[Annotation, ...]:
    """Notes on the lines at head, the worst first."""
    needed = {effect for requirement in report.requirements if requirement.proof.status is not Status.MET for effect in requirement.effects}
    return tuple(
        Annotation(
            path=effect.path,
            line=effect.line or 1,
            level="failure"
            if effect.id in needed and report.verdict.state is State.BLOCKED
            else "warning"
            if effect.severity.rank > 0
            else "notice",
            title=visible(f"{effect.rule} ({effect.severity})", 255),
            message=visible(effect.message, 4000),
        )
        for effect in report.assessment.effects
        if effect.side is Side.HEAD and not effect.hazard.harmless and effect.path.isprintable()
    )[:ANNOTATIONS_SHOWN]


def as_markdown(report: Report) -> str:
    """The whole report in Markdown."""
    return f"## {markdown(title(report), 250)}\n\n{summary(report)}\n\n### Score\n\n{risk_summary(report)}\n"


def comment(report: Report) -> str | None:
    """The one comment on the pull request; None when there is nothing to do."""
    if report.verdict.state is State.PASS:
        return None
    parts = [f"**{markdown(title(report), 250)}**", *_mistakes(report.assessment), *_requirements(report)]
    worst = [effect for effect in report.assessment.effects if not effect.hazard.harmless][:5]
    if worst:
        parts.append("\n".join(_effect_line(effect) for effect in worst))
    parts.append("The check run has the whole report. `/interlock help` lists what you can ask.")
    return cut("\n\n".join(parts), 60_000)


def _mistakes(assessment: Assessment) -> Iterable[str]:
    if assessment.mistakes:
        yield "### The policy file is wrong\n\n" + "\n".join(
            f"- {code(mistake.path)}{f' line {mistake.line}' if mistake.line else ''}: {markdown(mistake.message, 500)}"
            for mistake in assessment.mistakes[:20]
        )


def _requirements(report: Report) -> Iterable[str]:
    open_ones = [requirement for requirement in report.requirements if requirement.proof.status is not Status.MET]
    done = [requirement for requirement in report.requirements if requirement.proof.status is Status.MET]
    if open_ones:
        yield "### What turns this green\n\n" + "\n\n".join(_open(requirement) for requirement in open_ones[:30])
    if done:
        yield "### Proven\n\n" + "\n".join(
            f"- {_MARK[Status.MET]} **{requirement.safeguard}**: {markdown(requirement.proof.source, 300)}" for requirement in done[:30]
        )


def _open(requirement: Requirement) -> str:
    others = f" (or {', '.join(requirement.alternatives)})" if requirement.alternatives else ""
    count = f", for {len(requirement.effects)} effects" if len(requirement.effects) > 1 else ""
    head = f"{_MARK[requirement.proof.status]} **{requirement.safeguard}**{others}{count}: {requirement.proof.status.value}, {markdown(requirement.proof.source, 300)}"
    return f"{head}\n\n{requirement.turns_green}"


def _effects(assessment: Assessment) -> Iterable[str]:
    harmful = [effect for effect in assessment.effects if not effect.hazard.harmless]
    if harmful:
        lines = [_effect_line(effect) for effect in harmful[:EFFECTS_SHOWN]]
        if len(harmful) > EFFECTS_SHOWN:
            lines.append(f"- … and {len(harmful) - EFFECTS_SHOWN} more")
        yield "### What this change does\n\n" + "\n".join(lines)
    narrowed = len(assessment.effects) - len(harmful)
    if narrowed:
        yield f"It also narrows {narrowed} thing{'' if narrowed == 1 else 's'}, which costs nothing."


def _effect_line(effect: Effect) -> str:
    where = code(f"{effect.path}:{effect.line}" if effect.line else effect.path)
    words = ", ".join((effect.severity.value, effect.confidence.value, f"reversible: {effect.reversible.value}"))
    change = f" {code(effect.before)} → {code(effect.after or 'nothing')}." if effect.before is not None else ""
    return f"- {_SEVERITY_MARK[effect.severity]} **{effect.rule}** {code(effect.subject, 160)}: {markdown(effect.message, 600)}{change} {where} ({words}; `{effect.id}`)"


def _agents(assessment: Assessment) -> Iterable[str]:
    if assessment.agents:
        lines = []
        for one in assessment.agents[:10]:
            unasked = (
                f"; unasked it may {', '.join(markdown(action, 80) for action in one.unasked[:6])}"
                if one.unasked
                else "; no high-risk action unasked"
            )
            lines.append(
                f"- **{markdown(one.title, 120)}**: {one.alone} grants{unasked}. Can it edit its own limits? {markdown(one.own_limits, 200)}"
            )
        yield "### What these agents may do on the base branch\n\n" + "\n".join(lines) + "\n\n`/interlock agents` tells the whole."


def _facts(report: Report) -> Iterable[str]:
    assessment = report.assessment
    lines = [f"**Score** {assessment.risk.score} of 100 ({assessment.risk.band.value})", f"**Written by** {_authors(assessment)}"]
    if not assessment.analysis.complete:
        lines.append(
            f"**Not analysed** {len(assessment.analysis.not_analysed)}: "
            + ", ".join(code(item.path or item.why, 120) for item in assessment.analysis.not_analysed[:10])
        )
    lines += [
        f"**Excepted by the policy** `{one.effect}` until {one.expires}: {markdown(one.reason, 200)}" for one in report.exceptions[:20]
    ]
    lines += [f"**Gate** {markdown(sentence, 300)}" for sentence in report.gate]
    policy = "built-in requirements, observed" if assessment.policy == "default" else assessment.policy[:19]
    lines.append(f"**Policy** {policy} · engine {report.engine} · {assessment.change.merge_base[:12]}…{assessment.change.head[:12]}")
    yield "### Facts\n\n" + "\n".join(f"- {line}" for line in lines)


def _authors(assessment: Assessment) -> str:
    attribution = assessment.attribution
    words = {
        Level.AGENT: "a coding agent",
        Level.ASSISTED: "a person with an assistant",
        Level.AUTOMATION: "automation",
        Level.NONE: "no evidence of an agent, which is not evidence of a person",
    }[attribution.level]
    names = f": {', '.join(code(agent, 60) for agent in attribution.agents)}" if attribution.agents else ""
    signals = "; ".join(f"{markdown(signal.where, 80)} {code(signal.value, 120)}" for signal in attribution.signals[:3])
    return words + names + (f" ({signals})" if signals else "")


class Paint:
    """Colours for a terminal, or none."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, *codes: int) -> str:
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if self.on and codes else text


_COLOUR = {Severity.CRITICAL: (1, 31), Severity.HIGH: (31,), Severity.MODERATE: (33,), Severity.LOW: (2,)}
_BAND_COLOUR = {Band.CRITICAL: (1, 31), Band.HIGH: (31,), Band.MODERATE: (33,), Band.LOW: (32,)}
_STATE_COLOUR = {State.PASS: (1, 32), State.BLOCKED: (1, 31), State.OBSERVED: (1, 33), State.OVERRIDDEN: (1, 35)}
_STATE_WORD = {State.PASS: "PASS", State.BLOCKED: "BLOCKED", State.OBSERVED: "WOULD BE BLOCKED", State.OVERRIDDEN: "OVERRIDDEN"}


def as_text(report: Report, width: int = 100, colour: bool = False, everything: bool = False) -> str:
    """The report for a terminal of `width` columns."""
    paint = Paint(colour)
    assessment = report.assessment
    lines = [
        paint(f" {_STATE_WORD[report.verdict.state]} ", *_STATE_COLOUR[report.verdict.state]) + " " + terminal(report.verdict.summary, 500),
        "",
    ]
    for mistake in assessment.mistakes:
        lines.append(paint(f"  {terminal(mistake.path)}{f':{mistake.line}' if mistake.line else ''}: {terminal(mistake.message)}", 31))
    harmful = [effect for effect in assessment.effects if not effect.hazard.harmless]
    shown = harmful if everything else harmful[:40]
    for effect in shown:
        lines.append(
            f"  {paint(f'{effect.severity.value:<8}', *_COLOUR[effect.severity])} {paint(effect.rule, 1)}  {terminal(effect.subject, 120)}"
        )
        lines += _wrapped(terminal(effect.message), width, 11)
        if effect.before is not None:
            lines += _wrapped(f"{terminal(effect.before)} → {terminal(effect.after or 'nothing')}", width, 11)
        where = f"{effect.path}:{effect.line}" if effect.line else effect.path
        lines.append(
            paint(
                f"           {terminal(where)}  {effect.confidence.value}, reversible: {effect.reversible.value}, {effect.environment or 'unknown'}  {effect.id}",
                2,
            )
        )
    if len(harmful) > len(shown):
        lines.append(f"  … and {len(harmful) - len(shown)} more (--all shows them)")
    open_ones = [requirement for requirement in report.requirements if requirement.proof.status is not Status.MET]
    if open_ones:
        lines += ["", paint("What turns it green", 1)]
        for requirement in open_ones:
            others = f" or {' or '.join(requirement.alternatives)}" if requirement.alternatives else ""
            lines.append(
                f"  {_MARK[requirement.proof.status]} {requirement.safeguard}{others}: {requirement.proof.status.value}, {terminal(requirement.proof.source, 300)}"
            )
            lines += [
                f"      {terminal(line, 300)}"
                for line in requirement.turns_green.splitlines()
                if line.strip() and not line.startswith("```")
            ]
    lines += [
        "",
        paint("Score", 1)
        + f" {paint(str(assessment.risk.score), *_BAND_COLOUR[assessment.risk.band])} of 100, {assessment.risk.band.value}",
    ]
    lines += [f"  {term.points:>3}  {term.name:<12} {terminal(term.because, max(40, width - 19))}" for term in assessment.risk.terms]
    names = f" ({', '.join(assessment.attribution.agents)})" if assessment.attribution.agents else ""
    change = assessment.change
    lines.append(
        f"{paint('Written by', 1)} {assessment.attribution.level.value}{names}   {paint('Files', 1)} {change.files} (+{change.additions} −{change.deletions})   {paint('Policy', 1)} {assessment.policy[:19]}"
    )
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(text, max(40, width), initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False)
