"""Looks back, when nothing else waits: a repository's history is replayed once, and again under a policy that a pull request proposes.

One repository of an installation at a time, and the store hands out one such slice at a time, after everything else that waits.
The history is judged like a pull request, by the same workers with their bounds, some steps at a time: a server that stops goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.backtest import kept
from bot.backtest.figures import Difference, figures_of
from bot.backtest.run import Replay, Row, row_of
from bot.github.client import Repository
from bot.mirror.change import RepositoryError
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import GitError
from bot.mirror.steps import Step, change_of, steps
from bot.pipeline import Tools, bring_neighbours, policy_at
from bot.store import Mark, Work
from checks.assess import assess
from checks.policy import Policy

TOGETHER = 20
"""Steps that are judged before other work has its turn again."""
PAUSE = 0.5
"""Seconds between two slices."""
PROPOSED = 200
"""Steps that a proposed policy is tried on."""
HELD = 3
"""Tries in vain after which a repository no longer keeps the next one waiting."""
PATIENCE = 3600.0
"""Seconds after which a replay that did not end keeps no other from being begun."""
NAMED = 3
"""Steps that a sentence names."""


def begin(work: Work, tools: Tools) -> None:
    """Have the past of a repository replayed, unless that was begun before."""
    if tools.past and not kept.begun(tools.store, work.repository):
        tools.store.mark(_to_replay(work.repository, work.installation))


def begin_next(installation: int, tools: Tools, if_idle: bool = False) -> None:
    """Have the past of one more repository of an installation replayed, what was pushed to last first; `if_idle`: unless one is under way."""
    if not tools.past:
        return
    store, key = tools.store, f"pasts/{installation}"
    reached = store.fact(f"reaches/{installation}") or {}
    state = store.fact(key) or {"begun": [], "at": 0.0}
    if if_idle and state["begun"] and tools.clock() - state["at"] < PATIENCE:
        last = reached.get(state["begun"][-1])
        if last is not None and not kept.whole(store, last["name"]):
            return
    for one, known in sorted(reached.items(), key=lambda item: str(item[1]["pushed"]), reverse=True):
        if not known.get("archived") and one not in state["begun"] and not kept.begun(store, known["name"]):
            store.remember(key, {"begun": [*(begun for begun in state["begun"] if begun in reached), one], "at": tools.clock()})
            store.mark(_to_replay(known["name"], installation))
            return
    if state["begun"]:
        store.remember(key, {**state, "at": 0.0})


def _to_replay(repository: str, installation: int, delay: float = 0.0) -> Mark:
    return Mark(f"{repository}/past", repository, installation, "past", delay=delay)


def begin_proposed(work: Work, tools: Tools, number: int, head: str) -> None:
    """Have the policy of a pull request's head tried on the past, unless that was done for this head."""
    if tools.past and kept.proposed(tools.store, work.repository, number, head) is None:
        payload = json.dumps({"number": number, "head": head})
        tools.store.mark(Mark(f"{work.repository}/proposed/{number}", work.repository, work.installation, "proposed", payload))


async def look_at_past(work: Work, tools: Tools) -> None:
    """Replay some more steps of the default branch; what is left is marked to be looked at next, and where nothing is, the next repository."""
    try:
        ended = await _slice(work, tools)
    except Exception:
        if work.attempts == HELD:
            begin_next(work.installation, tools)
        raise
    if ended:
        begin_next(work.installation, tools)


async def _slice(work: Work, tools: Tools) -> bool:
    """Replay some steps; whether they were the last."""
    repository = tools.api.installation(work.installation, work.repository)
    about = await repository.ask("repository")
    branch = str(about["default_branch"])
    try:
        opened = await _opened(tools, repository, int(about["id"]), ((f"refs/heads/{branch}", _REF),))
    except GitError as error:
        if _NO_BRANCH not in str(error):
            raise
        return True  # A repository without a commit: its past begins with its first pull request.
    with opened as view:
        try:
            history = await asyncio.to_thread(steps, view.objects, tools.past, _REF)
        except RepositoryError:
            history = ()
        done = kept.heads(tools.store, work.repository)
        left = [step for step in history if step.head not in done]
        policy = (
            await policy_at(tools, work.installation, repository, branch, GitTree(view.objects, history[0].head)) if history else Policy()
        )
        rows = [row for step in left[:TOGETHER] if (row := await asyncio.to_thread(_row, tools, view, step, policy))]
    tools.store.check(work)
    await asyncio.to_thread(kept.add, tools.store, work.repository, policy.digest, rows, len(left) <= TOGETHER)
    if len(left) > TOGETHER:
        tools.store.mark(_to_replay(work.repository, work.installation, PAUSE))
    return len(left) <= TOGETHER


