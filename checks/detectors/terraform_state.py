"""Where Terraform keeps its state, and which account, region and provider version it acts on.

## What it detects
A backend whose bucket, key, prefix or workspace changes; state locking switched off; a provider pointed at another region, account, project or
role; a resource handed to another provider configuration; a provider taken from another source or with another major version.

## Why it matters
With another state key Terraform starts from nothing: it creates everything a second time beside what runs. With another region or account it
looks for its resources where they are not. Without a lock two runs write one state.

## Example
```hcl
 backend "s3" {
   bucket = "acme-state"
-  key    = "prod/network.tfstate"
+  key    = "prod/net.tfstate"
 }
```
The next apply sees an empty state and creates the network again.

## What makes it safe
`terraform init -migrate-state` in the same step, versioning and locking of the state's bucket, and a plan that shows no creations.

## What it cannot see
Settings passed on the command line (`-backend-config`, environment variables), and whether the state was moved by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity
from checks.readers.hcl import Block, Expression
from checks.readers.terraform import Configuration, flat
from checks.readers.terraform_facts import stateful
from checks.readers.terraform_steps import Step, collapsed, judged, said_once, steps

MOVED = Rule(
    "terraform-state/state-moved",
    Hazard.RESOURCE_REPLACED,
    Severity.HIGH,
    Reversible.PARTLY,
    "Terraform reads and writes another state",
    confidence=Confidence.POSSIBLE,
)
UNLOCKED = Rule(
    "terraform-state/locking-off", Hazard.PROTECTION_REMOVED, Severity.MODERATE, Reversible.YES, "The state is not locked any more"
)
REDIRECTED = Rule(
    "terraform-state/provider-redirected",
    Hazard.RESOURCE_REPLACED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A provider acts on another account or region",
    confidence=Confidence.LIKELY,
)
VERSION = Rule(
    "terraform-state/provider-version-changed",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A provider comes from another source or another major version",
    confidence=Confidence.POSSIBLE,
)

PLACES = frozenset({
    "bucket", "key", "prefix", "workspace_key_prefix", "storage_account_name", "container_name", "organization", "hostname", "address", "path",
    "schema_name", "secret_suffix", "namespace", "workspaces.name", "workspaces.prefix", "workspaces.project", "endpoint", "endpoints.s3", "region",
})  # fmt: skip
"""Backend arguments that say which state: developer.hashicorp.com/terraform/language/backend, one page a backend."""
TARGETS = frozenset({
    "region", "project", "subscription_id", "tenant_id", "profile", "host", "url", "api_url", "base_url", "account_id", "organization", "owner",
    "assume_role.role_arn", "assume_role_with_web_identity.role_arn", "config_context", "account", "account_name", "server_url", "vault_addr",
})  # fmt: skip
"""Provider arguments that say on what it acts."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    found = list(judged(steps(change, files), _judge))
    yield from collapsed(effect for effect in found if effect.rule != VERSION.id)
    yield from said_once(effect for effect in found if effect.rule == VERSION.id)


def _judge(step: Step) -> Iterator[Effect]:
    if step.through is not None or step.whole:
        return
    yield from _backend(step)
    yield from _providers(step)
    if step.variables_file is None:
        yield from _versions(step)
        yield from _handed(step)


def _known(block: Block | None, names: frozenset[str]) -> dict[str, Expression]:
    if block is None:
        return {}
    return {path: values[-1] for path, values in flat(block).values.items() if path in names and values[-1].kind == "literal"}


def _placed(configuration: Configuration) -> tuple[str, int]:
    for placed in configuration.settings:
        for block in placed.block.blocks:
            if block.type in ("backend", "cloud"):
                return placed.path, block.line
    return (
        (configuration.settings[0].path, configuration.settings[0].block.line) if configuration.settings else (configuration.directory, 1)
    )


def _backend(step: Step) -> Iterator[Effect]:
    old, new = step.before.cloud, step.after.cloud
    if old is None or not (step.before.resources or step.before.modules):
        return
    path, line = _placed(step.after)
    before = step.before.resolved(old)
    after = step.after.resolved(new) if new is not None else None
    kinds = " ".join((old.type, *old.labels)), " ".join((new.type, *new.labels)) if new is not None else "local state"
    changed: list[tuple[str, str, str]] = []
    if kinds[0] != kinds[1]:
        changed.append(("backend", *kinds))
    elif after is not None:
        was, now = _known(before, PLACES), _known(after, PLACES)
        changed = [(name, was[name].key, now[name].key) for name in sorted(was.keys() & now.keys()) if was[name].key != now[name].key]
    if changed:
        name, one, other = changed[0]
        yield MOVED.effect(
            subject=f"{step.directory or '.'} {name}",
            path=path,
            line=line,
            before=one,
            after=other,
            message=f"Terraform looks for the state of {step.directory or 'this configuration'} elsewhere ({name}: {other} instead of {one}); if it was not moved there, everything is created again.",
            facts=(("directory", step.directory),),
        )
    locks = [
        any(name in flat(block).values for name in ("dynamodb_table", "use_lockfile")) for block in (before, after) if block is not None
    ]
    off = (
        after is not None
        and (value := after.get("use_lockfile")) is not None
        and value.value is False
        and after.get("dynamodb_table") is None
    )
    if len(locks) == 2 and kinds[0] == kinds[1] and locks[0] and (not locks[1] or off):
        yield UNLOCKED.effect(
            subject=step.directory or ".",
            path=path,
            line=line,
            message="Two runs can write this state at once, as nothing locks it any more.",
        )


