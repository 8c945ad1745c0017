"""Claude Code: .claude/settings.json, .claude/settings.local.json, .mcp.json, agents, skills and commands.

Docs: code.claude.com/docs/en/{settings,permissions,permission-modes,hooks,mcp,sub-agents,skills,sandboxing}.
Deny, then ask, then allow; lists of all scopes merge. `bypassPermissions` and `auto` in a project's settings: honoured before 2.1.257, inert since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from checks.authority.commands import parts, probed, shell, weigh
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, deny_first
from checks.authority.sources import Folder, line_of, servers, tool_severity, truth
from checks.model import Severity
from checks.readers.documents import Node

AGENT, TITLE = "claude-code", "Claude Code"
SETTINGS = (".claude/settings.json", ".claude/settings.local.json")
_RULE = re.compile(r"\s*([A-Za-z_*][A-Za-z0-9_*.-]*)\s*(?:\((.*)\))?\s*\Z", re.DOTALL)
_FREE = frozenset({"Read", "Glob", "Grep", "LS", "NotebookRead", "Task", "Agent", "TodoWrite", "TodoRead", "TaskCreate", "TaskUpdate", "TaskList",
                   "TaskGet", "ExitPlanMode", "AskUserQuestion", "BashOutput", "KillShell", "KillBash", "Skill", "ToolSearch", "LSP", "StructuredOutput"})  # fmt: skip
"""Tools that ask nothing anyway (docs/en/permissions, tools table)."""
_EDITS = frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit"})
_NEVER_ASKED_FOR = frozenset({"Write", "NotebookEdit", "MultiEdit", "Glob"})
"""Tools whose path rules are never consulted (docs/en/permissions: path rules are those of Read and Edit)."""
REPOSITORY = "whoever may change the settings file, or start it with other settings"


def parse(rule: str) -> tuple[str, str | None] | None:
    """A permission rule as (tool, specifier); None for one that is malformed."""
    match = _RULE.match(rule)
    return (match[1], match[2].strip() if match[2] is not None else None) if match else None


def pattern_of(specifier: str | None) -> str:
    """A Bash specifier as a command pattern: `git push:*` and `git push *` are the same; none or `*` is every command."""
    if specifier is None or specifier in ("", "*", ":*"):
        return "*"
    return specifier[:-2] + " *" if specifier.endswith(":*") else specifier


def allowed(rule: str, path: str, line: int | None, condition: tuple[str, ...] = ()) -> Grant | None:
    """What an allow rule grants; None for one that grants nothing (a tool that never asks, `*`, `mcp__*`, a malformed rule)."""
    parsed = parse(rule)
    if parsed is None:
        return None
    tool, specifier = parsed
    if tool in ("Bash", "PowerShell"):
        return shell(pattern_of(specifier), path, line, condition)
    if tool in _EDITS:
        where = specifier or "*"
        text = "edit any file" if where in ("*", "**") else f"edit {where}"
        severity = Severity.MODERATE if re.search(r"\.claude|\.github|\.git/|\.mcp\.json|\.env|//|~", where) else Severity.LOW
        return Grant(Verb.EDIT, "*" if where in ("*", "**") else where, text, path, line, severity, False, condition)
    if tool in _FREE:
        outside = tool == "Read" and specifier is not None and specifier.startswith(("//", "~"))
        return Grant(Verb.READ, specifier or "*", f"read {specifier}", path, line, Severity.LOW, False, condition) if outside else None
    if tool in ("WebFetch", "WebSearch", "Fetch"):
        domain = (specifier or "*").removeprefix("domain:")
        text = (
            f"fetch pages from {domain}" if domain != "*" else "search the web" if tool == "WebSearch" else "fetch any page of the internet"
        )
        severity = Severity.MODERATE if domain == "*" and tool != "WebSearch" else Severity.LOW
        return Grant(Verb.NETWORK, f"{tool}:{domain}", text, path, line, severity, False, condition)
    if tool.startswith("mcp__"):
        server, _, name = tool[5:].partition("__")
        if "*" in server or not server:
            return None
        whole = name in ("", "*")
        text = f"use every tool of the server {server} unasked" if whole else f"use the tool {name} of the server {server} unasked"
        severity = Severity.MODERATE if whole else tool_severity(name)
        return Grant(Verb.TOOL, f"{server}:{name or '*'}", text, path, line, severity, False, condition)
    if "*" in tool:
        return None
    return Grant(Verb.TOOL, rule.strip(), f"use the tool {rule.strip()} unasked", path, line, Severity.LOW, False, condition)


def denied(rule: str, kind: str, path: str, line: int | None, moot: str) -> Limit | None:
    """What a deny or ask rule holds back, and whether it does; `moot` names an allowed runner that makes a list of commands say nothing."""
    parsed = parse(rule)
    if parsed is None:
        return None
    tool, specifier = parsed
    verb = {"Bash": Verb.SHELL, "PowerShell": Verb.SHELL, "Read": Verb.READ, "WebFetch": Verb.NETWORK}.get(
        tool, Verb.EDIT if tool in _EDITS else Verb.TOOL
    )
    what = f"{kind} {tool}({pattern_of(specifier)})" if verb is Verb.SHELL else f"{kind} {rule.strip()}"
    text = f"the rule that {'denies' if kind == 'deny' else 'asks before'} `{rule.strip()}`"
    force, why = Force.BYPASSABLE, REPOSITORY
    if tool in _NEVER_ASKED_FOR and specifier:
        force, why = (
            Force.INERT,
            f"path rules for {tool} are never consulted; `{'Read' if tool == 'Glob' else 'Edit'}({specifier})` would be",
        )
    elif verb is Verb.SHELL and specifier and specifier.startswith("command:"):
        force, why = Force.INERT, "`command:` is no part of the syntax, so the rule matches nothing"
    elif verb is Verb.SHELL and moot and specifier:
        why = f"the agent itself: the allowed `{moot}` starts any program"
    elif verb in (Verb.READ, Verb.EDIT) and specifier:
        why = f"any program the agent starts (rules for files do not bind subprocesses), and {REPOSITORY}"
    severity = Severity.MODERATE if verb is not Verb.SHELL or weigh(pattern_of(specifier)).destructive else Severity.LOW
    return Limit(verb, what, text, path, line, force, why, severity)


def decide(rules: Iterable[Rule], command: str) -> Decision:
    """Compound commands are split and every part must be allowed; any part denied denies all (docs/en/permissions)."""
    listed = tuple(rules)
    found = {deny_first(listed, part) for part in parts(command)}
    return next((decision for decision in (Decision.DENIED, Decision.ASKED, Decision.AUTO) if decision in found), Decision.ASKED)


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Claude Code do."""
    draft = Draft(AGENT, TITLE)
    rules: list[Rule] = []
    configured = False
    for name in SETTINGS:
        node = folder.json(name)
        if node is not None and node.is_map:
            configured = True
            _settings(draft, folder, node, folder.at(name), rules)
    found = folder.json(".mcp.json")
    if found is not None:
        configured = True
        trusted = any(grant.what == "every project server" for grant in draft.grants)
        condition = ("starts unasked",) if trusted else ("each user approves it by name once",)
        servers(draft, found.get("mcpServers"), folder.at(".mcp.json"), condition)
    configured |= _prompts(draft, folder)
    if not configured and not folder.unread:
        return
    draft.unknown.append("the settings of the user and of the organisation (managed settings can forbid all of this)")
    draft.decisions = probed(lambda command: decide(rules, command))
    draft.own_limits = _own(draft, rules)
    yield folder.finish(draft).done()


