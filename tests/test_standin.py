"""The stand-in for GitHub behaves as GitHub does where Interlock leans on it."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest

from bot.demo.standin import Repo, StandIn
from bot.demo.standin.state import App, Installation
from tests.ears import Ear


@dataclass
class House:
    """A stand-in with an organisation, an App installed on it and one repository."""

    github: StandIn
    app: App
    installation: Installation
    repo: Repo

    def get(self, path: str, token: str | None = None, **query: Any) -> httpx.Response:
        """GET below the repository."""
        return self.call("GET", path, token, params=query)

    def call(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        """Call below the repository with the App's own token, or another."""
        token = self.github.token(self.installation) if token is None else token
        headers = {"Authorization": f"Bearer {token}"} | more.pop("headers", {})
        return httpx.request(method, f"{self.github.url}/repos/{self.repo.full_name}{path}", headers=headers, **more)

    def jwt(self, **claims: Any) -> dict[str, str]:
        """The header an App proves itself with."""
        now = int(time.time())
        value = jwt.encode({"iat": now - 60, "exp": now + 540, "iss": str(self.app.id)} | claims, self.app.private_key, "RS256")
        return {"Authorization": f"Bearer {value}"}

    def check(self, **fields: Any) -> httpx.Response:
        """Create a check run on the tip of main."""
        return self.call("POST", "/check-runs", json={"name": "gate", "head_sha": self.repo.sha("main")} | fields)


@pytest.fixture
def house(ear: Ear) -> Iterator[House]:
    """A furnished stand-in; the App's webhook goes to `ear`."""
    with StandIn.start() as github:
        github.organization("acme", {"alice": "member", "root": "admin"})
        repo = github.repository("acme", "platform", roles={"alice": "maintain", "bob": "read"})
        repo.commit("main", {"main.tf": "one\n", "docs/a.md": "a\n"}, "First", author="alice")
        app = github.app("interlock", webhook_url=ear.url)
        yield House(github, app, github.install(app, "acme"), repo)


def output(**more: Any) -> dict[str, Any]:
    """A check run's output."""
    return {"title": "t", "summary": "s"} | more


