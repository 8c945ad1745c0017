"""What pods may do to their node, what of a cluster is reachable, and which guards of it stop guarding.

## What it detects
Security contexts that are loosened, host namespaces, host paths and added capabilities; service account tokens that are mounted; pod security
levels of namespaces lowered; services, ingresses and gateways opened; network policies, mesh policies, admission webhooks and policies removed
or made toothless; images that lose their digest or change their registry; secrets a workload did not read before.

## Why it matters
A privileged container is root on the node. A network policy or an admission policy guards everything beside it, so removing one is felt elsewhere.

## Example
A DaemonSet gets `hostPath: /` to read one log file. Whoever can run code in that pod can write any file of every node.

## What makes it safe
Pod Security Admission at `restricted`, an admission policy that refuses what is not listed, an internal load balancer, source ranges.
Hardening that moves from containers to their pod, or is written out as it was by default, says nothing.

## What it cannot see
Defaults that a cluster's own admission sets, values that a chart's users choose, and what load balancers outside the cluster let through.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node, frozen, same
from checks.readers.kubernetes import Object
from checks.readers.manifests import Manifests, Pair, manifests, once

_P = Reversible.PARTLY
PRIVILEGE = Rule(
    "kubernetes-security/container-privilege-widened", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, _P, "A container may do more to its node"
)
HARDENING = Rule(
    "kubernetes-security/hardening-removed", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, _P, "A container's hardening is removed"
)
HOST = Rule("kubernetes-security/host-shared", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, _P, "A pod shares its node's namespaces or files")
TOKEN = Rule("kubernetes-security/token-mounted", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, _P, "A pod gets a token for the API server")
LEVEL = Rule("kubernetes-security/pod-security-lowered", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, _P, "A namespace allows less secure pods")
SECRET = Rule(
    "kubernetes-security/secret-read", Hazard.SECRET_EXPOSED, Severity.LOW, _P, "A workload reads a secret it did not read before"
)
SERVICE = Rule(
    "kubernetes-security/service-exposed", Hazard.EXPOSURE_WIDENED, Severity.HIGH, _P, "A service is reachable from outside the cluster"
)
ROUTE = Rule("kubernetes-security/route-exposed", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, _P, "A host is newly routed into the cluster")
SOURCES = Rule("kubernetes-security/source-ranges-widened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, _P, "More addresses may connect")
AUTH = Rule(
    "kubernetes-security/route-unguarded", Hazard.EXPOSURE_WIDENED, Severity.HIGH, _P, "A route loses its authentication or encryption"
)
NETWORK = Rule(
    "kubernetes-security/network-policy-widened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, _P, "A network or mesh policy lets more through"
)
ADMISSION = Rule(
    "kubernetes-security/admission-weakened", Hazard.PROTECTION_REMOVED, Severity.HIGH, _P, "An admission webhook or policy stops refusing"
)
IMAGE = Rule(
    "kubernetes-security/image-unpinned",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.YES,
    "An image is no longer fixed, or comes from elsewhere",
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found = manifests(change, files)
    effects: list[Effect] = []
    for pair in found.pairs:
        if pair.old is not None and pair.new is not None and pair.old.node is pair.new.node:
            continue
        new = pair.new
        if new is not None and new.string("$patch") != "delete":
            effects += [*_pod(pair, new, found), *_namespace(pair, new), *_exposure(pair, new)]
        effects += [*_network(pair, found), *_admission(pair, found)]
    yield from _collapsed(once(effects))


def _collapsed(effects: Iterator[Effect]) -> Iterator[Effect]:
    """Many guards that leave one file are one effect."""
    groups: dict[tuple[str, str, Side], list[Effect]] = {}
    readers: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect.rule == SECRET.id:
            readers.setdefault(effect.after or "", []).append(effect)
            continue
        groups.setdefault((effect.rule, effect.path, effect.side), []).append(effect)
    for members in readers.values():
        more = len(members) - 1
        yield replace(members[0], message=f"{members[0].message} So do {more} more workloads.") if more else members[0]
    for (_, path, side), members in groups.items():
        if side is Side.HEAD or len(members) <= 3:
            yield from members
            continue
        names = ", ".join(effect.subject for effect in members[:4])
        yield replace(
            members[0],
            subject=f"{len(members)} objects of {path}",
            severity=max((effect.severity for effect in members), key=lambda severity: severity.rank),
            facts=(*(fact for effect in members[:20] for fact in effect.facts if fact[0] == "address"), ("action", "delete")),
            message=f"{len(members)} guards are gone from {path}: {names} and more.",
        )


# Pods.


def _certain(found: Object) -> Confidence | None:
    return Confidence.LIKELY if found.templated else None


def _pod(pair: Pair, new: Object, found: Manifests) -> Iterator[Effect]:
    spec = k8s.pod(new)
    if spec is None:
        if new.kind == "ServiceAccount" and pair.old is not None:
            yield from _token(pair.old.node, new.node, new)
        return
    base = k8s.pod(pair.old) if pair.old is not None else None
    yield from _host(base, spec, new)
    old = list(k8s.containers(base))
    if base is not None:
        yield from _token(base, spec, new)
        yield from _secrets(base, spec, new, found)
    for name, container in k8s.containers(spec):
        twin = next((node for other, node in old if other == name), None)
        if twin is None and len(old) == 1 == len(list(k8s.containers(spec))):
            twin = old[0][1]
        yield from _container(base, spec, twin, container, f"{new.key.title} {name}", new)
        if twin is not None:
            yield from _image(twin, container, f"{new.key.title} {name}", new)


def _context(pod: Node | None, container: Node | None, *keys: str) -> Node | None:
    """A setting of a container's security context, or else its pod's."""
    own = container.get("securityContext", *keys) if container is not None else None
    return own if own is not None else pod.get("securityContext", *keys) if pod is not None else None


def _texts(node: Node | None) -> frozenset[str]:
    return frozenset(item.text for item in node.elements() if item.text is not None) if node is not None else frozenset()


def _filled(pod: Node, container: Node) -> bool:
    """Whether both security contexts are known: a template may fill in an empty one."""
    parts = (pod.get("securityContext"), container.get("securityContext"))
    return all(part is None or part.pairs for part in parts)


_ORDINARY = frozenset({"NET_BIND_SERVICE", "CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE", "FOWNER", "KILL", "FSETID", "SETFCAP", "SETPCAP", "MKNOD", "NET_RAW", "SYS_CHROOT", "AUDIT_WRITE"})  # fmt: skip
"""Capabilities that container runtimes give by default: adding one after dropping all is no widening past the default."""


def _container(base: Node | None, spec: Node, old: Node | None, new: Node, title: str, found: Object) -> Iterator[Effect]:
    def true(pod: Node | None, container: Node | None, *keys: str) -> bool | None:
        return k8s.truth(_context(pod, container, *keys))

    gained: list[tuple[str, Node | None]] = []
    privileged = new.get("securityContext", "privileged")
    if k8s.truth(privileged) and not (old is not None and k8s.truth(old.get("securityContext", "privileged"))):
        gained.append(("privileged", privileged))
    escalation = new.get("securityContext", "allowPrivilegeEscalation")
    if old is not None and k8s.truth(old.get("securityContext", "allowPrivilegeEscalation")) is False and k8s.truth(escalation) is True:
        gained.append(("allowPrivilegeEscalation", escalation))
    adds = new.get("securityContext", "capabilities", "add")
    more = _texts(adds) - _texts(old.get("securityContext", "capabilities", "add") if old is not None else None)
    more = frozenset(name.removeprefix("CAP_") for name in more) - _ORDINARY
    if more:
        gained.append((f"capabilities {', '.join(sorted(more))}", adds))
    mount = new.get("securityContext", "procMount")
    if mount is not None and mount.text == "Unmasked" and (old is None or old.string("securityContext", "procMount") != "Unmasked"):
        gained.append(("procMount Unmasked", mount))
    if gained:
        yield PRIVILEGE.effect(
            subject=title, path=found.path, line=found.at(gained[0][1]), after=", ".join(text for text, _ in gained), confidence=_certain(found),
            severity=Severity.HIGH if any(text != "allowPrivilegeEscalation" for text, _ in gained) else Severity.MODERATE,
            message=f"The container {title} gets {', '.join(text for text, _ in gained)}: code in it can reach what belongs to its node.",
        )  # fmt: skip
    if old is None or not _filled(spec, new):
        return
    lost: list[str] = []
    user = k8s.number(_context(spec, new, "runAsUser"))
    was = k8s.number(_context(base, old, "runAsUser"))
    never_root = user is not None and user > 0
    if true(base, old, "runAsNonRoot") and not true(spec, new, "runAsNonRoot") and not never_root:
        lost.append("runAsNonRoot")
    elif (user == 0 and was != 0) or (
        was is not None and was > 0 and user is None and not true(spec, new, "runAsNonRoot") and _context(spec, new, "runAsUser") is None
    ):
        lost.append("runAsUser")
    if true(base, old, "readOnlyRootFilesystem") and not true(spec, new, "readOnlyRootFilesystem"):
        lost.append("readOnlyRootFilesystem")
    if true(base, old, "allowPrivilegeEscalation") is False and new.get("securityContext", "allowPrivilegeEscalation") is None:
        lost.append("allowPrivilegeEscalation: false")
    if "ALL" in _texts(old.get("securityContext", "capabilities", "drop")) and "ALL" not in _texts(
        new.get("securityContext", "capabilities", "drop")
    ):
        lost.append("drop: [ALL]")
    for kind in ("seccompProfile", "appArmorProfile"):
        had, has = _context(base, old, kind, "type"), _context(spec, new, kind, "type")
        if had is not None and had.text not in (None, "Unconfined") and (has is None or has.text == "Unconfined"):
            lost.append(kind)
    if lost:
        yield HARDENING.effect(
            subject=title, path=found.path, line=found.at(new.get("securityContext") or new), before=", ".join(lost), confidence=_certain(found),
            severity=Severity.MODERATE, message=f"The container {title} loses {', '.join(lost)}.",
        )  # fmt: skip


_HOST = {"hostPID": "its node's processes", "hostIPC": "its node's shared memory", "hostNetwork": "its node's network"}
_HARMLESS_PATHS = re.compile(r"/(?:etc/localtime|etc/timezone|usr/share/zoneinfo.*|etc/ssl/certs.*)\Z")
"""What every process of the node may read, and what changes nothing."""


def _host(base: Node | None, spec: Node, found: Object) -> Iterator[Effect]:
    gained = [key for key in _HOST if k8s.truth(spec.get(key)) and not (base is not None and k8s.truth(base.get(key)))]
    if gained:
        yield HOST.effect(
            subject=found.key.title, path=found.path, line=found.at(spec, gained[0]), after=", ".join(gained), confidence=_certain(found),
            message=f"{found.key.title} shares {' and '.join(_HOST[key] for key in gained)}.",
        )  # fmt: skip
    before = set(_host_paths(base))
    paths = {
        path: node for path, node in _host_paths(spec).items() if path not in before and "⟦" not in path and not _HARMLESS_PATHS.match(path)
    }
    if paths:
        roots = [path for path in paths if path.endswith(".sock") or path in _ROOT_PATHS]
        listed = ", ".join([*roots, *(path for path in paths if path not in roots)][:6]) + (" and more" if len(paths) > 6 else "")
        first = (roots or list(paths))[0]
        yield HOST.effect(
            subject=f"{found.key.title} {first}", path=found.path, line=found.at(paths[first]), after=listed, confidence=_certain(found),
            severity=Severity.HIGH if roots else Severity.MODERATE,
            message=f"{found.key.title} mounts {listed} of its node" + (": whoever has that is root there." if roots else "."),
        )  # fmt: skip


_ROOT_PATHS = ("/", "/etc", "/root", "/var/run", "/run", "/var/lib/kubelet", "/etc/kubernetes")
"""Folders of a node with which one is root on it."""


def _host_paths(spec: Node | None) -> dict[str, Node]:
    volumes = spec.get("volumes") if spec is not None else None
    out: dict[str, Node] = {}
    for volume in volumes.items or () if volumes is not None else ():
        node = volume.get("hostPath")
        path = volume.string("hostPath", "path")
        if node is not None and path:
            out[path] = node
    return out


def _token(base: Node, spec: Node, found: Object) -> Iterator[Effect]:
    was, now = base.get("automountServiceAccountToken"), spec.get("automountServiceAccountToken")
    if k8s.truth(was) is False and (k8s.truth(now) is True or now is None):
        yield TOKEN.effect(
            subject=found.key.title, path=found.path, line=found.at(now if now is not None else spec), before="false", after=now.text if now is not None else None,
            severity=None if found.kind != "ServiceAccount" else Severity.LOW, confidence=_certain(found),
            message=f"Pods of {found.key.title} get a token for the API server.",
        )  # fmt: skip


def _secrets(base: Node, spec: Node, found: Object, everything: Manifests) -> Iterator[Effect]:
    before = _secret_names(base)
    own = {
        pair.some.key.name for kind in ("Secret", "ExternalSecret", "SealedSecret") for pair in everything.of(kind) if pair.new is not None
    }
    names = {name: node for name, node in _secret_names(spec).items() if name not in before and name not in own and "⟦" not in name}
    gone = [name for name in before if name not in _secret_names(spec)]
    if names and len(gone) < len(names) and not found.templated:
        first = next(iter(names.values()))
        listed = ", ".join(list(names)[:4])
        yield SECRET.effect(
            subject=f"{found.key.title} {listed}", path=found.path, line=found.at(first), after=listed,
            message=f"{found.key.title} reads the secret {listed}, which it did not read before.",
        )  # fmt: skip


def _secret_names(spec: Node) -> dict[str, Node]:
    out: dict[str, Node] = {}
    for _, container in k8s.containers(spec):
        for key, inner in (("env", ("valueFrom", "secretKeyRef", "name")), ("envFrom", ("secretRef", "name"))):
            node = container.get(key)
            for item in node.items or () if node is not None else ():
                found = item.get(*inner)
                if found is not None and found.text:
                    out.setdefault(found.text, found)
    volumes = spec.get("volumes")
    for volume in volumes.items or () if volumes is not None else ():
        found = volume.get("secret", "secretName")
        if found is not None and found.text:
            out.setdefault(found.text, found)
    return out


def _parts(image: str) -> tuple[str, str, str, str]:
    """(registry and owner, repository, tag, digest) of an image reference (github.com/distribution/reference)."""
    rest, _, digest = image.partition("@")
    head, _, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    if not head or ("." not in head.split("/")[0] and ":" not in head.split("/")[0] and head.split("/")[0] != "localhost"):
        head = f"docker.io/{head or 'library'}"
    return head.replace("index.docker.io", "docker.io"), name, tag, digest


def _image(old: Node, new: Node, title: str, found: Object) -> Iterator[Effect]:
    was, now = old.string("image"), new.string("image")
    if old.string("imagePullPolicy") == "Always" and (pulled := new.string("imagePullPolicy")) in ("Never", "IfNotPresent"):
        yield IMAGE.effect(
            subject=f"{title} imagePullPolicy", path=found.path, line=found.at(new.get("imagePullPolicy")), before="Always", after=pulled,
            confidence=_certain(found), severity=Severity.LOW,
            message=f"{title} takes whatever image of that name a node has, without asking the registry whether it may and which one it is.",
        )  # fmt: skip
    if not was or not now or was == now or "⟦" in was + now:
        return
    (owner, _, tag, digest), (new_owner, _, new_tag, new_digest) = _parts(was), _parts(now)
    why = None
    if digest and not new_digest:
        why = "is no longer fixed by a digest"
    elif not new_digest and tag not in ("", "latest") and new_tag in ("", "latest"):
        why = "follows whatever is pushed last"
    elif owner.split("/")[0] != new_owner.split("/")[0] or (owner.split("/")[:2] != new_owner.split("/")[:2]):
        why = "comes from another owner or registry"
    if why is not None:
        yield IMAGE.effect(
            subject=title, path=found.path, line=found.at(new.get("image")), before=was, after=now, confidence=_certain(found),
            severity=Severity.LOW if why.startswith("comes") else None, message=f"The image of {title} {why}.",
        )  # fmt: skip


# Namespaces.

_LEVELS = ("restricted", "baseline", "privileged")
_PSA = "pod-security.kubernetes.io/enforce"


def _namespace(pair: Pair, new: Object) -> Iterator[Effect]:
    if new.kind != "Namespace" or pair.old is None:
        return
    was, now = pair.old.label(_PSA), new.label(_PSA)
    if was in _LEVELS[:2] and (now or "privileged") in _LEVELS and _LEVELS.index(now or "privileged") > _LEVELS.index(was):
        yield LEVEL.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("metadata", "labels")), before=was, after=now,
            message=f"{new.key.title} accepts pods that its level {was} refused.",
        )  # fmt: skip


# Exposure.

_INTERNAL = re.compile(r"internal|private", re.I)
_SOURCES = ("nginx.ingress.kubernetes.io/whitelist-source-range", "nginx.ingress.kubernetes.io/allowlist-source-range", "alb.ingress.kubernetes.io/inbound-cidrs", "service.beta.kubernetes.io/load-balancer-source-ranges")  # fmt: skip
_AUTH = re.compile(
    r"(?:nginx\.ingress\.kubernetes\.io/(?:auth-(?:url|type|signin|secret|tls-secret|tls-verify-client)|enable-modsecurity|force-ssl-redirect)"
    r"|traefik\.ingress\.kubernetes\.io/router\.middlewares|alb\.ingress\.kubernetes\.io/(?:auth-type|wafv2-acl-arn)"
    r"|haproxy\.org/auth-type|konghq\.com/plugins)\Z"
)


def _internal(found: Object) -> bool:
    """Whether annotations or the class keep a load balancer or ingress inside the network."""
    node = found.get("metadata", "annotations")
    for name, value in node.entries() if node is not None else ():
        if ("internal" in name and (value.text or "").lower() not in ("false", "")) or ("scheme" in name and value.text == "internal"):
            return True
        if name.endswith("load-balancer-type") and "internal" in (value.text or "").lower():
            return True
    named = (
        found.string("spec", "ingressClassName")
        or found.annotation("kubernetes.io/ingress.class")
        or found.string("spec", "gatewayClassName")
        or ""
    )
    return _INTERNAL.search(named) is not None


def _exposure(pair: Pair, new: Object) -> Iterator[Effect]:
    if new.kind == "Service":
        yield from _service(pair.old, new)
    elif new.kind in ("Ingress", "IngressRoute", "HTTPProxy", "Route", "HTTPRoute", "VirtualService", "Gateway"):
        yield from _route(pair.old, new)
    yield from _sources(pair.old, new)


_OPEN = ("ClusterIP", "NodePort", "LoadBalancer")


def _reach(found: Object | None) -> int:
    """0 inside the cluster, 1 on the nodes or inside the network, 2 from anywhere."""
    if found is None:
        return 0
    kind = found.string("spec", "type") or "ClusterIP"
    if kind == "LoadBalancer":
        return 1 if _internal(found) else 2
    return 1 if kind == "NodePort" else 0


def _service(old: Object | None, new: Object) -> Iterator[Effect]:
    was, now = _reach(old), _reach(new)
    outside = _texts(new.get("spec", "externalIPs")) - (_texts(old.get("spec", "externalIPs")) if old is not None else frozenset())
    if now > was or outside:
        kind = new.string("spec", "type") or "ClusterIP"
        limited = bool(_texts(new.get("spec", "loadBalancerSourceRanges"))) and not any(_world(item) for item in _texts(new.get("spec", "loadBalancerSourceRanges")))  # fmt: skip
        yield SERVICE.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec", "type")), confidence=_certain(new),
            severity=Severity.HIGH if now == 2 and was < 2 and old is not None and not limited else Severity.MODERATE,
            before=(old.string("spec", "type") or "ClusterIP") if old is not None else None, after=kind,
            message=f"{new.key.title} is reachable {'from outside the network' if now == 2 else 'on every node' if kind == 'NodePort' else 'from outside the cluster'}.",
        )  # fmt: skip


def _hosts(found: Object | None) -> dict[str, Node]:
    out: dict[str, Node] = {}
    if found is None:
        return out

    def add(node: Node | None) -> None:
        for item in node.elements() if node is not None else ():
            if item.text:
                out.setdefault(item.text, item)

    for rule in _items(found, "spec", "rules"):
        add(rule.get("host"))
        if found.kind == "Ingress" and rule.get("host") is None and rule.get("http") is not None:
            out.setdefault("every host", rule)
    if found.kind == "Ingress" and (found.get("spec", "defaultBackend") is not None):
        out.setdefault("every host", found.node)
    add(found.get("spec", "hostnames"))
    add(found.get("spec", "hosts"))
    add(found.get("spec", "host"))
    add(found.get("spec", "virtualhost", "fqdn"))
    for listener in (*_items(found, "spec", "listeners"), *_items(found, "spec", "servers")):
        port = listener.string("port") or listener.string("port", "number") or "?"
        names = [item.text for key in ("hostname", "hosts") for item in _elements(listener.get(key)) if item.text] or ["every host"]
        for name in names:
            out.setdefault(f"{name} on port {port}", listener)
    if found.kind == "IngressRoute":
        for route in _items(found, "spec", "routes"):
            for name in re.findall(r"Host\(([^)]*)\)", route.string("match") or ""):
                out.setdefault(name.strip("`'\""), route)
    return out


def _elements(node: Node | None) -> tuple[Node, ...]:
    return node.elements() if node is not None else ()


def _items(found: Object, *keys: str) -> tuple[Node, ...]:
    node = found.get(*keys)
    return node.items or () if node is not None else ()


def _route(old: Object | None, new: Object) -> Iterator[Effect]:
    if new.kind == "VirtualService" and all(item.text == "mesh" for item in _items(new, "spec", "gateways")):
        return
    if not _internal(new):
        before, after = _hosts(old), _hosts(new)
        fresh = {name: node for name, node in after.items() if name not in before}
        replaced = old is not None and len(after) <= len(before)
        if fresh and not (replaced and "every host" not in " ".join(fresh)):
            names = ", ".join(list(fresh)[:4]) + (f" and {len(fresh) - 4} more" if len(fresh) > 4 else "")
            yield ROUTE.effect(
                subject=f"{new.key.title} {names}", path=new.path, line=new.at(next(iter(fresh.values()))), after=names, confidence=_certain(new),
                message=f"{new.key.title} leads {names} into the cluster.",
            )  # fmt: skip
        elif old is not None and _internal(old):
            yield ROUTE.effect(
                subject=new.key.title, path=new.path, line=new.line, before="internal", after="public", severity=Severity.HIGH, confidence=_certain(new),
                message=f"{new.key.title} is no longer internal.",
            )  # fmt: skip
    if old is None:
        return
    annotations = old.get("metadata", "annotations")
    lost = (
        [name for name, _ in annotations.entries() if _AUTH.match(name) and new.annotation(name) is None] if annotations is not None else []
    )
    lost += [
        name
        for name, value in (annotations.entries() if annotations is not None else ())
        if _AUTH.match(name) and value.text == "true" and new.annotation(name) == "false"
    ]  # fmt: skip
    if lost and not any(_AUTH.match(name) and old.annotation(name) is None for name in _keys(new)):
        yield AUTH.effect(
            subject=f"{new.key.title} {', '.join(lost)}", path=new.path, line=new.at(new.get("metadata", "annotations")), before=", ".join(lost),
            confidence=_certain(new), message=f"{new.key.title} no longer has {', '.join(lost)}: requests reach the service without it.",
        )  # fmt: skip
    if new.kind == "Ingress" and _items(old, "spec", "tls") and new.get("spec", "tls") is None:
        yield AUTH.effect(
            subject=f"{new.key.title} tls", path=new.path, line=new.at(new.get("spec")), before="tls", severity=Severity.MODERATE, confidence=_certain(new),
            message=f"{new.key.title} no longer has a certificate of its own: requests may travel in clear text.",
        )  # fmt: skip


def _keys(found: Object) -> tuple[str, ...]:
    node = found.get("metadata", "annotations")
    return node.keys() if node is not None else ()


def _world(text: str) -> bool:
    return text in ("0.0.0.0/0", "::/0", "*")


def _networks(texts: frozenset[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    out = []
    for text in texts:
        try:
            out.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return out


def _wider(new: frozenset[str], old: frozenset[str]) -> list[str]:
    """The networks of `new` that no network of `old` contains."""
    have = _networks(old)
    return [str(net) for net in _networks(new) if not any(net.version == one.version and net.subnet_of(one) for one in have)]  # type: ignore[arg-type]


def _ranges(found: Object) -> frozenset[str]:
    texts = _texts(found.get("spec", "loadBalancerSourceRanges"))
    for name in _SOURCES:
        texts |= frozenset(part.strip() for part in (found.annotation(name) or "").split(",") if part.strip())
    return texts


def _sources(old: Object | None, new: Object) -> Iterator[Effect]:
    if old is None or new.kind not in ("Service", "Ingress"):
        return
    was, now = _ranges(old), _ranges(new)
    if not was or was == now or any("⟦" in text for text in was | now):
        return
    more = _wider(now, was) if now else ["0.0.0.0/0"]
    if more:
        yield SOURCES.effect(
            subject=new.key.title, path=new.path, line=new.line, before=", ".join(sorted(was)), after=", ".join(sorted(now)) or "any address",
            severity=Severity.HIGH if any(_world(item) for item in more) else Severity.MODERATE, confidence=_certain(new),
            message=f"{new.key.title} accepts connections from {', '.join(more[:4]) if now else 'any address'}.",
        )  # fmt: skip


# Network and mesh policies.

_NETWORK_KINDS = (
    "NetworkPolicy",
    "CiliumNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "AuthorizationPolicy",
    "PeerAuthentication",
    "RequestAuthentication",
)


def _network(pair: Pair, found: Manifests) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if pair.some.kind == "DestinationRule" and old is not None and new is not None:
        was, now = (item.string("spec", "trafficPolicy", "tls", "mode") for item in (old, new))
        if was in ("ISTIO_MUTUAL", "MUTUAL", "SIMPLE") and now == "DISABLE":
            yield _mesh(new, was, now, f"{new.key.title} sends its traffic in clear text.")
    if pair.some.kind not in _NETWORK_KINDS:
        return
    if new is None and old is not None:
        if _permits(old) or _whole_app_gone(old, found):
            return
        yield NETWORK.effect(
            subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, confidence=_certain(old), facts=(("address", old.key.address), ("action", "delete")),
            message=f"{old.key.title} is gone: what it kept out may connect.",
        )  # fmt: skip
        return
    if new is None or same(old.get("spec") if old is not None else None, new.get("spec")):
        return
    if old is None:
        return  # a policy that is new takes something away that was open without it
    if new.kind == "PeerAuthentication":
        was, now = old.string("spec", "mtls", "mode"), new.string("spec", "mtls", "mode")
        if was == "STRICT" and now in ("PERMISSIVE", "DISABLE"):
            yield _mesh(new, was, now, f"{new.key.title} accepts traffic without mutual TLS.")
    elif new.kind == "AuthorizationPolicy":
        yield from _authorization(old, new)
    elif new.kind == "NetworkPolicy":
        yield from _network_policy(old, new)


def _mesh(new: Object, was: str | None, now: str | None, message: str) -> Effect:
    return NETWORK.effect(
        subject=new.key.title, path=new.path, line=new.at(new.get("spec")), before=was, after=now, message=message, confidence=_certain(new)
    )


def _permits(policy: Object) -> bool:
    """An AuthorizationPolicy that allows: without it less is allowed, or as much."""
    return policy.kind == "AuthorizationPolicy" and policy.string("spec", "action") not in (None, "ALLOW", "DENY")


def _whole_app_gone(old: Object, found: Manifests) -> bool:
    """Whether the workload went together with the policy: then it guards nothing any more."""
    folder = old.path.rpartition("/")[0]
    for pair in found.pairs:
        if pair.new is None and pair.old is not None:
            workload = k8s.pod(pair.old) is not None
            named = pair.key.name in old.key.name and pair.key.kind in ("HelmRelease", "Application", "Kustomization")
            if named or (workload and (pair.old.path.rpartition("/")[0] == folder or pair.key.name in old.key.name)):
                return True
    return False


def _authorization(old: Object, new: Object) -> Iterator[Effect]:
    was, now = old.string("spec", "action") or "ALLOW", new.string("spec", "action") or "ALLOW"
    rules = {frozen(rule) for rule in _items(old, "spec", "rules")}
    fresh = [rule for rule in _items(new, "spec", "rules") if frozen(rule) not in rules]
    lost = [rule for rule in _items(old, "spec", "rules") if frozen(rule) not in {frozen(rule) for rule in _items(new, "spec", "rules")}]
    if was == "DENY" and now in ("ALLOW", "AUDIT"):
        yield _mesh(new, was, now, f"{new.key.title} no longer denies.")
    elif (now == "ALLOW" and len(fresh) > len(lost)) or any(not rule.pairs for rule in fresh):
        yield _mesh(
            new,
            f"{len(_items(old, 'spec', 'rules'))} rules",
            f"{len(_items(new, 'spec', 'rules'))} rules",
            f"{new.key.title} allows requests it did not allow.",
        )
    elif now == "DENY" and len(lost) > len(fresh):
        yield _mesh(
            new,
            f"{len(_items(old, 'spec', 'rules'))} rules",
            f"{len(_items(new, 'spec', 'rules'))} rules",
            f"{new.key.title} no longer denies requests it denied.",
        )


Peers = frozenset[tuple[object, object]]
"""(who, port) pairs a policy allows in one direction; `*` for anyone or any port."""


def _allowed(policy: Object, way: str, peer: str) -> tuple[bool, Peers, dict[tuple[object, object], Node]]:
    """Whether a direction is restricted, and by whom and on what port it may be used."""
    types = _texts(policy.get("spec", "policyTypes")) or (
        frozenset({"Ingress", "Egress"}) if policy.get("spec", "egress") else frozenset({"Ingress"})
    )
    if way.capitalize() not in types:
        return False, frozenset(), {}
    where: dict[tuple[object, object], Node] = {}
    for rule in _items(policy, "spec", way):
        peers = rule.get(peer)
        ports = rule.get("ports")
        whos: list[object] = [_who(item) for item in peers.items] if peers is not None and peers.items else ["*"]
        which: list[object] = [frozen(item) for item in ports.items or ()] if ports is not None and ports.items else ["*"]
        for who in whos:
            for port in which:
                where.setdefault((who, port), rule)
    return True, frozenset(where), where


def _who(peer: Node) -> object:
    """A peer as a value: `("world", cidr)` for every address."""
    cidr = peer.string("ipBlock", "cidr")
    return ("world", cidr) if cidr in ("0.0.0.0/0", "::/0") and peer.get("ipBlock", "except") is None else frozen(peer)


def _network_policy(old: Object, new: Object) -> Iterator[Effect]:
    for way, peer in (("ingress", "from"), ("egress", "to")):
        was, before, _ = _allowed(old, way, peer)
        now, after, where = _allowed(new, way, peer)
        if was and not now:
            yield NETWORK.effect(
                subject=f"{new.key.title} {way}", path=new.path, line=new.at(new.get("spec")), before=f"{way} restricted", after=f"{way} open",
                confidence=_certain(new), message=f"{new.key.title} no longer restricts {way}.",
            )  # fmt: skip
            continue
        if not now or not was:
            continue
        fresh = [pair for pair in after if pair not in before and not {("*", "*"), (pair[0], "*"), ("*", pair[1])} & before]
        gone = [pair for pair in before if pair not in after]
        open_ = [pair for pair in fresh if pair[0] == "*" or (isinstance(pair[0], tuple) and pair[0][0] == "world")]
        if not fresh or (len(gone) >= len(fresh) and not open_):
            continue  # as many doors closed as opened: selectors renamed
        worst = (open_ or fresh)[0]
        yield NETWORK.effect(
            subject=f"{new.key.title} {way}", path=new.path, line=new.at(where[worst]), confidence=_certain(new),
            severity=Severity.HIGH if open_ and way == "ingress" else Severity.MODERATE if open_ else Severity.LOW,
            after="anyone" if open_ else f"{len(fresh)} more peers or ports",
            message=f"{new.key.title} lets {'anyone' if open_ else 'more peers or ports'} through ({way}).",
        )  # fmt: skip


# Admission.

_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_KYVERNO = ("ClusterPolicy", "Policy")
_ACTIONS = {"enforce": 2, "deny": 2, "audit": 1, "warn": 1, "dryrun": 1}


_POLICIES = (
    "ClusterPolicy",
    "Policy",
    "ValidatingPolicy",
    "NamespacedValidatingPolicy",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
"""Kinds that can do each other's work."""


