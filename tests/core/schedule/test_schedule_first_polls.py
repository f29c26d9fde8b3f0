"""First polls: what nobody has asked for yet is asked for at once while tokens are idle."""

from __future__ import annotations

import math

import pytest
from world import KINDS, POLICY, World, ended, explain, job

from topaz_status.core.schedule.entry import JobPoll, PagePoll
from topaz_status.core.schedule.lane import CALM
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.models.job import JobKind

IMAGE, VIDEO = JobKind.IMAGE, JobKind.VIDEO
PAGES = {IMAGE: 10, VIDEO: 5}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_job_has_a_first_poll(kind: JobKind) -> None:
    """It can be had at once, once, and only for its own kind."""
    world = World(pages=PAGES)
    world.add(job(1, kind), 100.0)
    assert [other for other in KINDS if world.schedule.first_at(other, 0.0) == 0.0] == [kind]
    assert world.schedule.pick_first(0.0, [other for other in KINDS if other is not kind]) is None
    poll = world.schedule.pick_first(0.0, KINDS)
    assert poll == JobPoll(job(1, kind))
    assert world.schedule.first_at(kind, 0.0) == math.inf
    world.answer(poll)
    assert world.schedule.first_at(kind, 1e6) == math.inf


def test_first_polls_go_in_the_order_in_which_jobs_came() -> None:
    """Whatever else has happened meanwhile: who was polled, or has gone, is passed over."""
    world = World()
    for number in range(6):
        world.add(job(number), 100.0)
    world.schedule.drop(job(0))
    world.schedule.nudge(job(2), 0.0)
    assert world.schedule.pick(0.0, KINDS) == JobPoll(job(2))
    polls = [world.schedule.pick_first(0.0, KINDS) for _ in range(5)]
    assert polls == [JobPoll(job(1)), JobPoll(job(3)), JobPoll(job(4)), JobPoll(job(5)), None]


def test_a_first_poll_that_failed_is_no_first_poll_any_more() -> None:
    """It is tried again as every poll is: a service that fails must not be asked as fast as tokens come."""
    world = World()
    world.add(job(1), 100.0)
    poll = world.schedule.pick_first(0.0, KINDS)
    assert poll is not None
    world.schedule.missed(poll, 1.0, 5.0)
    assert world.schedule.first_at(JobKind.TRY_ON, 1.0) == math.inf
    assert world.schedule.next_at(1.0, KINDS) == 5.0


def test_many_new_jobs_are_first_asked_for_by_their_page() -> None:
    """One request answers for all that it shows, as soon as no more are coming in; nobody is asked for beside it."""
    world = World(pages=PAGES)
    for number in range(8):
        world.add(job(number, IMAGE), 100.0)
        world.now += 0.001
    assert world.schedule.pick_first(world.now, KINDS) is None
    at = world.schedule.first_at(IMAGE, world.now)
    assert at == pytest.approx(world.now, abs=2 * CALM)
    page = world.schedule.pick_first(at, KINDS)
    assert page == PagePoll(IMAGE, None, 10)
    assert world.schedule.first_at(IMAGE, at) == math.inf
    world.answer(page)
    assert world.schedule.first_at(IMAGE, at) == math.inf


def test_a_new_job_that_its_page_does_not_show_is_asked_for_by_itself() -> None:
    """Missing from a list means nothing: the job has its first poll, right after the page."""
    world = World(pages=PAGES)
    for number in range(8):
        world.add(job(number, IMAGE), 100.0, listed=number != 3)
    page = world.schedule.pick_first(CALM, KINDS)
    assert page == PagePoll(IMAGE, None, 10)
    world.answer(page)
    assert world.schedule.pick_first(CALM, KINDS) == JobPoll(job(3, IMAGE))
    assert world.schedule.pick_first(CALM, KINDS) is None


def test_a_list_that_says_little_is_no_first_poll() -> None:
    """The video history has neither progress nor result: each new video is asked for by itself."""
    world = World(pages=PAGES)
    for number in range(5):
        world.add(job(number, VIDEO), 100.0)
    assert world.schedule.pick_first(0.0, KINDS) == JobPoll(job(0, VIDEO))


def test_an_old_job_is_worth_a_poll_at_once() -> None:
    """Submitted an hour ago and not seen since, it may well be over: it is due without any idle token."""
    schedule = Schedule(POLICY)
    schedule.add(job(1), 0.0, age=3600.0, unseen=3600.0)
    schedule.add(job(2), 0.0, age=3600.0)
    assert schedule.next_at(0.0, KINDS) == 0.0
    assert schedule.pick(0.0, KINDS) == JobPoll(job(1))
    assert schedule.next_at(0.0, KINDS) > 1.0


def test_an_old_job_found_over_teaches_nothing_of_lifetimes() -> None:
    """It ended at an unknown time since its submit: the next job's plan is as if it had not been."""
    schedules = [Schedule(POLICY) for _ in range(2)]
    for number in range(100):
        schedules[0].add(job(number), 0.0, age=3600.0, unseen=3600.0)
        poll = schedules[0].pick_first(0.0, KINDS)
        assert poll is not None
        schedules[0].saw(poll, 0.1, [ended(job(number))])
    plans = []
    for schedule in schedules:
        schedule.add(job(1000), 1.0, age=10.0)
        plans.append(schedule._jobs[job(1000)].curve)
    assert plans[0].total == plans[1].total


def test_explain_speaks_of_a_first_poll() -> None:
    """It says that it goes once tokens are idle, and when that is."""
    world = World()
    world.add(job(1), 100.0)
    explanation = world.schedule.explain(job(1), 0.0, rates=dict.fromkeys(KINDS, 10.0), tokens=3.0, idle_at=0.2)
    assert explanation is not None
    assert explanation.due_in == pytest.approx(0.2)
    assert "first poll" in explanation.reason
    without = explain(world.schedule, job(1), 0.0)
    assert without is not None
    assert without.due_in is not None
    assert without.due_in > 0.2
