"""Reads the known configuration files of one folder, and remembers what could not be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from checks.authority.nouns import Draft, Grant, Verb
from checks.model import Severity, Tree, Unreadable
from checks.readers import text_of
from checks.readers.documents import Node, json_node, one_yaml, read
from checks.readers.toml import toml

NAMES = 400
"""Files of one folder that are read."""


@dataclass(slots=True)
class Folder:
    """One folder that agents treat as a project's root."""

    tree: Tree
    root: str = ""
    seen: list[str] = field(default_factory=list)
    unread: list[tuple[str, str, int | None]] = field(default_factory=list)

    def at(self, name: str) -> str:
        """The path of a name below the root."""
        return f"{self.root}/{name}" if self.root else name

    def data(self, name: str) -> bytes | None:
        """The bytes of a file, None where there is none."""
        path = self.at(name)
        entry = self.tree.entry(path)
        if entry is not None and entry.is_link:
            self.unread.append((path, "it is a link, and what agents read is where it points", None))
            return None
        try:
            data = self.tree.read(path)
        except Unreadable as unreadable:
            self.unread.append((path, unreadable.why, unreadable.line))
            return None
        if data is not None:
            self.seen.append(path)
        return data

    def _parsed(self, name: str, parse: Callable[[bytes, str], Node | None]) -> Node | None:
        data = self.data(name)
        if data is None or not data.strip():
            return None
        try:
            return parse(data, self.at(name))
        except Unreadable as unreadable:
            self.unread.append((self.at(name), unreadable.why, unreadable.line))
            return None

    def json(self, name: str) -> Node | None:
        """A JSON file (comments allowed)."""
        return self._parsed(name, json_node)

    def yaml(self, name: str) -> Node | None:
        """A YAML file's first document."""
        return self._parsed(name, one_yaml)

    def either(self, name: str) -> Node | None:
        """A file that may be JSON or YAML."""
        return self._parsed(name, lambda data, path: next(iter(read(data, path)), None))

    def toml(self, name: str) -> Node | None:
        """A TOML file."""
        return self._parsed(name, toml)

    def text(self, name: str) -> str | None:
        """A text file."""
        data = self.data(name)
        if data is None:
            return None
        try:
            return text_of(data, self.at(name))
        except Unreadable as unreadable:
            self.unread.append((self.at(name), unreadable.why, unreadable.line))
            return None

    def front(self, name: str) -> Node | None:
        """The front matter of a Markdown file, with the file's own lines; None where there is none or it is no map."""
        data = self.data(name)
        if data is None:
            return None
        return front_matter(data, self.at(name))

    def names(self, folder: str, ending: str) -> Iterator[str]:
        """The files below `folder` (not deeper) whose name ends so, as names below the root."""
        entries = self.tree.list(self.at(folder))
        for name in sorted(entries)[:NAMES]:
            if name.endswith(ending) and entries[name].is_file:
                yield f"{folder}/{name}"

    def folders(self, folder: str) -> Iterator[str]:
        """The folders directly below `folder`."""
        entries = self.tree.list(self.at(folder))
        for name in sorted(entries)[:NAMES]:
            if entries[name].is_directory:
                yield f"{folder}/{name}"

    def exists(self, name: str) -> bool:
        """Whether something stands there."""
        return self.tree.entry(self.at(name)) is not None

    def finish(self, draft: Draft) -> Draft:
        """`draft` with the files it was made from."""
        if self.root:
            draft.surface = f"on a machine that opens {self.root}"
        draft.files.extend(self.seen)
        draft.unread.extend(self.unread)
        self.seen.clear()
        self.unread.clear()
        return draft


_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)


def front_matter(data: bytes, path: str) -> Node | None:
    """The YAML between the `---` lines at a Markdown file's start; broken front matter counts as none, as the agents treat it."""
    try:
        match = _FRONT.match(text_of(data[: 64 << 10].decode("utf-8", "ignore").encode(), path))
        node = one_yaml(("\n" + match[1]).encode(), path) if match else None
    except Unreadable:
        return None
    return node if node is not None and node.is_map else None


