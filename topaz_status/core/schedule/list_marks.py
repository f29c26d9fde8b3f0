"""The marks of a list: cursors, and the places to which they lead."""

from __future__ import annotations

import math
from typing import Final

MOST_MARKS: Final = 32
"""The most cursors that are remembered. If there are more, every second one is forgotten."""
WHOLE_SECOND: Final = 1.0
"""Seconds by which the same place seems to move between two reads: services give times in whole seconds."""
NO_MARK: Final = (None, -math.inf)
"""The first page, which has no cursor, lies before all places."""


class ListMarks:
    """Cursors and their places; see :mod:`.list_map` for what a place is."""

    __slots__ = ("_farthest", "_nearest", "_places")

    def __init__(self) -> None:
        self._places: dict[str, float] = {}
        self._bound()

    def __contains__(self, cursor: str) -> bool:
        return cursor in self._places

    @property
    def farthest(self) -> float:
        """Return the greatest place of a mark; minus infinity without one."""
        return self._farthest

    def set(self, cursor: str, place: float) -> None:
        """Remember to which place a cursor leads."""
        self._places[cursor] = place
        if len(self._places) > MOST_MARKS:
            self._places = dict(sorted(self._places.items(), key=lambda mark: mark[1])[::2])
        self._bound()

    def discard(self, cursor: str) -> None:
        """Forget a cursor, if it is known."""
        if self._places.pop(cursor, None) is not None:
            self._bound()

    def clear(self) -> None:
        """Forget all cursors."""
        self._places.clear()
        self._bound()

    def before(self, place: float) -> tuple[str | None, float]:
        """Return the cursor and the place of the last mark before a place, or :data:`NO_MARK`.

        Places within a second of the last one count as one place. Of their cursors, the one named last is returned.
        """
        if place <= self._nearest:
            return NO_MARK
        last = max((at for at in self._places.values() if at < place), default=-math.inf)
        marks = reversed(self._places.items())
        return next((mark for mark in marks if last - WHOLE_SECOND <= mark[1] < place), NO_MARK)

    def _bound(self) -> None:
        self._nearest = min(self._places.values(), default=math.inf)
        self._farthest = max(self._places.values(), default=-math.inf)
