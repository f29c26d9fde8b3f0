"""A bound that knows the law of lifetimes, but neither the ends of single jobs nor what services report of them.

A policy that learns nothing of a job but whether it has ended has at least this mean lag, even if it knows the law of
durations and each submission, and reads lists. A policy that believes progress and ETAs may be sooner.

Why it is a bound. Give every token a price, which may change with time. For one job alone there is a best plan: the one
with the least lag plus price of its requests. No policy does better for all jobs together than the best plan for each.
So its mean lag is at least that cost, minus the price of all tokens that the bucket gives to a job. This holds whatever
the prices are (weak duality; for restless bandits Whittle 1988). A search finds prices with a great bound. Tokens of
a full bucket may be saved for any time, so they count once for each rise of the price.

How it is computed. The best plan is a dynamic program over the age of a job (Barlow, Hunter & Proschan 1963). Where all
jobs come at once, the price may change between windows of time, until long enough after the last end to poll each job
once more. A stream has one price and counts as endless: each job's share of the tokens is the rate of tokens divided by
that of submissions. (In a trace the first and the last jobs have more tokens, so its mean lag may be slightly less.)

It is a near-bound in three ways. Polls fall on a grid of ages, whose step hardly changes the cost.
The law is the empirical one of the same trace, drawn with other seeds. A page costs each of its jobs an equal part of a
token, ended ones too, and has no other items; a policy might find pages on which more jobs than usual are left. The
video history shows an end but has no result URL, so a GET follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import attrs
import numpy as np
from model import RTT
from numpy.typing import NDArray
from traces import Trace

from topaz_status import JobKind
from topaz_status.core.wire.list_page import PAGE_SIZES
from topaz_status.testing import JobPlan

STEPS: Final = 600
"""Ages on the grid."""
WINDOWS: Final = 96
"""Windows of time with a price each, where all jobs come at once."""
AT_ONCE: Final = 1.0
"""Seconds within which all jobs are submitted, if they come at once."""
SEEDS: Final = range(1_001, 1_011)
"""The seeds whose traces give the law of lifetimes."""
FIRST_PRICES: Final = tuple(1e-4 * 2.0**step for step in range(30))
"""Prices of a token, in seconds of waiting, with which the search begins."""
ROUNDS: Final = 40, 2
"""Rounds of the search: so many, and so many more for each window."""
GAIN: Final = 0.3
"""How far a round of the search moves a price, as the exponent of relative excess demand."""

Floats = NDArray[np.float64]


@attrs.frozen
class LawBound:
    """The bound, and the plan behind it."""

    mean: float
    """The least mean lag in seconds."""
    per_job: float
    """Requests for each job."""


@attrs.frozen
class Law:
    """The law of one kind's lifetimes: the share of jobs alive at each age of a grid, and the integral of that."""

    ages: Floats
    alive: Floats
    lived: Floats

    @classmethod
    def of(cls, lifetimes: Sequence[float], until: float = 0.0) -> Law:
        """Take the empirical law of some lifetimes in seconds; the grid reaches to the last one, or to ``until``."""
        ordered = np.sort(np.asarray(lifetimes))
        ages = np.linspace(0.0, max(ordered[-1], until), STEPS)
        alive = 1.0 - np.searchsorted(ordered, ages, side="right") / len(ordered)
        step = ages[1] - ages[0]
        lived = np.concatenate(([0.0], np.cumsum((alive[1:] + alive[:-1]) * step / 2.0)))
        return cls(ages, alive, lived)


@attrs.frozen
class Plan:
    """The best plan for one job: its lag, and where it spends tokens."""

    cost: float
    polls_on: NDArray[np.int_]
    """Places of the polls on the grid of ages."""
    tokens: Floats
    """Tokens that each poll spends on average: less than one where the job may have ended before."""


def best_plan(law: Law, prices: Floats, kind: JobKind) -> Plan:
    """Return the plan with the least lag plus price of requests; a token at age ``law.ages[k]`` costs ``prices[k]``."""
    ages, alive, lived = law.ages, law.alive, law.lived
    last = len(ages) - 1
    to_go, choice = np.zeros(last + 1), np.zeros(last + 1, dtype=int)
    for start in range(last - 1, -1, -1):
        later = slice(start + 1, last + 1)
        ended = alive[start] - alive[later]
        lag = (ages[later] - ages[start]) * alive[start] - (lived[later] - lived[start]) + RTT / 2.0 * ended
        spent, extra = _spends(kind, alive[start], ended)
        costs = lag + extra + spent * prices[later] + to_go[later]
        best = int(np.argmin(costs))
        to_go[start], choice[start] = costs[best], start + 1 + best
    return Plan(float(to_go[0]), *_spending(law, choice, kind))


