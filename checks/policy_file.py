"""The shape of `.github/interlock.yml`, as pydantic models: imported only when there is a file to read."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from checks.model import Hazard
from checks.safeguards.defaults import NAMES, Groups

_HAZARDS = frozenset(hazard.value for hazard in Hazard if not hazard.harmless)
_RULE = re.compile(r"[a-z0-9-]+/[a-z0-9-]+\Z")
_EFFECT = re.compile(r"[0-9a-f]{16}\Z")
_WHO = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9-]{0,38}(/[A-Za-z0-9._-]{1,100})?\Z")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Patterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=300)]],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(max_length=200),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


def _safeguard(name: str) -> str:
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        raise ValueError(f"`{name}` is no safeguard" + (f"; did you mean `{close[0]}`?" if close else f"; there are {', '.join(NAMES)}"))
    return name


class SourceEntry(_Strict):
    """Where proof of a safeguard comes from."""

    app: str | None = Field(None, description="Slug of the App that makes the check run, such as github-actions.", max_length=100)
    workflow: str | None = Field(None, description="Path of the workflow file that makes it, as it is on the base branch.", max_length=300)
    check: str | None = Field(None, description="Name of the check run or job.", max_length=200)
    artifact: str | None = Field(None, description="Name of the artifact that carries the proof.", max_length=200)
    within_days: int | None = Field(None, description="How many days old the proof may be.", ge=1, le=400)
    percent: int | None = Field(None, description="Which share of the changed lines tests must have run (100 if missing).", ge=1, le=100)
    hours: int | None = Field(None, description="How many hours something must have stood.", ge=0, le=8760)

    @field_validator("workflow")
    @classmethod
    def _in_workflows(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", value):
            raise ValueError("a workflow is a path such as .github/workflows/plan.yml")
        return value


class Requirement(_Strict):
    """The safeguards an effect needs: all of `all`, and one of `any`."""

    all: list[str] = Field(default_factory=list, description="Every one of these must be proven.", max_length=20)
    any: list[str] = Field(default_factory=list, description="One of these must be proven.", max_length=20)
    environment: Literal["production", "staging", "development", "unknown"] | None = Field(None, description="Only for effects there.")

    _names = field_validator("all", "any")(classmethod(lambda cls, names: [_safeguard(name) for name in names]))


class Exemption(_Strict):
    """One effect that needs no proof until a day."""

    effect: str = Field(description="The effect's id: 16 hexadecimal digits, as the check run shows it.")
    reason: str = Field(description="Why, for those who come after.", min_length=10, max_length=1000)
    expires: datetime.date = Field(description="The last day it counts, such as 2026-12-31.")

    @field_validator("effect")
    @classmethod
    def _id(cls, value: str) -> str:
        if not _EFFECT.match(value):
            raise ValueError("an effect's id has 16 hexadecimal digits")
        return value

    @field_validator("expires", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                return datetime.date.fromisoformat(value)
            except ValueError:
                raise ValueError("a day is written like 2026-12-31") from None
        return value


class Overrides(_Strict):
    """Who may override, with a reason and an end."""

    who: Patterns = Field(description="Logins, or teams as @org/team.")

    @field_validator("who")
    @classmethod
    def _people(cls, value: list[str]) -> list[str]:
        for name in value:
            if not _WHO.match(name):
                raise ValueError(f"`{name}` is neither a login nor a team such as @acme/sre")
        return value


def _named_safeguards(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        _safeguard(name)
    return value


def _named_hazards(value: dict[str, Any]) -> dict[str, Any]:
    for name, wanted in value.items():
        if name not in _HAZARDS and not _RULE.match(name):
            close = difflib.get_close_matches(name, _HAZARDS, n=1)
            raise ValueError(f"`{name}` is neither a hazard nor a rule" + (f"; did you mean `{close[0]}`?" if close else ""))
        if isinstance(wanted, list):
            for safeguard in wanted:
                if isinstance(safeguard, str):
                    _safeguard(safeguard)
    return value


class Floor(_Strict):
    """What no repository of the organisation can go under. Only in the organisation's file."""

    mode: Literal["enforce"] | None = Field(None, description="enforce: every repository enforces, with or without a file of its own.")
    applies_to: Literal["everyone"] | None = Field(None, description="everyone: no repository may leave anyone out.")
    environments: dict[Literal["production", "staging", "development"], Patterns] = Field(
        default_factory=dict, description="Which paths belong to which environment, whatever a repository says."
    )
    evidence: dict[str, SourceEntry | list[SourceEntry]] = Field(
        default_factory=dict, description="Where proof must come from, whatever a repository says."
    )
    requirements: dict[str, list[str] | Requirement | list[Requirement]] = Field(
        default_factory=dict, description="What is demanded on top of what a repository demands."
    )
    _safeguards = field_validator("evidence")(classmethod(lambda cls, value: _named_safeguards(value)))
    _keys = field_validator("requirements")(classmethod(lambda cls, value: _named_hazards(value)))
    exceptions: Literal["none"] | None = Field(None, description="none: no repository may except an effect.")
    overrides: Overrides | Literal["none"] | None = Field(
        None, description="The only ones who may override, of those a repository names; or none."
    )

    def requirement_entries(self) -> Iterator[RequirementEntry]:
        """Every requirement, those for one environment first."""
        return _requirement_entries(self.requirements)

    def evidence_entries(self) -> Iterator[tuple[str, list[SourceEntry]]]:
        """Every safeguard with its sources."""
        return _evidence_entries(self.evidence)


