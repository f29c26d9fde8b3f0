"""Stores that tests can hold up, have fail, inspect, and tear away as a crash does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import attrs

from topaz_status import JobRef, MemoryStore
from topaz_status.store.base import End, Opening, Row

A_DAY = 86_400.0


def row(number: int, job: str = "image:a", **facts: object) -> Row:
    return attrs.evolve(Row(number=number, job=JobRef.parse(job), started_at=1000.0), **facts)  # type: ignore[arg-type]


def ended(number: int, job: str = "image:a", **facts: object) -> Row:
    """The row of a watch that has an outcome."""
    end = attrs.evolve(End(polls=3, waited=1.5, detected_at=2000.0), **facts)  # type: ignore[arg-type]
    return row(number, job, status='{"process_id": "a", "status": "Completed"}', end=end)


@attrs.define(eq=False)
class Spy:
    """A store in memory that writes down what it is asked for, and does what a test wants of it."""

    inner: MemoryStore = attrs.field(factory=MemoryStore)
    commits: list[tuple[list[Row], list[int], bool]] = attrs.field(factory=list)
    failure: Exception | None = None
    """What the next writes raise."""
    on_write: Callable[[], object] = lambda: None
    gate: threading.Event = attrs.field(factory=threading.Event)
    """Writes wait until it is set."""
    threads: set[int] = attrs.field(factory=set)
    opened: int = 0
    closed: int = 0

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    def hold(self) -> asyncio.Event:
        """Have writes wait from now on; the event says that one does. No virtual time passes then."""
        loop, waits = asyncio.get_running_loop(), asyncio.Event()
        self.on_write = lambda: loop.call_soon_threadsafe(waits.set)
        self.gate.clear()
        return waits

    def release(self) -> None:
        """Let them go."""
        self.on_write = lambda: None
        self.gate.set()

    def open(self, now: float) -> Opening:
        self.threads.add(threading.get_ident())
        self.opened += 1
        return self.inner.open(now)

    def write(self, rows: Sequence[Row], gone: Sequence[int], *, flush: bool) -> None:
        self.threads.add(threading.get_ident())
        self.on_write()
        assert self.gate.wait(10), "nobody opened the gate"
        if self.failure is not None:
            raise self.failure
        self.commits.append((list(rows), list(gone), flush))
        self.inner.write(rows, gone, flush=flush)

    def load(self) -> list[Row]:
        self.threads.add(threading.get_ident())
        return self.inner.load()

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1
        self.inner.close()

    def seen(self, job: JobRef) -> bool:
        """Whether the store knows that the job was seen."""
        return str(job) in self.jobs() and self.jobs()[str(job)].status is not None

    def jobs(self) -> dict[str, Row]:
        return {str(row.job): row for row in self.inner.load()}


def after_a_crash(store: Spy | MemoryStore) -> MemoryStore:
    """What a process finds that starts after the one with this store was killed."""
    found = MemoryStore()
    found.write(store.load(), (), flush=True)
    return found
