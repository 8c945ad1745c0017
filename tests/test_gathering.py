"""How facts are gathered: from GitHub's own answers to what counts as proof. Each row changes one thing in a world where all is well."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bot.evidence import gather, wanted
from bot.evidence.checks import check_facts, only_file
from bot.evidence.coverage import SCHEMA as COVERAGE
from bot.evidence.coverage import changed_lines, coverage_facts
from bot.evidence.drills import drill_facts
from bot.evidence.environments import environment_facts
from bot.evidence.history import staged_removals
from bot.evidence.overrides import end_overrides, key_of, overrides_of
from bot.evidence.rules import branch_rules
from bot.github.client import ARTIFACT, ApiError
from bot.mirror.change import Range, change
from bot.mirror.objects import Objects
from checks import safeguards
from checks.evidence import ArtifactFact, BranchRules, Evidence, RequiredCheck
from checks.model import Assessment, Change, Demand, Proof, Status, Unreadable
from checks.policy import Policy, Source
from checks.safeguards.base import from_checks, refused
from tests.changes import HEAD, change_of
from tests.repositories import Repository
from tests.test_evidence import ASSESSMENT, CHECK, DRILL, EFFECT, FLOW, NOW
from tests.test_evidence import SOURCE as ARTIFACT_SOURCE

WORKFLOW = "on: pull_request\njobs: {}\n"
CHANGE = change_of({FLOW: WORKFLOW, "a.py": "a = 1\n"}, {FLOW: WORKFLOW, "a.py": "a = 2\n"})
SOURCE = Source(app="github-actions", workflow=FLOW, check="proof")
World = dict[str, Any]


def zipped(*files: tuple[str, bytes]) -> bytes:
    """An artifact as GitHub keeps it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return made.getvalue()


def world() -> World:
    """GitHub's answers where all is well."""
    run = {
        "id": 5,
        "check_suite_id": 50,
        "path": FLOW,
        "event": "pull_request",
        "head_sha": HEAD,
        "head_branch": "main",
        "status": "completed",
        "conclusion": "success",
        "head_repository": {"id": 1},
        "repository": {"id": 1},
        "updated_at": "2026-11-20T12:00:00Z",
    }
    return {
        "checks": [
            {
                "id": 100,
                "name": "proof",
                "app": {"id": 15368, "slug": "github-actions"},
                "check_suite": {"id": 50},
                "head_sha": HEAD,
                "status": "completed",
                "conclusion": "success",
                "completed_at": "2026-11-20T12:00:00Z",
            }
        ],
        "runs": [run],
        "jobs": {5: [{"id": 100, "name": "proof", "check_run_url": "https://api/check-runs/100", "conclusion": "success"}]},
        "artifacts": {5: [{"id": 7, "name": "proof", "expired": False, "size_in_bytes": 10}]},
        "contents": {7: zipped(("a.json", b'"seven"')), 8: zipped(("a.json", b'"eight"'))},
        "rules": [
            {
                "type": "required_status_checks",
                "ruleset_id": 3,
                "ruleset_source_type": "Repository",
                "parameters": {"required_status_checks": [{"context": "interlock", "integration_id": 9}]},
            }
        ],
        "ruleset": {3: {"bypass_actors": []}},
        "environments": [],
    }


@dataclass
class GitHub:
    """Answers from a world; a call that it has no answer for fails as GitHub does."""

    world: World
    asked: list[str] = field(default_factory=list)

    def _of(self, call: str, variables: dict[str, Any]) -> Any:
        self.asked.append(call)
        name = {"check-runs": "checks", "run-jobs": "jobs", "run-artifacts": "artifacts", "workflow-runs": "runs"}.get(call, call)
        value = self.world[name]
        for key in ("run", "ruleset"):
            if key in variables and isinstance(value, dict):
                value = value.get(variables[key], [])
        if isinstance(value, ApiError):
            raise value
        return value

    async def every(self, call: str, key: str | None = None, *, params: Any = None, **variables: Any) -> list[Any]:
        assert call != "runs" or params == {"head_sha": HEAD}
        return list(self._of(call, variables))

    async def ask(self, call: str, *, params: Any = None, **variables: Any) -> Any:
        found = self._of(call, variables)
        return {"workflow_runs": found} if call == "workflow-runs" else found

    async def artifact(self, artifact: int) -> bytes:
        return bytes(self.world["contents"][artifact])


def altered(alter: Callable[[World], object]) -> GitHub:
    made = world()
    alter(made)
    return GitHub(made)


def check(made: World, **more: Any) -> None:
    """One more check run beside the first."""
    made["checks"].append({**made["checks"][0], **more})


