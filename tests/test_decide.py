"""The decision, on values alone: which proof makes which verdict. Each test states one rule of the gate."""

from __future__ import annotations

import datetime
import itertools
import json
import sys
from dataclasses import replace

import pytest

from checks import safeguards
from checks.assess import NEVER_OVERRIDDEN, assess, decide, exempted, placed
from checks.detectors.base import Watch, not_analysed
from checks.evidence import OFFLINE, CheckFact, DrillFact, EnvironmentFact, Evidence, Override, StagedRemoval
from checks.model import (
    Account,
    Analysis,
    Assessment,
    Attribution,
    Change,
    Confidence,
    Demand,
    Effect,
    Environment,
    Hazard,
    Level,
    Mistake,
    NotAnalysed,
    Proof,
    Pull,
    Reach,
    Reversible,
    Severity,
    Side,
    State,
    Status,
    Summary,
    Unreadable,
)
from checks.plans import PlanDigest, Planned
from checks.policy import BUILT_IN, PATH, Exemption, Policy, Source, read_policy
from checks.risk import risk_of
from checks.safeguards.base import authentic, from_checks
from checks.safeguards.plan_verified import shown_as_kept
from checks.safeguards.restore_proven import SCHEMA as RESTORE
from checks.trees import MemoryTree
from tests.changes import BASE, HEAD, change_of
from tests.house import TOPIC

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
ENFORCED = Policy(mode="enforce")


def effect(hazard: Hazard = Hazard.DATA_DESTROYED, severity: Severity = Severity.HIGH, subject: str = "a", **more: object) -> Effect:
    """An effect without a detector."""
    values = {
        "rule": "x/y",
        "path": "infra/a.tf",
        "confidence": Confidence.CERTAIN,
        "reversible": Reversible.NO,
        "side": Side.HEAD,
        "line": 1,
    }
    return Effect(hazard=hazard, severity=severity, subject=subject, message=f"{subject} is lost", **{**values, **more})  # type: ignore[arg-type]


def assessed(
    *effects: Effect,
    groups: tuple[tuple[str, ...], ...] = (("state-kept",),),
    proofs: tuple[tuple[str, str, Proof], ...] = (),
    **more: object,
) -> Assessment:
    """An assessment in which each effect demands these groups."""
    demands = tuple(Demand((one.id,), groups, one.hazard.value) for one in effects) if groups else ()
    reach = Reach(files=1)
    values = {
        "change": Summary("acme/shop", BASE, BASE, HEAD, 1, 1, 1),
        "policy": "default",
        "attribution": Attribution(),
        "effects": effects,
        "reach": reach,
        "risk": risk_of(effects, reach, Attribution()),
        "demands": demands,
        "analysis": Analysis(files=1, analysed=1, not_analysed=(), milliseconds=1),
        "mistakes": (),
        "proofs": proofs,
        "agents": (),
    }
    return Assessment(**{**values, **more})  # type: ignore[arg-type]


def state(assessment: Assessment, evidence: Evidence = OFFLINE, policy: Policy = ENFORCED) -> State:
    """The verdict's state."""
    return decide(assessment, evidence, policy).verdict.state


KEPT = Proof(Status.MET, "removed without destroying")


def test_nothing_to_prove_passes() -> None:
    """No effect, or effects that demand nothing: pass."""
    assert state(assessed()) is State.PASS and state(assessed(effect(), groups=())) is State.PASS


@pytest.mark.parametrize("status", list(Status))
def test_only_met_is_proof(status: Status) -> None:
    """Missing, failed and unknown are no proof."""
    one = effect()
    given = assessed(one, proofs=(("state-kept", one.id, Proof(status, "x")),))
    assert state(given) is (State.PASS if status is Status.MET else State.BLOCKED)


def test_every_group_needs_one_of_its_safeguards() -> None:
    """Of a group one is enough; of two groups both are needed."""
    one = effect()
    both = (("state-kept", "change-isolated"), ("privilege-bounded",))
    kept, bounded = ("state-kept", one.id, KEPT), ("privilege-bounded", one.id, KEPT)
    assert state(assessed(one, groups=both[:1], proofs=(kept,))) is State.PASS
    assert state(assessed(one, groups=both, proofs=(kept,))) is State.BLOCKED
    assert state(assessed(one, groups=both, proofs=(bounded,))) is State.BLOCKED
    assert state(assessed(one, groups=both, proofs=(kept, bounded))) is State.PASS


def test_every_effect_needs_its_own_proof() -> None:
    """A proof of one effect is none of another."""
    one, two = effect(), effect(subject="b")
    assert state(assessed(one, two, proofs=(("state-kept", one.id, KEPT),))) is State.BLOCKED
    assert state(assessed(one, two, proofs=tuple(("state-kept", each.id, KEPT) for each in (one, two)))) is State.PASS
    report = decide(assessed(one, two, proofs=(("state-kept", one.id, KEPT),)), OFFLINE, ENFORCED)
    assert [requirement.effects for requirement in report.requirements if requirement.proof.status is not Status.MET] == [(two.id,)]


def test_observe_mode_says_and_does_not_stop() -> None:
    """The same open requirement is observed; a mistake in the policy stops even there."""
    assert state(assessed(effect()), policy=BUILT_IN) is State.OBSERVED
    wrong = assessed(mistakes=(Mistake(PATH, 1, "no such key"),))
    assert state(wrong, policy=BUILT_IN) is State.BLOCKED and state(wrong) is State.BLOCKED
    assert decide(wrong, OFFLINE, BUILT_IN).verdict.unmet == ("policy",)


def test_a_list_of_files_that_is_not_whole_is_never_green() -> None:
    """What could not even be listed blocks without any effect; a file that was told has an effect of its own."""
    whole = Analysis(files=1, analysed=1, not_analysed=(NotAnalysed("", "too many files"),), milliseconds=1)
    assert state(assessed(analysis=whole)) is State.BLOCKED
    assert decide(assessed(analysis=whole), OFFLINE, ENFORCED).verdict.unmet == ("analysis",)
    assert decide(assessed(effect(), analysis=whole), OFFLINE, ENFORCED).verdict.unmet == ("state-kept",)
    named = Analysis(files=1, analysed=0, not_analysed=(NotAnalysed("a.tf", "no HCL"),), milliseconds=1)
    assert state(assessed(analysis=named)) is State.PASS
    none = replace(assessed(analysis=whole), change=Summary("acme/shop", BASE, BASE, HEAD, 0, 0, 0))
    assert state(none) is State.PASS


