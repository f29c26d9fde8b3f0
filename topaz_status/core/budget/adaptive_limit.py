"""What one service allows: a known ceiling, and below it a limit that only the service's 429s reveal.

The vendors name no number, so the limit is learned as TCP learns a path. A 429 cuts the rate by a factor, and the rate
then recovers slowly (additive increase, multiplicative decrease; Chiu & Jain 1989). The cut starts from what was really
sent lately, not from a ceiling that was never reached. The recovery is a share of the *estimate*, so a low limit is
approached gently.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from .token_bucket import TokenBucket

CUT: Final = 0.7
"""The share of the rate that remains after a 429."""
CUT_INTERVAL: Final = 1.0
"""Seconds within which any number of 429s count as one: they answer requests sent at the same rate."""
RECOVERY: Final = 0.02
"""Growth of the estimate per second."""
LOWEST_RATE: Final = 0.05
"""Requests per second below which the rate is never cut: a service gets a request at least every 20 s."""
WINDOW: Final = 1.0
"""Seconds over which the rate of sends is measured."""


@attrs.define
class SendRate:
    """How fast requests went out lately: it counts whole windows of one second and takes the fuller of the last two."""

    _started_at: float = -math.inf
    _count: int = 0
    _previous: int = 0

    def sent(self, now: float) -> None:
        """Count one request."""
        if now - self._started_at >= WINDOW:
            self._roll(now)
        self._count += 1

    def measured(self, now: float) -> float:
        """Return requests per second."""
        if now - self._started_at >= WINDOW:
            self._roll(now)
        return max(self._count, self._previous) / WINDOW

    def _roll(self, now: float) -> None:
        self._previous = self._count if now - self._started_at < 2 * WINDOW else 0
        self._started_at, self._count = now, 0


@attrs.define
class AdaptiveLimit:
    """The bucket of one kind, below the shared one. It allows ``ceiling`` requests/s, or less after 429s."""

    ceiling: float
    burst: float
    bucket: TokenBucket = attrs.field(init=False)
    _estimate: float = attrs.field(default=math.inf, init=False)
    _estimated_at: float = attrs.field(default=-math.inf, init=False)
    _cut_at: float = attrs.field(default=-math.inf, init=False)
    _sends: SendRate = attrs.field(factory=SendRate, init=False)

    def __attrs_post_init__(self) -> None:
        self.bucket = TokenBucket(self.ceiling, self.burst)

    @property
    def learned(self) -> bool:
        """True while an estimate below the ceiling is in force."""
        return self._estimate < self.ceiling

    def rate(self, now: float) -> float:
        """Return the requests per second that are allowed now: the estimate, and its recovery since it was made."""
        if not self.learned:
            return self.ceiling
        return min(self.ceiling, self._estimate * math.exp(min(700.0, RECOVERY * (now - self._estimated_at))))

    def take(self, now: float) -> float:
        """Spend one token at the rate that held before, and only then let the rate recover.

        Return the time from which the next token is there.
        """
        bucket = self.bucket
        bucket.take(now)
        self._sends.sent(now)
        if self._estimate < self.ceiling:
            self._set(self.rate(now), now)
        return bucket.ready_at

    def too_many(self, now: float) -> None:
        """Cut the rate after a 429, once for all 429s that come within a second."""
        if now - self._cut_at < CUT_INTERVAL:
            return
        self._cut_at = now
        current = min(self.rate(now), max(self._sends.measured(now), LOWEST_RATE))
        self._set(max(CUT * current, min(LOWEST_RATE, self.ceiling)), now)

    def _set(self, rate: float, now: float) -> None:
        self._estimate, self._estimated_at = rate, now
        self.bucket.retune(now, rate=rate, burst=1.0 if self.learned else self.burst)
