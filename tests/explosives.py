"""Detectors' bodies that crash, hang and swell: a worker of the sandbox that imports this has them in place of three real detectors' work.

A changed file `hang/STEP` or `crash/STEP` makes a step over the whole change (reach, attribution, agents) do the same.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import checks.assess
from checks.detectors import app_guards, dockerfile, services
from checks.detectors.base import Detector
from checks.model import Change, Effect, FileChange


def _crash(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    ctypes.string_at(0)
    yield from ()


def _hang(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    while True:
        pass
    yield from ()


def _swell(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    hoard: list[Any] = []
    while True:
        hoard.append(bytearray(64 << 20))
    yield from ()


for module, body in ((app_guards, _crash), (dockerfile, _hang), (services, _swell)):
    old = module.DETECTOR
    module.DETECTOR = Detector(old.name, old.title, old.rules, body, old.group)


def _armed(step: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def body(change: Change, *more: Any) -> Any:
        while f"hang/{step}" in change.by_path:
            pass
        if f"crash/{step}" in change.by_path:
            ctypes.string_at(0)
        if f"raise/{step}" in change.by_path:
            raise OverflowError
        return work(change, *more)

    return body


SPINE = sys.modules[checks.assess.__module__]
for step, name in (("reach", "reach_of"), ("attribution", "attribute"), ("agents", "_agents")):
    setattr(SPINE, name, _armed(step, getattr(SPINE, name)))
