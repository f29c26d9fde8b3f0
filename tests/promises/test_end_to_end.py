"""Traps that the services lay, each met from end to end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from harness import SINGLY, TOPAZ_KEY, Heard, RawServer, client_of, http, now, polls_of, settings_of, virtual

from topaz_status import (
    AuthenticationError,
    DecodeError,
    JobKind,
    JobLostError,
    JobState,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    StatusClient,
    TransportError,
    WatchTimeoutError,
)
from topaz_status.testing import JobPlan, Simulator


@virtual
async def test_deleted_records() -> None:
    """A record deleted by somebody else on the account, one or all of them, makes its watch end as lost."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=0.0 if i == 0 else 500) for i in range(4)]
    async with client_of(simulator) as client:
        watches = [client.watch(job) for job in jobs[1:]]
        await asyncio.sleep(30)
        simulator.remove(jobs[1])
        with pytest.raises(JobLostError):
            await watches[0]
        await client.image.delete_all()
        for watch in watches[1:]:
            with pytest.raises(JobLostError):
                await watch


@virtual
async def test_lag_after_the_submit() -> None:
    """A 404 right after the submit is waited out, within the grace."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=20, visible_after=6) for kind in JobKind]
    never = simulator.add_image(visible_after=1e6)
    async with client_of(simulator) as client:
        *fine, missing = await client.outcomes([*jobs, never])
    assert [outcome.state for outcome in fine] == [JobState.COMPLETED] * 3
    assert isinstance(missing.error, NotFoundError)


@virtual
async def test_no_storm_after_a_401() -> None:
    """A refused key costs a few requests, not one or more for each of a thousand watches."""
    simulator = Simulator()
    simulator.revoke(TOPAZ_KEY)
    jobs = simulator.add_jobs([JobPlan(kind="image", count=500), JobPlan(kind="video", count=500)])
    async with client_of(simulator, rate=10.0, burst=10.0, max_in_flight=4) as client:
        outcomes = await client.outcomes(jobs)
    assert {type(outcome.error) for outcome in outcomes} == {AuthenticationError}
    assert len(simulator.log) <= 8


@pytest.mark.parametrize("policy", [PollPolicy(), SINGLY], ids=["listed", "singly"])
@virtual
async def test_a_foreign_job(policy: PollPolicy) -> None:
    """A 403 about one job, perhaps somebody else's, leaves the key's other watches alone."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=30, forbidden=i == 3, listed=i != 3) for i in range(10)]
    async with client_of(simulator, policy=policy) as client:
        outcomes = await client.outcomes(jobs)
    assert [outcome.error is None for outcome in outcomes] == [i != 3 for i in range(10)]
    assert isinstance(outcomes[3].error, PermissionDeniedError)


@pytest.mark.parametrize("said", [None, "auto", "date", 5.0, "0", "-5", "soon"])
@virtual
async def test_429_slows_the_whole_service(said: Any) -> None:
    """Whatever a 429 says, the whole service is slowed and no other: few are refused, and every job comes out."""
    simulator = Simulator(service_rates={JobKind.IMAGE: (2.0, 2.0)}, retry_after=said)
    images = simulator.add_jobs(JobPlan(kind="image", count=60, duration=20))
    video = simulator.add_video(duration=20)
    async with client_of(simulator, rate=50.0, burst=50.0) as client:
        watch = client.watch(video)
        collecting = asyncio.create_task(client.outcomes(images))
        assert (await watch.outcome()).waited < 25
        outcomes = await collecting
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert simulator.stats().rate_limited < 0.25 * simulator.stats().by_service["image"] + 50


@virtual
async def test_a_hold_holds_every_job_of_its_service() -> None:
    """While a ``Retry-After`` lasts, no request about any job of that service is sent, and then not a volley."""
    simulator = Simulator()
    jobs = [simulator.add_video(duration=200) for _ in range(30)]
    simulator.add_fault("429", retry_after="30", count=1, since=50)
    async with client_of(simulator, rate=20.0, burst=20.0) as client:
        await client.gather(jobs)
    hit = next(exchange.at for exchange in simulator.log if exchange.status == 429)
    assert not [exchange for exchange in simulator.log if hit < exchange.at < hit + 30]
    assert len([exchange for exchange in simulator.log if hit + 30 <= exchange.at < hit + 30.5]) <= 11


@virtual
async def test_ordering_under_a_tight_budget() -> None:
    """With far more jobs than the budget serves in a round, every one is polled in turn and none starves."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="try-on", count=300, duration=400))
    async with client_of(simulator, service_rates={JobKind.TRY_ON: 5.0}) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 400 + 2 * 60
    seconds = simulator.stats().by_second
    assert max(seconds.values()) <= 6


@pytest.mark.parametrize("fault", ["empty", "html", "truncated", "not_utf8", "deep", "huge", "gzip_bomb", "malformed"])
@virtual
async def test_bodies_that_are_none(fault: str) -> None:
    """Whatever a body is, empty, HTML, cut, not UTF-8, nested or huge, it passes and the watch goes on."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=20) for kind in JobKind]
    simulator.add_fault(fault, count=6, size=40_000_000)
    async with client_of(simulator) as client:
        assert {outcome.state for outcome in await client.outcomes(jobs)} == {JobState.COMPLETED}
    assert simulator.stats().faults[fault] == 6


