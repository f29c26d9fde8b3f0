"""Thousands of jobs at once: each outcome exactly once, as they come or in the order given."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from harness import client_of, now, settle, virtual

from topaz_status import (
    ClientClosedError,
    ConfigurationError,
    JobFailedError,
    JobKind,
    JobRef,
    JobState,
    NotFoundError,
    StatusClient,
    TopazStatusError,
    WatchTimeoutError,
)
from topaz_status.testing import JobPlan, Simulator

LOST = "image:00000000-0000-4000-8000-000000000000"


def watched(client: StatusClient) -> int:
    """How many jobs a client watches."""
    return sum(client.stats().watches.values())


@virtual
async def test_ten_thousand() -> None:
    """Of ten thousand jobs each comes out exactly once, in order of finishing, and nothing is left of them."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind=JobKind.IMAGE, count=10_000, duration=2.0, failure_rate=0.1))
    async with client_of(simulator) as client:
        outcomes = [outcome async for outcome in client.as_completed(jobs)]
        assert Counter(outcome.job for outcome in outcomes) == Counter(jobs)
        assert [outcome.detected_at for outcome in outcomes] == sorted(outcome.detected_at for outcome in outcomes)
        truths = simulator.truths()
        assert all(outcome.state is truths[outcome.job].state for outcome in outcomes if outcome.job)
        assert watched(client) == 0


@virtual
async def test_order_of_finishing() -> None:
    """Outcomes come in the order in which the jobs end, failures among them, at the moment their end is known."""
    simulator = Simulator()
    jobs = [simulator.add(kind, duration=100 - 8 * i, outcome="failed" if i % 3 == 0 else "completed")
            for i, kind in enumerate([*JobKind] * 4)]  # fmt: skip
    async with client_of(simulator) as client:
        seen = []
        async for outcome in client.as_completed(jobs):
            seen.append(outcome.job)
            assert outcome.waited == now()
            assert 0 <= now() - simulator.truth(jobs[jobs.index(outcome.job)]).ends_at < 8  # type: ignore[arg-type]
    assert seen == jobs[::-1]


@virtual
async def test_whatever_happens() -> None:
    """Lost, forbidden, failed, timed out: whatever happens to a job, it comes out once, as a value."""
    simulator = Simulator()
    ends: dict[JobRef | str, Any] = {
        simulator.add_image(duration=5): type(None),
        simulator.add_image(duration=5, outcome="failed"): JobFailedError,
        simulator.add_video(forbidden=True): TopazStatusError,
        simulator.add_try_on(stuck=True): WatchTimeoutError,
        LOST: NotFoundError,
    }
    async with client_of(simulator) as client:
        outcomes = [outcome async for outcome in client.as_completed(ends, timeout=50)]
    assert len(outcomes) == len(ends)
    assert all(isinstance(outcome.error, ends.get(outcome.job) or ends[str(outcome.job)]) for outcome in outcomes)  # type: ignore[arg-type]


@virtual
async def test_duplicates() -> None:
    """A job that is given several times, in whatever spelling, comes out once."""
    simulator = Simulator()
    job, other = simulator.add_image(duration=5), simulator.add_image(duration=9)
    async with client_of(simulator) as client:
        assert [o.job async for o in client.as_completed([job, str(job), other, job, str(other)])] == [job, other]
        assert [o.job for o in await client.outcomes([other, job, other])] == [other, job, other]
        assert [s.job for s in await client.gather([other, job, str(other)])] == [other, job, other]
        nothing: list[Any] = [await client.gather([]), await client.outcomes([])]
        assert [*nothing, [o async for o in client.as_completed([])]] == [[], [], []]


@pytest.mark.parametrize("wrong", ["", "image", "image:", "film:1", 7, None, b"image:1"])
@virtual
async def test_refused_at_the_door(wrong: object) -> None:
    """An item of a plain iterable that names no job is refused before anything is watched."""
    simulator = Simulator()
    jobs: Any = [simulator.add_image(), wrong]
    async with client_of(simulator) as client:
        for call in (client.gather, client.outcomes):
            with pytest.raises(ConfigurationError):
                await call(jobs)
        with pytest.raises(ConfigurationError):
            client.as_completed(jobs)
        with pytest.raises(ConfigurationError):
            client.as_completed(wrong)  # type: ignore[arg-type]
        await settle()
        assert watched(client) == 0
    assert not simulator.log


