"""Workflows that run an agent: there it acts with nobody to ask.

Docs: github.com/anthropics/claude-code-action docs/{usage,security,configuration}.md; github.com/openai/codex-action README;
github.com/google-github-actions/run-gemini-cli README (it always runs with --yolo); github.github.com/gh-aw/reference/{frontmatter,tools,safe-outputs}.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from checks.authority.claude_code import allowed, denied, split_tools
from checks.authority.commands import shell, weigh
from checks.authority.nouns import Authority, Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder, dotted, servers, truth
from checks.model import Severity, Unreadable
from checks.readers.documents import Node, json_node
from checks.readers.expression import filled, never
from checks.readers.workflow import Job, Permissions, Step, Workflow, workflow

FOLDER = ".github/workflows"
Fill = Callable[[Draft, Workflow, Job, Step], None]
UNTRUSTED = {
    "issue_comment": "comments",
    "issues": "new issues",
    "discussion": "discussions",
    "discussion_comment": "comments",
    "pull_request_target": "pull requests from forks",
    "pull_request_review": "reviews",
    "pull_request_review_comment": "review comments",
    "workflow_run": "other workflows' runs",
}
FILE = "whoever may change the workflow"

ACTIONS = {
    "anthropics/claude-code-action": ("claude-code", "Claude Code"),
    "anthropics/claude-code-base-action": ("claude-code", "Claude Code"),
    "anthropics/claude-code-security-review": ("claude-code", "Claude Code"),
    "openai/codex-action": ("codex", "Codex"),
    "google-github-actions/run-gemini-cli": ("gemini-cli", "Gemini CLI"),
    "google-gemini/gemini-cli-action": ("gemini-cli", "Gemini CLI"),
    "sst/opencode/github": ("opencode", "OpenCode"),
    "anomalyco/opencode/github": ("opencode", "OpenCode"),
    "all-hands-ai/openhands-resolver": ("openhands", "OpenHands"),
    "augmentcode/augment-agent": ("augment", "Augment"),
}


def read(folder: Folder, only: Collection[str] | None = None) -> Iterator[Authority]:
    """Every job of the repository's workflows that runs an agent (`only`: of these files)."""
    if folder.root:
        return
    if only is None:
        found = list(_everywhere(folder, None))
        called = {one.surface.partition(", called by ")[0] for one in found if ", called by " in one.surface}
        # One that runs only when called is said once per caller.
        yield from (one for one in found if one.surface not in called or not _only_called(folder, one.files[0]))
        return
    yield from _everywhere(folder, only)


def _only_called(folder: Folder, path: str) -> bool:
    found = _local(folder, path)
    return found is not None and found.events == {"workflow_call"}


def _everywhere(folder: Folder, only: Collection[str] | None) -> Iterator[Authority]:
    entries = folder.tree.list(FOLDER)
    for name in sorted(entries)[:500]:
        path = f"{FOLDER}/{name}"
        if only is not None and path not in only:
            continue
        if not entries[name].is_file:
            continue
        if name.endswith(".md"):
            yield from _agentic(folder, path)
        elif name.endswith((".yml", ".yaml")) and not name.endswith(".lock.yml"):
            yield from _workflow(folder, path, only)


_WAKES = re.compile(
    rb"claude|codex|gemini|copilot|cursor-agent|opencode|openhands|aider|goose|kiro|amazon-q|\bq chat|cline|\bamp\b|augment", re.IGNORECASE
)


@lru_cache(maxsize=2048)
def _may_run_an_agent(data: bytes) -> bool:
    return _WAKES.search(data) is not None or _LOCAL.search(data) is not None


_LOCAL = re.compile(rb"uses:[ \t]*['\"]?[.$]/")
"""What stands in the repository itself may run an agent that this file does not name."""


def _workflow(folder: Folder, path: str, only: Collection[str] | None = None) -> Iterator[Authority]:
    try:
        data = folder.tree.read(path)
        if data is None or not _may_run_an_agent(data):
            return
        found = workflow(data, path)
    except Unreadable:
        # The detectors of workflows say so themselves.
        return
    for job in found.jobs if found else ():
        if never(job.condition):
            continue  # it never runs
        yield from job_authority(folder, found, job) if found else ()
        yield from _called(folder, found, job, only) if found else ()


def _called(folder: Folder, found: Workflow, job: Job, only: Collection[str] | None) -> Iterator[Authority]:
    """The agents of a local reusable workflow, with the token and the secrets its caller hands over.

    docs.github.com/actions, "Reusing workflows": the token is never more than the caller's; secrets pass by name or with `inherit`.
    """
    path = job.uses.removeprefix("./")
    # One that changed itself is compared as itself.
    if path == job.uses or (only is not None and path in only):
        return
    called = _local(folder, path)
    if called is None:
        return
    handed = job.permissions or found.permissions
    surface = f"called by job {job.id} of {found.path}"
    whole = replace(called, triggers=tuple(trigger for trigger in called.triggers if trigger.name != "workflow_call") + found.triggers)
    for inner in called.jobs:
        permissions = _at_most(inner.permissions or called.permissions, handed)
        given = replace(inner, permissions=permissions, env=(*inner.env, *(() if job.inherits else job.secrets)))
        yield from job_authority(folder, whole, given, surface)


