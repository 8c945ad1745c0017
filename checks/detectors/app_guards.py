"""Guards of an application that go, and protections that are switched off in its code.

## What it detects
An authentication, permission, forgery or rate-limit guard that leaves a function, class, route or router which itself stays: decorators,
dependencies, mixins, middleware, annotations, `before_action`. Handlers newly said to be open to anyone. Certificate, token and forgery checks
switched off, any origin allowed, debug on, secure cookies and headers off. Python, JavaScript, TypeScript, Go, Java and Ruby.

## Why it matters
One line less and a route answers anyone; one `false` and a connection may be read and changed by whoever stands between. Tests that use a
logged-in user stay green.

## Example
```diff
-@login_required
 def export_invoices(request): ...
```

## What makes it safe
The guard stands elsewhere before the same handler: on its class, its router, or as another guard in its place; then nothing is reported. A check
that must be off in development reads its setting from the environment with the safe value as default.

## What it cannot see
Guards made at run time, guards in a gateway or mesh, and middleware whose name says nothing of what it does. A handler is known by its name: one
that is renamed and loses its guard at the same time is not matched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.kept import Kept
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers.appguards import Facts, Handler, Switch, facts, speaks_of_guards
from checks.readers.bulk import written_by_hand
from checks.readers.syntax import LIMIT
from checks.readers.testcases import is_test_file

GUARD = Rule(
    "app-guards/guard-removed",
    Hazard.EXPOSURE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A handler loses what guards it",
    confidence=Confidence.LIKELY,
)
OPEN = Rule(
    "app-guards/handler-opened",
    Hazard.EXPOSURE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A handler is open to anyone",
    confidence=Confidence.LIKELY,
)
TLS = Rule(
    "app-guards/certificates-unchecked", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.PARTLY, "Certificates are not checked"
)
TOKEN = Rule("app-guards/tokens-unchecked", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.PARTLY, "Tokens are accepted unchecked")
FORGERY = Rule(
    "app-guards/forgery-unchecked", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.PARTLY, "Forged requests are not turned away"
)
ORIGINS = Rule("app-guards/origins-opened", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "Pages of any origin may call")
DEBUG = Rule("app-guards/debug-on", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.PARTLY, "Debug is on where it is served")
HARDENING = Rule(
    "app-guards/hardening-off", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.PARTLY, "A protective header or cookie flag is off"
)
RULES = (GUARD, OPEN, TLS, TOKEN, FORGERY, ORIGINS, DEBUG, HARDENING)

_KINDS = {
    "tls": (
        TLS,
        "Whoever stands between can read and change this connection, because the other side's certificate is not checked ({what}).",
    ),
    "token": (TOKEN, "Tokens are taken here without the check that makes them worth something ({what})."),
    "forgery": (FORGERY, "Another site can act here in the name of a signed-in visitor ({what})."),
    "origins": (ORIGINS, "Pages of any origin may call this from a visitor's browser ({what})."),
    "debug": (DEBUG, "Errors show their inside to whoever causes them ({what})."),
    "hardening": (HARDENING, "A protection of the browser's is switched off ({what})."),
    "open": (OPEN, "Requests that nobody has authenticated reach this code ({what})."),
}


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What guards less at head than at base, handlers and switches matched by name across the change."""
    unread: list[Effect] = []
    pairs = [(file, *sides) for file in files if (sides := _sides(change, file, unread))]
    yield from unread
    if not pairs:
        return
    elsewhere: dict[str, list[Handler]] = {}
    for _, _, new in pairs:
        for handler in new.handlers:
            elsewhere.setdefault(handler.name, []).append(handler)
    raised = frozenset(guard for _, old, new in pairs for guard in _guards([h for h in new.handlers if h.holds]) - _guards(old.handlers))
    for file, old, new in pairs:
        for effect in _handlers(file, old, new, elsewhere, raised):
            if not (effect.side is Side.BASE and _route_gone(change, effect.subject, pairs)):
                yield effect
    gone = Counter(switch.kind for _, old, new in pairs for switch in _less(old.switches, new.switches))
    for file, old, new in pairs:
        for switch in _less(new.switches, old.switches):
            if gone[switch.kind]:
                gone[switch.kind] -= 1  # it stood in another place before
                continue
            rule, sentence = _KINDS[switch.kind]
            yield rule.effect(
                subject=f"{switch.scope or file.path}: {switch.what}",
                path=file.path,
                line=switch.line,
                after=switch.what,
                severity=Severity.MODERATE if switch.kind == "open" and file.added else None,
                message=sentence.format(what=switch.what),
            )


def _route_gone(change: Change, statement: str, pairs: Sequence[tuple[FileChange, Facts, Facts]]) -> bool:
    """Whether the path that a lost `app.use("/path", guard)` stood before is itself taken out by this change, here or where its routes are written."""
    mounted = re.search(r"\.use (/\S*/[\w:.-]+)$", statement)
    if mounted is None:
        return False
    written = re.compile(rb"""["'`](?:/[^"'`\n]*)?/""" + re.escape(mounted[1].rpartition("/")[2].encode()) + rb"""["'`]""")
    others = [file for file, _, _ in pairs if any(written.search(line) and b".use(" not in line for _, line in change.lines(file).removed)]
    return bool(others) and not any(written.search(change.head_bytes(file) or b"") for file in others)


