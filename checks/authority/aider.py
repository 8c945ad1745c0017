"""Aider: .aider.conf.yml.

Docs: aider.chat/docs/config/aider_conf.html, aider.chat/docs/config/options.html. By default it commits with --no-verify (`git-commit-verify: false`),
so that no pre-commit hook of the repository holds for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.authority.nouns import Authority, Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder, truth
from checks.model import Severity

FILE = ".aider.conf.yml"


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's file lets Aider do."""
    node = folder.yaml(FILE)
    if node is None or not node.is_map:
        if folder.unread:
            yield folder.finish(Draft("aider", "Aider")).done()
        return
    draft, path = Draft("aider", "Aider"), folder.at(FILE)
    if truth(node, "yes-always"):
        draft.grants.append(
            Grant(
                Verb.EDIT,
                "yes-always",
                "have every question answered with yes, its shell suggestions apart",
                path,
                node.key_line("yes-always"),
                Severity.MODERATE,
            )
        )
    if truth(node, "auto-commits") is not False:
        draft.grants.append(Grant(Verb.EDIT, "auto-commits", "commit each change by itself", path, node.line, Severity.LOW, quiet=True))
    for key in ("test-cmd", "lint-cmd", "notifications-command"):
        listed = node.get(key)
        for item in listed.elements() if listed is not None else ():
            if item.text:
                draft.grants.append(
                    Grant(Verb.CODE, f"{key} {item.text}", f"run `{item.text[:80]}` ({key})", path, item.line, Severity.LOW)
                )
    if truth(node, "git-commit-verify"):
        why = "whoever starts it with --no-git-commit-verify"
        draft.limits.append(
            Limit(
                Verb.CODE,
                "git-commit-verify",
                "the rule that its commits run the repository's hooks",
                path,
                node.key_line("git-commit-verify"),
                Force.BYPASSABLE,
                why,
            )
        )
    else:
        draft.unknown.append("pre-commit hooks: without `git-commit-verify: true` it commits with --no-verify, so none of them holds")
    for key in ("attribute-author", "attribute-committer", "attribute-co-authored-by"):
        if truth(node, key) is False and not any(
            truth(node, other) for other in ("attribute-author", "attribute-committer", "attribute-co-authored-by")
        ):
            draft.attribution_off.append((path, node.key_line(key)))
    draft.own_limits = "asked: it edits the files it was given; with yes-always also others"
    draft.unknown.append("the user's configuration and flags")
    yield folder.finish(draft).done()
