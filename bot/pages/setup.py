"""Setup: creates the App by GitHub's manifest flow, stores its credentials, shows what is left, verifies it, and closes itself for good.

docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import re
import secrets
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml
from starlette.requests import Request

from bot.github.client import Api, ApiError
from bot.pages.sign_in import Guard
from bot.pages.web import Go, House, Missing, Page, Refused, csrf_of, form, origin
from bot.publish import gate_name
from bot.settings import KEPT, Settings, SettingsError, keep, read_kept, read_settings

TOKEN_LIFE = 24 * 3600
DONE = "setup/done"
SHOWN = "setup/shown"


class Setup:
    """The one page that writes settings; a token printed in the terminal opens it."""

    def __init__(self, house: House, guard: Guard) -> None:
        self._house, self._guard = house, guard
        self._token: str | None = None

    @property
    def open(self) -> bool:
        """Whether there is anything to set up: without credentials, or until what the page itself stored is declared whole."""
        settings = self._house.settings
        if self._house.store.fact(DONE):
            return False
        return settings.credentials is None or settings.stored

    def invite(self) -> str | None:
        """The path, with a token that works once, that opens the page; None where it is closed."""
        if not self.open:
            return None
        self._token = secrets.token_urlsafe(24)
        return f"/setup?token={self._token}"

    def _entered(self, request: Request) -> tuple[str, dict[str, str]]:
        """The session of whoever opened the page with the token. Raises `Missing` for everyone else, and once it is closed."""
        found = self._guard.session(request, "setup") if self.open else None
        if found is None:
            raise Missing
        return found

    async def show(self, request: Request) -> Page:
        """What is to be done."""
        self._guard.visitor(request)
        if not self.open:
            raise Missing
        token = request.query_params.get("token")
        if token is not None:
            given, wanted = hashlib.sha256(token.encode()).digest(), hashlib.sha256((self._token or "").encode()).digest()
            if self._token is None or not secrets.compare_digest(given, wanted):
                raise Refused(
                    "This address was used already, or is not the one the terminal shows. Start `interlock serve` again for a new one.", 403
                )
            self._token = None
            raise Go("/setup", (self._guard.open_session(request, {"state": secrets.token_urlsafe(24)}, TOKEN_LIFE, "setup"),))
        key, body = self._entered(request)
        if self._house.settings.credentials is None:
            return self._form(request, key, {})
        return await self._left(request, key, body.get("hook", ""))

    def _form(self, request: Request, key: str, given: dict[str, str], wrong: str = "") -> Page:
        settings = self._house.settings
        here = origin(request, settings)
        values = {
            "kind": given.get("kind", "organization"),
            "organization": given.get("organization", ""),
            "github": given.get("github", settings.github_url),
            "public": given.get("public", here),
            "hook": given.get("hook", ""),
            "name": given.get("name", "Interlock"),
        }
        data = {
            "step": "create",
            "values": values,
            "error": wrong,
            "csrf": csrf_of(key),
            "local": _local(here),
            "port": listening(request),
        }
        return Page("setup.html", "Set up Interlock", data, 400 if wrong else 200, unlisted=frozenset({"csrf"}))

    async def choose(self, request: Request) -> Page:
        """The addresses were given: show the manifest and the button that sends it to GitHub."""
        self._guard.visitor(request)
        key, body = self._entered(request)
        fields = await form(request, self._house.settings, key)
        if self._house.settings.credentials is not None:
            raise Go("/setup")
        try:
            github, public = address(fields.get("github", "")), address(fields.get("public", ""))
            hook = address(fields["hook"]) if fields.get("hook", "").strip() else f"{public}/webhook"
            organization = fields.get("organization", "").strip() if fields.get("kind") == "organization" else ""
            if fields.get("kind") == "organization" and not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})", organization):
                raise ValueError("The organisation is its name in the address of its page, such as acme.")
            if _local(hook) and not _local(github):
                raise ValueError(
                    "GitHub cannot reach this machine by that address: give an address for deliveries, such as a channel's (below)."
                )
            name = fields.get("name", "").strip()
            if not 1 <= len(name) <= 34 or not name.isprintable():
                raise ValueError("The App's name has 1 to 34 characters.")
        except ValueError as wrong:
            return self._form(request, key, fields, str(wrong))
        made = manifest(name, public, hook, origin(request, self._house.settings))
        kept = self._guard.open_session(request, {**body, "github": github, "public": public, "hook": hook}, TOKEN_LIFE, "setup")
        place = f"/organizations/{quote(organization)}/settings/apps/new" if organization else "/settings/apps/new"
        page = {
            "step": "send",
            "error": "",
            "to": f"{github}{place}?state={quote(body['state'])}",
            "manifest": json.dumps(made),
            "shown": json.dumps(made, indent=2),
            "account": organization,
            "github": github,
            "hook": hook,
        }
        parts = urlsplit(github)
        request.state.cookies = (kept,)
        return Page("setup.html", "Create the App", page, form_action=f"{parts.scheme}://{parts.netloc}", unlisted=frozenset({"to"}))

    async def created(self, request: Request) -> Page:
        """GitHub made the App and sent the browser back with a code: take the credentials and store them."""
        self._guard.visitor(request)
        _, body = self._entered(request)
        if self._house.settings.credentials is not None:
            raise Go("/setup")
        if "github" not in body or not secrets.compare_digest(request.query_params.get("state", "").encode(), body["state"].encode()):
            raise Refused("This was not started here. Open /setup and start again.", 403)
        from bot.settings import api_of

        github = body["github"]
        settings = self._house.settings
        api = settings.api_url if github == settings.github_url else api_of(github)
        try:
            app = await self._guard.people.app_of(api, request.query_params.get("code", ""))
        except ApiError as error:
            raise Refused(
                f"GitHub did not give the App's credentials ({error.status or 'no answer'}). A code works once and for an hour: start again.",
                502,
            ) from None
        values = credentials(app, github, api if api != api_of(github) else "", body["public"])
        try:
            keep(settings.data, values)
            made = read_settings({"INTERLOCK_DATA": str(settings.data)})
        except (OSError, SettingsError) as error:
            raise Refused(f"The credentials could not be stored: {error}. Delete the App on GitHub and start again.", 500) from None
        await self._house.adopt(
            replace(
                made, workers=settings.workers, mirror_quota=settings.mirror_quota, past=settings.past, behind_proxy=settings.behind_proxy
            )
        )
        raise Go("/setup")

    async def _left(self, request: Request, key: str, hook: str) -> Page:
        """What is left to do, each step verified by asking GitHub now. Deliveries to another host than this server's need a `channel`."""
        settings = self._house.settings
        assert settings.credentials is not None
        repository, branch = request.query_params.get("repository", "").strip(), request.query_params.get("branch", "").strip() or "main"
        api = Api(settings.credentials, settings.api_url)
        try:
            steps, app = await self._steps(api, repository, branch)
        except ApiError as error:
            steps, app = [{"name": "The credentials work", "done": False, "says": f"GitHub answered {error.status or 'nothing'}."}], {}
        finally:
            await api.close()
        data = {
            "step": "left",
            "error": "",
            "csrf": csrf_of(key),
            "steps": steps,
            "app": {"id": settings.credentials.app_id, "name": app.get("name", ""), "address": app.get("html_url", "")},
            "install": f"{app.get('html_url', '')}/installations/new" if app.get("html_url") else "",
            "repository": repository,
            "branch": branch,
            "ruleset": json.dumps(ruleset(branch, settings.credentials.app_id), indent=2),
            "command": command(repository or "OWNER/REPO", branch, settings.credentials.app_id),
            "host": urlsplit(settings.github_url).hostname or "github.com",
            "file": str(settings.data / KEPT),
            "shown": bool(self._house.store.fact(SHOWN)),
            "channel": channel(hook, listening(request)) if urlsplit(hook).netloc not in ("", *own(request, settings)) else "",
        }
        return Page("setup.html", "What is left to do", data, unlisted=frozenset({"csrf"}))

    async def _steps(self, api: Api, repository: str, branch: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        app = await api.as_app("app")
        installations = await api.as_app("installations")
        accounts = [str((one.get("account") or {}).get("login", "")) for one in installations]
        deliveries = await api.as_app("hook-deliveries")
        arrived = [one for one in deliveries if 200 <= int(one.get("status_code") or 0) < 300]
        steps = [
            {"name": "The credentials work", "done": True, "says": f"GitHub knows this server as the App {app.get('name', '')}."},
            {
                "name": "The App is installed",
                "done": bool(accounts),
                "says": f"On {', '.join(accounts[:10])}." if accounts else "Not on any account yet.",
            },
            {
                "name": "Deliveries arrive",
                "done": bool(arrived),
                "says": "The newest that was answered: " + str(arrived[0].get("event", ""))
                if arrived
                else "None was answered yet. Open a pull request, or redeliver one on the App's page under Advanced."
                if deliveries
                else "GitHub sent none yet: open a pull request in a repository where the App is installed.",
            },
        ]
        if repository:
            steps.append(await self._required(api, repository, branch))
        else:
            steps.append(
                {"name": "The check is required and pinned", "done": False, "says": "Name a repository below to have it verified."}
            )
        return steps, app

    async def _required(self, api: Api, repository: str, branch: str) -> dict[str, Any]:
        name = f"“{gate_name(branch)}” is required in {repository} and pinned to this App"
        owner, _, repo = repository.partition("/")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            return {"name": name, "done": False, "says": "A repository is written OWNER/REPO."}
        try:
            installation = await api.as_app("installed-on", owner=owner, repo=repo)
            rules = await api.installation(int(installation["id"]), repository).ask("rules", branch=branch)
        except ApiError as error:
            says = "The App is not installed there." if error.status == 404 else f"GitHub answered {error.status or 'nothing'}."
            return {"name": name, "done": False, "says": says}
        checks = [
            check
            for rule in rules
            if rule.get("type") == "required_status_checks"
            for check in rule.get("parameters", {}).get("required_status_checks", [])
            if check.get("context") == gate_name(branch)
        ]
        if any(check.get("integration_id") == api.app_id for check in checks):
            return {"name": name, "done": True, "says": "A merge is impossible while it is red."}
        if checks:
            return {
                "name": name,
                "done": False,
                "says": "It is required, but from any source: anyone who can push can fake it. Pin it to this App.",
            }
        return {"name": name, "done": False, "says": "It is not required by a ruleset: a merge is possible while it is red."}

    async def environment(self, request: Request) -> Page:
        """The stored credentials as lines of an environment, once for the life of this server's database."""
        self._guard.visitor(request)
        key, _ = self._entered(request)
        await form(request, self._house.settings, key)
        store, path = self._house.store, self._house.settings.data / KEPT
        if store.fact(SHOWN):
            raise Refused(f"The lines were shown already. The values are in {path}, readable by this server's user alone.", 403)
        try:
            lines = environment_lines(read_kept(self._house.settings.data))
        except SettingsError as error:
            raise Refused(f"The stored credentials cannot be read: {error}.", 500) from None
        if not lines:
            raise Refused("There are no stored credentials.")
        store.remember(SHOWN, time.time())
        data = {"step": "environment", "error": "", "lines": lines, "file": str(path)}
        return Page("setup.html", "The credentials as an environment", data, unlisted=frozenset({"lines"}))

    async def finish(self, request: Request) -> Page:
        """Close the page for good."""
        key, _ = self._entered(request)
        await form(request, self._house.settings, key)
        if self._house.settings.credentials is None:
            raise Refused("There are no credentials yet.")
        self._house.store.remember(DONE, time.time())
        raise Go("/", (self._guard.end_session(request, "setup"),))


def address(text: str) -> str:
    """An address that was typed in. Raises `ValueError` with a sentence."""
    value = text.strip().rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment or len(value) > 300:
        raise ValueError(f"{value[:80]!r} is not an address such as https://interlock.example.com.")
    if parts.scheme == "http" and not _local(value):
        raise ValueError(f"{value[:80]} must be https: tokens would cross the network in clear text.")
    return value


def _local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def own(request: Request, settings: Settings) -> set[str]:
    """The hosts by which people and GitHub reach this server."""
    return {request.url.netloc, urlsplit(origin(request, settings)).netloc}


def listening(request: Request) -> int:
    """The port that this server listens on, whatever stands in front of it."""
    server = request.scope.get("server")
    return int(server[1]) if server and server[1] else 8480


def channel(address: str, port: int) -> str:
    """The line that passes deliveries on from a channel to this machine: github.com/probot/smee-client"""
    return f"npx smee-client --url {shlex.quote(address)} --target http://127.0.0.1:{port}/webhook"


def environment_lines(values: Mapping[str, str]) -> str:
    """Settings as lines that a shell, systemd's EnvironmentFile and Compose's env_file read alike; a key is one line."""
    return "\n".join(f"{name}={shlex.quote(value.strip().replace(chr(10), chr(92) + 'n'))}" for name, value in values.items())


def manifest(name: str, public: str, hook: str, here: str) -> dict[str, Any]:
    """What GitHub is asked to make, from `app.yml`."""
    packaged = importlib.resources.files("bot").joinpath("app.yml")
    text = packaged.read_text() if packaged.is_file() else (Path(__file__).parents[2] / "app.yml").read_text()
    made: dict[str, Any] = yaml.safe_load(text)
    return {
        **made,
        "name": name,
        "url": public,
        "hook_attributes": {"url": hook, "active": True},
        "redirect_url": f"{here}/setup/created",
        "callback_urls": list(dict.fromkeys([f"{public}/sign-in/done", f"{here}/sign-in/done"])),
    }


def credentials(app: dict[str, Any], github: str, api: str, public: str) -> dict[str, str]:
    """The settings that a new App's credentials are."""
    values = {
        "INTERLOCK_APP_ID": str(app["id"]),
        "INTERLOCK_PRIVATE_KEY": str(app["pem"]),
        "INTERLOCK_WEBHOOK_SECRET": str(app["webhook_secret"]),
        "INTERLOCK_CLIENT_ID": str(app["client_id"]),
        "INTERLOCK_CLIENT_SECRET": str(app["client_secret"]),
        "INTERLOCK_GITHUB_URL": github,
        "INTERLOCK_API_URL": api,
        "INTERLOCK_PUBLIC_URL": public,
    }
    return {name: value for name, value in values.items() if value}


def ruleset(branch: str, app_id: int) -> dict[str, Any]:
    """A ruleset that makes the gate required on a branch, pinned to the App, with nobody who may bypass it: docs.github.com/rest/repos/rules"""
    return {
        "name": f"Interlock on {branch}",
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": [],
        "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
        "rules": [
            {
                "type": "required_status_checks",
                "parameters": {
                    "strict_required_status_checks_policy": True,
                    "required_status_checks": [{"context": gate_name(branch), "integration_id": app_id}],
                },
            }
        ],
    }


def command(repository: str, branch: str, app_id: int) -> str:
    """The line that makes that ruleset with GitHub's own command line tool."""
    return f"echo {shlex.quote(json.dumps(ruleset(branch, app_id)))} | gh api --method POST {shlex.quote(f'repos/{repository}/rulesets')} --input -"
