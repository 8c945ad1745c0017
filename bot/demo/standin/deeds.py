"""What happens when somebody does something: the state changes and the events that follow. The API and the driver both end here."""

from __future__ import annotations

import fnmatch
from typing import Any

from bot.demo.standin import git, hooks, shapes
from bot.demo.standin.state import CheckRun, Comment, Delivery, Label, Pull, Repository, User, World

NOTHING = "0" * 40


def refs_changed(world: World, repository: Repository, sender: User) -> list[Delivery]:
    """Compare branches and tags with how they were, send what GitHub sends for a push, and let pull requests follow."""
    before, after = repository.refs, git.refs(repository.path)
    repository.refs = after
    told: list[Delivery] = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name, NOTHING), after.get(name, NOTHING)
        if old != new:
            told += _tell_push(world, repository, name, old, new, sender)
    for pull in _open_pulls(world):
        if pull.head_repository is repository and f"refs/heads/{pull.head_ref}" in after:
            new = after[f"refs/heads/{pull.head_ref}"]
            if new != pull.head_sha:
                told += _synchronize(world, pull, new, sender)
    return told


def _open_pulls(world: World) -> list[Pull]:
    return [pull for repository in world.repositories.values() for pull in repository.pulls.values() if pull.state == "open"]


def _tell_push(world: World, repository: Repository, ref: str, old: str, new: str, sender: User) -> list[Delivery]:
    html = shapes.html_of(world, repository)
    listed: list[git.CommitFacts] = []
    forced = False
    if new != NOTHING:
        listed = git.commits(repository.path, new, *([f"^{old}"] if old != NOTHING else []), limit=20)[::-1]
        forced = old != NOTHING and git.merge_base(repository.path, old, new) != old
    drawn = [shapes.commit_in_event(world, repository, one) for one in listed]
    head = shapes.commit_in_event(world, repository, git.commits(repository.path, new, limit=1)[0]) if new != NOTHING else None
    body: dict[str, Any] = {
        "ref": ref,
        "before": old,
        "after": new,
        "base_ref": None,
        "created": old == NOTHING,
        "deleted": new == NOTHING,
        "forced": forced,
        "compare": f"{html}/compare/{old[:12]}...{new[:12]}",
        "commits": drawn,
        "head_commit": head,
        "pusher": {"name": sender.login, "email": f"{sender.login}@users.noreply.github.com"},
    }
    return hooks.emit(world, "push", None, body, sender=sender, repository=repository)


def _synchronize(world: World, pull: Pull, sha: str, sender: User) -> list[Delivery]:
    before, pull.head_sha, pull.updated_at = pull.head_sha, sha, world.now()
    follow(world, pull)
    return tell_pull(world, pull, "synchronize", sender, before=before, after=sha)


def follow(world: World, pull: Pull) -> None:
    """Point `refs/pull/N/head` and `/merge` at where the head is now. The base's tip is taken from this moment and then grows stale."""
    directory = pull.repository.path
    ref = f"refs/pull/{pull.number}"
    if pull.head_repository is not None and pull.head_repository is not pull.repository:
        git.fetch(directory, pull.head_repository.path, f"refs/heads/{pull.head_ref}", f"{ref}/head")
    else:
        git.update_ref(directory, f"{ref}/head", pull.head_sha)
    pull.base_sha = git.resolve(directory, pull.base_ref) or pull.base_sha
    tree = git.merge_tree(directory, pull.base_sha, pull.head_sha)
    pull.mergeable = tree is not None
    pull.merge_commit = None
    if tree is not None:
        message = f"Merge {pull.head_sha} into {pull.base_sha}"
        pull.merge_commit = git.commit_tree(directory, tree, (pull.base_sha, pull.head_sha), message, world.now())
        git.update_ref(directory, f"{ref}/merge", pull.merge_commit)
    elif git.resolve(directory, f"{ref}/merge"):
        git.update_ref(directory, f"{ref}/merge", None)


def tell_pull(world: World, pull: Pull, action: str, sender: User, **more: Any) -> list[Delivery]:
    """Send the pull_request event."""
    body = {"number": pull.number, "pull_request": shapes.pull_full(world, pull), **more}
    return hooks.emit(world, "pull_request", action, body, sender=sender, repository=pull.repository)


