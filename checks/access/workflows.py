"""What a GitHub workflow may do: its token, its secrets, who can start it, and what its jobs are for.

Sources: docs.github.com/actions/reference/workflows-and-actions (workflow syntax, events that trigger workflows, contexts),
docs.github.com/actions/concepts/security/script-injections.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from checks.detectors.base import not_analysed
from checks.model import Change, Effect, FileChange, Unreadable
from checks.places import Place, place_of
from checks.readers.expression import condition, expressions, split, wrapped
from checks.readers.workflow import Both, Job, Permissions, Step, Workflow, is_action, is_workflow, pairs, workflow

NONE, READ, WRITE = 0, 1, 2
LEVELS = {"none": NONE, "read": READ, "write": WRITE}
WORDS = ("none", "read", "write")


@lru_cache(maxsize=1)
def _facts() -> Mapping[str, Any]:
    return dict(json.loads(resources.files("checks.data").joinpath("gha_permissions.json").read_text("utf-8")))


@lru_cache(maxsize=1)
def scopes() -> Mapping[str, int]:
    """Every scope of the token with the highest level it has."""
    return {name: WRITE if "w" in levels else READ for name, levels in _facts()["scopes"].items()}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a job's token can do in each scope: the least and the most, where they differ because the repository's default decides."""

    least: Mapping[str, int]
    most: Mapping[str, int]
    source: str
    """`job`, `workflow` or `default`."""
    line: int
    whole: bool = False
    """`write-all`."""

    def sure(self, scope: str) -> int:
        return self.least.get(scope, NONE)

    def possible(self, scope: str) -> int:
        return self.most.get(scope, NONE)


def grant(file: Workflow, job: Job) -> Grant:
    """The effective token of `job`: its own block, else the workflow's, else the repository's default (a range)."""
    if job.permissions is not None:
        return _block(job.permissions, "job")
    if file.permissions is not None:
        return _block(file.permissions, "workflow")
    if file.only_called:
        return Grant({}, dict(scopes()), "default", job.line)
    facts = _facts()
    least = {name: LEVELS[level] for name, level in facts["restricted"].items()}
    most = {name: NONE if name in facts["permissive_none"] else level for name, level in scopes().items()}
    return Grant(least, most, "default", job.line)


def _block(block: Permissions, source: str) -> Grant:
    if block.whole == "write-all":
        return Grant(scopes(), scopes(), source, block.line, whole=True)
    if block.whole == "read-all":
        levels = {name: min(level, READ) for name, level in scopes().items() if name != "id-token"}
        return Grant(levels, levels, source, block.line)
    if not block.known:
        return Grant({}, dict(scopes()), source, block.line)
    levels = {name: LEVELS[level] for name, level in block.scopes if level in LEVELS}
    unclear = {name: WRITE for name, level in block.scopes if level not in LEVELS}
    return Grant(levels, levels | unclear, source, block.line)


STRONG = frozenset({"contents", "packages", "id-token", "actions", "deployments", "pull-requests", "attestations"})
"""Scopes whose write level changes code, releases, deployments or identities."""

PRIVILEGED = frozenset(
    {"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion", "discussion_comment", "pull_request_comment"}
)
"""Events that strangers can cause and that run with the whole token and the secrets."""
STRANGERS = PRIVILEGED | {"pull_request", "pull_request_review", "pull_request_review_comment", "fork", "watch"}
"""Events that strangers can cause."""

_UNTRUSTED = re.compile(
    r"github\.event(?:\.\*)?$"
    r"|github\.event\.(?:issue|discussion|pull_request)\.(?:title|body)$"
    r"|github\.event\.(?:comment|review|review_comment)\.body$"
    r"|github\.event\.pull_request\.head\.(?:ref|label)$"
    r"|github\.event\.pull_request\.head\.repo\.(?:default_branch|description|homepage)$"
    r"|github\.event\.pages\.[^.]+\.page_name$"
    r"|github\.event\.(?:head_commit|commits\.[^.]+)(?:\.message|\.author\.(?:email|name)|\.committer\.(?:email|name))?$"
    r"|github\.event\.commits$"
    r"|github\.event\.workflow_run\.(?:head_branch|display_title|head_commit\.(?:message|author\.(?:email|name)))$"
    r"|github\.event\.workflow_run\.pull_requests\.[^.]+\.head\.ref$"
    r"|github\.event\.(?:issue|pull_request|comment|review|discussion)$"
    r"|github\.event\.changes(?:\.|$)"
    r"|github\.head_ref$"
)
_CALLER = re.compile(r"(?:inputs|github\.event\.inputs|github\.event\.client_payload)(?:\.|$)")
_SAFE_KINDS = frozenset({"boolean", "number", "choice", "environment"})


