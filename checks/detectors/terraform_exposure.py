"""What Terraform makes reachable: open ports, routes, public access, public addresses, encryption and TLS given up.

## What it detects
Security groups, network access lists, Azure network security groups and Google firewalls that let in more than before: every permission of a
group, inline or a resource of its own, is compared by address range and port, so that only what no earlier permission covers counts. Databases, buckets, clusters,
vaults and load balancers made public; lists of allowed addresses that grow or go; rules that deny traffic removed where something else lets it
through; routes that stood nowhere before, to the internet or to another network, and networks joined by peering; default-deny rules removed; public addresses given; public
access blocks removed. Encryption at rest or in transit switched off, a lower TLS version, instance metadata without session tokens, also on a new
resource that says so outright.

## Why it matters
Scanners find an open port within minutes. A bucket or database that is public for an hour may have been copied.

## Example
```hcl
 resource "aws_security_group_rule" "db" {
   from_port   = 5432
   to_port     = 5432
-  cidr_blocks = ["10.0.0.0/16"]
+  cidr_blocks = ["0.0.0.0/0"]
 }
```
The database port is open to the internet.

## What makes it safe
A private network with a bastion or a zero-trust proxy; account-wide public access blocks and organisation policies that refuse it; a narrow
range in place of everywhere.

## What it cannot see
Ranges that come from data sources or variables without a default; whether the thing behind the port listens; routes and firewalls outside
this configuration, and the order of their rules. Which principals a policy lets in is judged elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.access.networks import Opening, inside, is_private, is_public
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers.hcl import Block, Expression, scalar
from checks.readers.terraform import Configuration, Flat, Resource, flat, instances, of_one_side
from checks.readers.terraform_facts import stateful
from checks.readers.terraform_steps import Step, collapsed, companion, judged, line_of, steps, written

OPENED = Rule(
    "terraform-exposure/network-opened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, Reversible.PARTLY, "A port is opened to more addresses"
)
DENIAL = Rule(
    "terraform-exposure/denial-removed",
    Hazard.EXPOSURE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "Traffic that was denied is let through",
)
ROUTE = Rule(
    "terraform-exposure/route-added", Hazard.EXPOSURE_WIDENED, Severity.LOW, Reversible.YES, "Traffic is newly routed to another network"
)
PUBLIC = Rule("terraform-exposure/public-access-on", Hazard.EXPOSURE_WIDENED, Severity.HIGH, Reversible.PARTLY, "Something is made public")
RESTRICTION = Rule(
    "terraform-exposure/restriction-removed",
    Hazard.EXPOSURE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A list of allowed addresses grows or goes",
)
ADDRESS = Rule(
    "terraform-exposure/public-address-given", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.YES, "Something gets a public address"
)
ENCRYPTION = Rule(
    "terraform-exposure/encryption-off",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "Encryption at rest is switched off",
)
TLS = Rule(
    "terraform-exposure/tls-lowered",
    Hazard.PROTECTION_REMOVED,
    Severity.MODERATE,
    Reversible.YES,
    "Encryption in transit is given up or lowered",
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    yield from collapsed(judged(steps(change, files), _judge))


def _judge(step: Step) -> Iterator[Effect]:
    if not step.after:
        return
    yield from _openings(step)
    yield from _denials(step)
    yield from _routes(step)
    for pair in step.kept:
        if pair.new.type == "module":
            continue
        old, new = flat(pair.before), flat(pair.after)
        was = instances(pair.old, pair.before) != 0
        yield from _switches(step, pair.new, old if was else None, new)
        if was:
            yield from _addressed(step, pair.new, old, new)
            yield from _restrictions(step, pair.new, old, new, pair.before, pair.after)
    if step.through is None and step.variables_file is None:
        for resource in step.new:
            if resource.type != "module":
                body = step.after.body(resource)
                yield from _switches(step, resource, None, flat(body))
                yield from _facing(step, resource, body)
        yield from _blocks_removed(step)


# Ports.


def _denials(step: Step) -> Iterator[Effect]:
    """Rules that denied traffic and do not any more, where something at head lets it through (or may: its list stands elsewhere)."""
    before, after = denials(step.before), denials(step.after)
    allowed = permissions(step.after)
    for group, rows in before.items():
        if group not in step.after.resources and group in step.before.resources:
            continue
        still = [opening for opening, _, _ in after.get(group, ())]
        lost = []
        for opening, resource, assumed in rows:
            through = [row[0] for row in allowed.get(group, ()) if row[0].meets(opening)]
            elsewhere = group not in step.after.resources
            if not any(other.covers(opening) for other in still) and (through or elsewhere):
                lost.append((opening, resource, assumed or not through))
        if not lost:
            continue
        worst, resource, _ = max(lost, key=lambda row: _denial(row[0]).rank)
        stays = step.after.resources.get(resource.address)
        path, line = step.where(stays) if stays is not None else (resource.path, resource.line)
        who = "the whole internet" if is_public(worst.source) else worst.source
        yield DENIAL.effect(
            subject=step.subject(resource.address),
            path=path,
            line=line,
            side=Side.BASE if stays is None else Side.HEAD,
            severity=_denial(worst),
            confidence=Confidence.LIKELY if any(unsure for _, _, unsure in lost) else Confidence.CERTAIN,
            before=f"{worst.direction} {worst.protocol} {worst.first}-{worst.last} {worst.source}",
            message=f"{group} no longer denies {who} on {worst.ports}{f', and {len(lost) - 1} more' if len(lost) > 1 else ''}.",
            facts=(("address", step.subject(resource.address)), ("directory", step.directory)),
        )


def _denial(opening: Opening) -> Severity:
    """How bad it is when a denial goes: of everyone it was the wall, of one address it was an entry in a list."""
    return DENIAL.severity if is_public(opening.source) else Severity.LOW


def _openings(step: Step) -> Iterator[Effect]:
    before, after = permissions(step.before), permissions(step.after)
    for group, rows in after.items():
        known_group = group in before
        covered = [opening for opening, _, _ in before.get(group, ())]
        found: list[tuple[Opening, Resource, bool]] = []
        for opening, resource, assumed in rows:
            if any(old.covers(opening) for old in covered) or not _worth(opening, known_group):
                continue
            if not (resource.type.startswith(_STATELESS) and (not known_group or _replies(opening))):
                found.append((opening, resource, assumed))
        for address in dict.fromkeys(resource.address for _, resource, _ in found):
            yield _opened(step, group, [row for row in found if row[1].address == address], known_group)


_STATELESS = ("aws_network_acl", "aws_default_network_acl")
"""Lists that do not remember connections, beside the security groups that decide: a subnet without one of its own lets everything through
(docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html), so a new one only narrows."""


def _replies(opening: Opening) -> bool:
    """Whether ports are those that replies come back to: the ephemeral ranges of RFC 6056, Linux (32768-60999) and NAT gateways (1024-65535)."""
    return opening.first >= 1024 and opening.last >= 60999 and opening.protocol in ("tcp", "udp")


def _worth(opening: Opening, known_group: bool) -> bool:
    """Everything from the internet; from elsewhere only where a group that stood before grows. Out: only to everywhere."""
    if opening.direction == "out":
        return known_group and is_public(opening.source)
    if opening.protocol in ("icmp", "icmpv6", "1", "58"):
        return is_public(opening.source) and known_group
    return is_public(opening.source) or (known_group and ("/" in opening.source or "." in opening.source))


def _severity(opening: Opening, known_group: bool) -> Severity:
    if opening.direction == "out":
        return Severity.LOW
    if not is_public(opening.source):
        if is_private(opening.source) or not inside(opening.source, "0.0.0.0/0"):
            return Severity.LOW
        return Severity.MODERATE if opening.sensitive else Severity.LOW
    if opening.sensitive:
        return Severity.CRITICAL
    return Severity.MODERATE if opening.web or opening.protocol in ("icmp", "icmpv6", "1", "58") else Severity.HIGH


def _opened(step: Step, group: str, rows: Sequence[tuple[Opening, Resource, bool]], known_group: bool) -> Effect:
    worst, resource, _ = max(rows, key=lambda row: _severity(row[0], known_group).rank)
    path, line = step.where(resource)
    if worst.direction == "out":
        what = f"may reach {worst.source} on {worst.ports}"
    else:
        who = "the whole internet" if is_public(worst.source) else worst.source
        what = f"is reachable from {who} on {worst.ports}"
    more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return OPENED.effect(
        subject=f"{step.subject(resource.address)}",
        path=path,
        line=line,
        severity=_severity(worst, known_group),
        confidence=Confidence.LIKELY if any(assumed for _, _, assumed in rows) else Confidence.CERTAIN,
        after=f"{worst.direction} {worst.protocol} {worst.first}-{worst.last} {worst.source}",
        message=f"What stands behind {group} {what}{more}.",
        facts=(("address", step.subject(resource.address)), ("directory", step.directory)),
    )


_Row = tuple[Opening, Resource, bool]


def permissions(configuration: Configuration) -> Mapping[str, list[_Row]]:
    """Every permission for traffic by the group it belongs to, whichever resource it is written in."""
    found: dict[str, list[_Row]] = {}
    for resource in configuration.resources.values():
        reader = _READERS.get(resource.type)
        if reader is None:
            continue
        body = configuration.body(resource)
        if instances(resource, body) == 0:
            continue
        for group, opening, assumed in reader(resource, body):
            found.setdefault(group, []).append((opening, resource, assumed))
    return found


def denials(configuration: Configuration) -> Mapping[str, list[_Row]]:
    """Every rule that denies traffic by the group it belongs to."""
    found: dict[str, list[_Row]] = {}
    for resource in configuration.resources.values():
        reader = _DENIERS.get(resource.type)
        if reader is None:
            continue
        body = configuration.body(resource)
        if instances(resource, body) == 0:
            continue
        for group, opening, assumed in reader(resource, body, "deny"):
            found.setdefault(group.partition(" ")[0], []).append((opening, resource, assumed))
    return found


_Opened = Iterator[tuple[str, Opening, bool]]


def _texts(*values: Expression | None) -> list[tuple[str, bool]]:
    return [
        (scalar(item.value), item.assumed)
        for value in values
        if value is not None
        for item in value.elements()
        if item.kind == "literal" and item.value
    ]


def _port(value: Expression | None, default: int) -> int | None:
    if value is None or value.is_null:
        return default
    try:
        return int(scalar(value.value)) if value.kind == "literal" else None
    except ValueError:
        return None


def _protocol(value: Expression | None, default: str = "*") -> str:
    text = scalar(value.value).lower() if value is not None and value.kind == "literal" and value.value is not None else default
    return {"-1": "*", "all": "*", "6": "tcp", "17": "udp", "": default}.get(text, text)


def _group_of(value: Expression | None, resource: Resource) -> str:
    """The thing a reference names, without its attribute; the resource itself where it says nothing."""
    if value is None:
        return resource.address
    named = [part.name for part in value.walk() if part.kind == "reference"]
    chosen = next((name for name in named if not name.startswith(("count.", "each."))), next(iter(named), None))
    if chosen is not None:
        return ".".join(chosen.split(".")[: 3 if chosen.startswith(("data.", "module.")) else 2])
    return value.key


def _aws_range(body: Block, protocol: str) -> tuple[int, int] | None:
    if protocol == "*":
        return 0, 65535
    first, last = _port(body.get("from_port"), 0), _port(body.get("to_port"), 65535)
    if first is None or last is None:
        return None
    if protocol in ("icmp", "icmpv6", "1", "58"):
        return 0, 65535
    return (0, 65535) if first == -1 else (first, last)


def _security_group(resource: Resource, body: Block) -> _Opened:
    for name, direction in (("ingress", "in"), ("egress", "out")):
        for block in body.nested(name):
            yield from _aws_rule(resource.address, direction, block, ("cidr_blocks", "ipv6_cidr_blocks"), "protocol")


def _aws_rule(group: str, direction: str, block: Block, sources: Iterable[str], protocol_name: str) -> _Opened:
    protocol = _protocol(block.get(protocol_name))
    ports = _aws_range(block, protocol)
    if ports is not None:
        for source, assumed in _texts(*(block.get(name) for name in sources)):
            yield group, Opening(direction, protocol, *ports, source), assumed


def _security_group_rule(resource: Resource, body: Block) -> _Opened:
    direction = "out" if (kind := body.get("type")) is not None and kind.value == "egress" else "in"
    yield from _aws_rule(
        _group_of(body.get("security_group_id"), resource), direction, body, ("cidr_blocks", "ipv6_cidr_blocks"), "protocol"
    )


def _vpc_rule(resource: Resource, body: Block) -> _Opened:
    direction = "out" if resource.type.endswith("egress_rule") else "in"
    yield from _aws_rule(_group_of(body.get("security_group_id"), resource), direction, body, ("cidr_ipv4", "cidr_ipv6"), "ip_protocol")


def _network_acl(resource: Resource, body: Block, wanted: str = "allow") -> _Opened:
    for name, direction in (("ingress", "in"), ("egress", "out")):
        for block in body.nested(name):
            if (action := block.get("action")) is not None and action.value == wanted:
                yield from _aws_rule(resource.address, direction, block, ("cidr_block", "ipv6_cidr_block"), "protocol")


def _network_acl_rule(resource: Resource, body: Block, wanted: str = "allow") -> _Opened:
    if (action := body.get("rule_action")) is not None and action.value == wanted:
        direction = "out" if (egress := body.get("egress")) is not None and egress.value is True else "in"
        yield from _aws_rule(
            _group_of(body.get("network_acl_id"), resource), direction, body, ("cidr_block", "ipv6_cidr_block"), "protocol"
        )


def _ranges(*values: Expression | None) -> Iterator[tuple[int, int]]:
    for text, _ in _texts(*values):
        if text == "*":
            yield 0, 65535
        elif match := re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", text):
            yield int(match.group(1)), int(match.group(2) or match.group(1))


def _azure_rule(group: str, block: Block, wanted: str) -> _Opened:
    access, direction = block.get("access"), block.get("direction")
    if access is None or scalar(access.value).lower() != wanted or direction is None or direction.kind != "literal":
        return
    out = scalar(direction.value).lower() == "outbound"
    side = "destination_address_prefix" if out else "source_address_prefix"
    plural = side + "es"
    for source, assumed in _texts(block.get(side), block.get(plural)):
        for first, last in _ranges(block.get("destination_port_range"), block.get("destination_port_ranges")):
            yield group, Opening("out" if out else "in", _protocol(block.get("protocol")), first, last, source), assumed


def _nsg(resource: Resource, body: Block, wanted: str = "allow") -> _Opened:
    for block in body.nested("security_rule"):
        yield from _azure_rule(resource.address, block, wanted)


def _nsg_rule(resource: Resource, body: Block, wanted: str = "allow") -> _Opened:
    yield from _azure_rule(_group_of(body.get("network_security_group_name"), resource), body, wanted)


def _google_firewall(resource: Resource, body: Block, wanted: str = "allow") -> _Opened:
    direction = _protocol(body.get("direction"), "ingress")
    if (off := body.get("disabled")) is not None and off.value is True:
        return
    sources = _texts(body.get("source_ranges" if direction == "ingress" else "destination_ranges"))
    open_to_all = not any(body.get(name) is not None for name in ("source_ranges", "source_tags", "source_service_accounts"))
    if direction == "ingress" and open_to_all:
        sources = [("0.0.0.0/0", False)]
    tags = body.get("target_tags") or body.get("target_service_accounts")
    group = f"{_group_of(body.get('network'), resource)} {tags.text if tags is not None else ''}".strip()
    for block in body.nested(wanted):
        ports = list(_ranges(block.get("ports"))) or ([(0, 65535)] if block.get("ports") is None else [])
        for source, assumed in sources:
            for first, last in ports:
                yield (
                    group,
                    Opening("in" if direction == "ingress" else "out", _protocol(block.get("protocol")), first, last, source),
                    assumed,
                )


def _database_firewall(resource: Resource, body: Block) -> _Opened:
    first, last = body.get("start_ip_address") or body.get("start_ip"), body.get("end_ip_address") or body.get("end_ip")
    if first is None or last is None or first.kind != "literal" or last.kind != "literal":
        return
    group = _group_of(body.get("server_id") or body.get("server_name"), resource)
    try:
        low, high = ipaddress.ip_address(scalar(first.value)), ipaddress.ip_address(scalar(last.value))
        ranges = [str(part) for part in ipaddress.summarize_address_range(low, high)]
    except (ValueError, TypeError):
        return
    if scalar(first.value) == scalar(last.value) == "0.0.0.0":  # noqa: S104 - Azure's word for every Azure service
        ranges = ["Azure services of every tenant"]
    for source in ranges[:64]:
        yield group, Opening("in", "tcp", 1433 if "sql" in resource.type else 443, 1433 if "sql" in resource.type else 443, source), False


_DENIERS = {
    "aws_network_acl": _network_acl,
    "aws_default_network_acl": _network_acl,
    "aws_network_acl_rule": _network_acl_rule,
    "azurerm_network_security_group": _nsg,
    "azurerm_network_security_rule": _nsg_rule,
}
_READERS = {
    "aws_security_group": _security_group,
    "aws_default_security_group": _security_group,
    "aws_security_group_rule": _security_group_rule,
    "aws_vpc_security_group_ingress_rule": _vpc_rule,
    "aws_vpc_security_group_egress_rule": _vpc_rule,
    "aws_network_acl": _network_acl,
    "aws_default_network_acl": _network_acl,
    "aws_network_acl_rule": _network_acl_rule,
    "azurerm_network_security_group": _nsg,
    "azurerm_network_security_rule": _nsg_rule,
    "google_compute_firewall": _google_firewall,
    "azurerm_mssql_firewall_rule": _database_firewall,
    "azurerm_sql_firewall_rule": _database_firewall,
    "azurerm_postgresql_firewall_rule": _database_firewall,
    "azurerm_postgresql_flexible_server_firewall_rule": _database_firewall,
    "azurerm_mysql_flexible_server_firewall_rule": _database_firewall,
    "azurerm_mysql_firewall_rule": _database_firewall,
    "azurerm_redis_firewall_rule": _database_firewall,
}


# Switches.


@dataclass(frozen=True, slots=True)
class Switch:
    """An argument with a safe value."""

    rule: Rule
    words: str
    safe: tuple[str, ...] = ("true",)
    default: str = "false"
    types: str = ""
    severity: Severity | None = None
    created: bool = False
    """Whether a new resource that says otherwise outright is worth a word, a step lower."""


_ON, _OFF = ("true",), ("false",)
_TLS = (
    "TLS1_2",
    "TLS1_3",
    "1.2",
    "1.3",
    "TLS_1_2",
    "TLS_1_3",
    "TLSv1.2_2018",
    "TLSv1.2_2019",
    "TLSv1.2_2021",
    "TLS12",
    "TLSEnforcement1_2",
    "Tls12",
)
SWITCHES: Mapping[str, tuple[Switch, ...]] = {
    "publicly_accessible": (
        Switch(PUBLIC, "it is reachable from the internet", _OFF, "true", r"aws_redshift_cluster|aws_dms_replication_instance", Severity.CRITICAL, True),
        Switch(PUBLIC, "it is reachable from the internet", _OFF, "false", "", Severity.CRITICAL, True),
    ),
    "internal": (Switch(PUBLIC, "the load balancer faces the internet", types=r"aws_(a|e)?lb"),),
    "public_network_access_enabled": (Switch(PUBLIC, "it accepts traffic from public networks", _OFF, "true"),),
    "public_network_access": (Switch(PUBLIC, "it accepts traffic from public networks", ("Disabled", "SecuredByPerimeter"), "Enabled"),),
    "allow_nested_items_to_be_public": (Switch(PUBLIC, "its containers can be made public", _OFF, "true", severity=Severity.MODERATE),),
    "allow_blob_public_access": (Switch(PUBLIC, "its containers can be made public", _OFF, "false", severity=Severity.MODERATE),),
    "container_access_type": (Switch(PUBLIC, "anyone can read it", ("private",), "private", created=True),),
    "anonymous_pull_enabled": (Switch(PUBLIC, "anyone can pull from it", _OFF),),
    "block_public_acls": (Switch(PUBLIC, "objects can be made public by ACL", types=r"aws_s3.*"),),
    "block_public_policy": (Switch(PUBLIC, "it can be made public by policy", types=r"aws_s3.*"),),
    "ignore_public_acls": (Switch(PUBLIC, "public ACLs take effect", types=r"aws_s3.*"),),
    "restrict_public_buckets": (Switch(PUBLIC, "a public policy takes effect", types=r"aws_s3.*"),),
    "public_access_prevention": (Switch(PUBLIC, "it can be made public", ("enforced",), "inherited"),),
    "uniform_bucket_level_access": (Switch(PUBLIC, "single objects can be made public", _ON, "false", severity=Severity.MODERATE),),
    "acl": (
        Switch(
            PUBLIC, "anyone can read it", ("private", "log-delivery-write", "bucket-owner-full-control", "bucket-owner-read", "aws-exec-read", "projectPrivate"),
            "private", r"aws_s3_(bucket|bucket_acl|object|bucket_object)|google_storage_.*", Severity.CRITICAL, True,
        ),
    ),
    "predefined_acl": (Switch(PUBLIC, "anyone can read it", ("private", "projectPrivate", ""), "", severity=Severity.CRITICAL, created=True),),
    "endpoint_public_access": (Switch(PUBLIC, "the cluster's API is reachable from the internet", _OFF, "true"),),
    "enable_private_endpoint": (Switch(PUBLIC, "the cluster's API is reachable from the internet"),),
    "enable_private_nodes": (Switch(PUBLIC, "the nodes have public addresses"),),
    "private_cluster_enabled": (Switch(PUBLIC, "the cluster's API is reachable from the internet"),),
    "ipv4_enabled": (Switch(PUBLIC, "the database has a public address", _OFF, "true", r"google_sql_.*"),),
    "authorization_type": (Switch(PUBLIC, "anyone can call it", ("AWS_IAM",), "NONE", r"aws_lambda_function_url", created=True),),
    "associate_public_ip_address": (Switch(ADDRESS, "it gets a public address", _OFF),),
    "map_public_ip_on_launch": (Switch(ADDRESS, "what starts in it gets a public address", _OFF),),
    "assign_public_ip": (Switch(ADDRESS, "its tasks get public addresses", ("false", "DISABLED"), "false"),),
    "enable_node_public_ip": (Switch(ADDRESS, "the nodes get public addresses", _OFF),),
    "node_public_ip_enabled": (Switch(ADDRESS, "the nodes get public addresses", _OFF),),
    "storage_encrypted": (Switch(ENCRYPTION, "what it stores is not encrypted", created=True),),
    "encrypted": (Switch(ENCRYPTION, "what it stores is not encrypted", types=r"aws_.*", created=True),),
    "at_rest_encryption_enabled": (Switch(ENCRYPTION, "what it stores is not encrypted", created=True),),
    "encrypt_at_rest.enabled": (Switch(ENCRYPTION, "what it stores is not encrypted", created=True),),
    "server_side_encryption.enabled": (Switch(ENCRYPTION, "it is not encrypted with a key of the account", types=r"aws_dynamodb.*", severity=Severity.LOW),),
    "enable_disk_encryption": (Switch(ENCRYPTION, "what it stores is not encrypted", created=True),),
    "disk_encryption_enabled": (Switch(ENCRYPTION, "what it stores is not encrypted", created=True),),
    "encryption_at_host_enabled": (Switch(ENCRYPTION, "temporary disks and caches are not encrypted"),),
    "enable_host_encryption": (Switch(ENCRYPTION, "temporary disks and caches are not encrypted"),),
    "infrastructure_encryption_enabled": (Switch(ENCRYPTION, "what it stores is encrypted once instead of twice", severity=Severity.LOW),),
    "transparent_data_encryption_enabled": (Switch(ENCRYPTION, "what it stores is not encrypted", default="true", created=True),),
    "sqs_managed_sse_enabled": (Switch(ENCRYPTION, "its messages are not encrypted", default="true", created=True),),
    "encryption_type": (Switch(ENCRYPTION, "what it stores is not encrypted", ("KMS", "AES256"), "AES256", r"aws_kinesis.*|aws_ecr.*", created=True),),
    "transit_encryption_enabled": (Switch(TLS, "traffic to it is not encrypted", created=True),),
    "transit_encryption": (Switch(TLS, "traffic to it is not encrypted", ("ENABLED",), "DISABLED"),),
    "node_to_node_encryption.enabled": (Switch(TLS, "traffic between its nodes is not encrypted", created=True),),
    "enforce_https": (Switch(TLS, "it can be used without TLS", created=True),),
    "ssl_enforcement": (Switch(TLS, "it can be used without TLS", ("Enabled",), "Enabled", created=True),),
    "ssl_enforcement_enabled": (Switch(TLS, "it can be used without TLS", created=True),),
    "enable_https_traffic_only": (Switch(TLS, "it can be used without TLS", default="true", created=True),),
    "https_traffic_only_enabled": (Switch(TLS, "it can be used without TLS", default="true", created=True),),
    "https_only": (Switch(TLS, "it can be used without TLS", created=True),),
    "enable_non_ssl_port": (Switch(TLS, "it can be used without TLS", _OFF, created=True),),
    "non_ssl_port_enabled": (Switch(TLS, "it can be used without TLS", _OFF, created=True),),
    "require_ssl": (Switch(TLS, "it can be used without TLS"),),
    "ssl_mode": (Switch(TLS, "it can be used without TLS", ("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"), "ALLOW_UNENCRYPTED_AND_ENCRYPTED", r"google_.*"),),
    "viewer_protocol_policy": (Switch(TLS, "it can be used without TLS", ("https-only", "redirect-to-https"), "allow-all", created=True),),
    "min_tls_version": (Switch(TLS, "older versions of TLS are accepted", _TLS, "1.2", created=True),),
    "minimum_tls_version": (Switch(TLS, "older versions of TLS are accepted", _TLS, "1.2", created=True),),
    "ssl_minimal_tls_version_enforced": (Switch(TLS, "older versions of TLS are accepted", _TLS, "TLS1_2", created=True),),
    "minimum_protocol_version": (Switch(TLS, "older versions of TLS are accepted", _TLS, "TLSv1", r"aws_cloudfront.*"),),
    "tls_security_policy": (Switch(TLS, "older versions of TLS are accepted", ("Policy-Min-TLS-1-2-2019-07", "Policy-Min-TLS-1-2-PFS-2023-10"), "Policy-Min-TLS-1-0-2019-07"),),
    "http_tokens": (Switch(TLS, "instance metadata, and with it the role's credentials, can be read without a session token", ("required",), "optional"),),
    "insecure": (Switch(TLS, "certificates are not checked", _OFF, created=True),),
    "insecure_skip_verify": (Switch(TLS, "certificates are not checked", _OFF, created=True),),
    "enable_shielded_nodes": (Switch(ENCRYPTION, "the nodes start without verified boot", default="true", severity=Severity.LOW),),
    "enable_secure_boot": (Switch(ENCRYPTION, "it starts without verified boot", severity=Severity.LOW),),
    "local_account_disabled": (Switch(PUBLIC, "accounts outside the directory work", severity=Severity.MODERATE, types=r"azurerm_kubernetes.*"),),
    "role_based_access_control_enabled": (Switch(PUBLIC, "everyone in the cluster may do everything", default="true", types=r"azurerm_kubernetes.*"),),
    "shared_access_key_enabled": (Switch(PUBLIC, "keys open it without an identity", _OFF, "true", severity=Severity.LOW),),
    "admin_enabled": (Switch(PUBLIC, "a shared password opens it", _OFF, "false", r"azurerm_container_registry", Severity.MODERATE),),
}  # fmt: skip
"""By the end of the argument's path: the safe values and the provider's default. Sources: the providers' resource documentation."""


