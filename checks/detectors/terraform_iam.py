"""Access in Terraform: what a configuration newly allows in AWS, Google Cloud and Azure, and to whom.

## What it detects

AWS policies in every form Terraform has (`aws_iam_policy_document`, `jsonencode`, JSON in a heredoc, a template file), compared as sets of
permissions: all policies of one role, user or group of a directory taken together, so that a statement moved between two of them is nothing
new. Trust policies, resource policies and Lambda permissions; managed policies newly attached; permissions boundaries that are gone; access
keys, passwords and service account keys; memberships and assignments. Google Cloud IAM members and bindings with their roles, and custom
roles; Azure role assignments, their scope, role definitions and Key Vault access policies.

## Why it matters

One `apply` makes a permission real in every account the configuration reaches. A star added to make a pipeline pass, a role raised from
resource group to subscription, or `allUsers` on a bucket does not look like much in a diff.

## Example

```hcl
 resource "azurerm_role_assignment" "ci" {
-  scope                = azurerm_resource_group.shop.id
+  scope                = data.azurerm_subscription.current.id
   role_definition_name = "Contributor"
```

## What makes it safe

A permissions boundary, service control or organisation policy around the holder; a scope, condition or expiry that bounds the grant.

## What it cannot see

What a module does with its arguments, values known only when planned (a reference is one unknown text, equal only to itself), and grants made
outside this directory. Documents that come from elsewhere (`source_policy_documents` of another state) are known by their name alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from checks.access.aws import ANYONE, Condition, Principal, Statement, compare, principal
from checks.access.aws_grades import Kind, Setting, grade, managed
from checks.access.aws_policy import policy, token
from checks.access.aws_rules import effects, rules_for, within
from checks.access.clouds import azure_role, azure_scope, google_role
from checks.access.globs import covers
from checks.detectors.base import Detector, Rule, by_directory
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Tree, Unreadable
from checks.places import Place, place_of
from checks.readers import text_of
from checks.readers.documents import Node
from checks.readers.hcl import Block, Expression, scalar
from checks.readers.terraform import Configuration, Resource, configuration, keyed
from checks.readers.terraform_facts import one_spelling

LOW, MODERATE, HIGH, CRITICAL = Severity.LOW, Severity.MODERATE, Severity.HIGH, Severity.CRITICAL
GRADED = rules_for("terraform-iam")


def _rule(name: str, severity: Severity, title: str) -> Rule:
    return Rule(f"terraform-iam/{name}", Hazard.PRIVILEGE_WIDENED, severity, Reversible.PARTLY, title, question=Question.ALONE)


ATTACHED = _rule("policy-attached", MODERATE, "A managed policy is newly attached")
BOUNDARY = _rule("boundary-removed", CRITICAL, "A permissions boundary is gone")
KEY = _rule("key-created", HIGH, "A long-lived key or password is created")
MEMBER = _rule("member-added", MODERATE, "Someone is added to a group or assigned to an account")
ROLE = _rule("role-granted", MODERATE, "A role of Google Cloud or Azure is newly granted, or on more")
CUSTOM = _rule("role-widened", MODERATE, "A custom role or vault policy allows more")

INSTANCES = 500
"""Instances of one resource that are looked at one by one."""


@dataclass(slots=True)
class _Subject:
    """Someone who holds permissions, or a resource with a policy."""

    name: str
    setting: Setting
    path: str
    line: int
    type: str = ""
    statements: list[Statement] = field(default_factory=list)
    written: list[tuple[Statement, str]] = field(default_factory=list)
    """The statements that stand in the text of a policy resource, each with its file."""
    attached: dict[str, tuple[str, int]] = field(default_factory=dict)
    boundary: str | None = None
    owned: bool = False


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    directory = files[0].path.rpartition("/")[0]
    if place_of(files[0].path) is not Place.DEPLOYED:
        return
    came_from = {file.base_path.rpartition("/")[0] for file in files if file.renamed}
    source = next(iter(came_from)) if len(came_from) == 1 and not change.before.list(directory) else directory
    before, after = configuration(change.before, source), configuration(change.after, directory)
    if not after:
        return
    old, new = _Reading(before, change.before), _Reading(after, change.after)
    yield from _aws(old, new)
    yield from _new_things(old, new)
    yield from _google(old, new)
    yield from _azure(old, new)


# Values -------------------------------------------------------------------------------------------------------------------------------


class _Reading:
    """One state of a directory, with its values as policy nodes and texts."""

    def __init__(self, configuration_: Configuration, tree: Tree) -> None:
        self.configuration, self.tree = configuration_, tree
        self.used: set[str] = set()
        self.open: list[str] = []

    def node(self, at: Expression, depth: int = 0) -> Node:
        """A value as a node, as a policy reader takes it; what is not known is a token."""
        line = at.line
        if depth > 40:
            return Node(line=line, text=token(at.text), plain=False)
        if at.kind == "literal":
            return Node(
                line=line, text=scalar(at.value) if at.value is not None else "", plain=at.value is None or not isinstance(at.value, str)
            )
        if at.kind == "list":
            return Node(line=line, items=tuple(self.node(item, depth + 1) for item in at.items))
        if at.kind == "map":
            return Node(
                line=line,
                pairs=tuple((Node(line=key.line, text=key.key, plain=False), self.node(value, depth + 1)) for key, value in at.pairs),
            )
        if at.kind == "conditional" and len(at.items) == 3:
            branches = tuple(self.node(item, depth + 1) for item in at.items)
            return Node(line=line, pairs=((Node(line=line, text="Fn::If"), Node(line=line, items=branches)),))
        if at.kind == "call" and at.name in (
            "concat",
            "flatten",
            "toset",
            "tolist",
            "compact",
            "distinct",
            "sort",
            "setunion",
            "tomap",
            "coalescelist",
        ):
            return Node(line=line, items=tuple(self.node(item, depth + 1) for item in at.items))
        if at.kind == "call" and at.name in ("jsonencode", "jsondecode", "tostring", "nonsensitive", "replace", "try", "one") and at.items:
            return self.node(at.items[0], depth + 1)
        if at.kind == "call" and at.name == "merge":
            return Node(line=line, pairs=tuple(pair for item in at.items for pair in self.node(item, depth + 1).pairs or ()))
        return Node(line=line, text=self.text(at), plain=False)

    def text(self, at: Expression | None) -> str:
        """A value as one text, its references as tokens."""
        if at is None:
            return ""
        if at.kind == "literal":
            return scalar(at.value) if at.value is not None else ""
        if at.kind == "template":
            return "".join(self.text(item) for item in at.items)
        if at.kind == "call" and at.name in ("tostring", "nonsensitive", "one", "try") and at.items:
            return self.text(at.items[0])
        return token(one_spelling(at.text.replace('"', "'").replace("\\", "/")))

    def texts(self, at: Expression | None) -> list[str]:
        """A list's texts; of a conditional, those of both branches."""
        if at is None or at.is_null:
            return []
        if at.kind == "list":
            return [text for item in at.items for text in self.texts(item)]
        if at.kind == "conditional" and len(at.items) == 3:
            return [text for item in at.items[1:] for text in self.texts(item)]
        if at.kind == "call" and at.name in (
            "concat",
            "flatten",
            "toset",
            "tolist",
            "compact",
            "distinct",
            "sort",
            "setunion",
            "coalescelist",
        ):
            return [text for item in at.items for text in self.texts(item)]
        return [self.text(at)]

    def statements(self, at: Expression | None) -> tuple[Statement, ...] | None:
        """The statements a policy argument stands for; None where it is known by its name alone."""
        if at is None or at.is_null:
            return ()
        document = re.search(r"data\.aws_iam_policy_document\.([\w-]+)(?:\.[\w*.-]+)?\.(?:json|minified_json)\Z", at.text)
        if document and at.kind in ("reference", "access", "other"):
            return self.document(f"data.aws_iam_policy_document.{document.group(1)}")
        if at.kind == "call" and at.name in ("jsonencode", "tostring", "try", "one", "coalesce") and at.items:
            inner = self.statements(at.items[0]) if at.name != "jsonencode" else None
            return inner if inner is not None else policy(self.node(at.items[0]))
        if at.kind == "call" and at.name in ("templatefile", "file") and at.items:
            return self.template(at)
        if at.kind == "conditional" and len(at.items) == 3:
            parts = [self.statements(item) for item in at.items[1:]]
            return tuple(s for part in parts for s in part or ()) if any(part is not None for part in parts) else None
        if at.kind in ("literal", "template"):
            found = policy(Node(line=at.line, text=self.text(at), plain=False))
            return tuple(_at(statement, at.line) for statement in found) if found is not None else None
        return policy(self.node(at)) if at.kind == "map" else None

    def template(self, at: Expression) -> tuple[Statement, ...] | None:
        """A policy in a file beside the configuration, with the arguments put in."""
        name = self.text(at.items[0]).replace(token("path.module") + "/", "").replace(token("path.root") + "/", "")
        path = posixpath.normpath(posixpath.join(self.configuration.directory or ".", name))
        if "${" in name or name.startswith("/") or path.startswith(".."):
            return None
        try:
            data = self.tree.read(path)
            text = text_of(data, path) if data is not None else ""
        except Unreadable:
            return None
        given = at.items[1] if len(at.items) > 1 and at.items[1].kind == "map" else None
        for key, value in given.pairs if given is not None else ():
            spelled = self.text(value.items[0]) if value.kind == "call" and value.name == "jsonencode" and value.items else self.text(value)
            bare = (
                re.compile(r"(?<!\")\$\{\s*" + re.escape(key.key) + r"\s*\}(?!\")")
                if value.kind == "call" and value.name == "jsonencode"
                else None
            )
            text = bare.sub(lambda _, spelled=spelled: f'"{spelled}"', text) if bare else text  # type: ignore[misc]
            text = re.sub(r"\$\{\s*" + re.escape(key.key) + r"\s*\}", lambda _, spelled=spelled: spelled, text)  # type: ignore[misc]
        text = re.sub(r"%\{[^}]*\}", "", text)
        found = policy(Node(line=at.line, text=text, plain=False))
        return tuple(_at(statement, at.line) for statement in found) if found is not None else None

    def document(self, address: str) -> tuple[Statement, ...]:
        """The statements of an `aws_iam_policy_document`."""
        self.used.add(address)
        data = self.configuration.data.get(address)
        if data is None or address in self.open:
            return (Statement(True, (token(address),), unsure=True),)
        self.open.append(address)
        body = self.configuration.body(data)
        out = [statement for block in body.nested("statement") for statement in self.statement(block)]
        for name in ("source_policy_documents", "override_policy_documents", "source_json", "override_json"):
            given = body.get(name)
            for item in given.elements() if given is not None else ():
                found = self.statements(item)
                out.extend(found if found is not None else (Statement(True, (token(item.text),), unsure=True, line=item.line),))
        self.open.pop()
        return tuple(out)

    def statement(self, block: Block) -> Iterator[Statement]:
        people = [
            principal(self.text(inner.get("type")) or "AWS", name)
            for key in ("principals", "not_principals")
            for inner in block.nested(key)
            for name in self.texts(inner.get("identifiers"))
        ]
        conditions = frozenset(
            Condition(self.text(inner.get("test")), self.text(inner.get("variable")), frozenset(self.texts(inner.get("values"))))
            for inner in block.nested("condition")
        )
        people = [ANYONE if p.kind == "*" else p for p in people]
        yield Statement(
            allow=self.text(block.get("effect")).lower() != "deny",
            actions=tuple(self.texts(block.get("actions")) or self.texts(block.get("not_actions"))),
            resources=tuple(self.texts(block.get("resources")) or self.texts(block.get("not_resources"))) or ("*",),
            principals=tuple(people),
            conditions=conditions,
            not_actions=block.get("actions") is None and block.get("not_actions") is not None,
            not_resources=block.get("resources") is None and block.get("not_resources") is not None,
            not_principals=bool(block.nested("not_principals")),
            sid=self.text(block.get("sid")),
            line=block.line,
            unsure=block.dynamic is not None and block.dynamic.kind == "conditional",
        )


