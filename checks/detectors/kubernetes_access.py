"""Kubernetes roles and bindings: who may newly do what in a cluster.

## What it detects
Every Role and ClusterRole is a set of (API group, resource, verb, object name). The set at head minus what the set at base covered,
wildcards included, is what is new. Also: new roles, bindings with new subjects or another role, roles added to the built-in
admin, edit and view roles by label, and service accounts that newly act as a cloud identity.

## Why it matters
RBAC has no deny: whatever one rule allows stays allowed. A verb on secrets, on pods' exec, on roles or a wildcard is a way to the whole cluster.

## Example
A controller's ClusterRole lists `pods: [get, list]`. The change writes `resources: ["pods", "secrets"]`: every credential of the cluster can be
read by whoever runs as that service account.

## What makes it safe
A Role in one namespace instead of a ClusterRole, `resourceNames`, a separate service account for each workload, and an admission policy
that refuses wildcards. Rules that only moved between roles of the same subjects, or were regrouped, say nothing.

## What it cannot see
Bindings made outside the repository, what a Helm chart's users put in their values, and custom resources that a controller turns into access.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.access import rbac
from checks.access.rbac import Atom
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers.documents import same
from checks.readers.kubernetes import Object
from checks.readers.manifests import Manifests, Pair, manifests, once

WIDENED = Rule("kubernetes-access/role-widened", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "A role allows more")
ADDED = Rule("kubernetes-access/role-added", Hazard.PRIVILEGE_WIDENED, Severity.LOW, Reversible.PARTLY, "A new role allows something")
BOUND = Rule(
    "kubernetes-access/role-bound", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "A role is given to someone new"
)
AGGREGATED = Rule(
    "kubernetes-access/role-aggregated", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A built-in role grows by aggregation"
)
CLOUD = Rule(
    "kubernetes-access/cloud-identity-given",
    Hazard.PRIVILEGE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A service account acts as a cloud identity",
)

_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_RBAC_GROUP = "rbac.authorization.k8s.io"
_CLOUD = {
    "eks.amazonaws.com/role-arn": "the AWS role",
    "iam.gke.io/gcp-service-account": "the Google service account",
    "azure.workload.identity/client-id": "the Azure identity",
}
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

Subject = tuple[str, str, str]
"""(kind, namespace, name)."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found = manifests(change, files)
    yield from once([*_roles(found), *_bindings(found), *_accounts(found)])


# Roles.


def _is_rbac(pair: Pair) -> bool:
    return pair.key.group == _RBAC_GROUP


def _atoms(role: Object | None) -> frozenset[Atom]:
    return rbac.atoms(role.get("rules")) if role is not None else frozenset()


def _roles(found: Manifests) -> Iterator[Effect]:
    pairs = [pair for pair in found.of(*_ROLES) if _is_rbac(pair)]
    lost: dict[int, frozenset[Atom]] = {
        index: rbac.new_access(_atoms(pair.old), _atoms(pair.new)) for index, pair in enumerate(pairs) if pair.old is not None
    }
    fresh = {pair.new.key.name for pair in found.of("ServiceAccount") if pair.old is None and pair.new is not None}
    for index, pair in enumerate(pairs):
        new = pair.new
        if new is None:
            continue
        gained = rbac.new_access(_atoms(new), _atoms(pair.old))
        gained = _not_moved(gained, pair, index, pairs, lost, found)
        label = _aggregated(pair)
        if label:
            yield AGGREGATED.effect(
                subject=new.key.title, path=new.path, line=new.line, after=label, severity=_aggregated_severity(_atoms(new)),
                message=f"Whoever has the built-in role {label} also gets what {new.key.title} allows: {rbac.summary(_atoms(new)) or 'its rules'}.",
            )  # fmt: skip
            continue
        if not gained:
            continue
        severity = _severity(gained, new)
        if (
            pair.old is None
            and severity is Severity.HIGH
            and _subjects_of(new, found, Side.HEAD) <= {("ServiceAccount", name) for name in fresh}
        ):
            severity = Severity.MODERATE
        rule = WIDENED if pair.old is not None else ADDED
        start = "may newly do" if pair.old is not None else "is new and allows"
        yield rule.effect(
            subject=new.key.title, path=new.path, line=_line(new, gained), severity=severity, after=rbac.summary(gained),
            confidence=Confidence.LIKELY if new.templated else None, facts=(("address", new.key.address),),
            message=f"{new.key.title} {start}: {rbac.summary(gained)}.",
        )  # fmt: skip


