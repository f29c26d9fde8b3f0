"""What one poll costs in CPU: the library, a bare aiohttp loop, and the engine that people write by hand.

A loopback server that is many times faster than any client answers status requests from a core of its own. The clients
are processes on another core that take turns of ``--slice`` seconds, all others standing still meanwhile, so that what
else the machine does hits all alike. Each keeps at most 32 requests on the wire, over the same 5,000 image jobs, none
of which ends, and is measured once every job has been looked at:

- bare:    32 loops of ``async with session.get(url) as response: await response.json()``, and nothing else;
- naive:   a task a job, asyncio.Semaphore, aiolimiter, ``response.json()``, cattrs, ``asyncio.sleep``;
- library: ``StatusClient`` with 5,000 watches, single looks, always more due than may go.

Measured twice: as fast as each can, and paced at ``--rate`` requests a second (the bare loops pace themselves by
``asyncio.sleep``). A paced client meets each answer alone and so pays for more turns of its loop. CPU is the process's
own, in µs a poll; figures are medians over the rounds, ratios medians of the ratios within each round. All of it is
done ``--sittings`` times with fresh processes: where glibc puts asyncio's buffers of 256 KiB is luck, for a process's
life, and worth 10 %.

Example::

    python benchmarks/engine.py --sittings 3 --rounds 20
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

import attrs
import cattrs
from canned import serve_canned
from common import Child, median, progress, run_main, single_looks, table, two_cores
from plain import PATHS, SLOTS, PlainClient, limiter, plain_session

from topaz_status import JobKind, JobRef, StatusClient

UNLIMITED: Final = 1e6
"""Requests a second that nobody reaches."""
EAGER: Final = 0.25
"""Seconds between two looks at a job, of the library and the naive engine: more than the rate allows is always due."""
MODES: Final = ("flat out", "paced")


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
    """What it measured in one turn, or in all of them."""

    polls: int
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


def _jobs(count: int) -> list[JobRef]:
    return [JobRef(JobKind.IMAGE, f"00000000-0000-4000-8000-{number:012x}") for number in range(count)]


async def _message(pipe: Connection) -> None:
    """Wait until there is one, while all else goes on."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), there.set)
    await there.wait()
    loop.remove_reader(pipe.fileno())


@contextmanager
def _profiled(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    profile = cProfile.Profile()
    with profile:
        yield
    profile.dump_stats(path)


async def _take_turns(pipe: Connection, order: Order, polls: Callable[[], int]) -> None:
    """Warm up, then work while it is our turn: a message begins it, the next one ends it, ``None`` ends all."""
    while polls() < order.jobs:  # noqa: ASYNC110  # clients of three makes, two of which tell nobody
        await asyncio.sleep(0.05)
    pipe.send("warm")
    while pipe.recv() is not None:  # blocks the loop and all its clients: it is not our turn
        began, cpu, before = time.perf_counter(), time.process_time(), polls()
        with _profiled(order.profile):
            await _message(pipe)
        pipe.recv()
        pipe.send(Cost(polls() - before, time.perf_counter() - began, time.process_time() - cpu))


@asynccontextmanager
async def _at_work(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_bare(pipe: Connection, order: Order) -> None:
    """The floor."""
    polls = 0
    urls = [order.url + PATHS[job.kind].format(job.id) for job in _jobs(order.jobs)]
    loop = asyncio.get_running_loop()

    async def work(first: int) -> None:
        nonlocal polls
        at = loop.time() + first / order.rate
        while True:
            for url in urls[first::SLOTS]:
                if order.paced:
                    at = max(at + SLOTS / order.rate, loop.time())
                    await asyncio.sleep(at - loop.time())
                async with session.get(url) as response:
                    await response.json()
                polls += 1

    async with plain_session() as session, _at_work(*(work(first) for first in range(SLOTS))):
        await _take_turns(pipe, order, lambda: polls)


@attrs.define
class NaiveStatus:
    """An image's status, as one writes it down from the documents."""

    process_id: str
    filename: str
    input_format: str
    input_height: int
    input_width: int
    output_format: str
    output_height: int
    output_width: int
    category: str
    model_type: str
    model: str
    crop_to_fill: bool
    status: str
    progress: float
    eta: float
    creation_time: float
    modification_time: float
    credits: float
    subject_detection: str | None = None
    face_enhancement: bool | None = None
    options_json: str | None = None


async def run_naive(pipe: Connection, order: Order) -> None:
    """The engine that people write by hand."""
    async with plain_session() as session:
        client = PlainClient(
            session,
            order.url,
            limiter(order.rate, SLOTS),
            interval=EAGER,
            decode=lambda body: cattrs.structure(body, NaiveStatus),
        )
        async with _at_work(*(client.wait(job) for job in _jobs(order.jobs))):
            await _take_turns(pipe, order, lambda: client.looks)


async def run_library(pipe: Connection, order: Order) -> None:
    """The library."""
    policy = single_looks(price=0.001, min_interval=EAGER, max_interval=EAGER)
    async with StatusClient(
        topaz_api_key="sim", topaz_url=order.url, rate=order.rate, burst=SLOTS, max_in_flight=SLOTS, policy=policy
    ) as client:
        watches = [client.watch(job) for job in _jobs(order.jobs)]
        await _take_turns(pipe, order, lambda: client.stats().total_requests)
        assert not any(watch.done() for watch in watches)


CLIENTS: Final = {"bare": run_bare, "naive": run_naive, "library": run_library}


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, list[Cost]]]:
    """All turns: by mode and client."""
    server_core, client_core = two_cores()
    with Child(serve_canned, (), server_core) as server, progress() as show:
        url = server.receive()
        found: dict[str, dict[str, list[Cost]]] = {mode: {name: [] for name in CLIENTS} for mode in MODES}
        for sitting in range(arguments.sittings):
            for mode in MODES:
                rate = arguments.rate if mode == "paced" else UNLIMITED
                order = Order(url, arguments.jobs, rate, paced=mode == "paced")
                told = partial(_show, show, f"sitting {sitting + 1} of {arguments.sittings}, {mode}")
                for name, costs in _sit(order, arguments, client_core, told).items():
                    found[mode][name] += costs
        return found


