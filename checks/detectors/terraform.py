"""Terraform and OpenTofu resources that are destroyed, replaced, renamed or forgotten.

## What it detects
A resource, data-holding or not, whose address leaves the configuration of its directory, without a `moved` block that takes it elsewhere;
a `removed` block that destroys; instances that go because `count` falls or `for_each` loses a key; a module call that goes, with what is in
it; a directory that declares nothing any more; an argument changed that the provider can only apply by destroying and recreating; an
address renamed without `moved`, which is a destroy and a create. Locals, variable defaults, `*.tfvars` and the arguments of calls to local
modules are put in before comparing, so that `var.size` and the value it stands for are the same; the instances of a `for_each` over a
written-out map are compared one by one, each by its own values.

## Why it matters
`terraform apply` does it minutes after the merge. A database, bucket, disk or key that is destroyed takes its content along; protection
flags on the deleted block no longer help, since they are deleted with it. A rename looks like tidying and is the same loss.

## Example
```hcl
-resource "aws_db_instance" "main" {
+resource "aws_db_instance" "primary" {
```
The database is deleted and an empty one is created, because nothing says that the two addresses are one.

## What makes it safe
`moved { from = … to = … }` for a rename; `removed { from = … lifecycle { destroy = false } }` to let go of a resource without destroying it; a
plan made in trusted CI that shows the deletes and replaces and nothing else; a restore that was tried.

## What it cannot see
The state: whether the resource exists at all. Modules from a registry or another repository are known by their call alone. Values that only
a plan knows (data sources, attributes of other resources) are compared as text, so a change between two such texts is only a possibility.
Which arguments force a replacement is taken from the providers' schemas; the AWS table is of provider 5.43, and types newer than it have no entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers.hcl import Block, Expression, known, scalar
from checks.readers.terraform import Configuration, Flat, Resource, configuration, flat, instances
from checks.readers.terraform_facts import Replaced, is_guard, is_helper, is_light, loss, replaced_by, stateful
from checks.readers.terraform_steps import SINGLE, Pair, Step, collapsed, judged, line_of, local_source, said_once, steps

DESTROYED = Rule(
    "terraform/resource-destroyed", Hazard.RESOURCE_DESTROYED, Severity.MODERATE, Reversible.PARTLY, "A resource leaves the configuration"
)
DECLARED = Rule(
    "terraform/removal-declared", Hazard.RESOURCE_DESTROYED, Severity.MODERATE, Reversible.PARTLY, "A removed block destroys a resource"
)
INSTANCES = Rule(
    "terraform/instances-destroyed",
    Hazard.RESOURCE_DESTROYED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "Instances of a resource go because count falls or for_each loses keys",
)
RENAMED = Rule(
    "terraform/resource-renamed",
    Hazard.RESOURCE_REPLACED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A resource's address changes without a moved block",
)
REPLACED = Rule(
    "terraform/resource-replaced",
    Hazard.RESOURCE_REPLACED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "An argument changes that forces a resource to be recreated",
)
TRIGGERED = Rule(
    "terraform/replacement-triggered",
    Hazard.RESOURCE_REPLACED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A resource is recreated because its trigger changes",
    confidence=Confidence.POSSIBLE,
)
MODULE_REMOVED = Rule(
    "terraform/module-removed", Hazard.RESOURCE_DESTROYED, Severity.MODERATE, Reversible.PARTLY, "A module call leaves the configuration"
)
MODULE_CHANGED = Rule(
    "terraform/module-changed",
    Hazard.SUPPLY_CHANGED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A module comes from another source or another major version",
    confidence=Confidence.POSSIBLE,
)
DIRECTORY_REMOVED = Rule(
    "terraform/directory-removed",
    Hazard.RESOURCE_DESTROYED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A whole directory's configuration is gone",
    confidence=Confidence.POSSIBLE,
)
FORGOTTEN = Rule(
    "terraform/resource-forgotten",
    Hazard.RESOURCE_FORGOTTEN,
    Severity.LOW,
    Reversible.YES,
    "A resource stays but is no longer managed",
)

NAMED = 6
"""Names listed in a message."""


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    everything = list(steps(change, files))
    elsewhere: dict[str, str] = {}
    for step in everything:
        if step.through is None and step.variables_file is None:
            for new in step.new:
                elsewhere.setdefault(new.address, step.directory)

    def judge(step: Step) -> Iterator[Effect]:
        if step.variables_file is None and step.through is None:
            yield from _unreadable(step)
            if step.whole and not step.after:
                yield from _directory(change, step)
                return
            yield from _gone(change, step, elsewhere)
            yield from _renamed(change, step)
        for pair in step.changed:
            yield from _instances(change, step, pair)
            if pair.new.type == "module":
                yield from _module_changed(step, pair)
            else:
                yield from _replaced(step, pair)

    def told(step: Step) -> Iterator[Effect]:
        yield from collapsed(judge(step))

    found = list(judged(everything, told))
    yield from (effect for effect in found if effect.rule != MODULE_CHANGED.id)
    yield from said_once(effect for effect in found if effect.rule == MODULE_CHANGED.id)


def _unreadable(step: Step) -> Iterator[Effect]:
    before = {(path, piece.why) for path, piece in step.before.broken}
    for path, piece in step.newly_broken:
        # What could not be read before either (an encrypted file of values) is told, as something to know of.
        yield not_analysed(path, piece.why, piece.line, severity=Severity.LOW if (path, piece.why) in before else None)


# What is gone.


def _facts(step: Step, addresses: Iterable[str], action: str) -> tuple[tuple[str, str], ...]:
    return (*(("address", step.subject(address)) for address in addresses), ("directory", step.directory), ("action", action))


def _directory(change: Change, step: Step) -> Iterator[Effect]:
    before = step.before
    lost = [resource for resource in before.resources.values() if not is_helper(resource.type)]
    calls = [call for call in before.modules.values() if _contents(change, before, call) != []]
    everything = [*lost, *calls]
    if not everything:
        return
    path = next(iter(everything)).path
    severity = max((loss(resource.type)[0] for resource in lost), key=lambda value: value.rank, default=Severity.HIGH)
    worst = min(Severity.HIGH, severity, key=lambda value: value.rank)
    yield DIRECTORY_REMOVED.effect(
        subject=step.directory or ".",
        path=path,
        line=1,
        side=Side.BASE,
        severity=max(worst, Severity.MODERATE, key=lambda value: value.rank),
        before=_names([one.address for one in everything]),
        message=f"The directory {step.directory or '.'} declares nothing any more: {_count(len(lost), 'resource')} and {_count(len(calls), 'module call')} "
        "are destroyed if it is applied once more, and are left running unmanaged if it is not.",
        facts=_facts(step, (one.address for one in everything[:200]), "delete"),
    )


def _gone(change: Change, step: Step, elsewhere: Mapping[str, str]) -> Iterator[Effect]:
    plain: list[Resource] = []
    guards: list[Resource] = []
    for resource in step.gone:
        removed = step.after.removed.get(resource.address)
        kept = removed is not None and (removed.destroy is False or (removed.destroy is None and step.after.tofu))
        if kept and removed is not None:
            yield FORGOTTEN.effect(
                subject=resource.address,
                path=removed.path,
                line=removed.line,
                message=f"{resource.address} goes on existing but is no longer managed here.",
                facts=_facts(step, [resource.address], "forget"),
            )
        elif removed is not None:
            yield _declared(change, step, resource)
        elif resource.type == "module":
            yield from _module_removed(change, step, resource, elsewhere)
        elif not is_helper(resource.type) and _stands(step.before, resource):
            (guards if is_guard(resource.type) else plain).append(resource)
    yield from _destroyed(step, plain, elsewhere)
    yield from _guards_destroyed(step, guards)


def _guards_destroyed(step: Step, guards: Sequence[Resource]) -> Iterator[Effect]:
    """Guards that go while what they refer to stays: objects lost as well; that they guarded something is said elsewhere."""
    going = {resource.address for resource in step.gone}
    alone = [resource for resource in guards if not _references(step.before.body(resource)) & (going - {resource.address})]
    if not alone:
        return
    first = alone[0]
    path, line = step.where(first)
    addresses = [resource.address for resource in alone]
    many = len(alone) > 1
    yield DESTROYED.effect(
        subject=f"{step.subject(first.address)} and {len(alone) - 1} more" if many else step.subject(first.address),
        path=path,
        line=line,
        side=Side.BASE,
        severity=Severity.LOW,
        message=(
            f"{len(alone)} resources that guard or watch something are destroyed: {', '.join(addresses[:6])}{' and more' if len(alone) > 6 else ''}."
            if many
            else f"{first.address} is destroyed: its block is gone and nothing says that it moved or is to be kept."
        ),
        keeps=_keep_removed(first.address),
        facts=_facts(step, addresses, "delete"),
    )


def _references(body: Block) -> frozenset[str]:
    """Addresses of the managed resources that the arguments of a block name."""
    return frozenset(
        ".".join(part.name.split(".")[:2]) for value in body.attributes.values() for part in value.walk() if part.kind == "reference"
    )


def _stands(before: Configuration, resource: Resource) -> bool:
    """Whether there was an instance of it: `count = 0` made none."""
    body = before.body(resource)
    return instances(resource, body) not in (0, frozenset()) or any(value.assumed for value in _repeating(body))


def _repeating(body: Block) -> list[Expression]:
    return [value for value in (body.get("count"), body.get("for_each")) if value is not None]


def _declared(change: Change, step: Step, resource: Resource) -> Effect:
    removed = step.after.removed[resource.address]
    severity, reversible = _module_loss(change, step.before, resource) if resource.type == "module" else loss(resource.type)
    return DECLARED.effect(
        subject=resource.address,
        path=removed.path,
        line=removed.line,
        severity=severity,
        reversible=reversible,
        message=f"The removed block destroys {resource.address}{_holding(resource)}, because it does not say destroy = false.",
        keeps=f"removed {{\n  from = {resource.address}\n  lifecycle {{\n    destroy = false\n  }}\n}}",
        facts=_facts(step, [resource.address], "delete"),
    )


def _keep_removed(address: str) -> str:
    return f"removed {{\n  from = {address}\n  lifecycle {{\n    destroy = false\n  }}\n}}"


def _destroyed(step: Step, gone: Sequence[Resource], elsewhere: Mapping[str, str]) -> Iterator[Effect]:
    light = [resource for resource in gone if stateful(resource.type) is None]
    for resource in gone:
        if resource in light and len(light) > SINGLE:
            continue
        severity, reversible = loss(resource.type)
        sure = instances(resource, step.before.body(resource)) not in (0, frozenset())
        path, line = step.where(resource)
        new_home = elsewhere.get(resource.address)
        moved = new_home is not None and new_home != step.directory
        yield DESTROYED.effect(
            subject=step.subject(resource.address),
            path=path,
            line=line,
            side=Side.BASE,
            severity=severity if sure else severity.step(-1),
            reversible=reversible,
            confidence=Confidence.CERTAIN if sure else Confidence.POSSIBLE,
            message=(
                f"{resource.address}{_holding(resource)} is destroyed: it is declared in {new_home} now, which is another address unless a moved block or the state says so."
                if moved
                else f"{resource.address}{_holding(resource)} is destroyed: its block is gone and nothing says that it moved or is to be kept."
            ),
            keeps=_keep_removed(resource.address),
            facts=_facts(step, [resource.address], "delete"),
        )
    if len(light) > SINGLE:
        severity = max((loss(resource.type)[0] for resource in light), key=lambda value: value.rank)
        path, line = step.where(light[0])
        yield DESTROYED.effect(
            subject=f"{step.subject(light[0].address)} and {len(light) - 1} more",
            path=path,
            line=line,
            side=Side.BASE,
            severity=severity,
            before=_names([resource.address for resource in light]),
            message=f"{len(light)} resources are destroyed, as their blocks are gone: {_names([resource.address for resource in light])}.",
            keeps="\n".join(_keep_removed(resource.address) for resource in light[:NAMED]),
            facts=_facts(step, (resource.address for resource in light[:200]), "delete"),
        )


def _holding(resource: Resource) -> str:
    held = stateful(resource.type)
    return f" ({held.kind})" if held is not None else ""


def _names(addresses: Sequence[str]) -> str:
    return ", ".join(addresses[:NAMED]) + (f" and {len(addresses) - NAMED} more" if len(addresses) > NAMED else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# Modules.

_HOLDS_NOTHING = re.compile(r"(^|/)(terraform-)?(null-label|label)(/|$)|/label/null|//?utils?(/|$)|remote-state|stack-config|data-only")


def _contents(change: Change, before: Configuration, call: Resource) -> list[Resource] | None:
    """The resources of the module a call names, nested local modules included; None where it is not in this repository."""
    folder = local_source(before.directory, call)
    if folder is None:
        return [] if _holds_nothing(call) else None
    found: list[Resource] = []
    queue = [folder]
    seen: set[str] = set()
    while queue and len(seen) < 20:
        at = queue.pop()
        if at in seen:
            continue
        seen.add(at)
        inner = configuration(change.before, at)
        found += inner.resources.values()
        for nested in inner.modules.values():
            below = local_source(at, nested)
            if below is not None:
                queue.append(below)
            elif not _holds_nothing(nested):
                return None
    return found


_HOLDS_DATA = re.compile(
    r"(?<![a-z])(rds|aurora|db|sql|mysql|postgres\w*|mariadb|mssql|database|documentdb|docdb|neptune|dynamo\w*|cosmos\w*|spanner|bigtable|bigquery|redshift|"
    r"elasticache|redis|memorydb|opensearch|elasticsearch|msk|kafka|s3|buckets?|gcs|storage|efs|fsx|ebs|disks?|volumes?|backup|vault|kms|keys?|secrets?|"
    r"eks|gke|aks|clusters?|ecr|registry|cognito|project|account|state)(?![a-z])"
)
"""Words in a module's source that speak of something that holds data, or of much at once."""


