"""The limits of GitHub: whoever is asked to wait waits, writes keep their pace, and what did not change costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from bot.demo.standin import Repo, StandIn
from bot.demo.standin.state import App
from bot.github.client import Api, RateLimited, Repository
from bot.github.limits import BARE, BURST, LONGEST, Budget
from bot.settings import Credentials


class Clock:
    """A time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def github(clock: Clock) -> Iterator[StandIn]:
    with StandIn.start(clock=clock) as made:
        made.world.wall = time.time
        yield made


class Caller:
    """One installation's door to a repository, on a simulated clock."""

    def __init__(self, github: StandIn, clock: Clock, app: App, repo: Repo, installation: int) -> None:
        self.github, self.clock, self.app, self.repo, self.installation = github, clock, app, repo, installation

    def run(self, act: Callable[[Repository], Awaitable[Any]], write_seconds: float = 1.0) -> Any:
        async def main() -> Any:
            api = Api(Credentials(self.app.id, self.app.private_key, (b"",)), self.github.url, self.clock.sleep, self.clock, write_seconds)
            try:
                return await act(api.installation(self.installation, "acme/shop"))
            finally:
                await api.close()

        return asyncio.run(main())


@pytest.fixture
def caller(github: StandIn, clock: Clock) -> Caller:
    app = github.app("interlock")
    repo = github.repository("acme", "shop")
    repo.commit("main", {"a": "b"}, "First")
    return Caller(github, clock, app, repo, github.install(app, "acme").id)


def test_what_did_not_change_is_asked_for_with_its_etag_and_costs_nothing(caller: Caller) -> None:
    """The second time the same thing is read GitHub answers 304, which does not count; a change is seen at once."""

    async def act(repository: Repository) -> list[Any]:
        answers = [await repository.ask("repository") for _ in range(3)]
        caller.repo.state.default_branch = "trunk"
        return [*answers, await repository.ask("repository")]

    answers = caller.run(act)
    assert [one["default_branch"] for one in answers] == ["main"] * 3 + ["trunk"]
    read = [one for one in caller.github.calls("GET") if one.path == "/repos/acme/shop"]
    assert [one.status for one in read] == [200, 304, 304, 200]
    assert next(iter(caller.github.world.installations.values())).used == 2


@pytest.mark.parametrize("kind", ["secondary-limit", "429"])
def test_a_short_retry_after_is_waited_for(caller: Caller, kind: str) -> None:
    """GitHub says `Retry-After: 1`: exactly that is waited, and the request is sent again."""
    caller.github.fault("GET", "/repos/acme/shop", kind)
    assert caller.run(lambda repository: repository.ask("repository"))["name"] == "shop"
    assert caller.clock.waits == [1.0]


@pytest.mark.parametrize("status", [403, 429])
def test_a_long_retry_after_gives_the_work_back_and_closes_the_installation(caller: Caller, status: int) -> None:
    """`Retry-After: 90`: the work is given back for so long, and nothing else is asked for the installation meanwhile."""
    caller.github.fault("GET", "/repos/acme/shop", f"retry-after-{status}")

    async def act(repository: Repository) -> list[RateLimited]:
        found = []
        for call in ("repository", "pulls"):
            with pytest.raises(RateLimited) as limited:
                await repository.ask(call)
            found.append(limited.value)
        return found

    first, second = caller.run(act)
    assert (first.status, first.seconds) == (status, 90.0)
    assert second.status == 0 and second.seconds == 90.0
    assert not caller.github.calls("GET", "/pulls"), "nothing was sent while GitHub asked to wait"


def test_another_installation_is_not_held_up(caller: Caller) -> None:
    """What one installation is told is no concern of another."""
    caller.github.repository("globex", "site").commit("main", {"a": "b"}, "First")
    other = caller.github.install(caller.app, "globex").id
    caller.github.fault("GET", "/repos/acme/shop", "retry-after-403")

    async def act(repository: Repository) -> Any:
        with pytest.raises(RateLimited):
            await repository.ask("repository")
        return await repository._api.installation(other, "globex/site").ask("repository")

    assert caller.run(act)["name"] == "site"


def test_the_primary_limit_ends_with_its_hour(caller: Caller) -> None:
    """With nothing left the work is given back until GitHub's own moment; then it goes on."""
    installation = next(iter(caller.github.world.installations.values()))

    async def act(repository: Repository) -> Any:
        await repository.ask("repository")
        installation.used = 4997
        await repository.ask("pulls")
        before = len(caller.github.requests)
        with pytest.raises(RateLimited) as limited:
            await repository.ask("pulls", params={"page": 2})
        assert len(caller.github.requests) == before, "nothing is sent that would be refused"
        assert 0 < limited.value.seconds <= 3600
        caller.clock.now += limited.value.seconds
        return await repository.ask("repository")

    assert caller.run(act)["name"] == "shop"


def test_writes_keep_their_pace(caller: Caller) -> None:
    """Of ten writes the first few go at once, the others a second apart; reads do not wait."""
    sha = caller.repo.sha("main")
    started = caller.clock.now

    async def act(repository: Repository) -> None:
        for number in range(10):
            await repository.ask("check-create", body={"name": f"n{number}", "head_sha": sha, "status": "in_progress"})
            await repository.ask("repository")

    caller.run(act)
    assert caller.clock.now - started == pytest.approx(10 - BURST)
    assert all(wait <= 1.0 for wait in caller.clock.waits)


def test_patience_without_a_number_doubles_and_is_bounded() -> None:
    """A secondary limit that does not say how long: a minute, two, four, at most a quarter of an hour; an answer ends the series."""
    budget = Budget()
    asked = [budget.refused(403, "You have exceeded a secondary rate limit", {}, 0.0) for _ in range(6)]
    assert asked == [BARE, 2 * BARE, 4 * BARE, 8 * BARE, LONGEST, LONGEST]
    budget.answered()
    assert budget.refused(429, "", {}, 0.0) == BARE


def test_a_refusal_for_another_reason_is_none_of_limits() -> None:
    """A permission that is not granted is 403 too, and closes nothing."""
    budget = Budget()
    assert budget.refused(403, "Resource not accessible by integration", {"x-ratelimit-remaining": "4000"}, 0.0) is None
    assert budget.wait(0.0) == 0.0


def test_a_server_without_limits_is_never_waited_for() -> None:
    """GitHub Enterprise Server sends no such headers by default."""
    budget = Budget()
    for _ in range(10_000):
        budget.told({})
        assert budget.wait(0.0) == 0.0
