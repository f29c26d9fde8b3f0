"""Paces and predictions: how fast jobs end, and when the open ones will have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.cli.forecast import Forecast
from topaz_status.cli.pace import Pace

LEFTS = st.lists(st.floats(-100.0, 1e6), max_size=50).map(sorted)


def test_a_pace_is_of_the_last_seconds_alone() -> None:
    """A count that stood still for long and then grows has the pace of now."""
    pace = Pace(5.0)
    assert pace.measure(0.0, 100) == 0.0
    assert pace.measure(100.0, 100) == 0.0
    assert pace.measure(102.0, 120) == 4.0
    assert pace.measure(104.0, 140) == 8.0
    assert pace.measure(110.0, 140) == 0.0


@given(st.lists(st.tuples(st.floats(0.01, 10.0), st.integers(0, 100)), min_size=2, max_size=60))
def test_a_pace_lies_between_the_slowest_and_the_fastest_step(steps: list[tuple[float, int]]) -> None:
    """And it needs a bounded number of samples."""
    pace, now, count = Pace(5.0), 0.0, 0
    pace.measure(now, count)
    for seconds, more in steps:
        now, count = now + seconds, count + more
        found = pace.measure(now, count)
    paces = [more / seconds for seconds, more in steps]
    assert min(paces) * 0.999 <= found <= max(paces) * 1.001
    assert len(pace._samples) <= 5.0 / 0.01 + 3


@given(LEFTS, st.integers(0, 50), st.floats(0.0, 100.0))
def test_a_forecast_is_of_the_future_and_in_order(lefts: list[float], unpredicted: int, per_second: float) -> None:
    """Half of the jobs end before nearly all do; no time is below zero."""
    forecast = Forecast.of(lefts, len(lefts) + unpredicted, per_second)
    assert (forecast.half is None) is (forecast.most is None) is (not lefts)
    if forecast.half is not None and forecast.most is not None:
        assert 0.0 <= forecast.half <= forecast.most <= max(0.0, *lefts)
    assert forecast.due == sum(left <= 0.0 for left in lefts)
    assert forecast.left is None or forecast.left >= 0.0


@pytest.mark.parametrize(
    ("lefts", "open_jobs", "per_second", "left"),
    [
        ([10.0, 20.0], 2, 0.0, 20.0),
        ([10.0], 1000, 2.0, 500.0),
        ([10.0], 1000, 0.0, None),
        ([], 0, 2.0, None),
        ([], 100, 2.0, 50.0),
    ],
)
def test_the_end_of_all_is_predicted_where_most_jobs_are(
    lefts: list[float], open_jobs: int, per_second: float, left: float | None
) -> None:
    """Where few of them have a prediction, the pace of the ends so far counts; without both, nothing is claimed."""
    assert Forecast.of(lefts, open_jobs, per_second).left == left
