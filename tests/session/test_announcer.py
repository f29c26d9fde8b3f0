"""What listeners hear of a client, and what they cannot do to it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Collection

import pytest
from harness import client_of, engine_of, settle, virtual
from stores import Spy

from topaz_status import ConfigurationError, JobKind, JobRef, PollPolicy, StatusClient
from topaz_status.errors import (
    ClientClosedError,
    DecodeError,
    GatewayError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TopazStatusError,
    TransportError,
    WatchTimeoutError,
)
from topaz_status.session.announcer import answer_class, outcome_word
from topaz_status.session.listener import AnsweredPoll, EndedWatch, Gauges, JobAnswer, Listener, SentRequest
from topaz_status.testing import JobPlan, Simulator

STARTER = contextvars.ContextVar("STARTER", default="nobody")
JOB = JobRef(JobKind.IMAGE, "a")


class Recorder(Listener):
    """Keeps all it hears."""

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []
        self.polls: list[AnsweredPoll] = []
        self.lags: list[tuple[JobKind, float, float | None]] = []
        self.answers: list[tuple[int, JobAnswer]] = []
        self.ends: list[EndedWatch] = []
        self.watches: dict[object, str] = {}
        self.contexts: list[str] = []
        self.open: list[Callable[[], Gauges]] = []

    def opened(self, gauges: Callable[[], Gauges]) -> None:
        self.open.append(gauges)

    def closed(self, gauges: Callable[[], Gauges]) -> None:
        self.open.remove(gauges)

    def requested(self, request: SentRequest) -> None:
        self.requests.append(request)
        self.contexts.append(STARTER.get())

    def polled(self, poll: AnsweredPoll) -> None:
        self.polls.append(poll)

    def ended(self, kind: JobKind, lag: float, expected_lag: float | None) -> None:
        self.lags.append((kind, lag, expected_lag))

    def watch_started(self, handle: object, job: JobRef) -> None:
        self.watches[handle] = STARTER.get()

    def watch_polled(self, handles: Collection[object], answer: JobAnswer) -> None:
        assert all(handle in self.watches for handle in handles)
        self.answers.append((len(handles), answer))

    def watch_ended(self, handle: object, end: EndedWatch) -> None:
        del self.watches[handle]
        self.ends.append(end)


class Broken(Listener):
    """Fails at everything."""

    def opened(self, gauges: Callable[[], Gauges]) -> None:
        raise RuntimeError("opened")

    closed = opened

    def requested(self, request: SentRequest) -> None:
        raise RuntimeError("requested")

    def polled(self, poll: AnsweredPoll) -> None:
        raise RuntimeError("polled")

    def ended(self, kind: JobKind, lag: float, expected_lag: float | None) -> None:
        raise RuntimeError("ended")

    def watch_started(self, handle: object, job: JobRef) -> None:
        raise RuntimeError("watch_started")

    def watch_polled(self, handles: Collection[object], answer: JobAnswer) -> None:
        raise RuntimeError("watch_polled")

    def watch_ended(self, handle: object, end: EndedWatch) -> None:
        raise RuntimeError("watch_ended")


@virtual
async def test_a_listener_hears_the_numbers_that_statistics_have() -> None:
    """Requests, polls, pages, lags and outcomes agree with ``stats()``, for single polls and for sweeps."""
    simulator, recorder = Simulator(seed=1), Recorder()
    async with client_of(simulator, telemetry=recorder) as client:
        jobs = simulator.add_jobs(JobPlan(kind="image", count=60, duration={"lognormal": [60, 0.5]}))
        jobs += [simulator.add_try_on(duration=20.0), simulator.add_video(duration=9.0, outcome="failed")]
        outcomes = await client.outcomes(jobs)
        stats, lags = client.stats(), list(engine_of(client).telemetry.lags)
    assert len(recorder.requests) == stats.total_requests == len(recorder.polls)
    pages = [poll for poll in recorder.polls if poll.is_page]
    assert len(pages) == sum(stats.sweeps.values()) > 0
    assert sum(poll.statuses for poll in pages) == stats.swept_statuses > 0
    assert [lag for _, lag, _ in recorder.lags] == lags
    assert all(expected is not None for _, _, expected in recorder.lags)
    assert sorted(end.outcome for end in recorder.ends) == sorted(str(one.state) for one in outcomes)
    assert [end.is_error for end in recorder.ends].count(True) == 1
    assert sum(end.polls for end in recorder.ends) == sum(one.polls for one in outcomes)
    assert sum(end.waited for end in recorder.ends) == pytest.approx(sum(one.waited for one in outcomes))
    assert not recorder.watches
    assert {(one.method, one.host, one.port, one.status) for one in recorder.requests} == {("GET", "127.0.0.1", 1, 200)}


@virtual
async def test_gauges_say_what_an_open_client_holds() -> None:
    """They agree with ``stats()``, show an open circuit breaker, and end with the client."""
    simulator, recorder = Simulator(seed=1), Recorder()
    async with client_of(simulator, telemetry=[recorder]) as client:
        for _ in range(3):
            client.watch(simulator.add_image(duration=600.0))
        await settle()
        [gauges] = recorder.open
        found, stats = gauges(), client.stats()
        assert (found.watched_jobs, found.tokens, found.rates) == (stats.watches, stats.tokens, stats.rates)
        assert (found.held, found.in_flight, found.store_backlog) == (stats.held, stats.in_flight, 0)
        assert found.watched_jobs[JobKind.IMAGE] == 3
        assert not any(found.down.values())
        simulator.add_fault("503", service="image")
        await asyncio.sleep(120.0)
        assert gauges().down == {JobKind.IMAGE: True, JobKind.VIDEO: False, JobKind.TRY_ON: False}
    assert not recorder.open
    assert {end.outcome for end in recorder.ends} == {"ClientClosedError"}
    assert not any(end.is_error for end in recorder.ends)


@virtual
async def test_the_backlog_is_what_waits_for_the_store() -> None:
    """Rows that are queued, or in a commit under way, count until they are written."""
    simulator, recorder, spy = Simulator(seed=1), Recorder(), Spy()
    async with client_of(simulator, telemetry=recorder, store=spy) as client:
        waits = spy.hold()
        client.watch(simulator.add_image(duration=600.0))
        await waits.wait()
        for _ in range(2):
            client.watch(simulator.add_image(duration=600.0))
        assert recorder.open[0]().store_backlog == 3
        spy.release()
        await asyncio.sleep(1.0)
        assert recorder.open[0]().store_backlog == 0


@virtual
async def test_a_watch_starts_in_its_callers_context_and_its_polls_run_in_none() -> None:
    """A trace goes on through the watch; a poll serves all watches, so it belongs to no caller's trace."""
    simulator, recorder = Simulator(seed=1), Recorder()
    async with client_of(simulator, telemetry=recorder) as client:
        STARTER.set("a caller")
        watch = client.watch(simulator.add_image(duration=30.0))
        assert recorder.watches == {watch: "a caller"}
        await watch
    assert set(recorder.contexts) == {"nobody"}


