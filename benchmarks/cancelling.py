"""The cost of canceling thousands of watches in random order, compared with plain tasks that await futures.

The figure is the CPU of one cancel, from the first call until every task behind the watches has ended. All watches
have been answered before, by single polls or by pages of the list; then canceling removes them from the page's group.
Large and small crowds are canceled in turn; several small batches make up the number of the large one.
The ratio shows any cost that grows with the number of watches.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing.connection import Connection
from typing import Final

import attrs
from canned import canned_ids
from common import median
from engines import statuses
from plain import SLOTS

from topaz_status import PollPolicy, StatusClient

FEW: Final = 1_000
MANY: Final = 10_000
UNLIMITED: Final = 1e6
PAGES_A_SECOND: Final = 100.0
"""A rate low enough that the library reads pages: polling every job singly would take minutes."""
TURNS: Final = 5
"""Turns of the loop after which a canceled task has ended."""
CALM: Final = 0.1
MINUTE: Final = 60.0
KINDS: Final = ("tasks", "singles", "pages")

Cancel = Callable[[], object]


@attrs.frozen
class Cancels:
    """CPU of one cancel in µs: medians over the rounds."""

    few: float
    many: float
    growth: float
    """The cost of one cancel among many, divided by that among few: the median of the ratios within each round."""


@asynccontextmanager
async def _tasks(count: int) -> AsyncIterator[list[Cancel]]:
    loop = asyncio.get_running_loop()

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    tasks = [asyncio.create_task(wait(loop.create_future())) for _ in range(count)]
    await asyncio.sleep(0)
    yield [task.cancel for task in tasks]
    await asyncio.gather(*tasks, return_exceptions=True)


def _policy(kind: str) -> PollPolicy:
    """Make a policy that polls no job a second time while the watches are canceled."""
    return PollPolicy(price=0.001, min_interval=MINUTE, max_interval=300.0, sweep=kind == "pages")


@asynccontextmanager
async def _watches(kind: str, url: str, count: int) -> AsyncIterator[list[Cancel]]:
    rate = PAGES_A_SECOND if kind == "pages" else UNLIMITED
    async with StatusClient(
        topaz_api_key="sim", topaz_url=url, rate=rate, burst=SLOTS, max_in_flight=SLOTS, policy=_policy(kind)
    ) as client:
        submitted_at = time.time() - MINUTE
        watches = [client.image.watch(job, submitted_at=submitted_at) for job in canned_ids(count)]
        while any(watch.status is None for watch in watches) or client.stats().in_flight:  # noqa: ASYNC110  # no event reports that all were answered
            await asyncio.sleep(CALM)
        assert statuses(client) >= count
        assert kind == "singles" or client.stats().swept_statuses >= count // 2
        yield [watch.cancel for watch in watches]
        assert all(watch.done() for watch in watches)


async def _batches(kind: str, url: str, count: int, batches: int, dice: random.Random) -> float:
    """Measure the CPU of one cancel in µs, with ``count`` watches at a time."""
    async with AsyncExitStack() as stack:
        held = [_tasks(count) if kind == "tasks" else _watches(kind, url, count) for _ in range(batches)]
        crowds = await asyncio.gather(*map(stack.enter_async_context, held))
        for crowd in crowds:
            dice.shuffle(crowd)
        gc.collect()
        gc.freeze()
        cpu = time.process_time()
        for crowd in crowds:
            for cancel in crowd:
                cancel()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        return 1e6 * (time.process_time() - cpu) / (count * batches)


async def measure_cancels(pipe: Connection, url: str, rounds: int, seed: int = 7) -> dict[str, Cancels]:
    """Cancel each kind in each round. The parent receives a line of progress before each step."""
    dice = random.Random(seed)
    costs: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for turn in range(rounds):
        for kind in KINDS:
            pipe.send(f"round {turn + 1} of {rounds}, {kind}")
            few = await _batches(kind, url, FEW, MANY // FEW, dice)
            many = await _batches(kind, url, MANY, 1, dice)
            costs[kind].append((few, many))
    return {
        kind: Cancels(
            median([few for few, _ in pairs]),
            median([many for _, many in pairs]),
            median([many / few for few, many in pairs]),
        )
        for kind, pairs in costs.items()
    }
