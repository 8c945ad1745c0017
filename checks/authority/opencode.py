"""OpenCode: opencode.json, opencode.jsonc, .opencode/.

Docs: opencode.ai/docs/{config,permissions,mcp-servers,agents}. The last matching rule wins, so that the order of the keys is authority. Without a
`permission` key everything runs unasked, apart from doom loops and folders outside.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.commands import probed, shell
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, last_match
from checks.authority.sources import Folder, servers, truth
from checks.model import Severity
from checks.readers.documents import Node

WHO = "whoever may change the file"
_WORDS = {"allow": Decision.AUTO, "ask": Decision.ASKED, "deny": Decision.DENIED}


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let OpenCode do."""
    draft = Draft("opencode", "OpenCode")
    rules: list[Rule] = []
    for name in ("opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"):
        node = folder.json(name)
        if node is not None and node.is_map:
            _config(draft, node, folder.at(name), rules)
    for name in folder.names(".opencode/plugin", ".ts"):
        draft.grants.append(Grant(Verb.CODE, name, f"load the plugin {name}", folder.at(name), 1, Severity.LOW))
    if not folder.seen and not draft.grants and not folder.unread:
        return
    draft.decisions = probed(lambda command: decide(rules, command))
    edits = not any(limit.what in ("ask edit", "deny edit", "deny everything", "ask everything") for limit in draft.limits)
    draft.own_limits = "yes: it edits any file unasked, opencode.json included" if edits else "asked: edits ask"
    draft.unknown.append("the user's opencode.json, which these settings are laid over")
    yield folder.finish(draft).done()


def decide(rules: list[Rule], command: str) -> Decision:
    """The last rule that matches; without any, it runs unasked (opencode.ai/docs/permissions, "Defaults")."""
    return last_match(rules, command, Decision.AUTO)


def _config(draft: Draft, node: Node, path: str, rules: list[Rule]) -> None:
    permission = node.get("permission")
    if permission is not None and permission.is_scalar:
        _whole(draft, permission, path, rules)
    for tool, value in permission.entries() if permission is not None and permission.is_map else ():
        _tool(draft, tool, value, path, rules)
    servers(draft, node.get("mcp"), path)
    plugins = node.get("plugin")
    for item in plugins.elements() if plugins is not None else ():
        draft.grants.append(
            Grant(
                Verb.PLUGIN,
                (item.text or "").rpartition("@")[0] or item.text or "",
                f"load the plugin {item.text}",
                path,
                item.line,
                Severity.MODERATE,
            )
        )
    agents = node.get("agent")
    for name, agent in agents.entries() if agents is not None and agents.is_map else ():
        bash = agent.get("permission", "bash")
        if bash is not None and bash.is_scalar and bash.text == "allow":
            draft.grants.append(
                Grant(
                    Verb.SHELL,
                    "*",
                    f"run any shell command as {name}",
                    path,
                    bash.line,
                    Severity.HIGH,
                    True,
                    (f"as the agent {name}",),
                    name,
                )
            )
    if truth(node, "autoshare") or node.string("share") == "auto":
        draft.grants.append(Grant(Verb.NETWORK, "share", "publish every session", path, node.key_line("share"), Severity.MODERATE))


def _whole(draft: Draft, value: Node, path: str, rules: list[Rule]) -> None:
    decision = _WORDS.get(value.text or "", Decision.UNKNOWN)
    rules.append(Rule("*", decision))
    if decision is Decision.AUTO:
        draft.grants.append(Grant(Verb.EVERYTHING, "everything", "do anything unasked", path, value.line, Severity.HIGH, True))
    else:
        draft.limits.append(
            Limit(
                Verb.EVERYTHING,
                f"{value.text} everything",
                f"the rule `permission: {value.text}`",
                path,
                value.line,
                Force.BYPASSABLE,
                WHO,
                Severity.HIGH,
            )
        )


def _tool(draft: Draft, tool: str, value: Node, path: str, rules: list[Rule]) -> None:
    pairs = [("*", value)] if value.is_scalar else list(value.entries())
    for index, (pattern, word) in enumerate(pairs):
        decision = _WORDS.get(word.text or "", Decision.UNKNOWN)
        if tool == "bash":
            rules.append(Rule(pattern, decision))
            overruled = any(_wider(later, pattern) and _WORDS.get(node.text or "") is not decision for later, node in pairs[index + 1 :])
            if decision is Decision.AUTO and not overruled:
                draft.grants.append(shell(pattern, path, word.line))
            elif decision in (Decision.ASKED, Decision.DENIED):
                kind = "deny" if decision is Decision.DENIED else "ask"
                force, why = (
                    (Force.INERT, "a later, wider rule allows it, and the last match counts") if overruled else (Force.BYPASSABLE, WHO)
                )
                draft.limits.append(
                    Limit(
                        Verb.SHELL,
                        f"{kind} Bash({pattern})",
                        f"the rule that {'denies' if kind == 'deny' else 'asks before'} `{pattern}`",
                        path,
                        word.line,
                        force,
                        why,
                    )
                )
            continue
        verb = {"edit": Verb.EDIT, "webfetch": Verb.NETWORK, "websearch": Verb.NETWORK, "read": Verb.READ}.get(tool, Verb.TOOL)
        what = "*" if verb is Verb.EDIT and pattern == "*" else tool if pattern == "*" else f"{tool} {pattern}"
        if decision is Decision.AUTO and tool not in ("read", "glob", "grep", "list"):
            text = "edit any file" if what == "*" else f"use {what} unasked"
            draft.grants.append(Grant(verb, what, text, path, word.line, Severity.LOW))
        elif decision in (Decision.ASKED, Decision.DENIED):
            kind = "deny" if decision is Decision.DENIED else "ask"
            name = tool if pattern == "*" else f"{tool} {pattern}"
            draft.limits.append(
                Limit(
                    verb,
                    f"{kind} {name}",
                    f"the rule that {'denies' if kind == 'deny' else 'asks before'} {name}",
                    path,
                    word.line,
                    Force.BYPASSABLE,
                    WHO,
                )
            )


def _wider(later: str, earlier: str) -> bool:
    from checks.authority.commands import covers

    return covers(later, earlier)
