"""Names on the internet: zone files, octoDNS and DNSControl.

## What it detects
Records that leave a zone, name servers and mail servers that are all exchanged at once, and protections that go: who may issue certificates (CAA),
who may send mail in the zone's name (SPF, DMARC), signed answers (DS), and a proxy before an address.

## Why it matters
A name that is gone takes down what stands behind it, and for as long as answers are cached a revert does not bring it back. Name servers decide
about everything in the zone; without SPF and DMARC anybody sends mail in its name.

## Example
```diff
-_dmarc  IN TXT "v=DMARC1; p=reject"
+_dmarc  IN TXT "v=DMARC1; p=none"
```

## What makes it safe
A lower time to live some days before, both old and new servers in the zone for a while, an alias in place of a removed address.

## What it cannot see
What the registrar or another provider holds, records that code computes, and whether anyone still asks for a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import documents, text_of
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node

REMOVED = Rule("dns/record-removed", Hazard.AVAILABILITY_REDUCED, Severity.MODERATE, Reversible.WINDOW, "A name is answered no longer")
SERVERS = Rule(
    "dns/servers-exchanged", Hazard.AVAILABILITY_REDUCED, Severity.HIGH, Reversible.WINDOW, "Other servers answer for a zone or its mail"
)
GUARD = Rule("dns/protection-removed", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.WINDOW, "A protection of a name is gone")
UNCOVERED = Rule(
    "dns/proxy-off", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "An address is no longer hidden behind a proxy"
)

_TYPES = frozenset(
    {
        "A", "AAAA", "ALIAS", "ANAME", "CAA", "CAA_BUILDER", "CNAME", "DKIM_BUILDER", "DMARC_BUILDER", "DNAME", "DS", "HTTPS", "LOC", "MX", "NAPTR",
        "NS", "PTR", "SOA", "SPF", "SPF_BUILDER", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URLFWD",
    }
)  # fmt: skip
RECORDS = 50_000
MANY = 4


@dataclass(slots=True)
class _Set:
    """All records of one name and type."""

    line: int
    values: set[str] = field(default_factory=set)
    proxied: bool | None = None


Zone = dict[tuple[str, str], _Set]
"""(name, type) → records."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    pairs: list[tuple[FileChange, Zone, Zone]] = []
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED:
            continue
        try:
            before, after = change.base_bytes(file), change.head_bytes(file)
            old = _zone(before, file.base_path) if before is not None else {}
            new = _zone(after, file.path) if after is not None else {}
        except Unreadable:
            continue  # a zone by its name only
        if old or new:
            pairs.append((file, old, new))
    standing = {key for _, _, new in pairs for key in new}
    for file, old, new in pairs:
        yield from _compared(file, old, new, standing)


def _compared(file: FileChange, old: Zone, new: Zone, standing: set[tuple[str, str]]) -> Iterator[Effect]:
    names = {name for name, _ in standing}
    gone: list[tuple[str, str]] = []
    for (name, kind), records in old.items():
        now = new.get((name, kind))
        shown = f"{name} {kind}"
        guard = _guard(name, kind, records)
        if guard:
            yield from _guarded(file, shown, guard, records, now, moved=(name, kind) in standing)
        elif now is None:
            if name not in names and kind != "SOA":
                gone.append((name, kind))
        elif kind in ("NS", "MX") and _hosts(records) and _hosts(now) and not _hosts(records) & _hosts(now):
            yield SERVERS.effect(
                subject=shown, path=file.path, line=now.line, before=", ".join(sorted(records.values)), after=", ".join(sorted(now.values)),
                message=f"{'Other name servers answer for' if kind == 'NS' else 'Mail goes to other servers for'} {name}: {', '.join(sorted(now.values))}.",
            )  # fmt: skip
        elif records.proxied and now.proxied is False:
            yield UNCOVERED.effect(
                subject=shown, path=file.path, line=now.line, before="proxied", after="direct",
                message=f"{name} shows its own address: what the proxy turned away reaches it directly.",
            )  # fmt: skip
    if len(gone) > MANY:
        yield _removed(file, f"{len(gone)} records", old[gone[0]], f"{len(gone)} records are answered no longer, {gone[0][0]} among them.")
    else:
        for name, kind in gone:
            yield _removed(file, f"{name} {kind}", old[name, kind], f"{name} ({kind}) is answered no longer.")


