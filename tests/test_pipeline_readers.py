"""Readers of workflows, their expressions, and shell scripts; and the token that a job really has."""

from __future__ import annotations

import pytest

from checks.access.checks import checks_in, is_check
from checks.access.destruction import download_run, harm
from checks.access.workflows import READ, WRITE, grant, job_secrets, secrets_in, untrusted
from checks.model import Unreadable
from checks.readers.expression import conjuncts, expression, expressions, never
from checks.readers.shell import LIMIT, script, scripts
from checks.readers.testcases import suite
from checks.readers.workflow import Workflow, pairs, workflow

PATH = ".github/workflows/ci.yml"


def read(text: str, path: str = PATH) -> Workflow:
    found = workflow(text.encode(), path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("source", "carries"),
    [
        ("github.event.issue.title || 'none'", ("github.event.issue.title",)),
        ("contains(github.event.comment.body, '/go') && inputs.target || github.sha", ("inputs.target", "github.sha")),
        ("github.event['issue'].TITLE", ("github.event.issue.title",)),
        ("github.head_ref == 'main'", ()),
        ("!github.head_ref", ()),
        ("format('{0}', github.head_ref)", ("github.head_ref",)),
        ("'github.head_ref'", ()),
    ],
)
def test_an_expression_says_whose_text_comes_out_of_it(source: str, carries: tuple[str, ...]) -> None:
    """Comparisons and functions that answer yes or no carry nothing; `&&` carries its right side, `||` both."""
    assert expression(source).carries == carries


def test_an_expression_that_cannot_be_parsed_carries_all_it_names() -> None:
    """What is not understood is not taken to be harmless."""
    assert expression("github.head_ref ??? x").carries == ("github.head_ref",)


def test_expressions_keep_the_line_they_stand_on() -> None:
    """An expression on the third line of a text says so."""
    assert [item.line for item in expressions("a\n${{ github.sha }}\n${{ inputs.x }}")] == [1, 2]


def test_a_condition_falls_into_what_must_hold_together() -> None:
    """Only `&&` at the top divides; brackets and texts do not."""
    assert conjuncts("${{ a == 'x && y' && (b || c) }}") == ("a == 'x && y'", "b || c")
    assert conjuncts("a || b && c") == ("a || b && c",)


@pytest.mark.parametrize(
    "text", ["false", "${{ false }}", "(false)", "!true", "!(true)", "0", "''", "1 == 0", "a && false", "${{ false && (a || b) }}"]
)
def test_a_job_behind_what_is_always_false_never_runs(text: str) -> None:
    """One part that is false whatever happens is enough."""
    assert never(text)


@pytest.mark.parametrize(
    "text", ["", "true", "a || false", "a || b && false", "!false", "a == false", "inputs.false", "(a || b)", "always()"]
)
def test_a_job_that_some_run_may_start_is_not_said_never_to_run(text: str) -> None:
    """False beside an `or`, compared with, or only in a name says nothing."""
    assert not never(text)


TOKENS = """
on: push
permissions:
  contents: read
jobs:
  inherits: {runs-on: ubuntu-latest, steps: [{run: "true"}]}
  own: {runs-on: ubuntu-latest, permissions: {issues: write}, steps: [{run: "true"}]}
  none: {runs-on: ubuntu-latest, permissions: {}, steps: [{run: "true"}]}
  all: {runs-on: ubuntu-latest, permissions: write-all, steps: [{run: "true"}]}
"""


def test_a_jobs_block_replaces_the_workflows_whole() -> None:
    """A scope that the job's own block leaves out is none, whatever the workflow says."""
    file = read(TOKENS)
    levels = {
        job.id: (grant(file, job).possible("contents"), grant(file, job).possible("issues"), grant(file, job).possible("id-token"))
        for job in file.jobs
    }
    assert levels == {"inherits": (READ, 0, 0), "own": (0, WRITE, 0), "none": (0, 0, 0), "all": (WRITE, WRITE, WRITE)}


