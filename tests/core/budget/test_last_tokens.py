"""The last tokens of a bucket go to polls that are worth them, and no poll waits for one for long."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import JobKind
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.core.budget.last_tokens import SAVED_SECONDS, VERY_LAST, tokens_for

RATES = st.floats(0.05, 500.0)
BURSTS = st.floats(1.0, 2_000.0)
WORTHS = st.floats(0.0, 1e6) | st.just(math.inf)


def test_a_poll_at_the_price_waits_for_a_full_bucket_and_the_best_takes_the_last_token() -> None:
    """Between them each octave of worth makes do with as many tokens less."""
    assert tokens_for(1.0, 10.0, 10.0) == 10.0
    assert tokens_for(8.0, 10.0, 10.0) == pytest.approx(5.5)
    assert tokens_for(VERY_LAST, 10.0, 10.0) == tokens_for(math.inf, 10.0, 10.0) == 1.0
    assert tokens_for(0.5, 10.0, 10.0) == 10.0


@given(RATES, BURSTS, WORTHS)
def test_what_is_saved_comes_within_a_second(rate: float, burst: float, worth: float) -> None:
    """However large the bucket is: no more than the tokens of a second are saved, and no more than it can hold."""
    assert 1.0 <= tokens_for(worth, rate, burst) <= max(1.0, min(burst, rate * SAVED_SECONDS))


@given(RATES, st.floats(1.0, 50.0), WORTHS, WORTHS)
def test_the_budget_spares_a_token_at_the_time_that_it_says(
    rate: float, burst: float, worth: float, other: float
) -> None:
    """At most a second after the first token is there, at that very time, and no later for a poll that is worth more."""
    budget = LocalBudget(rate, burst, {})
    budget.drain(100.0)
    at = budget.spares_at(worth, 100.0)
    assert at <= max(budget.ready_at(JobKind.IMAGE), 100.0) + SAVED_SECONDS + 1e-6
    assert budget.spares_at(worth, at) == at
    assert budget.tokens(at) >= tokens_for(worth, rate, burst) - 1e-6
    assert (budget.spares_at(other, 100.0) <= at) or other < worth


def test_tokens_are_short_while_more_is_due_than_can_be_sent_in_a_second() -> None:
    """Those that are there count, and those that come."""
    budget = LocalBudget(10.0, 20.0, {})
    assert not budget.is_short(30, 0.0)
    assert budget.is_short(31, 0.0)
    for _ in range(5):
        budget.take(JobKind.IMAGE, 0.0)
    assert budget.is_short(26, 0.0)
    assert not budget.is_short(26, 0.2)


def test_a_pause_of_the_service_is_waited_for() -> None:
    """A 429 with Retry-After holds a kind; the shared tokens are spared as ever."""
    budget = LocalBudget(10.0, 10.0, {})
    budget.hold(JobKind.VIDEO, 5.0, 60.0)
    assert budget.spares_at(1.0, 6.0) == 6.0
