"""The pages: what they show, to whom, and that looking changes nothing."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.demo.running import Running
from bot.demo.standin import StandIn
from bot.pages.markdown import as_html
from bot.pages.openapi import TABLE, description
from bot.pages.setup import channel, command, manifest
from bot.pages.web import inside
from bot.settings import KEPT, Settings, SettingsError, keep, read_settings
from tests.house import AGENT, DATABASE, TOPIC, House, build, demolish

HOSTILE = "<script>alert(1)</script>\u202e{{ 7*7 }}`'\"" + "x" * 4000


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with three verdicts: two on one pull request that loses a database, one with hostile names."""
    made = build(tmp_path_factory.mktemp("pages") / "data")
    made.propose({"infra/prod/main.tf": TOPIC}, message="Drop it" + AGENT, title="Drop the database")
    made.repo.commit("work", {"infra/prod/main.tf": DATABASE + TOPIC, "notes.md": "x"}, "Back", author="robin")
    made.settle()
    name = "infra/prod/<img src=x onerror=alert(1)>\u202e.tf"
    made.propose({name: DATABASE.replace("main", "other")}, branch="add", title=HOSTILE)
    made.repo.commit("evil-base", {name: DATABASE.replace('"main"', '"<b>bold</b>"')}, "Base", author="robin", start="main")
    yield made
    demolish(made)


@contextmanager
def browser(house: House, login: str | None = None) -> Iterator[httpx.Client]:
    """A browser that follows redirects and keeps cookies; signed in as someone, if a login is given."""
    with httpx.Client(base_url=house.server.url, follow_redirects=True, headers={"accept": "text/html"}, timeout=60) as client:
        if login:
            house.github.browse_as(login)
            assert client.get("/sign-in").status_code == 200
        yield client


def rows(house: House) -> dict[str, int]:
    """How many rows each table has."""
    with closing(sqlite3.connect(house.server.app.settings.data / "interlock.db")) as db:
        names = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        return {name: db.execute(f'select count(*) from "{name}"').fetchone()[0] for name in names}


