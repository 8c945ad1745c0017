"""Detectors' bodies that crash, hang and swell: a worker of the sandbox that imports this has them in place of three real detectors' work."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

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
