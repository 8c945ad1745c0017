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


class Kept:
    """What this process read or computed before, by what it follows from: forgets what was used longest ago, so that all of it weighs at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit, self._weight = limit, 0
        self._values: OrderedDict[object, tuple[object, int]] = OrderedDict()

    def get(self, key: object) -> object | None:
        """What was put under `key`, or None."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: object, value: object, weight: int = 1) -> None:
        """Keep `value`; what was there under `key` goes."""
        if key in self._values:
            self._weight -= self._values.pop(key)[1]
        self._values[key] = (value, weight)
        self._weight += weight
        while self._weight > self._limit:
            _, (_, gone) = self._values.popitem(last=False)
            self._weight -= gone
