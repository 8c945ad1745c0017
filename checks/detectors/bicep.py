"""Azure templates, Bicep and ARM JSON: resources that leave, locks, access, exposure and secrets.

## What it detects
Resources and modules that leave a template, management locks removed or weakened, deployments in Complete mode, role assignments and custom role
actions, public network access, firewall and network rules, soft delete and purge protection, and parameters that are no longer secure.

## Why it matters
A deployment in Complete mode, or a stack that deletes what is unmanaged, deletes whatever the template no longer names. A lock is the last thing
that stops it.

## Example
`resource lock 'Microsoft.Authorization/locks@2020-05-01'` of a database disappears in the same change that renames the database.

## What makes it safe
A what-if run for this head, a lock that stays, deployment stacks with deny settings, `existing` for what another template deploys.

## What it cannot see
The mode given on the command line, parameter files kept elsewhere, modules from a registry, and what expressions come to.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, by_directory, not_analysed
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Tree, Unreadable
from checks.places import Place, place_of
from checks.readers import bicep
from checks.readers.bicep import EXPRESSION, Resource, Template
from checks.readers.documents import Node

REMOVED = Rule(
    "bicep/resource-removed",
    Hazard.RESOURCE_DESTROYED,
    Severity.MODERATE,
    Reversible.NO,
    "A resource leaves the template",
    confidence=Confidence.POSSIBLE,
)
COMPLETE = Rule(
    "bicep/mode-complete", Hazard.PROTECTION_REMOVED, Severity.CRITICAL, Reversible.NO, "A deployment deletes what it does not name"
)
LOCK = Rule("bicep/lock-removed", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.YES, "A lock against deletion is removed")
GUARD = Rule("bicep/guard-removed", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.PARTLY, "A guard of a resource is switched off")
ROLE = Rule("bicep/role-assigned", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "Someone gets a role")
EXPOSED = Rule(
    "bicep/exposure-widened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A resource is reachable from more places"
)
SECRET = Rule(
    "bicep/parameter-not-secure",
    Hazard.SECRET_EXPOSED,
    Severity.HIGH,
    Reversible.NO,
    "A secret parameter is shown in the deployment's history",
)

_DATA = re.compile(
    r"microsoft\.(?:sql/servers(?:/databases)?|dbfor\w+/\w+(?:/databases)?|documentdb/databaseaccounts.*|storage/storageaccounts.*|keyvault/vaults(?:/keys)?"
    r"|cache/redis|eventhub/namespaces.*|servicebus/namespaces.*|recoveryservices/vaults|compute/disks|kusto/clusters.*|containerregistry/registries"
    r"|operationalinsights/workspaces|search/searchservices|synapse/workspaces|netapp/netappaccounts.*)\Z"
)
_ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": ("Owner", Severity.CRITICAL),
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": ("User Access Administrator", Severity.CRITICAL),
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": ("Role Based Access Control Administrator", Severity.HIGH),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": ("Contributor", Severity.HIGH),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", Severity.LOW),
}
"""Built-in roles (learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED or (file.new is None and place_of(file.base_path) is not Place.DEPLOYED):
            continue
        old = _template(change.before, file.base_path) if file.old is not None else None
        new: Template | None = None
        if file.new is not None:
            try:
                new = _template(change.after, file.path)
            except Unreadable as unreadable:
                if old is not None or file.path.endswith(".bicep"):
                    yield not_analysed(unreadable.path, unreadable.why, unreadable.line)
                continue
        if old is not None or new is not None:
            yield from _compared(change, file, old, new)


def _template(tree: Tree, path: str) -> Template | None:
    data = tree.read(path)
    return bicep.read(data, path) if data is not None and path.endswith((".bicep", ".json")) else None


def _compared(change: Change, file: FileChange, old: Template | None, new: Template | None) -> Iterator[Effect]:
    before = {resource.key: resource for resource in old.resources} if old else {}
    after = {resource.key: resource for resource in new.resources} if new else {}
    gone = [resource for key, resource in before.items() if key not in after]
    come = [resource for key, resource in after.items() if key not in before]
    moved = _elsewhere(change, file)
    pairs: list[tuple[Resource | None, Resource]] = [(before[key], resource) for key, resource in after.items() if key in before]
    for resource in come:
        # A symbol or a module may be renamed freely: the resource's own name is what Azure knows.
        twin = next((one for one in gone if one.type == resource.type and _name(one) == _name(resource)), None)
        if twin is not None:
            gone.remove(twin)
        pairs.append((twin, resource))
    swapped = any(resource.module for resource in come)
    lost = [resource for resource in gone if not (resource.module and swapped) and (resource.type.lower(), _name(resource)) not in moved]
    yield from _lost(file, lost)
    for base, head in pairs:
        if base is None and (head.type.lower(), _name(head)) in _earlier(change, file):
            continue
        yield from _changed(file, base, head)
    had = {parameter.name: parameter for parameter in old.parameters} if old else {}
    for parameter in new.parameters if new else ():
        if parameter.name in had and had[parameter.name].secure and not parameter.secure:
            yield SECRET.effect(
                subject=f"parameter {parameter.name}", path=file.path, line=parameter.line, before="secure", after="plain",
                message=f"The value of the parameter {parameter.name} is kept in the deployment's history and logs.",
            )  # fmt: skip


def _name(resource: Resource) -> str:
    return resource.body.string("name") or resource.symbol


def _others(change: Change, file: FileChange, tree: Tree, base: bool) -> set[tuple[str, str]]:
    """(type, name) of the resources of the other changed templates beside or below."""
    out: set[tuple[str, str]] = set()
    for other in change.files[:400]:
        path = other.base_path if base else other.path
        if other is file or not path.endswith(".bicep") or (other.old if base else other.new) is None:
            continue
        try:
            template = _template(tree, path)
        except Unreadable:
            continue
        out |= {(resource.type.lower(), _name(resource)) for resource in (template.resources if template else ())}
    return out


def _elsewhere(change: Change, file: FileChange) -> set[tuple[str, str]]:
    return _others(change, file, change.after, False)


def _earlier(change: Change, file: FileChange) -> set[tuple[str, str]]:
    return _others(change, file, change.before, True)


def _title(resource: Resource) -> str:
    return f"module {resource.symbol}" if resource.module else f"{resource.type} {resource.symbol}"


def _lost(file: FileChange, lost: list[Resource]) -> Iterator[Effect]:
    locks = [resource for resource in lost if resource.type.lower().endswith("authorization/locks")]
    if locks:
        names = ", ".join(lock.symbol for lock in locks[:4]) + (f" and {len(locks) - 4} more" if len(locks) > 4 else "")
        yield LOCK.effect(
            subject=f"locks {names}" if len(locks) > 1 else _title(locks[0]), path=file.base_path, line=locks[0].line, side=Side.BASE,
            facts=(*(("address", lock.key) for lock in locks[:20]), ("action", "delete")),
            message=f"The template no longer has the lock {names}: what it guarded can be deleted.",
        )  # fmt: skip
    rest = [resource for resource in lost if "microsoft.authorization/" not in resource.type.lower()]
    if not rest:
        return
    data = [resource for resource in rest if _DATA.match(resource.type.lower())]
    first = (data or rest)[0]
    names = ", ".join(_title(resource) for resource in (data or rest)[:4]) + (f" and {len(rest) - 4} more" if len(rest) > 4 else "")
    yield REMOVED.effect(
        subject=names if len(rest) <= 4 else f"{len(rest)} resources of {posixpath.basename(file.base_path)}",
        path=file.base_path, line=first.line, side=Side.BASE, severity=Severity.HIGH if data else None, hazard=Hazard.DATA_DESTROYED if data else None,
        facts=(*(("address", resource.key) for resource in rest[:20]), ("action", "delete")),
        message=f"{names} left the template: a deployment in Complete mode, or a stack that deletes, takes it away; otherwise nothing manages it.",
    )  # fmt: skip


def _literal(node: Node | None) -> str | None:
    return None if node is None or node.text is None or node.tag == EXPRESSION else node.text.lower()


_SWITCHES: tuple[tuple[tuple[str, ...], str, tuple[str | None, ...], Rule, str], ...] = (
    (("properties", "publicNetworkAccess"), "disabled", ("enabled", None), EXPOSED, "it can be reached from public networks"),
    (("properties", "allowBlobPublicAccess"), "false", ("true",), EXPOSED, "its blobs can be made public"),
    (("properties", "networkAcls", "defaultAction"), "deny", ("allow", None), EXPOSED, "every network may connect"),
    (("properties", "networkRuleSet", "defaultAction"), "deny", ("allow", None), EXPOSED, "every network may connect"),
    (("properties", "disableLocalAuth"), "true", ("false", None), EXPOSED, "keys work again in place of identities"),
    (("properties", "allowSharedKeyAccess"), "false", ("true", None), EXPOSED, "shared keys work again"),
    (("properties", "supportsHttpsTrafficOnly"), "true", ("false",), GUARD, "it accepts clear text"),
    (("properties", "httpsOnly"), "true", ("false", None), GUARD, "it accepts clear text"),
    (("properties", "enableNonSslPort"), "false", ("true",), GUARD, "it accepts clear text"),
    (("properties", "enableSoftDelete"), "true", ("false",), GUARD, "what is deleted cannot be brought back"),
    (("properties", "enablePurgeProtection"), "true", ("false", None), GUARD, "what is deleted can be purged at once"),
    (("properties", "deleteRetentionPolicy", "enabled"), "true", ("false", None), GUARD, "what is deleted cannot be brought back"),
    (("properties", "containerDeleteRetentionPolicy", "enabled"), "true", ("false", None), GUARD, "what is deleted cannot be brought back"),
    (("properties", "isVersioningEnabled"), "true", ("false", None), GUARD, "what is overwritten cannot be brought back"),
    (("properties", "encryption", "requireInfrastructureEncryption"), "true", ("false", None), GUARD, "it is encrypted once instead of twice"),
    (("properties", "disableLocalAccounts"), "true", ("false", None), EXPOSED, "local accounts work again"),
    (("properties", "apiServerAccessProfile", "enablePrivateCluster"), "true", ("false", None), EXPOSED, "the API server is public"),
)  # fmt: skip
"""(property, guarded value, unguarded values with None for "not written", rule, what follows)."""


def _changed(file: FileChange, old: Resource | None, new: Resource) -> Iterator[Effect]:
    kind = new.type.lower()
    for keys, guarded, open_, rule, what in _SWITCHES:
        was, node = _literal(old.body.get(*keys)) if old else None, new.body.get(*keys)
        now = _literal(node)
        if was == guarded and now in open_ and (node is None or node.tag != EXPRESSION):
            yield rule.effect(
                subject=f"{_title(new)} {keys[-1]}", path=file.path, line=node.line if node else new.line, before=was, after=now,
                message=f"{'.'.join(keys)} of {_title(new)} is no longer {was}: {what}.",
            )  # fmt: skip
    if kind == "microsoft.resources/deployments":
        mode = new.body.get("properties", "mode")
        if _literal(mode) == "complete" and (old is None or _literal(old.body.get("properties", "mode")) != "complete"):
            yield COMPLETE.effect(
                subject=_title(new), path=file.path, line=mode.line if mode else new.line, after="Complete",
                message=f"{_title(new)} deletes every resource of its group that its template does not name.",
            )  # fmt: skip
    elif kind.endswith("authorization/locks"):
        was, now = _literal(old.body.get("properties", "level")) if old else None, _literal(new.body.get("properties", "level"))
        if was == "readonly" and now == "cannotdelete":
            yield LOCK.effect(
                subject=_title(new), path=file.path, line=new.line, before=was, after=now, severity=Severity.MODERATE,
                message=f"What the lock {new.symbol} guards can be changed.",
            )  # fmt: skip
    elif kind.endswith("authorization/roleassignments"):
        yield from _assigned(file, old, new)
    elif kind.endswith("authorization/roledefinitions"):
        yield from _defined(file, old, new)
    yield from _rules(file, old, new)


def _assigned(file: FileChange, old: Resource | None, new: Resource) -> Iterator[Effect]:
    def role(resource: Resource) -> str:
        return resource.body.string("properties", "roleDefinitionId") or ""

    if old is not None and role(old) == role(new) and _same_text(old, new, "principalId") and _same_text(old, new, "scope"):
        return
    title, severity = next((known for guid, known in _ROLES.items() if guid in role(new)), (None, Severity.MODERATE))
    if old is not None and role(old) != role(new) and severity is Severity.LOW:
        return
    yield ROLE.effect(
        subject=_title(new), path=file.path, line=new.line, severity=severity, before=role(old) if old else None, after=title or role(new),
        message=f"{new.body.string('properties', 'principalId') or 'A principal'} gets the role {title or 'named in the template'}"
        f"{' on ' + scope if (scope := new.body.string('scope')) else ''}.",
    )  # fmt: skip


def _same_text(old: Resource, new: Resource, key: str) -> bool:
    return old.body.string("properties", key) == new.body.string("properties", key) and old.body.string(key) == new.body.string(key)


def _defined(file: FileChange, old: Resource | None, new: Resource) -> Iterator[Effect]:
    for key in ("actions", "dataActions"):
        was, now = _actions(old, key), _actions(new, key)
        more = [text for text in now if not any(_covers(one, text) for one in was)]
        if more:
            wild = any(text in ("*", "*/write", "*/delete") or "authorization" in text.lower() for text in more)
            yield ROLE.effect(
                subject=f"{_title(new)} {key}", path=file.path, line=new.line, after=", ".join(more[:4]), severity=Severity.HIGH if wild else None,
                message=f"The custom role {new.symbol} newly allows {', '.join(more[:4])}.",
            )  # fmt: skip


def _actions(resource: Resource | None, key: str) -> list[str]:
    sets = resource.body.get("properties", "permissions") if resource is not None else None
    return [
        item.text for one in (sets.items or () if sets is not None else ()) for item in ((one.get(key) or one).items or ()) if item.text
    ]


def _covers(wide: str, narrow: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in wide.lower().split("*")), narrow.lower()) is not None


