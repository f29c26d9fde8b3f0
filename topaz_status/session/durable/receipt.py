"""The receipt of an outcome that is kept: it notes that the outcome was handed out, and acknowledges it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from ...errors import ConfigurationError

if TYPE_CHECKING:
    from .store_writer import StoredRow, StoreWriter


@attrs.define(eq=False)
class Receipt:
    """Who was given an outcome says with it that it has been given, and later that it is no longer needed."""

    _store_writer: StoreWriter
    kept: StoredRow
    _given: bool = False

    @property
    def is_given(self) -> bool:
        """True once whoever holds it has been given the outcome."""
        return self._given

    def give(self) -> asyncio.Future[None] | None:
        """Note that the outcome is about to be handed out; to be awaited before it is.

        What is awaited raises :class:`StoreError` when that could not be written.
        """
        end = self.kept.row.end
        if self._given or self.kept.gone or end is None:
            return None
        row = attrs.evolve(self.kept.row, end=attrs.evolve(end, handed_out=True))
        noted = self._store_writer.saved(self.kept, row, flush=False)
        noted.add_done_callback(self._noted)
        return noted

    def _noted(self, noted: asyncio.Future[None]) -> None:
        self._given = not noted.cancelled() and noted.exception() is None

    def acknowledge(self) -> asyncio.Future[None]:
        """Take the outcome's row out; it is never handed out again.

        Raises:
            ConfigurationError: the client is closed, or runs on another loop.
        """
        if self._store_writer.closed or not self._store_writer.clock.is_running_here():
            raise ConfigurationError("an outcome is acknowledged while its client is open, and on its event loop")
        return self._store_writer.dropped(self.kept)

    def __reduce__(self) -> tuple[object, ...]:
        return _nothing, ()


def _nothing() -> None:
    """Stands for a receipt where an outcome was pickled or copied: only the original can be acknowledged."""
