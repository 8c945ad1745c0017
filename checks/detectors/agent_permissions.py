"""Agent permissions: what a coding agent may newly do, and which of its limits go.

## What it detects
The configuration of coding agents in the repository (Claude Code, Codex, Gemini CLI, Copilot, VS Code, Cursor, Kiro, Amazon Q, Windsurf, Devin, Cline,
Roo, Aider, Goose, OpenHands, Amp, OpenCode, Crush, servers of the Model Context Protocol, development containers) and the workflows that run one are read at
base and at head, each with its own rules of precedence. What an agent may do at head and could not do at base is reported: commands, tools, servers,
modes, programs that run without asking, people who may start it. So is every limit that goes, holds less, or stands there and does nothing.

## Why it matters
An agent takes the permissions it is given. A rule for `uv run` or `npx` is a rule for every program; a hook that ends with `|| true` blocks nothing; a
denied path under the wrong tool name is never consulted. Such lines are short, look like comfort, and come into force for everyone who pulls them.

## Example
    "permissions": { "allow": [ "Bash(npm test)",
    +                           "Bash(terraform:*)" ] }
"Claude Code may newly run `terraform *` (destroy infrastructure with Terraform, apply Terraform) without being asked."

## What makes it safe
Keep the list to commands without side effects, name tools one by one, keep destructive commands in `deny`, switch the sandbox on, and put the checks
that must hold where the agent cannot reach: required checks, rulesets, protected environments.

## What it cannot see
The settings of users, organisations and vendors' consoles; what a server does with a call; whether people run the agent with other flags. Plugins,
templates and examples that are shipped to others configure nobody here and are silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from checks.authority import Delta, authority_of, difference
from checks.authority.devcontainers import image_authority
from checks.authority.difference import Kind, group_of
from checks.authority.nouns import Authority, Force, Grant, Verb
from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Tree
from checks.places import Place, place_of
from checks.readers.workflow import is_action

ALONE = Rule(
    "agent-permissions/may-act-alone",
    Hazard.AGENT_WIDENED,
    Severity.LOW,
    Reversible.YES,
    "An agent may do more without being asked",
    Question.ALONE,
)
SERVER = Rule(
    "agent-permissions/server-added",
    Hazard.AGENT_WIDENED,
    Severity.MODERATE,
    Reversible.YES,
    "An agent gets the tools of a server",
    Question.ALONE,
)
REPOINTED = Rule(
    "agent-permissions/server-repointed",
    Hazard.AGENT_WIDENED,
    Severity.MODERATE,
    Reversible.YES,
    "Another program stands behind a server's name",
    Question.ALONE,
)
CODE = Rule(
    "agent-permissions/code-runs",
    Hazard.AGENT_WIDENED,
    Severity.LOW,
    Reversible.YES,
    "A program newly runs around an agent, unasked",
    Question.ALONE,
)
STARTERS = Rule(
    "agent-permissions/more-may-start-it",
    Hazard.AGENT_WIDENED,
    Severity.MODERATE,
    Reversible.YES,
    "More people or bots may start an agent",
    Question.DESTRUCTIVE,
)
REMOVED = Rule(
    "agent-permissions/limit-removed",
    Hazard.AGENT_UNGUARDED,
    Severity.MODERATE,
    Reversible.YES,
    "A limit on an agent goes",
    Question.FORCED,
)
WEAKENED = Rule(
    "agent-permissions/limit-weakened",
    Hazard.AGENT_UNGUARDED,
    Severity.MODERATE,
    Reversible.YES,
    "A limit on an agent holds less",
    Question.FORCED,
)
INERT = Rule(
    "agent-permissions/limit-inert",
    Hazard.AGENT_UNGUARDED,
    Severity.LOW,
    Reversible.YES,
    "A new limit on an agent does nothing",
    Question.FORCED,
)
HIDDEN = Rule(
    "agent-permissions/attribution-off",
    Hazard.AGENT_UNGUARDED,
    Severity.LOW,
    Reversible.YES,
    "An agent no longer signs what it writes",
    Question.FORCED,
)
NARROWED = Rule("agent-permissions/narrowed", Hazard.AGENT_NARROWED, Severity.LOW, Reversible.YES, "An agent may do less", Question.ALONE)

_ROOT = re.compile(
    r"(.*?)(?:/|\A)(?:\.claude|\.codex|\.gemini|\.cursor|\.kiro|\.amazonq|\.windsurf|\.devin|\.roo|\.openhands|\.amp|\.opencode|\.vscode|\.devcontainer|\.goose|\.cline|\.continue|\.agents|\.github"
    r"|\.mcp\.json|\.roomodes|\.aider\.conf\.yml|opencode\.jsonc?|\.?crush(?:\.json|rc)|\.devcontainer\.json|\.copilot)(?:/.*)?\Z",
    re.DOTALL,
)
_SHIPPED = frozenset({"benchmarks", "blueprints", "boilerplate", "boilerplates", "cookiecutter", "evals", "extension", "extensions", "gallery", "generator", "generators", "marketplace", "marketplaces", "plugin", "plugins", "presets", "recipes", "scaffold", "scaffolds", "skeleton", "snippets", "starter", "starters", "template", "templates"})  # fmt: skip


def root_of(path: str) -> str | None:
    """The folder whose agents a file configures; None for files that are shipped to others, tests, examples and documentation."""
    match = _ROOT.match(path)
    root = match[1] if match else ""
    return root if not root or _configures(root + "/x") else None


def _configures(path: str) -> bool:
    """Whether a file stands where it configures this repository: not among tests, examples, documentation and what is shipped to others."""
    return place_of(path) is Place.DEPLOYED and not frozenset(path.lower().split("/")[:-1]) & _SHIPPED and "{{" not in path


def _shipped(tree: Tree, root: str) -> bool:
    """Whether a folder is a plugin or extension: its content configures those who install it."""
    return bool(root) and any(
        tree.entry(f"{root}/{name}") for name in (".claude-plugin", "gemini-extension.json", ".cursor-plugin", ".codex-plugin")
    )


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of all changed agent configuration, read as a whole at base and at head."""
    old_roots, new_roots = (
        _roots(change.before, (file.base_path for file in files if file.old)),
        _roots(change.after, (file.path for file in files if file.new)),
    )
    # A file that was there is compared with its absence, so both states are read in all folders.
    old_flows = frozenset(file.base_path for file in files if file.old and file.base_path.startswith(".github/workflows/"))
    new_flows = frozenset(file.path for file in files if file.new and file.path.startswith(".github/workflows/"))
    old_flows |= _users(change.before, [file.base_path for file in files if file.old and is_action(file.base_path)])
    new_flows |= _users(change.after, [file.path for file in files if file.new and is_action(file.path)])
    roots = tuple(dict.fromkeys((*old_roots, *new_roots)))
    before = authority_of(change.before, roots, old_flows) + _images(change.before, (file.base_path for file in files if file.old))
    after = authority_of(change.after, roots, new_flows) + _images(change.after, (file.path for file in files if file.new))
    touched = frozenset(path for file in files for path in (file.path, file.base_path))
    yield from _unread(change, before, after)
    for delta in difference(before, after):
        yield from _effects(delta, touched)


