"""Jobs that a sweep did not find, and when they are expected on the list again: lists lag, and fail for a while."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import Final

from .entry import COVERED, REMOVED
from .tracked_job import TrackedJob

FIRST_PAUSE: Final = 4.0
"""Seconds until a missing job is expected on the list again. Each further pause is four times longer."""
LONGEST_ABSENCE: Final = 300.0
"""Seconds until then, at most."""


class Retries:
    """The missing jobs of one list."""

    __slots__ = ("_count", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Collection[TrackedJob]]] = []
        self._count = 0

    def later(self, jobs: Collection[TrackedJob], now: float) -> None:
        """Expect jobs without a page again after a pause."""
        if not jobs:
            return
        for job in jobs:
            job.misses += 1
        pause = min(FIRST_PAUSE ** min(job.misses for job in jobs), LONGEST_ABSENCE)
        self._count += 1
        heapq.heappush(self._waiting, (now + pause, self._count, jobs))

    def due(self, now: float) -> Iterator[TrackedJob]:
        """Give the jobs whose pause ends by ``now``, if they are still watched and still have no page."""
        while self._waiting and self._waiting[0][0] <= now:
            for job in heapq.heappop(self._waiting)[2]:
                if job.group is None and job.level not in {COVERED, REMOVED}:
                    yield job
