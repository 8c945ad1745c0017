"""The policy file `.github/interlock.yml`: parsed strictly; a mistake is a value with a line number, never an exception.

What the keys mean is written beside the fields of `PolicyFile`; `schema()` gives the same as a JSON Schema for editors.
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from checks.model import Effect, Environment, Mistake, Severity, Tree, Unreadable
from checks.patterns import matching
from checks.places import environment_of
from checks.readers.documents import Node, one_yaml
from checks.safeguards.defaults import DEFAULTS, Groups

if TYPE_CHECKING:
    from checks.policy_file import Floor, PolicyFile

PATH = ".github/interlock.yml"
OTHER_PATHS = (".github/interlock.yaml", "interlock.yml", "interlock.yaml", ".interlock.yml")
"""Places where people put it by mistake: a file there is said to be in the wrong place."""
LIMIT = 256 << 10
"""Bytes of a policy file."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where proof of a safeguard comes from: bound to the app and, for GitHub Actions, to the workflow file."""

    app: str | None = None
    """Slug of the App that must have made the check run, such as `github-actions`."""
    workflow: str | None = None
    """Path of the workflow file; its content at head must be that of the base branch."""
    check: str | None = None
    """Name of the check run or job."""
    artifact: str | None = None
    """Name of the artifact that carries the proof."""
    within_days: int | None = None
    """How old it may be, for proofs that are not bound to a head."""
    percent: int | None = None
    """Which share of the changed lines tests must have run."""
    hours: int | None = None
    """How long something must have stood, for proofs from history."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A recorded decision that one effect needs no proof, until a day."""

    effect: str
    reason: str
    expires: datetime.date


@dataclass(frozen=True)
class Policy:
    """What a repository demands. Made by `read_policy`; `BUILT_IN` where nobody wrote one."""

    mode: str = "observe"
    applies_to: str = "everyone"
    environments: tuple[tuple[Environment, tuple[str, ...]], ...] = ()
    units: tuple[tuple[str, tuple[str, ...]], ...] = ()
    evidence: tuple[tuple[str, tuple[Source, ...]], ...] = ()
    requirements: tuple[tuple[str, str | None, Groups], ...] = ()
    """(hazard or rule, environment or None, groups): the first that fits an effect counts, rules before hazards."""
    exceptions: tuple[Exemption, ...] = ()
    overrides: tuple[str, ...] = ()
    """Logins and `@org/team`s who may override; nobody if empty."""
    floor: tuple[tuple[str, str | None, Groups], ...] = ()
    """What the organisation demands on top, whatever the repository says."""
    digest: str = "default"
    mistakes: tuple[Mistake, ...] = ()

    @property
    def enforced(self) -> bool:
        return self.mode == "enforce"

    def sources(self, safeguard: str) -> tuple[Source, ...]:
        """Where proof of `safeguard` may come from."""
        return next((sources for name, sources in self.evidence if name == safeguard), ())

    def environment(self, effect: Effect) -> Environment:
        """Where an effect happens: what the detector knows, then the policy's patterns, then the path's own words.

        A subject's name can say production, but never make less of an effect.
        """
        if effect.environment is not None:
            return effect.environment
        for environment, patterns in self.environments:
            if matching(patterns, effect.path):
                return environment
        by_path = environment_of(effect.path)
        if by_path is Environment.UNKNOWN and environment_of(effect.subject) is Environment.PRODUCTION:
            return Environment.PRODUCTION
        return by_path

    def demanded(self, effect: Effect) -> tuple[Groups, str]:
        """The groups of safeguards an effect needs, and what says so. Every group needs one of its safeguards met."""
        groups, because = self._own(effect)
        for key in (effect.rule, effect.hazard.value):
            for name, environment, more in self.floor:
                if name == key and environment in (None, effect.environment):
                    return tuple(dict.fromkeys((*groups, *more))), because
        return groups, because

    def _own(self, effect: Effect) -> tuple[Groups, str]:
        """What the repository itself, what it inherits, or the built-in table demands."""
        for key in (effect.rule, effect.hazard.value):
            for name, environment, groups in self.requirements:
                if name == key and environment in (None, effect.environment):
                    return groups, key
        for severity, groups in DEFAULTS.get(effect.hazard, ()):
            if effect.severity.rank >= Severity(severity).rank:
                return groups, effect.hazard.value
        return (), effect.hazard.value