_ANYONE = ("*", "0.0.0.0/0", "internet", "any", "::/0")


def _rules(file: FileChange, old: Resource | None, new: Resource) -> Iterator[Effect]:
    kind = new.type.lower()
    if kind.endswith("/firewallrules"):
        now = (_literal(new.body.get("properties", "startIpAddress")), _literal(new.body.get("properties", "endIpAddress")))
        was = (
            (_literal(old.body.get("properties", "startIpAddress")), _literal(old.body.get("properties", "endIpAddress"))) if old else None
        )
        if now != was and now[0] == "0.0.0.0" and now[1] is not None:  # noqa: S104 - an address range in a template
            everyone = now[1] == "255.255.255.255"
            yield EXPOSED.effect(
                subject=_title(new), path=file.path, line=new.line, after=f"{now[0]} to {now[1]}", severity=Severity.HIGH if everyone else Severity.MODERATE,
                message=f"{'Every address' if everyone else 'Every service in Azure'} may connect ({_title(new)}).",
            )  # fmt: skip
    if kind.endswith("networksecuritygroups"):
        had = {_rule_key(rule) for rule in _inbound(old)}
        for rule in _inbound(new):
            if _rule_key(rule) not in had:
                yield _opened(file, new, rule)
    elif kind.endswith("networksecuritygroups/securityrules") and _open_rule(new.body) and not (old is not None and _open_rule(old.body)):
        yield _opened(file, new, new.body)


