"""`interlock doctor`: what it says of a gate, and that what it tells to run really forces it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bot.doctor import command, doctor
from checks.evidence import RequiredCheck
from tests.house import GATE, House, settings_for


def told(house: House, tmp_path: Any) -> tuple[str, bool]:
    return asyncio.run(doctor(settings_for(house.github, house.app, tmp_path), "acme/shop", None))


def test_a_gate_that_nobody_forces_is_said_to_be_none(house: House, tmp_path: Any) -> None:
    """No ruleset: the answer says so, and prints the command with this App's id."""
    text, fine = told(house, tmp_path)
    assert not fine and f"NO   `{GATE}` is required" in text
    assert f'"integration_id": {house.app.id}' in text and "gh api --method POST repos/acme/shop/rulesets" in text


def test_a_gate_of_any_source_is_not_pinned(house: House, tmp_path: Any) -> None:
    """Required without an App: anyone who can push can fake it; who may bypass is not known without the right to see it."""
    house.repo.require_check(GATE)
    text, fine = told(house, tmp_path)
    assert not fine and "NO   it must come from this App" in text and "?    nobody may bypass it" in text


@pytest.mark.bypass("BP-24")
def test_what_it_tells_to_run_forces_the_gate(house: House) -> None:
    """The printed ruleset requires exactly this check from exactly this App, up to date, with nobody who may bypass it."""
    body = json.loads(command("acme/shop", GATE, "main", house.app.id).partition("<<'JSON'\n")[2].removesuffix("\nJSON"))
    rule = next(one for one in body["rules"] if one["type"] == "required_status_checks")
    (check,) = rule["parameters"]["required_status_checks"]
    assert RequiredCheck(check["context"], check["integration_id"]) == RequiredCheck(GATE, house.app.id)
    assert rule["parameters"]["strict_required_status_checks_policy"] and body["bypass_actors"] == [] and body["enforcement"] == "active"
    house.repo.ruleset(body["name"], body["rules"], include=body["conditions"]["ref_name"]["include"])
    sha, pull = house.propose({"infra/prod/main.tf": ""})
    assert house.verdict(sha) == "failure" and any(GATE in line for line in house.repo.refusals(pull))
