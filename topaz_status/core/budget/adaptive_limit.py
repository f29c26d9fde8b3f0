"""The adaptive limit of one kind: it learns the service's rate, which no document names, from answers.

Three rules make it find an unknown limit with few 429s:

- A burst that was never tried begins with a volley of ten requests. The allowance is one and a half times the
  goodput of the best second so far, so it grows by half with each round trip.
- A 429 is about the rate at which *its* request was sent. If several requests were sent before a cut, their 429s count
  as one. The rate is cut to a little less than what the service admitted.
- The rate recovers with good answers (:mod:`.recovery`), and only while it is used. In a quiet time it recovers by the
  clock, and slowly: the learned rate is remembered for minutes.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from .goodput import Goodput
from .recovery import LONGEST_SPAN, LOWEST_RATE, Recovery
from .token_bucket import TokenBucket

FIRST_VOLLEY: Final = 10.0
"""Requests of the first volley, if the burst is larger and was never tried."""
GROWTH: Final = 1.5
"""The allowance is this many times the goodput of the best second."""
STEEPEST_CUT: Final = 0.25
"""A cut leaves at least this share of the rate, because the goodput of one second may mislead."""
USED: Final = 0.75
"""A rate counts as used while the goodput is at least this share of it."""
QUIET_SPAN: Final = 60.0
"""Seconds without use that move a recovery on by one span."""
GRAIN: Final = 0.005
"""The smallest change of a rate, as a share of it, for which the bucket is changed."""


@attrs.define
class AdaptiveLimit:
    """The bucket of one kind, below the shared one. It allows ``ceiling`` requests/s, or less after 429s.

    A ``burst`` above :data:`FIRST_VOLLEY` must be that of a shared bucket. Until the burst was tried, only the shared
    bucket keeps the rate below the ceiling.
    """

    ceiling: float
    burst: float
    bucket: TokenBucket = attrs.field(init=False)
    learned: bool = attrs.field(default=False, init=False)
    """True while a rate below the ceiling is in force."""
    recovery: Recovery | None = attrs.field(default=None, init=False)
    """The latest recovery, also after it has reached the ceiling; ``None`` before the first 429."""
    _allowance: float = attrs.field(init=False)
    """The rate and the burst until the whole burst was tried; then infinite."""
    _grows_above: float = attrs.field(init=False)
    """If one second has more good answers than this, the next one changes the bucket."""
    _goodput: Goodput = attrs.field(factory=Goodput, init=False)
    _cut_at: float = attrs.field(default=-math.inf, init=False)
    _confirmed_at: float = attrs.field(default=-math.inf, init=False)
    """When the request was sent whose good answer moved the recovery last."""

    def __attrs_post_init__(self) -> None:
        self._allow(FIRST_VOLLEY)
        self.bucket = TokenBucket(*self._untried)

    @property
    def rate(self) -> float:
        """Return the requests per second that are allowed now."""
        return self.ceiling if self.recovery is None or not self.learned else min(self.ceiling, self.recovery.rate)

    def holds_down(self, now: float) -> bool:
        """Return True while a learned rate is in force that a good answer now would not lift to the ceiling."""
        return (
            self.learned
            and self.recovery is not None
            and self.recovery.confirmed(self._quiet(now) / QUIET_SPAN).rate < self.ceiling
        )

    def confirmed(self, sent_at: float) -> bool:
        """Note a good answer to a request that was sent at ``sent_at``; return True if it changes the bucket."""
        goodput = self._goodput
        if sent_at < goodput.ends_at:
            goodput.count += 1
        else:
            goodput.begin(sent_at)
        return goodput.count > self._grows_above and self._grow(sent_at)

    def too_many(self, *, sent_at: float, now: float) -> None:
        """Cut the rate after a 429; the other 429s of requests that were sent before the cut change nothing."""
        if sent_at <= self._cut_at:
            return
        if self.recovery is None:
            self.recovery = Recovery(self._refused(sent_at))
        elif self.learned and self._confirmed_at <= self._cut_at:
            self.recovery = self.recovery.refused_again()
        else:
            self.recovery = self.recovery.cut(self._refused(sent_at))
        self.learned, self._grows_above, self._cut_at = True, 0.0, now
        self.bucket.retune(now, rate=self.rate, burst=1.0)

    def adopt(self, rate: float, now: float) -> None:
        """Begin with a rate that another client has learned."""
        self.recovery = Recovery(rate, LONGEST_SPAN, progress=1.0)
        self.learned, self._grows_above, self._confirmed_at = True, 0.0, now
        self.bucket.retune(now, rate=self.rate, burst=1.0)

    def _refused(self, sent_at: float) -> float:
        """Return the rate that the service has refused: what it admitted meanwhile, within bounds."""
        rate = self.rate
        least = STEEPEST_CUT * rate if self.learned else min(STEEPEST_CUT * rate, FIRST_VOLLEY / 2.0)
        return min(rate, max(self._goodput.at(sent_at), least, LOWEST_RATE))

    def _grow(self, sent_at: float) -> bool:
        """Allow more after a good answer; return True if the bucket has changed."""
        if self.recovery is not None and self.learned:
            return sent_at > self._cut_at and self._recover(self.recovery, sent_at)
        self._allow(GROWTH * self._goodput.count)
        rate, burst = self._untried
        self.bucket.widen(sent_at, rate=rate, burst=burst)
        return True

    def _recover(self, recovery: Recovery, sent_at: float) -> bool:
        goodput, quiet = self._goodput.at(sent_at), self._quiet(sent_at)
        is_used = goodput >= USED * recovery.rate
        self._confirmed_at = max(self._confirmed_at, sent_at)
        self.recovery = recovery = recovery.confirmed(1.0 / recovery.span if is_used else quiet / QUIET_SPAN)
        rate, burst = recovery.rate, 1.0
        if rate >= self.ceiling:
            self.learned = False
            self._allow(max(FIRST_VOLLEY, GROWTH * goodput))
            rate, burst = self._untried
        elif abs(rate - self.bucket.rate) < GRAIN * rate:
            return False
        self.bucket.retune(sent_at, rate=rate, burst=burst)
        return True

    @property
    def _untried(self) -> tuple[float, float]:
        """Return the rate and the burst of the bucket while nothing is learned."""
        return (self._allowance, self._allowance) if self._allowance < math.inf else (self.ceiling, self.burst)

    def _quiet(self, now: float) -> float:
        """Return the seconds since the latest cut or recovery."""
        return max(0.0, now - max(self._cut_at, self._confirmed_at))

    def _allow(self, allowance: float) -> None:
        """Set the allowance, which does not bind once it covers the burst."""
        self._allowance = allowance if allowance < self.burst else math.inf
        self._grows_above = self._allowance / GROWTH
