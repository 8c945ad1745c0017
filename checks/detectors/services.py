"""Services of a machine: systemd units, sudo rules, web servers and proxies, cron tables.

## What it detects
systemd units that lose their user, their sandbox, their restart or watchdog; sudo rules that let someone do more, without a password or
everything; in nginx, Apache, Caddy and HAProxy: access rules, authentication and TLS checks that are gone, addresses newly served or allowed to all; cron
jobs that are gone, that run more often or run as root.

## Why it matters
These files are applied as they stand. `NOPASSWD: ALL` makes a user root, and a deny rule that is gone is noticed only by those it kept out.

## Example
`deploy ALL=(ALL) NOPASSWD: ALL` in a file under sudoers.d.

## What makes it safe
One command per sudo rule; `systemd-analyze security` in CI; access rules tested from outside after each deployment.

## What it cannot see
Included files from outside the repository, drop-ins on the machine, and what modules of a server do with the request.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from checks.detectors.base import Detector, Rule, by_file, not_analysed, short
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import text_of

SUDO = Rule("services/sudo-widened", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.PARTLY, "Someone may do more through sudo")
UNIT_USER = Rule("services/unit-runs-as-root", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.YES, "A service newly runs as root")
UNIT_SANDBOX = Rule(
    "services/unit-sandbox-loosened", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.YES, "A service's sandbox is loosened"
)
UNIT_RESTART = Rule(
    "services/unit-restart-removed", Hazard.AVAILABILITY_REDUCED, Severity.LOW, Reversible.YES, "A service no longer restarts by itself"
)
ACCESS = Rule(
    "services/access-rule-removed", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.YES, "A server lets in what it kept out"
)
CRON = Rule("services/cron-job-removed", Hazard.AVAILABILITY_REDUCED, Severity.LOW, Reversible.YES, "A scheduled job is gone")
RULES = (SUDO, UNIT_USER, UNIT_SANDBOX, UNIT_RESTART, ACCESS, CRON)

Lines = list[tuple[int, str]]


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What one file of a machine's services newly allows, shows or leaves undone."""
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED:
            continue
        compare = next((function for shape, function in _KINDS if shape.search(file.path)), None)
        if compare is None:
            continue
        try:
            before = change.base_bytes(file)
            old = text_of(before, file.base_path) if before is not None else None
        except Unreadable:
            old = None
        try:
            after = change.head_bytes(file)
            new = text_of(after, file.path) if after is not None else None
        except Unreadable as unreadable:
            yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)
            continue
        yield from compare(old, new, file.path)


def _logical(text: str | None, comment: str = "#") -> Lines:
    """Lines without comments and blanks, continuations joined, spaces made single."""
    out: Lines = []
    start, held = 0, ""
    for number, line in enumerate((text or "").split("\n"), 1):
        if not held:
            start = number
            if line.lstrip()[:1] in comment and line.strip():
                continue
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        joined = " ".join((held + line).split())
        held = ""
        if joined:
            out.append((start, joined))
    return out


# -------------------------------------------------------------------------------------------------------------------------- sudo

_RULE = re.compile(r"^([^\s,]+(?:\s*,\s*[^\s,]+)*)\s+(\S+)\s*=\s*(.+)$")


def _grants(text: str | None) -> dict[tuple[str, str], int]:
    """(who, what) → line of every sudo rule (sudo.ws/docs/man/sudoers.man); tags hold for the commands after them."""
    out: dict[tuple[str, str], int] = {}
    for line, content in _logical(text):
        if content.startswith(("Defaults", "User_Alias", "Cmnd_Alias", "Host_Alias", "Runas_Alias", "@include")):
            if content.replace(" ", "").lower() in ("defaults!authenticate", "defaults!requiretty", "defaultsvisiblepw"):
                out["everyone", content] = line
            elif content.startswith("Cmnd_Alias"):
                name, _, commands = content.removeprefix("Cmnd_Alias").partition("=")
                for command in commands.split(","):
                    out[f"alias {name.strip()}", command.strip()] = line
            continue
        match = _RULE.match(content)
        if match is None:
            continue
        tag = ""
        runas = ""
        for command in match[3].split(","):
            words = command.strip()
            if given := re.match(r"^\(([^)]*)\)\s*", words):
                runas, words = given[1], words[given.end() :]
            while given := re.match(r"^(NOPASSWD|PASSWD|SETENV|NOEXEC|EXEC|NOSETENV):\s*", words):
                tag = given[1] if given[1] in ("NOPASSWD", "PASSWD") else tag
                words = words[given.end() :]
            for who in match[1].split(","):
                out[who.strip(), f"({runas or 'root'}) {'NOPASSWD: ' if tag == 'NOPASSWD' else ''}{words}"] = line
    return out


