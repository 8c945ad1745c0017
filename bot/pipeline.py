"""The straight path with its input and output: open, configure, assess, gather, decide, record, publish."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import codec, due, merges, records
from bot.backtest import kept
from bot.evidence import gather
from bot.evidence.overrides import overrides_of
from bot.github.client import Api, ApiError, RateLimited, Repository
from bot.mirror.change import Range, RepositoryError, change, merge_base
from bot.mirror.mirrors import Mirrors
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import GitError
from bot.organisation import Unavailable, organisation_policy
from bot.publish import Publisher, gate_name
from bot.sandbox import Sandbox, SandboxError
from bot.store import Mark, Store, Work
from checks.assess import ENGINE, assess, decide
from checks.evidence import BranchRules, Evidence
from checks.model import Account, Assessment, Change, Pull, Report, State
from checks.policy import PATH, Policy, read_policy, unreadable

logger = logging.getLogger("interlock.pipeline")


@dataclass(frozen=True)
class Tools:
    """What a review works with."""

    api: Api
    mirrors: Mirrors
    store: Store
    github_url: str
    public_url: str = ""
    clock: Callable[[], float] = time.time
    sandbox: Sandbox | None = None
    """Where changes are analysed; None: in this process."""
    past: int = 0
    """Steps of a repository's history that are replayed once, for percentiles; 0: none."""


class NotNow(Exception):
    """The state changed while it was looked at; it is marked to be looked at again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report and what is needed to show it."""

    report: Report
    review: str
    base_ref: str
    head: str
    edits_policy: bool = False


async def look_at_pull(work: Work, tools: Tools) -> Outcome | None:
    """Look at the present state of a pull request and publish a verdict. None when there is nothing to judge."""
    number = int(work.payload["number"])
    repository = tools.api.installation(work.installation, work.repository)
    answer = await repository.ask("pull", number=number)
    if answer.get("state") != "open":
        if answer.get("merged"):
            tools.store.remember(f"merged/{work.repository}/{number}", str(answer["head"]["sha"]))
            merges.write_down(tools.store, work.repository, number, answer, tools.clock())
        due.write_down(tools.store, work.repository, number, work.installation, None)
        return None
    pull, head, base_ref = pull_of(answer), str(answer["head"]["sha"]), str(answer["base"]["ref"])
    publisher = Publisher(repository, tools.store, tools.public_url)
    tools.store.check(work)
    await publisher.begin(head, base_ref)
    try:
        outcome = await _judge(work, tools, repository, answer, pull, head, base_ref)
    except (GitError, RepositoryError, SandboxError) as error:
        await publisher.failed(head, base_ref, f"The repository could not be read: {error}. Comment `/interlock recheck` to try again.")
        raise
    present = await repository.ask("pull", number=number)
    if str(present["head"]["sha"]) != head or str(present["base"]["ref"]) != base_ref or present.get("state") != "open":
        raise NotNow(f"#{number} moved while it was looked at")
    await _publish(work, tools, publisher, outcome, number, [str(label.get("name")) for label in present.get("labels") or []])
    return outcome


def pull_of(answer: Mapping[str, Any]) -> Pull:
    """The nouns of a pull request as the API gives it."""
    user = answer.get("user") or {}
    head_repository = (answer["head"].get("repo") or {}).get("id")
    return Pull(
        number=int(answer["number"]),
        title=str(answer.get("title") or ""),
        body=str(answer.get("body") or ""),
        author=Account(str(user.get("login") or "ghost"), int(user.get("id") or 0), str(user.get("type") or "User")),
        base_ref=str(answer["base"]["ref"]),
        head_ref=str(answer["head"]["ref"]),
        draft=bool(answer.get("draft")),
        fork=head_repository != (answer["base"].get("repo") or {}).get("id"),
        app=((answer.get("performed_via_github_app") or {}).get("slug")),
    )