def _spends(kind: JobKind, alive: float, ended: Floats) -> tuple[Floats, Floats]:
    """Return the tokens that the cheaper of a GET and a page spends on a job, and the lag that a page adds."""
    single = np.full_like(ended, alive)
    if kind not in PAGE_SIZES:
        return single, np.zeros_like(ended)
    confirmed = 1.0 / PAGE_SIZES[kind] + (ended if kind is JobKind.VIDEO else np.zeros_like(ended))
    if kind is JobKind.IMAGE:
        return np.minimum(single, confirmed), np.zeros_like(ended)
    return np.minimum(single, confirmed), np.where(confirmed < single, RTT * ended, 0.0)


def _spending(law: Law, choice: NDArray[np.int_], kind: JobKind) -> tuple[NDArray[np.int_], Floats]:
    at = 0
    polls: list[int] = []
    tokens: list[float] = []
    while at < len(choice) - 1 and law.alive[at] > 0.0:
        start, at = at, int(choice[at])
        spent, _ = _spends(kind, float(law.alive[start]), np.asarray([law.alive[start] - law.alive[at]]))
        polls.append(at)
        tokens.append(float(spent[0]))
    return np.asarray(polls), np.asarray(tokens)


def law_bound(trace: Trace, others: Iterable[Trace]) -> LawBound:
    """Return the bound of a trace with one kind of job; ``others`` are the same trace, drawn with other seeds."""
    plans = [plan for plan in trace.watched if not plan.stuck]
    kind, jobs = plans[0].kind, len(plans)
    lifetimes = [_lifetime(plan) for other in others for plan in other.watched if not plan.stuck]
    span = plans[-1].after - plans[0].after
    if span > AT_ONCE:
        return Search(
            Law.of(lifetimes), kind, np.asarray([0.0, math.inf]), np.asarray([trace.rate * span / jobs])
        ).bound()
    last_end = max(plan.after + _lifetime(plan) for plan in plans)
    until = last_end + jobs * (1.0 / PAGE_SIZES[kind] if kind is JobKind.IMAGE else 1.0) / trace.rate
    edges = np.linspace(0.0, until, WINDOWS + 1)
    supply = trace.rate * np.diff(edges) / jobs
    return Search(Law.of(lifetimes, until), kind, edges, supply, max(trace.rate, 1.0) / jobs).bound()


def _lifetime(plan: JobPlan) -> float:
    return plan.queue.middle + plan.duration.middle


@attrs.frozen
class Search:
    """The search for the prices that give the greatest bound."""

    law: Law
    kind: JobKind
    edges: Floats
    """The windows of time; each has a price."""
    supply: Floats
    """Tokens of each window, for one job."""
    burst: float = 0.0
    """Tokens of a full bucket, for one job."""

    def bound(self) -> LawBound:
        """Return the greatest bound found: at first for one price, then for one in each window."""
        windows = len(self.supply)
        places = np.clip(np.searchsorted(self.edges, self.law.ages, side="right") - 1, 0, windows - 1)
        found_first = [(self._try(np.full(windows, price), places)[0], price) for price in FIRST_PRICES]
        best, price = max(found_first, key=lambda found: found[0].mean)
        prices = np.full(windows, price)
        for turn in range(ROUNDS[0] + ROUNDS[1] * windows):
            found, plan = self._try(prices, places)
            best = max(best, found, key=lambda one: one.mean)
            demand = np.bincount(places[plan.polls_on], weights=plan.tokens, minlength=windows)
            excess = np.clip((demand - self.supply) / self.supply, -1.0, 2.0)
            prices = np.maximum(prices, FIRST_PRICES[0]) * np.exp(GAIN / math.sqrt(1.0 + turn / 10.0) * excess)
        return best

    def _try(self, prices: Floats, places: NDArray[np.int_]) -> tuple[LawBound, Plan]:
        """Return the bound of some prices, and the best plan at them; ``places`` has the window of each age."""
        plan = best_plan(self.law, prices[places], self.kind)
        rises = np.maximum(np.diff(prices, prepend=0.0), 0.0)
        mean = plan.cost - float(prices @ self.supply) - self.burst * float(np.sum(rises))
        return LawBound(mean, float(np.sum(plan.tokens))), plan
