"""How late an end will be known, at the load there is: what the plan of looks amounts to.

A job was alive ``gap`` seconds before its next look. With ``over(t)`` the probability that it is over ``t`` seconds
after the last look, the gap costs the integral of ``over`` in seconds of waiting. Per end it is::

    lag = integral of over(t) from 0 to gap / over(gap)

which is half the gap where jobs end at any time alike, and less where the look comes right after the likely time. A
gap is the one that is planned and the wait for the budget: until the look is worth what looks have been worth of
late when they were sent, and no longer than, by Little's law (1961), the looks that are due over the rate at which they
are served, where a page counts once for all whom it should show. The time that an answer takes is not in it.

An end is met late by the gap in which it comes, and that is rarely the present one: looks grow dense towards the time
that is foretold. So the lag of a job is the mean over the gaps ahead of it, each by the chance that the job ends in it.
The gaps are gone through as the schedule would plan them, each should the job be alive by then. What was foretold is
taken to count down, and to be told anew by each look. Gaps that are alike, while neither the time foretold nor the age
changes by half, are summed up as one.

Of many jobs the lag is the mean over the ends that come in a second: at any moment long jobs are met more often than
short ones, each as often as it lasts, so each counts by one over that. Jobs that never end are not told from long ones,
so where hardly anything else is left they make it too high.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, Self

import attrs

from ..policy import PollPolicy
from ..prediction.life_tables import Curve, Lifetimes
from ..prediction.sources import SOONEST, Source
from ..prediction.worth import gap_worth
from .entry import IN_FLIGHT
from .page import PageEntry, page_of
from .tracked_job import TrackedJob

SAMPLE: Final = 32
"""Jobs that speak for all, about."""
GAP_STEPS: Final = 4
"""Moments of a gap that are looked at to sum it up."""
UNLIKELY: Final = 1e-9
"""The hazard that goes for none: where nothing is likely, all moments are alike."""
SHORTEST: Final = 1e-3
LATELY: Final = 1.0 / 32.0
"""The weight of the newest look in what looks are worth of late."""
GAPS: Final = 16
"""Gaps gone through, at most: enough to halve nine hours down to half a second."""
SURELY: Final = 0.05
"""With no more than this chance of being alive a job is gone along no further: the rest ends as in the last gap."""
ALIKE: Final = 0.5
"""The share of the time foretold, or of the age, within which gaps are alike."""


@attrs.frozen
class Queue:
    """What waits for one kind's budget."""

    wait: float
    """Seconds that a look waits once it is due, on average."""
    going: float
    """The worth at which looks are served, in seconds of waiting: what is worth more does not wait."""


@attrs.define
class GoingRate:
    """What looks were worth when they were sent, of late; ``price`` where there is no queue."""

    worth: float

    def served(self, worth: float) -> None:
        """Learn from a look that is sent because it is the most worthwhile."""
        self.worth += LATELY * (worth - self.worth)


@attrs.frozen
class Outlook:
    """What one gap costs. Times are seconds."""

    waiting: float
    """How long the job will have been over by the next look, on average; 0 where it is not."""
    ended: float
    """The probability that it is over by then."""
    gap: float

    @classmethod
    def of(cls, spent: Callable[[float], float], gap: float) -> Self:
        """Sum a gap up; ``spent(t)`` gives the hazard run through ``t`` seconds after the last look."""
        gap = max(gap, SHORTEST)

        def over(after: float) -> float:
            return -math.expm1(-spent(after) - UNLIKELY * after / gap)

        waiting = math.fsum(over(gap * (step + 0.5) / GAP_STEPS) for step in range(GAP_STEPS)) * gap / GAP_STEPS
        return cls(waiting, over(gap), gap)

    @property
    def lag(self) -> float:
        """How late an end in this gap will be known, on average."""
        return min(self.waiting / self.ended, self.gap)


@attrs.frozen
class Prospect:
    """What is to be expected of one job. Times are seconds."""

    lag: float
    """How late its end will be known, on average."""
    lasts: float
    """From its birth to its end."""