def _at(statement: Statement, line: int) -> Statement:
    return replace(statement, line=line)


def _setting(found: Sequence[Statement]) -> Setting:
    """What kind of policy statements are: of a role's trust, of a resource, or of someone who acts."""
    if not any(s.principals for s in found):
        return Setting.IDENTITY
    return Setting.TRUST if all(action.lower().startswith("sts:") for s in found for action in s.actions) else Setting.RESOURCE


# AWS ----------------------------------------------------------------------------------------------------------------------------------

_HOLDER = re.compile(r"aws_(?:iam_(?:role|user|group)|ssoadmin_permission_set)\.[\w-]+")
_HOLDERS = ("aws_iam_role", "aws_iam_user", "aws_iam_group", "aws_ssoadmin_permission_set")
_OWNER_KEYS = ("role", "user", "group", "permission_set_arn", "roles", "users", "groups")
_INLINE = ("aws_iam_role_policy", "aws_iam_user_policy", "aws_iam_group_policy", "aws_ssoadmin_permission_set_inline_policy")
_ATTACHMENTS = (
    "aws_iam_role_policy_attachment", "aws_iam_user_policy_attachment", "aws_iam_group_policy_attachment", "aws_iam_policy_attachment",
    "aws_ssoadmin_managed_policy_attachment", "aws_ssoadmin_customer_managed_policy_attachment",
)  # fmt: skip
_POLICY_KEYS = (
    "policy",
    "access_policy",
    "access_policies",
    "policy_document",
    "resource_policy",
    "key_policy",
    "content",
    "inline_policy",
    "policy_text",
)
_LIMITS = ("aws_vpc_endpoint", "aws_vpc_endpoint_policy", "aws_organizations_policy")
_AWS_POLICY = re.compile(r"aws_iam_policy\.[\w-]+")


