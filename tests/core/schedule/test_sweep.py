"""The sweep through a list: which jobs a page answers for, and what its failures and silences mean."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from world import KINDS, POLICY, World, alive, ended, explain, job

from topaz_status.core.prediction.life_tables import Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.schedule.entry import JobPoll, PagePoll
from topaz_status.core.schedule.page import ALL_BUT_SURE, BONUS, GETS, PageEntry
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.core.schedule.tracked_job import TrackedJob
from topaz_status.models.job import JobKind


def test_many_jobs_are_asked_for_by_page() -> None:
    """A burst is met by the list, not one by one."""
    world = World(10.0, {JobKind.IMAGE: 100})
    for number in range(1000):
        world.add(job(number, JobKind.IMAGE), 30.0 + number % 7)
    world.run(60.0)
    count = Counter(type(poll).__name__ for _, poll in world.log)
    assert len(world.found) == 1000
    assert count["PagePoll"] > 10 * count["JobPoll"]


@pytest.mark.parametrize("reported", [{}, {"remaining": 50.0}, {"progress": 0.5}])
def test_a_job_alone_is_asked_for_singly(reported: dict[str, float]) -> None:
    """A poll says as much as a page, which is more work: while tokens are there, no page is asked for in its life."""
    world = World(10.0, {JobKind.IMAGE: 100})
    world.add(job(1, JobKind.IMAGE), 1_000.0)
    world.reported[job(1, JobKind.IMAGE)] = reported
    world.run(2_000.0)
    assert len(world.found) == 1
    assert len(world.log) > 10
    assert not [poll for _, poll in world.log if isinstance(poll, PagePoll)]


def test_two_jobs_are_enough_for_a_page_and_the_end_of_one_enough_for_none() -> None:
    """By worth, and back again: nothing is switched."""
    world = World(10.0, {JobKind.IMAGE: 100})
    for number in range(7):
        world.add(job(number, JobKind.IMAGE), 1e6 if number < 1 else 200.0)
    world.run(150.0)
    assert sum(isinstance(poll, PagePoll) for _, poll in world.log) > 0.8 * len(world.log)
    world.run(260.0)
    assert len(world.found) == 6
    asked = len(world.log)
    world.run(1_000.0)
    assert not [poll for _, poll in world.log[asked:] if isinstance(poll, PagePoll)]


def test_two_thousand_jobs_are_asked_for_by_pages() -> None:
    """Nearly every status comes from one, and a request brings dozens."""
    world = World(10.0, {JobKind.IMAGE: 100})
    for number in range(2_000):
        world.add(job(number, JobKind.IMAGE), 60.0)
    world.run(100.0)
    statuses = sum(len(times) - 1 for times in world.polled.values())
    singly = sum(isinstance(poll, JobPoll) for _, poll in world.log)
    assert len(world.found) == 2_000
    assert singly < 0.01 * statuses
    assert statuses > 30 * len(world.log)


def test_a_job_missing_from_the_list_is_not_finished() -> None:
    """Absence says nothing: the job is asked for by itself."""
    world = World(10.0, {JobKind.IMAGE: 10})
    for number in range(10):
        world.add(job(number, JobKind.IMAGE), 1e6, listed=number > 0)
    world.run(60.0)
    assert len(world.schedule) == 10
    assert JobPoll(job(0, JobKind.IMAGE)) in [poll for _, poll in world.log]


def test_repeating_cursors_end_the_sweep() -> None:
    """A list that names the same pages for ever is not swept for ever, and loses no job."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 10})
    refs = [job(number, JobKind.IMAGE) for number in range(50)]
    for ref in refs:
        schedule.add(ref, 0.0)
    now, pages = 0.0, 0
    cursors = {None: "a", "a": "b", "b": "a"}
    for _ in range(300):
        now = max(schedule.next_at(now, KINDS), now)
        poll = schedule.pick(now, KINDS)
        assert poll is not None
        now += 0.1
        if isinstance(poll, PagePoll):
            pages += 1
            schedule.saw(poll, now, [], next_cursor=cursors[poll.cursor])
        else:
            schedule.saw(poll, now, [alive(poll.job)])
    assert pages <= 10
    assert len(schedule) == 50