def _may_hold(call: Resource) -> bool:
    """Whether the source of a module that is not here speaks of data."""
    source = call.body.get("source")
    if source is None or not isinstance(source.value, str):
        return True
    where = re.sub(r"^(git::)?\w+://[^/]+/|\?.*$", "", source.value.lower())
    return _HOLDS_DATA.search(where.rpartition("//")[2].replace("_", "-")) is not None


def _holds_nothing(call: Resource) -> bool:
    """Whether the module a call names is known to compute names or read state only."""
    source = call.body.get("source")
    return source is not None and isinstance(source.value, str) and _HOLDS_NOTHING.search(source.value) is not None


def _module_loss(change: Change, before: Configuration, call: Resource) -> tuple[Severity, Reversible]:
    inside = _contents(change, before, call)
    if inside is None:
        return (Severity.HIGH if _may_hold(call) else MODULE_REMOVED.severity), MODULE_REMOVED.reversible
    return max(
        (loss(resource.type) for resource in inside), key=lambda pair: (pair[0].rank, pair[1].rank), default=(Severity.LOW, Reversible.YES)
    )


def _module_removed(change: Change, step: Step, call: Resource, elsewhere: Mapping[str, str]) -> Iterator[Effect]:
    inside = _contents(change, step.before, call)
    if inside is not None and all(is_helper(resource.type) for resource in inside):
        return
    if not _stands(step.before, call):
        return
    severity, reversible = _module_loss(change, step.before, call)
    held = [resource.address for resource in inside or () if stateful(resource.type) is not None]
    what = (
        f"among them {_names(held)}"
        if held
        else f"{_count(len(inside), 'resource')}"
        if inside is not None
        else "whose contents are not in this repository"
    )
    yield MODULE_REMOVED.effect(
        subject=step.subject(call.address),
        path=call.path,
        line=call.line,
        side=Side.BASE,
        severity=severity,
        reversible=reversible,
        confidence=Confidence.LIKELY if inside is None else Confidence.CERTAIN,
        message=f"Everything in {call.address} is destroyed, {what}: the call is gone and nothing says that it moved.",
        keeps=_keep_removed(call.address),
        facts=_facts(step, [call.address], "delete"),
    )


