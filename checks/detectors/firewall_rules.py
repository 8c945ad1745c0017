"""Rules of a machine's own firewall: ports newly let in, chains that accept by default, refusals that go.

## What it detects
Files that `iptables-restore`, `ip6tables-restore` and `nft -f` read, and those of `ufw`: rules that let in what no rule of the base let in, by
port, protocol and source; chains that refused whatever no rule names and accept it now, by their policy or by their last rule; rules that refuse
a source, gone from a chain that accepts the rest. Loopback, replies and outgoing traffic are left aside.

## Why it matters
It is the last wall before a service that listens, and on a machine with a public address the only one.

## Example
```
 *filter
-:INPUT DROP [0:0]
+:INPUT ACCEPT [0:0]
```
Every port on which something listens is reachable.

## What makes it safe
A security group or another firewall in front; sources named as ranges; a policy of refusing.

## What it cannot see
Which file is loaded, in which order rules stand to each other, jumps between chains, sets filled elsewhere, and rules made by commands in scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from checks.access.networks import is_private, is_public
from checks.detectors.base import Detector, Rule, not_analysed
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import text_of
from checks.readers.firewall import Chain, Entry, chains

OPENED = Rule("firewall-rules/port-opened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A machine's firewall lets more in")
POLICY = Rule(
    "firewall-rules/accepts-by-default",
    Hazard.EXPOSURE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A machine's firewall no longer refuses the rest",
)
DENIAL = Rule(
    "firewall-rules/refusal-removed",
    Hazard.EXPOSURE_WIDENED,
    Severity.LOW,
    Reversible.PARTLY,
    "A machine's firewall no longer refuses a source",
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        old, new = change.base_bytes(file), change.head_bytes(file)
        if old is None or place_of(file.path) is not Place.DEPLOYED:
            continue
        if file.path.endswith("default/ufw"):
            yield from _defaults(file, old, new)
            continue
        try:
            before = chains(old, file.base_path)
        except Unreadable:
            continue
        try:
            after = chains(new, file.path) if new is not None else {}
        except Unreadable as unreadable:
            yield not_analysed(file.path, unreadable.why, unreadable.line)
            continue
        if not before:
            continue
        if new is None:
            if any(chain.closed for chain in before.values()):
                yield POLICY.effect(
                    subject=file.path, path=file.path, side=Side.BASE, severity=Severity.MODERATE,
                    message="The firewall's rules are removed: what refused connections by default refuses nothing where no other file takes their place.",
                )  # fmt: skip
            continue
        yield from _compared(file.path, before, after)


def _compared(path: str, before: Mapping[str, Chain], after: Mapping[str, Chain]) -> Iterator[Effect]:
    had = [entry.opening for chain in before.values() for entry in chain.allowed]
    refused = [entry.opening for chain in after.values() for entry in chain.denied]
    for name, chain in after.items():
        old = before.get(name)
        title = name.partition("/")[2]
        if old is not None and old.closed and not chain.closed:
            yield POLICY.effect(
                subject=title, path=path, line=chain.line, before="drop", after="accept",
                message=f"The chain {title} accepts whatever no rule names, which it refused so far.",
            )  # fmt: skip
            continue
        wall = (chain.closed if chain.policy is not None else any(other.closed for other in after.values())) and (
            old is None or old.policy is None or old.closed
        )
        opened = [entry for entry in chain.allowed if wall and not any(other.covers(entry.opening) for other in had)]
        if opened:
            yield _opened(path, title, opened)
        if old is None or old.closed or chain.closed or chain.policy is None:
            continue
        gone = [entry for entry in old.denied if not any(other.covers(entry.opening) for other in refused)]
        if gone:
            first = gone[0].opening
            yield DENIAL.effect(
                subject=title, path=path, line=gone[0].line, side=Side.BASE, before=f"{first.protocol} {first.first}-{first.last} {first.source}",
                severity=Severity.MODERATE if any(is_public(entry.opening.source) for entry in gone) else None,
                message=f"The chain {title} no longer refuses {first.source} on {first.ports}{f', and {len(gone) - 1} more' if len(gone) > 1 else ''}.",
            )  # fmt: skip


def _opened(path: str, title: str, entries: Sequence[Entry]) -> Effect:
    worst = max(entries, key=lambda entry: _severity(entry).rank)
    opening = worst.opening
    who = "everyone" if is_public(opening.source) else opening.source
    return OPENED.effect(
        subject=title, path=path, line=worst.line, severity=_severity(worst), after=f"{opening.protocol} {opening.first}-{opening.last} {opening.source}",
        message=f"The chain {title} newly lets {who} in on {opening.ports}{f', and {len(entries) - 1} more' if len(entries) > 1 else ''}.",
    )  # fmt: skip


def _severity(entry: Entry) -> Severity:
    opening = entry.opening
    if not is_public(opening.source):
        return Severity.LOW if is_private(opening.source) or not opening.sensitive else Severity.MODERATE
    if opening.sensitive:
        return Severity.CRITICAL
    return Severity.MODERATE if opening.web or opening.protocol.startswith("icmp") else Severity.HIGH


def _defaults(file: FileChange, old: bytes, new: bytes | None) -> Iterator[Effect]:
    """The policies of `ufw`, which stand in a file of settings."""
    if new is None:
        return
    before, after = (_settings(data, path) for data, path in ((old, file.base_path), (new, file.path)))
    for name in ("DEFAULT_INPUT_POLICY", "DEFAULT_FORWARD_POLICY"):
        if before.get(name, ("", 0))[0] in ("DROP", "REJECT") and after.get(name, ("DROP", 0))[0] == "ACCEPT":
            yield POLICY.effect(
                subject=name, path=file.path, line=after[name][1], before=before[name][0], after="ACCEPT",
                message="ufw accepts whatever no rule names, which it refused so far.",
            )  # fmt: skip


def _settings(data: bytes, path: str) -> dict[str, tuple[str, int]]:
    lines = enumerate(text_of(data, path).split("\n"), 1)
    return {
        key.strip(): (value.strip().strip("\"'"), number) for number, line in lines for key, found, value in (line.partition("="),) if found
    }


DETECTOR = Detector(name="firewall-rules", title="A machine's firewall rules", rules=(OPENED, POLICY, DENIAL), detect=detect)
