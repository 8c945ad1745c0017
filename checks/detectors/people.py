"""Who newly gets in: keys that may log in, and people named in a list of those who may.

## What it detects
Public SSH keys that a file of the deployment newly holds, wherever they stand: authorized keys, variables of Ansible, cloud-init, Terraform, Puppet,
Nix. Addresses of people that are new in a list whose name says what they may: deployers, operators, admins, members, allowed users.

## Why it matters
A key or an address in such a list opens every machine or space that the list is for, today and after the person has left.

## Example
```diff
 deployers = [
   var.cf_user,
+  "carlo@example.com",
 ]
```
Carlo may deploy from the next `apply` on.

## What makes it safe
Access through groups of the identity provider, which end with the account, and certificates that expire instead of keys that do not.

## What it cannot see
Who holds a key, names without an address, and what a list is for where its name does not tell: lists of those who are told of something are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers import text_of
from checks.readers.documents import Node, read
from checks.readers.hcl import Block, Expression, hcl

KEY = Rule("people/key-accepted", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.YES, "Someone can log in with a key")
LISTED = Rule("people/person-listed", Hazard.PRIVILEGE_WIDENED, Severity.LOW, Reversible.YES, "Someone is newly listed among those who may")

_KEY = re.compile(
    r"((?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9-]{3,30}@openssh\.com)\s+[A-Za-z0-9+/=]{40,12000})[ \t]*([^\s\"',\\]{0,120})"
)
_HOST = re.compile(r"(?:known_?hosts|host_?keys?|[\w-]\.[a-z]{2,}\s|\|1\|\S*\s|,[\d.]+\s|\]:\d+\s)[^\n]{0,80}\Z", re.IGNORECASE)
"""What stands before the key of a server, which lets nobody in."""
_LOGINS = re.compile(r"(?:^|/)authorized_keys[^/]*\Z|(?:^|/)(?:ssh|keys|ssh[_-]keys)/[^/]+\.pub\Z")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\Z")
_ROLE = re.compile(
    r"(?:^|[_\-.])(?:(?P<strong>(?:super|root)[_-]?users?|admins?|administrators?|deployers?|operators?|owners|sudoers|breakglass|break[_-]glass)"
    r"|developers|editors|auditors|members|approvers|(?:allowed|authori[sz]ed|permitted|trusted)[_-]?(?:users|emails|members|people)|viewers|readers)\Z",
    re.IGNORECASE,
)
_TOLD = re.compile(
    r"alert|alarm|notif|subscri|recipient|contact|budget|pager|on.?call|rota|schedule|mail(?:ing)?[_-]?list|report|billing|tags?\b|labels",
    re.IGNORECASE,
)
"""Names of lists, blocks and files of those who are told of something, or named for information only."""


class _Listed(NamedTuple):
    role: str
    who: str


class _Place(NamedTuple):
    name: str
    """The key's comment."""
    line: int
    after: str
    """The line before it."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """Effects of the changed files taken together: what moved from one to the other is nothing new."""
    files = [file for file in files if place_of(file.path) is Place.DEPLOYED]
    more: Counter[str] = Counter()
    listed: set[_Listed] = set()
    now: set[_Listed] = set()
    for file in files:
        with suppress(Unreadable):  # told, as an effect, by what reads the file whole
            more.subtract({key: len(found) for key, found in _old_keys(change, file).items()})
            listed.update(_lists(change.base_bytes(file) or b"", file.base_path))
        with suppress(Unreadable):
            more.update({key: len(found) for key, found in _keys(change.head_bytes(file) or b"", file.path).items()})
            now.update(_lists(change.head_bytes(file) or b"", file.path))
    gone = {_Listed(row.role, row.who.partition("@")[0]) for row in listed - now}
    for file in files:
        if file.new is None or not file.new.is_file:
            continue
        data = change.head_bytes(file) or b""
        try:
            # A key that opens one machine already may newly open another, so it is the number of its places that counts.
            for key, found in _keys(data, file.path).items():
                old = _old_keys(change, file).get(key, [])
                if more[key] > 0 and len(found) > len(old):
                    held = {(place.name, place.after) for place in old}
                    yield _accepted(file, key, next((place for place in found if (place.name, place.after) not in held), found[-1]))
                    del more[key]
            fresh = [] if file.old is None else [(row, line) for row, line in _lists(data, file.path).items() if row not in listed]
        except Unreadable as unreadable:
            if _LOGINS.search(file.path):
                yield not_analysed(file.path, unreadable.why, unreadable.line)
            continue
        # The same person under another domain is no other person, where the old address goes.
        yield from _newly_listed(file, [(row, line) for row, line in fresh if _Listed(row.role, row.who.partition("@")[0]) not in gone])


def _old_keys(change: Change, file: FileChange) -> dict[str, list[_Place]]:
    try:
        return _keys(change.base_bytes(file) or b"", file.base_path)
    except Unreadable:
        return {}


def _accepted(file: FileChange, key: str, place: _Place) -> Effect:
    name = place.name or "…" + key[-12:]
    return KEY.effect(
        subject=f"SSH key {name}",
        path=file.path,
        line=place.line,
        severity=None if _LOGINS.search(file.path) else Severity.MODERATE,
        message=f"Whoever holds the SSH key {name} can newly log in.",
    )


def _newly_listed(file: FileChange, rows: Sequence[tuple[_Listed, int]]) -> Iterator[Effect]:
    by_role: dict[str, list[tuple[str, int]]] = {}
    for row, line in rows:
        by_role.setdefault(row.role, []).append((row.who, line))
    for role, people in by_role.items():
        who = ", ".join(name for name, _ in people[:3]) + (f" and {len(people) - 3} more" if len(people) > 3 else "")
        strong = _ROLE.search(role)
        yield LISTED.effect(
            subject=f"{role}: {who}",
            path=file.path,
            line=people[0][1],
            after=who,
            severity=Severity.MODERATE if strong is not None and strong["strong"] else None,
            message=f"{who} {'is' if len(people) == 1 else 'are'} newly among the {role}.",
        )


@lru_cache(maxsize=64)
def _keys(data: bytes, path: str) -> dict[str, list[_Place]]:
    """Type and body of every key that may log in → where it stands."""
    if not any(mark in data for mark in (b"ssh-", b"ecdsa-sha2-", b"@openssh.com")):
        return {}
    out: dict[str, list[_Place]] = {}
    before, logins = "", _LOGINS.search(path)
    for number, line in enumerate(text_of(data, path).split("\n"), 1):
        for match in _KEY.finditer(line):
            server = not logins and _HOST.search(line[: match.start()][-200:])
            if not server and not line.lstrip().startswith(("#", "//")):
                out.setdefault(" ".join(match[1].split()), []).append(_Place(match[2], number, before))
        before = line
    return out


def _lists(data: bytes, path: str) -> dict[_Listed, int]:
    """Who stands in a list whose name is a role → the line."""
    if b"@" not in data or _TOLD.search(path) or not _MAY_LIST.search(data):
        return {}
    name = path.rpartition("/")[2].lower()
    if re.search(r"\.(?:tf|tofu|tfvars)(?:\.json)?\Z", name):
        file = hcl(data, path)
        rows = chain(
            (row for block in file.blocks for row in _of_block(block)),
            (row for name, value in file.attributes.items() for row in _of_value(name, value)),
        )
    elif name.endswith((".yml", ".yaml", ".json")) and not _LOCKED.search(name):
        rows = chain.from_iterable(map(_of_node, read(data, path)))
    else:
        return {}
    out: dict[_Listed, int] = {}
    for role, who, line in rows:
        out.setdefault(_Listed(role, who.lower()), line)
    return out


_MAY_LIST = re.compile(
    rb"users?\b|admin|deployer|operator|owners|sudoers|break.?glass|developers|editors|auditors|members|approvers|emails|people|viewers|readers",
    re.IGNORECASE,
)
"""Some role's name: without one there is nothing to read."""
_LOCKED = re.compile(r"lock|\A(?:package|composer|chart|codemeta)\.")
"""Files of packages, whose people made them."""


