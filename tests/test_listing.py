"""The list of changed files: read from the trees without a git process, it says what `git diff-tree` says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.mirror import listing
from bot.mirror.listing import RAW, differing, raw_records
from bot.mirror.objects import Objects
from bot.mirror.runner import environment, run, start
from checks.model import FileChange

BLOBS = tuple(f"{number:040x}" for number in (0x11, 0x2200310030, 0x20313030363434))
"""Ids that need not be there: a tree only names them. Some hold bytes that look like a mode or an end."""


@pytest.fixture(scope="module")
def git_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listing")
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True, env=environment())
    return folder


def written(git_dir: Path, content: bytes) -> str:
    """A tree object of exactly these bytes: git is not asked whether it likes them."""
    words = ["git", "--git-dir", str(git_dir), "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
    return subprocess.run(words, input=content, capture_output=True, check=True, env=environment()).stdout.decode().strip()


Folder = dict[str, Any]
"""Names of files with `mode oid`, of folders with what is in them."""


def made(git_dir: Path, folder: Folder) -> str:
    """A tree as git writes it, each file `mode oid`."""
    rows = []
    for name, value in folder.items():
        mode, oid = value.split(" ") if isinstance(value, str) else ("40000", made(git_dir, value))
        rows.append((name.encode() + (b"/" if mode == "40000" else b""), f"{mode} ".encode() + name.encode() + b"\0" + bytes.fromhex(oid)))
    return written(git_dir, b"".join(row for _, row in sorted(rows)))


def by_git(git_dir: Path, old: str, new: str) -> list[FileChange]:
    return raw_records(run(git_dir, *RAW, old, new))


NAMES = st.one_of(
    st.sampled_from(["a", "b", "a.txt", "ab", "a-b", "src", "src.py", "100644 a", "x100644 a", "40000 src", "ü", "a b", "\x01"]),
    st.text(st.characters(min_codepoint=1, max_codepoint=0x17F, exclude_characters="/"), min_size=1, max_size=6).filter(
        lambda name: name not in (".", "..", ".git")
    ),
)
FILES = st.builds("{} {}".format, st.sampled_from(["100644", "100755", "120000", "160000"]), st.sampled_from(BLOBS))
FOLDERS = st.recursive(
    st.dictionaries(NAMES, FILES, max_size=6), lambda below: st.dictionaries(NAMES, FILES | below, max_size=6), max_leaves=14
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(old=FOLDERS, new=FOLDERS, edits=st.dictionaries(NAMES, FILES | FOLDERS, max_size=3))
def test_two_trees_differ_as_git_says(git_dir: Path, old: Folder, new: Folder, edits: Folder) -> None:
    """Whatever files and folders come, go, change their mode or turn into one another, the list is git's, in git's order."""
    trees = [made(git_dir, tree) for tree in (old, new, {**old, **edits}, {})]
    with Objects(git_dir) as objects:
        for one in trees:
            for other in trees:
                assert differing(objects, one, other) == by_git(git_dir, one, other)


def test_a_name_that_looks_like_an_entry_hides_nothing(git_dir: Path) -> None:
    """An agent deletes `a` and adds a file whose name ends with what stands before `a` in a tree: the deletion is still listed."""
    oid = BLOBS[0]
    old, new = made(git_dir, {"a": f"100644 {oid}"}), made(git_dir, {"0100644 a": f"100644 {oid}"})
    with Objects(git_dir) as objects:
        assert [(file.path, file.old is None) for file in differing(objects, old, new)] == [("0100644 a", True), ("a", False)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git processes that listing starts."""
    started: list[str] = []

    def noted(git_dir: Path, *words: str) -> subprocess.Popen[bytes]:
        started.append(words[0])
        return start(git_dir, *words)

    monkeypatch.setattr("bot.mirror.listing.start", noted)
    return started


def entry(name: bytes, oid: str) -> bytes:
    return b"100644 " + name + b"\0" + bytes.fromhex(oid)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"", entry(b"a", BLOBS[0]) + entry(b"a", BLOBS[1]), id="a name twice"),
        pytest.param(entry(b"a", BLOBS[0]), entry(b"x/a", BLOBS[1]), id="a name with a slash"),
    ],
)
def test_a_tree_that_git_would_not_write_is_left_to_git(git_dir: Path, asked: list[str], old: bytes, new: bytes) -> None:
    """What such a tree means is for git to say: nothing is chosen here."""
    trees = written(git_dir, old), written(git_dir, new)
    with Objects(git_dir) as objects:
        assert differing(objects, *trees) == by_git(git_dir, *trees)
    assert asked == ["diff-tree"]


def test_more_folders_than_a_review_walks_are_left_to_git(git_dir: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound the list comes from one git process, and is the same."""
    new = made(git_dir, {f"folder{number}": {"a": f"100644 {BLOBS[0]}"} for number in range(30)})
    old = made(git_dir, {})
    with Objects(git_dir) as objects:
        whole = differing(objects, old, new)
        assert asked == [] and len(whole) == 30
        monkeypatch.setattr(listing, "FOLDERS", 20)
        assert differing(objects, old, new) == whole
    assert asked == ["diff-tree"]
