"""Every safeguard that needs evidence, held against every way in which evidence can be other than it looks."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.evidence.coverage import SCHEMA as COVERAGE
from bot.evidence.coverage import changed_lines, coverage_facts
from checks import safeguards
from checks.assess import assess, decide
from checks.evidence import (
    OFFLINE,
    ArtifactFact,
    BranchRules,
    CheckFact,
    CoverageFact,
    DrillFact,
    EnvironmentFact,
    Evidence,
    RequiredCheck,
    StagedRemoval,
)
from checks.model import Assessment, Effect, Hazard, Proof, Status, Unreadable
from checks.plans import digest_file
from checks.policy import Policy, Source, read_policy
from checks.safeguards.migration_reversed import SCHEMA as ROUND_TRIP
from checks.safeguards.restore_proven import SCHEMA as RESTORE
from checks.trees import LINK, MemoryTree
from tests.changes import HEAD, change_of
from tests.house import DATABASE, TOPIC

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
FLOW, ACTIONS = ".github/workflows/proof.yml", "github-actions"
GATE, APP = "interlock: main", 7
MET, MISSING, FAILED, UNKNOWN = Status.MET, Status.MISSING, Status.FAILED, Status.UNKNOWN

SOURCE = Source(app=ACTIONS, workflow=FLOW, check="proof", artifact="proof", within_days=30)
WITH_ARTIFACT = ("plan-verified", "migration-reversed", "tests-exercised")
POLICY = Policy(
    mode="enforce",
    evidence=(
        *tuple((name, (SOURCE,)) for name in (*WITH_ARTIFACT, "restore-proven")),
        ("check-required", (Source(app=ACTIONS, workflow=FLOW, check="proof"),)),
    ),
)
CHECK = CheckFact("proof", ACTIONS, "success", HEAD, "https://example.com/1", FLOW, "pull_request", True, completed=NOW, app_id=15368)
PLAN = digest_file(
    json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.9.0",
            "resource_changes": [
                {
                    "address": "aws_db_instance.main",
                    "mode": "managed",
                    "type": "aws_db_instance",
                    "name": "main",
                    "change": {"actions": ["delete"], "before": {}, "after": None},
                }
            ],
        }
    ).encode()
)
TRIP = json.dumps({"schema": ROUND_TRIP, "start": "0" * 64, "up": "1" * 64, "down": "0" * 64, "again": "1" * 64})
PLAN_KEPT = digest_file(
    json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.9.0",
            "resource_changes": [
                {"address": "aws_db_instance.main", "type": "aws_db_instance", "change": {"actions": ["update"], "before": {}, "after": {}}}
            ],
        }
    ).encode()
)
CONTENT = {"plan-verified": PLAN, "migration-reversed": TRIP, "tests-exercised": ""}


def judged() -> tuple[Assessment, Effect]:
    """The assessment of a destroyed database, and the effect."""
    change = change_of({"infra/prod/main.tf": DATABASE + TOPIC}, {"infra/prod/main.tf": TOPIC})
    assessment = assess(change, POLICY)
    return assessment, next(effect for effect in assessment.effects if effect.rule == "terraform/resource-destroyed")


ASSESSMENT, EFFECT = judged()


def evidence(name: str, check: CheckFact | None) -> Evidence:
    """All that would prove `name`, made by this check run; nothing without one."""
    found = Evidence(
        connected=True,
        now=NOW,
        checks=(check,) if check else (),
        gate_check=GATE,
        gate_app_id=APP,
        rules=BranchRules((RequiredCheck("proof", 15368),), ()),
    )
    if check is not None and name in WITH_ARTIFACT:
        found = replace(found, artifacts=(ArtifactFact("proof", CONTENT[name], check),))
    if check is not None and name == "tests-exercised":
        found = replace(found, coverage=(CoverageFact(check, 10, 10),))
    return found


def proof(name: str, found: Evidence, effect: Effect = EFFECT, policy: Policy = POLICY) -> Proof:
    """What a safeguard says."""
    prove = safeguards.load(name).from_evidence
    assert prove is not None
    return prove(effect, ASSESSMENT, found, policy)


SITUATIONS: dict[str, tuple[Callable[[CheckFact], CheckFact | None], tuple[Status, ...]]] = {
    "met": (lambda check: check, (MET,)),
    "missing": (lambda check: None, (MISSING,)),
    "failed": (lambda check: replace(check, conclusion="failure"), (FAILED,)),
    "running": (lambda check: replace(check, conclusion=None), (MISSING, FAILED)),
    "forged": (lambda check: replace(check, from_run=False), (FAILED,)),
    "stale": (lambda check: replace(check, latest=False), (FAILED,)),
    "skipped": (lambda check: replace(check, conclusion="skipped"), (FAILED,)),
    "neutral": (lambda check: replace(check, conclusion="neutral"), (FAILED,)),
    "other app": (lambda check: replace(check, app="mine", workflow=None), (FAILED, MISSING)),
    "other workflow": (lambda check: replace(check, workflow=".github/workflows/mine.yml"), (FAILED, MISSING)),
    "changed workflow": (lambda check: replace(check, same_as_base=False), (FAILED,)),
    "uncompared workflow": (lambda check: replace(check, same_as_base=None), (FAILED,)),
    "other commit": (lambda check: replace(check, head="c" * 40), (FAILED,)),
    "other event": (lambda check: replace(check, event="pull_request_target"), (FAILED,)),
    "fork": (lambda check: replace(check, same_repository=False), (FAILED,)),
    "other name": (lambda check: replace(check, name="other"), (MISSING, FAILED)),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", (*WITH_ARTIFACT, "check-required"))
def test_evidence_of_a_head_is_bound_to_it(name: str, situation: str) -> None:
    """A check or artifact proves something only as a job of the named, unchanged workflow, on this head, and exactly as a success."""
    alter, expected = SITUATIONS[situation]
    found = evidence(name, alter(CHECK))
    if situation == "other name" and name in WITH_ARTIFACT:
        found = replace(found, artifacts=tuple(replace(one, name="other") for one in found.artifacts), coverage=())
    assert proof(name, found).status in expected


@pytest.mark.parametrize("name", safeguards.NAMES)
def test_without_github_nothing_that_needs_it_is_met(name: str) -> None:
    """Offline a safeguard that asks GitHub knows nothing, and says so."""
    if safeguards.load(name).from_evidence is not None:
        assert proof(name, replace(OFFLINE, now=NOW)).status in (UNKNOWN, MISSING)


RESTORED = json.dumps({"schema": RESTORE, "stores": ["aws_db_instance.main"], "taken": "2026-11-18T03:00:00Z", "restored": "x", "rows": 7})
DRILL = DrillFact(FLOW, "success", NOW - datetime.timedelta(days=3), "schedule", "main", True, "proof", None, RESTORED)


def record(**more: object) -> tuple[DrillFact, ...]:
    return (replace(DRILL, record=json.dumps({**json.loads(RESTORED), **more})),)


DRILLS: dict[str, tuple[tuple[DrillFact, ...] | None, Status]] = {
    "met": ((DRILL,), MET),
    "missing": ((), MISSING),
    "unknown": (None, UNKNOWN),
    "failed": ((replace(DRILL, conclusion="failure"),), FAILED),
    "failed since": ((DRILL, replace(DRILL, conclusion="failure", completed=NOW)), FAILED),
    "mended since": ((replace(DRILL, conclusion="failure", completed=NOW - datetime.timedelta(days=9)), DRILL), MET),
    "stale": ((replace(DRILL, completed=NOW - datetime.timedelta(days=31)),), MISSING),
    "from the future": ((replace(DRILL, completed=NOW + datetime.timedelta(days=1)),), UNKNOWN),
    "skipped": ((replace(DRILL, conclusion="skipped"),), FAILED),
    "other workflow": ((replace(DRILL, workflow=".github/workflows/mine.yml"),), MISSING),
    "other event": ((replace(DRILL, event="pull_request"),), MISSING),
    "other job": ((replace(DRILL, job="other"),), MISSING),
    "fork": ((replace(DRILL, same_repository=False),), MISSING),
    "unfinished": ((replace(DRILL, completed=None),), MISSING),
    "no record": ((replace(DRILL, record=""),), MISSING),
    "record is none": ((replace(DRILL, record="[]"),), FAILED),
    "record is no JSON": ((replace(DRILL, record="{"),), FAILED),
    "record of another kind": (record(schema="x"), FAILED),
    "other store": (record(stores=["aws_db_instance.second"]), MISSING),
    "one store of several": (record(stores=["a", "aws_db_instance.main"]), MET),
    "pattern of its files": (record(stores=["infra/prod/**"]), MET),
    "pattern of other files": (record(stores=["infra/dev/**"]), MISSING),
    "nothing came back": (record(rows=0), FAILED),
    "rows are no number": (record(rows="7"), FAILED),
    "old backup": (record(taken="2026-10-01T00:00:00Z"), MISSING),
    "backup without a time": (record(taken=None), MET),
    "backup with a wrong time": (record(taken="soon"), FAILED),
    "backup with a naive time": (record(taken="2026-11-18T03:00:00"), FAILED),
}


@pytest.mark.parametrize("situation", DRILLS)
def test_a_drill_is_of_the_branch_and_not_long_ago(situation: str) -> None:
    """Only the newest finished run of the merged workflow counts, and only while it is fresh."""
    drills, expected = DRILLS[situation]
    assert proof("restore-proven", Evidence(connected=True, now=NOW, drills=drills)).status is expected


def staged(hours: float, subject: str = "aws_db_instance.main") -> tuple[StagedRemoval, ...]:
    return (StagedRemoval("infra/prod/main.tf", subject, "d" * 40, NOW - datetime.timedelta(hours=hours)),)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (staged(25), MET),
        (staged(23), MISSING),
        (staged(25, "aws_db_instance.other"), MISSING),
        ((), MISSING),
        (None, UNKNOWN),
        ((*staged(300), *staged(1)), MISSING),
    ],
)
def test_a_deletion_is_announced_long_enough_before(found: tuple[StagedRemoval, ...] | None, expected: Status) -> None:
    """The guard of this very thing went off in an earlier change, and long enough ago; put back and taken off again counts from then."""
    assert proof("deletion-staged", Evidence(connected=True, now=NOW, staged=found)).status is expected


ROOM = EnvironmentFact("production", True, True, False)


@pytest.mark.parametrize(
    ("rooms", "expected"),
    [
        ((ROOM,), MET),
        ((replace(ROOM, protected=False),), FAILED),
        ((replace(ROOM, admins_bypass=True),), FAILED),
        ((replace(ROOM, admins_bypass=None),), FAILED),
        ((replace(ROOM, name="staging"),), FAILED),
        ((), FAILED),
        (None, UNKNOWN),
    ],
)
def test_an_environment_protects_only_where_nobody_goes_round_it(rooms: tuple[EnvironmentFact, ...] | None, expected: Status) -> None:
    """The job's own environment, with rules, that administrators cannot bypass."""
    effect = replace(EFFECT, facts=(("job-environment", "production"),))
    assert proof("environment-protected", Evidence(connected=True, now=NOW, environments=rooms), effect).status is expected
    assert proof("environment-protected", Evidence(connected=True, now=NOW, environments=rooms)).status is MISSING
    assert proof("environment-protected", replace(OFFLINE, environments=rooms), effect).status is UNKNOWN


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (BranchRules((RequiredCheck(GATE, APP),), ()), MET),
        (BranchRules((RequiredCheck(GATE, None), RequiredCheck(GATE, APP)), ()), MET),
        (BranchRules((RequiredCheck(GATE, APP), RequiredCheck(GATE, None)), ()), MET),
        (BranchRules((RequiredCheck(GATE, None),), ()), FAILED),
        (BranchRules((RequiredCheck(GATE, 8),), ()), FAILED),
        (BranchRules((RequiredCheck(GATE, APP),), ("Team 1 (always)",)), FAILED),
        (BranchRules((RequiredCheck(GATE, APP),), None), UNKNOWN),
        (BranchRules((RequiredCheck("interlock: dev", APP),), ()), MISSING),
        (BranchRules(), MISSING),
        (None, UNKNOWN),
    ],
)
def test_the_gate_is_enforced_only_where_nobody_goes_round_it(rules: BranchRules | None, expected: Status) -> None:
    """Required, by one rule at least from this App, and nobody may bypass it; what GitHub does not tell is not known."""
    assert proof("gate-enforced", Evidence(connected=True, now=NOW, rules=rules, gate_check=GATE, gate_app_id=APP)).status is expected


