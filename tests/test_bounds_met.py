"""A file that goes beyond our own bounds is told, even where a detector makes nothing of it: nobody hides behind depth or size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.effects import effects_of
from tests.changes import _files, change_of

FIXTURES = Path(__file__).parent / "fixtures" / "detectors"

DEEP = "a: " + "[" * 120 + "]" * 120 + "\n"
COMPOSE = "services:\n  web:\n    image: shop@sha256:" + "a" * 64 + "\n"


@pytest.mark.parametrize("path", ["docker-compose.yml", ".github/workflows/x.yml"])
def test_a_file_nested_past_our_bound_is_not_analysed(path: str) -> None:
    """An agent adds a file, or mends one, so that it is too deep to read: that is an effect, not silence."""
    for before in ({}, {path: COMPOSE}):
        found = effects_of(change_of(before, {path: COMPOSE.replace("image", "privileged: true\n    image") + DEEP}))
        assert any(effect.rule == "engine/not-analysed" and effect.path == path for effect in found), path


def told(before: str | bytes, after: str | bytes | None, path: str = "docker-compose.yml") -> list[str]:
    """The severities of what is told not to have been read."""
    found = effects_of(change_of({path: before}, {} if after is None else {path: after}))
    return [effect.severity.value for effect in found if effect.rule == "engine/not-analysed" and effect.path == path]


def test_a_file_that_was_as_deep_before_is_told_mildly_where_its_words_change() -> None:
    """What could not be read at base either is no hiding place: what changes in it is told, in one low effect; comments and spaces are not."""
    assert told(COMPOSE + DEEP, COMPOSE + DEEP + "b: 1\n") == ["low"]
    assert told(COMPOSE + DEEP, COMPOSE + "# as deep as before\n" + DEEP + "\n") == []


def test_what_can_be_read_again_is_told_mildly() -> None:
    """Nobody knows what an unreadable file took away when it is mended or removed; that is said once."""
    assert told("services: [\n", COMPOSE) == ["low"]
    assert told("services: [\n", None) == ["low"]


def test_it_is_told_each_time() -> None:
    """A file that some reader keeps in memory is told the second time as well."""
    broken = 'resource "aws_sns_topic" "a" {\n  name = "x"\n}\n\0'
    first = told(broken, broken.replace("x", "y").replace("\0", ""), "infra/prod/main.tf")
    assert first and told(broken, broken.replace("x", "y").replace("\0", ""), "infra/prod/main.tf") == first


def _broken() -> Iterator[tuple[str, str, str]]:
    """Every head file of a case in which something is found: (detector, case, path)."""
    for case in sorted(FIXTURES.glob("*/*")):
        base, head = _files(case / "base"), _files(case / "head")
        for path in sorted(
            {effect.path for effect in effects_of(change_of(base, head), case.parent.name) if not effect.hazard.harmless} & set(head)
        ):
            if path in base:
                yield case.parent.name, case.name, path


TAKEN_FOR_NOTHING = {
    "agent_permissions": "agents take broken front matter for none",
    "app_guards": "a program that does not parse does not run",
    "scripts": "a shell stops at it",
    "hidden": "looks at names, modes and bytes, and does not parse",
}
"""Detectors whose file, once broken, is nothing to the tool it is for."""


def test_no_dangerous_file_becomes_silent_by_breaking_it() -> None:
    """For each case in which a detector finds something: put rubbish before it, or bytes that are no text behind it, and it is still found or told."""
    silent = []
    for detector, case, path in _broken():
        base, head = _files(FIXTURES / detector / case / "base"), _files(FIXTURES / detector / case / "head")
        content, *mode = head[path] if isinstance(head[path], tuple) else (head[path],)
        for name, broken in (("nul", b"\0" + content), ("bytes", content + b"\n\xff\xfe\xfd\n"), ("rubbish", b"}}}{{{ '\"\n" + content)):
            after = {**head, path: (broken, *mode) if mode else broken}
            found = [effect for effect in effects_of(change_of(base, after)) if not effect.hazard.harmless]
            usual = {effect.rule for effect in effects_of(change_of(base, head), detector) if effect.path == path}
            if not any(effect.path == path for effect in found) and not usual <= {effect.rule for effect in found}:
                silent.append((detector, case, path, name))
    assert not [row for row in silent if row[0] not in TAKEN_FOR_NOTHING]
