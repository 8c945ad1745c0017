"""Holds the stand-in to GitHub's own description of its API, so that it cannot drift into what is convenient.

A plugin of the suite: after each test every exchange of every stand-in, and every webhook it sent, is compared with the OpenAPI document GitHub publishes
(`@octokit/openapi`, from npm). What does not fit fails the test that caused it. Compared are
- the operation (method and path), the names of query parameters and the body of every request that was not refused;
- the status and the body of every answer, with no field that the document does not know;
- the payload of every webhook.
Answers of a fault and of `/_blobs`, which stands for another host, are left alone. Where the document itself is wrong says `_mend`; what it leaves out, `UNDOCUMENTED`.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests import npm

Json = dict[str, Any]

NOT_GITHUB = re.compile(r"/_blobs/.*|/login/oauth/.*|(/organizations/[^/]+)?/settings/apps/new(/confirmed)?")
"""Paths that are not the API: where artifacts are downloaded from, and what a browser meets."""

UNDOCUMENTED = {
    "environments[].can_admins_bypass": "sent since environments can be closed to administrators; clients such as go-github read it",
    "can_admins_bypass": "the same, of one environment",
    "[].permissions.merge_queues": "a permission of Apps that the document knows elsewhere and leaves out of this list",
    "check_suite.app.permissions.merge_queues": "a permission of Apps that the document knows elsewhere and leaves out of this list",
    "workflow_run.display_title": "described for the events requested and completed, left out for in_progress",
}
"""Fields GitHub sends without describing them, and how that is known."""


class Document:
    """The operations and webhooks of GitHub's description, in JSON Schema proper."""

    def __init__(self, raw: Json) -> None:
        self.operations: list[tuple[str, re.Pattern[str], str]] = [
            (method, re.compile(pattern), key) for method, pattern, key in raw["operations"]
        ]
        self.details: dict[str, Json] = raw["details"]
        self.webhooks: dict[str, Json] = raw["webhooks"]
        self.definitions: Json = raw["$defs"]

    def operation(self, method: str, path: str) -> Json | None:
        """The operation a call is, or None. The table's order puts fixed paths before those with parameters."""
        for known, pattern, key in self.operations:
            if known == method and pattern.fullmatch(path):
                return self.details[key]
        return None

    @functools.cache  # noqa: B019 - there is one document, and it lives as long as the suite
    def validator(self, where: tuple[str, ...]) -> Any:
        """The compiled schema at a place of the document."""
        schema: Any = {"details": self.details, "webhooks": self.webhooks}
        for part in where:
            schema = schema[part]
        checker = jsonschema.FormatChecker(formats=())
        checker.checks("date-time", ValueError)(_is_moment)
        return jsonschema.Draft7Validator({**schema, "$defs": self.definitions}, format_checker=checker)

    def resolve(self, schema: Json) -> Json:
        """The schema a reference stands for."""
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        return schema

    def wrongs(self, where: tuple[str, ...], value: Any, *, closed: bool) -> list[str]:
        """What of a value does not fit the schema; `closed` also names fields the schema does not know."""
        validator = self.validator(where)
        found = [
            f"{_place(error.absolute_path)}: {_short(error.message)}"
            for error in sorted(_leaves(validator.iter_errors(value)), key=str)[:5]
        ]
        if not found and closed:
            found = [
                f"{name}: unknown to GitHub's document" for name in sorted(_unknown(self, validator.schema, value, "") - set(UNDOCUMENTED))
            ]
        return found


def _leaves(errors: Any) -> Iterator[Any]:
    for error in errors:
        if error.context:
            yield min(_leaves(error.context), key=lambda leaf: -len(leaf.absolute_path))
        else:
            yield error


def _short(text: str) -> str:
    return text if len(text) <= 240 else f"{text[:160]} … {text[-60:]}"


def _place(path: Any) -> str:
    return ".".join(str(part) for part in path) or "body"


def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        datetime.datetime.fromisoformat(value)
        return "T" in value
    return True


def _known(document: Document, schema: Json) -> tuple[set[str], bool]:
    """The fields an object may have by a schema and its branches, and whether others are allowed by name."""
    schema = document.resolve(schema)
    names = set(schema.get("properties", ()))
    open_ended = schema.get("additionalProperties", False) is not False or not (
        names or any(branch in schema for branch in ("allOf", "anyOf", "oneOf"))
    )
    for branch in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(branch, ()):
            if part.get("type") == "null":
                continue
            more, loose = _known(document, part)
            names |= more
            open_ended |= loose and branch != "allOf" and "required" not in document.resolve(part)
    return names, open_ended


def _parts(document: Document, schema: Json, name: str) -> Iterator[Json]:
    schema = document.resolve(schema)
    if name in schema.get("properties", {}):
        yield schema["properties"][name]
    for branch in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(branch, ()):
            yield from _parts(document, part, name)


def _items(document: Document, schema: Json) -> Iterator[Json]:
    schema = document.resolve(schema)
    if "items" in schema:
        yield schema["items"]
    for branch in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(branch, ()):
            yield from _items(document, part)