@pytest.mark.parametrize("required", [(), (RequiredCheck("proof", None),), (RequiredCheck("other", 15368),), (RequiredCheck("proof", 8),)])
def test_a_check_that_nobody_forces_is_no_proof(required: tuple[RequiredCheck, ...]) -> None:
    """A success that the branch does not ask for, takes from anyone, or asks of another App, is none."""
    assert proof("check-required", replace(evidence("check-required", CHECK), rules=BranchRules(required, ()))).status is FAILED


def test_a_forced_check_whose_app_is_not_told_is_no_proof() -> None:
    """Where GitHub does not say which App made a check, no pin can fit it, not even one that names no App."""
    nameless = replace(CHECK, app_id=None)
    assert proof("check-required", evidence("check-required", nameless)).status is FAILED
    both = BranchRules((RequiredCheck("proof", None), RequiredCheck("proof", 15368)), ())
    assert proof("check-required", replace(evidence("check-required", nameless), rules=both)).status is FAILED


@pytest.mark.parametrize(
    "change",
    [{"down": "1" * 64}, {"again": "2" * 64}, {"up": "0" * 64, "again": "0" * 64}, {"start": None}, {"schema": "x"}, {"up": "short"}],
)
def test_a_round_trip_must_lead_back_and_change_something(change: dict[str, str | None]) -> None:
    """An empty way back, another schema the second time, a migration that does nothing, and a record that is none: no proof."""
    content = json.dumps({**json.loads(TRIP), **change})
    found = replace(evidence("migration-reversed", CHECK), artifacts=(ArtifactFact("proof", content, CHECK),))
    assert proof("migration-reversed", found).status is FAILED


