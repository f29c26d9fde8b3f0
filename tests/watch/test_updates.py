"""``updates()``: changes only, the newest for a slow reader, and the end."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from harness import client_of, virtual

from topaz_status import (
    ClientClosedError,
    JobRef,
    JobState,
    JobStatus,
    NotFoundError,
    StatusClient,
    Watch,
    WatchCanceledError,
    WatchTimeoutError,
)
from topaz_status.testing import Simulator


def reported(status: JobStatus) -> tuple[Any, ...]:
    """What an update is about."""
    return status.state, status.status, status.progress, status.result_url


async def read(client: StatusClient, job: JobRef) -> list[JobStatus]:
    """All updates of a job."""
    return [status async for status in client.watch(job).updates()]


@virtual
async def test_changes_only() -> None:
    """Each update differs from the one before in state, word, progress or result URL; the last one is terminal."""
    simulator = Simulator()
    moving, standing = simulator.add_video(duration=100, queue=20), simulator.add_try_on(duration=100, queue=20)
    async with client_of(simulator) as client:
        many, few = await asyncio.gather(read(client, moving), read(client, standing))
    assert [status.status for status in few] == ["pending", "running", "completed"]
    assert len(many) > 10
    assert all(reported(one) != reported(other) for one, other in pairwise(many))
    assert [status.is_terminal for status in many] == [False] * (len(many) - 1) + [True]


@virtual
async def test_failed_jobs_end_the_updates() -> None:
    """A job that failed is an update like any other: the stream ends after it without an exception."""
    simulator = Simulator()
    job = simulator.add_image(duration=10, outcome="failed")
    async with client_of(simulator) as client:
        assert (await read(client, job))[-1].state is JobState.FAILED


@virtual
async def test_slow_reader() -> None:
    """A slow reader misses what came meanwhile and is given the newest."""
    simulator = Simulator()
    job = simulator.add_video(duration=100)
    seen = []
    async with client_of(simulator) as client:
        watch = client.watch(job)
        async for status in watch.updates():
            seen.append(status)
            await asyncio.sleep(45)
            assert watch.status is not None
    assert len(seen) == 4
    assert seen[-1].is_terminal


@virtual
async def test_slow_reader_of_few_changes() -> None:
    """A slow reader is not given what only seems new: an answer that says the same as the last."""
    simulator = Simulator()
    job = simulator.add_try_on(duration=100)
    seen = []
    async with client_of(simulator) as client:
        async for status in client.watch(job).updates():
            seen.append(status.status)
            await asyncio.sleep(20)
    assert seen == ["running", "completed"]


@virtual
async def test_late_reader() -> None:
    """A late reader is given the last status first, even after the end; several readers do not disturb each other."""
    simulator = Simulator()
    job = simulator.add_image(duration=30)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        early = asyncio.create_task(collect(watch))
        await asyncio.sleep(20)
        late = asyncio.create_task(collect(watch))
        await watch
        after = await collect(watch)
        assert [status.is_terminal for status in after] == [True]
        assert len(await late) < len(await early)
        assert (await late)[-1] is (await early)[-1] is after[0]


async def collect(watch: Watch[Any]) -> list[JobStatus]:
    """All updates of a handle."""
    return [status async for status in watch.updates()]


@virtual
async def test_no_terminal_status() -> None:
    """Where no terminal status came, the stream gives what it has and raises what ``await`` raises."""
    simulator = Simulator()
    job = simulator.add_image(duration=1000)
    async with client_of(simulator) as client:
        for make, error in (
            (lambda: client.watch(job, timeout=10), WatchTimeoutError),
            (lambda: client.image.watch("00000000-0000-4000-8000-000000000000"), NotFoundError),
        ):
            with pytest.raises(error):
                await collect(make())
        watch = client.watch(job)
        reading = asyncio.create_task(collect(watch))
        await asyncio.sleep(5)
        watch.cancel()
        with pytest.raises(WatchCanceledError):
            await reading
        updates = watch.updates()
        assert await anext(updates) is watch.status
        with pytest.raises(WatchCanceledError):
            await anext(updates)
        reading = asyncio.create_task(collect(client.watch(job)))
        await asyncio.sleep(5)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await reading


@virtual
async def test_leaving_the_updates() -> None:
    """Leaving the stream, or canceling who reads it, leaves the watch at work."""
    simulator = Simulator()
    job = simulator.add_image(duration=30)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        updates = watch.updates()
        await anext(updates)
        await updates.aclose()  # type: ignore[attr-defined]
        reading = asyncio.create_task(collect(watch))
        await asyncio.sleep(5)
        reading.cancel()
        assert (await watch).is_terminal
