"""Letting an effect pass: by whom the policy names, never by those who made the change; and trying out what a safeguard would do."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot import codec
from bot.escape import code
from bot.evidence.overrides import key_of
from bot.github.client import ApiError, Repository
from bot.records import Inputs
from bot.triggers import pull_mark
from checks.assess import NEVER_OVERRIDDEN, decide
from checks.model import Proof, State, Status
from checks.policy import Policy
from checks.safeguards.defaults import NAMES

if TYPE_CHECKING:
    from bot.commands import Call

DAYS = 30
"""The longest that an override may last."""
COMMITS = 250
"""GitHub lists no more commits of a pull request: docs.github.com/rest/pulls/pulls."""
_EFFECT = re.compile(r"[0-9a-f]{16}")


async def override(call: Call) -> str:
    """Let one effect of the present head pass until a day."""
    asked = _asked(call.words, datetime.datetime.fromtimestamp(call.tools.clock(), datetime.UTC))
    if isinstance(asked, str):
        return asked
    if call.through_app:
        return "An App wrote this in your name. Write it yourself."
    effect_id, until, reason = asked
    inputs = _inputs(call)
    pull = await call.repository.ask("pull", number=call.number)
    head = str(pull["head"]["sha"])
    if inputs is None or inputs.head != head:
        return "The present head has not been judged yet. Wait for its verdict, then ask again."
    shown = call.tools.store.records(call.repository.full_name, pull=call.number, head=head)[-1].made
    if call.when + 1 < shown:
        return "A newer head was pushed meanwhile. Look at its verdict, then ask again."
    effect = next((one for one in inputs.assessment.effects if one.id == effect_id), None)
    if effect is None:
        return f"{code(effect_id)} is no effect of the present head."
    if effect.hazard in NEVER_OVERRIDDEN:
        return f"{code(effect.rule)} is never overridden: it changes what decides, or what an agent may do."
    under = await authority(call.repository, call.author, inputs.policy)
    if under is None:
        return "The policy does not name you under `overrides`."
    why = await _own_work(call.repository, call.author, pull, inputs)
    if why:
        return f"Not by you: {why}."
    kept = call.tools.store.fact(key_of(call.repository.full_name, call.number)) or []
    one = {"effect": effect_id, "head": head, "until": until.isoformat(), "reason": reason, "by": call.author, "under": under}
    same_head = [other for other in kept if other["head"] == head and other["effect"] != effect_id]
    call.tools.store.remember(key_of(call.repository.full_name, call.number), [*same_head, one])
    _look_again(call)
    return f"{code(effect_id)} ({code(effect.rule)}) passes until {until:%Y-%m-%d} or the next push, overridden by {code(call.author)}: {code(reason)}"


async def cancel(call: Call) -> str:
    """End every override of the pull request."""
    kept = call.tools.store.fact(key_of(call.repository.full_name, call.number)) or []
    call.tools.store.remember(key_of(call.repository.full_name, call.number), [])
    _look_again(call)
    return f"{len(kept)} override{'' if len(kept) == 1 else 's'} ended." if kept else "There is no override here."


async def simulate(call: Call) -> str:
    """What the gate would say if some safeguards were proven. Changes nothing."""
    wrong = [word for word in call.words if word not in NAMES]
    if wrong or not call.words:
        return f"{code(wrong[0]) + ' is no safeguard. ' if wrong else ''}There are {', '.join(code(name) for name in NAMES)}."
    inputs = _inputs(call)
    if inputs is None:
        return "Nothing has been recorded for this pull request yet."
    proof = Proof(Status.MET, "assumed")
    effects = dict.fromkeys(effect for demand in inputs.assessment.demands for effect in demand.effects)
    proofs = tuple((name, effect, proof) for name in call.words for effect in effects)
    others = tuple(item for item in inputs.assessment.proofs if item[0] not in call.words)
    report = decide(replace(inputs.assessment, proofs=(*others, *proofs)), inputs.evidence, inputs.policy, inputs.engine)
    given = ", ".join(code(word) for word in call.words)
    if report.verdict.state in (State.PASS, State.OVERRIDDEN):
        return f"With {given} proven, the gate would be green. Nothing was changed."
    return f"With {given} proven, the gate would still need {', '.join(code(name) for name in report.verdict.unmet)}. Nothing was changed."


def _asked(words: tuple[str, ...], now: datetime.datetime) -> tuple[str, datetime.datetime, str] | str:
    """(effect, end, reason) of a call, or what is wrong with it."""
    usage = 'Write `/interlock override EFFECT until=2026-12-31 reason="why it is right"`.'
    named = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    if not words or not _EFFECT.fullmatch(words[0]) or set(named) != {"until", "reason"} or len(words) != 3:
        return usage
    reason = named["reason"].strip('"').strip()
    if len(reason) < 10:
        return f"The reason is too short to help those who come after. {usage}"
    try:
        day = datetime.date.fromisoformat(named["until"])
    except ValueError:
        return f"{code(named['until'])} is no day. {usage}"
    until = datetime.datetime.combine(day, datetime.time.max, datetime.UTC)
    if until <= now:
        return f"{code(named['until'])} is over."
    if until > now + datetime.timedelta(days=DAYS + 1):
        return f"An override lasts {DAYS} days at most; for longer, write an exception into the policy."
    return words[0], until, reason


async def authority(repository: Repository, login: str, policy: Policy) -> str | None:
    """The entry of the policy that lets someone override: their login, or a team of this organisation they are in at this moment; else None."""
    for entry in policy.overrides:
        name = entry.removeprefix("@")
        if "/" not in name:
            if name.lower() == login.lower():
                return entry
            continue
        organisation, _, team = name.partition("/")
        if organisation.lower() != repository.owner.lower():
            continue
        try:
            answer = await repository.ask("team-membership", org=organisation, team=team, user=login)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            continue
        if answer.get("state") == "active":
            return entry
    return None


async def _own_work(repository: Repository, login: str, pull: dict[str, Any], inputs: Inputs) -> str | None:
    """Why someone may not judge a change: they made it, or an agent made it for them. Doubt counts against them."""
    me = login.lower()
    if str((pull.get("user") or {}).get("login") or "").lower() == me:
        return "you opened this pull request"
    asked_for = {name.lower() for name in inputs.assessment.attribution.requesters}
    if me in asked_for or any(name.partition("@")[0].partition("+")[2] == me for name in asked_for):
        return "an agent wrote this on your behalf"
    commits = await repository.every("pull-commits", number=int(pull["number"]))
    if len(commits) >= COMMITS:
        return f"there are more than {COMMITS} commits, and who made them is not known"
    for commit in commits:
        for role in ("author", "committer"):
            account = str((commit.get(role) or {}).get("login") or "").lower()
            if account == me:
                return f"you made the commit {str(commit.get('sha'))[:12]}"
            if not account and role == "committer":
                return f"who committed {str(commit.get('sha'))[:12]} is not known to GitHub"
    return None


def _inputs(call: Call) -> Inputs | None:
    """What the newest verdict of the pull request was made of."""
    records = call.tools.store.records(call.repository.full_name, pull=call.number)
    return codec.load(Inputs, records[0].inputs) if records else None


def _look_again(call: Call) -> None:
    call.tools.store.mark(pull_mark(call.repository.full_name, call.work.installation, call.number))