# Servers of the Model Context Protocol: one shape nearly everywhere


_VERSION = re.compile(
    r"(?<=[a-z0-9])@(?:[~^]?[0-9][A-Za-z0-9.+-]*|latest|next|sha256:[0-9a-f]+)\Z|:(?:[0-9][A-Za-z0-9.+-]*|latest|main)(?:@sha256:[0-9a-f]+)?\Z|==[0-9][A-Za-z0-9.]*\Z"
)


def launched(node: Node) -> str:
    """What a server is: its address, or its command with arguments, versions left out."""
    url = next((node.string(key) for key in ("url", "serverUrl", "httpUrl", "uri") if node.string(key)), None)
    if url:
        return url
    command = node.get("command") or node.get("cmd")
    words = [item.text or "" for item in command.elements()] if command else []
    for key in ("args", "arguments"):
        args = node.get(key)
        words += [item.text or "" for item in args.elements()] if args is not None else []
    return " ".join(_VERSION.sub("", word) for word in words)


def servers(draft: Draft, node: Node | None, path: str, condition: tuple[str, ...] = (), trusts: tuple[str, ...] = ()) -> None:
    """Adds every server of a `mcpServers` map: the server itself, and the tools that run unasked (`trusts` are the keys that name those)."""
    for name, server in node.entries() if node is not None and node.is_map else ():
        if not server.is_map or _is(server, "disabled", True) or _is(server, "enabled", False):
            continue
        line = node.key_line(name) if node else None
        value = launched(server)
        shown = value if len(value) <= 80 else value[:79] + "…"
        environment = server.get("env") or server.get("environment") or server.get("headers")
        names = ", ".join(environment.keys()[:5]) if environment is not None else ""
        text = f"use the tools of the server {name}" + (f" (`{shown}`)" if shown else "") + (f", which receives {names}" if names else "")
        draft.grants.append(Grant(Verb.SERVER, name, text, path, line, Severity.MODERATE, False, condition, value))
        for key in trusts:
            trusted = server.get(key)
            if trusted is None:
                continue
            at = server.key_line(key)
            if trusted.value is True:
                text = f"use every tool of the server {name} unasked"
                draft.grants.append(Grant(Verb.TOOL, f"{name}:*", text, path, at, Severity.MODERATE, False, condition))
            elif trusted.is_list:
                for item in trusted.elements():
                    text = f"use the tool {item.text} of the server {name} unasked"
                    draft.grants.append(
                        Grant(Verb.TOOL, f"{name}:{item.text}", text, path, item.line, tool_severity(item.text or ""), False, condition)
                    )


_ACTS = re.compile(
    r"(?:delete|drop|remove|destroy|execute|exec|run|write|create|update|push|merge|deploy|send|put|apply|terminate|query|sql|shell|command|\*)"
)


def tool_severity(name: str) -> Severity:
    """Moderate for a tool whose name says that it acts, low for one that reads."""
    return Severity.MODERATE if _ACTS.search(name.lower()) else Severity.LOW


def _is(node: Node, key: str, value: object) -> bool:
    found = node.get(key)
    return found is not None and found.is_scalar and found.value is value


def truth(node: Node | None, *keys: str) -> bool | None:
    """The boolean below `keys`; None where there is none."""
    found = node.get(*keys) if node is not None else None
    return found.value if found is not None and found.is_scalar and isinstance(found.value, bool) else None


def line_of(node: Node | None, *keys: str) -> int | None:
    """The line of the last of `keys`."""
    if node is None:
        return None
    above = node.get(*keys[:-1]) if keys[:-1] else node
    return above.key_line(keys[-1]) if above is not None else None


def dotted(node: Node | None, key: str) -> Node | None:
    """A setting that may be written `a.b.c` as one key or nested: both are read, the flat one first."""
    if node is None:
        return None
    found = node.get(key)
    return found if found is not None else node.get(*key.split("."))


def dotted_line(node: Node, key: str) -> int:
    """The line of such a setting."""
    if node.get(key) is not None:
        return node.key_line(key)
    return line_of(node, *key.split(".")) or node.line