def _switches(step: Step, resource: Resource, old: Flat | None, new: Flat) -> Iterator[Effect]:
    """Arguments that leave their safe value (`old` None: a new resource, of which only what is written out counts)."""
    for path in sorted({*(old.values if old else ()), *new.values}):
        parts = path.split(".")
        for suffix in dict.fromkeys((parts[-1], ".".join(parts[-2:]))):
            row = next((row for row in SWITCHES.get(suffix, ()) if not row.types or re.fullmatch(row.types, resource.type)), None)
            gone = old is not None and path not in new.values and of_one_side(path.removesuffix(suffix).rstrip("."), old, new)
            if row is None or gone:
                continue
            after, sure = written(new.values.get(path), row.default)
            if after is None or after in row.safe or _narrow(resource, path, new):
                continue
            if old is None:
                if not row.created or path not in new.values:
                    continue
                before, severity = None, (row.severity or row.rule.severity).step(-1)
            else:
                before, certain = written(old.values.get(path), row.default)
                sure = sure and certain
                severity = row.severity or row.rule.severity
                if before is None or before not in row.safe:
                    continue
            if stateful(resource.type) is None and row.rule is PUBLIC and severity is Severity.CRITICAL:
                severity = Severity.HIGH
            yield _said(step, row.rule, resource, row.words, path, before, after, sure, severity)


