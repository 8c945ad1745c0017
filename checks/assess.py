"""The spine: two pure functions. Between them the world is asked only for the evidence that `assess` found to be needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from checks import safeguards
from checks.attribution import attribute
from checks.detectors.base import FREE, Watch, not_analysed
from checks.effects import effects_of
from checks.evidence import Evidence
from checks.model import (
    Account,
    AgentAtBase,
    Analysis,
    Assessment,
    Attribution,
    Change,
    Demand,
    Effect,
    Environment,
    Excepted,
    Hazard,
    Level,
    NotAnalysed,
    Proof,
    Reach,
    Report,
    Requirement,
    Severity,
    State,
    Status,
    Summary,
    Unreadable,
    Verdict,
)
from checks.policy import Policy
from checks.reach import reach_of
from checks.risk import points_of, risk_of
from checks.safeguards.base import missing, unknown

ENGINE = "0.1.0"
"""Version of the engine: part of what an assessment is kept under."""

Answer = TypeVar("Answer")

_EVERYWHERE = frozenset(
    {
        Hazard.GATE_CHANGED,
        Hazard.NOT_ANALYSED,
        Hazard.AGENT_WIDENED,
        Hazard.AGENT_UNGUARDED,
        Hazard.PIPELINE_WIDENED,
        Hazard.CHECK_WEAKENED,
        Hazard.SECRET_EXPOSED,
        Hazard.SUPPLY_CHANGED,
    }
)
"""Hazards that do not get milder because a path says "development": they act on the repository, not on an environment."""


def assess(change: Change, policy: Policy, found: Iterable[Effect] | None = None, watch: Watch = FREE) -> Assessment:
    """All that follows from the two trees and the policy alone. `found` are the change's effects where they are known already.

    What crashes here, or is refused by `watch`, costs its own answer: that is an effect which blocks, and the rest stands.
    """
    started = time.perf_counter()
    attribution, lost = _tried("attribution", "who wrote it is not known", lambda: attribute(change), Attribution(), change, watch)
    known = (*(effects_of(change) if found is None else found), *lost)
    effects = tuple(sorted((placed(effect, policy) for effect in known), key=_worst_first))
    near = Reach(files=len(change.files), truncated=True)
    reach, lost = _tried("reach", "how far the change reaches is not known", lambda: reach_of(change, effects, policy), near, change, watch)
    nobody: tuple[AgentAtBase, ...] = ()
    agents, more = _tried(
        "agents", "what the agents may do is not known", lambda: _agents(change, attribution, effects), nobody, change, watch
    )
    effects += tuple(placed(effect, policy) for effect in (*lost, *more))
    demands = tuple(_demands(effects, policy, attribution, change.pull.author if change.pull else None))
    return Assessment(
        change=Summary(change.repository, change.base, change.merge_base, change.head, len(change.files), *change.counted()),
        policy=policy.digest,
        attribution=attribution,
        effects=effects,
        reach=reach,
        risk=risk_of(effects, reach, attribution, f"{change.pull.title}\n{change.pull.body}" if change.pull else None),
        demands=demands,
        analysis=_analysis(change, effects, started),
        mistakes=policy.mistakes,
        proofs=tuple(_proofs(demands, effects, change, watch)),
        agents=agents,
    )


def _tried(
    name: str, otherwise: str, work: Callable[[], Answer], without: Answer, change: Change, watch: Watch
) -> tuple[Answer, tuple[Effect, ...]]:
    """What `work` says. Where it cannot say it, `without`, and an effect that tells so: low for a met limit, high for what should not be."""
    refusal = watch.refuses(name, ())
    if refusal is not None:
        return without, (not_analysed("", f"{otherwise}: {refusal}"),)
    try:
        return work(), ()
    except Unreadable as unreadable:
        return without, (not_analysed(unreadable.path, f"{otherwise}: {unreadable.why}", severity=Severity.LOW),)
    except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - a crash must become an effect, whatever it is
        return without, (not_analysed("", f"{otherwise}: {type(error).__name__}"),)


def decide(assessment: Assessment, evidence: Evidence, policy: Policy, engine: str = ENGINE) -> Report:
    """What the gate says about an assessment, given the evidence."""
    requirements = tuple(_requirements(assessment, evidence, policy))
    verdict = _verdict(assessment, requirements, policy)
    verdict = _overridden(assessment, requirements, evidence, policy) or verdict
    return Report(assessment, engine, requirements, verdict, exceptions=tuple(_excepted(assessment, evidence, policy)))


def placed(effect: Effect, policy: Policy) -> Effect:
    """The effect with its environment, and one step milder where it only touches development."""
    environment = policy.environment(effect)
    milder = environment is Environment.DEVELOPMENT and effect.hazard not in _EVERYWHERE
    return replace(effect, environment=environment, severity=effect.severity.step(-1) if milder else effect.severity)


def _worst_first(effect: Effect) -> tuple[int, str, str, str]:
    return -points_of(effect), effect.path, effect.rule, effect.subject


def _demands(effects: Iterable[Effect], policy: Policy, attribution: Attribution, author: Account | None) -> Iterable[Demand]:
    """Effects that need the same safeguards for the same reason, together."""
    gathered: dict[tuple[str, tuple[tuple[str, ...], ...]], list[str]] = {}
    for effect in effects:
        if effect.hazard.harmless or not _applies(effect, policy, attribution, author):
            continue
        groups, because = policy.demanded(effect)
        if groups:
            gathered.setdefault((because, groups), []).append(effect.id)
    for (because, groups), ids in gathered.items():
        yield Demand(tuple(dict.fromkeys(ids)), groups, because)


def _applies(effect: Effect, policy: Policy, attribution: Attribution, author: Account | None) -> bool:
    """Whether the policy speaks of this effect at all. No evidence of an agent counts as one; only a robot account known to GitHub does not."""
    if (
        policy.applies_to == "everyone"
        or effect.severity is Severity.CRITICAL
        or effect.hazard in (Hazard.GATE_CHANGED, Hazard.NOT_ANALYSED)
    ):
        return True
    return not (attribution.level is Level.AUTOMATION and author is not None and author.type == "Bot")


def _proofs(demands: Iterable[Demand], effects: tuple[Effect, ...], change: Change, watch: Watch) -> Iterable[tuple[str, str, Proof]]:
    """What the change itself shows for each safeguard that is asked for; a search that fails or is refused shows nothing."""
    by_id = _by_id(effects)
    wanted = dict.fromkeys((name, effect) for demand in demands for group in demand.groups for name in group for effect in demand.effects)
    for name, effect in wanted:
        prove = safeguards.load(name).from_change
        if prove is None:
            continue
        proof: Proof | None
        refusal = watch.refuses(f"proof of {name}", ())
        if refusal is not None:
            proof = unknown(f"the search for it {refusal}")
        else:
            try:
                # What holds at head must hold for what lands too, and for each of several effects that look the same.
                sides = (change,) if change.landed is None else (change, change.landed)
                proof = None
                for one, side in ((one, side) for side in sides for one in by_id[effect]):
                    proof = prove(one, side, effects)
                    if proof is None or proof.status is not Status.MET:
                        break
            except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - a crash proves nothing
                proof = unknown(f"the search for it failed with {type(error).__name__}")
        if proof is not None:
            yield name, effect, proof


def _by_id(effects: Iterable[Effect]) -> dict[str, list[Effect]]:
    """The effects of each id: several may look the same and differ in what binds them."""
    found: dict[str, list[Effect]] = {}
    for effect in effects:
        found.setdefault(effect.id, []).append(effect)
    return found


def _analysis(change: Change, effects: tuple[Effect, ...], started: float) -> Analysis:
    unjudged = tuple(
        NotAnalysed(effect.path, effect.after or effect.message) for effect in effects if effect.hazard is Hazard.NOT_ANALYSED
    ) + ((NotAnalysed("", change.unlisted),) if change.unlisted else ())
    return Analysis(
        files=len(change.files),
        analysed=len(change.files) - len({item.path for item in unjudged} & change.by_path.keys()),
        not_analysed=unjudged,
        milliseconds=round((time.perf_counter() - started) * 1000),
    )


def _agents(change: Change, attribution: Attribution, effects: Iterable[Effect]) -> tuple[AgentAtBase, ...]:
    """What the agents concerned may do under the base branch: those that wrote the change, or all where some agent's limits change."""
    touched = any(effect.hazard in (Hazard.AGENT_WIDENED, Hazard.AGENT_UNGUARDED) for effect in effects)
    if not touched and not attribution.agents:
        return ()
    from checks.authority.answers import answers

    return tuple(
        AgentAtBase(
            answer.agent,
            answer.title,
            len(answer.alone),
            tuple(action for action, decision in answer.destructive if decision == "auto"),
            answer.own_limits,
        )
        for answer in answers(change.tip)
        if touched or answer.agent in attribution.agents
    )


