"""Shell scripts as the commands they run, with expansions kept as symbols and the conditions that each command stands under.

Scripts come from files, makefile recipes, `scripts` of package.json, `RUN` of Dockerfiles and the steps of workflows: all as one `Script`.
Wrappers (`sudo`, `env`, `timeout`, `xargs`, `bash -c`, `ssh host`, `kubectl exec --`) are seen through. Nothing is evaluated.
Sources: the POSIX shell command language (pubs.opengroup.org), the GNU make manual (recipes), docs.docker.com/reference/dockerfile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from checks.model import Unreadable
from checks.readers import text_of
from checks.readers.documents import json_node
from checks.readers.workflow import is_action, is_workflow, workflow

LIMIT = 256 << 10
"""Bytes of one script."""
DEPTH = 120
"""Levels of the syntax tree."""
COMMANDS = 20_000
"""Commands of one script."""
NESTING = 4
"""Scripts within scripts (`bash -c` in `ssh` in …)."""


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command."""

    words: tuple[str, ...]
    """The command's name and arguments without quotes; `$X`, `$(…)` and `${{ … }}` stand for what is not known."""
    line: int
    guards: tuple[str, ...] = ()
    """The conditions under which it runs, outermost first: `if …`, `case … in …`, `… &&`, `trap EXIT`."""
    soft: str = ""
    """Why its failure is ignored: `|| true`, or empty."""
    tested: bool = False
    """Its status is asked for by `if`, `while`, `&&`, `||` or `!`."""
    function: str = ""
    into: str = ""
    """The name of the command that its output is piped into."""
    through: tuple[str, ...] = ()
    """The wrappers it was taken out of: `sudo`, `ssh`, …"""
    substituted: bool = False
    """It stands in `$(…)`: its output is used."""

    @property
    def name(self) -> str:
        """The command's name without its folder."""
        return self.words[0].rpartition("/")[2] if self.words else ""

    def has(self, *flags: str) -> bool:
        """Whether any of the words is one of `flags`, or `--flag=value` for one; a letter flag is found in a cluster (`-rf`)."""
        for word in self.words[1:]:
            for flag in flags:
                if word == flag or (word.startswith(flag + "=") and flag.startswith("--")):
                    return True
                if len(flag) == 2 and flag[0] == "-" and re.fullmatch(r"-[A-Za-z]+", word) and flag[1] in word[1:]:
                    return True
        return False

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words after the name that are no flags."""
        return tuple(word for word in self.words[1:] if not word.startswith("-"))

    def text(self, limit: int = 160) -> str:
        """The command on one line."""
        text = " ".join(self.words)
        return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Setting:
    """One `set -x`/`set +x`: the option's letter or name, and whether it is switched on."""

    option: str
    on: bool
    line: int


@dataclass(frozen=True, slots=True)
class Script:
    """What a script runs."""

    commands: tuple[Command, ...]
    settings: tuple[Setting, ...] = ()
    broken: int | None = None
    """The first line that could not be parsed, None if all could."""

    def ends_with(self, option: str) -> bool:
        """Whether `option` (`errexit`, `nounset`, `pipefail`) is on where the script ends."""
        state = False
        for setting in self.settings:
            if setting.option == option:
                state = setting.on
        return state

    def ever(self, option: str) -> bool:
        """Whether `option` is switched on anywhere."""
        return any(setting.option == option and setting.on for setting in self.settings)


@dataclass(frozen=True, slots=True)
class Named:
    """A script within a file: a target, a package script, a `RUN`, a step, or the file itself (then without a name)."""

    name: str
    line: int
    text: str
    kind: str
    """`file`, `target`, `package`, `image` or `step`."""
    shell: str = ""
    where: tuple[str, ...] = ()
    """For a step: its job, its folder."""


_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_PLACE = re.compile(r"\$\{?__x(\d+)__\}?")


