"""Settings of a Supabase project: who may call its functions, sign in, and reach its database

## What it detects
In `supabase/config.toml`: functions that no longer ask for a token, sign-in made easier (addresses unconfirmed, anonymous users, registration
opened, a second factor or the captcha switched off, shorter passwords), a database that anyone's network reaches or that takes unencrypted
connections, a storage bucket made public, and a schema newly served by the API.

## Why it matters
The file is what `supabase config push` and branching apply to the project. One value decides whether a stranger's request reaches a function or rows.

## Example
```diff
 [functions.charge]
-verify_jwt = true
+verify_jwt = false
```

## What makes it safe
A function that checks a signature of its own (a webhook), row security on every table of a served schema, and a review by whoever owns sign-in.

## What it cannot see
What was set in the dashboard, what a function checks itself, and whether the file is ever pushed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from checks.detectors.base import Detector, Rule, by_file, not_analysed
from checks.model import Change, Effect, Environment, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, environment_of, place_of
from checks.readers.documents import Node
from checks.readers.toml import toml

FUNCTION = Rule(
    "supabase/function-open", Hazard.EXPOSURE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A function no longer asks for a token"
)
SIGN_IN = Rule("supabase/sign-in-loosened", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.PARTLY, "Signing in asks for less")
NETWORK = Rule(
    "supabase/database-opened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, Reversible.PARTLY, "The database is reachable from further away"
)
SERVED = Rule(
    "supabase/data-served", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "Files or tables are newly served to anyone"
)
RULES = (FUNCTION, SIGN_IN, NETWORK, SERVED)

Settings = Mapping[str, tuple[str, int]]

_SWITCHES: tuple[tuple[re.Pattern[str], str, str, Rule, str], ...] = tuple(
    (re.compile(pattern + r"\Z"), safe, unsafe, rule, message)
    for pattern, safe, unsafe, rule, message in (
        (r"auth\.(?:email|sms)\.enable_confirmations", "true", "false", SIGN_IN, "an address or number is taken without being confirmed"),
        (r"auth\.email\.double_confirm_changes", "true", "false", SIGN_IN, "a change of address is no longer confirmed at the old one"),
        (r"auth\.email\.secure_password_change", "true", "false", SIGN_IN, "a password can be changed in a session that is not fresh"),
        (r"auth\.enable_anonymous_sign_ins", "false", "true", SIGN_IN, "anyone gets a signed-in user without giving a name"),
        (r"auth(?:\.email|\.sms)?\.enable_signup", "false", "true", SIGN_IN, "anyone may register"),
        (r"auth\.enable_manual_linking", "false", "true", SIGN_IN, "identities can be linked by hand"),
        (r"auth\.captcha\.enabled", "true", "false", SIGN_IN, "signing in no longer asks for the captcha"),
        (r"auth\.mfa\.\w+\.(?:enroll|verify)_enabled", "true", "false", SIGN_IN, "a second factor can no longer be used"),
        (r"auth\.enable_refresh_token_rotation", "true", "false", SIGN_IN, "a stolen refresh token stays good"),
        (r"auth\.external\.\w+\.skip_nonce_check", "false", "true", SIGN_IN, "a token of the provider can be used again"),
        (r"db\.network_restrictions\.enabled", "true", "false", NETWORK, "every network may connect to the database"),
        (r"db\.ssl_enforcement\.enabled", "true", "false", NETWORK, "connections to the database may go unencrypted"),
        (r"storage\.buckets\.[\w-]+\.public", "false", "true", SERVED, "whoever knows a file's name may read it"),
    )
)
"""Setting, its safe and unsafe value, and what the unsafe one allows (supabase.com/docs/guides/local-development/cli/config)."""
_FUNCTION = re.compile(r"functions\.([\w-]+)\.verify_jwt\Z")
_WIDE = re.compile(
    r"://(?:\*\*?|\*\.(?:\w+|vercel\.app|netlify\.app|pages\.dev|workers\.dev|web\.app|firebaseapp\.com|github\.io|gitlab\.io|herokuapp\.com|onrender\.com|fly\.dev))(?:[/:]|\Z)"
)
"""An address that strangers can have a place at: any host, any below a top-level domain, any of a host for everybody's pages."""
_EVERYONE = frozenset({"0.0.0.0/0", "::/0"})


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What a project's settings newly allow."""
    for file in files:
        if file.new is None or place_of(file.path) is not Place.DEPLOYED:
            continue
        before, after = change.base_bytes(file), change.head_bytes(file)
        try:
            new = dict(_flat(toml(after or b"", file.path)))
        except Unreadable as unreadable:
            if _readable(before, file.base_path):
                yield not_analysed(file.path, unreadable.why, unreadable.line)
            continue
        old = dict(_flat(toml(before, file.base_path))) if before is not None and _readable(before, file.base_path) else None
        for compare in (_functions, _switches, _amounts, _lists):
            yield from compare(file.path, old, new)


