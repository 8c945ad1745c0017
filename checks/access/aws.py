"""What one AWS policy newly allows over another: a set difference, never a guess that nothing changed.

A policy is a list of `Statement`s as plain values. Each Allow is cut into atoms (one resource, one principal, one combination of condition
values); an atom keeps the actions that no Allow of the other side surely gives: its principals, resources and conditions must cover the atom's.
A Deny that the other side had and this one lacks is compared in the same way. Where it is not certain that something was allowed before, it
counts as new; so "nothing new" is never said wrongly, and something new may be said of two policies that differ only in how they say it.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and reference_policies_elements_condition_operators.html.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import product

from checks.access.actions import Actions, actions_of, table
from checks.access.globs import covers, opaque, overlap

COMBINATIONS = 64
"""Combinations of condition values one statement is cut into; with more, they are compared as sets."""
ATOMS = 20_000
"""Atoms of one comparison; what is beyond is compared whole."""


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """Who: `AWS`, `Service`, `Federated` or `CanonicalUser`, and the name."""

    kind: str
    name: str

    @property
    def anyone(self) -> bool:
        return self.name == "*"

    @property
    def account(self) -> str | None:
        """The account's number, or the reference that stands for it."""
        match = re.match(r"(?:arn:[^:]*:[^:]*::)?([0-9]{12}|\$\{[^{}]*\})(?:\Z|:)", self.name) if self.kind == "AWS" else None
        return match.group(1) if match else None

    @property
    def whole_account(self) -> bool:
        return self.kind == "AWS" and (self.name.endswith(":root") or self.name.isdigit())

    def __str__(self) -> str:
        return "anyone" if self.anyone else self.name


ANYONE = Principal("AWS", "*")


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, with its values (any of them)."""

    operator: str
    """Lower case, with `forallvalues:`, `foranyvalue:` and `ifexists` as written."""
    key: str
    """Lower case."""
    values: frozenset[str]

    def __str__(self) -> str:
        return f"{self.operator} {self.key} = {', '.join(sorted(self.values)[:4])}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, as values. Empty `principals` with `resource_policy` false: whoever the policy is attached to."""

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    principals: tuple[Principal, ...] = ()
    conditions: frozenset[Condition] = frozenset()
    not_actions: bool = False
    not_resources: bool = False
    not_principals: bool = False
    sid: str = ""
    line: int = 0
    unsure: bool = False
    """Part of it could not be read: what it allows is at least this."""

    @property
    def set(self) -> Actions:
        return actions_of(self.actions, self.not_actions)

    @property
    def opaque(self) -> bool:
        """Whether something in it is known by its name alone."""
        return self.unsure or any(opaque(text) for text in (*self.actions, *self.resources, *(p.name for p in self.principals)))


class Reason(StrEnum):
    """Why an atom was not allowed before."""

    ACTION = "action"
    RESOURCE = "resource"
    PRINCIPAL = "principal"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True)
