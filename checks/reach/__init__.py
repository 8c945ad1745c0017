"""How far a change reaches: what depends on what it touches.

The ordinary review reads only what the change is near: its files, the folders above them, CODEOWNERS, the workflows.
"""

from __future__ import annotations

from collections.abc import Sequence

from checks.model import Change, Effect, Reach
from checks.policy import Policy
from checks.reach.environments import environments_of
from checks.reach.owners import owners_of
from checks.reach.units import jobs_of, units_of

PATHS = 5000
"""Changed files whose units and owners are looked up."""


def reach_of(change: Change, effects: Sequence[Effect], policy: Policy) -> Reach:
    """The reach of a change: files, units, environments and owners."""
    every = [path for file in change.files for path in dict.fromkeys((file.path, file.base_path))]
    paths = every[:PATHS]
    units = units_of(change, policy, paths)
    jobs = jobs_of(change, paths)
    return Reach(
        files=len(change.files),
        units=tuple(sorted({unit.name for unit in (*units.values(), *jobs)})),
        owners=owners_of(change, paths),
        environments=environments_of(effects, policy, paths, (*units.values(), *jobs)),
        truncated=len(every) > PATHS,
    )
