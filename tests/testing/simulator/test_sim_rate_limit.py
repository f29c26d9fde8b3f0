"""The server's own rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.testing.simulator.rate_limit import Bucket, Limiter, RateLimits, RetryAfter, limiter


@given(st.lists(st.floats(0.0, 0.5), max_size=60), st.sampled_from([1.0, 3.0, 10.0]), st.sampled_from([1.0, 4.0]))
def test_no_window_lets_more_through_than_burst_and_rate(gaps: list[float], rate: float, burst: float) -> None:
    """In any t seconds at most burst + rate × t requests pass."""
    limits, now, passed = RateLimits(Bucket(rate, burst)), 0.0, []
    for gap in gaps:
        now += gap
        if limits.admit("image", now) is None:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - passed[first]) + 0.001


@given(st.lists(st.floats(0.0, 0.5), max_size=60), st.booleans())
def test_no_window_holds_more_than_its_number(gaps: list[float], sliding: bool) -> None:
    """A fixed window is one of the clock's; a sliding one may begin at any request."""
    limits, now, passed = RateLimits(limiter(2.0, window=1.5, sliding=sliding)), 0.0, []
    for gap in gaps:
        now += gap
        if limits.admit("image", now) is None:
            passed.append(now)
    for first in passed:
        begin = first if sliding else first // 1.5 * 1.5
        assert sum(begin <= at < begin + 1.5 - 0.001 for at in passed) <= 3


def test_windows_admit_their_number_at_once_and_then_wait_for_the_next() -> None:
    """A fixed window ends by the clock, a sliding one when its first request is old enough."""
    for sliding, delay in ((False, 0.5), (True, 1.0)):
        limits = RateLimits(limiter(2.0, window=1.0, sliding=sliding))
        assert [limits.admit("image", 7.5) for _ in range(3)] == [None, None, delay]
        assert limits.admit("image", 7.5 + delay) is None


@pytest.mark.parametrize(
    "limit",
    [limiter(7.0, 1.0), limiter(7.0, window=1.0), limiter(7.0, window=0.3), limiter(7.0, window=1.0, sliding=True)],
)
def test_waiting_as_long_as_told_always_succeeds(limit: Limiter) -> None:
    """After the delay that a refusal names there is a token."""
    limits, now = RateLimits(limit), 0.0
    for _ in range(100):
        delay = limits.admit("image", now)
        if delay is not None:
            now += delay
            assert limits.admit("image", now) is None


def test_services_have_limits_of_their_own() -> None:
    """A service's bucket refuses that service alone, and a refusal takes no shared token."""
    limits = RateLimits(Bucket(1.0, 3.0), {"try-on": Bucket(1.0, 1.0)})
    assert limits.admit("try-on", 0.0) is None
    assert limits.admit("try-on", 0.0) is not None
    assert limits.admit("image", 0.0) is None
    assert limits.admit("video", 0.0) is None
    assert limits.admit("video", 0.0) is not None


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (None, None),
        ("auto", "3"),
        ("date", "Thu, 01 Jan 1970 00:16:43 GMT"),
        (7, "7"),
        (1.5, "1.5"),
        ("0", "0"),
        ("-5", "-5"),
        ("soon", "soon"),
    ],
)
def test_retry_after_is_said_as_asked(said: RetryAfter, sent: str | None) -> None:
    """Every form of Retry-After can be sent: here 2.5 s before a token, at Unix time 1000."""
    assert RateLimits(retry_after=said).header(2.5, 1000.0) == sent
