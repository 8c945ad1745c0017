"""What a difference between two AWS policies means: one verdict per real thing, the worst word for it, and how bad it is.

A `Verdict` says which kind of gain it is; a detector has a rule for each kind. Nothing here decides whether something is new: that is
`checks.access.aws`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

from checks.access.actions import bits_of, level_of, mask, names_of, table, unknown
from checks.access.aws import ANYONE, Comparison, Condition, Gain, Principal, Reason, Statement, compare, normal
from checks.access.globs import opaque, overlap
from checks.model import Confidence, Severity


class Kind(StrEnum):
    """The kinds of gain: the last part of a rule's id."""

    ADMIN = "admin-granted"
    ESCALATION = "escalation-opened"
    SECRETS = "secrets-readable"
    ACCESS = "access-widened"
    CONDITION = "condition-removed"
    PUBLIC = "anyone-allowed"
    PRINCIPAL = "principal-added"
    FEDERATION = "federation-widened"
    DENY = "deny-removed"
    LOCKOUT = "owner-locked-out"


class Setting(StrEnum):
    """What the policy is attached to, as far as that changes what it means."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    TRUST = "trust"
    LIMIT = "limit"
    """A service control policy, permissions boundary or endpoint policy: it allows nothing by itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing a policy newly allows."""

    kind: Kind
    severity: Severity
    confidence: Confidence
    line: int
    before: str | None
    after: str
    message: str
    """What becomes possible, without its subject: "may newly …"."""
    bounded: str = ""
    """What bounds all of it, in words: named resources together with a condition; nothing where something of it is unbounded."""


LOW, MODERATE, HIGH, CRITICAL = Severity.LOW, Severity.MODERATE, Severity.HIGH, Severity.CRITICAL

_ROOT = re.compile(r"[a-z-]*/?\*?\Z")


def broad(resource: str) -> bool:
    """Whether a pattern takes in all resources of a kind: `*`, `arn:aws:s3:::*`, `arn:aws:iam::1234:role/*`."""
    if resource.strip("*") == "":
        return True
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return False
    last = parts[5]
    tail = last.rpartition("/")[2] if "/" in last else last.rpartition(":")[2]
    head = last[: len(last) - len(tail)].rstrip("/:")
    return tail == "*" and (("/" not in head and ":" not in head and parts[2] != "s3") or head == "")


@lru_cache(maxsize=1)
def escalations() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The sets of actions that lead to other permissions: a name and one bit an action."""
    lines = files("checks.data").joinpath("aws_escalation.txt").read_text().splitlines()
    rows = (line.split() for line in lines if line and not line.startswith("#"))
    return tuple((name, tuple(bit for bit in map(mask, actions))) for name, *actions in rows)


@lru_cache(maxsize=1)
def _secrets() -> tuple[int, int]:
    lines = files("checks.data").joinpath("aws_secrets.txt").read_text().splitlines()
    return bits_of(lines[1].split()), bits_of(lines[2].split())


