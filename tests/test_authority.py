"""What agents may do: each agent's own precedence, value by value, and the difference a change makes."""

from __future__ import annotations

import json
import time

import pytest

from checks.authority import authority_of, claude_code, codex, cursor, difference, gemini_cli, kiro, opencode, vscode
from checks.authority.answers import Rules, answers, as_json, render_text
from checks.authority.commands import covers, matches, weigh, wild
from checks.authority.difference import Kind
from checks.authority.nouns import Decision, Force
from checks.authority.precedence import Rule, by_priority, deny_first, first_match, last_match, most_restrictive
from checks.model import Severity
from checks.readers.expression import worked_out
from checks.trees import MemoryTree

A, Q, D = Decision.AUTO, Decision.ASKED, Decision.DENIED
Files = dict[str, object]


def tree(files: Files) -> MemoryTree:
    return MemoryTree({path: (text if isinstance(text, str) else json.dumps(text, indent=1)).encode() for path, text in files.items()})


def kinds(before: Files, after: Files) -> set[str]:
    return {delta.kind.value for delta in difference(authority_of(tree(before)), authority_of(tree(after)))}


# Precedence


def rules(*given: tuple[str, Decision]) -> tuple[Rule, ...]:
    return tuple(Rule(pattern, decision) for pattern, decision in given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), Q),
        ((("git *", A),), A),
        ((("git *", Q),), Q),
        ((("git *", D),), D),
        ((("git push *", A), ("git *", D)), D),
        ((("git *", D), ("git push *", A)), D),
        ((("git push *", A), ("git *", Q)), Q),
        ((("git *", A), ("git push *", Q), ("* origin", D)), D),
        ((("npm *", D), ("git *", A)), A),
    ],
)
def test_claude_code_and_cursor_deny_first(given: tuple[tuple[str, Decision], ...], expected: Decision) -> None:
    """Deny, then ask, then allow, whatever the order or how special a rule is (code.claude.com/docs/en/permissions; cursor.com/docs/reference/permissions)."""
    assert deny_first(rules(*given), "git push origin") is expected
    assert claude_code.decide(rules(*given), "git push origin") is expected
    assert cursor.decide(list(rules(*given)), "git push origin") is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls && cat a", A),
        ("ls; cat a | head", Q),
        ("ls && rm -rf /", D),
        ("ls\nrm x", D),
        ("ls & cat b", A),
        ("lsof", Q),
    ],
)
def test_claude_code_splits_compound_commands(command: str, expected: Decision) -> None:
    """Every part must be allowed, and one denied part denies all (code.claude.com/docs/en/permissions, "Compound commands")."""
    assert claude_code.decide(rules(("ls *", A), ("cat *", A), ("rm *", D)), command) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((("gh *", A), ("gh pr *", D)), D),
        ((("gh pr *", D), ("gh *", A)), D),
        ((("gh *", A), ("gh pr *", Q)), Q),
        ((("gh *", A),), A),
        ((), Q),
    ],
)
def test_codex_takes_the_most_restrictive(given: tuple[tuple[str, Decision], ...], expected: Decision) -> None:
    """forbidden over prompt over allow (developers.openai.com/codex/rules)."""
    assert most_restrictive(rules(*given), "gh pr merge") is expected
    assert codex.decide(list(rules(*given)), "gh pr merge") is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((("*", Q), ("git *", A)), A),
        ((("git *", A), ("*", Q)), Q),
        ((("git *", A), ("git push *", D)), D),
        ((("git push *", D), ("git *", A)), A),
        ((), A),
    ],
)
def test_opencode_takes_the_last_match(given: tuple[tuple[str, Decision], ...], expected: Decision) -> None:
    """The last matching rule wins, and nothing is asked where none matches (opencode.ai/docs/permissions)."""
    assert opencode.decide(list(rules(*given)), "git push origin") is expected
    assert last_match(rules(*given), "git push origin", A) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [((("git push *", Q), ("*", A)), Q), ((("*", A), ("git push *", D)), A), ((("npm *", A),), Q)],
)
def test_amp_takes_the_first_match(given: tuple[tuple[str, Decision], ...], expected: Decision) -> None:
    """The first matching entry decides (ampcode.com/manual, amp.permissions)."""
    assert first_match(rules(*given), "git push origin") is expected


def test_gemini_cli_takes_the_highest_priority() -> None:
    """Administrator over user over workspace, then the rule's own number (gemini-cli docs/core/policy-engine.md)."""
    low, high = Rule("git *", A, gemini_cli.priority("user", 999)), Rule("git *", D, gemini_cli.priority("admin", 0))
    assert by_priority((low, high), "git push") is D
    assert (
        gemini_cli.decide(
            (Rule("git *", D, gemini_cli.priority("workspace", 900)), Rule("git push *", A, gemini_cli.priority("user", 1))), "git push"
        )
        is A
    )
    assert (
        gemini_cli.decide((Rule("git *", Q, gemini_cli.priority("user", 1)), Rule("git *", A, gemini_cli.priority("user", 2))), "git push")
        is A
    )


