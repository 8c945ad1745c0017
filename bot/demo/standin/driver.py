"""The hands: what people, agents and GitHub Actions do, as Python calls. Each returns when its webhooks were delivered."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.demo.standin import git, hooks, shapes
from bot.demo.standin.areas.apps import issue_token
from bot.demo.standin.faults import ANSWERS, SPECIAL, Fault
from bot.demo.standin.repo import Repo
from bot.demo.standin.server import Exchange, Front, Listener
from bot.demo.standin.state import App, Delivery, Installation, Repository, Token, User, World

T = TypeVar("T")

ACTIONS_APP = 15368
"""The id of GitHub Actions on github.com."""

PERMISSIONS = {
    "metadata": "read",
    "checks": "write",
    "pull_requests": "read",
    "contents": "read",
    "issues": "write",
    "actions": "read",
    "members": "read",
    "merge_queues": "read",
}
EVENTS = (
    "pull_request",
    "merge_group",
    "push",
    "check_run",
    "check_suite",
    "workflow_run",
    "issue_comment",
    "pull_request_review",
    "repository",
)


@cache
def key_pair(number: int) -> tuple[str, Any]:
    """The n-th key pair of this interpreter: PEM of the private key, and the public key. Made once, since making one takes a while."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return pem.decode(), private.public_key()


