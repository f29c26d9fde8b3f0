"""Where jobs lie on a list, as far as its order and the ages of its items show.

A sweep costs a poll for each page. It is worth that for jobs that lie deep in the list, if there are enough of them. So
the map estimates how many jobs of a group each further poll is going to show, on average.

- If the list is in order of age, newest or oldest first, a job's own age shows whether the sweep has passed it. The
  ages on the pages read show how many pages ahead it lies: the next pages are assumed to be as dense as the latest.
- Ages say little if hundreds of items were made in the same second. After ten pages within a second, a job that is a
  second ahead is expected about ten pages ahead. So a sweep in vain ends once its next pages would cost more than the
  jobs are worth.
- If the list is in no order of age, the jobs are anywhere on it. The next page should show as many of them as the pages
  before have shown on average.

Cursors lead back to places on the list. The map assumes that a cursor still leads to what its page showed last.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

import attrs

from .list_order import AgeOrder, ListOrder

SLACK: Final = 1.5
"""Seconds by which two times of creation may be wrong: services give whole seconds, and clocks differ a little."""
MOST_MARKS: Final = 32
"""The most cursors that are remembered. If there are more, every second one is forgotten."""
ENDS: Final = 3
"""The first so many ages of a page show where it begins, by their median; the last so many show where it ends."""
NEWEST_SPAN: Final = 0.5
"""The weight of the newest page in what is learned of the density of items."""


@attrs.frozen
class Stretch:
    """The part of a list that one page shows. Places grow along the list; they are seconds."""

    begin: float
    end: float


@attrs.frozen
class Ahead:
    """What is expected of a sweep for a group of jobs that were not found so far."""

    passed: float
    """The share of the jobs that the page just read should have shown."""
    rate: float
    """How many of them each further poll should show, on average, if they are on the list."""


class ListMap:
    """The places of one list."""

    __slots__ = ("_list_order", "_marks", "_nearest", "_span", "length", "order", "size")

    def __init__(self, size: int) -> None:
        """Begin without knowing anything of a list with ``size`` items a page."""
        self._list_order = ListOrder()
        self.size = size
        self.order = AgeOrder.UNKNOWN
        self.length: int | None = None
        """Pages of the whole list, when a sweep last reached its end; ``None`` before."""
        self._span = 0.0
        """Seconds between the first and the last item of a page."""
        self._marks: dict[str, float] = {}
        """The cursors that serve, and where their pages begin."""
        self._nearest = math.inf
        """The least place of a mark."""

    def learn(self, cursor: str | None, ages: Sequence[float], now: float) -> Stretch | None:
        """Learn from the ages of items on a page, in the order of the list, and return the part that it shows.

        Return ``None`` without ages, or if the list is in no order of age. Ages are seconds.
        """
        self._list_order.learn(ages)
        order = self._list_order.order
        if order is not self.order:
            self.order = order
            self._marks.clear()
            self._nearest = math.inf
        if not ages and cursor is not None:
            self.forget(cursor)
        if not ages or order is AgeOrder.NONE:
            return None
        begin = self._place(now - _middle(ages[:ENDS]))
        end = max(self._place(now - _middle(ages[-ENDS:])), begin)
        self._span += NEWEST_SPAN * (end - begin - self._span) if self._span else end - begin
        if cursor is not None and order is not AgeOrder.UNKNOWN:
            self._mark(cursor, begin)
        return Stretch(begin, end)

    def forget(self, cursor: str) -> None:
        """Forget a cursor that the service refuses, or that leads nowhere."""
        if self._marks.pop(cursor, None) is not None:
            self._nearest = min(self._marks.values(), default=math.inf)

    def ends(self, visited: Collection[str | None]) -> None:
        """Learn that the last of these cursors led to the last page of the list."""
        if None in visited:
            self.length = len(visited)

    def seek(self, born_at: float) -> str | None:
        """Return the cursor of the last known page that begins before a job born then; ``None`` for the first page."""
        if self._nearest == math.inf:
            return None
        place = self._place(born_at) - SLACK
        if place <= self._nearest:
            return None
        return max((mark for mark in self._marks.items() if mark[1] < place), key=_place_of, default=(None, 0.0))[0]

    def ahead(self, stretch: Stretch, births: Sequence[float], count: int, pages: int) -> Ahead:
        """Estimate where ``count`` jobs lie, on a list in order of age, after a sweep of ``pages`` pages.

        ``births`` are the times of birth of a sample of the jobs, and ``stretch`` is the part that the last page shows.
        The rate is that of the nearest jobs if it is better than that of all.
        """
        distances = sorted(self._place(born_at) - stretch.end for born_at in births)
        share = count / len(distances)
        passed = rate = jobs = 0.0
        for distance in distances:
            if distance < -SLACK:
                passed += share
                continue
            if distance <= SLACK:
                passed += share / (pages + 1.0)
            jobs += share
            rate = max(rate, jobs / max(self._pages_to(distance, pages), jobs / self.size))
        return Ahead(passed / count, rate)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _place(self, born_at: float) -> float:
        return born_at if self.order is AgeOrder.OLDEST else -born_at

    def _pages_to(self, distance: float, pages: int) -> float:
        """Return about how many polls it takes to show a job that lies ``distance`` seconds ahead.

        All pages of the sweep so far may be within the error of the ages, so that they seem to show no time at all.
        """
        so_far = max(pages, 1)
        if not self._span:
            return so_far
        return max(distance / max(self._span, SLACK / so_far), 1.0)

    def _mark(self, cursor: str, place: float) -> None:
        self._marks[cursor] = place
        if len(self._marks) > MOST_MARKS:
            self._marks = dict(sorted(self._marks.items(), key=_place_of)[::2])
        self._nearest = min(self._marks.values())


def _middle(ages: Sequence[float]) -> float:
    """Return the middle one of a few ages."""
    return sorted(ages)[len(ages) // 2]


def _place_of(mark: tuple[str, float]) -> float:
    return mark[1]
