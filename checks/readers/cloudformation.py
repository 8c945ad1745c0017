"""CloudFormation and SAM templates, also those inside a serverless.yml: resources by logical id, with what their values are by default.

Whether a file is a template is decided by its content: a map `Resources` whose members have a `Type` such as `AWS::S3::Bucket`.
Conditions and references are followed only where the template itself says their value (parameter defaults, mappings with literal keys).
Source: docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html and serverless.com/framework/docs/providers/aws/guide/resources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

from checks.access.aws_policy import call, canonical, is_no_value, spell, token
from checks.model import Unreadable
from checks.readers import text_of
from checks.readers.documents import LIMIT, Node, read, yaml

_TYPE = re.compile(r"(?:AWS|Alexa|Custom|[A-Za-z0-9]+)::[A-Za-z0-9:]+\Z")
_HINT = re.compile(rb"AWSTemplateFormatVersion|AWS::[A-Za-z0-9]+|Transform")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One logical resource."""

    id: str
    type: str
    line: int
    properties: Node
    deletion: str | None
    """`DeletionPolicy` as written, None where it is not."""
    replacement: str | None
    """`UpdateReplacePolicy`."""
    condition: str | None
    node: Node

    def get(self, *keys: str) -> Node | None:
        """A property by its path of keys."""
        return self.properties.get(*keys)


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One template."""

    resources: Mapping[str, Resource]
    defaults: Mapping[str, str]
    """Parameter → default value."""
    conditions: Mapping[str, Node]
    mappings: Node | None
    globals: Node | None
    """SAM's `Globals`."""
    sam: bool
    node: Node
    broken: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)
    """Logical id (or section) → line, text and reason of what cannot be parsed, where the rest can."""


def looks_like_template(data: bytes) -> bool:
    """Whether bytes may be a template, at a glance; for what cannot be parsed."""
    return b"Resources" in data and _HINT.search(data) is not None and b"AWS::" in data


@lru_cache(maxsize=64)
def template(data: bytes, path: str) -> Template | None:
    """The template in a file, None where there is none. Raises `Unreadable` for a file that looks like one and cannot be read."""
    if not looks_like_template(data):
        return None
    try:
        documents = read(data, path)
    except Unreadable as unreadable:
        found = _rendered(data, path) if b"{{" in data else None
        if found is not None:
            unreadable.data = None  # it is no YAML as it stands, and was read all the same
        found = found or _pieces(data, path)
        if found is None:
            raise
        return found
    return _first(documents)


def _first(documents: Sequence[Node]) -> Template | None:
    for node in documents[:1]:
        found = of_node(node)
        if found is not None:
            return found
        inner = node.get("resources")
        if node.get("provider") is not None and inner is not None:
            return _serverless(inner)
    return None


def _rendered(data: bytes, path: str) -> Template | None:
    """A template that a Go template makes (Sceptre, Senza and their likes): rendered with every value unknown; None where even that is no YAML."""
    from checks.readers import helm

    for both in (True, False):
        try:
            made = helm.render(data, path, None, both)
            documents = yaml(made.text.encode("utf-8", "surrogatepass"), path)
        except Unreadable:
            continue
        return _first([_placed(node, made.lines, {}) for node in documents[:1]])
    return None


_UNKNOWN = re.compile("⟦([^⟦⟧]*)⟧")


def _placed(node: Node, lines: tuple[int, ...], made: dict[int, Node]) -> Node:
    """A node of rendered text on the lines it came from, what was not known as a reference. A node that aliases share stays shared."""
    found = made.get(id(node))
    if found is not None:
        return found
    line = lines[min(max(node.line, 1), len(lines)) - 1] if lines else node.line
    if node.pairs is not None:
        pairs = tuple((_placed(key, lines, made), _placed(value, lines, made)) for key, value in node.pairs)
        found = replace(node, line=line, pairs=pairs)
    elif node.items is not None:
        found = replace(node, line=line, items=tuple(_placed(item, lines, made) for item in node.items))
    elif node.text is None or "⟦" not in node.text:
        found = replace(node, line=line)
    else:
        found = replace(node, line=line, tag=node.tag or "!Sub", text=_UNKNOWN.sub(lambda match: token(match.group(1)), node.text))
    made[id(node)] = found
    return found


_SECTION = re.compile(r"([A-Za-z]+):")


def _pieces(data: bytes, path: str) -> Template | None:
    """A template that is not valid as a whole, read section by section and resource by resource; None where even that gives nothing."""
    if path.endswith(".json") or data.lstrip()[:1] == b"{":
        return None
    lines = text_of(data, path, LIMIT).split("\n")
    starts = [at for at, line in enumerate(lines) if _SECTION.match(line)]
    sections: list[tuple[Node, Node]] = []
    broken: dict[str, tuple[int, str, str]] = {}
    for start, end in pairwise([*starts, len(lines)]):
        name = lines[start].partition(":")[0]
        if name != "Resources":
            _piece(lines, start, end, path, sections, broken)
            continue
        members: list[tuple[Node, Node]] = []
        indent = next(
            (len(line) - len(line.lstrip()) for line in lines[start + 1 : end] if line.strip() and not line.lstrip().startswith("#")), 0
        )
        child = re.compile(rf"[ ]{{{indent}}}[A-Za-z0-9:]+:\s*(?:#.*)?\Z") if indent else None
        inner = [at for at in range(start + 1, end) if child and child.match(lines[at])][:2_000]
        if not inner:
            _piece(lines, start, end, path, sections, broken)
            continue
        for low, high in pairwise([*inner, end]):
            _piece(lines, low, high, path, members, broken)
        sections.append((Node(line=start + 1, text=name), Node(line=start + 1, pairs=tuple(members))))
    found = of_node(Node(line=1, pairs=tuple(sections)))
    return replace(found, broken=broken) if found is not None and found.resources else None


