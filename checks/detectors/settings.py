"""Settings of a deployed program in files of names and values: `.env` files and `.properties`.

## What it detects
Debug switched on, and checks switched off: certificates that are not verified, a database connection that goes unencrypted, authentication,
forgery checks and secure cookies disabled. Only values that were safe before, or that are unsafe whatever was before.

## Why it matters
The code is unchanged and so are its tests; one value decides whether a stranger sees the inside of an error page or may read a connection.

## Example
```diff
-APP_DEBUG=false
+APP_DEBUG=true
```

## What makes it safe
The change stands in a file of a development machine: such files say nothing here, and neither do examples.

## What it cannot see
Which of several files wins, and values set in a console.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from checks.detectors.base import Detector, Rule, by_file
from checks.model import Change, Effect, Environment, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, environment_of, place_of
from checks.readers import text_of

_OFF = Hazard.PROTECTION_REMOVED
DEBUG = Rule("settings/debug-on", _OFF, Severity.MODERATE, Reversible.PARTLY, "Debug is on where it is served")
CHECK = Rule("settings/check-off", _OFF, Severity.HIGH, Reversible.PARTLY, "A check is switched off by a setting")

_SPARED = re.compile(r"example|sample|template|dist|test|\bci\b|local|defaults?\b|\.tpl\b|\.j2\b|docker", re.IGNORECASE)
_TRUE = frozenset({"true", "1", "yes", "on", "enabled"})
_FALSE = frozenset({"false", "0", "no", "off", "disabled", "none"})
_DEBUG = re.compile(r"(?:^|_)(?:APP|DJANGO|FLASK|WP|RAILS|LARAVEL|SYMFONY|SERVER|API)?_?DEBUG(?:_MODE|_ENABLED)?\Z")
_ON_IS_SAFE = re.compile(
    r"(?:^|_)(?:(?:SSL|TLS|HTTPS|CERT\w*)_(?:VERIFY|VERIFICATION)|VERIFY_(?:SSL|TLS|CERT\w*|PEER)|AUTH(?:ENTICATION)?_(?:ENABLED|REQUIRED)"
    r"|(?:ENABLE|REQUIRE)_AUTH(?:ENTICATION)?|CSRF_(?:ENABLED|PROTECTION)|(?:SESSION_|CSRF_)?COOKIE_SECURE|SESSION_SECURE_COOKIE|FORCE_(?:SSL|HTTPS)"
    r"|SECURE_SSL_REDIRECT|RATE_LIMIT(?:ING)?_ENABLED|SECURITY_ENABLED|ENCRYPTION_ENABLED|USE_(?:SSL|TLS))\Z"
)
_ON_IS_UNSAFE = re.compile(
    r"(?:^|_)(?:INSECURE(?:_SKIP_VERIFY)?|SKIP_(?:TLS|SSL)_VERIF\w*|(?:TLS|SSL)_(?:SKIP_VERIFY|INSECURE)|(?:DISABLE|SKIP|BYPASS)_AUTH(?:ENTICATION)?"
    r"|AUTH(?:ENTICATION)?_DISABLED|DISABLE_(?:CSRF|RATE_LIMIT\w*|SSL|TLS)|ALLOW_INSECURE\w*)\Z"
)
_ALWAYS = {"NODE_TLS_REJECT_UNAUTHORIZED": "0", "PYTHONHTTPSVERIFY": "0", "GIT_SSL_NO_VERIFY": "true"}
"""Values that switch verification off for a whole program (nodejs.org/api/cli, PEP 493, git-scm.com/docs/git-config)."""
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Weakest first (postgresql.org/docs/current/libpq-ssl)."""
_REQUIRE = _MODES.index("require")
_MODE = re.compile(r"\bsslmode=([a-z-]+)", re.IGNORECASE)
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][\w.\-]*)\s*[=:]\s*+((?:.*\S)?)\s*$")


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        name = file.path.rpartition("/")[2]
        if place_of(file.path) is not Place.DEPLOYED or _SPARED.search(name) or environment_of(file.path) is Environment.DEVELOPMENT:
            continue
        before, after = change.base_bytes(file), change.head_bytes(file)
        if after is None:
            continue
        try:
            old = _settings(text_of(before, file.base_path)) if before is not None else {}
            new = _settings(text_of(after, file.path))
        except Unreadable:
            continue  # not a text of settings
        yield from _compared(file, old, new)


def _settings(text: str) -> dict[str, tuple[str, int]]:
    out: dict[str, tuple[str, int]] = {}
    for number, row in enumerate(text.split("\n"), 1):
        match = None if row.lstrip().startswith(("#", "!", ";")) else _ASSIGNED.match(row)
        if match:
            value = re.sub(r"\s+#.*\Z", "", match.group(2)).strip().strip("\"'")
            out[match.group(1)] = (value, number)
    return out


def _compared(file: FileChange, old: Mapping[str, tuple[str, int]], new: Mapping[str, tuple[str, int]]) -> Iterator[Effect]:
    for name, (value, line) in new.items():
        was = old[name][0] if name in old else None
        if was == value:
            continue
        upper = re.sub(r"[.\-]", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)).upper()
        low, had = value.lower(), None if was is None else was.lower()
        if _DEBUG.search(upper) and low in _TRUE and had in _FALSE:
            yield DEBUG.effect(
                subject=name, path=file.path, line=line, before="off", after="on",
                message=f"{name} is on: errors show their inside to whoever causes them.",
            )  # fmt: skip
        elif _off(upper, low, had):
            yield CHECK.effect(
                subject=name, path=file.path, line=line, before=was if had in _TRUE | _FALSE else None, after=value[:20],
                message=f"{name} is {value[:20]}: a check that stood before is no longer made.",
            )  # fmt: skip
        elif had is not None and 0 <= _mode(name, low) < _REQUIRE <= _mode(name, had):
            yield CHECK.effect(
                subject=f"{name} sslmode", path=file.path, line=line, before=_MODES[_mode(name, had)], after=_MODES[_mode(name, low)],
                message=f"The connection of {name} may go unencrypted: whoever stands between can read and change it.",
            )  # fmt: skip


def _off(name: str, value: str, had: str | None) -> bool:
    if name in _ALWAYS:
        return value == _ALWAYS[name]
    if _ON_IS_SAFE.search(name):
        return value in _FALSE and had in _TRUE
    return bool(_ON_IS_UNSAFE.search(name)) and value in _TRUE and had in _FALSE


def _mode(name: str, value: str) -> int:
    """How firm the encryption of a connection is, -1 where nothing is said of it."""
    match = _MODE.search(value)
    word = match.group(1) if match else value if name.upper().endswith("SSLMODE") else ""
    return _MODES.index(word) if word in _MODES else -1


DETECTOR = Detector(name="settings", title="Settings of deployed programs", rules=(DEBUG, CHECK), detect=detect, group=by_file, sure=True)