def annotation(**more: Any) -> dict[str, Any]:
    """A check run's annotation."""
    return {"path": "main.tf", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m"} | more


# Who is who.


def test_an_app_proves_itself_with_its_key(house: House) -> None:
    """A JWT counts only when it is signed with the App's key, by an App that exists, for now and not for long."""
    url, now = f"{house.github.url}/app", int(time.time())
    stranger = house.github.app("stranger")
    forged = jwt.encode({"iat": now, "exp": now + 60, "iss": str(house.app.id)}, stranger.private_key, "RS256")
    assert httpx.get(url, headers=house.jwt()).json()["slug"] == "interlock"
    assert httpx.get(url, headers=house.jwt(iss=house.app.client_id)).status_code == 200
    assert httpx.get(url, headers={"Authorization": f"Bearer {forged}"}).json()["message"] == "A JSON web token could not be decoded"
    assert httpx.get(url, headers=house.jwt(iss="999")).status_code == 404
    assert httpx.get(url, headers=house.jwt(exp=now - 1)).status_code == 401
    assert "too far" in httpx.get(url, headers=house.jwt(exp=now + 3600)).json()["message"]
    assert "Issued at" in httpx.get(url, headers=house.jwt(iat=now + 300)).json()["message"]
    assert house.get("").status_code == 200
    assert httpx.get(url).status_code == 401


def test_a_token_is_narrowed_and_never_widened(house: House) -> None:
    """An installation token holds what was asked for, within what was granted, on the repositories asked for."""
    other = house.github.repository("acme", "other")
    url = f"{house.github.url}/app/installations/{house.installation.id}/access_tokens"
    made = httpx.post(url, headers=house.jwt(), json={"permissions": {"checks": "read"}, "repositories": ["platform"]})
    assert made.status_code == 201
    assert made.json()["permissions"] == {"metadata": "read", "checks": "read"}
    token = made.json()["token"]
    assert house.get("", token).status_code == 200
    assert house.call("POST", "/check-runs", token, json={}).status_code == 403
    assert httpx.get(f"{house.github.url}/repos/{other.full_name}", headers={"Authorization": f"Bearer {token}"}).status_code == 404
    assert httpx.post(url, headers=house.jwt(), json={"permissions": {"administration": "write"}}).status_code == 422
    assert httpx.post(url, headers=house.jwt(), json={"repositories": ["nowhere"]}).status_code == 422


def test_a_token_ends(ear: Ear) -> None:
    """After an hour, on revocation and with the installation, a token is a bad credential."""
    now = [1_800_000_000.0]
    with StandIn.start(clock=lambda: now[0]) as github:
        repo = github.repository("acme", "platform")
        installation = github.install(github.app(), "acme")
        url = f"{github.url}/repos/{repo.full_name}"
        old, kept = ({"Authorization": f"Bearer {github.token(installation)}"} for _ in range(2))
        assert httpx.get(url, headers=old).status_code == 200
        assert httpx.delete(f"{github.url}/installation/token", headers=old).status_code == 204
        assert httpx.get(url, headers=old).json()["message"] == "Bad credentials"
        now[0] += 3601
        assert httpx.get(url, headers=kept).status_code == 401
        late = {"Authorization": f"Bearer {github.token(installation)}"}
        github.suspend(installation)
        assert httpx.get(url, headers=late).json()["message"] == "This installation has been suspended"
        github.uninstall(installation)
        assert httpx.get(url, headers=late).status_code == 401


def test_refusals_are_github_s(house: House) -> None:
    """What is private does not exist for others; what is not granted is not accessible by integration; nobody must log in."""
    url = f"{house.github.url}/repos/acme/platform"
    assert house.get("/branches/main/protection").json()["message"] == "Resource not accessible by integration"
    assert house.get("/branches/main/protection").headers["x-accepted-github-permissions"] == "administration=read"
    assert httpx.get(url).status_code == 404
    assert house.get("", house.github.user_token("eve")).status_code == 404
    assert house.get("", house.github.user_token("bob")).status_code == 200
    assert house.get("", "ghs_wrong").json() == {
        "message": "Bad credentials",
        "documentation_url": "https://docs.github.com/rest",
        "status": "401",
    }
    person = house.call("POST", "/check-runs", house.github.user_token("root"), json={"name": "x", "head_sha": "0" * 40})
    assert person.json()["message"] == "You must authenticate via a GitHub App."
    public = house.github.repository("elsewhere", "open", private=False)
    assert httpx.get(f"{house.github.url}/repos/{public.full_name}").status_code == 200
    headers = {"Authorization": f"Bearer {house.github.token(house.installation)}"}
    assert httpx.get(f"{house.github.url}/repos/{public.full_name}", headers=headers).status_code == 200
    assert httpx.post(f"{house.github.url}/repos/{public.full_name}/check-runs", headers=headers, json={}).status_code == 403


def test_roles_are_looked_up_exactly(house: House) -> None:
    """Maintain is written as write, triage as read; the exact name stands beside; an organisation's admin is one everywhere."""
    house.repo.state.roles["tom"] = "triage"
    house.github.user("tom")
    for login, role, permission in (("alice", "maintain", "write"), ("tom", "triage", "read"), ("root", "admin", "admin")):
        answer = house.get(f"/collaborators/{login}/permission").json()
        assert (answer["role_name"], answer["permission"]) == (role, permission)
    assert house.get("/collaborators/nobody-known/permission").status_code == 404


# Checks.


@pytest.mark.parametrize(
    "fields",
    [
        {"conclusion": "brilliant"},
        {"status": "completed"},
        {"conclusion": "success", "output": {"title": "no summary"}},
        {"output": output(summary="x" * 65536)},
        {"output": output(text="x" * 65536)},
        {"output": output(annotations=[annotation()] * 51)},
        {"output": output(annotations=[annotation(start_line=2)])},
        {"output": output(annotations=[annotation(end_line=2, start_column=1)])},
        {"output": output(annotations=[annotation(title="x" * 256)])},
        {"actions": [{"label": "l", "description": "d", "identifier": "i"}] * 4},
        {"actions": [{"label": "l" * 21, "description": "d", "identifier": "i"}]},
        {"actions": [{"label": "l", "description": "d" * 41, "identifier": "i"}]},
        {"head_sha": "0" * 40},
    ],
    ids=lambda fields: json.dumps(fields)[:40],
)
def test_a_check_run_beyond_the_limits_is_refused(house: House, fields: dict[str, Any]) -> None:
    """GitHub's limits on check runs hold here, with a 422 and nothing stored."""
    refused = house.check(**fields)
    assert refused.status_code == 422, refused.text
    assert house.repo.check_runs(house.repo.sha("main")) == []


def test_a_check_run_at_the_limits_is_taken(house: House) -> None:
    """Exactly at the limits everything is stored, and more annotations are appended by later updates."""
    button = {"label": "l" * 20, "description": "d" * 40, "identifier": "i" * 20}
    full = output(summary="x" * 65535, text="é" * 65535, annotations=[annotation()] * 50)
    made = house.check(conclusion="failure", output=full, actions=[button] * 3)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    more = house.call("PATCH", f"/check-runs/{number}", json={"output": output(annotations=[annotation(path="docs/a.md")])})
    assert more.json()["output"]["annotations_count"] == 51
    assert [one["path"] for one in house.get(f"/check-runs/{number}/annotations", page=2, per_page=50).json()] == ["docs/a.md"]


def test_a_completed_check_run_stays_completed(house: House) -> None:
    """A completed run cannot be put back; its conclusion and words can change; another App cannot touch it."""
    number = house.check(conclusion="success").json()["id"]
    assert house.call("PATCH", f"/check-runs/{number}", json={"status": "in_progress"}).status_code == 422
    assert house.call("PATCH", f"/check-runs/{number}", json={"conclusion": "failure"}).json()["conclusion"] == "failure"
    token = house.github.workflow_token(house.repo, {"checks": "write"})
    assert house.call("PATCH", f"/check-runs/{number}", token, json={"conclusion": "success"}).status_code == 403


def test_runs_of_a_commit_are_chosen_by_name_app_and_age(house: House) -> None:
    """Reading back gives the newest run of each App and name, or all; the App that made a run is in it."""
    first, second = (house.check(conclusion=word).json()["id"] for word in ("failure", "success"))
    token = house.github.workflow_token(house.repo, {"checks": "write"})
    house.call("POST", "/check-runs", token, json={"name": "gate", "head_sha": house.repo.sha("main"), "conclusion": "success"})
    path = "/commits/main/check-runs"
    assert {one["app"]["slug"] for one in house.get(path).json()["check_runs"]} == {"interlock", "github-actions"}
    own = house.get(path, app_id=house.app.id).json()
    assert (own["total_count"], own["check_runs"][0]["id"]) == (1, second)
    assert [one["id"] for one in house.get(path, app_id=house.app.id, filter="all").json()["check_runs"]] == [second, first]
    assert house.get(path, check_name="other").json()["total_count"] == 0


def test_a_required_check_pinned_to_its_app_cannot_be_forged(house: House) -> None:
    """A merge is refused until the pinned App says success; a status or a run of the same name from elsewhere does not count."""
    house.repo.require_check("gate", house.app)
    sha = house.repo.commit("feature", {"main.tf": "two\n"}, "Second")
    pull = house.repo.open_pull("feature")
    token = house.github.workflow_token(house.repo, {"checks": "write", "statuses": "write", "contents": "write"})
    house.call("POST", "/check-runs", token, json={"name": "gate", "head_sha": sha, "conclusion": "success"})
    house.call("POST", f"/statuses/{sha}", token, json={"state": "success", "context": "gate"})
    refused = house.call("PUT", f"/pulls/{pull.number}/merge", token, json={})
    assert (refused.status_code, refused.json()["message"]) == (
        405,
        'Required status check "gate" was not set by the expected GitHub App.',
    )
    house.check(head_sha=sha, conclusion="failure")
    assert house.repo.refusals(pull) == ['Required status check "gate" is failing.']
    house.check(head_sha=sha, conclusion="success")
    assert house.call("PUT", f"/pulls/{pull.number}/merge", token, json={}).json()["merged"] is True
    assert house.repo.sha("main") == pull.merge_commit


def test_who_may_bypass_is_shown_to_writers_only(house: House) -> None:
    """`bypass_actors` is absent without administration: write; rules of a branch need metadata only; no classic protection is a 404."""
    actor = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}
    made = house.repo.require_check("gate", house.app, bypass_actors=[actor])
    reader = house.github.token(house.installation, {"metadata": "read", "administration": "read"})
    writer = house.github.token(house.installation, {"metadata": "read", "administration": "write"})
    assert "bypass_actors" not in house.get(f"/rulesets/{made.id}", reader).json()
    assert house.get(f"/rulesets/{made.id}", writer).json()["bypass_actors"] == [actor]
    (rule,) = house.get("/rules/branches/main").json()
    assert rule["parameters"]["required_status_checks"] == [{"context": "gate", "integration_id": house.app.id}]
    assert house.get("/rules/branches/feature/x").json() == []
    assert house.get("/branches/main/protection", reader).json()["message"] == "Branch not protected"
    house.repo.protect("main", [("gate", None)])
    assert house.get("/branches/main/protection", reader).json()["required_status_checks"]["contexts"] == ["gate"]


