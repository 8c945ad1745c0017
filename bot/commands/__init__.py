"""The comment commands: a table of usage, who may, examples and what is done. A comment is a command only when all of it is one."""

from __future__ import annotations

import datetime
import difflib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bot import codec
from bot.escape import code
from bot.github.client import ApiError, Repository
from bot.pipeline import Tools
from bot.store import Work
from bot.triggers import pull_mark

READ, WRITE = ("admin", "write", "read"), ("admin", "write")

_WORD = r'[a-z]{1,20}="[^"\n]{1,300}"|[^\s"]{1,200}'
_LINE = re.compile(rf"/interlock(?: +([a-z-]{{1,30}})((?: +(?:{_WORD})){{0,16}}))? *\n?\Z")
_WORDS = re.compile(_WORD)


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a command."""

    words: tuple[str, ...]
    number: int
    author: str
    repository: Repository
    work: Work
    tools: Tools
    when: float = 0.0
    """When the comment was made, as GitHub says."""
    through_app: bool = False
    """Whether an App wrote it in someone's name."""


@dataclass(frozen=True, slots=True)
class Command:
    """One comment command."""

    name: str
    usage: str
    does: str
    who: tuple[str, ...]
    """Permissions on the repository, as the API states them at that moment, of which one is needed."""
    examples: tuple[str, ...]
    run: Callable[[Call], Awaitable[str | None]]
    """Answers with Markdown, or with nothing where a reaction is enough."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a comment asks for: a command's name and words, or why it is none."""

    name: str
    words: tuple[str, ...]


def parse(body: str) -> Spoken | None:
    """The command that a comment is; None when it is none. Quotes, code blocks and anything after the first line make it none."""
    if len(body) > 1000 or not body.isascii():
        return None
    match = _LINE.match(body.replace("\r\n", "\n"))
    return Spoken(match[1] or "help", tuple(_WORDS.findall(match[2] or ""))) if match else None


async def _help(call: Call) -> str:
    rows = ["| command | what it does | who may |", "| --- | --- | --- |"]
    rows += [
        f"| {code(command.usage)} | {command.does} | {'anyone who can read' if command.who == READ else 'anyone who can write'} |"
        for command in COMMANDS
    ]
    return "\n".join(rows)


async def _recheck(call: Call) -> None:
    call.tools.store.mark(pull_mark(call.repository.full_name, call.work.installation, call.number))


async def _explain(call: Call) -> str:
    records = call.tools.store.records(call.repository.full_name, pull=call.number)
    if not records:
        return "Nothing has been recorded for this pull request yet."
    report = json.loads(records[0].report)
    if not call.words:
        rows = ["| term | points | because |", "| --- | ---: | --- |"]
        rows += [f"| {term['name']} | {term['points']} | {code(term['because'], 300)} |" for term in report["risk"]["terms"]]
        return "\n".join([*rows, f"| **score** | **{report['risk']['score']}** | {report['risk']['band']} |"])
    wanted = call.words[0]
    effect = next((one for one in report["effects"] if one["id"] == wanted), None)
    if effect is None:
        from bot.explain import page

        text = page(wanted)
        return (
            text
            if text
            else f"{code(wanted)} is neither an effect of this pull request nor a rule or safeguard. `/interlock help` shows what there is."
        )
    from bot.explain import page

    lines = [f"**{effect['rule']}** on {code(effect['subject'])}: {code(effect['message'], 600)}"]
    lines += [
        f"It needs {code(one['safeguard'])}: {one['status']}. {one['turns_green']}"
        for one in report["requirements"]
        if wanted in one["effects"]
    ]
    return "\n\n".join([*lines, page(effect["rule"]) or ""])


async def _agents(call: Call) -> str:
    from bot.agents import for_pull

    return await for_pull(call)


async def _override(call: Call) -> str:
    from bot.commands.overrides import override

    return await override(call)


async def _cancel(call: Call) -> str:
    from bot.commands.overrides import cancel

    return await cancel(call)


async def _simulate(call: Call) -> str:
    from bot.commands.overrides import simulate

    return await simulate(call)


