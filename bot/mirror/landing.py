"""What a change lands as: the tree git makes of it and of the base branch's tip, when that branch has moved on since.

The two sides can be harmless each and harmful together: a file renamed on one side and edited on the other, a default changed here and relied upon
there. git-scm.com/docs/git-merge-tree: `--write-tree` merges as `git merge` does, renames followed, without a checkout. The objects it writes go to
a folder of their own, so that nothing is written into the repository that is looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bot.mirror.listing import differing
from bot.mirror.objects import GitTree, Objects, tree_of
from bot.mirror.runner import GitError, collect, is_oid, run, start, version
from checks.model import FileChange

MERGES_SINCE = (2, 38)
"""The git that first merged without a checkout."""
DEEP = 2
"""Folders of a path that say where it belongs: two changes under the same ones may have to do with each other."""
RENAMES = 2000
"""Contents brought for the merge to see renames."""
_WIDE = ("migrat", ".sql", "schema.")
"""Words in paths of changes whose safeguard looks for readers anywhere."""


@dataclass(frozen=True, slots=True)
class Landing:
    """What would land, or why that is not known. All empty: the base branch did nothing that could matter, or the two conflict."""

    tree: GitTree | None = None
    files: Sequence[FileChange] = ()
    """What differs between the base's tip and that tree, renames not paired."""
    why: str | None = None


def landing(objects: Objects, merge_base: str, base: str, head: str, files: Sequence[FileChange]) -> Landing:
    """What `head` lands as on `base`. Pays for a merge only when the base branch changed something near what this change touches.

    A conflict is no answer: GitHub merges nothing then, and what resolves it is a new head.
    """
    tip = tree_of(objects, base)
    theirs = differing(objects, tree_of(objects, merge_base), tip)
    names = {file.path for file in theirs}
    ours = [path for file in files for path in {file.path, file.base_path}]
    if not near(ours, names):
        return Landing()
    if version() < MERGES_SINCE:
        return Landing(why="this git is older than 2.38 and cannot merge without a checkout")
    folder = tempfile.TemporaryDirectory(prefix="interlock-merge-")
    place = run(objects.git_dir, "rev-parse", "--git-path", "objects").decode("utf-8", "surrogateescape").strip()
    # Relative to where git was started, which is the root.
    known = place if place.startswith("/") else str(Path("/") / place)
    apart = {"GIT_OBJECT_DIRECTORY": folder.name, "GIT_ALTERNATE_OBJECT_DIRECTORIES": known}
    objects.at_end(folder.cleanup)
    both = names.intersection(ours)
    objects.sizes(_oids(file for file in theirs if file.path in both))
    # Our switch against renames in lists of files would hold for merges too; GitHub's follow them.
    words = ("-c", "merge.renames=true", "merge-tree", "--write-tree", "-z", "--no-messages", base, head)
    told: bytes | None = None
    for attempt in range(2):
        try:
            told = collect(start(objects.git_dir, *words, extra=apart), "merge-tree", fine=(0, 1))
            break
        except GitError as error:
            if attempt:
                return Landing(why=f"the merge with the base branch could not be made: {error}")
            # A copy without contents: a rename is seen by comparing what went with what came.
            objects.sizes(islice(_oids(theirs), RENAMES))
    first = (told or b"").split(b"\0")[0].decode("ascii", "replace")
    if not is_oid(first):
        return Landing(why="git did not say what the merge is")
    if len((told or b"").split(b"\0")) > 2:
        return Landing()
    merged = Objects(objects.git_dir, objects.bring, extra=apart)
    objects.at_end(merged.close)
    return Landing(GitTree(merged, first), differing(merged, tip, first))


def near(ours: Iterable[str], theirs: Iterable[str]) -> bool:
    """Whether two lists of paths may have to do with each other: a folder of one holds one of the other, as far down as `DEEP`."""
    ours, theirs = list(ours), list(theirs)
    if any(word in path.lower() for path in ours for word in _WIDE):
        return any(theirs)
    mine = {_folder(path) for path in ours}
    others = {_folder(path) for path in theirs}
    # What stands at the top is near only to what also does: else everything would be.
    return any(a == b or bool(a and b and (a[: len(b)] == b or b[: len(a)] == a)) for a in mine for b in others)


def _folder(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1][:DEEP])


def _oids(files: Iterable[FileChange]) -> Iterator[str]:
    return (entry.oid for file in files for entry in (file.old, file.new) if entry is not None and not entry.is_submodule)
