"""`make mutants`: changes the decision core a little, function by function, and sees whether a test notices.

Everything is loaded once. The tests run once as they are, to learn which of them meets which line; then, for each mutant, a forked child gives
one function another body (or one table an entry less) and runs the tests that meet the statement, those first that noticed most so far.
No file is changed. What survives is printed with its line: it is either equivalent, which `mutants_accepted.txt` says with its reason, or a test is missing.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib
import inspect
import json
import os
import pkgutil
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

ROOT = Path(__file__).parent.parent
ACCEPTED = Path(__file__).with_name("mutants_accepted.txt")
"""A mutant and, after ` # `, why nothing follows from it."""


def _inside(package: str) -> tuple[str, ...]:
    return tuple(f"{package}.{one.name}" for one in pkgutil.iter_modules([str(ROOT / package.replace(".", "/"))]))


MODULES = (
    "checks.assess", "checks.policy", "checks.policy_file", *_inside("checks.safeguards"), "checks.delivery", "checks.closure",
    "checks.spellings", "checks.plans", "checks.places", "checks.patterns", "checks.model", "checks.effects",
    "bot.evidence", *_inside("bot.evidence"),
)  # fmt: skip
"""What decides: the spine, what wakes the detectors, the policy, the safeguards, what these ask of plans, names and paths, the values
that all of it is told in, and what gathers and binds evidence."""
TESTS = (
    "tests/test_decide.py", "tests/test_evidence.py", "tests/test_gathering.py", "tests/test_policy.py", "tests/test_plans.py",
    "tests/test_overrides.py", "tests/test_delivery.py", "tests/test_closure.py", "tests/test_authority.py",
    "tests/test_places.py", "tests/test_model.py", "tests/test_landing.py", "tests/test_effects.py",
)  # fmt: skip
WORDS_ONLY = frozenset(
    {
        "_mistake", "_nearest", "_worst_first", "turns_green", "_turns_green", "schema", "_summary", "_analysis", "_agents", "lines_for", "_lines",
        "plain", "HEADINGS", "ACTIONS", "KEYS", "_PLAIN", "_UNION_NAMES", "_SHAPES",
    }
)  # fmt: skip
"""Functions and tables that make sentences, schemas or orders: no verdict follows from them."""

_COMPARE = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_CALLS = {"any": "all", "all": "any", "min": "max", "max": "min"}


def _less(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:60]} … {text[-27:]}"


def _wounds(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(what is done, the node in its place) for one node."""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            made = copy.deepcopy(node)
            made.ops[at] = _COMPARE[type(operator)]()
            yield f"`{_less(made)}` for `{_less(node)}`", made
    elif isinstance(node, ast.BoolOp):
        made = copy.deepcopy(node)
        made.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{'or for and' if isinstance(node.op, ast.And) else 'and for or'} in `{_less(node)}`", made
        for at in range(len(node.values)):
            rest = [copy.deepcopy(value) for number, value in enumerate(node.values) if number != at]
            yield (
                f"without `{_less(node.values[at])}` in `{_less(node)}`",
                rest[0] if len(rest) == 1 else ast.BoolOp(copy.deepcopy(node.op), rest),
            )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"not left out of `{_less(node)}`", copy.deepcopy(node.operand)
    elif isinstance(node, ast.If | ast.IfExp):
        for value in (True, False):
            made = copy.deepcopy(node)
            made.test = ast.Constant(value)
            yield f"always {value}: `if {_less(node.test)}`", made
    elif isinstance(node, ast.comprehension):
        for at in range(len(node.ifs)):
            made = copy.deepcopy(node)
            del made.ifs[at]
            yield f"without the filter `{_less(node.ifs[at])}`", made
    elif (
        isinstance(node, ast.Return) and node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None)
    ):
        yield f"None for `{_less(node)}`", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{not node.value} for {node.value}", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield f"{node.value + 1} for {node.value}", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Name) and node.id in _CALLS and isinstance(node.ctx, ast.Load):
        yield f"{_CALLS[node.id]} for {node.id}", ast.Name(_CALLS[node.id], ast.Load())
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        made = copy.deepcopy(node)
        made.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield f"`{_less(made)}` for `{_less(node)}`", made
    elif isinstance(node, ast.Tuple | ast.List | ast.Set) and all(isinstance(one, ast.Constant | ast.Attribute) for one in node.elts):
        for at, one in enumerate(node.elts):
            made = copy.deepcopy(node)
            del made.elts[at]
            if made.elts or not isinstance(node, ast.Set):
                yield f"without `{_less(one)}` in `{_less(node)}`", made
    elif isinstance(node, ast.Continue | ast.Break | ast.Raise) or (
        isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ):
        yield f"left out: `{_less(node)}`", ast.Pass()


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


