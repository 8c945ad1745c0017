"""The test cases of a file by name: what each checks, and whether it runs at all.

Python, JavaScript, TypeScript, Go, Java and Ruby by their grammar; Kotlin, C#, Rust, PHP and Swift by their attributes and braces.
Sources: docs.pytest.org (skip, xfail), docs.python.org/3/library/unittest, jestjs.io/docs/api, vitest.dev/api, playwright.dev/docs/api/class-test,
pkg.go.dev/testing, onsi.github.io/ginkgo, docs.junit.org (@Disabled), minitest and rspec documentation, learn.microsoft.com (xUnit, NUnit,
MSTest attributes), doc.rust-lang.org/reference/attributes/testing.html, docs.phpunit.de, developer.apple.com/documentation/testing.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.model import Unreadable
from checks.readers import syntax, text_of
from checks.readers.syntax import language_of, line, text

if TYPE_CHECKING:
    from tree_sitter import Node

MANY = 5000
"""Cases of one file that are read."""
BRACES = 4 << 20
"""Bytes of a file that is read by its braces alone, which costs little: suites with their expected output grow large."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case."""

    name: str
    """Its own name or title."""
    group: tuple[str, ...]
    """The suites or classes around it, the outermost first."""
    line: int
    body: str
    """A digest of what it does, white space aside."""
    size: int
    """Characters of what it does, white space aside."""
    asserts: int
    table: bool = False
    """One body run over many rows, which may stand for many cases."""
    skipped: str | None = None
    """How it is kept from running whatever happens (`it.skip`, `@Disabled`), None if it runs."""

    @property
    def full(self) -> str:
        return " › ".join((*self.group, self.name))


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of a file."""

    cases: tuple[Case, ...]
    only: tuple[tuple[str, int], ...] = ()
    """Cases or suites marked to run alone (`it.only`, `fdescribe`): (name, line). Everything beside them does not run."""
    imports: tuple[str, ...] = ()
    """Modules the file names in its imports, as written."""


EMPTY = Suite(())


_TEST_NAME = re.compile(
    r"(?:^|/)(?:test_[^/]*\.py|[^/]*_tests?\.(?:py|go|rb|exs|dart|rs|php)|[^/]*_spec\.rb|tests?\.py|[^/]*\.(?:test|spec|e2e|cy|unit|integration|evals?)\.[cm]?[jt]sx?|"
    r"[^/]*(?:Tests?|TestCase|IT|Spec|Specs)\.(?:java|kt|kts|cs|swift|php|scala|groovy)|test_[^/]*\.rb|(?:.*/)?(?:tests?|__tests__|specs?)/(?:.*/)?[^/]*\.(?:[cm]?[jt]sx?|rs|kt|java|cs|swift|php|rb|py))\Z"
)


def is_test_file(path: str) -> bool:
    """Whether `path` is named as a file of test cases."""
    return _TEST_NAME.search(path) is not None


@lru_cache(maxsize=512)
def suite(data: bytes, path: str) -> Suite:
    """The test cases of a file; none for a language that is not read here. Raises `Unreadable`."""
    language = language_of(path)
    if language is None:
        return _by_braces(text_of(data, path, BRACES), path)
    root = syntax.tree(data, path, language).root_node
    if language == "python":
        return _python(root)
    if language in ("javascript", "typescript", "tsx"):
        return _script(root, language)
    if language == "go":
        return _go(root)
    if language == "java":
        return _java(root)
    return _ruby(root)


def _digest(body: str) -> tuple[str, int]:
    packed = "".join(body.split())
    return hashlib.sha1(packed.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:16], len(packed)


class _Asserts:
    """Positions of the checks in a file, counted per range."""

    def __init__(self, nodes: list[Node]) -> None:
        self.at = sorted(node.start_byte for node in nodes)

    def within(self, node: Node) -> int:
        return bisect_left(self.at, node.end_byte) - bisect_left(self.at, node.start_byte)


_TABLE = re.compile(
    r"\.each\b|\.for\b|parametrize|ParameterizedTest|DescribeTable|:?= range|\.each do|forEach\(|subTest\(|for \w+ in |of \["
)


def _case(name: str, group: tuple[str, ...], node: Node, body: Node, asserts: _Asserts, skipped: str | None, marks: str = "") -> Case:
    source = text(node)
    digest, size = _digest(text(body))
    table = _TABLE.search(marks) is not None or _TABLE.search(source) is not None
    return Case(name, group, line(node), digest, size, asserts.within(node), table, skipped)


# --- Python ------------------------------------------------------------------------------------------------------------------------------

_CHECKS = r'(#match? @n "^(assert|expect|should|verify|check|require|must|refute|raises|ensure|fail)")'
_PYTHON_ASSERTS = (
    f"(assert_statement) @a (call function: (attribute attribute: (identifier) @n) {_CHECKS}) (call function: (identifier) @n {_CHECKS})"
)
_PYTHON_SKIP = re.compile(r"@?(?:pytest\.)?(?:mark\.)?(skip|xfail)\b|@?(?:unittest\.)?(skip|expectedFailure)\b")


def _python(root: Node) -> Suite:
    found = syntax.captures(root, "python", _PYTHON_ASSERTS)
    asserts = _Asserts([*found.get("a", []), *found.get("n", [])])
    cases: list[Case] = []
    whole = next((reason for node in root.named_children if (reason := _python_module_skip(node))), None)
    _python_block(root, (), whole, asserts, cases)
    imports = tuple(
        text(node.child_by_field_name("module_name") or node.named_child(0))
        for node in root.named_children
        if node.type in ("import_from_statement", "import_statement")
    )
    return Suite(tuple(cases[:MANY]), (), imports)


def _python_module_skip(node: Node) -> str | None:
    source = text(node) if node.type == "expression_statement" else ""
    if source.startswith("pytestmark") and re.search(r"mark\.skip\b(?!if)", source):
        return "pytestmark = pytest.mark.skip"
    if source.startswith("pytest.skip(") and "allow_module_level" in source:
        return "pytest.skip(allow_module_level=True)"
    return None


def _python_block(block: Node, group: tuple[str, ...], skipped: str | None, asserts: _Asserts, cases: list[Case]) -> None:
    for node in block.named_children:
        definition, decorators = node, []
        if node.type == "decorated_definition":
            decorators = [text(child) for child in node.named_children if child.type == "decorator"]
            definition = node.child_by_field_name("definition") or node
        elif node.type in ("if_statement", "try_statement", "with_statement"):
            for child in node.named_children:
                if child.type in ("block", "else_clause", "elif_clause", "except_clause"):
                    _python_block(child, group, skipped, asserts, cases)
            continue
        name = text(definition.child_by_field_name("name"))
        body = definition.child_by_field_name("body")
        if body is None or len(group) > 8:
            continue
        own = next((mark for text_ in decorators if (mark := _python_mark(text_))), None) or skipped
        if definition.type == "class_definition":
            _python_block(body, (*group, name), own, asserts, cases)
        elif definition.type == "function_definition" and name.startswith("test"):
            cases.append(_case(name, group, definition, body, asserts, own or _python_body_skip(body), " ".join(decorators)))


def _python_mark(decorator: str) -> str | None:
    """A decorator that always skips; `skipif` and a conditional or non-strict-by-condition `xfail` do not count."""
    match = re.match(r"@(?:[\w.]*\.)?(skip|xfail|expectedFailure|SkipTest)\b(.*)", decorator, re.DOTALL)
    if not match or (match[1] == "xfail" and re.match(r"\s*\(\s*(?!reason|strict|raises|run|[\"')])", match[2])):
        return None
    return match[0].split("(")[0]


def _python_body_skip(body: Node) -> str | None:
    for node in body.named_children[:3]:
        source = text(node)
        if node.type == "expression_statement" and re.match(r"(?:pytest|self)\.(?:skip|skipTest|xfail)\(|raise unittest\.SkipTest", source):
            return source.split("(")[0]
        if node.type == "raise_statement" and "SkipTest" in source[:60]:
            return "raise SkipTest"
        if not (node.type == "expression_statement" and node.named_child(0) is not None and node.named_children[0].type == "string"):
            return None
    return None


# --- JavaScript and TypeScript -----------------------------------------------------------------------------------------------------------

_SCRIPT_ASSERTS = (
    f"(call_expression function: (identifier) @n {_CHECKS}) "
    f"(call_expression function: (member_expression object: (identifier) @n) {_CHECKS}) "
    f"(call_expression function: (member_expression property: (property_identifier) @n) "
    r'(#match? @n "^(assert|should|expect)"))'
)
_GROUPS = frozenset({"describe", "suite", "context", "fdescribe", "xdescribe"})
_CASES = frozenset({"it", "test", "specify", "fit", "xit", "xtest", "ftest", "evalTest", "bench"})
_NEVER = frozenset({"skip", "todo", "fixme", "failing", "fails", "fail", "ignore"})
_CONDITION = frozenset({"skipIf", "runIf", "if"})
_NO_CASE = frozenset(
    {"each", "for", "extend", "use", "step", "beforeEach", "afterEach", "beforeAll", "afterAll", "configure", "setTimeout", *_CONDITION}
)
_TRANSPARENT = frozenset(
    {
        "program", "statement_block", "expression_statement", "arguments", "arrow_function", "function_expression", "function_declaration",
        "if_statement", "else_clause", "for_statement", "for_in_statement", "export_statement", "try_statement", "await_expression",
        "lexical_declaration", "variable_declarator", "call_expression", "parenthesized_expression", "function", "generator_function",
        "unary_expression",
    }
)  # fmt: skip


def _script(root: Node, language: str) -> Suite:
    asserts = _Asserts(syntax.captures(root, language, _SCRIPT_ASSERTS).get("n", []))
    cases: list[Case] = []
    only: list[tuple[str, int]] = []
    broken = root.has_error  # then statements may hang anywhere, so every node is looked into
    stack: list[tuple[Node, tuple[str, ...], str | None, int]] = [(root, (), None, 0)]
    while stack and len(cases) < MANY:
        node, group, skipped, depth = stack.pop()
        if node.type == "call_expression" and (called := _called(node)):
            kind, words, title, body = called
            said = _options(node)
            if "only" in words or "only" in said or words[0] in ("fit", "fdescribe", "ftest"):
                only.append((title, line(node)))
            how = skipped or _script_skip(words) or next((f"{words[0]} with {word}" for word in said if word in _NEVER), None)
            if kind == "case":
                own = how or (None if body is not None else ".".join(words))
                cases.append(_case(title, group, node, body or node, asserts, own))
            elif body is not None:
                stack.append((body, (*group, title), how, depth + 1))
            continue
        if depth < syntax.DEPTH and (broken or node.type in _TRANSPARENT):
            stack.extend((child, group, skipped, depth + 1) for child in reversed(node.named_children))
    cases.sort(key=lambda case: case.line)
    imports = tuple(
        text(source)[1:-1]
        for node in root.named_children
        if node.type == "import_statement" and (source := node.child_by_field_name("source")) is not None
    )
    return Suite(tuple(cases), tuple(only), imports)


def _script_skip(words: tuple[str, ...]) -> str | None:
    if set(words) & _CONDITION:
        return None
    if words[0] in ("xit", "xtest", "xdescribe"):
        return words[0]
    return next((f"{words[0]}.{word}" for word in words[1:] if word in _NEVER), None)


def _options(node: Node) -> tuple[str, ...]:
    """What the options of a test's call switch on: `{ skip: true }` (nodejs.org/api/test.html, vitest.dev/api, docs.deno.com/api)."""
    arguments = node.child_by_field_name("arguments")
    return tuple(
        text(pair.child_by_field_name("key"))
        for options in (arguments.named_children if arguments is not None else ())
        if options.type == "object"
        for pair in options.named_children
        if pair.type == "pair" and (value := pair.child_by_field_name("value")) is not None and value.type in ("true", "string")
    )


