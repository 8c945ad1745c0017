"""Hooks: a program that runs around an agent's actions is both arbitrary code and, where it can block, a limit.

Whether it can block: code.claude.com/docs/en/hooks (exit code 2 or a `deny` decision before the action; any other failure lets it go on),
cursor.com/docs/agent/hooks (`failClosed`), docs.github.com/copilot (`permissionDecision: deny`), geminicli.com/docs/hooks.
"""

from __future__ import annotations

import re

from checks.authority.nouns import Draft, Force, Grant, Limit, Verb
from checks.authority.sources import Folder
from checks.model import Severity, Unreadable

BEFORE = re.compile(r"(?:pre|before|permission|user_?prompt|stop|subagentstop|configchange|taskcompleted)", re.IGNORECASE)
_ALWAYS_WELL = re.compile(r"(?:\|\|[ \t]*(?:true|:|exit 0|echo\b.{0,80})|;[ \t]*(?:true|:|exit 0)|&)[ \t]*\Z")
_QUIET = re.compile(r"[ \t]*(?:2>[ \t]*/dev/null|>[ \t]*/dev/null|&>[ \t]*/dev/null|2>&1)")
_VARIABLE = re.compile(
    r"""["']?\$\{?(?:CLAUDE_PROJECT_DIR|GEMINI_PROJECT_DIR|CURSOR_PROJECT_DIR|PWD|workspaceFolder|PROJECT_ROOT)\}?["']?/"""
)
_LOCKED = re.compile(r"\b(uv run)(?:[ \t]+(?:--frozen|--locked|--no-sync|--quiet|-q))+(?=[ \t])")
"""How `uv run` treats its lock: the same program runs."""
_PATH = re.compile(
    r"""(?:^|[\s"'])((?:\./)?[A-Za-z0-9_.@-]+(?:/[A-Za-z0-9_.@-]+)+|[A-Za-z0-9_@-]+\.(?:sh|py|js|ts|mjs|cjs|rb|bash|zsh|ps1))(?=["'\s;|&]|$)"""
)
_BLOCKS = re.compile(
    r"""exit[ (]+2\b|exitCode ?= ?2|["']?(?:permissionDecision|permission|decision)["']?\s*[:=]\s*["']?(?:deny|block|ask)|["']deny["']|["']block["']|raise SystemExit\(2|Exit\(2\)|\\"deny\\"|\\"block\\\""""
)
_BLOCKS_ANY = re.compile(r"exit[ (]+[1-9]|raise SystemExit|sys\.exit|process\.exit\([1-9]")


def core(command: str) -> str:
    """A hook's command without what only decides how its failure is taken: so that a neutered hook is still the same hook."""
    text = _LOCKED.sub(r"\1", _VARIABLE.sub("", command.strip()))
    while True:
        shorter = _QUIET.sub("", _ALWAYS_WELL.sub("", text)).strip()
        if shorter == text:
            return " ".join(text.split())
        text = shorter


def script_of(command: str) -> str | None:
    """The repository's script that a hook runs, as a path from the root; None where it runs no file of the repository."""
    if command.lstrip().startswith(("~", "/")):
        return None
    match = _PATH.search(_VARIABLE.sub("", command))
    return match[1].removeprefix("./") if match and not match[1].startswith(("http", "@")) else None


def hook(
    draft: Draft,
    folder: Folder,
    event: str,
    matcher: str,
    command: str,
    path: str,
    line: int | None,
    *,
    soft: bool = False,
    fails_closed: bool = False,
) -> None:
    """Adds one hook: the code it runs, and the limit it is where it runs before an action. `soft`: it cannot block by its settings."""
    name = core(command)
    shown = name if len(name) <= 80 else name[:79] + "…"
    fetches = bool(re.search(r"\b(?:curl|wget|npx|uvx|bunx|pnpm dlx)\b|https?://", command))
    severity = Severity.MODERATE if fetches else Severity.LOW
    script = script_of(command)
    missing = script is not None and not folder.exists(script)
    if not missing:
        draft.grants.append(Grant(Verb.CODE, f"{event} {name}", f"run `{shown}` at each {event} without asking", path, line, severity))
    if not BEFORE.search(event):
        return
    force, why = _force(folder, event, command, script, missing, soft, fails_closed)
    draft.limits.append(
        Limit(
            Verb.CODE,
            f"{event} {name}",
            f"the {event} hook `{shown}`",
            path,
            line,
            force,
            why,
            Severity.MODERATE,
            value=matcher,
            hook=True,
        )
    )


_ACTION = re.compile(r"pre|before|permission", re.IGNORECASE)


def _force(
    folder: Folder, event: str, command: str, script: str | None, missing: bool, soft: bool, fails_closed: bool
) -> tuple[Force, str]:
    if missing:
        return Force.INERT, f"its script {script} is not in the repository, and a hook that cannot start blocks nothing"
    if _ALWAYS_WELL.search(command.strip()):
        return Force.INERT, "its command always ends well, so it can block nothing"
    if soft:
        return Force.INERT, "it runs beside the action instead of before it"
    who = "whoever may change the file or switch hooks off"
    if fails_closed:
        return Force.BYPASSABLE, who
    if script is None:
        return (Force.BYPASSABLE, who) if _ACTION.match(event) else (Force.ADVISORY, "it runs around prompts, not before actions")
    path = folder.at(script)
    try:
        data = folder.tree.read(path)
    except Unreadable:
        data = None
    if data is None or len(data) > 200_000:
        return Force.BYPASSABLE, who
    text = data.decode("utf-8", "replace")
    if _BLOCKS.search(text):
        return Force.BYPASSABLE, who + "; a crash of it lets the action go on"
    if _BLOCKS_ANY.search(text):
        return Force.ADVISORY, f"{script} fails only with another status than 2, which does not block"
    return Force.ADVISORY, f"nothing in {script} blocks"