def _subjects(reading: _Reading) -> dict[str, _Subject]:
    configuration_ = reading.configuration
    out: dict[str, _Subject] = {}
    bodies = {
        address: configuration_.body(resource) for address, resource in configuration_.resources.items() if resource.type.startswith("aws_")
    }
    for address, body in bodies.items():
        resource = configuration_.resources[address]
        if resource.type in _HOLDERS:
            out[address] = _holder(reading, resource, body)
            trust = reading.statements(body.get("assume_role_policy"))
            if trust:
                out[address + " (trust)"] = _Subject(address, Setting.TRUST, resource.path, resource.line, resource.type, list(trust))
    attached: set[str] = set()
    for subject in out.values():
        for arn in list(subject.attached):
            inside = _AWS_POLICY.search(arn)
            if inside and inside.group() in bodies and not arn.startswith("arn:"):
                del subject.attached[arn]
                attached.add(inside.group())
                _take(subject, reading, configuration_.resources[inside.group()], bodies[inside.group()].get("policy"))
    for address, body in bodies.items():
        resource = configuration_.resources[address]
        if resource.type in _INLINE:
            written = body.get("policy") or body.get("inline_policy")
            for owner in _owners(reading, resource, body, out):
                if not _take(owner, reading, resource, written):
                    owner.statements.extend(_unknown(reading, body.get("policy")))
        elif resource.type in _ATTACHMENTS:
            arn = reading.text(body.get("policy_arn") or body.get("managed_policy_arn")) or address
            inside = _AWS_POLICY.search(arn)
            for owner in _owners(reading, resource, body, out):
                if inside and inside.group() in bodies and not arn.startswith("arn:"):
                    attached.add(inside.group())
                    _take(owner, reading, configuration_.resources[inside.group()], bodies[inside.group()].get("policy"))
                else:
                    owner.attached[_managed_arn(reading, arn)] = (resource.path, resource.line)
    for address, body in bodies.items():
        resource = configuration_.resources[address]
        if resource.type == "aws_iam_policy" and address not in attached:
            found = reading.statements(body.get("policy"))
            out[address] = _Subject(address, Setting.IDENTITY, resource.path, resource.line, resource.type, list(found or ()))
        elif resource.type == "aws_lambda_permission":
            _permission(reading, resource, body, out)
        elif resource.type not in (*_HOLDERS, *_INLINE, *_ATTACHMENTS, "aws_iam_policy"):
            _resource_policies(reading, resource, body, out)
    _elsewhere(reading, out)
    return out