def _called(node: Node) -> tuple[str, tuple[str, ...], str, Node | None] | None:
    """(case or group, the words of the callee, title, body) of a call that declares a test; None for any other call."""
    function = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    words: list[str] = []
    while function is not None and function.type in ("call_expression", "member_expression", "await_expression"):
        if function.type == "member_expression":
            words.append(text(function.child_by_field_name("property")))
            function = function.child_by_field_name("object")
        else:
            function = function.child_by_field_name("function") or function.named_child(0)
    if function is None or function.type != "identifier" or arguments is None or arguments.type != "arguments":
        return None
    root = text(function)
    words.append(root)
    words.reverse()
    deno = words[:2] == ["Deno", "test"]
    kind = "group" if root in _GROUPS or "describe" in words[1:] else "case" if root in _CASES or deno else None
    given = [child for child in arguments.named_children if child.type != "comment"]
    curried = (node.child_by_field_name("function") or node).type == "call_expression"
    if kind is None or not given or (words[-1] in _NO_CASE and not curried):
        return None
    body = next(
        (child for child in reversed(given) if child.type in ("arrow_function", "function_expression", "function", "generator_function")),
        None,
    )
    first = given[0]
    if deno and first.type == "object":
        return _deno(first, tuple(words))
    # Playwright's `test.skip(condition, reason)` inside a body is no declaration, nor is `test(name)` of a helper's own.
    if first.type not in ("string", "template_string", "identifier", "binary_expression", "member_expression", "call_expression") or (
        first.type not in ("string", "template_string") and body is None
    ):
        return None
    if kind == "case" and body is None and "todo" not in words:
        return None
    title = text(first)
    return kind, tuple(words), title[1:-1] if first.type in ("string", "template_string") else title, body


