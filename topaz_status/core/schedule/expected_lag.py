"""How late an end will be known at the present load, by the polls that are planned.

A job was alive at its last poll, ``gap`` seconds before its next one. Let ``over(t)`` be the probability that it is
over ``t`` seconds after the last poll. The gap then costs the integral of ``over``, in seconds of waiting. Per end that
is::

    lag = integral of over(t) from 0 to gap / over(gap)

The lag is half the gap where a job is equally likely to end at any time. It is less where the poll comes right after
the likely time of the end.

A gap is the planned gap plus the wait for the budget. The wait lasts until the worth of the poll reaches the average
worth of polls sent lately. By Little's law (1961) it is no longer than the number of due polls divided by the rate at
which they are served. A page counts once for all jobs that it should show. The time that an answer takes is not
included.

An end is detected late by the gap in which it comes. That is rarely the present gap, because polls grow dense towards
the predicted time. So the lag of a job is the mean over the gaps ahead of it, weighted by the chance that the job ends
in each. Each gap is computed as the schedule would plan it if the job were still alive. The predicted remaining time is
assumed to count down, and each poll to predict it anew. Gaps are alike while neither the remaining time nor the age
changes by half; such gaps are computed as one.

The lag of many jobs is the mean over the ends that come in a second. At any moment long jobs outnumber short ones in
proportion to how long they last. So each job has the weight 1 / lifetime. Jobs that never end cannot be distinguished
from long ones; once little else remains, the estimate is too high.
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
from .page import PageEntry, bare_page_of, page_of
from .tracked_job import TrackedJob

SAMPLE: Final = 32
"""About how many jobs are sampled to represent all."""
GAP_STEPS: Final = 4
"""Moments of a gap at which the integral is computed."""
LEAST_HAZARD: Final = 1e-9
"""The least hazard of a gap: it makes all moments alike where an end is unlikely."""
SHORTEST: Final = 1e-3
NEWEST_WEIGHT: Final = 1.0 / 32.0
"""The weight of the newest poll in the average worth of served polls."""
MOST_GAPS: Final = 16
"""Gaps computed, at most: enough to halve nine hours down to half a second."""
LEAST_ALIVE: Final = 0.05
"""Another gap is computed while the chance of being alive is at least this; the rest ends as in the last gap."""
ALIKE: Final = 0.5
"""The share of the remaining time, or of the age, within which gaps are alike."""


@attrs.frozen
class QueueDelay:
    """What the polls of one kind wait for in its budget."""

    wait: float
    """Mean seconds that a poll waits once it is due."""
    served_worth: float
    """The worth at which polls are served, in seconds of waiting: polls worth more do not wait."""


@attrs.define
class ServedWorth:
    """The average worth of polls when they were sent lately; ``price`` where there is no delay."""

    worth: float

    def served(self, worth: float) -> None:
        """Learn from a poll that is sent because it is worth the most."""
        self.worth += NEWEST_WEIGHT * (worth - self.worth)


@attrs.frozen
class Gap:
    """What one gap costs. Times are seconds."""

    waiting: float
    """How long the job will have been over by the next poll, on average; 0 where it will not be over."""
    ended: float
    """The probability that the job is over by then."""
    length: float

    @classmethod
    def of(cls, spent: Callable[[float], float], gap: float) -> Self:
        """Compute a gap; ``spent(t)`` gives the hazard spent ``t`` seconds after the last poll."""
        gap = max(gap, SHORTEST)

        def over(after: float) -> float:
            return -math.expm1(-spent(after) - LEAST_HAZARD * after / gap)

        waiting = math.fsum(over(gap * (step + 0.5) / GAP_STEPS) for step in range(GAP_STEPS)) * gap / GAP_STEPS
        return cls(waiting, over(gap), gap)

    @property
    def lag(self) -> float:
        """Return how late an end in this gap will be known, on average."""
        return min(self.waiting / self.ended, self.length)


@attrs.frozen
class ExpectedLag:
    """The forecast for one job. Times are seconds."""

    lag: float
    """How late its end will be known, on average."""
    lifetime: float
    """Seconds from the job's birth to its end."""


def mean_lag(forecasts: Iterable[ExpectedLag]) -> float | None:
    """Return how late the ends to come will be known, on average; ``None`` without any job."""
    lag = pace = 0.0
    for one in forecasts:
        share = 1.0 / max(one.lifetime, SHORTEST)
        lag += share * one.lag
        pace += share
    return lag / pace if pace else None


