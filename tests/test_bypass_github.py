"""Ways round the gate through GitHub: policy, evidence, time, commands. Each test plays one end to end and sees the gate hold."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bot.commands import parse
from bot.evidence.checks import only_file, same_workflow
from tests.bypass import DROP
from tests.changes import change_of
from tests.house import AGENT, DATABASE, ENFORCE, FILES, GATE, RISK, TOPIC, House, build, demolish

CI, TEST = ".github/workflows/ci.yml", "test"
WORKFLOW = (
    "on: pull_request\npermissions: {contents: read}\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n"
    "      - uses: ./.github/actions/test\n      - run: ./scripts/test.sh\n      - run: make test\n"
)
PROVEN = (
    ENFORCE
    + f"evidence: {{check-required: {{app: github-actions, workflow: {CI}, check: {TEST}}}}}\n"
    + "requirements: {resource.destroyed: [check-required], data.destroyed: [check-required]}\n"
)
FILES_OF_EVIDENCE = {
    CI: WORKFLOW,
    ".github/actions/test/action.yml": "runs: {using: composite, steps: [{run: ./run.sh, shell: bash}]}\n",
    "scripts/test.sh": "pytest\n",
    "Makefile": "test:\n\tpytest\n",
}
DESTROY: dict[str, str | None] = {"infra/prod/main.tf": TOPIC}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all attacks of this module; its policy takes the check `test`, forced on main, as proof."""
    made = build(tmp_path_factory.mktemp("house"), {**FILES, **FILES_OF_EVIDENCE, ".github/interlock.yml": PROVEN})
    made.repo.require_check(TEST, made.github.actions)
    yield made
    demolish(made)


def attack(house: House, files: dict[str, str | None] | None = None, **more: Any) -> tuple[str, Any]:
    """Someone proposes to destroy the database (and more), on a branch of its own."""
    return house.propose(
        {**DESTROY, **(files or {}), f"notes/{next(NUMBERS)}.txt": "x\n"}, more.pop("branch", f"work-{next(NUMBERS)}"), **more
    )


def run(house: House, sha: str, **more: Any) -> Any:
    """A run of the workflow that the policy names."""
    made = house.repo.run_workflow(more.pop("path", CI), more.pop("event", "pull_request"), sha, **{"jobs": [TEST], **more})
    house.settle()
    return made


def close(house: House, pull: Any) -> None:
    """Leave no open pull request behind."""
    if pull.state == "open":
        house.repo.close(pull, "robin")
        house.settle()