def _piece(
    lines: list[str], start: int, end: int, path: str, out: list[tuple[Node, Node]], broken: dict[str, tuple[int, str, str]]
) -> None:
    text = "\n".join(lines[start:end])
    try:
        documents = yaml(("\n" * start + text).encode("utf-8", "surrogatepass"), path)
    except Unreadable as unreadable:
        broken[lines[start].strip().partition(":")[0]] = (unreadable.line or start + 1, text.strip(), unreadable.why)
        return
    for node in documents[:1]:
        out.extend(node.pairs or ())


def of_node(node: Node) -> Template | None:
    """The template a parsed document is, None where it is none."""
    resources = node.get("Resources")
    if resources is None or not resources.is_map:
        return None
    found = {}
    for (key, value), _ in zip(resources.pairs or (), range(2_000), strict=False):
        resource = _resource(key, value)
        if resource is not None:
            found[resource.id] = resource
    if not found and node.get("AWSTemplateFormatVersion") is None:
        return None
    if found and not any(resource.type.startswith(("AWS::", "Custom::")) for resource in found.values()):
        return None
    transform = node.get("Transform")
    parameters = node.get("Parameters")
    conditions = node.get("Conditions")
    return Template(
        resources=found,
        defaults={
            name: default for name, body in (parameters.entries() if parameters else ()) if (default := body.string("Default")) is not None
        },
        conditions=dict(conditions.entries()) if conditions is not None else {},
        mappings=node.get("Mappings"),
        globals=node.get("Globals"),
        sam=transform is not None and any("Serverless" in (item.text or "") for item in transform.elements()),
        node=node,
    )


def _serverless(resources: Node) -> Template | None:
    pairs: list[tuple[Node, Node]] = []
    for part in resources.elements():
        inner = part.get("Resources")
        if inner is not None and inner.pairs:
            pairs.extend(inner.pairs)
    if not pairs:
        return None
    merged = Node(line=pairs[0][0].line, pairs=tuple(pairs))
    return of_node(Node(line=resources.line, pairs=((Node(line=resources.line, text="Resources"), merged),)))


_EMPTY = Node(line=0, pairs=())


def _resource(key: Node, value: Node) -> Resource | None:
    kind = value.string("Type")
    if not value.is_map or kind is None or not _TYPE.match(kind):
        return None
    properties = value.get("Properties")
    return Resource(
        id=key.text or "",
        type=kind,
        line=key.line,
        properties=properties if properties is not None and properties.is_map else _EMPTY,
        deletion=_word(value.get("DeletionPolicy")),
        replacement=_word(value.get("UpdateReplacePolicy")),
        condition=value.string("Condition"),
        node=value,
    )


def _word(node: Node | None) -> str | None:
    if node is None:
        return None
    return node.text if node.text is not None and not node.tag else token(canonical(node))


_ARNS = {
    "AWS::S3::Bucket": ("arn:aws:s3:::", "BucketName"),
    "AWS::DynamoDB::Table": ("arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/", "TableName"),
    "AWS::Lambda::Function": ("arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:", "FunctionName"),
    "AWS::Serverless::Function": ("arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:", "FunctionName"),
    "AWS::Kinesis::Stream": ("arn:aws:kinesis:${AWS::Region}:${AWS::AccountId}:stream/", "Name"),
    "AWS::CodeBuild::Project": ("arn:aws:codebuild:${AWS::Region}:${AWS::AccountId}:project/", "Name"),
    "AWS::ECR::Repository": ("arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/", "RepositoryName"),
    "AWS::KMS::Key": ("arn:aws:kms:${AWS::Region}:${AWS::AccountId}:key/", ""),
}
"""Type → what its ARN is before the name that `Ref` gives, and the property that sets this name."""
_NAMED = {
    "AWS::CodeCommit::Repository": ("arn:aws:codecommit:${AWS::Region}:${AWS::AccountId}:", "Name"),
    "AWS::SQS::Queue": ("arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:", "QueueName"),
}
"""Type → the same where an attribute gives the name, and that attribute."""