@lru_cache(maxsize=2048)
def script(text: str, path: str = "", line: int = 1) -> Script:
    """The commands of a shell script; `line` is where its first line stands. Raises `Unreadable` over the limits."""
    if len(text) > LIMIT:
        raise Unreadable(path, f"a script of more than {LIMIT >> 10} KiB", line)
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append("${{ " + " ".join(match.group(1).split()) + " }}")
        return f"${{__x{len(held) - 1}__}}"

    walker = _Walker(path, held)
    first = text.lstrip().split("\n", 1)[0]
    if first.startswith("#!"):
        walker.shebang(first, line)
    walker.parse(_EXPRESSION.sub(hold, text), line, _Context())
    return Script(tuple(walker.commands), tuple(walker.settings), walker.broken)


@dataclass(frozen=True, slots=True)
class _Context:
    guards: tuple[str, ...] = ()
    soft: str = ""
    tested: bool = False
    function: str = ""
    into: str = ""
    through: tuple[str, ...] = ()
    substituted: bool = False
    nesting: int = 0


_SETTINGS = {"e": "errexit", "u": "nounset"}
_ALWAYS_FINE = frozenset({"true", ":", "echo", "printf"})


@lru_cache(maxsize=1)
def _parser() -> Any:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


_ASCII = bytes(range(128)) + b"x" * 128
"""To bash a character beyond ASCII is a letter of a word and no more, so the grammar sees an `x` for each of its bytes: its scanner asks the C
library's `isalnum` and the like, which read past their table for larger characters (https://en.cppreference.com/w/c/string/byte/isalnum)."""