def _bare(value: Any) -> Any:
    """The function under its decorators: a property's, a class method's, a validator's."""
    for name in ("fget", "wrapped", "__func__"):
        value = getattr(value, name, value)
    return inspect.unwrap(value) if callable(value) else value


def _functions(module: Any) -> Iterator[tuple[str, FunctionType]]:
    for name, value in sorted(vars(module).items()):
        if name in WORDS_ONLY:
            continue
        bare = _bare(value)
        if isinstance(bare, FunctionType) and bare.__module__ == module.__name__ and bare.__name__ == name:
            yield name, bare
        elif isinstance(value, type) and value.__module__ == module.__name__:
            decorators = getattr(value, "__pydantic_decorators__", None)
            kept = {**decorators.field_validators, **decorators.model_validators} if decorators else {}
            inners = {**vars(value), **{inner: one.func for inner, one in kept.items()}}
            for inner, method in sorted(inners.items()):
                method = _bare(method)
                if isinstance(method, FunctionType) and not inner.startswith("__") and method.__module__ == module.__name__:
                    yield f"{name}.{inner}", method


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change of the decision core."""

    module: str
    place: str
    line: int
    what: str
    lines: frozenset[int]
    """The lines of its statement; none for a table, which any line of its module may read."""
    make: Callable[[], None]

    @property
    def name(self) -> str:
        return f"{self.place}: {self.what}"


def _statement(holder: ast.AST, node: ast.AST) -> frozenset[int]:
    """The lines of the innermost statement around a node; of a statement with a body, its head."""
    best: tuple[int, frozenset[int]] = (1 << 30, frozenset())
    for one in ast.walk(holder):
        if isinstance(one, ast.stmt) and one is not holder and any(part is node for part in ast.walk(one)):
            body = getattr(one, "body", None)
            end = body[0].lineno - 1 if body and not any(part is node for inner in body for part in ast.walk(inner)) else one.end_lineno
            span = frozenset(range(one.lineno, max(end or one.lineno, one.lineno) + 1))
            size = (one.end_lineno or one.lineno) - one.lineno
            best = min(best, (size, span), key=lambda pair: pair[0])
    return best[1]


def _words(node: ast.AST) -> bool:
    """Whether a node is a sentence or makes a proof that is none: from what stands inside only words follow."""
    if isinstance(node, ast.JoinedStr):
        return True
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr == "join" and isinstance(node.func.value, ast.Constant) and isinstance(node.func.value.value, str)
    return isinstance(node.func, ast.Name) and node.func.id in ("missing", "failed", "unknown", "Mistake")


def _in_functions(name: str, module: Any, whole: ast.Module) -> Iterator[Mutant]:
    for place, function in _functions(module):
        wanted = function.__code__.co_firstlineno
        holders = (
            node
            for node in ast.walk(whole)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == place.rpartition(".")[2]
        )
        holder = next((node for node in holders if wanted in (node.lineno, *(one.lineno for one in node.decorator_list))), None)
        if holder is None:
            continue
        passed = {part for one in (holder.args, *holder.decorator_list, *filter(None, [holder.returns])) for part in ast.walk(one)}
        passed |= {part for one in ast.walk(holder) if _words(one) for part in ast.walk(one)}
        for number, node in enumerate(_numbered(holder)):
            if number == 0 or node in passed:
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
                        line = getattr(node, "lineno", None) or min(_statement(holder, node), default=holder.lineno)
                        make = partial(setattr, function, "__code__", code)
                        yield Mutant(name, f"{name}.{place}", line, what, _statement(holder, node) or frozenset({line}), make)


def _rebind(name: str, old: Any, new: Any) -> None:
    for module in list(sys.modules.values()):
        if module is not None and getattr(module, "__dict__", {}).get(name) is old:
            setattr(module, name, new)


def _thinner(value: Any) -> Iterator[tuple[str, Any]]:
    """(what is gone and where; the table without it) for every entry of a table, and of the tables and lists of like things in it."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield str(key), {one: other for one, other in value.items() if one != key}
            yield from ((f"{where} of {key}", {**value, key: other}) for where, other in _thinner(entry))
    elif type(value) is tuple:
        for at, entry in enumerate(value):
            if len({type(one) for one in value}) == 1 and not callable(entry):
                yield str(entry), (*value[:at], *value[at + 1 :])
            yield from ((where, (*value[:at], other, *value[at + 1 :])) for where, other in _thinner(entry))
    elif isinstance(value, frozenset):
        yield from ((str(one), value - {one}) for one in sorted(value, key=str))


