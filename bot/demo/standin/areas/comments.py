"""The conversation of a pull request: comments, reactions, labels."""

from __future__ import annotations

from typing import Any

from bot.demo.standin import deeds, shapes
from bot.demo.standin.areas.pulls import pull_of
from bot.demo.standin.state import Comment, Label, Reaction
from bot.demo.standin.wire import Answer, Call, Refusal, Route, invalid, not_found

CONTENTS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")
LONGEST_BODY = 65536


def _body(call: Call) -> str:
    body = call.fields.get("body")
    if not isinstance(body, str):
        raise Refusal(422, 'Invalid request.\n\n"body" wasn\'t supplied.')
    if not body.strip():
        raise Refusal(422, "Validation Failed", errors=[{"resource": "IssueComment", "code": "missing_field", "field": "body"}])
    if len(body) > LONGEST_BODY:
        raise invalid("IssueComment", "body", "custom", f"body is too long (maximum is {LONGEST_BODY} characters)")
    return body


def conversation(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}"""
    return Answer(200, shapes.conversation(call.world, pull_of(call, "issue_number")))


def listing(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}/comments: oldest first"""
    pull = pull_of(call, "issue_number")
    found = [one for one in call.repository.comments.values() if one.number == pull.number]
    return call.page(found, lambda one: shapes.comment(call.world, call.repository, one))


