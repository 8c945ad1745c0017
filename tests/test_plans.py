"""Plans become digests that hold no values, and a digest says whether a prediction was right."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from checks.model import Effect, Unreadable
from checks.plans import covers, digest, digest_file, read_digest, read_plan
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
        replace_paths=[["ami"], ["root_block_device", 0, "encrypted"], "tags", 5],
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
    for data in (b"x" * (9 << 20), b"[]", b"{", b"{}"):
        with pytest.raises(Unreadable):
            read_digest(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"format_version": "2.0", "resource_changes": []}',
        b'{"resource_changes": []}',
        b'{"format_version": "1.2", "resource_changes": {}}',
        b'{"format_version": "1.2", "resource_changes": ["a"]}',
        plan({"address": None, "change": {"actions": ["delete"]}}),
        plan({"address": "a.b", "change": {"actions": [1]}}),
        plan({"address": "a.b", "change": {"actions": ["delete", ["create"]]}}),
        b'{"Changes": {}}',
        b'{"Changes": ["a"]}',
        b'{"Changes": [{"Type": "Resource"}]}',
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
    for odd in ("x", {}, {"resource_change": None}):
        assert not read_plan(plan(deferred_changes=[odd])).complete


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


def test_a_change_set_that_is_not_whole_settles_nothing_it_does_not_show() -> None:
    """One page of several, and one that failed, may have left a deletion out."""
    effects = predicted()
    for more, known in (({}, True), ({"NextToken": "x"}, False), ({"Status": "FAILED"}, False), ({"Status": "CREATE_COMPLETE"}, True)):
        found = covers(effects, read_plan(json.dumps({"Changes": [], **more}).encode()))
        assert (len(found.absent), len(found.unknown)) == ((3, 0) if known else (0, 3)), more


def test_a_change_set_says_what_forces_a_replacement() -> None:
    """What always or may recreate it; other details are no reason. What is replaced is not kept because its old self is."""
    details = [
        "x",
        {"Target": None},
        {"Target": {"Name": "Tags", "RequiresRecreation": "Never"}},
        {"Target": {"Name": "Size", "RequiresRecreation": "Conditionally"}},
    ]
    change = {"Action": "Modify", "LogicalResourceId": "Db", "Replacement": "True", "PolicyAction": "Retain", "Details": details}
    (row,) = read_plan(json.dumps({"Changes": [{"ResourceChange": change}]}).encode()).changes
    assert (row.action, row.paths) == ("replace", ("Size",))
    for word, action in (("False", "update"), ("Conditional", "unknown"), ("Perhaps", "unknown"), (None, "unknown")):
        (row,) = read_plan(json.dumps({"Changes": [{"ResourceChange": {**change, "Replacement": word}}]}).encode()).changes
        assert row.action == action


@pytest.mark.parametrize(
    ("actions", "action", "destructive"),
    [
        (["create"], "create", False),
        (["update"], "update", False),
        (["delete"], "delete", True),
        (["delete", "create"], "replace", True),
        (["create", "delete"], "replace", True),
        (["forget"], "forget", False),
        (["create", "forget"], "forget", False),
        (["forget", "create"], "forget", False),
        ([], "unknown", True),
        (["no-op"], None, False),
        (["read"], None, False),
    ],
)
def test_what_the_words_of_a_plan_mean(actions: list[str], action: str | None, destructive: bool) -> None:
    """Only a thing that stays, is made or is let go of is safe; what does nothing is no change."""
    found = read_plan(plan(entry("aws_x.y", actions))).changes
    assert [row.action for row in found] == ([action] if action else [])
    assert any(row.destructive for row in found) is destructive
    assert read_plan(b'{"format_version": "1.2"}').changes == ()
    taken = read_plan(plan(entry("aws_x.y", ["no-op"], importing={"id": "i-1"}), entry("aws_x.z", ["no-op"], previous_address="aws_x.w")))
    assert [row.action for row in taken.changes] == ["import", "move"]
    (old,) = read_plan(plan(entry("aws_x.y", ["delete"], deposed="12ab"))).changes
    assert old.address == "aws_x.y (deposed 12ab)"


def test_a_plan_says_which_tool_made_it() -> None:
    """OpenTofu names itself."""
    assert read_plan(plan()).tool == "terraform"
    assert read_plan(plan(tofu_version="1.8.0")).tool == "opentofu"
    assert read_plan(plan(provider_format="tofu")).tool == "opentofu"


def test_more_than_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many changes, or too many bytes, are no plan: never the first part of one."""
    monkeypatch.setattr("checks.plans.CHANGES", 2)
    change = {"ResourceChange": {"Action": "Add", "LogicalResourceId": "A"}}
    for number, refused in ((2, False), (3, True)):
        signed_rows = [{**ROW, "address": f"aws_x.y{at}"} for at in range(number)]
        rows = [entry(f"aws_x.y{at}", ["create"]) for at in range(number)]
        for read, data in (
            (read_plan, plan(*rows)),
            (read_plan, json.dumps({"Changes": [change] * number}).encode()),
            (read_digest, signed(changes=signed_rows)),
        ):
            if refused:
                with pytest.raises(Unreadable):
                    read(data)
            else:
                assert read(data).changes
    with pytest.raises(Unreadable):
        read_digest(signed(changes=[ROW]) + b" " * (8 << 20))


ROW = {"address": "aws_x.y", "type": "aws_x", "action": "create", "replace_paths": [], "reason": "", "previous_address": ""}


