"""`interlock review` on real repositories: what it says, its exit status, and clear words for what cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import BLOCKED, PASS, USAGE, main
from tests.repositories import Repository

ENFORCE = "version: 1\nmode: enforce\n"
DATABASE = 'resource "aws_db_instance" "main" {\n  identifier = "shop"\n  engine     = "postgres"\n}\n'
TOPIC = 'resource "aws_sns_topic" "orders" {\n  name = "orders"\n}\n'


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "shop")
    made.commit({"infra/prod/main.tf": DATABASE + TOPIC, "README.md": "# Shop\n", ".github/interlock.yml": ENFORCE}, "Start")
    return made


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["review", *words])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_harmless_change_passes(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Someone edits the README on a branch; the review says pass and exits with 0."""
    repository.branch("words")
    repository.commit({"README.md": "# The shop\n"})
    status, out, err = say(capsys, "--repo", str(repository.folder))
    assert (status, err) == (PASS, "")
    assert out.startswith(" PASS  Nothing dangerous was found")
    assert "\x1b" not in out


def test_a_destroyed_database_is_blocked(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent deletes a database; the review is blocked with 1, and its JSON says what is destroyed and what is needed."""
    repository.branch("claude/tidy")
    repository.commit({"infra/prod/main.tf": TOPIC}, "Tidy up\n\nCo-Authored-By: Claude <noreply@anthropic.com>")
    status, out, _ = say(capsys, "--repo", str(repository.folder), "--format", "json")
    report = json.loads(out)
    assert status == BLOCKED
    assert report["schema"] == "interlock/report/1"
    assert report["verdict"]["state"] == "blocked"
    (effect,) = [one for one in report["effects"] if one["rule"] == "terraform/resource-destroyed"]
    assert (effect["subject"], effect["severity"], effect["environment"]) == ("aws_db_instance.main", "critical", "production")
    assert report["attribution"]["agents"] == ["claude-code"]
    assert {one["safeguard"] for one in report["requirements"]} >= {"plan-verified"}
    assert report["risk"]["band"] in ("high", "critical")
    assert sum(term["points"] for term in report["risk"]["terms"]) == report["risk"]["score"]
    status, out, _ = say(capsys, "main", "HEAD", "--repo", str(repository.folder), "--colour", "always")
    assert status == BLOCKED and "BLOCKED" in out and "\x1b[" in out and "state-kept" in out
    status, out, _ = say(capsys, "--repo", str(repository.folder), "--format", "markdown")
    assert status == BLOCKED and "### What turns this green" in out


def test_without_a_policy_it_is_only_observed(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """No policy on the base branch: said, not stopped."""
    repository.commit({".github/interlock.yml": None}, "No policy")
    repository.branch("tidy")
    repository.commit({"infra/prod/main.tf": TOPIC})
    status, out, _ = say(capsys, "--repo", str(repository.folder))
    assert status == PASS and out.startswith(" WOULD BE BLOCKED ")


def test_a_bare_repository_and_a_worktree_give_the_same(repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bare or not, from a subdirectory or a linked worktree, the same two commits give the same report."""
    repository.branch("tidy")
    repository.commit({"infra/prod/main.tf": TOPIC})
    bare = tmp_path / "shop.git"
    repository.git("clone", "-q", "--bare", ".", str(bare))
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"), "main")
    reports = []
    for place in (repository.folder, repository.folder / "infra" / "prod", bare, tmp_path / "linked"):
        _, out, _ = say(capsys, "main", "tidy", "--repo", str(place), "--format", "json")
        report = json.loads(out)
        report["analysis"].pop("milliseconds")
        report["change"].pop("repository")
        reports.append(report)
    assert all(report == reports[0] for report in reports)


REFUSED = [
    (["--repo", "{tmp}/nowhere"], "is not a directory"),
    (["--repo", "{tmp}"], "is not inside a git repository"),
    (["nope", "--repo", "{repo}"], "BASE 'nope' is not a commit"),
    (["main", "nope", "--repo", "{repo}"], "HEAD 'nope' is not a commit"),
    (["main\nHEAD", "--repo", "{repo}"], "is not a commit"),
    (["--", "--output=x", "--repo"], "is not a commit"),
    (["main", "orphan", "--repo", "{repo}"], "no common history"),
    (["main", "main", "--repo", "{repo}", "--policy", "{tmp}/none.yml"], "cannot be read"),
]


@pytest.mark.parametrize(("words", "answer"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_reviewed_is_told_in_a_sentence(
    words: list[str],
    answer: str,
    repository: Repository,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bad input gives exit status 2 and one line that names the place, never a traceback."""
    repository.git("checkout", "-q", "--orphan", "orphan")
    repository.commit({"a": "b"}, "Alone")
    monkeypatch.chdir(repository.folder)
    status, out, err = say(capsys, *(word.format(tmp=tmp_path, repo=repository.folder) for word in words))
    assert (status, out) == (USAGE, "")
    assert answer in err and err.count("\n") == 1


def test_a_repository_without_commits_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty repository has nothing to review."""
    empty = Repository(tmp_path / "empty")
    status, _, err = say(capsys, "--repo", str(empty.folder))
    assert status == USAGE and "no commits yet" in err


def test_an_empty_change_passes(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A pull request without any change is nothing to stop."""
    status, out, err = say(capsys, "main", "main", "--repo", str(repository.folder), "--format", "json")
    report = json.loads(out)
    assert status == PASS and report["change"]["files"] == 0 and report["effects"] == [] and report["risk"]["score"] == 0
    assert "base and head are the same commit" in err and "interlock review HEAD~1" in err


@pytest.mark.parametrize("content", ["mode: [", "version: 1\nmodus: enforce", "x" * (10 << 20)], ids=["no YAML", "unknown key", "10 MB"])
def test_a_wrong_policy_file_blocks_and_is_shown(content: str, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy file that cannot be understood is shown where its author looks, and blocks."""
    repository.commit({".github/interlock.yml": content}, "Policy")
    repository.branch("words")
    repository.commit({"README.md": "# The shop\n"})
    status, out, _ = say(capsys, "--repo", str(repository.folder))
    assert status == BLOCKED and "The policy file is wrong" in out


HOSTILE = ["m_\udcff.txt", "m\n:000000 100644 0 1 A\n.txt", 'db/q"x.sql', "db/t\tx.sql", "a b/dev/null", "db/ü.sql", "-o", "\u202egpj.exe"]


def test_hostile_file_names_hide_nothing(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that are no text, hold line breaks or look like options are listed, judged and shown escaped; the files beside them too."""
    repository.branch("names")
    for name in HOSTILE:
        path = os.fsencode(repository.folder) + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - a name of bytes
        with open(path, "wb") as file:  # noqa: PTH123 - a name of bytes
            file.write(b"x\n")
    repository.commit({"infra/prod/main.tf": TOPIC})
    status, out, _ = say(capsys, "--repo", str(repository.folder), "--format", "json")
    report = json.loads(out)
    assert report["change"]["files"] == len(HOSTILE) + 1
    assert any(effect["rule"] == "terraform/resource-destroyed" for effect in report["effects"])
    status, out, _ = say(capsys, "--repo", str(repository.folder), "--all")
    assert status == BLOCKED and "\u202e" not in out and "\t" not in out


def test_a_replacement_object_does_not_change_what_is_judged(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """`refs/replace` can put another commit in a commit's place for git; not for the gate."""
    harmless = repository.git("rev-parse", "HEAD")
    repository.branch("evil")
    evil = repository.commit({"infra/prod/main.tf": TOPIC})
    repository.git("replace", evil, harmless)
    status, _, _ = say(capsys, "main", evil, "--repo", str(repository.folder))
    assert status == BLOCKED


def test_attributes_and_configuration_of_the_repository_hide_nothing(
    repository: Repository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`-diff`, external diffs and text conversions set in the repository neither hide the change nor run anything."""
    marker = tmp_path / "ran"
    repository.commit({".gitattributes": "*.tf -diff\n*.tf diff=evil\n"}, "Hide")
    repository.git("config", "diff.evil.textconv", f"touch {marker}; echo")
    repository.git("config", "diff.external", f"touch {marker}; true")
    repository.git("config", "core.fsmonitor", f"touch {marker}; true")
    repository.branch("evil")
    repository.commit({"infra/prod/main.tf": TOPIC})
    marker.unlink(missing_ok=True)
    status, _, _ = say(capsys, "--repo", str(repository.folder))
    assert status == BLOCKED and not marker.exists()


def test_the_command_starts_no_more_than_it_must(repository: Repository) -> None:
    """The first words of the command line need no server, no GitHub client and no parser that the change does not ask for."""
    repository.branch("words")
    repository.commit({"README.md": "# The shop\n"})
    code = (
        "import sys; from bot.cli import main; main(['review', '--repo', sys.argv[1]]);"
        "print([name for name in ('githubkit', 'starlette', 'uvicorn', 'sqlglot', 'pglast', 'tree_sitter', 'git') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(repository.folder)], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_older_git_gives_the_same(repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A git from before 2.36 answers each kind of question in a process of its own; the report is the same."""
    repository.branch("tidy")
    repository.commit({"infra/prod/main.tf": TOPIC})
    reports = []
    for number in ((2, 39), (2, 34)):
        monkeypatch.setattr("bot.mirror.objects.version", lambda number=number: number)
        _, out, _ = say(capsys, "--repo", str(repository.folder), "--format", "json")
        report = json.loads(out)
        report["analysis"].pop("milliseconds")
        reports.append(report)
    assert reports[0] == reports[1]
