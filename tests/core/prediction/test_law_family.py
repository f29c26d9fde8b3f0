"""What law lifetimes follow, judged by a few of them."""

from __future__ import annotations

import math
from itertools import accumulate
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.prediction.law_family import LawFamily, lognormal, mixed
from topaz_status.core.prediction.life_tables import BINS, EDGES, SETTLED_AT, LifeTable, Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.models.job import JobKind

NOTHING = [0.0] * BINS


def age_table() -> LifeTable:
    """Make a table of ages as it is before anything was learned."""
    return Lifetimes().table(JobKind.TRY_ON, Source.AGE, 1.0)


def alive_at(table: LifeTable, age: float) -> float:
    """Return the share of jobs that the table expects to be alive at an age."""
    return math.exp(-table.curve.hazard_before(age))


@given(st.lists(st.tuples(st.integers(0, BINS - 1), st.floats(0.0, 1e6), st.floats(0.0, 1e9)), max_size=30))
def test_whatever_was_counted_gives_a_law(counts: list[tuple[int, float, float]]) -> None:
    """No hazard is negative or infinite, even if what was counted is possible by no law."""
    deaths, exposure = NOTHING.copy(), NOTHING.copy()
    for place, died, lived in counts:
        deaths[place], exposure[place] = died, lived
    family = LawFamily([(0.7, lognormal(20.0, 0.3)), (0.3, lambda x: 1.0 / (1.0 + x))], EDGES)
    spent = family.expected(deaths, exposure)
    assert len(spent) == BINS
    assert all(0.0 < h < math.inf for h in spent)


def test_without_any_life_the_laws_count_by_their_weights() -> None:
    """The expected share of jobs alive is the mean of the shares by each law."""
    laws = [(0.25, lognormal(20.0, 0.3)), (0.75, lognormal(80.0, 0.5))]
    total = [0.0, *accumulate(LawFamily(laws, EDGES).expected(NOTHING, NOTHING))]
    for k, edge in enumerate(EDGES[:-1]):
        if edge < 200.0:
            assert math.exp(-total[k]) == pytest.approx(sum(weight * law(edge) for weight, law in laws), rel=1e-6)


def test_a_share_of_the_jobs_may_follow_another_law() -> None:
    """A mixture is the mean of two laws."""
    law = mixed(lognormal(10.0, 0.2), lambda _: 1.0, 0.1)
    assert law(0.0) == 1.0
    assert law(10.0) == pytest.approx(0.55)
    assert law(1e6) == pytest.approx(0.1)


@pytest.mark.parametrize(("median", "sigma"), [(8.0, 0.2), (60.0, 0.2), (60.0, 1.0), (600.0, 0.5)])
def test_a_dozen_lives_show_the_law(median: float, sigma: float) -> None:
    """The table expects about the true share of jobs alive at any age, though few of its bins have counted a death."""
    table, normal = age_table(), NormalDist()
    for number in range(12):
        table.died(0.0, median * math.exp(sigma * normal.inv_cdf((number + 0.5) / 12.0)))
    for _ in range(8):
        table.lived(0.0, 0.01)  # nothing is learned of them, but the curve is drawn
    for factor in (0.5, 0.8, 1.25, 2.0):
        assert alive_at(table, median * factor) == pytest.approx(lognormal(median, sigma)(median * factor), abs=0.1)


def test_a_law_that_no_law_of_the_family_fits_is_learned() -> None:
    """Half of the jobs last 5 s and half 500 s: after hundreds of lives the bins say so."""
    table, normal = age_table(), NormalDist()
    for number in range(600):
        share = (number * 0.618 + 0.5) % 1.0
        table.died(0.0, (5.0, 500.0)[number % 2] * math.exp(0.3 * normal.inv_cdf(share or 0.5)))
    assert alive_at(table, 20.0) == pytest.approx(0.5, abs=0.06)
    assert alive_at(table, 200.0) == pytest.approx(0.5, abs=0.06)
    assert alive_at(table, 1_500.0) < 0.03


def test_what_is_expected_settles() -> None:
    """After hundreds of deaths the family is not asked any more: a curve is drawn in a fraction of the time."""
    asked = 0

    def family() -> LawFamily:
        nonlocal asked
        asked += 1
        return LawFamily([(1.0, lognormal(20.0, 0.5))], EDGES)

    table = LifeTable(lognormal(20.0, 0.5), 2.0, family)
    for _ in range(int(SETTLED_AT)):
        table.died(0.0, 20.0)
    before = asked
    assert before > 1
    for _ in range(3_000):
        table.died(0.0, 20.0)
    assert asked <= before + 1
