"""The command line: a table of commands, one function each. What a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot import formats

if TYPE_CHECKING:
    from checks.model import Report

PASS, BLOCKED, USAGE = 0, 1, 2
STATUSES = "exit status: 0 pass, observed or done; 1 blocked (review), different (replay) or failed; 2 usage, policy or repository error; 130 interrupted"


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
    parser.add_argument(
        "--format", choices=formats.NAMES, default="text", help="; ".join(f"{one.name}: {one.purpose}" for one in formats.FORMS)
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report there instead of to the terminal")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="judge under this policy instead of the base branch's")
    parser.add_argument("--all", action="store_true", help="show every effect")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="say only the verdict, in one line, and only where something stands in the way"
    )
    loudness.add_argument("-v", "--verbose", action="store_true", help="show every effect, and tell on standard error what was looked at")
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="default: when the output is a terminal")


def _review(options: argparse.Namespace) -> int:
    from bot.review import review
    from checks.model import State

    report = review(options.repo, options.base, options.head, options.policy)
    if options.verbose:
        _tell(report)
    if report.assessment.change.base == report.assessment.change.head and not options.quiet:
        print(
            f"interlock: base and head are the same commit ({report.assessment.change.head[:12]}), so nothing is compared; "
            "name a base, as in: interlock review HEAD~1",
            file=sys.stderr,
        )
    if options.quiet and options.format == "text" and options.output is None:
        if report.verdict.state is not State.PASS:
            from bot import render

            print(render.title(report) if report.verdict.state is not State.BLOCKED else f"Blocked: {render.title(report)}")
    else:
        _show(report, options)
    return BLOCKED if report.verdict.state is State.BLOCKED else PASS


def _show(report: Report, options: argparse.Namespace) -> None:
    to_file = options.output is not None
    colour = _colour("never" if to_file and options.colour == "auto" else options.colour)
    look = formats.Look(100 if to_file else shutil.get_terminal_size((100, 24)).columns, colour, options.all or options.verbose)
    text = formats.write(report, options.format, look)
    if not to_file:
        print(text, end="")
        return
    try:
        options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{options.output} cannot be written: {error.strerror}; --output names a file in a directory that exists") from None


def _tell(report: Report) -> None:
    """What was looked at, for someone who wonders why something was or was not seen."""
    from bot.escape import terminal

    assessment = report.assessment
    change, analysis = assessment.change, assessment.analysis
    lines = [
        f"base {change.base}",
        f"merge base {change.merge_base}",
        f"head {change.head}",
        f"engine {report.engine}, policy {assessment.policy}",
        f"{analysis.analysed} of {analysis.files} files analysed in {analysis.milliseconds} ms",
        *(f"not analysed: {item.path}: {item.why}" for item in analysis.not_analysed),
    ]
    for line in lines:
        print(f"interlock: {terminal(line)}", file=sys.stderr)


def _colour(wish: str) -> bool:
    """Colour on a terminal, unless NO_COLOR is set (no-color.org) or the person says otherwise."""
    return wish == "always" or (wish == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", metavar="NAME", help="a rule, a detector or a safeguard; nothing lists them")


def _explain(options: argparse.Namespace) -> int:
    from bot.explain import explain

    print(explain(options.what))
    return PASS


def _repo_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repo", type=Path, default=Path(), metavar="DIR", help="a repository, bare or not (default: the current directory)"
    )


def _agents_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rev", nargs="?", metavar="REV", help="which commit (default: HEAD)")
    _repo_argument(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _agents(options: argparse.Namespace) -> int:
    from bot.agents import answer_json, answer_text

    print((answer_json if options.format == "json" else answer_text)(options.repo, options.rev))
    return PASS


def _backtest_arguments(parser: argparse.ArgumentParser) -> None:
    _repo_argument(parser)
    parser.add_argument("--last", type=int, default=500, metavar="N", help="how many steps of the default branch (default: 500)")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="a proposed policy: say what it would have changed")
    parser.add_argument("--format", choices=("text", "json", "html"), default="text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where steps are kept between runs (default: the user's cache directory)")


def _backtest(options: argparse.Namespace) -> int:
    import json

    from bot.backtest import page, words
    from bot.backtest.run import kept_in, replay

    if options.last < 1:
        raise Refused("--last takes a number from 1 on")
    replayed = replay(options.repo, options.last, options.policy, kept_in(options.cache), _progress if sys.stderr.isatty() else None)
    if options.format == "json":
        text = json.dumps(words.as_json(replayed), indent=1) + "\n"
    elif options.format == "html":
        text = page.as_html(replayed)
    else:
        text = words.as_text(replayed, shutil.get_terminal_size((100, 24)).columns)
    if options.output is None:
        print(text, end="")
        return PASS
    try:
        options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{options.output} cannot be written: {error.strerror}") from None
    return PASS


def _progress(done: int, every: int, stopped: int, seconds: float) -> None:
    """A bar on one line of standard error."""
    bar = "#" * (24 * done // every)
    end = "\n" if done == every else ""
    print(
        f"\r[{bar:<24}] {done}/{every}  {done / max(seconds, 0.001):.0f} a second  {stopped} stopped ", end=end, file=sys.stderr, flush=True
    )


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8480, help="the port to listen on (default: 8480)")
    parser.add_argument(
        "--web", action="store_true", help="take deliveries and show the pages only; `interlock work` looks at what was stored"
    )


def _serve(options: argparse.Namespace) -> int:
    from bot.app import serve
    from bot.settings import SettingsError, read_settings
    from bot.store import NoDriver

    try:
        settings = read_settings()
        if settings.credentials is None:
            print(f"interlock: no credentials, deliveries will be refused; set {', '.join(settings.missing)}", file=sys.stderr)
        print(f"interlock: listening on http://{options.host}:{options.port}", file=sys.stderr, flush=True)
        serve(settings, options.host, options.port, looks=not options.web)
    except (SettingsError, NoDriver) as error:
        raise Refused(str(error)) from None
    return PASS


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """A command that is told everything by the environment."""


def _work(_: argparse.Namespace) -> int:
    from bot.app import work
    from bot.settings import SettingsError, read_settings
    from bot.store import NoDriver

    try:
        settings = read_settings()
        if settings.credentials is None:
            raise Refused(f"there is no App to work for: set {', '.join(settings.missing)}")
        work(settings)
    except (SettingsError, NoDriver) as error:
        raise Refused(str(error)) from None
    return PASS


def _backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="where the copy is written: a file that is not there yet")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data directory (default: INTERLOCK_DATA, or var)")


def _backup(options: argparse.Namespace) -> int:
    from bot.replay import backup
    from bot.settings import SettingsError, database_address
    from bot.store import NoBackup, NoDriver

    try:
        print(backup(options.data, database_address(), options.file))
    except (SettingsError, NoDriver, NoBackup) as error:
        raise Refused(str(error)) from None
    return PASS


def _replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("review", metavar="REVIEW", help="the id of a recorded review, or its beginning")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data directory (default: INTERLOCK_DATA, or var)")


def _replay(options: argparse.Namespace) -> int:
    from bot.replay import replay_review
    from bot.settings import SettingsError, database_address
    from bot.store import NoDriver

    try:
        result = replay_review(options.data, options.review, database_address())
    except (SettingsError, NoDriver) as error:
        raise Refused(str(error)) from None
    print(result.text)
    return PASS if result.same else BLOCKED


def _policy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "verb", choices=("check", "explain", "schema"), help="check: say what is wrong; explain: what it demands; schema: for editors"
    )
    parser.add_argument("file", nargs="?", type=Path, default=Path(".github/interlock.yml"), metavar="FILE")


def _policy(options: argparse.Namespace) -> int:
    from bot.policy_words import check, explain_policy, schema_text

    if options.verb == "schema":
        print(schema_text())
        return PASS
    if options.verb == "explain":
        print(explain_policy(options.file))
        return PASS
    wrong = check(options.file)
    print("\n".join(wrong) if wrong else f"{options.file}: no mistakes")
    return USAGE if wrong else PASS


def _schema_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", choices=("report", "policy"), help="report: what `review --format json` prints; policy: .github/interlock.yml"
    )


def _schema(options: argparse.Namespace) -> int:
    import json

    from bot import report_schema
    from checks import policy

    print(json.dumps((report_schema if options.what == "report" else policy).schema(), indent=1))
    return PASS


def _completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _completion(options: argparse.Namespace) -> int:
    from bot.completion import script

    print(script(options.shell, parser()), end="")
    return PASS


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("digest",), help="digest: the redacted, rebase-stable digest that trusted CI publishes")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="terraform show -json (or tofu, or a described change set); - for standard input"
    )


def _plan(options: argparse.Namespace) -> int:
    from checks.model import Unreadable
    from checks.plans import digest_file

    try:
        data = sys.stdin.buffer.read() if str(options.file) == "-" else options.file.read_bytes()
        print(digest_file(data))
    except OSError as error:
        raise Refused(f"{options.file} cannot be read: {error.strerror}") from None
    except Unreadable as unreadable:
        raise Refused(f"{options.file}: {unreadable.why}") from None
    return PASS


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="OWNER/REPO", help="the repository whose gate is looked at")
    parser.add_argument("--branch", metavar="BRANCH", help="the branch (default: the default branch)")


def _doctor(options: argparse.Namespace) -> int:
    import asyncio

    from bot.doctor import doctor
    from bot.github.client import ApiError
    from bot.settings import SettingsError, read_settings

    if options.repository.count("/") != 1:
        raise Refused(f"{options.repository} is no OWNER/REPO")
    try:
        text, fine = asyncio.run(doctor(read_settings(), options.repository, options.branch))
    except (ApiError, SettingsError) as error:
        raise Refused(f"GitHub did not tell of {options.repository}: {error}") from None
    print(text)
    return PASS if fine else BLOCKED


def _sweep(_: argparse.Namespace) -> int:
    import asyncio

    from bot.github.client import ApiError
    from bot.settings import SettingsError, read_settings
    from bot.sweep import by_hand

    try:
        print(asyncio.run(by_hand(read_settings())))
    except (ApiError, SettingsError) as error:
        raise Refused(str(error)) from None
    return PASS


def _records_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("verify", "export"), help="verify: the chain of digests; export: JSON lines")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data directory (default: INTERLOCK_DATA, or var)")


def _records(options: argparse.Namespace) -> int:
    from bot.records import exported, verify
    from bot.replay import opened

    with opened(options.data) as store:
        if options.verb == "export":
            for line in exported(store):
                print(line)
            return PASS
        wrong = verify(store)
        count = sum(1 for _ in store.every_record())
    print("\n".join(wrong) if wrong else f"{count} records, each as it was written")
    return BLOCKED if wrong else PASS


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", action="store_true", help="leave the server and the stand-in running at the end")


def _demo(options: argparse.Namespace) -> int:
    from bot.demo.story import tell

    return tell(options.keep, _colour("auto"))


COMMANDS: tuple[Command, ...] = (
    Command(
        "review",
        "say what a change would do, how far it reaches, and what must be proven",
        (
            "interlock review",
            "interlock review main feature",
            "interlock review HEAD~5 --repo ../shop --format json",
            "interlock review --format sarif --output interlock.sarif",
        ),
        _review_arguments,
        _review,
    ),
    Command(
        "agents",
        "say what each configured coding agent may decide alone",
        ("interlock agents", "interlock agents v1.2 --repo ../shop --format json"),
        _agents_arguments,
        _agents,
    ),
    Command(
        "backtest",
        "replay the default branch's history: what would have been stopped, and why",
        (
            "interlock backtest",
            "interlock backtest --last 200 --format html --output backtest.html",
            "interlock backtest --policy proposed.yml",
        ),
        _backtest_arguments,
        _backtest,
    ),
    Command(
        "policy",
        "check or explain a policy file",
        ("interlock policy check", "interlock policy explain .github/interlock.yml"),
        _policy_arguments,
        _policy,
    ),
    Command("plan", "make the digest of a plan", ("terraform show -json plan.out | interlock plan digest -",), _plan_arguments, _plan),
    Command(
        "serve",
        "run the GitHub App",
        ("interlock serve --host 0.0.0.0 --port 8480", "interlock serve --web"),
        _serve_arguments,
        _serve,
    ),
    Command("work", "look at what `interlock serve --web` stores, in a process of its own", ("interlock work",), _no_arguments, _work),
    Command(
        "backup",
        "copy the server's database while it runs",
        ("interlock backup /backups/interlock.db", "interlock backup copy.db --data /var/lib/interlock"),
        _backup_arguments,
        _backup,
    ),
    Command(
        "doctor",
        "say whether a repository's gate is enforced, and how to force it",
        ("interlock doctor acme/shop", "interlock doctor acme/shop --branch release"),
        _doctor_arguments,
        _doctor,
    ),
    Command("replay", "compute a recorded review again and compare", ("interlock replay 3f2a",), _replay_arguments, _replay),
    Command(
        "sweep",
        "ask GitHub again for deliveries that did not come in, and find pull requests without a check",
        ("interlock sweep",),
        _no_arguments,
        _sweep,
    ),
    Command(
        "records",
        "verify the chain of recorded verdicts, or export them",
        ("interlock records verify", "interlock records export --data /var/lib/interlock"),
        _records_arguments,
        _records,
    ),
    Command(
        "demo",
        "watch the pull request that caused an outage being stopped",
        ("interlock demo", "interlock demo --keep"),
        _demo_arguments,
        _demo,
    ),
    Command(
        "explain",
        "print the page of a rule, a detector or a safeguard",
        ("interlock explain terraform/resource-destroyed",),
        _explain_arguments,
        _explain,
    ),
    Command(
        "schema",
        "print the JSON Schema of a report or a policy",
        ("interlock schema report", "interlock schema policy"),
        _schema_arguments,
        _schema,
    ),
    Command(
        "completion",
        "print what makes a shell complete these commands",
        ("interlock completion bash", "interlock completion zsh", "interlock completion fish"),
        _completion_arguments,
        _completion,
    ),
)


class _Version(argparse.Action):
    """Prints the version: looked up only when asked for, because that takes longer than a small review."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("interlock")
        except PackageNotFoundError:
            from checks.assess import ENGINE

            number = ENGINE
        print(f"interlock {number}")
        parser.exit(0)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="interlock",
        description="Stops dangerous changes until automatic safeguards are proven.",
        epilog=f"`interlock COMMAND --help` has examples.\n\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    words = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        examples = "examples:\n" + "\n".join(f"  {example}" for example in command.examples)
        sub = words.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=f"{examples}\n\n{STATUSES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit status: see `STATUSES`."""
    options = parser().parse_args(arguments)
    # After the arguments: `--help` and a slip of the pen are answered at once.
    from bot.mirror.change import RepositoryError
    from bot.mirror.runner import GitError

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