class Gain:
    """Actions newly allowed (or no longer denied) on a resource to a principal under conditions."""

    actions: Actions
    resource: str
    principal: Principal | None
    conditions: frozenset[Condition]
    reason: Reason
    statement: Statement

    @property
    def unbounded(self) -> bool:
        return self.resource == "*"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What head allows and base does not, and the reverse."""

    gains: tuple[Gain, ...] = ()
    undenied: tuple[Gain, ...] = ()
    """What base denied and head does not."""

    @property
    def widened(self) -> bool:
        return bool(self.gains or self.undenied)


def compare(base: Sequence[Statement], head: Sequence[Statement]) -> Comparison:
    """What `head` newly allows over `base`. Equal policies give nothing."""
    base = tuple(dict.fromkeys(normal(statement) for statement in base))
    head = tuple(dict.fromkeys(normal(statement) for statement in head))
    keys = {_key(statement) for statement in base}
    fresh = [statement for statement in head if _key(statement) not in keys]
    stay = {_key(statement) for statement in head}
    lost = [statement for statement in base if _key(statement) not in stay]
    allowed, _ = _split(base)
    _, denies = _split(head)
    gains = [gain for statement in fresh if statement.allow for gain in _uncovered(statement, allowed, denies)]
    undenied = [gain for statement in lost if not statement.allow for gain in _uncovered(statement, denies, [])]
    return Comparison(tuple(gains), tuple(undenied))


def narrowed(base: Sequence[Statement], head: Sequence[Statement]) -> bool:
    """Whether head allows less than base (it may allow more as well)."""
    return compare(head, base).widened


def _key(statement: Statement) -> Statement:
    return replace(statement, sid="", line=0)


def _split(statements: Iterable[Statement]) -> tuple[list[Statement], list[Statement]]:
    allows: list[Statement] = []
    denies: list[Statement] = []
    for statement in statements:
        (allows if statement.allow else denies).append(statement)
    return allows, denies


_PARTITION = re.compile(r"\Aarn:(?:aws|aws-cn|aws-us-gov|\$\{[^{}]*[Pp]artition[^{}]*\}):")


@lru_cache(maxsize=16384)
def _arn(text: str) -> str:
    """One spelling for the partition: a policy lives in one, so naming it or asking for it is the same."""
    return _PARTITION.sub("arn:aws:", text)


_SUFFIX = re.compile(r"\.(?:amazonaws\.com(?:\.cn)?|\$\{[^{}]*(?:URLSuffix|dns_suffix)[^{}]*\})\Z")


@lru_cache(maxsize=8192)
def principal(kind: str, name: str) -> Principal:
    """A principal in one spelling: an account's number is its root, any AWS principal is anyone, a service has one suffix."""
    if name == "*":
        return ANYONE
    if kind == "Service":
        return Principal(kind, _SUFFIX.sub(".amazonaws.com", name))
    if kind == "AWS":
        name = _arn(name)
        if re.fullmatch(r"[0-9]{12}|\$\{[^{}]*\}", name) and (name.isdigit() or "account" in name.lower()):
            return Principal(kind, f"arn:aws:iam::{name}:root")
    return Principal(kind, name)


def normal(statement: Statement) -> Statement:
    """`statement` in one spelling: order, case, partitions and repeated values do not matter."""
    return replace(
        statement,
        actions=tuple(sorted({action.lower() if "${" not in action else action for action in statement.actions})),
        resources=_reduced(tuple(sorted({_arn(resource) for resource in statement.resources}))),
        principals=tuple(sorted({principal(p.kind, p.name) for p in statement.principals})),
        conditions=frozenset(map(_condition, statement.conditions)),
    )


def _condition(condition: Condition) -> Condition:
    """In one spelling; likeness to texts without wildcards is equality."""
    operator = condition.operator.lower()
    values = frozenset(map(_arn, condition.values))
    if "string" in operator and not any("*" in value or "?" in value for value in values):
        operator = operator.replace("stringlike", "stringequals").replace("stringnotlike", "stringnotequals")
    return Condition(operator, condition.key.lower(), values)


def _reduced(resources: tuple[str, ...]) -> tuple[str, ...]:
    return ("*",) if "*" in resources or "arn:aws:*" in resources or "arn:*" in resources else resources


@dataclass(frozen=True, slots=True)
class _Atom:
    resource: str | None
    """None: all but the statement's resources."""
    who: Principal | None
    """None: no principals are named, or all but those named."""
    conditions: frozenset[Condition]


def _atoms(statement: Statement) -> Iterator[_Atom]:
    resources: tuple[str | None, ...] = (None,) if statement.not_resources else statement.resources
    people: tuple[Principal | None, ...] = (None,) if statement.not_principals or not statement.principals else statement.principals
    whole = (statement.conditions,)
    combinations: Iterable[frozenset[Condition]] = tuple(_combinations(statement.conditions)) or whole
    if len(resources) * len(people) * len(tuple(combinations)) > ATOMS:
        combinations = whole
    for resource, who, conditions in product(resources, people, combinations):
        yield _Atom(resource, who, conditions)


def _combinations(conditions: frozenset[Condition]) -> Iterator[frozenset[Condition]]:
    """The conditions with one value each: several values of one positive operator are alternatives."""
    many = [c for c in conditions if len(c.values) > 1 and _alternatives(c.operator)]
    size = 1
    for condition in many:
        size *= len(condition.values)
    if not many or size > COMBINATIONS:
        yield conditions
        return
    rest = conditions - set(many)
    for values in product(*([replace(c, values=frozenset({value})) for value in sorted(c.values)] for c in many)):
        yield rest | frozenset(values)


