"""One bucket that every kind draws from, and a limit of each kind below it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topaz_status.core.budget.budget import LONGEST_HOLD, LocalBudget
from topaz_status.models.job import JobKind

IMAGE, VIDEO, TRY_ON = JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON


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
        budget.confirmed(IMAGE, tick * 0.2)
    budget.limited(IMAGE, sent_at=3.9, now=4.0)
    assert budget.rate(IMAGE) < 8.0
    assert budget.rate(VIDEO) == 10.0


def test_a_token_given_back_is_given_back_to_both_buckets() -> None:
    """A call that was canceled before it was sent leaves no trace."""
    budget = LocalBudget(1.0, 1.0, {TRY_ON: 0.5})
    budget.take(TRY_ON, 0.0)
    budget.give_back(TRY_ON)
    assert budget.ready_at(TRY_ON) <= 0.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "give back", "good", "429", "hold"]),
            st.sampled_from(list(JobKind)),
            st.floats(0.0, 3.0),
        )
    ),
    st.sampled_from([3.0, 12.0]),
)
@example([("take", TRY_ON, 0.0), ("429", TRY_ON, 0.5), ("take", TRY_ON, 0.6)], 3.0)
def test_who_is_ready_is_who_may_take(steps: list[tuple[str, JobKind, float]], burst: float) -> None:
    """Whatever has happened before: both ways to ask give the same answer."""
    budget, now = LocalBudget(2.0, burst, {TRY_ON: 1.0}), 0.0
    for what, kind, pause in steps:
        now += pause
        ready = budget.ready(now)
        assert set(ready) == {kind for kind in JobKind if budget.ready_at(kind) <= now}
        if what == "429":
            budget.limited(kind, sent_at=now, now=now)
        elif what == "good":
            budget.confirmed(kind, now - pause)
        elif what == "hold":
            budget.hold(kind, now, 2.0)
        elif kind in ready:
            budget.take(kind, now)
            if what == "give back":
                budget.give_back(kind)
