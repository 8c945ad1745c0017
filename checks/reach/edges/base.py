"""What an extractor is: four pure functions from which the search walks backwards.

A file *mentions* others in its own words (`../db`, `acme.shop.orders:total`). What a mention may mean depends on where it stands, so the words
are kept by blob, and whether one *leads* to a certain file is asked only for those that share a *key* with one of that file's *names*.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from checks.model import Tree, Unreadable


class View:
    """The tree at head, and the base's for what is gone; remembers what it was asked during one search."""

    def __init__(self, after: Tree, before: Tree) -> None:
        self._after, self._before = after, before
        self._known: dict[tuple[str, str], Any] = {}

    def read(self, path: str) -> bytes:
        """The content of a file at head, else at base; empty where there is none that can be read."""
        for tree in (self._after, self._before):
            try:
                data = tree.read(path)
            except Unreadable:
                return b""
            if data is not None:
                return data
        return b""

    def has(self, path: str) -> bool:
        """Whether a file stands at `path` at head."""
        entry = self._after.entry(path)
        return entry is not None and entry.is_file

    def names(self, folder: str) -> Iterable[str]:
        """The names directly in a folder at head."""
        return self._after.list(folder)

    def below(self, folder: str, most: int) -> list[str]:
        """At most `most` files below a folder at head, the nearest first."""
        found: list[str] = []
        folders = [folder]
        while folders and len(found) < most:
            here = folders.pop(0)
            for name, entry in sorted(self._after.list(here).items()):
                path = f"{here}/{name}" if here else name
                if entry.is_directory:
                    folders.append(path)
                elif entry.is_file:
                    found.append(path)
        return found[:most]

    def above(self, path: str, name: str) -> str | None:
        """The nearest file called `name` in the folder of `path` or above it."""
        found: str | None = self.once("above " + name, path.rpartition("/")[0], lambda folder: self._climb(folder, name))
        return found

    def _climb(self, folder: str, name: str) -> str | None:
        while True:
            here = f"{folder}/{name}" if folder else name
            if self.has(here):
                return here
            if not folder:
                return None
            folder = folder.rpartition("/")[0]

    def once(self, kind: str, key: str, make: Callable[[str], Any]) -> Any:
        """`make(key)`, computed once a search."""
        slot = (kind, key)
        if slot not in self._known:
            self._known[slot] = make(key)
        return self._known[slot]


@dataclass(frozen=True, slots=True)
class Extractor:
    """How files of one kind mention others."""

    name: str
    reads: re.Pattern[str]
    """Names of the files whose content mentions others."""
    reason: str
    """What a mention means, as in "a *imports* b"."""
    mentions: Callable[[bytes], Iterable[str]]
    """The mentions in a content, in the file's own words: a pure function, kept by blob."""
    keys: Callable[[str], Iterable[str]]
    """Words that a file must be known by for this mention to mean it."""
    names: Callable[[str, View], Iterable[str]]
    """Words that a file is known by."""
    leads: Callable[[str, str, str, View], bool]
    """Whether a mention, standing in the file `source`, means the file `target`."""
    version: int = 1
    makes: Callable[[str, str, str, View], Iterable[str]] | None = None
    """Where what depends on the target is not the file with the mention but what was made by what it says: a mention, its file, the target."""


def folder_of(path: str) -> str:
    """The folder a path stands in, "" for the root."""
    return path.rpartition("/")[0]


def last(path: str) -> str:
    """The last word of a path."""
    return path.rstrip("/").rpartition("/")[2]


def joined(folder: str, path: str) -> str:
    """`path` as written in a file of `folder`, from the root; "" is the root, and what leaves the tree starts with `..`."""
    found = posixpath.normpath(posixpath.join(folder or ".", path))
    return "" if found == "." else found


def text(data: bytes) -> str:
    """Bytes as text, whatever they are."""
    return data.decode("utf-8", "replace")
