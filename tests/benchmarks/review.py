"""How long a review takes beside `git diff-tree -p` of the same range, in the same run: a table, fitted exponents, and a plot.

    python -m tests.benchmarks.review [--mirrors DIR] [--only NAME …] [--plot FILE]

`--mirrors` is a directory of git directories (`name/repo`, `name.git` or `name`): ranges of about 1, 100 and 3,000 files are taken from each.
Without it only the made repositories are measured. The cold figure is the first review of the range in a process that has reviewed before, the
warm one a median of three more; what counts are the ratios.
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
from typing import Any

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
    cold: float
    cpu: float
    """Seconds of computing of a warm review, git's included."""
    read: int
    """Bytes of content taken from git by a cold review."""
    processes: int


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
            objects = change.after.objects  # type: ignore[attr-defined]  # git's trees
            found[:] = [assessment.change.files, len(assessment.effects), objects.bytes_read]

    def diff() -> None:
        subprocess.run(
            command(git_dir, "diff-tree", "-r", "-p", base, head),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    processes = _started()
    start = time.perf_counter()
    review()
    cold, read, processes = time.perf_counter() - start, found[2], _started() - processes
    used = computing()
    took = timed(review)
    cpu = (computing() - used) / (ROUNDS + 1)
    return Row(name, found[0], took, timed(diff), found[1], cold, cpu, read, processes)


def computing() -> float:
    """Seconds of processor that this process and its ended children used."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class _Counted(subprocess.Popen):  # type: ignore[type-arg]  # only counts
    """A process that is counted."""

    started = 0

    def __init__(self, *words: Any, **more: Any) -> None:
        type(self).started += 1
        super().__init__(*words, **more)


def _started() -> int:
    """How many processes this one has started so far."""
    return _Counted.started


def ranges(git_dir: Path) -> Iterator[tuple[str, str, str]]:
    """(what it is, base, head): the newest first-parent step, and ranges of about 100 and 3,000 files without it and then with it: a new head."""
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
    yield "newest step", line[1], line[0]
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
        if low > 1:
            yield "range", line[low], line[1]
            yield "one commit more", line[low], line[0]


def _part(number: int) -> str:
    return f"area{number // 10_000}/app{number // 100}/part{number}.py"


def made(folder: Path, files: int, changed: int) -> Path:
    """A repository of `files` Python files, a hundred in each folder, of which the last commit changes `changed`."""
    folder.mkdir(parents=True)
    git = ["git", "-c", "user.name=Robin", "-c", "user.email=robin@example.com", "-C", str(folder)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for number in range(files):
        path = folder / _part(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import os\n\n\ndef act{number}(value: int) -> int:\n    return value + {number}\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "Start"], check=True)
    for number in range(changed):
        path = folder / _part(number * files // changed)
        path.write_text(path.read_text() + f"\n\ndef more{number}() -> None:\n    return None\n")
    subprocess.run([*git, "commit", "-qam", "Change"], check=True)
    return find(folder)


def committed(folder: Path, before: Callable[[Path], None], after: Callable[[Path], None]) -> Path:
    """A repository of two commits: what `before` writes, and what `after` makes of it."""
    folder.mkdir(parents=True)
    git = ["git", "-c", "user.name=Robin", "-c", "user.email=robin@example.com", "-C", str(folder)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for write, message in ((before, "Start"), (after, "Change")):
        write(folder)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", message], check=True)
    return find(folder)


def _modules(folder: Path) -> None:
    for number in range(3000):
        path = folder / "old" / f"d{number % 60}" / f"m{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def act{number}() -> int:\n    return {number}\n")


def _moved(folder: Path) -> None:
    (folder / "old").rename(folder / "new")


def _lock(version: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        packages = ",\n".join(
            f'    "node_modules/p{n}": {{\n      "version": "{version if n % 40 == 0 else 1}.0.{n}",\n      "resolved": "https://registry.npmjs.org/p{n}/-/p{n}.tgz",\n'
            f'      "integrity": "sha512-{n:086d}==",\n      "dependencies": {{}}\n    }}'
            for n in range(21_000)
        )
        (folder / "package-lock.json").write_text(f'{{\n  "lockfileVersion": 3,\n  "packages": {{\n{packages}\n  }}\n}}\n')

    return write


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of a line through the points in logarithms: 1 means proportional, 0 means constant."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    middle_x, middle_y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / sum((x - middle_x) ** 2 for x in xs)


def command_line(mirrors: Path | None, only: Sequence[str] | None) -> tuple[float, int]:
    """Seconds of `interlock review` of a newest step, in a process that starts for it, and the MiB it held at most."""
    with tempfile.TemporaryDirectory() as place:
        git_dirs = [at for name in only or () if mirrors and (at := mirrors / name / "repo").is_dir()]
        git_dir = git_dirs[0] if git_dirs else made(Path(place) / "one", 1000, 3)
        command_words = [sys.executable, "-m", "bot.cli", "review", "HEAD~1", "HEAD", "--repo", str(git_dir), "--format", "json"]
        took = timed(lambda: subprocess.run(command_words, stdout=subprocess.DEVNULL, check=False))
        probe = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        peak = subprocess.run([sys.executable, "-c", probe, *command_words], capture_output=True, text=True, check=True).stdout
    return took, int(peak) // 1024


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
    lines = [
        "| range | files | git diff ms | review ms, warm | ratio | cold ms | computing ms | read KiB | processes | effects |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.name} | {row.files:,} | {row.diff * 1000:.0f} | {row.review * 1000:.0f} | {row.review / row.diff:.1f} | {row.cold * 1000:.0f} "
        f"| {row.cpu * 1000:.0f} | {row.read // 1024:,} | {row.processes} | {row.effects} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these folders of the mirrors")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    subprocess.Popen = _Counted  # type: ignore[misc]
    rows: list[Row] = []
    for folder in sorted(options.mirrors.iterdir()) if options.mirrors else ():
        git_dir = next((place for place in (folder / "repo", folder / ".git", folder) if (place / "HEAD").is_file()), None)
        if git_dir is None or (options.only and folder.name not in options.only):
            continue
        for what, base, head in ranges(git_dir):
            try:
                rows.append(measure(git_dir, base, head, f"{folder.name}, {what}"))
            except (GitError, subprocess.CalledProcessError):
                print(f"{folder.name}, {what}: left out, this copy lacks some of its files", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        by_change = [
            (number, measure(made(Path(place) / f"c{number}", 12_000, number), "HEAD~1", "HEAD", f"made, {number:,} of 12,000 files"))
            for number in (100, 1000, 10_000)
        ]
        by_size = [
            (number, measure(made(Path(place) / f"s{number}", number, 10), "HEAD~1", "HEAD", f"made, 10 of {number:,} files"))
            for number in (1000, 10_000, 100_000)
        ]
        made_ranges = (
            ("3,000 files renamed", committed(Path(place) / "renamed", _modules, _moved)),
            ("a lock file of 5 MB", committed(Path(place) / "lock", _lock(1), _lock(2))),
            ("1 of 50,000 files", made(Path(place) / "large", 50_000, 1)),
        )
        rows += [measure(git_dir, "HEAD~1", "HEAD", name) for name, git_dir in made_ranges]
    rows += [row for _, row in (*by_change, *by_size)]
    print(table(rows))
    print(
        f"\nexponent in changed files {exponent([(number, row.review) for number, row in by_change]):.2f}, in repository size {exponent([(number, row.review) for number, row in by_size]):.2f}"
    )
    start = timed(lambda: subprocess.run([sys.executable, "-m", "bot.cli", "--help"], stdout=subprocess.DEVNULL, check=True))
    print(
        f"first output of the command line after {start * 1000:.0f} ms; peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"
    )
    alone, peak = command_line(options.mirrors, options.only)
    print(f"`interlock review` of one step as a process of its own: {alone * 1000:.0f} ms, at most {peak} MiB")
    if options.plot:
        options.plot.write_text(plot(rows))


if __name__ == "__main__":
    main()
