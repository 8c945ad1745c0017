"""Files that cost far more to read than to write, by name: the sizes are those at which common parsers crash, hang or eat the machine.

`python -m tests.bombs NAME` judges one beside a harmless file and a dangerous one, and prints what came of it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from checks.assess import assess, decide
from checks.evidence import OFFLINE
from checks.policy import PATH, read_policy
from checks.trees import MemoryTree
from tests.changes import change_of

TOPIC = 'resource "aws_sns_topic" "orders" {\n  name = "orders"\n}\n'
DATABASE = TOPIC + 'resource "aws_db_instance" "main" {\n  identifier = "shop"\n  engine     = "postgres"\n}\n'
NEIGHBOUR = "infra/prod/neighbour.tf"
"""A file beside the bomb that destroys a database: it must be judged whatever the bomb does."""

SAID, QUIET = "said", "quiet"
"""What becomes of a bomb: it is told that it was not analysed; or it is read whole in time, or is nothing that any tool would take."""


@dataclass(frozen=True)
class Bomb:
    """A file at head (and at base, where it stood there before)."""

    name: str
    path: str
    make: Callable[[], str | bytes]
    outcome: str = SAID
    before: str | bytes | None = None


def _aliases(levels: int, merge: bool) -> str:
    lines = ["a0: &a0 {k0: v, k1: v, k2: v}" if merge else "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        names = ", ".join(f"*a{level - 1}" for _ in range(9))
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{names}], n{level}: 1}}" if merge else f"[{names}]"))
    return "\n".join(lines) + "\n"


OBJECT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
WORKFLOW = ".github/workflows/bomb.yml"
MANIFEST = "k8s/prod/bomb.yaml"
TERRAFORM = "infra/prod/bomb.tf"
MIGRATION = "db/migrations/002_bomb.sql"
SCRIPT = "deploy/bomb.sh"
MODULE = "infra/stack.py"


def _deployment(inner: str) -> str:
    return f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {inner}\n"


BOMBS: tuple[Bomb, ...] = (
    # YAML
    Bomb("yaml-merge-keys", MANIFEST, lambda: OBJECT + _aliases(9, True)),
    Bomb("yaml-laughs", MANIFEST, lambda: OBJECT + _aliases(12, False)),
    Bomb("yaml-laughs-workflow", WORKFLOW, lambda: "on: push\n" + _aliases(12, False) + "jobs: *a11\n"),
    Bomb("yaml-laughs-in-an-object", MANIFEST, lambda: _aliases(12, False) + _deployment("*a11")),
    Bomb("yaml-dashes", MANIFEST, lambda: OBJECT + "a:\n  " + "- " * 50_000),
    Bomb("yaml-dashes-workflow", WORKFLOW, lambda: "- " * 50_000),
    Bomb("yaml-brackets", MANIFEST, lambda: OBJECT + "a: " + "[" * 200_000),
    Bomb("yaml-brackets-2000", MANIFEST, lambda: OBJECT + "a: " + "[" * 2_000),
    Bomb("yaml-sixty", MANIFEST, lambda: OBJECT + "a: 1" + ":1" * 200_000, QUIET),
    Bomb("yaml-odd-scalars", MANIFEST, lambda: _deployment("{a: 2001-13-45, b: 0x_, c: " + "9" * 5_000 + ", d: 1e999999}"), QUIET),
    Bomb("yaml-1-mb-map", MANIFEST, lambda: _deployment("{}") + "".join(f"k{n}: value\n" for n in range(70_000)), QUIET),
    Bomb("yaml-4-mb-list", MANIFEST, lambda: OBJECT + "a:\n" + "- {name: x, value: y}\n" * 200_000),
    Bomb("yaml-empty-documents", MANIFEST, lambda: "---\n" * 1_000_000, QUIET),
    Bomb("yaml-100000-objects", MANIFEST, lambda: "---\napiVersion: v1\nkind: A\n" * 60_000, QUIET),
    Bomb("yaml-anchors", MANIFEST, lambda: OBJECT + "".join(f"a{n}: &a{n} 1\nb{n}: *a{n}\n" for n in range(100_000))),
    Bomb("yaml-tags", MANIFEST, lambda: OBJECT + "a: !" + "x" * 1_000_000 + " 1\n", QUIET),
    Bomb("yaml-comment", MANIFEST, lambda: _deployment("{}") + "#" * 3_000_000, QUIET),
    Bomb("helm-template", "charts/web/templates/bomb.yaml", lambda: "{{ if x }}" * 100_000, QUIET),
    Bomb("values", "charts/web/values.yaml", lambda: _aliases(12, False), QUIET),
    Bomb("cloudformation-laughs", "stack/template.yaml", lambda: "AWSTemplateFormatVersion: '2010-09-09'\n" + _aliases(12, False) + "Resources: *a11\n", QUIET),
    # JSON
    Bomb("json-deep", "iam/policy.json", lambda: '{"Version": "2012-10-17", "Statement": ' + "[" * 100_000, QUIET),
    Bomb("json-deep-map", "k8s/prod/bomb.json", lambda: '{"apiVersion": "v1", "kind": "Pod"' + ', "a":{"b": 1' * 50_000, QUIET),
    Bomb("json-digits", "iam/policy.json", lambda: '{"Version": ' + "9" * 5_000 + ', "Statement": []}', QUIET),
    Bomb("json-surrogate", "iam/policy.json", lambda: '{"Statement": [{"Effect": "Allow", "Action": "\\ud800", "Resource": "*"}]}', QUIET),
    Bomb("json-4-mb", "iam/policy.json", lambda: '{"Version": "2012-10-17", "Statement": [' + '{"a": 1},' * 400_000 + "1]", QUIET),
    Bomb("json-spaces", "iam/policy.json", lambda: '{"Version": "2012-10-17", "Statement": [' + " " * 900_000 + "x", QUIET),
    Bomb("json-comments", "iam/policy.json", lambda: '{"Version": "2012-10-17", "Statement": [' + "/*" * 400_000, QUIET),
    Bomb("json-slashes", "iam/policy.json", lambda: '{"Version": "2012-10-17", "Statement": [' + "/**/" * 200_000 + "x", QUIET),
    Bomb("package-deep", "package.json", lambda: '{"a":' * 50_000),
    Bomb("lock-5-mb", "package-lock.json", lambda: '{"lockfileVersion": 3, "packages": {' + ",".join(f'"node_modules/p{n}": {{"version": "1.0.{n}", "resolved": "https://registry.npmjs.org/p/-/p-1.tgz"}}' for n in range(50_000)) + "}}", QUIET),
    Bomb("lock-deep", "package-lock.json", lambda: '{"lockfileVersion": 3, "packages": ' + '{"a":' * 50_000, QUIET),
    Bomb("yarn-5-mb", "yarn.lock", lambda: "".join(f'"p{n}@^1.0.0":\n  version "1.0.0"\n  resolved "https://registry.yarnpkg.com/p/-/p-1.tgz#a"\n\n' for n in range(50_000)), QUIET),
    Bomb("toml-deep", "pyproject.toml", lambda: "a = " + "[" * 100_000),
    Bomb("toml-dotted", "pyproject.toml", lambda: "a." * 100_000 + "b = 1\n"),
    Bomb("toml-tables", "uv.lock", lambda: "[[package]]\nname = 'x'\n" * 200_000, QUIET),
    # HCL
    Bomb("hcl-garbage", TERRAFORM, lambda: ('resource "a" "b" { x = ${{{ """ \n' * 40_000)[: 1 << 20]),
    Bomb("hcl-noise", TERRAFORM, lambda: bytes((n * 7919 + n // 13) % 95 + 32 for n in range(1 << 20))),
    Bomb("hcl-deep-blocks", TERRAFORM, lambda: 'a "b" {\n' * 50_000),
    Bomb("hcl-deep-lists", TERRAFORM, lambda: "locals {\n  a = " + "[" * 100_000 + "\n}\n"),
    Bomb("hcl-parens", TERRAFORM, lambda: "locals {\n  a = " + "(" * 20_000 + "1" + ")" * 20_000 + "\n}\n"),
    Bomb("hcl-5-mb", TERRAFORM, lambda: 'resource "aws_sns_topic" "t" {\n  name = "x"\n}\n' * 110_000),
    Bomb("hcl-5000-resources", TERRAFORM, lambda: "".join(f'resource "aws_sns_topic" "t{n}" {{\n  name = "x"\n  kms_master_key_id = "alias/aws/sns"\n}}\n' for n in range(5_000)), QUIET),
    Bomb("hcl-newlines", TERRAFORM, lambda: "\n" * 900_000, QUIET),
    Bomb("hcl-sum", TERRAFORM, lambda: "locals {\n  a = 1" + "+1" * 50_000 + "\n}\n"),
    Bomb("hcl-not", TERRAFORM, lambda: "locals {\n  a = " + "!" * 100_000 + "true\n}\n"),
    Bomb("hcl-ternary", TERRAFORM, lambda: "locals {\n  a = " + "x ? 1 : " * 20_000 + "2\n}\n", QUIET),
    Bomb("hcl-locals-chain", TERRAFORM, lambda: "locals {\n" + "".join(f"  a{n} = [local.a{n + 1}, local.a{n + 1}]\n" for n in range(60)) + "  a60 = 1\n}\n" + 'resource "aws_iam_policy" "p" {\n  policy = local.a0\n}\n', QUIET),
    Bomb("hcl-templates", TERRAFORM, lambda: 'locals {\n  a = "' + "${a}" * 50_000 + '"\n}\n', QUIET),
    Bomb("hcl-nested-templates", TERRAFORM, lambda: "locals {\n  a = " + '"${' * 5_000 + "1" + '}"' * 5_000 + "\n}\n"),
    Bomb("hcl-heredocs", TERRAFORM, lambda: "locals {\n" + "".join(f"  a{n} = <<E\nx\n" for n in range(20_000))),
    Bomb("hcl-quotes", TERRAFORM, lambda: '"' * 500_000),
    Bomb("tf-json-deep", "infra/prod/bomb.tf.json", lambda: '{"resource":' * 50_000),
    Bomb("tfvars-deep", "infra/prod/bomb.tfvars", lambda: "a = " + "{b=" * 50_000, QUIET),
    Bomb("bicep-deep", "infra/main.bicep", lambda: "param a object = " + "{ a: " * 50_000),
    # SQL
    Bomb("sql-arrays", MIGRATION, lambda: "SELECT " + "ARRAY[" * 20 + "1" + "]" * 20 + ";", QUIET),
    Bomb("sql-arrays-200", MIGRATION, lambda: "SELECT " + "ARRAY[" * 200 + "1" + "]" * 200 + ";", QUIET),
    Bomb("sql-parens", MIGRATION, lambda: "SELECT " + "(" * 50_000 + "1" + ")" * 50_000 + ";", QUIET),
    Bomb("sql-calls", MIGRATION, lambda: "SELECT " + "f(" * 10_000 + "1" + ")" * 10_000 + ";", QUIET),
    Bomb("sql-case", MIGRATION, lambda: "SELECT " + "CASE WHEN 1=1 THEN " * 5_000 + "1" + " END" * 5_000 + ";", QUIET),
    Bomb("sql-not", MIGRATION, lambda: "SELECT " + "NOT " * 50_000 + "true;", QUIET),
    Bomb("sql-plus", MIGRATION, lambda: "SELECT 1" + "+1" * 100_000 + ";", QUIET),
    Bomb("sql-union", MIGRATION, lambda: "SELECT 1" + " UNION SELECT 1" * 50_000 + ";", QUIET),
    Bomb("sql-minus", MIGRATION, lambda: "SELECT " + "- " * 100_000 + "1;", QUIET),
    Bomb("sql-10000-tables", MIGRATION, lambda: "".join(f"CREATE TABLE t{n} (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());\n" for n in range(10_000)), QUIET),
    Bomb("sql-insert-25000-rows", MIGRATION, lambda: "INSERT INTO t VALUES\n" + ",\n".join(f"({n}, 'name {n}', now())" for n in range(25_000)) + ";", QUIET),
    Bomb("sql-mysql-parens", MIGRATION, lambda: "ALTER TABLE `t` ADD `c` int DEFAULT " + "(" * 50_000 + ";", QUIET),
    Bomb("sql-comments", MIGRATION, lambda: "/*" * 200_000, QUIET),
    Bomb("sql-quotes", MIGRATION, lambda: "'" * 300_001),
    Bomb("sql-dollars", MIGRATION, lambda: "".join(f"$a{n}$" for n in range(100_000))),
    Bomb("sql-do-nested", MIGRATION, lambda: "".join(f"DO $d{n}$ BEGIN EXECUTE " for n in range(2_000))),
    Bomb("sql-spaces", MIGRATION, lambda: "SELECT 1" + " " * 900_000 + "x;", QUIET),
    Bomb("sql-semicolons", MIGRATION, lambda: ";" * 900_000, QUIET),
    Bomb("sql-5-mb", MIGRATION, lambda: "INSERT INTO t VALUES (1);\n" * 200_000),
    Bomb("sql-delimiters", MIGRATION, lambda: "DELIMITER //\nDELIMITER ;\n" * 20_000, QUIET),
    # Dockerfile, shell, make
    Bomb("dockerfile-continuations", "Dockerfile", lambda: "FROM a\nRUN a" + " \\\n" * 170_000 + "b\n"),
    Bomb("dockerfile-1-mb-continuations", "Dockerfile", lambda: "FROM a\nRUN a" + " \\\nb" * 250_000 + "\n"),
    Bomb("dockerfile-heredocs", "Dockerfile", lambda: "FROM a\n" + "RUN <<E\n" * 60_000),
    Bomb("dockerfile-stages", "Dockerfile", lambda: "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(20_000)), QUIET),
    Bomb("bash-garbage", SCRIPT, lambda: ('$(( `"\'<<E {[ ' * 20_000)[: 256 << 10], QUIET),
    Bomb("bash-parens", SCRIPT, lambda: "(" * 200_000, QUIET),
    Bomb("bash-substitutions", SCRIPT, lambda: "$(" * 100_000, QUIET),
    Bomb("bash-backquotes", SCRIPT, lambda: "echo " + '"`' * 100_000, QUIET),
    Bomb("bash-heredocs", SCRIPT, lambda: "cat <<A <<B\n" * 20_000, QUIET),
    Bomb("bash-pipes", SCRIPT, lambda: "a" + " | a" * 60_000),
    Bomb("bash-ifs", SCRIPT, lambda: "if a; then " * 20_000, QUIET),
    Bomb("bash-eval", SCRIPT, lambda: "bash -c '" * 20_000, QUIET),
    Bomb("bash-1-mb", SCRIPT, lambda: "echo hello world\n" * 60_000),
    Bomb("makefile", "Makefile", lambda: "a:\n" + "\t$(shell " * 50_000),
    Bomb("run-step", WORKFLOW, lambda: "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: " + "$(" * 100_000 + "\n", QUIET),
    Bomb("workflow-expressions", WORKFLOW, lambda: "on: push\njobs:\n  a:\n    runs-on: x\n    if: " + "(" * 5_000 + "a" + ")" * 5_000 + "\n    steps:\n      - run: x\n", QUIET),
    Bomb("workflow-10000-jobs", WORKFLOW, lambda: "on: push\njobs:\n" + "".join(f"  j{n}:\n    runs-on: x\n    needs: [j{max(0, n - 1)}]\n    steps:\n      - run: x\n" for n in range(10_000))),
    Bomb("workflow-needs-circle", WORKFLOW, lambda: "on: push\njobs:\n" + "".join(f"  j{n}:\n    runs-on: x\n    needs: [j{(n + 1) % 500}, j{(n + 2) % 500}]\n    steps:\n      - run: x\n" for n in range(500)), QUIET),
    # Source files
    Bomb("python-deep", MODULE, lambda: "import aws_cdk\nx = " + "[" * 500_000),
    Bomb("python-1-mb-calls", MODULE, lambda: "import aws_cdk\nx = " + "f(" * 200_000 + ")" * 200_000),
    Bomb("python-ifs", MODULE, lambda: "import aws_cdk\n" + "".join(" " * n + "if x:\n" for n in range(1_200))),
    Bomb("python-garbage", MODULE, lambda: "import aws_cdk\n" + "def (:[{'\"\"\" @ lambda\n" * 40_000),
    Bomb("python-alembic", "migrations/versions/1.py", lambda: "from alembic import op\ndef upgrade():\n    op.execute(" + "(" * 200_000),
    Bomb("django-sum", "app/migrations/0002_bomb.py", lambda: "from django.db import migrations\nx = 1" + "+1" * 200_000, QUIET),
    Bomb("javascript-minified", "dist/app.min.js", lambda: 'import * as aws from "@pulumi/aws";' + "!function(e,t){return a(b(c(d)))}(1,[2,3]);" * 120_000),
    Bomb("javascript-deep", "infra/index.ts", lambda: 'import * as aws from "@pulumi/aws";\nx = ' + "[" * 400_000),
    Bomb("javascript-templates", "infra/index.ts", lambda: 'import * as aws from "@pulumi/aws";\nx = ' + "`${" * 200_000),
    Bomb("javascript-1-mb", "infra/index.ts", lambda: 'import * as aws from "@pulumi/aws";\n' + 'new aws.s3.Bucket("b", {tags: {a: "b"}});\n' * 20_000, QUIET),
    Bomb("javascript-test", "src/app.test.ts", lambda: "describe('a', () => {" * 40_000, QUIET),
    Bomb("go-deep", "cmd/main.go", lambda: "package main\nvar x = " + "(" * 400_000, QUIET),
    Bomb("ruby-deep", "db/migrate/1_bomb.rb", lambda: "class A < ActiveRecord::Migration[7.0]\n def change\n" + "[" * 400_000, QUIET),
    Bomb("ruby-heredocs", "db/migrate/1_bomb.rb", lambda: "execute <<~A + <<~B\n" * 30_000, QUIET),
    Bomb("php-deep", "database/migrations/1_bomb.php", lambda: "<?php\n$x = " + "[" * 400_000, QUIET),
    Bomb("elixir-deep", "priv/repo/migrations/1_bomb.exs", lambda: "defmodule A do\n use Ecto.Migration\n x = " + "[" * 400_000),
    Bomb("rust-braces", "src/lib.rs", lambda: "#[test]\nfn a() {" * 60_000, QUIET),
    Bomb("java-deep", "src/test/java/ATest.java", lambda: "class ATest { @Test void a() { x = " + "(" * 400_000, QUIET),
    Bomb("prisma", "prisma/schema.prisma", lambda: "model A {\n" * 80_000, QUIET),
    Bomb("xml-laughs", "pom.xml", lambda: '<!DOCTYPE a [<!ENTITY a0 "x">' + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};">' for n in range(1, 12)) + "]><project>&a11;</project>", QUIET),
    Bomb("xml-deep", "AndroidManifest.xml", lambda: "<manifest>" + "<a>" * 200_000, QUIET),
    Bomb("liquibase-laughs", "db/changelog/1.xml", lambda: '<!DOCTYPE a [<!ENTITY a0 "x">' + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};&a{n - 1};">' for n in range(1, 12)) + "]><databaseChangeLog>&a11;</databaseChangeLog>", QUIET),
    Bomb("rego", "policy/a.rego", lambda: "deny { " * 100_000, QUIET),
    Bomb("codeowners", ".github/CODEOWNERS", lambda: "* @a\n" * 200_000, QUIET),
    Bomb("codeowners-stars", ".github/CODEOWNERS", lambda: "*a" * 20_000 + " @a\n" + "**/" * 20_000 + "a @b\n", QUIET),
    Bomb("sudoers", "etc/sudoers", lambda: "a ALL=(ALL) " + ",".join(["NOPASSWD: ALL"] * 50_000), QUIET),
    Bomb("nginx", "nginx/nginx.conf", lambda: "server {" * 100_000, QUIET),
    Bomb("crontab", "etc/crontab", lambda: "* * * * * root x\n" * 50_000, QUIET),
    Bomb("compose", "docker-compose.yml", lambda: _aliases(12, False) + "services: *a11\n", SAID),
    Bomb("ansible", "playbooks/site.yml", lambda: "- hosts: all\n  tasks:\n" + "    - block:\n" * 1 + "".join("  " * n + "    - block:\n" for n in range(1, 200)), SAID),
    Bomb("gitlab", ".gitlab-ci.yml", lambda: _aliases(12, False)),
    Bomb("jenkins", "Jenkinsfile", lambda: "pipeline { stage('" * 50_000, QUIET),
    Bomb("agents-md", "AGENTS.md", lambda: ("never " * 50_000 + "\n") + "<!--" * 50_000, QUIET),
    Bomb("agents-settings", ".claude/settings.json", lambda: '{"permissions": {"allow": [' + '"Bash(' + "*" * 30_000 + ')",' * 1 + '"x"]}}', QUIET),
    Bomb("agents-settings-deep", ".claude/settings.json", lambda: '{"permissions":' * 50_000),
    Bomb("codex-toml-deep", ".codex/config.toml", lambda: "a = " + "[" * 100_000),
    Bomb("renovate-deep", "renovate.json", lambda: '{"packageRules":' * 50_000),
    Bomb("tsconfig-deep", "tsconfig.json", lambda: '{"compilerOptions":' * 50_000, QUIET),
    # One long line, for the patterns.
    Bomb("line-of-a", "src/a.txt", lambda: "a" * 1_900_000, QUIET),
    Bomb("line-of-words", "src/a.txt", lambda: "password=" * 200_000, QUIET),
    Bomb("line-of-spaces", "src/a.txt", lambda: " " * 1_900_000, QUIET),
    Bomb("line-of-urls", "src/a.txt", lambda: "postgres://a:b@" * 120_000, QUIET),
    Bomb("line-of-base64", "src/a.txt", lambda: "AKIA" + "QWERTYUIOPASDFGH" * 110_000, QUIET),
    Bomb("line-of-keys", "src/a.txt", lambda: "-----BEGIN RSA PRIVATE KEY-----" * 60_000, QUIET),
    Bomb("line-of-equals", "src/a.py", lambda: "a=" * 500_000, QUIET),
    Bomb("line-of-quotes", "src/a.py", lambda: "'\"" * 500_000, QUIET),
    Bomb("line-of-at", "src/a.py", lambda: "@" * 1_000_000, QUIET),
    Bomb("line-of-a-js", "src/a.test.js", lambda: "it.skip(" * 100_000, QUIET),
    Bomb("comment-markers", "src/a.test.rs", lambda: "/*" * 400_000, QUIET),
    Bomb("jwt-dots", "src/a.txt", lambda: "eyJ" + "a." * 900_000, QUIET),
    Bomb("long-lines-md", "CLAUDE.md", lambda: "run `" * 80_000, QUIET),
)  # fmt: skip


def judge(bomb: Bomb) -> dict[str, object]:
    """What the review of a bomb beside its neighbour says, and what it cost."""
    policy = read_policy(MemoryTree({PATH: b"version: 1\nmode: enforce\n"}))
    before: dict[str, bytes | str] = {NEIGHBOUR: DATABASE}
    if bomb.before is not None:
        before[bomb.path] = bomb.before
    change = change_of(before, {NEIGHBOUR: TOPIC, bomb.path: bomb.make()})
    started, used = time.perf_counter(), time.process_time()
    assessment = assess(change, policy)
    report = decide(assessment, OFFLINE, policy)
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu": round(time.process_time() - used, 2),
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rules": sorted({effect.rule for effect in assessment.effects if effect.path != NEIGHBOUR}),
        "said": sorted({str(effect.after) for effect in assessment.effects if effect.hazard.value == "not.analysed"}),
        "neighbour": any(effect.path == NEIGHBOUR and effect.rule == "terraform/resource-destroyed" for effect in assessment.effects),
        "state": report.verdict.state.value,
    }


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    print(json.dumps(judge(next(bomb for bomb in BOMBS if bomb.name == sys.argv[1]))))
