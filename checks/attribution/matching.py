"""Compares a change with the facts of signals.toml: exact identities, trailers, markers; bare words never.

Every expression is linear and every text is cut before it is read. Sources stand beside the facts; the rules for trailers are git's own
(git-scm.com/docs/git-interpret-trailers).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from checks.model import Attribution, Change, Commit, Identity, Level, Pull, Signal, Strength, Unreadable
from checks.readers import text_of

MESSAGE = 64 << 10
"""Characters of a message, body or note that are read."""
COMMITS = 1000
"""Commits of one change that are looked at: the newest."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of signals.toml."""

    name: str
    title: str
    level: Level


@dataclass(frozen=True)
class Facts:
    """signals.toml, arranged for lookup; all keys lower-case."""

    version: str
    addresses: Mapping[str, Tool]
    accounts: Mapping[tuple[int, str], Tool]
    """(id, login); id 0 where GitHub's id is not known."""
    logins: frozenset[str]
    apps: Mapping[str, Tool]
    names: Mapping[str, Tool]
    suffixes: Mapping[str, Tool]
    trailers: Mapping[str, tuple[tuple[str, Tool], ...]]
    markers: tuple[tuple[str, Tool], ...]
    branches: tuple[tuple[str, Tool], ...]
    opening: tuple[tuple[str, Tool], ...]
    headings: tuple[tuple[tuple[str, ...], Tool], ...]
    called: tuple[tuple[str, Tool], ...]
    configured: Mapping[str, tuple[str, ...]]
    conventions: frozenset[str]
    families: Mapping[str, str | None]
    words: frozenset[str]
    """What else the name of a model may hold."""
    tools: Mapping[str, str]


