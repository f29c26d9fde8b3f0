"""Thousands of jobs at once: outcomes as they come, or all of them in the order given."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Final, Self

import attrs

from .arguments import as_ref, as_refs
from .errors import ClientClosedError, TopazStatusError
from .models import JobStatus
from .models.job import JobRef
from .outcome import Outcome
from .session.durable.receipt import Receipt
from .session.timing.backoff_delays import pause
from .session.timing.clock import Clock
from .watch import Watch

READ_AHEAD: Final = 1000
"""Jobs taken from an async iterable whose outcome has not been handed out yet, at most."""
BREATH: Final = 100
"""Jobs taken from an async iterable before others have their turn on the loop, at most."""

StartWatch = Callable[[JobRef], Watch[Any]]


@attrs.define(eq=False)
class Batch:
    """The handles of one collection and the outcomes that wait to be taken."""

    clock: Clock
    watch: StartWatch
    open: set[Watch[Any]] = attrs.field(factory=set)
    ready: deque[Outcome] = attrs.field(factory=deque)
    seen: set[JobRef] = attrs.field(factory=set)
    exhausted: bool = False
    failure: BaseException | None = None
    reader: asyncio.Task[None] | None = None
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    room: asyncio.Event = attrs.field(factory=asyncio.Event)
    given: dict[asyncio.Task[Any] | None, Receipt] = attrs.field(factory=dict)
    """What is to be acknowledged when more is asked for, by the task that was given it."""

    def take(self, job: JobRef) -> None:
        """Watch a job, once."""
        if job in self.seen:
            return
        watch = self.watch(job)
        self.seen.add(job)
        self.add(watch)

    def add(self, watch: Watch[Any]) -> None:
        """Hand out the outcome of a watch when it ends."""
        self.open.add(watch)
        watch._on_end = self._ended  # noqa: SLF001  # the other half of the same package

    async def read(self, jobs: AsyncIterable[object]) -> None:
        """Take jobs as they come, never too many ahead of the one who takes the outcomes."""
        taken = 0
        async for job in jobs:
            self._take_any(job)
            taken += 1
            if taken % BREATH == 0:  # an iterable that never waits would have the loop to itself
                await pause(0.0)
            while len(self.open) + len(self.ready) >= READ_AHEAD:
                self.room.clear()
                await self.room.wait()

    async def reading(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what brings jobs in; what goes wrong with it is raised where the outcomes are taken."""
        try:
            await work
        except asyncio.CancelledError:
            if not self.exhausted:  # nobody dropped it
                self.failure = ClientClosedError("the client was closed while there may have been more jobs to come")
            raise
        except Exception as error:  # noqa: BLE001  # the caller's own iterable, or a store
            self.failure = error
        finally:
            self.exhausted = True
            self.news.set()

    def _take_any(self, job: object) -> None:
        """Watch whatever came; what cannot be watched comes out as an outcome."""
        ref: JobRef | None = None
        try:
            ref = as_ref(job)
            self.take(ref)
        except TopazStatusError as error:
            self.refuse(ref, job if ref is None else None, error)

    def refuse(self, job: JobRef | None, tag: Any, error: TopazStatusError, status: JobStatus | None = None) -> None:
        """Hand out that a job cannot be watched."""
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
        self.news.set()

    async def next(self) -> Outcome:
        """Wait for an outcome.

        Raises:
            StopAsyncIteration: there will be none.
            Exception: what went wrong with an async iterable, or with a store.
        """
        while not self.ready:
            if self.exhausted and not self.open:
                failure, self.failure = self.failure, None
                raise failure or StopAsyncIteration
            self.news.clear()
            await self.news.wait()
        self.room.set()
        return self.ready.popleft()

    async def give(self, outcome: Outcome) -> Outcome:
        """Note that an outcome is handed out, by which it is kept until its taker asks for more.

        Raises:
            StoreError: that could not be written; the outcome waits.
        """
        receipt = outcome.receipt
        if receipt is None:
            return outcome
        try:
            if (noted := receipt.give()) is not None:
                await noted
        except BaseException:
            self.ready.appendleft(outcome)
            self.news.set()
            raise
        self.given[asyncio.current_task()] = receipt
        return outcome

    def acknowledge(self) -> asyncio.Future[None] | None:
        """More is asked for: whoever asks, and whoever has ended, is done with what it was given."""
        me, written = asyncio.current_task(), None
        for task, receipt in list(self.given.items()):
            if task is me or task is None or task.done():
                del self.given[task]
                written = receipt.acknowledge()
        return written

    def drop(self) -> None:
        """Let go of everything, in one step."""
        self.exhausted = True
        if self.reader is not None:
            self.reader.cancel()
        while self.open:
            watch = self.open.pop()
            watch._on_end = None  # noqa: SLF001  # as above
            watch.drop()
        self.ready.clear()
        self.news.set()


