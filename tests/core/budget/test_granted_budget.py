"""Tokens that a server grants: all members together keep to the account's budget, and use it."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from members import EPOCH, Account

from topaz_status.coordination import Grants
from topaz_status.core.budget.granted_budget import AnswerReport, GrantedBudget
from topaz_status.core.budget.stock import LATENESS, LEAST_LATENESS, lateness_of, own_least_lateness_of
from topaz_status.core.budget.token_bucket import TokenBucket
from topaz_status.models.job import JobKind

IMAGE, VIDEO, TRY_ON = JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON
RESIDUE = 1e-6


def replay(times: list[float], rate: float, burst: float) -> None:
    """Check that a token bucket would have let all of them through."""
    bucket = TokenBucket(rate, burst + RESIDUE)
    for at in times:
        assert bucket.ready_at - at < RESIDUE
        bucket.take(max(at, bucket.ready_at))


@settings(max_examples=30)
@given(
    st.integers(1, 6),
    st.tuples(st.sampled_from([1.0, 10.0, 50.0]), st.sampled_from([1.0, 2.0, 10.0, 50.0])),
    st.sampled_from([(0.001, 0.003), (0.001, 0.1), (0.2, 0.4)]),
    st.sampled_from([(0.0, 0.0), (0.2, 0.0), (0.0, 0.3), (0.2, 0.3)]),
    st.integers(0, 10_000),
)
@example(3, (1.0, 50.0), (0.001, 0.003), (0.0, 0.0), 4589)  # an own token waits for a shared one
def test_all_members_together_keep_to_the_bucket(
    count: int, terms: tuple[float, float], delay: tuple[float, float], faults: tuple[float, float], seed: int
) -> None:
    """Whatever the delays, losses and clocks, a token bucket with the account's rate and burst lets all through.

    A burst too small for any lateness, and answers slower than the lateness, add what that time brings. To a kind's limit
    its own tokens add what the wait for a shared one brings.
    """
    rate, burst = terms
    limits = {TRY_ON: min(rate, 5.0) / 2.0}
    account = Account.of(
        count,
        rate,
        burst,
        limits,
        kinds=(IMAGE, TRY_ON),
        seed=seed,
        periods=(0.01, 0.05, 0.7),
        delay=delay,
        loss=faults[0],
        stalls=faults[1],
    )
    account.run(5.0)
    lateness = max(lateness_of(rate, burst), account.slowest + LEAST_LATENESS)
    reserved = burst - max(1.0, burst - rate * lateness_of(rate, burst))
    replay(account.sent, rate, burst + max(0.0, rate * lateness - reserved))
    replay(
        account.sent_of(TRY_ON),
        limits[TRY_ON],
        1.0 + limits[TRY_ON] * max(LATENESS, account.slowest + own_least_lateness_of(rate)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_tokens_that_pile_up_while_loops_stand_still_come_out_of_the_burst(seed: int) -> None:
    """Members that use their tokens as late as they may, all at once, keep to the bucket exactly."""
    account = Account.of(4, 50.0, 50.0, {}, seed=seed, delay=(0.001, 0.003), stalls=0.25)
    account.run(20.0)
    replay(account.sent, 50.0, 50.0)


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize(("rate", "burst"), [(10.0, 10.0), (10.0, 2.0), (50.0, 50.0)])
def test_hungry_members_use_the_whole_budget(count: int, rate: float, burst: float) -> None:
    """At full load hardly a token is lost, however many members compete."""
    account = Account.of(count, rate, burst, {})
    account.run(60.0)
    assert len(account.sent) >= 0.97 * rate * 60.0
    replay(account.sent, rate, burst)


def test_a_leader_with_little_to_do_wastes_little() -> None:
    """At a third of the rate few tokens expire, and each request goes on time."""
    account = Account.of(1, 10.0, 10.0, {}, periods=(0.3,))
    account.run(60.0)
    budget = account.members[0].budget
    assert len(account.sent) == pytest.approx(200, abs=2)
    assert budget.expired <= 0.05 * budget.grants


def test_a_burst_goes_within_a_few_round_trips() -> None:
    """After a quiet time, what the server has saved up is had by batches that double."""
    account = Account.of(1, 10.0, 10.0, {}, periods=(1000.0,), delay=(0.01, 0.01))
    account.run(10.0)
    member = account.members[0]
    member.period = 0.01
    member.wanted_at[IMAGE] = -math.inf
    began_at = account.now
    account.run(0.12)
    assert sum(at >= began_at for at in account.sent) >= 7


def test_a_kind_with_a_limit_needs_tokens_of_its_own() -> None:
    """Shared tokens do not pay for it alone, and other kinds do not wait for it.

    It loses what it waits for shared tokens, as it does in one process.
    """
    account = Account.of(2, 10.0, 10.0, {TRY_ON: 2.0}, kinds=(IMAGE, TRY_ON))
    account.run(30.0)
    assert 50 <= len(account.sent_of(TRY_ON)) <= 62
    assert len(account.sent_of(IMAGE)) >= 220


def test_without_grants_nothing_may_go_and_something_is_asked_for() -> None:
    """A wish is what leads to a question; there is one on its way at a time."""
    budget = GrantedBudget(10.0, 10.0, {})
    assert budget.reserves_at(0.0) == math.inf
    assert budget.ready_at(IMAGE) == math.inf
    assert not budget.ready(0.0)
    budget.want(IMAGE, 5.0, 3)
    assert 4.9 < budget.reserves_at(0.0) < 5.0
    assert budget.reserve(0.0) is None
    want = budget.reserve(5.0)
    assert want is not None
    assert (want.shared, want.kinds, want.epoch) == (3, {}, None)
    assert want.terms.burst == 7.5
    assert budget.reserves_at(5.0) == math.inf
    budget.failed(6.0)
    assert 6.0 < budget.reserves_at(6.0) < 7.0


def test_a_token_is_good_from_its_slot_to_shortly_after_it() -> None:
    """Not before counts from the answer's arrival, not after from the question's departure."""
    budget = GrantedBudget(10.0, 10.0, {})
    budget.want(IMAGE, 1.0, 1)
    assert budget.reserve(1.0) is not None
    budget.granted(Grants(now=0.0, shared=(0.0, 0.5)), 1.1)
    assert budget.ready_at(IMAGE) == 1.1
    assert budget.ready(1.1)
    assert budget.ready(1.25)
    assert not budget.ready(1.26)
    assert budget.ready_at(IMAGE) == 1.6
    with pytest.raises(ValueError, match="no token"):
        budget.take(IMAGE, 1.5)
    budget.take(IMAGE, 1.75)
    assert budget.expired == 1
    assert budget.ready_at(IMAGE) == math.inf


def test_a_leader_names_its_epoch_and_what_it_has_learned() -> None:
    """A 429 lowers the kind's rate in the terms, and from then on the kind needs own tokens."""
    budget = GrantedBudget(10.0, 10.0, {TRY_ON: 5.0})
    budget.lead(EPOCH, 0.0)
    assert budget.terms.kinds == {TRY_ON: 5.0}
    for tick in range(10):
        budget.confirmed(IMAGE, tick / 8.0)
    budget.limited(IMAGE, sent_at=1.2, now=1.3)
    assert budget.terms.kinds[IMAGE] == pytest.approx(0.85 * 8.0)
    budget.want(IMAGE, 2.0, 1)
    want = budget.reserve(2.0)
    assert want is not None
    assert want.epoch == EPOCH
    assert want.kinds == {IMAGE: 1}
    assert not budget.reports(), "it learns by itself"


