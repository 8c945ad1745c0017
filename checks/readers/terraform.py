"""A Terraform or OpenTofu directory at one tree as one configuration: every block by its address, and values resolved as far as text allows.

Terraform reads a directory, not files: `configuration` takes the union of what stands there, override files merged. `resolve` follows locals,
variable defaults and variables files, and folds what needs nothing from outside, so that `var.size` and `"large"` compare as what they become.
Sources: developer.hashicorp.com/terraform/language/files (override files, variables files), /language/moved, /language/resources/syntax;
opentofu.org/docs/language/files (a `.tofu` file stands in for the `.tf` file of the same name).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from checks.model import Tree, Unreadable
from checks.readers.hcl import Block, Broken, Expression, File, hcl, joined, known, literal, scalar

ENDINGS = (".tf", ".tofu", ".tf.json", ".tofu.json")
FILES = 1_000
"""Files of one directory."""
STEPS = 100_000
"""Steps of resolving one expression, the size of every value put in counted: names that double each other must end."""
SIZE = 50_000
"""Parts of one name's value; a larger one stays unknown."""
LEVELS = 12
"""Names followed one inside another."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource, data source or module call."""

    address: str
    """`aws_s3_bucket.logs`, `data.aws_ami.base`, `module.vpc`: without the module it stands in and without an instance's index."""
    type: str
    """The resource type; `module` for a module call."""
    name: str
    path: str
    line: int
    end: int
    body: Block
    """As written: see `Configuration.body` for the resolved values."""
    provider: str
    """`aws`, or `aws.west` where `provider = aws.west`."""

    @property
    def lifecycle(self) -> Block | None:
        return next(iter(self.body.nested("lifecycle")), None)


@dataclass(frozen=True, slots=True)
class Placed:
    """A block with the file it stands in."""

    path: str
    block: Block


@dataclass(frozen=True, slots=True)
class Removed:
    """A `removed` block."""

    address: str
    path: str
    line: int
    destroy: bool | None
    """None where it does not say: Terraform then destroys, OpenTofu then forgets."""


@dataclass(frozen=True)
class Configuration:
    """What one directory declares at one tree. Nothing in it is looked up again; resolving is lazy and kept."""

    directory: str
    resources: Mapping[str, Resource]
    """Managed resources by address."""
    data: Mapping[str, Resource]
    modules: Mapping[str, Resource]
    providers: Mapping[str, Placed]
    """By `name` or `name.alias`."""
    settings: tuple[Placed, ...]
    """The `terraform` blocks."""
    variables: Mapping[str, Placed]
    outputs: Mapping[str, Placed]
    locals: Mapping[str, Expression]
    checks: Mapping[str, Placed]
    moved: Mapping[str, str]
    """From address to address."""
    removed: Mapping[str, Removed]
    imports: frozenset[str]
    broken: tuple[tuple[str, Broken], ...]
    """(path, piece) of everything that cannot be read."""
    values: Mapping[str, Expression] = field(default_factory=dict)
    """What variables files set."""
    tofu: bool = False
    """A `.tofu` file is there: OpenTofu's defaults hold."""
    unread: bool = False
    """Nothing of it was read, as it is over the limits."""
    _bodies: dict[str, Block] = field(default_factory=dict, compare=False, repr=False)

    def __bool__(self) -> bool:
        return any((
            self.resources, self.data, self.modules, self.settings, self.providers, self.broken, self.variables, self.locals,
            self.moved, self.removed, self.imports,
        ))  # fmt: skip

    def resolve(self, expression: Expression) -> Expression:
        """`expression` with everything known put in. What is not known stays as its canonical text."""
        return self._scope.resolved(expression)

    def body(self, resource: Resource) -> Block:
        """The resource's body with every value resolved."""
        found = self._bodies.get(resource.address)
        if found is None:
            found = self._bodies[resource.address] = self.resolved(resource.body)
        return found

    def instance(self, resource: Resource, key: str, value: Expression) -> Block:
        """The resource's body as one instance of its `for_each` sees it, without the `for_each`."""
        scope = _Scope(self)
        scope.names = {**self._scope.names, "each.key": literal(key), "each.value": value}
        body = _resolved(resource.body, scope)
        return replace(body, attributes={name: found for name, found in body.attributes.items() if name != "for_each"})

    def resolved(self, block: Block) -> Block:
        """Any block with every value resolved."""
        return _resolved(block, self._scope)

    def get(self, address: str) -> Resource | None:
        """A resource, data source or module call by its address."""
        return self.resources.get(address) or self.data.get(address) or self.modules.get(address)

    def with_values(self, values: Mapping[str, Expression]) -> Configuration:
        """The same configuration called with other values for its variables (a variables file, a module's arguments)."""
        return replace(self, values={**self.values, **values}, _bodies={})

    @cached_property
    def _scope(self) -> _Scope:
        return _Scope(self)

    @cached_property
    def cloud(self) -> Block | None:
        """The `backend` or `cloud` block, None where state is kept locally."""
        for placed in self.settings:
            for block in placed.block.blocks:
                if block.type in ("backend", "cloud"):
                    return block
        return None


