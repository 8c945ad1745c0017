"""Contracts that other programs hold on to, broken: OpenAPI, AsyncAPI, protobuf, GraphQL.

## What it detects
Operations, methods, types, fields and values that leave a description of an interface; arguments, properties and bodies that callers must newly
send; fields whose type or number on the wire changes; operations whose description no longer asks who calls.

## Why it matters
Programs that were built against the old contract fail when the new one is served: with an error at best, with wrongly read bytes where a number
of a protobuf message means another field now.

## Example
```diff
 message Invoice {
-  string currency = 3;
+  int64 amount_minor = 3;
```

## What makes it safe
Adding beside instead of changing: a new field, a new optional argument, a new version. A removed protobuf field whose number is `reserved` counts
less, as do elements that were marked deprecated. Moves between files, other orders and comments say nothing.

## What it cannot see
Whether anyone still calls the old form; schemas written in code; parts of an OpenAPI description that stand in other files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import contracts, openapi
from checks.readers.contracts import Definition, Part

_COMPATIBILITY = Hazard.COMPATIBILITY_BROKEN
REMOVED = Rule(
    "api-contracts/element-removed", _COMPATIBILITY, Severity.MODERATE, Reversible.YES, "Something callers rely on is no longer there"
)
DEMANDED = Rule("api-contracts/more-demanded", _COMPATIBILITY, Severity.MODERATE, Reversible.YES, "Callers have to send more than before")
CHANGED = Rule("api-contracts/type-changed", _COMPATIBILITY, Severity.MODERATE, Reversible.YES, "What is sent has another type")
RENUMBERED = Rule(
    "api-contracts/number-reused", _COMPATIBILITY, Severity.HIGH, Reversible.PARTLY, "A number on the wire means something else"
)
OPENED = Rule(
    "api-contracts/authentication-dropped", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.PARTLY,
    "An operation asks no longer who calls", confidence=Confidence.LIKELY,
)  # fmt: skip
MANY = 5
"""So many effects of one rule in one file are told one by one; more are told as one."""
_SPARED = (Place.TEST, Place.EXAMPLE, Place.VENDORED)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for ending, reader, judge in _LANGUAGES:
        chosen = [file for file in files if file.path.endswith(ending) or file.base_path.endswith(ending)]
        yield from _definitions(change, chosen, ending, reader, judge)
    described = [file for file in files if file.path.endswith((".yaml", ".yml", ".json"))]
    yield from _descriptions(change, described)


def _counts(path: str) -> bool:
    return place_of(path) not in _SPARED


# Protobuf and GraphQL: definitions by name, wherever they stand.

Reader = Callable[[bytes, str], tuple[Definition, ...]]
Judge = Callable[[Definition, Definition, str], Iterator[Effect]]
Known = dict[str, list[tuple[str, Definition]]]


def _definitions(change: Change, files: Sequence[FileChange], ending: tuple[str, ...], reader: Reader, judge: Judge) -> Iterator[Effect]:
    before: Known = {}
    after: Known = {}
    for file in files:
        try:
            old = _read(reader, change.base_bytes(file) if file.base_path.endswith(ending) else None, file.base_path)
        except Unreadable:
            continue
        try:
            new = _read(reader, change.head_bytes(file) if file.path.endswith(ending) else None, file.path)
        except Unreadable as unreadable:
            if old:
                yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.LOW)
            continue
        for found, path, into in ((old, file.base_path, before), (new, file.path, after)):
            for item in found if _counts(path) else ():
                into.setdefault(f"{item.kind} {item.name}" if item.kind == "schema" else item.name, []).append((path, item))
    renamed = {file.base_path: file.path for file in files}
    effects: list[tuple[str, Effect]] = []
    for name, olds in before.items():
        news = list(after.get(name, ()))
        for path, old_item in olds:
            here = [item for where, item in news if where == renamed.get(path, path)]
            others = [item for where, item in news if where != renamed.get(path, path)]
            if here or others:
                joined = _joined(here + [item for item in others if item.extends or old_item.extends or not here])
                where = renamed.get(path, path) if here else next(w for w, item in news if item is others[0])
                effects += [(where, effect) for effect in judge(old_item, joined, where)]
            elif not (old_item.extends and not old_item.parts):
                effects.append((path, _gone(old_item, path)))
    yield from _collapsed(effects)


def _read(reader: Reader, data: bytes | None, path: str) -> tuple[Definition, ...]:
    return () if data is None else reader(data, path)


def _joined(items: Sequence[Definition]) -> Definition:
    """A type and its extensions as one."""
    if len(items) == 1:
        return items[0]
    first = next((item for item in items if not item.extends), items[0])
    reserved = frozenset().union(*(item.reserved for item in items))
    return Definition(first.kind, first.name, first.line, tuple(part for item in items for part in item.parts), reserved)


def _gone(item: Definition, path: str) -> Effect:
    return REMOVED.effect(
        subject=f"{item.kind} {item.name}", path=path, line=item.line, side=Side.BASE, before=f"{len(item.parts)} parts",
        severity=_step(path, Severity.MODERATE, False), message=f"The {item.kind} {item.name} is gone: programs that use it no longer work.",
    )  # fmt: skip


def _step(name: str, severity: Severity, deprecated: bool) -> Severity:
    """What was deprecated, and versions that promise nothing yet, weigh one step less."""
    unstable = any(mark in name for mark in ("alpha", "beta", "internal", "experimental", "unstable"))
    return severity.step(-(int(deprecated) + int(unstable)))


_ALIKE = (
    frozenset({"int32", "uint32", "int64", "uint64", "bool"}),
    frozenset({"sint32", "sint64"}),
    frozenset({"fixed32", "sfixed32"}),
    frozenset({"fixed64", "sfixed64"}),
    frozenset({"string", "bytes"}),
)
"""Types that are read from each other's bytes (protobuf.dev/programming-guides/proto3, "Updating A Message Type")."""


