"""Who may look: sign-in with GitHub by the App's own web flow, sessions on the server, and GitHub's answer to whether someone may read a repository.

The cookie of a sign-in under way holds a random verifier, and the state sent to GitHub is a digest of it: nothing is stored until it succeeded.
The cookie of a session holds a random key; the database holds its digest, and the person's token encrypted with it, so that the database alone
opens nothing. What a person may read is asked of GitHub with their own token and believed for a minute.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from urllib.parse import quote, unquote

from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request

from bot.github.client import ApiError
from bot.github.people import People, sign_in_address
from bot.pages.web import Go, House, Missing, Page, Refused, SignInFirst, Visitor, form, inside, origin

SESSION = 8 * 3600
"""Seconds that a session lasts; a token of the web flow lasts as long."""
BELIEVED = 60
"""Seconds that GitHub's answer about a repository is believed."""
REMEMBERED = 10_000


class Guard:
    """Decides who sees what."""

    def __init__(self, house: House, clock: Callable[[], float] = time.time) -> None:
        self._house, self._clock = house, clock
        self._people: People | None = None
        self._answers: dict[tuple[int, str], tuple[float, tuple[str, int] | None]] = {}

    @property
    def people(self) -> People:
        """The door to GitHub for people."""
        if self._people is None:
            self._people = People()
        return self._people

    async def close(self) -> None:
        """End all connections."""
        if self._people is not None:
            await self._people.close()

    # Cookies

    def secure(self, request: Request) -> bool:
        """Whether people reach this server over https."""
        return origin(request, self._house.settings).startswith("https://")

    def cookie_name(self, request: Request, name: str) -> str:
        """A cookie's name, bound to this host alone where there is https."""
        return ("__Host-" if self.secure(request) else "") + f"interlock-{name}"

    def cookie(self, request: Request, name: str, value: str, seconds: int) -> str:
        """A Set-Cookie header; no seconds take the cookie away."""
        parts = [f"{self.cookie_name(request, name)}={value}", "Path=/", "HttpOnly", "SameSite=Lax", f"Max-Age={seconds}"]
        return "; ".join(parts + (["Secure"] if self.secure(request) else []))

    # Sessions

    def open_session(self, request: Request, body: dict[str, str], seconds: int = SESSION, name: str = "session") -> str:
        """Keep a session; the cookie that leads to it."""
        key = secrets.token_urlsafe(32)
        sealed = _lock(key).encrypt(json.dumps(body).encode()).decode()
        self._house.store.put_session(_digest(name, key), sealed, self._clock() + seconds)
        return self.cookie(request, name, key, seconds)

    def session(self, request: Request, name: str = "session") -> tuple[str, dict[str, str]] | None:
        """The key and the content of the visitor's session."""
        key = request.cookies.get(self.cookie_name(request, name), "")
        if not 20 <= len(key) <= 100 or not key.isascii():
            return None
        sealed = self._house.store.session(_digest(name, key))
        if sealed is None:
            return None
        try:
            body: dict[str, str] = json.loads(_lock(key).decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None
        return key, body

    def end_session(self, request: Request, name: str = "session") -> str:
        """End the visitor's session; the header that takes its cookie away."""
        found = self.session(request, name)
        if found:
            self._house.store.end_session(_digest(name, found[0]))
        return self.cookie(request, name, "", 0)

    def visitor(self, request: Request) -> Visitor | None:
        """Who is signed in, None for nobody."""
        request.state.can_sign_in = self._house.settings.client is not None and not self._house.settings.behind_proxy
        found = self.session(request)
        made = Visitor(found[1]["login"], int(found[1]["id"]), found[0], found[1]["token"]) if found else None
        request.state.visitor = made
        return made

    # What someone may read

    async def readable(self, request: Request, owner: str, name: str) -> tuple[str, int | None]:
        """The repository's name as GitHub writes it and its id. Raises `SignInFirst`, or `Missing` for unknown and forbidden alike."""
        visitor = self.visitor(request)
        if self._house.settings.behind_proxy:
            return self._recorded(owner, name), None
        if visitor is None:
            raise SignInFirst
        answer = await self.ask(visitor, f"{owner}/{name}")
        if answer is None:
            raise Missing
        return answer

    def _recorded(self, owner: str, name: str) -> str:
        wanted = f"{owner}/{name}"
        known = next((one for one, _ in self._house.store.repositories(10_000) if one.lower() == wanted.lower()), None)
        if known is None:
            raise Missing
        return known

    async def ask(self, visitor: Visitor, repository: str) -> tuple[str, int] | None:
        """Whether someone may read a repository: its name and id, or None. Asked of GitHub with their token, believed for a minute."""
        key = visitor.id, repository.lower()
        known = self._answers.get(key)
        now = self._clock()
        if known and known[0] > now:
            return known[1]
        owner, _, name = repository.partition("/")
        try:
            answer = await self.people.repository(self._house.settings.api_url, visitor.token, owner, name)
        except ApiError as error:
            if error.status == 401:
                raise SignInFirst from None
            raise Refused("GitHub did not say whether you may read this repository. Try again in a moment.", 503) from None
        if len(self._answers) >= REMEMBERED:
            self._answers = {one: value for one, value in self._answers.items() if value[0] > now}
        if len(self._answers) < REMEMBERED:
            self._answers[key] = now + BELIEVED, answer
        return answer

    # The pages

    async def sign_in(self, request: Request) -> Page:
        """Send the browser to GitHub."""
        settings = self._house.settings
        if settings.client is None or settings.behind_proxy:
            raise Missing
        verifier = secrets.token_urlsafe(48)
        back = inside(request.query_params.get("next", "/"))
        to = sign_in_address(
            settings.github_url, settings.client.id, origin(request, settings) + "/sign-in/done", _state(verifier), verifier
        )
        raise Go(to, (self.cookie(request, "sign-in", f"{verifier}.{quote(back, safe='')}", 600),))

    async def signed_in(self, request: Request) -> Page:
        """GitHub sent the browser back."""
        settings = self._house.settings
        if settings.client is None or settings.behind_proxy:
            raise Missing
        verifier, _, back = request.cookies.get(self.cookie_name(request, "sign-in"), "").partition(".")
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        if not verifier or not secrets.compare_digest(state.encode(), _state(verifier).encode()):
            raise Refused("This sign-in was not started here, or too long ago. Start again.", 403)
        if not code or len(code) > 200:
            raise Refused("GitHub says that the sign-in was not allowed.", 403)
        try:
            token = await self.people.exchange(
                settings.github_url, settings.client.id, settings.client.secret, code, origin(request, settings) + "/sign-in/done", verifier
            )
            person = await self.people.person(settings.api_url, token)
        except ApiError:
            raise Refused("GitHub did not confirm the sign-in. Start again.", 403) from None
        self.end_session(request)
        kept = self.open_session(request, {"login": person.login, "id": str(person.id), "token": token})
        raise Go(inside(unquote(back)), (kept, self.cookie(request, "sign-in", "", 0)))

    async def sign_out(self, request: Request) -> Page:
        """End the session."""
        visitor = self.visitor(request)
        if visitor is None:
            raise Go("/")
        await form(request, self._house.settings, visitor.session)
        raise Go("/", (self.end_session(request),))


def _digest(name: str, key: str) -> str:
    return hashlib.sha256(f"{name}:{key}".encode()).hexdigest()


def _lock(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"token:" + key.encode()).digest()))


def _state(verifier: str) -> str:
    return hashlib.sha256(b"state:" + verifier.encode()).hexdigest()
