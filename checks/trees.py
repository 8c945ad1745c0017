"""Trees held in memory, and the list of files between two trees: pure counterparts of what git gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from checks.model import Entry, FileChange

FILE, EXECUTABLE, LINK, SUBMODULE, DIRECTORY = 0o100644, 0o100755, 0o120000, 0o160000, 0o040000


class MemoryTree:
    """A tree made of a mapping from path to content (or to a content and a mode)."""

    def __init__(self, files: Mapping[str, bytes | tuple[bytes, int]]) -> None:
        self._content: dict[str, bytes] = {}
        self._entries: dict[str, Entry] = {}
        for path, value in files.items():
            content, mode = value if isinstance(value, tuple) else (value, FILE)
            self._content[path] = content
            self._entries[path] = Entry(mode, hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest())

    @cached_property
    def _folders(self) -> dict[str, dict[str, Entry]]:
        folders: dict[str, dict[str, Entry]] = {"": {}}
        for path, entry in self._entries.items():
            parent, _, name = path.rpartition("/")
            folders.setdefault(parent, {})[name] = entry
            while parent:
                above, _, folder = parent.rpartition("/")
                folders.setdefault(above, {}).setdefault(folder, Entry(DIRECTORY, ""))
                parent = above
        return folders

    def entry(self, path: str) -> Entry | None:
        parent, _, name = path.rpartition("/")
        return self._folders.get(parent, {}).get(name)

    def read(self, path: str) -> bytes | None:
        entry = self._entries.get(path)
        return self._content[path] if entry is not None and entry.is_file else None

    def target(self, path: str) -> str | None:
        entry = self._entries.get(path)
        return self._content[path].decode("utf-8", "surrogateescape") if entry is not None and entry.is_link else None

    def list(self, directory: str) -> Mapping[str, Entry]:
        return self._folders.get(directory, {})

    def prefetch(self, paths: Iterable[str]) -> None:
        """Nothing: all of it is here."""

    def read_ahead(self, paths: Iterable[str]) -> None:
        """Nothing: all of it is here."""

    def paths(self) -> Sequence[str]:
        return tuple(self._entries)


def changed(before: MemoryTree, after: MemoryTree) -> tuple[FileChange, ...]:
    """The files that differ between two trees in memory, renames paired."""
    paths = sorted({*before.paths(), *after.paths()})
    differing = (FileChange(path, before.entry(path), after.entry(path)) for path in paths if before.entry(path) != after.entry(path))
    return pair_renames(differing)


def pair_renames(files: Iterable[FileChange]) -> tuple[FileChange, ...]:
    """Deleted and added files with the same content become renames; so do those with the same name when it is the only one.

    Content is compared by object id alone, so this costs nothing; a file that was moved *and* edited is paired when its name is unique on
    both sides, and a detector compares the two contents itself. A pair stands under its new path.
    """
    everything = list(files)
    deleted = [(file, file.old) for file in everything if file.new is None and file.old is not None and file.old.is_file]
    added = [(file, file.new) for file in everything if file.old is None and file.new is not None and file.new.is_file]
    pairs: dict[str, FileChange] = {}
    taken: set[str] = set()
    for key in (_content, _name):
        gone: dict[str, list[tuple[FileChange, Entry]]] = {}
        for file, entry in deleted:
            if file.path not in taken:
                gone.setdefault(key(file, entry), []).append((file, entry))
        come: dict[str, list[tuple[FileChange, Entry]]] = {}
        for file, entry in added:
            if file.path not in pairs:
                come.setdefault(key(file, entry), []).append((file, entry))
        for value, sources in gone.items():
            targets = come.get(value, [])
            # The same content in several places: pair them in order. The same name: only when there is no doubt.
            if len(sources) == len(targets) and (key is _content or len(targets) == 1):
                for (source, old), (target, new) in zip(sorted(sources, key=_path), sorted(targets, key=_path), strict=True):
                    pairs[target.path] = FileChange(target.path, old, new, source.path)
                    taken.add(source.path)
    return tuple(pairs.get(file.path, file) for file in everything if file.path not in taken)


def _content(file: FileChange, entry: Entry) -> str:
    return entry.oid


def _name(file: FileChange, entry: Entry) -> str:
    return file.path.rpartition("/")[2]


def _path(pair: tuple[FileChange, Entry]) -> str:
    return pair[0].path
