"""The virtual-time loop: its four laws."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from topaz_status.testing import EPOCH, DeadlockError, VirtualLoop, run_virtual


def test_a_day_passes_at_once() -> None:
    """A sleep costs virtual time, exactly, and no real time."""

    async def sleep() -> float:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(sleep()) == 86_400.0
    assert time.monotonic() - began < 1.0


def test_timers_fire_in_order_and_never_early() -> None:
    """Each timer sees exactly the time that it was set for, however far ahead."""
    seen: list[tuple[float, float]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def fired(when: float) -> None:
            seen.append((when, loop.time()))

        for when in (3.3, 0.1, 1e9 + 0.1, 1e7 / 3, 0.1 + 0.2):
            loop.call_at(when, fired, when)
        await asyncio.sleep(2e9)

    run_virtual(main())
    assert [when for when, _ in seen] == [0.1, 0.1 + 0.2, 3.3, 1e7 / 3, 1e9 + 0.1]
    assert all(when == at for when, at in seen)


def test_time_stands_still_while_there_is_work() -> None:
    """Code that is ready to run sees no time pass between its steps."""

    async def main() -> set[float]:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, lambda: None)
        times = set()
        for _ in range(1000):
            await asyncio.sleep(0)
            times.add(loop.time())
        return times

    assert run_virtual(main()) == {0.0}


def test_wall_time_follows_the_virtual_clock() -> None:
    """Unix time is a fixed epoch plus virtual time: the same in every run."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        before = loop.wall_time()
        await asyncio.sleep(5.0)
        return before, loop.wall_time()

    assert run_virtual(main()) == (EPOCH, EPOCH + 5.0)
    assert run_virtual(main(), start=10.0, epoch=100.0) == (110.0, 115.0)


def test_a_deadlock_is_an_error_that_names_the_place() -> None:
    """A program that waits for what can never happen learns so, and where it waits."""

    async def stuck_here() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match=r"1 tasks wait: .*stuck_here"):
        run_virtual(stuck_here())


def test_timeouts_work() -> None:
    """A timeout ends a wait that would be for ever: its timer is what happens next."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 3600.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3600.0


def test_threads_are_really_waited_for() -> None:
    """While a thread works no virtual time passes, although a timer is set."""
    gate = threading.Event()

    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        tick = loop.call_later(0.001, lambda: None)
        threading.Timer(0.08, gate.set).start()
        await asyncio.to_thread(gate.wait)
        tick.cancel()
        return "done", loop.time()

    assert run_virtual(main()) == ("done", 0.0)


def test_a_foreign_thread_may_call_in() -> None:
    """call_soon_threadsafe wakes a loop that has nothing else to wait for."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        threading.Timer(0.02, loop.call_soon_threadsafe, (future.set_result, 7)).start()
        return await future

    assert run_virtual(main()) == 7


def test_it_cleans_up_like_asyncio_run() -> None:
    """Tasks left over are cancelled and their clean-up runs."""
    closed: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            closed.append("task")

    async def main() -> None:
        main.task = asyncio.create_task(background())  # type: ignore[attr-defined]
        await asyncio.sleep(1.0)

    run_virtual(main())
    assert closed == ["task"]


def test_repr_is_an_instrument() -> None:
    """The loop's repr shows its time, its timers and its jumps."""

    async def main() -> str:
        await asyncio.sleep(2.5)
        return repr(asyncio.get_running_loop())

    assert run_virtual(main()) == "<VirtualLoop time=2.500000 timers=0 jumps=1>"