CHECKS: dict[str, tuple[Callable[[World], object], Status]] = {
    "all is well": (lambda w: None, Status.MET),
    "runs": (lambda w: w["checks"][0].update(status="in_progress"), Status.MISSING),
    "failed": (lambda w: w["checks"][0].update(conclusion="failure"), Status.FAILED),
    "has no App": (lambda w: w["checks"][0].update(app=None), Status.FAILED),
    "has an App without a name": (lambda w: w["checks"][0].update(app={}), Status.FAILED),
    "is of another commit": (lambda w: w["checks"][0].update(head_sha="c" * 40), Status.FAILED),
    "was posted with a token": (lambda w: w["checks"][0].update(id=101), Status.FAILED),
    "was posted with a token beside it": (lambda w: check(w, id=99, conclusion="failure"), Status.MET),
    "belongs to no suite": (lambda w: w["checks"][0].update(check_suite=None), Status.FAILED),
    "belongs to no suite, nor does the run": (
        lambda w: (w["checks"][0].update(check_suite=None), w["runs"][0].update(check_suite_id=None)),
        Status.FAILED,
    ),
    "is of another suite": (lambda w: w["checks"][0].update(check_suite={"id": 51}), Status.FAILED),
    "job with a number of its own": (lambda w: w["jobs"][5][0].update(id=900), Status.MET),
    "job without an address": (lambda w: w["jobs"][5][0].update(check_run_url=None), Status.MET),
    "run of a fork": (lambda w: w["runs"][0].update(head_repository={"id": 2}), Status.FAILED),
    "run of a deleted fork": (lambda w: w["runs"][0].update(head_repository=None), Status.FAILED),
    "run of nowhere": (lambda w: w["runs"][0].update(head_repository=None, repository={}), Status.FAILED),
    "other workflow": (lambda w: w["runs"][0].update(path=".github/workflows/mine.yml"), Status.FAILED),
    "no workflow": (lambda w: w["runs"][0].update(path=None), Status.FAILED),
    "reusable workflow": (lambda w: w["runs"][0].update(path=f"{FLOW}@refs/heads/main"), Status.MET),
    "other event": (lambda w: w["runs"][0].update(event="pull_request_target"), Status.FAILED),
    "failed before it was run again": (lambda w: check(w, id=99, conclusion="failure"), Status.MET),
    "failed when it was run again": (
        lambda w: (check(w, id=102, conclusion="failure"), w["jobs"].update({5: [{"id": 102}]})),
        Status.FAILED,
    ),
    "one of two jobs of one name failed": (
        lambda w: (check(w, id=99, conclusion="failure"), w["jobs"][5].append({"id": 99})),
        Status.FAILED,
    ),
    "another run of it failed": (
        lambda w: (
            check(w, id=99, conclusion="failure", check_suite={"id": 40}),
            w["runs"].append({**w["runs"][0], "id": 4, "check_suite_id": 40}),
            w["jobs"].update({4: [{"id": 99}]}),
        ),
        Status.FAILED,
    ),
    "another name failed": (lambda w: check(w, id=101, name="lint", conclusion="failure"), Status.MET),
    "other name": (lambda w: w["checks"][0].update(name="lint"), Status.MISSING),
    "nothing ran": (lambda w: w.update(checks=[]), Status.MISSING),
}


def status(github: GitHub, source: Source, of: Change = CHANGE) -> Status:
    """What the check runs that GitHub tells of prove."""
    checks, _ = asyncio.run(check_facts(github, of, [source]))  # type: ignore[arg-type]
    policy = Policy(evidence=(("check-required", (source,)),))
    return from_checks("check-required", ASSESSMENT, Evidence(connected=True, now=NOW, checks=checks), policy)[1].status


@pytest.mark.parametrize("situation", CHECKS)
def test_a_check_run_is_proof_only_as_a_job_of_its_run(situation: str) -> None:
    """From GitHub's answers to a proof: bound to the commit, the App, the unchanged workflow, its newest attempt, and every job of the name."""
    alter, expected = CHECKS[situation]
    assert status(altered(alter), SOURCE) is expected


@pytest.mark.parametrize(("pinned", "expected"), [(15368, Status.MET), (9, Status.FAILED), (None, Status.FAILED)])
def test_a_check_is_forced_only_by_a_rule_that_pins_the_app_which_made_it(pinned: int | None, expected: Status) -> None:
    """GitHub names an App by number both where it made a check and where a rule asks for one: the two must be the same."""
    found, _ = asyncio.run(check_facts(altered(lambda w: None), CHANGE, (SOURCE,)))  # type: ignore[arg-type]
    policy = Policy(evidence=(("check-required", (SOURCE,)),))
    prove = safeguards.load("check-required").from_evidence
    assert prove is not None
    evidence = Evidence(connected=True, now=NOW, checks=found, rules=BranchRules((RequiredCheck("proof", pinned),), ()))
    assert prove(EFFECT, ASSESSMENT, evidence, policy).status is expected


