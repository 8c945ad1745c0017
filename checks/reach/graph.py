"""What depends on what: walked backwards from what changed, without ever building the whole graph.

Each folder's tree object has an index: the keys that any file below it mentions. It follows from the tree's id alone, so between two heads only
the folders on the way to a changed file are computed again, and a search looks only into folders that mention what it looks for.
Bounds are counted in files and steps, never in time: the same two trees always give the same reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.kept import Kept
from checks.model import Entry, Tree, Unreadable
from checks.places import Place, place_of
from checks.reach.cache import Cache
from checks.reach.edges import EXTRACTORS, reading, reading_versions
from checks.reach.edges.base import Extractor, View, folder_of

NODES = 500
"""Dependents that are followed at most."""
DISTANCE = 8
"""Steps from what changed."""
MENTIONS = 4000
"""Mentions of one file that are kept."""
BLOB = 512 << 10
"""Bytes of a file that is read for mentions; larger ones are data or generated."""
CANDIDATES = 200_000
"""Mentions tried in one search."""

Facts = tuple[frozenset[str], tuple[tuple[Extractor, str, tuple[str, ...]], ...]]
"""All keys of one file, and (extractor, mention, keys) of each mention."""


@dataclass(frozen=True, slots=True)
class Step:
    """A file that depends on another."""

    path: str
    on: str
    """What it depends on, one step nearer to the change."""
    reason: str
    distance: int


@dataclass(frozen=True, slots=True)
class Dependents:
    """What a search found, nearest first."""

    steps: Mapping[str, Step]
    cut: str | None = None
    """Why it is not all, if it is not."""

    def path_to(self, path: str) -> tuple[str, ...]:
        """The shortest path from a changed file to `path`."""
        found = [path]
        while found[-1] in self.steps:
            found.append(self.steps[found[-1]].on)
        return tuple(reversed(found))

    def reasons_to(self, path: str) -> tuple[str, ...]:
        """Why each file after the first of `path_to` depends on the one before it."""
        return tuple(self.steps[one].reason for one in self.path_to(path)[1:])


_COUNTS = Kept(100_000)
_INDEXES = Kept(1_500_000)
_FACTS = Kept(500_000)


class Graph:
    """The dependents in one tree. `cache` keeps the mentions of blobs for other processes."""

    def __init__(self, tree: Tree, view: View, cache: Cache) -> None:
        self._tree, self._view, self._cache = tree, view, cache

    def scope(self, folder: str, limit: int) -> tuple[str, bool]:
        """The largest folder at or above `folder` with at most `limit` readable files, and whether that is the whole tree."""
        best: str | None = None
        while True:
            if self._count(folder, None, limit) > limit:
                return (best if best is not None else folder), False
            best = folder
            if not folder:
                return "", True
            folder = folder_of(folder)

    def dependents(self, changed: Iterable[str], scopes: Sequence[str], limit: int = NODES) -> Dependents:
        """What depends on the changed files, looked for below `scopes`, at most `limit` files."""
        steps: dict[str, Step] = {}
        level = dict.fromkeys(changed)
        known = set(level)
        tried = 0
        for distance in range(1, DISTANCE + 1):
            wanted: dict[str, list[str]] = {}
            for path in level:
                for key in self._names(path):
                    wanted.setdefault(key, []).append(path)
            level = {}
            for source, extractor, mention, targets in self._mentioning(wanted, scopes):
                tried += len(targets)
                if tried > CANDIDATES:
                    return Dependents(steps, f"more than {CANDIDATES:,} mentions were tried")
                if source in known and extractor.makes is None:
                    continue
                for path, on in self._led(extractor, mention, source, targets):
                    if path in known:
                        continue
                    known.add(path)
                    level[path] = None
                    steps[path] = Step(path, on, extractor.reason, distance)
                    if len(steps) >= limit:
                        return Dependents(steps, f"{limit:,} dependents were followed, there may be more")
            if not level:
                return Dependents(steps)
        return Dependents(steps, f"dependents further than {DISTANCE} steps are not followed")

    def _led(self, extractor: Extractor, mention: str, source: str, targets: Iterable[str]) -> Iterator[tuple[str, str]]:
        """(dependent, what it depends on) of one mention: the file it stands in, or what was made by what it says."""
        for target in targets:
            if (target != source or extractor.makes is not None) and extractor.leads(mention, source, target, self._view):
                if extractor.makes is None:
                    yield source, target
                    return
                yield from ((path, target) for path in extractor.makes(mention, source, target, self._view))

    def edges(self, targets: Iterable[str], scopes: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Every (source, target, reason) where a file below `scopes` mentions one of `targets`."""
        wanted: dict[str, list[str]] = {}
        for path in targets:
            for key in self._names(path):
                wanted.setdefault(key, []).append(path)
        for source, extractor, mention, meant in self._mentioning(wanted, scopes):
            for target in meant:
                yield from ((path, on, extractor.reason) for path, on in self._led(extractor, mention, source, [target]))

    def _names(self, path: str) -> Iterator[str]:
        for extractor in EXTRACTORS:
            yield from (f"{extractor.name} {name}" for name in dict.fromkeys(extractor.names(path, self._view)))

    def _mentioning(self, wanted: Mapping[str, list[str]], scopes: Sequence[str]) -> Iterator[tuple[str, Extractor, str, list[str]]]:
        keys = frozenset(wanted)
        for scope in scopes:
            for path, entry in self._files_with(scope, None, keys):
                every, mentions = self._facts(path, entry)
                if every.isdisjoint(keys):
                    continue
                for extractor, mention, own in mentions:
                    targets = [target for key in own if key in wanted for target in wanted[key]]
                    if targets:
                        yield path, extractor, mention, targets

    def _files_with(self, folder: str, oid: str | None, keys: frozenset[str]) -> Iterator[tuple[str, Entry]]:
        if self._index(folder, oid).isdisjoint(keys):
            return
        for name, entry in sorted(self._tree.list(folder).items()):
            path = f"{folder}/{name}" if folder else name
            if entry.is_directory and _looked_into(name):
                yield from self._files_with(path, entry.oid, keys)
            elif entry.is_file and reading(name):
                yield path, entry

    def _index(self, folder: str, oid: str | None) -> frozenset[str]:
        """The keys mentioned below a folder."""
        known = _INDEXES.get(oid) if oid else None
        if isinstance(known, frozenset):
            return known
        found: set[str] = set()
        for name, entry in self._tree.list(folder).items():
            path = f"{folder}/{name}" if folder else name
            if entry.is_directory and _looked_into(name):
                found |= self._index(path, entry.oid)
            elif entry.is_file and reading(name):
                found |= self._facts(path, entry)[0]
        index = frozenset(found)
        if oid:
            _INDEXES.put(oid, index, 1 + len(index))
        return index

    def _count(self, folder: str, oid: str | None, limit: int) -> int:
        """How many readable files stand below a folder; stops counting above `limit`."""
        known = _COUNTS.get(oid) if oid else None
        if isinstance(known, int):
            return known
        count = 0
        for name, entry in self._tree.list(folder).items():
            if entry.is_directory and _looked_into(name):
                count += self._count(f"{folder}/{name}" if folder else name, entry.oid, limit - count)
            elif entry.is_file and reading(name):
                count += 1
            if count > limit:
                return count
        if oid:
            _COUNTS.put(oid, count)
        return count

    def _facts(self, path: str, entry: Entry) -> Facts:
        name = path.rpartition("/")[2]
        read_by = reading_versions(name)
        known = _FACTS.get((entry.oid, read_by))
        if isinstance(known, tuple):
            return known[0], known[1]
        extractors = reading(name)
        key = f"{entry.oid} {read_by}"
        kept = self._cache.get("mentions " + key)
        lists: list[list[str]] = json.loads(kept) if kept is not None else self._mentions(path, extractors)
        if kept is None:
            self._cache.put("mentions " + key, json.dumps(lists).encode())
        mentions = tuple(
            (one, mention, tuple(f"{one.name} {word}" for word in one.keys(mention)))
            for one, words in zip(extractors, lists, strict=True)
            for mention in words
        )
        facts: Facts = (frozenset(key for _, _, keys in mentions for key in keys), mentions)
        _FACTS.put((entry.oid, read_by), facts, 2 + len(mentions))
        return facts

    def _mentions(self, path: str, extractors: Sequence[Extractor]) -> list[list[str]]:
        try:
            data = self._tree.read(path) or b""
        except Unreadable:
            data = b""
        if len(data) > BLOB:
            data = b""
        return [list(dict.fromkeys(one.mentions(data)))[:MENTIONS] for one in extractors]


def _looked_into(name: str) -> bool:
    """Whether a folder can hold something that is deployed."""
    return place_of(f"{name}/x") is Place.DEPLOYED
