"""The memory of an idle watch, and twenty thousand watches at work.

The first part measures bytes per watch. Each figure comes from a fresh process, measured in two ways: by tracemalloc
(Python's own allocations, exact) and by the growth of resident memory (the system's view, in pages of 4 KiB).
Each watch is in one of two states:

- before its first answer: N watches are started at a server that accepts connections and never answers;
- with one answer: each of N watches has been answered "Processing" once and holds that status.

The library is ``client.image.watch(id)``. The figure includes the handle, the job's reference, its entry in the
schedule, its poller, its timeout and its last status. The last status is the body or, where the status was read, the
decoded value. "Awaited" adds one task of the caller per watch (``create_task(watch.result())``).
The plain loop (``plain.py``) is a task per job; its last status is the parsed JSON in the task's frame.
The figures exclude the caller's own ids and the lists of ids, handles and tasks.

The second part runs the same number of watches in one process to their end, with a simulator in another process.
Nothing may fail.

Example::

    python benchmarks/memory.py --watches 20000 --rate 2000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any, Final

import attrs
from canned import serve_canned
from common import (
    Child,
    in_child,
    peak_memory,
    progress,
    resident_memory,
    run_main,
    simulator_at,
    single_polls,
    spread,
    table,
)
from plain import PATHS, SLOTS, PlainClient, limiter, plain_session

from topaz_status import JobKind, JobRef, StatusClient
from topaz_status.testing import SimulatorProcess

UNLIMITED: Final = 1e6
HOUR: Final = 3600.0
SETTLE: Final = 0.2
SIGMA: Final = 0.6
MOST: Final = 100_000


@attrs.frozen
class Order:
    """The watches to start, and how to measure their memory."""

    url: str | None
    """The URL of a server that answers; ``None`` for a server that never does."""
    watches: int
    traced: bool


def _ids(count: int) -> list[str]:
    return [f"00000000-0000-4000-8000-{number:012x}" for number in range(count)]


@asynccontextmanager
async def _target(order: Order) -> AsyncIterator[str]:
    """Give the server's URL; a server that never answers is a socket that is never read."""
    if order.url is not None:
        yield order.url
        return
    with socket.create_server(("127.0.0.1", 0), backlog=SLOTS) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


class Scales:
    """Measures the memory allocated since the object was made."""

    def __init__(self, *, traced: bool) -> None:
        gc.collect()
        if traced:
            tracemalloc.start()
        self._read: Callable[[], int] = self._traced if traced else resident_memory
        self._before = self._read()

    def weigh(self) -> int:
        """Return the bytes allocated."""
        gc.collect()
        return self._read() - self._before

    @staticmethod
    def _traced() -> int:
        return tracemalloc.get_traced_memory()[0]


@asynccontextmanager
async def _client(url: str, order: Order) -> AsyncIterator[StatusClient]:
    async with StatusClient(
        topaz_api_key="sim",
        topaz_url=url,
        rate=UNLIMITED,
        burst=UNLIMITED,
        max_in_flight=SLOTS,
        request_timeout=HOUR,
        policy=single_polls(price=HOUR),
    ) as client:
        if order.url is not None:  # fill the pool, which is not part of a watch's memory
            await asyncio.gather(*(client.image.get(job) for job in _ids(2 * SLOTS)))
        yield client


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # no event reports it
        await asyncio.sleep(SETTLE)
    await asyncio.sleep(SETTLE)


async def weigh_watches(_pipe: Connection, order: Order) -> float:
    return await _weigh_library(order)


async def weigh_read(_pipe: Connection, order: Order) -> float:
    return await _weigh_library(order, read=True)


async def weigh_awaited(_pipe: Connection, order: Order) -> float:
    return await _weigh_library(order, awaited=True)