def _severity(gained: frozenset[Atom], role: Object) -> Severity:
    severity = rbac.worst(gained)
    if role.kind == "Role" and severity is not Severity.LOW:
        return severity.step(-1)
    return severity


def _aggregated_severity(allowed: frozenset[Atom]) -> Severity:
    return max(Severity.MODERATE, rbac.worst(allowed), key=lambda severity: severity.rank) if allowed else Severity.MODERATE


def _line(role: Object, gained: frozenset[Atom]) -> int:
    """The first rule that allows something new."""
    rules = role.get("rules")
    for rule in rules.items or () if rules is not None else ():
        one = rbac.atoms(type(rule)(line=rule.line, items=(rule,)))
        if one & gained:
            return role.at(rule)
    return role.line


def _not_moved(
    gained: frozenset[Atom], pair: Pair, index: int, pairs: list[Pair], lost: dict[int, frozenset[Atom]], found: Manifests
) -> frozenset[Atom]:
    """What is left of `gained` when what other roles of the same subjects lost in this change is taken off."""
    assert pair.new is not None
    mine = _subjects_of(pair.new, found, Side.HEAD)
    for other, atoms in lost.items():
        source = pairs[other].old
        if other == index or source is None or not atoms:
            continue
        if source.kind == "Role" and (pair.new.kind == "ClusterRole" or source.key.namespace != pair.new.key.namespace):
            continue
        theirs = _subjects_of(source, found, Side.BASE)
        if not mine or not theirs or mine <= theirs:
            gained = rbac.new_access(gained, atoms)
    return gained


def _subjects_of(role: Object, found: Manifests, side: Side) -> frozenset[tuple[str, str]]:
    """(kind, name) of whom the changed files bind to a role."""
    out: set[tuple[str, str]] = set()
    for pair in found.of(*_BINDINGS):
        binding = pair.new if side is Side.HEAD else pair.old
        if binding is not None and binding.string("roleRef", "kind") == role.kind and binding.string("roleRef", "name") == role.key.name:
            out |= {(kind, name) for kind, _, name in _subjects(binding)}
    return frozenset(out)


def _aggregated(pair: Pair) -> str | None:
    if pair.new is None or pair.new.kind != "ClusterRole" or pair.old is None:
        return None
    for name in ("admin", "edit", "view"):
        label = _AGGREGATE + name
        if pair.new.label(label) == "true" and pair.old.label(label) != "true":
            return name
    return None


# Bindings.


def _subjects(binding: Object | None) -> frozenset[Subject]:
    subjects = binding.get("subjects") if binding is not None else None
    return frozenset(
        (item.string("kind") or "", item.string("namespace") or "", item.string("name") or "")
        for item in (subjects.items or () if subjects is not None else ())
    )


def _role(binding: Object | None) -> tuple[str, str]:
    if binding is None:
        return ("", "")
    return (binding.string("roleRef", "kind") or "", binding.string("roleRef", "name") or "")