_REF = re.compile(r"[?&]ref=([^&]+)")
_MAJOR = re.compile(r"^\s*(?:[~><=!]*\s*)?v?(\d+)(?:\.|\s|,|$)")


def _module_changed(step: Step, pair: Pair) -> Iterator[Effect]:
    old, new = pair.before.get("source"), pair.after.get("source")
    if old is None or new is None or not isinstance(old.value, str) or not isinstance(new.value, str):
        return
    old_source, old_version = _source(pair.before, old.value)
    new_source, new_version = _source(pair.after, new.value)
    local = old.value.startswith("."), new.value.startswith(".")
    majors = _MAJOR.match(old_version), _MAJOR.match(new_version)
    before = f"{old_source} {old_version}".strip()
    after = f"{new_source} {new_version}".strip()
    if old_source != new_source and not all(local):
        what = f"comes from {new_source} instead of {old_source}"
    elif majors[0] and majors[1] and majors[0].group(1) != majors[1].group(1):
        what = f"goes from major version {majors[0].group(1)} to {majors[1].group(1)}"
    else:
        return
    path, line = step.where(pair.new)
    yield MODULE_CHANGED.effect(
        subject=step.subject(pair.new.address),
        path=path,
        line=line,
        before=before,
        after=after,
        message=f"{pair.new.address} {what}: what it declares may be destroyed or replaced, which only a plan shows.",
        facts=_facts(step, [pair.new.address], "update"),
    )


