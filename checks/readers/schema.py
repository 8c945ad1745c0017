"""The new migrations of a change, folded in order: which of their operations meet something that stood before the change.

A table that the same change creates, fills and drops is no loss; an object that is dropped and made again is replaced, not gone. What stood
before is looked up in the older migrations beside the new ones, and only in those that name it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from checks.model import Change, FileChange, Tree, Unreadable
from checks.readers.migrations import Back, Migration, framework_of, is_down, partner, read, version_of
from checks.readers.sql import Operation, Unread, name_of

OLDER = 600
"""Older migrations whose bytes are searched for a name."""
_NESTED = ("migration.sql", "up.sql", "down.sql")
_MEMBERS = frozenset({"column", "index", "constraint", "trigger", "policy", "rule", "partition", "value"})


@dataclass(frozen=True, slots=True)
class Step:
    """An operation of a new (or newly written) part of a migration, and what is known of what it meets."""

    path: str
    operation: Operation
    fresh: bool
    """Its table, or the object itself, is created in this change."""
    again: Operation | None = None
    """The later operation of the change that makes the dropped object again."""
    rebuilt: bool = False
    """The dropped table's place is taken by a fresh one (the copy-and-drop of SQLite)."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A migration that stood at base and is changed, gone, or under another name at head."""

    path: str
    how: str
    """edited, deleted or renamed."""
    before: tuple[Operation, ...] = ()
    after: tuple[Operation, ...] = ()
    base_path: str = ""


