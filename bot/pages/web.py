"""What every page shares: a page as a value, its HTML and JSON, the headers, and the refusals."""

from __future__ import annotations

import datetime
import hashlib
import importlib.resources
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import jinja2
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.escape import visible
from bot.pages import charts
from bot.pages.markdown import as_html, inline
from bot.pipeline import Tools
from bot.settings import Settings
from bot.store import Store
from checks.reach.picture import STYLE

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{more}; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
LIMIT = 4000
"""Characters of one value that a page shows."""


class Guarding(Protocol):
    """Knows who looks."""

    def visitor(self, request: Request) -> Visitor | None:
        """Who is signed in, None for nobody."""


class House(Protocol):
    """What the pages need of the server."""

    settings: Settings
    store: Store
    tools: Tools | None

    async def adopt(self, settings: Settings) -> None:
        """Work with other settings from now on."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a template and what it shows. The same values are the page's JSON."""

    template: str
    title: str
    data: dict[str, Any]
    status: int = 200
    form_action: str = ""
    """Another origin that a form of this page may be sent to."""
    unlisted: frozenset[str] = field(default=frozenset())
    """Keys of `data` that only the HTML shows."""


class Missing(Exception):
    """There is no such page, or not for this visitor: the two are told alike."""


class SignInFirst(Exception):
    """Only someone who is signed in may know whether there is such a page."""


class Refused(Exception):
    """The request is wrong: a sentence that says how."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class Go(Exception):
    """Nothing to show here: go there. `cookies` are set on the way."""

    def __init__(self, to: str, cookies: tuple[str, ...] = ()) -> None:
        super().__init__(to)
        self.to, self.cookies = to, cookies


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks."""

    login: str
    id: int
    session: str = field(repr=False)
    token: str = field(repr=False)

    @property
    def csrf(self) -> str:
        """What a form of this session must carry."""
        return csrf_of(self.session)


def csrf_of(session: str) -> str:
    """The token that a form of a session must carry."""
    return hashlib.sha256(b"csrf:" + session.encode()).hexdigest()


Build = Callable[[Request], Awaitable[Page]]