class RequirementEntry(_Strict):
    """A requirement with what it is for."""

    for_: str
    environment: str | None
    all: tuple[str, ...]
    any: tuple[str, ...]


class PolicyFile(_Strict):
    """The whole file."""

    version: Literal[1] = Field(description="The format's version: 1.")
    mode: Literal["observe", "enforce"] = Field("observe", description="observe: say what would be blocked; enforce: block.")
    applies_to: Literal["everyone", "ai-assisted"] = Field(
        "everyone",
        description="Whose pull requests. No evidence counts as AI-assisted; critical effects, gate.changed and not.analysed are for everyone.",
    )
    environments: dict[Literal["production", "staging", "development"], Patterns] = Field(
        default_factory=dict, description="Which paths belong to which environment, where their names do not say so."
    )
    units: dict[str, Patterns] = Field(default_factory=dict, description="Deployable units by name, each with its paths.", max_length=500)
    evidence: dict[str, SourceEntry | list[SourceEntry]] = Field(
        default_factory=dict, description="Which app, workflow and check prove a safeguard."
    )
    requirements: dict[str, list[str] | Requirement | list[Requirement]] = Field(
        default_factory=dict, description="Hazard or rule → safeguards. A list means all of them; several maps may differ by environment."
    )
    exceptions: list[Exemption] = Field(default_factory=list, description="Effects that need no proof for a while.", max_length=200)
    overrides: Overrides | None = Field(None, description="Who may override; nobody if missing.")
    floor: Floor | None = Field(None, description="Only in the organisation's file: what no repository can go under.")

    @model_validator(mode="before")
    @classmethod
    def _version_first(cls, value: Any) -> Any:
        if isinstance(value, dict) and "version" in value and value["version"] != 1:
            raise ValueError(f"this Interlock reads version 1, not {str(value['version'])[:20]!r}")
        return value

    _safeguards = field_validator("evidence")(classmethod(lambda cls, value: _named_safeguards(value)))
    _keys = field_validator("requirements")(classmethod(lambda cls, value: _named_hazards(value)))

    def requirement_entries(self) -> Iterator[RequirementEntry]:
        """Every requirement in the order of the file, those for one environment first."""
        return _requirement_entries(self.requirements)

    def evidence_entries(self) -> Iterator[tuple[str, list[SourceEntry]]]:
        """Every safeguard with its sources."""
        return _evidence_entries(self.evidence)


def _requirement_entries(requirements: dict[str, Any]) -> Iterator[RequirementEntry]:
    for name, wanted in requirements.items():
        if isinstance(wanted, Requirement):
            parts: list[Requirement] = [wanted]
        elif all(isinstance(part, str) for part in wanted):
            parts = [Requirement(all=[str(part) for part in wanted], any=[], environment=None)]
        else:
            parts = [part for part in wanted if isinstance(part, Requirement)]
        for part in sorted(parts, key=lambda entry: entry.environment is None):
            yield RequirementEntry(for_=name, environment=part.environment, all=tuple(part.all), any=tuple(part.any))


def _evidence_entries(evidence: dict[str, Any]) -> Iterator[tuple[str, list[SourceEntry]]]:
    for name, sources in evidence.items():
        yield name, sources if isinstance(sources, list) else [sources]


def groups_of(entry: RequirementEntry) -> Groups:
    """A requirement as groups of which each needs one."""
    return (*((name,) for name in entry.all), *((entry.any,) if entry.any else ()))


KEYS = frozenset(
    name.rstrip("_") for model in (PolicyFile, Floor, SourceEntry, Requirement, Exemption, Overrides) for name in model.model_fields
)
