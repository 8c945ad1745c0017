"""Prints what each safeguard says of each way in which evidence can be other than it looks: `python -m tests.proofs_table`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from checks import safeguards
from checks.evidence import OFFLINE, BranchRules, Evidence, RequiredCheck
from checks.model import Proof, Status
from tests import test_evidence as given

COLUMNS = (
    "met", "missing", "failed", "unknown", "forged", "stale", "skipped", "other app", "other workflow", "other commit", "other event",
)  # fmt: skip
Cells = dict[str, Proof]
NONE = "–"
"""Such a thing cannot be: the proof comes from the two trees, or the answer is GitHub's own."""


def _head(name: str) -> Cells:
    """Proof bound to a head: a check run, with an artifact where there is one."""
    cells = {
        column: given.proof(name, given.evidence(name, alter(given.CHECK)))
        for column, (alter, _) in given.SITUATIONS.items()
        if column in COLUMNS
    }
    return {**cells, "unknown": given.proof(name, replace(OFFLINE, now=given.NOW))}


def _kept() -> Cells:
    """`state-kept` by a plan: the same bindings, with a plan that shows the thing as kept."""
    plan = given.PLAN_KEPT

    def cell(check: object) -> Proof:
        found = given.evidence("plan-verified", check)  # type: ignore[arg-type]
        return given.proof("state-kept", replace(found, artifacts=tuple(replace(one, content=plan) for one in found.artifacts)))

    cells = {column: cell(alter(given.CHECK)) for column, (alter, _) in given.SITUATIONS.items() if column in COLUMNS}
    return {**cells, "unknown": given.proof("state-kept", replace(OFFLINE, now=given.NOW))}


def _drill() -> Cells:
    names = {"forged": "fork", "other commit": "other store"}
    cells = {}
    for column in COLUMNS:
        situation = names.get(column, column)
        if situation in given.DRILLS:
            drills, _ = given.DRILLS[situation]
            cells[column] = given.proof("restore-proven", Evidence(connected=True, now=given.NOW, drills=drills))
    return cells


def _staged() -> Cells:
    rows = {
        "met": given.staged(25),
        "missing": (),
        "unknown": None,
        "stale": (*given.staged(300), *given.staged(1)),
        "forged": given.staged(-5),
        "other commit": given.staged(25, "aws_db_instance.other"),
    }
    return {column: given.proof("deletion-staged", Evidence(connected=True, now=given.NOW, staged=found)) for column, found in rows.items()}


def _room() -> Cells:
    effect = replace(given.EFFECT, facts=(("job-environment", "production"),))
    rows = {
        "met": (given.ROOM,),
        "failed": (replace(given.ROOM, protected=False),),
        "unknown": None,
        "forged": (replace(given.ROOM, admins_bypass=True),),
        "other workflow": (replace(given.ROOM, name="staging"),),
    }
    cells = {
        column: given.proof("environment-protected", Evidence(connected=True, now=given.NOW, environments=found), effect)
        for column, found in rows.items()
    }
    return {**cells, "missing": given.proof("environment-protected", Evidence(connected=True, now=given.NOW, environments=(given.ROOM,)))}


def _gate() -> Cells:
    gate, app = given.GATE, given.APP
    rows = {
        "met": BranchRules((RequiredCheck(gate, app),), ()),
        "missing": BranchRules(),
        "failed": BranchRules((RequiredCheck(gate, app),), ("Team 1 (always)",)),
        "unknown": BranchRules((RequiredCheck(gate, app),), None),
        "forged": BranchRules((RequiredCheck(gate, None),), ()),
        "other app": BranchRules((RequiredCheck(gate, 8),), ()),
        "other commit": BranchRules((RequiredCheck("interlock: dev", app),), ()),
    }
    return {
        column: given.proof("gate-enforced", Evidence(connected=True, now=given.NOW, rules=rules, gate_check=gate, gate_app_id=app))
        for column, rules in rows.items()
    }


def _trees(name: str) -> Cells:
    """Proof from the two trees alone."""
    return {column: found for column, make in given.TREES[name].items() if (found := make()) is not None}


ROWS: dict[str, Callable[[], Cells]] = {
    "restore-proven": _drill,
    "deletion-staged": _staged,
    "environment-protected": _room,
    "gate-enforced": _gate,
    "state-kept": _kept,
    **{name: (lambda name=name: _head(name)) for name in (*given.WITH_ARTIFACT, "check-required")},  # type: ignore[misc]
    **{name: (lambda name=name: _trees(name)) for name in given.TREES},  # type: ignore[misc]
}


def table() -> dict[str, Cells]:
    """Every safeguard with what it says in each situation that can be."""
    return {name: ROWS[name]() for name in safeguards.NAMES}


def main() -> None:
    """Print the table as Markdown, and how many cells there are."""
    found = table()
    print("| safeguard | " + " | ".join(COLUMNS) + " |\n|" + " --- |" * (len(COLUMNS) + 1))
    for name, cells in found.items():
        print(f"| {name} | " + " | ".join(cells[one].status.value if one in cells else NONE for one in COLUMNS) + " |")
    wrong = [(name, one) for name, cells in found.items() for one, proof in cells.items() if (proof.status is Status.MET) != (one == "met")]
    print(f"\n{sum(map(len, found.values()))} cells, {len(wrong)} of them green that should not be, or not green that should")


if __name__ == "__main__":
    main()
