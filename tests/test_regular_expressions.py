"""No regular expression of the project can be made to take for ever by a short text: every one of them is tried on texts that repeat its own parts."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from re import _constants as kinds  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

import bot
import checks

LENGTH = 2000
"""Characters of a text: what grows with its cube or worse takes longer than the limit."""
SECONDS = 3.0
"""Of computing, for one text."""
TRIES = 4
LETTERS = " a1_-.,\n\t/:\"'=@*x(){}[]\\$#<>;|&%+~^!?0Z"
REPEATS = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)
CALLS = frozenset({"compile", "search", "match", "fullmatch", "finditer", "findall", "sub", "split"})
CLASSES = {kinds.CATEGORY_DIGIT: r"\d", kinds.CATEGORY_NOT_DIGIT: r"\D", kinds.CATEGORY_SPACE: r"\s", kinds.CATEGORY_NOT_SPACE: r"\S",
           kinds.CATEGORY_WORD: r"\w", kinds.CATEGORY_NOT_WORD: r"\W"}  # fmt: skip


def modules() -> Iterator[ModuleType]:
    """Every module of the project."""
    for package in (checks, bot):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def held(value: Any, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    """The expressions in a value and in what it holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 5 and isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from held(item, depth + 1)
    elif depth < 5 and isinstance(value, dict):
        for key, item in value.items():
            yield from (*held(key, depth + 1), *held(item, depth + 1))
    elif depth < 5 and hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for name in value.__dataclass_fields__:
            yield from held(getattr(value, name, None), depth + 1)


def written(module: ModuleType) -> Iterator[re.Pattern[Any]]:
    """The expressions that stand in a module's calls."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS and node.args:
            first = node.args[0]
            named = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
            if named and isinstance(first, ast.Constant) and isinstance(first.value, (str, bytes)):
                yield re.compile(first.value)


def everything() -> dict[str, tuple[str, re.Pattern[Any]]]:
    """Each expression once, with a place where it stands."""
    found: dict[str, tuple[str, re.Pattern[Any]]] = {}
    for module in modules():
        for value in (*vars(module).values(), *written(module)):
            for pattern in held(value):
                found.setdefault(f"{pattern.pattern!r} {pattern.flags}", (module.__name__, pattern))
    return found


def repeated(tree: Any) -> Iterator[Any]:
    """The parts of an expression that may repeat without end."""
    for node in tree:
        kind, value = node
        if kind in REPEATS:
            if value[1] is kinds.MAXREPEAT or value[1] > 50:
                yield node
            yield from repeated(value[2])
        elif kind is kinds.SUBPATTERN:
            yield from repeated(value[3])
        elif kind is kinds.BRANCH:
            for branch in value[1]:
                yield from repeated(branch)
        elif kind is kinds.ATOMIC_GROUP:
            yield from repeated(value)


def fits(choices: Any, letter: str) -> bool:
    """Whether a set of an expression takes a letter."""
    found = negated = False
    for kind, value in choices:
        negated |= kind is kinds.NEGATE
        found |= kind is kinds.LITERAL and ord(letter) == value
        found |= kind is kinds.RANGE and value[0] <= ord(letter) <= value[1]
        found |= kind is kinds.CATEGORY and re.match(CLASSES[value], letter) is not None
    return found != negated


def text(tree: Any, chance: random.Random, pumped: Any, groups: dict[int, str]) -> str:
    """A text that the expression takes for the most part, with one part of it repeated to the length."""
    out = ""
    for node in tree:
        kind, value = node
        if kind is kinds.LITERAL:
            out += chr(value)
        elif kind is kinds.NOT_LITERAL:
            out += next(letter for letter in LETTERS if ord(letter) != value)
        elif kind is kinds.ANY:
            out += chance.choice("a 1/")
        elif kind is kinds.IN:
            good = [letter for letter in LETTERS if fits(value, letter)]
            out += (
                chance.choice(good[:6])
                if good
                else chr(next(low if one is kinds.LITERAL else low[0] for one, low in value if one in (kinds.LITERAL, kinds.RANGE)))
            )
        elif kind is kinds.BRANCH:
            out += text(chance.choice(value[1]), chance, pumped, groups)
        elif kind is kinds.SUBPATTERN:
            groups[value[0]] = text(value[3], chance, pumped, groups)
            out += groups[value[0]]
        elif kind is kinds.ATOMIC_GROUP:
            out += text(value, chance, pumped, groups)
        elif kind is kinds.GROUPREF:
            out += groups.get(value, "")
        elif kind in REPEATS:
            least, most, inner = value
            if node is not pumped:
                out += "".join(
                    text(inner, chance, pumped, groups) for _ in range(min(max(least, chance.choice((0, 1, 1, 2, 5))), int(most)))
                )
            elif chance.random() < 0.6:
                once = text(inner, chance, pumped, groups) or "a"
                out += once * min(max(least, LENGTH // len(once)), int(most))
            else:
                out += "".join(text(inner, chance, pumped, groups) for _ in range(min(max(least, LENGTH // 4), int(most))))[:LENGTH]
    return out


class TooLong(Exception):
    """A text was looked through for too long."""


def too_long(*_: object) -> None:
    raise TooLong


def slow_text(pattern: re.Pattern[Any]) -> str | None:
    """A text that an expression takes too long for, or None."""
    source = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    tree = parser.parse(source, pattern.flags & ~re.DEBUG)
    for pumped in repeated(tree):
        for seed in range(TRIES):
            tried = text(tree, random.Random(seed), pumped, {})[: LENGTH + 400]
            for words in (f"{tried}\x01", f"{tried}\n\x01", f"{tried[: LENGTH // 2]}\x01"):
                subject = words.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else words
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                try:
                    pattern.search(subject)
                except TooLong:
                    return words
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None


@pytest.mark.slow
def test_no_expression_can_be_made_to_take_for_ever() -> None:
    """A text of two thousand characters, made for an expression to go wrong on, is looked through within three seconds of computing, a hundred times what the square of its length takes."""
    before = signal.signal(signal.SIGVTALRM, too_long)
    try:
        slow_ones = {
            f"{place}: {pattern.pattern!r}": found for place, pattern in everything().values() if (found := slow_text(pattern)) is not None
        }
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert slow_ones == {}


def test_an_expression_that_would_is_found() -> None:
    """The search itself finds what is known to take for ever, and not what only looks like it."""
    before = signal.signal(signal.SIGVTALRM, too_long)
    try:
        assert slow_text(re.compile(r"^(?:\w+[-_]?)*!")) is not None
        assert slow_text(re.compile(rb"^m:\n(?:[ \t]+(?!n:).*\n)*?[ \t]+n:")) is not None
        assert slow_text(re.compile(rb"^m:\n(?:[ \t]++(?!n:).*\n)*?[ \t]+n:")) is None
    finally:
        signal.signal(signal.SIGVTALRM, before)
