"""The comparison with GitHub's document has teeth, and covers everything the stand-in serves."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bot.demo.standin import Exchange, StandIn
from bot.demo.standin.areas import ROUTES
from tests import conformance, npm
from tests.conformance import Document


@pytest.fixture
def document() -> Document:
    """GitHub's document; the test is skipped, with the reason, where npm cannot be reached."""
    npm.needed(npm.OPENAPI)
    return conformance.document()


@pytest.fixture
def exchange(document: Document) -> Iterator[Exchange]:
    """A check run made as it should be."""
    with StandIn.start() as github:
        repo = github.repository("acme", "platform")
        sha = repo.commit("main", {"a": "b"}, "First")
        token = github.token(github.install(github.app(), "acme"))
        url = f"{github.url}/repos/acme/platform/check-runs"
        httpx.post(url, headers={"Authorization": f"Bearer {token}"}, json={"name": "x", "head_sha": sha, "conclusion": "success"})
        yield github.requests[-1]


def test_every_route_is_an_operation_of_github(document: Document) -> None:
    """The stand-in serves nothing that GitHub's document does not have, but the place artifacts are downloaded from."""
    for route in ROUTES:
        path = re.sub(r"\{\w+\+?\}", "x", route.pattern.removesuffix("/") if route.pattern.endswith("contents/") else route.pattern)
        if not conformance.NOT_GITHUB.fullmatch(path) and not path.endswith("/contents"):
            assert document.operation(route.method, path), f"{route.method} {route.pattern}"


def test_a_good_exchange_is_found_good(exchange: Exchange) -> None:
    """A check run created by the book passes."""
    assert (exchange.status, conformance.of_exchange(exchange)) == (201, [])


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"path": "/repos/acme/platform/check-rums"}, "no such operation"),
        ({"query": "colour=red"}, "unknown query parameter colour"),
        ({"status": 200}, "status 200 is not one of"),
        ({"request": {"name": "x"}}, "'head_sha' is a required property"),
        ({"request": {"name": "x", "head_sha": "y", "shape": "round"}}, "unknown to GitHub's document"),
        ({"request": {"name": "x", "head_sha": "y", "output": {"title": "t", "summary": "s" * 65536}}}, "is too long"),
        ({"status": 422}, "refusal without message"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_wrong_exchange_is_found(exchange: Exchange, change: dict[str, Any], wrong: str) -> None:
    """Operation, parameters, body, status and answer are each compared."""
    found = conformance.of_exchange(dataclasses.replace(exchange, **change))
    assert any(wrong in one for one in found), found


@pytest.mark.parametrize("field", ["id", "output", "app", "pull_requests", "started_at"])
def test_a_missing_field_of_an_answer_is_found(exchange: Exchange, field: str) -> None:
    """What GitHub's document requires of an answer must be in it, of the type it says."""
    without = {name: value for name, value in exchange.response.items() if name != field}
    assert conformance.of_exchange(dataclasses.replace(exchange, response=without))
    assert conformance.of_exchange(dataclasses.replace(exchange, response=exchange.response | {field: {"wrong": True}}))


def test_an_invented_field_of_an_answer_is_found(exchange: Exchange) -> None:
    """An answer holds nothing that GitHub would not send, however convenient."""
    more = exchange.response | {"convenient": True}
    assert conformance.of_exchange(dataclasses.replace(exchange, response=more)) == ["answer convenient: unknown to GitHub's document"]


def test_webhooks_are_compared(document: Document) -> None:
    """A payload without a field GitHub requires, and an event GitHub does not have, are found."""
    with StandIn.start() as github:
        github.install(github.app(webhook_url="http://127.0.0.1:9/"), "acme")
        ping, created = github.deliveries
    assert conformance.of_delivery(ping) == conformance.of_delivery(created) == []
    assert conformance.of_delivery(dataclasses.replace(created, event="installed"))
    assert conformance.of_delivery(dataclasses.replace(created, payload={"action": "created"}))


def test_all_examples_are_there(webhook_examples: list[Any]) -> None:
    """The corpus of payloads is whole."""
    assert len(webhook_examples) == 329
    assert {"pull_request", "check_run", "workflow_run", "issue_comment"} <= {one.event for one in webhook_examples}
