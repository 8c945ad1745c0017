"""Completion for shells, made from the parser: what `--help` knows, the shell knows."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command, or one of its places for a word."""

    names: tuple[str, ...]
    """`-q`, `--quiet`; none for a place."""
    help: str
    choices: tuple[str, ...]
    takes: str
    """What follows it: nothing, `word`, `file` or `directory`."""


@dataclass(frozen=True, slots=True)
class Word:
    """One command with its options."""

    name: str
    help: str
    options: tuple[Option, ...]
    places: tuple[Option, ...]


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The text to evaluate in `shell`: bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](words_of(parser))


def words_of(parser: argparse.ArgumentParser) -> tuple[Word, ...]:
    """The commands of a parser."""
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    return tuple(Word(name, helps.get(name, ""), *_options(below)) for name, below in commands.choices.items())


def _options(parser: argparse.ArgumentParser) -> tuple[tuple[Option, ...], tuple[Option, ...]]:
    made = [_option(action) for action in parser._actions if action.help is not argparse.SUPPRESS]
    return tuple(one for one in made if one.names), tuple(one for one in made if not one.names)


def _option(action: argparse.Action) -> Option:
    choices = tuple(map(str, action.choices or ()))
    takes = "" if action.nargs == 0 else {"DIR": "directory", "FILE": "file"}.get(str(action.metavar), "word")
    return Option(tuple(action.option_strings), (action.help or "").partition(";")[0], choices, takes)


def _bash(words: tuple[Word, ...]) -> str:
    lines = [
        "# interlock: completion for bash. In ~/.bashrc: source <(interlock completion bash)",
        "_interlock() {",
        '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" cmd="${COMP_WORDS[1]}"',
        "  COMPREPLY=()",
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        f'    mapfile -t COMPREPLY < <(compgen -W "{" ".join(word.name for word in words)} --help --version" -- "$cur"); return',
        "  fi",
        '  case "$cmd $prev" in',
    ]
    for word in words:
        for option in word.options:
            if option.takes:
                pattern = "|".join(f'"{word.name} {name}"' for name in option.names)
                lines.append(f'    {pattern}) mapfile -t COMPREPLY < <({_compgen(option)} -- "$cur"); return ;;')
    lines += ["  esac", '  case "$cmd" in']
    for word in words:
        names = [name for option in word.options for name in option.names] + [choice for place in word.places for choice in place.choices]
        files = " -f" if any(place.takes == "file" for place in word.places) else ""
        lines.append(f'    {word.name}) mapfile -t COMPREPLY < <(compgen{files} -W "{" ".join(names)}" -- "$cur") ;;')
    return "\n".join([*lines, "  esac", "}", "complete -F _interlock interlock"]) + "\n"


def _compgen(option: Option) -> str:
    if option.choices:
        return f'compgen -W "{" ".join(option.choices)}"'
    return {"file": "compgen -f", "directory": "compgen -d"}.get(option.takes, 'compgen -W ""')


def _zsh(words: tuple[Word, ...]) -> str:
    lines = [
        "#compdef interlock",
        "# interlock: completion for zsh. Put it on $fpath as _interlock, or: source <(interlock completion zsh)",
        "_interlock() {",
        "  local -a commands",
        "  commands=(",
        *(f"    {_quoted(word.name + ':' + word.help)}" for word in words),
        "  )",
        "  if (( CURRENT == 2 )); then _describe command commands; return; fi",
        '  local cmd="${words[2]}"',
        "  shift words; (( CURRENT-- ))",
        '  case "$cmd" in',
    ]
    for word in words:
        told = [part for option in word.options for part in _zsh_option(option)] + [_zsh_place(place) for place in word.places]
        lines.append(f"    {word.name}) _arguments {' '.join(map(_quoted, told))} ;;")
    return "\n".join([*lines, "  esac", "}", "compdef _interlock interlock"]) + "\n"


def _zsh_option(option: Option) -> Iterator[str]:
    told = re.sub(r"([\[\]:\\])", r"\\\1", option.help)
    for name in option.names:
        yield f"{name}[{told}]" + (f":{option.takes}:{_zsh_values(option)}" if option.takes else "")


def _zsh_place(place: Option) -> str:
    return f"::{place.takes}:{_zsh_values(place)}"


def _zsh_values(option: Option) -> str:
    if option.choices:
        return f"({' '.join(option.choices)})"
    return {"file": "_files", "directory": "_files -/"}.get(option.takes, " ")


def _fish(words: tuple[Word, ...]) -> str:
    lines = [
        "# interlock: completion for fish. Put it in ~/.config/fish/completions/interlock.fish",
        "complete -c interlock -f",
        *(f"complete -c interlock -n __fish_use_subcommand -a {word.name} -d {_quoted(word.help)}" for word in words),
    ]
    for word in words:
        under = f"complete -c interlock -n '__fish_seen_subcommand_from {word.name}'"
        for option in word.options:
            names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.names)
            lines.append(f"{under}{names}{_fish_values(option)} -d {_quoted(option.help)}")
        for place in word.places:
            values = _fish_values(place)
            if values not in ("", " -x"):
                lines.append(f"{under}{values.replace(' -r', '').replace(' -x', '')}")
    return "\n".join(lines) + "\n"


def _fish_values(option: Option) -> str:
    if option.choices:
        return f" -x -a {_quoted(' '.join(option.choices))}"
    return {"file": " -r -F", "directory": " -x -a '(__fish_complete_directories)'", "word": " -x"}.get(option.takes, "")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
