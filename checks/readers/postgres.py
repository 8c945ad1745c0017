"""PostgreSQL statements by PostgreSQL's own parser: the JSON tree of libpg_query turned into operations.

Source of the node names: the protobuf of libpg_query (github.com/pganalyze/libpg_query, protobuf/pg_query.proto) as pglast gives it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from checks.readers.sql import COMPUTED, Operation, Script, Unread, name_of, operations, split, type_of

Json = dict[str, Any]

_LEADING = re.compile(rb"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_OBJECTS = {
    "OBJECT_TABLE": "table", "OBJECT_FOREIGN_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized view", "OBJECT_INDEX": "index",
    "OBJECT_SCHEMA": "schema", "OBJECT_SEQUENCE": "sequence", "OBJECT_TYPE": "type", "OBJECT_DOMAIN": "type", "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "function", "OBJECT_ROUTINE": "function", "OBJECT_AGGREGATE": "function", "OBJECT_TRIGGER": "trigger", "OBJECT_EVENT_TRIGGER": "trigger",
    "OBJECT_POLICY": "policy", "OBJECT_RULE": "rule", "OBJECT_EXTENSION": "extension", "OBJECT_ROLE": "role", "OBJECT_DATABASE": "database",
    "OBJECT_PUBLICATION": "publication", "OBJECT_STATISTIC_EXT": "statistics", "OBJECT_OPERATOR": "function", "OBJECT_CAST": "function",
    "OBJECT_COLUMN": "column", "OBJECT_ATTRIBUTE": "column", "OBJECT_TABCONSTRAINT": "constraint", "OBJECT_DOMCONSTRAINT": "constraint",
    "OBJECT_FOREIGN_SERVER": "server", "OBJECT_FDW": "server", "OBJECT_COLLATION": "collation", "OBJECT_LANGUAGE": "function",
}  # fmt: skip
_SUB = frozenset({"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"})
_STEADY = frozenset(
    [
        "now",
        "current_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "lower",
        "upper",
        "length",
        "md5",
        "concat",
        "coalesce",
        "jsonb_build_object",
        "jsonb_build_array",
        "json_build_object",
        "json_build_array",
        "to_jsonb",
        "to_json",
        "array_fill",
        "make_interval",
        "make_date",
        "make_timestamp",
        "date_trunc",
        "timezone",
        "to_timestamp",
        "current_setting",
        "current_user",
        "session_user",
        "current_schema",
        "current_database",
        "encode",
        "decode",
        "digest",
        "round",
        "abs",
        "floor",
        "ceil",
        "array_length",
        "string_to_array",
        "to_char",
        "to_date",
        "daterange",
        "tsrange",
        "tstzrange",
        "int4range",
        "numrange",
        "to_tsvector",
        "btrim",
        "trim",
        "replace",
        "substring",
        "left",
        "right",
        "format",
        "inet",
        "uid",
        "jwt",
        "auth.uid",
        "auth.role",
    ]
)
_VOLATILE = frozenset(
    [
        "random",
        "gen_random_uuid",
        "uuid_generate_v1",
        "uuid_generate_v4",
        "uuid_generate_v1mc",
        "uuidv4",
        "uuidv7",
        "clock_timestamp",
        "timeofday",
        "nextval",
        "gen_random_bytes",
    ]
)


def read(text: str, nested: int) -> Script | None:
    """All operations of PostgreSQL `text`, lines counted from 1; None where PostgreSQL's parser refuses it."""
    from pglast.parser import ParseError, parse_sql_json

    try:
        tree = json.loads(parse_sql_json(text))
    except (ParseError, RecursionError, ValueError):
        return None
    data = text.encode("utf-8", "surrogatepass")
    lines = [0, *(match.end() for match in re.finditer(rb"\n", data))]
    found: list[Operation] = []
    unread: list[Unread] = []
    for item in tree.get("stmts", ()):
        start = _LEADING.match(data, item.get("stmt_location", 0)).end()  # type: ignore[union-attr]  # it matches the empty text
        line = bisect_right(lines, start)
        for kind, node in item.get("stmt", {}).items():
            if kind == "DoStmt":
                line = bisect_right(
                    lines, max(start, *(option["DefElem"].get("location", 0) for option in node.get("args", ({"DefElem": {}},))))
                )
            try:
                for made in _statement(kind, node, nested):
                    if isinstance(made, Unread):
                        unread.append(replace(made, line=made.line + line - 1))
                    else:
                        found.append(replace(made, line=made.line + line - 1))
            except RecursionError:
                unread.append(Unread(line, "it is nested too deep", kind))
    return Script(tuple(found), tuple(unread))


Made = Operation | Unread


