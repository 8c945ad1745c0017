"""The forms of a report: each is what its readers expect, says the same as the report, and cannot be broken out of by what a pull request's author chose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator, validators

from bot import cli, report_schema
from bot.completion import script, words_of
from bot.formats import FORMS, NAMES, sarif, write
from bot.formats.annotations import PER_LEVEL
from checks.assess import assess, decide
from checks.evidence import OFFLINE
from checks.model import Mistake, NotAnalysed, Report, Severity, Side, State
from checks.policy import PATH, read_policy
from checks.trees import MemoryTree
from tests import npm
from tests.changes import change_between, change_of
from tests.repositories import Repository

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "fixtures" / "formats"
CASES = sorted(path for path in (Path(__file__).parent / "fixtures" / "detectors").glob("*/*") if path.is_dir())
ENFORCE = read_policy(MemoryTree({PATH: b"version: 1\nmode: enforce\n"}))
HOSTILE = "a\n::error::b,c:d%0A##[error]\x1b[31m[x](https://evil.example){0}</failure>\u202e\udc80"
REPORT_SCHEMA = Draft202012Validator(report_schema.schema())


def sample() -> Report:
    """A database is destroyed and its guard with it, under an enforced policy."""
    before = 'resource "aws_db_instance" "main" {\n  engine = "postgres"\n  deletion_protection = true\n}\n'
    change = change_of({"infra/prod/main.tf": before}, {"infra/prod/main.tf": "# nothing\n"})
    report = decide(assess(change, ENFORCE), OFFLINE, ENFORCE, "0")
    return replace(report, assessment=replace(report.assessment, analysis=replace(report.assessment.analysis, milliseconds=7)))


def hostile() -> Report:
    """Every text that comes from outside is hostile."""
    report = sample()
    first = report.assessment.effects[0]
    effects = tuple(
        replace(first, path=HOSTILE, subject=HOSTILE, message=HOSTILE, before=HOSTILE, side=side, line=None if side is Side.BASE else 3)
        for side in Side
    )
    assessment = replace(
        report.assessment,
        effects=effects,
        mistakes=(Mistake(HOSTILE, 2, HOSTILE),),
        analysis=replace(report.assessment.analysis, not_analysed=(NotAnalysed(HOSTILE, HOSTILE),)),
    )
    return replace(report, assessment=assessment, verdict=replace(report.verdict, summary=HOSTILE))


def many(count: int) -> Report:
    """A report with `count` effects, of which the worst stand last."""
    report = sample()
    first = report.assessment.effects[0]
    effects = tuple(
        replace(first, subject=str(number), severity=Severity.CRITICAL if number >= count - 3 else Severity.LOW) for number in range(count)
    )
    return replace(report, assessment=replace(report.assessment, effects=effects))


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_report_is_as_its_schema_says(case: Path) -> None:
    """The JSON of every case of the detectors is valid under the published schema."""
    report = decide(assess(change_between(case / "base", case / "head"), ENFORCE), OFFLINE, ENFORCE)
    REPORT_SCHEMA.validate(json.loads(write(report, "json")))


def test_a_hostile_report_is_as_its_schema_says() -> None:
    """Also where every text is hostile; and the schema is one, and takes no key it does not know."""
    Draft202012Validator.check_schema(report_schema.schema())
    values = json.loads(write(hostile(), "json"))
    REPORT_SCHEMA.validate(values)
    assert not REPORT_SCHEMA.is_valid({**values, "more": 1})
    assert not REPORT_SCHEMA.is_valid({**values, "schema": "interlock/report/2"})


@pytest.mark.parametrize("name", ["json", "sarif", "annotations", "junit"])
def test_a_form_stays_as_others_read_it(name: str, request: pytest.FixtureRequest) -> None:
    """What machines read changes only on purpose: `--update` rewrites the file beside the test, whose difference is then read."""
    file = GOLDEN / f"report.{name}"
    text = write(sample(), name)
    if request.config.getoption("--update"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("report", [sample(), hostile(), many(30)], ids=["sample", "hostile", "many"])
def test_sarif_is_as_oasis_says(report: Report) -> None:
    """The log is valid under the schema of SARIF 2.1.0."""
    schema = json.loads((npm.needed(npm.SARIF) / "lib/schemas/sarif-2.1.0-rtm.5.json").read_text())
    validators.validator_for(schema)(schema).validate(json.loads(write(report, "sarif")))


def test_sarif_keeps_the_limits_of_code_scanning() -> None:
    """At most 5,000 results, the worst among them, with a word about the rest; every result names its rule, its place and its fingerprint."""
    log = json.loads(write(many(6000), "sarif"))
    (run,) = log["runs"]
    assert len(run["results"]) == sarif.RESULTS
    assert sum(result["properties"]["severity"] == "critical" for result in run["results"]) == 3
    assert "1000 effects are left out" in json.dumps(run["invocations"])
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
    fingerprints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(len(rule.get("properties", {}).get("tags", ())) <= 10 for rule in run["tool"]["driver"]["rules"])


def test_sarif_means_only_itself() -> None:
    """No link, placeholder or control character of the author's stands in a message; a path is an address that can be read back."""
    (run,) = json.loads(write(hostile(), "sarif"))["runs"]
    for result in run["results"]:
        text = result["message"]["text"]
        assert "\\[x\\](https" in text and "{{0}}" in text and "\x1b" not in text and "\n" not in text
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii() and ":" not in uri and uri.endswith("%80")


