"""`make mutants`: changes the decision core a little, function by function, and sees whether a test notices.

Everything is loaded once; for each mutant a forked child gives one function another body and runs the tests of the decision. No file is changed.
What survives is printed with its line: it is either equivalent, or a test is missing.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib
import inspect
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

MODULES = (
    "checks.assess", "checks.policy", "checks.safeguards.base", "checks.safeguards.agent_contained", "checks.safeguards.change_isolated",
    "checks.safeguards.check_required", "checks.safeguards.deletion_staged", "checks.safeguards.environment_protected", "checks.safeguards.expand_contract",
    "checks.safeguards.gate_enforced", "checks.safeguards.migration_reversed", "checks.safeguards.plan_verified", "checks.safeguards.privilege_bounded",
    "checks.safeguards.restore_proven", "checks.safeguards.rollback_automatic", "checks.safeguards.rollout_staged", "checks.safeguards.state_kept",
    "checks.safeguards.tests_exercised", "bot.evidence.checks", "bot.evidence.coverage",
)  # fmt: skip
"""What decides: the spine, the policy, the safeguards and what binds evidence."""
TESTS = ("tests/test_decide.py", "tests/test_evidence.py", "tests/test_policy.py", "tests/test_plans.py", "tests/test_overrides.py")
WORDS_ONLY = frozenset(
    {"_mistake", "_nearest", "_worst_first", "turns_green", "_turns_green", "schema", "_summary", "_analysis", "_agents"}
)
"""Functions that make sentences, schemas or orders: no verdict follows from them."""
SECONDS = 60

_COMPARE = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_CALLS = {"any": "all", "all": "any", "min": "max", "max": "min"}


def _wounds(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(what is done, the node in its place) for one node."""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            made = copy.deepcopy(node)
            made.ops[at] = _COMPARE[type(operator)]()
            yield "another comparison", made
    elif isinstance(node, ast.BoolOp):
        made = copy.deepcopy(node)
        made.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and for or", made
        for at in range(len(node.values)):
            rest = [copy.deepcopy(value) for number, value in enumerate(node.values) if number != at]
            yield "a condition less", rest[0] if len(rest) == 1 else ast.BoolOp(copy.deepcopy(node.op), rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without not", copy.deepcopy(node.operand)
    elif isinstance(node, ast.If | ast.IfExp):
        for value in (True, False):
            made = copy.deepcopy(node)
            made.test = ast.Constant(value)
            yield f"always {value}", made
    elif isinstance(node, ast.comprehension):
        for at in range(len(node.ifs)):
            made = copy.deepcopy(node)
            del made.ifs[at]
            yield "a filter less", made
    elif (
        isinstance(node, ast.Return) and node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None)
    ):
        yield "nothing returned", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "the other truth", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "one more", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Name) and node.id in _CALLS and isinstance(node.ctx, ast.Load):
        yield f"{_CALLS[node.id]} for {node.id}", ast.Name(_CALLS[node.id], ast.Load())
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        made = copy.deepcopy(node)
        made.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "minus for plus", made
    elif isinstance(node, ast.Continue | ast.Raise) or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)):
        yield "left out", ast.Pass()


class _At(ast.NodeTransformer):
    """Puts a node in the place of the n-th one."""

    def __init__(self, number: int, made: ast.AST) -> None:
        self.number, self.made, self.count = number, made, -1

    def visit(self, node: ast.AST) -> Any:
        self.count += 1
        if self.count == self.number:
            return ast.copy_location(self.made, node) if isinstance(node, ast.expr | ast.stmt) else self.made
        return self.generic_visit(node)


def _numbered(node: ast.AST) -> list[ast.AST]:
    """The nodes in the order in which a transformer meets them."""
    found: list[ast.AST] = []

    class Meet(ast.NodeVisitor):
        def visit(self, one: ast.AST) -> Any:
            found.append(one)
            self.generic_visit(one)

    Meet().visit(node)
    return found


