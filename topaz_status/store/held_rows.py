"""The rows that one client holds in a table that others use, too: as far as it knows, until it hears otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from .base import Row
from .row_columns import key_of

Key = tuple[str, str]
"""What a job's row is found by: see :func:`.row_columns.key_of`."""


@attrs.define
class HeldRows:
    """The number of each job's row, and the job of each number."""

    keys: dict[int, Key] = attrs.field(factory=dict)
    _numbers: dict[Key, int] = attrs.field(factory=dict)

    def add(self, rows: Iterable[Row]) -> dict[int, Key]:
        """Note that these rows are this client's. Return the earlier rows of their jobs, which they replace."""
        replaced = {}
        for row in rows:
            key = key_of(row.job)
            before = self._numbers.get(key)
            if before is not None and before != row.number:
                replaced[before] = self.keys.pop(before)
            self._numbers[key] = row.number
            self.keys[row.number] = key
        return replaced

    def remove(self, numbers: Iterable[int]) -> None:
        """Note that these rows are gone, or another's."""
        for number in numbers:
            key = self.keys.pop(number, None)
            if key is not None:
                del self._numbers[key]

    def newest(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows without those that a row of the same job with a higher number replaces."""
        newest: dict[Key, Row] = {}
        for row in rows:
            key = key_of(row.job)
            best = newest[key].number if key in newest else self._numbers.get(key, row.number)
            if row.number >= best:
                newest[key] = row
        return list(newest.values())
