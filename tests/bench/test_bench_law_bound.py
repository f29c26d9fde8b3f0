"""The bound that knows the law of lifetimes: what theory says of it, and that nobody is sooner."""

from __future__ import annotations

import itertools
import math
import random

import attrs
import best_plans
import lag
import law_bound as law_bound_module
import library
import numpy as np
import pytest
from best_plans import Ages, BestPlans
from law_bound import FIRST_PRICES, Market, law_bound
from model import RTT, Run, Services, play
from plans import lognormal
from rivals import EAGER, RIVALS, USUAL
from token_supply import Supply
from traces import TRACES, Trace, try_ons

from topaz_status import JobKind
from topaz_status.testing import JobPlan

WAVE = 5.0
"""Seconds between the waves of a trace."""
SHAPES = {
    "burst": [0.0] * 120,
    "waves": [WAVE * number for number in range(4) for _ in range(30)],
    "stream": [0.5 * number for number in range(120)],
}
"""When try-ons of some small traces are submitted."""


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarse grids: what they give is a bound all the same, and sooner."""
    monkeypatch.setattr(law_bound_module, "STEPS_IN_ALL", 5_000)
    monkeypatch.setattr(best_plans, "STEPS", 300)


def rival(trace: Trace, name: str) -> Run:
    services = Services.of(trace, 1)
    return play(trace, 1, {**RIVALS, **USUAL, **EAGER}[name](services), services, name)


def fittings(shape: str, rate: float, *, seed: int = 1, seconds: float | None = None) -> Trace:
    """Try-ons that last equally long, or as they are drawn."""
    dice = random.Random(seed)
    return Trace(
        shape,
        rate,
        tuple(
            JobPlan(kind=JobKind.TRY_ON, after=at, duration=seconds or lognormal(dice, 8.0, 0.6))
            for at in SHAPES[shape]
        ),
    )


def market(trace: Trace) -> Market:
    times = np.asarray([plan.after for plan in trace.plans])
    return Market.of(times, np.sort([plan.duration.middle for plan in trace.plans]), JobKind.TRY_ON, trace.rate, 0.0)


# -- what theory says -------------------------------------------------------------------------------------------------


def test_a_law_of_one_value_leaves_nothing_to_find_out() -> None:
    """If every try-on lasts 20 s, and tokens are there, one poll each finds its end half a round trip later."""
    trace = fittings("burst", 120.0, seconds=20.0)
    bound = law_bound(trace, [trace])
    assert bound.cost == pytest.approx(RTT / 2, abs=0.01)
    assert bound.per_job == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("shape", "rate", "share"), [("burst", 10.0, 0.96), ("waves", 5.0, 0.85), ("stream", 1.5, 0.85)]
)
def test_who_knows_the_law_knows_equal_ends(shape: str, rate: float, share: float) -> None:
    """Then the clairvoyant policy is one that knows the law, and no other is sooner: the bound is hardly below it."""
    trace = fittings(shape, rate, seconds=20.0)
    clairvoyant = rival(trace, "bound-single").mean
    assert share * clairvoyant < law_bound(trace, [trace]).cost <= clairvoyant


def test_a_constant_hazard_has_the_gap_that_theory_says() -> None:
    """For hazard h and price c the best gap g solves (exp(h g) - 1) / h - g = c: with 0.1 and 0.5, 3.04 s."""
    lives = np.asarray([-10.0 * math.log(1.0 - (number + 0.5) / 10_000) for number in range(10_000)])
    grid = Ages.fine(lives, lives[-1], JobKind.TRY_ON)
    plans = BestPlans.at(grid, np.full((1, len(grid.ages)), 0.5))
    gaps = np.diff(grid.ages[plans.tokens[0] > 0.0])
    assert gaps[3:8] == pytest.approx(3.04, abs=0.2)


def test_the_cost_of_a_plan_is_its_lag_and_its_tokens() -> None:
    """Each row of prices has a plan of its own, whose polls are those that it pays for."""
    grid = Ages.fine(np.linspace(1.0, 30.0, 200), 40.0, JobKind.VIDEO)
    prices = np.outer([0.01, 0.3, 5.0], 1.0 + grid.ages % 7.0)
    plans = BestPlans.at(grid, prices)
    assert plans.costs == pytest.approx(plans.lags + np.sum(plans.tokens * prices, axis=1))
    assert np.all(np.diff(plans.lags) > 0.0)
    assert np.all(np.diff(np.sum(plans.tokens, axis=1)) < 0.0)


def test_saved_tokens_count_once_for_each_rise() -> None:
    """At a constant price it is that of all tokens and of a full bucket; a bucket is sold again after each fall."""
    supply = Supply.of(np.asarray([0.0, 1.0, 3.0, 4.0]), 8.0, jobs=2)
    assert supply.worth(np.full(4, 0.5)) == pytest.approx(0.5 * (16.0 + 4.0))
    assert supply.worth(np.asarray([1.0, 0.0, 0.0, 1.0])) == pytest.approx(4.0 + 2 * 4.0)


def test_after_the_last_moment_tokens_are_free() -> None:
    """So a plan that waits for that pays nothing, however dear tokens are before."""
    case = market(fittings("waves", 5.0))
    _, ways = case.answer(np.full(len(case.supply.moments), 1e9))
    assert np.sum(ways.uses) == 0.0
    assert np.all(ways.tokens > 0.0)


# -- nobody is sooner -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("seed", "rate"), [(1, 3.0), (2, 12.0)])
def test_no_policy_costs_less(shape: str, seed: int, rate: float) -> None:
    """Try-ons report nothing, so neither the library nor any loop has a lower cost, at any price of a request."""
    trace = fittings(shape, rate, seed=seed)
    runs = [rival(trace, name) for name in ("fixed-1", "fixed-2", "fixed-5", "fixed-15", "backoff")]
    runs.append(library.play(trace, seed, "library"))
    for price in (0.0, 0.5):
        assert law_bound(trace, [trace], price).cost <= min(run.mean + price * run.per_job for run in runs)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("shape", SHAPES)
def test_more_tokens_never_raise_the_bound(shape: str) -> None:
    """Within what the search leaves open."""
    costs = [law_bound(trace, [trace]).cost for rate in (1.5, 3.0, 6.0, 12.0) for trace in [fittings(shape, rate)]]
    assert all(more < 1.01 * fewer for fewer, more in itertools.pairwise(costs))
    assert costs[-1] < costs[0] / 3.0


def test_the_law_is_no_help_to_the_library_but_a_bound_for_it() -> None:
    """Try-ons report nothing, so the library and all loops are later than the bound, which is above the clairvoyant."""
    bound = lag.play(lag.Task("try-on", "bound-law", 1, 0.2))
    played = {name: lag.play(lag.Task("try-on", name, 1, 0.2)) for name in ("library", "fixed", "bound-single")}
    assert played["bound-single"].mean < bound.mean < min(played["library"].mean, played["fixed"].mean)
    assert bound.lags == ()
    assert math.isnan(bound.quantile(0.5))


@pytest.mark.usefixtures("coarse")
def test_pages_of_a_list_are_cheaper_than_polls() -> None:
    """Where requests are dear, as many images cost less than try-ons; videos, which need a GET each, are between."""
    plans = try_ons(1, 0.2).plans
    traces = [
        Trace("few", 5.0, tuple(attrs.evolve(plan, kind=kind) for plan in plans))
        for kind in (JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON)
    ]
    images, clips, singles = (law_bound(trace, [trace], 1.0) for trace in traces)
    assert images.cost < clips.cost < singles.cost
    assert images.per_job < 1.0 < clips.per_job


# -- the search for prices --------------------------------------------------------------------------------------------


def constant(trace: Trace) -> float:
    """The bound that the best constant price gives."""
    case = market(trace)
    return max(case.answer(np.full(len(case.supply.moments), price))[0] for price in FIRST_PRICES)


@pytest.mark.usefixtures("coarse")
def test_on_a_burst_the_linear_program_beats_constant_prices() -> None:
    """A token is worth more while most jobs end than at other times: the first prices are good ones."""
    trace = fittings("burst", 5.0)
    case = market(trace)
    first, _ = case.answer(case.first_mix().prices)
    assert first > 3.0 * constant(trace)
    assert first <= law_bound(trace, [trace]).cost


def test_on_a_stream_further_plans_give_better_prices() -> None:
    """There the few groups of the linear program mislead it, and ends of a stream have a price of their own."""
    trace = try_ons(1, 0.3)
    case, bound = market(trace), law_bound(trace, [trace])
    first, _ = case.answer(case.first_mix().prices)
    assert bound.cost > 1.2 * max(first, constant(trace))


@pytest.mark.parametrize(("name", "scale"), [("try-on", 0.3), ("burst", 1.0)])
def test_the_bound_is_close_to_a_mix_that_keeps_to_the_supply(name: str, scale: float) -> None:
    """Its tokens are there, and it costs hardly more, so no prices could show much more."""
    trace = TRACES[name](1, scale)
    bound = law_bound(trace, [trace], 0.1)
    assert bound.cost <= bound.lag + 0.1 * bound.per_job <= 1.011 * bound.cost
    last = max(plan.after + plan.duration.middle for plan in trace.plans)
    assert bound.per_job * len(trace.plans) < trace.rate * (last + 20.0)


@pytest.mark.usefixtures("coarse")
def test_where_tokens_abound_requests_have_their_own_price_alone() -> None:
    """The bound is the cost of the best plan at that price, and a dear request is sent less often."""
    trace = fittings("stream", 1_000.0)
    grid = market(trace).grid
    bounds = [law_bound(trace, [trace], price) for price in (0.1, 0.5)]
    for price, bound in zip((0.1, 0.5), bounds, strict=True):
        alone = BestPlans.at(grid, np.full((1, len(grid.ages)), price)).costs[0]
        assert bound.cost == pytest.approx(alone, rel=0.01)
    assert bounds[0].lag < bounds[1].lag
    assert bounds[0].per_job > bounds[1].per_job > 1.0


def test_other_jobs_have_no_such_bound() -> None:
    """Jobs of two kinds, and jobs that were submitted before they are watched."""
    image = JobPlan(kind=JobKind.IMAGE, after=1.0, duration=5.0)
    for other in (JobPlan(kind=JobKind.TRY_ON, after=2.0, duration=5.0), attrs.evolve(image, after=-1.0)):
        trace = Trace("few", 10.0, tuple(sorted((image, other), key=lambda plan: plan.after)))
        with pytest.raises(ValueError, match="of one kind that are watched from their submission on"):
            law_bound(trace, [trace])


@pytest.mark.usefixtures("coarse")
def test_stuck_jobs_are_left_out() -> None:
    """They have no end, so nobody is late."""
    trace = fittings("waves", 5.0)
    stuck = attrs.evolve(trace.plans[0], stuck=True)
    assert law_bound(attrs.evolve(trace, plans=(stuck, *trace.plans)), [trace]) == law_bound(trace, [trace])
