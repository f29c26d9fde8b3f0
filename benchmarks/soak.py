"""Watches that come and go for as long as told, through every kind of trouble: does anything grow?

A client on real sockets, its simulator in a process of its own. Every second a new lot of jobs is submitted and watched
in every way there is: awaited, iterated, collected, let go half-way, timed out, canceled, asked for directly; one
request in ten meets a fault. After a warm-up, and again after each round, everything is let come to rest, and counted:
tasks, file handles, sockets, objects, memory. The exit code is 1 if there is more at the end than after the warm-up.

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
import logging
import sys
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from common import progress, resident_memory, run_main, simulator_at, table

from topaz_status import JobRef, PollPolicy, StatusClient, TopazStatusError
from topaz_status.testing import SimulatorProcess

ROUNDS: Final = 3
"""Times at rest that are counted: one after the warm-up, the others after equal spans."""
CONNECTIONS: Final = 32
"""The pool may hold so many, more or fewer: growth within it is none."""
MEBIBYTE: Final = 1 << 20
FAULTS: Final = ("503", "reset", "truncated", "malformed", "hang", "429", "html", "unknown_word", "slow", "empty_page")


@attrs.frozen(kw_only=True)
class Count:
    """What there is at rest."""

    watches: int
    """Begun so far."""
    tasks: int
    handles: int
    """Open files, sockets among them."""
    sockets: int
    objects: int
    """That the garbage collector knows."""
    allocated: int
    """Bytes that Python objects take."""
    resident: int
    """Bytes of the process."""

    @classmethod
    def take(cls, watches: int) -> Count:
        """Collect the garbage, and count."""
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
    """What this process has open; nothing where the system does not tell."""
    names = []
    with contextlib.suppress(OSError):
        for path in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                names.append(str(path.readlink()))
    return names


LIMITS: Final = {"tasks": 0, "handles": CONNECTIONS, "sockets": CONNECTIONS, "objects": 2_000}
"""How much more there may be of each, and be no growth."""
SHARE: Final = 0.05
"""Of the memory at the first count by which it may grow beyond one mebibyte: tables of bounded size fill up."""


def grown(first: Count, last: Count) -> list[str]:
    """Name what has grown, with its figures."""
    found = [name for name, most in LIMITS.items() if getattr(last, name) > getattr(first, name) + most]
    if last.allocated > first.allocated * (1.0 + SHARE) + MEBIBYTE:
        found.append("allocated")
    if last.resident > first.resident * (1.0 + SHARE) + 16 * MEBIBYTE:
        found.append("resident")
    return [f"{name}: {getattr(first, name):,} -> {getattr(last, name):,}" for name in found]


# -- watches that come and go -----------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Crowd:
    """Callers of every kind, each for a few seconds."""

    client: StatusClient
    begun: int = 0
    _callers: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _ways: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ways = itertools.cycle([self._wait, self._read, self._collect, self._leave, self._hurry, self._ask])

    def add(self, jobs: Sequence[JobRef], lot: int = 5) -> None:
        """Watch jobs, some together, in the next of the ways."""
        self.begun += len(jobs)
        for start in range(0, len(jobs), lot):
            task = asyncio.create_task(self._survive(next(self._ways), jobs[start : start + lot]))
            self._callers.add(task)
            task.add_done_callback(self._callers.discard)

    async def rest(self) -> None:
        """Wait until all have gone."""
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
    """Let watches come and go; gives what there was after the warm-up, and after each round."""
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
    """Read the arguments, soak, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--watches", type=int, default=2_000, help="begun a minute (default: 2000)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("topaz_status").setLevel(logging.ERROR)
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
