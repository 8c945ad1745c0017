"""Migrations written in Go: goose and gormigrate.

## What it detects
Statements and calls that drop tables or columns, empty tables or delete every row, newly in the way up of a migration written in Go: SQL in
literals handed to the database, and gorm's `DropTable` and `DropColumn`.

## Why it matters
Such a migration runs by itself when the program starts. What it drops is gone; the way down makes an empty table again.

## Example
```go
func upDropCoupons(ctx context.Context, tx *sql.Tx) error {
        _, err := tx.ExecContext(ctx, `DROP TABLE coupons`)
        return err
}
```

## What makes it safe
Taking the code off the table first, keeping the rows under another name for a while, a backup that has been restored once.

## What it cannot see
SQL that is put together from variables, and what other packages do when they are called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from checks.detectors.base import Detector, Rule, by_file, not_analysed
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers import syntax

if TYPE_CHECKING:
    from tree_sitter import Node

DROPPED = Rule(
    "go-migrations/data-dropped", Hazard.DATA_DESTROYED, Severity.HIGH, Reversible.NO,
    "A migration drops data", confidence=Confidence.LIKELY,
)  # fmt: skip

_MARKS = re.compile(rb"pressly/goose|gormigrate|AddMigration(?:Context|NoTx\w*|NoTxContext)?\(|\bgoose\.")
_SPEAKS = re.compile(rb"(?i)\bdrop\s+(?:table|column|schema|database)|\btruncate\b|\bdelete\s+from\b|\bDropTable\(|\bDropColumn\(|\bdrop\b")
_NAME = r"[`\"\[]?([\w.$\"`]+)"
_STATEMENTS = (
    (re.compile(rf"(?is)\bdrop\s+table\s+(?:if\s+exists\s+)?{_NAME}"), "table"),
    (re.compile(rf"(?is)\balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?{_NAME}[^;]*?\bdrop\s+(?!constraint|index|primary|foreign|default|not\b|key|check|partition)(?:column\s+)?(?:if\s+exists\s+)?{_NAME}"), "column"),
    (re.compile(rf"(?is)\btruncate\s+(?:table\s+)?{_NAME}"), "rows"),
    (re.compile(rf"(?is)\bdelete\s+from\s+{_NAME}[\"`]?\s*(?:;|\Z)"), "rows"),
    (re.compile(rf"(?is)\bdrop\s+(?:database|schema)\s+(?:if\s+exists\s+)?{_NAME}"), "schema"),
)  # fmt: skip
_CREATED = re.compile(rf"(?is)\bcreate\s+(?:temp(?:orary)?\s+|unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?{_NAME}")
_LITERALS = ("raw_string_literal", "interpreted_string_literal")
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORDS = {"table": "the table {}", "column": "the column {}", "rows": "every row of {}", "schema": "everything in {}"}


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    for file in files:
        after = change.head_bytes(file)
        if after is None or place_of(file.path) is not Place.DEPLOYED or file.path.endswith("_test.go"):
            continue
        if not _MARKS.search(after) or not _SPEAKS.search(change.lines(file).text):
            continue
        before = change.base_bytes(file)
        try:
            new = list(_losses(after, file.path))
        except Unreadable as unreadable:
            yield not_analysed(file.path, unreadable.why, unreadable.line)
            continue
        try:
            old = Counter((kind, name) for kind, name, _ in (_losses(before, file.base_path) if before is not None else ()))
        except Unreadable:
            old = Counter()
        for kind, name, line in new:
            if old[kind, name]:
                old[kind, name] -= 1
                continue
            yield DROPPED.effect(
                subject=name, path=file.path, line=line, after=kind,
                message=f"The migration takes away {_WORDS[kind].format(name)} when it runs, and its data cannot be brought back by a revert.",
            )  # fmt: skip


def _losses(data: bytes, path: str) -> Iterator[tuple[str, str, int]]:
    """(what kind, name, line) of everything that the ways up take away and did not make themselves."""
    root = syntax.tree(data, path, "go").root_node
    texts: list[tuple[str, Node]] = []
    found: list[tuple[str, str, int]] = []
    for body in _ways_up(root):
        for node in _all(body):
            if node.type in _LITERALS:
                texts.append((_COMMENTS.sub(" ", syntax.text(node)[1:-1]), node))
            elif node.type == "call_expression":
                found += _call(node)
    made = {_bare(match.group(1)) for text, _ in texts for match in _CREATED.finditer(text)}
    for text, node in texts:
        for expression, kind in _STATEMENTS:
            for match in expression.finditer(text):
                names = [_bare(name) for name in match.groups()]
                if names[0] not in made:
                    found.append((kind, ".".join(names), syntax.line(node) + text.count("\n", 0, match.start())))
    yield from dict.fromkeys(found)


def _bare(name: str) -> str:
    return name.strip("\"`'").replace('"', "").replace("`", "")


def _call(node: Node) -> list[tuple[str, str, int]]:
    """gorm's own calls: `tx.Migrator().DropTable(&Coupon{})`, `tx.DropTable("coupons")`, `DropColumn(&User{}, "nick")`."""
    function = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    name = syntax.text(function.child_by_field_name("field")) if function is not None else ""
    if name not in ("DropTable", "DropColumn", "DropTableIfExists") or arguments is None:
        return []
    given = [re.sub(r"\W", "", syntax.text(part)) for part in arguments.named_children]
    kind = "column" if name == "DropColumn" else "table"
    return [(kind, ".".join(part for part in given if part) or "of no known name", syntax.line(node))]


_WAY_UP = re.compile(r"(?i)^up|up$|^migrate(?!down)")


def _ways_up(root: Node) -> Iterator[Node]:
    """The bodies of functions named for the way up (goose), and of functions under the key `Migrate` (gormigrate)."""
    for node in root.named_children:
        if node.type == "function_declaration" and _WAY_UP.search(syntax.text(node.child_by_field_name("name"))):
            body = node.child_by_field_name("body")
            if body is not None:
                yield body
            continue
        for inner in _all(node):
            if inner.type == "keyed_element" and len(inner.named_children) == 2 and syntax.text(inner.named_children[0]) == "Migrate":
                yield inner.named_children[1]
            elif inner.type == "call_expression" and syntax.text(inner.child_by_field_name("function")).startswith("goose.AddMigration"):
                arguments = inner.child_by_field_name("arguments")
                first = arguments.named_children[0] if arguments is not None and arguments.named_children else None
                if first is not None and first.type == "func_literal":
                    yield first


def _all(node: Node) -> Iterator[Node]:
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(reversed(here.named_children))


DETECTOR = Detector(name="go-migrations", title="Migrations written in Go", rules=(DROPPED,), detect=detect, group=by_file)
