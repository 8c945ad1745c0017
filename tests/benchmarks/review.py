"""How long a review takes beside `git diff-tree -p` of the same range, in the same run: a table, fitted exponents, and a plot.

    python -m tests.benchmarks.review [--mirrors DIR] [--plot FILE]

`--mirrors` is a directory of git directories (`name/repo`, `name.git` or `name`): ranges of about 1, 100 and 3,000 files are taken from each.
Without it only the made repositories are measured. Every figure is a median of three; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.mirror.change import find, opened
from bot.mirror.runner import GitError, command, environment
from checks import assess, read_policy

ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """One range: how many files, and how long each side took, in seconds."""

    name: str
    files: int
    review: float
    diff: float
    effects: int


def timed(act: Callable[[], object]) -> float:
    """The median of some runs, the first left out: files and caches are warm."""
    act()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(git_dir: Path, base: str, head: str, name: str) -> Row:
    """A range reviewed in this process, and shown by git."""
    found: list[int] = []

    def review() -> None:
        with opened(git_dir, base, head, name) as change:
            assessment = assess(change, read_policy(change.tip))
            found[:] = [assessment.change.files, len(assessment.effects)]

    def diff() -> None:
        subprocess.run(command(git_dir, "diff-tree", "-r", "-p", base, head), env=environment(), stdout=subprocess.DEVNULL, check=True)

    took = timed(review)
    return Row(name, found[0], took, timed(diff), found[1])


def ranges(git_dir: Path) -> Iterator[tuple[str, str]]:
    """(base, head) of the newest first-parent steps that change about 1, 100 and 3,000 files."""
    log = subprocess.run(
        command(git_dir, "rev-list", "--first-parent", "--max-count=4000", "HEAD"),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    line = log.stdout.split()
    if len(line) < 2:
        return
    yield line[1], line[0]
    for wanted in (100, 3000):
        low, high = 1, len(line) - 1
        while low < high:
            middle = (low + high) // 2
            names = subprocess.run(
                command(git_dir, "diff-tree", "-r", "--name-only", line[middle], line[0]),
                env=environment(),
                capture_output=True,
                check=True,
            ).stdout
            low, high = (middle + 1, high) if names.count(b"\n") < wanted else (low, middle)
        yield line[low], line[0]


def made(folder: Path, files: int, changed: int) -> Path:
    """A repository of `files` Python and Terraform files of which the last commit changes `changed`."""
    folder.mkdir(parents=True)
    git = ["git", "-c", "user.name=Robin", "-c", "user.email=robin@example.com", "-C", str(folder)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for number in range(files):
        path = folder / f"app{number % 100}" / f"part{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"import os\n\n\ndef act{number}(value: int) -> int:\n    return value + {number}\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "Start"], check=True)
    for number in range(changed):
        path = folder / f"app{number % 100}" / f"part{number}.py"
        path.write_text(path.read_text() + f"\n\ndef more{number}() -> None:\n    return None\n")
    subprocess.run([*git, "commit", "-qam", "Change"], check=True)
    return find(folder)


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of a line through the points in logarithms: 1 means proportional, 0 means constant."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    middle_x, middle_y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / sum((x - middle_x) ** 2 for x in xs)


def plot(rows: Sequence[Row]) -> str:
    """The ratios against the number of files, as SVG."""
    width, height, left, bottom = 720, 320, 60, 40
    most = max(row.review / row.diff for row in rows) * 1.1
    far = math.log10(max(row.files for row in rows) + 1) or 1
    marks = "".join(
        f'<circle cx="{left + (width - left - 20) * math.log10(row.files + 1) / far:.0f}" cy="{height - bottom - (height - bottom - 20) * row.review / row.diff / most:.0f}" r="4"/>'
        for row in rows
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"><title>Time of a review as a multiple of git diff, by changed files</title>'
        f'<path d="M{left} 20V{height - bottom}H{width - 20}" fill="none" stroke="#888"/>{marks}'
        f'<text x="{left}" y="14" font-size="12">× git diff (up to {most:.0f})</text><text x="{width - 220}" y="{height - 12}" font-size="12">changed files (log), up to {max(row.files for row in rows):,}</text></svg>\n'
    )


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| range | files | review ms | git diff ms | ratio | effects |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {row.name} | {row.files:,} | {row.review * 1000:.0f} | {row.diff * 1000:.0f} | {row.review / row.diff:.1f} | {row.effects} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    for folder in sorted(options.mirrors.iterdir()) if options.mirrors else ():
        git_dir = next((place for place in (folder / "repo", folder / ".git", folder) if (place / "HEAD").is_file()), None)
        if git_dir is None:
            continue
        try:
            rows += [measure(git_dir, base, head, folder.name) for base, head in ranges(git_dir)]
        except (GitError, subprocess.CalledProcessError) as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        by_change = [
            (number, measure(made(Path(place) / f"c{number}", 4000, number), "HEAD~1", "HEAD", f"made, {number} of 4,000 files"))
            for number in (30, 100, 300, 1000, 3000)
        ]
        by_size = [
            (number, measure(made(Path(place) / f"s{number}", number, 10), "HEAD~1", "HEAD", f"made, 10 of {number:,} files"))
            for number in (300, 1000, 3000, 10000)
        ]
    rows += [row for _, row in (*by_change, *by_size)]
    print(table(rows))
    print(
        f"\nexponent in changed files {exponent([(number, row.review) for number, row in by_change]):.2f}, in repository size {exponent([(number, row.review) for number, row in by_size]):.2f}"
    )
    start = timed(lambda: subprocess.run([sys.executable, "-m", "bot.cli", "--help"], stdout=subprocess.DEVNULL, check=True))
    print(
        f"first output of the command line after {start * 1000:.0f} ms; peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"
    )
    if options.plot:
        options.plot.write_text(plot(rows))


if __name__ == "__main__":
    main()
