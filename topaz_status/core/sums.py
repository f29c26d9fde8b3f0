"""What looks at many jobs are worth together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from .entry import FLYING
from .lifetimes import BINS, BINS_AN_OCTAVE, EDGES, FIRST_EDGE, OFFSET
from .tracked import Tracked
from .value import LITTLE, MOST_FACTOR, MOST_SPENT

_LAST: Final = BINS - 1


def worth_of_all(jobs: Iterable[Tracked], now: float) -> float:
    """Sum what looks at jobs are worth: :func:`.value.worth` of each, written out because pages are long."""
    total, log2, expm1, edges = 0.0, math.log2, math.expm1, EDGES
    for job in jobs:
        gap = now - job.seen_at
        if gap <= 0.0 or job.rung == FLYING:
            continue
        x = (now - job.basis_at) / job.unit
        curve = job.curve
        if x < FIRST_EDGE:
            spent = x * curve.slope[0] - job.before
        else:
            k = int(log2(x) * BINS_AN_OCTAVE + OFFSET)
            k = k if k < _LAST else _LAST
            spent = curve.total[k] + (x - edges[k]) * curve.slope[k] - job.before
        gap *= job.weight
        if spent <= LITTLE:
            if spent > 0.0:
                total += gap * spent / 2.0
        elif spent <= MOST_SPENT:
            total += gap * (expm1(spent) / spent - 1.0)
        else:
            total += gap * MOST_FACTOR
    return total