@pytest.mark.parametrize(
    ("run", "percent", "expected"), [(10, None, MET), (9, None, FAILED), (9, 90, MET), (8, 90, FAILED), (0, 1, FAILED)]
)
def test_tests_must_have_run_the_changed_lines(run: int, percent: int | None, expected: Status) -> None:
    """All changed lines that can run, or the share that the policy asks for."""
    policy = replace(POLICY, evidence=(("tests-exercised", (replace(SOURCE, percent=percent),)),))
    assert (
        proof(
            "tests-exercised", replace(evidence("tests-exercised", CHECK), coverage=(CoverageFact(CHECK, 10, run),)), policy=policy
        ).status
        is expected
    )


def test_coverage_is_compared_with_the_changed_lines() -> None:
    """Only lines of this change that can run count; an artifact that leaves a changed file out, or is none, is said to."""
    change = change_of({"a.py": "a = 1\nb = 2\n"}, {"a.py": "a = 1\nb = 3\n# x\nc = 4\n"})
    assert changed_lines(change, "a.py") == {2, 3, 4}

    def fact(files: object) -> CoverageFact:
        text = json.dumps({"schema": COVERAGE, "files": files})
        return coverage_facts(change, [ArtifactFact("proof", text, CHECK)])[0]

    assert (fact({"a.py": {"lines": [1, 2, 4], "run": [1, 2, 4]}}).lines, fact({"a.py": {"lines": [1, 2, 4], "run": [1, 2]}}).missed) == (
        2,
        ("a.py:4",),
    )
    assert fact({"b.py": {"lines": [1], "run": [1]}}).wrong == "it says nothing of a.py"
    assert fact({}).wrong == "it speaks of no file"
    assert fact({"a.py": {"lines": ["1"], "run": []}}).wrong and fact([]).wrong and fact({"a.py": None}).wrong


def test_tests_say_nothing_of_a_change_without_lines_that_run() -> None:
    """No changed line can run: that is no proof, however many tests passed; and a file of a kind that is spoken of must not be left out."""
    nothing = replace(evidence("tests-exercised", CHECK), coverage=(CoverageFact(CHECK, 0, 0),))
    assert proof("tests-exercised", nothing).status is MISSING
    change = change_of({"a.py": "a = 1\n"}, {"a.py": "a = 2\n"})
    text = json.dumps({"schema": COVERAGE, "files": {}, "kinds": ["py"]})
    assert coverage_facts(change, [ArtifactFact("proof", text, CHECK)])[0].wrong == "it says nothing of a.py"


def from_change(name: str, effect: Effect, before: dict[str, str], after: dict[str, str], effects: tuple[Effect, ...] = ()) -> Proof | None:
    prove = safeguards.load(name).from_change
    assert prove is not None
    return prove(effect, change_of(before, after), effects)


COLUMN = replace(EFFECT, path="db/migrations/2.sql", subject="users.nick_name", facts=(("table", "users"), ("column", "nick_name")))
SQL = {"db/migrations/1.sql": "CREATE TABLE users (nick_name text);"}
DROP = {**SQL, "db/migrations/2.sql": "ALTER TABLE users DROP COLUMN nick_name;"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, MET),
        ({"app/user.py": "user.nick_name"}, {"app/user.py": "user.nick_name"}, MISSING),
        ({"app/user.ts": "user.nickName"}, {"app/user.ts": "user.nickName"}, MISSING),
        ({"app/user.py": "user.nick_name"}, {"app/user.py": "user.name"}, FAILED),
        ({"app/user.py": "user.nick_names"}, {"app/user.py": "user.my_nick_name"}, MET),
        ({"docs/user.md": "nick_name"}, {"docs/user.md": "nick_name"}, MET),
        ({"tests/test_user.py": "nick_name"}, {"tests/test_user.py": "nick_name"}, MET),
        ({"tests/test_user.py": "nick_name"}, {}, MET),
        ({"app/user.py": "user.nick_name"}, {}, FAILED),
        ({"app/user.py": "user.nick_name"}, {"app/people.py": "user.nick_name"}, MISSING),
        ({"app/user.py": "user.nick_name"}, {"tests/test_user.py": "user.nick_name"}, FAILED),
        ({"app/user.py": "user.nick_name\nuser.nick_name.upper()"}, {"app/user.py": "user.nick_name"}, MISSING),
    ],
)
def test_a_column_goes_only_when_nothing_reads_it(before: dict[str, str], after: dict[str, str], expected: Status) -> None:
    """No source file at head names it, and this change does not take the last reader away itself, nor put it where nothing runs."""
    found = from_change("expand-contract", COLUMN, {**SQL, **before}, {**DROP, **after})
    assert found is not None and found.status is expected