def _facing(step: Step, resource: Resource, body: Block) -> Iterator[Effect]:
    """A new load balancer that faces the internet, which AWS makes of one that does not say otherwise."""
    shared = body.get("group")
    if (
        resource.type in ("aws_ami_launch_permission", "aws_snapshot_create_volume_permission")
        and shared is not None
        and shared.key == "all"
    ):
        yield _said(step, PUBLIC, resource, "every AWS account can use the image", "group", None, "all", True, Severity.HIGH)
    if resource.type not in ("aws_lb", "aws_alb", "aws_elb") or instances(resource, body) in (0, None):
        return
    internal = body.get("internal")
    if internal is None or (internal.kind == "literal" and internal.value is False):
        yield _said(step, PUBLIC, resource, "a new load balancer faces the internet", "internal", None, "false", True, Severity.LOW)


_ADDRESSED = ("network_interface.access_config", "network_interface.ipv6_access_config")


def _addressed(step: Step, resource: Resource, old: Flat, new: Flat) -> Iterator[Effect]:
    """A Google machine whose interface gets a block that gives it a public address."""
    for path in _ADDRESSED:
        if resource.type.startswith("google_compute") and not old.blocks.get(path) and new.blocks.get(path, 0) > 0:
            yield _said(step, ADDRESS, resource, "it gets a public address", path, None, "access_config", True, ADDRESS.severity)