# Lists.


def test_lists_come_in_pages(house: House) -> None:
    """30 at a time, at most 100, with links to the first, previous, next and last page."""
    pull = _pull(house)
    for number in range(7):
        house.repo.comment(pull, "bob", f"comment {number}")
    path = f"/issues/{pull.number}/comments"
    page = house.get(path, per_page=3, page=2)
    assert [one["body"] for one in page.json()] == ["comment 3", "comment 4", "comment 5"]
    assert set(page.links) == {"first", "prev", "next", "last"}
    last = house.call("GET", page.links["next"]["url"].partition("acme/platform")[2])
    assert [one["body"] for one in last.json()] == ["comment 6"]
    assert set(last.links) == {"first", "prev"}
    assert "link" not in house.get(path).headers


def test_an_unchanged_answer_costs_nothing(house: House) -> None:
    """A known ETag is answered with 304, which the rate limit does not count."""
    token = house.github.token(house.installation)
    first = house.get("/pulls", token)
    again = house.call("GET", "/pulls", token, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"] == "1"
    _pull(house)
    assert house.call("GET", "/pulls", token, headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def _pull(house: House) -> Any:
    house.repo.commit("feature", {"main.tf": "two\n", "new.txt": "n\n", "docs/a.md": None}, "Second")
    return house.repo.open_pull("feature", title="Change", body="Why", author="bob")


# Pull requests.


def test_a_pull_request_shows_what_it_changes(house: House) -> None:
    """Files with status and patch, commits, its commit's pull requests, the comparison."""
    pull = _pull(house)
    files = {one["filename"]: one for one in house.get(f"/pulls/{pull.number}/files").json()}
    assert {name: one["status"] for name, one in files.items()} == {"main.tf": "modified", "new.txt": "added", "docs/a.md": "removed"}
    assert files["main.tf"]["patch"] == "@@ -1 +1 @@\n-one\n+two"
    full = house.get(f"/pulls/{pull.number}").json()
    assert (full["changed_files"], full["additions"], full["deletions"], full["commits"], full["mergeable"]) == (3, 2, 2, 1, True)
    assert [one["sha"] for one in house.get(f"/pulls/{pull.number}/commits").json()] == [pull.head_sha]
    assert [one["number"] for one in house.get(f"/commits/{pull.head_sha}/pulls").json()] == [pull.number]
    compared = house.get("/compare/main...feature").json()
    assert (compared["status"], compared["ahead_by"], len(compared["files"])) == ("ahead", 1, 3)
    for query, found in (
        ({}, 1),
        ({"state": "closed"}, 0),
        ({"head": "acme:feature"}, 1),
        ({"head": "bob:feature"}, 0),
        ({"base": "x"}, 0),
    ):
        assert len(house.get("/pulls", **query).json()) == found
    assert house.get("/contents/docs/a.md").json()["content"] == "YQo=\n"
    assert house.get("/contents/docs/a.md", ref="feature").status_code == 404


def test_the_newer_version_of_the_api_says_less(house: House) -> None:
    """Version 2026-03-10 gives no merge commit, no single assignee, no has_downloads and no second rate; an unknown version is refused."""
    pull = _pull(house)
    older, newer = (house.call("GET", f"/pulls/{pull.number}", headers=_version(name)).json() for name in ("2022-11-28", "2026-03-10"))
    assert set(older) - set(newer) == {"merge_commit_sha", "assignee"}
    assert set(older["base"]["repo"]) - set(newer["base"]["repo"]) == {"has_downloads"}
    headers = {"Authorization": f"Bearer {house.github.token(house.installation)}"} | _version("2026-03-10")
    assert set(httpx.get(f"{house.github.url}/rate_limit", headers=headers).json()) == {"resources"}
    assert house.call("GET", "", headers=_version("2020-01-01")).status_code == 400


def _version(name: str) -> dict[str, str]:
    return {"X-GitHub-Api-Version": name}


def test_nobody_approves_their_own(house: House) -> None:
    """A review is bound to the head it was given for; one's own pull request cannot be approved."""
    pull = _pull(house)
    own = house.call("POST", f"/pulls/{pull.number}/reviews", house.github.user_token("bob"), json={"event": "APPROVE"})
    assert own.status_code == 422
    house.repo.approve(pull, "alice", "fine")
    (review,) = house.get(f"/pulls/{pull.number}/reviews").json()
    assert (review["state"], review["commit_id"], review["user"]["login"]) == ("APPROVED", pull.head_sha, "alice")


def test_a_fork_s_head_is_in_the_base_repository(house: House) -> None:
    """`refs/pull/N/head` holds a fork's commits; its check runs name no pull request."""
    fork = house.github.repository("bob", "platform", fork_of=house.repo)
    sha = fork.commit("main", {"main.tf": "forked\n"}, "From afar", author="bob")
    pull = house.repo.open_pull("bob:main", author="bob")
    assert house.repo.sha(f"refs/pull/{pull.number}/head") == sha
    made = house.check(head_sha=sha, conclusion="success")
    assert (made.status_code, made.json()["pull_requests"]) == (201, [])
    newer = fork.commit("main", {"main.tf": "again\n"}, "More", author="bob")
    assert house.repo.sha(f"refs/pull/{pull.number}/head") == newer == house.get(f"/pulls/{pull.number}").json()["head"]["sha"]


def test_the_merge_ref_goes_with_a_conflict(house: House) -> None:
    """`refs/pull/N/merge` follows the head, not the base, and is absent on a conflict."""
    pull = _pull(house)
    ref = f"refs/pull/{pull.number}/merge"
    before = house.repo.sha(ref)
    house.repo.commit("main", {"main.tf": "conflict\n"}, "Base moves")
    assert house.repo.sha(ref) == before
    house.repo.commit("feature", {"x": "y\n"}, "Head moves")
    assert house.get(f"/pulls/{pull.number}").json()["mergeable"] is False
    with pytest.raises(LookupError):
        house.repo.sha(ref)


def test_comments_reactions_and_labels(house: House) -> None:
    """Comments can be made, changed and removed; a reaction given twice is the same one; labels are made on first use."""
    pull = _pull(house)
    here = f"/issues/{pull.number}"
    made = house.call("POST", f"{here}/comments", json={"body": "Hello"}).json()
    assert (made["user"]["login"], made["performed_via_github_app"]["slug"]) == ("interlock[bot]", "interlock")
    assert house.call("PATCH", f"/issues/comments/{made['id']}", json={"body": "Bye"}).json()["body"] == "Bye"
    assert house.call("POST", f"{here}/comments", json={"body": " "}).status_code == 422
    reactions = f"/issues/comments/{made['id']}/reactions"
    assert [house.call("POST", reactions, json={"content": "eyes"}).status_code for _ in range(2)] == [201, 200]
    assert house.call("POST", reactions, json={"content": "applause"}).status_code == 422
    assert [one["content"] for one in house.get(reactions).json()] == ["eyes"]
    assert house.call("DELETE", f"/issues/comments/{made['id']}").status_code == 204
    assert house.get(f"/issues/comments/{made['id']}").status_code == 404
    assert house.call("POST", "/labels", json={"name": "interlock: high", "color": "ff0000"}).status_code == 201
    assert house.call("POST", "/labels", json={"name": "Interlock: high"}).status_code == 422
    added = house.call("POST", f"{here}/labels", json={"labels": ["interlock: high", "new"]}).json()
    assert [(one["name"], one["color"]) for one in added] == [("interlock: high", "ff0000"), ("new", "ededed")]
    assert [one["name"] for one in house.call("DELETE", f"{here}/labels/interlock:%20high").json()] == ["new"]
    assert house.call("DELETE", f"{here}/labels/interlock:%20high").status_code == 404


# GitHub Actions.


def test_a_workflow_run_leaves_jobs_checks_and_artifacts(house: House) -> None:
    """Runs are found by head, carry path, event and attempt; their artifacts are downloaded from another host without the token."""
    pull = _pull(house)
    path = ".github/workflows/plan.yml"
    run = house.repo.run_workflow(
        path, "pull_request", pull.head_sha, {"plan": "success", "lint": "failure"}, "failure", {"plan": {"a.json": "{}"}}
    )
    (found,) = house.get("/actions/runs", head_sha=pull.head_sha).json()["workflow_runs"]
    assert (found["path"], found["event"], found["run_attempt"], found["conclusion"]) == (path, "pull_request", 1, "failure")
    assert {one["name"]: one["conclusion"] for one in house.get(f"/actions/runs/{run.id}/jobs").json()["jobs"]} == {
        "plan": "success",
        "lint": "failure",
    }
    assert {one.app.id for one in house.repo.check_runs(pull.head_sha)} == {15368}
    (artifact,) = house.get(f"/actions/runs/{run.id}/artifacts", name="plan").json()["artifacts"]
    redirect = house.call("GET", f"/actions/artifacts/{artifact['id']}/zip")
    assert redirect.status_code == 302
    assert httpx.get(redirect.headers["location"]).content.startswith(b"PK")
    assert httpx.get(redirect.headers["location"], headers={"Authorization": "Bearer x"}).status_code == 400
    house.repo.rerun_workflow(run)
    again = house.get(f"/actions/runs/{run.id}").json()
    assert (again["run_attempt"], again["conclusion"]) == (2, "success")
    house.repo.environment("production", reviewers=["alice"], branches=True)
    (environment,) = house.get("/environments").json()["environments"]
    assert [rule["type"] for rule in environment["protection_rules"]] == ["required_reviewers", "branch_policy"]


# git.


def git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git as a client would, with no configuration of this machine."""
    quiet = ("-c", "credential.helper=", "-c", "user.name=bob", "-c", "user.email=bob@example.test")
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(["git", *quiet, *arguments], env=environment, capture_output=True, text=True, check=check)


def test_git_clones_and_fetches_with_a_token(house: House, tmp_path: Any) -> None:
    """A token with contents: read clones, whole or filtered, and fetches a pull request's head; without one the repository is not there."""
    pull = _pull(house)
    place = house.repo.clone_url.replace("//", f"//x-access-token:{house.github.token(house.installation)}@")
    git("clone", "--bare", "--filter=blob:none", place, str(tmp_path / "clone"))
    git("-C", str(tmp_path / "clone"), "fetch", place, f"refs/pull/{pull.number}/head")
    assert git("-C", str(tmp_path / "clone"), "rev-parse", "FETCH_HEAD").stdout.strip() == pull.head_sha
    missing = git("-C", str(tmp_path / "clone"), "rev-list", "--objects", "--all", "--missing=print").stdout
    assert "?" in missing
    refused = git("clone", house.repo.clone_url, str(tmp_path / "no"), check=False)
    assert refused.returncode != 0
    blind = house.github.token(house.installation, {"metadata": "read"})
    without = git("clone", house.repo.clone_url.replace("//", f"//x-access-token:{blind}@"), str(tmp_path / "no"), check=False)
    assert without.returncode != 0 and "403" in without.stderr


def test_a_push_over_http_moves_the_pull_request(house: House, ear: Ear, tmp_path: Any) -> None:
    """Pushing needs contents: write, is told as a push, and the pull request follows with a synchronize."""
    pull = _pull(house)
    before = pull.head_sha
    reader, writer = (house.github.token(house.installation, {"metadata": "read", "contents": level}) for level in ("read", "write"))
    place = str(tmp_path / "work")
    git("clone", "--branch", "feature", house.repo.clone_url.replace("//", f"//x-access-token:{writer}@"), place)
    git("-C", place, "commit", "--allow-empty", "-m", "Third")
    target = house.repo.clone_url
    assert git("-C", place, "push", target.replace("//", f"//x-access-token:{reader}@"), "feature", check=False).returncode != 0
    git("-C", place, "push", target.replace("//", f"//x-access-token:{writer}@"), "feature")
    house.github.settle()
    assert ear.events()[-2:] == ["push", "pull_request.synchronize"]
    payload = ear.payload("pull_request")
    assert (payload["before"], payload["after"]) == (before, pull.head_sha)
    assert before != pull.head_sha
    assert payload["pull_request"]["head"]["sha"] == pull.head_sha


# Webhooks.


def test_webhooks_are_signed_over_the_raw_body(house: House, ear: Ear) -> None:
    """Every delivery carries event, GUID and an HMAC of exactly the bytes that were sent."""
    _pull(house)
    assert ear.events() == ["ping", "installation.created", "push", "pull_request.opened"]
    for headers, body in ear.heard:
        wanted = hmac.new(house.app.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={wanted}"
    assert len({headers["x-github-delivery"] for headers, _ in ear.heard}) == 4
    assert ear.payload("pull_request")["installation"]["id"] == house.installation.id


def test_a_failed_delivery_can_be_made_again(house: House, ear: Ear) -> None:
    """Deliveries are on the record, newest first; GitHub does not retry; a redelivery has the same GUID."""
    ear.answer = 500
    _pull(house)
    url = f"{house.github.url}/app/hook/deliveries"
    failed = httpx.get(url, headers=house.jwt(), params={"status": "failure"}).json()
    assert [(one["event"], one["status_code"]) for one in failed] == [("pull_request", 500), ("push", 500)]
    ear.answer = 202
    assert httpx.post(f"{url}/{failed[0]['id']}/attempts", headers=house.jwt()).status_code == 202
    house.github.settle()
    newest = httpx.get(url, headers=house.jwt(), params={"per_page": 1})
    (again,) = newest.json()
    assert (again["guid"], again["redelivery"], again["status"]) == (failed[0]["guid"], True, "OK")
    older = httpx.get(newest.links["next"]["url"], headers=house.jwt()).json()
    assert [one["id"] for one in older] == [failed[0]["id"]]
    whole = httpx.get(f"{url}/{again['id']}", headers=house.jwt()).json()
    assert whole["request"]["payload"]["action"] == "opened"


def test_a_receiver_that_is_away_is_recorded_without_a_status(house: House) -> None:
    """A connection that fails is a failed delivery that `status=failure` does not list."""
    away = house.github.app("away", webhook_url="http://127.0.0.1:9/webhook")
    (ping,) = [one for one in house.github.deliveries if one.app is away]
    assert (ping.status, ping.status_code) == ("failed to connect to host", 0)


def test_only_who_subscribed_and_may_read_is_told(house: House, ear: Ear) -> None:
    """Without the permission an event needs, GitHub sends nothing and says nothing; re-runs reach only the App that made the check."""
    house.installation.permissions.pop("issues")
    house.installation.permissions.pop("pull_requests")
    pull = _pull(house)
    house.repo.comment(pull, "bob", "hello")
    assert ear.events()[2:] == ["push"]
    other = house.github.app("other")
    house.github.install(other, "acme")
    run = house.repo.check(other, pull.head_sha, "scan")
    house.repo.rerequest(run, "alice")
    assert ear.events()[3:] == ["check_run.created", "check_run.completed", "check_suite.completed"]
    house.check()
    house.github.settle()
    house.repo.rerequest(house.repo.check_runs(house.repo.sha("main"))[0], "alice")
    assert ear.events()[6:] == ["check_run.created", "check_run.rerequested"]


def test_the_merge_queue_asks_for_checks_on_its_own_commit(house: House, ear: Ear) -> None:
    """A queued pull request becomes a commit of its own on a queue branch; it leaves with a reason."""
    house.app.events = house.installation.events = (*house.installation.events, "merge_group")
    house.installation.permissions["merge_queues"] = "read"
    pull = _pull(house)
    group = house.repo.enqueue(pull)
    asked = ear.payload("merge_group")
    assert (asked["action"], asked["merge_group"]["head_sha"]) == ("checks_requested", group.head_sha)
    assert house.check(head_sha=group.head_sha, conclusion="success").status_code == 201
    house.repo.dequeue(group, "merged")
    assert ear.payload("merge_group")["reason"] == "merged"
    assert house.repo.sha("main") == group.head_sha


def test_a_deployment_waits_for_the_gate(house: House, ear: Ear) -> None:
    """A protection rule is asked with the run's address and takes approved or rejected."""
    house.installation.events = (*house.installation.events, "deployment_protection_rule")
    house.installation.permissions["deployments"] = "write"
    run = house.repo.run_workflow(".github/workflows/deploy.yml", "push", house.repo.sha("main"), conclusion=None)
    house.repo.request_deployment(run, "production", house.app)
    address = ear.payload("deployment_protection_rule")["deployment_callback_url"].partition("acme/platform")[2]
    answer = {"environment_name": "production", "state": "approved", "comment": "fine"}
    assert house.call("POST", address, json=answer).status_code == 204
    assert run.gates == [answer]


def test_an_app_is_made_from_a_manifest(house: House) -> None:
    """The code is exchanged once, without a login, for the id, the key and the secret."""
    manifest = {"name": "Made Here", "url": "https://example.test", "default_permissions": {"checks": "write"}, "default_events": ["push"]}
    code = house.github.manifest(manifest)
    url = f"{house.github.url}/app-manifests/{code}/conversions"
    made = httpx.post(url)
    assert (made.status_code, made.json()["slug"], made.json()["permissions"]) == (
        201,
        "made-here",
        {"metadata": "read", "checks": "write"},
    )
    assert made.json()["pem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert httpx.post(url).status_code == 404


# Bad days.


def test_faults_strike_the_call_they_are_meant_for(house: House) -> None:
    """The n-th matching call goes wrong, the others do not; with `done` the work was done all the same."""
    house.github.fault("POST", "*/check-runs", "502", nth=2, done=True)
    assert [house.check(name=name).status_code for name in "abc"] == [201, 502, 201]
    assert {run.name for run in house.repo.check_runs(house.repo.sha("main"))} == {"a", "b", "c"}
    house.github.fault("GET", "*/pulls", "secondary-limit")
    assert house.get("/pulls").headers["retry-after"] == "1"
    house.github.fault("GET", "*/pulls", "timeout")
    with pytest.raises(httpx.ReadTimeout):
        house.call("GET", "/pulls", timeout=0.1)
    house.get("/pulls")
    _pull(house)
    house.github.fault("GET", "*/pulls", "stale")
    assert [len(house.get("/pulls").json()) for _ in range(2)] == [0, 1]
    house.github.fault("GET", "*/pulls", "cut-body")
    with pytest.raises(ValueError):
        house.get("/pulls").json()
    with pytest.raises(ValueError):
        house.github.fault("GET", "*", "no such fault")


def test_it_starts_at_once(ear: Ear) -> None:
    """Starting takes less than a third of a second, so that every test can have its own."""
    begun = time.monotonic()
    with StandIn.start() as github:
        assert httpx.get(f"{github.url}/meta", trust_env=False).status_code == 200
        taken = time.monotonic() - begun
        assert [(one.method, one.path, one.status) for one in github.requests] == [("GET", "/meta", 200)]
        assert httpx.get(f"{github.url}/api/v3/meta").status_code == 200
    assert taken < 1.0