class Elements(HTMLParser):
    """The elements of a page with their attributes, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = text
        self.feed(text)
        self.names = {name for name, _ in self.found}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


OPEN = ("/", "/rules", "/rules/terraform", "/rules/terraform/resource-destroyed", "/safeguards/plan-verified", "/search?q=database")
CLOSED = ("/acme/shop", "/acme/shop/agents", "/acme/shop/past", "/acme/shop/pull/1", "/acme/shop/pull/2")


@pytest.mark.parametrize("path", OPEN)
def test_rules_and_the_front_need_no_sign_in(town: House, path: str) -> None:
    """What is the same for everybody is shown to everybody."""
    with browser(town) as client:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", CLOSED)
def test_pages_of_a_repository_need_a_sign_in(town: House, path: str) -> None:
    """Without a session there is nothing but the way to sign in, and nothing of the repository."""
    with browser(town) as client:
        answer = client.get(path)
        assert answer.status_code == 401 and "Drop the database" not in answer.text
        assert client.get(path + ".json").json() == {"error": "Sign in with GitHub to see pages of repositories."}


@pytest.mark.parametrize("path", CLOSED)
def test_unknown_and_forbidden_are_told_alike(town: House, path: str) -> None:
    """Someone who cannot read the repository on GitHub gets what a repository that does not exist gives."""
    with browser(town, "mallory") as client:
        forbidden, unknown = client.get(path), client.get(path.replace("shop", "none"))
        assert forbidden.status_code == unknown.status_code == 404
        assert forbidden.text == unknown.text.replace("/none", "/shop")


@pytest.mark.parametrize("path", CLOSED)
def test_whoever_can_read_the_repository_sees_its_pages(town: House, path: str) -> None:
    """A reader on GitHub is a reader here."""
    with browser(town, "eve") as client:
        assert client.get(path).status_code == 200


def test_a_verdict_is_shown_with_what_turns_it_green(town: House) -> None:
    """The first verdict, by the address the check run links to: state, effect, before and after, safeguards, timeline."""
    with browser(town, "robin") as client:
        first = town.server.app.store.lines("acme/shop")[-1]
        answer = client.get(f"/acme/shop/reviews/{first.id}")
        text = unescape(re.sub(r"<[^>]+>", "", answer.text))
        for words in ("Blocked", "aws_db_instance.main", "plan-verified", "Next:", "claude", "This is an earlier verdict", "gone:"):
            assert words in text, words
        assert client.get("/acme/shop/pull/1").text.count('class="timeline"') == 1
        assert client.get(f"/acme/other/reviews/{first.id}").status_code == 404


def test_every_answer_carries_the_headers(town: House) -> None:
    """Pages, refusals, files and JSON: nothing may be loaded from elsewhere, framed, sniffed or told to another host."""
    with browser(town, "robin") as client:
        for path in (*OPEN, *CLOSED, "/nothing/at/all", "/static/interlock.css", "/openapi.json", "/acme/shop/pull/1.json", "/healthz"):
            headers = client.get(path).headers
            assert headers["content-security-policy"].startswith(
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
            )
            assert "unsafe" not in headers["content-security-policy"] and "script" not in headers["content-security-policy"]
            assert (
                "frame-ancestors 'none'" in headers["content-security-policy"] and "base-uri 'none'" in headers["content-security-policy"]
            )
            assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_no_page_has_a_script_a_style_attribute_or_anything_of_another_host(town: House) -> None:
    """Hostile names stay words: no element, attribute or address of theirs comes to be."""
    with browser(town, "robin") as client:
        for path in (*OPEN, *CLOSED):
            page = Elements(client.get(path).text)
            assert "script" not in page.names and "b" not in page.names and "\u202e" not in page.text, path
            for name, attributes in page.found:
                assert not {one for one in attributes if one.startswith("on") or one == "style"}, (path, name)
                if name in ("img", "link"):
                    assert (attributes.get("src") or attributes.get("href") or "").startswith("/static/"), (path, attributes)


def test_hostile_titles_are_cut_and_made_visible(town: House) -> None:
    """A title with markup, a bidirectional control and 4,000 characters is shown as what it is, and bounded."""
    with browser(town, "robin") as client:
        text = client.get("/acme/shop/pull/2").text
        assert (
            "&lt;script&gt;" in text
            and "\\u{202e}" in text.replace("<wbr>", "")
            and "49" not in text.partition("</h1>")[0].partition("<h1>")[2]
        )


def test_looking_never_writes(town: House) -> None:
    """No row comes or goes while every page is looked at, and GitHub is only asked, never told."""
    with browser(town, "robin") as client:
        before, sent = rows(town), len(town.github.requests)
        for path in (*OPEN, *CLOSED, "/setup", "/acme/none", "/acme/shop/pull/1.json"):
            client.get(path)
        assert rows(town) == before
        assert {one.method for one in town.github.requests[sent:]} <= {"GET"}


def test_what_github_says_is_believed_for_a_minute_at_most(tmp_path: Path) -> None:
    """One question answers many looks; whoever loses access loses the pages."""
    house = build(tmp_path / "data")
    try:
        house.propose({"a.md": "x"})
        moment = [time.time()]
        house.server.app.site.guard._clock = lambda: moment[0]
        with browser(house, "eve") as client:
            for _ in range(5):
                assert client.get("/acme/shop").status_code == 200
            asked = [
                one for one in house.github.calls("GET", "/repos/acme/shop") if one.path == "/repos/acme/shop" and one.caller == "user eve"
            ]
            assert len(asked) == 1
            house.repo.state.roles["eve"] = "none"
            moment[0] += 61
            assert client.get("/acme/shop").status_code == 404
    finally:
        demolish(house)


def test_a_sign_in_that_was_not_started_here_is_refused(town: House) -> None:
    """A code in a link, without the cookie of the browser that asked for it, signs nobody in; nor does another state."""
    town.github.browse_as("robin")
    with httpx.Client(base_url=town.server.url) as one, httpx.Client(base_url=town.server.url) as other:
        away = httpx.get(one.get("/sign-in?next=/acme/shop").headers["location"])
        back = away.headers["location"]
        assert other.get(back).status_code == 403
        assert one.get(back.replace("state=", "state=0")).status_code == 403
        done = one.get(back)
        assert done.status_code == 303 and done.headers["location"] == "/acme/shop"
        assert one.get(back).status_code == 403


def test_a_sign_in_uses_state_and_pkce(town: House) -> None:
    """What GitHub is sent: the client, a state and an S256 challenge; never the verifier or the secret."""
    with httpx.Client(base_url=town.server.url) as client:
        answer = client.get("/sign-in")
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43 and len(query["state"][0]) == 64
        verifier = answer.headers["set-cookie"].partition("=")[2].partition(".")[0]
        assert verifier not in answer.headers["location"] and town.app.client_secret not in answer.headers["location"]
        assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Lax" in answer.headers["set-cookie"]


def test_over_https_cookies_are_bound_to_the_host(town: House) -> None:
    """With an https address the cookies are `__Host-` and Secure, and browsers are told to stay with https."""
    app = town.server.app
    kept, app.settings = app.settings, replace(app.settings, public_url="https://interlock.example.com")
    try:
        answer = httpx.get(town.server.url + "/sign-in")
        assert answer.headers["set-cookie"].startswith("__Host-interlock-sign-in=") and "; Secure" in answer.headers["set-cookie"]
        assert "strict-transport-security" in answer.headers
    finally:
        app.settings = kept


def test_signing_out_needs_the_forms_token_and_ends_the_session(town: House) -> None:
    """A form without the token, or from another site, changes nothing; with it the session is gone on the server too."""
    with browser(town, "robin") as client:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/").text)[1]
        cookie = dict(client.cookies)
        assert client.post("/sign-out").status_code == 403
        assert client.post("/sign-out", data={"csrf": "0" * 64}).status_code == 403
        assert client.post("/sign-out", data={"csrf": token}, headers={"origin": "https://evil.example"}).status_code == 403
        assert client.get("/acme/shop").status_code == 200
        assert client.post("/sign-out", data={"csrf": token}).status_code == 200
        assert httpx.get(town.server.url + "/acme/shop", cookies=cookie).status_code == 401


def test_the_database_alone_opens_no_session(town: House) -> None:
    """Neither the cookie nor the person's token stands in the database."""
    with browser(town, "robin") as client:
        cookie = client.cookies["interlock-session"]
        with closing(sqlite3.connect(town.server.app.settings.data / "interlock.db")) as db:
            text = str(db.execute("select * from sessions").fetchall())
        assert cookie not in text and "ghu_" not in text and "robin" not in text


