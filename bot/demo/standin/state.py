"""What the stand-in remembers: plain values, one `World` that holds them all.

Nothing here speaks HTTP or draws JSON; `shapes` draws, `areas` answers, `driver` acts for people. Everything is kept in memory except the
repositories, which are real bare git directories.
"""

from __future__ import annotations

import datetime
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROLES = ("none", "read", "triage", "write", "maintain", "admin")


def stamp(moment: float) -> str:
    """Seconds since 1970 as GitHub writes them: whole seconds, UTC, ending in Z."""
    return datetime.datetime.fromtimestamp(moment, tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class User:
    """An account: a person, a bot or an organisation."""

    id: int
    login: str
    kind: str = "User"
    members: dict[str, str] = field(default_factory=dict)
    """Of an organisation: login → role in it (`member` or `admin`)."""
    teams: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of an organisation: team → login → `active`, or `pending` while an invitation waits."""


@dataclass
class App:
    """A registered GitHub App with its key pair, its webhook and the account it writes as."""

    id: int
    slug: str
    name: str
    owner: User
    bot: User
    private_key: str
    public_key: Any
    client_id: str
    webhook_secret: str
    webhook_url: str | None
    permissions: dict[str, str]
    events: tuple[str, ...]
    created_at: float
    client_secret: str = ""


@dataclass
class Grant:
    """What a code of a sign-in stands for until it is exchanged."""

    app: App
    user: User
    back: str
    challenge: str


@dataclass
class Installation:
    """An App on an account. `repositories` is None for all of them, otherwise their ids."""

    id: int
    app: App
    account: User
    permissions: dict[str, str]
    events: tuple[str, ...]
    repositories: set[int] | None
    created_at: float
    suspended_at: float | None = None
    window: float = 0.0
    """When the hour began in which `used` requests were counted."""
    used: int = 0


@dataclass
class Token:
    """A bearer of rights: of an installation (narrowed, expiring) or of a user (role of that user)."""

    value: str
    installation: Installation | None = None
    user: User | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    repositories: set[int] | None = None
    expires_at: float | None = None
    window: float = 0.0
    used: int = 0


@dataclass
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass
class Reaction:
    """One reaction of one account."""

    id: int
    user: User
    content: str
    created_at: float


@dataclass
class Comment:
    """A comment in the conversation of a pull request."""

    id: int
    number: int
    user: User
    body: str
    created_at: float
    updated_at: float
    app: App | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass
class Review:
    """A review of a pull request, bound to the commit it was given for."""

    id: int
    user: User
    state: str
    body: str
    commit: str
    submitted_at: float


@dataclass
class Pull:
    """A pull request. `head_repository` is another one than `repository` for a fork, None when the fork is gone."""

    id: int
    number: int
    repository: Repository
    head_repository: Repository | None
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    title: str
    body: str | None
    user: User
    created_at: float
    updated_at: float
    draft: bool = False
    state: str = "open"
    closed_at: float | None = None
    merged_at: float | None = None
    merged_by: User | None = None
    merge_commit: str | None = None
    mergeable: bool | None = None
    labels: list[Label] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)


@dataclass
class CheckSuite:
    """All check runs of one App on one commit."""

    id: int
    app: App
    head_sha: str
    head_branch: str | None
    created_at: float
    updated_at: float
    requested: bool = True


@dataclass
class CheckRun:
    """One check run. It belongs to a commit and to the App that made it, never to a pull request."""

    id: int
    app: App
    suite: CheckSuite
    name: str
    head_sha: str
    status: str = "queued"
    conclusion: str | None = None
    external_id: str | None = None
    details_url: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Status:
    """A commit status: anyone who may push can set one under any name."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created_at: float


@dataclass
class Artifact:
    """An artifact of a workflow run: a zip archive."""

    id: int
    run_id: int
    name: str
    archive: bytes
    created_at: float
    expired: bool = False


@dataclass
class Job:
    """A job of a workflow run, with the check run GitHub Actions made for it."""

    id: int
    run_id: int
    name: str
    status: str
    conclusion: str | None
    check_run: CheckRun
    started_at: float
    environment: str | None = None


@dataclass
class WorkflowRun:
    """A run of a workflow file for one event on one commit."""

    id: int
    workflow_id: int
    name: str
    path: str
    event: str
    head_sha: str
    head_branch: str | None
    head_repository: Repository
    actor: User
    suite: CheckSuite
    number: int
    created_at: float
    updated_at: float
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    jobs: list[Job] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)
    """Answers of custom deployment protection rules, in the order they came."""


