"""The documentation as a site: built from the docstrings and the pages, whole, true to the program, and at home on any machine."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import urldefrag

import pytest
import yaml

from bot import cli
from bot.settings import SETTINGS
from checks import detectors, safeguards

ROOT = Path(__file__).resolve().parent.parent


class Page(HTMLParser):
    """The links, anchors and foreign parts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.parts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "id" in values:
            self.anchors.add(str(values["id"]))
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        self.parts += [str(values[name]) for name in ("src", "href") if tag in ("img", "link", "script") and values.get(name)]


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs", ROOT / ".ci" / "docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["docs"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The built site: a page by its place."""
    place = tmp_path_factory.mktemp("site")
    builder().build(place)
    return {str(path.relative_to(place)): Page(path.read_text(encoding="utf-8")) for path in place.rglob("*.html")}


def test_every_detector_and_safeguard_has_its_page(site: dict[str, Page]) -> None:
    """What can turn a check red can be read about."""
    assert {f"rules/{one.name}.html" for one in detectors.every()} <= site.keys()
    assert {f"safeguards/{one.name}.html" for one in safeguards.every()} <= site.keys()


def test_no_link_leads_nowhere(site: dict[str, Page]) -> None:
    """Every link inside the site has its page, and every anchor its heading."""
    for name, page in site.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            target, anchor = urldefrag(link)
            whole = str((Path("/") / Path(name).parent / target).resolve().relative_to("/")) if target else name
            assert whole in site or whole.endswith((".json", ".svg")), f"{name}: {link}"
            assert not anchor or anchor in site[whole].anchors, f"{name}: {link}"


def test_nothing_comes_from_another_host(site: dict[str, Page]) -> None:
    """Styles and pictures are the site's own, and there are no scripts."""
    assert not [part for page in site.values() for part in page.parts if re.match(r"(?:[a-z]+:)?//", part)]


def blocks(language: str) -> list[tuple[str, str]]:
    pages = sorted((ROOT / ".github" / "docs").rglob("*.md"))
    return [
        (path.name, block)
        for path in pages
        for block in re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    ]


def test_every_command_in_the_pages_is_one() -> None:
    """A line that begins with `interlock` is understood by the program's own parser; a `make` target exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    seen = 0
    for name, block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["interlock"]:
                seen += 1
                with contextlib.redirect_stderr(io.StringIO()) as said:
                    try:
                        cli.parser().parse_args(words[1:])
                    except SystemExit as refused:
                        assert refused.code == 0, f"{name}: {line}: {said.getvalue()}"
            elif words[:1] == ["make"]:
                assert words[1] in targets, f"{name}: {line}"
    assert seen > 5


def test_every_yaml_in_the_pages_is_yaml() -> None:
    """A snippet to paste can be pasted."""
    found = blocks("yaml")
    assert found
    for name, block in found:
        assert yaml.safe_load(block) is not None, name


def test_every_setting_is_told() -> None:
    """The page for those who run it names every setting of the server."""
    told = builder().settings()
    assert all(setting.name in told for setting in SETTINGS)