def _removed(file: FileChange, subject: str, records: _Set, message: str) -> Effect:
    return REMOVED.effect(
        subject=subject, path=file.base_path, line=records.line, side=Side.BASE, before=", ".join(sorted(records.values))[:120],
        message=message, confidence=Confidence.LIKELY,
    )  # fmt: skip


def _hosts(records: _Set) -> frozenset[str]:
    """The servers a record names, without preferences."""
    return frozenset(
        word.lower().rstrip(".") for value in records.values for word in re.split(r"[\s,]+", value) if re.search(r"[A-Za-z]", word)
    )


def _guard(name: str, kind: str, records: _Set) -> str:
    """What a record protects, nothing for an ordinary one."""
    if kind in ("CAA", "CAA_BUILDER"):
        return "CAA"
    if kind == "DS":
        return "DS"
    if kind == "DMARC_BUILDER" or (kind == "TXT" and name.split(".")[0] == "_dmarc"):
        return "DMARC"
    if kind in ("SPF", "SPF_BUILDER") or (kind == "TXT" and any("v=spf1" in value.lower() for value in records.values)):
        return "SPF"
    return ""


_LOST = {
    "CAA": "any authority may issue certificates for it",
    "DS": "its answers are no longer signed",
    "DMARC": "mail that pretends to come from it is not turned away",
    "SPF": "anybody may send mail in its name",
}


def _guarded(file: FileChange, shown: str, guard: str, records: _Set, now: _Set | None, *, moved: bool) -> Iterator[Effect]:
    weaker = now is not None and _strength(guard, now) < _strength(guard, records)
    if (now is None and moved) or (now is not None and not weaker):
        return
    at, side = (records, Side.BASE) if now is None else (now, Side.HEAD)
    yield GUARD.effect(
        subject=shown, path=file.base_path if now is None else file.path, line=at.line, side=side, before=", ".join(sorted(records.values))[:150],
        after=None if now is None else ", ".join(sorted(now.values))[:150], message=f"{shown} {'is gone' if now is None else 'asks for less'}: {_LOST[guard]}.",
    )  # fmt: skip


def _strength(guard: str, records: _Set) -> int:
    """How much a protection asks for, 0 for nothing."""
    text = " ".join(records.values).lower().replace("\\;", ";")
    if guard == "DMARC":
        policy = re.search(r"\bp\s*=\s*(reject|quarantine|none)", text)
        return {"reject": 3, "quarantine": 2}.get(policy.group(1), 1) if policy else 2
    if guard == "SPF":
        if "v=spf1" not in text:
            return 0
        end = re.search(r"([-~?+]?)all\b", text)
        return {"-": 4, "~": 3, "?": 2}.get(end.group(1), 1) if end else 2 if "redirect=" not in text else 3
    return 1


def _zone(data: bytes, path: str) -> Zone:
    if path.endswith((".yaml", ".yml")):
        return _octodns(data, path)
    if path.endswith(".js"):
        return _dnscontrol(text_of(data, path))
    return _bind(text_of(data, path), path)


# octoDNS: a map of names, each with one record set or several (octodns.readthedocs.io/en/latest/records.html).


def _octodns(data: bytes, path: str) -> Zone:
    out: Zone = {}
    node = documents.one_yaml(data, path)
    if node is None or not node.is_map:
        return out
    zone = _file_zone(path)
    for name, value in node.entries():
        for item in value.items or (value,):
            kind = (item.string("type") or "").upper()
            if kind not in _TYPES or not any(item.get(key) is not None for key in ("value", "values")):
                return {}  # not the shape of a zone
            records = out.setdefault((f"{name}.{zone}" if name else zone, kind), _Set(item.line))
            for part in (item.get("value"), item.get("values")):
                records.values |= {_shown(value) for value in part.items or (part,)} if part is not None else set()
            records.proxied = k8s.truth(item.get("octodns", "cloudflare", "proxied"))
            if records.proxied is None and item.get("octodns", "cloudflare") is None:
                records.proxied = False if kind in ("A", "AAAA", "CNAME") else None
    return out


