"""The steps of a branch: its first-parent history, each step a `Change`, without a git process of its own.

Trees are compared through the one long-lived `git cat-file` (`bot.mirror.listing`), so a step costs what it changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.mirror.change import COMMITS, FILES, RepositoryError, default_branches
from bot.mirror.listing import differing
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import run
from checks.model import Change
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
    roots = [objects.resolve(commit, "tree") for commit in (step.base, step.head)]
    if roots[0] is None or roots[1] is None:
        raise RepositoryError(f"{step.head[:12]} is not whole in this copy of the repository")
    files = differing(objects, roots[0], roots[1])
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
