"""Nothing missed: GitHub's own list of deliveries is compared with what came in, and the state of GitHub with what was judged.

GitHub never repeats a delivery by itself and keeps its list for three days (a GitHub Enterprise Server for seven), so what was refused, timed
out or met a server that was away is asked for again: docs.github.com/webhooks/using-webhooks/automatically-redelivering-failed-deliveries.
After a long outage there may be tens of thousands of them. Most only say "look at this pull request", which one look at the open pull
requests tells as well; so then only those are asked for that nothing else tells: commands, deployments, merge groups, buttons.
"""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass, field
from typing import Any

from bot.github.client import ApiError
from bot.metrics import LAST_SWEEP, REDELIVERED
from bot.pipeline import Tools
from bot.settings import Settings, SettingsError
from bot.store import Mark, Work
from bot.triggers import installation_mark, mark_of

logger = logging.getLogger("interlock.sweep")

EVERY, RECONCILE = 300.0, 3600.0
"""Seconds between two sweeps of the deliveries, and between two comparisons of all installations."""
BACK, OVERLAP = 3 * 86400.0, 900.0
"""How far back the first sweep reads, and what each reads again: a delivery stands in the list when it ended, not when it began."""
SETTLES = 60.0
"""Seconds that a delivery is given to arrive: younger ones are left to the next sweep."""
AGAIN = 1800.0
"""Seconds before a delivery is asked for once more."""
FEW = 300
"""Missed deliveries that are all asked for again; of more only those that nothing else tells."""
PER_SWEEP = 600
"""Deliveries asked for in one sweep; the next goes on."""
PAGES = 400
ONLY_A_DELIVERY_TELLS = frozenset({"issue_comment", "deployment_protection_rule", "merge_group"})
KEY = ".interlock/sweep/all"


@dataclass
class Swept:
    """What one sweep found and did."""

    listed: int = 0
    missed: int = 0
    redelivered: int = 0
    left: int = 0
    """Missed, and not asked for: the comparison of the open pull requests tells the same."""
    repositories: int = 0
    installations: int = 0
    known: set[str] = field(default_factory=set)

    @property
    def sentence(self) -> str:
        """The same in words."""
        return (
            f"{self.listed} deliveries listed, {self.missed} missed: {self.redelivered} asked for again, "
            f"{self.left} left to the comparison of {self.repositories} repositories"
        )


def mark() -> Mark:
    """The sweep is due; whichever worker takes it does it, alone."""
    return Mark(KEY, ".interlock/sweep", 0, "sweep")


def due(tools: Tools) -> bool:
    """Whether it is time for a sweep."""
    kept = tools.store.fact("sweep/state") or {}
    return tools.clock() - float(kept.get("at", 0.0)) >= EVERY


async def by_hand(settings: Settings) -> str:
    """One whole sweep from the command line; what it marks is looked at by the servers that run. Raises `ApiError`."""
    from bot.github.client import Api
    from bot.mirror.mirrors import Mirrors
    from bot.store import open_store

    if settings.credentials is None:
        raise SettingsError("set " + ", ".join(settings.missing))
    store = open_store(settings.data, settings.database_url)
    api = Api(settings.credentials, settings.api_url, write_seconds=settings.write_seconds)
    try:
        tools = Tools(api, Mirrors(settings.data / "mirrors", settings.mirror_quota), store, settings.github_url, settings.public_url)
        return (await sweep(tools, everything=True)).sentence
    finally:
        await api.close()
        store.close()


async def look_at_deliveries(work: Work, tools: Tools) -> None:
    """A sweep as a piece of work."""
    if due(tools):
        await sweep(tools)