@lru_cache(maxsize=1)
def facts() -> Facts:
    """The facts of signals.toml."""
    data = tomllib.loads(resources.files("checks.attribution").joinpath("signals.toml").read_text(encoding="utf-8"))
    rows = [(Tool(row["name"], row["title"], Level(row["level"])), row) for row in data["tool"]]

    def by(key: str) -> Iterator[tuple[str, Tool]]:
        for tool, row in rows:
            for value in row.get(key, ()):
                yield value, tool

    trailers: dict[str, tuple[tuple[str, Tool], ...]] = {}
    for value, tool in by("trailers"):
        key, _, start = value.partition(": ")
        trailers[key.lower()] = (*trailers.get(key.lower(), ()), (start.lower(), tool))
    accounts: dict[tuple[int, str], Tool] = {}
    for value, tool in by("accounts"):
        number, _, login = value.lower().partition("+")
        accounts[int(number), login] = tool
    return Facts(
        version=data["version"],
        addresses={value.lower(): tool for value, tool in by("addresses")},
        accounts=accounts,
        logins=frozenset(login for _, login in accounts),
        apps={value.lower(): tool for value, tool in by("apps")},
        names={value.lower(): tool for value, tool in by("names")},
        suffixes={value.lower(): tool for value, tool in by("suffixes")},
        trailers=trailers,
        markers=tuple(by("markers")),
        branches=tuple(by("branches")),
        opening=tuple(by("opening")),
        headings=tuple((tuple(row["headings"]), tool) for tool, row in rows if "headings" in row),
        called=tuple(sorted(((value.lower(), tool) for value, tool in by("called")), key=lambda pair: -len(pair[0]))),
        configured={tool.name: tuple(row["configured"]) for tool, row in rows if "configured" in row},
        conventions=frozenset(row["key"] for row in data["convention"]),
        families={word: row.get("agent") for row in data["family"] for word in row["words"]},
        words=frozenset(data["words"]),
        tools=data["tools"],
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signal, and how much of the change it speaks for."""

    signal: Signal
    level: Level


@dataclass(slots=True)
class _Found:
    """What was seen so far."""

    evidence: list[Evidence] = field(default_factory=list)
    requesters: dict[str, None] = field(default_factory=dict)

    def add(self, signal: str, where: str, value: str, strength: Strength, tool: Tool | None, level: Level | None = None) -> None:
        level = level or (tool.level if tool else Level.ASSISTED)
        name = tool.name if tool and tool.level is not Level.AUTOMATION else None
        self.evidence.append(Evidence(Signal(signal, where, value[:200], strength, name), level))


def attribute(change: Change) -> Attribution:
    """The level, agents, signals and requesters of `change`. Needs nothing but the change itself."""
    found = _Found()
    robots = 0
    commits = change.commits[-COMMITS:]
    for commit in commits:
        seen = of_commit(commit)
        found.evidence.extend(seen.evidence)
        found.requesters |= seen.requesters
        levels = {evidence.level for evidence in seen.evidence}
        robots += Level.AUTOMATION in levels and not levels & {Level.AGENT, Level.ASSISTED}
    if change.pull:
        _pull(change.pull, found)
    _branch(change, found)
    _traces(change, found)
    return _concluded(found, all_robots=bool(commits) and robots == len(commits), pull=change.pull)


def _concluded(found: _Found, all_robots: bool, pull: Pull | None) -> Attribution:
    levels = {evidence.level for evidence in found.evidence if evidence.signal.strength is not Strength.WEAK}
    weak: dict[str | None, set[str]] = {}
    for evidence in found.evidence:
        if evidence.signal.strength is Strength.WEAK and evidence.signal.agent and evidence.level is not Level.AUTOMATION:
            weak.setdefault(evidence.signal.agent, set()).add(evidence.signal.signal)
    # A weak signal counts only beside another kind of weak signal of the same tool.
    paired = {agent for agent, kinds in weak.items() if len(kinds) > 1}
    if Level.AGENT in levels:
        level = Level.AGENT
    elif Level.ASSISTED in levels or paired:
        level = Level.ASSISTED
    elif (all_robots and pull is None) or (pull is not None and _known_robot(pull)):
        # Commits say of themselves who made them. Where GitHub says who opened the pull request, that counts.
        level = Level.AUTOMATION
    else:
        level = Level.NONE
    sure = {evidence.signal.agent for evidence in found.evidence if evidence.signal.strength is not Strength.WEAK} | paired
    ranked = sorted(
        (evidence for evidence in found.evidence if evidence.signal.agent in sure and evidence.signal.agent),
        key=lambda evidence: (evidence.level is not Level.AGENT, -evidence.signal.strength.rank),
    )
    agents = tuple(dict.fromkeys(evidence.signal.agent for evidence in ranked if evidence.signal.agent))
    working = level in (Level.AGENT, Level.ASSISTED)
    return Attribution(
        level=level,
        agents=agents if working else (),
        signals=tuple(dict.fromkeys(evidence.signal for evidence in found.evidence)),
        requesters=tuple(found.requesters) if level is Level.AGENT else (),
    )


# Identities


_NOREPLY = re.compile(r"(?:([0-9]{1,12})\+)?([a-z0-9-]{1,60}(?:\[bot\])?)@users\.noreply\.github\.com\Z")


def account_of(address: str) -> tuple[int, str] | None:
    """The (id, login) of a GitHub no-reply address (0 where it has no id), None for any other address."""
    match = _NOREPLY.match(address.strip().lower())
    return (int(match[1] or 0), match[2]) if match else None


def tool_of(address: str) -> Tool | None:
    """The tool an address belongs to, by exact address, or by id and login of a GitHub no-reply address."""
    known, address = facts(), address.strip().lower()
    if address in known.addresses:
        return known.addresses[address]
    account = account_of(address)
    return None if account is None else _tool_of_account(*account)


def _tool_of_account(number: int, login: str) -> Tool | None:
    known = facts().accounts
    if (number, login) in known:
        return known[number, login]
    # People cannot have a login with brackets, so an id that is not known, or not given, does not matter for those.
    if login.endswith("[bot]"):
        if (0, login) in known:
            return known[0, login]
        if number == 0:
            return next((tool for (_, name), tool in known.items() if name == login), None)
    return None


def _is_robot(login: str, kind: str) -> bool:
    """An App's account, whether it is known or not (docs.github.com/rest/users: `type` is Bot for Apps)."""
    return kind == "Bot" or login.lower().endswith("[bot]")


def _known_robot(pull: Pull) -> bool:
    """Whether the pull request was opened by a robot of signals.toml, by GitHub's own id; the account of all workflows is not one."""
    login = pull.author.login.lower().removeprefix("app/")
    tool = _tool_of_account(pull.author.id, login if login.endswith("[bot]") else f"{login}[bot]")
    return tool is not None and tool.level is Level.AUTOMATION and tool.name != "github-actions" and pull.author.type == "Bot"


def _person(name: str, address: str) -> str:
    account = account_of(address)
    return account[1] if account else address.strip() or name


# A commit


def of_commit(commit: Commit) -> _Found:
    """What one commit shows about itself."""
    found = _Found()
    where = f"commit {commit.sha[:12]}"
    author = _identity(commit.author, "author", where, found)
    if commit.committer != commit.author:
        _identity(commit.committer, "committer", where, found)
    agent_author = author is not None and author.level is Level.AGENT
    message = commit.message[:MESSAGE]
    people: dict[str, None] = {}
    for trailer in trailers(message):
        _trailer(trailer, where, found, people)
    known = facts()
    if any(marker in message for marker, _ in known.markers):
        prose = spoken(message)
        for marker, tool in known.markers:
            if marker in prose:
                found.add("message-marker", where, marker, Strength.MEDIUM, tool)
    for start, tool in known.opening:
        if message.startswith(start) and (start.endswith(" ") or message[len(start) : len(start) + 1] in ("", "\n")):
            found.add("message-opening", where, start.strip(), Strength.WEAK, tool)
    if commit.note:
        _note(commit.note[: MESSAGE * 4], where, found)
    if any(evidence.level is Level.AGENT for evidence in found.evidence):
        if not agent_author:
            people.setdefault(_person(commit.author.name, commit.author.email))
        found.requesters |= people
    return found


def _identity(identity: Identity, role: str, where: str, found: _Found) -> Tool | None:
    known, name = facts(), identity.name.strip().lower()
    tool = tool_of(identity.email)
    if tool and not (role == "committer" and tool.level is Level.AUTOMATION):
        found.add(f"{role}-address", where, f"{identity.name} <{identity.email}>", Strength.STRONG, tool)
        return tool
    for suffix, aider in known.suffixes.items():
        if name.endswith(suffix):
            found.add(f"{role}-name", where, identity.name, Strength.STRONG, aider)
            return None
    if role == "author":
        account = account_of(identity.email)
        if account is None and name in known.names:
            found.add("author-name", where, f"{identity.name} <{identity.email}>", Strength.MEDIUM, known.names[name], Level.ASSISTED)
            return None
        if (account and account[1].endswith("[bot]")) or (account is None and name.endswith("[bot]") and " " not in name):
            robot = Tool("automation", "A robot", Level.AUTOMATION)
            found.add("author-robot", where, f"{identity.name} <{identity.email}>", Strength.MEDIUM, robot)
            return robot
    return None


# Trailers


@dataclass(frozen=True, slots=True)
class Trailer:
    """A line `key: value` of a commit message."""

    key: str
    """Lower-case."""
    value: str
    last: bool
    """It stands in the block at the message's end that git reads; otherwise it is what a squash left in the middle."""


_LINE = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9-]{0,60})[ \t]{0,4}:[ \t]*(\S.*)?\Z")
_GITS_OWN = frozenset({"signed-off-by"})
_FENCE = re.compile(r"[ \t]{0,12}(?:```|~~~)")
_COMMENT = re.compile(r"<!--(?:(?!-->).)*?(?:-->|\Z)", re.DOTALL)


