"""Three questions about every agent of a repository, answered from its files: what it may do alone, how far that reaches, what it is forced to pass.

1. What exactly may this agent decide on its own?
2. Under what conditions can it choose a high-risk action, such as deleting a live system?
3. Which checks is it truly forced to run, and can it bypass them?
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from checks.authority import authority_of
from checks.authority.commands import PROBES, matches, weigh, word_of
from checks.authority.nouns import Authority, Decision, Force, Grant, Limit, Verb
from checks.model import Tree

SCHEMA = "interlock/agents/1"


@dataclass(frozen=True, slots=True)
class Rules:
    """What GitHub says about the default branch, where it was asked."""

    required_checks: tuple[str, ...] = ()
    required_reviews: int = 0
    code_owners: bool = False
    bypass: tuple[str, ...] = ()
    """Who may go round the rules."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the agent must pass, or seems to have to."""

    text: str
    force: Force
    why: str
    path: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers for one agent on one surface."""

    agent: str
    title: str
    surface: str
    alone: tuple[Grant, ...]
    """What it may do unasked."""
    destructive: tuple[tuple[str, Decision], ...]
    """High-risk actions in words, each with what happens when the agent wants it."""
    around: tuple[str, ...]
    """Allowed commands that start any program, so that no list of commands holds."""
    reach: tuple[Grant, ...]
    """Servers, token, cloud roles, secrets."""
    conditions: tuple[str, ...]
    checks: tuple[Check, ...]
    own_limits: str
    unknown: tuple[str, ...]
    files: tuple[str, ...]


_REACH = frozenset({Verb.SERVER, Verb.TOKEN, Verb.SECRET})
OFFLINE = "branch rules and required checks: unknown offline"


def answers(tree: Tree, rules: Rules | None = None, roots: Iterable[str] = ("",)) -> tuple[Answer, ...]:
    """The answers for every agent that `tree` configures (`roots`: folders opened as a project). `rules` is what GitHub says, None offline."""
    return tuple(answer_of(authority, rules) for authority in authority_of(tree, roots))


def _of_sub_agent(grant: Grant) -> bool:
    """A tool that a sub-agent lists, which has no more than the agent itself."""
    return grant.verb is Verb.TOOL and bool(grant.within) and grant.what.startswith(f"{grant.within}:")


def answer_of(authority: Authority, rules: Rules | None = None) -> Answer:
    """The answers for one agent."""
    conditions = [condition for grant in authority.grants for condition in grant.condition]
    return Answer(
        agent=authority.agent,
        title=authority.title,
        surface=authority.surface,
        alone=tuple(
            sorted(
                (grant for grant in authority.grants if grant.verb not in _REACH and not _of_sub_agent(grant)),
                key=lambda grant: -grant.severity.rank,
            )
        ),
        destructive=tuple(_destructive(authority)),
        around=tuple(
            grant.what for grant in authority.grants if grant.verb is Verb.SHELL and grant.what != "*" and weigh(grant.what).runner
        ),
        reach=tuple(grant for grant in authority.grants if grant.verb in _REACH),
        conditions=tuple(dict.fromkeys(conditions)),
        checks=(*_forced(rules), *(_check(limit) for limit in authority.limits)),
        own_limits=authority.own_limits,
        unknown=authority.unknown if rules is not None else (*authority.unknown, OFFLINE),
        files=authority.files,
    )


def _check(limit: Limit) -> Check:
    return Check(limit.text, limit.force, limit.why, limit.path, limit.line)


def _forced(rules: Rules | None) -> Iterable[Check]:
    if rules is None:
        return
    who = ", ".join(rules.bypass)
    force, why = (Force.BYPASSABLE, who) if who else (Force.FORCED, "nobody may go round it")
    for name in rules.required_checks:
        yield Check(f"the required check {name}", force, why)
    if rules.required_reviews:
        yield Check(f"{rules.required_reviews} approving review{'s' if rules.required_reviews > 1 else ''}", force, why)
    if rules.code_owners:
        yield Check("the review of code owners", force, why)


def _destructive(authority: Authority) -> Iterable[tuple[str, Decision]]:
    """The decision for each high-risk action: by the agent's own rules where it has some, else by its grants."""
    if authority.agent == "devcontainer":
        return
    everything = any(grant.verb is Verb.EVERYTHING and grant.destructive for grant in authority.grants)
    decided = dict(authority.decisions)
    for command, _ in PROBES:
        if everything or any(
            grant.verb is Verb.SHELL and grant.what != "sandboxed" and matches(grant.what, command) for grant in authority.grants
        ):
            decision = decided.get(command, Decision.AUTO)
            yield word_of(command), Decision.AUTO if everything else decision
        elif command in decided:
            yield word_of(command), decided[command]
        elif authority.surface.startswith(("job ", "the agentic workflow ")):
            yield word_of(command), Decision.DENIED


