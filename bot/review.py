"""The straight path offline: a repository on this machine, no GitHub, no network."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from bot.mirror.change import RepositoryError, find, opened
from checks.assess import assess, decide
from checks.evidence import OFFLINE
from checks.model import Report
from checks.policy import PATH, Policy, read_policy
from checks.trees import MemoryTree


def review(directory: Path, base: str | None, head: str | None, policy_file: Path | None = None) -> Report:
    """Review a range of a local repository. Raises `RepositoryError` or `GitError` with a sentence for the person who asked."""
    git_dir = find(directory)
    name = (git_dir.parent if git_dir.name in (".git", "repo") else git_dir).name
    with opened(git_dir, base, head, name) as change:
        policy = read_policy(change.tip) if policy_file is None else policy_of(policy_file)
        return decide(assess(change, policy), replace(OFFLINE, now=datetime.datetime.now(datetime.UTC)), policy)


def policy_of(file: Path) -> Policy:
    """The policy in a file on this machine, read as if it stood on the base branch. Raises `RepositoryError` where there is none."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RepositoryError(f"the policy file {file} cannot be read: {error.strerror}") from None
    return read_policy(MemoryTree({PATH: content}))
