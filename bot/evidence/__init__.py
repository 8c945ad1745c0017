"""Looks for the proof that an assessment asks for, and for nothing else. A question that GitHub did not answer is said to be unknown."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterable

from bot.evidence.checks import check_facts
from bot.evidence.coverage import coverage_facts
from bot.evidence.drills import drill_facts
from bot.evidence.environments import environment_facts
from bot.evidence.history import staged_removals
from bot.evidence.rules import branch_rules
from bot.github.client import ApiError, Repository
from bot.mirror.objects import Objects
from checks.evidence import ArtifactFact, BranchRules, CheckFact, CoverageFact, DrillFact, EnvironmentFact, Evidence
from checks.model import Assessment, Change, Status
from checks.policy import Policy

FROM_CHECKS = frozenset({"plan-verified", "migration-reversed", "check-required", "tests-exercised"})
"""Safeguards that a check run or artifact can prove."""


def wanted(assessment: Assessment) -> frozenset[str]:
    """The safeguards that are demanded and that the change alone does not prove."""
    given = {(name, effect) for name, effect, proof in assessment.proofs if proof.status is Status.MET}
    return frozenset(
        name
        for demand in assessment.demands
        for group in demand.groups
        for name in group
        if any((name, effect) not in given for effect in demand.effects)
    )


async def gather(
    assessment: Assessment,
    change: Change,
    objects: Objects,
    policy: Policy,
    repository: Repository,
    base_ref: str,
    gate_check: str,
    app_id: int,
    now: datetime.datetime,
) -> Evidence:
    """All facts that the demanded safeguards can use, for this head at this moment."""
    names = wanted(assessment)
    unknown: list[str] = []
    checks: tuple[CheckFact, ...] = ()
    artifacts: tuple[ArtifactFact, ...] = ()
    rules: BranchRules | None = None
    environments: tuple[EnvironmentFact, ...] | None = None
    sources = [source for name in names & FROM_CHECKS for source in policy.sources(name)]
    if sources:
        try:
            checks, artifacts = await check_facts(repository, change, sources)
        except ApiError as error:
            unknown.append(f"the checks of this head could not be read ({error.status or 'no answer'})")
    try:
        rules = await branch_rules(repository, base_ref)
    except ApiError as error:
        unknown.append(f"the rules of {base_ref} could not be read ({error.status or 'no answer'})")
    drills: tuple[DrillFact, ...] | None = None
    if "restore-proven" in names:
        try:
            drills = await drill_facts(repository, policy.sources("restore-proven"), base_ref)
        except ApiError as error:
            unknown.append(f"the runs of the restore drill could not be read ({error.status or 'no answer'})")
    coverage: tuple[CoverageFact, ...] = ()
    if artifacts and "tests-exercised" in names:
        named = {source.artifact for source in policy.sources("tests-exercised")}
        coverage = await asyncio.to_thread(coverage_facts, change, [one for one in artifacts if one.name in named])
    if "environment-protected" in names and any(effect.fact("job-environment") for effect in assessment.effects):
        try:
            environments = await environment_facts(repository)
        except ApiError as error:
            unknown.append(f"the environments could not be read ({error.status or 'no answer'})")
    staged = None
    if "deletion-staged" in names:
        subjects = _demanding(assessment, "deletion-staged")
        staged = await asyncio.to_thread(staged_removals, objects, change, subjects)
    return Evidence(
        connected=True,
        now=now,
        checks=checks,
        artifacts=artifacts,
        drills=drills,
        coverage=coverage,
        rules=rules,
        staged=staged,
        environments=environments,
        gate_check=gate_check,
        gate_app_id=app_id,
        unknown=tuple(unknown),
    )


def _demanding(assessment: Assessment, safeguard: str) -> list[tuple[str, str]]:
    """(path, subject) of the effects for which a safeguard is demanded."""
    ids: Iterable[str] = (
        effect for demand in assessment.demands if any(safeguard in group for group in demand.groups) for effect in demand.effects
    )
    wanted_ids = frozenset(ids)
    return [(effect.path, effect.subject) for effect in assessment.effects if effect.id in wanted_ids]