def _settings(draft: Draft, folder: Folder, node: Node, path: str, rules: list[Rule]) -> None:
    permissions = node.get("permissions")
    for kind, decision in (("allow", Decision.AUTO), ("ask", Decision.ASKED), ("deny", Decision.DENIED)):
        listed = permissions.get(kind) if permissions is not None else None
        for item in listed.elements() if listed is not None else ():
            parsed = parse(item.text or "")
            if parsed and parsed[0] == "Bash":
                rules.append(Rule(pattern_of(parsed[1]), decision))
    moot = next((rule.pattern for rule in rules if rule.decision is Decision.AUTO and weigh(rule.pattern).runner), "")
    listed = permissions.get("allow") if permissions is not None else None
    for item in listed.elements() if listed is not None else ():
        grant = allowed(item.text or "", path, item.line)
        if grant is not None and not (grant.verb is Verb.SHELL and deny_first(rules, grant.what.rstrip(" *")) is Decision.DENIED):
            draft.grants.append(grant)
    for kind in ("deny", "ask"):
        listed = permissions.get(kind) if permissions is not None else None
        for item in listed.elements() if listed is not None else ():
            limit = denied(item.text or "", kind, path, item.line, moot)
            if limit is not None:
                draft.limits.append(limit)
    _modes(draft, node, path)
    _switches(draft, node, path)
    _sandbox(draft, node, path)
    _hooks(draft, folder, node, path)
    attribution = node.get("attribution")
    for where, key in ((attribution, "commit"), (attribution, "pr")):
        if where is not None and where.string(key) == "":
            draft.attribution_off.append((path, where.key_line(key)))
    if truth(node, "includeCoAuthoredBy") is False:
        draft.attribution_off.append((path, node.key_line("includeCoAuthoredBy")))


