"""Nothing is missed: what did not come in is asked for again, and what was open meanwhile is found. On a simulated clock, within GitHub's limits."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot import sweep
from bot.demo.standin import StandIn
from bot.demo.standin.state import Delivery, Pull
from bot.evidence.rules import branch_rules
from bot.github.client import Api
from bot.looks.seen import seen
from bot.mirror.mirrors import Mirrors
from bot.pipeline import Outcome, Tools
from bot.settings import Credentials
from bot.store import open_store
from bot.worker import Workers
from tests.bypass import judged as judge_files
from tests.house import House
from tests.test_limits import Clock

SHOP = "acme/shop"


def missed(house: House) -> None:
    """From here on nothing reaches the server."""
    house.app.webhook_url = "http://127.0.0.1:9/webhook"


def back(house: House) -> None:
    house.app.webhook_url = f"{house.server.url}/webhook"


def swept(house: House, later: float = 120.0) -> sweep.Swept:
    """A sweep two minutes later: what has just been missed is given time to arrive."""
    tools = house.server.app.tools
    assert tools is not None and house.server._loop is not None
    from dataclasses import replace

    moved = replace(tools, clock=lambda: time.time() + later)
    found = asyncio.run_coroutine_threadsafe(sweep.sweep(moved), house.server._loop).result(60)
    house.settle()
    return found


def test_what_was_missed_is_asked_for_again_and_not_twice(house: House) -> None:
    """The server was away: the sweep has each delivery sent again; the next one asks for none of them."""
    missed(house)
    sha = house.repo.commit("work", {"README.md": "# x\n"}, "Change", author="robin")
    pull = house.repo.open_pull("work", "main", "Change", "", "robin")
    house.repo.comment(pull, "robin", "/interlock explain")
    back(house)
    assert house.verdict(sha) is None
    first = swept(house)
    assert first.redelivered == first.missed > 0
    assert house.verdict(sha) == "success"
    assert any(one.user.login == "interlock[bot]" for one in house.repo.comments(pull))
    asked = len(house.github.calls("POST", "/attempts"))
    again = swept(house, 240.0)
    assert again.redelivered == 0 and len(house.github.calls("POST", "/attempts")) == asked


def test_what_came_in_is_not_asked_for_though_its_answer_was_lost(house: House) -> None:
    """GitHub thinks it failed, but it is stored: nothing is sent again."""
    house.propose({"README.md": "# x\n"})
    for delivery in house.github.deliveries:
        delivery.status, delivery.status_code = "timed out", 0
    assert swept(house).missed == 0


def test_a_pull_request_without_a_check_is_found_without_any_delivery(house: House) -> None:
    """No delivery tells of it, not even a failed one: the comparison of all that is open finds it."""
    missed(house)
    sha = house.repo.commit("work", {"README.md": "# x\n"}, "Change", author="robin")
    house.repo.open_pull("work", "main", "Change", "", "robin")
    back(house)
    house.github.world.deliveries.clear()
    from bot.triggers import mark_of

    store = house.server.app.store
    store.mark(mark_of(SHOP, house.installation.id, "reconcile", "all", number=house.repo.state.id))
    house.server.app.workers.wake()  # type: ignore[union-attr]
    house.settle()
    assert house.verdict(sha) == "success"


@pytest.fixture
def clock() -> Clock:
    made = Clock()
    made.now = time.time()
    return made


@pytest.fixture
def github(clock: Clock) -> Iterator[StandIn]:
    with StandIn.start(clock=clock) as made:
        made.world.wall = time.time
        yield made


def many(github: StandIn, repo: Any, number: int, start: int = 0) -> None:
    """Open pull requests, each with a commit of its own, without telling anyone."""
    base = repo.sha("main")
    lines = []
    for one in range(start, start + number):
        text = f"change {one}\n"
        lines += [
            f"commit refs/heads/w{one}",
            f"committer Robin <robin@example.com> {int(github.world.now())} +0000",
            f"data {len(text)}",
            text.rstrip("\n"),
            f"from {base}",
            f"M 100644 inline docs/{one}.md",
            f"data {len(text)}",
            text,
        ]
    subprocess.run(["git", "-C", str(repo.path), "fast-import", "--quiet", "--force"], input="\n".join(lines).encode(), check=True)
    listed = subprocess.run(
        ["git", "-C", str(repo.path), "for-each-ref", "--format=%(refname) %(objectname)"], capture_output=True, text=True, check=True
    ).stdout
    heads = dict(line.split(" ") for line in listed.splitlines())
    robin, state = github.user("robin"), repo.state
    state.refs.update(heads)
    for one in range(start, start + number):
        state.last_number += 1
        now = github.world.now()
        head = heads[f"refs/heads/w{one}"]
        state.pulls[state.last_number] = Pull(
            github.world.id(), state.last_number, state, state, f"w{one}", head, "main", base, "Change", "", robin, now, now, mergeable=True
        )


def lost(github: StandIn, app: Any, installation: int, repo: Any, number: int, hours: float) -> None:
    """Deliveries that met nobody, over some hours."""
    events = (("pull_request", "synchronize"), ("check_run", "completed"), ("check_suite", "completed"), ("workflow_run", "completed"))
    for one in range(number):
        event, action = events[one % len(events)]
        made = Delivery(github.world.id(), str(uuid.uuid4()), app, event, action, installation, repo.state.id, {})
        made.delivered_at = github.world.now() - hours * 3600 * (1 - one / number)
        made.status = "failed to connect to host"
        made.done.set()
        github.world.deliveries.append(made)


class Day:
    """A server's work on a simulated clock, with everything but git and the analysis, which cost GitHub nothing."""

    def __init__(self, github: StandIn, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.github, self.clock = github, clock
        self.app = github.app("interlock")
        self.repo = github.repository("acme", "shop", roles={"robin": "write"})
        self.repo.commit("main", {"README.md": "# Shop\n"}, "First", author="robin")
        self.repo.require_check("interlock: main", self.app)
        self.installation = github.install(self.app, "acme").id
        self.store = open_store(folder, "", clock)
        self.reviews = 0
        credentials = Credentials(self.app.id, self.app.private_key, (b"",))
        self.api = Api(credentials, github.url, clock.sleep, clock)
        self.tools = Tools(self.api, Mirrors(folder / "mirrors", 1 << 30), self.store, github.url, clock=clock)

        plain = judge_files({"README.md": "# Shop\n\nMore.\n"}, {"README.md": "# Shop\n"})

        async def judged(work: Any, tools: Tools, repository: Any, place: Any) -> Outcome:
            self.reviews += 1
            clock.now += 1.0
            await repository.token()
            await branch_rules(repository, place.base_ref)
            return Outcome(plain, hashlib.sha256(place.head.encode()).hexdigest()[:16], place.base_ref, place.head)

        monkeypatch.setattr("bot.pipeline.judge", judged)
        monkeypatch.setattr("bot.worker.begin", lambda *_: None)

    async def until_done(self) -> None:
        """Work until nothing waits; the time passes to when the next thing is due."""
        workers = Workers(self.tools, 1)
        while self.store.waiting()["waiting"]:
            work = self.store.take("one", 600)
            if work is None:
                self.clock.now += 1.0
                continue
            await workers._do(work)

    def requests(self) -> int:
        """Requests that count against the installation's hour."""
        mine = [one for one in self.github.requests if one.caller.startswith("installation")]
        return sum(one.status != 304 for one in mine)


@pytest.fixture
def day(github: StandIn, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    made = Day(github, clock, tmp_path, monkeypatch)
    yield made
    made.store.close()


def outage(day: Day, pulls: int, deliveries: int) -> float:
    """A day of outage; the seconds until all is right again."""
    started = day.clock.now

    async def main() -> None:
        try:
            await sweep.sweep(day.tools, everything=True)
            await day.until_done()
        finally:
            await day.api.close()

    many(day.github, day.repo, pulls)
    lost(day.github, day.app, day.installation, day.repo, deliveries, 24)
    asyncio.run(main())
    return day.clock.now - started


@pytest.mark.parametrize(("pulls", "deliveries"), [(30, 400), pytest.param(1000, 10_000, marks=pytest.mark.long)])
def test_a_day_of_outage_is_made_good_within_the_limit(day: Day, pulls: int, deliveries: int) -> None:
    """24 hours away, thousands of deliveries missed: every open pull request has its check again, and no request was refused."""
    seconds = outage(day, pulls, deliveries)
    for number, pull in day.repo.state.pulls.items():
        (gate,) = day.repo.check_runs(pull.head_sha, "interlock: main")
        assert gate.conclusion == "success" and seen(day.store, SHOP, number) is not None
    assert day.reviews == pulls
    assert [one.status for one in day.github.requests if one.status in (403, 429)] == []
    asked = len(day.github.calls("POST", "/attempts"))
    assert asked == 0, "all of them said what the open pull requests say as well"
    each = day.requests() / pulls
    print(f"\n{pulls} pull requests, {deliveries} deliveries: {day.requests()} requests, {each:.1f} each, {seconds / 60:.0f} minutes")
    assert each <= 8
    assert seconds <= 120 + pulls * 4.75


def test_a_stack_of_thirty_does_not_take_an_hours_requests(day: Day) -> None:
    """Thirty pull requests, each on the one before, are pushed again: an hour's requests are far from spent."""
    many(day.github, day.repo, 30)
    pulls = list(day.repo.state.pulls.values())
    for below, pull in itertools.pairwise(pulls):
        pull.base_ref = below.head_ref
    from bot.triggers import mark_of, pull_mark

    async def main() -> None:
        try:
            for _ in range(2):
                for pull in pulls:
                    day.store.mark(pull_mark(SHOP, day.installation, pull.number))
                    day.store.mark(mark_of(SHOP, day.installation, "branch", pull.head_ref, branch=pull.head_ref, default=False))
                await day.until_done()
        finally:
            await day.api.close()

    asyncio.run(main())
    kinds = Counter(one.path.rsplit("/", 1)[-1] for one in day.github.requests if one.status != 304)
    print(f"\nstack of 30, pushed twice: {day.requests()} requests, {day.reviews} reviews, {kinds.most_common(4)}")
    assert day.requests() < 2500
