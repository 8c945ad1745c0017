"""The nouns of Interlock: frozen values, nothing that reaches the world.

A `Change` goes in, an `Assessment` comes out of `assess`, a `Report` out of `decide`; everything between is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol


class Hazard(StrEnum):
    """What kind of harm an effect can do: a closed list. `*.narrowed` are the harmless opposites: reported, demanding nothing."""

    DATA_DESTROYED = "data.destroyed"
    RESOURCE_DESTROYED = "resource.destroyed"
    RESOURCE_REPLACED = "resource.replaced"
    PROTECTION_REMOVED = "protection.removed"
    PRIVILEGE_WIDENED = "privilege.widened"
    EXPOSURE_WIDENED = "exposure.widened"
    SECRET_EXPOSED = "secret.exposed"  # noqa: S105 - the name of a hazard
    PIPELINE_WIDENED = "pipeline.widened"
    CHECK_WEAKENED = "check.weakened"
    AGENT_WIDENED = "agent.widened"
    AGENT_UNGUARDED = "agent.unguarded"
    GATE_CHANGED = "gate.changed"
    SUPPLY_CHANGED = "supply.changed"
    COMPATIBILITY_BROKEN = "compatibility.broken"
    AVAILABILITY_REDUCED = "availability.reduced"
    NOT_ANALYSED = "not.analysed"
    PRIVILEGE_NARROWED = "privilege.narrowed"
    EXPOSURE_NARROWED = "exposure.narrowed"
    AGENT_NARROWED = "agent.narrowed"
    RESOURCE_FORGOTTEN = "resource.narrowed"

    @property
    def harmless(self) -> bool:
        """A narrowing: shown, but it costs nothing and demands nothing."""
        return self.value.endswith(".narrowed")


class _Ranked(StrEnum):
    """An ordered list of words: the later, the worse."""

    @property
    def rank(self) -> int:
        return list(type(self)).index(self)


class Severity(_Ranked):
    """How bad, if it happens: mention it, one more look, stop until a safeguard exists, do not merge."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    CRITICAL = "critical"

    def step(self, by: int) -> Severity:
        """The severity `by` steps up (or down), kept within the list."""
        order = list(Severity)
        return order[max(0, min(len(order) - 1, self.rank + by))]


class Confidence(_Ranked):
    """How sure the detector is that the effect happens at merge."""

    POSSIBLE = "possible"
    LIKELY = "likely"
    CERTAIN = "certain"


class Reversible(_Ranked):
    """Whether a revert undoes it: yes; within a time window; only partly; no."""

    YES = "yes"
    WINDOW = "window"
    PARTLY = "partly"
    NO = "no"


class Environment(StrEnum):
    """Where it happens. Unknown stays unknown and is priced as production."""

    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"
    UNKNOWN = "unknown"


class Side(StrEnum):
    """Which of the two states `path` and `line` speak of."""

    BASE = "base"
    HEAD = "head"


class Question(StrEnum):
    """The three questions about an agent that an effect can touch."""

    ALONE = "What may the agent decide on its own?"
    DESTRUCTIVE = "When can it choose a high-risk action?"
    FORCED = "Which checks is it truly forced to run, and can it bypass them?"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a git tree."""

    mode: int
    """git's file mode: 0o100644, 0o100755, 0o120000 (link), 0o160000 (submodule), 0o040000 (directory)."""
    oid: str
    """The object's id, hexadecimal."""

    @property
    def is_file(self) -> bool:
        return self.mode & 0o170000 == 0o100000

    @property
    def is_link(self) -> bool:
        return self.mode == 0o120000

    @property
    def is_submodule(self) -> bool:
        return self.mode == 0o160000

    @property
    def is_directory(self) -> bool:
        return self.mode == 0o040000