def _narrow(resource: Resource, path: str, new: Flat) -> bool:
    """Not public after all: another private ACL, or a list of allowed addresses beside it, which is judged apart."""
    if path.rpartition(".")[2] in ("acl", "predefined_acl"):
        return not re.match(r"public|authenticated|website", written(new.values.get(path), "")[0] or "", re.IGNORECASE)
    if path.endswith("endpoint_public_access"):
        allowed = new.values.get(path.replace("endpoint_public_access", "public_access_cidrs"))
        return bool(allowed) and not any(item.key == "0.0.0.0/0" for value in allowed or () for item in value.elements())
    return False


def _said(
    step: Step, rule: Rule, resource: Resource, words: str, name: str, before: str | None, after: str | None, sure: bool, severity: Severity
) -> Effect:
    path, line = step.where(resource)
    if step.through is None and step.variables_file is None:
        line = line_of(resource, name)
    return rule.effect(
        subject=f"{step.subject(resource.address)} {name}",
        path=path,
        line=line,
        severity=severity,
        confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
        before=before,
        after=after,
        message=f"{resource.address}: {words}.",
        facts=(("address", step.subject(resource.address)), ("directory", step.directory)),
    )


# Routes.

_GATEWAYS = ("gateway_id", "next_hop_type", "next_hop_gateway")
_TARGETS = (
    "gateway_id", "egress_only_gateway_id", "nat_gateway_id", "transit_gateway_id", "vpc_peering_connection_id", "network_interface_id", "instance_id",
    "local_gateway_id", "carrier_gateway_id", "core_network_arn", "vpc_endpoint_id", "next_hop_gateway", "next_hop_instance", "next_hop_ip",
    "next_hop_ilb", "next_hop_vpn_tunnel", "next_hop_type", "transit_gateway_attachment_id",
)  # fmt: skip
"""Arguments that say where a route leads (registry.terraform.io: aws_route, azurerm_route, google_compute_route)."""
_DESTINATIONS = (
    "destination_cidr_block", "destination_ipv6_cidr_block", "destination_prefix_list_id", "cidr_block", "ipv6_cidr_block", "address_prefix", "dest_range",
)  # fmt: skip
_TABLES = ("route_table_id", "route_table_name", "transit_gateway_route_table_id", "network")
_PEERINGS = {
    "aws_vpc_peering_connection": ("vpc_id", "peer_vpc_id"), "google_compute_network_peering": ("network", "peer_network"),
    "azurerm_virtual_network_peering": ("virtual_network_name", "remote_virtual_network_id"),
}  # fmt: skip
"""Types that join two networks, and the arguments that name the two."""