COMMANDS: tuple[Command, ...] = (
    Command("help", "/interlock help", "lists what you can ask", READ, ("/interlock help",), _help),
    Command(
        "explain",
        "/interlock explain [EFFECT]",
        "shows the score as a sum, or one effect and its rule",
        READ,
        ("/interlock explain", "/interlock explain 0123456789abcdef"),
        _explain,
    ),
    Command("recheck", "/interlock recheck", "looks again at the present state", READ, ("/interlock recheck",), _recheck),
    Command("agents", "/interlock agents", "tells what each configured agent may decide alone", READ, ("/interlock agents",), _agents),
    Command(
        "simulate",
        "/interlock simulate SAFEGUARD…",
        "says what the gate would do if these were proven",
        READ,
        ("/interlock simulate plan-verified state-kept",),
        _simulate,
    ),
    Command(
        "override",
        '/interlock override EFFECT until=DAY reason="…"',
        "lets one effect of this head pass; only for those the policy names, never for one's own work",
        WRITE,
        ('/interlock override 0123456789abcdef until=2026-12-31 reason="the table was copied"',),
        _override,
    ),
    Command("cancel-override", "/interlock cancel-override", "ends every override here", WRITE, ("/interlock cancel-override",), _cancel),
)

BURST, PER = 6, 600.0
"""Commands one person may give on one pull request in that many seconds; more get no answer."""
FLOOD = 60
"""The same of everybody on one repository."""
TOLD = 20
"""Answers of a pull request that are remembered: the same question about the same state is answered once."""


async def look_at_comment(work: Work, tools: Tools) -> None:
    """Read a comment anew, and do what it asks if it is a command, unedited, by someone who may."""
    number = int(work.payload["number"])
    # Who the event named only bounds how much is asked of GitHub; who may is asked of GitHub itself.
    if work.attempts <= 1 and not within_bounds(tools, work.repository, str(number), str(work.payload.get("by") or "")):
        return
    repository = tools.api.installation(work.installation, work.repository)
    try:
        comment = await repository.ask("comment", comment=int(work.payload["comment"]))
    except ApiError as error:
        if error.status == 404:
            return
        raise
    if comment.get("updated_at") != comment.get("created_at") or (comment.get("user") or {}).get("type") == "Bot":
        return
    spoken = parse(str(comment.get("body") or ""))
    if spoken is None:
        return
    author = str((comment.get("user") or {}).get("login") or "")
    permission = str((await repository.ask("permission", user=author)).get("permission") or "none")
    command = next((one for one in COMMANDS if one.name == spoken.name), None)
    if permission not in (command.who if command else READ):
        await _react(repository, comment, "-1")
        return
    if command is None:
        close = difflib.get_close_matches(spoken.name, [one.name for one in COMMANDS], n=1)
        hint = f" Did you mean `/interlock {close[0]}`?" if close else ""
        await _react(repository, comment, "confused")
        await _answer(tools, repository, number, comment, f"There is no command {code(spoken.name)}.{hint} `/interlock help` lists them.")
        return
    await _react(repository, comment, "eyes")
    when = datetime.datetime.fromisoformat(str(comment["created_at"]).replace("Z", "+00:00")).timestamp()
    through_app = bool(comment.get("performed_via_github_app"))
    text = await command.run(Call(spoken.words, number, author, repository, work, tools, when, through_app))
    if text:
        await _answer(tools, repository, number, comment, text)


def within_bounds(tools: Tools, repository: str, where: str, author: str) -> bool:
    """Whether someone may ask for one more thing now; counts it."""
    now = tools.clock()
    fine = True
    for key, most in ((f"commands/{repository}/{where}/{author}", BURST), (f"commands/{repository}/all", FLOOD)):
        recent = [when for when in tools.store.fact(key) or [] if now - when < PER]
        fine = fine and len(recent) < most
        tools.store.remember(key, [*recent, now][-most - 1 :])
    return fine


async def _react(repository: Repository, comment: dict[str, Any], content: str) -> None:
    await repository.ask("reaction-create", comment=comment["id"], body={"content": content})


async def _answer(tools: Tools, repository: Repository, number: int, comment: dict[str, Any], text: str) -> None:
    """Answer once per comment, also when the work is repeated."""
    key = f"answered/{repository.full_name}/{comment['id']}"
    if tools.store.fact(key) is None:
        await answer_once(tools, repository, number, text)
        tools.store.remember(key, True)


async def answer_once(tools: Tools, repository: Repository, number: int, text: str) -> None:
    """Answer in the conversation, unless the same was said there not long ago: nothing has changed since."""
    from bot.render import cut

    key, told = f"told/{repository.full_name}/{number}", codec.digest(text)
    before = tools.store.fact(key) or []
    if told not in before:
        await repository.ask("comment-create", number=number, body={"body": cut(text, 60_000)})
        tools.store.remember(key, [told, *before][:TOLD])
