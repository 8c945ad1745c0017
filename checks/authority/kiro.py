"""Kiro and Amazon Q Developer CLI: .kiro/agents, .amazonq/cli-agents, .kiro/settings.

Docs: kiro.dev/docs/cli/custom-agents/configuration-reference; github.com/aws/amazon-q-developer-cli docs/agent-format.md. There `allowedTools` overrides
what `toolsSettings` restricts: a denied command under an allowed tool is not denied. Kiro IDE 1.0 and CLI 3.0 keep workspace rules outside the
repository, so a committed permissions.yaml is inert; deny over ask over allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.authority.commands import probed, shell
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder, servers, tool_severity, truth
from checks.model import Severity
from checks.readers.documents import Node

WHO = "whoever may change the file, or starts it with --trust-all-tools"
_SHELLS = frozenset({"execute_bash", "shell", "execute_cmd", "executeBash"})
_WRITES = frozenset({"fs_write", "write", "fsWrite"})
_READS = frozenset(
    {"fs_read", "read", "fsRead", "thinking", "introspect", "knowledge", "todo_list", "report_issue", "glob", "grep", "code"}
)


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Kiro and Amazon Q do."""
    for agent, title, place in (("kiro", "Kiro", ".kiro/agents"), ("amazon-q", "Amazon Q", ".amazonq/cli-agents")):
        draft = Draft(agent, title)
        asked: dict[str, Decision] = {}
        for name in folder.names(place, ".json"):
            node = folder.json(name)
            if node is not None and node.is_map:
                _agent(draft, folder, node, folder.at(name), name.rpartition("/")[2].removesuffix(".json"), asked)
        if agent == "kiro":
            _workspace(draft, folder)
        else:
            node = folder.json(".amazonq/mcp.json")
            if node is not None:
                servers(draft, node.get("mcpServers"), folder.at(".amazonq/mcp.json"), (), ("autoApprove",))
        if draft.grants or draft.limits or folder.unread:
            draft.decisions = probed(lambda command, seen=dict(asked): _probe(command, seen))  # type: ignore[misc]
            wide = any(grant.verb is Verb.EDIT and grant.what == "*" for grant in draft.grants) or any(
                grant.what == "*" for grant in draft.grants if grant.verb is Verb.SHELL
            )
            draft.own_limits = f"yes: it writes files unasked, its own in {place} included" if wide else "asked: writing files asks"
            draft.unknown.append("the user's agents and settings, and whether it is started with --trust-all-tools")
            yield folder.finish(draft).done()
        else:
            folder.seen.clear()


def _probe(command: str, patterns: dict[str, Decision]) -> Decision:
    for pattern, decision in patterns.items():
        if pattern == "*" or _full(pattern, command):
            return decision
    return Decision.ASKED


def _full(pattern: str, command: str) -> bool:
    """Kiro anchors a rule on both ends; only rules without nested repeats are tried, so that matching stays linear."""
    if len(pattern) > 200 or re.search(r"[*+}]\)?[*+{]|\\[1-9]|\(\?", pattern) or pattern.count("*") + pattern.count("+") > 3:
        return False
    try:
        return re.fullmatch(pattern, command) is not None
    except re.error:
        return False


def decide(allowed_tools: frozenset[str], settings: tuple[tuple[str, Decision], ...], command: str) -> Decision:
    """`allowedTools` first, whatever the settings restrict; then denied, then allowed commands (docs/agent-format.md)."""
    if allowed_tools & (_SHELLS | {"*", "@builtin"}):
        return Decision.AUTO
    for wanted in (Decision.DENIED, Decision.AUTO):
        if any(decision is wanted and _full(pattern, command) for pattern, decision in settings):
            return wanted
    return Decision.ASKED


