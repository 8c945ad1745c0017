"""The front page: the repositories that the visitor may read, and the search over rules, safeguards, repositories and pull requests."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot.pages.repository import band_of, newest_of_each
from bot.pages.rules import found_guards, found_rules
from bot.pages.sign_in import Guard
from bot.pages.web import House, Page

SHOWN = 100
AT_ONCE = 8
"""Questions to GitHub at the same time."""


class Overview:
    """Pages across repositories."""

    def __init__(self, house: House, guard: Guard) -> None:
        self._house, self._guard = house, guard

    async def front(self, request: Request) -> Page:
        """The repositories with what is open in each."""
        names = await self._readable(request)
        rows = await run_in_threadpool(self._rows, names)
        data = {
            "repositories": rows,
            "signed_in": bool(self._guard.visitor(request)),
            "ready": self._house.settings.credentials is not None,
        }
        return Page("overview.html", "Overview", {**data, "behind_proxy": self._house.settings.behind_proxy})

    async def search(self, request: Request) -> Page:
        """Rules, safeguards, repositories and pull requests that a query names."""
        query = request.query_params.get("q", "").strip()[:200]
        names = await self._readable(request) if query else []
        pulls = await run_in_threadpool(self._pulls, names, query)
        words = query.lower().split()
        data = {
            "query": query,
            "rules": (await run_in_threadpool(found_rules, query))[:40] if query else [],
            "safeguards": (await run_in_threadpool(found_guards, query))[:20] if query else [],
            "repositories": [name for name in names if words and all(word in name.lower() for word in words)],
            "pulls": pulls,
        }
        return Page("search.html", f"Search: {query}" if query else "Search", data)

    async def _readable(self, request: Request) -> list[str]:
        """The repositories with records that the visitor may read."""
        visitor = self._guard.visitor(request)
        known = [name for name, _ in await run_in_threadpool(self._house.store.repositories, SHOWN)]
        if self._house.settings.behind_proxy:
            return known
        if visitor is None:
            return []
        turn = asyncio.Semaphore(AT_ONCE)

        async def ask(name: str) -> bool:
            async with turn:
                return await self._guard.ask(visitor, name) is not None

        allowed = await asyncio.gather(*(ask(name) for name in known))
        return [name for name, may in zip(known, allowed, strict=True) if may]

    def _rows(self, names: list[str]) -> list[dict[str, Any]]:
        store = self._house.store
        rows = []
        for name in names:
            newest = newest_of_each(store.lines(name, 500))
            standing = [line for line in newest if not store.fact(f"closed/{name}/{line.pull}")]
            rows.append(
                {
                    "repository": name,
                    "open": len(standing),
                    "blocked": sum(line.state == "blocked" for line in standing),
                    "observed": sum(line.state == "observed" for line in standing),
                    "worst": max((line.score for line in standing), default=None),
                    "band": band_of(max((line.score for line in standing), default=0)),
                    "newest": newest[0].made if newest else None,
                }
            )
        return sorted(rows, key=lambda row: (-(row["worst"] or -1), row["repository"]))

    def _pulls(self, names: list[str], query: str) -> list[dict[str, Any]]:
        match = re.fullmatch(r"(?:(?P<name>[\w.-]+/[\w.-]+))?#?(?P<number>\d{1,9})", query)
        if not match:
            return []
        number = int(match["number"])
        wanted = [name for name in names if match["name"] is None or name.lower() == match["name"].lower()]
        found = []
        for name in wanted:
            line = next((line for line in self._house.store.lines(name) if line.pull == number), None)
            if line:
                found.append({"repository": name, "number": number, "state": line.state, "score": line.score})
        return found
