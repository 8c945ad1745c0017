"""Replays the first-parent history of the default branch under one or two policies, each step kept, so that it can be taken up again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

from bot.mirror.change import find
from bot.mirror.objects import GitTree, Objects
from bot.mirror.steps import Step, change_of, steps
from bot.review import policy_of
from checks.assess import ENGINE, assess, decide
from checks.effects import effects_of
from checks.evidence import OFFLINE
from checks.model import Assessment, Change, Effect, Report, Status
from checks.policy import Policy, read_policy

SHOWN = 8
"""Effects of one step that are kept, the worst first."""
TOGETHER = 10
"""Steps that a process judges in one go: neighbours share most of what they read."""
PROCESSES = 4
"""Processes at most: each takes some 150 MiB."""
FORMAT = "1"
"""Raised when a kept row has other fields."""

Progress = Callable[[int, int, int, float], None]
"""Told after each step: done, of how many, stopped so far, seconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One effect as a row keeps it."""

    rule: str
    hazard: str
    severity: str
    confidence: str
    environment: str
    subject: str
    path: str
    message: str
    needed: bool
    """Whether it is one of those that a proof is missing for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step, judged."""

    head: str
    base: str
    when: int
    title: str
    level: str
    agents: tuple[str, ...]
    files: int
    score: int
    band: str
    reached: int
    unmet: tuple[str, ...]
    """Safeguards that nothing in the change itself proves: empty means it would have passed at once."""
    summary: str
    effects: tuple[Seen, ...]
    count: int
    """All harmful effects."""
    milliseconds: float

    @property
    def stopped(self) -> bool:
        """Whether the gate would have waited for a proof."""
        return bool(self.unmet)

    @property
    def why(self) -> tuple[str, ...]:
        """The rules that stopped it."""
        return tuple(dict.fromkeys(effect.rule for effect in self.effects if effect.needed))


@dataclass(frozen=True, slots=True)
class Replay:
    """A replayed history, newest step first."""

    repository: str
    policy: str
    rows: tuple[Row, ...]
    proposed: tuple[Row, ...] = ()
    """The same steps under the proposed policy."""
    proposed_policy: str | None = None
    seconds: float = 0.0
    git_seconds: float = 0.0
    kept: int = 0
    """Rows that were there from an earlier run."""
    worst: Report | None = None
    """The step with the highest score, in full."""


class Rows:
    """Rows of earlier runs: a file of JSON lines per policy and engine, appended as they are made."""

    def __init__(self, directory: Path | None, policy: str) -> None:
        self._rows: dict[str, Row] = {}
        self._file: IO[str] | None = None
        if directory is None:
            return
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(f"{FORMAT} {ENGINE} {policy}".encode()).hexdigest()[:16]
        path = directory / f"backtest-{name}.jsonl"
        whole = True
        if path.exists():
            text = path.read_text(encoding="utf-8")
            whole = text.endswith("\n") or not text
            for line in text.splitlines():
                if (row := _row(line)) is not None:
                    self._rows[row.base + row.head] = row
        self._file = path.open("a", encoding="utf-8")
        if not whole:
            self._file.write("\n")

    def get(self, step: Step) -> Row | None:
        """The row of a step, if it was made before."""
        return self._rows.get(step.base + step.head)

    def put(self, row: Row) -> None:
        """Keep a row."""
        if self._file is not None:
            self._file.write(json.dumps(asdict(row), ensure_ascii=True) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Nothing more to keep."""
        if self._file is not None:
            self._file.close()


