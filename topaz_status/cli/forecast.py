"""When the open jobs will have ended: by their predictions, or else by the pace of the ends so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import attrs

_HALF: Final = 0.5
_MOST: Final = 0.95
_ENOUGH: Final = 0.9
"""The share of the open jobs that must have a prediction to predict the end of all."""

_SLOWEST: Final = 1e-6
"""Ends per second below which the pace of the ends says nothing."""


@attrs.frozen(kw_only=True)
class Forecast:
    """The ends of the open jobs. Times are seconds from now."""

    open: int
    predicted: int
    """Open jobs that have a prediction, that of their end may have passed."""
    due: int
    """Jobs of which the predicted end has passed."""
    half: float | None
    """When half of the predicted jobs should have ended; ``None`` without a prediction."""
    most: float | None
    """The same for 95 % of them."""
    per_second: float
    """Ends per second lately."""

    @classmethod
    def of(cls, lefts: Sequence[float], open_jobs: int, per_second: float) -> Self:
        """Summarize the predictions of the jobs that have one: seconds until their ends, ascending."""
        return cls(
            open=open_jobs,
            predicted=len(lefts),
            due=sum(1 for left in lefts if left <= 0.0),
            half=_quantile(lefts, _HALF),
            most=_quantile(lefts, _MOST),
            per_second=per_second,
        )

    @property
    def left(self) -> float | None:
        """Seconds until nearly all open jobs should have ended; ``None`` while nothing says it.

        Where thousands wait and few run, few have a prediction; then the pace of the ends so far counts.
        """
        if self.open and self.most is not None and self.predicted >= _ENOUGH * self.open:
            return self.most
        return self.open / self.per_second if self.open and self.per_second > _SLOWEST else None


def _quantile(lefts: Sequence[float], share: float) -> float | None:
    return max(0.0, lefts[min(len(lefts) - 1, int(share * len(lefts)))]) if lefts else None
