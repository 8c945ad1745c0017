"""What people and GitHub do, and what Interlock answers: each test is a conversation over HTTP."""

from __future__ import annotations

import contextlib
import hmac
import json
from pathlib import Path

import httpx
import pytest

from bot.demo.standin.faults import ANSWERS, SPECIAL
from bot.replay import replay_review
from tests.house import AGENT, DATABASE, RISK, TOPIC, House, build, demolish

DESTROY = {"infra/prod/main.tf": TOPIC}


@pytest.mark.every_store
def test_an_agent_destroys_a_database(house: House) -> None:
    """An agent opens a pull request that destroys a database; the gate is red, the score is told, a comment says what to do, a label tells the band."""
    sha, pull = house.propose(DESTROY, "claude/tidy", "Tidy up" + AGENT)
    gate, risk = house.gate(sha), house.gate(sha, RISK)
    assert (gate.status, gate.conclusion) == ("completed", "failure")
    assert "aws_db_instance.main" in gate.title
    assert "What turns this green" in gate.summary and "claude-code" in gate.summary
    assert risk.conclusion == "success" and "of 100" in risk.title
    (comment,) = [one for one in house.repo.comments(pull) if one.user.login == "interlock[bot]"]
    assert "aws&#95;db&#95;instance.main" in comment.body
    assert [label.name for label in pull.labels] == ["interlock: critical"]


def test_a_harmless_change_is_left_alone(house: House) -> None:
    """Someone edits the README; the gate is green and nobody is talked to."""
    sha, pull = house.propose({"README.md": "# The shop\n"})
    assert house.verdict(sha) == "success"
    assert house.repo.comments(pull) == []
    assert [label.name for label in pull.labels] == ["interlock: low"]


def test_an_approval_changes_nothing(house: House) -> None:
    """A maintainer approves; the gate stays red."""
    sha, pull = house.propose(DESTROY)
    house.repo.approve(pull, "sam", "LGTM")
    house.settle()
    assert house.verdict(sha) == "failure"


@pytest.mark.every_store
def test_a_push_that_mends_it_turns_it_green_and_the_comment_is_updated_in_place(house: House) -> None:
    """The author keeps the database; the new head is green, the old one stays red, and there is still one comment."""
    first, pull = house.propose(DESTROY)
    second = house.repo.commit("work", {"infra/prod/main.tf": DATABASE + TOPIC + "\n# kept\n"}, "Keep it", author="robin")
    house.settle()
    assert (house.verdict(first), house.verdict(second)) == ("failure", "success")
    (comment,) = house.repo.comments(pull)
    assert "Nothing stands in the way" in comment.body


def test_without_a_policy_it_observes(house: House) -> None:
    """A branch without a policy file: the gate is green and says what it would have blocked."""
    house.repo.commit("open", {".github/interlock.yml": None}, "No policy", author="robin")
    sha, _ = house.propose(DESTROY, base="open")
    gate = house.gate(sha, "interlock: open")
    assert gate.conclusion == "success" and gate.title.startswith("Would be blocked: ")


def test_a_policy_that_is_removed_on_the_base_branch_stays_enforced(house: House) -> None:
    """A policy once stood on the branch; its absence is a mistake that is shown and blocks."""
    house.propose({"README.md": "# x\n"}, "first")
    house.repo.commit("main", {".github/interlock.yml": None}, "Remove", author="robin")
    sha, _ = house.propose({"README.md": "# y\n"}, "second")
    assert house.verdict(sha) == "failure" and "is gone" in house.gate(sha).title


def test_the_policy_is_the_base_branchs(house: House) -> None:
    """A pull request that loosens the policy is judged by the policy as it was."""
    sha, _ = house.propose({**DESTROY, ".github/interlock.yml": "version: 1\nmode: observe\n"})
    assert house.verdict(sha) == "failure"


def test_the_organisations_floor_holds_in_every_repository(house: House) -> None:
    """The `.github` repository of the organisation enforces: a branch that only observes is blocked all the same."""
    above = house.github.repository("acme", ".github")
    above.commit("main", {".github/interlock.yml": "version: 1\nfloor: {mode: enforce}\n"}, "Floor", author="sam")
    house.repo.commit("soft", {".github/interlock.yml": "version: 1\nmode: observe\n"}, "Observe", author="robin")
    house.server.app.store.remember("organisation/acme", {"at": 0, "content": None})
    sha, _ = house.propose(DESTROY, base="soft")
    assert house.verdict(sha, "interlock: soft") == "failure"


def test_an_organisations_policy_that_cannot_be_read_blocks_and_is_said(house: House) -> None:
    """GitHub does not answer: the built-in requirements are enforced, and why is told."""
    house.server.app.store.remember("organisation/acme", {"at": 0, "content": None})
    house.github.repository("acme", ".github")
    house.github.fault("GET", "*/contents/*", "403", times=20)
    sha, _ = house.propose({"README.md": "# x\n"})
    gate = house.gate(sha)
    assert gate.conclusion == "failure" and "organisation" in gate.summary