_MODES = {
    "acceptEdits": (Severity.LOW, "edit any file and run file commands (mkdir, mv, cp) unasked"),
    "auto": (Severity.MODERATE, "let a model decide instead of a person"),
    "bypassPermissions": (Severity.HIGH, "do anything unasked"),
}


def _modes(draft: Draft, node: Node, path: str) -> None:
    mode = node.string("permissions", "defaultMode")
    line = line_of(node, "permissions", "defaultMode")
    if mode in _MODES:
        severity, text = _MODES[mode]
        condition = () if mode == "acceptEdits" else ("Claude Code before 2.1.257; inert in a project's settings since",)
        draft.grants.append(
            Grant(
                Verb.EVERYTHING if mode == "bypassPermissions" else Verb.EDIT,
                f"mode {mode}",
                text,
                path,
                line,
                severity,
                mode == "bypassPermissions",
                condition,
            )
        )
    elif mode in ("plan", "dontAsk"):
        draft.limits.append(
            Limit(Verb.EVERYTHING, f"mode {mode}", f"the mode `{mode}`", path, line, Force.BYPASSABLE, "whoever starts it in another mode")
        )
    for key in ("disableBypassPermissionsMode", "disableAutoMode"):
        if node.string("permissions", key) == "disable" or node.string(key) == "disable":
            at = line_of(node, "permissions", key)
            draft.limits.append(Limit(Verb.EVERYTHING, key, f"`{key}`", path, at, Force.BYPASSABLE, REPOSITORY))
    more = node.get("permissions", "additionalDirectories")
    for item in more.elements() if more is not None else ():
        draft.grants.append(Grant(Verb.EDIT, f"directory {item.text}", f"reach files in {item.text}", path, item.line, Severity.MODERATE))


_LOADED = re.compile(r"(?:ANTHROPIC_BASE_URL|ANTHROPIC_AUTH_TOKEN|NODE_OPTIONS|LD_PRELOAD|BASH_ENV|PYTHONPATH|PATH|HTTPS?_PROXY|NODE_TLS_REJECT_UNAUTHORIZED|NODE_EXTRA_CA_CERTS|GIT_SSH_COMMAND|ANTHROPIC_BEDROCK_BASE_URL)\Z", re.IGNORECASE)  # fmt: skip


def _switches(draft: Draft, node: Node, path: str) -> None:
    if truth(node, "enableAllProjectMcpServers"):
        line = node.key_line("enableAllProjectMcpServers")
        draft.grants.append(
            Grant(Verb.SERVER, "every project server", "start every server of .mcp.json unasked", path, line, Severity.MODERATE)
        )
    named = node.get("enabledMcpjsonServers")
    for item in named.elements() if named is not None else ():
        draft.grants.append(
            Grant(
                Verb.SERVER,
                f"approved {item.text}",
                f"start the server {item.text} unasked, whatever stands behind the name",
                path,
                item.line,
                Severity.MODERATE,
            )
        )
    for key in ("disabledMcpjsonServers", "deniedMcpServers"):
        listed = node.get(key)
        for item in listed.elements() if listed is not None else ():
            name = item.text or item.string("serverName") or ""
            draft.limits.append(
                Limit(
                    Verb.SERVER, f"{key} {name}", f"the rule that refuses the server {name}", path, item.line, Force.BYPASSABLE, REPOSITORY
                )
            )
    if truth(node, "disableAllHooks"):
        draft.grants.append(
            Grant(
                Verb.EVERYTHING,
                "no hooks",
                "act without any hook, the user's own included",
                path,
                node.key_line("disableAllHooks"),
                Severity.HIGH,
            )
        )
    helper = node.string("apiKeyHelper")
    if helper:
        draft.grants.append(
            Grant(
                Verb.CODE,
                f"apiKeyHelper {helper}",
                f"run `{helper}` to get its key",
                path,
                node.key_line("apiKeyHelper"),
                Severity.MODERATE,
            )
        )
    line_command = node.string("statusLine", "command")
    if line_command:
        draft.grants.append(
            Grant(
                Verb.CODE,
                f"statusLine {line_command}",
                f"run `{line_command[:80]}` for its status line",
                path,
                line_of(node, "statusLine"),
                Severity.LOW,
            )
        )
    environment = node.get("env")
    for name, value in environment.entries() if environment is not None else ():
        if _LOADED.match(name):
            url = "BASE_URL" in name.upper()
            text = (
                f"send its traffic and key to {value.text}"
                if url
                else f"start with {name} set, which changes what its programs load or trust"
            )
            draft.grants.append(
                Grant(
                    Verb.NETWORK if url else Verb.CODE,
                    f"env {name}",
                    text,
                    path,
                    value.line,
                    Severity.HIGH if url else Severity.MODERATE,
                    value=value.text or "" if url else "",
                )
            )
    plugins = node.get("enabledPlugins")
    for name, value in plugins.entries() if plugins is not None and plugins.is_map else ():
        if value.value is not False:
            draft.grants.append(
                Grant(Verb.PLUGIN, name, f"load the plugin {name}, with its hooks and servers", path, value.line, Severity.MODERATE)
            )
    markets = node.get("extraKnownMarketplaces")
    for name, value in markets.entries() if markets is not None and markets.is_map else ():
        source = value.get("source")
        where = " ".join(item.text or "" for _, item in source.entries()) if source is not None and source.is_map else ""
        draft.grants.append(
            Grant(
                Verb.PLUGIN,
                f"marketplace {name}",
                f"take plugins from the marketplace {name} ({where})",
                path,
                value.line,
                Severity.MODERATE,
                value=where,
            )
        )


