"""A hundred thousand watches in one process: what starting and holding them costs, and how long they block the loop.

Beside them, in a process of its own on the same core, as many tasks that sleep for the watches' gap, over and over:
both are measured in the same seconds. All watches have been answered once and nothing is due; the README's advice on
the collector of garbage is taken by both.
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
"""Seconds: the longest gap between two looks at a job, and so how long a watch is parked."""
WORTHLESS: Final = 1e9
"""A price that no look is worth: each waits for its longest gap."""
HOUR: Final = 3600.0
UNLIMITED: Final = 1e6


@attrs.frozen
class Held:
    """What one process measured while it did nothing."""

    seconds: float
    cpu: float
    timers: int
    """Set by the loop's ``call_at``."""

    @property
    def share(self) -> float:
        """Of a core."""
        return self.cpu / self.seconds


@attrs.frozen
class Crowd:
    """What a hundred thousand watches cost."""

    watches: int
    start: float
    """Seconds that starting them took."""
    start_cpu: float
    bytes_per_watch: float
    answer_cpu: float
    """CPU seconds for all of them to be answered once."""
    pauses: dict[str, Pause]
    """The longest, by what the watches were doing."""
    held: Held
    tasks: Held


@attrs.define
class _Timers:
    """Counts the timers that are set on a loop."""

    count: int = 0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count from now on."""
        call_at = loop.call_at

        def counted(when: float, callback: Callable[..., object], *args: Any, **context: Any) -> asyncio.TimerHandle:
            self.count += 1
            return call_at(when, callback, *args, **context)

        loop.call_at = counted  # type: ignore[method-assign,assignment]  # of this one loop


async def _hold(pipe: Connection) -> Held:
    """Do nothing from one message to the next."""
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
    """Tasks in a loop of sleeping, evenly spread over the gap."""

    async def sleep(first: float) -> None:
        await asyncio.sleep(first)
        while True:  # noqa: ASYNC110  # it waits for nothing
            await asyncio.sleep(GAP)

    async with at_work(*(sleep(GAP * number / count) for number in range(count))):
        await asyncio.sleep(0)
        gc.collect()
        gc.freeze()
        return await _hold(pipe)


async def hold_watches(pipe: Connection, url: str, count: int) -> dict[str, Any]:
    """Watches of jobs that are an hour old, looked at by themselves."""
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
            while statuses(client) < count:  # noqa: ASYNC110  # nobody tells when all have been
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
    """Start both, let them be for so many seconds, and end both."""
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
