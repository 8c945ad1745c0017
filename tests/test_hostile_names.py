"""Names whose bytes are no text: they are judged, stored, shown and replayed like any other, and nothing of them escapes as raw bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bot import codec, records
from bot.mirror.objects import Objects
from checks.model import NotAnalysed
from tests.house import DATABASE, TOPIC, House, build, demolish

NAMES = {
    "m_\udcff.txt": "x\n",
    "infra/prod/\udcfa/main.tf": DATABASE,
    "db/migrations/2_\udcfe.sql": "DROP TABLE users;\n",
    ".github/workflows/\udcff.yml": "on: push\n",
    "\udcff/package.json": "{}",
    "\udcff/AGENTS.md": "x\n",
    "k8s/\udcff.yaml": "kind: Pod\napiVersion: v1\nmetadata: {name: x}\n",
    "a\u202eb\x1b[2J.txt": "x\n",
    "b`|<script>@sam\n# x.txt": "x\n",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = build(tmp_path_factory.mktemp("names"))
    yield made
    demolish(made)


def test_a_review_with_such_names_ends_with_a_verdict(house: House) -> None:
    """The gate is red with what was found under each name, every name escaped, and the record replays to the same report."""
    sha, _ = house.propose({**NAMES, "infra/prod/main.tf": TOPIC})
    run = house.gate(sha)
    assert run.conclusion == "failure" and "resource-destroyed" in run.summary and "table-dropped" in run.summary
    assert run.summary.count("hidden/name-misleads") >= 7 and "\\u{dcff}" in run.summary
    assert run.summary.encode() and "\x1b" not in run.summary and "\u202e" not in run.summary and "<script>" not in run.summary
    store = house.server.app.store
    assert records.verify(store) == []
    with Objects(house.repo.path) as objects:
        again = records.replay(store.records("acme/shop", head=sha)[0], objects)
    assert again.same and again.whole
    assert json.loads(store.records("acme/shop", head=sha)[0].report)["effects"]


@given(some.text(some.characters() | some.sampled_from("\udc80\udcff\ud800\U0010fffe\0-00ff")))
def test_any_text_comes_back_from_the_store(text: str) -> None:
    """What is stored as JSON is UTF-8, and reads back as it was, surrogates and the sign that stands for them among it."""
    value = NotAnalysed(text, text)
    stored = codec.dump(value)
    assert stored.encode() and codec.load(NotAnalysed, stored) == value
