"""How a unit reaches people, as far as its own folders say: in steps, judged by a machine, rolled back by one.

Sources: argo-rollouts.readthedocs.io/en/stable/features/specification, docs.flagger.app/usage/how-it-works,
docs.aws.amazon.com/serverless-application-model (DeploymentPreference), registry.terraform.io (aws_ecs_service, aws_codedeploy_deployment_group).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from checks.model import Change, Effect, Hazard, Proof, Tree, Unreadable
from checks.readers import kubernetes as k8s
from checks.readers.documents import Node, yaml
from checks.readers.hcl import Block, hcl
from checks.safeguards.base import failed, met, missing

FILES = 200
_INSIDE = frozenset(
    {
        "deploy",
        "deployment",
        "k8s",
        "kubernetes",
        "manifests",
        "helm",
        "chart",
        "charts",
        "templates",
        "infra",
        "terraform",
        "rollout",
        "rollouts",
        "base",
        "overlays",
        ".aws",
    }
)
"""Folders of a unit in which its delivery is described."""
_STAGED = re.compile(r"Canary|Linear", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One description found."""

    path: str
    name: str
    """The workload it is for, where it says so."""
    staged: str = ""
    """How it ships in steps that a machine judges, in words."""
    rollback: str = ""
    """What rolls it back without a person, in words."""


def deliveries(tree: Tree, path: str) -> Iterator[Delivery]:
    """What the folders of the unit that `path` belongs to say. Files that cannot be read say nothing."""
    for one in _files(tree, path):
        try:
            content = tree.read(one) or b""
            if one.endswith((".tf", ".tofu")):
                if b"aws_ecs_service" in content or b"aws_codedeploy" in content:
                    for block in hcl(content, one).blocks:
                        yield from _terraform(one, block)
            elif any(word in content for word in (b"Rollout", b"Canary", b"DeploymentPreference")):
                for node in yaml(content, one):
                    yield from _document(one, node)
        except Unreadable:
            continue


def _files(tree: Tree, path: str) -> list[str]:
    folder = path.rpartition("/")[0]
    parent = folder.rpartition("/")[0]
    found: dict[str, None] = {}
    for place in dict.fromkeys((folder, parent)):
        if place == "" and folder:
            continue
        for name, entry in tree.list(place).items():
            here = f"{place}/{name}" if place else name
            if entry.is_file:
                found[here] = None
            elif entry.is_directory and (name in _INSIDE):
                found.update({f"{here}/{inner}": None for inner in tree.list(here)})
    wanted = [one for one in found if one.endswith((".yml", ".yaml", ".tf", ".tofu", ".template"))]
    return wanted[:FILES]


def _document(path: str, node: Node) -> Iterator[Delivery]:
    kind, api = node.string("kind") or "", node.string("apiVersion") or ""
    name = node.string("metadata", "name") or ""
    if kind == "Rollout" and api.startswith("argoproj.io/"):
        strategy = node.get("spec", "strategy")
        keys = ("analysis", "prePromotionAnalysis", "postPromotionAnalysis")
        judged = strategy is not None and any(where and where[-1] in keys and _some(one.get("templates")) for where, one in strategy.walk())
        steps = node.get("spec", "strategy", "canary", "steps")
        some = steps is not None and any(
            (weight := k8s.number(step.get("setWeight"))) is not None and weight < 100 for step in steps.elements()
        )
        green = node.get("spec", "strategy", "blueGreen") is not None
        if judged:
            yield Delivery(
                path,
                name,
                f"the Rollout {name} goes in steps with analysis" if some or green else "",
                f"the analysis of the Rollout {name} aborts it",
            )
    elif kind == "Canary" and api.startswith("flagger.app/"):
        analysis = node.get("spec", "analysis") or node.get("spec", "canaryAnalysis")
        if analysis is not None and _some(analysis.get("metrics")) and k8s.truth(node.get("spec", "skipAnalysis")) is not True:
            target = node.string("spec", "targetRef", "name") or name
            yield Delivery(
                path, target, f"the Canary {name} goes in steps with analysis", f"the analysis of the Canary {name} rolls it back"
            )
    else:
        yield from _functions(path, node)


