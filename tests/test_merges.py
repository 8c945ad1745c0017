"""Merges that went round the gate, exceptions that are told, verdicts that end by themselves, and teams that may override."""

from __future__ import annotations

import asyncio
import datetime
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot import due, merges
from bot.doctor import doctor
from bot.github.client import Api
from bot.store import open_store
from checks.assess import assess, decide
from checks.evidence import Evidence
from checks.policy import read_policy
from checks.trees import MemoryTree
from tests.changes import change_of
from tests.house import DATABASE, ENFORCE, FILES, GATE, TOPIC, House, build, demolish

DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}
DAY = datetime.datetime.now(datetime.UTC).date()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house of an organisation with two teams, of which one may override."""
    made = build(tmp_path_factory.mktemp("house"), {**FILES, ".github/interlock.yml": ENFORCE + "overrides: {who: ['@acme/sre']}\n"})
    made.github.team("acme", "sre", {"sam": "active", "eve": "pending"})
    made.github.team("acme", "web", {"mallory": "active"})
    yield made
    demolish(made)


def test_a_merge_that_went_round_is_told_in_the_next_check_and_by_the_doctor(house: House) -> None:
    """An administrator merges while the gate is red: the next check run says which, and what share nothing but an approval cleared."""
    house.repo.require_check(GATE, house.app)
    _, pull = house.propose(DESTROY, "round")
    house.repo.merge(pull, "sam", bypass=True)
    house.settle()
    _, fine = house.propose({"README.md": "# Shop 2\n"}, "fine")
    house.repo.merge(fine, "sam")
    house.settle()
    sha, last = house.propose({"README.md": "# Shop 3\n"}, "last")
    summary = house.gate(sha).summary
    assert re.search(rf"Of the 2 merges seen here in the last 90 days 1 went round this check \(.*{pull.number}\)", summary)
    assert "1 of 1 hazardous merges (100 %) were cleared by an approval at most" in summary
    text, good = asyncio.run(doctor(house.server.app.settings, "acme/shop", "main"))
    assert not good and f"NO   none of the 2 merges of the last 90 days went round the gate: #{pull.number}" in text
    assert "NO   0 of 1 hazardous merges were proven" in text
    house.repo.close(last, "robin")
    house.repo.commit("main", {"infra/prod/main.tf": DATABASE + TOPIC}, "Restore", author="robin")
    house.settle()


def test_what_is_long_ago_or_of_another_branch_does_not_count(tmp_path: Path) -> None:
    """Ninety days, one branch; a merge nobody judged went round; written down once, however often it is seen."""
    store = open_store(tmp_path)
    pull = {"head": {"sha": "a" * 40}, "base": {"ref": "main"}, "merged_at": "2026-11-01T00:00:00Z"}
    when = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC).timestamp()
    merges.write_down(store, "acme/shop", 1, pull, 0.0)
    merges.write_down(store, "acme/shop", 1, {**pull, "base": {"ref": "dev"}}, 0.0)
    merges.write_down(store, "acme/shop2", 2, pull, 0.0)
    assert merges.of_branch(store, "acme/shop", "main", when + 89 * 86400) == merges.Merges(1, (1,), 0, 0)
    for base, now in (("main", when + 91 * 86400), ("dev", when)):
        assert merges.sentences(merges.of_branch(store, "acme/shop", base, now)) == ()
    store.close()


def excepted(until: datetime.date) -> tuple[str, str]:
    """(the effect of the destroyed database, a policy that excepts it until a day)."""
    change = change_of({"infra/prod/main.tf": DATABASE + TOPIC}, {"infra/prod/main.tf": TOPIC})
    (effect,) = [one for one in assess(change, read_policy(MemoryTree({}))).effects if one.rule == "terraform/resource-destroyed"]
    return effect.id, f"exceptions: [{{effect: {effect.id}, reason: nobody reads this copy, expires: {until}}}]\n"


def test_an_exception_is_told_wherever_a_report_is_read() -> None:
    """JSON, and the check run: which effect passes, until when and why; one that is over is neither told nor counts."""
    from bot.render import summary
    from bot.report_json import as_json

    change = change_of({"infra/prod/main.tf": DATABASE + TOPIC}, {"infra/prod/main.tf": TOPIC})
    effect, text = excepted(DAY)
    policy = read_policy(MemoryTree({".github/interlock.yml": (ENFORCE + text).encode()}))
    now = datetime.datetime.combine(DAY, datetime.time(12), datetime.UTC)
    report = decide(assess(change, policy), Evidence(connected=True, now=now), policy)
    assert as_json(report)["exceptions"] == [{"effect": effect, "reason": "nobody reads this copy", "expires": DAY.isoformat()}]
    assert f"`{effect}` until {DAY}: nobody reads this copy" in summary(report)
    over = decide(assess(change, policy), Evidence(connected=True, now=now + datetime.timedelta(days=1)), policy)
    assert over.exceptions == () and over.verdict.state.value == "blocked"
    end = due.next_end(report, Evidence(connected=True, now=now), policy)
    assert end is not None and now.timestamp() < end <= now.timestamp() + 86400
    assert due.next_end(over, Evidence(connected=True, now=now), policy) is None


def test_a_verdict_ends_with_the_exception_it_rests_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Green today by an exception; nothing happens on GitHub, the day passes, and the gate is red."""
    _, text = excepted(DAY)
    base = "excepted"
    house.repo.commit(base, {".github/interlock.yml": ENFORCE + text, "infra/prod/main.tf": DATABASE + TOPIC}, "Policy", author="robin")
    sha, _ = house.propose(DESTROY, "rests", base=base)
    assert house.verdict(sha, f"interlock: {base}") == "success"
    tools: Any = house.server.app.tools
    true = tools.clock
    object.__setattr__(tools, "clock", lambda: true() + 2 * 86400)
    try:
        patience = time.monotonic() + 30
        while house.verdict(sha, f"interlock: {base}") != "failure" and time.monotonic() < patience:
            house.server.app.workers.wake()
            house.settle()
    finally:
        object.__setattr__(tools, "clock", true)
    assert house.verdict(sha, f"interlock: {base}") == "failure"