def _source(call: Block, source: str) -> tuple[str, str]:
    """(where from, version), the protocol and a tag put aside."""
    found = _REF.search(source)
    version = call.get("version")
    plain = re.sub(r"^(git::)?(https://|ssh://)?(git@)?|\.git\b", "", source.partition("?")[0]).replace(":", "/").rstrip("/")
    return plain, found.group(1) if found else scalar(version.value) if version is not None else ""


# Renames.


def _renamed(change: Change, step: Step) -> Iterator[Effect]:
    for pair in step.renamed:
        old, new = pair.old, pair.new
        if is_helper(old.type) or not _stands(step.before, old):
            continue
        severity, reversible = _module_loss(change, step.before, old) if old.type == "module" else loss(old.type)
        if old.type == "module" and _contents(change, step.before, old) == []:
            continue
        yield RENAMED.effect(
            subject=old.address,
            path=new.path,
            line=new.line,
            severity=severity,
            reversible=reversible,
            before=old.address,
            after=new.address,
            message=f"{old.address}{_holding(old)} is destroyed and {new.address} created: without a moved block the two addresses are two resources.",
            keeps=f"moved {{\n  from = {old.address}\n  to   = {new.address}\n}}",
            facts=_facts(step, [old.address], "delete"),
        )


# Instances.


