"""The payloads GitHub's own library is tested with: 329 examples of webhooks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests import npm


@dataclass(frozen=True)
class Example:
    """One payload, and the event it belongs to (what X-GitHub-Event says)."""

    event: str
    number: int
    payload: dict[str, Any]

    def __str__(self) -> str:
        action = self.payload.get("action")
        return f"{self.event}{f'.{action}' if action else ''}[{self.number}]"


def examples() -> list[Example]:
    """All of them, in the order of the package. Raises `npm.Unavailable`."""
    index = json.loads((npm.directory(npm.EXAMPLES) / "api.github.com/index.json").read_text())
    return [Example(entry["name"], number, payload) for entry in index for number, payload in enumerate(entry["examples"])]


@pytest.fixture(scope="session")
def webhook_examples() -> list[Example]:
    """All examples; the test is skipped, with the reason, where npm cannot be reached."""
    npm.needed(npm.EXAMPLES)
    return examples()
