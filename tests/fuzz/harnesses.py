"""What is fed to each reader, and what must hold whatever it is. A harness takes bytes and raises `AssertionError`, or anything unforeseen."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bot import codec, escape
from bot.commands import parse
from bot.evidence.checks import only_file
from bot.mirror.listing import raw_records
from bot.mirror.objects import _parse_commit, _parse_tree
from bot.mirror.runner import GitError
from bot.triggers import BadPayload, triggers
from bot.triggers import read as payload
from bot.webhook import _SIGNATURE
from checks import plans, policy
from checks.effects import detectors_for, effects_of
from checks.evidence import OFFLINE
from checks.model import NotAnalysed, Unreadable
from checks.readers import (
    appguards,
    bicep,
    calls,
    checksettings,
    cloudformation,
    codeowners,
    contracts,
    dockerfile,
    documents,
    expression,
    firewall,
    hcl,
    helm,
    kubernetes,
    kustomize,
    migrations,
    openapi,
    packages,
    pulumi,
    schema_code,
    shell,
    sql,
    testcases,
    toml,
    workflow,
)
from checks.trees import MemoryTree
from tests.changes import _files, change_of

FIXTURES = Path(__file__).parent.parent / "fixtures" / "detectors"
FOUND = Path(__file__).parent / "found"
"""Inputs that once did harm: each is `<harness>.<number>`, and stays here."""
SEED = 4096
"""Bytes of a seed at most, so that many inputs fit into a minute."""


@dataclass(frozen=True)
class Harness:
    """A function that takes bytes, and the endings of the fixtures it starts from."""

    run: Callable[[bytes], object]
    seeds: tuple[str, ...] | tuple[bytes, ...]


def _reader(read: Callable[[bytes, str], object], path: str) -> Callable[[bytes], object]:
    """A reader of files says what it found, or that it is unreadable and why: nothing else."""

    def run(data: bytes) -> object:
        try:
            found = read(data, path)
            return list(found) if isinstance(found, Iterator) else found
        except Unreadable as unreadable:
            assert unreadable.why and (unreadable.line is None or unreadable.line >= 0)
            return None

    return run


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return _reader(lambda data, _: read(data.decode("utf-8", "surrogateescape")), "")


def _plain(read: Callable[[bytes, str], tuple[documents.Node, ...]]) -> Callable[[bytes, str], object]:
    return lambda data, path: [node.plain_value() for node in read(data, path)]


def _records(data: bytes) -> None:
    try:
        found = raw_records(data)
    except (GitError, ValueError):
        return
    assert len(found) == (data.rstrip(b"\0").count(b"\0") + 1) // 2 or not found or data.endswith(b"\0\0")


def _objects(data: bytes) -> None:
    with contextlib.suppress(ValueError, GitError, Unreadable):
        _parse_tree(data, 20)
    commit = _parse_commit("a" * 40, data)
    assert isinstance(commit.message.encode(), bytes)


def _command(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    spoken = parse(text)
    if spoken is not None:
        assert text.startswith("/interlock") and "\n" not in text.replace("\r\n", "\n").rstrip("\n") and text.isascii()


def _signature(data: bytes) -> None:
    if _SIGNATURE.match(data):
        assert len(data) == 71 and re.fullmatch(rb"sha256=[0-9a-f]{64}", data)


def _delivery(data: bytes) -> None:
    event, _, body = data.partition(b"\n")
    try:
        read = payload(body)
    except BadPayload:
        return
    for mark in triggers(event.decode("latin-1"), read, 1):
        assert mark.repository and mark.kind in ("pull", "commit", "comment")


def _escapers(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for shown in (escape.visible(text), escape.terminal(text), escape.log(text)):
        assert shown.isprintable() and isinstance(shown.encode(), bytes)
    assert not set(escape.code(text)[1:-1]) & set("`|\n")
    assert not set(re.sub(r"&#[0-9]+;", "", escape.markdown(text))) & set("`*_[]<>|@!~$\\#")
    assert not set(escape.html(text)) & set("<>\"'")
    lines = escape.fenced(text).split("\n")
    assert lines[0] == lines[-1] and lines[0] not in lines[1:-1]
    assert codec.load(NotAnalysed, codec.dump(NotAnalysed(text, text))) == NotAnalysed(text, text)


def _policy(data: bytes) -> None:
    read = policy.read_policy(MemoryTree({policy.PATH: data}))
    assert read.mistakes == () or read.enforced or read.mode
    if read.mistakes:
        assert all(mistake.message for mistake in read.mistakes)


def _organisation(data: bytes) -> None:
    policy.read_policy(MemoryTree({}), data)


def _plan(data: bytes) -> None:
    for read in (plans.read_plan, plans.read_digest):
        try:
            assert plans.covers((), read(data)) is not None
        except Unreadable:
            continue


def _archive(data: bytes) -> None:
    found = only_file(data)
    assert found is None or len(found) <= 4 << 20


@cache
def _woken() -> tuple[tuple[str, bytes, bytes | None], ...]:
    """(path, content at head, content at base) of the fixtures' files that wake a detector."""
    found = []
    for case in sorted(FIXTURES.glob("*/*")):
        base = _files(case / "base")
        for path, content in _files(case / "head").items():
            data = content[0] if isinstance(content, tuple) else content
            before = base.get(path)
            old = before[0] if isinstance(before, tuple) else before
            if len(data) <= SEED and detectors_for(path):
                found.append((path, data, old))
    return tuple(found)


