"""The straight path with its input and output: open, configure, assess, gather, decide, record, publish."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bot import codec, due, merges, records
from bot.backtest import kept
from bot.evidence import gather
from bot.evidence.overrides import end_overrides, overrides_of
from bot.github.client import Api, ApiError, RateLimited, Repository
from bot.looks.seen import Seen, present_head, pulls_of, remember_head, remember_seen, remember_verdict, seen
from bot.metrics import GIT, SANDBOX_KILLS, VERDICT, count_files, timed
from bot.mirror.change import Range, RepositoryError, change, merge_base
from bot.mirror.mirrors import Mirrors
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import GitError
from bot.organisation import Unavailable, organisation_policy
from bot.publish import Publisher, gate_name
from bot.sandbox import Sandbox, SandboxError
from bot.store import Store, Work
from bot.traces import step
from bot.triggers import mark_of, pull_mark
from checks.assess import ENGINE, assess, decide
from checks.evidence import BranchRules, Evidence, Override
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
class Place:
    """What is judged: a pull request's head, or the combined commit of a merge group."""

    repository_id: int
    head: str
    base_ref: str
    pull: Pull | None
    refs: tuple[tuple[str, str], ...]
    """(theirs, ours) of what git has to bring."""
    span: Callable[[Objects], Range]
    overrides: Callable[[Objects], tuple[Override, ...]]
    group: bool = False


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
        _look_at_others(work, tools, remember_seen(tools.store, work.repository, number, None))
        return None
    head, base_ref = str(answer["head"]["sha"]), str(answer["base"]["ref"])
    publisher = Publisher(repository, tools.store, tools.public_url)
    end_overrides(tools.store, work.repository, number, head)
    tools.store.check(work)
    await publisher.begin(head, base_ref)
    remember_head(tools.store, work.repository, head, number, base_ref)
    refs = (
        (f"refs/heads/{base_ref}", f"refs/interlock/base/{number}"),
        (f"refs/pull/{number}/head", f"refs/interlock/pull/{number}"),
    )
    place = Place(
        repository_id=int(answer["base"]["repo"]["id"]),
        head=head,
        base_ref=base_ref,
        pull=pull_of(answer),
        refs=refs,
        span=lambda objects: _span(objects, number, head),
        overrides=lambda _: overrides_of(tools.store, work.repository, number),
    )
    try:
        outcome = await judge(work, tools, repository, place)
    except (GitError, RepositoryError, SandboxError) as error:
        await publisher.failed(head, base_ref, f"The repository could not be read: {error}. Comment `/interlock recheck` to try again.")
        raise
    present = await repository.ask("pull", number=number)
    if str(present["head"]["sha"]) != head or str(present["base"]["ref"]) != base_ref or present.get("state") != "open":
        raise NotNow(f"#{number} moved while it was looked at")
    with step("publish"):
        await _publish(work, tools, publisher, outcome, number, [str(label.get("name")) for label in present.get("labels") or []])
    report = outcome.report
    stands = Seen(head, base_ref, report.verdict.state.value, bool(report.requirements), str(answer.get("updated_at") or ""), tools.clock())
    _look_at_others(work, tools, remember_seen(tools.store, work.repository, number, stands))
    return outcome


def _look_at_others(work: Work, tools: Tools, numbers: Iterable[int]) -> None:
    """Mark the pull requests whose gate was red for another one's sake."""
    for number in numbers:
        tools.store.mark(pull_mark(work.repository, work.installation, number))


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


