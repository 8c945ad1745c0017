"""What goes wrong with GitHub, on demand: the n-th call to a path is answered as a bad day would."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.demo.standin.wire import DOCUMENTATION, Answer


@dataclass
class Fault:
    """One line of the table: from the `nth` call on that matches, `times` calls go wrong.

    `kind` is a key of `ANSWERS`, or `timeout` (no answer until the caller gives up), `cut-body` (half of the JSON), `cut-page` (half of a list, and no
    way to the rest), `stale` (what the same address said the time before). With `done` the work is done first, and only its answer is lost.
    """

    method: str
    path: str
    kind: str
    nth: int = 1
    times: int = 1
    done: bool = False
    seen: int = field(default=0, compare=False)

    def strikes(self, method: str, path: str) -> bool:
        """Whether this call goes wrong; counts the calls that match."""
        if self.method not in (method, "*") or not fnmatch.fnmatchcase(path, self.path):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def _says(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}, headers or {})


_HTML = {"Content-Type": "text/html"}
_PAGE = b"<html><body><h1>Unicorn!</h1></body></html>"
_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

ANSWERS: dict[str, Answer] = {
    "401": _says(401, "Bad credentials"),
    "403": _says(403, "Resource not accessible by integration"),
    "404": _says(404, "Not Found"),
    "409": _says(409, "Conflict"),
    "422": _says(422, "Validation Failed"),
    "500": _says(500, "Server Error"),
    "502": Answer(502, _PAGE, _HTML),
    "503": _says(503, "Service unavailable"),
    "rate-limit": _says(403, "API rate limit exceeded for installation.", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}),
    "secondary-limit": _says(403, _SECONDARY, {"Retry-After": "1"}),
    "secondary-limit-bare": _says(403, _SECONDARY),
    "retry-after-403": _says(403, _SECONDARY, {"Retry-After": "90"}),
    "retry-after-429": _says(429, _SECONDARY, {"Retry-After": "90"}),
    "429": _says(429, _SECONDARY, {"Retry-After": "1"}),
}
SPECIAL = frozenset({"timeout", "cut-body", "cut-page", "stale"})


def cut_page(answer: Answer) -> Answer:
    """Half of a list, without the link to the next page."""

    def half(value: Any) -> Any:
        return value[: len(value) // 2] if isinstance(value, list) else value

    body = {name: half(value) for name, value in answer.body.items()} if isinstance(answer.body, dict) else half(answer.body)
    return Answer(answer.status, body, {name: value for name, value in answer.headers.items() if name != "Link"})


def cut_body(answer: Answer) -> Answer:
    """Half of the JSON, with nothing that says so."""
    data = json.dumps(answer.body).encode()
    return Answer(answer.status, data[: len(data) // 2], {**answer.headers, "Content-Type": "application/json; charset=utf-8"})