def _unknown(document: Document, schema: Json, value: Any, at: str) -> set[str]:
    if isinstance(value, list):
        inner = list(_items(document, schema))
        return {name for item in value for name in _unknown(document, {"anyOf": inner}, item, f"{at}[]")} if inner else set()
    if not isinstance(value, dict):
        return set()
    names, open_ended = _known(document, schema)
    if open_ended:
        return set()
    found = {f"{at}.{name}".lstrip(".") for name in value if name not in names}
    for name in names & set(value):
        parts = list(_parts(document, schema, name))
        found |= _unknown(document, {"anyOf": parts} if len(parts) > 1 else parts[0], value[name], f"{at}.{name}")
    return found


# From OpenAPI 3.0 to JSON Schema.


def _schema(node: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema draft 7: `nullable` becomes a type, references move."""
    if isinstance(node, list):
        return [_schema(part) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": "#/$defs/" + node["$ref"].rpartition("/")[2]}
    out: Json = {}
    for key, value in node.items():
        if key in ("properties",):
            out[key] = {name: _schema(part) for name, part in value.items()}
        elif key in ("items", "additionalProperties", "not", "allOf", "anyOf", "oneOf"):
            out[key] = _schema(value)
        elif key in (
            "type",
            "enum",
            "required",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minimum",
            "maximum",
            "format",
            "pattern",
        ):
            out[key] = value
    if node.get("nullable"):
        if "enum" in out:
            out["enum"] = [*(one for one in out["enum"] if one is not None), None]
        if "type" in out:
            out["type"] = [out["type"], "null"]
        return {"anyOf": [out, {"type": "null"}]} if "type" not in out else out
    return out


_GONE = {
    "pull-request": ("assignee", "merge_commit_sha"),
    "pull-request-simple": ("assignee", "merge_commit_sha"),
    "issue": ("assignee",),
    "repository": ("has_downloads",),
    "full-repository": ("has_downloads",),
    "rate-limit-overview": ("rate",),
}


def _mend(raw: Json) -> None:
    """Put right what the document says wrongly. Each line: what the document says, and what GitHub does."""
    # An account is a user or an enterprise; here the document asks for both at once.
    account = raw["paths"]["/app/installations"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["items"]["properties"][
        "account"
    ]
    if "allOf" in account:
        account["anyOf"] = account.pop("allOf")
    # A label without a description has null there, as `label` itself says.
    simple = raw["components"]["schemas"]["pull-request-simple"]["properties"]["labels"]["items"]["properties"]
    simple["description"]["nullable"] = True
    # The document is of version 2022-11-28; 2026-03-10 took these away. A test of the stand-in says which version gives them.
    for name, gone in _GONE.items():
        schema = raw["components"]["schemas"][name]
        schema["required"] = [field for field in schema["required"] if field not in gone]


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _follow(raw: Json, node: Json) -> Json:
    while "$ref" in node:
        target: Any = raw
        for part in node["$ref"].split("/")[1:]:
            target = target[part]
        node = target
    return node


def trim(raw: Json, wanted: set[tuple[str, str]]) -> Json:
    """The operations of the document that the stand-in serves, all webhooks, and only the definitions those need.

    `wanted` holds (method, path with every parameter written `{}`).
    """
    _mend(raw)
    operations, details = [], {}
    for path, item in raw["paths"].items():
        for method, operation in item.items():
            if (method.upper(), re.sub(r"\{\w+\}", "{}", path)) not in wanted:
                continue
            key = f"{method.upper()} {path}"
            parameters = [_follow(raw, one) for one in [*operation.get("parameters", ()), *item.get("parameters", ())]]
            body = _follow(raw, operation.get("requestBody", {})).get("content", {}).get("application/json", {}).get("schema")
            answers = {}
            for status, answer in operation["responses"].items():
                content = _follow(raw, answer).get("content", {})
                answers[status] = _schema(content["application/json"]["schema"]) if "application/json" in content else None
            query = [one["name"] for one in parameters if one["in"] == "query"]
            details[key] = {"key": key, "query": query, "body": _schema(body) if body else None, "answers": answers}
            # A path parameter named `path`, `ref`, `branch` or `basehead` may hold slashes.
            pattern = re.sub(r"\{(path|ref|branch|basehead)\}", ".+", path)
            operations.append((method.upper(), re.sub(r"\{\w+\}", "[^/]+", pattern), key))
    operations.sort(key=lambda one: (one[1].count("+"), -len(one[1])))
    webhooks = {
        name: _schema(hook["post"]["requestBody"]["content"]["application/json"]["schema"]) for name, hook in raw["x-webhooks"].items()
    }
    needed, waiting = set(), {*_refs(details), *_refs(webhooks)}
    definitions = {}
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            definitions[name] = _schema(raw["components"]["schemas"][name])
            waiting |= set(_refs(definitions[name]))
    return {"operations": operations, "details": details, "webhooks": webhooks, "$defs": definitions}


@functools.cache
def document() -> Document:
    """GitHub's description, trimmed to what the stand-in serves; the trimmed form is kept beside the package. Raises `npm.Unavailable`."""
    from bot.demo.standin.areas import ROUTES

    wanted = {(route.method, re.sub(r"\{\w+\+?\}", "{}", route.pattern)) for route in ROUTES}
    # The route for /zip stands for the document's {archive_format}.
    wanted |= {(method, path.replace("/zip", "/{}")) for method, path in wanted}
    mine = hashlib.sha256(json.dumps(sorted(wanted)).encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    kept = npm.cache() / f"openapi-{npm.OPENAPI.version}-{mine}.json"
    if not kept.exists():
        raw = json.loads((npm.directory(npm.OPENAPI) / "generated/api.github.com.json").read_text())
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(trim(raw, wanted)))
        fresh.rename(kept)
    return Document(json.loads(kept.read_text()))


# One exchange, one delivery.


def of_exchange(exchange: Any) -> list[str]:
    """What of an exchange GitHub's document does not allow."""
    if exchange.fault or NOT_GITHUB.fullmatch(exchange.path):
        return []
    operation = document().operation(exchange.method, exchange.path)
    if operation is None:
        return [] if exchange.status in (401, 404) else ["no such operation"]
    wrongs = []
    if exchange.status < 400:
        wrongs += [f"unknown query parameter {name}" for name in _names(exchange.query) if name not in operation["query"]]
        if exchange.request is not None and operation["body"]:
            wrongs += [f"request {one}" for one in document().wrongs(("details", operation["key"], "body"), exchange.request, closed=True)]
    return wrongs + [f"answer {one}" for one in _of_answer(operation, exchange)]


def _names(query: str) -> list[str]:
    return [part.partition("=")[0] for part in query.split("&") if part]


def _of_answer(operation: Json, exchange: Any) -> list[str]:
    status, body = str(exchange.status), exchange.response
    if exchange.status >= 400:
        fits = isinstance(body, dict) and isinstance(body.get("message"), str) and isinstance(body.get("documentation_url"), str)
        return [] if fits else ["is a refusal without message and documentation_url"]
    if status == "304":
        return [] if body is None else ["304 has a body"]
    if status not in operation["answers"]:
        return [f"status {status} is not one of {sorted(operation['answers'])}"]
    if operation["answers"][status] is None:
        return [] if body is None else [f"{status} has a body"]
    if isinstance(body, bytes):
        return []
    return document().wrongs(("details", operation["key"], "answers", status), body, closed=True)


def of_delivery(delivery: Any) -> list[str]:
    """What of a webhook's payload GitHub's document does not allow."""
    name = "-".join(filter(None, (delivery.event, delivery.action))).replace("_", "-")
    if name not in document().webhooks:
        return ["no such webhook"]
    return document().wrongs(("webhooks", name), delivery.payload, closed=True)


# The plugin.


class Watch:
    """Collects what stand-ins exchange, and says what did not fit."""

    def __init__(self) -> None:
        self.exchanges: list[Any] = []
        self.deliveries: list[Any] = []
        self.compared = 0
        self.seconds = 0.0
        self._watching = False

    def begin(self) -> None:
        """Start watching once something has imported the stand-in; tests that do not use it pay nothing."""
        server, hooks = (sys.modules.get(f"bot.demo.standin.{name}") for name in ("server", "hooks"))
        if server and hooks and not self._watching:
            server.OBSERVERS.append(self.exchanges.append)
            hooks.OBSERVERS.append(self.deliveries.append)
            self._watching = True

    def wrongs(self) -> list[str]:
        """What did not fit since the last time it was asked."""
        exchanges, self.exchanges[:] = list(self.exchanges), []
        deliveries, self.deliveries[:] = list(self.deliveries), []
        begun = time.monotonic()
        found = [f"{one.method} {one.path} → {one.status}: {wrong}" for one in exchanges for wrong in of_exchange(one)]
        found += [f"webhook {one.event}.{one.action}: {wrong}" for one in deliveries for wrong in of_delivery(one)]
        self.compared += len(exchanges) + len(deliveries)
        self.seconds += time.monotonic() - begun
        return list(dict.fromkeys(found))


WATCH = Watch()


@pytest.fixture(autouse=True)
def held_to_github() -> Iterator[None]:
    """Fails a test whose stand-in said or took something GitHub's document does not allow. Without the document nothing is compared."""
    WATCH.begin()
    yield
    if not (WATCH.exchanges or WATCH.deliveries):
        return
    try:
        wrongs = WATCH.wrongs()
    except npm.Unavailable:
        return
    if wrongs:
        pytest.fail("not as GitHub's document says:\n  " + "\n  ".join(wrongs[:40]), pytrace=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if WATCH.compared:
        terminalreporter.write_line(f"held to GitHub's document: {WATCH.compared} exchanges and webhooks in {WATCH.seconds:.1f} s")
