"""Watches whose rows are in a store, and their resumption.

A row is on disk before the first poll. Its outcome is on disk before it is handed out. The row is deleted when the
outcome is acknowledged, or when the last handle is canceled. After any other end the row stays for ``resume()``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, cast

import attrs

from ..completions import Batch, Completions
from ..core.health.ending import is_final
from ..core.policy import WEEK
from ..endpoints import Unset
from ..errors import ConfigurationError, StoreError, TopazStatusError, WatchCanceledError, WatchTimeoutError
from ..models import JobStatus
from ..outcome import Outcome
from ..session.durable.durable_poller import DurablePoller
from ..session.durable.receipt import Receipt
from ..session.durable.store_writer import StoreWriter
from ..session.durable.stored_row import StoredRow
from ..session.engine import Engine
from ..session.polling.poller import Ending
from ..session.timing.backoff_delays import pause
from ..store.base import End, Row
from ..store.json_codec import read_error, read_status, read_tag, write_tag
from ..watch import S, Watch

CLAIMS_A_LEASE: Final = 3
"""A following ``resume()`` asks so often for rows of other clients before a lease can lapse."""
WRITTEN_WITHIN: Final = 1.0
"""Seconds after which a watch that has timed out asks again whether its job's outcome is stored."""
ROWS_AT_ONCE: Final = 100
"""At most so many rows are resumed before other tasks of the loop run."""


@attrs.define(eq=False, repr=False)
class DurableWatch(Watch[S]):
    """A handle on a job that has a row in a store."""

    _store_writer: StoreWriter
    _limited: bool = False
    """True if the handle has a timeout of its own, other than its row's."""
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
        """See :meth:`Watch._time_out`. The row's timeout then begins anew when the watch is resumed."""
        if self._is_unwritten:
            self._time_out_unwritten()
            return
        super()._time_out()
        if self._was_last_and_ended_with(WatchTimeoutError) and not self._stored.removed:
            row = self._stored.row
            if not self._limited or (row.deadline or 0.0) <= self._engine.clock.wall():
                self._store_writer.put(self._stored, attrs.evolve(row, deadline=None))

    def _time_out_unwritten(self) -> None:
        """Wait on for the outcome that is on its way to the store, unless the store fails."""
        trouble = self._store_writer.trouble
        if trouble is None:
            self._timer = self._engine.timers.after(WRITTEN_WITHIN, self)
        else:
            self._leave(StoreError(f"{self.job} has ended, and its outcome cannot be stored for now: {trouble}"))

    def _leave(self, error: TopazStatusError) -> None:
        """End this handle with ``error``, unless the job's own ending is known and is soon in the store."""
        if not self._is_unwritten or self._store_writer.trouble is not None:
            super()._leave(error)

    @property
    def _is_unwritten(self) -> bool:
        """True while the job's ending is known, but not stored yet."""
        return self._poller.ending is None and not self._engine.registry.is_watched(self._poller)

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

    def resume(self, *, follow: bool, timeout: float | Unset | None) -> Completions:
        """Resume the unfinished watches and the unacknowledged outcomes, as of now; with ``follow`` also later ones.

        Raises:
            ConfigurationError: ``follow`` without a store that clients share.
        """
        if follow and self._store_writer.lease is None:
            raise ConfigurationError("follow=True needs a store that other clients use, too: PostgresStore(…)")
        last_number = self._store_writer.last_number
        batch = Batch(self._store_writer.clock, self._refuse_others)
        work = self._follow(batch, last_number, timeout) if follow else self._resume_rows(batch, last_number, timeout)
        self._engine.registry.adopt(batch.start_reader(work))
        return Completions(batch)

    @staticmethod
    def _refuse_others(job: object) -> DurableWatch[Any]:
        raise AssertionError(f"{job} is in no store")

    async def _resume_rows(self, batch: Batch, last_number: int, timeout: float | Unset | None) -> None:
        await self._resume_all(batch, await self._store_writer.rows(last_number), timeout)

    async def _follow(self, batch: Batch, last_number: int, timeout: float | Unset | None) -> None:
        """Go on resuming rows until the client is closed. A store that fails for now is asked again later."""
        read: Callable[[], Awaitable[list[StoredRow]]] = partial(self._store_writer.rows, last_number)
        try:
            while True:
                try:
                    stored_rows = await read()
                except StoreError as error:
                    if not error.is_transient:
                        raise
                else:
                    read = self._store_writer.claim
                    await self._resume_all(batch, stored_rows, timeout)
                await pause((self._store_writer.lease or 0.0) / CLAIMS_A_LEASE)
        finally:
            batch.exhausted = True  # no job is missing: what others leave stays in the store

    async def _resume_all(self, batch: Batch, stored_rows: Sequence[StoredRow], timeout: float | Unset | None) -> None:
        for count, stored in enumerate(stored_rows, 1):
            if not stored.removed:
                self._resume_one(batch, stored, timeout)
            if count % ROWS_AT_ONCE == 0:
                await pause(0.0)

    def _resume_one(self, batch: Batch, stored: StoredRow, timeout: float | Unset | None) -> None:
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
            batch.add(self._continue(stored, timeout))

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

    def _continue(self, stored: StoredRow, timeout: float | Unset | None) -> DurableWatch[Any]:
        """Continue a watch; its age and its remaining time are measured by the wall clock."""
        row, wall = stored.row, self._store_writer.clock.wall()
        limited = not isinstance(timeout, Unset)
        if not limited and row.timeout is not None and row.deadline is None:  # it was reported: it begins anew
            self._store_writer.put(stored, attrs.evolve(row, deadline=wall + row.timeout))
        watch: DurableWatch[Any] = DurableWatch(self._engine, row.job, read_tag(row.tag), self._store_writer, limited)
        watch.start(
            timeout=_time_left(stored.row, wall) if isinstance(timeout, Unset) else timeout,
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
