"""How long each infrastructure domain takes per changed file, beside `git diff-tree -p` of the same range in the same run, and its peak memory.

    python -m tests.benchmarks.domains [--mirrors DIR] [--steps N]

Each domain runs in a process of its own, with only its own detectors. Made repositories hold files of the domain's kind of which one commit
changes a part; with `--mirrors` the newest first-parent steps of real repositories that touch files of the domain are taken as well.
Every figure is a median of three with warm files; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.mirror.change import find, opened
from bot.mirror.runner import command, environment
from checks.effects import detectors_for, effects_of
from tests.benchmarks.review import timed

FILES, CHANGED = 200, 40


@dataclass(frozen=True)
class Row:
    """What one domain took."""

    domain: str
    source: str
    files: int
    ours: float
    """Seconds."""
    git: float
    mebibytes: int
    effects: int


@dataclass(frozen=True)
class Domain:
    """Its detectors, and a file of its kind: (number, whether it is changed) → (path, content)."""

    detectors: tuple[str, ...]
    file: Callable[[int, bool], tuple[str, str]]


def _terraform(number: int, changed: bool) -> tuple[str, str]:
    blocks = "".join(
        f'resource "aws_s3_bucket" "b{at}" {{\n  bucket = "orders-{number}-{at}"\n  tags = {{ owner = "shop", number = "{at}" }}\n}}\n\n'
        for at in range(1 if changed else 0, 12)
    )
    size = "db.m6g.large" if changed else "db.m6g.xlarge"
    return (
        f"infra/stack{number}/main.tf",
        blocks + f'resource "aws_db_instance" "main" {{\n  engine = "postgres"\n  instance_class = "{size}"\n}}\n',
    )


def _template(number: int, changed: bool) -> tuple[str, str]:
    tables = "".join(
        f"  Table{at}:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      TableName: orders-{number}-{at}\n      KeySchema:\n        - AttributeName: id\n          KeyType: HASH\n"
        for at in range(1 if changed else 0, 12)
    )
    return f"stacks/stack{number}/template.yaml", "AWSTemplateFormatVersion: 2010-09-09\nResources:\n" + tables


def _policy(number: int, changed: bool) -> tuple[str, str]:
    actions = ["s3:GetObject", "s3:PutObject", *(["s3:DeleteObject"] if changed else [])]
    statements = [{"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::orders-{number}-{at}/*"} for at in range(12)]
    return f"policies/policy{number}.json", json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def _manifest(number: int, changed: bool) -> tuple[str, str]:
    replicas = 0 if changed else 3
    objects = "".join(
        f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web{number}-{at}, namespace: shop}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: web{at}}}}}\n"
        f"  template:\n    metadata: {{labels: {{app: web{at}}}}}\n    spec:\n      containers:\n      - name: web\n        image: registry.example.com/web:1.{at}\n"
        for at in range(6)
    )
    return f"deploy/app{number}/web.yaml", objects


def _chart(number: int, changed: bool) -> tuple[str, str]:
    keys = "".join(
        f"part{at}:\n  replicaCount: {0 if changed and at == 0 else 2}\n  ingress:\n    enabled: {'true' if changed else 'false'}\n"
        for at in range(12)
    )
    return f"charts/app{number}/values-live.yaml", keys


def _bicep(number: int, changed: bool) -> tuple[str, str]:
    parts = "".join(
        f"resource store{at} 'Microsoft.Storage/storageAccounts@2023-01-01' = {{\n  name: 'orders{number}x{at}'\n  properties: {{\n    publicNetworkAccess: '{'Enabled' if changed else 'Disabled'}'\n  }}\n}}\n"
        for at in range(1 if changed else 0, 12)
    )
    return f"azure/part{number}.bicep", parts


def _pulumi(number: int, changed: bool) -> tuple[str, str]:
    action = "s3:*" if changed else "s3:GetObject"
    parts = "".join(
        f'new aws.iam.RolePolicy("p{number}-{at}", {{ role: "r", policy: JSON.stringify({{ Version: "2012-10-17", Statement: [{{ Effect: "Allow", Action: "{action}", Resource: "arn:aws:s3:::orders-{at}/*" }}] }}) }});\n'
        for at in range(12)
    )
    return f"program{number}/index.ts", 'import * as aws from "@pulumi/aws";\n' + parts


def _playbook(number: int, changed: bool) -> tuple[str, str]:
    tasks = "".join(
        f"- name: Folder {at}\n  ansible.builtin.file:\n    path: /srv/orders{at}\n    state: {'absent' if changed else 'directory'}\n"
        for at in range(12)
    )
    return f"roles/app{number}/tasks/main.yml", tasks


DOMAINS = {
    "terraform": Domain(
        ("terraform", "terraform_protection", "terraform_exposure", "terraform_state", "terraform_execution", "terraform_github", "terraform_iam"), _terraform
    ),
    "cloudformation": Domain(("cloudformation", "cloudformation_access", "serverless"), _template),
    "iam": Domain(("iam_policy",), _policy),
    "kubernetes": Domain(("kubernetes", "kubernetes_access", "kubernetes_security", "kubernetes_lifecycle", "gitops", "rollouts"), _manifest),
    "helm": Domain(("helm_values",), _chart),
    "bicep": Domain(("bicep",), _bicep),
    "pulumi": Domain(("pulumi", "pulumi_access"), _pulumi),
    "ansible": Domain(("ansible",), _playbook),
}  # fmt: skip
"""The infrastructure domains."""


def made(folder: Path, domain: Domain) -> Path:
    """A repository of the domain's files of which the last commit changes some."""
    folder.mkdir(parents=True)
    git = ["git", "-c", "user.name=Robin", "-c", "user.email=robin@example.com", "-C", str(folder)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for changed, count in ((False, FILES), (True, CHANGED)):
        for number in range(count):
            path, text = domain.file(number, changed)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "Change" if changed else "Start"], check=True)
    return find(folder)


