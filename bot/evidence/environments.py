"""GitHub's deployment environments and what protects them: docs.github.com/rest/deployments/environments"""

from __future__ import annotations

from bot.github.client import Repository
from checks.evidence import EnvironmentFact


async def environment_facts(repository: Repository) -> tuple[EnvironmentFact, ...]:
    """All environments of a repository. Raises `ApiError`."""
    items = await repository.every("environments", "environments")
    return tuple(
        EnvironmentFact(
            name=str(item.get("name", "")),
            protected=bool(item.get("protection_rules")),
            reviewers=any(rule.get("type") == "required_reviewers" for rule in item.get("protection_rules") or []),
            admins_bypass=item.get("can_admins_bypass"),
        )
        for item in items
    )
