"""The API, one module per area. `ROUTES` is the whole table."""

from __future__ import annotations

from bot.demo.standin.areas import actions, apps, checks, comments, pulls, repositories, rules, web
from bot.demo.standin.wire import Route

ROUTES: tuple[Route, ...] = (
    *apps.ROUTES,
    *pulls.ROUTES,
    *comments.ROUTES,
    *checks.ROUTES,
    *actions.ROUTES,
    *rules.ROUTES,
    *repositories.ROUTES,
    *web.ROUTES,
)
