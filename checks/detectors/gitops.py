"""What GitOps controllers are told to deploy, delete and follow: Argo CD, Flux and Helmfile.

## What it detects
Applications, ApplicationSets, Flux Kustomizations, HelmReleases and Helmfile releases that are gone; pruning switched on; self-healing or
drift correction switched off; deletion that newly cascades; projects that allow more repositories, clusters or kinds; sources that follow a
branch instead of a fixed version, or come from another repository.

## Why it matters
One object of a controller stands for many objects in a cluster. Removing it, or turning pruning on, deletes things that no diff shows.

## Example
`prune: true` is added to a Flux Kustomization whose path was renamed a week ago: everything of the old path is deleted at the next reconciliation.

## What makes it safe
`preserveResourcesOnDeletion`, `Prune=confirm` or `prune: disabled` first and in a change of its own; a dry run of the controller; sync windows.

## What it cannot see
Applications made by hand or by other generators, what remote charts contain, and whether a controller runs at all.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.readers import documents, helm, text_of
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node
from checks.readers.kubernetes import Object
from checks.readers.manifests import Pair, covered_by_removed, deployed, manifests, once

GONE = Rule(
    "gitops/application-removed", Hazard.RESOURCE_DESTROYED, Severity.HIGH, Reversible.PARTLY, "Something a controller deploys is removed"
)
PRUNE = Rule("gitops/prune-enabled", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.NO, "What leaves the repository is newly deleted")
HEAL = Rule("gitops/reconciliation-stopped", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.YES, "Drift is no longer corrected")
CASCADE = Rule(
    "gitops/deletion-cascades",
    Hazard.PROTECTION_REMOVED,
    Severity.HIGH,
    Reversible.NO,
    "Deleting a definition newly deletes what it deployed",
)
PROJECT = Rule(
    "gitops/project-widened",
    Hazard.PRIVILEGE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A project may deploy more, from more places, to more places",
)
FOLLOWS = Rule(
    "gitops/source-unpinned", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES, "A source follows a branch, or is another one"
)

_ARGO = "argoproj.io"
_FLUX = ("kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io")
_SOURCES = "source.toolkit.fluxcd.io"


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found = manifests(change, files)
    effects: list[Effect] = []
    covered = covered_by_removed(found)
    for pair in found.pairs:
        if pair.new is None and pair.key.group in _FLUX and any(pair.some.path.startswith(folder) for folder in covered):
            continue  # it goes with the Kustomization that deployed it, which is said already
        if pair.key.group == _ARGO and pair.key.kind in ("Application", "ApplicationSet", "AppProject"):
            effects += _argo(pair)
        elif pair.key.group in _FLUX:
            effects += _flux(change, pair)
        elif pair.key.group == _SOURCES and pair.old is not None and pair.new is not None:
            effects += _source(pair.old, pair.new)
    yield from once(effects)
    for file in files:
        if re.match(r"(?:.*/)?helmfile(?:\.d/.*|[\w.-]*)\.ya?ml(?:\.gotmpl)?\Z", file.path):
            yield from _helmfile(change, file)


_FINALIZER = "resources-finalizer.argocd.argoproj.io"


def _finalizers(found: Object) -> bool:
    """Whether deleting an Application deletes what it deployed."""
    return any((item.text or "").startswith(_FINALIZER) for item in _items(found.get("metadata", "finalizers")))


def _items(node: Node | None) -> tuple[Node, ...]:
    return (node.items or ()) if node is not None else ()


def _gone(old: Object, what: str, severity: Severity, confidence: Confidence) -> Effect:
    return GONE.effect(
        subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, severity=severity, confidence=confidence,
        facts=(("address", old.key.address), ("action", "delete")),
        keeps="metadata:\n  annotations:\n    argocd.argoproj.io/sync-options: Prune=false" if old.key.group == _ARGO else "metadata:\n  annotations:\n    kustomize.toolkit.fluxcd.io/prune: disabled",
        message=f"{old.key.title} is gone: {what}",
    )  # fmt: skip


def _argo(pair: Pair) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        if old.kind == "AppProject":
            yield _gone(old, "its applications can no longer be deployed.", Severity.MODERATE, Confidence.LIKELY)
        elif old.kind == "ApplicationSet":
            kept = k8s.truth(old.get("spec", "syncPolicy", "preserveResourcesOnDeletion"))
            yield _gone(
                old,
                "its applications go with it." if kept else "its applications and what they deployed go with it.",
                Severity.HIGH,
                Confidence.LIKELY,
            )
        else:
            cascades = _finalizers(old)
            yield _gone(
                old, "what it deployed is deleted with it." if cascades else "nothing manages what it deployed any more.",
                Severity.HIGH if cascades else Severity.MODERATE, Confidence.LIKELY,
            )  # fmt: skip
        return
    if old.kind == "AppProject":
        yield from _project(old, new)
        return
    template = ("spec", "template") if old.kind == "ApplicationSet" else ()
    automated = (*template, "spec", "syncPolicy", "automated")
    was, now = old.get(*automated), new.get(*automated)
    if now is not None:
        for key in ("prune", "allowEmpty"):
            if k8s.truth(now.get(key)) and not (was is not None and k8s.truth(was.get(key))):
                yield PRUNE.effect(
                    subject=f"{new.key.title} {key}", path=new.path, line=new.at(now, key), before="false", after="true",
                    message=f"Argo CD deletes what leaves the sources of {new.key.title}" + (", even all of it." if key == "allowEmpty" else "."),
                )  # fmt: skip
    if was is not None and k8s.truth(was.get("selfHeal")) and not (now is not None and k8s.truth(now.get("selfHeal"))):
        yield HEAL.effect(
            subject=f"{new.key.title} selfHeal", path=new.path, line=new.at(now), before="true", after="false",
            message=f"Argo CD no longer undoes changes made by hand to what {new.key.title} deploys.",
        )  # fmt: skip
    elif was is not None and now is None and not new.templated:
        yield HEAL.effect(
            subject=f"{new.key.title} automated", path=new.path, line=new.at(new.get(*template, "spec")), before="automated", severity=Severity.LOW,
            message=f"Argo CD no longer deploys {new.key.title} by itself.",
        )  # fmt: skip
    if _finalizers(new) and not _finalizers(old):
        yield CASCADE.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("metadata", "finalizers")), severity=Severity.MODERATE,
            message=f"Deleting {new.key.title} newly deletes everything it deployed.",
        )  # fmt: skip
    if k8s.truth(old.get("spec", "syncPolicy", "preserveResourcesOnDeletion")) and not k8s.truth(new.get("spec", "syncPolicy", "preserveResourcesOnDeletion")):  # fmt: skip
        yield CASCADE.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec")), before="preserveResourcesOnDeletion: true",
            message=f"An application that leaves {new.key.title} newly takes what it deployed with it.",
        )  # fmt: skip
    yield from _generated(old, new)
    yield from _argo_sources(old, new, template)


def _generated(old: Object, new: Object) -> Iterator[Effect]:
    """Elements of list generators that are gone: each was an application."""
    before, after = _elements(old), _elements(new)
    lost = [name for name in before if name not in after]
    if old.kind == "ApplicationSet" and lost and len(after) < len(before):
        yield GONE.effect(
            subject=f"{new.key.title} {', '.join(lost[:4])}", path=old.path, line=old.at(before[lost[0]]), side=Side.BASE, confidence=Confidence.LIKELY,
            before=", ".join(lost[:4]), facts=(("address", new.key.address), ("action", "delete")),
            message=f"{new.key.title} no longer makes an application for {', '.join(lost[:4])}: what it deployed is deleted.",
        )  # fmt: skip


def _elements(found: Object) -> dict[str, Node]:
    out: dict[str, Node] = {}
    for generator in _items(found.get("spec", "generators")):
        for path, node in generator.walk():
            if path and path[-1] == "elements":
                for element in node.items or ():
                    name = next(
                        (element.string(key) for key in ("name", "cluster", "app", "appName", "env", "namespace") if element.string(key)),
                        None,
                    )
                    out[name or next((value.text or "" for _, value in element.entries()), "")] = element
    return out


def _argo_sources(old: Object, new: Object, template: tuple[str, ...]) -> Iterator[Effect]:
    before = _argo_places(old, template)
    for name, (revision, node) in _argo_places(new, template).items():
        if name not in before:
            continue
        was = before[name][0]
        if was != revision and _fixed(was) and not _fixed(revision) and "{{" not in revision and "⟦" not in revision:
            yield FOLLOWS.effect(
                subject=f"{new.key.title} {name}", path=new.path, line=new.at(node), before=was, after=revision or "HEAD",
                message=f"{new.key.title} follows {revision or 'HEAD'} of {name} instead of a fixed version.",
            )  # fmt: skip


def _argo_places(found: Object, template: tuple[str, ...]) -> dict[str, tuple[str, Node]]:
    sources = [found.get(*template, "spec", "source"), *_items(found.get(*template, "spec", "sources"))]
    return {
        (source.string("repoURL") or "") + "/" + (source.string("chart") or source.string("path") or ""): (
            source.string("targetRevision") or "",
            source,
        )
        for source in sources
        if source is not None
    }


def _fixed(revision: str) -> bool:
    """A commit or a whole version: no branch, no range."""
    return re.fullmatch(r"[0-9a-f]{7,64}|v?\d+\.\d+\.\d+[\w.+-]*", revision) is not None


def _project(old: Object, new: Object) -> Iterator[Effect]:
    for key, what in (
        ("sourceRepos", "repositories"), ("destinations", "destinations"), ("clusterResourceWhitelist", "cluster-wide kinds"),
        ("sourceNamespaces", "namespaces of applications"),
    ):  # fmt: skip
        was, now = _entries(old, key), _entries(new, key)
        more = {text: node for text, node in now.items() if text not in was and not any(_covers(one, text) for one in was)}
        if more:
            wild = any("*" in text for text in more)
            yield PROJECT.effect(
                subject=f"{new.key.title} {key}", path=new.path, line=new.at(next(iter(more.values()))), after=", ".join(list(more)[:4]),
                severity=Severity.HIGH if wild else Severity.MODERATE, message=f"Applications of {new.key.title} may use more {what}: {', '.join(list(more)[:4])}.",
            )  # fmt: skip
    for key in ("clusterResourceBlacklist", "namespaceResourceBlacklist"):
        lost = [text for text in _entries(old, key) if text not in _entries(new, key)]
        if lost:
            yield PROJECT.effect(
                subject=f"{new.key.title} {key}", path=new.path, line=new.at(new.get("spec")), before=", ".join(lost[:4]), severity=Severity.MODERATE,
                message=f"Applications of {new.key.title} may newly deploy {', '.join(lost[:4])}.",
            )  # fmt: skip


def _entries(found: Object, key: str) -> dict[str, Node]:
    out: dict[str, Node] = {}
    for item in _items(found.get("spec", key)):
        if item.is_scalar:
            out[item.text or ""] = item
        else:
            parts = (
                item.string("server") or item.string("name") or item.string("group") or "",
                item.string("namespace") or item.string("kind") or "",
            )
            out["|".join(parts)] = item
    return out


def _covers(wide: str, narrow: str) -> bool:
    parts = [".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", wide)]
    return re.fullmatch("".join(parts), narrow) is not None


def _flux(change: Change, pair: Pair) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        pruned = old.kind == "HelmRelease" or k8s.truth(old.get("spec", "prune"))
        # A patch of an overlay has no chart or source of its own: what it patches stays.
        if old.get("spec", "chart") is not None or old.get("spec", "chartRef") is not None or old.get("spec", "sourceRef") is not None:
            what = (
                "the release is uninstalled with everything in it."
                if old.kind == "HelmRelease"
                else "what it deployed is deleted."
                if pruned
                else "nothing manages what it deployed any more."
            )
            yield _gone(old, what, Severity.HIGH if pruned else Severity.MODERATE, Confidence.LIKELY)
        return
    was, now = old.get("spec", "prune"), new.get("spec", "prune")
    if old.kind == "Kustomization":
        if k8s.truth(now) and k8s.truth(was) is False:
            yield PRUNE.effect(
                subject=f"{new.key.title} prune", path=new.path, line=new.at(now), before="false", after="true",
                message=f"Flux deletes what leaves the path of {new.key.title}.",
            )  # fmt: skip
        one, other = old.string("spec", "path"), new.string("spec", "path")
        if one and other and _path(one) != _path(other) and k8s.truth(now) and not _moved(change, _path(one), _path(other)):
            yield GONE.effect(
                subject=f"{new.key.title} path", path=new.path, line=new.at(new.get("spec", "path")), before=one, after=other, severity=Severity.MODERATE,
                confidence=Confidence.POSSIBLE, hazard=Hazard.RESOURCE_REPLACED, facts=(("address", new.key.address), ("action", "replace")),
                message=f"{new.key.title} deploys {other} instead of {one} and deletes what is not there.",
            )  # fmt: skip
    if k8s.truth(new.get("spec", "suspend")) and not k8s.truth(old.get("spec", "suspend")):
        yield HEAL.effect(
            subject=f"{new.key.title} suspend", path=new.path, line=new.at(new.get("spec", "suspend")), before="false", after="true",
            message=f"Flux no longer reconciles {new.key.title}.",
        )  # fmt: skip
    for keys in (("spec", "chart", "spec", "version"),):
        one, other = old.string(*keys), new.string(*keys)
        if (
            one
            and _fixed(one)
            and (other is None or not _fixed(other))
            and (other is None or "⟦" not in other)
            and new.get("spec", "chart") is not None
        ):
            yield FOLLOWS.effect(
                subject=f"{new.key.title} version", path=new.path, line=new.at(new.get(*keys) or new.get("spec", "chart")), before=one, after=other or "any",
                severity=Severity.LOW, message=f"{new.key.title} takes whatever version {other or 'is newest'} is instead of {one}.",
            )  # fmt: skip


def _moved(change: Change, old: str, new: str) -> bool:
    """Whether one folder became the other: then the objects are the same."""
    return bool(change.before.list(old)) and not change.after.list(old) and not change.before.list(new)


def _path(text: str) -> str:
    return posixpath.normpath(text).lstrip("./")


def _source(old: Object, new: Object) -> Iterator[Effect]:
    was, now = old.get("spec", "ref"), new.get("spec", "ref")
    fixed = was is not None and any(was.get(key) is not None for key in ("commit", "tag", "digest"))
    if fixed and not (now is not None and any(now.get(key) is not None for key in ("commit", "tag", "digest"))):
        after = next((value.text for _, value in now.entries()), None) if now is not None else None
        yield FOLLOWS.effect(
            subject=new.key.title, path=new.path, line=new.at(now if now is not None else new.get("spec")), after=after or "default branch",
            before=next((value.text for _, value in was.entries()), None) if was is not None else None,
            message=f"{new.key.title} follows {after or 'the default branch'} instead of a fixed version.",
        )  # fmt: skip
    one, other = old.string("spec", "url"), new.string("spec", "url")
    if one and other and _address(one) != _address(other):
        yield FOLLOWS.effect(
            subject=f"{new.key.title} url", path=new.path, line=new.at(new.get("spec", "url")), before=one, after=other,
            message=f"{new.key.title} comes from {other} instead of {one}.",
        )  # fmt: skip
    if old.get("spec", "verify") is not None and new.get("spec", "verify") is None:
        yield FOLLOWS.effect(
            subject=f"{new.key.title} verify", path=new.path, line=new.at(new.get("spec")), before="verify", hazard=Hazard.PROTECTION_REMOVED,
            severity=Severity.HIGH, message=f"Signatures of {new.key.title} are no longer verified.",
        )  # fmt: skip


def _address(url: str) -> str:
    return re.sub(r"^[a-z+]+://(?:[^/@]*@)?", "", url).removesuffix(".git").rstrip("/").lower()


# Helmfile.


def _helmfile(change: Change, file: FileChange) -> Iterator[Effect]:
    if file.old is None or not deployed(file.path):
        return
    old = _releases(change.base_bytes(file), file.base_path)
    new = _releases(change.head_bytes(file), file.path)
    if old is None or new is None:
        return
    elsewhere: set[str] = set()
    for other in change.files:
        if (
            other.path != file.path
            and other.new is not None
            and "helmfile" in other.path
            and other.path.endswith((".yaml", ".yml", ".gotmpl"))
        ):
            elsewhere |= set(_releases(change.head_bytes(other), other.path) or {})
    for name, (line, installed) in old.items():
        here = new.get(name)
        if (here is None and name not in elsewhere) or (here is not None and installed and not here[1]):
            gone = here is None
            yield GONE.effect(
                subject=f"release {name}", path=file.base_path if gone else file.path, line=line if here is None else here[0],
                side=Side.BASE if gone else Side.HEAD, confidence=Confidence.LIKELY if gone else Confidence.CERTAIN,
                facts=(("address", f"helm/{name}"), ("action", "delete")), keeps=f"- name: {name}\n  installed: true",
                message=f"The release {name} leaves the helmfile: nothing updates it any more, and a synchronising run uninstalls it." if gone else f"The release {name} is uninstalled.",
            )  # fmt: skip


def _releases(data: bytes | None, path: str) -> dict[str, tuple[int, bool]] | None:
    """Releases of a helmfile by `namespace/name`: line, and whether they are to be installed; None where the file makes no sense."""
    if data is None:
        return {}
    try:
        try:
            nodes, lines = documents.yaml(data, path), None
        except Unreadable:
            rendered = helm.render(data, path, None)
            text, lines = rendered.text, rendered.lines
            nodes = documents.yaml(text.encode(), path)
        text_of(data, path)
    except Unreadable:
        return None
    out: dict[str, tuple[int, bool]] = {}
    for node in nodes:
        for release in _items(node.get("releases")):
            name = release.string("name")
            if name:
                line = lines[min(release.line, len(lines)) - 1] if lines else release.line
                space = release.string("namespace") or ""
                out[f"{space}/{name}" if space else name] = (line, k8s.truth(release.get("installed")) is not False)
    return out


DETECTOR = Detector(
    name="gitops",
    title="GitOps controllers",
    rules=(GONE, PRUNE, HEAL, CASCADE, PROJECT, FOLLOWS),
    detect=detect,
    group=together,
)
