"""A stored row as a client knows it, and the write that waits for it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ...errors import StoreError
from ...store.base import Row

OnWritten = Callable[[StoreError | None], None]
"""Called with ``None`` once a row is safe, or with the error."""


@attrs.define(eq=False)
class StoredRow:
    """A row as this client knows it: in the store, or on its way there."""

    row: Row
    stored: bool = False
    """True once the row has been written to the store."""
    removed: bool = False
    """True once the row has been acknowledged, forgotten or lost."""
    lost: StoreError | None = None
    """Who has the row now, if another client has taken it."""


@attrs.define(eq=False)
class Write:
    """A change of one row that is not in the store yet."""

    stored_row: StoredRow
    queued_at: float
    flush: bool = False
    was_tried: bool = False
    """True once a commit of it has failed: nobody knows whether it took effect."""
    _callbacks: list[OnWritten] = attrs.field(factory=list)

    def add(self, on_written: OnWritten | None, *, flush: bool) -> None:
        """Report to a further caller, too."""
        self.flush |= flush
        if on_written is not None:
            self._callbacks.append(on_written)

    def join(self, later: Write) -> None:
        """Take over a later write of the same row."""
        self.flush |= later.flush
        self._callbacks += later._callbacks

    def report(self, error: StoreError | None) -> None:
        """Report to the callers, to each of them once."""
        callbacks, self._callbacks = self._callbacks, []
        for on_written in callbacks:
            on_written(error)
