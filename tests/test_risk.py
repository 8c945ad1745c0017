"""The score: led by the worst effect, never lowered by one more, a sum anyone can redo."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from checks.model import Attribution, Confidence, Effect, Environment, Hazard, Level, Reach, Reversible, Severity, Side
from checks.risk import RANGES, band_of, points_of, risk_of

EFFECTS = st.builds(
    Effect,
    rule=st.just("x/y"),
    hazard=st.sampled_from(Hazard),
    severity=st.sampled_from(Severity),
    confidence=st.sampled_from(Confidence),
    reversible=st.sampled_from(Reversible),
    subject=st.text("abc", max_size=3),
    path=st.just("a"),
    line=st.none(),
    side=st.just(Side.HEAD),
    message=st.just("m"),
    environment=st.sampled_from(Environment),
    facts=st.sampled_from([(), (("agent", "claude-code"),)]),
)
REACHES = st.builds(Reach, files=st.integers(0, 100_000), units=st.lists(st.text("ab", max_size=2), max_size=5).map(tuple))
AGENT = Attribution(Level.AGENT, ("claude-code",))


@given(st.lists(EFFECTS, max_size=6), EFFECTS, REACHES)
def test_one_more_effect_never_lowers_the_score(effects: list[Effect], more: Effect, reach: Reach) -> None:
    """Nobody makes a change look safer by adding harm to it."""
    assert risk_of([*effects, more], reach, AGENT).score >= risk_of(effects, reach, AGENT).score


@given(st.lists(EFFECTS, min_size=1, max_size=6), REACHES)
def test_production_never_costs_less(effects: list[Effect], reach: Reach) -> None:
    """Moving an effect to production never lowers the score; unknown is priced as production."""
    moved = [replace(effects[0], environment=Environment.PRODUCTION), *effects[1:]]
    assert risk_of(moved, reach, AGENT).score >= risk_of(effects, reach, AGENT).score
    assert points_of(replace(effects[0], environment=Environment.UNKNOWN)) == points_of(moved[0])


@given(st.lists(EFFECTS, max_size=6), REACHES)
def test_the_score_is_the_sum_of_its_terms(effects: list[Effect], reach: Reach) -> None:
    """Anyone can redo the sum, and each term keeps its range."""
    risk = risk_of(effects, reach, AGENT)
    hazard, spread, compounding = (term.points for term in risk.terms)
    assert risk.score == hazard + spread + compounding <= 100
    assert 0 <= hazard <= 70 and 0 <= spread <= 20 and 0 <= compounding <= 10
    assert risk.band is band_of(risk.score)


def test_the_size_of_a_harmless_change_never_outranks_a_small_destructive_one() -> None:
    """A hundred thousand harmless files score less than any effect of moderate severity."""
    huge = risk_of([], Reach(files=100_000, units=tuple("abcdefgh"), owners=tuple("abcdefgh")), Attribution()).score
    assert huge < RANGES[Severity.MODERATE][0]


def test_a_milder_severity_never_outranks_a_worse_one() -> None:
    """The ranges of the severities do not overlap."""
    ordered = [RANGES[severity] for severity in Severity]
    assert all(low[1] < high[0] for low, high in itertools.pairwise(ordered))
    assert ordered[-1][1] == 70
