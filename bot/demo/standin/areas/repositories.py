"""Repositories: branches, commits, contents, who works on them; accounts and organisations beside them."""

from __future__ import annotations

import base64
from typing import Any

from bot.demo.standin import deeds, git, shapes
from bot.demo.standin.state import ROLES, Repository, User, World
from bot.demo.standin.wire import Answer, Call, Refusal, Route, not_found

_COARSE = {"none": "none", "read": "read", "triage": "read", "write": "write", "maintain": "write", "admin": "admin"}


def show(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}"""
    return Answer(200, shapes.repository_full(call.world, call.repository))


def _protected(repository: Repository, branch: str) -> bool:
    return branch in repository.protections or bool(deeds.rules_of(repository, branch))


def branches(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches"""
    repository, api = call.repository, shapes.api_of(call.world, call.repository)
    found = [(name.removeprefix("refs/heads/"), sha) for name, sha in git.refs(repository.path).items() if name.startswith("refs/heads/")]

    def draw(entry: tuple[str, str]) -> dict[str, Any]:
        name, sha = entry
        return {"name": name, "commit": {"sha": sha, "url": f"{api}/commits/{sha}"}, "protected": _protected(repository, name)}

    return call.page(found, draw)


def branch(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches/{branch}"""
    repository, name = call.repository, call.params["branch"]
    sha = git.refs(repository.path).get(f"refs/heads/{name}")
    if sha is None:
        raise Refusal(404, "Branch not found")
    api, html = shapes.api_of(call.world, repository), shapes.html_of(call.world, repository)
    body = {
        "name": name,
        "commit": shapes.commit(call.world, repository, git.commits(repository.path, sha, limit=1)[0]),
        "_links": {"self": f"{api}/branches/{name}", "html": f"{html}/tree/{name}"},
        "protected": _protected(repository, name),
        "protection": {"enabled": name in repository.protections},
        "protection_url": f"{api}/branches/{name}/protection",
    }
    return Answer(200, body)


def _one(call: Call, name: str) -> git.CommitFacts:
    sha = git.resolve(call.repository.path, name)
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {name}")
    return git.commits(call.repository.path, sha, limit=1)[0]


def commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits"""
    start = call.query.get("sha", call.repository.default_branch)
    sha = git.resolve(call.repository.path, start)
    if sha is None:
        raise Refusal(409, "Git Repository is empty.") if not git.refs(call.repository.path) else not_found()
    paths = [call.query["path"]] if "path" in call.query else []
    names = git.run(call.repository.path, "rev-list", "--max-count=1000", sha, "--", *paths).decode().split()
    found = git.commits(call.repository.path, *names, limit=1000, walk=False) if names else []
    return call.page(found, lambda one: shapes.commit(call.world, call.repository, one))


def commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}"""
    one = _one(call, call.params["ref"])
    empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    files = git.changed_files(call.repository.path, one.parents[0] if one.parents else empty, one.sha)
    added, removed = sum(file.additions for file in files), sum(file.deletions for file in files)
    body = shapes.commit(call.world, call.repository, one)
    body["stats"] = {"additions": added, "deletions": removed, "total": added + removed}
    body["files"] = [shapes.file(call.world, call.repository, one.sha, file) for file in files[:300]]
    return Answer(200, body)


def git_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/commits/{commit_sha}"""
    sha = git.resolve(call.repository.path, call.params["commit_sha"])
    if sha is None:
        raise not_found()
    return Answer(200, shapes.git_commit(call.world, call.repository, git.commits(call.repository.path, sha, limit=1)[0]))


