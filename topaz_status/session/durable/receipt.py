"""The receipt of a stored outcome: it records that the outcome was delivered, and acknowledges it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from ...errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from .store_writer import StoreWriter
    from .stored_row import StoredRow


@attrs.define(eq=False)
class Receipt:
    """Records in the store that an outcome has been delivered, and later that its row is no longer needed."""

    _store_writer: StoreWriter
    stored_row: StoredRow
    _given: bool = False

    @property
    def is_given(self) -> bool:
        """True once the outcome has been delivered, and the store has recorded that."""
        return self._given

    @property
    def lost(self) -> StoreError | None:
        """Who has the row now, if another client has taken it: the outcome is that client's to deliver."""
        return self.stored_row.lost

    def give(self) -> asyncio.Future[None] | None:
        """Record that the outcome is about to be delivered; the caller awaits the result before it delivers.

        Awaiting raises :class:`StoreError` when the record could not be written. ``None`` means nothing to record.
        """
        end = self.stored_row.row.end
        if self.lost is not None:
            return self._store_writer.saved(self.stored_row, self.stored_row.row)  # which fails
        if self._given or self.stored_row.removed or end is None:
            return None
        row = attrs.evolve(self.stored_row.row, end=attrs.evolve(end, handed_out=True))
        noted = self._store_writer.saved(self.stored_row, row, flush=False)
        noted.add_done_callback(self._noted)
        return noted

    def _noted(self, noted: asyncio.Future[None]) -> None:
        self._given = not noted.cancelled() and noted.exception() is None

    def acknowledge(self) -> asyncio.Future[None]:
        """Remove the outcome's row; the outcome is never delivered again.

        Raises:
            ConfigurationError: the client is closed, or runs on another loop.
        """
        if self._store_writer.closed or not self._store_writer.clock.is_running_here():
            raise ConfigurationError("an outcome is acknowledged while its client is open, and on its event loop")
        return self._store_writer.dropped(self.stored_row)

    def __reduce__(self) -> tuple[object, ...]:
        return _nothing, ()


def _nothing() -> None:
    """Replace a receipt by ``None`` in a pickled or copied outcome: only the original can be acknowledged."""