def _users(tree: Tree, actions: Sequence[str]) -> frozenset[str]:
    """The workflows of a repository whose local actions changed: any may use them, through other actions too."""
    if not actions:
        return frozenset()
    return frozenset(f".github/workflows/{name}" for name in sorted(tree.list(".github/workflows"))[:500])


def _roots(tree: Tree, paths: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(
        root
        for path in paths
        if not path.startswith(".github/workflows/")
        and not is_action(path)
        and (_ROOT.match(path) or "dockerfile" not in path.lower())
        and (root := root_of(path)) is not None
    )
    return tuple(root for root in found if not _shipped(tree, root))


def _images(tree: Tree, paths: Iterable[str]) -> tuple[Authority, ...]:
    """The agents in changed images; those of development containers are read with their folder."""
    named = (
        path for path in paths if "dockerfile" in path.lower() and "/.devcontainer/" not in f"/{path}" and "/.cursor/" not in f"/{path}"
    )
    return tuple(authority for path in named if _configures(path) for authority in image_authority(tree, path))


def _unread(change: Change, before: Sequence[Authority], after: Sequence[Authority]) -> Iterator[Effect]:
    was = {path for authority in before for path, _, _ in authority.unread}
    for path, why, line in dict.fromkeys(item for authority in after for item in authority.unread):
        if path not in was or change.before.entry(path) != change.after.entry(path):
            yield not_analysed(path, why, line, severity=Severity.MODERATE)


def _effects(delta: Delta, touched: frozenset[str]) -> Iterator[Effect]:
    where = "" if delta.surface.startswith("on a machine") else f" in {delta.surface}"
    subject = f"{delta.title}: {delta.surface}"
    facts = (("agent", delta.agent), *((("contained", delta.contained),) if delta.contained and not delta.moot else ()))
    side = Side.HEAD if delta.head else Side.BASE
    if delta.kind is Kind.GRANTED:
        rule = {"server": SERVER, "code": CODE, "trigger": STARTERS}.get(group_of(delta.grants[0]), ALONE)
        worst = max(delta.grants, key=lambda grant: grant.severity.rank)
        here = next((grant for grant in delta.grants if grant.verb is Verb.PRESENCE), None)
        rest = [grant for grant in delta.grants if grant is not here]
        message = f"{delta.title} may newly {_listed(delta.grants)}{'' if group_of(worst) in ('trigger', 'code') or delta.agent == 'devcontainer' else ' without being asked'}{where}{_conditions(worst)}."
        if delta.moot:
            message = f"{message[:-1]}; {delta.moot} rule{'s' if delta.moot > 1 else ''} that deny commands can be gone round through it."
        if here:
            message = f"{delta.title} newly {here.text.replace('run', 'runs', 1)}" + (
                f" and may {_listed(rest)}, with nobody to ask." if rest else "."
            )
        yield rule.effect(
            subject=subject,
            path=delta.path,
            line=delta.line,
            severity=worst.severity,
            facts=facts,
            message=message,
            after=", ".join(sorted(grant.what for grant in delta.grants)),
        )
    elif delta.kind is Kind.REPOINTED and delta.old is not None:
        grant = delta.grants[0]
        yield REPOINTED.effect(
            subject=f"{delta.title}: server {grant.what}",
            path=delta.path,
            line=delta.line,
            before=delta.old.value,
            after=grant.value,
            facts=facts,
            message=f"The server {grant.what}, whose name {delta.title} and its users already trust{where}, now starts `{grant.value[:120]}` instead of `{delta.old.value[:120]}`.",
        )
    elif delta.kind is Kind.REMOVED and delta.was is not None:
        opened = f", so it may {', '.join(delta.opened[:4])} unasked" if delta.opened else ""
        yield REMOVED.effect(
            subject=f"{delta.title}: {delta.was.what}",
            path=delta.path,
            line=delta.line,
            side=side,
            before=delta.was.what,
            severity=Severity.HIGH if delta.opened and delta.was.severity is not Severity.LOW else delta.was.severity,
            facts=facts,
            message=f"{_capital(delta.was.text)} no longer holds {delta.title} back{where}{opened}.",
        )
    elif delta.kind is Kind.WEAKENED:
        yield from _weakened(delta, where, facts)
    elif delta.kind is Kind.INERT and delta.limit is not None:
        yield INERT.effect(
            subject=f"{delta.title}: {delta.limit.what}",
            path=delta.path,
            line=delta.line,
            facts=facts,
            after=delta.limit.what,
            message=f"{_capital(delta.limit.text)} looks like a limit on {delta.title} and does nothing: {delta.limit.why}.",
        )
    elif delta.kind is Kind.HIDDEN:
        yield HIDDEN.effect(
            subject=delta.title,
            path=delta.path,
            line=delta.line,
            facts=facts,
            message=f"{delta.title} no longer signs its commits or pull requests, so that what it writes cannot be told from what people write.",
        )
    elif delta.kind is Kind.NARROWED and delta.path in touched:
        yield NARROWED.effect(
            subject=subject,
            path=delta.path,
            line=delta.line,
            side=side,
            facts=facts,
            before=", ".join(sorted(grant.what for grant in delta.grants)),
            message=f"{delta.title} may no longer {_listed([grant for grant in delta.grants if not grant.quiet] or delta.grants)}{where}.",
        )


def _weakened(delta: Delta, where: str, facts: tuple[tuple[str, str], ...]) -> Iterator[Effect]:
    if delta.limit is None or delta.was is None:
        yield WEAKENED.effect(
            subject=f"{delta.title}: order of rules",
            path=delta.path,
            line=delta.line,
            severity=Severity.HIGH,
            facts=facts,
            after=", ".join(delta.opened),
            message=f"The same rules in another order let {delta.title} {', '.join(delta.opened[:4])} without being asked{where}.",
        )
        return
    if delta.limit.force.rank < delta.was.force.rank:
        how = "does nothing any more" if delta.limit.force is Force.INERT else "can no longer block"
        why = f": {delta.limit.why}"
    else:
        how, why = f"covers only {delta.limit.value or 'nothing'} instead of {delta.was.value or 'everything'}", ""
    yield WEAKENED.effect(
        subject=f"{delta.title}: {delta.limit.what}",
        path=delta.path,
        line=delta.line,
        before=delta.was.value or delta.was.force,
        after=delta.limit.value if not why else delta.limit.force,
        facts=facts,
        message=f"{_capital(delta.limit.text)} on {delta.title}{where} {how}{why}.",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(grants: Sequence[Grant]) -> str:
    ranked = sorted(grants, key=lambda grant: -grant.severity.rank)
    texts = list(dict.fromkeys(grant.text for grant in ranked))
    return ", ".join(texts[:4]) + (f" and {len(texts) - 4} more" if len(texts) > 4 else "")


def _conditions(grant: Grant) -> str:
    return f" ({'; '.join(grant.condition)})" if grant.condition else ""


DETECTOR = Detector(
    name="agent-permissions",
    title="Agent permissions",
    rules=(ALONE, SERVER, REPOINTED, CODE, STARTERS, REMOVED, WEAKENED, INERT, HIDDEN, NARROWED),
    detect=detect,
    group=together,
    sure=True,
)
