"""Jobs far ahead on a list: polled singly until a sweep for them has paid for itself."""

from __future__ import annotations

import random
from typing import Final

import pytest
from hostile_lists import EmptyForUs, HostileList
from hypothesis import given, settings
from hypothesis import strategies as st
from test_adversarial_lists import hostile_lists
from test_sweep_depth import ListWorld
from world import POLICY, alive, job

from topaz_status.core.prediction.life_tables import Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.schedule.distant_jobs import DistantJobs
from topaz_status.core.schedule.entry import IN_FLIGHT, JobPoll, PagePoll
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.core.schedule.sweep import Sweep
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind, JobRef

OLDER: Final = 3_000
"""Items of others, made one a second before the first job."""


def distant(count: int) -> list[TrackedJob]:
    """Make jobs that wait to be polled by themselves."""
    jobs = [TrackedJob(job(number, JobKind.IMAGE), 0.0, 0.0) for number in range(count)]
    for tracked in jobs:
        tracked.level = 0
    return jobs


def image_sweep() -> Sweep:
    """Make a sweep through a list of images, a hundred on a page."""
    sweep = Schedule(POLICY, pages={JobKind.IMAGE: 100})._lanes[JobKind.IMAGE].sweep
    assert sweep is not None
    return sweep


@given(st.integers(1, 20), st.integers(0, 100), st.floats(1.0, 100.0), st.sampled_from([1.0, 2.0, 8.0]))
def test_a_sweep_is_due_once_it_would_have_saved_its_cost(count: int, polls: int, pages: float, price: float) -> None:
    """It costs a poll for each page, and saves those that were sent, and one of each job that waits."""
    waiting, jobs = DistantJobs(), distant(count)
    waiting.add(jobs, pages)
    for _ in range(polls):
        waiting.polled()
    assert waiting.due(price) == (jobs if count + polls >= pages * price else [], pages)
    assert (jobs[0] in waiting) == (count + polls < pages * price)


@given(st.lists(st.integers(0, 50)), st.lists(st.floats(0.5, 80.0)), st.floats(0.0, 100.0))
def test_pages_are_paid_for_once(polls: list[int], pages: list[float], more: float) -> None:
    """However often they are paid for and paid back, they are never more than the single polls."""
    waiting = DistantJobs()
    for _ in range(sum(polls)):
        waiting.polled()
    paid = [waiting.pay(each) for each in pages]
    assert sum(paid) <= sum(polls)
    assert all(one <= each + 1.0 for one, each in zip(paid, pages, strict=True))
    waiting.refund(sum(paid))
    assert waiting.affords(more) == (sum(polls) >= more)


def test_jobs_that_left_or_were_met_are_not_swept_for() -> None:
    """One is no longer watched, and one is expected on a page again. One that is being polled is swept for later."""
    waiting, (gone, stays, met, polled) = DistantJobs(), distant(4)
    waiting.add([gone, stays, met, polled], 2.0)
    polled.level = IN_FLIGHT
    waiting.discard(gone)
    waiting.discard(gone)
    waiting.discard(met)
    assert waiting.due(1.0) == ([stays], 2.0)
    assert polled in waiting


class WholeSeconds(ListWorld):
    """A list that reports ages in whole seconds."""

    def age(self, born_at: float) -> float:
        return float(int(self.now - born_at))

    def pages(self) -> list[float]:
        """Return when pages were polled."""
        return [at for at, poll in self.log if isinstance(poll, PagePoll)]


class OldestFirst(WholeSeconds):
    """A list that begins with thousands of older items of others, in whole seconds; new jobs are on its last page."""

    def __init__(self) -> None:
        super().__init__()
        self.items = [(-float(OLDER - number), None) for number in range(OLDER)]

    def submit(self, ref: JobRef, lasts: float) -> None:
        """Begin to watch a new job, which is the last on the list."""
        self.add(ref, lasts)
        self.items.append((self.now, ref))


def test_pages_that_are_paid_for_do_not_wait_for_their_worth() -> None:
    """Single polls of their jobs keep the worth of the next page low: no job has waited for long."""
    sweep = image_sweep()
    for tracked in distant(10):
        tracked.believe(Source.AGE, 1.0, 0.0, Lifetimes())
        sweep.presume(tracked, 0.0)
    [page] = sweep._pages.values()
    sweep.settle(0.0)
    assert page.due_at > 0.0
    page.expected.pages_paid = 1
    sweep._changed[page] = None
    sweep.settle(0.0)
    assert page.due_at == 0.0


