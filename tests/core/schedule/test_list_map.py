"""Where jobs lie on a list: from ages, densities and cursors, none of which is trusted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.schedule.list_map import MOST_MARKS, ListMap
from topaz_status.core.schedule.list_order import AgeOrder

AGES = st.lists(st.floats(0.0, 7 * 86_400.0), max_size=12)
CURSORS = st.one_of(st.none(), st.sampled_from("abcdef"))


def falling(newest: float, step: float) -> list[float]:
    """Return the ages of a page that shows its newest item first, ``step`` seconds apart."""
    return [newest + step * number for number in range(12)]


def test_a_job_as_old_as_what_lies_ahead_is_as_many_pages_ahead() -> None:
    """Pages span about 100 s each; a job 400 s older than the end of the page is four to five polls ahead."""
    known = ListMap(100)
    stretch = known.learn(None, falling(0.0, 10.0), 1_000.0)
    assert stretch is not None
    ahead = known.ahead(stretch, [500.0], 1, 1)
    assert ahead.rate == pytest.approx(1 / 4.5, rel=0.2)
    assert ahead.passed == 0.0


def test_a_job_younger_than_the_end_of_a_page_was_passed() -> None:
    """The page should have shown it, so nothing is expected of those to come."""
    known = ListMap(100)
    stretch = known.learn(None, falling(0.0, 10.0), 1_000.0)
    assert stretch is not None
    ahead = known.ahead(stretch, [950.0], 1, 1)
    assert (ahead.passed, ahead.rate) == (1.0, 0.0)


def test_an_oldest_first_list_has_new_jobs_ahead() -> None:
    """On the same pages in reverse a new job is far ahead, and the old one was passed."""
    known = ListMap(100)
    stretch = known.learn(None, falling(500.0, 10.0)[::-1], 1_000.0)
    assert stretch is not None
    assert known.order is AgeOrder.OLDEST
    new, old = known.ahead(stretch, [1_000.0], 1, 1), known.ahead(stretch, [450.0], 1, 1)
    assert new.rate == pytest.approx(1 / 5.7, rel=0.1)
    assert old.passed == 1.0


def test_equal_ages_make_jobs_as_far_ahead_as_the_sweep_has_come() -> None:
    """A burst of items in one second has no density: the rate halves when the pages double."""
    known = ListMap(100)
    stretch = known.learn(None, [5.0] * 12, 1_000.0)
    assert stretch is not None
    rates = [known.ahead(stretch, [995.0], 50, pages).rate for pages in (1, 2, 4, 8)]
    assert rates == [50.0, 25.0, 12.5, 6.25]


def test_a_cursor_leads_back_to_jobs_of_an_age() -> None:
    """The last known page that begins before the job is where it is expected; new jobs are expected on the first."""
    known = ListMap(100)
    for page, cursor in enumerate([None, "a", "b", "c"]):
        known.learn(cursor, falling(110.0 * page, 10.0), 1_000.0)
    assert known.seek(1_000.0) is None
    assert known.seek(1_000.0 - 250.0) == "b"
    assert known.seek(0.0) == "c"
    known.forget("b")
    assert known.seek(1_000.0 - 250.0) == "a"


def test_the_last_page_of_an_oldest_first_list_is_where_new_jobs_are() -> None:
    """The cursor that led to the last page leads there again."""
    known = ListMap(100)
    for page, cursor in enumerate([None, "a", "b"]):
        known.learn(cursor, falling(220.0 - 110.0 * page, 10.0)[::-1], 1_000.0)
    assert known.seek(1_000.0) == "b"


@given(
    pages=st.lists(st.tuples(CURSORS, AGES, st.floats(0.0, 1e5)), min_size=1, max_size=60),
    births=st.lists(st.floats(-1e6, 1e5), min_size=1, max_size=16),
    count=st.integers(1, 100_000),
)
def test_no_list_makes_an_estimate_absurd(
    pages: list[tuple[str | None, list[float], float]], births: list[float], count: int
) -> None:
    """Reordered, repeated or lying pages: a poll shows no more than a page or the jobs, and no share exceeds one."""
    known = ListMap(100)
    for number, (cursor, ages, now) in enumerate(pages, 1):
        stretch = known.learn(cursor, ages, now)
        if stretch is not None:
            ahead = known.ahead(stretch, births, count, number)
            assert 0.0 <= ahead.rate <= 100.0 * (1 + 1e-9)
            assert ahead.rate <= count * (1 + 1e-9)
            assert 0.0 <= ahead.passed <= 1.0 + 1e-9
        assert known.seek(births[0]) in {None, *"abcdef"}


@given(st.lists(st.floats(0.0, 1e5), min_size=100, max_size=100))
def test_few_cursors_are_remembered(starts: list[float]) -> None:
    """A list of any length costs a bounded memory."""
    known = ListMap(100)
    for number, start in enumerate(starts):
        known.learn(str(number), falling(start, 1.0), 1e6)
    found = {known.seek(1e6 - start) for start in starts} - {None}
    assert len(found) <= MOST_MARKS
    assert known.seek(math.inf) is None
