"""The values that everything is told in: what a file became, which lines are new, and what an effect's id hangs on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.model import Analysis, Entry, FileChange, NotAnalysed, Severity, Unreadable
from checks.trees import DIRECTORY, EXECUTABLE, FILE, LINK, SUBMODULE
from tests.changes import change_of
from tests.test_evidence import EFFECT

LOW, MODERATE, HIGH, CRITICAL = Severity


@pytest.mark.parametrize(
    ("severity", "by", "expected"),
    [(HIGH, -1, MODERATE), (HIGH, 1, CRITICAL), (LOW, -1, LOW), (LOW, 1, MODERATE), (CRITICAL, 1, CRITICAL), (CRITICAL, -9, LOW), (LOW, 9, CRITICAL)],
)  # fmt: skip
def test_a_severity_steps_within_its_list(severity: Severity, by: int, expected: Severity) -> None:
    """One step is one word; the mildest and the worst stay what they are."""
    assert severity.step(by) is expected and severity.step(0) is severity


@pytest.mark.parametrize(("mode", "kind"), [(FILE, "file"), (EXECUTABLE, "file"), (LINK, "link"), (SUBMODULE, "submodule"), (DIRECTORY, "directory")])  # fmt: skip
def test_an_entry_is_one_kind_of_thing(mode: int, kind: str) -> None:
    """As git's mode says; a program is a file."""
    entry = Entry(mode, "0" * 40)
    assert [name for name in ("file", "link", "submodule", "directory") if getattr(entry, f"is_{name}")] == [kind]


def test_what_became_of_a_file() -> None:
    """Added, deleted, renamed or changed; its content on both sides, nothing where it did not stand."""
    before = {"changed": "a\n", "gone": "b\n", "old": "c\nd\ne\nf\n"}
    change = change_of(before, {"changed": "x\n", "new": "y\n", "moved": "c\nd\ne\nf\n"})
    found = {file.path: file for file in change.files}
    assert {path: (file.added, file.deleted, file.renamed, file.base_path) for path, file in found.items()} == {
        "changed": (False, False, False, "changed"),
        "gone": (False, True, False, "gone"),
        "new": (True, False, False, "new"),
        "moved": (False, False, True, "old"),
    }
    assert {path: (change.base_bytes(file), change.head_bytes(file)) for path, file in found.items()} == {
        "changed": (b"a\n", b"x\n"),
        "gone": (b"b\n", None),
        "new": (None, b"y\n"),
        "moved": (b"c\nd\ne\nf\n", b"c\nd\ne\nf\n"),
    }


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        ("a\nb\n", "a\nc\n", [(2, b"b")], [(2, b"c")]),
        ("a\nb\n", "b\na\n", [], []),
        ("a\n", "x\na\ny\n", [], [(1, b"x"), (3, b"y")]),
        ("x\na\ny\n", "a\n", [(1, b"x"), (3, b"y")], []),
        (None, "a\nb", [], [(1, b"a"), (2, b"b")]),
        ("a\nb", None, [(1, b"a"), (2, b"b")], []),
    ],
)
def test_which_lines_stand_on_one_side_alone(
    before: str | None, after: str | None, removed: list[tuple[int, bytes]], added: list[tuple[int, bytes]]
) -> None:
    """With their numbers from one on; a line that moved is on both."""
    change = change_of({"a": before} if before else {}, {"a": after} if after else {})
    (file,) = change.files
    lines = change.lines(file)
    assert ([one for one in lines.removed if one[1]], [one for one in lines.added if one[1]]) == (removed, added)
    assert lines is change.lines(file), "worked out once"


def test_an_effect_keeps_its_id() -> None:
    """Policies and overrides name it: it hangs on what happens to what, and is the same in every version."""
    one = replace(
        EFFECT, rule="terraform/resource-destroyed", path="infra/prod/main.tf", subject="aws_db_instance.main", before=None, after=None
    )
    assert one.id == "2b10b219613d041b"
    assert replace(one, before="a", after="b").id == "e1eff79cf0b23c1d"
    same = replace(one, severity=LOW, line=99, message="x", facts=(), environment=None)
    assert same.id == one.id == replace(one, before="", after="").id
    others = [{"rule": "x/y"}, {"path": "x"}, {"subject": "x"}, {"before": "x"}, {"after": "x"}]
    assert len({one.id, *(replace(one, **other).id for other in others)}) == 6  # type: ignore[arg-type]


def test_what_could_not_be_read_is_told_with_its_first_content() -> None:
    """Whoever met it first says which; and with anything unread an analysis is not whole."""
    found = Unreadable("a", "why").of(b"first").of(b"second")
    assert found.data == b"first"
    assert Analysis(1, 1, (), 0).complete is True and Analysis(1, 0, (NotAnalysed("a", "why"),), 0).complete is False


def test_a_file_that_becomes_a_link_is_a_file_no_more() -> None:
    """It stands in the same place and has no content there."""
    entry = Entry(LINK, "0" * 40)
    assert not FileChange("a", Entry(FILE, "1" * 40), entry).deleted and not entry.is_file