def test_a_repository_too_large_to_search_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit nothing is known."""
    large = {**DROP, **{f"app/{n}.py": "x" * 9 for n in range(3)}}
    for bound in ("FILES", "BYTES"):
        with monkeypatch.context() as small:
            small.setattr(f"checks.spellings.{bound}", 2)
            found = from_change("expand-contract", COLUMN, SQL, large)
            assert found is not None and found.status is UNKNOWN
    found = from_change("expand-contract", COLUMN, SQL, large)
    assert found is not None and found.status is MET


def test_a_link_among_the_sources_reads_nothing() -> None:
    """What it points at is read where it stands, if at all."""
    prove = safeguards.load("expand-contract").from_change
    assert prove is not None
    change = change_of(SQL, DROP)
    linked = MemoryTree({"app/user.py": (b"nick_name", LINK)})
    found = prove(COLUMN, replace(change, after=linked), ())
    assert found is not None and found.status is MET


class Heavy(MemoryTree):
    """A tree in which one source file is too large to be read."""

    def read(self, path: str) -> bytes | None:
        if path == "app/large.py":
            raise Unreadable(path, "it is over the limit")
        return super().read(path)


@pytest.mark.parametrize("stays", [True, False])
def test_a_reader_too_large_to_be_read_proves_nothing(stays: bool) -> None:
    """Whether it read the column is not known, be it that it stays or that this change takes it away."""
    prove = safeguards.load("expand-contract").from_change
    assert prove is not None
    large = {"app/large.py": "x = 1\n"}
    change = change_of({**SQL, **large}, {**DROP, **({"app/large.py": "x = 2\n"} if stays else {})})
    before, after = (Heavy({one: tree.read(one) or b"" for one in tree.paths()}) for tree in (change.before, change.after))
    found = prove(COLUMN, replace(change, before=before, after=after), ())
    assert found is not None and found.status is UNKNOWN


ROLLOUT = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: shop}\nspec:\n  strategy:\n    canary:\n%s      steps: [{setWeight: 10}, {pause: {}}]\n"
JUDGED = ROLLOUT % "      analysis: {templates: [{templateName: ok}]}\n"
BREAKER = 'resource "aws_ecs_service" "shop" {\n  deployment_circuit_breaker {\n    enable = true\n    rollback = %s\n  }\n}\n'
SAM = "Resources:\n  shop:\n    Type: AWS::Serverless::Function\n    Properties:\n      DeploymentPreference: {Type: Canary10Percent5Minutes, Alarms: [!Ref A]}\n"


@pytest.mark.parametrize(
    ("files", "steps", "back"),
    [
        ({"apps/shop/k8s/rollout.yaml": JUDGED}, MET, MET),
        ({"apps/shop/k8s/rollout.yaml": ROLLOUT % ""}, MISSING, MISSING),
        ({"apps/other/k8s/rollout.yaml": JUDGED}, MISSING, MISSING),
        ({"apps/shop/k8s/rollout.yaml": JUDGED.replace("name: shop", "name: other")}, MISSING, MISSING),
        ({"apps/shop/main.tf": BREAKER % "true"}, MISSING, MET),
        ({"apps/shop/main.tf": BREAKER % "false"}, MISSING, MISSING),
        ({"apps/shop/template.yaml": SAM}, MET, MET),
        ({"apps/shop/template.yaml": "Resources: ["}, MISSING, MISSING),
    ],
)
def test_a_unit_ships_in_steps_only_where_its_own_folders_say_so(files: dict[str, str], steps: Status, back: Status) -> None:
    """Steps and rollback count when a machine judges them, for this workload."""
    effect = replace(EFFECT, hazard=Hazard.AVAILABILITY_REDUCED, path="apps/shop/k8s/x.yaml", subject="Deployment/shop")
    for name, expected in (("rollout-staged", steps), ("rollback-automatic", back)):
        found = from_change(name, effect, {}, files)
        assert found is not None and found.status is expected, name


def test_a_rollout_that_this_change_weakens_is_no_safeguard() -> None:
    """What is loosened in the same change does not count."""
    effect = replace(EFFECT, path="apps/shop/k8s/x.yaml", subject="Deployment/shop")
    weak = replace(EFFECT, rule="rollouts/steps-removed", path="apps/shop/k8s/rollout.yaml")
    found = from_change("rollout-staged", effect, {}, {"apps/shop/k8s/rollout.yaml": JUDGED}, (effect, weak))
    assert found is not None and found.status is FAILED


ROLE = 'resource "aws_iam_role" "ci" {\n  name = "ci"\n%s  assume_role_policy = "{}"\n}\n'
GRANT = 'resource "aws_iam_role_policy" "ci" {\n  role = aws_iam_role.ci.id\n  policy = jsonencode({\n    Statement = [{ Effect = "Allow", Action = ["%s"], Resource = "%s"%s }]\n  })\n}\n'
CONDITION = ', Condition = { StringEquals = { "aws:SourceVpc" = "vpc-1" } }'
BOUNDARY = '  permissions_boundary = "arn:aws:iam::1:policy/limit"\n'


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ROLE % "", ROLE % "" + GRANT % ("s3:PutObject", "*", ""), MISSING),
        (ROLE % "", ROLE % "" + GRANT % ("s3:PutObject", "arn:aws:s3:::a/*", ""), MISSING),
        (ROLE % "", ROLE % "" + GRANT % ("s3:PutObject", "*", CONDITION), MISSING),
        (ROLE % "", ROLE % "" + GRANT % ("s3:PutObject", "arn:aws:s3:::a/*", CONDITION), MET),
        (
            ROLE % "",
            ROLE % "" + GRANT % ("s3:PutObject", "arn:aws:s3:::a/*", CONDITION.replace("StringEquals", "StringNotEquals")),
            MISSING,
        ),
        (ROLE % BOUNDARY, ROLE % BOUNDARY + GRANT % ("*", "*", ""), MET),
        (ROLE % BOUNDARY, ROLE % BOUNDARY.replace("limit", "wide") + GRANT % ("*", "*", ""), MISSING),
    ],
)
def test_access_is_bounded_by_computation(before: str, after: str, expected: Status) -> None:
    """A boundary that stood and stands, or named resources with a condition that narrows; else nothing bounds it."""
    change = change_of({"infra/live/a.tf": before}, {"infra/live/a.tf": after})
    effects = [one for one in assess(change, POLICY).effects if one.hazard is Hazard.PRIVILEGE_WIDENED]
    assert effects
    for effect in effects:
        found = from_change("privilege-bounded", effect, {}, {})
        assert found is not None and found.status is expected, (effect.rule, effect.facts)


def test_what_a_workflow_gains_in_an_environment_carries_its_name() -> None:
    """The job's environment goes with the effect, so that its protection can be asked for."""
    flow = "on: push\npermissions: {contents: read}\njobs:\n  ship:\n    runs-on: ubuntu-latest\n    environment: production\n    permissions: {contents: %s}\n    steps: [{run: echo}]\n"
    change = change_of({".github/workflows/a.yml": flow % "read"}, {".github/workflows/a.yml": flow % "write"})
    (effect,) = [one for one in assess(change, POLICY).effects if one.rule == "workflow-token/write-granted"]
    assert effect.fact("job-environment") == "production"