def test_endless_empty_pages_end_the_sweep() -> None:
    """A list that always names a new page, with none of ours on it, is given up."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 10})
    for number in range(50):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    now, pages = 0.0, 0
    for step in range(300):
        now = max(schedule.next_at(now, KINDS), now)
        poll = schedule.pick(now, KINDS)
        assert poll is not None
        now += 0.1
        if isinstance(poll, PagePoll):
            pages += 1
            schedule.saw(poll, now, [], next_cursor=f"page-{step}")
        else:
            schedule.saw(poll, now, [alive(poll.job)])
    assert pages <= 20


def test_a_refused_cursor_sends_its_jobs_to_the_first_page() -> None:
    """The jobs of a page that cannot be had are searched for from the first page, and by themselves."""
    world = World(10.0, {JobKind.IMAGE: 10})
    for number in range(30):
        world.add(job(number, JobKind.IMAGE), 1e6)
    world.run(3.0)
    while True:
        world.now = world.schedule.next_at(world.now, KINDS)
        poll = world.schedule.pick(world.now, KINDS)
        if isinstance(poll, PagePoll) and poll.cursor:
            break
        world.answer(poll)
    world.schedule.refused(poll, world.now)
    world.run(60.0)
    assert all(times[-1] > 30.0 for times in world.polled.values())


def test_a_list_that_fails_is_done_without() -> None:
    """While the list does not answer, the jobs are asked for by themselves, and the list is tried ever more rarely."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    for number in range(100):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    now, tried, seen = 0.0, [], set()
    while now < 300.0:
        now = max(schedule.next_at(now, KINDS), now)
        poll = schedule.pick(now, KINDS)
        assert poll is not None
        now += 0.1
        if isinstance(poll, PagePoll):
            tried.append(now)
            schedule.missed(poll, now, now + 1.0)
        else:
            seen.add(poll.job)
            schedule.saw(poll, now, [alive(poll.job)])
    assert len(seen) == 100
    assert 2 <= len(tried) <= 10


def test_the_end_of_a_video_in_its_history_is_confirmed_by_a_poll() -> None:
    """The history has no download link: it is a reason to poll at once, not an end."""
    schedule = Schedule(POLICY, pages={JobKind.VIDEO: 50})
    refs = [job(number, JobKind.VIDEO) for number in range(3)]
    for ref in refs:
        schedule.add(ref, 0.0)
        schedule.saw(JobPoll(ref), 1.0, [alive(ref, progress=0.01)])
    schedule.saw(PagePoll(JobKind.VIDEO, None, 50), 2.0, [alive(refs[0]), ended(refs[1]), alive(refs[2])])
    assert len(schedule) == 3
    at = schedule.next_at(2.0, KINDS)
    assert at <= 2.0 + POLICY.min_interval
    assert schedule.pick(at, KINDS) == JobPoll(refs[1])


