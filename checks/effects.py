"""The effects of a change: each detector woken for the files it knows, nothing lost on the way."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from checks.detectors import REGISTER, load
from checks.detectors.base import FREE, Watch, not_analysed, run
from checks.model import Change, Effect, FileChange, Severity
from checks.patterns import any_of


@lru_cache(maxsize=65536)
def detectors_for(path: str) -> tuple[str, ...]:
    """The names of the detectors that a path wakes, in the register's order."""
    return tuple(name for name, patterns in REGISTER.items() if any_of(patterns).match(path))


def effects_of(change: Change, only: str | None = None, watch: Watch = FREE) -> tuple[Effect, ...]:
    """All effects of `change` before environments are filled in, each once, in the register's order (`only`: one detector's).

    Where the base branch moved on meanwhile, what the merge does beyond that is told too, in words that say so.
    """
    found = _effects_of(change, only, watch)
    if change.landed is not None:
        known = {(effect.rule, effect.path, effect.subject): effect.severity.rank for effect in found}
        more = _effects_of(change.landed, only, watch)
        found += tuple(_together(one) for one in more if one.severity.rank > known.get((one.rule, one.path, one.subject), -1))
    elif change.unmerged and change.files and only is None:
        why = f"the base branch moved on, and what both give together is not known: {change.unmerged}"
        found += (not_analysed(change.files[0].path, why, severity=Severity.LOW),)
    return found


def _together(effect: Effect) -> Effect:
    """An effect that neither side has alone."""
    words = f"{effect.message.rstrip('.')}, together with what the base branch gained since this branch left it."
    return replace(effect, message=words)


def _effects_of(change: Change, only: str | None, watch: Watch) -> tuple[Effect, ...]:
    woken: dict[str, list[FileChange]] = {}
    for file in change.files:
        for name in dict.fromkeys((*detectors_for(file.path), *detectors_for(file.base_path))):
            woken.setdefault(name, []).append(file)
    found: dict[str, Effect] = {}
    for name in REGISTER:
        if name in woken and only in (None, name):
            for effect in run(load(name), change, woken[name], watch):
                found.setdefault(effect.id + str(effect.line), effect)
    return tuple(found.values())
