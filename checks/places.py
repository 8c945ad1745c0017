"""What a path says about where its content ends up: an environment, or nowhere at all."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from checks.model import Environment


class Place(StrEnum):
    """What kind of place a path is."""

    DEPLOYED = "deployed"
    """Anything not known to be something else."""
    TEST = "test"
    EXAMPLE = "example"
    DOCUMENTATION = "documentation"
    VENDORED = "vendored"


_WORDS = re.compile(r"[a-z0-9]+")
_ENVIRONMENTS = (
    (Environment.PRODUCTION, frozenset({"prod", "production", "prd", "live", "prods"})),
    (Environment.STAGING, frozenset({"staging", "stage", "stg", "preprod", "preproduction", "uat", "qa", "acceptance", "nonprod"})),
    (Environment.DEVELOPMENT, frozenset({"dev", "devel", "development", "sandbox", "preview", "local", "ephemeral", "playground"})),
)
_TEST = frozenset(
    {
        "test",
        "tests",
        "testing",
        "testdata",
        "testcases",
        "__tests__",
        "spec",
        "specs",
        "fixtures",
        "fixture",
        "__fixtures__",
        "__mocks__",
        "mocks",
        "e2e",
        "testutil",
        "testsuite",
    }
)
_EXAMPLE = frozenset({"example", "examples", "sample", "samples", "demo", "demos", "tutorial", "tutorials", "quickstart", "quickstarts"})
_DOCUMENTATION = frozenset({"docs", "doc", "documentation", "website"})
_VENDORED = frozenset({"vendor", "vendored", "third_party", "third-party", "node_modules", "site-packages"})


_COMPOUND = re.compile(
    r"(?:sample|samples|example|examples|tutorial|tutorials)[-_]\w[\w-]*|\w[\w-]*[-_](?:samples|examples|tutorial|tutorials)"
)
"""`sample-configurations`, `terraform-examples`: a folder of samples under a longer name. `x-example` and `x-sample` may be a domain or a product."""


@lru_cache(maxsize=8192)
def place_of(path: str) -> Place:
    """What kind of place `path` is, by its folders only (a file's own name says nothing)."""
    folders = frozenset(path.lower().split("/")[:-1])
    if any(_COMPOUND.fullmatch(folder) for folder in folders):
        folders |= {"examples"}
    for place, names in (
        (Place.VENDORED, _VENDORED),
        (Place.TEST, _TEST),
        (Place.EXAMPLE, _EXAMPLE),
        (Place.DOCUMENTATION, _DOCUMENTATION),
    ):
        if folders & names:
            return place
    return Place.DEPLOYED


@lru_cache(maxsize=8192)
def environment_of(text: str) -> Environment:
    """The environment a path, workspace or name speaks of, by whole words; unknown where it names none or more than one."""
    words = frozenset(_WORDS.findall(text.lower()))
    named = [environment for environment, names in _ENVIRONMENTS if words & names]
    if "non" in words or "pre" in words:
        named = [e for e in named if e is not Environment.PRODUCTION] or [Environment.STAGING] * bool(named)
    return named[0] if len(named) == 1 else Environment.UNKNOWN
