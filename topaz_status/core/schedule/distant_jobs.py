"""Jobs so far ahead on a list that a sweep for them alone costs more polls than it saves.

They are polled singly until that has cost as much as the sweep; then the sweep is made. Its cursors lead all later
sweeps to the same place, so its cost is paid once. This is the rule of renting or buying skis: nobody knows how many
jobs are still to come, and it costs at most twice as much as if somebody knew (Karlin et al., Algorithmica 1988).

Where pages do not show the order of the list, as when all their items were made in the same second, single polls pay
for the sweep that is under way. Once they have cost as much as the pages it has read, it reads as many more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from .entry import COVERED, IN_FLIGHT
from .tracked_job import TrackedJob

MOST_COUNTED: Final = 1_000
"""Single polls that count, at most."""


class DistantJobs:
    """The distant jobs of one list, and how many single polls of such jobs no sweep has been made for so far."""

    __slots__ = ("_jobs", "_latest_pages", "_polls")

    def __init__(self) -> None:
        self._jobs: dict[TrackedJob, None] = {}
        self._latest_pages = math.inf
        """About how many pages a sweep would read for the jobs that came last."""
        self._polls = 0

    def __contains__(self, job: TrackedJob) -> bool:
        return job in self._jobs

    def add(self, jobs: Iterable[TrackedJob], pages: float) -> None:
        """Put off a sweep for these jobs, which would read about so many pages."""
        self._jobs.update(dict.fromkeys(jobs))
        self._latest_pages = pages

    def discard(self, job: TrackedJob) -> None:
        """Remove a job: it is no longer watched, was found, or is expected on a page again."""
        self._jobs.pop(job, None)

    def polled(self) -> None:
        """Count a single poll of a distant job, or of one for which a sweep is under way."""
        self._polls = min(self._polls + 1, MOST_COUNTED)

    def due(self, price: float) -> tuple[list[TrackedJob], float]:
        """Return the jobs for which a sweep is to be made now, and about how many pages it reads; remove these jobs.

        A page costs ``price`` polls. The sweep saves the polls that were counted, and one of each job that waits. Jobs
        in flight go on waiting.
        """
        pages = self._latest_pages
        if not self._jobs or len(self._jobs) + self._polls < pages * price:
            return [], pages
        jobs = [job for job in self._jobs if job.level not in {COVERED, IN_FLIGHT}]
        for job in jobs:
            del self._jobs[job]
        return jobs, pages

    def affords(self, polls: float) -> bool:
        """Return whether there were as many single polls."""
        return self._polls >= polls

    def pay(self, pages: float) -> int:
        """Pay for so many pages with the polls that were counted, and return for how many they suffice."""
        paid = min(self._polls, math.ceil(pages))
        self._polls -= paid
        return paid

    def refund(self, pages: int) -> None:
        """Take back what was paid for pages that are not read."""
        self._polls = min(self._polls + pages, MOST_COUNTED)
