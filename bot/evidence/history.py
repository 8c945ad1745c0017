"""The base branch's own history: when an earlier, merged change took the protection off something."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace

from bot.mirror.change import Range, change
from bot.mirror.objects import Objects
from bot.mirror.runner import run
from checks.effects import effects_of
from checks.evidence import StagedRemoval
from checks.model import Change, Hazard

COMMITS = 30
"""Merged commits per path that are looked at, newest first."""


def staged_removals(objects: Objects, current: Change, wanted: Iterable[tuple[str, str]]) -> tuple[StagedRemoval, ...]:
    """For each (path, subject): the commits on the base branch's first-parent line that took a guard off it, with the time of the merge."""
    subjects: dict[str, set[str]] = {}
    for path, subject in wanted:
        subjects.setdefault(path, set()).add(subject)
    found: list[StagedRemoval] = []
    for path, names in subjects.items():
        words = ("log", "--first-parent", f"--max-count={COMMITS}", "--format=%H %P %ct", current.merge_base, "--", f":(top,literal){path}")
        for line in run(objects.git_dir, *words).decode("ascii", "replace").splitlines():
            commit, *parents, when = line.split(" ")
            if not parents[0]:
                continue
            taken_off = _unguarded(objects, current, parents[0], commit, path)
            if not taken_off & {_thing(name) for name in names}:
                continue
            # A guard that was put back since then is on: it must be off where this change starts, too.
            taken_off &= _unguarded(objects, current, parents[0], current.merge_base, path)
            at = datetime.datetime.fromtimestamp(int(when), datetime.UTC)
            found += [StagedRemoval(path, name, commit, at) for name in sorted(names) if _thing(name) in taken_off]
    return tuple(found)


def _unguarded(objects: Objects, current: Change, before: str, after: str, path: str) -> frozenset[str]:
    """What lost a guard in one file between two commits."""
    step = change(objects, Range(before, before, after), current.repository)
    alone = replace(step, files=tuple(file for file in step.files if file.path == path))
    return frozenset(
        _thing(effect.subject) for effect in effects_of(alone) if effect.hazard is Hazard.PROTECTION_REMOVED and effect.path == path
    )


def _thing(subject: str) -> str:
    """The thing itself, without the attribute a guard's effect may name after it."""
    return subject.partition(" ")[0]