class Tree(Protocol):
    """An immutable git tree, read by path. Paths are text with `/`; bytes that are not UTF-8 come as surrogate escapes."""

    def entry(self, path: str) -> Entry | None:
        """What stands at `path`, or None."""

    def read(self, path: str) -> bytes | None:
        """The content of the regular file at `path`; None where there is no regular file. Raises `Unreadable` over the size limit."""

    def target(self, path: str) -> str | None:
        """Where the symbolic link at `path` points, as written; None where there is no link."""

    def list(self, directory: str) -> Mapping[str, Entry]:
        """The names directly below `directory` ("" is the root); empty where there is none."""

    def prefetch(self, paths: Iterable[str]) -> None:
        """Say which files will be read next: a copy that left contents out brings them in one go. Nothing is promised of them."""

    def read_ahead(self, paths: Iterable[str]) -> None:
        """Read these files in few exchanges: all of them are asked for now. Nothing is promised of them."""

    def paths(self) -> Sequence[str]:
        """Every file of the tree: costs as much as the repository is large, so ask only where nothing smaller answers."""


class Unreadable(Exception):
    """Something that must be read and cannot be: over a limit, no text, or no sense in it. Becomes a `not.analysed` effect.

    Whoever catches one does not silence it: it is written down in `NOT_READ` and may be told when the detector is done. `ours` says that it is one of
    our own bounds that was met: another program may well read it.
    """

    def __init__(self, path: str, why: str, line: int | None = None, ours: bool = False) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.why, self.line = path, why, line
        self.ours = ours
        self.data: bytes | None = None
        """The content that could not be read, where the reader says so."""
        made = NOT_READ.get()
        if made is not None and len(made) < NOT_READ_KEPT:
            made.append(self)

    def of(self, data: bytes) -> Unreadable:
        """The same, with the content that could not be read."""
        if self.data is None:
            self.data = data
        return self


NOT_READ: ContextVar[list[Unreadable] | None] = ContextVar("not_read", default=None)
"""Where it is written down what a running detector could not read; None outside of one."""
NOT_READ_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class FileChange:
    """One path whose content, mode or kind differs between base and head."""

    path: str
    """Where it stands at head; for a deleted file, where it stood."""
    old: Entry | None
    """At base, None if new. For a renamed file: the entry it came from."""
    new: Entry | None
    """At head, None if deleted."""
    old_path: str | None = None
    """Where it stood at base if that is another place: a rename."""

    @property
    def base_path(self) -> str:
        """Where it stood at base (the same place unless it was renamed)."""
        return self.old_path or self.path

    @property
    def added(self) -> bool:
        return self.old is None

    @property
    def deleted(self) -> bool:
        return self.new is None

    @property
    def renamed(self) -> bool:
        return self.old_path is not None


@dataclass(frozen=True, slots=True)
class Identity:
    """A name and address as a commit states them: self-declared, not proof."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit between merge base and head."""

    sha: str
    author: Identity
    committer: Identity
    message: str
    parents: tuple[str, ...] = ()
    note: str | None = None
    """The text of `refs/notes/ai` for this commit, where there is one."""


@dataclass(frozen=True, slots=True)
class Account:
    """A GitHub account as the API states it."""

    login: str
    id: int
    type: str
    """User, Bot or Organization."""


@dataclass(frozen=True, slots=True)
class Pull:
    """What is known of the pull request itself; None throughout offline."""

    number: int
    title: str
    body: str
    author: Account
    base_ref: str
    head_ref: str
    draft: bool = False
    fork: bool = False
    app: str | None = None
    """Slug of the App that opened it, if any."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one file that stand on one side only, in order, each with its 1-based number. A line that merely moved is in neither."""

    removed: tuple[tuple[int, bytes], ...]
    added: tuple[tuple[int, bytes], ...]

    @property
    def text(self) -> bytes:
        """The added lines as one text: enough to see whether something new is worth a closer look."""
        return b"\n".join(line for _, line in self.added)


def nothing_counted() -> tuple[int, int]:
    """No lines added, none removed: where nobody counts."""
    return 0, 0


