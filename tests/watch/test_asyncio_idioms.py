"""Watches among asyncio's own tools: each idiom works, on any task factory, and a wrong one says what is right."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from harness import SINGLY, client_of, options, real, settle, virtual

from topaz_status import (
    ClientClosedError,
    JobFailedError,
    JobRef,
    MemoryStore,
    StatusClient,
    WatchCanceledError,
)
from topaz_status.testing import Simulator
from topaz_status.watch import Watch

EAGER = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager task factories came with Python 3.12")
NO_COROUTINE = r": it is an awaitable, not a coroutine; pass watch\.result\(\)(?!.*ensure_future)"
NO_FUTURE = r": it is an awaitable, not a future; pass asyncio\.ensure_future\(watch\)(?!.*result)"


def make_eager() -> None:
    """Have tasks of the running loop begin within the call that makes them."""
    factory: Any = vars(asyncio)["eager_task_factory"]
    asyncio.get_running_loop().set_task_factory(factory)


# -- the idioms -------------------------------------------------------------------------------------------------------


async def _task_group(watch: Watch[Any]) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.result())
    return task.result()


async def _wait(watch: Watch[Any]) -> Any:
    done, _ = await asyncio.wait({asyncio.create_task(watch.result())}, timeout=60)
    return done.pop().result()


async def _wait_of_futures(watch: Watch[Any]) -> Any:
    done, _ = await asyncio.wait([asyncio.ensure_future(watch)])
    return done.pop().result()


async def _timeout(watch: Watch[Any]) -> Any:
    async with asyncio.timeout(60):
        return await watch


async def _gather(watch: Watch[Any]) -> Any:
    first, second = await asyncio.gather(watch, watch.result())
    assert first is second
    return first


async def _as_completed(watch: Watch[Any]) -> Any:
    first = next(iter(asyncio.as_completed([watch], timeout=60)))
    return await first


async def _create_task(watch: Watch[Any]) -> Any:
    return await asyncio.create_task(watch.result())


IDIOMS: list[Callable[[Watch[Any]], Awaitable[Any]]] = [
    _task_group,
    _wait,
    _wait_of_futures,
    _timeout,
    _gather,
    _as_completed,
    _create_task,
    lambda watch: asyncio.wait_for(watch, 60),
    asyncio.shield,
    lambda watch: asyncio.shield(watch.result()),
    asyncio.ensure_future,
]


@pytest.mark.parametrize("eager", [False, pytest.param(True, marks=EAGER)])
@pytest.mark.parametrize("idiom", IDIOMS)
def test_each_idiom_gives_the_status(idiom: Callable[[Watch[Any]], Awaitable[Any]], *, eager: bool) -> None:
    """Before the end of the job and after it; a failure is raised as by awaiting the watch."""

    @virtual
    async def play() -> None:
        if eager:
            make_eager()
        simulator = Simulator(seed=1)
        good, bad = simulator.add_image(duration=5.0), simulator.add_image(duration=5.0, outcome="failed")
        async with client_of(simulator) as client:
            watch = client.watch(good)
            assert (await idiom(watch)).state == "completed"
            assert (await idiom(watch)).state == "completed"
            with pytest.raises((JobFailedError, ExceptionGroup)) as caught:
                await idiom(client.watch(bad))
            error = caught.value
            assert isinstance(error.exceptions[0] if isinstance(error, ExceptionGroup) else error, JobFailedError)

    play()


@virtual
async def test_a_time_limit_ends_the_waiting_alone() -> None:
    """By ``wait_for``, ``timeout`` or ``wait``: the watch goes on, and may be awaited again."""
    simulator = Simulator(seed=1)
    async with client_of(simulator) as client:
        watch = client.watch(simulator.add_image(duration=30.0))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch, 1.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await watch
        task = asyncio.create_task(watch.result())
        _, pending = await asyncio.wait({task}, timeout=1.0)
        assert pending == {task}
        task.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(watch), 1.0)
        assert not watch.done()
        assert (await watch).state == "completed"


@virtual
async def test_a_group_that_fails_lets_go_of_the_other_waits() -> None:
    """The watches themselves go on until they are dropped."""
    simulator = Simulator(seed=1)
    async with client_of(simulator) as client:
        slow = client.watch(simulator.add_image(duration=500.0))
        bad = client.watch(simulator.add_image(duration=1.0, outcome="failed"))
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                waits = [group.create_task(watch.result()) for watch in (slow, bad)]
        assert [type(error) for error in caught.value.exceptions] == [JobFailedError]
        assert waits[0].cancelled()
        assert not slow.done()
        assert (await slow).state == "completed"


# -- the wrong way ----------------------------------------------------------------------------------------------------


async def _wrong_group(watch: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(watch)


async def _wrong_run(watch: Any) -> None:
    await asyncio.to_thread(asyncio.run, watch)


async def _wrong_task(watch: Any) -> None:
    await asyncio.create_task(watch)


async def _wrong_loop_task(watch: Any) -> None:
    await asyncio.get_running_loop().create_task(watch)


async def _wrong_wait(watch: Any) -> None:
    await asyncio.wait([watch])


@pytest.mark.parametrize("eager", [False, pytest.param(True, marks=EAGER)])
@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (_wrong_group, NO_COROUTINE),
        (_wrong_run, NO_COROUTINE),
        (_wrong_task, NO_COROUTINE),
        (_wrong_loop_task, NO_COROUTINE),
        (_wrong_wait, NO_FUTURE),
    ],
)
def test_the_error_of_a_wrong_way_says_what_is_right(
    wrong: Callable[[Any], Coroutine[Any, Any, None]], hint: str, *, eager: bool
) -> None:
    """A coroutine where one is wanted, a future where that is, and not the one that would fail as well."""
    if wrong is _wrong_run and sys.version_info >= (3, 14):
        pytest.skip("from Python 3.14 on, asyncio.run takes any awaitable")

    @real
    async def play() -> None:
        if eager:
            make_eager()
        simulator = Simulator(seed=1)
        async with client_of(simulator) as client:
            watch = client.watch(simulator.add_image(duration=50.0))
            with pytest.raises((TypeError, ValueError, AttributeError, ExceptionGroup)) as caught:
                await wrong(watch)
            error = caught.value
            error = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            with pytest.raises(type(error), match=hint):
                raise error

    play()


@virtual
async def test_the_hint_is_nowhere_else() -> None:
    """A ``repr`` stays short, and any other attribute is simply not there."""
    simulator = Simulator(seed=1)
    async with client_of(simulator) as client:
        job = simulator.add_image(duration=50.0)
        watch: Any = client.watch(job)
        assert repr(watch) == str(watch) == f"<Watch {job} new>"
        with pytest.raises(AttributeError, match=r"^'Watch' object has no attribute 'resutl'$"):
            _ = watch.resutl
        assert not hasattr(watch, "add_done_callback")
        assert not asyncio.isfuture(watch)
        assert not asyncio.iscoroutine(watch)


# -- tasks that begin at once -----------------------------------------------------------------------------------------


def eagerly(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test under the eager task factory: in virtual time, then in real time in asyncio's debug mode."""

    async def play() -> None:
        make_eager()
        await test()

    def run() -> None:
        virtual(play)()
        real(play)()

    run.__doc__, run.__name__ = test.__doc__, test.__name__
    marked: Callable[[], None] = EAGER(run)
    return marked