def untrusted(carried: Iterable[str], env: Mapping[str, str] | None = None) -> str | None:
    """The first of the contexts whose text a stranger writes; `env.X` is looked up in `env`."""
    for name in carried:
        if _UNTRUSTED.match(name):
            return name
        if env is not None and name.startswith("env."):
            value = next((text for key, text in env.items() if key.lower() == name[4:]), None)
            found = value and next((hit for item in expressions(value) if (hit := untrusted(item.carries))), None)
            if found:
                return found
    return None


def caller_controlled(carried: Iterable[str], file: Workflow) -> str | None:
    """The first of the contexts whose free text the person (or workflow) that starts this one chooses."""
    kinds = {item.name: item.kind for item in file.inputs}
    for name in carried:
        if _CALLER.match(name):
            last = name.rpartition(".")[2]
            if kinds.get(last, "string") not in _SAFE_KINDS:
                return name
    return None


_PULL_HEAD = re.compile(
    r"github\.event\.pull_request\.head\.(?:sha|ref)$|github\.head_ref$|github\.event\.workflow_run\.(?:head_sha|head_branch|head_commit\.id)$"
    r"|github\.event\.pull_request\.merge_commit_sha$|github\.event\.pull_request\.head\.repo\.full_name$|github\.event\.workflow_run\.head_repository\.full_name$"
    r"|github\.event\.pull_request\.head\.repo\.(?:clone_url|ssh_url|git_url)$"
)


def checks_out_head(step: Step) -> bool:
    """Whether the step brings the code of a pull request onto the machine, by what it says itself."""
    if step.action == "actions/checkout":
        for name in ("ref", "repository"):
            text = step.input(name) or ""
            if "refs/pull/" in text or any(_PULL_HEAD.match(read) for item in expressions(text) for read in item.carries):
                return True
        return False
    return bool(step.run) and bool(
        re.search(r"\bgh\s+pr\s+checkout\b|\bgit\s+(?:fetch|checkout|pull)\b[^\n]*(?:refs/pull/|pull/[^\s]*/head)", step.run)
    )


SECRET = re.compile(r"secrets\.([\w-]+)$")
ALL = "*"
"""Stands for every secret there is."""


def secrets_in(text: str, bare: bool = False) -> frozenset[str]:
    """The secrets named in a text's expressions (`*` for all of them), the token left out. `bare`: the whole text is an expression, as in `if`."""
    if "secrets" not in text.lower():
        return frozenset()
    found: set[str] = set()
    for item in (condition(text),) if bare else tuple(expressions(text)):
        for read in item.reads:
            if read in ("secrets", "secrets.*"):
                found.add(ALL)
            elif match := SECRET.match(read):
                found.add(match.group(1).upper())
    return frozenset(found - {"GITHUB_TOKEN"})


def texts_of(job: Job) -> Iterator[str]:
    """Every text of a job in which an expression may stand, its steps left out."""
    yield from (text for _, text in (*job.env, *job.with_, *job.secrets))
    for box in job.containers:
        yield box.image
        yield box.options
        yield from (text for _, text in box.texts)


def texts_of_step(step: Step) -> Iterator[str]:
    """Every text of a step in which an expression may stand."""
    yield step.run
    yield from (text for _, text in (*step.with_, *step.env))


def job_secrets(file: Workflow, job: Job) -> frozenset[str]:
    """The secrets that reach `job` by any way its own file shows."""
    found: set[str] = set()
    for text in texts_of(job):
        found |= secrets_in(text)
    for _, text in file.env:
        found |= secrets_in(text)
    for step in job.steps:
        for text in texts_of_step(step):
            found |= secrets_in(text)
    if job.inherits:
        found.add(ALL)
    return frozenset(found)


