"""How far a change reaches: units, environments, owners, and what depends on what."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from checks.model import Environment, Reach
from checks.policy import BUILT_IN, Policy
from checks.reach import reach_of
from tests.changes import change_of


def reach(before: Mapping[str, str], after: Mapping[str, str], policy: Policy = BUILT_IN) -> Reach:
    """The reach of a change with no effect: only what the paths say."""
    return reach_of(change_of(before, {**before, **after}), (), policy)


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        ("Dockerfile", "FROM alpine\n"),
        ("Chart.yaml", "name: api\n"),
        ("serverless.yml", "service: api\n"),
        ("template.yaml", "AWSTemplateFormatVersion: 2010-09-09\n"),
        ("main.tf", 'terraform {\n  backend "s3" {}\n}\n'),
        ("package.json", '{"scripts": {"start": "node ."}}'),
        ("Procfile", "web: run\n"),
        ("fly.toml", "app = 'api'\n"),
    ],
)
def test_the_nearest_marker_up_the_path_is_the_unit(marker: str, content: str) -> None:
    """A file ships with the nearest folder above it that says how it is deployed."""
    before = {"Dockerfile": "FROM alpine\n", f"services/api/{marker}": content, "services/api/src/deep/a.py": "1\n", "web/b.py": "1\n"}
    assert reach(before, {"services/api/src/deep/a.py": "2\n"}).units == ("services/api",)
    assert reach(before, {"web/b.py": "2\n"}).units == (".",)


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        ("package.json", '{"scripts": {"test": "start-server-and-test"}}'),
        ("main.tf", 'module "a" {\n  source = "../a"\n}\n'),
        ("template.yaml", "title: A letter\n"),
    ],
)
def test_what_only_looks_like_a_marker_is_none(marker: str, content: str) -> None:
    """A library, a module without state and a template of something else are not deployed."""
    assert reach({f"lib/{marker}": content, "lib/a.py": "1\n"}, {"lib/a.py": "2\n"}).units == ()


@pytest.mark.parametrize("path", ["README.md", "tests/test_a.py", "docs/production/a.yaml", "examples/prod/main.tf"])
def test_words_tests_and_examples_ship_nowhere(path: str) -> None:
    """What is not deployed touches no unit and no environment."""
    found = reach({"Dockerfile": "FROM alpine\n", path: "1\n"}, {path: "2\n"})
    assert (found.units, found.environments) == ((), ())


def test_a_deleted_unit_is_still_one() -> None:
    """Whoever removes a service touches that service."""
    before = {"services/api/Dockerfile": "FROM alpine\n", "services/api/a.py": "1\n"}
    assert reach_of(change_of(before, {}), (), BUILT_IN).units == ("services/api",)


def test_the_policy_names_units_and_environments() -> None:
    """What the policy says comes before what the folders say."""
    policy = Policy(units=(("payments", ("services/pay/**",)),), environments=((Environment.PRODUCTION, ("live-eu/**",)),))
    before = {"services/pay/Dockerfile": "FROM alpine\n", "services/pay/a.py": "1\n", "live-eu/a.tf": "\n"}
    found = reach(before, {"services/pay/a.py": "2\n", "live-eu/a.tf": "# 1\n"}, policy)
    assert (found.units, found.environments) == (("payments",), ("production",))


def test_environments_come_from_paths_overlays_and_values() -> None:
    """A chart goes where it has values for; an overlay where its folder says; source code in a folder `dev` nowhere in particular."""
    chart = {"charts/api/Chart.yaml": "name: api\n", "charts/api/templates/a.yaml": "a: 1\n"}
    values = {"charts/api/values-production.yaml": "a: 1\n", "charts/api/values-staging.yaml": "a: 1\n"}
    assert reach({**chart, **values}, {"charts/api/templates/a.yaml": "a: 2\n"}).environments == ("production", "staging")
    assert reach({"apps/overlays/prod/a.yaml": "a: 1\n"}, {"apps/overlays/prod/a.yaml": "a: 2\n"}).environments == ("production",)
    assert reach({"src/dev/a.py": "1\n"}, {"src/dev/a.py": "2\n"}).environments == ()


def test_deploy_jobs_are_touched_by_their_paths() -> None:
    """A job that deploys to a GitHub environment is reached by its own workflow and by the paths that wake it."""
    flow = "on:\n  push:\n    paths: ['api/**']\njobs:\n  ship:\n    runs-on: ubuntu-latest\n    environment: production\n    steps:\n    - run: make\n"
    before = {".github/workflows/ship.yml": flow, "api/a.py": "1\n", "web/a.py": "1\n"}
    found = reach(before, {"api/a.py": "2\n"})
    assert (found.units, found.environments) == (("ship.yml: ship",), ("production",))
    assert reach(before, {"web/a.py": "2\n"}).units == ()
    assert reach(before, {".github/workflows/ship.yml": flow + "# more\n"}).units == ("ship.yml: ship",)


def test_owners_are_those_before_the_change() -> None:
    """The last matching line counts, as it stood before: a change does not choose its owners."""
    before = {"CODEOWNERS": "* @acme/all\n/api/ @acme/api @Robin\n", "api/a.py": "1\n", "b.py": "1\n"}
    assert reach(before, {"api/a.py": "2\n", "CODEOWNERS": "* @eve\n"}).owners == ("@acme/all", "@acme/api", "@robin")
    assert reach(before, {"api/a.py": "2\n"}).owners == ("@acme/api", "@robin")
