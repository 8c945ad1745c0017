"""The effects of a change: each detector woken for the files it knows, nothing lost on the way."""

from __future__ import annotations

from functools import lru_cache

from checks.detectors import REGISTER, load
from checks.detectors.base import FREE, Watch, run
from checks.model import Change, Effect, FileChange
from checks.patterns import any_of


@lru_cache(maxsize=65536)
def detectors_for(path: str) -> tuple[str, ...]:
    """The names of the detectors that a path wakes, in the register's order."""
    return tuple(name for name, patterns in REGISTER.items() if any_of(patterns).match(path))


def effects_of(change: Change, only: str | None = None, watch: Watch = FREE) -> tuple[Effect, ...]:
    """All effects of `change` before environments are filled in, each once, in the register's order (`only`: one detector's)."""
    woken: dict[str, list[FileChange]] = {}
    for file in change.files:
        names = dict.fromkeys(detectors_for(file.path))
        if file.renamed:
            names |= dict.fromkeys(detectors_for(file.base_path))
        for name in names:
            woken.setdefault(name, []).append(file)
    found: dict[str, Effect] = {}
    for name in REGISTER:
        if name in woken and only in (None, name):
            for effect in run(load(name), change, woken[name], watch):
                found.setdefault(effect.id + str(effect.line), effect)
    return tuple(found.values())
