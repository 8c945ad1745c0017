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
    """One object at one place. The lines of its nodes count from the start of its document: ask `at` for the line in the file."""

    key: Key
    node: Node
    path: str
    start: int = 0
    """Lines before its document."""
    lines: tuple[int, ...] | None = None
    """For a rendered template: the line of the file for each rendered line."""

    @property
    def templated(self) -> bool:
        """From a Helm template: what it becomes depends on values."""
        return self.lines is not None

    @property
    def line(self) -> int:
        """The line of the file on which it starts."""
        return self.at(self.node)

    def at(self, node: Node | None, key: str | None = None) -> int:
        """The line of the file on which a node of it stands (or the `key` in that node); its first line for None."""
        line = (node or self.node).line if key is None else (node or self.node).key_line(key)
        line += self.start
        return self.lines[min(line, len(self.lines)) - 1] if self.lines else line

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
        text = text_of(data, path, documents.LIMIT)
        found = _split(text, path, None, _SEPARATOR)
        if not found.unread or not _TEMPLATE.search(data):
            return found
    best: File | None = None
    for both in (True, False):
        rendered = helm.render(data, path, values_of(values), both)
        found = _split(rendered.text, path, rendered.lines, _HELM_SEPARATOR)
        if not found.unread:
            return found
        if best is None or len(found.unread) < len(best.unread):
            best = found
    return best or EMPTY


@lru_cache(maxsize=64)
def values_of(values: bytes | None) -> object:
    """The values of a `values.yaml` as ordinary values; None where they cannot be read."""
    if values is None:
        return None
    try:
        node = documents.one_yaml(values, "values.yaml")
        found = node.plain_value() if node is not None else {}
    except Unreadable:
        return None
    return found if isinstance(found, dict) else None


RELEASE = "⟦.Release.Namespace⟧"
"""The namespace of a chart's release, which a chart's own named template gives by default."""
_OWN = re.compile(r"⟦(?:\$?\.Release\.Namespace|[\w-]+(?:\.[\w-]+)*\.namespace)⟧\Z")
_SEPARATOR = re.compile(r"^---(?=\s|$)[^\n]*", re.MULTILINE)
_HELM_SEPARATOR = re.compile(r"^---(?!-)[ \t]*", re.MULTILINE)
"""Helm takes whatever follows three dashes for the next document, on the same line too (pkg/releaseutil/manifest.go)."""
_SCHEMA = re.compile(r"^  (?:versions|validation):[^\n]*\n(?:(?:    |  -|\s*\n)[^\n]*\n?|\n)*", re.MULTILINE)
"""The schemas of a custom resource definition in block style: large, and nothing here asks about them."""


def _split(text: str, path: str, lines: tuple[int, ...] | None, separator: re.Pattern[str]) -> File:
    """Each document alone: one that makes no sense does not hide the others, and one that stands in many files is parsed once."""
    objects: list[Object] = []
    unread: list[Unread] = []
    start = line = 0
    for end, following in [*[(match.start(), match.end()) for match in separator.finditer(text)][:OBJECTS], (len(text), len(text))]:
        part = text[start:end]
        nodes = _document(part) if "apiVersion" in part and "kind" in part else ()
        if isinstance(nodes, Unread):
            at = nodes.line + line
            if re.search(r"^kind\s*:", part, re.MULTILINE):
                unread.append(Unread(lines[min(at, len(lines)) - 1] if lines else at, nodes.why, nodes.text))
        else:
            for node in nodes:
                objects.extend(_objects(node, path, line, lines))
        line += text.count("\n", start, following)
        start = following
    return File(tuple(objects), tuple(unread))


@lru_cache(maxsize=4096)
def _document(text: str) -> tuple[Node, ...] | Unread:
    """The nodes of one document, or why it makes no sense."""
    if len(text) > 4000 and re.search(r"^kind:\s*CustomResourceDefinition\s*$", text, re.MULTILINE):
        text = _SCHEMA.sub("", text)
    data = text.encode()
    try:
        return documents.read(data, "document.json" if text.lstrip()[:1] in ("{", "[") else "document.yaml")
    except Unreadable as unreadable:
        said = (line for line in text.split("\n") if not line.lstrip().startswith("#"))
        return Unread(unreadable.line or 1, unreadable.why, " ".join(" ".join(said).split()))


def _objects(root: Node, path: str, start: int, lines: tuple[int, ...] | None) -> Iterator[Object]:
    waiting = [root]
    for _ in range(OBJECTS):
        if not waiting:
            return
        node = waiting.pop()
        kind, version = node.string("kind"), node.string("apiVersion")
        if not kind or not version:
            continue
        if kind.endswith("List") and (items := node.get("items")) is not None and items.items is not None:
            waiting.extend(reversed(items.items))
            continue
        group = version.rpartition("/")[0]
        name = node.string("metadata", "name") or node.string("metadata", "generateName")
        if name and not group.startswith(_NOT_DEPLOYED) and (version != "v1" or kind not in ("Config", "List")):
            yield Object(Key(group, kind, _OWN.sub(RELEASE, node.string("metadata", "namespace") or ""), name), node, path, start, lines)


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
    """A boolean as written, in YAML 1.1's words as the cluster's reader takes them; None where it is missing or not known."""
    if node is None or node.text is None:
        return None
    return _TRUTH.get(node.text.strip().lower())


_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""yaml.org/type/bool.html; sigs.k8s.io/yaml reads manifests by these."""


def number(node: Node | None) -> int | None:
    """A whole number as written; None where it is missing or not known."""
    if node is None or node.text is None:
        return None
    text = node.text.strip()
    return int(text) if re.fullmatch(r"-?\d{1,12}", text) else None


def known(node: Node | None) -> bool:
    """Whether a scalar is literal: no template left a gap in it."""
    return node is None or node.text is None or "⟦" not in node.text
