"""Every folder under fixtures/detectors is one case: two states of some files, and the effects between them, one a line.

`effects.txt` may open with comments. `# near miss of: RULE, RULE` says which rules must stay silent although the case looks like them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.detectors import REGISTER, every, load
from checks.effects import effects_of
from checks.model import Effect
from tests.changes import change_between

FIXTURES = Path(__file__).parent / "fixtures" / "detectors"
CASES = sorted(path for path in FIXTURES.glob("*/*") if path.is_dir())
NEAR = "# near miss of:"


def line_of(effect: Effect) -> str:
    where = f"{effect.path}:{effect.line or 0}"
    return f"{where} {effect.rule} {effect.subject} {effect.severity} {effect.confidence} {effect.reversible}"


def written(case: Path) -> tuple[list[str], list[str]]:
    file = case / "effects.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in lines if line.startswith("#")], [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_effects_of_a_case_are_those_written_beside_it(case: Path, request: pytest.FixtureRequest) -> None:
    """A detector says of the two states of a case exactly what effects.txt says."""
    detector = load(case.parent.name)
    found = effects_of(change_between(case / "base", case / "head"), only=case.parent.name)
    actual = sorted(line_of(effect) for effect in found)
    comments, expected = written(case)
    if request.config.getoption("--update"):
        (case / "effects.txt").write_text("".join(f"{line}\n" for line in [*comments, *actual]))
        return
    assert actual == expected
    assert {effect.rule for effect in found} <= {rule.id for rule in detector.rules} | {"engine/not-analysed"}


@pytest.mark.parametrize("name", REGISTER)
def test_every_rule_has_a_case_that_fires_and_a_near_miss(name: str) -> None:
    """For each rule there is a case in which it fires and one that looks like it and stays silent."""
    fires, near = set(), set()
    for case in (FIXTURES / name).glob("*"):
        comments, lines = written(case)
        fires |= {line.split(" ")[1] for line in lines}
        named = {rule.strip() for comment in comments if comment.startswith(NEAR) for rule in comment.removeprefix(NEAR).split(",")}
        assert not named & {line.split(" ")[1] for line in lines}, f"{case} calls itself a near miss of a rule that fires in it"
        near |= named
    rules = {rule.id for rule in load(name).rules}
    assert rules - fires == set(), "rules without a case that fires"
    assert rules - near == set(), "rules without a near miss"
    assert near - rules == set(), "near misses of rules that do not exist"


def test_no_case_belongs_to_no_detector() -> None:
    """Each folder of cases is named as its detector's module."""
    assert {path.name for path in FIXTURES.iterdir()} <= set(REGISTER)


def test_every_detector_is_whole() -> None:
    """A detector has its page, its name is its module's, and its rules carry it."""
    from checks.detectors.base import HEADINGS

    for name, detector in zip(REGISTER, every(), strict=True):
        assert detector.name == name.replace("_", "-")
        assert detector.rules
        assert all(rule.id.startswith(detector.name + "/") for rule in detector.rules)
        page = __import__(f"checks.detectors.{name}", fromlist=["__doc__"]).__doc__ or ""
        positions = [page.find(f"## {heading}") for heading in HEADINGS]
        assert -1 not in positions and positions == sorted(positions), f"{name} misses a heading of its page"
