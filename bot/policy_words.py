"""`interlock policy`: what is wrong with a policy file, what it demands, its schema."""

from __future__ import annotations

import json
from pathlib import Path

from bot.review import policy_of
from checks.model import Hazard
from checks.policy import schema
from checks.safeguards.defaults import DEFAULTS, Groups


def check(file: Path) -> list[str]:
    """The mistakes of a policy file, a line each, as `file:line: sentence`. Raises `RepositoryError` where it cannot be read."""
    return [f"{file}{f':{mistake.line}' if mistake.line else ''}: {mistake.message}" for mistake in policy_of(file).mistakes]


def schema_text() -> str:
    """The JSON Schema of the policy file."""
    return json.dumps(schema(), indent=1)


def explain_policy(file: Path) -> str:
    """What a policy demands, hazard by hazard. Raises `RepositoryError` where it cannot be read."""
    policy = policy_of(file)
    lines = [f"mode: {policy.mode}", f"applies to: {policy.applies_to}", ""]
    own = {(name, environment): groups for name, environment, groups in policy.requirements}
    for hazard in Hazard:
        if hazard.harmless:
            continue
        lines.append(hazard.value)
        mine = [(environment, groups) for (name, environment), groups in own.items() if name == hazard.value]
        for environment, groups in mine:
            lines.append(f"  {f'in {environment}: ' if environment else ''}{words(groups)}")
        if not any(environment is None for environment, _ in mine):
            lines += [f"  from {severity}: {words(groups)}  (built in)" for severity, groups in DEFAULTS.get(hazard, ())]
    rules = [(name, environment, groups) for (name, environment), groups in own.items() if "/" in name]
    if rules:
        lines += ["", "single rules"] + [
            f"  {name}{f' in {environment}' if environment else ''}: {words(groups)}" for name, environment, groups in rules
        ]
    return "\n".join(lines)


def words(groups: Groups) -> str:
    """Groups of safeguards in words."""
    return " and ".join(f"({' or '.join(group)})" if len(group) > 1 else group[0] for group in groups) or "nothing"