def test_a_wrong_policy_is_shown_with_its_line(house: House) -> None:
    """The base branch's policy has an unknown key: every pull request is red and says where."""
    house.repo.commit("main", {".github/interlock.yml": "version: 1\nmodus: enforce\n"}, "Typo", author="robin")
    sha, _ = house.propose({"README.md": "# x\n"})
    gate = house.gate(sha)
    assert gate.conclusion == "failure" and "line 2" in gate.summary and "did you mean" in gate.summary


@pytest.mark.every_store
def test_the_same_delivery_twice_is_one_review(house: House) -> None:
    """GitHub delivers again under the same GUID; nothing is computed or posted again."""
    _, pull = house.propose(DESTROY)
    delivery = next(one for one in house.github.deliveries if one.event == "pull_request")
    before = len(house.server.app.store.records("acme/shop", pull=pull.number))
    calls = len(house.github.requests)
    house.github.redeliver(delivery)
    house.settle()
    assert len(house.server.app.store.records("acme/shop", pull=pull.number)) == before
    assert len(house.github.requests) == calls


def test_retargeting_looks_again_under_the_other_branchs_name(house: House) -> None:
    """Green for a branch of its own, then retargeted to main: main's gate has another name and is red."""
    house.repo.commit("weak", {".github/interlock.yml": "version: 1\nmode: observe\n"}, "Weak", author="robin")
    sha, pull = house.propose(DESTROY, base="weak")
    assert house.verdict(sha, "interlock: weak") == "success" and house.gate(sha) is None
    house.repo.edit(pull, by="robin", base="main")
    house.settle()
    assert house.verdict(sha) == "failure"


def test_two_pull_requests_with_one_head_share_the_worse_verdict(house: House) -> None:
    """The same commit is proposed twice; neither turns the other's red gate green."""
    sha, _ = house.propose(DESTROY, "one")
    house.repo.push("two", sha, "robin")
    house.repo.open_pull("two", "main", "Again", "", "robin")
    house.settle()
    assert house.verdict(sha) == "failure"


def test_a_closed_pull_request_is_left_alone(house: House) -> None:
    """Closing posts nothing."""
    sha, pull = house.propose(DESTROY)
    before = len(house.repo.check_runs(sha))
    house.repo.close(pull, "robin")
    house.settle()
    assert len(house.repo.check_runs(sha)) == before


def test_a_branch_that_is_gone_makes_no_noise(house: House) -> None:
    """The head branch is deleted while the pull request is closed; the work ends."""
    _, pull = house.propose(DESTROY)
    house.repo.close(pull, "robin")
    house.repo.push("work", None, "robin")
    house.settle()
    assert house.server.app.store.dead_letters() == []


def test_a_forced_push_is_judged_anew(house: House) -> None:
    """The head is replaced; the new head has its own verdict."""
    first, _ = house.propose(DESTROY)
    second = house.repo.commit("work", {"README.md": "# y\n", "infra/prod/main.tf": DATABASE + TOPIC}, "Other", author="robin", amend=True)
    house.settle()
    assert (house.verdict(first), house.verdict(second)) == ("failure", "success")


def test_a_delivery_about_an_unknown_repository_leads_nowhere(house: House) -> None:
    """A signed delivery speaks of a repository the App is not installed on: nothing is posted, nothing is left behind."""
    for name, number in (("acme/unknown", 1), ("acme/shop", 999)):
        payload = {
            "action": "opened",
            "repository": {"id": 1, "full_name": name},
            "installation": {"id": house.installation.id},
            "pull_request": {"number": number},
        }
        body = json.dumps(payload).encode()
        signature = "sha256=" + hmac.new(house.app.webhook_secret.encode(), body, "sha256").hexdigest()
        headers = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": f"g-{number}", "X-Hub-Signature-256": signature}
        assert httpx.post(f"{house.server.url}/webhook", content=body, headers=headers).status_code == 202
    house.settle()
    assert house.server.app.store.dead_letters() == []
    assert house.server.app.store.waiting()["waiting"] == 0


def test_an_empty_pull_request_passes(house: House) -> None:
    """A pull request whose commit changes no file has nothing to stop."""
    sha, _ = house.propose({})
    assert house.verdict(sha) == "success"


@pytest.mark.every_store
def test_recheck_by_a_click_and_by_a_command(house: House) -> None:
    """“Re-run”, the button and `/interlock recheck` look again; the reaction acknowledges the command."""
    sha, pull = house.propose(DESTROY)
    for act in (
        lambda: house.repo.rerequest(house.gate(sha), "robin"),
        lambda: house.repo.press(house.gate(sha), "recheck", "robin"),
        lambda: house.repo.comment(pull, "eve", "/interlock recheck"),
    ):
        before = len(house.server.app.store.records("acme/shop", pull=pull.number))
        act()
        house.settle()
        assert len(house.server.app.store.records("acme/shop", pull=pull.number)) == before + 1
    comment = next(one for one in house.repo.comments(pull) if one.body == "/interlock recheck")
    assert [reaction.content for reaction in comment.reactions] == ["eyes"]