def _detectors(data: bytes) -> None:
    """Every detector that a path wakes: none fails, and a file that did not change gives nothing."""
    number, _, content = data.partition(b"\n")
    path, _, old = _woken()[int(number) % len(_woken()) if number.isdigit() and len(number) < 9 else 0]
    for base in ({} if old is None else {path: old}, {}):
        found = effects_of(change_of(base, {path: content}))
        assert not any(effect.rule == "engine/detector-failed" for effect in found), [effect.message for effect in found]
        assert all(effect.message.isprintable() and effect.subject.isprintable() for effect in found)
    assert effects_of(change_of({path: content}, {path: content})) == ()


_YAML, _SQL = (".yml", ".yaml"), (".sql",)

HARNESSES: Mapping[str, Harness] = {
    "yaml": Harness(_reader(_plain(documents.yaml), "a.yaml"), _YAML),
    "json": Harness(_reader(lambda data, path: documents.json_node(data, path).plain_value(), "a.json"), (".json",)),
    "toml": Harness(_reader(lambda data, path: toml.toml(data, path).plain_value(), "a.toml"), (".toml", ".lock")),
    "hcl": Harness(_reader(hcl.hcl, "a.tf"), (".tf", ".tfvars")),
    "hcl-json": Harness(_reader(hcl.hcl, "a.tf.json"), (".tf.json", ".json")),
    "sql": Harness(_reader(sql.script, "db/migrations/1.sql"), _SQL),
    "shell": Harness(_text(shell.script), (".sh", "Makefile")),
    "scripts": Harness(_reader(shell.scripts, "Makefile"), ("Makefile", ".mk")),
    "dockerfile": Harness(_reader(dockerfile.read, "Dockerfile"), ("Dockerfile",)),
    "workflow": Harness(_reader(workflow.workflow, ".github/workflows/a.yml"), _YAML),
    "expression": Harness(_text(lambda text: list(expression.expressions(text))), _YAML),
    "kubernetes": Harness(_reader(lambda data, path: kubernetes.read(data, path, None, True), "a.yaml"), _YAML),
    "helm": Harness(_reader(lambda data, path: helm.render(data, path, {"a": {"b": 1}}), "charts/a/templates/a.yaml"), _YAML),
    "kustomize": Harness(_reader(kustomize.read, "kustomization.yaml"), _YAML),
    "cloudformation": Harness(_reader(cloudformation.template, "template.yaml"), (".yml", ".yaml", ".template")),
    "firewall": Harness(_reader(firewall.chains, "rules.v4"), (".v4", ".rules", ".conf")),
    "bicep": Harness(_reader(bicep.read, "main.bicep"), (".bicep",)),
    "packages-json": Harness(_reader(packages.manifest, "package.json"), (".json",)),
    "packages-toml": Harness(_reader(packages.manifest, "pyproject.toml"), (".toml",)),
    "packages-text": Harness(_reader(packages.manifest, "requirements.txt"), (".txt",)),
    "packages-gemfile": Harness(_reader(packages.manifest, "Gemfile"), ("Gemfile",)),
    "packages-xml": Harness(_reader(packages.manifest, "pom.xml"), (".xml",)),
    "check-settings": Harness(_reader(checksettings.strictness, "pyproject.toml"), (".toml", ".cfg", ".ini")),
    "codeowners": Harness(_reader(codeowners.lines_of, "CODEOWNERS"), ("CODEOWNERS",)),
    "openapi": Harness(_reader(openapi.read, "openapi.yaml"), _YAML),
    "protobuf": Harness(_reader(contracts.protobuf, "a.proto"), (".proto",)),
    "graphql": Harness(_reader(contracts.graphql, "a.graphql"), (".graphql",)),
    "prisma": Harness(_reader(schema_code.prisma, "schema.prisma"), (".prisma",)),
    "pulumi": Harness(_reader(pulumi.read, "index.ts"), (".ts",)),
    "pulumi-settings": Harness(_reader(pulumi.settings, "Pulumi.live.yaml"), _YAML),
    **{
        f"{what}-{ending}": Harness(_reader(read, f"{stem}.{ending}"), (f".{ending}",))
        for what, read, stem, endings in (
            ("program", calls.program, "a", ("py", "ts", "rb")),
            ("guards", appguards.facts, "a", ("py", "ts", "go", "rb", "java")),
            ("tests", testcases.suite, "test_a", ("py", "ts", "go", "rb", "php", "java", "rs")),
            ("migration", migrations.read, "app/migrations/0002_a", ("py",)),
            ("migration", migrations.read, "db/migrate/20240101000000_a", ("rb",)),
            ("migration", migrations.read, "src/migrations/1700000000000-a", ("ts",)),
            ("migration", migrations.read, "database/migrations/2024_01_01_000000_a", ("php",)),
        )
        for ending in endings
    },
    "file-list": Harness(_records, (b":100644 100644 " + b"a" * 40 + b" " + b"b" * 40 + b" M\0db/x.sql\0:000000 100644 " + b"0" * 40 + b" " + b"c" * 40 + b" A\0y\0",)),
    "git-objects": Harness(_objects, (b"100644 a\0" + bytes(20) + b"40000 b\0" + bytes(20), b"tree a\nparent b\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nHi\n")),
    "command": Harness(_command, (b"/interlock help", b'/interlock override 0123456789abcdef until=2026-12-31 reason="we move it"\n', b"> /interlock recheck\n")),
    "signature": Harness(_signature, (b"sha256=" + b"0123456789abcdef" * 4, b"sha1=" + b"a" * 40)),
    "delivery": Harness(_delivery, (
        b'pull_request\n{"action": "opened", "number": 1, "repository": {"full_name": "a/b", "id": 1}, "installation": {"id": 1}, "pull_request": {"number": 1}}',
        b'check_run\n{"action": "completed", "check_run": {"head_sha": "' + b"a" * 40 + b'", "app": {"id": 2}, "name": "x"}, "repository": {"full_name": "a/b", "id": 1}, "installation": {"id": 1}}',
        b'issue_comment\n{"action": "created", "comment": {"id": 1, "body": "/interlock help"}, "issue": {"number": 1, "pull_request": {}}, "repository": {"full_name": "a/b", "id": 1}, "installation": {"id": 1}}',
    )),
    "escapers": Harness(_escapers, ("a`|<script>@x\u202e\x1b[2J\n```".encode(), b"\xff\xfe", b"ghp_" + b"a" * 36)),
    "policy": Harness(_policy, (b"version: 1\nmode: enforce\nrequirements:\n  data.destroyed: [plan-verified]\nexceptions:\n- {effect: 0123456789abcdef, reason: x, expires: 2026-12-31}\noverrides: {who: [team/a]}\n",)),
    "organisation": Harness(_organisation, (b"version: 1\nfloor:\n  mode: enforce\n  requirements:\n    data.destroyed: [plan-verified]\n",)),
    "plan": Harness(_plan, (b'{"format_version": "1.2", "resource_changes": [{"address": "a.b", "type": "a", "name": "b", "change": {"actions": ["delete"], "before": {}, "after": null}}]}',)),
    "archive": Harness(_archive, (b"PK\x05\x06" + bytes(18),)),
    "detectors": Harness(_detectors, ("*",)),
}  # fmt: skip
"""Each reader, the list of files, commands, signatures, deliveries, escapers, policy, plans, and all detectors together."""


@cache
def _by_ending() -> tuple[tuple[str, bytes], ...]:
    return tuple((path, data) for path, data, _ in _woken())


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    """What a harness starts from: its own seeds, the fixtures with its endings, and what was once found."""
    harness = HARNESSES[name]
    own = [seed for seed in harness.seeds if isinstance(seed, bytes)]
    if name == "detectors":
        own += [b"%d\n" % number + data for number, (_, data, _) in enumerate(_woken())]
    endings = tuple(seed for seed in harness.seeds if isinstance(seed, str))
    own += [data for path, data in _by_ending() if endings and path.endswith(endings)] if name != "detectors" else []
    own += [file.read_bytes() for file in sorted(FOUND.glob(f"{name}.*"))]
    return tuple(own) or (b"",)


__all__ = ["FOUND", "HARNESSES", "OFFLINE", "Harness", "seeds"]