def configuration(tree: Tree, directory: str) -> Configuration:
    """What `directory` declares at `tree`; empty (false) where it declares nothing. What cannot be read stands in `broken`; never raises."""
    entries = {
        name: entry for name, entry in tree.list(directory).items() if entry.is_file and (name.endswith(ENDINGS) or _is_automatic(name))
    }
    prefix = f"{directory}/" if directory else ""
    if len(entries) > FILES:
        why = f"{len(entries):,} files of one configuration are over the limit of {FILES:,}"
        # As text stands what would tell whether anything changed: the files' ids.
        piece = Broken(1, 1, why, " ".join(sorted(name + entry.oid for name, entry in entries.items())))
        return replace(_configuration(directory, ()), broken=((prefix + min(entries), piece),), unread=True)
    files: list[tuple[str, bytes]] = []
    broken: list[tuple[str, Broken]] = []
    for name in sorted(entries):
        try:
            data = tree.read(prefix + name)
        except Unreadable as unreadable:
            broken.append((prefix + name, Broken(1, 1, unreadable.why, entries[name].oid)))
            continue
        if data is not None:
            files.append((prefix + name, data))
    found = _configuration(directory, tuple(files))
    contents = dict(files)
    for path, piece in found.broken:
        if piece.text == contents[path].decode("utf-8", "replace"):
            # What is kept in memory is not read again, so that nothing would be written down: it is written down here.
            Unreadable(path, piece.why, piece.line).of(contents[path])
    return replace(found, broken=(*found.broken, *broken)) if broken else found


def variables(tree: Tree, path: str) -> Mapping[str, Expression]:
    """What the variables file at `path` sets; empty where there is none, or none that can be read."""
    try:
        data = tree.read(path)
        return hcl(data, path).attributes if data is not None else {}
    except Unreadable:
        return {}


def _is_automatic(name: str) -> bool:
    return name in ("terraform.tfvars", "terraform.tfvars.json") or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def directory_of(path: str) -> str:
    """The folder a path stands in."""
    return path.rpartition("/")[0]


@lru_cache(maxsize=64)
def _configuration(directory: str, files: tuple[tuple[str, bytes], ...]) -> Configuration:
    parsed: list[File] = []
    overrides: list[File] = []
    values: dict[str, Expression] = {}
    broken: list[tuple[str, Broken]] = []
    stems = {path.partition(".tofu")[0] for path, _ in files if path.endswith((".tofu", ".tofu.json"))}
    for path, data in files:
        if path.endswith((".tf", ".tf.json")) and path.partition(".tf")[0] in stems:
            continue
        try:
            file = hcl(data, path)
        except Unreadable as unreadable:
            broken.append(
                (path, Broken(unreadable.line or 1, unreadable.line or 1, unreadable.why, data.decode("utf-8", "backslashreplace")))
            )
            continue
        broken += ((path, piece) for piece in file.broken)
        name = path.rpartition("/")[2]
        if _is_automatic(name):
            values.update(file.attributes)
        else:
            stem = name.partition(".")[0]
            (overrides if stem == "override" or stem.endswith("_override") else parsed).append(file)
    gathered = _Gathered()
    for file in parsed:
        for block in file.blocks:
            gathered.add(file.path, block)
    for file in overrides:
        for block in file.blocks:
            gathered.override(file.path, block)
    return Configuration(
        directory=directory,
        resources=gathered.resources,
        data=gathered.data,
        modules=gathered.modules,
        providers=gathered.providers,
        settings=tuple(gathered.settings),
        variables=gathered.variables,
        outputs=gathered.outputs,
        locals=gathered.locals,
        checks=gathered.checks,
        moved=gathered.moved,
        removed=gathered.removed,
        imports=frozenset(gathered.imports),
        broken=tuple(broken),
        values=values,
        tofu=bool(stems),
    )