def _agent(draft: Draft, folder: Folder, node: Node, path: str, name: str, asked: dict[str, Decision]) -> None:
    condition = (f"as the agent {name}",)
    listed = node.get("allowedTools")
    allowed = frozenset(item.text or "" for item in listed.elements()) if listed is not None else frozenset()
    for item in listed.elements() if listed is not None else ():
        tool = item.text or ""
        grant = _tool(tool, path, item.line, condition)
        if grant is not None:
            draft.grants.append(grant)
            if grant.verb is Verb.SHELL:
                asked["*"] = Decision.AUTO
    settings = node.get("toolsSettings")
    for tool, rules in settings.entries() if settings is not None and settings.is_map else ():
        overridden = bool(allowed & {tool, "*", "@builtin"}) or (tool in _SHELLS and bool(allowed & _SHELLS))
        verb = Verb.SHELL if tool in _SHELLS else Verb.EDIT if tool in _WRITES else Verb.TOOL
        for key in ("deniedCommands", "deniedPaths", "deniedServices"):
            denied = rules.get(key)
            for item in denied.elements() if denied is not None else ():
                force, why = (
                    (Force.INERT, f"`{tool}` stands in allowedTools, which overrides it") if overridden else (Force.BYPASSABLE, WHO)
                )
                draft.limits.append(
                    Limit(
                        verb,
                        f"deny {name} {tool} {item.text}",
                        f"the rule that denies `{item.text}` to {tool}",
                        path,
                        item.line,
                        force,
                        why,
                    )
                )
                if not overridden and verb is Verb.SHELL:
                    asked.setdefault(item.text or "", Decision.DENIED)
        for key in ("allowedCommands", "allowedPaths", "allowedServices"):
            given = rules.get(key)
            for item in given.elements() if given is not None else ():
                text = item.text or ""
                if verb is Verb.SHELL:
                    plain = text in (".*", ".+")
                    grant = shell("*" if plain else text, path, item.line, condition)
                    draft.grants.append(grant)
                    asked.setdefault("*" if plain else text, Decision.AUTO)
                else:
                    word = "write" if verb is Verb.EDIT else f"use {tool} on"
                    what = "*" if text in ("**", "*", "./**") else text
                    draft.grants.append(
                        Grant(
                            verb,
                            what if verb is Verb.EDIT else f"{tool} {text}",
                            f"{word} {text} unasked",
                            path,
                            item.line,
                            Severity.MODERATE if tool in ("use_aws", "aws") else Severity.LOW,
                            False,
                            condition,
                        )
                    )
        if truth(rules, "denyByDefault"):
            draft.limits.append(
                Limit(
                    verb,
                    f"{name} {tool} denyByDefault",
                    f"the refusal of everything not listed for {tool}",
                    path,
                    rules.key_line("denyByDefault"),
                    Force.INERT if overridden else Force.BYPASSABLE,
                    WHO,
                )
            )
    servers(draft, node.get("mcpServers"), path, condition, ("autoApprove",))
    hooks = node.get("hooks")
    for event, items in hooks.entries() if hooks is not None and hooks.is_map else ():
        for item in items.elements():
            command = item.string("command")
            if command:
                hook(draft, folder, event, item.string("matcher") or "*", command, path, item.line)


def _tool(tool: str, path: str, line: int, condition: tuple[str, ...]) -> Grant | None:
    if tool in _SHELLS:
        return shell("*", path, line, condition)
    if tool in ("*", "@builtin"):
        return Grant(Verb.EVERYTHING, "everything", "use every tool unasked", path, line, Severity.HIGH, True, condition)
    if tool in _WRITES:
        return Grant(Verb.EDIT, "*", "edit any file", path, line, Severity.LOW, False, condition)
    if tool in ("use_aws", "aws"):
        return Grant(Verb.TOOL, tool, "call any AWS API with the user's credentials", path, line, Severity.HIGH, True, condition)
    if tool in _READS or not tool:
        return None
    server, _, name = tool.removeprefix("@").partition("/")
    if tool.startswith("@"):
        text = f"use {'every tool' if not name else 'the tool ' + name} of the server {server} unasked"
        return Grant(Verb.TOOL, f"{server}:{name or '*'}", text, path, line, tool_severity(name or "*"), False, condition)
    return Grant(Verb.TOOL, tool, f"use {tool} unasked", path, line, Severity.LOW, False, condition)


def _workspace(draft: Draft, folder: Folder) -> None:
    node = folder.json(".kiro/settings/mcp.json")
    if node is not None:
        servers(draft, node.get("mcpServers"), folder.at(".kiro/settings/mcp.json"), (), ("autoApprove",))
    name = ".kiro/settings/permissions.yaml"
    if folder.exists(name):
        folder.seen.append(folder.at(name))
        draft.limits.append(
            Limit(
                Verb.EVERYTHING,
                "permissions.yaml",
                f"the file {folder.at(name)}",
                folder.at(name),
                1,
                Force.INERT,
                "Kiro reads a workspace's rules from ~/.kiro/workspace-roots, not from the repository",
            )
        )
    for name in folder.names(".kiro/hooks", ".kiro.hook"):
        node = folder.json(name)
        command = node.string("then", "command") if node is not None else None
        if node is not None and command and truth(node, "enabled") is not False:
            hook(draft, folder, node.string("when", "type") or "event", "*", command, folder.at(name), 1)
    for name in folder.names(".kiro/agents", ".md"):
        node = folder.front(name)
        rules = node.get("permissions", "rules") or node.get("permissions") if node is not None else None
        for rule in rules.elements() if rules is not None else ():
            _rule(draft, rule, folder.at(name))


def _rule(draft: Draft, rule: Node, path: str) -> None:
    capability, effect = rule.string("capability") or "", rule.string("effect")
    matched = rule.get("match")
    for item in matched.elements() if matched is not None else (rule,):
        text = item.text or "*"
        if effect == "allow" and capability == "shell":
            draft.grants.append(shell(text, path, item.line))
        elif effect == "allow" and capability in ("fs_write", "web_fetch", "mcp"):
            verb = {"fs_write": Verb.EDIT, "web_fetch": Verb.NETWORK, "mcp": Verb.TOOL}[capability]
            draft.grants.append(
                Grant(
                    verb,
                    text,
                    f"{capability.replace('_', ' ')} {text} unasked",
                    path,
                    item.line,
                    Severity.MODERATE if text == "*" else Severity.LOW,
                )
            )
        elif effect in ("deny", "ask"):
            draft.limits.append(
                Limit(
                    Verb.SHELL,
                    f"{effect} Bash({text})",
                    f"the rule that {effect}s {capability} {text}",
                    path,
                    item.line,
                    Force.BYPASSABLE,
                    WHO,
                )
            )
