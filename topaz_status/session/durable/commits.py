"""Commits: queued rows go to the store, many in one transaction, and again when that fails in a way that may pass.

While one commit is under way the queue grows. The next commit takes up to :data:`MOST_AT_ONCE` of its rows. With
nothing queued, the lease of a shared store is renewed; a commit renews it, too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ...errors import StoreError
from ...store.base import SharedStore
from ..telemetry import Telemetry
from ..timing.clock import Clock
from .outage import Outage
from .store_thread import StoreThread, error_of
from .stored_row import OnWritten, StoredRow, Write
from .write_queue import Commit, WriteQueue

MOST_AT_ONCE: Final = 500
"""Most rows in one commit."""
MOST_REPORTS_AT_ONCE: Final = 50
"""Rows whose callbacks are called in one turn of the loop: few enough that they do not block it for long."""
MOST_WAITING: Final = 10_000
"""During an outage, a new row is refused at once while so many rows wait already."""
STORE_PATIENCE: Final = 60.0
"""Seconds for which a caller waits for a store that does not say how long."""
RENEWALS_A_LEASE: Final = 3
"""A lease is renewed so often before it can lapse."""

Lost = Mapping[int, StoreError]


@attrs.define(eq=False)
class Commits:
    """The way of rows into one store. At most one commit is under way at a time."""

    _clock: Clock
    _thread: StoreThread
    _telemetry: Telemetry
    outage: Outage
    _on_lost: Callable[[int, StoreError], object]
    """Called for each row that another client has."""
    on_commit: Callable[[], object] = lambda: None
    """Called after each commit."""
    _queue: WriteQueue = attrs.field(factory=WriteQueue, init=False)
    _commit: Commit = attrs.field(factory=lambda: Commit(()), init=False)
    """What is being written."""
    _writing: asyncio.Future[Lost | None] | None = attrs.field(default=None, init=False)
    _reports: deque[tuple[Write, StoreError | None]] = attrs.field(factory=deque, init=False)
    """Writes that are done, whose callers have not heard of it yet."""
    _retry: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _renewal: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _renewal_is_due: bool = attrs.field(default=False, init=False)
    _is_closing: bool = attrs.field(default=False, init=False)
    closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._renew_later()

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._queue) + len(self._commit.writes)

    def add(self, stored_row: StoredRow, on_written: OnWritten | None, *, flush: bool) -> None:
        """Have a row written, or deleted if it is removed, and ``on_written`` called."""
        refusal = stored_row.lost or self._refusal(stored_row)
        if refusal is None:
            self._queue.add(stored_row, on_written, flush=flush, now=self._clock.now())
            self._begin()
        elif on_written is not None:
            self._clock.loop.call_soon(on_written, refusal)

    def lose(self, number: int, error: StoreError) -> None:
        """Give up what is queued about a row that another client has."""
        self._queue.lose(number, error)

    def stop_waiting(self) -> None:
        """Wait no longer for a store that fails: what cannot be written with the next try fails."""
        self._is_closing = True
        if self._retry is not None:
            self._try_again()

    async def close(self) -> None:
        """Write what is queued."""
        self.stop_waiting()
        try:
            while self._writing is not None:
                await asyncio.wait([self._writing])
        finally:
            self.closed = True
            self._report(len(self._reports))
            for timer in (self._retry, self._renewal):
                if timer is not None:
                    timer.cancel()
            self._queue.fail(StoreError("the client was closed before this could be written"))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _refusal(self, stored_row: StoredRow) -> StoreError | None:
        """Return why a row cannot even be queued; ``None`` if it can."""
        if self.closed:
            return StoreError("the client is closed")
        is_new = not stored_row.stored and stored_row.row.number not in self._queue
        if is_new and self.outage.error is not None and self.waiting >= MOST_WAITING:
            return _unavailable(self.outage.error, f"{self.waiting} rows wait already")
        return None

    def _begin(self) -> None:
        """Pass queued rows to the thread, or renew the lease if it is time to."""
        store = self._thread.store
        if self._writing is not None or self._retry is not None or self.closed:
            return
        if self._queue:
            commit = self._commit = self._queue.take(MOST_AT_ONCE)
            rows, removed, flush = commit.rows, commit.removed, commit.flush
            self._writing = self._thread.run(lambda: store.write(rows, removed, flush=flush))
        elif self._renewal_is_due and isinstance(store, SharedStore):
            self._writing = self._thread.run(store.renew)
        else:
            return
        self._writing.add_done_callback(self._done)

    def _done(self, writing: asyncio.Future[Lost | None]) -> None:
        """Begin the next commit, and call the callbacks of this one."""
        error = error_of(writing)
        commit, self._commit, self._writing = self._commit, Commit(()), None
        if error is not None and error.is_transient:
            self._queue.put_back(commit)
            self.wait_for_store(error)
            return
        if error is None:
            self.outage.over()
            self._renewal_is_due = False
            for number, taken in (writing.result() or {}).items():
                self._on_lost(number, taken)
        else:
            self._telemetry.warn_once("store", f"durable watches could not be written: {error}")
        self._begin()
        if not self._reports:
            self._clock.loop.call_soon(self._report)
        for write in commit.writes:
            write.stored_row.stored |= error is None and write.stored_row.lost is None
            self._reports.append((write, error or write.stored_row.lost))

    def _report(self, most: int = MOST_REPORTS_AT_ONCE) -> None:
        """Report some writes to their callers, in the order in which they were done, and the others in later turns."""
        for _ in range(min(most, len(self._reports))):
            write, error = self._reports.popleft()
            write.report(error)
        self.on_commit()
        if self._reports:
            self._clock.loop.call_soon(self._report)

    def wait_for_store(self, error: StoreError) -> None:
        """Try again later; at once give up what has waited too long, or everything if the client closes."""
        delay = self.outage.failed(error)
        if self._is_closing:
            self._queue.fail(_unavailable(error, "the client is being closed"))
            return
        store = self._thread.store
        patience = store.patience if isinstance(store, SharedStore) else STORE_PATIENCE
        for write in self._queue.give_up(self._clock.now() - patience):
            write.report(_unavailable(error, f"this could not be written for {patience:g} s"))
        if self._retry is None:
            self._retry = self._clock.loop.call_later(delay, self._try_again)

    def _try_again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry, self._renewal_is_due = None, True
        self._begin()

    def _renew_later(self) -> None:
        store = self._thread.store
        if isinstance(store, SharedStore):
            self._renewal = self._clock.loop.call_later(store.lease / RENEWALS_A_LEASE, self._renew)

    def _renew(self) -> None:
        self._renewal_is_due = True
        self._begin()
        self._renew_later()


def _unavailable(error: StoreError, text: str) -> StoreError:
    """Return the error of a write that waits for a store in vain."""
    return StoreError(f"{text}; the store fails: {error}")
