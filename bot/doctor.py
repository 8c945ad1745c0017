"""Whether the gate of a repository is one: what its branch forces, who goes round it, and what could forge its evidence. Changes nothing."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot import merges
from bot.escapes import escapes
from bot.evidence.rules import branch_rules
from bot.github.client import Api, ApiError, Repository
from bot.publish import gate_name
from bot.settings import Settings
from bot.store import open_store
from checks.evidence import BranchRules

SAFE_GIT = (2, 43, 7)
"""git-scm.com: the fixes of CVE-2025-48384 and its like are in 2.43.7 and the lines after it; distributions carry them back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that was looked at. `good` is None where it is not known."""

    what: str
    good: bool | None
    remedy: str = ""


def ruleset(name: str, branch: str, app_id: int) -> dict[str, Any]:
    """The ruleset that makes the gate required and pinned, as GitHub's API takes it: docs.github.com/rest/repos/rules"""
    check = {"context": name, "integration_id": app_id}
    parameters = {"required_status_checks": [check], "strict_required_status_checks_policy": True, "do_not_enforce_on_create": False}
    return {
        "name": "Interlock",
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": [],
        "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
        "rules": [{"type": "required_status_checks", "parameters": parameters}, {"type": "pull_request"}, {"type": "non_fast_forward"}],
    }


def command(repository: str, name: str, branch: str, app_id: int) -> str:
    """The command an administrator runs to force the gate."""
    body = json.dumps(ruleset(name, branch, app_id), indent=1)
    return f"gh api --method POST repos/{repository}/rulesets --input - <<'JSON'\n{body}\nJSON"


def of_rules(rules: BranchRules, name: str, app_id: int) -> Iterable[Answer]:
    """What the active rules of a branch say of the gate."""
    ours = [check for check in rules.required if check.context == name]
    yield Answer(f"`{name}` is required by a ruleset", bool(ours), "run the command below as an administrator")
    if ours:
        pinned = any(check.app_id == app_id for check in ours)
        yield Answer("it must come from this App", pinned, "pin it: anyone who can push can fake a check of any source")
    if rules.bypass is None:
        yield Answer("nobody may bypass it", None, "GitHub tells it only to those who may change the rules")
    else:
        yield Answer("nobody may bypass it", not rules.bypass, f"empty the list: {', '.join(rules.bypass)}")
    yield Answer("branches must be up to date, or a merge queue is used", rules.strict or rules.queue, "the base can move after a green")


async def examine(repository: Repository, branch: str, app_id: int) -> list[Answer]:
    """All that GitHub tells of the gate on one branch."""
    name = gate_name(branch)
    found: list[Answer] = []
    try:
        found += of_rules(await branch_rules(repository, branch), name, app_id)
    except ApiError as error:
        found.append(Answer(f"the rules of {branch}", None, f"they could not be read ({error.status or 'no answer'})"))
    found.append(await _classic(repository, branch, name, app_id))
    found.append(await _tokens(repository))
    return found


async def _classic(repository: Repository, branch: str, name: str, app_id: int) -> Answer:
    what = "classic protection leaves no other way"
    try:
        answer = await repository.ask("protection", branch=branch)
    except ApiError as error:
        if error.status == 404:
            return Answer("no classic protection stands beside the rulesets", True)
        return Answer(what, None, "reading it needs the permission administration: read")
    checks = (answer.get("required_status_checks") or {}).get("checks") or []
    loose = [check for check in checks if check.get("context") == name and check.get("app_id") != app_id]
    admins = bool((answer.get("enforce_admins") or {}).get("enabled"))
    return Answer(what, not loose and admins, "pin the check and include administrators, or use a ruleset alone")


async def _tokens(repository: Repository) -> Answer:
    what = "workflows' tokens only read unless they ask for more, so that a check is not forged in passing"
    try:
        answer = await repository.ask("workflow-permissions")
    except ApiError:
        return Answer(what, None, "reading it needs the permission administration: read; evidence is bound to jobs of runs in any case")
    return Answer(what, answer.get("default_workflow_permissions") == "read", "Settings → Actions → Workflow permissions → read")


def of_machine(settings: Settings) -> Iterable[Answer]:
    """What this machine brings along: git, settings."""
    told = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = tuple(int(part) for part in told.split(" ")[2].split(".")[:3] if part.isdigit()) if told.count(" ") >= 2 else ()
    good = True if numbers >= SAFE_GIT else None
    yield Answer(told or "git", good if told else False, "older than 2.43.7: see that your distribution carries the fixes of 2024 and 2025")
    missing = ", ".join(settings.missing)
    yield Answer("the App's id, key and webhook secret are set", not settings.missing, f"set {missing}")


def text_of(found: Iterable[Answer], last: str) -> str:
    """The answers as lines, and the command that mends them."""
    marks = {True: "ok  ", False: "NO  ", None: "?   "}
    lines = [f"{marks[one.good]} {one.what}" + (f": {one.remedy}" if one.good is not True and one.remedy else "") for one in found]
    return "\n".join([*lines, "", last]) if last else "\n".join(lines)


def of_merges(settings: Settings, name: str, branch: str) -> Iterable[Answer]:
    """What this server saw of the merges into a branch. Reads its database where there is one."""
    if not settings.database_url and not (settings.data / "interlock.db").is_file():
        return
    store = open_store(settings.data, settings.database_url)
    try:
        found = merges.of_branch(store, name, branch, time.time())
        past = [one for one in escapes(store, name) if one["branch"] == branch]
    finally:
        store.close()
    if past:
        yield Answer(f"nothing reached {branch} round the gate", False, "; ".join(str(one["why"]) for one in past[:5]))
    if not found.merged:
        return
    which = ", ".join(f"#{number}" for number in found.round)
    yield Answer(f"none of the {found.merged} merges of the last {merges.DAYS} days went round the gate", not found.round, which)
    proven = f"{found.hazardous - found.unproven} of {found.hazardous} hazardous merges were proven"
    yield Answer(proven, not found.unproven, f"{found.unproven} were cleared by an approval at most")


async def doctor(settings: Settings, name: str, branch: str | None) -> tuple[str, bool]:
    """(the text, whether all is known to be well) for `OWNER/REPO`. Raises `ApiError`."""
    found = list(of_machine(settings))
    if settings.credentials is None:
        return text_of(found, ""), False
    api = Api(settings.credentials, settings.api_url)
    try:
        owner, _, repo = name.partition("/")
        installed = await api.as_app("repository-installation", owner=owner, repo=repo)
        repository = api.installation(int(installed["id"]), name)
        branch = branch or str((await repository.ask("repository")).get("default_branch") or "main")
        found += await examine(repository, branch, api.app_id)
        found += of_merges(settings, repository.full_name, branch)
    finally:
        await api.close()
    fine = all(one.good is True for one in found)
    remedy = (
        ""
        if fine
        else "To force the gate, an administrator runs:\n\n" + command(name, gate_name(branch), branch, settings.credentials.app_id)
    )
    return text_of(found, remedy), fine
