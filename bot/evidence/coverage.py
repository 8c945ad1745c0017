"""Changed lines against what an artifact says that tests ran."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Set
from typing import Any

from checks.evidence import ArtifactFact, CoverageFact
from checks.model import Change, Unreadable
from checks.places import Place, place_of
from checks.readers.documents import plain_json

_TEST = re.compile(r"tests?[._-]|conftest\.|.*[._-](?:tests?|spec)\.")
"""Names of files that are tests themselves, whatever folder they stand in."""
SCHEMA = "interlock/coverage/1"
"""`files`: path → {"lines": those that can run, "run": those that tests ran}; `kinds`: endings of all files that the tests' report speaks of."""
LINES = 20_000
"""Lines of one file that are compared."""
PAIRS = 1_000_000
"""Pairs of equal lines that are compared between the first and the last difference; over it all lines between count as changed."""


def coverage_facts(change: Change, artifacts: Iterable[ArtifactFact]) -> tuple[CoverageFact, ...]:
    """For each artifact, how many of the changed lines that can run were run."""
    return tuple(_fact(change, artifact) for artifact in artifacts)


def _fact(change: Change, artifact: ArtifactFact) -> CoverageFact:
    try:
        files, kinds = _files(plain_json(artifact.content.encode(), artifact.name, 4 << 20))
        lines = run = 0
        missed: list[str] = []
        for path in sorted({one.path for one in change.files if one.new is not None and one.new.is_file} & files.keys()):
            able, ran = files[path]
            changed = changed_lines(change, path) & able
            lines, run = lines + len(changed), run + len(changed & ran)
            missed += [f"{path}:{line}" for line in sorted(changed - ran)]
    except Unreadable as unreadable:
        return CoverageFact(artifact.check, 0, 0, (), unreadable.why)
    unnamed = sorted(one.path for one in change.files if one.new is not None and one.path not in files and _runs(one.path, kinds))
    wrong = "it speaks of no file" if not kinds else f"it says nothing of {', '.join(unnamed[:3])}" if unnamed else None
    return CoverageFact(artifact.check, lines, run, tuple(missed[:20]), wrong)


def _runs(path: str, kinds: Set[str]) -> bool:
    """Whether a file is of a kind that the artifact speaks of, and no test itself."""
    name = path.rpartition("/")[2].lower()
    return name.rpartition(".")[2] in kinds and place_of(path) is not Place.TEST and not _TEST.match(name)


def _files(value: Any) -> tuple[dict[str, tuple[frozenset[int], frozenset[int]]], frozenset[str]]:
    """Path → (lines that can run, lines that ran), and the endings that are spoken of. Raises `Unreadable`."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not isinstance(value.get("files"), dict):
        raise Unreadable("coverage", f"it is no {SCHEMA}")
    found: dict[str, tuple[frozenset[int], frozenset[int]]] = {}
    for path, one in value["files"].items():
        lists = [one.get("lines"), one.get("run")] if isinstance(one, dict) else [None]
        if not all(isinstance(lines, list) and all(type(line) is int for line in lines) for lines in lists):
            raise Unreadable("coverage", f"the lines of {path[:100]} are no lists of numbers")
        found[path] = (frozenset(lists[0] or ()), frozenset(lists[1] or ()))
    kinds = value.get("kinds", [])
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise Unreadable("coverage", "its kinds are no list of endings")
    return found, frozenset(kinds) | {path.rpartition(".")[2] for path in found if "." in path}


def changed_lines(change: Change, path: str) -> frozenset[int]:
    """The numbers of the lines at head that are new or other than at base. Raises `Unreadable` over the limit."""
    file = change.by_path[path]
    before, after = (change.base_bytes(file) or b"").split(b"\n"), (change.head_bytes(file) or b"").split(b"\n")
    if len(before) > LINES or len(after) > LINES:
        raise Unreadable(path, f"more than {LINES:,} lines")
    same = _alike(before, after)
    before, after = before[same:], after[same:]
    tail = _alike(before[::-1], after[::-1])
    before, after = before[: len(before) - tail], after[: len(after) - tail]
    times = Counter(after)
    if sum(number * times[line] for line, number in Counter(before).items()) > PAIRS:
        return frozenset(range(same + 1, same + len(after) + 1))
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return frozenset(same + line + 1 for kind, _, _, start, end in blocks if kind in ("insert", "replace") for line in range(start, end))


def _alike(one: list[bytes], other: list[bytes]) -> int:
    """How many lines at the start are the same."""
    return next((number for number, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other)))
