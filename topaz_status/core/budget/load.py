"""How much of a rate is used: while it is less than half, tokens are *idle*, and one more request costs nothing.

The load is stored as a leaky bucket (ITU-T I.371). Each request pours one token in, and the bucket leaks at half the
rate. Tokens are idle while the bucket holds no more than half a burst. So a client that sends little may send a few
requests at once. A client that sends more than half of its rate soon counts as busy. As in :mod:`.token_bucket` the
level is stored as one time: when the bucket is empty.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

SHARE: Final = 0.5
"""The share of a rate, and of a burst, up to which tokens are idle."""
MEMORY: Final = 5.0
"""Tokens are idle again after at most this many seconds without a request, however busy the client was before."""


@attrs.define
class Load:
    """The requests sent lately, against ``rate`` tokens per second and bursts of ``burst``."""

    rate: float
    burst: float
    _empty_at: float = attrs.field(default=-math.inf, init=False)
    _one: float = attrs.field(init=False)
    """Seconds in which one token runs out."""
    _idle_span: float = attrs.field(init=False)
    """Seconds in which half a burst runs out."""

    def __attrs_post_init__(self) -> None:
        self._one = 1.0 / (SHARE * self.rate)
        self._idle_span = SHARE * self.burst * self._one

    @property
    def idle_at(self) -> float:
        """Return the time from which tokens are idle if no more requests are sent; it is past while they are idle."""
        return self._empty_at - self._idle_span

    def sent(self, now: float) -> None:
        """Count one request."""
        empty_at = self._empty_at
        empty_at = (now if now > empty_at else empty_at) + self._one
        latest = now + self._idle_span + MEMORY
        self._empty_at = empty_at if empty_at < latest else latest
