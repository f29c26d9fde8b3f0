"""The list of videos, which says whether a video is over, but neither how far it is nor where its result is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import POLICY, World, alive, ended, explain, job

from topaz_status.core.prediction.life_tables import Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.schedule.entry import IN_FLIGHT, JobPoll, PagePoll
from topaz_status.core.schedule.lane import RENEWED
from topaz_status.core.schedule.page import GETS, SURE, PageEntry
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind

VIDEO = JobKind.VIDEO
PAGE = PagePoll(VIDEO, None, 50)


def burst(pages: dict[JobKind, int]) -> tuple[float, int]:
    """Watch 300 videos of 20 s at 10 requests/s; give the mean lag, and the polls that found no end after 10 s."""
    world, dice = World(10.0, pages), random.Random(1)
    for number in range(300):
        world.add(job(number, VIDEO), 20.0 * dice.lognormvariate(0.0, 0.5))
    while len(world.schedule):
        world.run(world.now + 1.0)
    singly = [(at, poll.job) for at, poll in world.log if isinstance(poll, JobPoll)]
    lags = [at - world.ends[ref] for at, ref in singly if at >= world.ends[ref]]
    assert len(lags) == 300
    return sum(lags) / 300, sum(10.0 < at < world.ends[ref] for at, ref in singly)


def test_under_load_a_page_of_the_history_makes_polls_sure() -> None:
    """Fewer polls of a burst are in vain, and its ends are known in half the time that it takes without the list."""
    lag, vain = burst({VIDEO: 50})
    lag_without, vain_without = burst({})
    assert lag < 0.5 * lag_without
    assert vain < 0.6 * vain_without


def bare_page(jobs: int, source: Source, unit: float, price: float = 0.1) -> PageEntry:
    """Make a page of the history that showed so many jobs at 0 s, all with the same prediction."""
    page, lifetimes = PageEntry(VIDEO, None, 50, 0.0, price=price, gets=GETS, bare=True), Lifetimes()
    for number in range(jobs):
        tracked = TrackedJob(job(number, VIDEO), 0.0, 0.0)
        tracked.believe(source, unit, 0.0, lifetimes)
        page.known.add(tracked)
    return page


@pytest.mark.parametrize(("jobs", "cost"), [(1, GETS - 1.0), (int(GETS), GETS - 1.0), (int(GETS) + 1, 0.0), (20, 0.0)])
def test_a_bare_page_costs_more_than_a_poll_unless_it_saves_some(jobs: int, cost: float) -> None:
    """Its worth is that of a poll of each of its jobs, less its cost beyond one poll while they are few."""
    page = bare_page(jobs, Source.AGE, 1.0)
    alone = sum(tracked.change_worth_at(10.0) for tracked in page.known.members)
    assert page.worth_at(10.0) == pytest.approx(alone - cost * 0.1)


@pytest.mark.parametrize("gap", [10.0, 30.0, 60.0, 300.0])
def test_a_bare_page_is_worth_less_for_jobs_that_are_almost_surely_over(gap: float) -> None:
    """Their own polls would find the ends as well, and show the results."""
    page = bare_page(20, Source.ETA, 20.0)
    first = next(iter(page.known.members))
    alone = 20 * first.change_worth_at(gap)
    surely = math.exp(min(SURE - first.spent_by(gap), 0.0))
    assert page.worth_at(gap) == pytest.approx(surely * alone)
    assert (surely < 0.5) == (gap >= 60.0)


@given(st.lists(st.floats(0.3, 20.0), max_size=20), st.floats(0.01, 0.9))
def test_a_prediction_is_renewed_however_often_the_list_is_read(gaps: list[float], progress: float) -> None:
    """The list does not show the progress, so it does not put off the job's own poll for more than two longest gaps."""
    schedule, ref = Schedule(POLICY, pages={VIDEO: 50}), job(1, VIDEO)
    schedule.add(ref, 0.0)
    schedule.saw(JobPoll(ref), 1.0, [alive(ref, progress=0.0)])
    schedule.saw(JobPoll(ref), 2.0, [alive(ref, progress=progress)])
    now = 2.0
    for gap in gaps:
        now += gap
        schedule.saw(PAGE, now, [alive(ref)])
        due_at = schedule.due_at(ref)
        assert due_at >= now + POLICY.min_interval
        assert due_at <= max(2.0 + RENEWED * POLICY.longest_gap(now), now + POLICY.min_interval)


def test_a_fresh_prediction_is_renewed_as_if_the_list_had_not_been_read() -> None:
    """The list says that the job goes on; how far it has come, only its own poll shows."""
    due = []
    for reads in (0, 20):
        schedule, ref = Schedule(POLICY, pages={VIDEO: 50}), job(1, VIDEO)
        schedule.add(ref, 0.0)
        schedule.saw(JobPoll(ref), 1.0, [alive(ref, progress=0.01)])
        schedule.saw(JobPoll(ref), 80.0, [alive(ref, progress=0.80)])
        for read in range(reads):
            schedule.saw(PAGE, 80.0 + 0.2 * (read + 1), [alive(ref)])
        due.append(schedule.due_at(ref))
    assert due[1] == pytest.approx(due[0], abs=2.0 * POLICY.min_interval)