class _Gathered:
    """The blocks of a directory's files, by address."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.data: dict[str, Resource] = {}
        self.modules: dict[str, Resource] = {}
        self.providers: dict[str, Placed] = {}
        self.settings: list[Placed] = []
        self.variables: dict[str, Placed] = {}
        self.outputs: dict[str, Placed] = {}
        self.locals: dict[str, Expression] = {}
        self.checks: dict[str, Placed] = {}
        self.moved: dict[str, str] = {}
        self.removed: dict[str, Removed] = {}
        self.imports: list[str] = []

    def add(self, path: str, block: Block) -> None:
        kind, labels = block.type, block.labels
        if kind == "resource" and len(labels) == 2:
            resource = _resource(path, block, "")
            self.resources[resource.address] = resource
        elif kind == "data" and len(labels) == 2:
            resource = _resource(path, block, "data.")
            self.data[resource.address] = resource
        elif kind == "module" and len(labels) == 1:
            address = f"module.{labels[0]}"
            self.modules[address] = Resource(address, "module", labels[0], path, block.line, block.end, block, "")
        elif kind == "locals":
            self.locals.update(block.attributes)
        elif kind == "variable" and labels:
            self.variables[labels[0]] = Placed(path, block)
        elif kind == "output" and labels:
            self.outputs[labels[0]] = Placed(path, block)
        elif kind == "provider" and labels:
            alias = block.get("alias")
            self.providers[labels[0] if alias is None else f"{labels[0]}.{alias.key}"] = Placed(path, block)
        elif kind == "terraform":
            self.settings.append(Placed(path, block))
        elif kind == "check" and labels:
            self.checks[labels[0]] = Placed(path, block)
        else:
            self.turn(path, block)

    def turn(self, path: str, block: Block) -> None:
        """A block that says what becomes of an address."""
        source, target = block.get("from"), block.get("to")
        if block.type == "moved" and source is not None and target is not None:
            self.moved[source.key] = target.key
        elif block.type == "removed" and source is not None:
            destroy = next((inner.get("destroy") for inner in block.nested("lifecycle")), None)
            says = destroy.value if destroy is not None and isinstance(destroy.value, bool) else None
            self.removed[source.key] = Removed(source.key, path, block.line, says)
        elif block.type == "import" and target is not None:
            self.imports.append(target.key)

    def override(self, path: str, block: Block) -> None:
        """An override file's block merged into the one of the same address; where there is none it is added."""
        kind, labels = block.type, block.labels
        tables: dict[str, tuple[dict[str, Resource], str]] = {
            "resource": (self.resources, ".".join(labels)),
            "data": (self.data, "data." + ".".join(labels)),
            "module": (self.modules, "module." + ".".join(labels)),
        }
        table, address = tables.get(kind, ({}, ""))
        if address in table:
            old = table[address]
            table[address] = replace(old, body=_merged(old.body, block))
        elif kind == "variable" and labels and labels[0] in self.variables:
            placed = self.variables[labels[0]]
            self.variables[labels[0]] = Placed(placed.path, _merged(placed.block, block))
        else:
            self.add(path, block)


