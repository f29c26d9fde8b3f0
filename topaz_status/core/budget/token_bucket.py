"""The token bucket: at most ``burst + rate × t`` tokens in any ``t`` seconds, exactly.

It is kept as one time, ``full_at``: when the bucket would be full again if nobody took a token (the "theoretical
arrival time" of the generic cell rate algorithm, ITU-T I.371). A token is there from ``full_at - (burst - 1) / rate``
on, and that is the very number that :meth:`TokenBucket.take` checks: whoever jumps to the time it named gets a
token, and no float residue ever asks for a wait of 1e-14 s.
"""

from __future__ import annotations

import math

import attrs


@attrs.define
class TokenBucket:
    """Tokens that come at ``rate`` a second, of which at most ``burst`` are kept. It starts full."""

    rate: float
    burst: float
    ready_at: float = attrs.field(default=-math.inf, init=False)
    """The time from which a token is there; in the past when one is there now."""
    held_until: float = attrs.field(default=-math.inf, init=False)
    """The end of the latest hold."""
    _full_at: float = attrs.field(default=-math.inf, init=False)
    _interval: float = attrs.field(init=False)
    """Seconds from one token to the next."""
    _saved: float = attrs.field(init=False)
    """Seconds that it takes to save a burst, one token being there."""

    def __attrs_post_init__(self) -> None:
        self._tune(self.rate, self.burst)

    @property
    def slack(self) -> float:
        """Seconds by which a token may be taken late: half of what the burst catches up with, or 1 % of an interval."""
        return max((self.burst - 1.0) / 2.0, 0.01) / self.rate

    def take(self, now: float) -> None:
        """Take one token. Ask :attr:`ready_at` first.

        Raises:
            ValueError: no token is there yet.
        """
        if now < self.ready_at:
            raise ValueError(f"no token before {self.ready_at}, and it is {now}")
        full_at = self._full_at
        full_at = self._full_at = (now if now > full_at else full_at) + self._interval
        self.ready_at = full_at - self._saved

    def give_back(self) -> None:
        """Put back a token that was taken and not used."""
        self._be_full_at(self._full_at - self._interval)

    def hold(self, until: float) -> None:
        """Give nothing before ``until``, and then one token, not a burst of those saved up meanwhile."""
        self.held_until = max(self.held_until, until)
        self._be_full_at(max(self._full_at, until + self._saved))

    def retune(self, now: float, *, rate: float, burst: float) -> None:
        """Change the figures; tokens already there stay, as far as the new ``burst`` keeps them."""
        at = max(now, self.held_until)
        level = min(self.level(at), burst)
        self._tune(rate, burst)
        self._be_full_at(at + (burst - level) / rate)

    def level(self, now: float) -> float:
        """Tokens there at ``now``; below zero while a hold lasts."""
        return self.burst - max(0.0, self._full_at - now) * self.rate

    def _tune(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._interval = 1.0 / rate
        self._saved = (burst - 1.0) / rate

    def _be_full_at(self, at: float) -> None:
        self._full_at = at
        ready_at = at - self._saved
        self.ready_at = ready_at if ready_at > self.held_until else self.held_until
