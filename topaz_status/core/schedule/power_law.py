"""A worth that grows as a power of the gap, so that hundreds of jobs are summed up at two gaps and not at each one.

Between two gaps one stride apart the worth of a page goes as a power of the gap, about the square. The law is drawn
through the worth at both, and drawn anew one stride farther or nearer when another gap is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Self

import attrs

STRIDE: Final = 3.0
"""How much longer the far gap is than the near one."""
CLOSE: Final = 1.25
"""How much longer than the near gap a gap may be for the worth to be told from that one alone."""
MOST_OCTAVES: Final = 64.0
LEAST_GROWTH: Final = 1.01
"""The worth at the far gap is at least so many times that at the near one: there is a gap for each worth."""
_STRIDES_LOG: Final = 1.0 / math.log(STRIDE)

WorthAfter = Callable[[float], float]
"""Sums up what a poll is worth after a gap: in seconds of waiting, above 0."""


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
        """Draw it through the worth at one gap and that a stride farther."""
        far_worth = max(far_worth, near_worth * LEAST_GROWTH)
        return cls(near_gap, near_worth, near_gap * STRIDE, far_worth, math.log(far_worth / near_worth) * _STRIDES_LOG)

    @classmethod
    def begin(cls, gap: float, worth_after: WorthAfter) -> Self:
        """Sum up at one gap, and a stride farther."""
        return cls.through(gap, worth_after(gap), worth_after(gap * STRIDE))

    def shifted(self, gap: float, worth_after: WorthAfter) -> Self:
        """Sum up at one gap only, and keep the power for gaps that are close to it."""
        worth = worth_after(gap)
        return type(self)(gap, worth, gap * CLOSE, worth * math.pow(CLOSE, self.power), self.power)

    def farther(self, worth_after: WorthAfter) -> Self:
        """Go on from the far gap; a law that was good for close gaps only is drawn as far as a stride first."""
        gap, worth = self.near_gap, self.near_worth
        if self.far_gap == gap * STRIDE:
            gap, worth = self.far_gap, self.far_worth
        return self.through(gap, worth, worth_after(gap * STRIDE))

    def nearer(self, worth_after: WorthAfter) -> Self:
        """Go back from the near gap."""
        gap = self.near_gap / STRIDE
        return self.through(gap, worth_after(gap), self.near_worth)

    def worth_at(self, gap: float) -> float:
        """Give the worth after ``gap``."""
        return self.near_worth * math.pow(gap / self.near_gap, self.power)

    def gap_of(self, worth: float) -> float:
        """Give the gap after which a poll has that worth, above 0; finite."""
        octaves = math.log2(worth / self.near_worth) / self.power
        return self.near_gap * math.pow(2.0, min(octaves, MOST_OCTAVES))


UNKNOWN: Final = PowerLaw(near_gap=0.0, near_worth=0.0, far_gap=0.0, far_worth=0.0, power=0.0)
"""Before anything was summed up: there is nothing to ask it for."""
