"""What `make demo` tells a newcomer is what happens."""

from __future__ import annotations

import re

import pytest

from bot.demo import story


@pytest.mark.slow
def test_the_story_goes_as_told() -> None:
    """Red at first; an approval changes nothing; red while a plan is missing; green and merged once it is proven; and the sum adds up."""
    told: list[str] = []
    assert story.tell(say=told.append) == 0
    text = "\n".join(told)
    assert re.findall(r"[✘✔](?= interlock: main)", text) == ["✘", "✘", "✘", "✔"]
    assert "GitHub refuses the merge" in text and "GitHub lets it be merged" in text
    terms = [int(points) for points in re.findall(r"^ +(-?\d+)  \w+  ", text, re.MULTILINE)]
    assert terms and f"{sum(terms)}  of 100" in text


@pytest.mark.slow
def test_a_story_that_goes_another_way_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The demonstration never claims what did not happen: it ends with 1 and says where it went another way."""
    monkeypatch.setattr(story.files, "DELETED_AND_RECREATED", {"README.md": "# The shop\n"})
    assert story.tell(say=lambda line: None) == 1
    assert "the story went another way: the gate is not red" in capsys.readouterr().err
