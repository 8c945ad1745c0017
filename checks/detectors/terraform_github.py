"""GitHub's own gates and access, as Terraform declares them.

## What it detects
Branch protection and rulesets that are removed, no longer enforced or ask for less: fewer required checks or reviews, no code owners, force
pushes or deletions allowed, administrators or others let past; environments without reviewers; a workflow token that may write, or approve pull requests;
a repository made public; people and teams given write, maintain or admin.

## Why it matters
These resources are the gate itself. Once a required check or a reviewer is gone, every later change passes without it.

## Example
```hcl
 resource "github_branch_protection" "main" {
-  required_status_checks {
-    contexts = ["test", "interlock: main"]
-  }
 }
```
Pull requests merge without tests from now on.

## What makes it safe
Organisation rulesets that a repository cannot undo, and a second team that owns the configuration of the gates.

## What it cannot see
Settings made by hand on GitHub; members that come from an identity provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers.hcl import Block
from checks.readers.terraform import Flat, Resource, flat, instances
from checks.readers.terraform_steps import Step, judged, line_of, steps, written

REMOVED = Rule(
    "terraform-github/gate-removed", Hazard.GATE_CHANGED, Severity.HIGH, Reversible.YES, "A branch's or environment's protection is removed"
)
WEAKENED = Rule(
    "terraform-github/gate-weakened",
    Hazard.GATE_CHANGED,
    Severity.HIGH,
    Reversible.YES,
    "A branch's or environment's protection asks for less",
)
TOKEN = Rule("terraform-github/workflow-token-widened", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.YES, "Workflows may do more")
ACCESS = Rule("terraform-github/access-given", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.YES, "People or teams get access")
VISIBLE = Rule(
    "terraform-github/repository-made-public", Hazard.EXPOSURE_WIDENED, Severity.CRITICAL, Reversible.NO, "A repository is made public"
)

GATES = frozenset(
    {
        "github_branch_protection",
        "github_branch_protection_v3",
        "github_repository_ruleset",
        "github_organization_ruleset",
        "github_repository_environment",
    }
)

FLAGS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    # end of path → (guarding values, default, what is so now)
    "enforce_admins": (("true",), "false", "administrators are let past"),
    "require_signed_commits": (("true",), "false", "commits need no signature"),
    "required_signatures": (("true",), "false", "commits need no signature"),
    "required_linear_history": (("true",), "false", "merge commits are allowed"),
    "require_conversation_resolution": (("true",), "false", "open conversations do not block"),
    "allows_force_pushes": (("false",), "false", "history can be rewritten"),
    "non_fast_forward": (("true",), "false", "history can be rewritten"),
    "allows_deletions": (("false",), "false", "the branch can be deleted"),
    "deletion": (("true",), "false", "the branch can be deleted"),
    "required_pull_request_reviews.dismiss_stale_reviews": (("true",), "false", "an approval outlives new commits"),
    "required_pull_request_reviews.require_code_owner_reviews": (("true",), "false", "code owners need not approve"),
    "required_pull_request_reviews.require_last_push_approval": (("true",), "false", "the last pusher may approve"),
    "pull_request.dismiss_stale_reviews_on_push": (("true",), "false", "an approval outlives new commits"),
    "pull_request.require_code_owner_review": (("true",), "false", "code owners need not approve"),
    "pull_request.require_last_push_approval": (("true",), "false", "the last pusher may approve"),
    "required_status_checks.strict": (("true",), "false", "branches may be out of date"),
    "required_status_checks.strict_required_status_checks_policy": (("true",), "false", "branches may be out of date"),
    "enforcement": (("active",), "disabled", "it is not enforced"),
    "prevent_self_review": (("true",), "false", "who deploys may approve it"),
    "can_admins_bypass": (("false",), "true", "administrators are let past"),
    "deployment_branch_policy.protected_branches": (("true",), "false", "any branch may deploy"),
}
NUMBERS = frozenset({"required_approving_review_count", "wait_timer"})
LISTS = frozenset(
    {"required_status_checks.contexts", "required_status_checks.checks", "required_check.context", "reviewers.teams", "reviewers.users"}
)
BYPASS = frozenset(
    {
        "bypass_actors.actor_id",
        "pull_request_bypassers",
        "force_push_bypassers",
        "bypass_pull_request_allowances.users",
        "bypass_pull_request_allowances.teams",
    }
)
BLOCKS = frozenset({
    "required_status_checks", "required_pull_request_reviews", "restrict_pushes", "restrictions", "reviewers", "deployment_branch_policy",
    "rules.required_status_checks", "rules.pull_request", "rules.required_code_scanning", "rules.required_deployments", "rules.merge_queue",
})  # fmt: skip
LEVELS = ("pull", "read", "triage", "member", "push", "write", "maintain", "maintainer", "admin", "owner")
"""Permissions and roles, each at least as strong as those before it."""
GIVEN: Mapping[str, str] = {
    "github_team_repository": "permission",
    "github_repository_collaborator": "permission",
    "github_team_membership": "role",
    "github_membership": "role",
}


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    yield from judged(steps(change, files), _judge)


def _judge(step: Step) -> Iterator[Effect]:
    for resource in step.gone:
        if resource.type in GATES and step.through is None and step.variables_file is None:
            yield REMOVED.effect(
                subject=resource.address,
                path=resource.path,
                line=resource.line,
                side=Side.BASE,
                message=f"{resource.address} is removed, and with it everything it demanded before a merge or a deployment.",
                facts=(("address", resource.address), ("directory", step.directory), ("action", "delete")),
            )
    for pair in step.kept:
        if pair.new.type.startswith("github_") and instances(pair.old, pair.before) != 0:
            old, new = flat(pair.before), flat(pair.after)
            if pair.new.type in GATES:
                yield from _gate(step, pair.new, old, new)
            yield from _token(step, pair.new, old, new)
            yield from _access(step, pair.new, pair.before, pair.after)
            if (
                written(old.values.get("visibility"), "public")[0] in ("private", "internal")
                and written(new.values.get("visibility"), "")[0] == "public"
            ):
                yield _said(step, VISIBLE, pair.new, "everyone can read it, its history included", "visibility", None, "public")
    if step.through is None and step.variables_file is None:
        for resource in step.new:
            if resource.type.startswith("github_"):
                body = step.after.body(resource)
                yield from _token(step, resource, Flat({}, {}), flat(body))
                yield from _access(step, resource, None, body)


def _said(
    step: Step,
    rule: Rule,
    resource: Resource,
    words: str,
    name: str,
    before: str | None,
    after: str | None,
    severity: Severity | None = None,
) -> Effect:
    path, line = step.where(resource)
    own = step.through is None and step.variables_file is None
    return rule.effect(
        subject=f"{step.subject(resource.address)} {name}",
        path=path,
        line=line_of(resource, name) if own else line,
        severity=severity,
        confidence=Confidence.CERTAIN,
        before=before,
        after=after,
        message=f"{resource.address}: {words}.",
        facts=(("address", step.subject(resource.address)), ("directory", step.directory)),
    )


def _members(at: Flat, path: str) -> frozenset[str]:
    return frozenset(item.key for value in at.values.get(path, ()) for item in value.elements())


def _gate(step: Step, resource: Resource, old: Flat, new: Flat) -> Iterator[Effect]:
    gone = [
        path for path in sorted(old.blocks) if path in BLOCKS and old.blocks[path] and not new.blocks.get(path) and path not in new.values
    ]
    for path in gone:
        yield _said(step, WEAKENED, resource, f"{path.rpartition('.')[2].replace('_', ' ')} are demanded no more", path, "demanded", None)
    for path in sorted({*old.values, *new.values}):
        if any(path.startswith(block + ".") for block in gone):
            continue
        parts = path.split(".")
        for end in dict.fromkeys((parts[-1], ".".join(parts[-2:]))):
            if end in FLAGS:
                safe, default, words = FLAGS[end]
                before, after = written(old.values.get(path), default)[0], written(new.values.get(path), default)[0]
                if before in safe and after is not None and after not in safe:
                    yield _said(step, WEAKENED, resource, words, path, before, after)
            elif end in NUMBERS:
                before, after = written(old.values.get(path), "0")[0], written(new.values.get(path), "0")[0]
                if before and after and before.isdecimal() and after.isdecimal() and int(after) < int(before):
                    yield _said(step, WEAKENED, resource, f"{end.replace('_', ' ')} falls from {before} to {after}", path, before, after)
            elif end in LISTS and path in old.values:
                lost = sorted(_members(old, path) - _members(new, path))
                if lost and len(_members(new, path)) < len(_members(old, path)):
                    yield _said(step, WEAKENED, resource, f"{', '.join(lost[:4])} is demanded no more", path, ", ".join(lost), None)
            elif end in BYPASS:
                added = sorted(_members(new, path) - _members(old, path))
                if added:
                    yield _said(step, WEAKENED, resource, f"{', '.join(added[:4])} is let past", path, None, ", ".join(added))


def _token(step: Step, resource: Resource, old: Flat, new: Flat) -> Iterator[Effect]:
    for name, safe, words in (
        ("default_workflow_permissions", "read", "every workflow's token may write"),
        ("can_approve_pull_request_reviews", "false", "workflows may approve pull requests"),
    ):
        before, after = written(old.values.get(name), safe)[0], written(new.values.get(name), safe)[0]
        if before == safe and after is not None and after != safe:
            yield _said(step, TOKEN, resource, words, name, before, after)
    if resource.type.startswith("github_actions_"):
        before, after = written(old.values.get("allowed_actions"), "")[0], written(new.values.get("allowed_actions"), "")[0]
        if before in ("local_only", "selected") and after == "all":
            yield _said(step, TOKEN, resource, "workflows may run anyone's actions", "allowed_actions", before, after)


def _access(step: Step, resource: Resource, before: Block | None, after: Block) -> Iterator[Effect]:
    name = GIVEN.get(resource.type)
    if name is None:
        return
    was = _level(before.get(name) if before is not None else None)
    now = (
        _level(after.get(name))
        if after.get(name) is not None
        else (LEVELS.index("push") if resource.type == "github_repository_collaborator" else 0)
    )
    if now > was and now >= LEVELS.index("push"):
        level = LEVELS[now]
        yield _said(
            step, ACCESS, resource, f"{level} access is given", name, LEVELS[was] if was >= 0 else None, level,
            Severity.HIGH if level in ("admin", "owner") else Severity.MODERATE,
        )  # fmt: skip


def _level(value: object) -> int:
    key = getattr(value, "key", None)
    return LEVELS.index(key) if key in LEVELS else -1


DETECTOR = Detector(
    name="terraform-github",
    title="GitHub's gates and access as Terraform declares them",
    rules=(REMOVED, WEAKENED, TOKEN, ACCESS, VISIBLE),
    detect=detect,
    group=together,
)