def _functions(path: str, template: Node) -> Iterator[Delivery]:
    """The functions of a SAM template: what each says itself goes before what `Globals` say for all."""
    everywhere = template.get("Globals", "Function", "DeploymentPreference")
    resources = template.get("Resources")
    for name, resource in resources.entries() if resources is not None else ():
        if resource.string("Type") != "AWS::Serverless::Function":
            continue
        asked = [one for one in (resource.get("Properties", "DeploymentPreference"), everywhere) if one is not None]
        enabled, kind, alarms = (
            next((found for one in asked if (found := one.get(key)) is not None), None) for key in ("Enabled", "Type", "Alarms")
        )
        if _some(alarms) and k8s.truth(enabled) is not False:
            staged = kind is not None and bool(_STAGED.search(kind.text or ""))
            yield Delivery(
                path, name, "the function shifts its traffic in steps under alarms" if staged else "", "an alarm rolls the function back"
            )


def _terraform(path: str, block: Block) -> Iterator[Delivery]:
    if block.type != "resource" or len(block.labels) != 2:
        return
    kind, name = block.labels
    address = f"{kind}.{name}"
    if kind == "aws_ecs_service":
        breaker = next(iter(block.nested("deployment_circuit_breaker")), None)
        if breaker is not None and _true(breaker, "enable") and _true(breaker, "rollback"):
            yield Delivery(path, address, "", f"the circuit breaker of {address} rolls it back")
    elif kind == "aws_codedeploy_deployment_group":
        rollback = next(iter(block.nested("auto_rollback_configuration")), None)
        alarm = next(iter(block.nested("alarm_configuration")), None)
        config = block.get("deployment_config_name")
        events = rollback.get("events") if rollback is not None else None
        on_alarm = events is not None and "DEPLOYMENT_STOP_ON_ALARM" in events.text
        if rollback is not None and alarm is not None and on_alarm and _true(rollback, "enabled") and _true(alarm, "enabled"):
            staged = config is not None and bool(_STAGED.search(config.text))
            yield Delivery(
                path, "", f"{address} shifts traffic in steps under alarms" if staged else "", f"{address} rolls back on an alarm"
            )


def _some(node: Node | None) -> bool:
    return node is not None and bool(node.elements())


def _true(block: Block, name: str) -> bool:
    value = block.get(name)
    return value is not None and value.text == "true"


def proof_of(effect: Effect, change: Change, effects: Iterable[Effect], told: Callable[[Delivery], str], otherwise: str) -> Proof:
    """Whether the unit of an effect is delivered at head in the way `told` speaks of (empty where it is not), and this change does not weaken that."""
    weakened = {other.path for other in effects if other.rule.startswith("rollouts/") or other.hazard is Hazard.PROTECTION_REMOVED}
    for found in deliveries(change.after, effect.path):
        if told(found) and (not found.name or _same(found.name, effect.subject)):
            if found.path in weakened:
                return failed(f"{found.path} has it, and this change weakens it")
            return met(f"{told(found)} ({found.path})")
    return missing(otherwise)


def _same(name: str, subject: str) -> bool:
    """Whether a description is for the thing an effect speaks of: its name stands in the subject, or the subject names no workload."""
    words = subject.replace("/", " ").replace(":", " ").split()
    return any(word.split(".")[-1] == name.split(".")[-1] for word in words) or (len(words) == 1 and "." not in subject)


# What to paste.

_OBJECT = re.compile(r"\b(Deployment|DaemonSet|StatefulSet|Rollout)[ /](?:[\w.-]+/)?([a-z0-9][a-z0-9.-]*)")
_ADDRESS = re.compile(r"\b((?:aws_ecs_service|aws_lambda_function|aws_lambda_alias)\.[A-Za-z_][\w-]*)")


