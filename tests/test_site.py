"""The documentation's site: whole, true, and of this host alone."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from bot import cli
from bot.settings import SETTINGS
from checks import detectors, policy
from checks.authority import ENGINES
from checks.policy import PATH, read_policy
from checks.safeguards.defaults import NAMES
from checks.trees import MemoryTree
from tests.repositories import Repository

pytest.importorskip("markdown_it", reason="markdown-it-py is not installed: make develop")

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / ".github" / "docs").rglob("*.md"))
ELSEWHERE = {"cd", "git", "make", "docker", "kubectl", "pip", "pipx", "uv", "sqlite3", "pg_dump", "terraform", "pre-commit"}
"""Programs that a snippet may start beside `interlock`."""
NEEDS_MORE = {"serve", "work", "doctor", "demo", "replay", "sweep", "records", "backup"}
"""Commands that need a server, its database or GitHub: their lines are parsed, not run."""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("interlock_docs", ROOT / ".ci" / "docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    return loaded()


@pytest.fixture(scope="module")
def site(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    maker.build(place)
    return place


class Seen(HTMLParser):
    """What a page holds: its anchors, its links, and what a browser fetches for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if "id" in told:
            self.anchors.append(told["id"])
        if tag == "a":
            self.links.append(told["href"])
        self.fetched += [told[name] for name in ("src", "srcset", "data", "poster") if name in told]
        if tag == "link":
            self.fetched.append(told["href"])
        assert not any(name.startswith("on") or name == "style" for name in told)