def _readable(data: bytes | None, path: str) -> bool:
    try:
        return data is not None and toml(data, path) is not None
    except Unreadable:
        return False


def _flat(node: Node, at: str = "") -> Iterator[tuple[str, tuple[str, int]]]:
    """Every setting by its dotted name: its value as text, a list's values a line each."""
    for name, value in node.entries():
        where = f"{at}.{name}" if at else name
        if value.is_map:
            yield from _flat(value, where)
        elif value.is_list:
            yield where, ("\n".join(item.text or "" for item in value.elements()), value.line)
        else:
            yield where, (value.text or "", value.line)


def _named(name: str) -> tuple[str, Environment | None]:
    """A setting without the `remotes.NAME` before it, and the environment that the name speaks of."""
    if name.startswith("remotes."):
        _, remote, rest = name.split(".", 2) if name.count(".") > 1 else ("", "", name)
        found = environment_of(remote)
        return rest, None if found is Environment.UNKNOWN else found
    return name, None


def _tell(
    rule: Rule, path: str, name: str, old: str | None, new: tuple[str, int], message: str, severity: Severity | None = None
) -> Effect:
    return rule.effect(
        subject=name, path=path, line=new[1], before=old, after=new[0].replace("\n", ", "), message=message, severity=severity,
        environment=_named(name)[1],
    )  # fmt: skip


def _functions(path: str, old: Settings | None, new: Settings) -> Iterator[Effect]:
    for name, value in new.items():
        function = _FUNCTION.match(_named(name)[0])
        if function is None or value[0] != "false" or (old and old.get(name, ("",))[0] == "false"):
            continue
        known = old is not None and any(other.startswith(name.rpartition(".")[0] + ".") for other in old)
        yield _tell(
            FUNCTION, path, name, "true" if known else None, value,
            f"Anyone may call the function {function[1]}: no token is asked for before it runs.",
            None if known else Severity.MODERATE,
        )  # fmt: skip


def _switches(path: str, old: Settings | None, new: Settings) -> Iterator[Effect]:
    for name, value in new.items():
        was = old.get(name, ("",))[0] if old else ""
        for pattern, safe, unsafe, rule, message in _SWITCHES:
            if value[0] == unsafe and was == safe and pattern.match(_named(name)[0]):
                yield _tell(rule, path, name, was, value, f"{name} is {unsafe}: {message}.")


def _amounts(path: str, old: Settings | None, new: Settings) -> Iterator[Effect]:
    worse: tuple[tuple[str, Callable[[int, int], bool], str], ...] = (
        ("auth.minimum_password_length", lambda was, now: now < was, "shorter passwords are taken"),
        ("auth.jwt_expiry", lambda was, now: now > 2 * was, "a stolen token stays good for longer"),
    )
    for name, value in new.items():
        was = old.get(name, ("",))[0] if old else ""
        for setting, is_worse, message in worse:
            if _named(name)[0] == setting and was.isdigit() and value[0].isdigit() and is_worse(int(was[:9]), int(value[0][:9])):
                yield _tell(SIGN_IN, path, name, was, value, f"{name} goes from {was} to {value[0]}: {message}.", Severity.LOW)


def _lists(path: str, old: Settings | None, new: Settings) -> Iterator[Effect]:
    for name, value in new.items() if old else ():
        setting = _named(name)[0]
        if old is None or name not in old:
            continue
        added = [item for item in value[0].split("\n") if item and item not in old[name][0].split("\n")]
        if setting.startswith("db.network_restrictions.allowed_cidrs") and _EVERYONE & set(added):
            yield _tell(NETWORK, path, name, None, value, "Every network may connect to the database.")
        elif setting == "api.schemas" and added:
            yield _tell(
                SERVED, path, name, None, value,
                f"The API newly serves the schema {', '.join(added)}: its tables are as open as their grants and row security leave them.",
            )  # fmt: skip
        elif setting == "auth.additional_redirect_urls" and (wide := [item for item in added if _WIDE.search(item)]):
            yield _tell(SIGN_IN, path, name, None, value, f"After signing in, a token may be sent to any address that fits {wide[0]}.")


DETECTOR = Detector(name="supabase", title="Settings of a Supabase project", rules=RULES, detect=detect, group=by_file)
