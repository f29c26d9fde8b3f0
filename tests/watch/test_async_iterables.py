"""Jobs that come from an async iterable: read ahead by a bounded number, whatever it does."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from harness import client_of, now, settle, virtual

from topaz_status import (
    ClientClosedError,
    ConfigurationError,
    JobKind,
    JobRef,
    JobState,
    StatusClient,
)
from topaz_status.completions import READ_AHEAD
from topaz_status.testing import Simulator


def watched(client: StatusClient) -> int:
    """How many jobs a client watches."""
    return sum(client.stats().watches.values())


async def drained(stream: Any) -> list[Any]:
    """All that is left."""
    return [outcome async for outcome in stream]


class Source:
    """An endless async iterable of new jobs that counts how many were taken."""

    def __init__(self, simulator: Simulator, **fields: Any) -> None:
        self.taken = 0
        self.closed = False
        self._simulator, self._fields = simulator, fields

    async def __aiter__(self) -> AsyncIterator[JobRef]:
        try:
            while True:
                self.taken += 1
                yield self._simulator.add_image(**self._fields)
        finally:
            await asyncio.sleep(0)
            self.closed = True


@virtual
async def test_bounded_read_ahead() -> None:
    """Of an endless async iterable no more jobs are taken than a bounded number beyond those handed out."""
    simulator = Simulator()
    source = Source(simulator, duration=5)
    async with client_of(simulator, rate=1e5, burst=1e5) as client:
        async with client.as_completed(source) as stream:
            await asyncio.sleep(60)
            assert source.taken == READ_AHEAD
            for count in range(1, 201):
                assert (await anext(stream)).state is JobState.COMPLETED
                assert source.taken <= READ_AHEAD + count
            await asyncio.sleep(1)
            assert source.taken == READ_AHEAD + 200
        assert watched(client) == 0


@virtual
async def test_async_iterable_comes_as_it_goes() -> None:
    """Jobs of an async iterable are watched as they come; outcomes do not wait for later jobs."""
    simulator = Simulator()

    async def jobs() -> AsyncIterator[JobRef]:
        for _ in range(4):
            yield simulator.add_image(duration=3)
            await asyncio.sleep(50)

    async with client_of(simulator) as client:
        times = [now() async for _ in client.as_completed(jobs())]
    assert [time % 50 < 6 for time in times] == [True] * 4
    assert [time // 50 for time in times] == [0, 1, 2, 3]


@virtual
async def test_refused_items() -> None:
    """An item of an async iterable that cannot be watched comes out as an outcome that says which and why."""
    simulator = Simulator()
    job = simulator.add_image(duration=5)

    async def jobs() -> AsyncIterator[Any]:
        for item in ("nonsense", job, 7, None, "image:", "try-on:1", job):
            yield item

    async with client_of(simulator, pixelcut_api_key="") as client:
        outcomes = [outcome async for outcome in client.as_completed(jobs())]
    assert outcomes[-1].job == job
    refused = outcomes[:-1]
    assert {type(outcome.error) for outcome in refused} == {ConfigurationError}
    assert [(outcome.job, outcome.tag) for outcome in refused] == [
        (None, "nonsense"), (None, 7), (None, None), (None, "image:"), (JobRef(JobKind.TRY_ON, "1"), None),
    ]  # fmt: skip
    assert all((outcome.state, outcome.status, outcome.polls) == (None, None, 0) for outcome in refused)


@virtual
async def test_iterable_that_raises() -> None:
    """What an async iterable raises is raised in the loop, after the outcomes of the jobs it gave, and once."""
    simulator = Simulator()

    async def jobs() -> AsyncIterator[JobRef]:
        for _ in range(3):
            yield simulator.add_image(duration=10)
        raise ZeroDivisionError

    async with client_of(simulator) as client:
        stream = client.as_completed(jobs())
        seen = []
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async for outcome in stream:
                seen.append(outcome.state)  # noqa: PERF401
        assert seen == [JobState.COMPLETED] * 3
        assert await drained(stream) == []


@pytest.mark.parametrize("how", ["aclose", "break"])
@virtual
async def test_leaving_an_endless_iterable(how: str) -> None:
    """Leaving the loop stops the reading of an endless async iterable; ``aclose`` returns once that is over."""
    simulator = Simulator()
    source = Source(simulator, duration=5)
    async with client_of(simulator, rate=1e5, burst=1e5) as client:
        if how == "break":
            async for _ in client.as_completed(source):
                break
        else:
            stream = client.as_completed(source)
            await anext(stream)
            before = len(asyncio.all_tasks())
            await stream.aclose()
            assert len(asyncio.all_tasks()) < before
        gc.collect()
        await settle(2000)
        taken = source.taken
        await asyncio.sleep(100)
        assert source.taken == taken
        assert source.closed
        assert watched(client) == 0


@virtual
async def test_client_closed_while_an_iterable_is_idle() -> None:
    """Closing the client ends the reading of an async iterable that waits for ever, and the loop over it, as closed."""
    simulator = Simulator()
    cleaned = []

    async def jobs() -> AsyncIterator[JobRef]:
        try:
            yield simulator.add_image(duration=5)
            yield simulator.add_image(duration=5000)
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append(True)

    async with client_of(simulator) as client:
        seen: list[Any] = []

        async def loop() -> None:
            async for outcome in client.as_completed(jobs()):
                seen.append(outcome.error)  # noqa: PERF401

        task = asyncio.create_task(loop())
        idle = client.as_completed(jobs())
        await asyncio.sleep(50)
        await client.aclose()
        assert cleaned == [True, True]
        with pytest.raises(ClientClosedError):
            await task
        assert seen[0] is None
        assert isinstance(seen[1], ClientClosedError)
        assert len(seen) == 2
        del idle


@virtual
async def test_an_iterable_that_never_waits() -> None:
    """Jobs that come without end, without a pause and always the same ones do not keep the loop from everybody else."""
    simulator = Simulator()
    job = simulator.add_image(duration=5)

    async def again_and_again() -> AsyncIterator[JobRef]:
        while True:
            yield job

    async with client_of(simulator) as client, client.as_completed(again_and_again()) as stream:
        turns = 0
        for _ in range(20):
            await asyncio.sleep(0)
            turns += 1
        assert turns == 20
        await stream.aclose()


@virtual
async def test_a_reader_that_never_began_ends_with_the_client() -> None:
    """The client was closed in the same step in which the iterable was given to it."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        stream = client.as_completed(Source(simulator))
    with pytest.raises(ClientClosedError):
        await asyncio.wait_for(anext(stream), 1.0)


@virtual
async def test_a_reader_that_never_began_is_dropped_without_a_complaint() -> None:
    """Its iterable is never asked."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        source = Source(simulator)
        await client.as_completed(source).aclose()
        await settle()
        assert source.taken == 0