@virtual
async def test_ids_stay_in_their_place() -> None:
    """An id is percent-encoded, so that none turns a job's path into another endpoint's."""
    paths: list[str] = []

    def reply(request: Heard) -> bytes:
        paths.append(request.path)
        return http(b'{"message": "Not Found"}', "404 Not Found")

    async with client_of(RawServer(reply)) as client:
        for job_id in ("a/b", "../x", "a?b=c", "a#b", "a%2Fb", "ü", "status", "x" * 256):
            with pytest.raises(NotFoundError):
                await client.video.get(job_id)
    assert paths == [
        "/video/a%2Fb/status", "/video/..%2Fx/status", "/video/a%3Fb%3Dc/status", "/video/a%23b/status",
        "/video/a%252Fb/status", "/video/%C3%BC/status", "/video/status/status", f"/video/{'x' * 256}/status",
    ]  # fmt: skip


@virtual
async def test_no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a key nor a signed URL is ever logged, shown by ``repr`` or part of an exception."""
    caplog.set_level(logging.DEBUG)
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=10) for kind in JobKind]
    simulator.add_fault("malformed", count=3)
    simulator.add_fault("redirect", count=3, location="http://elsewhere/?X-Signature=secret")
    simulator.add_fault("401", count=1, since=5)
    shown: list[object] = []
    async with client_of(simulator) as client:
        shown += await client.outcomes(jobs)
        shown += [client, client.stats(), settings_of(client), await client.result(jobs[0])]
    simulator.revoke(TOPAZ_KEY)
    async with client_of(simulator) as client:
        shown += [outcome.error for outcome in await client.outcomes(jobs)]
    text = caplog.text + "".join(map(repr, shown)) + "".join(map(str, shown))
    assert TOPAZ_KEY not in text
    assert "X-Signature" not in text
    assert "poll of image:" in caplog.text


@virtual
async def test_webhooks_out_of_order() -> None:
    """Webhooks that come twice, late or out of order cost a poll each at most, and settle nothing."""
    simulator = Simulator()
    job = simulator.add_image(duration=50)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        for word in ("Completed", "Processing", "Completed", "Failed", "Pending"):
            await asyncio.sleep(5)
            client.notify({"process_id": job.id, "status": word})
            client.notify({"process_id": job.id, "status": word})
        assert not watch.done()
        assert (await watch).state is JobState.COMPLETED
        assert client.notify({"process_id": job.id, "status": "Failed"}) is None


@virtual
async def test_the_remote_job_is_never_touched() -> None:
    """Canceling, timing out and closing send nothing but polls: no DELETE, no cancel."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=1000) for kind in JobKind]
    async with client_of(simulator) as client:
        for job in jobs:
            client.watch(job).cancel()
            assert isinstance((await client.watch(job, timeout=5).outcome()).error, WatchTimeoutError)
            client.watch(job)
        await asyncio.sleep(5)
    single, lists = {"image.status", "video.status", "try-on.status"}, {"image.list", "video.history"}
    assert single <= {exchange.endpoint for exchange in simulator.log} <= single | lists


@virtual
async def test_an_answer_about_another_job() -> None:
    """A 200 that names another job is believed neither by a call nor by a watch."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=0.0) for kind in JobKind]
    simulator.add_fault("other_id", until=20)
    async with client_of(simulator) as client:
        for call, job in zip((client.image.get, client.video.get, client.try_on.get), jobs, strict=True):
            with pytest.raises(DecodeError):
                await call(job)
        assert all(outcome.waited > 15 for outcome in await client.outcomes(jobs))


@virtual
async def test_a_service_that_answers_slowly() -> None:
    """``request_timeout`` bounds each exchange to the last byte; answers that drip in are cut off and tried again."""
    simulator = Simulator()
    job = simulator.add_image(duration=5)
    simulator.add_fault("slow", seconds=100, count=2)
    policy = PollPolicy(give_up_after=100, sweep=False)
    async with client_of(simulator, request_timeout=10, policy=policy) as client:
        outcome = await client.watch(job).outcome()
        assert 20 <= outcome.waited <= 25
        simulator.add_fault("hang")
        started = now()
        with pytest.raises(TransportError):
            await client.image.delete(job)
        assert now() - started == pytest.approx(10.5, abs=0.6)
    assert len(polls_of(simulator, job)) == 4


async def test_plain_http_needs_consent() -> None:
    """A key is not sent in plain text to another machine unless the caller says so."""
    with pytest.raises(ValueError, match="plain text"):
        StatusClient(topaz_url="http://example.com", topaz_api_key="k")
    StatusClient(topaz_url="http://example.com", topaz_api_key="k", allow_plain_http=True)
