"""Codex: .codex/config.toml and .codex/rules/*.rules, loaded in projects the user trusts.

Docs: developers.openai.com/codex/{config-reference,security,rules,hooks,app/local-environments}; github.com/openai/codex codex-rs/core/config.schema.json.
The most restrictive matching rule counts: forbidden over prompt over allow; an allow rule also leaves the sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from checks.authority.commands import probed, shell
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, most_restrictive
from checks.authority.sources import Folder, line_of, servers, truth
from checks.model import Severity, Unreadable
from checks.readers import python
from checks.readers.documents import Node

AGENT, TITLE = "codex", "Codex"
TRUST = ("in projects the user trusts",)
WHO = "whoever may change the file, or starts it with other flags"


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Codex do."""
    draft = Draft(AGENT, TITLE)
    rules: list[Rule] = []
    node = folder.toml(".codex/config.toml")
    if node is not None:
        _config(draft, folder, node, folder.at(".codex/config.toml"))
    hooks = folder.json(".codex/hooks.json")
    if hooks is not None:
        _hooks(draft, folder, hooks.get("hooks"), folder.at(".codex/hooks.json"))
    for name in folder.names(".codex/rules", ".rules"):
        text = folder.text(name)
        if text is not None:
            _rules(draft, folder, text, folder.at(name), rules)
    for name in folder.names(".codex/environments", ".toml"):
        environment = folder.toml(name)
        if environment is not None:
            _environment(draft, environment, folder.at(name))
    if not folder.seen and not folder.unread:
        return
    everything = any(grant.what in ("danger-full-access", "never without a sandbox") for grant in draft.grants)
    draft.decisions = probed(lambda command: Decision.AUTO if everything else decide(rules, command))
    draft.own_limits = (
        "yes: nothing is protected without a sandbox" if everything else "no: .codex, .agents and .git are read-only in its sandbox"
    )
    draft.unknown.append("the user's config.toml, whether the project is trusted, and the organisation's requirements.toml")
    yield folder.finish(draft).done()


def _environment(draft: Draft, node: Node, path: str) -> None:
    """The scripts that the app runs by itself when it makes a worktree or clears it away; actions wait for a click."""
    for key, when in (("setup", "makes a worktree"), ("cleanup", "clears a worktree away")):
        table = node.get(key)
        script = (table.string("script") if table is not None and table.is_map else None) or ""
        first = next((line.strip() for line in script.splitlines() if line.strip()), "")
        if first:
            text = f"have the script of {key} (`{first[:80]}`) run when the Codex app {when}"
            draft.grants.append(Grant(Verb.CODE, f"{key} script", text, path, node.key_line(key), value=script, quiet=True))


def decide(rules: list[Rule], command: str) -> Decision:
    """The decision of prefix rules for one command (developers.openai.com/codex/rules)."""
    return most_restrictive(rules, command)


_MODES = {
    "approval_policy": {
        "never": (Verb.EVERYTHING, Severity.MODERATE, "never ask, whatever its sandbox lets it do"),
        "on-failure": (Verb.SHELL, Severity.LOW, "ask only after a command failed in the sandbox"),
    },
    "sandbox_mode": {"danger-full-access": (Verb.EVERYTHING, Severity.HIGH, "do anything outside any sandbox")},
    "default_permissions": {":danger-full-access": (Verb.EVERYTHING, Severity.HIGH, "do anything outside any sandbox")},
    "approvals_reviewer": {"auto_review": (Verb.EVERYTHING, Severity.MODERATE, "have a model answer its requests instead of a person")},
    "web_search": {"live": (Verb.NETWORK, Severity.LOW, "search the web live")},
}
_LIMITS = {
    "approval_policy": {"untrusted": "the policy to ask before all but trusted commands"},
    "sandbox_mode": {"read-only": "the read-only sandbox", "workspace-write": "the sandbox"},
    "default_permissions": {":read-only": "the read-only sandbox", ":workspace": "the sandbox"},
}
_RANK = {"read-only": 2, "workspace-write": 1, ":read-only": 2, ":workspace": 1, "untrusted": 1}


