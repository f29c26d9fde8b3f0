"""Watches whose rows are kept in a store, and how they are taken up again.

A row is on disk before the first poll, and has its outcome before anybody is given it. It goes when the outcome is
acknowledged, or when the last handle is canceled; whatever else ends a watch leaves it to ``resume()``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, cast

import attrs

from ..completions import Batch, Completions
from ..core.health.ending import is_final
from ..core.policy import WEEK
from ..errors import TopazStatusError, WatchCanceledError, WatchTimeoutError
from ..models import JobStatus
from ..outcome import Outcome
from ..session.durable.durable_poller import DurablePoller
from ..session.durable.receipt import Receipt
from ..session.durable.store_writer import StoredRow, StoreWriter
from ..session.engine import Engine
from ..session.polling.poller import Ending
from ..session.timing.backoff_delays import pause
from ..store.base import End, Row
from ..store.json_codec import read_error, read_status, read_tag, write_tag
from ..watch import S, Watch

ROWS_AT_ONCE: Final = 100
"""Rows that are taken up in one step of the loop."""


@attrs.define(eq=False, repr=False)
class DurableWatch(Watch[S]):
    """A handle on a job whose row is kept."""

    _store_writer: StoreWriter
    _receipt: Receipt | None = attrs.field(default=None, init=False)

    @property
    def _kept(self) -> StoredRow:
        return cast("DurablePoller", self._poller).kept

    async def _ended(self) -> Ending:
        """Wait for the end; where it is an outcome, note that it is handed out."""
        ending = await super()._ended()
        receipt = self._own_receipt()
        if receipt is not None and (noted := receipt.give()) is not None:
            await noted
        return ending

    def _own_receipt(self) -> Receipt | None:
        ending = self._ending
        if self._receipt is None and ending is not None and is_final(ending.status, ending.error):
            self._receipt = Receipt(self._store_writer, self._kept)
        return self._receipt

    def _outcome(self) -> Outcome:
        return attrs.evolve(super()._outcome(), receipt=self._own_receipt())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drop()
        if kind is None and self._receipt is not None and self._receipt.is_given:
            await self._receipt.acknowledge()

    def cancel(self) -> None:
        """See :meth:`Watch.cancel`."""
        super().cancel()
        if self._left_with(WatchCanceledError) and not self._kept.gone:
            self._store_writer.drop(self._kept)

    def _time_out(self) -> None:
        """See :meth:`Watch._time_out`."""
        super()._time_out()
        if self._left_with(WatchTimeoutError) and not self._kept.gone:
            self._store_writer.put(self._kept, attrs.evolve(self._kept.row, deadline=None))

    def _leave(self, error: TopazStatusError) -> None:
        """Go with ``error``, unless the job's own ending is known: it may be on its way to the disk."""
        if self._poller.ending is not None or self._engine.registry.is_watched(self._poller):
            super()._leave(error)

    def _left_with(self, error: type[TopazStatusError]) -> bool:
        """Tell whether this was the last handle to go, and went like that."""
        ending = self._ending
        return ending is not None and isinstance(ending.error, error) and not self._poller.handles


