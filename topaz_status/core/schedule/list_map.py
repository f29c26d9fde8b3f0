"""Where jobs lie on a list, as far as its order and the ages of its items show.

A sweep costs a poll for each page. It is worth that for jobs that lie deep in the list, if there are enough of them. So
the map estimates how many jobs of a group each further poll is going to show, on average.

- If the list is in order of age, newest or oldest first, a job's own age shows whether the sweep has passed it. The
  ages on the pages read show how many pages ahead it lies: the next pages are assumed to be as dense as the latest.
- Ages say little if hundreds of items were made in the same second. After ten pages within a second, a job that is a
  second ahead is expected about ten pages ahead. So a sweep in vain ends once its next pages would cost more than the
  jobs are worth.
- Items come in bursts. Behind a burst the list may be empty for minutes, so the distance to a job far ahead is divided
  by the time that an average page of the whole list spans. If the list begins with its oldest items, that is at least
  the time from its first item to the job, divided by the number of pages: it counts the time after the last burst, too.
- If the list is in no order of age, the jobs are anywhere on it. Its pages are read in turn (:mod:`.unordered_list`).
  The next page of a bare list should show as many of them as the pages before have shown on average.

Cursors lead back to places on the list. The map assumes that a cursor still leads to what its page showed last, and
that the cursor named by a page leads to where that page ends.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import attrs

from .list_marks import ListMarks
from .list_order import AgeOrder, ListOrder
from .prior_ages import PriorAges
from .tracked_job import TrackedJob

SLACK: Final = 1.5
"""Seconds by which two times of creation may be wrong: services give whole seconds, and clocks differ a little."""
ENDS: Final = 3
"""The first so many ages of a page show where it begins, by their median; the last so many show where it ends."""
NEWEST_SPAN: Final = 0.5
"""The weight of the newest page in what is learned of the density of items nearby."""
SPANS_REMEMBERED: Final = 64.0
"""The density of items on the whole list is an average over about so many pages. A page that is read again at the same
cursor does not count."""


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

    __slots__ = (
        "_begin",
        "_list_order",
        "_marks",
        "_mean_span",
        "_span",
        "_spans",
        "length",
        "order",
        "prior_ages",
        "size",
    )

    def __init__(self, size: int) -> None:
        """Begin without knowing anything of a list with ``size`` items a page."""
        self._list_order = ListOrder()
        self.size = size
        self.order = AgeOrder.UNKNOWN
        self.length: int | None = None
        """Pages of the whole list, when a sweep last reached its end; ``None`` before."""
        self._span = 0.0
        """Seconds between the first and the last item of a page, by the pages read last."""
        self._mean_span = 0.0
        """The average of that over the whole list."""
        self._spans = 0.0
        """How many pages that mean counts."""
        self._marks = ListMarks()
        self._begin = math.inf
        """The place where the first page begins; infinite while unknown."""
        self.prior_ages = PriorAges()

    def learn(
        self,
        cursor: str | None,
        ages: Sequence[float],
        now: float,
        *,
        next_cursor: str | None = None,
        is_new: bool = True,
    ) -> Stretch | None:
        """Learn from the ages of items on a page, in the order of the list, and return the part that it shows.

        ``next_cursor`` is the cursor that the page names. ``is_new`` is false if the page was read at this cursor
        before. Return ``None`` without ages, or if the list is in no order of age. Ages are seconds.
        """
        self._list_order.learn(ages)
        order = self._list_order.order
        if order is not self.order:
            self.order = order
            self._marks.clear()
            self._begin = math.inf
        if not ages and cursor is not None:
            self.forget(cursor)
        if not ages or order is AgeOrder.NONE:
            return None
        begin = self._place(now - _middle(ages[:ENDS]))
        end = max(self._place(now - _middle(ages[-ENDS:])), begin)
        self._learn_span(end - begin, is_new=is_new)
        if order is not AgeOrder.UNKNOWN:
            if cursor is None:
                self._begin = begin
            else:
                self._marks.set(cursor, begin)
            if next_cursor is not None and next_cursor not in self._marks:
                self._marks.set(next_cursor, end)
        return Stretch(begin, end)

    def nearest_birth(self, job: TrackedJob) -> float:
        """Return the birth of a job or, if nobody has seen it yet, that of the first place where it may be."""
        return self._birth(job, oldest=self.order is AgeOrder.OLDEST)

    def farthest_birth(self, job: TrackedJob) -> float:
        """Return the birth of a job or, if nobody has seen it yet, that of the last place where it may be."""
        return self._birth(job, oldest=self.order is not AgeOrder.OLDEST)

    def forget(self, cursor: str) -> None:
        """Forget a cursor that the service refuses, or that leads nowhere."""
        self._marks.discard(cursor)

    def ends(self, visited: Collection[str | None]) -> None:
        """Learn that the last of these cursors led to the last page of the list."""
        if None in visited:
            self.length = len(visited)

    def seek(self, born_at: float) -> str | None:
        """Return the cursor of the last known page that begins before a job born then; ``None`` for the first page."""
        return self._marks.before(self._place(born_at) - SLACK)[0]

    def skip(self, stretch: Stretch, births: Iterable[float]) -> str | None:
        """Return the known cursor that leads farthest beyond ``stretch``, but still to a place before all jobs ahead.

        ``births`` are the times of birth of all jobs that the sweep is for. Return ``None`` if no such cursor is known.
        """
        if self._marks.farthest <= stretch.end:
            return None
        ahead = (place for place in map(self._place, births) if place >= stretch.end - SLACK)
        cursor, place = self._marks.before(min(ahead, default=-math.inf) - SLACK)
        return cursor if place > stretch.end else None

    def ahead(self, stretch: Stretch, births: Sequence[float], count: int, pages: int) -> Ahead:
        """Estimate where ``count`` jobs lie, on a list in order of age, after a sweep of ``pages`` pages.

        ``births`` are the times of birth of a sample of the jobs, and ``stretch`` is the part that the last page shows.
        The rate is that of the nearest jobs if it is better than that of all.
        """
        share = count / len(births)
        passed = rate = jobs = 0.0
        for place in sorted(map(self._place, births)):
            distance = place - stretch.end
            if distance < -SLACK:
                passed += share
                continue
            if distance <= SLACK:
                passed += share / (pages + 1.0)
            jobs += share
            rate = max(rate, jobs / max(self._pages_to(place, distance, pages), jobs / self.size))
        return Ahead(passed / count, rate)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _birth(self, job: TrackedJob, *, oldest: bool) -> float:
        """Return the birth of a job or, if nobody has seen it yet, its earliest or its latest possible one."""
        if job.known:
            return job.born_at
        return job.born_at - (self.prior_ages.longest if oldest else self.prior_ages.shortest)

    def _place(self, born_at: float) -> float:
        return born_at if self.order is AgeOrder.OLDEST else -born_at

    def _pages_to(self, place: float, distance: float, pages: int) -> float:
        """Return about how many polls it takes to show a job at a place that lies ``distance`` seconds ahead.

        All pages of the sweep so far may be within the error of the ages, so that they seem to show no time at all.
        """
        so_far = max(pages, 1)
        span = max(self._span, self._mean_span)
        if self.length is not None and self.order is AgeOrder.OLDEST:
            span = max(span, (place - self._begin) / self.length)
        return max(distance / max(span, SLACK / so_far), 1.0) if span else so_far

    def _learn_span(self, span: float, *, is_new: bool) -> None:
        self._span += NEWEST_SPAN * (span - self._span) if self._span else span
        if is_new:
            self._spans = min(self._spans + 1.0, SPANS_REMEMBERED)
            self._mean_span += (span - self._mean_span) / self._spans


def _middle(ages: Sequence[float]) -> float:
    """Return the middle one of a few ages."""
    return sorted(ages)[len(ages) // 2]
