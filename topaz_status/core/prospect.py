"""How late the end of a job will be known: the gaps that lie ahead of it, one after the other.

An end is met late by the gap in which it comes, and that is rarely the present one: looks grow dense towards the time
that is foretold. So the gaps are gone through as the schedule would plan them, each should the job be alive by then,
and weighed by the chance that it ends in that one. What was foretold is taken to count down, and to be told anew by
each look. Gaps that are alike, while neither the time foretold nor the age changes by half, are summed up as one.
"""

from __future__ import annotations

from typing import Final

import attrs

from .entry import FLYING, PARKED
from .lifetimes import Curve, Lifetimes
from .outlook import Outlook, Prospect, Queue
from .pages import Page
from .policy import PollPolicy
from .predict import SOONEST, Source
from .tracked import Tracked
from .value import gap_worth

GAPS: Final = 16
"""Gaps gone through, at most: enough to halve nine hours down to half a second."""
SURELY: Final = 0.05
"""With no more than this chance of being alive a job is gone along no further: the rest ends as in the last gap."""
ALIKE: Final = 0.5
"""The share of the time foretold, or of the age, within which gaps are alike."""


def page_of(tracked: Tracked) -> Page | None:
    """Give the page that answers for a job in its place."""
    return tracked.group.page if tracked.rung == PARKED and tracked.group is not None else None


def present_gap(tracked: Tracked, now: float, queue: Queue) -> Outlook:
    """Sum up the gap between the last look at a job and the next one, in its turn."""
    entry: Page | Tracked = page_of(tracked) or tracked
    at = now
    if entry.rung != FLYING:
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
    def of(cls, tracked: Tracked) -> Course:
        """Begin at the last look."""
        x = (tracked.seen_at - tracked.basis_at) / tracked.unit
        return cls(tracked.seen_at, x, tracked.unit, tracked.curve, tracked.before, tracked.weight)

    def move(self, tracked: Tracked, seconds: float, lifetimes: Lifetimes) -> None:
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


def prospect(tracked: Tracked, now: float, queue: Queue, policy: PollPolicy, lifetimes: Lifetimes) -> Prospect:
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


def _planned(course: Course, tracked: Tracked, queue: Queue, policy: PollPolicy) -> float:
    """Give the gap until a look is due, and has waited its turn."""
    longest = policy.longest_gap(course.at - tracked.born_at)
    due = max(course.gap_worth(policy.price, longest), policy.min_interval)
    return max(due, course.gap_worth(queue.going, due + queue.wait)) if queue.wait > 0.0 else due
