"""Loops whose tasks begin at once (``asyncio.eager_task_factory``): all that is awaited, left and closed ends as ever."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from harness import client_of

from topaz_status import ClientClosedError, MemoryStore, StatusClient, WatchCanceledError, WatchTimeoutError
from topaz_status.testing import Simulator, run_virtual

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no eager tasks")


def eagerly(main: Callable[[], Coroutine[Any, Any, None]], *, debug: bool = False) -> None:
    """Run ``main`` in virtual time on a loop whose tasks begin at once; nothing may be left."""

    async def outer() -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # not in 3.11
        await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(outer(), debug=debug)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("durable", [False, True])
def test_all_jobs_end_in_every_way_of_waiting(debug: bool, durable: bool) -> None:
    """Handles, collections, task groups and updates give what they give on any loop, with a store and without."""

    async def main() -> None:
        simulator = Simulator()
        jobs = [simulator.add_image(duration=float(place % 7)) for place in range(40)]
        async with client_of(simulator, store=MemoryStore() if durable else None) as client:
            assert len(await client.gather(jobs)) == 40
            assert {outcome.error async for outcome in client.as_completed(jobs)} == {None}
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.watch(job).result()) for job in jobs]
            assert all(task.result().is_terminal for task in tasks)
            assert [status.is_terminal async for status in client.watch(jobs[0]).updates()][-1]

    eagerly(main, debug=debug)


def test_jobs_of_an_async_iterable_that_is_read_at_once() -> None:
    """The task that reads ahead begins before anybody waits for it."""

    async def main() -> None:
        simulator = Simulator()
        jobs = [simulator.add_image(duration=1.0) for _ in range(5)]

        async def submitted() -> AsyncIterator[str]:
            for job in jobs:
                yield f"image:{job.id}"

        async with client_of(simulator) as client:
            assert {outcome.job async for outcome in client.as_completed(submitted())} == set(jobs)

    eagerly(main)


def test_watches_that_nobody_lets_end() -> None:
    """Cancelled at once, out of time, and open when the client closes: each learns which."""

    async def main() -> None:
        simulator = Simulator()
        job, other, third = (simulator.add_image(duration=1e5) for _ in range(3))
        async with client_of(simulator) as client:
            canceled = client.watch(job)
            canceled.cancel()
            with pytest.raises(WatchCanceledError):
                await canceled
            with pytest.raises(WatchTimeoutError):
                await client.watch(other, timeout=30.0)
            waiting = asyncio.create_task(client.watch(third).result())
            await asyncio.sleep(10.0)
        with pytest.raises(ClientClosedError):
            await waiting

    eagerly(main)


def test_resumed_watches_end() -> None:
    """The task that takes up what a store holds begins at once, too."""

    async def main() -> None:
        simulator, store = Simulator(), MemoryStore()
        jobs = {simulator.add_image(duration=60.0) for _ in range(10)}
        async with client_of(simulator, store=store) as client:
            for job in jobs:
                client.watch(job)
            await asyncio.sleep(1.0)
        async with client_of(simulator, store=store) as client:
            assert {outcome.job async for outcome in client.resume()} == jobs

    eagerly(main)


def test_a_direct_call_is_canceled() -> None:
    """A call whose task began at once is canceled as any other, and the client works on."""

    async def main() -> None:
        simulator = Simulator()
        job = simulator.add_image(duration=0.0)
        async with client_of(simulator) as client:
            call = asyncio.create_task(client.image.get(job))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await _get(client, job.id)).process_id == job.id

    eagerly(main)


async def _get(client: StatusClient, job: str) -> Any:
    return await asyncio.create_task(client.image.get(job))
