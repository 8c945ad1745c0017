"""The import graph, held against one that nobody here wrote: grimp (grimp.readthedocs.io), on this project's own packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.places import Place, place_of
from checks.reach.cache import Memory
from checks.reach.edges.base import View
from checks.reach.graph import Graph
from checks.trees import MemoryTree

ROOT = Path(__file__).parent.parent
grimp = pytest.importorskip("grimp")


def file_of(module: str) -> str:
    """The file of a module of this project."""
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


def test_the_imports_of_this_project_are_those_that_grimp_finds() -> None:
    """Every import between files of `bot` and `checks` is an edge, in the same direction, and no other is."""
    theirs = grimp.build_graph("bot", "checks", cache_dir=None)
    shown = {module for module in theirs.modules if place_of(file_of(module)) is Place.DEPLOYED}
    wanted = {(file_of(one), file_of(other)) for one in shown for other in theirs.find_modules_directly_imported_by(one) if other in shown}
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for name in ("bot", "checks") for path in (ROOT / name).rglob("*.py")}
    tree = MemoryTree(files)
    found = {
        (source, target)
        for source, target, reason in Graph(tree, View(tree, tree), Memory()).edges([file_of(module) for module in shown], [""])
        if reason == "imports"
    }
    assert len(wanted) > 300
    assert wanted - found == set()
    # A package's own module is also named where only a name of it is imported; more than one in a hundred would be a mistake.
    assert len(found - wanted) * 100 <= len(wanted), sorted(found - wanted)
