"""A repository in one's hands: commits, pull requests, reviews, workflow runs, rules. Each call returns when its webhooks were delivered."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bot.demo.standin import deeds, git, hooks, shapes
from bot.demo.standin.areas import checks, pulls
from bot.demo.standin.state import (
    App,
    Artifact,
    CheckRun,
    CheckSuite,
    Comment,
    Delivery,
    Environment,
    Job,
    MergeGroup,
    Pull,
    Repository,
    Review,
    Ruleset,
    User,
    WorkflowRun,
)

if TYPE_CHECKING:
    from bot.demo.standin.driver import StandIn

T = TypeVar("T")


def archive(files: Mapping[str, bytes | str]) -> bytes:
    """A zip archive of the files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


class Repo:
    """A handle on one repository. `state` is what the stand-in remembers of it; logins stand for people."""

    def __init__(self, github: StandIn, state: Repository) -> None:
        self.github = github
        self.state = state
        self._world = github.world

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return self.state.full_name

    @property
    def path(self) -> Path:
        """The bare git directory."""
        return self.state.path

    @property
    def clone_url(self) -> str:
        """Where git finds it."""
        return f"{self.github.url}/{self.full_name}.git"

    def rename(self, name: str, owner: str | None = None) -> None:
        """Give it another name, or transfer it to another owner."""
        state = self.state
        with self._world.lock:
            before_owner, before_name = state.owner, state.name
            del self._world.repositories[state.full_name.lower()]
            state.name = name
            state.owner = self._world.user(owner) if owner else state.owner
            self._world.repositories[state.full_name.lower()] = state
            if owner:
                kind = "organization" if before_owner.kind == "Organization" else "user"
                drawn = shapes.user(self._world, before_owner)
                if kind == "organization":
                    drawn = shapes.organization(self._world, before_owner)
                changes: dict[str, Any] = {"owner": {"from": {kind: drawn}}}
            else:
                changes = {"repository": {"name": {"from": before_name}}}
            action = "transferred" if owner else "renamed"
            told = hooks.emit(self._world, "repository", action, {"changes": changes}, sender=state.owner, repository=state)
        self._done(None, told)

    # Git.

    def sha(self, name: str = "HEAD") -> str:
        """The commit a branch or another name stands for. Raises `LookupError` when there is none."""
        found = git.resolve(self.path, name)
        if found is None:
            raise LookupError(f"{self.full_name} has no {name}")
        return found

    def commit(
        self,
        branch: str,
        files: Mapping[str, bytes | str | None],
        message: str,
        *,
        author: str = "octocat",
        email: str | None = None,
        committer: str | None = None,
        start: str | None = None,
        moment: float | None = None,
        amend: bool = False,
    ) -> str:
        """Push one commit to a branch; its SHA.

        `files` maps paths to contents, None removes one. A new branch starts at `start`, otherwise at the default branch. `author` is a login, or with `email` any name;
        `committer` is a whole `Name <address>`. `amend` puts the commit in place of the branch's last one: a forced push.
        """
        known = self._world.user(author)
        whole = f"{author} <{email or f'{known.id}+{author}@users.noreply.github.com'}>"
        with self._world.lock:
            tip = git.resolve(self.path, f"refs/heads/{branch}")
            parent = tip or git.resolve(self.path, start or self.state.default_branch)
            if tip and amend:
                parent = git.ask(self.path, "rev-parse", "--verify", "--quiet", f"{tip}^")
            when = self._world.now() if moment is None else moment
            sha = git.commit(self.path, branch, files, message, author=whole, committer=committer, moment=when, parent=parent)
            told = deeds.refs_changed(self._world, self.state, known)
        return self._done(sha, told)

    def push(self, branch: str, sha: str | None, by: str = "octocat") -> None:
        """Point a branch at a commit that is already there (a forced push if need be), or remove it with None."""
        with self._world.lock:
            git.update_ref(self.path, f"refs/heads/{branch}", sha)
            told = deeds.refs_changed(self._world, self.state, self._world.user(by))
        self._done(None, told)

    def adopt(self, source: Path, refs: Mapping[str, str], by: str = "octocat") -> None:
        """Push branches of another git directory here: `refs` maps a revision there to a branch here."""
        with self._world.lock:
            for revision, branch in refs.items():
                git.fetch(self.path, source, revision, f"refs/heads/{branch}")
            told = deeds.refs_changed(self._world, self.state, self._world.user(by))
        self._done(None, told)

    # Pull requests.

    def open_pull(
        self, head: str, base: str | None = None, title: str = "", body: str | None = None, author: str = "octocat", *, draft: bool = False
    ) -> Pull:
        """Open a pull request. `head` is a branch, or `owner:branch` of a fork."""
        owner, _, branch = head.rpartition(":")
        with self._world.lock:
            place = self._world.repository(f"{owner}/{self.state.name}") if owner else self.state
            if place is None:
                raise LookupError(f"no fork {owner}/{self.state.name}")
            writer = self._world.user(author)
            base = base or self.state.default_branch
            pull, told = deeds.open_pull(self._world, self.state, place, branch, base, title or branch, body, writer, draft)
        return self._done(pull, told)

    def edit(
        self, pull: Pull, *, by: str | None = None, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> None:
        """Change title, body or base branch."""
        with self._world.lock:
            told = deeds.edit(self._world, pull, self._by(by, pull), title=title, body=body, base=base)
        self._done(None, told)

    def ready(self, pull: Pull, *, draft: bool = False) -> None:
        """Mark a draft as ready, or make it a draft again."""
        with self._world.lock:
            pull.draft, pull.updated_at = draft, self._world.now()
            told = deeds.tell_pull(self._world, pull, "converted_to_draft" if draft else "ready_for_review", pull.user)
        self._done(None, told)

    def close(self, pull: Pull, by: str | None = None) -> None:
        """Close without merging."""
        with self._world.lock:
            told = deeds.close(self._world, pull, self._by(by, pull))
        self._done(None, told)

    def reopen(self, pull: Pull, by: str | None = None) -> None:
        """Open again."""
        with self._world.lock:
            told = deeds.reopen(self._world, pull, self._by(by, pull))
        self._done(None, told)

    def refusals(self, pull: Pull) -> list[str]:
        """What the base branch's rules say against merging now, a line for each required check."""
        with self._world.lock:
            return deeds.unmet(self._world, pull)

    def merge(self, pull: Pull, by: str, *, method: str = "merge", bypass: bool = False) -> str:
        """Merge; the commit it became. Raises `PermissionError` while the rules refuse, unless they are bypassed."""
        with self._world.lock:
            reasons = deeds.unmet(self._world, pull)
            if reasons and not bypass:
                raise PermissionError(" ".join(reasons))
            told = deeds.merge(self._world, pull, self._world.user(by), method)
        return self._done(str(pull.merge_commit), told)

    def approve(self, pull: Pull, by: str, body: str = "", *, state: str = "APPROVED") -> Review:
        """Review a pull request: APPROVED, CHANGES_REQUESTED or COMMENTED."""
        with self._world.lock:
            review, told = pulls.add_review(self._world, pull, self._world.user(by), state, body)
        return self._done(review, told)

    def comment(self, pull: Pull, by: str, body: str) -> Comment:
        """Say something in the conversation."""
        with self._world.lock:
            comment, told = deeds.comment(self._world, pull, self._world.user(by), body)
        return self._done(comment, told)

    def edit_comment(self, comment: Comment, by: str, body: str) -> None:
        """Change what was said."""
        with self._world.lock:
            changes = {"body": {"from": comment.body}}
            comment.body, comment.updated_at = body, self._world.now()
            pull = self.state.pulls[comment.number]
            told = deeds.tell_comment(self._world, pull, comment, "edited", self._world.user(by), changes=changes)
        self._done(None, told)

    def label(self, pull: Pull, name: str, by: str) -> None:
        """Put a label on."""
        with self._world.lock:
            told = deeds.label(self._world, pull, [name], self._world.user(by))
        self._done(None, told)

    def comments(self, pull: Pull) -> list[Comment]:
        """The conversation, oldest first."""
        with self._world.lock:
            return [one for one in self.state.comments.values() if one.number == pull.number]

    # Checks.

    def check_runs(self, sha: str, name: str | None = None) -> list[CheckRun]:
        """The check runs of a commit, oldest first."""
        with self._world.lock:
            return [run for run in deeds.runs_on(self.state, sha) if name in (None, run.name)]

    def check(self, app: App, sha: str, name: str, conclusion: str | None = "success", **fields: Any) -> CheckRun:
        """A check run of another App; without a conclusion it is in progress."""
        outcome = {"status": "completed", "conclusion": conclusion} if conclusion else {"status": "in_progress"}
        with self._world.lock:
            run = checks.record(self._world, self.state, app, {"name": name, "head_sha": sha, **outcome, **fields})
            told = checks.tell(self._world, self.state, run, "created", app.bot)
            told += checks.settled(self._world, self.state, run, "queued", app.bot)
        return self._done(run, told)

    def rerequest(self, run: CheckRun, by: str) -> None:
        """Click on Re-run beside a check run."""
        with self._world.lock:
            run.suite.requested = False
            told = checks.tell(self._world, self.state, run, "rerequested", self._world.user(by))
        self._done(None, told)

    def rerequest_suite(self, suite: CheckSuite, by: str) -> None:
        """Click on Re-run all checks."""
        with self._world.lock:
            suite.requested = False
            told = checks.tell_suite(self._world, self.state, suite, "rerequested", self._world.user(by))
        self._done(None, told)

    def press(self, run: CheckRun, identifier: str, by: str) -> None:
        """Press one of the buttons a check run offers."""
        if identifier not in {action["identifier"] for action in run.actions}:
            raise LookupError(f"{run.name} offers no {identifier}")
        with self._world.lock:
            asked = {"identifier": identifier}
            told = checks.tell(self._world, self.state, run, "requested_action", self._world.user(by), requested_action=asked)
        self._done(None, told)

    # GitHub Actions.

    def run_workflow(
        self,
        path: str,
        event: str,
        head_sha: str,
        jobs: Mapping[str, str | None] | Iterable[str] = ("build",),
        conclusion: str | None = "success",
        artifacts: Mapping[str, Mapping[str, bytes | str] | bytes] | None = None,
        *,
        actor: str = "octocat",
        head_branch: str | None = None,
        head_repository: Repo | None = None,
        name: str | None = None,
    ) -> WorkflowRun:
        """A run of a workflow file, as GitHub Actions would record it. Jobs given as a mapping end each in their own way; `conclusion` None leaves the run in progress."""
        app = self.github.actions
        with self._world.lock:
            world, state = self._world, self.state
            place = head_repository.state if head_repository else state
            branches = [ref.removeprefix("refs/heads/") for ref, tip in place.refs.items() if tip == head_sha]
            branch = head_branch or next(iter(branches), None)
            workflow = state.workflows.setdefault(path, world.id())
            suite = CheckSuite(world.id(), app, checks.commit_of(state, head_sha), branch, world.now(), world.now())
            state.suites[suite.id] = suite
            number = 1 + sum(1 for run in state.runs.values() if run.path == path)
            title = name or path.rpartition("/")[2].rpartition(".")[0]
            user = world.user(actor)
            run = WorkflowRun(
                world.id(),
                workflow,
                title,
                path,
                event,
                head_sha,
                branch,
                place,
                user,
                suite,
                number,
                world.now(),
                world.now(),
                status="in_progress",
            )
            state.runs[run.id] = run
            told = self._tell_run(run, "requested") + self._tell_run(run, "in_progress")
            told += self._attempt(run, dict(jobs) if isinstance(jobs, Mapping) else dict.fromkeys(jobs, conclusion))
            for title, content in (artifacts or {}).items():
                data = content if isinstance(content, bytes) else archive(content)
                run.artifacts.append(Artifact(world.id(), run.id, title, data, world.now()))
            if conclusion:
                told += self._finish(run, conclusion)
        return self._done(run, told)

    def rerun_workflow(self, run: WorkflowRun, conclusion: str = "success") -> WorkflowRun:
        """Run it once more: the same run, the next attempt, new jobs and check runs."""
        with self._world.lock:
            names = dict.fromkeys((job.name for job in run.jobs), conclusion)
            run.attempt, run.status, run.conclusion, run.jobs = run.attempt + 1, "in_progress", None, []
            told = self._tell_run(run, "requested") + self._attempt(run, names) + self._finish(run, conclusion)
        return self._done(run, told)

    def finish_workflow(self, run: WorkflowRun, conclusion: str) -> None:
        """Let a run that is in progress end."""
        with self._world.lock:
            told: list[Delivery] = []
            for job in run.jobs:
                if job.status != "completed":
                    job.status, job.conclusion = "completed", conclusion
                    checks.apply(job.check_run, {"conclusion": conclusion}, self._world.now())
                    told += checks.settled(self._world, self.state, job.check_run, "in_progress", run.actor)
            told += self._finish(run, conclusion)
        self._done(None, told)

    def _attempt(self, run: WorkflowRun, jobs: Mapping[str, str | None]) -> list[Delivery]:
        told: list[Delivery] = []
        for name, conclusion in jobs.items():
            status = "completed" if conclusion else "in_progress"
            check = CheckRun(self._world.id(), run.suite.app, run.suite, name, run.head_sha)
            checks.apply(check, {"status": status, **({"conclusion": conclusion} if conclusion else {})}, self._world.now())
            self.state.check_runs[check.id] = check
            run.jobs.append(Job(self._world.id(), run.id, name, status, conclusion, check, self._world.now()))
            told += checks.tell(self._world, self.state, check, "created", run.actor)
            told += checks.settled(self._world, self.state, check, "queued", run.actor)
        return told

    def _finish(self, run: WorkflowRun, conclusion: str) -> list[Delivery]:
        run.status, run.conclusion, run.updated_at = "completed", conclusion, self._world.now()
        return self._tell_run(run, "completed")

    def _tell_run(self, run: WorkflowRun, action: str) -> list[Delivery]:
        api, html = shapes.api_of(self._world, self.state), shapes.html_of(self._world, self.state)
        workflow = {
            "id": run.workflow_id,
            "node_id": shapes.node_id("Workflow", run.workflow_id),
            "name": run.name,
            "path": run.path,
            "state": "active",
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "url": f"{api}/actions/workflows/{run.workflow_id}",
            "html_url": f"{html}/blob/{self.state.default_branch}/{run.path}",
            "badge_url": f"{html}/workflows/{run.name}/badge.svg",
        }
        body = {"workflow_run": shapes.run(self._world, self.state, run), "workflow": workflow}
        return hooks.emit(self._world, "workflow_run", action, body, sender=run.actor, repository=self.state)

    def environment(
        self,
        name: str,
        *,
        reviewers: Iterable[str] = (),
        wait: int = 0,
        prevent_self_review: bool = False,
        branches: bool = False,
        can_admins_bypass: bool = True,
        gates: Iterable[App] = (),
    ) -> Environment:
        """A deployment environment with its protection rules."""
        with self._world.lock:
            rules: list[dict[str, Any]] = []

            def rule(kind: str, **fields: Any) -> None:
                number = self._world.id()
                rules.append({"id": number, "node_id": shapes.node_id("Gate", number), "type": kind, **fields})

            if wait:
                rule("wait_timer", wait_timer=wait)
            people = [{"type": "User", "reviewer": shapes.user(self._world, self._world.user(login))} for login in reviewers]
            if people:
                rule("required_reviewers", prevent_self_review=prevent_self_review, reviewers=people)
            if branches:
                rule("branch_policy")
            for app in gates:
                rule(app.slug)
            policy = {"protected_branches": True, "custom_branch_policies": False} if branches else None
            made = Environment(self._world.id(), name, rules, policy, can_admins_bypass, self._world.now())
            self.state.environments[name] = made
            return made

    def request_deployment(self, run: WorkflowRun, environment: str, app: App) -> None:
        """Let a job of a run wait at the App's deployment protection rule."""
        with self._world.lock:
            api = shapes.api_of(self._world, self.state)
            number, creator = self._world.id(), shapes.user(self._world, run.actor)
            here = f"{api}/deployments/{number}"
            moment = "2020-01-01T00:00:00Z"
            deployment = {
                "url": here,
                "id": number,
                "node_id": shapes.node_id("Deployment", number),
                "sha": run.head_sha,
                "ref": run.head_branch or run.head_sha,
                "task": "deploy",
                "payload": {},
                "original_environment": environment,
                "environment": environment,
                "description": None,
                "creator": creator,
                "created_at": moment,
                "updated_at": moment,
                "statuses_url": f"{here}/statuses",
                "repository_url": api,
            }
            body = {
                "environment": environment,
                "event": run.event,
                "sha": run.head_sha,
                "ref": f"refs/heads/{run.head_branch}",
                "deployment_callback_url": f"{api}/actions/runs/{run.id}/deployment_protection_rule",
                "deployment": deployment,
                "pull_requests": [
                    shapes.pull_simple(self._world, one) for one in self.state.pulls.values() if one.head_sha == run.head_sha
                ],
            }
            told = hooks.emit(
                self._world, "deployment_protection_rule", "requested", body, sender=run.actor, repository=self.state, owner=app
            )
        self._done(None, told)

    # Rules.

    def protect(
        self, branch: str | None = None, checks: Iterable[tuple[str, int | None]] = (), *, enforce_admins: bool = False, reviews: int = 0
    ) -> None:
        """Classic protection of a branch: required checks as (name, app or None for any source)."""
        branch = branch or self.state.default_branch
        here = f"{shapes.api_of(self._world, self.state)}/branches/{branch}/protection"
        asked = list(checks)
        made: dict[str, Any] = {
            "url": here,
            "enforce_admins": {"url": f"{here}/enforce_admins", "enabled": enforce_admins},
            "required_linear_history": {"enabled": False},
            "allow_force_pushes": {"enabled": False},
            "allow_deletions": {"enabled": False},
        }
        if asked:
            made["required_status_checks"] = {
                "url": f"{here}/required_status_checks",
                "strict": False,
                "contexts": [name for name, _ in asked],
                "contexts_url": f"{here}/required_status_checks/contexts",
                "checks": [{"context": name, "app_id": app} for name, app in asked],
            }
        if reviews:
            made["required_pull_request_reviews"] = {
                "url": f"{here}/required_pull_request_reviews",
                "dismiss_stale_reviews": False,
                "require_code_owner_reviews": False,
                "required_approving_review_count": reviews,
                "require_last_push_approval": False,
            }
        with self._world.lock:
            self.state.protections[branch] = made

    def unprotect(self, branch: str | None = None) -> None:
        """Remove classic protection."""
        with self._world.lock:
            self.state.protections.pop(branch or self.state.default_branch, None)

    def ruleset(
        self,
        name: str,
        rules: Iterable[Mapping[str, Any]],
        *,
        include: Iterable[str] = ("~DEFAULT_BRANCH",),
        exclude: Iterable[str] = (),
        bypass_actors: Iterable[Mapping[str, Any]] = (),
        enforcement: str = "active",
        organization: bool = False,
        by: str | None = None,
    ) -> Ruleset:
        """A ruleset over branches. `bypass_actors` are (actor_id, actor_type, bypass_mode) objects, shown only to who may write them."""
        with self._world.lock:
            source = self.state.owner.login if organization else self.full_name
            made = Ruleset(
                self._world.id(),
                name,
                enforcement,
                "branch",
                list(include),
                list(exclude),
                [dict(rule) for rule in rules],
                [dict(actor) for actor in bypass_actors],
                source,
                "Organization" if organization else "Repository",
                self._world.now(),
                self._world.now(),
            )
            self.state.rulesets.append(made)
            told = self._tell_ruleset(made, "created", by)
        return self._done(made, told)

    def require_check(self, name: str, app: App | None = None, *, branch: str | None = None, **options: Any) -> Ruleset:
        """A ruleset that forces one check, pinned to the App that must give it (or to nobody)."""
        asked: dict[str, Any] = {"context": name} | ({"integration_id": app.id} if app else {})
        rule = {
            "type": "required_status_checks",
            "parameters": {
                "required_status_checks": [asked],
                "strict_required_status_checks_policy": False,
                "do_not_enforce_on_create": False,
            },
        }
        include = (f"refs/heads/{branch}",) if branch else ("~DEFAULT_BRANCH",)
        return self.ruleset(f"require {name}", [rule], include=include, **options)

    def remove_ruleset(self, ruleset: Ruleset, by: str | None = None) -> None:
        """Delete a ruleset."""
        with self._world.lock:
            self.state.rulesets.remove(ruleset)
            told = self._tell_ruleset(ruleset, "deleted", by)
        self._done(None, told)

    def _tell_ruleset(self, ruleset: Ruleset, action: str, by: str | None) -> list[Delivery]:
        body = {"repository_ruleset": shapes.ruleset(self._world, self.state, ruleset, whole=True, bypass=True)}
        sender = self._world.user(by) if by else self.state.owner
        return hooks.emit(self._world, "repository_ruleset", action, body, sender=sender, repository=self.state)

    # The merge queue.

    def enqueue(self, pull: Pull, by: str | None = None) -> MergeGroup:
        """Put a pull request into the merge queue: the commit that would become the base is made, and checks are asked for on it."""
        with self._world.lock:
            world, state = self._world, self.state
            base = state.merge_groups[-1].head_sha if state.merge_groups else self.sha(pull.base_ref)
            tree = git.merge_tree(self.path, base, pull.head_sha)
            if tree is None:
                raise LookupError("not mergeable")
            message = f"Merge pull request #{pull.number} from {pull.head_ref}"
            sha = git.commit_tree(self.path, tree, (base, pull.head_sha), message, world.now())
            ref = f"refs/heads/gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base}"
            git.update_ref(self.path, ref, sha)
            group = MergeGroup(sha, ref, base, f"refs/heads/{pull.base_ref}")
            state.merge_groups.append(group)
            user = self._by(by, pull)
            told = deeds.refs_changed(world, state, user) + deeds.tell_pull(world, pull, "enqueued", user)
            told += self._tell_group(group, "checks_requested", user)
        return self._done(group, told)

    def dequeue(self, group: MergeGroup, reason: str, by: str = "octocat") -> None:
        """Take a group out of the queue: `merged`, `invalidated` or `dequeued`."""
        with self._world.lock:
            self.state.merge_groups.remove(group)
            if reason == "merged":
                git.update_ref(self.path, group.base_ref, group.head_sha)
            git.update_ref(self.path, group.head_ref, None)
            user = self._world.user(by)
            told = self._tell_group(group, "destroyed", user, reason=reason) + deeds.refs_changed(self._world, self.state, user)
        self._done(None, told)

    def _tell_group(self, group: MergeGroup, action: str, by: User, **more: Any) -> list[Delivery]:
        drawn = {name: getattr(group, name) for name in ("head_sha", "head_ref", "base_sha", "base_ref")}
        drawn["head_commit"] = shapes.simple_commit(self.state, group.head_sha)
        return hooks.emit(self._world, "merge_group", action, {"merge_group": drawn, **more}, sender=by, repository=self.state)

    def _by(self, login: str | None, pull: Pull) -> User:
        return self._world.user(login) if login else pull.user

    def _done(self, value: T, told: Iterable[Delivery]) -> T:
        return self.github.done(value, told)
