"""What becomes of each address of a Terraform configuration between two trees: kept, changed, moved, renamed, forgotten, gone or new.

A `Step` is one configuration before and after: a directory's own, the same with a variables file, or a local module as one call sees it.
Order of judging an address: it still stands, `moved`, `removed`, renamed with the same body, gone.
"""

from __future__ import annotations

import posixpath
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from checks.model import Change, Effect, Environment, FileChange, Severity, Side
from checks.places import Place, environment_of, place_of
from checks.readers.hcl import Block, Broken, Expression, scalar
from checks.readers.terraform import ENDINGS, Configuration, Resource, configuration, content, directory_of, references, variables

CALLS = 60
"""Module calls looked into in one change."""
SILENT = frozenset({Place.EXAMPLE, Place.TEST, Place.DOCUMENTATION, Place.VENDORED})
"""What stands there is not applied by itself."""
INSTANCES = 200
"""Instances of one `for_each` that are compared one by one."""
ALIKE = 0.75
"""Share of equal values from which an address that went and one of the same type that came count as one, renamed."""
COMPARED = 60
"""Gone times new addresses of one type that are compared for renames."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing on both sides, with the resolved bodies."""

    old: Resource
    new: Resource
    before: Block
    after: Block

    @property
    def moved(self) -> bool:
        return self.old.address != self.new.address