def _in_tables(name: str, module: Any, whole: ast.Module) -> Iterator[Mutant]:
    """A table with an entry less, a number one larger."""
    for node in whole.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
        if not isinstance(target, ast.Name) or target.id in WORDS_ONLY:
            continue
        value = getattr(module, target.id, None)
        others: list[tuple[str, Any]] = []
        if isinstance(value, frozenset | tuple | dict):
            others = [(f"without {where}", other) for where, other in _thinner(value)]
        elif type(value) is int:
            others = [(f"{value + 1} for {value}", value + 1)]
        for what, other in others:
            yield Mutant(
                name,
                f"{name}.{target.id}",
                node.lineno,
                " ".join(what.split())[:120],
                frozenset(),
                partial(_rebind, target.id, value, other),
            )


def mutants() -> list[Mutant]:
    """All of them, each with a name of its own."""
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for name in MODULES:
        module = importlib.import_module(name)
        whole = ast.parse(Path(module.__file__ or "").read_text())
        for one in (*_in_functions(name, module, whole), *_in_tables(name, module, whole)):
            seen[one.name] += 1
            again = f" ({seen[one.name]})" if seen[one.name] > 1 else ""
            found.append(Mutant(one.module, one.place, one.line, one.what + again, one.lines, one.make))
    return found


def accepted() -> dict[str, str]:
    """Name → reason of the mutants from which nothing follows."""
    lines = ACCEPTED.read_text().splitlines() if ACCEPTED.exists() else []
    return dict(line.rsplit(" # ", 1) for line in lines if line and not line.startswith("#"))  # type: ignore[misc]


class _Met:
    """Which lines of the mutated modules were met since the last question."""

    def __init__(self) -> None:
        self.files = {sys.modules[name].__file__: name for name in MODULES}
        self.lines: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = self.files.get(frame.f_code.co_filename)
        if name is None:
            return None
        self.lines.add((name, frame.f_lineno))
        return self._line

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        self.lines.add((self.files[frame.f_code.co_filename], frame.f_lineno))
        return self._line


def _in_child(work: Callable[[], int], seconds: int) -> int:
    """What `work` says in a child that nobody hears; -1 where it took too long or died."""
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(seconds)
        status = 250
        try:
            status = work()
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else -1


def _fails(items: list[Any]) -> int | None:
    """The first test that fails, by its place in the list."""
    from _pytest.runner import runtestprotocol

    for at, item in enumerate(items):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=items[at + 1] if at + 1 < len(items) else None)):
            return at
    return None