def _opened(file: FileChange, new: Resource, rule: Node) -> Effect:
    port = rule.string("properties", "destinationPortRange") or "some ports"
    return EXPOSED.effect(
        subject=f"{_title(new)} {rule.string('name') or ''}".strip(), path=file.path, line=rule.line, after=port,
        severity=Severity.MODERATE if port in ("80", "443") else None, message=f"Anyone may connect to port {port} ({_title(new)}).",
    )  # fmt: skip


def _inbound(resource: Resource | None) -> list[Node]:
    rules = resource.body.get("properties", "securityRules") if resource is not None else None
    return [rule for rule in (rules.items or () if rules is not None else ()) if _open_rule(rule)]


def _open_rule(rule: Node) -> bool:
    values = {key: _literal(rule.get("properties", key)) for key in ("direction", "access", "sourceAddressPrefix")}
    return values["direction"] == "inbound" and values["access"] == "allow" and values["sourceAddressPrefix"] in _ANYONE


def _rule_key(rule: Node) -> tuple[str | None, ...]:
    return tuple(rule.string("properties", key) for key in ("sourceAddressPrefix", "destinationPortRange", "protocol"))


DETECTOR = Detector(
    name="bicep",
    title="Azure templates",
    rules=(REMOVED, COMPLETE, LOCK, GUARD, ROLE, EXPOSED, SECRET),
    detect=detect,
    group=by_directory,
    sure=True,
)
