"""Who wrote a change: exact identities and git's own trailers count, words and people's names never do."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from checks.attribution import attribute
from checks.attribution.matching import facts, spoken, tool_named, tool_of, trailers
from checks.model import Account, Attribution, Change, Commit, Identity, Level, Pull, Strength
from tests.changes import BASE, HEAD, change_of

ROBIN = Identity("Robin", "robin@example.com")


def change_with(*commits: Commit, pull: Pull | None = None, branch: str | None = None, before: dict[str, str] | None = None) -> Change:
    change = change_of(before or {}, {**(before or {}), "a.txt": "a"}, pull=pull)
    return replace(change, commits=commits, branch=branch or change.branch)


def commit(message: str = "Change", author: Identity = ROBIN, committer: Identity | None = None, note: str | None = None) -> Commit:
    return Commit(HEAD, author, committer or author, message, (BASE,), note)


def pull(login: str = "robin", number: int = 1, kind: str = "User", body: str = "", head: str = "topic", app: str | None = None) -> Pull:
    return Pull(7, "Change", body, Account(login, number, kind), "main", head, app=app)


def said(message: str, **given: object) -> Attribution:
    return attribute(change_with(commit(message, **given)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trailer", "agent"),
    [
        ("Co-Authored-By: Claude Opus 4.5 <noreply@anthropic.com>", "claude-code"),
        ("co-authored-by: CLAUDE <NoReply@Anthropic.com>", "claude-code"),
        ("Claude-Session: https://claude.ai/code/session_01ABC", "claude-code"),
        ("Co-authored-by: Copilot <223556219+Copilot@users.noreply.github.com>", "copilot"),
        ("Co-authored-by: Codex <noreply@openai.com>", "codex"),
        ("Co-authored-by: Cursor <cursoragent@cursor.com>", "cursor"),
        ("Made-with: Cursor", "cursor"),
        ("Amp-Thread-ID: https://ampcode.com/threads/T-1", "amp"),
        ("Replit-Commit-Author: Agent", "replit"),
        ("Co-authored-by: aider (gpt-5) <aider@aider.chat>", "aider"),
        ("Co-authored-by: Devin AI <158243242+devin-ai-integration[bot]@users.noreply.github.com>", "devin"),
        ("Co-authored-by: Robin <r@example.com> & Claude Sonnet 4.6 <noreply@anthropic.com>", "claude-code"),
        ("Co-authored-by: GPT-5.2 <gpt@example.com>", "codex"),
        ("Generated-by: Claude Code <noreply@anthropic.com>", "claude-code"),
    ],
)
def test_a_tools_own_trailer_makes_the_commit_the_agents(trailer: str, agent: str) -> None:
    """The address or link a tool itself writes into the trailer names it, whatever the case."""
    found = said(f"Fix the cart\n\nIt was empty.\n\n{trailer}\n")
    assert (found.level, found.agents) == (Level.AGENT, (agent,))


@pytest.mark.parametrize(
    "author",
    [
        "Claude <noreply@anthropic.com>",
        "copilot-swe-agent[bot] <198982749+Copilot@users.noreply.github.com>",
        "Cursor Agent <cursoragent@cursor.com>",
        "google-labs-jules[bot] <161369871+google-labs-jules[bot]@users.noreply.github.com>",
        "Robin (aider) <robin@example.com>",
        "claude[bot] <41898282+claude[bot]@users.noreply.github.com>",
    ],
)
def test_an_agents_own_identity_as_author(author: str) -> None:
    """Exact addresses, id and login together, and aider's suffix."""
    name, _, address = author.rstrip(">").rpartition(" <")
    assert said("Change", author=Identity(name, address)).level is Level.AGENT


