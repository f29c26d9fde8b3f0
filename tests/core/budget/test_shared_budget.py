"""The budget of a client whose account is shared: the server's tokens, or a share of the rate."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.coordination import Grants
from topaz_status.core.budget.granted_budget import SlowDown
from topaz_status.core.budget.shared_budget import SharedBudget
from topaz_status.models.job import JobKind

IMAGE, VIDEO, TRY_ON = JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON


def test_a_member_that_goes_alone_has_its_share_and_no_burst() -> None:
    """A quarter of the rate for one of four members, from an empty bucket; holds go on; then grants count again."""
    budget = SharedBudget(8.0, 8.0, {TRY_ON: 4.0})
    budget.hold(VIDEO, 0.0, 5.0)
    budget.go_alone(4, 1.0)
    assert budget.rate(IMAGE) == 2.0
    assert budget.rate(TRY_ON) == 1.0
    assert not budget.ready(1.0)
    assert budget.ready_at(IMAGE) == pytest.approx(1.5)
    assert budget.ready_at(VIDEO) == pytest.approx(5.0)
    assert budget.granted.reserves_at(1.0) == math.inf
    budget.take(IMAGE, 1.5)
    budget.follow()
    assert budget.ready_at(IMAGE) == math.inf


def test_without_a_role_it_spends_the_servers_tokens() -> None:
    """Every question of the gate is answered from the grants."""
    budget = SharedBudget(8.0, 8.0, {})
    budget.granted.want(IMAGE, 1.0, 2)
    assert budget.granted.reserve(1.0) is not None
    budget.granted.granted(Grants(now=0.0, shared=(0.0, 0.1)), 1.0)
    assert not budget.is_alone
    assert budget.tokens(1.0) == 2.0
    assert budget.ready_at(IMAGE) == 1.0
    assert IMAGE in budget.ready(1.0)
    budget.take(IMAGE, 1.0)
    budget.give_back(IMAGE)
    assert budget.tokens(1.0) == 1.0
    assert budget.idle_at(IMAGE, 1.0) <= 1.0
    assert 0.0 < budget.slack(IMAGE) < 0.1


def test_what_is_learned_alone_stays_there_and_holds_are_for_all() -> None:
    """A 429 lowers the rate of this member's share; a hold is reported to the others once they can be reached."""
    budget = SharedBudget(8.0, 8.0, {})
    budget.lead(3, 0.0)
    budget.go_alone(2, 0.0)
    for tick in range(8):
        budget.confirmed(IMAGE, tick / 4.0)
    budget.limited(IMAGE, sent_at=2.0, now=2.1)
    assert budget.rate(IMAGE) < 4.0
    budget.hold(IMAGE, 2.1, 10.0)
    assert budget.ready_at(IMAGE) >= 12.0
    assert budget.granted.slow_downs() == [SlowDown(IMAGE, hold=10.0)]
    budget.lead(4, 3.0)
    assert budget.rate(IMAGE) == 8.0
    assert budget.held_for(IMAGE, 3.0) == pytest.approx(9.1)


@given(st.integers(1, 20), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60))
def test_members_that_go_alone_together_keep_to_the_rate(members: int, pauses: list[float]) -> None:
    """Each has its share from the moment it goes alone: never more than one token each, and the rate for all."""
    budget, now, sent = SharedBudget(10.0, 10.0, {}), 5.0, 0
    budget.go_alone(members, now)
    for pause in pauses:
        now += pause
        while budget.ready_at(IMAGE) <= now:
            budget.take(IMAGE, now)
            sent += 1
    assert sent * members <= 10.0 * (now - 5.0) + 1e-6 * members
