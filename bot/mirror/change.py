"""A `Change` from two commits of a repository on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bot.mirror.landing import Landing, landing
from bot.mirror.listing import differing
from bot.mirror.objects import GitTree, Objects, tree_of
from bot.mirror.runner import GitError, collect, is_oid, run, start
from checks.model import Change, Commit, Pull
from checks.trees import pair_renames

CHAIN = 50
"""Commits that are followed one by one before git is asked for the history."""
COMMITS = 1000
"""Commits between merge base and head that are read."""
FILES = 50_000
"""Changed files that are judged; more is said."""


class RepositoryError(Exception):
    """Not a repository, an unknown revision, no common history: a sentence for the person who asked."""


def find(directory: Path) -> Path:
    """The git directory that `directory` is in or is. Raises `RepositoryError`."""
    start_at = directory.absolute()
    if not start_at.is_dir():
        raise RepositoryError(f"{directory} is not a directory")
    for folder in (start_at, *start_at.parents):
        dot = folder / ".git"
        if dot.is_dir():
            return dot
        if dot.is_file():
            target = dot.read_text(encoding="utf-8", errors="surrogateescape").partition("gitdir:")[2].strip()
            return Path(os.path.normpath(folder / target))
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return folder
    raise RepositoryError(f"{directory} is not inside a git repository; name one with --repo DIR")


@dataclass(frozen=True, slots=True)
class Range:
    """Three commits: where it wants to land, the common ancestor, and what is proposed."""

    base: str
    merge_base: str
    head: str


def resolve(objects: Objects, base: str | None, head: str | None) -> Range:
    """The range that two revision names mean; by default HEAD against the default branch. Raises `RepositoryError`."""
    head_oid = objects.resolve(head or "HEAD")
    if head_oid is None:
        if head is None:
            raise RepositoryError("this repository has no commits yet, so there is nothing to review")
        raise RepositoryError(f"HEAD {head!r} is not a commit of this repository")
    if base is None:
        base_oid = next((oid for name in default_branches(objects) if (oid := objects.resolve(name))), None)
        if base_oid is None:
            raise RepositoryError("the default branch was not found (neither origin/HEAD, main nor master): name the BASE to compare with")
    else:
        base_oid = objects.resolve(base)
        if base_oid is None:
            raise RepositoryError(f"BASE {base!r} is not a commit of this repository")
    straight = base_oid == head_oid or _chain(objects, base_oid, head_oid) is not None
    return Range(base_oid, base_oid if straight else merge_base(objects.git_dir, base_oid, head_oid), head_oid)


def _chain(objects: Objects, base: str, head: str) -> tuple[Commit, ...] | None:
    """The commits from `head` down to `base`, where each has one parent and the line is short: most ranges, and no process is needed for them."""
    found: list[Commit] = []
    oid = head
    while oid != base:
        if len(found) == CHAIN or objects.size(oid) < 0:
            return None
        commit = objects.commit(oid)
        if len(commit.parents) != 1:
            return None
        found.append(commit)
        oid = commit.parents[0]
    return tuple(found)


def default_branches(objects: Objects) -> Iterator[str]:
    """Names the default branch may have, the best first."""
    yield from (
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
        "refs/remotes/origin/master",
        "refs/heads/main",
        "refs/heads/master",
    )


def merge_base(git_dir: Path, base: str, head: str) -> str:
    """The best common ancestor. Raises `RepositoryError` where the two share no history."""
    found = run(git_dir, "merge-base", base, head, fine=(0, 1)).decode("ascii").split()
    if not found:
        raise RepositoryError(f"{base[:12]} and {head[:12]} have no common history")
    return found[0]


@contextmanager
def opened(git_dir: Path, base: str | None, head: str | None, repository: str, pull: Pull | None = None) -> Iterator[Change]:
    """The change between two revisions, readable while the block lasts. Raises `RepositoryError` or `GitError`."""
    with Objects(git_dir) as objects:
        yield change(objects, resolve(objects, base, head), repository, pull)


def change(objects: Objects, span: Range, repository: str, pull: Pull | None = None) -> Change:
    """The change of a range: the list of files from the trees themselves, never from a rendered diff."""
    git_dir = objects.git_dir
    chain = _chain(objects, span.merge_base, span.head)
    history = None
    if chain is None:
        history = start(git_dir, "rev-list", f"--max-count={COMMITS}", span.head, f"^{span.merge_base}", "--")
    files = differing(objects, tree_of(objects, span.merge_base), tree_of(objects, span.head))
    unlisted = f"{len(files):,} files changed; the first {FILES:,} are judged" if len(files) > FILES else None
    files = files[:FILES]
    before = GitTree(objects, span.merge_base, {file.path: file.old for file in files})
    after = GitTree(objects, span.head, {file.path: file.new for file in files})
    contents = [entry.oid for file in files for entry in (file.old, file.new) if entry and entry.is_file]
    objects.sizes(contents)
    objects.contents(contents)
    # Counting reads contents, so it starts when all of them are here; it runs beside the analysis.
    counting = objects.beside(
        "diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", span.merge_base, span.head
    )
    noted = objects.resolve("refs/notes/ai", "tree") is not None
    if history is not None:
        chain = tuple(map(objects.commit, collect(history, "rev-list").decode("ascii").split()))
    commits = tuple(replace(commit, note=_note(objects, commit.sha)) if noted else commit for commit in chain or ())
    moved = landing(objects, span.merge_base, span.base, span.head, files) if span.base != span.merge_base else Landing()
    return Change(
        repository=repository,
        base=span.base,
        merge_base=span.merge_base,
        head=span.head,
        files=pair_renames(files),
        commits=commits,
        before=before,
        after=after,
        tip=GitTree(objects, span.base) if span.base != span.merge_base else before,
        pull=pull,
        branch=pull.head_ref if pull else None,
        counted=cache(lambda: _counted(counting)),
        unlisted=unlisted,
        merged=moved.tree,
        landing=pair_renames(moved.files[:FILES]),
        unmerged=moved.why,
    )


def _counted(counting: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Lines added and removed; zero where git cannot count them (a content is missing or too large): no verdict rests on these figures."""
    try:
        return _counts(collect(counting, "diff-tree --numstat"))
    except GitError:
        return 0, 0


def _counts(output: bytes) -> tuple[int, int]:
    added = removed = 0
    for record in output.split(b"\0"):
        first, _, rest = record.partition(b"\t")
        second = rest.partition(b"\t")[0]
        if first.isdigit() and second.isdigit():
            added += int(first)
            removed += int(second)
    return added, removed


def _note(objects: Objects, oid: str) -> str | None:
    """The commit's note of `refs/notes/ai`, whichever way git spread the notes into folders."""
    if not is_oid(oid):
        return None
    for spread in (oid, f"{oid[:2]}/{oid[2:]}", f"{oid[:2]}/{oid[2:4]}/{oid[4:]}"):
        text = objects.text(f"refs/notes/ai:{spread}")
        if text is not None:
            return text
    return None