def trailers(message: str) -> tuple[Trailer, ...]:
    """The trailers of a message: those git reads (last paragraph), and lines of the same form elsewhere outside code and quotes.

    git-scm.com/docs/git-interpret-trailers: the last paragraph counts when all its lines are trailers, or when at least one is made by git
    (`Signed-off-by`) and a quarter are; the subject's paragraph never counts.
    """
    lines = message[:MESSAGE].split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    start = len(lines)
    while start > 0 and lines[start - 1].strip():
        start -= 1
    block = lines[start:]
    parsed = [_LINE.match(line) for line in block]
    own = sum(1 for match in parsed if match and match[1].lower() in _GITS_OWN) + sum(
        line.startswith("(cherry picked from") for line in block
    )
    plain = sum(
        1
        for line, match in zip(block, parsed, strict=True)
        if not match and not line[:1].isspace() and not line.startswith("(cherry picked")
    )
    count = sum(1 for match in parsed if match)
    git_reads = start > 0 and count > 0 and (plain == 0 or (own > 0 and count * 3 >= plain))
    out: list[Trailer] = []
    fenced = False
    for index, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        if fenced or index == 0:
            continue
        match = _LINE.match(line)
        if match and match[2]:
            out.append(Trailer(match[1].lower(), match[2].strip(), git_reads and index >= start))
    return tuple(out)


