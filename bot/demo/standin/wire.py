"""One call and its answer: what every area of the API shares. Routes are a table of `Route`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bot.demo.standin.state import App, Installation, Repository, Token, User, World

DOCUMENTATION = "https://docs.github.com/rest"


class Refusal(Exception):
    """GitHub says no: a status and the body it sends."""

    def __init__(self, status: int, message: str, *, errors: Sequence[Any] | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"message": message}
        if errors is not None:
            self.body["errors"] = list(errors)
        self.body |= {"documentation_url": DOCUMENTATION, "status": str(status)}


def not_found() -> Refusal:
    """What GitHub says of everything the caller must not know about."""
    return Refusal(404, "Not Found")


def invalid(resource: str, name: str, code: str = "invalid", message: str | None = None) -> Refusal:
    """A 422 that names the field."""
    error = {"resource": resource, "field": name, "code": code}
    if message:
        error["message"] = message
    return Refusal(422, "Validation Failed", errors=[error])


@dataclass(frozen=True)
class Answer:
    """What is sent back. `body` None sends none, bytes are sent as they are, everything else as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Actor:
    """Who calls: nobody, an App by its JWT, an installation, or a user."""

    app: App | None = None
    token: Token | None = None

    @property
    def installation(self) -> Installation | None:
        """The installation whose token came, if one did."""
        return self.token.installation if self.token else None

    @property
    def user(self) -> User | None:
        """The account that a change is attributed to."""
        if self.token is None:
            return None
        return self.token.installation.app.bot if self.token.installation else self.token.user


@dataclass
class Call:
    """One request, after routing and after the caller is known."""

    world: World
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: Mapping[str, str]
    actor: Actor = field(default_factory=Actor)
    params: dict[str, str] = field(default_factory=dict)
    found: Repository | None = None

    @property
    def repository(self) -> Repository:
        """The repository the path names; only on routes that name one."""
        if self.found is None:
            raise not_found()
        return self.found

    @property
    def user(self) -> User:
        """The account that acts; only on routes that need one."""
        user = self.actor.user
        if user is None:
            raise Refusal(401, "Requires authentication")
        return user

    @property
    def fields(self) -> dict[str, Any]:
        """The body as an object."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise Refusal(422, "Invalid request.\n\nFor 'links/0/schema', the body is not an object.")
        return self.body

    def number(self, name: str) -> int:
        """A number of the path."""
        return int(self.params[name])

    def page(self, items: Sequence[Any], draw: Callable[[Any], Any], key: str | None = None) -> Answer:
        """One page of a list, with the Link header that leads to the others. With a `key`, wrapped in an object with `total_count`."""
        size = min(max(_whole(self.query.get("per_page"), 30), 1), 100)
        page = max(_whole(self.query.get("page"), 1), 1)
        last = max((len(items) + size - 1) // size, 1)
        drawn = [draw(item) for item in items[(page - 1) * size : page * size]]
        body: Any = drawn if key is None else {"total_count": len(items), key: drawn}
        pages = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        wanted = [name for name in pages if (page > 1 if name in ("prev", "first") else page < last)]
        links = [f'<{self.world.url}{self.path}?{urlencode({**self.query, "page": pages[name]})}>; rel="{name}"' for name in wanted]
        return Answer(200, body, {"Link": ", ".join(links)} if links else {})


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A line of the table: what is asked for, who may ask, and the function that answers.

    `needs` lists permissions of which one suffices (`checks:write`); `by` is who may call: `app` (JWT), `installation`, `any`, `nobody` (no login at all).
    A `{name}` matches one part of the path, `{name+}` several.
    """

    method: str
    pattern: str
    answer: Handler
    needs: tuple[str, ...] = ()
    by: str = "any"

    def compile(self) -> re.Pattern[str]:
        """The pattern as a regular expression. Names that end in `_id` or `number` match digits only."""

        def part(match: re.Match[str]) -> str:
            name = match[1]
            if name.endswith("+"):
                return f"(?P<{name[:-1]}>.+)"
            return f"(?P<{name}>[0-9]+)" if name.endswith(("_id", "number")) else f"(?P<{name}>[^/]+)"

        return re.compile(re.sub(r"\{(\w+\+?)\}", part, self.pattern))
