"""AWS policy documents as statements: JSON, and the same inside CloudFormation or Terraform, where parts are references.

A reference becomes a token, `${Name}` or `${Name.Attribute}`, in one spelling for `!Ref`, `!GetAtt`, `!Sub` and their long forms, so that two
ways of saying the same are the same text. What cannot be followed (imports, mappings, transforms) is a token of its own text.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html and the CloudFormation intrinsic function reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from checks.access.aws import Condition, Principal, Statement, principal
from checks.model import Unreadable
from checks.readers.documents import Node, json_node

SPREAD = 64
"""Texts one value may stand for when conditions choose between several."""
_KINDS = {"aws": "AWS", "service": "Service", "federated": "Federated", "canonicaluser": "CanonicalUser"}


def policy(node: Node | None) -> tuple[Statement, ...] | None:
    """The statements of a policy document, None where it is not one that can be read (a reference in place of the whole)."""
    if node is not None and (found := call(node)) is not None and found[0] == "Fn::Sub":
        filled = spell(node)
        node = Node(line=node.line, text=filled[0], plain=False) if len(filled) == 1 and filled[0].lstrip().startswith("{") else node
    stands: int | None = None
    if node is not None and node.text is not None and not node.tag and node.text.lstrip().startswith("{"):
        stands = node.line
        try:
            node = json_node(node.text.encode("utf-8", "surrogatepass"), "policy")
        except Unreadable:
            return None
    if node is None or not node.is_map or node.tag or _function(node):
        return None
    body = _member(node, "Statement")
    if body is None:
        return None
    out: list[Statement] = []
    for item, unsure in _choices(body):
        out.extend(_statement(item, unsure))
    return tuple(out) if stands is None else tuple(replace(statement, line=stands) for statement in out)


def is_policy(node: Node | None) -> bool:
    """Whether a map looks like a policy document: statements with an effect."""
    if node is None or not node.is_map:
        return False
    body = _member(node, "Statement")
    if body is None:
        return False
    first = next((item for item, _ in _choices(body)), None)
    return first is not None and first.is_map and first.string("Effect") in ("Allow", "Deny")


def _member(node: Node, key: str) -> Node | None:
    return next((value for name, value in node.entries() if name.lower() == key.lower()), None)


def _function(node: Node) -> str | None:
    """The intrinsic function a map is: its only key, `Ref` or `Fn::…`."""
    keys = node.keys()
    return keys[0] if len(keys) == 1 and (keys[0] == "Ref" or keys[0].startswith("Fn::")) else None


def call(node: Node) -> tuple[str, Node] | None:
    """The intrinsic function of a node in either form, `("Fn::Sub", argument)`; None for a plain value."""
    if node.tag:
        name = node.tag.lstrip("!")
        bare = Node(line=node.line, text=node.text, plain=node.plain, items=node.items, pairs=node.pairs)
        return ("Ref" if name == "Ref" else f"Fn::{name}", bare)
    name = _function(node) or ""
    return (name, node.pairs[0][1]) if name and node.pairs else None


def _choices(node: Node) -> Iterator[tuple[Node, bool]]:
    """The items of a list, or the one value; of `Fn::If` both branches, marked unsure."""
    stack = [(node, False)]
    while stack:
        item, unsure = stack.pop()
        found = call(item)
        if found and found[0] == "Fn::If" and found[1].items is not None and len(found[1].items) == 3:
            stack.extend((branch, True) for branch in reversed(found[1].items[1:]) if not is_no_value(branch))
        elif found is None and item.items is not None:
            stack.extend((inner, unsure) for inner in reversed(item.items))
        elif not (item.is_scalar and not item.tag and item.value is None) and not is_no_value(item):
            yield item, unsure


def is_no_value(node: Node) -> bool:
    """Whether a node is CloudFormation's "leave this out"."""
    found = call(node)
    return found is not None and found[0] == "Ref" and found[1].text == "AWS::NoValue"


