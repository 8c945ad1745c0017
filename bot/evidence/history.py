"""The base branch's own history: when an earlier, merged change took the protection off something."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

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
            if not parents or not parents[0]:
                continue
            step = change(objects, Range(parents[0], parents[0], commit), current.repository)
            for effect in effects_of(step):
                if effect.hazard is Hazard.PROTECTION_REMOVED and _thing(effect.subject) in {_thing(name) for name in names}:
                    subject = next(name for name in names if _thing(name) == _thing(effect.subject))
                    found.append(StagedRemoval(path, subject, commit, datetime.datetime.fromtimestamp(int(when), datetime.UTC)))
    return tuple(found)


def _thing(subject: str) -> str:
    """The thing itself, without the attribute a guard's effect may name after it."""
    return subject.partition(" ")[0]