_GUARDS = (
    "cloudformation:UpdateTerminationProtection", "cloudformation:SetStackPolicy", "cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "kms:DisableKey",
    "kms:ScheduleKeyDeletion", "s3:PutBucketVersioning", "s3:PutBucketPublicAccessBlock", "s3:PutAccountPublicAccessBlock", "s3:PutLifecycleConfiguration",
    "s3:BypassGovernanceRetention", "rds:ModifyDBInstance", "rds:ModifyDBCluster", "dynamodb:UpdateContinuousBackups", "backup:Delete*", "config:Stop*",
    "config:Delete*", "guardduty:Delete*", "guardduty:Disassociate*", "guardduty:Stop*", "ec2:DeleteFlowLogs", "organizations:LeaveOrganization", "logs:DeleteLogGroup",
)  # fmt: skip
_LOSSES = (
    "s3:DeleteBucket", "s3:DeleteObject*", "dynamodb:DeleteTable", "rds:Delete*", "ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:DeleteSnapshot",
    "ec2:DeleteVpc", "cloudformation:DeleteStack", "eks:DeleteCluster", "elasticfilesystem:DeleteFileSystem", "es:DeleteDomain", "es:DeleteElasticsearchDomain",
    "redshift:DeleteCluster", "elasticache:Delete*Cluster", "elasticache:DeleteReplicationGroup", "secretsmanager:DeleteSecret", "route53:DeleteHostedZone",
    "iam:DeleteRole", "iam:DeleteUser", "kinesis:DeleteStream", "ecr:DeleteRepository", "organizations:CloseAccount", "organizations:RemoveAccountFromOrganization",
    "cognito-idp:DeleteUserPool", "glue:DeleteDatabase", "backup:DeleteRecoveryPoint", "backup:DeleteBackupVault",
)  # fmt: skip
_PASS = ("iam:PassRole",)
_QUIET = frozenset({"logs", "xray", "cloudwatch", "support", "ssmmessages", "ec2messages"})
"""Services whose every write action on any resource does little harm."""


@lru_cache(maxsize=16)
def _bits(names: tuple[str, ...]) -> int:
    return bits_of(names)


def grade(base: Sequence[Statement] | None, head: Sequence[Statement], setting: Setting = Setting.IDENTITY) -> list[Verdict]:
    """The verdicts on what `head` newly allows over `base`; None for a policy that did not exist."""
    before = tuple(normal(s) for s in base or ())
    after = tuple(normal(s) for s in head)
    found = compare(before, after)
    found = replace(found, gains=tuple(gain for gain in found.gains if not _renamed(gain, before, after)))
    out: list[Verdict] = []
    if setting is Setting.LIMIT:
        if base is not None:
            out.extend(_limit(found))
    elif setting is Setting.IDENTITY:
        out.extend(_identity(before, after, found, fresh=base is None))
    else:
        out.extend(_granted(before, found, setting, fresh=base is None))
    if base is not None and setting is not Setting.LIMIT:
        out.extend(_denies(found))
    if setting is Setting.RESOURCE:
        out.extend(_lockout(before, after))
    bound = _bounded(found.gains, setting)
    return [replace(verdict, bounded=bound) if verdict.kind in _BOUNDABLE else verdict for verdict in out]


_BOUNDABLE = frozenset({Kind.ACCESS, Kind.SECRETS, Kind.PRINCIPAL, Kind.FEDERATION})


def _bounded(gains: Sequence[Gain], setting: Setting) -> str:
    """What bounds every gain; nothing where one of them names no resource or has no condition that narrows."""
    if not gains or setting is Setting.LIMIT:
        return ""
    keys: dict[str, None] = {}
    for gain in gains:
        statement = gain.statement
        named = setting is Setting.TRUST or not (statement.not_resources or _wide(statement.resources))
        narrowing = [condition.key for condition in gain.conditions if _narrows(condition.operator, condition.values)]
        if not named or not narrowing or statement.not_actions or statement.unsure:
            return ""
        keys.update(dict.fromkeys(sorted(narrowing)))
    return f"named resources and a condition on {', '.join(list(keys)[:3])}"


def _narrows(operator: str, values: frozenset[str]) -> bool:
    """Whether a condition lets only some requests through: a positive one, that a missing key does not meet, without a value for all."""
    return (
        "not" not in operator
        and not operator.endswith("ifexists")
        and not operator.startswith("forallvalues:")
        and operator != "null"
        and bool(values)
        and not any(not value.strip("*?") or value in ("0.0.0.0/0", "::/0") for value in values)
    )