def _take(subject: _Subject, reading: _Reading, resource: Resource, policy: Expression | None) -> bool:
    """Give the statements of a policy to whoever holds it, and keep the file they stand in; whether they could be read."""
    found = reading.statements(policy)
    if found is None or policy is None:
        return False
    subject.statements.extend(found)
    # A document or local that the policy names may stand in another file, and its lines with it.
    if not any(part.kind == "reference" and part.name.startswith(("data.", "local.", "var.")) for part in policy.walk()):
        subject.written.extend((statement, resource.path) for statement in found)
    return True


def _holder(reading: _Reading, resource: Resource, body: Block) -> _Subject:
    subject = _Subject(resource.address, Setting.IDENTITY, resource.path, resource.line, resource.type, owned=True)
    for block in body.nested("inline_policy"):
        subject.statements.extend(reading.statements(block.get("policy")) or ())
    for arn in reading.texts(body.get("managed_policy_arns")):
        subject.attached[_managed_arn(reading, arn)] = (resource.path, resource.line)
    boundary = body.get("permissions_boundary")
    subject.boundary = reading.text(boundary) if boundary is not None and not boundary.is_null else None
    return subject


def _owners(reading: _Reading, resource: Resource, body: Block, out: dict[str, _Subject]) -> list[_Subject]:
    found = []
    for key in _OWNER_KEYS:
        for text in reading.texts(body.get(key)):
            match = _HOLDER.search(text)
            name = match.group() if match else text
            found.append(out.setdefault(name, _Subject(name, Setting.IDENTITY, resource.path, resource.line)))
            if not found[-1].owned:
                found[-1].path, found[-1].line = resource.path, resource.line
    return found or [out.setdefault(resource.address, _Subject(resource.address, Setting.IDENTITY, resource.path, resource.line))]


def _unknown(reading: _Reading, at: Expression | None) -> tuple[Statement, ...]:
    """A policy known by its name alone: the file of a template, or the expression's own text."""
    if at is None:
        return ()
    named = at.items[0].text if at.kind == "call" and at.name in ("templatefile", "file") and at.items else at.text
    return (Statement(True, (token(named.replace('"', "'")),), unsure=True, line=at.line),)


def _plain(text: str) -> str:
    """A text with its references written as in the configuration."""
    return re.sub(r"\$\{([^{}]*)\}", r"\1", text)


def _managed_arn(reading: _Reading, arn: str) -> str:
    match = re.search(r"data\.aws_iam_policy\.[\w-]+", arn)
    data = reading.configuration.data.get(match.group()) if match else None
    if data is not None:
        body = reading.configuration.body(data)
        return reading.text(body.get("arn") or body.get("name")) or arn
    return re.sub(r"\Aarn:\$\{[^{}]*\}:", "arn:aws:", arn)


def _permission(reading: _Reading, resource: Resource, body: Block, out: dict[str, _Subject]) -> None:
    function = reading.text(body.get("function_name"))
    key = f"{function} (permissions)"
    subject = out.setdefault(
        key,
        _Subject(
            function.strip("${}").removesuffix(".function_name").removesuffix(".arn").removesuffix(".name"),
            Setting.RESOURCE,
            resource.path,
            resource.line,
            resource.type,
        ),
    )
    conditions = {
        Condition("ArnLike" if name == "source_arn" else "StringEquals", label, frozenset(reading.texts(body.get(name))))
        for name, label in (
            ("source_arn", "aws:SourceArn"),
            ("source_account", "aws:SourceAccount"),
            ("principal_org_id", "aws:PrincipalOrgID"),
            ("function_url_auth_type", "lambda:FunctionUrlAuthType"),
        )
        if body.get(name) is not None
    }
    for name in reading.texts(body.get("principal")):
        who: Principal = (
            ANYONE if name == "*" else principal("Service" if "." in name and not name.startswith(("arn:", "${")) else "AWS", name)
        )
        subject.statements.append(
            Statement(
                True,
                (reading.text(body.get("action")) or "lambda:InvokeFunction",),
                ("*",),
                (who,),
                frozenset(conditions),
                line=resource.line,
            )
        )