def test_a_check_run_is_no_proof_where_its_workflow_changed() -> None:
    """What the change itself rewrote cannot vouch for it."""
    rewritten = change_of({FLOW: WORKFLOW}, {FLOW: WORKFLOW + "# other\n"})
    assert status(altered(lambda w: None), SOURCE, rewritten) is Status.FAILED


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source(app="github-actions", workflow=FLOW), Status.MET),
        (Source(workflow=FLOW), Status.MET),
        (Source(app="github-actions"), Status.MET),
        (Source(check="proof"), Status.MET),
        (Source(app="github-actions", workflow=".github/workflows/other.yml"), Status.MISSING),
        (Source(app="other"), Status.MISSING),
    ],
)
def test_a_source_without_a_name_means_every_check_of_its_workflow_or_app(source: Source, expected: Status) -> None:
    """And one of these that failed is a failure."""
    assert status(altered(lambda w: None), source) is expected
    if expected is Status.MET:
        failing = altered(lambda w: (check(w, id=99, name="lint", conclusion="failure"), w["jobs"][5].append({"id": 99})))
        assert status(failing, source) is (Status.MET if source.check else Status.FAILED)


@pytest.mark.parametrize("ids", [(1, 2), (2, 1)])
def test_another_apps_newest_check_counts(ids: tuple[int, int]) -> None:
    """An App that is not GitHub Actions runs a check again under its name: the newest counts, in whatever order GitHub lists them."""
    first, second = ids

    def alter(w: World) -> None:
        w["checks"] = [
            {**w["checks"][0], "app": {"slug": "ci"}, "id": first, "check_suite": {"id": 60}, "conclusion": "failure"},
            {**w["checks"][0], "app": {"slug": "ci"}, "id": second, "check_suite": {"id": 60}},
        ]

    github = altered(alter)
    assert status(github, Source(app="ci", check="proof")) is (Status.MET if second > first else Status.FAILED)
    assert github.asked == ["check-runs"]


def test_a_job_is_asked_for_once_in_each_run() -> None:
    """However many checks of a run count."""
    github = altered(lambda w: (check(w, id=99), w["jobs"][5].append({"id": 99})))
    checks, _ = asyncio.run(check_facts(github, CHANGE, [SOURCE]))  # type: ignore[arg-type]
    assert github.asked == ["check-runs", "runs", "run-jobs"] and len(checks) == 2
    assert checks[0] == replace(CHECK, url=None, completed=datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC))
    odd = altered(lambda w: w["checks"][0].update(completed_at=None))
    assert asyncio.run(check_facts(odd, CHANGE, [SOURCE]))[0][0].completed is None  # type: ignore[arg-type]


ARTIFACTS: dict[str, tuple[Callable[[World], object], Source, str | None]] = {
    "all is well": (lambda w: None, ARTIFACT_SOURCE, '"seven"'),
    "no workflow named": (lambda w: None, replace(ARTIFACT_SOURCE, workflow=None), '"seven"'),
    "no check named": (lambda w: None, replace(ARTIFACT_SOURCE, check=None), '"seven"'),
    "two of the name": (lambda w: w["artifacts"][5].append({"id": 8, "name": "proof", "size_in_bytes": None}), ARTIFACT_SOURCE, '"eight"'),
    "two of the name, the newer first": (lambda w: w["artifacts"][5].insert(0, {"id": 8, "name": "proof"}), ARTIFACT_SOURCE, '"eight"'),
    "expired": (lambda w: w["artifacts"][5][0].update(expired=True), ARTIFACT_SOURCE, None),
    "other name": (lambda w: w["artifacts"][5][0].update(name="other"), ARTIFACT_SOURCE, None),
    "as large as may be": (lambda w: w["artifacts"][5][0].update(size_in_bytes=ARTIFACT), ARTIFACT_SOURCE, '"seven"'),
    "other commit": (lambda w: w["runs"][0].update(head_sha="c" * 40), ARTIFACT_SOURCE, None),
    "other workflow": (lambda w: w["runs"][0].update(path=".github/workflows/mine.yml"), ARTIFACT_SOURCE, None),
    "no workflow": (lambda w: w["runs"][0].update(path=None), replace(ARTIFACT_SOURCE, workflow=None), None),
    "still runs": (lambda w: w["runs"][0].update(status="in_progress"), ARTIFACT_SOURCE, None),
    "failed": (lambda w: w["runs"][0].update(conclusion="failure"), ARTIFACT_SOURCE, None),
    "fork": (lambda w: w["runs"][0].update(head_repository={"id": 2}), ARTIFACT_SOURCE, None),
    "other event": (lambda w: w["runs"][0].update(event="workflow_run"), ARTIFACT_SOURCE, None),
    "is no archive": (lambda w: w["contents"].update({7: b"seven"}), ARTIFACT_SOURCE, None),
}


@pytest.mark.parametrize("situation", ARTIFACTS)
def test_an_artifact_is_proof_only_of_the_named_run_on_this_head(situation: str) -> None:
    """The newest of the name, of a finished run of the unchanged workflow, for this commit, in this repository."""
    alter, source, expected = ARTIFACTS[situation]
    _, found = asyncio.run(check_facts(altered(alter), CHANGE, [source]))  # type: ignore[arg-type]
    accepted = [one.content for one in found if one.name == "proof" and refused(one, source, HEAD) is None]
    assert accepted == ([expected] if expected else [])
    assert all(one.check.name == "proof" for one in found)