def _renamed(gain: Gain, before: Sequence[Statement], after: Sequence[Statement]) -> bool:
    """Whether a new reference takes the place of a wildcard that could match it: a name spelled with `*` becomes a reference to the thing."""
    if gain.reason is not Reason.RESOURCE or not opaque(gain.resource):
        return False
    kept = {resource for s in after if s.allow for resource in s.resources}
    service = gain.resource.split(":")[2:3]
    return any(
        s.allow and not s.not_resources and not s.conditions - gain.conditions and not gain.actions.minus(s.set)
        and any("*" in p and p not in kept and (not service or p.split(":")[2:3] == service) and p.count(":") >= 5 and overlap(p, gain.resource) for p in s.resources)
        for s in before
    )  # fmt: skip


def _limit(found: Comparison) -> Iterable[Verdict]:
    if found.gains:
        gain = max(found.gains, key=lambda g: g.actions.bits.bit_count())
        yield Verdict(
            Kind.ACCESS, MODERATE, _sure(found.gains), gain.statement.line, None, show(found.gains), f"no longer limits {show(found.gains)}"
        )
    yield from _denies(found)


def _denies(found: Comparison) -> Iterable[Verdict]:
    if not found.undenied:
        return
    gain = found.undenied[0]
    what = show(found.undenied)
    loosened = gain.reason is not Reason.ACTION
    yield Verdict(
        Kind.DENY, HIGH, _sure(found.undenied), 0, what, "denied in fewer cases" if loosened else "not denied",
        f"no longer denies {what}{' in every case it did' if loosened else ''}",
    )  # fmt: skip


def _identity(before: tuple[Statement, ...], after: tuple[Statement, ...], found: Comparison, fresh: bool) -> Iterable[Verdict]:
    gains = found.gains
    if not gains:
        return
    worst = max(gains, key=lambda gain: (_weigh(gain)[0].rank, gain.actions.bits.bit_count()))
    severity, word = _weigh(worst)
    kind = Kind.ACCESS
    shown_gains = [gain for gain in gains if _weigh(gain)[0] is severity]
    new = 0
    for gain in gains:
        new |= gain.actions.bits
    everything = _effective(after, lambda s: _wide(s.resources) or s.not_resources)
    had = _effective(before, lambda s: _wide(s.resources) or s.not_resources)
    unconditional = _effective(after, lambda s: (_wide(s.resources) or s.not_resources) and not s.conditions)
    paths = [name for name, bits in escalations() if all(b & everything for b in bits) and not all(b & had for b in bits)]
    credentials, data = _secrets()
    message = f"may newly call {show(shown_gains)}"
    if everything.bit_count() > 0.8 * table().size and had.bit_count() <= 0.8 * table().size:
        kind, severity = Kind.ADMIN, CRITICAL if unconditional.bit_count() > 0.8 * table().size else HIGH
        message = "may newly do nearly everything in the account" if everything != table().all else "may newly do everything in the account"
    elif not mask("iam:*") & ~everything and mask("iam:*") & ~had:
        kind, severity = Kind.ADMIN, CRITICAL
        message = "may newly give itself any permission (every action of IAM)"
    elif paths:
        kind = Kind.ESCALATION
        direct = any(len(bits) == 1 and bits[0] & mask("iam:*") for name, bits in escalations() if name in paths)
        severity = CRITICAL if direct and not worst.conditions else HIGH
        shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        message = f"can newly reach the permissions of others ({shown}): {show(shown_gains)}"
    elif (new & (credentials | data)) and (word == "secret" or (worst.reason is Reason.ACTION and new & credentials)):
        kind = Kind.SECRETS
        message = f"may newly read secrets, credentials or stored data: {show(shown_gains)}"
    elif all(gain.reason is Reason.CONDITION for gain in gains):
        kind = Kind.CONDITION
        severity = max(severity, MODERATE if severity is LOW else HIGH, key=lambda s: s.rank)
        message = f"may call {show(shown_gains)} without the conditions that held before"
    if fresh and kind not in (Kind.ADMIN, Kind.ESCALATION):
        severity = severity.step(-1)
    yield Verdict(kind, severity, _sure(gains, before), worst.statement.line, _shown_before(before, worst), show(shown_gains), message)


