"""Address ranges and ports compared by containment."""

from __future__ import annotations

import pytest

from checks.access.networks import Opening, inside, is_private, is_public


@pytest.mark.parametrize(
    ("source", "other", "expected"),
    [
        ("10.1.0.0/16", "10.0.0.0/8", True),
        ("10.0.0.0/8", "10.1.0.0/16", False),
        ("203.0.113.7", "0.0.0.0/0", True),
        ("0.0.0.0/1", "*", True),
        ("::/0", "0.0.0.0/0", False),
        ("Internet", "*", True),
        ("VirtualNetwork", "*", True),
        ("VirtualNetwork", "10.0.0.0/8", False),
        ("sg-1", "sg-1", True),
    ],
)
def test_a_range_is_inside_another_by_its_addresses(source: str, other: str, expected: bool) -> None:
    """Containment is by prefix; words for everywhere are everywhere; a name is inside itself and everywhere only."""
    assert inside(source, other) is expected


def test_two_halves_of_the_internet_are_public() -> None:
    """0.0.0.0/1 is as public as 0.0.0.0/0; a company's /16 is not; private ranges never are."""
    assert is_public("0.0.0.0/1") and is_public("::/0") and is_public("Internet")
    assert not is_public("198.51.0.0/16")
    assert is_private("10.0.0.0/8") and not is_private("0.0.0.0/0")


def test_an_opening_covers_what_it_permits() -> None:
    """All protocols cover one; a range of ports covers those in it; directions are apart."""
    wide = Opening("in", "*", 0, 65535, "10.0.0.0/8")
    assert wide.covers(Opening("in", "tcp", 5432, 5432, "10.2.0.0/16"))
    assert not wide.covers(Opening("out", "tcp", 5432, 5432, "10.2.0.0/16"))
    assert not Opening("in", "tcp", 443, 443, "0.0.0.0/0").covers(Opening("in", "tcp", 440, 450, "10.0.0.0/8"))
    assert Opening("in", "tcp", 1, 30, "*").sensitive
