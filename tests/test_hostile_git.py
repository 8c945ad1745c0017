"""Hostile repositories: what a stranger can put into objects, references, names and configuration, against the git on the search path.

Another git is tried with `PATH=/opt/git/bin:$PATH make test ARGS="tests/test_hostile_git.py tests/test_bypass_content.py tests/test_mirrors.py"`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.mirror.change import RepositoryError, opened
from bot.mirror.mirrors import Mirrors
from bot.mirror.objects import Objects
from bot.mirror.runner import GitError
from bot.review import review
from checks.model import Unreadable
from tests.bypass import DROP, MIGRATION, red, repository, reviewed, rules
from tests.house import House, build, demolish
from tests.repositories import Repository

DROPPED = "migrations/table-dropped"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = build(tmp_path_factory.mktemp("git"))
    yield made
    demolish(made)


def tree(made: Repository, *entries: tuple[bytes, bytes, str]) -> str:
    """A tree object of (mode, name, id) exactly as given."""
    content = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    return made.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=content)


def commit_of(made: Repository, root: str, parent: str = "main") -> str:
    return made.git("commit-tree", root, "-p", parent, "-m", "Change")


# What the repository's own configuration may say


PROGRAMS = {
    "external diff": ("diff.external", "touch {}"),
    "text conversion": ("diff.x.textconv", "touch {}"),
    "watcher": ("core.fsmonitor", "touch {}"),
    "hooks": ("core.hooksPath", "{}.hooks"),
    "pager": ("core.pager", "touch {}"),
    "ssh": ("core.sshCommand", "touch {}"),
    "filter": ("filter.x.smudge", "touch {}"),
    "filter process": ("filter.x.process", "touch {}"),
    "merge driver": ("merge.x.driver", "touch {}"),
    "credential": ("credential.helper", "!touch {}"),
    "askpass": ("core.askPass", "touch {}"),
    "alternates": ("core.alternateRefsCommand", "touch {}"),
    "signature": ("gpg.program", "touch {}"),
    "alias": ("alias.diff-tree", "!touch {}"),
    "editor": ("core.editor", "touch {}"),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_no_program_of_a_repository_runs(tmp_path: Path, what: str) -> None:
    """Whatever program the reviewed repository's own configuration names for a task of git, none is started, and the danger is found."""
    marker = tmp_path / "ran"
    hooks = tmp_path / "ran.hooks"
    hooks.mkdir()
    for hook in ("reference-transaction", "post-index-change", "post-checkout", "fsmonitor-watchman", "pre-auto-gc"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / hook).chmod(0o755)
    made = repository(tmp_path, {".gitattributes": "*.sql diff=x filter=x merge=x\n"})
    made.commit({MIGRATION: DROP})
    key, value = PROGRAMS[what]
    made.git("config", key, value.format(marker))
    marker.unlink(missing_ok=True)
    assert DROPPED in rules(reviewed(made)) and not marker.exists()


def test_an_included_configuration_runs_nothing_either(tmp_path: Path) -> None:
    """`include.path` brings in settings of another file, which count as little."""
    marker, more = tmp_path / "ran", tmp_path / "more"
    more.write_text(f"[diff]\n external = touch {marker}\n[core]\n fsmonitor = touch {marker}\n attributesFile = {tmp_path}/attributes\n")
    (tmp_path / "attributes").write_text("*.sql -diff\n")
    made = repository(tmp_path)
    made.git("config", "include.path", str(more))
    made.commit({MIGRATION: DROP})
    marker.unlink(missing_ok=True)
    assert DROPPED in rules(reviewed(made)) and not marker.exists()


