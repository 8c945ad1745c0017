"""Requests to GitHub as the App or as one of its installations: githubkit for authentication and sending, our own rules for the rest.

One transport is shared by all clients, so connections are reused; the token cache is this object's own, because githubkit's default is shared
between hosts. Only reads are repeated, and writes only where GitHub said it did not take them.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from githubkit import GitHub
from githubkit.auth import AppAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.exception import AuthExpiredError, GitHubException, RequestFailed, RequestTimeout

from bot.github.calls import CALLS
from bot.settings import Credentials

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
TRIES = 4
PAGES = 30
"""Pages of one list that are read; a longer one is an error, never a short answer."""
ARTIFACT = 8 << 20
"""Bytes of one artifact that are taken."""


class ApiError(Exception):
    """GitHub answered no. `status` is 0 where it did not answer at all."""

    def __init__(self, call: str, status: int, message: str) -> None:
        super().__init__(f"{call}: {status or 'no answer'} {message}".strip())
        self.call, self.status, self.message = call, status, message


class RateLimited(ApiError):
    """GitHub asks to wait: `seconds` says how long."""

    def __init__(self, call: str, status: int, message: str, seconds: float) -> None:
        super().__init__(call, status, message)
        self.seconds = seconds


class _Shared(httpx.AsyncHTTPTransport):
    """A transport that outlives the clients that use it."""

    async def aclose(self) -> None:
        """Nothing: `really_close` does."""

    async def really_close(self) -> None:
        """End all connections."""
        await super().aclose()


@dataclass(slots=True)
class _Token:
    """An installation token for one repository."""

    value: str = field(repr=False)
    expires: float


class Api:
    """The App's door to one GitHub. `close` ends its connections."""

    def __init__(self, credentials: Credentials, url: str, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._transport = _Shared(limits=httpx.Limits(max_connections=50, max_keepalive_connections=20), retries=0)
        self._app: GitHub[AppAuthStrategy] = GitHub(
            AppAuthStrategy(str(credentials.app_id), credentials.private_key),
            base_url=url,
            timeout=TIMEOUT,
            async_transport=self._transport,
            cache_strategy=MemCacheStrategy(),
            http_cache=False,
            auto_retry=False,
            follow_redirects=False,
            user_agent="interlock",
        )
        self._pause = pause
        self._tokens: dict[tuple[int, str], _Token] = {}
        self.app_id = credentials.app_id
        self.sent = 0
        """Requests sent, retries included."""

    async def close(self) -> None:
        """End all connections."""
        await self._transport.really_close()

    def installation(self, installation: int, repository: str) -> Repository:
        """One repository as an installation of the App sees it, with tokens for that repository alone."""
        owner, _, name = repository.partition("/")
        return Repository(self, installation, owner, name)

    async def as_installation(self, installation: int, name: str, fresh: bool = False) -> GitHub[Any]:
        """A client with a token for one repository of an installation: kept until two minutes before it expires. Raises `ApiError`."""
        kept = self._tokens.get((installation, name))
        if kept is None or fresh or kept.expires - time.time() < 120:
            answer = await self.as_app("token", {"repositories": [name]}, installation=installation)
            kept = self._tokens[installation, name] = _Token(str(answer["token"]), _moment(str(answer.get("expires_at", ""))))
        return self._app.with_auth(kept.value)

    async def as_app(self, call: str, body: Any = None, **variables: Any) -> Any:
        """A request as the App itself; its JSON. Raises `ApiError`."""
        return await self.send(self._app, call, variables, None, body)

    async def send(self, github: GitHub[Any], call: str, variables: Mapping[str, Any], params: Mapping[str, Any] | None, body: Any) -> Any:
        """One request with its retries; the answer's JSON. Raises `ApiError` or `RateLimited`."""
        return (await self.response(github, call, variables, params, body)).json()

    async def response(
        self, github: GitHub[Any], call: str, variables: Mapping[str, Any], params: Mapping[str, Any] | None, body: Any
    ) -> Any:
        """One request with its retries. Raises `ApiError` or `RateLimited`."""
        what = CALLS[call]
        path = what.path.format_map({name: quote(str(value), safe="") for name, value in variables.items()})
        for attempt in range(1, TRIES + 1):
            self.sent += 1
            try:
                return await github.arequest(what.method, path, params=dict(params) if params else None, json=body)
            except RequestFailed as failure:
                error = _refused(call, failure.response.raw_response)
            except (RequestTimeout, GitHubException, httpx.HTTPError) as failure:
                error = ApiError(call, 0, type(failure.__cause__ or failure).__name__)
                if isinstance(failure, AuthExpiredError):
                    error = ApiError(call, 401, "the token expired")
            again = what.method in ("GET", "DELETE") and (error.status in (0, 500, 502, 503, 504))
            if isinstance(error, RateLimited) and error.seconds <= 5 and attempt < TRIES:
                await self._pause(error.seconds)
            elif again and attempt < TRIES:
                await self._pause(min(8.0, 0.5 * 2**attempt) * (0.5 + random.random() / 2))  # noqa: S311 - jitter
            else:
                raise error
        raise AssertionError("unreachable")


def _refused(call: str, response: httpx.Response) -> ApiError:
    """What a refusal means: docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
    try:
        message = str(json.loads(response.content).get("message", ""))[:300]
    except (ValueError, AttributeError):
        message = ""
    status = response.status_code
    headers = response.headers
    if status in (403, 429):
        if headers.get("retry-after", "").isdigit():
            return RateLimited(call, status, message, float(headers["retry-after"]))
        if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
            return RateLimited(call, status, message, max(1.0, float(headers["x-ratelimit-reset"]) - time.time()))
        if status == 429 or "secondary rate limit" in message.lower():
            return RateLimited(call, status, message, 60.0)
    return ApiError(call, status, message)


class Repository:
    """One repository through one installation's token."""

    def __init__(self, api: Api, installation: int, owner: str, name: str) -> None:
        self._api, self.installation, self.owner, self.name = api, installation, owner, name

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    async def ask(self, call: str, *, params: Mapping[str, Any] | None = None, body: Any = None, **variables: Any) -> Any:
        """One request about this repository; its JSON. Raises `ApiError`."""
        return (await self._answer(call, variables, params, body)).json()

    async def _answer(self, call: str, variables: Mapping[str, Any], params: Mapping[str, Any] | None, body: Any) -> Any:
        """One request; a token that GitHub no longer takes is replaced once."""
        values = {"owner": self.owner, "repo": self.name, **variables}
        try:
            return await self._api.response(await self._api.as_installation(self.installation, self.name), call, values, params, body)
        except ApiError as error:
            if error.status != 401:
                raise
        return await self._api.response(
            await self._api.as_installation(self.installation, self.name, fresh=True), call, values, params, body
        )

    async def every(self, call: str, key: str | None = None, *, params: Mapping[str, Any] | None = None, **variables: Any) -> list[Any]:
        """All items of a list, page by page. Raises `ApiError` where it is longer than we read: a part is never taken for the whole."""
        items: list[Any] = []
        for page in range(1, PAGES + 1):
            answer = await self.ask(call, params={"per_page": 100, "page": page, **(params or {})}, **variables)
            found = answer if key is None else answer[key]
            items += found
            total = None if key is None else answer.get("total_count")
            if len(found) < 100 and (total is None or len(items) >= total):
                return items
            if not found:
                raise ApiError(call, 0, f"the list ended after {len(items)} of {total}")
        raise ApiError(call, 0, f"the list has more than {PAGES * 100} items")

    async def artifact(self, artifact: int) -> bytes:
        """An artifact's zip. Raises `ApiError`, also over the size limit."""
        response = await self._answer("artifact", {"artifact": artifact}, None, None)
        target = response.raw_response.headers.get("location")
        if not target:
            content = bytes(response.content)
        else:
            # The store behind the redirect takes no token, and must not get one.
            async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as plain, plain.stream("GET", target) as stream:
                content = await _bounded(stream.aiter_bytes())
        if len(content) > ARTIFACT:
            raise ApiError("artifact", 0, f"it has more than {ARTIFACT:,} bytes")
        return content

    async def token(self) -> str:
        """A token for git: for this repository alone, and for reading its content alone. Raises `ApiError`."""
        answer = await self._api.as_app(
            "token", {"repositories": [self.name], "permissions": {"contents": "read"}}, installation=self.installation
        )
        return str(answer["token"])


def _moment(text: str) -> float:
    """A time as GitHub writes it, with or without fractions of a second; an hour from now where it is none."""
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return time.time() + 3600


async def _bounded(pieces: Any) -> bytes:
    content = bytearray()
    async for piece in pieces:
        content += piece
        if len(content) > ARTIFACT:
            raise ApiError("artifact", 0, f"it has more than {ARTIFACT:,} bytes")
    return bytes(content)


def names(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """The `name` of each item."""
    return [str(item.get("name", "")) for item in items]
