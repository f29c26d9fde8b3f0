"""How a rate that was cut grows again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.budget.recovery import DEPTH, LONGEST_TIME, LOWEST_RATE, SHORTEST_SPAN, Recovery

RATES = st.floats(LOWEST_RATE, 1000.0)


def test_it_begins_below_the_plateau_and_is_back_after_one_span() -> None:
    """The cut is 15 %; half of a span makes good seven eighths of it."""
    recovery = Recovery(100.0)
    assert recovery.rate == pytest.approx(100.0 * (1.0 - DEPTH))
    assert recovery.confirmed(0.5).rate == pytest.approx(100.0 * (1.0 - DEPTH / 8.0))
    assert recovery.confirmed(1.0).rate == pytest.approx(100.0)


def test_it_is_gentle_near_the_plateau_and_bold_far_above() -> None:
    """Half a span beyond the plateau adds 2 %, three spans beyond multiply the rate by five."""
    recovery = Recovery(100.0, progress=1.0)
    assert recovery.confirmed(0.5).rate == pytest.approx(101.9, abs=0.1)
    assert recovery.confirmed(3.0).rate == pytest.approx(505.0)


@given(RATES, st.lists(st.floats(0.0, 5.0)))
def test_good_answers_never_lower_a_rate(plateau: float, steps: list[float]) -> None:
    """The recovery is monotone."""
    recovery = Recovery(plateau)
    for step in steps:
        before, recovery = recovery.rate, recovery.confirmed(step)
        assert recovery.rate >= before


@given(RATES, st.integers(1, 2000))
def test_refusals_in_a_row_halve_the_rate_and_no_service_is_forgotten(plateau: float, count: int) -> None:
    """However long a service refuses everything, it gets a request every 20 s; one good answer ends the doubt."""
    recovery = Recovery(plateau)
    for _ in range(count):
        before, recovery = recovery.rate, recovery.refused_again()
        assert LOWEST_RATE <= recovery.rate <= max(LOWEST_RATE, before / 2.0)
    assert recovery.confirmed(0.0).rate == pytest.approx(max(LOWEST_RATE, (1.0 - DEPTH) * recovery.plateau))


def test_a_limit_that_is_confirmed_is_probed_ever_more_rarely() -> None:
    """The span doubles while the service refuses nearly the same rate; another rate starts anew."""
    spans, recovery = [], Recovery(12.0)
    for _ in range(6):
        spans.append(recovery.span)
        recovery = recovery.cut(12.5)
    assert spans == [SHORTEST_SPAN, 50.0, 100.0, 187.5, 187.5, 187.5]
    assert spans[-1] == LONGEST_TIME * 12.5
    assert recovery.cut(4.0).span == SHORTEST_SPAN
    assert recovery.cut(40.0).span == SHORTEST_SPAN
