"""Requires of Ruby, and constants that are loaded by their file's name (Zeitwerk: github.com/fxn/zeitwerk, "The idea: file paths match constant paths")."""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

_REQUIRE = re.compile(rb"""^[ \t]*(require_relative|require|load)\s*\(?\s*["']([^"'\n]+)["']""", re.MULTILINE)
_CONSTANT = re.compile(rb"(?<![\w:])(?:::)?([A-Z]\w*(?:::[A-Z]\w*)*)")
_LOADED = re.compile(r"(?:^|/)(?:app/(?:[\w-]+/concerns|[\w-]+)|lib)/(.+)\.rb\Z")


def mentions(data: bytes) -> Iterator[str]:
    """`require_relative x`, `require x`, and every constant."""
    yield from (f"{text(match[1])} {text(match[2])}" for match in _REQUIRE.finditer(data))
    yield from map(text, set(_CONSTANT.findall(data)))


def keys(mention: str) -> Iterator[str]:
    if " " in mention:
        yield "file " + last(mention.partition(" ")[2]).removesuffix(".rb")
    else:
        yield mention.rpartition("::")[2].lower()


def names(path: str, view: View) -> Iterator[str]:
    if path.endswith(".rb"):
        stem = last(path)[:-3]
        yield "file " + stem
        if _LOADED.search(path):
            yield stem.replace("_", "").lower()


def leads(mention: str, source: str, target: str, view: View) -> bool:
    if source == target:
        return False
    bare = target.removesuffix(".rb")
    verb, space, place = mention.partition(" ")
    if space:
        place = place.removesuffix(".rb")
        return (
            joined(folder_of(source), place) == bare
            if verb == "require_relative"
            else bare in (place, f"lib/{place}") or bare.endswith(f"/lib/{place}")
        )
    loaded = _LOADED.search(target)
    if loaded is None:
        return False
    wanted = loaded[1].replace("_", "").split("/")
    written = mention.lower().split("::")
    if wanted[-len(written) :] != written:
        return False
    # A shortened name counts where the file itself stands in the rest of the namespace.
    rest = wanted[: -len(written)]
    place_of_source = _LOADED.search(source)
    inside = place_of_source[1].replace("_", "").split("/") if place_of_source else []
    return not rest or inside[: len(rest)] == rest


EXTRACTOR = Extractor("ruby", re.compile(r".*\.(?:rb|rake|erb|haml|slim)\Z|Rakefile\Z"), "names", mentions, keys, names, leads)
