"""What the forms for machines have in common: which effects are shown, how loud each is, and what it still needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from checks.model import Effect, Report, Severity, State, Status

LEVEL: Mapping[Severity, str] = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MODERATE: "warning", Severity.LOW: "notice"}


@dataclass(frozen=True, slots=True)
class Judged:
    """An effect with what is still to be proven for it."""

    effect: Effect
    needs: tuple[str, ...]
    """Safeguards, each with its alternatives: `plan-verified`, `expand-contract or restore-proven`."""
    stops: bool
    """The change is blocked, and this effect is one of the reasons."""

    @property
    def level(self) -> str:
        """error, warning or notice: an effect that stops the change is an error however small it is by itself."""
        return "error" if self.stops else LEVEL[self.effect.severity]


def judged(report: Report) -> tuple[Judged, ...]:
    """The harmful effects, those that stop the change first, then the worst first; otherwise in the report's order."""
    needs: dict[str, list[str]] = {}
    for requirement in report.requirements:
        if requirement.proof.status is not Status.MET:
            for effect in requirement.effects:
                needs.setdefault(effect, []).append(" or ".join((requirement.safeguard, *requirement.alternatives)))
    blocked = report.verdict.state is State.BLOCKED
    found = [
        Judged(effect, tuple(needs.get(effect.id, ())), blocked and effect.id in needs)
        for effect in report.assessment.effects
        if not effect.hazard.harmless
    ]
    return tuple(sorted(found, key=lambda one: (not one.stops, -one.effect.severity.rank)))
