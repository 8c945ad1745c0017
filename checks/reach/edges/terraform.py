"""Terraform, OpenTofu and Terragrunt: modules by path, files that are read, state that another root module reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

_SOURCE = re.compile(rb'^[ \t]*(?:source|config_path)\s*=\s*"([^"\n]+)"', re.MULTILINE)
_PATHS = re.compile(rb"^[ \t]*(?:paths|dependencies)\s*=\s*\[([^\]]*)\]", re.MULTILINE)
_READ = re.compile(rb'\b(?:file|templatefile|filebase64|filemd5|filesha256|read_terragrunt_config)\s*\(\s*"([^"\n]+)"')
_STATE = re.compile(rb'^[ \t]*(?:key|prefix)\s*=\s*"([^"\n$]+)"', re.MULTILINE)
_REMOTE = re.compile(rb'data\s+"terraform_remote_state"')
_BACKEND = re.compile(rb'^[ \t]*backend\s+"?\w+"?\s*\{', re.MULTILINE)
_PARENT = re.compile(rb'find_in_parent_folders\(\s*(?:"([^"\n]*)")?')
_HERE = re.compile(r"\$\{(?:path\.module|path\.root|get_terragrunt_dir\(\)|path\.cwd)\}/?")
_TOP = re.compile(r"\$\{(?:get_repo_root\(\)|get_path_to_repo_root\(\)|find_in_parent_folders\([^)]*\))\}/?")


def mentions(data: bytes) -> Iterator[str]:
    """`dir …`, `file …`, `state …`, `parent …`, each as written."""
    quoted = [piece for match in _PATHS.finditer(data) for piece in re.findall(rb'"([^"\n]+)"', match[1])]
    for found in (*(match[1] for match in _SOURCE.finditer(data)), *quoted):
        place = _place(text(found))
        if place.startswith((".", "/")):
            yield "dir " + place
    for match in _READ.finditer(data):
        yield "file " + _place(text(match[1]))
    if _REMOTE.search(data):
        yield from ("state " + text(match[1]) for match in _STATE.finditer(data))
    yield from ("parent " + (text(match[1] or b"") or "terragrunt.hcl") for match in _PARENT.finditer(data))


def _place(written: str) -> str:
    """A path without the words for "here" and "the top"; `//` parts the package from the folder in it."""
    place = _TOP.sub("/", _HERE.sub("./", written)).partition("?")[0]
    return place.replace("//", "/")


def keys(mention: str) -> Iterator[str]:
    kind, _, place = mention.partition(" ")
    word = last(place)
    yield mention if kind == "state" else ".." if word in ("", ".", "..") else word


def names(path: str, view: View) -> Iterator[str]:
    name = last(path)
    yield name
    if name.endswith((".tf", ".tofu", ".hcl", ".tf.json")):
        yield last(folder_of(path))
        yield ".."
        data = view.read(path)
        if _BACKEND.search(data):
            yield from ("state " + text(match[1]) for match in _STATE.finditer(data))


def leads(mention: str, source: str, target: str, view: View) -> bool:
    kind, _, place = mention.partition(" ")
    if kind == "state":
        return source != target and bool(_BACKEND.search(view.read(target)))
    if kind == "parent":
        return f"{folder_of(source)}/".startswith(f"{folder_of(target)}/".lstrip("/")) and last(target) == place and source != target
    here = joined("", place.lstrip("/")) if place.startswith("/") else joined(folder_of(source), place)
    if kind == "file":
        return here == target
    return folder_of(target) == here and target.endswith((".tf", ".tofu", ".hcl", ".tf.json")) and folder_of(source) != here


EXTRACTOR = Extractor("terraform", re.compile(r".*\.(?:tf|tofu|hcl)\Z"), "calls", mentions, keys, names, leads)
