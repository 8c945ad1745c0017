"""Cursor: .cursor/cli.json, permissions.json, sandbox.json, hooks.json, mcp.json, environment.json.

Docs: cursor.com/docs/reference/{permissions,sandbox}, cursor.com/docs/agent/{hooks,security}, cursor.com/docs/cloud-agent. Deny wins. The lists of
permissions.json are joined with the user's, so a repository can only widen there. Run modes are the user's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.authority.commands import probed, shell
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, deny_first
from checks.authority.sources import Folder, servers, tool_severity, truth
from checks.model import Severity
from checks.readers.documents import Node

AGENT, TITLE = "cursor", "Cursor"
WHO = "whoever may change the file, or starts it with --force"
_RULE = re.compile(r"\s*(Shell|Read|Write|WebFetch|Mcp)\s*\((.*)\)\s*\Z", re.DOTALL)


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Cursor do."""
    draft = Draft(AGENT, TITLE)
    rules: list[Rule] = []
    node = folder.json(".cursor/cli.json")
    if node is not None:
        _cli(draft, node, folder.at(".cursor/cli.json"), rules)
    node = folder.json(".cursor/permissions.json")
    if node is not None:
        _permissions(draft, node, folder.at(".cursor/permissions.json"), rules)
    node = folder.json(".cursor/sandbox.json")
    if node is not None:
        _sandbox(draft, node, folder.at(".cursor/sandbox.json"))
    node = folder.json(".cursor/hooks.json")
    if node is not None:
        hooks = node.get("hooks")
        for event, items in hooks.entries() if hooks is not None and hooks.is_map else ():
            for item in items.elements():
                command = item.string("command")
                if command:
                    hook(
                        draft,
                        folder,
                        event,
                        item.string("matcher") or "*",
                        command,
                        folder.at(".cursor/hooks.json"),
                        item.line,
                        fails_closed=truth(item, "failClosed") is True,
                    )
    node = folder.json(".cursor/mcp.json")
    if node is not None:
        servers(draft, node.get("mcpServers"), folder.at(".cursor/mcp.json"), ("each user switches it on once",))
    node = folder.json(".cursor/environment.json")
    if node is not None:
        _environment(draft, node, folder.at(".cursor/environment.json"))
    if not draft.grants and not draft.limits and not folder.unread:
        return
    draft.decisions = probed(lambda command: decide(rules, command))
    draft.own_limits = "asked: the files below .cursor are protected, unless the sandbox is off or it runs everything"
    if any(grant.what == "insecure_none" for grant in draft.grants):
        draft.own_limits = "yes: without a sandbox it can write its own files"
    draft.unknown.append("the run mode (Auto-review, Allowlist, Run Everything) and the team's settings")
    yield folder.finish(draft).done()


def decide(rules: list[Rule], command: str) -> Decision:
    """Deny wins (cursor.com/docs/reference/permissions)."""
    return deny_first(rules, command)


def _pattern(inner: str) -> str:
    inner = inner.strip()
    if inner in ("*", "**"):
        return "*"
    head, colon, rest = inner.partition(":")
    if colon:
        return f"{head} {rest}".replace("**", "*")
    return inner if "*" in inner else inner + " *"