class _Walker:
    """Goes down one syntax tree (and those of the scripts within it) and collects commands."""

    def __init__(self, path: str, held: list[str]) -> None:
        self.path, self.held = path, held
        self.commands: list[Command] = []
        self.settings: list[Setting] = []
        self.broken: int | None = None
        self.source = b""
        self.offset = 1

    def parse(self, text: str, line: int, context: _Context) -> None:
        source = text.encode("utf-8", "surrogatepass")
        kept = (self.source, self.offset)
        self.source, self.offset = source, line
        tree = _parser().parse(source.translate(_ASCII))
        self.walk(tree.root_node, context, 0)
        self.source, self.offset = kept

    def line(self, node: Any) -> int:
        return int(node.start_point[0]) + self.offset

    def shebang(self, first: str, line: int) -> None:
        for word in first.split()[1:]:
            if re.fullmatch(r"-[a-z]+", word):
                self.settings += [Setting(_SETTINGS[letter], True, line) for letter in word[1:] if letter in _SETTINGS]

    def raw(self, node: Any) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def said(self, node: Any) -> str:
        """A piece of source as one line for a guard."""
        return self.back(_plain_expansions(" ".join(self.raw(node).split())))[:200]

    def back(self, text: str) -> str:
        return _PLACE.sub(lambda match: self.held[int(match.group(1))] if int(match.group(1)) < len(self.held) else match.group(), text)

    def walk(self, node: Any, context: _Context, depth: int) -> None:
        if depth > DEPTH:
            raise Unreadable(self.path, "a script nested too deep", self.line(node))
        if node.type == "ERROR" and self.broken is None:
            self.broken = self.line(node)
        visit = _VISITS.get(node.type)
        if visit is not None:
            visit(self, node, context, depth + 1)
        elif node.type != "comment":
            for child in node.named_children:
                self.walk(child, context, depth + 1)

    # Commands

    def command(self, node: Any, context: _Context, depth: int) -> None:
        words: list[str] = []
        for child in node.named_children:
            if child.type in ("variable_assignment", "file_redirect"):
                self.inside(child, context, depth)
            elif child.type == "herestring_redirect":
                continue
            else:
                words.append(self.word(child))
                self.inside(child, context, depth)
        self.add(tuple(words), self.line(node), context)

    def inside(self, node: Any, context: _Context, depth: int) -> None:
        """Commands in the substitutions of a word."""
        if node.type in ("command_substitution", "process_substitution"):
            inner = replace(context, substituted=True, into="", soft="", tested=False)
            for child in node.named_children:
                self.walk(child, inner, depth + 1)
        elif node.type not in ("word", "raw_string"):
            for child in node.named_children:
                self.inside(child, context, depth)

    def word(self, node: Any) -> str:
        kind = node.type
        if kind == "command_name":
            return "".join(self.word(child) for child in node.named_children) or self.back(self.raw(node))
        if kind == "concatenation":
            return "".join(self.word(child) for child in node.children)
        raw = self.raw(node)
        if kind == "string":
            raw = raw[1:-1].replace('\\"', '"').replace("\\\n", "")
        elif kind == "raw_string":
            return self.back(raw[1:-1])
        elif kind == "ansi_c_string":
            raw = raw[2:-1]
        elif kind == "word":
            raw = raw.replace("\\\n", "").replace("\\", "")
        elif kind in ("command_substitution", "process_substitution"):
            raw = " ".join(raw.split())
        return self.back(_plain_expansions(raw))

    def add(self, words: tuple[str, ...], line: int, context: _Context) -> None:
        if not words:
            return
        if len(self.commands) >= COMMANDS:
            raise Unreadable(self.path, f"a script of more than {COMMANDS:,} commands", line)
        if words[0] == "set":
            self.set(words[1:], line)
        rest, wrapper = _unwrapped(words)
        if wrapper and rest:
            self.add(rest, line, replace(context, through=(*context.through, wrapper)))
            return
        inner = _script_within(words)
        if inner is not None and context.nesting < NESTING:
            text, wrapper = inner
            guards = (*context.guards, "trap") if wrapper == "trap" else context.guards
            self.parse(
                _unbraced(text, self.held),
                line,
                replace(context, guards=guards, through=(*context.through, wrapper), nesting=context.nesting + 1),
            )
            if wrapper != "trap":
                return
        self.commands.append(
            Command(
                words,
                line,
                context.guards,
                context.soft,
                context.tested,
                context.function,
                context.into,
                context.through,
                context.substituted,
            )
        )

    def set(self, words: tuple[str, ...], line: int) -> None:
        at = 0
        while at < len(words):
            word = words[at]
            if word in ("-o", "+o") and at + 1 < len(words):
                self.settings.append(Setting(words[at + 1], word[0] == "-", line))
                at += 2
                continue
            if re.fullmatch(r"[-+][A-Za-z]+", word):
                for letter in word[1:]:
                    if letter in _SETTINGS:
                        self.settings.append(Setting(_SETTINGS[letter], word[0] == "-", line))
                    elif letter == "o" and at + 1 < len(words):
                        at += 1
                        self.settings.append(Setting(words[at], word[0] == "-", line))
            at += 1

    # Structure

    def either(self, node: Any, context: _Context, depth: int) -> None:
        left, right = node.named_children[0], node.named_children[-1]
        operator = next((child.type for child in node.children if child.type in ("&&", "||")), "&&")
        if operator == "&&":
            self.walk(left, replace(context, tested=True), depth)
            self.walk(right, replace(context, guards=(*context.guards, self.said(left) + " &&")), depth)
            return
        words = self.first_words(right)
        forgiving = words[:1] and (words[0] in _ALWAYS_FINE or words[:2] in (["exit", "0"], ["return", "0"]))
        soft = "|| " + " ".join(words[:2] if words[0] in ("exit", "return") else words[:1]) if forgiving else context.soft
        self.walk(left, replace(context, soft=soft, tested=context.tested or not forgiving), depth)
        self.walk(right, replace(context, guards=(*context.guards, self.said(left) + " ||")), depth)

    def first_words(self, node: Any) -> list[str]:
        if node.type == "command":
            return [self.word(child) for child in node.named_children if child.type not in ("variable_assignment", "file_redirect")]
        if node.type in ("redirected_statement", "compound_statement", "subshell") and len(node.named_children):
            if node.type != "redirected_statement" and len(node.named_children) != 1:
                return []
            return self.first_words(node.named_children[0])
        return []

    def pipeline(self, node: Any, context: _Context, depth: int) -> None:
        parts = list(node.named_children)
        for at, part in enumerate(parts):
            after = self.first_words(parts[at + 1]) if at + 1 < len(parts) else []
            words = (_unwrapped(tuple(after))[0] or tuple(after)) if after else ()
            into = words[0].rpartition("/")[2] if words else context.into
            self.walk(part, replace(context, into="" if into in SHELLS and words and _has_program(words) else into), depth)

    def negated(self, node: Any, context: _Context, depth: int) -> None:
        for child in node.named_children:
            self.walk(child, replace(context, tested=True), depth)

    def branch(self, node: Any, context: _Context, depth: int) -> None:
        """`if`, `elif`, `while`, `until`."""
        condition: list[Any] = []
        body: list[Any] = []
        seen = False
        for child in node.children:
            if child.type in ("then", "do_group"):
                seen = True
            (body if seen else condition).append(child)
        said = " ".join(self.said(child) for child in condition if child.is_named)
        keyword = {"if_statement": "if", "elif_clause": "if"}.get(node.type, "while")
        for child in condition:
            if child.is_named:
                self.walk(child, replace(context, tested=True), depth)
        inner = replace(context, guards=(*context.guards, f"{keyword} {said}"))
        other = replace(context, guards=(*context.guards, f"else {said}"))
        for child in body:
            if child.is_named:
                self.walk(child, other if child.type in ("else_clause", "elif_clause") else inner, depth)

    def case(self, node: Any, context: _Context, depth: int) -> None:
        value = node.child_by_field_name("value")
        said = self.said(value) if value is not None else ""
        for child in node.named_children:
            if child.type != "case_item":
                continue
            patterns = child.children_by_field_name("value")
            ids = {pattern.id for pattern in patterns}
            guard = f"case {said} in " + "|".join(self.said(pattern) for pattern in patterns)
            for part in child.named_children:
                if part.id not in ids:
                    self.walk(part, replace(context, guards=(*context.guards, guard)), depth)

    def function(self, node: Any, context: _Context, depth: int) -> None:
        name = node.child_by_field_name("name")
        body = node.child_by_field_name("body")
        if body is not None:
            self.walk(body, replace(context, function=self.raw(name) if name is not None else ""), depth)

    def redirected(self, node: Any, context: _Context, depth: int) -> None:
        body = node.named_children[0] if node.named_children else None
        for child in node.named_children:
            if child.type == "heredoc_redirect":
                self.heredoc(body, child, context, depth)
        if body is not None:
            self.walk(body, context, depth)

    def heredoc(self, body: Any, node: Any, context: _Context, depth: int) -> None:
        words: tuple[str, ...] = tuple(self.first_words(body)) if body is not None else ()
        words = _unwrapped(words)[0] or words
        piped = ""
        for child in node.named_children:
            if child.type in ("pipeline", "list", "command"):
                self.walk(child, context, depth)
                piped = piped or (self.first_words(child.named_children[0]) or [""])[0] if child.type == "pipeline" else piped
            elif child.type == "heredoc_body" and (_name(words) in _SHELLS | {"ssh"} or piped in _SHELLS) and context.nesting < NESTING:
                through = _name(words) if _name(words) in _SHELLS | {"ssh"} else piped
                self.parse(
                    self.raw(child), self.line(child), replace(context, through=(*context.through, through), nesting=context.nesting + 1)
                )

    def assignment(self, node: Any, context: _Context, depth: int) -> None:
        for child in node.named_children:
            self.inside(child, context, depth)

    def declaration(self, node: Any, context: _Context, depth: int) -> None:
        self.assignment(node, context, depth)

    def substitution(self, node: Any, context: _Context, depth: int) -> None:
        self.inside(node, context, depth)