@pytest.mark.parametrize("other", [{"path": ".github/workflows/mine.yml"}, {"head_sha": "c" * 40}])
def test_an_artifact_of_another_run_is_not_asked_for(other: dict[str, str]) -> None:
    """What another workflow publishes under the same name, or the same one for another commit, neither proves nor hinders."""
    github = altered(lambda w: (w["runs"].append({**w["runs"][0], "id": 6, **other}), w["artifacts"].update({6: w["artifacts"][5]})))
    _, found = asyncio.run(check_facts(github, CHANGE, [ARTIFACT_SOURCE]))  # type: ignore[arg-type]
    assert [refused(one, ARTIFACT_SOURCE, HEAD) for one in found] == [None]


def test_an_artifact_over_the_limit_is_not_read() -> None:
    """What is too large to be read is not known, which is said."""
    github = altered(lambda w: w["artifacts"][5][0].update(size_in_bytes=ARTIFACT + 1))
    with pytest.raises(ApiError):
        asyncio.run(check_facts(github, CHANGE, [ARTIFACT_SOURCE]))  # type: ignore[arg-type]
    rewritten = change_of({FLOW: WORKFLOW}, {FLOW: WORKFLOW + "# other\n"})
    _, found = asyncio.run(check_facts(GitHub(world()), rewritten, [ARTIFACT_SOURCE]))  # type: ignore[arg-type]
    assert refused(found[0], ARTIFACT_SOURCE, HEAD)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (zipped(("a.json", b"{}")), "{}"),
        (zipped(("in/", b""), ("in/a.json", b"{}")), "{}"),
        (zipped(("a.json", b"12345678")), "12345678"),
        (zipped(("a.json", b"123456789")), None),
        (zipped(("a.json", b"{}"), ("b.json", b"{}")), None),
        (zipped(("a.txt", b"{}")), None),
        (zipped(("a.json", b"\xff")), None),
        (zipped(), None),
        (b"", None),
    ],
)
def test_an_artifact_is_one_small_file_of_json(content: bytes, expected: str | None) -> None:
    """Anything else is no proof, and nothing is unpacked on disk."""
    assert only_file(content, limit=8) == expected


DRILLS: dict[str, tuple[Callable[[World], object], Source, tuple[str | None, str | None] | None]] = {
    "all is well": (lambda w: None, ARTIFACT_SOURCE, ("success", '"seven"')),
    "no job or artifact named": (lambda w: None, Source(workflow=FLOW), ("success", None)),
    "no artifact named": (lambda w: None, replace(ARTIFACT_SOURCE, artifact=None), ("success", None)),
    "no workflow named": (lambda w: None, Source(check="proof"), None),
    "never ran": (lambda w: w.update(runs=ApiError("workflow-runs", 404, "")), ARTIFACT_SOURCE, None),
    "no runs": (lambda w: w.update(runs=None), ARTIFACT_SOURCE, None),
    "other branch": (lambda w: w["runs"][0].update(head_branch="mine"), ARTIFACT_SOURCE, None),
    "no such job": (lambda w: w["jobs"][5][0].update(name="other"), ARTIFACT_SOURCE, ("success without a job proof", None)),
    "job failed": (lambda w: w["jobs"][5][0].update(conclusion="failure"), ARTIFACT_SOURCE, ("failure", None)),
    "job was skipped": (lambda w: w["jobs"][5][0].update(conclusion="skipped"), ARTIFACT_SOURCE, ("skipped", None)),
    "one of two jobs failed": (
        lambda w: w["jobs"][5].append({"name": "proof", "conclusion": "failure"}),
        ARTIFACT_SOURCE,
        ("failure", None),
    ),
    "another job failed": (
        lambda w: w["jobs"][5].append({"name": "lint", "conclusion": "failure"}),
        ARTIFACT_SOURCE,
        ("success", '"seven"'),
    ),
    "run failed": (lambda w: w["runs"][0].update(conclusion="failure"), ARTIFACT_SOURCE, ("failure", None)),
    "no record": (lambda w: w["artifacts"].update({5: []}), ARTIFACT_SOURCE, ("success", "")),
    "record expired": (lambda w: w["artifacts"][5][0].update(expired=True), ARTIFACT_SOURCE, ("success", "")),
    "record of another name": (lambda w: w["artifacts"][5][0].update(name="other"), ARTIFACT_SOURCE, ("success", "")),
    "record is no archive": (lambda w: w["contents"].update({7: b""}), ARTIFACT_SOURCE, ("success", "")),
    "two records": (
        lambda w: w["artifacts"][5].insert(0, {"id": 8, "name": "proof", "size_in_bytes": ARTIFACT}),
        ARTIFACT_SOURCE,
        ("success", '"eight"'),
    ),
}


@pytest.mark.parametrize("situation", DRILLS)
def test_a_drill_is_the_newest_finished_run_on_the_branch(situation: str) -> None:
    """With the conclusion of the job that the policy names, and what it published under the name that the policy gives."""
    alter, source, expected = DRILLS[situation]
    found = asyncio.run(drill_facts(altered(alter), [Source(check="x"), source], "main"))  # type: ignore[arg-type]
    assert [(one.conclusion, one.record) for one in found] == ([expected] if expected else [])


