"""The token bucket's one law: at most ``burst + rate × t`` tokens in any ``t`` seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.budget.token_bucket import TokenBucket

rates = st.floats(0.01, 5_000.0)
bursts = st.integers(1, 50).map(float)
starts = st.floats(0.0, 1e7)


def greedy(bucket: TokenBucket, now: float, count: int) -> list[float]:
    """Take tokens one after another, each at the very time that the bucket names."""
    times = []
    for _ in range(count):
        now = max(now, bucket.ready_at)
        bucket.take(now)
        times.append(now)
    return times


def worst_excess(times: list[float], rate: float, burst: float) -> float:
    """By how many tokens the law is broken in the worst window between two sends; at most 0 when it is kept."""
    return max(
        (later - earlier + 1) - (burst + rate * (times[later] - times[earlier]))
        for earlier in range(len(times))
        for later in range(earlier, len(times))
    )


@given(rates, bursts, starts)
def test_a_caller_who_jumps_to_the_time_it_named_gets_a_token(rate: float, burst: float, start: float) -> None:
    """No residue: ``take`` at ``ready_at`` never fails, whatever the figures."""
    assert len(greedy(TokenBucket(rate, burst), start, 60)) == 60


@given(rates, bursts, starts, st.lists(st.floats(0.0, 20.0), max_size=60))
def test_no_window_holds_more_than_burst_plus_rate_times_its_length(
    rate: float, burst: float, start: float, gaps: list[float]
) -> None:
    """Whatever the pauses between takers, no window of sends breaks the law."""
    bucket, now, times = TokenBucket(rate, burst), start, []
    for gap in [*gaps, *[0.0] * 20]:
        now = max(now + gap / rate, bucket.ready_at)
        bucket.take(now)
        times.append(now)
    assert worst_excess(times, rate, burst) <= 1e-4  # a time of 1e7 s is known to 2e-9 s


@given(rates, bursts)
def test_waiting_takers_get_the_whole_rate(rate: float, burst: float) -> None:
    """Nothing is lost either: n takers who never pause need no more than (n - burst) / rate seconds."""
    times = greedy(TokenBucket(rate, burst), 0.0, 100)
    assert times[-1] - times[0] <= (100 - burst) / rate * (1 + 1e-9) + 1e-12


def test_a_late_timer_is_caught_up_with_from_the_burst() -> None:
    """A late caller finds the tokens of the meantime, up to ``burst`` of them."""
    bucket = TokenBucket(rate=10.0, burst=3.0)
    assert greedy(bucket, 0.0, 3) == [0.0, 0.0, 0.0]
    assert greedy(bucket, 0.25, 3) == [0.25, 0.25, pytest.approx(0.3)]


def test_no_token_is_given_before_its_time() -> None:
    """``take`` too early is refused, and changes nothing."""
    bucket = TokenBucket(rate=1.0, burst=1.0)
    bucket.take(5.0)
    with pytest.raises(ValueError, match="no token before 6"):
        bucket.take(5.9)
    assert bucket.ready_at == 6.0


def test_a_hold_ends_with_one_token_not_with_a_burst() -> None:
    """Tokens saved up before a hold are gone after it."""
    bucket = TokenBucket(rate=2.0, burst=10.0)
    bucket.hold(30.0)
    assert greedy(bucket, 1.0, 3) == [30.0, 30.5, 31.0]


def test_a_shorter_hold_does_not_shorten_a_longer_one() -> None:
    """Of two holds the later end counts."""
    bucket = TokenBucket(rate=2.0, burst=1.0)
    bucket.hold(30.0)
    bucket.hold(10.0)
    assert bucket.ready_at == 30.0


def test_a_faster_rate_does_not_end_a_hold() -> None:
    """Retuning keeps a hold and what it emptied."""
    bucket = TokenBucket(rate=0.5, burst=1.0)
    bucket.hold(30.0)
    bucket.retune(10.0, rate=100.0, burst=5.0)
    assert bucket.ready_at == 30.0
    assert greedy(bucket, 10.0, 2) == [30.0, pytest.approx(30.01)]


@given(rates, rates, bursts, st.integers(0, 60), st.floats(0.0, 10.0))
def test_retuning_keeps_the_tokens_that_are_there(
    before: float, after: float, burst: float, taken: int, now: float
) -> None:
    """A change of rate neither makes tokens nor takes any away."""
    bucket = TokenBucket(before, burst)
    times = greedy(bucket, 0.0, taken)
    now += times[-1] if times else 0.0
    level = bucket.level(now)
    bucket.retune(now, rate=after, burst=burst)
    assert bucket.level(now) == pytest.approx(level, abs=1e-6)


def test_a_token_given_back_is_there_again() -> None:
    """A request that never went out costs nothing."""
    bucket = TokenBucket(rate=1.0, burst=2.0)
    bucket.take(0.0)
    bucket.take(0.0)
    bucket.give_back()
    assert bucket.ready_at <= 0.0
    assert bucket.level(0.0) == 1.0


def test_it_starts_full() -> None:
    """The first ``burst`` requests go at once."""
    assert TokenBucket(1.0, 7.0).level(123.0) == 7.0
    assert TokenBucket(1.0, 7.0).ready_at == -math.inf
