"""The tracked job: the short ways that most polls take lead where the long ones do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import alive, job

from topaz_status.core.prediction.life_tables import Lifetimes
from topaz_status.core.prediction.sources import FARTHEST, SOONEST, Source, class_bounds, size_class
from topaz_status.core.schedule.page import GETS, PageEntry
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind

spans = st.floats(0.01, 5_000.0)
etas = st.one_of(st.integers(-100, 20_000), st.integers(150, 300), st.integers(-1, 40), st.just(FARTHEST))


class Doubtful(Lifetimes):
    """Lifetimes whose tables speak for no prediction in particular, so that each is computed."""

    def table(self, kind: JobKind, source: Source, remaining: float):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """As ever."""
        table = super().table(kind, source, remaining)
        table.least, table.most = math.inf, 0.0
        return table


@given(st.lists(st.tuples(spans, etas), min_size=1, max_size=30))
def test_an_eta_that_goes_on_leads_where_predicting_anew_does(polls: list[tuple[float, float]]) -> None:
    """Whatever the service foretells: what is believed does not depend on the way it was come to."""
    known = []
    for lifetimes in (Lifetimes(), Doubtful()):
        tracked, now = TrackedJob(job(0, JobKind.IMAGE), 0.0, 0.0), 0.0
        tracked.believe(Source.AGE, 1.0, 0.0, lifetimes)
        believed: list[float] = []
        for gap, about in polls:
            now += gap
            eta = about + 0.3  # at no bound between two sizes
            tracked.saw_alive(alive(tracked.job, remaining=eta), now, lifetimes)
            believed += tracked.source, tracked.basis_at, tracked.unit, tracked.before, tracked.repeated_since
            believed.append(tracked.spent_by(now + 1.0))
            if tracked.source is Source.ETA and SOONEST <= eta <= FARTHEST:
                assert tracked.table is lifetimes.table(JobKind.IMAGE, Source.ETA, eta)
        known.append(believed)
    assert known[0] == known[1]


@given(st.floats(SOONEST, FARTHEST, exclude_max=True))
def test_a_size_has_bounds(remaining: float) -> None:
    """A prediction lies between the bounds of its size, but for what rounding does at the edges."""
    least, most = class_bounds(size_class(remaining))
    assert least * (1.0 - 1e-9) <= remaining <= most * (1.0 + 1e-9)


def _page(gaps_until: float) -> PageEntry:
    """Give a page of fifty jobs that was read at 0, with ``gaps_until`` seconds to their ends."""
    page, lifetimes = PageEntry(JobKind.IMAGE, None, 100, 0.0, price=0.1, gets=GETS), Lifetimes()
    for number in range(50):
        tracked = TrackedJob(job(number, JobKind.IMAGE), 0.0, 0.0)
        tracked.believe(Source.ETA, gaps_until + number, 0.0, lifetimes)
        page.known.add(tracked)
    return page


@given(st.floats(1.0, 1e4), st.floats(1.0, 1e4))
def test_where_a_page_was_worth_its_price_before_hardly_changes_where_it_is(before: float, after: float) -> None:
    """A page whose worth was computed elsewhere, its jobs having been others, is due when a new one is."""
    fresh, old = _page(after), _page(before)
    old.reaches_at(0.1, 0.0)
    old.known.members = fresh.known.members
    old.changed()
    assert math.isclose(old.reaches_at(0.1, 0.0), fresh.reaches_at(0.1, 0.0), rel_tol=0.25)


@given(st.lists(spans, min_size=1, max_size=20), st.floats(0.0, 1e4))
def test_the_first_longest_gap_of_a_page_is_that_of_its_youngest_job(ages: list[float], now: float) -> None:
    """All were seen when it was read, and the longest gap grows with the age."""
    page = PageEntry(JobKind.IMAGE, None, 100, now, price=0.1, gets=GETS)
    for number, age in enumerate(ages):
        page.known.add(TrackedJob(job(number, JobKind.IMAGE), now - age, now))
    gaps = [min(max(15.0, (now - member.born_at) / 4.0), 300.0) for member in page.known.members]
    assert page.first_late_at(now, lambda age: min(max(15.0, age / 4.0), 300.0)) == now + min(gaps)


@given(spans, spans, spans)
def test_a_life_before_its_watch_is_not_counted(age: float, unseen: float, wait: float) -> None:
    """Jobs that ended before their watches began are not counted either, so those that did not would seem too many."""
    tracked, lifetimes = TrackedJob(job(1, JobKind.TRY_ON), -age, 0.0), Lifetimes()
    tracked.seen_at = -min(unseen, age)
    tracked.believe(Source.AGE, 1.0, tracked.born_at, lifetimes)
    tracked.saw_alive(alive(tracked.job), wait, lifetimes)
    other = Lifetimes().table(JobKind.TRY_ON, Source.AGE, 1.0)
    other.lived(age, age + wait)
    counted, fair = tracked.table.counts(), other.counts()
    assert counted[1] == fair[1]
    for mine, theirs in zip(counted[2:], fair[2:], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_list_replaces_no_prediction_of_an_earlier_poll() -> None:
    """The job's own progress predicts better than the time that it has run."""
    tracked, lifetimes = TrackedJob(job(1, JobKind.VIDEO), 0.0, 0.0), Lifetimes()
    tracked.believe(Source.AGE, 1.0, 0.0, lifetimes)
    listed = alive(tracked.job, estimate=100.0, ran=10.0)
    tracked.saw_alive(listed, 10.0, lifetimes)
    assert (tracked.source, tracked.unit) == (Source.PLAN, 90.0)
    tracked.saw_alive(alive(tracked.job, estimate=100.0, progress=0.5), 20.0, lifetimes)
    before = tracked.source, tracked.unit, tracked.basis_at
    tracked.saw_alive(listed, 30.0, lifetimes)
    assert (tracked.source, tracked.unit, tracked.basis_at) == before
