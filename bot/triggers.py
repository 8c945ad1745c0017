"""What an event means: a delivery → what is to be looked at, or nothing. Small tolerant models, because payloads differ by age and edition.

An event is only a hint: whoever looks reads GitHub's present state. docs.github.com/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot import logs
from bot.store import Mark


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Owner(_Tolerant):
    login: str = ""


class _Repository(_Tolerant):
    id: int = 0
    full_name: str = ""
    default_branch: str = ""


class _Installation(_Tolerant):
    id: int = 0
    account: _Owner | None = None


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


class _Button(_Tolerant):
    identifier: str = ""


class _Group(_Tolerant):
    head_sha: str = ""
    head_ref: str = ""
    base_sha: str = ""
    base_ref: str = ""


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
    sender: _User | None = None
    requested_action: _Button | None = None
    merge_group: _Group | None = None
    changes: Any = None
    environment: str | None = None
    deployment_callback_url: str | None = None
    sha: str | None = None
    ref: str | None = None
    before: str | None = None
    after: str | None = None
    deleted: bool = False


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


OF_INSTALLATION = frozenset({"installation", "installation_repositories", "installation_target"})
"""Events that speak of an installation and of no repository in particular."""
NO_COMMIT = "0" * 40
EVERYWHERE = ".interlock"
"""What stands for the name of a repository in work that is about a whole installation."""


def triggers(event: str, payload: Payload, app_id: int) -> tuple[Mark, ...]:
    """What an event asks to be looked at. Nothing where it says nothing about a verdict."""
    meaning = EVENTS.get(event)
    if meaning is None or payload.installation is None or not payload.installation.id:
        return ()
    if event not in OF_INSTALLATION and (payload.repository is None or "/" not in payload.repository.full_name):
        return ()
    return tuple(meaning(payload, app_id))


def mark_of(repository: str, installation: int, kind: str, name: str, delay: float = 0.0, **values: object) -> Mark:
    """What is to be looked at, under the key that all events about it share; it names the delivery it is for, so that the log can."""
    if logs.delivery():
        values = {"delivery": logs.delivery(), **values}
    return Mark(f"{repository}/{kind}/{name}", repository, installation, kind, json.dumps(values, sort_keys=True), delay)


def pull_mark(repository: str, installation: int, number: int, delay: float = 0.0) -> Mark:
    """A pull request is to be looked at."""
    return mark_of(repository, installation, "pull", str(number), delay, number=number)


def installation_mark(installation: int, account: str = "", delay: float = 0.0) -> Mark:
    """An installation is to be looked at."""
    return mark_of(f"{account}/{EVERYWHERE}", installation, "installation", str(installation), delay)


def _mark(payload: Payload, kind: str, name: str, delay: float = 0.0, **values: object) -> Mark:
    assert payload.repository is not None and payload.installation is not None
    return mark_of(payload.repository.full_name, payload.installation.id, kind, name, delay, **values)


def _pull(payload: Payload, app_id: int) -> Iterable[Mark]:
    if payload.pull_request and payload.pull_request.number and payload.action in PULL_ACTIONS:
        yield _mark(payload, "pull", str(payload.pull_request.number), number=payload.pull_request.number)


def _evidence(head: str, payload: Payload) -> Iterable[Mark]:
    """A check or a workflow finished: whoever has this head may be proven now. A little later, because they come in swarms."""
    if head:
        yield _mark(payload, "commit", head, delay=1.0, sha=head)


BUTTONS = frozenset({"recheck", "explain", "simulate"})
"""What the buttons of our check runs ask for."""


def _check_run(payload: Payload, app_id: int) -> Iterable[Mark]:
    check = payload.check_run
    if check is None or not check.head_sha:
        return
    ours = check.app is not None and check.app.id == app_id
    pressed = payload.requested_action.identifier if payload.requested_action else ""
    if payload.action == "requested_action" and ours and pressed in BUTTONS:
        by = payload.sender.login if payload.sender else ""
        yield _mark(payload, "button", f"{check.head_sha}/{pressed}/{by}", sha=check.head_sha, pressed=pressed, by=by, check=check.name)
    elif payload.action in ("rerequested", "requested_action") and ours:
        yield _mark(payload, "commit", check.head_sha, sha=check.head_sha, ask=True)
    elif payload.action in ("created", "completed", "rerequested") and not ours and check.name.startswith("interlock"):
        yield _mark(payload, "forged", f"{check.head_sha}/{check.app.id if check.app else 0}", sha=check.head_sha)
        yield from _evidence(check.head_sha, payload)
    elif payload.action == "completed" and not ours:
        yield from _evidence(check.head_sha, payload)


def _check_suite(payload: Payload, app_id: int) -> Iterable[Mark]:
    suite = payload.check_suite
    if suite is None:
        return
    ours = suite.app is not None and suite.app.id == app_id
    if payload.action == "rerequested" and ours:
        yield _mark(payload, "commit", suite.head_sha, sha=suite.head_sha, ask=True)
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
        by = comment.user.login if comment.user else ""
        yield _mark(payload, "comment", str(comment.id), comment=comment.id, number=thread.number, by=by)


def _merge_group(payload: Payload, app_id: int) -> Iterable[Mark]:
    group = payload.merge_group
    if group is None or payload.action != "checks_requested" or not group.head_sha or payload.repository is None:
        return
    yield _mark(
        payload,
        "group",
        group.head_sha,
        head=group.head_sha,
        ref=group.head_ref,
        base=group.base_sha,
        base_ref=group.base_ref.removeprefix("refs/heads/"),
        repository_id=payload.repository.id,
    )


QUEUE = "gh-readonly-queue/"
"""Branches of the merge queue: docs.github.com/repositories (managing a merge queue)."""
DEBOUNCE = 3.0
"""Seconds after a push to a base branch before what depends on it is looked at: pushes come in rows."""


def _push(payload: Payload, app_id: int) -> Iterable[Mark]:
    ref = payload.ref or ""
    branch = ref.removeprefix("refs/heads/")
    if branch == ref or branch.startswith(QUEUE) or payload.deleted or payload.after in (None, "", NO_COMMIT) or payload.repository is None:
        return
    yield _mark(payload, "branch", branch, delay=DEBOUNCE, branch=branch, default=branch == payload.repository.default_branch)


def _rules(payload: Payload, app_id: int) -> Iterable[Mark]:
    """The rules of some branch changed; which one is for whoever looks to find out."""
    yield _mark(payload, "rules", "all", delay=2.0)


_RUN = re.compile(r"/actions/runs/([0-9]{1,19})/deployment_protection_rule\Z")


def _deployment(payload: Payload, app_id: int) -> Iterable[Mark]:
    # Of the address only the run's number is taken: where the answer goes is for the settings to say.
    run = _RUN.search(payload.deployment_callback_url or "")
    if payload.action == "requested" and run and payload.environment and payload.sha:
        name = f"{run[1]}/{payload.environment}"
        yield _mark(payload, "deployment", name, run=int(run[1]), environment=payload.environment, sha=payload.sha)


def _repository(payload: Payload, app_id: int) -> Iterable[Mark]:
    """A repository has another name or owner; what was there follows it."""
    assert payload.repository is not None
    if payload.action in ("renamed", "transferred", "deleted", "archived", "unarchived", "edited"):
        yield _mark(payload, "repository", "all", number=payload.repository.id, old=_old_name(payload))


def _old_name(payload: Payload) -> str:
    assert payload.repository is not None
    owner, _, name = payload.repository.full_name.partition("/")
    changes = payload.changes if isinstance(payload.changes, dict) else {}
    before = _within(changes, "repository", "name", "from")
    if isinstance(before, str):
        return f"{owner}/{before}"
    for kind in ("user", "organization"):
        login = _within(changes, "owner", "from", kind, "login")
        if isinstance(login, str):
            return f"{login}/{name}"
    return ""


def _within(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _installation(payload: Payload, app_id: int) -> Iterable[Mark]:
    assert payload.installation is not None
    account = payload.installation.account.login if payload.installation.account else ""
    yield installation_mark(payload.installation.id, account)


EVENTS: dict[str, Callable[[Payload, int], Iterable[Mark]]] = {
    "pull_request": _pull,
    "merge_group": _merge_group,
    "push": _push,
    "check_run": _check_run,
    "check_suite": _check_suite,
    "workflow_run": _workflow_run,
    "issue_comment": _issue_comment,
    "repository": _repository,
    "installation": _installation,
    "installation_repositories": _installation,
    "installation_target": _installation,
    "repository_ruleset": _rules,
    "branch_protection_rule": _rules,
    "branch_protection_configuration": _rules,
    "deployment_protection_rule": _deployment,
}
"""Events that can change a verdict. `ping` is stored and says nothing about one."""

SUBSCRIBED = ("pull_request", "merge_group", "push", "check_run", "check_suite", "workflow_run", "issue_comment", "repository")
"""Events named in the App's manifest; `installation`, `installation_repositories` and `ping` come to every App."""
ON_REQUEST = ("repository_ruleset", "branch_protection_rule", "branch_protection_configuration", "deployment_protection_rule")
"""Events that are heard where the App is given more: administration to read, deployments to write."""
