"""The pages' JSON, described: OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from checks.assess import ENGINE

Json = dict[str, Any]


def _object(required: dict[str, Any], more: dict[str, Any] | None = None) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **(more or {})}}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_TIME: Json = {"type": "number", "description": "Seconds since 1970"}
_YES: Json = {"type": "boolean"}
_MAYBE: Json = {"type": ["string", "null"]}
_ANY: Json = {"type": "object"}
_STATE: Json = {"type": "string", "enum": ["pass", "blocked", "observed", "overridden"]}
_BAND: Json = {"type": "string", "enum": ["low", "moderate", "high", "critical"]}
_RULE = _object({"id": _TEXT, "title": _TEXT, "hazard": _TEXT, "severity": _BAND, "reversible": _TEXT})
_DETECTOR = _object({"detector": _TEXT, "title": _TEXT, "rules": _list(_RULE)})
_GUARD = _object({"name": _TEXT, "title": _TEXT, "hazards": _list(_TEXT)})
_EFFECT = _object(
    dict.fromkeys(("id", "rule", "hazard", "confidence", "reversible", "subject", "path", "side", "environment", "message"), _TEXT)
    | {"severity": _BAND, "line": {"type": ["integer", "null"]}, "before": _MAYBE, "after": _MAYBE}
)
_REPORT = _object(
    {
        "schema": {"const": "interlock/report/1"},
        "engine": _ANY,
        "change": _ANY,
        "attribution": _ANY,
        "effects": _list(_EFFECT),
        "reach": _ANY,
        "risk": _object({"score": _WHOLE, "band": _BAND, "terms": _list(_object({"name": _TEXT, "points": _WHOLE, "because": _TEXT}))}),
        "requirements": _list(
            _object({"safeguard": _TEXT, "status": {"enum": ["met", "missing", "failed", "unknown"]}, "turns_green": _TEXT})
        ),
        "analysis": _ANY,
        "gate": _list(_TEXT),
        "exceptions": _list(_object({"effect": _TEXT, "reason": _TEXT, "expires": _TEXT})),
        "verdict": _object({"state": _STATE, "unmet": _list(_TEXT), "summary": _TEXT}),
    }
)
SCHEMAS: dict[str, Json] = {
    "error": _object({"error": _TEXT}),
    "rules": _object({"query": _TEXT, "detectors": _list(_DETECTOR), "safeguards": _list(_GUARD)}),
    "rule": _object({"name": _TEXT, "detector": _TEXT, "about": _TEXT, "rules": _list(_RULE), "text": _TEXT, "all": _WHOLE}),
    "safeguard": _object({"name": _TEXT, "title": _TEXT, "hazards": _list(_TEXT), "text": _TEXT}),
    "overview": _object(
        {
            "repositories": _list(
                _object(
                    {"repository": _TEXT, "open": _WHOLE, "blocked": _WHOLE, "observed": _WHOLE, "worst": {"type": ["integer", "null"]}}
                )
            ),
            "signed_in": _YES,
            "ready": _YES,
        }
    ),
    "search": _object(
        {"query": _TEXT, "rules": _list(_DETECTOR), "safeguards": _list(_GUARD), "repositories": _list(_TEXT), "pulls": _list(_ANY)}
    ),
    "repository": _object(
        {"repository": _TEXT, "open": _list(_object({"number": _WHOLE, "title": _TEXT, "state": _STATE, "score": _WHOLE, "band": _BAND}))},
        {
            "trend": _list({"type": "array", "prefixItems": [_TIME, _WHOLE, _STATE]}),
            "bands": _ANY,
            "missing": _list(_object({"safeguard": _TEXT, "pulls": _WHOLE})),
            "gate": _list(_object({"base": _TEXT, "says": _list(_TEXT)})),
            "merges": _ANY,
            "escapes": _list(_ANY),
        },
    ),
    "agents": _object(
        {"repository": _TEXT}, {"commit": _TEXT, "agents": {"type": ["array", "null"]}, "history": _list(_ANY), "proposed": _list(_ANY)}
    ),
    "past": _object(
        {"repository": _TEXT, "steps": _WHOLE},
        {
            "whole": _YES,
            "stopped": _WHOLE,
            "quantiles": _ANY,
            "trend": _list({"type": "array", "prefixItems": [_TIME, _WHOLE, _STATE]}),
            "writers": _list(_object({"name": _TEXT, "steps": _WHOLE, "stopped": _WHOLE})),
            "reasons": _list(_object({"name": _TEXT, "steps": _WHOLE})),
            "worst": _list(
                _object({"head": _TEXT, "title": _TEXT, "score": _WHOLE, "band": _BAND, "unmet": _list(_TEXT), "summary": _TEXT})
            ),
        },
    ),
    "pull": _object(
        {
            "repository": _TEXT,
            "review": _TEXT,
            "made": _TIME,
            "newest": _TEXT,
            "pull": {"type": ["object", "null"]},
            "report": _REPORT,
            "next": _TEXT,
            "timeline": _list(_object({"review": _TEXT, "made": _TIME, "head": _TEXT, "state": _STATE, "score": _WHOLE})),
        }
    ),
}

_OWNER = {"name": "owner", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]{1,39}$"}}
_REPO = {"name": "repo", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$"}}
_QUERY = {"name": "q", "in": "query", "required": False, "schema": {"type": "string", "maxLength": 200}}


def _path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_NAME = {"type": "string", "pattern": "^[a-z0-9-]{1,60}$"}
TABLE: tuple[tuple[str, str, str, tuple[Json, ...], bool], ...] = (
    ("/index.json", "overview", "The repositories the visitor may read", (), False),
    ("/search.json", "search", "Rules, safeguards, repositories and pull requests that a query names", (_QUERY,), False),
    ("/rules.json", "rules", "All rules and safeguards, or those that a query names", (_QUERY,), False),
    ("/rules/{detector}.json", "rule", "The page of a detector", (_path("detector", _NAME),), False),
    ("/rules/{detector}/{rule}.json", "rule", "The page of a rule", (_path("detector", _NAME), _path("rule", _NAME)), False),
    ("/safeguards/{safeguard}.json", "safeguard", "The page of a safeguard", (_path("safeguard", _NAME),), False),
    ("/{owner}/{repo}.json", "repository", "The figures of a repository", (_OWNER, _REPO), True),
    ("/{owner}/{repo}/agents.json", "agents", "What each configured coding agent may do alone", (_OWNER, _REPO), True),
    ("/{owner}/{repo}/past.json", "past", "The replayed history of a repository", (_OWNER, _REPO), True),
    (
        "/{owner}/{repo}/pull/{number}.json",
        "pull",
        "The newest verdict on a pull request",
        (_OWNER, _REPO, _path("number", {"type": "integer", "minimum": 1, "maximum": 2_000_000_000})),
        True,
    ),
    (
        "/{owner}/{repo}/reviews/{review}.json",
        "pull",
        "One verdict",
        (_OWNER, _REPO, _path("review", {"type": "string", "pattern": "^[0-9a-f]{16}$"})),
        True,
    ),
)
"""Path, schema of the answer, what it is, parameters, and whether one must be signed in."""


def _answer(schema: str, words: str) -> Json:
    return {"description": words, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def description() -> Json:
    """The OpenAPI document."""
    paths: Json = {}
    for path, schema, words, parameters, signed in TABLE:
        answers = {"200": _answer(schema, words)}
        if parameters and parameters[0]["in"] == "path":
            answers["404"] = _answer("error", "There is no such page, or not for this visitor")
        if signed:
            answers |= {"401": _answer("error", "Nobody is signed in"), "503": _answer("error", "GitHub did not answer")}
        operation: Json = {"operationId": path.strip("/").replace("/", "-").replace("{", "").replace("}", ""), "summary": words}
        operation |= {"parameters": list(parameters), "responses": answers}
        if signed:
            operation["security"] = [{"session": []}]
        paths[path] = {"get": operation}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Interlock",
            "version": ENGINE,
            "description": "Every page as JSON: the page's address with `.json`, or `Accept: application/json`.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "__Host-interlock-session"}},
        },
    }