def mean_lag(prospects: Iterable[Prospect]) -> float | None:
    """Give how late the ends to come will be known, on average; ``None`` for none."""
    lag = pace = 0.0
    for one in prospects:
        share = 1.0 / max(one.lasts, SHORTEST)
        lag += share * one.lag
        pace += share
    return lag / pace if pace else None


def present_gap(tracked: TrackedJob, now: float, queue: Queue) -> Outlook:
    """Sum up the gap between the last look at a job and the next one, in its turn."""
    entry: PageEntry | TrackedJob = page_of(tracked) or tracked
    at = now
    if entry.level != IN_FLIGHT:
        gap = entry.gap_worth(queue.going, max(entry.due_at + queue.wait - entry.seen_at, 0.0))
        at = max(entry.seen_at + gap, entry.due_at, now)
    return Outlook.of(lambda after: tracked.spent_by(tracked.seen_at + after), at - tracked.seen_at)


@attrs.define
class Course:
    """Where a job stands, should it be alive at ``at``, on the law of what is then predicted of it."""

    at: float
    x: float
    unit: float
    curve: Curve
    before: float
    weight: float

    @classmethod
    def of(cls, tracked: TrackedJob) -> Course:
        """Begin at the last look."""
        x = (tracked.seen_at - tracked.basis_at) / tracked.unit
        return cls(tracked.seen_at, x, tracked.unit, tracked.curve, tracked.before, tracked.weight)

    def move(self, tracked: TrackedJob, seconds: float, lifetimes: Lifetimes) -> None:
        """Let time pass, and a look find the job alive."""
        self.at += seconds
        if tracked.source < Source.OVERDUE:
            remaining = max(tracked.predicted_end_at - self.at, SOONEST)
            self.curve = lifetimes.table(tracked.kind, tracked.source, remaining).curve
            self.x, self.unit = 0.0, remaining
        else:
            self.x += seconds / self.unit
        self.before = self.curve.hazard_before(self.x)

    def spent(self, after: float) -> float:
        """Give the hazard that is run through in so many seconds."""
        return self.curve.hazard_before(self.x + after / self.unit) - self.before

    def gap_worth(self, worth: float, most: float) -> float:
        """Give the gap after which a look is worth that much, ``most`` at most."""
        return gap_worth(worth / self.weight, self.curve, self.x, self.before, self.unit, most=most)

    @property
    def alike(self) -> float:
        """The seconds within which its gaps are alike."""
        return ALIKE * (self.x or 1.0) * self.unit


def prospect(tracked: TrackedJob, now: float, queue: Queue, policy: PollPolicy, lifetimes: Lifetimes) -> Prospect:
    """Foresee how late the end of a job will be known, and how long it will have lasted.

    A page may be read sooner than one of its jobs would be looked at, for the sake of the others: as often as now.
    """
    course = Course.of(tracked)
    gap = present_gap(tracked, now, queue)
    most = max(gap.gap, policy.min_interval) if page_of(tracked) else policy.max_interval
    span, over = gap.gap, gap.ended
    alive, lag, lasted = 1.0, 0.0, course.at - tracked.born_at
    for _ in range(GAPS):
        lag += alive * over * gap.lag
        lasted += alive * span
        alive *= 1.0 - over
        if alive <= SURELY:
            break
        course.move(tracked, span, lifetimes)
        gap = Outlook.of(course.spent, min(_planned(course, tracked, queue, policy), most))
        count = max(int(course.alike / gap.gap), 1)
        span, over = count * gap.gap, 1.0 - (1.0 - gap.ended) ** count
    return Prospect(lag + alive * gap.lag, lasted)


def _planned(course: Course, tracked: TrackedJob, queue: Queue, policy: PollPolicy) -> float:
    """Give the gap until a look is due, and has waited its turn."""
    longest = policy.longest_gap(course.at - tracked.born_at)
    due = max(course.gap_worth(policy.price, longest), policy.min_interval)
    return max(due, course.gap_worth(queue.going, due + queue.wait)) if queue.wait > 0.0 else due