def _alternatives(operator: str) -> bool:
    return "not" not in operator and not operator.startswith("forallvalues:") and not operator.startswith("null")


def _uncovered(statement: Statement, givers: Sequence[Statement], deniers: Sequence[Statement]) -> Iterator[Gain]:
    """What of `statement` no giver gives and no denier takes back, atom by atom; atoms with the same result are shown once."""
    whole = statement.set
    for atom in _atoms(statement):
        rest = _fitting(whole, atom.resource)
        for giver in givers:
            if not rest:
                break
            if _covered(statement, atom, giver):
                rest = rest.minus(giver.set)
        for denier in deniers:
            if not rest:
                break
            if _covered(statement, atom, denier):
                rest = rest.minus(denier.set)
        if rest:
            yield Gain(
                rest,
                atom.resource if atom.resource is not None else "*",
                atom.who if atom.who is not None or not statement.not_principals else ANYONE,
                atom.conditions,
                _reason(statement, atom, rest, givers),
                statement,
            )


_OWN = frozenset({"s3", "dynamodb", "sqs", "sns", "kms", "secretsmanager", "kinesis", "logs", "ecr", "iam", "lambda", "states"})
"""Services whose actions take only their own ARNs (Service Authorization Reference): `s3:GetObject` on a key's ARN allows nothing."""
_FOREIGN = re.compile(r"\Aarn:aws:([a-z0-9-]+):")


@lru_cache(maxsize=4096)
def _foreign(service: str) -> int:
    return sum(table().services[name].mask for name in _OWN if name != service and name in table().services)


def _fitting(actions: Actions, resource: str | None) -> Actions:
    """Without the actions that cannot apply to a resource of this service."""
    match = _FOREIGN.match(resource) if resource else None
    if match is None or match.group(1) not in _OWN:
        return actions
    return replace(actions, bits=actions.bits & ~_foreign(match.group(1)))


def _covered(
    statement: Statement, atom: _Atom, giver: Statement, *, resource: bool = True, who: bool = True, conditions: bool = True
) -> bool:
    return (
        (not resource or _resource_covered(statement, atom.resource, giver))
        and (not who or _principal_covered(statement, atom.who, giver))
        and (not conditions or _implied(atom.conditions, giver.conditions))
    )


def _resource_covered(statement: Statement, resource: str | None, giver: Statement) -> bool:
    if resource is None:
        if giver.not_resources:
            return all(any(covers(mine, theirs) for mine in statement.resources) for theirs in giver.resources)
        return "*" in giver.resources
    if giver.not_resources:
        return not any(overlap(resource, theirs) for theirs in giver.resources)
    return any(covers(theirs, resource) for theirs in giver.resources)


def _principal_covered(statement: Statement, who: Principal | None, giver: Statement) -> bool:
    if not giver.principals:
        return not statement.principals
    if who is None and not statement.principals:
        return False
    if who is None:
        if giver.not_principals:
            return all(any(_person_covers(mine, theirs) for mine in statement.principals) for theirs in giver.principals)
        return ANYONE in giver.principals
    if giver.not_principals:
        return not who.anyone and not any(_person_overlaps(who, theirs) for theirs in giver.principals)
    return any(_person_covers(theirs, who) for theirs in giver.principals)


def _person_covers(wide: Principal, narrow: Principal) -> bool:
    if wide.anyone or wide == narrow:
        return True
    return wide.whole_account and wide.account is not None and wide.account == narrow.account


def _person_overlaps(one: Principal, other: Principal) -> bool:
    if one.anyone or other.anyone or _person_covers(one, other) or _person_covers(other, one):
        return True
    return opaque(one.name) or opaque(other.name)


def _reason(statement: Statement, atom: _Atom, rest: Actions, givers: Sequence[Statement]) -> Reason:
    """The one thing whose change makes the difference, the mildest explanation first."""
    for reason, skip in (
        (Reason.CONDITION, {"conditions": False}),
        (Reason.RESOURCE, {"resource": False}),
        (Reason.PRINCIPAL, {"who": False}),
        (Reason.RESOURCE, {"resource": False, "conditions": False}),
        (Reason.PRINCIPAL, {"who": False, "conditions": False, "resource": False}),
    ):
        left = rest
        for giver in givers:
            if left and _covered(statement, atom, giver, **skip):
                left = left.minus(giver.set)
        if not left:
            return reason
    return Reason.ACTION


