"""Goose: recipes and .goose/ files; the mode is the user's.

Docs: block.github.io/goose/docs/guides/{goose-permissions,recipes/recipe-reference}. `GOOSE_MODE=auto` (nothing is asked) is the default.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.nouns import Authority, Draft, Grant, Verb
from checks.authority.sources import Folder, launched
from checks.model import Severity
from checks.readers.documents import Node


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Goose do."""
    draft = Draft("goose", "Goose")
    for place in (".goose/recipes", ".goose"):
        for ending in (".yaml", ".yml"):
            for name in folder.names(place, ending):
                node = folder.yaml(name)
                if node is not None and node.is_map:
                    _recipe(draft, node, folder.at(name))
    if not draft.grants and not folder.unread:
        return
    draft.own_limits = "yes: in its default mode nothing is asked, so it writes any file"
    draft.unknown.append("GOOSE_MODE (auto, the default, asks nothing), GOOSE_ALLOWLIST and the user's configuration")
    yield folder.finish(draft).done()


def _recipe(draft: Draft, node: Node, path: str) -> None:
    if node.string("GOOSE_MODE") == "auto":
        draft.grants.append(
            Grant(Verb.EVERYTHING, "everything", "do anything unasked", path, node.key_line("GOOSE_MODE"), Severity.HIGH, True)
        )
    listed = node.get("extensions")
    for item in listed.elements() if listed is not None and listed.is_list else ():
        name = item.string("name") or item.text or "?"
        value = launched(item) if item.is_map else ""
        kind = item.string("type") if item.is_map else ""
        severity = Severity.MODERATE if kind in ("stdio", "sse", "streamable_http") or name == "developer" else Severity.LOW
        draft.grants.append(
            Grant(
                Verb.SERVER,
                name,
                f"use the extension {name}" + (f" (`{value[:80]}`)" if value else ""),
                path,
                item.line,
                severity,
                False,
                (),
                value,
            )
        )
