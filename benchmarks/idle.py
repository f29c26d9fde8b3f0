"""A hundred thousand watches in one process: the cost of starting and holding them, and how long they block the loop.

A second process on the same core runs as many tasks, which sleep for the watches' gap again and again.
Both processes are measured in the same seconds. By then all watches have been answered once and no poll is due.
Both processes follow the README's advice on the garbage collector.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, Final

import attrs
from canned import canned_ids
from common import Child, resident_memory
from engines import statuses
from plain import SLOTS
from pulse import Pause, Pulse
from turns import at_work, message

from topaz_status import PollPolicy, StatusClient

GAP: Final = 300.0
"""Seconds: the longest gap between two polls of a job, and so the time for which a watch is idle."""
WORTHLESS: Final = 1e9
"""A price above the worth of any poll: each poll waits for its longest gap."""
HOUR: Final = 3600.0
UNLIMITED: Final = 1e6


@attrs.frozen
class Held:
    """The figures of one process while it did nothing."""

    seconds: float
    cpu: float
    timers: int
    """Timers set with the loop's ``call_at``."""

    @property
    def share(self) -> float:
        """The share of a core that the process used."""
        return self.cpu / self.seconds


@attrs.frozen
class Crowd:
    """The cost of a hundred thousand watches."""

    watches: int
    start: float
    """Seconds that starting the watches took."""
    start_cpu: float
    bytes_per_watch: float
    answer_cpu: float
    """CPU seconds until every watch was answered once."""
    pauses: dict[str, Pause]
    """The longest pauses, by what the watches were doing."""
    held: Held
    tasks: Held


@attrs.define
class _Timers:
    """Counts the timers set on a loop."""

    count: int = 0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count from now on."""
        call_at = loop.call_at

        def counted(when: float, callback: Callable[..., object], *args: Any, **context: Any) -> asyncio.TimerHandle:
            self.count += 1
            return call_at(when, callback, *args, **context)

        loop.call_at = counted  # type: ignore[method-assign,assignment]  # replaces the method of this one loop


async def _hold(pipe: Connection) -> Held:
    """Do nothing from one message to the next, and return the figures."""
    timers = _Timers()
    timers.watch(asyncio.get_running_loop())
    pipe.send("ready")
    await message(pipe)
    pipe.recv()
    began, cpu, before = time.perf_counter(), time.process_time(), timers.count
    await message(pipe)
    pipe.recv()
    return Held(time.perf_counter() - began, time.process_time() - cpu, timers.count - before)


async def hold_tasks(pipe: Connection, count: int) -> Held:
    """Hold tasks that sleep in a loop, spread evenly over the gap."""

    async def sleep(first: float) -> None:
        await asyncio.sleep(first)
        while True:  # noqa: ASYNC110  # the task waits for no event
            await asyncio.sleep(GAP)

    async with at_work(*(sleep(GAP * number / count) for number in range(count))):
        await asyncio.sleep(0)
        gc.collect()
        gc.freeze()
        return await _hold(pipe)


async def hold_watches(pipe: Connection, url: str, count: int) -> dict[str, Any]:
    """Hold watches of jobs that are an hour old, polled one by one."""
    ids, submitted_at = canned_ids(count), time.time() - HOUR
    policy = PollPolicy(price=WORTHLESS, min_interval=0.25, max_interval=GAP, sweep=False)
    client = StatusClient(
        topaz_api_key="sim", topaz_url=url, rate=UNLIMITED, burst=SLOTS, max_in_flight=SLOTS, policy=policy
    )
    gc.set_threshold(50_000, 20, 20)
    async with client:
        memory = resident_memory()
        with Pulse() as pulse:
            began, cpu = time.perf_counter(), time.process_time()
            watches = [client.image.watch(job, submitted_at=submitted_at) for job in ids]
            start, start_cpu = time.perf_counter() - began, time.process_time() - cpu
            pulse.begin()
            for _ in range(3):
                await asyncio.sleep(0.01)
            pauses = {"starting": pulse.pause()}
            gc.collect()
            gc.freeze()
            for job in ids:
                client.notify("image:" + job)
            cpu = time.process_time()
            pulse.begin()
            pulse.pause()
            while statuses(client) < count:  # noqa: ASYNC110  # no event reports that all were answered
                await asyncio.sleep(0.05)
            pauses["being answered"] = pulse.pause()
            answer_cpu = time.process_time() - cpu
        weight = (resident_memory() - memory) / count
        gc.collect()
        gc.freeze()
        held = await _hold(pipe)
        assert not any(watch.done() or watch.status is None for watch in watches)
        with Pulse() as pulse:
            await client.aclose()
            pauses["being closed"] = pulse.pause()
    return {
        "watches": count,
        "start": start,
        "start_cpu": start_cpu,
        "bytes_per_watch": weight,
        "answer_cpu": answer_cpu,
        "pauses": pauses,
        "held": held,
    }


def measure_crowd(
    url: str, count: int, seconds: float, core: int | None, *, uvloop: bool, show: Callable[[str], None]
) -> Crowd:
    """Start both processes, let them idle for ``seconds``, and end both."""
    with ExitStack() as stack:
        show(f"{count:,} watches start, and are answered once")
        ours = stack.enter_context(Child(hold_watches, (url, count), core, uvloop))
        ours.receive()
        show(f"{count:,} tasks start")
        tasks = stack.enter_context(Child(hold_tasks, (count,), core, uvloop))
        tasks.receive()
        show(f"{count:,} watches do nothing")
        for child in (ours, tasks):
            child.send("begin")
        time.sleep(seconds)
        for child in (ours, tasks):
            child.send("end")
        slept = tasks.receive()
        show(f"{count:,} watches are closed")
        return Crowd(**ours.receive(), tasks=slept)
