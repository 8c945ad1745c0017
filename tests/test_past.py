"""A repository's past: replayed once when the App is new there, and again under a policy that somebody proposes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backtest import kept
from bot.demo.running import Running
from bot.past import PATIENCE, begin_next
from bot.store import Mark
from tests.house import ENFORCE, RISK, TOPIC, House, build, demolish, settings_for
from tests.test_pages import browser

STRICTER = """version: 1
mode: enforce
requirements:
  terraform/resource-destroyed: [expand-contract]
"""


@pytest.fixture
def old(tmp_path: Path) -> Iterator[House]:
    """A repository with a history of thirty changes, one of which destroyed a database; the server looks back at most fifty."""
    house = build(tmp_path / "first")
    house.server.stop()
    for number in range(28):
        house.repo.commit("main", {"README.md": f"# Shop {number}\n"}, f"Say more ({number})", author="robin")
    house.repo.commit("main", {"infra/prod/main.tf": TOPIC}, "Tidy the infrastructure", author="robin")
    house.repo.commit("main", {"README.md": "# Shop\n"}, "Say less", author="robin")
    house.server = Running(settings_for(house.github, house.app, tmp_path / "second", past=50))
    house.app.webhook_url = f"{house.server.url}/webhook"
    yield house
    demolish(house)


def test_after_the_first_look_the_history_is_replayed_once_and_a_later_score_is_compared_with_it(old: House) -> None:
    """The first pull request has no percentile yet; the second has; the destruction of then is found; nothing is replayed twice."""
    first, _ = old.propose({"README.md": "# The shop\n"}, "first")
    assert "Riskier than" not in old.gate(first, RISK).summary
    store = old.server.app.store
    assert kept.whole(store, "acme/shop")
    replay = kept.replay_of(store, "acme/shop")
    assert replay is not None and len(replay.rows) == 30
    assert [row.title for row in replay.rows if row.stopped] == ["Tidy the infrastructure"]
    second, _ = old.propose({"infra/prod/main.tf": None}, "second")
    assert "Riskier than" in old.gate(second, RISK).summary
    again = kept.replay_of(store, "acme/shop")
    assert again is not None and again.rows == replay.rows


def test_a_replay_goes_on_where_a_stopped_server_left_it(old: House) -> None:
    """A slice is kept as it is made: what is kept is not judged again, and no percentile is told from a part."""
    old.propose({"README.md": "# The shop\n"}, "first")
    store = old.server.app.store
    state = store.fact("past/acme/shop")
    store.remember("past/acme/shop", {**state, "heads": state["heads"][:20], "scores": state["scores"][:20], "slices": 1, "whole": False})
    assert kept.scores_of(store, "acme/shop") == ()
    store.mark(Mark("acme/shop/past", "acme/shop", old.installation.id, "past"))
    old.server.app.workers.wake()
    old.settle()
    replay = kept.replay_of(store, "acme/shop")
    assert replay is not None and len({row.head for row in replay.rows}) == 30
    assert len(kept.scores_of(store, "acme/shop")) == 30


def test_a_proposed_policy_is_tried_on_the_past_and_the_check_says_what_it_changes(old: House) -> None:
    """Someone proposes a policy that asks for another proof; the gate names the change of the past whose verdict differs."""
    sha, _ = old.propose({".github/interlock.yml": STRICTER}, "policy")
    assert "Under the policy proposed here, of the last 30 changes of main" in old.gate(sha).summary
    assert "Tidy the infrastructure" in old.gate(sha).summary


def test_a_proposed_policy_that_is_wrong_is_not_tried(old: House) -> None:
    """The check says that the proposed policy is wrong."""
    sha, _ = old.propose({".github/interlock.yml": ENFORCE + "modus: x\n"}, "policy")
    assert "The policy proposed here is wrong" in old.gate(sha).summary


def test_a_policy_that_changes_nothing_says_so(old: House) -> None:
    """A comment in the policy: every change of the past would have had the same verdict."""
    sha, _ = old.propose({".github/interlock.yml": "# ours\n" + ENFORCE}, "policy")
    assert "each would have had the same verdict" in old.gate(sha).summary
    assert json.loads(json.dumps(old.server.app.store.fact("proposed/acme/shop/1")))["head"] == sha


def test_the_replay_is_a_page(old: House) -> None:
    """The page tells the steps, what would have waited, and why, with the rule's page and the commit one click away; its JSON says the same."""
    old.propose({"README.md": "# The shop\n"}, "first")
    with browser(old, "sam") as client:
        text = client.get("/acme/shop/past").text
        assert "Tidy the infrastructure" in text and "/rules/terraform/resource-destroyed" in text
        told = client.get("/acme/shop/past.json").json()
    assert (told["steps"], told["stopped"], told["whole"]) == (30, 1, True)
    assert [row["title"] for row in told["worst"]] == ["Tidy the infrastructure"]


