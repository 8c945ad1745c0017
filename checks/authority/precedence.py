"""The rules by which agents decide between their own rules: five of them, and they disagree.

Each takes the rules in the order they stand and says what happens with one command; `ASKED` where no rule speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checks.authority.commands import matches
from checks.authority.nouns import Decision


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule about commands."""

    pattern: str
    decision: Decision
    priority: float = 0
    regex: bool = False


def _hits(rules: Sequence[Rule], command: str) -> list[Rule]:
    return [rule for rule in rules if matches(rule.pattern, command)]


def deny_first(rules: Sequence[Rule], command: str, default: Decision = Decision.ASKED) -> Decision:
    """Deny, then ask, then allow; specificity does not matter.

    Claude Code: code.claude.com/docs/en/permissions ("deny → ask → allow, the first match wins"). Cursor: cursor.com/docs/reference/permissions.
    """
    found = {rule.decision for rule in _hits(rules, command)}
    return next((decision for decision in (Decision.DENIED, Decision.ASKED, Decision.AUTO) if decision in found), default)


def most_restrictive(rules: Sequence[Rule], command: str, default: Decision = Decision.ASKED) -> Decision:
    """The most restrictive of all that match: forbidden over prompt over allow. Codex: developers.openai.com/codex/rules."""
    return deny_first(rules, command, default)


def last_match(rules: Sequence[Rule], command: str, default: Decision = Decision.ASKED) -> Decision:
    """The last rule that matches. OpenCode: opencode.ai/docs/permissions ("the last matching rule wins")."""
    found = _hits(rules, command)
    return found[-1].decision if found else default


def first_match(rules: Sequence[Rule], command: str, default: Decision = Decision.ASKED) -> Decision:
    """The first rule that matches. Amp: ampcode.com/manual (amp.permissions)."""
    found = _hits(rules, command)
    return found[0].decision if found else default


def by_priority(rules: Sequence[Rule], command: str, default: Decision = Decision.ASKED) -> Decision:
    """The rule with the highest number; among equals the first. Gemini CLI: docs/core/policy-engine.md."""
    found = _hits(rules, command)
    return max(found, key=lambda rule: rule.priority).decision if found else default