def _instances(change: Change, step: Step, pair: Pair) -> Iterator[Effect]:
    if is_helper(pair.old.type) or (pair.new.type == "module" and _contents(change, step.before, pair.old) == []):
        return
    old, new = instances(pair.old, pair.before), instances(pair.new, pair.after)
    each = pair.before.get("for_each"), pair.after.get("for_each")
    assumed = any(value.assumed for value in (*_repeating(pair.before), *_repeating(pair.after)))
    confidence = Confidence.LIKELY if assumed else Confidence.CERTAIN
    if (each[0] is None) != (each[1] is None):
        yield from _rekeyed(change, step, pair, old, new)
        return
    lost: list[str] = []
    what = ""
    if isinstance(old, frozenset) and isinstance(new, frozenset):
        moved = {source.removeprefix(pair.old.address + ".") for source in step.after.moved}
        lost = sorted(old - new - moved)
        what = f"for_each loses {_names([repr(key) for key in lost])}"
    elif isinstance(old, int) and isinstance(new, int) and new < old:
        if assumed and not _same_question(pair):
            return
        lost = [str(index) for index in range(new, min(old, new + 100))]
        what = f"count falls from {old} to {new}"
    elif old is None and new == 0 and not assumed:
        lost, what, confidence = ["0"], "count is 0 now", Confidence.LIKELY
    elif each[0] is not None and each[1] is not None and (old is None or new is None):
        lost = _lost_by_loop(each[0], each[1])
        what, confidence = f"for_each loses {_names([repr(key) for key in lost])}", Confidence.LIKELY
    if not lost:
        return
    severity, reversible = _module_loss(change, step.before, pair.old) if pair.old.type == "module" else loss(pair.old.type)
    path, line = step.where(pair.new)
    every = (new == 0) if isinstance(new, int) else not new and new is not None
    yield INSTANCES.effect(
        subject=step.subject(pair.new.address),
        path=path,
        line=line,
        severity=severity,
        reversible=reversible,
        confidence=confidence,
        before=", ".join(lost),
        message=f"{'Every instance' if every else _count(len(lost), 'instance')} of {pair.new.address}{_holding(pair.new)} is destroyed: {what}.",
        facts=_facts(step, [pair.new.address if every else f"{pair.new.address}.{key}" for key in lost[:100]], "delete"),
    )