def test_a_repository_without_pull_requests_is_replayed_once_it_is_installed(old: House) -> None:
    """Installed on two repositories and an empty one, nobody proposes anything: each past is replayed to its end, and once."""
    store = old.server.app.store
    site, empty = (old.github.repository("globex", name, roles={"robin": "write"}) for name in ("site", "empty"))
    for number in range(25):
        site.commit("main", {"README.md": f"# Site {number}\n"}, f"Say more ({number})", author="robin")
    installation = old.github.install(old.app, "globex")
    old.settle()
    replay = kept.replay_of(store, "globex/site")
    assert replay is not None and len(replay.rows) == 24 and kept.whole(store, "globex/site")
    assert not store.dead_letters()
    shop = old.github.repository("globex", "shop", roles={"robin": "write"})
    shop.commit("main", {"README.md": "# Shop\n"}, "Start", author="robin")
    shop.commit("main", {"README.md": "# A shop\n"}, "More", author="robin")
    old.github.choose(installation, added=[shop])
    old.settle()
    assert kept.whole(store, "globex/shop")
    again = kept.replay_of(store, "globex/site")
    assert again is not None and again.rows == replay.rows
    assert empty.full_name not in {row.title for row in replay.rows}


def test_a_repository_that_is_renamed_or_transferred_keeps_its_past(old: House) -> None:
    """Its replay stands under the new name, whole, and is not begun anew."""
    old.propose({"README.md": "# The shop\n"}, "first")
    store = old.server.app.store
    replay = kept.replay_of(store, "acme/shop")
    assert replay is not None
    old.repo.rename("store")
    old.settle()
    moved = kept.replay_of(store, "acme/store")
    assert moved is not None and moved.rows == replay.rows and kept.whole(store, "acme/store")
    assert kept.replay_of(store, "acme/shop") is None
    old.github.install(old.app, "globex")
    old.repo.rename("store", "globex")
    old.settle()
    moved = kept.replay_of(store, "globex/store")
    assert moved is not None and moved.rows == replay.rows and kept.whole(store, "globex/store")


def test_repositories_are_replayed_one_after_another(old: House) -> None:
    """What is begun next is begun when the one before it ended; one that does not end holds up the others for a while only."""
    tools = old.server.app.tools
    assert tools is not None
    store = tools.store
    names = {"1": "2026-01-01", "2": "2026-01-03", "3": "2026-01-02"}
    store.remember("reaches/77", {one: {"name": f"far/{one}", "pushed": pushed, "archived": one == "3"} for one, pushed in names.items()})
    begin_next(77, tools)
    assert store.fact("pasts/77")["begun"] == ["2"]
    begin_next(77, tools, if_idle=True)
    assert store.fact("pasts/77")["begun"] == ["2"]
    store.remember("pasts/77", {"begun": ["2"], "at": tools.clock() - 2 * PATIENCE})
    begin_next(77, tools, if_idle=True)
    assert store.fact("pasts/77")["begun"] == ["2", "1"]
    begin_next(77, tools)
    assert store.fact("pasts/77")["begun"] == ["2", "1"]
    store.drop_work(77)