def everywhere(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments"""
    return call.page(list(call.repository.comments.values()), lambda one: shapes.comment(call.world, call.repository, one))


def create(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{issue_number}/comments"""
    app = call.actor.installation.app if call.actor.installation else None
    one, _ = deeds.comment(call.world, pull_of(call, "issue_number"), call.user, _body(call), app)
    return Answer(201, shapes.comment(call.world, call.repository, one))


def _comment(call: Call) -> Comment:
    one = call.repository.comments.get(call.number("comment_id"))
    if one is None:
        raise not_found()
    return one


def show(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments/{comment_id}"""
    return Answer(200, shapes.comment(call.world, call.repository, _comment(call)))


def update(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}"""
    one, body = _comment(call), _body(call)
    changes = {"body": {"from": one.body}}
    one.body, one.updated_at = body, call.world.now()
    deeds.tell_comment(call.world, call.repository.pulls[one.number], one, "edited", call.user, changes=changes)
    return Answer(200, shapes.comment(call.world, call.repository, one))


def delete(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}"""
    one = _comment(call)
    del call.repository.comments[one.id]
    deeds.tell_comment(call.world, call.repository.pulls[one.number], one, "deleted", call.user)
    return Answer(204)


def _react(call: Call, given: list[Reaction]) -> Answer:
    content = call.fields.get("content")
    if content not in CONTENTS:
        raise Refusal(422, "Invalid request.\n\nFor 'properties/content', it is not a known reaction.")
    for one in given:
        if one.user is call.user and one.content == content:
            return Answer(200, shapes.reaction(call.world, one))
    one = Reaction(call.world.id(), call.user, content, call.world.now())
    given.append(one)
    return Answer(201, shapes.reaction(call.world, one))


def _reactions(call: Call, given: list[Reaction]) -> Answer:
    wanted = call.query.get("content")
    return call.page([one for one in given if wanted in (None, one.content)], lambda one: shapes.reaction(call.world, one))


def react_to_comment(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions: 200 when it was there already"""
    return _react(call, _comment(call).reactions)


def reactions_of_comment(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"""
    return _reactions(call, _comment(call).reactions)


def react(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{issue_number}/reactions"""
    return _react(call, pull_of(call, "issue_number").reactions)


def reactions(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}/reactions"""
    return _reactions(call, pull_of(call, "issue_number").reactions)


def unreact(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}"""
    given = _comment(call).reactions
    kept = [one for one in given if one.id != call.number("reaction_id")]
    if len(kept) == len(given):
        raise not_found()
    given[:] = kept
    return Answer(204)


def labels(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/labels"""
    return call.page(list(call.repository.labels.values()), lambda one: shapes.label(call.world, call.repository, one))


def create_label(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/labels"""
    fields = call.fields
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise Refusal(422, 'Invalid request.\n\n"name" wasn\'t supplied.')
    if name.lower() in call.repository.labels:
        raise invalid("Label", "name", "already_exists")
    one = deeds.make_label(call.world, call.repository, name)
    _change(one, fields)
    return Answer(201, shapes.label(call.world, call.repository, one))


def _change(one: Label, fields: dict[str, Any]) -> None:
    color = fields.get("color", one.color)
    if not (isinstance(color, str) and len(color) == 6 and all(letter in "0123456789abcdefABCDEF" for letter in color)):
        raise invalid("Label", "color")
    description = fields.get("description", one.description)
    if description and len(description) > 100:
        raise invalid("Label", "description", "custom", "description is too long (maximum is 100 characters)")
    one.color, one.description = color, description


def _label(call: Call) -> Label:
    one = call.repository.labels.get(call.params["name"].lower())
    if one is None:
        raise not_found()
    return one


def show_label(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/labels/{name}"""
    return Answer(200, shapes.label(call.world, call.repository, _label(call)))


def update_label(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/labels/{name}"""
    one = _label(call)
    _change(one, call.fields)
    new = call.fields.get("new_name")
    if new:
        del call.repository.labels[one.name.lower()]
        one.name = new
        call.repository.labels[new.lower()] = one
    return Answer(200, shapes.label(call.world, call.repository, one))


def delete_label(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/labels/{name}"""
    one = _label(call)
    del call.repository.labels[one.name.lower()]
    for pull in call.repository.pulls.values():
        pull.labels = [kept for kept in pull.labels if kept is not one]
    return Answer(204)


def _drawn(call: Call, number: int) -> Answer:
    pull = call.repository.pulls[number]
    return call.page(pull.labels, lambda one: shapes.label(call.world, call.repository, one))


def labels_of(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{issue_number}/labels"""
    return _drawn(call, pull_of(call, "issue_number").number)


def _names(call: Call) -> list[str]:
    asked = call.body.get("labels") if isinstance(call.body, dict) else call.body
    if not isinstance(asked, list):
        raise Refusal(422, "Invalid request.\n\nFor 'links/0/schema', labels is not a list.")
    names = [one.get("name") if isinstance(one, dict) else one for one in asked]
    if not all(isinstance(name, str) and name for name in names):
        raise invalid("Label", "name")
    return [str(name) for name in names]


def add_labels(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{issue_number}/labels"""
    pull = pull_of(call, "issue_number")
    deeds.label(call.world, pull, _names(call), call.user)
    return _drawn(call, pull.number)


def set_labels(call: Call) -> Answer:
    """PUT /repos/{owner}/{repo}/issues/{issue_number}/labels"""
    pull, names = pull_of(call, "issue_number"), _names(call)
    for one in [one for one in pull.labels if one.name not in names]:
        deeds.unlabel(call.world, pull, one, call.user)
    deeds.label(call.world, pull, names, call.user)
    return _drawn(call, pull.number)


def remove_label(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}"""
    pull = pull_of(call, "issue_number")
    one = call.repository.labels.get(call.params["name"].lower())
    if one is None or one not in pull.labels:
        raise Refusal(404, "Label does not exist")
    deeds.unlabel(call.world, pull, one, call.user)
    return _drawn(call, pull.number)


_HERE = "/repos/{owner}/{repo}/issues"
_LABELS = "/repos/{owner}/{repo}/labels"
_READ, _WRITE = ("issues:read", "pull_requests:read"), ("issues:write", "pull_requests:write")
ROUTES = (
    Route("GET", f"{_HERE}/comments", everywhere, _READ),
    Route("GET", f"{_HERE}/comments/{{comment_id}}", show, _READ),
    Route("PATCH", f"{_HERE}/comments/{{comment_id}}", update, _WRITE),
    Route("DELETE", f"{_HERE}/comments/{{comment_id}}", delete, _WRITE),
    Route("GET", f"{_HERE}/comments/{{comment_id}}/reactions", reactions_of_comment, ("issues:read",)),
    Route("POST", f"{_HERE}/comments/{{comment_id}}/reactions", react_to_comment, ("issues:write",)),
    Route("DELETE", f"{_HERE}/comments/{{comment_id}}/reactions/{{reaction_id}}", unreact, ("issues:write",)),
    Route("GET", f"{_HERE}/{{issue_number}}", conversation, _READ),
    Route("GET", f"{_HERE}/{{issue_number}}/comments", listing, _READ),
    Route("POST", f"{_HERE}/{{issue_number}}/comments", create, _WRITE),
    Route("GET", f"{_HERE}/{{issue_number}}/reactions", reactions, ("issues:read",)),
    Route("POST", f"{_HERE}/{{issue_number}}/reactions", react, ("issues:write",)),
    Route("GET", f"{_HERE}/{{issue_number}}/labels", labels_of, _READ),
    Route("POST", f"{_HERE}/{{issue_number}}/labels", add_labels, _WRITE),
    Route("PUT", f"{_HERE}/{{issue_number}}/labels", set_labels, _WRITE),
    Route("DELETE", f"{_HERE}/{{issue_number}}/labels/{{name}}", remove_label, _WRITE),
    Route("GET", _LABELS, labels, _READ),
    Route("POST", _LABELS, create_label, _WRITE),
    Route("GET", f"{_LABELS}/{{name}}", show_label, _READ),
    Route("PATCH", f"{_LABELS}/{{name}}", update_label, _WRITE),
    Route("DELETE", f"{_LABELS}/{{name}}", delete_label, _WRITE),
)
