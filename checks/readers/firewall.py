"""Rules of a machine's firewall: what `iptables-restore` and `nft -f` read, as chains with what they let in and what they refuse.

Only traffic that starts outside counts: the loopback, replies to what was asked for, and what goes out are left aside.
Sources: iptables(8) and iptables-extensions(8), nft(8), ufw-framework(8).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from checks.access.networks import Opening, is_public
from checks.model import Unreadable
from checks.readers import text_of

RULES = 20_000
"""Lines of one file."""
ENTRIES = 1_500
"""What its rules let in and refuse, port by port and source by source: every one is held against every one of the other side."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule: traffic, and the line it stands on."""

    opening: Opening
    line: int


@dataclass(slots=True)
class Chain:
    """What comes in passes through one of these."""

    policy: str | None = None
    """accept or drop; None for a chain that other chains jump to."""
    line: int = 1
    allowed: list[Entry] = field(default_factory=list)
    denied: list[Entry] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether it refuses what no rule of it lets in."""
        return self.policy == "drop" or any(
            is_public(entry.opening.source) and entry.opening.protocol == "*" and entry.opening.last >= 65535 for entry in self.denied
        )


@lru_cache(maxsize=64)
def chains(data: bytes, path: str) -> Mapping[str, Chain]:
    """The chains of a rules file that speak of incoming traffic, by `family/name`. Raises `Unreadable` over its limits."""
    text = text_of(data, path)
    found = _nft(text, path) if re.search(r"^\s*(table|chain)\s+[\w ]+\{", text, re.MULTILINE) else _iptables(text, path)
    if sum(len(chain.allowed) + len(chain.denied) for chain in found.values()) > ENTRIES:
        raise Unreadable(path, f"it lets in or refuses more than {ENTRIES:,} things", ours=True).of(data)
    return found


# iptables.

_OUTWARD = re.compile(r"OUTPUT|POSTROUTING|PREROUTING|output|postrouting|prerouting")
_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop"}


def _iptables(text: str, path: str) -> Mapping[str, Chain]:
    found: dict[str, Chain] = {}
    table = "filter"
    family = "ip6" if "6" in path.rpartition("/")[2] else "ip"
    for number, line in enumerate(text.split("\n")[: RULES + 1], 1):
        if number > RULES:
            raise Unreadable(path, f"it has more than {RULES:,} lines", number, ours=True)
        line = line.strip()
        if line.startswith("*"):
            table = line[1:].strip()
        elif table == "filter" and line.startswith(":"):
            name, _, rest = line[1:].partition(" ")
            policy = rest.split(" ", 1)[0]
            if not _OUTWARD.search(name):
                found.setdefault(f"{family}/{name}", Chain(_VERDICTS.get(policy), number)).policy = _VERDICTS.get(policy)
        elif table == "filter" and re.match(r"(?:ip6?tables\s+(?:-w\s+)?)?-[AIP]\s", line):
            _rule(line, number, family, found)
    return found


def _rule(line: str, number: int, family: str, found: dict[str, Chain]) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    if words and words[0].startswith("ip"):
        words = words[1:]
    given: dict[str, str] = {}
    for at, word in enumerate(words[:-1]):
        if word.startswith("-"):
            given.setdefault(word, ("not " if words[at - 1] == "!" else "") + words[at + 1])
    name = given.get("-A") or given.get("-I") or given.get("-P") or ""
    if not name or _OUTWARD.search(name):
        return
    chain = found.setdefault(f"{family}/{name}", Chain(line=number))
    if "-P" in given:
        chain.policy, chain.line = _VERDICTS.get(words[-1], chain.policy), number
        return
    verdict = _VERDICTS.get(given.get("-j") or given.get("--jump") or "")
    states = given.get("--state") or given.get("--ctstate") or ""
    if verdict is None or given.get("-i") == "lo" or (states and "NEW" not in states):
        return
    protocol = (given.get("-p") or given.get("--protocol") or "*").lower()
    source = given.get("-s") or given.get("--source") or given.get("--src") or ("::/0" if family == "ip6" else "0.0.0.0/0")
    limited = any(key in given for key in ("--match-set", "--mac-source", "-d", "--destination", "--limit", "--seconds", "--string"))
    if "--match-set" in given:
        source = f"set {given['--match-set']}"
    into = chain.allowed if verdict == "accept" else chain.denied
    if verdict == "drop" and limited and "--match-set" not in given:
        return
    for first, last in _ports(given.get("--dport") or given.get("--destination-port") or given.get("--dports") or ""):
        into.append(Entry(Opening("in", "*" if protocol == "all" else protocol, first, last, source), number))


def _ports(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of ports from `22`, `80,443`, `1000:2000` or `1000-2000`; every port from nothing, nothing from names that are not known."""
    if not text:
        yield 0, 65535
    for part in text.split(",")[:ENTRIES]:
        part = _NAMES.get(part.strip(), part.strip())
        match = re.fullmatch(r"(\d{1,5})(?:[:-](\d{1,5}))?", part)
        if match:
            yield int(match.group(1)), int(match.group(2) or match.group(1))


