"""Imports of Go, Java, Kotlin, Scala, C#, Rust and PHP: by package, namespace, module or type, as each language names them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

# --- Go: a package is a folder below the module's path -----------------------------------------------------------------------------------

_GO = re.compile(rb'^[ \t]*import\s+(?:[\w.]+\s+)?"([^"\n]+)"|^[ \t]*import\s*\(([^)]*)\)', re.MULTILINE)
_QUOTED = re.compile(rb'"([^"\n]+)"')
_MODULE = re.compile(r"^[ \t]*module\s+\"?([^\s\"]+)", re.MULTILINE)


def _go_mentions(data: bytes) -> Iterator[str]:
    for match in _GO.finditer(data[: 64 << 10]):
        yield from map(text, [match[1]] if match[1] else _QUOTED.findall(match[2]))


def _go_names(path: str, view: View) -> Iterator[str]:
    if path.endswith(".go") and not path.endswith("_test.go") and (package := _go_package(path, view)):
        yield last(package)


def _go_package(path: str, view: View) -> str | None:
    def find(folder: str) -> str | None:
        manifest = view.above(f"{folder}/x".lstrip("/"), "go.mod")
        module = _MODULE.search(text(view.read(manifest))) if manifest else None
        if manifest is None or module is None:
            return None
        below = folder[len(folder_of(manifest)) :].strip("/")
        return f"{module[1]}/{below}".rstrip("/")

    found: str | None = view.once("go", folder_of(path), find)
    return found


def _go_leads(mention: str, source: str, target: str, view: View) -> bool:
    return _go_package(target, view) == mention


GO = Extractor("go", re.compile(r".*(?<!_test)\.go\Z"), "imports", _go_mentions, lambda mention: (last(mention),), _go_names, _go_leads)

# --- Java, Kotlin, Scala: a package and a type or top-level name -------------------------------------------------------------------------

_JVM_IMPORT = re.compile(rb"^[ \t]*import\s+(?:static\s+)?([\w.]+(?:\.[*_])?)", re.MULTILINE)
_PACKAGE = re.compile(r"^[ \t]*package\s+([\w.]+)", re.MULTILINE)
_TOP = re.compile(
    r"^(?:[\w@()]+\s+)*?(?:class|object|interface|fun(?:\s*<[^>]*>)?(?:\s+\w+\.)?|val|trait|enum|record)\s+(\w+)", re.MULTILINE
)


def _jvm_mentions(data: bytes) -> Iterator[str]:
    return (text(match[1]) for match in _JVM_IMPORT.finditer(data[: 64 << 10]))


def _jvm_keys(mention: str) -> Iterator[str]:
    parts = mention.split(".")
    if parts[-1] in ("*", "_"):
        yield ".".join(parts[:-1]) + ".*"
    # `import a.B.c` (static, or nested) means the file of `B`.
    yield from (part for part in parts[-2:] if part not in ("*", "_"))


def _jvm_names(path: str, view: View) -> Iterator[str]:
    if path.endswith((".java", ".kt", ".scala")):
        package, tops = _jvm_file(path, view)
        yield from tops
        yield f"{package}.*"


def _jvm_file(path: str, view: View) -> tuple[str, frozenset[str]]:
    def find(one: str) -> tuple[str, frozenset[str]]:
        content = text(view.read(one)[: 256 << 10])
        package = _PACKAGE.search(content)
        tops = {last(one).rpartition(".")[0]} | (set() if one.endswith(".java") else set(_TOP.findall(content)))
        return package[1] if package else "", frozenset(tops)

    found: tuple[str, frozenset[str]] = view.once("jvm", path, find)
    return found


def _jvm_leads(mention: str, source: str, target: str, view: View) -> bool:
    package, tops = _jvm_file(target, view)
    if not package:
        return False
    if mention in (f"{package}.*", f"{package}._"):
        return True
    rest = mention.removeprefix(package + ".")
    return rest != mention and rest.split(".")[0] in tops


JVM = Extractor("jvm", re.compile(r".*\.(?:java|kt|scala)\Z"), "imports", _jvm_mentions, _jvm_keys, _jvm_names, _jvm_leads)

# --- C#: namespaces, and references between projects -------------------------------------------------------------------------------------

_USING = re.compile(rb"^[ \t]*(?:global\s+)?using\s+(?:static\s+)?(?:\w+\s*=\s*)?([\w.]+)\s*;", re.MULTILINE)
_REFERENCE = re.compile(rb"<ProjectReference\s[^>]*Include\s*=\s*\"([^\"]+)\"")
_NAMESPACE = re.compile(r"^[ \t]*namespace\s+([\w.]+)", re.MULTILINE)


def _cs_mentions(data: bytes) -> Iterator[str]:
    yield from (text(match[1]) for match in _USING.finditer(data[: 64 << 10]))
    yield from ("project " + text(match[1]).replace("\\", "/") for match in _REFERENCE.finditer(data[: 256 << 10]))


def _cs_keys(mention: str) -> Iterator[str]:
    yield last(mention) if mention.startswith("project ") else mention


def _cs_names(path: str, view: View) -> Iterator[str]:
    if path.endswith(".csproj"):
        yield last(path)
    elif path.endswith(".cs"):
        yield from _NAMESPACE.findall(text(view.read(path)[: 256 << 10]))


def _cs_leads(mention: str, source: str, target: str, view: View) -> bool:
    if mention.startswith("project "):
        return joined(folder_of(source), mention[8:]) == target
    spaces: tuple[str, ...] = view.once("cs", target, lambda one: tuple(_NAMESPACE.findall(text(view.read(one)[: 256 << 10]))))
    return target.endswith(".cs") and mention in spaces and source != target


CSHARP = Extractor("csharp", re.compile(r".*\.(?:cs|csproj)\Z"), "uses", _cs_mentions, _cs_keys, _cs_names, _cs_leads)

# --- Rust: modules of a crate, and crates of a workspace ---------------------------------------------------------------------------------

_USE = re.compile(rb"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?use\s+([^;]{1,4000});", re.MULTILINE)
_MOD = re.compile(rb"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.MULTILINE)
_CRATE = re.compile(r"^\[package\][^\[]*?^[ \t]*name\s*=\s*\"([^\"]+)\"", re.MULTILINE | re.DOTALL)


def _rust_mentions(data: bytes) -> Iterator[str]:
    yield from ("mod " + text(match[1]) for match in _MOD.finditer(data))
    for match in _USE.finditer(data):
        yield from _expanded(re.sub(r"\s+|\bas\s+\w+", " ", text(match[1])).replace(" ", ""), 6)


def _expanded(tree: str, depth: int) -> Iterator[str]:
    """`a::{b, c::d}` as `a::b`, `a::c::d`."""
    head, brace, rest = tree.partition("{")
    if not brace or not depth:
        yield head.removesuffix("::*").removesuffix("::self").strip(":")
        return
    level, start = 0, 0
    inner = rest.rpartition("}")[0] + ","
    for at, char in enumerate(inner):
        level += (char == "{") - (char == "}")
        if char == "," and level == 0:
            if inner[start:at]:
                yield from _expanded(head + inner[start:at], depth - 1)
            start = at + 1


def _rust_keys(mention: str) -> Iterable[str]:
    if mention.startswith("mod "):
        return (mention[4:],)
    return [part for part in mention.split("::") if part not in ("crate", "self", "super")] or ["lib"]


def _rust_names(path: str, view: View) -> Iterator[str]:
    if path.endswith(".rs"):
        crate, module = _rust_place(path, view)
        yield module[-1] if module else crate[1] or "lib"


def _rust_place(path: str, view: View) -> tuple[tuple[str, str], tuple[str, ...]]:
    """((the crate's folder, its name), the module's path in it)."""

    def find(one: str) -> tuple[tuple[str, str], tuple[str, ...]]:
        manifest = view.above(one, "Cargo.toml") or ""
        folder = folder_of(manifest)
        named = _CRATE.search(text(view.read(manifest))) if manifest else None
        parts = one[len(folder) :].strip("/").removesuffix(".rs").split("/")
        parts = parts[1:] if parts[0] == "src" else parts
        if parts and parts[-1] in ("mod", "lib", "main"):
            parts = parts[:-1]
        return (folder, named[1].replace("-", "_") if named else ""), tuple(parts)

    found: tuple[tuple[str, str], tuple[str, ...]] = view.once("rust", path, find)
    return found


def _rust_leads(mention: str, source: str, target: str, view: View) -> bool:
    (here, _), module = _rust_place(source, view)
    (there, other), meant = _rust_place(target, view)
    if mention.startswith("mod "):
        return here == there and meant == (*module, mention[4:])
    parts = mention.split("::")
    if parts[0] == other and here != there:
        return _reaches(parts[1:], meant)
    if here != there:
        return False
    if parts[0] == "crate":
        parts = parts[1:]
    elif parts[0] in ("self", "super"):
        base = list(module)
        while parts and parts[0] in ("self", "super"):
            base = base[:-1] if parts[0] == "super" else base
            parts = parts[1:]
        parts = base + parts
    else:
        parts = [*module, *parts] if (*module, parts[0]) == meant[: len(module) + 1] else parts
    return bool(meant) and _reaches(parts, meant)


def _reaches(parts: list[str], meant: tuple[str, ...]) -> bool:
    """A path into a crate means the module it names, or the one that holds the last name."""
    return tuple(parts) == meant or tuple(parts[:-1]) == meant or (not meant and len(parts) <= 1)


RUST = Extractor("rust", re.compile(r".*\.rs\Z"), "uses", _rust_mentions, _rust_keys, _rust_names, _rust_leads)

# --- PHP: namespaces with one type a file, and included paths ----------------------------------------------------------------------------

_PHP_USE = re.compile(rb"^[ \t]*use\s+(?:function\s+|const\s+)?\\?([\w\\]+)(?:\\\{([^}]*)\})?", re.MULTILINE)
_INCLUDE = re.compile(rb"\b(?:require|include)(?:_once)?\b[^;\n]*?[\"']([^\"'\n]+\.php)[\"']")


def _php_mentions(data: bytes) -> Iterator[str]:
    for match in _PHP_USE.finditer(data):
        head = text(match[1])
        yield from (f"{head}\\{one.split(' as ')[0].strip()}" for one in text(match[2]).split(",")) if match[2] else (head,)
    yield from ("file " + text(match[1]) for match in _INCLUDE.finditer(data))


def _php_names(path: str, view: View) -> Iterator[str]:
    if path.endswith(".php"):
        yield last(path)
        yield last(path)[:-4]


def _php_leads(mention: str, source: str, target: str, view: View) -> bool:
    if mention.startswith("file "):
        return joined(folder_of(source), mention[5:].lstrip("/")) == target
    space = re.search(r"^\s*(?:<\?php\s+)?namespace\s+([\w\\]+)", text(view.read(target)[: 64 << 10]), re.MULTILINE)
    return f"{space[1] if space else ''}\\{last(target)[:-4]}".lstrip("\\") == mention


PHP = Extractor(
    "php",
    re.compile(r".*\.php\Z"),
    "uses",
    _php_mentions,
    lambda mention: (re.split(r"[\\/]", mention)[-1],),
    _php_names,
    _php_leads,
)
