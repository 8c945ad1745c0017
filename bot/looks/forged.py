"""A check run under the gate's name that another App made: counted, told, and the pull request looked at again by its own evidence."""

from __future__ import annotations

import logging

from bot.metrics import GATE_FORGED
from bot.pipeline import Tools
from bot.store import Work

logger = logging.getLogger("interlock.forged")


async def look_at_forged(work: Work, tools: Tools) -> None:
    """Count it once a commit and App, and say so."""
    key = f"forged/{work.key}"
    if tools.store.fact(key) is None:
        tools.store.remember(key, tools.clock())
        GATE_FORGED.inc()
        logger.warning("%s: another App made a check under the gate's name on %s", work.repository, work.payload["sha"])
