"""Analysis in processes that may crash, hang or swell: whatever happens there becomes an effect here, and the rest is judged all the same.

A worker gets a change without its trees and asks for objects over its pipe, so it needs no git, no files of the repository and no network. It
has an empty environment, bounds of memory, files and computing time, and tells before each group of files which detector takes it: when it
ends early, that group is left out and said, and the others are judged by the next worker. Answers are JSON: nothing a worker says is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import resource
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from bot.mirror.objects import BATCH, remember_blob, remembered_blob, remembered_tree
from checks.detectors.base import Watch
from checks.model import Assessment, Change, Entry, FileChange, Tree, Unreadable, nothing_counted
from checks.policy import Policy

SECONDS = 3.0
"""Computing time of one group of files; each file of it adds a little."""
STEP = 4
"""A step over the whole change, such as its reach, has that many times as much."""
WALL = 120.0
"""How long a worker may say nothing at all."""
MEMORY = 1536 << 20
"""Bytes of address space of a worker."""
ANSWER = 64 << 20
"""Bytes of one message from a worker."""
KILLS = 4
"""Workers that one review may cost before it is told as not analysed as a whole."""
REVIEWS = 200
"""Reviews after which a worker is replaced."""


class SandboxError(Exception):
    """The analysis ended early, and not within a detector: nothing can be said of the change."""


class Sandbox:
    """A pool of warm workers. `assess` blocks: call it in a thread; as many reviews run at a time as there are workers."""

    def __init__(self, workers: int = 2, seconds: float = SECONDS, memory: int = MEMORY, wall: float = WALL, prepare: str = "") -> None:
        """`prepare` is a module that a worker imports first: for tests."""
        self._seconds, self._memory, self._wall, self._prepare = seconds, memory, wall, prepare
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._workers = workers
        self._alive: set[_Worker] = set()
        self._closed = False
        self.kills = 0
        """Workers that ended early."""

    def warm(self) -> None:
        """Start every worker, so that the first review need not wait for one."""
        taken = [self._idle.get() for _ in range(self._workers)]
        for worker in taken:
            self._idle.put(worker or self._start())

    def close(self) -> None:
        """End all workers; a review that is in one ends with `SandboxError`."""
        self._closed = True
        for worker in tuple(self._alive):
            worker.kill()
        with contextlib.suppress(queue.Empty):
            while True:
                idle = self._idle.get_nowait()
                if idle is not None:
                    self._end(idle)

    def _start(self) -> _Worker:
        if self._closed:
            raise SandboxError("the analysis was stopped")
        worker = _Worker(self._memory, self._prepare)
        self._alive.add(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        self._alive.discard(worker)
        worker.end()

    def assess(self, change: Change, policy: Policy) -> Assessment:
        """What `checks.assess` says of a change whose trees are git's. Raises `SandboxError`."""
        left_out: dict[str, str] = {}
        worker = self._idle.get()
        try:
            for attempt in range(KILLS + 1):
                worker = worker or self._start()
                try:
                    assessment = worker.assess(change, policy, left_out, self._seconds, self._wall, whole=attempt == KILLS)
                except _Ended as ended:
                    self.kills += 1
                    self._end(worker)
                    worker = None
                    if not ended.group:
                        raise SandboxError(f"the analysis {ended.why}") from None
                    left_out[ended.group] = ended.why
                    continue
                if worker.reviews >= REVIEWS:
                    self._end(worker)
                    worker = None
                return assessment
            raise SandboxError("the analysis ended early again and again")
        finally:
            self._idle.put(worker)


_TREES = ("before", "after", "tip", "merged")


class _Ended(Exception):
    def __init__(self, group: str, why: str) -> None:
        super().__init__(why)
        self.group, self.why = group, why


@dataclass(frozen=True)
class _Handle:
    """A tree without its objects."""

    commit: str
    known: Mapping[str, Entry | None]


@dataclass(frozen=True)
class _Job:
    change: Change
    policy: Policy
    left_out: Mapping[str, str]
    seconds: float
    whole: bool
    """Detectors are not run at all: too many workers ended."""


_REASONS = {
    signal.SIGPROF: "took too much computing time",
    signal.SIGXCPU: "took too much computing time",
    signal.SIGSEGV: "crashed the reader",
    signal.SIGABRT: "crashed the reader",
    signal.SIGBUS: "crashed the reader",
    signal.SIGKILL: "took too long",
}
_START = "import sys; sys.path[:0] = {path!r}; from bot.sandbox import work; work({memory}, {prepare!r})"


