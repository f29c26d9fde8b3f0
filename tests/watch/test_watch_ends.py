"""What ends a watch, and what does not."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from harness import A_HAIR, client_of, engine_of, now, polls_of, virtual

from topaz_status import (
    BadRequestError,
    ClientClosedError,
    DecodeError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    JobKind,
    JobState,
    PermissionDeniedError,
    PollPolicy,
    RateLimitedError,
    ServerError,
    ServiceError,
    TopazStatusError,
    TransportError,
    WatchTimeoutError,
)
from topaz_status.testing import Simulator

ENDS: list[tuple[JobKind, dict[str, Any], JobState, type[TopazStatusError] | None]] = [
    (JobKind.IMAGE, {"status": "Completed"}, JobState.COMPLETED, None),
    (JobKind.IMAGE, {"status": "Failed"}, JobState.FAILED, JobFailedError),
    (JobKind.IMAGE, {"status": "Cancelled"}, JobState.CANCELED, JobCanceledError),
    (JobKind.VIDEO, {"status": "complete"}, JobState.COMPLETED, None),
    (JobKind.VIDEO, {"status": "failed", "errorCode": "UNKNOWN"}, JobState.FAILED, JobFailedError),
    (JobKind.VIDEO, {"status": "canceled"}, JobState.CANCELED, JobCanceledError),
    (JobKind.TRY_ON, {"status": "completed"}, JobState.COMPLETED, None),
    (JobKind.TRY_ON, {"status": "failed"}, JobState.FAILED, JobFailedError),
    (
        JobKind.TRY_ON,
        {"status": "failed", "error": {"error_code": "unexpected_error"}},
        JobState.FAILED,
        JobFailedError,
    ),
    (
        JobKind.TRY_ON,
        {"status": "failed", "error": {"error_code": "job_cancelled"}},
        JobState.CANCELED,
        JobCanceledError,
    ),
    (JobKind.TRY_ON, {"status": "failed", "error": {"error_code": "job_expired"}}, JobState.EXPIRED, JobExpiredError),
]
GOES_ON = [
    (JobKind.IMAGE, "Pending"),
    (JobKind.IMAGE, "Processing"),
    (JobKind.IMAGE, "complete"),
    (JobKind.VIDEO, "requested"),
    (JobKind.VIDEO, "preprocessing"),
    (JobKind.VIDEO, "postprocessing"),
    (JobKind.VIDEO, "canceling"),
    (JobKind.VIDEO, "Cancelled"),
    (JobKind.TRY_ON, "pending"),
    (JobKind.TRY_ON, "running"),
    (JobKind.TRY_ON, "expired"),
]


@pytest.mark.parametrize(("kind", "body", "state", "error"), ENDS)
@virtual
async def test_terminal_words(
    kind: JobKind, body: dict[str, Any], state: JobState, error: type[TopazStatusError] | None
) -> None:
    """Each service's terminal words end a watch with the first poll that sees them, each in its own way."""
    simulator = Simulator()
    job = simulator.add(kind, duration=1e6, body=body)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        outcome = await watch.outcome()
        assert (outcome.state, outcome.polls) == (state, 1)
        assert type(outcome.error) is (error or type(None))
        if error is None:
            assert (await watch).state is JobState.COMPLETED
        else:
            with pytest.raises(error) as raised:
                await watch
            assert raised.value.job == job  # type: ignore[attr-defined]
            assert raised.value.status == outcome.status  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "word"), GOES_ON)
@virtual
async def test_words_that_end_nothing(kind: JobKind, word: str) -> None:
    """A word that is not terminal at its own service ends no watch, documented or not."""
    simulator = Simulator()
    job = simulator.add(kind, duration=1.0, body={"status": word})
    async with client_of(simulator) as client:
        outcome = await client.watch(job, timeout=60).outcome()
    assert outcome.state is None
    assert isinstance(outcome.error, WatchTimeoutError)
    assert outcome.polls > 5