def test_behind_a_proxy_nobody_signs_in(town: House) -> None:
    """With the setting, whoever reaches the server sees the pages, and there is no sign-in."""
    app = town.server.app
    kept, app.settings = app.settings, replace(app.settings, behind_proxy=True)
    try:
        with browser(town) as client:
            assert client.get("/acme/shop/pull/1").status_code == 200
            assert client.get("/ACME/Shop").status_code == 200
            assert client.get("/acme/none").status_code == 404 and client.get("/sign-in").status_code == 404
    finally:
        app.settings = kept


def test_the_json_of_a_page_is_what_its_description_says(town: House) -> None:
    """By `.json` and by Accept the same values, and each fits its schema."""
    import jsonschema

    document = description()
    review = town.server.app.store.lines("acme/shop")[-1].id
    names: dict[str, Any] = {"owner": "acme", "repo": "shop", "number": 1, "review": review, "detector": "terraform"}
    names |= {"rule": "resource-destroyed", "safeguard": "plan-verified"}
    with browser(town, "robin") as client:
        for path, schema, *_ in TABLE:
            answer = client.get(path.format(**names))
            assert answer.status_code == 200 and answer.headers["content-type"] == "application/json", path
            jsonschema.validate(answer.json(), {**document["components"]["schemas"][schema]})
            plain = path.format(**names).removesuffix(".json")
            assert client.get("/" if plain == "/index" else plain, headers={"accept": "application/json"}).json() == answer.json()
        assert client.get("/openapi.json").json() == json.loads(json.dumps(document))


@pytest.mark.slow
def test_schemathesis_finds_no_answer_that_is_not_described(town: House, tmp_path: Path) -> None:
    """Made-up and odd values for every parameter: no server error, and only the answers that the description names."""
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("schemathesis is not installed")
    with browser(town, "robin") as client:
        cookie = f"Cookie: interlock-session={client.cookies['interlock-session']}"
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    words = [program, "run", town.server.url + "/openapi.json", "--max-examples", "5", "--checks", checks, "-H", cookie]
    told = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert told.returncode == 0, told.stdout[-3000:]


