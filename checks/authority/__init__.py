"""What each coding agent's configuration lets it do: one engine per agent, with that agent's own rules of precedence.

`authority_of` reads only the known files of a tree; `difference` says what a change newly permits, and which limits it takes away.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable

from checks.authority.nouns import Authority
from checks.authority.sources import Folder
from checks.model import Tree

ENGINES = ("claude_code", "codex", "gemini_cli", "copilot", "vscode", "cursor", "kiro", "windsurf", "cline", "roo", "aider", "goose", "openhands", "amp", "opencode", "crush", "devcontainers")  # fmt: skip
"""The modules that read a folder, in the order in which answers are given."""


def authority_of(tree: Tree, roots: Iterable[str] = ("",), workflows: Collection[str] | None = None) -> tuple[Authority, ...]:
    """What agents may do in `tree`: in each of `roots` (folders that are opened as a project) and in its workflows (None: all of them)."""
    from checks.authority import workflows as in_workflows

    out: list[Authority] = []
    for root in dict.fromkeys(roots):
        for name in ENGINES:
            out.extend(importlib.import_module(f"checks.authority.{name}").read(Folder(tree, root)))
    if workflows is None or workflows:
        out.extend(in_workflows.read(Folder(tree), workflows))
    return tuple(out)


from checks.authority.difference import Delta, difference  # noqa: E402 - it needs nothing of this module, and callers want one door

__all__ = ["ENGINES", "Authority", "Delta", "authority_of", "difference"]