async def judge(work: Work, tools: Tools, repository: Repository, place: Place) -> Outcome:
    """Open, configure, assess, gather, decide and record."""
    token = await repository.token()
    address = f"{tools.github_url}/{repository.full_name}.git"
    with step("fetch"), timed(GIT, op="fetch"):
        git_dir = await asyncio.to_thread(tools.mirrors.fetch, place.repository_id, address, token, place.refs)
    with Objects(git_dir, lambda oids: tools.mirrors.bring(place.repository_id, address, token, oids)) as objects:
        with step("open"):
            span = await asyncio.to_thread(place.span, objects)
            opened = await asyncio.to_thread(change, objects, span, repository.full_name, place.pull)
            await asyncio.to_thread(bring_neighbours, opened)
        policy = await policy_at(tools, work.installation, repository, place.base_ref, GitTree(objects, span.base))
        with step("assess"):
            assessment = await asyncio.to_thread(_assessment, tools, opened, policy)
        now = datetime.datetime.fromtimestamp(tools.clock(), datetime.UTC)
        gate = gate_name(place.base_ref)
        with step("gather"):
            evidence = await gather(assessment, opened, objects, policy, repository, place.base_ref, gate, tools.api.app_id, now)
        evidence = replace(evidence, overrides=await asyncio.to_thread(place.overrides, objects))
    number = place.pull.number if place.pull else 0
    tried = kept.proposed(tools.store, repository.full_name, number, place.head) or ()
    past = merges.of_branch(tools.store, repository.full_name, place.base_ref, tools.clock())
    report = records.with_gate(decide(assessment, evidence, policy), (*gate_sentences(evidence), *merges.sentences(past), *tried))
    report = records.with_percentile(report, kept.scores_of(tools.store, repository.full_name))
    if not place.group:
        due.write_down(tools.store, repository.full_name, number, work.installation, due.next_end(report, evidence, policy))
    inputs = records.Inputs(
        repository.full_name,
        place.repository_id,
        span.base,
        span.merge_base,
        place.head,
        place.pull,
        policy,
        evidence,
        assessment,
        group=place.group,
    )
    with step("record"):
        record = await asyncio.to_thread(records.append, tools.store, inputs, report, place.base_ref, tools.clock(), work)
    VERDICT.labels(state=report.verdict.state.value).inc()
    count_files(assessment.analysis)
    if policy.digest.startswith("sha256:"):
        tools.store.remember(f"policy/{repository.full_name}/{place.base_ref}", True)
    edits = any(PATH in (file.path, file.base_path) for file in opened.files)
    return Outcome(report, record.id, place.base_ref, place.head, edits)


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
        SANDBOX_KILLS.labels(reason="bound").inc(tools.sandbox.kills - kills)
        # A worker ended early, perhaps because the machine was busy: the next look tries again.
        return assessment
    tools.store.keep_assessment(key, codec.dump(assessment))
    return assessment


def gate_sentences(evidence: Evidence) -> tuple[str, ...]:
    """What is known of the gate's own enforcement."""
    rules = evidence.rules
    if rules is None:
        return ("Whether this check is required here is not known: GitHub did not tell the branch's rules.",)
    return (gate_sentence(rules, evidence.gate_check, evidence.gate_app_id), *evidence.unknown)


def gate_sentence(rules: BranchRules, name: str | None, app_id: int | None) -> str:
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
    state = State.BLOCKED.value if forced else outcome.report.verdict.state.value
    remember_verdict(tools.store, work.repository, outcome.head, outcome.base_ref, state, outcome.review, number)
    # The verdict stands. What only adorns it is left out where GitHub refuses it for good (a locked conversation, a permission not granted).
    for adorn in (partial(publisher.label, outcome.report, number, labels), partial(publisher.comment, outcome.report, number)):
        try:
            await adorn()
        except RateLimited:
            raise
        except ApiError as error:
            if error.status not in (403, 404, 410, 422):
                raise
            logger.warning("%s #%d: %s", work.repository, number, error)


def _worse_sibling(store: Store, repository: str, outcome: Outcome, number: int) -> str | None:
    """Why the gate is red although this pull request is fine: another open one has the same head and base, and its verdict is worse."""
    for other in pulls_of(store, repository, outcome.head):
        stands = seen(store, repository, other) if other != number else None
        if stands and (stands.head, stands.base_ref, stands.state) == (outcome.head, outcome.base_ref, State.BLOCKED.value):
            return f"Blocked by #{other}, which has the same commit and the same base"
    return None


async def look_at_commit(work: Work, tools: Tools) -> None:
    """Mark what has this head: a check or workflow of it finished, or someone asks for it to be looked at again.

    Whoever has the head is known from the moment it is looked at, before its evidence is gathered; of other commits nothing is decided.
    """
    sha, store = str(work.payload["sha"]), tools.store
    numbers = set(pulls_of(store, work.repository, sha))
    group = store.fact(f"groups/{work.repository}/{sha}")
    if group is not None:
        store.mark(mark_of(work.repository, work.installation, "group", sha, **group))
    elif not numbers and work.payload.get("ask"):
        repository = tools.api.installation(work.installation, work.repository)
        open_ones = await repository.every("pulls", params={"state": "open"})
        numbers = {int(answer["number"]) for answer in open_ones if str(answer["head"]["sha"]) == sha}
    for number in sorted(numbers):
        # One that has moved on has nothing to learn from its old head, unless it was asked for.
        if work.payload.get("ask") or present_head(store, work.repository, number) == sha:
            store.mark(pull_mark(work.repository, work.installation, number))


async def tell_failure(work: Work, tools: Tools, why: str) -> None:
    """After the last try: the gate of the present head is red and says why."""
    repository = tools.api.installation(work.installation, work.repository)
    try:
        answer = await repository.ask("pull", number=int(work.payload["number"]))
        if answer.get("state") == "open":
            await Publisher(repository, tools.store, tools.public_url).failed(str(answer["head"]["sha"]), str(answer["base"]["ref"]), why)
    except ApiError:
        return
