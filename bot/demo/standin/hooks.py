"""Webhooks: who is told of what, and the courier that really delivers it over HTTP, signed and on the record."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from bot.demo.standin import shapes
from bot.demo.standin.auth import LEVELS
from bot.demo.standin.state import App, Delivery, Installation, Repository, User, World

NEEDS = {
    "branch_protection_configuration": "administration",
    "branch_protection_rule": "administration",
    "check_run": "checks",
    "check_suite": "checks",
    "deployment_protection_rule": "deployments",
    "issue_comment": "issues",
    "label": "issues",
    "merge_group": "merge_queues",
    "pull_request": "pull_requests",
    "pull_request_review": "pull_requests",
    "push": "contents",
    "repository_ruleset": "administration",
    "status": "statuses",
    "workflow_job": "actions",
    "workflow_run": "actions",
}
"""Event → the permission whose read level it needs. Without it GitHub sends nothing and says nothing."""

UNASKED = frozenset({"installation", "installation_repositories", "installation_target", "github_app_authorization", "ping"})
"""Events every App gets without subscribing."""

OWN_ONLY = frozenset(
    {("check_run", "rerequested"), ("check_run", "requested_action"), ("check_suite", "rerequested"), ("check_suite", "requested")}
)
"""Only the App that made the run is told of these."""

PATIENCE = 10.0

OBSERVERS: list[Callable[[Delivery], None]] = []
"""Functions that are shown every delivery of every stand-in of this interpreter when it is made."""


def emit(
    world: World,
    event: str,
    action: str | None,
    body: dict[str, Any],
    *,
    sender: User,
    repository: Repository | None = None,
    installation: Installation | None = None,
    owner: App | None = None,
) -> list[Delivery]:
    """Tell every installation that is subscribed and allowed to hear of it; the deliveries, which the courier carries.

    `installation` names the only one concerned (installation events); `owner` the App a check belongs to.
    """
    told = []
    for one in [installation] if installation else list(world.installations.values()):
        if installation is None and not _hears(world, one, event, action, repository, owner):
            continue
        payload: dict[str, Any] = {} if action is None else {"action": action}
        payload |= body
        if repository:
            payload["repository"] = shapes.repository(world, repository)
            if repository.owner.kind == "Organization":
                payload["organization"] = shapes.organization(world, repository.owner)
        payload["sender"] = shapes.user(world, sender)
        payload.setdefault("installation", {"id": one.id, "node_id": shapes.node_id("IntegrationInstallation", one.id)})
        told.append(_post(world, one.app, event, action, payload, one.id, repository.id if repository else None))
    return [delivery for delivery in told if delivery]


def ping(world: World, app: App) -> list[Delivery]:
    """The event a new webhook begins with."""
    moment = "2020-01-01T00:00:00Z"
    config = {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": app.webhook_url or ""}
    hook = {"type": "App", "id": app.id, "name": "web", "active": True, "events": list(app.events), "config": config, "app_id": app.id}
    hook |= {"updated_at": moment, "created_at": moment, "deliveries_url": f"{world.url}/app/hook/deliveries"}
    body = {"zen": "Keep it logically awesome.", "hook_id": app.id, "hook": hook}
    delivery = _post(world, app, "ping", None, body, None, None)
    return [delivery] if delivery else []


def redeliver(world: World, delivery: Delivery) -> Delivery | None:
    """The same delivery once more: same GUID and payload, a new attempt on the record."""
    return _post(
        world,
        delivery.app,
        delivery.event,
        delivery.action,
        delivery.payload,
        delivery.installation_id,
        delivery.repository_id,
        guid=delivery.guid,
    )


def _hears(world: World, one: Installation, event: str, action: str | None, repository: Repository | None, owner: App | None) -> bool:
    if one.suspended_at or (repository and not world.covers(one, repository)):
        return False
    if (event, action) in OWN_ONLY and one.app is not owner:
        return False
    level = LEVELS.get(one.permissions.get(NEEDS.get(event, "metadata"), "read" if event not in NEEDS else ""), 0)
    unasked = event in UNASKED or (event in ("check_run", "check_suite") and level >= LEVELS["write"])
    return level >= LEVELS["read"] and (unasked or event in one.events)


def _post(
    world: World,
    app: App,
    event: str,
    action: str | None,
    payload: dict[str, Any],
    installation_id: int | None,
    repository_id: int | None,
    guid: str | None = None,
) -> Delivery | None:
    if app.webhook_url is None:
        return None
    # The payload is frozen as it is now: what happens later must not change what was sent.
    frozen = json.loads(json.dumps(payload))
    delivery = Delivery(
        world.id(), guid or str(uuid.uuid4()), app, event, action, installation_id, repository_id, frozen, redelivery=guid is not None
    )
    delivery.delivered_at = world.now()
    world.deliveries.append(delivery)
    for observe in OBSERVERS:
        observe(delivery)
    world.send(delivery)
    return delivery


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Courier:
    """Carries deliveries one after the other, in the order they were made, on a thread of its own."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="stand-in courier", daemon=True)
        self._thread.start()

    def send(self, delivery: Delivery) -> None:
        """Take a delivery; returns at once."""
        self._waiting.put(delivery)

    def stop(self) -> None:
        """Carry what is waiting, then end."""
        self._waiting.put(None)
        self._thread.join(PATIENCE + 5)

    def _work(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            carry(delivery)
            delivery.done.set()


def carry(delivery: Delivery) -> None:
    """Deliver once and write the outcome down. A receiver that is away or slow is an outcome, not an error."""
    app = delivery.app
    body = json.dumps(delivery.payload, separators=(",", ":")).encode()
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/standin",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Hook-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature-256": signature(app.webhook_secret, body),
    }
    delivery.request_headers = headers
    place = urlsplit(app.webhook_url or "")
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=PATIENCE)
    started = time.monotonic()
    try:
        connection.request("POST", place.path or "/", body, headers)
        response = connection.getresponse()
        delivery.response = response.read(65536).decode("utf-8", "replace")
        delivery.response_headers = dict(response.getheaders())
        delivery.status_code = response.status
        delivery.status = "OK" if response.status < 300 else http.client.responses.get(response.status, "Invalid HTTP Response")
    except TimeoutError:
        delivery.status = "timed out"
    except (OSError, http.client.HTTPException):
        delivery.status = "failed to connect to host"
    finally:
        connection.close()
        delivery.duration = time.monotonic() - started
