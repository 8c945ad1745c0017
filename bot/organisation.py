"""The organisation's own policy file: `.github/interlock.yml` of its repository `.github`."""

from __future__ import annotations

import base64
import binascii

from bot.github.client import Api, ApiError, RateLimited
from bot.store import Store
from checks.policy import LIMIT

KEPT = 60.0
"""Seconds that an answer is kept."""


class Unavailable(Exception):
    """The organisation's policy may stand and cannot be had."""


async def organisation_policy(api: Api, store: Store, installation: int, owner: str, now: float) -> bytes | None:
    """The content of the organisation's file; None where there is none, or the App is not installed there. Raises `Unavailable`."""
    key = f"organisation/{owner.lower()}"
    kept = store.fact(key)
    if kept is not None and 0 <= now - kept["at"] < KEPT:
        return base64.b64decode(kept["content"]) if kept["content"] is not None else None
    try:
        answer = await api.installation(installation, f"{owner}/.github").ask("policy")
    except RateLimited:
        raise
    except ApiError as error:
        gone = error.status == 404 or (error.call == "token" and error.status == 422)
        if not gone:
            raise Unavailable(f"it could not be read ({error.status or 'no answer'})") from error
        if kept is not None and kept["content"] is not None and error.call == "token":
            raise Unavailable("it stood here, and this App can no longer read it") from error
        answer = None
    content = _content(answer) if answer is not None else None
    store.remember(key, {"at": now, "content": base64.b64encode(content).decode() if content is not None else None})
    return content


def _content(answer: object) -> bytes:
    if not isinstance(answer, dict) or answer.get("type") != "file" or answer.get("encoding") != "base64":
        raise Unavailable("it is no ordinary file")
    try:
        content = base64.b64decode(str(answer.get("content") or ""))
    except binascii.Error:
        raise Unavailable("GitHub's answer cannot be read") from None
    if len(content) > LIMIT:
        raise Unavailable(f"it has more than {LIMIT:,} bytes")
    return content