@pytest.mark.parametrize(
    ("tools", "settings", "expected"),
    [
        (set(), ((r"git .*", D),), D),
        ({"execute_bash"}, ((r"git .*", D),), A),
        ({"fs_read"}, ((r"git .*", A),), A),
        ({"fs_read"}, ((r"git .*", A), (r"git push .*", D)), D),
        ({"*"}, ((r".*", D),), A),
        (set(), ((r"git", A),), Q),
    ],
)
def test_kiro_and_amazon_q_let_allowed_tools_override(
    tools: set[str], settings: tuple[tuple[str, Decision], ...], expected: Decision
) -> None:
    r"""A tool in allowedTools is unrestricted whatever toolsSettings denies; its patterns are anchored (amazon-q-developer-cli docs/agent-format.md)."""
    assert kiro.decide(frozenset(tools), settings, "git push origin") is expected


def test_vscode_asks_where_any_entry_says_false() -> None:
    """`false` over `true` (code.visualstudio.com/docs/copilot/chat/chat-agent-mode, terminal commands)."""
    assert vscode.decide(list(rules(("git *", A), ("git push *", Q))), "git push origin") is Q
    assert vscode.decide(list(rules(("git *", A), ("git push *", Q))), "git status") is A


# Patterns


@pytest.mark.parametrize(
    ("pattern", "command", "expected"),
    [
        ("*", "anything", True),
        ("git push *", "git push", True),
        ("git push *", "git push --force", True),
        ("git push *", "git pushx", False),
        ("ls*", "lsof", True),
        ("npm run test", "npm run test -- x", False),
        ("npm run * --watch", "npm run test --watch", True),
    ],
)
def test_command_patterns(pattern: str, command: str, expected: bool) -> None:
    """`x *` and `x:*` are the command with or without arguments; `x*` is any text (code.claude.com/docs/en/permissions, "Wildcard patterns")."""
    assert matches(pattern, command) is expected


def test_specifiers_of_claude_code() -> None:
    """`Bash`, `Bash(*)` and `Bash(:*)` are every command; `x:*` is `x *` (code.claude.com/docs/en/permissions)."""
    assert [claude_code.pattern_of(text) for text in (None, "*", ":*", "npm test", "git push:*")] == [
        "*",
        "*",
        "*",
        "npm test",
        "git push *",
    ]


@pytest.mark.parametrize(
    ("rule", "granted"),
    [
        ("*", False),
        ("mcp__*", False),
        ("B*", False),
        ("mcp__docs", True),
        ("mcp__docs__*", True),
        ("Read", False),
        ("Read(~/.ssh/**)", True),
        ("Bash", True),
        ("((", False),
    ],
)
def test_allow_rules_that_grant_nothing(rule: str, granted: bool) -> None:
    """`*`, `mcp__*` and partial tool names are skipped in allow; reading tools never ask (code.claude.com/docs/en/permissions)."""
    assert (claude_code.allowed(rule, "s", 1) is not None) is granted


@pytest.mark.parametrize(
    ("rule", "force"),
    [
        ("Edit(src/**)", Force.BYPASSABLE),
        ("Read(.env)", Force.BYPASSABLE),
        ("Write(src/**)", Force.INERT),
        ("NotebookEdit(a)", Force.INERT),
        ("MultiEdit(a)", Force.INERT),
        ("Glob(a)", Force.INERT),
        ("Write", Force.BYPASSABLE),
        ("Bash(command:rm *)", Force.INERT),
        ("Bash(rm:*)", Force.BYPASSABLE),
    ],
)
def test_deny_rules_that_do_nothing(rule: str, force: Force) -> None:
    """Path rules for Write, NotebookEdit, MultiEdit and Glob are never consulted; `command:` matches nothing (code.claude.com/docs/en/permissions)."""
    limit = claude_code.denied(rule, "deny", "s", 1, "")
    assert limit is not None and limit.force is force


def test_a_runner_makes_a_list_of_commands_say_nothing() -> None:
    """With `uv run`, `npx`, `python` or `make` allowed, a denied command is one indirection away (code.claude.com/docs/en/permissions, wrappers)."""
    for runner in ("uv run *", "npx *", "python *", "make *", "docker exec *", "bash -c *"):
        assert weigh(runner).runner, runner
    assert not weigh("npm test").runner and not weigh("python scripts/check.py *").runner
    limit = claude_code.denied("Bash(rm:*)", "deny", "s", 1, "npx *")
    assert limit is not None and "the agent itself" in limit.why


