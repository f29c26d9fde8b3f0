"""A timer wheel: what is put in for a time comes out in the order of times, however much there is.

A list a tick, sorted when the tick comes to hand, and a heap for what is put into ticks that have. A hundred thousand
items that wait cost nothing until their tick comes, and a pointer each; a heap of all would touch a dozen of them for
each that comes out. Of the same time, who was put in first comes out first.

What is in it may turn stale, and is then passed over: the wheel asks when its turn comes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TICKS: Final = 16.0
"""Ticks in a second."""
_at: Final = itemgetter(0)


class Wheel(Generic[T]):
    """Items of one sort."""

    __slots__ = ("_at_hand", "_count", "_early", "_is_live", "_tick", "_ticks", "_time_of", "_waiting")

    def __init__(self, time_of: Callable[[T], float], is_live: Callable[[float, T], bool]) -> None:
        """Begin empty. ``is_live(at, item)`` tells of an item put in for ``at`` whether it still counts."""
        self._time_of = time_of
        self._is_live = is_live
        self._waiting: dict[int, list[T]] = {}
        self._ticks: list[int] = []
        self._at_hand: list[tuple[float, T]] = []
        """The tick at hand, the last first."""
        self._tick: float = -math.inf
        self._early: list[tuple[float, int, T]] = []
        """What was put into that tick, or an earlier one, since."""
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._at_hand or self._ticks or self._early)

    def put(self, at: float, item: T) -> None:
        """Have an item come out at ``at``, a finite time, which its ``time_of`` tells too."""
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
        at_hand = self._at_hand
        while True:
            while at_hand:
                at, item = at_hand[-1]
                if is_live(at, item):
                    return at if at < early_at else early_at
                at_hand.pop()
            if not self._ticks or self._ticks[0] > TICKS * min(by, early_at):
                return early_at
            at_hand = self._turn()

    def first(self) -> T:
        """Give the item that :meth:`first_at` found."""
        return self._early[0][2] if self._is_early() else self._at_hand[-1][1]

    def due(self, by: float) -> Iterator[T]:
        """Take out one after the other what counts and comes out by ``by``, a finite time."""
        is_live = self._is_live
        while self.first_at(by) <= by:
            if self._early:
                yield heapq.heappop(self._early)[2] if self._is_early() else self._at_hand.pop()[1]
                continue
            at_hand = self._at_hand
            while at_hand and at_hand[-1][0] <= by and not self._early:
                at, item = at_hand.pop()
                if is_live(at, item):
                    yield item

    def sweep(self) -> None:
        """Be rid of what is stale, wherever it waits."""
        is_live = self._is_live
        for tick, items in self._waiting.items():
            self._waiting[tick] = [item for item in items if is_live(self._time_of(item), item)]
        self._at_hand = [pair for pair in self._at_hand if is_live(*pair)]
        self._early = [one for one in self._early if is_live(one[0], one[2])]
        heapq.heapify(self._early)

    def _is_early(self) -> bool:
        early, at_hand = self._early, self._at_hand
        return bool(early) and not (at_hand and at_hand[-1][0] <= early[0][0])

    def _turn(self) -> list[tuple[float, T]]:
        """Bring the next tick to hand, where nothing is left of those before."""
        self._tick = tick = heapq.heappop(self._ticks)
        time_of = self._time_of
        at_hand = [(at, item) for item in self._waiting.pop(tick) if int((at := time_of(item)) * TICKS) == tick]
        at_hand.sort(key=_at)
        at_hand.reverse()
        self._at_hand = at_hand
        return at_hand
