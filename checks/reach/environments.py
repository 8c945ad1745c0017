"""Where what changed ends up: from effects, the policy's patterns, the path's own words, and the units it ships in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from checks.model import Effect, Environment
from checks.patterns import matching
from checks.places import environment_of
from checks.policy import Policy
from checks.reach.units import Unit, ships

_SETTINGS = re.compile(
    r"(?:\.(?:tf|tofu|tfvars|hcl|ya?ml|json|toml|ini|conf|cfg|properties|env|sql|bicep|bicepparam|j2|tpl|gotmpl|sh)|(?:^|/)\.env[\w.-]*|Dockerfile[\w.-]*)\Z",
    re.I,
)
"""Files that say what runs where. In source code a folder named `dev` is a word like any other."""


def environments_of(effects: Sequence[Effect], policy: Policy, paths: Iterable[str], units: Iterable[Unit]) -> tuple[str, ...]:
    """The environments named anywhere, sorted. Unknown is none of them: it stays unknown, and is priced as production."""
    named = {effect.environment for effect in effects if not effect.hazard.harmless}
    named |= {environment for unit in units for environment in unit.environments}
    for path in paths:
        stated = next((environment for environment, patterns in policy.environments if matching(patterns, path)), None)
        named.add(stated or (environment_of(path) if ships(path) and _SETTINGS.search(path) else None))
    return tuple(sorted(environment.value for environment in named if environment not in (None, Environment.UNKNOWN)))