BUILT_IN = Policy()
"""Nobody wrote a policy: the built-in requirements, observed."""


def read_policy(tip: Tree, organisation: bytes | None = None, once_stood: bool = False) -> Policy:
    """The policy at the tip of the base branch, with the organisation's defaults and floor below it.

    `organisation` is the content of the organisation's own file; `once_stood` says that an earlier verdict of this branch was made
    under a policy file, so that its absence now is enforced, not observed.
    """
    content, mistakes = _content(tip)
    below, floor = _organisation(organisation)
    return _above(floor, _read(content, mistakes, below, once_stood))


def _read(content: bytes | None, mistakes: list[Mistake], below: Policy, once_stood: bool) -> Policy:
    """The repository's policy over its organisation's."""
    if content is None:
        if not mistakes and not once_stood:
            return below
        if not mistakes:
            mistakes = [
                Mistake(
                    PATH, None, "a policy file stood here before and is gone: the built-in requirements are enforced until one stands again"
                )
            ]
        return replace(below, mode="enforce", mistakes=(*below.mistakes, *mistakes), digest="missing")
    parsed, wrong = parse(content, PATH)
    if parsed is None:
        return replace(below, mode="enforce", mistakes=(*below.mistakes, *wrong), digest=_digest(content))
    if parsed.floor is not None:
        mistakes = [*mistakes, Mistake(PATH, None, "a floor stands in the organisation's file only: take `floor` out of this one")]
    return _merged(parsed, below, content, (*mistakes, *wrong))


def _above(floor: Floor | None, policy: Policy) -> Policy:
    """A policy raised to the organisation's floor: each key of it can only make more of the policy."""
    if floor is None:
        return policy
    from checks.policy_file import Overrides, groups_of

    evidence = {name: tuple(Source(**source.model_dump()) for source in sources) for name, sources in floor.evidence_entries()}
    overrides = policy.overrides
    if floor.overrides is not None:
        allowed = floor.overrides.who if isinstance(floor.overrides, Overrides) else []
        overrides = tuple(entry for entry in overrides if entry in allowed)
    return replace(
        policy,
        mode=floor.mode or policy.mode,
        applies_to=floor.applies_to or policy.applies_to,
        environments=(*((Environment(name), tuple(patterns)) for name, patterns in floor.environments.items()), *policy.environments),
        evidence=tuple({**dict(policy.evidence), **evidence}.items()),
        exceptions=() if floor.exceptions == "none" else policy.exceptions,
        overrides=overrides,
        floor=tuple((entry.for_, entry.environment, groups_of(entry)) for entry in floor.requirement_entries()),
    )


def parse(content: bytes, path: str) -> tuple[PolicyFile | None, list[Mistake]]:
    """A policy file's values and its mistakes; None when any of it is wrong."""
    if len(content) > LIMIT:
        return None, [Mistake(path, None, f"the file has {len(content):,} bytes; a policy has at most {LIMIT:,}")]
    try:
        node = one_yaml(content, path)
    except Unreadable as unreadable:
        return None, [Mistake(path, unreadable.line, unreadable.why)]
    if node is None or not node.is_map:
        return None, [Mistake(path, node.line if node else 1, "a policy is a map that starts with `version: 1`")]
    from pydantic import ValidationError

    from checks.policy_file import PolicyFile

    try:
        return PolicyFile.model_validate(node.plain_value()), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        told = {detail["loc"][:2] for detail in details if detail["type"] not in _SHAPES}
        return None, [_mistake(path, node, detail) for detail in details if detail["type"] not in _SHAPES or detail["loc"][:2] not in told][
            :30
        ]


def schema() -> dict[str, Any]:
    """The policy file's JSON Schema, for editors."""
    from checks.policy_file import PolicyFile

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Interlock policy",
        **PolicyFile.model_json_schema(by_alias=True),
    }