def open_pull(
    world: World,
    repository: Repository,
    head_repository: Repository,
    head: str,
    base: str,
    title: str,
    body: str | None,
    author: User,
    draft: bool,
) -> tuple[Pull, list[Delivery]]:
    """Open a pull request between two branches that exist."""
    head_sha, base_sha = git.resolve(head_repository.path, head), git.resolve(repository.path, base)
    if head_sha is None or base_sha is None:
        raise LookupError(f"no branch {head if head_sha is None else base}")
    repository.last_number += 1
    moment = world.now()
    pull = Pull(
        world.id(),
        repository.last_number,
        repository,
        head_repository,
        head,
        head_sha,
        base,
        base_sha,
        title,
        body,
        author,
        moment,
        moment,
        draft=draft,
    )
    repository.pulls[pull.number] = pull
    follow(world, pull)
    return pull, tell_pull(world, pull, "opened", author)


def close(world: World, pull: Pull, by: User) -> list[Delivery]:
    """Close without merging."""
    pull.state, pull.closed_at, pull.updated_at = "closed", world.now(), world.now()
    return tell_pull(world, pull, "closed", by)


def reopen(world: World, pull: Pull, by: User) -> list[Delivery]:
    """Open again what was closed."""
    pull.state, pull.closed_at, pull.updated_at = "open", None, world.now()
    follow(world, pull)
    return tell_pull(world, pull, "reopened", by)


def edit(
    world: World, pull: Pull, by: User, *, title: str | None = None, body: str | None = None, base: str | None = None
) -> list[Delivery]:
    """Change title, body or base branch; the event says what they were. The merge ref keeps the old base, as on GitHub."""
    changes: dict[str, Any] = {}
    if title is not None and title != pull.title:
        changes["title"], pull.title = {"from": pull.title}, title
    if body is not None and body != pull.body:
        changes["body"], pull.body = {"from": pull.body}, body
    if base is not None and base != pull.base_ref:
        changes["base"] = {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}
        pull.base_ref, pull.base_sha = base, git.resolve(pull.repository.path, base) or pull.base_sha
    if not changes:
        return []
    pull.updated_at = world.now()
    return tell_pull(world, pull, "edited", by, changes=changes)


def unmet(world: World, pull: Pull) -> list[str]:
    """Why the base branch's rules refuse the merge now: one line for each required check that is not there."""
    lines = []
    for context, app_id in required_checks(pull.repository, pull.base_ref):
        state = _state_of(pull.repository, pull.head_sha, context, app_id)
        if state == "foreign":
            lines.append(f'Required status check "{context}" was not set by the expected GitHub App.')
        elif state != "passed":
            lines.append(f'Required status check "{context}" is {"expected" if state is None else state}.')
    return lines


def required_checks(repository: Repository, branch: str) -> list[tuple[str, int | None]]:
    """(name, app or None for any) of every check the branch's rules and classic protection force."""
    found: list[tuple[str, int | None]] = []
    for rule in rules_of(repository, branch):
        if rule["type"] == "required_status_checks":
            found += [(one["context"], one.get("integration_id")) for one in rule["parameters"]["required_status_checks"]]
    classic = repository.protections.get(branch, {}).get("required_status_checks") or {}
    for one in classic.get("checks", []):
        app = one.get("app_id")
        found.append((one["context"], None if app in (None, -1) else app))
    return found


def rules_of(repository: Repository, branch: str) -> list[dict[str, Any]]:
    """The active rules of a branch, each with the ruleset it comes from."""
    found = []
    for ruleset in repository.rulesets:
        if (
            ruleset.enforcement == "active"
            and ruleset.target == "branch"
            and _applies(repository, ruleset.include, ruleset.exclude, branch)
        ):
            source = {"ruleset_source_type": ruleset.source_type, "ruleset_source": ruleset.source, "ruleset_id": ruleset.id}
            found += [rule | source for rule in ruleset.rules]
    return found