def test_drills_are_told_as_they_ran() -> None:
    """Only the newest where its jobs must be asked for, all where not; a fork is told, and a failing GitHub is no empty list."""

    def two(w: World) -> None:
        w["runs"].append({**w["runs"][0], "id": 6, "head_repository": None, "updated_at": None})

    one = asyncio.run(drill_facts(altered(two), [replace(ARTIFACT_SOURCE, check=None)], "main"))  # type: ignore[arg-type]
    assert [(drill.same_repository, drill.completed) for drill in one] == [(False, None)]
    assert len(asyncio.run(drill_facts(altered(two), [replace(ARTIFACT_SOURCE, artifact=None)], "main"))) == 1  # type: ignore[arg-type]
    every = asyncio.run(drill_facts(altered(two), [Source(workflow=FLOW)], "main"))  # type: ignore[arg-type]
    assert [drill.same_repository for drill in every] == [False, True]
    known = asyncio.run(drill_facts(altered(lambda w: w["runs"][0].update(path=FLOW + "@main")), [ARTIFACT_SOURCE], "main"))  # type: ignore[arg-type]
    assert known == (
        replace(
            DRILL,
            event="pull_request",
            record='"seven"',
            completed=datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC),
        ),
    )
    for alter in (
        lambda w: w.update(runs=ApiError("workflow-runs", 502, "")),
        lambda w: w["artifacts"][5][0].update(size_in_bytes=ARTIFACT + 1),
    ):
        with pytest.raises(ApiError):
            asyncio.run(drill_facts(altered(alter), [ARTIFACT_SOURCE], "main"))  # type: ignore[arg-type]
    fork = altered(lambda w: w["runs"][0].update(head_repository={"id": 2}))
    assert not asyncio.run(drill_facts(fork, [ARTIFACT_SOURCE], "main"))[0].same_repository  # type: ignore[arg-type]
    nowhere = altered(lambda w: w["runs"][0].update(head_repository=None, repository={}))
    assert not asyncio.run(drill_facts(nowhere, [ARTIFACT_SOURCE], "main"))[0].same_repository  # type: ignore[arg-type]


RULES: dict[str, tuple[Callable[[World], object], tuple[str, ...] | None]] = {
    "nobody may bypass": (lambda w: None, ()),
    "somebody may": (
        lambda w: w["ruleset"][3].update(bypass_actors=[{"actor_type": "Team", "actor_id": 4, "bypass_mode": "always"}]),
        ("Team 4 (always)",),
    ),
    "not told": (lambda w: w["ruleset"][3].pop("bypass_actors"), None),
    "of the organisation": (lambda w: w["rules"][0].update(ruleset_source_type="Organization"), None),
    "no answer": (lambda w: w.update(ruleset=ApiError("ruleset", 500, "")), None),
    "of an unknown ruleset": (lambda w: w["rules"][0].update(ruleset_id=None), None),
    "another rule's ruleset does not say": (
        lambda w: w["rules"].append({"type": "deletion", "ruleset_id": 4, "ruleset_source_type": "Organization"}),
        (),
    ),
    "one of two is not told": (
        lambda w: (w["rules"].append({**w["rules"][0], "ruleset_id": 4}), w["ruleset"].update({4: {}})),
        None,
    ),
}


@pytest.mark.parametrize("situation", RULES)
def test_who_may_bypass_is_known_only_where_every_ruleset_says_so(situation: str) -> None:
    """One that does not say leaves it unknown, and unknown is not nobody."""
    alter, expected = RULES[situation]
    found = asyncio.run(branch_rules(altered(alter), "main"))  # type: ignore[arg-type]
    assert found.bypass == expected and found.required[0] == RequiredCheck("interlock", 9)


def test_rules_that_force_no_check_force_none() -> None:
    """A rule of another kind forces no check; then nobody is asked who may bypass."""
    github = altered(lambda w: w.update(rules=[{"type": "merge_queue", "parameters": {}}, {"type": "pull_request", "parameters": None}]))
    found = asyncio.run(branch_rules(github, "main"))  # type: ignore[arg-type]
    assert (found.required, found.bypass, found.strict, found.queue) == ((), None, False, True) and github.asked == ["rules"]
    strict = altered(lambda w: w["rules"][0]["parameters"].update(strict_required_status_checks_policy=True))
    strict.world["rules"].append({"type": "required_status_checks", "ruleset_id": 3, "parameters": {}})
    found = asyncio.run(branch_rules(strict, "main"))  # type: ignore[arg-type]
    assert found.strict and not found.queue