def present_gap(tracked: TrackedJob, now: float, delay: QueueDelay) -> Gap:
    """Compute the gap between the last poll of a job and the next one, including the wait for the budget."""
    at = _polled_at(page_of(tracked) or tracked, now, delay)
    if (page := bare_page_of(tracked)) is not None:
        at = min(at, _polled_at(page, now, delay))
    return Gap.of(lambda after: tracked.spent_by(tracked.seen_at + after), at - tracked.seen_at)


def _polled_at(entry: PageEntry | TrackedJob, now: float, delay: QueueDelay) -> float:
    """Return when an entry is polled, including the wait for the budget."""
    if entry.level == IN_FLIGHT:
        return now
    gap = entry.gap_worth(delay.served_worth, max(entry.due_at + delay.wait - entry.seen_at, 0.0))
    return max(entry.seen_at + gap, entry.due_at, now)


@attrs.define
class HazardPath:
    """The hazard ahead of a job that is alive at ``at``, by the law that its prediction has by then."""

    at: float
    x: float
    unit: float
    curve: Curve
    before: float
    weight: float

    @classmethod
    def of(cls, tracked: TrackedJob) -> HazardPath:
        """Begin at the last poll."""
        x = (tracked.seen_at - tracked.basis_at) / tracked.unit
        return cls(tracked.seen_at, x, tracked.unit, tracked.curve, tracked.before, tracked.weight)

    def move(self, tracked: TrackedJob, seconds: float, lifetimes: Lifetimes) -> None:
        """Move to a poll, ``seconds`` later, that finds the job alive."""
        self.at += seconds
        if tracked.source < Source.OVERDUE:
            remaining = max(tracked.predicted_end_at - self.at, SOONEST)
            self.curve = lifetimes.table(tracked.kind, tracked.source, remaining).curve
            self.x, self.unit = 0.0, remaining
        else:
            self.x += seconds / self.unit
        self.before = self.curve.hazard_before(self.x)

    def spent(self, after: float) -> float:
        """Return the hazard spent in the next ``after`` seconds."""
        return self.curve.hazard_before(self.x + after / self.unit) - self.before

    def gap_worth(self, worth: float, most: float) -> float:
        """Return the gap after which a poll is worth ``worth``, ``most`` at most."""
        return gap_worth(worth / self.weight, self.curve, self.x, self.before, self.unit, most=most)

    @property
    def alike(self) -> float:
        """Return the seconds within which the job's gaps are alike."""
        return ALIKE * (self.x or 1.0) * self.unit


def forecast(
    tracked: TrackedJob, now: float, delay: QueueDelay, policy: PollPolicy, lifetimes: Lifetimes
) -> ExpectedLag:
    """Predict how late the end of a job will be known, and how long it will have lasted.

    A page may be polled sooner than one of its jobs would be by itself, for the sake of the others. The forecast
    assumes that it is polled as often as now.
    """
    path = HazardPath.of(tracked)
    gap = present_gap(tracked, now, delay)
    most = max(gap.length, policy.min_interval) if page_of(tracked) or bare_page_of(tracked) else policy.max_interval
    span, over = gap.length, gap.ended
    alive, lag, lasted = 1.0, 0.0, path.at - tracked.born_at
    for _ in range(MOST_GAPS):
        lag += alive * over * gap.lag
        lasted += alive * span
        alive *= 1.0 - over
        if alive <= LEAST_ALIVE:
            break
        path.move(tracked, span, lifetimes)
        gap = Gap.of(path.spent, min(_planned_gap(path, tracked, delay, policy), most))
        count = max(int(path.alike / gap.length), 1)
        span, over = count * gap.length, 1.0 - (1.0 - gap.ended) ** count
    return ExpectedLag(lag + alive * gap.lag, lasted)


def _planned_gap(path: HazardPath, tracked: TrackedJob, delay: QueueDelay, policy: PollPolicy) -> float:
    """Return the gap until a poll is due and has waited for the budget."""
    longest = policy.longest_gap(path.at - tracked.born_at)
    due = max(path.gap_worth(policy.price, longest), policy.min_interval)
    return max(due, path.gap_worth(delay.served_worth, due + delay.wait)) if delay.wait > 0.0 else due
