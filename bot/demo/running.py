"""The real server in a thread of this process, on a free port of this machine: for the demonstration and for tests."""

from __future__ import annotations

import asyncio
import socket
import threading

from bot.app import App
from bot.settings import Settings


class Running:
    """A server that runs until `stop`."""

    def __init__(self, settings: Settings, port: int = 0, looks: bool = True) -> None:
        import uvicorn

        from bot.door import door

        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.app = App(settings, looks)
        config = uvicorn.Config(
            self.app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5, http=door(self.app.webhook)
        )
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="interlock", daemon=True)
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the server did not start within 30 s")

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving

        asyncio.run(main())

    def settle(self, seconds: float = 60.0) -> None:
        """Wait until every delivery was read and all work is done. Raises `TimeoutError`."""
        assert self._loop is not None and self.app.workers is not None
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(self.app.workers.settled(), seconds), self._loop).result(seconds + 5)

    def stop(self) -> None:
        """Stop the server as a signal would: what runs ends, the rest is kept."""
        self._server.should_exit = True
        self._thread.join(60)
