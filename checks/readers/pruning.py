"""Whether something deletes what leaves the repository: Argo CD's Applications and Flux's Kustomizations that stand in the same repository.

Sources: argo-cd.readthedocs.io/en/stable/user-guide/auto_sync (prune), fluxcd.io/flux/components/kustomize/kustomizations (spec.prune).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from checks.model import Tree, Unreadable
from checks.readers import kubernetes
from checks.readers.kubernetes import Object

FILES = 150
"""Files looked at."""
_FOLDERS = frozenset(
    {
        "clusters", "cluster", "argocd", "argo-cd", "argo", "gitops", "apps", "applications", "applicationsets", "flux", "flux-system", "bootstrap",
        "infrastructure", "deploy", "deployments", "k8s", "kubernetes", "manifests", "base", "projects", "environments", "envs",
    }
)  # fmt: skip


def prunes(tree: Tree, path: str) -> bool | None:
    """True if a controller of this repository that covers `path` prunes, False if all that cover it are told not to, None if none is known."""
    said = [prune for folder, prune in _sources(tree) if not folder or path == folder or path.startswith(folder + "/")]
    return None if not said else any(said)


def _sources(tree: Tree) -> Iterator[tuple[str, bool]]:
    for found in _controllers(tree):
        spec = found.get("spec")
        if found.key.group == "argoproj.io" and found.kind == "Application":
            prune = kubernetes.truth(found.get("spec", "syncPolicy", "automated", "prune")) is True
            sources = [found.get("spec", "source"), *((found.get("spec", "sources") or found.node).items or ())]
            for source in sources:
                if source is not None and (folder := source.string("path")):
                    yield posixpath.normpath(folder).removeprefix("./").removeprefix("."), prune
        elif spec is not None and found.key.group == "kustomize.toolkit.fluxcd.io":
            yield posixpath.normpath(spec.string("path") or ".").lstrip("./"), kubernetes.truth(spec.get("prune")) is True


def _controllers(tree: Tree) -> Iterator[Object]:
    waiting = [(name, 1) for name, entry in tree.list("").items() if entry.is_directory and name.lower() in _FOLDERS]
    files = 0
    while waiting:
        folder, depth = waiting.pop(0)
        for name, entry in tree.list(folder).items():
            path = f"{folder}/{name}"
            if entry.is_directory and depth < 4:
                waiting.append((path, depth + 1))
            elif entry.is_file and name.endswith((".yaml", ".yml")):
                files += 1
                if files > FILES:
                    return
                try:
                    data = tree.read(path)
                except Unreadable:
                    continue
                if data is not None and (b"argoproj.io" in data or b"kustomize.toolkit.fluxcd.io" in data):
                    yield from kubernetes.read(data, path).objects
