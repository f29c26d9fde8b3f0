"""Collects the outcomes of many jobs: one by one as the jobs end, or all in the order given."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Final, Self

import attrs

from .arguments import as_ref, as_refs
from .errors import ClientClosedError, StoreError, TopazStatusError
from .models import JobStatus
from .models.job import JobRef
from .outcome import Outcome
from .session.durable.receipt import Receipt
from .session.timing.backoff_delays import pause
from .session.timing.clock import Clock
from .watch import Watch

READ_AHEAD: Final = 1000
"""At most so many jobs of an async iterable are read before their outcomes are handed out."""
JOBS_PER_TURN: Final = 100
"""After so many jobs of an async iterable, the reader lets other tasks of the loop run."""

StartWatch = Callable[[JobRef], Watch[Any]]


@attrs.define(eq=False)
class Batch:
    """The handles of one collection, and the outcomes that are ready to be handed out."""

    clock: Clock
    watch: StartWatch
    open: set[Watch[Any]] = attrs.field(factory=set)
    ready: deque[Outcome] = attrs.field(factory=deque)
    watched: set[JobRef] = attrs.field(factory=set)
    exhausted: bool = False
    failure: BaseException | None = None
    reader: asyncio.Task[None] | None = None
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)
    has_room: asyncio.Event = attrs.field(factory=asyncio.Event)
    handed_out: dict[asyncio.Task[Any] | None, Receipt] = attrs.field(factory=dict)
    """The receipts of outcomes that were handed out, by the task that got them: asking for more acknowledges them."""

    def take(self, job: JobRef) -> None:
        """Watch a job, unless this batch has watched it before."""
        if job in self.watched:
            return
        watch = self.watch(job)
        self.watched.add(job)
        self.add(watch)

    def add(self, watch: Watch[Any]) -> None:
        """Hand out the outcome of a watch when it ends."""
        self.open.add(watch)
        watch._on_end = self._ended  # noqa: SLF001  # Watch is of the same package

    async def read(self, jobs: AsyncIterable[object]) -> None:
        """Watch jobs as the iterable yields them, at most ``READ_AHEAD`` ahead of the outcomes' consumer."""
        count = 0
        async for job in jobs:
            self._take_any(job)
            count += 1
            if count % JOBS_PER_TURN == 0:  # an iterable that never waits would block the loop
                await pause(0.0)
            while len(self.open) + len(self.ready) >= READ_AHEAD:
                self.has_room.clear()
                await self.has_room.wait()

    def start_reader(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the work that adds jobs, as a task. Its exception is raised where the outcomes are taken."""
        self.reader = self.clock.loop.create_task(work)
        self.reader.add_done_callback(self._stop_reading)
        return self.reader

    def _stop_reading(self, reader: asyncio.Task[None]) -> None:
        """Record how the reader ended, which may have been before its first step."""
        if not reader.cancelled():
            self.failure = reader.exception()  # of the caller's own iterable, or of a store
        elif not self.exhausted:  # the batch was not dropped
            self.failure = ClientClosedError("the client was closed while there may have been more jobs to come")
        self.exhausted = True
        self.changed.set()

    def _take_any(self, job: object) -> None:
        """Watch an item of an async iterable; an item that cannot be watched gives an outcome with the error."""
        ref: JobRef | None = None
        try:
            ref = as_ref(job)
            self.take(ref)
        except TopazStatusError as error:
            self.refuse(ref, job if ref is None else None, error)

    def refuse(self, job: JobRef | None, tag: Any, error: TopazStatusError, status: JobStatus | None = None) -> None:
        """Hand out an outcome that says that a job cannot be watched."""
        self.put(
            Outcome(
                job=job,
                tag=tag,
                state=None,
                status=status,
                error=error,
                polls=0,
                waited=0.0,
                detected_at=self.clock.wall(),
            )
        )

    def _ended(self, watch: Watch[Any]) -> None:
        self.open.discard(watch)
        self.put(watch._outcome())  # noqa: SLF001  # as above

    def put(self, outcome: Outcome) -> None:
        """Hand out an outcome."""
        self.ready.append(outcome)
        self.changed.set()

    async def next(self) -> Outcome:
        """Wait for an outcome.

        Raises:
            StopAsyncIteration: no more outcomes will come.
            Exception: the exception of an async iterable, or of a store.
        """
        while not self.ready:
            if self.exhausted and not self.open:
                failure, self.failure = self.failure, None
                raise failure or StopAsyncIteration
            self.changed.clear()
            await self.changed.wait()
        self.has_room.set()
        return self.ready.popleft()

    async def hand_out(self, outcome: Outcome) -> Outcome:
        """Record that an outcome is handed out; its row stays in the store until the consumer asks for the next one.

        An outcome that another client has taken over is that client's to handle: its error says so.

        Raises:
            StoreError: the record could not be written; the outcome is handed out by the next call instead.
        """
        receipt = outcome.receipt
        if receipt is None:
            return outcome
        try:
            if (written := receipt.give()) is not None:
                await written
        except BaseException as error:
            if isinstance(error, StoreError) and receipt.lost is not None:
                return attrs.evolve(outcome, error=error, receipt=None)
            self.ready.appendleft(outcome)
            self.changed.set()
            raise
        self.handed_out[asyncio.current_task()] = receipt
        return outcome

    def acknowledge(self) -> asyncio.Future[None] | None:
        """Acknowledge the outcomes that were handed to the current task, or to tasks that have ended.

        Called when the next outcome is asked for. Returns a future that is done after the last write; ``None`` if
        there is no write.
        """
        current, written = asyncio.current_task(), None
        for task, receipt in list(self.handed_out.items()):
            if task is current or task is None or task.done():
                del self.handed_out[task]
                written = receipt.acknowledge()
        return written

    def drop(self) -> None:
        """Drop all handles and outcomes, in one step."""
        self.exhausted = True
        if self.reader is not None:
            self.reader.cancel()
        while self.open:
            watch = self.open.pop()
            watch._on_end = None  # noqa: SLF001  # as above
            watch.drop()
        self.ready.clear()
        self.changed.set()


@attrs.define(eq=False)
class Completions:
    """Outcomes in the order in which the jobs end: an async iterator that can also be closed.

    Closing the iterator, or dropping the last reference to it, drops only its own handles. Leaving an ``async for``
    over a temporary iterator drops them, too.
    """

    _batch: Batch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        batch = self._batch
        acknowledged = batch.acknowledge() if batch.handed_out else None
        try:
            outcome = await batch.next()
        except StopAsyncIteration:
            if acknowledged is not None:
                await _acknowledged(acknowledged)
            raise
        return outcome if outcome.receipt is None else await batch.hand_out(outcome)

    async def unacknowledged(self) -> AsyncIterator[Outcome]:
        """Yield all outcomes without recording them as handed out: for callers that return them all at once."""
        while True:
            try:
                outcome = await self._batch.next()
            except StopAsyncIteration:
                return
            yield outcome

    @property
    def watches(self) -> tuple[Watch[Any], ...]:
        """The handles on the jobs that have not ended."""
        return tuple(self._batch.open)

    async def aclose(self) -> None:
        """Drop the handles that are still open; the jobs themselves go on."""
        self._batch.drop()
        if self._batch.reader is not None:
            await asyncio.wait([self._batch.reader])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        batch = self._batch
        is_active = batch.open or (batch.reader is not None and not batch.reader.done())
        if is_active and not batch.clock.loop.is_closed():
            batch.clock.loop.call_soon_threadsafe(batch.drop)


def completions(
    clock: Clock,
    watch: StartWatch,
    jobs: Iterable[object] | AsyncIterable[object],
    adopt: Callable[[asyncio.Task[None]], None],
) -> Completions:
    """Watch all of ``jobs``, each distinct one once.

    A task reads ``jobs`` if it is an async iterable. ``adopt`` gets this task, and ends it with the client.

    Raises:
        ConfigurationError: an item of a plain iterable names no job; no job is watched then.
    """
    batch = Batch(clock, watch)
    if isinstance(jobs, AsyncIterable):
        adopt(batch.start_reader(batch.read(jobs)))
        return Completions(batch)
    refs = as_refs(jobs)
    try:
        for job in refs:
            batch.take(job)
    except BaseException:
        batch.drop()
        raise
    batch.exhausted = True
    return Completions(batch)


async def outcomes(stream: Completions, refs: Iterable[JobRef]) -> list[Outcome]:
    """Return all outcomes, in the order of ``refs``."""
    async with stream:
        known = {outcome.job: outcome async for outcome in stream.unacknowledged()}
        await _record_handed_out(known.values())
    return [known[job] for job in refs]


async def gather(
    stream: Completions, refs: Iterable[JobRef], *, return_exceptions: bool
) -> list[JobStatus | Exception]:
    """Return all statuses, in the order of ``refs``.

    The failure that comes first in time is raised. With ``return_exceptions``, failures are returned in their places.
    """
    known: dict[JobRef | None, Outcome] = {}
    async with stream:
        async for outcome in stream.unacknowledged():
            if outcome.error is not None and not return_exceptions:
                await _record_handed_out([outcome])
                raise outcome.error
            known[outcome.job] = outcome
        await _record_handed_out(known.values())
    ordered = (known[job] for job in refs)
    return [outcome.error or outcome.status for outcome in ordered]  # type: ignore[misc]  # one of the two is set


async def _acknowledged(written: asyncio.Future[None]) -> None:
    """Wait until an acknowledgement is written; one of an outcome that another client has by now is no failure."""
    try:
        await written
    except StoreError as error:
        if error.taken_over_by is None:
            raise


async def _record_handed_out(outcomes: Iterable[Outcome]) -> None:
    """Record that all these outcomes are handed out; all writes start before the first is awaited."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    for written in [receipt.give() for receipt in receipts]:
        if written is not None:
            await written