@pytest.mark.parametrize(
    "pattern", ["terraform *", "kubectl delete *", "aws *", "gh pr merge *", "sudo *", "psql *", "git push --force *", "terraform destroy"]
)
def test_destructive_commands_weigh_high(pattern: str) -> None:
    """The vocabulary of what can delete a live system."""
    assert weigh(pattern).severity is Severity.HIGH and weigh(pattern).destructive


@pytest.mark.parametrize(
    "pattern", ["npm test", "ls *", "git status *", "gh pr view *", "pytest *", "terraform plan *", "kubectl get *", "aws s3 ls *"]
)
def test_harmless_commands_weigh_little(pattern: str) -> None:
    """Looking is not acting."""
    assert weigh(pattern).severity is Severity.LOW and not weigh(pattern).destructive


def test_coverage_and_linear_matching() -> None:
    """A wider pattern covers a narrower one, never the other way; a hostile pattern costs no time."""
    assert covers("git *", "git push *") and not covers("git push *", "git *") and not covers("git *", "gitk") and covers("*", "x")
    started = time.perf_counter()
    assert not wild("*a" * 200 + "b", "a" * 20_000)
    assert time.perf_counter() - started < 2


# Differences, agent by agent


HOOK = {"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./guard.sh"}]}]}}
MODE = "customModes:\n  - slug: test\n    groups:\n      - read\n      - - edit\n        - fileRegex: \\.test\\.ts$\n"
AGENT = {"tools": ["*"], "allowedTools": ["fs_read"], "toolsSettings": {"execute_bash": {"deniedCommands": ["git push .*"]}}}
PREFIX = 'prefix_rule(pattern=["git", "status"], decision="allow")\nprefix_rule(pattern=["git", "push"], decision="forbidden")\n'
WIDENED = [
    ("claude-code", {".claude/settings.json": {"permissions": {"allow": ["Bash(ls:*)"]}}}, {".claude/settings.json": {"permissions": {"allow": ["Bash(ls:*)", "Bash(aws:*)"]}}}),
    ("claude-code local", {}, {".claude/settings.local.json": {"permissions": {"defaultMode": "bypassPermissions"}}}),
    ("claude-code base url", {".claude/settings.json": {}}, {".claude/settings.json": {"env": {"ANTHROPIC_BASE_URL": "https://example.net"}}}),
    ("claude-code servers", {".claude/settings.json": {}}, {".claude/settings.json": {"enableAllProjectMcpServers": True}}),
    ("codex", {".codex/config.toml": 'sandbox_mode = "workspace-write"\n'}, {".codex/config.toml": 'sandbox_mode = "danger-full-access"\napproval_policy = "never"\n'}),
    ("codex rules", {".codex/rules/a.rules": PREFIX}, {".codex/rules/a.rules": PREFIX + 'prefix_rule(pattern=["terraform", ["apply", "destroy"]])\n'}),
    ("codex server", {".codex/config.toml": ""}, {".codex/config.toml": '[mcp_servers.db]\ncommand = "npx"\nargs = ["-y", "db"]\n'}),
    ("gemini", {".gemini/settings.json": {}}, {".gemini/settings.json": {"tools": {"allowed": ["run_shell_command"]}}}),
    ("gemini trust", {".gemini/settings.json": {"mcpServers": {"a": {"command": "a"}}}}, {".gemini/settings.json": {"mcpServers": {"a": {"command": "a", "trust": True}}}}),
    ("copilot hooks off", {".github/copilot/settings.json": {}}, {".github/copilot/settings.json": {"disableAllHooks": True}}),
    ("copilot agent", {".github/agents/a.agent.md": "---\ntools: [read]\nmcp-servers: {}\n---\n"}, {".github/agents/a.agent.md": "---\ntools: [read]\nmcp-servers:\n  db:\n    command: db\n---\n"}),
    ("vscode", {".vscode/settings.json": {"editor.tabSize": 2}}, {".vscode/settings.json": {"editor.tabSize": 2, "chat.tools.global.autoApprove": True}}),
    ("vscode terminal", {".vscode/settings.json": {}}, {".vscode/settings.json": {"chat.tools.terminal.autoApprove": {"rm": True}}}),
    ("cursor", {".cursor/cli.json": {"permissions": {"allow": ["Shell(ls)"]}}}, {".cursor/cli.json": {"permissions": {"allow": ["Shell(ls)", "Shell(**)"]}}}),
    ("cursor sandbox", {".cursor/sandbox.json": {"type": "workspace_readwrite"}}, {".cursor/sandbox.json": {"type": "insecure_none"}}),
    ("kiro", {".kiro/agents/a.json": AGENT}, {".kiro/agents/a.json": {**AGENT, "allowedTools": ["fs_read", "execute_bash"]}}),
    ("amazon q", {".amazonq/cli-agents/a.json": AGENT}, {".amazonq/cli-agents/a.json": {**AGENT, "allowedTools": ["*"]}}),
    ("windsurf", {".windsurf/mcp_config.json": {"mcpServers": {}}}, {".windsurf/mcp_config.json": {"mcpServers": {"a": {"serverUrl": "https://a.example.com"}}}}),
    ("devin", {".devin/config.json": {"permissions": {"allow": []}}}, {".devin/config.json": {"permissions": {"allow": ["Exec(kubectl:*)"]}}}),
    ("cline", {}, {".cline/mcp.json": {"mcpServers": {"a": {"command": "a", "autoApprove": ["delete_row"]}}}}),
    ("roo", {".roomodes": MODE}, {".roomodes": MODE.replace("      - - edit\n        - fileRegex: \\.test\\.ts$\n", "      - edit\n")}),
    ("roo server", {}, {".roo/mcp.json": {"mcpServers": {"a": {"command": "a", "alwaysAllow": ["x"]}}}}),
    ("aider", {".aider.conf.yml": "model: x\n"}, {".aider.conf.yml": "model: x\nyes-always: true\n"}),
    ("goose", {}, {".goose/recipes/a.yaml": "title: a\nextensions:\n  - type: stdio\n    name: db\n    cmd: uvx\n    args: [db]\n"}),
    ("openhands", {}, {".openhands/setup.sh": "apt-get install x\n"}),
    ("amp", {".amp/settings.json": {}}, {".amp/settings.json": {"amp.dangerouslyAllowAll": True}}),
    ("amp rules", {".amp/settings.json": {"amp.permissions": []}}, {".amp/settings.json": {"amp.permissions": [{"tool": "Bash", "action": "allow", "matches": {"cmd": "git *"}}]}}),
    ("opencode", {"opencode.json": {"permission": {"bash": "ask"}}}, {"opencode.json": {"permission": {"bash": {"*": "ask", "terraform *": "allow"}}}}),
    ("devcontainer", {".devcontainer/devcontainer.json": {"image": "a"}}, {".devcontainer/devcontainer.json": {"image": "a", "runArgs": ["--privileged"]}}),
    ("sudo", {".devcontainer/Dockerfile": "FROM a\n"}, {".devcontainer/Dockerfile": "FROM a\nRUN echo 'node ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/node\n"}),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in WIDENED], ids=[case[0] for case in WIDENED])