def lines_for(effect: Effect, staged: bool) -> str:
    """Lines that give the very thing of an effect steps that a machine judges (`staged`), or a rollback without a person, with where they go."""
    text = f"{effect.subject} {' '.join(value for name, value in effect.facts if name == 'address')}"
    found = _OBJECT.search(text)
    if found is not None:
        return _ROLLOUT.format(name=found[2]) if found[1] == "Rollout" else _workload(found[1], found[2], staged)
    address = _ADDRESS.search(text)
    if address is not None and address[1].startswith("aws_ecs_service."):
        return (_ECS_STEPS if staged else _ECS_BACK).format(address=address[1], name=address[1].partition(".")[2])
    if address is not None or "lambda" in text.lower() or "AWS::Serverless::Function" in text:
        name = re.search(r"[A-Za-z][A-Za-z0-9]*\Z", effect.subject.split(" ")[0].replace("_", "").replace("-", ""))
        return _LAMBDA.format(name=name[0] if name else "Function")
    return _ANY


def _workload(kind: str, name: str, staged: bool) -> str:
    """Flagger for what it knows; a StatefulSet has steps of its own and nothing that judges them, so a Rollout takes its template over."""
    if kind == "StatefulSet":
        return _STATEFUL.format(name=name)
    return _CANARY.format(kind=kind, name=name, words="Beside it" if staged else "Beside it (a failed analysis takes it back)")


_CANARY = """{words}, with Flagger:

```yaml
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {{name: {name}}}
spec:
  targetRef: {{apiVersion: apps/v1, kind: {kind}, name: {name}}}
  service: {{port: 80}}
  analysis:
    interval: 1m
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    metrics: [{{name: request-success-rate, thresholdRange: {{min: 99}}, interval: 1m}}]
```"""
_ROLLOUT = """In the Rollout `{name}`:

```yaml
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: {name}}}
spec:
  strategy:
    canary:
      analysis: {{templates: [{{templateName: success-rate}}]}}
      steps: [{{setWeight: 10}}, {{pause: {{duration: 10m}}}}, {{setWeight: 50}}, {{pause: {{duration: 10m}}}}]
```"""
_STATEFUL = """A StatefulSet ships in order, but nothing judges it. What need not keep its place can be a Rollout:

```yaml
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: {name}}}
spec:
  strategy:
    canary:
      analysis: {{templates: [{{templateName: success-rate}}]}}
      steps: [{{setWeight: 10}}, {{pause: {{duration: 10m}}}}]
```"""
_ECS_BACK = """In the resource `{address}`:

```hcl
  deployment_circuit_breaker {{
    enable   = true
    rollback = true
  }}
```"""
_ECS_STEPS = """Beside `{address}` (with `deployment_controller {{ type = "CODE_DEPLOY" }}` in it):

```hcl
resource "aws_codedeploy_deployment_group" "{name}" {{
  deployment_config_name = "CodeDeployDefault.ECSCanary10Percent5Minutes"
  auto_rollback_configuration {{
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
  }}
  alarm_configuration {{
    enabled = true
    alarms  = ["{name}-errors"]
  }}
}}
```"""
_LAMBDA = """In its AWS SAM template:

```yaml
Resources:
  {name}:
    Type: AWS::Serverless::Function
    Properties:
      AutoPublishAlias: live
      DeploymentPreference:
        Type: Canary10Percent5Minutes
        Alarms: [Errors]
```"""
_ANY = """In its folder:

```yaml
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: NAME}
spec:
  strategy:
    canary:
      analysis: {templates: [{templateName: success-rate}]}
      steps: [{setWeight: 10}, {pause: {duration: 10m}}, {setWeight: 50}, {pause: {duration: 10m}}]
```"""
