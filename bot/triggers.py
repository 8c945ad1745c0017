"""What an event means: a delivery → what is to be looked at, or nothing. Small tolerant models, because payloads differ by age and edition.

An event is only a hint: whoever looks reads GitHub's present state. docs.github.com/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.store import Mark


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Owner(_Tolerant):
    login: str = ""


class _Repository(_Tolerant):
    id: int = 0
    full_name: str = ""


class _Installation(_Tolerant):
    id: int = 0


class _Ref(_Tolerant):
    sha: str = ""
    ref: str = ""


class _Pull(_Tolerant):
    number: int = 0
    state: str = ""
    head: _Ref = Field(default_factory=_Ref)
    base: _Ref = Field(default_factory=_Ref)


class _Issue(_Tolerant):
    number: int = 0
    pull_request: dict[str, Any] | None = None


class _User(_Tolerant):
    login: str = ""
    id: int = 0
    type: str = "User"


class _Comment(_Tolerant):
    id: int = 0
    body: str | None = ""
    user: _User | None = None


class _App(_Tolerant):
    id: int = 0
    slug: str | None = None


class _Check(_Tolerant):
    head_sha: str = ""
    name: str = ""
    app: _App | None = None


class Payload(_Tolerant):
    """The few fields of a payload that choose what to look at."""

    action: str | None = None
    repository: _Repository | None = None
    installation: _Installation | None = None
    pull_request: _Pull | None = None
    issue: _Issue | None = None
    comment: _Comment | None = None
    check_run: _Check | None = None
    check_suite: _Check | None = None
    workflow_run: _Check | None = None
    ref: str | None = None
    after: str | None = None


class BadPayload(Exception):
    """A stored delivery that is no payload: said, and kept."""


PULL_ACTIONS = frozenset(
    {"opened", "reopened", "synchronize", "edited", "ready_for_review", "converted_to_draft", "labeled", "unlabeled", "closed"}
)


def read(body: bytes) -> Payload:
    """The fields of a payload. Raises `BadPayload`."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise BadPayload("the body is no JSON") from None
    if not isinstance(values, dict):
        raise BadPayload("the body is no JSON object")
    try:
        return Payload.model_validate(values)
    except ValidationError as error:
        raise BadPayload(f"a field has another shape: {'.'.join(str(part) for part in error.errors()[0]['loc'])}") from None


def triggers(event: str, payload: Payload, app_id: int) -> tuple[Mark, ...]:
    """What an event asks to be looked at. Nothing where it says nothing about a verdict."""
    meaning = EVENTS.get(event)
    if meaning is None or payload.repository is None or payload.installation is None or "/" not in payload.repository.full_name:
        return ()
    return tuple(meaning(payload, app_id))


def _mark(payload: Payload, kind: str, name: str, delay: float = 0.0, **values: object) -> Mark:
    assert payload.repository is not None and payload.installation is not None
    repository = payload.repository.full_name
    return Mark(f"{repository}/{kind}/{name}", repository, payload.installation.id, kind, json.dumps(values, sort_keys=True), delay)


def _pull(payload: Payload, app_id: int) -> Iterable[Mark]:
    if payload.pull_request and payload.pull_request.number and payload.action in PULL_ACTIONS:
        yield _mark(payload, "pull", str(payload.pull_request.number), number=payload.pull_request.number)


def _evidence(head: str, payload: Payload) -> Iterable[Mark]:
    """A check or a workflow finished: whoever has this head may be proven now. A little later, because they come in swarms."""
    if head:
        yield _mark(payload, "commit", head, delay=1.0, sha=head)


def _check_run(payload: Payload, app_id: int) -> Iterable[Mark]:
    check = payload.check_run
    if check is None:
        return
    ours = check.app is not None and check.app.id == app_id
    if payload.action in ("rerequested", "requested_action") and ours:
        yield _mark(payload, "commit", check.head_sha, sha=check.head_sha)
    elif payload.action == "completed" and not ours:
        yield from _evidence(check.head_sha, payload)


def _check_suite(payload: Payload, app_id: int) -> Iterable[Mark]:
    suite = payload.check_suite
    if suite is None:
        return
    ours = suite.app is not None and suite.app.id == app_id
    if payload.action == "rerequested" and ours:
        yield _mark(payload, "commit", suite.head_sha, sha=suite.head_sha)
    elif payload.action == "completed" and not ours:
        yield from _evidence(suite.head_sha, payload)


def _workflow_run(payload: Payload, app_id: int) -> Iterable[Mark]:
    if payload.workflow_run and payload.action == "completed":
        yield from _evidence(payload.workflow_run.head_sha, payload)


def _issue_comment(payload: Payload, app_id: int) -> Iterable[Mark]:
    comment, thread = payload.comment, payload.issue
    if comment is None or thread is None or thread.pull_request is None or payload.action != "created":
        return
    if (comment.body or "").startswith("/interlock"):
        yield _mark(payload, "comment", str(comment.id), comment=comment.id, number=thread.number)


EVENTS: dict[str, Callable[[Payload, int], Iterable[Mark]]] = {
    "pull_request": _pull,
    "check_run": _check_run,
    "check_suite": _check_suite,
    "workflow_run": _workflow_run,
    "issue_comment": _issue_comment,
}
"""Events that can change a verdict. `ping` and `installation*` are stored and say nothing about one."""

SUBSCRIBED = ("pull_request", "check_run", "check_suite", "workflow_run", "issue_comment")
"""Events named in the App's manifest; `installation`, `installation_repositories` and `ping` come to every App."""