def _effective(statements: Iterable[Statement], chosen: object) -> int:
    allowed = denied = 0
    for statement in statements:
        if statement.allow and chosen(statement):  # type: ignore[operator]
            allowed |= statement.set.bits
        elif not statement.allow and not statement.conditions and "*" in statement.resources and not statement.not_resources:
            denied |= statement.set.bits
    return allowed & ~denied


def _wide(resources: Iterable[str]) -> bool:
    return any(broad(resource) for resource in resources)


def _weigh(gain: Gain) -> tuple[Severity, str]:
    """How bad a gain is by itself, and a word for why."""
    bits = gain.actions.bits
    wide = broad(gain.resource)
    levels = level_of(bits)
    credentials, data = _secrets()
    scoped = bool(gain.conditions)
    if bits & _bits(_PASS):
        return (HIGH if wide and not scoped else MODERATE), "pass"
    if gain.actions.inverted:
        return HIGH, "all but"
    if bits & _bits(_LOSSES) or bits & _bits(_GUARDS):
        return (HIGH if wide and not scoped and bits & _bits(_LOSSES) else MODERATE), "loss"
    if "permissions management" in levels:
        return (HIGH if wide and not scoped else MODERATE), "permissions"
    if bits & (credentials | data):
        if wide and not scoped:
            return HIGH, "secret"
        secret = bits & (credentials | _bits(("secretsmanager:*", "iam:*")))
        return (MODERATE if secret else LOW), "secret" if secret else "data"
    if "write" in levels:
        services = {name.partition(":")[0] for name in names_of(levels["write"], 12)}
        if services <= _QUIET:
            return LOW, "write"
        whole = any(name.endswith(":*") for name in names_of(bits, 12))
        if wide and whole and not scoped:
            return HIGH, "write"
        return (MODERATE if wide and not scoped else LOW), "write"
    strange = any(not opaque(extra) for extra in unknown(gain.actions))
    return (MODERATE if strange and wide else LOW), "read"


def _granted(before: Sequence[Statement], found: Comparison, setting: Setting, fresh: bool) -> Iterable[Verdict]:
    """Trust and resource policies: who is new comes first, then what the known ones may newly do."""
    people = [
        gain for gain in found.gains if gain.principal is not None and (gain.reason is Reason.PRINCIPAL or fresh or _stranger(gain, found))
    ]
    rest = [gain for gain in found.gains if gain not in people]
    public = [
        gain
        for gain in found.gains
        if gain.principal is not None and gain.principal.anyone and (gain in people or gain.reason is Reason.CONDITION)
    ]
    federated = [gain for gain in found.gains if gain.principal is not None and gain.principal.kind == "Federated"]
    if public:
        gain = public[0]
        bounded = [c for c in gain.conditions if _bounding(c)]
        if not bounded or not fresh:
            yield Verdict(
                Kind.PUBLIC, (HIGH if gain.conditions else CRITICAL) if not bounded else MODERATE, _sure(public), gain.statement.line, None,
                f"anyone: {show(public)}",
                f"{'can be assumed by anyone' if setting is Setting.TRUST else f'lets anyone call {show(public)}'}{' under conditions' if gain.conditions else ''}",
            )  # fmt: skip
    if federated:
        yield from _federated(federated, fresh)
    named = [gain for gain in people if gain not in public and gain not in federated]
    graded = [(severity, gain) for gain in named if (severity := _person(gain, setting, fresh)) is not None]
    if graded:
        severity, gain = max(graded, key=lambda pair: pair[0].rank)
        who = sorted({str(g.principal) for _, g in graded})
        names = ", ".join(who[:3]) + (f" and {len(who) - 3} more" if len(who) > 3 else "")
        verb = "assume it" if setting is Setting.TRUST else "call " + show([g for _, g in graded])
        yield Verdict(
            Kind.PRINCIPAL, severity, _sure([g for _, g in graded]), gain.statement.line, None, names, f"newly lets {names} {verb}"
        )
    rest = [gain for gain in rest if gain not in public and gain not in federated and not fresh]
    if rest:
        worst = max(rest, key=lambda g: _weigh(g)[0].rank)
        conditions = all(gain.reason is Reason.CONDITION for gain in rest)
        severity = max(_weigh(worst)[0], HIGH if conditions else LOW, key=lambda s: s.rank)
        outside = any(g.principal is not None and g.principal.kind == "Service" for g in rest)
        if conditions and outside and all(g.principal is not None and g.principal.kind == "Service" for g in rest):
            severity = MODERATE
        named_before = {who for s in before for who in s.principals}
        if conditions and all(g.principal is not None and not g.principal.anyone and g.principal not in named_before for g in rest):
            severity = MODERATE  # one named principal where anyone under a condition was let in
        yield Verdict(
            Kind.CONDITION if conditions else Kind.ACCESS, severity, _sure(rest), worst.statement.line, None, show(rest),
            f"{'can be assumed by those it names' if setting is Setting.TRUST else f'lets those it names call {show(rest)}'}{' without the conditions that held before' if conditions else ''}",
        )  # fmt: skip


