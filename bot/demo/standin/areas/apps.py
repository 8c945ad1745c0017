"""The App itself, its installations and their tokens, its deliveries, the manifest flow."""

from __future__ import annotations

import secrets
from typing import Any

from bot.demo.standin import hooks, shapes
from bot.demo.standin.auth import LEVELS
from bot.demo.standin.state import App, Delivery, Installation, Repository, Token, World, stamp
from bot.demo.standin.wire import Answer, Call, Refusal, Route, invalid, not_found

TOKEN_LIFE = 3600


def _app(call: Call) -> App:
    assert call.actor.app is not None
    return call.actor.app


def show(call: Call) -> Answer:
    """GET /app"""
    count = sum(1 for one in call.world.installations.values() if one.app is _app(call))
    return Answer(200, shapes.app(call.world, _app(call)) | {"installations_count": count})


def installations(call: Call) -> Answer:
    """GET /app/installations"""
    own = [one for one in call.world.installations.values() if one.app is _app(call)]
    return call.page(own, lambda one: {name: value for name, value in shapes.installation(call.world, one).items() if name != "client_id"})


def _installation(call: Call) -> Installation:
    one = call.world.installations.get(call.number("installation_id"))
    if one is None or one.app is not _app(call):
        raise not_found()
    return one


def installation(call: Call) -> Answer:
    """GET /app/installations/{installation_id}"""
    return Answer(200, shapes.installation(call.world, _installation(call)))


def _of_account(call: Call, login: str, repository: Repository | None = None) -> Answer:
    for one in call.world.installations.values():
        if (
            one.app is _app(call)
            and one.account.login.lower() == login.lower()
            and (repository is None or call.world.covers(one, repository))
        ):
            return Answer(200, shapes.installation(call.world, one))
    raise not_found()