@pytest.mark.parametrize(
    "message",
    [
        "Ask Claude about it\n\nCodex, Copilot and Cursor were no help. Generated with Claude Code.",
        "Move the cursor\n\nCo-authored-by: Devin Burnette <devin@example.com>",
        "Fix\n\nCo-authored-by: Claude Monet <claude@example.com>",
        "Fix\n\nCo-authored-by: Claude <claude@ayitey.me>",
        "Fix\n\nCo-authored-by: Jeffrey Cline <jeffrey@example.com>",
        "Fix\n\nCo-authored-by: Someone <someone@cline.bot>",
        "Fix\n\nCo-authored-by: Etraut <etraut@openai.com>",
        "Fix\n\nCo-authored-by: Claude <1234567+claude@users.noreply.github.com>",
        "Fix\n\nCo-authored-by: GPT-5 <1234567+gpt-5-fan@users.noreply.github.com>",
        "Fix\n\nAssisted-by: Devin Gould <devin@example.com>",
        "Fix\n\nAssisted-by: Claude Monet",
        "Fix\n\nGenerated-by: openapi-generator",
        "Fix\n\nReviewed-by: Claude <noreply@anthropic.com>",
        "Document trailers\n\n```\nCo-authored-by: Claude <noreply@anthropic.com>\n```\nas above",
        "Co-authored-by: Claude <noreply@anthropic.com>",
        "aider: the word alone",
        "Initial plan",
    ],
)
def test_people_words_quotes_and_single_weak_signals_are_no_evidence(message: str) -> None:
    """People called Claude, Devin and Cline, vendors' staff, prose, code and generators are not agents; a subject line is no trailer."""
    assert said(message).level is Level.NONE


@pytest.mark.parametrize(
    ("message", "agents"),
    [
        ("Fix\n\nAssisted-by: Claude:claude-opus-4-5 [coccinelle]", ("claude-code",)),
        ("Fix\n\nAssisted-by: generic LLM chatbot", ()),
        ("Fix\n\nAssisted-by: Copilot", ("copilot",)),
        ("Fix\n\nGenerated-by: ChatGPT 4o", ("codex",)),
        ("Fix\n\nAssisted-by: MyAgent:gpt-5.1", ("codex",)),
        ("Fix\n\nAssisted-by: Claude <noreply@anthropic.com>", ("claude-code",)),
        ("Fix\n\nCo-authored-by: Copilot <175728472+Copilot@users.noreply.github.com>", ("copilot",)),
        ("Fix\n\nCo-authored-by: Copilot <copilot@github.com>", ("copilot",)),
        ("Fix\n\nCo-authored-by: coderabbitai[bot] <136622811+coderabbitai[bot]@users.noreply.github.com>", ("coderabbit",)),
        (
            "Fix\n\nCo-authored-by: gemini-code-assist[bot] <176961590+gemini-code-assist[bot]@users.noreply.github.com>",
            ("gemini-code-assist",),
        ),
    ],
)
def test_conventions_and_accepted_suggestions_are_assistance(message: str, agents: tuple[str, ...]) -> None:
    """Kernel, Fedora, LLVM and Apache conventions, and review bots, say that a tool helped: never that it wrote the change."""
    found = said(message)
    assert (found.level, found.agents) == (Level.ASSISTED, agents)


def test_the_id_must_fit_the_login() -> None:
    """41898282 is the id of github-actions[bot] and claude-code-action uses it for claude[bot]: the login decides between them."""
    action = tool_of("41898282+github-actions[bot]@users.noreply.github.com")
    claude = tool_of("41898282+claude[bot]@users.noreply.github.com")
    assert action and action.level is Level.AUTOMATION
    assert claude and claude.name == "claude-code"
    assert tool_of("198982749+somebody@users.noreply.github.com") is None
    assert tool_of("1+copilot@users.noreply.github.com") is None
    assert tool_of("copilot@users.noreply.github.com") is None


def test_trailers_are_what_git_reads_and_a_squash_leaves_more() -> None:
    """Only the last paragraph is git's (all lines trailers, or a sign-off and a quarter of them); others count as left by a squash."""
    squashed = "Ship (#3)\n\n* one\n\nCo-authored-by: A <a@x.io>\n\n* two\n\nplain text\n"
    assert [(t.key, t.last) for t in trailers(squashed)] == [("co-authored-by", False)]
    assert [t.last for t in trailers("S\n\nprose\nmore\nFixes: 1\nSigned-off-by: A <a@x.io>\n")] == [True, True]
    assert [t.last for t in trailers("S\n\nprose\nFixes: 1\n")] == [False]
    assert trailers("Fixes: 1") == ()
    found = said("Ship (#3)\n\n* one\n\nCo-authored-by: Claude <noreply@anthropic.com>\n\n* two\n")
    assert found.level is Level.AGENT
    assert found.signals[0].signal == "squash-trailer" and found.signals[0].strength is Strength.MEDIUM


