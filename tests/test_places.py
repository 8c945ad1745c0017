"""Where a path stands and what a pattern means: both decide how much an effect weighs and which demands are made of it."""

from __future__ import annotations

import pytest

from checks.model import Environment
from checks.patterns import matching
from checks.places import Place, environment_of, place_of

PRODUCTION, STAGING, DEVELOPMENT, UNKNOWN = Environment.PRODUCTION, Environment.STAGING, Environment.DEVELOPMENT, Environment.UNKNOWN
NAMED = {
    PRODUCTION: "prod production prd live prods",
    STAGING: "staging stage stg preprod preproduction uat qa acceptance nonprod",
    DEVELOPMENT: "dev devel development sandbox preview local ephemeral playground",
}
"""What teams call their environments."""


@pytest.mark.parametrize("environment", NAMED)
def test_an_environment_is_named_by_a_whole_word(environment: Environment) -> None:
    """Wherever the word stands and however it is written; as a part of a longer word it says nothing."""
    for word in NAMED[environment].split():
        for text in (word, word.upper(), f"infra/{word}/main.tf", f"envs/{word}.tfvars", f"acme-{word}-eu_1", f"aws_db_instance.{word}"):
            assert environment_of(text) is environment, text
        assert environment_of(f"infra/{word}uct0r/main.tf") is UNKNOWN


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("infra/main.tf", UNKNOWN),
        ("", UNKNOWN),
        ("infra/dev/prod/main.tf", UNKNOWN),
        ("dev-and-staging", UNKNOWN),
        ("prod/production.tf", PRODUCTION),
        ("non-prod", STAGING),
        ("infra/pre-production/main.tf", STAGING),
        ("non-prod/dev", DEVELOPMENT),
        ("pre-dev", DEVELOPMENT),
        ("pre-commit", UNKNOWN),
        ("non-prod/staging", STAGING),
    ],
)
def test_a_name_that_says_two_things_says_none(text: str, environment: Environment) -> None:
    """Two environments are none; what is not yet or not quite production is no production."""
    assert environment_of(text) is environment


PLACES = {
    Place.TEST: "test tests testing testdata testcases __tests__ spec specs fixtures fixture __fixtures__ __mocks__ mocks e2e testutil testsuite",
    Place.EXAMPLE: "example examples sample samples demo demos tutorial tutorials quickstart quickstarts example-app sample-configurations "
    "terraform-examples my_samples examples-v2 tutorial-1 aws-tutorials example_x samples_x tutorials-x x-tutorial",
    Place.DOCUMENTATION: "docs doc documentation website",
    Place.VENDORED: "vendor vendored third_party third-party node_modules site-packages",
    Place.DEPLOYED: "src app contest latest specification docstore my-example x-sample samplers demo-app",
}
"""Folders, by what stands in them."""


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_told_by_a_whole_folder(place: Place) -> None:
    """Any folder of the path, whatever its letters; a file's own name says nothing."""
    for folder in PLACES[place].split():
        for path in (f"{folder}/a.tf", f"deep/{folder}/in/a.tf", f"{folder.upper()}/a.tf"):
            assert place_of(path) is place, path
        assert place_of(folder) is place_of(f"src/{folder}") is Place.DEPLOYED


def test_of_two_places_the_one_that_is_least_the_repositorys_own_counts() -> None:
    """Vendored tests are vendored, an example's tests are tests, and an example among the words is an example."""
    assert place_of("vendor/a/tests/b.tf") is place_of("docs/vendor/b.tf") is Place.VENDORED
    assert place_of("examples/a/tests/b.tf") is place_of("docs/tests/b.tf") is Place.TEST
    assert place_of("docs/examples/b.tf") is place_of("docs/terraform-examples/b.tf") is Place.EXAMPLE


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("infra/live/**", "infra/live/a.tf infra/live/b/c.tf infra/live/.x INFRA/live/a", "infra/lives/a.tf infra/live x/infra/live/a.tf"),
        ("infra/*/main.tf", "infra/a/main.tf", "infra/main.tf infra/a/b/main.tf infra/a/main.tfx"),
        ("**/prod/*.tf", "prod/a.tf a/prod/b.tf a/b/prod/c.tf", "aprod/a.tf prod/a/b.tf prod/a.tfvars"),
        ("a/**/b", "a/b a/c/b a/c/d/b", "ab a/cb b a/b/c"),
        ("*.sql", "a.sql db/a.sql a/b/c.SQL .sql", "a.sqlx sql"),
        ("Makefile", "Makefile a/makefile", "Makefile.am a/Makefile/b"),
        ("a/?.tf", "a/b.tf", "a/.tf a/bc.tf a//.tf"),
        ("a/{dev,test}/*.tf", "a/dev/x.tf a/test/y.tf", "a/prod/x.tf a/dev,test/x.tf"),
        ("a/*.{tf,tofu}", "a/x.tf a/x.tofu", "a/x.t a/x.tfofu"),
        ("a/{b,c}{d,e}", "a/bd a/ce", "a/b a/bc a/{b,c}d"),
        ("a/{*,b/c}.tf", "a/x.tf a/b/c.tf", "a/x/y.tf"),
        ("a/{b", "a/{b", "a/b"),
        ("a/b.tf", "a/b.tf", "a/bxtf a/b.tf/c"),
        ("a/[b]+(c)", "a/[b]+(c)", "a/b a/bc"),
        ("a**b/c", "ab/c axb/c ax/yb/c", "a/c b/c"),
    ],
)
def test_what_a_pattern_means(pattern: str, yes: str, no: str) -> None:
    """A star stays in its folder, two go anywhere, a name alone is meant in any folder, braces are either; all else is itself."""
    for path in yes.split():
        assert matching([pattern], path), path
        assert matching(["x/y/z", pattern], path) and matching([pattern, "x/y/z"], path)
    for path in no.split():
        assert not matching([pattern], path), path
    assert not matching([pattern], yes.split()[0] + "\n") or pattern.endswith("**")
    assert not matching([], yes.split()[0])