def _admission(pair: Pair, found: Manifests) -> Iterator[Effect]:
    kind, group = pair.some.kind, pair.some.key.group
    constraint = group == "constraints.gatekeeper.sh"
    kyverno = (group == "kyverno.io" and kind in _KYVERNO) or (group == "policies.kyverno.io" and "ValidatingPolicy" in kind)
    if not (kind in _WEBHOOKS or constraint or kyverno or kind == "ValidatingAdmissionPolicyBinding"):
        return
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        heirs = [other.new for other in found.of(*_POLICIES) if other.old is None and other.new is not None]
        if not constraint and any(heir.key.name == old.key.name for heir in heirs):
            return  # the same policy, written for another engine
        yield ADMISSION.effect(
            subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, confidence=_certain(old), facts=(("address", old.key.address), ("action", "delete")),
            severity=Severity.MODERATE if kind == "MutatingWebhookConfiguration" else None, message=f"{old.key.title} is gone: what it refused is accepted.",
        )  # fmt: skip
        return
    was, now = _strength(old), _strength(new)
    for name, strength in was.items():
        if name in now and now[name] < strength:
            yield ADMISSION.effect(
                subject=f"{new.key.title} {name}".strip(), path=new.path, line=new.line, before="refuses", after="lets pass", confidence=_certain(new),
                message=f"{new.key.title} {name} no longer refuses what it is there to refuse.".replace("  ", " "),
            )  # fmt: skip
        elif name not in now and len(now) < len(was):
            yield ADMISSION.effect(
                subject=f"{new.key.title} {name}".strip(), path=new.path, line=new.line, before=name, confidence=_certain(new),
                message=f"{name} is no longer part of {new.key.title}.",
            )  # fmt: skip
    if constraint:
        excluded = _texts(new.get("spec", "match", "excludedNamespaces")) - _texts(old.get("spec", "match", "excludedNamespaces"))
        if excluded:
            yield ADMISSION.effect(
                subject=f"{new.key.title} excludedNamespaces", path=new.path, line=new.at(new.get("spec", "match")), after=", ".join(sorted(excluded)),
                severity=Severity.MODERATE, message=f"{new.key.title} no longer covers {', '.join(sorted(excluded))}.",
            )  # fmt: skip