def seen(site: Path) -> dict[Path, Seen]:
    return {path: Seen(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_no_link_and_no_anchor_is_dead(site: Path) -> None:
    """Every link inside leads to a page that there is, and to an anchor in it; no anchor stands twice."""
    pages = seen(site)
    for path, page in pages.items():
        assert len(page.anchors) == len(set(page.anchors)), path
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", link
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment:
                assert parts.fragment in pages[target].anchors, f"{path.name}: {link}"


def test_nothing_comes_from_another_host(site: Path) -> None:
    """Pages fetch files of the site alone and carry no script; so do the style sheets."""
    for path, page in seen(site).items():
        assert not page.tags & {"script", "iframe", "object", "embed"}
        for name in page.fetched:
            assert not urlsplit(name).scheme and not name.startswith("//") and (path.parent / name).resolve().is_file(), name
    for sheet in site.glob("*.css"):
        assert not re.search(r"url\(|@import", sheet.read_text())


def test_everything_has_its_page(site: Path) -> None:
    """Each detector, safeguard and engine has a page that names all its rules; each page is reachable from the first."""
    for detector in detectors.every():
        text = (site / "rules" / f"{detector.name}.html").read_text().replace("<wbr>", "")
        assert all(rule.id in text and rule.id in (site / "rules/index.html").read_text().replace("<wbr>", "") for rule in detector.rules)
        assert all(f'id="{name}"' in text for name in ("what-it-detects", "what-makes-it-safe", "what-it-cannot-see")), detector.name
    assert all((site / "safeguards" / f"{name}.html").is_file() for name in NAMES)
    assert all((site / "agents" / f"{name.replace('_', '-')}.html").is_file() for name in (*ENGINES, "workflows"))
    pages, reached, new = seen(site), set(), {(site / "index.html").resolve()}
    while new:
        path = new.pop()
        reached.add(path)
        links = (urlsplit(link).path for link in pages[path].links if not urlsplit(link).scheme)
        new |= {target for link in links if link.endswith(".html") and (target := (path.parent / link).resolve()) not in reached}
    assert reached == {path.resolve() for path in pages}


def test_what_the_code_says_stands_in_it(site: Path) -> None:
    """Every setting, command and key of a policy is told."""
    operations, commands, keys = ((site / f"{name}.html").read_text().replace("<wbr>", "") for name in ("operations", "commands", "policy"))
    assert all(one.name in operations for one in SETTINGS)
    assert all(f'id="{command.name}"' in commands for command in cli.COMMANDS)
    schema = policy.schema()
    for told in (schema, *schema["$defs"].values()):
        assert all(f"<code>{key}</code>" in keys for key in told["properties"])
    assert json.loads((site / "policy.schema.json").read_text()) == schema


def test_the_same_sources_give_the_same_site(maker: ModuleType, site: Path, tmp_path: Path) -> None:
    """No time and no order of chance is in it."""
    maker.build(tmp_path)
    assert {path.relative_to(site): path.read_bytes() for path in site.rglob("*.*")} == {
        path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")
    }


def test_a_snippet_cannot_become_markup(maker: ModuleType) -> None:
    """HTML in a docstring is shown, never taken."""
    body, _ = maker.as_html("<script>x</script>\n\n| a |\n| --- |\n| `<b>/c` |\n\n[x](javascript:alert(1))")
    assert "<script" not in body and "<b>" not in body and 'href="javascript' not in body


def snippets() -> Iterator[tuple[str, str, str]]:
    for path in PAGES:
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE):
            yield path.name, language, text


def test_every_snippet_is_of_a_language_that_is_checked() -> None:
    """Nothing is shown that no test reads."""
    assert {language for _, language, _ in snippets()} == {"sh", "yaml"}


def test_every_shell_snippet_is_valid_and_names_what_there_is(maker: ModuleType) -> None:
    """bash reads it; programs are known; targets of make exist; command lines of `interlock` parse."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [text for _, language, text in snippets() if language == "sh"]
    texts += re.findall(r"```sh\n(.*?)```", maker.words(), re.DOTALL)
    assert len(texts) > 15
    for text in texts:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        for line in text.splitlines():
            for part in line.split("#")[0].split("|"):
                program, *rest = shlex.split(part)
                if program == "interlock":
                    cli.parser().parse_args(rest)
                elif program == "make":
                    assert rest[0] in targets, line
                else:
                    assert program in ELSEWHERE, line


def test_every_inline_command_parses() -> None:
    """`interlock …` and `make …` inside a sentence are commands too."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in [*PAGES, ROOT / "SECURITY.md"]:
        for line in re.findall(r"`(interlock [^`]+)`", path.read_text()):
            words = shlex.split(line)[1:]
            # A name in capitals stands for any command, `main:` is a check's name, and a command alone is only mentioned.
            if not words[0].isupper() and not words[0].endswith(":"):
                assert words[0] in {command.name for command in cli.COMMANDS}, line
                if len(words) > 1:
                    cli.parser().parse_args(words)
        assert set(re.findall(r"`make ([a-z-]+)", path.read_text())) <= targets


def test_every_offline_command_of_the_site_runs(maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a repository with the branches that the snippets name, each ends with a status that is documented as a verdict."""
    shop = Repository(tmp_path / "shop")
    shop.commit({"main.tf": 'resource "aws_db_instance" "main" {\n}\n', PATH: "version: 1\nmode: enforce\n"})
    for number in range(6):
        shop.commit({"notes.txt": str(number), "proposed.yml": "version: 1\nmode: observe\n"})
    for name in ("main", "feature", "v1.2"):
        if name != shop.git("branch", "--show-current").strip():
            shop.git("branch", "-f", name)
    shop.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    texts = [text for _, language, text in snippets() if language == "sh"] + re.findall(r"```sh\n(.*?)```", maker.words(), re.DOTALL)
    lines = sorted({line for text in texts for line in text.splitlines() if line.startswith("interlock ")})
    ran = 0
    for line in lines:
        words = shlex.split(line)[1:]
        if words[0] in NEEDS_MORE:
            continue
        with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()) as wrong:
            status = cli.main(words)
        assert status in (cli.PASS, cli.BLOCKED), (line, wrong.getvalue())
        assert told.getvalue() or "--output" in words, line
        ran += 1
    assert ran >= 15


def test_every_yaml_snippet_is_what_it_says() -> None:
    """A policy has no mistake; a workflow is least-privileged and pinned; anything else is YAML."""
    kinds = set()
    for name, language, text in snippets():
        if language != "yaml":
            continue
        told = yaml.safe_load(text)
        if "version" in told:
            kinds.add("policy")
            of_organisation = "floor" in told
            read = read_policy(MemoryTree({} if of_organisation else {PATH: text.encode()}), text.encode() if of_organisation else None)
            assert read.mistakes == (), (name, read.mistakes)
        elif "jobs" in told:
            kinds.add("workflow")
            assert told["permissions"] == {}
            for job in told["jobs"].values():
                for step in job["steps"]:
                    used = step.get("uses", "")
                    assert not used or used.startswith("interlock-app/") or re.search(r"@[0-9a-f]{40}$", used)
                for line in "\n".join(step.get("run", "") for step in job["steps"]).splitlines():
                    for part in re.findall(r"interlock ([^|>]+)", line):
                        cli.parser().parse_args(shlex.split(part))
    assert kinds == {"policy", "workflow"}