@dataclass(frozen=True, slots=True)
class _Route:
    """One entry of a route table."""

    table: str
    destination: str
    target: str
    direct: bool
    """Straight to the internet, both ways: no translation of addresses between."""
    resource: Resource


def routes(configuration: Configuration) -> Iterator[_Route]:
    """The entries of the route tables of a configuration, whichever resource they are written in."""
    for resource in configuration.resources.values():
        if resource.type in ("aws_route_table", "aws_default_route_table", "azurerm_route_table"):
            for block in configuration.body(resource).nested("route"):
                yield from _route(resource, block, resource.address)
        elif resource.type in ("aws_route", "azurerm_route", "google_compute_route", "aws_ec2_transit_gateway_route"):
            body = configuration.body(resource)
            if instances(resource, body) != 0:
                table = next((value for name in _TABLES if (value := body.get(name)) is not None), None)
                yield from _route(resource, body, _group_of(table, resource))


def _route(resource: Resource, block: Block, table: str) -> Iterator[_Route]:
    destination = next((value for name in _DESTINATIONS if (value := block.get(name)) is not None and not value.is_null), None)
    name, target = next(
        ((name, value) for name in _TARGETS if (value := block.get(name)) is not None and not value.is_null and value.value != ""),
        ("", None),
    )
    if destination is None or target is None or (target.kind == "literal" and target.value in ("local", "None", "VnetLocal")):
        return
    words = target.text.lower()
    direct = name in _GATEWAYS and (
        re.search(r"aws_internet_gateway|\bigw\b|igw-|_igw|internet_gateway|default-internet-gateway", words) is not None
        or words.strip('"') == "internet"
    )
    yield _Route(table, destination.key if destination.kind == "literal" else destination.text, f"{name} {target.text}", direct, resource)