def _providers(step: Step) -> Iterator[Effect]:
    for name, placed in step.after.providers.items():
        old = step.before.providers.get(name)
        if old is None:
            continue
        was, now = _known(step.before.resolved(old.block), TARGETS), _known(step.after.resolved(placed.block), TARGETS)
        changed = [target for target in sorted(was.keys() & now.keys()) if was[target].key != now[target].key]
        if changed:
            target = changed[0]
            yield REDIRECTED.effect(
                subject=f"provider.{name} {target}",
                path=step.variables_file or placed.path,
                line=1 if step.variables_file else placed.block.line,
                before=was[target].key,
                after=now[target].key,
                message=f"Everything under the provider {name} is looked for, and created, in another {target.rpartition('.')[2].replace('_', ' ')}: {now[target].key} instead of {was[target].key}.",
            )


def _handed(step: Step) -> Iterator[Effect]:
    """A resource given to another configuration of its provider."""
    for pair in step.changed:
        one, other = pair.old.provider, pair.new.provider
        if one == other or pair.old.type == "module" or one.partition(".")[0] != other.partition(".")[0]:
            continue
        targets = [
            _known(placed.block, TARGETS) if (placed := table.get(name)) else {}
            for table, name in ((step.before.providers, one), (step.after.providers, other))
        ]
        if targets[0] and {key: value.key for key, value in targets[0].items()} == {key: value.key for key, value in targets[1].items()}:
            continue
        yield REDIRECTED.effect(
            subject=f"{pair.new.address} provider",
            path=pair.new.path,
            line=pair.new.line,
            severity=Severity.HIGH if stateful(pair.new.type) is not None else Severity.MODERATE,
            before=one,
            after=other,
            message=f"{pair.new.address} is created again where the provider {other} points, and the one under {one} is left behind.",
            facts=(("address", pair.new.address), ("directory", step.directory), ("action", "replace")),
        )


_MAJOR = re.compile(r"\s*+[~><=!]*+\s*+v?(\d+)")


def _versions(step: Step) -> Iterator[Effect]:
    old, new = _required(step.before), _required(step.after)
    for name in sorted(old.keys() & new.keys()):
        (old_source, old_version, _, _), (new_source, new_version, path, line) = old[name], new[name]
        majors = _MAJOR.match(old_version), _MAJOR.match(new_version)
        if old_source and new_source and old_source != new_source:
            what = f"comes from {new_source} instead of {old_source}"
        elif (
            majors[0]
            and majors[1]
            and majors[0].group(1) != majors[1].group(1)
            and not old_version.startswith((">", "<"))
            and not new_version.startswith((">", "<"))
        ):
            what = f"goes from major version {majors[0].group(1)} to {majors[1].group(1)}"
        else:
            continue
        yield VERSION.effect(
            subject=f"provider {name}",
            path=path,
            line=line,
            before=f"{old_source} {old_version}".strip(),
            after=f"{new_source} {new_version}".strip(),
            message=f"The provider {name} {what}: its defaults and what it replaces may differ, which only a plan shows.",
        )


def _required(configuration: Configuration) -> dict[str, tuple[str, str, str, int]]:
    """(source, version, path, line) of each required provider."""
    found = {}
    for placed in configuration.settings:
        for block in placed.block.nested("required_providers"):
            for name, value in block.attributes.items():
                source, version = value.get("source"), value.get("version")
                text = version.key if version is not None else value.key if value.kind == "literal" else ""
                plain = (
                    source.key.lower().removeprefix("registry.terraform.io/").removeprefix("registry.opentofu.org/")
                    if source is not None
                    else ""
                )
                found[name] = (plain, text, placed.path, value.line)
    return found


DETECTOR = Detector(
    name="terraform-state",
    title="Terraform's state and what it acts on",
    rules=(MOVED, UNLOCKED, REDIRECTED, VERSION),
    detect=detect,
    group=together,
)
