"""Agents in VS Code: .vscode/settings.json, .vscode/mcp.json, .vscode/tasks.json.

Docs: code.visualstudio.com/docs/copilot/{chat/chat-agent-mode,reference/copilot-settings,customization/mcp-servers}; code.visualstudio.com/docs/editor/tasks.
Workspace settings hold in trusted workspaces. Terminal rules: an entry `true` runs unasked, `false` asks even where another matches.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.commands import probed, shell
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, deny_first
from checks.authority.sources import Folder, servers, truth
from checks.model import Severity
from checks.readers.documents import Node

AGENT, TITLE = "copilot", "Copilot in VS Code"
FILE = ".vscode/settings.json"
TRUST = ("in trusted workspaces",)
WHO = "whoever may change the settings"

_SWITCHES = {
    "chat.tools.global.autoApprove": (True, Severity.HIGH, "do anything unasked"),
    "chat.tools.autoApprove": (True, Severity.HIGH, "do anything unasked"),
    "chat.permissions.default": ("autoApprove", Severity.HIGH, "do anything unasked"),
    "chat.autopilot.enabled": (True, Severity.MODERATE, "work on without asking"),
    "chat.tools.terminal.ignoreDefaultAutoApproveRules": (True, Severity.LOW, "run commands by the repository's list alone"),
    "github.copilot.chat.claudeAgent.allowDangerouslySkipPermissions": (True, Severity.HIGH, "run Claude without any permission check"),
    "claudeCode.allowDangerouslySkipPermissions": (True, Severity.HIGH, "run Claude without any permission check"),
    "claudeCode.initialPermissionMode": ("bypassPermissions", Severity.HIGH, "start Claude without any permission check"),
    "chat.mcp.autoStart": ("newAndOutdated", Severity.LOW, "start servers by itself"),
}


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's editor settings let agents do."""
    draft = Draft(AGENT, TITLE)
    node = folder.json(FILE)
    rules: list[Rule] = []
    if node is not None and node.is_map:
        _settings(draft, node, folder.at(FILE), rules)
    given = folder.json(".vscode/mcp.json")
    if given is not None:
        servers(draft, given.get("servers"), folder.at(".vscode/mcp.json"), ("each user trusts it once",))
    tasks = folder.json(".vscode/tasks.json")
    if tasks is not None:
        _tasks(draft, tasks, folder.at(".vscode/tasks.json"))
    if not draft.grants and not draft.limits and not draft.attribution_off:
        # Editor settings that cannot be read are no agent's business unless they spoke of one.
        return
    everything = any(grant.verb is Verb.EVERYTHING and grant.severity is Severity.HIGH for grant in draft.grants)
    draft.decisions = probed(lambda command: Decision.AUTO if everything else decide(rules, command))
    draft.own_limits = (
        "yes: it edits any file unasked, .vscode/settings.json included"
        if everything
        else "asked: edits of .vscode/settings.json ask by default"
    )
    draft.unknown.append("the user's settings, the organisation's policies and whether the workspace is trusted")
    folder.unread.clear()
    result = folder.finish(draft).done()
    surface = "in VS Code" + (f" with {folder.root}" if folder.root else "")
    yield Authority(
        result.agent,
        result.title,
        f"on a machine {surface}",
        result.grants,
        result.limits,
        result.unknown,
        result.own_limits,
        result.decisions,
        result.files,
        result.attribution_off,
    )


def decide(rules: list[Rule], command: str) -> Decision:
    """`false` counts over `true` (code.visualstudio.com/docs/copilot/chat/chat-agent-mode, "Automatically approve terminal commands")."""
    return deny_first(rules, command)


def _settings(draft: Draft, node: Node, path: str, rules: list[Rule]) -> None:
    for key, (value, severity, text) in _SWITCHES.items():
        found = node.get(key)
        if found is not None and (found.value == value or (key == "chat.permissions.default" and found.value == "autopilot")):
            what = "everything" if severity is Severity.HIGH else key
            draft.grants.append(
                Grant(
                    Verb.EVERYTHING,
                    what,
                    text,
                    path,
                    node.key_line(key),
                    severity,
                    severity is Severity.HIGH,
                    () if what == "everything" else TRUST,
                )
            )
    listed = node.get("chat.tools.terminal.autoApprove")
    for name, entry in listed.entries() if listed is not None and listed.is_map else ():
        allows = entry.value if entry.is_scalar else truth(entry, "approve")
        pattern = name if name.startswith("/") else name + " *"
        wide = name in ("/.*/", "/^.*$/", "/.+/", "/^.+$/", "*", "/^/")
        if allows is True:
            draft.grants.append(shell("*" if wide else pattern, path, entry.line, TRUST))
            rules.append(Rule("*" if wide else pattern, Decision.AUTO))
        elif allows is False:
            rules.append(Rule("*" if wide else pattern, Decision.ASKED))
            draft.limits.append(
                Limit(
                    Verb.SHELL,
                    f"ask Bash({pattern})",
                    f"the rule that asks before `{name}`",
                    path,
                    entry.line,
                    Force.BYPASSABLE,
                    WHO,
                    Severity.LOW,
                )
            )
    for key, verb, word in (
        ("chat.tools.edits.autoApprove", Verb.EDIT, "edit {} unasked"),
        ("chat.tools.urls.autoApprove", Verb.NETWORK, "fetch {} unasked"),
    ):
        listed = node.get(key)
        for name, entry in listed.entries() if listed is not None and listed.is_map else ():
            if entry.value is True:
                severe = any(part in name for part in (".env", ".vscode", ".git", ".github")) or name in ("https://*", "*", "**")
                draft.grants.append(
                    Grant(verb, name, word.format(name), path, entry.line, Severity.MODERATE if severe else Severity.LOW, False, TRUST)
                )
            elif entry.value is False:
                draft.limits.append(
                    Limit(verb, f"ask {name}", f"the rule that asks before {name}", path, entry.line, Force.BYPASSABLE, WHO, Severity.LOW)
                )
    box = node.get("chat.agent.sandbox.enabled")
    if box is not None and box.value in ("on", True, "allowNetwork"):
        draft.limits.append(Limit(Verb.SHELL, "sandbox", "the sandbox for commands", path, box.line, Force.BYPASSABLE, WHO, Severity.HIGH))
        if box.value == "allowNetwork":
            draft.grants.append(
                Grant(Verb.NETWORK, "network:*", "reach the network from its sandbox", path, box.line, Severity.MODERATE, False, TRUST)
            )
    if truth(node, "chat.agent.networkFilter"):
        draft.limits.append(
            Limit(
                Verb.NETWORK,
                "network filter",
                "the filter of domains",
                path,
                node.key_line("chat.agent.networkFilter"),
                Force.BYPASSABLE,
                WHO,
            )
        )
    for key, value in (("git.addAICoAuthor", "off"),):
        found = node.get(key)
        if found is not None and found.value == value:
            draft.attribution_off.append((path, found.line))


def _tasks(draft: Draft, node: Node, path: str) -> None:
    tasks = node.get("tasks")
    for task in tasks.elements() if tasks is not None else ():
        if task.string("runOptions", "runOn") == "folderOpen":
            command = task.get("command")
            words = (command.text if command is not None else None) or task.string("label") or "a task"
            draft.grants.append(
                Grant(
                    Verb.CODE,
                    f"task {words}",
                    f"have `{words[:80]}` run when the folder is opened",
                    path,
                    task.line,
                    Severity.MODERATE,
                    False,
                    TRUST,
                )
            )