def _proto(old: Definition, new: Definition, path: str) -> Iterator[Effect]:
    if old.kind != new.kind:
        yield _gone(old, path)
        return
    by_name = {part.name: part for part in new.parts}
    by_number = {part.number: part for part in new.parts}
    for part in old.parts:
        same, taken = by_name.get(part.name), by_number.get(part.number)
        subject = f"{old.name}.{part.name}"
        if old.kind == "service":
            yield from _rpc(subject, part, same, path, new)
        elif same is None and taken is None:
            kept = bool({str(part.number), part.name} & new.reserved)
            severity = _step(old.name, Severity.LOW if kept else Severity.MODERATE, part.deprecated)
            yield REMOVED.effect(
                subject=subject, path=path, line=new.line, before=f"{part.type} = {part.number}".strip(), severity=severity,
                message=f"{subject} is gone{' (its number is reserved)' if kept else ' and its number may be given to another'}.",
            )  # fmt: skip
        elif same is not None and same.number != part.number:
            yield RENUMBERED.effect(
                subject=subject, path=path, line=same.line, before=str(part.number), after=str(same.number), severity=_step(old.name, Severity.HIGH, False),
                message=f"{subject} has the number {same.number} instead of {part.number}: old programs read other bytes as it.",
            )  # fmt: skip
        elif taken is not None and old.kind == "message" and _other_type(part.type, taken.type, old.name):
            rule = RENUMBERED if same is None else CHANGED
            yield rule.effect(
                subject=subject, path=path, line=taken.line, before=f"{part.type} {part.name}", after=f"{taken.type} {taken.name}",
                severity=_step(old.name, rule.severity, False),
                message=f"The number {part.number} of {old.name} means {taken.type} {taken.name} instead of {part.type} {part.name}.",
            )  # fmt: skip


def _rpc(subject: str, part: Part, now: Part | None, path: str, new: Definition) -> Iterator[Effect]:
    if now is None:
        yield REMOVED.effect(
            subject=subject, path=path, line=new.line, before=part.type, severity=_step(new.name, Severity.MODERATE, part.deprecated),
            message=f"The method {subject} is gone: calls to it fail.",
        )  # fmt: skip
    elif now.type != part.type and [_last(word) for word in now.type.split()] != [_last(word) for word in part.type.split()]:
        yield CHANGED.effect(
            subject=subject, path=path, line=now.line, before=part.type, after=now.type, severity=_step(new.name, Severity.MODERATE, False),
            message=f"The method {subject} takes or gives other messages: {now.type} instead of {part.type}.",
        )  # fmt: skip


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _other_type(old: str, new: str, scope: str) -> bool:
    if old == new:
        return False
    (label, kind), (other_label, other_kind) = ((text.rpartition(" ")[0], text.rpartition(" ")[2]) for text in (old, new))
    if ("repeated" in label) != ("repeated" in other_label):
        return True
    return _last(kind) != _last(other_kind) and not any({kind, other_kind} <= group for group in _ALIKE)


