"""Address ranges and ports: what is reachable from where, and whether one opening is inside another."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYWHERE = frozenset({"*", "any", "internet", "0.0.0.0/0", "::/0", "0.0.0.0", "all"})  # noqa: S104 - an address range, nothing is bound
"""Words for the whole internet, lower case (`Internet` and `*` are Azure's)."""

SENSITIVE = {
    21: "FTP", 22: "SSH", 23: "Telnet", 135: "RPC", 139: "NetBIOS", 445: "SMB", 1433: "SQL Server", 1521: "Oracle", 2049: "NFS", 2375: "Docker",
    2376: "Docker", 2379: "etcd", 3306: "MySQL", 3389: "RDP", 5432: "PostgreSQL", 5439: "Redshift", 5601: "Kibana", 5984: "CouchDB", 5985: "WinRM",
    5986: "WinRM", 6379: "Redis", 6443: "Kubernetes", 8020: "HDFS", 9042: "Cassandra", 9092: "Kafka", 9200: "Elasticsearch", 9300: "Elasticsearch",
    10250: "kubelet", 11211: "memcached", 27017: "MongoDB", 27018: "MongoDB",
}  # fmt: skip
"""Ports of administration and data stores (IANA service names; the services' own documentation)."""
WEB = frozenset({80, 443})


@lru_cache(maxsize=4096)
def network(text: str) -> Network | None:
    """An address range from text, None if it is none; words for everywhere are 0.0.0.0/0."""
    if text.lower() in EVERYWHERE:
        text = "::/0" if text == "::/0" else "0.0.0.0/0"
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def is_public(source: str) -> bool:
    """Whether a source is the internet or a large part of it: no private range, and shorter than /8 (IPv6: /16)."""
    found = network(source)
    return found is not None and found.prefixlen < (8 if found.version == 4 else 16)


def is_private(source: str) -> bool:
    """Whether a source is inside a private range."""
    found = network(source)
    return found is not None and found.is_private and found.prefixlen > 0


def inside(source: str, other: str) -> bool:
    """Whether `source` is covered by `other`; texts that are no ranges only by themselves or by everywhere."""
    if source == other:
        return True
    one, two = network(source), network(other)
    if two is not None and two.prefixlen == 0 and one is None:
        return True
    if one is None or two is None or one.version != two.version:
        return False
    return one.subnet_of(two)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Opening:
    """One permission for traffic."""

    direction: str
    """in or out."""
    protocol: str
    """tcp, udp, icmp, … or `*` for all."""
    first: int
    last: int
    source: str
    """The other side: an address range, a word for everywhere, or another thing's name."""

    def covers(self, other: Opening) -> bool:
        """Whether everything `other` permits is permitted by this."""
        return (
            self.direction == other.direction
            and self.protocol in ("*", other.protocol)
            and self.first <= other.first
            and self.last >= other.last
            and inside(other.source, self.source)
        )

    def meets(self, other: Opening) -> bool:
        """Whether some traffic is in both."""
        return (
            self.direction == other.direction
            and ("*" in (self.protocol, other.protocol) or self.protocol == other.protocol)
            and self.first <= other.last
            and other.first <= self.last
            and (inside(self.source, other.source) or inside(other.source, self.source))
        )

    @property
    def ports(self) -> str:
        """In words."""
        if self.first <= 0 and self.last >= 65535:
            return "every port"
        number = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        names = [name for port, name in SENSITIVE.items() if self.first <= port <= self.last]
        named = f" ({', '.join(dict.fromkeys(names))})" if names and len(names) < 4 else ""
        return f"port{'' if self.first == self.last else 's'} {number}{named}"

    @property
    def sensitive(self) -> bool:
        """Whether administration or data is among the ports."""
        if self.protocol in ("icmp", "icmpv6", "1", "58"):
            return False
        return any(self.first <= port <= self.last for port in SENSITIVE)

    @property
    def web(self) -> bool:
        """Whether only a web server is reached."""
        return self.first == self.last and self.first in WEB
