"""Test cases that stay in the file and no longer run.

## What it detects
A skip newly put on a case or a suite that ran at base: `it.skip`, `xit`, `@pytest.mark.skip`, `xfail`, `t.Skip`, `@Disabled`, `[Ignore]`,
`#[ignore]`, `skip "…"`; and a case or suite newly marked to run alone (`only`, `fit`, `fdescribe`), which silences everything beside it.

## Why it matters
The case count stays, the run is green, and the behaviour is no longer checked.

## Example
```diff
-it('rejects an expired token', async () => {
+it.skip('rejects an expired token', async () => {
```

## What makes it safe
Other tests that reach the same code run and pass; a skip under a condition (`skipIf`, `skipif`, `if testing.Short()`) still runs elsewhere and is not reported.

## What it cannot see
Skips decided at run time, tags and patterns that a runner's command line leaves out. A case that is new and skipped from the start is not reported:
nothing that was checked is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Effect, FileChange, Hazard, Question, Reversible, Severity
from checks.readers.testcases import Case
from checks.readers.testchange import TestFile, test_files

SKIPPED = Rule(
    "tests-skipped/cases-skipped",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "Test cases that ran are skipped",
    Question.FORCED,
)
ALONE = Rule(
    "tests-skipped/others-silenced",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A test is marked to run alone",
    Question.FORCED,
)
RULES = (SKIPPED, ALONE)
FEW, MANY = 2, 10


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """The cases that ran at base and are skipped at head, an effect a file."""
    tests = test_files(change, files)
    ran: dict[object, Case] = {}
    idle: set[object] = set()
    for each in tests:
        for case in each.old.cases:
            for key in (case.full, case.body if case.size > 40 else case.full):
                if case.skipped:
                    idle.add(key)
                else:
                    ran.setdefault(key, case)
    for each in tests:
        yield from _skipped(each, ran, idle)
        yield from _alone(each)


def _skipped(tests: TestFile, ran: dict[object, Case], idle: set[object]) -> Iterator[Effect]:
    here = {case.full for case in tests.old.cases if not case.skipped}
    asleep = {case.full for case in tests.old.cases if case.skipped}
    names = {case.name for case in tests.old.cases if not case.skipped} - {case.name for case in tests.old.cases if case.skipped}
    found = [
        case
        for case in tests.new.cases
        if case.skipped
        and case.full not in asleep
        and (
            case.full in here
            or case.name in names
            or ((case.body in ran and case.body not in idle) or (case.full in ran and case.full not in idle))
        )
    ]
    if not found:
        return
    labels = [case.full for case in found]
    yield SKIPPED.effect(
        subject=", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else ""),
        path=tests.file.path,
        line=found[0].line,
        after=found[0].skipped,
        severity=Severity.LOW
        if len(found) <= FEW
        else Severity.HIGH
        if len(found) >= MANY and len(found) == len(tests.new.cases)
        else None,
        message=f"{len(found)} of the {len(tests.new.cases)} test cases in this file ran before and {'is' if len(found) == 1 else 'are'} skipped now.",
    )


def _alone(tests: TestFile) -> Iterator[Effect]:
    before = {name for name, _ in tests.old.only}
    new = [(name, line) for name, line in tests.new.only if name not in before]
    if new and len(tests.new.cases) > 1:
        yield ALONE.effect(
            subject=", ".join(name for name, _ in new[:3]),
            path=tests.file.path,
            line=new[0][1],
            message=f"Only what is marked here runs; the other test cases of this file ({len(tests.new.cases)} in all) are silenced.",
        )


DETECTOR = Detector("tests-skipped", "Tests skipped", RULES, detect, together)