@dataclass(frozen=True)
class Step:
    """One configuration before and after."""

    directory: str
    """Where it stands at head (or stood, if it is gone)."""
    before: Configuration
    after: Configuration
    through: Resource | None = None
    """The module call through which this is seen."""
    variables_file: str | None = None
    """The variables file this is called with."""
    whole: bool = field(default=False)
    """The directory declares nothing at head any more, or nothing before."""

    @property
    def environment(self) -> Environment | None:
        """The environment a variables file's name speaks of, None where it names none."""
        found = environment_of(self.variables_file or "")
        return None if found is Environment.UNKNOWN else found

    def where(self, resource: Resource, side: Side = Side.HEAD) -> tuple[str, int]:
        """(path, line) to point at for something of this step."""
        if self.variables_file is not None:
            return self.variables_file, 1
        if self.through is not None:
            return self.through.path, self.through.line
        return resource.path, resource.line

    def subject(self, address: str) -> str:
        """The address as it is seen from the directory that was changed."""
        return f"{self.through.address}.{address}" if self.through is not None else address

    @cached_property
    def scope_changed(self) -> bool:
        """Whether any name that values refer to may mean something else now."""
        return (
            self.before.locals != self.after.locals
            or self.before.values != self.after.values
            or {name: placed.block for name, placed in self.before.variables.items()}
            != {name: placed.block for name, placed in self.after.variables.items()}
        )

    @cached_property
    def unreadable(self) -> tuple[frozenset[str], frozenset[str]]:
        """(addresses, paths) at head of which nothing can be said because a block, or a whole file, cannot be read."""
        addresses, paths = set(), set()
        for path, piece in self.after.broken:
            if piece.type == "resource" and len(piece.labels) == 2:
                addresses.add(".".join(piece.labels))
            elif piece.type in ("data", "module") and piece.labels:
                addresses.add(".".join((piece.type, *piece.labels)))
            elif piece.type not in ("variable", "output", "provider", "terraform", "check", "import"):
                paths.add(path)
        return frozenset(addresses), frozenset(paths)

    @cached_property
    def newly_broken(self) -> tuple[tuple[str, Broken], ...]:
        """Pieces that cannot be read at head and did not stand so at base."""
        had = {piece.text for _, piece in self.before.broken}
        return tuple((path, piece) for path, piece in self.after.broken if piece.text not in had)

    def target(self, address: str) -> str | None:
        """Where `moved` blocks take an address, None where they do not speak of it. Indexes are left out, modules kept whole."""
        seen, at = set(), address
        moved = self.after.moved
        while at not in seen:
            seen.add(at)
            found = moved.get(at)
            if found is None:
                # An instance's move speaks for its resource: moved { from = a.b[0]  to = a.b["x"] }.
                found = next((to for source, to in moved.items() if source.startswith(at + ".") and _base(source) == at), None)
            if found is None:
                break
            at = found
            if _base(at) in self.after.resources or _base(at) in self.after.modules:
                return _base(at)
        return at if at != address else None

    @cached_property
    def _sorted(self) -> tuple[tuple[tuple[Resource, Resource], ...], tuple[Resource, ...], tuple[Resource, ...]]:
        """(both sides, left, came)."""
        if self.before.unread or self.after.unread:
            return (), (), ()
        pairs: list[tuple[Resource, Resource]] = []
        left: list[Resource] = []
        taken: set[str] = set()
        addresses, paths = self.unreadable
        for old_table, new_table in ((self.before.resources, self.after.resources), (self.before.modules, self.after.modules)):
            for address, old in old_table.items():
                new = new_table.get(address)
                if new is None:
                    to = self.target(address)
                    if to is not None:
                        new = new_table.get(to)
                        if new is None:
                            continue  # moved into a module or another address that is not declared here
                if new is not None:
                    pairs.append((old, new))
                    taken.add(new.address)
                elif address not in addresses and old.path not in paths:
                    left.append(old)
        broken = {".".join(piece.labels) for _, piece in self.before.broken if piece.labels}
        whole = {path for path, piece in self.before.broken if not piece.labels}
        came = [
            new
            for table in (self.after.resources, self.after.modules)
            for address, new in table.items()
            if address not in taken and address not in broken and new.path not in whole
        ]
        return tuple(pairs), tuple(left), tuple(came)

    @cached_property
    def changed(self) -> tuple[Pair, ...]:
        """What stands on both sides and does not say the same."""
        out = []
        for old, new in self._sorted[0]:
            if not self.scope_changed and old.body == new.body and old.address == new.address:
                continue
            before, after = self.before.body(old), self.after.body(new)
            if before != after or old.address != new.address:
                out.append(Pair(old, new, before, after))
                out += self._each(old, new, before, after)
        return tuple(out)

    def _each(self, old: Resource, new: Resource, before: Block, after: Block) -> Iterator[Pair]:
        """The instances of a `for_each` over a written-out map whose own values change, each as a thing of its own."""
        one, other = before.get("for_each"), after.get("for_each")
        if one is None or other is None or one.kind != "map" or other.kind != "map":
            return
        values = {key.key: value for key, value in one.pairs if key.kind == "literal"}
        for key, value in list(other.pairs)[:INSTANCES]:
            was = values.get(key.key)
            if key.kind != "literal" or was is None or was == value:
                continue
            left, right = self.before.instance(old, key.key, was), self.after.instance(new, key.key, value)
            if left != right:
                suffix = f'["{key.key}"]'
                yield Pair(replace(old, address=old.address + suffix), replace(new, address=new.address + suffix), left, right)

    @cached_property
    def renamed(self) -> tuple[Pair, ...]:
        """Gone here and come there with the same type and nearly the same body, without a `moved` block."""
        _, left, came = self._sorted
        types: dict[str, tuple[list[Resource], list[Resource]]] = {}
        removed = self.after.removed
        for old in left:
            if old.address not in removed:
                types.setdefault(old.type, ([], []))[0].append(old)
        for new in came:
            if new.type in types:
                types[new.type][1].append(new)
        found = []
        for olds, news in types.values():
            if not news or len(olds) * len(news) > COMPARED:
                continue
            ranked = sorted(
                ((_alike(self.before.body(old), self.after.body(new)), old.address, new.address) for old in olds for new in news),
                key=lambda row: (-row[0], row[1], row[2]),
            )
            used: set[str] = set()
            for share, source, to in ranked:
                if share >= ALIKE and source not in used and to not in used:
                    used |= {source, to}
                    old = next(one for one in olds if one.address == source)
                    new = next(one for one in news if one.address == to)
                    found.append(Pair(old, new, self.before.body(old), self.after.body(new)))
        return tuple(found)

    @cached_property
    def gone(self) -> tuple[Resource, ...]:
        """What stood at base and neither stands, nor was moved, nor renamed; `removed` blocks are not looked at."""
        renamed = {pair.old.address for pair in self.renamed}
        return tuple(old for old in self._sorted[1] if old.address not in renamed)

    @cached_property
    def new(self) -> tuple[Resource, ...]:
        """What stands at head only."""
        renamed = {pair.new.address for pair in self.renamed}
        return tuple(new for new in self._sorted[2] if new.address not in renamed)

    @property
    def kept(self) -> Iterator[Pair]:
        """Everything that changed in place, renames included."""
        yield from self.changed
        yield from self.renamed


def companion(configuration: Configuration, resource: Resource, resource_type: str) -> Resource | None:
    """A resource of another type that refers to this one: what used to be an argument of a bucket is a resource of its own now."""
    address = resource.address.partition("[")[0]
    for other in configuration.resources.values():
        if other.type == resource_type and any(name == address or name.startswith(address + ".") for name in references(other.body)):
            return other
    return None