@pytest.mark.parametrize(
    ("code", "error"),
    [(400, BadRequestError), (402, PermissionDeniedError), (403, PermissionDeniedError), (412, ServiceError)],
)
@virtual
async def test_what_never_heals(code: int, error: type[ServiceError]) -> None:
    """400, 402, 403 and 412 end their own watch with the first such answer, and no other."""
    simulator = Simulator()
    bad, good = (simulator.add_video(duration=60) for _ in range(2))
    simulator.add_fault(str(code), job=bad, since=20)
    async with client_of(simulator) as client:
        refused, fine = await client.outcomes([bad, good])
    assert type(refused.error) is error
    assert refused.error.status_code == code
    assert (refused.state, fine.state) == (None, JobState.COMPLETED)
    assert refused.status is not None
    assert simulator.stats().by_status[code] == 1


PASSING: list[tuple[str, dict[str, Any], type[TopazStatusError]]] = [
    ("reset", {}, TransportError),
    ("reset_body", {}, TransportError),
    ("truncated", {}, TransportError),
    ("hang", {}, TransportError),
    ("long_length", {}, TransportError),
    ("double_length", {}, TransportError),
    ("huge", {}, TransportError),
    ("redirect", {}, ServiceError),
    ("304", {}, ServiceError),
    ("408", {}, ServiceError),
    ("425", {}, ServiceError),
    ("429", {}, RateLimitedError),
    ("500", {}, ServerError),
    ("503", {"retry_after": "2"}, ServerError),
    ("599", {}, ServerError),
    ("html", {}, DecodeError),
    ("html", {"status": 502}, ServerError),
    ("empty", {}, DecodeError),
    ("empty", {"status": 204}, DecodeError),
    ("malformed", {}, DecodeError),
    ("not_utf8", {}, DecodeError),
    ("deep", {}, DecodeError),
    ("other_id", {}, DecodeError),
    ("null_status", {}, DecodeError),
    ("missing_status", {}, DecodeError),
    ("empty_status", {}, DecodeError),
]


@pytest.mark.parametrize(("fault", "fields", "error"), PASSING)
@virtual
async def test_what_passes(fault: str, fields: dict[str, Any], error: type[TopazStatusError]) -> None:
    """A fault that may pass ends nothing before ``give_up_after``; then what the service answered is raised."""
    simulator = Simulator()
    job = simulator.add_image(duration=100)
    simulator.add_fault(fault, until=50, **fields)
    simulator.add_fault(fault, since=200, **fields)
    async with client_of(simulator, request_timeout=5, policy=PollPolicy(give_up_after=60)) as client:
        assert (await client.watch(job)).is_terminal
        await asyncio.sleep(200 - now())
        outcome = await client.watch(job).outcome()
    assert type(outcome.error) is error
    assert (outcome.state, outcome.status) == (None, None)
    most = 200 if error is RateLimitedError else 100  # 429s slow the polls down, and what is not sent does not count
    assert 60 <= outcome.waited <= most
    assert outcome.polls >= 5


@virtual
async def test_a_usable_answer_wipes_the_slate() -> None:
    """Outages that are each shorter than ``give_up_after`` end nothing, however many there are."""
    simulator = Simulator()
    job = simulator.add_image(duration=400, eta="absent")
    for since in range(0, 400, 80):
        simulator.add_fault("503", since=since, until=since + 40)
    async with client_of(simulator, policy=PollPolicy(give_up_after=60)) as client:
        outcome = await client.watch(job).outcome()
    assert outcome.state is JobState.COMPLETED


@virtual
async def test_a_long_hold_is_no_outage() -> None:
    """Time in which the service asked to be left alone does not count towards ``give_up_after``."""
    simulator = Simulator()
    job = simulator.add_image(duration=100)
    simulator.add_fault("429", retry_after="250", count=4)
    async with client_of(simulator, policy=PollPolicy(give_up_after=60)) as client:
        outcome = await client.watch(job).outcome()
    assert outcome.state is JobState.COMPLETED
    assert outcome.waited >= 1000
    assert all(later - earlier >= 250 - A_HAIR for earlier, later in pairwise(polls_of(simulator, job)))


