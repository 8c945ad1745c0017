"""Roo Code: .roomodes (what each mode may touch) and .roo/mcp.json.

Docs: docs.roocode.com/features/custom-modes (groups read, edit with fileRegex, browser, command, mcp), docs.roocode.com/features/mcp/using-mcp-in-roo.
A mode has only the groups it lists; which actions are asked for is the user's setting.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.nouns import Authority, Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder, servers
from checks.model import Severity
from checks.readers.documents import Node

_GROUPS = {
    "command": (Verb.SHELL, "be offered any command", Severity.LOW),
    "mcp": (Verb.TOOL, "be offered the tools of servers", Severity.LOW),
    "browser": (Verb.NETWORK, "be offered a browser", Severity.LOW),
}
ASKS = ("unless the user approves by default, it asks",)


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Roo Code do."""
    draft = Draft("roo", "Roo Code")
    node = folder.either(".roomodes")
    modes = node.get("customModes") if node is not None else None
    for mode in modes.elements() if modes is not None else ():
        if mode.is_map:
            _mode(draft, mode, folder.at(".roomodes"))
    node = folder.json(".roo/mcp.json")
    if node is not None:
        servers(draft, node.get("mcpServers"), folder.at(".roo/mcp.json"), (), ("alwaysAllow",))
    if not draft.grants and not draft.limits and not folder.unread:
        return
    draft.own_limits = "asked: .roomodes and .roo are protected, writing them asks even where edits are approved"
    draft.unknown.append("the user's approvals by default and the built-in modes")
    yield folder.finish(draft).done()


def _mode(draft: Draft, mode: Node, path: str) -> None:
    slug = mode.string("slug") or "?"
    groups = mode.get("groups")
    for group in groups.elements() if groups is not None else ():
        name = group.text or (group.elements()[0].text if group.is_list and group.elements() else None) or ""
        if name == "edit":
            pattern = group.elements()[1].string("fileRegex") if group.is_list and len(group.elements()) > 1 else None
            text = f"edit any file in the mode {slug}" if not pattern else f"edit files like `{pattern}` in the mode {slug}"
            what = f"mode {slug} {pattern or 'every file'}"
            draft.grants.append(Grant(Verb.EDIT, what, text, path, group.line, Severity.LOW, False, ASKS, slug, within=slug))
            if pattern:
                why = "whoever may change the file"
                draft.limits.append(
                    Limit(
                        Verb.EDIT,
                        f"fileRegex {slug}",
                        f"the file pattern of the mode {slug}",
                        path,
                        group.line,
                        Force.BYPASSABLE,
                        why,
                        Severity.LOW,
                        pattern,
                        within=slug,
                    )
                )
        elif name in _GROUPS:
            verb, text, severity = _GROUPS[name]
            draft.grants.append(
                Grant(verb, f"group {name}", f"{text} in the mode {slug}", path, group.line, severity, False, ASKS, slug, within=slug)
            )