def test_search_finds_rules_repositories_and_pull_requests(town: House) -> None:
    """One box: words of rules, names of repositories, numbers; what may not be read is not found."""
    with browser(town, "robin") as client:
        assert client.get("/search.json?q=shop").json()["repositories"] == ["acme/shop"]
        assert client.get("/search.json?q=%231").json()["pulls"][0]["number"] == 1
        assert client.get("/search.json?q=acme/shop%232").json()["pulls"][0]["number"] == 2
        assert client.get("/search.json?q=resource-destroyed").json()["rules"]
    with browser(town, "mallory") as client:
        assert client.get("/search.json?q=shop").json()["repositories"] == client.get("/search.json?q=%231").json()["pulls"] == []


def test_every_rule_and_safeguard_has_its_page(town: House) -> None:
    """Each address in the list leads to a page."""
    with browser(town) as client:
        listed = client.get("/rules.json").json()
        for detector in listed["detectors"]:
            assert client.get(f"/rules/{detector['detector']}").status_code == 200
            assert client.get(f"/rules/{detector['rules'][-1]['id']}").status_code == 200
        assert all(client.get(f"/safeguards/{guard['name']}").status_code == 200 for guard in listed["safeguards"])
        assert client.get("/rules/terraform/nothing").status_code == client.get("/safeguards/nothing").status_code == 404


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "", "x", "/" + "a" * 2000])
def test_the_way_back_stays_on_this_server(path: str) -> None:
    """Only a path of this server is gone back to."""
    assert inside(path) == "/"


def test_our_markdown_makes_no_markup_of_what_it_quotes() -> None:
    """Escapes, entities, fences and lists: only our few elements come out."""
    text = "## A <b>\n\nSay `<i>` and **<u>** &lt;s&gt; [x](javascript:1)\n\n- one `a|b`\n- two\n\n```hcl\n<script>\n```\n"
    made = as_html(text)
    assert set(re.findall(r"<(\w+)", made)) <= {"h2", "p", "code", "strong", "ul", "li", "pre"}
    assert "&lt;script&gt;" in made and "javascript:1" in made and "<a" not in made


# Setup


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[tuple[StandIn, Running]]:
    """A server without credentials, and a GitHub."""
    with StandIn.start() as github:
        github.organization("acme", {"robin": "admin"})
        github.browse_as("robin")
        settings = Settings(None, ("INTERLOCK_APP_ID",), github.url, github.url, "", tmp_path / "data", 1, 1 << 30)
        server = Running(settings)
        yield github, server
        server.stop()


def fields(text: str) -> dict[str, str]:
    """The fields of the forms of a page as a browser would send them."""
    found = re.findall(r"<input\b[^>]*>", text)
    inputs = [dict(re.findall(r'(\w+)="([^"]*)"', one)) | ({"checked": "1"} if " checked" in one else {}) for one in found]
    return {
        one["name"]: unescape(one.get("value", "")) for one in inputs if "name" in one and (one.get("type") != "radio" or "checked" in one)
    }


def set_up(github: StandIn, server: Running, **given: str) -> httpx.Client:
    """Walk through the setup as a person does; the browser that did."""
    client = httpx.Client(base_url=server.url, follow_redirects=True, timeout=60)
    page = client.get(server.app.site.setup.invite())
    sent = client.post("/setup", data={**fields(page.text), "organization": "acme", **given})
    assert "Create the App on GitHub" in sent.text and github.url in sent.headers["content-security-policy"]
    to = unescape(re.search(r'action="(http[^"]+)"', sent.text)[1])
    asked = client.post(to, data={"manifest": fields(sent.text)["manifest"]})
    assert asked.status_code == 200
    confirm = unescape(re.search(r'action="([^"]+)"', asked.text)[1])
    done = client.post(github.url + confirm, data={"manifest": fields(asked.text)["manifest"]})
    assert done.status_code == 200 and "What is left to do" in done.text
    return client


def test_setup_creates_the_app_stores_its_credentials_and_works_at_once(bare: tuple[StandIn, Running]) -> None:
    """From the address in the terminal to a running App: the file is private, the next start reads it, deliveries are taken."""
    github, server = bare
    with closing(set_up(github, server)) as client:
        path = server.app.settings.data / KEPT
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = read_settings({"INTERLOCK_DATA": str(server.app.settings.data)})
        assert again.credentials == server.app.settings.credentials and again.stored and again.client is not None
        assert client.get("/readyz").status_code == 200
        app = next(one for one in github.world.apps.values() if one.owner.login == "acme")
        assert app.webhook_url == f"{server.url}/webhook" and "Not on any account yet" in client.get("/setup").text
        repo = github.repository("acme", "shop")
        github.install(app, "acme")
        repo.commit("main", {"a": "b"}, "Start")
        assert "On acme." in client.get("/setup").text
        assert "not required by a ruleset" in client.get("/setup?repository=acme/shop").text
        repo.require_check("interlock: main", app)
        assert "impossible while it is red" in client.get("/setup?repository=acme/shop").text


