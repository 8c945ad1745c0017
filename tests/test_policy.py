"""The policy file: what is said of a mistake, and that a mistake blocks."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
import yaml

from checks.model import Confidence, Effect, Environment, Hazard, Reversible, Severity, Side, Unreadable
from checks.policy import BUILT_IN, LIMIT, PATH, parse, read_policy, schema, unreadable
from checks.trees import LINK, MemoryTree

WHOLE = """
version: 1
mode: enforce
applies_to: ai-assisted
environments: {production: [infra/live/**], staging: infra/stg/**}
units: {shop: [apps/shop/**]}
evidence:
  plan-verified: {app: github-actions, workflow: .github/workflows/plan.yml, check: plan, artifact: interlock-plan}
  restore-proven: [{app: github-actions, workflow: .github/workflows/drill.yml, check: drill, within_days: 30}]
  deletion-staged: {hours: 48}
  tests-exercised: {app: github-actions, workflow: .github/workflows/test.yml, artifact: interlock-coverage, percent: 90}
requirements:
  data.destroyed: [expand-contract]
  terraform/resource-destroyed:
    - {environment: production, all: [plan-verified], any: [state-kept, restore-proven]}
    - {all: [plan-verified]}
exceptions:
  - {effect: 0123456789abcdef, reason: the table is a copy, expires: 2027-01-31}
overrides: {who: ["@acme/sre", robin]}
"""


def policy(text: str | bytes, path: str = PATH):
    return read_policy(MemoryTree({path: text if isinstance(text, bytes) else text.encode()}))


def test_a_file_with_every_key_is_read() -> None:
    """Every key of the file ends up in the policy."""
    read = policy(WHOLE)
    assert read.mistakes == ()
    assert read.enforced and read.applies_to == "ai-assisted"
    assert read.sources("deletion-staged")[0].hours == 48
    assert read.overrides == ("@acme/sre", "robin")
    assert [name for name, _, _ in read.requirements] == ["data.destroyed", "terraform/resource-destroyed", "terraform/resource-destroyed"]
    assert read.digest.startswith("sha256:")


WRONG = [
    ("mode: enforce", 1, "the key `version` is missing"),
    ("version: 2", 1, "reads version 1"),
    ("version: 1\nmod: enforce", 2, "did you mean `mode`?"),
    ("version: 1\nmode: enforced", 2, "`mode`"),
    ("version: 1\nmode: [enforce]", 2, "`mode`"),
    ("version: 1\nversion: 1", 2, "stands twice"),
    ("version: 1\napplies_to: agents", 2, "`applies_to`"),
    ("version: 1\nenvironments:\n  prod: [a]", 3, "environments"),
    ("version: 1\nenvironments:\n  production: 7", 3, "environments.production"),
    ("version: 1\nunits: [a]", 2, "units"),
    ("version: 1\nevidence:\n  plan-verifed: {check: plan}", 2, "did you mean `plan-verified`?"),
    ("version: 1\nevidence:\n  plan-verified: {chek: plan}", 3, "did you mean `check`?"),
    ("version: 1\nevidence:\n  plan-verified: {workflow: plan.yml}", 3, ".github/workflows/plan.yml"),
    ("version: 1\nevidence:\n  restore-proven: {within_days: 0}", 3, "within_days"),
    ("version: 1\nevidence:\n  restore-proven: {within_days: soon}", 3, "within_days"),
    ("version: 1\nrequirements:\n  data.destroid: [state-kept]", 2, "did you mean `data.destroyed`?"),
    ("version: 1\nrequirements:\n  data.destroyed: [state-keep]", 2, "did you mean `state-kept`?"),
    ("version: 1\nrequirements:\n  data.destroyed: state-kept", 3, "requirements.data.destroyed"),
    ("version: 1\nrequirements:\n  data.destroyed: {all: [nothing]}", 3, "no safeguard"),
    ("version: 1\nrequirements:\n  data.destroyed: {every: [state-kept]}", 3, "every"),
    ("version: 1\nrequirements:\n  data.destroyed: {all: [state-kept], environment: prod}", 3, "environment"),
    ("version: 1\nrequirements:\n  privilege.narrowed: [state-kept]", 2, "privilege.narrowed"),
    ("version: 1\nexceptions:\n  - {effect: xyz, reason: because it is, expires: 2027-01-01}", 3, "16 hexadecimal digits"),
    ("version: 1\nexceptions:\n  - {effect: 0123456789abcdef, expires: 2027-01-01}", 3, "exceptions.0.reason"),
    ("version: 1\nexceptions:\n  - {effect: 0123456789abcdef, reason: no, expires: 2027-01-01}", 3, "at least 10 characters"),
    ("version: 1\nexceptions:\n  - {effect: 0123456789abcdef, reason: because it is, expires: never}", 3, "2026-12-31"),
    ("version: 1\nexceptions:\n  - {effect: 0123456789abcdef, reason: because it is, expires: 5}", 3, "exceptions.0.expires"),
    ("version: 1\nexceptions:\n  - {effect: 0123456789abcdef, reason: because it is, expires: [2027-01-01]}", 3, "exceptions.0.expires"),
    ("version: 1\noverrides: {who: ['not a person']}", 2, "neither a login nor a team"),
    ("version: 1\noverrides: {}", 2, "overrides.who"),
    ("- version: 1", 1, "a policy is a map"),
    ("version: [1", 1, "not valid YAML"),
    ("version: 1\n\tmode: enforce", 2, "not valid YAML"),
    ("", None, "a policy is a map"),
    (b"\xff\xfe\x00", None, "not utf-16 text"),
    (b"version: 1\x00", None, "NUL bytes"),
    ("#" * (LIMIT + 1), None, "at most"),
    ("x: *y", 1, "has no anchor"),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG, ids=range(len(WRONG)))
def test_a_mistake_is_shown_with_its_line_and_enforces_the_built_in_requirements(text: str | bytes, line: int | None, words: str) -> None:
    """A wrong policy never relaxes anything: the mistake is told where it stands, and the built-in requirements are enforced."""
    read = policy(text)
    assert any(words in mistake.message for mistake in read.mistakes), read.mistakes
    assert line is None or any(mistake.line in (line, line + 1) for mistake in read.mistakes), read.mistakes
    assert read.enforced and read.requirements == ()


def test_the_whole_files_have_every_key_there_is() -> None:
    """The file above, the organisation's floor and each part of them name every key that the parser knows: none is untried."""
    from checks.policy_file import Exemption, Floor, Overrides, PolicyFile, Requirement, SourceEntry

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return {str(key) for key in value} | set().union(*(keys(one) for one in value.values()), set())
        return set().union(*(keys(one) for one in value), set()) if isinstance(value, list) else set()

    tried = keys(yaml.safe_load(WHOLE))
    for model in (PolicyFile, SourceEntry, Requirement, Exemption, Overrides):
        assert set(model.model_fields) - {"floor"} <= tried, model
    assert set(Floor.model_fields) <= keys(yaml.safe_load(FLOOR)["floor"])
    assert len(WRONG) >= 30


def test_no_file_anywhere_observes() -> None:
    """An installation across an organisation stops nobody who wrote no policy."""
    assert read_policy(MemoryTree({})) == BUILT_IN
    assert not BUILT_IN.enforced


def test_a_file_that_stood_once_and_is_gone_is_enforced() -> None:
    """Deleting the policy does not switch the gate off."""
    read = read_policy(MemoryTree({}), once_stood=True)
    assert read.enforced and "is gone" in read.mistakes[0].message


@pytest.mark.parametrize("path", [".github/interlock.yaml", "interlock.yml", "interlock.yaml", ".interlock.yml"])
def test_a_file_in_the_wrong_place_is_told(path: str) -> None:
    """A policy that nobody reads is a mistake, not silence."""
    read = policy("version: 1", path)
    assert read.enforced and "move this file there" in read.mistakes[0].message


def test_a_link_is_no_policy() -> None:
    """A link is not followed."""
    read = read_policy(MemoryTree({PATH: (b"../elsewhere", LINK)}))
    assert read.enforced and "link" in read.mistakes[0].message


class Closed(MemoryTree):
    """A tree whose files cannot be read."""

    def read(self, path: str) -> bytes | None:
        raise Unreadable(path, "it is over the limit")


def test_a_policy_that_cannot_be_had_is_enforced() -> None:
    """Be it the repository's or its organisation's: the built-in requirements, and what is wrong."""
    for read in (read_policy(Closed({PATH: b"version: 1"})), unreadable("it is over the limit")):
        assert read.enforced and read.requirements == () and "over the limit" in read.mistakes[0].message


def test_the_organisations_file_stands_below_the_repositorys() -> None:
    """What a repository does not say, its organisation says."""
    organisation = (
        b"version: 1\nmode: enforce\nrequirements: {data.destroyed: [restore-proven]}\nevidence: {restore-proven: {check: drill}}"
    )
    alone = read_policy(MemoryTree({}), organisation)
    assert alone.enforced and alone.requirements[0][0] == "data.destroyed"
    both = read_policy(MemoryTree({PATH: b"version: 1\nmode: enforce\nrequirements: {resource.destroyed: [plan-verified]}"}), organisation)
    assert [name for name, _, _ in both.requirements] == ["resource.destroyed", "data.destroyed"]
    assert both.sources("restore-proven")[0].check == "drill"


def test_the_schema_accepts_what_the_parser_accepts() -> None:
    """An editor that follows the schema lets the whole file pass, and marks an unknown key."""
    validator = jsonschema.Draft202012Validator(schema())
    values = json.loads(json.dumps(yaml.safe_load(WHOLE), default=str))
    validator.validate(values)
    assert list(validator.iter_errors({**values, "mod": "x"}))
    assert list(validator.iter_errors({key: value for key, value in values.items() if key != "version"}))


def test_every_hazard_can_be_named() -> None:
    """Each hazard that demands anything may stand in a policy."""
    names = [hazard.value for hazard in Hazard if not hazard.harmless]
    text = "version: 1\nrequirements:\n" + "".join(f"  {name}: [change-isolated]\n" for name in names)
    assert parse(text.encode(), PATH)[1] == []


FLOOR = b"""
version: 1
mode: observe
floor:
  mode: enforce
  applies_to: everyone
  environments: {production: [infra/live/**]}
  evidence: {restore-proven: {app: github-actions, workflow: .github/workflows/drill.yml, check: drill, within_days: 7}}
  requirements: {data.destroyed: [restore-proven], terraform/resource-destroyed: {all: [plan-verified]}}
  exceptions: none
  overrides: {who: ["@acme/sre"]}
"""
UNDER = """
version: 1
mode: observe
applies_to: ai-assisted
environments: {development: [infra/live/**]}
evidence: {restore-proven: {check: mine, within_days: 300}}
requirements: {data.destroyed: [change-isolated], terraform/resource-destroyed: [change-isolated]}
exceptions: [{effect: 0123456789abcdef, reason: the table is a copy, expires: 2027-01-31}]
overrides: {who: ["@acme/sre", robin]}
"""


def imagined(rule: str, hazard: Hazard) -> Effect:
    return Effect(rule, hazard, Severity.HIGH, Confidence.CERTAIN, Reversible.NO, "x", "infra/live/a.tf", 1, Side.HEAD, "x")


def test_no_repository_goes_under_the_organisations_floor() -> None:
    """Whatever a repository's file says, each key of the floor holds; and a repository may ask for more."""
    read = read_policy(MemoryTree({PATH: UNDER.encode()}), FLOOR)
    assert read.mistakes == () and read.enforced and read.applies_to == "everyone"
    assert read.environment(imagined("x/x", Hazard.DATA_DESTROYED)) is Environment.PRODUCTION
    assert read.sources("restore-proven")[0].within_days == 7 and read.sources("restore-proven")[0].check == "drill"
    assert read.demanded(imagined("x/x", Hazard.DATA_DESTROYED))[0] == (("change-isolated",), ("restore-proven",))
    assert read.demanded(imagined("terraform/resource-destroyed", Hazard.RESOURCE_DESTROYED))[0] == (
        ("change-isolated",),
        ("plan-verified",),
    )
    assert read.exceptions == () and read.overrides == ("@acme/sre",)
    assert read_policy(MemoryTree({}), FLOOR).enforced
    assert read_policy(MemoryTree({PATH: b"version: 1\nmodus: x"}), FLOOR).floor
    none = read_policy(MemoryTree({PATH: UNDER.encode()}), FLOOR.replace(b'{who: ["@acme/sre"]}', b"none"))
    assert none.overrides == ()


def test_a_floor_stands_in_the_organisations_file_only() -> None:
    """A repository cannot write one, and is told."""
    read = policy("version: 1\nfloor: {mode: enforce}")
    assert read.enforced is False and "organisation's file only" in read.mistakes[0].message


@pytest.mark.parametrize(
    "text",
    [
        b"version: 1\nfloor: {mode: observe}",
        b"version: 1\nfloor: {modus: enforce}",
        b"version: 1\nfloor: {requirements: {x: [state-kept]}}",
        b"version: 1\nfloor: {evidence: {x: {check: a}}}",
        b"[",
    ],
)
def test_a_wrong_file_of_the_organisation_is_enforced_and_shown(text: bytes) -> None:
    """A mistake above relaxes nothing below."""
    read = read_policy(MemoryTree({PATH: b"version: 1"}), text)
    assert read.mistakes and all("organisation" in mistake.path for mistake in read.mistakes)


def test_a_requirement_for_an_environment_comes_before_one_for_all() -> None:
    """In whatever order they are written; and several safeguards of `any` are one group, of `all` one each."""
    read = policy(
        "version: 1\nrequirements:\n  data.destroyed:\n  - {all: [state-kept]}\n"
        "  - {environment: production, all: [plan-verified, restore-proven], any: [state-kept, deletion-staged]}\n"
    )
    one = imagined("x/x", Hazard.DATA_DESTROYED)
    assert read.demanded(replace(one, environment=Environment.PRODUCTION))[0] == (
        ("plan-verified",),
        ("restore-proven",),
        ("state-kept", "deletion-staged"),
    )
    assert read.demanded(replace(one, environment=Environment.STAGING))[0] == (("state-kept",),)


def test_a_policy_as_large_as_may_be_is_read() -> None:
    """One byte more is not, and is told."""
    text = b"version: 1\nmode: observe\n"
    full = text + b"#" * (LIMIT - len(text))
    assert not policy(full).mistakes and policy(full + b"#").mistakes


def test_a_floor_without_a_word_on_overrides_leaves_them() -> None:
    """Who may override is the repository's to say where the organisation says nothing."""
    read = read_policy(MemoryTree({PATH: b"version: 1\noverrides: {who: [sam]}"}), b"version: 1\nfloor: {mode: enforce}")
    assert read.overrides == ("sam",) and read.enforced
    kept = read_policy(MemoryTree({PATH: UNDER.encode()}), b"version: 1\nfloor: {mode: enforce}")
    assert kept.exceptions and kept.floor == ()


@pytest.mark.parametrize("effect", ["0" * 15, "0" * 17, "G" * 16, "0" * 16 + "\n"])
def test_an_exception_names_one_effect(effect: str) -> None:
    """An id that is none is a mistake, not an exception for nothing."""
    text = json.dumps({"version": 1, "exceptions": [{"effect": effect, "reason": "for a reason", "expires": "2026-12-31"}]})
    assert policy(text).mistakes


def test_what_is_written_is_what_is_read() -> None:
    """A workflow, an exception and its day, units and environments arrive as they stand; what a repository leaves out is inherited."""
    text = (
        "version: 1\nevidence: {check-required: {workflow: .github/workflows/ci.yml}}\n"
        "exceptions: [{effect: 0123456789abcdef, reason: for a good reason, expires: '2026-12-31'}]\n"
    )
    organisation = b"version: 1\napplies_to: ai-assisted\nunits: {shop: [shop/**]}\nenvironments: {production: [live/**]}\n"
    read = read_policy(MemoryTree({PATH: text.encode()}), organisation)
    assert read.sources("check-required")[0].workflow == ".github/workflows/ci.yml"
    assert [(one.effect, one.expires.isoformat()) for one in read.exceptions] == [("0123456789abcdef", "2026-12-31")]
    assert read.units == (("shop", ("shop/**",)),) and read.environments == ((Environment.PRODUCTION, ("live/**",)),)
    own = read_policy(MemoryTree({PATH: b"version: 1\nunits: {a: [a/**]}\nenvironments: {staging: [b/**]}"}), organisation)
    assert own.units == (("a", ("a/**",)),) and own.environments == ((Environment.STAGING, ("b/**",)),)
    spared = read_policy(MemoryTree({PATH: b"version: 1\napplies_to: ai-assisted"}), b"version: 1\nfloor: {exceptions: none}")
    assert spared.applies_to == "ai-assisted" and spared.mode == "observe"
