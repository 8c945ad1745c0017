"""Imports of JavaScript and TypeScript: relative paths, `paths` and `baseUrl` of tsconfig.json, and packages of the same workspace."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

_IMPORT = re.compile(rb"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire(?:\.resolve)?\s*\(\s*|\bmock\(\s*)(["'])([^"'\n\r]{1,300})\1""")
_REMARK = re.compile(rb"[ \t]*(?://|/?\*)")
"""The beginning of a line that is a comment, or one within a comment of the usual form."""
_ENDING = re.compile(r"(?:\.d)?\.(?:[cm]?[jt]sx?|vue|svelte|json)\Z")
_CODE = re.compile(r".*\.(?:[cm]?[jt]sx?|vue|svelte|astro)\Z")
_MADE = re.compile(r"^(?:(?:dist|build|lib|out|src|esm|cjs|types)/)*")
_NOISE = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def mentions(data: bytes) -> Iterator[str]:
    """What stands in quotes after `from`, `import` or `require`."""
    return (text(match[2]) for match in _IMPORT.finditer(data) if not _REMARK.match(data, data.rfind(b"\n", 0, match.start()) + 1))


def keys(mention: str) -> Iterator[str]:
    word = _ENDING.sub("", last(mention))
    yield "." if word in ("", ".", "..") else word
    if not mention.startswith("."):
        yield _package(mention)


def names(path: str, view: View) -> Iterator[str]:
    name = last(path)
    if not (_CODE.match(name) or name.endswith(".json")):
        return
    stem = _ENDING.sub("", name)
    yield stem
    if stem == "index":
        yield "."
        yield last(folder_of(path))
    yield from _called(path, view)
    manifest = view.above(path, "package.json")
    if manifest is not None and (own := _manifest(manifest, view).get("name")):
        for way in _ways(manifest, view).get(_bare(_below(path, manifest)), ()):
            yield str(own) if way == "." else _ENDING.sub("", last(way))


def leads(mention: str, source: str, target: str, view: View) -> bool:
    if mention.startswith("."):
        return _means(target, joined(folder_of(source), mention), view)
    if any(_means(target, place, view) for place in _aliases(mention, source, view)):
        return True
    manifest = view.above(target, "package.json")
    if manifest is None:
        return False
    package = _package(mention)
    if _manifest(manifest, view).get("name") != package:
        return False
    below = mention[len(package) :].lstrip("/")
    if below and _is_folder_of(target, below) and _beside(joined(folder_of(manifest), below), view):
        return False
    return _entry(target, manifest, f"./{below}" if below else ".", view)


def _called(path: str, view: View) -> Iterator[str]:
    """The last words of the aliases that lead to a file by another name than its own."""
    for pattern, goal in _renaming(folder_of(path), view):
        before, star, after = goal.partition("*")
        if not star and _is(path, goal):
            yield _ENDING.sub("", last(pattern))
        elif star and path.startswith(before) and (end := path.find(_ENDING.sub("", after), len(before))) >= 0:
            yield _ENDING.sub("", last(pattern.replace("*", path[len(before) : end], 1)))


def _renaming(folder: str, view: View) -> tuple[tuple[str, str], ...]:
    """The aliases of every tsconfig.json above a folder whose goal may end in another word than what is written."""

    def find(one: str) -> tuple[tuple[str, str], ...]:
        own = view.once("aliases", one, lambda here: tuple(_rules(here, view)))
        above = _renaming(folder_of(one), view) if one else ()
        return tuple(dict.fromkeys((*above, *(rule for rule in own if not rule[1].endswith("*") and last(rule[0]) != last(rule[1])))))

    found: tuple[tuple[str, str], ...] = view.once("renaming", folder, find)
    return found


def _package(mention: str) -> str:
    parts = mention.split("/")
    return "/".join(parts[:2]) if mention.startswith("@") and len(parts) > 1 else parts[0]


def _is(target: str, place: str) -> bool:
    """Whether a path without ending, of a folder, or with the ending of what it compiles to, is the file `target`."""
    bare = _ENDING.sub("", target)
    return (
        place in (target, bare) or bare == f"{place}/index".lstrip("/") or (bare == _ENDING.sub("", place) and not target.endswith(".json"))
    )


def _means(target: str, place: str, view: View) -> bool:
    """`_is`, where a file goes before the folder of the same name."""
    if not _is(target, place):
        return False
    return not (place and _is_folder_of(target, place) and _beside(place, view))


def _is_folder_of(target: str, place: str) -> bool:
    return _ENDING.sub("", target).endswith(f"{place}/index")


def _beside(place: str, view: View) -> bool:
    return any(view.has(place + ending) for ending in (".ts", ".tsx", ".js", ".jsx"))