_VISITS: dict[str, Any] = {
    "command": _Walker.command,
    "list": _Walker.either,
    "pipeline": _Walker.pipeline,
    "negated_command": _Walker.negated,
    "if_statement": _Walker.branch,
    "elif_clause": _Walker.branch,
    "while_statement": _Walker.branch,
    "case_statement": _Walker.case,
    "function_definition": _Walker.function,
    "redirected_statement": _Walker.redirected,
    "variable_assignment": _Walker.assignment,
    "variable_assignments": _Walker.assignment,
    "declaration_command": _Walker.declaration,
    "unset_command": _Walker.declaration,
    "test_command": _Walker.substitution,
    "command_substitution": _Walker.substitution,
    "process_substitution": _Walker.substitution,
}

_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash"})
SHELLS = _SHELLS | {"python", "python3", "node", "perl", "ruby", "source"}


def _has_program(words: tuple[str, ...]) -> bool:
    """Whether an interpreter is given its program in its arguments, so that what is piped into it is only data."""
    shell = words[0].rpartition("/")[2] in _SHELLS
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in ("-", "/dev/stdin", "--") or (shell and re.fullmatch(r"-[a-z]*s[a-z]*", word)):
            return False
        elif shell and re.fullmatch(r"[-+][a-zA-Z]*o", word):
            skip = True
        elif re.fullmatch(r"-[a-zA-Z]*c" if shell else r"-[a-zA-Z]*[cem]|-[enp]\S*|--(?:eval|print)(?:=.*)?", word) or not word.startswith(
            ("-", "+")
        ):
            return True
    return False


