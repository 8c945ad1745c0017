"""Options of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House, build, demolish

pytest_plugins = ["tests.conformance", "tests.ears", "tests.emulator", "tests.octokit"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite effects.txt of the detectors' fixtures; read the difference before you keep it"
    )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The real server, the stand-in for GitHub, an installed App and a repository with an enforced policy."""
    made = build(tmp_path / "data")
    yield made
    demolish(made)