def _below(path: str, manifest: str) -> str:
    folder = folder_of(manifest)
    return path[len(folder) + 1 :] if folder else path


def _bare(path: str) -> str:
    """A path below a package without what building changes: the outermost folder and the ending."""
    return _MADE.sub("", _ENDING.sub("", path.removeprefix("./"))).removesuffix("/index") or "index"


def _entry(path: str, manifest: str, way: str, view: View) -> bool:
    """Whether `path` is what a package gives under `way` (`.` or `./sub`)."""
    here, ways = _bare(_below(path, manifest)), _ways(manifest, view)
    if way in ways.get(here, ()) or (way != "." and here in (_bare(way), _bare("./src/" + way[2:]))):
        return True
    stars: tuple[tuple[str, str], ...] = view.once(
        "stars", manifest, lambda one: tuple((name, goal) for name, goal in _exports(_manifest(one, view)) if name.endswith("/*"))
    )
    return any(way.startswith(name[:-1]) and _bare(goal.replace("*", way[len(name) - 1 :], 1)) == here for name, goal in stars)


def _ways(manifest: str, view: View) -> dict[str, list[str]]:
    """bare path → the ways (`.`, `./sub`) under which a package gives it."""

    def find(one: str) -> dict[str, list[str]]:
        content = _manifest(one, view)
        found: dict[str, list[str]] = {}
        for way, goal in _exports(content):
            found.setdefault(_bare(goal), []).append(way)
        if not any("." in ways for ways in found.values()):
            mains = [str(content[key]) for key in ("main", "module", "types", "typings") if isinstance(content.get(key), str)]
            for goal in mains or ["index"]:
                found.setdefault(_bare(goal), []).append(".")
        return found

    ways: dict[str, list[str]] = view.once("ways", manifest, find)
    return ways


def _exports(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    exports = content.get("exports")
    if isinstance(exports, str):
        yield ".", exports
    elif isinstance(exports, dict):
        plain = not any(str(key).startswith(".") for key in exports)
        for way, goal in ({".": exports} if plain else exports).items():
            yield from ((str(way), one) for one in _strings(goal, 4))


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth:
        for inner in value.values():
            yield from _strings(inner, depth - 1)


def _manifest(path: str, view: View) -> dict[str, Any]:
    found: dict[str, Any] = view.once("json", path, lambda one: _json(view.read(one)))
    return found


def _json(data: bytes) -> dict[str, Any]:
    """A JSON object, with comments and trailing commas allowed; empty where it is none."""
    words = _NOISE.sub(lambda match: match[1] or " ", text(data[: 1 << 20]))
    try:
        value = json.loads(re.sub(r",(\s*[}\]])", r"\1", words))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _aliases(mention: str, source: str, view: View) -> Iterator[str]:
    """Where the tsconfig that counts for `source` says a mention leads."""
    rules: tuple[tuple[str, str], ...] = view.once("aliases", folder_of(source), lambda folder: tuple(_rules(folder, view)))
    for pattern, goal in rules:
        before, star, after = pattern.partition("*")
        if star and mention.startswith(before) and mention.endswith(after) and len(mention) >= len(before) + len(after):
            yield joined("", goal.replace("*", mention[len(before) : len(mention) - len(after)], 1))
        elif mention == pattern:
            yield joined("", goal)


def _rules(folder: str, view: View) -> Iterator[tuple[str, str]]:
    found = view.above(f"{folder}/x".lstrip("/"), "tsconfig.json") or view.above(f"{folder}/x".lstrip("/"), "jsconfig.json")
    if found is None:
        return
    beside = folder_of(found)
    for name in (
        found,
        *(f"{beside}/{one}".lstrip("/") for one in ("tsconfig.app.json", "tsconfig.base.json") if one in view.names(beside)),
    ):
        yield from _options(name, view, 5)


def _options(path: str, view: View, depth: int) -> Iterator[tuple[str, str]]:
    content, folder = _manifest(path, view), folder_of(path)
    options = content.get("compilerOptions")
    options = options if isinstance(options, dict) else {}
    base = options.get("baseUrl")
    start = joined(folder, base) if isinstance(base, str) else folder
    paths = options.get("paths")
    for pattern, goals in (paths if isinstance(paths, dict) else {}).items():
        yield from ((str(pattern), joined(start, goal)) for goal in (goals if isinstance(goals, list) else ()) if isinstance(goal, str))
    if isinstance(base, str):
        yield "*", joined(start, "*")
    above = content.get("extends")
    for one in [above] if isinstance(above, str) else above if isinstance(above, list) else ():
        if isinstance(one, str) and one.startswith(".") and depth:
            yield from _options(joined(folder, one if one.endswith(".json") else one + ".json"), view, depth - 1)


EXTRACTOR = Extractor("javascript", _CODE, "imports", mentions, keys, names, leads, version=2)