def _sit(
    order: Order, arguments: argparse.Namespace, core: int | None, show: Callable[[str], None]
) -> dict[str, list[Cost]]:
    """Fresh processes, warmed up one after the other, then all the rounds."""
    with ExitStack() as stack:
        clients = {}
        for name, work in CLIENTS.items():
            show(f"{name} warms up")
            clients[name] = stack.enter_context(Child(work, (order,), core))
            clients[name].receive()
        return _rounds(clients, arguments, show)


def _show(show: Callable[[str], None], mode: str, text: str) -> None:
    show(f"{mode}: {text}")


def _rounds(
    clients: dict[str, Child], arguments: argparse.Namespace, show: Callable[[str], None]
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in clients}
    for turn in range(arguments.rounds):
        show(f"round {turn + 1} of {arguments.rounds}")
        for name, client in clients.items():
            client.send("begin")
            time.sleep(arguments.slice)
            client.send("end")
            costs[name].append(client.receive())
    for client in clients.values():
        client.send(None)
    return costs


def ratio(costs: dict[str, list[Cost]], name: str, to: str) -> float:
    """How much CPU a poll of one client costs in polls of another."""
    return median([one.per_poll / other.per_poll for one, other in zip(costs[name], costs[to], strict=True)])


def report(found: dict[str, dict[str, list[Cost]]]) -> dict[str, Any]:
    """The figures."""
    return {
        mode: {
            name: {
                "cpu_us_per_poll": median([cost.per_poll for cost in rounds]),
                "polls_per_second": median([cost.rate for cost in rounds]),
                "to_bare": ratio(costs, name, "bare"),
                "to_naive": ratio(costs, name, "naive"),
                "best_cpu_us_per_poll": min(cost.per_poll for cost in rounds),
            }
            for name, rounds in costs.items()
        }
        for mode, costs in found.items()
    }


def show_table(figures: dict[str, Any]) -> None:
    rows = [
        [
            f"{name}, {mode}",
            f"{of['cpu_us_per_poll']:.0f}",
            f"{of['best_cpu_us_per_poll']:.0f}",
            f"{of['polls_per_second']:,.0f}",
            f"{of['to_bare']:.2f}x",
            f"{of['to_naive']:.2f}x",
        ]
        for mode, clients in figures.items()
        for name, of in clients.items()
    ]
    print(table(["client", "CPU µs/poll", "at best", "polls/s", "to bare", "to naive"], rows))


def profile(arguments: argparse.Namespace) -> None:
    """Where the library's time goes, by cProfile; its own cost is on top, and falls on small functions."""
    server_core, client_core = two_cores()
    with Child(serve_canned, (), server_core) as server:
        order = Order(server.receive(), arguments.jobs, UNLIMITED, profile=arguments.profile)
        with Child(run_library, (order,), client_core) as client:
            client.receive()
            client.send("begin")
            time.sleep(arguments.rounds * arguments.slice)
            client.send("end")
            client.receive()
            client.send(None)
            client.receive()
    pstats.Stats(arguments.profile).sort_stats("tottime").print_stats(40)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each client a sitting (default: %(default)s)")
    parser.add_argument("--sittings", type=int, default=3, help="each with fresh processes (default: %(default)s)")
    parser.add_argument("--slice", type=float, default=0.25, help="seconds of a turn (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=5000, help="jobs watched (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2000.0, help="requests/s when paced (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of the table")
    parser.add_argument("--profile", metavar="FILE", help="profile the library instead, and keep the profile there")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.profile:
        profile(arguments)
        return
    figures = report(measure(arguments))
    if arguments.json:
        print(json.dumps({"settings": vars(arguments), "clients": figures}))
    else:
        show_table(figures)


if __name__ == "__main__":
    sys.exit(run_main(main))
