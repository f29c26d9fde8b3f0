"""Durable watches: rows on their way to a store, many in one commit, on a thread of their own.

The loop never waits for a disk: what is to be kept is queued, and whoever depends on it is told once it is safe. While
one commit is under way the queue grows, and all of it (up to :data:`MOST_AT_ONCE` rows) is the next one. What waits for
a write that fails is told so with a :class:`~topaz_status.StoreError`; the next write is tried all the same.
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
"""Rows in one commit: few enough that telling whoever waits for them does not hold up the loop."""

Told = Callable[[StoreError | None], None]


@attrs.define(eq=False)
class StoredRow:
    """A row as this client knows it: in the store, or on its way there."""

    row: Row
    stored: bool = False
    """True once it has been in the store."""
    gone: bool = False
    """True once it has been acknowledged or forgotten."""


@attrs.define(eq=False)
class _Write:
    kept: StoredRow
    told: list[Told] = attrs.field(factory=list)
    flush: bool = False


@attrs.define(eq=False)
class StoreWriter:
    """The rows of one client. Made by :meth:`open`; at most one of the store's methods runs at a time."""

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
        return f"<Keeper of {self._store!r}, {len(self._queue)} rows wait>"

    # -- life ---------------------------------------------------------------------------------------------------------

    @classmethod
    async def open(cls, clock: Clock, store: WatchStore, telemetry: Telemetry) -> Self:
        """Open the store.

        Raises:
            StoreError: it cannot be used.
        """
        store_writer = cls(clock, store, telemetry)
        opening = clock.loop.run_in_executor(store_writer._thread, store.open, clock.wall())
        try:
            found = await asyncio.shield(opening)
        except BaseException as error:
            opening.add_done_callback(_retrieve)
            store_writer._let_go()
            if isinstance(error, Exception) and not isinstance(error, StoreError):
                raise _strange(error) from error
            raise
        store_writer._last_number = found.last_number
        if found.purged:
            telemetry.warn_once(
                "purged", f"{found.purged} rows of watches were too old and have been removed from {store!r}"
            )
        return store_writer

    def serve(self, written: Callable[[], object]) -> None:
        """Call ``written`` after each commit."""
        self._written = written

    async def close(self) -> None:
        """Write what is queued, and let go of the store; once, however often this is called."""
        try:
            while self._commit is not None:
                await asyncio.wait([self._commit])
        finally:
            self.closed = True
            self._closing = self._closing or self._let_go()
            queue, self._queue = self._queue, {}
            for write in queue.values():
                _tell(write, StoreError("the client was closed before this could be written"))
        try:
            await asyncio.shield(self._closing)
        except Exception as error:  # noqa: BLE001  # all is written; whatever closing says comes from the store
            self._telemetry.warn_once("store", f"the store did not close as it should: {error}")

    def _let_go(self) -> asyncio.Future[None]:
        closing = self.clock.loop.run_in_executor(self._thread, self._store.close)
        closing.add_done_callback(_retrieve)
        self._thread.shutdown(wait=False)
        return closing

    # -- rows ---------------------------------------------------------------------------------------------------------

    def number(self) -> int:
        """A number for a new row."""
        self._last_number += 1
        return self._last_number

    @property
    def last_number(self) -> int:
        """The highest number of any row so far."""
        return self._last_number

    def put(self, kept: StoredRow, row: Row, told: Told | None = None, *, flush: bool = True) -> None:
        """Bring a row up to date, and say when that is safe: with ``flush`` even from the power going.

        Whoever acknowledged or forgot it meanwhile has the last word.
        """
        kept.row = row
        self._known[row.number] = kept
        self._enqueue(kept, told, flush=flush)

    def drop(self, kept: StoredRow, told: Told | None = None) -> None:
        """Take a row out."""
        kept.gone = True
        self._enqueue(kept, told, flush=False)

    def saved(self, kept: StoredRow, row: Row, *, flush: bool = True) -> asyncio.Future[None]:
        """Do as :meth:`put` does; what is given can be awaited, and need not be: it raises :class:`StoreError`."""
        safe = self._promise()
        self.put(kept, row, lambda error: _resolve(safe, error), flush=flush)
        return safe

    def dropped(self, kept: StoredRow) -> asyncio.Future[None]:
        """Do as :meth:`drop` does; what is given is as for :meth:`saved`."""
        safe = self._promise()
        self.drop(kept, lambda error: _resolve(safe, error))
        return safe

    def _promise(self) -> asyncio.Future[None]:
        promise: asyncio.Future[None] = self.clock.loop.create_future()
        promise.add_done_callback(_retrieve)
        return promise

    async def rows(self, last_number: int) -> list[StoredRow]:
        """Give all rows up to a number, as they are: those in the store, and those on their way there.

        Raises:
            StoreError: they cannot be read.
        """
        if self.closed:
            raise StoreError("the client is closed")
        try:
            loaded = await self.clock.loop.run_in_executor(self._thread, self._store.load)
        except StoreError:
            raise
        except Exception as error:
            raise _strange(error) from error
        rows = [self._adopt(row) for row in loaded]  # what goes meanwhile waits for the thread, and so is still known
        known = {id(kept): kept for kept in (*rows, *self._known.values())}
        found = [kept for kept in known.values() if kept.row.number <= last_number and not kept.gone]
        return sorted(found, key=lambda kept: kept.row.number)

    def _adopt(self, row: Row) -> StoredRow:
        kept = self._known.get(row.number)
        if kept is None:
            kept = self._known[row.number] = StoredRow(row, stored=True)
        return kept

    # -- writing ------------------------------------------------------------------------------------------------------

    def _enqueue(self, kept: StoredRow, told: Told | None, *, flush: bool) -> None:
        if self.closed:
            if told is not None:
                told(StoreError("the client is closed"))
            return
        write = self._queue.setdefault(kept.row.number, _Write(kept))
        write.flush |= flush
        if told is not None:
            write.told.append(told)
        if self._commit is None:
            self._begin()

    def _begin(self) -> None:
        """Hand what is queued to the thread."""
        if not self._queue or self.closed:
            return
        batch = [self._queue.pop(number) for number in list(itertools.islice(self._queue, MOST_AT_ONCE))]
        rows = [write.kept.row for write in batch if not write.kept.gone]
        gone = [write.kept.row.number for write in batch if write.kept.gone]
        flush = any(write.flush for write in batch)
        self._commit = self.clock.loop.run_in_executor(self._thread, lambda: self._store.write(rows, gone, flush=flush))
        self._commit.add_done_callback(lambda commit: self._done(commit, batch))

    def _done(self, commit: asyncio.Future[None], batch: list[_Write]) -> None:
        """Tell whoever waited, and go on."""
        error = _error_of(commit)
        if error is not None:
            self._telemetry.warn_once("store", f"durable watches could not be written: {error}")
        self._commit = None
        self._begin()
        for write in batch:
            write.kept.stored |= error is None
            _tell(write, error)
        self._written()


def _error_of(commit: asyncio.Future[None]) -> StoreError | None:
    if commit.cancelled():
        return StoreError("the write was given up")
    error = commit.exception()
    return error if error is None or isinstance(error, StoreError) else _strange(error)


def _strange(error: BaseException) -> StoreError:
    return StoreError(f"the store failed: {error!r}")


def _tell(write: _Write, error: StoreError | None) -> None:
    for told in write.told:
        told(error)


def _resolve(safe: asyncio.Future[None], error: StoreError | None) -> None:
    if safe.done():
        return
    if error is None:
        safe.set_result(None)
    else:
        safe.set_exception(copy.copy(error))  # a raised exception collects its raisers' frames


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Let nobody complain of an error that nobody needs to hear of."""
    if not future.cancelled():
        future.exception()