def test_pages_that_were_paid_for_and_lead_nowhere_are_given_up() -> None:
    """Thousands of single polls were counted. Then the list repeats itself for ever."""
    world = EmptyForUs(JobKind.IMAGE, 100, "step of one item")
    world.run(3_000.0)
    world.ages, before = "same page", world.pages
    world.run(3_600.0)
    assert world.pages - before < 40


def test_what_was_paid_for_jobs_that_left_is_paid_back() -> None:
    """A job that is expected on the same page later does not pay for pages with it."""
    sweep = image_sweep()
    gone, new = distant(2)
    sweep.presume(gone, 0.0)
    [page] = sweep._pages.values()
    page.expected.pages_paid = 30
    sweep.leave(gone)
    sweep.presume(new, 5_000.0)
    [page] = sweep._pages.values()
    assert page.expected.pages_paid == 0
    assert sweep._distant.affords(30)


def test_what_was_paid_for_a_page_that_fails_is_paid_back() -> None:
    """Nothing was read for it."""
    sweep = image_sweep()
    [tracked] = distant(1)
    sweep.presume(tracked, 0.0)
    [page] = sweep._pages.values()
    page.expected.pages_paid = 30
    poll = page.send()
    sweep.queue.remove(page, IN_FLIGHT)
    sweep.missed(poll, 1.0, 2.0)
    assert page.expected.pages_paid == 0
    assert sweep._distant.affords(30)


@given(world=hostile_lists())
@settings(max_examples=40)
def test_no_job_that_a_page_answers_for_is_distant(world: HostileList) -> None:
    """It was found by another sweep, or is expected on a page again."""
    world.run(60.0)
    for tracked in world.schedule._jobs.values():
        sweep = world.schedule._lanes[tracked.kind].sweep
        assert sweep is None or tracked.group is None or tracked not in sweep._distant


def test_a_stream_of_jobs_far_ahead_is_polled_by_pages_in_the_end() -> None:
    """Each job by itself is not worth thirty pages. But those that come later are found behind the same cursors."""
    world, dice = OldestFirst(), random.Random(1)
    for number in range(300):
        world.run(float(number))
        world.submit(job(number, JobKind.IMAGE), 60.0 * dice.lognormvariate(0.0, 0.5))
    late = [at for at, poll in world.log if isinstance(poll, JobPoll) and at > 150.0]
    assert len([at for at in world.pages() if at > 150.0]) > len(late)