def _deno(definition: Node, words: tuple[str, ...]) -> tuple[str, tuple[str, ...], str, Node | None] | None:
    """What `Deno.test({ name, fn })` declares, as `_called` tells it (docs.deno.com/runtime/fundamentals/testing)."""
    given = {text(part.child_by_field_name("key") or part.child_by_field_name("name")): part for part in definition.named_children}
    name, body = (given[key].child_by_field_name("value") or given[key] if key in given else None for key in ("name", "fn"))
    return ("case", words, text(name)[1:-1], body) if name is not None and name.type in ("string", "template_string") else None


# --- Go ----------------------------------------------------------------------------------------------------------------------------------

_GO_ASSERTS = (
    r'(call_expression function: (selector_expression operand: (identifier) @o field: (field_identifier) @n) (#match? @n "^(Error|Errorf|Fatal|Fatalf|Fail|FailNow)$")) '
    r'(call_expression function: (selector_expression operand: (identifier) @n) (#match? @n "^(assert|require|is|qt|must)$")) '
    r'(call_expression function: (identifier) @n (#match? @n "^(Expect|Eventually|Consistently|assert|require|check|verify|expect|must)"))'
)
_GINKGO = {"Describe": "group", "Context": "group", "When": "group", "It": "case", "Specify": "case", "DescribeTable": "case"}