@dataclass
class Sequenced:
    """What the migrations of a change do."""

    steps: list[Step] = field(default_factory=list)
    new: list[Migration] = field(default_factory=list)
    rewritten: list[Rewritten] = field(default_factory=list)
    unread: list[tuple[str, Unread]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    history: History | None = None

    @cached_property
    def shown_full(self) -> frozenset[str]:
        """The columns of which a CHECK that this change validates, made here or in an older migration, shows that no row leaves them empty."""
        made = {step.operation.name: step.operation for step in self.steps if step.operation.get("not null")}
        proofs = [
            made.get(step.operation.name) or self.definition(step.path, step.operation)
            for step in self.steps
            if step.operation.verb == "validate"
        ]
        return frozenset(name for proof in proofs if proof is not None and (name := proof.get("not null")))

    def definition(self, path: str, wanted: Operation) -> Operation | None:
        """The last operation before the change that created what `wanted` names, from the older migrations beside `path`."""
        return self.history.definition(path, wanted) if self.history else None


def sequence(change: Change, files: Iterable[FileChange]) -> Sequenced:
    """All that the migrations among `files` do, in the order they run: worked out once for all detectors that ask."""
    key = ("sequence", tuple(files))
    if key not in change.memo:
        change.memo[key] = _sequenced(change, key[1])
    found: Sequenced = change.memo[key]
    return found


def _sequenced(change: Change, files: Iterable[FileChange]) -> Sequenced:
    history = History(change.before)
    out = Sequenced(history=history)
    planned: list[tuple[Migration, Sequence[Operation]]] = []
    own: dict[str, frozenset[str]] = {}
    known: Counter[tuple[object, ...]] = Counter()
    for file in sorted(files, key=lambda file: version_of(file.path)):
        before, after = _side(change, file, old=True, out=out), _side(change, file, old=False, out=out)
        if before is None and after is None:
            continue
        if before is None and after is not None and file.old is not None and framework_of(file.base_path) and file.base_path == file.path:
            # It could not be read, or was no migration, at base: everything in it counts as new.
            pass
        if after is None and before is not None:
            known.update(map(_key, before.up))
            if before.up and before.framework != "declared":
                out.rewritten.append(Rewritten(file.path, "deleted", before.up))
            continue
        assert after is not None
        if before is None:
            planned.append((after, after.up))
            out.new.append(after)
            out.unread += [(file.path, item) for item in after.unread]
            continue
        old = Counter(map(_key, before.up))
        added = []
        for operation in after.up:
            if old[_key(operation)]:
                old[_key(operation)] -= 1
            else:
                added.append(operation)
        lost = sum(old.values())
        seen = {item.text for item in before.unread}
        out.unread += [(file.path, item) for item in after.unread if item.text not in seen]
        if added:
            planned.append((after, after.up))
        if after.framework == "declared":
            pass
        elif (
            file.base_path.rpartition("/")[2] != file.path.rpartition("/")[2]
            and version_of(file.base_path)[1:] != version_of(file.path)[1:]
        ):
            out.rewritten.append(Rewritten(file.path, "renamed", before.up, after.up, file.base_path))
        elif added or lost:
            out.rewritten.append(Rewritten(file.path, "edited", before.up, after.up))
        if added:
            planned[-1] = (after, tuple(added))
            own[after.path] = _tables(before.up) & _tables(after.up)
            back = Back.NEVER if after.back is before.back else after.back
            out.new.append(Migration(after.path, after.framework, tuple(added), (), back, after.back_line, after.down))
    folders: dict[str, list[tuple[Migration, Sequence[Operation]]]] = {}
    for migration, ups in planned:
        folders.setdefault(folder_of(migration.path), []).append((migration, ups))
    out.steps = [step for members in folders.values() for step in _fold(history, members, known, own)]
    return out


def _tables(operations: Iterable[Operation]) -> frozenset[str]:
    """The tables that some operations create."""
    return frozenset(operation.name for operation in operations if operation.verb == "create" and operation.kind == "table")


def folder_of(path: str) -> str:
    """The folder whose migrations run against one database."""
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[0] if name in _NESTED else folder


def _key(operation: Operation) -> tuple[object, ...]:
    return (operation.verb, operation.kind, operation.table, operation.name, operation.details)


def _side(change: Change, file: FileChange, old: bool, out: Sequenced) -> Migration | None:
    entry, path, tree = (file.old, file.base_path, change.before) if old else (file.new, file.path, change.after)
    if entry is None or not entry.is_file or not framework_of(path) or is_down(path):
        return None
    if framework_of(path) == "numbered" and not _numbered_folder(tree, path):
        return None
    try:
        data = tree.read(path)
        if data is None:
            return None
        other = partner(path)
        return read(data, path, tree.read(other) if other else None)
    except Unreadable as unreadable:
        if not old:
            out.unreadable.append(unreadable)
        return None


def _numbered_folder(tree: Tree, path: str) -> bool:
    """Whether a numbered file stands among others: one alone is only a file whose name starts with a digit."""
    folder = path.rpartition("/")[0]
    return sum(name[:1].isdigit() and name.lower().endswith(".sql") for name in tree.list(folder)) > 1


# ------------------------------------------------------------------------------------------------------------------------- fold


def same_name(one: str, other: str) -> bool:
    """Whether two names can mean one object: equal, or equal but for a schema that only one of them gives."""
    if one == other:
        return True
    return one.count(".") != other.count(".") and one.rpartition(".")[2] == other.rpartition(".")[2]


class _Fresh:
    """What this change has created so far."""

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self._by_last: dict[str, set[str]] = {}
        self._members: dict[tuple[str, str], set[str]] = {}

    def add_table(self, name: str) -> None:
        self.tables.add(name)
        self._by_last.setdefault(name.rpartition(".")[2], set()).add(name)

    def add_member(self, kind: str, table: str, name: str) -> None:
        self._members.setdefault((kind, name), set()).add(table)

    def table(self, name: str) -> bool:
        return name in self.tables or any(same_name(name, other) for other in self._by_last.get(name.rpartition(".")[2], ()))

    def member(self, kind: str, table: str, name: str) -> bool:
        tables = self._members.get((kind, name), ())
        return table in tables or any(not table or not other or same_name(table, other) for other in tables)


def _fold(
    history: History,
    planned: Sequence[tuple[Migration, Sequence[Operation]]],
    known: Counter[tuple[object, ...]],
    own: Mapping[str, frozenset[str]],
) -> Iterator[Step]:
    """The steps of one folder's migrations. `own`: the tables that an edited migration made already at base, by its path."""
    flat = [(migration, operation) for migration, ups in planned for operation in ups]
    swapped = _swapped([operation for _, operation in flat])
    made_later: dict[tuple[str, str], list[int]] = {}
    renamed_to: dict[str, list[int]] = {}
    for index, (_, operation) in enumerate(flat):
        if operation.verb == "create":
            made_later.setdefault((operation.kind, operation.name.rpartition(".")[2]), []).append(index)
        if operation.verb == "rename" and operation.kind == "table":
            renamed_to.setdefault(operation.get("to").rpartition(".")[2].lower(), []).append(index)
    fresh = _Fresh()
    for index, (migration, operation) in enumerate(flat):
        kind, table, name = operation.kind, operation.table, operation.name
        if known[_key(operation)] > 0:
            # The same operation stood in a migration that this change deletes: it moved, it is not new.
            known[_key(operation)] -= 1
            if operation.verb == "create":
                _note(fresh, operation)
            continue
        # Where an edited migration has run it does not run again, and where it has not its own tables are still empty.
        is_fresh = bool(table) and (fresh.table(table) or table in own.get(migration.path, ()))
        if is_fresh and table not in fresh.tables and table not in own.get(migration.path, ()):
            # Made under another schema's name: the same table only if no older one has this name.
            is_fresh = history.definition(migration.path, Operation("create", "table", table, table, 0)) is None
        if kind in _MEMBERS or kind not in ("table", "rows"):
            is_fresh = is_fresh or fresh.member(kind, table, name)
        again, rebuilt = None, False
        if index in swapped and operation.verb == "rename" and is_fresh:
            # A thing of this change's own: whatever happens to it under its new name is no loss.
            swapped = {at: pair for at, pair in swapped.items() if pair is not swapped[index]}
        if index in swapped:
            # Renamed out of the way, another put in its place, and dropped under the second name: the first name is what is replaced.
            if operation.verb == "rename":
                is_fresh = True
            else:
                operation, again = swapped[index]
                rebuilt = kind == "table" and again is not None
        elif operation.verb == "drop":
            later = [at for at in made_later.get((kind, name.rpartition(".")[2]), ()) if at > index and _same_place(flat[at][1], operation)]
            again = flat[later[0]][1] if later else None
            takers = [at for at in renamed_to.get(name.rpartition(".")[2], ()) if at > index] if kind == "table" else []
            rebuilt = any(_was_made(flat, flat[at][1].table, at) for at in takers)
        yield Step(migration.path, operation, is_fresh, again, rebuilt)
        if operation.verb == "create" and not (
            operation.get("if absent") and kind in ("table", "column") and history.definition(migration.path, operation)
        ):
            _note(fresh, operation)
        elif operation.verb == "rename" and is_fresh and index not in swapped:
            _note(fresh, Operation("create", kind, operation.get("to") if kind == "table" else table, operation.get("to").lower(), 0))
        elif operation.verb == "rename" and kind == "column":
            pass


def _swapped(flat: Sequence[Operation]) -> dict[int, tuple[Operation, Operation | None]]:
    """Renames whose new name is dropped later, and those drops told of the old name, with what took its place."""
    found: dict[int, tuple[Operation, Operation | None]] = {}
    for index, renamed in enumerate(flat):
        if renamed.verb != "rename" or renamed.kind not in ("table", "type", "index", "view", "constraint"):
            continue
        to = name_of(renamed.get("to")).rpartition(".")[2]
        for at in range(index + 1, len(flat)):
            dropped = flat[at]
            if dropped.verb == "drop" and dropped.kind == renamed.kind and dropped.name.rpartition(".")[2] == to:
                taker = next((other for other in flat if other is not renamed and _takes(other, renamed)), None)
                if taker is not None and taker.verb == "rename":
                    taker = next(
                        (other for other in flat if other.verb == "create" and other.kind == taker.kind and other.name == taker.name), taker
                    )
                told = replace(dropped, name=renamed.name, table=renamed.name if renamed.kind == "table" else dropped.table)
                found[index] = found[at] = (told, taker)
                break
    return found


def _takes(other: Operation, renamed: Operation) -> bool:
    """Whether an operation puts something in the place of what was renamed."""
    if other.kind != renamed.kind:
        return False
    name = other.name if other.verb == "create" else name_of(other.get("to")) if other.verb == "rename" else ""
    return (bool(name) and same_name(name, renamed.name)) or name.rpartition(".")[2] == renamed.name.rpartition(".")[2] != ""


def _note(fresh: _Fresh, operation: Operation) -> None:
    if operation.kind == "table":
        fresh.add_table(operation.name)
    else:
        fresh.add_member(operation.kind, operation.table, operation.name)


def _same_place(made: Operation, dropped: Operation) -> bool:
    return not made.table or not dropped.table or same_name(made.table, dropped.table)


def _was_made(flat: Sequence[tuple[Migration, Operation]], table: str, before: int) -> bool:
    return any(
        operation.verb == "create" and operation.kind == "table" and same_name(operation.name, table) for _, operation in flat[:before]
    )


# ---------------------------------------------------------------------------------------------------------------------- history


class History:
    """The migrations that stood before the change, read only where they name what is asked for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._listed: dict[tuple[str, str], tuple[str, ...]] = {}

    def definition(self, path: str, wanted: Operation) -> Operation | None:
        """The last state of an object in the older migrations: its creation or, for a column, its last type; None where none is found."""
        words = [_bare(wanted.name), *([_bare(wanted.table).rpartition(b"_")[2]] if wanted.kind == "column" else [])]
        if not words[0]:
            return None
        for older in self.older(path):
            for operation in reversed(self._read(older, words)):
                if operation.kind != wanted.kind or operation.name.rpartition(".")[2] != wanted.name.rpartition(".")[2]:
                    continue
                if wanted.table and operation.table and not same_name(operation.table, wanted.table):
                    continue
                if operation.verb == "create" or (operation.verb == "type" and wanted.kind == "column"):
                    return operation
                if operation.verb == "drop":
                    return None
        return None

    def granted(self, path: str, wanted: Operation) -> bool:
        """Whether an older migration grants the same to the same."""
        words = [_bare(wanted.name.partition(",")[0]), *([_bare(wanted.table)] if wanted.table else [])]
        return any(
            _key(operation) == _key(wanted)
            for older in self.older(path)
            for operation in self._read(older, words)
            if operation.verb == "grant"
        )

    def _read(self, path: str, words: Sequence[bytes]) -> Sequence[Operation]:
        try:
            data = self.tree.read(path)
            if data is None or any(word not in data.lower() for word in words):
                return ()
            migration = read(data, path, None)
        except Unreadable:
            return ()
        return migration.up if migration else ()

    def older(self, path: str) -> tuple[str, ...]:
        """The migrations of the same folder at base, newest first."""
        folder, name = folder_of(path), path.rpartition("/")[2]
        nested = name if name in _NESTED else ""
        if (folder, nested) not in self._listed:
            prefix = folder + "/" if folder else ""
            entries = self.tree.list(folder).items()
            if nested:
                names = [f"{prefix}{name}/{nested}" for name, entry in entries if entry.is_directory]
            else:
                names = [prefix + name for name, entry in entries if entry.is_file and framework_of(prefix + name)]
            self._listed[folder, nested] = tuple(sorted(names, key=version_of, reverse=True)[:OLDER])
        return self._listed[folder, nested]


def _bare(name: str) -> bytes:
    return name.rpartition(".")[2].encode("utf-8", "surrogatepass").lower()


# ------------------------------------------------------------------------------------------------------------------------ types

_INTEGERS = {"tinyint": 1, "smallint": 2, "smallserial": 2, "mediumint": 3, "integer": 4, "serial": 4, "bigint": 8, "bigserial": 8,
             "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}  # fmt: skip
_TEXTS = frozenset({"text", "varchar", "string", "longtext", "mediumtext", "citext", "nvarchar(max)", "clob", "character varying"})


def type_change(old: str, new: str) -> str:
    """same, widened (nothing rewritten), rewritten (all values kept, the table copied), narrowed (values can be refused, cut or lost) or unknown."""
    if old == new:
        return "same"
    if not old or not new:
        return "unknown"
    one, _, one_size = old.partition("(")
    other, _, other_size = new.partition("(")
    if one in _INTEGERS and other in _INTEGERS:
        return "rewritten" if _INTEGERS[one] < _INTEGERS[other] else "narrowed" if _INTEGERS[one] > _INTEGERS[other] else "same"
    strings = ("varchar", "char", "nvarchar", "nchar", "text", "string", "varchar2", "citext", "longtext", "mediumtext", "tinytext")
    if one in strings and other in strings:
        if not other_size and other in _TEXTS:
            return "widened"
        if not one_size and other_size:
            return "narrowed"
        left, right = (_first_number(size) for size in (one_size, other_size))
        return "unknown" if left is None or right is None else "widened" if right >= left else "narrowed"
    if one == other == "numeric":
        if not other_size:
            return "widened"
        if not one_size:
            return "narrowed"
        old_numbers, new_numbers = _numbers(one_size), _numbers(other_size)
        kept = new_numbers[1] >= old_numbers[1] and new_numbers[0] - new_numbers[1] >= old_numbers[0] - old_numbers[1]
        return ("widened" if new_numbers[1] == old_numbers[1] else "rewritten") if kept else "narrowed"
    if new in _TEXTS or (one in _INTEGERS and other in ("numeric", "float", "double precision", "real", "double")):
        return "rewritten"
    if one.startswith("timestamp") and other.startswith("timestamp"):
        return "rewritten"
    if (one, other) in (
        ("json", "jsonb"),
        ("float", "double precision"),
        ("real", "double precision"),
        ("date", "timestamp"),
        ("date", "timestamp with time zone"),
    ):
        return "rewritten"
    return "narrowed"


def _first_number(size: str) -> int | None:
    digits = size.rstrip(")").split(",")[0]
    return int(digits) if digits.isdigit() and len(digits) < 12 else None


def _numbers(size: str) -> tuple[int, int]:
    parts = [int(part) for part in size.rstrip(")").split(",") if part.strip().isdigit()][:2]
    return (parts[0] if parts else 0, parts[1] if len(parts) > 1 else 0)