async def look_at_proposed(work: Work, tools: Tools) -> None:
    """Try the policy of a pull request's head on the past of its base branch, and have the verdict told again with the outcome."""
    number, head = int(work.payload["number"]), str(work.payload["head"])
    repository = tools.api.installation(work.installation, work.repository)
    answer = await repository.ask("pull", number=number)
    if answer.get("state") != "open" or answer["head"]["sha"] != head:
        return
    base_ref = str(answer["base"]["ref"])
    base = f"refs/interlock/base/{number}"
    refs = ((f"refs/heads/{base_ref}", base), (f"refs/pull/{number}/head", f"refs/interlock/pull/{number}"))
    with await _opened(tools, repository, int(answer["base"]["repo"]["id"]), refs) as view:
        history = await asyncio.to_thread(steps, view.objects, min(PROPOSED, tools.past), base)
        present = await policy_at(tools, work.installation, repository, base_ref, GitTree(view.objects, base))
        proposed = await policy_at(tools, work.installation, repository, base_ref, GitTree(view.objects, head))
        pairs = []
        for step in history if not proposed.mistakes else ():
            rows = [await asyncio.to_thread(_row, tools, view, step, policy) for policy in (present, proposed)]
            if rows[0] is not None and rows[1] is not None:
                pairs.append((rows[0], rows[1]))
    tools.store.check(work)
    sentences = _sentences(work.repository, present, proposed, pairs, base_ref)
    kept.propose(tools.store, work.repository, number, head, sentences)
    key = f"{work.repository}/pull/{number}"
    tools.store.mark(Mark(key, work.repository, work.installation, "pull", json.dumps({"number": number})))


_REF = "refs/interlock/past"
_NO_BRANCH = "couldn't find remote ref"
"""git's own words, which it is told to say in English."""


@dataclass(frozen=True)
class _View:
    """A repository opened to look back."""

    objects: Objects
    name: str


async def _opened(tools: Tools, repository: Repository, number: int, refs: Sequence[tuple[str, str]]) -> AbstractContextManager[_View]:
    token = await repository.token()
    address = f"{tools.github_url}/{repository.full_name}.git"
    git_dir = await asyncio.to_thread(tools.mirrors.fetch, number, address, token, refs)
    return _opening(tools, repository, number, git_dir, address, token)


@contextmanager
def _opening(tools: Tools, repository: Repository, number: int, git_dir: Path, address: str, token: str) -> Iterator[_View]:
    with Objects(git_dir, lambda oids: tools.mirrors.bring(number, address, token, oids)) as objects:
        yield _View(objects, repository.full_name)


def _row(tools: Tools, view: _View, step: Step, policy: Policy) -> Row | None:
    """The row of a step; None for one that is not whole in the repository."""
    started = time.perf_counter()
    try:
        change = change_of(view.objects, step, view.name)
    except RepositoryError:
        return None
    bring_neighbours(change)
    assessment = tools.sandbox.assess(change, policy) if tools.sandbox else assess(change, policy)
    return row_of(change, step, policy, assessment, started)


def _sentences(repository: str, present: Policy, proposed: Policy, pairs: Sequence[tuple[Row, Row]], base_ref: str) -> list[str]:
    if proposed.mistakes:
        first = proposed.mistakes[0]
        return [f"The policy proposed here is wrong, so it was not tried on the past: {first.message}"]
    rows, others = tuple(one for one, _ in pairs), tuple(other for _, other in pairs)
    figures = figures_of(Replay(repository, present.digest, rows, others, proposed.digest))
    lead = f"Under the policy proposed here, of the last {len(rows)} changes of {base_ref}"
    if not (figures.newly_stopped or figures.newly_free or figures.otherwise):
        return [f"{lead} each would have had the same verdict ({figures.stopped} would have waited for a proof)."]
    told = (
        (figures.newly_stopped, "more would have waited for a proof"),
        (figures.newly_free, "fewer would have waited"),
        (figures.otherwise, "would have waited for other proofs"),
    )
    return [f"{lead} {len(found)} {words}: {_named(found)}." for found, words in told if found]


def _named(differences: Sequence[Difference]) -> str:
    shown = [f"{one.present.head[:10]} {one.present.title[:60]}".strip() for one in differences[:NAMED]]
    return ", ".join(shown) + (f" and {len(differences) - NAMED} more" if len(differences) > NAMED else "")
