"""Deliveries come twice and in any order: the end is the same. New evidence decides anew and assesses nothing anew."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bot.github.client import Api
from bot.pipeline import Tools
from bot.store import Delivery, Store, open_store
from bot.worker import Workers
from tests.house import AGENT, GATE, RISK, TOPIC, House

DESTROY = {"infra/prod/main.tf": TOPIC}
ORDERS = list(itertools.permutations(range(5)))


class Clock:
    """Time that goes on as far as the next work."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def history(house: House) -> list[tuple[str, bytes]]:
    """Five events of one pull request, as they were delivered: opened, pushed to, proven by a workflow, commented on, edited."""
    _, pull = house.propose(DESTROY, "claude/tidy", "Tidy up" + AGENT)
    head = house.repo.commit("claude/tidy", {"infra/prod/main.tf": TOPIC, "README.md": "# y\n"}, "More", author="robin")
    house.repo.run_workflow(".github/workflows/ci.yml", "pull_request", head, jobs=["test"], head_branch="claude/tidy")
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.repo.edit(pull, by="robin", title="Tidy up the queues")
    house.settle()
    wanted = [
        ("pull_request", "opened"),
        ("pull_request", "synchronize"),
        ("check_run", "completed"),
        ("issue_comment", "created"),
        ("pull_request", "edited"),
    ]
    found = []
    for event, action in wanted:
        one = next(
            one
            for one in house.github.deliveries
            if (one.event, one.action) == (event, action)
            and (event != "check_run" or one.payload["check_run"]["app"]["id"] != house.app.id)
        )
        found.append((event, json.dumps(one.payload).encode()))
    return found


def forget(house: House) -> None:
    """Take back all that the App published, so that the next order begins as the first did."""
    state = house.repo.state
    state.comments = {number: one for number, one in state.comments.items() if one.app is None}
    state.check_runs = {number: run for number, run in state.check_runs.items() if run.app.id != house.app.id}
    for one in state.comments.values():
        one.reactions.clear()
    for pull in state.pulls.values():
        pull.labels.clear()


def published(house: House, store: Store) -> Any:
    """What people see in the end, and what is recorded of it."""
    (pull,) = house.repo.state.pulls.values()
    runs = {name: house.gate(pull.head_sha, name) for name in (GATE, RISK)}
    record = store.records("acme/shop", pull=pull.number)[0]
    report = json.loads(record.report)
    report["analysis"].pop("milliseconds", None)
    return (
        {name: (run.status, run.conclusion, run.title, run.summary.replace(record.id, "")) for name, run in runs.items()},
        sorted(label.name for label in pull.labels),
        [one.body.replace(record.id, "") for one in house.repo.comments(pull) if one.app is not None],
        [[reaction.content for reaction in one.reactions] for one in house.repo.comments(pull) if one.app is None],
        (record.head, record.state, record.score, report),
        store.dead_letters(),
    )


async def play(house: House, tools: Tools, clock: Clock, deliveries: list[tuple[str, str, bytes]], chance: random.Random) -> None:
    """Deliver in this order, let the workers look now and then, and at the end until nothing is left."""
    workers = Workers(tools, 1)

    async def rest() -> None:
        for _ in range(100):
            while await workers._read() or await workers._look():
                pass
            if not tools.store.waiting()["waiting"]:
                return
            clock.now += 2
        raise AssertionError("it does not come to rest")

    for guid, event, body in deliveries:
        tools.store.put_deliveries([Delivery(guid, event, zstandard.compress(body), clock())])
        if chance.random() < 0.1:
            await rest()
    await rest()


@pytest.mark.slow
def test_all_orders_of_five_events_with_duplicates_end_in_the_same_state(house: House, tmp_path: Path) -> None:
    """Whatever order five deliveries come in, one of them twice, the same is published and recorded."""
    events, chance, ends = history(house), random.Random(5), []
    credentials = house.server.app.settings.credentials
    assert credentials is not None

    async def every() -> None:
        api = Api(credentials, house.github.url, write_seconds=0)
        try:
            for number, order in enumerate(ORDERS):
                twice = number % 5
                deliveries = [(f"guid-{index}", *events[index]) for index in order]
                deliveries.insert(chance.randrange(order.index(twice) + 1, 6), (f"guid-{twice}", *events[twice]))
                forget(house)
                clock = Clock()
                with closing(open_store(tmp_path / str(number), clock=clock)) as store:
                    mine = house.server.app.tools
                    assert mine is not None
                    tools = Tools(api, mine.mirrors, store, mine.github_url, mine.public_url, clock)
                    await play(house, tools, clock, deliveries, chance)
                    ends.append((order, published(house, store)))
        finally:
            await api.close()

    asyncio.run(every())
    assert len(ends) == 120
    for order, end in ends:
        assert end == ends[0][1], f"the order {order} ended otherwise"


@pytest.mark.every_store
def test_evidence_decides_anew_and_assesses_nothing_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three workflows finish one after the other: three more records of one head, and one assessment."""
    assessed: list[str] = []
    keep = type(house.server.app.store).keep_assessment

    def counted(self: Any, key: str, body: str, most: int = 5000) -> None:
        assessed.append(key)
        keep(self, key, body, most)

    monkeypatch.setattr(type(house.server.app.store), "keep_assessment", counted)
    sha, pull = house.propose(DESTROY)
    before = len(house.server.app.store.records("acme/shop", pull=pull.number))
    for name in ("one", "two", "three"):
        house.repo.run_workflow(f".github/workflows/{name}.yml", "pull_request", sha, jobs=["test"], head_branch="work")
        house.settle()
    assert len(house.server.app.store.records("acme/shop", pull=pull.number)) >= before + 3
    assert len(assessed) == 1


PROVEN = """version: 1
mode: enforce
evidence:
  check-required: {app: github-actions, workflow: .github/workflows/ci.yml, check: test}
requirements:
  terraform/resource-destroyed: {all: [check-required]}
"""


def test_proof_that_arrives_before_the_assessment_counts(house: House) -> None:
    """A check finishes on a commit before there is a pull request of it; the first verdict knows the check."""
    house.repo.commit("main", {".github/interlock.yml": PROVEN}, "Policy", author="robin")
    sha = house.repo.commit("work", DESTROY, "Change", author="robin", start="main")
    house.repo.run_workflow(".github/workflows/ci.yml", "push", sha, jobs=["test"], head_branch="work")
    house.settle()
    pull = house.repo.open_pull("work", "main", "Change", "", "robin")
    house.settle()
    first = house.server.app.store.records("acme/shop", pull=pull.number)[-1]
    assert ".github/workflows/ci.yml" in json.dumps(json.loads(first.inputs)["evidence"])
