"""
The agent's limits hold at head.

## What it proves
What the agent may newly do stays behind a limit that it cannot lift itself.

## What counts as proof
At head the agent's sandbox is on, its deny rules are effective, and what forces its checks is on the server. The detector that computed the
agent's authority marks an effect as contained when that is so.

## How the proof is authenticated
It is computed from the two trees that merge, with the precedence of that agent's own configuration.

## What turns it green
Take the grant back, or add the limit named below.

## What it cannot prove
Settings that are not in the repository: a user's own or those an organisation manages.
"""

from __future__ import annotations

from checks.model import Change, Effect, Hazard, Proof
from checks.policy import Policy
from checks.safeguards.base import Safeguard, met, missing


def _from_change(effect: Effect, change: Change, effects: tuple[Effect, ...]) -> Proof | None:
    contained = effect.fact("contained")
    return met(contained) if contained else missing("no limit at head holds what the agent may newly do")


def _turns_green(effect: Effect, policy: Policy) -> str:
    was = f" (it was `{effect.before}`)" if effect.before else ""
    return f"Take back what `{effect.subject}` newly grants{was}, or add a limit that the agent cannot lift: a deny rule that is effective, and a sandbox that is forced."


SAFEGUARD = Safeguard(
    name="agent-contained",
    title="The agent is contained",
    hazards=frozenset({Hazard.AGENT_WIDENED, Hazard.AGENT_UNGUARDED}),
    turns_green=_turns_green,
    from_change=_from_change,
)
