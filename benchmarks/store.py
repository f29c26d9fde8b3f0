"""The cost of durable watches: registering many of them, one row of a commit, and how long the loop is blocked.

    python benchmarks/store.py [--watches 20000]

No request goes to any service meanwhile. The garbage collector has the thresholds that the README advises for so many
watches: with the defaults its pauses are by far the longest ones. All figures depend on this machine's disk and on the
moment. Only ratios within one run can be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from topaz_status import JobKind, JobRef, MemoryStore, SQLiteStore, StatusClient, WatchStore
from topaz_status.store.base import Row
from topaz_status.testing import MEMORY_URL, Simulator

SLICE: Final = 100
"""Watches started in one step of the loop."""
UNBATCHED: Final = 300
"""Rows committed one by one."""


@attrs.frozen
class Registration:
    """The cost of starting many watches, from the first call until the last row is committed."""

    name: str
    seconds: float
    longest_hold: float
    """Most seconds between two turns of the loop."""


@attrs.define
class Turns:
    """Measures the longest of the loop's turns."""

    longest: float = 0.0
    _last: float = attrs.field(factory=time.perf_counter)
    _handle: asyncio.Handle | None = None

    def start(self) -> None:
        """Measure one turn of the loop, and schedule the next measurement."""
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self._handle = asyncio.get_running_loop().call_soon(self.start)

    def stop(self) -> None:
        """End the measurement."""
        assert self._handle is not None
        self._handle.cancel()


async def register(name: str, store: WatchStore | None, count: int) -> Registration:
    jobs = [JobRef(JobKind.IMAGE, f"00000000-0000-4000-8000-{number:012}") for number in range(count)]
    async with Simulator().session() as session:
        client = StatusClient(topaz_api_key="test", topaz_url=MEMORY_URL, session=session, rate=1e-9, store=store)
        async with client:
            gc.collect()
            turns, began = Turns(), time.perf_counter()
            turns.start()
            for start in range(0, count, SLICE):
                for job in jobs[start : start + SLICE]:
                    client.watch(job, tag={"job": job.id})
                await asyncio.sleep(0)
            schedule = client._live().schedule  # noqa: SLF001  # the schedule has a job once it may be polled
            while len(schedule) < count:  # noqa: ASYNC110  # no event reports it
                await asyncio.sleep(0.001)
            seconds = time.perf_counter() - began
            turns.stop()
    return Registration(name, seconds, turns.longest)


def commit(path: Path, count: int, at_once: int, *, flush: bool) -> float:
    """Write ``count`` rows, ``at_once`` per commit, and return the microseconds per row."""
    store = SQLiteStore(path)
    store.open(0.0)
    rows = [Row(number=n, job=JobRef(JobKind.IMAGE, f"job-{n}"), started_at=0.0) for n in range(1, count + 1)]
    began = time.perf_counter()
    for start in range(0, count, at_once):
        store.write(rows[start : start + at_once], (), flush=flush)
    taken = time.perf_counter() - began
    store.close()
    return taken / count * 1e6


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watches", type=int, default=20_000, metavar="N", help="number of watches (default: 20,000)")
    count = parser.parse_args(argv).watches
    gc.set_threshold(50_000, 20, 20)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        stores = (("no store", None), ("memory", MemoryStore()), ("file", SQLiteStore(Path(folder) / "watches.db")))
        found = [asyncio.run(register(name, store, count)) for name, store in stores]
        batched = commit(Path(folder) / "a.db", count, 500, flush=True)
        single = commit(Path(folder) / "b.db", UNBATCHED, 1, flush=True)
        mark = commit(Path(folder) / "c.db", UNBATCHED, 1, flush=False)
    for one in found:
        print(
            f"{count:,} watches, {one.name:<8}  {one.seconds:6.2f} s  ({one.seconds / found[0].seconds:4.1f} ×)  "
            f"longest hold-up of the loop {one.longest_hold * 1e3:6.1f} ms"
        )
    print(f"a row, 500 in a commit: {batched:9.1f} µs")
    print(f"a row, one by one:      {single:9.1f} µs  ({single / batched:.0f} ×)")
    print(f"a mark, unflushed:      {mark:9.1f} µs  ({mark / batched:.0f} ×)")


if __name__ == "__main__":
    main()