def test_every_safeguard_says_what_turns_it_green_for_this_very_thing() -> None:
    """The words name the thing or the workflow; where proof comes from outside, lines can be pasted."""
    for name in safeguards.NAMES:
        text = safeguards.load(name).turns_green(EFFECT, Policy())
        assert EFFECT.subject in text or "```" in text or "`" in text, name


def test_the_policy_takes_a_share_of_lines() -> None:
    """`percent` is a number from 1 to 100."""
    text = "version: 1\nevidence: {tests-exercised: {check: t, artifact: a, percent: %s}}\n"
    read = read_policy(MemoryTree({".github/interlock.yml": (text % 90).encode()}))
    assert read.sources("tests-exercised")[0].percent == 90
    assert read_policy(MemoryTree({".github/interlock.yml": (text % 101).encode()})).mistakes


THINGS = {
    "Deployment shop": ("Canary", "apps/shop/k8s/x.yaml", "k8s/canary.yaml", MET, MET),
    "DaemonSet prod/agent": ("kind: DaemonSet, name: agent", "apps/agent/k8s/x.yaml", "k8s/canary.yaml", MET, MET),
    "Rollout shop": ("In the Rollout `shop`", "apps/shop/k8s/x.yaml", "k8s/x.yaml", MET, MET),
    "StatefulSet db": ("Rollout", "apps/db/k8s/x.yaml", "k8s/x.yaml", MET, MET),
    "aws_ecs_service.shop": ("aws_ecs_service.shop", "apps/shop/main.tf", "main.tf", MET, MET),
    "aws_lambda_function.worker": ("DeploymentPreference", "apps/worker/main.tf", "template.yaml", MET, MET),
    "topic": ("Rollout", "apps/x/y.yaml", "z.yaml", MET, MET),
}


@pytest.mark.parametrize("subject", THINGS)
def test_what_to_paste_for_a_rollout_is_for_this_thing_and_turns_it_green(subject: str) -> None:
    """The lines name the workload, parse, and are what the safeguard takes as proof once they stand in the unit's folder."""
    words, path, place, steps, back = THINGS[subject]
    effect = replace(EFFECT, hazard=Hazard.AVAILABILITY_REDUCED, path=path, subject=subject, facts=())
    for name, expected in (("rollout-staged", steps), ("rollback-automatic", back)):
        text = safeguards.load(name).turns_green(effect, Policy())
        assert words in text and subject in text
        (block,) = re.findall(r"```(?:yaml|hcl)\n(.*?)```", text, re.DOTALL)
        if "```hcl" in text and "resource" not in block:
            block = f'resource "aws_ecs_service" "shop" {{\n{block}}}\n'
        found = from_change(name, effect, {}, {f"{path.partition('/')[0]}/{path.split('/')[1]}/{place}": block})
        assert found is not None and found.status is expected, (name, found, text)


@pytest.mark.parametrize(
    "rule", ["untrusted-event-added", "untrusted-code-checked-out", "script-injection", "started-by-itself", "gate-removed"]
)
def test_what_starts_a_workflow_carries_its_environment(rule: str) -> None:
    """Whoever newly starts a job that runs in an environment: the environment's protection can be asked for."""
    text = "on: %s\npermissions: {contents: write}\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    environment: production\n    if: %s\n    steps:\n      - uses: actions/checkout@v4\n        with: {ref: %s}\n      - run: ./deploy.sh %s\n"
    calm, mine = ("push", "true", "main", ""), "github.event.pull_request.head.repo.full_name == github.repository"
    sides = {
        "untrusted-event-added": (calm, ("pull_request_target", *calm[1:])),
        "untrusted-code-checked-out": (
            ("pull_request_target", *calm[1:]),
            ("pull_request_target", "true", "'${{ github.event.pull_request.head.sha }}'", ""),
        ),
        "script-injection": (
            ("pull_request_target", *calm[1:]),
            ("pull_request_target", "true", "main", "'${{ github.event.pull_request.title }}'"),
        ),
        "started-by-itself": (("workflow_dispatch", *calm[1:]), calm),
        "gate-removed": (("pull_request_target", mine, "main", ""), ("pull_request_target", *calm[1:])),
    }
    before, after = sides[rule]
    path = ".github/workflows/a.yml"
    found = [
        one
        for one in assess(change_of({path: text % before}, {path: text % after}), POLICY).effects
        if one.rule.startswith("workflow-triggers/")
    ]
    assert found and all(one.fact("job-environment") == "production" for one in found), found