def _strength(found: Object) -> dict[str, int]:
    """What a policy refuses: name → 2 refuses, 1 only says so."""
    if found.kind in _WEBHOOKS:
        hooks = found.get("webhooks")
        return {
            hook.string("name") or "": 1 if hook.string("failurePolicy") == "Ignore" else 2
            for hook in (hooks.items or () if hooks is not None else ())
        }  # fmt: skip
    if found.key.group == "constraints.gatekeeper.sh":
        return {"": _ACTIONS.get((found.string("spec", "enforcementAction") or "deny").lower(), 2)}
    if found.key.group == "kyverno.io":
        default = found.string("spec", "validationFailureAction") or "Audit"
        return {
            rule.string("name") or "": _ACTIONS.get((rule.string("validate", "failureAction") or default).lower(), 1)
            for rule in _items(found, "spec", "rules")
            if rule.get("validate") is not None
        }
    return {"": 2 if "Deny" in _texts(found.get("spec", "validationActions")) else 1}


DETECTOR = Detector(
    name="kubernetes-security",
    title="Kubernetes hardening, exposure and guards",
    rules=(PRIVILEGE, HARDENING, HOST, TOKEN, LEVEL, SECRET, SERVICE, ROUTE, SOURCES, AUTH, NETWORK, ADMISSION, IMAGE),
    detect=detect,
    group=together,
)
