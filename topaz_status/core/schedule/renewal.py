"""Jobs planned anew between two polls, because much more is known of how long such jobs last.

A job is planned by the curve that its table had at its last poll. Where services report nothing, all jobs of a kind
have one table. In a burst they are all planned by the first belief, and soon the first of them end. Without a renewal
the others would wait for polls that were planned before anything was known.

Renewals are few. They begin when a table has learned a quarter more than at the last one (see
:data:`..prediction.life_tables.MUCH_MORE`), and each answer renews a bounded number of jobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from ..prediction.life_tables import Lifetimes
from .tracked_job import TrackedJob

AT_ONCE: Final = 64
"""Jobs that are checked after one answer, at most."""


class Renewal:
    """The jobs that are still to be checked."""

    __slots__ = ("_jobs", "_lifetimes")

    def __init__(self, lifetimes: Lifetimes) -> None:
        self._lifetimes = lifetimes
        self._jobs: deque[TrackedJob] = deque()

    def renew(self, jobs: Iterable[TrackedJob]) -> Iterator[TrackedJob]:
        """Yield the next few of the jobs whose plan is outdated, and have them use what their tables know now.

        Once a table is outgrown, all ``jobs`` are checked, a part of them after each answer. A table that is
        outgrown meanwhile waits until that is done.
        """
        if not self._jobs:
            if not self._lifetimes.outgrown():
                return
            self._jobs.extend(jobs)
        for _ in range(min(AT_ONCE, len(self._jobs))):
            tracked = self._jobs.popleft()
            if tracked.is_outdated:
                tracked.renew(self._lifetimes)
                yield tracked