def _row(line: str) -> Row | None:
    """A kept row; None for a line that an interrupted run left half written."""
    try:
        return row_from(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def row_from(values: dict[str, Any]) -> Row:
    """A row from the plain values that `asdict` made of it. Raises `TypeError`, `KeyError` or `AttributeError` for others."""
    effects = tuple(Seen(**effect) for effect in values.pop("effects"))
    return Row(**{**values, "agents": tuple(values["agents"]), "unmet": tuple(values["unmet"]), "effects": effects})


def kept_in(directory: Path | None) -> Path:
    """Where rows are kept: as said, else in the user's cache directory."""
    return directory or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interlock"


def replay(
    directory: Path, last: int = 500, proposed: Path | None = None, cache: Path | None = None, progress: Progress | None = None
) -> Replay:
    """Replay a local repository under the policy on its default branch, and under `proposed`. Raises `RepositoryError` or `GitError`."""
    git_dir = find(directory)
    name = (git_dir.parent if git_dir.name in (".git", "repo") else git_dir).name
    other = policy_of(proposed) if proposed else None
    started = time.perf_counter()
    with Objects(git_dir) as objects:
        history = steps(objects, last)
        present = read_policy(GitTree(objects, history[0].head)) if history else Policy()
    policies = tuple(policy for policy in (present, other) if policy is not None)
    stores = [Rows(cache, policy.digest) for policy in policies]
    known = [[store.get(step) for store in stores] for step in history]
    missing = [at for at, rows in enumerate(known) if None in rows]
    jobs = [
        _Job(git_dir, name, policies, tuple(history[at] for at in missing[first : first + TOGETHER]))
        for first in range(0, len(missing), TOGETHER)
    ]
    done = len(history) - len(missing)
    stopped, git_seconds, left = sum(rows[-1].stopped for rows in known if rows[-1] is not None), 0.0, iter(missing)
    try:
        for made, seconds in _all_judged(jobs):
            git_seconds += seconds
            for rows in made:
                at = next(left)
                for store, row, kept in zip(stores, rows, known[at], strict=True):
                    if kept is None:
                        store.put(row)
                before = known[at][-1]
                stopped += rows[-1].stopped - (before is not None and before.stopped)
                known[at] = list(rows)
                done += 1
                if progress:
                    progress(done, len(history), stopped, time.perf_counter() - started)
    finally:
        for store in stores:
            store.close()
    columns = [tuple(row for row in column if row is not None) for column in zip(*known, strict=True)] or [()]
    return Replay(
        repository=name,
        policy=present.digest,
        rows=columns[0],
        proposed=columns[1] if len(columns) > 1 else (),
        proposed_policy=other.digest if other else None,
        seconds=time.perf_counter() - started,
        git_seconds=git_seconds,
        kept=len(history) - len(missing),
        worst=_worst(git_dir, name, history, columns[0], present),
    )


def _worst(git_dir: Path, name: str, history: Sequence[Step], rows: Sequence[Row], policy: Policy) -> Report | None:
    at = max(range(len(rows)), key=lambda at: rows[at].score, default=None)
    if at is None or not rows[at].effects:
        return None
    with Objects(git_dir) as objects:
        return decide(assess(change_of(objects, history[at], name), policy), OFFLINE, policy)


@dataclass(frozen=True, slots=True)
class _Job:
    """Some steps in a row, judged by one process."""

    git_dir: Path
    name: str
    policies: tuple[Policy, ...]
    steps: tuple[Step, ...]


def _all_judged(jobs: Sequence[_Job]) -> Iterator[tuple[list[tuple[Row, ...]], float]]:
    """The rows of each job, in order: by as many processes as there are processors, where there is enough to do."""
    processes = min(PROCESSES, os.cpu_count() or 1, len(jobs) // 2)
    if processes < 2:
        yield from map(_judge, jobs)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        yield from pool.map(_judge, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _judge(job: _Job) -> tuple[list[tuple[Row, ...]], float]:
    """The rows of a job, one for each policy, and the seconds spent in git."""
    rows, git_seconds = [], 0.0
    with Objects(job.git_dir) as objects:
        for step in job.steps:
            opened = time.perf_counter()
            change = change_of(objects, step, job.name)
            git_seconds += time.perf_counter() - opened
            found = effects_of(change)
            rows.append(tuple(_judged(change, step, policy, found) for policy in job.policies))
    return rows, git_seconds


def _judged(change: Change, step: Step, policy: Policy, found: Sequence[Effect]) -> Row:
    started = time.perf_counter()
    return row_of(change, step, policy, assess(change, policy, found), started)


def row_of(change: Change, step: Step, policy: Policy, assessment: Assessment, started: float) -> Row:
    """The row of a step that was assessed under `policy`; `started` by `time.perf_counter()`."""
    report = decide(assessment, OFFLINE, policy)
    needed = {effect for one in report.requirements if one.proof.status is not Status.MET for effect in one.effects}
    harmful = [effect for effect in assessment.effects if not effect.hazard.harmless]
    shown = sorted(harmful, key=lambda effect: effect.id not in needed)[:SHOWN]
    return Row(
        head=step.head,
        base=step.base,
        when=step.when,
        title=next(iter(_text(change.commits[0].message).splitlines()), "")[:200] if change.commits else "",
        level=assessment.attribution.level.value,
        agents=assessment.attribution.agents,
        files=len(change.files),
        score=assessment.risk.score,
        band=assessment.risk.band.value,
        reached=assessment.reach.files,
        unmet=report.verdict.unmet,
        summary=_text(report.verdict.summary),
        effects=tuple(_seen(effect, effect.id in needed) for effect in shown),
        count=len(harmful),
        milliseconds=round((time.perf_counter() - started) * 1000, 1),
    )


def _seen(effect: Effect, needed: bool) -> Seen:
    return Seen(
        effect.rule,
        effect.hazard.value,
        effect.severity.value,
        effect.confidence.value,
        effect.environment.value if effect.environment else "unknown",
        _text(effect.subject),
        _text(effect.path),
        _text(effect.message),
        needed,
    )


def _text(words: str) -> str:
    """Words that can be written as UTF-8."""
    return words.encode("utf-8", "backslashreplace").decode()


def scores(rows: Sequence[Row]) -> tuple[int, ...]:
    """The scores, for percentiles of later reviews."""
    return tuple(row.score for row in rows)


def as_rows(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows as plain values."""
    return (asdict(row) | {"stopped": row.stopped, "why": list(row.why)} for row in rows)
