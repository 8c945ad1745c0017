"""Plans made by Terraform, OpenTofu and CloudFormation: what they would do, as a digest that holds no value of anything.

A plan's JSON has passwords in it. A digest has addresses, types, actions and the paths that force a replacement, and nothing from before or
after. It is the same for two plans that do the same, whatever commit they were made on, so it survives a rebase.
Sources: developer.hashicorp.com/terraform/internals/json-format (format_version 1.x); opentofu.org/docs/internals/json-format;
docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.model import Effect, Unreadable
from checks.readers.terraform_facts import is_helper

SCHEMA = "interlock/plan-digest/1"
PLAN_LIMIT = 64 << 20
"""Bytes of a plan."""
DIGEST_LIMIT = 8 << 20
"""Bytes of a digest."""
CHANGES = 50_000
"""Resources of one plan."""
DEPTH = 64

ACTIONS = ("create", "update", "replace", "delete", "forget", "read", "import", "move", "unknown")
DESTRUCTIVE = frozenset({"delete", "replace", "unknown"})
"""`unknown`: the plan itself does not say, so it counts as the worst."""


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """One change of a plan."""

    address: str
    """With module and index, as the tool prints it; a logical id of CloudFormation."""
    type: str
    action: str
    """One of `ACTIONS`."""
    paths: tuple[str, ...] = ()
    """What forces a replacement, as dotted paths without indexes."""
    reason: str = ""
    previous: str = ""
    """The address it had before, where it moved."""

    @property
    def destructive(self) -> bool:
        return self.action in DESTRUCTIVE


@dataclass(frozen=True, slots=True)
class PlanDigest:
    """A plan without its values."""

    tool: str
    """terraform, opentofu or cloudformation."""
    format: str
    changes: tuple[Planned, ...]
    complete: bool = True
    """Whether the plan says it is whole: no errors, nothing deferred."""

    @property
    def sha256(self) -> str:
        """Over everything in it, sorted."""
        return hashlib.sha256(_canonical(_body(self)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a prediction and a plan agree."""

    covered: tuple[str, ...]
    """Ids of predicted effects that the plan confirms."""
    absent: tuple[str, ...]
    """Ids of predicted deletions and replacements that the plan does not show: it says less happens."""
    unknown: tuple[str, ...]
    """Ids of predicted effects of which the plan says nothing certain."""
    unpredicted: tuple[Planned, ...]
    """Destructive entries of the plan that nothing predicted."""

    @property
    def agrees(self) -> bool:
        """Every prediction is settled one way or the other, and nothing destructive comes as a surprise."""
        return not self.unknown and not self.unpredicted


def read_plan(data: bytes) -> PlanDigest:
    """A plan from `terraform show -json`, `tofu show -json` or `describe-change-set`, without its values. Raises `Unreadable`."""
    document = _json(data, PLAN_LIMIT, "the plan")
    if "resource_changes" in document or "format_version" in document:
        return _terraform(document)
    if "Changes" in document and isinstance(document["Changes"], list):
        return _change_set(document)
    raise Unreadable("plan", "it is neither a plan in JSON (terraform show -json) nor a change set (describe-change-set)")


def digest(data: bytes) -> dict[str, Any]:
    """The digest of a plan as JSON values: `schema`, `tool`, `format`, `complete`, `changes`, `sha256`."""
    plan = read_plan(data)
    return {**_body(plan), "sha256": plan.sha256}


