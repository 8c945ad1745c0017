"""Objects of a repository through one long-lived `git cat-file`: sizes before contents, each blob read once.

Format of the answers: git-scm.com/docs/git-cat-file ("BATCH OUTPUT"); of trees and commits: git-scm.com/book, "Git Objects".
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import cast

from bot.mirror.runner import GitError, GitLimit, Watchdog, collect, end, is_oid, start, version
from checks.kept import Kept
from checks.model import Commit, Entry, Identity, Unreadable

COMMANDS_SINCE = (2, 36)
"""The git that first took several kinds of questions in one `cat-file`; older ones get a process for each kind."""
BLOB_LIMIT = 32 << 20
"""Bytes of one blob that are ever read into memory."""
TREE_LIMIT = 16 << 20
"""Bytes of one tree object: some 400,000 names in one folder."""
COMMIT_LIMIT = 4 << 20
"""Bytes of one commit object: its message and signatures."""
SMALL = 256 << 10
"""Bytes of a blob that is read ahead."""
BATCH = 400
"""Questions asked at once: few enough that they fit into a pipe, so that neither side waits for the other."""
KEPT = 64 << 20
"""Bytes of blobs kept in memory for a second reader."""
BETWEEN = 24 << 20
"""Bytes that are kept between reviews: the trees and the small blobs that every review of a repository reads again."""
NAME = 150
"""Bytes that one name of a tree takes in memory."""

_EMPTY: Mapping[str, Entry] = MappingProxyType({})

_between = Kept(BETWEEN)
_between_lock = threading.Lock()


def remembered_tree(repository: object, oid: str, read: Callable[[], Mapping[str, Entry]]) -> Mapping[str, Entry]:
    """A tree of a repository that an earlier review read, else what `read` gives."""
    with _between_lock:
        known = cast("Mapping[str, Entry] | None", _between.get((repository, oid)))
    if known is None:
        known = read()
        with _between_lock:
            _between.put((repository, oid), known, NAME * (len(known) + 1))
    return known


def remembered_blob(repository: object, oid: str) -> bytes | None:
    """A blob of a repository that an earlier review read, where it is still known."""
    with _between_lock:
        return cast("bytes | None", _between.get((repository, oid)))


def remember_blob(repository: object, oid: str, content: bytes) -> None:
    """Keep a blob for the next review, if it is small."""
    if len(content) <= SMALL:
        with _between_lock:
            _between.put((repository, oid), content, len(content) + NAME)


class Objects:
    """A repository's objects. Safe to use from several threads; `close` ends the git process."""

    def __init__(self, git_dir: Path, bring: Callable[[Sequence[str]], None] | None = None, extra: Mapping[str, str] | None = None) -> None:
        """`bring` fetches contents that this copy left out; without it they are missing. `extra` tells git of more objects."""
        self.git_dir = git_dir
        self._bring = bring
        self._extra = extra
        self._at_end: list[Callable[[], object]] = []
        if version() >= COMMANDS_SINCE:
            child = start(git_dir, "cat-file", "--batch-command", "--buffer", stdin=True, extra=extra)
            watchdog = Watchdog(child)
            self._infos, self._contents = _Pipe(child, watchdog, "info ", "flush\n"), _Pipe(child, watchdog, "contents ", "flush\n")
        else:
            infos, contents = (start(git_dir, "cat-file", word, stdin=True, extra=extra) for word in ("--batch-check", "--batch"))
            self._infos, self._contents = _Pipe(infos, Watchdog(infos)), _Pipe(contents, Watchdog(contents))
        self._beside: list[subprocess.Popen[bytes]] = []
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

    def beside(self, *words: str) -> subprocess.Popen[bytes]:
        """A git that runs beside the reading of objects: it does not outlive it."""
        child = start(self.git_dir, *words)
        self._beside.append(child)
        return child

    def close(self) -> None:
        """End the git processes. May be called twice."""
        while self._at_end:
            self._at_end.pop()()
        for child in self._beside:
            end(child)
        self._infos.close()
        self._contents.close()

    def at_end(self, last: Callable[[], object]) -> None:
        """Say what to do when this is closed: the latest first."""
        self._at_end.append(last)

    @property
    def bring(self) -> Callable[[Sequence[str]], None] | None:
        """What fetches contents that this copy left out."""
        return self._bring

    def resolve(self, name: str, kind: str = "commit") -> str | None:
        """The id of the object that a revision expression names, None if there is none. The name never reaches a command line."""
        if not name or "\n" in name or "\0" in name or len(name) > 1000:
            return None
        with self._lock, self._infos:
            answer = self._infos.ask([f"{name}^{{{kind}}}"])[0]
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
        with self._infos:
            for at in range(0, len(wanted), BATCH):
                batch = wanted[at : at + BATCH]
                for oid, header in zip(batch, self._infos.ask(batch), strict=True):
                    self._sizes[oid] = int(header[2]) if header else -1

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
            if (known := remembered_blob(self.git_dir, oid)) is not None:
                return known
            size = self.size(oid)
            if size < 0:
                raise Unreadable(path, "its content is not in this copy of the repository")
            if size > BLOB_LIMIT:
                raise Unreadable(path, f"{size:,} bytes are over the limit of {BLOB_LIMIT:,}")
            content = self._content(oid, path, BLOB_LIMIT)
            if self._kept + size <= KEPT:
                self._blobs[oid] = content
                self._kept += size
            remember_blob(self.git_dir, oid, content)
            return content

    def contents(self, oids: Iterable[str]) -> None:
        """Read many small blobs in one exchange, as long as there is room to keep them."""
        with self._lock:
            wanted: list[str] = []
            for oid in dict.fromkeys(oids):
                size = self.size(oid)
                if (
                    oid not in self._blobs
                    and remembered_blob(self.git_dir, oid) is None
                    and 0 <= size <= SMALL
                    and self._kept + size <= KEPT
                ):
                    wanted.append(oid)
                    self._kept += size
            for at in range(0, len(wanted), BATCH):
                batch = wanted[at : at + BATCH]
                with self._contents:
                    for oid, content in zip(batch, self._contents.gather(batch), strict=True):
                        self._blobs[oid] = content
                        self.bytes_read += len(content)
                        remember_blob(self.git_dir, oid, content)

    def held(self, oids: Sequence[str]) -> dict[str, bytes]:
        """Those of some blobs that are small, read in one exchange."""
        self.contents(oids)
        with self._lock:
            return {oid: content for oid in oids if (content := self._blobs.get(oid) or remembered_blob(self.git_dir, oid)) is not None}

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """The names directly in a tree object."""
        with self._lock:
            known = self._trees.get(oid)
            if known is None:
                known = self._trees[oid] = remembered_tree(
                    self.git_dir, oid, lambda: _parse_tree(self._small(oid, TREE_LIMIT), len(oid) // 2)
                )
            return known

    def raw_trees(self, oids: Iterable[str]) -> dict[str, bytes | None]:
        """The contents of many tree objects in few exchanges; None for one that is missing or over the limit."""
        with self._lock:
            found: dict[str, bytes | None] = {}
            wanted = list(dict.fromkeys(oids))
            for at in range(0, len(wanted), BATCH):
                with self._contents:
                    found.update(zip(wanted[at : at + BATCH], self._contents.small(wanted[at : at + BATCH], TREE_LIMIT), strict=True))
            self.bytes_read += sum(len(content) for content in found.values() if content)
            return found

    def paths(self, oid: str) -> Sequence[str]:
        """Every file below a tree object."""
        listing = collect(start(self.git_dir, "ls-tree", "-r", "-z", "--name-only", "--full-tree", oid, extra=self._extra), "ls-tree")
        return tuple(name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name)

    def commit(self, oid: str) -> Commit:
        """A commit's author, committer, message and parents."""
        with self._lock:
            return _parse_commit(oid, self._small(oid, COMMIT_LIMIT))

    def text(self, name: str, limit: int = 1 << 20) -> str | None:
        """The blob that `name` (such as `refs/notes/ai:ab12…`) leads to, as text; None if there is none."""
        oid = self.resolve(name, "blob")
        return None if oid is None or self.size(oid) > limit else self.blob(oid, name).decode("utf-8", "replace")

    def _small(self, oid: str, limit: int) -> bytes:
        """A tree or a commit, in one exchange: what is over the limit is let past, not kept."""
        with self._contents:
            content = next(iter(self._contents.small([oid], limit)))
        if content is None:
            raise Unreadable("", f"it is missing from this copy of the repository, or over the limit of {limit:,} bytes")
        self.bytes_read += len(content)
        return content

    def _content(self, oid: str, path: str, limit: int) -> bytes:
        size = self.size(oid)
        if not 0 <= size <= limit:
            raise Unreadable(
                path, "it is missing from this copy of the repository" if size < 0 else f"{size:,} bytes are over the limit of {limit:,}"
            )
        with self._contents:
            if self._contents.ask([oid])[0] is None:
                raise Unreadable(path, "its content is not in this copy of the repository")
            content = self._contents.take(size + 1)
        if len(content) != size + 1:
            raise GitLimit("git ended while it gave an object")
        self.bytes_read += size
        return content[:-1]


class _Pipe:
    """Questions to one `git cat-file` and its answers; used as a block, it is watched for answers that take too long."""

    def __init__(self, child: subprocess.Popen[bytes], watchdog: Watchdog, prefix: str = "", tail: str = "") -> None:
        self._child, self._watchdog, self._prefix, self._tail = child, watchdog, prefix, tail

    def __enter__(self) -> _Pipe:
        self._watchdog.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.__exit__()

    def close(self) -> None:
        """End the process. May be called twice."""
        self._watchdog.stop()
        end(self._child)

    def ask(self, names: Sequence[str]) -> list[tuple[str, str, str] | None]:
        """For each name its (id, kind, size), or None where there is no such object."""
        self._say(names)
        return [self._header() for _ in names]

    def _say(self, names: Sequence[str]) -> None:
        assert self._child.stdin is not None
        text = "".join(f"{self._prefix}{name}\n" for name in names) + self._tail
        try:
            self._child.stdin.write(text.encode("utf-8", "surrogateescape"))
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def gather(self, oids: Sequence[str]) -> Iterator[bytes]:
        """The contents of objects that are known to be there."""
        self._say(oids)
        for oid in oids:
            header = self._header()
            if header is None or header[0] != oid:
                raise GitError("git gave another object than it was asked for")
            content = self.take(int(header[2]) + 1)
            if len(content) != int(header[2]) + 1:
                raise GitLimit("git ended while it gave an object")
            yield content[:-1]

    def small(self, oids: Sequence[str], limit: int) -> Iterator[bytes | None]:
        """The contents of trees or commits, None for one that is missing or over `limit` bytes: what is over is let past, not kept."""
        self._say(oids)
        for _ in oids:
            header = self._header()
            size = int(header[2]) if header is not None else -1
            if size > limit:
                for at in range(0, size + 1, 1 << 20):
                    self.take(min(1 << 20, size + 1 - at))
            content = self.take(size + 1) if 0 <= size <= limit else None
            if content is not None and len(content) != size + 1:
                raise GitLimit("git ended while it gave an object")
            yield None if content is None else content[:-1]

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        assert self._child.stdout is not None
        return self._child.stdout.read(size)

    def _header(self) -> tuple[str, str, str] | None:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise self._ended()
        words = line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ")
        return (words[0], words[1], words[2]) if len(words) == 3 and words[2].isdigit() and is_oid(words[0]) else None

    def _ended(self) -> GitError:
        return GitLimit("git took too long") if self._watchdog.expired else GitError("git ended early: is this a whole repository?")


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


def _parse_commit(oid: str, content: bytes) -> Commit:
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
    return Commit(oid, author, committer, body.decode("utf-8", "replace"), tuple(parents))


def _identity(value: bytes) -> Identity:
    name, _, rest = value.decode("utf-8", "replace").partition(" <")
    return Identity(name, rest.partition(">")[0])


def tree_of(objects: Objects, commit: str) -> str:
    """The id of a commit's tree. Raises `GitError` where the commit is not here."""
    oid = objects.resolve(commit, "tree")
    if oid is None:
        raise GitError(f"the commit {commit[:12]} is not in this repository")
    return oid


class GitTree:
    """The tree of one commit. `known` are entries that need no walk, such as those of a list of changed files."""

    def __init__(self, objects: Objects, commit: str, known: Mapping[str, Entry | None] | None = None) -> None:
        self.objects, self.commit = objects, commit
        self.known = dict(known or {})
        self._folders: dict[str, Mapping[str, Entry]] = {}
        self.oid = tree_of(objects, commit)

    def entry(self, path: str) -> Entry | None:
        if path in self.known:
            return self.known[path]
        folder, _, name = path.rpartition("/")
        return self.list(folder).get(name)

    def read(self, path: str) -> bytes | None:
        entry = self.entry(path)
        return self.objects.blob(entry.oid, path) if entry is not None and entry.is_file else None

    def target(self, path: str) -> str | None:
        entry = self.entry(path)
        return self.objects.blob(entry.oid, path).decode("utf-8", "surrogateescape") if entry is not None and entry.is_link else None

    def prefetch(self, paths: Iterable[str]) -> None:
        """Say what will be read: contents that this copy left out are brought in one go."""
        self.objects.sizes(self._files(paths))

    def read_ahead(self, paths: Iterable[str]) -> None:
        """Read these files in few exchanges."""
        self.objects.contents(self._files(paths))

    def _files(self, paths: Iterable[str]) -> list[str]:
        entries = (self.entry(path) for path in paths)
        return [entry.oid for entry in entries if entry is not None and entry.is_file]

    def list(self, directory: str) -> Mapping[str, Entry]:
        known = self._folders.get(directory)
        if known is None:
            known = self._folders[directory] = self._list(directory)
        return known

    def _list(self, directory: str) -> Mapping[str, Entry]:
        oid = self.oid
        for name in directory.split("/") if directory else ():
            below = self.objects.tree(oid).get(name)
            if below is None or not below.is_directory:
                return _EMPTY
            oid = below.oid
        return self.objects.tree(oid)

    def paths(self) -> Sequence[str]:
        return self._paths

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return tuple(self.objects.paths(self.oid))
