"""Commands and patterns of commands: what a pattern lets run, and which of it is dangerous.

The vocabulary follows the default deny list of Claude Code's auto mode (code.claude.com/docs/en/permission-modes) and the runners its permission
page names as not stripped (code.claude.com/docs/en/permissions): a runner starts any program, so a rule for it is a rule for everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from checks.authority.nouns import Decision, Grant, Verb
from checks.model import Severity

PROBES: tuple[tuple[str, str], ...] = (
    ("terraform destroy -auto-approve", "destroy infrastructure with Terraform"),
    ("terraform apply -auto-approve", "apply Terraform"),
    ("pulumi destroy --yes", "destroy infrastructure with Pulumi"),
    ("kubectl delete namespace production", "delete Kubernetes namespaces"),
    ("helm uninstall shop", "uninstall Helm releases"),
    ("aws ec2 terminate-instances --instance-ids i-1", "terminate AWS instances"),
    ("gcloud sql instances delete shop", "delete Google Cloud databases"),
    ("az group delete --name shop", "delete Azure resource groups"),
    ("psql -c 'DROP TABLE users'", "drop database tables"),
    ("git push --force origin main", "force-push"),
    ("git push origin main", "push to the default branch"),
    ("gh pr merge 1 --admin", "merge pull requests"),
    ("gh api -X DELETE /repos/acme/shop", "delete through the GitHub API"),
    ("rm -rf .", "delete files"),
    ("npm publish", "publish packages"),
    ("docker run --privileged alpine", "start privileged containers"),
    ("ssh host", "log in to other machines"),
    ("sudo sh", "become root"),
)
"""Commands that an answer is given for, with what they do in words."""

CODE_PROBES = ("bash -c code", "python -c code", "npx tool", "make target", "uv run code.py", "node -e code", "curl http://host/script")

_DESTRUCTIVE = re.compile(
    r"(?:terraform|tofu|terragrunt|pulumi|cdk|sam|serverless|sls) +(?:apply|destroy|up|deploy|remove)\b"
    r"|kubectl +(?:delete|drain|cordon|apply|exec|scale|rollout|replace)\b|helm +(?:uninstall|delete|rollback|upgrade)\b|eksctl +delete|argocd +app +(?:delete|sync)"
    r"|(?:aws|gcloud|az|doctl|flyctl|heroku|oci) .{0,80}\b(?:delete|terminate|destroy|put-|modify-|remove-)"
    r"|(?:psql|mysql|mongosh|redis-cli)\b|.{0,80}\b(?:DROP|TRUNCATE) "
    r"|gh +(?:api|workflow|secret|release|repo|pr)\Z|gh +(?:pr +merge|workflow +(?:run|disable|enable)|secret +(?:set|delete)|release +(?:create|delete|edit|upload)|repo +(?:delete|edit|archive))\b|git +push .{0,80}(?:--force|-f\b)|sudo\b|ssh\b|mkfs|dd |rm\b.{0,20}-[a-z]*r",
)
_RUNNER = re.compile(
    r"(?:bash|sh|zsh|fish|pwsh|powershell|python[0-9.]*|node|deno|bun|ruby|perl|php|lua|eval|xargs|env|sudo|ssh|docker|podman|npx|uv|uvx|bunx|pipx|make|just|task|source|direnv|mise|devbox)\Z"
    r"|(?:pnpm +dlx|pnpm +exec|yarn +dlx|uv +run|npm +(?:run|exec)|pnpm +run|yarn +run|bun +run|poetry +run|pipenv +run|cargo +run|go +run|docker +exec|docker +run|docker +compose|kubectl +exec|find|watch|npm|pnpm|yarn|bun|go|cargo|gradle|mvn|git)\Z"
)


def wild(pattern: str, text: str) -> bool:
    """Whether `text` is the whole of `pattern`, where `*` is any text: linear in practice, without expressions."""
    at = start = 0
    star, mark = -1, 0
    while start < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, start
            at += 1
        elif at < len(pattern) and pattern[at] == text[start]:
            at += 1
            start += 1
        elif star >= 0:
            mark += 1
            at, start = star + 1, mark
        else:
            return False
    return pattern[at:].strip("*") == ""


def matches(pattern: str, command: str) -> bool:
    """Whether a command pattern lets `command` through: `git push *` is `git push` with or without arguments, `ls*` also `lsof`."""
    if pattern == "*":
        return True
    if pattern.endswith(" *"):
        base = pattern[:-2]
        return wild(base, command) or wild(base + " *", command)
    return wild(pattern, command)


def covers(wide: str, narrow: str) -> bool:
    """Whether every command of `narrow` is one of `wide`, as far as the patterns tell."""
    if wide in ("*", narrow):
        return True
    if narrow == "*" or wide.startswith("/") or narrow.startswith("/"):
        return False
    if wide.endswith(" *"):
        base = wide[:-2]
        return narrow == base or narrow.startswith(base + " ") if "*" not in base else matches(wide, narrow)
    return wide.endswith("*") and "*" not in wide[:-1] and narrow.startswith(wide[:-1])


@dataclass(frozen=True, slots=True)
class Weight:
    """What a command pattern is good for."""

    severity: Severity
    destructive: bool
    verbs: tuple[str, ...]
    """What it lets the agent do, in words, where that is dangerous."""
    runner: bool
    """It starts any program, so that a deny list says nothing."""


@lru_cache(maxsize=4096)
def weigh(pattern: str) -> Weight:
    """How dangerous it is to let everything of `pattern` run unasked."""
    head = pattern.rstrip("* ").strip()
    runner = (bool(_RUNNER.match(head)) and pattern.endswith("*")) or (pattern.endswith("-c *"))
    if pattern == "*" or head == "":
        return Weight(Severity.HIGH, True, tuple(words for _, words in PROBES), True)
    verbs = tuple(words for command, words in PROBES if matches(pattern, command))
    if (verbs and head != "git") or _DESTRUCTIVE.match(head):
        severe = (
            Severity.MODERATE
            if set(verbs) <= {"push to the default branch", "delete files"} and not _DESTRUCTIVE.match(head)
            else Severity.HIGH
        )
        if head == "git push" or head == "git push origin":
            severe = Severity.MODERATE
        return Weight(severe, True, verbs, runner)
    if head == "git":
        return Weight(Severity.MODERATE, True, verbs, False)
    if runner:
        return Weight(Severity.MODERATE, False, (), True)
    return Weight(Severity.LOW, False, (), False)


def shell(pattern: str, path: str, line: int | None, condition: tuple[str, ...] = ()) -> Grant:
    """The grant to run what `pattern` matches without being asked."""
    pattern = " ".join(pattern.split()) or "*"
    weight = weigh(pattern)
    if pattern == "*":
        text = "run any shell command"
    else:
        text = f"run `{pattern}`"
        if weight.verbs:
            text += f" ({', '.join(weight.verbs[:3])})"
        elif weight.runner:
            text += " (which starts any program)"
    return Grant(Verb.SHELL, pattern, text, path, line, weight.severity, weight.destructive, condition)


_SPLIT = re.compile(r"&&|\|\||;|\|&|\||&|\n")


def parts(command: str) -> tuple[str, ...]:
    """The simple commands of a compound one, split where shells split."""
    return tuple(part.strip() for part in _SPLIT.split(command) if part.strip())


def probed(decide: Callable[[str], Decision]) -> tuple[tuple[str, Decision], ...]:
    """The decision for each probe."""
    return tuple((command, decide(command)) for command, _ in PROBES)


def word_of(probe: str) -> str:
    """What a probe does, in words."""
    return next((words for command, words in PROBES if command == probe), probe)
