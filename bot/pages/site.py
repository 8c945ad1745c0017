"""The list of all pages."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.pages.openapi import description
from bot.pages.overview import Overview
from bot.pages.pull import Pulls
from bot.pages.repository import Repositories
from bot.pages.rules import Rules
from bot.pages.setup import Setup
from bot.pages.sign_in import Guard
from bot.pages.web import Build, House, Page, endpoint, missing, respond, static


class Site:
    """All pages of one server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.guard = Guard(house)
        self.setup = Setup(house, self.guard)

    def routes(self) -> list[Route]:
        """Every page: those with a name of their own first, since an owner and a repository match anything."""
        rules, pulls = Rules(self.guard), Pulls(self._house, self.guard)
        repositories, overview = Repositories(self._house, self.guard), Overview(self._house, self.guard)
        setup, guard = self.setup, self.guard
        table: tuple[tuple[str, str, Build], ...] = (
            ("GET", "/", overview.front),
            ("GET", "/search", overview.search),
            ("GET", "/rules", rules.listing),
            ("GET", "/rules/{name:path}", rules.rule),
            ("GET", "/safeguards/{name:path}", rules.safeguard),
            ("GET", "/sign-in", guard.sign_in),
            ("GET", "/sign-in/done", guard.signed_in),
            ("POST", "/sign-out", guard.sign_out),
            ("GET", "/setup", setup.show),
            ("POST", "/setup", setup.choose),
            ("GET", "/setup/created", setup.created),
            ("POST", "/setup/environment", setup.environment),
            ("POST", "/setup/finish", setup.finish),
            ("GET", "/{owner}/{repo}/agents", repositories.agents),
            ("GET", "/{owner}/{repo}/past", repositories.past),
            ("GET", "/{owner}/{repo}/pull/{number:int}", pulls.pull),
            ("GET", "/{owner}/{repo}/reviews/{review}", pulls.review),
            ("GET", "/{owner}/{repo}", repositories.repository),
            ("GET", "/{owner}/{repo}/", repositories.repository),
        )
        made = [Route("/static/{name}", static), Route("/openapi.json", _openapi)]
        return made + [Route(path, endpoint(build), methods=[method]) for method, path, build in table]

    def errors(self) -> dict[Any, Any]:
        """What is answered where there is no page, or where one breaks."""
        return {HTTPException: self._refused, 500: self._broken}

    async def _refused(self, request: Request, error: Exception) -> Response:
        self.guard.visitor(request)
        status = error.status_code if isinstance(error, HTTPException) else 404
        if status == 404:
            return respond(request, missing())
        response = respond(
            request, Page("message.html", "This cannot be done", {"error": "This page is only read, or only written."}, status)
        )
        response.headers.update(dict(getattr(error, "headers", None) or {}))
        return response

    async def _broken(self, request: Request, _: Exception) -> Response:
        words = "Something broke here. It is in the server's log."
        return respond(request, Page("message.html", "Something broke", {"error": words}, 500))


async def _openapi(_: Request) -> Response:
    return JSONResponse(description(), headers={"cache-control": "public, max-age=300"})