def _resource(path: str, block: Block, prefix: str) -> Resource:
    kind, name = block.labels
    provider = block.get("provider")
    return Resource(
        address=f"{prefix}{kind}.{name}",
        type=kind,
        name=name,
        path=path,
        line=block.line,
        end=block.end,
        body=block,
        provider=provider.key if provider is not None else kind.partition("_")[0],
    )


def _merged(old: Block, new: Block) -> Block:
    """Arguments replaced one by one; nested blocks of a type replaced together (override files' rule)."""
    types = {block.type for block in new.blocks}
    kept = tuple(block for block in old.blocks if block.type not in types)
    return replace(old, attributes={**old.attributes, **new.attributes}, blocks=(*kept, *new.blocks))


# Resolving.


class _Scope:
    """Follows names and folds what is known."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.names: dict[str, Expression | None] = {}
        self.sizes: dict[str, int] = {}
        self.open: list[str] = []
        self.steps = 0

    def resolved(self, expression: Expression) -> Expression:
        self.steps = STEPS
        return self.go(expression)

    def go(self, at: Expression) -> Expression:
        kind = at.kind
        if kind == "literal":
            return at
        self.steps -= 1
        if self.steps < 0:
            return at
        if kind == "reference":
            return self.reference(at)
        if kind == "map":
            pairs = tuple([(self.go(key), self.go(value)) for key, value in at.pairs])
            assumed = any(value.assumed for _, value in pairs)
            same = assumed == at.assumed and all(a is c and b is d for (a, b), (c, d) in zip(pairs, at.pairs, strict=True))
            return at if same else replace(at, pairs=pairs, assumed=assumed)
        items = tuple([self.go(item) for item in at.items])
        assumed = any(item.assumed for item in items)
        if assumed != at.assumed or not all(map(operator.is_, items, at.items)):
            at = replace(at, items=items, assumed=assumed)
        if kind == "template":
            return joined(list(items), at.line, at.heredoc)
        if kind == "call":
            return self.called(at)
        if kind == "conditional":
            test = items[0]
            if test.kind == "literal" and scalar(test.value) in ("true", "false"):
                chosen = items[1] if scalar(test.value) == "true" else items[2]
                return replace(chosen, assumed=chosen.assumed or test.assumed)
            if items[1].text == items[2].text:
                return items[1]
            return at
        if kind == "operation":
            return _operated(at)
        if kind == "access":
            return self.accessed(at)
        return _looped(at)

    def reference(self, at: Expression) -> Expression:
        steps = at.name.split(".")
        if len(steps) < 2 or steps[0] not in ("var", "local", "each"):
            return at
        name = f"{steps[0]}.{steps[1]}"
        value = self.named(name)
        self.steps -= self.sizes.get(name, 1)
        if self.steps < 0:
            return at
        for step in steps[2:]:
            if value is None:
                return at
            value = _down(value, step)
        if value is None:
            return at
        return replace(value, line=at.line) if value.line != at.line else value

    def named(self, name: str) -> Expression | None:
        """The value of a variable or local, None where it is not known."""
        if name in self.names:
            return self.names[name]
        if name in self.open or len(self.open) >= LEVELS:
            return None
        kind, _, short = name.partition(".")
        if kind == "each":
            return None
        self.open.append(name)
        try:
            value = self.variable(short) if kind == "var" else self.local(short)
        finally:
            self.open.pop()
        self.sizes[name] = size = 0 if value is None else _size(value)
        self.names[name] = value = None if size > SIZE else value
        return value

    def local(self, name: str) -> Expression | None:
        value = self.configuration.locals.get(name)
        return self.go(value) if value is not None else None

    def variable(self, name: str) -> Expression | None:
        declared = self.configuration.variables.get(name)
        wanted = declared.block.get("type") if declared else None
        given = self.configuration.values.get(name)
        if given is not None:
            return typed(given, wanted)
        default = declared.block.get("default") if declared else None
        return _assume(typed(default, wanted)) if default is not None else None

    def accessed(self, at: Expression) -> Expression:
        """`base[index].name` once base and index are known."""
        value: Expression | None = at.items[0]
        rest = list(at.items[1:])
        while rest and value is not None:
            step = rest[0]
            if step.kind == "other" and step.name.startswith(".") and step.name[1:].replace("_", "").replace("-", "").isalnum():
                value = self.stepped(value, step.name[1:])
            elif step.kind == "literal" and step.value is not None:
                value = self.stepped(value, scalar(step.value))
            elif step.kind == "other" and step.name in ("[*]", ".*") and len(rest) == 1 and value.kind == "list":
                pass
            else:
                break
            if value is None:
                return at
            rest.pop(0)
        if value is None:
            return at
        return replace(at, items=(value, *rest)) if rest else value

    def stepped(self, value: Expression, step: str) -> Expression | None:
        if value.kind == "reference":
            return self.reference(replace(value, name=f"{value.name}.{step}"))
        return _down(value, step)

    def called(self, at: Expression) -> Expression:
        function = FUNCTIONS.get(at.name)
        value = function(at) if function is not None else None
        if value is None:
            return at
        return replace(value, line=at.line, assumed=value.assumed or at.assumed)


def _resolved(block: Block, scope: _Scope) -> Block:
    attributes = {name: scope.resolved(value) for name, value in block.attributes.items()}
    blocks = tuple(_resolved(child, scope) for child in block.blocks)
    return replace(
        block, attributes=attributes, blocks=blocks, dynamic=scope.resolved(block.dynamic) if block.dynamic is not None else None
    )


def _size(value: Expression) -> int:
    """The number of parts, long texts counted as several, no further than the limit."""
    count = 0
    for part in value.walk():
        count += 1 + (len(part.value) >> 4 if isinstance(part.value, str) else 0)
        if count > SIZE:
            break
    return count


def _looped(at: Expression) -> Expression:
    """`{ for k, v in {…} : k => v }` is what it runs over; `{ for x in […] : x.name => x }` is a map by that name."""
    words = [part.name if part.kind == "other" else part for part in at.items]
    if len(words) == 12 and words[:2] == ["{", "for"] and words[3] == "," and words[5] == "in" and words[7] == ":" and words[9] == "=>":
        key, value, over, out, result = words[2], words[4], at.items[6], at.items[8], at.items[10]
        if words[11] == "}" and over.kind == "map" and out.kind == result.kind == "reference" and (out.name, result.name) == (key, value):
            return replace(over, line=at.line)
    if len(words) == 10 and words[:2] == ["{", "for"] and words[3] == "in" and words[5] == ":" and words[7] == "=>" and words[9] == "}":
        name, over, out, result = words[2], at.items[4], at.items[6], at.items[8]
        if over.kind == "list" and out.kind == result.kind == "reference" and result.name == name and out.name.count(".") == 1:
            first, _, member = out.name.partition(".")
            keys = [item.get(member) for item in over.items]
            if first == name and all(key is not None and key.kind == "literal" for key in keys):
                pairs = tuple((key, item) for key, item in zip(keys, over.items, strict=True) if key is not None)
                return Expression("map", at.line, pairs=pairs, assumed=over.assumed)
    return at


def _assume(value: Expression) -> Expression:
    if value.kind == "map":
        return replace(value, assumed=True, pairs=tuple((key, _assume(inner)) for key, inner in value.pairs))
    return replace(value, assumed=True, items=tuple(map(_assume, value.items)))


def _down(value: Expression, step: str) -> Expression | None:
    if value.kind == "map":
        found = value.get(step)
        return found if found is None or not value.assumed else replace(found, assumed=True)
    if value.kind == "list" and step.isdecimal() and len(step) < 7:
        return value.items[int(step)] if int(step) < len(value.items) else None
    if value.kind == "reference":
        return replace(value, name=f"{value.name}.{step}")
    return None


def typed(value: Expression, wanted: Expression | None) -> Expression:
    """`value` with the defaults of a type's `optional(…)` members filled in."""
    if wanted is None or wanted.kind != "call" or not wanted.items:
        return value
    inner = wanted.items[0]
    if wanted.name == "optional":
        return typed(value, inner)
    if wanted.name in ("list", "set", "tuple") and value.kind == "list":
        return replace(value, items=tuple(typed(item, inner) for item in value.items))
    if wanted.name == "map" and value.kind == "map":
        return replace(value, pairs=tuple((key, typed(item, inner)) for key, item in value.pairs))
    if wanted.name == "object" and value.kind == "map" and inner.kind == "map":
        have = {key.key: (key, item) for key, item in value.pairs}
        pairs = []
        for key, kind in inner.pairs:
            if key.key in have:
                name, item = have.pop(key.key)
                if item.is_null and kind.kind == "call" and kind.name == "optional" and len(kind.items) > 1:
                    item = kind.items[1]
                pairs.append((name, typed(item, kind)))
            elif kind.kind == "call" and kind.name == "optional":
                default = kind.items[1] if len(kind.items) > 1 else literal(None, value.line)
                pairs.append((key, typed(default, kind)))
        return replace(value, pairs=(*pairs, *have.values()))
    return value