def test_work_that_is_due_is_marked_once(tmp_path: Path) -> None:
    """Before its time nothing, at its time once, and never after it was taken back."""
    store = open_store(tmp_path)
    due.write_down(store, "acme/shop", 3, 7, 100.0)
    due.write_down(store, "acme/shop", 4, 7, 100.0)
    due.write_down(store, "acme/shop", 4, 7, None)
    assert [due.mark(store, now) for now in (99.0, 101.0, 102.0)] == [0, 1, 0]
    work = store.take("me", 10.0)
    assert work is not None and work.key == "acme/shop/pull/3" and work.payload == {"number": 3} and store.take("me", 10.0) is None
    store.close()


@pytest.mark.parametrize(("who", "may"), [("sam", True), ("eve", False), ("mallory", False), ("robin", False)])
def test_a_team_named_by_the_policy_is_asked_for_at_that_moment(house: House, who: str, may: bool) -> None:
    """Active members of exactly that team; not those invited, not another team's, not the author."""
    sha, pull = house.propose({**DESTROY, f"notes/{who}.txt": "x\n"}, f"team-{who}")
    report = json.loads(house.server.app.store.records("acme/shop", pull=pull.number)[0].report)
    for effect in sorted({one for row in report["requirements"] if row["status"] != "met" for one in row["effects"]}):
        house.repo.comment(pull, who, f'/interlock override {effect} until={DAY + datetime.timedelta(days=3)} reason="it was copied away"')
        house.settle()
    assert house.verdict(sha) == ("success" if may else "failure")
    if may:
        # Who leaves the team keeps nothing: the next push is not theirs to let pass.
        house.github.team("acme", "sre", {"eve": "pending"})
        tools: Any = house.server.app.tools
        api: Api = tools.api
        assert asyncio.run(_authority(api, house)) is None
        house.github.team("acme", "sre", {"sam": "active", "eve": "pending"})
    house.repo.close(pull, "robin")
    house.settle()


async def _authority(api: Api, house: House) -> str | None:
    from bot.commands.overrides import authority
    from bot.settings import Credentials

    fresh = Api(Credentials(house.app.id, house.app.private_key, (b"x" * 32,)), house.github.url)
    try:
        policy = read_policy(MemoryTree({".github/interlock.yml": (ENFORCE + "overrides: {who: ['@acme/sre']}\n").encode()}))
        return await authority(fresh.installation(house.installation.id, "acme/shop"), "sam", policy)
    finally:
        await fresh.close()