@pytest.mark.parametrize(("day", "green"), [(21, True), (22, True), (23, False)])
def test_an_exception_ends_with_its_day(day: int, green: bool) -> None:
    """It counts through its last day in UTC, for its effect alone."""
    one = effect()
    policy = replace(ENFORCED, exceptions=(Exemption(one.id, "moves", datetime.date(2026, 11, 22)),))
    evidence = replace(OFFLINE, now=datetime.datetime(2026, 11, day, 23, 59, tzinfo=datetime.UTC))
    assert (state(assessed(one), evidence, policy) is State.PASS) is green
    assert (one.id in exempted(policy, evidence)) is green
    assert state(assessed(effect(subject="b")), evidence, policy) is State.BLOCKED


def overridden(
    hazard: Hazard = Hazard.DATA_DESTROYED,
    who: tuple[str, ...] = ("sam",),
    mode: str = "enforce",
    analysis: Analysis | None = None,
    mistakes: tuple[Mistake, ...] = (),
    **change: object,
) -> State:
    """The verdict on one effect that an override lets pass, unless something is changed."""
    one = effect(hazard)
    values = {"effect": one.id, "head": HEAD, "until": NOW + datetime.timedelta(seconds=1), "reason": "copied", "by": "sam", "under": "sam"}
    given = Override(**{**values, **change})  # type: ignore[arg-type]
    more = {"analysis": analysis} if analysis else {}
    return state(assessed(one, mistakes=mistakes, **more), replace(OFFLINE, now=NOW, overrides=(given,)), Policy(mode=mode, overrides=who))


def test_an_override_is_bound() -> None:
    """To the effect, the head, the time, who may, and a policy that is enforced and right."""
    assert overridden() is State.OVERRIDDEN
    for change in ({"effect": "0" * 16}, {"head": "c" * 40}, {"until": NOW}, {"under": "eve"}, {"who": ()}):
        assert overridden(**change) is State.BLOCKED, change  # type: ignore[arg-type]
    assert overridden(mode="observe") is State.OBSERVED
    assert overridden(mistakes=(Mistake(PATH, 1, "x"),)) is State.BLOCKED
    unlisted = Analysis(files=1, analysed=1, not_analysed=(NotAnalysed("", "x"),), milliseconds=1)
    assert overridden(analysis=unlisted) is State.BLOCKED
    named = Analysis(files=1, analysed=0, not_analysed=(NotAnalysed("a", "x"),), milliseconds=1)
    assert overridden(analysis=named) is State.OVERRIDDEN


@pytest.mark.parametrize("hazard", list(Hazard))
def test_who_may_decide_is_never_overridden(hazard: Hazard) -> None:
    """The gate's own ground and the limits of agents are overridden by nobody."""
    assert overridden(hazard) is (State.BLOCKED if hazard in NEVER_OVERRIDDEN else State.OVERRIDDEN)
    assert {Hazard.GATE_CHANGED, Hazard.AGENT_WIDENED, Hazard.AGENT_UNGUARDED} == NEVER_OVERRIDDEN


def test_every_open_effect_needs_its_override() -> None:
    """One override beside an effect without one changes nothing; a proven effect needs none."""
    one, two = effect(), effect(subject="b")
    given = Override(one.id, HEAD, NOW + datetime.timedelta(1), "copied", "sam", "sam")
    policy, evidence = Policy(mode="enforce", overrides=("sam",)), replace(OFFLINE, now=NOW, overrides=(given,))
    assert state(assessed(one, two), evidence, policy) is State.BLOCKED
    assert state(assessed(one, two, proofs=(("state-kept", two.id, KEPT),)), evidence, policy) is State.OVERRIDDEN
    assert state(assessed(two, proofs=(("state-kept", two.id, KEPT),)), evidence, policy) is State.PASS


# Assessing

DATABASE = 'resource "aws_db_instance" "main" {\n  identifier = "shop"\n}\n'


def destroying(path: str = "infra/main.tf", author: Account | None = None, message: str = "Change") -> Change:
    """A change that destroys a database."""
    pull = Pull(1, "Change", "", author, "main", "work") if author else None
    return change_of({path: DATABASE + TOPIC}, {path: TOPIC}, pull=pull, message=message)


def test_where_an_effect_happens_steps_its_severity() -> None:
    """Development makes it milder by one step, except where it acts on the repository itself."""
    near, far = effect(path="infra/dev/a.tf"), effect(path="infra/prod/a.tf")
    assert placed(near, ENFORCED).severity is Severity.MODERATE and placed(near, ENFORCED).environment is Environment.DEVELOPMENT
    assert placed(far, ENFORCED).severity is Severity.HIGH and placed(far, ENFORCED).environment is Environment.PRODUCTION
    for hazard in (
        Hazard.GATE_CHANGED,
        Hazard.NOT_ANALYSED,
        Hazard.AGENT_WIDENED,
        Hazard.AGENT_UNGUARDED,
        Hazard.PIPELINE_WIDENED,
        Hazard.CHECK_WEAKENED,
        Hazard.SECRET_EXPOSED,
        Hazard.SUPPLY_CHANGED,
    ):
        assert placed(replace(near, hazard=hazard), ENFORCED).severity is Severity.HIGH


SPINE = sys.modules[assess.__module__]


@pytest.fixture
def automatic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change is taken for one that automation wrote."""
    monkeypatch.setattr(SPINE, "attribute", lambda change: Attribution(Level.AUTOMATION))


BOT, PERSON = Account("renovate[bot]", 5, "Bot"), Account("robin", 6, "User")


@pytest.mark.usefixtures("automatic")
@pytest.mark.parametrize(("author", "spared"), [(BOT, True), (PERSON, False), (None, False)])
def test_a_policy_for_agents_spares_known_robots_alone(author: Account | None, spared: bool) -> None:
    """`applies_to: ai-assisted`: an account of GitHub's type Bot that is known to be automation is left alone, everyone else counts as assisted."""
    policy = Policy(mode="enforce", applies_to="ai-assisted", requirements=(("data.destroyed", None, (("state-kept",),)),))
    found = effect()
    made = assess(destroying(author=author), policy, [found])
    assert (not made.demands) is spared
    assert assess(destroying(author=author), replace(policy, applies_to="everyone"), [found]).demands