@virtual
async def test_errors_are_heard_with_their_class() -> None:
    """A 429, an answer of a gateway, an answer that is no status, and none at all are distinguished."""
    simulator, recorder = Simulator(seed=1), Recorder()
    for n, fault in enumerate(("429", "503", "html", "reset")):
        simulator.add_fault(fault, since=20.0 * n, until=20.0 * n + 10.0)
    async with client_of(simulator, telemetry=recorder, policy=PollPolicy(max_interval=3.0, sweep=False)) as client:
        await client.watch(simulator.add_image(duration=100.0))
    assert {poll.answer for poll in recorder.polls} == {"usable", "rate_limited", "server_error", "undecodable", "none"}
    assert {request.status for request in recorder.requests} == {200, 429, 503, None}
    assert {request.error for request in recorder.requests if request.status is None} == {"TransportError"}
    assert [answer.answer for _, answer in recorder.answers] == [poll.answer for poll in recorder.polls]


@virtual
async def test_a_listener_that_fails_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """Jobs end as ever, the other listeners hear all, and the log says once that telemetry is incomplete."""
    simulator, recorder = Simulator(seed=1), Recorder()
    with caplog.at_level(logging.WARNING, "topaz_status"):
        async with client_of(simulator, telemetry=(Broken(), recorder)) as client:
            await client.outcomes([simulator.add_image(duration=20.0 + n) for n in range(30)])
    assert [end.outcome for end in recorder.ends] == ["completed"] * 30
    assert not recorder.open
    assert [record.message for record in caplog.records] == ["telemetry is incomplete: Broken failed with RuntimeError"]


@pytest.mark.parametrize("telemetry", [None, 1, "otel", [Recorder(), object()], Recorder])
def test_what_is_no_listener_is_refused(telemetry: object) -> None:
    """A class in place of its instance, for example, raises when the client is made."""
    with pytest.raises(ConfigurationError, match="telemetry"):
        StatusClient(telemetry=telemetry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "outcome", "answer"),
    [
        (None, "completed", "usable"),
        (JobFailedError(JOB), "failed", "none"),
        (JobCanceledError(JOB), "canceled", "none"),
        (JobExpiredError(JOB), "expired", "none"),
        (JobLostError(JOB), "JobLostError", "none"),
        (WatchTimeoutError("late", job=JOB), "WatchTimeoutError", "none"),
        (ClientClosedError("closed", job=JOB), "ClientClosedError", "none"),
        (NotFoundError(404), "NotFoundError", "client_error"),
        (RateLimitedError(429), "RateLimitedError", "rate_limited"),
        (ServerError(500), "ServerError", "server_error"),
        (GatewayError(502), "GatewayError", "gateway_error"),
        (DecodeError([]), "DecodeError", "undecodable"),
        (TransportError("reset"), "TransportError", "none"),
    ],
)
def test_each_end_has_its_word_and_each_answer_its_class(
    error: TopazStatusError | None, outcome: str, answer: str
) -> None:
    """The words of the metrics are few, and hold nothing of an error but its class."""
    assert (outcome_word(error), answer_class(error)) == (outcome, answer)