def test_a_foreign_job_is_nothing() -> None:
    """Lists show other people's jobs: they are not taken up."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    schedule.add(job(1, JobKind.IMAGE), 0.0)
    schedule.saw(PagePoll(JobKind.IMAGE, None, 100), 1.0, [alive(job(2, JobKind.IMAGE)), ended(job(3, JobKind.IMAGE))])
    assert len(schedule) == 1


def test_jobs_that_a_list_shows_late_are_met_there_in_the_end() -> None:
    """Who was not found is searched for again after some seconds, then ever more rarely, while there is somebody to find."""
    world = World(10.0, {JobKind.IMAGE: 100})
    for number in range(500):
        world.add(job(number, JobKind.IMAGE), 1e6, listed=False)
    world.run(3.0)
    world.listed.extend(world.ends)
    world.run(30.0)
    late = [poll for at, poll in world.log if at > 20.0]
    assert sum(isinstance(poll, PagePoll) for poll in late) > 0.8 * len(late)


def test_what_no_list_shows_costs_few_pages() -> None:
    """A search in vain is given up: of all requests for jobs that are never listed hardly any are pages."""
    world = World(10.0, {JobKind.IMAGE: 100})
    for number in range(500):
        world.add(job(number, JobKind.IMAGE), 1e6, listed=False)
    world.run(2_000.0)
    pages = [at for at, poll in world.log if isinstance(poll, PagePoll)]
    assert 3 <= len(pages) < 0.01 * len(world.log)


def test_jobs_that_are_over_are_not_searched_for_again() -> None:
    """Of many that no list showed one goes on: that is no reason for a page any more."""
    world = World(100.0, {JobKind.IMAGE: 100})
    for number in range(300):
        world.add(job(number, JobKind.IMAGE), 3.5 if number else 1e6, listed=False)
    world.run(200.0)
    assert len(world.found) == 299
    assert not [poll for at, poll in world.log if at > 10.0 and isinstance(poll, PagePoll)]
    assert [poll for at, poll in world.log if at > 100.0]


def test_pages_are_forgotten_with_their_jobs() -> None:
    """When the last job is over no list is asked for, and the next ones are expected on the first page again."""
    world = World(10.0, {JobKind.IMAGE: 10})
    for start in (0, 100):
        for number in range(start, start + 40):
            world.add(job(number, JobKind.IMAGE), 20.0)
        world.run(world.now + 100.0)
        assert len(world.found) == start * 0.4 + 40
        assert not [poll for at, poll in world.log if at > world.now - 70.0]
    assert any(isinstance(poll, PagePoll) for at, poll in world.log if at > 100.0)


def _sweeping(flight: float) -> tuple[Schedule, PagePoll, float]:
    """A sweep goes to a thousand images, each page ``flight`` seconds after the one before; the third is on the wire."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    refs = [job(number, JobKind.IMAGE) for number in range(1_000)]
    for ref in refs:
        schedule.add(ref, 0.0)
    now, shown = 20.0, 0
    while True:
        poll = schedule.pick(now, KINDS)
        assert poll is not None
        if not isinstance(poll, PagePoll):
            schedule.saw(poll, now, [alive(poll.job)])
        elif shown == 200:
            return schedule, poll, now
        else:
            now += flight
            shown += 100
            schedule.saw(poll, now, [alive(ref) for ref in refs[shown - 100 : shown]], next_cursor=str(shown))


def test_no_token_is_spent_just_before_the_page_that_a_long_sweep_waits_for() -> None:
    """50 ms before it should arrive polls begin to wait, and it goes on with the very token they left."""
    schedule, poll, sent_at = _sweeping(0.2)
    soon = sent_at + 0.2
    assert schedule.next_at(soon - 0.06, KINDS) == soon - 0.06
    assert schedule.next_at(soon - 0.04, KINDS) == pytest.approx(soon + 0.05)
    assert schedule.pick(soon - 0.04, KINDS) is None
    schedule.saw(poll, soon - 0.01, [], next_cursor="300")
    following = schedule.pick(soon - 0.01, KINDS)
    assert isinstance(following, PagePoll)
    assert following.cursor == "300"


def test_a_page_that_does_not_come_in_time_is_not_waited_for() -> None:
    """50 ms after it should have come others go, and other kinds never waited."""
    schedule, _, sent_at = _sweeping(0.2)
    schedule.add(job(0), 0.0)
    soon = sent_at + 0.2
    assert schedule.pick(soon, KINDS) == JobPoll(job(0))
    at = schedule.next_at(soon, [JobKind.IMAGE])
    assert at == pytest.approx(soon + 0.05)
    assert schedule.pick(at, [JobKind.IMAGE]) is not None


def _read_page(schedule: Schedule, now: float) -> PagePoll:
    """Spend tokens until a page is asked for."""
    while not isinstance(poll := schedule.pick(now, KINDS), PagePoll):
        assert poll is not None
    return poll