def _resource_policies(reading: _Reading, resource: Resource, body: Block, out: dict[str, _Subject]) -> None:
    for key in _POLICY_KEYS:
        found = reading.statements(body.get(key)) if body.get(key) is not None else None
        if found and any(s.actions for s in found):
            setting = (
                Setting.LIMIT if resource.type in _LIMITS else Setting.RESOURCE if any(s.principals for s in found) else Setting.IDENTITY
            )
            out[f"{resource.address} {key}"] = _Subject(resource.address, setting, resource.path, resource.line, resource.type, list(found))


def _elsewhere(reading: _Reading, out: dict[str, _Subject]) -> None:
    """Documents given to modules or to nothing known here: compared under their own name."""
    for address, data in reading.configuration.data.items():
        if data.type == "aws_iam_policy_document" and address not in reading.used:
            found = reading.document(address)
            reading.used.discard(address)
            out[address] = _Subject(address, _setting(found), data.path, data.line, data.type, list(found))
    for address, module in reading.configuration.modules.items():
        for key, value in reading.configuration.body(module).attributes.items():
            if "polic" in key and value.kind in ("call", "literal", "template"):
                found = reading.statements(value) or ()
                if found:
                    out[f"{address} {key}"] = _Subject(address, _setting(found), module.path, module.line, "module", list(found))


def _aws(old: _Reading, new: _Reading) -> Iterator[Effect]:
    before, after = _subjects(old), _subjects(new)
    same = {**_moves(new.configuration.moved, before, after), **_renames(before, after)}
    known = {name: subject for name, subject in before.items() if subject.type == "aws_iam_policy_document"}
    for key, subject in after.items():
        previous = before.get(same.get(key, key))
        if previous is None and subject.type == "aws_iam_policy_document" and any(_same(subject, other) for other in before.values()):
            continue
        if previous is None and known and any(_same(subject, other) for other in known.values()):
            continue
        found = _compared(previous, subject, new)
        kept = subject.boundary is not None and (previous is None or previous.boundary == subject.boundary)
        yield from within(_plain(subject.boundary), found) if kept and subject.boundary else found


def _moves(moved: Mapping[str, str], before: Mapping[str, _Subject], after: Mapping[str, _Subject]) -> dict[str, str]:
    out = {}
    for source, target in moved.items():
        for tail in ("", " (trust)"):
            if target + tail in after and source + tail in before:
                out[target + tail] = source + tail
    return out


def _same(one: _Subject, other: _Subject) -> bool:
    return one.setting is other.setting and not compare(other.statements, one.statements).widened


def _renames(before: Mapping[str, _Subject], after: Mapping[str, _Subject]) -> dict[str, str]:
    """New subjects that hold nothing a vanished one of the same kind did not."""
    out: dict[str, str] = {}
    gone = [key for key in before if key not in after]
    for key, subject in after.items():
        if key in before:
            continue
        for other in gone:
            old = before[other]
            if old.type == subject.type and not subject.attached.keys() - old.attached.keys() and _same(subject, old):
                out[key] = other
                gone.remove(other)
                break
    return out


def _compared(old: _Subject | None, new: _Subject, reading: _Reading) -> Iterator[Effect]:
    fresh = old is None
    verdicts = grade(None if old is None else old.statements, new.statements, new.setting)
    path = new.path
    for effect in effects(GRADED, verdicts, new.name, path, new.line):
        yield _placed(effect, reading, old, new)
    unknown: list[tuple[str, str, int]] = []
    for arn, (where, line) in new.attached.items():
        if old is not None and arn in old.attached:
            continue
        name, severity, what = managed(arn)
        if fresh and severity is LOW and "service-role/" in arn:
            continue
        if severity is LOW and "${" in arn:
            unknown.append((_plain(name), where, line))
            continue
        kind = GRADED[Kind.ADMIN] if severity is CRITICAL else ATTACHED
        yield kind.effect(
            subject=new.name, path=where, line=line, after=_plain(name), severity=severity, confidence=Confidence.LIKELY if "${" in arn else Confidence.CERTAIN,
            message=f"{new.name} newly holds the policy {_plain(name)}: {what}.",
        )  # fmt: skip
    if unknown:
        names, where, line = [row[0] for row in unknown], *unknown[0][1:]
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        yield ATTACHED.effect(
            subject=new.name, path=where, line=line, after=shown, severity=LOW, confidence=Confidence.LIKELY,
            message=f"{new.name} newly holds the polic{'y' if len(names) == 1 else 'ies'} {shown}: what {'that policy allows' if len(names) == 1 else 'those policies allow'}.",
        )  # fmt: skip
    if old is not None and old.boundary and not new.boundary and new.owned:
        yield BOUNDARY.effect(
            subject=new.name, path=path, line=new.line, before=_plain(old.boundary), after="none",
            message=f"{new.name} loses its permissions boundary: nothing limits what its policies allow, nor what it may create.",
        )  # fmt: skip


