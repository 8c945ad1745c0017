"""What the gate itself depends on: its policy, and the workflows whose results it takes for proof.

## What it detects

Changes of `.github/interlock.yml` that demand less: observing instead of enforcing, fewer safeguards or softer ones, new exceptions, more people
who may override, proof from elsewhere or older, places that are no longer production. A policy that can no longer be understood. And changes of a
workflow that the policy on the base branch names as evidence, or of the actions, scripts and Makefiles of this repository that it names.

## Why it matters

Whoever can change what the gate demands, or what it takes for proof, needs no way round it. So such a change is judged under the policy as it was,
and evidence of a workflow that the same change touches does not count.

## Example

```yaml
- mode: enforce
+ mode: observe
```

## What makes it safe

The change stands alone, and the gate is enforced by rules that its author cannot change.

## What it cannot see

The organisation's policy, and what a workflow calls outside this repository or through programs that it installs.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from checks.closure import closure
from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, Environment, FileChange, Hazard, Question, Reversible, Severity, Side, Tree, Unreadable
from checks.readers.documents import one_yaml

if TYPE_CHECKING:
    from checks.policy import Policy
    from checks.safeguards.defaults import Groups

PATH = ".github/interlock.yml"

LOOSENED = Rule(
    "gate/policy-loosened", Hazard.GATE_CHANGED, Severity.HIGH, Reversible.YES, "The gate's policy demands less", Question.FORCED
)
BROKEN = Rule(
    "gate/policy-broken", Hazard.GATE_CHANGED, Severity.MODERATE, Reversible.YES, "The gate's policy cannot be understood", Question.FORCED
)
CHANGED = Rule(
    "gate/policy-changed", Hazard.GATE_CHANGED, Severity.LOW, Reversible.YES, "The gate's policy says something else", Question.FORCED
)
EVIDENCE = Rule(
    "gate/evidence-changed",
    Hazard.GATE_CHANGED,
    Severity.HIGH,
    Reversible.YES,
    "What the gate takes for proof is made otherwise",
    Question.FORCED,
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects on the policy and on the workflows it names."""
    if any(PATH in (file.path, file.base_path) for file in files):
        yield from _policy(change)
    yield from _evidence(change, files)


def _policy(change: Change) -> Iterator[Effect]:
    from checks.policy import parse, read_policy

    before = read_policy(change.before)
    if change.before.entry(PATH) is None or before.mistakes:
        return
    entry = change.after.entry(PATH)
    if entry is None:
        yield LOOSENED.effect(
            subject=PATH,
            path=PATH,
            side=Side.BASE,
            before=before.mode,
            after="no policy",
            message="The gate's policy is removed; the built-in requirements take its place.",
        )
        return
    try:
        content = change.after.read(PATH) if entry.is_file else b""
        parsed, wrong = parse(content or b"", PATH)
    except Unreadable as unreadable:
        yield not_analysed(PATH, unreadable.why)
        return
    if parsed is None:
        yield BROKEN.effect(
            subject=PATH,
            path=PATH,
            line=wrong[0].line,
            after=wrong[0].message,
            message="The gate's policy cannot be understood any more, and blocks every pull request until it can.",
        )
        return
    after = read_policy(change.after)
    reasons = tuple(loosened(before, after))
    if reasons:
        more = f" and {len(reasons) - 4} more" if len(reasons) > 4 else ""
        yield LOOSENED.effect(
            subject=PATH,
            path=PATH,
            line=1,
            after="; ".join(reasons[:6]),
            message=f"The gate demands less once this merges: {'; '.join(reasons[:4])}{more}.",
        )
    elif _values(before) != _values(after):
        yield CHANGED.effect(
            subject=PATH, path=PATH, line=1, message="The gate's policy says something else once this merges, and nothing less than before."
        )


def _values(policy: Policy) -> tuple[object, ...]:
    return (
        policy.mode,
        policy.applies_to,
        policy.environments,
        policy.units,
        policy.evidence,
        policy.requirements,
        policy.exceptions,
        policy.overrides,
    )


