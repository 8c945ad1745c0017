"""The nouns as GitHub draws them in JSON, each with every field its own description requires."""

from __future__ import annotations

import base64
from typing import Any

from bot.demo.standin import git
from bot.demo.standin.state import (
    App,
    Artifact,
    CheckRun,
    CheckSuite,
    Comment,
    Delivery,
    Environment,
    Installation,
    Job,
    Label,
    Pull,
    Reaction,
    Repository,
    Review,
    Ruleset,
    Status,
    User,
    WorkflowRun,
    World,
    stamp,
)

Json = dict[str, Any]

_USER_URLS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}

_REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def node_id(kind: str, number: int) -> str:
    """An opaque id, as GraphQL knows the thing."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


def user(world: World, account: User) -> Json:
    """`simple-user`."""
    api = f"{world.url}/users/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("User", account.id),
        "avatar_url": f"{world.url}/avatars/u/{account.id}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{world.url}/{account.login}",
        **{name: api + tail for name, tail in _USER_URLS.items()},
        "type": account.kind,
        "site_admin": False,
    }


def organization(world: World, account: User) -> Json:
    """`organization-simple`."""
    api = f"{world.url}/orgs/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("Organization", account.id),
        "url": api,
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events",
        "hooks_url": f"{api}/hooks",
        "issues_url": f"{api}/issues",
        "members_url": f"{api}/members{{/member}}",
        "public_members_url": f"{api}/public_members{{/member}}",
        "avatar_url": f"{world.url}/avatars/u/{account.id}",
        "description": None,
    }


def organization_full(world: World, account: User) -> Json:
    """`organization-full`."""
    made = "2020-01-01T00:00:00Z"
    return organization(world, account) | {
        "html_url": f"{world.url}/{account.login}",
        "name": account.login,
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "type": "Organization",
        "created_at": made,
        "updated_at": made,
        "archived_at": None,
    }


def api_of(world: World, repository: Repository) -> str:
    """The address of a repository in the API."""
    return f"{world.url}/repos/{repository.full_name}"


def html_of(world: World, repository: Repository) -> str:
    """The address of a repository for people."""
    return f"{world.url}/{repository.full_name}"


def repository_lite(world: World, repo: Repository) -> Json:
    """`minimal-repository` with nothing it may leave out: what runs and suites carry."""
    api = api_of(world, repo)
    return {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": user(world, repo.owner),
        "private": repo.private,
        "html_url": html_of(world, repo),
        "description": None,
        "fork": repo.parent is not None,
        "url": api,
        **{name: api + tail for name, tail in _REPOSITORY_URLS.items()},
    }


def repository(world: World, repo: Repository) -> Json:
    """`repository`."""
    html = html_of(world, repo)
    open_pulls = sum(1 for pull in repo.pulls.values() if pull.state == "open")
    made = stamp(repo.created_at)
    return repository_lite(world, repo) | {
        "visibility": "private" if repo.private else "public",
        "git_url": f"{html}.git",
        "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "forks": 0,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers": 0,
        "watchers_count": 0,
        "size": 0,
        "default_branch": repo.default_branch,
        "open_issues": open_pulls,
        "open_issues_count": open_pulls,
        "topics": [],
        "has_issues": True,
        "has_projects": True,
        "has_wiki": False,
        "has_pages": False,
        "has_downloads": True,
        "has_discussions": False,
        "archived": False,
        "disabled": False,
        "is_template": False,
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "pushed_at": made,
        "created_at": made,
        "updated_at": made,
    }


def repository_full(world: World, repo: Repository) -> Json:
    """`full-repository`: what asking for one repository answers."""
    drawn = repository(world, repo) | {"subscribers_count": 0, "network_count": 0}
    if repo.parent is not None:
        drawn |= {"parent": repository(world, repo.parent), "source": repository(world, repo.parent)}
    return drawn


def repository_in_event(world: World, repo: Repository) -> Json:
    """The repository as installation events list it."""
    return {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
    }


def app(world: World, one: App) -> Json:
    """`integration`."""
    return {
        "id": one.id,
        "slug": one.slug,
        "client_id": one.client_id,
        "node_id": node_id("App", one.id),
        "owner": user(world, one.owner),
        "name": one.name,
        "description": None,
        "external_url": f"{world.url}/apps/{one.slug}",
        "html_url": f"{world.url}/apps/{one.slug}",
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "permissions": one.permissions,
        "events": list(one.events),
    }


def installation(world: World, one: Installation) -> Json:
    """`installation`."""
    account = user(world, one.account)
    organisation = one.account.kind == "Organization"
    place = f"organizations/{one.account.login}/settings" if organisation else "settings"
    return {
        "id": one.id,
        "client_id": one.app.client_id,
        "account": account,
        "repository_selection": "all" if one.repositories is None else "selected",
        "access_tokens_url": f"{world.url}/app/installations/{one.id}/access_tokens",
        "repositories_url": f"{world.url}/installation/repositories",
        "html_url": f"{world.url}/{place}/installations/{one.id}",
        "app_id": one.app.id,
        "app_slug": one.app.slug,
        "target_id": one.account.id,
        "target_type": one.account.kind,
        "permissions": one.permissions,
        "events": list(one.events),
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": user(world, one.account) if one.suspended_at else None,
        "suspended_at": stamp(one.suspended_at) if one.suspended_at else None,
    }


def label(world: World, repo: Repository, one: Label) -> Json:
    """`label`."""
    return {
        "id": one.id,
        "node_id": node_id("Label", one.id),
        "url": f"{api_of(world, repo)}/labels/{one.name.replace(' ', '%20')}",
        "name": one.name,
        "description": one.description,
        "color": one.color,
        "default": False,
    }


def association(repo: Repository, account: User) -> str:
    """`author_association` as the API gives it: by what is publicly known of the account, not by its role."""
    if account.login == repo.owner.login:
        return "OWNER"
    if account.login in repo.owner.members:
        return "MEMBER"
    if repo.roles.get(account.login, "none") != "none":
        return "COLLABORATOR"
    merged = any(pull.user is account and pull.merged_at for pull in repo.pulls.values())
    return "CONTRIBUTOR" if merged else "NONE"


def _links(**places: str) -> Json:
    return {name: {"href": place} for name, place in places.items()}


def _side(world: World, repo: Repository | None, ref: str, sha: str, owner: User) -> Json:
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(world, owner),
        "repo": repository(world, repo) if repo else None,
    }


def pull_simple(world: World, pull: Pull) -> Json:
    """`pull-request-simple`: an entry of a list."""
    repo = pull.repository
    api, html = api_of(world, repo), f"{html_of(world, repo)}/pull/{pull.number}"
    here = f"{api}/pulls/{pull.number}"
    talk = f"{api}/issues/{pull.number}"
    places = {
        "comments_url": f"{talk}/comments",
        "commits_url": f"{here}/commits",
        "review_comments_url": f"{here}/comments",
        "review_comment_url": f"{api}/pulls/comments{{/number}}",
        "statuses_url": f"{api}/statuses/{pull.head_sha}",
    }
    head_owner = pull.head_repository.owner if pull.head_repository else pull.user
    return {
        "url": here,
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": talk,
        **places,
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(world, pull.user),
        "body": pull.body,
        "labels": [label(world, repo, one) for one in pull.labels],
        "milestone": None,
        "active_lock_reason": None,
        "created_at": stamp(pull.created_at),
        "updated_at": stamp(pull.updated_at),
        "closed_at": stamp(pull.closed_at) if pull.closed_at else None,
        "merged_at": stamp(pull.merged_at) if pull.merged_at else None,
        "merge_commit_sha": pull.merge_commit,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": _side(world, pull.head_repository, pull.head_ref, pull.head_sha, head_owner),
        "base": _side(world, repo, pull.base_ref, pull.base_sha, repo.owner),
        "_links": _links(
            comments=places["comments_url"],
            commits=places["commits_url"],
            statuses=places["statuses_url"],
            html=html,
            issue=talk,
            review_comments=places["review_comments_url"],
            review_comment=places["review_comment_url"],
            self=here,
        ),
        "author_association": association(repo, pull.user),
        "auto_merge": None,
        "draft": pull.draft,
    }


def pull_full(world: World, pull: Pull) -> Json:
    """`pull-request`: one asked for by its number, and what events carry."""
    directory = pull.repository.path
    base = git.merge_base(directory, pull.base_sha, pull.head_sha)
    files = git.changed_files(directory, base, pull.head_sha) if base else []
    ahead = git.ask(directory, "rev-list", "--count", f"{pull.base_sha}..{pull.head_sha}")
    comments = sum(1 for comment in pull.repository.comments.values() if comment.number == pull.number)
    mergeable = pull.mergeable if pull.state == "open" else None
    return pull_simple(world, pull) | {
        "merged": pull.merged_at is not None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": {True: "clean", False: "dirty", None: "unknown"}[mergeable],
        "merged_by": user(world, pull.merged_by) if pull.merged_by else None,
        "comments": comments,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": int(ahead or 0),
        "additions": sum(file.additions for file in files),
        "deletions": sum(file.deletions for file in files),
        "changed_files": len(files),
    }


def pull_minimal(world: World, pull: Pull) -> Json:
    """`pull-request-minimal`: the mention in check runs and suites."""

    def side(repo: Repository, ref: str, sha: str) -> Json:
        return {"ref": ref, "sha": sha, "repo": {"id": repo.id, "url": api_of(world, repo), "name": repo.name}}

    return {
        "id": pull.id,
        "number": pull.number,
        "url": f"{api_of(world, pull.repository)}/pulls/{pull.number}",
        "head": side(pull.head_repository or pull.repository, pull.head_ref, pull.head_sha),
        "base": side(pull.repository, pull.base_ref, pull.base_sha),
    }


def pulls_of(world: World, repo: Repository, sha: str) -> list[Json]:
    """The open pull requests of that head. Those from forks are left out, as GitHub leaves them out."""
    return [
        pull_minimal(world, pull)
        for pull in repo.pulls.values()
        if pull.head_sha == sha and pull.state == "open" and pull.head_repository is repo
    ]


def file(world: World, repo: Repository, head: str, one: git.FileFacts) -> Json:
    """`diff-entry`."""
    html = html_of(world, repo)
    drawn: Json = {
        "sha": one.blob,
        "filename": one.path,
        "status": one.status,
        "additions": one.additions,
        "deletions": one.deletions,
        "changes": one.additions + one.deletions,
        "blob_url": f"{html}/blob/{head}/{one.path}",
        "raw_url": f"{html}/raw/{head}/{one.path}",
        "contents_url": f"{api_of(world, repo)}/contents/{one.path}?ref={head}",
    }
    if one.patch is not None:
        drawn["patch"] = one.patch
    if one.previous is not None:
        drawn["previous_filename"] = one.previous
    return drawn


def _person(name: str, email: str, when: str) -> Json:
    return {"name": name, "email": email, "date": stamp(float(when))}


_UNSIGNED: Json = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def _account_of(world: World, email: str) -> Json | None:
    """The account an address belongs to: the login in a noreply address, otherwise nobody."""
    local, _, host = email.partition("@")
    login = local.rpartition("+")[2]
    known = world.users.get(login.lower()) if host == "users.noreply.github.com" else None
    return user(world, known) if known else None


def commit(world: World, repo: Repository, one: git.CommitFacts) -> Json:
    """`commit`: a commit with the accounts that stand behind it."""
    api, html = api_of(world, repo), html_of(world, repo)
    return {
        "url": f"{api}/commits/{one.sha}",
        "sha": one.sha,
        "node_id": f"C_{one.sha}",
        "html_url": f"{html}/commit/{one.sha}",
        "comments_url": f"{api}/commits/{one.sha}/comments",
        "commit": {
            "url": f"{api}/git/commits/{one.sha}",
            "author": _person(one.author_name, one.author_email, one.author_date),
            "committer": _person(one.committer_name, one.committer_email, one.committer_date),
            "message": one.message,
            "comment_count": 0,
            "tree": {"sha": one.tree, "url": f"{api}/git/trees/{one.tree}"},
            "verification": _UNSIGNED,
        },
        "author": _account_of(world, one.author_email),
        "committer": _account_of(world, one.committer_email),
        "parents": [{"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in one.parents],
    }


def git_commit(world: World, repo: Repository, one: git.CommitFacts) -> Json:
    """`git-commit`: the object itself."""
    api, html = api_of(world, repo), html_of(world, repo)
    return {
        "sha": one.sha,
        "node_id": f"C_{one.sha}",
        "url": f"{api}/git/commits/{one.sha}",
        "html_url": f"{html}/commit/{one.sha}",
        "author": _person(one.author_name, one.author_email, one.author_date),
        "committer": _person(one.committer_name, one.committer_email, one.committer_date),
        "message": one.message,
        "tree": {"sha": one.tree, "url": f"{api}/git/trees/{one.tree}"},
        "parents": [{"sha": sha, "url": f"{api}/git/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in one.parents],
        "verification": _UNSIGNED,
    }


def commit_in_event(world: World, repo: Repository, one: git.CommitFacts) -> Json:
    """The commit as a push event carries it."""
    return {
        "id": one.sha,
        "tree_id": one.tree,
        "distinct": True,
        "message": one.message,
        "timestamp": stamp(float(one.committer_date)),
        "url": f"{html_of(world, repo)}/commit/{one.sha}",
        "author": {"name": one.author_name, "email": one.author_email},
        "committer": {"name": one.committer_name, "email": one.committer_email},
        "added": [],
        "removed": [],
        "modified": [],
    }


def simple_commit(repo: Repository, sha: str) -> Json:
    """`simple-commit`: the head of a suite or a run."""
    one = git.commits(repo.path, sha, limit=1)[0]
    return {
        "id": one.sha,
        "tree_id": one.tree,
        "message": one.message,
        "timestamp": stamp(float(one.committer_date)),
        "author": {"name": one.author_name, "email": one.author_email},
        "committer": {"name": one.committer_name, "email": one.committer_email},
    }


def reactions(world: World, url: str, given: list[Reaction]) -> Json:
    """The counts beside a comment."""
    names = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")
    counts = {name: sum(1 for one in given if one.content == name) for name in names}
    return {"url": f"{url}/reactions", "total_count": len(given), **counts}


def reaction(world: World, one: Reaction) -> Json:
    """`reaction`."""
    return {
        "id": one.id,
        "node_id": node_id("Reaction", one.id),
        "user": user(world, one.user),
        "content": one.content,
        "created_at": stamp(one.created_at),
    }


def comment(world: World, repo: Repository, one: Comment) -> Json:
    """`issue-comment`."""
    api = api_of(world, repo)
    here = f"{api}/issues/comments/{one.id}"
    return {
        "id": one.id,
        "node_id": node_id("IssueComment", one.id),
        "url": here,
        "html_url": f"{html_of(world, repo)}/pull/{one.number}#issuecomment-{one.id}",
        "issue_url": f"{api}/issues/{one.number}",
        "user": user(world, one.user),
        "body": one.body,
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
        "author_association": association(repo, one.user),
        "reactions": reactions(world, here, one.reactions),
        "performed_via_github_app": app(world, one.app) if one.app else None,
    }


def conversation(world: World, pull: Pull) -> Json:
    """`issue`: the conversation side of a pull request, as comment events carry it."""
    repo = pull.repository
    api, html = api_of(world, repo), f"{html_of(world, repo)}/pull/{pull.number}"
    here = f"{api}/issues/{pull.number}"
    return {
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "url": here,
        "repository_url": api,
        "labels_url": f"{here}/labels{{/name}}",
        "comments_url": f"{here}/comments",
        "events_url": f"{here}/events",
        "html_url": html,
        "number": pull.number,
        "state": pull.state,
        "state_reason": None,
        "title": pull.title,
        "body": pull.body,
        "user": user(world, pull.user),
        "labels": [label(world, repo, one) for one in pull.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "comments": sum(1 for one in repo.comments.values() if one.number == pull.number),
        "closed_at": stamp(pull.closed_at) if pull.closed_at else None,
        "created_at": stamp(pull.created_at),
        "updated_at": stamp(pull.updated_at),
        "author_association": association(repo, pull.user),
        "reactions": reactions(world, here, pull.reactions),
        "performed_via_github_app": None,
        "draft": pull.draft,
        "pull_request": {
            "url": f"{api}/pulls/{pull.number}",
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "merged_at": stamp(pull.merged_at) if pull.merged_at else None,
        },
    }


def review(world: World, pull: Pull, one: Review) -> Json:
    """`pull-request-review`."""
    here = f"{api_of(world, pull.repository)}/pulls/{pull.number}"
    html = f"{html_of(world, pull.repository)}/pull/{pull.number}#pullrequestreview-{one.id}"
    return {
        "id": one.id,
        "node_id": node_id("PullRequestReview", one.id),
        "user": user(world, one.user),
        "body": one.body,
        "state": one.state,
        "html_url": html,
        "pull_request_url": here,
        "_links": _links(html=html, pull_request=here),
        "submitted_at": stamp(one.submitted_at),
        "commit_id": one.commit,
        "author_association": association(pull.repository, one.user),
    }


def suite_outcome(repo: Repository, suite: CheckSuite) -> tuple[str, str | None]:
    """Status and conclusion of a suite: that of the worst of its newest runs."""
    newest: dict[str, CheckRun] = {}
    for run in repo.check_runs.values():
        if run.suite is suite:
            newest[run.name] = run
    runs = list(newest.values())
    if not runs:
        return "queued", None
    if any(run.status != "completed" for run in runs):
        return ("in_progress" if any(run.status != "queued" for run in runs) else "queued"), None
    order = ("failure", "timed_out", "action_required", "cancelled", "success", "neutral", "skipped")
    return "completed", min((run.conclusion or "neutral" for run in runs), key=order.index)


def suite(world: World, repo: Repository, one: CheckSuite) -> Json:
    """`check-suite`."""
    here = f"{api_of(world, repo)}/check-suites/{one.id}"
    status, conclusion = suite_outcome(repo, one)
    runs = [run for run in repo.check_runs.values() if run.suite is one]
    parents = git.commits(repo.path, one.head_sha, limit=1)[0].parents
    return {
        "id": one.id,
        "node_id": node_id("CheckSuite", one.id),
        "head_branch": one.head_branch,
        "head_sha": one.head_sha,
        "status": status if one.requested else "queued",
        "conclusion": conclusion if one.requested else None,
        "url": here,
        "before": parents[0] if parents else "0" * 40,
        "after": one.head_sha,
        "pull_requests": pulls_of(world, repo, one.head_sha),
        "app": app(world, one.app),
        "repository": repository_lite(world, repo),
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
        "head_commit": simple_commit(repo, one.head_sha),
        "latest_check_runs_count": len({run.name for run in runs}),
        "check_runs_url": f"{here}/check-runs",
        "rerequestable": True,
        "runs_rerequestable": True,
    }


def check_run(world: World, repo: Repository, one: CheckRun) -> Json:
    """`check-run`."""
    here = f"{api_of(world, repo)}/check-runs/{one.id}"
    html = f"{html_of(world, repo)}/runs/{one.id}"
    return {
        "id": one.id,
        "head_sha": one.head_sha,
        "node_id": node_id("CheckRun", one.id),
        "external_id": one.external_id or "",
        "url": here,
        "html_url": html,
        "details_url": one.details_url or f"{world.url}/apps/{one.app.slug}",
        "status": one.status,
        "conclusion": one.conclusion,
        "started_at": one.started_at,
        "completed_at": one.completed_at,
        "output": {
            "title": one.title,
            "summary": one.summary,
            "text": one.text,
            "annotations_count": len(one.annotations),
            "annotations_url": f"{here}/annotations",
        },
        "name": one.name,
        "check_suite": {"id": one.suite.id},
        "app": app(world, one.app),
        "pull_requests": pulls_of(world, repo, one.head_sha),
    }


def annotation(world: World, repo: Repository, sha: str, one: Json) -> Json:
    """`check-annotation`."""
    names = ("path", "start_line", "end_line", "start_column", "end_column", "annotation_level", "title", "message", "raw_details")
    return {name: one.get(name) for name in names} | {"blob_href": f"{html_of(world, repo)}/blob/{sha}/{one['path']}"}


def status(world: World, repo: Repository, one: Status) -> Json:
    """`status`, and with less in it `simple-commit-status`."""
    return {
        "url": f"{api_of(world, repo)}/statuses/{one.sha}",
        "avatar_url": f"{world.url}/avatars/u/{one.creator.id}",
        "id": one.id,
        "node_id": node_id("StatusContext", one.id),
        "state": one.state,
        "description": one.description,
        "target_url": one.target_url,
        "context": one.context,
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "creator": user(world, one.creator),
    }


def run(world: World, repo: Repository, one: WorkflowRun) -> Json:
    """`workflow-run`."""
    api = api_of(world, repo)
    here = f"{api}/actions/runs/{one.id}"
    fork = one.head_repository is not repo
    return {
        "id": one.id,
        "name": one.name,
        "node_id": node_id("WorkflowRun", one.id),
        "check_suite_id": one.suite.id,
        "check_suite_node_id": node_id("CheckSuite", one.suite.id),
        "head_branch": one.head_branch,
        "head_sha": one.head_sha,
        "path": one.path,
        "run_number": one.number,
        "run_attempt": one.attempt,
        "event": one.event,
        "status": one.status,
        "conclusion": one.conclusion,
        "workflow_id": one.workflow_id,
        "url": here,
        "html_url": f"{html_of(world, repo)}/actions/runs/{one.id}",
        "pull_requests": [] if fork else pulls_of(world, repo, one.head_sha),
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
        "run_started_at": stamp(one.created_at),
        "actor": user(world, one.actor),
        "triggering_actor": user(world, one.actor),
        "jobs_url": f"{here}/jobs",
        "logs_url": f"{here}/logs",
        "check_suite_url": f"{api}/check-suites/{one.suite.id}",
        "artifacts_url": f"{here}/artifacts",
        "cancel_url": f"{here}/cancel",
        "rerun_url": f"{here}/rerun",
        "previous_attempt_url": f"{here}/attempts/{one.attempt - 1}" if one.attempt > 1 else None,
        "workflow_url": f"{api}/actions/workflows/{one.workflow_id}",
        "head_commit": simple_commit(repo, one.head_sha),
        "repository": repository_lite(world, repo),
        "head_repository": repository_lite(world, one.head_repository),
        "display_title": one.name,
        "referenced_workflows": [],
    }


def job(world: World, repo: Repository, parent: WorkflowRun, one: Job) -> Json:
    """`job`."""
    api = api_of(world, repo)
    finished = stamp(one.started_at) if one.status == "completed" else None
    return {
        "id": one.id,
        "run_id": parent.id,
        "run_url": f"{api}/actions/runs/{parent.id}",
        "run_attempt": parent.attempt,
        "node_id": node_id("Job", one.id),
        "head_sha": parent.head_sha,
        "head_branch": parent.head_branch,
        "url": f"{api}/actions/jobs/{one.id}",
        "html_url": f"{html_of(world, repo)}/actions/runs/{parent.id}/job/{one.id}",
        "status": one.status,
        "conclusion": one.conclusion,
        "created_at": stamp(one.started_at),
        "started_at": stamp(one.started_at),
        "completed_at": finished,
        "name": one.name,
        "steps": [],
        "check_run_url": f"{api}/check-runs/{one.check_run.id}",
        "labels": ["ubuntu-latest"],
        "runner_id": 1,
        "runner_name": "GitHub Actions 1",
        "runner_group_id": 1,
        "runner_group_name": "GitHub Actions",
        "workflow_name": parent.name,
    }


def artifact(world: World, repo: Repository, parent: WorkflowRun, one: Artifact) -> Json:
    """`artifact`."""
    here = f"{api_of(world, repo)}/actions/artifacts/{one.id}"
    return {
        "id": one.id,
        "node_id": node_id("Artifact", one.id),
        "name": one.name,
        "size_in_bytes": len(one.archive),
        "url": here,
        "archive_download_url": f"{here}/zip",
        "expired": one.expired,
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "expires_at": stamp(one.created_at + 90 * 86400),
        "workflow_run": {
            "id": parent.id,
            "repository_id": repo.id,
            "head_repository_id": parent.head_repository.id,
            "head_branch": parent.head_branch,
            "head_sha": parent.head_sha,
        },
    }


def environment(world: World, repo: Repository, one: Environment) -> Json:
    """`environment`."""
    return {
        "id": one.id,
        "node_id": node_id("Environment", one.id),
        "name": one.name,
        "url": f"{api_of(world, repo)}/environments/{one.name}",
        "html_url": f"{html_of(world, repo)}/deployments/activity_log?environments_filter={one.name}",
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "can_admins_bypass": one.can_admins_bypass,
        "protection_rules": one.protection_rules,
        "deployment_branch_policy": one.branch_policy,
    }


def ruleset(world: World, repo: Repository, one: Ruleset, *, whole: bool, bypass: bool) -> Json:
    """`repository-ruleset`. Who may bypass is drawn only for those who may write rulesets; the rules only when one is asked for."""
    here = f"{api_of(world, repo)}/rulesets/{one.id}"
    drawn: Json = {
        "id": one.id,
        "name": one.name,
        "target": one.target,
        "source_type": one.source_type,
        "source": one.source,
        "enforcement": one.enforcement,
        "node_id": node_id("RepositoryRuleset", one.id),
        "_links": {"self": {"href": here}, "html": {"href": f"{html_of(world, repo)}/rules/{one.id}"}},
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
    }
    if whole:
        drawn |= {
            "conditions": {"ref_name": {"include": one.include, "exclude": one.exclude}},
            "rules": one.rules,
            "current_user_can_bypass": "never",
        }
    if whole and bypass:
        drawn["bypass_actors"] = one.bypass_actors
    return drawn


def delivery(one: Delivery) -> Json:
    """`hook-delivery-item`."""
    return {
        "id": one.id,
        "guid": one.guid,
        "delivered_at": stamp(one.delivered_at),
        "redelivery": one.redelivery,
        "duration": round(one.duration, 3),
        "status": one.status,
        "status_code": one.status_code,
        "event": one.event,
        "action": one.action,
        "installation_id": one.installation_id,
        "repository_id": one.repository_id,
        "throttled_at": None,
    }


def delivery_full(one: Delivery) -> Json:
    """`hook-delivery`."""
    return delivery(one) | {
        "url": one.app.webhook_url or "",
        "request": {"headers": one.request_headers, "payload": one.payload},
        "response": {"headers": one.response_headers, "payload": one.response},
    }