def _statement(kind: str, node: Json, nested: int) -> Iterator[Made]:
    handler = _HANDLERS.get(kind)
    if handler is not None:
        yield from handler(node)
    elif kind == "DoStmt":
        yield from _do(node, nested)
    elif kind == "ExplainStmt":
        for name, inner in node.get("query", {}).items():
            if any("analyze" in json.dumps(option) for option in node.get("options", ())):
                yield from _statement(name, inner, nested)
    elif kind in ("PrepareStmt",):
        for name, inner in node.get("query", {}).items():
            yield from _statement(name, inner, nested)
    elif kind == "ExecuteStmt":
        return
    elif kind == "CopyStmt" and node.get("is_program"):
        yield Unread(1, "COPY … PROGRAM runs a command on the database's host", "COPY … PROGRAM")
    if kind in ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
        yield from _inner(node)


def _inner(node: Any) -> Iterator[Made]:
    """Data-changing statements inside WITH."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key, value in item.items():
                if key in ("DeleteStmt", "UpdateStmt") and isinstance(value, dict):
                    yield from _HANDLERS[key](value)
                stack.append(value)
        elif isinstance(item, list):
            stack.extend(item)


# ------------------------------------------------------------------------------------------------------------------------- names


def _relation(node: Json | None) -> str:
    if not node:
        return ""
    return name_of(".".join(filter(None, (node.get("schemaname"), node.get("relname", "")))))


def _parts(items: Iterable[Any]) -> list[str]:
    return [item["String"].get("sval", "") for item in items if "String" in item]


def _dotted(items: Iterable[Any]) -> str:
    return name_of(".".join(_parts(items)))


def _type(node: Json | None) -> str:
    if not node:
        return ""
    parts = [part for part in _parts(node.get("names", ())) if part not in ("pg_catalog", "public")]
    sizes = [str(_constant(item)) for item in node.get("typmods", ())]
    return type_of(".".join(parts) + (f"({','.join(sizes)})" if sizes else "")) + "[]" * len(node.get("arrayBounds", ()))


def _constant(node: Any) -> Any:
    """The value of a constant, None for anything else."""
    constant = node.get("A_Const") if isinstance(node, dict) else None
    if constant is None:
        inner = node.get("TypeCast") if isinstance(node, dict) else None
        return _constant(inner["arg"]) if inner and "arg" in inner else None
    if constant.get("isnull"):
        return "null"
    for key, field, empty in (("ival", "ival", 0), ("boolval", "boolval", False), ("sval", "sval", ""), ("fval", "fval", "")):
        if key in constant:
            return constant[key].get(field, empty)
    return None


def plain(node: Any) -> str:
    """A tree without its positions, as text: equal for two spellings of one thing."""
    return json.dumps(_unplaced(node), sort_keys=True)


def _unplaced(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _unplaced(value)
            for key, value in node.items()
            if key not in ("location", "stmt_len", "stmt_location", "arg_location", "missing_ok", "replace", "if_not_exists")
        }
    if isinstance(node, list):
        return [_unplaced(item) for item in node]
    return " ".join(node.split()) if isinstance(node, str) else node


def always(node: Any) -> bool:
    """Whether a condition is true for every row, seen without a database."""
    value = _constant(node)
    if value is not None:
        return value in (True, "t", "true", "1") or (isinstance(value, int) and value != 0)
    if not isinstance(node, dict):
        return False
    if "BoolExpr" in node:
        args = node["BoolExpr"].get("args", [])
        how = node["BoolExpr"].get("boolop")
        if how == "OR_EXPR":
            return any(always(item) for item in args)
        if how == "AND_EXPR":
            return all(always(item) for item in args)
        return False
    if "A_Expr" in node:
        expression = node["A_Expr"]
        left, right = expression.get("lexpr"), expression.get("rexpr")
        one, other = _constant(left), _constant(right)
        operator = "".join(_parts(expression.get("name", ())))
        if one is not None and other is not None:
            return (operator == "=" and one == other) or (operator in ("<>", "!=") and one != other)
        return operator == "=" and left is not None and plain(left) == plain(right)
    return False


def _where(node: Json) -> str:
    condition = node.get("whereClause")
    if condition is None:
        return "none" if not node.get("usingClause") and not node.get("fromClause") else "some"
    if always(condition):
        return "always"
    return f"null {column}" if (column := _null_column(condition)) else "some"


def _null_column(node: Json) -> str:
    """The column of `column IS NULL`, also as one part of an AND; "" for any other condition."""
    if "BoolExpr" in node and node["BoolExpr"].get("boolop") == "AND_EXPR":
        return next(filter(None, map(_null_column, node["BoolExpr"].get("args", ()))), "")
    test = node.get("NullTest", {})
    if test.get("nulltesttype") == "IS_NULL" and "ColumnRef" in test.get("arg", {}):
        return (_parts(test["arg"]["ColumnRef"].get("fields", ())) or [""])[-1].lower()
    return ""


# -------------------------------------------------------------------------------------------------------------------- statements


def _drop(node: Json) -> Iterator[Made]:
    how = node.get("removeType", "")
    kind = _OBJECTS.get(how)
    if kind is None:
        kind = how.removeprefix("OBJECT_").lower().replace("_", " ")
    details = tuple(
        (name, "yes")
        for name, there in (
            ("cascade", node.get("behavior") == "DROP_CASCADE"),
            ("concurrently", node.get("concurrent")),
            ("if there", node.get("missing_ok")),
        )
        if there
    )
    details = (*details, ("dialect", "postgres"))
    for item in node.get("objects", ()):
        items = item.get("List", {}).get("items")
        if items is None and "ObjectWithArgs" in item:
            items = item["ObjectWithArgs"].get("objname", ())
            arguments = ",".join(_type(argument.get("TypeName")) for argument in item["ObjectWithArgs"].get("objargs", ()))
            yield Operation("drop", kind, "", _dotted(items), 1, (*details, ("arguments", arguments)))
            continue
        if items is None and "TypeName" in item:
            yield Operation("drop", kind, "", name_of(".".join(_parts(item["TypeName"].get("names", ())))), 1, details)
            continue
        if items is None:
            items = [item]
        names = _parts(items)
        if how in _SUB:
            yield Operation("drop", kind, name_of(".".join(names[:-1])), names[-1].lower() if names else "", 1, details)
        else:
            name = name_of(".".join(names)) or kind
            yield Operation("drop", kind, name if kind == "table" else "", name, 1, details)


def _drop_named(kind: str, field: str) -> Callable[[Json], Iterator[Made]]:
    def drop(node: Json) -> Iterator[Made]:
        yield Operation("drop", kind, "", str(node.get(field, "")), 1)

    return drop


def _drop_roles(node: Json) -> Iterator[Made]:
    for role in node.get("roles", ()):
        yield Operation("drop", "role", "", _role(role), 1)


def _drop_owned(node: Json) -> Iterator[Made]:
    for role in node.get("roles", ()):
        yield Operation("drop", "schema", "", f"everything that {_role(role)} owns", 1)


def _reassign_owned(node: Json) -> Iterator[Made]:
    for role in node.get("roles", ()):
        yield Operation("own", "object", "", f"everything that {_role(role)} owns", 1, (("to", _role(node.get("newrole", {}))),))


def _role(node: Json) -> str:
    spec = node.get("RoleSpec", node)
    return {
        "ROLESPEC_PUBLIC": "public",
        "ROLESPEC_CURRENT_USER": "current_user",
        "ROLESPEC_SESSION_USER": "session_user",
        "ROLESPEC_CURRENT_ROLE": "current_role",
    }.get(spec.get("roletype", ""), str(spec.get("rolename", "")))


def _create_table(node: Json) -> Iterator[Made]:
    table = _relation(node.get("relation"))
    details = (("temporary", "yes"),) if node.get("relation", {}).get("relpersistence") == "t" else ()
    definition = ("definition", plain(node.get("tableElts", ())))
    if node.get("if_not_exists"):
        details = (*details, ("if absent", "yes"))
    if node.get("partbound"):
        details = (*details, ("partition of", _dotted_relation(node.get("inhRelations", ()))))
    yield Operation("create", "table", table, table, 1, (*details, definition))
    for element in node.get("tableElts", ()):
        if "ColumnDef" in element:
            yield from _column(element["ColumnDef"], table)
        elif "Constraint" in element:
            yield _constraint(element["Constraint"], table)


def _dotted_relation(items: Iterable[Json]) -> str:
    return ",".join(_relation(item.get("RangeVar")) for item in items)


def _create_table_as(node: Json) -> Iterator[Made]:
    relation = node.get("into", {}).get("rel", {})
    table = _relation(relation)
    kind = "materialized view" if node.get("objtype") == "OBJECT_MATVIEW" else "table"
    details = (("temporary", "yes"),) if relation.get("relpersistence") == "t" else ()
    yield Operation("create", kind, table if kind == "table" else "", table, 1, (*details, ("definition", plain(node.get("query")))))


def _column(node: Json, table: str) -> Iterator[Operation]:
    kind = _type(node.get("typeName"))
    details = [("type", kind)]
    for item in node.get("constraints", ()):
        constraint = item.get("Constraint", {})
        what = constraint.get("contype")
        if what in ("CONSTR_NOTNULL", "CONSTR_PRIMARY"):
            details.append(("required", "yes"))
        if what == "CONSTR_PRIMARY":
            details.append(("primary", "yes"))
        if what == "CONSTR_UNIQUE":
            details.append(("unique", "yes"))
        if what == "CONSTR_CHECK":
            details.append(("check", "yes"))
        if what in ("CONSTR_IDENTITY", "CONSTR_GENERATED"):
            details.append(("generated", "stored" if what == "CONSTR_GENERATED" else "identity"))
        if what == "CONSTR_DEFAULT":
            value = constraint.get("raw_expr")
            if _constant(value) == "null":
                continue
            details.append(("default", plain(value)))
            details += [("volatile", how)] if (how := _volatility(value)) else []
        if what == "CONSTR_FOREIGN":
            details.append(("references", _relation(constraint.get("pktable"))))
            details.append(("checked", "yes"))
            if constraint.get("fk_del_action") == "c":
                details.append(("cascade", "yes"))
    if kind in ("serial", "bigserial", "smallserial"):
        details += [("generated", "serial"), ("required", "yes")]
    yield Operation("create", "column", table, str(node.get("colname", "")).lower(), 1, tuple(details))


def _volatility(node: Any) -> str:
    """yes where an expression gives every row another value, perhaps where it calls a function of unknown kind, "" where it does not."""
    names: list[str] = []
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "FuncCall" in item:
                names.append(".".join(part for part in _parts(item["FuncCall"].get("funcname", ())) if part != "pg_catalog"))
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    if any(name.rpartition(".")[2] in _VOLATILE for name in names):
        return "yes"
    return "perhaps" if any(name not in _STEADY and name.rpartition(".")[2] not in _STEADY for name in names) else ""


_CONSTRAINT = {
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_EXCLUSION": "exclusion",
    "CONSTR_NOTNULL": "not null",
}


def _constraint(node: Json, table: str) -> Operation:
    what = _CONSTRAINT.get(node.get("contype", ""), "")
    details = [("what", what), ("definition", plain(node))]
    if node.get("skip_validation"):
        details.append(("not valid", "yes"))
    if node.get("indexname"):
        details.append(("using index", str(node["indexname"])))
    if node.get("fk_del_action") == "c":
        details.append(("cascade", "yes"))
    if node.get("pktable"):
        details.append(("references", _relation(node["pktable"])))
    if what == "check":
        column = _not_null_column(node.get("raw_expr"))
        details += [("not null", column)] if column else []
    keys = ",".join(_parts(node.get("keys") or node.get("fk_attrs") or ()))
    return Operation("create", "constraint", table, str(node.get("conname", "")).lower() or f"{what} {keys}".strip(), 1, tuple(details))


def _not_null_column(node: Any) -> str:
    test = node.get("NullTest") if isinstance(node, dict) else None
    if test and test.get("nulltesttype") == "IS_NOT_NULL" and "ColumnRef" in test.get("arg", {}):
        return ".".join(_parts(test["arg"]["ColumnRef"].get("fields", ())))
    return ""


def _alter_table(node: Json) -> Iterator[Made]:
    table = _relation(node.get("relation"))
    kind = _OBJECTS.get(node.get("objtype", ""), "table")
    for item in node.get("cmds", ()):
        command = item.get("AlterTableCmd", {})
        what, name = command.get("subtype", ""), str(command.get("name", "")).lower()
        cascade = (("cascade", "yes"),) if command.get("behavior") == "DROP_CASCADE" else ()
        definition = command.get("def", {})
        if kind == "type" and what == "AT_DropColumn":
            yield Operation("alter", "type", "", table, 1, (("definition", "drops the attribute " + name),))
        elif what == "AT_DropColumn":
            yield Operation("drop", "column", table, name, 1, cascade)
        elif what == "AT_AddColumn" and "ColumnDef" in definition and kind == "table":
            absent = (("if absent", "yes"),) if command.get("missing_ok") else ()
            yield from (replace(made, details=made.details + absent) for made in _column(definition["ColumnDef"], table))
        elif what == "AT_AddConstraint" and "Constraint" in definition:
            yield _constraint(definition["Constraint"], table)
        elif what == "AT_DropConstraint":
            yield Operation("drop", "constraint", table, name, 1, cascade)
        elif what == "AT_AlterColumnType":
            column = definition.get("ColumnDef", {})
            yield Operation(
                "type",
                "column",
                table,
                name,
                1,
                (("to", _type(column.get("typeName"))), ("using", "yes" if column.get("raw_default") else "")),
            )
        elif what in _COLUMN_VERBS:
            verb = _COLUMN_VERBS[what]
            if verb == "default" and not definition:
                verb = "undefault"
            yield Operation(verb, "column", table, name, 1)
        elif what in _TABLE_VERBS:
            verb, object_kind = _TABLE_VERBS[what]
            yield Operation(verb, object_kind, table, name or table, 1)
        elif what == "AT_ChangeOwner":
            yield Operation("own", kind, table, table, 1, (("to", _role(command.get("newowner", {}))),))
        elif what == "AT_ValidateConstraint":
            yield Operation("validate", "constraint", table, name, 1)
        elif what == "AT_DetachPartition":
            concurrently = "yes" if definition.get("PartitionCmd", {}).get("concurrent") else ""
            yield Operation(
                "alter", "partition", table, _relation(definition.get("PartitionCmd", {}).get("name")), 1, (("concurrently", concurrently),)
            )
        else:
            yield Operation("alter", kind, table, table, 1, (("definition", what),))


_COLUMN_VERBS = {
    "AT_SetNotNull": "required", "AT_DropNotNull": "optional", "AT_ColumnDefault": "default", "AT_DropIdentity": "undefault",
    "AT_DropExpression": "undefault",
}  # fmt: skip
_TABLE_VERBS = {
    "AT_DisableRowSecurity": ("disable", "row security"), "AT_NoForceRowSecurity": ("disable", "forced row security"),
    "AT_EnableRowSecurity": ("enable", "row security"), "AT_ForceRowSecurity": ("enable", "forced row security"),
    "AT_DisableTrig": ("disable", "trigger"), "AT_DisableTrigAll": ("disable", "all triggers"), "AT_DisableTrigUser": ("disable", "all triggers"),
    "AT_EnableTrig": ("enable", "trigger"), "AT_EnableTrigAll": ("enable", "all triggers"), "AT_EnableTrigUser": ("enable", "all triggers"),
    "AT_DisableRule": ("disable", "rule"),
}  # fmt: skip


def _rename(node: Json) -> Iterator[Made]:
    kind = _OBJECTS.get(node.get("renameType", ""), "object")
    relation = _relation(node.get("relation"))
    new = str(node.get("newname", "")).lower()
    if kind in ("column", "constraint", "trigger", "policy", "rule") and relation:
        yield Operation("rename", kind, relation, str(node.get("subname", "")).lower(), 1, (("to", new),))
        return
    old = relation or str(node.get("subname", "")) or _object(node.get("object"))
    yield Operation("rename", kind, old if kind == "table" else "", old, 1, (("to", new),))


def _object(node: Any) -> str:
    if not isinstance(node, dict):
        return ""
    if "List" in node:
        return _dotted(node["List"].get("items", ()))
    if "ObjectWithArgs" in node:
        return _dotted(node["ObjectWithArgs"].get("objname", ()))
    if "TypeName" in node:
        return _dotted(node["TypeName"].get("names", ()))
    return str(node.get("String", {}).get("sval", ""))


def _move_schema(node: Json) -> Iterator[Made]:
    kind = _OBJECTS.get(node.get("objectType", ""), "object")
    name = _relation(node.get("relation")) or _object(node.get("object"))
    yield Operation(
        "rename", kind, name if kind == "table" else "", name, 1, (("to", f"{node.get('newschema', '')}.{name.rpartition('.')[2]}"),)
    )


def _owner(node: Json) -> Iterator[Made]:
    name = _relation(node.get("relation")) or _object(node.get("object"))
    yield Operation("own", _OBJECTS.get(node.get("objectType", ""), "object"), "", name, 1, (("to", _role(node.get("newowner", {}))),))


def _truncate(node: Json) -> Iterator[Made]:
    for item in node.get("relations", ()):
        name = _relation(item.get("RangeVar"))
        yield Operation("truncate", "rows", name, name, 1, (("cascade", "yes" if node.get("behavior") == "DROP_CASCADE" else ""),))


def _delete(node: Json) -> Iterator[Made]:
    name = _relation(node.get("relation"))
    yield Operation("delete", "rows", name, name, 1, (("where", _where(node)),))


def _update(node: Json) -> Iterator[Made]:
    name = _relation(node.get("relation"))
    targets = [item.get("ResTarget", {}) for item in node.get("targetList", ())]
    columns = ",".join(str(target.get("name", "")).lower() for target in targets)
    yield Operation(
        "update",
        "rows",
        name,
        name,
        1,
        (("where", _where(node)), ("columns", columns), ("condition", plain(node.get("whereClause"))[:400])),
    )


def _insert(node: Json) -> Iterator[Made]:
    name = _relation(node.get("relation"))
    yield Operation("insert", "rows", name, name, 1)


def _merge(node: Json) -> Iterator[Made]:
    name = _relation(node.get("relation"))
    kinds = {clause.get("MergeWhenClause", {}).get("commandType") for clause in node.get("mergeWhenClauses", ())}
    if "CMD_DELETE" in kinds:
        yield Operation("delete", "rows", name, name, 1, (("where", "some"),))
    elif "CMD_UPDATE" in kinds:
        yield Operation("update", "rows", name, name, 1, (("where", "some"),))


def _grant(node: Json) -> Iterator[Made]:
    yield from _granted(node, "")


def _granted(node: Json, default: str) -> Iterator[Made]:
    verb = "grant" if node.get("is_grant") else "revoke"
    what = ", ".join(
        item["AccessPriv"].get("priv_name", "all")
        + (f" ({', '.join(_parts(item['AccessPriv']['cols']))})" if item["AccessPriv"].get("cols") else "")
        for item in node.get("privileges", ())
    )
    objects = [_relation(item["RangeVar"]) if "RangeVar" in item else _object(item) for item in node.get("objects", ())]
    kind = _OBJECTS.get(node.get("objtype", ""), "object")
    every = node.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA"
    options = "with grant option" if node.get("grant_option") else ""
    roles = ", ".join(_role(item) for item in node.get("grantees", ()))
    for name in objects or [default or "everything made later"]:
        target = f"all {kind}s in {name}" if every else f"{default}{kind}s made later in {name}" if default else name
        yield Operation(verb, "privilege", target, roles, 1, (("what", what or "all"), ("options", options), ("object", kind)))


def _grant_role(node: Json) -> Iterator[Made]:
    what = ", ".join(item["AccessPriv"].get("priv_name", "") for item in node.get("granted_roles", ()))
    options = "with admin option" if "admin" in json.dumps(node.get("opt", "")) else ""
    roles = ", ".join(_role(item) for item in node.get("grantee_roles", ()))
    yield Operation("grant" if node.get("is_grant") else "revoke", "role", "", roles, 1, (("what", what), ("options", options)))


def _default_privileges(node: Json) -> Iterator[Made]:
    action = dict(node.get("action", {}))
    schemas = [
        name
        for item in node.get("options", ())
        if item.get("DefElem", {}).get("defname") == "schemas"
        for name in _parts(item["DefElem"]["arg"]["List"].get("items", ()))
    ]
    action["objects"] = [{"String": {"sval": name}} for name in schemas or ["every schema"]]
    for made in _granted(action, "all "):
        yield replace(made, details=(*made.details, ("later", "yes"))) if isinstance(made, Operation) else made


def _role_made(verb: str) -> Callable[[Json], Iterator[Made]]:
    def made(node: Json) -> Iterator[Made]:
        options = {item["DefElem"]["defname"]: item["DefElem"].get("arg", {}) for item in node.get("options", ())}
        powers = [
            name
            for name in ("superuser", "bypassrls", "createrole", "createdb", "isreplication")
            if options.get(name, {}).get("Boolean", {}).get("boolval")
        ]
        name = str(node.get("role")) if verb == "create" else _role(node.get("role", {}))
        yield Operation(verb, "role", "", name, 1, (("powers", ", ".join(powers)),))

    return made


def _function(node: Json) -> Iterator[Made]:
    options = {item["DefElem"]["defname"]: item["DefElem"] for item in node.get("options", ())}
    definer = options.get("security", {}).get("arg", {}).get("Boolean", {}).get("boolval", False)
    path = any(item["DefElem"]["defname"] == "set" and "search_path" in json.dumps(item) for item in node.get("options", ()))
    arguments = ",".join(
        _type(item["FunctionParameter"].get("argType"))
        for item in node.get("parameters", ())
        if item.get("FunctionParameter", {}).get("mode") not in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE")
    )
    details = [("definition", plain({key: value for key, value in node.items() if key != "replace"})), ("arguments", arguments)]
    details += [("definer", "yes" if path else "no search_path")] if definer else []
    details += [("replace", "yes")] if node.get("replace") else []
    yield Operation("create", "function", "", _dotted(node.get("funcname", ())), 1, tuple(details))


def _alter_function(node: Json) -> Iterator[Made]:
    for item in node.get("actions", ()):
        option = item.get("DefElem", {})
        if option.get("defname") == "security" and option.get("arg", {}).get("Boolean", {}).get("boolval"):
            yield Operation("alter", "function", "", _object({"ObjectWithArgs": node.get("func", {})}), 1, (("definer", "yes"),))


def _trigger(node: Json) -> Iterator[Made]:
    yield Operation(
        "create", "trigger", _relation(node.get("relation")), str(node.get("trigname", "")).lower(), 1, (("definition", plain(node)),)
    )


def _view(node: Json) -> Iterator[Made]:
    yield Operation(
        "create",
        "view",
        "",
        _relation(node.get("view")),
        1,
        (("definition", plain(node)), ("replace", "yes" if node.get("replace") else "")),
    )


def _index(node: Json) -> Iterator[Made]:
    table = _relation(node.get("relation"))
    details = [
        ("definition", plain(node)),
        ("unique", "yes" if node.get("unique") else ""),
        ("concurrently", "yes" if node.get("concurrent") else ""),
    ]
    name = str(node.get("idxname", "")).lower() or f"index on {table}"
    yield Operation("create", "index", table, name, 1, tuple(details))


def _policy(node: Json) -> Iterator[Made]:
    verb = "alter" if "cmd_name" not in node else "create"
    roles = ", ".join(_role(item) for item in node.get("roles", ()))
    details = [("definition", plain(node)), ("roles", roles), ("command", str(node.get("cmd_name", "")))]
    details.append(("permissive", "yes" if node.get("permissive") or verb == "alter" else "no"))
    for key, field in (("using", "qual"), ("check", "with_check")):
        if field in node:
            details.append((key, "always" if always(node[field]) else "some"))
    yield Operation(verb, "policy", _relation(node.get("table")), str(node.get("policy_name", "")).lower(), 1, tuple(details))


def _enum_changed(node: Json) -> Iterator[Made]:
    name = _dotted(node.get("typeName", ()))
    if node.get("oldVal"):
        yield Operation("rename", "value", name, str(node["oldVal"]), 1, (("to", str(node.get("newVal", ""))),))
    else:
        yield Operation("create", "value", name, str(node.get("newVal", "")), 1)


def _enum(node: Json) -> Iterator[Made]:
    values = "\n".join(_parts(node.get("vals", ())))
    yield Operation("create", "type", "", _dotted(node.get("typeName", ())), 1, (("definition", values), ("values", values)))


def _named(kind: str, field: str) -> Callable[[Json], Iterator[Made]]:
    def made(node: Json) -> Iterator[Made]:
        value = node.get(field, "")
        name = _dotted(value) if isinstance(value, list) else _relation(value) if isinstance(value, dict) else str(value)
        yield Operation("create", kind, "", name, 1, (("definition", plain(node)),))

    return made


def _set(node: Json) -> Iterator[Made]:
    value = "".join(str(_constant(item)) for item in node.get("args", ()))
    if node.get("name") == "session_replication_role" and value in ("replica", "local"):
        yield Operation("disable", "all triggers", "", "session", 1)
    elif node.get("name") == "row_security" and value in ("off", "False"):
        return
    elif node.get("name") in ("lock_timeout", "statement_timeout", "search_path"):
        yield Operation("set", str(node["name"]), "", value, 1)


def _heavy(node: Json) -> Iterator[Made]:
    name = _relation(node.get("relation"))
    yield Operation("alter", "rewrite", name, name, 1)


def _vacuum(node: Json) -> Iterator[Made]:
    options = [item.get("DefElem", {}) for item in node.get("options", ())]
    if any(option.get("defname") == "full" and not _off(option) for option in options):
        for item in node.get("rels", ({},)):
            name = _relation(item.get("VacuumRelation", {}).get("relation"))
            yield Operation("alter", "rewrite", name, name or "every table", 1)


def _off(option: Json) -> bool:
    """Whether an option in brackets is switched off: `FULL false`, `FULL off`, `FULL 0`."""
    said = option.get("arg", {})
    word = str(said.get("String", {}).get("sval", "")).lower()
    return word in ("false", "off") or ("Integer" in said and not said["Integer"].get("ival"))


def _reindex(node: Json) -> Iterator[Made]:
    if not any(item.get("DefElem", {}).get("defname") == "concurrently" for item in node.get("params", ())):
        name = _relation(node.get("relation")) or str(node.get("name", ""))
        yield Operation("alter", "reindex", name, name, 1)


def _refresh(node: Json) -> Iterator[Made]:
    return iter(())


def _transaction(node: Json) -> Iterator[Made]:
    yield Operation("set", "transaction", "", str(node.get("kind", "")).removeprefix("TRANS_STMT_").lower(), 1)


def _role_set(node: Json) -> Iterator[Made]:
    yield Operation("alter", "role setting", "", _role(node.get("role", {})), 1)


_HANDLERS: dict[str, Callable[[Json], Iterator[Made]]] = {
    "DropStmt": _drop, "DropdbStmt": _drop_named("database", "dbname"), "DropRoleStmt": _drop_roles, "DropOwnedStmt": _drop_owned, "ReassignOwnedStmt": _reassign_owned, "CreateStmt": _create_table,
    "CreateForeignTableStmt": lambda node: _create_table(node.get("base", node)),
    "CreateTableAsStmt": _create_table_as, "AlterTableStmt": _alter_table, "RenameStmt": _rename, "AlterObjectSchemaStmt": _move_schema,
    "AlterOwnerStmt": _owner, "TruncateStmt": _truncate, "DeleteStmt": _delete, "UpdateStmt": _update, "InsertStmt": _insert, "MergeStmt": _merge,
    "GrantStmt": _grant, "GrantRoleStmt": _grant_role, "AlterDefaultPrivilegesStmt": _default_privileges, "CreateRoleStmt": _role_made("create"),
    "AlterRoleStmt": _role_made("alter"), "CreateFunctionStmt": _function, "AlterFunctionStmt": _alter_function, "CreateTrigStmt": _trigger,
    "ViewStmt": _view, "IndexStmt": _index, "CreatePolicyStmt": _policy, "AlterPolicyStmt": _policy, "AlterEnumStmt": _enum_changed,
    "CreateEnumStmt": _enum, "CompositeTypeStmt": _named("type", "typevar"), "CreateDomainStmt": _named("type", "domainname"),
    "CreateSchemaStmt": _named("schema", "schemaname"), "CreateSeqStmt": _named("sequence", "sequence"), "CreatedbStmt": _named("database", "dbname"),
    "CreateExtensionStmt": _named("extension", "extname"), "CreateEventTrigStmt": _named("trigger", "trigname"), "RuleStmt": _named("rule", "rulename"),
    "VariableSetStmt": _set, "ClusterStmt": _heavy, "VacuumStmt": _vacuum, "ReindexStmt": _reindex, "TransactionStmt": _transaction,
    "AlterRoleSetStmt": _role_set,
}  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- code that runs now

_LEAD = frozenset(["BEGIN", "THEN", "ELSE", "LOOP", "DECLARE", "END", "EXCEPTION"])
_RUNS = frozenset(["DROP", "ALTER", "CREATE", "TRUNCATE", "DELETE", "UPDATE", "INSERT", "GRANT", "REVOKE", "COMMENT"])


def _do(node: Json, nested: int) -> Iterator[Made]:
    """The statements inside a DO block, none of them sure: they stand under conditions and handlers."""
    body = next(
        (_string(item["DefElem"].get("arg")) for item in node.get("args", ()) if item.get("DefElem", {}).get("defname") == "as"), ""
    )
    language = next(
        (_string(item["DefElem"].get("arg")) for item in node.get("args", ()) if item.get("DefElem", {}).get("defname") == "language"),
        "plpgsql",
    )
    if language.lower() != "plpgsql":
        yield Unread(1, f"a DO block in {language[:30]} runs code that is not SQL", "DO")
        return
    yield from block(body, nested)


def _string(node: Any) -> str:
    return str(node.get("String", {}).get("sval", "")) if isinstance(node, dict) else ""


def block(body: str, nested: int) -> Iterator[Made]:
    """What a PL/pgSQL body does when it runs: its SQL statements, and EXECUTE of strings as far as they are literal."""
    for piece in split(body, "postgres"):
        start = 0
        for index, token in enumerate(piece.tokens):
            word = token.upper
            if word in _LEAD:
                start = index + 1
            elif word in _RUNS | {"EXECUTE"} and index == start:
                if word == "EXECUTE" and not _trigger_body(piece.tokens, index):
                    yield from _execute(piece.tokens[index + 1 :], piece.line + piece.text.count("\n", 0, token.at), nested)
                elif word != "EXECUTE":
                    inner = operations(piece.text[token.at :], "", piece.line + piece.text.count("\n", 0, token.at), nested + 1)
                    yield from (replace(operation, sure=False) for operation in inner.operations)
                    yield from inner.unread
                break


def _trigger_body(items: Any, index: int) -> bool:
    return index + 1 < len(items) and items[index + 1].upper in ("FUNCTION", "PROCEDURE")


_JOINING = frozenset({"FORMAT", "CONCAT", "", "("})


def _execute(items: Any, line: int, nested: int) -> Iterator[Made]:
    """EXECUTE of an expression: its string literals joined, everything else a placeholder."""
    text: list[str] = []
    calls: list[str] = []
    before = ""
    for token in items:
        sign = token.text if token.kind == "sign" else ""
        if token.upper == "USING" and not calls:
            break
        if sign == "(":
            calls.append(before)
        elif sign == ")" and calls:
            calls.pop()
        elif all(call in _JOINING for call in calls):
            if token.kind in ("string", "body"):
                # Of format's arguments only the first is text; the others fill its places.
                if "FORMAT" not in calls or before == "(":
                    text.append(token.text)
            elif token.name and token.upper not in _JOINING and "FORMAT" not in calls:
                text.append(COMPUTED)
        before = token.upper or sign
    made = "".join(text)
    if not made.replace(COMPUTED, "").strip():
        yield Unread(line, "it runs a statement put together at run time", "EXECUTE")
        return
    made = re.sub(r"%(\d+\$)?-?\d*[IsL]", COMPUTED, made).replace("%%", "%")
    inner = operations(made, "", line, nested + 1)
    yield from (replace(operation, sure=False) for operation in inner.operations)
    yield from inner.unread