def loosened(before: Policy, after: Policy) -> Iterator[str]:
    """In which ways a policy demands less than another, in words."""
    if before.enforced and not after.enforced:
        yield "it only observes"
    if before.applies_to == "everyone" and after.applies_to != "everyone":
        yield "it no longer applies to everyone"
    yield from _demands(before, after)
    known = {exemption.effect: exemption.expires for exemption in before.exceptions}
    for exemption in after.exceptions:
        if known.get(exemption.effect, datetime.date.min) < exemption.expires:
            yield f"the effect {exemption.effect} needs no proof until {exemption.expires}"
    if fresh := sorted(set(after.overrides) - set(before.overrides)):
        yield f"{', '.join(fresh[:3])} may override"
    for name, sources in after.evidence:
        was = before.sources(name)
        for source in sources:
            if was and source not in was and not any(_stricter(source, old) for old in was):
                yield f"{name} may be proven otherwise"
                break
    was_there, is_there = dict(before.environments), dict(after.environments)
    if set(was_there.get(Environment.PRODUCTION, ())) - set(is_there.get(Environment.PRODUCTION, ())):
        yield "places are no longer named as production"
    for softer in (Environment.DEVELOPMENT, Environment.STAGING):
        if set(is_there.get(softer, ())) - set(was_there.get(softer, ())):
            yield f"places are newly named as {softer}"


def _stricter(new: object, old: object) -> bool:
    from checks.policy import Source

    assert isinstance(new, Source) and isinstance(old, Source)
    pairs = ((old.app, new.app), (old.workflow, new.workflow), (old.check, new.check), (old.artifact, new.artifact))
    return (
        all(was is None or was == now for was, now in pairs)
        and (new.within_days or 30) <= (old.within_days or 30)
        and (24 if new.hours is None else new.hours) >= (24 if old.hours is None else old.hours)
    )


def _demands(before: Policy, after: Policy) -> Iterator[str]:
    """Hazards and rules for which some effect needs less than it did."""
    named = {name for name, _, _ in (*before.requirements, *after.requirements) if "/" in name}
    hazards = [hazard for hazard in Hazard if not hazard.harmless]
    cases = [("x/x", hazard, hazard.value) for hazard in hazards] + [(name, Hazard.GATE_CHANGED, name) for name in sorted(named)]
    for rule, hazard, words in cases:
        for severity in Severity:
            for environment in Environment:
                effect = _imagined(rule, hazard, severity, environment)
                if not _implies(after.demanded(effect)[0], before.demanded(effect)[0]):
                    yield f"{words} needs less"
                    break
            else:
                continue
            break


def _imagined(rule: str, hazard: Hazard, severity: Severity, environment: Environment) -> Effect:
    return Effect(rule, hazard, severity, Confidence.CERTAIN, Reversible.NO, "x", "x", None, Side.HEAD, "x", environment)


def _implies(new: Groups, old: Groups) -> bool:
    """Whether whatever satisfies `new` satisfies `old`: each old group holds a new one."""
    return all(any(set(one) <= set(group) for one in new) for group in old)


def _evidence(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    touched = {path for file in files for path in (file.path, file.base_path)}
    for workflow in _workflows(change.tip):
        if change.before.entry(workflow) is None:
            continue
        members = closure(change.before, workflow) or (workflow,)
        changed = [path for path in members if path in touched and not _same(change, path)]
        if changed:
            what = "" if changed[0] == workflow else f" calls {changed[0]}, which changes, and"
            yield EVIDENCE.effect(
                subject=workflow,
                path=changed[0],
                side=Side.HEAD if change.after.entry(changed[0]) else Side.BASE,
                after=", ".join(changed[:5]),
                message=f"The workflow {workflow}{what} makes the proof that the gate relies on; what it proves changes with it.",
            )


def _workflows(tip: Tree) -> tuple[str, ...]:
    """The workflows that the policy on the base branch names as evidence."""
    try:
        content = tip.read(PATH)
        document = one_yaml(content, PATH) if content else None
    except Unreadable:
        return ()
    evidence = document.get("evidence") if document is not None and document.is_map else None
    if evidence is None:
        return ()
    return tuple(dict.fromkeys(node.text for where, node in evidence.walk() if where and where[-1] == "workflow" and node.text))


def _same(change: Change, path: str) -> bool:
    """Whether a file says the same on both sides; a workflow or action whatever its comments and formatting."""
    if change.before.entry(path) == change.after.entry(path):
        return True
    try:
        old, new = change.before.read(path), change.after.read(path)
        if old is None or new is None or not path.endswith((".yml", ".yaml")):
            return False
        before, after = one_yaml(old, path), one_yaml(new, path)
    except Unreadable:
        return False
    return before is not None and after is not None and before.plain_value() == after.plain_value()


DETECTOR = Detector(
    name="gate", title="What the gate depends on", rules=(LOOSENED, BROKEN, CHANGED, EVIDENCE), detect=detect, group=together, sure=True
)
