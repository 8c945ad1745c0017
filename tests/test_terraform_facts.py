"""What is known of resource types comes from two sorted tables, one line at a time."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from checks.model import Reversible, Severity
from checks.readers.terraform_facts import is_guard, is_helper, is_light, loss, replaced_by, stateful


@pytest.mark.parametrize("name", ["terraform_replaced.txt", "terraform_stateful.txt"])
def test_the_tables_are_sorted_and_well_formed(name: str) -> None:
    """Each line begins with a type of its own, in order."""
    lines = resources.files("checks.data").joinpath(name).read_text().splitlines()
    types = [re.split(r"[ \t]", line)[0] for line in lines]
    assert len(set(types)) == len(types)
    assert types == sorted(types) or lines == sorted(lines)
    assert all(re.fullmatch(r"[a-z][a-z0-9_-]*", one) for one in types)


def test_arguments_that_replace_are_told_apart() -> None:
    """Always, on a condition, and computed when left out."""
    found = replaced_by("aws_lb")
    assert "name" in found.always and "subnets" in found.maybe and "internal" in found.computed
    assert "security_groups" not in found.always
    assert replaced_by("nobody_knows_this") == replaced_by("nor_that")
    assert replaced_by("google_project_iam_member").always == {"role", "member", "condition"}


def test_a_type_is_found_by_its_whole_name() -> None:
    """`aws_db_instance` is not `aws_db_instance_role_association`."""
    assert stateful("aws_db_instance") is not None
    assert stateful("aws_db") is None and stateful("aws_db_instance_role_association") is None


@pytest.mark.parametrize(
    ("resource_type", "severity", "reversible"),
    [
        ("aws_db_instance", Severity.CRITICAL, Reversible.NO),
        ("azurerm_key_vault", Severity.CRITICAL, Reversible.WINDOW),
        ("aws_sqs_queue", Severity.HIGH, Reversible.NO),
        ("aws_lb", Severity.MODERATE, Reversible.PARTLY),
        ("aws_iam_role_policy", Severity.LOW, Reversible.YES),
        ("null_resource", Severity.LOW, Reversible.YES),
    ],
)
def test_losing_a_type_is_as_bad_as_what_it_holds(resource_type: str, severity: Severity, reversible: Reversible) -> None:
    """Data is critical, what holds messages high, other things moderate, permissions and helpers low."""
    assert loss(resource_type) == (severity, reversible)


def test_guards_helpers_and_permissions_are_told_apart() -> None:
    """A lock guards, a null_resource stands for nothing, an attachment only connects."""
    assert is_guard("azurerm_management_lock") and not is_guard("azurerm_public_ip")
    assert is_helper("null_resource") and not is_helper("random_password")
    assert is_light("aws_iam_role_policy_attachment") and not is_light("aws_iam_role")
