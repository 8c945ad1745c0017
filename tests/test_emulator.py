"""The emulator that nobody of this project wrote can carry Interlock's whole path."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.demo.standin import git
from tests.ears import Ear
from tests.emulator import Emulator


@pytest.mark.slow
def test_an_app_reports_on_a_pull_request(emulator: Callable[..., Emulator], ear: Ear, tmp_path: Path) -> None:
    """From the App's key to a token, from a signed webhook to a clone of the head it names, to a check run that is updated."""
    world = emulator(ear.url, people={"robin": "member"})
    world.commit("main", {"main.tf": "one\n", "docs/a.md": "a\n"}, "First")
    sha = world.commit("work", {"main.tf": "two\n", "docs/a.md": None}, "Second", author="robin")
    pull = world.open_pull("work", title="Change", by="robin")
    assert pull["head"]["sha"] == sha

    headers, body = ear.wait_for("pull_request.opened")
    wanted = hmac.new(world.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={wanted}"
    payload = ear.payload("pull_request")
    assert (payload["pull_request"]["head"]["sha"], payload["installation"]["id"]) == (sha, world.installation_id)

    token = world.token(permissions={"checks": "write", "contents": "read", "metadata": "read"})
    made = world.call("POST", "/check-runs", {"name": "gate", "head_sha": sha, "status": "in_progress"}, token=token)
    assert made.status_code == 201, made.text
    done = world.call(
        "PATCH",
        f"/check-runs/{made.json()['id']}",
        {"status": "completed", "conclusion": "failure", "output": {"title": "t", "summary": "s"}},
        token=token,
    )
    assert (done.status_code, done.json()["conclusion"]) == (200, "failure")
    assert ear.wait_for("check_run.completed")

    narrow = world.token(permissions={"metadata": "read"})
    refused = world.call("POST", "/check-runs", {"name": "gate", "head_sha": sha}, token=narrow)
    assert refused.status_code == 403

    place = world.git_url.replace("//", f"//x-access-token:{token}@")
    clone = ["git", "clone", "-q", "--bare", f"{place}/{world.full_name}.git", str(tmp_path / "clone")]
    subprocess.run(clone, env=git.environment(), check=True, capture_output=True)
    git.run(tmp_path / "clone", "fetch", "-q", f"{place}/{world.full_name}.git", f"refs/pull/{pull['number']}/head")
    assert git.ask(tmp_path / "clone", "rev-parse", "FETCH_HEAD") == sha
    strange = ["git", "ls-remote", f"{world.git_url.replace('//', '//x-access-token:ghs_wrong@')}/{world.full_name}.git"]
    assert subprocess.run(strange, env=git.environment(), check=False, capture_output=True).returncode != 0