def test_a_robot_that_an_agent_works_for_is_not_spared() -> None:
    """No evidence of automation, or evidence of an agent: the policy for agents applies, whatever type the account has."""
    policy = Policy(mode="enforce", applies_to="ai-assisted", requirements=(("data.destroyed", None, (("state-kept",),)),))
    assert assess(destroying(author=BOT, message="Change\n\nCo-Authored-By: Claude <noreply@anthropic.com>"), policy, [effect()]).demands


@pytest.mark.usefixtures("automatic")
@pytest.mark.parametrize("hazard", list(Hazard))
def test_what_is_demanded_of_a_robot_all_the_same(hazard: Hazard) -> None:
    """The gate's ground, what was not analysed, and everything critical are demanded of everyone; harmless effects of nobody."""
    policy = Policy(mode="enforce", applies_to="ai-assisted", requirements=((hazard.value, None, (("state-kept",),)),))
    high, critical = effect(hazard), effect(hazard, Severity.CRITICAL)
    always = hazard in (Hazard.GATE_CHANGED, Hazard.NOT_ANALYSED)
    assert bool(assess(destroying(author=BOT), policy, [high]).demands) is (always and not hazard.harmless)
    assert bool(assess(destroying(author=BOT), policy, [critical]).demands) is (not hazard.harmless)


def test_effects_with_the_same_demand_stand_together() -> None:
    """Each effect once, all of them, under what says so."""
    one, two, other = effect(), effect(subject="b"), effect(Hazard.EXPOSURE_WIDENED, subject="c")
    policy = Policy(
        mode="enforce", requirements=(("data.destroyed", None, (("state-kept",),)), ("exposure.widened", None, (("privilege-bounded",),)))
    )
    demands = assess(destroying(), policy, [one, two, other]).demands
    assert {(frozenset(demand.effects), demand.groups, demand.because) for demand in demands} == {
        (frozenset({one.id, two.id}), (("state-kept",),), "data.destroyed"),
        (frozenset({other.id}), (("privilege-bounded",),), "exposure.widened"),
    }


class Refusing(Watch):
    """Refuses one step."""

    def __init__(self, step: str) -> None:
        self.step = step

    def refuses(self, detector: str, members: object) -> str | None:
        return "took too long" if detector == self.step else None


@pytest.mark.parametrize("step", ["attribution", "reach", "agents"])
def test_a_step_that_is_refused_blocks_and_the_rest_stands(step: str) -> None:
    """What could not be worked out is an effect that demands proof; the other effects are there."""
    made = assess(destroying(), ENFORCED, watch=Refusing(step))
    assert {"engine/not-analysed", "terraform/resource-destroyed"} <= {one.rule for one in made.effects}
    assert state(made) is State.BLOCKED and not made.analysis.complete
    assert made.reach.truncated is (step == "reach")
    assert not [one for one in assess(destroying(), ENFORCED).effects if one.hazard is Hazard.NOT_ANALYSED]


@pytest.mark.parametrize(
    ("error", "blocks"), [(RuntimeError("x"), True), (RecursionError(), True), (Unreadable("a.tf", "too large"), False)]
)
@pytest.mark.parametrize("step", ["attribute", "reach_of", "_agents"])
def test_a_step_that_fails_is_told_and_the_rest_stands(step: str, error: Exception, blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash blocks, a limit that was met is only told; either way the other effects are there."""

    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(SPINE, step, fail)
    one = effect(severity=Severity.LOW)
    made = assess(destroying(), ENFORCED, [one])
    assert one.id in {other.id for other in made.effects} and not made.analysis.complete
    assert state(made) is (State.BLOCKED if blocks else State.PASS)


def test_a_proof_that_is_refused_or_crashes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for proof in the change may end early: then there is no proof from it."""
    policy = Policy(mode="enforce", requirements=(("data.destroyed", None, (("state-kept",),)),))
    found = effect()
    given = Watch()
    proving = replace(safeguards.load("state-kept"), from_change=lambda one, change, effects: KEPT)
    monkeypatch.setattr(safeguards, "load", lambda name: proving)
    assert state(assess(destroying(), policy, [found], given)) is State.PASS
    assert state(assess(destroying(), policy, [found], Refusing("proof of state-kept"))) is State.BLOCKED

    def crash(one: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof:
        raise RecursionError

    crashing = replace(proving, from_change=crash)
    monkeypatch.setattr(safeguards, "load", lambda name: crashing)
    assert state(assess(destroying(), policy, [found])) is State.BLOCKED


def test_what_was_not_analysed_blocks_under_the_built_in_requirements() -> None:
    """Of high severity as a detector tells it; a mild one is only told."""
    assert state(assess(destroying("docs/a.md"), ENFORCED, [not_analysed("a.tf", "x")])) is State.BLOCKED
    assert state(assess(destroying("docs/a.md"), ENFORCED, [not_analysed("a.tf", "x", severity=Severity.LOW)])) is State.PASS


# The policy's own answers


def test_a_rule_counts_before_its_hazard_and_an_environment_where_it_fits() -> None:
    """The first that fits: rules before hazards; an entry for an environment only there."""
    a, b, c = (("state-kept",),), (("change-isolated",),), (("privilege-bounded",),)
    one = effect(environment=Environment.PRODUCTION)
    policy = Policy(requirements=(("data.destroyed", None, a), ("x/y", "staging", b), ("x/y", "production", c)))
    assert policy.demanded(one) == (c, "x/y")
    assert policy.demanded(replace(one, environment=Environment.STAGING)) == (b, "x/y")
    assert policy.demanded(replace(one, environment=Environment.UNKNOWN)) == (a, "data.destroyed")
    assert policy.demanded(replace(one, rule="z/z")) == (a, "data.destroyed")
    assert replace(policy, requirements=(("data.destroyed", None, ()),)).demanded(one) == ((), "data.destroyed")


def test_a_floor_is_always_added() -> None:
    """What the organisation demands stands beside what the repository demands, for its rule, hazard and environment."""
    a, more = (("state-kept",),), (("gate-enforced",),)
    policy = Policy(requirements=(("data.destroyed", None, a),), floor=(("data.destroyed", "production", more),))
    assert policy.demanded(effect(environment=Environment.PRODUCTION))[0] == a + more
    assert policy.demanded(effect(environment=Environment.STAGING))[0] == a
    assert policy.demanded(effect(Hazard.EXPOSURE_WIDENED, Severity.LOW, environment=Environment.PRODUCTION))[0] == ()
    assert replace(policy, floor=(("data.destroyed", None, a),)).demanded(effect())[0] == a
    for environment in (None, *Environment):
        assert replace(policy, floor=(("data.destroyed", None, more),)).demanded(effect(environment=environment))[0] == a + more


def test_where_an_effect_happens() -> None:
    """The detector's word, then the policy's patterns, then the path; a name can say production and never less."""
    policy = Policy(environments=((Environment.STAGING, ("live/**",)),))
    assert policy.environment(effect(path="live/prod/a.tf")) is Environment.STAGING
    assert policy.environment(effect(path="live/a.tf", environment=Environment.DEVELOPMENT)) is Environment.DEVELOPMENT
    assert policy.environment(effect(path="infra/a.tf", subject="aws_db_instance.production")) is Environment.PRODUCTION
    assert policy.environment(effect(path="infra/a.tf", subject="aws_db_instance.dev")) is Environment.UNKNOWN
    assert policy.environment(effect(path="infra/dev/a.tf", subject="aws_db_instance.production")) is Environment.DEVELOPMENT


def test_no_policy_observes_and_a_lost_one_blocks() -> None:
    """Nothing anywhere observes; one that once stood and is gone, is a link, is wrong or elsewhere is enforced and told."""
    assert read_policy(MemoryTree({})) == BUILT_IN
    for tip, once in (
        ({}, True),
        ({PATH: b"mode: [\n"}, False),
        ({PATH: b"version: 1\nmode: maybe\n"}, False),
        ({".interlock.yml": b"version: 1\n"}, False),
        ({PATH: b""}, False),
    ):
        found = read_policy(MemoryTree(tip), once_stood=once)  # type: ignore[arg-type]
        assert found.enforced and found.mistakes, tip
    assert not read_policy(MemoryTree({PATH: b"version: 1\nmode: observe\n"}), once_stood=True).enforced


CHECK = CheckFact("proof", "github-actions", "success", HEAD, None, ".github/workflows/a.yml", "push", True)
SOURCE = Source(app="github-actions", workflow=".github/workflows/a.yml", check="proof")


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True), ({"head": BASE}, False), ({"app": "other"}, False), ({"name": "other"}, False), ({"workflow": ".github/workflows/b.yml"}, False), ({"workflow": None}, False),
        ({"from_run": False}, False), ({"same_as_base": False}, False), ({"same_as_base": None}, False), ({"event": "pull_request_target"}, False), ({"event": None}, False),
        ({"event": "workflow_run"}, False), ({"same_repository": False}, False), ({"latest": False}, False), ({"event": "merge_group"}, True), ({"event": "schedule"}, True),
    ],
)  # fmt: skip
def test_what_binds_a_check(change: dict[str, object], right: bool) -> None:
    """Commit, App, name, workflow, its content, event, repository, newest attempt, and that it is a job of that run."""
    assert (authentic(replace(CHECK, **change), SOURCE, HEAD) is None) is right  # type: ignore[arg-type]