def test_what_an_agent_may_newly_do_is_told(before: Files, after: Files) -> None:
    """Each agent's own way of being given more is seen."""
    assert "granted" in kinds(before, after)


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in WIDENED], ids=[case[0] for case in WIDENED])
def test_taking_it_back_grants_nothing(before: Files, after: Files) -> None:
    """The reverse of a widening is a narrowing."""
    found = kinds(after, before)
    assert "granted" not in found and not found & {"removed", "weakened"}


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in WIDENED], ids=[case[0] for case in WIDENED])
def test_the_same_twice_is_silent(before: Files, after: Files) -> None:
    """Formatting, comments, another order of keys: no difference. Nor is a state different from itself."""
    assert kinds(after, after) == set()
    laid_out = {path: text if isinstance(text, str) else "// laid out anew\n" + json.dumps(text, indent=7) for path, text in after.items()}
    assert kinds(after, laid_out) == set()


def test_a_new_runner_makes_deny_rules_moot() -> None:
    """The widening says how many deny rules it takes the sense from; where a runner stood before, nothing is new."""
    deny = ["Bash(rm:*)", "Bash(git push:*)", "Read(.env)"]
    before: Files = {".claude/settings.json": {"permissions": {"allow": ["Bash(ls:*)"], "deny": deny}}}
    after: Files = {".claude/settings.json": {"permissions": {"allow": ["Bash(ls:*)", "Bash(npx:*)"], "deny": deny}}}
    more: Files = {".claude/settings.json": {"permissions": {"allow": ["Bash(ls:*)", "Bash(npx:*)", "Bash(make:*)"], "deny": deny}}}
    assert [delta.moot for delta in difference(authority_of(tree(before)), authority_of(tree(after)))] == [2]
    assert [delta.moot for delta in difference(authority_of(tree(after)), authority_of(tree(more)))] == [0]


