"""Starts git: one environment, one set of flags, bounded output, memory and time, the whole process group ended on any of them.

No word from outside is ever an option: object names go through standard input or are checked to be hexadecimal. The switches follow
git-scm.com/docs/git ("Environment Variables") and git-scm.com/docs/git-config; each closes a way to run code or to hide a change.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

MEMORY = 2 << 30
"""Bytes of address space of one git process: packs are mapped into it."""
DATA = 640 << 20
"""Bytes of memory of its own of one git process."""
OUTPUT = 256 << 20
"""Bytes of output of one git command that are taken."""
SECONDS = 60.0
"""How long one command may take."""

FLAGS: tuple[str, ...] = (
    "--no-pager",
    "--no-optional-locks",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.attributesFile=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false",
    "-c", "core.commitGraph=true",
    "-c", "diff.renames=false",
    "-c", "safe.directory=*",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    "-c", "core.bigFileThreshold=8m",
    "-c", "advice.graftFileDeprecated=false",
)  # fmt: skip

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


class GitError(Exception):
    """git could not do what was asked: its own words, without secrets."""


class GitLimit(GitError):
    """git was ended because it went over a bound of time, memory or output."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a git process: nothing of ours is inherited but the search path."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_ALLOW_PROTOCOL": "none",
        **(extra or {}),
    }


@lru_cache(maxsize=1)
def version() -> tuple[int, int]:
    """The version of the git on the search path: (2, 39). Raises `GitError` where there is none."""
    try:
        words = subprocess.run(["git", "version"], capture_output=True, env=environment(), timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        raise GitError("git is not installed, or not on the search path") from None
    found = re.search(rb"(\d+)\.(\d+)", words)
    if not found:
        raise GitError("git does not say its version")
    return int(found[1]), int(found[2])


def is_oid(text: str) -> bool:
    """Whether `text` is a whole object id."""
    return _OID.match(text) is not None


def command(git_dir: Path, *words: str) -> list[str]:
    """The argument list of git for a repository."""
    return ["git", *FLAGS, f"--git-dir={git_dir}", *words]


def start(git_dir: Path, *words: str, stdin: bool = False, extra: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A running git with pipes, in its own process group and within the memory limit."""
    try:
        child = subprocess.Popen(
            command(git_dir, *words),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if stdin else subprocess.PIPE,
            env=environment(extra),
            start_new_session=True,
            cwd="/",
        )
    except FileNotFoundError:
        raise GitError("git is not installed, or not on the search path") from None
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.prlimit(child.pid, resource.RLIMIT_DATA, (DATA, DATA))
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    """End a git process and all that it started, and reap it."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait()


class Watchdog:
    """Ends a long-lived git when one of its answers takes too long: one thread for all answers, awake once a second."""

    def __init__(self, child: subprocess.Popen[bytes], seconds: float = SECONDS) -> None:
        self._child, self._seconds = child, seconds
        self._since: float | None = None
        self._over = threading.Event()
        self.expired = False
        """Whether it had to be ended."""
        self._thread = threading.Thread(target=self._watch, name="git watchdog", daemon=True)
        self._thread.start()

    def __enter__(self) -> Watchdog:
        self._since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._since = None

    def stop(self) -> None:
        """Nothing more to watch."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            since = self._since
            if since is not None and time.monotonic() - since > self._seconds:
                self.expired = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._child.pid, signal.SIGKILL)
                return


@contextlib.contextmanager
def deadline(child: subprocess.Popen[bytes], seconds: float = SECONDS) -> Iterator[threading.Event]:
    """Ends `child` after `seconds`; the event tells whether that happened."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def collect(child: subprocess.Popen[bytes], what: str, seconds: float = SECONDS, limit: int = OUTPUT, fine: Sequence[int] = (0,)) -> bytes:
    """All output of a started git. Raises `GitLimit` over a bound and `GitError` for an exit status not in `fine`."""
    assert child.stdout is not None
    try:
        with deadline(child, seconds) as expired:
            pieces: list[bytes] = []
            size = 0
            while piece := child.stdout.read(1 << 20):
                size += len(piece)
                if size > limit:
                    raise GitLimit(f"git {what} gave more than {limit >> 20} MiB")
                pieces.append(piece)
            words = child.stderr.read(4000) if child.stderr else b""
            status = child.wait()
        if expired.is_set():
            raise GitLimit(f"git {what} took more than {seconds:.0f} s")
        if status not in fine:
            text = words.decode("utf-8", "replace").strip().splitlines()
            raise (GitLimit if status < 0 else GitError)(f"git {what} failed: {text[-1] if text else f'status {status}'}")
        return b"".join(pieces)
    finally:
        end(child)


def run(git_dir: Path, *words: str, seconds: float = SECONDS, fine: Sequence[int] = (0,)) -> bytes:
    """Run git to its end and give its output."""
    return collect(start(git_dir, *words), words[0], seconds, fine=fine)
