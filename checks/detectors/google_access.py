"""Access given in Google Cloud outside of Terraform: policies kept as files and Config Connector's objects.

## What it detects
Members that newly hold a role in an IAM policy file (the form `gcloud ... get-iam-policy` prints and `set-iam-policy` takes) or in an
`IAMPolicy`, `IAMPartialPolicy` or `IAMPolicyMember` object; roles given to everybody; conditions that leave a binding.

## Why it matters
Such a file is applied as it stands. A role on a project reaches everything in it, and `allUsers` is anybody on the internet.

## Example
```diff
 bindings:
 - role: roles/storage.objectViewer
   members:
+  - allUsers
```

## What makes it safe
A narrower role, a condition that ends, or a group whose members are reviewed. Bindings in another order and members that leave say nothing.

## What it cannot see
Who is in a group, what a custom role holds, and policies that are only set by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from checks.access.clouds import google_role
from checks.detectors.base import Detector, Rule, by_file
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers import documents
from checks.readers.documents import Node

_WIDENED = Hazard.PRIVILEGE_WIDENED
ANYONE = Rule("google-access/anyone-allowed", _WIDENED, Severity.CRITICAL, Reversible.PARTLY, "Everybody holds a role")
GRANTED = Rule("google-access/role-granted", _WIDENED, Severity.MODERATE, Reversible.PARTLY, "A member holds another role")
CONDITION = Rule("google-access/condition-removed", _WIDENED, Severity.HIGH, Reversible.PARTLY, "A role is held without its condition")

_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_CONNECTOR = "iam.cnrm.cloud.google.com/"
Grant = tuple[str, str, str]
"""(resource, role, member)."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED:
            continue
        before, after = change.base_bytes(file), change.head_bytes(file)
        if after is None or not _speaks(after):
            continue
        try:
            old = _grants(before, file.base_path) if before is not None and _speaks(before) else {}
            new = _grants(after, file.path)
        except Unreadable:
            continue  # what reads manifests says that the file cannot be read
        yield from _compared(file, old, new)


def _speaks(data: bytes) -> bool:
    return b"roles/" in data and (b"bindings" in data or b"IAMPolicyMember" in data)


def _compared(file: FileChange, old: dict[Grant, tuple[str, int]], new: dict[Grant, tuple[str, int]]) -> Iterator[Effect]:
    for (resource, role, member), (condition, line) in new.items():
        subject = f"{resource} {role} {member}".strip()
        known = old.get((resource, role, member))
        if known is None and member in _EVERYBODY:
            yield ANYONE.effect(
                subject=subject, path=file.path, line=line, after=f"{member} {role}",
                message=f"{'Anybody on the internet' if member == 'allUsers' else 'Anybody with a Google account'} holds {role}{_on(resource)}.",
            )  # fmt: skip
        elif known is None:
            severity = google_role(role)
            yield GRANTED.effect(
                subject=subject, path=file.path, line=line, after=f"{member} {role}", severity=severity.step(-1) if condition else severity,
                message=f"{member} holds {role}{_on(resource)}.",
            )  # fmt: skip
        elif known[0] and not condition:
            yield CONDITION.effect(
                subject=subject, path=file.path, line=line, before=known[0], after="no condition",
                message=f"{member} holds {role}{_on(resource)} without the condition that limited it.",
            )  # fmt: skip


def _on(resource: str) -> str:
    return f" on {resource}" if resource else ""


def _grants(data: bytes, path: str) -> dict[Grant, tuple[str, int]]:
    out: dict[Grant, tuple[str, int]] = {}
    for node in documents.read(data, path):
        if not node.is_map:
            continue
        version, kind = node.string("apiVersion") or "", node.string("kind") or ""
        if version.startswith(_CONNECTOR):
            target = " ".join(
                part
                for key in ("kind", "name", "external")
                if (part := node.string("spec", "resourceRef", key) or node.string("resourceRef", key))
            )
            spec = node.get("spec") or node
            if kind == "IAMPolicyMember":
                member = spec.string("member") or (spec.get("memberFrom") and "an account named by reference")
                if member and (role := spec.string("role")):
                    out[target, role, str(member)] = (_condition(spec), spec.line)
            elif kind in ("IAMPolicy", "IAMPartialPolicy"):
                out |= _bindings(spec, target)
        elif not version and not kind and node.get("bindings") is not None:
            out |= _bindings(node, "")
    return out


def _bindings(node: Node, target: str) -> dict[Grant, tuple[str, int]]:
    out: dict[Grant, tuple[str, int]] = {}
    listed = node.get("bindings")
    for binding in (listed.items or ()) if listed is not None else ():
        role = binding.string("role") or ""
        members = binding.get("members")
        for item in (members.items or ()) if members is not None else ():
            member = item.text or item.string("member")
            if member is None and item.get("memberFrom") is not None:
                references = item.get("memberFrom")
                member = " ".join(node.text or "" for _, node in references.walk() if node.is_scalar) if references is not None else ""
            if not member or not role.startswith(("roles/", "projects/", "organizations/")):
                continue
            known = out.get((target, role, member))
            # The same member with and without a condition: the one without counts.
            out[target, role, member] = ("" if known and not known[0] else _condition(binding), item.line)
    return out


def _condition(node: Node) -> str:
    return node.string("condition", "expression") or ("a condition" if node.get("condition") is not None else "")


DETECTOR = Detector(
    name="google-access",
    title="Access in Google Cloud",
    rules=(ANYONE, GRANTED, CONDITION),
    detect=detect,
    group=by_file,
    sure=re.compile(rb"(?m)^[ \"]{0,8}bindings\"?\s*:"),
)
