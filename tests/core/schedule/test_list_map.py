"""Where jobs lie on a list: from ages, densities and cursors, none of which is trusted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.schedule.list_map import SLACK, ListMap
from topaz_status.core.schedule.list_marks import MOST_MARKS, WHOLE_SECOND
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


def test_behind_a_burst_a_job_is_as_far_as_pages_of_the_whole_list_would_need() -> None:
    """Ten pages span 100 s each, then five none: a job 600 s ahead is a dozen pages ahead, not hundreds."""
    known = ListMap(100)
    for page in range(10):
        known.learn(str(page), falling(100.0 * page, 9.0), 5_000.0)
    for page in range(10, 15):
        stretch = known.learn(str(page), [1_000.0] * 12, 5_000.0)
    assert stretch is not None
    ahead = known.ahead(stretch, [5_000.0 - 1_600.0], 100, 15)
    assert 100 / 12 < ahead.rate < 100 / 6


def test_after_the_last_burst_nothing_is_dense() -> None:
    """Ten pages were made within two seconds, a hundred seconds ago, and the list ends there: new jobs are a few pages on."""
    known = ListMap(100)
    visited = [None, *map(str, range(1, 10))]
    for page, cursor in enumerate(visited):
        stretch = known.learn(cursor, falling(101.8 - 0.2 * page, 0.018)[::-1], 1_000.0)
    assert stretch is not None
    assert known.order is AgeOrder.OLDEST
    assert known.ahead(stretch, [999.0], 100, 10).rate < 1.0
    known.ends(visited)
    assert known.ahead(stretch, [999.0], 100, 10).rate > 5.0


def test_pages_that_are_read_again_change_nothing_of_what_lies_ahead() -> None:
    """A crowded page that is read a hundred times for its jobs does not make the list seem crowded everywhere."""
    known = ListMap(100)
    for page, cursor in enumerate([None, "a", "b"]):
        stretch = known.learn(cursor, falling(100.0 * page, 9.0), 1_000.0)
    assert stretch is not None
    before = known.ahead(stretch, [200.0], 10, 3)
    for _ in range(100):
        known.learn("c", [300.0] * 12, 1_000.0, is_new=False)
    assert known.ahead(stretch, [200.0], 10, 3).rate > 0.5 * before.rate


def test_the_cursor_that_a_page_names_leads_to_where_that_page_ends() -> None:
    """So new jobs on an oldest-first list are expected behind its last page, which nobody has read yet."""
    known = ListMap(100)
    known.learn(None, falling(500.0, 10.0)[::-1], 1_000.0, next_cursor="next")
    assert known.seek(1_000.0) == "next"
    assert known.seek(1_000.0 - 600.0) is None


def test_of_pages_of_one_second_the_last_is_sought() -> None:
    """Their places differ by less than the error of an age, so the order of their cursors counts."""
    known = ListMap(100)
    known.learn(None, falling(500.0, 10.0)[::-1], 1_000.0, next_cursor="a")
    for number, (cursor, following) in enumerate([("a", "b"), ("b", "c"), ("c", None)]):
        known.learn(cursor, [500.0] * 12, 1_000.0 - 0.3 * number, next_cursor=following)
    assert known.seek(1_000.0) == "c"


@given(
    starts=st.dictionaries(st.sampled_from("abcdef"), st.floats(0.0, 1e3)),
    births=st.lists(st.floats(0.0, 1e3), min_size=1, max_size=16),
    step=st.sampled_from([1, -1]),
)
def test_a_sweep_skips_no_job_that_it_has_not_passed(starts: dict[str, float], births: list[float], step: int) -> None:
    """It goes to the last known place before the first job ahead, if that is farther than the page's end."""
    known = ListMap(100)
    for cursor, start in starts.items():
        known.learn(cursor, falling(start, 1.0)[::step], 1e3)
    stretch = known.learn(None, falling(500.0, 1.0)[::step], 1e3)
    assert stretch is not None
    places = {cursor: start - 999.0 if step == 1 else 990.0 - start for cursor, start in starts.items()}
    ahead = [place for place in (-step * born_at for born_at in births) if place >= stretch.end - SLACK]
    between = [at for at in places.values() if stretch.end < at < min(ahead, default=-math.inf) - SLACK]
    found = known.skip(stretch, births)
    assert (found is None) == (not between)
    assert found is None or places[found] == pytest.approx(max(between), abs=WHOLE_SECOND)


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
        known.ends([cursor, *"abc"[: number % 4]])
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
