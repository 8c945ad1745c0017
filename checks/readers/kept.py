"""What was read from a content, kept by that content's digest, so that the content itself need not stay in memory."""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

Read = TypeVar("Read")


def by_content(most: int) -> Callable[[Callable[[bytes, str], Read]], Callable[[bytes, str], Read]]:
    """Have a reader of (content, path) read each content once. At most `most` results are kept, those not asked for longest go first.

    For readers whose results are small beside what they read. What a reader raises is not kept.
    """

    def around(read: Callable[[bytes, str], Read]) -> Callable[[bytes, str], Read]:
        kept: OrderedDict[tuple[bytes, str], Read] = OrderedDict()

        @functools.wraps(read)
        def reading(data: bytes, path: str) -> Read:
            key = (hashlib.blake2b(data, digest_size=16).digest(), path)
            try:
                kept.move_to_end(key)
            except KeyError:
                kept[key] = read(data, path)
                if len(kept) > most:
                    kept.popitem(last=False)
            return kept[key]

        return reading

    return around
