"""A push to a base branch: what went round the gate is found and recorded, and what depends on the branch is decided anew.

A verdict depends on the tip of its base through the policy and the workflows there, and through the proof it asks for. Where neither the
policy's folder changed nor anything has to be proven, it stands.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from bot.escapes import remember_escapes
from bot.github.client import ApiError, Repository
from bot.looks.landed import Landed, first_parents, landed
from bot.looks.seen import is_base, seen
from bot.pipeline import Tools
from bot.store import Mark, Store, Work
from bot.triggers import NO_COMMIT, pull_mark

logger = logging.getLogger("interlock.branches")

LANDED = 60
"""Commits of one push that are looked at one by one; of more it is said that they were not."""
FILES = 300
"""Files that a comparison lists: docs.github.com/rest/commits/commits ("Compare two commits")."""
AT_ONCE, APART = 60, 4.5
"""Pull requests that are looked at again at once, and seconds between the others, so that one push never takes a whole hour's requests."""


def concerns(store: Store, mark: Mark) -> bool:
    """Whether a push is to a branch that matters: the default branch, or one that pull requests go to."""
    if mark.kind != "branch":
        return True
    branch = mark.key.partition("/branch/")[2]
    return '"default": true' in mark.payload or is_base(store, mark.repository, branch)


async def look_at_branch(work: Work, tools: Tools) -> None:
    """Look at the present tip of a base branch."""
    branch, store = str(work.payload["branch"]), tools.store
    if not work.payload.get("default") and not is_base(store, work.repository, branch):
        return
    repository = tools.api.installation(work.installation, work.repository)
    try:
        tip = str((await repository.ask("ref", ref=f"heads/{branch}"))["object"]["sha"])
    except ApiError as error:
        if error.status in (404, 409):
            return
        raise
    key = f"bases/{work.repository}/{branch}"
    known = store.fact(key)
    before = known or (str(work.payload.get("before") or "") if known is not None else "")
    if before == tip:
        return
    comparison = await _comparison(repository, before, tip)
    if comparison is not None and store.fact(f"policy/{work.repository}/{branch}"):
        await _escapes(tools, repository, branch, tip, comparison)
    await _decide_anew(work, tools, repository, branch, comparison)
    store.remember(key, tip)


async def _comparison(repository: Repository, before: str, tip: str) -> Mapping[str, Any] | None:
    if before in ("", NO_COMMIT):
        return None
    try:
        answer: Mapping[str, Any] = await repository.ask("compare", base=before, head=tip)
    except ApiError as error:
        if error.status != 404:
            raise
        return None
    return answer


async def _escapes(tools: Tools, repository: Repository, branch: str, tip: str, comparison: Mapping[str, Any]) -> None:
    """Find what reached the branch without a verdict that allowed it."""
    line = first_parents(comparison["commits"], tip)
    found = [one for sha in line[:LANDED] if not (one := await landed(tools.store, repository, sha, branch)).good]
    if comparison["status"] not in ("ahead", "identical"):
        found.append(Landed(tip, "rewritten"))
    if len(line) > LANDED or int(comparison["total_commits"]) > len(comparison["commits"]):
        found.append(Landed(line[LANDED] if len(line) > LANDED else tip, "unread"))
    remember_escapes(tools.store, repository.full_name, branch, found, tools.clock())


async def _decide_anew(work: Work, tools: Tools, repository: Repository, branch: str, comparison: Mapping[str, Any] | None) -> None:
    files = comparison["files"] if comparison else []
    paths = {str(file.get(name)) for file in files for name in ("filename", "previous_filename") if file.get(name)}
    unsure = comparison is None or len(files) >= FILES or comparison["status"] != "ahead"
    rules_moved = unsure or any(path.startswith(".github/") for path in paths)
    numbers = []
    for answer in await repository.every("pulls", params={"state": "open", "base": branch}):
        stands = seen(tools.store, work.repository, int(answer["number"]))
        if stands is None or stands.asks or rules_moved:
            numbers.append(int(answer["number"]))
    mark_all(tools.store, work.repository, work.installation, numbers)
    if repository.name == ".github" and rules_moved and work.payload.get("default"):
        _organisation_moved(tools.store, repository.owner, work.installation)


def mark_all(store: Store, repository: str, installation: int, numbers: Iterable[int], first: int = 0) -> None:
    """Mark many pull requests, all but the first ones at a pace that leaves requests for what comes in meanwhile."""
    for index, number in enumerate(numbers, start=first):
        store.mark(pull_mark(repository, installation, number, max(0, index - AT_ONCE) * APART))


def _organisation_moved(store: Store, owner: str, installation: int) -> None:
    """The organisation's policy may have changed: everything that was judged under it is looked at again."""
    kept = store.fact(f"organisation/{owner.lower()}")
    if kept:
        store.remember(f"organisation/{owner.lower()}", {**kept, "at": 0})
    done = 0
    for name, value in store.facts(f"seen/{owner}/").items():
        repository, _, number = name.removeprefix("seen/").rpartition("/")
        if value is not None and repository != f"{owner}/.github":
            mark_all(store, repository, installation, [int(number)], done)
            done += 1