def test_the_list_puts_off_the_polls_of_a_job_whose_prediction_is_old() -> None:
    """A poll that predicts nothing new would be due at once, and again after every page."""
    schedule, ref = Schedule(POLICY, pages={VIDEO: 50}), job(1, VIDEO)
    schedule.add(ref, 0.0)
    schedule.saw(JobPoll(ref), 1.0, [alive(ref, progress=0.0)])
    schedule.saw(JobPoll(ref), 2.0, [alive(ref, progress=0.02)])
    schedule.saw(JobPoll(ref), 50.0, [alive(ref)])
    schedule.saw(PAGE, 51.0, [alive(ref)])
    assert schedule.due_at(ref) > 51.0 + 2.0 * POLICY.min_interval


@pytest.mark.parametrize("reported", [{"progress": 0.3}, {}])
def test_what_the_last_poll_did_not_show_is_not_asked_for_again(reported: dict[str, float]) -> None:
    """A prediction that the list gave is renewed once. Where the job's own poll gives none, the list answers alone."""
    schedule, ref = Schedule(POLICY, pages={VIDEO: 50}), job(1, VIDEO)
    schedule.add(ref, 0.0)
    listed = alive(ref, estimate=100.0, ran=10.0)
    schedule.saw(PAGE, 10.0, [listed])
    schedule.saw(JobPoll(ref), 30.0, [alive(ref, estimate=100.0, **reported)])
    for second in range(31, 48):
        schedule.saw(PAGE, float(second), [listed])
    assert (schedule.due_at(ref) < 49.0) == bool(reported)


@pytest.mark.parametrize("price", [0.02, 0.1, 0.5])
def test_a_bare_page_is_due_once_it_shows_as_much_as_it_costs(price: float) -> None:
    """Its cost is subtracted from the worth that was interpolated: near the cost the rest is no smooth function."""
    page = bare_page(2, Source.ETA, 20.0, price)
    at = page.reaches_at(price, 0.25)
    assert sum(tracked.change_worth_at(at) for tracked in page.known.members) == pytest.approx(GETS * price, rel=0.35)
    assert page.worth_at(at) == pytest.approx(price, rel=0.1)


def test_the_list_puts_off_the_polls_of_a_job_without_a_prediction() -> None:
    """The list has answered what a poll of such a job is for."""
    schedule, ref = Schedule(POLICY, pages={VIDEO: 50}), job(1, VIDEO)
    schedule.add(ref, 0.0)
    schedule.saw(JobPoll(ref), 1.0, [alive(ref)])
    before = schedule.due_at(ref)
    schedule.saw(PAGE, before, [alive(ref)])
    assert schedule.due_at(ref) > before + 0.5 * (before - 1.0)


def test_an_end_on_the_list_goes_before_all_doubtful_polls() -> None:
    """It is sure, so it is confirmed first, however long the others have waited."""
    schedule = Schedule(POLICY, pages={VIDEO: 50})
    refs = [job(number, VIDEO) for number in range(20)]
    for ref in refs:
        schedule.add(ref, 0.0)
        schedule.saw(JobPoll(ref), 1.0, [alive(ref)])
    schedule.saw(PagePoll(VIDEO, None, 50), 600.0, [ended(refs[7])])
    assert schedule.pick(600.0, [VIDEO]) == JobPoll(refs[7])


@pytest.mark.parametrize(("images", "is_first"), [(3, False), (100, True)])
def test_a_page_of_many_ends_goes_before_a_poll_that_is_sure_to_find_one(images: int, *, is_first: bool) -> None:
    """A history has reported the end of a video. A page of images that are probably over resolves more watches."""
    schedule = Schedule(POLICY, pages={VIDEO: 50, JobKind.IMAGE: 100})
    refs = [job(number, JobKind.IMAGE) for number in range(images)]
    for ref in [job(0, VIDEO), *refs]:
        schedule.add(ref, 0.0)
    page = PagePoll(JobKind.IMAGE, None, 100)
    schedule.saw(page, 0.1, [alive(ref) for ref in refs])
    schedule.saw(PAGE, 60.0, [ended(job(0, VIDEO))])
    picked = schedule.pick(60.1, [JobKind.IMAGE, VIDEO])
    assert picked == (page if is_first else JobPoll(job(0, VIDEO)))


def test_no_page_of_the_history_goes_before_the_poll_that_confirms_an_end() -> None:
    """Each end that the page would show needs such a poll, too."""
    schedule = Schedule(POLICY, pages={VIDEO: 50})
    refs = [job(number, VIDEO) for number in range(50)]
    for ref in refs:
        schedule.add(ref, 0.0)
    schedule.saw(PAGE, 0.1, [alive(ref) for ref in refs])
    schedule.saw(PAGE, 1.0, [ended(refs[0]), *map(alive, refs[1:])])
    assert schedule.pick(600.0, [VIDEO]) == JobPoll(refs[0])