def _operated(at: Expression) -> Expression:
    values = [item.value for item in at.items]
    if at.name == "!" and at.items[0].kind == "literal" and isinstance(values[0], bool):
        return replace(at, kind="literal", name="", items=(), value=not values[0])
    if len(at.items) != 2:
        return at
    left, right = at.items
    if at.name in ("&&", "||"):
        stop = at.name == "||"
        for one, other in ((left, right), (right, left)):
            if one.kind == "literal" and isinstance(one.value, bool):
                return replace(one, assumed=at.assumed) if one.value is stop else replace(other, assumed=at.assumed)
        return at
    if at.name in ("==", "!="):
        if known(left) and known(right):
            equal = _plain_text(left) == _plain_text(right) and left.is_null == right.is_null
            return replace(at, kind="literal", name="", items=(), value=equal == (at.name == "=="))
        return at
    if left.kind == right.kind == "literal" and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _arithmetic(at, values[0], values[1])  # type: ignore[arg-type]
    return at


def _plain_text(value: Expression) -> str:
    return scalar(value.value) if value.kind == "literal" else value.text


_ARITHMETIC: Mapping[str, Callable[[float, float], float | bool]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


def _arithmetic(at: Expression, left: float, right: float) -> Expression:
    try:
        return replace(at, kind="literal", name="", items=(), value=_ARITHMETIC[at.name](left, right))
    except (KeyError, ArithmeticError, ValueError):
        return at


# Functions whose result needs nothing from outside. Each takes the call with its arguments resolved; None means "not known".

_Function = Callable[[Expression], Expression | None]


def _first(at: Expression) -> Expression | None:
    return at.items[0] if len(at.items) == 1 else None


def _unique(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None or one.kind != "list":
        return one
    items = {item.text: item for item in one.items}
    return replace(one, items=tuple(items[text] for text in sorted(items)) if known(one) else tuple(items.values()))


def _to_text(at: Expression) -> Expression | None:
    one = _first(at)
    return replace(one, value=scalar(one.value)) if one is not None and one.kind == "literal" and one.value is not None else one


def _to_number(at: Expression) -> Expression | None:
    one = _first(at)
    if one is not None and one.kind == "literal" and isinstance(one.value, str):
        try:
            return replace(one, value=int(one.value))
        except ValueError:
            return None
    return one


def _to_bool(at: Expression) -> Expression | None:
    one = _first(at)
    if one is not None and one.kind == "literal" and one.value in ("true", "false"):
        return replace(one, value=one.value == "true")
    return one


def _try(at: Expression) -> Expression | None:
    return at.items[0] if at.items and (known(at.items[0]) or len(at.items) == 1) else None


def _coalesce(at: Expression) -> Expression | None:
    for item in at.items:
        if item.kind == "literal" and item.value in (None, ""):
            continue
        return item if known(item) else None
    return None


def _lookup(at: Expression) -> Expression | None:
    if len(at.items) < 2 or at.items[0].kind != "map" or at.items[1].kind != "literal":
        return None
    table = at.items[0]
    if any(key.kind != "literal" for key, _ in table.pairs):
        return None
    found = table.get(at.items[1].key)
    return found if found is not None else (at.items[2] if len(at.items) > 2 else None)


def _merge(at: Expression) -> Expression | None:
    pairs: dict[str, tuple[Expression, Expression]] = {}
    for item in at.items:
        if item.is_null:
            continue
        if item.kind != "map":
            return None
        for key, value in item.pairs:
            if key.kind != "literal":
                return None
            pairs[key.key] = (key, value)
    return Expression("map", at.line, pairs=tuple(pairs.values()))


def _concat(at: Expression) -> Expression | None:
    if any(item.kind != "list" for item in at.items):
        return None
    return Expression("list", at.line, items=tuple(inner for item in at.items for inner in item.items))


def _flatten(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None or one.kind != "list" or any(item.kind not in ("list", "literal", "map") for item in one.items):
        return None
    return Expression(
        "list", at.line, items=tuple(inner for item in one.items for inner in (item.items if item.kind == "list" else (item,)))
    )


def _compact(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None or one.kind != "list" or not known(one):
        return None
    return replace(one, items=tuple(item for item in one.items if item.value not in (None, "")))


def _length(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None:
        return None
    if one.kind == "list":
        return literal(len(one.items))
    if one.kind == "map":
        return literal(len(one.pairs))
    return literal(len(one.value)) if one.kind == "literal" and isinstance(one.value, str) else None


def _join(at: Expression) -> Expression | None:
    if len(at.items) != 2 or at.items[0].kind != "literal" or at.items[1].kind != "list":
        return None
    parts: list[Expression] = []
    for index, item in enumerate(at.items[1].items):
        parts += [at.items[0], item] if index else [item]
    return joined(parts, at.line) if parts else literal("")


def _format(at: Expression) -> Expression | None:
    if not at.items or at.items[0].kind != "literal" or not isinstance(at.items[0].value, str):
        return None
    pieces = at.items[0].value.split("%s")
    if len(pieces) != len(at.items) or any("%" in piece for piece in pieces):
        return None
    parts = [literal(pieces[0])]
    for item, piece in zip(at.items[1:], pieces[1:], strict=True):
        parts += (item, literal(piece))
    return joined(parts, at.line)


def _case(change: Callable[[str], str]) -> _Function:
    def function(at: Expression) -> Expression | None:
        one = _first(at)
        return replace(one, value=change(one.value)) if one is not None and one.kind == "literal" and isinstance(one.value, str) else None

    return function


def _element(at: Expression) -> Expression | None:
    if len(at.items) != 2 or at.items[0].kind != "list" or not at.items[0].items or not isinstance(at.items[1].value, int):
        return None
    return at.items[0].items[at.items[1].value % len(at.items[0].items)]


def _contains(at: Expression) -> Expression | None:
    if len(at.items) != 2 or not known(at.items[0]) or not known(at.items[1]):
        return None
    return literal(any(item.text == at.items[1].text for item in at.items[0].items))


def _keys(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None or one.kind != "map" or any(key.kind != "literal" for key, _ in one.pairs):
        return None
    return Expression("list", at.line, items=tuple(literal(name) for name in sorted(key.key for key, _ in one.pairs)))


def _values(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None or one.kind != "map" or any(key.kind != "literal" for key, _ in one.pairs):
        return None
    return Expression("list", at.line, items=tuple(value for _, value in sorted(one.pairs, key=lambda pair: pair[0].key)))


def _one(at: Expression) -> Expression | None:
    one = _first(at)
    if one is None or one.kind != "list":
        return None
    return one.items[0] if len(one.items) == 1 else literal(None) if not one.items else None


FUNCTIONS: Mapping[str, _Function] = {
    "tolist": _first, "tomap": _first, "sensitive": _first, "nonsensitive": _first, "ephemeralasnull": _first,
    "toset": _unique, "distinct": _unique, "tostring": _to_text, "tonumber": _to_number, "tobool": _to_bool,
    "try": _try, "coalesce": _coalesce, "lookup": _lookup, "merge": _merge, "concat": _concat, "flatten": _flatten, "compact": _compact,
    "length": _length, "join": _join, "format": _format, "lower": _case(str.lower), "upper": _case(str.upper), "trimspace": _case(str.strip),
    "element": _element, "contains": _contains, "keys": _keys, "values": _values, "one": _one,
}  # fmt: skip
"""Terraform's functions that are folded. Source: developer.hashicorp.com/terraform/language/functions."""


# Instances.


def instances(resource: Resource, body: Block) -> frozenset[str] | int | None:
    """The keys of `for_each`, the number of `count`, 1 for a single instance; None where text alone does not say."""
    each = body.get("for_each")
    if each is not None:
        found = keyed(each)
        return None if found is None else frozenset(found)
    count = body.get("count")
    if count is None:
        return 1
    if count.kind == "literal":
        try:
            return int(scalar(count.value))
        except ValueError:
            return None
    return None


def keyed(each: Expression) -> dict[str, Expression] | None:
    """The values of a `for_each` by the keys of its instances; None where the keys are not all written out."""
    pairs = each.pairs if each.kind == "map" else tuple((item, item) for item in each.items) if each.kind == "list" else None
    if pairs is None or not all(key.kind == "literal" for key, _ in pairs):
        return None
    return {key.key: value for key, value in pairs}


@dataclass(frozen=True, slots=True)
class Flat:
    """A body laid out by dotted paths without indexes."""

    values: Mapping[str, tuple[Expression, ...]]
    """Every argument that is not null; a map of arguments is gone into, and stands under its own path too."""
    blocks: Mapping[str, int]
    """How often each nested block stands there; −1 where a `dynamic` block decides."""


def of_one_side(holder: str, old: Flat, new: Flat) -> bool:
    """Whether the map that holds an argument is there on one side only: what is new has lost nothing, and what is gone is destroyed, not weakened."""
    return (holder in old.values) != (holder in new.values) and holder not in old.blocks and holder not in new.blocks


_NO_ARGUMENTS = frozenset({"lifecycle", "provisioner", "connection", "timeouts"})


def flat(block: Block) -> Flat:
    """A resolved body by its paths."""
    values: dict[str, list[Expression]] = {}
    blocks: dict[str, int] = {}
    _flatten_block(block, "", values, blocks)
    return Flat({path: tuple(found) for path, found in values.items()}, blocks)


def _flatten_block(block: Block, prefix: str, values: dict[str, list[Expression]], blocks: dict[str, int]) -> None:
    for name, value in block.attributes.items():
        if not value.is_null:
            _flatten_value(value, prefix + name, values)
    for child in block.blocks:
        if child.type in _NO_ARGUMENTS and not prefix:
            continue
        path = prefix + child.type
        blocks[path] = -1 if child.dynamic is not None or blocks.get(path) == -1 else blocks.get(path, 0) + 1
        _flatten_block(child, f"{path}.", values, blocks)


def _flatten_value(value: Expression, path: str, values: dict[str, list[Expression]]) -> None:
    values.setdefault(path, []).append(value)
    for item in value.elements():
        if item.kind == "map":
            for key, inner in item.pairs:
                if key.kind == "literal":
                    _flatten_value(inner, f"{path}.{key.key}", values)


def content(block: Block, without: Iterable[str] = ()) -> str:
    """A block's content as one canonical text: equal for blocks that mean the same."""
    left = frozenset(without)
    parts = [f"{name} = {value.text}" for name, value in sorted(block.attributes.items()) if name not in left and not value.is_null]
    parts += sorted(f"{child.type} {' '.join(child.labels)} {{{content(child)}}}" for child in block.blocks if child.type not in left)
    if block.dynamic is not None:
        parts.append(f"for_each = {block.dynamic.text}")
    return "; ".join(parts)


def references(block: Block) -> Iterator[str]:
    """Every dotted name a block refers to."""
    for value in block.attributes.values():
        yield from (part.name for part in value.walk() if part.kind == "reference")
    for child in block.blocks:
        yield from references(child)
