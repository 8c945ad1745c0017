"""What a change newly permits an agent, and which of its limits it takes away: a comparison of meanings, not of lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from checks.authority.commands import covers, matches, weigh, word_of
from checks.authority.nouns import Authority, Decision, Force, Grant, Limit, Verb
from checks.model import Severity


class Kind(StrEnum):
    """What happened."""

    GRANTED = "granted"
    REPOINTED = "repointed"
    REMOVED = "removed"
    """A limit is gone."""
    WEAKENED = "weakened"
    """A limit still stands and holds less."""
    INERT = "inert"
    """A limit is new and does nothing."""
    HIDDEN = "hidden"
    """Attribution is switched off."""
    NARROWED = "narrowed"


@dataclass(frozen=True, slots=True)
class Delta:
    """One difference for one agent on one surface."""

    kind: Kind
    agent: str
    title: str
    surface: str
    path: str
    line: int | None
    grants: tuple[Grant, ...] = ()
    limit: Limit | None = None
    was: Limit | None = None
    old: Grant | None = None
    head: bool = True
    """Whether path and line speak of the head."""
    opened: tuple[str, ...] = ()
    """What runs unasked now, in words, because a limit went."""
    contained: str = ""
    """What holds everything that the agent may do at head, in words; nothing where nothing does."""
    moot: int = 0
    """Rules that deny commands and say nothing any more, because a runner came that starts any program."""


def difference(before: Sequence[Authority], after: Sequence[Authority]) -> tuple[Delta, ...]:
    """All differences, widening first."""
    out: list[Delta] = []
    for old, new in _paired(before, after):
        if new is None:
            if old is not None and any(not grant.quiet for grant in old.grants):
                out.append(_delta(Kind.NARROWED, old, old.grants[0].path, old.grants[0].line, grants=old.grants, head=False))
            continue
        out.extend(_granted(old, new))
        out.extend(_limits(old, new))
        hidden = {path for path, _ in new.attribution_off} - {path for path, _ in (old.attribution_off if old else ())}
        if hidden and not (old and old.attribution_off):
            path, line = next((path, line) for path, line in new.attribution_off if path in hidden)
            out.append(_delta(Kind.HIDDEN, new, path, line))
    return tuple(out)


def _paired(before: Sequence[Authority], after: Sequence[Authority]) -> Iterator[tuple[Authority | None, Authority | None]]:
    left = {(authority.agent, authority.surface): authority for authority in before}
    fresh: list[Authority] = []
    for authority in after:
        old = left.pop((authority.agent, authority.surface), None)
        if old is None:
            fresh.append(authority)
        else:
            yield old, authority
    # A job or a folder that got another name keeps its grants: it is the same surface.
    for authority in fresh:
        keys = {grant.key for grant in authority.grants}
        same = [
            old
            for (agent, _), old in left.items()
            if agent == authority.agent and 2 * len(keys & {g.key for g in old.grants}) >= max(1, len(keys))
        ]
        old = max(same, key=lambda one: len(keys & {grant.key for grant in one.grants}), default=None)
        if old is not None:
            left.pop((old.agent, old.surface), None)
        yield old, authority
    for gone in left.values():
        yield gone, None


def covered(new: Grant, old: Iterable[Grant]) -> bool:
    """Whether something of `old` already permitted `new`."""
    return any(_permits(one, new) for one in old)


_ALL = frozenset({"mode bypassPermissions", "danger-full-access", "everything"})


def _permits(old: Grant, new: Grant) -> bool:
    if old.key == new.key:
        return True
    if old.verb is Verb.EVERYTHING and old.what in _ALL and not old.condition:
        return new.verb in (Verb.SHELL, Verb.EDIT, Verb.READ, Verb.NETWORK, Verb.TOOL)
    if old.verb is not new.verb:
        return False
    if old.verb is Verb.SHELL and old.value in ("", new.value):
        return covers(old.what, new.what) and new.what != "sandboxed"
    if old.verb is Verb.EDIT and old.within and old.within == new.within:
        return old.what.endswith(" every file")
    if old.verb is Verb.EDIT and old.value in ("", new.value):
        return old.what == "*" and not new.what.startswith(("directory ", "mode ", "sandbox "))
    if old.verb is Verb.TOOL and old.value in ("", new.value):
        return old.what.endswith(":*") and new.what.startswith(old.what[:-1])
    if old.verb is Verb.NETWORK:
        return old.what.endswith(":*") and new.what.startswith(old.what[:-1])
    if old.verb is Verb.TRIGGER:
        return old.what == new.what and (old.value == "*" or set(_words(new.value)) <= set(_words(old.value)))
    return False


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


_TRANSPORT = re.compile(r"(?<=[\w\]])/(?:sse|mcp|http|stream|streamable|streamable-http|messages?)/?\Z", re.IGNORECASE)


def _endpoint(value: str) -> str:
    """Where a server answers, without the way it is spoken to: `https://host/sse` and `https://host/mcp` are one server."""
    return _TRANSPORT.sub("", value) if value.startswith(("https://", "http://")) and value.count("/") > 2 else value


def _granted(old: Authority | None, new: Authority) -> Iterator[Delta]:
    known = old.grants if old else ()
    modes = {grant.within for grant in known}
    fresh = [grant for grant in new.grants if not grant.quiet and (not grant.within or grant.within in modes) and not covered(grant, known)]
    names = {grant.what: grant for grant in known if grant.verb is Verb.SERVER}
    groups: dict[tuple[str, str], list[Grant]] = {}
    for grant in fresh:
        before = names.get(grant.what) if grant.verb is Verb.SERVER and grant.value else None
        if before is not None and before.value and _endpoint(before.value) == _endpoint(grant.value):
            continue
        if before is not None and before.value and before.value != grant.value:
            yield _delta(Kind.REPOINTED, new, grant.path, grant.line, grants=(grant,), old=before)
        else:
            groups.setdefault((grant.path, group_of(grant)), []).append(grant)
    for (path, _), grants in groups.items():
        worst = max(grants, key=lambda grant: grant.severity.rank)
        yield replace(_delta(Kind.GRANTED, new, path, worst.line, grants=tuple(grants)), moot=_moot(known, grants, new))
    replaced = {grant.what for grant in fresh if grant.verb is Verb.SERVER}
    gone = [grant for grant in known if not grant.quiet and not covered(grant, new.grants) and not _said_elsewhere(grant, replaced)]
    if gone and not fresh:
        yield _delta(Kind.NARROWED, new, gone[0].path, gone[0].line, grants=tuple(gone), head=False)
    opened = tuple(_opened(old, new, fresh)) if old else ()
    if old and opened and not any(True for limit in old.limits if not _stands(limit, new)):
        # No limit left, no rule came: the order of the rules decides differently now.
        place = new.grants[0] if new.grants else None
        yield _delta(Kind.WEAKENED, new, place.path if place else "", place.line if place else None, opened=opened)


def _moot(known: Sequence[Grant], fresh: Sequence[Grant], new: Authority) -> int:
    """How many rules that deny commands a new runner makes moot; none where one could start any program before."""
    if any(_starts_any(grant) for grant in known) or not any(_starts_any(grant) for grant in fresh):
        return 0
    return sum(limit.verb is Verb.SHELL and limit.what.startswith("deny ") and limit.force is not Force.INERT for limit in new.limits)


def _starts_any(grant: Grant) -> bool:
    return grant.verb is Verb.SHELL and grant.what not in ("*", "sandboxed") and weigh(grant.what).runner


def _said_elsewhere(gone: Grant, replaced: set[str]) -> bool:
    """A hook or sandbox that goes is a limit that goes; a server that is replaced is not lost; an approval is none by itself."""
    if gone.within:
        return True
    if gone.verb is Verb.SERVER and gone.what in replaced:
        return True
    return gone.verb is Verb.CODE or gone.what == "sandboxed" or gone.what.startswith("approved ")


def group_of(grant: Grant) -> str:
    """Grants of one file and one group are reported together."""
    return {
        Verb.SERVER: "server",
        Verb.CODE: "code",
        Verb.PLUGIN: "code",
        Verb.TRIGGER: "trigger",
    }.get(grant.verb, "alone")


def _opened(old: Authority, new: Authority, fresh: Sequence[Grant]) -> Iterator[str]:
    was = dict(old.decisions)
    for command, decision in new.decisions:
        explained = any(grant.verb is Verb.SHELL and matches(grant.what, command) for grant in fresh)
        if decision is Decision.AUTO and was.get(command) in (Decision.ASKED, Decision.DENIED) and not explained:
            yield word_of(command)


_OVERTAKEN = frozenset({"sandbox", "safety-strategy", "tools.core"})


def _limits(old: Authority | None, new: Authority) -> Iterator[Delta]:
    known_grants = old.grants if old else ()
    overtaken = any(
        (grant.verb is Verb.EVERYTHING or grant.what == "*") and grant.severity is Severity.HIGH and not covered(grant, known_grants)
        for grant in new.grants
    )
    unboxed = any(limit.what == "sandbox" for limit in (old.limits if old else ())) and not any(
        limit.what == "sandbox" for limit in new.limits
    )
    for limit in old.limits if old else ():
        if limit.force.rank < Force.BYPASSABLE.rank or (unboxed and limit.what.startswith("sandbox ")):
            continue
        if limit.within and not any(grant.within == limit.within for grant in new.grants):
            continue
        if overtaken and (limit.what in _OVERTAKEN or limit.what.startswith("mode ")):
            # The grant that takes its place says it already.
            continue
        same = _same(limit, new)
        if same is None:
            if not _stands(limit, new):
                yield _delta(
                    Kind.REMOVED, new, limit.path, limit.line, was=limit, head=False, opened=tuple(_opened(old, new, ())) if old else ()
                )
        elif same.force.rank < limit.force.rank or (limit.hook and _narrower(limit.value, same.value)):
            yield _delta(Kind.WEAKENED, new, same.path, same.line, limit=same, was=limit)
    known = {limit.key for limit in (old.limits if old else ())}
    for limit in new.limits:
        if limit.force is Force.INERT and limit.key not in known:
            yield _delta(Kind.INERT, new, limit.path, limit.line, limit=limit)


def _same(limit: Limit, new: Authority) -> Limit | None:
    found = [one for one in new.limits if one.key == limit.key]
    if limit.hook and found:
        # A hook may stand under several matchers: the widest counts.
        return next((one for one in found if one.value == limit.value), max(found, key=lambda one: len(one.value)))
    return found[0] if found else None


def _stands(limit: Limit, new: Authority) -> bool:
    """Whether what `limit` held back is still held back by something at least as strict."""
    if any(one.key == limit.key for one in new.limits):
        return True
    kind, _, rest = limit.what.partition(" ")
    for one in new.limits:
        if one.verb is not limit.verb or one.force is Force.INERT:
            continue
        other, _, wide = one.what.partition(" ")
        if other == kind or (kind == "ask" and other == "deny"):
            if wide == rest:
                return True
            if (
                limit.verb is Verb.SHELL
                and "(" in wide
                and "(" in rest
                and covers(wide.partition("(")[2][:-1], rest.partition("(")[2][:-1])
            ):
                return True
            if (
                limit.verb is not Verb.SHELL
                and rest.startswith(wide.partition("(")[0])
                and "(" not in wide
                and kind == other
                and kind in ("deny", "ask")
            ):
                return True
    return False


def _narrower(old: str, new: str) -> bool:
    """Whether a hook's matcher matches less than it did."""
    if old == new or new in ("*", "", ".*"):
        return False
    if old in ("*", "", ".*"):
        return True
    return bool(set(old.split("|")) - set(new.split("|")))


def _delta(
    kind: Kind,
    of: Authority,
    path: str,
    line: int | None,
    *,
    grants: tuple[Grant, ...] = (),
    limit: Limit | None = None,
    was: Limit | None = None,
    old: Grant | None = None,
    head: bool = True,
    opened: tuple[str, ...] = (),
) -> Delta:
    return Delta(kind, of.agent, of.title, of.surface, path, line, grants, limit, was, old, head, opened, contained(of))


def contained(of: Authority) -> str:
    """What holds an agent at head: a sandbox that is on, deny rules that all do something, and no way for it to change either; else nothing."""
    boxes = [limit for limit in of.limits if limit.what.split(" ")[0] == "sandbox" and limit.force.rank >= Force.BYPASSABLE.rank]
    denies = [limit for limit in of.limits if limit.what.startswith("deny ")]
    free = any(grant.verb is Verb.EVERYTHING and grant.severity.rank >= Severity.HIGH.rank and not grant.condition for grant in of.grants)
    if not boxes or free or any(limit.force is Force.INERT for limit in denies) or not of.own_limits.startswith(("no", "asked")):
        return ""
    return f"{boxes[0].text} in {boxes[0].path}" + (f" and {len(denies)} deny rules that hold" if denies else "")