@dataclass
class Ruleset:
    """A ruleset of a repository or of the organisation above it."""

    id: int
    name: str
    enforcement: str
    target: str
    include: list[str]
    exclude: list[str]
    rules: list[dict[str, Any]]
    bypass_actors: list[dict[str, Any]]
    source: str
    source_type: str
    created_at: float
    updated_at: float


@dataclass
class Environment:
    """A deployment environment and its protection rules."""

    id: int
    name: str
    protection_rules: list[dict[str, Any]]
    branch_policy: dict[str, bool] | None
    can_admins_bypass: bool
    created_at: float


@dataclass
class MergeGroup:
    """A group of the merge queue: the commit that would become the base branch."""

    head_sha: str
    head_ref: str
    base_sha: str
    base_ref: str


@dataclass
class Repository:
    """A repository: its bare git directory and everything GitHub keeps beside it."""

    id: int
    owner: User
    name: str
    path: Path
    private: bool
    default_branch: str
    created_at: float
    parent: Repository | None = None
    roles: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    suites: dict[int, CheckSuite] = field(default_factory=dict)
    check_runs: dict[int, CheckRun] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    protections: dict[str, dict[str, Any]] = field(default_factory=dict)
    rulesets: list[Ruleset] = field(default_factory=list)
    environments: dict[str, Environment] = field(default_factory=dict)
    workflows: dict[str, int] = field(default_factory=dict)
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """The branches and tags as they were when the stand-in last looked."""
    merge_groups: list[MergeGroup] = field(default_factory=list)
    last_number: int = 0

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"

    def role_of(self, login: str) -> str:
        """The role of an account here: its own, the owner's, an organisation admin's, or what everybody has."""
        if login == self.owner.login or self.owner.members.get(login) == "admin":
            return "admin"
        return self.roles.get(login, "none" if self.private else "read")


@dataclass
class Delivery:
    """One attempt to deliver a webhook. A redelivery is another one with the same `guid`."""

    id: int
    guid: str
    app: App
    event: str
    action: str | None
    installation_id: int | None
    repository_id: int | None
    payload: dict[str, Any]
    redelivery: bool = False
    delivered_at: float = 0.0
    duration: float = 0.0
    status: str = "Pending"
    status_code: int = 0
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)
    response: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class World:
    """Everything there is, under one lock. `url` is set once the port is known."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.root = root
        self.clock = clock
        self.wall = clock
        """What JWTs are held against: another clock than `clock` where that is a simulated one, which those who sign them do not share."""
        self.url = ""
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.apps: dict[int, App] = {}
        self.installations: dict[int, Installation] = {}
        self.repositories: dict[str, Repository] = {}
        self.tokens: dict[str, Token] = {}
        self.deliveries: list[Delivery] = []
        self.manifests: dict[str, dict[str, Any]] = {}
        self.grants: dict[str, Grant] = {}
        self.browser: User | None = None
        """Who the browser is signed in as on GitHub."""
        self.register: Callable[[dict[str, Any], str], str] = lambda manifest, owner: ""
        self.send: Callable[[Delivery], None] = lambda delivery: None
        self._ids: Iterator[int] = itertools.count(1001)

    def id(self) -> int:
        """A number that was never given out before; ids grow with time, as GitHub's do."""
        return next(self._ids)

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock()

    def user(self, login: str, kind: str = "User") -> User:
        """The account of that login, made on first mention."""
        known = self.users.get(login.lower())
        if known is None:
            known = self.users[login.lower()] = User(self.id(), login, kind)
        return known

    def repository(self, full_name: str) -> Repository | None:
        """The repository `owner/name`, in any case, or None."""
        return self.repositories.get(full_name.lower())

    def covers(self, installation: Installation, repository: Repository) -> bool:
        """Whether the installation reaches the repository."""
        if installation.account.login != repository.owner.login:
            return False
        return installation.repositories is None or repository.id in installation.repositories
