"""The registry of pollers: one for each watched job, from its first handle to its end."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeGuard, cast

import attrs

from ...core.schedule.schedule import Schedule
from ...core.wire.lazy import LazyStatus
from ...errors import ClientClosedError, StoreError, TopazStatusError
from ...models.job import JobKind, JobRef, canonical_id
from ..timing.backoff_delays import pause
from ..timing.clock import Clock
from .poller import Handle, Poller

if TYPE_CHECKING:
    from ..durable.durable_poller import DurablePoller
    from ..durable.store_writer import StoreWriter
    from ..durable.stored_row import StoredRow

WATCHES_AT_ONCE: Final = 500
"""Watches that begin, or end on closing, in one turn of the loop: no number of watches blocks the loop for long."""


@attrs.define(eq=False)
class PollerRegistry:
    """All pollers of one client. The schedule knows the same jobs."""

    _clock: Clock
    _schedule: Schedule
    _store_writer: StoreWriter | None = None
    """Writes the rows of durable watches; ``None`` without a store."""
    kinds: tuple[JobKind, ...] = attrs.field(default=(), init=False)
    """Kinds of which jobs are watched."""
    _pollers: dict[JobKind, dict[str, Poller]] = attrs.field(init=False)
    _beginning: deque[Poller] = attrs.field(factory=deque, init=False)
    """Pollers that have no coroutine yet; some have ended without one."""
    _ending: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _adopted: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    _torn_down: Callable[[Poller], None] = attrs.field(init=False)
    """All pollers share this callback and the context below: one each would cost 64 bytes a poller."""
    _context: contextvars.Context = attrs.field(factory=contextvars.copy_context, init=False)

    def __attrs_post_init__(self) -> None:
        self._pollers = {kind: {} for kind in JobKind}
        self._torn_down = self._on_torn_down

    def __iter__(self) -> Iterator[Poller]:
        for pollers in self._pollers.values():
            yield from pollers.values()

    def __len__(self) -> int:
        return sum(map(len, self._pollers.values()))

    def count(self, kind: JobKind) -> int:
        """Return the number of watched jobs of one kind."""
        return len(self._pollers[kind])

    def count_here(self, kind: JobKind) -> int:
        """Return the number of jobs of one kind with handles of this process."""
        return self.count(kind)

    def is_awaited_here(self, poller: Poller) -> bool:
        """Return whether a handle of this process waits for a job."""
        return bool(poller.handles)

    def watched_here(self) -> Collection[Poller]:
        """Return the pollers with handles of this process: here all, with a coordinator perhaps not."""
        return list(self)

    def find(self, job: JobRef) -> Poller | None:
        """Return the poller of a job; ``None`` for a job that is not watched."""
        pollers = self._pollers[job.kind]
        return pollers.get(job.id) or pollers.get(canonical_id(job))

    def is_watched(self, poller: Poller | None) -> TypeGuard[Poller]:
        """True while a poller is at work: a poll that was sent for an earlier poller says nothing to a later one."""
        return poller is not None and poller.is_at_work

    def listed_as(self, kind: JobKind) -> Callable[[str], Poller | None]:
        """Return a function that finds a job's poller by the job's id, in its known spelling or in lower case."""
        return self._pollers[kind].get

    def join(
        self,
        job: JobRef,
        handle: Handle,
        *,
        now: float,
        age: float = 0.0,
        remaining: float | None = None,
        deadline: float | None = None,
        since: float = 0.0,
        stored_row: StoredRow | None = None,
    ) -> Poller:
        """Give a handle the poller of its job: the one at work, or a new one, whose first poll is due.

        The handle times out at ``deadline``. A new poller began ``since`` seconds ago. If it has a stored row
        (``stored_row``), its first poll waits until the row is on disk.
        """
        poller = self.find(job)
        if poller is None or poller.ending is not None:
            poller = self._new(job, now - since if since else now, stored_row)
            if deadline is not None:
                poller.expect_by(deadline)
            self._start(poller, now, age, remaining)
        elif deadline is not None:
            poller.expect_by(deadline)
            self._schedule.expect_by(job, poller.deadline, now)
        poller.add(handle)
        return poller

    def leave(self, poller: Poller, handle: Handle, deadline: float | None) -> None:
        """Remove a handle, which times out at ``deadline``; the last handle to leave ends the polling."""
        poller.remove(handle)
        if not poller.handles and poller.ending is None:
            self.end(poller, None)
        elif deadline is not None:
            poller.expect_no_more(deadline)
            self._schedule.expect_by(poller.job, poller.deadline, self._clock.now())

    def end(self, poller: Poller, error: TopazStatusError | None) -> None:
        """End a poller: with its terminal status, with an error, or because its last handle has left."""
        self._forget(poller)
        if poller.task is not None and not poller.task.done():
            self._ending.add(poller.task)
            poller.task.add_done_callback(self._ending.discard)
        poller.end(poller.ended(error, self._clock))
        if poller.task is None:
            poller.settle()

    def lose(self, stored_row: StoredRow, error: StoreError) -> None:
        """End the poller of a row that another client has taken."""
        poller = self.find(stored_row.row.job)
        if self.is_watched(poller) and getattr(poller, "stored_row", None) is stored_row:
            self.end(poller, error)

    def adopt(self, task: asyncio.Task[None]) -> None:
        """Make a task that feeds watches end with the client."""
        self._adopted.add(task)
        task.add_done_callback(self._adopted.discard)

    async def close(self) -> None:
        """End every watch, and wait until their coroutines have ended."""
        pollers = iter(list(self))
        try:
            while some := list(itertools.islice(pollers, WATCHES_AT_ONCE)):
                self._end_for_closing(some)
                await pause(0.0)
        finally:
            self._end_for_closing(pollers)
        for task in self._adopted:
            task.cancel()
        while pending := [*self._ending, *self._adopted]:
            await asyncio.wait(pending)

    def _end_for_closing(self, pollers: Iterable[Poller]) -> None:
        for poller in pollers:
            if self.is_watched(poller):
                text = f"the client was closed while {poller.job} was watched"
                self.end(poller, ClientClosedError(text, job=poller.job))

    def _new(self, job: JobRef, started_at: float, stored_row: StoredRow | None) -> Poller:
        over = self._clock.loop.create_future()
        if stored_row is None or self._store_writer is None:
            return Poller(job, started_at, over)
        from ...store.json_codec import read_status  # noqa: PLC0415  # loaded by clients with a store
        from ..durable.durable_poller import DurablePoller  # noqa: PLC0415

        status = read_status(job, stored_row.row.status)
        last = None if status is None else LazyStatus.of(status)
        return DurablePoller(job, started_at, over, last=last, store_writer=self._store_writer, stored_row=stored_row)

    def _start(self, poller: Poller, now: float, age: float, remaining: float | None) -> None:
        self._pollers[poller.job.kind][canonical_id(poller.job)] = poller
        self._note_kinds(poller.job.kind)
        self._beginning.append(poller)
        if len(self._beginning) == 1:
            self._clock.loop.call_soon(self._begin)
        if type(poller) is Poller:
            self._plan(poller, now, age, remaining, unseen=age)
        else:
            self._start_durable(cast("DurablePoller", poller), now, age, remaining)

    def _start_durable(self, poller: DurablePoller, now: float, age: float, remaining: float | None) -> None:
        if poller.stored_row.stored:
            self._plan(poller, now, age, remaining, unseen=now - poller.started_at)
        else:
            written = lambda error: self._on_disk(poller, now, age, remaining, error)  # noqa: E731  # used once
            poller.store_writer.put(poller.stored_row, poller.stored_row.row, written)

    def _begin(self, begun: Iterable[Poller] = ()) -> None:
        """Start the coroutines of some pollers now, and of the others in the next turn of the loop.

        ``begun`` are the pollers of the turn before. One whose task was canceled before it ran is ended here.
        """
        for poller in begun:
            if poller.task is not None and poller.task.cancelled():
                self._on_torn_down(poller)
        some: list[Poller] = []
        try:
            while self._beginning and len(some) < WATCHES_AT_ONCE:
                poller = self._beginning.popleft()
                if poller.is_at_work:
                    coroutine = poller.run(self._torn_down)
                    poller.task = self._clock.loop.create_task(
                        coroutine, name="topaz_status poller", context=self._context
                    )
                    some.append(poller)
        finally:
            if some or self._beginning:
                self._clock.loop.call_soon(self._begin, some)

    def _on_disk(
        self, poller: Poller, began_at: float, age: float, remaining: float | None, error: StoreError | None
    ) -> None:
        """Have the job polled, now that its row is on disk; end the watch if the row could not be written."""
        if not self.is_watched(poller):
            return
        if error is not None:
            self.end(poller, error)
            return
        now = self._clock.now()
        waited = now - began_at
        self._plan(poller, now, age + waited, None if remaining is None else remaining - waited, unseen=age + waited)

    def _plan(self, poller: Poller, now: float, age: float, remaining: float | None, *, unseen: float) -> None:
        """Add the job to the schedule; its ``unseen`` seconds do not count if the service has predicted its end."""
        unseen = 0.0 if remaining is not None and remaining > 0.0 else unseen
        self._schedule.add(poller.job, now, age=age, remaining=remaining, unseen=unseen, deadline=poller.deadline)

    def _on_torn_down(self, poller: Poller) -> None:
        """End a poller whose coroutine was canceled from outside: nothing waits for it any more."""
        if poller.ending is None:
            poller.over = self._clock.loop.create_future()
            text = f"the watch of {poller.job} was torn down"
            self.end(poller, ClientClosedError(text, job=poller.job))
        poller.settle()

    def _forget(self, poller: Poller) -> None:
        if self.find(poller.job) is poller:
            del self._pollers[poller.job.kind][canonical_id(poller.job)]
            self._note_kinds(poller.job.kind)
            self._schedule.drop(poller.job)

    def _note_kinds(self, changed: JobKind) -> None:
        if bool(self._pollers[changed]) != (changed in self.kinds):
            self.kinds = tuple(kind for kind, pollers in self._pollers.items() if pollers)