@pytest.mark.parametrize(
    "name", ["GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH", "GIT_TRACE", "GIT_GRAFT_FILE"]
)
def test_nothing_of_our_environment_reaches_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, house: House) -> None:
    """git's own variables in the server's environment change neither a review nor a fetch."""
    made = repository(tmp_path)
    made.commit({MIGRATION: DROP})
    monkeypatch.setenv(name, str(tmp_path / "odd"))
    assert DROPPED in rules(reviewed(made))
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    mirrors.fetch(
        1, f"{house.github.url}/acme/shop.git", house.github.token(house.installation), (("refs/heads/main", "refs/interlock/base/1"),)
    )
    assert not (tmp_path / "odd").exists()


def test_a_graft_changes_no_history(tmp_path: Path) -> None:
    """`info/grafts` gives a commit other parents for git; not for the gate."""
    made = repository(tmp_path)
    evil = made.commit({MIGRATION: DROP})
    more = made.commit({"a.txt": "a\n"})
    made.git("update-ref", "refs/heads/main", made.git("rev-parse", "main"))
    (made.folder / ".git/info").mkdir(exist_ok=True)
    (made.folder / ".git/info/grafts").write_text(f"{made.git('rev-parse', 'main')} {evil}\n")
    assert DROPPED in rules(reviewed(made, head=more))


def test_objects_of_another_repository_are_read_as_objects_only(tmp_path: Path) -> None:
    """`objects/info/alternates` lends objects; no configuration, hook or reference comes with them."""
    other = Repository(tmp_path / "other")
    other.commit({"a.txt": "a\n"})
    other.git("config", "diff.external", f"touch {tmp_path}/ran")
    made = repository(tmp_path)
    made.commit({MIGRATION: DROP})
    (made.folder / ".git/objects/info").mkdir(exist_ok=True)
    (made.folder / ".git/objects/info/alternates").write_text(f"{other.folder}/.git/objects\n")
    assert DROPPED in rules(reviewed(made)) and not (tmp_path / "ran").exists()


