"""OpenHands: .openhands/setup.sh, hooks.json, pre-commit.sh; microagents are text.

Docs: docs.openhands.dev/openhands/usage/customization/{repository,hooks}. Headless runs approve everything; a hook blocks with exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.hooks import hook
from checks.authority.nouns import Authority, Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder, truth
from checks.model import Severity


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's files let OpenHands do."""
    draft = Draft("openhands", "OpenHands")
    for name, text in ((".openhands/setup.sh", "at every start"), (".openhands/pre-commit.sh", "before each commit")):
        if folder.exists(name):
            folder.seen.append(folder.at(name))
            draft.grants.append(Grant(Verb.CODE, name, f"have {name} run {text}", folder.at(name), 1, Severity.LOW))
    node = folder.json(".openhands/hooks.json")
    hooks = (node.get("hooks") or node) if node is not None else None
    for event, items in hooks.entries() if hooks is not None and hooks.is_map else ():
        for item in items.elements():
            inner = item.get("hooks") if item.is_map else None
            for one in inner.elements() if inner is not None else (item,):
                command = one.string("command")
                if command:
                    hook(draft, folder, event, item.string("matcher") or "*", command, folder.at(".openhands/hooks.json"), one.line)
    config = folder.toml("config.toml") if folder.exists(".openhands") else None
    if truth(config, "security", "confirmation_mode"):
        draft.limits.append(
            Limit(
                Verb.EVERYTHING,
                "confirmation_mode",
                "the confirmation mode",
                folder.at("config.toml"),
                None,
                Force.BYPASSABLE,
                "whoever runs it headless, where everything is approved",
            )
        )
    if not draft.grants and not draft.limits and not folder.unread:
        return
    draft.own_limits = "yes: inside its container it writes any file of the checkout"
    draft.unknown.append("the server's settings, its secrets and its container")
    yield folder.finish(draft).done()
