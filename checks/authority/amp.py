"""Amp: .amp/settings.json, and its keys in .vscode/settings.json.

Docs: ampcode.com/manual (amp.permissions: the first rule that matches; amp.dangerouslyAllowAll; amp.mcpPermissions; amp.guardedFiles.allowlist).
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.commands import probed, shell
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, first_match
from checks.authority.sources import Folder, servers, truth
from checks.model import Severity
from checks.readers.documents import Node

WHO = "whoever may change the file, or starts it with --dangerously-allow-all"
_ACTIONS = {"allow": Decision.AUTO, "ask": Decision.ASKED, "reject": Decision.DENIED, "delegate": Decision.UNKNOWN}


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Amp do."""
    draft = Draft("amp", "Amp")
    rules: list[Rule] = []
    for name in (".amp/settings.json", ".amp/settings.jsonc", ".vscode/settings.json"):
        node = folder.json(name)
        if node is not None and node.is_map:
            _settings(draft, node, folder.at(name), rules)
    folder.unread[:] = [item for item in folder.unread if ".vscode" not in item[0]]
    if not draft.grants and not draft.limits and not draft.attribution_off and not folder.unread:
        return
    everything = any(grant.what == "everything" for grant in draft.grants)
    draft.decisions = probed(lambda command: Decision.AUTO if everything else decide(rules, command))
    draft.own_limits = (
        "yes: nothing is asked" if everything else "asked: its settings are guarded files unless they are in amp.guardedFiles.allowlist"
    )
    draft.unknown.append("the user's and the workspace's other settings")
    yield folder.finish(draft).done()


def decide(rules: list[Rule], command: str) -> Decision:
    """The first rule that matches (ampcode.com/manual, Permissions)."""
    return first_match(rules, command)


def _settings(draft: Draft, node: Node, path: str, rules: list[Rule]) -> None:
    if truth(node, "amp.dangerouslyAllowAll"):
        draft.grants.append(
            Grant(Verb.EVERYTHING, "everything", "do anything unasked", path, node.key_line("amp.dangerouslyAllowAll"), Severity.HIGH, True)
        )
    listed = node.get("amp.permissions")
    for item in listed.elements() if listed is not None else ():
        tool, action = item.string("tool") or "", item.string("action") or ""
        decision = _ACTIONS.get(action, Decision.UNKNOWN)
        commands = item.get("matches", "cmd")
        for given in commands.elements() if commands is not None else (None,):
            pattern = "*" if given is None else given.text or ""
            if tool in ("Bash", "*"):
                before = first_match(rules, pattern.rstrip("* ") or "x", Decision.UNKNOWN)
                rules.append(Rule(pattern, decision))
                if action == "allow" and before is not Decision.DENIED:
                    draft.grants.append(shell(pattern, path, item.line))
                elif action in ("reject", "ask"):
                    kind = "deny" if action == "reject" else "ask"
                    shadowed = any(rule.pattern == "*" and rule.decision is Decision.AUTO for rule in rules[:-1])
                    force, why = (
                        (Force.INERT, "a rule above it already allows every command, and the first match counts")
                        if shadowed
                        else (Force.BYPASSABLE, WHO)
                    )
                    draft.limits.append(
                        Limit(Verb.SHELL, f"{kind} Bash({pattern})", f"the rule that {action}s `{pattern}`", path, item.line, force, why)
                    )
            elif action == "allow":
                draft.grants.append(Grant(Verb.TOOL, tool, f"use {tool} unasked", path, item.line, Severity.LOW))
            elif action in ("reject", "ask"):
                draft.limits.append(
                    Limit(
                        Verb.TOOL,
                        f"{'deny' if action == 'reject' else 'ask'} {tool}",
                        f"the rule that {action}s {tool}",
                        path,
                        item.line,
                        Force.BYPASSABLE,
                        WHO,
                    )
                )
    guarded = node.get("amp.guardedFiles.allowlist")
    for item in guarded.elements() if guarded is not None else ():
        draft.grants.append(
            Grant(Verb.EDIT, f"guarded {item.text}", f"edit the guarded files {item.text} unasked", path, item.line, Severity.MODERATE)
        )
    servers(draft, node.get("amp.mcpServers"), path)
    for key in ("amp.git.commit.coauthor.enabled", "amp.git.commit.ampThread.enabled"):
        if (
            truth(node, key) is False
            and truth(node, "amp.git.commit.coauthor.enabled") is False
            and truth(node, "amp.git.commit.ampThread.enabled") is False
        ):
            draft.attribution_off.append((path, node.key_line(key)))