def _placed(effect: Effect, reading: _Reading, old: _Subject | None, subject: _Subject) -> Effect:
    """The effect in the file its line belongs to: the statement may stand in another file than the role."""
    line = effect.line or 0
    stood = [replace(statement, line=0) for statement in (old.statements if old is not None else ())]
    at = [(replace(statement, line=0) in stood, path) for statement, path in subject.written if statement.line == line]
    if at:
        # Two files may hold a statement at this line: what stood before widens nothing.
        return replace(effect, path=min(at)[1])
    for resource in (*reading.configuration.data.values(), *reading.configuration.resources.values()):
        named = resource.type in (*_INLINE, "aws_iam_policy", "aws_iam_policy_document") or resource.address == subject.name
        if named and resource.line <= line <= resource.end and line != subject.line:
            return replace(effect, path=resource.path)
    return effect


def _new_things(old: _Reading, new: _Reading) -> Iterator[Effect]:
    for address, resource in new.configuration.resources.items():
        before = old.configuration.resources.get(address)
        if resource.type in _KEYS and before is None and address not in new.configuration.moved.values():
            holder = _held_by(new, resource)
            # Whoever had a key and gets another can do nothing more: that is how keys are rotated.
            rotated = bool(holder) and any(
                other.type == resource.type and _held_by(old, other) == holder for other in old.configuration.resources.values()
            )
            yield KEY.effect(
                subject=address,
                path=resource.path,
                line=resource.line,
                severity=LOW if rotated else None,
                message=f"{address} creates {_KEYS[resource.type]}: it works from anywhere until someone deletes it."
                if not rotated
                else f"{address} creates {_KEYS[resource.type]} for someone who has one already: the old one works until it is deleted.",
            )
        elif resource.type in _MEMBERS:
            keys = _MEMBERS[resource.type]
            was = _instance_texts(old, before, keys) if before is not None else {}
            added = [
                (name, text)
                for name, held in _instance_texts(new, resource, keys).items()
                for text in held
                if text not in was.get(name, ())
            ]
            texts = {text for _, text in added}
            twin = before is None and any(
                other.type == resource.type
                and other.address not in new.configuration.resources
                and {t for k in keys for t in old.texts(old.configuration.body(other).get(k))} >= texts
                for other in old.configuration.resources.values()
            )
            if added and not twin:
                rows = dict.fromkeys(f"{name}: {_plain(text)}" if name and name != text else _plain(text) for name, text in added)
                shown = ", ".join(list(rows)[:4])
                yield MEMBER.effect(
                    subject=address,
                    path=resource.path,
                    line=resource.line,
                    after=shown,
                    message=f"{address} newly brings together {shown}: who is in it gets its permissions.",
                )