class _Worker:
    """One process, seen from outside."""

    def __init__(self, memory: int, prepare: str) -> None:
        root = str(Path(__file__).resolve().parent.parent)
        self.reviews = 0
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-c", _START.format(path=[root], memory=memory, prepare=prepare)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._to, self._from = self._child.stdin, self._child.stdout
        self._group = ""

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._child.poll() is None:
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait()

    def end(self) -> None:
        self.kill()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                pipe.close()
        self._child.wait()

    def assess(self, change: Change, policy: Policy, left_out: Mapping[str, str], seconds: float, wall: float, whole: bool) -> Assessment:
        from bot import codec
        from bot.mirror.objects import GitTree

        self.reviews += 1
        self._group = ""
        trees = {name: cast(GitTree, getattr(change, name)) for name in _TREES if getattr(change, name) is not None}
        handles: dict[str, Any] = {name: _Handle(tree.commit, tree.known) for name, tree in trees.items()}
        # Where there is a merged tree, its copy of the objects knows all the others' too.
        objects = trees.get("merged", trees["after"]).objects
        self._send(pickle.dumps(_Job(replace(change, counted=nothing_counted, **handles), policy, left_out, seconds, whole)))
        while True:
            message = self._receive(wall)
            if "group" in message:
                self._group = str(message["group"])
            elif "done" in message:
                try:
                    assessment = codec.load(Assessment, str(message["done"]))
                except ValueError:
                    raise _Ended("", "gave no assessment") from None
                added, removed = change.counted()
                return replace(assessment, change=replace(assessment.change, additions=added, deletions=removed))
            elif "failed" in message:
                raise _Ended("", f"failed with {str(message['failed'])[:60]}")
            else:
                self._send(pickle.dumps(_answer(objects, message)))

    def _send(self, data: bytes) -> None:
        try:
            self._to.write(struct.pack(">I", len(data)) + data)
            self._to.flush()
        except (BrokenPipeError, OSError):
            raise self._ended() from None

    def _receive(self, wall: float) -> dict[str, Any]:
        until = time.monotonic() + wall
        (size,) = struct.unpack(">I", self._exactly(4, until))
        if size > ANSWER:
            raise _Ended(self._group, "said too much")
        try:
            message = json.loads(self._exactly(size, until))
        except (ValueError, RecursionError):
            raise _Ended(self._group, "said nothing sensible") from None
        if not isinstance(message, dict):
            raise _Ended(self._group, "said nothing sensible")
        return message

    def _exactly(self, size: int, until: float) -> bytes:
        pieces: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            while size:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise _Ended(self._group, "took too long")
                piece = os.read(self._from.fileno(), min(size, 1 << 20))
                if not piece:
                    raise self._ended()
                pieces.append(piece)
                size -= len(piece)
        return b"".join(pieces)

    def _ended(self) -> _Ended:
        try:
            status = self._child.wait(5)
        except subprocess.TimeoutExpired:
            return _Ended(self._group, "ended its pipe")
        why = _REASONS.get(signal.Signals(-status), f"ended with signal {-status}") if status < 0 else "ended early"
        return _Ended(self._group, why)


_CALLS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "resolve": lambda objects, words: objects.resolve(str(words[0]), str(words[1])),
    "sizes": lambda objects, words: objects.sizes([str(word) for word in words]),
    "blob": lambda objects, words: objects.blob(str(words[0]), str(words[1])),
    "contents": lambda objects, words: objects.held([str(word) for word in words]),
    "tree": lambda objects, words: objects.tree(str(words[0])),
    "paths": lambda objects, words: objects.paths(str(words[0])),
}
"""What a worker may ask for: objects by id, of the one repository under review."""


def _answer(objects: Any, message: Mapping[str, Any]) -> tuple[str, Any]:
    from bot.mirror.runner import GitError, is_oid

    call, words = message.get("ask"), message.get("words")
    if call not in _CALLS or not isinstance(words, list) or (call not in ("resolve", "sizes", "contents") and not is_oid(str(words[0]))):
        return "error", "no such question"
    try:
        found = _CALLS[call](objects, words)
        return "ok", dict(found) if call == "tree" else found
    except Unreadable as unreadable:
        return "unreadable", (unreadable.path, unreadable.why, unreadable.line)
    except GitError as error:
        return "error", str(error)


# ------------------------------------------------------------------------------------------------------------------ in the worker


