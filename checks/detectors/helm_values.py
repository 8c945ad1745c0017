"""Values given to Helm charts that switch a guard off or open something.

## What it detects
Values files, and the values inside Flux HelmReleases and Argo CD Applications, compared key by key: persistence, disruption budgets, network
policies and pod security switched off, replicas set to zero, privileged containers, services and ingresses opened, every address let in.

## Why it matters
Charts of others hide what a value does. `persistence.enabled: false` deletes the claim with the next upgrade, and no manifest shows it.

## Example
`redis.persistence.enabled` goes from true to false in `values-production.yaml`.

## What makes it safe
The same value set in the file that wins, `resourcePolicy: keep`, an internal load balancer, source ranges. A chart's option with a safe default says nothing.

## What it cannot see
What a chart makes of a value: the names of values are conventions, so these effects are likely, not certain.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.readers import documents
from checks.readers.documents import Node
from checks.readers.kubernetes import Object
from checks.readers.manifests import deployed, manifests

_LIKELY = Confidence.LIKELY
PRIVILEGE = Rule(
    "helm-values/privilege-widened",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A chart's pods may do more",
    confidence=_LIKELY,
)
EXPOSED = Rule(
    "helm-values/exposure-widened",
    Hazard.EXPOSURE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A chart is reachable from more places",
    confidence=_LIKELY,
)
GUARD = Rule(
    "helm-values/guard-removed",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A chart's guard is switched off",
    confidence=_LIKELY,
)
DATA = Rule(
    "helm-values/persistence-removed",
    Hazard.DATA_DESTROYED,
    Severity.HIGH,
    Reversible.NO,
    "A chart no longer keeps its data",
    confidence=_LIKELY,
)
ZERO = Rule(
    "helm-values/scaled-to-zero", Hazard.AVAILABILITY_REDUCED, Severity.HIGH, Reversible.YES, "A chart runs no pod", confidence=_LIKELY
)


@dataclass(frozen=True, slots=True)
class _Key:
    """One kind of key: where it stands, from which values to which values it must go, and what that is."""

    path: re.Pattern[str]
    old: frozenset[str | None]
    new: frozenset[str | None]
    rule: Rule
    message: str
    severity: Severity | None = None


def _key(path: str, old: str, new: str, rule: Rule, message: str, severity: Severity | None = None) -> _Key:
    """`old` and `new` are words, `-` for a key that is missing, `*` for anything else."""
    words = [frozenset(None if word == "-" else word for word in text.split()) for text in (old, new)]
    return _Key(re.compile(rf"(?:.*\.)?(?:{path})\Z", re.IGNORECASE), words[0], words[1], rule, message, severity)


_KEYS = (
    _key(r"persist\w*\.enabled", "true", "false", DATA, "its data no longer survives its pods, and the claim can be deleted"),
    _key(
        r"(?:poddisruptionbudget|pdb)\.(?:enabled|create)", "true", "false -", GUARD, "its pods may all be taken down at once", Severity.LOW
    ),
    _key(r"network_?polic(?:y|ies)\.(?:enabled|create)", "true", "false", GUARD, "its network policy is gone", Severity.HIGH),
    _key(r"(?:backups?|snapshots?)\.enabled", "true", "false", GUARD, "it is no longer backed up", Severity.HIGH),
    _key(r"resource_?policy", "keep", "- delete", GUARD, "what the release leaves behind is no longer kept", Severity.HIGH),
    _key(r"crds\.keep", "true", "false", GUARD, "its resource definitions go with the release, and every object of them", Severity.HIGH),
    _key(r"(?:tls|auth)\.enabled", "true", "false", GUARD, "it no longer encrypts or asks who connects", Severity.HIGH),
    _key(
        r"\w*securitycontext\.(?:run_?as_?non_?root|readonlyrootfilesystem)", "true", "false", PRIVILEGE, "its containers are less hardened"
    ),
    _key(r"\w*securitycontext\.enabled", "true", "false", PRIVILEGE, "its containers are less hardened"),
    _key(
        r"\w*securitycontext\.privileged|privileged", "false - *", "true", PRIVILEGE, "its containers are root on their node", Severity.HIGH
    ),
    _key(r"\w*securitycontext\.allowprivilegeescalation", "false", "true", PRIVILEGE, "its processes may gain privileges"),
    _key(r"host(?:network|pid|ipc)", "false - *", "true", PRIVILEGE, "it shares its node's namespaces", Severity.HIGH),
    _key(r"(?:rbac\.)?cluster_?admin(?:\.enabled)?", "false - *", "true", PRIVILEGE, "it administers the whole cluster", Severity.HIGH),
    _key(
        r"(?:\w*service|\w*lb)\.type",
        "ClusterIP - *",
        "LoadBalancer",
        EXPOSED,
        "its service gets an address outside the cluster",
        Severity.HIGH,
    ),
    _key(r"(?:\w*service)\.type", "ClusterIP -", "NodePort", EXPOSED, "its service is open on every node"),
    _key(r"\w*ingress\.enabled", "false -", "true", EXPOSED, "it is reachable through an ingress"),
    _key(r"(?:replicas|replica_?count)", "*", "0", ZERO, "no pod runs any more"),
)
"""Conventions that most charts follow (helm.sh/docs/chart_best_practices, and what `helm create` writes)."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        if _is_values(file.path) and file.old is not None and file.new is not None and deployed(file.path):
            try:
                old = change.base_bytes(file)
                base = documents.one_yaml(old, file.base_path) if old is not None else None
            except Unreadable:
                continue
            try:
                new = change.head_bytes(file)
                head = documents.one_yaml(new, file.path) if new is not None else None
            except Unreadable as unreadable:
                if base is not None:
                    yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)
                continue
            if base is None or head is None or head.get("apiVersion") is not None:
                continue
            shipped = change.after.entry(posixpath.join(posixpath.dirname(file.path), "Chart.yaml")) is not None
            own = shipped and change.after.entry(posixpath.join(posixpath.dirname(file.path), "templates")) is not None
            yield from _compared(base, head, file.path, file.path, None, own)
    for pair in manifests(change, files).pairs:
        if pair.old is not None and pair.new is not None and pair.old.node is not pair.new.node:
            for base, head in zip(_inline(pair.old), _inline(pair.new), strict=False):
                yield from _compared(base, head, pair.key.title, pair.new.path, pair.new, False)


