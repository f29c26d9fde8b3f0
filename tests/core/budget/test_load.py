"""When tokens are idle: while a client sends less than half of what it may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.budget.budget import LocalBudget
from topaz_status.core.budget.load import MEMORY, Load
from topaz_status.models.job import JobKind

IMAGE, TRY_ON = JobKind.IMAGE, JobKind.TRY_ON


def sent_evenly(load: Load, rate: float, until: float) -> None:
    """Send ``rate`` requests a second."""
    for number in range(round(rate * until)):
        load.sent(number / rate)


@pytest.mark.parametrize(("rate", "idle"), [(1.0, True), (4.5, True), (5.5, False), (10.0, False)])
def test_less_than_half_of_a_rate_is_idle(rate: float, idle: bool) -> None:
    """The line between idle and busy is half of the rate."""
    load = Load(10.0, 10.0)
    sent_evenly(load, rate, 60.0)
    assert (load.idle_at <= 60.0) is idle


def test_half_a_burst_may_go_at_once() -> None:
    """A client that has sent nothing sends half a burst, and the next such request a little later."""
    load = Load(10.0, 9.0)
    times = [100.0 for _ in range(20) if load.idle_at <= 100.0 and load.sent(100.0) is None]  # type: ignore[func-returns-value]
    assert len(times) == 5
    assert load.idle_at == pytest.approx(100.1)


@given(st.floats(0.1, 50.0), st.floats(1.0, 50.0), st.lists(st.floats(0.0, 10.0), max_size=200))
def test_whatever_was_sent_is_forgotten(rate: float, burst: float, gaps: list[float]) -> None:
    """However busy a client was, its tokens are idle again after a quiet time, and that time is named."""
    load, now = Load(rate, burst), 0.0
    for gap in gaps:
        now += gap
        load.sent(now)
        assert load.idle_at <= now + MEMORY + 1e-6


def test_a_kind_with_a_ceiling_of_its_own_has_a_load_of_its_own() -> None:
    """Try-ons at 4 of their 5 requests/s leave none idle for try-ons, and the shared tokens idle for images."""
    budget = LocalBudget(20.0, 20.0, {TRY_ON: 5.0})
    for number in range(240):
        budget.take(TRY_ON, number / 4.0)
    assert budget.idle_at(TRY_ON, 60.0) > 60.0
    assert budget.idle_at(IMAGE, 60.0) <= 60.0


def test_no_token_is_idle_below_a_learned_limit() -> None:
    """What a service has just refused is not to spare; once the rate has recovered it is."""
    budget = LocalBudget(20.0, 20.0, {})
    budget.take(IMAGE, 0.0)
    budget.limited(IMAGE, sent_at=0.4, now=0.5)
    assert budget.idle_at(IMAGE, 1.0) == float("inf")
    assert budget.idle_at(IMAGE, 3600.0) <= 3600.0
