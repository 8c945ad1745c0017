"""Options of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database import BACKENDS, address
from tests.house import House, build, demolish

pytest_plugins = ["tests.conformance", "tests.ears", "tests.emulator", "tests.octokit"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite effects.txt of the detectors' fixtures; read the difference before you keep it"
    )
    parser.addoption("--every-store", action="store_true", help="play every conversation on PostgreSQL too, not only those marked so")

    parser.addoption("--long", action="store_true", help="also run what takes many minutes: every call with every fault, the great outage")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes many minutes runs where it is asked for, and is seen as skipped elsewhere."""
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes many minutes: --long"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Conversations are played on SQLite; those that are marked, or all where it is asked for, on PostgreSQL too."""
    if "house" in metafunc.fixturenames and (
        metafunc.config.getoption("--every-store") or metafunc.definition.get_closest_marker("every_store")
    ):
        metafunc.parametrize("house", BACKENDS, indirect=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a row of pushes to end."""
    monkeypatch.setattr("bot.triggers.DEBOUNCE", 0.0)


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """The real server, the stand-in for GitHub, an installed App and a repository with an enforced policy."""
    made = build(tmp_path / "data", database_url=address(getattr(request, "param", "sqlite")))
    yield made
    demolish(made)