async def _judge(
    work: Work, tools: Tools, repository: Repository, answer: Mapping[str, Any], pull: Pull, head: str, base_ref: str
) -> Outcome:
    repository_id = int(answer["base"]["repo"]["id"])
    token = await repository.token()
    refs = (
        (f"refs/heads/{base_ref}", f"refs/interlock/base/{pull.number}"),
        (f"refs/pull/{pull.number}/head", f"refs/interlock/pull/{pull.number}"),
    )
    address = f"{tools.github_url}/{repository.full_name}.git"
    git_dir = await asyncio.to_thread(tools.mirrors.fetch, repository_id, address, token, refs)
    with Objects(git_dir, lambda oids: tools.mirrors.bring(repository_id, address, token, oids)) as objects:
        span = await asyncio.to_thread(_span, objects, pull.number, head)
        opened = await asyncio.to_thread(change, objects, span, repository.full_name, pull)
        await asyncio.to_thread(bring_neighbours, opened)
        policy = await policy_at(tools, work.installation, repository, base_ref, GitTree(objects, span.base))
        assessment = await asyncio.to_thread(_assessment, tools, opened, policy)
        now = datetime.datetime.fromtimestamp(tools.clock(), datetime.UTC)
        evidence = await gather(assessment, opened, objects, policy, repository, base_ref, gate_name(base_ref), tools.api.app_id, now)
        evidence = replace(evidence, overrides=overrides_of(tools.store, repository.full_name, pull.number))
    tried = kept.proposed(tools.store, repository.full_name, pull.number, head) or ()
    seen = merges.of_branch(tools.store, repository.full_name, base_ref, tools.clock())
    report = records.with_gate(decide(assessment, evidence, policy), (*gate_sentences(evidence), *merges.sentences(seen), *tried))
    report = records.with_percentile(report, kept.scores_of(tools.store, repository.full_name))
    due.write_down(tools.store, repository.full_name, pull.number, work.installation, due.next_end(report, evidence, policy))
    inputs = records.Inputs(repository.full_name, repository_id, span.base, span.merge_base, head, pull, policy, evidence, assessment)
    record = await asyncio.to_thread(records.append, tools.store, inputs, report, base_ref, tools.clock(), work)
    if policy.digest.startswith("sha256:"):
        tools.store.remember(f"policy/{repository.full_name}/{base_ref}", True)
    return Outcome(report, record.id, base_ref, head, any(PATH in (file.path, file.base_path) for file in opened.files))


def _span(objects: Objects, number: int, head: str) -> Range:
    """Base tip, merge base and head; the head must be the one GitHub named, whatever was fetched since."""
    base = objects.resolve(f"refs/interlock/base/{number}")
    fetched = objects.resolve(f"refs/interlock/pull/{number}")
    if base is None or fetched is None:
        raise GitError("the base branch or the pull request's head was not fetched")
    if fetched != head:
        raise NotNow("another head was fetched than the one that was asked for")
    return Range(base, merge_base(objects.git_dir, base, head), head)


NEIGHBOURS = 300
"""Files of one folder that are brought along with a changed one."""


def bring_neighbours(opened: Change) -> None:
    """Bring what the detectors will read besides the changed files in one go: their neighbours, the root's files, workflows and agents' settings."""
    folders = {"", ".github", ".github/workflows", ".claude", ".codex", ".cursor", ".gemini", ".vscode"}
    folders |= {file.path.rpartition("/")[0] for file in opened.files[:500]}
    for tree in (opened.before, opened.after):
        paths: list[str] = []
        for folder in sorted(folders):
            entries = tree.list(folder)
            if len(entries) <= NEIGHBOURS:
                paths += [f"{folder}/{name}" if folder else name for name, entry in entries.items() if entry.is_file]
        tree.prefetch(paths)


async def policy_at(tools: Tools, installation: int, repository: Repository, base_ref: str, tip: GitTree) -> Policy:
    """The policy in a tree of this repository, above it the organisation's."""
    try:
        above = await organisation_policy(tools.api, tools.store, installation, repository.owner, tools.clock())
    except Unavailable as why:
        return unreadable(str(why))
    once_stood = bool(tools.store.fact(f"policy/{repository.full_name}/{base_ref}"))
    return await asyncio.to_thread(read_policy, tip, above, once_stood)


