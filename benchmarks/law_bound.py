"""A bound that knows the law of lifetimes, but neither the ends of single jobs nor what services report of them.

A policy that learns nothing of a job but whether it has ended has at least this mean lag, even if it knows the law of
durations and each submission, and reads lists. A policy that believes progress and ETAs may be sooner. Where a request
has a price, the bound is on the cost of a job: its mean lag plus the price of its requests.

Why it is a bound. Give every token a price, which may change with time. For one job alone there is a best plan: the one
with the least lag plus price of its requests. No policy does better for all jobs together than the best plan for each.
So its mean lag is at least the cost of the best plans, minus the price of all tokens that the bucket gives to a job.
This holds whatever the prices are (weak duality; for restless bandits Whittle 1988). Tokens of a full bucket may be
saved for any time, so they count once for each rise of the price.

How it is computed. The best plan is a dynamic program over the age of a job (Barlow, Hunter & Proschan 1963). Each
group of jobs that are submitted at about the same time has a plan of its own, for the prices that it meets. Prices
change linearly between some moments, until long enough after the last end to poll each job once more. Later tokens are
free. So jobs may come at once, in waves, now and then, or as a stream. A stream does not count as endless: while it
begins and while it ends, there are more tokens for each job, and they all count.

Where the prices come from. A linear program finds the cheapest mix of polls at those moments; its dual prices are tried
first. They are bad for a stream, whose jobs come in a few large groups there, so constant prices are tried, too. Then
another linear program finds the cheapest mix of all plans so far (Dantzig & Wolfe 1960). The prices halfway from the
best ones so far to those of this mix give further plans. The mix costs about as much as any prices at these moments
could show, so the search ends when the bound is close to it. Where it ends sooner, the bound is less than it could be.

It is a near-bound in four ways. Polls fall on a grid of ages, which makes a difference of one or two percent.
Jobs of a group count as submitted together. The law is the empirical one of the same trace, drawn with other seeds.
A page costs each of its jobs an equal part of a token, ended ones too, and has no other items; a policy might find
pages on which more jobs than usual are left. The video history shows an end but has no result URL, so a GET follows.

Stuck jobs are left out. There is no such bound for jobs of several kinds, nor for jobs that were submitted before they
are watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Self

import attrs
import numpy as np
from best_plans import Ages, BestPlans, Floats
from scipy.sparse import block_diag, csr_array
from token_supply import Mix, Supply, Ways
from traces import Trace

from topaz_status import JobKind
from topaz_status.core.wire.list_page import PAGE_SIZES
from topaz_status.testing import JobPlan

SEEDS: Final = range(1_001, 1_011)
"""The seeds whose traces give the law of lifetimes."""
AT_ONCE: Final = 0.5
"""Seconds within which jobs count as submitted at once."""
COARSE: Final = 12
"""Groups of jobs in the first linear program, at most."""
FINE: Final = 48
"""Groups of jobs that have a best plan each, at most."""
STEPS_IN_ALL: Final = 20_000
"""Steps from one poll to the next one in the first linear program, about."""
FIRST_PRICES: Final = (0.0, 0.01, 0.08, 0.64, 5.0, 40.0, 320.0)
"""Constant prices of a token, in seconds of waiting, that are tried first."""
ROUNDS: Final = 15
"""Rounds of the search, at most."""
CLOSE: Final = 0.01
"""The search ends when no prices raise the bound by more than this share."""


@attrs.frozen
class LawBound:
    """The bound, and a mix of plans that is not far from it."""

    cost: float
    """The least cost of a job: its mean lag in seconds, plus the price of its requests."""
    lag: float
    """The mean lag of the mix. It keeps to the supply on average, so its cost is not below the bound."""
    per_job: float
    """Requests of the mix for each job."""


def law_bound(trace: Trace, others: Iterable[Trace], price: float = 0.0) -> LawBound:
    """Return the bound of a trace with one kind of job, at a price of a request in seconds of waiting.

    ``others`` are the same trace, drawn with other seeds.

    Raises:
        ValueError: there are jobs of several kinds, or jobs that were submitted before they are watched.
    """
    plans = [plan for plan in trace.watched if not plan.stuck]
    first, kind = plans[0].after, plans[0].kind
    if first < 0.0 or any(plan.kind is not kind for plan in plans):
        raise ValueError("the bound is for jobs of one kind that are watched from their submission on")
    times = np.asarray([plan.after - first for plan in plans])
    lifetimes = np.sort([_lifetime(plan) for other in others for plan in other.watched if not plan.stuck])
    return Market.of(times, lifetimes, kind, trace.rate, price).bound()


def _lifetime(plan: JobPlan) -> float:
    return plan.queue.middle + plan.duration.middle


@attrs.frozen
class Groups:
    """Jobs by the time of their submission."""

    starts: Floats
    """When the jobs of each group are submitted, on average."""
    shares: Floats
    """The share of all jobs that is in each group."""

    @classmethod
    def of(cls, times: Floats, most: int) -> Self:
        """Group jobs by the times of their submission, which are in order and begin with 0."""
        _, places = np.unique(np.floor(times / max(times[-1] / most, AT_ONCE)), return_inverse=True)
        sizes = np.bincount(places)
        return cls(np.bincount(places, weights=times) / sizes, sizes / len(times))


@attrs.frozen
class Market:
    """Jobs that compete for tokens, and the search for prices of them."""

    lifetimes: Floats
    """Those of the law, in order."""
    kind: JobKind
    price: float
    """The price of a request, beside that of its token."""
    coarse: Groups
    fine: Groups
    supply: Supply
    grid: Ages
    weights: Floats
    """For each fine group and age, how much each moment's price counts."""

    @classmethod
    def of(cls, times: Floats, lifetimes: Floats, kind: JobKind, rate: float, price: float) -> Self:
        """Choose the groups of jobs, the moments whose prices are sought, and the ages at which jobs may be polled."""
        until = float(lifetimes[-1]) + len(times) / rate * (1.0 / PAGE_SIZES[kind] if kind is JobKind.IMAGE else 1.0)
        coarse, fine = Groups.of(times, COARSE), Groups.of(times, FINE)
        moments = _moments(coarse, lifetimes, times[-1] + until)
        grid = Ages.fine(lifetimes, until, kind)
        at = fine.starts[:, None] + grid.ages
        weights = np.stack([np.interp(at, moments, unit) for unit in np.eye(len(moments))], axis=-1)
        weights[:, -1] = 0.0  # later than that, all tokens are free
        return cls(lifetimes, kind, price, coarse, fine, Supply.of(moments, rate, len(times)), grid, weights)

    def bound(self) -> LawBound:
        """Return the greatest bound found."""
        shares = self.fine.shares
        mix = self.first_mix()
        ways = [mix.as_one_way(shares)]
        tries = [mix.prices, *(np.full_like(mix.prices, price) for price in FIRST_PRICES)]
        best, best_prices = -np.inf, mix.prices
        for _ in range(ROUNDS):
            for prices in tries:
                cost, found = self.answer(prices)
                ways.append(found)
                if cost > best:
                    best, best_prices = cost, prices
            mix = self.supply.cheapest(Ways.joined(ways), shares, self.price)
            if mix.cost - best <= CLOSE * best:
                break
            tries = [(best_prices + mix.prices) / 2.0]
        return LawBound(best, mix.lag, mix.tokens)

    def answer(self, prices: Floats) -> tuple[float, Ways]:
        """Return the bound that some prices give, and the best plan of each fine group at these prices."""
        plans = BestPlans.at(self.grid, self.weights @ prices + self.price)
        uses = np.einsum("ga,gam->mg", plans.tokens, self.weights)
        ways = Ways(plans.lags, np.sum(plans.tokens, axis=1), csr_array(uses), csr_array(np.eye(len(plans.lags))))
        return float(self.fine.shares @ plans.costs) - self.supply.worth(prices), ways

    def first_mix(self) -> Mix:
        """Return the cheapest mix of all plans with polls at the supply's moments alone."""
        steps = list(self._steps())
        given = [share * np.eye(1, one.sums.shape[0])[0] for share, one in zip(self.coarse.shares, steps, strict=True)]
        return self.supply.cheapest(Ways.joined(steps, block_diag), np.concatenate(given), self.price)

    def _steps(self) -> Iterator[Ways]:
        """Yield the steps from one poll to the next one that the jobs of each coarse group can make.

        As many jobs go on from a poll as have come to it, and those of the group begin at age 0.
        """
        moments = self.supply.moments
        for start in self.coarse.starts:
            first = int(np.searchsorted(moments, start, side="right"))
            grid = Ages.of(self.lifetimes, np.append(0.0, moments[first:] - start), self.kind)
            alive = int(np.count_nonzero(grid.alive > 0.0))
            begin, end = np.triu_indices(alive, 1, len(grid.ages))
            places, tokens = np.arange(len(begin)), grid.tokens[begin, end]
            ones, shape = np.ones(len(begin)), (len(grid.ages), len(begin))
            sums = csr_array((ones, (begin, places)), shape) - csr_array((ones, (end, places)), shape)
            uses = csr_array((tokens, (first - 1 + end, places)), (len(moments), len(begin)))
            yield Ways(grid.lags[begin, end], tokens, uses, sums[:alive])


def _moments(groups: Groups, lifetimes: Floats, until: float) -> Floats:
    """Choose moments for prices: half of them evenly, and half with as many ends between any two."""
    half = int(np.sqrt(2.0 * STEPS_IN_ALL / len(groups.starts))) // 2
    ends = np.add.outer(groups.starts, np.quantile(lifetimes, np.linspace(0.0, 1.0, 60)))
    often = np.quantile(ends, np.linspace(0.0, 1.0, half))
    return np.unique(np.concatenate((np.linspace(0.0, until, half), often)))
