"""How far a change reaches: what depends on what it touches.

The ordinary review reads only what the change is near: its files, the folders above them, CODEOWNERS, the workflows. Dependents are looked for
in the whole tree where it is small; else, where an effect is at least moderate, in a larger part of it; and always in the largest folder
around each changed file that stays within the bound. What a bound cut off is said. Where a table or column is taken from, its readers are looked for too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from checks.model import Change, Effect, Reach, Severity
from checks.places import Place, place_of
from checks.policy import Policy
from checks.reach.cache import Cache, Memory
from checks.reach.edges.base import View, folder_of
from checks.reach.environments import environments_of
from checks.reach.graph import NODES, Dependents, Graph
from checks.reach.owners import owners_of
from checks.reach.readers import REASONS as READING
from checks.reach.readers import Reader, readers_of
from checks.reach.settings import REASONS, settings_paths
from checks.reach.units import Unit, jobs_of, ships, units_of

PATHS = 5000
"""Changed files whose units and owners are looked up."""
STARTS = 500
"""Changed files whose dependents are looked for."""
SMALL = 120
"""Files read for dependents where no effect is moderate: nine of ten changes, which must not wait for what cannot matter to them."""
LARGE = 8_000
"""Files read for dependents where one is."""
NEAR = 150
"""Dependents followed where no effect is moderate: more would not change the score."""
SHOWN = 8
"""Shortest paths that are kept."""

_CACHE = Memory()


def reach_of(change: Change, effects: Sequence[Effect], policy: Policy, cache: Cache = _CACHE) -> Reach:
    """The reach of a change: files, units, environments, owners, and the shortest paths to what depends on it."""
    every = [path for file in change.files for path in dict.fromkeys((file.path, file.base_path))]
    paths, known = every[:PATHS], frozenset(every)
    found, cut = _dependents(change, effects, paths, cache)
    readers, unsearched = readers_of(change, effects)
    reached = list(dict.fromkeys((*found.steps, *(reader.path for reader in readers if reader.path not in known))))
    units = units_of(change, policy, [*paths, *reached])
    jobs = jobs_of(change, paths)
    named = (*units.values(), *jobs)
    explained = [
        *((path, REASONS[: len(path) - 1]) for path in settings_paths(change, effects)),
        *((reader.steps, READING) for reader in _spread(readers, units)),
        *((found.path_to(path), found.reasons_to(path)) for path in _shown(found, units, paths)),
    ][:SHOWN]
    return Reach(
        files=len(change.files) + len(reached),
        units=tuple(sorted({unit.name for unit in named})),
        owners=owners_of(change, paths),
        environments=environments_of(effects, policy, [*paths, *reached], named),
        truncated=cut or unsearched or len(every) > PATHS or found.cut is not None,
        paths=tuple(path for path, _ in explained),
        reasons=tuple(reasons for _, reasons in explained),
    )


def _spread(readers: Sequence[Reader], units: Mapping[str, Unit]) -> list[Reader]:
    """The first reader in each unit, then the others, half as many as are shown in all."""
    first: dict[str, Reader] = {}
    for reader in readers:
        first.setdefault(units[reader.path].name if reader.path in units else "", reader)
    return list(dict.fromkeys((*first.values(), *readers)))[: SHOWN // 2]


def _dependents(change: Change, effects: Sequence[Effect], paths: Sequence[str], cache: Cache) -> tuple[Dependents, bool]:
    """What depends on the changed files, and whether a bound cut the search."""
    changed = [path for path in paths if _can_be_used(path)]
    if not changed:
        return Dependents({}), False
    serious = any(not effect.hazard.harmless and effect.severity is not Severity.LOW for effect in effects)
    graph = Graph(change.after, View(change.after, change.before), cache)
    scopes: dict[str, None] = {}
    cut = len(changed) > STARTS
    for folder in dict.fromkeys(folder_of(path) for path in changed[:STARTS]):
        if not any(scope == folder or not scope or folder.startswith(scope + "/") for scope in scopes):
            scope, whole = graph.scope(folder, LARGE if serious else SMALL)
            scopes = {one: None for one in scopes if scope and not one.startswith(scope + "/")} | {scope: None}
            cut |= not whole
    return graph.dependents(changed[:STARTS], sorted(scopes), NODES if serious else NEAR), cut


def _can_be_used(path: str) -> bool:
    """Whether something deployed can depend on a path."""
    return ships(path) or (path.startswith(".github/") and place_of(path) is Place.DEPLOYED)


def _shown(found: Dependents, units: Mapping[str, Unit], changed: Iterable[str]) -> list[str]:
    """The dependents worth showing: first the nearest dependent in each other unit, then the nearest of all."""
    own = {units[path].name for path in changed if path in units}
    first: dict[str, str] = {}
    for path in found.steps:
        if path in units and units[path].name not in own:
            first.setdefault(units[path].name, path)
    chosen = dict.fromkeys((*first.values(), *found.steps))
    return list(chosen)[:SHOWN]