def measured(git_dir: Path, ranges: list[tuple[str, str]], domain: Domain) -> tuple[int, float, float, int]:
    """(changed files that wake the domain, our seconds, git's seconds, effects) over all ranges."""
    told: list[tuple[int, int]] = []

    def ours() -> None:
        told.clear()
        for base, head in ranges:
            with opened(git_dir, base, head, git_dir.name) as change:
                mine = [file for file in change.files if set(detectors_for(file.path)) & set(domain.detectors)]
                found = [effect for name in domain.detectors if mine for effect in effects_of(change, name)]
                told.append((len(mine), len(found)))

    def git() -> None:
        for base, head in ranges:
            subprocess.run(command(git_dir, "diff-tree", "-r", "-p", base, head), env=environment(), stdout=subprocess.DEVNULL, check=True)

    took = timed(ours)
    return sum(files for files, _ in told), took, timed(git), sum(effects for _, effects in told)


def steps_of(git_dir: Path, domain: Domain, last: int) -> list[tuple[str, str]]:
    """(base, head) of the newest first-parent steps that change a file of the domain, a twentieth of `last` at most."""
    output = subprocess.run(
        command(git_dir, "log", "--first-parent", "-m", "--name-only", "--format=%x00%H %P", f"--max-count={last}", "HEAD"),
        env=environment(),
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    ).stdout
    found = []
    for record in output.split("\0")[1:]:
        head, *rest = record.split("\n")
        commits = head.split()
        if len(commits) > 1 and any(set(detectors_for(path)) & set(domain.detectors) for path in rest if path):
            found.append((commits[1], commits[0]))
    return found[: max(1, last // 20)]


def one(name: str, mirrors: Path | None, last: int) -> list[Row]:
    """The rows of one domain; run in a process of its own, so that the peak is its own."""
    domain = DOMAINS[name]

    def row(source: str, git_dir: Path, ranges: list[tuple[str, str]]) -> Row:
        files, ours, git, effects = measured(git_dir, ranges, domain)
        return Row(name, source, files, ours, git, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, effects)

    with tempfile.TemporaryDirectory() as place:
        rows = [row(f"made, {CHANGED} of {FILES} files", made(Path(place) / name, domain), [("HEAD~1", "HEAD")])]
    for folder in sorted(mirrors.iterdir()) if mirrors else ():
        git_dir = next((where for where in (folder / "repo", folder / ".git", folder) if (where / "HEAD").is_file()), None)
        ranges = steps_of(git_dir, domain, last) if git_dir else []
        if git_dir and len(ranges) >= 5:
            rows.append(row(f"{folder.name}, {len(ranges)} steps", git_dir, ranges))
    return rows


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| domain | source | files | ms a file | git diff ms a file | ratio | peak MiB | effects |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.domain} | {row.source} | {row.files:,} | {row.ours * 1000 / max(1, row.files):.1f} | {row.git * 1000 / max(1, row.files):.1f} | {row.ours / row.git:.1f} | {row.mebibytes} | {row.effects} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path)
    parser.add_argument("--steps", type=int, default=200, help="how far back real repositories are looked through; a twentieth is measured")
    parser.add_argument("--one", choices=sorted(DOMAINS), help="measure one domain in this process and print its rows as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps([asdict(row) for row in one(options.one, options.mirrors, options.steps)]))
        return
    rows: list[Row] = []
    for name in DOMAINS:
        words = [sys.executable, "-m", "tests.benchmarks.domains", "--one", name, "--steps", str(options.steps)]
        words += ["--mirrors", str(options.mirrors)] if options.mirrors else []
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            continue
        rows += [Row(**values) for values in json.loads(done.stdout)]
    print(table(rows))


if __name__ == "__main__":
    main()
