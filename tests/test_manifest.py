"""app.yml asks for what the code needs, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml

from bot.github.calls import CALLS, CONTENTS, HEARD
from bot.triggers import EVENTS, OF_INSTALLATION, ON_REQUEST, SUBSCRIBED

ROOT = Path(__file__).parent.parent
MANIFEST = yaml.safe_load((ROOT / "app.yml").read_text())
ORDER = ("read", "write")


def test_the_permissions_are_those_of_the_calls() -> None:
    """Each permission is the highest that some request needs; no request needs one that is not asked for."""
    needed: dict[str, str] = {}
    for name, access in [call.permission for call in CALLS.values() if call.permission] + [CONTENTS, *HEARD]:
        needed[name] = max(needed.get(name, "read"), access, key=ORDER.index)
    assert needed == MANIFEST["default_permissions"]


def test_the_events_are_those_that_mean_something() -> None:
    """Each event that is subscribed to has a meaning, and each meaning has its event."""
    assert tuple(MANIFEST["default_events"]) == SUBSCRIBED
    assert set(EVENTS) == {*SUBSCRIBED, *ON_REQUEST, *OF_INSTALLATION}


def test_every_line_says_what_for() -> None:
    """Each permission and event carries a comment."""
    lines = (ROOT / "app.yml").read_text().splitlines()
    for name in [*MANIFEST["default_permissions"], *MANIFEST["default_events"]]:
        assert any(name in line and "# " in line for line in lines), name