@dataclass(frozen=True)
class Change:
    """Two immutable states and what lies between them."""

    repository: str
    """owner/name, or the directory's name offline."""
    base: str
    """Tip of the branch this wants to land on: the policy is read there."""
    merge_base: str
    """The common ancestor: what "changed" is measured from."""
    head: str
    files: tuple[FileChange, ...]
    commits: tuple[Commit, ...]
    before: Tree
    """The tree at the merge base."""
    after: Tree
    """The tree at head."""
    tip: Tree
    """The tree at the tip of the base branch."""
    pull: Pull | None = None
    branch: str | None = None
    """The head branch's name where known."""
    counted: Callable[[], tuple[int, int]] = nothing_counted
    """Gives the lines added and removed: counted beside the analysis, asked for at its end."""
    unlisted: str | None = None
    """Why the list of files is not whole, if it is not."""
    merged: Tree | None = None
    """The tree that a merge into the tip of the base branch gives, where that branch moved on near what this touches; else None."""
    landing: tuple[FileChange, ...] = ()
    """What differs between that tip and that tree."""
    unmerged: str | None = None
    """Why that tree is not known, if it should be and is not."""

    @cached_property
    def landed(self) -> Change | None:
        """This change as it would land: from the tip of the base branch to the merged tree. None where that is no other change."""
        if self.merged is None:
            return None
        return replace(self, merge_base=self.base, files=self.landing, before=self.tip, after=self.merged, merged=None, landing=())

    @cached_property
    def by_path(self) -> Mapping[str, FileChange]:
        """The changed files by their path at head (or at base where deleted)."""
        return {file.path: file for file in self.files}

    @cached_property
    def memo(self) -> dict[object, Any]:
        """What detectors worked out for this change and share: computed once, under a key that names it."""
        return {}

    @cached_property
    def _lines(self) -> dict[str, Lines]:
        return {}

    def lines(self, file: FileChange) -> Lines:
        """The lines of `file` that are on one side only: computed once. Raises `Unreadable`.

        What a line-wise look needs before it parses anything: most of a changed file is the same on both sides.
        """
        known = self._lines.get(file.path)
        if known is None:
            before = (self.base_bytes(file) or b"").split(b"\n")
            after = (self.head_bytes(file) or b"").split(b"\n")
            old, new = frozenset(before), frozenset(after)
            known = self._lines[file.path] = Lines(
                tuple((number, line) for number, line in enumerate(before, 1) if line not in new),
                tuple((number, line) for number, line in enumerate(after, 1) if line not in old),
            )
        return known

    def base_bytes(self, file: FileChange) -> bytes | None:
        """The content of `file` at base, None if it was not there as a regular file."""
        return self.before.read(file.base_path) if file.old else None

    def head_bytes(self, file: FileChange) -> bytes | None:
        """The content of `file` at head, None if it is not there as a regular file."""
        return self.after.read(file.path) if file.new else None


@dataclass(frozen=True, slots=True)
class Effect:
    """What merging does that was not so before."""

    rule: str
    hazard: Hazard
    severity: Severity
    confidence: Confidence
    reversible: Reversible
    subject: str
    """What it acts on: a resource address, a table and column, a job."""
    path: str
    line: int | None
    side: Side
    message: str
    """One sentence: what becomes possible or what is lost."""
    environment: Environment | None = None
    """None until the spine fills it in from path and policy; set it only where the content itself says so."""
    before: str | None = None
    after: str | None = None
    question: Question | None = None
    keeps: str | None = None
    """Lines to paste that would keep the thing (an HCL `moved` block, a YAML annotation), where the detector knows them."""
    facts: tuple[tuple[str, str], ...] = ()
    """Small facts a safeguard needs (`("address", "aws_db_instance.main")`), never shown as such."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits that survive rebases and severity tuning."""
        parts = (self.rule, self.path, self.subject, self.before or "", self.after or "")
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def fact(self, name: str) -> str | None:
        """The value of a fact, or None."""
        return next((value for key, value in self.facts if key == name), None)


class Level(StrEnum):
    """How much of the change a machine wrote, as far as there is evidence. `none` means no evidence, never "human"."""

    AGENT = "agent"
    ASSISTED = "assisted"
    AUTOMATION = "automation"
    NONE = "none"


