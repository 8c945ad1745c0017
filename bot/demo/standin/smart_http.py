"""git over HTTP: `git http-backend` run as CGI, with the token checked first."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bot.demo.standin import auth, deeds, git
from bot.demo.standin.state import Repository, Token, World
from bot.demo.standin.wire import Actor, Answer, Refusal

PATH = re.compile(r"/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)")
_PLAIN = {"Content-Type": "text/plain"}


def answer(world: World, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """One request of a git client. Nobody learns of a private repository without a token that reaches it."""
    match = PATH.fullmatch(path)
    assert match is not None
    writes = "git-receive-pack" in (match["rest"], query.partition("service=")[2])
    repository = world.repository(f"{match['owner']}/{match['name']}")
    with world.lock:
        try:
            actor = auth.caller(world, headers)
        except Refusal:
            return Answer(401, b"Bad credentials\n", _ask())
        refused = _refusal(world, actor, repository, writes)
    if refused:
        return refused
    assert repository is not None
    done = backend(repository.path, method, match["rest"], query, headers, body)
    if writes and method == "POST" and actor.user:
        with world.lock:
            deeds.refs_changed(world, repository, actor.user)
    return done


def _ask() -> dict[str, str]:
    return {**_PLAIN, "WWW-Authenticate": 'Basic realm="GitHub"'}


def _refusal(world: World, actor: Actor, repository: Repository | None, writes: bool) -> Answer | None:
    token: Token | None = actor.token
    hidden = repository is None or (repository.private and (token is None or not auth.sees(world, token, repository)))
    if token is None and (hidden or writes):
        return Answer(401, b"Authentication required\n", _ask())
    if hidden:
        return Answer(404, b"Repository not found.\n", _PLAIN)
    if not auth.may(world, actor, repository, "contents:write" if writes else "contents:read"):
        return Answer(403, b"Write access to repository not granted.\n", _PLAIN)
    return None


def backend(directory: Path, method: str, rest: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """`git http-backend` on one bare directory. `rest` is what follows the repository in the address; who may is decided before."""
    variables = {
        "GIT_PROJECT_ROOT": str(directory.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{directory.name}/{rest}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "REMOTE_USER": "git",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
    }
    done = subprocess.run(["git", "http-backend"], input=body, env=git.environment(variables), capture_output=True, check=False)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    answered = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    status = int(answered.pop("Status", "200").split()[0]) if done.returncode == 0 else 500
    return Answer(status, content, answered)