def test_another_apps_check_is_bound_to_app_and_commit() -> None:
    """A check that is no workflow's job has no workflow to compare; a job posted with a workflow's token has to be one."""
    theirs = CheckFact("scan", "scanner", "success", HEAD, from_run=False)
    assert authentic(theirs, Source(app="scanner", check="scan"), HEAD) is None
    assert authentic(replace(theirs, app="github-actions"), Source(check="scan"), HEAD) is not None
    assert authentic(theirs, Source(app="scanner", check="scan"), BASE) is not None


# Single safeguards, on values


def proven(name: str, one: Effect, evidence: Evidence, policy: Policy = ENFORCED, *others: Effect) -> Status:
    """What a safeguard makes of the evidence."""
    prove = safeguards.load(name).from_evidence
    assert prove is not None
    return prove(one, assessed(one, *others), evidence, policy).status


@pytest.mark.parametrize(
    ("hours", "asked", "status"),
    [
        (23.9, None, Status.MISSING),
        (24, None, Status.MET),
        (25, None, Status.MET),
        (25, 48, Status.MISSING),
        (48, 48, Status.MET),
        (0.5, 0, Status.MET),
    ],
)
def test_a_deletion_in_two_steps_takes_its_time(hours: float, asked: int | None, status: Status) -> None:
    """So many hours since the guard of this very thing went off: a day, or what the policy asks."""
    one = effect(subject="aws_db_instance.main")
    policy = Policy(mode="enforce", evidence=(("deletion-staged", (Source(hours=asked),)),)) if asked is not None else ENFORCED
    when = NOW - datetime.timedelta(hours=hours)
    removal = StagedRemoval("infra/a.tf", one.subject, "c" * 40, when)
    evidence = Evidence(connected=True, now=NOW, staged=(removal,))
    assert proven("deletion-staged", one, evidence, policy) is status
    newer = StagedRemoval("infra/a.tf", one.subject, "d" * 40, NOW)
    if asked != 0:
        assert proven("deletion-staged", one, replace(evidence, staged=(newer, removal)), policy) is Status.MISSING, "the newest counts"
    other = StagedRemoval("infra/a.tf", "aws_db_instance.other", "c" * 40, when)
    assert proven("deletion-staged", one, replace(evidence, staged=(other,)), policy) is Status.MISSING
    assert proven("deletion-staged", one, replace(evidence, staged=None), policy) is Status.UNKNOWN
    if asked is not None:
        silent = Policy(mode="enforce", evidence=(("deletion-staged", (Source(check="x"), Source(hours=asked))),))
        assert proven("deletion-staged", one, evidence, silent) is status, "the first that says so many hours"


def test_a_guard_and_its_thing_at_once_are_not_two_steps() -> None:
    """The same subject, a removed protection: failed, whatever history says. Another thing's guard, or another effect of it, does not matter."""
    one = effect(subject="aws_db_instance.main (3 of them)")
    staged = safeguards.load("deletion-staged").from_change
    assert staged is not None
    guard = effect(Hazard.PROTECTION_REMOVED, subject="aws_db_instance.main deletion_protection")
    found = staged(one, destroying(), (one, guard))
    assert found is not None and found.status is Status.FAILED
    assert staged(one, destroying(), (one, replace(guard, subject="aws_db_instance.other x"))) is None
    assert staged(one, destroying(), (one, replace(guard, hazard=Hazard.EXPOSURE_WIDENED))) is None
    known = assessed(one, proofs=(("deletion-staged", one.id, found),))
    prove = safeguards.load("deletion-staged").from_evidence
    evidence = Evidence(connected=True, now=NOW, staged=(StagedRemoval(one.path, one.subject, "c" * 40, NOW - datetime.timedelta(days=9)),))
    assert prove is not None and prove(one, known, evidence, ENFORCED).status is Status.FAILED
    elsewhere = assessed(one, proofs=(("state-kept", one.id, found), ("deletion-staged", "0" * 16, found)))
    assert prove(one, elsewhere, evidence, ENFORCED).status is Status.MET