def _stranger(gain: Gain, found: Comparison) -> bool:
    return gain.reason is Reason.ACTION and gain.principal == ANYONE


_BOUNDS = frozenset(
    {
        "aws:principalorgid", "aws:principalorgpaths", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceaccount", "aws:sourcearn", "aws:principalaccount", "aws:principalarn",
        "aws:sourceip", "aws:sourceorgid", "aws:sourceorgpaths", "kms:calleraccount", "aws:sourceowner", "elasticfilesystem:accessedviamounttarget",
    }
)  # fmt: skip
"""Condition keys that keep strangers out (docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html, "the meaning of public")."""


def _bounding(condition: Condition) -> bool:
    if condition.key not in _BOUNDS or "not" in condition.operator or condition.operator.startswith("forallvalues"):
        return False
    return not any(value in ("*", "0.0.0.0/0", "::/0", "") for value in condition.values)


def _person(gain: Gain, setting: Setting, fresh: bool) -> Severity | None:
    """How bad a new principal is; None for one that says nothing new of itself (the service a new role is for)."""
    who = gain.principal
    assert who is not None
    if who.kind == "Service":
        if fresh:
            return None
        return MODERATE if setting is Setting.TRUST else LOW
    account = who.account
    home = account is None or opaque(account)
    if home and not opaque(who.name) and who.kind == "AWS" and not who.name.startswith("arn:"):
        home = True
    if home:
        return None if fresh else MODERATE
    return MODERATE if fresh else HIGH


def _federated(gains: list[Gain], fresh: bool) -> Iterable[Verdict]:
    worst = max(gains, key=lambda gain: _claim(gain).rank)
    severity = _claim(worst)
    claims = [c for c in worst.conditions if c.key.endswith(":sub")]
    shown = "; ".join(sorted(value for c in claims for value in c.values)[:3]) or "no subject condition"
    if fresh and severity is HIGH:
        severity = MODERATE
    provider = str(worst.principal)
    yield Verdict(
        Kind.FEDERATION,
        severity,
        _sure(gains),
        worst.statement.line,
        None,
        shown,
        f"newly lets tokens of {provider} in with subject: {shown}",
    )


