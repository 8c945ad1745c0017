"""Bare git directories: commits written in one run of `git fast-import`, everything else read with plumbing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NO_ONE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "stand-in",
    "GIT_AUTHOR_EMAIL": "stand-in@example.test",
    "GIT_COMMITTER_NAME": "GitHub",
    "GIT_COMMITTER_EMAIL": "noreply@github.com",
    "LC_ALL": "C",
}
_CONFIG = (
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("uploadpack.hideRefs", "refs/stand-in"),
    ("http.receivepack", "true"),
    ("receive.hideRefs", "refs/pull"),
    ("gc.auto", "0"),
    ("core.logAllRefUpdates", "false"),
)

Content = bytes | str | None


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables git runs with: no configuration of this machine, no question on a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, **_NO_ONE, **(extra or {})}


def run(directory: Path, *arguments: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None) -> bytes:
    """Run git in a bare directory; what it printed. Raises `subprocess.CalledProcessError` when it refuses."""
    done = subprocess.run(
        ["git", "--git-dir", str(directory), *arguments], input=stdin, env=environment(extra), capture_output=True, check=True
    )
    return done.stdout


def ask(directory: Path, *arguments: str) -> str | None:
    """One line git prints, or None when it refuses."""
    try:
        return run(directory, *arguments).decode("utf-8", "surrogateescape").strip()
    except subprocess.CalledProcessError:
        return None


def create(directory: Path, default_branch: str) -> None:
    """An empty bare repository whose HEAD names the default branch, ready for clones with filters."""
    for part in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "hooks"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    (directory / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
    lines = ["[core]", "\trepositoryformatversion = 0", "\tfilemode = true", "\tbare = true"]
    for name, value in _CONFIG:
        section, key = name.split(".")
        lines += [f"[{section}]", f"\t{key} = {value}"]
    (directory / "config").write_text("\n".join(lines) + "\n")


def resolve(directory: Path, name: str) -> str | None:
    """The commit a branch, tag, pull request ref or SHA names, or None."""
    if name.startswith("-"):
        return None
    for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
        found = ask(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}")
        if found:
            return found
    return None


def refs(directory: Path) -> dict[str, str]:
    """Branches and tags: full name → object."""
    out = run(directory, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags").decode("utf-8", "surrogateescape")
    return {name: sha for sha, _, name in (line.partition(" ") for line in out.splitlines())}


def update_ref(directory: Path, name: str, sha: str | None) -> None:
    """Point a ref at a commit, or remove it."""
    if sha is None:
        run(directory, "update-ref", "-d", name)
    else:
        run(directory, "update-ref", name, sha)


def commit(
    directory: Path,
    branch: str,
    files: Mapping[str, Content],
    message: str,
    *,
    author: str,
    committer: str | None = None,
    moment: float,
    parent: str | None,
    executable: frozenset[str] = frozenset(),
) -> str:
    """Write one commit on a branch; its SHA.

    `files` maps a path to its new content, None removes it. `author` is `Name <address>`. `parent` None starts a history.
    """
    when = f"{int(moment)} +0000"
    ref = f"refs/heads/{branch}"
    text = message.encode()
    lines: list[bytes] = [b"commit refs/stand-in/commit", b"mark :1"]
    lines.append(f"author {author} {when}".encode())
    lines.append(f"committer {committer or author} {when}".encode())
    lines.append(b"data %d" % len(text))
    out = b"\n".join(lines) + b"\n" + text + b"\n"
    if parent:
        out += f"from {parent}\n".encode()
    for path, content in files.items():
        quoted = b'"' + path.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
        if content is None:
            out += b"D " + quoted + b"\n"
            continue
        data = content.encode() if isinstance(content, str) else content
        mode = b"100755" if path in executable else b"100644"
        out += b"M " + mode + b" inline " + quoted + b"\ndata %d\n" % len(data) + data + b"\n"
    start = b"reset refs/stand-in/commit\n" + (f"from {parent}\n\n".encode() if parent else b"\n")
    out = start + out + b"get-mark :1\n"
    sha = run(directory, "fast-import", "--quiet", "--force", "--date-format=raw-permissive", stdin=out).decode().strip()
    update_ref(directory, ref, sha)
    return sha


def fetch(directory: Path, source: Path, ref: str, into: str) -> None:
    """Bring a ref of another directory here, as GitHub keeps a fork's head in the base repository."""
    run(directory, "fetch", "--quiet", "--no-tags", "--force", str(source), f"{ref}:{into}")


