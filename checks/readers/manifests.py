"""The Kubernetes objects of a change: every object at base beside the same object at head, wherever it moved to.

Only changed files are read, and the templates of a chart whose default values changed. An object keeps its identity across files, so
moving a manifest removes nothing; where it left a file, its neighbours are looked at, within bounds.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from checks.model import Change, Effect, FileChange, Side, Tree, Unreadable
from checks.places import Place, environment_of, place_of
from checks.readers import kubernetes, kustomize
from checks.readers.kubernetes import Key, Object, Unread

TEMPLATES = 300
"""Templates of one chart that are rendered because its values changed."""
NEIGHBOURS = 150
"""Files looked at to find an object that left its file."""
BESIDE = 40
"""Files of one folder looked at to find out whether an object is new there."""
ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One object at base and at head; one of the two may be missing."""

    old: Object | None
    new: Object | None

    @property
    def some(self) -> Object:
        """The object at head, or where it is gone the one at base."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def key(self) -> Key:
        return self.some.key

    @property
    def side(self) -> Side:
        return Side.HEAD if self.new is not None else Side.BASE


@dataclass(frozen=True, slots=True, eq=False)
class Manifests:
    """What a change holds of Kubernetes objects."""

    pairs: tuple[Pair, ...]
    unread: tuple[tuple[str, Side, Unread, bool], ...]
    """(path, side, what, whether the file could not be read at base either): what cannot be read at head (or no longer exists and could not be read at base) and is not the same text at base."""

    def of(self, *kinds: str) -> Iterator[Pair]:
        """The pairs of some kinds."""
        return (pair for pair in self.pairs if pair.some.kind in kinds)


def deployed(path: str) -> bool:
    """Whether objects in a file can reach a cluster: not those of tests, examples, documentation and vendored code."""
    return place_of(path) is Place.DEPLOYED and not path.startswith(".github/") and "/ci/" not in path


def chart_of(path: str, tree: Tree) -> str | None:
    """The folder of the Helm chart whose template `path` is, None for any other file."""
    root, found, _ = path.rpartition("/templates/")
    if not found and path.startswith("templates/"):
        root, found = "", "/"
    while found:
        if tree.entry(posixpath.join(root, "Chart.yaml")) is not None:
            return root
        root, found, _ = root.rpartition("/templates/")
    return None


def manifests(change: Change, files: Sequence[FileChange]) -> Manifests:
    """The objects of the changed files (and of charts whose values changed), paired."""
    before: dict[str, list[Object]] = {}
    after: dict[str, list[Object]] = {}
    unread: list[tuple[str, Side, Unread, bool]] = []
    torn: set[str] = set()
    for old_path, new_path in sorted(_places(change, files), key=str):
        old = _file(change.before, old_path)
        new = _file(change.after, new_path)
        if old is None and new is None:
            continue
        here = new_path or old_path or ""
        before.setdefault(here, []).extend(old.objects if old else ())
        after.setdefault(here, []).extend(new.objects if new else ())
        known = {item.text for item in old.unread} if old else set()
        unread.extend((here, Side.HEAD, item, bool(known)) for item in (new.unread if new else ()) if item.text not in known)
        if (new is not None and new.unread) or (old is not None and old.unread):
            torn.add(here)
        if new is None and old is not None:
            unread.extend((here, Side.BASE, item, True) for item in old.unread)
    # What one side of a file hides, the other side neither adds nor removes.
    pairs = (
        pair for pair in _paired(change, before, after) if (pair.old is not None and pair.new is not None) or pair.some.path not in torn
    )
    return Manifests(tuple(pairs), tuple(unread))


def _places(change: Change, files: Sequence[FileChange]) -> set[tuple[str | None, str | None]]:
    """(path at base, path at head) of every file to read."""
    out: set[tuple[str | None, str | None]] = set()
    for file in files:
        if not file.path.endswith(ENDINGS) and not file.base_path.endswith(ENDINGS):
            continue
        old = file.base_path if file.old is not None and file.old.is_file and deployed(file.base_path) else None
        new = file.path if file.new is not None and file.new.is_file and deployed(file.path) else None
        if old or new:
            out.add((old, new))
        if posixpath.basename(file.path) == "values.yaml" and file.old is not None and file.new is not None and deployed(file.path):
            out |= {(path, path) for path in _templates(change.after, posixpath.dirname(file.path)) if path not in change.by_path}
    return out


def _templates(tree: Tree, root: str) -> list[str]:
    if tree.entry(posixpath.join(root, "Chart.yaml")) is None:
        return []
    found: list[str] = []
    waiting = [posixpath.join(root, "templates")]
    while waiting and len(found) < TEMPLATES:
        directory = waiting.pop()
        for name, entry in tree.list(directory).items():
            path = f"{directory}/{name}"
            if entry.is_directory and name != "tests":
                waiting.append(path)
            elif entry.is_file and name.endswith(ENDINGS):
                found.append(path)
    return found


def _file(tree: Tree, path: str | None) -> kubernetes.File | None:
    if path is None:
        return None
    try:
        data = tree.read(path)
        if data is None:
            return None
        chart = chart_of(path, tree)
        values = tree.read(posixpath.join(chart, "values.yaml")) if chart is not None else None
        return kubernetes.read(data, path, values, chart is not None)
    except Unreadable as unreadable:
        return kubernetes.File(unread=(Unread(unreadable.line or 1, unreadable.why, unreadable.why),))


def _paired(change: Change, before: dict[str, list[Object]], after: dict[str, list[Object]]) -> Iterator[Pair]:
    gone: list[Object] = []
    come: list[Object] = []
    for path, olds in before.items():
        news = list(after.get(path, ()))
        left: list[Object] = []
        for old in olds:
            match = next((new for new in news if new.key == old.key), None)
            if match is None:
                left.append(old)
            else:
                news.remove(match)
                yield Pair(old, match)
        for old in left:
            match = next((new for new in news if _same_but_group(old.key, new.key)), None)
            if match is None:
                gone.append(old)
            else:
                news.remove(match)
                yield Pair(old, match)
        come.extend(news)
    for path, news in after.items():
        if path not in before:
            come.extend(news)
    for same in (lambda old, new: old == new, _same_but_group):
        rest: list[Object] = []
        for old in gone:
            # Of several copies the one in the same environment, then the nearest: overlays hold the same object many times.
            candidates = [new for new in come if same(old.key, new.key) and environment_of(new.path) is environment_of(old.path)]
            best = max(candidates, key=lambda new: len(posixpath.commonprefix((old.path, new.path))), default=None)
            if best is None:
                rest.append(old)
            else:
                come.remove(best)
                yield Pair(old, best)
        gone = rest
    for old in gone:
        if not _stands_elsewhere(change, old):
            yield Pair(old, None)
    beside = _Beside(change)
    for new in come:
        yield Pair(beside.twin(new), new)


class _Beside:
    """Objects that stood at base in the files of a folder: a bundle that repeats them adds nothing."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.folders: dict[str, dict[Key, Object]] = {}

    def twin(self, new: Object) -> Object | None:
        """The same object in another file of the same folder at base."""
        if new.templated:
            return None
        folder = posixpath.dirname(new.path)
        if folder not in self.folders:
            self.folders[folder] = dict(self._objects(folder))
        return self.folders[folder].get(new.key)

    def _objects(self, folder: str) -> Iterator[tuple[Key, Object]]:
        tree = self.change.before
        names = [name for name, entry in tree.list(folder).items() if entry.is_file and name.endswith(ENDINGS[:2])]
        for name in names[:BESIDE]:
            path = posixpath.join(folder, name)
            found = _file(tree, path) if deployed(path) else None
            for item in found.objects if found is not None else ():
                if kustomize.role_of(tree, path) != "patch":
                    yield item.key, item


