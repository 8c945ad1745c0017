"""The rules of a repository's branches changed: whether the gate is still forced is read anew, and where that changed, said everywhere."""

from __future__ import annotations

import logging
from dataclasses import asdict

from bot import codec
from bot.evidence.rules import branch_rules
from bot.github.client import ApiError
from bot.looks.branches import mark_all
from bot.pipeline import Tools, gate_sentence
from bot.publish import gate_name
from bot.store import Work

logger = logging.getLogger("interlock.rules")


async def look_at_rules(work: Work, tools: Tools) -> None:
    """Read the rules of every branch that pull requests go to; where they changed, its open pull requests are decided anew."""
    store = tools.store
    repository = tools.api.installation(work.installation, work.repository)
    for name in store.facts(f"bases/{work.repository}/"):
        branch = name.removeprefix(f"bases/{work.repository}/")
        try:
            rules = await branch_rules(repository, branch)
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        sentence = gate_sentence(rules, gate_name(branch), tools.api.app_id)
        told, key = codec.digest(codec.canonical(asdict(rules))), f"rules/{work.repository}/{branch}"
        kept = store.fact(key) or {}
        if kept.get("digest") == told:
            continue
        store.remember(key, {"digest": told, "sentence": sentence, "at": tools.clock()})
        logger.warning("%s %s: the rules changed. %s", work.repository, branch, sentence)
        open_ones = await repository.every("pulls", params={"state": "open", "base": branch})
        mark_all(store, work.repository, work.installation, [int(answer["number"]) for answer in open_ones])
