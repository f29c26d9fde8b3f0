"""What answers teach: a 429 cuts the rate at once, good answers raise it, never above the ceiling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.budget.adaptive_limit import FIRST_VOLLEY, AdaptiveLimit
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.core.budget.recovery import DEPTH, LOWEST_RATE
from topaz_status.models.job import JobKind

IMAGE = JobKind.IMAGE


def busy(limit: AdaptiveLimit, *, start: float, until: float) -> list[float]:
    """Send as fast as the limit allows; each answer is good and comes at once."""
    times, now = [], start
    while (now := max(now, limit.bucket.ready_at)) < until:
        limit.bucket.take(now)
        limit.confirmed(now)
        times.append(now)
    return times


def test_without_429s_the_ceiling_holds() -> None:
    """Nothing is learned from answers that say nothing of the rate."""
    limit = AdaptiveLimit(ceiling=50.0, burst=5.0)
    assert len(busy(limit, start=0.0, until=10.0)) == pytest.approx(505, abs=1)
    assert not limit.learned
    assert limit.rate == 50.0


def test_a_429_cuts_what_was_admitted_not_a_ceiling_never_reached() -> None:
    """Ten requests/s under a ceiling of 1,000: the cut leaves eight and a half."""
    limit = AdaptiveLimit(ceiling=1000.0, burst=1.0)
    for tick in range(50):
        limit.bucket.take(tick * 0.1)
        limit.confirmed(tick * 0.1)
    limit.too_many(sent_at=5.0, now=5.1)
    assert limit.rate == pytest.approx((1.0 - DEPTH) * 10.0)


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 60.0)), min_size=1))
def test_429s_of_requests_sent_before_a_cut_are_one_piece_of_news(volley: list[tuple[float, float]]) -> None:
    """All that were on the wire at the old rate are answered alike, however late their answers come."""
    limit = AdaptiveLimit(ceiling=10.0, burst=1.0)
    busy(limit, start=0.0, until=5.0)
    limit.too_many(sent_at=4.9, now=5.0)
    cut = limit.rate
    for sent_at, after in volley:
        limit.too_many(sent_at=sent_at, now=5.0 + after)
        limit.confirmed(sent_at)
    assert limit.rate == cut == pytest.approx(8.5)


def test_a_429_of_a_request_sent_at_the_cut_rate_cuts_again() -> None:
    """It says that the rate after the cut is too high as well."""
    limit = AdaptiveLimit(ceiling=10.0, burst=1.0)
    busy(limit, start=0.0, until=5.0)
    limit.too_many(sent_at=4.9, now=5.0)
    limit.confirmed(5.05)
    limit.too_many(sent_at=5.1, now=5.2)
    assert limit.rate < 0.9 * 8.5


def test_nothing_but_429s_halve_the_rate_until_one_good_answer() -> None:
    """A service that refuses everything for a while is asked ever more rarely; then the old rate is near again."""
    limit = AdaptiveLimit(ceiling=10.0, burst=1.0)
    busy(limit, start=0.0, until=5.0)
    limit.too_many(sent_at=4.9, now=5.0)
    for now in (6.0, 7.0, 8.0):
        limit.too_many(sent_at=now - 0.1, now=now)
    assert limit.rate <= 8.5 / 8.0
    limit.confirmed(9.0)
    assert limit.rate > 5.0


def test_a_rate_in_use_recovers_up_to_the_ceiling() -> None:
    """Good answers raise it, and at the ceiling the whole burst is back."""
    limit = AdaptiveLimit(ceiling=10.0, burst=4.0)
    busy(limit, start=0.0, until=5.0)
    limit.too_many(sent_at=4.9, now=5.0)
    assert limit.bucket.burst == 1.0
    busy(limit, start=5.0, until=30.0)
    assert limit.rate == 10.0
    assert not limit.learned
    assert limit.bucket.burst == 4.0


def test_a_quiet_minute_does_not_lift_a_learned_rate_above_its_plateau() -> None:
    """What was learned outlives a minute without use, and is forgotten after five."""
    limit = AdaptiveLimit(ceiling=100.0, burst=100.0)
    for tick in range(100):
        limit.confirmed(tick / 12.0)
    limit.too_many(sent_at=8.4, now=8.5)
    limit.confirmed(68.5)
    assert limit.rate <= 13.1
    for minute in range(5):
        limit.confirmed(130.0 + 60.0 * minute)
    assert not limit.learned
    assert limit.bucket.burst == FIRST_VOLLEY, "the burst is tried anew: nothing has shown that it would be admitted"


def test_a_burst_that_was_never_tried_begins_with_ten() -> None:
    """The next requests wait for good answers, and each second may have half as many more as the best one before."""
    limit = AdaptiveLimit(ceiling=100.0, burst=100.0)
    sent = 0
    while limit.bucket.ready_at <= 0.0:
        limit.bucket.take(0.0)
        sent += 1
    assert sent == FIRST_VOLLEY
    for _ in range(sent):
        limit.confirmed(0.0)
    while limit.bucket.ready_at <= 0.05:
        limit.bucket.take(0.05)
        sent += 1
    assert sent == 15


def test_a_burst_that_is_used_slowly_is_there_in_full() -> None:
    """The first volley is bounded, and no token of a burst is lost by it, even if hardly any are added."""
    budget, now = LocalBudget(0.001, 40.0, {}), 0.0
    for _ in range(40):
        assert budget.ready_at(IMAGE) <= now
        budget.take(IMAGE, now)
        budget.confirmed(IMAGE, now)
        now += 0.5


def test_a_burst_that_was_once_admitted_goes_at_once() -> None:
    """A ceiling that the service has confirmed is believed for good."""
    limit = AdaptiveLimit(ceiling=50.0, burst=50.0)
    busy(limit, start=0.0, until=5.0)
    sent = 0
    while limit.bucket.ready_at <= 10.0:
        limit.bucket.take(10.0)
        sent += 1
    assert sent == 50


@given(
    st.lists(st.tuples(st.sampled_from(["good", "429", "late"]), st.floats(0.0, 3.0)), min_size=5, max_size=200),
    st.floats(0.1, 100.0),
    st.sampled_from([1.0, 3.0, 30.0]),
)
def test_no_sequence_of_answers_lifts_the_rate_above_the_ceiling(
    answers: list[tuple[str, float]], ceiling: float, burst: float
) -> None:
    """Whatever comes back and however late, the ceiling is never exceeded and a service is never forgotten."""
    budget, now = LocalBudget(ceiling, burst, {}), 0.0
    times: list[float] = []
    for answer, pause in answers:
        now = max(now + pause / ceiling, budget.ready_at(IMAGE))
        budget.take(IMAGE, now)
        times.append(now)
        if answer == "429":
            budget.limited(IMAGE, sent_at=now, now=now)
        else:
            budget.confirmed(IMAGE, now if answer == "good" else times[len(times) // 2])
        assert min(LOWEST_RATE, ceiling) <= budget.rate(IMAGE) <= ceiling
        assert budget.ready_at(IMAGE) <= now + 1.001 / min(LOWEST_RATE, ceiling)
    for first in range(0, len(times), 10):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + ceiling * (times[last] - times[first]) + 1e-6
