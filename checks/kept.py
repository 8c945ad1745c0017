"""What this process read or computed before, kept by what it follows from, within a bound."""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

Read = TypeVar("Read")


class Kept:
    """Values under keys: forgets what was used longest ago, so that all of it weighs at most `limit`."""

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


def by_content(most: int) -> Callable[[Callable[[bytes, str], Read]], Callable[[bytes, str], Read]]:
    """Have a reader of (content, path) read each content once, and keep at most `most` results by the content's digest.

    So the content itself need not stay in memory: for readers whose results are small beside what they read. What a reader raises is not kept.
    """

    def around(read: Callable[[bytes, str], Read]) -> Callable[[bytes, str], Read]:
        kept = Kept(most)

        @functools.wraps(read)
        def reading(data: bytes, path: str) -> Read:
            key = (hashlib.blake2b(data, digest_size=16).digest(), path)
            found = kept.get(key)
            if found is None:
                found = (read(data, path),)
                kept.put(key, found)
            return cast(tuple[Read], found)[0]

        return reading

    return around
