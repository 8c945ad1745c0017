"""squawk as an oracle: where a new migration has what one of its rules looks for, Interlock has an effect for it.

squawk looks at one file, Interlock at a migration that is new beside older ones; so each input is a statement in a new file. The inputs are our
own, in the shapes that the rules are about. Runs offline, and only where squawk is installed.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from checks.detectors import rules
from checks.effects import effects_of
from tests.changes import change_of

SQUAWK = Path(sysconfig.get_path("scripts")) / "squawk"

LOCKS, INDEX, REWRITTEN = "database-locks/constraint-scans-table", "database-locks/index-blocks-writes", "database-locks/table-rewritten"
OURS: dict[str, tuple[str, ...]] = {
    "adding-field-with-default": (REWRITTEN,),
    "adding-foreign-key-constraint": (LOCKS,),
    "adding-not-nullable-field": ("migrations/column-required",),
    "adding-required-field": ("migrations/column-required",),
    "adding-serial-primary-key-field": (REWRITTEN, INDEX),
    "ban-drop-column": ("migrations/column-dropped",),
    "ban-drop-constraint": ("migrations/constraint-dropped",),
    "ban-drop-database": ("migrations/database-dropped",),
    "ban-drop-default": ("migrations/default-dropped",),
    "ban-drop-not-null": ("migrations/default-dropped",),
    "ban-drop-table": ("migrations/table-dropped",),
    "ban-drop-type": ("migrations/object-dropped",),
    "ban-truncate-cascade": ("migrations/rows-emptied",),
    "changing-column-type": ("migrations/type-narrowed", "migrations/type-changed"),
    "constraint-missing-not-valid": (LOCKS,),
    "disallowed-unique-constraint": (INDEX,),
    "renaming-column": ("migrations/renamed",),
    "renaming-table": ("migrations/renamed",),
    "require-concurrent-index-creation": (INDEX,),
    "require-concurrent-index-deletion": (INDEX,),
    "require-concurrent-partition-detach": (INDEX,),
    "require-concurrent-reindex": (INDEX,),
}
"""Each rule that we answer, and the rules of ours of which one must fire."""

NOT_OURS = {
    "ban-alter-domain-with-add-constraint": "rare, and no lock of ours is told of domains",
    "ban-char-field": "style of new columns",
    "ban-concurrent-index-creation-in-transaction": "the statement fails and nothing is lost",
    "ban-create-domain-with-constraint": "style",
    "ban-duplicate-column-assignments": "an error of the statement",
    "ban-set-schema": "an object that moves is told as renamed where it is a table",
    "ban-uncommitted-transaction": "the migration fails and nothing is lost",
    "identifier-too-long": "style",
    "prefer-bigint-over-int": "style of new columns",
    "prefer-bigint-over-smallint": "style of new columns",
    "prefer-identity": "style of new columns",
    "prefer-repack": "advice",
    "prefer-robust-stmts": "style: whether a statement may run twice",
    "prefer-text-field": "style of new columns",
    "prefer-timestamp-tz": "style of new columns",
    "renaming-object": "beyond tables, columns, types, views and functions nothing else names it",
    "require-enum-value-ordering": "style",
    "require-lock-timeout": "a lint of what is missing",
    "require-statement-timeout": "a lint of what is missing",
    "require-table-schema": "style",
    "syntax-error": "what cannot be read is an effect of its own",
    "transaction-nesting": "the migration fails and nothing is lost",
}
"""Each rule that we do not answer, and why."""

STATEMENTS: dict[str, list[str]] = {
    "adding-field-with-default": [
        "alter table orders add column token uuid default gen_random_uuid();",
        "alter table orders add column total numeric generated always as (price * amount) stored;",
    ],
    "adding-foreign-key-constraint": [
        "alter table orders add constraint orders_user foreign key (user_id) references users (id);",
        "alter table orders add column user_id int references users (id);",
    ],
    "adding-not-nullable-field": ["alter table orders alter column note set not null;"],
    "adding-required-field": ["alter table orders add column region text not null;"],
    "adding-serial-primary-key-field": ["alter table orders add column id serial primary key;", "alter table orders add primary key (id);"],
    "ban-drop-column": ["alter table orders drop column note;", "alter table only orders drop column if exists note cascade;"],
    "ban-drop-constraint": ["alter table orders drop constraint orders_user;"],
    "ban-drop-database": ["drop database shop;", "drop database if exists shop;"],
    "ban-drop-default": ["alter table orders alter column note drop default;"],
    "ban-drop-not-null": ["alter table orders alter column note drop not null;"],
    "ban-drop-table": ["drop table orders;", "drop table if exists orders, users cascade;"],
    "ban-drop-type": ["drop type mood;"],
    "ban-truncate-cascade": ["truncate orders cascade;", "truncate table orders, users cascade;"],
    "changing-column-type": [
        "alter table orders alter column amount type text;",
        "alter table orders alter amount set data type smallint;",
    ],
    "constraint-missing-not-valid": [
        "alter table orders add constraint positive check (amount > 0);",
        "alter table orders add foreign key (user_id) references users (id);",
    ],
    "disallowed-unique-constraint": [
        "alter table orders add constraint one_token unique (token);",
        "alter table orders add column token text unique;",
    ],
    "renaming-column": ["alter table orders rename column note to remark;"],
    "renaming-table": ["alter table orders rename to purchases;"],
    "require-concurrent-index-creation": ["create index on orders (note);", "create unique index one_note on only orders (note);"],
    "require-concurrent-index-deletion": ["drop index one_note;"],
    "require-concurrent-partition-detach": ["alter table orders detach partition orders_2020;"],
    "require-concurrent-reindex": ["reindex table orders;", "reindex index one_note;"],
}
CASES = [(rule, number) for rule, statements in STATEMENTS.items() for number in range(len(statements))]
OLDER = "create table orders (id int, note text not null default '', amount int, price int, user_id int, token text);\ncreate table users (id int primary key);\n"


@lru_cache(maxsize=1)
def seen() -> Mapping[tuple[str, int], frozenset[str]]:
    """What squawk says of each statement as a file of its own."""
    found: dict[tuple[str, int], set[str]] = {case: set() for case in CASES}
    with TemporaryDirectory() as folder:
        for rule, number in CASES:
            Path(folder, f"{rule}-{number}.sql").write_text(STATEMENTS[rule][number] + "\n")
        files = sorted(str(file) for file in Path(folder).iterdir())
        done = subprocess.run([SQUAWK, "--reporter", "json", *files], capture_output=True, check=False, timeout=120, cwd=folder)
    for row in json.loads(done.stdout):
        rule, _, number = Path(row["file"]).stem.rpartition("-")
        found[rule, int(number)].add(row["rule_name"])
    return {case: frozenset(names) for case, names in found.items()}


def said(statement: str) -> set[str]:
    """The rules of ours that a new migration with this statement meets."""
    older = {"db/migrations/001_first.sql": OLDER, "db/migrations/002_more.sql": "create index one_note on orders (note);\n"}
    return {effect.rule for effect in effects_of(change_of(older, older | {"db/migrations/003_next.sql": statement + "\n"}))}


oracle = pytest.mark.skipif(not SQUAWK.exists(), reason="squawk is not installed")


@oracle
@pytest.mark.parametrize(("rule", "number"), CASES)
def test_what_squawk_finds_in_a_new_migration_interlock_finds(rule: str, number: int) -> None:
    """The rule speaks of the statement; then an effect of one of the rules in the table says it of the change."""
    assert rule in seen()[rule, number], "the statement does not show what it is for"
    assert said(STATEMENTS[rule][number]) & set(OURS[rule])


@oracle
def test_every_rule_met_is_in_one_of_the_tables() -> None:
    """No rule that speaks of these statements is forgotten, and none stands in both tables."""
    assert {name for names in seen().values() for name in names} <= set(OURS) | set(NOT_OURS)
    assert not set(OURS) & set(NOT_OURS)


@pytest.mark.parametrize(
    "statement", ["vacuum (full false) orders;", "create index concurrently i on orders (id);", "reindex index concurrently one_note;"]
)
def test_what_is_done_without_a_heavy_lock_is_silent(statement: str) -> None:
    """The ways that squawk asks for have no effect here either."""
    assert not {rule for rule in said(statement) if rule.startswith("database-locks/")}


def test_the_table_names_rules_that_exist() -> None:
    """Each rule that is ours names registered rules and has a statement."""
    assert {rule for named in OURS.values() for rule in named} <= set(rules())
    assert set(STATEMENTS) == set(OURS)
