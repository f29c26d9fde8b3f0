"""Pages of the lists: one request in place of many, wherever that is cheaper, and never less true."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from harness import SINGLY, client_of, now, polls_of, until, virtual

from topaz_status import (
    ImageStatus,
    JobFailedError,
    JobKind,
    JobRef,
    JobState,
    PollPolicy,
    VideoStatus,
    WatchCanceledError,
)
from topaz_status.core.wire.lazy import LazyPage
from topaz_status.testing import JobPlan, Simulator

BUDGET: dict[str, Any] = {"rate": 10.0, "burst": 10.0}
LISTS = {"image.list", "video.history"}


def pages(simulator: Simulator) -> list[float]:
    """When a page of a list was asked for."""
    return [exchange.at for exchange in simulator.log if exchange.endpoint in LISTS]


@pytest.mark.parametrize("kind", [JobKind.IMAGE, JobKind.VIDEO])
@virtual
async def test_one_job(kind: JobKind) -> None:
    """A job alone on its list is asked for by itself: a page is never worth more than a poll of it."""
    simulator = Simulator()
    job = simulator.add(kind, duration=60)
    async with client_of(simulator) as client:
        await client.watch(job)
    assert polls_of(simulator, job)[0] < 1.0
    assert not pages(simulator)


@pytest.mark.parametrize("order", ["newest", "uuid"])
@virtual
async def test_two_jobs(order: str) -> None:
    """Two jobs on none of the first pages of a list cost a few requests more than without one, and are known as soon."""
    costs = []
    for policy in (PollPolicy(), SINGLY):
        simulator = Simulator(order=order)
        simulator.add_jobs(JobPlan(kind="image", count=500, duration=1000, foreign=order == "uuid"))
        jobs = [simulator.add_image(duration=60) for _ in range(2)]
        async with client_of(simulator, policy=policy) as client:
            outcomes = await client.outcomes(jobs)
        assert all(outcome.waited < 61 for outcome in outcomes)
        costs.append(len(simulator.log))
    assert costs[0] <= costs[1] + 6


@virtual
async def test_thousands() -> None:
    """Thousands of images cost less than half a request each, and are known to have ended within seconds."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=2000, duration=60))
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
        stats = client.stats()
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 65
    assert len(simulator.log) < 0.5 * len(jobs)
    assert stats.sweeps[JobKind.IMAGE] == len(pages(simulator))
    reported = sum(outcome.polls for outcome in outcomes)
    assert stats.swept_statuses == reported - sum(exchange.endpoint == "image.status" for exchange in simulator.log)


@virtual
async def test_without_sweeps() -> None:
    """``sweep=False`` asks for no list, and costs several requests a job."""
    simulator = Simulator()
    jobs = simulator.add_jobs([JobPlan(kind=kind, count=50, duration=30) for kind in JobKind])
    async with client_of(simulator, policy=SINGLY, **BUDGET) as client:
        await client.gather(jobs)
        assert not any(client.stats().sweeps.values())
        assert client.stats().swept_statuses == 0
    assert not pages(simulator)


@pytest.mark.parametrize("order", ["newest", "uuid", "random"])
@virtual
async def test_foreign_jobs(order: str) -> None:
    """Other people's jobs on the list, in whatever order, are stepped over, and ours are still cheaper by page."""
    simulator = Simulator(order=order)
    plans = [JobPlan(kind="image", count=300, duration=60), JobPlan(kind="image", count=600, duration=40, foreign=True)]
    jobs = simulator.add_jobs(plans)
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
    assert {outcome.job for outcome in outcomes} == set(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert max(outcome.waited for outcome in outcomes) < 70
    assert len(simulator.log) < 1.5 * len(jobs)


def whole_pages() -> int:
    """Count the pages that are kept in one piece, or were."""
    gc.collect()
    return sum(isinstance(found, LazyPage) for found in gc.get_objects())


@pytest.mark.parametrize(("ours", "foreign", "ends", "whole"), [(90, 10, 0, 1), (30, 170, 0, 0), (100, 0, 97, 0)])
@virtual
async def test_what_stays_of_a_page(ours: int, foreign: int, ends: int, whole: int) -> None:
    """Where few jobs of a page go on, no more than theirs; either way each watch can be asked for its status."""
    simulator = Simulator(order="uuid")
    jobs = simulator.add_jobs(JobPlan(kind="image", count=ours - ends, duration=1000))
    ending = simulator.add_jobs(JobPlan(kind="image", count=ends, duration=0.5))
    simulator.add_jobs(JobPlan(kind="image", count=foreign, duration=1000, foreign=True))
    async with client_of(simulator, **BUDGET) as client:
        await asyncio.sleep(1.0)
        watches = [client.watch(job) for job in [*ending, *jobs]][ends:]
        await until(lambda: client.stats().swept_statuses >= ours, step=0.05)
        assert whole_pages() == whole
        for job, watch in zip(jobs, watches, strict=True):
            status = watch.status
            assert isinstance(status, ImageStatus)
            assert status.job == job
            assert status.output_width


@virtual
async def test_a_watch_that_has_ended_lets_go_of_its_page() -> None:
    """Once its last status was read: one kept handle of a hundred does not keep the others."""
    simulator = Simulator(order="uuid")
    jobs = simulator.add_jobs(JobPlan(kind="image", count=100, duration=1000))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in [*jobs, jobs[7]]]  # one of them twice
        await until(lambda: client.stats().swept_statuses >= 100, step=0.05)
        assert whole_pages()
        for watch in watches:
            watch.cancel()
        held = watches[7]
        del watches, watch
        error = (await held.outcome()).error
        assert isinstance(error, WatchCanceledError)
        assert error.last_status == held.status is not None
        await asyncio.sleep(0)  # the pollers' coroutines end
        assert not whole_pages()


