"""The store writer: it writes rows of durable watches to a store, many in one commit, on a thread of its own.

The loop never waits for a disk. Rows are queued, and a callback reports that a row is safe. While one commit is under
way the queue grows. The next commit takes up to :data:`MOST_AT_ONCE` of its rows. When a write fails, its callbacks get
a :class:`~topaz_status.StoreError`; the next write is tried all the same.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self
from weakref import WeakValueDictionary

import attrs

from ...errors import StoreError
from ...store.base import Row, WatchStore
from ..telemetry import Telemetry
from ..timing.clock import Clock

MOST_AT_ONCE: Final = 500
"""Most rows in one commit: few enough that their callbacks do not block the loop for long."""

OnWritten = Callable[[StoreError | None], None]
"""Called with ``None`` once a row is safe, or with the error."""


@attrs.define(eq=False)
class StoredRow:
    """A row as this client knows it: in the store, or on its way there."""

    row: Row
    stored: bool = False
    """True once the row has been written to the store."""
    removed: bool = False
    """True once the row has been acknowledged or forgotten."""


@attrs.define(eq=False)
class _Write:
    stored_row: StoredRow
    callbacks: list[OnWritten] = attrs.field(factory=list)
    flush: bool = False


@attrs.define(eq=False)
class StoreWriter:
    """Writes the rows of one client. :meth:`open` makes it; at most one of the store's methods runs at a time."""

    clock: Clock
    _store: WatchStore
    _telemetry: Telemetry
    _written: Callable[[], object] = attrs.field(default=lambda: None, init=False)
    _thread: ThreadPoolExecutor = attrs.field(init=False)
    _queue: dict[int, _Write] = attrs.field(factory=dict, init=False)
    _commit: asyncio.Future[None] | None = attrs.field(default=None, init=False)
    _known: WeakValueDictionary[int, StoredRow] = attrs.field(factory=WeakValueDictionary, init=False)
    _last_number: int = attrs.field(default=0, init=False)
    closed: bool = attrs.field(default=False, init=False)
    _closing: asyncio.Future[None] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="topaz_status store")

    def __repr__(self) -> str:
        return f"<StoreWriter of {self._store!r}, {len(self._queue)} rows wait>"

    # -- life ---------------------------------------------------------------------------------------------------------

    @classmethod
    async def open(cls, clock: Clock, store: WatchStore, telemetry: Telemetry) -> Self:
        """Open the store.

        Raises:
            StoreError: the store cannot be used.
        """
        store_writer = cls(clock, store, telemetry)
        opening = clock.loop.run_in_executor(store_writer._thread, store.open, clock.wall())
        try:
            found = await asyncio.shield(opening)
        except BaseException as error:
            opening.add_done_callback(_retrieve)
            store_writer._close_store()
            if isinstance(error, Exception) and not isinstance(error, StoreError):
                raise _store_failure(error) from error
            raise
        store_writer._last_number = found.last_number
        if found.purged:
            telemetry.warn_once(
                "purged", f"{found.purged} rows of watches were too old and have been removed from {store!r}"
            )
        return store_writer

    @property
    def backlog(self) -> int:
        """Rows that wait to be written, without those of the commit under way."""
        return len(self._queue)

    def serve(self, written: Callable[[], object]) -> None:
        """Call ``written`` after each commit."""
        self._written = written

    async def close(self) -> None:
        """Write what is queued, and close the store; once, however often this is called."""
        try:
            while self._commit is not None:
                await asyncio.wait([self._commit])
        finally:
            self.closed = True
            self._closing = self._closing or self._close_store()
            queue, self._queue = self._queue, {}
            for write in queue.values():
                _report(write, StoreError("the client was closed before this could be written"))
        try:
            await asyncio.shield(self._closing)
        except Exception as error:  # noqa: BLE001  # all is written; the error comes from the store itself
            self._telemetry.warn_once("store", f"the store did not close as it should: {error}")

    def _close_store(self) -> asyncio.Future[None]:
        closing = self.clock.loop.run_in_executor(self._thread, self._store.close)
        closing.add_done_callback(_retrieve)
        self._thread.shutdown(wait=False)
        return closing

    # -- rows ---------------------------------------------------------------------------------------------------------

    def number(self) -> int:
        """Return a number for a new row."""
        self._last_number += 1
        return self._last_number

    @property
    def last_number(self) -> int:
        """The highest number of any row so far."""
        return self._last_number

    def put(self, stored_row: StoredRow, row: Row, on_written: OnWritten | None = None, *, flush: bool = True) -> None:
        """Update a row, and call ``on_written`` once it is safe: with ``flush`` safe even from a power failure.

        A row that was acknowledged or forgotten meanwhile stays removed.
        """
        stored_row.row = row
        self._known[row.number] = stored_row
        self._enqueue(stored_row, on_written, flush=flush)

    def drop(self, stored_row: StoredRow, on_written: OnWritten | None = None) -> None:
        """Remove a row."""
        stored_row.removed = True
        self._enqueue(stored_row, on_written, flush=False)

    def saved(self, stored_row: StoredRow, row: Row, *, flush: bool = True) -> asyncio.Future[None]:
        """Do as :meth:`put` does. The result need not be awaited; awaiting it may raise :class:`StoreError`."""
        safe = self._promise()
        self.put(stored_row, row, lambda error: _resolve(safe, error), flush=flush)
        return safe

    def dropped(self, stored_row: StoredRow) -> asyncio.Future[None]:
        """Do as :meth:`drop` does, with a result like that of :meth:`saved`."""
        safe = self._promise()
        self.drop(stored_row, lambda error: _resolve(safe, error))
        return safe

    def _promise(self) -> asyncio.Future[None]:
        promise: asyncio.Future[None] = self.clock.loop.create_future()
        promise.add_done_callback(_retrieve)
        return promise

    async def rows(self, last_number: int) -> list[StoredRow]:
        """Return all rows up to a number, as they are: those in the store, and those on their way there.

        Raises:
            StoreError: the rows cannot be read.
        """
        if self.closed:
            raise StoreError("the client is closed")
        try:
            loaded = await self.clock.loop.run_in_executor(self._thread, self._store.load)
        except StoreError:
            raise
        except Exception as error:
            raise _store_failure(error) from error
        rows = [self._adopt(row) for row in loaded]  # a removal waits for the thread, so its row is still known
        known = {id(stored_row): stored_row for stored_row in (*rows, *self._known.values())}
        found = [
            stored_row
            for stored_row in known.values()
            if stored_row.row.number <= last_number and not stored_row.removed
        ]
        return sorted(found, key=lambda stored_row: stored_row.row.number)

    def _adopt(self, row: Row) -> StoredRow:
        stored_row = self._known.get(row.number)
        if stored_row is None:
            stored_row = self._known[row.number] = StoredRow(row, stored=True)
        return stored_row

    # -- writing ------------------------------------------------------------------------------------------------------

    def _enqueue(self, stored_row: StoredRow, on_written: OnWritten | None, *, flush: bool) -> None:
        if self.closed:
            if on_written is not None:
                on_written(StoreError("the client is closed"))
            return
        write = self._queue.setdefault(stored_row.row.number, _Write(stored_row))
        write.flush |= flush
        if on_written is not None:
            write.callbacks.append(on_written)
        if self._commit is None:
            self._begin()

    def _begin(self) -> None:
        """Pass queued rows to the thread."""
        if not self._queue or self.closed:
            return
        batch = [self._queue.pop(number) for number in list(itertools.islice(self._queue, MOST_AT_ONCE))]
        rows = [write.stored_row.row for write in batch if not write.stored_row.removed]
        removed = [write.stored_row.row.number for write in batch if write.stored_row.removed]
        flush = any(write.flush for write in batch)
        self._commit = self.clock.loop.run_in_executor(
            self._thread, lambda: self._store.write(rows, removed, flush=flush)
        )
        self._commit.add_done_callback(lambda commit: self._done(commit, batch))

    def _done(self, commit: asyncio.Future[None], batch: list[_Write]) -> None:
        """Begin the next commit, and call the callbacks of this one."""
        error = _error_of(commit)
        if error is not None:
            self._telemetry.warn_once("store", f"durable watches could not be written: {error}")
        self._commit = None
        self._begin()
        for write in batch:
            write.stored_row.stored |= error is None
            _report(write, error)
        self._written()


def _error_of(commit: asyncio.Future[None]) -> StoreError | None:
    if commit.cancelled():
        return StoreError("the write was given up")
    error = commit.exception()
    return error if error is None or isinstance(error, StoreError) else _store_failure(error)


def _store_failure(error: BaseException) -> StoreError:
    return StoreError(f"the store failed: {error!r}")


def _report(write: _Write, error: StoreError | None) -> None:
    for on_written in write.callbacks:
        on_written(error)


def _resolve(safe: asyncio.Future[None], error: StoreError | None) -> None:
    if safe.done():
        return
    if error is None:
        safe.set_result(None)
    else:
        safe.set_exception(copy.copy(error))  # a copy, because raising an exception adds frames to it


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark a future's exception as retrieved, so that asyncio does not report it."""
    if not future.cancelled():
        future.exception()
