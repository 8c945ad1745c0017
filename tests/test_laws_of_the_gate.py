"""Laws that hold for every decision, whatever was found and whatever is known: looked for with thousands of drawn cases."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.assess import assess, decide
from checks.evidence import (
    ArtifactFact,
    BranchRules,
    CheckFact,
    CoverageFact,
    DrillFact,
    EnvironmentFact,
    Evidence,
    Override,
    RequiredCheck,
    StagedRemoval,
)
from checks.model import Confidence, Effect, Hazard, Reversible, Severity, Side, State
from checks.policy import PATH, Exemption, Policy, Source, read_policy
from checks.safeguards.defaults import NAMES
from checks.safeguards.migration_reversed import SCHEMA as ROUND_TRIP
from checks.trees import MemoryTree
from tests.changes import HEAD, change_of

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
FLOW = ".github/workflows/proof.yml"
NAMED = Source(app="github-actions", workflow=FLOW, check="proof")
ARTIFACT = replace(NAMED, artifact="proof")
CHANGE = change_of({"infra/a.tf": "a"}, {"infra/a.tf": "b"})
POLICY = Policy(
    mode="enforce",
    evidence=(
        ("check-required", (NAMED,)),
        ("migration-reversed", (ARTIFACT,)),
        ("tests-exercised", (ARTIFACT,)),
        ("restore-proven", (replace(NAMED, check=None),)),
    ),
    overrides=("sam",),
)

effects = st.builds(
    lambda hazard, severity, subject, before, facts: Effect(
        rule="x/y",
        hazard=hazard,
        severity=severity,
        confidence=Confidence.CERTAIN,
        reversible=Reversible.NO,
        subject=subject,
        path="infra/a.tf",
        line=1,
        side=Side.HEAD,
        message="something is lost",
        before=before,
        facts=facts,
    ),
    st.sampled_from(Hazard),
    st.sampled_from(Severity),
    st.sampled_from(("a", "b", "b deletion")),
    st.sampled_from((None, "x")),
    st.sampled_from(
        ((), (("bounded", "a scope"),), (("contained", "a sandbox"),), (("table", "users"),), (("job-environment", "production"),))
    ),
)
checks = st.builds(
    lambda conclusion, latest, head, name: CheckFact(
        name, "github-actions", conclusion, head, None, FLOW, "pull_request", True, latest=latest, completed=NOW, app_id=15368
    ),
    st.sampled_from(("success", "success", "success", "failure", None)),
    st.sampled_from((True, True, False)),
    st.sampled_from((HEAD, HEAD, "c" * 40)),
    st.sampled_from(("proof", "other")),
)
HASHES = ("0" * 64, "1" * 64)
trips = st.builds(
    lambda check, down: ArtifactFact(
        "proof", json.dumps({"schema": ROUND_TRIP, "start": HASHES[0], "up": HASHES[1], "down": HASHES[down], "again": HASHES[1]}), check
    ),
    checks,
    st.integers(0, 1),
)
coverages = st.builds(lambda check, run: CoverageFact(check, 10, run), checks, st.sampled_from((10, 9)))
drills = st.builds(
    lambda conclusion, days: DrillFact(FLOW, conclusion, NOW - datetime.timedelta(days=days), "schedule", "main"),
    st.sampled_from(("success", "failure")),
    st.integers(0, 40),
)
staged = st.builds(
    lambda path, subject, hours: StagedRemoval(path, subject, "d" * 40, NOW - datetime.timedelta(hours=hours)),
    st.sampled_from(("infra/a.tf", "infra/b.tf")),
    st.sampled_from(("a", "b")),
    st.integers(0, 60),
)
rooms = st.builds(EnvironmentFact, st.just("production"), st.booleans(), st.booleans(), st.sampled_from((True, False, None)))


def some(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


evidences = st.builds(
    Evidence,
    connected=st.just(True),
    now=st.just(NOW),
    checks=some(checks),
    artifacts=some(trips),
    drills=st.none() | some(drills),
    coverage=some(coverages),
    staged=st.none() | some(staged),
    environments=st.none() | st.lists(rooms, max_size=1).map(tuple),
    rules=st.sampled_from(
        (None, BranchRules((RequiredCheck("proof", 15368), RequiredCheck("gate", 7)), ()), BranchRules((), ("someone",)))
    ),
    gate_check=st.just("gate"),
    gate_app_id=st.just(7),
)
many = settings(max_examples=80, deadline=None)


def judged(found: tuple[Effect, ...], evidence: Evidence, policy: Policy = POLICY) -> State:
    """The verdict on these effects."""
    return decide(assess(CHANGE, policy, found), evidence, policy).verdict.state


def overriding(evidence: Evidence, found: tuple[Effect, ...]) -> Evidence:
    """The same, where somebody let these effects pass."""
    given = tuple(Override(one.id, HEAD, NOW + datetime.timedelta(days=1), "a reason", "sam", "sam") for one in found)
    return replace(evidence, overrides=given)


@many
@given(some(effects), effects, evidences, st.booleans())
def test_one_more_effect_never_makes_a_verdict_milder(
    found: tuple[Effect, ...], more: Effect, evidence: Evidence, overridden: bool
) -> None:
    """What was red stays red, whatever else the change does, also where the two look the same; nor does pass become out of an override."""
    known = overriding(evidence, found) if overridden else evidence
    mildness = (State.BLOCKED, State.OVERRIDDEN, State.PASS)
    before, after = judged(found, known), judged((*found, more), known)
    assert mildness.index(after) <= mildness.index(before)


@many
@given(
    some(effects),
    evidences,
    st.sampled_from(("checks", "artifacts", "drills", "coverage", "staged", "environments", "rules", "overrides", "connected")),
)
def test_without_a_kind_of_evidence_nothing_turns_green(found: tuple[Effect, ...], evidence: Evidence, kind: str) -> None:
    """Whoever keeps facts from the gate gains nothing by it."""
    known = overriding(evidence, found[:1])
    empty: Any = False if kind == "connected" else None if kind in ("drills", "staged", "environments", "rules") else ()
    if judged(found, known) is State.BLOCKED:
        assert judged(found, replace(known, **{kind: empty})) is State.BLOCKED


@many
@given(some(effects), evidences, st.data())
def test_without_one_success_nothing_turns_green(found: tuple[Effect, ...], evidence: Evidence, data: st.DataObject) -> None:
    """A check that succeeded, a drill that ended well: taking it away never helps."""
    successes = [one for one in evidence.checks if one.conclusion == "success"]
    if successes and judged(found, evidence) is State.BLOCKED:
        gone = data.draw(st.sampled_from(successes))
        left = tuple(one for one in evidence.checks if one is not gone)
        ended = tuple(one for one in evidence.drills or () if one.conclusion != "success")
        assert judged(found, replace(evidence, checks=left)) is State.BLOCKED
        assert judged(found, replace(evidence, drills=ended)) is State.BLOCKED


@many
@given(some(effects), evidences, st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_does_not_matter(found: tuple[Effect, ...], evidence: Evidence, chance: Any) -> None:
    """GitHub lists things in no promised order: the same facts give the same verdict."""

    def shuffled(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return None if values is None else tuple(chance.sample(values, len(values)))

    kinds = ("checks", "artifacts", "drills", "coverage", "staged")
    other = replace(evidence, **{kind: shuffled(getattr(evidence, kind)) for kind in kinds})
    assert judged(shuffled(found) or (), other) is judged(found, evidence)


HAZARDS = [hazard for hazard in Hazard if not hazard.harmless]
wants = st.dictionaries(st.sampled_from([hazard.value for hazard in HAZARDS]), st.lists(st.sampled_from(NAMES), max_size=3), max_size=4)
people = st.lists(st.sampled_from(("sam", "robin", "eve")), min_size=1, max_size=3, unique=True)


@settings(max_examples=60, deadline=None)
@given(wants, wants, people, people, effects, st.sampled_from(("observe", "enforce")), st.sampled_from(("everyone", "ai-assisted")))
def test_a_policy_under_the_floor_never_wins(
    own: dict[str, list[str]], floor: dict[str, list[str]], who: list[str], allowed: list[str], one: Effect, mode: str, whose: str
) -> None:
    """Whatever a repository writes: all that the floor demands is demanded, nobody more may override, and it is enforced for everyone."""
    written = {
        "version": 1,
        "mode": mode,
        "applies_to": whose,
        "requirements": own,
        "overrides": {"who": who},
        "exceptions": [{"effect": one.id, "reason": "we would rather not", "expires": "2030-01-01"}],
        "evidence": {"check-required": {"check": "mine"}},
    }
    above = {
        "version": 1,
        "floor": {
            "mode": "enforce",
            "applies_to": "everyone",
            "requirements": floor,
            "overrides": {"who": allowed},
            "exceptions": "none",
            "evidence": {"check-required": {"app": "github-actions", "workflow": FLOW, "check": "ours"}},
        },
    }
    tip = MemoryTree({PATH: json.dumps(written).encode()})
    policy = read_policy(tip, json.dumps(above).encode())
    assert not policy.mistakes and policy.enforced and policy.applies_to == "everyone" and not policy.exceptions
    assert set(policy.overrides) == set(who) & set(allowed)
    assert policy.sources("check-required") == (Source(app="github-actions", workflow=FLOW, check="ours"),)
    assert {(name,) for name in floor.get(one.hazard.value, ())} <= set(policy.demanded(one)[0])


@many
@given(effects)
def test_an_exception_lets_pass_what_it_names_and_nothing_else(one: Effect) -> None:
    """Beside an effect that is excepted, every other one still needs its proof."""
    other = replace(one, subject="elsewhere", hazard=Hazard.DATA_DESTROYED, severity=Severity.CRITICAL, facts=())
    excepting = replace(POLICY, exceptions=(Exemption(one.id, "a reason", NOW.date()),))
    bare = Evidence(connected=True, now=NOW)
    assert judged((one,), bare, excepting) is State.PASS
    assert judged((one, other), bare, excepting) is State.BLOCKED
