"""A list in no order: its pages are read in turn, in place of polls of jobs that may be anywhere on it."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_sweep_depth import ListWorld
from world import job

from topaz_status.core.schedule.entry import PagePoll
from topaz_status.core.schedule.page import PageEntry, PageMembers
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.core.schedule.unordered_list import MOST_VAIN, UnorderedList
from topaz_status.models.job import JobKind, JobRef

PAGES: Final = 12


def tracked(number: int) -> TrackedJob:
    """Make a job of a number."""
    return TrackedJob(job(number, JobKind.IMAGE), 0.0, 0.0)


def sought(count: int) -> PageMembers:
    """Make a group of jobs that are sought."""
    page = PageEntry(JobKind.IMAGE, None, 100, 0.0, price=0.1, gets=2.0)
    group = page.expected
    for number in range(count):
        group.add(tracked(number))
    return group


def read(unordered: UnorderedList, group: PageMembers, cursor: str | None, following: str | None, hits: int) -> bool:
    """Read one page in turn that shows some of the jobs, and leave these out of the group."""
    expected = unordered.hits_expected(group)
    for shown in list(group.members)[:hits]:
        group.discard(shown)
    page = PageEntry(JobKind.IMAGE, cursor, 100, 0.0, price=0.1, gets=2.0)
    page.sought = group
    return unordered.learn(page, following, hits, expected)


def cursors(pages: int) -> list[tuple[str | None, str | None]]:
    """Return the cursor of each page of a list, and the one that it names."""
    names = [None, *(f"page {number}" for number in range(1, pages)), None]
    return list(pairwise(names))


def swept(pages: int) -> UnorderedList:
    """Return what is known after a sweep that showed one of many jobs on each page."""
    unordered, group = UnorderedList(), sought(10 * pages)
    ends = [read(unordered, group, cursor, following, 10) for cursor, following in cursors(pages)]
    assert ends == [False] * (pages - 1) + [True]
    return unordered


@given(st.integers(1, 40), st.integers(1, 200))
def test_new_jobs_may_be_on_any_page(pages: int, count: int) -> None:
    """So the next page of a list of known length should show its share of them."""
    assert swept(pages).hits_expected(sought(count)) == pytest.approx(count / pages)


@given(st.integers(2, 40), st.data())
def test_fewer_pages_are_left_for_jobs_that_came_earlier(pages: int, data: st.DataObject) -> None:
    """After some pages in vain, the jobs must be on one of the others, unless they are on no page."""
    unordered, group, turns = swept(pages), sought(1), data.draw(st.integers(1, pages - 1))
    for cursor, following in cursors(pages)[:turns]:
        read(unordered, group, cursor, following, 0)
    group.add(tracked(1))
    hits = unordered.hits_expected(group)
    assert hits <= 1.0 / (pages - turns) + 1.0 / pages + 1e-9
    assert hits > 0.8 * (1.0 / (pages - turns) + 1.0 / pages)


@given(st.integers(2, 30), st.data())
def test_a_job_is_released_once_all_pages_have_been_read_since_it_came(pages: int, data: st.DataObject) -> None:
    """It came in the middle of a sweep, so the first pages of the next one count, too."""
    unordered, first = swept(pages), data.draw(st.integers(0, pages - 1))
    earlier, later = sought(1), tracked(1)
    turns = (cursors(pages) * 2)[: pages + first]
    for turn, (cursor, following) in enumerate(turns):
        if turn == first:
            earlier.add(later)
            unordered.hits_expected(earlier)
        assert later not in unordered.sought_everywhere(earlier)
        read(unordered, earlier, cursor, following, 0)
    assert later in unordered.sought_everywhere(earlier)


def test_a_list_that_shows_no_job_is_soon_expected_to_show_none() -> None:
    """A hundred jobs are watched, and two sweeps show none of them."""
    unordered, group = swept(10), sought(100)
    before = unordered.hits_expected(group)
    for cursor, following in cursors(10) * 2:
        read(unordered, group, cursor, following, 0)
    assert unordered.hits_expected(sought(100)) < before / 20.0


def test_a_list_whose_cursors_never_end_is_begun_anew() -> None:
    """Nothing says how long it is."""
    unordered, group = UnorderedList(), sought(5)
    ends = [read(unordered, group, str(number), str(number + 1), 0) for number in range(MOST_VAIN)]
    assert ends == [False] * (MOST_VAIN - 1) + [True]


def test_cursors_that_lead_round_in_circles_end_a_sweep() -> None:
    """The third page names the second one."""
    unordered, group = UnorderedList(), sought(5)
    turns = [(None, "1"), ("1", "2"), ("2", "1")]
    assert [read(unordered, group, cursor, following, 0) for cursor, following in turns] == [False, False, True]


class Busy(ListWorld):
    """Jobs end at any time, on a list of twelve pages in no order; each second brings two tokens and one job."""

    def __init__(self, *, failing: float = 0.0) -> None:
        super().__init__()
        dice = random.Random(2)
        self.failing, self.luck = failing, random.Random(3)
        self.reads: list[str | None] = []
        self.rate = 2.0
        self.items: list[tuple[float, JobRef | None]] = [(-300.0 * dice.random(), None) for _ in range(100 * PAGES)]
        for number in range(300):
            self.run(max(float(number), self.now))
            ref = job(number, JobKind.IMAGE)
            self.add(ref, 40.0 * dice.lognormvariate(0.0, 1.0))
            self.items.insert(dice.randrange(len(self.items)), (self.now, ref))
        self.run(600.0)

    def answer(self, poll: object) -> None:
        if isinstance(poll, PagePoll):
            if self.luck.random() < self.failing:
                self.schedule.missed(poll, self.now, self.now + 0.5)
                return
            self.reads.append(poll.cursor)
        super().answer(poll)

    @property
    def mean_lag(self) -> float:
        """How late ends were found, in seconds, on average."""
        return sum(at - self.ends[ref] for ref, at in self.found.items()) / len(self.found)


def test_pages_in_turn_leave_no_token_to_polls_of_single_jobs() -> None:
    """Reading all pages in turn takes six seconds, and finds an end after three of them."""
    world = Busy()
    pages = sum(isinstance(poll, PagePoll) for at, poll in world.log if at < 300.0)
    assert world.mean_lag < 5.0
    assert pages > 0.6 * sum(at < 300.0 for at, _ in world.log)


def test_after_a_page_that_failed_the_sweep_goes_on_behind_it() -> None:
    """Its answer comes at the next try, and leads to the page after it: hardly a page is read twice in a row."""
    reads = Busy(failing=0.3).reads
    assert sum(earlier == later for earlier, later in pairwise(reads)) < len(reads) / 20
