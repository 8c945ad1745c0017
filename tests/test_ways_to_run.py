"""The ways to run Interlock beside the clone: the wheel, the container, the manifests, the action, the hook."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import cli
from bot.settings import SETTINGS
from checks.policy import PATH, read_policy
from checks.trees import MemoryTree
from tests.repositories import Repository

ROOT = Path(__file__).parent.parent
KNOWN = {setting.name for setting in SETTINGS}
PROBES = {"/healthz", "/livez", "/readyz"}


def build(to: Path) -> Path:
    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(to)]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    return next(to.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_is_the_same_every_time(wheel: Path, tmp_path: Path) -> None:
    """Two builds of the same sources give the same bytes."""
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_brings_all_that_it_reads(wheel: Path, tmp_path: Path) -> None:
    """Every file of `bot/` and `checks/` and the manifest are in it; unpacked elsewhere it reviews, explains and prints its schema."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    listed = subprocess.run(["git", "ls-files", "bot", "checks"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()} | {"bot/app.yml"} <= names
    shop = Repository(tmp_path / "shop")
    shop.commit({"main.tf": 'resource "aws_db_instance" "main" {\n}\n', PATH: "version: 1\nmode: enforce\n"})
    shop.commit({"main.tf": "# nothing\n"})
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "bot.cli", *words]
        return subprocess.run(command, cwd=tmp_path / "shop", env=environment, capture_output=True, text=True, check=False)

    done = run("review", "HEAD~1", "HEAD", "--format", "sarif")
    assert done.returncode == cli.BLOCKED, done.stderr
    assert json.loads(done.stdout)["runs"][0]["results"]
    assert run("explain").returncode == 0
    assert run("schema", "policy").returncode == 0


def test_the_container_is_small_and_unprivileged() -> None:
    """Hash-locked, not as root, with a health check on a route that there is, started with a command line that parses."""
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in text and "--no-deps" in text
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    assert re.search(r"8480(/\w+)'", text)[1] in PROBES  # type: ignore[index]
    cli.parser().parse_args(json.loads(re.search(r"^CMD (\[\"serve.*\])$", text, re.MULTILINE)[1]))  # type: ignore[index]
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split())
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in line.split()} == allowed


def hardened(service: dict[str, Any]) -> bool:
    return bool(service["read_only"] and service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"])


def test_compose_runs_the_container_with_nothing_it_does_not_need() -> None:
    """Root read-only, no capability, the port on this machine only, settings that there are; the database is reached from the server alone."""
    whole = yaml.safe_load((ROOT / "compose.yml").read_text())
    service, database = whole["services"]["interlock"], whole["services"]["database"]
    assert hardened(service)
    assert service["depends_on"]["database"]["condition"] == "service_healthy" and "pg_isready" in database["healthcheck"]["test"]
    assert "ports" not in database and all(whole["networks"][name]["internal"] for name in database["networks"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert set(service["environment"]) <= KNOWN


def test_the_manifests_have_probes_limits_and_no_privilege() -> None:
    """One replica of a StatefulSet, on routes and settings that there are."""
    objects = {one["kind"]: one for one in yaml.safe_load_all((ROOT / ".github/deploy/kubernetes.yml").read_text())}
    spec = objects["StatefulSet"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 1 and spec["template"]["spec"]["automountServiceAccountToken"] is False
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")} <= PROBES
    assert container["securityContext"]["readOnlyRootFilesystem"] and container["resources"]["limits"]["memory"]
    assert {one["name"] for one in container["env"]} <= KNOWN


def test_the_unit_starts_a_command_line_that_parses() -> None:
    """systemd's unit names options and settings that there are."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / ".github/deploy/interlock.service")
    cli.parser().parse_args(shlex.split(unit["Service"]["ExecStart"])[1:])
    text = (ROOT / ".github/deploy/interlock.service").read_text()
    assert set(re.findall(r"INTERLOCK_[A-Z_]+", text)) <= KNOWN


def test_the_action_puts_no_value_of_the_author_in_its_script(tmp_path: Path) -> None:
    """The script takes its inputs from the environment, never imports from the checkout, is valid bash, and its reviews parse."""
    (step,) = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    script = step["run"]
    assert "${{" not in script and "--require-hashes" in script and " -P -m bot.cli" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    for words in re.findall(r"^ *review (--.*?)(?: \|\|.*)?$", script, re.MULTILINE):
        cli.parser().parse_args(["review", "base", "head", *shlex.split(words)])


def test_the_hook_runs_a_command_line_that_parses() -> None:
    """pre-commit's hook runs before a push, over everything."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["stages"] == ["pre-push"] and hook["always_run"] and not hook["pass_filenames"]
    cli.parser().parse_args(shlex.split(hook["entry"])[1:])


def test_the_projects_workflows_are_pinned_and_least_privileged() -> None:
    """Every action by its full SHA, no token by default, no credentials left in the checkout."""
    for file in sorted((ROOT / ".github/workflows").glob("*.yml")):
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert set(job["permissions"].values()) <= {"read"}
            for step in job["steps"]:
                if "uses" in step:
                    assert re.search(r"^\$/|@[0-9a-f]{40}$", step["uses"])
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


def test_the_projects_own_policy_is_one() -> None:
    """The policy that judges this project has no mistake."""
    assert read_policy(MemoryTree({PATH: (ROOT / PATH).read_bytes()})).mistakes == ()


def test_the_bill_of_materials_is_the_lock() -> None:
    """Each locked package stands in it with its version and digests."""
    done = subprocess.run([sys.executable, str(ROOT / ".ci/supply.py"), "sbom"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    lock = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert [(one["name"], one["version"]) for one in told["components"]] == [(name.lower(), version) for name, version in lock]
    assert all(one["properties"] for one in told["components"])
