"""The command line: a table of commands, one function each. What a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PASS, BLOCKED, USAGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Command:
    """One word of the command line."""

    name: str
    summary: str
    examples: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class Refused(Exception):
    """The command cannot be carried out: a sentence that names the place and the remedy."""


def _review_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", nargs="?", metavar="BASE", help="what to compare with (default: the default branch)")
    parser.add_argument("head", nargs="?", metavar="HEAD", help="what is proposed (default: HEAD)")
    parser.add_argument(
        "--repo", type=Path, default=Path(), metavar="DIR", help="a repository, bare or not (default: the current directory)"
    )
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="judge under this policy instead of the base branch's")
    parser.add_argument("--all", action="store_true", help="show every effect")
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="default: when the output is a terminal")


def _review(options: argparse.Namespace) -> int:
    from bot.review import review

    report = review(options.repo, options.base, options.head, options.policy)
    _show(report, options)
    from checks.model import State

    return BLOCKED if report.verdict.state is State.BLOCKED else PASS


def _show(report: object, options: argparse.Namespace) -> None:
    import json

    from bot import render
    from bot.report_json import as_json
    from checks.model import Report

    assert isinstance(report, Report)
    if options.format == "json":
        print(json.dumps(as_json(report), indent=1))
    elif options.format == "markdown":
        print(render.as_markdown(report), end="")
    else:
        print(render.as_text(report, shutil.get_terminal_size((100, 24)).columns, _colour(options.colour), options.all), end="")


def _colour(wish: str) -> bool:
    """Colour on a terminal, unless NO_COLOR is set (no-color.org) or the person says otherwise."""
    return wish == "always" or (wish == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", metavar="NAME", help="a rule, a detector or a safeguard; nothing lists them")


def _explain(options: argparse.Namespace) -> int:
    from bot.explain import explain

    print(explain(options.what))
    return PASS


COMMANDS: tuple[Command, ...] = (
    Command(
        "review",
        "say what a change would do, how far it reaches, and what must be proven",
        ("interlock review", "interlock review main feature", "interlock review HEAD~5 --repo ../shop --format json"),
        _review_arguments,
        _review,
    ),
    Command(
        "explain",
        "print the page of a rule, a detector or a safeguard",
        ("interlock explain terraform/resource-destroyed",),
        _explain_arguments,
        _explain,
    ),
)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("interlock")
    except PackageNotFoundError:
        from checks.assess import ENGINE as number  # noqa: N811 - the version where the package is not installed

    top = argparse.ArgumentParser(prog="interlock", description="Stops dangerous changes until automatic safeguards are proven.")
    top.add_argument("--version", action="version", version=f"interlock {number}")
    words = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        examples = "examples:\n" + "\n".join(f"  {example}" for example in command.examples)
        sub = words.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Exit status: 0 pass or observed, 1 blocked, 2 usage, policy or repository error."""
    from bot.mirror.change import RepositoryError
    from bot.mirror.runner import GitError

    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except (Refused, RepositoryError, GitError) as error:
        from bot.escape import terminal

        print(f"interlock: {terminal(str(error))}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PASS
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
