"""How far a change reaches: units, environments, owners, and what depends on what."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from checks.model import Environment, Reach
from checks.policy import BUILT_IN, Policy
from checks.reach import reach_of
from checks.reach.cache import Memory
from tests.changes import change_of


def reach(before: Mapping[str, str], after: Mapping[str, str], policy: Policy = BUILT_IN) -> Reach:
    """The reach of a change with no effect: only what the paths say."""
    return reach_of(change_of(before, {**before, **after}), (), policy)


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        ("Dockerfile", "FROM alpine\n"),
        ("Chart.yaml", "name: api\n"),
        ("serverless.yml", "service: api\n"),
        ("template.yaml", "AWSTemplateFormatVersion: 2010-09-09\n"),
        ("main.tf", 'terraform {\n  backend "s3" {}\n}\n'),
        ("package.json", '{"scripts": {"start": "node ."}}'),
        ("Procfile", "web: run\n"),
        ("fly.toml", "app = 'api'\n"),
    ],
)
def test_the_nearest_marker_up_the_path_is_the_unit(marker: str, content: str) -> None:
    """A file ships with the nearest folder above it that says how it is deployed."""
    before = {"Dockerfile": "FROM alpine\n", f"services/api/{marker}": content, "services/api/src/deep/a.py": "1\n", "web/b.py": "1\n"}
    assert reach(before, {"services/api/src/deep/a.py": "2\n"}).units == ("services/api",)
    assert reach(before, {"web/b.py": "2\n"}).units == (".",)


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        ("package.json", '{"scripts": {"test": "start-server-and-test"}}'),
        ("main.tf", 'module "a" {\n  source = "../a"\n}\n'),
        ("template.yaml", "title: A letter\n"),
    ],
)
def test_what_only_looks_like_a_marker_is_none(marker: str, content: str) -> None:
    """A library, a module without state and a template of something else are not deployed."""
    assert reach({f"lib/{marker}": content, "lib/a.py": "1\n"}, {"lib/a.py": "2\n"}).units == ()


@pytest.mark.parametrize("path", ["README.md", "tests/test_a.py", "docs/production/a.yaml", "examples/prod/main.tf"])
def test_words_tests_and_examples_ship_nowhere(path: str) -> None:
    """What is not deployed touches no unit and no environment."""
    found = reach({"Dockerfile": "FROM alpine\n", path: "1\n"}, {path: "2\n"})
    assert (found.units, found.environments) == ((), ())


def test_a_deleted_unit_is_still_one() -> None:
    """Whoever removes a service touches that service."""
    before = {"services/api/Dockerfile": "FROM alpine\n", "services/api/a.py": "1\n"}
    assert reach_of(change_of(before, {}), (), BUILT_IN).units == ("services/api",)


def test_the_policy_names_units_and_environments() -> None:
    """What the policy says comes before what the folders say."""
    policy = Policy(units=(("payments", ("services/pay/**",)),), environments=((Environment.PRODUCTION, ("live-eu/**",)),))
    before = {"services/pay/Dockerfile": "FROM alpine\n", "services/pay/a.py": "1\n", "live-eu/a.tf": "\n"}
    found = reach(before, {"services/pay/a.py": "2\n", "live-eu/a.tf": "# 1\n"}, policy)
    assert (found.units, found.environments) == (("payments",), ("production",))


def test_environments_come_from_paths_overlays_and_values() -> None:
    """A chart goes where it has values for; an overlay where its folder says; source code in a folder `dev` nowhere in particular."""
    chart = {"charts/api/Chart.yaml": "name: api\n", "charts/api/templates/a.yaml": "a: 1\n"}
    values = {"charts/api/values-production.yaml": "a: 1\n", "charts/api/values-staging.yaml": "a: 1\n"}
    assert reach({**chart, **values}, {"charts/api/templates/a.yaml": "a: 2\n"}).environments == ("production", "staging")
    assert reach({"apps/overlays/prod/a.yaml": "a: 1\n"}, {"apps/overlays/prod/a.yaml": "a: 2\n"}).environments == ("production",)
    assert reach({"src/dev/a.py": "1\n"}, {"src/dev/a.py": "2\n"}).environments == ()


def test_deploy_jobs_are_touched_by_their_paths() -> None:
    """A job that deploys to a GitHub environment is reached by its own workflow and by the paths that wake it."""
    flow = "on:\n  push:\n    paths: ['api/**']\njobs:\n  ship:\n    runs-on: ubuntu-latest\n    environment: production\n    steps:\n    - run: make\n"
    before = {".github/workflows/ship.yml": flow, "api/a.py": "1\n", "web/a.py": "1\n"}
    found = reach(before, {"api/a.py": "2\n"})
    assert (found.units, found.environments) == (("ship.yml: ship",), ("production",))
    assert reach(before, {"web/a.py": "2\n"}).units == ()
    assert reach(before, {".github/workflows/ship.yml": flow + "# more\n"}).units == ("ship.yml: ship",)


def test_owners_are_those_before_the_change() -> None:
    """The last matching line counts, as it stood before: a change does not choose its owners."""
    before = {"CODEOWNERS": "* @acme/all\n/api/ @acme/api @Robin\n", "api/a.py": "1\n", "b.py": "1\n"}
    assert reach(before, {"api/a.py": "2\n", "CODEOWNERS": "* @eve\n"}).owners == ("@acme/all", "@acme/api", "@robin")
    assert reach(before, {"api/a.py": "2\n"}).owners == ("@acme/api", "@robin")


DEPENDS: dict[str, tuple[dict[str, str], str, list[tuple[str, ...]]]] = {
    "python": (
        {"shop/__init__.py": "", "shop/db.py": "", "shop/orders.py": "from .db import (\n  save,\n)\n", "run.py": "import shop.orders as o\n"},
        "shop/db.py",
        [("shop/db.py", "shop/orders.py"), ("shop/db.py", "shop/orders.py", "run.py")],
    ),
    "python in src": (
        {"api/pyproject.toml": "", "api/src/shop/__init__.py": "", "api/src/shop/db.py": "", "api/src/shop/a.py": "from shop import db\n"},
        "api/src/shop/db.py",
        [("api/src/shop/db.py", "api/src/shop/a.py")],
    ),
    "python of another project": ({"a/db.py": "", "b/x.py": "import db\n", "b/db.py": ""}, "a/db.py", []),
    "a module rather than its package": (
        {"shop/__init__.py": "", "shop/db.py": "", "a.py": "from shop import db\n"},
        "shop/__init__.py",
        [],
    ),
    "typescript": (
        {"src/db.ts": "", "src/a.ts": "export * from './db.js'\n", "src/deep/b.tsx": "const a = await import('../a')\n"},
        "src/db.ts",
        [("src/db.ts", "src/a.ts"), ("src/db.ts", "src/a.ts", "src/deep/b.tsx")],
    ),
    "typescript, an index": ({"src/db/index.ts": "", "src/a.ts": "import { x } from './db'\n"}, "src/db/index.ts", [("src/db/index.ts", "src/a.ts")]),
    "typescript, paths": (
        {
            "web/tsconfig.json": '{ // paths\n "extends": "./base.json" }',
            "web/base.json": '{"compilerOptions": {"baseUrl": ".", "paths": {"@/*": ["./src/*"]},}}',
            "web/src/db.ts": "",
            "web/src/a.ts": "import db from '@/db'\n",
        },
        "web/src/db.ts",
        [("web/src/db.ts", "web/src/a.ts")],
    ),
    "typescript, an alias of another name": (
        {
            "tsconfig.json": '{"compilerOptions": {"paths": {"config": ["src/settings/index.ts"], "@libs/*": ["libs/*/src/main.ts"]}}}',
            "src/settings/index.ts": "import '@libs/money'\n",
            "libs/money/src/main.ts": "",
            "src/a.ts": "import config from 'config'\n",
        },
        "libs/money/src/main.ts",
        [("libs/money/src/main.ts", "src/settings/index.ts"), ("libs/money/src/main.ts", "src/settings/index.ts", "src/a.ts")],
    ),
    "typescript, an import in a comment": (
        {"src/db.ts": "", "src/a.ts": "// import './db'\n/**\n * import './db'\n */\n"},
        "src/db.ts",
        [],
    ),
    "typescript, a file before the folder of its name": (
        {"src/db/index.ts": "", "src/db.ts": "", "src/a.ts": "import { x } from './db'\n"},
        "src/db/index.ts",
        [],
    ),
    "typescript, a workspace": (
        {
            "packages/core/package.json": '{"name": "@acme/core", "main": "dist/index.js", "exports": {".": "./dist/index.js", "./db": "./dist/db/main.js"}}',
            "packages/core/src/index.ts": "",
            "packages/core/src/db/main.ts": "",
            "apps/a/x.ts": "import { y } from '@acme/core/db'\n",
            "apps/b/x.ts": "import { y } from '@acme/core'\n",
        },
        "packages/core/src/db/main.ts",
        [("packages/core/src/db/main.ts", "apps/a/x.ts")],
    ),
    "go": (
        {"go.mod": "module example.com/shop\n", "internal/db/db.go": "package db\n", "main.go": 'package main\nimport (\n  "fmt"\n  d "example.com/shop/internal/db"\n)\n'},
        "internal/db/db.go",
        [("internal/db/db.go", "main.go")],
    ),
    "java": (
        {"src/main/java/a/b/Db.java": "package a.b;\nclass Db {}\n", "src/main/java/a/c/X.java": "package a.c;\nimport a.b.Db;\n", "src/main/java/a/Y.java": "package a;\nimport b.Db;\n"},
        "src/main/java/a/b/Db.java",
        [("src/main/java/a/b/Db.java", "src/main/java/a/c/X.java")],
    ),
    "kotlin": (
        {"app/src/db.kt": "package shop.db\nfun save() {}\n", "app/src/x.kt": "package shop\nimport shop.db.save\n"},
        "app/src/db.kt",
        [("app/src/db.kt", "app/src/x.kt")],
    ),
    "c#": (
        {"a/Db.cs": "namespace Shop.Db;\nclass Db {}\n", "b/X.cs": "using Shop.Db;\n", "b/Y.cs": "using Shop.Dbs;\n"},
        "a/Db.cs",
        [("a/Db.cs", "b/X.cs")],
    ),
    "rust": (
        {"Cargo.toml": '[package]\nname = "shop"\n', "src/main.rs": "mod db;\n", "src/db.rs": "", "src/api/a.rs": "use crate::{api::b, db::{self, Row}};\n"},
        "src/db.rs",
        [("src/db.rs", "src/api/a.rs"), ("src/db.rs", "src/main.rs")],
    ),
    "php": (
        {"src/Db.php": "<?php\nnamespace Shop;\nclass Db {}\n", "src/X.php": "<?php\nuse Shop\\Db;\n", "src/Y.php": "<?php\nuse Other\\Db;\n"},
        "src/Db.php",
        [("src/Db.php", "src/X.php")],
    ),
    "ruby": (
        {"app/models/bank/account.rb": "", "app/models/sale.rb": "Bank::Account.first\n", "lib/x.rb": "Account.first\n", "bin/y.rb": "require_relative '../lib/x'\n"},
        "app/models/bank/account.rb",
        [("app/models/bank/account.rb", "app/models/sale.rb")],
    ),
    "terraform": (
        {
            "modules/db/main.tf": 'variable "a" {}\n',
            "live/prod/main.tf": 'terraform {\n  backend "s3" {\n    key = "shop/db"\n  }\n}\nmodule "db" {\n  source = "../../modules/db"\n}\n',
            "live/app/main.tf": 'data "terraform_remote_state" "db" {\n  config = {\n    key = "shop/db"\n  }\n}\n',
        },
        "modules/db/main.tf",
        [("modules/db/main.tf", "live/prod/main.tf"), ("modules/db/main.tf", "live/prod/main.tf", "live/app/main.tf")],
    ),
    "terragrunt": (
        {"root.hcl": "", "live/prod/vpc/terragrunt.hcl": 'include "root" {\n  path = find_in_parent_folders("root.hcl")\n}\n'},
        "root.hcl",
        [("root.hcl", "live/prod/vpc/terragrunt.hcl")],
    ),
    "kustomize": (
        {
            "base/a.yaml": "kind: Deployment\n",
            "base/kustomization.yaml": "resources:\n- a.yaml\n",
            "overlays/prod/kustomization.yaml": "resources:\n  - ../../base\n",
        },
        "base/a.yaml",
        [("base/a.yaml", "base/kustomization.yaml"), ("base/a.yaml", "base/kustomization.yaml", "overlays/prod/kustomization.yaml")],
    ),
    "actions": (
        {
            ".github/actions/build/action.yml": "name: Build\n",
            ".github/workflows/ship.yml": "on: push\njobs:\n  a:\n    steps:\n    - uses: ./.github/actions/build\n",
        },
        ".github/actions/build/action.yml",
        [(".github/actions/build/action.yml", ".github/workflows/ship.yml")],
    ),
    "a service account's role": (
        {
            "a/role.yaml": "kind: Role\nmetadata:\n  name: reader\n",
            "a/bind.yaml": "kind: RoleBinding\nmetadata:\n  name: b\nroleRef:\n  kind: Role\n  name: reader\nsubjects:\n- kind: ServiceAccount\n  name: api\n",
            "a/api.yaml": "kind: Deployment\nspec:\n  serviceAccountName: api\n",
        },
        "a/role.yaml",
        [("a/role.yaml", "a/bind.yaml"), ("a/role.yaml", "a/bind.yaml", "a/api.yaml")],
    ),
    "a config map": (
        {
            "a/map.yaml": "kind: ConfigMap\nmetadata:\n  labels:\n    x: y\n  name: settings\n",
            "a/api.yaml": "kind: Deployment\nspec:\n  envFrom:\n  - configMapRef:\n      name: settings\n",
        },
        "a/map.yaml",
        [("a/map.yaml", "a/api.yaml")],
    ),
    "an image": (
        {"api/go.sum": "", "api/Dockerfile": "FROM alpine\nCOPY go.sum ./\n", "compose.yaml": "services:\n  api:\n    build: ./api\n"},
        "api/go.sum",
        [("api/go.sum", "api/Dockerfile"), ("api/go.sum", "api/Dockerfile", "compose.yaml")],
    ),
    "a chart": (
        {"c/Chart.yaml": "name: c\n", "c/templates/a.yaml": "a: 1\n", "d/Chart.yaml": "dependencies:\n- name: c\n  repository: file://../c\n"},
        "c/templates/a.yaml",
        [("c/templates/a.yaml", "c/Chart.yaml"), ("c/templates/a.yaml", "c/Chart.yaml", "d/Chart.yaml")],
    ),
    "gradle projects": (
        {
            "settings.gradle.kts": 'rootProject.name = "shop"\n', "libs/db/build.gradle.kts": "", "other/db/build.gradle.kts": "",
            "app/build.gradle.kts": 'dependencies {\n  implementation(project(":libs:db"))\n}\n',
            "web/build.gradle.kts": 'dependencies {\n  // implementation(project(":libs:db"))\n  implementation(project(":other:db"))\n}\n',
        },
        "libs/db/build.gradle.kts",
        [("libs/db/build.gradle.kts", "app/build.gradle.kts")],
    ),
    "included gradle projects": (
        {"settings.gradle": "include ':app', ':db'\n", "db/build.gradle": "", "old/db/build.gradle": ""},
        "db/build.gradle",
        [("db/build.gradle", "settings.gradle")],
    ),
    "maven modules": (
        {
            "db/pom.xml": "<project><parent><groupId>acme</groupId><artifactId>all</artifactId></parent><artifactId>db</artifactId></project>\n",
            "app/pom.xml": "<project><groupId>acme</groupId><artifactId>app</artifactId><dependencies><dependency><groupId>acme</groupId>"
            "<artifactId>db</artifactId></dependency></dependencies></project>\n",
            "web/pom.xml": "<project><groupId>acme</groupId><artifactId>web</artifactId><dependencies><dependency><groupId>org.other</groupId>"
            "<artifactId>db</artifactId></dependency></dependencies></project>\n",
        },
        "db/pom.xml",
        [("db/pom.xml", "app/pom.xml")],
    ),
    "crates of a workspace": (
        {
            "db/Cargo.toml": '[package]\nname = "db"\n', "app/Cargo.toml": '[dependencies]\ndb = { path = "../db" }\n',
            "web/Cargo.toml": '[dependencies]\ndb = "1"\n',
        },
        "db/Cargo.toml",
        [("db/Cargo.toml", "app/Cargo.toml")],
    ),
    "modules of a go workspace": (
        {"go.work": "go 1.22\n\nuse (\n\t./db\n\t./app\n)\n", "db/go.mod": "module x\n", "old/db/go.mod": "module y\n"},
        "db/go.mod",
        [("db/go.mod", "go.work")],
    ),
    "clients of openapi-generator": (
        {
            "openapitools.json": '{"generator-cli": {"generators": {"web": {"generatorName": "typescript-fetch", "inputSpec": "api/shop.yaml", "output": "web/client"},'
            '"far": {"inputSpec": "https://example.com/shop.yaml", "output": "far"}, "old": {"inputSpec": "api/old.yaml", "output": "old"}}}}',
            "api/shop.yaml": "openapi: 3.0.0\n", "api/old.yaml": "openapi: 3.0.0\n", "web/client/orders.ts": "", "web/page.ts": "import './client/orders'\n",
            "far/orders.ts": "", "old/orders.ts": "",
        },
        "api/shop.yaml",
        [("api/shop.yaml", "web/client/orders.ts"), ("api/shop.yaml", "web/client/orders.ts", "web/page.ts")],
    ),
    "types from a script of a package": (
        {
            "web/package.json": '{"name": "web", "scripts": {"types": "rm -f x && openapi-typescript ../api/shop.json --output src/shop.d.ts"}}',
            "web/Makefile": "types:\n\t# openapi-typescript ../api/shop.json -o src/old.d.ts\n\techo openapi-typescript ../api/shop.json -o src/old.d.ts\n\ttrue # openapi-typescript ../api/shop.json -o src/old.d.ts\n\tdatamodel-codegen --input=$(API)/shop.json --output=model.py\n",
            "api/shop.json": "{}", "web/src/shop.d.ts": "", "web/src/old.d.ts": "", "web/model.py": "",
        },
        "api/shop.json",
        [("api/shop.json", "web/src/shop.d.ts")],
    ),
    "a client that a program configures": (
        {
            "web/orval.config.ts": "// input: './old.yaml', output: './old.ts'\nexport default { shop: { input: { target: '../api/shop.yaml' },\n"
            "  output: { mode: 'single', target: './src/shop.ts', schemas: './src/model' } } }\n",
            "api/shop.yaml": "", "web/src/shop.ts": "", "web/src/model/order.ts": "", "web/old.ts": "", "web/old.yaml": "",
        },
        "api/shop.yaml",
        [("api/shop.yaml", "web/src/model/order.ts"), ("api/shop.yaml", "web/src/shop.ts")],
    ),
    "graphql": (
        {
            "web/codegen.ts": "export default { schema: '../api/*.graphql', documents: ['src/**/*.tsx'], generates: { './src/gql/': { preset: 'client' } } }\n",
            "api/shop.graphql": "", "web/src/gql/types.ts": "", "web/src/other.ts": "", "admin/codegen.yml": "schema: ../api/admin.graphql\ngenerates:\n  src/admin.ts: {}\n",
            "api/admin.graphql": "", "admin/src/admin.ts": "",
        },
        "api/shop.graphql",
        [("api/shop.graphql", "web/src/gql/types.ts")],
    ),
    "protocols by buf": (
        {
            "buf.gen.yaml": "version: v2\nplugins:\n  - local: protoc-gen-go\n    out: gen/go\ninputs:\n  - directory: proto\n",
            "proto/shop.proto": "", "proto/user.proto": "", "gen/go/shop.pb.go": "package gen\n", "gen/go/shop_grpc.pb.go": "package gen\n",
            "gen/go/shopping.pb.go": "package gen\n", "gen/go/user.pb.go": "package gen\n",
        },
        "proto/shop.proto",
        [("proto/shop.proto", "gen/go/shop.pb.go"), ("proto/shop.proto", "gen/go/shop_grpc.pb.go")],
    ),
    "protocols by hand": (
        {
            "rpc/Makefile": "all:\n\tcd . && protoc -I . \\\n\t  --python_out=../app --grpc_python_out=../app shop.proto\n", "rpc/shop.proto": "",
            "app/shop_pb2.py": "", "app/shop_pb2_grpc.py": "", "app/main.py": "import shop_pb2\n", "app/other.py": "", "rpc/user.proto": "",
        },
        "rpc/shop.proto",
        [("rpc/shop.proto", "app/shop_pb2.py"), ("rpc/shop.proto", "app/shop_pb2.py", "app/main.py"), ("rpc/shop.proto", "app/shop_pb2_grpc.py")],
    ),
    "queries by sqlc": (
        {
            "sqlc.yaml": "version: '2'\nsql:\n  - engine: postgresql\n    schema: db/tables.sql\n    queries: db/queries\n    gen:\n      go:\n        package: db\n        out: store\n",
            "db/tables.sql": "", "db/queries/orders.sql": "", "db/other.sql": "", "store/orders.sql.go": "package db\n",
        },
        "db/queries/orders.sql",
        [("db/queries/orders.sql", "store/orders.sql.go")],
    ),
    "queries by sqlc among other files": (
        {
            "sqlc.json": '{"version": "1", "packages": [{"path": "db", "schema": "db/tables", "queries": "db/queries"}]}',
            "db/queries/orders.sql": "", "db/tables/1.sql": "", "db/orders.sql.go": "// Code generated by sqlc. DO NOT EDIT.\npackage db\n", "db/connect.go": "package db\n",
        },
        "db/queries/orders.sql",
        [("db/queries/orders.sql", "db/orders.sql.go")],
    ),
    "a client of prisma": (
        {
            "db/package.json": '{"name": "db"}', "db/schema.prisma": 'generator client {\n  provider = "prisma-client-js"\n}\n',
            "db/index.ts": "export * from '@prisma/client'\n", "web/package.json": '{"name": "web"}', "web/page.ts": "import { PrismaClient } from '@prisma/client'\n",
        },
        "db/schema.prisma",
        [("db/schema.prisma", "db/index.ts")],
    ),
    "a client of prisma in its place": (
        {
            "db/schema.prisma": 'generator client {\n  provider = "prisma-client"\n  output   = "../src/generated/db"\n}\n',
            "src/generated/db/client.ts": "", "src/page.ts": "import './generated/db/client'\n", "src/other.ts": "",
        },
        "db/schema.prisma",
        [("db/schema.prisma", "src/generated/db/client.ts"), ("db/schema.prisma", "src/generated/db/client.ts", "src/page.ts")],
    ),
    "a contract": ({"p/a.proto": "", "p/b.proto": 'import "p/a.proto";\n'}, "p/a.proto", [("p/a.proto", "p/b.proto")]),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEPENDS)
def test_what_depends_on_a_change_is_found_backwards(kind: str) -> None:
    """Each kind of edge is followed from the changed file to what mentions it, with one shortest path, and nothing else is."""
    files, changed, paths = DEPENDS[kind]
    found = reach(files, {changed: files[changed] + "\n"})
    assert sorted(found.paths) == sorted(paths)
    assert found.files == 1 + len(paths) and not found.truncated


def test_tests_are_no_dependents() -> None:
    """What is not deployed is not in the blast radius."""
    assert reach({"a.py": "", "test_a.py": "import a\n", "tests/b.py": "import a\n"}, {"a.py": "1\n"}).files == 1


def test_the_work_is_bounded_and_the_bound_is_said() -> None:
    """In a large tree a harmless change is followed only near itself, and the reach says that it was cut."""
    many = {f"pkg{i}/m{j}.py": f"import pkg0.m{j}\n" for i in range(50) for j in range(30)}
    found = reach(many, {"pkg0/m0.py": "\n"})
    assert found.truncated and found.files < 10


def test_a_cache_changes_nothing_but_the_work() -> None:
    """The second search reads no file again, and says the same."""
    files = {f"m{i}.py": f"import m{i + 1}\n" for i in range(9)}
    change = change_of(files, {**files, "m8.py": "\n"})
    cache = Memory()
    first = reach_of(change, (), BUILT_IN, cache)
    assert reach_of(change, (), BUILT_IN, cache) == first == reach_of(change, (), BUILT_IN, Memory())
    assert first.truncated and first.files == 9


def test_the_units_and_environments_of_dependents_count() -> None:
    """A module is changed; production calls it, so production is reached."""
    files = {
        "modules/db/main.tf": "",
        "live/prod/main.tf": 'terraform {\n  backend "s3" {}\n}\nmodule "db" {\n  source = "../../modules/db"\n}\n',
    }
    found = reach(files, {"modules/db/main.tf": "# 1\n"})
    assert (found.units, found.environments) == (("live/prod",), ("production",))


def test_each_step_of_a_path_says_why() -> None:
    """Beside every path stand its reasons, one fewer than its things."""
    found = reach({"a.py": "", "b.py": "import a\n", "c.py": "import b\n"}, {"a.py": "1\n"})
    assert found.paths == (("a.py", "b.py"), ("a.py", "b.py", "c.py"))
    assert found.reasons == (("imports",), ("imports", "imports"))
