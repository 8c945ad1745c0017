"""The composition root: builds the parts, lists the routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot import logs, metrics, traces
from bot.github.client import Api
from bot.inbox import Inbox
from bot.mirror.mirrors import Mirrors
from bot.pages.site import Site
from bot.pages.web import Headers
from bot.pipeline import Tools
from bot.rounds import Inner, Rounds
from bot.sandbox import Sandbox
from bot.settings import Settings
from bot.store import Store, open_store
from bot.webhook import Receive, Scope, Send, Webhook
from bot.worker import Workers

logger = logging.getLogger("interlock")


ROOM = 64 << 20
"""Bytes that must be left on the disk for deliveries to be taken."""
DOOR = 5
"""Seconds that a request may still take when the server is told to stop. With `worker.GRACE` this is less than what a supervisor waits."""


class App:
    """The server: a bare route for deliveries, Starlette for everything else. With `looks` it also looks at what is stored."""

    def __init__(self, settings: Settings, looks: bool = True) -> None:
        self.settings = settings
        self._looks = looks
        self.store: Store = open_store(settings.data, settings.database_url)
        self.tools: Tools | None = None
        self.workers: Workers | None = None
        self._rounds: Rounds | None = None
        self._inbox: Inbox | None = None
        self._api: Api | None = None
        self._sandbox: Sandbox | None = None
        self._webhook = Webhook((), None, settings.missing)
        self.site = Site(self)
        pages = Starlette(routes=self._routes(), lifespan=self._lifespan, exception_handlers=self.site.errors())
        self._pages = Headers(pages, lambda: self.settings.public_url.startswith("https://"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/webhook":
            await self._webhook(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    def webhook(self) -> Webhook:
        """What takes deliveries at the moment."""
        return self._webhook

    def _routes(self) -> list[Route]:
        return [Route("/healthz", self._alive), Route("/livez", self._alive), Route("/readyz", self._ready), *self.site.routes()]

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        if self.settings.credentials is None:
            logger.warning("no credentials: deliveries are refused until %s are set", ", ".join(self.settings.missing))
        else:
            self._begin()
        try:
            yield
        finally:
            await self._end()
            await self.site.guard.close()
            self.store.close()

    async def adopt(self, settings: Settings) -> None:
        """Work with other settings from now on: the setup page stored credentials."""
        await self._end()
        self.settings = settings
        self._begin()

    def _begin(self) -> None:
        settings = self.settings
        assert settings.credentials is not None
        self._api = Api(settings.credentials, settings.api_url, write_seconds=settings.write_seconds)
        self._sandbox = Sandbox(settings.workers) if self._looks else None
        self.tools = Tools(
            self._api,
            Mirrors(settings.data / "mirrors", settings.mirror_quota),
            self.store,
            settings.github_url,
            settings.public_url,
            sandbox=self._sandbox,
            past=settings.past,
        )
        if self._looks:
            self.workers = Workers(self.tools, settings.workers)
            self.workers.start()
            self._rounds = Rounds(self.tools, settings.retention)
            self._rounds.start()
        self._inbox = Inbox(self.store, self._stored)
        self._webhook = Webhook(settings.credentials.webhook_secrets, self._inbox)

    def _stored(self) -> None:
        if self.workers is not None:
            self.workers.wake()

    async def _end(self) -> None:
        self._webhook = Webhook((), None, ("a server that is not stopping",))
        if self._inbox is not None:
            self._inbox.close()
        if self._rounds is not None:
            await self._rounds.stop()
        if self.workers is not None:
            await self.workers.stop()
        if self._sandbox is not None:
            self._sandbox.close()
        if self._api is not None:
            await self._api.close()

    async def _alive(self, _: Request) -> Response:
        """The process turns."""
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        """Deliveries would be taken."""
        fine, text = await asyncio.to_thread(self.ready)
        return PlainTextResponse(text + "\n", 200 if fine else 503)

    def ready(self) -> tuple[bool, str]:
        """Whether deliveries would be taken, and why not: the credentials stand, the database takes a write, the disk has room."""
        if self.settings.credentials is None:
            return False, "not ready: set " + ", ".join(self.settings.missing)
        if self._inbox is None and self.workers is None:
            return False, "not ready: starting"
        try:
            self.store.remember("ready", True)
            waiting = self.store.waiting()
        except Exception as error:  # noqa: BLE001 - whatever it is, deliveries would not be stored
            return False, f"not ready: the database takes no write ({type(error).__name__})"
        free = shutil.disk_usage(self.settings.data).free
        if free < ROOM:
            return False, f"not ready: {free >> 20} MiB are left on the disk of {self.settings.data}"
        return True, f"ready: {waiting['waiting']:.0f} waiting, {waiting['taken']:.0f} taken, {waiting['dead']:.0f} dead"

    async def look(self, stop: asyncio.Event) -> None:
        """Look at what other processes store, without a door of its own, until `stop`."""
        self._begin()
        try:
            await stop.wait()
        finally:
            await self._end()
            self.store.close()


def work(settings: Settings) -> None:
    """Run workers alone until this process is told to stop."""
    logs.configure(settings.log)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        app = App(settings)
        print(f"interlock: {settings.workers} workers on {app.store.place}", file=sys.stderr, flush=True)
        with _seen_from_outside(app):
            await app.look(stop)

    asyncio.run(main())


@contextlib.contextmanager
def _seen_from_outside(app: App) -> Iterator[None]:
    """Logs, traces and the inner door, as the settings say. Raises `NoTraces`."""
    settings = app.settings
    if settings.traces:
        traces.configure(settings.traces)
    metrics.observe_queue(app.store.waiting)
    inner = None
    if settings.metrics:
        try:
            inner = Inner(settings.metrics, app.ready)
        except OSError as error:
            logger.error("no metrics: %s cannot be listened on (%s); set INTERLOCK_METRICS", settings.metrics, error.strerror)
    try:
        yield
    finally:
        if inner is not None:
            inner.close()


def serve(settings: Settings, host: str, port: int, looks: bool = True) -> None:
    """Run the server until it is told to stop; without `looks`, its door and its pages only."""
    import uvicorn

    from bot.door import door

    logs.configure(settings.log)
    app = App(settings, looks)
    invitation = app.site.setup.invite()
    if invitation:
        print(
            f"interlock: set it up at {settings.public_url or f'http://{host}:{port}'}{invitation} (works once)",
            file=sys.stderr,
            flush=True,
        )
    with _seen_from_outside(app):
        uvicorn.run(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DOOR,
            http=door(app.webhook),
        )
