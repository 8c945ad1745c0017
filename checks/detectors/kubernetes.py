"""Kubernetes objects that leave a deployed set, are replaced, lose their storage, or stop being available.

## What it detects
Objects that stand in manifests, Helm templates or kustomizations at base and no longer at head, wherever files moved to; fields that
cannot be changed in place; volume claims and storage classes that no longer keep data; workloads scaled to nothing, and probes,
memory limits, disruption budgets and rolling updates that are gone.

## Why it matters
A controller that prunes deletes what leaves the repository. With a namespace goes all that is in it, with a custom resource definition every
object of that kind, with a volume claim the data.

## Example
`apps/orders/postgres.yaml` is deleted as a leftover. Argo CD prunes the StatefulSet and its claim, and the volume's reclaim policy is Delete.

## What makes it safe
`argocd.argoproj.io/sync-options: Prune=false`, `helm.sh/resource-policy: keep` or `kustomize.toolkit.fluxcd.io/prune: disabled` on the object, in
an earlier change; a reclaim policy of Retain; a proven backup. Moving an object between files says nothing.

## What it cannot see
Whether anything applies these files; what charts from elsewhere render; remote kustomize bases; objects made by operators.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.readers import kubernetes as k8s
from checks.readers import kustomize, pruning
from checks.readers.documents import Node, same
from checks.readers.kubernetes import Object
from checks.readers.manifests import Manifests, Pair, covered_by_removed, deployed, manifests, once

_R = Reversible
REMOVED = Rule(
    "kubernetes/object-removed",
    Hazard.RESOURCE_DESTROYED,
    Severity.MODERATE,
    _R.PARTLY,
    "A Kubernetes object is removed",
    confidence=Confidence.LIKELY,
)
DATA = Rule(
    "kubernetes/data-removed",
    Hazard.DATA_DESTROYED,
    Severity.CRITICAL,
    _R.NO,
    "A Kubernetes object that holds data is removed",
    confidence=Confidence.LIKELY,
)
ACCESS = Rule(
    "kubernetes/access-removed",
    Hazard.PRIVILEGE_NARROWED,
    Severity.LOW,
    _R.YES,
    "Roles or bindings are removed",
    confidence=Confidence.LIKELY,
)
LEFT_OUT = Rule(
    "kubernetes/resource-left-out",
    Hazard.RESOURCE_DESTROYED,
    Severity.MODERATE,
    _R.PARTLY,
    "A kustomization no longer includes something",
    confidence=Confidence.LIKELY,
)
FORGOTTEN = Rule(
    "kubernetes/object-forgotten",
    Hazard.RESOURCE_FORGOTTEN,
    Severity.LOW,
    _R.YES,
    "An object leaves the repository but stays in the cluster",
)
REPLACED = Rule(
    "kubernetes/immutable-field-changed",
    Hazard.RESOURCE_REPLACED,
    Severity.MODERATE,
    _R.PARTLY,
    "A field that cannot change in place is changed",
)
STORAGE = Rule("kubernetes/storage-protection-removed", Hazard.PROTECTION_REMOVED, Severity.HIGH, _R.PARTLY, "Volumes are no longer kept")
ZERO = Rule("kubernetes/scaled-to-zero", Hazard.AVAILABILITY_REDUCED, Severity.HIGH, _R.YES, "A workload is stopped")
BUDGET = Rule(
    "kubernetes/disruption-budget-weakened", Hazard.AVAILABILITY_REDUCED, Severity.MODERATE, _R.YES, "A disruption budget is gone"
)
PROBE = Rule("kubernetes/probe-removed", Hazard.AVAILABILITY_REDUCED, Severity.MODERATE, _R.YES, "A container is no longer probed")
LIMIT = Rule(
    "kubernetes/memory-limit-removed", Hazard.AVAILABILITY_REDUCED, Severity.LOW, _R.YES, "A container's memory is no longer limited"
)
ABRUPT = Rule("kubernetes/rollout-abrupt", Hazard.AVAILABILITY_REDUCED, Severity.MODERATE, _R.YES, "A rollout replaces every pod at once")

_ELSEWHERE = {
    "argoproj.io": ("Application", "ApplicationSet", "AppProject", "Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate"),
    "kustomize.toolkit.fluxcd.io": ("Kustomization",),
    "helm.toolkit.fluxcd.io": ("HelmRelease",),
    "flagger.app": ("Canary", "MetricTemplate"),
    "networking.k8s.io": ("NetworkPolicy",),
    "cilium.io": ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"),
    "security.istio.io": ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
    "admissionregistration.k8s.io": ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    "kyverno.io": ("ClusterPolicy", "Policy"),
    "policy": ("PodDisruptionBudget",),
}  # fmt: skip
"""Kinds of which other rules speak."""
_DATA = {
    ("", "Namespace"): (Severity.CRITICAL, "and everything in it"),
    ("", "PersistentVolumeClaim"): (Severity.CRITICAL, "and the volume behind it unless its reclaim policy is Retain"),
    ("", "PersistentVolume"): (Severity.CRITICAL, "and what is stored on it unless its reclaim policy is Retain"),
    ("", "Secret"): (Severity.HIGH, "and the only copy of what it holds, if it is one"),
    ("apps", "StatefulSet"): (Severity.HIGH, "and access to the data its volumes hold"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (Severity.CRITICAL, "and every object of its kind in the cluster"),
    ("postgresql.cnpg.io", "Cluster"): (Severity.CRITICAL, "and its databases"),
    ("acid.zalan.do", "postgresql"): (Severity.CRITICAL, "and its databases"),
    ("postgres-operator.crunchydata.com", "PostgresCluster"): (Severity.CRITICAL, "and its databases"),
    ("mongodbcommunity.mongodb.com", "MongoDBCommunity"): (Severity.CRITICAL, "and its databases"),
    ("psmdb.percona.com", "PerconaServerMongoDB"): (Severity.CRITICAL, "and its databases"),
    ("pxc.percona.com", "PerconaXtraDBCluster"): (Severity.CRITICAL, "and its databases"),
    ("mysql.oracle.com", "InnoDBCluster"): (Severity.CRITICAL, "and its databases"),
    ("k8s.mariadb.com", "MariaDB"): (Severity.CRITICAL, "and its databases"),
    ("kafka.strimzi.io", "Kafka"): (Severity.CRITICAL, "and its topics"),
    ("kafka.strimzi.io", "KafkaTopic"): (Severity.CRITICAL, "and its messages"),
    ("rabbitmq.com", "RabbitmqCluster"): (Severity.CRITICAL, "and its queues"),
    ("elasticsearch.k8s.elastic.co", "Elasticsearch"): (Severity.CRITICAL, "and its indices"),
    ("redis.redis.opstreelabs.in", "RedisCluster"): (Severity.HIGH, "and its data"),
    ("longhorn.io", "Volume"): (Severity.CRITICAL, "and its data"),
    ("objectbucket.io", "ObjectBucketClaim"): (Severity.CRITICAL, "and its objects"),
    ("ceph.rook.io", "CephCluster"): (Severity.CRITICAL, "and what is stored in it"),
}  # fmt: skip
"""(group, kind) of objects whose removal loses data: how bad, and what goes with it."""
_LOW = frozenset(
    {
        "ConfigMap", "Job", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ServiceMonitor", "PodMonitor",
        "SealedSecret", "ExternalSecret", "HorizontalPodAutoscaler", "PriorityClass", "Certificate", "GrafanaDashboard", "HelmRepository",
        "GitRepository", "OCIRepository", "Pod", "ReplicaSet", "ImagePolicy", "ImageRepository", "ImageUpdateAutomation",
    }
)  # fmt: skip
_ACCESS = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})
_KEEP = (
    ("argocd.argoproj.io/sync-options", re.compile(r"\b(?:Prune|Delete)\s*=\s*false\b", re.I)),
    ("helm.sh/resource-policy", re.compile(r"\bkeep\b", re.I)),
    ("kustomize.toolkit.fluxcd.io/prune", re.compile(r"\bdisabled\b", re.I)),
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found = manifests(change, files)
    for path, side, unread, before in found.unread:
        # A file that never was YAML is another tool's template: what it becomes is unknown, and was.
        foreign = before or "/templates/" in path or any(mark in unread.text for mark in ("{{", "${", "{%", "<%"))
        yield not_analysed(path, unread.why, unread.line, side, Severity.LOW if foreign else None)
    yield from _removals(change, found)
    yield from _left_out(change, files, found)
    yield from once([effect for pair in found.pairs for effect in _changed(pair)])


# Removals.


def _elsewhere(found: Object) -> bool:
    return found.kind in _ELSEWHERE.get(found.key.group, ()) or found.key.group in ("constraints.gatekeeper.sh", "templates.gatekeeper.sh")


def _removals(change: Change, found: Manifests) -> Iterator[Effect]:
    gone = [
        pair.old
        for pair in found.pairs
        if pair.old is not None and pair.new is None and not _elsewhere(pair.old) and pair.old.string("$patch") != "delete"
    ]
    gone = [old for old in gone if kustomize.role_of(change.before, old.path) != "patch" and not _tied_to_release(old)]
    covered = covered_by_removed(found)
    gone = [old for old in gone if _price(old)[1] is not None or not any(old.path.startswith(folder) for folder in covered)]
    groups: dict[str, list[Object]] = {}
    for old in gone:
        if any(pattern.search(old.annotation(name) or "") for name, pattern in _KEEP):
            yield FORGOTTEN.effect(
                subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, facts=_facts([old]),
                message=f"{old.key.title} leaves the repository; its annotation keeps it in the cluster, where nothing manages it from now on.",
            )  # fmt: skip
            continue
        groups.setdefault(_vanished(change, old.path), []).append(old)
    for where, members in groups.items():
        if len(members) > 3 or (where != members[0].path and len(members) > 1):
            yield _many(change, where, members)
        else:
            # A configuration, job or role under a new name loses nothing.
            yield from (_one(change, old, found) for old in members if old.kind not in _LOW or _heir(old, found) is None)
    for pair in found.pairs:
        if pair.new is not None and pair.new.string("$patch") == "delete" and (pair.old is None or pair.old.string("$patch") != "delete"):
            severity, _ = _price(pair.new)
            yield REMOVED.effect(
                subject=pair.key.title, path=pair.new.path, line=pair.new.line, severity=severity, facts=_facts([pair.new]),
                message=f"A patch deletes {pair.key.title} from what is deployed.",
            )  # fmt: skip


def _tied_to_release(old: Object) -> bool:
    """A Helm hook or a test pod: it does not live longer than a release step."""
    return old.annotation("helm.sh/hook") is not None


def _vanished(change: Change, path: str) -> str:
    """The highest folder of `path` that is gone at head, or `path` itself where its folder is still there."""
    top = path
    folder = posixpath.dirname(path)
    while folder and not change.after.list(folder):
        top = folder
        folder = posixpath.dirname(folder)
    return top


def _price(old: Object) -> tuple[Severity, str | None]:
    """How bad it is to lose an object, and what goes with it if that is data."""
    data = _DATA.get((old.key.group, old.kind))
    if data is not None:
        return data
    return (Severity.LOW if old.kind in _LOW else Severity.MODERATE), None


def _confidence(change: Change, old: Object) -> Confidence:
    if old.templated:
        return Confidence.LIKELY
    if kustomize.role_of(change.before, old.path) == "unused":
        return Confidence.POSSIBLE
    return {True: Confidence.CERTAIN, False: Confidence.POSSIBLE, None: Confidence.LIKELY}[pruning.prunes(change.before, old.path)]


def _one(change: Change, old: Object, found: Manifests) -> Effect:
    severity, loss = _price(old)
    heir = _heir(old, found)
    hazard = Hazard.RESOURCE_REPLACED if heir is not None and loss is None else None
    if heir is not None and old.kind == "Secret":
        severity, loss = Severity.LOW, None
    rule = DATA if loss is not None else ACCESS if old.kind in _ACCESS else REMOVED
    message = f"{old.key.title} is deleted {loss}." if loss else f"{old.key.title} is no longer deployed."
    if heir is not None:
        message += f" {heir.key.title} takes its place."
    return rule.effect(
        subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, severity=severity, confidence=_confidence(change, old),
        hazard=hazard, keeps=_keeps(old), facts=_facts([old]), message=message,
    )  # fmt: skip


def _heir(old: Object, found: Manifests) -> Object | None:
    """The only new object of its kind where the old one stood: a rename."""
    come = [pair.new for pair in found.of(old.kind) if pair.old is None and pair.new is not None]
    here = [new for new in come if new.path == old.path or (posixpath.dirname(new.path) == posixpath.dirname(old.path))]
    return here[0] if len(here) == 1 else None


def _many(change: Change, where: str, members: list[Object]) -> Effect:
    members = sorted(members, key=lambda old: -_price(old)[0].rank)
    severity = _price(members[0])[0]
    lost = [old for old in members if _price(old)[1] is not None]
    rule = DATA if lost else ACCESS if all(old.kind in _ACCESS for old in members) else REMOVED
    names = ", ".join(old.key.title for old in members[:4]) + (f" and {len(members) - 4} more" if len(members) > 4 else "")
    first = members[0]
    return rule.effect(
        subject=f"{len(members)} objects of {where}", path=first.path, line=first.line, side=Side.BASE, severity=severity,
        confidence=_confidence(change, first), keeps=_keeps(first), facts=_facts(members),
        message=f"{len(members)} objects of {where} are no longer deployed: {names}.",
    )  # fmt: skip


def _keeps(old: Object) -> str:
    name, value = ("helm.sh/resource-policy", "keep") if old.templated else ("argocd.argoproj.io/sync-options", "Prune=false")
    return f"metadata:\n  annotations:\n    {name}: {value}"


def _facts(members: Sequence[Object]) -> tuple[tuple[str, str], ...]:
    return (*(("address", old.key.address) for old in members[:20]), ("action", "delete"))


# Kustomizations.


def _left_out(change: Change, files: Sequence[FileChange], found: Manifests) -> Iterator[Effect]:
    changed = [file for file in files if posixpath.basename(file.path) in kustomize.NAMES and file.new is not None and deployed(file.path)]
    if not changed:
        return
    heads = {file.path: kustomize.reach(change.after, posixpath.dirname(file.path)) for file in changed}
    everywhere = {_unversioned(target) for reached in heads.values() for target in reached}
    came = {
        _home(target)
        for file in changed
        for target in {*heads[file.path]} - {*kustomize.reach(change.before, posixpath.dirname(file.base_path))}
    }
    touched = {file.base_path for file in changed}
    said: set[str] = set()
    for file in sorted(changed, key=lambda file: file.path.count("/")):
        if file.old is None:
            continue
        base = kustomize.reach(change.before, posixpath.dirname(file.base_path))
        lost = [
            (target, line)
            for target, (source, line) in base.items()
            if (source == file.base_path or source not in touched)
            and _unversioned(target) not in everywhere
            and target not in said
            and _still_there(change, target)
            and not (kustomize.remote(target) and _home(target) in came)
        ]
        if lost:
            said |= {target for target, _ in lost}
            severity = max((_worth(change, target) for target, _ in lost), key=lambda item: item.rank)
            names = ", ".join(target for target, _ in lost[:4]) + (f" and {len(lost) - 4} more" if len(lost) > 4 else "")
            yield LEFT_OUT.effect(
                subject=names, path=file.path, line=lost[0][1], side=Side.BASE, severity=severity, before=names,
                facts=(*(("address", target) for target, _ in lost[:20]), ("action", "delete")),
                message=f"The kustomization {posixpath.dirname(file.path) or '.'} no longer includes {names}: what stands there is no longer deployed.",
            )  # fmt: skip
        yield from _patched_away(change, file)


def _unversioned(target: str) -> str:
    """A remote base without its version, so that an update is no removal; a path as it is."""
    if not kustomize.remote(target):
        return target
    return re.sub(r"v?\d+(?:\.\d+)+[\w.-]*", "", target.split("?")[0])


def _home(target: str) -> str:
    """The file a remote base is, or the repository it comes from: what comes from there instead of it replaces it."""
    parts = target.split("?")[0].split("/")
    return "" if not kustomize.remote(target) else parts[-1] if parts[-1].endswith((".yaml", ".yml")) else "/".join(parts[:5])


def _still_there(change: Change, target: str) -> bool:
    return kustomize.remote(target) or (change.after.entry(target) is not None and deployed(target))


def _worth(change: Change, target: str) -> Severity:
    try:
        data = None if kustomize.remote(target) else change.after.read(target)
        objects = k8s.read(data, target).objects if data is not None else ()
    except Unreadable:
        objects = ()
    return max((_price(item)[0] for item in objects), key=lambda item: item.rank, default=Severity.MODERATE)


def _patched_away(change: Change, file: FileChange) -> Iterator[Effect]:
    try:
        old, new = change.base_bytes(file), change.head_bytes(file)
        base = kustomize.read(old, file.base_path) if old is not None else None
        head = kustomize.read(new, file.path) if new is not None else None
    except Unreadable:
        return
    had = {title for title, _ in base.deletes} if base is not None else set()
    for title, line in head.deletes if head is not None else ():
        if title not in had:
            yield REMOVED.effect(subject=title, path=file.path, line=line, message=f"A patch deletes {title} from what is deployed.")


# What changed in objects that stay.


def _changed(pair: Pair) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        if old.kind == "PodDisruptionBudget":
            yield BUDGET.effect(
                subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, facts=_facts([old]),
                message=f"{old.key.title} is gone: draining nodes may take down every pod it covered at once.",
            )  # fmt: skip
        return
    if old.node is new.node:
        return
    yield from _fixed(old, new)
    yield from _storage(old, new)
    yield from _available(old, new)
    yield from _pods(old, new)


_FIXED: dict[str, tuple[tuple[str, ...], ...]] = {
    "Deployment": (("spec", "selector", "matchLabels"),),
    "DaemonSet": (("spec", "selector", "matchLabels"),),
    "ReplicaSet": (("spec", "selector", "matchLabels"),),
    "StatefulSet": (("spec", "selector", "matchLabels"), ("spec", "serviceName"), ("spec", "podManagementPolicy"), ("spec", "volumeClaimTemplates")),
    "StorageClass": (("provisioner",), ("parameters",), ("volumeBindingMode",)),
    "PersistentVolumeClaim": (("spec", "storageClassName"), ("spec", "volumeName"), ("spec", "accessModes")),
    "Service": (("spec", "clusterIP"),),
    "RoleBinding": (("roleRef", "name"), ("roleRef", "kind")),
    "ClusterRoleBinding": (("roleRef", "name"), ("roleRef", "kind")),
}  # fmt: skip
"""Fields the API server refuses to change (kubernetes.io/docs/reference/kubernetes-api: "cannot be updated")."""


def _fixed(old: Object, new: Object) -> Iterator[Effect]:
    for keys in _FIXED.get(old.kind, ()):
        one, other = old.get(*keys), new.get(*keys)
        if one is None or other is None or same(one, other) or _open(one) or _open(other):
            continue
        if keys[-1] == "volumeClaimTemplates":
            one, other = _claims(one), _claims(other)
            if same(one, other):
                continue
        data = old.kind in ("StatefulSet", "PersistentVolumeClaim") and keys[-1] != "podManagementPolicy"
        yield REPLACED.effect(
            subject=f"{new.key.title} {'.'.join(keys)}", path=new.path, line=new.at(other), severity=Severity.HIGH if data else Severity.MODERATE,
            before=_short(one), after=_short(other), facts=(("address", new.key.address), ("action", "replace")),
            message=f"{'.'.join(keys)} of {new.key.title} cannot be changed in place: applying it fails, or the object is deleted and made again.",
        )  # fmt: skip


def _claims(node: Node) -> Node:
    """Claim templates without what the API server fills in or ignores."""
    kept = []
    for claim in node.items or ():
        parts = [
            claim.get("metadata", "name"),
            claim.get("spec", "storageClassName"),
            claim.get("spec", "accessModes"),
            claim.get("spec", "resources"),
        ]
        kept.append(Node(line=claim.line, items=tuple(part or Node(line=claim.line, text="") for part in parts)))
    return Node(line=node.line, items=tuple(kept))


def _open(node: Node) -> bool:
    """Whether a template left a gap somewhere in a node, or gives it nothing."""
    return any("⟦" in (part.text or "") for _, part in node.walk()) or (node.is_scalar and node.value is None)


def _short(node: Node) -> str | None:
    return node.text if node.is_scalar else None


def _storage(old: Object, new: Object) -> Iterator[Effect]:
    reclaim: tuple[str, ...] | None
    reclaim = (
        ("reclaimPolicy",)
        if old.kind == "StorageClass"
        else ("spec", "persistentVolumeReclaimPolicy")
        if old.kind == "PersistentVolume"
        else None
    )
    checks: list[tuple[tuple[str, ...], str]] = [(reclaim, "Delete")] if reclaim else []
    if old.kind == "StatefulSet":
        checks += [(("spec", "persistentVolumeClaimRetentionPolicy", when), "Retain") for when in ("whenDeleted", "whenScaled")]
    for keys, default in checks:
        was, now = old.string(*keys) or default, new.string(*keys) or default
        if was == "Retain" and now == "Delete":
            yield STORAGE.effect(
                subject=f"{new.key.title} {keys[-1]}", path=new.path, line=new.at(new.get(*keys)), before=was, after=now,
                message=f"{keys[-1]} of {new.key.title} is Delete: volumes go with their claims instead of being kept.",
            )  # fmt: skip
    for name, pattern in _KEEP:
        # In another file a chart's annotation may mean nothing.
        if (
            old.path == new.path
            and pattern.search(old.annotation(name) or "")
            and not pattern.search(new.annotation(name) or "")
            and "⟦" not in (new.annotation(name) or "")
        ):
            yield STORAGE.effect(
                subject=f"{new.key.title} {name}", path=new.path, line=new.line, before=old.annotation(name), after=new.annotation(name),
                message=f"{new.key.title} is no longer kept when it leaves the repository or the release.",
            )  # fmt: skip


_SCALES = ("Deployment", "StatefulSet", "ReplicaSet", "Rollout", "DeploymentConfig", "ReplicationController")


def _available(old: Object, new: Object) -> Iterator[Effect]:
    def number(found: Object, *keys: str) -> int | None:
        return k8s.number(found.get(*keys))

    if old.kind in _SCALES and number(new, "spec", "replicas") == 0 and number(old, "spec", "replicas") != 0:
        was = old.string("spec", "replicas") or "1"
        if "⟦" not in was:
            yield ZERO.effect(
                subject=new.key.title, path=new.path, line=new.at(new.get("spec", "replicas")), before=was, after="0",
                message=f"{new.key.title} runs no pod any more.",
            )  # fmt: skip
    if old.kind == "CronJob" and k8s.truth(new.get("spec", "suspend")) and not k8s.truth(old.get("spec", "suspend")):
        yield ZERO.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec", "suspend")), before="false", after="true", severity=Severity.MODERATE,
            message=f"{new.key.title} is suspended and no longer runs.",
        )  # fmt: skip
    if old.kind == "PodDisruptionBudget":
        least, most = new.string("spec", "minAvailable"), new.string("spec", "maxUnavailable")
        off = least in ("0", "0%") or most == "100%"
        if off and (old.string("spec", "minAvailable"), old.string("spec", "maxUnavailable")) != (least, most):
            yield BUDGET.effect(
                subject=new.key.title, path=new.path, line=new.at(new.get("spec")), after=f"minAvailable {least}, maxUnavailable {most}",
                message=f"{new.key.title} allows every pod to be taken down at once.",
            )  # fmt: skip
    if old.kind == "Deployment":
        if new.string("spec", "strategy", "type") == "Recreate" and old.string("spec", "strategy", "type") in (None, "RollingUpdate"):
            yield ABRUPT.effect(
                subject=new.key.title, path=new.path, line=new.at(new.get("spec", "strategy")), before="RollingUpdate", after="Recreate",
                message=f"{new.key.title} stops every pod before the new ones start.",
            )  # fmt: skip
        keys = ("spec", "strategy", "rollingUpdate", "maxUnavailable")
        if new.string(*keys) == "100%" != old.string(*keys):
            yield ABRUPT.effect(
                subject=new.key.title, path=new.path, line=new.at(new.get(*keys)), before=old.string(*keys), after="100%",
                message=f"{new.key.title} may stop every pod before the new ones start.",
            )  # fmt: skip


def _pods(old: Object, new: Object) -> Iterator[Effect]:
    before = dict(k8s.containers(k8s.pod(old)))
    after = dict(k8s.containers(k8s.pod(new)))
    for name, container in before.items():
        now = after.get(name)
        if now is None:
            if len(before) == len(after) == 1:
                now = next(iter(after.values()))
            else:
                continue
        lost = [
            kind
            for kind in ("readinessProbe", "livenessProbe", "startupProbe")
            if container.get(kind) is not None and now.get(kind) is None
        ]  # fmt: skip
        if lost == ["livenessProbe"] and now.get("startupProbe") is not None and container.get("startupProbe") is None:
            lost = []
        if lost:
            yield PROBE.effect(
                subject=f"{new.key.title} {name}", path=new.path, line=new.at(now), before=", ".join(lost),
                severity=Severity.MODERATE if "readinessProbe" in lost else Severity.LOW,
                message=f"The container {name} of {new.key.title} is no longer checked: {', '.join(lost)} gone.",
            )  # fmt: skip
        memory = container.get("resources", "limits", "memory")
        resources = now.get("resources")
        filled = resources is None or resources.pairs
        if memory is not None and filled and now.get("resources", "limits", "memory") is None:
            yield LIMIT.effect(
                subject=f"{new.key.title} {name}", path=new.path, line=new.at(now), before=memory.text,
                message=f"The container {name} of {new.key.title} may take all memory of its node.",
            )  # fmt: skip


DETECTOR = Detector(
    name="kubernetes",
    title="Kubernetes objects",
    rules=(REMOVED, DATA, ACCESS, LEFT_OUT, FORGOTTEN, REPLACED, STORAGE, ZERO, BUDGET, PROBE, LIMIT, ABRUPT),
    detect=detect,
    group=together,
    sure=re.compile(rb"(?m)^[ \"\'{]{0,8}apiVersion[\"\']?\s*:"),
)
