"""A deployment that waits at Interlock's protection rule: answered with the recorded verdicts of the commits it brings.

What a deployment brings is its commit and those between it and the one that was last let through to the same environment. Nothing is judged
here: what no verdict stood on is not let through. docs.github.com/rest/actions/workflow-runs ("Review custom deployment protection rules")
"""

from __future__ import annotations

from bot.github.client import ApiError, Repository
from bot.looks.landed import Landed, first_parents, landed
from bot.pipeline import Tools
from bot.store import Work
from bot.triggers import mark_of

PATIENCE, TRIES = 15.0, 8
"""Seconds between two looks while a verdict is still missing, and how many there are before the answer is no."""
MOST = 60
"""Commits that are looked at one by one."""
SHOWN = 10


async def look_at_deployment(work: Work, tools: Tools) -> None:
    """Answer a waiting deployment."""
    repository = tools.api.installation(work.installation, work.repository)
    sha, environment = str(work.payload["sha"]), str(work.payload["environment"])
    key = f"deployed/{work.repository}/{environment}"
    brought, unread = await _brought(tools, repository, sha, tools.store.fact(key))
    bad = [one for one in brought if not one.good]
    tries = int(work.payload.get("tries") or 0)
    if not unread and bad and all(one.state == "unjudged" for one in bad) and tries < TRIES:
        # A push and its deployment start together: the verdict may be on its way.
        name = work.key.partition("/deployment/")[2]
        tools.store.mark(mark_of(work.repository, work.installation, "deployment", name, PATIENCE, **{**work.payload, "tries": tries + 1}))
        return
    good = not bad and not unread
    lines = [f"- {one.sentence}" for one in bad[:SHOWN]] + ([f"- and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else [])
    lines += [f"- {unread}"] if unread else []
    passed = f"{len(brought)} commit{'' if len(brought) == 1 else 's'} since the last deployment, each with a verdict that allows it."
    comment = passed if good else "Not let through:\n" + "\n".join(lines)
    body = {"environment_name": environment, "state": "approved" if good else "rejected", "comment": comment}
    try:
        await repository.answer("deployment-answer", body=body, run=int(work.payload["run"]))
    except ApiError as error:
        if error.status not in (404, 409, 422):
            raise
        return
    if good:
        tools.store.remember(key, sha)


async def _brought(tools: Tools, repository: Repository, sha: str, last: str | None) -> tuple[list[Landed], str]:
    """The commits that a deployment brings, and why there may be more."""
    line, unread = [sha], ""
    if last and last != sha:
        try:
            comparison = await repository.ask("compare", base=last, head=sha)
        except ApiError as error:
            if error.status != 404:
                raise
            return [
                await landed(tools.store, repository, sha)
            ], "the commit that was deployed before is gone, so what lies between is not known"
        # Going back brings nothing new but the commit itself.
        line = first_parents(comparison["commits"], sha) or [sha]
        if len(line) > MOST or int(comparison["total_commits"]) > len(comparison["commits"]):
            unread = f"{comparison['total_commits']} commits since the last deployment are more than are looked at one by one"
    found = [await landed(tools.store, repository, one) for one in line[:MOST]]
    return found, unread
