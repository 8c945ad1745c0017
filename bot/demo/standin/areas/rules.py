"""What a branch is forced to: rules of rulesets, and classic protection."""

from __future__ import annotations

from bot.demo.standin import deeds, shapes
from bot.demo.standin.auth import may
from bot.demo.standin.wire import Answer, Call, Refusal, Route, not_found


def of_branch(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/rules/branches/{branch}: active rules only, without classic protection and without who may bypass"""
    return call.page(deeds.rules_of(call.repository, call.params["branch"]), lambda rule: rule)


def _writes(call: Call) -> bool:
    return may(call.world, call.actor, call.repository, "administration:write")


def rulesets(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/rulesets"""
    return call.page(call.repository.rulesets, lambda one: shapes.ruleset(call.world, call.repository, one, whole=False, bypass=False))


def ruleset(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/rulesets/{ruleset_id}: bypass_actors only for those who may write it"""
    for one in call.repository.rulesets:
        if one.id == call.number("ruleset_id"):
            return Answer(200, shapes.ruleset(call.world, call.repository, one, whole=True, bypass=_writes(call)))
    raise not_found()


def protection(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches/{branch}/protection: 404 where there is none"""
    found = call.repository.protections.get(call.params["branch"])
    if found is None:
        raise Refusal(404, "Branch not protected")
    return Answer(200, found)


_HERE = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", f"{_HERE}/rules/branches/{{branch+}}", of_branch, ("metadata:read",)),
    Route("GET", f"{_HERE}/rulesets", rulesets, ("metadata:read",)),
    Route("GET", f"{_HERE}/rulesets/{{ruleset_id}}", ruleset, ("metadata:read",)),
    Route("GET", f"{_HERE}/branches/{{branch+}}/protection", protection, ("administration:read",)),
)
