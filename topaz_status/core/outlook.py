"""How late an end will be known, at the load there is: what the plan of looks amounts to.

A job was alive ``gap`` seconds before its next look. With ``over(t)`` the probability that it is over ``t`` seconds
after the last look, it will by the next one have been so for ``over(t)``, summed up over the gap: that is the waiting
which the gap costs. Per end it is::

    lag = integral of over(t) from 0 to gap / over(gap)

which is half the gap where jobs end at any time alike, and less where the look comes right after the likely time. A
gap is the one that is planned and the wait for the budget: until the look is worth what looks have been worth of
late when they were sent, and no longer than, by Little's law (1961), the looks that are due over the rate at which they
are served, where a page counts once for all whom it should show. The time that an answer takes is not in it.

Of a job the lag is the mean over the gaps ahead of it, each by the chance that the job ends in it: see
:mod:`.prospect`. Of many it is the mean over the ends that come in a second: at any moment long jobs are met more often
than short ones, each as often as it lasts, so each counts by one over that. Jobs that never end are not told from long
ones, so where hardly anything else is left they make it too high.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, Self

import attrs

SAMPLE: Final = 32
"""Jobs that speak for all, about."""
STEPS: Final = 4
"""Moments of a gap that are looked at to sum it up."""
UNLIKELY: Final = 1e-9
"""The hazard that goes for none: where nothing is likely, all moments are alike."""
SHORTEST: Final = 1e-3
LATELY: Final = 1.0 / 32.0
"""The weight of the newest look in what looks are worth of late."""


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

        waiting = math.fsum(over(gap * (step + 0.5) / STEPS) for step in range(STEPS)) * gap / STEPS
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