@attrs.define(eq=False)
class Completions:
    """Outcomes in the order in which the jobs end: an async iterator that can also be closed.

    Leaving the loop, closing it, or dropping the last reference to it drops its own handles, and no others.
    """

    _run: Batch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        run = self._run
        acknowledged = run.acknowledge() if run.given else None
        try:
            outcome = await run.next()
        except StopAsyncIteration:
            if acknowledged is not None:
                await acknowledged
            raise
        return outcome if outcome.receipt is None else await run.give(outcome)

    async def unacknowledged(self) -> AsyncIterator[Outcome]:
        """All outcomes, for one who does not hand them out one by one."""
        while True:
            try:
                outcome = await self._run.next()
            except StopAsyncIteration:
                return
            yield outcome

    @property
    def watches(self) -> tuple[Watch[Any], ...]:
        """Handles on the jobs that have not ended."""
        return tuple(self._run.open)

    async def aclose(self) -> None:
        """Drop what is still open; the jobs themselves go on."""
        self._run.drop()
        if self._run.reader is not None:
            await asyncio.wait([self._run.reader])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        run = self._run
        at_work = run.open or (run.reader is not None and not run.reader.done())
        if at_work and not run.clock.loop.is_closed():
            run.clock.loop.call_soon_threadsafe(run.drop)


def completions(
    clock: Clock,
    watch: StartWatch,
    jobs: Iterable[object] | AsyncIterable[object],
    adopt: Callable[[asyncio.Task[None]], None],
) -> Completions:
    """Watch all of ``jobs``, each distinct one once; ``adopt`` takes care of the task that reads an async iterable.

    Raises:
        ConfigurationError: an item of a plain iterable names no job; none is watched then.
    """
    run = Batch(clock, watch)
    if isinstance(jobs, AsyncIterable):
        run.reader = clock.loop.create_task(run.reading(run.read(jobs)))
        adopt(run.reader)
        return Completions(run)
    refs = as_refs(jobs)
    try:
        for job in refs:
            run.take(job)
    except BaseException:
        run.drop()
        raise
    run.exhausted = True
    return Completions(run)


async def outcomes(stream: Completions, refs: Iterable[JobRef]) -> list[Outcome]:
    """All outcomes, in the order of ``refs``."""
    async with stream:
        known = {outcome.job: outcome async for outcome in stream.unacknowledged()}
        await _given(known.values())
    return [known[job] for job in refs]


async def gather(
    stream: Completions, refs: Iterable[JobRef], *, return_exceptions: bool
) -> list[JobStatus | Exception]:
    """All statuses, in the order of ``refs``; the first failure in time is raised, or put in its place."""
    known: dict[JobRef | None, Outcome] = {}
    async with stream:
        async for outcome in stream.unacknowledged():
            if outcome.error is not None and not return_exceptions:
                await _given([outcome])
                raise outcome.error
            known[outcome.job] = outcome
        await _given(known.values())
    told = (known[job] for job in refs)
    return [outcome.error or outcome.status for outcome in told]  # type: ignore[misc]  # one of them is there


async def _given(outcomes: Iterable[Outcome]) -> None:
    """Note, all at once, that these are handed out."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    for noted in [receipt.give() for receipt in receipts]:
        if noted is not None:
            await noted