UNGUARDED = [
    ("claude deny", {".claude/settings.json": {"permissions": {"deny": ["Bash(rm:*)", "Edit(.github/**)"]}}}, {".claude/settings.json": {"permissions": {"deny": ["Bash(rm:*)"]}}}, "removed"),
    ("claude hook", {".claude/settings.json": HOOK, "guard.sh": "exit 2\n"}, {".claude/settings.json": HOOK}, "weakened"),
    ("codex sandbox", {".codex/config.toml": 'sandbox_mode = "read-only"\n'}, {".codex/config.toml": 'model = "x"\n'}, "removed"),
    ("codex rule", {".codex/rules/a.rules": PREFIX}, {".codex/rules/a.rules": PREFIX.split("\n")[0]}, "removed"),
    ("gemini exclude", {".gemini/settings.json": {"tools": {"exclude": ["web_fetch"]}}}, {".gemini/settings.json": {}, ".gemini/policies/a.toml": "x = 1\n"}, "removed"),
    ("cursor deny", {".cursor/cli.json": {"permissions": {"deny": ["Shell(rm)"]}}}, {".cursor/cli.json": {"permissions": {"deny": []}}, ".cursor/mcp.json": {"mcpServers": {"a": {"command": "a"}}}}, "removed"),
    ("kiro overridden", {".kiro/agents/a.json": AGENT}, {".kiro/agents/a.json": {**AGENT, "allowedTools": ["shell"]}}, "weakened"),
    ("opencode order", {"opencode.json": {"permission": {"bash": {"git *": "allow", "git push *": "deny"}}}}, {"opencode.json": {"permission": {"bash": {"git push *": "deny", "git *": "allow"}}}}, "weakened"),
    ("amp order", {".amp/settings.json": {"amp.permissions": [{"tool": "Bash", "action": "reject", "matches": {"cmd": "git push*"}}, {"tool": "Bash", "action": "allow"}]}},
     {".amp/settings.json": {"amp.permissions": [{"tool": "Bash", "action": "allow"}, {"tool": "Bash", "action": "reject", "matches": {"cmd": "git push*"}}]}}, "weakened"),
    ("vscode sandbox", {".vscode/settings.json": {"chat.agent.sandbox.enabled": "on", "chat.tools.urls.autoApprove": {"https://a.example.com": True}}},
     {".vscode/settings.json": {"chat.tools.urls.autoApprove": {"https://a.example.com": True}}}, "removed"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "kind"), [case[1:] for case in UNGUARDED], ids=[case[0] for case in UNGUARDED])
def test_a_limit_that_goes_is_told(before: Files, after: Files, kind: str) -> None:
    """Each agent's own way of losing a limit is seen: removed, overridden, outranked by order, or cut from its script."""
    assert kind in kinds(before, after)


@pytest.mark.parametrize(
    "files",
    [
        {".claude/settings.json": {"permissions": {"deny": ["Write(a/**)"]}}},
        {".gemini/policies/a.toml": "[[rule]]\n"},
        {".kiro/settings/permissions.yaml": "rules: []\n"},
        {".claude/settings.json": HOOK},
    ],
)
def test_limits_that_do_nothing_are_called_inert(files: Files) -> None:
    """Paths under the wrong tool, policies of a workspace, committed Kiro permissions, hooks without their script."""
    assert [limit.force for authority in authority_of(tree(files)) for limit in authority.inert] == [Force.INERT]
    assert Kind.INERT.value in kinds({}, files)


def test_bypass_mode_says_for_which_versions() -> None:
    """Project settings cannot switch to bypassPermissions since Claude Code 2.1.257: the grant says so (code.claude.com/docs/en/permission-modes)."""
    (authority,) = authority_of(tree({".claude/settings.json": {"permissions": {"defaultMode": "bypassPermissions"}}}))
    assert any("2.1.257" in text for grant in authority.grants for text in grant.condition)


def test_attribution_off_is_seen_for_each_agent() -> None:
    """Each agent's own switch; a text instead of none is not off."""
    for files in (
        {".claude/settings.json": {"includeCoAuthoredBy": False}},
        {".claude/settings.json": {"attribution": {"commit": ""}}},
        {".codex/config.toml": 'commit_attribution = ""\n'},
        {".vscode/settings.json": {"git.addAICoAuthor": "off"}},
        {".amp/settings.json": {"amp.git.commit.coauthor.enabled": False, "amp.git.commit.ampThread.enabled": False}},
    ):
        assert "hidden" in kinds({}, files), files
    assert "hidden" not in kinds({}, {".claude/settings.json": {"attribution": {"commit": "By Claude"}}})


def test_what_cannot_be_read_is_kept() -> None:
    """A broken file is no absence of authority."""
    (authority,) = authority_of(tree({".claude/settings.json": '{"permissions": '}))
    assert authority.unread[0][0] == ".claude/settings.json"


# Answers


WORKFLOW = """on:
  issue_comment:
jobs:
  claude:
    permissions:
      contents: write
      id-token: write
    runs-on: ubuntu-latest
    steps:
      - uses: aws-actions/configure-aws-credentials@v4
        with:
          role-to-assume: arn:aws:iam::123456789012:role/deploy
      - uses: anthropics/claude-code-action@v1
        with:
          anthropic_api_key: ${{ secrets.ANTHROPIC_API_KEY }}
          claude_args: --allowedTools "Bash,mcp__db__query"
"""


