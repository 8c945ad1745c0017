"""A branch's past, replayed: the same judgement as a review, once per step, kept, and told three ways."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bot.backtest import page, words
from bot.backtest.figures import figures_of, quantile
from bot.backtest.run import replay
from bot.cli import PASS, USAGE, main
from bot.mirror.change import Range
from bot.mirror.change import change as change_of_range
from bot.mirror.objects import Objects
from bot.mirror.steps import change_of, steps
from tests.repositories import Repository

TOPIC = 'resource "aws_sns_topic" "orders" {\n  name = "orders"\n}\n'
DATABASE = 'resource "aws_db_instance" "main" {\n  identifier = "shop"\n}\n'
HARSH = "version: 1\nmode: enforce\n"
NASTY = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    """Six steps after the first: words, code, a lost database, a merge of two commits, a move, a title that is markup."""
    made = Repository(tmp_path / "shop")
    made.commit({"infra/prod/main.tf": DATABASE + TOPIC, "README.md": "# Shop\n", "src/a.py": "A = 1\n"}, "Start")
    made.commit({"README.md": "# The shop\n"}, "Words")
    made.commit({"src/a.py": "A = 2\n"}, "Code")
    made.commit({"infra/prod/main.tf": TOPIC}, "Tidy up\n\nCo-Authored-By: Claude <noreply@anthropic.com>")
    made.branch("claude/more")
    made.commit({"src/b.py": "B = 1\n"}, "B")
    made.commit({"src/c.py": "C = 1\n"}, "C")
    made.git("checkout", "-q", "main")
    made.git("merge", "-q", "--no-ff", "-m", "Merge pull request #1 from acme/claude/more", "claude/more")
    made.commit({"src/a.py": None, "lib/a.py": "A = 2\n"}, "Move")
    made.commit({"README.md": "# Shop!\n"}, NASTY)
    return made


def test_a_step_is_the_change_that_git_lists(shop: Repository) -> None:
    """Comparing trees here gives the same files, commits and renames as git's own list."""
    with Objects(shop.folder / ".git") as objects:
        history = steps(objects, 100)
        assert len(history) == 6
        for step in history:
            ours, theirs = change_of(objects, step, "shop"), change_of_range(objects, Range(step.base, step.base, step.head), "shop")
            assert (ours.files, set(ours.commits)) == (theirs.files, set(theirs.commits))
        assert next(change_of(objects, step, "shop").branch for step in history if step.others) == "claude/more"


def test_what_would_have_been_stopped_is_told(shop: Repository, tmp_path: Path) -> None:
    """Of the six steps only the lost database waits for a proof; it is the agent's."""
    replayed = replay(shop.folder, cache=tmp_path / "kept")
    figures = figures_of(replayed)
    assert (figures.steps, figures.stopped) == (6, 1)
    (row,) = [row for row in replayed.rows if row.stopped]
    assert row.title == "Tidy up" and row.agents == ("claude-code",) and "terraform/resource-destroyed" in row.why
    assert row.score == max(one.score for one in replayed.rows)
    assert sum(steps for steps, _ in figures.histogram) == sum(merges for _, merges, _ in figures.weeks) == 6
    assert replayed.worst is not None and replayed.worst.assessment.risk.score == row.score


def test_the_second_run_judges_nothing_again(shop: Repository, tmp_path: Path) -> None:
    """Rows are kept by base, head, policy and engine; a half-written line is made again; a new step is added."""
    first = replay(shop.folder, cache=tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    second = replay(shop.folder, cache=tmp_path / "kept")
    assert (second.rows, second.kept) == (first.rows, 6)
    file.write_text(file.read_text()[:-30])
    assert replay(shop.folder, cache=tmp_path / "kept").kept == 5
    shop.commit({"README.md": "# More\n"}, "More")
    third = replay(shop.folder, cache=tmp_path / "kept")
    assert (third.kept, len(third.rows)) == (5 + 1, 7)


def test_a_proposed_policy_is_held_against_the_present_one(shop: Repository, tmp_path: Path) -> None:
    """A policy that asks nothing for lost data sets the step free, and the replay says so."""
    proposed = tmp_path / "proposed.yml"
    proposed.write_text(
        "version: 1\nmode: observe\nrequirements:\n  terraform/resource-destroyed: []\n  data.destroyed: []\n  resource.destroyed: []\n"
    )
    figures = figures_of(replay(shop.folder, proposed=proposed, cache=tmp_path / "kept"))
    assert (len(figures.newly_free), len(figures.newly_stopped), figures.stopped) == (1, 0, 1)


def test_the_page_stands_alone_and_nothing_from_outside_runs(shop: Repository, tmp_path: Path) -> None:
    """One file: nothing is fetched, its policy allows only its own style and script, and a title that is markup stays text."""
    text = page.as_html(replay(shop.folder, cache=tmp_path / "kept"))
    assert NASTY not in text and "&lt;/script&gt;" in text
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:|//)|@import|url\(', text)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", text, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"style", "script"}
    for kind, body in blocks:
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy, kind
    assert "unsafe" not in policy and not re.search(r"<[^>]+\s(?:style|on\w+)=", text)
    assert 'name="viewport"' in text and "prefers-color-scheme:dark" in text and "aria-labelledby" in text
    rows = text.partition("<h2>Every step</h2>")[2]
    assert rows.count("<tr") == 7
    HTMLParser().feed(text)


def test_the_command_tells_it_three_ways(shop: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text to the terminal, JSON with every step, HTML into a file; a wrong number is refused with a sentence."""
    common = ["backtest", "--repo", str(shop.folder), "--cache", str(tmp_path / "kept")]
    assert main(common) == PASS
    out, err = capsys.readouterr()
    assert "Would have waited for a proof: 1 of 6" in out and err == "" and "\x1b" not in out
    assert main([*common, "--last", "3", "--format", "json"]) == PASS
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "interlock/backtest/1" and len(report["rows"]) == report["steps"] == 3 == len(report["scores"])
    assert main([*common, "--format", "html", "--output", str(tmp_path / "out.html")]) == PASS
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    assert main([*common, "--last", "0"]) == USAGE
    assert "from 1 on" in capsys.readouterr().err


def test_a_repository_without_a_past_is_told_so(tmp_path: Path) -> None:
    """One commit has no step; the reports say it in words."""
    made = Repository(tmp_path / "new")
    made.commit({"a": "1"}, "Start")
    replayed = replay(made.folder)
    assert "no step to replay" in words.as_text(replayed) and "no step to replay" in page.as_html(replayed)


def test_quantiles_are_scores_that_occurred() -> None:
    """The least score that so many percent do not exceed."""
    assert [quantile([1, 2, 3, 4], percent) for percent in (50, 75, 99)] == [2, 3, 4]
    assert quantile([], 50) == 0