_AUTHORSHIP = frozenset({"co-authored-by", "coauthored-by", "co-author", "created-by", "authored-by", "signed-off-by"})
_ADDRESS = re.compile(r"<([^<>\s]{3,200})>")


def _trailer(trailer: Trailer, where: str, found: _Found, people: dict[str, None]) -> None:
    known = facts()
    kind = "trailer" if trailer.last else "squash-trailer"
    value, lower = trailer.value, trailer.value.lower()
    shown = f"{trailer.key}: {value}"
    for start, tool in known.trailers.get(trailer.key, ()):
        if lower.startswith(start):
            found.add(kind, where, shown, Strength.STRONG if trailer.last else Strength.MEDIUM, tool)
            return
    if trailer.key not in _AUTHORSHIP and trailer.key not in known.conventions:
        return
    convention = trailer.key in known.conventions
    matches = list(_ADDRESS.finditer(value))[:5]
    strength = Strength.STRONG if trailer.last else Strength.MEDIUM
    for match in matches:
        owner = tool_of(match[1])
        if owner:
            if owner.level is not Level.AUTOMATION:
                by_convention = convention and trailer.key != "generated-by"
                found.add(kind, where, shown, strength, owner, Level.ASSISTED if by_convention else owner.level)
            return
    address = matches[0][1] if matches else ""
    name = value[: matches[0].start()].strip() if matches else value.strip()
    account = account_of(address)
    if account is None:
        # A co-author without any address is not something git or GitHub writes for a person.
        named = tool_spoken_of(name, bool(address)) if convention or not address else tool_named(name)
        if named:
            spoken_only = convention or not address
            known_tool = named if named.name != "unknown" else None
            found.add(f"{kind}-name", where, shown, Strength.MEDIUM, known_tool, Level.ASSISTED if spoken_only else named.level)
            return
    if trailer.key == "co-authored-by" and address and not (account and account[1].endswith("[bot]")):
        people.setdefault(_person(name, address))


_VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+)*[a-z]?\Z|o[0-9]\Z|[0-9]+[bkm]\Z")


def tool_named(name: str) -> Tool | None:
    """The tool that a trailer's name names when its address proves nothing: a product's full name, or a model with its version.

    "GPT-5" and "Claude Sonnet 4.5" are models; "Claude", "Devin" and "Cline" may be people, so they never count.
    """
    known, lower = facts(), " ".join(name.lower().split())
    if lower in known.names:
        return known.names[lower]
    words = re.split(r"[^a-z0-9.]+", lower)
    words = [word for word in words if word]
    if not words or len(words) > 12 or not any(_VERSION.match(word) for word in words):
        return None
    family = next((word for word in words if word in known.families), None)
    if family is None or not all(word in known.words or word in known.families or _VERSION.match(word) for word in words):
        return None
    return _by_name(known.families[family])