def _go(root: Node) -> Suite:
    asserts = _Asserts(syntax.captures(root, "go", _GO_ASSERTS).get("n", []))
    cases: list[Case] = []
    only: list[tuple[str, int]] = []
    ginkgo = b"ginkgo" in (root.text or b"")[:4000]
    for node in root.named_children:
        name = text(node.child_by_field_name("name"))
        body = node.child_by_field_name("body")
        declared = node.type in ("function_declaration", "method_declaration") and body is not None
        if declared and body is not None and re.match(r"(?:Test|Fuzz)(?![a-z])", name) and name != "TestMain":
            receiver = re.findall(r"\w+", text(node.child_by_field_name("receiver")))
            cases.append(_case(name, tuple(receiver[-1:]), node, body, asserts, _go_skip(body)))
        if ginkgo:
            _ginkgo(node, (), None, asserts, cases, only, 0)
    imports = tuple(text(found).strip('"`') for found in syntax.captures(root, "go", "(import_spec path: (_) @p)").get("p", []))
    return Suite(tuple(cases[:MANY]), tuple(only), imports)


def _go_skip(body: Node) -> str | None:
    statements = [
        child for holder in body.named_children for child in (holder.named_children if holder.type == "statement_list" else (holder,))
    ]
    for node in statements[:3]:
        source = text(node)
        if re.match(r"\w+\.(?:Skip|Skipf|SkipNow)\(", source):
            return source.split("(")[0]
        if not re.match(r"\w+\.(?:Parallel|Helper)\(|//", source):
            return None
    return None