_MODEL = re.compile(
    r"(?:^|[/._-])(?:templates?|boilerplate|scaffold(?:ing)?|snippets?|samples?|examples?|skills|acceptance|conformance|benchmarks?|playground|stories)(?:[/._-]|$)",
    re.IGNORECASE,
)
"""Code that is shown or copied, or that tests: nothing is served from it."""


_SPEAKS = Kept(100_000)
"""Whether the lines that differ between two contents speak of guards."""


def _sides(change: Change, file: FileChange, unread: list[Effect]) -> tuple[Facts, Facts] | None:
    """The facts of both sides; None where no line that speaks of guards differs. What is too large to read is put into `unread`."""
    if (
        (file.old and file.new and file.old.oid == file.new.oid)
        or place_of(file.path) is not Place.DEPLOYED
        or is_test_file(file.path)
        or _MODEL.search(file.path)
    ):
        return None
    after = b""
    try:
        before, after = change.base_bytes(file) or b"", change.head_bytes(file) or b""
        key = (file.old and file.old.oid, file.new and file.new.oid, file.path)
        speaks = _SPEAKS.get(key)
        if speaks is None:
            lines = change.lines(file)
            speaks = speaks_of_guards((line for _, line in (*lines.removed, *lines.added)), file.path)
            _SPEAKS.put(key, speaks)
        if not speaks:
            return None
        old = facts(before, file.base_path) if before else Facts()
        return old, (facts(after, file.path) if after else Facts())
    except Unreadable as unreadable:
        if len(after) > LIMIT and written_by_hand(after, file.path):
            unread.append(not_analysed(file.path, unreadable.why, unreadable.line, severity=Severity.MODERATE))
        return None


def _less(more: Sequence[Switch], less: Sequence[Switch]) -> list[Switch]:
    """The switches of `more` beyond those of `less`: matched by kind and scope first, then by kind."""
    have = Counter((switch.kind, switch.scope, switch.what) for switch in less)
    rest = []
    for switch in more:
        key = (switch.kind, switch.scope, switch.what)
        if have[key]:
            have[key] -= 1
        else:
            rest.append(switch)
    spare = Counter(kind for (kind, _, _), count in have.items() for _ in range(count))
    out = []
    for switch in rest:
        if spare[switch.kind]:
            spare[switch.kind] -= 1
        else:
            out.append(switch)
    return out


def _by_name(handlers: Sequence[Handler]) -> dict[str, list[Handler]]:
    found: dict[str, list[Handler]] = {}
    for handler in handlers:
        found.setdefault(handler.name, []).append(handler)
    return found


def _guards(handlers: Sequence[Handler]) -> frozenset[str]:
    return frozenset(guard for handler in handlers for guard in handler.guards)


def _opened(handlers: Sequence[Handler]) -> frozenset[str]:
    return frozenset(mark for handler in handlers for mark in handler.opened)


def _handlers(file: FileChange, old: Facts, new: Facts, elsewhere: dict[str, list[Handler]], raised: frozenset[str]) -> Iterator[Effect]:
    head, base = _by_name(new.handlers), _by_name(old.handlers)
    here = _guards([handler for handler in new.handlers if handler.holds]) - _guards([handler for handler in old.handlers if handler.holds])
    for name, handlers in base.items():
        now = head.get(name) or elsewhere.get(name) or []
        guards, kept = _guards(handlers), _guards(now)
        opened = _opened(now) - _opened(handlers)
        lost = guards - kept
        if not now and not _stays(handlers[0], file, head):
            continue
        there = name in head
        line, side = (head[name][0].line, Side.HEAD) if there else (handlers[0].line, Side.BASE)
        path = file.path if there else file.base_path
        if opened and (guards or handlers[0].holds or opened & _EXPLICIT):
            yield OPEN.effect(
                subject=name,
                path=path,
                line=line,
                side=side,
                before=", ".join(sorted(guards)) or None,
                after=", ".join(sorted(opened)),
                message=f"{name} is now open to anyone ({', '.join(sorted(opened))}).",
            )
        elif lost and len(kept - guards) < len(lost) and not here and not lost <= raised:
            yield GUARD.effect(
                subject=name,
                path=path,
                line=line,
                side=side,
                before=", ".join(sorted(lost)),
                after=", ".join(sorted(kept)) or None,
                severity=Severity.MODERATE if kept else None,
                message=f"{name} stays and is no longer guarded by {', '.join(sorted(lost))}.",
            )
    for name, handlers in head.items():
        marks = _opened(handlers) & _EXPLICIT
        if name not in base and marks:
            yield OPEN.effect(
                subject=name,
                path=file.path,
                line=handlers[0].line,
                after=", ".join(sorted(marks)),
                severity=Severity.MODERATE,
                message=f"{name} is open to anyone ({', '.join(sorted(marks))}).",
            )


_EXPLICIT = frozenset({"csrf_exempt", "AllowAny", "AllowAnonymous", "PermitAll"})
"""Marks that take away a guard which stands before everything by default."""


def _stays(handler: Handler, file: FileChange, head: dict[str, list[Handler]]) -> bool:
    """Whether what a lost statement guarded is still there: the class or function around it, or the file."""
    return handler.within is not None and file.new is not None and (not handler.within or handler.within in head)


DETECTOR = Detector("app-guards", "Guards of an application", RULES, detect, together)
