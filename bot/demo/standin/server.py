"""The HTTP side: one Starlette application over the table of routes, served by uvicorn on a thread."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from bot.demo.standin import auth, faults, smart_http, versions
from bot.demo.standin.areas import ROUTES
from bot.demo.standin.state import Installation, Token, World
from bot.demo.standin.wire import Actor, Answer, Call, Refusal, Route, not_found

PREFIX = "/api/v3"
LIMIT, HOUR = 5000, 3600
_TABLE: tuple[tuple[str, re.Pattern[str], Route], ...] = tuple((route.method, route.compile(), route) for route in ROUTES)

OBSERVERS: list[Callable[[Exchange], None]] = []
"""Functions that are shown every exchange of every stand-in of this interpreter, on the thread that answers it."""


@dataclass(frozen=True)
class Exchange:
    """One call and what was answered, as they were on the wire."""

    method: str
    path: str
    query: str
    request: Any
    status: int
    response: Any
    response_headers: Mapping[str, str]
    caller: str
    fault: str | None = None


class Front:
    """Finds the route, admits the caller, answers, and writes the exchange down."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: list[faults.Fault] = []
        self.requests: list[Exchange] = []
        self._earlier: dict[str, list[Answer]] = {}

    def application(self) -> Starlette:
        """The ASGI application."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(routes=[Path("/{path:path}", self._receive, methods=methods)])

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        path = request.url.path
        if smart_http.PATH.fullmatch(path):
            answer = await run_in_threadpool(smart_http.answer, self.world, request.method, path, request.url.query, request.headers, body)
            return _response(answer, {})
        fault = self._fault(request.method, path.removeprefix(PREFIX))
        if fault and fault.kind == "timeout":
            if fault.done:
                await run_in_threadpool(self._exchange, request.method, path, request.url.query, request.headers, body, None)
            while (await request.receive())["type"] != "http.disconnect":
                continue
            return Response(status_code=504)
        return await run_in_threadpool(self._exchange, request.method, path, request.url.query, request.headers, body, fault)

    def _fault(self, method: str, path: str) -> faults.Fault | None:
        with self.world.lock:
            return next((fault for fault in self.faults if fault.strikes(method, path)), None)

    def _exchange(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, fault: faults.Fault | None
    ) -> Response:
        path = path.removeprefix(PREFIX)
        with self.world.lock:
            call = Call(self.world, method, path, dict(parse_qsl(query, keep_blank_values=True)), None, headers)
            address = f"{path}?{query}"
            answer = self._answer(call, body, fault, address)
            sent, extra = _condition(answer, method, headers)
            extra |= _limits(self.world, call.actor.token, sent.status)
            if fault is None:
                self._remember(method, address, answer)
            done = Exchange(
                method,
                path,
                query,
                call.body,
                sent.status,
                sent.body,
                {**extra, **sent.headers},
                _name(call.actor),
                fault.kind if fault else None,
            )
            self.requests.append(done)
        for observe in OBSERVERS:
            observe(done)
        return _response(sent, extra)

    def _answer(self, call: Call, body: bytes, fault: faults.Fault | None, address: str) -> Answer:
        if fault and fault.kind in faults.ANSWERS:
            if fault.done:
                self._work(call, body)
            return faults.ANSWERS[fault.kind]
        answer = self._work(call, body)
        if fault and fault.kind == "cut-page":
            return faults.cut_page(answer)
        if fault and fault.kind == "cut-body":
            return faults.cut_body(answer)
        if fault and fault.kind == "stale":
            earlier = self._earlier.get(address)
            return earlier[-1] if earlier else answer
        return answer

    def _remember(self, method: str, address: str, answer: Answer) -> None:
        if method == "GET" and answer.status == 200:
            self._earlier.setdefault(address, []).append(answer)

    def _work(self, call: Call, body: bytes) -> Answer:
        try:
            version = call.headers.get("x-github-api-version", versions.OLDER)
            if version not in versions.KNOWN:
                raise Refusal(400, f"Version {version} of the API is not supported")
            if not call.path.startswith("/_blobs/"):
                call.actor = auth.caller(self.world, call.headers)
            if call.actor.token and _counter(self.world, call.actor.token).used >= LIMIT:
                raise Refusal(403, "API rate limit exceeded for this caller.")
            route, call.params = _route(call.method, call.path)
            call.body = _parse(call.headers, body)
            if "owner" in call.params:
                call.found = self.world.repository(f"{call.params['owner']}/{call.params['repo']}")
                if call.found is None:
                    raise not_found()
            auth.admit(self.world, call.actor, route, call.found)
            answer = route.answer(call)
            return Answer(answer.status, versions.as_of(version, answer.body), answer.headers)
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body, refusal.headers)


def _route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    for known, pattern, route in _TABLE:
        if known == method and (match := pattern.fullmatch(path)):
            return route, match.groupdict()
    raise not_found()


def _parse(headers: Mapping[str, str], body: bytes) -> Any:
    if not body:
        return None
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode()))
    try:
        return json.loads(body)
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None


def _condition(answer: Answer, method: str, headers: Mapping[str, str]) -> tuple[Answer, dict[str, str]]:
    if method != "GET" or answer.status != 200 or isinstance(answer.body, bytes):
        return answer, {}
    tag = 'W/"' + hashlib.sha256(json.dumps(answer.body, sort_keys=True).encode()).hexdigest() + '"'
    extra = {"ETag": tag, "Cache-Control": "private, max-age=60, s-maxage=60"}
    if headers.get("if-none-match", "").removeprefix("W/") == tag.removeprefix("W/"):
        return Answer(304, None, answer.headers), extra
    return answer, extra


def _counter(world: World, token: Token) -> Token | Installation:
    """Who the requests of a token are counted for: all tokens of an installation share its hour."""
    counter = token.installation or token
    if world.now() - counter.window >= HOUR:
        counter.window, counter.used = world.now(), 0
    return counter


def _limits(world: World, token: Token | None, status: int) -> dict[str, str]:
    used, reset = 0, int(world.now()) + HOUR
    if token is not None:
        counter = _counter(world, token)
        counter.used += status != 304
        used, reset = counter.used, int(counter.window) + HOUR
    headers = {"Limit": LIMIT, "Remaining": max(LIMIT - used, 0), "Used": used, "Reset": reset}
    return {f"X-RateLimit-{name}": str(value) for name, value in headers.items()} | {
        "X-RateLimit-Resource": "core",
        "X-GitHub-Media-Type": "github.v3",
    }


def _name(actor: Actor) -> str:
    if actor.app:
        return f"app {actor.app.slug}"
    if actor.installation:
        return f"installation {actor.installation.id} of {actor.installation.app.slug}"
    return f"user {actor.user.login}" if actor.user else "nobody"


def _response(answer: Answer, extra: Mapping[str, str]) -> Response:
    headers = {**extra, **answer.headers}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers)
    headers.setdefault("Content-Type", "application/json; charset=utf-8")
    return Response(json.dumps(answer.body, ensure_ascii=False).encode(), answer.status, headers)


class _Server(uvicorn.Server):
    """uvicorn that ends when it is told to, not at the next tenth of a second: tests end one after the other."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._wake: Callable[[], object] = lambda: None

    async def main_loop(self) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(ended.set)
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 1)

    def end(self) -> None:
        """Told from another thread."""
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # It has ended already.
            self._wake()


class Listener:
    """uvicorn on a thread. The port is taken before it starts, so that a caller can connect at once."""

    def __init__(self, application: Starlette, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            loop="asyncio",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="stand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the server and give the port back."""
        self._server.end()
        self._thread.join(10)
        self._socket.close()
