"""The steps of a branch: its first-parent history, each step a `Change`, without a git process of its own.

Trees are compared through the one long-lived `git cat-file`: equal folders have equal ids and are not opened, so a step costs what it changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.mirror.change import COMMITS, FILES, RepositoryError, default_branches
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import run
from checks.model import Change, Entry, FileChange
from checks.trees import pair_renames

_MERGED = re.compile(r"Merge (?:pull request #\d+ from [^/\s]+/|branch ')([^\s']+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a branch: what was merged, on what, and when."""

    base: str
    head: str
    when: int
    """Seconds since 1970, as the commit says."""
    others: tuple[str, ...] = ()
    """Further parents: the tips that a merge brought in."""


def steps(objects: Objects, last: int, branch: str | None = None) -> tuple[Step, ...]:
    """The last steps of the default branch (else of HEAD), newest first; a first commit is no step. Raises `RepositoryError`."""
    names = (branch,) if branch else (*default_branches(objects), "HEAD")
    tip = next((oid for name in names if (oid := objects.resolve(name))), None)
    if tip is None:
        raise RepositoryError("this repository has no commits yet, so there is nothing to replay")
    listing = run(objects.git_dir, "rev-list", "--first-parent", "--parents", "--timestamp", f"--max-count={last}", tip, "--")
    found = (line.split() for line in listing.decode("ascii").splitlines())
    return tuple(Step(words[2], words[1], int(words[0]), tuple(words[3:])) for words in found if len(words) > 2)


def change_of(objects: Objects, step: Step, repository: str) -> Change:
    """The change of a step. Lines are not counted, and notes are not read."""
    files = list(_compared(objects, step))
    before = GitTree(objects, step.base, {file.path: file.old for file in files})
    after = GitTree(objects, step.head, {file.path: file.new for file in files})
    contents = [entry.oid for file in files[:FILES] for entry in (file.old, file.new) if entry and entry.is_file]
    objects.sizes(contents)
    objects.contents(contents)
    commits = [step.head]
    if step.others:
        words = ("rev-list", f"--max-count={COMMITS}", step.head, f"^{step.base}", "--")
        commits = run(objects.git_dir, *words).decode("ascii").split()
    read = tuple(objects.commit(oid) for oid in commits)
    merged = _MERGED.match(read[0].message) if step.others else None
    return Change(
        repository=repository,
        base=step.base,
        merge_base=step.base,
        head=step.head,
        files=pair_renames(files[:FILES]),
        commits=read,
        before=before,
        after=after,
        tip=before,
        branch=merged[1] if merged else None,
        unlisted=f"{len(files):,} files changed; the first {FILES:,} are judged" if len(files) > FILES else None,
    )


def _compared(objects: Objects, step: Step) -> Iterator[FileChange]:
    roots = [objects.resolve(commit, "tree") for commit in (step.base, step.head)]
    if None in roots:
        raise RepositoryError(f"{step.head[:12]} is not whole in this copy of the repository")
    yield from _differing(objects, str(roots[0]), str(roots[1]), "")


def _differing(objects: Objects, old: str | None, new: str | None, folder: str) -> Iterator[FileChange]:
    """The files that differ between two tree objects, as `git diff-tree -r --no-renames` lists them."""
    if old == new:
        return
    was: Mapping[str, Entry] = objects.tree(old) if old else {}
    now: Mapping[str, Entry] = objects.tree(new) if new else {}
    for name in sorted({*was, *now}):
        before, after = was.get(name), now.get(name)
        if before == after:
            continue
        path = folder + name
        folders = [entry.oid if entry is not None and entry.is_directory else None for entry in (before, after)]
        if any(folders):
            yield from _differing(objects, folders[0], folders[1], path + "/")
        files = [None if entry is None or entry.is_directory else entry for entry in (before, after)]
        if any(files):
            yield FileChange(path, files[0], files[1])