def deliver(house: House, event: str, body: dict[str, Any], guid: str) -> int:
    """A signed delivery, as whoever holds a captured body could send it again."""
    text = json.dumps(body).encode()
    signature = hmac.new(house.app.webhook_secret.encode(), text, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(urlsplit(house.server.url).netloc, timeout=20)
    headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": guid, "X-Hub-Signature-256": f"sha256={signature}"}
    connection.request("POST", "/webhook", text, headers)
    status = connection.getresponse().status
    connection.close()
    house.settle()
    return status


# A. Policy and trusted inputs


def test_bp_01_a_pull_request_cannot_loosen_the_policy_it_is_judged_by(house: House) -> None:
    """The policy that exempts everything comes with the change: the old one counts, and the change of it is told."""
    sha, _ = attack(house, {".github/interlock.yml": "version: 1\nmode: observe\n"})
    gate = house.gate(sha)
    assert gate.conclusion == "failure" and "gate/policy-loosened" in gate.summary


WRONG: dict[str, str | None] = {
    "deleted": None,
    "emptied": "",
    "not YAML": "mode: [",
    "two keys": "version: 1\nmode: enforce\nmode: observe\n",
    "too large": ENFORCE + "#" * (300 << 10),
    "unknown key": ENFORCE + "modus: observe\n",
}


@pytest.mark.parametrize("kind", WRONG)
def test_bp_02_a_policy_that_is_gone_or_wrong_is_enforced(house: House, kind: str) -> None:
    """A broken policy on the base branch relaxes nothing."""
    base = f"base-{next(NUMBERS)}"
    house.repo.commit(base, {"x.txt": "x\n"}, "Base", author="robin")
    house.propose({"README.md": f"# {base}\n"}, f"first-{base}", base=base)
    house.repo.commit(base, {".github/interlock.yml": WRONG[kind]}, "Break", author="robin")
    sha, _ = attack(house, base=base)
    assert house.verdict(sha, f"interlock: {base}") == "failure"


def test_bp_03_retargeting_carries_no_green_along(house: House) -> None:
    """Green on a branch with a weak policy, then retargeted to main: main's gate has its own name and is red."""
    weak = f"weak-{next(NUMBERS)}"
    house.repo.commit(weak, {".github/interlock.yml": "version: 1\nmode: observe\n"}, "Weak", author="robin")
    sha, pull = attack(house, base=weak)
    assert house.verdict(sha, f"interlock: {weak}") == "success" and house.gate(sha) is None
    house.repo.edit(pull, by="robin", base="main")
    house.settle()
    assert house.verdict(sha) == "failure"


def test_bp_04_one_commit_in_two_pull_requests_has_the_worse_verdict(house: House) -> None:
    """The same head is proposed to a weak branch and to main: each has a gate of its own."""
    weak = f"weak-{next(NUMBERS)}"
    house.repo.commit(weak, {".github/interlock.yml": "version: 1\nmode: observe\n"}, "Weak", author="robin")
    sha, _ = attack(house, base=weak)
    other = f"again-{next(NUMBERS)}"
    house.repo.push(other, sha, "robin")
    house.repo.open_pull(other, "main", "Again", "", "robin")
    house.settle()
    assert house.verdict(sha, f"interlock: {weak}") == "success" and house.verdict(sha) == "failure"


def test_bp_05_a_second_owners_file_is_told(house: House) -> None:
    """A CODEOWNERS in `.github/` shadows the one that counted; that is an effect."""
    base = f"owned-{next(NUMBERS)}"
    house.repo.commit(base, {"CODEOWNERS": "* @acme/sre\n"}, "Owners", author="robin")
    sha, _ = house.propose({".github/CODEOWNERS": "* @robin\n"}, f"shadow-{base}", base=base)
    gate = house.gate(sha, f"interlock: {base}")
    assert gate.conclusion == "failure" and "repository-rules/owners" in gate.summary


@pytest.mark.parametrize("pragma", ["# interlock:ignore", "# nosec", "# gate:ignore", "# checkov:skip=CKV_1:fine", "# tfsec:ignore:*"])
def test_bp_06_a_waiver_in_the_change_waives_nothing(house: House, pragma: str) -> None:
    """Words beside the change that ask to be let through are only words."""
    sha, _ = attack(house, {"infra/prod/main.tf": f"{pragma}\n{TOPIC}"})
    assert house.verdict(sha) == "failure"


def test_bp_07_a_forged_author_is_no_other_account(house: House) -> None:
    """Commits by "dependabot[bot]" from a person's account buy nothing where automation is exempt."""
    base = f"assisted-{next(NUMBERS)}"
    house.repo.commit(base, {".github/interlock.yml": ENFORCE + "applies_to: ai-assisted\n"}, "Policy", author="robin")
    branch = f"dependabot/{next(NUMBERS)}"
    sha = house.repo.commit(
        branch, DESTROY, "Bump x", author="dependabot[bot]", email="49699333+dependabot[bot]@users.noreply.github.com", start=base
    )
    house.repo.open_pull(branch, base, "Bump x", "", "robin")
    house.settle()
    assert house.verdict(sha, f"interlock: {base}") == "failure"


def test_bp_08_hiding_the_agent_buys_nothing(house: House) -> None:
    """A change that says an agent wrote it and one that says nothing are judged alike."""
    base = f"assisted-{next(NUMBERS)}"
    house.repo.commit(base, {".github/interlock.yml": ENFORCE + "applies_to: ai-assisted\n"}, "Policy", author="robin")
    said, pull = attack(house, base=base, message="Tidy" + AGENT, body="Written by Claude Code")
    house.repo.edit(pull, by="robin", body="Written by hand")
    silent, _ = attack(house, base=base)
    house.settle()
    assert house.verdict(said, f"interlock: {base}") == house.verdict(silent, f"interlock: {base}") == "failure"


@pytest.mark.parametrize(
    ("title", "branch"), [("docs: typo", "docs/typo"), ("hotfix: now", "hotfix/now"), ("[skip interlock] x", "skip/x")]
)
def test_bp_09_no_title_or_branch_buys_an_exemption(house: House, title: str, branch: str) -> None:
    """What a change is called says nothing of what it does; nor does a label."""
    sha, pull = attack(house, title=title, branch=f"{branch}-{next(NUMBERS)}")
    house.repo.label(pull, "interlock: low", "robin")
    house.repo.label(pull, "safe", "robin")
    house.settle()
    assert house.verdict(sha) == "failure"


# B. Evidence of safeguards


def test_evidence_that_is_what_it_says_turns_the_gate_green(house: House) -> None:
    """The named job of the named workflow, unchanged, on this head, forced by the branch: proof."""
    sha, pull = attack(house)
    run(house, sha)
    assert house.verdict(sha) == "success"
    close(house, pull)


def test_bp_10_a_job_of_the_same_name_in_another_workflow_is_no_proof(house: House) -> None:
    """The change brings a workflow with a job of the right name."""
    sha, _ = attack(house, {".github/workflows/mine.yml": WORKFLOW})
    run(house, sha, path=".github/workflows/mine.yml")
    assert house.verdict(sha) == "failure"


def test_bp_11_a_check_posted_with_a_workflows_token_is_no_proof(house: House) -> None:
    """Any workflow may post a check run of any name under the same App."""
    sha, _ = attack(house)
    run(house, sha, jobs={"other": "success"})
    house.repo.check(house.github.actions, sha, TEST)
    house.settle()
    assert house.verdict(sha) == "failure"


def test_bp_12_a_commit_status_is_no_proof(house: House) -> None:
    """Statuses carry names alone, and anyone who may push can set one."""
    sha, pull = attack(house)
    token = house.github.workflow_token(house.repo, {"statuses": "write"})
    for context in (TEST, GATE):
        answer = httpx.post(
            f"{house.github.url}/repos/acme/shop/statuses/{sha}",
            json={"state": "success", "context": context},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 201
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(sha) == "failure"


@pytest.mark.parametrize("conclusion", ["failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", None])
def test_bp_13_only_success_is_proof(house: House, conclusion: str | None) -> None:
    """Skipped and neutral count for GitHub; they prove nothing."""
    sha, _ = attack(house)
    run(house, sha, jobs={TEST: conclusion}, conclusion="success")
    assert house.verdict(sha) == "failure"


NEUTERED = [
    WORKFLOW.replace("    steps:", "    if: false\n    steps:"),
    WORKFLOW.replace("run: make test", "run: make test || true"),
    WORKFLOW.replace("run: make test", "run: echo ok"),
    WORKFLOW.replace("    steps:", "    continue-on-error: true\n    steps:"),
    WORKFLOW.replace("    steps:", "    timeout-minutes: 0\n    steps:"),
    WORKFLOW.replace("run: make test", "run: make test\n        shell: 'true {0}'"),
    WORKFLOW.replace("run: make test", "run: set +e; make test; exit 0"),
    WORKFLOW.replace("on: pull_request", "on: {pull_request: {paths: [docs/**]}}"),
]


@pytest.mark.parametrize("text", NEUTERED, ids=range(len(NEUTERED)))
def test_bp_14_a_neutered_job_is_not_the_job_of_the_base_branch(text: str) -> None:
    """However a job is made unable to fail, its workflow is another file than the base branch's."""
    assert same_workflow(change_of(FILES_OF_EVIDENCE, FILES_OF_EVIDENCE), CI) is True
    assert same_workflow(change_of(FILES_OF_EVIDENCE, {**FILES_OF_EVIDENCE, CI: text}), CI) is False


def test_bp_14_a_neutered_job_that_succeeds_proves_nothing(house: House) -> None:
    """The change makes the job unable to fail, and it succeeds."""
    sha, _ = attack(house, {CI: NEUTERED[1]})
    run(house, sha)
    assert house.verdict(sha) == "failure"


@pytest.mark.parametrize("path", [".github/actions/test/action.yml", "scripts/test.sh", "Makefile"])
def test_bp_15_what_the_job_calls_belongs_to_it(house: House, path: str) -> None:
    """The workflow is the same, but the action, script or Makefile that it calls is not: the evidence is self-made."""
    sha, _ = attack(house, {path: "true\n"})
    run(house, sha)
    gate = house.gate(sha)
    assert gate.conclusion == "failure" and "changed by this pull request" in gate.summary


def test_bp_16_a_workflow_that_never_runs_proves_nothing(house: House) -> None:
    """`[skip ci]` or a filter of paths: no run is no proof, now and later."""
    sha, pull = attack(house, message="Tidy [skip ci]")
    assert house.verdict(sha) == "failure"
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(sha) == "failure"


@pytest.mark.parametrize("jobs", [[], ["test (1)"], ["test (1)", "test (2)"]])
def test_bp_17_a_matrix_without_the_named_job_proves_nothing(house: House, jobs: list[str]) -> None:
    """An empty or smaller matrix has not the job that the policy names."""
    sha, _ = attack(house)
    run(house, sha, jobs=jobs)
    assert house.verdict(sha) == "failure"


def test_bp_18_stale_evidence_is_none(house: House) -> None:
    """Green for the head before, then pushed: the new head has no proof. A later attempt that fails takes the proof back."""
    branch = f"stale-{next(NUMBERS)}"
    first, pull = attack(house, branch=branch)
    made = run(house, first)
    assert house.verdict(first) == "success"
    second = house.repo.commit(branch, {"more.txt": "x\n"}, "More", author="robin")
    house.settle()
    assert house.verdict(second) == "failure"
    house.repo.push(branch, first, "robin")
    house.repo.rerun_workflow(made, "failure")
    house.settle()
    assert house.verdict(first) == "failure"
    close(house, pull)


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment", "repository_dispatch"])
def test_bp_18_a_run_that_did_not_look_at_the_head_is_no_proof(house: House, event: str) -> None:
    """Under these events another code runs than the head's."""
    sha, _ = attack(house)
    run(house, sha, event=event)
    assert house.verdict(sha) == "failure"


def test_bp_18_a_run_in_a_fork_is_no_proof(house: House) -> None:
    """A fork's workflow run carries the same commit and the same names."""
    sha, _ = attack(house)
    fork = house.github.repository("mallory", "shop", fork_of=house.repo)
    run(house, sha, head_repository=fork)
    assert house.verdict(sha) == "failure"


def test_bp_19_a_list_too_long_to_read_is_no_proof(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of check runs: a part of the list is never taken for the whole."""
    from bot.demo.standin.areas import checks as area

    sha, pull = attack(house)
    world = house.github.world
    actions = house.github.actions
    with world.lock:
        for number in range(120):
            fields = {"name": f"flood {number}", "head_sha": sha, "status": "completed", "conclusion": "success"}
            area.record(world, house.repo.state, actions, fields)
    monkeypatch.setattr("bot.github.client.PAGES", 1)
    run(house, sha)
    assert house.verdict(sha) == "failure"
    monkeypatch.undo()
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(sha) == "success"
    close(house, pull)


@pytest.mark.parametrize("order", [("success", "failure"), ("failure", "success")])
def test_bp_20_of_several_runs_the_worst_counts(house: House, order: tuple[str, str]) -> None:
    """A success beside a failure of the same name is a failure, in whichever order."""
    sha, _ = attack(house)
    for conclusion in order:
        run(house, sha, conclusion=conclusion)
    assert house.verdict(sha) == "failure"


def test_bp_21_a_poisoned_artifact_is_no_evidence() -> None:
    """Zip bombs, several files, paths out of the folder, other kinds and bad text are refused in memory; nothing is unpacked to disk."""
    from bot.demo.standin.repo import archive
    from checks.model import Unreadable
    from checks.plans import read_digest

    assert only_file(archive({"a.json": "{}"})) == "{}"
    for content in (
        archive({"a.json": "0" * (5 << 20)}),
        archive({"a.json": "{}", "b.json": "{}"}),
        archive({"a.xml": "<!DOCTYPE x>"}),
        archive({"a.json": b"\xff\xfe"}),
        archive({}),
        b"PK no zip",
    ):
        assert only_file(content) is None
    for text in ("[" * 100_000, '{"schema": "interlock/plan/1"}', "{}", "no JSON", '{"a": 1, "a": 2}'):
        with pytest.raises(Unreadable):
            read_digest(text.encode())


def test_bp_22_what_a_check_says_of_itself_is_not_read(house: House) -> None:
    """Title, text and address of a check run are its author's words."""
    sha, _ = attack(house)
    output = {"title": "Everything passed", "summary": "conclusion: success", "text": "state: success"}
    house.repo.check(house.github.actions, sha, TEST, "failure", output=output, details_url="https://example.com/success")
    house.settle()
    assert house.verdict(sha) == "failure"


def test_bp_23_a_look_alike_of_the_gate_is_another_check(house: House) -> None:
    """Another App posts a success under the gate's name: ours stays red, and a rule pinned to our App is not satisfied."""
    sha, pull = attack(house)
    ruleset = house.repo.require_check(GATE, house.app)
    other = house.github.app("other", permissions={"checks": "write"}, events=())
    house.repo.check(other, sha, GATE)
    house.settle()
    assert house.verdict(sha) == "failure" and any(GATE in line for line in house.repo.refusals(pull))
    house.repo.rerequest(house.gate(sha), "robin")
    house.settle()
    assert house.verdict(sha) == "failure"
    house.repo.remove_ruleset(ruleset)


# E. Time, order, state


@pytest.mark.parametrize("place", ["gather", "_publish"])
def test_bp_67_a_push_while_it_is_looked_at_gives_no_green(house: House, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """The head moves between the look and the verdict: what was not looked at is never green."""
    import asyncio

    import bot.pipeline

    branch, pushed = f"race-{next(NUMBERS)}", []
    true = getattr(bot.pipeline, place)

    async def racing(*words: Any, **more: Any) -> Any:
        if not pushed:
            pushed.append("")
            pushed[0] = await asyncio.to_thread(house.repo.commit, branch, DESTROY, "Evil", author="robin")
        return await true(*words, **more)

    monkeypatch.setattr(bot.pipeline, place, racing)
    sha = house.repo.commit(branch, {"README.md": f"# {branch}\n"}, "Words", author="robin")
    house.repo.open_pull(branch, "main", "Words", "", "robin")
    house.settle()
    assert pushed and house.verdict(pushed[0]) == "failure"
    assert house.verdict(sha) in (None, "success")


def test_bp_69_a_merge_queue_waits_for_the_gate(house: House) -> None:
    """What the queue would merge has a commit of its own, on which nothing is green unless it was looked at."""
    sha, pull = attack(house)
    group = house.repo.enqueue(pull, "robin")
    house.settle()
    assert house.verdict(group.head_sha) != "success" and house.verdict(sha) == "failure"
    house.repo.dequeue(group, "dequeued")
    house.settle()


def test_bp_70_drafts_and_reopened_pull_requests_are_judged_alike(house: House) -> None:
    """Draft, ready, closed and reopened: the gate is red throughout."""
    sha, pull = attack(house, draft=True)
    assert house.verdict(sha) == "failure"
    for act in (lambda: house.repo.ready(pull), lambda: house.repo.close(pull, "robin"), lambda: house.repo.reopen(pull, "robin")):
        act()
        house.settle()
        assert house.verdict(sha) == "failure"


def test_bp_71_a_delivery_that_never_comes_gives_no_green(house: House) -> None:
    """While Interlock hears nothing, the required check is absent and the merge is refused."""
    ruleset, url = house.repo.require_check(GATE, house.app), house.app.webhook_url
    house.app.webhook_url = None
    sha, pull = attack(house)
    assert house.gate(sha) is None
    with pytest.raises(PermissionError, match="interlock: main"):
        house.repo.merge(pull, "sam")
    house.app.webhook_url = url
    house.repo.remove_ruleset(ruleset)
    house.repo.comment(pull, "robin", "/interlock recheck")
    house.settle()
    assert house.verdict(sha) == "failure"


def test_bp_72_order_and_repetition_of_events_change_nothing(house: House) -> None:
    """Deliveries again and backwards: the same end, and one comment."""
    sha, pull = attack(house)
    told = [one for one in house.github.deliveries if one.event in ("pull_request", "check_run", "issue_comment")][-6:]
    for delivery in [*reversed(told), *told]:
        house.github.redeliver(delivery)
    house.settle()
    assert house.verdict(sha) == "failure"
    assert len([one for one in house.repo.comments(pull) if one.user.login == "interlock[bot]"]) == 1


# F. Commands, output, network, tenancy

VECTORS = [
    "> /interlock recheck", "```\n/interlock recheck\n```", "<!-- /interlock recheck -->", "<details>/interlock recheck</details>",
    "[x](/interlock recheck)", "please /interlock recheck", "/interlock recheck\nand more", "\n/interlock recheck", " /interlock recheck",
    "\t/interlock recheck", "/interlock\u200b recheck", "/interlock\u00a0recheck", "/interlockrecheck", "/Interlock recheck", "/interlock recheck;x",
    "/interlock --recheck", "//interlock recheck", "`/interlock recheck`", "* /interlock recheck", "    /interlock recheck", "/interlock\nrecheck",
    "/interlock recheck\r", "/interlock recheck\x00", "\ufeff/interlock recheck",
]  # fmt: skip


@pytest.mark.parametrize("body", VECTORS)
def test_bp_77_only_a_whole_comment_is_a_command(body: str) -> None:
    """Quotes, code, hidden text, other lines and odd characters make a comment no command."""
    assert parse("/interlock recheck") is not None
    spoken = parse(body)
    assert spoken is None or spoken.name != "recheck" or spoken.words


def test_bp_78_an_edited_comment_is_no_command(house: House) -> None:
    """What was said first is what counts; whoever can edit a comment can put words into another's mouth."""
    _, pull = attack(house)
    before = len(house.server.app.store.records("acme/shop", pull=pull.number))
    comment = house.repo.comment(pull, "sam", "looks fine")
    house.repo.edit_comment(comment, "robin", "/interlock recheck")
    house.settle()
    assert len(house.server.app.store.records("acme/shop", pull=pull.number)) == before and comment.reactions == []


def test_bp_80_a_flood_of_commands_gets_few_answers(house: House) -> None:
    """More commands than a person would give get no answer, and hold up nobody."""
    _, pull = attack(house)
    for _ in range(12):
        house.repo.comment(pull, "eve", "/interlock help")
    house.settle()
    answers = [one for one in house.repo.comments(pull) if one.user.login == "interlock[bot]" and "what it does" in one.body]
    assert 1 <= len(answers) <= 6
    assert parse("/interlock " + "a" * 10_000) is None


def test_bp_82_more_than_github_takes_is_cut_and_still_red(house: House) -> None:
    """Hundreds of effects: the verdict is posted, red, within GitHub's limits."""
    tables = [f"a_very_long_name_of_a_table_number_{number}" for number in range(300)]
    made = {f"db/migrations/{number:04}_x.sql": f"DROP TABLE {name};\n" for number, name in enumerate(tables)}
    sha, _ = house.propose({**made}, f"many-{next(NUMBERS)}")
    gate = house.gate(sha)
    assert gate.conclusion == "failure" and len(gate.summary) <= 65_535 and "more" in gate.summary


def test_bp_85_a_replayed_body_changes_nothing(house: House) -> None:
    """A captured body under new GUIDs, and under another event's name, is only a hint to look again."""
    sha, pull = attack(house)
    body = {
        "action": "closed",
        "number": pull.number,
        "pull_request": {"number": pull.number, "state": "closed", "head": {"sha": "0" * 40}, "base": {"ref": "weak"}},
        "repository": {"id": house.repo.state.id, "full_name": "acme/shop"},
        "installation": {"id": house.installation.id},
    }
    for number, event in enumerate(("pull_request", "pull_request", "check_run", "push", "issue_comment", "installation")):
        assert deliver(house, event, body, f"replay-{number}-{next(NUMBERS)}") == 202
    assert house.verdict(sha) == "failure" and len(house.repo.comments(pull)) == 1


@pytest.mark.parametrize(("installation", "name"), [(999_999, "acme/shop"), (None, "acme/other"), (None, "../shop"), (0, "acme/shop")])
def test_bp_86_another_installation_or_repository_gets_nothing(house: House, installation: int | None, name: str) -> None:
    """A body that names an installation or a repository that do not belong together posts nothing."""
    before = len(house.github.calls("POST", "check-runs"))
    body = {
        "action": "opened",
        "pull_request": {"number": 1, "state": "open"},
        "repository": {"id": 1, "full_name": name},
        "installation": {"id": house.installation.id if installation is None else installation},
    }
    text = json.dumps(body).encode()
    signature = hmac.new(house.app.webhook_secret.encode(), text, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(urlsplit(house.server.url).netloc, timeout=20)
    guid = f"confused-{next(NUMBERS)}"
    connection.request(
        "POST",
        "/webhook",
        text,
        {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": guid, "X-Hub-Signature-256": f"sha256={signature}"},
    )
    assert connection.getresponse().status == 202
    connection.close()
    time.sleep(1.0)
    assert len(house.github.calls("POST", "check-runs")) == before
    with house.server.app.store._transaction() as db:
        db.execute("delete from work where key = ?", (f"{name}/pull/1",))


def test_bp_87_each_repository_has_a_mirror_of_its_own(house: House) -> None:
    """Mirrors are kept by the repository's number, and share no objects."""
    mirrors = house.server.app.settings.data / "mirrors"
    found = [path for path in mirrors.iterdir() if path.is_dir()]
    assert found and all(re.match(r"\d+", path.name) for path in found)
    assert not list(mirrors.rglob("alternates"))


def test_bp_88_no_address_of_a_payload_is_ever_opened(house: House) -> None:
    """A payload's addresses point at a listener of the attacker: nobody comes."""
    sha, pull = attack(house)
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(0.2)
        evil = f"http://127.0.0.1:{trap.getsockname()[1]}/x"
        names = ("clone_url", "git_url", "ssh_url", "url", "html_url", "hooks_url", "contents_url", "archive_url")
        repository = {"id": house.repo.state.id, "full_name": "acme/shop", **dict.fromkeys(names, evil)}
        body = {
            "action": "synchronize",
            "pull_request": {
                "number": pull.number,
                "state": "open",
                "url": evil,
                "diff_url": evil,
                "head": {"sha": sha, "repo": repository},
            },
            "repository": repository,
            "installation": {"id": house.installation.id},
        }
        assert deliver(house, "pull_request", body, f"ssrf-{next(NUMBERS)}") == 202
        with pytest.raises(TimeoutError):
            trap.accept()
    assert house.verdict(sha) == "failure"


# The suite itself

ROWS = [f"BP-{number:02}" for number in range(1, 102)]


def test_every_known_way_is_played_or_told() -> None:
    """Each way round the gate that is known has a test named after it, or stands in SECURITY.md with what to do about it."""
    here = Path(__file__).parent
    played = set()
    for path in here.glob("test_*.py"):
        text = path.read_text()
        played |= {f"BP-{number}" for number in re.findall(r"def test_bp_(\d{2,3})_", text)}
        played |= set(re.findall(r'mark\.bypass\("(BP-\d{2,3})"\)', text))
    told = dict(re.findall(r"^\| (BP-\d{2,3}) \| ([^\n]+)$", (here.parent / "SECURITY.md").read_text(), re.MULTILINE))
    assert [row for row in ROWS if row not in played and row not in told] == []
    assert all(line.count("|") == 2 and all(part.strip() for part in line.strip("| ").split("|")) for line in told.values()), told


def test_the_score_never_blocks(house: House) -> None:
    """The score's check is always a success, so that nobody makes it the gate by mistake and believes it."""
    sha, _ = attack(house)
    assert house.verdict(sha, RISK) == "success" and DROP and DATABASE
