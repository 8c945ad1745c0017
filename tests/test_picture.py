"""The blast radius drawn: every fact of it also in words, danger by shape as well as by colour, nothing from outside as markup."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from checks.assess import assess
from checks.model import Assessment
from checks.policy import BUILT_IN
from checks.reach.picture import picture, words
from tests.changes import change_of

SVG = "{http://www.w3.org/2000/svg}"
TOPIC = 'resource "aws_sns_topic" "orders" {\n  name = "orders"\n}\n'
FILES = {
    "modules/db/main.tf": 'resource "aws_db_instance" "main" {\n  identifier = "shop"\n}\n' + TOPIC,
    "live/prod/main.tf": 'terraform {\n  backend "s3" {}\n}\nmodule "db" {\n  source = "../../modules/db"\n}\n',
    "CODEOWNERS": "* @acme/all\n",
}


def destroyed(more: dict[str, str] | None = None) -> Assessment:
    """A module loses its database; production calls it."""
    return assess(change_of(FILES, {**FILES, "modules/db/main.tf": TOPIC, **(more or {})}), BUILT_IN)


def test_the_picture_tells_what_the_report_says() -> None:
    """What is lost, what depends on it, where it ships and who owns it stand in the picture and in its description."""
    root = ElementTree.fromstring(picture(destroyed()))
    shown = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    described = root.findtext(f"{SVG}desc") or ""
    for fact in ("aws_db_instance.main", "live/prod/main.tf", "unit live/prod", "environment production", "@acme/all"):
        assert fact in shown and fact in described
    assert root.findtext(f"{SVG}title", "").startswith("Blast radius: ")
    assert root.get("role") == "img" and root.get("aria-labelledby") == "radius-title radius-words"
    assert words(destroyed()) == described


def test_danger_has_a_shape_of_its_own() -> None:
    """Without colour the worst effect still stands out: a triangle, and the word."""
    drawn = picture(destroyed())
    assert 'class="critical" d="M' in drawn and "critical: resource destroyed" in drawn


def test_no_name_from_outside_is_markup_or_leaves_the_drawing() -> None:
    """Names are escaped, controls are replaced, long ones are cut in the middle so that every row fits."""
    nasty = f'live/<script>/"&\u202e/{"x" * 400}/main.tf'
    drawn = picture(destroyed({nasty: 'module "db" {\n  source = "../../../../modules/db"\n}\n'}))
    root = ElementTree.fromstring(drawn)
    assert "<script" not in drawn and "\u202e" not in drawn
    for text in root.iter(f"{SVG}text"):
        assert float(text.get("x", "0")) + 7.4 * len("".join(text.itertext())) <= 410


def test_every_row_stands_inside_the_drawing() -> None:
    """The height follows from the rows."""
    drawn = picture(destroyed())
    height = int(re.search(r'viewBox="0 0 400 (\d+)"', drawn)[1])  # type: ignore[index]
    assert max(int(y) for y in re.findall(r'<text[^>]* y="(\d+)"', drawn)) < height