def _of_block(block: Block) -> Iterator[tuple[str, str, int]]:
    if _TOLD.search(" ".join((block.type, *block.labels[:1]))):
        return
    own = block.labels[-1] if block.type == "variable" and block.labels else ""
    for name, value in block.attributes.items():
        yield from _of_value(own if name == "default" and own else name, value)
    for child in block.blocks:
        yield from _of_block(child)


def _of_value(name: str, value: Expression) -> Iterator[tuple[str, str, int]]:
    if _TOLD.search(name):
        return
    if value.kind == "map":
        for key, inner in value.pairs:
            yield from _of_value(key.key, inner)
    elif value.kind in ("list", "call") and _ROLE.search(name):
        for item in value.walk():
            if item.kind == "literal" and isinstance(item.value, str) and _ADDRESS.match(item.value):
                yield name, item.value, item.line
    elif value.kind == "list":
        for item in value.items:
            if item.kind == "map":
                yield from _of_value("", item)


def _of_node(root: Node) -> Iterator[tuple[str, str, int]]:
    stack = [("", root)]
    while stack:
        name, node = stack.pop()
        if node.items:
            if _ROLE.search(name):
                yield from ((name, item.text, item.line) for item in node.items if item.text and _ADDRESS.match(item.text))
            stack.extend((name if item.items else "", item) for item in node.items if item.pairs or item.items)
        stack.extend((key.text, value) for key, value in node.pairs or () if key.text and not _TOLD.search(key.text))


DETECTOR = Detector("people", "People and keys that get in", (KEY, LISTED), detect, together)