@pytest.mark.parametrize(
    ("other", "status"),
    [
        (effect(Hazard.EXPOSURE_WIDENED, Severity.MODERATE), Status.FAILED),
        (effect(Hazard.EXPOSURE_WIDENED, Severity.LOW), Status.MET),
        (effect(subject="b"), Status.MET),
        (effect(next(hazard for hazard in Hazard if hazard.harmless), Severity.HIGH), Status.MET),
    ],
)
def test_an_isolated_change_has_one_kind_of_danger(other: Effect, status: Status) -> None:
    """Another hazard of moderate severity or more makes it two changes."""
    prove = safeguards.load("change-isolated").from_change
    assert prove is not None
    found = prove(effect(), destroying(), (effect(), other))
    assert found is not None and found.status is status


def test_an_isolated_change_stays_near() -> None:
    """A few files elsewhere are allowed, more are not; below the effect's folder any number is."""
    from checks.safeguards.change_isolated import ELSEWHERE

    prove = safeguards.load("change-isolated").from_change
    assert prove is not None
    for number, folder, status in (
        (ELSEWHERE, "src", Status.MET),
        (ELSEWHERE + 1, "src", Status.FAILED),
        (50, "infra/deep", Status.MET),
        (50, "infra", Status.MET),
        (50, "infrared", Status.FAILED),
    ):
        files = {f"{folder}/{at}.txt": "x\n" for at in range(number)}
        found = prove(effect(), change_of({}, {"infra/a.tf": DATABASE, **files}), (effect(),))
        assert found is not None and found.status is status, (number, folder)
    found = prove(
        effect(path="a.tf"), change_of({}, {"a.tf": DATABASE, **{f"src/{at}.txt": "x\n" for at in range(50)}}), (effect(path="a.tf"),)
    )
    assert found is not None and found.status is Status.MET


OTHER = replace(SOURCE, check="other")


@pytest.mark.parametrize(
    ("checks", "sources", "status"),
    [
        ((CHECK,), (SOURCE,), Status.MET),
        ((), (SOURCE,), Status.MISSING),
        ((CHECK,), (), Status.MISSING),
        ((replace(CHECK, conclusion=None),), (SOURCE,), Status.MISSING),
        ((CHECK, replace(CHECK, conclusion=None)), (SOURCE,), Status.MISSING),
        ((CHECK, replace(CHECK, conclusion="failure")), (SOURCE,), Status.FAILED),
        ((replace(CHECK, conclusion="failure"), CHECK), (SOURCE,), Status.FAILED),
        ((replace(CHECK, conclusion=None), replace(CHECK, conclusion="skipped")), (SOURCE,), Status.FAILED),
        ((replace(CHECK, latest=False),), (SOURCE,), Status.FAILED),
        ((replace(CHECK, latest=False, conclusion="failure"), CHECK), (SOURCE,), Status.MET),
        ((replace(CHECK, name="other"),), (SOURCE,), Status.MISSING),
        ((replace(CHECK, name="other"),), (SOURCE, OTHER), Status.MET),
        ((replace(CHECK, app="mine"),), (SOURCE,), Status.FAILED),
        ((replace(CHECK, app="mine"), CHECK), (SOURCE,), Status.MET),
        ((CHECK,), (replace(SOURCE, check=None),), Status.MET),
        ((replace(CHECK, app="mine", workflow=None),), (replace(SOURCE, check=None),), Status.MISSING),
        ((CHECK,), (replace(SOURCE, app=None),), Status.MET),
    ],
)  # fmt: skip
def test_what_checks_prove(checks: tuple[CheckFact, ...], sources: tuple[Source, ...], status: Status) -> None:
    """Exactly success, of the right one, with nothing worse beside it."""
    policy = Policy(mode="enforce", evidence=(("tests", sources),))
    found = from_checks("tests", assessed(effect()), Evidence(connected=True, now=NOW, checks=checks), policy)
    assert found[1].status is status and (found[0] is not None) >= (status is Status.MET)
    assert from_checks("tests", assessed(effect()), replace(OFFLINE, checks=checks), policy)[1].status is Status.UNKNOWN
    default = from_checks("other", assessed(effect()), Evidence(connected=True, now=NOW, checks=checks), policy, sources)[1].status
    assert default is status


