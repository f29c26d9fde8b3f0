"""No timeout is reported before the job was polled, nor while its last poll has yet to be answered."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from harness import SINGLY, client_of, now, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from topaz_status import (
    DecodeError,
    JobKind,
    JobState,
    MemoryStore,
    NotFoundError,
    PollPolicy,
    RateLimitedError,
    ServerError,
    TopazStatusError,
    TransportError,
    WatchTimeoutError,
)
from topaz_status.session.polling.feed import LAST_ANSWER
from topaz_status.testing import JobPlan, Simulator

RTT = 0.1
BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}


@settings(max_examples=50)
@given(st.floats(0.01, 400.0), st.floats(0.05, 400.0), st.sampled_from(JobKind))
def test_what_ended_before_the_timeout_is_reported_as_ended(lasts: float, timeout: float, kind: JobKind) -> None:
    """And what had not is reported as timed out, a shortest interval and a round trip after the time at the latest."""

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
    """What is known a moment later is not reported as never seen."""
    simulator = Simulator(delay=3.0)
    over, runs = simulator.add_video(after=-100.0, duration=1.0), simulator.add_video(duration=1e6)
    async with client_of(simulator, **BUDGET) as client:
        ended, late = await client.outcomes([over, runs], timeout=0.5)
    assert ended.state is JobState.COMPLETED
    assert isinstance(late.error, WatchTimeoutError)
    assert late.status is not None
    assert 3.0 <= late.waited <= 7.0


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
    """A job seen before is reported on time, or that much later, when its service hangs."""
    simulator = Simulator(delay=RTT)
    simulator.add_fault("hang", since=5.0)
    job = simulator.add_video(duration=1e6)
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        outcome = await client.watch(job, timeout=20.0).outcome()
    assert isinstance(outcome.error, WatchTimeoutError)
    assert outcome.status is not None
    assert 20.0 <= outcome.waited <= 20.0 + LAST_ANSWER + 0.1


@pytest.mark.parametrize(
    ("fault", "late"), [({"status": 429, "retry_after": "100"}, 0.05), ({"status": 503}, LAST_ANSWER + 0.05)]
)
@virtual
async def test_a_timeout_waits_for_no_poll_that_cannot_be_sent(fault: dict[str, Any], late: float) -> None:
    """A service that asked to be left alone has timeouts reported on time; one that is down is probed once more before."""
    simulator = Simulator(delay=RTT)
    jobs = [simulator.add_video(duration=1e6) for _ in range(10)]
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        watches = [client.watch(job, timeout=None) for job in jobs]
        await asyncio.sleep(5.0)
        simulator.add_fault("status", **fault)
        await asyncio.sleep(15.0)
        outcome = await client.watch(simulator.add_video(duration=1e6), timeout=2.0).outcome()
        assert isinstance(outcome.error, WatchTimeoutError)
        assert 2.0 <= outcome.waited <= 2.0 + late
        assert not any(watch.done() for watch in watches)


@virtual
async def test_a_service_that_is_back_is_found_so_before_a_timeout_is_reported() -> None:
    """The next probe may be far off: the watch that is about to time out has one sent."""
    simulator = Simulator(delay=RTT)
    job = simulator.add_video(duration=30.0)
    simulator.add_fault("503", since=5.0, until=58.0)
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        others = [client.watch(simulator.add_video(duration=1e6), timeout=None) for _ in range(5)]
        outcome = await client.watch(job, timeout=60.0).outcome()
        assert outcome.state is JobState.COMPLETED
        assert outcome.waited <= 60.0 + LAST_ANSWER + 0.1
        assert not any(watch.done() for watch in others)


@pytest.mark.parametrize("count", [200, 1_000])
@virtual
async def test_every_job_is_polled_before_it_is_reported_as_timed_out(count: int) -> None:
    """Where there are more jobs than tokens, a short timeout waits for the job's turn: what has ended is reported so."""
    simulator = Simulator(delay=RTT)
    plans = [JobPlan(kind=JobKind.TRY_ON, count=count, after=-100.0, duration=duration) for duration in (10.0, 1e6)]
    jobs = simulator.add_jobs(plans)
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        outcomes = await client.outcomes(jobs, timeout=1.0)
        assert now() <= 2 * count / 10.0 + 5.0
    assert all(outcome.polls > 0 for outcome in outcomes)
    assert sum(outcome.state is JobState.COMPLETED for outcome in outcomes) == count


@pytest.mark.parametrize(("count", "timeout"), [(30, 1.0), (100, 1.0), (100, 5.0), (200, 10.0)])
@virtual
async def test_an_end_that_a_list_showed_is_confirmed_before_a_timeout_is_reported(count: int, timeout: float) -> None:
    """The video history shows ends without results: each waits for the poll that confirms it."""
    simulator = Simulator(delay=RTT)
    jobs = simulator.add_jobs([JobPlan(kind=JobKind.VIDEO, count=count, after=-100.0, duration=10.0)])
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs, timeout=timeout)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}