def _rolled(name: str, files: dict[str, str], *more: Effect) -> Proof | None:
    effect = replace(EFFECT, hazard=Hazard.AVAILABILITY_REDUCED, path="apps/shop/k8s/x.yaml", subject="Deployment/shop")
    return from_change(name, effect, {}, files, (effect, *more))


def _bounded(before: str, after: str) -> Proof | None:
    change = change_of({"infra/live/a.tf": before}, {"infra/live/a.tf": after})
    effect = next(one for one in assess(change, POLICY).effects if one.hazard is Hazard.PRIVILEGE_WIDENED)
    return from_change("privilege-bounded", effect, {}, {})


ROLLED = {"apps/shop/k8s/rollout.yaml": JUDGED}
WEAKENED = replace(EFFECT, rule="rollouts/steps-removed", path="apps/shop/k8s/rollout.yaml")
OTHER = replace(EFFECT, hazard=Hazard.SECRET_EXPOSED)
CONTAINED = replace(EFFECT, hazard=Hazard.AGENT_WIDENED)
TREES: dict[str, dict[str, Callable[[], Proof | None]]] = {
    "expand-contract": {
        "met": lambda: from_change("expand-contract", COLUMN, SQL, DROP),
        "missing": lambda: from_change("expand-contract", COLUMN, {**SQL, "app/u.py": "u.nick_name"}, {**DROP, "app/u.py": "u.nick_name"}),
        "failed": lambda: from_change("expand-contract", COLUMN, {**SQL, "app/u.py": "u.nick_name"}, {**DROP, "app/u.py": "u.name"}),
        "other commit": lambda: from_change("expand-contract", COLUMN, SQL, {**DROP, "app/u.py": "u.nick_name"}),
    },
    **{
        name: {
            "met": lambda name=name: _rolled(name, ROLLED),  # type: ignore[misc]
            "missing": lambda name=name: _rolled(name, {}),  # type: ignore[misc]
            "failed": lambda name=name: _rolled(name, ROLLED, WEAKENED),  # type: ignore[misc]
            "forged": lambda name=name: _rolled(name, {"apps/shop/k8s/rollout.yaml": ROLLOUT % ""}),  # type: ignore[misc]
            "other workflow": lambda name=name: _rolled(name, {"apps/other/k8s/rollout.yaml": JUDGED}),  # type: ignore[misc]
        }
        for name in ("rollout-staged", "rollback-automatic")
    },
    "privilege-bounded": {
        "met": lambda: _bounded(ROLE % BOUNDARY, ROLE % BOUNDARY + GRANT % ("*", "*", "")),
        "missing": lambda: _bounded(ROLE % "", ROLE % "" + GRANT % ("s3:PutObject", "*", "")),
        "forged": lambda: _bounded(ROLE % BOUNDARY, ROLE % BOUNDARY.replace("limit", "wide") + GRANT % ("*", "*", "")),
    },
    "change-isolated": {
        "met": lambda: from_change("change-isolated", EFFECT, {"a": "1"}, {"a": "2"}, (EFFECT,)),
        "failed": lambda: from_change("change-isolated", EFFECT, {"a": "1"}, {"a": "2"}, (EFFECT, OTHER)),
    },
    "agent-contained": {
        "met": lambda: from_change("agent-contained", replace(CONTAINED, facts=(("contained", "the sandbox"),)), {}, {}),
        "missing": lambda: from_change("agent-contained", CONTAINED, {}, {}),
    },
}
"""Safeguards that the two trees alone prove: situation → what is said."""


def test_no_cell_of_the_table_is_green_but_the_first() -> None:
    """Every safeguard has a row; only what is really met is green, in all the ways in which evidence can be other than it looks."""
    from tests.proofs_table import table

    found = table()
    assert set(found) == set(safeguards.NAMES) and all("met" in cells for cells in found.values())
    wrong = [(name, one, cell) for name, cells in found.items() for one, cell in cells.items() if (cell.status is MET) != (one == "met")]
    assert wrong == [] and sum(map(len, found.values())) >= 100


def both_ways(name: str, found: Evidence) -> set[Status]:
    """What a safeguard says of the same evidence in both orders."""
    other = replace(found, artifacts=found.artifacts[::-1], coverage=found.coverage[::-1], drills=(found.drills or ())[::-1])
    return {proof(name, found).status, proof(name, other).status}


def test_of_several_records_each_must_say_yes() -> None:
    """A run that failed to show it is not hidden by one that shows it, in whatever order they come."""
    trip = json.dumps({**json.loads(TRIP), "down": "1" * 64})
    records = (ArtifactFact("proof", TRIP, CHECK), ArtifactFact("proof", trip, CHECK))
    assert both_ways("migration-reversed", Evidence(connected=True, artifacts=records)) == {FAILED}
    facts = (CoverageFact(CHECK, 10, 10), CoverageFact(CHECK, 10, 9))
    assert both_ways("tests-exercised", Evidence(connected=True, coverage=facts)) == {FAILED}
    more = digest_file(
        json.dumps(
            {
                "format_version": "1.2",
                "resource_changes": [
                    {"address": name, "type": name.split(".")[0], "change": {"actions": ["delete"], "before": {}, "after": None}}
                    for name in ("aws_db_instance.main", "aws_db_instance.unforeseen")
                ],
            }
        ).encode()
    )
    plans = (ArtifactFact("proof", PLAN, CHECK), ArtifactFact("proof", more, CHECK))
    assert both_ways("plan-verified", Evidence(connected=True, checks=(CHECK,), artifacts=plans)) == {FAILED}
    kept = (ArtifactFact("proof", PLAN_KEPT, CHECK), ArtifactFact("proof", PLAN, CHECK))
    assert both_ways("state-kept", Evidence(connected=True, checks=(CHECK,), artifacts=kept)) == {MISSING}
    rows = [
        {
            "address": "aws_db_instance.renamed",
            "previous_address": "aws_db_instance.main",
            "type": "aws_db_instance",
            "change": {"actions": ["delete", "create"], "before": {}, "after": {}},
        }
    ]
    renamed = digest_file(json.dumps({"format_version": "1.2", "resource_changes": rows}).encode())
    moved = (kept[0], ArtifactFact("proof", renamed, CHECK))
    assert both_ways("state-kept", Evidence(connected=True, checks=(CHECK,), artifacts=moved)) == {MISSING}
    among = (kept[0], ArtifactFact("proof", more, CHECK))
    assert both_ways("state-kept", Evidence(connected=True, checks=(CHECK,), artifacts=among)) == {MISSING}
    assert both_ways("state-kept", Evidence(connected=True, checks=(CHECK,), artifacts=kept[:1])) == {MET}
    drills = (DRILL, replace(DRILL, conclusion="failure"))
    assert both_ways("restore-proven", Evidence(connected=True, now=NOW, drills=drills)) == {FAILED}