def _shown(node: Node | None) -> str:
    if node is None:
        return ""
    return node.text if node.text is not None else " ".join(part.text or "" for key, part in node.walk() if part.text is not None)


# DNSControl: D("example.com", REG, ..., A("www", "192.0.2.1")) (docs.dnscontrol.org/language-reference).

_CALL = re.compile(r"""\b(D|D_EXTEND|[A-Z][A-Z_]{0,14})\(\s*["']([^"'\n]*)["']\s*(?:,\s*([^)\n]*))?""")
_COMMENTS = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|//[^\n]*|/\*.*?\*/""", re.DOTALL)


def _dnscontrol(text: str) -> Zone:
    out: Zone = {}
    zone = ""
    clean = _COMMENTS.sub(lambda match: match.group(1) or "\n" * match.group().count("\n"), text)
    if not re.search(r"\bD\(\s*[\"']", clean):
        return out
    for match in _CALL.finditer(clean):
        kind, name, rest = match.group(1), match.group(2), match.group(3) or ""
        if kind in ("D", "D_EXTEND"):
            zone = name
        elif kind in _TYPES:
            full = zone if name == "@" else f"{name}.{zone}"
            records = out.setdefault((full, kind), _Set(clean.count("\n", 0, match.start()) + 1))
            value = re.split(r",\s*(?:TTL|CF_)", rest)[0].strip().replace('"', "").replace("'", "")
            records.values.add(value)
            if "CF_PROXY_" in rest:
                records.proxied = "CF_PROXY_OFF" not in rest
            elif records.proxied is None and kind in ("A", "AAAA", "CNAME"):
                records.proxied = False
    return out


# Zone files (RFC 1035 section 5).


def _file_zone(path: str) -> str:
    """The zone a file is named for: `zones/example.com.yaml`, `db.example.com`."""
    return re.sub(r"^db\.|\.(?:ya?ml|zone|db|txt)$", "", path.rpartition("/")[2])


def _bind(text: str, path: str) -> Zone:
    out: Zone = {}
    if not re.search(r"(?i)\b(?:SOA|NS)\s", text):
        return out
    origin, last, count = _file_zone(path), "", 0
    for line, words, indented in _entries(text):
        count += 1
        if count > RECORDS:
            return {}
        if words[0].startswith("$"):
            if words[0].upper() == "$ORIGIN" and len(words) > 1:
                origin = words[1].rstrip(".")
            continue
        if not indented:
            last, words = words[0], words[1:]
        while words and (re.fullmatch(r"(?i)\d+[smhdw]?(?:\d+[smhdw])*", words[0]) or words[0].upper() in ("IN", "CH", "HS")):
            words = words[1:]
        if not words or words[0].upper() not in _TYPES:
            if words:
                return {}  # not the shape of a zone
            continue
        name = last.rstrip(".") if last.endswith(".") else origin or "@" if last == "@" else f"{last}.{origin}" if origin else last
        out.setdefault((name, words[0].upper()), _Set(line)).values.add(" ".join(words[1:]))
    return out if any(kind in ("SOA", "NS") for _, kind in out) else {}


_WORD = re.compile(r'"((?:\\.|[^"\\\n])*)"|([^\s;()"]+)|([;()])')


def _entries(text: str) -> Iterator[tuple[int, list[str], bool]]:
    """(line, words, whether the name is left out) of each entry; brackets join lines, a semicolon begins a comment."""
    words: list[str] = []
    depth, start, indented = 0, 0, False
    for number, row in enumerate(text.split("\n"), 1):
        if depth == 0:
            words, start, indented = [], number, row[:1] in (" ", "\t")
        for match in _WORD.finditer(row):
            if match.group(3) == ";":
                break
            if match.group(3):
                depth = max(0, depth + (1 if match.group(3) == "(" else -1))
            else:
                words.append(match.group(1) if match.group(1) is not None else match.group(2))
        if depth == 0 and words:
            yield start, words, indented


DETECTOR = Detector(
    name="dns", title="Names on the internet", rules=(REMOVED, SERVERS, GUARD, UNCOVERED), detect=detect, group=together, sure=True
)