def _base(address: str) -> str:
    """A resource's or call's address without its index; something inside a module as it is."""
    parts = address.split(".")
    if parts[0] == "module" and len(parts) > 3:
        return address
    return ".".join(parts[:2])


def _alike(one: Block, other: Block) -> float:
    """The share of arguments, nested blocks included, that say the same."""
    left, right = _sayings(one), _sayings(other)
    if not left and not right:
        return 1.0
    return len(left & right) / max(len(left), len(right))


def _sayings(block: Block) -> set[str]:
    return {f"{name} = {value.text}" for name, value in block.attributes.items()} | {
        f"{child.type} {content(child)}" for child in block.blocks if child.type != "lifecycle"
    }


_KEY = re.compile(r"\[\"[^\"]*\"\]")
Judge = Callable[[Step], Iterable[Effect]]


def judged(found: Iterable[Step], judge: Judge) -> Iterator[Effect]:
    """The effects of every step of a change, each thing once: what a directory says of itself is not said again for its variables files."""
    said: set[tuple[str, str, str]] = set()
    for step in found:
        for effect in judge(step):
            name = effect.subject.rpartition("module.")[2] if step.through is not None else effect.subject
            key = (effect.rule, step.directory, name)
            whole = (effect.rule, step.directory, _KEY.sub("", name))
            if whole != key and whole in said:
                continue  # the resource as a whole says it already
            if key in said and (step.through is not None or step.variables_file is not None):
                continue
            said.add(key)
            if step.environment is not None and effect.environment is None:
                effect = replace(effect, environment=step.environment)
            yield effect


KEPT = 5_000
"""Steps of one change that are kept for the next detector that asks."""
_kept: list[tuple[weakref.ref[Change], tuple[FileChange, ...], tuple[Step, ...]]] = []


def steps(change: Change, files: Sequence[FileChange]) -> Iterable[Step]:
    """Every configuration that `files` touch, before and after: directories first, then variables files, then module calls.

    Several detectors look at the same steps, so those of the last change are kept as long as the change lives.
    """
    names = tuple(files)
    for of, paths, found in _kept:
        if of() is change and paths == names:
            return found
    found = tuple(_steps(change, files))
    if len(found) <= KEPT:
        _kept[:] = [(weakref.ref(change, _forget), names, found)]
    return found


def _forget(of: weakref.ref[Change]) -> None:
    _kept[:] = [row for row in _kept if row[0] is not of]


def _steps(change: Change, files: Sequence[FileChange]) -> Iterator[Step]:
    directories: dict[str, None] = {}
    variables_files: dict[str, FileChange] = {}
    for file in files:
        for path in dict.fromkeys((file.base_path, file.path)):
            if path.endswith(ENDINGS) or _automatic(path):
                directories[directory_of(path)] = None
            elif path.endswith((".tfvars", ".tfvars.json")):
                variables_files[file.path] = file
    found: list[Step] = []
    for base, head in _paired(change, files, tuple(directories)):
        if place_of(head + "/x") in SILENT:
            continue
        before, after = configuration(change.before, base), configuration(change.after, head)
        step = Step(head, before, after, whole=not before or not after)
        found.append(step)
        yield step
    for path, file in variables_files.items():
        if place_of(path) in SILENT:
            continue
        owner = next((folder for folder in _upwards(directory_of(path)) if configuration(change.after, folder).variables), None)
        if owner is None:
            continue
        old = variables(change.before, file.base_path) if file.old is not None else {}
        new = variables(change.after, file.path) if file.new is not None else {}
        if old and new:
            before = configuration(change.before, owner).with_values(old)
            yield Step(owner, before, configuration(change.after, owner).with_values(new), variables_file=path)
    yield from _calls(change, found, frozenset(directories))


def _automatic(path: str) -> bool:
    return path.rpartition("/")[2] in ("terraform.tfvars", "terraform.tfvars.json") or path.endswith((".auto.tfvars", ".auto.tfvars.json"))


def _upwards(folder: str) -> Iterator[str]:
    for _ in range(4):
        yield folder
        if not folder:
            return
        folder = directory_of(folder)