_NAMES = {
    "ssh": "22",
    "http": "80",
    "https": "443",
    "smtp": "25",
    "domain": "53",
    "postgresql": "5432",
    "mysql": "3306",
    "ntp": "123",
    "redis": "6379",
}
"""Names of ports in rules, as /etc/services has them."""


# nft.

_CHAIN = re.compile(r"(?:^|[\s;{])(?:add\s+)?chain\s+(?:(?:inet|ip6?|arp|bridge|netdev)\s+\w+\s+)?([\w-]+)\s*\{")


def _nft(text: str, path: str) -> Mapping[str, Chain]:
    text = re.sub(r"#[^\n]*", "", text)
    found: dict[str, Chain] = {}
    left = 2 * len(text) + 1000
    for match in _CHAIN.finditer(text):
        depth, end = 1, match.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        left -= end - match.end()
        if left < 0:
            raise Unreadable(path, "its chains stand in one another", text.count("\n", 0, match.end()) + 1, ours=True)
        body = text[match.end() : end - 1]
        line = text.count("\n", 0, match.end()) + 1
        if re.search(r"\bhook\s+(output|postrouting|prerouting)\b", body) or len(found) > 200:
            continue
        policy = re.search(r"\bpolicy\s+(accept|drop)\b", body)
        hooked = re.search(r"\bhook\s+(input|forward)\b", body) is not None
        chain = Chain(policy.group(1) if policy else "accept" if hooked else None, line)
        for number, statement in _statements(body, line):
            _nft_rule(statement, number, chain)
        found[f"nft/{match.group(1)}"] = chain
    return found


def _statements(body: str, line: int) -> Iterator[tuple[int, str]]:
    """Statements of a chain with their lines; a set in braces may span several."""
    depth, start = 0, 0
    for at, char in enumerate(body + "\n"):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char in "\n;" and depth == 0:
            statement = body[start:at].strip()
            if statement:
                yield line + body.count("\n", 0, start + (len(body[start:at]) - len(body[start:at].lstrip()))), statement
            start = at + 1


def _nft_rule(statement: str, number: int, chain: Chain) -> None:
    verdicts = re.findall(r"\b(?:accept|drop|reject)\b", statement)
    if not verdicts or statement.startswith("type "):
        return
    states = re.search(r"\bct state\s+(\{[^}]*\}|[\w,]+)", statement)
    if re.search(r"\biif(?:name)?\s+\"?lo\"?\b", statement) or (states and "new" not in states.group(1)):
        return
    protocol = re.search(r"\b(tcp|udp|sctp|dccp)\s+dport\b", statement) or re.search(
        r"\b(?:meta\s+l4proto|ip protocol|ip6 nexthdr)\s+\{?\s*(\w+)", statement
    )
    ports = re.search(r"\bdport\s+(\{[^}]*\}|[\w:-]+)", statement)
    sources = re.search(r"\bsaddr\s+(!=\s*)?(\{[^}]*\}|@?[\w./:-]+)", statement)
    named = protocol.group(1) if protocol else "icmp" if re.match(r"icmp", statement) else "*"
    given = [part.strip() for part in (sources.group(2).strip("{} ").split(",") if sources else ["0.0.0.0/0"])]
    into = chain.allowed if verdicts[-1] == "accept" else chain.denied
    for source in given[:500]:
        for first, last in _ports(ports.group(1).strip("{} ").replace(" ", "") if ports else ""):
            where = ("not " if sources is not None and sources.group(1) else "") + source
            into.append(Entry(Opening("in", named, first, last, where), number))
