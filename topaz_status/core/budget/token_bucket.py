"""The token bucket: at most ``burst + rate × t`` tokens in any ``t`` seconds, exactly.

The bucket is stored as one time, ``full_at``: when it would be full again if no token were taken. That is the
"theoretical arrival time" of the generic cell rate algorithm (ITU-T I.371). A token is there from ``full_at - (burst -
1) / rate`` on, and :meth:`TokenBucket.take` checks that very number. So a caller that waits until that time gets a
token, and no float residue ever causes a wait of 1e-14 s.
"""

from __future__ import annotations

import math

import attrs


@attrs.define
class TokenBucket:
    """Tokens that come at ``rate`` per second; the bucket holds at most ``burst`` of them. It starts full."""

    rate: float
    burst: float
    ready_at: float = attrs.field(default=-math.inf, init=False)
    """The time from which a token is there; it is past when one is there now."""
    held_until: float = attrs.field(default=-math.inf, init=False)
    """The end of the latest hold."""
    _full_at: float = attrs.field(default=-math.inf, init=False)
    _interval: float = attrs.field(init=False)
    """Seconds from one token to the next."""
    _saved: float = attrs.field(init=False)
    """Seconds that it takes to fill a bucket that holds one token."""

    def __attrs_post_init__(self) -> None:
        self._tune(self.rate, self.burst)

    @property
    def slack(self) -> float:
        """Return how many seconds late a token may be taken: half of what a burst recovers, or 1 % of an interval."""
        return max((self.burst - 1.0) / 2.0, 0.01) / self.rate

    def take(self, now: float) -> None:
        """Take one token. Check :attr:`ready_at` first.

        Raises:
            ValueError: no token is there yet.
        """
        if now < self.ready_at:
            raise ValueError(f"no token before {self.ready_at}, and it is {now}")
        full_at = self._full_at
        full_at = self._full_at = (now if now > full_at else full_at) + self._interval
        self.ready_at = full_at - self._saved

    def holds_at(self, tokens: float) -> float:
        """Return the time from which the bucket holds so many tokens, if none is taken; it may be past."""
        return max(self._full_at - (self.burst - tokens) / self.rate, self.held_until)

    def give_back(self) -> None:
        """Put back a token that was taken and not used."""
        self._set_full_at(self._full_at - self._interval)

    def hold(self, until: float) -> None:
        """Give nothing before ``until``. One token is there then, and no burst has been saved up meanwhile."""
        self.held_until = max(self.held_until, until)
        self._set_full_at(max(self._full_at, until + self._saved))

    def retune(self, now: float, *, rate: float, burst: float) -> None:
        """Change rate and burst; tokens already there remain, up to the new ``burst``."""
        at = max(now, self.held_until)
        level = min(self.level(at), burst)
        self._tune(rate, burst)
        self._set_full_at(at + (burst - level) / rate)

    def widen(self, now: float, *, rate: float, burst: float) -> None:
        """Grow: the tokens that were missing at ``now`` are still missing, so a larger ``burst`` brings its tokens."""
        missing = (self._full_at - now) * self.rate
        self._tune(rate, burst)
        self._set_full_at(now + max(0.0, missing) / rate)

    def level(self, now: float) -> float:
        """Return the tokens there at ``now``; below zero while a hold lasts."""
        return self.burst - max(0.0, self._full_at - now) * self.rate

    def _tune(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._interval = 1.0 / rate
        self._saved = (burst - 1.0) / rate

    def _set_full_at(self, at: float) -> None:
        self._full_at = at
        ready_at = at - self._saved
        self.ready_at = ready_at if ready_at > self.held_until else self.held_until