def wants_json(request: Request) -> bool:
    """Whether the answer is to be JSON: asked for by `.json`, or preferred in Accept."""
    if request.scope.get("interlock.json"):
        return True
    for item in request.headers.get("accept", "").split(","):
        kind = item.partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml", "*/*"):
            return False
        if kind == "application/json":
            return True
    return False


def endpoint(build: Build) -> Callable[[Request], Awaitable[Response]]:
    """A page's function as a route."""

    async def answer(request: Request) -> Response:
        try:
            page = await build(request)
        except Go as go:
            response: Response = RedirectResponse(go.to, 303)
            for cookie in go.cookies:
                response.headers.append("set-cookie", cookie)
            return response
        except Missing:
            page = missing()
        except SignInFirst:
            page = sign_in_first(request)
        except Refused as refused:
            page = Page("message.html", "This cannot be done", {"error": str(refused)}, refused.status)
        # Deliveries are taken on the same loop: a large page is written beside it.
        response = await run_in_threadpool(respond, request, page)
        for cookie in getattr(request.state, "cookies", ()):
            response.headers.append("set-cookie", cookie)
        return response

    return answer


def missing() -> Page:
    """The one answer for what does not exist and for what is not this visitor's."""
    return Page("missing.html", "Not found", {"error": "There is no such page, or you cannot read its repository on GitHub."}, 404)


def sign_in_first(request: Request) -> Page:
    """Asks for a sign-in, whether or not there is such a page."""
    return Page(
        "sign_in.html",
        "Sign in",
        {"error": "Sign in with GitHub to see pages of repositories.", "next": request.scope.get("interlock.path", request.url.path)},
        401,
        unlisted=frozenset({"next"}),
    )


def respond(request: Request, page: Page) -> Response:
    """A page as the visitor wants it."""
    headers = {"vary": "accept, cookie", "cache-control": "no-store"}
    if page.form_action:
        headers["content-security-policy"] = POLICY.format(more=" " + page.form_action)
    if wants_json(request):
        return JSONResponse({key: value for key, value in page.data.items() if key not in page.unlisted}, page.status, headers)
    context = {
        **page.data,
        "page": page,
        "visitor": getattr(request.state, "visitor", None),
        "path": request.scope.get("interlock.path", request.url.path),
        "can_sign_in": getattr(request.state, "can_sign_in", False),
        "json_path": json_path(request.scope.get("interlock.path", request.url.path)),
    }
    text = templates().get_template(page.template).render(context)
    return Response(text, page.status, headers, "text/html")


def json_path(path: str) -> str:
    """Where the JSON of a page is."""
    return (path.rstrip("/") or "/index") + ".json"


def origin(request: Request, settings: Settings) -> str:
    """The address people reach this server at."""
    return settings.public_url or f"{request.url.scheme}://{request.url.netloc}"


def inside(path: str) -> str:
    """A path of this server to go back to; `/` for everything else."""
    return path if re.match(r"/(?![/\\])[^\x00-\x20\\]*\Z", path) and len(path) < 1000 else "/"


async def form(request: Request, settings: Settings, session: str) -> dict[str, str]:
    """The fields of a form of this session. Raises `Refused` where it did not come from our own page."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > 64 << 10:
            raise Refused("The form is too large.", 413)
    sent_from = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    hosts = {urlsplit(origin(request, settings)).netloc, request.url.netloc}
    if site not in ("same-origin", "none") or (sent_from and sent_from != "null" and urlsplit(sent_from).netloc not in hosts):
        raise Refused("The form came from another site.", 403)
    from urllib.parse import parse_qsl

    try:
        fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise Refused("The form cannot be read.") from None
    import hmac

    if not hmac.compare_digest(fields.get("csrf", "").encode(), csrf_of(session).encode()):
        raise Refused("The form is too old: go back, load the page again and repeat.", 403)
    return fields


class Headers:
    """Adds to every answer what keeps a browser from doing anything with it but show it; also tells `.json` from the path."""

    def __init__(self, app: ASGIApp, secure: Callable[[], bool]) -> None:
        self._app, self._secure = app, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        scope["interlock.path"] = path
        if path.endswith(".json") and path != "/openapi.json":
            path = path.removesuffix(".json")
            scope = {**scope, "path": "/" if path == "/index" else path, "interlock.json": True, "interlock.path": path}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((name, value) for name, value in self._headers() if name not in present)]
            await send(message)

        await self._app(scope, receive, sent)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-security-policy", POLICY.format(more="").encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
            (b"x-frame-options", b"DENY"),
        ]
        if self._secure():
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        return headers


# Templates


def _shown(value: object) -> object:
    """Every value a template prints: text from outside with nothing invisible in it."""
    if value is None:
        return ""
    return value if isinstance(value, Markup | jinja2.Undefined) else visible(str(value), LIMIT)


def moment(seconds: float) -> Markup:
    """A time for people and machines."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return Markup('<time datetime="{}">{}</time>').format(when.strftime("%Y-%m-%dT%H:%M:%SZ"), when.strftime("%-d %b %Y, %H:%M UTC"))


def block(text: str) -> Markup:
    """Text of several lines, each made visible."""
    lines = str(text)[:60_000].split("\n")
    return Markup("\n").join(escape(visible(line, LIMIT)) for line in lines)


def breakable(text: object, limit: int = 300) -> Markup:
    """A long name that may break after a slash, dot, colon or underscore."""
    shown = str(escape(visible(str(text), limit)))
    return Markup(re.sub(r"(/|\.|::?|_|-(?=\w))(?=\w)", r"\1<wbr>", shown))  # noqa: S704 - escaped above, only <wbr> is added


def place(url: str, repository: str, sha: str, path: str, line: int | None) -> str:
    """The address of a line on GitHub."""
    return f"{url}/{quote(repository)}/blob/{quote(sha)}/{quote(path.encode('utf-8', 'surrogateescape'))}" + (f"#L{line}" if line else "")


def link(url: object) -> str:
    """An address that may stand in a link: only http and https."""
    text = str(url or "")
    return text if urlsplit(text).scheme in ("http", "https") else ""


def percent(value: float) -> str:
    """A share in whole per cent, where it is not nothing."""
    return f"{value * 100:.0f} %"


@cache
def templates() -> jinja2.Environment:
    """The templates, with everything they may use."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bot.pages", "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = Markup.escape
    environment.filters |= {
        "moment": moment,
        "block": block,
        "breakable": breakable,
        "markdown": as_html,
        "inline": inline,
        "safe_link": link,
        "percent": percent,
    }
    environment.globals |= {"asset": asset_path, "place": place, "charts": charts, "rule_path": rule_path}
    return environment


def rule_path(rule: str) -> str:
    """Where a rule's page is."""
    return "/rules/" + quote(rule)


ASSETS = {"interlock.css": "text/css", "icon.svg": "image/svg+xml"}


@cache
def asset(name: str) -> bytes:
    """One of our own static files; the style sheet also has the style of the picture, which the pages' policy allows nowhere else."""
    content = importlib.resources.files("bot.pages").joinpath("static", name).read_bytes()
    return content + STYLE.encode() if name == "interlock.css" else content


@cache
def asset_path(name: str) -> str:
    """The address of a static file, which changes with its content."""
    return f"/static/{name}?v={hashlib.sha256(asset(name)).hexdigest()[:12]}"


async def static(request: Request) -> Response:
    """One of our own static files."""
    name = request.path_params["name"]
    if name not in ASSETS:
        return respond(request, missing())
    return Response(asset(name), media_type=ASSETS[name], headers={"cache-control": "public, max-age=86400"})


def plain(value: Any) -> Any:
    """A value as plain JSON values."""
    return json.loads(json.dumps(value, default=str))