def test_markers_in_a_body_count_outside_code_quotes_and_comments() -> None:
    """The bracketed link is the tool's; the same text quoted, fenced, in inline code or in a template's comment is not."""
    marker = "🤖 Generated with [Claude Code](https://claude.com/claude-code)"
    assert attribute(change_with(commit(), pull=pull(body=f"Adds a cart.\n\n{marker}"))).agents == ("claude-code",)
    for body in (
        f"> {marker}",
        f"```\n{marker}\n```",
        f"<!-- {marker} -->",
        f"Strip `{marker}` please",
        "Generated with Claude Code",
        f"    {marker}",
    ):
        assert attribute(change_with(commit(), pull=pull(body=body))).level is Level.NONE, body
    assert spoken("a <!-- never closed") == "a "


def test_a_branch_needs_a_second_signal() -> None:
    """A branch named for a tool is weak: it counts beside another weak signal of the same tool, such as the repository's set-up for it."""
    assert attribute(change_with(commit(), branch="codex/fix-cart")).level is Level.NONE
    assert attribute(change_with(commit(), branch="cursor/fix-blink", before={"AGENTS.md": "x"})).level is Level.NONE
    both = attribute(change_with(commit(), branch="codex/fix-cart", before={"AGENTS.md": "x"}))
    assert (both.level, both.agents) == (Level.ASSISTED, ("codex",))
    plan = attribute(change_with(commit("Initial plan"), branch="copilot/fix-cart"))
    assert (plan.level, plan.agents) == (Level.ASSISTED, ("copilot",))
    assert attribute(change_with(commit(), branch="agent/fix")).signals == ()
    assert attribute(change_with(commit(), branch="my-copilot/fix")).signals == ()
    merge = Commit(HEAD, ROBIN, ROBIN, "Merge pull request #9 from acme/codex/fix-cart\n\nFix", (BASE, "c" * 40))
    assert attribute(change_with(merge, before={"AGENTS.md": "x"})).level is Level.ASSISTED


def test_who_opened_the_pull_request() -> None:
    """The account's id and login, or the App's slug, as GitHub states them; a person of the same name is a person."""
    assert attribute(change_with(commit(), pull=pull("Copilot", 198982749, "Bot"))).agents == ("copilot",)
    assert attribute(change_with(commit(), pull=pull("devin-ai-integration[bot]", 158243242, "Bot"))).agents == ("devin",)
    assert attribute(change_with(commit(), pull=pull("robin", app="copilot-swe-agent"))).agents == ("copilot",)
    assert attribute(change_with(commit(), pull=pull("Copilot", 5, "User"))).level is Level.NONE
    assert attribute(change_with(commit(), pull=pull("dependabot[bot]", 49699333, "Bot"))).level is Level.AUTOMATION


def test_automation_is_when_every_commit_is_a_robots() -> None:
    """Dependency and release robots are automation; one commit of a person makes it none, one of an agent makes it the agent's."""
    robot = commit(author=Identity("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com"))
    unknown = commit(author=Identity("acme-releaser[bot]", "77+acme-releaser[bot]@users.noreply.github.com"))
    assert attribute(change_with(robot, unknown)).level is Level.AUTOMATION
    assert attribute(change_with(robot, pull=pull("dependabot[bot]", 49699333, "Bot"))).level is Level.AUTOMATION
    assert attribute(change_with(robot, pull=pull("robin"))).level is Level.NONE, "a person may write any author into a commit"
    assert attribute(change_with(robot, pull=pull("acme-helper[bot]", 7, "Bot"))).level is Level.NONE, "an unknown App may be an agent"
    assert attribute(change_with(robot, pull=pull("github-actions[bot]", 41898282, "Bot"))).level is Level.NONE, (
        "a workflow may run an agent"
    )
    assert attribute(change_with(robot, pull=pull("dependabot[bot]", 5, "Bot"))).level is Level.NONE, "the id must fit the login"
    assert attribute(change_with(robot, commit())).level is Level.NONE
    assert attribute(change_with(robot, commit(author=Identity("Claude", "noreply@anthropic.com")))).level is Level.AGENT