def test_the_three_questions_are_answered() -> None:
    """Alone, reach (commands, token, cloud role, secrets), checks and own limits; branch rules are unknown offline and forced where known."""
    files: Files = {
        ".github/workflows/claude.yml": WORKFLOW,
        ".claude/settings.json": {"permissions": {"allow": ["Bash(npx:*)"], "deny": ["Bash(rm:*)"]}},
    }
    found = answers(tree(files))
    text = render_text(found)
    for words in (
        "run any shell command",
        "id-token: write",
        "role/deploy",
        "secret ANTHROPIC_API_KEY",
        "write contents",
        "unknown offline",
        "no list of commands holds",
        "started by comments",
    ):
        assert words in text, words
    data = json.loads(as_json(found))
    assert data["schema"] == "interlock/agents/1" and [agent["agent"] for agent in data["agents"]] == ["claude-code", "claude-code"]
    assert {"action": "delete files", "decision": "denied"} in data["agents"][0]["high_risk"]
    assert {"action": "delete files", "decision": "auto"} in data["agents"][1]["high_risk"]
    online = render_text(answers(tree(files), Rules(required_checks=("test",), required_reviews=1, bypass=("admins",))))
    assert "the required check test: bypassable by admins" in online and "unknown offline" not in online


def test_a_repository_without_agents_says_so() -> None:
    """No configuration is an answer too, with what cannot be seen."""
    assert "No coding agent is configured" in render_text(answers(tree({"README.md": "x"})))


ACTION = """
name: ask
inputs:
  arguments: {}
runs:
  using: composite
  steps:
    - uses: anthropics/claude-code-action@v1
      with:
        claude_args: ${{ inputs.arguments }}
"""
CALLER = """
on: issue_comment
permissions:
  contents: write
jobs:
  help:
    runs-on: ubuntu-latest
    steps:
      - uses: ./.github/actions/ask
        with:
          arguments: --allowedTools "Bash(git push:*)"
        env:
          KEY: ${{ secrets.DEPLOY_KEY }}
"""


def test_an_agent_behind_a_local_action_is_seen_with_its_callers_token_and_secrets() -> None:
    """A composite action's steps are the job's own steps, and what the caller wrote into an input is what the agent is given."""
    files: Files = {".github/actions/ask/action.yml": ACTION, ".github/workflows/help.yml": CALLER}
    (found,) = authority_of(tree(files))
    texts = " ".join(grant.text for grant in found.grants)
    assert found.surface == "job help of .github/workflows/help.yml"
    for words in ("started by comments", "git push", "write contents", "secret DEPLOY_KEY"):
        assert words in texts, words
    assert ".github/actions/ask/action.yml" in found.files
    assert authority_of(tree({".github/workflows/help.yml": CALLER})) == ()


def test_local_actions_that_use_each_other_come_to_an_end() -> None:
    """An action that uses itself is read a bounded number of times."""
    action = "runs: {using: composite, steps: [{uses: ./.github/actions/ask}, {run: claude -p hi}]}"
    assert len(authority_of(tree({".github/actions/ask/action.yml": action, ".github/workflows/help.yml": CALLER}))) == 1


def test_an_agent_in_a_called_workflow_has_its_callers_token_and_secrets() -> None:
    """A called workflow's token is never more than its caller's; it is started by what starts the caller (docs.github.com, "Reusing workflows")."""
    called = """
on: workflow_call
permissions: {contents: write, issues: write}
jobs:
  run:
    runs-on: ubuntu-latest
    steps:
      - run: claude -p hello
"""
    caller = """
on: issues
permissions: {issues: write}
jobs:
  ask:
    uses: ./.github/workflows/called.yml
    secrets: {key: "${{ secrets.DEPLOY_KEY }}"}
"""
    found = authority_of(tree({".github/workflows/called.yml": called, ".github/workflows/caller.yml": caller}))
    (one,) = (authority for authority in found if "called by job ask of .github/workflows/caller.yml" in authority.surface)
    texts = " ".join(grant.text for grant in one.grants)
    assert "started by new issues" in texts and "write issues" in texts and "secret DEPLOY_KEY" in texts
    assert "write contents" not in texts


def test_only_a_file_named_as_an_event_is_a_hook_of_cline() -> None:
    """What stands beside the hooks is not run (docs.cline.bot/features/hooks)."""
    assert authority_of(tree({".clinerules/hooks/README.md": "# Hooks"})) == ()
    assert len(authority_of(tree({".clinerules/hooks/Notification": "#!/bin/sh"}))) == 1
    (found,) = authority_of(tree({".clinerules/hooks/PreToolUse": "#!/bin/sh", ".clinerules/hooks/README.md": "# Hooks"}))
    assert not any("README" in item.text for item in (*found.grants, *found.limits))


def _job(step: str, on: str = "issue_comment", permissions: str = "{contents: read}") -> Files:
    return {
        ".github/workflows/one.yml": f"on: {on}\npermissions: {permissions}\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n{step}"
    }


