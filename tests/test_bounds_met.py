"""A file that goes beyond our own bounds is told, even where a detector makes nothing of it: nobody hides behind depth or size."""

from __future__ import annotations

import pytest

from checks.effects import effects_of
from tests.changes import change_of

DEEP = "a: " + "[" * 120 + "]" * 120 + "\n"
COMPOSE = "services:\n  web:\n    image: shop@sha256:" + "a" * 64 + "\n"


@pytest.mark.parametrize("path", ["docker-compose.yml", ".github/workflows/x.yml"])
def test_a_file_nested_past_our_bound_is_not_analysed(path: str) -> None:
    """An agent adds a file, or mends one, so that it is too deep to read: that is an effect, not silence."""
    for before in ({}, {path: COMPOSE}):
        found = effects_of(change_of(before, {path: COMPOSE.replace("image", "privileged: true\n    image") + DEEP}))
        assert any(effect.rule == "engine/not-analysed" and effect.path == path for effect in found), path


def test_a_file_that_was_as_deep_before_stays_quiet() -> None:
    """What could not be read at base either is not told anew with every change."""
    found = effects_of(change_of({"docker-compose.yml": COMPOSE + DEEP}, {"docker-compose.yml": COMPOSE + DEEP + "b: 1\n"}))
    assert not any(effect.rule == "engine/not-analysed" for effect in found)
