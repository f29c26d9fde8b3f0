"""A timer wheel: items come out in the order of their times, however many there are (strictly, a calendar queue).

Each tick has a list, which is sorted when the tick becomes current. A heap holds what is added to the current tick or
an earlier one. A hundred thousand waiting items cost a pointer each, and no work until their tick comes; one heap of
all items would touch a dozen of them for each item that comes out. Of items with the same time, the first added comes
out first.

An item may become stale, and is then skipped: the wheel checks it when its turn comes.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TICKS: Final = 16.0
"""Ticks in a second: a power of two, so that the edges of ticks are exact."""


class TimerWheel(Generic[T]):
    """Items of one type, each with a time."""

    __slots__ = ("_count", "_current", "_current_ats", "_early", "_is_live", "_tick", "_ticks", "_time_of", "_waiting")

    def __init__(self, time_of: Callable[[T], float], is_live: Callable[[float, T], bool]) -> None:
        """Begin empty.

        ``time_of(item)`` gives the time of the item's latest :meth:`put`. ``is_live(at, item)`` gives whether an item
        that was added for ``at`` still counts.
        """
        self._time_of = time_of
        self._is_live = is_live
        self._waiting: dict[int, list[T]] = {}
        self._ticks: list[int] = []
        self._current: list[T] = []
        """The items of the current tick, the last first."""
        self._current_ats: list[float] = []
        """The times of those items."""
        self._tick: float = -math.inf
        self._early: list[tuple[float, int, T]] = []
        """What was added to that tick, or an earlier one, since it became current."""
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._current or self._ticks or self._early)

    def put(self, at: float, item: T) -> None:
        """Add an item to come out at ``at``: a finite time, 0 or later, and the one that ``time_of`` gives for it."""
        tick = int(at * TICKS)
        if tick <= self._tick:
            self._count += 1
            heapq.heappush(self._early, (at, self._count, item))
            return
        waiting = self._waiting.get(tick)
        if waiting is None:
            self._waiting[tick] = [item]
            heapq.heappush(self._ticks, tick)
        else:
            waiting.append(item)

    def first_at(self, by: float = math.inf) -> float:
        """Return the time of the first live item if it is ``by`` or earlier; else any later time."""
        early, is_live = self._early, self._is_live
        while early and not is_live(early[0][0], early[0][2]):
            heapq.heappop(early)
        early_at = early[0][0] if early else math.inf
        while True:
            current, ats = self._current, self._current_ats
            while current:
                at = ats[-1]
                if is_live(at, current[-1]):
                    return at if at < early_at else early_at
                current.pop()
                ats.pop()
            if not self._ticks or self._ticks[0] > TICKS * min(by, early_at):
                return early_at
            self._advance()

    def due(self, by: float) -> Iterator[T]:
        """Remove and yield the live items with times up to ``by``, one after the other; ``by`` is finite.

        Before the caller asks for the next item, it makes sure that the one it took no longer counts for that time.
        """
        is_live = self._is_live
        while (first_at := self.first_at(by)) <= by:
            current, ats = self._current, self._current_ats
            if self._early:
                if ats and ats[-1] == first_at:
                    ats.pop()
                    yield current.pop()
                else:
                    yield heapq.heappop(self._early)[2]
                continue
            while current and ats[-1] <= by and not self._early:
                at, item = ats.pop(), current.pop()
                if is_live(at, item):
                    yield item

    def sweep(self) -> None:
        """Remove what is stale, wherever it waits."""
        is_live, time_of = self._is_live, self._time_of
        waiting = {
            tick: [item for item in items if tick <= (at := time_of(item)) * TICKS < tick + 1 and is_live(at, item)]
            for tick, items in self._waiting.items()
        }
        self._waiting = {tick: items for tick, items in waiting.items() if items}
        self._ticks = sorted(self._waiting)
        live = [(at, item) for at, item in zip(self._current_ats, self._current, strict=True) if is_live(at, item)]
        self._current_ats, self._current = [at for at, _ in live], [item for _, item in live]
        self._early = [one for one in self._early if is_live(one[0], one[2])]
        heapq.heapify(self._early)

    def clear(self) -> None:
        """Remove everything."""
        self._waiting.clear()
        self._ticks.clear()
        self._current, self._current_ats = [], []
        self._early.clear()

    def _advance(self) -> None:
        """Make the next tick current, once the last one is used up; items put again for another time are left out."""
        self._tick = tick = heapq.heappop(self._ticks)
        items = self._waiting.pop(tick)
        items.sort(key=self._time_of)
        ats = list(map(self._time_of, items))
        begin, end = bisect_left(ats, tick / TICKS), bisect_left(ats, (tick + 1) / TICKS)
        self._current, self._current_ats = items[begin:end], ats[begin:end]
        self._current.reverse()
        self._current_ats.reverse()