async def _weigh_library(order: Order, *, awaited: bool = False, read: bool = False) -> float:
    ids = _ids(order.watches)
    async with _target(order) as url, _client(url, order) as client:
        held: list[Any] = [None] * len(ids)
        tasks: list[Any] = [None] * len(ids)
        scales = Scales(traced=order.traced)
        for index, job in enumerate(ids):
            held[index] = client.image.watch(job)
            if awaited:
                tasks[index] = asyncio.create_task(held[index].result())
        await _until(lambda: _pollers() == len(ids))
        if order.url is not None:
            await _until(lambda: client.stats().total_requests >= len(ids) + 2 * SLOTS)
        if read:
            _statuses(held)
        weight = scales.weigh() / len(ids)
        tracemalloc.stop()
        assert order.url is None or None not in _statuses(held)
    await asyncio.gather(*filter(None, tasks), return_exceptions=True)
    return weight


def _pollers() -> int:
    """Count the coroutines of watches; a few hundred begin at a time."""
    return sum(task.get_name() == "topaz_status poller" for task in asyncio.all_tasks())


def _statuses(watches: list[Any]) -> list[Any]:
    return [watch.status for watch in watches]


async def weigh_plain(_pipe: Connection, order: Order) -> float:
    jobs = [JobRef(JobKind.IMAGE, job) for job in _ids(order.watches)]
    async with _target(order) as url, plain_session() as session:
        client = PlainClient(session, url, limiter(UNLIMITED, UNLIMITED), interval=HOUR)
        if order.url is not None:
            await asyncio.gather(*(client.poll(url + PATHS[JobKind.IMAGE].format(job)) for job in _ids(2 * SLOTS)))
        polls, tasks = client.polls, list[Any]([None] * len(jobs))
        scales = Scales(traced=order.traced)
        for index, job in enumerate(jobs):
            tasks[index] = asyncio.create_task(client.wait(job))
        await asyncio.sleep(SETTLE)
        if order.url is not None:
            await _until(lambda: client.polls - polls >= len(jobs))
        weight = scales.weigh() / len(jobs)
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return weight


COVERED: Final = {
    "library, a watch": weigh_watches,
    "library, its status read": weigh_read,
    "library, a watch awaited by a task": weigh_awaited,
    "plain loop, a task a job": weigh_plain,
}


