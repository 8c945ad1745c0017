"""Windsurf and Devin Desktop: .windsurf/hooks.json, .windsurf/mcp_config.json, .devin/config.json, .devin/hooks.v1.json, editor settings.

Docs: docs.windsurf.com/windsurf/cascade/{hooks,mcp}, docs.windsurf.com/windsurf/terminal; docs.devin.ai. A hook blocks with exit code 2, and only
before an action. Deny, then ask, then allow. The cloud agent's authority lives in the vendor's console.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.claude_code import allowed, denied
from checks.authority.commands import probed, shell
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Force, Limit, Verb
from checks.authority.precedence import Rule, deny_first
from checks.authority.sources import Folder, servers

WHO = "whoever may change the file"


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Windsurf and Devin do."""
    draft = Draft("windsurf", "Windsurf")
    rules: list[Rule] = []
    _hooks(draft, folder, ".windsurf/hooks.json")
    node = folder.json(".windsurf/mcp_config.json")
    if node is not None:
        servers(draft, node.get("mcpServers"), folder.at(".windsurf/mcp_config.json"), (), ("alwaysAllow",))
    node = folder.json(".vscode/settings.json") if folder.exists(".vscode/settings.json") else None
    path = folder.at(".vscode/settings.json")
    for key, decision in (("windsurf.cascadeCommandsAllowList", Decision.AUTO), ("windsurf.cascadeCommandsDenyList", Decision.ASKED)):
        listed = node.get(key) if node is not None and node.is_map else None
        for item in listed.elements() if listed is not None else ():
            pattern = (item.text or "") + " *"
            rules.append(Rule(pattern, decision))
            if decision is Decision.AUTO:
                draft.grants.append(shell(pattern, path, item.line))
            else:
                draft.limits.append(
                    Limit(
                        Verb.SHELL,
                        f"ask Bash({pattern})",
                        f"the rule that asks before `{item.text}`",
                        path,
                        item.line,
                        Force.BYPASSABLE,
                        WHO,
                    )
                )
    folder.unread[:] = [item for item in folder.unread if ".vscode" not in item[0]]
    if draft.grants or draft.limits or folder.unread:
        draft.decisions = probed(lambda command: deny_first(rules, command))
        draft.own_limits = "unknown: it depends on the level of auto-execution, which is the user's"
        draft.unknown.append("the level of auto-execution (Disabled, Allowlist, Auto, Turbo) and the team's settings")
        yield folder.finish(draft).done()
    folder.seen.clear()
    draft = Draft("devin", "Devin")
    node = folder.json(".devin/config.json")
    rules = []
    if node is not None:
        path = folder.at(".devin/config.json")
        for kind in ("allow", "ask", "deny"):
            listed = node.get("permissions", kind)
            for item in listed.elements() if listed is not None else ():
                rule = (item.text or "").replace("Exec(", "Bash(")
                if kind == "allow":
                    grant = allowed(rule, path, item.line)
                    if grant is not None:
                        draft.grants.append(grant)
                        if grant.verb is Verb.SHELL:
                            rules.append(Rule(grant.what, Decision.AUTO))
                else:
                    limit = denied(rule, kind, path, item.line, "")
                    if limit is not None:
                        draft.limits.append(limit)
        servers(draft, node.get("mcpServers"), path)
    _hooks(draft, folder, ".devin/hooks.v1.json")
    if draft.grants or draft.limits or folder.unread:
        draft.decisions = probed(lambda command: deny_first(rules, command))
        draft.own_limits = "unknown: the machine's set-up is kept by the vendor"
        draft.unknown.append("everything set in the vendor's console: machine, secrets, integrations")
        yield folder.finish(draft).done()


def _hooks(draft: Draft, folder: Folder, name: str) -> None:
    node = folder.json(name)
    hooks = node.get("hooks") if node is not None else None
    for event, items in hooks.entries() if hooks is not None and hooks.is_map else ():
        for item in items.elements():
            inner = item.get("hooks")
            for one in inner.elements() if inner is not None else (item,):
                command = one.string("command")
                if command:
                    hook(draft, folder, event, item.string("matcher") or "*", command, folder.at(name), one.line)