def test_a_guard_that_went_off_in_another_file_announces_nothing() -> None:
    """Two folders may have a thing of one name: each deletion needs its own announcement."""
    elsewhere = tuple(replace(one, path="infra/dev/main.tf") for one in staged(25))
    assert proof("deletion-staged", Evidence(connected=True, now=NOW, staged=elsewhere)).status is MISSING


@pytest.mark.parametrize("name", ["tests-exercised", "migration-reversed"])
def test_a_source_without_an_artifact_is_a_check(name: str) -> None:
    """Where the policy names none, the check itself is the proof; where it names nothing at all, there is none."""
    plain = Policy(evidence=((name, (replace(SOURCE, artifact=None),)),))
    assert proof(name, Evidence(connected=True, checks=(CHECK,)), policy=plain).status is MET
    assert proof(name, Evidence(connected=True, checks=(replace(CHECK, conclusion="failure"),)), policy=plain).status is FAILED
    assert proof(name, Evidence(connected=True, checks=(CHECK,)), policy=Policy()).status is MISSING
    assert proof(name, replace(evidence(name, CHECK), connected=False)).status is UNKNOWN


@pytest.mark.parametrize("name", ["plan-verified", "state-kept"])
def test_a_plan_counts_only_with_its_check_and_its_artifact(name: str) -> None:
    """A failed check beside the artifact, an artifact of another name or one that cannot be read: no proof."""
    content = PLAN if name == "plan-verified" else PLAN_KEPT
    right = Evidence(connected=True, checks=(CHECK,), artifacts=(ArtifactFact("proof", content, CHECK),))
    assert proof(name, right).status is MET
    failing = replace(right, checks=(CHECK, replace(CHECK, conclusion="failure")))
    assert proof(name, failing).status is not MET
    assert proof(name, replace(right, artifacts=(ArtifactFact("other", content, CHECK),))).status is MISSING
    assert proof(name, replace(right, artifacts=())).status is MISSING
    assert proof(name, replace(right, artifacts=(ArtifactFact("proof", content[:-9], CHECK),))).status is not MET
    assert proof(name, replace(right, connected=False)).status is not MET
    assert proof(name, right, policy=Policy()).status is MISSING
    old = replace(CHECK, event="workflow_run")
    assert proof(name, replace(right, artifacts=(ArtifactFact("proof", content, old),))).status is not MET


def test_a_forced_check_is_known_to_be_forced() -> None:
    """Without the branch's rules nothing is known; one rule that pins it is enough."""
    found = evidence("check-required", CHECK)
    assert proof("check-required", replace(found, rules=None)).status is UNKNOWN
    assert proof("check-required", replace(found, rules=BranchRules((RequiredCheck("other", 15368),), ()))).status is FAILED
    two = BranchRules((RequiredCheck("proof", None), RequiredCheck("proof", 15368)), ())
    assert proof("check-required", replace(found, rules=two)).status is MET


@pytest.mark.parametrize("event", ["pull_request", "push", "merge_group", "workflow_dispatch", "schedule"])
def test_a_trusted_event_runs_the_heads_code(event: str) -> None:
    """What runs the head's own code under an unchanged workflow is proof."""
    assert proof("check-required", evidence("check-required", replace(CHECK, event=event))).status is MET


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch", "push", "repository_dispatch"])
def test_a_drill_may_start_in_these_ways(event: str) -> None:
    """Whatever runs the merged workflow on the branch itself."""
    assert proof("restore-proven", Evidence(connected=True, now=NOW, drills=(replace(DRILL, event=event),))).status is MET


@pytest.mark.parametrize(
    ("days", "taken", "expected"),
    [
        (30.0, None, MET),
        (30.001, None, MISSING),
        (1, "2026-10-23T12:00:00Z", MET),
        (1, "2026-10-23T11:59:00Z", MISSING),
        (1, "2026-11-23T12:00:00Z", FAILED),
    ],
)
def test_how_old_a_drill_and_its_backup_may_be(days: float, taken: str | None, expected: Status) -> None:
    """As many days as the policy says, to the day, and never in the future."""
    (drill,) = record(taken=taken)
    found = (replace(drill, completed=NOW - datetime.timedelta(days=days)),)
    assert proof("restore-proven", Evidence(connected=True, now=NOW, drills=found)).status is expected


def test_a_plan_settles_only_what_it_speaks_of() -> None:
    """A plan of another directory, or one that does not know, is no proof for this effect; nor is any plan for an effect that no plan shows."""
    plan = Evidence(connected=True, checks=(CHECK,), artifacts=(ArtifactFact("proof", PLAN, CHECK),))
    assert proof("plan-verified", plan).status is MET
    other = replace(EFFECT, subject="aws_db_instance.other", facts=(("address", "aws_db_instance.other"), ("action", "delete")))
    assert proof("plan-verified", plan, other).status is not MET
    assert proof("plan-verified", plan, replace(EFFECT, facts=())).status is MISSING
    assert proof("plan-verified", plan, replace(EFFECT, facts=(("address", "aws_db_instance.main"),))).status is MISSING
    assert proof("state-kept", replace(plan, artifacts=(*plan.artifacts, ArtifactFact("proof", PLAN_KEPT, CHECK))), other).status is MISSING


