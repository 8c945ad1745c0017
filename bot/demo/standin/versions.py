"""The dated versions of the API: what the newer one no longer says."""

from __future__ import annotations

from typing import Any

OLDER, NEWER = "2022-11-28", "2026-03-10"
KNOWN = (OLDER, NEWER)
"""Without a header, the older one is meant."""

_GONE = {
    "number": ("assignee", "merge_commit_sha"),
    "full_name": ("has_downloads", "master_branch", "use_squash_pr_title_as_default"),
    "resources": ("rate",),
}
"""A field that tells what an object is (pull request, repository, rate limit) → the fields that version 2026-03-10 took away from it."""


def as_of(version: str, body: Any) -> Any:
    """An answer as a version gives it."""
    if version != NEWER:
        return body
    if isinstance(body, list):
        return [as_of(version, one) for one in body]
    if not isinstance(body, dict):
        return body
    gone = {name for mark, names in _GONE.items() if mark in body for name in names}
    return {name: as_of(version, value) for name, value in body.items() if name not in gone}