class Strength(_Ranked):
    """How hard a signal is to be there by accident."""

    WEAK = "weak"
    MEDIUM = "medium"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence of who or what wrote the change."""

    signal: str
    where: str
    """`commit <sha>`, body, branch or author."""
    value: str
    strength: Strength
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who or what wrote the change, with the evidence."""

    level: Level = Level.NONE
    agents: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
    requesters: tuple[str, ...] = ()
    """Logins or addresses of the people on whose behalf an agent worked: not independent reviewers."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What depends on what changed: the blast radius."""

    files: int = 0
    units: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    truncated: bool = False
    paths: tuple[tuple[str, ...], ...] = ()
    """Shortest paths, from a changed thing to what depends on it."""
    reasons: tuple[tuple[str, ...], ...] = ()
    """For each path, why each thing after the first depends on the one before it, as in "imports"."""


class Band(StrEnum):
    """A range of the score."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Term:
    """One named part of the score."""

    name: str
    points: int
    because: str


@dataclass(frozen=True, slots=True)
class Risk:
    """0 to 100, as a sum anyone can redo."""

    score: int
    band: Band
    terms: tuple[Term, ...]
    percentile: float | None = None


class Status(StrEnum):
    """What is known of a proof. Only `met` satisfies."""

    MET = "met"
    MISSING = "missing"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Proof:
    """A safeguard's answer for some effects."""

    status: Status
    source: str
    """Where it was looked for, in words."""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A safeguard demanded here, because of these effects."""

    safeguard: str
    effects: tuple[str, ...]
    """Ids."""
    turns_green: str
    """What to do, in lines that can be pasted."""
    alternatives: tuple[str, ...] = ()
    """Other safeguards of which any one would do as well."""
    proof: Proof = field(default=Proof(Status.UNKNOWN, "not looked for yet"))


@dataclass(frozen=True, slots=True)
class Demand:
    """What must be proven for some effects: every group holds if any one safeguard of it is met."""

    effects: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    because: str
    """The hazard or rule that demands it."""


@dataclass(frozen=True, slots=True)
class NotAnalysed:
    """A path that could not be judged, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """How complete the look was."""

    files: int
    analysed: int
    not_analysed: tuple[NotAnalysed, ...] = ()
    milliseconds: int = 0

    @property
    def complete(self) -> bool:
        return not self.not_analysed


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong with a policy file: shown where its author looks, and it blocks."""

    path: str
    line: int | None
    message: str


class State(StrEnum):
    """The verdict's outcome."""

    PASS = "pass"  # noqa: S105 - a verdict
    BLOCKED = "blocked"
    OBSERVED = "observed"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says."""

    state: State
    unmet: tuple[str, ...]
    """Names of the safeguards still to be proven, and `policy` where the policy file is wrong."""
    summary: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The change in figures, without its trees."""

    repository: str
    base: str
    merge_base: str
    head: str
    files: int
    additions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class AgentAtBase:
    """What one agent may do under the base branch's configuration, in short."""

    agent: str
    title: str
    alone: int
    """Grants it has unasked."""
    unasked: tuple[str, ...]
    """High-risk actions that it may take without anyone being asked, in words."""
    own_limits: str
    """Whether it can edit its own limits."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """All that follows from the change and the policy alone: the same for the same two trees, for ever."""

    change: Summary
    policy: str
    """Digest of the policy, or `default`."""
    attribution: Attribution
    effects: tuple[Effect, ...]
    reach: Reach
    risk: Risk
    demands: tuple[Demand, ...]
    analysis: Analysis
    mistakes: tuple[Mistake, ...] = ()
    proofs: tuple[tuple[str, str, Proof], ...] = ()
    """(safeguard, effect id, proof) that the two trees alone can give."""
    agents: tuple[AgentAtBase, ...] = ()
    """The agents the base branch configures: looked at where an agent wrote the change or gains by it."""


@dataclass(frozen=True, slots=True)
class Excepted:
    """An effect of this change that the policy lets pass for a while."""

    effect: str
    reason: str
    expires: str
    """The last day, as in 2027-01-31."""


@dataclass(frozen=True, slots=True)
class Report:
    """An assessment, the proofs found, and the verdict."""

    assessment: Assessment
    engine: str
    requirements: tuple[Requirement, ...]
    verdict: Verdict
    gate: tuple[str, ...] = ()
    """What is known of the gate's own enforcement, a sentence each."""
    exceptions: tuple[Excepted, ...] = ()
    """What passes by the policy's word alone."""