def _graphql(old: Definition, new: Definition, path: str) -> Iterator[Effect]:
    if old.kind != new.kind:
        yield _gone(old, path)
        return
    now = {part.name: part for part in new.parts}
    for part in old.parts:
        other = now.get(part.name)
        subject = f"{old.name}.{part.name}" if " " not in part.name else f"{old.name} {part.name}"
        if other is None:
            severity = Severity.LOW if part.name.startswith("implements ") else Severity.MODERATE
            yield REMOVED.effect(
                subject=subject, path=path, line=new.line, before=part.type or part.name, severity=_step("", severity, part.deprecated),
                message=f"{subject} is gone from the schema: queries that name it fail.",
            )  # fmt: skip
            continue
        yield from _graphql_part(subject, part, other, path, old.kind == "input")
        known = {argument.name: argument for argument in part.arguments}
        for argument in other.arguments:
            was = known.get(argument.name)
            if was is None and argument.required:
                yield _demanded(f"{subject}({argument.name})", path, argument, "none")
            elif was is not None:
                yield from _graphql_part(f"{subject}({argument.name})", was, argument, path, True)
        for argument in part.arguments:
            if argument.name not in {item.name for item in other.arguments}:
                yield REMOVED.effect(
                    subject=f"{subject}({argument.name})", path=path, line=other.line, before=argument.type, severity=_step("", Severity.MODERATE, argument.deprecated),
                    message=f"{subject} takes {argument.name} no longer: queries that give it fail.",
                )  # fmt: skip
    if old.kind == "input":
        known = {part.name: part for part in old.parts}
        yield from (
            _demanded(f"{old.name}.{part.name}", path, part, "none") for part in new.parts if part.required and part.name not in known
        )


def _demanded(subject: str, path: str, part: Part, before: str) -> Effect:
    return DEMANDED.effect(
        subject=subject, path=path, line=part.line, before=before, after=part.type, message=f"{subject} has to be given now."
    )


def _graphql_part(subject: str, old: Part, new: Part, path: str, given: bool) -> Iterator[Effect]:
    if old.type == new.type and old.required == new.required:
        return
    if given and new.required and not old.required and old.type.rstrip("!") == new.type.rstrip("!"):
        yield _demanded(subject, path, new, "optional")
    elif old.type != new.type and not _safe(*((new.type, old.type) if given else (old.type, new.type))):
        yield CHANGED.effect(
            subject=subject, path=path, line=new.line, before=old.type, after=new.type,
            severity=Severity.LOW if old.type.replace("!", "") == new.type.replace("!", "") else None,
            message=f"{subject} is {new.type} instead of {old.type}.",
        )  # fmt: skip


def _safe(wide: str, narrow: str) -> bool:
    """Whether whoever expects `wide` can live with `narrow`: only promises that something is never null were added."""
    at = 0
    for sign in narrow:
        if at < len(wide) and wide[at] == sign:
            at += 1
        elif sign != "!":
            return False
    return at == len(wide)


_LANGUAGES: tuple[tuple[tuple[str, ...], Reader, Judge], ...] = (
    ((".proto",), contracts.protobuf, _proto),
    ((".graphql", ".graphqls", ".gql"), contracts.graphql, _graphql),
)


# OpenAPI and AsyncAPI: one document a file.


