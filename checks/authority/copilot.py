"""GitHub Copilot: the cloud agent and the CLI.

Docs: docs.github.com/copilot/concepts/agents/cloud-agent, .../customize-the-agent-environment, .../custom-agents-configuration,
docs.github.com/copilot/how-tos/copilot-cli. Fixed limits of the cloud agent: it pushes one branch, cannot approve or merge, workflows wait for
"Approve and run", the requester's approval does not count. Deny, then ask, then allow, over all scopes.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder, servers, truth
from checks.model import Severity, Unreadable
from checks.readers.documents import Node
from checks.readers.workflow import workflow

AGENT, TITLE = "copilot", "GitHub Copilot"
SETUP = ".github/workflows/copilot-setup-steps.yml"
WHO = "whoever may change the file"


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let Copilot's cloud agent and CLI do."""
    draft = Draft(AGENT, TITLE)
    if not folder.root:
        _setup(draft, folder)
    for name in (*folder.names(".github/agents", ".md"),):
        node = folder.front(name)
        if node is not None:
            _agent(draft, node, folder.at(name), name.rpartition("/")[2].split(".")[0])
    _settings(draft, folder)
    given = folder.json(".github/mcp.json")
    if given is not None:
        servers(draft, given.get("mcpServers") or given.get("servers"), folder.at(".github/mcp.json"), (), ())
    for name in folder.names(".github/hooks", ".json"):
        node = folder.json(name)
        if node is not None:
            _hooks(draft, folder, node.get("hooks"), folder.at(name))
    if not draft.grants and not draft.limits and not folder.unread:
        return
    draft.limits += [
        Limit(Verb.EVERYTHING, "cloud agent", "GitHub's own limits: one branch, no approval, no merge, workflows wait for a person", "", None, Force.FORCED, "GitHub; an administrator may let workflows run unasked"),
        Limit(Verb.NETWORK, "firewall", "the firewall of the cloud agent", "", None, Force.BYPASSABLE, "an administrator; and it binds neither setup steps nor servers"),
    ]  # fmt: skip
    draft.own_limits = "yes, in its own pull request: a change to these files holds from the merge on"
    draft.unknown.append(
        "the repository's Copilot settings: firewall, servers, secrets of the copilot environment, whether workflows wait for approval"
    )
    yield folder.finish(draft).done()


def _setup(draft: Draft, folder: Folder) -> None:
    try:
        data = folder.tree.read(SETUP)
        found = workflow(data, SETUP) if data else None
    except Unreadable:
        return
    job = found.job("copilot-setup-steps") if found else None
    if found is None or job is None:
        return
    permissions = job.permissions or found.permissions
    for scope, value in permissions.scopes if permissions else ():
        if value == "write":
            draft.grants.append(
                Grant(
                    Verb.TOKEN,
                    scope,
                    f"have its setup steps write {scope}",
                    SETUP,
                    permissions.line if permissions else None,
                    Severity.LOW,
                    quiet=True,
                )
            )
    for step in job.steps:
        label = step.uses or step.label
        draft.grants.append(
            Grant(
                Verb.CODE,
                f"setup {label}",
                f"run the setup step `{label[:80]}`, outside its firewall",
                SETUP,
                step.line,
                Severity.LOW,
                quiet=True,
            )
        )
    if any("self-hosted" in label for label in job.runs_on):
        draft.grants.append(Grant(Verb.CODE, "self-hosted", "work on a self-hosted runner", SETUP, job.runs_on_line, Severity.MODERATE))


def _agent(draft: Draft, node: Node, path: str, name: str) -> None:
    tools = node.get("tools")
    condition = (f"as the custom agent {name}",)
    listed = (
        ["*"]
        if tools is None
        else [item.text or "" for item in tools.elements()]
        if tools.is_list
        else [part.strip() for part in (tools.text or "").split(",")]
    )
    for tool in listed:
        if not tool or tool in ("read", "search", "todo"):
            continue
        text = "use every tool, servers included" if tool == "*" else f"use the tool {tool}"
        severity = Severity.LOW
        draft.grants.append(
            Grant(Verb.TOOL, f"{name}:{tool}", text, path, tools.line if tools is not None else 1, severity, False, condition, quiet=True)
        )
    before = len(draft.grants)
    servers(draft, node.get("mcp-servers") or node.get("mcpServers"), path, condition, ())
    draft.grants[before:] = draft.grants[before:]


def _settings(draft: Draft, folder: Folder) -> None:
    name = ".github/copilot/settings.json"
    node = folder.json(name)
    if node is None or not node.is_map:
        return
    path = folder.at(name)
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
    for key, word in (("enabledPlugins", "load the plugin"), ("extraKnownMarketplaces", "take plugins from the marketplace")):
        listed = node.get(key)
        for plugin, value in listed.entries() if listed is not None and listed.is_map else ():
            if value.value is not False:
                draft.grants.append(Grant(Verb.PLUGIN, f"{key} {plugin}", f"{word} {plugin}", path, value.line, Severity.MODERATE))
    for key in ("deniedUrls", "denied_urls"):
        listed = node.get(key)
        for item in listed.elements() if listed is not None else ():
            draft.limits.append(
                Limit(Verb.NETWORK, f"deny {item.text}", f"the refusal of {item.text}", path, item.line, Force.BYPASSABLE, WHO)
            )
    if truth(node, "includeCoAuthoredBy") is False:
        draft.attribution_off.append((path, node.key_line("includeCoAuthoredBy")))
    _hooks(draft, folder, node.get("hooks"), path)


def _hooks(draft: Draft, folder: Folder, hooks: Node | None, path: str) -> None:
    for event, items in hooks.entries() if hooks is not None and hooks.is_map else ():
        for item in items.elements():
            command = item.string("bash") or item.string("command") or item.string("powershell")
            if command:
                hook(draft, folder, event, item.string("matcher") or "*", command, path, item.line)
