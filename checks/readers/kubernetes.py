"""Kubernetes objects out of YAML: who they are, where they stand, and the parts that detectors compare.

Plain manifests, Helm templates (rendered under the chart's default values) and `List`s come out as the same `Object`s.
Sources: kubernetes.io/docs/reference/using-api (group, version, kind), kubernetes.io/docs/concepts/workloads (pod templates).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from checks.model import Unreadable
from checks.readers import documents, helm, text_of
from checks.readers.documents import Node

OBJECTS = 20_000
"""Objects of one file."""

_NOT_DEPLOYED = (
    "kustomize.config.k8s.io", "kind.x-k8s.io", "skaffold", "backstage.io", "kuttl.dev", "k3d.io", "apiserver.config.k8s.io", "audit.k8s.io",
    "kubelet.config.k8s.io", "kubeadm.k8s.io", "client.authentication.k8s.io", "config.k8s.io", "krew.googlecontainertools.github.com",
    "apiserver.k8s.io", "kubescheduler.config.k8s.io", "kubeproxy.config.k8s.io", "testing.kuttl.dev", "chainsaw.kyverno.io", "cli.kyverno.io",
    "config.karmada.io", "kubectl.config.k8s.io", "tilt.dev", "devspace", "getambassador.io.config", "cloudbuild", "scaffolder.backstage.io",
)  # fmt: skip
"""Groups of files that tools read and no cluster stores."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What makes an object the same object: its version is not part of it."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def address(self) -> str:
        """`apps/Deployment/namespace/name`, parts that are empty left out."""
        return "/".join(part for part in (self.group, self.kind, self.namespace, self.name) if part)

    @property
    def title(self) -> str:
        """How a person names it: `Deployment shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """One object at one place."""

    key: Key
    node: Node
    path: str
    templated: bool = False
    """From a Helm template: what it becomes depends on values."""

    @property
    def line(self) -> int:
        return self.node.line

    @property
    def kind(self) -> str:
        return self.key.kind

    def get(self, *keys: str) -> Node | None:
        return self.node.get(*keys)

    def string(self, *keys: str) -> str | None:
        return self.node.string(*keys)

    def annotation(self, name: str) -> str | None:
        """The text of an annotation, None where it is missing."""
        return self.node.string("metadata", "annotations", name)

    def label(self, name: str) -> str | None:
        """The text of a label, None where it is missing."""
        return self.node.string("metadata", "labels", name)


@dataclass(frozen=True, slots=True)
class Unread:
    """A document of a file that made no sense, with a text to compare it by."""

    line: int
    why: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """What one file holds."""

    objects: tuple[Object, ...] = ()
    unread: tuple[Unread, ...] = ()
    others: tuple[Node, ...] = ()
    """Documents that are no objects: values, kustomizations without a kind, patches as lists."""


EMPTY = File()
_MARKS = re.compile(rb"^[\s{-]*[\"']?kind[\"']?\s*:", re.MULTILINE)
_GROUP = re.compile(rb"apiVersion")
_TEMPLATE = re.compile(rb"\{\{")


def may_hold_objects(data: bytes) -> bool:
    """Whether a file can hold objects at all: a look at its bytes, no parsing."""
    return _GROUP.search(data) is not None and _MARKS.search(data) is not None


@lru_cache(maxsize=1024)
def read(data: bytes, path: str, values: bytes | None = None, chart: bool = False) -> File:
    """The objects of a file. `chart`: it is a Helm template, rendered under `values` (the bytes of the chart's `values.yaml`).

    What cannot be read of it is in `unread`; only a file over its limits raises `Unreadable`.
    """
    if not may_hold_objects(data):
        return EMPTY
    if not chart:
        try:
            return _file(documents.read(data, path), path, False)
        except Unreadable as unreadable:
            if not _TEMPLATE.search(data):
                return _by_document(text_of(data, path, documents.LIMIT), None, path, False, unreadable)
    return _rendered(data, path, values_of(values, path))


@lru_cache(maxsize=64)
def values_of(values: bytes | None, path: str) -> object:
    """The values of a `values.yaml` as ordinary values; None where they cannot be read."""
    if values is None:
        return None
    try:
        node = documents.one_yaml(values, path)
        found = node.plain_value() if node is not None else {}
    except Unreadable:
        return None
    return found if isinstance(found, dict) else None


def _rendered(data: bytes, path: str, values: object) -> File:
    best: File | None = None
    for both in (True, False):
        rendered = helm.render(data, path, values, both)
        found = _by_document(rendered.text, rendered.lines, path, True, None)
        if not found.unread:
            return found
        if best is None or len(found.unread) < len(best.unread):
            best = found
    return best or EMPTY


_SEPARATOR = re.compile(r"^---(?=\s|$)[^\n]*", re.MULTILINE)
_HELM_SEPARATOR = re.compile(r"^---(?!-)[ \t]*", re.MULTILINE)
"""Helm takes whatever follows three dashes for the next document, on the same line too (pkg/releaseutil/manifest.go)."""


def _by_document(text: str, lines: tuple[int, ...] | None, path: str, templated: bool, failed: Unreadable | None) -> File:
    """Each document alone, so that one that makes no sense does not hide the others."""
    objects: list[Object] = []
    others: list[Node] = []
    unread: list[Unread] = []
    start = 0
    separator = _HELM_SEPARATOR if templated else _SEPARATOR
    ends = [(match.start(), match.end()) for match in separator.finditer(text)] + [(len(text), len(text))]
    line = 1
    for end, following in ends[:5000]:
        part = text[start:end]
        if part.strip() and not part.lstrip().startswith("%"):
            try:
                nodes = tuple(documents.yaml(part.encode(), path))
                moved = tuple(_moved(node, line - 1, lines) for node in nodes)
                found = _file(moved, path, templated)
                objects.extend(found.objects)
                others.extend(found.others)
            except Unreadable as unreadable:
                at = (unreadable.line or 1) + line - 1
                if re.search(r"^\s*kind\s*:", part, re.MULTILINE):
                    unread.append(Unread(lines[min(at, len(lines)) - 1] if lines else at, unreadable.why, " ".join(part.split())))
        line += text.count("\n", start, following)
        start = following
    if failed is not None and not unread:
        unread.append(Unread(failed.line or 1, failed.why, " ".join(text.split())))
    return File(tuple(objects), tuple(unread), tuple(others))


def _moved(node: Node, by: int, lines: tuple[int, ...] | None) -> Node:
    """The same node with the lines of the file it came from."""
    at = node.line + by
    line = lines[min(at, len(lines)) - 1] if lines else at
    if node.pairs is not None:
        pairs = tuple((_moved(key, by, lines), _moved(value, by, lines)) for key, value in node.pairs)
        return Node(line=line, tag=node.tag, pairs=pairs)
    if node.items is not None:
        return Node(line=line, tag=node.tag, items=tuple(_moved(item, by, lines) for item in node.items))
    return Node(line=line, tag=node.tag, text=node.text, plain=node.plain)


def _file(nodes: tuple[Node, ...], path: str, templated: bool) -> File:
    objects: list[Object] = []
    others: list[Node] = []
    waiting = list(reversed(nodes))
    while waiting and len(objects) < OBJECTS:
        node = waiting.pop()
        kind, version = node.string("kind"), node.string("apiVersion")
        if kind and kind.endswith("List") and (items := node.get("items")) is not None and items.is_list:
            waiting.extend(reversed(items.elements()))
            continue
        made = _object(node, kind, version, path, templated)
        if made is not None:
            objects.append(made)
        else:
            others.append(node)
    return File(tuple(objects), (), tuple(others))


def _object(node: Node, kind: str | None, version: str | None, path: str, templated: bool) -> Object | None:
    if not kind or not version or not node.is_map:
        return None
    group = version.rpartition("/")[0]
    if group.startswith(_NOT_DEPLOYED) or (version == "v1" and kind in ("Config", "List")):
        return None
    metadata = node.get("metadata")
    name = node.string("metadata", "name") or node.string("metadata", "generateName")
    if metadata is None or not name:
        return None
    return Object(Key(group, kind, node.string("metadata", "namespace") or "", name), node, path, templated)


# Pods.

_POD = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "Rollout", "DeploymentConfig", "CloneSet"),
        ("spec", "template", "spec"),
    ),
}


def pod(found: Object) -> Node | None:
    """The pod specification inside a workload, None for anything else."""
    keys = _POD.get(found.kind)
    return found.node.get(*keys) if keys else None


def pod_metadata(found: Object) -> Node | None:
    """The metadata of the pods that a workload makes."""
    keys = _POD.get(found.kind)
    return found.node.get(*keys[:-1], "metadata") if keys else None


def containers(spec: Node | None) -> Iterator[tuple[str, Node]]:
    """(name, container) of all containers of a pod, those that run first and those attached later included."""
    if spec is None:
        return
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        node = spec.get(kind)
        if node is not None and node.is_list:
            for index, container in enumerate(node.elements()):
                yield container.string("name") or f"{kind}[{index}]", container


def truth(node: Node | None) -> bool | None:
    """A boolean as written; None where it is missing or not known."""
    if node is None or node.text is None:
        return None
    return {"true": True, "false": False}.get(node.text.strip().lower())


def number(node: Node | None) -> int | None:
    """A whole number as written; None where it is missing or not known."""
    if node is None or node.text is None:
        return None
    text = node.text.strip()
    return int(text) if re.fullmatch(r"-?\d{1,12}", text) else None


def known(node: Node | None) -> bool:
    """Whether a scalar is literal: no template left a gap in it."""
    return node is None or node.text is None or "⟦" not in node.text
