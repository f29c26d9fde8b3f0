"""The bucket by the server's clock: what one TokenBucket allows, all members together get, and no more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.coordination import Grants, Terms, Want
from topaz_status.core.budget.token_bucket import TokenBucket
from topaz_status.models.job import JobKind
from topaz_status.testing.sharing.account_data import SteadyClock
from topaz_status.testing.sharing.shared_bucket import SECOND, SharedBucket

START = 1_800_000_000 * SECOND

rates = st.floats(0.05, 500.0)
bursts = st.floats(1.0, 40.0)
wishes = st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 6), st.sampled_from([0.0, 0.05, 0.6])))


def ask(bucket: SharedBucket, now: int, terms: Terms, shared: int, horizon: float = 0.0, **kinds: int) -> Grants:
    want = Want(
        terms=terms,
        shared=shared,
        horizon=horizon,
        kinds={JobKind(kind.replace("_", "-")): count for kind, count in kinds.items()},
    )
    return bucket.reserve(want, now, now / SECOND, leads=False)


def slots(bucket: SharedBucket, terms: Terms, asked: list[tuple[int, int, float]]) -> list[float]:
    """The slots of all grants, in seconds from the start."""
    now, found = START, []
    for pause, count, horizon in asked:
        now += pause
        found += [(now - START) / SECOND + slot for slot in ask(bucket, now, terms, count, horizon).shared]
    return found


@given(rates, bursts, wishes)
def test_slots_are_tokens_of_one_bucket(rate: float, burst: float, asked: list[tuple[int, int, float]]) -> None:
    """A token bucket with the same terms gives a token at each slot, though it starts full."""
    bucket = TokenBucket(rate, burst)
    for slot in slots(SharedBucket(), Terms(rate=rate, burst=burst), asked):
        assert slot >= bucket.ready_at - 2e-6  # 1 µs for the steps of the clock, 1 for the burst's
        bucket.take(max(slot, bucket.ready_at))


@given(rates, bursts, wishes)
def test_no_token_is_held_back(rate: float, burst: float, asked: list[tuple[int, int, float]]) -> None:
    """Nothing is granted only if the next slot lies beyond the horizon; then it is named, and is there by then."""
    shared, terms, now = SharedBucket(), Terms(rate=rate, burst=burst), START
    for pause, count, horizon in asked:
        now += pause
        grants = ask(shared, now, terms, count, horizon)
        if len(grants.shared) < count:
            assert grants.next_in > horizon
            later = ask(shared, now + math.ceil(grants.next_in * SECOND), terms, 1)
            assert later.shared == (0.0,)
            now += math.ceil(grants.next_in * SECOND)


def test_without_data_there_is_one_token() -> None:
    """A server that lost its data never gives a burst out of nothing."""
    assert ask(SharedBucket(), START, Terms(rate=10.0, burst=10.0), 10).shared == (0.0,)
    later = SharedBucket()
    ask(later, START, Terms(rate=10.0, burst=10.0), 0)
    assert len(ask(later, START + 10 * SECOND, Terms(rate=10.0, burst=10.0), 20).shared) == 10


def test_a_kind_with_a_limit_has_tokens_of_its_own() -> None:
    """They come at the kind's rate, one at a time, and cost no shared token."""
    bucket, terms = SharedBucket(), Terms(rate=10.0, burst=10.0, kinds={JobKind.TRY_ON: 5.0})
    grants = ask(bucket, START, terms, 1, 0.5, try_on=9, image=2)
    assert grants.kinds[JobKind.TRY_ON] == (0.0, 0.2, 0.4)
    assert grants.kinds[JobKind.IMAGE] == (0.0, 0.0)
    assert grants.kinds_next_in == {JobKind.TRY_ON: 0.6}
    assert grants.rates == {JobKind.TRY_ON: 5.0}
    assert grants.shared == (0.0,)
    assert grants.next_in == pytest.approx(0.1)


def test_a_hold_stops_one_kind() -> None:
    """Nobody sends that kind before its end, at most 300 s; the longest hold counts; others go on."""
    bucket, terms = SharedBucket(), Terms(rate=10.0, burst=10.0)
    for hold in (2.0, 7.0, 1.0):
        bucket.slow_down(JobKind.VIDEO, START, limited=False, hold=hold)
    grants = ask(bucket, START, terms, 1, 0.5, video=1, image=1)
    assert (grants.kinds[JobKind.VIDEO], grants.kinds[JobKind.IMAGE]) == ((), (0.0,))
    assert grants.held == {JobKind.VIDEO: 7.0}
    bucket.slow_down(JobKind.VIDEO, START, limited=False, hold=9_999.0)
    assert ask(bucket, START, terms, 0).held == {JobKind.VIDEO: 300.0}
    assert ask(bucket, START + 300 * SECOND, terms, 0, video=1).kinds == {JobKind.VIDEO: (0.0,)}


def test_the_leaders_terms_hold() -> None:
    """Others' terms count until a leader has named its own; it learns of their 429s by the count."""
    bucket = SharedBucket()
    mine, theirs = Terms(rate=1.0, burst=1.0), Terms(rate=100.0, burst=1.0)
    assert ask(bucket, START, theirs, 1).shared == (0.0,)
    bucket.reserve(Want(terms=mine, shared=1, epoch=7), START + SECOND, 0.0, leads=True)
    assert ask(bucket, START + SECOND, theirs, 1).next_in == 1.0
    bucket.slow_down(JobKind.IMAGE, START, limited=True, hold=0.0)
    bucket.slow_down(JobKind.IMAGE, START, limited=True, hold=0.0)
    assert ask(bucket, START, mine, 0).limited == {JobKind.IMAGE: 2}


@given(st.lists(st.integers(-3 * SECOND, 3 * SECOND)))
def test_the_steady_clock_never_goes_back(steps: list[int]) -> None:
    """A server clock that is set back costs no wait: steady time stands, and then goes on at once."""
    clock, reading, before = SteadyClock(), START, 0
    for step in steps:
        reading += step
        now = clock.now(reading)
        assert now >= before
        assert clock.now(reading + 5) == now + 5
        reading, before = reading + 5, now + 5
