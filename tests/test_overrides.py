"""Overrides: who may, for what, for how long; and that they are never shown as proof."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.commands import parse
from checks.assess import assess, decide
from checks.evidence import OFFLINE, Override
from checks.policy import read_policy
from tests.bypass import POLICY, START
from tests.changes import HEAD, change_of
from tests.house import ENFORCE, FILES, TOPIC, House, build, demolish

WITH = ENFORCE + "overrides: {who: [sam, robin, '@acme/sre']}\n"
DESTROY = {"infra/prod/main.tf": TOPIC}
NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
UNTIL = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)).date().isoformat()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose policy lets sam and robin override."""
    made = build(tmp_path_factory.mktemp("house"), {**FILES, ".github/interlock.yml": WITH})
    yield made
    demolish(made)


def open_effects(house: House, pull: Any) -> list[str]:
    """The effects that still need proof."""
    report = json.loads(house.server.app.store.records("acme/shop", pull=pull.number)[0].report)
    return sorted({effect for one in report["requirements"] if one["status"] != "met" for effect in one["effects"]})


def say(house: House, pull: Any, who: str, text: str) -> str:
    """A comment, and the newest answer to it."""
    house.repo.comment(pull, who, text)
    house.settle()
    answers = [one.body for one in house.repo.comments(pull) if one.user.login == "interlock[bot]"]
    return answers[-1] if answers else ""


def ask(house: House, pull: Any, who: str, effect: str, until: str = UNTIL, reason: str = "the table was copied") -> str:
    return say(house, pull, who, f'/interlock override {effect} until={until} reason="{reason}"')


def test_an_override_is_shown_as_one_and_ends_with_the_next_push(house: House) -> None:
    """Someone else whom the policy names lets it pass: green, titled as overridden with the name and the reason; a push ends it, so does a cancellation."""
    sha, pull = house.propose(DESTROY, "one")
    for effect in open_effects(house, pull):
        assert "passes until" in ask(house, pull, "sam", effect)
    gate = house.gate(sha)
    assert gate.conclusion == "success" and gate.title.startswith("Overridden: by sam until") and "table was copied" in gate.title
    assert house.server.app.store.records("acme/shop", pull=pull.number)[0].state == "overridden"
    assert "ended" in say(house, pull, "sam", "/interlock cancel-override") and house.verdict(sha) == "failure"
    for effect in open_effects(house, pull):
        ask(house, pull, "sam", effect)
    assert house.verdict(sha) == "success"
    second = house.repo.commit("one", {"more.txt": "x\n"}, "More", author="robin")
    house.settle()
    assert house.verdict(second) == "failure"


@pytest.mark.bypass("BP-79")
@pytest.mark.parametrize("who", ["robin", "eve", "mallory", "dependabot[bot]"])
def test_nobody_overrides_their_own_work_nor_without_being_named(house: House, who: str) -> None:
    """The author is refused although the policy names them; so are readers, outsiders and robots."""
    branch = f"own-{who.strip('[]')}".replace("[", "-")
    sha, pull = house.propose(DESTROY, branch)
    for effect in open_effects(house, pull):
        ask(house, pull, who, effect)
    assert house.verdict(sha) == "failure"


def test_who_made_a_commit_may_not_override_it(house: House) -> None:
    """Sam pushed a commit to somebody else's pull request: sam is no independent judge any more."""
    house.repo.commit("shared", DESTROY, "Tidy", author="sam", start="main")
    pull = house.repo.open_pull("shared", "main", "Tidy", "", "robin")
    house.settle()
    answers = [ask(house, pull, "sam", effect) for effect in open_effects(house, pull)]
    assert answers and all("you made the commit" in answer for answer in answers)
    assert house.verdict(house.repo.sha("shared")) == "failure"


@pytest.mark.parametrize(
    "files",
    [
        {".github/interlock.yml": "version: 1\nmode: observe\n"},
        {".claude/settings.json": '{"permissions": {"allow": ["Bash(terraform:*)"], "defaultMode": "bypassPermissions"}}'},
    ],
    ids=["gate", "agent"],
)
def test_what_decides_is_never_overridden(house: House, files: dict[str, str]) -> None:
    """A change of the gate, or of what an agent may do, passes by nobody's word."""
    sha, pull = house.propose(files, f"never-{len(files)}-{next(iter(files))[1:4]}")
    needed = open_effects(house, pull)
    assert needed and all("never overridden" in ask(house, pull, "sam", effect) for effect in needed)
    assert house.verdict(sha) == "failure"


def test_a_call_that_says_too_little_is_answered(house: House) -> None:
    """No reason, a day that is over or too far, an unknown effect: told, and nothing passes."""
    sha, pull = house.propose(DESTROY, "little")
    (effect, *_) = open_effects(house, pull)
    assert "too short" in ask(house, pull, "sam", effect, reason="why not")
    assert "is over" in ask(house, pull, "sam", effect, until="2020-01-01")
    assert "30 days" in ask(house, pull, "sam", effect, until="2099-01-01")
    assert "no day" in ask(house, pull, "sam", effect, until="soon")
    assert "no effect" in ask(house, pull, "sam", "0" * 16)
    assert house.verdict(sha) == "failure"


def test_a_simulation_changes_nothing(house: House) -> None:
    """What would turn it green is told, and nothing is recorded."""
    sha, pull = house.propose(DESTROY, "what-if")
    before = len(house.server.app.store.records("acme/shop", pull=pull.number))
    assert "would be green" in say(house, pull, "eve", "/interlock simulate plan-verified state-kept")
    assert "still need" in say(house, pull, "eve", "/interlock simulate plan-verified")
    assert "no safeguard" in say(house, pull, "eve", "/interlock simulate wishes")
    assert len(house.server.app.store.records("acme/shop", pull=pull.number)) == before and house.verdict(sha) == "failure"


CHANGE = change_of({**START, POLICY: WITH}, {**START, POLICY: WITH, "infra/prod/main.tf": TOPIC})
READ = read_policy(CHANGE.tip)
ASSESSMENT = assess(CHANGE, READ)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "overridden"),
        ({"head": "c" * 40}, "blocked"),
        ({"until": NOW}, "blocked"),
        ({"until": NOW - datetime.timedelta(hours=1)}, "blocked"),
        ({"under": "mallory"}, "blocked"),
        ({"effect": "0" * 16}, "blocked"),
    ],
)
def test_an_override_is_bound_to_effect_head_time_and_policy(change: dict[str, Any], state: str) -> None:
    """On another head, after its end, when the policy no longer names who gave it, or for another effect it counts for nothing."""
    needed = {effect for demand in ASSESSMENT.demands for effect in demand.effects}
    given = tuple(
        replace(Override(effect, HEAD, NOW + datetime.timedelta(days=1), "the table was copied", "sam", "sam"), **change)
        for effect in needed
    )
    report = decide(ASSESSMENT, replace(OFFLINE, now=NOW, overrides=given), READ)
    assert report.verdict.state == state
    assert all(requirement.proof.status != "met" for requirement in report.requirements)


def test_words_in_quotes_are_one_word() -> None:
    """A reason may hold spaces; nothing else may."""
    spoken = parse('/interlock override 0123456789abcdef until=2026-12-31 reason="because it is"')
    assert spoken is not None and spoken.words == ("0123456789abcdef", "until=2026-12-31", 'reason="because it is"')
    assert parse('/interlock override x reason="a\nb"') is None and parse('/interlock override "x') is None