def _claim(gain: Gain) -> Severity:
    """A federated trust: critical without a subject or with an open one, high where a whole repository may, moderate where it is pinned."""
    subjects = [c for c in gain.conditions if c.key.endswith(":sub") and "not" not in c.operator and not c.operator.endswith("ifexists")]
    name = gain.principal.name if gain.principal else ""
    if not subjects:
        return CRITICAL if "token.actions.githubusercontent.com" in name or "gitlab" in name else HIGH
    values = [value for c in subjects if "like" in c.operator for value in c.values]
    for value in values:
        match = re.match(r"repo:([^:]*)(?::(.*))?\Z", value)
        if value.strip("*") == "" or (match and ("*" in match.group(1))) or (not match and value.startswith("*")):
            return CRITICAL
    if any(value.rpartition(":")[2].strip("*") == "" or value.endswith(("refs/heads/*", "pull_request")) for value in values):
        return HIGH
    if any(value.endswith("pull_request") for c in subjects for value in c.values):
        return HIGH
    return MODERATE


def _lockout(before: tuple[Statement, ...], after: tuple[Statement, ...]) -> Iterable[Verdict]:
    def shut(statements: Iterable[Statement]) -> list[Statement]:
        keys = (
            "s3:PutBucketPolicy",
            "kms:PutKeyPolicy",
            "secretsmanager:PutResourcePolicy",
            "sqs:SetQueueAttributes",
            "sns:SetTopicAttributes",
        )
        whole = ("*", "s3:*", "kms:*", "secretsmanager:*", "sqs:*", "sns:*")
        return [
            s for s in statements
            if not s.allow and not s.conditions and ANYONE in s.principals and not s.not_principals
            and (set(s.actions) & set(whole) or any(mask(k) & s.set.bits and s.actions == (k.lower(),) for k in keys))
        ]  # fmt: skip

    def keepers(statements: Iterable[Statement]) -> list[Statement]:
        """Who may write the policy of a key anew: without one, the key stays as it is for ever (docs.aws.amazon.com/kms, "Default key policy")."""
        return [
            s for s in statements if s.allow and (s.unsure or mask("kms:PutKeyPolicy") & s.set.bits or any(opaque(a) for a in s.actions))
        ]

    of_a_key = bool(after) and all(action.startswith("kms:") for s in (*before, *after) for action in s.actions)
    if of_a_key and keepers(before) and not keepers(after):
        yield Verdict(
            Kind.LOCKOUT, CRITICAL, Confidence.CERTAIN, after[0].line, None, "nobody may call kms:PutKeyPolicy",
            "lets nobody change the key's policy any more, not even the account itself, so that only AWS support can",
        )  # fmt: skip
    new = [s for s in shut(after) if s not in shut(before)]
    if new and not shut(before):
        yield Verdict(
            Kind.LOCKOUT, CRITICAL, Confidence.CERTAIN, new[0].line, None, "Deny to everyone without a condition",
            "denies everyone, its own administrators included, so that nobody but AWS support can change it back",
        )  # fmt: skip


def _sure(gains: Iterable[Gain], before: Sequence[Statement] = ()) -> Confidence:
    gains = list(gains)
    if any(gain.statement.unsure for gain in gains):
        return Confidence.POSSIBLE
    if all(gain.reason is Reason.RESOURCE and opaque(gain.resource) for gain in gains):
        return Confidence.LIKELY
    return Confidence.CERTAIN


def show(gains: Sequence[Gain]) -> str:
    """A few of the actions, the level they reach, and the resources: `s3:GetObject, s3:PutObject on arn:aws:s3:::shop/*`."""
    bits = 0
    extras: set[str] = set()
    inverted = False
    for gain in gains:
        bits |= gain.actions.bits
        extras |= unknown(gain.actions) if not gain.actions.inverted else set()
        inverted |= gain.actions.inverted
    levels = level_of(bits)
    credentials, data = _secrets()
    ranked = (
        bits & _bits(_PASS),
        levels.get("permissions management", 0),
        bits & credentials,
        bits & _bits(_LOSSES),
        bits & _bits(_GUARDS),
        bits & data,
        levels.get("write", 0),
        levels.get("tagging", 0),
        levels.get("read", 0),
        bits,
    )
    names: list[str] = []
    if bits == table().all:
        names = ["*"]
    else:
        for part in ranked:
            names.extend(name for name in names_of(part, 4) if name not in names)
    names.extend(sorted(extras))
    total = bits.bit_count() + len(extras)
    text = ", ".join(names[:4]) or ("every action but a few" if inverted else "")
    if len(names) > 4 or (total > 4 and len(names) >= 4 and not text.endswith("*")):
        text += f" and more ({total} in all)"
    places = sorted({gain.resource for gain in gains})
    where = "everything" if "*" in places else ", ".join(places[:2]) + (f" and {len(places) - 2} more" if len(places) > 2 else "")
    return f"{text} on {where}"