@pytest.mark.parametrize(
    ("given", "on", "expected"),
    [
        ("{}", "issue_comment", True),
        ("{prompt: review it}", "issue_comment", False),
        ("{prompt: review it, track_progress: true}", "pull_request", True),
        ("{}", "schedule", False),
    ],
)
def test_claude_started_by_a_mention_edits_the_checkout_and_pushes_its_branch(given: str, on: str, expected: bool) -> None:
    """Without a prompt a mention starts tag mode: acceptEdits and git's commit and push (claude-code-action, src/modes)."""
    (found,) = authority_of(tree(_job(f"      - uses: anthropics/claude-code-action@v1\n        with: {given}\n", on)))
    texts = [grant.text for grant in found.grants]
    assert ("edit any file of the checkout" in texts) is expected
    assert ("commit to its branch and push it" in texts) is expected
    assert found.own_limits.startswith("yes") is expected


@pytest.mark.parametrize(
    ("given", "permissions", "expected"),
    [
        ("{prompt: hi}", "{contents: read, id-token: write}", True),
        ("{prompt: hi, github_token: x}", "{contents: read, id-token: write}", False),
        ("{prompt: hi}", "{contents: read}", False),
    ],
)
def test_claude_has_the_token_of_its_app_unless_it_is_given_another(given: str, permissions: str, expected: bool) -> None:
    """The OIDC token is traded for the App's, which writes what the workflow token may not (claude-code-action, docs/security.md)."""
    step = f"      - uses: anthropics/claude-code-action@v1\n        with: {given}\n"
    (found,) = authority_of(tree(_job(step, "pull_request", permissions)))
    assert any("Claude GitHub App" in grant.text for grant in found.grants) is expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('"$BIN" usage --provider codex --web', False),
        ("npx --yes codex --full-auto", True),
        ("sudo --preserve-env codex exec hi", True),
        ("timeout 60 claude -p hi", True),
    ],
)
def test_the_value_of_an_option_is_not_a_program_that_runs(script: str, expected: bool) -> None:
    """A word behind an option that takes a value is that value."""
    assert bool(authority_of(tree(_job(f"      - run: {script}\n")))) is expected


def test_an_action_checked_out_at_run_time_is_known_by_the_repository_it_comes_from() -> None:
    """`actions/checkout` with `repository` and `path` puts that repository's action at `./path`."""
    steps = """
      - uses: actions/checkout@v4
        with: {repository: anthropics/claude-code-security-review, path: .github/actions/review}
      - uses: ./.github/actions/review
        with: {claude-api-key: "${{ secrets.KEY }}"}
"""
    (found,) = authority_of(tree(_job(steps)))
    assert found.agent == "claude-code"
    assert any("claude-code-security-review" in text for text in found.unknown)


def test_a_local_action_with_the_inputs_of_claudes_own_is_one_that_runs_it() -> None:
    """What an action starts by a program of its own is told by its inputs."""
    step = "      - uses: ./base-action\n        with: {prompt: hi, anthropic_api_key: x, allowed_tools: 'Bash(rm *)'}\n"
    action = "name: Base\nruns:\n  using: composite\n  steps:\n    - {run: bun run index.ts, shell: bash}\n"
    (found,) = authority_of(tree(_job(step) | {"base-action/action.yml": action}))
    assert any(grant.what == "rm *" for grant in found.grants)
    other = "      - uses: ./base-action\n        with: {prompt: hi}\n"
    assert authority_of(tree(_job(other) | {"base-action/action.yml": action})) == ()


@pytest.mark.parametrize(("on", "expected"), [("workflow_call", 1), ("[workflow_call, schedule]", 2)])
def test_a_workflow_that_only_runs_when_called_is_said_once_per_caller(on: str, expected: int) -> None:
    """By itself it never runs."""
    called = _job("      - run: claude -p hi\n", on)[".github/workflows/one.yml"]
    caller = "on: issues\njobs:\n  ask:\n    uses: ./.github/workflows/one.yml\n"
    found = authority_of(tree({".github/workflows/one.yml": called, ".github/workflows/caller.yml": caller}))
    assert len(found) == expected


@pytest.mark.parametrize(
    ("profile", "granted", "own"),
    [
        (":read-only", "", "no"),
        (":workspace", "run any command unasked inside the sandbox, writing the checkout", "yes"),
        (":danger-full-access", "do anything outside any sandbox", "yes"),
        ("triage", "run any command unasked, as far as the permission profile triage lets it", "unknown"),
    ],
)
def test_codexs_permission_profile_is_the_sandbox_of_its_action(profile: str, granted: str, own: str) -> None:
    """The profile takes the place of `sandbox`; one that is named stands elsewhere (codex-action README; developers.openai.com/codex/permissions)."""
    (found,) = authority_of(tree(_job(f"      - uses: openai/codex-action@v1\n        with: {{permission-profile: '{profile}'}}\n")))
    texts = [grant.text for grant in found.grants if "command" in grant.text or "anything" in grant.text]
    assert texts == ([granted] if granted else [])
    assert found.own_limits.startswith(own)
    assert any("read-only" in limit.text for limit in found.limits) is (profile == ":read-only")


