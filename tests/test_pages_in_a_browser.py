"""The pages in a real browser: Chromium, driven by Playwright. Skipped, with the reason, where one of the two is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.demo import files
from bot.demo.running import Running
from bot.demo.standin import StandIn
from bot.settings import Settings
from tests import npm
from tests.house import DATABASE, House, build, demolish
from tests.test_pages import HOSTILE

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = npm.Package(
    "axe-core",
    "4.11.0",
    "sha512-ilYanEU8vxxBexpJd8cWM4ElSQq4QctCLKih0TSfjIfCQTeyH/6zVrmIJfLPrKTKJRbiG+cfnZbQIjAlJmF1jQ==",
    r"axe\.min\.js|package\.json",
)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
AGENT = "\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"
PAGES = ("/", "/rules", "/rules/terraform/resource-destroyed", "/safeguards/plan-verified", "/search?q=agent")
CLOSED = ("/acme/shop", "/acme/shop/agents", "/acme/shop/pull/1", "/acme/shop/pull/2", "/acme/none")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The demonstration's pull request, with an answer, and one with hostile names that widens an agent."""
    made = build(tmp_path_factory.mktemp("browser") / "data", files=files.BEFORE)
    made.propose(files.DELETED_AND_RECREATED, branch="claude/recreate", message="Recreate" + AGENT, title="Recreate the environment")
    made.repo.commit("claude/recreate", files.ANSWER, "Keep the database", author="robin")
    made.settle()
    name = "infra/prod/<img src=x onerror=alert(1)>\u202e" + "very_long_directory_name/" * 6 + "main.tf"
    settings = '{"permissions": {"allow": ["Bash(*)"], "defaultMode": "bypassPermissions"}}'
    made.propose({name: DATABASE.replace("main", "other"), ".claude/settings.json": settings}, branch="hostile", title=HOSTILE)
    made.github.browse_as("robin")
    yield made
    demolish(made)


@contextmanager
def window(chromium: Any, url: str, **more: Any) -> Iterator[Any]:
    """A fresh browser window; whatever it asks of another host than `url` and `also` fails the test."""
    also = more.pop("also", ())
    context = chromium.new_context(base_url=url, **{"viewport": WIDE, **more})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    allowed = {urlsplit(one).netloc for one in (url, *also)}
    assert {urlsplit(one).netloc for one in asked} <= allowed


@pytest.fixture
def axe() -> str:
    """The accessibility checker's source."""
    return (npm.needed(AXE) / "axe.min.js").read_text()


