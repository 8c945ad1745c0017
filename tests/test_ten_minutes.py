"""CONTRIBUTING's "A new detector in ten minutes", done step by step with a detector that is thrown away."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DETECTOR = '''"""Motor guards that are switched off.

## What it detects
`guard: on` in a `.motor` file that becomes `guard: off`.

## Why it matters
The motor starts with its cover open.

## Example
```diff
-guard: on
+guard: off
```

## What makes it safe
Another guard.

## What it cannot see
Motors without a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, by_file
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity

OFF = Rule("motor/guard-off", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.YES, "A guard is switched off")


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """Guards that were on at base and are off at head."""
    for file in files:
        old, new = change.base_bytes(file) or b"", change.head_bytes(file) or b""
        if b"guard: on" in old.splitlines() and b"guard: off" in new.splitlines():
            yield OFF.effect(subject=file.path, path=file.path, line=1, before="on", after="off", message="The motor starts with its cover open.")


DETECTOR = Detector(name="motor", title="Motors", rules=(OFF,), detect=detect, group=by_file)
'''
STEPS = ("page", "register", "fires", "near miss", "update")
NAMED = {
    "page": "misses a heading of its page",
    "register": "test_no_case_belongs_to_no_detector",
    "fires": "rules without a case that fires",
    "near miss": "rules without a near miss",
    "update": "test_the_effects_of_a_case_are_those_written_beside_it",
}
"""What the suite says when a step is left out."""


def suite(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    chosen = "motor or case_belongs or is_whole"
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_detectors.py", "-k", chosen, *words]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tree)}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def follow(tree: Path, left_out: str | None = None) -> subprocess.CompletedProcess[str]:
    """The guide's steps in a copy of the tree, but for one."""
    listed = subprocess.run(
        ["git", "ls-files", "checks", "bot", "tests", "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if "/fixtures/" not in name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    page = DETECTOR if left_out != "page" else DETECTOR.replace("## Why it matters\n", "")
    (tree / "checks/detectors/motor.py").write_text(page)
    register = tree / "checks/detectors/__init__.py"
    if left_out != "register":
        text, count = re.subn(r"^(REGISTER\b.*\{)$", r'\1\n    "motor": ("*.motor",),', register.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1
        register.write_text(text)
    cases = tree / "tests/fixtures/detectors/motor"
    for case, before, after in (("fires", "guard: on\n", "guard: off\n"), ("near miss", "guard: on\n", "# moved\nguard: on\n")):
        if case != left_out:
            for side, content in (("base", before), ("head", after)):
                file = cases / case.replace(" ", "_") / side / "press.motor"
                file.parent.mkdir(parents=True)
                file.write_text(content)
    if left_out != "near miss":
        (cases / "near_miss" / "effects.txt").write_text("# near miss of: motor/guard-off\n")
    if left_out not in ("update", "register"):
        suite(tree, "--update")
    return suite(tree)


@pytest.mark.slow
def test_the_guide_makes_a_detector(tmp_path: Path) -> None:
    """All steps done: its tests pass, and the effect is the one that was meant."""
    done = follow(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    written = (tmp_path / "tests/fixtures/detectors/motor/fires/effects.txt").read_text()
    assert written == "press.motor:1 motor/guard-off press.motor high certain yes\n"


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_left_out_is_named(step: str, tmp_path: Path) -> None:
    """Any one step left out: a test fails, and what it prints names the step."""
    done = follow(tmp_path, left_out=step)
    assert done.returncode == 1, done.stdout + done.stderr
    assert NAMED[step] in done.stdout
