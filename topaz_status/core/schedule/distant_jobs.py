"""Jobs that lie so many pages ahead that a sweep for them would cost more polls than it saves at once.

They are polled by themselves. But the cursors of one sweep lead all later ones to the same place, so a sweep is an
investment. When to make it is the problem of renting or buying skis: without knowing the future, rent until the rent
has reached the price. So a sweep is made once as many polls of such jobs were sent as it has pages. This costs at most
twice as much as the better choice would have cost (Karlin et al., Algorithmica 1988). The jobs that wait count as well:
the sweep saves a poll of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .entry import COVERED, IN_FLIGHT
from .tracked_job import TrackedJob


class DistantJobs:
    """The distant jobs of one list, and the polls of such jobs since the last sweep that was made for them."""

    __slots__ = ("_jobs", "_pages", "polls")

    def __init__(self) -> None:
        self._jobs: dict[TrackedJob, None] = {}
        self._pages = math.inf
        """About how many pages the sweep would have, by the latest estimate."""
        self.polls = 0

    def __contains__(self, job: TrackedJob) -> bool:
        return job in self._jobs

    def add(self, jobs: Iterable[TrackedJob], pages: float) -> None:
        """Wait with a sweep for these jobs, which would have so many pages."""
        self._jobs.update(dict.fromkeys(jobs))
        self._pages = pages

    def discard(self, job: TrackedJob) -> None:
        """Remove a job: it is no longer watched, or it is expected on a page again."""
        self._jobs.pop(job, None)

    def due(self) -> list[TrackedJob]:
        """Return the jobs for which a sweep is to be made now, and remove them. Jobs in flight stay."""
        if not self._jobs or len(self._jobs) + self.polls < self._pages:
            return []
        jobs = [job for job in self._jobs if job.group is None and job.level not in {COVERED, IN_FLIGHT}]
        for job in jobs:
            del self._jobs[job]
        return jobs