@virtual
async def test_jobs_that_slide() -> None:
    """While new jobs, ours and others', push the older ones from page to page, no job is missed."""
    simulator = Simulator()

    async def submitted() -> AsyncIterator[JobRef]:
        for index in range(400):
            simulator.add_image(duration=60, foreign=True)
            yield simulator.add_image(duration=40 + index % 20)
            await asyncio.sleep(0.1)

    async with client_of(simulator, **BUDGET) as client:
        lags = []
        async for outcome in client.as_completed(submitted()):
            assert outcome.job is not None
            lags.append(now() - simulator.truth(outcome.job).ends_at)
    assert len(lags) == 400
    assert max(lags) < 15
    assert len(simulator.log) < 3 * 400


@pytest.mark.parametrize("kind", [JobKind.IMAGE, JobKind.VIDEO])
@virtual
async def test_unlisted_jobs(kind: JobKind) -> None:
    """What no list ever shows is found by polls of it; it is neither lost nor finished by its absence."""
    simulator = Simulator()
    listed = simulator.add_jobs(JobPlan(kind=kind, count=80, duration=60))
    hidden = simulator.add_jobs(JobPlan(kind=kind, count=8, duration=60, listed=False))
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes([*listed, *hidden])
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
    assert min(outcome.waited for outcome in outcomes) >= 60
    assert max(outcome.waited for outcome in outcomes) < 80
    assert all(polls_of(simulator, job) for job in hidden)


@virtual
async def test_an_end_on_a_page() -> None:
    """An image's end on a page settles its watch: with all that a poll of it would have shown, or with its failure."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=20, outcome="failed" if i == 7 else "completed") for i in range(60)]
    async with client_of(simulator, **BUDGET) as client:
        outcomes = await client.outcomes(jobs)
        by_page = [
            (job, outcome)
            for job, outcome in zip(jobs, outcomes, strict=True)
            if not any(at >= 20 for at in polls_of(simulator, job))
        ]
        assert len(by_page) > 30
        for job, outcome in by_page:
            assert outcome.status == await client.image.get(job)
    assert [isinstance(outcome.error, JobFailedError) for outcome in outcomes] == [i == 7 for i in range(60)]


@virtual
async def test_the_end_of_a_video() -> None:
    """The end of a video comes from its own status, once, with the URL: the history has none."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="video", count=60, duration=60))
    async with client_of(simulator, **BUDGET) as client:
        for job, status in zip(jobs, await client.gather(jobs), strict=True):
            assert isinstance(status, VideoStatus)
            assert status.result_url is not None
            assert sum(at >= 60 for at in polls_of(simulator, job)) == 1
        assert client.stats().sweeps[JobKind.VIDEO] == len(pages(simulator)) > 0


@virtual
async def test_pages_count_as_polls() -> None:
    """An outcome counts the polls that answered for its job, pages among them; ``looked_ago`` and updates go by them too."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=100, duration=60))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        seen: list[float] = []

        async def follow() -> None:
            async for status in watches[0].updates():
                seen.append(status.progress or 0.0)  # noqa: PERF401  # one at a time, as they come

        following = asyncio.create_task(follow())
        await until(lambda: pages(simulator))
        await asyncio.sleep(20)
        explanation = watches[0].explain()
        assert explanation.looked_ago == pytest.approx(now() - pages(simulator)[-1], abs=0.01)
        outcomes = await asyncio.gather(*(watch.outcome() for watch in watches))
        await following
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert all(outcome.polls >= len(pages(simulator)) - 1 > 3 for outcome in outcomes)


@virtual
async def test_explaining_a_page() -> None:
    """``explain()`` says that a page answers for a job, when it is asked for next, and that is when it is."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=100, duration=300, eta="absent"))
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(60.01)
        explanation = watches[3].explain()
        assert explanation.via_page
        assert "a page of the list answers for it and 99 more" in str(explanation)
        assert explanation.due_in is not None
        due_at, asked = now() + explanation.due_in, len(pages(simulator))
        await asyncio.sleep(explanation.due_in + 0.2)
        assert pages(simulator)[asked] == pytest.approx(due_at, abs=0.11)
        for watch in watches:
            watch.cancel()
        await asyncio.sleep(60)
        assert len(pages(simulator)) == asked + 1, "nobody is watched, and yet a list was asked for"
