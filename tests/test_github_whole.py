"""Everything that GitHub can do to a pull request and around it, as conversations over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.demo.standin.driver import EVENTS, PERMISSIONS
from bot.doctor import of_merges
from bot.escapes import escapes
from bot.looks.seen import seen
from tests.house import AGENT, DATABASE, ENFORCE, FILES, TOPIC, House, build, demolish

DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}
HARMLESS: dict[str, str | None] = {"README.md": "# The shop\n"}
SHOP = "acme/shop"


def reviews(house: House, number: int) -> int:
    return len(house.server.app.store.records(SHOP, pull=number))


# The merge queue.


def test_a_merge_group_is_judged_on_the_combined_commit(house: House) -> None:
    """A harmless pull request is queued: the combined commit gets a gate of its own, and a record that is no pull request's."""
    _, pull = house.propose(HARMLESS)
    before = reviews(house, pull.number)
    group = house.repo.enqueue(pull)
    house.settle()
    assert house.verdict(group.head_sha) == "success"
    (record,) = house.server.app.store.records(SHOP, head=group.head_sha)
    assert record.pull is None and record.state == "pass"
    assert reviews(house, pull.number) == before


def test_a_dangerous_change_is_red_in_the_queue_too(house: House) -> None:
    """A pass of the pull request does not carry over, and neither does its absence: the group is judged by its own diff."""
    _, pull = house.propose(DESTROY, "claude/tidy", "Tidy" + AGENT)
    group = house.repo.enqueue(pull)
    house.settle()
    gate = house.gate(group.head_sha)
    assert gate.conclusion == "failure" and "aws_db_instance.main" in gate.title
    assert "claude-code" in gate.summary


def test_a_second_group_is_judged_by_what_it_adds(house: House) -> None:
    """The group behind a dangerous one is not red for what stands in front of it."""
    _, first = house.propose(DESTROY, "one")
    _, second = house.propose(HARMLESS, "two")
    front, behind = house.repo.enqueue(first), house.repo.enqueue(second)
    house.settle()
    assert (house.verdict(front.head_sha), house.verdict(behind.head_sha)) == ("failure", "success")


def test_a_group_that_is_gone_is_left_alone(house: House) -> None:
    """The group was taken out before it was looked at: nothing is published on its commit."""
    _, pull = house.propose(HARMLESS)
    group = house.repo.enqueue(pull)
    house.settle()
    house.repo.dequeue(group, "invalidated")
    before = len(house.github.calls("POST", "/check-runs"))
    event = next(one for one in house.github.deliveries if one.event == "merge_group")
    event.guid = "not-seen-before"
    house.github.redeliver(event)
    house.settle()
    assert len(house.github.calls("POST", "/check-runs")) == before


def test_an_override_holds_in_the_queue(house: House) -> None:
    """What was let pass on the head passes in the group that brings this head; in another one it does not."""
    policy = ENFORCE + "overrides: {who: [sam]}\n"
    house.repo.commit("main", {".github/interlock.yml": policy}, "Let Sam", author="sam")
    sha, pull = house.propose(DESTROY)
    report = json.loads(house.server.app.store.records(SHOP, pull=pull.number)[0].report)
    for effect in report["effects"]:
        house.repo.comment(pull, "sam", f'/interlock override {effect["id"]} until=2026-12-10 reason="the table was copied by hand"')
        house.settle()
    assert house.verdict(sha) == "success", [one.body for one in house.repo.comments(pull)]
    group = house.repo.enqueue(pull)
    house.settle()
    assert house.verdict(group.head_sha) == "success"
    assert house.server.app.store.records(SHOP, head=group.head_sha)[0].state == "overridden"


def test_evidence_on_the_groups_commit_decides_it_anew(house: House) -> None:
    """A workflow of the queue finishes: the group is looked at again."""
    _, pull = house.propose(DESTROY)
    group = house.repo.enqueue(pull)
    house.settle()
    before = len(house.server.app.store.records(SHOP, head=group.head_sha))
    house.repo.run_workflow(".github/workflows/ci.yml", "merge_group", group.head_sha, jobs=["test"])
    house.settle()
    assert len(house.server.app.store.records(SHOP, head=group.head_sha)) > before


