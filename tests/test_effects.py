"""Which detectors a change wakes, and what is told of one whose merge is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.effects import detectors_for, effects_of
from checks.model import Severity
from tests.changes import change_of
from tests.house import DATABASE, TOPIC

LOST = change_of(
    {"infra/main.tf": DATABASE + TOPIC, "Dockerfile": "FROM a\n"}, {"infra/main.tf": TOPIC, "Dockerfile": "FROM a\nUSER root\n"}
)


@pytest.mark.parametrize(
    ("path", "woken"), [("infra/main.tf", True), ("infra/main.tofu", True), ("infra/main.md", False), ("README", False)]
)
def test_a_detector_is_woken_by_its_own_paths_alone(path: str, woken: bool) -> None:
    """The work grows with the change, not with the number of detectors."""
    assert ("terraform" in detectors_for(path)) is woken


def test_a_file_that_moves_out_of_sight_is_seen_where_it_stood() -> None:
    """Under its new name no detector would look at it; what it was is gone all the same."""
    moved = change_of({"infra/main.tf": DATABASE + TOPIC}, {"infra/main.txt": DATABASE + TOPIC})
    assert moved.files[0].renamed
    assert "terraform/directory-removed" in {effect.rule for effect in effects_of(moved)}


def test_one_detector_may_be_asked_alone() -> None:
    """Its effects and no other's, and nothing of the merge."""
    unknown = replace(LOST, unmerged="git is too old")
    assert {effect.rule for effect in effects_of(unknown, only="terraform")} == {"terraform/resource-destroyed"}
    assert effects_of(unknown, only="kubernetes-exposure") == ()


def test_a_merge_that_is_not_known_is_told_of_a_change_that_has_one() -> None:
    """Low, at a file of the change; where nothing changes nothing lands."""
    told = [effect for effect in effects_of(replace(LOST, unmerged="git is too old")) if effect.rule == "engine/not-analysed"]
    assert [(effect.severity, effect.path) for effect in told] == [(Severity.LOW, LOST.files[0].path)]
    assert effects_of(replace(LOST, files=(), unmerged="git is too old")) == ()