def test_a_trickle_of_jobs_far_ahead_is_polled_by_pages_in_the_end() -> None:
    """There are always fewer jobs than pages on the way to them. But polls of jobs that came and went count as well."""
    world, dice = OldestFirst(), random.Random(1)
    for number in range(60):
        world.run(30.0 * number)
        world.submit(job(number, JobKind.IMAGE), 180.0 * dice.lognormvariate(0.0, 0.5))
        assert len(world.schedule) < 20
    pages = world.pages()
    swept = next(at for at in pages if len([one for one in pages if at <= one < at + 10.0]) >= OLDER // 100)
    singly = [at for at, poll in world.log if isinstance(poll, JobPoll) and at > swept + 10.0]
    assert len([at for at in pages if at > swept + 10.0]) > len(singly)


def test_a_second_wave_is_found_behind_the_first() -> None:
    """A minute with no items lies between two waves: its cursors lead there, so nobody reads the first pages again."""
    world = OldestFirst()
    for wave in range(2):
        world.run(300.0 * wave)
        for number in range(200):
            world.submit(job(1_000 * wave + number, JobKind.IMAGE), 30.0)
        world.run(world.now + 100.0)
    assert len(world.found) == 400
    second = [at for at in world.pages() if 300.0 <= at < 310.0]
    assert 2 <= len(second) < 15
    lags = [world.found[ref] - end for ref, end in world.ends.items()]
    assert sum(lags) / len(lags) < 5.0


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_list_whose_order_is_not_known_is_swept_though_its_first_pages_show_no_job(pages: int) -> None:
    """All items are as old as the first, and the jobs seem younger, because nobody said when they were submitted."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    refs = [job(number, JobKind.IMAGE) for number in range(100)]
    for ref in refs:
        schedule.add(ref, 0.0)
    now, cursor = 1.0, None
    for page in range(pages):
        poll = schedule.pick(now, [JobKind.IMAGE])
        while isinstance(poll, JobPoll):  # others are polled by themselves meanwhile
            poll = schedule.pick(now, [JobKind.IMAGE])
        assert poll == PagePoll(JobKind.IMAGE, cursor, 100)
        now, cursor = now + 0.1, f"page {page}"
        schedule.saw(poll, now, [], next_cursor=cursor, ages=[39.0] * 12)
    poll = schedule.pick(now, [JobKind.IMAGE])
    assert poll == PagePoll(JobKind.IMAGE, cursor, 100)
    schedule.saw(poll, now, [alive(ref) for ref in refs], ages=[39.0] * 12)
    assert isinstance(schedule.pick(now + 60.0, [JobKind.IMAGE]), PagePoll)


def test_single_polls_pay_for_as_many_pages_as_a_sweep_has_read() -> None:
    """Where ages show neither the order of a list nor how far its jobs are, that is the best guess."""
    sweep = image_sweep()
    jobs = distant(200)
    for tracked in jobs:
        sweep.presume(tracked, 0.0)
    cursor: str | None = None
    for number in range(1, 6):
        page = sweep._pages[cursor]
        poll, cursor = page.send(), f"page {number}"
        sweep.queue.remove(page, IN_FLIGHT)
        sweep.read(poll, [], [], cursor, 1.0, ages=[1.0] * 12)
    group = sweep._pages[cursor].expected
    assert len(group.members) == 200
    for tracked in jobs[:4]:
        sweep.polls_singly(tracked)
        assert group.pages_paid == 0
    sweep.polls_singly(jobs[4])
    assert group.pages_paid == 5


class Buried(WholeSeconds):
    """Half a second after 1,500 jobs, 9,000 items of others come before them."""

    def __init__(self, *, own_are_listed: bool) -> None:
        super().__init__()
        dice = random.Random(1)
        for number in range(1_500):
            ref = job(number, JobKind.IMAGE)
            self.add(ref, 100.0 * dice.lognormvariate(0.0, 0.45))
            self.reported[ref] = {"remaining": 20.0 * dice.lognormvariate(0.0, 1.0)}
            if own_are_listed:
                self.items.append((0.0, ref))
        self.run(0.5)
        self.rate = 3.5
        for _ in range(20):
            self.items[:0] = [(0.5, None)] * 450
            self.run(self.now + 0.01)


def test_jobs_behind_many_items_of_the_same_second_are_found() -> None:
    """Sweeps for jobs of several pages are under way. That one for a few jobs is given up does not end the others."""
    world = Buried(own_are_listed=True)
    world.run(400.0)
    assert sum(at - world.ends[ref] for ref, at in world.found.items()) / len(world.found) < 10.0


def test_jobs_that_are_on_no_list_are_not_swept_for_again_and_again() -> None:
    """Each sweep that finds no job doubles what single polls have to cost before the next one."""
    world = Buried(own_are_listed=False)
    world.run(800.0)
    assert len(world.pages()) < len(world.log) / 6


class Shuffled(ListWorld):
    """A list in no order, with older items of others; new jobs come three in four seconds, for two minutes."""

    def __init__(self, older: int) -> None:
        super().__init__()
        dice = random.Random(1)
        self.rate = 1.1
        self.items = [(-300.0 * dice.random(), None) for _ in range(older)]
        for number in range(90):
            self.run(max(number / 0.75, self.now))
            ref = job(number, JobKind.IMAGE)
            self.add(ref, 20.0 * dice.lognormvariate(0.0, 0.9))
            self.items.insert(dice.randrange(len(self.items)), (self.now, ref))

    def pages_read(self) -> int:
        """Count the pages of the list that were read, each once."""
        return len({poll.cursor for _, poll in self.log if isinstance(poll, PagePoll)})


def test_a_list_in_no_order_is_swept_though_its_first_page_shows_no_job() -> None:
    """Each of its eleven pages shows one or two of the twenty jobs that run: they answer sooner than twenty polls."""
    assert Shuffled(1_000).pages_read() > 5


def test_a_list_in_no_order_that_is_far_too_long_is_not_swept() -> None:
    """It has two hundred pages, and hardly one shows a job."""
    world = Shuffled(20_000)
    assert world.pages_read() < 11
    assert sum(isinstance(poll, PagePoll) for _, poll in world.log) < len(world.log) / 4
