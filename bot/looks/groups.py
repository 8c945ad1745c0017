"""The merge queue: the combined commit is judged as what it would make of the base branch, and gets check runs of its own.

The branch of a group is `gh-readonly-queue/BASE/pr-NUMBER-SHA`; its own diff goes from the commit it was put on to its head. A pass of the
pull request does not carry over. docs.github.com/webhooks (merge_group), docs.github.com/repositories (managing a merge queue)
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from bot.evidence.overrides import overrides_of
from bot.github.client import ApiError, Repository
from bot.looks.seen import pulls_of, remember_verdict
from bot.mirror.change import Range, RepositoryError
from bot.mirror.objects import Objects
from bot.mirror.runner import GitError, is_oid, run
from bot.pipeline import NotNow, Outcome, Place, Tools, judge, pull_of
from bot.publish import Publisher
from bot.sandbox import SandboxError
from bot.store import Work
from bot.triggers import QUEUE
from checks.evidence import Override
from checks.model import Pull

_NUMBER = re.compile(r"/pr-([0-9]{1,9})-[0-9a-f]{40,64}\Z")
COMMITS = 200
"""Commits of a group that are asked whether they are the head of a pull request."""


async def look_at_group(work: Work, tools: Tools) -> Outcome | None:
    """Judge the combined commit of a merge group and publish a verdict on it. None when the group is gone."""
    repository = tools.api.installation(work.installation, work.repository)
    head, ref, base, base_ref = (str(work.payload[name]) for name in ("head", "ref", "base", "base_ref"))
    if not ref.startswith(f"refs/heads/{QUEUE}"):
        return None
    try:
        answer = await repository.ask("ref", ref=ref.removeprefix("refs/"))
    except ApiError as error:
        if error.status in (404, 409):
            return None
        raise
    if str(answer["object"]["sha"]) != head or not is_oid(base):
        return None
    tools.store.remember(f"groups/{work.repository}/{head}", work.payload)
    pull, pull_head = await _pull(repository, ref)
    publisher = Publisher(repository, tools.store, tools.public_url)
    tools.store.check(work)
    await publisher.begin(head, base_ref)

    def span(objects: Objects) -> Range:
        tip, fetched = objects.resolve(f"refs/interlock/group-base/{head}"), objects.resolve(f"refs/interlock/group/{head}")
        if tip is None or fetched is None:
            raise GitError("the merge group's commit was not fetched")
        if fetched != head:
            raise NotNow("another commit was fetched than the one that was asked for")
        return Range(tip, base, head)

    def overrides(objects: Objects) -> tuple[Override, ...]:
        """Those given for the pull requests in it, bound to the heads that are in it: the commit that combines them is none of theirs."""
        listed = run(objects.git_dir, "rev-list", f"--max-count={COMMITS}", head, f"^{base}", "--").decode("ascii").split()
        inside = {number: sha for sha in listed for number in pulls_of(tools.store, work.repository, sha)}
        if pull is not None:
            inside.setdefault(pull.number, pull_head)
        return tuple(
            replace(one, head=head)
            for number, sha in inside.items()
            for one in overrides_of(tools.store, work.repository, number)
            if one.head == sha
        )

    place = Place(
        repository_id=int(work.payload["repository_id"]),
        head=head,
        base_ref=base_ref,
        pull=pull,
        refs=((f"refs/heads/{base_ref}", f"refs/interlock/group-base/{head}"), (ref, f"refs/interlock/group/{head}")),
        span=span,
        overrides=overrides,
        group=True,
    )
    try:
        outcome = await judge(work, tools, repository, place)
    except (GitError, RepositoryError, SandboxError) as error:
        await publisher.failed(head, base_ref, f"The repository could not be read: {error}.")
        raise
    await asyncio.to_thread(tools.store.check, work)
    await publisher.gate(outcome.report, head, base_ref, outcome.review)
    await publisher.risk(outcome.report, head, base_ref, outcome.review)
    state = outcome.report.verdict.state.value
    remember_verdict(tools.store, work.repository, head, base_ref, state, outcome.review, pull.number if pull else None)
    return outcome


async def _pull(repository: Repository, ref: str) -> tuple[Pull | None, str]:
    """The pull request that a group was made for, and its head: who wrote it is told by its description too."""
    number = _NUMBER.search(ref)
    if number is None:
        return None, ""
    try:
        answer = await repository.ask("pull", number=int(number[1]))
    except ApiError as error:
        if error.status != 404:
            raise
        return None, ""
    return pull_of(answer), str(answer["head"]["sha"])