"""Commands that run what is piped into them."""
_BRACED = re.compile(r"\$\{(\w+)\}")


def _plain_expansions(text: str) -> str:
    return _BRACED.sub(lambda match: match.group() if match.group(1).startswith("__x") else f"${match.group(1)}", text)


def _unbraced(text: str, held: list[str]) -> str:
    """Expressions put back by `back` are held again, so that a script within a script parses too."""

    def hold(match: re.Match[str]) -> str:
        held.append(match.group())
        return f"${{__x{len(held) - 1}__}}"

    return _EXPRESSION.sub(hold, text)


def _name(words: tuple[str, ...]) -> str:
    return words[0].rpartition("/")[2] if words else ""


_WRAPPERS: dict[str, frozenset[str]] = {
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C", "-T", "-D", "--user", "--group"}),
    "doas": frozenset({"-u", "-C"}),
    "env": frozenset({"-u", "-C", "--unset", "--chdir"}),
    "timeout": frozenset({"-s", "-k", "--signal", "--kill-after"}),
    "gtimeout": frozenset({"-s", "-k"}),
    "nohup": frozenset(),
    "time": frozenset({"-f", "-o"}),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "exec": frozenset({"-a"}),
    "command": frozenset(),
    "builtin": frozenset(),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "setsid": frozenset(),
    "unbuffer": frozenset(),
    "xvfb-run": frozenset({"-s", "-n"}),
    "xargs": frozenset({"-n", "-I", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--replace", "--delimiter"}),
    "dotenv": frozenset({"-e", "-f"}),
    "cross-env": frozenset(),
    "aws-vault": frozenset(),
}
"""Commands that run their arguments: the flags that take a value of their own."""
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def _unwrapped(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The command inside a wrapper and the wrapper's name; ((), "") where there is none."""
    name = _name(words)
    if name in ("kubectl", "oc", "docker", "podman") and len(words) > 2 and (words[1] == "exec" or words[1:3] == ("compose", "exec")):
        if "--" in words:
            return words[words.index("--") + 1 :], f"{name} exec"
        return (), ""
    valued = _WRAPPERS.get(name)
    if valued is None or (name == "aws-vault" and "--" not in words):
        return (), ""
    if name == "command" and words[1:2] and words[1] in ("-v", "-V"):
        return (), ""
    if name == "aws-vault":
        return words[words.index("--") + 1 :], name
    at = 1
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if word in valued:
            at += 2
        elif (word.startswith("-") and len(word) > 1) or (name in ("env", "sudo", "cross-env", "dotenv") and _ASSIGNMENT.match(word)):
            at += 1
        else:
            break
    if name in ("timeout", "gtimeout"):
        at += 1
    return words[at:], name


def _script_within(words: tuple[str, ...]) -> tuple[str, str] | None:
    """The script that a command is given as text, and the command's name."""
    name = _name(words)
    if name in _SHELLS or name == "su":
        for at, word in enumerate(words[1:], 1):
            if re.fullmatch(r"-[a-z]*c[a-z]*|--command", word) and at + 1 < len(words):
                following = at + 1
                while following < len(words) - 1 and words[following].startswith("-"):
                    following += 1
                return words[following], name
        return None
    if name == "eval" and len(words) > 1:
        return " ".join(words[1:]), name
    if name == "trap" and len(words) > 2 and words[1] not in ("", "-"):
        return words[1], name
    if name in ("ssh", "autossh"):
        at = 1
        while at < len(words) and words[at].startswith("-"):
            at += 2 if words[at] in _SSH_VALUED else 1
        return (" ".join(words[at + 1 :]), "ssh") if at + 1 < len(words) else None
    return None


_SSH_VALUED = frozenset({"-i", "-p", "-o", "-l", "-L", "-R", "-D", "-F", "-J", "-b", "-c", "-E", "-e", "-m", "-O", "-Q", "-S", "-W", "-w"})


# Where scripts come from


def scripts(data: bytes, path: str) -> tuple[Named, ...]:
    """Every script in a file, by the kind of file its name says it is. Raises `Unreadable`."""
    name = path.rpartition("/")[2]
    lower = name.lower()
    if is_workflow(path) or is_action(path):
        return tuple(_steps(data, path))
    if lower in ("makefile", "gnumakefile") or lower.endswith((".mk", ".make")) or lower.startswith("makefile."):
        return tuple(_targets(text_of(data, path)))
    if lower == "package.json":
        return tuple(_package(data, path))
    if lower.startswith("dockerfile") or lower.endswith((".dockerfile", ".containerfile")) or lower == "containerfile":
        return tuple(_images(text_of(data, path)))
    if lower in ("justfile", ".justfile"):
        return ()
    return (Named("", 1, text_of(data, path), "file"),)


def _steps(data: bytes, path: str) -> Iterator[Named]:
    file = workflow(data, path)
    for job in file.jobs if file else ():
        windows = any("windows" in label.lower() for label in job.runs_on)
        for step in job.steps:
            if step.run:
                yield Named(
                    step.label,
                    step.run_line,
                    step.run,
                    "step",
                    step.shell or ("pwsh" if windows else (file.shell if file else "")),
                    (job.id,),
                )


def is_shell(named: Named) -> bool:
    """Whether the script is for a POSIX-like shell, as far as it says itself."""
    word = named.shell.split()[0].rpartition("/")[2].lower() if named.shell.split() else ""
    if word and word not in _SHELLS and "${{" not in word:
        return False
    first = named.text.lstrip()[:200].split("\n", 1)[0]
    return not first.startswith("#!") or any(shell in first for shell in ("sh", "env -S"))


_DIRECTIVE = re.compile(r"\s*-?(?:ifn?eq|ifn?def|else|endif|s?include)\b")
_TARGET = re.compile(r"(?P<names>[^\s#:=][^#:=]*?)\s*::?(?!=)(?P<rest>[^=].*|)$")


def _targets(text: str) -> Iterator[Named]:
    """Recipes of a makefile: `@`, `-`, `+` taken off (`-` becomes `|| true`), `$(X)` and `$$` as the shell will see them."""
    name, start = "", 0
    lines: list[str] = []
    number = 0
    rows = text.split("\n")
    while number < len(rows):
        row = rows[number]
        number += 1
        if row.startswith("\t") and name:
            whole = row[1:]
            extra = 0
            while whole.endswith("\\") and number < len(rows):
                whole = whole[:-1] + "\n" + rows[number].removeprefix("\t")
                number += 1
                extra += 1
            while len(lines) < number - extra - 1 - start:
                lines.append("")
            lines.extend(_recipe(whole).split("\n"))
        elif row.strip() and not row.lstrip().startswith("#") and not row.startswith("\t") and not _DIRECTIVE.match(row):
            match = _TARGET.match(row)
            if match or not row.startswith(" "):
                if lines:
                    yield Named(name, start + 1, "\n".join(lines), "target")
                name, start, lines = (match.group("names").strip() if match else ""), number, []
                if match and ";" in match.group("rest"):
                    yield Named(name, number, _recipe(match.group("rest").partition(";")[2]), "target")
    if lines:
        yield Named(name, start + 1, "\n".join(lines), "target")


def _recipe(line: str) -> str:
    stripped = line.lstrip("@-+ \t")
    ignored = "-" in line[: len(line) - len(stripped)]
    shell = re.sub(r"\$\((\w+)\)", r"${\1}", stripped).replace("$$", "$")
    shell = re.sub(
        r"\$\(((?:call|shell|foreach|if|patsubst|subst|wildcard|addprefix|addsuffix|filter|filter-out|dir|notdir|abspath|realpath|info|error|warning|eval)\b[^()]*)\)",
        "${MAKE_CALL}",
        shell,
    )
    if shell.rstrip().endswith("\\"):
        shell = shell.rstrip()[:-1]
    # Each line of a recipe is a shell of its own; a continued one stays one command.
    joined = re.sub(r"\s*\n\s*", " \\\n", shell)
    return f"{joined} || true" if ignored and joined.strip() else joined


def _package(data: bytes, path: str) -> Iterator[Named]:
    table = json_node(data, path).get("scripts")
    for key, value in (table.pairs or ()) if table is not None else ():
        if value.text:
            yield Named(key.text or "", key.line, value.text, "package")


_INSTRUCTION = re.compile(r"\s*(?P<word>[A-Za-z]+)\s+(?P<rest>.*)", re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


def _images(text: str) -> Iterator[Named]:
    """The `RUN` instructions of a Dockerfile, in shell form; the exec form is joined."""
    rows = text.split("\n")
    number = 0
    stage = 0
    while number < len(rows):
        start = number
        whole = rows[number]
        number += 1
        if whole.lstrip().startswith("#") or not whole.strip():
            continue
        parts = [whole]
        while parts[-1].rstrip().endswith("\\") and number < len(rows):
            following = rows[number]
            number += 1
            parts[-1] = parts[-1].rstrip()
            parts.append("\\" if following.lstrip().startswith("#") else following)
        whole = "\n".join(parts)
        match = _INSTRUCTION.match(whole)
        if match is None:
            continue
        word = match.group("word").upper()
        stage += word == "FROM"
        heredoc = _HEREDOC.search(whole) if word in ("RUN", "COPY") else None
        body: list[str] = []
        if heredoc:
            while number < len(rows) and rows[number].strip() != heredoc.group(2):
                body.append(rows[number])
                number += 1
            number += 1
        if word == "RUN":
            rest = re.sub(r"^(?:--\S+\s+)+", "", match.group("rest"))
            if heredoc and rest.lstrip().startswith("<<"):
                yield Named(f"stage {stage}", start + 2, "\n".join(body), "image")
            else:
                yield Named(
                    f"stage {stage}",
                    start + 1,
                    _exec_form(rest) + "".join("\n" + row for row in body) + (f"\n{heredoc.group(2)}" if heredoc else ""),
                    "image",
                )


def _exec_form(text: str) -> str:
    if text.lstrip().startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            return text
        if isinstance(words, list):
            return " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in words)
    return text