_BEST = {Status.MET: 0, Status.FAILED: 1, Status.MISSING: 2, Status.UNKNOWN: 3}


def _requirements(assessment: Assessment, evidence: Evidence, policy: Policy) -> Iterable[Requirement]:
    """One requirement per group, chosen safeguard and proof: met ones last."""
    effects = _by_id(assessment.effects)
    given = {(name, effect): proof for name, effect, proof in assessment.proofs}
    gathered: dict[tuple[str, tuple[str, ...], Proof], list[str]] = {}
    known: dict[tuple[str, str], Proof] = {}
    exempt = exempted(policy, evidence)
    for demand in assessment.demands:
        for group in demand.groups:
            for effect in demand.effects:
                if effect in exempt:
                    continue
                for name in group:
                    if (name, effect) not in known:
                        proofs = [_prove(name, one, given.get((name, effect)), assessment, evidence, policy) for one in effects[effect]]
                        known[name, effect] = max(proofs, key=lambda proof: _BEST[proof.status])
                chosen = min(group, key=lambda name: (_BEST[known[name, effect].status], group.index(name)))
                gathered.setdefault((chosen, group, known[chosen, effect]), []).append(effect)
    for (chosen, group, proof), ids in sorted(gathered.items(), key=lambda item: item[0][2].status is Status.MET):
        unique = tuple(dict.fromkeys(ids))
        turns_green = "" if proof.status is Status.MET else safeguards.load(chosen).turns_green(effects[unique[0]][0], policy)
        yield Requirement(chosen, unique, turns_green, tuple(name for name in group if name != chosen), proof)


