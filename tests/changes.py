"""Builds changes for tests: from two folders, or from two mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from checks.model import Change, Commit, Identity, Pull
from checks.trees import EXECUTABLE, FILE, LINK, SUBMODULE, MemoryTree, changed

BASE, HEAD = "b" * 40, "a" * 40


def change_of(
    before: Mapping[str, bytes | str],
    after: Mapping[str, bytes | str],
    *,
    message: str = "Change",
    pull: Pull | None = None,
    tip: Mapping[str, bytes | str] | None = None,
) -> Change:
    """A change between two sets of files given as path → content."""
    old, new = _tree(before), _tree(after)
    author = Identity("Robin", "robin@example.com")
    return Change(
        repository="acme/shop",
        base=BASE,
        merge_base=BASE,
        head=HEAD,
        files=changed(old, new),
        commits=(Commit(HEAD, author, author, message, (BASE,)),),
        before=old,
        after=new,
        tip=old if tip is None else _tree(tip),
        pull=pull,
        branch=pull.head_ref if pull else None,
    )


def change_between(base: Path, head: Path) -> Change:
    """A change between two folders (a folder that does not exist is an empty tree)."""
    return change_of(_files(base), _files(head))


def _tree(files: Mapping[str, bytes | str]) -> MemoryTree:
    return MemoryTree(
        {
            path: content if isinstance(content, tuple) else content.encode() if isinstance(content, str) else content
            for path, content in files.items()
        }
    )


ODD = "odd.tree.json"
"""A file of a case that lists what cannot well stand in a checkout: bytes, names, modes and values that tools react to."""


def _odd(value: list[str] | dict[str, str]) -> bytes | tuple[bytes, int]:
    """A list of strings is a text cut in pieces, so that no scanner takes it for real; `hex`, `link` and `submodule` speak for themselves."""
    if isinstance(value, list):
        return "".join(value).encode()
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    kind = LINK if "link" in value else SUBMODULE
    return (value.get("link") or value["submodule"]).encode(), kind


def _files(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes | tuple[bytes, int]] = {}
    if folder.exists():
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if name == ODD:
                found |= {odd: _odd(value) for odd, value in json.loads(path.read_text()).items()}
                continue
            if path.is_symlink():
                found[name] = (str(path.readlink()).encode(), LINK)
            elif path.is_file():
                found[name] = (path.read_bytes(), EXECUTABLE if path.stat().st_mode & 0o100 else FILE)
    return found  # type: ignore[return-value]