def _same_question(pair: Pair) -> bool:
    """Whether a number that rests on defaults still rests on the same names: another variable may be set where the first was."""
    old, new = pair.old.body.get("count"), pair.new.body.get("count")
    return old is None or (new is not None and _names_in([new]) <= _names_in([old]))


def _rekeyed(
    change: Change, step: Step, pair: Pair, old: frozenset[str] | int | None, new: frozenset[str] | int | None
) -> Iterator[Effect]:
    """From one or counted instances to keyed ones, or back: the instances' addresses change, which only `moved` can follow."""
    address = pair.old.address
    if old in (0, frozenset()) or any(source == address or source.startswith(address + ".") for source in step.after.moved):
        return
    severity, reversible = _module_loss(change, step.before, pair.old) if pair.old.type == "module" else loss(pair.old.type)
    path, line = step.where(pair.new)
    to_keys = pair.after.get("for_each") is not None
    yield RENAMED.effect(
        subject=step.subject(address),
        path=path,
        line=line,
        severity=severity,
        reversible=reversible,
        confidence=Confidence.LIKELY,
        before="count" if to_keys and pair.before.get("count") else "one instance" if to_keys else "for_each",
        after="for_each" if to_keys else "count" if pair.after.get("count") else "one instance",
        message=f"Every instance of {address}{_holding(pair.old)} is destroyed and created anew: with{'' if to_keys else 'out'} for_each it has other addresses, and no moved block follows them.",
        keeps=f"moved {{\n  from = {address}{'' if to_keys else '[…]'}\n  to   = {address}{'[…]' if to_keys else ''}\n}}",
        facts=_facts(step, [address], "delete"),
    )


def _lost_by_loop(before: Expression, after: Expression) -> list[str]:
    """The keys a loop over a written-out collection loses, where the loop itself is the same."""
    old, new = _collection(before), _collection(after)
    if old is None or new is None or old[0] != new[0]:
        return []
    return sorted(old[1] - new[1])


def _collection(each: Expression) -> tuple[str, frozenset[str]] | None:
    """(the loop without what it runs over, the keys that come out) of `for k, v in {…} : k => …` and its likes over a written-out collection."""
    if each.kind == "call" and each.name in ("toset", "tomap") and len(each.items) == 1:
        each = each.items[0]
    words = [part.name if part.kind == "other" else "" for part in each.items]
    if each.kind != "other" or "in" not in words or ":" not in words[words.index("in") :]:
        return None
    at, colon = words.index("in") + 1, words.index(":", words.index("in"))
    over, result = each.items[at], each.items[colon + 1]
    first = words[2] if len(words) > 2 else ""
    if result.kind != "reference" or result.name.partition(".")[0] != first:
        return None
    if over.kind == "map" and result.name == first and all(key.kind == "literal" for key, _ in over.pairs):
        keys = frozenset(key.key for key, _ in over.pairs)
    elif over.kind == "list" and all(map(known, over.items)):
        keys = frozenset(_identity(item) for item in over.items)
    else:
        return None
    return each.text.replace(over.text, "…", 1), keys


def _identity(item: Expression) -> str:
    if item.kind == "map":
        for name in ("key", "name", "id"):
            found = item.get(name)
            if found is not None and found.kind == "literal":
                return found.key
    return item.key


# Replacement.

_SECRET = re.compile(
    r"passw|secret|token|private_key|credential|connection_string|user_data|custom_data|certificate|api_key|content", re.IGNORECASE
)
_TRIGGERS = ("keepers", "triggers", "triggers_replace", "rotation")


