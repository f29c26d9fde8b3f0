"""The bound that knows the law of lifetimes: what theory says of it, and that nobody is sooner."""

from __future__ import annotations

import math

import attrs
import lag
import numpy as np
import pytest
from law_bound import Law, best_plan, law_bound
from model import RTT, Run, Services, play
from rivals import RIVALS
from traces import Trace, try_ons

from topaz_status import JobKind
from topaz_status.testing import JobPlan


def rival(trace: Trace, name: str) -> Run:
    services = Services.of(trace, 1)
    return play(trace, 1, RIVALS[name](services), services, name)


def lifetimes_of(seconds: float, jobs: int) -> Trace:
    return Trace("few", 10.0, (JobPlan(kind=JobKind.TRY_ON, duration=seconds),) * jobs)


def test_a_law_of_one_value_leaves_nothing_to_find_out() -> None:
    """If every try-on lasts 20 s, and tokens are there, one poll each finds its end half a round trip later."""
    trace = lifetimes_of(20.0, jobs=10)
    bound = law_bound(trace, [trace])
    assert bound.mean == pytest.approx(RTT / 2, abs=0.02)
    assert bound.per_job == pytest.approx(1.0)


def test_scarce_tokens_bound_the_lag_whatever_is_known() -> None:
    """A hundred polls for as many jobs that end at once take 9 s at 10/s after a burst of 10, for everybody."""
    trace = lifetimes_of(20.0, jobs=100)
    assert 0.5 < law_bound(trace, [trace]).mean <= rival(trace, "bound-single").mean


def test_a_constant_hazard_has_the_gap_that_theory_says() -> None:
    """For hazard h and price c the best gap g solves (exp(h g) - 1) / h - g = c: with 0.1 and 0.5, 3.04 s."""
    lives = [-10.0 * math.log(1.0 - (number + 0.5) / 10_000) for number in range(10_000)]
    law = Law.of(lives)
    plan = best_plan(law, np.full(len(law.ages), 0.5), JobKind.TRY_ON)
    gaps = np.diff(law.ages[plan.polls_on])
    assert gaps[3:8] == pytest.approx(3.04, abs=0.2)


def test_the_law_is_no_help_to_the_library_but_a_bound_for_it() -> None:
    """Try-ons report nothing, so the library and all loops are later than the bound, which is above the clairvoyant."""
    bound = lag.play(lag.Task("try-on", "bound-law", 1, 0.2))
    played = {name: lag.play(lag.Task("try-on", name, 1, 0.2)) for name in ("library", "fixed", "bound-single")}
    assert played["bound-single"].mean < bound.mean < min(played["library"].mean, played["fixed"].mean)
    assert bound.lags == ()
    assert math.isnan(bound.quantile(0.5))


def test_pages_of_a_list_are_cheaper_than_polls() -> None:
    """The bound for as many images is lower than for try-ons, and that for videos, which need a GET each, between."""
    plans = try_ons(1, 0.2).plans
    traces = [
        Trace("few", 5.0, tuple(attrs.evolve(plan, kind=kind) for plan in plans))
        for kind in (JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON)
    ]
    images, clips, fittings = (law_bound(trace, [trace]).mean for trace in traces)
    assert images < clips < fittings