def faults(page: Any, axe: str, where: str) -> None:
    """Fails for what axe calls serious or critical."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, (where, serious)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_fault(chromium: Any, town: House, axe: str, viewport: Any, scheme: str) -> None:
    """axe finds nothing serious or critical on any page; nothing is wider than the window."""
    with window(chromium, town.server.url, viewport=viewport, color_scheme=scheme, bypass_csp=True, also=(town.github.url,)) as page:
        page.goto("/sign-in")
        for path in (*PAGES, *CLOSED):
            page.goto(path)
            faults(page, axe, path)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{path} is wider than the window"


def test_without_javascript_a_person_finds_the_way_from_sign_in_to_an_earlier_verdict(chromium: Any, town: House) -> None:
    """Sign-in, repository, pull request, timeline, sign-out: with scripts off, and no request leaves for another host."""
    with window(chromium, town.server.url, java_script_enabled=False, also=(town.github.url,)) as page:
        assert page.goto("/acme/shop").status == 401
        page.click("main >> text=Sign in with GitHub")
        page.click("text=Recreate the environment")
        assert page.locator(".verdict .pill").inner_text() == "Blocked"
        assert page.locator("#requirements").is_visible()
        page.locator(".timeline a").last.click()
        assert page.locator("text=This is an earlier verdict").is_visible()
        assert page.locator("article strong", has_text="aws_db_instance").first.is_visible()
        page.click("text=To the newest")
        page.goto("/acme/shop/agents")
        assert page.locator("h2", has_text="Claude Code").is_visible()
        page.click("text=Sign out")
        assert page.goto("/acme/shop").status == 401


def test_the_keyboard_alone_suffices(chromium: Any, town: House) -> None:
    """The first stop leads past the head of the page; search is done by typing; text to copy can be reached."""
    with window(chromium, town.server.url, also=(town.github.url,)) as page:
        page.goto("/sign-in")
        page.goto("/acme/shop/pull/1")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content"
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        page.focus("input[name=q]")
        page.keyboard.type("plan-verified")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=plan-verified")
        page.goto("/safeguards/plan-verified")
        stops = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            stops.add(page.evaluate("document.activeElement.tagName"))
        assert "A" in stops and "BUTTON" in stops


def test_dark_and_light_follow_the_visitor(chromium: Any, town: House) -> None:
    """The ground of the page is dark for those who asked for it."""
    grounds = {}
    for scheme in ("light", "dark"):
        with window(chromium, town.server.url, color_scheme=scheme) as page:
            page.goto("/rules")
            grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 30)"}


def test_the_policy_of_the_pages_is_kept_by_the_browser(chromium: Any, town: House) -> None:
    """Nothing on any page is refused by its own Content-Security-Policy, and nothing is complained about."""
    with window(chromium, town.server.url, also=(town.github.url,)) as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto("/sign-in")
        for path in (*PAGES, *CLOSED[:-1]):
            page.goto(path)
        assert said == []


@contextmanager
def bare(folder: Any) -> Iterator[tuple[StandIn, Running]]:
    """A server without credentials, and a GitHub on which robin owns acme."""
    with StandIn.start() as github:
        github.organization("acme", {"robin": "admin"})
        github.browse_as("robin")
        server = Running(Settings(None, ("INTERLOCK_APP_ID",), github.url, github.url, "", folder / "data", 1, 1 << 30))
        try:
            yield github, server
        finally:
            server.stop()


def setup(page: Any, server: Running) -> Iterator[str]:
    """Walk through setup as a person does; the name of each step that shows a page of ours."""
    page.goto(server.app.site.setup.invite())
    yield "addresses"
    page.fill("#organization", "a/b")
    page.click("text=Show what will be sent")
    yield "a mistake"
    page.fill("#organization", "acme")
    page.fill("#hook", "https://smee.io/abc")
    page.click("text=Show what will be sent")
    page.click("summary")
    yield "what is sent"
    page.click("button:has-text('Create the App on GitHub')")
    page.click("button:has-text('Create')")
    page.wait_for_url("**/setup")
    assert page.locator("text=What is left to do").is_visible()
    for at in range(page.locator("summary").count()):
        page.locator("summary").nth(at).click()
    yield "what is left"
    page.click("text=Show the lines once")
    assert page.locator("text=INTERLOCK_PRIVATE_KEY").is_visible()
    yield "the environment"
    page.go_back()
    page.locator("summary").first.click()
    assert page.locator("text=were shown already").is_visible()
    yield "shown already"
    page.goto("/setup?repository=acme/shop")
    yield "verified"
    page.click("text=Close setup for good")
    assert page.goto("/setup").status == 404
    yield "closed"


def test_setup_in_a_browser(chromium: Any, tmp_path: Any) -> None:
    """From the terminal's address over GitHub's form to the list of what is left, and the last button, under the pages' own policy."""
    with bare(tmp_path) as (github, server), window(chromium, server.url, viewport=NARROW, also=(github.url,)) as page:
        for step in setup(page, server):
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), step


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_step_of_setup_has_a_serious_accessibility_fault(chromium: Any, tmp_path: Any, axe: str, scheme: str) -> None:
    """axe finds nothing serious or critical on any step, a mistake's among them."""
    with (
        bare(tmp_path) as (github, server),
        window(chromium, server.url, color_scheme=scheme, bypass_csp=True, also=(github.url,)) as page,
    ):
        for step in setup(page, server):
            faults(page, axe, step)