def _sudoers(old: str | None, new: str | None, path: str) -> Iterator[Effect]:
    known = _grants(old)
    for (who, what), line in _grants(new).items():
        if (who, what) in known or what.partition(") ")[2].startswith("!") or who == "root":
            continue
        if (who, what.replace(") ", ") NOPASSWD: ", 1)) in known:
            continue
        everything = what.endswith((" ALL", "NOPASSWD: ALL"))
        silent = "NOPASSWD" in what or "authenticate" in what
        severity = Severity.CRITICAL if everything and silent else Severity.HIGH if everything or silent else Severity.MODERATE
        without = " without a password" if silent else ""
        yield SUDO.effect(
            subject=f"{who}: {what}",
            path=path,
            line=line,
            after=what,
            severity=severity,
            message=f"{who} may run {short(what.partition(') ')[2].removeprefix('NOPASSWD: ') or what, 80)} through sudo{without}.",
        )


# ----------------------------------------------------------------------------------------------------------------------- systemd

_SANDBOX = {
    "nonewprivileges": ("no", "false", "off", "0"), "protectsystem": ("no", "false", "off"), "protecthome": ("no", "false", "off"), "privatetmp": ("no", "false"),
    "privatedevices": ("no", "false"), "protectkerneltunables": ("no", "false"), "protectkernelmodules": ("no", "false"), "protectcontrolgroups": ("no", "false"),
    "restrictnamespaces": ("no", "false"), "memorydenywriteexecute": ("no", "false"), "privateusers": ("no", "false"), "restrictsuidsgid": ("no", "false"),
    "privatenetwork": ("no", "false"), "systemcallfilter": (), "capabilityboundingset": (), "restrictaddressfamilies": (), "dynamicuser": ("no", "false"),
}  # fmt: skip


def _unit(text: str | None) -> dict[str, tuple[int, str]]:
    """The last value of every key of the [Service] section, lower case."""
    out: dict[str, tuple[int, str]] = {}
    section = ""
    for line, content in _logical(text, "#;"):
        if content.startswith("["):
            section = content.strip("[]").lower()
        elif section == "service" and "=" in content:
            key, _, value = content.partition("=")
            out[key.strip().lower()] = (line, value.strip())
    return out


def _systemd(old: str | None, new: str | None, path: str) -> Iterator[Effect]:
    if old is None or new is None:
        return
    was, now = _unit(old), _unit(new)
    if not now:
        return
    first = min(line for line, _ in now.values())
    user = was.get("user", (0, ""))[1]
    if (
        (user not in ("", "root", "0") or was.get("dynamicuser", (0, ""))[1] in ("yes", "true"))
        and now.get("user", (0, ""))[1] in ("", "root", "0")
        and now.get("dynamicuser", (0, ""))[1] not in ("yes", "true")
    ):
        yield UNIT_USER.effect(
            subject=path,
            path=path,
            line=now.get("user", (first, ""))[0],
            before=user or "dynamic user",
            after="root",
            message=f"The service runs as root instead of {user or 'a user of its own'}.",
        )
    for key, off in _SANDBOX.items():
        before, after = was.get(key), now.get(key)
        held = before is not None and before[1].lower() not in (*off, "", "~")
        if held and (after is None or after[1].lower() in (*off, "")):
            yield UNIT_SANDBOX.effect(
                subject=f"{path}: {key}",
                path=path,
                line=after[0] if after else first,
                before=short(before[1], 60) if before else None,
                after=after[1] if after else "absent",
                message=f"The service is no longer held by {key}.",
            )
    for key in ("restart", "watchdogsec"):
        before, after = was.get(key), now.get(key)
        if before is not None and before[1].lower() not in ("no", "0", "") and (after is None or after[1].lower() in ("no", "0")):
            yield UNIT_RESTART.effect(
                subject=f"{path}: {key}",
                path=path,
                line=after[0] if after else first,
                before=before[1],
                after=after[1] if after else "absent",
                message="The service stays down when it fails or hangs.",
            )


# ------------------------------------------------------------------------------------------------------------------- web servers

