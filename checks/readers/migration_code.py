"""Migrations written in a programming language, as the operations their way up asks for.

Rails (guides.rubyonrails.org/active_record_migrations.html), Django (docs.djangoproject.com/en/stable/ref/migration-operations/), Alembic
(alembic.sqlalchemy.org/en/latest/ops.html), knex, Kysely, TypeORM, Sequelize, MikroORM and node-pg-migrate, Ecto (hexdocs.pm/ecto_sql/Ecto.Migration.html),
Laravel (laravel.com/docs/migrations) and Liquibase changelogs (docs.liquibase.com/change-types).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from checks.model import Unreadable
from checks.readers import documents, text_of
from checks.readers.calls import Value, below, program, walk
from checks.readers.documents import Node
from checks.readers.migrations import Back, Migration
from checks.readers.sql import Operation, Script, Unread, name_of, operations, type_of

Made = Operation | Unread


def read(data: bytes, path: str, framework: str) -> Migration | None:
    """The migration in `data`, None where it is none. Raises `Unreadable`."""
    reader = _FRAMEWORKS.get(framework)
    if reader is None or not any(mark in data for mark in _MARKS[framework]):
        return None
    return reader(data, path)


_MARKS: dict[str, tuple[bytes, ...]] = {
    "rails": (b"Migration",),
    "django": (b"migrations.Migration", b"Migration)"),
    "alembic": (b"def upgrade",),
    "script": (b"up", b"pgm"),
    "ecto": (b"Migration",),
    "laravel": (b"Migration",),
    "liquibase": (b"changeSet", b"changeset"),
}


def _migration(path: str, framework: str, up: Iterable[Made], back: Back, back_line: int = 1, down: Iterable[Made] = ()) -> Migration:
    ups = tuple(up)
    return Migration(
        path,
        framework,
        tuple(item for item in ups if isinstance(item, Operation)),
        tuple(item for item in ups if isinstance(item, Unread)),
        back,
        back_line,
        tuple(item for item in down if isinstance(item, Operation)),
    )


def _sql(value: Value | None) -> Iterator[Made]:
    """The operations of SQL given as a string; a string that is not there as such cannot be judged."""
    if value is None:
        return
    value = _unwrapped(value)
    if value.kind == "list":
        for item in value.items:
            yield from _sql(item)
        return
    if value.kind != "text":
        yield Unread(value.line or 1, "it runs SQL that stands elsewhere", value.text[:60] or "SQL")
        return
    script: Script = operations(value.text, "", max(1, value.line))
    yield from script.operations
    yield from script.unread


_AROUND = frozenset({"text", "raw", "sql", "SQL", "DDL", "compile", "dedent", "squish", "strip_heredoc", "strip"})
_BEHIND = frozenset({"squish", "strip_heredoc", "strip", "freeze", "trim", "lstrip", "rstrip"})
_BOUND = frozenset({"bindparams", "execution_options", "columns", "params"})


def _unwrapped(value: Value) -> Value:
    """A statement without what only marks or tidies it: `text("…")`, `dedent("…").strip()`."""
    for _ in range(4):
        if value.kind != "call":
            break
        receiver = value.receiver
        if (
            receiver is not None
            and receiver.kind in ("text", "call")
            and (value.text in _BOUND or (value.text in _BEHIND and not value.items))
        ):
            value = receiver
        elif value.text in _AROUND and value.items:
            value = value.items[0]
        else:
            break
    return value


def _function(values: Sequence[Value], *names: str) -> Value | None:
    return next((value for value in walk(values) if value.kind == "function" and value.text in names), None)


def _raises(function: Value | None) -> bool:
    if function is None:
        return False
    return any(item.kind == "other" and item.text == "raise" for item in function.items[:2]) or any(
        item.kind == "call" and item.text == "raise" for item in function.items[:2]
    )


def _back_of(function: Value | None, missing: Back = Back.MISSING) -> tuple[Back, int]:
    """Whether a way down exists that does something."""
    if function is None:
        return missing, 1
    if _raises(function):
        return Back.RAISES, function.line
    real = [item for item in function.items if item.kind == "call" or any(inner.kind == "call" for inner in walk([item]))]
    return (Back.WRITTEN if real else Back.EMPTY), function.line


def _op(verb: str, kind: str, table: str, name: str, line: int, *details: tuple[str, str], sure: bool = True) -> Operation:
    return Operation(
        verb,
        kind,
        name_of(table),
        name.lower() if kind != "table" else name_of(name),
        max(1, line),
        tuple((key, value) for key, value in details if value),
        sure,
    )


def _constant(value: Value | None) -> str:
    """A literal as written, a computed mark for anything else, "" for none."""
    if value is None:
        return ""
    return value.text if value.kind in ("text", "word") and value.text else "{{computed}}"


# ---------------------------------------------------------------------------------------------------------------------- Python


_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def _settled(values: Sequence[Value], outer: dict[str, Value] | None = None) -> tuple[Value, ...]:
    """A program with each name that stands for a string replaced by it, and `"…".format(…)` by what it gives.

    A name that is given several strings stands for all of them: which one is run is not known.
    """
    names = _strings_named(values, outer or {})
    return tuple(_settled_value(value, names) for value in values)


def _strings_named(values: Sequence[Value], outer: dict[str, Value]) -> dict[str, Value]:
    """`outer`, and the strings that assignments outside of inner functions give to names."""
    names, given = dict(outer), dict[str, list[Value]]()
    stack = list(reversed(values))
    while stack:
        value = stack.pop()
        if value.kind == "function":
            continue
        if value.kind == "other" and value.text[:1] == "=" and len(value.items) == 1:
            written = _unwrapped(_settled_value(value.items[0], names))
            if written.kind == "text":
                found = given.setdefault(value.text[1:], [])
                found.append(written)
                names[value.text[1:]] = written if len(found) == 1 else Value("list", "", found[0].line, tuple(found))
        stack.extend(reversed(tuple(below(value))))
    return names


def _settled_value(value: Value, names: dict[str, Value]) -> Value:
    if value.kind == "function":
        return replace(value, items=_settled(value.items, names))
    if value.kind == "word" and value.receiver is None:
        return names.get(value.text, value)
    if value.kind in ("text", "word") or (value.kind == "other" and not value.items):
        return value
    receiver = value.receiver
    if receiver is not None and value.kind != "other":
        receiver = _settled_value(receiver, names)
    settled = replace(
        value,
        items=tuple(_settled_value(item, names) for item in value.items),
        named=tuple((key, _settled_value(item, names)) for key, item in value.named),
        receiver=receiver,
    )
    return _formatted(settled) if value.kind == "call" and value.text == "format" and receiver is not None else settled


def _formatted(call: Value) -> Value:
    """What `str.format` gives (docs.python.org/3/library/string.html#format-string-syntax); what is not written here is a computed part of it."""
    if call.receiver is None or call.receiver.kind != "text":
        return call
    counted = iter(range(1000))

    def part(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        name = re.split(r"[.\[!:]", match[1], maxsplit=1)[0]
        at = next(counted) if not name else int(name) if name.isdigit() and len(name) < 4 else None
        given = call.option(name) if at is None else call.arg(at)
        written = given is not None and (given.kind == "text" or (given.kind == "word" and given.text.isdigit()))
        return given.text if given is not None and written else "{{computed}}"

    return Value("text", _FIELD.sub(part, call.receiver.text), call.receiver.line, whole=False)


# ------------------------------------------------------------------------------------------------------------------------- Rails

_RAILS_TYPES = {"string": "varchar", "text": "text", "integer": "integer", "bigint": "bigint", "float": "float", "decimal": "numeric", "datetime": "timestamp",
                "timestamp": "timestamp", "timestamptz": "timestamp with time zone", "boolean": "boolean", "binary": "bytea"}  # fmt: skip
_RAILS_QUIET = frozenset(
    {
        "index",
        "check_constraint",
        "foreign_key",
        "timestamps",
        "references",
        "belongs_to",
        "primary_key",
        "unique_constraint",
        "exclusion_constraint",
        "instance_eval",
    }
)


_RAILS_CLASS = re.compile(r"class (?:\w+::)*\w*Migration(?:\[[\d.]+\])?$")


def _rails(data: bytes, path: str) -> Migration | None:
    values = program(data, path)
    classes = [value for value in walk(values) if value.kind == "function" and _RAILS_CLASS.match(value.text)]
    if not classes:
        return None
    body = classes[0].items

    change, up, down = (_function(body, name) for name in ("change", "up", "down"))
    forward = change or up
    if forward is None:
        return _migration(path, "rails", (), Back.NEVER)
    helpers = {value.text: value for value in body if value.kind == "function"}
    made = list(_rails_body(forward.items, helpers, 0))
    if change is not None and up is None:
        back = Back.RAISES if _rails_irreversible(change.items) else Back.AUTOMATIC
        return _migration(path, "rails", made, back, change.line)
    back, line = _back_of(down)
    return _migration(path, "rails", made, back, line)


def _rails_body(values: Sequence[Value], helpers: dict[str, Value], depth: int, sure: bool = True) -> Iterator[Made]:
    for value in values:
        if value.kind == "call":
            if value.text == "down" and value.receiver is not None:
                continue
            made = list(_rails_call(value))
            yield from (replace(item, sure=item.sure and sure) if isinstance(item, Operation) else item for item in made)
            if value.text in ("create_table", "change_table", "create_join_table"):
                continue
            if not value.receiver and value.text in helpers and depth < 3 and value.text not in ("up", "down", "change"):
                yield from _rails_body(helpers[value.text].items, {}, depth + 1, sure)
            yield from _rails_body(tuple(below(value)), helpers, depth, sure)
        elif (
            value.kind == "word"
            and value.receiver is None
            and value.text in helpers
            and depth < 3
            and value.text not in ("up", "down", "change")
        ):
            yield from _rails_body(helpers[value.text].items, {}, depth + 1, sure)
        elif value.kind == "function":
            continue
        else:
            yield from _rails_body(tuple(below(value)), helpers, depth, sure and value.text != "if")


def _rails_type(value: Value | None, call: Value) -> str:
    if value is None or value.kind != "text":
        return ""
    name = _RAILS_TYPES.get(value.text, value.text)
    limit, precision, scale = (_constant(call.option(key)) for key in ("limit", "precision", "scale"))
    if name == "integer" and limit in ("8", "2"):
        return "bigint" if limit == "8" else "smallint"
    if limit and not limit.startswith("{"):
        return f"{name}({limit})"
    return f"{name}({precision},{scale or 0})" if precision and name == "numeric" else name


def _rails_column(table: str, name: str, kind: str, call: Value) -> Operation:
    default, null = call.option("default"), call.option("null")
    volatile = default is not None and default.kind != "text" and bool(re.search(r"random|uuid", str(default.items), re.IGNORECASE))
    return _op(
        "create", "column", table, name, call.line, ("type", kind), ("required", "yes" if null is not None and null.false else ""),
        ("default", "" if default is None or default.null else "set"), ("volatile", "yes" if volatile else ""),
    )  # fmt: skip


def _rails_call(call: Value) -> Iterator[Made]:
    name, line = call.text, call.line
    table, second = call.string(0) or _constant(call.arg(0)), call.string(1) or _constant(call.arg(1))
    there = ("if there", "yes" if (option := call.option("if_exists")) is not None and option.true else "")
    if call.receiver is not None:
        yield from _rails_data(call)
        return
    if name == "drop_table":
        for item in call.items:
            yield _op("drop", "table", _constant(item), _constant(item), line, there)
    elif name == "drop_join_table":
        joined = _constant(call.option("table_name")) or "_".join(sorted((table, second)))
        yield _op("drop", "table", joined, joined, line)
    elif name in ("create_table", "create_join_table"):
        joined = table if name == "create_table" else _constant(call.option("table_name")) or "_".join(sorted((table, second)))
        if (force := call.option("force")) is not None and (force.true or force.text == "cascade"):
            yield _op("drop", "table", joined, joined, line, there)
        yield _op("create", "table", joined, joined, line, ("if absent", "yes" if call.option("if_not_exists") else ""))
        yield from _rails_table(joined, call.body, creating=True)
    elif name == "change_table":
        yield from _rails_table(table, call.body, creating=False)
        for inner in walk(call.body):
            if inner.kind == "call" and inner.receiver is None:
                yield from _rails_call(inner)
    elif name == "remove_column":
        yield _op("drop", "column", table, second, line, there)
    elif name == "remove_columns":
        for item in call.items[1:]:
            for column in item.strings() or (_constant(item),):
                yield _op("drop", "column", table, column, line)
    elif name == "remove_timestamps":
        for column in ("created_at", "updated_at"):
            yield _op("drop", "column", table, column, line)
    elif name in ("remove_reference", "remove_belongs_to"):
        yield _op("drop", "column", table, f"{second}_id", line, there)
    elif name == "remove_index":
        yield _op(
            "drop", "index", table, _index_name(call, table), line, there, ("concurrently", "yes" if call.option("algorithm") else "")
        )
    elif name in ("remove_foreign_key", "remove_check_constraint", "remove_unique_constraint", "remove_exclusion_constraint"):
        what = name.removeprefix("remove_").replace("_", " ")
        label = _constant(call.option("name")) or _constant(call.option("column")) or second or what
        yield _op("drop", "constraint", table, label, line, there, ("what", what))
    elif name == "rename_table":
        yield _op("rename", "table", table, table, line, ("to", second))
    elif name == "rename_column":
        yield _op("rename", "column", table, second, line, ("to", call.string(2)))
    elif name == "change_column":
        kind = _rails_type(call.arg(2), call)
        yield _op("type", "column", table, second, line, ("to", kind))
        if (null := call.option("null")) is not None and null.false and second != "id":  # a key was never empty
            default = call.option("default")
            yield _op("required", "column", table, second, line, ("default", "" if default is None or default.null else "set"))
    elif name == "change_column_null" and (null := call.arg(2)) is not None:
        yield _op("required" if null.false else "optional", "column", table, second, line)
    elif name == "change_column_default":
        given = call.option("to") or call.arg(2)
        if given is not None and given.null:
            yield _op("undefault", "column", table, second, line)
    elif name == "add_column":
        yield _rails_column(table, second, _rails_type(call.arg(2), call), call)
    elif name in ("add_reference", "add_belongs_to"):
        yield _rails_column(table, f"{second}_id", "bigint", call)
    elif name == "add_index":
        concurrent = call.option("algorithm") is not None
        unique = (option := call.option("unique")) is not None and option.true
        yield _op(
            "create",
            "index",
            table,
            _index_name(call, table),
            line,
            ("unique", "yes" if unique else ""),
            ("concurrently", "yes" if concurrent else ""),
            ("perhaps", "yes"),
            ("definition", str(_plain(call))),
        )
    elif name in ("add_foreign_key", "add_check_constraint"):
        valid = (option := call.option("validate")) is None or not option.false
        on_delete = _constant(call.option("on_delete"))
        label = _constant(call.option("name")) or second
        yield _op(
            "create", "constraint", table, label, line, ("what", "foreign key" if "foreign" in name else "check"), ("not valid", "" if valid else "yes"),
            ("cascade", "yes" if on_delete == "cascade" else ""), ("perhaps", "yes"), ("definition", str(_plain(call))),
        )  # fmt: skip
    elif name in ("execute", "exec_query", "safety_assured_execute"):
        yield from _sql(call.arg(0))
    elif name == "drop_enum":
        yield _op("drop", "type", "", table, line)
    elif name == "disable_extension":
        yield _op("drop", "extension", "", table, line)
    elif name == "drop_schema":
        yield _op("drop", "schema", "", table, line)
    elif name in ("drop_view", "drop_function", "drop_trigger"):
        yield _op("drop", name.removeprefix("drop_"), "", table, line)
    elif name == "truncate":
        yield _op("truncate", "rows", table, table, line)


def _plain(value: Value) -> object:
    """A call without its lines: equal for two spellings of one thing."""
    return (value.text, tuple(_plain(item) for item in value.items), tuple(sorted((key, str(_plain(item))) for key, item in value.named)))


def _index_name(call: Value, table: str) -> str:
    if name := _constant(call.option("name")):
        return name
    columns = call.option("column") or call.arg(1)
    return f"index_{table}_on_{'_and_'.join(columns.strings()) if columns is not None else ''}"


def _rails_table(table: str, body: Sequence[Value], creating: bool) -> Iterator[Made]:
    """The calls on `t` inside create_table and change_table."""
    for call in walk(body):
        if call.kind != "call" or call.receiver is None or call.receiver.kind != "word" or call.receiver.receiver is not None:
            continue
        name, first = call.text, call.string(0) or _constant(call.arg(0))
        if name in ("remove", "remove_references", "remove_belongs_to", "remove_timestamps"):
            columns = [column for item in call.items for column in item.strings()] or (
                ["created_at", "updated_at"] if name == "remove_timestamps" else []
            )
            for column in columns:
                yield _op("drop", "column", table, column + ("_id" if "ref" in name or "belongs" in name else ""), call.line)
        elif name == "rename" and not creating:
            yield _op("rename", "column", table, first, call.line, ("to", call.string(1)))
        elif name == "change" and not creating:
            yield _op("type", "column", table, first, call.line, ("to", _rails_type(call.arg(1), call)))
        elif name == "change_null" and (null := call.arg(1)) is not None and null.false:
            yield _op("required", "column", table, first, call.line)
        elif name == "remove_index":
            yield _op(
                "drop",
                "index",
                table,
                _index_name(Value("call", items=(Value("text", table), *call.items), named=call.named), table),
                call.line,
            )
        elif name in ("remove_foreign_key", "remove_check_constraint"):
            yield _op(
                "drop",
                "constraint",
                table,
                first or name.removeprefix("remove_"),
                call.line,
                ("what", name.removeprefix("remove_").replace("_", " ")),
            )
        elif name in ("references", "belongs_to"):
            for item in call.items:
                for column in item.strings():
                    yield _rails_column(table, column + "_id", "bigint", call)
        elif name not in _RAILS_QUIET and first:
            columns = [call.string(0)] if name == "column" else [column for item in call.items for column in item.strings()]
            kind = _rails_type(call.arg(1), call) if name == "column" else _rails_type(Value("text", name), call)
            for column in columns:
                yield _rails_column(table, column, kind, call)


_NARROWING = frozenset(
    {
        "where",
        "not",
        "limit",
        "joins",
        "having",
        "find_by",
        "find",
        "in_batches",
        "left_joins",
        "merge",
        "and",
        "first",
        "last",
        "with_deleted_where",
    }
)


def _table_of(model: str) -> str:
    """The table of a model by Rails' convention, as far as simple plurals go."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.rpartition("::")[2]).lower()
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def _rails_data(call: Value) -> Iterator[Made]:
    """ActiveRecord calls that change rows."""
    chain = call.chain
    root = chain[0]
    name, line = call.text, call.line
    constant = root.kind == "word" and root.text[:1].isupper()
    if name in ("execute", "exec_query", "exec_update", "exec_delete") or (name == "exec" and constant):
        yield from _sql(call.arg(0))
        return
    table = _table_of(root.text) if constant else _table_of(root.text.rstrip("s")) if root.kind == "word" and root.text else "rows"
    narrowed = any(link.text in _NARROWING for link in chain[1:-1]) or not constant
    if name in ("delete_all", "destroy_all", "delete_by", "destroy_by"):
        yield _op("delete", "rows", table, table, line, ("where", "some" if narrowed or call.items or call.named else "none"))
    elif name in ("destroy", "destroy!", "really_destroy!") or (name == "delete" and not call.items and not call.named):
        if root.kind == "word" and name != "delete":
            yield _op("delete", "rows", table, table, line, ("where", "some"))
    elif name in ("update_all", "update!", "update_columns", "update_column", "update_attribute", "update_attributes", "update_each") or (
        name == "update" and call.named
    ):
        columns = _updated(call)
        nulls = next((key for link in chain for key, value in link.named if link.text == "where" and value.null), "")
        where = f"null {nulls}" if nulls else "some" if narrowed or name != "update_all" else "none"
        yield _op("update", "rows", table, table, line, ("where", where), ("columns", columns))
    elif name == "truncate" and constant:
        yield _op("truncate", "rows", table, table, line)
    elif name in ("drop_table", "remove_column", "rename_column", "rename_table") and chain[-2].text in ("connection", "schema"):
        yield from _rails_call(replace(call, receiver=None))


def _updated(call: Value) -> str:
    if call.named:
        return ",".join(key.lower() for key, _ in call.named)
    first = call.arg(0)
    if first is None:
        return ""
    if first.kind == "map":
        return ",".join(key.lower() for key, _ in first.named)
    if call.text in ("update_column", "update_attribute"):
        return first.text.lower()
    text = first.text if first.kind == "text" else first.items[0].text if first.items else ""
    return ",".join(re.findall(r"(?:^|,)\s*\"?(\w+)\"?\s*=", text.lower()))


_RAILS_IRREVERSIBLE = frozenset({"execute", "change_column", "update_all", "delete_all", "destroy_all", "remove_columns", "truncate"})


def _rails_irreversible(values: Sequence[Value]) -> bool:
    """Whether `change` holds something that Rails cannot turn round (ActiveRecord::Migration::CommandRecorder)."""
    for call in walk(_without_directions(values)):
        if call.kind != "call":
            continue
        if call.text in _RAILS_IRREVERSIBLE and (call.receiver is None or call.text.endswith("_all")):
            return not (call.text == "remove_columns" and call.option("type") is not None)
        if call.text == "drop_table" and not call.body and not call.receiver:
            return True
        if call.text == "remove_column" and not call.receiver and len(call.items) < 3:
            return True
        if call.text == "change_column_default" and not call.receiver and call.option("from") is None:
            return True
    return False


def _without_directions(values: Sequence[Value]) -> list[Value]:
    """Statements without `reversible do … end` and `up_only { … }`, which say themselves what each direction does."""
    out = []
    for value in values:
        if value.kind == "call" and value.text in ("reversible", "up_only"):
            continue
        if value.kind == "other":
            out.extend(_without_directions(value.items))
        elif value.kind == "call" and value.body:
            out += [replace(value, body=tuple(_without_directions(value.body)) or (Value("other"),))]
        else:
            out.append(value)
    return out


# ------------------------------------------------------------------------------------------------------------------------ Django

_DJANGO_TYPES = {
    "TextField": "text", "IntegerField": "integer", "BigIntegerField": "bigint", "SmallIntegerField": "smallint", "PositiveIntegerField": "integer",
    "BooleanField": "boolean", "NullBooleanField": "boolean", "DateTimeField": "timestamp with time zone", "DateField": "date", "FloatField": "double precision", "JSONField": "jsonb",
    "AutoField": "integer", "BigAutoField": "bigint", "UUIDField": "uuid", "EmailField": "varchar(254)", "URLField": "varchar(200)", "SlugField": "varchar(50)",
    "PositiveSmallIntegerField": "smallint", "PositiveBigIntegerField": "bigint", "BinaryField": "bytea",
}  # fmt: skip
_SIZES = {"EmailField": "254", "URLField": "200", "SlugField": "50", "FileField": "100", "ImageField": "100"}


def _django(data: bytes, path: str) -> Migration | None:
    values = _settled(program(data, path))
    holder = _function(values, "Migration")
    if holder is None:
        return None
    app = path.rpartition("/migrations/")[0].rpartition("/")[2]
    functions = {value.text: value for value in values if value.kind == "function"}
    listed = next((item for item in holder.items if item.kind == "other" and item.text == "=operations"), None)
    calls = list(_django_calls(listed.items if listed else ()))
    back = Back.AUTOMATIC
    line = listed.line if listed else 1
    made: list[Made] = []
    for call in calls:
        if call.text in ("RunPython", "RunSQL") and call.option("reverse_code", "reverse_sql") is None and len(call.items) < 2:
            back, line = Back.RAISES, call.line
        made += list(_django_call(call, app, functions))
    return _migration(path, "django", made, back, line)


def _django_calls(values: Sequence[Value]) -> Iterator[Value]:
    for value in values:
        if value.kind == "call":
            if value.text == "SeparateDatabaseAndState":
                inner = value.option("database_operations") or value.arg(0)
                yield from _django_calls((inner,) if inner is not None else ())
            else:
                yield value
        elif value.kind in ("list", "other"):
            yield from _django_calls(value.items)


def _django_field(field: Value | None) -> tuple[str, bool, bool]:
    """A field's type, whether it is required, and whether it has a default."""
    if field is None or field.kind != "call":
        return "", False, True
    kind = field.text
    null = field.option("null")
    default = field.option("default", "db_default", "auto_now", "auto_now_add") is not None
    many = kind == "ManyToManyField"
    size = _constant(field.option("max_length")) or _SIZES.get(kind, "")
    if kind in ("CharField", *_SIZES):
        text = f"varchar({size})" if size else "varchar"
    elif kind == "DecimalField":
        text = f"numeric({_constant(field.option('max_digits'))},{_constant(field.option('decimal_places'))})"
    elif kind in ("ForeignKey", "OneToOneField"):
        text = "reference"
    else:
        text = _DJANGO_TYPES.get(kind, kind.lower())
    return text, not (null is not None and null.true) and not many, default or many or kind.endswith("AutoField")


def _django_call(call: Value, app: str, functions: dict[str, Value]) -> Iterator[Made]:
    def given(index: int, *names: str) -> str:
        return _constant(call.option(*names)) or _constant(call.arg(index))

    name, line = call.text, call.line
    model = f"{app}_{given(0, 'model_name').lower()}"
    column = given(1, "name")
    field = call.option("field") or call.arg(2)
    if name == "DeleteModel":
        table = f"{app}_{given(0, 'name').lower()}"
        yield _op("drop", "table", table, table, line)
    elif name == "CreateModel":
        table = f"{app}_{given(0, 'name').lower()}"
        yield _op("create", "table", table, table, line)
        fields = call.option("fields") or call.arg(1)
        for pair in fields.items if fields is not None else ():
            if pair.kind == "list" and len(pair.items) == 2:
                kind, required, default = _django_field(pair.items[1])
                yield _op(
                    "create",
                    "column",
                    table,
                    pair.items[0].text,
                    pair.line,
                    ("type", kind),
                    ("required", "yes" if required else ""),
                    ("default", "set" if default else ""),
                )
    elif name == "RemoveField":
        yield _op("drop", "column", model, column, line)
    elif name == "AddField":
        kind, required, default = _django_field(field)
        yield _op(
            "create",
            "column",
            model,
            column,
            line,
            ("type", kind),
            ("required", "yes" if required else ""),
            ("default", "set" if default else ""),
        )
    elif name == "AlterField":
        kind, required, _ = _django_field(field)
        yield _op("type", "column", model, column, line, ("to", kind), ("required", "yes" if required else ""), ("restated", "yes"))
        if required:
            yield _op("required", "column", model, column, line, ("with type", "yes"))
    elif name == "RenameField":
        yield _op("rename", "column", model, given(1, "old_name"), line, ("to", given(2, "new_name")))
    elif name == "RenameModel":
        old, new = (f"{app}_{text.lower()}" for text in (given(0, "old_name"), given(1, "new_name")))
        yield _op("rename", "table", old, old, line, ("to", new))
    elif name == "AlterModelTable":
        table = f"{app}_{given(0, 'name').lower()}"
        yield _op("rename", "table", table, table, line, ("to", given(1, "table")))
    elif name in ("RemoveIndex", "RemoveConstraint", "RemoveIndexConcurrently"):
        kind = "constraint" if name == "RemoveConstraint" else "index"
        yield _op("drop", kind, model, column, line, ("concurrently", "yes" if "Concurrently" in name else ""))
    elif name in ("AddIndex", "AddConstraint", "AddIndexConcurrently"):
        inner = call.option("index", "constraint") or call.arg(1)
        label = _constant(inner.option("name")) if inner is not None else ""
        kind = "constraint" if name == "AddConstraint" else "index"
        yield _op(
            "create",
            kind,
            model,
            label,
            line,
            ("concurrently", "yes" if "Concurrently" in name else ""),
            ("perhaps", "yes"),
            ("definition", str(_plain(inner)) if inner else ""),
        )
    elif name == "RunSQL":
        yield from _sql(call.option("sql") or call.arg(0))
    elif name == "RunPython":
        code = call.option("code") or call.arg(0)
        if code is not None and code.text in functions:
            yield from _python_data(functions[code.text], functions, 0)
        elif code is not None and code.text != "noop":
            yield Unread(line, "it runs Python that stands elsewhere", code.text[:60])


_QUERY_NARROW = frozenset({"filter", "exclude", "get", "first", "last", "get_or_create", "annotate"})


def _python_data(function: Value, functions: dict[str, Value], depth: int) -> Iterator[Made]:
    """Row changes by Django's query sets (docs.djangoproject.com/en/stable/ref/models/querysets/) or raw SQL in a function."""
    assigned = {
        item.text[1:].lower()
        for item in walk(function.items)
        if item.kind == "other" and item.text.startswith("=") and item.receiver is not None and item.receiver.receiver is not None
    }
    for call in walk(function.items):
        if call.kind != "call":
            continue
        chain = call.chain
        name, line = call.text, call.line
        objects = any(link.text in ("objects", "_default_manager", "all_objects", "_base_manager") for link in chain)
        table = chain[0].text.lower() or "rows"
        some = any(link.text in _QUERY_NARROW for link in chain) or not objects
        if name == "delete" and call.receiver is not None and not call.items:
            yield _op("delete", "rows", table, table, line, ("where", "some" if some else "none"))
        elif name == "update" and objects and call.named:
            nulls = next(
                (key.removesuffix("__isnull") for link in chain for key, value in link.named if key.endswith("__isnull") and value.true), ""
            )
            columns = ",".join(key.lower() for key, _ in call.named)
            yield _op(
                "update",
                "rows",
                table,
                table,
                line,
                ("where", f"null {nulls}" if nulls else "some" if some else "none"),
                ("columns", columns),
            )
        elif name == "bulk_update" and (columns_given := call.option("fields") or call.arg(1)) is not None:
            yield _op("update", "rows", table, table, line, ("where", "some"), ("columns", ",".join(columns_given.strings())))
        elif name == "save" and call.receiver is not None and assigned:
            yield _op("update", "rows", table, table, line, ("where", "some"), ("columns", ",".join(sorted(assigned))))
        elif name in ("execute", "executemany") and call.receiver is not None:
            yield from _sql(call.arg(0))
        elif not call.receiver and name in functions and depth < 3:
            yield from _python_data(functions[name], functions, depth + 1)


# ----------------------------------------------------------------------------------------------------------------------- Alembic


def _alembic(data: bytes, path: str) -> Migration | None:
    values = _settled(program(data, path))
    upgrade, downgrade = (
        next((value for value in values if value.kind == "function" and value.text == name), None) for name in ("upgrade", "downgrade")
    )
    if upgrade is None or not any(item.kind == "other" and item.text in ("=revision", "=down_revision") for item in values):
        return None
    functions = {value.text: value for value in values if value.kind == "function"}
    back, line = _back_of(downgrade)
    return _migration(path, "alembic", _alembic_body(upgrade, functions, 0), back, line)


def _alembic_body(function: Value, functions: dict[str, Value], depth: int) -> Iterator[Made]:
    batch = ""
    for call in walk(function.items):
        if call.kind != "call":
            continue
        if call.text == "batch_alter_table":
            batch = call.string(0) or _constant(call.option("table_name"))
        elif call.receiver is None and call.text in functions and depth < 3:
            yield from _alembic_body(functions[call.text], functions, depth + 1)
        elif call.receiver is not None:
            root = call.chain[0].text
            table = batch if "batch" in root else ""
            yield from _alembic_call(call, table, root)


_SQLALCHEMY_TYPES = {
    "String": "varchar", "Text": "text", "Integer": "integer", "BigInteger": "bigint", "SmallInteger": "smallint", "Boolean": "boolean", "DateTime": "timestamp",
    "Float": "float", "Numeric": "numeric", "Unicode": "varchar", "UnicodeText": "text", "VARCHAR": "varchar", "INTEGER": "integer", "BIGINT": "bigint", "TEXT": "text",
    "JSON": "json", "JSONB": "jsonb", "TIMESTAMP": "timestamp", "AutoString": "varchar", "NUMERIC": "numeric", "BOOLEAN": "boolean",
}  # fmt: skip


def _sqlalchemy_type(value: Value | None) -> str:
    if value is None:
        return ""
    name = _SQLALCHEMY_TYPES.get(value.text, value.text.lower())
    zone = value.option("timezone") if value.kind == "call" else None
    if name == "timestamp" and zone is not None and zone.true:
        return "timestamp with time zone"
    sizes = [item.text for item in value.items if item.kind == "word" and item.text.isdigit()] or [
        _constant(value.option(key)) for key in ("length", "precision", "scale") if value.option(key)
    ]
    return type_of(f"{name}({','.join(sizes)})" if sizes and name in ("varchar", "numeric") else name)


def _alembic_column(table: str, column: Value, line: int) -> Operation:
    kind = next((item for item in column.items[1:] if item.text not in ("ForeignKey", "Computed", "Identity")), None)
    null = column.option("nullable")
    default = column.option("server_default")
    generated = any(item.text in ("Identity", "Computed") for item in column.items)
    return _op(
        "create", "column", table, column.string(0), line, ("type", _sqlalchemy_type(kind)), ("required", "yes" if null is not None and null.false else ""),
        ("default", "" if default is None or default.null else "set"), ("generated", "yes" if generated else ""),
    )  # fmt: skip


def _alembic_name(value: Value | None) -> str:
    """A name, also one given as `op.f("…")`: final, no convention is applied (alembic.sqlalchemy.org/en/latest/ops.html#alembic.operations.Operations.f)."""
    return value.string(0) or _constant(value) if value is not None and value.kind == "call" and value.text == "f" else _constant(value)


def _alembic_call(call: Value, batch: str, root: str) -> Iterator[Made]:
    name, line = call.text, call.line
    offset = 0 if batch else 1
    table = batch or call.string(0) or _constant(call.option("table_name", "source_table")) or _constant(call.arg(0))
    second = _constant(call.arg(offset)) or _constant(call.option("column_name"))
    if name == "drop_table" and root == "op":
        yield _op("drop", "table", table, table, line)
    elif name == "create_table" and root == "op":
        yield _op("create", "table", table, table, line)
        for item in call.items[1:]:
            if item.kind == "call" and item.text == "Column":
                yield _alembic_column(table, item, item.line)
    elif name == "drop_column":
        yield _op("drop", "column", table, second, line)
    elif name == "add_column":
        column = call.arg(offset)
        if column is not None and column.kind == "call":
            yield _alembic_column(table, column, line)
    elif name == "alter_column":
        kind, old = call.option("type_"), call.option("existing_type")
        if kind is not None:
            yield _op("type", "column", table, second, line, ("to", _sqlalchemy_type(kind)), ("from", _sqlalchemy_type(old)))
        if (null := call.option("nullable")) is not None and (null.false or null.true):
            was = call.option("existing_nullable")
            if was is None or was.text != null.text:
                yield _op("required" if null.false else "optional", "column", table, second, line)
        if (new := call.option("new_column_name")) is not None:
            yield _op("rename", "column", table, second, line, ("to", _constant(new)))
        if (default := call.option("server_default")) is not None and default.null:
            yield _op("undefault", "column", table, second, line)
    elif name == "rename_table":
        yield _op("rename", "table", table, table, line, ("to", second))
    elif name == "drop_index":
        label = _alembic_name(call.arg(0) or call.option("index_name"))
        on = batch or _constant(call.option("table_name")) or call.string(1)
        yield _op("drop", "index", on, label, line, ("concurrently", "yes" if call.option("postgresql_concurrently") else ""))
    elif name == "create_index":
        unique = (option := call.option("unique")) is not None and option.true
        label, on = _alembic_name(call.arg(0)), batch or call.string(1)
        yield _op(
            "create",
            "index",
            on,
            label,
            line,
            ("unique", "yes" if unique else ""),
            ("concurrently", "yes" if call.option("postgresql_concurrently") else ""),
            ("perhaps", "yes"),
            ("definition", str(_plain(call))),
        )
    elif name == "drop_constraint":
        on = batch or _constant(call.option("table_name")) or call.string(1)
        label = _alembic_name(call.arg(0) or call.option("constraint_name")) or "constraint"
        yield _op("drop", "constraint", on, label, line, ("what", _constant(call.option("type_"))))
    elif name in ("create_foreign_key", "create_check_constraint", "create_unique_constraint", "create_primary_key"):
        on = batch or call.string(1) or _constant(call.option("source_table", "table_name"))
        what = {"create_foreign_key": "foreign key", "create_check_constraint": "check", "create_unique_constraint": "unique"}.get(
            name, "primary key"
        )
        cascade = _constant(call.option("ondelete")).upper() == "CASCADE"
        yield _op(
            "create",
            "constraint",
            on,
            call.string(0) or what,
            line,
            ("what", what),
            ("cascade", "yes" if cascade else ""),
            ("perhaps", "yes"),
            ("definition", str(_plain(call))),
        )
    elif name in ("execute", "exec_driver_sql"):
        given = None if (first := call.arg(0)) is None else _unwrapped(first)
        if given is not None and given.kind == "call" and given.text not in ("text", "DDL"):
            yield from _sqlalchemy(given)
        else:
            yield from _sql(given)
    elif name == "drop_table_comment":
        return


def _sqlalchemy(value: Value) -> Iterator[Made]:
    """`table.delete().where(…)`, `sa.update(table).values(…)` and what only reads."""
    chain = [link for link in value.chain if link.kind == "call"]
    names = [link.text for link in chain]
    where = "some" if {"where", "filter"} & set(names) else "none"
    for link in chain:
        if link.text in ("delete", "update"):
            target = (link.arg(0) or link.chain[0]).text if link.items else value.chain[0].text
            columns = ",".join(
                key
                for other in chain
                if other.text == "values"
                for key, _ in (*other.named, *(pair for item in other.items for pair in item.named))
            )
            yield _op(link.text, "rows", target, target, link.line, ("where", where), ("columns", columns))
            return
    if not {"select", "insert", "text", "union", "with_entities", "bulk_insert"} & set(names):
        yield Unread(value.line, "it runs a statement put together at run time", names[-1][:60] if names else "execute")


# --------------------------------------------------------------------------------------------------- JavaScript and TypeScript


def _script(data: bytes, path: str) -> Migration | None:
    values = _settled(program(data, path))
    up, down = _function(values, "up"), _function(values, "down")
    if up is None:
        return None
    made = list(_js_body(up.items, ""))
    if not made and not _looks_database(data):
        return None
    back, line = _back_of(down)
    return _migration(path, "script", made, back, line)


def _looks_database(data: bytes) -> bool:
    return any(
        mark in data
        for mark in (b"knex", b"queryInterface", b"queryRunner", b"pgm", b"Kysely", b"addSql", b"QueryRunner", b"typeorm", b"sequelize")
    )


_JS_TABLE = frozenset({"table", "alterTable", "createTable", "createTableIfNotExists"})


def _js_body(values: Sequence[Value], table: str, creating: bool = False) -> Iterator[Made]:
    for value in values:
        if value.kind == "call":
            chain = list(value.chain)
            inner = table
            for index, link in enumerate(chain):
                if link.kind != "call":
                    continue
                made = list(_js_call(link, chain, index, inner, creating))
                yield from made
                if link.text in _JS_TABLE and link.string(0):
                    inner = link.string(0)
                    yield from _js_body(link.body, inner, link.text.startswith("create"))
                else:
                    yield from _js_body(link.body, inner, creating)
                for item in link.items:
                    yield from _js_body((item,), inner, creating)
        elif value.kind == "function" and value.text == "down":
            continue
        else:
            yield from _js_body(tuple(below(value)), table, creating)


_JS_COLUMN = frozenset(
    ["string", "text", "integer", "bigInteger", "boolean", "json", "jsonb", "uuid", "timestamp", "datetime", "date", "float", "decimal", "double", "enum", "enu", "binary", "smallint", "specificType", "increments", "bigIncrements", "tinyint", "mediumint", "bigint"]
)  # fmt: skip
_JS_RAW = frozenset({"raw", "query", "addSql", "sql", "execute", "$executeRawUnsafe", "$executeRaw", "unsafe"})


def _js_call(call: Value, chain: Sequence[Value], index: int, table: str, creating: bool) -> Iterator[Made]:
    name, line = call.text, call.line
    first, second = call.string(0) or _entity(call.arg(0)), call.string(1)
    later = {link.text for link in chain[index + 1 :]}
    sequelize = chain[0].text in ("queryInterface", "queryRunner", "pgm", "qi") or (first != "" and second != "")
    if name in ("dropTable", "dropTableIfExists"):
        for item in call.arg(0).strings() if call.arg(0) is not None and call.arg(0).strings() else (first or "{{computed}}",):  # type: ignore[union-attr]
            yield _op("drop", "table", item, item, line, ("if there", "yes" if "IfExists" in name or "ifExists" in later else ""))
    elif name in ("createTable", "createTableIfNotExists"):
        target = first or _constant(_named(call.arg(0), "name")) or "{{computed}}"
        yield _op("create", "table", target, target, line, ("if absent", "yes" if "IfNot" in name or "ifNotExists" in later else ""))
    elif name in ("clearTable",):
        yield _op("truncate", "rows", first, first, line)
    elif name in ("dropSchema", "dropDatabase", "dropAllTables", "dropAllSchemas"):
        yield _op("drop", "schema", "", first or "everything", line)
    elif name in ("removeColumn", "dropColumn", "dropColumns"):
        if (sequelize and second) or (first and call.arg(1) is not None):
            target, columns = first, call.arg(1).strings() if call.arg(1) is not None else ()  # type: ignore[union-attr]
            columns = columns or (_constant(_named(call.arg(1), "name")) or "{{computed}}",)
        else:
            target, columns = table, tuple(text for item in call.items for text in item.strings()) or ("{{computed}}",)
        for column in columns:
            yield _op("drop", "column", target, column, line)
    elif name == "dropTimestamps" and table:
        for column in ("created_at", "updated_at"):
            yield _op("drop", "column", table, column, line)
    elif name == "renameTable":
        yield _op("rename", "table", first, first, line, ("to", second))
    elif name == "renameTo" and table:
        yield _op("rename", "table", table, table, line, ("to", first))
    elif name == "renameColumn":
        target, old, new = (first, second, call.string(2)) if call.string(2) or (call.arg(2) is not None) else (table, first, second)
        yield _op("rename", "column", target, old, line, ("to", new or "{{computed}}"))
    elif name in ("changeColumn", "alterColumn"):
        target, column, given = (first, second, call.arg(2)) if call.arg(2) is not None else (first or table, second or first, call.arg(1))
        if given is not None and given.kind == "map":
            kind = _named(given, "type")
            if kind is not None:
                yield _op("type", "column", target, column, line, ("to", _js_type(kind)), ("restated", "yes"))
            if ((null := _named(given, "allowNull")) is not None and null.false) or (
                (null := _named(given, "notNull")) is not None and null.true
            ):
                yield _op("required", "column", target, column, line, ("with type", "yes" if kind is not None else ""))
        else:
            yield _op("type", "column", target, column, line, ("to", ""))
    elif name == "addColumn" and first and not table:
        given = call.arg(2) if second else call.arg(1)
        required = (null := _named(given, "allowNull")) is not None and null.false
        default = _named(given, "defaultValue", "default") is not None
        label = second or _constant(_named(given, "name"))
        yield _op(
            "create",
            "column",
            first,
            label,
            line,
            ("required", "yes" if required else ""),
            ("default", "set" if default else ""),
            ("type", _js_type(_named(given, "type"))),
        )
    elif name == "addColumn" and table:
        yield _op(
            "create",
            "column",
            table,
            first,
            line,
            ("type", type_of(second)),
            ("required", "yes" if _kysely_required(call) else ""),
            ("default", "set" if _kysely_default(call) else ""),
        )
    elif name in _JS_COLUMN and table and first and chain[0].kind == "word" and index == 1:
        if "alter" in later:
            yield _op("type", "column", table, first, line, ("to", _knex_type(call)))
            if "notNullable" in later:
                yield _op("required", "column", table, first, line, ("with type", "yes"))
        else:
            required = "notNullable" in later
            yield _op(
                "create",
                "column",
                table,
                first,
                line,
                ("type", _knex_type(call)),
                ("required", "yes" if required else ""),
                ("default", "set" if "defaultTo" in later else ""),
            )
    elif name in ("setNullable", "dropNullable") and table:
        yield _op("optional" if name == "setNullable" else "required", "column", table, first, line)
    elif name in ("removeIndex", "dropIndex", "dropUnique"):
        target, label = (first, second) if second or (first and not table) else (table, first)
        unique = name == "dropUnique"
        yield _op(
            "drop",
            "constraint" if unique else "index",
            target or table,
            label or "index",
            line,
            ("what", "unique constraint" if unique else ""),
        )
    elif name in (
        "removeConstraint",
        "dropConstraint",
        "dropForeignKey",
        "dropForeign",
        "dropPrimary",
        "dropPrimaryKey",
        "dropCheckConstraint",
        "dropChecks",
        "dropUniqueConstraint",
    ):
        target, label = (first, second) if second or (first and not table) else (table, first)
        yield _op("drop", "constraint", target or table, label or name.removeprefix("drop"), line)
    elif name in ("dropView", "dropFunction", "dropType", "dropTrigger", "dropMaterializedView", "dropExtension", "dropSequence"):
        dropped = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removeprefix("drop")).lower()
        yield _op("drop", dropped, "", first, line)
    elif name == "bulkDelete":
        given = call.arg(1)
        empty = given is None or given.null or (given.kind == "map" and not given.named)
        yield _op("delete", "rows", first, first, line, ("where", "none" if empty else "some"))
    elif name == "bulkUpdate":
        given = call.arg(1)
        columns = ",".join(key for key, _ in given.named) if given is not None else ""
        yield _op("update", "rows", first, first, line, ("where", "some" if call.arg(2) is not None else "none"), ("columns", columns))
    elif name in ("del", "delete", "update", "truncate", "deleteFrom", "updateTable", "deleteMany", "updateMany"):
        yield from _js_rows(call, chain, index)
    elif name in _JS_RAW and (call.receiver is not None or name == "sql"):
        given = call.arg(0)
        if given is not None and (given.kind == "text" or name in ("raw", "query", "addSql")):
            yield from _sql(given)


def _js_rows(call: Value, chain: Sequence[Value], index: int) -> Iterator[Made]:
    """Query builders: `knex('users').where(…).del()`, `db.deleteFrom('users')`."""
    name, line = call.text, call.line
    names = {link.text for link in chain if link.kind == "call"}
    some = any(text.startswith(("where", "andWhere", "filter")) for text in names)
    if name in ("deleteFrom", "updateTable"):
        verb = "delete" if name == "deleteFrom" else "update"
        columns = next(
            (",".join(key for key, _ in item.named) for link in chain for item in link.items if link.text == "set" and item.kind == "map"),
            "",
        )
        yield _op(verb, "rows", call.string(0), call.string(0), line, ("where", "some" if some else "none"), ("columns", columns))
        return
    source = next(
        (
            link
            for link in chain[:index]
            if link.kind == "call"
            and link.string(0)
            and (
                link.text in ("table", "from", "into", "knex", "trx", "db", "collection", "getRepository", "delete", "update")
                or link is chain[0]
            )
        ),
        None,
    )
    if name in ("deleteMany", "updateMany"):
        given = call.arg(0)
        whole = given is None or (given.kind == "map" and not given.named)
        table = chain[max(0, index - 1)].string(0) or chain[max(0, index - 1)].text
        yield _op("delete" if name == "deleteMany" else "update", "rows", table, table, line, ("where", "none" if whole else "some"))
        return
    if source is None:
        return
    table = source.string(0)
    if name == "truncate":
        yield _op("truncate", "rows", table, table, line)
    elif name == "update":
        given = call.arg(0)
        columns = ",".join(key for key, _ in given.named) if given is not None and given.kind == "map" else call.string(0)
        nulls = next((link.string(0) for link in chain if link.text in ("whereNull", "andWhereNull")), "")
        yield _op(
            "update", "rows", table, table, line, ("where", f"null {nulls}" if nulls else "some" if some else "none"), ("columns", columns)
        )
    else:
        yield _op("delete", "rows", table, table, line, ("where", "some" if some else "none"))


def _named(value: Value | None, *names: str) -> Value | None:
    if value is None:
        return None
    pairs = value.named or (value.items[0].named if value.items and value.kind == "call" else ())
    return next((item for key, item in pairs if key in names), None)


def _entity(value: Value | None) -> str:
    """`{ tableName, schema }` or a name made by code."""
    if value is None:
        return ""
    if value.kind == "map":
        return _constant(_named(value, "tableName", "name"))
    return ""


def _js_type(value: Value | None) -> str:
    if value is None:
        return ""
    if value.kind == "text":
        return type_of(value.text)
    size = value.items[0].text if value.kind == "call" and value.items and value.items[0].kind == "word" else ""
    base = {
        "STRING": "varchar",
        "TEXT": "text",
        "INTEGER": "integer",
        "BIGINT": "bigint",
        "BOOLEAN": "boolean",
        "DATE": "timestamp with time zone",
        "DECIMAL": "numeric",
    }.get(value.text, value.text.lower())
    return f"{base}({size})" if size else f"{base}(255)" if base == "varchar" else base


def _knex_type(call: Value) -> str:
    base = {"string": "varchar", "bigInteger": "bigint", "decimal": "numeric", "datetime": "timestamp", "enu": "enum"}.get(
        call.text, call.text
    )
    if call.text == "specificType":
        return type_of(call.string(1))
    size = call.items[1].text if len(call.items) > 1 and call.items[1].kind == "word" else "255" if base == "varchar" else ""
    return type_of(f"{base}({size})" if size and base in ("varchar", "numeric") else base)


def _kysely_required(call: Value) -> bool:
    return any(inner.kind in ("call", "word") and inner.text == "notNull" for item in (*call.items, *call.body) for inner in walk([item]))


def _kysely_default(call: Value) -> bool:
    return any(
        link.text in ("defaultTo", "generatedAlwaysAs")
        for item in (*call.items, *call.body)
        for inner in walk([item])
        for link in inner.chain
    )


# ------------------------------------------------------------------------------------------------------------------------- Ecto


def _ecto(data: bytes, path: str) -> Migration | None:
    values = program(data, path)
    change, up, down = (_function(values, name) for name in ("change", "up", "down"))
    forward = up or change
    if forward is None:
        return None
    made = list(_ecto_body(forward.items))
    if change is not None and up is None:
        text = {call.text for call in walk(change.items) if call.kind == "call"}
        lossy = any(
            call.kind == "call" and (call.text in ("remove", "execute", "modify") and len(call.items) < 2 and not call.option("from"))
            for call in walk(change.items)
        )
        return _migration(
            path,
            "ecto",
            made,
            Back.RAISES if lossy or ("drop" in text and not _ecto_drop_reversible(change)) else Back.AUTOMATIC,
            change.line,
        )
    back, line = _back_of(down)
    return _migration(path, "ecto", made, back, line)


def _ecto_drop_reversible(change: Value) -> bool:
    dropped = [call.arg(0) for call in walk(change.items) if call.kind == "call" and call.text == "drop"]
    return all(target is not None and target.text in ("index", "unique_index", "constraint") for target in dropped)


def _ecto_body(values: Sequence[Value]) -> Iterator[Made]:
    for value in values:
        if value.kind != "call":
            yield from _ecto_body(tuple(below(value)))
            continue
        target = value.arg(0)
        table = target.string(0) if target is not None and target.kind == "call" else ""
        name, line = value.text, value.line
        if name in ("drop", "drop_if_exists") and target is not None:
            there = ("if there", "yes" if name.endswith("exists") else "")
            if target.text == "table":
                yield _op("drop", "table", table, table, line, there)
            elif target.text in ("index", "unique_index"):
                columns = target.arg(1)
                label = _constant(target.option("name")) or f"{table}_{'_'.join(columns.strings()) if columns else ''}_index"
                yield _op("drop", "index", table, label, line, there)
            else:
                yield _op("drop", "constraint", table, target.string(1), line, there)
        elif name in ("create", "create_if_not_exists") and target is not None:
            if target.text == "table":
                yield _op("create", "table", table, table, line, ("if absent", "yes" if name.endswith("exists") else ""))
                yield from _ecto_table(table, value.body)
            elif target.text in ("index", "unique_index"):
                columns = target.arg(1)
                label = _constant(target.option("name")) or f"{table}_{'_'.join(columns.strings()) if columns else ''}_index"
                concurrent = (option := target.option("concurrently")) is not None and option.true
                yield _op(
                    "create",
                    "index",
                    table,
                    label,
                    line,
                    ("concurrently", "yes" if concurrent else ""),
                    ("unique", "yes" if target.text == "unique_index" else ""),
                    ("perhaps", "yes"),
                )
            else:
                yield _op("create", "constraint", table, target.string(1), line)
        elif name == "alter":
            yield from _ecto_table(table, value.body)
        elif name == "rename" and target is not None:
            new = value.option("to")
            if value.string(1):
                yield _op("rename", "column", table, value.string(1), line, ("to", _constant(new)))
            else:
                yield _op(
                    "rename",
                    "table",
                    table,
                    table,
                    line,
                    ("to", new.string(0) if new is not None and new.kind == "call" else _constant(new)),
                )
        elif name == "execute":
            yield from _sql(target)
        elif name in ("delete_all", "update_all") and value.receiver is not None:
            model = (target.text or "rows").lower() if target is not None else "rows"
            yield _op(
                name.removesuffix("_all"),
                "rows",
                model,
                model,
                line,
                ("where", "some" if target is not None and target.kind not in ("word", "text") else "none"),
            )
        elif name in ("query", "query!") and value.receiver is not None:
            yield from _sql(target)
        else:
            yield from _ecto_body(tuple(below(value)))


def _ecto_table(table: str, body: Sequence[Value]) -> Iterator[Made]:
    for call in walk(body):
        if call.kind != "call":
            continue
        null = call.option("null")
        required = null is not None and null.false
        column = call.string(0)
        kind = call.arg(1)
        if call.text in ("remove", "remove_if_exists"):
            yield _op("drop", "column", table, column, call.line)
        elif call.text in ("add", "add_if_not_exists"):
            default = call.option("default") is not None
            yield _op(
                "create",
                "column",
                table,
                column,
                call.line,
                ("required", "yes" if required else ""),
                ("default", "set" if default else ""),
                ("type", type_of(kind.text) if kind is not None else ""),
            )
        elif call.text == "modify":
            yield _op(
                "type",
                "column",
                table,
                column,
                call.line,
                ("to", type_of(kind.text) if kind is not None and kind.kind == "text" else ""),
                ("restated", "yes"),
            )
            if required:
                yield _op("required", "column", table, column, call.line, ("with type", "yes"))


# ----------------------------------------------------------------------------------------------------------------------- Laravel


def _laravel(data: bytes, path: str) -> Migration | None:
    values = program(data, path)
    up, down = _function(values, "up"), _function(values, "down")
    if up is None:
        return None
    back, line = _back_of(down)
    return _migration(path, "laravel", _laravel_body(up.items), back, line)


def _laravel_body(values: Sequence[Value]) -> Iterator[Made]:
    for value in values:
        if value.kind != "call":
            yield from _laravel_body(tuple(below(value)))
            continue
        chain = [link for link in value.chain if link.kind == "call"]
        root = value.chain[0].text.rpartition("\\")[2]
        handled = False
        for link in chain:
            name, first, line = link.text, link.string(0), link.line
            if root == "Schema":
                handled = True
                if name in ("drop", "dropIfExists"):
                    yield _op(
                        "drop",
                        "table",
                        first or "{{computed}}",
                        first or "{{computed}}",
                        line,
                        ("if there", "yes" if name != "drop" else ""),
                    )
                elif name == "dropAllTables":
                    yield _op("drop", "schema", "", "everything", line)
                elif name == "rename":
                    yield _op("rename", "table", first, first, line, ("to", link.string(1)))
                elif name == "create":
                    yield _op("create", "table", first, first, line)
                    yield from _laravel_table(first, link.body)
                elif name == "table":
                    yield from _laravel_table(first, link.body)
                elif name == "dropColumns":
                    columns = link.arg(1)
                    for column in columns.strings() if columns is not None else ():
                        yield _op("drop", "column", first, column, line)
            elif (
                root == "DB"
                and name in ("statement", "unprepared", "delete", "update", "raw")
                and link.receiver is not None
                and link.receiver.kind == "word"
            ):
                handled = True
                yield from _sql(link.arg(0))
            elif name in ("truncate", "delete", "forceDelete", "update") and (root == "DB" or root[:1].isupper()):
                handled = True
                table = chain[0].string(0) if root == "DB" else _table_of(root)
                some = any(other.text.lower().startswith(("where", "orwhere", "find")) for other in chain)
                given = link.arg(0)
                columns_set = ",".join(key for key, _ in given.named) if given is not None else ""
                nulls = next((other.string(0) for other in chain if other.text == "whereNull"), "")
                verb = {"truncate": "truncate", "update": "update"}.get(name, "delete")
                yield _op(
                    verb,
                    "rows",
                    table,
                    table,
                    line,
                    ("where", f"null {nulls}" if nulls and verb == "update" else "some" if some else "none"),
                    ("columns", columns_set),
                )
        if not handled or root == "DB":
            yield from _laravel_body(tuple(below(value)))


_LARAVEL_QUIET = frozenset(
    [
        "index",
        "unique",
        "foreign",
        "primary",
        "fullText",
        "spatialIndex",
        "engine",
        "charset",
        "collation",
        "comment",
        "timestamps",
        "timestampsTz",
        "softDeletes",
        "rememberToken",
        "id",
        "temporary",
        "foreignIdFor",
        "morphs",
        "nullableMorphs",
    ]
)


def _laravel_table(table: str, body: Sequence[Value]) -> Iterator[Made]:
    for value in walk(body):
        if value.kind != "call":
            continue
        chain = [link for link in value.chain if link.kind == "call"]
        names = {link.text for link in chain}
        call = chain[0]
        name, line = call.text, call.line
        columns = tuple(text for item in call.items for text in item.strings())
        if name == "dropColumn":
            for column in columns or ("{{computed}}",):
                yield _op("drop", "column", table, column, line)
        elif name in ("dropTimestamps", "dropSoftDeletes", "dropRememberToken", "dropTimestampsTz"):
            for column in {"dropSoftDeletes": ("deleted_at",), "dropRememberToken": ("remember_token",)}.get(
                name, ("created_at", "updated_at")
            ):
                yield _op("drop", "column", table, column, line)
        elif name == "dropConstrainedForeignId":
            yield _op("drop", "column", table, call.string(0), line)
        elif name == "renameColumn":
            yield _op("rename", "column", table, call.string(0), line, ("to", call.string(1)))
        elif name == "rename":
            yield _op("rename", "table", table, table, line, ("to", call.string(0)))
        elif name == "dropIndex":
            yield _op("drop", "index", table, call.string(0) or "_".join(columns), line)
        elif name in ("dropForeign", "dropUnique", "dropPrimary"):
            yield _op(
                "drop",
                "constraint",
                table,
                call.string(0) or "_".join(columns) or name,
                line,
                ("what", {"dropForeign": "foreign key", "dropUnique": "unique constraint"}.get(name, "primary key")),
            )
        elif name not in _LARAVEL_QUIET and columns and value.chain[0].kind == "word":
            size = call.items[1].text if len(call.items) > 1 and call.items[1].kind == "word" else "255"
            base = {
                "string": f"varchar({size})",
                "integer": "integer",
                "bigInteger": "bigint",
                "text": "text",
                "boolean": "boolean",
                "decimal": "numeric",
            }.get(name, name.lower())
            required = "nullable" not in names
            if "change" in names:
                yield _op("type", "column", table, columns[0], line, ("to", base), ("restated", "yes"))
            else:
                default = bool({"default", "useCurrent", "storedAs", "virtualAs"} & names) or name.endswith("ncrements")
                yield _op(
                    "create",
                    "column",
                    table,
                    columns[0],
                    line,
                    ("type", base),
                    ("required", "yes" if required else ""),
                    ("default", "set" if default else ""),
                )


# --------------------------------------------------------------------------------------------------------------------- Liquibase


def _liquibase(data: bytes, path: str) -> Migration | None:
    root = _xml(data, path) if path.lower().endswith(".xml") else _first(documents.yaml(data, path))
    if root is None:
        return None
    made: list[Made] = []
    sets = without = 0
    changelog = root.get("databaseChangeLog")
    for entry in changelog.elements() if changelog is not None else ():
        change_set = entry.get("changeSet")
        if change_set is None:
            continue
        sets += 1
        changes = change_set.get("changes")
        here = [
            made_one
            for item in (changes.elements() if changes is not None else ())
            for name, node in item.entries()
            for made_one in _liquibase_change(name, node)
        ]
        made += here
        if change_set.get("rollback") is None and any(
            isinstance(item, Operation) and (item.verb in ("drop", "delete", "update", "type", "truncate")) for item in here
        ):
            without += 1
    if not sets:
        return None
    return _migration(path, "liquibase", made, Back.MISSING if without else Back.AUTOMATIC)


def _first(nodes: Sequence[Node]) -> Node | None:
    return nodes[0] if nodes else None


def _liquibase_change(name: str, node: Node) -> Iterator[Made]:
    def given(*keys: str) -> str:
        return next((text for key in keys if (text := node.string(key))), "")

    table, column, line = given("tableName"), given("columnName"), node.line
    if name == "dropTable":
        yield _op("drop", "table", table, table, line)
    elif name == "dropAllTables":
        yield _op("drop", "schema", "", "everything", line)
    elif name == "createTable":
        yield _op("create", "table", table, table, line)
        yield from _liquibase_columns(table, node)
    elif name == "addColumn":
        yield from _liquibase_columns(table, node)
    elif name == "dropColumn":
        columns = node.get("columns")
        names = [column] if column else [item.string("column", "name") or "" for item in (columns.elements() if columns else ())]
        for one in names:
            yield _op("drop", "column", table, one, line)
    elif name == "renameTable":
        yield _op("rename", "table", given("oldTableName"), given("oldTableName"), line, ("to", given("newTableName")))
    elif name == "renameColumn":
        yield _op("rename", "column", table, given("oldColumnName"), line, ("to", given("newColumnName")))
    elif name == "modifyDataType":
        yield _op("type", "column", table, column, line, ("to", type_of(given("newDataType"))))
    elif name == "addNotNullConstraint":
        yield _op("required", "column", table, column, line)
    elif name == "dropNotNullConstraint":
        yield _op("optional", "column", table, column, line)
    elif name == "dropDefaultValue":
        yield _op("undefault", "column", table, column, line)
    elif name in ("dropForeignKeyConstraint", "dropUniqueConstraint", "dropPrimaryKey", "dropCheckConstraint"):
        yield _op("drop", "constraint", table or given("baseTableName"), given("constraintName") or name, line)
    elif name == "dropIndex":
        yield _op("drop", "index", table, given("indexName"), line)
    elif name in ("dropView", "dropSequence", "dropProcedure", "dropFunction", "dropTrigger"):
        kind = name.removeprefix("drop").lower()
        yield _op("drop", "function" if kind == "procedure" else kind, "", given(f"{kind}Name"), line)
    elif name in ("delete", "update"):
        where = node.get("where")
        columns_node = node.get("columns")
        set_columns = ",".join(item.string("column", "name") or "" for item in (columns_node.elements() if columns_node else ()))
        yield _op(name, "rows", table, table, line, ("where", "some" if where is not None else "none"), ("columns", set_columns))
    elif name == "sql":
        text = node.text if node.text is not None else given("sql", "#text")
        yield from _sql(Value("text", text or "", line))
    elif name in ("sqlFile", "customChange", "executeCommand"):
        yield Unread(line, f"{name} runs something that stands elsewhere", given("path", "class", "executable")[:80] or name)


def _liquibase_columns(table: str, node: Node) -> Iterator[Made]:
    columns = node.get("columns")
    for item in columns.elements() if columns is not None else ():
        column = item.get("column")
        if column is None:
            continue
        required = (column.string("constraints", "nullable") or "").lower() == "false"
        default = any(key.startswith(("default", "value", "autoIncrement")) for key in column.keys())  # noqa: SIM118 - a node's keys
        yield _op(
            "create",
            "column",
            table,
            column.string("name") or "",
            column.line,
            ("type", type_of(column.string("type") or "")),
            ("required", "yes" if required else ""),
            ("default", "set" if default else ""),
        )


def _xml(data: bytes, path: str) -> Node | None:
    """An XML changelog in the shape its YAML form has. A document type is refused: it can make entities that grow without end."""
    text = text_of(data, path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Unreadable(path, "it has a document type")
    from xml.parsers import expat

    parser = expat.ParserCreate()
    stack: list[_Element] = [_Element("", {}, 1)]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > 60:
            raise Unreadable(path, "it is nested more than 60 levels deep", parser.CurrentLineNumber)
        element = _Element(name.rpartition(":")[2], attributes, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(name: str) -> None:
        stack.pop()

    def characters(words: str) -> None:
        stack[-1].text.append(words)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try:
        parser.Parse(re.sub(r"\A\s*<\?xml[^>]*\?>", lambda match: "\n" * match[0].count("\n"), text), True)
    except expat.ExpatError as error:
        raise Unreadable(path, "it is not valid XML", error.lineno) from None
    root = next((child for child in stack[0].children if child.name == "databaseChangeLog"), None)
    if root is None:
        return None
    entries = tuple(_map(child.line, (("changeSet", _change_set(child)),)) for child in root.children if child.name == "changeSet")
    return _map(root.line, (("databaseChangeLog", Node(line=root.line, items=entries)),))


class _Element:
    """An XML element being read."""

    def __init__(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.name, self.attributes, self.line = name, attributes, line
        self.children: list[_Element] = []
        self.text: list[str] = []


def _map(line: int, pairs: Sequence[tuple[str, Node]]) -> Node:
    return Node(line=line, pairs=tuple((Node(line=value.line, text=key), value) for key, value in pairs))


def _scalar(line: int, text: str) -> Node:
    return Node(line=line, text=text, plain=False)


def _change_set(element: _Element) -> Node:
    changes = tuple(
        _map(child.line, ((child.name, _change(child)),))
        for child in element.children
        if child.name not in ("rollback", "preConditions", "comment")
    )
    pairs: list[tuple[str, Node]] = [("changes", Node(line=element.line, items=changes))]
    pairs += [("rollback", _scalar(child.line, "".join(child.text))) for child in element.children if child.name == "rollback"]
    return _map(element.line, pairs)


def _change(element: _Element) -> Node:
    pairs = [(key, _scalar(element.line, value)) for key, value in element.attributes.items()]
    text = "".join(element.text).strip()
    if text and element.name == "sql":
        pairs.append(("sql", _scalar(element.line, "".join(element.text))))
    columns = [child for child in element.children if child.name == "column"]
    if columns:
        pairs.append(
            ("columns", Node(line=element.line, items=tuple(_map(child.line, (("column", _column(child)),)) for child in columns)))
        )
    pairs += [("where", _scalar(child.line, "".join(child.text))) for child in element.children if child.name == "where"]
    return _map(element.line, pairs)


def _column(element: _Element) -> Node:
    pairs = [(key, _scalar(element.line, value)) for key, value in element.attributes.items()]
    for child in element.children:
        if child.name == "constraints":
            pairs.append(("constraints", _map(child.line, [(key, _scalar(child.line, value)) for key, value in child.attributes.items()])))
    return _map(element.line, pairs)


_FRAMEWORKS: dict[str, Callable[[bytes, str], Migration | None]] = {
    "rails": _rails, "django": _django, "alembic": _alembic, "script": _script, "ecto": _ecto, "laravel": _laravel, "liquibase": _liquibase,
}  # fmt: skip