def _by_name(name: str | None) -> Tool:
    if name is None:
        return Tool("unknown", "A model", Level.AGENT)
    return Tool(name, name, Level.AGENT)


_CALLED_AI = re.compile(r"(?:an? |the )?(?:generic )?(?:ai|llm|genai|generative ai|large language model)(?:\b|[ :/-])")
_KERNEL = re.compile(r"([A-Za-z0-9 _.-]{1,60}):([A-Za-z0-9._-]{1,80})(?:\s|\Z)")


def tool_spoken_of(value: str, has_address: bool) -> Tool | None:
    """The tool named by `Assisted-by:` or `Generated-by:`: AGENT:MODEL (kernel), a product's name, or "AI". None for a person.

    With an address that is not a tool's own, only the full name of a model counts: people assist too.
    """
    named = tool_named(value)
    if named or has_address:
        return named
    lower = " ".join(value.lower().split())
    for start, tool in facts().called:
        if lower.startswith(start) and (start.endswith("-") or not lower[len(start) : len(start) + 1].isalpha()):
            rest = lower[len(start) :].strip()
            first = re.split(r"[^a-z0-9.]+", rest.lstrip(" :(-/,"), maxsplit=1)[0]
            # "Claude Monet" is no tool: what follows a name must be a version or a word models have.
            if not rest or rest[0] in ":(-/,.;" or first in facts().words or _VERSION.match(first) or rest[0].isdigit():
                return Tool(tool.name, tool.title, Level.AGENT)
    kernel = _KERNEL.match(value)
    if kernel and (tool_named(kernel[2]) or _CALLED_AI.match(kernel[1].lower())):
        return tool_named(kernel[2]) or Tool("unknown", "A model", Level.AGENT)
    return Tool("unknown", "A model", Level.AGENT) if _CALLED_AI.match(lower) else None


def spoken(text: str) -> str:
    """`text` without fenced code, quotes, HTML comments and inline code: what its author says in it."""
    text = _COMMENT.sub("", text[:MESSAGE])
    out: list[str] = []
    fenced = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
            continue
        if not fenced and not line.lstrip().startswith(">") and not line.startswith(("    ", "\t")):
            out.append(line)
    return re.sub(r"`[^`\n]*`", "", "\n".join(out))


# The pull request


def _pull(pull: Pull, found: _Found) -> None:
    known = facts()
    tool = known.apps.get((pull.app or "").lower())
    if tool:
        found.add("app", "author", pull.app or "", Strength.STRONG, tool)
    login = pull.author.login.lower().removeprefix("app/")
    by_account = known.accounts.get((pull.author.id, login)) or (
        _tool_of_account(pull.author.id, login if login.endswith("[bot]") else f"{login}[bot]") if pull.author.type == "Bot" else None
    )
    if by_account:
        found.add("account", "author", f"{pull.author.login} ({pull.author.id})", Strength.STRONG, by_account)
    elif not tool and _is_robot(pull.author.login, pull.author.type):
        found.add("account", "author", pull.author.login, Strength.MEDIUM, Tool("automation", "A robot", Level.AUTOMATION))
    body = spoken(pull.body)
    for marker, owner in known.markers:
        if marker in body:
            found.add("body-marker", "body", marker, Strength.MEDIUM, owner)
            _behalf(body, found)
    for headings, owner in known.headings:
        lines = {line.strip() for line in body.split("\n")}
        if all(heading in lines for heading in headings):
            found.add("body-headings", "body", " and ".join(headings), Strength.WEAK, owner)
    for line in body.split("\n"):
        match = _LINE.match(line)
        if match and match[2] and match[1].lower() == "co-authored-by":
            address = _ADDRESS.search(match[2])
            owner_of = tool_of(address[1]) if address else None
            if owner_of and owner_of.level is not Level.AUTOMATION:
                found.add("body-trailer", "body", line.strip(), Strength.MEDIUM, owner_of)


_BEHALF = re.compile(r"on behalf of @([A-Za-z0-9-]{1,39})")


