"""How much of a rate is used: while less than half of it is, tokens are *idle*, and one more request costs nothing.

It is kept as a leaky bucket (ITU-T I.371). Each request pours one token in, and half the rate runs out. Tokens are idle
while it holds no more than half a burst: a client that sends little may send a few at once, and one that sends more
than half of what it may soon counts as busy. As in :mod:`.token_bucket` the level is kept as one time: when it is
empty.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

SHARE: Final = 0.5
"""The share of a rate, and of a burst, up to which tokens are idle."""
MEMORY: Final = 5.0
"""Seconds without any request after which tokens are idle again, at most, however busy it was before."""


@attrs.define
class Load:
    """The requests sent of late, against ``rate`` tokens a second and bursts of ``burst``."""

    rate: float
    burst: float
    _empty_at: float = attrs.field(default=-math.inf, init=False)
    _one: float = attrs.field(init=False)
    """Seconds in which one token runs out."""
    _spared: float = attrs.field(init=False)
    """Seconds in which half a burst runs out."""

    def __attrs_post_init__(self) -> None:
        self._one = 1.0 / (SHARE * self.rate)
        self._spared = SHARE * self.burst * self._one

    @property
    def idle_at(self) -> float:
        """The time from which tokens are idle, unless more requests are sent; in the past while they are."""
        return self._empty_at - self._spared

    def sent(self, now: float) -> None:
        """Count one request."""
        empty_at = self._empty_at
        empty_at = (now if now > empty_at else empty_at) + self._one
        latest = now + self._spared + MEMORY
        self._empty_at = empty_at if empty_at < latest else latest
