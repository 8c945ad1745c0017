"""Every request that Interlock makes of GitHub, with the App permission it needs.

The manifest `app.yml` is held against this table by a test. Source of the permissions:
docs.github.com/rest/authentication/permissions-required-for-github-apps
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One request: method, path with its variables, and the permission (name, access); None where none is needed."""

    method: str
    path: str
    permission: tuple[str, str] | None


CALLS: dict[str, Call] = {
    "app": Call("GET", "/app", None),
    "installations": Call("GET", "/app/installations", None),
    "hook-deliveries": Call("GET", "/app/hook/deliveries", None),
    "hook-attempt": Call("POST", "/app/hook/deliveries/{delivery}/attempts", None),
    "installation": Call("GET", "/app/installations/{installation}", None),
    "reached": Call("GET", "/installation/repositories", None),
    "manifest": Call("POST", "/app-manifests/{code}/conversions", None),
    "user": Call("GET", "/user", None),
    "installed-on": Call("GET", "/repos/{owner}/{repo}/installation", None),
    "token": Call("POST", "/app/installations/{installation}/access_tokens", None),
    "pull": Call("GET", "/repos/{owner}/{repo}/pulls/{number}", ("pull_requests", "read")),
    "policy": Call("GET", "/repos/{owner}/{repo}/contents/.github/interlock.yml", ("contents", "read")),
    "repository": Call("GET", "/repos/{owner}/{repo}", ("metadata", "read")),
    "repository-installation": Call("GET", "/repos/{owner}/{repo}/installation", None),
    "protection": Call("GET", "/repos/{owner}/{repo}/branches/{branch}/protection", None),
    "workflow-permissions": Call("GET", "/repos/{owner}/{repo}/actions/permissions/workflow", None),
    "pull-commits": Call("GET", "/repos/{owner}/{repo}/pulls/{number}/commits", ("pull_requests", "read")),
    "team-membership": Call("GET", "/orgs/{org}/teams/{team}/memberships/{user}", ("members", "read")),
    "pulls": Call("GET", "/repos/{owner}/{repo}/pulls", ("pull_requests", "read")),
    "commit-pulls": Call("GET", "/repos/{owner}/{repo}/commits/{sha}/pulls", ("pull_requests", "read")),
    "compare": Call("GET", "/repos/{owner}/{repo}/compare/{base}...{head}", ("contents", "read")),
    "ref": Call("GET", "/repos/{owner}/{repo}/git/ref/{ref}", ("contents", "read")),
    "check-runs": Call("GET", "/repos/{owner}/{repo}/commits/{sha}/check-runs", ("checks", "read")),
    "check-create": Call("POST", "/repos/{owner}/{repo}/check-runs", ("checks", "write")),
    "check-update": Call("PATCH", "/repos/{owner}/{repo}/check-runs/{check}", ("checks", "write")),
    "rules": Call("GET", "/repos/{owner}/{repo}/rules/branches/{branch}", ("metadata", "read")),
    "ruleset": Call("GET", "/repos/{owner}/{repo}/rulesets/{ruleset}", ("metadata", "read")),
    "runs": Call("GET", "/repos/{owner}/{repo}/actions/runs", ("actions", "read")),
    "workflow-runs": Call("GET", "/repos/{owner}/{repo}/actions/workflows/{workflow}/runs", ("actions", "read")),
    "run-jobs": Call("GET", "/repos/{owner}/{repo}/actions/runs/{run}/jobs", ("actions", "read")),
    "run-artifacts": Call("GET", "/repos/{owner}/{repo}/actions/runs/{run}/artifacts", ("actions", "read")),
    "artifact": Call("GET", "/repos/{owner}/{repo}/actions/artifacts/{artifact}/zip", ("actions", "read")),
    # The permission deployments: write is for those who set up such a rule; the manifest does not ask for it.
    "deployment-answer": Call("POST", "/repos/{owner}/{repo}/actions/runs/{run}/deployment_protection_rule", None),
    "environments": Call("GET", "/repos/{owner}/{repo}/environments", ("actions", "read")),
    "comment": Call("GET", "/repos/{owner}/{repo}/issues/comments/{comment}", ("issues", "read")),
    "comments": Call("GET", "/repos/{owner}/{repo}/issues/{number}/comments", ("issues", "read")),
    "comment-create": Call("POST", "/repos/{owner}/{repo}/issues/{number}/comments", ("issues", "write")),
    "comment-update": Call("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment}", ("issues", "write")),
    "reaction-create": Call("POST", "/repos/{owner}/{repo}/issues/comments/{comment}/reactions", ("issues", "write")),
    "label-add": Call("POST", "/repos/{owner}/{repo}/issues/{number}/labels", ("issues", "write")),
    "label-remove": Call("DELETE", "/repos/{owner}/{repo}/issues/{number}/labels/{label}", ("issues", "write")),
    "permission": Call("GET", "/repos/{owner}/{repo}/collaborators/{user}/permission", ("metadata", "read")),
}

HEARD = (("merge_queues", "read"),)
"""Permissions without which GitHub sends no event of that kind."""

CONTENTS = ("contents", "read")
"""What the mirrors need to fetch over git."""
