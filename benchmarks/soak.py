"""A soak test: watches begin and end for a given time, under every kind of fault. Does anything grow?

The client uses real sockets; its simulator runs in a process of its own. Every second new jobs are submitted. They are
watched in every way: awaited, iterated, collected, abandoned half-way, timed out, canceled, and got directly.
One request in ten meets a fault. After a warm-up and after each round, the client comes to rest. Then the benchmark
counts tasks, file handles, sockets, objects and memory. The exit code is 1 if the last count exceeds the first one.

Examples::

    python benchmarks/soak.py
    python benchmarks/soak.py --minutes 60 --watches 5000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import sys
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from common import be_quiet, progress, resident_memory, run_main, simulator_at, table

from topaz_status import JobRef, PollPolicy, StatusClient, TopazStatusError
from topaz_status.testing import SimulatorProcess

ROUNDS: Final = 3
"""Counts at rest: one after the warm-up, the others after equal spans."""
CONNECTIONS: Final = 32
"""Most connections in the pool; more open connections up to this number do not count as growth."""
MEBIBYTE: Final = 1 << 20
FAULTS: Final = ("503", "reset", "truncated", "malformed", "hang", "429", "html", "unknown_word", "slow", "empty_page")


@attrs.frozen(kw_only=True)
class Count:
    """What the process holds at rest."""

    watches: int
    """Watches begun so far."""
    tasks: int
    handles: int
    """Open files, sockets included."""
    sockets: int
    objects: int
    """Objects that the garbage collector tracks."""
    allocated: int
    """Bytes allocated by Python."""
    resident: int
    """Bytes of resident memory."""

    @classmethod
    def take(cls, watches: int) -> Count:
        """Collect the garbage, then count."""
        gc.collect()
        names = _open_files()
        return cls(
            watches=watches,
            tasks=len(asyncio.all_tasks()),
            handles=len(names),
            sockets=sum(name.startswith("socket:") for name in names),
            objects=len(gc.get_objects()),
            allocated=tracemalloc.get_traced_memory()[0],
            resident=resident_memory(),
        )


def _open_files() -> list[str]:
    """Return the names of this process's open files; an empty list where the system does not report them."""
    names = []
    with contextlib.suppress(OSError):
        for path in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                names.append(str(path.readlink()))
    return names


LIMITS: Final = {"tasks": 0, "handles": CONNECTIONS, "sockets": CONNECTIONS, "objects": 2_000}
"""The increase of each figure that does not count as growth."""
SHARE: Final = 0.05
"""The share of the first count by which memory may grow beyond the fixed mebibytes: bounded tables fill up."""


def grown(first: Count, last: Count) -> list[str]:
    """List the figures that have grown, with both values."""
    found = [name for name, most in LIMITS.items() if getattr(last, name) > getattr(first, name) + most]
    if last.allocated > first.allocated * (1.0 + SHARE) + MEBIBYTE:
        found.append("allocated")
    if last.resident > first.resident * (1.0 + SHARE) + 16 * MEBIBYTE:
        found.append("resident")
    return [f"{name}: {getattr(first, name):,} -> {getattr(last, name):,}" for name in found]