def test_the_setup_script_of_codexs_environment_runs_by_itself() -> None:
    """Setup runs when a worktree is made; an action waits for a click (developers.openai.com/codex/app/local-environments)."""
    text = 'version = 1\n[setup]\nscript = """\npnpm install\n"""\n[[actions]]\nname = "x"\ncommand = "make deploy"\n'
    (found,) = authority_of(tree({".codex/environments/environment.toml": text}))
    texts = " ".join(grant.text for grant in found.grants)
    assert "pnpm install" in texts and "make deploy" not in texts


def test_the_groups_of_a_roo_mode_are_all_told() -> None:
    """A mode has what it lists: the tools of servers too (docs.roocode.com/features/custom-modes)."""
    (found,) = answers(tree({".roomodes": "customModes:\n  - slug: fix\n    groups: [read, command, mcp]\n"}))
    assert any("tools of servers in the mode fix" in grant.text for grant in found.alone)


def test_what_a_workflow_loads_and_hands_to_its_agent_is_told() -> None:
    """`extensions` of run-gemini-cli are loaded; a secret in gh-aw's `engine.env` is handed over (their READMEs)."""
    step = "      - uses: google-github-actions/run-gemini-cli@v0\n        with:\n          extensions: '[\"https://github.com/acme/review\"]'\n"
    (found,) = authority_of(tree(_job(step)))
    assert any(grant.text == "load https://github.com/acme/review" for grant in found.grants)
    front = "---\non: push\nengine:\n  id: claude\n  env:\n    ANTHROPIC_API_KEY: ${{ secrets.CLAUDE_KEY }}\n---\nDo it.\n"
    (found,) = authority_of(tree({".github/workflows/one.md": front}))
    assert [grant.what for grant in found.grants if "secret" in grant.text] == ["CLAUDE_KEY"]


CHOOSY = """
name: ask
inputs:
  tools: {default: ""}
  more: {default: ""}
  bots: {default: ""}
runs:
  using: composite
  steps:
    - uses: anthropics/claude-code-action@v1
      with:
        allowed_bots: ${{ inputs.bots }}
        claude_args: |
          ${{ (inputs.tools != '' || inputs.more != '') && format('--allowedTools ''{0}{1}''', inputs.tools, inputs.more != '' && format(',{0}', inputs.more) || '') || '' }}
"""


def test_an_actions_arguments_are_worked_out_of_its_inputs() -> None:
    """`format`, `&&` and `||` over literals and inputs come to a text, an input that the caller leaves out to its default."""
    caller = CALLER.replace('arguments: --allowedTools "Bash(git push:*)"', 'tools: "Edit,Bash(*)"')
    (found,) = authority_of(tree({".github/actions/ask/action.yml": CHOOSY, ".github/workflows/help.yml": caller}))
    texts = " ".join(grant.text for grant in found.grants)
    assert "run any shell command" in texts and "edit any file" in texts, texts
    assert "bots" not in texts
    bare = CALLER.replace('arguments: --allowedTools "Bash(git push:*)"', "prompt: hi")
    (found,) = authority_of(tree({".github/actions/ask/action.yml": CHOOSY, ".github/workflows/help.yml": bare}))
    assert "run any shell command" not in " ".join(grant.text for grant in found.grants)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("format('{0}-{{1}} {1}', inputs.a, 'it''s')", "x-{1} it's"),
        ("inputs.a == 'X' && 'same' || 'other'", "same"),
        ("!inputs.none && inputs.a || 'empty'", "x"),
        ("inputs.none || false", "false"),
        ("inputs.a || github.actor", None),
        ("format('{3}', inputs.a)", None),
        ("inputs.a ==", None),
        ("toJSON(inputs.a)", None),
    ],
)
def test_an_expression_is_worked_out_only_where_all_of_it_is_known(source: str, value: str | None) -> None:
    """GitHub's operators give an operand, comparisons ignore case, and anything unknown leaves the expression as it stands."""
    assert worked_out(source, {"inputs.a": "x", "inputs.none": ""}) == value


def test_the_jobs_that_an_agentic_workflows_outputs_wait_for_are_no_output() -> None:
    """`safe-outputs.needs` names jobs that must be done first: it lets the agent do nothing."""
    text = "---\non: issues\nengine: copilot\nsafe-outputs:\n  needs: [eligibility]\n  add-comment:\n---\nHi\n"
    (found,) = authority_of(tree({".github/workflows/ask.md": text}))
    assert [grant.what for grant in found.grants if grant.what.startswith("output ")] == ["output add-comment"]