def _stood(step: Step, table: str) -> bool:
    """Whether a route table stood before: here, or outside this configuration, as far as that can be told."""
    root = table.partition(".")[0]
    if root in ("each", "count", "self"):
        return False
    if root == "module":
        return ".".join(table.split(".")[:2]) in step.before.modules
    if root == "data":
        return table in step.before.data
    if root in ("var", "local") or "." not in table:
        return bool(step.before)
    return table in step.before.resources


def _routes(step: Step) -> Iterator[Effect]:
    """Routes in tables that stood before, to where none led; networks newly joined."""
    before = list(routes(step.before))
    for route in routes(step.after):
        same_way = [old for old in before if (old.table, old.destination) == (route.table, route.destination)]
        everywhere = is_public(route.destination)
        # Another way to the same place is no new place, unless it is now the internet without a translation of addresses between.
        if not _stood(step, route.table) or any(old.direct or not route.direct for old in same_way):
            continue
        if any((old.table, old.target) == (route.table, route.target) and inside(route.destination, old.destination) for old in before):
            continue
        what = (
            "straight to the internet and back"
            if route.direct and everywhere
            else f"to {route.destination} by {route.target.partition(' ')[2]}"
        )
        path, line = step.where(route.resource)
        yield ROUTE.effect(
            subject=f"{step.subject(route.table)} {route.destination}",
            path=path,
            line=line,
            severity=Severity.MODERATE if route.direct and everywhere else Severity.LOW,
            confidence=Confidence.LIKELY,
            before=next((old.target for old in same_way), None),
            after=route.target,
            message=f"What stands behind {route.table} newly has a route {what}.",
            facts=(("address", step.subject(route.resource.address)), ("directory", step.directory)),
        )
    for resource in step.new:
        ends = _PEERINGS.get(resource.type)
        body = step.after.body(resource)
        if ends is None or instances(resource, body) == 0:
            continue
        named = [_group_of(body.get(name), resource) for name in ends]
        if any(name in step.before.resources or name.startswith(("data.", "module.", "var.", "local.")) for name in named):
            path, line = step.where(resource)
            yield ROUTE.effect(
                subject=step.subject(resource.address),
                path=path,
                line=line,
                after=" with ".join(named),
                message=f"{resource.address} joins the networks {' and '.join(named)}: where routes and firewalls let them, each reaches the other.",
                facts=(("address", step.subject(resource.address)), ("directory", step.directory)),
            )


