"""Bare copies of the repositories GitHub holds: one directory per repository id, fetched narrowly, never with the token in sight.

GitPython keeps the copies (it makes them and runs the fetch); the token goes through a file that only git's password prompt reads, so it stands
in no address, argument list, environment or configuration.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bot.mirror.runner import GitError, environment

FETCH_SECONDS = 600
"""How long one fetch may take."""
FETCH_MEMORY = 6 << 30
"""Bytes of address space of each process of a fetch: packs are mapped into memory, so this is more than is ever in use."""
SMALLEST = 1 << 20
"""Bytes that a fetch may write in any case, however little the quota leaves."""
_BOUNDED = 'ulimit -v "$1" && ulimit -f "$2" && ulimit -t "$3" && ulimit -c 0 && shift 3 && exec "$@"'
"""A shell's whole work here: bounds for what it becomes. The words of git are arguments, never part of this text."""

_ASK = """#!/bin/sh
exec cat "$INTERLOCK_TOKEN_FILE"
"""
_FETCH: tuple[str, ...] = (
    "-c", "protocol.allow=never",
    "-c", "protocol.https.allow=always",
    "-c", "protocol.http.allow=always",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "credential.helper=",
    "-c", "fetch.fsckObjects=true",
    "-c", "fetch.unpackLimit=1",
    "-c", "transfer.bundleURI=false",
    "-c", "http.followRedirects=false",
    "-c", "http.lowSpeedLimit=1000",
    "-c", "http.lowSpeedTime=20",
    "-c", "fetch.recurseSubmodules=no",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
)  # fmt: skip


class Mirrors:
    """The directory of all mirrors, kept under a quota: the one used longest ago goes first."""

    def __init__(self, directory: Path, quota: int) -> None:
        self._directory, self._quota = directory, quota
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, repository: int) -> Path:
        """The git directory of a repository's mirror."""
        return self._directory / f"{repository}.git"

    @contextlib.contextmanager
    def lock(self, repository: int) -> Iterator[None]:
        """One fetch of a repository at a time, over all processes of this machine."""
        with (self._directory / f"{repository}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def fetch(self, repository: int, address: str, token: str, refs: Sequence[tuple[str, str]]) -> Path:
        """Bring refs (theirs, ours) of a repository here, without the contents of files where the server can leave them out.

        Raises `GitError`. Blocks: call it in a thread.
        """
        path = self.path(repository)
        with self.lock(repository):
            new = not (path / "HEAD").exists()
            if new:
                shutil.rmtree(path, ignore_errors=True)
                self._git(self._directory, ["git", "init", "--quiet", "--bare", "--template=", str(path)], environment())
            words = [f"+{theirs}:{ours}" for theirs, ours in refs]
            self._bring(path, address, token, ["--filter=blob:none", "--end-of-options", "origin", *words])
            os.utime(path)
        if new:
            # A mirror more is when the directory grows by a repository: the one just fetched is the newest, so it goes last.
            self.evict()
        return path

    def bring(self, repository: int, address: str, token: str, oids: Sequence[str]) -> None:
        """Bring the contents of files that a fetch left out. Raises `GitError`."""
        path = self.path(repository)
        with self.lock(repository):
            for start in range(0, len(oids), 2000):
                self._bring(path, address, token, ["--end-of-options", "origin", *oids[start : start + 2000]])

    def _bring(self, path: Path, address: str, token: str, words: Sequence[str]) -> None:
        # The remote stands only on this command line: what reads the copy later knows of none, so a missing content is a clear answer there.
        remote = [f"remote.origin.url={_with_user(address)}", "remote.origin.promisor=true", "remote.origin.partialclonefilter=blob:none"]
        options = [word for setting in remote for word in ("-c", setting)]
        with tempfile.TemporaryDirectory(prefix="interlock-") as folder:
            try:
                self._git(
                    path,
                    ["git", *_FETCH, *options, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", *words],
                    environment(_ask_for(token, Path(folder))),
                )
            except GitError as error:
                self._clean(path)
                raise GitError(_masked(str(error), token)) from None

    def _git(self, folder: Path, words: list[str], variables: dict[str, str]) -> None:
        """Run git to its end through GitPython, within bounds and with no other environment. Raises `GitError` with git's last words."""
        from git import Git, GitCommandError

        # GitPython hands our whole environment down, so git is started by `env -i`; no value of `variables` is a secret.
        bounds = [str(FETCH_MEMORY >> 10), str(max(SMALLEST, self._quota) >> 9), str(FETCH_SECONDS)]
        clean = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "/bin/sh", "-c", _BOUNDED, "sh", *bounds, *words]
        try:
            Git(folder).execute(clean, env=_hidden(), kill_after_timeout=FETCH_SECONDS, start_new_session=True)
        except GitCommandError as error:
            raise GitError(
                f"git {next(word for word in words if word in ('init', 'fetch'))} failed: {_last_line(str(error.stderr))}"
            ) from None

    def size(self) -> int:
        """Bytes that all mirrors take."""
        return sum(file.stat().st_size for file in self._directory.rglob("*") if file.is_file())

    def evict(self) -> int:
        """Remove the mirrors used longest ago until all fit the quota, the newest never; how many went."""
        sizes = {path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in self._directory.glob("*.git")}
        gone = 0
        for path in sorted(sizes, key=lambda one: one.stat().st_mtime)[:-1]:
            if sum(sizes.values()) <= self._quota:
                break
            shutil.rmtree(path, ignore_errors=True)
            del sizes[path]
            gone += 1
        return gone

    @staticmethod
    def _clean(path: Path) -> None:
        """Packs that a broken fetch left behind: they count against the disk for ever."""
        for leftover in (path / "objects" / "pack").glob("tmp_*"):
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime < FETCH_SECONDS:
                    leftover.unlink()


def _masked(words: str, token: str) -> str:
    return words.replace(token, "[masked]")


def _hidden() -> dict[str, str]:
    """GitPython hands our whole environment down: whatever is not git's business is blanked."""
    return {name: "" for name in os.environ if name.startswith(("INTERLOCK_", "SSH_", "AWS_", "GITHUB_"))}


def _with_user(address: str) -> str:
    """The address with GitHub's user name for tokens, so that only the password is asked for."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, f"x-access-token@{parts.netloc}", parts.path, "", ""))


def _ask_for(token: str, folder: Path) -> dict[str, str]:
    """What lets git ask for the password: a program that reads a file only we may read."""
    secret = folder / "token"
    secret.touch(mode=0o600)
    secret.write_text(token, encoding="ascii")
    program = folder / "ask"
    program.write_text(_ASK, encoding="ascii")
    program.chmod(stat.S_IRWXU)
    return {"GIT_ASKPASS": str(program), "INTERLOCK_TOKEN_FILE": str(secret), "GIT_ALLOW_PROTOCOL": "https:http", "GIT_NO_LAZY_FETCH": "0"}


def _last_line(words: str) -> str:
    lines = [line for line in words.replace("stderr:", "").strip(" '\n").splitlines() if line.strip()]
    return lines[-1].strip(" '") if lines else "no reason given"
