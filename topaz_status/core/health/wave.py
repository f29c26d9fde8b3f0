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
The account may have few jobs of each kind, and all of them missing. So each kind's wave consults a *wider* one, over
all jobs of the client, by the same rules: it must be calm as well, and where fewer than ``MANY`` jobs of the kind are
watched, its answers are the ones that agree. It is over all accounts, because one gateway or base URL may stand before
both services. It is not asked where the kind is well, because services fail separately.

A wave goes on while at least ``MANY`` jobs are missing, and a fifth or more of all jobs heard of since it began; or
while ``CROWD`` jobs are missing, of however many.
In doubt a job waits longer: that costs seconds, and a job ended wrongly is lost. Every step takes constant time.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from ...models.job import JobRef

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
    """The missing jobs of one kind, or of all. Times are seconds of the loop's clock."""

    wider: Wave | None = None
    """The wave over all kinds."""
    few: bool = attrs.field(default=False, init=False)
    """True while fewer than ``MANY`` jobs of the kind are watched: then answers about any kind bear out a 404."""
    missing: dict[JobRef, float] = attrs.field(factory=dict, init=False)
    """When each was last answered 404, the longest ago first."""
    _shown: set[JobRef] = attrs.field(factory=set, init=False)
    """Jobs seen since the latest of the first ``MANY`` went missing."""
    agreeing: int = attrs.field(default=0, init=False)
    """Answers that showed other jobs since the latest job went missing."""
    _returned_at: float = attrs.field(default=-math.inf, init=False)
    _on_at: float = attrs.field(default=-math.inf, init=False)
    """When it was last found going on."""

    @property
    def goes_on(self) -> bool:
        """True while so many jobs are missing, of the kind or of all, that their 404s are no verdict."""
        return self._is_on or (self._consulted is not None and self._consulted.goes_on)

    @property
    def extent(self) -> int:
        """How many jobs are missing, of the kind or of all: as many as speak against a 404."""
        wider = self._consulted
        return len(self.missing) if self._is_on or wider is None else max(len(self.missing), len(wider.missing))

    @property
    def _is_on(self) -> bool:
        count = len(self.missing)
        return count >= CROWD or (count >= MANY and len(self._shown) <= SHOWN_PER_MISSING * count)

    @property
    def _consulted(self) -> Wave | None:
        """The wider wave; ``None`` where the kind is well: so many others of it are shown that no other kind counts."""
        is_well = len(self._shown) > SHOWN_PER_MISSING * max(1, len(self.missing))
        return None if is_well else self.wider

    @property
    def witness(self) -> Wave:
        """Whose answers bear out a 404: those about the kind or, where it has few jobs, about all."""
        return self.wider if self.few and self.wider is not None else self

    def missed(self, job: JobRef, now: float) -> bool:
        """A job that was known is answered 404, in the service's own words; true when a new wave is found by it.

        A new wave over all kinds is not told where one of the kind goes on.
        """
        found_wider = self.wider is not None and self.wider.missed(job, now)
        self._forget_the_old(now)
        if self.missing.pop(job, None) is None:
            self.agreeing = 0
            self._shown.discard(job)
            if len(self.missing) < MANY:
                self._shown.clear()
        self.missing[job] = now
        if not self._is_on:
            return found_wider
        is_new = now - self._on_at > LONG_MINUTE
        self._on_at = now
        return is_new

    def saw(self, job: JobRef, now: float) -> None:
        """An answer shows a job."""
        if self.wider is not None:
            self.wider.saw(job, now)
        if self.missing.pop(job, None) is not None:
            self._returned_at = now
        if len(self.missing) < CROWD:
            self._shown.add(job)

    def answered(self) -> None:
        """An answer was of use: it showed at least one job."""
        self.agreeing += 1
        if self.wider is not None:
            self.wider.answered()

    @property
    def listens(self) -> bool:
        """True while any job is missing, of this kind or another: otherwise no answer tells anything."""
        return bool(self.missing) or (self.wider is not None and bool(self.wider.missing))

    def lacks(self, misses: int) -> int:
        """How many more answers must agree with so many 404s of one job; nobody is asked during a wave."""
        agreeing = self.witness.agreeing
        return 0 if self.goes_on else max(0, OTHERS - agreeing, ENOUGH - agreeing - misses)

    def believes(self, misses: int, since: float, now: float) -> bool:
        """Whether a known job is gone: it was answered ``misses`` 404s in a row from ``since`` on."""
        agreeing = self.witness.agreeing
        return agreeing >= OTHERS and agreeing + misses >= ENOUGH and self.is_calm(since, now)

    def is_calm(self, since: float, now: float) -> bool:
        """Whether other jobs speak against the 404s of one that has been missing ``since``."""
        wider = self._consulted
        return self._is_calm(since, now) and (wider is None or wider.is_calm(since, now))

    def _is_calm(self, since: float, now: float) -> bool:
        if now - self._returned_at < LONG_MINUTE:
            return False
        in_wave = self._is_on or self._on_at >= since
        return not in_wave or (now - since >= LONG_MINUTE and self.agreeing >= OTHERS)

    def _forget_the_old(self, now: float) -> None:
        """A job that has not been asked about for long is watched no more, or waits for its turn: it tells nothing."""
        while self.missing and now - self.missing[oldest := next(iter(self.missing))] > LONG_MINUTE:
            del self.missing[oldest]