def merge_base(directory: Path, one: str, other: str) -> str | None:
    """The best common ancestor, or None."""
    return ask(directory, "merge-base", one, other)


def merge_tree(directory: Path, base: str, head: str) -> str | None:
    """The tree of merging `head` into `base`, or None on a conflict (or with a git older than 2.38)."""
    found = ask(directory, "merge-tree", "--write-tree", base, head)
    return found.splitlines()[0] if found else None


def commit_tree(directory: Path, tree: str, parents: tuple[str, ...], message: str, moment: float) -> str:
    """A commit of a tree; its SHA. No ref moves."""
    dates = {"GIT_AUTHOR_DATE": f"{int(moment)} +0000", "GIT_COMMITTER_DATE": f"{int(moment)} +0000"}
    flags = [part for parent in parents for part in ("-p", parent)]
    return run(directory, "commit-tree", tree, *flags, "-m", message, extra=dates).decode().strip()


@dataclass(frozen=True)
class CommitFacts:
    """What GitHub shows of a commit."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    author_date: str
    committer_name: str
    committer_email: str
    committer_date: str
    message: str


_FORMAT = "%x1e%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"


def commits(directory: Path, *revisions: str, limit: int = 250, walk: bool = True) -> list[CommitFacts]:
    """Commits that `git log` names for the revisions, newest first."""
    arguments = ["log", f"--format={_FORMAT}", f"--max-count={limit}"]
    if not walk:
        arguments.append("--no-walk")
    out = run(directory, *arguments, "--end-of-options", *revisions, "--").decode("utf-8", "replace")
    found = []
    for record in out.split("\x1e")[1:]:
        sha, tree, parents, an, ae, at, cn, ce, ct, message = record.rstrip("\n").split("\x00")
        found.append(CommitFacts(sha, tree, tuple(parents.split()), an, ae, at, cn, ce, ct, message))
    return found


@dataclass(frozen=True)
class FileFacts:
    """A changed file as GitHub lists it."""

    status: str
    path: str
    previous: str | None
    blob: str
    additions: int
    deletions: int
    patch: str | None


_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


def changed_files(directory: Path, base: str, head: str) -> list[FileFacts]:
    """The files that differ between two commits, renames paired, each with its patch."""
    raw = run(directory, "diff-tree", "-r", "-M", "--raw", "-z", "--no-abbrev", base, head).decode("utf-8", "surrogateescape").split("\0")
    found: list[FileFacts] = []
    position = 0
    while position + 1 < len(raw):
        _, _, old, new, letter = raw[position].lstrip(":").split(" ")
        status = _STATUS.get(letter[0], "changed")
        previous = raw[position + 1] if letter[0] in "RC" else None
        path = raw[position + 2] if previous is not None else raw[position + 1]
        position += 3 if previous is not None else 2
        blob = old if letter[0] == "D" else new
        patch = _patch(directory, base, head, path, previous)
        lines = patch.split("\n") if patch else []
        added = sum(1 for line in lines if line.startswith("+"))
        removed = sum(1 for line in lines if line.startswith("-"))
        found.append(FileFacts(status, path, previous, blob, added, removed, patch))
    return found


def _patch(directory: Path, base: str, head: str, path: str, previous: str | None) -> str | None:
    names = [previous, path] if previous else [path]
    out = run(directory, "diff-tree", "-r", "-M", "-p", base, head, "--", *(name for name in names if name)).decode("utf-8", "replace")
    start = out.find("\n@@ ")
    return None if start < 0 else out[start + 1 :].rstrip("\n")


def read(directory: Path, revision: str, path: str) -> tuple[str, str, bytes] | None:
    """What stands at a path: (`blob` or `tree`, object, content). A tree's content is its raw `ls-tree -z` listing."""
    line = ask(directory, "ls-tree", "-z", "--long", revision, "--", path) if path else "040000 tree 0 -\t"
    if not line:
        return None
    kind, sha = line.split()[1:3]
    if kind == "tree":
        return kind, sha, run(directory, "ls-tree", "-z", "--long", f"{revision}:{path}")
    return (kind, sha, run(directory, "cat-file", "blob", sha)) if kind == "blob" else (kind, sha, b"")
