"""What a browser meets on GitHub: the sign-in of an App, and the form that makes an App from a manifest.

docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
from urllib.parse import urlencode

from bot.demo.standin.areas.repositories import user as shown
from bot.demo.standin.state import App, Grant, Token
from bot.demo.standin.wire import Answer, Call, Refusal, Route, not_found

LIFE = 8 * 3600


def _page(body: str, status: int = 200) -> Answer:
    return Answer(status, f"<!doctype html><title>GitHub</title>{body}".encode(), {"Content-Type": "text/html; charset=utf-8"})


def _app(call: Call, client: str) -> App:
    app = next((one for one in call.world.apps.values() if one.client_id == client), None)
    if app is None:
        raise not_found()
    return app


def authorize(call: Call) -> Answer:
    """GET /login/oauth/authorize: whoever the browser is signed in as allows it, and goes back with a code."""
    query = call.query
    app, person = _app(call, query.get("client_id", "")), call.world.browser
    if person is None:
        return _page("<h1>Sign in to GitHub</h1>")
    code = secrets.token_hex(10)
    call.world.grants[code] = Grant(app, person, query.get("redirect_uri", ""), query.get("code_challenge", ""))
    return Answer(302, None, {"Location": f"{query.get('redirect_uri', '')}?{urlencode({'code': code, 'state': query.get('state', '')})}"})


def access_token(call: Call) -> Answer:
    """POST /login/oauth/access_token: a code works once; what is wrong is said with status 200."""
    fields = call.fields
    app = _app(call, str(fields.get("client_id", "")))
    if not app.client_secret or fields.get("client_secret") != app.client_secret:
        return Answer(200, {"error": "incorrect_client_credentials"})
    grant = call.world.grants.pop(str(fields.get("code", "")), None)
    if grant is None or grant.app is not app:
        return Answer(200, {"error": "bad_verification_code"})
    digest = hashlib.sha256(str(fields.get("code_verifier", "")).encode()).digest()
    if grant.challenge and grant.challenge != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
        return Answer(200, {"error": "bad_verification_code"})
    if grant.back != fields.get("redirect_uri", grant.back):
        return Answer(200, {"error": "redirect_uri_mismatch"})
    token = Token(f"ghu_{secrets.token_urlsafe(27)}", user=grant.user, expires_at=call.world.now() + LIFE)
    call.world.tokens[token.value] = token
    return Answer(200, {"access_token": token.value, "expires_in": LIFE, "token_type": "bearer", "scope": ""})


def myself(call: Call) -> Answer:
    """GET /user"""
    call.params["username"] = call.user.login
    return shown(call)


def new_app(call: Call) -> Answer:
    """POST /settings/apps/new: shows what the manifest asks for, with the button that makes the App."""
    manifest = str(call.fields.get("manifest", ""))
    try:
        name = json.loads(manifest)["name"]
    except (ValueError, KeyError, TypeError):
        raise Refusal(422, "Invalid manifest") from None
    field = f'<input type="hidden" name="manifest" value="{html.escape(manifest)}">'
    to = f"{call.path}/confirmed?{urlencode({'state': call.query.get('state', '')})}"
    return _page(
        f'<h1>Create GitHub App for {html.escape(str(name))}</h1><form method="post" action="{html.escape(to)}">{field}<button>Create</button></form>'
    )


def confirmed(call: Call) -> Answer:
    """The button: the App is made, and the browser goes back with the code for its credentials."""
    manifest = json.loads(call.fields["manifest"])
    person = call.world.browser
    owner = call.params.get("org") or (person.login if person else "")
    code = call.world.register(manifest, owner)
    return Answer(302, None, {"Location": f"{manifest['redirect_url']}?{urlencode({'code': code, 'state': call.query.get('state', '')})}"})


ROUTES = (
    Route("GET", "/login/oauth/authorize", authorize, by="nobody"),
    Route("POST", "/login/oauth/access_token", access_token, by="nobody"),
    Route("GET", "/user", myself),
    Route("POST", "/settings/apps/new", new_app, by="nobody"),
    Route("POST", "/settings/apps/new/confirmed", confirmed, by="nobody"),
    Route("POST", "/organizations/{org}/settings/apps/new", new_app, by="nobody"),
    Route("POST", "/organizations/{org}/settings/apps/new/confirmed", confirmed, by="nobody"),
)