def of_repository(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/installation"""
    return _of_account(call, call.params["owner"], call.repository)


def of_organization(call: Call) -> Answer:
    """GET /orgs/{org}/installation"""
    return _of_account(call, call.params["org"])


def of_user(call: Call) -> Answer:
    """GET /users/{username}/installation"""
    return _of_account(call, call.params["username"])


def new_token(call: Call) -> Answer:
    """POST /app/installations/{installation_id}/access_tokens"""
    one, world = _installation(call), call.world
    if one.suspended_at:
        raise Refusal(403, "This installation has been suspended")
    permissions = _narrowed(one, call.fields.get("permissions"))
    repositories = _chosen(world, one, call.fields)
    token = issue_token(world, one, permissions, None if repositories is None else {repo.id for repo in repositories})
    body: dict[str, Any] = {
        "token": token.value,
        "expires_at": stamp(token.expires_at or 0),
        "permissions": permissions,
        "repository_selection": "all" if one.repositories is None and repositories is None else "selected",
    }
    if repositories is not None:
        body["repositories"] = [shapes.repository(world, repo) for repo in repositories]
    return Answer(201, body)


def issue_token(world: World, one: Installation, permissions: dict[str, str], repositories: set[int] | None) -> Token:
    """A new token of an installation, kept so that it is known when it comes back."""
    # As long and as dotted as GitHub's own have become.
    value = f"ghs_{one.app.id}_{secrets.token_urlsafe(90)}.{secrets.token_urlsafe(180)}.{secrets.token_urlsafe(96)}"
    token = Token(value, installation=one, permissions=permissions, repositories=repositories, expires_at=world.now() + TOKEN_LIFE)
    world.tokens[value] = token
    return token


def _narrowed(one: Installation, asked: Any) -> dict[str, str]:
    if asked is None:
        return dict(one.permissions)
    if not isinstance(asked, dict):
        raise Refusal(422, "Invalid request.\n\nFor 'properties/permissions', the value is not an object.")
    for name, level in asked.items():
        if level not in LEVELS or LEVELS.get(one.permissions.get(name, ""), 0) < LEVELS[level]:
            raise Refusal(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **asked}


def _chosen(world: World, one: Installation, fields: dict[str, Any]) -> list[Repository] | None:
    names, ids = fields.get("repositories"), fields.get("repository_ids")
    if names is None and ids is None:
        return None
    everything = [repo for repo in world.repositories.values() if world.covers(one, repo)]
    chosen = [repo for repo in everything if repo.id in (ids or ()) or repo.name in (names or ())]
    if len(chosen) != len(set(names or ())) + len(set(ids or ())):
        raise Refusal(422, "There is at least one repository that does not exist or is not accessible to the parent installation.")
    return chosen


def revoke_token(call: Call) -> Answer:
    """DELETE /installation/token"""
    assert call.actor.token is not None
    call.world.tokens.pop(call.actor.token.value, None)
    return Answer(204)


def repositories(call: Call) -> Answer:
    """GET /installation/repositories"""
    token = call.actor.token
    assert token is not None and token.installation is not None
    seen = [
        repo
        for repo in call.world.repositories.values()
        if call.world.covers(token.installation, repo) and (token.repositories is None or repo.id in token.repositories)
    ]
    answer = call.page(seen, lambda repo: shapes.repository(call.world, repo), "repositories")
    answer.body["repository_selection"] = "all" if token.installation.repositories is None else "selected"
    return answer


def deliveries(call: Call) -> Answer:
    """GET /app/hook/deliveries: newest first, by cursor. `status=failure` is those answered with 400 to 599, no others."""
    own = [one for one in reversed(call.world.deliveries) if one.app is _app(call) and one.done.is_set()]
    wanted = call.query.get("status")
    if wanted not in (None, "success", "failure"):
        raise invalid("HookDelivery", "status")
    if wanted == "success":
        own = [one for one in own if 200 <= one.status_code < 400]
    if wanted == "failure":
        own = [one for one in own if 400 <= one.status_code < 600]
    cursor = call.query.get("cursor", "")
    if cursor:
        if not cursor.startswith("v1_") or not cursor[3:].isdigit():
            raise Refusal(400, "Invalid cursor")
        own = [one for one in own if one.id < int(cursor[3:])]
    size = min(max(int(call.query.get("per_page", "30")), 1), 100)
    page = own[:size]
    headers = {}
    if len(own) > size:
        headers["Link"] = f'<{call.world.url}{call.path}?per_page={size}&cursor=v1_{page[-1].id}>; rel="next"'
    return Answer(200, [shapes.delivery(one) for one in page], headers)


def _delivery(call: Call) -> Delivery:
    for one in call.world.deliveries:
        if one.id == call.number("delivery_id") and one.app is _app(call):
            return one
    raise not_found()


def delivery(call: Call) -> Answer:
    """GET /app/hook/deliveries/{delivery_id}"""
    return Answer(200, shapes.delivery_full(_delivery(call)))


def attempt(call: Call) -> Answer:
    """POST /app/hook/deliveries/{delivery_id}/attempts"""
    hooks.redeliver(call.world, _delivery(call))
    return Answer(202, {})


def hook_config(call: Call) -> Answer:
    """GET /app/hook/config"""
    return Answer(200, {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": _app(call).webhook_url or ""})


def convert(call: Call) -> Answer:
    """POST /app-manifests/{code}/conversions: the code works once; the answer is the only place the key is ever shown."""
    made = call.world.manifests.pop(call.params["code"], None)
    if made is None:
        raise not_found()
    app: App = made["app"]
    secret = {
        "client_id": app.client_id,
        "client_secret": made["client_secret"],
        "webhook_secret": app.webhook_secret,
        "pem": app.private_key,
    }
    return Answer(201, shapes.app(call.world, app) | secret)


def rate_limit(call: Call) -> Answer:
    """GET /rate_limit, which does not count itself."""
    token = call.actor.token
    used = (token.installation or token).used if token else 0
    core = {"limit": 5000, "used": used, "remaining": 5000 - used, "reset": int(call.world.now()) + 3600}
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": int(call.world.now()) + 60}
    return Answer(200, {"resources": {"core": core, "search": search}, "rate": core})


def meta(call: Call) -> Answer:
    """GET /meta"""
    return Answer(200, {"verifiable_password_authentication": False})


ROUTES = (
    Route("GET", "/app", show, by="app"),
    Route("GET", "/app/installations", installations, by="app"),
    Route("GET", "/app/installations/{installation_id}", installation, by="app"),
    Route("POST", "/app/installations/{installation_id}/access_tokens", new_token, by="app"),
    Route("GET", "/app/hook/config", hook_config, by="app"),
    Route("GET", "/app/hook/deliveries", deliveries, by="app"),
    Route("GET", "/app/hook/deliveries/{delivery_id}", delivery, by="app"),
    Route("POST", "/app/hook/deliveries/{delivery_id}/attempts", attempt, by="app"),
    Route("GET", "/repos/{owner}/{repo}/installation", of_repository, by="app"),
    Route("GET", "/orgs/{org}/installation", of_organization, by="app"),
    Route("GET", "/users/{username}/installation", of_user, by="app"),
    Route("POST", "/app-manifests/{code}/conversions", convert, by="nobody"),
    Route("GET", "/installation/repositories", repositories, by="installation"),
    Route("DELETE", "/installation/token", revoke_token, by="installation"),
    Route("GET", "/rate_limit", rate_limit),
    Route("GET", "/meta", meta, by="nobody"),
)
