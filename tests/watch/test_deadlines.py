"""Nobody is told of a timeout before the job was polled, nor while its last poll has yet to be answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import SINGLY, client_of, now, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from topaz_status import JobKind, JobState, MemoryStore, PollPolicy, WatchTimeoutError
from topaz_status.testing import JobPlan, Simulator
from topaz_status.watch import LAST_ANSWER

RTT = 0.1
BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 400.0), st.floats(0.05, 400.0), st.sampled_from(JobKind))
def test_what_ended_before_the_timeout_is_told_as_ended(lasts: float, timeout: float, kind: JobKind) -> None:
    """And what had not is told as timed out, a shortest interval and a round trip after the time at the latest."""

    @virtual
    async def play() -> None:
        simulator = Simulator(delay=RTT)
        job = simulator.add(kind, duration=lasts, queue=0.0)
        async with client_of(simulator, **BUDGET) as client:
            outcome = await client.watch(job, timeout=timeout).outcome()
        if simulator.truth(job).ends_at <= timeout:
            assert outcome.state is JobState.COMPLETED
        assert outcome.polls >= 1
        assert outcome.waited <= timeout + PollPolicy().min_interval + 3 * RTT

    play()


@virtual
async def test_a_timeout_shorter_than_a_round_trip_waits_for_the_first_answer() -> None:
    """What is known a moment later is not told as never seen."""
    simulator = Simulator(delay=3.0)
    over, runs = simulator.add_video(after=-100.0, duration=1.0), simulator.add_video(duration=1e6)
    async with client_of(simulator, **BUDGET) as client:
        ended, late = await client.outcomes([over, runs], timeout=0.5)
    assert ended.state is JobState.COMPLETED
    assert isinstance(late.error, WatchTimeoutError)
    assert late.status is not None
    assert late.waited == pytest.approx(3.0, abs=0.1)


@virtual
async def test_a_first_answer_is_not_awaited_for_longer_than_a_request() -> None:
    """A service that hangs makes a timeout late by ``request_timeout`` at most."""
    simulator = Simulator()
    simulator.add_fault("hang")
    job = simulator.add_video(duration=1e6)
    async with client_of(simulator, request_timeout=7.0, **BUDGET) as client:
        outcome = await client.watch(job, timeout=1.0).outcome()
    assert isinstance(outcome.error, WatchTimeoutError)
    assert 1.0 <= outcome.waited <= 8.1


@virtual
async def test_the_answer_to_a_last_poll_is_awaited_for_a_while_only() -> None:
    """A job seen before is told on time, or that much later, when its service hangs."""
    simulator = Simulator(delay=RTT)
    simulator.add_fault("hang", since=5.0)
    job = simulator.add_video(duration=1e6)
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        outcome = await client.watch(job, timeout=20.0).outcome()
    assert isinstance(outcome.error, WatchTimeoutError)
    assert outcome.status is not None
    assert 20.0 <= outcome.waited <= 20.0 + LAST_ANSWER + 0.1


@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": "100"}, {"status": 503}])
@virtual
async def test_a_timeout_waits_for_no_poll_that_cannot_be_sent(fault: dict[str, Any]) -> None:
    """A service that is down, or asked to be left alone, has timeouts told on time."""
    simulator = Simulator(delay=RTT)
    jobs = [simulator.add_video(duration=1e6) for _ in range(10)]
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        watches = [client.watch(job, timeout=None) for job in jobs]
        await asyncio.sleep(5.0)
        simulator.add_fault("status", **fault)
        await asyncio.sleep(15.0)
        new = client.watch(simulator.add_video(duration=1e6), timeout=2.0)
        outcome = await new.outcome()
        assert isinstance(outcome.error, WatchTimeoutError)
        assert outcome.waited == pytest.approx(2.0, abs=0.05)
        assert not any(watch.done() for watch in watches)


@virtual
async def test_more_jobs_than_tokens_time_out_in_bounded_time() -> None:
    """The first poll of each is awaited, but not for ever: an hour of jobs with a timeout of a second ends soon."""
    simulator = Simulator(delay=RTT)
    jobs = [simulator.add_try_on(duration=1e6) for _ in range(3_000)]
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        outcomes = await client.outcomes(jobs, timeout=1.0)
        assert now() <= 1.0 + 30.0 + 1.0
    assert {type(outcome.error) for outcome in outcomes} == {WatchTimeoutError}
    assert sum(outcome.polls > 0 for outcome in outcomes) >= 280


@virtual
async def test_each_handle_has_a_last_poll_of_its_own() -> None:
    """Handles on one job time out one after the other, each right after a poll; one that left costs none."""
    simulator = Simulator(delay=0.01)
    job = simulator.add_video(duration=1e6)
    async with client_of(simulator, policy=PollPolicy(sweep=False, price=1e6, max_interval=1e5)) as client:
        watches = [client.watch(job, timeout=timeout) for timeout in (40.0, 20.0, 10.0, 30.0, 20.0, None)]
        watches[2].cancel()
        await asyncio.sleep(50.0)
        assert [watch.done() for watch in watches] == [True, True, True, True, True, False]
        for watch, timeout in zip(watches, (40.0, 20.0, None, 30.0, 20.0), strict=False):
            if timeout is not None:
                assert (await watch.outcome()).waited == pytest.approx(timeout, abs=0.05)
    polls = [round(exchange.at) for exchange in simulator.log]
    assert {20, 30, 40} <= set(polls)
    assert 10 not in polls


@virtual
async def test_a_batch_that_times_out_together_is_asked_for_by_pages() -> None:
    """Images that time out together cost pages, and those that ended just before are told as ended."""
    simulator = Simulator(delay=RTT)
    plans = [JobPlan(kind=JobKind.IMAGE, duration=1.0 + 0.237 * number) for number in range(500)]
    jobs = simulator.add_jobs(plans)
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs, timeout=120.0)
    assert [outcome for outcome in outcomes if outcome.error is not None] == []


@virtual
async def test_a_watch_that_is_taken_up_after_its_time_has_one_poll() -> None:
    """However many there are: none is told as timed out that nobody has asked for."""
    simulator, store = Simulator(delay=RTT), MemoryStore()
    jobs = [simulator.add_video(duration=1e6) for _ in range(400)]
    async with client_of(simulator, store=store, **BUDGET) as client:
        for job in jobs:
            client.watch(job, timeout=100.0)
        await asyncio.sleep(1.0)
    await asyncio.sleep(200.0)
    async with client_of(simulator, store=store, policy=SINGLY, **BUDGET) as client:
        outcomes = [outcome async for outcome in client.resume()]
    assert len(outcomes) == 400
    assert all(isinstance(outcome.error, WatchTimeoutError) for outcome in outcomes)
    assert all(outcome.polls == 1 for outcome in outcomes)