# Addresses, references and names


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c 'touch {}'",
        "file://{}",
        "-u./payload",
        "--upload-pack=touch {}",
        "ssh://-oProxyCommand=touch%20{}/x",
        "git://127.0.0.1:1/x",
        "fd::17/foo",
        "{}",
    ],
)
def test_an_odd_address_is_refused_and_runs_nothing(tmp_path: Path, address: str) -> None:
    """Only http and https are spoken; what other transports would start is not started."""
    marker = tmp_path / "ran"
    with pytest.raises((GitError, ValueError)):
        Mirrors(tmp_path / "mirrors", 1 << 30).fetch(1, address.format(marker), "t", (("refs/heads/main", "refs/interlock/base/1"),))
    assert not marker.exists()


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch x", "-u", "--output=x", "main:refs/heads/evil", "^main", "../x", "a b", "x\n+refs/heads/*:refs/heads/*"]
)
def test_a_branch_named_like_an_option_is_a_name(house: House, tmp_path: Path, ref: str) -> None:
    """A base branch's name is never an option or another refspec: it is fetched as what it is, or refused."""
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    with contextlib.suppress(GitError):
        mirrors.fetch(
            1,
            f"{house.github.url}/acme/shop.git",
            house.github.token(house.installation),
            ((f"refs/heads/{ref}", "refs/interlock/base/1"),),
        )
    found = subprocess.run(
        ["git", f"--git-dir={mirrors.path(1)}", "for-each-ref", "--format=%(refname)"], capture_output=True, check=True, text=True
    ).stdout.split()
    assert set(found) <= {"refs/interlock/base/1"}
    assert not (tmp_path / "x").exists() and not Path("x").exists()


@pytest.mark.parametrize(
    "word", ["--output=ran", "-O", "--help", "main;touch ran", "$(touch ran)", "main\nmain", "@{-1}", ":/", "HEAD:", "refs/replace/x"]
)
def test_a_revision_is_never_an_option(tmp_path: Path, word: str) -> None:
    """What a person gives as a revision goes to git as data: it is a commit, or it is said that it is none."""
    made = repository(tmp_path)
    made.commit({MIGRATION: DROP})
    with contextlib.suppress(RepositoryError):
        review(made.folder, word, "evil")
    with contextlib.suppress(RepositoryError):
        review(made.folder, "main", word)
    assert not (made.folder / "ran").exists() and not Path("ran").exists()


def test_only_what_was_asked_for_is_fetched(house: House, tmp_path: Path) -> None:
    """Replacement references, notes and other people's branches stay where they are."""
    repo = house.repo
    sha = repo.sha("main")
    other = repo.commit("other", {"a.txt": "a\n"}, "Add", author="robin", start="main")
    for name in ("refs/replace/" + sha, "refs/notes/evil", "refs/interlock/base/9"):
        subprocess.run(["git", f"--git-dir={repo.path}", "update-ref", name, other], check=True)
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    path = mirrors.fetch(1, repo.clone_url, house.github.token(house.installation), (("refs/heads/main", "refs/interlock/base/1"),))
    listed = subprocess.run(["git", f"--git-dir={path}", "for-each-ref", "--format=%(refname)"], capture_output=True, check=True, text=True)
    assert listed.stdout.split() == ["refs/interlock/base/1"]
    for name in ("refs/replace/" + sha, "refs/notes/evil", "refs/interlock/base/9"):
        subprocess.run(["git", f"--git-dir={repo.path}", "update-ref", "-d", name], check=True)


BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
CRAFTED = {
    "a name twice": ((b"100644", b"a", BLOB), (b"100644", b"a", BLOB)),
    "dot git": ((b"40000", b".git", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),),
    "dot git in capitals": ((b"40000", b".GIT", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),),
    "dot dot": ((b"100644", b"..", BLOB),),
    "a slash in a name": ((b"100644", b"a/b", BLOB),),
    "no name": ((b"100644", b"", BLOB),),
    "padded mode": ((b"0100644", b"a", BLOB),),
    "null object": ((b"100644", b"a", "0" * 40),),
    "out of order": ((b"100644", b"b", BLOB), (b"100644", b"a", BLOB)),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_tree_is_refused_or_judged(house: House, tmp_path: Path, what: str) -> None:
    """A tree that no git would make is refused by the fetch; read from a repository on this machine it is red or refused, never passed over."""
    made = repository(tmp_path)
    made.git("hash-object", "-w", "--stdin", stdin=b"")
    made.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=b"")
    crafted = tree(made, *CRAFTED[what])
    blob = made.git("hash-object", "-w", "--stdin", stdin=DROP.encode())
    top = made.git("ls-tree", "main") + f"\n040000 tree {crafted}\tcrafted"
    root = made.git("mktree", "--missing", stdin=(top + "\n").encode())
    first = commit_of(made, root)
    listing = (
        top + f"\n040000 tree {made.git('mktree', stdin=f'100644 blob {blob}{chr(9)}9_z.sql'.encode() + chr(10).encode())}\tmigrations"
    )
    head = commit_of(made, made.git("mktree", "--missing", stdin=(listing + "\n").encode()), first)
    with contextlib.suppress(GitError, RepositoryError):
        assert red(reviewed(made, head=head))
    subprocess.run(["cp", "-r", f"{made.folder}/.git/objects/.", str(house.repo.path / "objects")], check=True)
    subprocess.run(["git", f"--git-dir={house.repo.path}", "update-ref", "refs/heads/crafted", head], check=True)
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    refs = (("refs/heads/crafted", "refs/interlock/pull/1"), ("refs/heads/main", "refs/interlock/base/1"))
    refused = False
    try:
        mirrors.fetch(1, house.repo.clone_url, house.github.token(house.installation), refs)
    except GitError:
        refused = True
    finally:
        subprocess.run(["git", f"--git-dir={house.repo.path}", "update-ref", "-d", "refs/heads/crafted"], check=True)
    assert refused


def test_gitmodules_with_line_breaks_and_options_are_told(tmp_path: Path) -> None:
    """A submodule whose address or path is an option, or leaves the repository, is told; nothing of it is fetched."""
    for text in (
        '[submodule "a"]\n\tpath = "a\\nb"\n\turl = -u./payload\n',
        '[submodule "../x"]\n\tpath = x\n\turl = ext::sh -c "touch ran"\n',
        '[submodule "a"]\r\n\tpath = lib\r\r\n\turl = https://evil.example/x\n',
    ):
        folder = tmp_path / str(abs(hash(text)))
        made = repository(folder)
        made.commit({".gitmodules": text})
        made.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},lib")
        made.git("commit", "-q", "-m", "Add")
        assert any(rule.startswith("hidden/submodule") for rule in rules(reviewed(made)))
        assert not (made.folder / "ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        b"a\nb.sql",
        b"a\tb.sql",
        b"a\x01b.sql",
        b"a\x7fb.sql",
        b"a\\b.sql",
        b'a"b.sql',
        b"-a.sql",
        b"--output=x.sql",
        b":!a.sql",
        b"*.sql",
        b" .sql",
        b"a\xff.sql",
    ],
)
def test_a_migration_under_any_name_is_judged(tmp_path: Path, name: bytes) -> None:
    """Control characters, quotes, options and pathspec magic in a name are a name."""
    made = repository(tmp_path)
    path = os.fsencode(made.folder) + b"/db/migrations/" + name
    with open(path, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(DROP.encode())
    made.commit({})
    assert DROPPED in rules(reviewed(made))


# Sizes


def test_a_tree_of_ten_thousand_million_files_ends_red_and_soon(tmp_path: Path) -> None:
    """Ten levels of ten times the same folder: git is ended at a bound of output, memory or time, and the review fails, which is red."""
    made = repository(tmp_path)
    oid = made.git("hash-object", "-w", "--stdin", stdin=b"")
    mode = b"100644"
    for _ in range(10):
        oid = tree(made, *((mode, b"f%d" % number, oid) for number in range(10)))
        mode = b"40000"
    root = made.git("mktree", stdin=(made.git("ls-tree", "main") + f"\n040000 tree {oid}\tx\n").encode())
    head = commit_of(made, root)
    started = time.monotonic()
    with pytest.raises((GitError, RepositoryError)):
        reviewed(made, head=head)
    assert time.monotonic() - started < 60


def test_folders_two_thousand_deep_are_judged_or_refused(tmp_path: Path) -> None:
    """A path of two thousand folders hides nothing beside it."""
    made = repository(tmp_path)
    oid, mode = made.git("hash-object", "-w", "--stdin", stdin=DROP.encode()), b"100644"
    script = []
    for _ in range(2000):
        content = mode + b" d\0" + bytes.fromhex(oid)
        whole = b"tree %d\0" % len(content) + content
        import hashlib

        oid = hashlib.sha1(whole).hexdigest()
        target = made.folder / ".git/objects" / oid[:2] / oid[2:]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(zlib.compress(whole))
        mode = b"40000"
        script.append(oid)
    blob = made.git("hash-object", "-w", "--stdin", stdin=DROP.encode())
    below = made.git("mktree", stdin=f"100644 blob {blob}\t9_z.sql\n".encode())
    root = made.git("mktree", stdin=(made.git("ls-tree", "main") + f"\n040000 tree {oid}\tx\n040000 tree {below}\tmigrations\n").encode())
    head = commit_of(made, root)
    with contextlib.suppress(GitError, RepositoryError):
        assert DROPPED in rules(reviewed(made, head=head))


def _delta_bomb(size: int) -> bytes:
    """A pack of two objects of which the second, a few kilobytes, unfolds to `size` bytes: a delta that copies its base again and again."""

    def number(value: int) -> bytes:
        out = bytearray()
        while value >= 0x80:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes((*out, value))

    def head(kind: int, length: int) -> bytes:
        out = bytearray((kind << 4 | length & 15 | (0x80 if length > 15 else 0),))
        length >>= 4
        while length:
            out.append(length & 0x7F | (0x80 if length > 0x7F else 0))
            length >>= 7
        return bytes(out)

    import hashlib

    base = bytes(1 << 16)
    oid = hashlib.sha1(b"blob %d\0" % len(base) + base).digest()
    delta = number(len(base)) + number(size) + b"\x80" * (size // len(base))  # 0x80: copy from 0 the default size of 64 KiB
    pack = b"PACK" + struct.pack(">II", 2, 2) + head(3, len(base)) + zlib.compress(base) + head(7, len(delta)) + oid + zlib.compress(delta)
    return pack + hashlib.sha1(pack).digest()


def test_a_delta_that_unfolds_to_a_gigabyte_is_told_without_being_read(tmp_path: Path) -> None:
    """A small pack whose file unfolds to 1 GiB: its size is asked for first, and it is not read."""
    made = repository(tmp_path)
    made.git("index-pack", "--stdin", "--fix-thin", stdin=_delta_bomb(1 << 30))
    (index,) = (made.folder / ".git/objects/pack").glob("*.idx")
    (bomb,) = (
        line.split()[0]
        for line in made.git("verify-pack", "-v", str(index)).splitlines()
        if len(line.split()) > 5 and line.split()[1] == "blob"
    )
    root = made.git("mktree", stdin=(made.git("ls-tree", "main") + f"\n100644 blob {bomb}\tbig.tf\n").encode())
    head = commit_of(made, root)
    started = time.monotonic()
    assert red(reviewed(made, head=head)) and time.monotonic() - started < 60
    with Objects(made.folder / ".git") as objects, pytest.raises(Unreadable, match="over the limit"):
        objects.blob(bomb, "big.tf")


def test_a_fetch_stays_within_its_quota(house: House, tmp_path: Path) -> None:
    """A pack larger than the directory of mirrors may be is cut off, told, and leaves nothing behind."""
    noise = os.urandom(3 << 20)
    sha = house.repo.commit("large", {"noise.bin": noise}, "Add", author="robin", start="main")
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 20)
    token = house.github.token(house.installation)
    refs = (("refs/heads/large", "refs/interlock/pull/1"),)
    mirrors.fetch(1, house.repo.clone_url, token, refs)  # without contents it is small
    with Objects(mirrors.path(1)) as objects:
        blob = objects.tree(objects.resolve(sha, "tree") or "")["noise.bin"].oid
    with pytest.raises(GitError):
        mirrors.bring(1, house.repo.clone_url, token, [blob])
    assert not list((mirrors.path(1) / "objects/pack").glob("tmp_*"))


def test_many_commits_and_references_are_bounded(tmp_path: Path) -> None:
    """Two thousand commits between base and head, and as many references: all files are judged."""
    made = repository(tmp_path)
    stream = [b"reset refs/heads/long\nfrom refs/heads/main\n\n"]
    for number in range(2000):
        stream.append(b"commit refs/heads/long\ncommitter R <r@x> 1 +0000\ndata 1\nx\nM 100644 inline n/%d.txt\ndata 1\nx\n\n" % number)
        stream.append(b"reset refs/heads/n/%d\nfrom refs/heads/long\n\n" % number)
    stream.append(
        b"commit refs/heads/long\ncommitter R <r@x> 1 +0000\ndata 1\nx\nM 100644 inline "
        + MIGRATION.encode()
        + b"\ndata %d\n" % len(DROP)
        + DROP.encode()
        + b"\n"
    )
    made.git("fast-import", "--quiet", stdin=b"".join(stream))
    assert DROPPED in rules(reviewed(made, head="long"))
    with opened(made.folder / ".git", "main", "long", "acme/shop") as change:
        assert len(change.commits) <= 1000