def test_a_follower_reports_its_429s_and_the_leader_learns_from_the_count() -> None:
    """One rise of the server's count counts once, however large; the first number says nothing."""
    follower, leader = GrantedBudget(10.0, 10.0, {}), GrantedBudget(10.0, 10.0, {})
    follower.limited(VIDEO, sent_at=0.9, now=1.0)
    assert follower.reports() == [AnswerReport(VIDEO, limited=True)]
    assert not follower.reports()
    leader.lead(EPOCH, 0.0)
    for number, count in enumerate((5, 5, 6)):
        assert VIDEO not in leader.terms.kinds
        leader.want(VIDEO, number + 1.0, 20)
        assert leader.reserve(number + 1.0) is not None
        leader.granted(Grants(now=0.0, limited={VIDEO: count}), number + 1.1)
    assert VIDEO in leader.terms.kinds


def test_a_new_leader_goes_on_with_what_the_last_one_has_learned() -> None:
    """The limit that the server knows is in force for the new leader too, and it can rise again."""
    budget = GrantedBudget(10.0, 10.0, {TRY_ON: 5.0})
    budget.want(IMAGE, 1.0, 1)
    assert budget.reserve(1.0) is not None
    budget.granted(Grants(now=0.0, rates={TRY_ON: 5.0, VIDEO: 3.0}), 1.1)
    assert budget.rate(VIDEO) == 3.0
    budget.lead(EPOCH, 2.0)
    assert budget.terms.kinds == {TRY_ON: 5.0, VIDEO: 3.0}
    for second in range(600):
        budget.confirmed(VIDEO, 3.0 + second)
    assert budget.rate(VIDEO) > 3.0


def test_a_hold_is_heeded_at_once_and_reported() -> None:
    """A Retry-After to one member holds the kind in all, and only that kind."""
    one, other = GrantedBudget(10.0, 10.0, {}), GrantedBudget(10.0, 10.0, {})
    one.hold(IMAGE, 1.0, 1e9)
    assert one.held_for(IMAGE, 1.0) == 300.0
    assert one.reports() == [AnswerReport(IMAGE, hold=300.0)]
    other.want(IMAGE, 1.0, 1)
    assert other.reserve(1.0) is not None
    other.granted(Grants(now=0.0, shared=(0.0,), held={IMAGE: 30.0}), 1.05)
    assert other.held_for(IMAGE, 1.05) == 30.0
    assert list(other.ready(1.1)) == [VIDEO, TRY_ON]
    assert other.reserves_at(1.1) > 30.0


def test_an_epoch_that_is_over_grants_nothing() -> None:
    """A leader that was replaced gets no token, and does not ask again at once."""
    budget = GrantedBudget(10.0, 10.0, {})
    budget.lead(EPOCH, 0.0)
    budget.want(IMAGE, 1.0, 1)
    assert budget.reserve(1.0) is not None
    budget.granted(Grants(now=0.0, epoch_ok=False), 1.1)
    assert budget.ready_at(IMAGE) == math.inf
    assert budget.reserves_at(1.1) > 1.2