def test_without_a_block_the_token_is_a_range() -> None:
    """The repository's default is not in the files: between restricted and permissive, but never an identity token."""
    file = read("on: push\njobs:\n  a: {runs-on: x, steps: []}\n")
    found = grant(file, file.jobs[0])
    assert (found.sure("contents"), found.possible("contents"), found.possible("id-token")) == (READ, WRITE, 0)


def test_secrets_are_found_wherever_an_expression_may_stand() -> None:
    """Names are one, whatever their case; the repository's own token is no secret; the whole bag is `*`."""
    assert secrets_in("${{ secrets.a }} ${{ secrets['B'] }} ${{ secrets.GITHUB_TOKEN }}") == {"A", "B"}
    assert secrets_in("${{ toJSON(secrets) }}") == {"*"}
    file = read(
        "on: push\nenv: {X: '${{ secrets.TOP }}'}\njobs:\n  a:\n    runs-on: x\n    container: {image: i, credentials: {password: '${{ secrets.BOX }}'}}\n    steps:\n      - uses: o/a@v1\n        with: {t: '${{ secrets.IN }}'}\n"
    )
    assert job_secrets(file, file.jobs[0]) == {"TOP", "BOX", "IN"}


def test_a_text_from_outside_is_known_through_the_environment() -> None:
    """`env.X` is as untrusted as what it was set from."""
    assert untrusted(("env.title",), {"TITLE": "${{ github.event.pull_request.title }}"}) == "github.event.pull_request.title"
    assert untrusted(("github.event.pull_request.head.sha", "github.event.number")) is None


def test_a_renamed_job_is_the_same_job() -> None:
    """Jobs are paired by id, then by what they do."""
    before = read("on: push\njobs:\n  a: {runs-on: x, steps: [{run: make test}]}\n")
    after = read("on: push\njobs:\n  b: {name: B, runs-on: x, steps: [{run: make test}]}\n")
    (both,) = pairs([(PATH, PATH, before, after)])
    assert [(pair.old and pair.old.id, pair.new and pair.new.id) for pair in both.jobs] == [("a", "b")]


def test_a_matrix_names_its_checks() -> None:
    """The name of a check has the values of its leg in brackets."""
    file = read("on: push\njobs:\n  t:\n    name: Test\n    strategy: {matrix: {os: [a, b], v: [1]}}\n    runs-on: x\n    steps: []\n")
    assert file.jobs[0].contexts == ("Test (a, 1)", "Test (b, 1)")


@pytest.mark.parametrize("text", ["[]", "on: push", "jobs: 3\n", "on: push\njobs:\n  a: {\n"])
def test_what_is_no_workflow_is_unreadable(text: str) -> None:
    """A file GitHub would refuse is said to be unreadable, not taken as empty."""
    with pytest.raises(Unreadable):
        workflow(text.encode(), PATH)


def commands(text: str) -> list[tuple[str, ...]]:
    return [command.words for command in script(text).commands]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sudo -u root env A=1 timeout 5 rm -rf "${X}/y"', ("rm", "-rf", "$X/y")),
        ("bash -lc 'dropdb app'", ("dropdb", "app")),
        ("ssh -p 22 \"$HOST\" 'dropdb app'", ("dropdb", "app")),
        ("kubectl exec pod -- psql -c 'DROP TABLE t'", ("psql", "-c", "DROP TABLE t")),
        ("x=$(aws s3 ls)", ("aws", "s3", "ls")),
        ("echo ${{ inputs.name }}-y", ("echo", "${{ inputs.name }}-y")),
        ("bash <<'E'\ndropdb app\nE", ("dropdb", "app")),
    ],
)
def test_wrappers_are_seen_through(text: str, words: tuple[str, ...]) -> None:
    """The command that runs is found inside what runs it, its expansions kept as they are written."""
    assert words in commands(text)


def test_a_command_knows_what_it_stands_under() -> None:
    """Conditions, forgiven failures and lines are kept."""
    found = script('set -e\nif [ "$E" = prod ]; then\n  make x || true\nfi\n', line=10)
    command = next(item for item in found.commands if item.name == "make")
    assert (command.guards, command.soft, command.line) == (('if [ "$E" = prod ]',), "|| true", 12)
    assert found.ends_with("errexit")


