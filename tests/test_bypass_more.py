"""More ways round the gate, of our own invention: each is played against the whole App and sees the gate hold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.demo.standin.repo import archive
from checks.closure import unchanged
from checks.trees import LINK, MemoryTree
from tests.changes import _tree
from tests.house import DATABASE, ENFORCE, FILES, GATE, TOPIC, House, build, demolish
from tests.test_evidence import PLAN

CI, TEST = ".github/workflows/ci.yml", "test"
ACTION = "runs: {using: composite, steps: [{run: ./run.sh, shell: bash}]}\n"
WORKFLOW = (
    "on: pull_request\npermissions: {contents: read}\njobs:\n  shared:\n    uses: ./.github/workflows/shared.yml\n  test:\n"
    "    runs-on: ubuntu-latest\n    steps:\n      - uses: $/.github/actions/own\n      - run: ci/run all\n      - run: make -C build test\n"
    "      - run: make lint\n        working-directory: web\n      - run: cd tools && ./check\n"
)
SHARED = "on: workflow_call\njobs:\n  x:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"
CLOSURE = {
    ".github/actions/own/action.yml": ACTION,
    ".github/workflows/shared.yml": SHARED,
    "ci/run": "#!/bin/sh\npytest\n",
    "build/Makefile": "test:\n\tpytest\n",
    "web/Makefile": "lint:\n\teslint\n",
    "tools/check": "#!/bin/sh\n",
}
POLICY = (
    ENFORCE
    + f"evidence:\n  check-required: {{app: github-actions, workflow: {CI}, check: {TEST}}}\n"
    + f"  plan-verified: {{app: github-actions, workflow: {CI}, artifact: interlock-plan}}\n"
    + "requirements:\n  data.destroyed: [check-required]\n  resource.destroyed: [check-required]\n  resource.replaced: [plan-verified]\n"
    + "overrides: {who: [sam]}\n"
)
DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}
REPLACE: dict[str, str | None] = {"infra/prod/main.tf": DATABASE.replace('"postgres"', '"mysql"') + TOPIC}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose proof is one check, forced on main, of a workflow that calls much."""
    made = build(
        tmp_path_factory.mktemp("house"), {**FILES, CI: WORKFLOW, **CLOSURE, ".github/interlock.yml": POLICY, "CODEOWNERS": "* @acme/sre\n"}
    )
    made.repo.require_check(TEST, made.github.actions)
    yield made
    demolish(made)


def attack(house: House, files: dict[str, str | None] | None = None, **more: Any) -> tuple[str, Any]:
    return house.propose({**DESTROY, **(files or {}), f"notes/{next(NUMBERS)}.txt": "x\n"}, f"work-{next(NUMBERS)}", **more)


def run(house: House, sha: str, **more: Any) -> Any:
    made = house.repo.run_workflow(more.pop("path", CI), more.pop("event", "pull_request"), sha, **{"jobs": [TEST], **more})
    house.settle()
    return made


def test_the_proof_itself_is_taken(house: House) -> None:
    """Unchanged, on this head: green. So what follows is red for its own reason."""
    sha, pull = attack(house)
    run(house, sha)
    assert house.verdict(sha) == "success"
    house.repo.close(pull, "robin")


@pytest.mark.bypass("BP-90")
@pytest.mark.parametrize("path", CLOSURE)
def test_bp_90_whatever_the_workflow_calls_is_compared(house: House, path: str) -> None:
    """`$/` actions, called workflows, programs without an ending, Makefiles of other folders: changed at head, its green is self-made."""
    sha, _ = attack(house, {path: CLOSURE[path] + "# nothing fails\n"})
    run(house, sha)
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-90")
def test_a_script_that_becomes_a_link_is_another() -> None:
    """A link in place of what the workflow runs, and a file in its way."""
    base = {CI: WORKFLOW, **CLOSURE}
    assert unchanged(_tree(base), _tree(base), CI) is True
    content: dict[str, Any] = {name: text.encode() for name, text in base.items()}
    assert unchanged(_tree(base), MemoryTree({**content, "ci/run": (b"../evil", LINK)}), CI) is False


