"""What GitHub still gives one installation, as its answers tell, and the pace of what we write.

docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api and …/best-practices-for-using-the-rest-api: an installation has a number of
requests an hour; whoever is told to wait waits; writes come one after the other, a second apart. A server without limits says nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BURST = 3
"""Writes that may follow each other at once after a pause."""
RESERVE = 5
"""Requests of an hour that are left alone: other processes count from the same number, and ours is never exact."""
BARE, LONGEST = 60.0, 900.0
"""Seconds to wait when GitHub asks for patience without saying how much: at first, and at most, doubled each time."""


@dataclass(slots=True)
class Budget:
    """The limits of one installation."""

    limit: int | None = None
    remaining: int | None = None
    reset: float = 0.0
    """When the hour is over."""
    closed: float = 0.0
    """Nothing is asked before this moment."""
    strikes: int = 0
    """Times in a row that GitHub asked for patience without saying how much."""
    paced: float = 0.0
    """The moment up to which writes are given out."""

    def wait(self, now: float) -> float:
        """Seconds until anything may be asked; 0 for now."""
        spent = self.remaining is not None and self.remaining <= RESERVE and now < self.reset
        return max(0.0, self.closed - now, self.reset - now if spent else 0.0)

    def slot(self, now: float, seconds: float) -> float:
        """Take the next place among the writes; how long until it."""
        at = max(self.paced, now)
        self.paced = at + seconds
        return max(0.0, at - now - (BURST - 1) * seconds)

    def told(self, headers: Mapping[str, str]) -> None:
        """What an answer says of the limit."""
        values = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
        if all(value.isdigit() for value in values) and headers.get("x-ratelimit-resource", "core") == "core":
            limit, remaining, reset = (int(value) for value in values)
            # Answers overtake each other: within one hour what remains only shrinks.
            if self.remaining is None or reset != self.reset or remaining < self.remaining:
                self.limit, self.remaining, self.reset = limit, remaining, float(reset)

    def answered(self) -> None:
        """GitHub took a request."""
        self.strikes = 0

    def refused(self, status: int, message: str, headers: Mapping[str, str], now: float) -> float | None:
        """How long a refusal asks to wait; None where it is no matter of limits. Nothing is asked before that is over."""
        if status not in (403, 429):
            return None
        seconds: float | None = None
        if headers.get("retry-after", "").isdigit():
            seconds = float(headers["retry-after"])
        elif headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
            seconds = max(1.0, float(headers["x-ratelimit-reset"]) - now)
        elif status == 429 or "rate limit" in message.lower():
            seconds = min(LONGEST, BARE * 2.0**self.strikes)
            self.strikes += 1
        if seconds is not None:
            self.closed = max(self.closed, now + seconds)
        return seconds
