"""Dockerfiles as instructions and stages.

Own line grammar after docs.docker.com/reference/dockerfile: parser directives (escape), continuation lines, comments between them, heredocs,
instruction flags, exec and shell forms. Nothing is run and nothing is fetched.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache

from checks.readers import text_of

LIMIT = 512 << 10
"""Bytes of one Dockerfile."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with its continuation lines joined."""

    name: str
    """Upper case."""
    text: str
    """What follows the name and its flags; the lines of a heredoc after it."""
    flags: tuple[str, ...]
    line: int

    @property
    def words(self) -> tuple[str, ...]:
        """The words of exec form (a JSON list), or of the text cut at spaces."""
        if self.text.startswith("["):
            try:
                given = json.loads(self.text)
            except ValueError:
                given = None
            if isinstance(given, list) and all(isinstance(word, str) for word in given):
                return tuple(given)
        return tuple(self.text.split())


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    """The image as written, build arguments with a default put in."""
    name: str
    line: int
    instructions: tuple[Instruction, ...]

    def last(self, name: str) -> Instruction | None:
        """The last instruction of a kind."""
        return next((item for item in reversed(self.instructions) if item.name == name), None)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file."""

    arguments: tuple[Instruction, ...]
    """ARG before the first FROM."""
    stages: tuple[Stage, ...]

    def chain(self, stage: Stage) -> tuple[Stage, ...]:
        """`stage` and the stages it is built on, from itself downwards."""
        names = {item.name: item for item in self.stages if item.name}
        out = [stage]
        while (below := names.get(out[-1].base.lower())) is not None and below not in out:
            out.append(below)
        return tuple(out)

    @property
    def final(self) -> Stage | None:
        """The stage that is built by default: the last."""
        return self.stages[-1] if self.stages else None


_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)(?:\s+|$)(.*)\Z", re.DOTALL)
_FLAG = re.compile(r"--[\w-]+(?:=(?:\"[^\"]*\"|\S*))?\s+")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?[-+]([^}]*))?\}|(\w+))")


@lru_cache(maxsize=256)
def read(data: bytes, path: str) -> Dockerfile:
    """The instructions of a Dockerfile. Raises `Unreadable` where it is no text or over the limit."""
    lines = text_of(data, path, LIMIT).split("\n")
    escape = _escape(lines)
    arguments: list[Instruction] = []
    stages: list[tuple[str, str, int, list[Instruction]]] = []
    defaults: dict[str, str] = {}
    at = 0
    while at < len(lines):
        start = at
        text, at = _logical(lines, at, escape)
        match = _INSTRUCTION.match(text)
        if not match:
            continue
        name, rest = match[1].upper(), match[2].strip()
        if name == "ONBUILD" and (later := _INSTRUCTION.match(rest)) and later[1].upper() in _LATER:
            # It runs in each build that starts from this image, so what it fetches and writes counts as if it stood there.
            name, rest = later[1].upper(), later[2].strip()
        flags: list[str] = []
        while flag := _FLAG.match(rest):
            flags.append(flag[0].strip())
            rest = rest[flag.end() :]
        if name in ("RUN", "COPY", "ADD"):
            for heredoc in _HEREDOC.finditer(rest):
                body, at = _heredoc(lines, at, heredoc[2], "<<-" in heredoc[0])
                rest = f"{rest}\n{body}"
        item = Instruction(name, rest, tuple(flags), start + 1)
        if name == "FROM":
            words = rest.split()
            alias = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
            stages.append((_filled(words[0] if words else "", defaults), alias, start + 1, []))
        elif stages:
            stages[-1][3].append(item)
        elif name == "ARG":
            arguments.append(item)
            key, _, value = rest.partition("=")
            defaults[key.strip()] = value.strip().strip("\"'")
    return Dockerfile(tuple(arguments), tuple(Stage(base, alias, line, tuple(items)) for base, alias, line, items in stages))


_LATER = frozenset({"RUN", "ADD", "COPY", "ENV", "ARG"})
"""Instructions after ONBUILD that are read as their own; a USER there is another image's."""


def _escape(lines: list[str]) -> str:
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if not match:
            return "\\"
        if match[1].lower() == "escape":
            return match[2] if match[2] in ("\\", "`") else "\\"
    return "\\"


def _logical(lines: list[str], at: int, escape: str) -> tuple[str, int]:
    """One logical line: continuations joined, comments and empty lines inside them left out."""
    parts: list[str] = []
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.lstrip().startswith("#") or (parts and not line.strip()):
            if parts:
                continue
            return "", at
        bare = line.rstrip()
        if bare.endswith(escape):
            parts.append(bare[:-1])
            continue
        parts.append(line)
        break
    return "\n".join(parts) if len(parts) > 1 else "".join(parts), at


def _heredoc(lines: list[str], at: int, mark: str, tabs: bool) -> tuple[str, int]:
    body: list[str] = []
    while at < len(lines):
        line = lines[at]
        at += 1
        if (line.lstrip("\t") if tabs else line).rstrip() == mark:
            break
        body.append(line)
    return "\n".join(body), at


def _filled(text: str, defaults: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: defaults.get(match[1] or match[3], "") or match[2] or match[0], text)
