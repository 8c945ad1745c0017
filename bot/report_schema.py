"""The JSON Schema of `interlock/report/1`, made from the nouns of `checks.model`, so that a new word cannot be forgotten here.

What may change under this name: nothing but new words in a closed list and new keys. A key that goes or changes its meaning is `interlock/report/2`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from checks.model import Band, Confidence, Environment, Hazard, Level, Question, Reversible, Severity, Side, State, Status, Strength

NAME = "interlock/report/1"
Schema = dict[str, Any]


def schema() -> Schema:
    """The schema as plain values."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:interlock:report:1",
        "title": "Interlock report",
        **_record(
            "What merging one change would do, how far it reaches, what must be proven, and the verdict.",
            {
                "schema": {"const": NAME},
                "engine": _record(
                    "What judged.", {"version": _text("The engine's version."), "policy": _text("The policy's digest, or `default`.")}
                ),
                "change": _change(),
                "attribution": _attribution(),
                "effects": _every(_effect(), "The worst first."),
                "reach": _reach(),
                "risk": _risk(),
                "requirements": _every(_requirement(), "What must be proven, each with what is known of the proof."),
                "analysis": _analysis(),
                "mistakes": _every(
                    _record(
                        "Something wrong with a policy file; it blocks.",
                        {
                            "path": _text("The file."),
                            "line": _maybe(_count("From 1.")),
                            "message": _text("What is wrong, and what is right."),
                        },
                    )
                ),
                "agents": _every(_agent()),
                "gate": _every(_text("What is known of the gate's own enforcement.")),
                "exceptions": _every(
                    _record(
                        "An effect of this change that passes by the policy's word alone.",
                        {"effect": _text("Its id."), "reason": _text("Why."), "expires": _text("The last day it passes.")},
                    )
                ),
                "verdict": _record(
                    "The outcome.",
                    {
                        "state": _word(State, "pass, blocked, observed (would be blocked if enforced) or overridden."),
                        "unmet": _every(_text("A safeguard still to be proven, or `policy` where the policy file is wrong.")),
                        "summary": _text("One line."),
                    },
                ),
            },
        ),
    }


def _change() -> Schema:
    return _record(
        "What was compared.",
        {
            "repository": _text("owner/name, or the directory's name offline."),
            "base": _text("The commit at the tip of the base branch: the policy is read there."),
            "merge_base": _text("The common ancestor: what is compared with head."),
            "head": _text("The commit that is proposed."),
            "files": _count("Files that differ."),
            "additions": _count("Lines."),
            "deletions": _count("Lines."),
        },
    )


def _attribution() -> Schema:
    signal = _record(
        "One piece of evidence.",
        {
            "signal": _text("Its name."),
            "where": _text("`commit <sha>`, body, branch or author."),
            "value": _text("What was found there."),
            "strength": _word(Strength, "How hard it is to be there by accident."),
        },
    )
    return _record(
        "Who or what wrote the change.",
        {
            "level": _word(Level, "`none` is no evidence of an agent, which is not evidence of a person."),
            "agents": _every(_text("An agent's name.")),
            "signals": _every(signal),
            "requesters": _every(_text("On whose behalf an agent worked.")),
        },
    )


def _effect() -> Schema:
    return _record(
        "What merging does that was not so before.",
        {
            "id": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "Survives rebases and changes of severity."},
            "rule": _text("`<detector>/<what happens>`; `interlock explain` prints its page."),
            "hazard": _word(Hazard, "The kind of harm; `*.narrowed` are harmless."),
            "severity": _word(Severity, "How bad, if it happens."),
            "confidence": _word(Confidence, "How sure that it happens."),
            "reversible": _word(Reversible, "Whether a revert undoes it."),
            "subject": _text("What it acts on."),
            "path": _text("The file; bytes that are no UTF-8 are written as escapes."),
            "line": _maybe(_count("From 1, on the side that `side` names.")),
            "side": _word(Side, "Which of the two states path and line speak of."),
            "environment": _word(Environment, "Where it happens."),
            "before": _maybe(_text("The value at base.")),
            "after": _maybe(_text("The value at head.")),
            "message": _text("One sentence: what becomes possible, or what is lost."),
            "question": {
                "enum": [*(question.value for question in Question), None],
                "description": "Which question about an agent it touches.",
            },
        },
    )


def _reach() -> Schema:
    reach = _record(
        "What depends on what changed.",
        {
            "files": _count("Files that depend on what changed."),
            "units": _every(_text("A deployable unit.")),
            "owners": _every(_text("An owner.")),
            "environments": _every(_text("An environment.")),
            "truncated": {"type": "boolean", "description": "The search ended at its limit: there is more."},
            "paths": _every(_every(_text("A step")), "From a changed thing to what depends on it."),
            "reasons": _every(
                _every(_text("As in `imports`")), "For each path, why each step after the first depends on the one before it."
            ),
        },
    )
    reach["required"].remove("reasons")  # reports written before it was known lack it
    return reach


def _risk() -> Schema:
    term = _record(
        "One part of the sum.", {"name": _text("Its name."), "points": {"type": "integer"}, "because": _text("Where the points come from.")}
    )
    return _record(
        "The score as a sum.",
        {
            "score": {"type": "integer", "minimum": 0, "maximum": 100, "description": "The sum of the terms."},
            "band": _word(Band, "The score in a word."),
            "terms": _every(term),
            "percentile": _maybe({"type": "number", "minimum": 0, "maximum": 100, "description": "In the repository's own history."}),
        },
    )


def _requirement() -> Schema:
    return _record(
        "A safeguard demanded here.",
        {
            "safeguard": _text("Its name; `interlock explain` prints its page."),
            "effects": _every(_text("The id of an effect it is for.")),
            "status": _word(Status, "Only `met` satisfies."),
            "alternatives": _every(_text("Another safeguard that would do as well.")),
            "proof": _record("Where it was looked for.", {"source": _text("In words."), "url": _maybe(_text("Its address."))}),
            "turns_green": _text("What to do, in lines that can be pasted."),
        },
    )


def _analysis() -> Schema:
    missing = _record("A path that could not be judged.", {"path": _text("The file."), "why": _text("The reason.")})
    return _record(
        "How complete the look was.",
        {
            "complete": {"type": "boolean"},
            "files": _count("Files that differ."),
            "analysed": _count("Files that were looked at."),
            "not_analysed": _every(missing),
            "milliseconds": _count("How long it took."),
        },
    )


def _agent() -> Schema:
    return _record(
        "What one coding agent may do under the base branch's configuration, in short.",
        {
            "agent": _text("Its name."),
            "title": _text("Its name as people write it."),
            "alone": _count("Grants it has unasked."),
            "unasked": _every(_text("A high-risk action it may take without anyone being asked.")),
            "own_limits": _text("Whether it can edit its own limits."),
        },
    )


def _record(description: str, properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def _word(words: type[StrEnum], description: str) -> Schema:
    return {"enum": [word.value for word in words], "description": description}


def _maybe(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _every(schema: Schema, description: str | None = None) -> Schema:
    return {"type": "array", "items": schema, **({"description": description} if description else {})}
