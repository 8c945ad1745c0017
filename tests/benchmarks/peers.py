"""How long a review takes beside the scanners that know some of the same files, on one change of such a file, in the same run.

    python -m tests.benchmarks.peers [--tools DIR]

`--tools` is a folder with `zizmor`, `squawk` and `checkov` (a virtual environment's `bin`); those that are not there are left out. Each scanner
is given the changed file as it stands at head; Interlock compares two commits, once as a command (a new process, nothing warm) and once in a
process that runs already. Medians of three.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot.mirror.change import opened
from checks import assess, read_policy
from tests.benchmarks.review import committed, timed

WORKFLOW = """on: [push, pull_request]
permissions: {{contents: {access}}}
jobs:
""" + "".join(
    f"  job{number}:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n      - run: make part{number}\n"
    for number in range(12)
)
SQL = "".join(f"create table part{number} (id bigint primary key, name text not null);\n" for number in range(40))
TERRAFORM = "".join(
    f'resource "aws_s3_bucket" "part{number}" {{\n  bucket = "shop-part{number}"\n  tags = {{\n    team = "shop"\n  }}\n}}\n\n'
    for number in range(40)
)


@dataclass(frozen=True)
class Case:
    """One tool and the file it knows, before and after."""

    tool: str
    words: tuple[str, ...]
    path: str
    before: str
    after: str


CASES = (
    Case(
        "zizmor",
        ("--offline", "--no-config", "-q"),
        ".github/workflows/ci.yml",
        WORKFLOW.format(access="read"),
        WORKFLOW.format(access="write"),
    ),
    Case("squawk", (), "migrations/0002_less.sql", "", SQL + "alter table part7 drop column name;\n"),
    Case(
        "checkov",
        ("--quiet", "--compact", "--framework", "terraform", "-f"),
        "infra/main.tf",
        TERRAFORM,
        TERRAFORM.replace("shop-part3", "shop-part-3"),
    ),
)


def run(words: list[str]) -> Callable[[], object]:
    """Something that runs a command; how it ends does not matter."""
    return lambda: subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def writing(name: str, content: str) -> Callable[[Path], None]:
    """Something that writes one file into a folder."""

    def act(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return act


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, default=Path(sys.executable).parent)
    options = parser.parse_args()
    print(
        "| beside | its ms | review as a command, ms | review in a running process, ms | the tool takes |\n| --- | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as place:
        for case in CASES:
            program = shutil.which(case.tool, path=str(options.tools)) or shutil.which(case.tool)
            if program is None:
                print(f"{case.tool} is not installed: left out", file=sys.stderr)
                continue

            folder = Path(place) / case.tool
            git_dir = committed(folder, writing(case.path, case.before), writing(case.path, case.after))

            def review(git_dir: Path = git_dir) -> None:
                with opened(git_dir, "HEAD~1", "HEAD", "shop") as change:
                    assess(change, read_policy(change.tip))

            theirs = timed(run([program, *case.words, str(folder / case.path)]))
            command = timed(run([sys.executable, "-m", "bot.cli", "review", "--repo", str(folder), "HEAD~1", "HEAD"]))
            warm = timed(review)
            print(
                f"| {case.tool} | {theirs * 1000:.0f} | {command * 1000:.0f} | {warm * 1000:.0f} | {theirs / command:.1f} and {theirs / warm:.1f} times as long |"
            )


if __name__ == "__main__":
    main()
