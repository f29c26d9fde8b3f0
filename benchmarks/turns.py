"""Clients that take turns: each is a process of its own on the same core, and all others stand still meanwhile."""

from __future__ import annotations

import asyncio
import cProfile
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

import attrs
from common import Child, median

K = TypeVar("K")

SETTLING: Final = 0.25
"""Seconds at a turn's beginning that are not measured: waiting polls became due during the other clients' turns."""
SETTLING_PACED: Final = 1.0
"""The same for paced clients, which need longer for it."""
FIRST: Final = 2.0
"""Factor by which a client settles longer in its first turn. That turn cost up to a third more than later ones."""


@attrs.frozen
class Order:
    """The work for a client."""

    url: str
    jobs: int
    rate: float
    paced: bool = False
    profile: str | None = None
    """The file for a profile of the last turn."""


@attrs.frozen
class Cost:
    """A client's figures of one turn."""

    polls: int
    """Statuses received."""
    seconds: float
    cpu: float

    @property
    def per_poll(self) -> float:
        """CPU of one poll, in µs."""
        return 1e6 * self.cpu / max(1, self.polls)

    @property
    def rate(self) -> float:
        """Polls per second."""
        return self.polls / self.seconds


async def message(pipe: Connection) -> None:
    """Wait until a message has arrived, without blocking the loop."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), there.set)
    await there.wait()
    loop.remove_reader(pipe.fileno())
    os.set_blocking(pipe.fileno(), True)  # uvloop leaves it non-blocking


async def take_turns(pipe: Connection, order: Order, polls: Callable[[], int]) -> None:
    """Warm up, then work in turns: one message begins a turn, the next one ends it, ``None`` ends all turns."""
    while polls() < order.jobs:  # noqa: ASYNC110  # two of the three client types have no event for it
        await asyncio.sleep(0.05)
    pipe.send("warm")
    settling = SETTLING_PACED if order.paced else SETTLING
    times = FIRST
    while pipe.recv() is not None:  # blocks the loop and its clients during the other clients' turns
        await asyncio.sleep(times * settling)
        times = 1.0
        pipe.send("settled")
        began, cpu, before = time.perf_counter(), time.process_time(), polls()
        with _profiled(order.profile):
            await message(pipe)
        pipe.recv()
        pipe.send(Cost(polls() - before, time.perf_counter() - began, time.process_time() - cpu))


@contextmanager
def _profiled(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    profile = cProfile.Profile()
    with profile:
        yield
    profile.dump_stats(path)


@asynccontextmanager
async def at_work(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Run tasks during the context."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def take_rounds(
    clients: Mapping[K, Child], rounds: int, seconds: float, show: Callable[[str], None]
) -> dict[K, list[Cost]]:
    """Give each client a turn of ``seconds``, ``rounds`` times, then end all clients."""
    costs: dict[K, list[Cost]] = {name: [] for name in clients}
    for turn in range(rounds):
        show(f"round {turn + 1} of {rounds}")
        for name, client in clients.items():
            client.send("begin")
            client.receive()
            time.sleep(seconds)
            client.send("end")
            costs[name].append(client.receive())
    for client in clients.values():
        client.send(None)
    return costs


def ratio(costs: Sequence[Cost], to: Sequence[Cost]) -> float:
    """Return the CPU of a poll divided by that of another client: the median of the ratios within each round."""
    return median([one.per_poll / other.per_poll for one, other in zip(costs, to, strict=True)])
