"""How far a change reaches: what depends on what it touches."""

from __future__ import annotations

from collections.abc import Sequence

from checks.model import Change, Effect, Environment, Reach
from checks.patterns import matching
from checks.places import environment_of
from checks.policy import Policy


def reach_of(change: Change, effects: Sequence[Effect], policy: Policy) -> Reach:
    """The reach of a change: files, units, environments and owners."""
    paths = [file.path for file in change.files]
    units = tuple(sorted({name for name, patterns in policy.units for path in paths if matching(patterns, path)}))
    named = {effect.environment for effect in effects if not effect.hazard.harmless} | {environment_of(path) for path in paths}
    environments = tuple(sorted(e.value for e in named if e is not None and e is not Environment.UNKNOWN))
    return Reach(files=len(paths), units=units, environments=environments)