class _Trial:
    """Collects the tests once, without those that need a whole server, and runs some of them in a child for each mutant."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.status = chosen, 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if "house" not in item.fixturenames]

    def _learn(self, items: list[Any], file: Path) -> int:
        """Writes which test meets what, how long it takes and what is imported by all; 1 where one fails."""
        met, rows, wrong = _Met(), [], 0
        kept = [value.cache_clear for name in MODULES for value in vars(sys.modules[name]).values() if hasattr(value, "cache_clear")]
        for item in items:
            met.lines = set()
            for forget in kept:  # what an earlier test asked would not be met again
                forget()
            sys.settrace(met)
            threading.settrace(met)
            started = time.perf_counter()
            wrong |= _fails([item]) is not None
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            rows.append((time.perf_counter() - started, sorted(met.lines)))
        file.write_text(json.dumps({"rows": rows, "modules": sorted(sys.modules)}))
        return wrong

    def pytest_runtestloop(self, session: Any) -> bool:
        """In place of one run of the tests: one for each mutant."""
        items = session.items
        say = partial(print, file=sys.__stdout__ or sys.stdout, flush=True)
        every = mutants()
        with tempfile.TemporaryDirectory() as folder:
            learned = Path(folder, "met")
            if _in_child(lambda: self._learn(items, learned), 900) != 0:
                say("the tests fail without a mutant")
                self.status = 2
                return True
            known = json.loads(learned.read_text())
        for name in known["modules"]:  # what every child would import again
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        seconds = [took for took, _ in known["rows"]]
        by_line: dict[tuple[str, int], set[int]] = {}
        by_module: dict[str, set[int]] = {}
        for number, (_, lines) in enumerate(known["rows"]):
            for module, line in lines:
                by_line.setdefault((module, line), set()).add(number)
                by_module.setdefault(module, set()).add(number)
        made = [one for one in every if one.place.startswith(tuple(self.chosen.only.split(",")))]
        random.Random(self.chosen.seed).shuffle(made)
        if self.chosen.sample:
            made = made[: self.chosen.sample]
        if self.chosen.again:
            survived_before = {
                line.partition("] ")[2] for line in self.chosen.again.read_text().splitlines() if line.startswith("survived ")
            }
            made = [one for one in made if one.name in survived_before]
        say(f"{len(made)} of {len(every)} mutants, {len(items)} tests")
        reasons, kills, near = accepted(), Counter[int](), Counter[tuple[str, int]]()
        until = time.monotonic() + self.chosen.minutes * 60
        table: dict[str, Counter[str]] = {}
        for one in made:
            if time.monotonic() > until:
                say("stopped: the time is over")
                break
            fitting = (
                {test for line in one.lines for test in by_line.get((one.module, line), ())}
                if one.lines
                else by_module.get(one.module) or set(range(len(items)))
            )
            place = one.place
            order = sorted(
                fitting, key=lambda test: (-near[place, test], -min(kills[test], 20) if seconds[test] < 0.2 else 0, seconds[test])
            )
            killer = self._killer(one, items, order, seconds)
            if killer is not None:
                kills[killer] += 1
                near[place, killer] += 1
            what = "killed" if killer is not None else "accepted" if one.name in reasons else "survived"
            table.setdefault(one.module, Counter())[what] += 1
            if what == "survived":
                say(f"survived [{one.line}] {one.name}")
            elif what == "killed" and one.name in reasons:
                say(f"accepted, but a test notices it: {one.name}")
                self.status = 1
        names = {one.name for one in every}
        for name in reasons.keys() - names:
            say(f"accepted, but there is no such mutant: {name}")
            self.status = 1
        for module, counted in [*sorted(table.items()), ("all", sum(table.values(), Counter()))]:
            if module == next(iter(sorted(table)), ""):
                say(f"\n{'module':44}{'mutants':>9}{'killed':>9}{'accepted':>10}{'survivors':>11}")
            say(f"{module:44}{counted.total():9}{counted['killed']:9}{counted['accepted']:10}{counted['survived']:11}")
            self.status |= counted["survived"] > 0
        return True

    def _killer(self, one: Mutant, items: list[Any], order: list[int], seconds: list[float]) -> int | None:
        """The test that notices a mutant; -1 where it never ends."""
        if not order:
            return None
        reader, writer = os.pipe()

        def run() -> int:
            one.make()
            at = _fails([items[test] for test in order])
            if at is not None:
                os.write(writer, str(order[at]).encode())
            return 0

        status = _in_child(run, int(10 + 5 * sum(seconds[test] for test in order)))
        os.close(writer)
        with os.fdopen(reader) as answer:
            text = answer.read()
        return int(text) if text else -1 if status != 0 else None


def main() -> int:
    """Try mutants in a fixed random order until the time is over; 1 when one survived that is not accepted."""
    import pytest

    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--only", default="", help="places that begin so, with commas between them")
    parser.add_argument("--sample", type=int, help="so many only, as the seed draws them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, help="what an earlier run printed: only what survived it is tried")
    trial = _Trial(parser.parse_args())
    there = [test for test in TESTS if (ROOT / test).exists()]
    pytest.main(["--assert=plain", "-p", "no:cacheprovider", "-s", "-q", *there], plugins=[trial])
    return trial.status


if __name__ == "__main__":
    sys.exit(main())
