"""Test cases that are gone, or that stay and no longer check anything.

## What it detects
Test cases that stand at base and nowhere at head: not renamed, not moved to another file, not replaced by as many new ones in the same place.
Whole test files among them. Tests that keep their name and lose every assertion. Python, JavaScript, TypeScript, Go, Java, Ruby, Kotlin, C#,
Rust, PHP and Swift.

## Why it matters
The quickest way to a green run is to drop the test that is red. A reviewer sees a smaller diff; the behaviour is unguarded from then on.

## Example
```diff
-def test_refund_is_idempotent(): ...
-def test_refund_needs_an_owner(): ...
```
with `refunds.py` unchanged: two behaviours are no longer checked.

## What makes it safe
The tested code goes in the same change (then this is low), or other tests that reach the same code run and pass (`tests-exercised`).

## What it cannot see
Tests made at run time, and whether a rewritten test checks the same thing: as many new cases as lost ones in a file count as a replacement.
Snapshots, fixtures and test configuration are not tests.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.readers.testcases import Case
from checks.readers.testchange import TestFile, holds_tests, test_files, unmatched

GONE = Rule(
    "tests-removed/cases-gone",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "Test cases are gone and nothing takes their place",
    Question.FORCED,
    Confidence.LIKELY,
)
EMPTIED = Rule(
    "tests-removed/checks-emptied",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A test keeps its name and checks nothing",
    Question.FORCED,
    Confidence.LIKELY,
)
RULES = (GONE, EMPTIED)

_SOURCE = re.compile(r"\.(?:py|[cm]?[jt]sx?|go|java|kt|rb|rs|cs|php|swift|vue|svelte|sql|proto|erb|yml|yaml|tf)\Z")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
MANY = 20
"""Cases lost at once with the tested code kept: no ordinary tidying."""


@dataclass(slots=True)
class _Lost:
    """What is left of a file's lost cases while replacements are looked for."""

    tests: TestFile
    gone: list[Case]
    fresh: list[Case]
    into: list[_Lost] = field(default_factory=list)
    """The files that took a case of this one, an entry a case."""

    def follows(self, other: _Lost) -> bool:
        """Whether `other` took at least half of the cases, so that this file stands there now under another name."""
        taken = sum(1 for each in self.into if each is other)
        return taken * 2 >= len(self.gone) + len(self.into) > 1


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """The cases lost across the whole change, an effect a file."""
    tests = test_files(change, files)
    yield from (not_analysed(t.unread.path, t.unread.why, t.unread.line, severity=Severity.LOW) for t in tests if t.unread)
    lost = [_Lost(t, *unmatched(t.old.cases, t.new.cases)) for t in tests]
    _moved(lost)
    for each in lost:
        _replaced(each, [each])
    for each in lost:
        if each.gone:
            _replaced(
                each,
                [other for other in lost if other is not each and (_same_place(each.tests.file, other.tests.file) or each.follows(other))],
            )
    removals = [each for each in lost if each.gone]
    yield from _told(change, removals)
    for t in tests:
        yield from _emptied(t)


def _moved(lost: list[_Lost]) -> None:
    """Strike out cases that stand at head in another file: the same name, or the same body."""
    for key in (_by_full, _by_body, _by_name):
        pool: dict[object, list[tuple[_Lost, Case]]] = {}
        for each in lost:
            for case in each.fresh:
                pool.setdefault(key(case), []).append((each, case))
        for each in lost:
            kept = []
            for case in each.gone:
                found = pool.get(key(case))
                if found:
                    owner, match = found.pop()
                    owner.fresh.remove(match)
                    each.into.append(owner)
                else:
                    kept.append(case)
            each.gone = kept


def _by_full(case: Case) -> object:
    return case.full


def _by_name(case: Case) -> object:
    return case.name.lower() if len(case.name) > 12 else case


def _by_body(case: Case) -> object:
    return case.body if case.size > 40 else case


def _replaced(each: _Lost, near: Sequence[_Lost]) -> None:
    """Strike out cases that new ones stand for: alike by name, or as many of them in the same place."""
    for case in list(each.gone):
        words = _words(case.name)
        best = max(
            ((_alike(words, _words(new.name)), index, other) for other in near for index, new in enumerate(other.fresh)),
            key=lambda found: found[0],
            default=None,
        )
        if best and best[0] >= 0.5:
            best[2].fresh.pop(best[1])
            each.gone.remove(case)
    for other in near:
        room = sum(10 if case.table else 1 for case in other.fresh)
        taken = min(room, len(each.gone))
        if taken and taken == len(each.gone):
            each.gone = []
        elif taken:
            each.gone = each.gone[taken:]
        del other.fresh[:taken]


def _same_place(one: FileChange, other: FileChange) -> bool:
    """Whether one test file may take over another's cases: the same folder, or the same thing tested."""
    a, b = one.base_path, other.path
    return posixpath.dirname(a) == posixpath.dirname(b) or _stem(a) == _stem(b)


def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(name)) - {"test", "should", "it", "the", "a", "an", "is", "and", "to", "of"}


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def _stem(path: str) -> str:
    """What a file is called without its ending and the marks of a test: `test_user.py`, `UserTest.java` and `user.ts` share one."""
    name = posixpath.basename(path).split(".")[0]
    name = re.sub(r"^tests?_|_(?:tests?|spec)$|(?<=[a-z])(?:Tests?|TestCase|IT|Specs?)$", "", name)
    return re.sub(r"[\W_]+", "", name).lower()


