"""An emulator of GitHub that nobody of this project wrote: `emulate` from npm, on loopback, with real App authentication and signed webhooks.

It keeps git objects under their true SHAs but serves no git, so a bare directory stands beside it: `push` brings its commits in, `git_url` serves it,
letting in exactly the tokens the emulator lets in. Unlike GitHub it takes a conclusion only together with `status: completed`. What it lacks or does otherwise (rulesets, deliveries, limits) is the stand-in's part.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.demo.standin import git, smart_http
from bot.demo.standin.auth import basic_password
from bot.demo.standin.driver import key_pair
from bot.demo.standin.server import Listener
from tests import npm

APP, INSTALLATION = 12345, 100
PERMISSIONS = {
    "metadata": "read",
    "checks": "write",
    "contents": "read",
    "pull_requests": "read",
    "issues": "write",
    "actions": "read",
    "merge_queues": "read",
}
EVENTS = ["pull_request", "push", "check_run", "check_suite", "issue_comment", "workflow_run", "merge_group"]
READY = "Ready."
PATIENCE = 60


class Emulator:
    """A running emulator with one organisation (`acme`), people, one repository and one installed App."""

    def __init__(self, webhook_url: str, people: dict[str, str], repository: str = "platform") -> None:
        self.full_name = f"acme/{repository}"
        self.app_id = APP
        self.installation_id = INSTALLATION
        self.private_key, _ = key_pair(0)
        self.webhook_secret = secrets.token_hex(20)
        self._folder = Path(tempfile.mkdtemp(prefix="interlock-emulator-"))
        self.directory = self._folder / f"{repository}.git"
        """The bare git directory that belongs to the repository."""
        git.create(self.directory, "main")
        self._process, self.url = self._start(self._seed(webhook_url, people, repository))
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=30)
        self._git = Listener(Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST"])]), 0)
        self.git_url = f"http://127.0.0.1:{self._git.port}"
        """Where git finds `{git_url}/{full_name}.git`."""

    def _seed(self, webhook_url: str, people: dict[str, str], repository: str) -> dict[str, Any]:
        logins = ["root", *people]
        installation = {
            "installation_id": INSTALLATION,
            "account": "acme",
            "repository_selection": "all",
            "permissions": PERMISSIONS,
            "events": EVENTS,
        }
        app = {
            "app_id": APP,
            "slug": "interlock",
            "name": "Interlock",
            "private_key": self.private_key,
            "permissions": PERMISSIONS,
            "events": EVENTS,
            "webhook_url": webhook_url,
            "webhook_secret": self.webhook_secret,
            "installations": [installation],
        }
        members = [{"login": "root", "role": "admin"}, *({"login": login, "role": role} for login, role in people.items())]
        return {
            "tokens": {f"token-of-{login}": {"login": login, "scopes": ["repo", "admin:org"]} for login in logins},
            "github": {
                "users": [{"login": login, "name": login, "email": f"{login}@example.test"} for login in logins],
                "orgs": [{"login": "acme", "members": members}],
                "repos": [{"owner": "acme", "name": repository, "auto_init": True, "private": True}],
                "apps": [app],
            },
        }

    def _start(self, seed: dict[str, Any]) -> tuple[subprocess.Popen[str], str]:
        (self._folder / "seed.json").write_text(json.dumps(seed))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [npm.node(), npm.emulate(), "start", "--service", "github", "--port", str(port), "--seed", self._folder / "seed.json"]
        process = subprocess.Popen(
            [str(part) for part in command], cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        said: list[str] = []
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        for line in process.stdout:
            said.append(line)
            if READY in line:
                break
        watchdog.cancel()
        if process.poll() is not None or READY not in "".join(said):
            process.kill()
            raise npm.Unavailable("the emulator does not start: " + "".join(said)[-400:])
        # What it says later must be read, or it would stand still when the pipe is full.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return process, f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """End everything and remove what it kept."""
        self._client.close()
        self._git.stop()
        self._process.terminate()
        self._process.wait(PATIENCE)
        if self._process.stdout:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # The API, as somebody.

    def jwt(self) -> str:
        """What the App proves itself with."""
        now = int(time.time())
        return jwt.encode({"iat": now - 30, "exp": now + 300, "iss": str(APP)}, self.private_key, "RS256")

    def token(self, **narrowed: Any) -> str:
        """An installation token, fetched as an App fetches it."""
        made = self._client.post(f"/app/installations/{INSTALLATION}/access_tokens", headers=_bearer(self.jwt()), json=narrowed)
        assert made.status_code == 201, made.text
        return str(made.json()["token"])

    def call(self, method: str, path: str, body: Any = None, *, by: str = "root", token: str | None = None) -> httpx.Response:
        """Call below the repository as a person (`by`) or with a token."""
        headers = _bearer(token or f"token-of-{by}")
        return self._client.request(method, f"/repos/{self.full_name}{path}", headers=headers, json=body)

    def done(self, method: str, path: str, body: Any = None, *, by: str = "root") -> Any:
        """`call`, which must succeed; the answer's JSON."""
        answer = self.call(method, path, body, by=by)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()

    # git.

    def commit(self, branch: str, files: dict[str, str | None], message: str, *, author: str = "root", start: str = "main") -> str:
        """A commit on a branch of the bare directory, brought into the emulator under the same SHA."""
        tip = git.resolve(self.directory, f"refs/heads/{branch}") or git.resolve(self.directory, start)
        text = message if message.endswith("\n") else message + "\n"
        who = f"{author} <{author}@example.test>"
        sha = git.commit(self.directory, branch, files, text, author=who, moment=time.time(), parent=tip)
        self.push(branch)
        return sha

    def push(self, branch: str, by: str = "root") -> str:
        """Bring a branch of the bare directory into the emulator, object by object."""
        tip = git.resolve(self.directory, f"refs/heads/{branch}")
        assert tip is not None
        for one in reversed(git.commits(self.directory, tip, limit=1000)):
            if self.call("GET", f"/git/commits/{one.sha}").status_code == 404:
                self._bring(one, by)
        ref = {"sha": tip, "force": True}
        if self.call("PATCH", f"/git/refs/heads/{branch}", ref, by=by).status_code != 200:
            self.done("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": tip}, by=by)
        return tip

    def _bring(self, one: git.CommitFacts, by: str) -> None:
        entries = []
        for line in git.run(self.directory, "ls-tree", "-r", "-z", one.sha).decode().split("\0")[:-1]:
            facts, _, path = line.partition("\t")
            mode, kind, sha = facts.split()
            data = base64.b64encode(git.run(self.directory, "cat-file", "blob", sha)).decode()
            assert self.done("POST", "/git/blobs", {"content": data, "encoding": "base64"}, by=by)["sha"] == sha
            entries.append({"path": path, "mode": mode, "type": kind, "sha": sha})
        assert self.done("POST", "/git/trees", {"tree": entries}, by=by)["sha"] == one.tree

        def person(name: str, email: str, when: str) -> dict[str, str]:
            return {"name": name, "email": email, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(when)))}

        commit = {
            "message": one.message,
            "tree": one.tree,
            "parents": list(one.parents),
            "author": person(one.author_name, one.author_email, one.author_date),
            "committer": person(one.committer_name, one.committer_email, one.committer_date),
        }
        made = self.done("POST", "/git/commits", commit, by=by)["sha"]
        assert made == one.sha, f"the emulator calls {one.sha} {made}"

    def open_pull(self, head: str, base: str = "main", title: str = "Change", body: str = "", by: str = "root") -> Any:
        """Open a pull request; its head is in the bare directory under `refs/pull/N/head`, as GitHub has it."""
        tip = git.resolve(self.directory, f"refs/heads/{head}")
        number = 1 + len(self.done("GET", "/pulls?state=all"))
        git.update_ref(self.directory, f"refs/pull/{number}/head", tip)
        made = self.done("POST", "/pulls", {"head": head, "base": base, "title": title, "body": body}, by=by)
        if made["number"] != number:
            git.update_ref(self.directory, f"refs/pull/{made['number']}/head", tip)
        return made

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._serve_now, request, body)

    def _serve_now(self, request: Request, body: bytes) -> Response:
        match = re.fullmatch(rf"/{re.escape(self.full_name)}(?:\.git)?/(info/refs|git-upload-pack)", request.url.path)
        token = basic_password(request.headers.get("authorization", "").partition(" ")[2])
        if not token:
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
        if match is None or not self._reads(token):
            return Response("Repository not found.\n", 404)
        answer = smart_http.backend(self.directory, request.method, match[1], request.url.query, request.headers, body)
        return Response(answer.body, answer.status, dict(answer.headers))

    def _reads(self, token: str) -> bool:
        """Whether an installation token may read the contents. The emulator takes a token it does not know for its first user, so that is asked first."""
        somebody = self._client.get("/user", headers=_bearer(token)).status_code == 200
        return not somebody and self.call("GET", "/contents/", token=token).status_code == 200


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def emulator() -> Iterator[Callable[..., Emulator]]:
    """Starts emulators: `emulator(webhook_url, people={"robin": "member"})`. The test is skipped, with the reason, where npm cannot be reached."""
    running: list[Emulator] = []

    def start(webhook_url: str, people: dict[str, str] | None = None, repository: str = "platform") -> Emulator:
        try:
            npm.node()
            npm.emulate()
            running.append(Emulator(webhook_url, people or {}, repository))
        except npm.Unavailable as reason:
            npm.unavailable(str(reason))
        return running[-1]

    yield start
    for one in running:
        one.stop()
