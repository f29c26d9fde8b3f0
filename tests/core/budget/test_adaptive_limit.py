"""What 429s teach: cut at once, recover steadily, never above the ceiling."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topaz_status.core.budget.adaptive_limit import CUT, AdaptiveLimit
from topaz_status.core.budget.budget import LONGEST_HOLD, LocalBudget
from topaz_status.core.budget.token_bucket import TokenBucket
from topaz_status.models.job import JobKind

IMAGE, VIDEO, TRY_ON = JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON


def busy(limit: AdaptiveLimit, *, start: float, until: float) -> list[float]:
    """Send as fast as the limit allows."""
    times, now = [], start
    while (now := max(now, limit.bucket.ready_at)) < until:
        limit.take(now)
        times.append(now)
    return times


def test_without_429s_the_ceiling_holds() -> None:
    """Nothing is learned from answers that say nothing of the rate."""
    limit = AdaptiveLimit(ceiling=50.0, burst=5.0)
    assert len(busy(limit, start=0.0, until=10.0)) == pytest.approx(505, abs=1)
    assert not limit.learned


def test_a_429_cuts_what_was_really_sent_not_a_ceiling_never_reached() -> None:
    """Ten requests/s under a ceiling of 1,000: the cut leaves seven."""
    limit = AdaptiveLimit(ceiling=1000.0, burst=1.0)
    for tick in range(50):
        limit.take(tick * 0.1)
    limit.too_many(5.0)
    assert limit.rate(5.0) == pytest.approx(CUT * 10.0, rel=0.11)


def test_a_volley_of_429s_is_one_cut() -> None:
    """All that were on the wire at the old rate are answered alike; they are evidence of one thing."""
    limit = AdaptiveLimit(ceiling=10.0, burst=1.0)
    busy(limit, start=0.0, until=5.0)
    for late in range(30):
        limit.too_many(5.0 + late * 0.03)
    assert limit.rate(5.0) == pytest.approx(7.0, rel=0.15)


def test_the_rate_recovers_by_two_percent_of_itself_a_second_up_to_the_ceiling() -> None:
    """The recovery is gentle where the limit is low, and ends at the ceiling."""
    limit = AdaptiveLimit(ceiling=10.0, burst=4.0)
    busy(limit, start=0.0, until=5.0)
    limit.too_many(5.0)
    cut = limit.rate(5.0)
    assert limit.rate(6.0) == pytest.approx(cut * 1.02, rel=0.001)
    busy(limit, start=5.0, until=60.0)
    assert limit.rate(60.0) == 10.0
    assert not limit.learned
    assert limit.bucket.burst == 4.0


@given(st.lists(st.booleans(), min_size=5, max_size=200), st.floats(0.5, 100.0))
def test_no_sequence_of_answers_lifts_the_rate_above_the_ceiling(answers: list[bool], ceiling: float) -> None:
    """Whatever comes back, the ceiling is never exceeded and a service is never forgotten."""
    limit, now = AdaptiveLimit(ceiling=ceiling, burst=3.0), 0.0
    times = []
    for good in answers:
        now = max(now, limit.bucket.ready_at)
        limit.take(now)
        times.append(now)
        if not good:
            limit.too_many(now)
        assert 0.0 < limit.rate(now) <= ceiling
    for first in range(0, len(times), 10):
        for last in range(first, len(times)):
            assert last - first + 1 <= 3.0 + ceiling * (times[last] - times[first]) + 1e-6


def test_an_unknown_limit_is_found_with_few_429s() -> None:
    """Under a ceiling eight times too high, about one request in a hundred is answered 429 in the long run."""
    limit, server = AdaptiveLimit(ceiling=80.0, burst=1.0), TokenBucket(rate=10.0, burst=10.0)
    now, sent, refused = 0.0, 0, 0
    while now < 900.0:
        now = max(now, limit.bucket.ready_at)
        limit.take(now)
        if server.ready_at <= now:
            server.take(now)
        else:
            limit.too_many(now)
            refused += now > 25.0
        sent += now > 25.0
    assert refused / sent < 0.015
    assert sent / 875.0 > 0.75 * 10.0


def test_a_hold_concerns_its_own_kind() -> None:
    """One service's Retry-After leaves the others alone."""
    budget = LocalBudget(10.0, 10.0, {})
    budget.hold(IMAGE, 0.0, 60.0)
    assert budget.ready_at(IMAGE) == 60.0
    assert budget.ready_at(VIDEO) <= 0.0
    assert budget.held_for(IMAGE, 10.0) == 50.0


def test_no_service_is_left_alone_for_longer_than_five_minutes() -> None:
    """A hold is bounded, whatever was asked."""
    budget = LocalBudget(10.0, 10.0, {})
    budget.hold(IMAGE, 0.0, 1e9)
    assert budget.ready_at(IMAGE) == LONGEST_HOLD == 300.0


def test_a_kind_has_a_ceiling_of_its_own_with_a_burst_of_one() -> None:
    """Try-ons at 5/s go one every 0.2 s, however full the shared bucket is."""
    budget = LocalBudget(100.0, 100.0, {TRY_ON: 5.0})
    budget.take(TRY_ON, 0.0)
    assert budget.ready_at(TRY_ON) == pytest.approx(0.2)
    assert budget.ready_at(IMAGE) <= 0.0


def test_all_kinds_draw_from_one_bucket() -> None:
    """Ten tokens are ten requests, whichever kinds they are of."""
    budget = LocalBudget(1.0, 10.0, {TRY_ON: None})
    for count in range(10):
        budget.take((IMAGE, VIDEO, TRY_ON)[count % 3], 0.0)
    assert {budget.ready_at(kind) for kind in JobKind} == {1.0}
    assert budget.tokens(0.0) == 0.0


def test_a_429_does_not_lower_the_shared_bucket() -> None:
    """What is learned of one service does not slow the others."""
    budget = LocalBudget(10.0, 1.0, {})
    for tick in range(20):
        budget.take(IMAGE, tick * 0.2)
    budget.limited(IMAGE, 4.0)
    assert budget.rate(IMAGE, 4.0) < 8.0
    assert budget.rate(VIDEO, 4.0) == 10.0


def test_a_token_given_back_is_given_back_to_both_buckets() -> None:
    """A call that was canceled before it was sent leaves no trace."""
    budget = LocalBudget(1.0, 1.0, {TRY_ON: 0.5})
    budget.take(TRY_ON, 0.0)
    budget.give_back(TRY_ON)
    assert budget.ready_at(TRY_ON) <= 0.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "give back", "429", "hold"]), st.sampled_from(list(JobKind)), st.floats(0.0, 3.0)
        )
    )
)
@example([("take", TRY_ON, 0.0), ("429", TRY_ON, 0.5), ("take", TRY_ON, 0.6)])
def test_who_is_ready_is_who_may_take(steps: list[tuple[str, JobKind, float]]) -> None:
    """Whatever has happened before: both ways to ask give the same answer."""
    budget, now = LocalBudget(2.0, 3.0, {TRY_ON: 1.0}), 0.0
    for what, kind, pause in steps:
        now += pause
        ready = budget.ready(now)
        assert set(ready) == {kind for kind in JobKind if budget.ready_at(kind) <= now}
        if what == "429":
            budget.limited(kind, now)
        elif what == "hold":
            budget.hold(kind, now, 2.0)
        elif kind in ready:
            budget.take(kind, now)
            if what == "give back":
                budget.give_back(kind)