def spelled(template: Template, text: str) -> str:
    """An ARN with the template's own resources in one spelling: `${Bucket.Arn}` and `arn:aws:s3:::${Bucket}` are the same, and so is its literal name."""
    if "${" not in text:
        return text

    def fill(match: re.Match[str]) -> str:
        name, _, attribute = match.group(1).partition(".")
        resource = template.resources.get(name)
        if resource is None:
            return match.group()
        if resource.type in _ARNS and attribute in ("", "Arn"):
            prefix, key = _ARNS[resource.type]
            node = resource.get(key) if key else None
            given = spell(node) if node is not None and not is_no_value(node) else []
            return (prefix if attribute else "") + (given[0] if len(given) == 1 else "${" + name + "}")
        if resource.type in _NAMED and attribute == "Arn":
            prefix, key = _NAMED[resource.type]
            return f"{prefix}${{{name}.{key}}}"
        return match.group()

    return re.sub(r"\$\{([^{}]*)\}", fill, text)


def plain(template: Template, node: Node | None) -> str | None:
    """The scalar a value is by the template alone: a literal, a parameter's default; None where it is not known or not there."""
    if node is None or is_no_value(node):
        return None
    found = call(node)
    if found is None:
        return node.text
    if found[0] == "Ref":
        return template.defaults.get(found[1].text or "")
    if found[0] == "Fn::FindInMap":
        mapped = _literal(template, node)
        return mapped[0] if mapped is not None else None
    if found[0] == "Fn::Sub":
        (text, *more) = spell(node) or [""]
        filled = re.sub(r"\$\{([^{}]*)\}", lambda m: template.defaults.get(m.group(1), m.group()), text)
        return None if more or "${" in filled else filled
    return None


def meaning(template: Template, node: Node | None) -> tuple[object, bool]:
    """A value in one spelling, with parameter defaults put in, and whether it is all literal. Absent, NoValue and null are None."""
    if node is None or is_no_value(node) or (node.is_scalar and node.value is None and node.plain and not node.tag):
        return None, True
    if call(node) is not None:
        known = plain(template, node)
        if known is not None:
            return _scalar(known), False
        return tuple(spell(node)), False
    if node.pairs is not None:
        members = {key: meaning(template, value) for key, value in node.entries()}
        return (
            frozenset((key, value) for key, (value, _) in members.items() if value is not None),
            all(sure for _, sure in members.values()),
        )
    if node.items is not None:
        items = [meaning(template, item) for item in node.items]
        return tuple(value for value, _ in items), all(sure for _, sure in items)
    return _scalar(node.text or ""), True


def _scalar(text: str) -> str:
    low = text.strip().lower()
    return low if low in ("true", "false") else text.strip()


def truth(template: Template, node: Node | None) -> bool | None:
    """A boolean by the template alone; None where it is absent or not known."""
    known = plain(template, node)
    return {"true": True, "false": False}.get(known.lower()) if known is not None else None


def possible(template: Template, name: str | None) -> bool:
    """Whether a condition may hold: false only where the template alone makes it surely false."""
    return name is None or holds(template, name) != (False, True)


def holds(template: Template, name: str | None) -> tuple[bool, bool] | None:
    """(whether a condition holds, whether that is sure) with the parameters at their defaults; None where it is not known. No condition holds."""
    return (True, True) if name is None else _holds(template, template.conditions.get(name), 0)


def _holds(template: Template, node: Node | None, depth: int) -> tuple[bool, bool] | None:
    found = call(node) if node is not None and depth < 20 else None
    if found is None:
        return None
    name, argument = found
    if name in ("Fn::Condition", "Condition"):
        return _holds(template, template.conditions.get(argument.text or ""), depth + 1)
    items = argument.items or ()
    if name == "Fn::Equals" and len(items) == 2:
        left, right = (_literal(template, item) for item in items)
        return None if left is None or right is None else (left[0] == right[0], left[1] and right[1])
    if name not in ("Fn::Not", "Fn::And", "Fn::Or") or not items:
        return None
    parts = [_holds(template, _condition(item), depth + 1) for item in items[:10]]
    if name == "Fn::Not":
        return None if parts[0] is None else (not parts[0][0], parts[0][1])
    decisive = name == "Fn::Or"
    deciding = [part for part in parts if part is not None and part[0] is decisive]
    if deciding:
        return decisive, any(part[1] for part in deciding)
    return None if None in parts else (not decisive, all(part[1] for part in parts if part is not None))


def _condition(node: Node) -> Node:
    """`{"Condition": "Name"}` inside another condition, as the function it is."""
    name = node.string("Condition") if not node.tag and node.keys() == ("Condition",) else None
    return Node(line=node.line, tag="!Condition", text=name) if name is not None else node


def _literal(template: Template, node: Node) -> tuple[str, bool] | None:
    """A text and whether it is sure: what a parameter's default gives, or a mapping by it, another value may be given for at deployment."""
    found = call(node)
    if found is None:
        return (node.text, True) if node.text is not None else None
    if found[0] == "Fn::FindInMap":
        items = (found[1].items or ())[:3]
        keys = [key for item in items if (key := _literal(template, item)) is not None]
        if len(keys) != 3 or template.mappings is None:
            return None
        value = template.mappings.get(*(key for key, _ in keys))
        return (value.text, all(sure for _, sure in keys)) if value is not None and value.text is not None else None
    known = plain(template, node)
    return (known, False) if known is not None else None
