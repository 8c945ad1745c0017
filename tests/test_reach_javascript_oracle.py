"""The import graph of JavaScript and TypeScript, held against dependency-cruiser, where it is at hand.

The packages are no part of the project: `npm install --prefix DIR dependency-cruiser@16 typescript@5` and INTERLOCK_ORACLES=DIR run this.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from checks.reach.cache import Memory
from checks.reach.edges.base import View
from checks.reach.graph import Graph
from checks.trees import MemoryTree

ORACLES = Path(os.environ.get("INTERLOCK_ORACLES", "/nonexistent"))
PROGRAM = ORACLES / "node_modules" / "dependency-cruiser" / "bin" / "dependency-cruise.mjs"
TREE = {
    "package.json": '{"name": "shop", "private": true, "workspaces": ["packages/*", "apps/*"]}',
    "packages/money/package.json": '{"name": "@shop/money", "exports": {".": "./src/index.ts", "./tax": "./src/tax.ts"}}',
    "packages/money/src/index.ts": "export * from './round';\nexport { type Rate, rate as vat } from './tax';\n",
    "packages/money/src/round.ts": "export const round = (value: number) => Math.round(value);\n",
    "packages/money/src/tax.ts": "import { round } from './round.js';\nexport type Rate = number;\nexport const rate: Rate = round(19);\n",
    "packages/money/src/unused.ts": "export const unused = 1;\n",
    "apps/web/package.json": '{"name": "web", "dependencies": {"@shop/money": "*"}}',
    "apps/web/tsconfig.json": """{
  // A comment, and a comma too many, as people write them.
  "compilerOptions": {"baseUrl": ".", "paths": {"~/*": ["src/*"], "config": ["src/settings/index.ts"]}, "module": "esnext",
    "moduleResolution": "bundler", "jsx": "react-jsx", "allowJs": true,},
  "files": ["src/main.tsx"],
}""",
    "apps/web/src/main.tsx": """import { round } from '@shop/money';
import { rate } from '@shop/money/tax';
import type { Order } from '~/orders/types';
import config from 'config';
import './orders';
export const page = async () => (await import('~/pages/late')).default(round(rate), config);
export type { Order };
""",
    "apps/web/src/orders/index.ts": "export {\n  total,\n  count,\n} from './total';\nexport * as types from './types';\n",
    "apps/web/src/orders/total.ts": "import type { Order } from '.';\nimport { round } from '@shop/money';\n"
    "export const total = (order: Order) => round(order);\nexport const count = 1;\n",
    "apps/web/src/orders/types.ts": "export type Order = number;\n",
    "apps/web/src/pages/late.tsx": "import '../legacy/old';\nexport default (...values: unknown[]) => values;\n",
    "apps/web/src/settings/index.ts": "export default { currency: 'EUR' };\n",
    "apps/web/src/legacy/old.js": "const older = require('./older');\nconst data = require('./data.json');\nmodule.exports = { older, data };\n",
    "apps/web/src/legacy/older.js": "module.exports = 2;\n",
    "apps/web/src/legacy/data.json": '{"since": 1999}',
    "apps/web/src/legacy/older/index.js": "module.exports = 'the file goes before the folder';\n",
    "apps/web/src/legacy/words.ts": "// import './old' is only said here\nexport const said = 'nothing is taken from a text';\n",
}  # fmt: skip
LINKS = {"@shop/money": "packages/money"}
SETTINGS = {
    "tsPreCompilationDeps": True,
    "tsConfig": {"fileName": "apps/web/tsconfig.json"},
    "preserveSymlinks": False,
    "doNotFollow": {"path": "node_modules"},
    "enhancedResolveOptions": {
        "exportsFields": ["exports"],
        "conditionNames": ["import", "require", "node", "default", "types"],
        "extensions": [".ts", ".tsx", ".js", ".jsx", ".cjs", ".mjs", ".json"],
    },
}


def theirs(folder: Path, node: str) -> set[tuple[str, str]]:
    """The edges between files of `folder` that dependency-cruiser resolves."""
    (folder / "cruise.json").write_text(json.dumps({"options": SETTINGS}))
    command = [node, str(PROGRAM), "--config", "cruise.json", "--output-type", "json", "apps", "packages"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return {
        (module["source"], one["resolved"])
        for module in json.loads(done.stdout)["modules"]
        for one in module["dependencies"]
        if not one["couldNotResolve"] and one["resolved"] != module["source"]
    }


def ours(files: dict[str, str]) -> set[tuple[str, str]]:
    """The same edges as the search finds them, walked backwards from every file."""
    tree = MemoryTree({path: content.encode() for path, content in files.items()})
    found = Graph(tree, View(tree, tree), Memory()).edges(list(files), [""])
    return {(source, target) for source, target, reason in found if reason == "imports"}


@pytest.mark.slow
def test_the_imports_of_a_workspace_are_those_that_dependency_cruiser_resolves(tmp_path: Path) -> None:
    """Relative files, folders, aliases, re-exports, types, late imports, `require` and packages of the workspace: the same edges, no other."""
    node = shutil.which("node")
    if node is None or not PROGRAM.is_file():
        pytest.skip("needs node, and dependency-cruiser with typescript below INTERLOCK_ORACLES")
    for path, content in TREE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    for name, goal in LINKS.items():
        link = tmp_path / "node_modules" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(tmp_path / goal)
    wanted = theirs(tmp_path, node)
    assert len(wanted) >= 15
    assert ours(TREE) == wanted