def test_people_on_an_agents_commit_are_its_requesters() -> None:
    """The person an agent names as co-author asked for the work, so they are no independent reviewer; so is who drives it."""
    copilot = Identity("copilot-swe-agent[bot]", "198982749+Copilot@users.noreply.github.com")
    made = said("Fix\n\nCo-authored-by: Robin <12+robin@users.noreply.github.com>", author=copilot)
    assert made.requesters == ("robin",)
    assert said("Fix\n\nCo-authored-by: Claude <noreply@anthropic.com>").requesters == ("robin@example.com",)
    kiro = "This pull request was created by @kiro-agent on behalf of @robin 👻"
    assert "robin" in attribute(change_with(commit(), pull=pull(body=kiro))).requesters
    assert said("Fix\n\nCo-authored-by: Kim <kim@example.com>").requesters == ()


def test_notes_of_git_ai_count_where_they_attest_lines() -> None:
    """A session that wrote lines of the commit is evidence; one that wrote none is not, and broken notes are nothing."""
    metadata = {
        "schema_version": "authorship/3.0.0",
        "sessions": {"s_0123456789abcd": {"agent_id": {"tool": "cursor", "id": "1", "model": "m"}}},
    }
    attested = "src/a.py\n  s_0123456789abcd::t_1 1-9\n---\n" + json.dumps(metadata)
    assert said("Fix", note=attested).agents == ("cursor",)
    assert said("Fix", note="---\n" + json.dumps(metadata)).level is Level.NONE
    assert said("Fix", note="src/a.py\n---\n{").level is Level.NONE


def test_agent_trace_records_count_for_files_the_change_holds() -> None:
    """A new record that says `ai` for a changed file is evidence; one about another file, or one that already stood, is not."""

    def record(path: str, kind: str) -> str:
        conversations = [{"contributor": {"type": kind}, "ranges": [{"start_line": 1, "end_line": 2}]}]
        return json.dumps(
            {
                "version": "0.1.0",
                "id": "1",
                "timestamp": "t",
                "tool": {"name": "cursor"},
                "files": [{"path": path, "conversations": conversations}],
            }
        )

    trace = ".agent-trace/traces.jsonl"
    assert attribute(change_of({}, {"a.py": "1", trace: record("a.py", "ai")})).agents == ("cursor",)
    assert attribute(change_of({}, {"a.py": "1", trace: record("a.py", "mixed")})).level is Level.ASSISTED
    assert attribute(change_of({}, {"a.py": "1", trace: record("a.py", "human")})).level is Level.NONE
    assert attribute(change_of({}, {"a.py": "1", trace: record("b.py", "ai")})).level is Level.NONE
    old = record("a.py", "ai") + "\n"
    assert attribute(change_of({"a.py": "1", trace: old}, {"a.py": "2", trace: old + record("b.py", "ai")})).level is Level.NONE


def test_names_of_models_are_told_from_names_of_people() -> None:
    """A family with a version is a model; a first name, or a family with other words, is a person."""
    for name in ("GPT-5", "Claude Sonnet 4.5", "claude-opus-4-6", "Gemini 2.5 Pro", "DeepSeek-V3.2", "Claude Opus 4.6 (1M context)"):
        assert tool_named(name), name
    for name in ("Claude", "Devin", "Gemini", "Claude Debussy", "Jules", "Opus Dei 2", "Robin 5", "Claude B. 2nd"):
        assert tool_named(name) is None, name


def test_every_fact_has_a_source_and_no_address_is_claimed_twice() -> None:
    """The data file stays usable: each tool has its source, levels are known, and no identity belongs to two tools."""
    import tomllib
    from importlib import resources

    data = tomllib.loads(resources.files("checks.attribution").joinpath("signals.toml").read_text(encoding="utf-8"))
    for key in ("addresses", "accounts", "apps", "names"):
        values = [value.lower() for row in data["tool"] for value in row.get(key, ())]
        assert len(values) == len(set(values)), key
    assert all(row["source"] for row in data["tool"] + data["convention"])
    assert facts().version


def test_hostile_messages_take_no_time() -> None:
    """A megabyte of brackets, colons and comment openers is read in well under a second."""
    hostile = "S\n\n" + "<" * 200_000 + "Co-authored-by: " * 20_000 + "<!--" * 50_000 + "\n" * 50_000 + "`" * 50_000
    started = time.perf_counter()
    attribute(change_with(commit(hostile), pull=pull(body=hostile)))
    assert time.perf_counter() - started < 1.5
