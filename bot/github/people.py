"""GitHub as a person sees it: the App's own sign-in, who that is, and what they may read. Also the one exchange that makes an App.

docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from bot.github.calls import CALLS
from bot.github.client import TIMEOUT, ApiError

ANSWER = 1 << 20
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Person:
    """An account that signed in."""

    login: str
    id: int


def sign_in_address(github: str, client: str, back: str, state: str, verifier: str) -> str:
    """Where a browser goes to sign in; GitHub sends it to `back` with a code and the state."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {"client_id": client, "redirect_uri": back, "state": state, "code_challenge": challenge, "code_challenge_method": "S256"}
    return f"{github}/login/oauth/authorize?{urlencode(query)}"


class People:
    """Requests with the tokens of people, and with none. `close` ends its connections."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, headers={"user-agent": "interlock"})

    async def close(self) -> None:
        """End all connections."""
        await self._client.aclose()

    async def exchange(self, github: str, client: str, secret: str, code: str, back: str, verifier: str) -> str:
        """The token for a code that GitHub gave the browser. Raises `ApiError`."""
        fields = {"client_id": client, "client_secret": secret, "code": code, "redirect_uri": back, "code_verifier": verifier}
        answer = await self._send("sign-in", "POST", f"{github}/login/oauth/access_token", data=fields)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise ApiError("sign-in", 200, str(answer.get("error", "no token"))[:100])
        return token

    async def person(self, api: str, token: str) -> Person:
        """Who a token belongs to. Raises `ApiError`."""
        answer = await self._ask(api, "user", token)
        return Person(str(answer["login"]), int(answer["id"]))

    async def repository(self, api: str, token: str, owner: str, name: str) -> tuple[str, int] | None:
        """The full name and id of a repository that the bearer may read; None where there is none for them. Raises `ApiError`."""
        try:
            answer = await self._ask(api, "repository", token, owner=owner, repo=name)
        except ApiError as error:
            if error.status in (301, 302, 307, 308, 403, 404, 451):
                return None
            raise
        return str(answer["full_name"]), int(answer["id"])

    async def app_of(self, api: str, code: str) -> dict[str, Any]:
        """The credentials of an App that was just made from a manifest: GitHub tells them once. Raises `ApiError`."""
        call = CALLS["manifest"]
        return await self._send("manifest", call.method, api + call.path.format(code=quote(code, safe="")))

    async def _ask(self, api: str, call: str, token: str, **variables: str) -> dict[str, Any]:
        what = CALLS[call]
        path = what.path.format_map({name: quote(value, safe="") for name, value in variables.items()})
        return await self._send(call, what.method, api + path, headers={"authorization": f"Bearer {token}"})

    async def _send(self, call: str, method: str, url: str, **more: Any) -> dict[str, Any]:
        headers = {"accept": "application/json", **more.pop("headers", {})}
        try:
            response = await self._client.request(method, url, headers=headers, **more)
        except httpx.HTTPError as error:
            raise ApiError(call, 0, type(error).__name__) from None
        if response.status_code not in (200, 201):
            raise ApiError(call, response.status_code, "")
        try:
            answer = response.json() if len(response.content) <= ANSWER else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ApiError(call, response.status_code, "the answer is not an object")
        return answer