def _is_values(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    if _ONLY_CHECKED.search(path.lower()):
        return False
    return name.endswith((".yaml", ".yml")) and ("values" in name or "/values/" in path.lower())


_ONLY_CHECKED = re.compile(r"(?:^|/)ci/[^/]*values[^/]*\Z|(?:^|[-_./])lint[-_.][^/]*\Z")
"""Values that a chart is only linted or tried with (github.com/helm/chart-testing: `ci/*-values.yaml`)."""


def _inline(found: Object) -> Iterator[Node]:
    """The values inside a HelmRelease or an Application."""
    if found.key.group == "helm.toolkit.fluxcd.io" and (values := found.get("spec", "values")) is not None:
        yield values
    if found.key.group == "argoproj.io" and found.kind == "Application":
        sources = found.get("spec", "sources")
        for source in (found.get("spec", "source"), *((sources.items or ()) if sources is not None else ())):
            values = source.get("helm", "valuesObject") if source is not None else None
            if values is not None:
                yield values


def _leaves(node: Node) -> dict[str, list[Node]]:
    """Every scalar by its dotted path; members of lists by the name they have, as containers do, else as `[]`."""
    out: dict[str, list[Node]] = {}
    named: dict[tuple[str | int, ...], str] = {}
    for path, leaf in node.walk():
        if path and isinstance(path[-1], int) and leaf.is_map and (name := leaf.string("name")):
            named[path] = f"<{name}>"
        if leaf.is_scalar:
            parts = (named.get(path[: at + 1], "[]") if isinstance(part, int) else part for at, part in enumerate(path))
            out.setdefault(".".join(parts), []).append(leaf)
    return out


def _word(node: Node | None) -> str | None:
    return None if node is None or node.text is None or (node.value is None) else node.text


def _compared(base: Node, head: Node, title: str, path: str, inside: Object | None, own: bool) -> Iterator[Effect]:
    before, after = _leaves(base), _leaves(head)

    def line(node: Node) -> int:
        return inside.at(node) if inside is not None else node.line

    yield from _addresses(before, after, title, path, line)
    if not own:
        yield from _capabilities(before, after, title, path, line)
    for name in [*after, *(name for name in before if name not in after)]:
        if "[]" in name:
            continue
        was, now = before.get(name), after.get(name)
        old, new = _word(was[0]) if was else None, _word(now[0]) if now else None
        if old == new:
            continue
        key = next((key for key in _KEYS if key.path.match(name) and _fits(old, key.old) and new in key.new), None)
        if key is None or (own and key.rule is not DATA) or (own and was is None):
            continue
        parent = name.rpartition(".")[0]
        if new is None and not any(other.startswith(parent + ".") for other in after):
            continue  # the whole block is gone: the chart's part went, or its defaults apply
        yield key.rule.effect(
            subject=f"{title} {name}", path=path, line=line(now[0]) if now else None, before=old, after=new, severity=key.severity,
            message=f"{name} of {title} goes from {old or 'its default'} to {new or 'its default'}: {key.message}.",
        )  # fmt: skip


def _fits(value: str | None, words: frozenset[str | None]) -> bool:
    return value in words or (value is not None and "*" in words)


_CAPABILITIES = re.compile(r"(?:.*\.)?capabilities\.(add|drop)\.\[\]\Z", re.IGNORECASE)
_ROOT = frozenset(
    {
        "ALL",
        "SYS_ADMIN",
        "SYS_PTRACE",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_BOOT",
        "DAC_READ_SEARCH",
        "DAC_OVERRIDE",
        "NET_ADMIN",
        "BPF",
        "MKNOD",
        "SETUID",
    }
)
"""Capabilities with which a process becomes root on its node or near it (capabilities(7))."""


def _capabilities(before: dict[str, list[Node]], after: dict[str, list[Node]], title: str, path: str, line: object) -> Iterator[Effect]:
    """Capabilities newly added to a chart's containers, or no longer dropped."""
    assert callable(line)
    for name in dict.fromkeys((*after, *before)):
        match = _CAPABILITIES.match(name)
        parent = name.rpartition(".capabilities.")[0]
        if match is None or not any(other.startswith(parent + ".") for other in after):
            continue
        had, has = ({(node.text or "").upper().removeprefix("CAP_"): node for node in side.get(name, ())} for side in (before, after))
        adds = match.group(1).lower() == "add"
        gained = sorted(has.keys() - had.keys()) if adds else sorted((had.keys() & {"ALL"}) - has.keys())
        if not gained or (adds and "ALL" in had):
            continue
        shown = ", ".join(gained)
        yield PRIVILEGE.effect(
            subject=f"{title} {name.removesuffix('.[]')}", path=path, line=line(has[gained[0]] if adds else next(nodes[0] for other, nodes in after.items() if other.startswith(parent + "."))), severity=Severity.HIGH if adds and _ROOT & set(gained) else None,
            before=", ".join(sorted(had)) or None, after=", ".join(sorted(has)) or None,
            message=f"The containers of {title} newly have the capabilit{'y' if adds and len(gained) == 1 else 'ies'} {shown}." if adds
            else f"The containers of {title} keep the capabilities that they gave up so far.",
        )  # fmt: skip


_WORLD = ("0.0.0.0/0", "::/0")
_RANGES = re.compile(
    r"(?:.*\.)?(?:loadbalancersourceranges|whitelist\w*|allowlist\w*|cidr\w*|\w*cidrs|sourceranges)(?:\.\[\])?\Z", re.IGNORECASE
)


def _addresses(before: dict[str, list[Node]], after: dict[str, list[Node]], title: str, path: str, line: object) -> Iterator[Effect]:
    assert callable(line)
    for name, nodes in after.items():
        if not _RANGES.match(name):
            continue
        had = [node.text for node in before.get(name, ())]
        for node in nodes:
            if node.text in _WORLD and node.text not in had and (had or "except" not in name):
                outward = "egress" in name.lower()
                yield EXPOSED.effect(
                    subject=f"{title} {name}", path=path, line=line(node), before=", ".join(text for text in had[:4] if text) or None, after=node.text,
                    severity=Severity.LOW if outward else None,
                    message=f"{name} of {title} newly lists {node.text}: every address {'can be reached' if outward else 'may connect'}.",
                )  # fmt: skip
                break


DETECTOR = Detector(
    name="helm-values",
    title="Values of Helm charts",
    rules=(PRIVILEGE, EXPOSED, GUARD, DATA, ZERO),
    detect=detect,
    group=together,
)
