"""Checks that go on running and ask for less.

## What it detects
Coverage thresholds lowered, type checking made less strict, lint rules switched off or excluded, a quality gate that no longer blocks, and scanner
results newly let pass: coverage.py, pytest-cov, Jest, Vitest, nyc, Codecov, JaCoCo, ruff, flake8, mypy, pyright, tsconfig, ESLint, Biome,
golangci-lint, RuboCop, Pylint, PHPStan, Sonar, and what trivy, gitleaks, semgrep, snyk, grype, checkov, OSV-Scanner, zizmor, hadolint, CodeQL,
GitGuardian, Bandit, MegaLinter, Safety, bundler-audit, Brakeman, detect-secrets, KICS, ansible-lint, cargo-deny and cargo-audit are told to let pass.

## Why it matters
The check's name stays on the pull request, green, and what it promised is smaller than it was.

## Example
```diff
 [tool.coverage.report]
-fail_under = 90
+fail_under = 60
```

## What makes it safe
Keep the threshold and exclude a single line with a reason, or lower it in a change of its own that says why.

## What it cannot see
Rules that come from a preset in another package, and thresholds in scripts other than those of package.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, by_file, not_analysed
from checks.model import Change, Effect, FileChange, Hazard, Question, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.checksettings import EVERY, NOTHING, Strictness, strictness

THRESHOLD = Rule(
    "check-settings/threshold-lowered", Hazard.CHECK_WEAKENED, Severity.MODERATE, Reversible.YES, "A threshold is lowered", Question.FORCED
)
STRICTNESS = Rule(
    "check-settings/strictness-lowered", Hazard.CHECK_WEAKENED, Severity.LOW, Reversible.YES, "A check is less strict", Question.FORCED
)
RULE_OFF = Rule(
    "check-settings/rules-switched-off", Hazard.CHECK_WEAKENED, Severity.LOW, Reversible.YES, "Rules are switched off", Question.FORCED
)
WAIVED = Rule(
    "check-settings/results-waived",
    Hazard.CHECK_WEAKENED,
    Severity.LOW,
    Reversible.YES,
    "A scanner's results are let pass",
    Question.FORCED,
)
RULES = (THRESHOLD, STRICTNESS, RULE_OFF, WAIVED)

MANY = 10
"""Rules switched off at once: a linter that is given up."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What the checkers' configurations ask for less at head than at base; a file that is new or gone is another detector's."""
    for file in files:
        first_waivers = file.added and file.path.rpartition("/")[2].startswith(".") and "ignore" in file.path
        if (
            file.new is None
            or not file.new.is_file
            or place_of(file.path) is not Place.DEPLOYED
            or (file.old is None and not first_waivers)
        ):
            continue
        try:
            old = strictness(change.base_bytes(file) or b"", file.base_path) if file.old else NOTHING
        except Unreadable:
            continue
        try:
            new = strictness(change.head_bytes(file) or b"", file.path)
        except Unreadable as unreadable:
            yield not_analysed(file.path, unreadable.why, unreadable.line, severity=Severity.LOW)
            continue
        yield from _less(file, old, new)


def _less(file: FileChange, old: Strictness, new: Strictness) -> Iterator[Effect]:
    drops = [(name, value, new.thresholds.get(name)) for name, value in old.thresholds.items() if value > new.thresholds.get(name, 0)]
    if drops and not (new.inherits and not new.thresholds and not old.thresholds):
        name, before, after = max(drops, key=lambda drop: drop[1] - (drop[2] or 0))
        yield THRESHOLD.effect(
            subject=", ".join(sorted(drop[0] for drop in drops))[:200],
            path=file.path,
            before=f"{before:g}",
            after="none" if after is None else f"{after:g}",
            severity=Severity.LOW if after is not None and before - after < 5 else None,
            message=f"The check passes with less than before: {name} goes from {before:g} to {'nothing' if after is None else f'{after:g}'}.",
        )
    more = [(name, most, new.allowed[name]) for name, most in old.allowed.items() if new.allowed.get(name, 0) > most]
    if more:
        name, least, most = more[0]
        yield THRESHOLD.effect(
            subject=", ".join(sorted(row[0] for row in more))[:200],
            path=file.path,
            before=f"{least:g}",
            after="any" if math.isinf(most) else f"{most:g}",
            severity=Severity.LOW,
            message=f"The check passes with more warnings than before: {name} goes from {least:g} to {'any number' if math.isinf(most) else f'{most:g}'}.",
        )
    off = sorted(name for name, on in old.switches.items() if on and not new.switches.get(name, new.inherits))
    off += sorted(
        name
        for name, on in new.switches.items()
        if not on and name not in old.switches and (name.startswith("check of") or name == "strict")
    )
    if off:
        yield STRICTNESS.effect(
            subject=", ".join(off[:6]),
            path=file.path,
            after="off",
            severity=Severity.MODERATE if {"strict", "check-coverage", "linter", "sonar.qualitygate.wait"} & set(off) else None,
            message=f"The check accepts what it refused before: {', '.join(off[:6])} {'is' if len(off) == 1 else 'are'} off.",
        )
    lower = [
        name
        for name, level in new.levels.items()
        if level < old.levels.get(name, 2 if level == 0 else 0) and (name in old.levels or name not in new.raised)
    ]  # a rule that is new and spares some paths asks for more than before
    lower += [name for name, level in old.levels.items() if level == 2 and name not in new.levels and not new.inherits]
    lower += sorted(new.ignored - old.ignored) if len(new.ignored) > len(old.ignored) else []
    lower += sorted(old.chosen - new.chosen) if len(new.chosen) < len(old.chosen) and EVERY not in new.chosen else []
    if lower:
        yield RULE_OFF.effect(
            subject=", ".join(lower[:6]) + (f" and {len(lower) - 6} more" if len(lower) > 6 else ""),
            path=file.path,
            after=f"{len(lower)} rule{'s' if len(lower) > 1 else ''}",
            severity=Severity.MODERATE if len(lower) >= MANY else None,
            message=f"{', '.join(lower[:3])}{f' and {len(lower) - 3} more rules' if len(lower) > 3 else ''} {'is' if len(lower) == 1 else 'are'} switched off or lowered, so what {'it' if len(lower) == 1 else 'they'} caught now passes.",
        )
    waived = sorted(new.waived - old.waived)
    if waived and len(new.waived) > len(old.waived):
        yield WAIVED.effect(
            subject=", ".join(waived[:6]),
            path=file.path,
            after=f"{len(waived)} more",
            severity=Severity.MODERATE if len(waived) >= MANY or {"*", "**", "."} & set(waived) else None,
            message=f"The scanner newly lets pass {', '.join(waived[:6])}.",
        )


DETECTOR = Detector("check-settings", "Checks that ask for less", RULES, detect, by_file, sure=True)