def _ginkgo(
    node: Node, group: tuple[str, ...], skipped: str | None, asserts: _Asserts, cases: list[Case], only: list[tuple[str, int]], depth: int
) -> None:
    if depth > 60 or len(cases) >= MANY:
        return
    if node.type == "call_expression":
        name = text(node.child_by_field_name("function")).rpartition(".")[2]
        mark, plain = (name[0], name[1:]) if name[:1] in "FPX" and name[1:] in _GINKGO else ("", name)
        kind = _GINKGO.get(plain)
        arguments = node.child_by_field_name("arguments")
        given = arguments.named_children if arguments is not None else []
        body = next((child for child in reversed(given) if child.type == "func_literal"), None)
        if kind and given and given[0].type.endswith("string_literal"):
            title = text(given[0])[1:-1]
            pending = any(text(child).rpartition(".")[2] == "Pending" for child in given)
            if mark == "F" or any(text(child).rpartition(".")[2] == "Focus" for child in given):
                only.append((title, line(node)))
            how = skipped or (name if mark in ("P", "X") and mark else "Pending" if pending else None)
            if kind == "case":
                cases.append(_case(title, group, node, body or node, asserts, how))
            elif body is not None:
                _ginkgo(body, (*group, title), how, asserts, cases, only, depth + 1)
            return
    for child in node.named_children:
        _ginkgo(child, group, skipped, asserts, cases, only, depth + 1)


# --- Java --------------------------------------------------------------------------------------------------------------------------------

_JAVA_ASSERTS = f"(method_invocation name: (identifier) @n {_CHECKS})"
_JAVA_TEST = re.compile(r"@(?:[\w.]*\.)?(?:Test|ParameterizedTest|RepeatedTest|TestFactory|TestTemplate|Property)\b")
_JAVA_SKIP = re.compile(r"@(?:[\w.]*\.)?(Disabled|Ignore)\b(?!On|If|For)|@Test\s*\([^)]*enabled\s*=\s*(false)")


def _java(root: Node) -> Suite:
    asserts = _Asserts(syntax.captures(root, "java", _JAVA_ASSERTS).get("n", []))
    cases: list[Case] = []
    _java_class(root, (), None, asserts, cases, 0)
    imports = tuple(text(node)[7:-1].strip() for node in root.named_children if node.type == "import_declaration")
    return Suite(tuple(cases[:MANY]), (), imports)


def _java_class(block: Node, group: tuple[str, ...], skipped: str | None, asserts: _Asserts, cases: list[Case], depth: int) -> None:
    for node in block.named_children:
        name = text(node.child_by_field_name("name"))
        body = node.child_by_field_name("body")
        marks = next((text(child) for child in node.named_children if child.type == "modifiers"), "")
        how = skipped or ("@" + next(filter(None, found.groups())) if (found := _JAVA_SKIP.search(marks)) else None)
        if node.type == "class_declaration" and body is not None and depth < 8:
            _java_class(body, (*group, name), how, asserts, cases, depth + 1)
        elif node.type == "method_declaration" and body is not None and (_JAVA_TEST.search(marks) or re.match(r"test[A-Z_]", name)):
            cases.append(_case(name, group, node, body, asserts, how))


# --- Ruby --------------------------------------------------------------------------------------------------------------------------------