def _replaced(step: Step, pair: Pair) -> Iterator[Effect]:
    facts = replaced_by(pair.new.type)
    if is_helper(pair.new.type) or pair.old.type != pair.new.type or instances(pair.old, pair.before) == 0:
        return
    yield from _triggered(step, pair)
    if not facts.always and not facts.maybe:
        return
    found = list(_reasons(step, pair, facts))
    if not found:
        return
    confidence = max((reason[1] for reason in found), key=lambda value: value.rank)
    name, _, before, after = max(found, key=lambda reason: reason[1].rank)
    severity, reversible = loss(pair.new.type)
    if confidence is Confidence.POSSIBLE:
        severity = severity.step(-1)
    if stateful(pair.new.type) is None and (_first_creates(pair.after) or is_light(pair.new.type)):
        severity, reversible = Severity.LOW, Reversible.YES
    path, line = step.where(pair.new)
    if step.through is None and step.variables_file is None:
        line = line_of(pair.new, name)
    names = [reason[0] for reason in found]
    rule = TRIGGERED if names[0] in _TRIGGERS else REPLACED
    certainly = {Confidence.CERTAIN: "is", Confidence.LIKELY: "is, as far as the values are known,", Confidence.POSSIBLE: "may be"}[
        confidence
    ]
    yield rule.effect(
        subject=step.subject(pair.new.address),
        path=path,
        line=line,
        severity=severity,
        reversible=reversible,
        confidence=confidence,
        before=before,
        after=after,
        message=f"{pair.new.address}{_holding(pair.new)} {certainly} destroyed and created anew, because {_names(names)} cannot be changed in place.",
        keeps=f"lifecycle {{\n  ignore_changes = [{', '.join(name.partition('.')[0] for name in names[:NAMED])}]\n}}",
        facts=_facts(step, [pair.new.address], "replace"),
    )


def _first_creates(body: Block) -> bool:
    return any((value := block.get("create_before_destroy")) is not None and value.value is True for block in body.nested("lifecycle"))


def ignored(body: Block) -> frozenset[str]:
    """What `ignore_changes` names; `all` for everything."""
    names: set[str] = set()
    for block in body.nested("lifecycle"):
        value = block.get("ignore_changes")
        if value is not None:
            names |= {item.key for item in value.elements()}
    return frozenset(names)


_Reason = tuple[str, Confidence, str | None, str | None]


def _reasons(step: Step, pair: Pair, facts: Replaced) -> Iterator[_Reason]:
    """(argument, how sure, before, after) of each change that forces a replacement."""
    left = ignored(pair.after)
    if "all" in left:
        return
    old, new = flat(pair.before), flat(pair.after)
    heavy = stateful(pair.new.type) is not None
    for path in sorted(facts.always | facts.maybe):
        if any(path == name or path.startswith(name + ".") for name in left):
            continue
        sure = _difference(step, path, old, new, facts, heavy)
        if sure is None:
            continue
        if path in facts.maybe:
            sure = Confidence.POSSIBLE
        yield path, sure, _shown(path, old), _shown(path, new)


def _shown(path: str, at: Flat) -> str | None:
    values = at.values.get(path)
    if values is None:
        return None
    return (
        "(not shown)"
        if _SECRET.search(path)
        else ", ".join(scalar(value.value) if value.kind == "literal" else value.text for value in values)
    )


def _difference(step: Step, path: str, old: Flat, new: Flat, facts: Replaced, heavy: bool) -> Confidence | None:
    """How sure it is that `path` becomes another value, None where it stays or nothing is known."""
    counts = old.blocks.get(path), new.blocks.get(path)
    if counts != (None, None):
        if counts[0] == counts[1] or -1 in counts or path in facts.computed:
            return None
        return Confidence.LIKELY if counts[0] is None or counts[1] is None else Confidence.POSSIBLE
    before, after = old.values.get(path, ()), new.values.get(path, ())
    parent = path.rpartition(".")[0]
    if parent and -1 in (old.blocks.get(parent), new.blocks.get(parent)) and not (before and after):
        return None
    if before and after:
        return _changed(step, before, after, heavy)
    if path in facts.computed or not (before or after):
        return None
    present = before or after
    if all(_empty(value) for value in present):
        return None
    if parent and parent not in (old.blocks if before else new.blocks) and "." in path:
        pass
    if all(map(known, present)) and not any(value.assumed for value in present):
        return Confidence.LIKELY if before else Confidence.POSSIBLE
    return Confidence.POSSIBLE if heavy and before else None


def _empty(value: Expression) -> bool:
    return (value.kind == "literal" and value.value in (None, "", False, 0)) or (
        value.kind in ("list", "map") and not value.items and not value.pairs
    )