def _statement(node: Node, unsure: bool) -> Iterator[Statement]:
    if not node.is_map or call(node):
        # A statement that comes from elsewhere: known by its name alone.
        yield Statement(True, (token(canonical(node)),), line=node.line, unsure=True)
        return
    effect = _member(node, "Effect")
    word = (effect.text or "") if effect is not None and not effect.tag else ""
    actions, resources = _member(node, "Action"), _member(node, "Resource")
    not_actions, not_resources = _member(node, "NotAction"), _member(node, "NotResource")
    people, not_people = _member(node, "Principal"), _member(node, "NotPrincipal")
    listed = people if people is not None else not_people
    yield Statement(
        allow=word.lower() != "deny",
        actions=tuple(texts(actions if actions is not None else not_actions)),
        resources=tuple(texts(resources if resources is not None else not_resources)) or ("*",),
        principals=tuple(_principals(listed)) if listed is not None else (),
        conditions=frozenset(_conditions(_member(node, "Condition"))),
        not_actions=actions is None and not_actions is not None,
        not_resources=resources is None and not_resources is not None,
        not_principals=people is None and not_people is not None,
        sid=next(iter(texts(_member(node, "Sid"))), ""),
        line=node.line,
        unsure=unsure or not word,
    )


def _principals(node: Node) -> Iterator[Principal]:
    if node.is_map and not call(node):
        for kind, value in node.entries():
            for name in texts(value):
                yield principal(_KINDS.get(kind.lower(), kind), name)
    else:
        for name in texts(node):
            yield principal("AWS", name)


def _conditions(node: Node | None) -> Iterator[Condition]:
    if node is None:
        return
    if not node.is_map or call(node):
        yield Condition("unknown", token(canonical(node)).lower(), frozenset())
        return
    for operator, keys in node.entries():
        if not keys.is_map or call(keys):
            yield Condition("unknown", token(canonical(keys)).lower(), frozenset())
            continue
        for key, values in keys.entries():
            yield Condition(operator, key, frozenset(texts(values)))


def token(text: str) -> str:
    """A reference by its text: one symbol to the calculus."""
    return "${" + re.sub(r"[{}$]", "", text)[:300] + "}"


def canonical(node: Node) -> str:
    """A node as one text, the same for nodes that mean the same and in every run."""
    if node.pairs is not None:
        inner = ",".join(sorted(f"{key}={canonical(value)}" for key, value in node.entries()))
    elif node.items is not None:
        inner = ",".join(canonical(item) for item in node.items)
    else:
        return f"{node.tag or ''} {node.text}".strip()
    return f"{node.tag or ''}({inner})"


def texts(node: Node | None) -> list[str]:
    """The texts a value stands for: a list's elements, each with its references as tokens."""
    if node is None:
        return []
    return [text for item, _ in _choices(node) for text in spell(item)]


def spell(node: Node) -> list[str]:
    """The texts one value may have; more than one where a condition chooses."""
    found = call(node)
    if found is None:
        if node.text is not None:
            return [node.text]
        return [token(canonical(node))]
    name, argument = found
    if name == "Ref":
        return [token(argument.text or "")]
    if name == "Fn::GetAtt":
        parts = [item.text or "" for item in argument.items] if argument.items is not None else [argument.text or ""]
        return [token(".".join(parts))]
    if name == "Fn::Sub":
        return _sub(argument)
    if name == "Fn::Join" and argument.items is not None and len(argument.items) == 2 and argument.items[1].items is not None:
        parts_of = [spell(item) for item in argument.items[1].items if not is_no_value(item)]
        return _spread([(argument.items[0].text or "").join(parts) for parts in _product(parts_of)])
    if name == "Fn::If" and argument.items is not None and len(argument.items) == 3:
        return _spread([text for branch in argument.items[1:] if not is_no_value(branch) for text in spell(branch)])
    return [token(f"{name} {canonical(argument)}")]


def _product(parts: list[list[str]]) -> Iterator[tuple[str, ...]]:
    size = 1
    for part in parts:
        size *= max(1, len(part))
    if size > SPREAD:
        parts = [part[:1] for part in parts]
    yield from product(*parts)


def _spread(found: list[str]) -> list[str]:
    return list(dict.fromkeys(found))[:SPREAD]


_HOLE = re.compile(r"\$\{(!?)([^{}]*)\}")


def _sub(argument: Node) -> list[str]:
    template, values = argument, None
    if argument.items is not None and argument.items:
        template = argument.items[0]
        values = argument.items[1] if len(argument.items) > 1 else None
    if template.text is None:
        return [token(canonical(argument))]
    out = [""]
    at = 0
    for match in _HOLE.finditer(template.text):
        before = template.text[at : match.start()]
        given = values.get(match.group(2).strip()) if values is not None else None
        if match.group(1):
            inside = ["${" + match.group(2) + "}"]
        elif given is not None:
            inside = spell(given)
        else:
            inside = [token(match.group(2).strip())]
        out = _spread([text + before + hole for text in out for hole in inside])
        at = match.end()
    return [text + template.text[at:] for text in out]
