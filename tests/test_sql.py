"""What the SQL reader promises: every statement is an operation, harmless, or said to be unread."""

from __future__ import annotations

import pytest

from checks.readers.sql import Operation, operations


def told(text: str) -> list[str]:
    return [
        f"{operation.verb} {operation.kind} {operation.subject}"
        for operation in operations(text).operations
        if operation.verb not in ("set", "alter")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE a, s.b", ["drop table a", "drop table s.b"]),
        ('drop table if exists "Users" cascade', ["drop table users"]),
        ("ALTER TABLE a DROP COLUMN b, ALTER c SET NOT NULL", ["drop column a.b", "required column a.c"]),
        ("WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone", ["delete rows a"]),
        ("/*!50000 DROP TABLE users */;", ["drop table users"]),
        ("-- ok\rDROP TABLE users;".replace("\r", "\n"), ["drop table users"]),
        ("ALTER TABLE `a` DROP INDEX `i`, DROP `c`", ["drop index a.i", "drop column a.c"]),
        ("RENAME TABLE a TO b", ["rename table a"]),
        ("EXEC sp_rename 'dbo.a.b', 'c', 'COLUMN'", ["rename column a.b"]),
        ("ALTER TABLE t ON CLUSTER '{c}' DROP COLUMN x, DELETE WHERE 1", ["drop column t.x", "delete rows t"]),
        ("SELECT 'DROP TABLE a'; -- DROP TABLE b", []),
        ("DROP TABLE {{ schema }}.users", ["drop table (computed).users"]),
        ("COPY a (x) FROM stdin;\nDROP TABLE b;\n\\.\nDROP TABLE c;", ["drop table c"]),
        ("\\set x 1\n\\connect db\nDROP TABLE a;", ["drop table a"]),
        ("this is no SQL; DROP TABLE a", ["drop table a"]),
    ],
)
def test_a_statement_is_read_as_a_database_would(text: str, expected: list[str]) -> None:
    """Dialects, comments that are code, data, templates and psql commands all give what the database would do."""
    assert told(text) == expected


@pytest.mark.parametrize(
    "text", ["FROBNICATE users", "DO $$ BEGIN EXECUTE stmt; END $$", "\\i other.sql\nSELECT 1", "EXEC('DROP ' + @t)", "DROP WIDGET a"]
)
def test_what_cannot_be_judged_is_said_to_be_unread(text: str) -> None:
    """A statement that is not known, or is put together at run time, is never nothing."""
    assert operations(text).unread


def test_a_body_that_does_not_run_now_does_nothing() -> None:
    """Statements inside functions and triggers run later; those of a DO block run now, perhaps."""
    body = "BEGIN DELETE FROM a; DROP TABLE b; END"
    assert told(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ {body}; $$") == ["create function f"]
    assert told(f"DELIMITER //\nCREATE TRIGGER t BEFORE INSERT ON `a` FOR EACH ROW {body}//\nDELIMITER ;") == ["create trigger a.t"]
    found = operations(f"DO $$ {body}; $$").operations
    assert [operation.kind for operation in found] == ["rows", "table"]
    assert not any(operation.sure for operation in found)


def test_strings_joined_at_run_time_are_read_as_far_as_they_are_literal() -> None:
    """EXECUTE of literals and computed parts is read with the computed parts left open."""
    text = "DO $$ BEGIN\nEXECUTE 'grant all on t to ' || who;\nEXECUTE format('ALTER TABLE %I DROP COLUMN email', t); END $$"
    grant, drop = operations(text).operations
    assert (grant.verb, grant.table, grant.line) == ("grant", "t", 2)
    assert (drop.verb, drop.name, drop.line) == ("drop", "email", 3)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", "none"),
        ("WHERE true", "always"),
        ("WHERE 1=1", "always"),
        ("WHERE id = id", "always"),
        ("WHERE x OR 1=1", "always"),
        ("WHERE id = 4", "some"),
        ("WHERE note IS NULL", "null note"),
    ],
)
def test_a_condition_that_holds_nothing_back_is_none(condition: str, expected: str) -> None:
    """A constant-true condition is as good as none."""
    assert operations(f"UPDATE a SET note = 'x' {condition}").operations[0].get("where") == expected


def test_lines_are_those_of_the_file() -> None:
    """Each operation carries the line its statement starts on, in both grammars."""
    assert [operation.line for operation in operations("-- a\n\nDROP TABLE a;\n\n/* x\n*/ DROP TABLE b").operations] == [3, 6]
    assert [operation.line for operation in operations("\nDROP TABLE `a`;\n\nDROP TABLE `b`").operations] == [2, 4]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(" * 50_000,
        "SELECT " + "ARRAY[" * 500 + "1",
        "CREATE TABLE a (" + "b int(" * 20_000,
        "'" * 9_999,
        "/*" * 9_999,
        "$$" * 999 + "$a$",
    ],
)
def test_hostile_nesting_ends(text: str) -> None:
    """Brackets, quotes and comments without end are read in linear time."""
    assert isinstance(operations(text).operations, tuple)


def test_an_operation_names_its_object() -> None:
    """The subject is the table and the member, or the object alone."""
    assert Operation("drop", "column", "users", "email", 1).subject == "users.email"
    assert Operation("drop", "table", "users", "users", 1).subject == "users"