@pytest.mark.parametrize(
    ("rules", "protected"),
    [
        ([{"type": "required_reviewers"}], True),
        ([{"type": "branch_policy"}], True),
        ([{"type": "wait_timer"}], False),
        ([{"type": "wait_timer"}, {"type": "branch_policy"}], True),
        ([], False),
        (None, False),
    ],
)
def test_an_environment_is_protected_by_a_door_not_by_a_wait(rules: object, protected: bool) -> None:
    """Reviewers or a branch policy keep the author out; a timer only makes them wait."""
    github = altered(lambda w: w.update(environments=[{"name": "production", "protection_rules": rules, "can_admins_bypass": False}]))
    (found,) = asyncio.run(environment_facts(github))  # type: ignore[arg-type]
    assert (found.name, found.protected, found.admins_bypass) == ("production", protected, False)
    assert found.reviewers is (protected and rules == [{"type": "required_reviewers"}])


GUARDED = 'resource "aws_db_instance" "main" {\n  deletion_protection = true\n}\n'
BARE = GUARDED.replace("true", "false")
THING = "aws_db_instance.main"


def removed(folder: Path, *steps: dict[str, str | None], asked: tuple[str, ...] = ("prod/main.tf",)) -> list[tuple[str, str]]:
    """(path, subject) of the guards that the history took off, where the last step is the change itself."""
    repository = Repository(folder)
    commits = [repository.commit(files) for files in steps]
    objects = Objects(repository.folder / ".git")
    try:
        current = change(objects, Range(commits[-2], commits[-2], commits[-1]), "acme/shop")
        found = staged_removals(objects, current, [(path, THING) for path in asked])
        assert all(one.commit in commits[:-1] and one.when.tzinfo for one in found)
        return [(one.path, one.subject) for one in found]
    finally:
        objects.close()


def test_a_guard_counts_as_off_only_where_it_still_is(tmp_path: Path) -> None:
    """It went off in an earlier change, in this very file, and was not put back since."""
    prod, dev = "prod/main.tf", "dev/main.tf"
    gone: dict[str, str | None] = {prod: None, "a": "a"}
    assert removed(tmp_path / "1", {prod: GUARDED}, {prod: BARE}, gone) == [(prod, THING)]
    assert removed(tmp_path / "2", {prod: GUARDED}, {prod: BARE}, {prod: GUARDED}, gone) == []
    assert removed(tmp_path / "3", {prod: GUARDED, dev: GUARDED}, {prod: GUARDED + "\n", dev: BARE}, gone) == []
    assert removed(tmp_path / "4", {prod: GUARDED, dev: GUARDED}, {dev: BARE}, gone, asked=(prod, dev)) == [(dev, THING)]
    assert removed(tmp_path / "5", {prod: BARE}, {"b": "b"}, gone) == []
    opened = GUARDED.replace("}", "  publicly_accessible = true\n}")
    assert removed(tmp_path / "7", {prod: GUARDED}, {prod: opened}, gone) == []
    other = GUARDED + GUARDED.replace("main", "other")
    assert removed(tmp_path / "6", {prod: other}, {prod: GUARDED + BARE.replace("main", "other")}, gone) == []


def test_the_history_is_looked_at_for_what_is_demanded(tmp_path: Path) -> None:
    """The file and thing of each effect that needs a deletion in two steps, and of no other."""
    repository = Repository(tmp_path / "a")
    commits = [repository.commit({EFFECT.path: GUARDED}), repository.commit({EFFECT.path: BARE}), repository.commit({EFFECT.path: None})]
    objects = Objects(repository.folder / ".git")
    try:
        current = change(objects, Range(commits[1], commits[1], commits[2]), "acme/shop")
        for name, count in (("deletion-staged", 1), ("state-kept", None)):
            work = gather(assessment((name,)), current, objects, Policy(), GitHub(world()), "main", "gate", 9, NOW)  # type: ignore[arg-type]
            staged = asyncio.run(work).staged
            assert (None if staged is None else len(staged)) == count
        beside = assessment(("plan-verified",), ("state-kept", "deletion-staged"))
        work = gather(beside, current, objects, Policy(), GitHub(world()), "main", "gate", 9, NOW)  # type: ignore[arg-type]
        assert len(asyncio.run(work).staged or ()) == 1
        other = replace(EFFECT, subject="aws_db_instance.other")
        asked = replace(assessment(), effects=(EFFECT, other), demands=(Demand((other.id,), (("deletion-staged",),), "x"),))
        work = gather(asked, current, objects, Policy(), GitHub(world()), "main", "gate", 9, NOW)  # type: ignore[arg-type]
        assert asyncio.run(work).staged == ()
    finally:
        objects.close()


def test_several_sources_are_looked_for_at_once() -> None:
    """A check is told where any source means it."""
    sources = [SOURCE, Source(app="ci", check="lint")]
    checks, _ = asyncio.run(check_facts(GitHub(world()), CHANGE, sources))  # type: ignore[arg-type]
    assert [(one.name, one.workflow) for one in checks] == [("proof", FLOW)]


def assessment(*groups: tuple[str, ...], given: tuple[tuple[str, str, Proof], ...] = ()) -> Assessment:
    """A destroyed database that demands these groups."""
    return replace(ASSESSMENT, effects=(EFFECT,), demands=(Demand((EFFECT.id,), groups, "x"),), proofs=given)