# -- watches that begin and end ---------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Crowd:
    """Callers of every kind, each active for a few seconds."""

    client: StatusClient
    begun: int = 0
    _callers: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _ways: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ways = itertools.cycle([self._wait, self._read, self._collect, self._leave, self._hurry, self._ask])

    def add(self, jobs: Sequence[JobRef], lot: int = 5) -> None:
        """Watch jobs in lots, each lot in the next way."""
        self.begun += len(jobs)
        for start in range(0, len(jobs), lot):
            task = asyncio.create_task(self._survive(next(self._ways), jobs[start : start + lot]))
            self._callers.add(task)
            task.add_done_callback(self._callers.discard)

    async def rest(self) -> None:
        """Wait until all callers have ended."""
        while self._callers:
            await asyncio.wait(self._callers)

    async def _survive(self, way: Any, jobs: Sequence[JobRef]) -> None:
        with contextlib.suppress(TopazStatusError, TimeoutError):
            await way(jobs)

    async def _wait(self, jobs: Sequence[JobRef]) -> None:
        await asyncio.gather(*(self.client.watch(job, tag={"n": 1}) for job in jobs), return_exceptions=True)

    async def _read(self, jobs: Sequence[JobRef]) -> None:
        for job in jobs:
            async with self.client.watch(job) as watch:
                async for _ in watch.updates():
                    pass

    async def _collect(self, jobs: Sequence[JobRef]) -> None:
        async for outcome in self.client.as_completed(jobs):
            self.client.notify(str(outcome.job))

    async def _leave(self, jobs: Sequence[JobRef]) -> None:
        async with self.client.as_completed(jobs) as outcomes:
            await anext(outcomes)

    async def _hurry(self, jobs: Sequence[JobRef]) -> None:
        watch = self.client.watch(jobs[0], timeout=0.3)
        async with asyncio.timeout(0.5):
            await self.client.gather(jobs[1:])
        await watch

    async def _ask(self, jobs: Sequence[JobRef]) -> None:
        for job in jobs:
            watch = self.client.watch(job)
            await self.client.result(job)
            watch.cancel()


async def soak(simulator: SimulatorProcess, seconds: float, per_minute: int) -> list[Count]:
    """Begin and end watches; return the counts after the warm-up and after each round."""
    counts: list[Count] = []
    async with StatusClient(
        topaz_api_key="soak-key-1",
        pixelcut_api_key="soak-key-2",
        topaz_url=simulator.url,
        pixelcut_url=simulator.url,
        rate=200.0,
        burst=50.0,
        service_rates={"try-on": None},
        request_timeout=2.0,
        max_in_flight=CONNECTIONS,
        policy=PollPolicy(price=0.02),
    ) as client:
        crowd = Crowd(client)
        with progress() as show:
            for number in range(ROUNDS):
                until = time.monotonic() + seconds / ROUNDS
                while (left := until - time.monotonic()) > 0:
                    show(f"round {number + 1} of {ROUNDS}: {crowd.begun} watches so far")
                    crowd.add(await asyncio.to_thread(_submit, simulator, round(per_minute / 60.0)))
                    await asyncio.sleep(min(1.0, left))
                await crowd.rest()
                await asyncio.sleep(1.0)
                assert not sum(client.stats().watches.values()), "a watch is left"
                counts.append(Count.take(crowd.begun))
    return counts


def _submit(simulator: SimulatorProcess, count: int) -> list[JobRef]:
    shares = {"image": 0.6, "video": 0.2, "try-on": 0.2}
    plans = [
        {"kind": kind, "count": max(1, round(count * share)), "duration": {"lognormal": [2.0, 0.6]}}
        for kind, share in shares.items()
    ]
    return [JobRef.parse(name) for name in simulator.add_jobs(plans)]


# -- the command ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Read the arguments, run the soak test and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--watches", type=int, default=2_000, help="watches begun per minute (default: 2000)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    be_quiet()
    simulator = SimulatorProcess(seed=arguments.seed)
    with simulator_at(simulator):
        simulator.add_faults([{"name": name, "probability": 0.01, "seconds": 5.0} for name in FAULTS])
        tracemalloc.start()
        counts = asyncio.run(soak(simulator, 60.0 * arguments.minutes, arguments.watches))
    names = [field.name for field in attrs.fields(Count)]
    print(table(names, [[f"{getattr(count, name):,}" for name in names] for count in counts]))
    if found := grown(counts[0], counts[-1]):
        print("grown: " + ", ".join(found), file=sys.stderr)
        raise SystemExit(1)
    print("nothing has grown")


if __name__ == "__main__":
    sys.exit(run_main(main))