NEVER_OVERRIDDEN = frozenset({Hazard.GATE_CHANGED, Hazard.AGENT_WIDENED, Hazard.AGENT_UNGUARDED})
"""Nobody lets these pass: they change who or what may decide."""


def _overridden(assessment: Assessment, requirements: tuple[Requirement, ...], evidence: Evidence, policy: Policy) -> Verdict | None:
    """The verdict where every effect that still needs proof is overridden: on this head, by someone the policy names, and not yet over."""
    open_ones = [requirement for requirement in requirements if requirement.proof.status is not Status.MET]
    if not open_ones or assessment.mistakes or any(not item.path for item in assessment.analysis.not_analysed) or not policy.enforced:
        return None
    known = frozenset(effect.id for effect in assessment.effects)
    never = frozenset(effect.id for effect in assessment.effects if effect.hazard in NEVER_OVERRIDDEN)
    valid = {
        override.effect: override
        for override in evidence.overrides
        if override.head == assessment.change.head
        and evidence.now < override.until
        and override.under in policy.overrides
        and override.effect in known - never
    }
    needed = dict.fromkeys(effect for requirement in open_ones for effect in requirement.effects)
    if not all(effect in valid for effect in needed):
        return None
    used = [valid[effect] for effect in needed]
    who = ", ".join(dict.fromkeys(override.by for override in used))
    unmet = tuple(dict.fromkeys(requirement.safeguard for requirement in open_ones))
    until = min(override.until for override in used)
    return Verdict(State.OVERRIDDEN, unmet, f"by {who} until {until:%Y-%m-%d}: {used[0].reason}")


def exempted(policy: Policy, evidence: Evidence) -> frozenset[str]:
    """The effects that the policy lets pass today: an exception counts through its last day (UTC), and not a moment longer."""
    return frozenset(exemption.effect for exemption in policy.exceptions if evidence.now.date() <= exemption.expires)


def _excepted(assessment: Assessment, evidence: Evidence, policy: Policy) -> Iterable[Excepted]:
    """The exceptions that this change makes use of, as the policy words them."""
    needed = {effect for demand in assessment.demands for effect in demand.effects}
    exempt = exempted(policy, evidence) & needed
    return (Excepted(one.effect, one.reason, one.expires.isoformat()) for one in policy.exceptions if one.effect in exempt)


def _prove(name: str, effect: Effect, given: Proof | None, assessment: Assessment, evidence: Evidence, policy: Policy) -> Proof:
    if given is not None and given.status is Status.MET:
        return given
    safeguard = safeguards.load(name)
    if safeguard.from_evidence is None:
        return given or missing("the change itself does not show it")
    return safeguard.from_evidence(effect, assessment, evidence, policy)


def _verdict(assessment: Assessment, requirements: tuple[Requirement, ...], policy: Policy) -> Verdict:
    """Red while a requirement is not met or the policy is wrong; in observe mode said, not enforced."""
    open_ones = [requirement for requirement in requirements if requirement.proof.status is not Status.MET]
    unmet = tuple(dict.fromkeys((*(["policy"] if assessment.mistakes else []), *(requirement.safeguard for requirement in open_ones))))
    if not unmet and assessment.change.files and any(not item.path for item in assessment.analysis.not_analysed):
        unmet = ("analysis",)
    if not unmet:
        harmful = sum(not effect.hazard.harmless for effect in assessment.effects)
        return Verdict(
            State.PASS,
            (),
            "Nothing dangerous was found"
            if not harmful
            else "Every safeguard that this change needs is proven"
            if requirements
            else f"{harmful} effect{'' if harmful == 1 else 's'}, none that needs a safeguard",
        )
    state = State.BLOCKED if policy.enforced or assessment.mistakes else State.OBSERVED
    worst = next((effect for effect in assessment.effects if any(effect.id in requirement.effects for requirement in open_ones)), None)
    if assessment.mistakes:
        first = assessment.mistakes[0]
        summary = f"The policy file is wrong: {first.message}"
    elif worst is None:
        summary = f"The list of changed files is not whole: {assessment.analysis.not_analysed[-1].why}"
    else:
        needed = list(dict.fromkeys(requirement.safeguard for requirement in open_ones))
        summary = f"{worst.message.rstrip('.')}; needs {', '.join(needed[:3])}{' and more' if len(needed) > 3 else ''}"
    return Verdict(state, unmet, summary)