def _applies(repository: Repository, include: list[str], exclude: list[str], branch: str) -> bool:
    def named(patterns: list[str]) -> bool:
        names = {"~ALL"} | ({"~DEFAULT_BRANCH"} if branch == repository.default_branch else set())
        return any(pattern in names or fnmatch.fnmatchcase(f"refs/heads/{branch}", pattern) for pattern in patterns)

    return named(include) and not named(exclude)


def _state_of(repository: Repository, sha: str, context: str, app_id: int | None) -> str | None:
    runs = [run for run in repository.check_runs.values() if run.head_sha == sha and run.name == context]
    wanted = [run for run in runs if app_id is None or run.app.id == app_id]
    states = [] if app_id is not None else [one for one in repository.statuses if one.sha == sha and one.context == context]
    if not wanted and not states:
        return "foreign" if runs or any(one.sha == sha and one.context == context for one in repository.statuses) else None
    if states and states[-1].state != "success":
        return "failing" if states[-1].state != "pending" else "pending"
    if wanted:
        newest = max(wanted, key=lambda run: run.id)
        if newest.status != "completed":
            return "in progress"
        return "passed" if newest.conclusion in ("success", "neutral", "skipped") else "failing"
    return "passed"


def merge(world: World, pull: Pull, by: User, method: str = "merge") -> list[Delivery]:
    """Merge into the base branch as it is now. Raises `LookupError` on a conflict."""
    directory = pull.repository.path
    base = git.resolve(directory, pull.base_ref)
    tree = git.merge_tree(directory, base, pull.head_sha) if base else None
    if base is None or tree is None:
        raise LookupError("not mergeable")
    parents = (base, pull.head_sha) if method == "merge" else (base,)
    subject = f"Merge pull request #{pull.number} from {pull.head_ref}" if method == "merge" else f"{pull.title} (#{pull.number})"
    sha = git.commit_tree(directory, tree, parents, subject, world.now())
    git.update_ref(directory, f"refs/heads/{pull.base_ref}", sha)
    moment = world.now()
    pull.state, pull.closed_at, pull.merged_at, pull.merged_by, pull.merge_commit, pull.updated_at = (
        "closed",
        moment,
        moment,
        by,
        sha,
        moment,
    )
    return [*tell_pull(world, pull, "closed", by), *refs_changed(world, pull.repository, by)]


def comment(world: World, pull: Pull, by: User, body: str, app: Any = None) -> tuple[Comment, list[Delivery]]:
    """Say something in the conversation."""
    one = Comment(world.id(), pull.number, by, body, world.now(), world.now(), app)
    pull.repository.comments[one.id] = one
    return one, tell_comment(world, pull, one, "created", by)


def tell_comment(world: World, pull: Pull, one: Comment, action: str, by: User, **more: Any) -> list[Delivery]:
    """Send the issue_comment event."""
    body = {"issue": shapes.conversation(world, pull), "comment": shapes.comment(world, pull.repository, one), **more}
    return hooks.emit(world, "issue_comment", action, body, sender=by, repository=pull.repository)


def label(world: World, pull: Pull, names: list[str], by: User) -> list[Delivery]:
    """Put labels on a pull request, making those that are new."""
    told: list[Delivery] = []
    for name in names:
        one = make_label(world, pull.repository, name)
        if one not in pull.labels:
            pull.labels.append(one)
            told += tell_pull(world, pull, "labeled", by, label=shapes.label(world, pull.repository, one))
    return told


def make_label(world: World, repository: Repository, name: str) -> Label:
    """The label of that name, made if there is none."""
    known = repository.labels.get(name.lower())
    if known is None:
        known = repository.labels[name.lower()] = Label(world.id(), name)
    return known


def unlabel(world: World, pull: Pull, one: Label, by: User) -> list[Delivery]:
    """Take a label off a pull request."""
    pull.labels.remove(one)
    return tell_pull(world, pull, "unlabeled", by, label=shapes.label(world, pull.repository, one))


def runs_on(repository: Repository, sha: str) -> list[CheckRun]:
    """The check runs of a commit, oldest first."""
    return [run for run in repository.check_runs.values() if run.head_sha == sha]