class StandIn:
    """A GitHub of one's own. Make it with `StandIn.start()`, end it with `stop()` or a `with` block."""

    def __init__(self, root: Path, clock: Callable[[], float], port: int) -> None:
        self._root = root
        self.world = World(root, clock)
        self._courier = hooks.Courier()
        self.world.send = self._courier.send
        self.world.register = lambda manifest, owner: self._register(manifest, owner)[0]
        self._front = Front(self.world)
        self._listener = Listener(self._front.application(), port)
        self.world.url = f"http://127.0.0.1:{self._listener.port}"

    @classmethod
    def start(cls, *, port: int = 0, clock: Callable[[], float] = time.time) -> StandIn:
        """Start one on a free port (or the port given). `clock` says what time GitHub thinks it is."""
        return cls(Path(tempfile.mkdtemp(prefix="interlock-standin-")), clock, port)

    def stop(self) -> None:
        """End it and remove what it kept on disk."""
        self._courier.stop()
        self._listener.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it is, for the API (also under `/api/v3`) and for git (`{url}/{owner}/{name}.git`)."""
        return self.world.url

    @property
    def requests(self) -> list[Exchange]:
        """Every call to the API so far, in order."""
        return self._front.requests

    def calls(self, method: str = "*", part: str = "") -> list[Exchange]:
        """The calls with that method whose path contains the part."""
        return [one for one in self.requests if method in ("*", one.method) and part in one.path]

    def fault(self, method: str, path: str, kind: str, *, nth: int = 1, times: int = 1, done: bool = False) -> Fault:
        """Let the n-th call to a path go wrong (see `Fault`). `path` may hold `*`."""
        if kind not in ANSWERS and kind not in SPECIAL:
            raise ValueError(f"no fault {kind}; there are {', '.join(sorted((*ANSWERS, *SPECIAL)))}")
        made = Fault(method, path, kind, nth, times, done)
        with self.world.lock:
            self._front.faults.append(made)
        return made

    def forget_faults(self) -> None:
        """Faults that no call has met yet come no more."""
        with self.world.lock:
            self._front.faults.clear()

    # Accounts, Apps, installations.

    def user(self, login: str, kind: str = "User") -> User:
        """The account of that login, made on first mention."""
        with self.world.lock:
            return self.world.user(login, kind)

    def organization(self, login: str, members: Mapping[str, str] | None = None) -> User:
        """An organisation; `members` maps logins to `member` or `admin`."""
        made = self.user(login, "Organization")
        made.kind = "Organization"
        made.members.update(members or {})
        for member in members or {}:
            self.user(member)
        return made

    def team(self, organization: str, slug: str, members: Mapping[str, str]) -> None:
        """A team of an organisation; `members` maps logins to `active` or `pending`."""
        made = self.organization(organization, dict.fromkeys(members, "member"))
        with self.world.lock:
            made.teams[slug] = dict(members)

    def user_token(self, login: str) -> str:
        """A personal token: what it may do is what the user may do."""
        with self.world.lock:
            token = Token(f"ghp_{secrets.token_urlsafe(27)}", user=self.world.user(login))
            self.world.tokens[token.value] = token
            return token.value

    def browse_as(self, login: str | None) -> None:
        """Who the browser is signed in as on GitHub from now on; None for nobody."""
        with self.world.lock:
            self.world.browser = self.world.user(login) if login else None

    def app(
        self,
        slug: str = "interlock",
        *,
        webhook_url: str | None = None,
        permissions: Mapping[str, str] = PERMISSIONS,
        events: Iterable[str] = EVENTS,
        owner: str = "acme",
        name: str | None = None,
        number: int | None = None,
    ) -> App:
        """Register an App, with a key pair and a webhook secret; a ping goes to its webhook."""
        return self.done(*self._app(slug, webhook_url, permissions, events, owner, name, number))

    def _app(
        self,
        slug: str,
        webhook_url: str | None,
        permissions: Mapping[str, str],
        events: Iterable[str],
        owner: str,
        name: str | None,
        number: int | None = None,
    ) -> tuple[App, list[Delivery]]:
        with self.world.lock:
            number = number or self.world.id()
            private, public = ("", None) if number == ACTIONS_APP else key_pair(len(self.world.apps))
            made = App(
                number,
                slug,
                name or slug,
                self.world.user(owner),
                self.world.user(f"{slug}[bot]", "Bot"),
                private,
                public,
                f"Iv23li{secrets.token_hex(7)}",
                secrets.token_hex(20),
                webhook_url,
                {"metadata": "read", **permissions},
                tuple(events),
                self.world.now(),
                secrets.token_hex(20),
            )
            self.world.apps[number] = made
            told = hooks.ping(self.world, made)
        return made, told

    def manifest(self, manifest: Mapping[str, Any], owner: str = "acme") -> str:
        """Register an App from a manifest, as the form on GitHub does; the code that is exchanged for its key, once."""
        return self.done(*self._register(manifest, owner))

    def _register(self, manifest: Mapping[str, Any], owner: str) -> tuple[str, list[Delivery]]:
        hook = manifest.get("hook_attributes", {})
        slug = str(manifest["name"]).lower().replace(" ", "-")
        url = hook.get("url") if hook.get("active", True) else None
        rights, events = manifest.get("default_permissions", {}), manifest.get("default_events", ())
        made, told = self._app(slug, url, rights, events, owner, str(manifest["name"]))
        code = secrets.token_hex(20)
        with self.world.lock:
            self.world.manifests[code] = {"app": made, "client_secret": made.client_secret}
        return code, told

    def install(
        self, app: App, account: str, repositories: Iterable[Repo] | None = None, permissions: Mapping[str, str] | None = None
    ) -> Installation:
        """Install an App on an account: on all repositories, or on those given."""
        with self.world.lock:
            world = self.world
            chosen = None if repositories is None else {repo.state.id for repo in repositories}
            rights = dict(app.permissions if permissions is None else {"metadata": "read", **permissions})
            made = Installation(world.id(), app, world.user(account), rights, app.events, chosen, world.now())
            world.installations[made.id] = made
            covered = [repo for repo in world.repositories.values() if world.covers(made, repo)]
            told = self._tell_installation(made, "created", covered)
        return self.done(made, told)

    def _tell_installation(self, made: Installation, action: str, covered: list[Repository] | None = None) -> list[Delivery]:
        body: dict[str, Any] = {"installation": shapes.installation(self.world, made)}
        if covered is not None:
            body |= {"repositories": [shapes.repository_in_event(self.world, repo) for repo in covered], "requester": None}
        return hooks.emit(self.world, "installation", action, body, sender=made.account, installation=made)

    def uninstall(self, installation: Installation) -> None:
        """Remove an installation; its tokens die with it."""
        with self.world.lock:
            told = self._tell_installation(installation, "deleted", [])
            del self.world.installations[installation.id]
            self.world.tokens = {value: token for value, token in self.world.tokens.items() if token.installation is not installation}
        self.done(None, told)

    def suspend(self, installation: Installation, *, suspended: bool = True) -> None:
        """Suspend an installation, or end that."""
        with self.world.lock:
            installation.suspended_at = self.world.now() if suspended else None
            told = self._tell_installation(installation, "suspend" if suspended else "unsuspend")
        self.done(None, told)

    def choose(self, installation: Installation, *, added: Iterable[Repo] = (), removed: Iterable[Repo] = ()) -> None:
        """Change which repositories an installation reaches."""
        more, less = [repo.state for repo in added], [repo.state for repo in removed]
        with self.world.lock:
            kept = set(installation.repositories or ()) | {repo.id for repo in more}
            installation.repositories = kept - {repo.id for repo in less}
            told = []
            for action, repos in (("added", more), ("removed", less)):
                if repos:
                    drawn = [shapes.repository_in_event(self.world, repo) for repo in repos]
                    lists = {
                        "repositories_added": drawn if action == "added" else [],
                        "repositories_removed": drawn if action == "removed" else [],
                    }
                    body = {
                        "installation": shapes.installation(self.world, installation),
                        "repository_selection": "selected",
                        "requester": None,
                    }
                    told += hooks.emit(
                        self.world,
                        "installation_repositories",
                        action,
                        body | lists,
                        sender=installation.account,
                        installation=installation,
                    )
        self.done(None, told)

    def token(self, installation: Installation, permissions: Mapping[str, str] | None = None) -> str:
        """A token of an installation, without going through the API."""
        with self.world.lock:
            return issue_token(self.world, installation, dict(installation.permissions if permissions is None else permissions), None).value

    @property
    def actions(self) -> App:
        """The App that GitHub Actions is."""
        with self.world.lock:
            known = self.world.apps.get(ACTIONS_APP)
        rights = {
            "checks": "write",
            "statuses": "write",
            "contents": "write",
            "pull_requests": "write",
            "issues": "write",
            "actions": "write",
        }
        return known or self.app("github-actions", permissions=rights, events=(), owner="github", name="GitHub Actions", number=ACTIONS_APP)

    def workflow_token(self, repo: Repo, permissions: Mapping[str, str]) -> str:
        """The GITHUB_TOKEN of a workflow with these permissions."""
        app = self.actions
        with self.world.lock:
            place = repo.state.owner
            found = [one for one in self.world.installations.values() if one.app is app and one.account is place]
        installation = found[0] if found else self.install(app, place.login)
        return self.token(installation, {"metadata": "read", **permissions})

    # Repositories.

    def repository(
        self,
        owner: str,
        name: str,
        *,
        private: bool = True,
        default_branch: str = "main",
        roles: Mapping[str, str] | None = None,
        fork_of: Repo | None = None,
    ) -> Repo:
        """The repository `owner/name`, made on first mention. `roles` maps logins to none, read, triage, write, maintain or admin."""
        with self.world.lock:
            known = self.world.repository(f"{owner}/{name}")
            if known is None:
                known = self._new_repository(owner, name, private, default_branch, fork_of)
            known.roles.update(roles or {})
            for login in roles or {}:
                self.world.user(login)
        return Repo(self, known)

    def _new_repository(self, owner: str, name: str, private: bool, default_branch: str, fork_of: Repo | None) -> Repository:
        number = self.world.id()
        path = self._root / f"{number}.git"
        parent = fork_of.state if fork_of else None
        if parent:
            shutil.copytree(parent.path, path)
        else:
            git.create(path, default_branch)
        made = Repository(number, self.world.user(owner), name, path, private, default_branch, self.world.now(), parent)
        made.refs = git.refs(path)
        self.world.repositories[made.full_name.lower()] = made
        return made

    # Deliveries.

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to deliver a webhook so far, in order."""
        return self.world.deliveries

    def redeliver(self, delivery: Delivery) -> Delivery | None:
        """Deliver once more, as the button on GitHub does."""
        with self.world.lock:
            made = hooks.redeliver(self.world, delivery)
        return self.done(made, [made] if made else [])

    def settle(self) -> None:
        """Return when every webhook made so far was delivered, also those that calls to the API set off."""
        self.done(None, list(self.world.deliveries))

    def done(self, value: T, told: Iterable[Delivery]) -> T:
        """The value, once all those webhooks were delivered."""
        for delivery in told:
            delivery.done.wait(hooks.PATIENCE + 5)
        return value