def test_a_round_trip_is_told_in_digests() -> None:
    """Words that agree with each other are no record of a schema."""
    text = json.dumps({"schema": ROUND_TRIP, "start": "a", "up": "b", "down": "a", "again": "b"})
    assert (
        proof("migration-reversed", replace(evidence("migration-reversed", CHECK), artifacts=(ArtifactFact("proof", text, CHECK),))).status
        is FAILED
    )
    one = json.dumps({**json.loads(TRIP), "again": "b"})
    assert (
        proof("migration-reversed", replace(evidence("migration-reversed", CHECK), artifacts=(ArtifactFact("proof", one, CHECK),))).status
        is FAILED
    )
    half = json.dumps({**json.loads(TRIP), "start": "a", "down": "a"})
    for content in ("[]", "{", half):
        bare = ArtifactFact("proof", content, CHECK)
        assert proof("migration-reversed", replace(evidence("migration-reversed", CHECK), artifacts=(bare,))).status is FAILED, content


def test_one_of_several_drills_is_enough() -> None:
    """A policy may name several workflows that practise a restore; in any order."""
    other = replace(SOURCE, workflow=".github/workflows/other.yml")
    for sources in ((SOURCE, other), (other, SOURCE)):
        policy = Policy(evidence=(("restore-proven", sources),))
        assert proof("restore-proven", Evidence(connected=True, now=NOW, drills=(DRILL,)), policy=policy).status is MET


def test_a_plan_is_asked_where_the_files_keep_nothing() -> None:
    """What the two trees leave open a trusted plan may still show: the decision asks it."""
    change = change_of({"infra/prod/main.tf": DATABASE + TOPIC}, {"infra/prod/main.tf": TOPIC})
    policy = replace(POLICY, requirements=(("terraform/resource-destroyed", None, (("state-kept",),)),))
    known = assess(change, policy)
    shown = Evidence(connected=True, now=NOW, checks=(CHECK,), artifacts=(ArtifactFact("proof", PLAN_KEPT, CHECK),))
    kept = [one for one in decide(known, shown, policy).requirements if one.safeguard == "state-kept"]
    assert [one.proof.status for one in kept] == [MET]
    lost = replace(shown, artifacts=(ArtifactFact("proof", PLAN, CHECK),))
    assert [one.proof.status for one in decide(known, lost, policy).requirements if one.safeguard == "state-kept"] == [MISSING]


def test_an_unknown_action_of_a_plan_is_no_proof() -> None:
    """A plan that does not know what happens to the thing leaves it open."""
    row = {"address": "aws_db_instance.main", "type": "aws_db_instance", "change": {"actions": ["update"], "before": {}, "after": {}}}
    partial = digest_file(json.dumps({"format_version": "1.2", "complete": False, "resource_changes": [row]}).encode())
    found = Evidence(connected=True, checks=(CHECK,), artifacts=(ArtifactFact("proof", partial, CHECK),))
    assert proof("plan-verified", found).status is UNKNOWN and proof("state-kept", found).status is MISSING


def test_coverage_that_is_wrong_or_short_of_one_line_is_no_proof() -> None:
    """An artifact that leaves a file out proves nothing, however many lines it tells of; all lines means all."""
    found = evidence("tests-exercised", CHECK)
    wrong = CoverageFact(CHECK, 10, 10, (), "it says nothing of a.py")
    assert proof("tests-exercised", replace(found, coverage=(wrong,))).status is FAILED
    bare = Policy(evidence=(("tests-exercised", (replace(SOURCE, percent=None),)),))
    for run, expected in ((1000, MET), (999, FAILED)):
        assert proof("tests-exercised", replace(found, coverage=(CoverageFact(CHECK, 1000, run),)), policy=bare).status is expected


@pytest.mark.parametrize(("count", "expected"), [(5, MET), (6, FAILED)])
def test_an_isolated_effect_has_few_files_beside_it(count: int, expected: Status) -> None:
    """Five files outside its folder are few, six are not."""
    files = {f"other/{number}.txt": "a" for number in range(count)}
    effect = replace(EFFECT, path="infra/prod/main.tf")
    found = from_change("change-isolated", effect, {}, {**files, "infra/prod/main.tf": "a"}, (effect,))
    assert found is not None and found.status is expected


def test_a_plan_that_keeps_what_was_feared_for_is_proof() -> None:
    """The two trees alone said it is destroyed; the plan for this head updates it in place. What else goes is another effect's matter."""
    kept = Evidence(connected=True, checks=(CHECK,), artifacts=(ArtifactFact("proof", PLAN_KEPT, CHECK),))
    assert proof("plan-verified", kept).status is MET
    rows = [
        {"address": "aws_db_instance.main", "type": "aws_db_instance", "change": {"actions": ["update"], "before": {}, "after": {}}},
        {"address": "aws_sqs_queue.jobs", "type": "aws_sqs_queue", "change": {"actions": ["delete"], "before": {}, "after": None}},
    ]
    beside = digest_file(json.dumps({"format_version": "1.2", "resource_changes": rows}).encode())
    assert proof("state-kept", replace(kept, artifacts=(ArtifactFact("proof", beside, CHECK),))).status is MET


def test_a_drill_speaks_of_the_store_it_names() -> None:
    """The record names the effect's subject, address or table, or a pattern with a folder for its files: no other fact, and no bare star."""

    def restored(store: str, effect: Effect = EFFECT) -> Status:
        return proof("restore-proven", Evidence(connected=True, now=NOW, drills=record(stores=[store])), effect).status

    assert restored(EFFECT.subject) is MET and restored("infra/prod/**") is MET
    assert {restored(store) for store in ("*", "**", "main.tf", "infra/dev/**")} == {MISSING}
    noted = replace(EFFECT, facts=(*EFFECT.facts, ("engine", "postgres"), ("table", "orders")))
    assert restored("orders", noted) is MET
    assert restored("postgres", noted) is MISSING
    called = replace(EFFECT, subject="module.shop", facts=(("address", "module.shop.aws_db_instance.main"),))
    assert restored("module.shop.aws_db_instance.main", called) is MET and restored("aws_db_instance.main", called) is MISSING