def _shown_before(before: Sequence[Statement], gain: Gain) -> str | None:
    if gain.reason is Reason.RESOURCE:
        places = sorted({r for s in before if s.allow and s.set.bits & gain.actions.bits for r in s.resources})
        return "on " + ", ".join(places[:3]) if places else None
    if gain.reason is Reason.CONDITION:
        met = sorted({str(c) for s in before if s.allow and s.set.bits & gain.actions.bits for c in s.conditions})
        return "if " + " and ".join(met[:3]) if met else None
    return None


# Managed policies --------------------------------------------------------------------------------------------------------------------

_MANAGED: dict[str, tuple[Severity, str]] = {
    "AdministratorAccess": (CRITICAL, "everything in the account"),
    "IAMFullAccess": (CRITICAL, "any permission, by giving it to itself"),
    "PowerUserAccess": (CRITICAL, "everything but users, roles and the organisation"),
    "AWSOrganizationsFullAccess": (CRITICAL, "the whole organisation"),
    "AWSSSOMasterAccountAdministrator": (CRITICAL, "who may enter which account"),
    "ReadOnlyAccess": (MODERATE, "all configuration and stored data, for reading"),
    "SecretsManagerReadWrite": (HIGH, "every secret"),
    "AmazonSSMFullAccess": (HIGH, "commands on every machine and all parameters"),
    "AWSLambda_FullAccess": (HIGH, "the code of every function"),
    "AWSCloudFormationFullAccess": (HIGH, "every stack"),
    "AmazonEC2FullAccess": (HIGH, "every machine and network"),
    "AmazonS3FullAccess": (HIGH, "every bucket and all objects"),
    "AmazonRDSFullAccess": (HIGH, "every database"),
    "AmazonDynamoDBFullAccess": (HIGH, "every table"),
    "AWSKeyManagementServicePowerUser": (HIGH, "keys"),
    "AmazonVPCFullAccess": (HIGH, "every network"),
    "DatabaseAdministrator": (HIGH, "every database"),
    "SystemAdministrator": (HIGH, "machines and operations"),
    "NetworkAdministrator": (HIGH, "every network"),
    "ViewOnlyAccess": (LOW, "what exists, not its contents"),
    "SecurityAudit": (LOW, "configuration, for reading"),
}
"""The managed policies that matter most; the others are judged by their names (docs.aws.amazon.com/aws-managed-policy/latest/reference)."""


def managed(arn: str) -> tuple[str, Severity, str]:
    """A managed policy by ARN or name: its short name, how bad it is to attach it, and what it opens."""
    if "${" in arn and not arn.startswith("arn:"):
        return re.sub(r"\A\$\{([^{}]*)\}\Z", r"\1", arn), LOW, "what that policy allows"
    name = arn.rpartition("/")[2] if ":" in arn or "/" in arn else arn
    if name in _MANAGED:
        return (name, *_MANAGED[name])
    if "service-role/" in arn:
        return name, LOW, "what its service needs"
    if re.search(r"ReadOnly|ReadAccess|Viewer", name):
        return name, LOW, "a service, for reading"
    if re.search(r"FullAccess|Administrator|Admin\b|PowerUser", name):
        return name, MODERATE, "all of a service"
    return name, LOW, "what that policy allows"


__all__ = ["Kind", "Principal", "Setting", "Verdict", "broad", "escalations", "grade", "managed", "show"]
