"""A little of what `make fuzz` does at length: each harness takes what once did harm, and some hundred new inputs; and Hypothesis its own."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.fuzz.harnesses import FOUND, HARNESSES, seeds
from tests.fuzz.mutations import WORDS, mutated


@pytest.mark.parametrize("file", sorted(FOUND.glob("*.*")), ids=lambda file: file.name)
def test_what_once_did_harm_does_none(file: object) -> None:
    """Every input that was ever found by a harness is fed to it again."""
    HARNESSES[file.name.rpartition(".")[0]].run(file.read_bytes())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", HARNESSES)
def test_wounded_files_are_read_or_told(name: str) -> None:
    """Seeds with a few wounds: the reader says what it found, or that it is unreadable; nothing else ever comes out of it."""
    dice, corpus = random.Random(20261122), seeds(name)
    for _ in range(20 if name == "detectors" else 100):
        HARNESSES[name].run(mutated(corpus, dice))


@given(
    name=some.sampled_from([name for name in HARNESSES if name != "detectors"]),
    pieces=some.lists(some.sampled_from(WORDS) | some.binary(max_size=8) | some.text(max_size=8).map(str.encode), max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_told(name: str, pieces: list[bytes]) -> None:
    """The same for bytes that come from no file."""
    HARNESSES[name].run(b"".join(pieces))
