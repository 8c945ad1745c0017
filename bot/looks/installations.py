"""Where the App is installed: what it reaches is compared with what is known, and open pull requests without a current check are found.

Events only say that something changed; what is true is asked for. A repository is known by its number, so that another name or owner is seen.
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

from bot.github.client import ApiError
from bot.looks.branches import mark_all
from bot.looks.seen import seen
from bot.metrics import CHECK_MISSING_AGE, RECONCILED
from bot.past import begin_next
from bot.pipeline import Tools
from bot.publish import gate_name
from bot.store import Store, Work
from bot.triggers import EVERYWHERE, mark_of

logger = logging.getLogger("interlock.installations")

AGAIN = 24 * 3600.0
"""Seconds after which the open pull requests of a quiet repository are compared again."""


async def look_at_installation(work: Work, tools: Tools) -> None:
    """Compare what an installation reaches with what is known of it."""
    number, store = work.installation, tools.store
    try:
        answer = await tools.api.as_app("installation", installation=number)
    except ApiError as error:
        if error.status != 404:
            raise
        answer = None
    tools.api.forget(number)
    key = f"reaches/{number}"
    if answer is None or answer.get("suspended_at"):
        logger.info("installation %d is %s", number, "gone" if answer is None else "suspended")
        store.remember(key, None)
        store.drop_work(number)
        return
    known: dict[str, dict[str, Any]] = store.fact(key) or {}
    reached = {str(one["id"]): one for one in await tools.api.repositories(number)}
    for one in known.keys() - reached.keys():
        store.drop_work(number, known[one]["name"])
    moved: dict[str, dict[str, Any]] = {}
    for one, drawn in reached.items():
        name, pushed = str(drawn["full_name"]), str(drawn.get("pushed_at") or "")
        kept = known.get(one)
        if kept and kept["name"] != name:
            rename(store, kept["name"], name)
        moved[one] = {"name": name, "pushed": pushed, "archived": bool(drawn.get("archived"))}
        since = tools.clock() - float(store.fact(f"reconciled/{one}") or 0.0)
        if not drawn.get("archived") and (kept is None or kept["pushed"] != pushed or since >= AGAIN):
            store.mark(mark_of(name, number, "reconcile", "all", number=int(one)))
    store.remember(key, moved)
    begin_next(number, tools, if_idle=True)


async def look_at_repository(work: Work, tools: Tools) -> None:
    """A repository was renamed, transferred or deleted: what is kept of it follows, and its open pull requests are compared."""
    repository = tools.api.installation(work.installation, work.repository)
    try:
        answer = await repository.ask("repository")
    except ApiError as error:
        if (error.call, error.status) not in (("token", 404), ("token", 422), ("repository", 404)):
            raise
        tools.store.drop_work(work.installation, work.repository)
        return
    if int(answer["id"]) != int(work.payload["number"]):
        return
    old, new = str(work.payload.get("old") or ""), str(answer["full_name"])
    if old and old != new:
        rename(tools.store, old, new)
    if not answer.get("archived"):
        tools.store.mark(mark_of(new, work.installation, "reconcile", "all", number=int(answer["id"])))


def rename(store: Store, old: str, new: str) -> None:
    """Let everything that is kept of a repository follow its name."""
    logger.info("%s is %s now", old, new)
    store.rename(old, new)


async def look_at_open_pulls(work: Work, tools: Tools) -> None:
    """Find the open pull requests of a repository that have no current check, and those known as open that are not."""
    store, name = tools.store, work.repository
    if name.endswith(f"/{EVERYWHERE}"):
        return
    repository = tools.api.installation(work.installation, name)
    missed, now = bool(work.payload.get("missed")), tools.clock()
    stale: list[int] = []
    oldest = 0.0
    open_ones = await repository.every("pulls", params={"state": "open"})
    for answer in open_ones:
        number = int(answer["number"])
        if current(store, name, answer, missed):
            continue
        stale.append(number)
        oldest = max(oldest, now - _moment(str(answer.get("updated_at") or "")))
    here = {int(answer["number"]) for answer in open_ones}
    for fact, value in store.facts(f"seen/{name}/").items():
        number = int(fact.rpartition("/")[2])
        if value is not None and number not in here:
            stale.append(number)
    if stale:
        logger.info("%s: %d pull requests without a current check", name, len(stale))
    RECONCILED.inc(len(stale))
    CHECK_MISSING_AGE.set(oldest)
    # Those that nobody judged come first, the oldest of them in front.
    mark_all(store, name, work.installation, sorted(stale, key=lambda number: (seen(store, name, number) is not None, number)))
    branches = {str(answer["base"]["ref"]) for answer in open_ones}
    for branch in sorted(branches if missed else ()):
        store.mark(mark_of(name, work.installation, "branch", branch, branch=branch, default=False))
    store.remember(f"reconciled/{work.payload['number']}", now)


def current(store: Store, repository: str, answer: dict[str, Any], missed: bool) -> bool:
    """Whether the verdict that stands on an open pull request is that of its present state."""
    stands = seen(store, repository, int(answer["number"]))
    head, base_ref = str(answer["head"]["sha"]), str(answer["base"]["ref"])
    if stands is None or (stands.head, stands.base_ref) != (head, base_ref):
        return False
    published = store.fact(f"check/{repository}/{head}/{gate_name(base_ref)}")
    if not published or not published.get("text"):
        return False
    # Where deliveries were missed, so may have been what was edited and what was proven.
    return not (missed and (stands.asks or str(answer.get("updated_at") or "") > stands.updated))


def _moment(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