def test_the_folder_that_a_command_works_on_decides_nothing() -> None:
    """`terraform -chdir=infra/prod plan` is the same proof whatever the change does in that folder."""
    base = {
        CI: "jobs:\n  plan:\n    steps:\n      - run: terraform -chdir=infra/prod plan\n      - run: tool infra/prod\n",
        "infra/prod/main.tf": "a = 1\n",
    }
    assert unchanged(_tree(base), _tree({**base, "infra/prod/main.tf": "a = 2\n"}), CI) is True


@pytest.mark.bypass("BP-91")
def test_bp_91_an_artifact_of_the_same_name_from_another_run_is_none(house: House) -> None:
    """The plan's digest, perfect, but published by the run of a workflow that the change brought; or by one that failed."""
    digest = {"interlock-plan": {"d.json": PLAN.replace('"delete"', '"replace"')}}
    sha, _ = house.propose({**REPLACE, ".github/workflows/mine.yml": WORKFLOW, f"n/{next(NUMBERS)}": "x"}, f"work-{next(NUMBERS)}")
    run(house, sha, path=".github/workflows/mine.yml", artifacts=digest)
    assert house.verdict(sha) == "failure"
    run(house, sha, conclusion="failure", artifacts=digest)
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-92")
@pytest.mark.parametrize(
    "files",
    [{"d.json": PLAN, "e.json": PLAN}, {"d.json": PLAN[:-9]}, {"d.json": json.dumps({"schema": "interlock/plan-digest/1", "changes": []})}],
)
def test_bp_92_a_digest_that_was_touched_is_none(house: House, files: dict[str, bytes | str]) -> None:
    """Two files, a cut one, one without its sum: refused, whoever published it."""
    sha, _ = house.propose({**REPLACE, f"n/{next(NUMBERS)}": "x"}, f"work-{next(NUMBERS)}")
    run(house, sha, artifacts={"interlock-plan": archive(files)})
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-93")
@pytest.mark.parametrize(
    "name", [".github/Interlock.yml", ".GitHub/interlock.yml", ".github/interlock.yml ", ".github/interlock.yml\u200b"]
)
def test_bp_93_a_policy_under_a_look_alike_name_is_none(house: House, name: str) -> None:
    """Another case, a space, an invisible character: nobody reads it; and taking the true one away is told."""
    sha, _ = attack(house, {name: "version: 1\nmode: observe\n"})
    assert house.verdict(sha) == "failure"
    sha, _ = house.propose({name: POLICY, ".github/interlock.yml": None}, f"work-{next(NUMBERS)}")
    gate = house.gate(sha)
    assert gate.conclusion == "failure" and "gate/" in gate.summary


@pytest.mark.bypass("BP-94")
def test_bp_94_owners_that_move_are_told(house: House) -> None:
    """CODEOWNERS goes from where it counted to where another one would."""
    sha, _ = house.propose({"CODEOWNERS": None, "docs/CODEOWNERS": "* @robin\n"}, f"work-{next(NUMBERS)}")
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-95")
def test_bp_95_an_override_does_not_come_back_with_its_head(house: House) -> None:
    """Overridden, pushed over, force-pushed back: the push ended it, and nobody said it again."""
    branch = f"work-{next(NUMBERS)}"
    sha, pull = house.propose({**DESTROY, f"n/{branch}": "x"}, branch)
    report = json.loads(house.server.app.store.records("acme/shop", pull=pull.number)[0].report)
    for effect in sorted({one for row in report["requirements"] if row["status"] != "met" for one in row["effects"]}):
        house.repo.comment(pull, "sam", f'/interlock override {effect} until={_soon()} reason="it was copied away"')
        house.settle()
    assert house.verdict(sha) == "success"
    other = house.repo.commit(branch, {"more.txt": "x\n"}, "More", author="robin")
    house.settle()
    assert house.verdict(other) == "failure"
    house.repo.push(branch, sha, "robin")
    house.settle()
    assert house.verdict(sha) == "failure"


def _soon() -> str:
    import datetime

    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)).date().isoformat()


