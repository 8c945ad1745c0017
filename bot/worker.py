"""Takes work under a lease, looks, retries with back-off, and gives up loudly. Also reads what the inbox stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
from collections.abc import Awaitable, Callable

import zstandard

from bot import due, logs
from bot.commands import look_at_comment
from bot.commands.buttons import look_at_button
from bot.github.client import ApiError, RateLimited
from bot.looks.branches import concerns, look_at_branch
from bot.looks.deployments import look_at_deployment
from bot.looks.forged import look_at_forged
from bot.looks.groups import look_at_group
from bot.looks.installations import look_at_installation, look_at_open_pulls, look_at_repository
from bot.looks.rules import look_at_rules
from bot.past import begin, begin_proposed, look_at_past, look_at_proposed
from bot.pipeline import NotNow, Tools, look_at_commit, look_at_pull, tell_failure
from bot.store import LostLease, Work
from bot.sweep import look_at_deliveries
from bot.traces import span
from bot.triggers import BadPayload, read, triggers
from bot.webhook import BODY

logger = logging.getLogger("interlock.worker")

LEASE = 15.0
"""Seconds a lease lasts without being renewed: a dead worker's work is taken over after that, and the few seconds until somebody looks."""
GRACE = 25.0
"""Seconds that what runs may still take when the server is told to stop; then it is given back."""
TRIES = 6
POISON = 12
"""Times that work was taken without coming to any end, not even an error: whoever took it died. It is given up then."""
GONE = frozenset({("token", 403), ("token", 404), ("token", 422), ("pull", 404), ("comment", 404), ("repository", 404)})
"""Refusals that say there is nothing to look at: the App is not installed there (any more), or the pull request never was."""
SURE = 3
"""Times such a refusal must come before it is believed."""


async def _pull(work: Work, tools: Tools) -> None:
    outcome = await look_at_pull(work, tools)
    number = int(work.payload["number"])
    tools.store.remember(f"closed/{work.repository}/{number}", outcome is None)
    if outcome is not None:
        begin(work, tools)
        if outcome.edits_policy:
            begin_proposed(work, tools, number, outcome.head)


async def _group(work: Work, tools: Tools) -> None:
    await look_at_group(work, tools)


KINDS: dict[str, Callable[[Work, Tools], Awaitable[None]]] = {
    "pull": _pull,
    "group": _group,
    "commit": look_at_commit,
    "comment": look_at_comment,
    "button": look_at_button,
    "branch": look_at_branch,
    "rules": look_at_rules,
    "deployment": look_at_deployment,
    "forged": look_at_forged,
    "repository": look_at_repository,
    "installation": look_at_installation,
    "reconcile": look_at_open_pulls,
    "sweep": look_at_deliveries,
    "past": look_at_past,
    "proposed": look_at_proposed,
}
"""What is done for each kind of work."""


