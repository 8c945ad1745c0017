"""Imports of Python. Roots are found, not configured: the folder above the topmost package, `src`, or a folder with a project file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.reach.edges.base import Extractor, View, folder_of, joined, text

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]*import[ \t]*(\([^)]*\)|(?:[^\n\\;]|\\\r?\n)*)|import[ \t]+((?:[^\n\\;]|\\\r?\n)*))", re.MULTILINE
)
_COMMENT = re.compile(r"#[^\n]*|\\\n|[()]")
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "manage.py")


def mentions(data: bytes) -> Iterator[str]:
    """`a.b:c` for `from a.b import c`, `a.b:` for `import a.b`."""
    for match in _IMPORT.finditer(data):
        module, names, plain = (text(group or b"") for group in match.groups())
        for part in _COMMENT.sub(" ", names or plain).split(","):
            word = part.split(" as ")[0].strip()
            if re.fullmatch(r"[\w.]+|\*", word):
                yield f"{module}:{word}" if module else f"{word}:"


def keys(mention: str) -> Iterator[str]:
    module, _, name = mention.partition(":")
    if name and name != "*":
        yield name
    yield module.rpartition(".")[2] or "."


def names(path: str, view: View) -> Iterator[str]:
    if not path.endswith((".py", ".pyi")):
        return
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    if stem == "__init__":
        yield "."
        stem = folder.rpartition("/")[2]
    yield stem


def leads(mention: str, source: str, target: str, view: View) -> bool:
    module, _, name = mention.partition(":")
    here = folder_of(source)
    meant = _module(target)
    if module.startswith("."):
        rest = module.lstrip(".")
        for _ in range(len(module) - len(rest) - 1):
            here = folder_of(here)
        whole = joined(here, rest.replace(".", "/")) if rest else here
        return _names(whole, name, meant, view)
    whole = module.replace(".", "/")
    for wanted in dict.fromkeys((f"{whole}/{name}" if name and name != "*" else whole, whole)):
        if meant == wanted or meant.endswith("/" + wanted):
            root = meant[: -len(wanted)].rstrip("/")
            if _root(root, wanted, source, view):
                return _names(f"{root}/{whole}".lstrip("/"), name, meant, view)
    return False


def _module(path: str) -> str:
    stem = path.rpartition(".")[0]
    return stem[: -len("/__init__")] if stem.endswith("/__init__") else stem


def _names(whole: str, name: str, meant: str, view: View) -> bool:
    """`from whole import name` means the module `name` if there is one, else `whole`."""
    if not name or name == "*":
        return meant == whole
    inner = f"{whole}/{name}".lstrip("/")
    if meant == inner:
        return True
    return meant == whole and not (view.has(f"{inner}.py") or view.has(f"{inner}/__init__.py"))


def _root(root: str, wanted: str, source: str, view: View) -> bool:
    """Whether imports in `source` start at the folder `root`."""
    if not root:
        return True
    if view.has(f"{root}/__init__.py"):
        return False
    around = root.rpartition("/")[0] if root.rpartition("/")[2] in ("src", "lib", "python") else root
    near = not around or f"{folder_of(source)}/".startswith(f"{around}/")
    if near or "/" not in wanted:
        return near
    return view.has(f"{root}/{wanted.partition('/')[0]}/__init__.py") or any(view.has(f"{around}/{name}") for name in _PROJECT)


EXTRACTOR = Extractor("python", re.compile(r".*\.pyi?\Z"), "imports", mentions, keys, names, leads)