_RUBY_ASSERTS = f"(call method: (identifier) @n {_CHECKS})"
_RUBY_GROUPS = frozenset({"describe", "context", "feature", "xdescribe", "fdescribe", "xcontext", "fcontext"})
_RUBY_CASES = frozenset(
    {"it", "test", "specify", "scenario", "example", "should", "xit", "fit", "xspecify", "xscenario", "pending", "skip"}
)


def _ruby(root: Node) -> Suite:
    asserts = _Asserts(syntax.captures(root, "ruby", _RUBY_ASSERTS).get("n", []))
    cases: list[Case] = []
    only: list[tuple[str, int]] = []
    stack: list[tuple[Node, tuple[str, ...], str | None, int]] = [(root, (), None, 0)]
    while stack and len(cases) < MANY:
        node, group, skipped, depth = stack.pop()
        if depth > 60:
            continue
        if node.type == "method":
            name = text(node.child_by_field_name("name"))
            if name.startswith("test_"):
                cases.append(_case(name, group, node, node, asserts, skipped or _ruby_body_skip(node)))
            continue
        block = node.child_by_field_name("block") if node.type == "call" else None
        if node.type == "call" and block is not None:
            name = text(node.child_by_field_name("method"))
            given = node.child_by_field_name("arguments")
            title = text(given.named_child(0)).strip("\"'") if given is not None and given.named_child(0) is not None else ""
            marks = text(given)
            if (name[:1] == "f" and name[1:] in _RUBY_GROUPS | _RUBY_CASES) or re.search(r"\bfocus:\s*true", marks):
                only.append((title, line(node)))
            how = skipped or (name if name[:1] == "x" or name in ("pending", "skip") else None)
            how = how or ("skip: true" if re.search(r"\b(?:skip|pending):\s*(?:true|[\"'])|,\s*:skip\b", marks) else None)
            if name in _RUBY_GROUPS:
                stack.extend((child, (*group, title), how, depth + 1) for child in reversed(block.named_children))
                continue
            if name in _RUBY_CASES and (title or name in ("it", "specify")):
                cases.append(_case(title or " ".join(text(block).split())[:80], group, node, block, asserts, how or _ruby_body_skip(block)))
                continue
        inner = (*group, text(node.child_by_field_name("name"))) if node.type in ("class", "module") else group
        stack.extend((child, inner, skipped, depth + 1) for child in reversed(node.named_children))
    cases.sort(key=lambda case: case.line)
    return Suite(tuple(cases), tuple(only), ())


def _ruby_body_skip(body: Node) -> str | None:
    first = next((child for child in body.named_children if child.type == "body_statement"), None)
    statements = [child for child in (first or body).named_children if child.type != "comment"]
    source = text(statements[0]) if statements else ""
    match = re.match(r"(skip|pending)\b(?!\w|\s*=|\?)", source)
    return match[1] if match and not re.search(r"\b(?:if|unless)\b", source.split("\n")[0]) else None


# --- languages read by their braces ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """How a language declares a test: the pattern's `name` is its name, text before it on the same declaration holds its marks."""

    declaration: re.Pattern[str]
    test: re.Pattern[str]
    skip: re.Pattern[str]
    checks: re.Pattern[str]
    quotes: str = '"'
    comments: tuple[str, ...] = ("//",)
    literals: str = r"'(?:\\[^\n']{1,9}|[^\\'\n])'"
    """Literals besides the quoted strings: characters, and strings that know no escapes."""