def _cli(draft: Draft, node: Node, path: str, rules: list[Rule]) -> None:
    for kind in ("allow", "deny"):
        listed = node.get("permissions", kind)
        for item in listed.elements() if listed is not None else ():
            match = _RULE.match(item.text or "")
            if not match:
                continue
            tool, inner = match[1], match[2].strip()
            if tool == "Shell":
                rules.append(Rule(_pattern(inner), Decision.AUTO if kind == "allow" else Decision.DENIED))
            if kind == "deny":
                verb = {"Shell": Verb.SHELL, "Read": Verb.READ, "Write": Verb.EDIT, "WebFetch": Verb.NETWORK, "Mcp": Verb.TOOL}[tool]
                what = f"deny {tool}({_pattern(inner) if tool == 'Shell' else inner})"
                draft.limits.append(Limit(verb, what, f"the rule that denies `{item.text}`", path, item.line, Force.BYPASSABLE, WHO))
            elif tool == "Shell":
                draft.grants.append(shell(_pattern(inner), path, item.line))
            elif tool == "Write":
                draft.grants.append(
                    Grant(
                        Verb.EDIT,
                        "*" if inner in ("*", "**") else inner,
                        f"write {'any file' if inner in ('*', '**') else inner}",
                        path,
                        item.line,
                    )
                )
            elif tool == "WebFetch":
                draft.grants.append(
                    Grant(
                        Verb.NETWORK,
                        f"WebFetch:{inner}",
                        f"fetch {'any page' if inner == '*' else inner}",
                        path,
                        item.line,
                        Severity.MODERATE if inner == "*" else Severity.LOW,
                    )
                )
            elif tool == "Mcp":
                server, _, name = inner.replace(",", ":").partition(":")
                draft.grants.append(
                    Grant(
                        Verb.TOOL, f"{server.strip()}:{name.strip() or '*'}", f"use {inner} unasked", path, item.line, tool_severity(name)
                    )
                )


def _permissions(draft: Draft, node: Node, path: str, rules: list[Rule]) -> None:
    listed = node.get("terminalAllowlist")
    for item in listed.elements() if listed is not None else ():
        draft.grants.append(shell(_pattern(item.text or ""), path, item.line, ("in the modes that ask",)))
        rules.append(Rule(_pattern(item.text or ""), Decision.AUTO))
    listed = node.get("mcpAllowlist")
    for item in listed.elements() if listed is not None else ():
        draft.grants.append(
            Grant(
                Verb.TOOL, item.text or "", f"use {item.text} unasked", path, item.line, tool_severity((item.text or "").rpartition(":")[2])
            )
        )


def _sandbox(draft: Draft, node: Node, path: str) -> None:
    kind = node.string("type")
    if kind == "insecure_none":
        draft.grants.append(
            Grant(Verb.EVERYTHING, "insecure_none", "run commands without any sandbox", path, node.key_line("type"), Severity.HIGH, True)
        )
    elif kind in ("workspace_readwrite", "workspace_readonly"):
        draft.limits.append(
            Limit(Verb.SHELL, "sandbox", f"the sandbox ({kind})", path, node.key_line("type"), Force.BYPASSABLE, WHO, Severity.HIGH)
        )
        if kind == "workspace_readonly":
            draft.limits.append(
                Limit(Verb.SHELL, "sandbox read-only", "the read-only sandbox", path, node.key_line("type"), Force.BYPASSABLE, WHO)
            )
    if node.string("networkPolicy", "default") == "allow":
        draft.grants.append(
            Grant(
                Verb.NETWORK,
                "network:*",
                "reach the whole network from its sandbox",
                path,
                node.key_line("networkPolicy"),
                Severity.MODERATE,
            )
        )
    hosts = node.get("networkPolicy", "allow")
    for item in hosts.elements() if hosts is not None else ():
        draft.grants.append(
            Grant(Verb.NETWORK, f"network:{item.text}", f"reach {item.text} from its sandbox", path, item.line, Severity.LOW)
        )
    more = node.get("additionalReadwritePaths")
    for item in more.elements() if more is not None else ():
        draft.grants.append(Grant(Verb.EDIT, f"directory {item.text}", f"write to {item.text}", path, item.line, Severity.MODERATE))


def _environment(draft: Draft, node: Node, path: str) -> None:
    for key in ("install", "start", "update"):
        command = node.string(key)
        if command:
            draft.grants.append(
                Grant(
                    Verb.CODE,
                    f"{key} {command}",
                    f"have `{command[:80]}` run in its cloud machine",
                    path,
                    node.key_line(key),
                    Severity.LOW,
                    quiet=True,
                )
            )
    terminals = node.get("terminals")
    for item in terminals.elements() if terminals is not None else ():
        command = item.string("command")
        if command:
            draft.grants.append(
                Grant(
                    Verb.CODE,
                    f"terminal {command}",
                    f"have `{command[:80]}` run in its cloud machine",
                    path,
                    item.line,
                    Severity.LOW,
                    quiet=True,
                )
            )