def _functions(module: Any) -> Iterator[tuple[str, FunctionType]]:
    for name, value in sorted(vars(module).items()):
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and name not in WORDS_ONLY:
            yield name, value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for inner, method in sorted(vars(value).items()):
                method = method.fget if isinstance(method, property) else method
                if isinstance(method, FunctionType) and not inner.startswith("__") and method.__module__ == module.__name__:
                    yield f"{name}.{inner}", method


def mutants() -> Iterator[tuple[str, int, str, FunctionType, CodeType]]:
    """(place, line, what is done, the function, its other body)."""
    for name in MODULES:
        module = importlib.import_module(name)
        module = sys.modules[name]
        source = Path(module.__file__ or "").read_text()
        whole = ast.parse(source)
        for place, function in _functions(module):
            wanted = function.__code__.co_firstlineno
            holders = (node for node in ast.walk(whole) if isinstance(node, ast.FunctionDef) and node.name == place.rpartition(".")[2])
            holder = next((node for node in holders if wanted in (node.lineno, *(one.lineno for one in node.decorator_list))), None)
            if holder is None:
                continue
            for number, node in enumerate(_numbered(holder)):
                if number == 0 or any(
                    node is part for default in (*holder.args.defaults, *holder.decorator_list) for part in ast.walk(default)
                ):
                    continue
                for what, made in _wounds(node):
                    other = _At(number, made).visit(copy.deepcopy(holder))
                    other.decorator_list = []
                    other.returns = None
                    tree = ast.fix_missing_locations(ast.Module([ast.ImportFrom("__future__", [ast.alias("annotations")], 0), other], []))
                    with contextlib.suppress(SyntaxError, ValueError):
                        code = next(
                            constant
                            for constant in compile(tree, module.__file__ or name, "exec").co_consts
                            if isinstance(constant, CodeType) and constant.co_name == holder.name
                        )
                        if code.co_freevars == function.__code__.co_freevars:
                            yield f"{name}.{place}", getattr(node, "lineno", holder.lineno), what, function, code


class _Trial:
    """Collects the tests once, without those that need a whole server, and runs them in a child for each mutant."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.status = chosen, 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if "house" not in item.fixturenames]

    def pytest_runtestloop(self, session: Any) -> bool:
        """In place of one run of the tests: one for each mutant."""
        made = [one for one in mutants() if one[0].startswith(self.chosen.only)]
        random.Random(1).shuffle(made)
        say = sys.__stdout__ or sys.stdout
        print(f"{len(made)} mutants, {len(session.items)} tests", file=say, flush=True)
        if not made or not _survives(session.items, made[0][3], made[0][3].__code__):
            print("the tests fail without a mutant", file=say)
            self.status = 2
            return True
        until, killed, survived = time.monotonic() + self.chosen.minutes * 60, 0, 0
        again = (
            [int(number) for number in re.findall(r"^survived (\d+)", self.chosen.again.read_text(), re.MULTILINE)]
            if self.chosen.again
            else None
        )
        for number in range(len(made)) if again is None else again:
            place, line, what, function, code = made[number]
            if time.monotonic() > until:
                print(f"stopped before {number}", file=say)
                break
            if _survives(session.items, function, code):
                survived += 1
                print(f"survived {number}: {place}:{line}: {what}", file=say, flush=True)
            else:
                killed += 1
        print(f"{killed + survived} tried, {killed} killed, {survived} survived", file=say, flush=True)
        self.status = 1 if survived else 0
        return True


def _survives(items: list[Any], function: FunctionType, code: CodeType) -> bool:
    """Whether no test notices the other body."""
    from _pytest.runner import runtestprotocol

    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(SECONDS)
        function.__code__ = code
        for item, after in zip(items, [*items[1:], None], strict=True):
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=after)):
                os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def main() -> int:
    """Try mutants in a fixed random order until the time is over; 1 when one survived."""
    import pytest

    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--only", default="", help="places that begin so")
    parser.add_argument("--again", type=Path, help="what an earlier run printed: only what survived it is tried")
    trial = _Trial(parser.parse_args())
    pytest.main(["--assert=plain", "-p", "no:cacheprovider", "-s", *TESTS], plugins=[trial])
    return trial.status


if __name__ == "__main__":
    sys.exit(main())