def _behalf(body: str, found: _Found) -> None:
    for match in _BEHALF.finditer(body):
        found.requesters.setdefault(match[1].lower())


_MERGED = re.compile(r"Merge pull request #[0-9]+ from [A-Za-z0-9_.-]+/(\S{1,200})")


def _branch(change: Change, found: _Found) -> None:
    """The head branch, told by the pull request or by the message of the commit that merged it; and whether the repository is set up for its tool.

    A branch alone proves nothing: people write `cursor/fix-blink` too.
    """
    merged = next(
        (_MERGED.match(commit.message) for commit in change.commits if commit.sha == change.head and len(commit.parents) > 1), None
    )
    name = change.branch or (change.pull.head_ref if change.pull else None) or (merged[1] if merged else None)
    for start, tool in facts().branches:
        if name and name.startswith(start) and len(name) > len(start):
            found.add("branch", "branch", name, Strength.WEAK, tool)
            stands = next((path for path in facts().configured.get(tool.name, ()) if change.before.entry(path)), None)
            if stands:
                found.add("configured", "base tree", stands, Strength.WEAK, tool)


# Provenance written by machines


def _note(text: str, where: str, found: _Found) -> None:
    """A note of git-ai (specs/git_ai_standard_v3.0.0.md): attested lines, `---`, then JSON with `sessions` (formerly `prompts`)."""
    attested, _, metadata = text.partition("\n---\n")
    if text.startswith("---\n"):
        attested, metadata = "", text[4:]
    try:
        data = json.loads(metadata)
    except (ValueError, RecursionError):
        return
    if not isinstance(data, dict) or not str(data.get("schema_version", "")).startswith("authorship/"):
        return
    for group in ("sessions", "prompts"):
        entries = data.get(group)
        for key, entry in entries.items() if isinstance(entries, dict) else ():
            agent = entry.get("agent_id") if isinstance(entry, dict) else None
            if not isinstance(agent, dict) or not any(line.strip().startswith(key) for line in attested.split("\n")):
                continue
            found.add(
                "git-ai-note",
                where,
                f"{agent.get('tool')} {agent.get('model') or ''}".strip(),
                Strength.MEDIUM,
                _machine(agent.get("tool")),
            )


def _machine(tool: Any) -> Tool:
    word = str(tool or "").lower()
    return _by_name(facts().tools.get(word) or facts().tools.get(word.replace(" ", "-").replace("_", "-")))


def _traces(change: Change, found: _Found) -> None:
    """Agent Trace records (agent-trace.dev 0.1.0) that this change adds about files it changes."""
    for file in change.files:
        if not file.path.startswith(".agent-trace/") or not file.path.endswith((".jsonl", ".json")) or file.new is None:
            continue
        try:
            new, old = change.head_bytes(file) or b"", change.base_bytes(file) or b""
            before = frozenset(text_of(old, file.path, 4 << 20).split("\n"))
            lines = [line for line in text_of(new, file.path, 4 << 20).split("\n") if line.strip() and line not in before]
        except Unreadable:
            continue
        paths = {changed.path for changed in change.files}
        for record in _records(lines):
            _trace(record, file.path, paths, found)


def _records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in list(lines)[-500:]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("files"), list) and "version" in record:
            yield record


def _trace(record: Mapping[str, Any], where: str, paths: set[str], found: _Found) -> None:
    tool = record.get("tool")
    name = tool.get("name") if isinstance(tool, dict) else None
    for file in record["files"]:
        if not isinstance(file, dict) or file.get("path") not in paths:
            continue
        conversations = file.get("conversations")
        for conversation in conversations if isinstance(conversations, list) else ():
            contributor = conversation.get("contributor") if isinstance(conversation, dict) else None
            kind = contributor.get("type") if isinstance(contributor, dict) else None
            if kind in ("ai", "mixed"):
                level = Level.AGENT if kind == "ai" else Level.ASSISTED
                found.add("agent-trace", where, f"{file['path']}: {kind}", Strength.MEDIUM, _machine(name), level)
                break
