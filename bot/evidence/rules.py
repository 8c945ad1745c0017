"""What the base branch forces: its active rules, and who may bypass them as far as GitHub says.

docs.github.com/rest/repos/rules: the rules of a branch need no more than metadata; the list of who may bypass is only told to those who may
change it, so an App without that right sees none, and none seen is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.github.client import ApiError, Repository
from checks.evidence import BranchRules, RequiredCheck


async def branch_rules(repository: Repository, branch: str) -> BranchRules:
    """The active rules of a branch. Raises `ApiError`."""
    rules = await repository.every("rules", branch=branch)
    required: list[RequiredCheck] = []
    sources: dict[int, str] = {}
    strict = queue = False
    for rule in rules:
        kind, parameters = rule.get("type"), rule.get("parameters") or {}
        queue = queue or kind == "merge_queue"
        if kind == "required_status_checks":
            strict = strict or bool(parameters.get("strict_required_status_checks_policy"))
            for check in parameters.get("required_status_checks") or []:
                required.append(RequiredCheck(str(check.get("context", "")), check.get("integration_id")))
            # A rule that does not say where it stands cannot be asked who may bypass it.
            sources[rule.get("ruleset_id") or 0] = str(rule.get("ruleset_source_type", "Repository")) if rule.get("ruleset_id") else ""
    return BranchRules(tuple(required), await _bypass(repository, sources) if required else None, strict, queue)


async def _bypass(repository: Repository, sources: Mapping[int, str]) -> tuple[str, ...] | None:
    """Who may bypass the rulesets that force checks; None as soon as one of them does not say."""
    found: list[str] = []
    for ruleset, kind in sources.items():
        if kind != "Repository":
            return None
        try:
            answer = await repository.ask("ruleset", ruleset=ruleset)
        except ApiError:
            return None
        actors = answer.get("bypass_actors")
        if actors is None:
            return None
        found += [_actor(actor) for actor in actors]
    return tuple(found)


def _actor(actor: Mapping[str, Any]) -> str:
    return f"{actor.get('actor_type', 'someone')} {actor.get('actor_id') or ''} ({actor.get('bypass_mode', 'always')})".replace("  ", " ")
