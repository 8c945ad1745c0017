"""Imports of JavaScript and TypeScript: relative paths, `paths` and `baseUrl` of tsconfig.json, and packages of the same workspace."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

_IMPORT = re.compile(rb"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire(?:\.resolve)?\s*\(\s*|\bmock\(\s*)(["'])([^"'\n\r]{1,300})\1""")
_ENDING = re.compile(r"(?:\.d)?\.(?:[cm]?[jt]sx?|vue|svelte|json)\Z")
_CODE = re.compile(r".*\.(?:[cm]?[jt]sx?|vue|svelte|astro)\Z")
_MADE = re.compile(r"^(?:(?:dist|build|lib|out|src|esm|cjs|types)/)*")
_NOISE = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def mentions(data: bytes) -> Iterator[str]:
    """What stands in quotes after `from`, `import` or `require`."""
    return (text(match[2]) for match in _IMPORT.finditer(data))


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
    manifest = view.above(path, "package.json")
    if manifest is not None and (own := _manifest(manifest, view).get("name")):
        for way in _ways(manifest, view).get(_bare(_below(path, manifest)), ()):
            yield str(own) if way == "." else _ENDING.sub("", last(way))


def leads(mention: str, source: str, target: str, view: View) -> bool:
    if mention.startswith("."):
        return _is(target, joined(folder_of(source), mention))
    if any(_is(target, place) for place in _aliases(mention, source, view)):
        return True
    manifest = view.above(target, "package.json")
    if manifest is None:
        return False
    package = _package(mention)
    if _manifest(manifest, view).get("name") != package:
        return False
    below = mention[len(package) :].lstrip("/")
    return _entry(target, manifest, f"./{below}" if below else ".", view)


def _package(mention: str) -> str:
    parts = mention.split("/")
    return "/".join(parts[:2]) if mention.startswith("@") and len(parts) > 1 else parts[0]


def _is(target: str, place: str) -> bool:
    """Whether a path without ending, of a folder, or with the ending of what it compiles to, is the file `target`."""
    bare = _ENDING.sub("", target)
    return (
        place in (target, bare) or bare == f"{place}/index".lstrip("/") or (bare == _ENDING.sub("", place) and not target.endswith(".json"))
    )


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


EXTRACTOR = Extractor("javascript", _CODE, "imports", mentions, keys, names, leads)
