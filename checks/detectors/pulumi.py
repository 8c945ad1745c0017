"""Pulumi programs: resources that leave or are renamed, protections that go, and secrets of stacks written in clear text.

## What it detects
Resources of TypeScript, JavaScript and Python programs that are gone or carry another name without an alias, `protect` and `retainOnDelete`
switched off, `deleteBeforeReplace` switched on, and stack settings that are no longer encrypted.

## Why it matters
The name given to a resource is its identity: another name means a new resource, and the old one is deleted with what it holds.

## Example
`new aws.rds.Instance("orders", …)` becomes `new aws.rds.Instance("orders-db", …)`: a new, empty database takes the place of the old one.

## What makes it safe
`aliases: [{ name: "orders" }]`, `protect: true` and `retainOnDelete: true` in an earlier change, a preview made for this head.

## What it cannot see
Names made by code, resources inside component packages, transformations, and what a preview would say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import pulumi
from checks.readers.pulumi import Program, Resource

_LIKELY = Confidence.LIKELY
REMOVED = Rule(
    "pulumi/resource-removed", Hazard.RESOURCE_DESTROYED, Severity.MODERATE, Reversible.PARTLY, "A resource is removed", confidence=_LIKELY
)
DATA = Rule(
    "pulumi/data-removed",
    Hazard.DATA_DESTROYED,
    Severity.HIGH,
    Reversible.NO,
    "A resource that holds data is removed or renamed",
    confidence=_LIKELY,
)
PROTECT = Rule(
    "pulumi/protection-removed", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.YES, "A resource may be deleted", confidence=_LIKELY
)
ORDER = Rule(
    "pulumi/deleted-before-replaced",
    Hazard.AVAILABILITY_REDUCED,
    Severity.LOW,
    Reversible.YES,
    "A resource is away while it is replaced",
    confidence=_LIKELY,
)
SECRET = Rule("pulumi/setting-not-secret", Hazard.SECRET_EXPOSED, Severity.HIGH, Reversible.NO, "A secret setting is written in clear text")

_DATA = re.compile(
    r"(?:rds|docdb|neptune|dynamodb|s3|efs|ebs|elasticache|redshift|opensearch|elasticsearch|kms|secretsmanager|ecr|kinesis|sqs|msk|backup|fsx|sql|storage|bigquery|spanner"
    r"|bigtable|firestore|filestore|redis|documentdb|dbforpostgresql|dbformysql|keyvault|recoveryservices|cosmosdb|postgresql|mysql|mongodb|core)\."
    r"(?:.*(?:Instance|Cluster|Table|Bucket(?:V2)?|FileSystem|Volume|Domain|Key|Secret|Repository|Stream|Queue|Vault|Dataset|Database|Account|Server|Namespace|PersistentVolumeClaim|PersistentVolume))\Z"
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    before: list[tuple[FileChange, Resource]] = []
    after: list[tuple[FileChange, Resource]] = []
    aliases: set[str] = set()
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED and file.new is not None:
            continue
        if place_of(file.base_path) is not Place.DEPLOYED:
            continue
        if re.search(r"(?:^|/)Pulumi\.[\w.-]+\.ya?ml\Z", file.path):
            yield from _settings(change, file)
            continue
        old, new = _program(change.base_bytes(file), file.base_path), _program(change.head_bytes(file), file.path)
        before.extend((file, resource) for resource in old.resources)
        after.extend((file, resource) for resource in new.resources)
        aliases |= new.aliases
    yield from _compared(change, before, after, aliases)


def _program(data: bytes | None, path: str) -> Program:
    if data is None or not pulumi.is_program(data):
        return Program((), frozenset())
    return pulumi.read(data, path)


def _project(change: Change, path: str, base: bool) -> str:
    """The folder of the Pulumi project a file belongs to."""
    tree = change.before if base else change.after
    folder = path.rpartition("/")[0]
    for _ in range(6):
        if any(tree.entry(f"{folder}/{name}" if folder else name) is not None for name in ("Pulumi.yaml", "Pulumi.yml")):
            return folder
        if not folder:
            break
        folder = folder.rpartition("/")[0]
    return path.rpartition("/")[0]


def _compared(
    change: Change, before: list[tuple[FileChange, Resource]], after: list[tuple[FileChange, Resource]], aliases: set[str]
) -> Iterator[Effect]:
    here = {(resource.type, resource.name): (file, resource) for file, resource in after}
    lost: dict[str, list[tuple[FileChange, Resource]]] = {}
    for file, old in before:
        found = here.get((old.type, old.name))
        if found is not None:
            yield from _changed(found[0], old, found[1])
        elif old.name not in aliases and not old.on("retainOnDelete"):
            lost.setdefault(_project(change, file.base_path, True), []).append((file, old))
    known = {(one.type, one.name) for _, one in before}
    for project, members in lost.items():
        if not change.after.list(project):
            yield _gone(members, f"the project {project or '.'}")
        elif len(members) > 4:
            yield _gone(members, f"{len(members)} resources of {project or 'the program'}")
        else:
            for file, old in members:
                come = [new for other, new in after if other is file and (new.type, new.name) not in known]
                heirs = [new for new in come if new.type == old.type]
                other_type = next((new for new in come if new.name == old.name and new.type != old.type), None)
                if other_type is not None and _plain(other_type.type) == _plain(old.type):
                    continue  # the provider itself knows one type under both names
                heir = (
                    f"of the type {other_type.type}" if other_type is not None else f"called {heirs[0].name}" if len(heirs) == 1 else None
                )
                yield _gone([(file, old)], f"{old.type} {old.name}", heir)


def _plain(kind: str) -> str:
    return re.sub(r"[vV]\d+\Z", "", kind).lower()


def _gone(members: list[tuple[FileChange, Resource]], title: str, heir: str | None = None) -> Effect:
    data = [member for member in members if _DATA.match(member[1].type)]
    file, first = (data or members)[0]
    names = ", ".join(f"{old.type} {old.name}" for _, old in (data or members)[:4])
    message = f"{names} leaves the program and is deleted" + (" with what it holds." if data else ".")
    if heir is not None:
        message = f"{names} is now {heir} without an alias: it is deleted and made anew" + (", empty." if data else ".")
    return (DATA if data else REMOVED).effect(
        subject=title, path=file.base_path, line=first.line, side=Side.BASE, before=first.name, after=heir,
        hazard=Hazard.RESOURCE_REPLACED if heir is not None and not data else None,
        facts=(*(("address", f"{old.type}/{old.name}") for _, old in members[:20]), ("action", "delete")),
        keeps=f'aliases: [{{ name: "{first.name}" }}]' if heir is not None else "retainOnDelete: true", message=message,
    )  # fmt: skip


def _changed(file: FileChange, old: Resource, new: Resource) -> Iterator[Effect]:
    title = f"{new.type} {new.name}"
    if new.option("...") is not None:
        return
    for name, what in (
        ("protect", "can be deleted by the next update that leaves it out"),
        ("retainOnDelete", "is deleted when it leaves the program"),
    ):
        if old.on(name) and new.option(name) in (None, "false", "False"):
            yield PROTECT.effect(
                subject=f"{title} {name}", path=file.path, line=new.line, before="true", after=new.option(name),
                message=f"{title} {what}.",
            )  # fmt: skip
    if new.on("deleteBeforeReplace") and not old.on("deleteBeforeReplace"):
        yield ORDER.effect(
            subject=f"{title} deleteBeforeReplace", path=file.path, line=new.line, after="true",
            severity=Severity.MODERATE if _DATA.match(new.type) else None, message=f"{title} is deleted before its replacement stands.",
        )  # fmt: skip


def _settings(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = change.base_bytes(file), change.head_bytes(file)
    if old is None or new is None:
        return
    try:
        before = {key: secure for key, secure, _ in pulumi.settings(old, file.base_path)}
    except Unreadable:
        before = {}
    try:
        after = list(pulumi.settings(new, file.path))
    except Unreadable as unreadable:
        yield not_analysed(file.path, unreadable.why, unreadable.line)
        return
    for key, secure, line in after:
        if before.get(key) and not secure:
            yield SECRET.effect(
                subject=f"setting {key}", path=file.path, line=line, before="encrypted", after="clear text",
                message=f"The setting {key} is no longer encrypted: whoever reads the repository reads it.",
            )  # fmt: skip


DETECTOR = Detector(
    name="pulumi",
    title="Pulumi programs",
    rules=(REMOVED, DATA, PROTECT, ORDER, SECRET),
    detect=detect,
    group=together,
    sure=re.compile(rb"(?m)^config\s*:"),
)