def _assessment(tools: Tools, opened: Change, policy: Policy) -> Assessment:
    """The assessment of a change: kept by everything it depends on, so that new evidence only decides anew."""
    key = codec.digest(
        codec.canonical(
            [
                ENGINE,
                opened.merge_base,
                opened.head,
                opened.base,
                codec.digest(codec.dump(policy)),
                codec.dump(opened.pull) if opened.pull else "",
            ]
        )
    )
    kept = tools.store.assessment(key)
    if kept is not None:
        return codec.load(Assessment, kept)
    kills = tools.sandbox.kills if tools.sandbox else 0
    assessment = tools.sandbox.assess(opened, policy) if tools.sandbox else assess(opened, policy)
    if tools.sandbox and tools.sandbox.kills != kills:
        # A worker ended early, perhaps because the machine was busy: the next look tries again.
        return assessment
    tools.store.keep_assessment(key, codec.dump(assessment))
    return assessment


def gate_sentences(evidence: Evidence) -> tuple[str, ...]:
    """What is known of the gate's own enforcement."""
    rules = evidence.rules
    if rules is None:
        return ("Whether this check is required here is not known: GitHub did not tell the branch's rules.",)
    return (_gate_sentence(rules, evidence.gate_check, evidence.gate_app_id), *evidence.unknown)


def _gate_sentence(rules: BranchRules, name: str | None, app_id: int | None) -> str:
    ours = [check for check in rules.required if check.context == name]
    if not ours:
        return "This check is not required here by a ruleset: a merge is possible while it is red."
    if not any(check.app_id == app_id for check in ours):
        return "This check is required, but from any source: anyone who can push can fake it. Pin it to this App."
    if rules.bypass is None:
        return "This check is required and pinned to this App; who may bypass it is not known."
    return (
        "This check is required and pinned to this App; nobody may bypass it."
        if not rules.bypass
        else f"This check is required, but may be bypassed by {', '.join(rules.bypass)}."
    )


async def _publish(work: Work, tools: Tools, publisher: Publisher, outcome: Outcome, number: int, labels: list[str]) -> None:
    forced = _worse_sibling(tools.store, work.repository, outcome, number)
    tools.store.check(work)
    await publisher.gate(outcome.report, outcome.head, outcome.base_ref, outcome.review, forced)
    await publisher.risk(outcome.report, outcome.head, outcome.base_ref, outcome.review)
    # The verdict stands. What only adorns it is left out where GitHub refuses it for good (a locked conversation, a permission not granted).
    for adorn in (publisher.label(outcome.report, number, labels), publisher.comment(outcome.report, number)):
        try:
            await adorn
        except RateLimited:
            raise
        except ApiError as error:
            if error.status not in (403, 404, 410, 422):
                raise
            logger.warning("%s #%d: %s", work.repository, number, error)


def _worse_sibling(store: Store, repository: str, outcome: Outcome, number: int) -> str | None:
    """Why the gate is red although this pull request is fine: another open one has the same head and base, and its verdict is worse."""
    newest: dict[int, str] = {}
    for record in store.records(repository, head=outcome.head, base_ref=outcome.base_ref):
        if record.pull is not None and record.pull != number:
            newest.setdefault(record.pull, record.state)
    for other, state in newest.items():
        if state == State.BLOCKED.value and not store.fact(f"closed/{repository}/{other}"):
            return f"Blocked by #{other}, which has the same commit and the same base"
    return None


async def look_at_commit(work: Work, tools: Tools) -> None:
    """Mark every open pull request that has this head: a check or workflow of it finished."""
    sha = str(work.payload["sha"])
    repository = tools.api.installation(work.installation, work.repository)
    for answer in await repository.every("pulls", params={"state": "open"}):
        if str(answer["head"]["sha"]) == sha:
            number = int(answer["number"])
            tools.store.mark(
                Mark(f"{work.repository}/pull/{number}", work.repository, work.installation, "pull", f'{{"number": {number}}}')
            )


async def tell_failure(work: Work, tools: Tools, why: str) -> None:
    """After the last try: the gate of the present head is red and says why."""
    repository = tools.api.installation(work.installation, work.repository)
    try:
        answer = await repository.ask("pull", number=int(work.payload["number"]))
        if answer.get("state") == "open":
            await Publisher(repository, tools.store, tools.public_url).failed(str(answer["head"]["sha"]), str(answer["base"]["ref"]), why)
    except ApiError:
        return
