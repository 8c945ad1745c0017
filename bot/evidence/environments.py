"""GitHub's deployment environments and what protects them: docs.github.com/rest/deployments/environments"""

from __future__ import annotations

from bot.github.client import Repository
from checks.evidence import EnvironmentFact

DOORS = ("required_reviewers", "branch_policy")
"""Protection that somebody or something must open; a wait alone opens by itself."""


async def environment_facts(repository: Repository) -> tuple[EnvironmentFact, ...]:
    """All environments of a repository. Raises `ApiError`."""
    items = await repository.every("environments", "environments")
    return tuple(
        EnvironmentFact(
            name=str(item.get("name", "")),
            protected=any(rule.get("type") in DOORS for rule in item.get("protection_rules") or []),
            reviewers=any(rule.get("type") == "required_reviewers" for rule in item.get("protection_rules") or []),
            admins_bypass=item.get("can_admins_bypass"),
        )
        for item in items
    )
