"""How long jobs last: what the life tables learn, from those that ended and from those that go on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.prediction.life_tables import BINS, EDGES, FADE_AT, LifeTable, Lifetimes, bin_of
from topaz_status.core.prediction.sources import Source
from topaz_status.models.job import JobKind


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.booleans()), max_size=200))
def test_a_curve_only_rises(lives: list[tuple[float, float, bool]]) -> None:
    """Whatever is learned, no hazard is negative and survival never grows."""
    table = LifeTable(lambda x: 1.0 / (1.0 + x), 2.0)
    for x0, more, died in lives:
        (table.died if died else table.lived)(x0, x0 + more)
    assert all(h >= 0.0 for h in table.curve.slope)
    assert all(a <= b for a, b in zip(table.curve.total, table.curve.total[1:], strict=False))


def test_a_table_learns_a_law_with_its_survivors() -> None:
    """Jobs seen only up to an age count as survivors: the early finishers of a burst do not bias the law."""
    table = LifeTable(lambda x: (1.0 + x / 20.0) ** -0.8, 2.0)
    for _ in range(60):
        table.died(0.0, 5.0)
    for _ in range(940):
        table.lived(0.0, 10.0)
    assert math.exp(-table.curve.hazard_before(9.0)) == pytest.approx(0.94, abs=0.02)


def test_edges_are_sorted() -> None:
    """The bins follow one another."""
    assert list(EDGES) == sorted(set(EDGES))


@given(st.floats(0.0, 1e9))
def test_every_time_has_its_bin(x: float) -> None:
    """A time lies in the bin that is found for it; the last one has no end."""
    k = bin_of(x)
    assert EDGES[k] <= x * (1 + 1e-9)
    assert k == BINS - 1 or x <= EDGES[k + 1] * (1 + 1e-9)


def test_a_service_that_changes_is_followed() -> None:
    """Old observations fade: after as many new ones the table believes these."""
    table = LifeTable(lambda x: (1.0 + x / 20.0) ** -0.8, 2.0)
    for _ in range(int(2 * FADE_AT)):
        table.died(0.0, 5.0)
    for _ in range(int(4 * FADE_AT)):
        table.died(0.0, 50.0)
    assert math.exp(-table.curve.hazard_before(20.0)) > 0.75


def test_few_observations_do_not_turn_the_prior_over() -> None:
    """One early end does not make every job seem short."""
    table = LifeTable(lambda x: (1.0 + x / 20.0) ** -0.8, 2.0)
    before = math.exp(-table.curve.hazard_before(20.0))
    table.died(0.0, 3.0)
    for _ in range(100):
        table.lived(0.0, 0.01)
    assert math.exp(-table.curve.hazard_before(20.0)) > 0.6 * before


def test_sources_and_kinds_learn_apart() -> None:
    """What is learned of one kind of job, or of one source of prediction, says nothing of another."""
    lifetimes = Lifetimes()
    tables = [lifetimes.table(kind, source, 30.0) for kind in JobKind for source in Source]
    assert len({id(table) for table in tables}) == len(tables)
    assert lifetimes.table(JobKind.IMAGE, Source.ETA, 30.0) is lifetimes.table(JobKind.IMAGE, Source.ETA, 31.0)
    assert lifetimes.table(JobKind.IMAGE, Source.ETA, 30.0) is not lifetimes.table(JobKind.IMAGE, Source.ETA, 3e4)
    assert lifetimes.table(JobKind.IMAGE, Source.AGE, 30.0) is lifetimes.table(JobKind.IMAGE, Source.AGE, 3e4)


def test_the_share_of_jobs_that_are_over_before_they_are_watched() -> None:
    """Where first polls find jobs over, the next first poll is worth more; where they do not, less."""
    eager, calm = Lifetimes(), Lifetimes()
    start = eager.over_at_first(JobKind.IMAGE)
    for _ in range(50):
        eager.first_poll(JobKind.IMAGE, 1.0)
        calm.first_poll(JobKind.IMAGE, 0.0)
    assert calm.over_at_first(JobKind.IMAGE) < start < eager.over_at_first(JobKind.IMAGE) < math.inf
    assert eager.over_at_first(JobKind.VIDEO) == start


def test_a_table_that_has_forgotten_often_still_draws_a_curve() -> None:
    """However many deaths have faded, every bin keeps some exposure and no hazard turns negative."""
    table, x = LifeTable(lambda age: 1.0 / (1.0 + age), 4.0), 0.37
    for _ in range(100_000):
        x = (x * 1.6180339887 + 0.1) % 4.0
        table.died(x, x + 0.01 + x * x)
    assert min(table.curve.slope) >= 0.0
    assert table.curve.total[-1] < math.inf