_OPENINGS = {
    "excludedCommands": "run {} outside the sandbox",
    "filesystem.allowWrite": "write to {} from within the sandbox",
    "network.allowedDomains": "reach {} from within the sandbox",
    "network.allowUnixSockets": "use the socket {} from within the sandbox",
}
_OPEN_SWITCHES = {
    "network.allowAllUnixSockets": "use every socket of the machine from within the sandbox",
    "network.allowLocalBinding": "listen on local ports",
    "enableWeakerNestedSandbox": "run in a weaker sandbox",
    "enableWeakerNetworkIsolation": "run with weaker isolation from the network",
}


def _sandbox(draft: Draft, node: Node, path: str) -> None:
    box = node.get("sandbox")
    if box is None or not box.is_map:
        return
    on = truth(box, "enabled")
    if on:
        escape = truth(box, "allowUnsandboxedCommands") is not False
        soft = truth(box, "failIfUnavailable") is not True
        why = "; ".join(
            text for text, holds in (
                ("the agent itself: unsandboxed commands are allowed after asking", escape),
                ("it is skipped with a warning where the machine has no sandbox", soft),
                (REPOSITORY, True),
            ) if holds
        )  # fmt: skip
        draft.limits.append(
            Limit(Verb.SHELL, "sandbox", "the sandbox for commands", path, box.key_line("enabled"), Force.BYPASSABLE, why, Severity.HIGH)
        )
        for key, value, words in (
            ("allowUnsandboxedCommands", False, "the refusal of commands outside the sandbox"),
            ("failIfUnavailable", True, "the refusal to run without a sandbox"),
        ):
            if truth(box, key) is value:
                draft.limits.append(Limit(Verb.SHELL, f"sandbox {key}", words, path, box.key_line(key), Force.BYPASSABLE, REPOSITORY))
        if truth(box, "autoAllowBashIfSandboxed") is not False:
            draft.grants.append(
                Grant(
                    Verb.SHELL,
                    "sandboxed",
                    "run any command unasked inside the sandbox",
                    path,
                    box.key_line("enabled"),
                    Severity.LOW,
                    False,
                    ("in the sandbox",),
                )
            )
    for key, text in _OPENINGS.items():
        listed = box.get(*key.split("."))
        for item in listed.elements() if listed is not None else ():
            severe = key == "network.allowUnixSockets" or item.text in ("*", "/", "~")
            verb = Verb.NETWORK if key.startswith("network") else Verb.SHELL if key == "excludedCommands" else Verb.EDIT
            draft.grants.append(
                Grant(
                    verb, f"sandbox {key} {item.text}", text.format(item.text), path, item.line, Severity.HIGH if severe else Severity.LOW
                )
            )
    for key, text in _OPEN_SWITCHES.items():
        if truth(box, *key.split(".")):
            draft.grants.append(Grant(Verb.NETWORK, f"sandbox {key}", text, path, line_of(box, *key.split(".")), Severity.MODERATE))


