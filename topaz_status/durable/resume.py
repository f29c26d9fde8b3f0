"""Watches whose rows are in a store, and their resumption.

A row is on disk before the first poll. Its outcome is on disk before it is handed out. The row is deleted when the
outcome is acknowledged, or when the last handle is canceled. After any other end the row stays for ``resume()``.
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
"""At most so many rows are resumed before other tasks of the loop run."""


@attrs.define(eq=False, repr=False)
class DurableWatch(Watch[S]):
    """A handle on a job that has a row in a store."""

    _store_writer: StoreWriter
    _receipt: Receipt | None = attrs.field(default=None, init=False)

    @property
    def _stored(self) -> StoredRow:
        return cast("DurablePoller", self._poller).stored_row

    async def _ended(self) -> Ending:
        """Wait for the end; if it is a final outcome, record that it is handed out."""
        ending = await super()._ended()
        receipt = self._own_receipt()
        if receipt is not None and (written := receipt.give()) is not None:
            await written
        return ending

    def _own_receipt(self) -> Receipt | None:
        ending = self._ending
        if self._receipt is None and ending is not None and is_final(ending.status, ending.error):
            self._receipt = Receipt(self._store_writer, self._stored)
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
        if self._was_last_and_ended_with(WatchCanceledError) and not self._stored.removed:
            self._store_writer.drop(self._stored)

    def _time_out(self) -> None:
        """See :meth:`Watch._time_out`."""
        super()._time_out()
        if self._was_last_and_ended_with(WatchTimeoutError) and not self._stored.removed:
            self._store_writer.put(self._stored, attrs.evolve(self._stored.row, deadline=None))

    def _leave(self, error: TopazStatusError) -> None:
        """End this handle with ``error``, unless the job's own ending is known: it may be on its way to the disk."""
        if self._poller.ending is not None or self._engine.registry.is_watched(self._poller):
            super()._leave(error)

    def _was_last_and_ended_with(self, error: type[TopazStatusError]) -> bool:
        """Return whether this was the job's last handle, and ended with an ``error``."""
        ending = self._ending
        return (
            ending is not None
            and isinstance(ending.error, error)
            and not self._engine.registry.is_awaited_here(self._poller)
        )


@attrs.frozen(eq=False)
class Durable:
    """Starts watches that are stored, and resumes stored ones."""

    _engine: Engine
    _store_writer: StoreWriter
    _check: Callable[[Row], object]
    """Raises if a row's job cannot be watched at all, for example without a key for its kind."""

    def watch(
        self,
        new: Row,
        *,
        tag: Any,
        timeout: float | None,
        age: float,
        remaining: float | None,
    ) -> DurableWatch[Any]:
        """Start to watch a job, or join its watch if it has one; ``new`` is its row without number, tag and deadline.

        Raises:
            ConfigurationError: ``tag`` is no JSON.
        """
        text = write_tag(tag)
        deadline = None if timeout is None else new.started_at + timeout
        poller = self._engine.registry.find(new.job)
        if isinstance(poller, DurablePoller) and poller.ending is None:
            stored = poller.stored_row
            self._amend(stored, text, timeout, deadline)
        else:
            number = self._store_writer.number()
            stored = StoredRow(attrs.evolve(new, number=number, tag=text, timeout=timeout, deadline=deadline))
        watch: DurableWatch[Any] = DurableWatch(self._engine, new.job, tag, self._store_writer)
        return watch.start(timeout=timeout, age=age, remaining=remaining, stored_row=stored)

    def resume(self) -> Completions:
        """Resume the unfinished watches and the unacknowledged outcomes, as of now."""
        clock, last_number = self._store_writer.clock, self._store_writer.last_number
        batch = Batch(clock, self._refuse_others)
        batch.reader = clock.loop.create_task(batch.run_reader(self._resume_rows(batch, last_number)))
        self._engine.registry.adopt(batch.reader)
        return Completions(batch)

    @staticmethod
    def _refuse_others(job: object) -> DurableWatch[Any]:
        raise AssertionError(f"{job} is in no store")

    async def _resume_rows(self, batch: Batch, last_number: int) -> None:
        for count, stored in enumerate(await self._store_writer.rows(last_number), 1):
            if not stored.removed:
                self._resume_one(batch, stored)
            if count % ROWS_AT_ONCE == 0:
                await pause(0.0)

    def _resume_one(self, batch: Batch, stored: StoredRow) -> None:
        row = stored.row
        status = read_status(row.job, row.status)
        if row.end is not None:
            error = read_error(row.job, status, row.end.error)
            if is_final(status, error):
                batch.put(self._redeliver(row, row.end, status, error, stored))
                return
            stored.row = attrs.evolve(row, end=None)  # this version cannot read the outcome: poll again
        try:
            self._check(row)
        except TopazStatusError as error:
            batch.refuse(row.job, read_tag(row.tag), error, status)
        else:
            batch.add(self._continue(stored))

    def _redeliver(
        self, row: Row, end: End, status: JobStatus | None, error: TopazStatusError | None, stored: StoredRow
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
            receipt=Receipt(self._store_writer, stored),
        )

    def _continue(self, stored: StoredRow) -> DurableWatch[Any]:
        """Continue a watch; its age and its remaining time are measured by the wall clock."""
        row, wall = stored.row, self._store_writer.clock.wall()
        if row.timeout is not None and row.deadline is None:  # its timeout was reported: it begins anew
            self._store_writer.put(stored, attrs.evolve(row, deadline=wall + row.timeout))
        left = _time_left(stored.row, wall)
        watch: DurableWatch[Any] = DurableWatch(self._engine, row.job, read_tag(row.tag), self._store_writer)
        watch.start(
            timeout=left,
            age=min(max(0.0, wall - (row.started_at if row.submitted_at is None else row.submitted_at)), WEEK),
            remaining=None if row.eta is None else row.eta - wall,
            since=max(0.0, wall - row.started_at),
            stored_row=stored,
        )
        return watch

    def _amend(self, stored: StoredRow, tag: str | None, timeout: float | None, deadline: float | None) -> None:
        """Merge a further watch into a job's row: the first tag stays, and the latest deadline applies."""
        row = stored.row if stored.row.tag is not None else attrs.evolve(stored.row, tag=tag)
        if row.timeout is not None and (timeout is None or (deadline or 0.0) > (row.deadline or 0.0)):
            row = attrs.evolve(row, timeout=timeout, deadline=deadline)
        if row != stored.row:
            self._store_writer.put(stored, row)


def _time_left(row: Row, wall: float) -> float | None:
    """Return the seconds until the deadline; ``None`` without one, and 0 once it is past: one poll is still due then.

    The result is never more than the timeout, even if the wall clock was set back.
    """
    if row.timeout is None or row.deadline is None:
        return None
    return min(max(0.0, row.deadline - wall), row.timeout)
