"""Where facts about blobs are kept between reviews. A fact follows from the blob alone, so a kept one is as good as a new one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol


class Cache(Protocol):
    """Keeps bytes under a key; may forget any of them at any time."""

    def get(self, key: str) -> bytes | None:
        """What was put under `key`, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`."""


class Memory:
    """A cache in memory that forgets what was asked for longest ago."""

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: str, value: bytes) -> None:
        self._kept[key] = value
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