def test_recipes_run_and_package_scripts_are_scripts() -> None:
    """Each kind of file gives its scripts with their names and lines."""
    make = scripts(b"A := 1\nclean:\n\t-@rm -rf $(OUT)\n\techo $$HOME\n", "Makefile")
    assert [(part.name, part.line, part.text) for part in make] == [("clean", 3, "rm -rf ${OUT} || true\necho $HOME")]
    image = scripts(b'FROM a\nRUN a && \\\n  b\nRUN ["c", "d e"]\n', "Dockerfile")
    assert [(part.line, part.text) for part in image] == [(2, "a && \\\n  b"), (4, "'c' 'd e'")]
    package = scripts(b'{"scripts": {"test": "jest"}}', "package.json")
    assert [(part.name, part.text) for part in package] == [("test", "jest")]


def test_a_script_over_the_limit_is_unreadable() -> None:
    """Work is bounded, and what is passed over is said."""
    with pytest.raises(Unreadable):
        script("x" * (LIMIT + 1))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("aws rds delete-db-instance --db-instance-identifier x", "aws rds delete-db-instance"),
        ("terraform apply -destroy", "terraform destroy"),
        ("kubectl delete ns shop", "kubectl delete ns"),
        ("psql -c 'truncate table t'", "psql truncate table"),
        ("git push --force origin main", "git push --force"),
        ("gcloud sql instances delete x", "gcloud sql instances delete"),
        ("kubectl delete ns shop --dry-run=client", None),
        ("git push --force-with-lease origin topic", None),
        ("rm -rf dist node_modules /tmp/x", None),
        ("terraform plan -destroy", None),
        ("aws sqs delete-message --queue-url q", None),
    ],
)
def test_what_a_command_destroys(text: str, label: str | None) -> None:
    """A destructive command is told by its words; dry runs, messages and build folders are not."""
    found = [hit.label for command in script(text).commands if (hit := harm(command))]
    assert found == ([label] if label else [])


def test_a_download_that_is_run_as_it_comes() -> None:
    """A pipe into a shell and a substitution are the same; a file that is checked first is not."""
    for text in ("curl -s https://a.b/x | sudo bash -s", "bash <(curl -s https://a.b/x)", 'eval "$(curl -s https://a.b/x)"'):
        assert any(download_run(command) for command in script(text).commands), text
    assert not any(download_run(command) for command in script("curl https://a.b/x -o f && sha256sum -c s && bash f").commands)


def test_checks_are_told_from_deployments_and_chores_by_what_they_run() -> None:
    """A job that tests is a check; one that publishes, labels, or runs only by hand is not."""
    file = read(
        """
on: [push, pull_request]
jobs:
  one: {runs-on: x, steps: [{run: uv run pytest -q}]}
  two: {runs-on: x, steps: [{uses: golangci/golangci-lint-action@v6}]}
  three: {runs-on: x, steps: [{run: npm publish}]}
  label: {runs-on: x, steps: [{uses: actions/labeler@v5}]}
"""
    )
    assert [is_check(file, job) for job in file.jobs] == ["tests", "style", None, None]
    assert [check.key for check in checks_in(file.jobs[0].steps[0], PATH)] == ["pytest"]


def test_braces_in_strings_of_any_form_close_no_test_case() -> None:
    """Raw strings, strings over several lines and characters of a Rust file hold braces that open and close nothing."""
    odd = 'fn {0}() {{\n    assert_eq!(a(), r#"{{ "x": {{"#);\n    assert_eq!(b(), \'"\');\n    assert_eq!(c(), "{{\n");\n}}\n'
    names = [f"case_{number}" for number in range(200)]
    found = suite("".join(f"#[test]\n{odd.format(name)}\n" for name in names).encode(), "tests/odd.rs")
    assert [case.name for case in found.cases] == names
    assert {case.asserts for case in found.cases} == {3}
    assert [case.line for case in found.cases][:3] == [2, 10, 18]
