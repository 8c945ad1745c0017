"""Objects of a repository through one long-lived `git cat-file`: sizes before contents, each blob read once.

Format of the answers: git-scm.com/docs/git-cat-file ("BATCH OUTPUT"); of trees and commits: git-scm.com/book, "Git Objects".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from bot.mirror.runner import GitError, GitLimit, Watchdog, end, is_oid, run, start
from checks.model import Commit, Entry, Identity, Unreadable

BLOB_LIMIT = 32 << 20
"""Bytes of one blob that are ever read into memory."""
TREE_LIMIT = 16 << 20
"""Bytes of one tree object: some 400,000 names in one folder."""
KEPT = 64 << 20
"""Bytes of blobs kept in memory for a second reader."""

_EMPTY: Mapping[str, Entry] = MappingProxyType({})


class Objects:
    """A repository's objects. Safe to use from several threads; `close` ends the git process."""

    def __init__(self, git_dir: Path, bring: Callable[[Sequence[str]], None] | None = None) -> None:
        """`bring` fetches contents that this copy left out; without it they are missing."""
        self.git_dir = git_dir
        self._bring = bring
        self._child = start(git_dir, "cat-file", "--batch-command", "--buffer", stdin=True)
        self._watchdog = Watchdog(self._child)
        self._lock = threading.RLock()
        self._sizes: dict[str, int] = {}
        self._blobs: dict[str, bytes] = {}
        self._kept = 0
        self._trees: dict[str, Mapping[str, Entry]] = {}
        self.bytes_read = 0
        """Bytes of content taken from git."""

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the git process. May be called twice."""
        self._watchdog.stop()
        end(self._child)

    def resolve(self, name: str, kind: str = "commit") -> str | None:
        """The id of the object that a revision expression names, None if there is none. The name never reaches a command line."""
        if not name or "\n" in name or "\0" in name or len(name) > 1000:
            return None
        with self._lock:
            answer = self._ask_one(f"info {name}^{{{kind}}}")
        return None if answer is None else answer[0]

    def sizes(self, oids: Iterable[str]) -> None:
        """Learn the sizes of many blobs in one exchange; those that this copy left out are brought in one fetch."""
        with self._lock:
            wanted = [oid for oid in dict.fromkeys(oids) if oid not in self._sizes]
            self._ask_sizes(wanted)
            absent = [oid for oid in wanted if self._sizes[oid] < 0]
            if absent and self._bring is not None:
                self._bring(absent)
                self._ask_sizes(absent)

    def _ask_sizes(self, wanted: Sequence[str]) -> None:
        with self._watchdog:
            for start_at in range(0, len(wanted), 400):
                batch = wanted[start_at : start_at + 400]
                self._send("".join(f"info {oid}\n" for oid in batch))
                for oid in batch:
                    header = self._header()
                    self._sizes[oid] = int(header[2]) if len(header) == 3 else -1

    def size(self, oid: str) -> int:
        """Bytes of a blob; -1 if it is not there."""
        if oid not in self._sizes:
            self.sizes([oid])
        return self._sizes[oid]

    def blob(self, oid: str, path: str) -> bytes:
        """The content of a blob. Raises `Unreadable` where it is missing or over the limit."""
        with self._lock:
            if oid in self._blobs:
                return self._blobs[oid]
            size = self.size(oid)
            if size < 0:
                raise Unreadable(path, "its content is not in this copy of the repository")
            if size > BLOB_LIMIT:
                raise Unreadable(path, f"{size:,} bytes are over the limit of {BLOB_LIMIT:,}")
            content = self._content(oid, path, BLOB_LIMIT)
            if self._kept + size <= KEPT:
                self._blobs[oid] = content
                self._kept += size
            return content

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """The names directly in a tree object."""
        with self._lock:
            known = self._trees.get(oid)
            if known is None:
                known = self._trees[oid] = _parse_tree(self._content(oid, "", TREE_LIMIT), len(oid) // 2)
            return known

    def commit(self, oid: str, note: str | None = None) -> Commit:
        """A commit's author, committer, message and parents."""
        with self._lock:
            return _parse_commit(oid, self._content(oid, "", 4 << 20), note)

    def text(self, name: str, limit: int = 1 << 20) -> str | None:
        """The blob that `name` (such as `refs/notes/ai:ab12…`) leads to, as text; None if there is none."""
        oid = self.resolve(name, "blob")
        return None if oid is None or self.size(oid) > limit else self.blob(oid, name).decode("utf-8", "replace")

    def _ask_one(self, line: str) -> tuple[str, str, int] | None:
        with self._watchdog:
            self._send(line + "\n")
            header = self._header()
        return (header[0], header[1], int(header[2])) if len(header) == 3 and is_oid(header[0]) else None

    def _content(self, oid: str, path: str, limit: int) -> bytes:
        size = self.size(oid)
        if not 0 <= size <= limit:
            raise Unreadable(
                path, "it is missing from this copy of the repository" if size < 0 else f"{size:,} bytes are over the limit of {limit:,}"
            )
        with self._watchdog:
            self._send(f"contents {oid}\n")
            header = self._header()
            if len(header) != 3:
                raise Unreadable(path, "its content is not in this copy of the repository")
            assert self._child.stdout is not None
            content = self._child.stdout.read(size + 1)
        if len(content) != size + 1:
            raise GitLimit("git ended while it gave an object")
        self.bytes_read += size
        return content[:-1]

    def _send(self, text: str) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(text.encode("utf-8", "surrogateescape") + b"flush\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise GitError("git ended early: is this a whole repository, and git 2.36 or newer?") from None

    def _header(self) -> list[str]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise (
                GitLimit("git took too long")
                if self._watchdog.expired
                else GitError("git ended early: is this a whole repository, and git 2.36 or newer?")
            )
        words = line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ")
        return words if len(words) == 3 and words[2].isdigit() else []


def _parse_tree(content: bytes, width: int) -> Mapping[str, Entry]:
    names: dict[str, Entry] = {}
    at = 0
    while at < len(content):
        space = content.index(b" ", at)
        nul = content.index(b"\0", space)
        name = content[space + 1 : nul].decode("utf-8", "surrogateescape")
        end_at = nul + 1 + width
        names[name] = Entry(int(content[at:space], 8), content[nul + 1 : end_at].hex())
        at = end_at
    return names


def _parse_commit(oid: str, content: bytes, note: str | None) -> Commit:
    head, _, body = content.partition(b"\n\n")
    parents: list[str] = []
    author = committer = Identity("", "")
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"parent":
            parents.append(value.decode("ascii", "replace"))
        elif key == b"author":
            author = _identity(value)
        elif key == b"committer":
            committer = _identity(value)
    return Commit(oid, author, committer, body.decode("utf-8", "replace"), tuple(parents), note)


def _identity(value: bytes) -> Identity:
    name, _, rest = value.decode("utf-8", "replace").partition(" <")
    return Identity(name, rest.partition(">")[0])


class GitTree:
    """The tree of one commit. `known` are entries that need no walk, such as those of a list of changed files."""

    def __init__(self, objects: Objects, commit: str, known: Mapping[str, Entry | None] | None = None) -> None:
        self._objects, self._commit = objects, commit
        self._known = dict(known or {})
        self._folders: dict[str, Mapping[str, Entry]] = {}
        root = objects.resolve(commit, "tree")
        if root is None:
            raise GitError(f"the commit {commit[:12]} is not in this repository")
        self.oid = root

    def entry(self, path: str) -> Entry | None:
        if path in self._known:
            return self._known[path]
        folder, _, name = path.rpartition("/")
        return self.list(folder).get(name)

    def read(self, path: str) -> bytes | None:
        entry = self.entry(path)
        return self._objects.blob(entry.oid, path) if entry is not None and entry.is_file else None

    def target(self, path: str) -> str | None:
        entry = self.entry(path)
        return self._objects.blob(entry.oid, path).decode("utf-8", "surrogateescape") if entry is not None and entry.is_link else None

    def prefetch(self, paths: Iterable[str]) -> None:
        """Say what will be read: contents that this copy left out are brought in one go."""
        entries = (self.entry(path) for path in paths)
        self._objects.sizes(entry.oid for entry in entries if entry is not None and entry.is_file)

    def list(self, directory: str) -> Mapping[str, Entry]:
        known = self._folders.get(directory)
        if known is None:
            known = self._folders[directory] = self._list(directory)
        return known

    def _list(self, directory: str) -> Mapping[str, Entry]:
        oid = self.oid
        for name in directory.split("/") if directory else ():
            below = self._objects.tree(oid).get(name)
            if below is None or not below.is_directory:
                return _EMPTY
            oid = below.oid
        return self._objects.tree(oid)

    def paths(self) -> Sequence[str]:
        return self._paths

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        listing = run(self._objects.git_dir, "ls-tree", "-r", "-z", "--name-only", "--full-tree", self.oid)
        return tuple(name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name)
