"""Thousands of watches that begin at once, or end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from harness import client_of, engine_of, virtual

from topaz_status import ClientClosedError, JobLostError, JobState, StatusClient, Watch, WatchCanceledError
from topaz_status.session.polling.registry import WATCHES_AT_ONCE
from topaz_status.testing import Simulator, run_virtual

MANY = 4 * WATCHES_AT_ONCE + 1


@contextlib.asynccontextmanager
async def many_watches() -> AsyncIterator[tuple[StatusClient, list[Watch[Any]]]]:
    """Watches that have just been started, none of which ends by itself."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(MANY)]
    async with client_of(simulator) as client:
        yield client, [client.watch(job) for job in jobs]


def pollers() -> int:
    """Count the coroutines of watches."""
    return sum(task.get_name() == "topaz_status poller" for task in asyncio.all_tasks())


@virtual
async def test_beginning_thousands_of_watches_lets_the_loop_go_on_meanwhile() -> None:
    """No turn of the loop begins more than a few hundred of them."""
    async with many_watches():
        before = 0
        while before < MANY:
            await asyncio.sleep(0)
            begun = pollers()
            assert 0 < begun - before <= WATCHES_AT_ONCE
            before = begun


@virtual
async def test_watches_that_end_before_they_have_begun_say_so() -> None:
    """One is canceled, one left by its only handle, one ends by itself; the others' client is closed."""
    async with many_watches() as (client, (first, *others)):
        first.cancel()
        async with others.pop():
            pass
        registry = engine_of(client).registry
        poller = registry.find(others[-1].job)
        assert poller is not None
        registry.end(poller, JobLostError(poller.job))
        with pytest.raises(JobLostError):
            await others.pop()
        await asyncio.sleep(1.0)
        assert pollers() == len(others)
        assert poller.task is None, "one that is over needs no coroutine"
        await client.aclose()
    with pytest.raises(WatchCanceledError):
        await first
    for watch in others:
        with pytest.raises(ClientClosedError):
            await watch


@virtual
async def test_a_coroutine_that_is_canceled_when_its_job_is_over() -> None:
    """Its end is reported as it was."""
    simulator = Simulator()
    async with client_of(simulator) as client:
        watch = client.watch(simulator.add_image(duration=1000))
        await asyncio.sleep(1.0)
        registry = engine_of(client).registry
        [poller] = registry
        registry.end(poller, JobLostError(poller.job))
        assert poller.task is not None
        poller.task.cancel()
        with pytest.raises(JobLostError):
            await watch


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("closing", [False, True])
def test_coroutines_that_are_canceled_from_outside(turns: int, closing: bool) -> None:
    """A caller who awaits such a watch learns it, also where its coroutine had not yet begun."""

    async def scenario() -> None:
        simulator = Simulator()
        jobs = [simulator.add_image(duration=1000) for _ in range(WATCHES_AT_ONCE + 20)]
        async with client_of(simulator) as client:
            waiting = [asyncio.create_task(client.watch(job).outcome()) for job in jobs]
            await asyncio.sleep(0)
            ending = asyncio.create_task(client.aclose()) if closing else None
            for _ in range(turns):
                await asyncio.sleep(0)
            torn = [task for task in asyncio.all_tasks() if task.get_name() == "topaz_status poller"]
            for task in torn:
                task.cancel()
            for _ in range(4):
                await asyncio.sleep(0)
            if not closing:
                assert sum(task.done() for task in waiting) == len(torn)
                await client.aclose()
            if ending is not None:
                await ending
            errors = [(await task).error for task in waiting]
        assert {type(error) for error in errors} == {ClientClosedError}

    run_virtual(scenario())


@virtual
async def test_a_loop_that_cannot_make_a_task() -> None:
    """It says so itself; the other watches begin all the same, and each learns its end."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=20) for _ in range(30)]
    loop, complaints, faults = asyncio.get_running_loop(), list[object](), [MemoryError("no more")]

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        if faults and "Poller" in coroutine.__qualname__:
            coroutine.close()
            raise faults.pop()
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_exception_handler(lambda _, context: complaints.append(context.get("exception")))
    loop.set_task_factory(factory)
    try:
        async with client_of(simulator) as client:
            watches = [client.watch(job) for job in jobs]
            await asyncio.sleep(1.0)
            assert pollers() == len(jobs) - 1
            assert {(await watch).state for watch in watches} == {JobState.COMPLETED}
    finally:
        loop.set_task_factory(None)
    assert [type(complaint) for complaint in complaints] == [MemoryError]


@virtual
async def test_closing_thousands_of_watches_lets_the_loop_go_on_meanwhile() -> None:
    """No turn of the loop ends more than a few hundred of them."""
    async with many_watches() as (client, watches):
        await asyncio.sleep(1.0)
        closing = asyncio.create_task(client.aclose())
        before = 0
        while not closing.done():
            await asyncio.sleep(0)
            ended = sum(watch.done() for watch in watches)
            assert ended - before <= WATCHES_AT_ONCE
            before = ended
        assert before == MANY


@virtual
async def test_a_closing_that_is_canceled_halfway_ends_every_watch_all_the_same() -> None:
    """A caller who awaits one of thousands of watches is not left waiting."""
    async with many_watches() as (client, watches):
        await asyncio.sleep(1.0)
        closing = asyncio.create_task(client.aclose())
        for _ in range(2):
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        for watch in (watches[0], watches[-1]):
            with pytest.raises(ClientClosedError):
                await watch