DEPLOY_WORD = re.compile(
    r"(?<![a-z])(?:deploy|release|publish|promote|rollout|ship|apply|destroy|provision)(?:s|ed|ing|ment|ments)?(?![a-z])", re.I
)
_DEPLOY_RUN = re.compile(
    r"\b(?:terraform|tofu|terragrunt)\s+(?:[^\n|;&]*\s)?(?:apply|destroy)\b|\bkubectl\s+(?:apply|delete|rollout|set)\b|\bhelm\s+(?:upgrade|install|uninstall)\b"
    r"|\bcdk\s+(?:deploy|destroy)\b|\bpulumi\s+(?:up|destroy)\b|\baws\s+(?:s3\s+(?:sync|cp|rm)|ecs\s+update-service|lambda\s+update-function-code|cloudformation\s+deploy)\b"
    r"|\b(?:npm|pnpm|yarn)\s+publish\b|\btwine\s+upload\b|\bcargo\s+publish\b|\bdocker\s+push\b|\bgh\s+release\s+(?:create|upload)\b|\bgcloud\s+(?:run\s+deploy|app\s+deploy|functions\s+deploy)\b"
    r"|\b(?:vercel|fly|flyctl|wrangler|serverless|sls|firebase)\s+(?:[^\n|;&]*\s)?deploy\b|\bansible-playbook\b",
    re.I,
)
_DEPLOY_ACTION = re.compile(
    r"^(?:pypa/gh-action-pypi-publish|softprops/action-gh-release|goreleaser/goreleaser-action|google-github-actions/deploy-|azure/(?:webapps-deploy|k8s-deploy|functions-action)"
    r"|aws-actions/amazon-ecs-deploy|aws-actions/aws-cloudformation|cloudflare/wrangler-action|actions/deploy-pages|superfly/flyctl-actions|peaceiris/actions-gh-pages|ncipollo/release-action"
    r"|changesets/action|googleapis/release-please-action|google-github-actions/release-please-action)",
)


def deploys(job: Job) -> bool:
    """Whether the job changes something outside: by its environment, its commands and actions, or a called workflow's name."""
    if job.environment or DEPLOY_WORD.search(job.id) or (job.uses and DEPLOY_WORD.search(job.uses)):
        return True
    return any(_DEPLOY_ACTION.match(step.action) or (step.run and _DEPLOY_RUN.search(step.run)) for step in job.steps)


_GATE = re.compile(
    r"author_association|github\.(?:actor|triggering_actor|repository_owner)\b|\.user\.login|sender\.login|head\.repo\.(?:fork|full_name|owner)|head_repository"
    r"|\.user\.type|collaborator|permission|is[_-]?(?:member|maintainer|owner|authorized|trusted)|authorized|trusted",
    re.I,
)


def gates(text: str) -> bool:
    """Whether a condition asks who is behind the event, or where its code comes from."""
    return bool(_GATE.search(text))


_NOT_FROM_A_PULL = re.compile(
    r"github\.event\.workflow_run\.event ?(?:== ?'(?!pull_request)\w+'|!= ?'pull_request')|github\.event_name ?(?:== ?'(?!workflow_run')\w+'|!= ?'workflow_run')",
    re.I,
)


def never_from_a_pull(text: str) -> bool:
    """Whether a condition holds for no `workflow_run` that a pull request set off: each alternative asks for another event.

    `head_branch` says nothing here: a fork's branch may be called `main` too.
    """
    plain = condition(text).text if len(text) <= 4000 else ""
    return _shut(plain, 0)


def _shut(text: str, depth: int) -> bool:
    text = text.strip()
    while wrapped(text):
        text = text[1:-1].strip()
    if depth > 8:
        return False
    alternatives = split(text, "||")
    if len(alternatives) > 1:
        return all(_shut(part, depth + 1) for part in alternatives)
    parts = split(text, "&&")
    if len(parts) > 1:
        return any(_shut(part, depth + 1) for part in parts)
    return bool(_NOT_FROM_A_PULL.fullmatch(text))


def both_sides(change: Change, files: Sequence[FileChange]) -> tuple[tuple[Both, ...], tuple[Effect, ...]]:
    """The changed workflows and actions at base and head with their jobs paired, and an effect for each that cannot be read."""
    sides: list[tuple[str, str, Workflow | None, Workflow | None]] = []
    unread: list[Effect] = []
    for file in files:
        if not any(is_workflow(path) or is_action(path) for path in (file.path, file.base_path)):
            continue
        if place_of(file.path) in (Place.VENDORED, Place.TEST, Place.EXAMPLE):
            continue
        before, _ = _side(change.base_bytes(file), file.base_path)
        after, why = _side(change.head_bytes(file), file.path)
        if why is not None:
            if _side(change.base_bytes(file), file.base_path)[1] is None:
                unread.append(not_analysed(file.path, why.why, why.line))
            continue
        sides.append((file.path, file.base_path, before, after))
    return pairs(sides), tuple(unread)


def _side(data: bytes | None, path: str) -> tuple[Workflow | None, Unreadable | None]:
    if data is None or not (is_workflow(path) or is_action(path)):
        return None, None
    try:
        return workflow(data, path), None
    except Unreadable as unreadable:
        return None, unreadable


def environment_fact(jobs: Iterable[Job]) -> tuple[tuple[str, str], ...]:
    """The fact that all of these jobs run in one and the same GitHub environment, where its name is written out; else none."""
    names = {job.environment for job in jobs}
    name = next(iter(names)) if len(names) == 1 else ""
    return (("job-environment", name),) if name and "${{" not in name else ()