# Lists of allowed addresses.

LISTS: tuple[tuple[str, str], ...] = (
    (r"(vpc_config\.)?public_access_cidrs", "the cluster's API"),
    (r"master_authorized_networks_config\.cidr_blocks\.cidr_block", "the cluster's API"),
    (r"(api_server_access_profile\.)?(authorized_ip_ranges|api_server_authorized_ip_ranges)", "the cluster's API"),
    (r"settings\.ip_configuration\.authorized_networks\.value", "the database"),
    (r"(network_rules|network_acls|network_rule_set)\.(ip_rules|ip_rule\.ip_range)", "it"),
    (r"ip_rules", "it"),
    (r"(loadbalancer_)?source_ranges|load_balancer_source_ranges|spec\.load_balancer_source_ranges", "it"),
    (r"ip_restriction\.ip_address", "it"),
    (r"ip_range_filter", "it"),
)
"""Paths of lists that only let their members in, and what they guard."""
NEEDED = re.compile(
    r"(vpc_config\.)?public_access_cidrs|master_authorized_networks_config\.cidr_blocks\.cidr_block"
    r"|(api_server_access_profile\.)?(authorized_ip_ranges|api_server_authorized_ip_ranges)|ip_restriction\.ip_address"
    r"|load_balancer_source_ranges|spec\.load_balancer_source_ranges|ip_range_filter"
)
"""Those that let everyone in when they are empty or missing."""