def _fleet(simulator: Simulator) -> list[JobRef]:
    return [simulator.add_image(duration=0.05 * n) for n in range(1, 6)]


@eagerly
async def test_fleets_end_as_ever_under_an_eager_factory() -> None:
    """``gather``, ``outcomes`` and ``as_completed``, of lists and of async iterables that never wait."""
    simulator = Simulator(seed=1)
    async with client_of(simulator) as client:
        assert len(await client.gather(_fleet(simulator))) == 5
        assert not [one for one in await client.outcomes(_fleet(simulator)) if one.error is not None]

        async def jobs() -> AsyncIterator[JobRef]:
            for job in _fleet(simulator):
                yield job

        assert len([outcome.job async for outcome in client.as_completed(jobs())]) == 5


@eagerly
async def test_durable_watches_are_resumed_under_an_eager_factory() -> None:
    """From one client to the next."""
    simulator, store = Simulator(seed=1), MemoryStore()
    jobs = _fleet(simulator)
    async with client_of(simulator, store=store) as client:
        for job in jobs:
            client.watch(job)
    async with client_of(simulator, store=store) as client:
        assert {outcome.job async for outcome in client.resume()} == set(jobs)


@eagerly
async def test_leaving_is_orderly_under_an_eager_factory() -> None:
    """Canceled waits, dropped handles and a client that closes meanwhile; whatever is left is a failure."""
    simulator = Simulator(seed=1)
    stuck = [simulator.add_image(stuck=True) for _ in range(5)]
    async with client_of(simulator) as client:
        watches = [client.watch(job) for job in stuck]
        tasks = [asyncio.create_task(watch.result()) for watch in watches]
        await settle()
        tasks[0].cancel()
        watches[1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]
        with pytest.raises(WatchCanceledError):
            await tasks[1]
        assert not watches[0].done()
    for task in tasks[2:]:
        with pytest.raises(ClientClosedError):
            await task


@eagerly
async def test_a_poll_that_fails_at_once_keeps_to_slots_and_budget_under_an_eager_factory() -> None:
    """Though it would begin, and end, within the very step that grants it."""
    session = aiohttp.ClientSession()
    await session.close()
    settings = options(session=session, topaz_url="http://127.0.0.1:9", rate=1.0, burst=3.0, policy=SINGLY)
    async with StatusClient(**settings) as client:
        for number in range(6):
            client.image.watch(f"job{number}")
        await settle()
        stats = client.stats()
        assert stats.in_flight == 0
        assert stats.tokens >= -1e-6
        assert stats.peak_in_flight <= 3