def test_no_late_page_of_the_history_goes_before_them_either() -> None:
    """One token in eight goes to what is late. But a late page finds only more ends that wait for their polls."""
    schedule = Schedule(POLICY, pages={VIDEO: 50})
    refs = [job(number, VIDEO) for number in range(100)]
    second = PagePoll(VIDEO, "second", 50)
    for ref in refs:
        schedule.add(ref, 0.0)
    schedule.saw(PAGE, 0.1, list(map(alive, refs[:50])), next_cursor="second")
    schedule.saw(second, 0.2, list(map(alive, refs[50:])))
    schedule.saw(PAGE, 300.0, list(map(alive, refs[:50])), next_cursor="second")
    schedule.saw(PAGE, 600.0, list(map(ended, refs[:50])), next_cursor="second")
    assert schedule.overdue(601.0) > 0.0
    picked = [schedule.pick(601.0 + 0.1 * turn, [VIDEO]) for turn in range(50)]
    assert picked == [JobPoll(ref) for ref in refs[:50]]


def test_what_else_is_late_goes_before_them_all_the_same() -> None:
    """One token in eight: the page that waits does not use it up."""
    schedule = Schedule(POLICY, pages={VIDEO: 50})
    videos, try_ons = [job(number, VIDEO) for number in range(60)], [job(number) for number in range(20)]
    for ref in videos + try_ons:
        schedule.add(ref, 0.0)
    schedule.saw(PagePoll(VIDEO, "second", 50), 0.1, list(map(alive, videos[50:])))
    schedule.saw(PAGE, 0.2, list(map(alive, videos[:50])), next_cursor="second")
    for ref in try_ons:
        schedule.saw(JobPoll(ref), 60.0, [alive(ref)])
    schedule.saw(PAGE, 600.0, list(map(ended, videos[:50])), next_cursor="second")
    assert schedule.overdue(601.0, [VIDEO]) > schedule.overdue(601.0, [JobKind.TRY_ON]) > 0.0
    picked = [schedule.pick(601.0 + 0.1 * turn, [VIDEO, JobKind.TRY_ON]) for turn in range(48)]
    assert len([poll for poll in picked if isinstance(poll, JobPoll) and poll.kind is JobKind.TRY_ON]) == 6


def test_of_two_urgent_polls_that_of_the_longer_wait_goes_first() -> None:
    """Whatever the order in which the kinds are asked for."""
    for kinds in ([JobKind.IMAGE, JobKind.TRY_ON], [JobKind.TRY_ON, JobKind.IMAGE]):
        schedule, first, second = Schedule(POLICY), job(0, JobKind.IMAGE), job(1)
        for at, ref in ((0.0, first), (20.0, second)):
            schedule.add(ref, at)
            schedule.saw(JobPoll(ref), at + 1.0, [alive(ref)])
            schedule.nudge(ref, 40.0)
        assert schedule.pick(40.0, kinds) == JobPoll(first)


def test_explain_says_what_the_list_does_for_a_video() -> None:
    """The next poll renews the prediction, and the expected lag counts the page that is read before."""
    schedule = Schedule(POLICY, pages={VIDEO: 50})
    refs = [job(number, VIDEO) for number in range(30)]
    for ref in refs:
        schedule.add(ref, 0.0)
        schedule.saw(JobPoll(ref), 1.0, [alive(ref, progress=0.0)])
        schedule.saw(JobPoll(ref), 2.0, [alive(ref, progress=0.02)])
    alone = explain(schedule, refs[0], 2.0)
    schedule.saw(PAGE, 3.0, [alive(ref) for ref in refs])
    schedule.next_at(3.0, [VIDEO])
    listed = explain(schedule, refs[0], 3.0)
    assert alone is not None
    assert listed is not None
    assert not listed.via_page
    assert listed.reason.startswith("then its prediction is renewed; a page of the list shows until then whether")
    assert listed.expected_lag is not None
    assert alone.expected_lag is not None
    assert listed.expected_lag < 0.7 * alone.expected_lag


@pytest.mark.parametrize("jobs", [2, 5])
def test_a_page_that_is_worth_less_than_its_cost_stays_finite(jobs: int) -> None:
    """However often it is planned anew while its jobs are in flight, the time of its poll does not run away."""
    page = bare_page(jobs, Source.AGE, 1.0, 1e-5)
    for tracked in page.known.members:
        tracked.level = IN_FLIGHT
    first = page.reaches_at(1e-5, 1.0)
    for _ in range(100):
        page.changed()
        assert page.reaches_at(1e-5, 1.0) == first


def test_a_page_of_jobs_that_are_surely_over_stays_finite() -> None:
    """Its worth grows no more, so it may never reach the price. Planned anew, its time does not run away either."""
    page = bare_page(5, Source.ETA, 20.0, 500.0)
    first = page.reaches_at(500.0, 1.0)
    for _ in range(100):
        page.changed()
        assert page.reaches_at(500.0, 1.0) == first
