"""What was judged of a commit that reached a base branch: the verdict that stood on it, on its merge group, or on the pull request it came from.

A squashed or rebased commit has another name than what was judged, so GitHub is asked which pull request it came from
(docs.github.com/rest/commits/commits, "List pull requests associated with a commit").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.github.client import ApiError, Repository
from bot.looks.seen import verdict_on
from bot.store import Store

GOOD = frozenset({"pass", "observed", "overridden"})


@dataclass(frozen=True, slots=True)
class Landed:
    """How a commit came to be where it is."""

    sha: str
    state: str
    """A verdict's state; `unjudged`: of a pull request that no verdict stood on; `pushed`: of no pull request at all."""
    pull: int | None = None
    review: str = ""

    @property
    def good(self) -> bool:
        """Whether it came through the gate."""
        return self.state in GOOD

    @property
    def why(self) -> str:
        """What was wrong, as a closed set."""
        return self.state if self.state in ("pushed", "unjudged", "rewritten", "unread") else "blocked"

    @property
    def sentence(self) -> str:
        """The same for people."""
        of = f"#{self.pull}" if self.pull else self.sha[:12]
        texts = {
            "pushed": f"{self.sha[:12]} was pushed without a pull request",
            "unjudged": f"{of} was merged before it was judged",
            "blocked": f"{of} was merged while it was blocked",
            "rewritten": f"the history before {self.sha[:12]} was rewritten",
            "unread": f"more commits came in one push than are looked at one by one; the first that was not is {self.sha[:12]}",
        }
        return texts.get(self.state, f"{of} passed ({self.state})")


async def landed(store: Store, repository: Repository, sha: str, base_ref: str | None = None) -> Landed:
    """How one commit was judged; remembered once it is certain. Raises `ApiError`."""
    name = repository.full_name
    kept = store.fact(f"commits/{name}/{sha}")
    if kept:
        return Landed(**kept)
    found = await _look(store, repository, sha, base_ref)
    if found.state not in ("unjudged", "pushed"):
        store.remember(f"commits/{name}/{sha}", asdict(found))
    return found


async def _look(store: Store, repository: Repository, sha: str, base_ref: str | None) -> Landed:
    stood = verdict_on(store, repository.full_name, sha, base_ref)
    if stood:
        return Landed(sha, stood["state"], stood["pull"], stood["review"])
    try:
        pulls: list[Mapping[str, Any]] = await repository.ask("commit-pulls", sha=sha)
    except ApiError as error:
        if error.status not in (404, 409, 422):
            raise
        pulls = []
    came_from = [
        one for one in pulls if (one.get("merged_at") or str(one["head"]["sha"]) == sha) and base_ref in (None, str(one["base"]["ref"]))
    ]
    if not came_from:
        return Landed(sha, "pushed")
    judged = []
    for one in came_from:
        stood = verdict_on(store, repository.full_name, str(one["head"]["sha"]), str(one["base"]["ref"]))
        judged.append(Landed(sha, stood["state"] if stood else "unjudged", int(one["number"]), stood["review"] if stood else ""))
    return min(judged, key=lambda one: one.good)


def first_parents(commits: Sequence[Mapping[str, Any]], tip: str) -> list[str]:
    """The commits that a branch itself went through, newest first: what a merge brought along is judged with the merge."""
    by_sha = {str(one["sha"]): one for one in commits}
    line: list[str] = []
    at: str | None = tip
    while at is not None and at in by_sha:
        line.append(at)
        parents = by_sha[at].get("parents") or []
        at = str(parents[0]["sha"]) if parents else None
    return line
