"""`interlock agents`, and what a check run says of the agents concerned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot import render
from bot.cli import PASS, USAGE, main
from checks import OFFLINE, assess, decide, read_policy
from tests.changes import change_of
from tests.repositories import Repository

NARROW = '{"permissions": {"allow": ["Bash(npm test)"], "deny": ["Bash(terraform:*)"]}}'
WIDE = '{"permissions": {"allow": ["Bash"], "defaultMode": "acceptEdits"}}'
BY_CLAUDE = "Make it work\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"


def test_the_answers_of_a_repository_are_told_as_text_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Someone asks what the agents of a repository may do alone; the answer names the grant, and says what cannot be seen."""
    made = Repository(tmp_path / "shop")
    made.commit({".claude/settings.json": NARROW})
    assert main(["agents", "--repo", str(made.folder)]) == PASS
    text = capsys.readouterr().out
    assert "Claude Code" in text and "npm test" in text and "unknown offline" in text
    assert main(["agents", "--repo", str(made.folder), "--format", "json"]) == PASS
    assert json.loads(capsys.readouterr().out)["schema"] == "interlock/agents/1"
    assert main(["agents", "nope", "--repo", str(made.folder)]) == USAGE


def test_an_agent_that_widens_its_own_authority_weighs_more() -> None:
    """The same widening is worse when the agent itself wrote it, and the check run says what it may do already."""
    before, after = {".claude/settings.json": NARROW}, {".claude/settings.json": WIDE}
    own, other = change_of(before, after, message=BY_CLAUDE), change_of(before, after)
    policy = read_policy(own.tip)
    mine, theirs = assess(own, policy), assess(other, policy)
    assert any(effect.hazard.value == "agent.widened" for effect in mine.effects)
    assert mine.risk.score > theirs.risk.score
    assert "widens its own authority" in mine.risk.terms[2].because
    text = render.summary(decide(mine, OFFLINE, policy))
    assert "What these agents may do on the base branch" in text and "Can it edit its own limits?" in text


def test_a_change_without_agents_says_nothing_of_them() -> None:
    """No agent wrote it and none gains by it: the check run is silent on agents."""
    change = change_of({".claude/settings.json": NARROW, "a": "1"}, {".claude/settings.json": NARROW, "a": "2"})
    policy = read_policy(change.tip)
    assert "What these agents may do" not in render.summary(decide(assess(change, policy), OFFLINE, policy))
