"""The cost of durable watches: registering many of them, one row of a commit, and how long the loop is blocked.

    python benchmarks/store.py [--watches 20000] [--postgres postgresql://user@host/database]

With ``--postgres``, the same in a schema of its own in that database, which is dropped afterwards. The targets of a
database on loopback are those of :data:`TARGETS`, and the exit code says whether they are met.

No request goes to any service meanwhile. The garbage collector is off while watches are registered: its pauses are by
far the longest ones, with every store and without one. All figures depend on this machine's disk and on the moment.
Only ratios within one run can be compared. A busy machine holds the loop up as well, so the target of a hold-up is one
of CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from topaz_status import JobKind, JobRef, MemoryStore, PostgresStore, SQLiteStore, StatusClient, WatchStore
from topaz_status.store.base import Row
from topaz_status.testing import MEMORY_URL, Simulator

SLICE: Final = 100
"""Watches started in one step of the loop."""
UNBATCHED: Final = 300
"""Rows committed one by one."""
SCHEMA: Final = "topaz_status_benchmark"
TARGETS: Final = {"s for 20,000 watches": 5.0, "µs a row": 250.0, "ms of CPU in the loop's longest turn": 10.0}
"""Most that a store in a database may take."""


@attrs.frozen
class Registration:
    """The cost of starting many watches, from the first call until the last row is committed."""

    name: str
    seconds: float
    longest_hold: float
    """Most seconds between two turns of the loop."""
    longest_turn: float
    """Most seconds of CPU that the loop's thread used between two turns."""


@attrs.define
class Turns:
    """Measures the longest of the loop's turns."""

    longest: float = 0.0
    longest_cpu: float = 0.0
    _last: float = attrs.field(factory=time.perf_counter)
    _last_cpu: float = attrs.field(factory=time.thread_time)
    _handle: asyncio.Handle | None = None

    def start(self) -> None:
        """Measure one turn of the loop, and schedule the next measurement."""
        now, cpu = time.perf_counter(), time.thread_time()
        self.longest, self.longest_cpu = (
            max(self.longest, now - self._last),
            max(self.longest_cpu, cpu - self._last_cpu),
        )
        self._last, self._last_cpu = now, cpu
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
            gc.disable()
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
            gc.enable()
    return Registration(name, seconds, turns.longest, turns.longest_cpu)


def commit(store: WatchStore, count: int, at_once: int, *, flush: bool) -> float:
    """Write ``count`` rows, ``at_once`` per commit, and return the microseconds per row."""
    first = store.open(0.0).last_number + 1
    rows = [Row(number=first + n, job=JobRef(JobKind.IMAGE, f"job-{n}"), started_at=0.0) for n in range(count)]
    began = time.perf_counter()
    for start in range(0, count, at_once):
        store.write(rows[start : start + at_once], (), flush=flush)
    taken = time.perf_counter() - began
    store.close()
    return taken / count * 1e6


def rows_of(make: Callable[[str], WatchStore], count: int) -> float:
    """Print what a row costs in stores of one kind, and return the microseconds of one in a large commit."""
    batched = commit(make("a"), count, 500, flush=True)
    single = commit(make("b"), UNBATCHED, 1, flush=True)
    mark = commit(make("c"), UNBATCHED, 1, flush=False)
    print(f"a row, 500 in a commit: {batched:9.1f} µs")
    print(f"a row, one by one:      {single:9.1f} µs  ({single / batched:.0f} ×)")
    print(f"a mark, unflushed:      {mark:9.1f} µs  ({mark / batched:.0f} ×)")
    return batched


def show(one: Registration, count: int, base: Registration) -> None:
    print(
        f"{count:,} watches, {one.name:<8}  {one.seconds:6.2f} s  ({one.seconds / base.seconds:4.1f} ×)  "
        f"longest hold-up of the loop {one.longest_hold * 1e3:6.1f} ms, of CPU {one.longest_turn * 1e3:4.1f} ms"
    )


def measure_postgres(dsn: str, count: int, base: Registration) -> bool:
    """Measure a store in a database; return whether the targets are met."""
    import psycopg  # noqa: PLC0415  # for this part alone

    def make(consumer: str) -> PostgresStore:
        return PostgresStore(dsn, schema=SCHEMA, consumer=consumer)

    try:
        found = asyncio.run(register("database", make("watches"), count))
        show(found, count, base)
        batched = rows_of(make, count)
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
    measured = found.seconds * 20_000 / count, batched, found.longest_turn * 1e3
    for (name, most), value in zip(TARGETS.items(), measured, strict=True):
        print(f"{'met' if value <= most else 'MISSED'}: {value:.1f} {name}, at most {most:g}")
    return all(value <= most for value, most in zip(measured, TARGETS.values(), strict=True))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watches", type=int, default=20_000, metavar="N", help="number of watches (default: 20,000)")
    parser.add_argument("--postgres", metavar="URL", help="measure a store in this database, too")
    arguments = parser.parse_args(argv)
    count = arguments.watches
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        stores = (("no store", None), ("memory", MemoryStore()), ("file", SQLiteStore(Path(folder) / "watches.db")))
        found = [asyncio.run(register(name, store, count)) for name, store in stores]
        for one in found:
            show(one, count, found[0])
        rows_of(lambda name: SQLiteStore(Path(folder) / f"{name}.db"), count)
    return 0 if arguments.postgres is None or measure_postgres(arguments.postgres, count, found[0]) else 1


if __name__ == "__main__":
    sys.exit(main())