@pytest.mark.bypass("BP-96")
def test_bp_96_a_force_push_back_to_a_green_head_lends_it_nothing(house: House) -> None:
    """Green head, evil head, green head again: each has its own verdict, and the evil one never the other's."""
    branch = f"work-{next(NUMBERS)}"
    calm = house.repo.commit(branch, {f"n/{branch}": "x"}, "Calm", author="robin", start="main")
    house.repo.open_pull(branch, "main", "Calm", "", "robin")
    house.settle()
    evil = house.repo.commit(branch, DESTROY, "Evil", author="robin")
    house.settle()
    for sha in (calm, evil, calm, evil):
        house.repo.push(branch, sha, "robin")
        house.settle()
        assert (house.verdict(calm), house.verdict(evil)) == ("success", "failure")


@pytest.mark.bypass("BP-97")
def test_bp_97_more_files_than_are_judged_is_red(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evil file stands behind the last that is judged."""
    monkeypatch.setattr("bot.mirror.change.FILES", 3)
    sha, _ = house.propose(
        {f"a/{number}.txt": "x\n" for number in range(5)} | {"zz/evil.sql": "DROP TABLE users;\n"}, f"work-{next(NUMBERS)}"
    )
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-98")
@pytest.mark.parametrize("name", ["t\u0435st", "test ", "Test", "test\u200b", "test / test", "ci / test"])
def test_bp_98_a_check_of_a_look_alike_name_is_another(house: House, name: str) -> None:
    """Another alphabet's letter, a space, another case, an invisible character, a called job of that name."""
    sha, _ = attack(house)
    run(house, sha, jobs=[name])
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-99")
def test_bp_99_the_evidence_workflow_under_another_name_is_another(house: House) -> None:
    """Its very content, moved to another path at head, where the change could edit it next time."""
    sha, _ = attack(house, {CI: None, ".github/workflows/test.yml": WORKFLOW})
    run(house, sha, path=".github/workflows/test.yml")
    run(house, sha, path=CI)
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-12")
def test_a_status_by_a_bot_is_no_evidence(house: House) -> None:
    """An App of the attacker posts a check of the proof's name and of the gate's: neither counts."""
    other = house.github.app("helpful-bot", permissions={"checks": "write", "statuses": "write"}, events=())
    sha, _ = attack(house)
    for name in (TEST, GATE):
        house.repo.check(other, sha, name)
    house.settle()
    assert house.verdict(sha) == "failure"


@pytest.mark.bypass("BP-100")
def test_bp_100_an_empty_record_proves_nothing() -> None:
    """A coverage record without files, a drill without rows, a round trip without hashes, a plan without rows: none is met."""
    from dataclasses import replace

    from bot.evidence.coverage import SCHEMA, coverage_facts
    from checks.evidence import ArtifactFact
    from checks.model import Status
    from tests.changes import change_of
    from tests.test_evidence import CHECK, evidence, proof

    change = change_of({"a.py": "a = 1\n"}, {"a.py": "a = 2\n"})
    for content in (
        "{}",
        "[]",
        json.dumps({"schema": SCHEMA, "files": {}}),
        json.dumps({"schema": SCHEMA, "files": {"b.js": {"lines": [], "run": []}}}),
    ):
        facts = coverage_facts(change, [ArtifactFact("proof", content, CHECK)])
        assert proof("tests-exercised", replace(evidence("tests-exercised", CHECK), coverage=facts)).status is not Status.MET
    for name in ("plan-verified", "migration-reversed"):
        for content in ("{}", "[]", "", "null", '{"schema": "x"}'):
            found = replace(evidence(name, CHECK), artifacts=(ArtifactFact("proof", content, CHECK),))
            assert proof(name, found).status is not Status.MET


@pytest.mark.bypass("BP-101")
def test_bp_101_a_pull_request_that_is_merged_while_red_is_not_forgotten(house: House) -> None:
    """Going round is possible for whoever may; it is counted, and the next check run says it."""
    house.repo.commit("aside", {"x.txt": "x\n"}, "Aside", author="robin", start="main")
    _, pull = attack(house, base="aside")
    house.repo.merge(pull, "sam", bypass=True)
    house.settle()
    sha, _ = house.propose({"README.md": "# x\n"}, f"work-{next(NUMBERS)}", base="aside")
    assert "went round this check" in house.gate(sha, "interlock: aside").summary
