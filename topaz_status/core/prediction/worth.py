"""What a poll is worth: the price at which polling now and waiting a little longer are equally good.

A job was alive at the last poll, ``gap`` seconds ago. A poll costs one request. Waiting costs a second of lag for every
second that the job may have been over. Barlow, Hunter & Proschan (1963) showed how the best times of inspection follow
from the law of lifetimes. Keller (1974) showed that polls should be spaced as the square root of ``price / hazard``.

With a budget shared by many jobs the price becomes the common currency. The *Whittle index* of a job is the price at
which a poll now is just worth it. Giving each request to the greatest index is close to the best that can be done
(Whittle 1988; for crawlers Cho & Garcia-Molina 2003, Azar et al. 2018, Kolobov et al. 2019).

For a constant hazard ``h`` the best gap solves ``(exp(h gap) - 1) / h - gap = price``. The left side is the worth
of the poll. With ``spent = h gap``, the hazard spent since the last poll::

    worth = gap * ((exp(spent) - 1) / spent - 1)        about gap * spent / 2 while little is spent

The same form is used for any law: the life table gives ``spent``, and the mean hazard over the gap stands for the
hazard to come. (The hazard of the moment is truer to the theory. But it is noisy: in measurements it gained nothing
under a loose budget and did harm under a tight one.) ``spent`` counts to ``ln 10`` at most. Otherwise one job that is
almost certainly over would outbid a page of sixty jobs that are probably over.
"""

from __future__ import annotations

import math
from typing import Final

from .life_tables import EDGES, Curve, bin_of

MOST_SPENT: Final = math.log(10.0)
MOST_FACTOR: Final = 9.0 / MOST_SPENT - 1.0
LITTLE: Final = 1e-4


def worth(gap: float, spent: float) -> float:
    """Return the worth of a poll, in seconds of waiting, ``gap`` seconds and ``spent`` hazard after the last one."""
    if spent < LITTLE:
        return gap * spent / 2.0 if spent > 0.0 else 0.0
    if spent > MOST_SPENT:
        return gap * MOST_FACTOR
    return gap * (math.expm1(spent) / spent - 1.0)


def gap_worth(wanted: float, curve: Curve, start: float, before: float, unit: float, *, most: float) -> float:
    """Return the gap at which a poll becomes worth ``wanted``, or ``most`` if it is worth less even then.

    The job was at ``start`` on the axis of ``curve`` with ``before`` hazard behind it, and moves by one in ``unit``
    seconds. The worth only grows with the gap, so bisection finds the bin. Within a bin the square root of the worth
    grows almost linearly.
    """
    end = start + most / unit
    high = bin_of(end)
    total, slope = curve.total, curve.slope
    high_gap = most
    high_worth = worth(most, total[high] + (end - EDGES[high]) * slope[high] - before)
    if high_worth <= wanted:
        return most
    low = bin_of(start)
    if low == high:
        return most * math.sqrt(wanted / high_worth)
    low_gap = low_worth = 0.0
    while low < high:
        middle = (low + high) // 2
        gap = (EDGES[middle + 1] - start) * unit
        value = worth(gap, total[middle + 1] - before)
        if value < wanted:
            low, low_gap, low_worth = middle + 1, gap, value
        else:
            high, high_gap, high_worth = middle, gap, value
    root, low_root = math.sqrt(wanted), math.sqrt(low_worth)
    high_root = math.sqrt(high_worth)
    if high_root <= low_root:
        return high_gap
    return low_gap + (high_gap - low_gap) * (root - low_root) / (high_root - low_root)