# --- the tested thing --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Product:
    """The code of the change that is not tests: what shrank or went, by stem and by folder."""

    stems: frozenset[str]
    folders: frozenset[str]
    deleted: tuple[str, ...]
    lost: int
    """Bytes by which the code shrank in all; negative where it grew."""


def _product(change: Change) -> _Product:
    code = [file for file in change.files if not holds_tests(file.base_path) and _SOURCE.search(file.base_path)][:3000]
    lost = {file.path: _shrank_by(change, file) for file in code}
    smaller = [file for file in code if lost[file.path] > 0]
    return _Product(
        frozenset(_stem(file.base_path) for file in smaller),
        frozenset(posixpath.dirname(file.base_path) for file in smaller),
        tuple(file.base_path for file in smaller if file.deleted),
        sum(lost.values()),
    )


def _shrank_by(change: Change, file: FileChange) -> int:
    try:
        return len(change.base_bytes(file) or b"") - len(change.head_bytes(file) or b"")
    except Unreadable:
        return 0


def _goes_with_its_feature(each: _Lost, product: _Product) -> bool:
    path = each.tests.file.base_path
    stem = _stem(path)
    imported = {_stem(name.replace(".", "/") if "/" not in name else name) for name in each.tests.old.imports}
    named = {_stem(re.split(r"[/.]", name.rstrip("/"))[-1]) for name in each.tests.old.imports}
    if stem in product.stems or (imported | named) & product.stems:
        return True
    if posixpath.dirname(path) in product.folders and path.endswith((".go", ".rs")):
        return True
    area = path.split("/")[:2]
    if any(gone.split("/")[:2] == area for gone in product.deleted):
        return True
    if product.lost * 2 > sum(case.size for case in each.gone) > 0:
        return True
    return any(len(s) > 4 and (s in stem or stem in s) for s in product.stems if len(stem) > 4)


# --- telling -----------------------------------------------------------------------------------------------------------------------------


def _told(change: Change, removals: list[_Lost]) -> Iterator[Effect]:
    if not removals:
        return
    product = _product(change)
    groups: dict[tuple[str, Severity], list[_Lost]] = {}
    for each in removals:
        folder = posixpath.dirname(each.tests.file.base_path) if each.tests.file.deleted else each.tests.file.path + "\0"
        groups.setdefault((folder, _severity(each, product)), []).append(each)
    quiet = [key for key in groups if key[1] is Severity.LOW]
    if sum(len(groups[key]) for key in quiet) > 3:
        groups[("", Severity.LOW)] = [each for key in quiet for each in groups.pop(key)]
    for (_, severity), members in groups.items():
        if len(members) > 3:
            yield _effect(members, severity)
        else:
            yield from (_effect([each], severity) for each in members)


def _severity(each: _Lost, product: _Product) -> Severity:
    if all(case.skipped for case in each.gone) or _goes_with_its_feature(each, product):
        return Severity.LOW
    if len(each.gone) >= MANY:
        return Severity.HIGH
    return Severity.MODERATE if len(each.gone) > 2 or each.tests.file.deleted else Severity.LOW


def _effect(members: Sequence[_Lost], severity: Severity) -> Effect:
    first = members[0]
    file = first.tests.file
    cases = [case for each in members for case in each.gone]
    files = [each.tests.file for each in members]
    whole = all(each.deleted for each in files)
    where = f"{len(members)} test files" if len(members) > 1 else "a test file that is deleted" if whole else "this file"
    skipped = " All of them were skipped already." if all(case.skipped for case in cases) else ""
    return GONE.effect(
        subject=_names(cases),
        path=file.base_path if file.deleted else file.path,
        line=first.gone[0].line,
        side=Side.BASE,
        before=f"{sum(len(each.tests.old.cases) for each in members)} cases",
        after=f"{sum(len(each.tests.new.cases) for each in members)} cases",
        severity=severity,
        confidence=Confidence.CERTAIN if whole else None,
        message=f"{len(cases)} test {'case' if len(cases) == 1 else 'cases'} of {where} no longer run, and nothing in this change takes their place.{skipped}",
    )


def _names(cases: Iterable[Case]) -> str:
    names = [case.full for case in cases]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _emptied(tests: TestFile) -> Iterator[Effect]:
    now: dict[str, Case] = {case.full: case for case in tests.new.cases}
    empty = [
        (case, now[case.full])
        for case in tests.old.cases
        if case.asserts
        and case.full in now
        and not now[case.full].asserts
        and now[case.full].size * 2 < case.size
        and not now[case.full].skipped
    ]
    if empty:
        yield EMPTIED.effect(
            subject=_names(new for _, new in empty),
            path=tests.file.path,
            line=empty[0][1].line,
            before=f"{sum(old.asserts for old, _ in empty)} assertions",
            after="0 assertions",
            message=f"{len(empty)} test {'case keeps its' if len(empty) == 1 else 'cases keep their'} name here and no longer {'checks' if len(empty) == 1 else 'check'} anything.",
        )


DETECTOR = Detector("tests-removed", "Tests removed or emptied", RULES, detect, together)
