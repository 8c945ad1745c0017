"""What decides the result of a workflow inside its repository: the file itself, and the actions, scripts and Makefiles that it names."""

from __future__ import annotations

import posixpath
import re

from checks.model import Tree, Unreadable
from checks.readers.documents import one_yaml

FILES = 60
"""Files of one closure that are compared; a larger one is not known."""

OWN = ("./", "$/")
"""How `uses:` names what stands in the same repository: github.blog/changelog/2026-07-30-reference-same-repository-actions-with-self-repository-syntax"""

_PATH = re.compile(r"(?<![\w$/.-])(?:\./)?((?:[\w.-]+/)*[\w.-]*\.(?:sh|bash|py|js|mjs|ts|rb|pl|mk))(?![\w/-])")
_PLAIN = re.compile(r"(?<![\w$/.-])(?:\./)?((?:\.?[\w-][\w.-]*/)+[\w-]+|(?<=\./)[\w-]+)(?![\w./-])")
"""A program of the repository without an ending: it stands in a folder, or is called with `./`."""
_INTO = re.compile(r"(?:\bcd\s+|(?:^|\s)(?:-C|--directory)[\s=]*)[\"']?((?:\./)?[\w.-]+(?:/[\w.-]+)*)")
_MAKE = re.compile(r"(?:^|[;&|(\s])g?make(?:\s|$)", re.MULTILINE)
_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")


def closure(tree: Tree, path: str) -> tuple[str, ...] | None:
    """The files of `tree` that a workflow's result hangs on, the workflow first; None where they are too many or cannot be read."""
    pending, seen = [path], dict[str, None]()
    while pending:
        one = pending.pop()
        if one in seen:
            continue
        if len(seen) >= FILES:
            return None
        seen[one] = None
        try:
            actions, scripts = named(tree, one)
        except Unreadable:
            return None
        pending += actions
        # A folder that a command is given is what it works on, not what decides how it works.
        seen.update(dict.fromkeys(script for script in scripts if (entry := tree.entry(script)) is not None and not entry.is_directory))
    return tuple(seen)


def named(tree: Tree, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(local actions and workflows, scripts and Makefiles) that a workflow or action names. Raises `Unreadable`."""
    entry = tree.entry(path)
    if entry is not None and entry.is_directory:
        inside = tuple(f"{path}/{name}" for name in ("action.yml", "action.yaml") if tree.entry(f"{path}/{name}") is not None)
        return inside, ()
    content = tree.read(path)
    document = one_yaml(content, path) if content is not None else None
    actions: dict[str, None] = {}
    scripts: dict[str, None] = {}
    texts = [(where[-1], node.text) for where, node in document.walk() if where and node.text] if document is not None else []
    work = [text for key, text in texts if key == "working-directory"][:20]
    for key, text in texts:
        if key == "uses" and text.startswith(OWN):
            actions[posixpath.normpath(text.partition("@")[0][2:])] = None
        elif key == "run":
            folders = [".", *work, *_folders(text)]
            names = [match[1] for match in (*_PATH.finditer(text), *_PLAIN.finditer(text))]
            names += _MAKEFILES if _MAKE.search(text) else ()
            scripts.update(dict.fromkeys(posixpath.normpath(f"{folder}/{name}") for folder in folders for name in names))
    return tuple(actions), tuple(scripts)


def _folders(text: str) -> list[str]:
    """The folders that a script goes into."""
    return [match[1] for match in _INTO.finditer(text)][:20]


def unchanged(base: Tree, head: Tree, path: str) -> bool | None:
    """Whether a workflow and all that decides its result are the same in two trees; None where that is not known."""
    files = closure(base, path)
    if files is None:
        return None
    return all(base.entry(one) is not None and base.entry(one) == head.entry(one) for one in files)
