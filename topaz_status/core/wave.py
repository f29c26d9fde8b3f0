"""Are the jobs gone, or does the service not know its own jobs? One 404 looks like the other.

A *wave* is many jobs of one kind that are missing at once: an outage (a replica with an empty database, a deployment, a
wrong account), not the end of jobs that have nothing to do with each other. A job is *missing* once it was known and is
answered 404, until an answer shows it again.

Two 404s of a job are believed, where ``MANY`` jobs of the kind are watched, when

- ``ENOUGH`` answers in a row agree: the job's own 404s, and answers that show other jobs. They are counted from the
  moment at which the latest job went missing, and ``OTHERS`` of them show other jobs;
- no job of the kind that was missing has come back within ``LONG_MINUTE``: then 404s are wrong at the moment;
- there was no wave since the job went missing, or that was ``LONG_MINUTE`` ago: others are shown, so this is no outage.

The first of these does not count where fewer are watched, or the job was never seen: it then proves nothing of others.
A wave goes on while at least ``MANY`` jobs are missing, and a fifth or more of all jobs heard of since it began; or
while ``CROWD`` jobs are missing, of however many.
In doubt a job waits longer: that costs seconds, and a job ended wrongly is lost. Every step takes constant time.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from ..models.state import JobRef

MANY: Final = 3
"""Jobs missing at once that may be a wave."""
SHOWN_PER_MISSING: Final = 4
"""Other jobs seen for each missing one, above which there is no wave: less than a fifth is missing."""
CROWD: Final = 10
"""Jobs missing at once that are a wave in any case."""
ENOUGH: Final = 10
"""Answers in a row that agree."""
OTHERS: Final = 3
"""Of these, answers that show other jobs."""
LONG_MINUTE: Final = 60.0
"""Seconds."""


@attrs.define
class Wave:
    """The missing jobs of one kind. Times are seconds of the loop's clock."""

    missing: dict[JobRef, float] = attrs.field(factory=dict, init=False)
    """When each was last answered 404, the longest ago first."""
    _shown: set[JobRef] = attrs.field(factory=set, init=False)
    """Jobs seen since so many were missing that it may be a wave."""
    _agreeing: int = attrs.field(default=0, init=False)
    """Answers that showed other jobs since the latest job went missing."""
    _returned_at: float = attrs.field(default=-math.inf, init=False)
    _on_at: float = attrs.field(default=-math.inf, init=False)
    """When it was last found going on."""

    @property
    def goes_on(self) -> bool:
        """True while so many jobs are missing that their 404s are no verdict."""
        count = len(self.missing)
        return count >= CROWD or (count >= MANY and len(self._shown) <= SHOWN_PER_MISSING * count)

    def missed(self, job: JobRef, now: float) -> bool:
        """A job that was known is answered 404, in the service's own words; true when a new wave is found by it."""
        self._forget_the_old(now)
        if self.missing.pop(job, None) is None:
            self._agreeing = 0
            self._shown.discard(job)
            if len(self.missing) < MANY:
                self._shown.clear()
        self.missing[job] = now
        if not self.goes_on:
            return False
        is_new = now - self._on_at > LONG_MINUTE
        self._on_at = now
        return is_new

    def saw(self, job: JobRef, now: float) -> None:
        """An answer shows a job."""
        if self.missing.pop(job, None) is not None:
            self._returned_at = now
        if MANY <= len(self.missing) < CROWD:
            self._shown.add(job)

    def answered(self) -> None:
        """An answer was of use: it showed at least one job."""
        self._agreeing += 1

    def lacks(self, misses: int) -> int:
        """How many more answers must agree with so many 404s of one job; nobody is asked during a wave."""
        return 0 if self.goes_on else max(0, OTHERS - self._agreeing, ENOUGH - self._agreeing - misses)

    def believes(self, misses: int, since: float, now: float) -> bool:
        """Whether a known job is gone: it was answered ``misses`` 404s in a row from ``since`` on."""
        enough = self._agreeing >= OTHERS and self._agreeing + misses >= ENOUGH
        return enough and self.is_calm(since, now)

    def is_calm(self, since: float, now: float) -> bool:
        """Whether other jobs speak against the 404s of one that has been missing ``since``."""
        if now - self._returned_at < LONG_MINUTE:
            return False
        in_wave = self.goes_on or self._on_at >= since
        return not in_wave or (now - since >= LONG_MINUTE and self._agreeing >= OTHERS)

    def _forget_the_old(self, now: float) -> None:
        """A job that has not been asked about for long is watched no more, or waits for its turn: it tells nothing."""
        while self.missing and now - self.missing[oldest := next(iter(self.missing))] > LONG_MINUTE:
            del self.missing[oldest]
