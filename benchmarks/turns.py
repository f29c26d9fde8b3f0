"""Clients that take turns: each a process of its own on the same core, all others standing still meanwhile."""

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
"""Seconds at the beginning of a turn that are not measured: while the others had theirs, whatever waits became due."""
SETTLING_PACED: Final = 1.0
"""The same for clients that are paced: it takes them longer to get over it."""
FIRST: Final = 2.0
"""How many times longer a client settles in its first turn. That turn was up to a third dearer than the later ones."""


@attrs.frozen
class Order:
    """What a client is to do."""

    url: str
    jobs: int
    rate: float
    paced: bool = False
    profile: str | None = None
    """Where to keep a profile of the last turn."""


@attrs.frozen
class Cost:
    """What it measured in one turn."""

    polls: int
    """Statuses that came in."""
    seconds: float
    cpu: float

    @property
    def per_poll(self) -> float:
        """CPU, µs."""
        return 1e6 * self.cpu / max(1, self.polls)

    @property
    def rate(self) -> float:
        """Polls a second."""
        return self.polls / self.seconds


async def message(pipe: Connection) -> None:
    """Wait until there is one, while all else goes on."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), there.set)
    await there.wait()
    loop.remove_reader(pipe.fileno())
    os.set_blocking(pipe.fileno(), True)  # uvloop leaves it otherwise


async def take_turns(pipe: Connection, order: Order, polls: Callable[[], int]) -> None:
    """Warm up, then work while it is our turn: a message begins it, the next one ends it, ``None`` ends all."""
    while polls() < order.jobs:  # noqa: ASYNC110  # clients of three makes, two of which tell nobody
        await asyncio.sleep(0.05)
    pipe.send("warm")
    settling = SETTLING_PACED if order.paced else SETTLING
    times = FIRST
    while pipe.recv() is not None:  # blocks the loop and all its clients: it is not our turn
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
    """Tasks that run while something else is done."""
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
    """Give each client a turn of so many seconds, ``rounds`` times over, and let all of them end."""
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
    """How much CPU a poll costs in polls of another client: the median of the ratios within each round."""
    return median([one.per_poll / other.per_poll for one, other in zip(costs, to, strict=True)])
