"""What the bypass suite shares: a repository to attack, a strict policy, and the words for what the gate says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.review import review
from checks.assess import assess, decide
from checks.evidence import OFFLINE
from checks.model import Hazard, Report, State
from checks.policy import read_policy
from tests.changes import change_of
from tests.house import DATABASE, ENFORCE, TOPIC
from tests.repositories import Repository

STRICT = ENFORCE + "requirements:\n" + "".join(f"  {hazard.value}: [gate-enforced]\n" for hazard in Hazard if not hazard.harmless)
"""A policy under which every effect, however small, is red offline: what passes was not seen at all."""
POLICY = ".github/interlock.yml"
START = {"infra/prod/main.tf": DATABASE + TOPIC, "db/migrations/001_users.sql": "CREATE TABLE users (id int, name text);\n", POLICY: STRICT}
DROP = "DROP TABLE users;\n"
MIGRATION = "db/migrations/002_next.sql"

Files = Mapping[str, str | bytes | tuple[bytes, int] | None]


def judged(after: Files, before: Files | None = None, policy: str = STRICT) -> Report:
    """What the gate says of a change between two sets of files, laid over the repository to attack."""
    base = {**START, POLICY: policy, **(before or {})}
    head = {**base, **after}
    change = change_of(
        {name: content for name, content in base.items() if content is not None},  # type: ignore[misc]
        {name: content for name, content in head.items() if content is not None},  # type: ignore[misc]
    )
    read = read_policy(change.tip)
    return decide(assess(change, read), OFFLINE, read)


def rules(report: Report) -> set[str]:
    """The rules of all effects."""
    return {effect.rule for effect in report.assessment.effects}


def red(report: Report) -> bool:
    """Whether the gate holds."""
    return report.verdict.state is State.BLOCKED


def repository(folder: Path, files: Files | None = None) -> Repository:
    """The repository to attack, on disk, with a branch `evil` checked out."""
    made = Repository(folder / "shop")
    made.commit({**START, **(files or {})}, "Start")  # type: ignore[arg-type]
    made.branch("evil")
    return made


def reviewed(made: Repository, base: str = "main", head: str = "evil") -> Report:
    """What the gate says of a branch."""
    return review(made.folder, base, head)
