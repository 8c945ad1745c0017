"""Compose files: what containers may do to their host, what is reachable, and which data they keep.

## What it detects
Per service: privileged mode, added capabilities, host namespaces, the Docker socket or folders of the host mounted, confinement switched off;
ports of existing services newly published to every interface; named volumes that are gone, renamed or no longer mounted; services
that are gone with their volumes; restart policy and health check removed.

## Why it matters
A container with the Docker socket is root on the host. A named volume that loses its name is a database that starts empty.

## Example
`"127.0.0.1:5432:5432"` becomes `"5432:5432"`.

## What makes it safe
Binding to an address; named volumes kept and backed up; `read_only`, `cap_drop`, no new privileges; a firewall that Docker does not bypass.

## What it cannot see
Other files merged with `-f` at run time, profiles that are never started, and firewalls around the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, by_file, not_analysed
from checks.model import Change, Confidence, Effect, Environment, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import documents
from checks.readers.documents import Node

POWER = Rule("compose/container-privileged", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.YES, "A container may do more to its host")
PORT = Rule(
    "compose/port-published", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.YES, "A port is newly reachable from outside the host"
)
VOLUME = Rule(
    "compose/volume-removed",
    Hazard.DATA_DESTROYED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A named volume is gone or no longer mounted",
    confidence=Confidence.LIKELY,
)
SERVICE = Rule("compose/service-removed", Hazard.AVAILABILITY_REDUCED, Severity.LOW, Reversible.YES, "A service is gone")
HEALTH = Rule(
    "compose/self-healing-removed",
    Hazard.AVAILABILITY_REDUCED,
    Severity.LOW,
    Reversible.YES,
    "A service no longer restarts or is no longer checked",
)
RULES = (POWER, PORT, VOLUME, SERVICE, HEALTH)

_DATA = re.compile(
    r"postgres|mysql|mariadb|mongo|redis|valkey|elastic|opensearch|minio|clickhouse|kafka|rabbit|etcd|consul|vault|influx|cassandra|cockroach|neo4j|qdrant|weaviate|data",
    re.IGNORECASE,
)
_DEV = re.compile(
    r"(?:^|[-_.])(?:dev|devel|development|local|test|tests|ci|e2e|debug|playground)(?:[-_.]|$)|^\.?devcontainer", re.IGNORECASE
)
_NOT_DEPLOYED = re.compile(r"(?:^|[-_.])(?:tests?|e2e|ci|example|sample|template)(?:[-_.]|$)", re.IGNORECASE)
_HARD_CAPS = frozenset({"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "DAC_READ_SEARCH", "SYS_RAWIO", "BPF"})
_HOST_FOLDERS = ("/", "/etc", "/root", "/var", "/home", "/proc", "/sys", "/dev", "/usr", "/boot", "/lib", "/run")


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What the containers of one Compose file may newly do, show or lose."""
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED or _override(file.path):
            continue
        try:
            old = _read(change.base_bytes(file), file.base_path)
        except Unreadable:
            old = None
        try:
            new = _read(change.head_bytes(file), file.path)
        except Unreadable as unreadable:
            if old is not None:
                yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)
            continue
        environment = Environment.DEVELOPMENT if _DEV.search(file.path.rpartition("/")[2]) or "/.devcontainer/" in f"/{file.path}" else None
        if old is None and new is None:
            continue
        if new is None and old is not None:
            yield from _gone(old, file.path, environment)
        elif new is not None:
            yield from _compared(old, new, file.path, environment)


def _override(path: str) -> bool:
    """Files that are copied and edited before use, or only run tests: nothing deploys them as they stand."""
    return bool(_NOT_DEPLOYED.search(path.rpartition("/")[2]))


def _read(data: bytes | None, path: str) -> Node | None:
    if data is None:
        return None
    for document in documents.yaml(data, path):
        services = document.get("services")
        if services is not None and services.is_map:
            return document
    return None


def _services(root: Node | None) -> dict[str, Node]:
    services = root.get("services") if root is not None else None
    return {name: node for name, node in services.entries() if node.is_map} if services is not None else {}


def _gone(old: Node, path: str, environment: Environment | None) -> Iterator[Effect]:
    names = list(_services(old))
    yield SERVICE.effect(
        subject=path,
        path=path,
        line=1,
        side=Side.BASE,
        environment=environment,
        before=", ".join(names[:8]),
        message=f"The Compose file with {len(names)} services is gone.",
    )