def test_what_the_change_proves_is_not_looked_for() -> None:
    """A safeguard is looked for where one effect lacks its proof; only a met proof is one."""
    met, missing = Proof(Status.MET, "x"), Proof(Status.MISSING, "x")
    assert wanted(assessment(("state-kept", "plan-verified"))) == {"state-kept", "plan-verified"}
    assert wanted(assessment(("state-kept",), given=(("state-kept", EFFECT.id, met),))) == frozenset()
    assert wanted(assessment(("state-kept",), given=(("state-kept", EFFECT.id, missing),))) == {"state-kept"}
    two = replace(assessment(), demands=(Demand(("a", "b"), (("state-kept",),), "x"),), proofs=(("state-kept", "a", met),))
    assert wanted(two) == {"state-kept"}


def gathered(github: GitHub, *names: str, policy: Policy | None = None, of: Assessment | None = None, change: Change = CHANGE) -> Evidence:
    """All facts for an assessment that demands these safeguards."""
    known = policy or Policy(evidence=tuple((name, (ARTIFACT_SOURCE,)) for name in names))
    work = gather(of or assessment(names), change, None, known, github, "main", "interlock: main", 9, NOW)  # type: ignore[arg-type]
    return asyncio.run(work)


def test_only_what_is_demanded_is_asked_for() -> None:
    """The branch's rules always; checks, drills and environments where a demanded safeguard uses them."""
    github = GitHub(world())
    found = gathered(github, "state-kept")
    assert set(github.asked) == {"rules", "ruleset"} and (found.checks, found.drills, found.environments, found.staged) == (
        (),
        None,
        None,
        None,
    )
    assert found.connected and found.now == NOW and (found.gate_check, found.gate_app_id) == ("interlock: main", 9) and not found.unknown
    for name in ("plan-verified", "migration-reversed", "check-required", "tests-exercised"):
        found = gathered(GitHub(world()), name)
        assert len(found.checks) == len(found.artifacts) == 1 and found.drills is None
        assert bool(found.coverage) is (name == "tests-exercised")
    assert gathered(GitHub(world()), "restore-proven").drills == (
        replace(DRILL, event="pull_request", record='"seven"', completed=datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)),
    )
    both = Policy(evidence=(("tests-exercised", (replace(ARTIFACT_SOURCE, artifact="coverage"),)), ("plan-verified", (ARTIFACT_SOURCE,))))
    assert gathered(GitHub(world()), "tests-exercised", "plan-verified", policy=both).coverage == ()
    inside = replace(EFFECT, facts=(("job-environment", "production"),))
    asked = replace(assessment(), effects=(inside, EFFECT), demands=(Demand((inside.id,), (("environment-protected",),), "x"),))
    assert gathered(GitHub(world()), of=asked).environments == ()
    assert gathered(GitHub(world()), "environment-protected").environments is None
    assert gathered(GitHub(world()), of=replace(asked, demands=())).environments is None


def test_what_github_did_not_answer_is_unknown() -> None:
    """Each question that failed is told, and its facts stay unknown, never empty where empty would mean none."""
    inside = replace(EFFECT, facts=(("job-environment", "production"),))
    names = (("plan-verified",), ("restore-proven",), ("environment-protected",))
    asked = replace(assessment(), effects=(inside,), demands=(Demand((inside.id,), names, "x"),))
    silent = dict.fromkeys(("checks", "runs", "rules", "environments"), ApiError("x", 0, ""))
    policy = Policy(evidence=(("plan-verified", (ARTIFACT_SOURCE,)), ("restore-proven", (ARTIFACT_SOURCE,))))
    found = gathered(GitHub({**world(), **silent}), policy=policy, of=asked)
    assert len(found.unknown) == 4 and all("no answer" in one for one in found.unknown)
    assert (found.rules, found.drills, found.environments, found.checks) == (None, None, None, ())
    denied = dict.fromkeys(silent, ApiError("x", 403, ""))
    assert all("403" in one for one in gathered(GitHub({**world(), **denied}), policy=policy, of=asked).unknown)


@pytest.mark.parametrize(
    ("path", "must_be_told"),
    [
        ("src/shop.py", True),
        ("src/testimonials.py", True),
        ("testimonials/page.py", True),
        ("shop.py", True),
        ("src/shop.rb", False),
        ("tests/shop.py", False),
        ("src/test_shop.py", False),
        ("src/shop_test.py", False),
        ("conftest.py", False),
        ("src/shop.spec.py", False),
    ],
)
def test_a_file_that_tests_could_run_must_be_spoken_of(path: str, must_be_told: bool) -> None:
    """Coverage that leaves out a changed file of its own kind proves nothing; only tests themselves may be left out."""
    text = json.dumps({"schema": COVERAGE, "files": {}, "kinds": ["py"]})
    (fact,) = coverage_facts(change_of({}, {path: "a = 1\n"}), [ArtifactFact("proof", text, CHECK)])
    assert bool(fact.wrong) is must_be_told
    (gone,) = coverage_facts(change_of({path: "a = 1\n"}, {}), [ArtifactFact("proof", text, CHECK)])
    assert gone.wrong is None


