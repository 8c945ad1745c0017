"""Gemini CLI: .gemini/settings.json; policies in the workspace do nothing.

Docs: github.com/google-gemini/gemini-cli docs/reference/configuration.md, docs/core/policy-engine.md, docs/cli/trusted-folders.md.
Policies decide by priority (admin over user over workspace); workspace policies are not loaded (gemini-cli issue 18186).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.authority.commands import probed
from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Decision, Draft, Force, Grant, Limit, Verb
from checks.authority.precedence import Rule, by_priority
from checks.authority.sources import Folder, dotted, dotted_line, servers
from checks.authority.workflows import gemini_tool
from checks.model import Severity
from checks.readers.documents import Node

AGENT, TITLE = "gemini-cli", "Gemini CLI"
FILE = ".gemini/settings.json"
WHO = "whoever may change the file, or starts it with --yolo"
TIERS = {"default": 1, "extension": 2, "workspace": 3, "user": 4, "admin": 5}
"""docs/core/policy-engine.md: a rule's number is its tier plus its priority divided by 1000."""


def priority(tier: str, number: int) -> float:
    """The number by which policies are compared."""
    return TIERS[tier] + number / 1000


def decide(rules: Sequence[Rule], command: str) -> Decision:
    """The decision of policies for one command."""
    return by_priority(rules, command)


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Gemini CLI do."""
    draft = Draft(AGENT, TITLE)
    node = folder.json(FILE)
    path = folder.at(FILE)
    rules: list[Rule] = []
    if node is not None and node.is_map:
        _tools(draft, node, path, rules)
        _switches(draft, node, path)
        servers(draft, node.get("mcpServers"), path, ("in trusted folders",), ("trust",))
        _hooks(draft, folder, node, path)
    for name in folder.names(".gemini/policies", ".toml"):
        folder.seen.append(folder.at(name))
        draft.limits.append(
            Limit(
                Verb.SHELL,
                f"policy {name}",
                f"the policy file {folder.at(name)}",
                folder.at(name),
                1,
                Force.INERT,
                "policies of a workspace are not loaded; only the user's and the administrator's are",
            )
        )
    if not folder.seen and not folder.unread:
        return
    if not draft.grants and not draft.limits and not folder.unread:
        return
    draft.decisions = probed(lambda command: decide(rules, command))
    draft.own_limits = "asked: edits ask, also of .gemini; with --yolo or auto_edit they do not"
    if any(grant.what == "mode auto_edit" for grant in draft.grants):
        draft.own_limits = "yes: it edits any file unasked, .gemini/settings.json included"
    draft.unknown.append("the user's and the system's settings, whether the folder is trusted, and whether people start it with --yolo")
    yield folder.finish(draft).done()


def _tools(draft: Draft, node: Node, path: str, rules: list[Rule]) -> None:
    for key in ("tools.allowed", "allowedTools"):
        listed = dotted(node, key)
        for item in listed.elements() if listed is not None else ():
            grant = gemini_tool(item.text or "", path, item.line)
            if grant is not None:
                draft.grants.append(grant)
                if grant.verb is Verb.SHELL:
                    rules.append(Rule(grant.what, Decision.AUTO, priority("user", 100)))
    for key, words in (
        ("tools.exclude", "the exclusion of {}"),
        ("excludeTools", "the exclusion of {}"),
        ("tools.confirmationRequired", "the rule that asks before {}"),
    ):
        listed = dotted(node, key)
        for item in listed.elements() if listed is not None else ():
            kind = "ask" if "confirmation" in key else "deny"
            draft.limits.append(Limit(Verb.TOOL, f"{kind} {item.text}", words.format(item.text), path, item.line, Force.BYPASSABLE, WHO))
            if (item.text or "").startswith("run_shell_command("):
                inner = (item.text or "")[18:-1]
                rules.append(Rule(inner + " *", Decision.ASKED if kind == "ask" else Decision.DENIED, priority("user", 200)))
    core = next((found for key in ("tools.core", "coreTools") if (found := dotted(node, key)) is not None), None)
    if core is not None:
        draft.limits.append(
            Limit(Verb.TOOL, "tools.core", "the list of tools it may use", path, core.line, Force.BYPASSABLE, WHO, Severity.HIGH)
        )
        for item in core.elements():
            grant = gemini_tool(item.text or "", path, item.line)
            if grant is not None:
                text = f"be offered {item.text}"
                draft.grants.append(
                    Grant(Verb.TOOL, f"core {item.text}", text, path, item.line, Severity.LOW, False, ("it still asks before commands",))
                )


_OPEN = {
    "tools.sandboxNetworkAccess": (Verb.NETWORK, Severity.MODERATE, "reach the network from its sandbox"),
    "hooksConfig.enabled": (Verb.EVERYTHING, Severity.MODERATE, "act without hooks"),
}
_COMMANDS = {"tools.discoveryCommand": "find its tools", "tools.callCommand": "call its tools", "mcp.serverCommand": "start its server"}
_GUARDS = ("security.disableYoloMode", "security.disableAlwaysAllow", "security.blockGitExtensions", "security.folderTrust.enabled", "security.toolSandboxing", "admin.secureModeEnabled",
           "security.environmentVariableRedaction.enabled")  # fmt: skip


def _switches(draft: Draft, node: Node, path: str) -> None:
    mode = dotted(node, "general.defaultApprovalMode")
    if mode is not None and mode.text == "auto_edit":
        draft.grants.append(Grant(Verb.EDIT, "mode auto_edit", "edit any file unasked", path, mode.line, Severity.LOW))
    elif mode is not None and mode.text == "plan":
        draft.limits.append(Limit(Verb.EVERYTHING, "mode plan", "the mode `plan`", path, mode.line, Force.BYPASSABLE, WHO))
    for key, (verb, severity, text) in _OPEN.items():
        value = dotted(node, key)
        if value is not None and value.value is (key != "hooksConfig.enabled"):
            draft.grants.append(Grant(verb, key, text, path, dotted_line(node, key), severity))
    for key, text in _COMMANDS.items():
        value = dotted(node, key)
        if value is not None and value.text:
            draft.grants.append(
                Grant(Verb.CODE, f"{key} {value.text}", f"run `{value.text[:80]}` to {text}", path, value.line, Severity.MODERATE)
            )
    for key in _GUARDS:
        value = dotted(node, key)
        if value is not None and value.value is True:
            draft.limits.append(Limit(Verb.EVERYTHING, key, f"`{key}`", path, dotted_line(node, key), Force.BYPASSABLE, WHO))
    box = dotted(node, "tools.sandbox")
    if box is not None and box.value not in (False, None, ""):
        draft.limits.append(Limit(Verb.SHELL, "sandbox", "the sandbox", path, box.line, Force.BYPASSABLE, WHO, Severity.HIGH))
    more = dotted(node, "tools.sandboxAllowedPaths")
    for item in more.elements() if more is not None else ():
        draft.grants.append(
            Grant(Verb.EDIT, f"directory {item.text}", f"reach {item.text} from its sandbox", path, item.line, Severity.MODERATE)
        )
    off = dotted(node, "hooksConfig.disabled")
    for item in off.elements() if off is not None else ():
        draft.grants.append(
            Grant(Verb.EVERYTHING, f"no hook {item.text}", f"act without the hook {item.text}", path, item.line, Severity.MODERATE)
        )
    for key in ("mcp.excluded", "mcp.allowed"):
        listed = dotted(node, key)
        if listed is not None and key == "mcp.allowed":
            draft.limits.append(Limit(Verb.SERVER, key, "the list of servers it may use", path, listed.line, Force.BYPASSABLE, WHO))
        for item in listed.elements() if listed is not None and key == "mcp.excluded" else ():
            draft.limits.append(
                Limit(Verb.SERVER, f"deny {item.text}", f"the refusal of the server {item.text}", path, item.line, Force.BYPASSABLE, WHO)
            )


def _hooks(draft: Draft, folder: Folder, node: Node, path: str) -> None:
    hooks = node.get("hooks")
    for event, groups in hooks.entries() if hooks is not None and hooks.is_map else ():
        for group in groups.elements() if groups.is_list else ():
            inner = group.get("hooks")
            for item in inner.elements() if inner is not None else (group,):
                command = item.string("command")
                if command:
                    hook(draft, folder, event, group.string("matcher") or "*", command, path, item.line)
