"""Kustomizations resolved from files alone: what they reach, which files are patches, what a patch deletes.

Nothing remote is fetched: a remote base stays a name. Source: kubectl.docs.kubernetes.io/references/kustomize/kustomization.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from checks.model import Tree, Unreadable
from checks.readers import documents
from checks.readers.documents import Node

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
FILES = 400
"""Files followed from one kustomization."""


@dataclass(frozen=True, slots=True, eq=False)
class Kustomization:
    """One kustomization file."""

    resources: tuple[tuple[str, int], ...]
    """(entry, line): resources, bases, components and custom resources, as written."""
    patches: tuple[str, ...]
    """Files that hold patches."""
    deletes: tuple[tuple[str, int], ...]
    """(`Kind name`, line) of the objects that patches written inside it delete."""
    namespace: str
    prefix: str
    suffix: str
    node: Node


@lru_cache(maxsize=512)
def read(data: bytes, path: str) -> Kustomization | None:
    """A kustomization file, None for a document of another kind. Raises `Unreadable`."""
    node = documents.one_yaml(data, path)
    if node is None or not node.is_map or (node.string("kind") or "Kustomization") not in ("Kustomization", "Component"):
        return None
    resources = [
        (item.text, item.line)
        for key in ("resources", "bases", "components", "crds")
        for item in _items(node, key)
        if item.text
    ]  # fmt: skip
    patches: list[str] = []
    deletes: list[tuple[str, int]] = []
    for key in ("patchesStrategicMerge", "patches", "patchesJson6902"):
        for item in _items(node, key):
            inline = item.text if item.is_scalar else item.string("patch")
            if item.is_map and (file := item.string("path")):
                patches.append(file)
            if inline and "\n" not in inline and item.is_scalar:
                patches.append(inline)
            elif inline and "$patch" in inline:
                target = item.get("target")
                deletes.extend((title, item.line) for title in deleted_by(inline.encode(), path, target))
    return Kustomization(
        tuple(resources), tuple(patches), tuple(deletes),
        node.string("namespace") or "", node.string("namePrefix") or "", node.string("nameSuffix") or "", node,
    )  # fmt: skip


def _items(node: Node, key: str) -> tuple[Node, ...]:
    found = node.get(key)
    return found.items or () if found is not None else ()


def deleted_by(data: bytes, path: str, target: Node | None = None) -> Iterator[str]:
    """`Kind name` of every object that a strategic merge patch deletes with `$patch: delete`."""
    try:
        nodes = documents.yaml(data, path)
    except Unreadable:
        return
    for node in nodes:
        if node.string("$patch") == "delete":
            kind = (target.string("kind") if target is not None else None) or node.string("kind") or "object"
            name = (target.string("name") if target is not None else None) or node.string("metadata", "name") or "of any name"
            yield f"{kind} {name}"


def remote(entry: str) -> bool:
    """Whether an entry names something outside the repository (github.com/kustomize: a URL, a git address or an OCI reference)."""
    return re.match(r"(?:[a-z+]+://|git@|github\.com/|gitlab\.com/|bitbucket\.org/)", entry) is not None or "?ref=" in entry


def at(tree: Tree, directory: str) -> tuple[str, Kustomization] | None:
    """The kustomization of a directory with its path, None where there is none or it cannot be read."""
    for name in NAMES:
        path = posixpath.join(directory, name)
        if tree.entry(path) is not None:
            try:
                data = tree.read(path)
                found = read(data, path) if data is not None else None
            except Unreadable:
                return None
            return (path, found) if found is not None else None
    return None


def reach(tree: Tree, directory: str) -> dict[str, tuple[str, int]]:
    """Every file and remote base a directory's kustomization leads to: the kustomization that names it, and the line of `directory`'s own
    kustomization that leads there.
    """
    out: dict[str, tuple[str, int]] = {}
    waiting = [(directory, 0)]
    seen = {directory}
    while waiting and len(out) < FILES:
        here, top = waiting.pop()
        found = at(tree, here)
        if found is None:
            continue
        path, kustomization = found
        for entry, line in kustomization.resources:
            if remote(entry):
                out.setdefault(entry, (path, top or line))
                continue
            target = posixpath.normpath(posixpath.join(here, entry))
            if target.startswith(".."):
                continue
            known = tree.entry(target)
            if known is not None and known.is_directory:
                if target not in seen:
                    seen.add(target)
                    waiting.append((target, top or line))
            elif known is not None:
                out.setdefault(target, (path, top or line))
    return out


def role_of(tree: Tree, path: str) -> str:
    """How the nearest kustomizations use a file: `resource`, `patch`, `unused` where one stands beside it and names it nowhere, or `free`."""
    directory = posixpath.dirname(path)
    beside = False
    for _ in range(4):
        found = at(tree, directory)
        if found is not None:
            kustomization = found[1]
            relative = posixpath.relpath(path, directory or ".")
            if any(posixpath.normpath(entry) == relative for entry in kustomization.patches):
                return "patch"
            if any(posixpath.normpath(entry) == relative for entry, _ in kustomization.resources):
                return "resource"
            beside = beside or posixpath.dirname(path) == directory
        if not directory:
            break
        directory = posixpath.dirname(directory)
    return "unused" if beside else "free"