def signed(**more: Any) -> bytes:
    """A digest with a sum that fits, whatever it says."""
    body = {"schema": "interlock/plan-digest/1", "tool": "terraform", "format": "1.2", "complete": True, "changes": [], **more}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({**body, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


@pytest.mark.parametrize(
    "more",
    [
        {"tool": "terraform"},
        {"tool": "opentofu"},
        {"tool": "cloudformation"},
        {"changes": [ROW]},
        {"changes": [{**ROW, "address": 'aws_x.y["\u00fc"]'}]},
        {"changes": [{**ROW, "address": "a" * 1100}]},
        {"changes": [{**ROW, "replace_paths": ["a" * 1100]}]},
        {"changes": [{**ROW, "replace_paths": [str(number) for number in range(1000)]}]},
    ],
)
def test_a_digest_whose_sum_fits_is_read(more: dict[str, Any]) -> None:
    """The sum is SHA-256 over the sorted values in UTF-8: anyone can make one, and every version makes the same."""
    assert read_digest(signed(**more)).complete


@pytest.mark.parametrize(
    "more",
    [
        {"tool": "pulumi"},
        {"format": 1},
        {"complete": 1},
        {"changes": {}},
        {"changes": "ab"},
        {"changes": None},
        {"changes": [None]},
        {"changes": [list(ROW)]},
        {"changes": [{**ROW, "more": 1}]},
        {"changes": [{**ROW, "action": "dissolve"}]},
        {"changes": [{**ROW, "action": ""}]},
        {"changes": [{**ROW, "reason": None}]},
        {"changes": [{**ROW, "reason": 7}]},
        {"changes": [{**ROW, "address": []}]},
        {"changes": [{**ROW, "address": "a" * 1101}]},
        {"changes": [{**ROW, "replace_paths": {}}]},
        {"changes": [{**ROW, "replace_paths": ["a", 1]}]},
        {"changes": [{**ROW, "replace_paths": ["a", []]}]},
        {"changes": [{**ROW, "replace_paths": ["a" * 1101]}]},
        {"changes": [{**ROW, "replace_paths": [str(number) for number in range(1001)]}]},
    ],
)
def test_a_sum_that_fits_makes_nothing_right(more: dict[str, Any]) -> None:
    """A digest that says what the schema has no word for is refused, however well it is summed."""
    with pytest.raises(Unreadable):
        read_digest(signed(**more))


def feared(*addresses: str, action: str | None = "delete", **facts: str) -> Effect:
    """An effect that speaks of these addresses."""
    (effect, *_) = predicted()
    told = (*(("address", address) for address in addresses), *((("action", action),) if action else ()), *facts.items())
    return replace(effect, facts=told)


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("aws_x.y", True),
        ("aws_x.y[0]", True),
        ('aws_x.y["k"]', True),
        ("module.a.aws_x.y", True),
        ('module.a["k"].aws_x.y[3]', True),
        ("aws_x.y[0] (deposed 12ab)", True),
        ("aws_x.yy", False),
        ("aws_x.y_2", False),
        ("my_aws_x.y", False),
        ("aws_x.z", False),
        ("module.a.aws_x.yy[0]", False),
    ],
)
def test_a_plan_speaks_of_a_thing_its_instances_and_its_modules(address: str, same: bool) -> None:
    """An instance, and the thing in whatever module calls it, is what was predicted; a like name is another thing."""
    effect = feared("aws_x.y")
    found = covers([effect], read_plan(plan(entry("aws_x.y", ["delete"]) | {"address": address})))
    assert (found.covered, len(found.unpredicted)) == (((effect.id,), 0) if same else ((), 1))


def test_what_was_moved_is_the_thing_it_was() -> None:
    """A plan that moves a thing and replaces it destroys what stood at the old address: predicted there, it is no surprise."""
    effect, moved = feared("aws_x.old"), entry("aws_x.new", ["delete", "create"], previous_address="aws_x.old")
    found = covers([effect], read_plan(plan(moved)))
    assert found.covered == (effect.id,) and found.agrees
    assert not covers([feared("aws_x.other")], read_plan(plan(moved))).agrees


def test_only_predicted_deletions_are_asked_of_a_plan() -> None:
    """What an effect notes beside its addresses predicts nothing, nor does an effect that destroys nothing, or names nothing."""
    gone = read_plan(plan(entry("module.live.aws_x.y", ["delete"])))
    for effect in (feared("aws_z.z", directory="live"), feared("aws_x.y", action="change"), feared("aws_x.y", action=None)):
        assert len(covers([effect], gone).unpredicted) == 1
    for effect in (feared(), feared("aws_x.y", action="change")):
        for given in (gone, read_plan(plan(errored=True)), read_plan(plan())):
            found = covers([effect], given)
            assert (found.covered, found.absent, found.unknown) == ((), (), ())


def test_what_a_plan_does_not_know_is_not_confirmed() -> None:
    """An action that is not known settles nothing; a plan that is not whole still confirms the deletions it shows."""
    effect = feared("aws_x.y")
    found = covers([effect], read_plan(plan(entry("aws_x.y", ["dissolve"]))))
    assert (found.covered, found.unknown) == ((), (effect.id,))
    partly = covers([effect], read_plan(plan(entry("aws_x.y", ["delete"]), errored=True)))
    assert (partly.covered, partly.unknown) == ((effect.id,), ())


def test_what_stands_for_nothing_is_no_surprise() -> None:
    """A null resource outside of Terraform is nothing; anything else that goes unpredicted is told."""
    assert covers([], read_plan(plan(entry("null_resource.a", ["delete"])))).agrees
    assert not covers([], read_plan(plan(entry("aws_x.y", ["delete"])))).agrees
