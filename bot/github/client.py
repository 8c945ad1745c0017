"""Requests to GitHub as the App or as one of its installations: githubkit for authentication and sending, our own rules for the rest.

One transport is shared by all clients, so connections are reused; the token cache is this object's own, because githubkit's default is shared
between hosts. Only reads are repeated, and writes only where GitHub said it did not take them. What was read is asked for again with its
ETag, which costs nothing while it is the same.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import random
import time
from collections import OrderedDict
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
from bot.github.limits import Budget
from bot.metrics import GITHUB_ERRORS, GITHUB_REQUESTS, code
from bot.settings import Credentials

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
TRIES = 4
PAGES = 30
"""Pages of one list that are read; a longer one is an error, never a short answer."""
ARTIFACT = 8 << 20
"""Bytes of one artifact that are taken."""
PATIENCE = 5.0
"""Seconds that a request itself waits when GitHub asks for patience; for longer the work is given back."""
KEPT, LARGE = 64 << 20, 1 << 20
"""Bytes of all answers that are kept with their ETag, and of one above which it is not."""
WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


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

    def __init__(
        self,
        credentials: Credentials,
        url: str,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        write_seconds: float = 1.0,
    ) -> None:
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
        self._pause, self._clock, self._write_seconds = pause, clock, write_seconds
        self._tokens: dict[tuple[int, str], _Token] = {}
        self._kept: OrderedDict[tuple[object, ...], tuple[str, Any]] = OrderedDict()
        self._kept_bytes = 0
        self.budgets: dict[int, Budget] = {}
        """What is left to each installation; 0 is the App itself."""
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
        """A client with a token for one repository of an installation (for all where `name` is empty), kept until two minutes before it
        expires. Raises `ApiError`."""
        kept = self._tokens.get((installation, name))
        if kept is None or fresh or kept.expires - self._clock() < 120:
            answer = await self.as_app("token", {"repositories": [name]} if name else None, installation=installation)
            kept = self._tokens[installation, name] = _Token(str(answer["token"]), self._moment(str(answer.get("expires_at", ""))))
        return self._app.with_auth(kept.value)

    def forget(self, installation: int) -> None:
        """Drop the tokens of an installation: it was removed, or what it reaches has changed."""
        self._tokens = {key: token for key, token in self._tokens.items() if key[0] != installation}

    def _moment(self, text: str) -> float:
        """A time as GitHub writes it, with or without fractions of a second; an hour from now where it is none."""
        try:
            return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return self._clock() + 3600

    async def as_app(self, call: str, body: Any = None, params: Mapping[str, Any] | None = None, **variables: Any) -> Any:
        """A request as the App itself; its JSON. Raises `ApiError`."""
        return (await self.response(self._app, call, variables, params, body)).json()

    async def app_page(self, call: str, params: Mapping[str, Any]) -> tuple[Any, str | None]:
        """One page of a list that goes by cursor, as the App itself, and the cursor of the next. Raises `ApiError`."""
        response = await self.response(self._app, call, {}, params, None)
        following = response.raw_response.links.get("next", {}).get("url", "")
        return response.json(), httpx.URL(following).params.get("cursor") if following else None

    async def every_as_app(self, call: str) -> list[Any]:
        """All items of a list of the App itself. Raises `ApiError`."""
        items: list[Any] = []
        for page in range(1, PAGES + 1):
            found = await self.as_app(call, params={"per_page": 100, "page": page})
            items += found
            if len(found) < 100:
                return items
        raise ApiError(call, 0, f"the list has more than {PAGES * 100} items")

    async def repositories(self, installation: int) -> list[Any]:
        """All repositories that an installation reaches. Raises `ApiError`."""
        items: list[Any] = []
        for page in range(1, PAGES + 1):
            params = {"per_page": 100, "page": page}
            answer = (await self.response(await self.as_installation(installation, ""), "reached", {}, params, None, installation)).json()
            items += answer["repositories"]
            if len(answer["repositories"]) < 100:
                return items
        raise ApiError("reached", 0, f"the list has more than {PAGES * 100} items")

    def budget(self, installation: int) -> Budget:
        """What is left to an installation; 0 is the App itself."""
        return self.budgets.setdefault(installation, Budget())

    async def response(
        self,
        github: GitHub[Any],
        call: str,
        variables: Mapping[str, Any],
        params: Mapping[str, Any] | None,
        body: Any,
        installation: int = 0,
    ) -> Any:
        """One request with its retries, within the limits of its installation. Raises `ApiError` or `RateLimited`."""
        what = CALLS[call]
        path = what.path.format_map({name: quote(str(value), safe="") for name, value in variables.items()})
        budget, key = self.budget(installation), (installation, path, *sorted((params or {}).items()))
        for attempt in range(1, TRIES + 1):
            await self._turn(call, budget, paced=installation != 0 and what.method in WRITES)
            self.sent += 1
            kept = self._kept.get(key) if what.method == "GET" else None
            try:
                response = await github.arequest(
                    what.method,
                    path,
                    params=dict(params) if params else None,
                    json=body,
                    headers={"If-None-Match": kept[0]} if kept else None,
                )
                budget.told(response.headers)
                budget.answered()
                GITHUB_REQUESTS.labels(status=str(response.status_code)[:1] + "xx" if response.status_code != 304 else "304").inc()
                return self._known(key, kept, response) if what.method == "GET" else response
            except RequestFailed as failure:
                error = self._refused(call, failure.response.raw_response, budget)
            except (RequestTimeout, GitHubException, httpx.HTTPError) as failure:
                error = ApiError(call, 0, type(failure.__cause__ or failure).__name__)
                if isinstance(failure, AuthExpiredError):
                    error = ApiError(call, 401, "the token expired")
            GITHUB_ERRORS.labels(code=code(error.status)).inc()
            again = what.method in ("GET", "DELETE") and (error.status in (0, 500, 502, 503, 504))
            if isinstance(error, RateLimited) and error.seconds <= PATIENCE and attempt < TRIES:
                continue
            if again and attempt < TRIES:
                await self._pause(min(8.0, 0.5 * 2**attempt) * (0.5 + random.random() / 2))  # noqa: S311 - jitter
            else:
                raise error
        raise AssertionError("unreachable")

    async def _turn(self, call: str, budget: Budget, paced: bool) -> None:
        """Wait until this request may be sent. Raises `RateLimited` where that takes long."""
        seconds = budget.wait(self._clock())
        if seconds > PATIENCE:
            raise RateLimited(call, 0, "GitHub asked to wait", seconds)
        if paced and self._write_seconds:
            seconds = max(seconds, budget.slot(self._clock(), self._write_seconds))
        if seconds:
            await self._pause(seconds)

    def _known(self, key: tuple[object, ...], kept: tuple[str, Any] | None, response: Any) -> Any:
        """The answer; the kept one where GitHub says that nothing changed, which does not count against the limit."""
        if response.status_code == 304 and kept is not None:
            return kept[1]
        if key in self._kept:
            self._kept_bytes -= len(self._kept.pop(key)[1].content)
        tag = response.headers.get("etag", "")
        if response.status_code == 200 and tag and len(response.content) <= LARGE:
            self._kept[key] = (tag, response)
            self._kept_bytes += len(response.content)
            while self._kept_bytes > KEPT:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._kept_bytes -= len(oldest.content)
        return response

    def _refused(self, call: str, response: httpx.Response, budget: Budget) -> ApiError:
        """What a refusal means."""
        try:
            message = str(json.loads(response.content).get("message", ""))[:300]
        except (ValueError, AttributeError):
            message = ""
        budget.told(response.headers)
        seconds = budget.refused(response.status_code, message, response.headers, self._clock())
        if seconds is not None:
            return RateLimited(call, response.status_code, message, seconds)
        return ApiError(call, response.status_code, message)


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

    async def answer(self, call: str, *, body: Any = None, **variables: Any) -> None:
        """One request whose answer is empty. Raises `ApiError`."""
        await self._answer(call, variables, None, body)

    async def _answer(self, call: str, variables: Mapping[str, Any], params: Mapping[str, Any] | None, body: Any) -> Any:
        """One request; a token that GitHub no longer takes is replaced once."""
        values = {"owner": self.owner, "repo": self.name, **variables}
        try:
            github = await self._api.as_installation(self.installation, self.name)
            return await self._api.response(github, call, values, params, body, self.installation)
        except ApiError as error:
            if error.status != 401:
                raise
        github = await self._api.as_installation(self.installation, self.name, fresh=True)
        return await self._api.response(github, call, values, params, body, self.installation)

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
