"""The names of the safeguards, and which ones a hazard needs where no policy says otherwise.

A group is a tuple of safeguards of which any one will do; every group must be satisfied. The rows of a hazard go from the severest down, the
first whose severity an effect reaches counts. Effects below the last row need nothing: they are mentioned.
"""

from __future__ import annotations

from checks.model import Hazard

Groups = tuple[tuple[str, ...], ...]

NAMES: tuple[str, ...] = (
    "plan-verified",
    "deletion-staged",
    "state-kept",
    "restore-proven",
    "migration-reversed",
    "expand-contract",
    "rollout-staged",
    "rollback-automatic",
    "privilege-bounded",
    "environment-protected",
    "check-required",
    "tests-exercised",
    "change-isolated",
    "gate-enforced",
    "agent-contained",
)

_KEPT = ("state-kept", "deletion-staged", "restore-proven")

DEFAULTS: dict[Hazard, tuple[tuple[str, Groups], ...]] = {
    # A plan alone only confirms the loss: something must also keep, have announced or be able to restore what is lost.
    Hazard.DATA_DESTROYED: (("high", (("expand-contract", *_KEPT),)), ("moderate", (("expand-contract", "migration-reversed", *_KEPT),))),
    Hazard.RESOURCE_DESTROYED: (("high", (("plan-verified",), _KEPT)), ("moderate", (("plan-verified", *_KEPT),))),
    Hazard.RESOURCE_REPLACED: (("high", (("plan-verified",), _KEPT)), ("moderate", (("plan-verified", "rollout-staged", *_KEPT),))),
    # A guard is taken off in a change of its own, so that nothing it guarded can go with it.
    Hazard.PROTECTION_REMOVED: (("moderate", (("change-isolated",),)),),
    Hazard.PRIVILEGE_WIDENED: (
        ("high", (("privilege-bounded", "environment-protected"),)),
        ("moderate", (("privilege-bounded", "environment-protected", "change-isolated"),)),
    ),
    Hazard.EXPOSURE_WIDENED: (("high", (("privilege-bounded",),)), ("moderate", (("privilege-bounded", "change-isolated"),))),
    Hazard.SECRET_EXPOSED: (
        ("high", (("environment-protected",),)),
        ("moderate", (("environment-protected", "privilege-bounded", "change-isolated"),)),
    ),
    Hazard.PIPELINE_WIDENED: (
        ("high", (("environment-protected", "privilege-bounded"),)),
        ("moderate", (("environment-protected", "privilege-bounded", "change-isolated"),)),
    ),
    Hazard.CHECK_WEAKENED: (("high", (("check-required",),)), ("moderate", (("check-required", "tests-exercised"),))),
    Hazard.AGENT_WIDENED: (("high", (("agent-contained",), ("gate-enforced",))), ("moderate", (("agent-contained", "gate-enforced"),))),
    Hazard.AGENT_UNGUARDED: (("high", (("agent-contained",), ("gate-enforced",))), ("moderate", (("agent-contained", "gate-enforced"),))),
    Hazard.GATE_CHANGED: (("moderate", (("change-isolated",), ("gate-enforced",))),),
    Hazard.SUPPLY_CHANGED: (("high", (("check-required",),)), ("moderate", (("check-required", "tests-exercised", "change-isolated"),))),
    Hazard.COMPATIBILITY_BROKEN: (
        ("high", (("expand-contract", "rollout-staged"),)),
        ("moderate", (("expand-contract", "rollout-staged", "tests-exercised"),)),
    ),
    Hazard.AVAILABILITY_REDUCED: (
        ("high", (("rollout-staged", "rollback-automatic"),)),
        ("moderate", (("rollout-staged", "rollback-automatic", "tests-exercised", "change-isolated"),)),
    ),
    # Nothing proves what was not read: a trusted check that reads it must be named, or it must be made readable.
    Hazard.NOT_ANALYSED: (("moderate", (("check-required",),)),),
}