def _same_but_group(old: Key, new: Key) -> bool:
    """The same object in another API group (`extensions` became `apps`), or with its namespace now written out."""
    namespaces = old.namespace == new.namespace or not old.namespace or not new.namespace
    return old.kind == new.kind and old.name == new.name and namespaces


def _stands_elsewhere(change: Change, gone: Object) -> bool:
    """Whether an unchanged file near the one it left holds the same object."""
    name = gone.key.name.encode()
    # The same name without a namespace is another application's object as soon as one leaves the folder.
    for path in _neighbours(change.after, posixpath.dirname(gone.path), wide=bool(gone.key.namespace)):
        if path in change.by_path or not deployed(path) or environment_of(path) is not environment_of(gone.path):
            continue
        try:
            data = change.after.read(path)
        except Unreadable:
            continue
        if data is None or (not gone.templated and name not in data) or gone.kind.encode() not in data:
            continue
        found = _file(change.after, path)
        if found is not None and any(item.key == gone.key for item in found.objects) and kustomize.role_of(change.after, path) != "patch":
            return True
    return False


def covered_by_removed(found: Manifests) -> tuple[str, ...]:
    """Folders (each with a slash at its end) whose Argo CD Application or Flux Kustomization is gone: what stands there went with it."""
    out: list[str] = []
    for pair in found.of("Application", "Kustomization"):
        if pair.old is None or pair.new is not None:
            continue
        paths = [pair.old.string("spec", "path"), pair.old.string("spec", "source", "path")]
        out += [posixpath.normpath(path).lstrip("./") + "/" for path in paths if path]
    return tuple(folder for folder in out if folder != "/")


def once(effects: Iterable[Effect]) -> Iterator[Effect]:
    """Each effect once where the same is said of several copies of a manifest in the same environment: bundles repeat what parts say."""
    first: dict[tuple[object, ...], list[Effect]] = {}
    for effect in effects:
        first.setdefault((effect.rule, effect.subject, effect.before, effect.after, environment_of(effect.path)), []).append(effect)
    for same in first.values():
        others = len({effect.path for effect in same} - {same[0].path})
        yield replace(same[0], message=f"{same[0].message} (The same stands in {others} more files.)") if others else same[0]


def _neighbours(tree: Tree, directory: str, wide: bool) -> Iterator[str]:
    """YAML files of a folder, of the folders in it, and if `wide` of the folders above and beside it: at most `NEIGHBOURS`."""
    seen: set[str] = set()
    parent = posixpath.dirname(directory)
    for start in (directory, parent) if directory and wide else (directory,):
        folders = [start]
        for name, entry in tree.list(start).items():
            path = posixpath.join(start, name)
            if entry.is_directory and start:
                folders.append(path)
        for folder in folders[:40]:
            for name, entry in tree.list(folder).items():
                path = posixpath.join(folder, name)
                if entry.is_file and name.endswith(ENDINGS[:2]) and path not in seen:
                    seen.add(path)
                    yield path
                    if len(seen) >= NEIGHBOURS:
                        return
