"""What the documentation says is so."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from bot import cli
from bot.commands import COMMANDS
from bot.demo.picture import demonstration, svg
from bot.settings import SETTINGS
from checks.policy import PATH, read_policy
from checks.trees import MemoryTree

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def fenced(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)


def test_every_command_line_in_the_readme_parses() -> None:
    """Each `interlock …` line is understood by the command line."""
    lines = [line.split("#")[0].strip() for block in fenced("") for line in block.splitlines() if line.strip().startswith("interlock ")]
    assert len(lines) >= 6
    for line in lines:
        cli.parser().parse_args(shlex.split(line)[1:])


def test_every_make_target_in_the_readme_exists() -> None:
    """Each `make …` of the README is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_every_command_has_its_example_and_help() -> None:
    """The examples of every command parse, and help names them all."""
    for command in cli.COMMANDS:
        assert command.examples
        for example in command.examples:
            words = shlex.split(example.split("|")[-1])
            assert words[0] == "interlock"
            cli.parser().parse_args(words[1:])
    text = cli.parser().format_help()
    assert all(command.name in text for command in cli.COMMANDS)


def test_the_policy_of_the_readme_is_read_without_a_mistake() -> None:
    """The example policy is a policy."""
    (text,) = [block for block in fenced("yaml") if block.startswith("version:")]
    assert read_policy(MemoryTree({PATH: text.encode()})).mistakes == ()
    assert yaml.safe_load(text)["version"] == 1


def test_every_setting_is_documented() -> None:
    """The table of settings is the table of the code."""
    rows = re.findall(r"^\| `(INTERLOCK_[A-Z_]+)` \| (.*?) \| *(?:`(.*?)`)? *\|$", README, re.MULTILINE)
    assert [(name, text, default) for name, text, default in rows] == [(one.name, one.help, one.default) for one in SETTINGS]


def test_every_comment_command_is_documented() -> None:
    """The table of commands is the table of the code."""
    assert re.findall(r"^\| `(/interlock .*?)` \| (.*?) \|$", README, re.MULTILINE) == [(one.usage, one.does) for one in COMMANDS]


def test_the_picture_shows_what_the_engine_says() -> None:
    """The README's picture is drawn from the demonstration's report as it is today."""
    assert (ROOT / ".github" / "red-check.svg").read_text() == svg(demonstration())


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    """Links to files of the repository lead to files."""
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


def test_the_rooms_of_the_code_map_exist() -> None:
    """CONTRIBUTING names rooms that are there."""
    for room in re.findall(r"^\| `([^`]+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE):
        assert (ROOT / room).exists(), room


def test_no_file_speaks_of_this_machine() -> None:
    """The project stands without any path outside it."""
    found = subprocess.run(
        ["git", "grep", "-nIF", "-e", "/".join(("", "work", "")), "-e", "/".join(("..", "shared"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in found.stdout.splitlines() if not line.startswith("tests/fixtures/")] == []