def git_ref(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/ref/{ref}"""
    name = f"refs/{call.params['ref']}"
    sha = git.ask(call.repository.path, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
    if not sha:
        raise not_found()
    api = shapes.api_of(call.world, call.repository)
    target = {"type": "commit", "sha": sha, "url": f"{api}/git/commits/{sha}"}
    return Answer(200, {"ref": name, "node_id": f"REF_{sha}", "url": f"{api}/git/{name}", "object": target})


def compare(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/compare/{basehead}: three dots, at most 250 commits and 300 files"""
    left, dots, right = call.params["basehead"].partition("...")
    if not dots:
        raise not_found()
    repository, world = call.repository, call.world
    base, head = git.resolve(repository.path, left), git.resolve(repository.path, right)
    root = git.merge_base(repository.path, base, head) if base and head else None
    if base is None or head is None or root is None:
        raise not_found()
    ahead = git.commits(repository.path, head, f"^{base}", limit=10000)[::-1]
    behind = int(git.ask(repository.path, "rev-list", "--count", f"{head}..{base}") or 0)
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind", (False, False): "identical"}[
        bool(ahead), bool(behind)
    ]
    here = f"{shapes.api_of(world, repository)}/compare/{left}...{right}"
    html = f"{shapes.html_of(world, repository)}/compare/{left}...{right}"
    body = {
        "url": here,
        "html_url": html,
        "permalink_url": f"{shapes.html_of(world, repository)}/compare/{base}...{head}",
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": shapes.commit(world, repository, git.commits(repository.path, base, limit=1)[0]),
        "merge_base_commit": shapes.commit(world, repository, git.commits(repository.path, root, limit=1)[0]),
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": behind,
        "total_commits": len(ahead),
        "commits": [shapes.commit(world, repository, one) for one in ahead[:250]],
        "files": [shapes.file(world, repository, head, one) for one in git.changed_files(repository.path, root, head)[:300]],
    }
    return Answer(200, body)