# Text


_MARKS = {Force.FORCED: "forced", Force.BYPASSABLE: "bypassable by", Force.ADVISORY: "advisory:", Force.INERT: "inert:"}


def render_text(found: Sequence[Answer]) -> str:
    """The answers as plain text, without colour; one line says so where no agent is configured."""
    if not found:
        return "No coding agent is configured in this repository.\nWhat people start on their own machines, and what vendors' consoles allow, cannot be seen from here.\n"
    return "\n".join(_one(answer) for answer in found)


def _one(answer: Answer) -> str:
    lines = [f"{answer.title} ({answer.surface})", ""]
    lines += _section("May do alone", [_grant(grant) for grant in answer.alone] or ["nothing that the repository says"])
    verbs = []
    for decision, words in ((Decision.AUTO, "unasked"), (Decision.ASKED, "after asking"), (Decision.DENIED, "refused")):
        actions = [word for word, found in answer.destructive if found is decision]
        if actions:
            verbs.append(f"{words}: {', '.join(actions) if len(actions) < len(PROBES) else 'all that were tried'}")
    if answer.around:
        verbs.append(
            f"{', '.join(f'`{pattern}`' for pattern in answer.around[:5])} may run, and {'each' if len(answer.around) > 1 else 'it'} starts any program: no list of commands holds"
        )
    verbs = verbs or ["not known"]
    lines += _section("High-risk actions", verbs)
    lines += _section(
        "Reaches", [_grant(grant) for grant in answer.reach] or ["no server, token, cloud role or secret that the repository names"]
    )
    if answer.conditions:
        lines += _section("Conditions", list(answer.conditions))
    checks = [f"{check.text}: {_MARKS[check.force]} {check.why}".rstrip() + _place(check.path, check.line) for check in answer.checks]
    lines += _section("Must pass", checks or ["nothing that the repository says"])
    lines += _section("Can it edit its own limits?", [answer.own_limits])
    lines += _section("Unknown", list(answer.unknown))
    return "\n".join(lines) + "\n"


def _section(title: str, items: list[str]) -> list[str]:
    return [f"  {title}", *(f"    - {item}" for item in items), ""]


def _grant(grant: Grant) -> str:
    return grant.text + _place(grant.path, grant.line)


def _place(path: str, line: int | None) -> str:
    return f" [{path}:{line}]" if path and line else f" [{path}]" if path else ""


def as_json(found: Sequence[Answer]) -> str:
    """The answers as JSON, `interlock/agents/1`."""
    return json.dumps({"schema": SCHEMA, "agents": [_value(answer) for answer in found]}, indent=2, ensure_ascii=False)


def _value(answer: Answer) -> dict[str, Any]:
    return {
        "agent": answer.agent,
        "title": answer.title,
        "surface": answer.surface,
        "alone": [_grant_value(grant) for grant in answer.alone],
        "high_risk": [{"action": word, "decision": decision.value} for word, decision in answer.destructive],
        "around": list(answer.around),
        "reach": [_grant_value(grant) for grant in answer.reach],
        "conditions": list(answer.conditions),
        "checks": [
            {"check": check.text, "force": check.force.value, "why": check.why, "path": check.path or None, "line": check.line}
            for check in answer.checks
        ],
        "own_limits": answer.own_limits,
        "unknown": list(answer.unknown),
        "files": list(answer.files),
    }


def _grant_value(grant: Grant) -> dict[str, Any]:
    return {
        "verb": grant.verb.value,
        "what": grant.what,
        "text": grant.text,
        "severity": grant.severity.value,
        "destructive": grant.destructive,
        "condition": list(grant.condition),
        "path": grant.path,
        "line": grant.line,
    }
