"""The composition root: builds the parts, lists the routes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.github.client import Api
from bot.inbox import Inbox
from bot.mirror.mirrors import Mirrors
from bot.pipeline import Tools
from bot.settings import Settings
from bot.store import Store
from bot.webhook import Receive, Scope, Send, Webhook
from bot.worker import Workers

logger = logging.getLogger("interlock")


class App:
    """The server: a bare route for deliveries, Starlette for everything else."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.data / "interlock.db")
        self.tools: Tools | None = None
        self.workers: Workers | None = None
        self._inbox: Inbox | None = None
        self._webhook = Webhook((), None, settings.missing)
        self._pages = Starlette(routes=self._routes(), lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/webhook":
            await self._webhook(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    def _routes(self) -> list[Route]:
        return [Route("/healthz", self._alive), Route("/livez", self._alive), Route("/readyz", self._ready), Route("/", self._front)]

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        settings = self.settings
        if settings.credentials is None:
            logger.warning("no credentials: deliveries are refused until %s are set", ", ".join(settings.missing))
            yield
            self.store.close()
            return
        api = Api(settings.credentials, settings.api_url)
        self.tools = Tools(
            api, Mirrors(settings.data / "mirrors", settings.mirror_quota), self.store, settings.github_url, settings.public_url
        )
        self.workers = Workers(self.tools, settings.workers)
        self._inbox = Inbox(self.store, self.workers.wake)
        self._webhook = Webhook(settings.credentials.webhook_secrets, self._inbox)
        self.workers.start()
        try:
            yield
        finally:
            self._webhook = Webhook((), None, ("a server that is not stopping",))
            self._inbox.close()
            await self.workers.stop()
            await api.close()
            self.store.close()

    async def _alive(self, _: Request) -> Response:
        """The process turns."""
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        """Deliveries would be taken."""
        if self.settings.credentials is None:
            return PlainTextResponse("not ready: set " + ", ".join(self.settings.missing) + "\n", 503)
        if self.workers is None:
            return PlainTextResponse("not ready: starting\n", 503)
        waiting = self.store.waiting()
        return PlainTextResponse(f"ready: {waiting['waiting']:.0f} waiting, {waiting['taken']:.0f} taken, {waiting['dead']:.0f} dead\n")

    async def _front(self, _: Request) -> Response:
        return PlainTextResponse("Interlock: stops dangerous pull requests until automatic safeguards are proven.\n")


def serve(settings: Settings, host: str, port: int) -> None:
    """Run the server until it is told to stop."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvicorn.run(
        App(settings),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
        h11_max_incomplete_event_size=64 << 10,
    )
