"""What an agent may do: grants, limits and who can get round them, as frozen values with the place they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from checks.model import Severity


class Verb(StrEnum):
    """A class of things an agent may do."""

    EVERYTHING = "everything"
    SHELL = "shell"
    EDIT = "edit"
    READ = "read"
    NETWORK = "network"
    SERVER = "server"
    TOOL = "tool"
    CODE = "code"
    PLUGIN = "plugin"
    SECRET = "secret"  # noqa: S105 - a class of things
    TOKEN = "token"  # noqa: S105 - a class of things
    TRIGGER = "trigger"
    PRESENCE = "presence"
    """The agent runs here at all: in a workflow."""


class Decision(StrEnum):
    """What happens when the agent wants to run one command."""

    AUTO = "auto"
    ASKED = "asked"
    DENIED = "denied"
    UNKNOWN = "unknown"


class Force(StrEnum):
    """How hard a limit holds."""

    FORCED = "forced"
    """Nobody on the agent's side can get round it."""
    BYPASSABLE = "bypassable"
    """It holds until somebody goes round it; the limit says who."""
    ADVISORY = "advisory"
    """It is text, or it cannot block."""
    INERT = "inert"
    """It does nothing."""

    @property
    def rank(self) -> int:
        return 3 - list(Force).index(self)


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing the agent may do without being asked."""

    verb: Verb
    what: str
    """The pattern, name or domain; `*` is all of the verb."""
    text: str
    """In plain words, to follow "may": `run any shell command`."""
    path: str
    line: int | None = None
    severity: Severity = Severity.LOW
    destructive: bool = False
    condition: tuple[str, ...] = ()
    """Mode, sandbox, trust, surface, version."""
    value: str = ""
    """What stands behind a name (a server's command or address): another value is another grant."""
    quiet: bool = False
    """Part of the answer, but its widening is another detector's to report."""
    within: str = ""
    """A mode or sub-agent, which has no more than the agent itself: compared only where the same one stood before."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.verb, self.what, self.value


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that holds the agent back, or is meant to."""

    verb: Verb
    what: str
    text: str
    """A noun phrase: "the rule that denies `rm`"."""
    path: str
    line: int | None = None
    force: Force = Force.BYPASSABLE
    why: str = ""
    """By whom it can be got round, or why it does nothing."""
    severity: Severity = Severity.MODERATE
    value: str = ""
    """For a hook: the matcher."""
    hook: bool = False
    within: str = ""
    """The mode or sub-agent it holds; where that goes, nothing is lost."""

    @property
    def key(self) -> tuple[str, str]:
        return self.verb, self.what


@dataclass(frozen=True, slots=True)
class Authority:
    """What one agent may do on one surface, as far as the repository says."""

    agent: str
    """The name attribution uses: `claude-code`."""
    title: str
    surface: str
    """Where: "on a machine that opens this repository", or a job."""
    grants: tuple[Grant, ...] = ()
    limits: tuple[Limit, ...] = ()
    unknown: tuple[str, ...] = ()
    """What cannot be seen from the repository."""
    own_limits: str = "unknown"
    """Whether it can edit its own limits: a sentence beginning with yes, no, asked or unknown."""
    decisions: tuple[tuple[str, Decision], ...] = ()
    """Probe command → decision."""
    files: tuple[str, ...] = ()
    attribution_off: tuple[tuple[str, int], ...] = ()
    """Where its attribution is switched off: (path, line)."""
    unread: tuple[tuple[str, str, int | None], ...] = ()
    """Files that could not be read: (path, why, line)."""

    @property
    def inert(self) -> tuple[Limit, ...]:
        """The limits that do nothing."""
        return tuple(limit for limit in self.limits if limit.force is Force.INERT)


@dataclass(slots=True)
class Draft:
    """An authority being put together by an engine."""

    agent: str
    title: str
    surface: str = "on a machine that opens this repository"
    grants: list[Grant] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    own_limits: str = "unknown"
    decisions: tuple[tuple[str, Decision], ...] = ()
    files: list[str] = field(default_factory=list)
    attribution_off: list[tuple[str, int]] = field(default_factory=list)
    unread: list[tuple[str, str, int | None]] = field(default_factory=list)

    def done(self) -> Authority:
        """The finished value; equal grants stand once."""
        grants = {grant.key: grant for grant in reversed(self.grants)}
        return Authority(
            self.agent,
            self.title,
            self.surface,
            tuple(reversed(grants.values())),
            tuple(self.limits),
            tuple(dict.fromkeys(self.unknown)),
            self.own_limits,
            self.decisions,
            tuple(dict.fromkeys(self.files)),
            tuple(self.attribution_off),
            tuple(self.unread),
        )