def _changed(step: Step, before: Sequence[Expression], after: Sequence[Expression], heavy: bool) -> Confidence | None:
    if sorted(value.text for value in before) == sorted(value.text for value in after):
        return None
    if all(map(known, (*before, *after))):
        if _plain(before) == _plain(after):
            return None
        return Confidence.LIKELY if any(part.assumed for value in (*before, *after) for part in value.walk()) else Confidence.CERTAIN
    left, right = _names_in(before), _names_in(after)
    words = _words(before), _words(after)
    if left == right:
        simple = all(part.kind in _SIMPLE for value in (*before, *after) for part in value.walk())
        return Confidence.LIKELY if simple and words[0] != words[1] else None
    roots = _resource_of(before), _resource_of(after)
    if (
        roots[0]
        and roots[1]
        and roots[0] != roots[1]
        and roots[0].partition(".")[0] == roots[1].partition(".")[0]
        and all(root in table for root in roots for table in (step.before.resources, step.after.resources))
    ):
        return Confidence.LIKELY
    if (
        heavy
        and words[0] != words[1]
        and words[0]
        and words[1]
        and all(part.kind in _SIMPLE for value in (*before, *after) for part in value.walk())
    ):
        return Confidence.POSSIBLE
    return None


_SIMPLE = frozenset({"literal", "reference", "template", "list"})
"""Kinds of which a difference in the literal parts is a difference in the value; of anything else it may be only another way to say it."""


def _plain(values: Sequence[Expression]) -> list[str]:
    """Values as a set is compared: order, and the case and spaces of a region's name, do not count."""
    out: list[str] = []
    for value in values:
        out += [scalar(item.value) if item.kind == "literal" else item.text for item in value.elements()]
    return sorted(re.sub(r"\s+", "", item).lower() for item in out)


_INDEX = re.compile(r"(\.\d+|\[[^\]]*\]|\.\*)")


def _names_in(values: Sequence[Expression]) -> frozenset[str]:
    """What values refer to, as whole things: a variable, a resource, a module's output; which attribute or instance does not count."""
    found = set()
    for value in values:
        for part in value.walk():
            if part.kind == "reference":
                steps_of = _INDEX.sub("", part.name).split(".")
                found.add(".".join(steps_of[: 3 if steps_of[0] in ("data", "module") else 2]))
    return frozenset(found)


def _words(values: Sequence[Expression]) -> list[str]:
    """The literal texts in values."""
    return sorted(
        scalar(part.value) for value in values for part in value.walk() if part.kind == "literal" and part.value not in (None, "", 0, "0")
    )


def _resource_of(values: Sequence[Expression]) -> str | None:
    """The managed resource that a single plain reference names."""
    if len(values) != 1 or values[0].kind != "reference":
        return None
    parts = values[0].name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and "_" in parts[0] else None


def _triggered(step: Step, pair: Pair) -> Iterator[Effect]:
    """`replace_triggered_by` gains something on a resource that holds data."""
    if stateful(pair.new.type) is None:
        return
    added = sorted(_triggers(pair.after) - _triggers(pair.before))
    if added:
        path, line = step.where(pair.new)
        severity, reversible = loss(pair.new.type)
        yield TRIGGERED.effect(
            subject=step.subject(pair.new.address),
            path=path,
            line=line,
            severity=severity.step(-1),
            reversible=reversible,
            after=", ".join(added),
            message=f"{pair.new.address}{_holding(pair.new)} is destroyed and created anew whenever {_names(added)} changes.",
            facts=_facts(step, [pair.new.address], "replace"),
        )


def _triggers(body: Block) -> frozenset[str]:
    return frozenset(
        item.text for block in body.nested("lifecycle") if (value := block.get("replace_triggered_by")) for item in value.elements()
    )


DETECTOR = Detector(
    name="terraform",
    title="Terraform resources destroyed, replaced, renamed or forgotten",
    rules=(
        DESTROYED,
        DECLARED,
        INSTANCES,
        RENAMED,
        REPLACED,
        TRIGGERED,
        MODULE_REMOVED,
        MODULE_CHANGED,
        DIRECTORY_REMOVED,
        FORGOTTEN,
    ),
    detect=detect,
    group=together,
    sure=True,
)