# Pull requests of every shape.


def test_a_fork_is_judged_on_the_base_repository(house: House) -> None:
    """The head lies in a fork: the gate stands on its commit in the repository it would be merged into."""
    fork = house.github.repository("mallory", "shop", fork_of=house.repo)
    sha = fork.commit("evil", DESTROY, "Tidy", author="mallory")
    pull = house.repo.open_pull("mallory:evil", "main", "Tidy", "", "mallory")
    house.settle()
    assert house.verdict(sha) == "failure"
    assert json.loads(house.server.app.store.records(SHOP, pull=pull.number)[0].inputs)["pull"]["fork"] is True


def test_a_draft_is_judged_the_same(house: House) -> None:
    """A draft has the same gate: success or failure and nothing between; being ready changes no verdict."""
    sha, pull = house.propose(DESTROY, draft=True)
    assert house.verdict(sha) == "failure"
    house.repo.ready(pull)
    house.settle()
    assert house.verdict(sha) == "failure"


def test_a_retargeted_pull_request_is_judged_under_its_new_base(house: House) -> None:
    """The base is changed: a gate of the new branch's name appears, under that branch's policy."""
    house.repo.commit("open", {".github/interlock.yml": "version: 1\nmode: observe\n"}, "Observe here", author="sam")
    sha, pull = house.propose(DESTROY)
    assert house.verdict(sha) == "failure" and house.gate(sha, "interlock: open") is None
    house.repo.edit(pull, base="open")
    house.settle()
    assert house.verdict(sha, "interlock: open") == "success"
    assert seen(house.server.app.store, SHOP, pull.number).base_ref == "open"  # type: ignore[union-attr]


def test_the_same_head_in_two_pull_requests_has_the_worse_verdict(house: House) -> None:
    """A check belongs to a commit: while one of two pull requests is blocked the gate is red, and green again when that one is closed."""
    text = "# Shop\n\nWe delete nothing.\n"
    sha, bad = house.propose(DESTROY, "one")
    house.repo.push("two", sha, "robin")
    good = house.repo.open_pull("two", "main", "Again", text, "robin")
    house.settle()
    assert house.verdict(sha) == "failure"
    assert {reviews(house, bad.number) > 0, reviews(house, good.number) > 0} == {True}
    house.repo.close(bad)
    house.settle()
    assert house.verdict(sha) == "failure", "its own verdict is red too"


