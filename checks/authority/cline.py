"""Cline: its approvals are the user's, and the model itself says which command needs one; the repository holds text and servers.

Docs: docs.cline.bot/features/{auto-approve,cline-rules,hooks}, docs.cline.bot/cline-cli (`CLINE_COMMAND_PERMISSIONS`, `--auto-approve` is the default).
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Draft
from checks.authority.sources import Folder, servers

EVENTS = frozenset(
    {"PreToolUse", "PostToolUse", "UserPromptSubmit", "TaskStart", "TaskResume", "TaskCancel", "TaskComplete", "PreCompact", "Notification"}
)
"""A hook is a file named as its event (docs.cline.bot/features/hooks), with `.ps1` on Windows; other files there are not run."""


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Cline do."""
    draft = Draft("cline", "Cline")
    for name in (".cline/mcp.json", ".cline/cline_mcp_settings.json"):
        node = folder.json(name)
        if node is not None:
            servers(draft, node.get("mcpServers"), folder.at(name), (), ("autoApprove", "alwaysAllow"))
    entries = folder.tree.list(folder.at(".clinerules/hooks"))
    for name in sorted(entries)[:50]:
        if entries[name].is_file and name.removesuffix(".ps1") in EVENTS:
            hook(draft, folder, name, "*", f".clinerules/hooks/{name}", folder.at(f".clinerules/hooks/{name}"), 1)
    if not draft.grants and not draft.limits and not folder.unread:
        return
    draft.own_limits = "unknown: approvals are the user's, and the model says itself which command needs one"
    draft.unknown.append("auto-approval and YOLO mode, CLINE_COMMAND_PERMISSIONS, the organisation's settings")
    yield folder.finish(draft).done()