def _compared(old: Node | None, new: Node, path: str, environment: Environment | None) -> Iterator[Effect]:
    before, after = _services(old), _services(new)
    renamed = _renames(before, after)
    fresh = old is None
    for name, service in after.items():
        was = before.get(name) or before.get(renamed.get(name, ""))
        yield from _power(was, service, name, path, environment, fresh)
        if was is not None:
            yield from _ports(was, service, name, path, environment)
            yield from _healing(was, service, name, path, environment)
    if old is not None:
        lost = [name for name in before if name not in after and name not in renamed.values()]
        for name in lost:
            yield SERVICE.effect(
                subject=f"{path}: {name}",
                path=path,
                line=before[name].line,
                side=Side.BASE,
                environment=environment,
                before=before[name].string("image"),
                message=f"The service {name} is gone from the Compose file.",
            )
        yield from _volumes(old, new, path, environment)


def _renames(before: dict[str, Node], after: dict[str, Node]) -> dict[str, str]:
    """New name → old name for services that differ in nothing else."""
    gone = {name: node for name, node in before.items() if name not in after}
    out: dict[str, str] = {}
    for name, node in after.items():
        if name not in before:
            twin = next((other for other, body in gone.items() if documents.same(body, node)), None)
            if twin is not None:
                out[name] = twin
                del gone[twin]
    return out


def _powers(service: Node | None) -> dict[str, tuple[int, str, Severity]]:
    """What a service may do to its host: key → (line, words, severity)."""
    out: dict[str, tuple[int, str, Severity]] = {}
    if service is None:
        return out
    privileged = service.get("privileged")
    if privileged is not None and privileged.value is True:
        out["privileged"] = (privileged.line, "is privileged: it may do all that root on the host may", Severity.HIGH)
    for key in ("pid", "ipc", "userns_mode", "network_mode", "uts"):
        if service.string(key) == "host":
            out[key] = (
                service.key_line(key),
                f"shares the host's {key.removesuffix('_mode').replace('userns', 'user namespace')}",
                Severity.MODERATE if key in ("network_mode", "uts", "ipc") else Severity.HIGH,
            )
    capabilities = service.get("cap_add")
    for item in capabilities.elements() if capabilities is not None else ():
        name = (item.text or "").upper().removeprefix("CAP_")
        if name in _HARD_CAPS:
            out[f"cap {name}"] = (
                item.line,
                f"gets the capability {name}",
                Severity.HIGH if name in ("ALL", "SYS_ADMIN", "SYS_MODULE") else Severity.MODERATE,
            )
    options = service.get("security_opt")
    for item in options.elements() if options is not None else ():
        if re.search(r"unconfined|label[:=]disable|no-new-privileges[:=]false", item.text or ""):
            out[f"option {item.text}"] = (item.line, f"runs with {item.text}", Severity.MODERATE)
    if service.string("user") in ("root", "0", "0:0"):
        out["root"] = (service.key_line("user"), "runs as root", Severity.LOW)
    for source, _, line, writable in _mounts(service):
        folder = source.rstrip("/") or "/"
        if folder.endswith(("docker.sock", "containerd.sock")):
            out["socket"] = (line, "can command the container engine, and with it the host", Severity.HIGH)
        elif folder in _HOST_FOLDERS:
            out[f"mount {folder}"] = (
                line,
                f"sees the host's {folder}{' and may change it' if writable else ''}",
                Severity.HIGH if writable else Severity.MODERATE,
            )
    return out


def _mounts(service: Node) -> Iterator[tuple[str, str, int, bool]]:
    """(source, target, line, writable) of every mount, in short and long form."""
    volumes = service.get("volumes")
    for item in volumes.elements() if volumes is not None else ():
        if item.is_map:
            yield item.string("source") or "", item.string("target") or "", item.line, item.string("read_only") != "true"
        elif item.text:
            parts = re.split(r":(?!-)", re.sub(r"\$\{[^}]*\}", lambda match: match[0].replace(":", ";"), item.text))
            if len(parts) > 1:
                yield parts[0], parts[1], item.line, not (len(parts) > 2 and "ro" in parts[2].split(","))


def _power(was: Node | None, service: Node, name: str, path: str, environment: Environment | None, fresh: bool) -> Iterator[Effect]:
    known = _powers(was)
    for key, (line, words, severity) in _powers(service).items():
        if key not in known and not (key == "root" and was is None):
            yield POWER.effect(
                subject=f"{path}: {name} {key}",
                path=path,
                line=line,
                environment=environment,
                after=key,
                severity=severity.step(-1) if fresh else severity,
                message=f"The container {name} {words}.",
            )