def test_the_credentials_are_shown_once_as_an_environment(bare: tuple[StandIn, Running], caplog: pytest.LogCaptureFixture) -> None:
    """Only to the browser that set up; a shell reads from the lines what is stored; never a second time, never in JSON, never in a log."""
    github, server = bare
    with closing(set_up(github, server)) as client:
        token = fields(client.get("/setup").text)["csrf"]
        assert httpx.post(f"{server.url}/setup/environment", data={"csrf": token}).status_code == 404
        assert client.post("/setup/environment", data={"csrf": "0"}).status_code == 403
        shown = client.post("/setup/environment", data={"csrf": token})
        lines = unescape(re.search(r"<code>(INTERLOCK_APP_ID=.*?)</code>", shown.text, re.DOTALL)[1])
        names = re.findall(r"^(\w+)=", lines, re.MULTILINE)
        told = subprocess.run(["env", "-i", "sh", "-c", f"set -a; {lines}\nexec env"], capture_output=True, text=True, check=True).stdout
        made = read_settings(
            {"INTERLOCK_DATA": "/nowhere", **{name: re.search(rf"^{name}=(.*)$", told, re.MULTILINE)[1] for name in names}}
        )
        stored = server.app.settings
        assert made.credentials is not None and stored.credentials is not None and made.client == stored.client
        assert made.credentials.private_key.strip() == stored.credentials.private_key.strip()
        assert made.credentials.webhook_secrets == stored.credentials.webhook_secrets and shown.headers["cache-control"] == "no-store"
        again = client.post("/setup/environment", data={"csrf": token})
        assert again.status_code == 403 and "shown already" in again.text and "BEGIN" not in again.text
        assert "BEGIN" not in client.get("/setup").text and "Show the lines" not in client.get("/setup").text
        assert "PRIVATE KEY" not in caplog.text
        client.post("/setup/finish", data={"csrf": token})
        assert client.post("/setup/environment", data={"csrf": token}).status_code == 404


def test_the_lines_are_not_in_the_json(bare: tuple[StandIn, Running]) -> None:
    """Whoever asks for JSON gets no secret."""
    github, server = bare
    with closing(set_up(github, server)) as client:
        token = fields(client.get("/setup").text)["csrf"]
        told = client.post("/setup/environment", data={"csrf": token}, headers={"accept": "application/json"}).json()
        assert "lines" not in told and "BEGIN" not in json.dumps(told)


def test_setup_tells_how_deliveries_reach_a_laptop(bare: tuple[StandIn, Running]) -> None:
    """An address only this machine knows is refused for github.com; a channel's comes with the line that passes deliveries on."""
    github, server = bare
    port = urlsplit(server.url).port
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        page = client.get(server.app.site.setup.invite())
        assert f"--target http://127.0.0.1:{port}/webhook" in page.text
        refused = client.post("/setup", data={**fields(page.text), "organization": "acme", "github": "https://github.com"})
        assert refused.status_code == 400 and "cannot reach this machine" in refused.text
    assert channel("https://smee.io/a b", 1) == "npx smee-client --url 'https://smee.io/a b' --target http://127.0.0.1:1/webhook"
    with closing(set_up(github, server, hook="https://smee.io/abc")) as client:
        assert f"npx smee-client --url https://smee.io/abc --target http://127.0.0.1:{port}/webhook" in client.get("/setup").text


def test_setup_closes_for_good(bare: tuple[StandIn, Running]) -> None:
    """After the last button the page is gone: for this browser, for a new invitation, for the next start."""
    github, server = bare
    with closing(set_up(github, server)) as client:
        token = fields(client.get("/setup").text)["csrf"]
        assert client.post("/setup/finish", data={"csrf": "0"}).status_code == 403
        assert client.post("/setup/finish", data={"csrf": token}).status_code == 200
        assert client.get("/setup").status_code == 404 and server.app.site.setup.invite() is None


