"""Commands by button, and the bounds of all commands: who may, once per state, for the head that was shown, and never a flood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.commands import BURST
from bot.store import open_store
from tests.house import AGENT, ENFORCE, TOPIC, House

DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}
SHOP = "acme/shop"


def answers(house: House, pull: Any) -> list[str]:
    """What was answered, without the one comment that is kept up to date."""
    return [one.body for one in house.repo.comments(pull) if one.user.login == "interlock[bot]" and "<!-- interlock -->" not in one.body]


def test_the_buttons_do_what_the_commands_do(house: House) -> None:
    """Explain shows the sum, the other one says what proof would do; both answer in the conversation."""
    sha, pull = house.propose(DESTROY)
    house.repo.press(house.gate(sha), "explain", "eve")
    house.repo.press(house.gate(sha), "simulate", "eve")
    house.settle()
    texts = answers(house, pull)
    assert any("| **score** |" in text for text in texts)
    assert any("proven, the gate would" in text for text in texts)


def test_a_button_asks_who_may(house: House) -> None:
    """Who pressed it is no proof of a right: the permission is looked up."""
    sha, pull = house.propose(DESTROY)
    house.repo.press(house.gate(sha), "explain", "mallory")
    house.settle()
    assert answers(house, pull) == []


def test_the_same_question_about_the_same_state_is_answered_once(house: House) -> None:
    """Asked three times, by comment and by button: one answer; after a push there is another one."""
    sha, pull = house.propose(DESTROY)
    house.repo.comment(pull, "eve", "/interlock explain")
    house.repo.comment(pull, "robin", "/interlock explain")
    house.repo.press(house.gate(sha), "explain", "sam")
    house.settle()
    assert len(answers(house, pull)) == 1
    house.repo.commit("work", {"infra/prod/main.tf": None}, "All of it", author="robin")
    house.settle()
    house.repo.comment(pull, "eve", "/interlock explain")
    house.settle()
    assert len(answers(house, pull)) == 2


def test_a_flood_is_bounded(house: House) -> None:
    """Forty commands of one person: a handful is looked at, the others cost not even a request."""
    _, pull = house.propose(DESTROY)
    before = len(house.github.requests)
    for _ in range(40):
        house.repo.comment(pull, "mallory", "/interlock explain")
    house.settle()
    assert len(house.github.requests) - before <= BURST * 4


OVERRIDES = ENFORCE + "overrides: {who: [sam]}\n"


def effects(house: House, pull: Any) -> list[str]:
    report = json.loads(house.server.app.store.records(SHOP, pull=pull.number)[0].report)
    return [one["id"] for one in report["effects"]]


def test_an_override_is_for_the_head_that_was_shown(house: House) -> None:
    """Written before the present head's verdict stood: whoever wrote it has not seen what it would let pass."""
    house.repo.commit("main", {".github/interlock.yml": OVERRIDES}, "Let Sam", author="sam")
    sha, pull = house.propose(DESTROY)
    (effect, *_) = effects(house, pull)
    store = house.server.app.store
    made = store.records(SHOP, pull=pull.number, head=sha)[-1].made
    house.github.world.clock = lambda: made - 60
    house.repo.comment(pull, "sam", f'/interlock override {effect} until=2026-12-10 reason="the table was copied by hand"')
    house.settle()
    assert any("newer head" in text for text in answers(house, pull))
    assert house.verdict(sha) == "failure"


def test_an_app_does_not_override_in_someones_name(house: House) -> None:
    """An agent with a person's token writes the command: the person is told to write it themself."""
    house.repo.commit("main", {".github/interlock.yml": OVERRIDES}, "Let Sam", author="sam")
    sha, pull = house.propose(DESTROY, "claude/tidy", "Tidy" + AGENT)
    (effect, *_) = effects(house, pull)
    other = house.github.app("writer")
    with house.github.world.lock:
        from bot.demo.standin import deeds

        text = f'/interlock override {effect} until=2026-12-10 reason="the table was copied by hand"'
        deeds.comment(house.github.world, pull, house.github.world.user("sam"), text, other)
    house.settle()
    assert any("in your name" in text for text in answers(house, pull))
    assert house.verdict(sha) == "failure"


def test_records_are_verified_and_exported(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The chain closes, also after records have lost their texts to age; a changed record is named. Each is a line of JSON."""
    house.propose(DESTROY, "one")
    house.propose({"README.md": "# x\n"}, "two")
    folder: Path = house.server.app.settings.data
    assert main(["records", "verify", "--data", str(folder)]) == 0
    assert "each as it was written" in capsys.readouterr().out
    assert main(["records", "export", "--data", str(folder)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) >= 2 and lines[0]["report"]["schema"] == "interlock/report/1"
    store = open_store(folder)
    try:
        assert store.forget_records(lines[-1]["made"] + 1) == len(lines)
        assert main(["records", "verify", "--data", str(folder)]) == 0
        store._db.execute("update records set state = 'pass', digest = 'sha256:0' where id = ?", (lines[0]["id"],))  # type: ignore[attr-defined]
    finally:
        store.close()
    assert main(["records", "verify", "--data", str(folder)]) == 1
    assert lines[0]["id"] in capsys.readouterr().out
