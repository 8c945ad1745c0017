"""The calculus of AWS policies: never "nothing new" when something is newly allowed."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.access.actions import Actions, level_of, mask, names_of, table
from checks.access.aws import ANYONE, Condition, Principal, Reason, Statement, compare, narrowed
from checks.access.globs import covers, overlap


def allow(actions: str, resources: str = "*", **rest: object) -> Statement:
    return Statement(True, tuple(actions.split()), tuple(resources.split()), **rest)  # type: ignore[arg-type]


def deny(actions: str, resources: str = "*", **rest: object) -> Statement:
    return Statement(False, tuple(actions.split()), tuple(resources.split()), **rest)  # type: ignore[arg-type]


def when(operator: str, key: str, *values: str) -> frozenset[Condition]:
    return frozenset({Condition(operator, key, frozenset(values))})


def test_the_table_holds_every_action_once() -> None:
    """17,752 actions of 409 services, each with one access level."""
    assert table().size == 17_752
    assert sum(bits.bit_count() for bits in level_of(table().all).values()) == table().size
    assert names_of(mask("s3:GetObject")) == ["s3:GetObject"]
    assert names_of(mask("SQS:*")) == ["sqs:*"]


BUCKET = "arn:aws:s3:::shop"
NARROWER = {
    "the same, reordered": ([allow("s3:GetObject s3:PutObject")], [allow("s3:PutObject s3:getobject")]),
    "two actions in place of a wildcard": ([allow("s3:Put*")], [allow("s3:PutObject s3:PutObjectAcl")]),
    "a resource in place of all": ([allow("s3:*")], [allow("s3:*", BUCKET)]),
    "a prefix of the same bucket": ([allow("s3:GetObject", "arn:aws:s3:::shop/*")], [allow("s3:GetObject", "arn:aws:s3:::shop/a/*")]),
    "the partition as a reference": ([allow("s3:GetObject", BUCKET)], [allow("s3:GetObject", "arn:${AWS::Partition}:s3:::shop")]),
    "a condition added": ([allow("s3:*")], [allow("s3:*", conditions=when("Bool", "aws:MultiFactorAuthPresent", "true"))]),
    "fewer values": ([allow("s3:*", conditions=when("StringEquals", "aws:PrincipalOrgID", "o-1", "o-2"))], [allow("s3:*", conditions=when("StringEquals", "aws:PrincipalOrgID", "o-1"))]),
    "equality in place of likeness": ([allow("s3:*", conditions=when("StringLike", "a:b", "x*"))], [allow("s3:*", conditions=when("StringEquals", "a:b", "xy"))]),
    "a smaller network": ([allow("s3:*", conditions=when("IpAddress", "aws:SourceIp", "10.0.0.0/8"))], [allow("s3:*", conditions=when("IpAddress", "aws:SourceIp", "10.1.0.0/16"))]),
    "split in two": ([allow("s3:GetObject sqs:SendMessage")], [allow("s3:GetObject"), allow("sqs:SendMessage")]),
    "two conditions joined": (
        [allow("s3:*", conditions=when("StringEquals", "a:b", "x")), allow("s3:*", conditions=when("StringEquals", "a:b", "y"))],
        [allow("s3:*", conditions=when("StringEquals", "a:b", "x", "y"))],
    ),
    "joined, and each service's actions fit its own resources only": (
        [allow("s3:GetObject", "arn:aws:s3:::shop/*"), allow("kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:key/1")],
        [allow("s3:GetObject kms:Decrypt", "arn:aws:s3:::shop/* arn:aws:kms:eu-west-1:111122223333:key/1")],
    ),
    "a Deny added": ([allow("s3:*")], [allow("s3:*"), deny("s3:DeleteBucket")]),
    "a wider Deny": ([allow("*"), deny("s3:DeleteBucket")], [allow("*"), deny("s3:Delete*")]),
    "NotAction gains an exception": ([allow("iam:*", not_actions=True)], [allow("iam:* organizations:*", not_actions=True)]),
    "a role of an account that was trusted whole": (
        [allow("sts:AssumeRole", principals=(Principal("AWS", "111122223333"),))],
        [allow("sts:AssumeRole", principals=(Principal("AWS", "arn:aws:iam::111122223333:role/deploy"),))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NARROWER)
def test_narrowing_is_not_widening(name: str) -> None:
    """What only takes access away, or says the same in other words, is not new; the reverse is seen."""
    base, head = NARROWER[name]
    assert not compare(base, head).widened
    same = {"the same, reordered", "the partition as a reference", "split in two", "two conditions joined"}
    assert narrowed(base, head) == (name not in same and not name.startswith("joined"))


WIDER = {
    "an action": ([allow("s3:GetObject")], [allow("s3:GetObject s3:DeleteObject")], Reason.ACTION),
    "an action of a service that is not in the table": ([allow("nova:Get*")], [allow("nova:Get* nova:Put*")], Reason.ACTION),
    "a resource": ([allow("s3:GetObject", "arn:aws:s3:::a/*")], [allow("s3:GetObject", "arn:aws:s3:::*")], Reason.RESOURCE),
    "another reference": ([allow("s3:GetObject", "${A.Arn}")], [allow("s3:GetObject", "${B.Arn}")], Reason.RESOURCE),
    "a condition dropped": ([allow("s3:*", conditions=when("Bool", "aws:SecureTransport", "true"))], [allow("s3:*")], Reason.CONDITION),
    "IfExists": ([allow("s3:*", conditions=when("StringEquals", "a:b", "x"))], [allow("s3:*", conditions=when("StringEqualsIfExists", "a:b", "x"))], Reason.CONDITION),
    "a negative list shortened": ([allow("s3:*", conditions=when("StringNotEquals", "a:b", "x", "y"))], [allow("s3:*", conditions=when("StringNotEquals", "a:b", "x"))], Reason.CONDITION),
    "a principal": ([allow("sts:AssumeRole", principals=(Principal("Service", "lambda.amazonaws.com"),))], [allow("sts:AssumeRole", principals=(ANYONE,))], Reason.PRINCIPAL),
    "NotAction loses an exception": ([allow("iam:* sts:*", not_actions=True)], [allow("iam:*", not_actions=True)], Reason.ACTION),
    "NotResource": ([allow("s3:*", "arn:aws:s3:::a")], [allow("s3:*", "arn:aws:s3:::a", not_resources=True)], Reason.RESOURCE),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDER)
def test_widening_is_seen_with_its_reason(name: str) -> None:
    """Each way of allowing more is new, and the calculus says which part of the statement made it so."""
    base, head, reason = WIDER[name]
    assert {gain.reason for gain in compare(base, head).gains} == {reason}
    assert not compare(head, head).widened


def test_a_deny_that_goes_is_seen_even_without_an_allow() -> None:
    """Another policy may allow what only this Deny forbade."""
    (gain,) = compare([deny("s3:* sqs:*")], [deny("s3:*")]).undenied
    assert names_of(gain.actions.bits) == ["sqs:*"]


def test_an_unconditional_deny_is_taken_off_what_is_new() -> None:
    """What head allows and denies at once is not allowed."""
    assert not compare([], [allow("s3:DeleteBucket"), deny("s3:*")]).widened
    assert compare([], [allow("s3:DeleteBucket"), deny("s3:*", conditions=when("Bool", "a:b", "true"))]).widened


# An evaluator of its own: one request against one policy, straight from the documented evaluation logic. --------------------------------

ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "iam:PassRole", "sqs:SendMessage", "nova:Burst")
ACTION_PATTERNS = (*ACTIONS, "*", "s3:*", "s3:*Object", "s3:?etObject", "iam:*", "*:*", "nova:*", "S3:getobject")
RESOURCES = (
    "arn:aws:s3:::a/x",
    "arn:aws:s3:::a/y/z",
    "arn:aws:s3:::b/x",
    "arn:aws:sqs:eu-west-1:111122223333:q",
    "arn:aws:iam::111122223333:role/r",
)
RESOURCE_PATTERNS = (*RESOURCES, "*", "arn:aws:s3:::*", "arn:aws:s3:::a/*", "arn:aws:s3:::?/x", "arn:*:s3:::a/*", "arn:aws:*:*:*:*", "*x")
PEOPLE = (
    Principal("AWS", "arn:aws:iam::111122223333:role/r"),
    Principal("AWS", "arn:aws:iam::444455556666:user/u"),
    Principal("Service", "lambda.amazonaws.com"),
)
PEOPLE_PATTERNS = (*PEOPLE, ANYONE, Principal("AWS", "arn:aws:iam::111122223333:root"))
CONDITIONS = (
    ("StringEquals", "k:a", ("x", "y", "xy")),
    ("StringLike", "k:a", ("x*", "?", "*")),
    ("StringNotEquals", "k:a", ("x", "y")),
    ("StringNotLike", "k:a", ("x*", "y")),
    ("StringEqualsIfExists", "k:a", ("x", "y")),
    ("StringEqualsIgnoreCase", "k:a", ("X", "y")),
    ("Null", "k:a", ("true", "false")),
    ("Bool", "k:b", ("true", "false")),
    ("IpAddress", "k:i", ("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0")),
    ("NotIpAddress", "k:i", ("10.0.0.0/8", "10.1.0.0/16")),
    ("NumericLessThan", "k:n", ("5", "10")),
    ("NumericGreaterThanEquals", "k:n", ("5", "10")),
    ("ForAllValues:StringEquals", "k:m", ("x", "y")),
    ("ForAnyValue:StringEquals", "k:m", ("x", "y")),
    ("ForAllValues:StringNotEquals", "k:m", ("x", "y")),
    ("ForAnyValue:StringLike", "k:m", ("x*", "y")),
)  # fmt: skip
CONTEXTS = [
    {"k:a": a, "k:b": b, "k:i": i, "k:n": n, "k:m": m}
    for a in (None, "x", "y", "xy", "X")
    for b, i, n, m in ((None, None, None, None), ("true", "10.1.2.3", "4", ("x",)), ("false", "10.9.9.9", "7", ("x", "y")), ("true", "8.8.8.8", "12", ("z", "xq")), ("true", "10.1.2.3", "10", ()))
]  # fmt: skip


@cache
def like(pattern: str, text: str, flags: int = 0) -> bool:
    expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(expression, text, flags | re.DOTALL) is not None


def holds(operator: str, value: str, wanted: str) -> bool:
    positive = operator.replace("Not", "")
    if positive == "StringLike":
        met = like(wanted, value)
    elif positive == "StringEqualsIgnoreCase":
        met = wanted.lower() == value.lower()
    elif positive == "IpAddress":
        met = ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    elif positive == "NumericLessThan":
        met = float(value) < float(wanted)
    elif positive == "NumericGreaterThanEquals":
        met = float(value) >= float(wanted)
    else:
        met = value == wanted
    return met


def meets(condition: Condition, context: dict[str, object]) -> bool:
    quantifier, _, operator = condition.operator.rpartition(":")
    value = context[condition.key]
    if operator == "Null":
        return any((value is None) == (wanted == "true") for wanted in condition.values)
    bare = operator.removesuffix("IfExists")
    negative = "Not" in bare

    def one(item: str) -> bool:
        met = any(holds(bare, item, wanted) for wanted in condition.values)
        return not met if negative else met

    if quantifier:
        items = value or ()
        return all(map(one, items)) if quantifier == "ForAllValues" else any(map(one, items))
    if value is None:
        return negative or bare != operator
    return one(value)


def applies(statement: Statement, action: str, resource: str, who: Principal) -> bool:
    def person(named: Principal) -> bool:
        if named.name == "*" or named == who:
            return True
        return named.name.endswith(":root") and named.name.split(":")[4] == (who.name.split(":") + [""] * 5)[4]

    return (
        any(like(pattern, action, re.IGNORECASE) for pattern in statement.actions) != statement.not_actions
        and any(like(pattern, resource) for pattern in statement.resources) != statement.not_resources
        and any(map(person, statement.principals)) != statement.not_principals
    )


def allowed(policy: list[Statement], action: str, resource: str, who: Principal) -> list[bool]:
    """For each context, whether the request is allowed: some Allow matches and no Deny does."""
    here = [statement for statement in policy if applies(statement, action, resource, who)]
    out = []
    for context in CONTEXTS if here else ():
        hits = [statement.allow for statement in here if all(meets(condition, context) for condition in statement.conditions)]
        out.append(bool(hits) and all(hits))
    return out or [False] * len(CONTEXTS)


def some(values: tuple[object, ...], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(tuple)


a_condition = st.sampled_from(CONDITIONS).flatmap(
    lambda row: some(row[2], 2).map(lambda values: Condition(row[0], row[1], frozenset(values)))  # type: ignore[arg-type]
)
a_statement = st.builds(
    Statement,
    allow=st.sampled_from((True, True, True, False)),
    actions=some(ACTION_PATTERNS),
    resources=some(RESOURCE_PATTERNS, 2),
    principals=some(PEOPLE_PATTERNS, 2),
    conditions=st.lists(a_condition, max_size=2).map(frozenset),
    not_actions=st.sampled_from((False, False, False, True)),
    not_resources=st.sampled_from((False, False, False, True)),
    not_principals=st.sampled_from((False, False, False, True)),
)
a_policy = st.lists(a_statement, max_size=4)
EXAMPLES = 150
FITTING = [(a, r) for a in ACTIONS for r in RESOURCES if a.split(":")[0] in ("nova", r.split(":")[2])]


@settings(max_examples=EXAMPLES, deadline=None)
@given(a_policy, st.data())
def test_nothing_newly_allowed_is_ever_called_the_same(base: list[Statement], data: st.DataObject) -> None:
    """Held against the evaluation of single requests: when one is allowed at head and not at base, the comparison says so, and names its action."""
    kept = [statement for statement in base if data.draw(st.booleans())]
    head = kept + data.draw(st.lists(a_statement, max_size=2))
    found = compare(base, head)
    everything = Actions()
    for gain in (*found.gains, *found.undenied):
        everything = everything.plus(gain.actions)
    for action, resource in FITTING:
        for who in PEOPLE:
            request = (action, resource, who)
            if any(after and not before for before, after in zip(allowed(base, *request), allowed(head, *request), strict=True)):
                assert found.widened, request
                assert not mask(action) or mask(action) & everything.bits, request


@given(st.text("ab*?", max_size=6), st.text("ab*?", max_size=6))
def test_a_pattern_covers_another_only_if_it_matches_all_its_texts(wide: str, narrow: str) -> None:
    """Containment and overlap of patterns, against every text of up to four letters."""
    texts = ["".join(letters) for size in range(5) for letters in product("abc", repeat=size)]
    both = [(like(wide, text), like(narrow, text)) for text in texts]
    if covers(wide, narrow):
        assert all(over for over, under in both if under)
    if any(over and under for over, under in both):
        assert overlap(wide, narrow)


def test_a_reference_is_covered_by_nothing_but_itself_and_a_star() -> None:
    """`${Name}` may stand for any text, slashes included."""
    assert covers("a/${X}/*", "a/${X}/b") and covers("a/*", "a/${X}")
    assert not covers("a/?", "a/${X}") and not covers("a/${X}", "a/b")
    assert overlap("a/${X}", "a/b")