def digest_file(data: bytes) -> str:
    """The digest of a plan as text to publish. Raises `Unreadable`."""
    return json.dumps(digest(data), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def read_digest(data: bytes) -> PlanDigest:
    """A digest that CI published, read strictly: an unknown key, a wrong type or another sum is refused. Raises `Unreadable`."""
    document = _json(data, DIGEST_LIMIT, "the digest")
    if document.get("schema") != SCHEMA:
        raise Unreadable("digest", f"its schema is not {SCHEMA}")
    if set(document) != {"schema", "tool", "format", "complete", "changes", "sha256"}:
        raise Unreadable("digest", "its keys are not those of the schema")
    tool, version, complete, rows = document["tool"], document["format"], document["complete"], document["changes"]
    if tool not in ("terraform", "opentofu", "cloudformation") or not isinstance(version, str) or not isinstance(complete, bool):
        raise Unreadable("digest", "its tool, format or completeness is not as the schema says")
    if not isinstance(rows, list) or len(rows) > CHANGES:
        raise Unreadable("digest", f"its changes are no list, or more than {CHANGES:,}")
    plan = PlanDigest(tool, version, tuple(_row(row) for row in rows), complete)
    if plan.sha256 != document["sha256"]:
        raise Unreadable("digest", "its sum does not fit its content")
    return plan


def covers(effects: Iterable[Effect], plan: PlanDigest) -> Coverage:
    """Which predicted deletions and replacements `plan` settles, and what it destroys that nothing predicted.

    An effect speaks of addresses through its facts: `address` (once or more), `directory`, `action`. A plan is of one configuration; the caller
    passes the effects of that directory.
    """
    rows: dict[str, list[Planned]] = {}
    for row in plan.changes:
        rows.setdefault(_plain(row.address), []).append(row)
        if row.previous:
            rows.setdefault(_plain(row.previous), []).append(row)
    covered: list[str] = []
    absent: list[str] = []
    unknown: list[str] = []
    predicted: list[str] = []
    for effect in effects:
        action = effect.fact("action")
        addresses = [_plain(value) for name, value in effect.facts if name == "address"]
        if action not in ("delete", "replace") or not addresses:
            continue
        predicted += addresses
        found = [row for address in addresses for row in _under(rows, address)]
        if any(row.action == "unknown" for row in found) or (not plan.complete and not any(row.destructive for row in found)):
            unknown.append(effect.id)
        elif any(row.destructive for row in found):
            covered.append(effect.id)
        else:
            absent.append(effect.id)
    names = frozenset(predicted)
    surprises = tuple(
        row
        for row in plan.changes
        if row.destructive
        and not is_helper(row.type)
        and not any(_is_under(_plain(address), name) for address in (row.address, row.previous) for name in names)
    )
    return Coverage(tuple(covered), tuple(absent), tuple(unknown), surprises)


# Reading.


def _json(data: bytes, limit: int, what: str) -> dict[str, Any]:
    if len(data) > limit:
        raise Unreadable(what, f"{len(data):,} bytes are over the limit of {limit:,}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(what, f"it is not valid JSON: {str(error)[:80]}") from None
    if not isinstance(document, dict):
        raise Unreadable(what, "it is not a JSON object")
    return document


def _terraform(document: Mapping[str, Any]) -> PlanDigest:
    version = str(document.get("format_version", ""))
    if not re.fullmatch(r"1\.\d{1,3}", version):
        raise Unreadable("plan", f"its format version {version[:20]!r} is not 1.x")
    rows = document.get("resource_changes", [])
    if not isinstance(rows, list) or len(rows) > CHANGES:
        raise Unreadable("plan", f"its resource changes are no list, or more than {CHANGES:,}")
    changes = [planned for row in rows if (planned := _resource_change(row)) is not None]
    for deferred in document.get("deferred_changes") or []:
        row = deferred.get("resource_change") if isinstance(deferred, dict) else None
        if isinstance(row, dict):
            changes.append(Planned(_text(row.get("address")), _text(row.get("type")), "unknown", reason="deferred"))
    complete = document.get("complete", True) is True and document.get("errored", False) is False and not document.get("deferred_changes")
    tool = "opentofu" if "tofu" in str(document.get("provider_format", "")) or "tofu_version" in document else "terraform"
    return PlanDigest(tool, version, tuple(sorted(set(changes))), complete)


_WORDS: Mapping[tuple[str, ...], str] = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
    ("create", "forget"): "forget",
    ("forget", "create"): "forget",
}


def _resource_change(row: Any) -> Planned | None:
    """One entry; None for what changes nothing. What does not read as the format says is refused, never passed over."""
    if not isinstance(row, dict) or not isinstance(row.get("change"), dict) or not isinstance(row.get("address"), str):
        raise Unreadable("plan", "an entry of its resource changes is not as the format says")
    change = row["change"]
    words = change.get("actions")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Unreadable("plan", f"the actions of {row['address'][:80]} are not as the format says")
    previous = _text(row.get("previous_address"))
    action = _WORDS.get(tuple(words), "unknown")
    if words in (["no-op"], ["read"]):
        if previous:
            action = "move"
        elif change.get("importing"):
            action = "import"
        else:
            return None
    paths = tuple(sorted({_path(path) for path in change.get("replace_paths") or [] if isinstance(path, list)}))
    name = row["address"] + (f" (deposed {row['deposed']})" if isinstance(row.get("deposed"), str) else "")
    return Planned(_text(name), _text(row.get("type")), action, paths, _text(row.get("action_reason")), previous)


def _path(steps: Sequence[Any]) -> str:
    return ".".join(step for step in steps[:DEPTH] if isinstance(step, str))


def _text(value: Any) -> str:
    return value[:1000] if isinstance(value, str) else ""


_REPLACEMENT = {"True": "replace", "Conditional": "unknown", "False": "update"}


def _change_set(document: Mapping[str, Any]) -> PlanDigest:
    rows = document["Changes"]
    if len(rows) > CHANGES:
        raise Unreadable("plan", f"it has more than {CHANGES:,} changes")
    changes = []
    for row in rows:
        change = row.get("ResourceChange") if isinstance(row, dict) else None
        if not isinstance(change, dict):
            raise Unreadable("plan", "an entry of its changes is not as the format says")
        word, keeps = change.get("Action"), change.get("PolicyAction")
        action = {"Add": "create", "Remove": "delete", "Import": "import", "Dynamic": "unknown"}.get(str(word), "unknown")
        if word == "Modify":
            action = _REPLACEMENT.get(str(change.get("Replacement")), "unknown")
        if word == "Remove" and keeps == "Retain":
            action = "forget"
        paths = sorted(
            {
                _text(detail.get("Target", {}).get("Name"))
                for detail in change.get("Details") or []
                if isinstance(detail, dict)
                and isinstance(detail.get("Target"), dict)
                and detail["Target"].get("RequiresRecreation") in ("Always", "Conditionally")
            }
            - {""}
        )
        changes.append(
            Planned(_text(change.get("LogicalResourceId")), _text(change.get("ResourceType")), action, tuple(paths), _text(keeps))
        )
    complete = document.get("NextToken") is None and document.get("Status", "CREATE_COMPLETE") == "CREATE_COMPLETE"
    return PlanDigest("cloudformation", "2010-05-15", tuple(sorted(set(changes))), complete)


# Writing.


def _body(plan: PlanDigest) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "tool": plan.tool,
        "format": plan.format,
        "complete": plan.complete,
        "changes": [
            {
                "address": row.address,
                "type": row.type,
                "action": row.action,
                "replace_paths": list(row.paths),
                "reason": row.reason,
                "previous_address": row.previous,
            }
            for row in sorted(plan.changes)
        ],
    }


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _row(row: Any) -> Planned:
    keys = {"address", "type", "action", "replace_paths", "reason", "previous_address"}
    if not isinstance(row, dict) or set(row) != keys:
        raise Unreadable("digest", "the keys of a change are not those of the schema")
    texts = (row["address"], row["type"], row["action"], row["reason"], row["previous_address"])
    paths = row["replace_paths"]
    if not all(isinstance(text, str) and len(text) <= 1100 for text in texts) or row["action"] not in ACTIONS:
        raise Unreadable("digest", "a change is not as the schema says")
    if not isinstance(paths, list) or len(paths) > 1000 or not all(isinstance(path, str) and len(path) <= 1100 for path in paths):
        raise Unreadable("digest", "the paths of a change are not as the schema says")
    return Planned(row["address"], row["type"], row["action"], tuple(paths), row["reason"], row["previous_address"])


# Addresses.


def _plain(address: str) -> str:
    """An address in one spelling: `a.b["k"]` and `a.b.k` are the same, and so are `a.b[0]` and `a.b.0`."""
    address = re.sub(r" \(deposed [^)]*\)$", "", address)
    return re.sub(r"\[\"?([^\]\"]*)\"?\]", r".\1", address)


def _is_under(address: str, name: str) -> bool:
    """Whether a plan's address is what `name` speaks of: itself, an instance of it, or inside the module it names."""
    if address == name or address.startswith(name + "."):
        return True
    # A prediction from a module's own directory does not know the calls above it.
    return address.endswith("." + name) or f".{name}." in address


def _under(rows: Mapping[str, list[Planned]], name: str) -> list[Planned]:
    return [row for address, found in rows.items() if _is_under(address, name) for row in found]
