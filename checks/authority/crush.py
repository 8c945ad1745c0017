"""Crush: .crush.json, crush.json, .crushrc, crushrc.

Docs: github.com/charmbracelet/crush, README.md ("Configuration", "MCPs", "Allowing Tools") and docs/hooks. A tool that `allowed_tools` does not name
is asked for. A `crushrc` is a shell script that runs when Crush starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.commands import probed
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Grant, Verb
from checks.authority.sources import Folder, servers, tool_severity, truth
from checks.model import Severity, Unreadable
from checks.readers.documents import Node
from checks.readers.shell import script

_PLAIN = frozenset({"view", "ls", "grep", "glob", "sourcegraph", "diagnostics", "references", "todos", "job_output"})
"""Tools that only look."""


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Crush do."""
    draft = Draft("crush", "Crush")
    allowed: set[str] = set()
    for name in (".crush.json", "crush.json"):
        node = folder.json(name)
        if node is not None and node.is_map:
            _config(draft, folder, node, folder.at(name), allowed)
    for name in (".crushrc", "crushrc"):
        text = folder.text(name)
        if text is not None:
            draft.grants.append(Grant(Verb.CODE, name, f"run the script {name} when it starts", folder.at(name), 1, Severity.LOW))
            _script(draft, folder, text, folder.at(name), allowed)
    if not folder.seen and not folder.unread:
        return
    draft.decisions = probed(lambda _: Decision.AUTO if "bash" in allowed else Decision.ASKED)
    draft.own_limits = "yes: it edits any file unasked" if allowed & {"edit", "write", "multiedit", "bash"} else "asked: edits ask"
    draft.unknown.append("the user's own configuration, which these settings are laid over, and --yolo, which asks nothing")
    yield folder.finish(draft).done()


def _config(draft: Draft, folder: Folder, node: Node, path: str, allowed: set[str]) -> None:
    servers(draft, node.get("mcp"), path)
    tools = node.get("permissions", "allowed_tools")
    for item in tools.elements() if tools is not None and tools.is_list else ():
        _allow(draft, item.text or "", path, item.line, allowed)
    hooks = node.get("hooks")
    for event, entries in hooks.entries() if hooks is not None and hooks.is_map else ():
        for entry in entries.elements() if entries.is_list else ():
            command = entry.string("command") if entry.is_map else ""
            if command:
                hook(draft, folder, event, entry.string("matcher") or "", command, path, entry.line)
    options = node.get("options")
    if options is not None and options.is_map and truth(options, "yolo"):
        draft.grants.append(
            Grant(Verb.EVERYTHING, "everything", "do anything unasked", path, options.key_line("yolo"), Severity.HIGH, True)
        )


def _allow(draft: Draft, tool: str, path: str, line: int | None, allowed: set[str]) -> None:
    """One tool that runs unasked; `bash` and `bash:execute` are the shell."""
    name = tool.partition(":")[0]
    if not name or name in _PLAIN:
        return
    allowed.add(name)
    if name == "bash":
        draft.grants.append(Grant(Verb.SHELL, "*", "run any shell command", path, line, Severity.HIGH, True))
    elif name in ("edit", "write", "multiedit"):
        draft.grants.append(Grant(Verb.EDIT, name, f"use {name} on any file unasked", path, line, Severity.LOW))
    elif name in ("fetch", "download", "agentic_fetch", "web_fetch"):
        draft.grants.append(Grant(Verb.NETWORK, name, f"use {name} unasked", path, line, Severity.LOW))
    else:
        draft.grants.append(Grant(Verb.TOOL, name, f"use the tool {name} unasked", path, line, tool_severity(name)))


def _script(draft: Draft, folder: Folder, text: str, path: str, allowed: set[str]) -> None:
    """The words of a `crushrc` that Crush itself understands."""
    try:
        commands = script(text, path, 1).commands
    except Unreadable as unreadable:
        folder.unread.append((path, unreadable.why, unreadable.line))
        return
    for command in commands:
        words = command.words
        if words[:2] == ("permissions", "allow"):
            for tool in words[2:]:
                _allow(draft, tool, path, command.line, allowed)
        elif words[:2] == ("mcp", "add") and len(words) > 2:
            value = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("--url", "--command")), "")
            shown = f"use the tools of the server {words[2]}" + (f" (`{value[:80]}`)" if value else "")
            draft.grants.append(Grant(Verb.SERVER, words[2], shown, path, command.line, Severity.MODERATE, False, (), value))
