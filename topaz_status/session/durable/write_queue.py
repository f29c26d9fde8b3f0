"""The queue of rows that are not in the store yet: one write a row, however often the row changes meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import attrs

from ...errors import StoreError
from ...store.base import Row
from .stored_row import OnWritten, StoredRow, Write


@attrs.frozen(eq=False)
class Commit:
    """The writes that go into one transaction, and what they are about."""

    writes: Sequence[Write]

    @property
    def rows(self) -> list[Row]:
        """Rows to be written, as they are now."""
        return [write.stored_row.row for write in self.writes if not write.stored_row.removed]

    @property
    def removed(self) -> list[int]:
        """Numbers of rows to be deleted."""
        return [write.stored_row.row.number for write in self.writes if write.stored_row.removed]

    @property
    def flush(self) -> bool:
        """True if a power failure must not undo it."""
        return any(write.flush for write in self.writes)


@attrs.define(eq=False)
class WriteQueue:
    """Writes in the order in which their rows were first changed."""

    _writes: dict[int, Write] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._writes)

    def __contains__(self, number: object) -> bool:
        return number in self._writes

    def add(self, stored_row: StoredRow, on_written: OnWritten | None, *, flush: bool, now: float) -> None:
        """Queue a change of a row."""
        number = stored_row.row.number
        write = self._writes.get(number)
        if write is None:
            write = self._writes[number] = Write(stored_row, now)
        write.add(on_written, flush=flush)

    def take(self, most: int) -> Commit:
        """Take the first writes out of the queue, at most so many."""
        return Commit([self._writes.pop(number) for number in list(itertools.islice(self._writes, most))])

    def put_back(self, commit: Commit) -> None:
        """Queue the writes of a failed commit before all others."""
        writes = {write.stored_row.row.number: write for write in commit.writes}
        for write in commit.writes:
            write.was_tried = True
        for number, write in self._writes.items():
            if number in writes:
                writes[number].join(write)
            else:
                writes[number] = write
        self._writes = writes

    def lose(self, number: int, error: StoreError) -> None:
        """Give up a row that another client has."""
        write = self._writes.pop(number, None)
        if write is not None:
            write.report(error)

    def give_up(self, since: float) -> Iterator[Write]:
        """Give up what a caller has waited for since before ``since``: new rows, and removals.

        A row that may be in the store already, or that is to be removed, stays queued to be removed there.
        """
        for number, write in list(self._writes.items()):
            row = write.stored_row
            if write.queued_at <= since and (row.removed or not row.stored):
                if not write.was_tried and not row.removed:
                    del self._writes[number]
                row.removed = True
                yield write

    def fail(self, error: StoreError) -> None:
        """Give up everything."""
        writes, self._writes = self._writes, {}
        for write in writes.values():
            write.report(error)
