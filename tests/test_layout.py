"""The house keeps its shape: what may import what, and that the register is whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks import safeguards
from checks.model import Hazard
from checks.safeguards.base import HEADINGS
from checks.safeguards.defaults import DEFAULTS, NAMES

ROOT = Path(__file__).parent.parent
# `checks/data/make_*.py` make the fact tables; they are run by hand and imported by nothing.
PURE = sorted(path for path in (ROOT / "checks").rglob("*.py") if not path.name.startswith("make_"))
WORLD = {
    "asyncio",
    "git",
    "githubkit",
    "http",
    "httpx",
    "os",
    "pathlib",
    "requests",
    "shutil",
    "socket",
    "sqlite3",
    "starlette",
    "subprocess",
    "tempfile",
    "threading",
    "urllib.request",
    "uvicorn",
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_checks_is_pure(path: Path) -> None:
    """Nothing in `checks/` reaches the world or the bot; files are read only from its own packaged data."""
    for name in imports(path):
        assert name.partition(".")[0] != "bot"
        assert name not in WORLD and name.partition(".")[0] not in WORLD - {"os", "urllib"}, name
    calls = {
        node.func.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "eval", "exec", "input", "__import__"}


@pytest.mark.parametrize("path", sorted((ROOT / "checks" / "detectors").glob("*.py")), ids=lambda path: path.stem)
def test_a_detector_imports_no_other(path: Path) -> None:
    """Shared semantics live in a room of their own."""
    if path.stem != "__init__":
        assert {name for name in imports(path) if name.startswith("checks.detectors.")} <= {"checks.detectors.base"}


def test_every_door_is_the_only_one() -> None:
    """githubkit stands only behind `bot/github`, GitPython only behind `bot/mirror`, Starlette only where pages and routes are."""
    doors = {"githubkit": ("bot/github/",), "git": ("bot/mirror/",), "starlette": ("bot/app.py", "bot/pages/", "bot/demo/standin/")}
    for path in sorted((ROOT / "bot").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for name in imports(path):
            allowed = doors.get(name.partition(".")[0])
            assert allowed is None or place.startswith(allowed), f"{place} imports {name}"


@pytest.mark.parametrize("name", NAMES)
def test_every_safeguard_is_whole(name: str) -> None:
    """A safeguard has its page under the five headings, carries its file's name, and can be proven somehow."""
    safeguard = safeguards.load(name)
    page = __import__(f"checks.safeguards.{name.replace('-', '_')}", fromlist=["__doc__"]).__doc__ or ""
    positions = [page.find(f"## {heading}") for heading in HEADINGS]
    assert -1 not in positions and positions == sorted(positions)
    assert safeguard.name == name and safeguard.title
    assert safeguard.from_change or safeguard.from_evidence


def test_every_hazard_has_default_safeguards() -> None:
    """Each hazard that can do harm demands something from some severity on, and only safeguards that there are."""
    assert set(DEFAULTS) == {hazard for hazard in Hazard if not hazard.harmless}
    for rows in DEFAULTS.values():
        assert rows and {name for _, groups in rows for group in groups for name in group} <= set(NAMES)