def contents(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/contents/{path}: a file with its content, or the entries of a directory"""
    repository, world = call.repository, call.world
    path = call.params.get("path", "").strip("/")
    revision = git.resolve(repository.path, call.query.get("ref", repository.default_branch))
    found = git.read(repository.path, revision, path) if revision else None
    if revision is None or found is None:
        raise not_found()
    kind, sha, data = found
    ref = call.query.get("ref", repository.default_branch)
    if kind == "tree":
        entries = []
        for line in data.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            facts, _, name = line.partition("\t")
            _, entry_kind, entry_sha, size = facts.split()
            where = f"{path}/{name}" if path else name
            entries.append(_entry(world, repository, where, entry_kind, entry_sha, 0 if size == "-" else int(size), ref))
        return Answer(200, entries)
    if "raw" in call.headers.get("accept", ""):
        return Answer(200, data, {"Content-Type": "application/vnd.github.raw; charset=utf-8"})
    drawn = _entry(world, repository, path, kind, sha, len(data), ref)
    whole = len(data) <= 1_000_000
    return Answer(200, drawn | {"encoding": "base64" if whole else "none", "content": base64.encodebytes(data).decode() if whole else ""})


def _entry(world: World, repository: Repository, path: str, kind: str, sha: str, size: int, ref: str) -> dict[str, Any]:
    api, html = shapes.api_of(world, repository), shapes.html_of(world, repository)
    file = kind == "blob"
    here = f"{api}/contents/{path}?ref={ref}"
    object_url = f"{api}/git/{'blobs' if file else 'trees'}/{sha}"
    page = f"{html}/{'blob' if file else 'tree'}/{ref}/{path}"
    return {
        "type": "file" if file else "dir",
        "size": size,
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "url": here,
        "git_url": object_url,
        "html_url": page,
        "download_url": f"{html}/raw/{ref}/{path}" if file else None,
        "_links": {"self": here, "git": object_url, "html": page},
    }


def _collaborator(world: World, repository: Repository, account: User) -> dict[str, Any]:
    role = repository.role_of(account.login)
    held = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
    rights = {name: ROLES.index(role) >= ROLES.index(least) for name, least in held.items()}
    return shapes.user(world, account) | {"permissions": rights, "role_name": role}


def collaborators(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/collaborators"""
    logins = [login for login, role in call.repository.roles.items() if role != "none"]
    accounts = [call.world.user(login) for login in logins]
    if call.repository.owner.kind == "User":
        accounts.insert(0, call.repository.owner)
    return call.page(accounts, lambda account: _collaborator(call.world, call.repository, account))


def permission(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/collaborators/{username}/permission: maintain counts as write, triage as read; `role_name` is exact"""
    account = call.world.users.get(call.params["username"].lower())
    if account is None or account.kind == "Organization":
        raise Refusal(404, f"{call.params['username']} is not a user")
    role = call.repository.role_of(account.login)
    drawn = _collaborator(call.world, call.repository, account)
    return Answer(200, {"permission": _COARSE[role], "role_name": role, "user": drawn})


def user(call: Call) -> Answer:
    """GET /users/{username}: the public side of an account"""
    account = call.world.users.get(call.params["username"].lower())
    if account is None:
        raise not_found()
    made = "2020-01-01T00:00:00Z"
    nothing = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    return Answer(200, shapes.user(call.world, account) | nothing | counts | {"created_at": made, "updated_at": made})


def organization(call: Call) -> Answer:
    """GET /orgs/{org}"""
    account = call.world.users.get(call.params["org"].lower())
    if account is None or account.kind != "Organization":
        raise not_found()
    return Answer(200, shapes.organization_full(call.world, account))


def organization_repositories(call: Call) -> Answer:
    """GET /orgs/{org}/repos: the public ones, and those the caller's installation reaches"""
    login = call.params["org"].lower()
    token = call.actor.token
    inst = call.actor.installation
    found = [
        repo
        for repo in call.world.repositories.values()
        if repo.owner.login.lower() == login
        and (not repo.private or (token is not None and inst is not None and call.world.covers(inst, repo)))
    ]
    return call.page(found, lambda repo: shapes.repository(call.world, repo))


def member(call: Call) -> Answer:
    """GET /orgs/{org}/members/{username}: 204 or 404"""
    account = call.world.users.get(call.params["org"].lower())
    if account is None or call.params["username"] not in account.members:
        raise not_found()
    return Answer(204)


def team_member(call: Call) -> Answer:
    """GET /orgs/{org}/teams/{team_slug}/memberships/{username}: also of those who were only invited"""
    account = call.world.users.get(call.params["org"].lower())
    team = account.teams.get(call.params["team_slug"]) if account is not None else None
    state = {login.lower(): value for login, value in (team or {}).items()}.get(call.params["username"].lower())
    if account is None or state is None:
        raise not_found()
    here = f"{call.world.url}/orgs/{account.login}/teams/{call.params['team_slug']}/memberships/{call.params['username']}"
    return Answer(200, {"url": here, "role": "member", "state": state})


_HERE = "/repos/{owner}/{repo}"
_READ = ("contents:read",)
ROUTES = (
    Route("GET", f"{_HERE}/branches", branches, _READ),
    Route("GET", f"{_HERE}/branches/{{branch+}}", branch, _READ),
    Route("GET", f"{_HERE}/commits", commits, _READ),
    Route("GET", f"{_HERE}/commits/{{ref+}}", commit, _READ),
    Route("GET", f"{_HERE}/git/commits/{{commit_sha}}", git_commit, _READ),
    Route("GET", f"{_HERE}/git/ref/{{ref+}}", git_ref, _READ),
    Route("GET", f"{_HERE}/compare/{{basehead+}}", compare, _READ),
    Route("GET", f"{_HERE}/contents", contents, _READ),
    Route("GET", f"{_HERE}/contents/", contents, _READ),
    Route("GET", f"{_HERE}/contents/{{path+}}", contents, _READ),
    Route("GET", f"{_HERE}/collaborators", collaborators, ("metadata:read",)),
    Route("GET", f"{_HERE}/collaborators/{{username}}/permission", permission, ("metadata:read",)),
    Route("GET", _HERE, show, ("metadata:read",)),
    Route("GET", "/users/{username}", user),
    Route("GET", "/orgs/{org}", organization),
    Route("GET", "/orgs/{org}/repos", organization_repositories),
    Route("GET", "/orgs/{org}/members/{username}", member, ("members:read",)),
    Route("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", team_member, ("members:read",)),
)