def _config(draft: Draft, folder: Folder, node: Node, path: str) -> None:
    for key, values in _MODES.items():
        value = node.string(key)
        if value in values:
            verb, severity, text = values[value]
            what = "danger-full-access" if "danger-full-access" in value else f"{key} {value}"
            draft.grants.append(Grant(verb, what, text, path, node.key_line(key), severity, severity is Severity.HIGH, TRUST))
        if value in _LIMITS.get(key, {}):
            # A tighter sandbox covers a looser one: each level is a limit of its own.
            for level in range(1, _RANK[value] + 1):
                what = f"{'sandbox' if key != 'approval_policy' else key}{' read-only' if level == 2 else ''}"
                draft.limits.append(
                    Limit(Verb.SHELL, what, _LIMITS[key][value], path, node.key_line(key), Force.BYPASSABLE, WHO, Severity.HIGH)
                )
    if truth(node, "sandbox_workspace_write", "network_access"):
        draft.grants.append(
            Grant(
                Verb.NETWORK,
                "network:*",
                "reach the network from its sandbox",
                path,
                line_of(node, "sandbox_workspace_write", "network_access"),
                Severity.MODERATE,
                False,
                TRUST,
            )
        )
    roots = node.get("sandbox_workspace_write", "writable_roots")
    for item in roots.elements() if roots is not None else ():
        draft.grants.append(
            Grant(Verb.EDIT, f"directory {item.text}", f"write to {item.text}", path, item.line, Severity.MODERATE, False, TRUST)
        )
    policy = node.get("shell_environment_policy")
    if policy is not None and (truth(policy, "ignore_default_excludes") or policy.string("inherit") == "all"):
        draft.grants.append(
            Grant(
                Verb.SECRET,
                "environment",
                "hand all environment variables, keys and tokens included, to the programs it starts",
                path,
                policy.line,
                Severity.MODERATE,
                False,
                TRUST,
            )
        )
    servers(draft, node.get("mcp_servers"), path, TRUST)
    for name, server in (node.get("mcp_servers") or Node(0, pairs=())).entries():
        for item in (server.get("disabled_tools") or Node(0, items=())).elements():
            draft.limits.append(
                Limit(
                    Verb.TOOL,
                    f"{name}:{item.text}",
                    f"the refusal of {item.text} of the server {name}",
                    path,
                    item.line,
                    Force.BYPASSABLE,
                    WHO,
                )
            )
        if server.get("enabled_tools") is not None:
            draft.limits.append(
                Limit(
                    Verb.TOOL,
                    f"{name} enabled_tools",
                    f"the list of tools of the server {name}",
                    path,
                    server.key_line("enabled_tools"),
                    Force.BYPASSABLE,
                    WHO,
                )
            )
    apps = node.get("apps")
    for name, app in apps.entries() if apps is not None else ():
        for key in ("destructive_enabled", "open_world_enabled"):
            if truth(app, key):
                draft.grants.append(
                    Grant(
                        Verb.TOOL,
                        f"{name} {key}",
                        f"use the {key.split('_')[0]} tools of {name}",
                        path,
                        app.key_line(key),
                        Severity.MODERATE,
                        key.startswith("destructive"),
                        TRUST,
                    )
                )
        if app.string("default_tools_approval_mode") in ("auto", "approve"):
            draft.grants.append(
                Grant(
                    Verb.TOOL,
                    f"{name}:*",
                    f"use the tools of {name} unasked",
                    path,
                    app.key_line("default_tools_approval_mode"),
                    Severity.MODERATE,
                    False,
                    TRUST,
                )
            )
    if truth(node, "features", "hooks") is False:
        draft.grants.append(
            Grant(
                Verb.EVERYTHING, "no hooks", "act without hooks", path, line_of(node, "features", "hooks"), Severity.MODERATE, False, TRUST
            )
        )
    _hooks(draft, folder, node.get("hooks"), path)
    notify = node.get("notify")
    if notify is not None:
        words = " ".join(item.text or "" for item in notify.elements())
        draft.grants.append(
            Grant(
                Verb.CODE,
                f"notify {words}",
                f"run `{words[:80]}` when it finishes",
                path,
                node.key_line("notify"),
                Severity.LOW,
                False,
                TRUST,
            )
        )
    if node.string("commit_attribution") == "":
        draft.attribution_off.append((path, node.key_line("commit_attribution")))


def _hooks(draft: Draft, folder: Folder, hooks: Node | None, path: str) -> None:
    for event, groups in hooks.entries() if hooks is not None and hooks.is_map else ():
        for group in groups.elements():
            inner = group.get("hooks")
            for item in inner.elements() if inner is not None else (group,):
                command = item.get("command") if item.is_map else None
                words = " ".join(word.text or "" for word in command.elements()) if command is not None else ""
                if words:
                    hook(draft, folder, event, group.string("matcher") or "*", words, path, item.line)


_DECISIONS = {"allow": Decision.AUTO, "prompt": Decision.ASKED, "forbidden": Decision.DENIED}


def _rules(draft: Draft, folder: Folder, text: str, path: str, rules: list[Rule]) -> None:
    """`prefix_rule(pattern=[…], decision=…)` in Starlark, whose expressions are Python's; the decision is allow where none is given."""
    try:
        tree = python.module(text, path)
    except Unreadable as error:
        folder.unread.append((path, "its rules cannot be parsed", error.line))
        return
    for call in (node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        if not isinstance(call.func, ast.Name) or call.func.id != "prefix_rule":
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        decision = given.get("decision")
        word = decision.value if isinstance(decision, ast.Constant) else "allow" if decision is None else None
        for pattern in _prefixes(given.get("pattern")):
            rule = pattern + " *"
            if word not in _DECISIONS:
                continue
            rules.append(Rule(rule, _DECISIONS[str(word)]))
            if word == "allow":
                grant = shell(rule, path, call.lineno, (*TRUST, "outside the sandbox"))
                draft.grants.append(grant)
            else:
                verb = "forbids" if word == "forbidden" else "asks before"
                kind = "deny" if word == "forbidden" else "ask"
                draft.limits.append(
                    Limit(Verb.SHELL, f"{kind} Bash({rule})", f"the rule that {verb} `{pattern}`", path, call.lineno, Force.BYPASSABLE, WHO)
                )


def _prefixes(node: ast.expr | None) -> list[str]:
    """All prefixes a pattern names: an element may be a list of alternatives."""
    out = [""]
    if not isinstance(node, ast.List | ast.Tuple):
        return []
    for element in node.elts:
        options = element.elts if isinstance(element, ast.List | ast.Tuple) else [element]
        words = [option.value for option in options if isinstance(option, ast.Constant) and isinstance(option.value, str)]
        out = [f"{prefix} {word}".strip() for prefix in out for word in words][:64]
    return [prefix for prefix in out if prefix]
