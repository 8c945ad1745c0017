"""Deployable units: what ships together, found from what the repository itself says.

The nearest marker up the path counts, so the cost is the depth of the changed files, not the size of the repository. A policy's own units come first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from checks.model import Change, Entry, Environment, Tree, Unreadable
from checks.patterns import matching
from checks.places import Place, environment_of, place_of
from checks.policy import Policy
from checks.readers import workflow

WORKFLOWS = 60
"""Workflow files looked at for deploy jobs."""
MODULE_FILES = 25
"""Terraform files of one folder looked at for a backend."""

_NAMES = frozenset(
    {
        "chart.yaml", "serverless.yml", "serverless.yaml", "serverless.ts", "serverless.json", "procfile", "fly.toml", "vercel.json", "netlify.toml",
        "wrangler.toml", "wrangler.jsonc", "pulumi.yaml", "cdk.json", "samconfig.toml", "terragrunt.hcl", "render.yaml", "skaffold.yaml", "azure.yaml",
    }
)  # fmt: skip
"""Files whose presence alone makes a folder a unit."""
_IMAGE = re.compile(r"(?:Dockerfile|Containerfile)(?:\.[\w.-]+)?\Z|[\w.-]+\.(?:dockerfile|containerfile)\Z", re.IGNORECASE)
_CONTENT: tuple[tuple[re.Pattern[str], re.Pattern[bytes]], ...] = (
    (re.compile(r"template\.ya?ml\Z", re.I), re.compile(rb"AWSTemplateFormatVersion|AWS::Serverless")),
    (re.compile(r"app\.ya?ml\Z", re.I), re.compile(rb"^(?:runtime|service):", re.M)),
)
_STATE = re.compile(rb'^[ \t]*(?:backend\s+"?\w+"?|cloud)\s*\{', re.M)
_MODULE = re.compile(r"\.(?:tf|tofu)\Z")
_WORDS_ONLY = re.compile(r"\.(?:md|mdx|rst|txt|adoc|png|svg|jpe?g|gif|webp|ico)\Z|(?:^|/)(?:LICENSE|NOTICE|CODEOWNERS|\.gitignore)\Z", re.I)


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that is deployed as one."""

    name: str
    """Its folder (`.` is the repository itself), the policy's name for it, or `workflow file: job`."""
    marker: str
    """The file that says so."""
    environments: tuple[Environment, ...] = ()
    """Where it goes, as far as its folder or job says."""


def units_of(change: Change, policy: Policy, paths: Iterable[str]) -> Mapping[str, Unit]:
    """path → the unit it ships in; a path that does not ship is absent."""
    folders: dict[str, Unit | None] = {}
    found: dict[str, Unit] = {}
    for path in paths:
        named = next((name for name, patterns in policy.units if matching(patterns, path)), None)
        if named is not None:
            found[path] = Unit(named, path)
        elif ships(path):
            unit = _nearest(path.rpartition("/")[0], (change.after, change.before), folders)
            if unit is not None:
                found[path] = unit
    return found


def ships(path: str) -> bool:
    """Whether a path can be part of what is deployed: not words, tests, examples or the repository's own settings."""
    return place_of(path) is Place.DEPLOYED and not path.startswith(".github/") and not _WORDS_ONLY.search(path)