_FORMS = {
    ".kt": _Form(
        re.compile(r"(?P<marks>(?:@[\w.:]+(?:\([^)]*\))?\s*)+)(?:(?:public|internal|private|override|open|suspend)\s+)*fun\s+(?P<name>`[^`\n]+`|\w+)\s*\("),
        re.compile(r"@(?:\w+\.)*(?:Test|ParameterizedTest|RepeatedTest)\b"),
        re.compile(r"@(?:\w+\.)*(?:Disabled|Ignore)\b"),
        re.compile(r"(?:assert|expect|verify|should|check)\w*\s*[({]"),
    ),
    ".cs": _Form(
        re.compile(r"(?P<marks>(?:\[[^\]\n]+\]\s*+)++)(?:(?:public|private|internal|async|static|override|virtual)\s+)*[\w<>\[\]?.]+\s+(?P<name>\w+)\s*\("),
        re.compile(r"\[\s*(?:\w+\.)*(?:Fact|Theory|Test|TestCase|TestMethod|DataTestMethod|SkippableFact)\b"),
        re.compile(r"\[\s*(?:\w+\.)*Ignore\b|\bSkip\s*="),
        re.compile(r"(?:Assert\.|Should|Verify|Expect)\w*\s*\("),
        literals=r"'(?:\\[^\n']{1,9}|[^\\'\n])'|@\"(?:[^\"]|\"\")*(?:\"|\Z)",
    ),
    ".rs": _Form(
        re.compile(r"(?P<marks>(?:#\[[^\]\n]*\]\s*)+)(?:pub(?:\([^)]*\))?\s+)?(?:async\s+)?fn\s+(?P<name>\w+)\s*[(<]"),
        re.compile(r"#\[\s*(?:\w+::)*(?:test|rstest|test_case|wasm_bindgen_test|proptest)\b"),
        re.compile(r"#\[\s*ignore\b"),
        re.compile(r"(?:assert\w*|expect\w*|panic)!?\s*\("),
        literals=r"'(?:\\[^\n']{1,9}|[^\\'\n])'|(?<!\w)(?:b|c)?r(?P<fence>#{0,9})\".*?(?:\"(?P=fence)|\Z)|\"(?:\\.|[^\"\\])*(?:\"|\Z)",
    ),
    ".php": _Form(
        re.compile(r"(?P<marks>(?:#\[[^\]\n]*\]\s*)*)(?:(?:public|protected|final|static)\s+)*function\s+(?P<name>\w+)\s*\("),
        re.compile(r"#\[\s*Test\b"),
        re.compile(r"\bmarkTestSkipped\b"),
        re.compile(r"(?:assert|expect|should)\w*\s*\("),
        "\"'",
        ("//", "# "),
        "",
    ),
    ".swift": _Form(
        re.compile(r"(?P<marks>(?:@\w+(?:\((?:[^()]|\([^()]*\))*\))?\s*)*)(?:(?:public|private|static|override|internal|nonisolated)\s+)*func\s+(?P<name>`[^`\n]+`|\w+)\s*\("),
        re.compile(r"@Test\b"),
        re.compile(r"\.disabled\((?!\s*if\b)"),
        re.compile(r"#(?:expect|require)\s*\(|XCT\w+\s*\("),
        literals=r"(?P<fence>#{1,9})\".*?(?:\"(?P=fence)|\Z)",
    ),
}  # fmt: skip
_FORMS[".kts"] = _FORMS[".kt"]
_BY_NAME = {".php": re.compile(r"test[A-Z_]"), ".swift": re.compile(r"test(?:[A-Z_]|$)")}


def _by_braces(source: str, path: str) -> Suite:
    ending = path[path.rfind(".") :].lower()
    form = _FORMS.get(ending)
    if form is None:
        return EMPTY
    code = syntax.blank(source, form.comments, quotes=form.quotes, literals=form.literals)
    cases = list(_brace_cases(source, code, form, _BY_NAME.get(ending), path))
    pest = _pest(source, code, form) if ending == ".php" else EMPTY
    return Suite(tuple((*cases, *pest.cases)[:MANY]), pest.only)


# Pest, PHP's other way to write tests: calls of `it`, `test` and `describe` with a title. Source: pestphp.com/docs/writing-tests, /skipping-tests.

