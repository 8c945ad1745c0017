"""Patterns with `*` and `?`, compared with each other: does one cover the other, do two overlap?

A reference that stays unresolved (`${Bucket.Arn}`) is one symbol: equal only to the same text, covered only by `*`.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html ("Specifying resource wildcards").
"""

from __future__ import annotations

import re
from functools import lru_cache

_SYMBOL = re.compile(r"\$\{[^{}]*\}|\*+|.", re.DOTALL)
_LONG = 600
"""Symbols of a pattern that are compared one by one; a longer one is only equal to itself."""


@lru_cache(maxsize=8192)
def symbols(pattern: str) -> tuple[str, ...]:
    """`pattern` cut into characters, references and runs of `*` as one."""
    return tuple("*" if part[0] == "*" else part for part in _SYMBOL.findall(pattern))


def opaque(pattern: str) -> bool:
    """Whether `pattern` holds a reference whose text is not known."""
    return "${" in pattern


@lru_cache(maxsize=65536)
def covers(wide: str, narrow: str) -> bool:
    """Whether everything `narrow` matches is matched by `wide`: never true when it is not."""
    if wide == narrow or wide == "*":
        return True
    if "*" not in wide and "?" not in wide:
        return False
    over, under = symbols(wide), symbols(narrow)
    if len(over) > _LONG or len(under) > _LONG:
        return False
    # Which positions of `wide` can be reached after reading each symbol of `narrow`: a `*` of `narrow` stands for any text, so only a
    # `*` of `wide` may read it; `?` is read by `?` or `*`.
    state = _closure({0}, over)
    for symbol in under:
        following = set()
        for at in state:
            if at == len(over):
                continue
            head = over[at]
            if head == "*":
                following.add(at)
            elif head == symbol or (head == "?" and len(symbol) == 1 and symbol != "*"):
                following.add(at + 1)
        state = _closure(following, over)
        if not state:
            return False
    return len(over) in state


def _closure(state: set[int], pattern: tuple[str, ...]) -> set[int]:
    out = set(state)
    for at in state:
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            out.add(at)
    return out


@lru_cache(maxsize=65536)
def overlap(one: str, other: str) -> bool:
    """Whether some text is matched by both: true where a reference leaves it open."""
    if one == other or "*" in (one, other):
        return True
    left, right = _loose(one), _loose(other)
    if len(left) > _LONG or len(right) > _LONG:
        return True
    state = _closure({0}, right)
    reach = [_closure({0}, right)]
    # row i: positions of `right` reachable together with position i of `left`
    for index, symbol in enumerate(left):
        state = reach[index]
        following: set[int] = set()
        if symbol == "*":
            low = min(state, default=None)
            following = set(range(low, len(right) + 1)) if low is not None else set()
        else:
            for at in state:
                if at == len(right):
                    continue
                head = right[at]
                if head == "*":
                    following.add(at)
                elif head == symbol or "?" in (head, symbol):
                    following.add(at + 1)
        reach.append(_closure(following, right))
        if not reach[-1]:
            return False
    return len(right) in reach[-1]


def _loose(pattern: str) -> tuple[str, ...]:
    return symbols(re.sub(r"\$\{[^{}]*\}", "*", pattern))