def _at_most(asked: Permissions | None, handed: Permissions | None) -> Permissions | None:
    """The token of a called job: what it asks for, within what its caller has."""
    if asked is None or handed is None or handed.whole == "write-all":
        return asked or handed
    if asked.whole == "write-all":
        return handed
    return replace(asked, scopes=tuple(one for one in asked.scopes if one[1] != "write" or (one[0], "write") in handed.scopes))


def _local(folder: Folder, path: str) -> Workflow | None:
    """A workflow or action of this repository; None where there is none that can be read."""
    try:
        data = folder.tree.read(path)
        return workflow(data, path) if data is not None else None
    except Unreadable:
        return None


STEPS = 2000
"""Steps of one job that are looked at, those of local actions included: actions that use one another many times over end here."""
DEPTH = 10
"""Composite actions inside one another: as many as GitHub allows (docs.github.com/actions, "Creating a composite action")."""


def _steps(folder: Folder, found: Workflow, steps: Iterable[Step], depth: int = 0) -> Iterator[tuple[Workflow, Step]]:
    """Every step with the file it stands in: those of local composite actions stand for the step that uses them."""
    fetched: dict[str, str] = {}
    for step in steps:
        if step.action == "actions/checkout" and step.input("repository") and step.input("path"):
            fetched[posixpath.normpath(step.input("path") or "")] = step.input("repository") or ""
        if not step.uses.startswith("./") or depth >= DEPTH:
            yield found, step
            continue
        root = posixpath.normpath(step.uses)
        whose = next((path for path in fetched if root == path or root.startswith(path + "/")), None)
        if whose is not None:
            # Another repository's action, which an earlier step checked out to this path.
            yield found, replace(step, uses=fetched[whose] + root[len(whose) :])
            continue
        yield found, step
        action = _local(folder, f"{root}/action.yml") or _local(folder, f"{root}/action.yaml")
        ran = False
        here = replace(action, triggers=found.triggers) if action is not None else found
        for job in action.jobs if action is not None else ():
            inner = tuple(replace(one, with_=tuple((key, _given(text, step, here)) for key, text in one.with_)) for one in job.steps)
            for place, one in _steps(folder, here, inner, depth + 1):
                ran = ran or any(True for _ in _agents_of(one))
                yield place, one
        if not ran and _takes_what_claude_takes(step):
            # It runs the agent by a program of its own: its inputs say which agent.
            yield found, replace(step, uses="anthropics/claude-code-base-action")


def _takes_what_claude_takes(step: Step) -> bool:
    """Whether a step's inputs are those of claude-code-base-action (its action.yml): a key of the vendor and something to do."""
    keys = {key.lower() for key, _ in step.with_}
    return "claude_args" in keys or (
        bool(keys & {"anthropic_api_key", "claude_code_oauth_token", "anthropic_federation_rule_id"})
        and bool(keys & {"prompt", "prompt_file", "allowed_tools"})
    )


def _given(text: str, step: Step, action: Workflow) -> str:
    """`text` of an action's step with its inputs put in: what the caller wrote, else the action's default; other expressions stay."""
    if "${{" not in text:
        return text
    values = {one.name.lower(): one.default if (said := step.input(one.name.lower())) is None else said for one in action.inputs}
    known = {f"inputs.{name}": value for name, value in values.items() if "${{" not in value}
    return _INPUT.sub(lambda match: values.get(match[1].lower(), match[0]), filled(text, known))


_INPUT = re.compile(r"\$\{\{\s*inputs\.([A-Za-z0-9_-]{1,80})\s*\}\}")


def job_authority(folder: Folder, found: Workflow, job: Job, called: str = "") -> Iterator[Authority]:
    """The agents that one job runs, in local actions too: a draft for each, with what the job's token and secrets add."""
    drafts: dict[str, Draft] = {}
    for place, step in islice(_steps(folder, found, job.steps), STEPS):
        for agent, title, fill in _agents_of(step):
            draft = drafts.get(agent)
            if draft is None:
                draft = drafts[agent] = Draft(agent, title, f"job {job.id} of {found.path}" + (f", {called}" if called else ""))
                draft.files.append(found.path)
                _presence(draft, place, job, step)
            if place.path not in draft.files:
                draft.files.append(place.path)
            fill(draft, place, job, step)
    for draft in drafts.values():
        _reach(draft, found, job)
        draft.unknown.append("secrets and environments are GitHub's settings: what they hold is not in the repository")
        draft.own_limits = _own(draft, found.path)
        yield draft.done()