def test_annotations_cannot_be_broken_out_of() -> None:
    """Each line is one command; nothing of the author's opens another or another property."""
    for line in write(hostile(), "annotations").splitlines():
        level, _, rest = line.removeprefix("::").partition(" ")
        properties, _, message = rest.partition("::")
        assert level in ("error", "warning", "notice")
        assert [part.partition("=")[0] for part in properties.split(",")] in (["title"], ["file", "line", "title"])
        assert "\x1b" not in message and "%0A" not in message


def test_annotations_keep_to_ten_a_level() -> None:
    """GitHub keeps ten notes of a level: no more are printed, the worst are there, and the last says how many are missing."""
    lines = write(many(40), "annotations").splitlines()
    for level in ("error", "warning", "notice"):
        assert sum(line.startswith(f"::{level} ") for line in lines) <= PER_LEVEL
    assert f"{40 - (len(lines) - 2)} more effects" in lines[-1]


def test_junit_fails_what_stops_the_change() -> None:
    """Blocked: a failure for each effect that stops it. Observed: the same are skipped. Nothing found: one case that passes."""
    blocked = ElementTree.fromstring(write(sample(), "junit"))
    failures = blocked.findall(".//failure")
    assert failures and blocked[0].get("failures") == str(len(failures))
    seen = replace(sample(), verdict=replace(sample().verdict, state=State.OBSERVED))
    observed = ElementTree.fromstring(write(seen, "junit"))
    assert len(observed.findall(".//skipped")) == len(failures) and not observed.findall(".//failure")
    nothing = decide(assess(change_of({}, {}), ENFORCE), OFFLINE, ENFORCE)
    (case,) = ElementTree.fromstring(write(nothing, "junit")).findall(".//testcase")
    assert len(case) == 0


def test_junit_is_xml_whatever_the_author_wrote() -> None:
    """Hostile text neither breaks the document nor adds to it."""
    root = ElementTree.fromstring(write(hostile(), "junit"))
    assert {element.tag for element in root.iter()} <= {"testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "shop")
    made.commit({"infra/prod/main.tf": 'resource "aws_db_instance" "main" {\n}\n', "a": "b", PATH: "version: 1\nmode: enforce\n"}, "Start")
    made.branch("tidy")
    made.commit({"infra/prod/main.tf": "# nothing\n"}, "Tidy")
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_form_goes_to_a_file(name: str, repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--output` writes what would be printed, and the exit status stays that of the verdict."""
    file = tmp_path / "out"
    assert cli.main(["review", "--repo", str(repository.folder), "--format", name, "--output", str(file)]) == cli.BLOCKED
    assert capsys.readouterr() == ("", "") and file.read_text().endswith("\n")
    assert cli.main(["review", "--repo", str(repository.folder), "--format", name, "--output", str(tmp_path / "no" / "out")]) == cli.USAGE
    assert "cannot be written" in capsys.readouterr().err


def test_quiet_and_verbose(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Quiet: one line where something stands in the way, nothing otherwise. Verbose: what was looked at, on standard error."""
    folder = str(repository.folder)
    assert cli.main(["review", "--repo", folder, "--quiet"]) == cli.BLOCKED
    out, err = capsys.readouterr()
    assert out.startswith("Blocked: ") and out.count("\n") == 1 and err == ""
    assert cli.main(["review", "main", "main", "--repo", folder, "-q"]) == cli.PASS
    assert capsys.readouterr() == ("", "")
    assert cli.main(["review", "--repo", folder, "-v", "--format", "json"]) == cli.BLOCKED
    out, err = capsys.readouterr()
    assert json.loads(out) and "merge base" in err and "files analysed" in err


def test_help_says_the_exit_statuses_and_the_forms() -> None:
    """`--help` of every command has its examples and the exit statuses; that of review says what each form is for."""
    environment = {**os.environ, "COLUMNS": "1000"}
    for words in ([], *([command.name] for command in cli.COMMANDS)):
        done = subprocess.run(
            [sys.executable, "-m", "bot.cli", *words, "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert cli.STATUSES in done.stdout
        assert not words or "examples:" in done.stdout
        if words == ["review"]:
            assert all(form.purpose in done.stdout for form in FORMS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(shell: str) -> None:
    """What the parser takes, the completion names."""
    text = script(shell, cli.parser())
    for word in words_of(cli.parser()):
        assert word.name in text
        for option in word.options:
            assert all((name.lstrip("-") if shell == "fish" else name) in text for name in option.names)


def test_bash_completes() -> None:
    """A real bash offers the forms after `--format`, and only what starts as typed."""

    def offered(*words: str) -> list[str]:
        typed = " ".join(f"'{word}'" for word in ("interlock", *words))
        ask = f'COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _interlock; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", script("bash", cli.parser()) + ask], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert offered("re") == ["review", "replay", "records"]
    assert offered("review", "--format", "") == list(NAMES)
    assert "--quiet" in offered("review", "--q")
    assert offered("schema", "rep") == ["report"]
