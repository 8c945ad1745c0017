"""Progressive delivery that is taken away: Argo Rollouts and Flagger.

## What it detects
Canary steps, pauses and analyses that leave a Rollout, a Rollout that becomes a Deployment, Flagger canaries whose analysis, metrics or webhooks
go or whose thresholds allow more, and analysis templates that are deleted or made unable to fail.

## Why it matters
A staged rollout is the guard that stops a bad version while few people see it. Without its analysis it is a slow full rollout.

## Example
The steps of a Rollout shrink from 10, 50 and 100 percent with an analysis between them to a single `setWeight: 100`.

## What makes it safe
The same guard in another place: a background analysis instead of a step's, more or smaller steps. Those say nothing.

## What it cannot see
Thresholds kept in metric providers, and pauses that someone skips by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node
from checks.readers.kubernetes import Object
from checks.readers.manifests import Pair, manifests, once

_YES = Reversible.YES
STEPS = Rule("rollouts/steps-removed", Hazard.PROTECTION_REMOVED, Severity.HIGH, _YES, "A rollout reaches everyone in fewer steps")
ANALYSIS = Rule("rollouts/analysis-removed", Hazard.PROTECTION_REMOVED, Severity.HIGH, _YES, "A rollout is no longer judged while it runs")
THRESHOLD = Rule("rollouts/analysis-relaxed", Hazard.PROTECTION_REMOVED, Severity.MODERATE, _YES, "A rollout's analysis tolerates more")


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found = manifests(change, files)
    deployments = {pair.new.key.name for pair in found.of("Deployment") if pair.new is not None}
    effects: list[Effect] = []
    for pair in found.pairs:
        if pair.key.group == "argoproj.io" and pair.key.kind == "Rollout":
            effects += _rollout(pair, deployments)
        elif pair.key.group == "argoproj.io" and pair.key.kind in ("AnalysisTemplate", "ClusterAnalysisTemplate"):
            effects += _template(pair)
        elif pair.key.group == "flagger.app" and pair.key.kind == "Canary":
            effects += _canary(pair)
    yield from once(effects)


def _items(node: Node | None) -> tuple[Node, ...]:
    return (node.items or ()) if node is not None else ()


def _gone(rule: Rule, old: Object, message: str, severity: Severity | None = None) -> Effect:
    return rule.effect(
        subject=old.key.title, path=old.path, line=old.line, side=Side.BASE, severity=severity, message=message,
        confidence=Confidence.LIKELY if old.templated else None,
    )  # fmt: skip


def _rollout(pair: Pair, deployments: set[str]) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        if old.key.name in deployments:
            yield _gone(STEPS, old, f"{old.key.title} becomes a Deployment: every new version reaches everyone at once.")
        else:
            yield _gone(STEPS, old, f"{old.key.title} is gone, and with it the workload it staged.", Severity.MODERATE)
        return
    before, after = _steps(old), _steps(new)
    if (
        before and not any(step.text is None and step.get("setWeight") is not None for step in after) and _pauses(after) < _pauses(before)
    ) or _jump(before, after):
        yield STEPS.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec", "strategy")), before=_shown(before), after=_shown(after) or "none",
            message=f"{new.key.title} reaches everyone in fewer steps: {_shown(after) or 'none'} instead of {_shown(before)}.",
        )  # fmt: skip
    elif before and _pauses(after) < _pauses(before) and len(after) < len(before):
        yield STEPS.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec", "strategy")), before=_shown(before), after=_shown(after), severity=Severity.MODERATE,
            message=f"{new.key.title} pauses less often: {_pauses(after)} times instead of {_pauses(before)}.",
        )  # fmt: skip
    if _analyses(old) > 0 and _analyses(new) == 0:
        yield ANALYSIS.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec", "strategy")), before=f"{_analyses(old)} analyses",
            message=f"{new.key.title} goes on without any analysis: nothing stops a bad version.",
        )  # fmt: skip


def _steps(found: Object) -> tuple[Node, ...]:
    return _items(found.get("spec", "strategy", "canary", "steps"))


def _pauses(steps: Sequence[Node]) -> int:
    return sum(step.get("pause") is not None for step in steps)


def _weights(steps: Sequence[Node]) -> list[int]:
    return [weight for step in steps if (weight := k8s.number(step.get("setWeight"))) is not None]


def _jump(before: Sequence[Node], after: Sequence[Node]) -> bool:
    """Whether the first share of traffic newly is everyone."""
    was, now = _weights(before), _weights(after)
    return bool(was) and was[0] < 100 and (not now or now[0] >= 100)


def _shown(steps: Sequence[Node]) -> str:
    return ", ".join(f"{weight} %" for weight in _weights(steps)[:8])


def _analyses(found: Object) -> int:
    strategy = found.get("spec", "strategy")
    if strategy is None:
        return 0
    keys = ("analysis", "prePromotionAnalysis", "postPromotionAnalysis", "experiment")
    return sum(bool(path) and path[-1] in keys and not node.is_scalar for path, node in strategy.walk())


def _template(pair: Pair) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        yield _gone(ANALYSIS, old, f"{old.key.title} is gone: rollouts that name it are no longer judged by it.", Severity.MODERATE)
        return
    before = {metric.string("name"): metric for metric in _items(old.get("spec", "metrics"))}
    after = {metric.string("name"): metric for metric in _items(new.get("spec", "metrics"))}
    for name, metric in before.items():
        now = after.get(name)
        if now is None:
            if len(after) < len(before):
                yield THRESHOLD.effect(
                    subject=f"{new.key.title} {name}", path=new.path, line=new.at(new.get("spec", "metrics")), before=name,
                    message=f"{new.key.title} no longer measures {name}.",
                )  # fmt: skip
            continue
        for key in ("failureLimit", "consecutiveErrorLimit", "inconclusiveLimit"):
            was, limit = k8s.number(metric.get(key)) or 0, k8s.number(now.get(key)) or 0
            if limit > was and now.get(key) is not None:
                yield THRESHOLD.effect(
                    subject=f"{new.key.title} {name} {key}", path=new.path, line=new.at(now.get(key)), before=str(was), after=str(limit),
                    message=f"{new.key.title} tolerates {limit} failures of {name} instead of {was}.",
                )  # fmt: skip
        if metric.get("failureCondition") is not None and now.get("failureCondition") is None and now.get("successCondition") is None:
            yield THRESHOLD.effect(
                subject=f"{new.key.title} {name}", path=new.path, line=new.at(now), before="failureCondition", severity=Severity.HIGH,
                message=f"{name} of {new.key.title} can no longer fail.",
            )  # fmt: skip


def _canary(pair: Pair) -> Iterator[Effect]:
    old, new = pair.old, pair.new
    if old is None:
        return
    if new is None:
        yield _gone(STEPS, old, f"{old.key.title} is gone: new versions reach everyone at once.")
        return
    was, now = (item.get("spec", "analysis") or item.get("spec", "canaryAnalysis") for item in (old, new))
    if was is None:
        return
    if now is None or (k8s.truth(new.get("spec", "skipAnalysis")) and not k8s.truth(old.get("spec", "skipAnalysis"))):
        yield ANALYSIS.effect(
            subject=new.key.title, path=new.path, line=new.at(new.get("spec")), before="analysis",
            message=f"{new.key.title} promotes new versions without analysis.",
        )  # fmt: skip
        return
    for key in ("metrics", "webhooks"):
        lost = [
            item.string("name") or "?"
            for item in _items(was.get(key))
            if item.string("name") not in {one.string("name") for one in _items(now.get(key))}
        ]
        if lost and len(_items(now.get(key))) < len(_items(was.get(key))):
            yield THRESHOLD.effect(
                subject=f"{new.key.title} {key}", path=new.path, line=new.at(now), before=", ".join(lost),
                severity=Severity.HIGH if not _items(now.get(key)) else None, message=f"The analysis of {new.key.title} no longer asks {', '.join(lost)}.",
            )  # fmt: skip
    for key, worse in (("threshold", 1), ("stepWeight", 1), ("maxWeight", -1), ("iterations", -1)):
        one, other = k8s.number(was.get(key)), k8s.number(now.get(key))
        if one is not None and other is not None and (other - one) * worse > 0:
            yield THRESHOLD.effect(
                subject=f"{new.key.title} {key}", path=new.path, line=new.at(now.get(key)), before=str(one), after=str(other),
                message=f"{key} of {new.key.title} goes from {one} to {other}: a bad version gets further.",
            )  # fmt: skip


DETECTOR = Detector(
    name="rollouts",
    title="Progressive delivery",
    rules=(STEPS, ANALYSIS, THRESHOLD),
    detect=detect,
    group=together,
)