DRILL = DrillFact(".github/workflows/drill.yml", "success", NOW - datetime.timedelta(days=30), "schedule", "main")
DRILLED = Source(workflow=".github/workflows/drill.yml", check="restore", artifact="record")
RECORD = {"schema": RESTORE, "stores": ["aws_db_instance.main"], "rows": 1, "taken": "2026-11-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, Status.MET),
        ({"completed": NOW - datetime.timedelta(days=30, minutes=1)}, Status.MISSING),
        ({"completed": NOW + datetime.timedelta(minutes=14)}, Status.MET),
        ({"completed": NOW + datetime.timedelta(minutes=15)}, Status.UNKNOWN),
        ({"completed": None}, Status.MISSING),
        ({"conclusion": "failure"}, Status.FAILED),
        ({"conclusion": None}, Status.FAILED),
        ({"event": "pull_request"}, Status.MISSING),
        ({"workflow": ".github/workflows/other.yml"}, Status.MISSING),
        ({"same_repository": False}, Status.MISSING),
        ({"job": "restore"}, Status.MET),
        ({"job": "other"}, Status.MISSING),
    ],
)
def test_a_drill_is_recent_finished_and_of_the_branch(change: dict[str, object], status: Status) -> None:
    """The newest finished run of the workflow and job that the policy names, a success, not older than it allows."""
    policy = Policy(mode="enforce", evidence=(("restore-proven", (replace(DRILLED, artifact=None),)),))
    one = effect(subject="aws_db_instance.main")
    drill = replace(DRILL, **change)  # type: ignore[arg-type]
    evidence = Evidence(connected=True, now=NOW, drills=(drill,))
    assert proven("restore-proven", one, evidence, policy) is status
    older = replace(DRILL, completed=NOW - datetime.timedelta(days=31), conclusion="failure")
    assert proven("restore-proven", one, replace(evidence, drills=(older, drill)), policy) in (status, Status.FAILED)
    if status is Status.MET:
        assert proven("restore-proven", one, replace(evidence, drills=(older, drill)), policy) is Status.MET, "the newest counts"
    assert proven("restore-proven", one, replace(evidence, drills=None), policy) is Status.UNKNOWN
    assert proven("restore-proven", one, replace(evidence, connected=False), policy) is Status.UNKNOWN
    assert proven("restore-proven", one, evidence, ENFORCED) is Status.MISSING
    short = Policy(mode="enforce", evidence=(("restore-proven", (replace(DRILLED, artifact=None, within_days=7),)),))
    if drill.completed is not None and drill.completed < NOW and status is Status.MET:
        assert proven("restore-proven", one, evidence, short) is Status.MISSING


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (RECORD, Status.MET),
        ({**RECORD, "taken": None}, Status.MET),
        ({**RECORD, "taken": "2026-10-01T00:00:00Z"}, Status.MISSING),
        ({**RECORD, "taken": "yesterday"}, Status.FAILED),
        ({**RECORD, "taken": 3}, Status.FAILED),
        ({**RECORD, "taken": "2026-11-01T00:00:00"}, Status.FAILED),
        ({**RECORD, "rows": 0}, Status.FAILED),
        ({**RECORD, "rows": True}, Status.FAILED),
        ({**RECORD, "rows": "9"}, Status.FAILED),
        ({**RECORD, "stores": []}, Status.MISSING),
        ({**RECORD, "stores": ["other", "aws_db_instance.main"]}, Status.MET),
        ({**RECORD, "stores": ["aws_db_instance.other"]}, Status.MISSING),
        ({**RECORD, "stores": ["aws_db_instance.main", 1]}, Status.FAILED),
        ({**RECORD, "stores": "aws_db_instance.main"}, Status.FAILED),
        ({**RECORD, "stores": ["infra/**"]}, Status.MET),
        ({**RECORD, "stores": ["live/**"]}, Status.MISSING),
        ({**RECORD, "schema": "x"}, Status.FAILED),
        ([], Status.FAILED),
        (None, Status.MISSING),
        ("{", Status.FAILED),
    ],
)
def test_what_a_drills_record_must_say(record: object, status: Status) -> None:
    """Which stores came back, with how much in them, from a backup that is not old."""
    text = record if isinstance(record, str) else "" if record is None else json.dumps(record)
    policy = Policy(mode="enforce", evidence=(("restore-proven", (DRILLED,)),))
    drill = replace(DRILL, completed=NOW, record=text)
    one = effect(subject="aws_db_instance.main (its storage)")
    assert proven("restore-proven", one, Evidence(connected=True, now=NOW, drills=(drill,)), policy) is status


@pytest.mark.parametrize(
    ("rows", "addresses", "complete", "kept"),
    [
        ((Planned("a.b", "a", "update"),), ("a.b",), True, True),
        ((Planned("a.b", "a", "update"),), ("a.b",), False, False),
        ((Planned("a.b", "a", "delete"),), ("a.b",), True, False),
        ((Planned("a.b", "a", "update"),), ("a.b", "a.c"), True, False),
        ((Planned("a.b", "a", "update"), Planned("a.c", "a", "delete")), ("a.b", "a.c"), True, False),
        ((Planned("a.b", "a", "update"),), (), True, False),
        ((), ("a.b",), True, False),
        ((Planned("a.new", "a", "update", previous="a.b"),), ("a.b",), True, True),
        ((Planned("a.b", "a", "update"), Planned("a.b (deposed 12ab)", "a", "delete")), ("a.b",), True, True),
    ],
)
def test_what_a_plan_shows_as_kept(rows: tuple[Planned, ...], addresses: tuple[str, ...], complete: bool, kept: bool) -> None:
    """Every address stands in a whole plan, and none is destroyed there."""
    one = effect(facts=tuple(("address", address) for address in addresses))
    assert shown_as_kept(one, PlanDigest("terraform", "1.2", rows, complete)) is kept


TABLE = effect(facts=(("table", "order_items"),))
COLUMN = effect(facts=(("table", "orders"), ("column", "unit_price")))


@pytest.mark.parametrize(
    ("one", "before", "after", "status"),
    [
        (TABLE, {}, {}, Status.MET),
        (TABLE, {"app/a.py": "order_items"}, {"app/a.py": "order_items"}, Status.MISSING),
        (TABLE, {"app/a.py": "class OrderItem:"}, {"app/a.py": "class OrderItem:"}, Status.MISSING),
        (TABLE, {"app/a.py": "orderItems"}, {"app/a.py": "orderItems"}, Status.MISSING),
        (TABLE, {"app/a.py": "reorder_items_2"}, {"app/a.py": "reorder_items_2"}, Status.MET),
        (TABLE, {"docs/a.md": "order_items"}, {"docs/a.md": "order_items"}, Status.MET),
        (TABLE, {"app/a.py": "order_items"}, {"app/a.py": "x = 1"}, Status.FAILED),
        (TABLE, {"app/a.py": "order_items"}, {}, Status.FAILED),
        (COLUMN, {"app/a.py": "unitPrice"}, {"app/a.py": "unitPrice"}, Status.MISSING),
        (COLUMN, {"app/a.py": "orders"}, {"app/a.py": "orders"}, Status.MET),
        (effect(facts=(("table", "companies"),)), {"app/a.py": "Company()"}, {"app/a.py": "Company()"}, Status.MISSING),
        (effect(facts=(("table", "addresses"),)), {"app/a.py": "Address()"}, {"app/a.py": "Address()"}, Status.MISSING),
        (effect(facts=(("table", "boxes"),)), {"app/a.py": "Box()"}, {"app/a.py": "Box()"}, Status.MISSING),
        (effect(facts=(("table", 'public."orders"'),)), {"app/a.py": "orders"}, {"app/a.py": "orders"}, Status.MISSING),
        (effect(facts=(("table", "orders"), ("column", "notes"))), {"app/a.py": "note"}, {"app/a.py": "note"}, Status.MET),
        (effect(facts=(("table", "orders"), ("column", "__"))), {"app/a.py": "x = 1"}, {"app/a.py": "x = 1"}, Status.MET),
        (effect(facts=(("table", "orders"), ("column", "unit__price"))), {"a.py": "unit_price"}, {"a.py": "unit_price"}, Status.MISSING),
        (effect(facts=(("table", "_orders_"),)), {"a.py": "class Order:"}, {"a.py": "class Order:"}, Status.MISSING),
        (effect(facts=(("table", "__"),)), {"app/a.py": "x = 1"}, {"app/a.py": "x = 1"}, Status.MET),
        (TABLE, {".github/a.yml": "order_items"}, {".github/a.yml": "order_items"}, Status.MET),
        (TABLE, {"app/notes.txt": "order_items"}, {"app/notes.txt": "order_items"}, Status.MET),
        (TABLE, {"examples/a.py": "order_items"}, {"examples/a.py": "order_items"}, Status.MISSING),
        (effect(), {}, {}, Status.MISSING),
    ],
)
def test_who_still_reads_what_is_dropped(one: Effect, before: dict[str, str], after: dict[str, str], status: Status) -> None:
    """No source file names it, in no spelling, and none stopped doing so only in this change."""
    prove = safeguards.load("expand-contract").from_change
    assert prove is not None
    found = prove(one, change_of(before, after), (one,))
    assert found is not None and found.status is status