def _own(draft: Draft, path: str) -> str:
    """A token of a workflow may never push changed workflows (docs.github.com/actions, GITHUB_TOKEN); a pull request or another token may."""
    edits = any(grant.verb is Verb.EDIT and (grant.what == "*" or ".github" in grant.what) for grant in draft.grants)
    runs = any(
        grant.verb is Verb.EVERYTHING or (grant.verb is Verb.SHELL and (grant.what in ("*", "sandboxed") or weigh(grant.what).runner))
        for grant in draft.grants
    )
    if edits or runs:
        return f"yes in its checkout ({path} included); the workflow token cannot push a changed workflow, another token it is given could"
    if any(grant.verb is Verb.SHELL and grant.what.startswith("profile ") for grant in draft.grants):
        return "unknown: its permission profile says what it may write"
    return f"no: nothing lets it write {path}"


def _started_by(found: Workflow) -> str:
    words = [UNTRUSTED[event] for event in UNTRUSTED if event in found.events]
    return ", ".join(dict.fromkeys(words))


def _presence(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
    started = _started_by(found)
    text = f"run in CI (job {job.id})" + (f", started by {started}" if started else "")
    severity = Severity.MODERATE if started else Severity.LOW
    draft.grants.append(Grant(Verb.PRESENCE, draft.agent, text, found.path, step.uses_line or step.line, severity))


def _reach(draft: Draft, found: Workflow, job: Job) -> None:
    """What the job's token, secrets and cloud roles add: part of the answer; their widening is other detectors' to report."""
    permissions = job.permissions or found.permissions
    line = permissions.line if permissions else job.line
    if permissions is None:
        draft.unknown.append("the repository's default for the workflow token")
    else:
        scopes = [name for name, value in permissions.scopes if value == "write"]
        if permissions.whole == "write-all":
            scopes = ["every scope"]
        for scope in scopes:
            if scope == "id-token":
                text = "ask clouds that trust this repository for a role (id-token: write)"
            else:
                text = f"write {scope} with the workflow token"
            draft.grants.append(
                Grant(Verb.TOKEN, scope, text, found.path, line, Severity.LOW, scope in ("contents", "every scope"), quiet=True)
            )
    for step in job.steps:
        role = next((step.input(key) for key in ("role-to-assume", "workload_identity_provider", "client-id") if step.input(key)), None)
        if role and step.action in ("aws-actions/configure-aws-credentials", "google-github-actions/auth", "azure/login"):
            draft.grants.append(
                Grant(
                    Verb.SECRET,
                    f"role {role}",
                    f"act with the cloud role {role}",
                    found.path,
                    step.line,
                    Severity.MODERATE,
                    True,
                    quiet=True,
                )
            )
    texts = [*found.env, *job.env]
    for step in job.steps:
        texts += [*step.env, *step.with_]
    names = dict.fromkeys(name for _, text in texts for name in re.findall(r"secrets\.([A-Za-z0-9_]{1,80})", text))
    for name in names:
        if name != "GITHUB_TOKEN":
            draft.grants.append(
                Grant(Verb.SECRET, name, f"see or use the secret {name} in its job", found.path, job.line, Severity.LOW, quiet=True)
            )
    if any("self-hosted" in label for label in job.runs_on):
        draft.grants.append(
            Grant(Verb.CODE, "self-hosted", "run on a self-hosted runner", found.path, job.runs_on_line, Severity.MODERATE, quiet=True)
        )


# Which steps run an agent


def _agents_of(step: Step) -> Iterator[tuple[str, str, Fill]]:
    if step.uses:
        named = ACTIONS.get(step.action)
        if named:
            yield *named, _FILLS.get(named[0], _plain)
        return
    for agent, title, danger in _shelled(step.run):
        yield agent, title, _shell_out(agent, danger)


@lru_cache(maxsize=2048)
def _shelled(script: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """The agents that a script calls: (agent, title, what makes the call dangerous)."""
    words = _uncommented(script)
    return tuple(
        (agent, title, danger)
        for agent, title, pattern, danger in _SHELL_OUTS
        if any(not _OPTION.search(words[max(0, match.start() - 80) : match.start() + 1]) for match in pattern.finditer(words))
    )


_OPTION = re.compile(r"\s--(?!(?:yes|no-install|preserve-env|foreground|login|bun|quiet|silent|ignore-environment)\s)[a-z][a-z-]*[ \t]+\Z")
"""What follows such an option is its value (`usage --provider codex --web`), not a program that runs."""


def _uncommented(script: str) -> str:
    """A script with its comment lines emptied, so that lines keep their numbers."""
    return "\n".join("" if line.lstrip().startswith("#") else line for line in script.split("\n"))


def _plain(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
    draft.grants.append(shell("*", found.path, step.uses_line or step.line))


_TAGGED = ("issue_comment", "issues", "pull_request_review", "pull_request_review_comment")


def _claude_by_mention(draft: Draft, found: Workflow, step: Step) -> None:
    """What claude-code-action gives when a mention starts it: without a prompt, or with `track_progress` (src/modes/{detector,tag/index}.ts).

    File edits in the checkout are taken without asking, and git may commit and push the branch that the action makes.
    """
    mentioned = not (step.input("prompt") or "").strip() and any(event in found.events for event in _TAGGED)
    if not mentioned and (step.input("track_progress") or "").strip().lower() != "true":
        return
    line = step.uses_line or step.line
    draft.grants.append(Grant(Verb.EDIT, "*", "edit any file of the checkout", found.path, line, quiet=True))
    if (step.input("use_commit_signing") or "").strip().lower() == "true":
        draft.grants.append(Grant(Verb.TOOL, "commits", "commit files to its branch through GitHub", found.path, line, quiet=True))
        return
    draft.grants.append(Grant(Verb.TOOL, "commits", "commit to its branch and push it", found.path, line, quiet=True))


def _claude_app(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
    """Without `github_token` the action trades its OIDC token for one of the Claude GitHub App (docs/security.md, src/github/token.ts)."""
    permissions = job.permissions or found.permissions
    if (step.input("github_token") or "").strip() or permissions is None:
        return
    if permissions.whole == "write-all" or ("id-token", "write") in permissions.scopes:
        text = "write contents, pull-requests and issues with the token of the Claude GitHub App, whatever the workflow token may"
        draft.grants.append(
            Grant(Verb.TOKEN, "Claude GitHub App", text, found.path, step.uses_line or step.line, destructive=True, quiet=True)
        )


def _claude(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
    path = found.path
    if step.action == "anthropics/claude-code-security-review":
        draft.unknown.append("which tools anthropics/claude-code-security-review gives the agent: its own program says")
    for key in ("allowed_tools", "allowed-tools"):
        _claude_tools(draft, step.input(key) or "", path, step.input_line(key))
    for rule in split_tools(step.input("disallowed_tools") or ""):
        _deny(draft, rule, path, step.input_line("disallowed_tools"))
    arguments = step.input("claude_args") or ""
    _claude_flags(draft, _words(arguments), path, step.input_line("claude_args"), arguments)
    settings = step.input("settings") or ""
    if settings.lstrip().startswith("{"):
        node = _inline(settings)
        listed = node.get("permissions", "allow") if node else None
        for item in listed.elements() if listed is not None else ():
            _claude_tools(draft, item.text or "", path, step.input_line("settings"))
        if truth(node, "enableAllProjectMcpServers"):
            draft.grants.append(
                Grant(
                    Verb.SERVER,
                    "every project server",
                    "start every server of .mcp.json unasked",
                    path,
                    step.input_line("settings"),
                    Severity.MODERATE,
                )
            )
    config = step.input("mcp_config") or ""
    if config:
        _servers_given(draft, config, path, step.input_line("mcp_config"))
    for key, words in (("allowed_non_write_users", "start for people without write access"), ("allowed_bots", "start for bots")):
        value = (step.input(key) or "").strip()
        if value:
            whom = "anyone" if value == "*" else value
            severity = Severity.HIGH if value == "*" and key == "allowed_non_write_users" else Severity.MODERATE
            draft.grants.append(Grant(Verb.TRIGGER, key, f"{words} ({whom})", path, step.input_line(key), severity, value=value))
    for key in ("plugins", "plugin_marketplaces"):
        for entry in (step.input(key) or "").split():
            draft.grants.append(Grant(Verb.PLUGIN, f"{key} {entry}", f"load {entry}", path, step.input_line(key), Severity.MODERATE))
    if "0" in (step.input("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB") or "", dict(step.env).get("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB", "")):
        draft.grants.append(Grant(Verb.SECRET, "environment", "hand its secrets to the programs it starts", path, step.line, Severity.HIGH))
    # Last: what the workflow itself lists is said first.
    if step.action == "anthropics/claude-code-action":
        _claude_by_mention(draft, found, step)
        _claude_app(draft, found, job, step)
    if step.action.endswith("base-action"):
        draft.unknown.append("the base action does not restore the agent's files from the base branch")


def _claude_tools(draft: Draft, text: str, path: str, line: int) -> None:
    # Inputs of the action are lists by comma or line; blanks belong to a rule.
    for part in re.split(r"[\n,](?![^()\n]*\))", text):
        grant = allowed(part.strip().strip("\"'"), path, line) if part.strip() else None
        if grant is not None:
            draft.grants.append(grant)


def _deny(draft: Draft, rule: str, path: str, line: int) -> None:
    limit = denied(rule, "deny", path, line, "")
    if limit is not None:
        draft.limits.append(replace(limit, why=FILE))


def _words(text: str) -> list[str]:
    text = re.sub(r"\$\{\{.*?\}\}", "EXPRESSION", text[:20_000], flags=re.DOTALL)
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return [word.strip("\"'") for word in text.split()]


def _values(words: list[str], flag: str) -> Iterator[str]:
    """The values after each `flag`: until the next flag, and `flag=value`."""
    taking = False
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            taking = name == flag
            if taking and value:
                yield value
        elif taking:
            yield word


def _where(text: str, needle: str, line: int) -> int:
    """The line of `needle` in a block that starts at `line`."""
    at = text.find(needle)
    return line if at < 0 else line + text.count("\n", 0, at)


def _claude_flags(draft: Draft, words: list[str], path: str, line: int, text: str) -> None:
    for flag in ("--allowedTools", "--allowed-tools"):
        # Rules without quotes fall apart at blanks: brackets put them together again.
        for rule in split_tools_by_comma(" ".join(_values(words, flag))):
            grant = allowed(rule, path, _where(text, flag, line))
            if grant is not None:
                draft.grants.append(grant)
    for flag in ("--disallowedTools", "--disallowed-tools"):
        for rule in split_tools_by_comma(" ".join(_values(words, flag))):
            _deny(draft, rule, path, _where(text, flag, line))
    mode = next(iter(_values(words, "--permission-mode")), "")
    if "--dangerously-skip-permissions" in words or mode == "bypassPermissions":
        needle = "--dangerously-skip-permissions" if "--dangerously-skip-permissions" in words else "--permission-mode"
        draft.grants.append(
            Grant(Verb.EVERYTHING, "mode bypassPermissions", "do anything unasked", path, _where(text, needle, line), Severity.HIGH, True)
        )
    elif mode in ("acceptEdits", "auto"):
        draft.grants.append(Grant(Verb.EDIT, f"mode {mode}", "edit any file", path, _where(text, "--permission-mode", line), Severity.LOW))
    for value in _values(words, "--mcp-config"):
        _servers_given(draft, value, path, _where(text, "--mcp-config", line))
    for value in _values(words, "--settings"):
        if "disableAllHooks" in value:
            draft.grants.append(
                Grant(Verb.EVERYTHING, "no hooks", "act without any hook", path, _where(text, "--settings", line), Severity.HIGH)
            )


def split_tools_by_comma(text: str) -> tuple[str, ...]:
    """Rules of one argument: by comma outside brackets; blanks separate only before a capital letter or `mcp__`."""
    out: list[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth <= 0 and (char == "," or (char == " " and re.match(r" +(?:[A-Z]|mcp__)", text[at : at + 8]))):
            out.append(text[start:at])
            start = at + 1
    return tuple(part.strip() for part in (*out, text[start:]) if part.strip())


def _servers_given(draft: Draft, config: str, path: str, line: int) -> None:
    node = _inline(config) if config.lstrip().startswith("{") else None
    if node is not None:
        before = len(draft.grants)
        servers(draft, node.get("mcpServers"), path)
        draft.grants[before:] = [replace(grant, line=line) for grant in draft.grants[before:]]
    else:
        draft.grants.append(Grant(Verb.SERVER, f"config {config}", f"use every server named in {config}", path, line, Severity.MODERATE))


def _inline(text: str) -> Node | None:
    try:
        node = json_node(re.sub(r"\$\{\{.*?\}\}", "EXPRESSION", text[:200_000], flags=re.DOTALL).encode(), "settings.json")
    except Unreadable:
        return None
    return node if node.is_map else None


_PROFILES = {":read-only": "read-only", ":workspace": "workspace-write", ":danger-full-access": "danger-full-access"}
"""Codex's own permission profiles and the sandboxes they are (developers.openai.com/codex/permissions)."""


def _codex(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
    path = found.path
    # The profile stands in place of the older `sandbox` (its README, "permission-profile").
    profile = (step.input("permission-profile") or "").strip()
    box = _PROFILES.get(profile, profile) or step.input("sandbox") or "workspace-write"
    key = "permission-profile" if profile else "sandbox"
    arguments = step.input("codex-args") or ""
    everything = "danger-full-access" in arguments or "--dangerously-bypass-approvals-and-sandbox" in arguments or "--yolo" in arguments
    if box == "danger-full-access" or everything:
        line = step.input_line("codex-args" if everything else key)
        draft.grants.append(
            Grant(Verb.EVERYTHING, "danger-full-access", "do anything outside any sandbox", path, line, Severity.HIGH, True)
        )
    elif box == "workspace-write":
        draft.grants.append(
            Grant(
                Verb.SHELL,
                "sandboxed",
                "run any command unasked inside the sandbox, writing the checkout",
                path,
                step.uses_line,
                Severity.LOW,
                False,
                ("in the sandbox",),
            )
        )
    elif profile and box == profile:
        text = f"run any command unasked, as far as the permission profile {profile} lets it"
        draft.grants.append(Grant(Verb.SHELL, f"profile {profile}", text, path, step.input_line(key), condition=("in the sandbox",)))
        draft.unknown.append(f"what the permission profile {profile} lets it write and reach: the config.toml of its codex-home says")
    else:
        draft.limits.append(
            Limit(Verb.SHELL, "sandbox", "the read-only sandbox", path, step.input_line(key), Force.BYPASSABLE, FILE, Severity.HIGH)
        )
    strategy = step.input("safety-strategy") or "drop-sudo"
    if strategy == "unsafe":
        draft.grants.append(
            Grant(
                Verb.EVERYTHING,
                "unsafe",
                "become root on the runner and read its key",
                path,
                step.input_line("safety-strategy"),
                Severity.HIGH,
                True,
            )
        )
    else:
        draft.limits.append(
            Limit(
                Verb.EVERYTHING,
                "safety-strategy",
                f"the safety strategy `{strategy}`",
                path,
                step.input_line("safety-strategy"),
                Force.BYPASSABLE,
                FILE,
                Severity.HIGH,
            )
        )
    for key in ("allow-users", "allow-bots", "allow-bot-users"):
        value = (step.input(key) or "").strip()
        if value and value != "false":
            severity = Severity.HIGH if value == "*" else Severity.MODERATE
            draft.grants.append(
                Grant(
                    Verb.TRIGGER,
                    key,
                    f"start for {'anyone' if value == '*' else value} ({key})",
                    path,
                    step.input_line(key),
                    severity,
                    value=value,
                )
            )


def _gemini(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
    path = found.path
    text = step.input("settings") or step.input("settings_json") or ""
    line = step.input_line("settings") if step.input("settings") else step.uses_line
    node = _inline(text) if text else None
    core = None
    if node is not None:
        core = next((found_ for key in ("tools.core", "coreTools") if (found_ := dotted(node, key)) is not None), None)
        servers(draft, node.get("mcpServers"), path)
        draft.grants[:] = [
            replace(grant, line=_where(text, f'"{grant.what}"', line)) if grant.verb is Verb.SERVER else grant for grant in draft.grants
        ]
        for key in ("tools.exclude", "excludeTools"):
            listed = dotted(node, key)
            for item in listed.elements() if listed is not None else ():
                draft.limits.append(
                    Limit(
                        Verb.TOOL,
                        f"exclude {item.text}",
                        f"the exclusion of {item.text}",
                        path,
                        _where(text, item.text or key, line),
                        Force.BYPASSABLE,
                        FILE,
                    )
                )
    for entry in re.findall(r"https://[^\s\"',\]]{1,200}", step.input("extensions") or ""):
        where = _where(step.input("extensions") or "", entry, step.input_line("extensions"))
        draft.grants.append(Grant(Verb.PLUGIN, f"extension {entry}", f"load {entry}", path, where, Severity.MODERATE, quiet=True))
    if core is None:
        draft.grants.append(replace(shell("*", path, line), condition=("the action always runs with --yolo",)))
        return
    draft.limits.append(Limit(Verb.TOOL, "tools.core", "the list of tools it may use", path, line, Force.BYPASSABLE, FILE, Severity.HIGH))
    for item in core.elements():
        grant = gemini_tool(item.text or "", path, _where(text, item.text or "", line))
        if grant is not None:
            draft.grants.append(grant)


_READS = frozenset({"read_file", "read_many_files", "list_directory", "ls", "glob", "search_file_content", "grep", "grep_search", "ReadFileTool", "LSTool", "GrepTool", "GlobTool",
                    "ReadManyFilesTool", "save_memory", "write_todos", "echo"})  # fmt: skip


def gemini_tool(name: str, path: str, line: int | None) -> Grant | None:
    """What one entry of Gemini's tool lists lets it do; None for tools that only read the workspace."""
    match = re.match(r"(?:run_shell_command|ShellTool)(?:\((.*)\))?\Z", name)
    if match:
        inner = (match[1] or "").strip().strip("\"'")
        # An entry is a prefix of commands (docs/tools/shell.md).
        grant = shell("*" if not inner else inner if inner.endswith("*") else inner + " *", path, line)
        reads = re.match(r"(?:echo|cat|jq|ls|grep|head|tail|printenv|pwd)\b", inner)
        return None if reads and inner.split()[0] in ("echo", "jq", "pwd") else grant
    if name in _READS:
        return None
    if name in ("write_file", "replace", "edit", "WriteFileTool", "EditTool"):
        return Grant(Verb.EDIT, "*", "edit any file", path, line, Severity.LOW)
    if name in ("web_fetch", "google_web_search", "WebFetchTool", "WebSearchTool"):
        return Grant(
            Verb.NETWORK, name, "fetch pages of the internet", path, line, Severity.MODERATE if "fetch" in name.lower() else Severity.LOW
        )
    return Grant(Verb.TOOL, name, f"use the tool {name} unasked", path, line, Severity.LOW)


_FILLS = {"claude-code": _claude, "codex": _codex, "gemini-cli": _gemini}

_START = r"(?:^|[\s;|&(\"'`])(?:npx (?:-y |--yes )?(?:@[a-z-]+/)?)?"
_ASKS_NOTHING = r"(?!(?:--version|--help|-v|-h|-V)\b)"
"""Looking at a program's version does not run the agent."""


def _program(name: str, rest: str) -> re.Pattern[str]:
    return re.compile(_START + name + r"(?:@[a-z0-9.]+)?[ \t]+" + _ASKS_NOTHING + rest, re.MULTILINE)


_SHELL_OUTS = (
    ("claude-code", "Claude Code", _program("claude(?:-code)?", "--?[a-z]"), re.compile(r"--dangerously-skip-permissions|--permission-mode[ =]bypassPermissions")),
    ("codex", "Codex", _program("codex", r"(?:exec\b|e\b|--?[a-z])"), re.compile(r"--yolo|--dangerously-bypass-approvals-and-sandbox|danger-full-access")),
    ("gemini-cli", "Gemini CLI", _program("gemini(?:-cli)?", "--?[a-z]"), re.compile(r"--yolo|(?:^|\s)-y\b|--approval-mode[= ]yolo", re.MULTILINE)),
    ("copilot", "GitHub Copilot CLI", _program("copilot", "--?[a-z]"), re.compile(r"--allow-all(?:-tools|-paths|-urls)?\b|--yolo")),
    ("cursor", "Cursor CLI", _program("cursor-agent", r"(?!login|status|mcp)\S"), re.compile(r"(?:^|\s)(?:-f|--force|--yolo)\b", re.MULTILINE)),
    ("amazon-q", "Amazon Q CLI", _program("q", r"chat\b"), re.compile(r"--trust-all-tools")),
    ("kiro", "Kiro CLI", _program("kiro-cli", r"(?!login|version|update)\S"), re.compile(r"--trust-all-tools")),
    ("aider", "Aider", _program("aider", "--?[a-z]"), re.compile(r"--yes(?:-always)?\b")),
    ("opencode", "OpenCode", _program("opencode", r"run\b"), re.compile(r"--auto\b|--dangerously")),
    ("goose", "Goose", _program("goose", r"run\b"), re.compile(r"GOOSE_MODE=auto")),
    ("amp", "Amp", _program("amp", r"(?:-x\b|--execute|--dangerously)"), re.compile(r"--dangerously-allow-all")),
    ("openhands", "OpenHands", re.compile(r"openhands[ \t]+(?:--headless|[^\n]{0,80}--always-approve)|python -m openhands"), re.compile(r"--always-approve|--headless")),
)  # fmt: skip


def _shell_out(agent: str, danger: re.Pattern[str]) -> Fill:
    def fill(draft: Draft, found: Workflow, job: Job, step: Step) -> None:
        text = _uncommented(step.run)
        hit = danger.search(text)
        if hit:
            line = step.run_line + text.count("\n", 0, hit.start())
            draft.grants.append(
                Grant(
                    Verb.EVERYTHING,
                    "mode bypassPermissions",
                    f"do anything unasked ({hit.group().strip()})",
                    found.path,
                    line,
                    Severity.HIGH,
                    True,
                )
            )
        if agent == "claude-code":
            words = _words(text.replace("\\\n", " "))
            _claude_flags(draft, words, found.path, step.run_line, text)
        elif agent == "copilot":
            words = _words(text.replace("\\\n", " "))
            for value in _values(words, "--allow-tool"):
                match = re.match(r"shell\((.*)\)\Z", value)
                line = step.run_line
                draft.grants.append(
                    shell(match[1], found.path, line) if match else Grant(Verb.TOOL, value, f"use {value} unasked", found.path, line)
                )

    return fill


# gh-aw: Markdown workflows, compiled into .lock.yml


_ENGINES = {
    "claude": ("claude-code", "Claude Code"),
    "codex": ("codex", "Codex"),
    "copilot": ("copilot", "GitHub Copilot CLI"),
    "gemini": ("gemini-cli", "Gemini CLI"),
}


_NO_OUTPUTS = frozenset({"needs", "github-token", "noop", "staged", "env", "runs-on", "threat-detection", "missing-tool", "missing-data", "max-patch-size", "messages", "report-incomplete",
                         "app", "github-app", "allowed-domains", "footer", "steps", "mentions", "allowed-github-references", "max-bot-mentions", "concurrency-group", "report-failure-as-issue"})  # fmt: skip
"""Keys of `safe-outputs` that let the agent do nothing (gh-aw docs, reference/safe-outputs)."""


def _agentic(folder: Folder, path: str) -> Iterator[Authority]:
    """A Markdown workflow of gh-aw. Its lock file is what runs; the two are taken to agree."""
    node = folder.front(path)
    folder.seen.clear()
    if node is None or node.get("on") is None:
        return
    engine = node.get("engine")
    name = (engine.string("id") if engine is not None and engine.is_map else engine.text if engine is not None else None) or "copilot"
    agent, title = _ENGINES.get(name, (name, name))
    draft = Draft(agent, title, f"the agentic workflow {path}")
    draft.files.append(path)
    on = node.get("on")
    events = frozenset(on.keys() if on is not None and on.is_map else [item.text or "" for item in on.elements()] if on is not None else [])
    started = ", ".join(dict.fromkeys(words for event, words in UNTRUSTED.items() if event in events))
    draft.grants.append(
        Grant(
            Verb.PRESENCE,
            agent,
            "run in CI" + (f", started by {started}" if started else ""),
            path,
            node.key_line("on"),
            Severity.MODERATE if started else Severity.LOW,
        )
    )
    tools = node.get("tools")
    for tool, value in tools.entries() if tools is not None and tools.is_map else ():
        _agentic_tool(draft, tool, value, path)
    given = node.get("mcp-servers")
    servers(draft, given, path)
    network = node.get("network", "allowed")
    for item in network.elements() if network is not None else ():
        severity = Severity.MODERATE if item.text in ("*", "**") else Severity.LOW
        if item.text != "defaults":
            draft.grants.append(Grant(Verb.NETWORK, item.text or "", f"reach {item.text}", path, item.line, severity))
    outputs = node.get("safe-outputs")
    for output, value in outputs.entries() if outputs is not None and outputs.is_map else ():
        if output in _NO_OUTPUTS:
            continue
        severe = any(word in output for word in ("push", "merge", "dispatch", "jobs", "assign"))
        draft.grants.append(
            Grant(
                Verb.TOOL,
                f"output {output}",
                f"{output.replace('-', ' ')} through a checked step",
                path,
                value.line,
                Severity.MODERATE if severe else Severity.LOW,
            )
        )
    if truth(node, "strict") is False:
        draft.grants.append(
            Grant(Verb.EVERYTHING, "not strict", "run without gh-aw's strict checks", path, node.key_line("strict"), Severity.MODERATE)
        )
    roles = node.get("roles") or node.get("on", "roles")
    for item in roles.elements() if roles is not None else ():
        if item.text in ("all", "read", "triage"):
            draft.grants.append(
                Grant(
                    Verb.TRIGGER,
                    f"role {item.text}",
                    f"start for {'anyone' if item.text == 'all' else item.text + ' users'}",
                    path,
                    item.line,
                    Severity.HIGH if item.text == "all" else Severity.MODERATE,
                )
            )
    permissions = node.get("permissions")
    for scope, value in permissions.entries() if permissions is not None and permissions.is_map else ():
        if value.text == "write":
            draft.grants.append(
                Grant(Verb.TOKEN, scope, f"write {scope} with the workflow token", path, value.line, Severity.MODERATE, scope == "contents")
            )
    for key in ("engine", "env", "mcp-servers"):
        given = node.get(key)
        for _, value in given.walk() if given is not None else ():
            for secret in re.findall(r"secrets\.([A-Za-z0-9_]{1,80})", value.text or ""):
                text = f"see or use the secret {secret}, unless gh-aw's firewall keeps it from the agent"
                draft.grants.append(Grant(Verb.SECRET, secret, text, path, value.line, quiet=True))
    if folder.tree.entry(path.removesuffix(".md") + ".lock.yml") is None:
        draft.unknown.append("the compiled lock file is missing, so this workflow may not run at all")
    draft.own_limits = "no: its token reads only, unless the front matter says otherwise"
    yield draft.done()


def _agentic_tool(draft: Draft, tool: str, value: Node, path: str) -> None:
    line = value.line
    if tool == "bash":
        patterns = [item.text or "" for item in value.elements()] if value.is_list else ["*"] if value.value is True else []
        for pattern in patterns:
            pattern = "*" if pattern in ("*", ":*") else pattern.removesuffix(":*") + " *" if pattern.endswith(":*") else pattern
            grant = shell(pattern, path, line, ("in gh-aw's firewall",))
            draft.grants.append(replace(grant, severity=min(grant.severity, Severity.MODERATE, key=lambda s: s.rank)))
    elif tool == "edit":
        draft.grants.append(Grant(Verb.EDIT, "*", "edit any file of the checkout", path, line))
    elif tool in ("web-fetch", "web-search", "playwright"):
        draft.grants.append(Grant(Verb.NETWORK, tool, f"use {tool}", path, line, Severity.LOW))
    elif tool == "github":
        sets = value.get("toolsets") if value.is_map else None
        for item in sets.elements() if sets is not None else ():
            draft.grants.append(Grant(Verb.TOOL, f"github {item.text}", f"use GitHub's {item.text} tools", path, item.line, Severity.LOW))
        if value.is_map and truth(value, "read-only") is False:
            draft.grants.append(
                Grant(Verb.TOOL, "github writes", "write through GitHub's tools", path, value.key_line("read-only"), Severity.MODERATE)
            )
