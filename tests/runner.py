"""Runs a composite action of this repository as far as it runs without GitHub: its own scripts in bash, with its inputs."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Done:
    """What running an action gave."""

    status: int
    log: str
    record: Path
    """What it would upload."""
    artifact: str


def perform(action: str, folder: Path, scratch: Path, base: str = "", environment: dict[str, str] | None = None, **inputs: str) -> Done:
    """Run `.github/actions/<action>` in a checkout; `base` is what the event says it starts from."""
    place = ROOT / ".github/actions" / action
    described = yaml.safe_load((place / "action.yml").read_text())
    assert set(inputs) <= set(described["inputs"])
    scratch.mkdir(parents=True, exist_ok=True)
    values = {"runner.temp": str(scratch), "github.action_path": str(place)}
    for name, one in described["inputs"].items():
        assert name in inputs or "default" in one, name
        given = inputs.get(name, str(one.get("default", "")))
        values[f"inputs.{name}"] = base if "github.event" in given else given
    script, upload = described["runs"]["steps"]
    assert upload["uses"].startswith("actions/upload-artifact@") and upload["with"]["if-no-files-found"] == "error"

    def filled(text: Any) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[match[1]], str(text))

    given_to_all = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "RUNNER_TEMP": str(scratch),
        "GITHUB_TOKEN": "ghs_secret",
        "GITHUB_ENV": "x",
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script["run"]],
        cwd=folder,
        env={**given_to_all, **(environment or {}), **{name: filled(text) for name, text in script["env"].items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout + done.stderr, Path(filled(upload["with"]["path"])), filled(upload["with"]["name"]))
