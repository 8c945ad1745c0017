"""Mirrors: fetched narrowly, with the token in sight of nobody, and without the contents nobody asked for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bot.mirror.mirrors import Mirrors
from bot.mirror.objects import GitTree, Objects
from bot.mirror.runner import GitError, run
from checks.model import Unreadable
from tests.house import House

REFS = (("refs/heads/main", "refs/interlock/base/1"),)


def test_a_fetch_leaves_contents_out_and_brings_them_when_they_are_read(house: House, tmp_path: Path) -> None:
    """The server leaves out what the fetch does not need; reading a file brings it, and several in one go."""
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    address, token = f"{house.github.url}/acme/shop.git", house.github.token(house.installation)
    path = mirrors.fetch(7, address, token, REFS)
    with Objects(path) as objects:
        head = objects.resolve("refs/interlock/base/1")
        assert head is not None
        with pytest.raises(Unreadable, match="not in this copy"):
            GitTree(objects, head).read("README.md")
    brought: list[int] = []

    def bring(oids: object) -> None:
        brought.append(len(list(oids)))  # type: ignore[call-overload]
        mirrors.bring(7, address, token, list(oids))  # type: ignore[call-overload]

    with Objects(path, bring) as objects:
        tree = GitTree(objects, head)
        tree.prefetch(["README.md", "infra/prod/main.tf", "no such file"])
        assert tree.read("README.md") == b"# Shop\n"
        assert brought == [2]
    assert "promisor" not in (path / "config").read_text()


def test_a_wrong_token_is_told_without_showing_it(house: House, tmp_path: Path) -> None:
    """The server refuses: the error says so, and no token stands in it."""
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    with pytest.raises(GitError) as error:
        mirrors.fetch(7, f"{house.github.url}/acme/shop.git", "ghs_wrongwrongwrong", REFS)
    assert "ghs_wrong" not in str(error.value)


def test_the_token_is_in_no_process_list_environment_or_configuration(house: House, tmp_path: Path) -> None:
    """While git fetches, no process's words or environment hold the token; afterwards no file does."""
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    token = house.github.token(house.installation)
    seen: list[bytes] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for number in os.listdir("/proc"):  # noqa: PTH208 - a thousand times a second
                if number.isdigit():
                    for name in ("cmdline", "environ"):
                        try:
                            seen.append(Path(f"/proc/{number}/{name}").read_bytes())
                        except OSError:
                            continue

    if not Path("/proc/self/environ").exists():
        pytest.skip("this machine shows no processes under /proc")
    watcher = threading.Thread(target=watch)
    watcher.start()
    path = mirrors.fetch(7, f"{house.github.url}/acme/shop.git", token, REFS)
    stop.set()
    watcher.join()
    assert any(b"fetch" in words for words in seen)
    assert not any(token.encode() in words for words in seen)
    assert not any(token.encode() in file.read_bytes() for file in path.rglob("*") if file.is_file())


def test_the_mirror_used_longest_ago_goes_first(house: House, tmp_path: Path) -> None:
    """Over the quota, the oldest mirror is removed as soon as a new one is made; the newest always stays."""
    mirrors = Mirrors(tmp_path / "mirrors", 1 << 30)
    address, token = f"{house.github.url}/acme/shop.git", house.github.token(house.installation)
    first, second = (mirrors.fetch(number, address, token, REFS) for number in (1, 2))
    os.utime(first, (1, 1))
    mirrors = Mirrors(tmp_path / "mirrors", sum(file.stat().st_size for file in second.rglob("*") if file.is_file()))
    assert mirrors.evict() == 1
    assert not first.exists() and second.exists()
    assert run(second, "rev-parse", "refs/interlock/base/1")
    third = Mirrors(tmp_path / "mirrors", 1).fetch(3, address, token, REFS)
    assert third.exists() and not second.exists()
