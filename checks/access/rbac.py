"""Kubernetes RBAC as sets: which (group, resource, verb) a role allows, what one role allows that others did not, and how bad that is.

Rules only ever add (there is no deny), so a role is the union of its rules and widening is a set difference under wildcards.
Sources: kubernetes.io/docs/reference/access-authn-authz/rbac, kubernetes.io/docs/concepts/security/rbac-good-practices (privilege escalation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from checks.model import Severity
from checks.readers.documents import Node

ATOMS = 20_000
"""Atoms of one role."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing a role allows: a verb on a resource of a group (or on a URL), on one named object or (None) on all."""

    group: str
    resource: str
    verb: str
    name: str | None = None


def covers(wide: Atom, narrow: Atom) -> bool:
    """Whether having `wide` means having `narrow`."""
    return (
        wide.group in ("*", narrow.group)
        and wide.verb in ("*", narrow.verb)
        and _resource_covers(wide.resource, narrow.resource)
        and wide.name in (None, narrow.name)
    )


def _resource_covers(wide: str, narrow: str) -> bool:
    if wide in ("*", narrow):
        return True
    if wide.startswith("*/"):
        return narrow.partition("/")[2] == wide[2:]
    return wide.startswith("/") and wide.endswith("*") and narrow.startswith(wide[:-1])


def atoms(rules: Node | None) -> frozenset[Atom]:
    """What the `rules` of a Role or ClusterRole allow."""
    out: set[Atom] = set()
    for rule in (rules.items or ()) if rules is not None else ():
        names: tuple[str | None, ...] = _texts(rule, "resourceNames") or (None,)
        for verb in _texts(rule, "verbs"):
            out |= {Atom("", url, verb) for url in _texts(rule, "nonResourceURLs")}
            for group in _texts(rule, "apiGroups"):
                for resource in _texts(rule, "resources"):
                    out |= {Atom(group, resource, verb, name) for name in names}
                    if len(out) > ATOMS:
                        return frozenset(out)
    return frozenset(out)


def _texts(rule: Node, key: str) -> tuple[str, ...]:
    node = rule.get(key)
    return tuple(item.text for item in node.elements() if item.text is not None) if node is not None else ()


def new_access(head: Iterable[Atom], base: Iterable[Atom]) -> frozenset[Atom]:
    """The atoms of `head` that nothing in `base` covers."""
    have = frozenset(base)
    stars = tuple(atom for atom in have if "*" in atom.group + atom.verb + atom.resource)
    return frozenset(
        atom
        for atom in head
        if atom not in have
        and Atom(atom.group, atom.resource, atom.verb) not in have
        and not any(covers(wide, atom) for wide in stars)
        and not (_gap(atom.name) and any((one.group, one.resource, one.verb) == (atom.group, atom.resource, atom.verb) for one in have))
    )


def _gap(name: str | None) -> bool:
    """A name that a template leaves open: it cannot be told from another one."""
    return name is not None and "⟦" in name


READ = frozenset({"get", "list", "watch"})
_WORKLOADS = frozenset({"pods", "deployments", "daemonsets", "statefulsets", "replicasets", "jobs", "cronjobs", "replicationcontrollers"})
_WEBHOOKS = frozenset({"validatingwebhookconfigurations", "mutatingwebhookconfigurations"})
_RBAC = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
_QUIET = frozenset({"events", "leases", "endpoints", "endpointslices", "subjectaccessreviews", "tokenreviews", "selfsubjectaccessreviews"})
"""Resources that every controller writes: reports and elections, and questions about access."""
_BROAD = frozenset({"persistentvolumes", "namespaces", "customresourcedefinitions", "storageclasses"})


def severity_of(atom: Atom) -> Severity:
    """How bad it is to have this in the whole cluster."""
    return max(_dangers(atom), key=lambda severity: severity.rank)


def _dangers(atom: Atom) -> Iterator[Severity]:
    resource, _, part = atom.resource.partition("/")
    writes = atom.verb not in READ
    yield Severity.LOW
    if atom.resource.startswith("/"):
        if atom.verb in ("*", "post", "put", "delete", "patch"):
            yield Severity.MODERATE
        return
    if resource == "*" and atom.verb == "*" and atom.group in ("*", ""):
        yield Severity.CRITICAL
    if (atom.verb in ("escalate", "bind") and resource in _RBAC | {"*"}) or atom.verb == "impersonate":
        yield Severity.CRITICAL
    if resource in _RBAC and writes and atom.group in ("*", "rbac.authorization.k8s.io"):
        yield Severity.HIGH
    if resource == "secrets" and atom.group in ("", "*"):
        yield Severity.MODERATE if atom.name else Severity.HIGH
    if (resource == "serviceaccounts" and part == "token" and writes) or (
        resource == "pods" and part in ("exec", "attach", "ephemeralcontainers", "portforward")
    ):
        yield Severity.HIGH
    if resource == "nodes" and (part == "proxy" or (writes and part != "status")):
        yield Severity.HIGH
    if (resource in _WEBHOOKS and writes) or (resource == "signers" and atom.verb in ("approve", "sign", "*")):
        yield Severity.MODERATE if atom.name else Severity.HIGH
    if resource == "certificatesigningrequests" and part == "approval":
        yield Severity.HIGH
    if resource == "*":
        yield Severity.HIGH if writes or atom.group in ("*", "") else Severity.MODERATE
    if "*" in (atom.verb, atom.group):
        yield Severity.MODERATE
    if resource in _WORKLOADS and not part and atom.verb in ("create", "update", "patch", "*"):
        yield Severity.HIGH if resource == "pods" or atom.verb == "*" else Severity.MODERATE
    if resource in _BROAD and writes and not part:
        yield Severity.MODERATE if atom.verb in ("create", "update", "patch") else Severity.HIGH
    if writes and resource not in _QUIET and part not in ("finalizers", "status") and not atom.name:
        yield Severity.MODERATE


BUILT_IN = {
    "cluster-admin": Severity.CRITICAL,
    "admin": Severity.HIGH,
    "edit": Severity.HIGH,
    "view": Severity.LOW,
    "system:auth-delegator": Severity.LOW,
    "extension-apiserver-authentication-reader": Severity.LOW,
}
"""Roles that every cluster has, by how bad it is to be bound to them."""
EVERYONE = frozenset({"system:authenticated", "system:unauthenticated", "system:anonymous", "system:serviceaccounts"})
"""Subjects that are not somebody but anybody."""


def worst(found: Iterable[Atom]) -> Severity:
    """The worst severity among atoms; low for none."""
    return max((severity_of(atom) for atom in found), key=lambda severity: severity.rank, default=Severity.LOW)


def summary(found: Iterable[Atom], limit: int = 4) -> str:
    """Atoms in words, the worst first: `get, list on secrets; create on pods and 2 more`."""
    by: dict[tuple[str, str, str | None], list[Atom]] = {}
    for atom in found:
        by.setdefault((atom.group, atom.resource, atom.name), []).append(atom)
    rows = sorted(by.items(), key=lambda row: (-worst(row[1]).rank, str(row[0])))
    words = []
    for (group, resource, name), members in rows[:limit]:
        verbs = sorted(atom.verb for atom in members)
        where = "every resource" if resource == "*" else resource
        where += f" of {'every group' if group == '*' else group}" if group else ""
        words.append(f"{'every verb' if '*' in verbs else ', '.join(verbs)} on {where}" + (f" “{name}”" if name else ""))
    more = len(rows) - limit
    return "; ".join(words) + (f" and {more} more" if more > 0 else "")
