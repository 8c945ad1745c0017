"""Who calls, and may they: JWTs of Apps, tokens of installations and of users, refused in GitHub's own words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import jwt

from bot.demo.standin.state import ROLES, App, Repository, Token, World
from bot.demo.standin.wire import Actor, Refusal, Route, not_found

LEVELS = {"read": 1, "write": 2, "admin": 3}
PUBLIC = frozenset({"metadata", "contents", "issues", "pull_requests", "checks", "statuses", "actions", "deployments"})
"""What everybody may read of a public repository."""

_ROLE_FOR = {
    ("contents", "write"): "write",
    ("statuses", "write"): "write",
    ("pull_requests", "write"): "read",
    ("issues", "write"): "read",
    ("labels", "write"): "triage",
    ("administration", "read"): "admin",
    ("administration", "write"): "admin",
    ("deployments", "write"): "write",
    ("actions", "write"): "write",
}
_LONGEST_JWT = 600
_SKEW = 60


def caller(world: World, headers: Mapping[str, str]) -> Actor:
    """Who the Authorization header stands for. Raises the refusal GitHub gives for a wrong one."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if not scheme:
        return Actor()
    value = value.strip()
    if scheme.lower() == "basic":
        value = basic_password(value)
    elif scheme.lower() not in ("bearer", "token"):
        raise Refusal(401, "Bad credentials")
    if scheme.lower() == "bearer" and value.count(".") == 2 and not value.startswith("gh"):
        return Actor(app=_app_of_jwt(world, value))
    return Actor(token=token_of(world, value))


def basic_password(value: str) -> str:
    """The password of a Basic header, empty when it cannot be read."""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def token_of(world: World, value: str) -> Token:
    """The token with that value, if it lives."""
    token = world.tokens.get(value)
    if token is None or (token.expires_at is not None and token.expires_at <= world.now()):
        raise Refusal(401, "Bad credentials")
    if token.installation and token.installation.suspended_at:
        raise Refusal(403, "This installation has been suspended")
    return token


def _app_of_jwt(world: World, value: str) -> App:
    undecodable = Refusal(401, "A JSON web token could not be decoded")
    try:
        claims = jwt.decode(value, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise undecodable from None
    issuer = str(claims.get("iss", ""))
    app = next((app for app in world.apps.values() if issuer in (str(app.id), app.client_id)), None)
    if app is None:
        raise Refusal(404, "Integration not found")
    try:
        jwt.decode(value, app.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False, "verify_nbf": False})
    except jwt.PyJWTError:
        raise undecodable from None
    now = world.wall()
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(expires, int) or expires <= now:
        raise Refusal(
            401, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
        )
    if not isinstance(issued, int) or issued > now + _SKEW:
        raise Refusal(401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
    if expires > now + _LONGEST_JWT + _SKEW or expires - issued > _LONGEST_JWT + 2 * _SKEW:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def may(world: World, actor: Actor, repository: Repository | None, need: str) -> bool:
    """Whether the caller holds a permission such as `checks:write` (on that repository, if there is one)."""
    name, _, level = need.partition(":")
    public = repository is not None and not repository.private and level == "read" and name in PUBLIC
    token = actor.token
    if token is None:
        return public
    if token.installation:
        reaches = repository is None or sees(world, token, repository)
        return public or (reaches and LEVELS.get(token.permissions.get(name, ""), 0) >= LEVELS[level])
    if name == "checks" and level == "write":
        return False
    if repository is None or token.user is None:
        return True
    role = repository.role_of(token.user.login)
    return ROLES.index(role) >= ROLES.index(_ROLE_FOR.get((name, level), "read"))


def sees(world: World, token: Token, repository: Repository) -> bool:
    """Whether the token's own reach includes the repository (public or not)."""
    if token.installation:
        narrowed = token.repositories is None or repository.id in token.repositories
        return narrowed and world.covers(token.installation, repository)
    return token.user is not None and repository.role_of(token.user.login) != "none"


def admit(world: World, actor: Actor, route: Route, repository: Repository | None) -> None:
    """Let the caller through a route, or raise what GitHub answers."""
    if route.by == "nobody":
        return
    if route.by == "app":
        if actor.app is None:
            raise Refusal(401, "A JSON web token could not be decoded")
        return
    if route.by == "installation" and actor.installation is None:
        if actor.app:
            raise Refusal(403, "You must authenticate with an installation access token in order to list repositories for an installation.")
        raise Refusal(401, "Requires authentication") if actor.token is None else Refusal(403, "Resource not accessible by integration")
    if actor.app:
        raise Refusal(403, "Resource not accessible by integration")
    if repository and repository.private and (actor.token is None or not sees(world, actor.token, repository)):
        raise not_found()
    if not route.needs or any(may(world, actor, repository, need) for need in route.needs):
        return
    accepted = {"X-Accepted-GitHub-Permissions": "; ".join(need.replace(":", "=") for need in route.needs)}
    if actor.token is None:
        raise Refusal(401, "Requires authentication", headers=accepted)
    if actor.installation:
        raise Refusal(403, "Resource not accessible by integration", headers=accepted)
    if all(need.startswith("checks:") for need in route.needs):
        raise Refusal(403, "You must authenticate via a GitHub App.", headers=accepted)
    if repository and "administration:read" in route.needs:
        raise not_found()
    raise Refusal(403, "Must have admin rights to Repository.", headers=accepted)
