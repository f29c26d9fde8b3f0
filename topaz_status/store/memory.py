"""A store in memory: watches outlive their client, but not their process. For tests, and as the simplest store."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import StoreError
from .base import RETENTION, Opening, Row
from .row_columns import key_of


class MemoryStore:
    """A :class:`~topaz_status.WatchStore` that holds its rows in memory.

    Args:
        keep: seconds for which an unchanged row is kept; ``None`` for ever.
    """

    def __init__(self, *, keep: float | None = RETENTION) -> None:
        self._keep = keep
        self._rows: dict[tuple[str, str], Row] = {}
        self._last = 0
        self._in_use = False

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._rows)} rows{', in use' if self._in_use else ''}>"

    def open(self, now: float) -> Opening:
        """See :class:`~topaz_status.WatchStore`."""
        if self._in_use:
            raise StoreError("another client uses this MemoryStore")
        self._in_use = True
        stale = [] if self._keep is None else [row for row in self.load() if row.is_stale(now - (self._keep or 0.0))]
        self.write((), [row.number for row in stale], flush=True)
        return Opening(self._last, len(stale))

    def write(self, rows: Sequence[Row], gone: Sequence[int], *, flush: bool) -> None:  # noqa: ARG002  # nothing to flush
        """See :class:`~topaz_status.WatchStore`."""
        for row in rows:
            key = key_of(row.job)
            existing = self._rows.get(key)
            if existing is None or existing.number <= row.number:
                self._rows[key] = row
            self._last = max(self._last, row.number)
        if gone:
            numbers = set(gone)
            self._rows = {key: row for key, row in self._rows.items() if row.number not in numbers}

    def load(self) -> list[Row]:
        """See :class:`~topaz_status.WatchStore`."""
        return sorted(self._rows.values(), key=lambda row: row.number)

    def close(self) -> None:
        """See :class:`~topaz_status.WatchStore`."""
        self._in_use = False