def _content(tip: Tree) -> tuple[bytes | None, list[Mistake]]:
    entry = tip.entry(PATH)
    if entry is None:
        wrong = next((path for path in OTHER_PATHS if tip.entry(path) is not None), None)
        return None, [Mistake(wrong, None, f"a policy is read from {PATH} only: move this file there")] if wrong else []
    if not entry.is_file:
        return None, [Mistake(PATH, None, "this is a link, a submodule or a directory; a policy is an ordinary file")]
    try:
        return tip.read(PATH), []
    except Unreadable as unreadable:
        return None, [Mistake(PATH, None, unreadable.why)]


ORGANISATION = "the organisation's .github/interlock.yml"


def unreadable(why: str) -> Policy:
    """The policy where the organisation's cannot be had: the built-in requirements, enforced, and said."""
    return replace(BUILT_IN, mode="enforce", mistakes=(Mistake(ORGANISATION, None, why),), digest="missing")


def _organisation(content: bytes | None) -> tuple[Policy, Floor | None]:
    if content is None:
        return BUILT_IN, None
    parsed, wrong = parse(content, ORGANISATION)
    if parsed is None:
        return replace(BUILT_IN, mode="enforce", mistakes=tuple(wrong), digest=_digest(content)), None
    return _merged(parsed, BUILT_IN, content, ()), parsed.floor


def _merged(parsed: PolicyFile, below: Policy, content: bytes, mistakes: Iterable[Mistake]) -> Policy:
    """A repository's file over the organisation's: what it says counts, the rest is inherited."""
    from checks.policy_file import groups_of

    requirements = tuple((entry.for_, entry.environment, groups_of(entry)) for entry in parsed.requirement_entries())
    evidence = {name: tuple(Source(**source.model_dump()) for source in sources) for name, sources in parsed.evidence_entries()}
    return Policy(
        mode=parsed.mode,
        applies_to=parsed.applies_to,
        environments=tuple((Environment(name), tuple(patterns)) for name, patterns in parsed.environments.items()) or below.environments,
        units=tuple((name, tuple(patterns)) for name, patterns in parsed.units.items()) or below.units,
        evidence=tuple({**dict(below.evidence), **evidence}.items()),
        requirements=requirements + below.requirements,
        exceptions=tuple(Exemption(entry.effect, entry.reason, entry.expires) for entry in parsed.exceptions),
        overrides=tuple(parsed.overrides.who) if parsed.overrides else (),
        digest=_digest(content),
        mistakes=(*below.mistakes, *mistakes),
    )


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _mistake(path: str, root: Node, detail: Mapping[str, Any]) -> Mistake:
    """A sentence for a mistake, at the line of the key it is about."""
    location = [part for part in detail["loc"] if not (isinstance(part, str) and ("[" in part or part in _UNION_NAMES))] or list(
        detail["loc"]
    )
    node, line, seen = root, root.line, []
    for part in location:
        key = str(part)
        if (found := node.get(key)) is not None:
            line = node.key_line(key)
        elif node.is_list and isinstance(part, int) and part < len(node.items or ()):
            found = (node.items or ())[part]
            line = found.line
        seen.append(key)
        if found is None:
            break
        node = found
    where = ".".join(seen)
    if detail["type"] == "extra_forbidden":
        return Mistake(path, line, f"unknown key `{where}`{_nearest(str(detail['loc'][-1]), root, location)}")
    if detail["type"] == "missing":
        return Mistake(path, line, f"the key `{where}` is missing")
    return Mistake(
        path,
        line,
        f"`{where}`: {str(detail['msg']).removeprefix('Value error, ')}" if where else str(detail["msg"]).removeprefix("Value error, "),
    )


_SHAPES = frozenset({"list_type", "model_type", "dict_type"})
"""A value that may have several shapes gives a mistake for each; these say nothing where another is more exact."""
_UNION_NAMES = frozenset({"list", "dict", "str", "Requirement", "SourceEntry"})


def _nearest(key: str, root: Node, location: list[Any]) -> str:
    from checks.policy_file import KEYS

    close = difflib.get_close_matches(key, KEYS, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; the keys are {', '.join(sorted(KEYS))}" if len(location) == 1 else ""
