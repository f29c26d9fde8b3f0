"""The loops that people write by hand, one for each job, as policies for :mod:`model`."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import attrs
from model import Observation, Poll

from topaz_status import JobRef
from topaz_status.testing.simulator.job_life import Life

INTERVAL: Final = 5.0
"""Seconds: the fixed interval of the vendors' examples and of most loops."""


@attrs.define
class Loop:
    """A loop for each job: poll, sleep, poll again. The loop that has waited longest for a token gets it.

    ``gap`` gives the seconds to sleep, from the observation and the number of polls so far.
    """

    gap: Callable[[Observation, int], float]
    _due: list[tuple[float, int, Life]] = attrs.field(factory=list)
    _order: itertools.count[int] = attrs.field(factory=itertools.count)
    _polls: Counter[JobRef] = attrs.field(factory=Counter)

    def add(self, life: Life, now: float) -> None:
        """See :class:`Policy`: the first poll is due at once."""
        heapq.heappush(self._due, (now, next(self._order), life))

    @property
    def first_at(self) -> float:
        """When the first loop wants or wanted a token; infinite without loops."""
        return self._due[0][0] if self._due else math.inf

    def next_at(self, now: float) -> float:
        """See :class:`Policy`."""
        return max(self.first_at, now)

    def pick(self, now: float) -> Poll | None:
        """See :class:`Policy`."""
        if not self._due or self._due[0][0] > now:
            return None
        return Poll((heapq.heappop(self._due)[2],))

    def saw(self, poll: Poll, seen: Sequence[Observation], cursor: str | None, now: float) -> None:  # noqa: ARG002
        """See :class:`Policy`."""
        for one in seen:
            if not one.ended:
                self._polls[one.life.ref] += 1
                gap = self.gap(one, self._polls[one.life.ref])
                heapq.heappush(self._due, (now + gap, next(self._order), one.life))

    def refused(self, poll: Poll, now: float) -> None:
        """See :class:`Policy`: the loop sleeps as after an answer without any hint."""
        self.saw(poll, [Observation(life, ended=False, remaining=None) for life in poll.jobs], None, now)


def every(seconds: float) -> Callable[[Observation, int], float]:
    """Return the gap of a loop that always sleeps for so many seconds."""
    return lambda _seen, _polls: seconds


fixed: Final = every(INTERVAL)
"""Sleep for 5 s."""


def backoff(_seen: Observation, polls: int) -> float:
    """Sleep 1.5 times as long after each poll, for 30 s at most."""
    return min(1.5 ** min(polls, 20), 30.0)


def until_eta(seen: Observation, _polls: int) -> float:
    """Sleep until the end that the service estimates, at least a second; for 5 s without an estimate."""
    return INTERVAL if seen.remaining is None else max(seen.remaining, 1.0)