def test_of_two_effects_that_look_the_same_each_needs_its_proof() -> None:
    """A bounded grant beside an unbounded one of the same words hides nothing, in either order."""
    bare = effect(Hazard.PRIVILEGE_WIDENED)
    bounded = replace(bare, facts=(("bounded", "a scope"),), line=9)
    assert bare.id == bounded.id
    change = change_of({"infra/a.tf": "a"}, {"infra/a.tf": "b"})
    for found in ((bare, bounded), (bounded, bare)):
        assert state(assess(change, ENFORCED, found)) is State.BLOCKED
    assert state(assess(change, ENFORCED, (bounded,))) is State.PASS


def test_of_two_effects_that_look_the_same_each_is_asked_of_the_evidence() -> None:
    """A job in a protected environment beside one outside of it, of the same words: what the one has is not had by the other."""
    inside = effect(Hazard.SECRET_EXPOSED, facts=(("job-environment", "production"),))
    outside = replace(inside, facts=(), line=9)
    assert inside.id == outside.id
    doors = Evidence(connected=True, now=NOW, environments=(EnvironmentFact("production", True, True, False),))
    for found in ((inside, outside), (outside, inside)):
        assert state(assessed(*found, groups=(("environment-protected",),)), doors) is State.BLOCKED
    assert state(assessed(inside, groups=(("environment-protected",),)), doors) is State.PASS


def test_a_deletion_that_was_announced_passes() -> None:
    """From the two trees to the verdict: nothing in the change speaks against it, and the history shows the first step."""
    policy = Policy(
        mode="enforce",
        requirements=(("resource.destroyed", None, (("deletion-staged",),)), ("data.destroyed", None, (("deletion-staged",),))),
    )
    made = assess(destroying(), policy)
    gone = tuple(StagedRemoval(one.path, one.subject, "c" * 40, NOW - datetime.timedelta(days=9)) for one in made.effects)
    assert state(made, Evidence(connected=True, now=NOW, staged=gone), policy) is State.PASS
    assert state(made, Evidence(connected=True, now=NOW, staged=()), policy) is State.BLOCKED


def test_a_proof_of_the_change_holds_for_what_lands() -> None:
    """What is shown at head and not after the merge is not shown."""
    one = effect(facts=(("table", "users"),))
    alone = change_of({"db/1.sql": "a"}, {"db/1.sql": "b"})
    reader = change_of({}, {"app/user.py": "select * from users"}).after
    assert state(assess(alone, ENFORCED, (one,))) is State.PASS
    assert state(assess(replace(alone, merged=reader), ENFORCED, (one,))) is State.BLOCKED
    assert state(assess(replace(alone, merged=alone.after), ENFORCED, (one,))) is State.PASS


def test_what_the_change_does_not_prove_evidence_may() -> None:
    """A safeguard that the two trees leave open is asked of the evidence; one that has no evidence stays open."""
    one = effect(Hazard.RESOURCE_DESTROYED, subject="aws_sqs_queue.a")
    gone = (StagedRemoval(one.path, one.subject, "c" * 40, NOW - datetime.timedelta(days=9)),)
    asked = assessed(one, groups=(("deletion-staged",),))
    assert state(asked, Evidence(connected=True, now=NOW, staged=gone)) is State.PASS
    assert state(asked, Evidence(connected=True, now=NOW)) is State.BLOCKED
    assert state(assessed(one, groups=(("privilege-bounded",),)), Evidence(connected=True, now=NOW)) is State.BLOCKED


def test_an_exception_that_is_used_is_told() -> None:
    """The report names the exceptions that this change needs, and no other."""
    one, two = effect(), effect(subject="b")
    policy = Policy(mode="enforce", exceptions=tuple(Exemption(each.id, "for a reason", NOW.date()) for each in (one, two)))
    report = decide(assessed(one), Evidence(now=NOW), policy)
    assert [each.effect for each in report.exceptions] == [one.id] and report.verdict.state is State.PASS


def test_the_verdict_names_the_worst_that_is_open() -> None:
    """What is shown first is what still needs its proof, not what has it; the other ways of the group are named beside it."""
    one, two = effect(), effect(subject="b")
    report = decide(
        assessed(one, two, groups=(("state-kept", "change-isolated"),), proofs=(("state-kept", one.id, KEPT),)), OFFLINE, ENFORCED
    )
    assert report.verdict.summary == "b is lost; needs state-kept"
    first = report.requirements[0]
    assert (first.proof.status, first.alternatives) == (Status.MISSING, ("change-isolated",))
    three = ("privilege-bounded", "agent-contained", "change-isolated", "rollout-staged")
    summary = decide(assessed(one, groups=tuple((name,) for name in three)), OFFLINE, ENFORCED).verdict.summary
    assert summary.endswith("needs privilege-bounded, agent-contained, change-isolated and more")
    assert decide(assessed(one, groups=()), OFFLINE, ENFORCED).verdict.summary == "1 effect, none that needs a safeguard"
    assert decide(assessed(), OFFLINE, ENFORCED).verdict.summary == "Nothing dangerous was found"
    assert "proven" in decide(assessed(one, proofs=(("state-kept", one.id, KEPT),)), OFFLINE, ENFORCED).verdict.summary


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ((("aws_a.a", "update", ""),), True),
        ((("aws_a.a", "update", ""), ("aws_a.a", "delete", "")), False),
        ((("aws_a.a", "delete", ""), ("aws_a.a", "update", "")), False),
        ((("aws_a.b", "update", "aws_a.a"),), True),
        ((("aws_a.b", "update", ""),), False),
    ],
)
def test_a_plan_that_also_destroys_a_thing_does_not_keep_it(rows: tuple[tuple[str, str, str], ...], kept: bool) -> None:
    """Every row that speaks of the address must leave it standing."""
    one = effect(Hazard.RESOURCE_DESTROYED, facts=(("address", "aws_a.a"), ("action", "delete")))
    plan = PlanDigest("terraform", "1.2", tuple(Planned(name, "aws_a", action, previous=before) for name, action, before in rows))
    assert shown_as_kept(one, plan) is kept
    assert not shown_as_kept(replace(one, facts=()), plan)