def test_setup_opens_once_and_only_with_the_token(bare: tuple[StandIn, Running]) -> None:
    """Nobody gets in without the address of the terminal, which works once."""
    _, server = bare
    invitation = server.app.site.setup.invite()
    assert invitation is not None
    assert httpx.get(server.url + "/setup").status_code == 404
    assert httpx.get(server.url + "/setup?token=wrong").status_code == 403
    assert httpx.post(server.url + "/setup", data={"kind": "personal"}).status_code == 404
    assert httpx.get(server.url + "/setup/created?code=x&state=y").status_code == 404
    assert httpx.get(server.url + invitation).status_code == 303
    assert httpx.get(server.url + invitation).status_code == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [("github", "ftp://x"), ("github", "http://github.example.com"), ("organization", "a/../b"), ("name", ""), ("public", "javascript:x")],
)
def test_setup_says_what_is_wrong(bare: tuple[StandIn, Running], name: str, value: str) -> None:
    """A wrong answer comes back with a sentence, and what was typed is kept."""
    _, server = bare
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        page = client.get(server.app.site.setup.invite())
        answer = client.post("/setup", data={**fields(page.text), "organization": "acme", name: value})
        assert answer.status_code == 400 and 'role="alert"' in answer.text and fields(answer.text)[name] == value


def test_the_manifest_is_app_yml_with_the_addresses() -> None:
    """What is sent asks for what `app.yml` asks for, no more."""
    made = manifest("Gate", "https://gate.example.com", "https://gate.example.com/webhook", "http://127.0.0.1:8480")
    assert made["hook_attributes"] == {"url": "https://gate.example.com/webhook", "active": True} and made["public"] is False
    assert made["redirect_url"] == "http://127.0.0.1:8480/setup/created" and made["default_permissions"]["checks"] == "write"


def test_the_command_makes_the_ruleset_it_shows() -> None:
    """The line can be pasted: its JSON is quoted for a shell and names the App."""
    import shlex

    words = shlex.split(command("acme/shop", "it's", 42))
    assert json.loads(words[1])["rules"][0]["parameters"]["required_status_checks"] == [
        {"context": "interlock: it's", "integration_id": 42}
    ]
    assert words[2:] == ["|", "gh", "api", "--method", "POST", "repos/acme/shop/rulesets", "--input", "-"]


def test_stored_credentials_that_others_can_read_are_refused(tmp_path: Path) -> None:
    """A file with a wider mode, or that is not ours, stops the start with a sentence; the environment counts before the file."""
    keep(tmp_path, {"INTERLOCK_APP_ID": "7"})
    assert read_settings({"INTERLOCK_DATA": str(tmp_path), "INTERLOCK_APP_ID": "8"}).stored is False
    (tmp_path / KEPT).chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_settings({"INTERLOCK_DATA": str(tmp_path)})


def test_the_history_of_an_agents_authority(tmp_path: Path) -> None:
    """Merged pull requests stand under the agent that they widened or narrowed, open ones apart, closed ones nowhere."""

    def allowed(*tools: str) -> dict[str, str]:
        return {".claude/settings.json": json.dumps({"permissions": {"allow": list(tools)}})}

    made = build(tmp_path / "data", files={"README.md": "# Shop\n", **allowed("Bash(npm test)")})
    try:
        with browser(made, "robin") as client:
            made.propose({"notes.md": "x"}, branch="notes")
            assert "Nothing is recorded yet" in client.get("/acme/shop/agents").text
            _, wider = made.propose(allowed("Bash(npm test)", "Bash(terraform:*)"), branch="wider")
            told = client.get("/acme/shop/agents.json").json()
            assert told["history"] == [] and [(one["agent"], one["number"]) for one in told["proposed"]] == [("Claude Code", wider.number)]
            made.repo.merge(wider, "robin")
            made.settle()
            _, narrower = made.propose(allowed("Bash(npm test)"), branch="narrower")
            made.repo.merge(narrower, "robin")
            made.settle()
            _, dropped = made.propose(allowed("Bash(*)"), branch="dropped")
            made.repo.close(dropped, "robin")
            made.settle()
            page = client.get("/acme/shop/agents")
            told = client.get("/acme/shop/agents.json").json()
            (claude,) = told["history"]
            assert [(step["number"], step["direction"]) for step in claude["steps"]] == [
                (narrower.number, "narrowed"),
                (wider.number, "widened"),
            ]
            assert told["proposed"] == [] and f"{made.github.url}/acme/shop/pull/{wider.number}" in page.text
            assert client.get(f"/acme/shop/reviews/{claude['steps'][1]['review']}").status_code == 200
    finally:
        demolish(made)