class Workers:
    """The workers of this process."""

    def __init__(self, tools: Tools, count: int) -> None:
        self._tools = tools
        self._name = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self._turns = tools.store.turns(count)
        self._running: asyncio.Task[None] | None = None
        self._busy = 0

    def start(self) -> None:
        """Start reading deliveries and taking work."""
        self._running = asyncio.create_task(self._turns.run(self._read, self._look))

    def wake(self) -> None:
        """Something was stored."""
        self._turns.wake()

    async def stop(self, grace: float = GRACE) -> None:
        """Take nothing new, let what runs end, give the rest back so that another worker has it at once."""
        self._turns.stop()
        if self._running is None:
            return
        await asyncio.wait((self._running,), timeout=grace)
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    async def settled(self) -> None:
        """Wait until nothing is unread, waiting or being done. For the demo and tests; work that waits for its time counts."""
        while True:
            waiting = await asyncio.to_thread(self._tools.store.waiting)
            if not (waiting["unread"] or waiting["waiting"] or waiting["taken"] or self._busy):
                return
            await asyncio.sleep(0.02)

    async def _read(self) -> bool:
        try:
            return await asyncio.to_thread(self._read_some)
        except Exception:
            logger.exception("deliveries could not be read; trying again")
            await asyncio.sleep(1)
            return False

    def _read_some(self) -> bool:
        store = self._tools.store
        due.mark(store, self._tools.clock())
        deliveries = store.new_deliveries()
        for delivery in deliveries:
            try:
                body = zstandard.ZstdDecompressor().decompress(delivery.body, max_output_size=BODY)
                payload = read(body)
            except (BadPayload, zstandard.ZstdError) as error:
                logger.warning("delivery %s (%s) says nothing: %s", delivery.guid, delivery.event, error)
                store.read_delivery(delivery.guid, (), note=str(error)[:200])
                continue
            try:
                with logs.about(delivery=delivery.guid):
                    marks = tuple(mark for mark in triggers(delivery.event, payload, self._tools.api.app_id) if concerns(store, mark))
            except Exception:
                # One that is not understood stays noted, and never keeps the others from being read.
                logger.exception("delivery %s (%s) was not understood", delivery.guid, delivery.event)
                store.read_delivery(delivery.guid, (), note="not understood")
                continue
            store.read_delivery(delivery.guid, marks)
            logger.info("delivery %s (%s) asks for %s", delivery.guid, delivery.event, ", ".join(mark.key for mark in marks) or "nothing")
        return bool(deliveries)

    async def _look(self) -> bool:
        """Take one piece of work and do it; whether there was any."""
        try:
            work = await asyncio.to_thread(self._tools.store.take, self._name, LEASE)
        except Exception:
            logger.exception("no work could be taken; trying again")
            await asyncio.sleep(1)
            return False
        if work is None:
            return False
        self._busy += 1
        try:
            with logs.about(delivery=work.payload.get("delivery"), work=work.key), span("interlock.work", kind=work.kind):
                logger.info("%s is looked at (try %d)", work.key, work.attempts)
                await self._do(work)
        except Exception:
            # Not even its failure could be stored: the lease ends by itself, and somebody takes it then.
            logger.exception("%s was left to its lease", work.key)
            await asyncio.sleep(1)
        finally:
            self._busy -= 1
        return True

    async def _do(self, work: Work) -> None:
        store = self._tools.store
        if work.attempts > POISON:
            await asyncio.to_thread(store.retry, work, 0.0, "every worker that took this ended in the middle of it", True)
            return
        beat = asyncio.create_task(self._keep(work))
        try:
            await KINDS[work.kind](work, self._tools)
        except LostLease:
            logger.warning("%s was taken over by another worker", work.key)
        except NotNow as moved:
            logger.info("%s: %s", work.key, moved)
            await asyncio.to_thread(store.retry, work, 0.0 if work.attempts < TRIES else 5.0, str(moved))
        except RateLimited as limited:
            logger.warning("%s waits %.0f s: %s", work.key, limited.seconds, limited)
            await asyncio.to_thread(store.retry, work, limited.seconds + random.uniform(0, 5), str(limited), False, False)  # noqa: S311 - jitter
        except ApiError as error:
            if (error.call, error.status) in GONE and work.attempts < SURE:
                # GitHub says so for a moment too, of what it has only just made: believed when it says it again.
                await asyncio.to_thread(store.retry, work, 0.5 * work.attempts, str(error))
            elif (error.call, error.status) in GONE:
                logger.info("%s is gone, or the App may not see it any more: %s", work.key, error)
                await asyncio.to_thread(store.finish, work)
            else:
                await self._failed(work, error)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(store.retry, work, 0.0, "the server stopped", False, False))
            raise
        except Exception as error:  # noqa: BLE001 - `_failed` tells it, stores it and tries again
            await self._failed(work, error)
        else:
            await asyncio.to_thread(store.finish, work)
        finally:
            beat.cancel()

    async def _failed(self, work: Work, error: Exception) -> None:
        try:
            await asyncio.to_thread(self._tools.store.check, work)
        except LostLease:
            # Whoever has it now tells how it ends: this failure, of one that stood still for so long, is no news.
            logger.warning("%s was taken over by another worker (%s)", work.key, type(error).__name__)
            return
        dead = work.attempts >= TRIES
        logger.exception("%s failed (try %d of %d)", work.key, work.attempts, TRIES)
        delay = min(300.0, 0.5 * 4.0 ** (work.attempts - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        await asyncio.to_thread(self._tools.store.retry, work, delay, f"{type(error).__name__}: {error}", dead)
        if dead and work.kind == "pull":
            await tell_failure(
                work, self._tools, f"Six tries failed, the last with {type(error).__name__}. Comment `/interlock recheck` to try again."
            )

    async def _keep(self, work: Work) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            try:
                await asyncio.to_thread(self._tools.store.keep, work, LEASE)
            except LostLease:
                return
            except Exception:
                logger.exception("the lease of %s could not be renewed; trying again", work.key)