def _descriptions(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    pairs: list[tuple[FileChange, openapi.Document | None, openapi.Document | None]] = []
    for file in files:
        if not _counts(file.path):
            continue
        try:
            before = change.base_bytes(file)
            old = openapi.read(before, file.base_path) if before is not None else None
        except Unreadable:
            continue
        try:
            after = change.head_bytes(file)
            pairs.append((file, old, openapi.read(after, file.path) if after is not None else None))
        except Unreadable as unreadable:
            if old is not None:
                yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.LOW)
    come = {key for _, old, new in pairs if old is None and new is not None for key in new.operations}
    for file, old, new in pairs:
        if old is None or not old.operations:
            continue
        if new is None:
            left = [text for key, text in old.written.items() if key not in come]
            if left:
                yield REMOVED.effect(
                    subject=file.base_path, path=file.base_path, line=1, side=Side.BASE, before=f"{len(left)} operations", severity=Severity.LOW,
                    confidence=Confidence.POSSIBLE, message=f"The description of {len(left)} operations is gone, {left[0]} among them.",
                )  # fmt: skip
            continue
        text = (change.head_bytes(file) or b"").decode("utf-8", "replace")
        base = (change.base_bytes(file) or b"").decode("utf-8", "replace")
        yield from _collapsed([(file.path, effect) for effect in _document(file, old, new, partial(_line, text), partial(_line, base))])


def _line(text: str, what: str) -> int | None:
    """The first line on which `what` stands as a key."""
    match = re.search(r"(?:^|[\s{,])[\"']?" + re.escape(what) + r"[\"']?\s*:", text)
    return None if match is None else text.count("\n", 0, match.end()) + 1


def _document(
    file: FileChange, old: openapi.Document, new: openapi.Document, here: Callable[[str], int | None], there: Callable[[str], int | None]
) -> Iterator[Effect]:
    for key, operation in old.operations.items():
        written = old.written[key]
        name = written.partition(" ")[2]
        now = new.operations.get(key)
        if now is None:
            yield REMOVED.effect(
                subject=written, path=file.base_path, line=there(name), side=Side.BASE, before=written,
                severity=_step(name, Severity.MODERATE, operation.get("deprecated") is True),
                message=f"{written} is gone from the description of the interface: calls to it are no longer promised an answer.",
            )  # fmt: skip
        elif key[1] != "channel" and not openapi.open_to_all(old, operation) and openapi.open_to_all(new, now):
            yield OPENED.effect(
                subject=new.written[key], path=file.path, line=here(name), before="authentication", after="none",
                message=f"{new.written[key]} may be called without any proof of who calls, says its description.",
            )  # fmt: skip
    for item in openapi.differences(old, new):
        rule, sentence = _DIFFERENCES[item.kind]
        yield rule.effect(
            subject=f"{item.where}: {item.what}", path=file.path, line=here(item.where.rpartition(" ")[2]), before=item.before, after=item.after,
            severity=_step(item.where, rule.severity, False), message=sentence.format(where=item.where, what=item.what, before=item.before, after=item.after),
        )  # fmt: skip


_DIFFERENCES = {
    "removed": (REMOVED, "{where} no longer gives {what}: programs that read it find nothing."),
    "demanded": (DEMANDED, "{where} demands {what} now: calls that were right before are turned away."),
    "changed": (CHANGED, "{where}: {what} is {after} instead of {before}."),
}


def _collapsed(effects: Sequence[tuple[str, Effect]]) -> Iterator[Effect]:
    """Each effect by itself, or one for all of the same rule in a file where there are many."""
    groups: dict[tuple[str, str], list[Effect]] = {}
    for path, effect in effects:
        groups.setdefault((path, effect.rule), []).append(effect)
    by_id = {rule.id: rule for rule in RULES}
    for (path, rule), members in groups.items():
        if len(members) <= MANY:
            yield from members
            continue
        worst = max(members, key=lambda effect: effect.severity.rank)
        yield by_id[rule].effect(
            subject=f"{path}: {len(members)} elements", path=worst.path, line=worst.line, side=worst.side, severity=worst.severity,
            before=", ".join(effect.subject for effect in members[:6]), confidence=worst.confidence,
            message=f"{len(members)} elements at once; the first: {worst.message}",
        )  # fmt: skip


RULES = (REMOVED, DEMANDED, CHANGED, RENUMBERED, OPENED)
DETECTOR = Detector(
    name="api-contracts",
    title="Contracts between programs",
    rules=RULES,
    detect=detect,
    group=together,
    sure=re.compile(rb"(?m)^[ \"\'{]{0,8}(?:openapi|swagger|asyncapi)[\"\']?\s*:|^syntax\s*=|^(?:type|enum|schema)\b[^\n:]*\{"),
)