# Conditions ---------------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16384)
def _implied(narrow: frozenset[Condition], wide: frozenset[Condition]) -> bool:
    """Whether every request that meets `narrow` meets `wide`: each condition of `wide` must follow from one of `narrow`."""
    return all(any(_follows(mine, theirs) for mine in narrow) for theirs in wide)


@dataclass(frozen=True, slots=True)
class _Operator:
    base: str
    quantifier: str
    if_exists: bool


_ALIASES = {"arnequals": "arnlike", "arnnotequals": "arnnotlike"}


@lru_cache(maxsize=512)
def _operator(text: str) -> _Operator:
    quantifier, _, base = text.rpartition(":")
    if_exists = base.endswith("ifexists")
    base = base.removesuffix("ifexists")
    return _Operator(_ALIASES.get(base, base), quantifier, if_exists)


_GLOBBED = frozenset({"stringlike", "stringnotlike", "arnlike", "arnnotlike"})


def _follows(mine: Condition, theirs: Condition) -> bool:
    """Whether `mine` being met means `theirs` is met."""
    if mine == theirs:
        return True
    if mine.key != theirs.key:
        return False
    a, b = _operator(mine.operator), _operator(theirs.operator)
    if a.quantifier != b.quantifier or (a.if_exists and not b.if_exists):
        return False
    if a.base == "null" or b.base == "null":
        return a.base == b.base and _words(mine.values) == _words(theirs.values) and len(_words(mine.values)) == 1
    negative = "not" in a.base
    if negative != ("not" in b.base):
        return False
    if a.base != b.base and (a.base, b.base) not in _SOFTER:
        return False
    if negative:
        return all(any(_value_covers(a.base, x, y) for x in mine.values) for y in theirs.values)
    if a.base.endswith(("lessthan", "lessthanequals", "greaterthan", "greaterthanequals")):
        return _ordered(a.base, mine.values, theirs.values)
    return bool(mine.values) and all(any(_value_covers(b.base, y, x) for y in theirs.values) for x in mine.values)


_SOFTER = {
    ("stringequals", "stringlike"),
    ("stringequals", "stringequalsignorecase"),
    ("stringnotlike", "stringnotequals"),
    ("stringnotequalsignorecase", "stringnotequals"),
}
"""(stricter, softer): equality with a text without wildcards is a case of likeness."""


def _words(values: frozenset[str]) -> frozenset[str]:
    return frozenset(value.lower() for value in values)


def _value_covers(base: str, wide: str, narrow: str) -> bool:
    """Whether the value `wide` under operator `base` matches all that `narrow` does."""
    if wide == narrow:
        return True
    if base in _GLOBBED:
        return covers(wide, narrow)
    if base in ("stringequalsignorecase", "stringnotequalsignorecase", "bool"):
        return wide.lower() == narrow.lower()
    if base in ("ipaddress", "notipaddress"):
        return _network_covers(wide, narrow)
    return False


def _network_covers(wide: str, narrow: str) -> bool:
    try:
        over, under = ipaddress.ip_network(wide, strict=False), ipaddress.ip_network(narrow, strict=False)
    except ValueError:
        return False
    if isinstance(over, ipaddress.IPv4Network) and isinstance(under, ipaddress.IPv4Network):
        return under.subnet_of(over)
    if isinstance(over, ipaddress.IPv6Network) and isinstance(under, ipaddress.IPv6Network):
        return under.subnet_of(over)
    return False


def _ordered(base: str, mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """For a limit: mine is at least as tight. Only for one plain number each; dates as ISO text of the same length."""
    if len(mine) != 1 or len(theirs) != 1:
        return False
    (a,), (b,) = mine, theirs
    if base.startswith("numeric"):
        try:
            x, y = float(a), float(b)
        except ValueError:
            return False
        return x <= y if "less" in base else x >= y
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", a) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b):
        return a <= b if "less" in base else a >= b
    return False