async def sweep(tools: Tools, everything: bool = False) -> Swept:
    """Compare the deliveries with what came in; with `everything`, and once in a while, also all installations."""
    store, now = tools.store, tools.clock()
    kept: dict[str, Any] = store.fact("sweep/state") or {}
    since = float(kept.get("through", now - BACK)) - OVERLAP
    asked: dict[str, float] = {guid: at for guid, at in (kept.get("asked") or {}).items() if now - at < BACK}
    swept = Swept()
    missed = await _missed(tools, since, now, swept)
    # Asked for and not come in after half an hour: what was sent again failed as well.
    fresh = [one for one in missed if now - asked.get(str(one["guid"]), 0.0) >= AGAIN]
    swept.missed = len(fresh)
    wanted = fresh if len(fresh) <= FEW else [one for one in fresh if _only_it_tells(one)]
    await _redeliver(tools, wanted[:PER_SWEEP], asked, swept)
    swept.left = len(fresh) - len(wanted)
    _reconcile(tools, fresh, swept)
    again = everything or now - float(kept.get("reconciled", 0.0)) >= RECONCILE
    if again:
        await _installations(tools, swept)
    # What was left over for the next sweep is listed again by it: the mark of how far it went stays where it was.
    through = now - SETTLES if len(wanted) <= PER_SWEEP else since + OVERLAP
    state = {"at": now, "through": through, "asked": asked, "reconciled": now if again else kept.get("reconciled", 0.0)}
    store.remember("sweep/state", {**state, "last": swept.sentence})
    LAST_SWEEP.set(now)
    logger.info("sweep: %s", swept.sentence)
    return swept


async def _missed(tools: Tools, since: float, now: float, swept: Swept) -> list[dict[str, Any]]:
    """The deliveries of which no attempt came in, oldest first, one of each GUID."""
    found: dict[str, dict[str, Any]] = {}
    fine: set[str] = set()
    cursor: str | None = None
    for _ in range(PAGES):
        page, cursor = await tools.api.app_page("hook-deliveries", {"per_page": 100, **({"cursor": cursor} if cursor else {})})
        for one in page:
            at = _moment(str(one.get("delivered_at") or ""))
            guid = str(one["guid"])
            swept.listed += 1
            if one.get("status") == "OK":
                fine.add(guid)
            elif since <= at <= now - SETTLES and one.get("event") != "ping":
                found[guid] = one
        if cursor is None or (page and _moment(str(page[-1].get("delivered_at") or "")) < since):
            break
    lost = [guid for guid in found if guid not in fine]
    known: set[str] = set()
    for start in range(0, len(lost), 500):
        # Stored, although GitHub did not hear of it: the answer was lost, not the delivery.
        known |= tools.store.known_deliveries(lost[start : start + 500])
    return [found[guid] for guid in reversed(lost) if guid not in known]


def _only_it_tells(one: dict[str, Any]) -> bool:
    return one.get("event") in ONLY_A_DELIVERY_TELLS or (one.get("event"), one.get("action")) == ("check_run", "requested_action")


async def _redeliver(tools: Tools, wanted: list[dict[str, Any]], asked: dict[str, float], swept: Swept) -> None:
    for one in wanted:
        try:
            await tools.api.as_app("hook-attempt", delivery=int(one["id"]))
        except ApiError as error:
            if error.status not in (404, 422):
                raise
        else:
            swept.redelivered += 1
            REDELIVERED.inc()
        asked[str(one["guid"])] = tools.clock()


def _reconcile(tools: Tools, missed: list[dict[str, Any]], swept: Swept) -> None:
    """Every repository of which a delivery was missed is compared with what was judged."""
    names: dict[int, tuple[str, int]] = {}
    for key, reached in tools.store.facts("reaches/").items():
        for number, one in (reached or {}).items():
            names[int(number)] = (one["name"], int(key.removeprefix("reaches/")))
    places = {int(one["repository_id"]) for one in missed if one.get("repository_id")}
    unknown = {
        int(one["installation_id"]) for one in missed if one.get("installation_id") and int(one.get("repository_id") or 0) not in names
    }
    for place in sorted(places & names.keys()):
        name, installation = names[place]
        tools.store.mark(mark_of(name, installation, "reconcile", "missed", number=place, missed=True))
    for installation in sorted(unknown):
        tools.store.mark(installation_mark(installation))
    swept.repositories = len(places)


async def _installations(tools: Tools, swept: Swept) -> None:
    there = {int(one["id"]): str((one.get("account") or {}).get("login") or "") for one in await tools.api.every_as_app("installations")}
    known = {int(key.removeprefix("reaches/")) for key, value in tools.store.facts("reaches/").items() if value is not None}
    for number in sorted(there.keys() | known):
        swept.installations += 1
        tools.store.mark(installation_mark(number, there.get(number, "")))


def _moment(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
