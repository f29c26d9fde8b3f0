"""What a poll is worth, and when it is worth its price."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topaz_status.core.prediction.life_tables import LifeTable, Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.prediction.worth import MOST_SPENT, gap_worth, worth
from topaz_status.core.schedule.tracked_job import FARTHEST_PROMOTION, TrackedJob
from topaz_status.models.job import JobKind, JobRef


@given(st.floats(0.001, 1.0), st.floats(0.02, 1.0))
def test_a_constant_hazard_gives_keller_s_square_root(hazard: float, price: float) -> None:
    """Where jobs end at a constant rate, polls are sqrt(2 price / hazard) apart, while that is well below a lifetime."""
    curve = LifeTable(lambda x: math.exp(-min(hazard * x, 600.0)), 1e9).curve
    gap = gap_worth(price, curve, 0.0, 0.0, 1.0, most=1e5)
    assert worth(gap, hazard * gap) == pytest.approx(price, rel=0.05)
    if hazard * gap < 0.3:
        assert gap == pytest.approx(math.sqrt(2.0 * price / hazard), rel=0.12)


def test_scale_free_lives_are_polled_with_the_square_root_of_the_age() -> None:
    """Where the hazard falls as 1 / age, a job four times as old is polled half as often."""
    curve = LifeTable(lambda x: 1.0 / (1.0 + x), 1e9).curve
    gaps = [gap_worth(0.1, curve, age, curve.hazard_before(age), 1.0, most=1e5) for age in (100.0, 400.0, 1600.0)]
    assert gaps[1] / gaps[0] == pytest.approx(2.0, rel=0.05)
    assert gaps[2] / gaps[1] == pytest.approx(2.0, rel=0.05)


@given(st.floats(0.0, 50.0), st.floats(0.05, 20.0), st.floats(0.02, 5.0))
@example(2.0, 17.4, 0.02)  # the start of a steep bin is where the straight line through it is farthest off
@example(2.0, 8.0, 0.03125)
def test_the_gap_is_where_the_worth_is_reached(start: float, scale: float, price: float) -> None:
    """The gap that is worked out is the one at which a poll is worth what was asked for."""
    curve = Lifetimes().table(JobKind.IMAGE, Source.PACE, scale).curve
    before, rate = curve.hazard_before(start), 1.0 / scale
    gap = gap_worth(price, curve, start, before, 1.0 / rate, most=1e4)
    assert 0.0 < gap <= 1e4
    if gap < 1e4:
        assert worth(gap, curve.hazard_before(start + gap * rate) - before) == pytest.approx(price, rel=0.2)


@given(st.floats(0.0, 1e4), st.floats(0.0, 1e4), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_worth_grows_with_waiting_and_with_hazard(gap: float, more: float, spent: float, further: float) -> None:
    """No poll loses worth by waiting longer, or because more is likely to have happened; without hazard it has none."""
    assert 0.0 <= worth(gap, spent) <= worth(gap + more, spent) * (1 + 1e-9)
    assert worth(gap, spent) <= worth(gap, spent + further) * (1 + 1e-9) + 1e-12
    assert worth(gap, 0.0) == 0.0


def test_worth_is_bounded_by_the_wait() -> None:
    """One job that is certainly over is worth a few of its gaps, not any number of other jobs."""
    assert worth(10.0, 1e9) == worth(10.0, MOST_SPENT * 1.001)
    assert worth(10.0, 1e9) < 40.0


@pytest.mark.parametrize("source", [Source.ETA, Source.OVERDUE, Source.AGE])
@pytest.mark.parametrize("now", [0.5, 2.0, 5.0, 9.0, 40.0])
def test_the_time_at_which_a_poll_has_a_worth_is_foreseen(source: Source, now: float) -> None:
    """Also where the hazard rises steeply: a job that waits for a token is not left behind, nor asked again for nothing."""
    tracked = TrackedJob(JobRef(JobKind.IMAGE, "1"), 0.0, 0.0)
    tracked.believe(source, 1.0 if source is Source.AGE else 10.0, 0.0, Lifetimes())
    wanted = 2.0 * max(tracked.worth_at(now), 0.01)
    at = tracked.reaches_at(wanted, now)
    assert now < at <= FARTHEST_PROMOTION * now
    if at < FARTHEST_PROMOTION * now:
        assert tracked.worth_at(at) == pytest.approx(wanted, rel=0.2)
    else:
        assert tracked.worth_at(at) <= wanted
