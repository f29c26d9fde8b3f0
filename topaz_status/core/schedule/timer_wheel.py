"""A timer wheel: what is put in for a time comes out in the order of times, however much there is.

A list a tick, sorted when the tick comes to hand, and a heap for what is put into ticks that have. A hundred thousand
items that wait cost nothing until their tick comes, and a pointer each; a heap of all would touch a dozen of them for
each that comes out. Of the same time, who was put in first comes out first.

What is in it may turn stale, and is then passed over: the wheel asks when its turn comes.
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
    """Items of one sort."""

    __slots__ = ("_at_hand", "_ats", "_count", "_early", "_is_live", "_tick", "_ticks", "_time_of", "_waiting")

    def __init__(self, time_of: Callable[[T], float], is_live: Callable[[float, T], bool]) -> None:
        """Begin empty.

        ``time_of(item)`` gives the time for which an item was put in last; ``is_live(at, item)`` tells of one that was
        put in for ``at`` whether it still counts.
        """
        self._time_of = time_of
        self._is_live = is_live
        self._waiting: dict[int, list[T]] = {}
        self._ticks: list[int] = []
        self._at_hand: list[T] = []
        """The tick at hand, the last first."""
        self._ats: list[float] = []
        """Their times."""
        self._tick: float = -math.inf
        self._early: list[tuple[float, int, T]] = []
        """What was put into that tick, or an earlier one, since."""
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._at_hand or self._ticks or self._early)

    def put(self, at: float, item: T) -> None:
        """Have an item come out at ``at``, a finite time, 0 or later, which its ``time_of`` tells too."""
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
        """Give the time of the first that counts, if that is ``by`` then; else any later one."""
        early, is_live = self._early, self._is_live
        while early and not is_live(early[0][0], early[0][2]):
            heapq.heappop(early)
        early_at = early[0][0] if early else math.inf
        while True:
            at_hand, ats = self._at_hand, self._ats
            while at_hand:
                at = ats[-1]
                if is_live(at, at_hand[-1]):
                    return at if at < early_at else early_at
                at_hand.pop()
                ats.pop()
            if not self._ticks or self._ticks[0] > TICKS * min(by, early_at):
                return early_at
            self._turn()

    def due(self, by: float) -> Iterator[T]:
        """Take out one after the other what counts and comes out by ``by``, a finite time.

        Whoever takes an item sees to it that it no longer counts for that time before the next one is asked for.
        """
        is_live = self._is_live
        while (first_at := self.first_at(by)) <= by:
            at_hand, ats = self._at_hand, self._ats
            if self._early:
                if ats and ats[-1] == first_at:
                    ats.pop()
                    yield at_hand.pop()
                else:
                    yield heapq.heappop(self._early)[2]
                continue
            while at_hand and ats[-1] <= by and not self._early:
                at, item = ats.pop(), at_hand.pop()
                if is_live(at, item):
                    yield item

    def sweep(self) -> None:
        """Be rid of what is stale, wherever it waits."""
        is_live, time_of = self._is_live, self._time_of
        waiting = {
            tick: [item for item in items if tick <= (at := time_of(item)) * TICKS < tick + 1 and is_live(at, item)]
            for tick, items in self._waiting.items()
        }
        self._waiting = {tick: items for tick, items in waiting.items() if items}
        self._ticks = sorted(self._waiting)
        live = [(at, item) for at, item in zip(self._ats, self._at_hand, strict=True) if is_live(at, item)]
        self._ats, self._at_hand = [at for at, _ in live], [item for _, item in live]
        self._early = [one for one in self._early if is_live(one[0], one[2])]
        heapq.heapify(self._early)

    def clear(self) -> None:
        """Be rid of everything."""
        self._waiting.clear()
        self._ticks.clear()
        self._at_hand, self._ats = [], []
        self._early.clear()

    def _turn(self) -> None:
        """Bring the next tick to hand, where nothing is left of those before; without what was put in again since."""
        self._tick = tick = heapq.heappop(self._ticks)
        items = self._waiting.pop(tick)
        items.sort(key=self._time_of)
        ats = list(map(self._time_of, items))
        begin, end = bisect_left(ats, tick / TICKS), bisect_left(ats, (tick + 1) / TICKS)
        self._at_hand, self._ats = items[begin:end], ats[begin:end]
        self._at_hand.reverse()
        self._ats.reverse()