def jobs_of(change: Change, paths: Sequence[str]) -> tuple[Unit, ...]:
    """Deploy jobs that the change touches: those of changed workflows, and those whose `paths:` name a changed file."""
    touched = frozenset(paths)
    units: list[Unit] = []
    folder = ".github/workflows"
    names = sorted(change.after.list(folder))[:WORKFLOWS]
    for name in names:
        path = f"{folder}/{name}"
        entry = change.after.entry(path)
        if not name.endswith((".yml", ".yaml")) or entry is None:
            continue
        try:
            data = change.after.read(path) or b""
            if b"environment:" not in data or (path not in touched and b"paths:" not in data):
                continue
            flow = workflow.workflow(data, path)
        except Unreadable:
            continue
        if flow is None:
            continue
        filters = [
            pattern
            for trigger in flow.triggers
            if trigger.name == "push"
            for key, values in trigger.filters
            if key == "paths"
            for pattern in values
        ]
        wakes = [pattern for pattern in filters if not pattern.startswith("!")]
        if path in touched or (wakes and any(matching(wakes, one) for one in paths)):
            units += [
                Unit(f"{name}: {job.id}", path, tuple(e for e in [environment_of(job.environment)] if e is not Environment.UNKNOWN))
                for job in flow.jobs
                if job.environment
            ]
    return tuple(units)


def _nearest(folder: str, trees: Sequence[Tree], known: dict[str, Unit | None]) -> Unit | None:
    if folder not in known:
        marker = next((path for tree in trees if (path := _marker(tree, folder)) is not None), None)
        if marker is not None:
            known[folder] = Unit(folder or ".", marker, _places(trees[0], folder))
        else:
            known[folder] = _nearest(folder.rpartition("/")[0], trees, known) if folder else None
    return known[folder]


def _marker(tree: Tree, folder: str) -> str | None:
    names = tree.list(folder)
    prefix = f"{folder}/" if folder else ""
    modules: list[str] = []
    for name, entry in names.items():
        if not entry.is_file:
            continue
        if name.lower() in _NAMES or _IMAGE.match(name):
            return prefix + name
        if name == "package.json" and _starts(_content(tree, prefix + name)):
            return prefix + name
        if any(wanted.match(name) and content.search(_content(tree, prefix + name)) for wanted, content in _CONTENT):
            return prefix + name
        if _MODULE.search(name):
            modules.append(name)
    return next(
        (prefix + name for name in sorted(modules, key=_backend_first)[:MODULE_FILES] if _STATE.search(_content(tree, prefix + name))), None
    )


def _backend_first(name: str) -> tuple[bool, str]:
    return not re.search(r"backend|terraform|version|provider|main|state|setup|config", name), name


def _content(tree: Tree, path: str) -> bytes:
    try:
        return tree.read(path) or b""
    except Unreadable:
        return b""


@lru_cache(maxsize=512)
def _starts(data: bytes) -> bool:
    """Whether a package.json has a script that starts it."""
    if b'"start' not in data:
        return False
    try:
        scripts = json.loads(data).get("scripts", {})
    except (ValueError, AttributeError, RecursionError):
        return False
    return isinstance(scripts, dict) and any(name in scripts for name in ("start", "start:prod", "start:production"))


def _places(tree: Tree, folder: str) -> tuple[Environment, ...]:
    """The environments a unit's folder names: overlays, values, variables."""
    prefix = f"{folder}/" if folder else ""
    names = [_stem(name) for name, entry in tree.list(folder).items() if entry.is_file and _settings_of(name)]
    for below in ("overlays", "environments", "envs", "env", "values", "config", "tfvars"):
        names += [_stem(name) for name, entry in tree.list(prefix + below).items() if below != "config" or _settings_of(name, entry)]
    here = environment_of(folder)
    named = {environment_of(name) for name in names} if here is Environment.UNKNOWN else {here}
    return tuple(sorted(named - {Environment.UNKNOWN}))


def _settings_of(name: str, entry: Entry | None = None) -> bool:
    """Whether a file's name can speak of an environment: `values-prod.yaml`, `prod.tfvars`, `.env.production`."""
    return name.endswith((".tfvars", ".tfvars.json")) or bool(
        re.match(r"values[-._]|\.?env[-._]|config[-._]|serverless[-._]|fly\.|kustomization[-._]|Pulumi\.", name)
    )


def _stem(name: str) -> str:
    return re.sub(r"\.(?:ya?ml|json|tfvars|toml)\b", "", name)