_LOCAL = re.compile(r"\A(?:127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)\Z")


def _published(service: Node | None) -> dict[str, tuple[int, bool, str]]:
    """Container port → (line, reachable from outside, as written)."""
    out: dict[str, tuple[int, bool, str]] = {}
    ports = service.get("ports") if service is not None else None
    for item in ports.elements() if ports is not None else ():
        if item.is_map:
            if item.get("published") is None:
                continue
            address, target = item.string("host_ip") or "", item.string("target") or ""
            shown = f"{address}:{item.string('published')}:{target}".lstrip(":")
        else:
            shown = item.text or ""
            parts = re.split(r":(?![-+?])", re.sub(r"\$\{[^}]*\}", lambda match: match[0].replace(":", ";"), shown))
            if len(parts) < 2:
                continue
            address, target = ":".join(parts[:-2]), parts[-1]
        opened = not _LOCAL.match(address) and "$" not in address
        key = target.partition("/")[0]
        out[key] = (item.line, opened or out.get(key, (0, False, ""))[1], shown)
    return out


def _ports(was: Node, service: Node, name: str, path: str, environment: Environment | None) -> Iterator[Effect]:
    """Ports newly open on a service that was there before: what a new service shows is its purpose."""
    known = _published(was)
    for port, (line, opened, shown) in _published(service).items():
        before = known.get(port)
        if not opened or (before is not None and before[1]):
            continue
        severity = None if before is not None or _DATA.search(service.string("image") or name) else Severity.LOW
        yield PORT.effect(
            subject=f"{path}: {name} {port}",
            path=path,
            line=line,
            environment=environment,
            before=before[2] if before else None,
            after=shown,
            severity=severity,
            message=f"Port {port} of {name} is reachable on every interface of the host.",
        )


def _used(root: Node) -> dict[str, set[str]]:
    """Named volume → where services mount it."""
    out: dict[str, set[str]] = {}
    for service in _services(root).values():
        for source, target, _, _ in _mounts(service):
            if source and not source.startswith((".", "/", "~", "$")):
                out.setdefault(source, set()).add(target)
    return out


def _real_name(root: Node, key: str) -> str:
    """The name the engine knows a volume by; other names are prefixed with the project's."""
    return root.string("volumes", key, "name") or key


def _volumes(old: Node, new: Node, path: str, environment: Environment | None) -> Iterator[Effect]:
    before, after = _used(old), _used(new)
    kept = {_real_name(new, key) for key in after}
    volumes = old.get("volumes")
    for key, targets in before.items():
        if _real_name(old, key) in kept:
            continue
        other = next((name for name, places in after.items() if name not in before and places & targets), None)
        line = volumes.key_line(key) if volumes is not None else old.line
        data = bool(_DATA.search(key) or any(_DATA.search(target) for target in targets))
        severity = Severity.HIGH if data and other else Severity.MODERATE if data else Severity.LOW
        message = (
            f"The volume {key} becomes {other}: the services start with an empty one."
            if other
            else f"Nothing mounts the volume {key} any more: its data stays behind, and goes with the next prune."
        )
        yield VOLUME.effect(
            subject=f"{path}: {key}",
            path=path,
            line=line,
            side=Side.BASE,
            environment=environment,
            before=key,
            after=other,
            severity=severity,
            message=message,
        )


def _healing(was: Node, service: Node, name: str, path: str, environment: Environment | None) -> Iterator[Effect]:
    before, after = was.string("restart"), service.string("restart")
    if before not in (None, "no") and after in (None, "no") and service.get("deploy", "restart_policy") is None:
        yield HEALTH.effect(
            subject=f"{path}: {name} restart",
            path=path,
            line=service.line,
            environment=environment,
            before=before,
            after=after or "none",
            message=f"The service {name} is no longer started again when it stops.",
        )
    check = service.get("healthcheck")
    disabled = check is not None and check.string("disable") == "true"
    if was.get("healthcheck") is not None and was.string("healthcheck", "disable") != "true" and (check is None or disabled):
        yield HEALTH.effect(
            subject=f"{path}: {name} healthcheck",
            path=path,
            line=service.line,
            environment=environment,
            before="healthcheck",
            after="none",
            message=f"Nothing checks any more whether {name} still answers.",
        )


DETECTOR = Detector(name="compose", title="Compose files", rules=RULES, detect=detect, group=by_file, sure=True)
