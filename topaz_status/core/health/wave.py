"""Waves of 404s: were the jobs deleted, or does the service not know its own jobs? A single 404 does not show which.

A job is *missing* if it was known and is answered 404, until an answer shows it again. A *wave* is many jobs of one
kind that are missing at once. It is taken for an outage (a replica with an empty database, a deployment, a wrong
account), because unrelated jobs do not end together.

Where ``MANY`` jobs of the kind are watched, two 404s of a job are believed if all of these hold:

- ``ENOUGH`` answers in a row agree: the job's own 404s, and answers that show other jobs. The count starts when the
  latest job went missing. At least ``OTHERS`` of the answers show other jobs.
- No missing job of the kind has come back within ``LONG_MINUTE``. If one has, 404s are wrong at the moment.
- There was no wave since the job went missing. Or the job has been missing for ``LONG_MINUTE``, and ``OTHERS`` answers
  show other jobs, so this is no outage.

The first rule does not apply if fewer jobs are watched, or if the job was never seen: its 404 then proves nothing of
other jobs.

An account may have few jobs of each kind, all of them missing. So the wave of each kind consults a *wider* wave, over
all jobs of the client, by the same rules. The wider wave must be calm as well. If fewer than ``MANY`` jobs of the kind
are watched, the agreeing answers are those of the wider wave. It covers all accounts, because one gateway or base URL
may stand before all services. It is not consulted while the kind is well, because services fail separately.

A wave goes on while at least ``MANY`` jobs are missing, and they are a fifth or more of all jobs reported since it
began. It also goes on while ``CROWD`` jobs are missing, whatever their share. In doubt a job waits longer: that costs
seconds, while a job that is ended wrongly is lost. Every step takes constant time.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from ...models.job import JobRef

MANY: Final = 3
"""Jobs missing at once that may be a wave."""
SHOWN_PER_MISSING: Final = 4
"""There is no wave if more than this many other jobs are seen per missing job: less than a fifth is missing."""
CROWD: Final = 10
"""Jobs missing at once that are a wave in any case."""
ENOUGH: Final = 10
"""Answers in a row that must agree."""
OTHERS: Final = 3
"""How many of these answers must show other jobs."""
LONG_MINUTE: Final = 60.0
"""Seconds for which a missing job without a new 404, a job that came back, or a wave counts as evidence."""


@attrs.define
class Wave:
    """The missing jobs of one kind, or of all kinds. Times are seconds of the loop's clock."""

    wider: Wave | None = None
    """The wave over all kinds."""
    few: bool = attrs.field(default=False, init=False)
    """True while fewer than ``MANY`` jobs of the kind are watched: then answers about any kind confirm a 404."""
    missing: dict[JobRef, float] = attrs.field(factory=dict, init=False)
    """When each missing job was last answered 404, oldest first."""
    _shown: set[JobRef] = attrs.field(factory=set, init=False)
    """Jobs seen since job number ``MANY`` went missing; while fewer are missing, since the latest did."""
    agreeing: int = attrs.field(default=0, init=False)
    """Answers that showed other jobs since the latest job went missing."""
    _returned_at: float = attrs.field(default=-math.inf, init=False)
    """When a missing job last came back."""
    _on_at: float = attrs.field(default=-math.inf, init=False)
    """When a job last went missing, or was missed again, during a wave."""

    @property
    def goes_on(self) -> bool:
        """True while so many jobs of the kind, or of all kinds, are missing that their 404s prove nothing."""
        return self._is_on or (self._consulted is not None and self._consulted.goes_on)

    @property
    def extent(self) -> int:
        """How many missing jobs speak against a 404: the kind's own during its wave, else the larger of both counts."""
        wider = self._consulted
        return len(self.missing) if self._is_on or wider is None else max(len(self.missing), len(wider.missing))

    @property
    def _is_on(self) -> bool:
        count = len(self.missing)
        return count >= CROWD or (count >= MANY and len(self._shown) <= SHOWN_PER_MISSING * count)

    @property
    def _consulted(self) -> Wave | None:
        """The wider wave; ``None`` while the kind is well, because so many other jobs of the kind are shown."""
        is_well = len(self._shown) > SHOWN_PER_MISSING * max(1, len(self.missing))
        return None if is_well else self.wider

    @property
    def witness(self) -> Wave:
        """The wave whose answers confirm a 404: that of the kind or, if the kind has few jobs, the wider one."""
        return self.wider if self.few and self.wider is not None else self

    def missed(self, job: JobRef, now: float) -> bool:
        """Note the service's own 404 of a known job; return True if it starts a new wave.

        A new wave over all kinds is not reported while a wave of the kind goes on.
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
        """Note that an answer shows a job."""
        if self.wider is not None:
            self.wider.saw(job, now)
        if self.missing.pop(job, None) is not None:
            self._returned_at = now
        if len(self.missing) < CROWD:
            self._shown.add(job)

    def answered(self) -> None:
        """Count a usable answer: it showed at least one job."""
        self.agreeing += 1
        if self.wider is not None:
            self.wider.answered()

    @property
    def listens(self) -> bool:
        """True while any job is missing, of this kind or another; otherwise answers need not be reported."""
        return bool(self.missing) or (self.wider is not None and bool(self.wider.missing))

    def lacks(self, misses: int) -> int:
        """Return how many more answers must agree with ``misses`` 404s of one job; 0 during a wave."""
        agreeing = self.witness.agreeing
        return 0 if self.goes_on else max(0, OTHERS - agreeing, ENOUGH - agreeing - misses)

    def believes(self, misses: int, since: float, now: float) -> bool:
        """Return True if a known job was deleted, after ``misses`` 404s in a row from ``since`` on."""
        agreeing = self.witness.agreeing
        return agreeing >= OTHERS and agreeing + misses >= ENOUGH and self.is_calm(since, now)

    def is_calm(self, since: float, now: float) -> bool:
        """Return True if no other jobs speak against the 404s of a job that has been missing since ``since``."""
        wider = self._consulted
        return self._is_calm(since, now) and (wider is None or wider.is_calm(since, now))

    def _is_calm(self, since: float, now: float) -> bool:
        if now - self._returned_at < LONG_MINUTE:
            return False
        in_wave = self._is_on or self._on_at >= since
        return not in_wave or (now - since >= LONG_MINUTE and self.agreeing >= OTHERS)

    def _forget_the_old(self, now: float) -> None:
        """Forget missing jobs without a 404 for ``LONG_MINUTE``: no longer watched, or not polled since."""
        while self.missing and now - self.missing[oldest := next(iter(self.missing))] > LONG_MINUTE:
            del self.missing[oldest]
