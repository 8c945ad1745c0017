"""The test cases of all test files of a change, on both sides, each file read once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from checks.model import Change, FileChange, Unreadable
from checks.places import Place, place_of
from checks.readers.testcases import EMPTY, Case, Suite, is_test_file, suite

_RUST = (b"#[test]", b"::test]", b"::test(", b"#[rstest")


@dataclass(frozen=True, slots=True)
class TestFile:
    """A changed file with its cases before and after; `unread` says why it could not be read."""

    __test__ = False

    file: FileChange
    old: Suite
    new: Suite
    unread: Unreadable | None = None


def holds_tests(path: str) -> bool:
    """Whether `path` is one of the project's own test files (not vendored, not material for tests)."""
    if place_of(path) is Place.VENDORED or set(path.lower().split("/")[:-1]) & {
        "fixtures",
        "fixture",
        "testdata",
        "__fixtures__",
        "templates",
    }:
        return False
    return is_test_file(path) or path.endswith(".rs")


def test_files(change: Change, files: Sequence[FileChange]) -> list[TestFile]:
    """The test files among `files` whose cases may differ; none where no line that differs takes a case away or silences one.

    Read once for all detectors of a change.
    """
    key = ("test files", tuple(file.path for file in files))
    if key not in change.memo:
        change.memo[key] = _read_all(change, files)
    found: list[TestFile] = change.memo[key]
    return found


_LESS = re.compile(
    rb"(?i)\btest|\bit\b|describe|scenario|should|spec|assert|expect|verify|ensure|check|require|raises|panics|fact\b|theory|func\b|\bdef\b|\bfn\b|void|@|\bt\.|#\["
)
"""A line that may declare a case or assert something: where one of these goes, something may be lost."""
_SILENCED = re.compile(
    rb"(?i)skip|xfail|\bx(?:it|test|describe|context)\b|ignore|disab|pending|todo|\.only|\bf(?:it|describe|context)\b|focus|assume|importorskip|unless|return|exclude|quarantin|flaky"
)


def _read_all(change: Change, files: Sequence[FileChange]) -> list[TestFile]:
    chosen = [
        file
        for file in files
        if (holds_tests(file.path) or (file.renamed and holds_tests(file.base_path)))
        and not (file.old and file.new and file.old.oid == file.new.oid)
    ]
    if not any(_may_weaken(change, file) for file in chosen):
        return []
    found = []
    for file in chosen:
        try:
            found.append(TestFile(file, _suite(change.base_bytes(file), file.base_path), _suite(change.head_bytes(file), file.path)))
        except Unreadable as unread:
            found.append(TestFile(file, EMPTY, EMPTY, unread))
    return found


def _may_weaken(change: Change, file: FileChange) -> bool:
    if file.deleted:
        return True
    if file.added:
        return False
    try:
        lines = change.lines(file)
    except Unreadable:
        return True
    return any(_LESS.search(line) for _, line in lines.removed) or any(_SILENCED.search(line) for _, line in lines.added)


def _suite(data: bytes | None, path: str) -> Suite:
    if not data or not holds_tests(path) or (path.endswith(".rs") and not any(mark in data for mark in _RUST)):
        return EMPTY
    return suite(data, path)


def unmatched(old: Sequence[Case], new: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """The cases of one file that are only in `old`, and those only in `new`: by full name, then by name alone, then by body."""
    left, right = list(old), list(new)
    for key in (_full, _name, _body):
        here: dict[object, list[Case]] = {}
        for case in right:
            here.setdefault(key(case), []).append(case)
        kept = []
        for case in left:
            if here.get(key(case)):
                here[key(case)].pop(0)
            else:
                kept.append(case)
        left, right = kept, [case for cases in here.values() for case in cases]
    return left, right


def _full(case: Case) -> object:
    return case.full


def _name(case: Case) -> object:
    return case.name


def _body(case: Case) -> object:
    return case.body if case.size > 20 else case
