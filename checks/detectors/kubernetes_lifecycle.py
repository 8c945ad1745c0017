"""What keeps workloads and their kinds alive through a change: versions of a kind, the least of pods, time to stop, names under an overlay.

## What it detects
Versions that leave a CustomResourceDefinition or are served no longer, autoscalers whose least number of pods falls to nothing or by more than
half, stop hooks and grace periods that go, overlays that put all their objects under another namespace, prefix or suffix, and patches that newly
take a guard out of what they are laid over.

## Why it matters
Clients and stored objects of a version that is gone can no longer be read. A pod without time to stop drops what it is doing. An overlay under
another name makes every object anew and leaves the old ones to be pruned, with their volumes.

## Example
```diff
-namePrefix: shop-
+namePrefix: store-
```

## What makes it safe
Serving the old version until nothing stored or asked is left of it (`status.storedVersions`); a lower least number that the load has shown to be
enough; renaming with both sets of objects in place.

## What it cannot see
Which versions clients still use, and objects that other overlays add.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.readers import documents, kustomize, text_of
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node
from checks.readers.kubernetes import Object
from checks.readers.manifests import deployed, manifests, once

_AVAILABLE = Hazard.AVAILABILITY_REDUCED
VERSION = Rule(
    "kubernetes-lifecycle/version-removed",
    Hazard.COMPATIBILITY_BROKEN,
    Severity.HIGH,
    Reversible.YES,
    "A version of a kind is served no longer",
)
LEAST = Rule("kubernetes-lifecycle/least-lowered", _AVAILABLE, Severity.LOW, Reversible.YES, "An autoscaler may keep fewer pods")
GRACE = Rule("kubernetes-lifecycle/grace-removed", _AVAILABLE, Severity.LOW, Reversible.YES, "Pods get less time to stop")
RENAMED = Rule(
    "kubernetes-lifecycle/objects-renamed", Hazard.RESOURCE_REPLACED, Severity.HIGH, Reversible.PARTLY,
    "Every object of an overlay gets another name", confidence=Confidence.LIKELY,
)  # fmt: skip
PATCHED = Rule(
    "kubernetes-lifecycle/guard-patched-away", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.YES, "A patch takes a guard away"
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found: list[Effect] = list(_versions(change, files))
    for pair in manifests(change, files).pairs:
        if pair.old is not None and pair.new is not None and pair.old.node is not pair.new.node:
            found += _least(pair.old, pair.new)
            found += _grace(pair.old, pair.new)
    for file in files:
        if posixpath.basename(file.path) in kustomize.NAMES and deployed(file.path) and file.old and file.new:
            found += _overlay(change, file)
    yield from once(found)


# Versions of a kind.

_KIND = re.compile(r"^kind:\s*[\"']?CustomResourceDefinition[\"']?\s*$", re.MULTILINE)
_NAME = re.compile(r"^  name:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_SINGLE = re.compile(r"^  version:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


def _versions(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    before: dict[str, tuple[str, int, dict[str, bool]]] = {}
    after: dict[str, tuple[str, int, dict[str, bool]]] = {}
    for file in files:
        if not file.path.endswith((".yaml", ".yml")) or not deployed(file.path):
            continue
        for side, path, into in ((change.base_bytes, file.base_path, before), (change.head_bytes, file.path, after)):
            try:
                data = side(file)
                if data is None or b"CustomResourceDefinition" not in data:
                    continue
                text = text_of(data, path, documents.LIMIT)
            except Unreadable:
                continue  # what compares the objects themselves says so
            for name, line, versions in _kinds(text):
                known = into.get(name)
                # The same kind in several files (bundles, charts): a version counts as there if any of them has it.
                into[name] = (path, line, {**versions, **(known[2] if known else {})})
    for name, (_, _, old) in before.items():
        if name not in after:
            continue
        path, line, new = after[name]
        lost = [version for version, served in old.items() if served and not new.get(version)]
        if lost and new:
            yield VERSION.effect(
                subject=f"CustomResourceDefinition {name} {', '.join(lost)}", path=path, line=line, before=", ".join(old), after=", ".join(new),
                severity=Severity.MODERATE if all("alpha" in version for version in lost) else None,
                message=f"{name} is no longer served as {', '.join(lost)}: clients and stored objects of that version cannot be read.",
            )  # fmt: skip


@lru_cache(maxsize=256)
def _kinds(text: str) -> tuple[tuple[str, int, Mapping[str, bool]], ...]:
    """(name, line, version → whether it is served) of each definition: read from the lines, because schemas make these files huge."""
    found: list[tuple[str, int, Mapping[str, bool]]] = []
    line = 1
    for part in text.split("\n---"):
        at, line = line, line + part.count("\n") + 1
        if not _KIND.search(part):
            continue
        name = _NAME.search(part)
        versions = _listed(part)
        single = None if versions else _SINGLE.search(part)
        if single:
            versions = {single.group(1): True}
        if name and "{{" not in name.group(1):
            found.append((name.group(1), at, versions))
    return tuple(found)


_SHALLOW = re.compile(r"^ {0,8}[^\s].*", re.MULTILINE)
"""A row near the margin: all that a list of versions can stand in, and few of the rows of a schema."""


def _listed(part: str) -> dict[str, bool]:
    at = re.search(r"^  versions:[ \t]*$", part, re.MULTILINE)
    if at is None:
        return {}
    indent: int | None = None
    items: list[dict[str, str]] = []
    for found in _SHALLOW.finditer(part, at.end()):
        row = found.group()
        text = row.strip()
        if not text or text.startswith(("#", "{{")):
            continue
        depth = len(row) - len(row.lstrip())
        if indent is None:
            indent = depth
        if depth < indent or (depth == indent and not text.startswith("-")):
            break
        if depth == indent:
            items.append({})
            text, depth = text[1:].lstrip(), indent + 2
        if depth == indent + 2 and items:
            key, colon, value = text.partition(":")
            if colon:
                items[-1][key] = value.split(" #")[0].strip().strip("\"'")
    return {item["name"]: item.get("served") != "false" for item in items if item.get("name")}


# Autoscalers and time to stop.

_LEAST = {"HorizontalPodAutoscaler": (("spec", "minReplicas"), 1), "ScaledObject": (("spec", "minReplicaCount"), 0)}


def _least(old: Object, new: Object) -> Iterator[Effect]:
    if old.kind not in _LEAST or old.kind != new.kind:
        return
    keys, default = _LEAST[old.kind]
    was, now = (k8s.number(item.get(*keys)) if item.get(*keys) is not None else default for item in (old, new))
    if was is None or now is None or now >= was or (now and now * 2 > was):
        return
    yield LEAST.effect(
        subject=f"{new.key.title} {keys[-1]}", path=new.path, line=new.at(new.get(*keys)), before=str(was), after=str(now),
        severity=Severity.MODERATE if now == 0 else None,
        message=f"{new.key.title} may go down to {now} pods instead of {was}.",
    )  # fmt: skip


_GRACE = 30
"""Seconds a pod has to stop where nothing is said (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle)."""


def _grace(old: Object, new: Object) -> Iterator[Effect]:
    before, after = k8s.pod(old), k8s.pod(new)
    if before is None or after is None:
        return
    now_by_name = dict(k8s.containers(after))
    for name, container in k8s.containers(before):
        now = now_by_name.get(name)
        if now is None or container.get("lifecycle", "preStop") is None or now.get("lifecycle", "preStop") is not None:
            continue
        yield GRACE.effect(
            subject=f"{new.key.title} {name} preStop", path=new.path, line=new.at(now), before="preStop",
            message=f"The container {name} of {new.key.title} is stopped without the step that lets it finish its work.",
        )  # fmt: skip
    key = "terminationGracePeriodSeconds"
    was, least = ((_GRACE if node.get(key) is None else k8s.number(node.get(key))) for node in (before, after))
    if was is not None and least is not None and least * 2 < was:
        yield GRACE.effect(
            subject=f"{new.key.title} {key}", path=new.path, line=new.at(after.get(key) or after), before=str(was), after=str(least),
            message=f"Pods of {new.key.title} get {least} seconds to stop instead of {was}.",
        )  # fmt: skip


# Overlays.


def _overlay(change: Change, file: FileChange) -> Iterator[Effect]:
    try:
        old, new = change.base_bytes(file), change.head_bytes(file)
        base = kustomize.read(old, file.base_path) if old is not None else None
        head = kustomize.read(new, file.path) if new is not None else None
    except Unreadable:
        return
    if base is None or head is None:
        return
    for key, was, now in (
        ("namespace", base.namespace, head.namespace),
        ("namePrefix", base.prefix, head.prefix),
        ("nameSuffix", base.suffix, head.suffix),
    ):
        # A namespace that is newly set, or no longer, may be what the objects say themselves.
        if was == now or (key == "namespace" and not (was and now)) or not head.resources:
            continue
        yield RENAMED.effect(
            subject=f"{posixpath.dirname(file.path) or '.'} {key}", path=file.path, line=head.node.key_line(key), before=was or None, after=now or None,
            message=f"Every object of {posixpath.dirname(file.path) or 'this overlay'} is made anew because {key} is {now or 'gone'} instead of {was or 'none'}; the old ones are pruned or left behind.",
        )  # fmt: skip
    had = {what for what, _ in _removals(base.node)}
    for (target, pointer), line in _removals(head.node):
        if ((target, pointer)) not in had:
            yield PATCHED.effect(
                subject=f"{target} {pointer}", path=file.path, line=line, before=pointer.rpartition("/")[2], side=Side.HEAD,
                message=f"A patch takes {pointer} out of {target}.",
            )  # fmt: skip


_GUARDS = re.compile(
    r"/(?:securityContext|readinessProbe|livenessProbe|startupProbe|limits|memory|readOnlyRootFilesystem|runAsNonRoot|seccompProfile"
    r"|allowPrivilegeEscalation|podSelector|ingress|egress|tls|loadBalancerSourceRanges|minAvailable|topologySpreadConstraints)(?:/\d+)?\Z"
)


def _removals(node: Node) -> Iterator[tuple[tuple[str, str], int]]:
    """((target, JSON pointer), line) of every `remove` in an inline JSON 6902 patch that takes out a guard."""
    for key in ("patches", "patchesJson6902"):
        listed = node.get(key)
        for item in (listed.items or ()) if listed is not None else ():
            inline = item.string("patch")
            if not inline or "remove" not in inline:
                continue
            try:
                operations = documents.one_yaml(inline.encode(), "patch")
            except Unreadable:
                continue
            target = (
                " ".join(part for part in (item.string("target", "kind"), item.string("target", "name")) if part) or "what it is laid over"
            )
            for operation in (operations.items or ()) if operations is not None else ():
                pointer = operation.string("path") or ""
                if operation.string("op") == "remove" and _GUARDS.search(pointer):
                    yield (target, pointer), item.line


DETECTOR = Detector(
    name="kubernetes-lifecycle",
    title="Lifecycle of Kubernetes objects",
    rules=(VERSION, LEAST, GRACE, RENAMED, PATCHED),
    detect=detect,
    group=together,
)