@virtual
async def test_a_short_budget_is_no_outage() -> None:
    """Time in which no poll could be sent for want of tokens does not count towards ``give_up_after``."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=10) for _ in range(20)]
    simulator.add_fault("503", count=40)
    async with client_of(simulator, rate=0.1, burst=1, policy=PollPolicy(give_up_after=120)) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) > 400


@virtual
async def test_timeout() -> None:
    """A watch's own timeout ends it, as a ``TimeoutError`` with the last status; the job itself goes on."""
    simulator = Simulator()
    job = simulator.add_video(duration=1000)
    async with client_of(simulator) as client:
        watch = client.watch(job, timeout=90)
        with pytest.raises(TimeoutError) as raised:
            await watch
        assert now() == pytest.approx(90, abs=0.02)
        assert isinstance(raised.value, WatchTimeoutError)
        assert raised.value.last_status == watch.status
        assert raised.value.last_status is not None
        assert raised.value.job == job
        assert not simulator.truth(job).ended
        asked = len(simulator.log)
        await asyncio.sleep(500)
    assert len(simulator.log) == asked


@virtual
async def test_timeouts_are_each_handles_own() -> None:
    """A handle's timeout leaves the other handles on its job alone."""
    simulator = Simulator()
    job = simulator.add_video(duration=1000)
    async with client_of(simulator) as client:
        short, longer, endless = (client.watch(job, timeout=timeout) for timeout in (10, 20, None))
        assert isinstance((await longer.outcome()).error, WatchTimeoutError)
        assert (await short.outcome()).waited == pytest.approx(10, abs=0.02)
        assert (await endless).is_terminal


@virtual
async def test_default_timeout() -> None:
    """Without a timeout of its own a watch has the policy's, so that an unknown word is not waited on for ever."""
    simulator = Simulator()
    job = simulator.add_image(body={"status": "Hibernating"})
    async with client_of(simulator, policy=PollPolicy(price=1000, max_interval=86_400)) as client:
        outcome = await client.watch(job).outcome()
        assert isinstance(outcome.error, WatchTimeoutError)
        assert outcome.waited == pytest.approx(7 * 86_400, abs=0.02)
        assert outcome.status is not None
        assert outcome.status.state is JobState.UNKNOWN
    other = simulator.add_image(duration=1000)
    async with client_of(simulator, policy=PollPolicy(timeout=60)) as client:
        assert (await client.watch(other).outcome()).waited == pytest.approx(60, abs=0.02)


@virtual
async def test_closing_ends_every_watch() -> None:
    """The client's closing ends every watch, seen or not, as closed, with its last status."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=1000) for kind in JobKind for _ in range(5)]
    async with client_of(simulator) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(30)
        late = client.watch("image:00000000-0000-4000-8000-000000000000")
        await client.aclose()
        assert all(watch.done() for watch in watches)
        for watch in watches:
            with pytest.raises(ClientClosedError) as raised:
                await watch
            assert raised.value.job == watch.job
            assert raised.value.last_status == watch.status
            assert watch.status is not None
        assert (await late.outcome()).status is None


@virtual
async def test_the_last_poll_is_the_one_that_ends_the_patience() -> None:
    """A watch that is to be given up is polled just then, not some backoff later."""
    simulator = Simulator()
    job = simulator.add_video(duration=1000)
    simulator.add_fault("503")
    policy = PollPolicy(give_up_after=60, sweep=False)
    async with client_of(simulator, policy=policy) as client:
        assert isinstance((await client.watch(job).outcome()).error, ServerError)
    asked = polls_of(simulator, job)
    assert asked[-1] - asked[0] == pytest.approx(60.0, abs=policy.min_interval + A_HAIR)


@virtual
async def test_a_service_without_watches_is_none_of_the_feeds() -> None:
    """Or slots would be reserved for it, and the gate would ask for its polls."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        jobs = [simulator.add(kind, duration=5.0) for kind in (JobKind.IMAGE, JobKind.VIDEO)]
        watches = [client.watch(job) for job in jobs]
        registry = engine_of(client).registry
        assert list(registry.kinds) == [JobKind.IMAGE, JobKind.VIDEO]
        watches[0].cancel()
        assert list(registry.kinds) == [JobKind.VIDEO]
        await asyncio.gather(*watches, return_exceptions=True)
        assert not list(registry.kinds)