@attrs.frozen(eq=False)
class Durable:
    """Starts watches that are kept, and takes up those that were."""

    _engine: Engine
    _store_writer: StoreWriter
    _check: Callable[[Row], object]
    """Raises where a job cannot be watched at all."""

    def watch(
        self,
        new: Row,
        *,
        tag: Any,
        timeout: float | None,
        age: float,
        remaining: float | None,
    ) -> DurableWatch[Any]:
        """Start to watch a job anew, or join those who do; ``new`` is the row, but for its number, tag and deadline.

        Raises:
            ConfigurationError: ``tag`` is no JSON.
        """
        text = write_tag(tag)
        deadline = None if timeout is None else new.started_at + timeout
        poller = self._engine.registry.find(new.job)
        if isinstance(poller, DurablePoller) and poller.ending is None:
            kept = poller.kept
            self._amend(kept, text, timeout, deadline)
        else:
            number = self._store_writer.number()
            kept = StoredRow(attrs.evolve(new, number=number, tag=text, timeout=timeout, deadline=deadline))
        watch: DurableWatch[Any] = DurableWatch(self._engine, new.job, tag, self._store_writer)
        return watch.start(timeout=timeout, age=age, remaining=remaining, kept=kept)

    def resume(self) -> Completions:
        """Take up, as of now, what is unfinished and what nobody acknowledged."""
        clock, last_number = self._store_writer.clock, self._store_writer.last_number
        run = Batch(clock, self._never)
        run.reader = clock.loop.create_task(run.reading(self._take_up(run, last_number)))
        self._engine.registry.adopt(run.reader)
        return Completions(run)

    @staticmethod
    def _never(job: object) -> DurableWatch[Any]:
        raise AssertionError(f"{job} was not kept")

    async def _take_up(self, run: Batch, last_number: int) -> None:
        for place, kept in enumerate(await self._store_writer.rows(last_number), 1):
            if not kept.gone:
                self._take_up_one(run, kept)
            if place % ROWS_AT_ONCE == 0:
                await pause(0.0)

    def _take_up_one(self, run: Batch, kept: StoredRow) -> None:
        row = kept.row
        status = read_status(row.job, row.status)
        if row.end is not None:
            error = read_error(row.job, status, row.end.error)
            if is_final(status, error):
                run.put(self._again(row, row.end, status, error, kept))
                return
            kept.row = attrs.evolve(row, end=None)  # this version cannot read it: ask anew
        try:
            self._check(row)
        except TopazStatusError as error:
            run.refuse(row.job, read_tag(row.tag), error, status)
        else:
            run.add(self._rewatch(kept))

    def _again(
        self, row: Row, end: End, status: JobStatus | None, error: TopazStatusError | None, kept: StoredRow
    ) -> Outcome:
        return Outcome(
            job=row.job,
            tag=read_tag(row.tag),
            state=status.state if status is not None and status.is_terminal else None,
            status=status,
            error=error,
            polls=end.polls,
            waited=end.waited,
            detected_at=end.detected_at,
            redelivered=end.handed_out,
            receipt=Receipt(self._store_writer, kept),
        )

    def _rewatch(self, kept: StoredRow) -> DurableWatch[Any]:
        """Go on with a watch: its age, and what is left of its time, are by the wall's clock."""
        row, wall = kept.row, self._store_writer.clock.wall()
        if row.timeout is not None and row.deadline is None:  # it ran out and that was told: the whole of it again
            self._store_writer.put(kept, attrs.evolve(row, deadline=wall + row.timeout))
        left = _left(kept.row, wall)
        watch: DurableWatch[Any] = DurableWatch(self._engine, row.job, read_tag(row.tag), self._store_writer)
        watch.start(
            timeout=left,
            age=min(max(0.0, wall - (row.started_at if row.submitted_at is None else row.submitted_at)), WEEK),
            remaining=None if row.eta is None else row.eta - wall,
            since=max(0.0, wall - row.started_at),
            kept=kept,
        )
        return watch

    def _amend(self, kept: StoredRow, tag: str | None, timeout: float | None, deadline: float | None) -> None:
        """Join those who watch a job: its row keeps the first tag, and the latest deadline."""
        row = kept.row if kept.row.tag is not None else attrs.evolve(kept.row, tag=tag)
        if row.timeout is not None and (timeout is None or (deadline or 0.0) > (row.deadline or 0.0)):
            row = attrs.evolve(row, timeout=timeout, deadline=deadline)
        if row != kept.row:
            self._store_writer.put(kept, row)


def _left(row: Row, wall: float) -> float | None:
    """Seconds until the deadline, ``None`` without one; 0 when it is past: one look is due all the same.

    However far the wall's clock was set back, it is never more than the timeout.
    """
    if row.timeout is None or row.deadline is None:
        return None
    return min(max(0.0, row.deadline - wall), row.timeout)
