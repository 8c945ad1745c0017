"""The files that differ between two tree objects, read through the one long-lived `git cat-file`: no process of its own.

Equal folders have equal ids and are not opened, and of a folder only what lies between its equal beginning and its equal end is taken apart, so the
work grows with the change. Format of a tree: git-scm.com/book, "Git Objects". Trees that git itself would not write, and more than a review should
walk, are left to `git diff-tree`, which sees them as git does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.mirror.objects import Objects
from bot.mirror.runner import GitError, collect, start
from checks.model import Entry, FileChange

LISTING = 64 << 20
"""Bytes of git's own list of changed files: some 400,000 of them. A longer one is not read to its end."""
FOLDERS = 4_000
"""Tree objects that are taken apart before git is asked instead."""
NAMES = 200_000
"""Names that are taken apart before git is asked instead."""
RAW = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", "--no-ext-diff", "--no-textconv")
"""git's list of changed files, as `raw_records` reads it."""


class _LeftToGit(Exception):
    """A tree that is irregular, too large or not here."""


@dataclass(frozen=True, slots=True)
class _Pair:
    folder: str
    old: str | None
    new: str | None


def differing(objects: Objects, old: str, new: str) -> list[FileChange]:
    """The files that differ between two trees, in git's order, renames not paired. Raises `GitError`."""
    try:
        return sorted(_walked(objects, old, new), key=lambda file: file.path.encode("utf-8", "surrogateescape"))
    except _LeftToGit:
        return raw_records(collect(start(objects.git_dir, *RAW, old, new), "diff-tree", limit=LISTING))


def _walked(objects: Objects, old: str, new: str) -> Iterator[FileChange]:
    level = [_Pair("", old, new)] if old != new else []
    folders = names = 0
    while level:
        wanted = [oid for pair in level for oid in (pair.old, pair.new) if oid]
        folders += len(wanted)
        if folders > FOLDERS:
            raise _LeftToGit
        content = objects.raw_trees(wanted)
        below: list[_Pair] = []
        for pair in level:
            was, now = _between(_content(content, pair.old), _content(content, pair.new), len(old) // 2)
            names += len(was) + len(now)
            if names > NAMES:
                raise _LeftToGit
            for name in was.keys() | now.keys():
                before, after = was.get(name), now.get(name)
                if before == after:
                    continue
                path = pair.folder + name.decode("utf-8", "surrogateescape")
                trees = [entry.oid if entry is not None and entry.is_directory else None for entry in (before, after)]
                if any(trees):
                    below.append(_Pair(path + "/", trees[0], trees[1]))
                files = [None if entry is None or entry.is_directory else entry for entry in (before, after)]
                if any(files):
                    yield FileChange(path, files[0], files[1])
        level = below


def _content(content: dict[str, bytes | None], oid: str | None) -> bytes:
    if oid is None:
        return b""
    found = content[oid]
    if found is None:
        raise _LeftToGit
    return found


def _between(old: bytes, new: bytes, width: int) -> tuple[dict[bytes, Entry], dict[bytes, Entry]]:
    """The entries of two states of a folder without those of their equal beginning and their equal end."""
    first = _start(old, _same(old, new), width)
    tail = _same(old[: first - 1 : -1] if first else old[::-1], new[: first - 1 : -1] if first else new[::-1])
    sides = (_Side(old, first, width), _Side(new, first, width))
    for side in sides:
        while side.left > tail:
            side.take()
    # The same bytes may be cut into entries otherwise, where a name looks like an entry: only from where both are cut alike is the rest equal.
    while sides[0].left != sides[1].left:
        max(sides, key=lambda side: side.left).take()
    return sides[0].found, sides[1].found


class _Side:
    """One state of a folder, taken apart entry by entry. Each name once, and none with a slash, or git has to look."""

    def __init__(self, content: bytes, at: int, width: int) -> None:
        self.content, self.at, self.width = content, at, width
        self.found: dict[bytes, Entry] = {}

    @property
    def left(self) -> int:
        return len(self.content) - self.at

    def take(self) -> None:
        content, at = self.content, self.at
        nul = content.find(b"\0", at)
        space = content.find(b" ", at, nul)
        end = nul + 1 + self.width
        name = content[space + 1 : nul]
        if nul < 0 or space < 0 or end > len(content) or name in self.found or b"/" in name:
            raise _LeftToGit
        self.found[name] = Entry(int(content[at:space], 8), content[nul + 1 : end].hex())
        self.at = end


def _same(one: bytes, other: bytes) -> int:
    """How many bytes at the beginning are equal."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _start(content: bytes, same: int, width: int) -> int:
    """Where the entry begins in which the first `same` bytes end."""
    at = 0
    while True:
        nul = content.find(b"\0", at, same)
        if nul < 0 or nul + 1 + width > same:
            return at
        at = nul + 1 + width


def raw_records(output: bytes) -> list[FileChange]:
    """The records of `diff-tree -z --raw`: git-scm.com/docs/git-diff-tree, "RAW OUTPUT FORMAT". Raises `GitError` if they do not add up."""
    fields = output.split(b"\0")
    if fields[-1] == b"":
        fields.pop()
    if len(fields) % 2:
        raise GitError("the list of changed files is cut")
    files: list[FileChange] = []
    for header, name in zip(fields[::2], fields[1::2], strict=True):
        if not header.startswith(b":"):
            raise GitError("the list of changed files is not in git's raw format")
        old_mode, new_mode, old_oid, new_oid, _ = header[1:].decode("ascii").split(" ", 4)
        files.append(FileChange(name.decode("utf-8", "surrogateescape"), _entry(old_mode, old_oid), _entry(new_mode, new_oid)))
    return files


def _entry(mode: str, oid: str) -> Entry | None:
    return None if mode == "000000" else Entry(int(mode, 8), oid)