@virtual
async def test_leaving_the_loop() -> None:
    """Leaving the loop drops its own handles, and no others."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=10 + i) for i in range(20)]
    async with client_of(simulator) as client:
        mine = client.watch(jobs[5])
        async for outcome in client.as_completed(jobs):
            assert outcome.job == jobs[0]
            break
        gc.collect()
        await settle()
        assert watched(client) == 1
        assert (await mine).is_terminal


@pytest.mark.parametrize("how", ["aclose", "async with", "raising"])
@virtual
async def test_closing_the_stream(how: str) -> None:
    """Closing the stream drops its handles at once, ends every loop over it, and may be done twice."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=10 + i) for i in range(20)]
    async with client_of(simulator) as client:
        stream = client.as_completed(jobs)
        if how == "aclose":
            await anext(stream)
            rest = asyncio.create_task(drained(stream))
            await settle()
            await stream.aclose()
            assert await rest == []
        elif how == "async with":
            async with stream as same:
                assert (await anext(same)).job == jobs[0]
        else:
            with pytest.raises(ZeroDivisionError):  # noqa: PT012
                async with stream:
                    async for _ in stream:
                        1 / 0  # noqa: B018
        assert watched(client) == 0
        await stream.aclose()
        assert await drained(stream) == []


async def drained(stream: Any) -> list[Any]:
    """All that is left."""
    return [outcome async for outcome in stream]


@virtual
async def test_timeouts_are_each_jobs_own() -> None:
    """The timeout counts for each job from when it is taken, not for the whole."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=100) for _ in range(3)]

    async def slowly() -> AsyncIterator[JobRef]:
        for job in jobs:
            yield job
            await asyncio.sleep(40)

    async with client_of(simulator) as client:
        outcomes = [outcome async for outcome in client.as_completed(slowly(), timeout=30)]
        assert [type(outcome.error) for outcome in outcomes] == [WatchTimeoutError, WatchTimeoutError, type(None)]
        assert [outcome.waited for outcome in outcomes][:2] == pytest.approx([30, 30], abs=0.02)
        again = [outcome async for outcome in client.as_completed(jobs, timeout=None)]
        assert [outcome.state for outcome in again] == [JobState.COMPLETED] * 3
        stuck = [simulator.add_image(stuck=True)]
        with pytest.raises(WatchTimeoutError):
            await client.gather(stuck, timeout=5)
        assert isinstance((await client.outcomes(stuck, timeout=5))[0].error, WatchTimeoutError)


@virtual
async def test_gather() -> None:
    """``gather`` gives statuses in the order given, failures as values where asked to."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=20 - i, outcome="failed" if i == 2 else "completed") for i in range(5)]
    async with client_of(simulator) as client:
        statuses = await client.gather([*jobs[:2], *jobs[3:]])
        assert [status.job for status in statuses] == [*jobs[:2], *jobs[3:]]
        mixed = await client.gather(jobs, return_exceptions=True)
        assert isinstance(mixed[2], JobFailedError)
        assert [one.job for one in mixed] == jobs  # type: ignore[union-attr]


@virtual
async def test_gather_raises_the_first_failure() -> None:
    """``gather`` raises the failure that comes first in time, at that time, and lets the other jobs go."""
    simulator = Simulator()
    jobs = [
        simulator.add_image(duration=100 - 20 * i, outcome="failed" if i in {1, 2} else "completed") for i in range(4)
    ]
    async with client_of(simulator) as client:
        mine = client.watch(jobs[0])
        with pytest.raises(JobFailedError) as raised:
            await client.gather(jobs)
        assert raised.value.job == jobs[2]
        assert 60 <= now() < 65
        assert watched(client) == 1
        assert (await mine).is_terminal


@virtual
async def test_outcomes() -> None:
    """``outcomes`` gives every outcome in the order given and raises for no job."""
    simulator = Simulator()
    jobs = [simulator.add_video(duration=20 - i, outcome="failed" if i % 2 else "completed") for i in range(6)]
    async with client_of(simulator) as client:
        outcomes = await client.outcomes(iter(jobs))
    assert [outcome.job for outcome in outcomes] == jobs
    assert [outcome.error is None for outcome in outcomes] == [True, False] * 3


@virtual
async def test_client_closed_meanwhile() -> None:
    """When the client closes, the jobs still open come out as closed, each once, and the stream ends."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=10 if i < 3 else 1000) for i in range(10)]
    async with client_of(simulator) as client:
        stream = asyncio.create_task(drained(client.as_completed(jobs)))
        gathered = asyncio.create_task(client.gather(jobs))
        values = asyncio.create_task(client.outcomes(jobs))
        await asyncio.sleep(30)
        await client.aclose()
        outcomes = await stream
        assert Counter(outcome.job for outcome in outcomes) == Counter(jobs)
        assert [type(outcome.error) for outcome in outcomes] == [type(None)] * 3 + [ClientClosedError] * 7
        with pytest.raises(ClientClosedError):
            await gathered
        assert [outcome.error is None for outcome in await values] == [True] * 3 + [False] * 7
