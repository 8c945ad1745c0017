"""What the readers of migrations and Dockerfiles promise."""

from __future__ import annotations

import pytest

from checks.readers import dockerfile
from checks.readers.migrations import Back, framework_of, partner, read, version_of
from checks.readers.schema import type_change


@pytest.mark.parametrize(
    ("path", "framework"),
    [
        ("db/migrations/001_users.sql", "sql"),
        ("migrations/20240101_x.up.sql", "pair-file"),
        ("migrations/2024-01-01-000000_x/up.sql", "pair-folder"),
        ("src/main/resources/db/V2_1__more.sql", "flyway"),
        ("prisma/migrations/20240101_x/migration.sql", "prisma"),
        ("sql/0001-init.sql", "numbered"),
        ("ops/grants.sql", "declared"),
        ("shop/migrations/0002_auto.py", "django"),
        ("alembic/versions/ab12_x.py", "alembic"),
        ("db/migrate/20240101000000_x.rb", "rails"),
        ("db/schema.sql", ""),
        ("db/seeds/001_users.sql", ""),
        ("docker-entrypoint-initdb.d/01-init.sql", ""),
        ("src/test/db/01-auth-schema.sql", ""),
        ("shop/migrations/__init__.py", ""),
        ("queries/report.sql", ""),
    ],
)
def test_a_migration_is_known_by_its_path(path: str, framework: str) -> None:
    """Migrations are told apart from dumps, seeds, queries and what only tests use."""
    assert framework_of(path) == framework


@pytest.mark.parametrize(
    "text",
    [
        "-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE users;",
        "-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE users;",
        "-- Up Migration\nSELECT 1;\n-- Down Migration\nDROP TABLE users;",
        "SELECT 1;\n---- create above / drop below ----\nDROP TABLE users;",
        "-- // add\nSELECT 1;\n-- //@UNDO\nDROP TABLE users;",
        "# --- !Ups\nSELECT 1;\n# --- !Downs\nDROP TABLE users;",
    ],
)
def test_the_way_down_is_no_effect(text: str) -> None:
    """Only the up part counts; the down part is the way back."""
    migration = read(text.encode(), "migrations/001_x.sql")
    assert migration is not None
    assert migration.up == ()
    assert migration.back is Back.WRITTEN
    assert [operation.verb for operation in migration.down] == ["drop"]


def test_a_pair_is_one_migration() -> None:
    """The partner of an up file is its way down; without one there is none."""
    assert partner("m/1_x.up.sql") == "m/1_x.down.sql"
    assert partner("m/1_x/up.sql") == "m/1_x/down.sql"
    for down, back in ((None, Back.MISSING), (b"-- nothing", Back.EMPTY), (b"DROP TABLE a;", Back.WRITTEN)):
        migration = read(b"CREATE TABLE a (id int);", "m/1_x.up.sql", down)
        assert migration is not None and migration.back is back


def test_versions_are_numbers() -> None:
    """Migration 10 runs after migration 9."""
    assert sorted(["m/10_a.sql", "m/9_b.sql", "m/1_c.sql"], key=version_of) == ["m/1_c.sql", "m/9_b.sql", "m/10_a.sql"]


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("varchar(50)", "varchar(200)", "widened"),
        ("varchar(50)", "text", "widened"),
        ("text", "varchar(50)", "narrowed"),
        ("varchar(200)", "varchar(50)", "narrowed"),
        ("integer", "bigint", "rewritten"),
        ("bigint", "integer", "narrowed"),
        ("numeric(10,2)", "numeric(12,2)", "widened"),
        ("numeric(10,2)", "numeric(10,4)", "narrowed"),
        ("text", "integer", "narrowed"),
        ("", "text", "unknown"),
        ("text", "text", "same"),
    ],
)
def test_a_type_change_is_judged_by_what_still_fits(old: str, new: str, how: str) -> None:
    """Growing is silent, copying is a rewrite, and what can refuse a value is a narrowing."""
    assert type_change(old, new) == how


def test_a_dockerfile_is_read_as_the_builder_reads_it() -> None:
    """Continuations, comments inside them, heredocs, flags, and stages that build on each other."""
    text = b"ARG V=3\nFROM alpine:${V} AS base\nUSER app\nFROM base\nRUN a \\\n # not code\n  && b\nRUN <<EOF\nUSER root\nEOF\nCOPY --chown=1 x y\n"
    file = dockerfile.read(text, "Dockerfile")
    assert [stage.base for stage in file.stages] == ["alpine:3", "base"]
    final = file.final
    assert final is not None
    assert [(item.name, item.line) for item in final.instructions] == [("RUN", 5), ("RUN", 8), ("COPY", 11)]
    assert [stage.name for stage in file.chain(final)] == ["", "base"]
    assert final.instructions[2].flags == ("--chown=1",)
