"""Plans become digests that hold no values, and a digest says whether a prediction was right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checks.model import Unreadable
from checks.plans import covers, digest, digest_file, effects_of, read_digest, read_plan
from tests.changes import change_of

SECRET = "correct-horse"


def entry(address: str, actions: list[str], **more: Any) -> dict[str, Any]:
    change = {"actions": actions, "before": {"password": SECRET}, "after": {"password": SECRET}, "after_unknown": {"id": True}}
    change |= {key: more.pop(key) for key in ("replace_paths", "importing") if key in more}
    return {"address": address, "mode": "managed", "type": address.split(".")[-2], "change": change, **more}


def plan(*rows: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"format_version": "1.2", "terraform_version": "1.9.5", "resource_changes": list(rows), **more}).encode()


PLAN = plan(
    entry("aws_db_instance.main", ["delete"], action_reason="delete_because_no_resource_config"),
    entry(
        "aws_instance.web",
        ["delete", "create"],
        action_reason="replace_because_cannot_update",
        replace_paths=[["ami"], ["root_block_device", 0, "encrypted"]],
    ),
    entry("module.a.aws_sqs_queue.q[0]", ["create", "delete"]),
    entry("aws_lb.kept", ["no-op"]),
    entry("aws_lb.moved", ["no-op"], previous_address="aws_lb.old"),
    entry("aws_s3_bucket.orphan", ["forget"]),
    entry("aws_s3_bucket.logs", ["update"]),
)


def test_a_digest_holds_actions_and_no_value() -> None:
    """Addresses, types, actions, paths and reasons; nothing from before or after."""
    text = digest_file(PLAN)
    assert SECRET not in text and "password" not in text
    assert {(row["address"], row["action"]) for row in json.loads(text)["changes"]} == {
        ("aws_db_instance.main", "delete"),
        ("aws_instance.web", "replace"),
        ("module.a.aws_sqs_queue.q[0]", "replace"),
        ("aws_lb.moved", "move"),
        ("aws_s3_bucket.orphan", "forget"),
        ("aws_s3_bucket.logs", "update"),
    }
    web = next(row for row in json.loads(text)["changes"] if row["address"] == "aws_instance.web")
    assert web["replace_paths"] == ["ami", "root_block_device.encrypted"]


def test_a_digest_is_the_same_for_plans_that_do_the_same() -> None:
    """Order, values, times and versions do not count."""
    document = json.loads(PLAN)
    document["resource_changes"].reverse()
    document["timestamp"] = "2026-01-01T00:00:00Z"
    document["resource_changes"][0]["change"]["after"] = {"password": "another"}
    assert digest(PLAN)["sha256"] == digest(json.dumps(document).encode())["sha256"]


def test_a_digest_is_read_back_strictly() -> None:
    """What was written is read; another key, action or sum is refused."""
    text = digest_file(PLAN)
    assert read_digest(text.encode()) == read_plan(PLAN)
    for spoil in (
        lambda d: d.update(extra=1),
        lambda d: d["changes"].pop(),
        lambda d: d["changes"][0].update(action="nothing"),
        lambda d: d["changes"][0].update(before={"a": 1}),
        lambda d: d.update(schema="interlock/plan-digest/2"),
        lambda d: d.update(complete="yes"),
    ):
        document = json.loads(text)
        spoil(document)
        with pytest.raises(Unreadable):
            read_digest(json.dumps(document).encode())
    with pytest.raises(Unreadable):
        read_digest(b"x" * (9 << 20))


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"format_version": "2.0", "resource_changes": []}',
        plan({"address": "a.b"}),
        plan(entry("a_b.c", ["delete"]) | {"change": {"actions": "delete"}}),
    ],
)
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    """An unknown version or a shape that is not the format's is never read as "nothing happens"."""
    with pytest.raises(Unreadable):
        digest(data)


def test_actions_that_are_not_known_count_as_destructive() -> None:
    """A word of a later version, and a change deferred, are unknown: never a pass."""
    later = read_plan(plan(entry("aws_x.y", ["dissolve"])))
    assert [row.action for row in later.changes] == ["unknown"] and later.changes[0].destructive
    deferred = read_plan(plan(deferred_changes=[{"reason": "unknown", "resource_change": entry("aws_x.z", ["create"])}]))
    assert not deferred.complete and deferred.changes[0].action == "unknown"


def predicted() -> tuple[Any, ...]:
    from checks.effects import effects_of as found_in

    before = 'resource "aws_db_instance" "main" {\n  identifier = "a"\n}\nresource "aws_instance" "web" {\n  ami = "1"\n}\nresource "aws_kms_key" "gone" {}\n'
    return found_in(change_of({"main.tf": before}, {"main.tf": 'resource "aws_instance" "web" {\n  ami = "2"\n}\n'}), only="terraform")


def test_a_plan_settles_predictions() -> None:
    """What the plan shows is covered, what it does not is absent, and what nobody predicted stands out."""
    effects = predicted()
    ids = {effect.subject: effect.id for effect in effects}
    found = covers(effects, read_plan(PLAN))
    assert set(found.covered) == {ids["aws_db_instance.main"], ids["aws_instance.web"]}
    assert found.absent == (ids["aws_kms_key.gone"],)
    assert [row.address for row in found.unpredicted] == ["module.a.aws_sqs_queue.q[0]"]
    assert not found.agrees
    assert covers(effects, read_plan(plan(*json.loads(PLAN)["resource_changes"][:2]))).agrees


def test_an_incomplete_plan_settles_nothing_it_does_not_show() -> None:
    """A plan that failed half-way may have left a deletion out."""
    effects = predicted()
    found = covers(effects, read_plan(plan(errored=True)))
    assert len(found.unknown) == len(effects) and not found.agrees


def test_a_plans_own_deletions_are_certain_effects() -> None:
    """Confirmed by plan: the rule, the address and how bad it is, without values."""
    found = {effect.subject: effect for effect in effects_of(read_plan(PLAN), "infra/prod")}
    assert set(found) == {"aws_db_instance.main", "aws_instance.web", "module.a.aws_sqs_queue.q[0]"}
    assert found["aws_db_instance.main"].severity == "critical"
    assert found["aws_instance.web"].fact("action") == "replace"


def test_a_change_set_is_a_plan() -> None:
    """Remove deletes unless it retains; Modify replaces when it says so, and is unknown when it may."""
    rows = [
        {"Action": "Remove", "LogicalResourceId": "Table", "ResourceType": "AWS::DynamoDB::Table", "PolicyAction": "Delete"},
        {"Action": "Remove", "LogicalResourceId": "Kept", "ResourceType": "AWS::S3::Bucket", "PolicyAction": "Retain"},
        {
            "Action": "Modify",
            "LogicalResourceId": "Db",
            "ResourceType": "AWS::RDS::DBInstance",
            "Replacement": "True",
            "Details": [{"Target": {"Name": "DBName", "RequiresRecreation": "Always"}}],
        },
        {"Action": "Modify", "LogicalResourceId": "Maybe", "ResourceType": "AWS::EC2::Instance", "Replacement": "Conditional"},
    ]
    found = read_plan(
        json.dumps({"Status": "CREATE_COMPLETE", "Changes": [{"Type": "Resource", "ResourceChange": row} for row in rows]}).encode()
    )
    assert {row.address: (row.action, row.paths) for row in found.changes} == {
        "Table": ("delete", ()),
        "Kept": ("forget", ()),
        "Db": ("replace", ("DBName",)),
        "Maybe": ("unknown", ()),
    }
