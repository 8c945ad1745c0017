"""The buttons of a check run: they do what the commands of their names do, for whoever may, on every open pull request with that head."""

from __future__ import annotations

import json
from dataclasses import replace

from bot.commands import COMMANDS, Call, answer_once, within_bounds
from bot.github.client import ApiError
from bot.looks.seen import present_head, pulls_of
from bot.pipeline import Tools, look_at_commit
from bot.store import Work


async def look_at_button(work: Work, tools: Tools) -> None:
    """Do what a button asks for."""
    sha, pressed, by = (str(work.payload[name]) for name in ("sha", "pressed", "by"))
    repository = tools.api.installation(work.installation, work.repository)
    command = next((one for one in COMMANDS if one.name == pressed), None)
    if command is None or not by or not within_bounds(tools, work.repository, sha, by):
        return
    try:
        permission = str((await repository.ask("permission", user=by)).get("permission") or "none")
    except ApiError as error:
        if error.status != 404:
            raise
        return
    if permission not in command.who:
        return
    if pressed == "recheck":
        await look_at_commit(replace(work, payload={"sha": sha, "ask": True}), tools)
        return
    for number in pulls_of(tools.store, work.repository, sha):
        if present_head(tools.store, work.repository, number) != sha:
            continue
        words = _unmet(tools, work.repository, number) if pressed == "simulate" else ()
        if pressed == "simulate" and not words:
            continue
        text = await command.run(Call(words, number, by, repository, work, tools))
        if text:
            await answer_once(tools, repository, number, text)


def _unmet(tools: Tools, repository: str, number: int) -> tuple[str, ...]:
    """The safeguards that the newest verdict misses: what would happen if they were proven is the question worth a button."""
    records = tools.store.records(repository, pull=number)
    return tuple(json.loads(records[0].report)["verdict"]["unmet"]) if records else ()
