"""What was found outside the two trees: facts as GitHub and the base branch state them, each with what binds it.

The gathering is `bot.evidence`; here are only the values. A fact that could not be had is None or named in `unknown`, never left out.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CheckFact:
    """A check run on the head commit."""

    name: str
    app: str
    """Slug of the App that made it."""
    conclusion: str | None
    """None while it runs."""
    head: str
    url: str | None = None
    workflow: str | None = None
    """Path of the workflow whose job it is; None for another App's check."""
    event: str | None = None
    same_as_base: bool | None = None
    """Whether the workflow file, and what it calls inside the repository, has the same content at head as on the base branch."""
    same_repository: bool = True
    """False for a run of a fork."""
    latest: bool = True
    """Whether it is of the newest attempt."""
    from_run: bool = True
    """Whether the check really is a job of that run (a token can post a check of any name)."""
    completed: datetime.datetime | None = None
    app_id: int | None = None
    """Number of the App that made it, as the branch's rules name it; None where GitHub does not say."""


@dataclass(frozen=True, slots=True)
class ArtifactFact:
    """A file that a trusted run published."""

    name: str
    content: str
    check: CheckFact


@dataclass(frozen=True, slots=True)
class DrillFact:
    """A finished run of a workflow on the branch that the change wants to land on: no proof of a head, but of a practice."""

    workflow: str
    conclusion: str | None
    completed: datetime.datetime | None
    event: str
    branch: str
    same_repository: bool = True
    job: str | None = None
    """The job that the policy names; None where it names none."""
    url: str | None = None
    record: str | None = None
    """What the artifact that the policy names says; empty where the run published none, None where the policy names none."""


@dataclass(frozen=True, slots=True)
class CoverageFact:
    """Which of the changed lines that can run were run, as an artifact of a run on the head tells it."""

    check: CheckFact
    lines: int
    """Changed lines that can run."""
    run: int
    missed: tuple[str, ...] = ()
    """The first few that were not, as `path:line`."""
    wrong: str | None = None
    """Why the artifact cannot be read."""


@dataclass(frozen=True, slots=True)
class RequiredCheck:
    """A check that the branch's rules force."""

    context: str
    app_id: int | None
    """The App it must come from; None if any will do."""


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What the base branch forces."""

    required: tuple[RequiredCheck, ...] = ()
    bypass: tuple[str, ...] | None = None
    """Who may bypass, in words; None where GitHub does not say."""
    strict: bool = False
    """Whether a pull request must be up to date with its base."""
    queue: bool = False
    """Whether a merge queue is in force."""


@dataclass(frozen=True, slots=True)
class StagedRemoval:
    """When the base branch took a protection off a thing, in an earlier change."""

    path: str
    subject: str
    commit: str
    when: datetime.datetime


@dataclass(frozen=True, slots=True)
class Override:
    """Someone whom the policy names lets an effect pass on one head, for a while and with a reason."""

    effect: str
    head: str
    until: datetime.datetime
    reason: str
    by: str
    under: str
    """The entry of the policy that allows it: a login or `@org/team`."""


@dataclass(frozen=True, slots=True)
class EnvironmentFact:
    """A GitHub deployment environment and what protects it."""

    name: str
    protected: bool
    """By reviewers or a branch policy, not by a wait alone."""
    reviewers: bool = False
    admins_bypass: bool | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All facts for one head at one moment."""

    connected: bool = False
    """False offline: then what needs GitHub is unknown, not missing."""
    now: datetime.datetime = field(default=datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc))  # noqa: UP017
    checks: tuple[CheckFact, ...] = ()
    artifacts: tuple[ArtifactFact, ...] = ()
    drills: tuple[DrillFact, ...] | None = None
    coverage: tuple[CoverageFact, ...] = ()
    rules: BranchRules | None = None
    staged: tuple[StagedRemoval, ...] | None = None
    environments: tuple[EnvironmentFact, ...] | None = None
    overrides: tuple[Override, ...] = ()
    gate_check: str | None = None
    """Name of Interlock's own gate on this branch."""
    gate_app_id: int | None = None
    unknown: tuple[str, ...] = ()
    """What could not be looked up, a sentence each."""


OFFLINE = Evidence()
"""No GitHub: nothing was looked up."""