def _bindings(found: Manifests) -> Iterator[Effect]:
    pairs = [pair for pair in found.of(*_BINDINGS) if _is_rbac(pair)]
    had = {
        (old.kind, old.key.namespace, _role(old), name)
        for pair in pairs
        if (old := pair.old) is not None
        for _, _, name in _subjects(old)
    }  # fmt: skip
    known = {(new.kind, new.key.name): pair for pair in found.of(*_ROLES) if (new := pair.new) is not None}
    renamed = _renamed_accounts(found)
    for pair in pairs:
        new = pair.new
        if new is None:
            continue
        role = _role(new)
        pair_of_role = known.get(role)
        everyone = {subject for subject in _subjects(new) if subject[2] in rbac.EVERYONE or subject[2].startswith("system:serviceaccounts")}
        old_names = (
            {name for _, _, name in _subjects(pair.old)} if pair.old is not None and _same_role(_role(pair.old), role, found) else set()
        )
        gained = {
            subject
            for subject in _subjects(new)
            if subject[2] not in old_names
            and (new.kind, new.key.namespace, role, subject[2]) not in had
            and renamed.get(subject[2]) not in old_names | {name for kind, space, ref, name in had if ref == role}
        }
        if not gained:
            continue
        if pair.old is None and pair_of_role is not None and pair_of_role.old is None and not everyone & gained:
            continue  # said of the new role itself
        severity = _bound_severity(role, pair_of_role, new)
        if everyone & gained:
            severity = max(severity, Severity.HIGH, key=lambda item: item.rank)
        who = ", ".join(sorted(f"{kind} {space + '/' if space else ''}{name}" for kind, space, name in gained)[:4])
        what = f"{role[0]} {role[1]}"
        where = (
            "in every namespace"
            if new.kind == "ClusterRoleBinding"
            else f"in namespace {new.key.namespace}"
            if new.key.namespace
            else "in its namespace"
        )
        yield BOUND.effect(
            subject=new.key.title, path=new.path, line=new.at(new.node, "subjects"), severity=severity,
            before=f"{_role(pair.old)[0]} {_role(pair.old)[1]}" if pair.old is not None and _role(pair.old) != role else None,
            after=f"{who} → {what}", confidence=Confidence.LIKELY if new.templated else None, facts=(("address", new.key.address),),
            message=f"{who} gets {what} {where}.",
        )  # fmt: skip


def _same_role(old: tuple[str, str], new: tuple[str, str], found: Manifests) -> bool:
    """The same role, or one that allows no more: a role renamed in the same change."""
    if old == new:
        return True
    at_base = {(o.kind, o.key.name): o for pair in found.of(*_ROLES) if (o := pair.old) is not None}
    at_head = {(n.kind, n.key.name): n for pair in found.of(*_ROLES) if (n := pair.new) is not None}
    if old in at_base and new in at_head:
        return not rbac.new_access(_atoms(at_head[new]), _atoms(at_base[old]))
    return old == ("ClusterRole", "cluster-admin")


def _renamed_accounts(found: Manifests) -> dict[str, str]:
    """Name at head → name at base of a service account that is the only one to leave and the only one to come."""
    gone = [pair.some.key.name for pair in found.of("ServiceAccount") if pair.new is None]
    come = [pair.some.key.name for pair in found.of("ServiceAccount") if pair.old is None]
    return {come[0]: gone[0]} if len(gone) == len(come) == 1 else {}


def _bound_severity(role: tuple[str, str], pair: Pair | None, binding: Object) -> Severity:
    if pair is not None and pair.new is not None:
        severity = rbac.worst(_atoms(pair.new))
    else:
        severity = rbac.BUILT_IN.get(role[1], Severity.MODERATE) if role[0] == "ClusterRole" or not role[0] else Severity.MODERATE
    if binding.kind == "RoleBinding" and severity is not Severity.LOW:
        return severity.step(-1)
    return severity


# Service accounts.


def _accounts(found: Manifests) -> Iterator[Effect]:
    for pair in found.of("ServiceAccount"):
        new = pair.new
        if new is None or (pair.old is not None and same(pair.old.get("metadata", "annotations"), new.get("metadata", "annotations"))):
            continue
        for name, title in _CLOUD.items():
            now = new.annotation(name)
            was = pair.old.annotation(name) if pair.old is not None else None
            if now and now != was and "⟦" not in now:
                yield CLOUD.effect(
                    subject=new.key.title, path=new.path, line=_annotation_line(new, name), before=was, after=now,
                    severity=Severity.MODERATE if pair.old is not None else Severity.LOW,
                    message=f"Every pod that runs as {new.key.title} acts as {title} {now}.",
                )  # fmt: skip


def _annotation_line(found: Object, name: str) -> int:
    node = found.get("metadata", "annotations")
    return found.at(node, name) if node is not None else found.line


DETECTOR = Detector(
    name="kubernetes-access",
    title="Kubernetes roles and bindings",
    rules=(WIDENED, ADDED, BOUND, AGGREGATED, CLOUD),
    detect=detect,
    group=together,
)
