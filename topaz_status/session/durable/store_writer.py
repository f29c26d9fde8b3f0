"""The store writer: the rows of a client's durable watches, in the store and on their way there.

The loop never waits for a disk. A row is queued, and a callback reports that it is safe (:mod:`.commits`). When a write
fails, its callbacks get a :class:`~topaz_status.StoreError`; the next write is tried all the same.

A failure that may pass, as of a database that restarts, is no answer: the write is tried again until it succeeds. Two
writes have a limit, the store's *patience*: a new row is refused then, and a row that cannot be removed is reported.
Other writes have none. They go on for as long as the client does, because nothing is handed out before it is stored.

A store that clients share has a lease, which is renewed here. A row that another client has taken is *lost*: whatever
is asked of it fails, and its handles end.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Self
from weakref import WeakValueDictionary

import attrs

from ...errors import StoreError
from ...store.base import Row, SharedStore, WatchStore
from ..telemetry import Telemetry
from ..timing.clock import Clock
from .commits import MOST_AT_ONCE, Commits
from .outage import Outage
from .store_thread import StoreThread, retrieve, store_failure
from .stored_row import OnWritten, StoredRow


@attrs.define(eq=False)
class StoreWriter:
    """Writes the rows of one client. :meth:`open` makes it; at most one of the store's methods runs at a time."""

    clock: Clock
    _thread: StoreThread
    _telemetry: Telemetry
    _last_number: int
    _commits: Commits = attrs.field(init=False)
    _known: WeakValueDictionary[int, StoredRow] = attrs.field(factory=WeakValueDictionary, init=False)
    _on_lost: Callable[[StoredRow, StoreError], object] = attrs.field(default=lambda *_: None, init=False)
    taken_over: int = attrs.field(default=0, init=False)
    """Rows of this client that others have taken."""
    claimed: int = attrs.field(default=0, init=False)
    """Rows that this client has taken from others."""

    def __attrs_post_init__(self) -> None:
        outage = Outage(self.clock, self._telemetry)
        self._commits = Commits(self.clock, self._thread, self._telemetry, outage, self._lose)

    def __repr__(self) -> str:
        return f"<StoreWriter of {self._thread.store!r}, {self.waiting} rows wait>"

    # -- life ---------------------------------------------------------------------------------------------------------

    @classmethod
    async def open(cls, clock: Clock, store: WatchStore, telemetry: Telemetry) -> Self:
        """Open the store.

        Raises:
            StoreError: the store cannot be used.
        """
        thread = StoreThread(clock, store)
        found = await thread.open()
        if found.purged:
            telemetry.warn_once(
                "purged", f"{found.purged} rows of watches were too old and have been removed from {store!r}"
            )
        return cls(clock, thread, telemetry, found.last_number)

    def serve(self, written: Callable[[], object], lost: Callable[[StoredRow, StoreError], object]) -> None:
        """Call ``written`` after each commit, and ``lost`` for each row that another client has taken."""
        self._commits.on_commit, self._on_lost = written, lost

    def stop_waiting(self) -> None:
        """Wait no longer for a store that fails: what cannot be written with the next try fails."""
        self._commits.stop_waiting()

    async def close(self) -> None:
        """Write what is queued, and close the store; once, however often this is called."""
        try:
            await self._commits.close()
        finally:
            closing = self._thread.close()
        try:
            await asyncio.shield(closing)
        except Exception as error:  # noqa: BLE001  # all is written; the error comes from the store itself
            self._telemetry.warn_once("store", f"the store did not close as it should: {error}")

    # -- what is known ------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once nothing more is written."""
        return self._commits.closed

    @property
    def trouble(self) -> StoreError | None:
        """The latest failure of a store that fails in a way that may pass; ``None`` while it works."""
        return self._commits.outage.error

    @property
    def down_for(self) -> float:
        """Seconds for which the store has failed; 0 while it works."""
        return self._commits.outage.seconds

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return self._commits.waiting

    @property
    def lease(self) -> float | None:
        """Seconds of the lease of a store that clients share; ``None`` for a store of one client."""
        store = self._thread.store
        return store.lease if isinstance(store, SharedStore) else None

    @property
    def last_number(self) -> int:
        """The highest number of any row so far."""
        return self._last_number

    def number(self) -> int:
        """Return a number for a new row."""
        self._last_number += 1
        return self._last_number

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(self, stored_row: StoredRow, row: Row, on_written: OnWritten | None = None, *, flush: bool = True) -> None:
        """Update a row, and call ``on_written`` once it is safe: with ``flush`` safe even from a power failure.

        A row that was acknowledged or forgotten meanwhile stays removed.
        """
        stored_row.row = row
        self._known[row.number] = stored_row
        self._commits.add(stored_row, on_written, flush=flush)

    def drop(self, stored_row: StoredRow, on_written: OnWritten | None = None) -> None:
        """Remove a row."""
        stored_row.removed = True
        self._commits.add(stored_row, on_written, flush=False)

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
        promise.add_done_callback(retrieve)
        return promise

    def _lose(self, number: int, error: StoreError) -> None:
        """End a row that another client has."""
        stored_row = self._known.get(number)
        if stored_row is None or stored_row.lost is not None:
            return
        self.taken_over += stored_row.stored
        self._telemetry.taken_over(error)
        stored_row.removed, stored_row.lost = True, error
        self._commits.lose(number, error)
        self.clock.loop.call_soon(self._on_lost, stored_row, error)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def rows(self, last_number: int) -> list[StoredRow]:
        """Return all rows up to a number, as they are: those in the store, and those on their way there.

        Rows of a shared store that have no living owner become this client's.

        Raises:
            StoreError: the rows cannot be read.
        """
        claimed: list[StoredRow] = []
        while some := await self.claim():
            claimed += some
        rows = await self._read(self._thread.store.load)  # a removal waits for the thread, so its row is still known
        known = {id(stored_row): stored_row for stored_row in (*rows, *self._known.values())}
        found = [
            stored_row
            for stored_row in known.values()
            if stored_row.row.number <= last_number and not stored_row.removed
        ]
        return sorted(found, key=lambda stored_row: stored_row.row.number)

    async def claim(self) -> list[StoredRow]:
        """Take some rows of a shared store that have no living owner, and return them; none in a store of one client.

        Raises:
            StoreError: the store fails.
        """
        store = self._thread.store
        if not isinstance(store, SharedStore):
            return []
        rows = await self._read(lambda: store.claim(MOST_AT_ONCE))
        self.claimed += len(rows)
        return rows

    async def _read(self, call: Callable[[], Sequence[Row]]) -> list[StoredRow]:
        if self.closed:
            raise StoreError("the client is closed")
        try:
            loaded = await self._thread.run(call)
        except StoreError as error:
            if error.is_transient and not self.closed:
                self._commits.wait_for_store(error)
            raise
        except Exception as error:
            raise store_failure(error) from error
        return [self._adopt(row) for row in loaded]

    def _adopt(self, row: Row) -> StoredRow:
        stored_row = self._known.get(row.number)
        if stored_row is None:
            stored_row = self._known[row.number] = StoredRow(row, stored=True)
        return stored_row


def _resolve(safe: asyncio.Future[None], error: StoreError | None) -> None:
    if safe.done():
        return
    if error is None:
        safe.set_result(None)
    else:
        safe.set_exception(copy.copy(error))  # a copy, because raising an exception adds frames to it