def test_the_last_job_of_a_page_is_asked_for_singly_while_the_page_is_due() -> None:
    """The page may wait for long: it is worth no more than the job."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    jobs = [job(number, JobKind.IMAGE) for number in range(4)]
    for ref in jobs:
        schedule.add(ref, 0.0)
    page = _read_page(schedule, 20.0)
    schedule.saw(page, 20.1, [alive(jobs[0], remaining=5.0), *(ended(ref) for ref in jobs[1:])])
    schedule.nudge(jobs[0], 30.0)
    assert schedule.due_now(30.0) == 2
    poll = schedule.pick(30.0, KINDS)
    assert poll == JobPoll(jobs[0])
    schedule.saw(poll, 30.1, [alive(jobs[0], remaining=0.0)])
    schedule.next_at(30.1, KINDS)
    explanation = explain(schedule, jobs[0], 30.1)
    assert explanation is not None
    assert not explanation.via_page


def test_a_job_alone_on_its_page_is_polled_though_others_are_expected_there() -> None:
    """The page was read long ago, and its law says little of a job that was polled since."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    old, new = job(1, JobKind.IMAGE), job(2, JobKind.IMAGE)
    for number in range(4):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
    schedule.saw(_read_page(schedule, 20.0), 20.1, [alive(old, remaining=50.0), *map(ended, [job(0), job(3)])])
    schedule.drop(new)
    schedule.add(new, 60.0)
    schedule.saw(JobPoll(old), 65.0, [alive(old, remaining=4.0)])
    schedule.next_at(65.0, KINDS)
    assert schedule.due_at(old) < 70.0


def test_a_poll_that_lands_counts_for_the_page_that_was_planned_without_it() -> None:
    """The page was read while a poll of one of its jobs was on the wire; now it answers for that one, too."""
    schedule = Schedule(POLICY, pages={JobKind.IMAGE: 100})
    jobs = [job(number, JobKind.IMAGE) for number in range(6)]
    for ref in jobs:
        schedule.add(ref, 0.0)
    answer = [alive(jobs[0], remaining=2.0), *(alive(ref, remaining=1000.0) for ref in jobs[1:])]
    schedule.saw(_read_page(schedule, 10.0), 10.1, answer)
    schedule.nudge(jobs[0], 12.0)
    poll = schedule.pick(12.0, KINDS)
    assert poll == JobPoll(jobs[0])
    page = _read_page(schedule, 30.0)
    schedule.saw(page, 30.1, answer)
    assert schedule.next_at(30.1, KINDS) > 35.0
    schedule.saw(poll, 30.2, [alive(jobs[0], remaining=2.0)])
    assert schedule.next_at(30.2, KINDS) < 33.0


def test_an_unread_page_is_worth_more_than_the_ends_that_it_may_show() -> None:
    """The first statuses also predict. Once the page was read, or while its jobs may be elsewhere, that is no reason."""
    now, worths = 30.0, {}
    for bonus in (0.0, BONUS):
        page = PageEntry(JobKind.IMAGE, "cursor", 10, 0.0, price=0.1, gets=GETS, bonus=bonus)
        page.expected.chance = 1.0
        for number in range(10):
            tracked = TrackedJob(job(number, JobKind.IMAGE), 0.0, 0.0)
            tracked.believe(Source.AGE, 1.0, 0.0, Lifetimes())
            page.expected.add(tracked)
        before = page.worth_at(now)
        page.expected.chance = ALL_BUT_SURE / 2.0
        page.changed()
        unsure = page.worth_at(now)
        page.expected.chance, page.settled = 1.0, True
        page.changed()
        worths[bonus] = before, unsure, page.worth_at(now)
    over = -math.expm1(-tracked.spent_by(now))
    assert 0.1 < over < 0.9
    assert worths[BONUS][0] == pytest.approx(worths[0.0][0] + BONUS * 10 * now * over**2)
    assert worths[BONUS][1:] == worths[0.0][1:]