_PEST = re.compile(r"(?<![\w>$:\\])(?P<verb>it|test|describe)\s*(?P<open>\()")
_PEST_TITLE = re.compile(r"\(\s*(['\"])(?P<title>(?:\\.|(?!\1)[^\\])*)\1", re.DOTALL)
_PEST_CHAIN = re.compile(r"\s*->\s*(?P<method>\w+)\s*(?P<open>\()")
_PEST_SKIP = re.compile(r"\(\s*(?:\)|['\"])")
"""`skip()` and `skip('why')`; a condition or a function decides at run time."""


def _pest(source: str, code: str, form: _Form) -> Suite:
    ends = _parentheses(code)
    checks = [found.start() for found in form.checks.finditer(code) if not _in_word(code, found.start())]
    cases: list[Case] = []
    only: list[tuple[str, int]] = []
    suites: list[tuple[int, str, str | None]] = []
    line, counted = 1, 0
    for found in _PEST.finditer(code):
        start = found.start("open")
        end, titled = ends.get(start), _PEST_TITLE.match(source, start)
        if end is None or titled is None or titled.end() > end:
            continue
        line, counted = line + code.count("\n", counted, found.start()), found.start()
        while suites and suites[-1][0] < start:
            suites.pop()
        skipped, table, after = next((how for _, _, how in reversed(suites) if how), None), False, end
        while (link := _PEST_CHAIN.match(code, after)) and (closed := ends.get(link.start("open"))):
            method = link["method"]
            if method == "todo" or (method == "skip" and _PEST_SKIP.match(source, link.start("open"))):
                skipped = skipped or f"->{method}()"
            elif method == "only":
                only.append((titled["title"], line))
            table = table or method == "with"
            after = closed
        if after == end and not source[titled.end() : end].lstrip().startswith(","):
            continue  # a title alone declares nothing
        if found["verb"] == "describe":
            suites.append((end, titled["title"], skipped))
            continue
        digest, size = _digest(source[titled.end() : end])
        asserts = bisect_left(checks, after) - bisect_left(checks, start)
        cases.append(Case(titled["title"], tuple(name for _, name, _ in suites), line, digest, size, asserts, table, skipped))
        if len(cases) >= MANY:
            break
    return Suite(tuple(cases), tuple(only))


def _parentheses(code: str) -> dict[int, int]:
    """For each parenthesis that opens in blanked text and is closed: its index, and the index after the one that closes it."""
    opened: list[int] = []
    found: dict[int, int] = {}
    for sign in re.finditer(r"[()]", code):
        if sign.group() == "(":
            opened.append(sign.start())
        elif opened:
            found[opened.pop()] = sign.end()
    return found


def _brace_cases(source: str, code: str, form: _Form, by_name: re.Pattern[str] | None, path: str) -> Iterator[Case]:
    budget = 20 * len(code) + 10_000
    ends = syntax.closings(code)
    checks = [found.start() for found in form.checks.finditer(code) if not _in_word(code, found.start())]
    line, counted = 1, 0
    for found in form.declaration.finditer(code):
        marks, name = found["marks"] or "", found["name"].strip("`")
        if not form.test.search(marks) and not (by_name and by_name.match(name)):
            continue
        opening = code.find("{", found.end())
        end = ends.get(opening, len(code)) if opening >= 0 else found.end()
        budget -= max(0, end - opening)
        if budget < 0:
            raise Unreadable(path, "its test cases stand inside each other too often")
        body = source[opening:end] if opening >= 0 else ""
        digest, size = _digest(body)
        skipped = form.skip.search(marks) or (
            form.skip.match(code[opening : min(end, opening + 400)].lstrip("{ \n\t")[:80].replace("$this->", "")) if opening >= 0 else None
        )
        line, counted = line + code.count("\n", counted, found.start("name")), found.start("name")
        asserts = bisect_left(checks, end) - bisect_left(checks, max(opening, 0))
        yield Case(name, (), line, digest, size, asserts, False, skipped.group().strip("#[(") if skipped else None)


def _in_word(code: str, at: int) -> bool:
    """Whether a word goes on at `at`: asked after the search, which is several times faster without it."""
    return at > 0 and (code[at - 1].isalnum() or code[at - 1] == "_")