def test_a_gate_that_was_red_for_another_ones_sake_follows_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other pull request with the same commit and base moves on: this one's gate is decided anew."""
    first, one = house.propose(HARMLESS, "one")
    house.repo.push("two", first, "robin")
    two = house.repo.open_pull("two", "main", "Again", "", "robin")
    house.settle()
    store = house.server.app.store
    stands = store.fact(f"seen/{SHOP}/{one.number}")
    store.remember(f"seen/{SHOP}/{one.number}", {**stands, "state": "blocked"})
    house.repo.comment(two, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(first) == "failure" and f"#{one.number}" in house.gate(first).title
    house.repo.commit("one", {"README.md": "# More\n"}, "More", author="robin")
    house.settle()
    assert house.verdict(first) == "success"


def test_a_forced_push_is_a_new_head(house: House) -> None:
    """History is rewritten: the new head is judged on its own, the old one keeps its verdict."""
    old, _ = house.propose(DESTROY)
    new = house.repo.commit("work", {"infra/prod/main.tf": DATABASE + TOPIC, **HARMLESS}, "Instead", author="robin", amend=True)
    house.settle()
    assert (house.verdict(old), house.verdict(new)) == ("failure", "success")


def test_a_branch_that_is_deleted_disturbs_nothing(house: House) -> None:
    """The head's branch goes while the pull request is open: what stands, stands, and it can still be looked at again."""
    sha, pull = house.propose(DESTROY)
    house.repo.push("work", None, "robin")
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(sha) == "failure"
    assert house.server.app.store.waiting()["dead"] == 0


# Repositories and installations.


def test_a_renamed_repository_keeps_what_was_kept_of_it(house: House) -> None:
    """Records, verdicts and what is waiting follow the new name, and the next event is answered there."""
    sha, pull = house.propose(DESTROY)
    house.repo.rename("store")
    house.settle()
    store = house.server.app.store
    assert store.records(SHOP) == [] and len(store.records("acme/store", pull=pull.number)) >= 1
    assert seen(store, "acme/store", pull.number) is not None
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(sha) == "failure" and len(house.repo.check_runs(sha)) == 2, "the runs that were there are updated"


def test_a_transferred_repository_follows_its_new_owner(house: House) -> None:
    """Another owner, another installation: the records are there, and its open pull requests are looked at."""
    sha, pull = house.propose(DESTROY)
    house.github.install(house.app, "globex")
    house.settle()
    house.repo.rename("shop", owner="globex")
    house.settle()
    store = house.server.app.store
    assert len(store.records("globex/shop", pull=pull.number)) >= 1 and store.records(SHOP) == []
    assert house.verdict(sha) == "failure"


def test_a_suspended_installation_is_left_alone_and_caught_up_with(house: House) -> None:
    """While it is suspended nothing is asked and nothing dies; afterwards what was opened meanwhile is judged."""
    house.github.suspend(house.installation)
    house.settle()
    sha = house.repo.commit("work", DESTROY, "Change", author="robin")
    house.repo.open_pull("work", "main", "Change", "", "robin")
    house.settle()
    assert house.verdict(sha) is None
    house.github.suspend(house.installation, suspended=False)
    house.settle()
    assert house.verdict(sha) == "failure"
    assert house.server.app.store.waiting()["dead"] == 0


def test_an_installation_that_is_removed_leaves_no_work(house: House) -> None:
    """The App is uninstalled: what was waiting for it is dropped."""
    store = house.server.app.store
    from bot.triggers import pull_mark

    store.mark(pull_mark(SHOP, house.installation.id, 77, delay=1000))
    house.github.uninstall(house.installation)
    house.github.settle()
    house.server.settle()
    assert store.waiting()["waiting"] == 0


def test_a_new_installation_finds_what_is_open(tmp_path: Path) -> None:
    """Installed where pull requests are open already: each gets its verdict, without anyone touching it."""
    house = build(tmp_path / "data")
    try:
        other = house.github.repository("globex", "site", roles={"robin": "write"})
        other.commit("main", FILES, "Start", author="robin")
        sha = other.commit("work", DESTROY, "Change", author="robin")
        other.open_pull("work", "main", "Change", "", "robin")
        house.github.install(house.app, "globex")
        house.settle()
        assert [run.conclusion for run in other.check_runs(sha, "interlock: main")] == ["failure"]
    finally:
        demolish(house)


def test_a_repository_that_is_taken_away_leaves_no_work(house: House) -> None:
    """A repository is removed from the installation: what waited for it is dropped; added again, it is caught up with."""
    from bot.triggers import pull_mark

    site = house.github.repository("acme", "site", roles={"robin": "write"})
    site.commit("main", FILES, "Start", author="robin")
    house.github.choose(house.installation, added=[house.repo, site])
    house.settle()
    store = house.server.app.store
    store.mark(pull_mark("acme/site", house.installation.id, 9, delay=1000))
    house.github.choose(house.installation, removed=[site])
    house.github.settle()
    house.server.settle()
    assert store.waiting()["waiting"] == 0
    sha = site.commit("work", DESTROY, "Change", author="robin")
    site.open_pull("work", "main", "Change", "", "robin")
    house.settle()
    assert site.check_runs(sha, "interlock: main") == []
    house.github.choose(house.installation, added=[site])
    house.settle()
    assert [run.conclusion for run in site.check_runs(sha, "interlock: main")] == ["failure"]


# The base branch.


def test_a_policy_that_changes_on_the_base_decides_anew(house: House) -> None:
    """The base's policy becomes stricter or laxer: open pull requests follow without being touched."""
    sha, _ = house.propose(DESTROY)
    assert house.verdict(sha) == "failure"
    house.repo.commit("main", {".github/interlock.yml": "version: 1\nmode: observe\n"}, "Observe", author="sam")
    house.settle()
    assert house.verdict(sha) == "success"


def test_a_push_that_nothing_depends_on_costs_next_to_nothing(house: House) -> None:
    """The base moves elsewhere: a pull request that asks for no proof is not looked at again."""
    _, pull = house.propose(HARMLESS)
    before, requests = reviews(house, pull.number), len(house.github.requests)
    house.repo.commit("main", {"docs/a.md": "x\n"}, "Docs", author="sam")
    house.settle()
    assert reviews(house, pull.number) == before
    assert len(house.github.requests) - requests <= 5


def test_a_push_to_any_other_branch_costs_nothing(house: House) -> None:
    """A branch that no pull request goes to concerns nobody."""
    house.settle()
    before = len(house.github.requests)
    house.repo.commit("somewhere", {"a.txt": "x\n"}, "Work in progress", author="sam")
    house.settle()
    assert len(house.github.requests) == before


def merged(house: House, method: str) -> tuple[str, Any]:
    _, pull = house.propose(DESTROY)
    house.repo.merge(pull, "sam", method=method, bypass=True)
    house.settle()
    return method, pull


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_a_merge_round_the_gate_is_found_on_the_push(house: House, method: str) -> None:
    """An administrator merges what is red: the push tells it, and it is recorded once."""
    _, pull = merged(house, method)
    (one,) = escapes(house.server.app.store, SHOP)
    assert (one["pull"], one["state"], one["branch"]) == (pull.number, "blocked", "main")
    assert "while it was blocked" in one["why"]
    tools = house.server.app.settings
    told = [answer for answer in of_merges(tools, SHOP, "main") if "round the gate" in answer.what]
    assert any(answer.good is False and f"#{pull.number}" in answer.remedy for answer in told)


def test_a_push_without_a_pull_request_is_found(house: House) -> None:
    """Someone pushes to the base branch itself."""
    house.propose(HARMLESS)
    sha = house.repo.commit("main", {"a.txt": "x\n"}, "Directly", author="sam")
    house.settle()
    assert [(one["sha"], one["state"]) for one in escapes(house.server.app.store, SHOP)] == [(sha, "pushed")]


def test_what_came_through_the_gate_is_no_escape(house: House) -> None:
    """A green pull request is merged, squashed or queued: nothing is recorded."""
    for number, method in enumerate(("merge", "squash")):
        _, pull = house.propose({"README.md": f"# {method}\n"}, f"w{number}")
        house.repo.merge(pull, "sam", method=method)
        house.settle()
    _, pull = house.propose({"README.md": "# queue\n"}, "queued")
    group = house.repo.enqueue(pull)
    house.settle()
    house.repo.dequeue(group, "merged")
    house.settle()
    assert escapes(house.server.app.store, SHOP) == []


def test_rules_that_change_are_read_again(tmp_path: Path) -> None:
    """The gate becomes required: the open pull request's check says so without anyone touching it."""
    house = audited(tmp_path)
    try:
        sha, _ = house.propose(DESTROY)
        assert "not required here" in house.gate(sha).summary
        rules = house.repo.require_check("interlock: main", house.app)
        house.settle()
        assert "required and pinned to this App" in house.gate(sha).summary
        house.repo.remove_ruleset(rules)
        house.settle()
        assert "not required here" in house.gate(sha).summary
    finally:
        demolish(house)


# Deployments.


def audited(tmp_path: Path) -> House:
    """A house whose App was given what the manifest does not ask for."""
    house = build(tmp_path / "data")
    more = {"administration": "read", "deployments": "write"}
    house.app.permissions.update(more)
    house.installation.permissions.update(more)
    events = (*EVENTS, "repository_ruleset", "branch_protection_rule", "branch_protection_configuration", "deployment_protection_rule")
    house.installation.events = events
    house.server.app.tools.api.forget(house.installation.id)  # type: ignore[union-attr]
    return house


@pytest.fixture
def deploying(tmp_path: Path) -> Iterator[House]:
    house = audited(tmp_path)
    house.repo.environment("production", gates=[house.app])
    yield house
    demolish(house)


def deploy(house: House, sha: str) -> dict[str, Any]:
    run = house.repo.run_workflow(".github/workflows/deploy.yml", "push", sha, jobs={"deploy": None}, conclusion=None, head_branch="main")
    house.repo.request_deployment(run, "production", house.app)
    house.settle()
    (answer,) = run.gates
    return answer


def test_a_deployment_is_answered_with_the_verdict_of_its_commits(deploying: House) -> None:
    """What came through the gate is let through; what did not is not, and neither is what is built on it, until it is undone."""
    house = deploying
    _, fine = house.propose(HARMLESS, "fine")
    good = house.repo.merge(fine, "sam")
    house.settle()
    assert deploy(house, good)["state"] == "approved"
    _, bad = house.propose(DESTROY, "bad")
    house.repo.merge(bad, "sam", bypass=True)
    house.settle()
    _, after = house.propose({"docs/a.md": "x\n"}, "after")
    tip = house.repo.merge(after, "sam", method="squash")
    house.settle()
    answer = deploy(house, tip)
    assert answer["state"] == "rejected" and f"#{bad.number} was merged while it was blocked" in answer["comment"]
    assert deploy(house, good)["state"] == "approved", "going back to what was let through"


def test_a_deployment_of_a_direct_push_is_not_let_through(deploying: House) -> None:
    """No verdict ever stood on it."""
    sha = deploying.repo.commit("main", {"a.txt": "x\n"}, "Directly", author="sam")
    deploying.settle()
    answer = deploy(deploying, sha)
    assert answer["state"] == "rejected" and "without a pull request" in answer["comment"]


# GitHub Enterprise Server.


def test_a_server_of_ones_own(tmp_path: Path) -> None:
    """The API stands under /api/v3 there, and git and links on the server itself."""
    house = build(tmp_path / "data", api="/api/v3", public_url="https://interlock.example.com")
    try:
        sha, _ = house.propose(DESTROY)
        gate = house.gate(sha)
        assert gate.conclusion == "failure"
        assert gate.details_url.startswith(f"https://interlock.example.com/{SHOP}/")
    finally:
        demolish(house)


# Evidence.


def test_a_check_under_the_gates_name_from_elsewhere_changes_nothing_and_is_counted(house: House) -> None:
    """A look-alike of the gate from another App: ours stays red, and the forgery is counted once."""
    from bot.metrics import GATE_FORGED

    before = GATE_FORGED._value.get()
    sha, _ = house.propose(DESTROY)
    other = house.github.app("lookalike", permissions=PERMISSIONS)
    house.repo.check(other, sha, "interlock: main", "success")
    house.settle()
    assert house.verdict(sha) == "failure"
    assert GATE_FORGED._value.get() == before + 1


def test_evidence_for_a_commit_that_nobody_proposes_costs_nothing(house: House) -> None:
    """Checks run on every push to every branch; only those of a proposed head are looked at."""
    sha = house.repo.commit("somewhere", {"a.txt": "x\n"}, "Work in progress", author="sam")
    house.settle()
    before = len(house.github.requests)
    house.repo.run_workflow(".github/workflows/ci.yml", "push", sha, jobs=["test"], head_branch="somewhere")
    house.settle()
    assert len(house.github.requests) == before