_GUARDS = re.compile(
    r"^(?:deny |auth_basic(?:_user_file)? (?!off)|auth_request (?!off)|auth_jwt |satisfy all|ssl_verify_client on|limit_req |limit_conn |modsecurity on|"
    r"Require (?!all granted)|AuthType |Deny from |basicauth |basic_auth |forward_auth |http-request (?:deny|auth|tarpit|reject)|tcp-request connection reject|"
    r"add_header (?:Content-Security-Policy|Strict-Transport-Security|X-Frame-Options) |proxy_ssl_verify on|internal$)",
    re.IGNORECASE,
)
_OPENS = re.compile(
    r"^(?:allow all|satisfy any|auth_basic off|auth_request off|autoindex on|Require all granted|Allow from all|ssl_verify_client off|proxy_ssl_verify off|modsecurity off|"
    r"add_header ['\"]?Access-Control-Allow-Origin['\"]? ['\"]?\*|tls_insecure_skip_verify|.*\bverify none\b)",
    re.IGNORECASE,
)


def _directives(text: str | None) -> Lines:
    out: Lines = []
    for line, content in _logical(text):
        for part in re.split(r"[;{}]", re.sub(r"(?<=\s)#.*$", "", content)):
            if part.strip():
                out.append((line, " ".join(part.split())))
    return out


def _server(old: str | None, new: str | None, path: str) -> Iterator[Effect]:
    if old is None or new is None:
        return
    was, now = _directives(old), _directives(new)
    counts = Counter(content for _, content in now)
    blocks = Counter(content.partition(" ")[0] for _, content in now)
    fewer = Counter(content.partition(" ")[0] for _, content in was)
    places_gone = fewer["location"] + fewer["server"] > blocks["location"] + blocks["server"]
    told = Counter(content for _, content in was)
    lost: list[tuple[int, str]] = []
    for line, content in was:
        if _GUARDS.match(content):
            if counts[content]:
                counts[content] -= 1
            elif not places_gone:
                lost.append((line, content))
    kinds = Counter(content.partition(" ")[0].lower() for _, content in now if _GUARDS.match(content))
    for line, content in lost:
        kind = content.partition(" ")[0].lower()
        same = [other for _, other in was if other.partition(" ")[0].lower() == kind and _GUARDS.match(other)]
        if kinds[kind] >= len(same):
            # As many rules of the kind as before: one was rewritten, and whether it is looser cannot be told from its words.
            continue
        yield ACCESS.effect(
            subject=f"{path}: {short(content, 80)}",
            path=path,
            line=line,
            side=Side.BASE,
            before=short(content, 100),
            message=f"The rule “{short(content, 80)}” is gone: what it kept out is let in.",
        )
    for line, content in now:
        if _OPENS.match(content):
            if told[content]:
                told[content] -= 1
                continue
            yield ACCESS.effect(
                subject=f"{path}: {short(content, 80)}",
                path=path,
                line=line,
                after=short(content, 100),
                message=f"The rule “{short(content, 80)}” lets in what was kept out.",
            )


# -------------------------------------------------------------------------------------------------------------------------- cron

_CRON = re.compile(r"^((?:@\w+)|(?:[\d*/,\-A-Za-z]+\s+){4}[\d*/,\-A-Za-z]+)\s+(.+)$")


def _crontab(old: str | None, new: str | None, path: str) -> Iterator[Effect]:
    if old is None:
        return
    after = {match[2] for _, content in _logical(new) if (match := _CRON.match(content))}
    for line, content in _logical(old):
        match = _CRON.match(content)
        if match and match[2] not in after:
            yield CRON.effect(
                subject=f"{path}: {short(match[2], 100)}",
                path=path,
                line=line,
                side=Side.BASE,
                before=short(content, 120),
                message=f"The scheduled job “{short(match[2], 80)}” no longer runs.",
            )


_KINDS: tuple[tuple[re.Pattern[str], Callable[[str | None, str | None, str], Iterator[Effect]]], ...] = (
    (re.compile(r"(?:^|/)sudoers(?:\.d/[^/]+|[^/]*)$"), _sudoers),
    (re.compile(r"\.(?:service|socket)$|\.service\.d/[^/]+\.conf$"), _systemd),
    (
        re.compile(
            r"(?:^|/)(?:[\w.-]*(?:nginx|httpd|apache|haproxy)[\w.-]*\.(?:conf|cfg)(?:\.\w+)?|\.htaccess|Caddyfile[\w.-]*)$|(?:^|/)(?:nginx|sites-(?:available|enabled)|haproxy|apache2?|httpd)/(?:.*/)?[\w.-]+\.(?:conf|cfg)$",
            re.IGNORECASE,
        ),
        _server,
    ),
    (re.compile(r"(?:^|/)(?:[\w.-]*crontab[\w.-]*|cron\.d/[^/]+)$"), _crontab),
)

DETECTOR = Detector(name="services", title="Services of a machine", rules=RULES, detect=detect, group=by_file, sure=True)
