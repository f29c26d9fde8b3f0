"""A worth modelled as a power of the gap, so that hundreds of jobs are added up at two gaps and not at each one.

Between two gaps one stride apart the worth of a page grows as a power of the gap, about the square. The law is drawn
through the worth at both. For another gap it is drawn anew, one stride farther or nearer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Self

import attrs

STRIDE: Final = 3.0
"""The ratio of the far gap to the near one."""
CLOSE: Final = 1.25
"""Up to this ratio to the near gap, one evaluation is enough and the old power is reused."""
MOST_OCTAVES: Final = 64.0
LEAST_GROWTH: Final = 1.01
"""The least ratio of the far gap's worth to the near gap's: it makes every worth reachable at some gap."""
_STRIDES_LOG: Final = 1.0 / math.log(STRIDE)

WorthAfter = Callable[[float], float]
"""Computes what a poll is worth after a gap: in seconds of waiting, above 0."""


@attrs.frozen
class PowerLaw:
    """``worth = near_worth * (gap / near_gap) ** power``, as far as ``far_gap``. Gaps and worths are seconds."""

    near_gap: float
    near_worth: float
    far_gap: float
    far_worth: float
    power: float

    @classmethod
    def through(cls, near_gap: float, near_worth: float, far_worth: float) -> Self:
        """Draw the law through the worth at one gap and the worth a stride farther."""
        far_worth = max(far_worth, near_worth * LEAST_GROWTH)
        return cls(near_gap, near_worth, near_gap * STRIDE, far_worth, math.log(far_worth / near_worth) * _STRIDES_LOG)

    @classmethod
    def begin(cls, gap: float, worth_after: WorthAfter) -> Self:
        """Compute the worth at one gap, and a stride farther."""
        return cls.through(gap, worth_after(gap), worth_after(gap * STRIDE))

    def shifted(self, gap: float, worth_after: WorthAfter) -> Self:
        """Compute the worth at one gap only, and retain the power for gaps that are close to it."""
        worth = worth_after(gap)
        return type(self)(gap, worth, gap * CLOSE, worth * math.pow(CLOSE, self.power), self.power)

    def farther(self, worth_after: WorthAfter) -> Self:
        """Extend the law from the far gap; a law for close gaps only is first extended to a whole stride."""
        gap, worth = self.near_gap, self.near_worth
        if self.far_gap == gap * STRIDE:
            gap, worth = self.far_gap, self.far_worth
        return self.through(gap, worth, worth_after(gap * STRIDE))

    def nearer(self, worth_after: WorthAfter) -> Self:
        """Extend the law downwards from the near gap."""
        gap = self.near_gap / STRIDE
        return self.through(gap, worth_after(gap), self.near_worth)

    def worth_at(self, gap: float) -> float:
        """Return the worth after ``gap``."""
        return self.near_worth * math.pow(gap / self.near_gap, self.power)

    def gap_of(self, worth: float) -> float:
        """Return the finite gap after which a poll has that worth, which is above 0."""
        octaves = math.log2(worth / self.near_worth) / self.power
        return self.near_gap * math.pow(2.0, min(octaves, MOST_OCTAVES))


UNFITTED: Final = PowerLaw(near_gap=0.0, near_worth=0.0, far_gap=0.0, far_worth=0.0, power=0.0)
"""The law before any computation: it has no values to read."""