@pytest.mark.parametrize(
    "record",
    [
        {"schema": COVERAGE, "files": []},
        {"schema": "x", "files": {}},
        {"schema": "x", "files": {"a.py": {"lines": [1], "run": [1]}}},
        {"schema": COVERAGE, "files": {"a.py": {"run": [1]}}},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [2, "1"], "run": [1]}}},
        {"schema": COVERAGE, "files": {"tool": {"lines": [1], "run": [1]}}},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [True], "run": []}}},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [1], "run": ["1"]}}},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [1], "run": 1}}},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [1]}}},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [1], "run": [1]}}, "kinds": "py"},
        {"schema": COVERAGE, "files": {"a.py": {"lines": [1], "run": [1]}}, "kinds": ["py", 1]},
    ],
)
def test_coverage_of_another_shape_is_no_proof(record: object) -> None:
    """Every list of lines is one of numbers, and every kind an ending."""
    (fact,) = coverage_facts(CHANGE, [ArtifactFact("proof", json.dumps(record), CHECK)])
    assert fact.wrong and (fact.lines, fact.run) == (0, 0)


def test_lines_of_several_files_add_up() -> None:
    """Of every changed file the lines that can run and those that did; a deleted one and a link have none."""
    before = {"a.py": "a\n", "b.py": "b\n", "gone.py": "c\n"}
    several = change_of(before, {"a.py": "1\n2\n", "b.py": "1\n2\n3\n"})
    lines = {"lines": [1, 2, 3], "run": [1]}
    record = {"schema": COVERAGE, "files": dict.fromkeys(("a.py", "b.py", "gone.py"), lines)}
    (fact,) = coverage_facts(several, [ArtifactFact("proof", json.dumps(record), CHECK)])
    assert (fact.lines, fact.run, fact.missed, fact.wrong) == (5, 2, ("a.py:2", "b.py:2", "b.py:3"), None)


def test_a_file_too_long_to_compare_is_not_taken_as_run() -> None:
    """On either side."""
    long = "a\n" * 20_000
    for before, after in ((long, "b\n"), ("b\n", long)):
        with pytest.raises(Unreadable):
            changed_lines(change_of({"a.py": before}, {"a.py": after}), "a.py")
    short = "a\n" * 19_999
    assert changed_lines(change_of({"a.py": short}, {"a.py": short + "b"}), "a.py") == {20_000}
    assert changed_lines(change_of({}, {"a.py": "b"}), "a.py") == {1}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("a", "a\nb", {2}),
        ("a\nb\n", "a\nx\nb\n", {2}),
        ("b\n", "a\nb\n", {1}),
        ("b()\na()\n", "a()\na()\n", {1}),
        ("a\na\n", "a\n", set()),
        ("a\n", "a\na\n", {2}),
    ],
)
def test_every_new_or_other_line_is_a_changed_one(before: str, after: str, changed: set[int]) -> None:
    """At the start, in the middle, at the end, and where the same line stands beside it."""
    assert changed_lines(change_of({"a.py": before}, {"a.py": after}), "a.py") == changed


def test_many_equal_lines_cost_no_time_and_hide_nothing() -> None:
    """Where comparing would take minutes, every line between the first and the last difference counts as changed."""
    small, large = (change_of({"a.py": "x\n" + "a\nb\n" * of + "y"}, {"a.py": "x\n" + "b\na\n" * of + "y"}) for of in (2, 4000))
    assert changed_lines(small, "a.py") < frozenset(range(2, 6))
    assert changed_lines(large, "a.py") == frozenset(range(2, 8002))
    middle = change_of({"a.py": "1\n2\n3\n4\n5"}, {"a.py": "1\nx\n3\nnew\n4\n5"})
    assert changed_lines(middle, "a.py") == {2, 4}


class Memory:
    """What a store remembers."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}

    def fact(self, key: str) -> Any:
        return self.facts.get(key)

    def remember(self, key: str, value: Any) -> None:
        self.facts[key] = value


def test_an_override_ends_with_a_push() -> None:
    """What was given for an earlier head is gone for good; what was given for this one stays."""
    store: Any = Memory()
    assert overrides_of(store, "acme/shop", 1) == ()
    end_overrides(store, "acme/shop", 1, HEAD)
    assert store.facts == {}
    row = {"effect": "a", "until": NOW.isoformat(), "reason": "why", "by": "sam", "under": "sam"}
    store.remember(key_of("acme/shop", 1), [{**row, "head": HEAD}, {**row, "head": "c" * 40}])
    assert [one.head for one in overrides_of(store, "acme/shop", 1)] == [HEAD, "c" * 40] and overrides_of(store, "acme/shop", 2) == ()
    end_overrides(store, "acme/shop", 1, HEAD)
    assert [(one.head, one.until) for one in overrides_of(store, "acme/shop", 1)] == [(HEAD, NOW)]
    end_overrides(store, "acme/shop", 1, "d" * 40)
    assert overrides_of(store, "acme/shop", 1) == ()
