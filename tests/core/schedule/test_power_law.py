"""The worth of a page between two gaps, as a power of the gap."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.schedule.power_law import CLOSE, LEAST_GROWTH, STRIDE, PowerLaw

SQUARE = PowerLaw.through(10.0, 2.0, 18.0)
"""Three times the gap is nine times the worth."""


@pytest.mark.parametrize(
    ("gap", "worth"), [(10.0, 2.0), (20.0, 8.0), (30.0, 18.0), (5.0, 0.5), (1.0, 0.02), (100.0, 200.0)]
)
def test_a_square_law(gap: float, worth: float) -> None:
    """The worth of each gap, and the gap of each worth, between the two that were summed up and beyond."""
    assert SQUARE.power == pytest.approx(2.0)
    assert SQUARE.worth_at(gap) == pytest.approx(worth)
    assert SQUARE.gap_of(worth) == pytest.approx(gap)


@pytest.mark.parametrize(
    ("made", "near_gap", "far_gap", "asked"),
    [
        (lambda ask: PowerLaw.begin(4.0, ask), 4.0, 12.0, [4.0, 12.0]),
        (SQUARE.farther, 30.0, 90.0, [90.0]),
        (SQUARE.nearer, 10.0 / 3.0, 10.0, [10.0 / 3.0]),
        (lambda ask: SQUARE.shifted(50.0, ask), 50.0, 62.5, [50.0]),
        (lambda ask: SQUARE.shifted(50.0, ask).farther(ask), 50.0, 150.0, [50.0, 150.0]),
    ],
    ids=["begin", "farther", "nearer", "shifted", "shifted and farther"],
)
def test_what_is_summed_up_for_it(made, near_gap: float, far_gap: float, asked: list[float]) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Each step asks for the worth at the gaps that are new, and leads through it."""
    gaps: list[float] = []

    def worth_after(gap: float) -> float:
        gaps.append(gap)
        return gap * gap / 50.0

    law = made(worth_after)
    assert gaps == asked
    assert (law.near_gap, law.far_gap) == (near_gap, pytest.approx(far_gap))
    for gap in (near_gap, far_gap):
        assert law.worth_at(gap) == pytest.approx(gap * gap / 50.0)


def test_a_worth_that_does_not_grow() -> None:
    """The law grows a little all the same, so that it names a finite gap for any worth."""
    flat = PowerLaw.begin(1.0, lambda _gap: 5.0)
    assert flat.far_worth == 5.0 * LEAST_GROWTH
    assert math.isfinite(flat.gap_of(1e300))


@given(st.floats(0.05, 1e6), st.floats(1e-9, 1e3), st.floats(1.0, 9.0))
def test_it_leads_through_both_ends(gap: float, worth: float, growth: float) -> None:
    """At either gap the worth is what was summed up there; close to another gap the power stays."""
    law = PowerLaw.through(gap, worth, worth * growth)
    assert law.worth_at(law.near_gap) == worth
    assert law.worth_at(law.far_gap) == pytest.approx(law.far_worth)
    assert law.far_gap == gap * STRIDE
    close = law.shifted(gap, lambda _gap: worth)
    assert close.worth_at(gap * CLOSE) == pytest.approx(law.worth_at(gap * CLOSE))