def _restrictions(step: Step, resource: Resource, old: Flat, new: Flat, before: Block, after: Block) -> Iterator[Effect]:
    for pattern, what in LISTS:
        path = next((path for path in (*new.values, *old.values) if re.fullmatch(pattern, path)), None)
        if path is None or resource.type.startswith("google_compute_firewall"):
            continue
        had, has = _members(old, path), _members(new, path)
        if not has and had and path not in new.values:
            if NEEDED.fullmatch(path):
                yield _said(
                    step,
                    RESTRICTION,
                    resource,
                    f"{what} lets every address in, as the list of allowed ones is gone",
                    path,
                    ", ".join(sorted(had)),
                    None,
                    True,
                    Severity.HIGH,
                )
            continue
        added = sorted(one for one in has if not any(inside(one, other) for other in had))
        if added and had:
            severity = Severity.HIGH if any(map(is_public, added)) else Severity.LOW
            yield _said(step, RESTRICTION, resource, f"{what} lets {', '.join(added[:4])} in", path, None, ", ".join(added), True, severity)
    for name in ("network_rules", "network_acls", "network_rule_set"):
        was, now = _default_deny(before, name), _default_deny(after, name)
        apart = companion(step.after, resource, f"{resource.type}_network_rules") is not None
        if was and now is False and not apart:
            gone = not after.nested(name)
            yield _said(
                step, RESTRICTION, resource, "it accepts traffic from every network, as the rule that denies by default is gone", name,
                "Deny", None if gone else "Allow", True, Severity.HIGH,
            )  # fmt: skip
        elif was and now:
            subnets = _subnets(after, name) - _subnets(before, name)
            if subnets and _subnets(before, name):
                yield _said(
                    step,
                    RESTRICTION,
                    resource,
                    f"it lets {', '.join(sorted(subnets)[:3])} in",
                    f"{name}.virtual_network_subnet_ids",
                    None,
                    ", ".join(sorted(subnets)),
                    True,
                    Severity.LOW,
                )
    if resource.type.endswith("_network_rules"):
        action = [written(at.values.get("default_action"), "Allow")[0] for at in (old, new)]
        if action[0] == "Deny" and action[1] == "Allow":
            yield _said(
                step,
                RESTRICTION,
                resource,
                "traffic from every network is accepted",
                "default_action",
                "Deny",
                "Allow",
                True,
                Severity.HIGH,
            )


def _members(at: Flat, path: str) -> frozenset[str]:
    return frozenset(
        scalar(item.value) for value in at.values.get(path, ()) for item in value.elements() if item.kind == "literal" and item.value
    )


def _default_deny(body: Block, name: str) -> bool | None:
    """Whether a block of network rules denies by default; False where there is none, None where it is not known."""
    blocks = body.nested(name)
    if not blocks:
        return False
    action = blocks[0].get("default_action")
    return None if action is None or action.kind != "literal" else action.value == "Deny"


def _subnets(body: Block, name: str) -> frozenset[str]:
    return frozenset(
        item.key
        for block in body.nested(name)
        for field in ("virtual_network_subnet_ids", "subnet_ids")
        if (value := block.get(field)) is not None
        for item in _parts(value)
    )


def _parts(value: Expression) -> Iterator[Expression]:
    """The members of a list, as far as they are told: `concat(a, [b])` has a and b."""
    if value.kind == "list" or (value.kind == "call" and value.name in ("concat", "distinct", "compact", "flatten", "toset", "setunion")):
        for item in value.items:
            yield from _parts(item)
    else:
        yield value


def _blocks_removed(step: Step) -> Iterator[Effect]:
    """A resource whose only purpose is to keep something closed or encrypted."""
    for resource in step.gone:
        if re.fullmatch(r"aws_s3(_account)?_(bucket_)?public_access_block|aws_(ec2_image|ebs_snapshot)_block_public_access", resource.type):
            rule, words, severity = PUBLIC, "what it kept from being made public can be made public", Severity.HIGH
        elif resource.type in ("aws_ebs_encryption_by_default", "aws_s3_bucket_server_side_encryption_configuration"):
            rule, words, severity = ENCRYPTION, "what is stored from now on is encrypted by the provider's default only", Severity.MODERATE
        elif resource.type.endswith("_network_rules") and resource.type.startswith("azurerm_"):
            rule, words, severity = RESTRICTION, "traffic from every network is accepted", Severity.HIGH
        else:
            continue
        guarded = next((name for name in _guarded(step.before, resource)), None)
        if guarded is not None and guarded not in step.after.resources:
            continue
        yield rule.effect(
            subject=resource.address,
            path=resource.path,
            line=resource.line,
            side=Side.BASE,
            severity=severity,
            message=f"{resource.address} is removed: {words}.",
            facts=(("address", resource.address), ("directory", step.directory), ("action", "delete")),
        )


def _guarded(configuration: Configuration, resource: Resource) -> Iterator[str]:
    for value in resource.body.attributes.values():
        for part in value.walk():
            if part.kind == "reference" and ".".join(part.name.split(".")[:2]) in configuration.resources:
                yield ".".join(part.name.split(".")[:2])


DETECTOR = Detector(
    name="terraform-exposure",
    title="What Terraform makes reachable",
    rules=(OPENED, DENIAL, ROUTE, PUBLIC, RESTRICTION, ADDRESS, ENCRYPTION, TLS),
    detect=detect,
    group=together,
)