def weigh(watches: int, show: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Measure the bytes per watch, by client, by state and by method."""
    found: dict[str, dict[str, float]] = {name: {} for name in COVERED}
    with Child(serve_canned) as server:
        url = server.receive()
        for name, work in COVERED.items():
            for state, target in (("unanswered", None), ("answered", url)):
                for method in ("tracemalloc", "rss"):
                    show(f"{name}, {state}, by {method}")
                    order = Order(target, watches, method == "tracemalloc")
                    found[name][f"{state}_{method}"] = in_child(work, order)
    return found


# -- all of them at work ----------------------------------------------------------------------------------------------


async def await_all(pipe: Connection, url: str, names: list[str], rate: float) -> dict[str, Any]:
    """Watch all jobs to their end and return the figures; meanwhile report progress to the parent."""
    held = resident_memory()
    errors: Counter[str] = Counter()
    ends: dict[str, float] = {}
    began, cpu, reported_at = time.monotonic(), time.process_time(), 0.0
    async with StatusClient(
        topaz_api_key="sim", topaz_url=url, rate=rate, burst=rate / 10, max_in_flight=2 * SLOTS
    ) as client:
        outcomes = client.as_completed(names)
        started = time.monotonic() - began
        async for outcome in outcomes:
            ends[str(outcome.job)] = time.monotonic()
            if outcome.error is not None:
                errors[type(outcome.error).__name__] += 1
            if time.monotonic() - reported_at > SETTLE:
                reported_at = time.monotonic()
                pipe.send(len(ends))
        stats = client.stats()
    wall = time.monotonic() - began
    return {
        "jobs": len(names),
        "ended": len(ends),
        "ends": ends,
        "start": started,
        "errors": dict(errors),
        "answers": {kind.value: dict(answers) for kind, answers in stats.requests.items() if answers},
        "requests": stats.total_requests,
        "requests_per_second": stats.total_requests / wall,
        "wall": wall,
        "cpu": time.process_time() - cpu,
        "cpu_us_per_request": 1e6 * (time.process_time() - cpu) / max(1, stats.total_requests),
        "peak_memory": peak_memory(),
        "own_memory": peak_memory() - held,
    }


def endure(arguments: argparse.Namespace, show: Callable[[str], None]) -> dict[str, Any]:
    """Run all watches to their end; return the cost and the lags with which the ends were detected."""
    simulator = SimulatorProcess(seed=arguments.seed, control_timeout=120.0)
    plan = {"kind": "image", "count": arguments.watches, "duration": {"lognormal": [arguments.median, SIGMA]}}
    with simulator_at(simulator) as url:
        names = simulator.add_jobs([plan])
        with Child(await_all, (url, names, arguments.rate)) as child:
            while not isinstance(found := child.receive(), dict):
                show(f"{found} of {len(names)} jobs done")
        truths, by_second = simulator.truths(), simulator.stats()["by_second"]
    found["busiest_second"] = max(by_second.values())
    ends = found.pop("ends")
    found["lag"] = spread([max(0.0, at - truths[job]["ends_at"]) for job, at in ends.items()])
    return dict(found)


# -- command line -----------------------------------------------------------------------------------------------------


def show_weights(weights: dict[str, dict[str, float]], watches: int) -> None:
    columns = ("unanswered_tracemalloc", "unanswered_rss", "answered_tracemalloc", "answered_rss")
    rows = [[name, *(f"{of[column]:,.0f}" for column in columns)] for name, of in weights.items()]
    print(f"bytes per idle watch, of {watches:,}\n")
    print(table(["", "unanswered, traced", "RSS", "answered once, traced", "RSS"], rows))


def show_endurance(of: dict[str, Any]) -> None:
    print(f"\n{of['jobs']:,} watches at work\n")
    rows = [
        ["ended", f"{of['ended']:,}"],
        ["errors", ", ".join(f"{count} {name}" for name, count in of["errors"].items()) or "none"],
        ["starting them all, s", f"{of['start']:.2f}"],
        ["requests", f"{of['requests']:,}"],
        ["requests/s, on average", f"{of['requests_per_second']:,.0f}"],
        ["requests in the busiest second", f"{of['busiest_second']:,}"],
        ["wall time, s", f"{of['wall']:.1f}"],
        ["CPU, s", f"{of['cpu']:.1f}"],
        ["CPU, µs a request", f"{of['cpu_us_per_request']:.0f}"],
        ["peak memory, MiB", f"{of['peak_memory'] / 2**20:.1f}"],
        ["  above its start, MiB", f"{of['own_memory'] / 2**20:.1f}"],
        *([f"detection lag, {name}, s", f"{seconds:.2f}"] for name, seconds in of["lag"].items()),
    ]
    print(table(["", "library"], rows))


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= MOST:
        raise argparse.ArgumentTypeError(f"from 1 to {MOST:,}")
    return count


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--watches", type=_count, default=20_000, help=f"number of watches, up to {MOST:,} (default: %(default)s)")
    add("--rate", type=float, default=2000.0, help="requests/s of the watches at work (default: %(default)s)")
    add("--median", type=float, default=12.0, help="median seconds of their jobs (default: %(default)s)")
    add("--seed", type=int, default=7, help="seed of ids and durations (default: %(default)s)")
    add("--only", choices=("weights", "work"), help="run one of the two parts")
    add("--json", action="store_true", help="print one line of JSON instead of the tables")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    with progress() as show:
        weights = None if arguments.only == "work" else weigh(arguments.watches, show)
        work = None if arguments.only == "weights" else endure(arguments, show)
    if arguments.json:
        print(json.dumps({"settings": vars(arguments), "bytes_per_watch": weights, "at_work": work}))
        return
    if weights:
        show_weights(weights, arguments.watches)
    if work:
        show_endurance(work)


if __name__ == "__main__":
    sys.exit(run_main(main))
