"""Modules of one build: Gradle projects, Maven modules, crates of a workspace, modules of a Go workspace. From manifest to manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

_MANIFEST = re.compile(r"(?:build|settings)\.gradle(?:\.kts)?\Z|pom\.xml\Z|Cargo\.toml\Z|go\.(?:work|mod)\Z")
_PROJECT = re.compile(rb"\bproject\s*\(\s*(?:path\s*[:=]\s*)?[\"']:([\w.:-]+)[\"']|\bproject\s+[\"']:([\w.:-]+)[\"']")
_INCLUDE = re.compile(rb"^[ \t]*include(?:\s*\(|[ \t]+)([^)\n]*(?:,\s*\n[^)\n]*)*)", re.MULTILINE)
_QUOTED = re.compile(rb"[\"']:?([\w.:/-]+)[\"']")
_MODULE = re.compile(rb"<module>\s*([\w./-]+)\s*</module>")
_ARTIFACT = re.compile(rb"<groupId>\s*([^<\s]+)\s*</groupId>\s*<artifactId>\s*([^<\s]+)\s*</artifactId>")
_CRATE = re.compile(rb"\bpath\s*=\s*\"([^\"\n]+)\"")
_MEMBERS = re.compile(rb"^[ \t]*members\s*=\s*\[([^\]]{0,2000})\]", re.MULTILINE)
_USE = re.compile(rb"^[ \t]*use\s+(?:\(([^)]{0,2000})\)|([^\s(]\S*))", re.MULTILINE)
_COMMENT = re.compile(rb"^[ \t]*(?://|#).*$", re.MULTILINE)
SIZE = 128 << 10
"""Bytes of a manifest that are looked through."""


def mentions(data: bytes) -> Iterator[str]:
    """`gradle …` from the build's root, `maven group:artifact`, `path …` from the manifest's folder."""
    data = _COMMENT.sub(b"", _uncommented(data[:SIZE]))
    if b"<project" in data:
        yield from ("path " + text(place) for place in _MODULE.findall(data))
        yield from (f"maven {text(group)}:{text(artifact)}" for group, artifact in _ARTIFACT.findall(data))
        return
    for match in _PROJECT.finditer(data):
        yield "gradle " + text(match[1] or match[2]).replace(":", "/")
    for match in _INCLUDE.finditer(data):
        yield from ("gradle " + text(place).replace(":", "/") for place in _QUOTED.findall(match[1]))
    for match in _MEMBERS.finditer(data):
        yield from ("path " + text(place) for place in _QUOTED.findall(match[1]))
    yield from ("path " + text(place) for place in _CRATE.findall(data))
    for match in _USE.finditer(data):
        yield from ("path " + text(place) for place in (match[1] or match[2]).split())


def _uncommented(data: bytes) -> bytes:
    """XML without its comments; one that is never closed ends it."""
    first, *rest = data.split(b"<!--")
    return b"".join((first, *(part.partition(b"-->")[2] for part in rest)))


def _keys(mention: str) -> Iterator[str]:
    kind, _, words = mention.partition(" ")
    yield words.partition(":")[2] if kind == "maven" else last(words)


def _names(path: str, view: View) -> Iterator[str]:
    if _MANIFEST.match(last(path)):
        yield last(folder_of(path))
        if path.endswith("pom.xml"):
            yield _pom(path, view)[1]


def _pom(path: str, view: View) -> tuple[str, str]:
    """The group and artifact that a pom is; both may come from its parent, the artifact is its own."""

    def find(one: str) -> tuple[str, str]:
        data = _uncommented(view.read(one)[:SIZE])
        before, _, rest = data.partition(b"<parent>")
        parent, _, after = rest.partition(b"</parent>")
        head = re.split(
            rb"<(?:dependencies|dependencyManagement|build|modules|profiles|properties)>",
            before + after,
            maxsplit=1,
        )[0]
        own = {word: re.search(rb"<" + word + rb">\s*([^<\s]+)\s*<", head) for word in (b"groupId", b"artifactId")}
        group = own[b"groupId"] or re.search(rb"<groupId>\s*([^<\s]+)\s*<", parent)
        artifact = own[b"artifactId"]
        return text(group[1]) if group else "", text(artifact[1]) if artifact else ""

    found: tuple[str, str] = view.once("pom", path, find)
    return found


def _leads(mention: str, source: str, target: str, view: View) -> bool:
    kind, _, words = mention.partition(" ")
    if kind == "maven":
        group, _, artifact = words.partition(":")
        own = _pom(target, view) if target.endswith("pom.xml") else ("", "")
        return own[1] == artifact and (
            own[0] == group or (group in ("${project.groupId}", "${groupId}") and own[0] == _pom(source, view)[0])
        )
    if kind == "gradle":
        root = view.above(source, "settings.gradle") or view.above(source, "settings.gradle.kts")
        return root is not None and last(target).startswith("build.gradle") and folder_of(target) == joined(folder_of(root), words)
    wanted = {"pom.xml": "pom.xml", "Cargo.toml": "Cargo.toml", "go.work": "go.mod"}.get(last(source))
    return last(target) == wanted and folder_of(target) == joined(folder_of(source), words)


MODULES = Extractor("modules", _MANIFEST, "builds on", mentions, _keys, _names, _leads)