@pytest.mark.parametrize(
    ("delay", "lasts", "timeout"),
    [(3.0, 5.0, 10.0), (2.1, 59.0, 60.0), (2.5, 9.0, 10.0), (5.0, 57.0, 60.0), (10.0, 4.0, 5.0)],
)
@virtual
async def test_slow_answers_are_awaited_for_longer(delay: float, lasts: float, timeout: float) -> None:
    """A service that takes seconds to answer has what ended before the timeout reported as ended, too."""
    simulator = Simulator(delay=delay)
    job = simulator.add_try_on(duration=lasts)
    async with client_of(simulator, **BUDGET) as client:
        outcome = await client.watch(job, timeout=timeout).outcome()
    assert outcome.state is JobState.COMPLETED
    assert outcome.waited <= timeout + 4 * delay


@virtual
async def test_a_service_that_hangs_takes_no_slot_of_the_last() -> None:
    """With two slots, one stays for the service that answers: its jobs are reported as they end."""
    simulator = Simulator(delay=RTT)
    images = [simulator.add_image(duration=1e6) for _ in range(10)]
    simulator.add_fault("hang", endpoint="image.status")
    video = simulator.add_video(duration=8.0)
    async with client_of(simulator, policy=SINGLY, max_in_flight=2, **BUDGET) as client:
        watches = [client.watch(job) for job in images]
        outcome = await client.watch(video, timeout=10.0).outcome()
        assert outcome.state is JobState.COMPLETED
        assert not any(watch.done() for watch in watches)


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
    """Images that time out together cost pages, and those that ended just before are reported as ended."""
    simulator = Simulator(delay=RTT)
    plans = [JobPlan(kind=JobKind.IMAGE, duration=1.0 + 0.237 * number) for number in range(500)]
    jobs = simulator.add_jobs(plans)
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs, timeout=120.0)
    assert [outcome for outcome in outcomes if outcome.error is not None] == []


@virtual
async def test_a_watch_that_is_taken_up_after_its_time_has_one_poll() -> None:
    """However many there are: none is reported as timed out that nobody has asked for."""
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


@pytest.mark.parametrize(
    ("fault", "said", "kind"),
    [
        ({"name": "reset"}, " s; last trouble: the connection was lost", TransportError),
        ({"name": "503"}, " s with a status; last trouble: 503: ", ServerError),
        ({"name": "malformed"}, " s with a status; last trouble: undecodable", DecodeError),
        ({"name": "status", "status": 429}, " s with a status; last trouble: 429: ", RateLimitedError),
    ],
)
@pytest.mark.parametrize("sweep", [False, True])
@virtual
async def test_a_timeout_without_an_answer_says_the_last_trouble(
    fault: dict[str, Any], said: str, kind: type[TopazStatusError], *, sweep: bool
) -> None:
    """Also of jobs whose own polls a circuit held back: what the others met is all that is known of theirs."""
    simulator = Simulator(delay=RTT)
    jobs = [simulator.add_image(duration=1e6) for _ in range(40)]
    simulator.add_fault(**fault)
    async with client_of(simulator, policy=PollPolicy(sweep=sweep), rate=4.0, burst=1.0) as client:
        outcomes = await client.outcomes(jobs, timeout=15.0)
    assert kind is RateLimitedError or any(outcome.polls == 0 for outcome in outcomes)  # a 429 is an answer
    for outcome in outcomes:
        error = outcome.error
        assert isinstance(error, WatchTimeoutError)
        assert str(error).startswith(f"{outcome.job}: no poll was answered in ")
        assert said in str(error)
        assert isinstance(error.last_error, kind)
        assert getattr(error.last_error, "job", None) == outcome.job
        again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
        assert (str(again), str(again.last_error)) == (str(error), str(error.last_error))


@virtual
async def test_a_timeout_of_a_job_that_alone_is_in_trouble_says_its_own() -> None:
    """The service answers for the others, and 404 for one that may not be written yet."""
    simulator = Simulator(delay=RTT)
    running = simulator.add_video(duration=1e6)
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        known, unknown = await client.outcomes([running, "video:nobody"], timeout=5.0)
    assert "had not ended" in str(known.error)
    assert isinstance(unknown.error, WatchTimeoutError)
    assert " s with a status; last trouble: 404: " in str(unknown.error)
    assert isinstance(unknown.error.last_error, NotFoundError)


@virtual
async def test_a_timeout_of_a_job_that_was_seen_says_its_last_word() -> None:
    """Trouble that came later, or that has passed, is another matter."""
    simulator = Simulator(delay=RTT)
    job, other = simulator.add_image(stuck=True), simulator.add_image(stuck=True)
    simulator.add_fault("503", until=5.0, job=other)
    simulator.add_fault("503", since=20.0)
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        outcomes = await client.outcomes([job, other], timeout=40.0)
    for outcome in outcomes:
        assert isinstance(outcome.error, WatchTimeoutError)
        assert f"{outcome.job} had not ended after 4" in str(outcome.error)
        assert "(last seen '" in str(outcome.error)
        assert outcome.error.last_error is None