def test_help_and_explain_answer_once(house: House) -> None:
    """`/interlock help` lists the commands; `/interlock explain` shows the sum, and an effect with its rule."""
    _, pull = house.propose(DESTROY)
    house.repo.comment(pull, "eve", "/interlock help")
    house.repo.comment(pull, "eve", "/interlock explain")
    report = json.loads(house.server.app.store.records("acme/shop", pull=pull.number)[0].report)
    house.repo.comment(pull, "eve", f"/interlock explain {report['effects'][0]['id']}")
    house.settle()
    answers = [one.body for one in house.repo.comments(pull) if one.user.login == "interlock[bot]"][1:]
    assert len(answers) == 3
    assert any("/interlock recheck" in text for text in answers) and any("| **score** |" in text for text in answers)
    assert any("What makes it safe" in text for text in answers)


@pytest.mark.parametrize(
    "body",
    [
        "> /interlock recheck",
        "```\n/interlock recheck\n```",
        "please /interlock recheck",
        "/interlock recheck\nand more",
        "<!-- /interlock recheck -->",
        "/interlock\u200b recheck",
        "/interlockrecheck",
        " /interlock recheck",
    ],
)
def test_what_is_not_a_command_is_not_obeyed(house: House, body: str) -> None:
    """Quotes, code, hidden text and anything beside the one line make a comment no command."""
    _, pull = house.propose(DESTROY)
    calls = len(house.github.calls("POST", "reactions"))
    house.repo.comment(pull, "robin", body)
    house.settle()
    assert len(house.github.calls("POST", "reactions")) == calls


def test_an_unknown_command_gets_the_nearest_one(house: House) -> None:
    """A misspelled command is answered with the one that was meant."""
    _, pull = house.propose(DESTROY)
    house.repo.comment(pull, "robin", "/interlock rechek")
    house.settle()
    assert any("/interlock recheck" in one.body for one in house.repo.comments(pull) if one.user.login == "interlock[bot]")


@pytest.mark.bypass("BP-79")
def test_an_outsider_is_refused(house: House) -> None:
    """Someone who may not read the repository commands nothing."""
    _, pull = house.propose(DESTROY)
    before = len(house.server.app.store.records("acme/shop", pull=pull.number))
    house.repo.comment(pull, "mallory", "/interlock recheck")
    house.settle()
    assert len(house.server.app.store.records("acme/shop", pull=pull.number)) == before


@pytest.mark.every_store
def test_evidence_that_arrives_later_decides_anew(house: House) -> None:
    """A workflow finishes: the verdict is decided again, and the assessment is not made again."""
    sha, pull = house.propose(DESTROY)
    house.repo.run_workflow(".github/workflows/ci.yml", "pull_request", sha, jobs=["test"], head_branch="work")
    house.settle()
    records = house.server.app.store.records("acme/shop", pull=pull.number)
    assert len(records) >= 2 and {record.head for record in records} == {sha}


def test_an_ordinary_review_needs_at_most_fifteen_requests(house: House) -> None:
    """An installation has 5,000 requests an hour; an ordinary review takes few of them."""
    before = len(house.github.requests)
    house.propose({"README.md": "# x\n"})
    mine = [one for one in house.github.requests[before:] if not one.path.endswith((".git/info/refs", "git-upload-pack"))]
    assert len(mine) <= 15, [(one.method, one.path) for one in mine]


@pytest.mark.every_store
def test_a_recorded_review_replays_to_the_same(house: House) -> None:
    """Every verdict can be computed again from what was stored with it."""
    _, pull = house.propose(DESTROY, "claude/tidy", "Tidy" + AGENT)
    record = house.server.app.store.records("acme/shop", pull=pull.number)[0]
    answer = replay_review(house.server.app.settings.data, record.id, house.server.app.settings.database_url)
    assert answer.same and "from the two trees up" in answer.text


FAULTS = sorted({*ANSWERS, *SPECIAL} - {"secondary-limit-bare", "retry-after-403", "retry-after-429"})


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.bypass("BP-73")
def test_a_fault_of_github_never_gives_a_green_gate(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call fails once in whatever way, the gate of a dangerous head is never green; and once the fault is over it is red."""
    monkeypatch.setattr("bot.github.client.TIMEOUT", httpx.Timeout(0.5))
    house = build(tmp_path / "data")
    try:
        for number, path in enumerate(("*/pulls/*", "*/check-runs", "*/access_tokens", "*/rules/branches/*"), start=1):
            house.github.fault("*", path, kind)
            sha, _ = house.propose(DESTROY, f"work-{number}")
            assert house.verdict(sha) == "failure", path
    finally:
        demolish(house)


def test_a_secondary_limit_is_waited_for(house: House) -> None:
    """GitHub asks for patience without saying how much: nothing is shown as green meanwhile."""
    house.github.fault("*", "*/rules/branches/*", "secondary-limit-bare")
    sha = house.repo.commit("work", DESTROY, "Change", author="robin")
    house.repo.open_pull("work", "main", "Change", "", "robin")
    house.github.settle()
    with contextlib.suppress(TimeoutError):
        house.server.settle(3)
    assert house.verdict(sha) != "success"
