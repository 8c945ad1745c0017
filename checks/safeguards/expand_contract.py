"""
Nothing at head still reads what is dropped or renamed.

## What it proves
The release that is running does not break when the column or table goes.

## What counts as proof
No source file at head names the column or table as a whole word, in the spellings that code gives it, and this change does not take the last
reader away itself, nor move it to where nothing runs: that went in an earlier change, or there never was one. A common word is found somewhere,
and then nothing is proven.

## How the proof is authenticated
It is read from the two trees that merge. Where the repository, or a file of it, is too large to be searched, nothing is known.

## What turns it green
Remove the last reader in a pull request of its own, release it, then drop.

## What it cannot prove
Readers outside this repository, names put together at run time, and that the earlier change has been released.
"""

from __future__ import annotations

from checks.model import Change, Effect, Hazard, Proof, Tree, Unreadable
from checks.policy import Policy
from checks.safeguards.base import Safeguard, failed, met, missing, unknown
from checks.spellings import Word, bare, looked_at, reads_names, spellings


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    name = effect.fact("column") or effect.fact("table")
    if not name:
        return missing("it is not known which table or column is meant, so its readers cannot be looked for")
    word = spellings(bare(name), table=effect.fact("column") is None)
    try:
        removed = _removed(change, word)
        reader = _reader(change.after, word) if removed is None else None
    except Unreadable as unreadable:
        return unknown(f"readers could not be looked for everywhere: {unreadable.why}")
    if removed is not None:
        return failed(f"this change takes away a reader ({removed}) together with what it reads: release that first")
    return met(f"no source file names {name}") if reader is None else missing(f"{reader} still names {name}")


def _removed(change: Change, word: Word) -> str | None:
    """A changed file that read it at base and does not at head, be it that it moved to where nothing runs. Raises `Unreadable`."""
    for file in change.files:
        read = reads_names(file.base_path) and word.within(change.base_bytes(file) or b"")
        if read and not (reads_names(file.path) and word.within(change.head_bytes(file) or b"")):
            return file.base_path
    return None


def _reader(tree: Tree, word: Word) -> str | None:
    """A source file that names it. Raises `Unreadable` where not all of them can be searched."""
    paths = [path for path in tree.paths() if reads_names(path)]
    return next((path for path, named in looked_at(tree, paths, word.forms, lambda content, _: word.within(content)) if named), None)


def _turns_green(effect: Effect, policy: Policy) -> str:
    name = effect.fact("column") or effect.fact("table") or effect.subject
    return (
        f"Remove every reader of `{effect.subject}` in a pull request of its own, release that, and drop it afterwards. To find them:\n\n"
        f"```\ngit grep -nwi {name.rpartition('.')[2]}\n```"
    )


SAFEGUARD = Safeguard(
    name="expand-contract",
    title="Nothing reads it any more",
    hazards=frozenset({Hazard.DATA_DESTROYED, Hazard.COMPATIBILITY_BROKEN}),
    turns_green=_turns_green,
    from_change=_from_change,
)