class _Asked:
    """The objects of the repository, asked for over the pipe."""

    def __init__(self, wire: _Wire, repository: str) -> None:
        self._wire, self._repository = wire, repository
        self._blobs: dict[str, bytes] = {}
        self._trees: dict[str, Mapping[str, Entry]] = {}

    def resolve(self, name: str, kind: str = "commit") -> str | None:
        return cast("str | None", self._wire.ask("resolve", name, kind))

    def sizes(self, oids: Iterable[str]) -> None:
        self._wire.ask("sizes", *oids)

    def contents(self, oids: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(oids))
        for at in range(0, len(wanted), BATCH):
            self._blobs.update(self._wire.ask("contents", *wanted[at : at + BATCH]))

    def blob(self, oid: str, path: str) -> bytes:
        found = self._blobs.get(oid) or remembered_blob(self._repository, oid)
        if found is None:
            found = cast(bytes, self._wire.ask("blob", oid, path))
            remember_blob(self._repository, oid, found)
        return found

    def tree(self, oid: str) -> Mapping[str, Entry]:
        if oid not in self._trees:
            self._trees[oid] = remembered_tree(self._repository, oid, lambda: cast("Mapping[str, Entry]", self._wire.ask("tree", oid)))
        return self._trees[oid]

    def paths(self, oid: str) -> Sequence[str]:
        return cast(Sequence[str], self._wire.ask("paths", oid))


class _Wire:
    """The pipe, seen from inside."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink

    def receive(self) -> Any:
        head = self._source.read(4)
        if len(head) < 4:
            sys.exit(0)
        return pickle.loads(self._source.read(struct.unpack(">I", head)[0]))  # noqa: S301 - from the server, never the other way

    def say(self, **message: Any) -> None:
        data = json.dumps(message).encode()
        self._sink.write(struct.pack(">I", len(data)) + data)
        self._sink.flush()

    def ask(self, call: str, *words: str) -> Any:
        self.say(ask=call, words=words)
        kind, value = self.receive()
        if kind == "unreadable":
            raise Unreadable(*value)
        if kind != "ok":
            raise Unreadable("", str(value))
        return value


class _Told(Watch):
    """Tells each group before it is judged, and gives it its share of computing time."""

    def __init__(self, wire: _Wire, job: _Job) -> None:
        self._wire, self._job = wire, job

    def refuses(self, detector: str, members: Sequence[FileChange]) -> str | None:
        # A file that ended a worker alone ends the next detector's too, so it is left out everywhere; of several files only the group is.
        # Without files it is a step over the whole change.
        group = detector if not members else members[0].path if len(members) == 1 else f"{detector}\0{members[0].path}"
        why = f"the analysis ended early {KILLS} times" if self._job.whole else self._job.left_out.get(group)
        if why is None:
            self._wire.say(group=group)
            signal.setitimer(signal.ITIMER_PROF, self._job.seconds * (1 if members else STEP) + len(members) / 100)
        return why


def work(memory: int, prepare: str) -> None:
    """A worker's life: jobs from standard input, messages to standard output, until the server closes the pipe."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for bound, value in (("AS", memory), ("NOFILE", 64), ("FSIZE", 0), ("CORE", 0)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{bound}"), (value, value))
    if prepare:
        import importlib

        importlib.import_module(prepare)
    from bot import codec
    from bot.mirror.objects import GitTree, Objects
    from checks.assess import assess
    from checks.detectors.base import not_analysed
    from checks.effects import effects_of

    wire = _Wire(source, sink)
    while True:
        job: _Job = wire.receive()
        signal.setitimer(signal.ITIMER_PROF, 10 * job.seconds)
        asked = cast(Objects, _Asked(wire, job.change.repository))
        trees: dict[str, Tree] = {}
        try:
            for name in _TREES:
                handle = cast("_Handle | None", getattr(job.change, name))
                if handle is not None:
                    trees[name] = GitTree(asked, handle.commit, handle.known)
            watch = _Told(wire, job)
            change = replace(job.change, **trees)  # type: ignore[arg-type]  # the three trees
            asked.contents(entry.oid for file in change.files for entry in (file.old, file.new) if entry is not None and entry.is_file)
            if job.whole:
                found = [not_analysed(change.files[0].path, f"the analysis ended early {KILLS} times") for _ in change.files[:1]]
            else:
                found = list(effects_of(change, watch=watch))
            done = codec.dump(assess(change, job.policy, found, watch))
        except (Exception, MemoryError) as error:  # noqa: BLE001 - told to the server, which publishes a red verdict
            wire.say(failed=type(error).__name__)
        else:
            wire.say(done=done)
        signal.setitimer(signal.ITIMER_PROF, 0)
