"""The best plan to poll jobs of one kind whose ends nobody knows, at any prices of a token."""

from __future__ import annotations

from typing import Final, Self

import attrs
import numpy as np
from model import RTT
from numpy.typing import NDArray

from topaz_status import JobKind
from topaz_status.core.wire.list_page import PAGE_SIZES

Floats = NDArray[np.float64]
Places = NDArray[np.int_]

STEPS: Final = 600
"""Ages on the grid of a best plan."""


@attrs.frozen
class Ages:
    """A grid of ages at which jobs may be polled, and what each step from one poll to the next one means.

    The grid begins with age 0, at which there is no poll, and ends when all jobs have ended.
    """

    ages: Floats
    alive: Floats
    """The share of jobs that have not ended at each age."""
    lags: Floats
    """The lag that a step adds, on average over all jobs, from the age of its row to that of its column."""
    tokens: Floats
    """The tokens that the poll at the end of a step spends on average: less than one if a job may have ended before."""

    @classmethod
    def of(cls, lifetimes: Floats, ages: Floats, kind: JobKind) -> Self:
        """Take the empirical law of some lifetimes in seconds, which are in order."""
        ends = np.searchsorted(lifetimes, ages, side="right")
        over, lived = ends / len(lifetimes), np.concatenate(([0.0], np.cumsum(lifetimes)))[ends] / len(lifetimes)
        ended = np.maximum(over - over[:, None], 0.0)
        tokens, late = _spends(kind, 1.0 - over[:, None], ended)
        lags = ages * ended - np.maximum(lived - lived[:, None], 0.0) + (RTT / 2.0 + late) * ended
        return cls(ages, 1.0 - over, lags, tokens)

    @classmethod
    def fine(cls, lifetimes: Floats, until: float, kind: JobKind) -> Self:
        """Return a fine grid that reaches to an age: half of it is even, and half has as many ends in each step."""
        often = np.quantile(lifetimes, np.linspace(0.0, 1.0, STEPS // 2))
        return cls.of(lifetimes, np.unique(np.concatenate((np.linspace(0.0, until, STEPS // 2), often))), kind)


def _spends(kind: JobKind, alive: Floats, ended: Floats) -> tuple[Floats, Floats]:
    """Return the tokens that the cheaper of a GET and a page spends on a job, and by how much an end is later."""
    single, never = np.broadcast_to(alive, ended.shape), np.zeros_like(ended)
    if kind not in PAGE_SIZES:
        return single, never
    page = 1.0 / PAGE_SIZES[kind] + (ended if kind is JobKind.VIDEO else never)
    late = RTT if kind is JobKind.VIDEO else 0.0
    return np.minimum(single, page), np.where(page < single, late, never)


@attrs.frozen
class BestPlans:
    """The best plan for each row of prices."""

    costs: Floats
    """Lag plus price of all tokens."""
    lags: Floats
    tokens: Floats
    """The tokens that each plan spends at each age."""

    @classmethod
    def at(cls, grid: Ages, prices: Floats) -> Self:
        """Find the plans with the least lag plus price of tokens; each row has the price of a token at each age."""
        to_go, choice = np.zeros_like(prices), np.zeros(prices.shape, dtype=int)
        plans = np.arange(len(prices))
        for start in range(int(np.count_nonzero(grid.alive > 0.0)) - 1, -1, -1):
            later = slice(start + 1, None)
            costs = grid.tokens[start, later] * prices[:, later] + to_go[:, later] + grid.lags[start, later]
            best = costs.argmin(axis=1)
            to_go[:, start], choice[:, start] = costs[plans, best], start + 1 + best
        return cls(to_go[:, 0], *_followed(grid, choice))


def _followed(grid: Ages, choice: Places) -> tuple[Floats, Floats]:
    """Return the lag of each plan, and its tokens at each age; ``choice`` has the next poll after each one."""
    lags, tokens = np.zeros(len(choice)), np.zeros(choice.shape)
    plans, at = np.arange(len(choice)), np.zeros(len(choice), dtype=int)
    while len(plans):
        start, at = at, choice[plans, at]
        lags[plans] += grid.lags[start, at]
        tokens[plans, at] = grid.tokens[start, at]
        going = grid.alive[at] > 0.0
        plans, at = plans[going], at[going]
    return lags, tokens