def _hooks(draft: Draft, folder: Folder, node: Node, path: str, events: str = "hooks") -> None:
    listed = node.get(events)
    for event, groups in listed.entries() if listed is not None and listed.is_map else ():
        for group in groups.elements():
            matcher = group.string("matcher") or "*"
            inner = group.get("hooks")
            for item in inner.elements() if inner is not None else (group,):
                command = item.string("command") or item.string("url")
                if command:
                    hook(draft, folder, event, matcher, command, path, item.key_line("command"), soft=truth(item, "async") is True)


def _prompts(draft: Draft, folder: Folder) -> bool:
    """Skills, commands and agents: their front matter grants tools, or restricts them, while they run."""
    found = False
    names = [*folder.names(".claude/commands", ".md"), *folder.names(".claude/agents", ".md")]
    names += [f"{inner}/SKILL.md" for inner in folder.folders(".claude/skills")]
    for inner in folder.folders(".claude/commands"):
        names += folder.names(inner, ".md")
    for name in names:
        node = folder.front(name)
        if node is None:
            continue
        path = folder.at(name)
        label = name.removeprefix(".claude/").removesuffix(".md").removesuffix("/SKILL")
        condition = (f"while {label} runs",)
        listed = node.get("allowed-tools")
        for rule, line in _listed(listed):
            grant = allowed(rule, path, line, condition)
            if grant is not None:
                found = True
                draft.grants.append(_scoped(grant, label))
        if name.startswith(".claude/agents/"):
            if node.string("permissionMode") in _MODES:
                found = True
                severity, text = _MODES[node.string("permissionMode") or ""]
                draft.grants.append(
                    Grant(
                        Verb.EVERYTHING,
                        f"{label} mode {node.string('permissionMode')}",
                        text,
                        path,
                        node.key_line("permissionMode"),
                        severity,
                        False,
                        condition,
                    )
                )
            tools = list(_listed(node.get("tools"))) or [("*", 1)]
            for rule, line in tools:
                text = f"use {'every tool' if rule == '*' else rule} as {label}"
                draft.grants.append(Grant(Verb.TOOL, f"{label}:{rule}", text, path, line, Severity.LOW, False, condition, within=label))
            inline = node.get("mcpServers")
            if inline is not None and inline.is_map:
                found = True
                servers(draft, inline, path, condition)
            for rule, line in _listed(node.get("disallowedTools")):
                found = True
                draft.limits.append(
                    Limit(
                        Verb.TOOL,
                        f"{label} {rule}",
                        f"the refusal of {rule} for {label}",
                        path,
                        line,
                        Force.BYPASSABLE,
                        REPOSITORY,
                        Severity.LOW,
                    )
                )
        if node.get("hooks") is not None:
            found = True
            _hooks(draft, folder, node, path)
    return found


def _scoped(grant: Grant, label: str) -> Grant:
    """A grant that holds only while one prompt runs: its own thing, whatever the session may do."""
    return Grant(grant.verb, grant.what, grant.text, grant.path, grant.line, grant.severity, grant.destructive, grant.condition, label)


def _listed(node: Node | None) -> Iterator[tuple[str, int]]:
    if node is None:
        return
    if node.is_list:
        for item in node.elements():
            if item.text:
                yield item.text, item.line
    elif node.text:
        for rule in split_tools(node.text):
            yield rule, node.line


def split_tools(text: str) -> tuple[str, ...]:
    """A list of rules written on one line, by commas (or blanks) outside brackets."""
    out: list[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth = max(0, depth - 1)
        elif depth == 0 and (char == "," or char.isspace()):
            out.append(text[start:at])
            start = at + 1
    out.append(text[start:])
    return tuple(part.strip().strip("\"'") for part in out if part.strip().strip("\"'"))


def _own(draft: Draft, rules: list[Rule]) -> str:
    if any(grant.verb is Verb.EVERYTHING for grant in draft.grants):
        return "yes: it may do anything unasked, its own settings included"
    if any(grant.verb is Verb.EDIT and (grant.what == "*" or ".claude" in grant.what) for grant in draft.grants):
        return "asked: .claude and .mcp.json are protected paths that even a broad edit rule does not cover"
    if any(rule.decision is Decision.AUTO and weigh(rule.pattern).runner for rule in rules):
        return "yes: an allowed runner can write any file of the repository, its settings included"
    return "asked: edits ask, and .claude and .mcp.json are protected paths"