def _instance_texts(reading: _Reading, resource: Resource, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What stands under `keys` in each instance, by its key, where the `for_each` is written out; else what stands in the one body, under no key."""
    body = reading.configuration.body(resource)
    each = body.get("for_each")
    values = keyed(each) if each is not None else None
    if values is None or len(values) > INSTANCES:
        bodies = {"": body}
    else:
        bodies = {key: reading.configuration.instance(resource, key, value) for key, value in values.items()}
    return {name: tuple(text for key in keys for text in reading.texts(one.get(key))) for name, one in bodies.items()}


def _held_by(reading: _Reading, key: Resource) -> str:
    """Whom a key or password is for, "" where that is not written."""
    body = reading.configuration.body(key)
    return next((text for name in _HELD_BY if body.get(name) is not None and (text := reading.text(body.get(name)))), "")


_HELD_BY = ("user", "service_account_id", "application_id", "application_object_id", "service_principal_id")
_KEYS = {
    "aws_iam_access_key": "a long-lived access key",
    "aws_iam_user_login_profile": "a password for the console",
    "google_service_account_key": "a long-lived service account key",
    "azuread_application_password": "a long-lived application password",
    "azuread_service_principal_password": "a long-lived service principal password",
}
_MEMBERS = {
    "aws_iam_group_membership": ("users", "group"),
    "aws_iam_user_group_membership": ("groups", "user"),
    "fastly_user": ("login", "role"),
    "datadog_team_membership": ("team_id", "user_id"),
    "aws_ssoadmin_account_assignment": ("principal_id", "target_id", "permission_set_arn"),
    "azuread_group_member": ("group_object_id", "member_object_id"),
    "azuread_directory_role_assignment": ("role_id", "principal_object_id"),
    "azuread_app_role_assignment": ("app_role_id", "principal_object_id", "resource_object_id"),
    "google_cloud_identity_group_membership": ("group", "preferred_member_key"),
}

# Google Cloud -------------------------------------------------------------------------------------------------------------------------

_GOOGLE = re.compile(r"google_(\w+?)_iam_(member|binding|policy)\Z")
_SCOPES = ("project", "folder", "org_id", "bucket", "service_account_id", "secret_id", "dataset_id", "topic", "subscription", "crypto_key_id", "key_ring_id", "service", "cloud_run_service_name", "name", "repository", "instance", "table_id", "cloud_function", "function", "billing_account_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Grant:
    scope: str
    role: str
    member: str
    address: str = field(compare=False)
    path: str = field(compare=False)
    line: int = field(compare=False)
    kind: str = field(compare=False, default="")


def _repeated(reading: _Reading, body: Block, text: str) -> str:
    """A text of a repeated block with what it is repeated over: `each.value` alone says nothing."""
    over = body.get("for_each")
    return text.replace("${each.", "${" + reading.text(over).strip("${}") + ".each.") if over is not None else text


def _google_grants(reading: _Reading) -> set[_Grant]:
    out: set[_Grant] = set()
    for address, resource in reading.configuration.resources.items():
        match = _GOOGLE.match(resource.type)
        if match is None:
            continue
        body = reading.configuration.body(resource)
        scope = (
            " ".join(_repeated(reading, body, reading.text(body.get(key))) for key in _SCOPES if body.get(key) is not None)
            + " "
            + match.group(1)
        )
        pairs = [
            (role, member)
            for role in reading.texts(body.get("role"))
            for key in ("member", "members")
            for member in reading.texts(body.get(key))
        ]
        data = (
            re.search(r"data\.google_iam_policy\.[\w-]+", body.attributes["policy_data"].text) if "policy_data" in body.attributes else None
        )
        document = reading.configuration.data.get(data.group()) if data else None
        if document is not None:
            for block in reading.configuration.body(document).nested("binding"):
                pairs.extend((reading.text(block.get("role")), member) for member in reading.texts(block.get("members")))
        out.update(_Grant(scope, role, member, address, resource.path, resource.line, match.group(1)) for role, member in pairs)
    return out


_PUBLIC = ("allUsers", "allAuthenticatedUsers")
_COMPUTED = re.compile(r"\$\{[^{}]*(?:\bfor\b|\w\(|\beach\.)")
"""A reference with a loop or a call in it: a value that only a plan knows."""


def _google(old: _Reading, new: _Reading) -> Iterator[Effect]:
    before, after = _google_grants(old), _google_grants(new)
    had = {(grant.role, grant.member): grant for grant in before - after}
    computed = {grant.address for grant in before if _COMPUTED.search(grant.role + grant.member)}
    fresh: dict[str, list[_Grant]] = {}
    for grant in after - before:
        # What a loop makes of its input says nothing here, and neither does another way to write the loop.
        if grant.address in computed and _COMPUTED.search(grant.role + grant.member):
            continue
        # A scope spelled otherwise (the project as a variable in place of its name) is the same grant when the old spelling is gone.
        if (grant.role, grant.member) in had and ("${" in grant.scope or "${" in had[(grant.role, grant.member)].scope):
            continue
        fresh.setdefault(grant.address, []).append(grant)
    for address, grants in sorted(fresh.items()):
        graded = sorted(
            ((_google_severity(grant), grant.role, grant.member, grant) for grant in grants), key=lambda row: (-row[0].rank, row[1], row[2])
        )
        severity, _, _, grant = graded[0]
        kind = GRADED[Kind.PUBLIC] if grant.member in _PUBLIC else ROLE
        who = sorted({_plain(g.member) for g in grants})
        roles = sorted({_plain(g.role) for g in grants})
        yield kind.effect(
            subject=address, path=grant.path, line=grant.line, severity=severity, after=f"{', '.join(roles[:3])} to {', '.join(who[:3])}",
            confidence=Confidence.LIKELY if "${" in grant.role else Confidence.CERTAIN,
            message=f"{address} newly grants {', '.join(roles[:3])} to {', '.join(who[:3])}{' and more' if len(who) > 3 or len(roles) > 3 else ''}.",
        )  # fmt: skip
    yield from _custom(old, new, ("google_project_iam_custom_role", "google_organization_iam_custom_role"), ("permissions",))


def _google_severity(grant: _Grant) -> Severity:
    if grant.member in _PUBLIC:
        return CRITICAL if grant.member == "allUsers" and not re.search(r"viewer|invoker", grant.role, re.IGNORECASE) else HIGH
    wide = grant.kind in ("project", "folder", "organization", "billing_account")
    severity = google_role(grant.role)
    return severity if wide else severity.step(-1)


# Azure --------------------------------------------------------------------------------------------------------------------------------


def _azure_grants(reading: _Reading) -> list[_Grant]:
    out = []
    for address, resource in reading.configuration.resources.items():
        if resource.type == "azurerm_role_assignment":
            body = reading.configuration.body(resource)
            role = reading.text(body.get("role_definition_name") or body.get("role_definition_id"))
            scope, member = (_repeated(reading, body, reading.text(body.get(key))) for key in ("scope", "principal_id"))
            out.append(_Grant(scope, role, member, address, resource.path, resource.line))
    return out


def _azure(old: _Reading, new: _Reading) -> Iterator[Effect]:
    before, after = _azure_grants(old), _azure_grants(new)
    kept = {grant.address for grant in after}
    moved = {target: source for source, target in new.configuration.moved.items()}
    for grant in after:
        earlier = [b for b in before if (b.role, b.member) == (grant.role, grant.member)]
        if any(b.scope == grant.scope or azure_scope(b.scope) > azure_scope(grant.scope) > 0 for b in earlier):
            continue
        previous = next((b for b in before if b.address == moved.get(grant.address, grant.address)), None)
        # The same assignment, repeated now over a list that holds what it named.
        if (
            previous is not None
            and (previous.role, previous.scope) == (grant.role, grant.scope)
            and re.search(r"count\.index|\beach\.", grant.member)
        ):
            continue
        # The principal spelled otherwise on the same assignment's twin: a renamed resource.
        if any(b.role == grant.role and b.scope == grant.scope and b.address not in kept and "${" in b.member for b in before):
            continue
        severity = _azure_severity(grant)
        role = _plain(grant.role)
        scope = _plain(grant.scope)
        shown = None if previous is None else f"{_plain(previous.role)} on {_plain(previous.scope)}"
        yield ROLE.effect(
            subject=grant.address, path=grant.path, line=grant.line, severity=severity, before=shown, after=f"{role} on {scope}",
            confidence=Confidence.LIKELY if "${" in grant.role else Confidence.CERTAIN,
            message=f"{grant.address} newly grants {role} on {scope} to {_plain(grant.member)}.",
        )  # fmt: skip
    yield from _custom(old, new, ("azurerm_role_definition",), ("permissions",))
    yield from _vaults(old, new)


def _azure_severity(grant: _Grant) -> Severity:
    severity = azure_role(grant.role)
    width = azure_scope(grant.scope)
    return severity if width >= 3 else severity.step(-1)


def _custom(old: _Reading, new: _Reading, types: Sequence[str], keys: Sequence[str]) -> Iterator[Effect]:
    for address, resource in new.configuration.resources.items():
        if resource.type not in types:
            continue
        before = old.configuration.resources.get(address)
        if before is None:
            continue  # a new role gives nobody anything until it is granted, and the grant is said
        had = _listed(old, before, keys)
        added = sorted(text for text in _listed(new, resource, keys) if not any(covers(wide.lower(), text.lower()) for wide in had))
        if not added:
            continue
        wide = any("*" in text or re.search(r"setIamPolicy|roleAssignments/write", text) for text in added)
        severity = HIGH if wide else MODERATE
        yield CUSTOM.effect(
            subject=address, path=resource.path, line=resource.line, after=", ".join(added[:5]), severity=severity,
            message=f"{address} newly allows {', '.join(added[:4])}{f' and {len(added) - 4} more' if len(added) > 4 else ''}.",
        )  # fmt: skip


def _listed(reading: _Reading, resource: Resource, keys: Sequence[str]) -> set[str]:
    body = reading.configuration.body(resource)
    out = {text for key in keys for text in reading.texts(body.get(key))}
    for block in body.nested("permissions"):
        out |= {text for key in ("actions", "data_actions") for text in reading.texts(block.get(key))}
    return out


_VAULT = ("key_permissions", "secret_permissions", "certificate_permissions", "storage_permissions")


def _vaults(old: _Reading, new: _Reading) -> Iterator[Effect]:
    before = {(vault, who, what) for vault, who, what, _, _, _ in _vault_grants(old)}
    known = {(who, what) for _, who, what in before}
    fresh: dict[str, list[tuple[str, str, str, int]]] = {}
    for vault, who, what, address, path, line in _vault_grants(new):
        if (vault, who, what) not in before and not ("${" in vault and (who, what) in known):
            fresh.setdefault(address, []).append((who, what, path, line))
    for address, rows in sorted(fresh.items()):
        granted = list(dict.fromkeys(row[1] for row in rows))
        people = list(dict.fromkeys(_plain(row[0]) for row in rows))
        strong = any(re.search(r"delete|purge|set|all|backup|\*", text, re.IGNORECASE) for text in granted)
        who = ", ".join(people[:3]) + (f" and {len(people) - 3} more" if len(people) > 3 else "")
        yield CUSTOM.effect(
            subject=address, path=rows[0][2], line=rows[0][3], after=f"{who}: {', '.join(granted[:5])}", severity=MODERATE if strong else LOW,
            message=f"{who} may newly use the vault of {address}: {', '.join(granted[:5])}{' and more' if len(granted) > 5 else ''}.",
        )  # fmt: skip


def _vault_grants(reading: _Reading) -> Iterator[tuple[str, str, str, str, str, int]]:
    for address, resource in reading.configuration.resources.items():
        blocks: tuple[tuple[str, Block], ...]
        if resource.type == "azurerm_key_vault":
            blocks = tuple((address, block) for block in reading.configuration.body(resource).nested("access_policy"))
        elif resource.type == "azurerm_key_vault_access_policy":
            body = reading.configuration.body(resource)
            vault = re.search(r"azurerm_key_vault\.[\w-]+", reading.text(body.get("key_vault_id")))
            blocks = ((vault.group() if vault else reading.text(body.get("key_vault_id")), body),)
        else:
            continue
        for vault_name, block in blocks:
            who = reading.text(block.get("object_id"))
            for key in _VAULT:
                for text in reading.texts(block.get(key)):
                    yield (
                        vault_name,
                        who,
                        f"{key.removesuffix('_permissions')} {text.lower()}",
                        address,
                        resource.path,
                        block.line or resource.line,
                    )


DETECTOR = Detector(
    name="terraform-iam",
    title="Access in Terraform",
    rules=(*GRADED.values(), ATTACHED, BOUNDARY, KEY, MEMBER, ROLE, CUSTOM),
    detect=detect,
    group=by_directory,
)