@pytest.mark.parametrize("severity", [Severity.MODERATE, Severity.HIGH, Severity.CRITICAL])
@pytest.mark.parametrize("hazard", [hazard for hazard in Hazard if not hazard.harmless])
def test_the_built_in_requirements_leave_no_hazard_out(hazard: Hazard, severity: Severity) -> None:
    """Whatever could do harm and is no trifle needs a safeguard where no policy says otherwise, and more where it is worse."""
    one = Effect("x/y", hazard, severity, Confidence.CERTAIN, Reversible.NO, "a", "infra/a.tf", 1, Side.HEAD, "lost")
    groups, because = BUILT_IN.demanded(one)
    assert groups and because == hazard.value
    assert not BUILT_IN.demanded(replace(one, severity=Severity.LOW))[0]
    milder = BUILT_IN.demanded(replace(one, severity=Severity.MODERATE))[0]
    assert all(any(set(group) <= set(wide) for group in groups) for wide in milder)


LOST = "state-kept | deletion-staged | restore-proven"
ANNOUNCED = "plan-verified + state-kept | plan-verified + deletion-staged | plan-verified + restore-proven"
LIMITED = "agent-contained + gate-enforced"
ENOUGH: dict[Hazard, tuple[str, str]] = {
    Hazard.DATA_DESTROYED: (f"expand-contract | {LOST}", f"expand-contract | migration-reversed | {LOST}"),
    Hazard.RESOURCE_DESTROYED: (ANNOUNCED, f"plan-verified | {LOST}"),
    Hazard.RESOURCE_REPLACED: (ANNOUNCED, f"plan-verified | rollout-staged | {LOST}"),
    Hazard.PROTECTION_REMOVED: ("change-isolated", "change-isolated"),
    Hazard.PRIVILEGE_WIDENED: (
        "privilege-bounded | environment-protected",
        "privilege-bounded | environment-protected | change-isolated",
    ),
    Hazard.EXPOSURE_WIDENED: ("privilege-bounded", "privilege-bounded | change-isolated"),
    Hazard.SECRET_EXPOSED: ("environment-protected", "environment-protected | privilege-bounded | change-isolated"),
    Hazard.PIPELINE_WIDENED: (
        "environment-protected | privilege-bounded",
        "environment-protected | privilege-bounded | change-isolated",
    ),
    Hazard.CHECK_WEAKENED: ("check-required", "check-required | tests-exercised"),
    Hazard.AGENT_WIDENED: (LIMITED, "agent-contained | gate-enforced"),
    Hazard.AGENT_UNGUARDED: (LIMITED, "agent-contained | gate-enforced"),
    Hazard.GATE_CHANGED: ("change-isolated + gate-enforced", "change-isolated + gate-enforced"),
    Hazard.SUPPLY_CHANGED: ("check-required", "check-required | tests-exercised | change-isolated"),
    Hazard.COMPATIBILITY_BROKEN: ("expand-contract | rollout-staged", "expand-contract | rollout-staged | tests-exercised"),
    Hazard.AVAILABILITY_REDUCED: (
        "rollout-staged | rollback-automatic",
        "rollout-staged | rollback-automatic | tests-exercised | change-isolated",
    ),
    Hazard.NOT_ANALYSED: ("check-required", "check-required"),
}
"""What is enough for each hazard where no policy says otherwise: from high severity on, and of moderate severity."""


@pytest.mark.parametrize("severity", [Severity.MODERATE, Severity.HIGH, Severity.CRITICAL])
@pytest.mark.parametrize("hazard", [hazard for hazard in Hazard if not hazard.harmless])
def test_what_is_enough_where_no_policy_says_otherwise(hazard: Hazard, severity: Severity) -> None:
    """Any one of the ways passes; without something of each way nothing does, however much else is proven."""
    ways = [set(way.split(" + ")) for way in ENOUGH[hazard][severity is Severity.MODERATE].split(" | ")]
    one = effect(hazard, severity)

    def proving(names: set[str]) -> State:
        groups, _ = BUILT_IN.demanded(one)
        return state(assessed(one, groups=groups, proofs=tuple((name, one.id, KEPT) for name in sorted(names))))

    assert {proving(way) for way in ways} == {State.PASS}
    lacking = [set(safeguards.NAMES) - set(gone) for gone in itertools.product(*ways)]
    assert {proving(names) for names in lacking} == {State.BLOCKED}


def test_every_status_has_its_place_beside_the_others() -> None:
    """Of one group the met one counts; without one, what failed is shown before what is missing."""
    one = effect(Hazard.RESOURCE_DESTROYED, subject="aws_sqs_queue.a")
    no = Proof(Status.FAILED, "no")
    asked = assessed(one, groups=(("agent-contained", "privilege-bounded"),), proofs=(("privilege-bounded", one.id, no),))
    (open_one,) = decide(asked, OFFLINE, ENFORCED).requirements
    assert (open_one.safeguard, open_one.proof.status) == ("privilege-bounded", Status.FAILED)
    kept = replace(asked, proofs=(*asked.proofs, ("agent-contained", one.id, KEPT)))
    assert state(kept) is State.PASS


def test_what_decides_is_not_overridden_under_the_id_of_another_effect() -> None:
    """Two effects may carry one id: where one of them is never overridden, neither is the other, in either order."""
    gate, other = effect(Hazard.GATE_CHANGED), effect(Hazard.DATA_DESTROYED)
    assert gate.id == other.id
    override = Override(gate.id, HEAD, NOW + datetime.timedelta(days=1), "a reason", "sam", "sam")
    for both in ((gate, other), (other, gate)):
        policy = replace(ENFORCED, overrides=("sam",))
        assert state(assessed(*both), Evidence(now=NOW, overrides=(override,)), policy) is State.BLOCKED
    assert state(assessed(other), Evidence(now=NOW, overrides=(override,)), policy) is State.OVERRIDDEN