def _paired(change: Change, files: Sequence[FileChange], directories: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(directory at base, at head): a directory whose files all went to one new directory was moved, not removed."""
    moved: dict[str, str] = {}
    for directory in directories:
        if _declares(change.after, directory) or not _declares(change.before, directory):
            continue
        here = [file for file in files if file.base_path.endswith(ENDINGS) and directory_of(file.base_path) == directory]
        targets = Counter(directory_of(file.path) for file in here if file.renamed)
        for target, count in targets.most_common(1):
            fresh = _declares(change.after, target) and not _declares(change.before, target)
            if fresh and 2 * count > len(here) and (place_of(target + "/x") in SILENT) == (place_of(directory + "/x") in SILENT):
                moved[directory] = target
    for directory in directories:
        if directory in moved:
            yield directory, moved[directory]
        elif directory not in moved.values():
            yield directory, directory


def _declares(tree: object, directory: str) -> bool:
    return any(name.endswith(ENDINGS) and entry.is_file for name, entry in tree.list(directory).items())  # type: ignore[attr-defined]


def local_source(directory: str, call: Resource) -> str | None:
    """The directory a module call takes its module from, None where it is not in this repository."""
    source = call.body.get("source")
    if source is None or not isinstance(source.value, str) or not source.value.startswith(("./", "../")):
        return None
    path = posixpath.normpath(posixpath.join(directory, source.value))
    return None if path.startswith("..") else "" if path == "." else path


_META = frozenset({"source", "version", "count", "for_each", "providers", "depends_on"})


def _calls(change: Change, found: Iterable[Step], changed: frozenset[str]) -> Iterator[Step]:
    """Local modules as a changed call sees them: its arguments in place of the defaults. A module that changes itself is judged where it stands."""
    budget = CALLS
    for step in found:
        for pair in step.changed:
            if pair.new.type != "module":
                continue
            base, head = local_source(step.before.directory, pair.old), local_source(step.directory, pair.new)
            if base is None or head is None or head in changed:
                continue
            old, new = _arguments(pair.before), _arguments(pair.after)
            if old == new and base == head:
                continue
            budget -= 1
            if budget < 0:
                return
            before = configuration(change.before, base).with_values(old)
            after = configuration(change.after, head).with_values(new)
            if before and after:
                yield Step(step.directory, before, after, through=pair.new)


def _arguments(call: Block) -> Mapping[str, Expression]:
    return {name: value for name, value in call.attributes.items() if name not in _META}


def line_of(resource: Resource, path: str) -> int:
    """The line of an argument, or of the nearest thing round it that stands."""
    at, line = resource.body, resource.line
    for name in path.split("."):
        value = at.get(name)
        if value is not None:
            return value.line
        inner = next(iter(at.nested(name)), None)
        if inner is None:
            return line
        at, line = inner, inner.line
    return line


def written(values: Sequence[Expression] | None, default: str) -> tuple[str | None, bool]:
    """(the worst known value or None, whether it was written out)."""
    if not values:
        return default, True
    if any(value.kind != "literal" for value in values):
        return None, False
    return scalar(values[-1].value), not any(value.assumed for value in values)


SINGLE = 4
"""Effects of one rule that are told one by one before they are told together."""
_TOGETHER = frozenset({Severity.LOW, Severity.MODERATE})


def collapsed(effects: Iterable[Effect]) -> Iterator[Effect]:
    """One effect in place of many mild ones of a rule in one configuration: the first, naming the others, with all their addresses as facts."""
    groups: dict[tuple[str, str | None], list[Effect]] = {}
    for effect in effects:
        mild = effect.severity in _TOGETHER and effect.fact("address") is not None
        groups.setdefault((effect.rule, effect.fact("directory")) if mild else (effect.id, str(effect.line)), []).append(effect)
    for members in groups.values():
        if len(members) <= SINGLE:
            yield from members
            continue
        first = max(members, key=lambda effect: effect.severity.rank)
        others = [effect.subject for effect in members if effect is not first]
        named = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        addresses = [fact for effect in members for fact in effect.facts if fact[0] == "address"][:200]
        yield replace(
            first,
            subject=f"{first.subject} and {len(others)} more",
            message=f"{first.message} The same holds for {named}."[:600],
            facts=(*addresses, *(fact for fact in first.facts if fact[0] != "address")),
        )


def said_once(effects: Iterable[Effect]) -> Iterator[Effect]:
    """What is the same in many directories (a version raised everywhere) as one effect."""
    groups: dict[tuple[str, str | None, str | None], list[Effect]] = {}
    for effect in effects:
        groups.setdefault((effect.rule, effect.before, effect.after), []).append(effect)
    for members in groups.values():
        first = members[0]
        more = len(members) - 1
        yield first if not more else replace(first, message=f"{first.message} The same in {more} more place{'s' * (more > 1)}."[:600])
