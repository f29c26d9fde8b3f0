"""Renewals: what was learned of ages counts for the jobs that wait, not only for those polled from then on."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from world import alive, ended, job

from topaz_status import PollPolicy
from topaz_status.core.prediction.life_tables import MUCH_MORE, REBUILD_AFTER, Lifetimes
from topaz_status.core.prediction.sources import Source
from topaz_status.core.schedule.entry import JobPoll
from topaz_status.core.schedule.renewal import AT_ONCE
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.models.job import JobKind

JOBS = 300
KINDS = tuple(JobKind)


def _polled(kind: JobKind = JobKind.TRY_ON, count: int = JOBS) -> Schedule:
    """Watch jobs that a poll found alive after four seconds, and of which services report nothing."""
    schedule = Schedule(PollPolicy(price=0.5), pages={})
    for number in range(count):
        schedule.add(job(number, kind), 0.0)
    for number in range(count):
        schedule.saw(JobPoll(job(number, kind)), 4.0, [alive(job(number, kind))])
    return schedule


def _end(schedule: Schedule, numbers: range) -> None:
    """Find the ends of some jobs at five seconds."""
    for number in numbers:
        schedule.saw(JobPoll(job(number)), 5.0, [ended(job(number))])


def test_jobs_that_wait_are_polled_sooner_once_others_have_ended() -> None:
    """Half of a burst ends at the same age: the other half waits no longer for polls planned before that was known."""
    schedule, last = _polled(), job(JOBS - 1)
    planned_at = schedule.due_at(last)
    _end(schedule, range(JOBS // 2))
    assert schedule.due_at(last) < 4.0 + (planned_at - 4.0) / 2.0
    assert schedule.next_at(5.0, KINDS) == 5.0


def test_other_kinds_are_planned_as_before() -> None:
    """How long a try-on lasts says nothing of a video."""
    schedule, other = _polled(), job(JOBS, JobKind.VIDEO)
    schedule.add(other, 0.0)
    planned_at = schedule.due_at(other)
    _end(schedule, range(JOBS // 2))
    assert schedule.due_at(other) == planned_at


def test_one_answer_renews_a_bounded_number_of_jobs() -> None:
    """However many jobs wait, no answer has to plan all of them."""
    schedule = _polled(count=1_000)
    renewed = 0
    for number in range(JOBS):
        before = {tracked: tracked.curve for tracked in schedule._jobs.values()}
        _end(schedule, range(number, number + 1))
        at_once = sum(tracked.curve is not before[tracked] for tracked in schedule._jobs.values())
        assert at_once <= AT_ONCE
        renewed += at_once
    assert renewed > JOBS


def test_a_job_whose_poll_failed_keeps_the_time_of_its_retry() -> None:
    """What is learned of its age does not shorten the wait after a failure."""
    schedule, failed = _polled(), job(JOBS - 1)
    schedule.nudge(failed, 4.5)
    poll = schedule.pick(4.5, KINDS)
    assert poll == JobPoll(failed)
    schedule.missed(poll, 4.6, 60.0)
    _end(schedule, range(JOBS // 2))
    assert schedule.due_at(failed) == 60.0


def test_a_first_poll_still_counts_the_chance_that_the_job_was_over() -> None:
    """A renewal takes nothing from the worth of a job that nobody has polled yet."""
    schedule, new = _polled(), job(JOBS)
    schedule.add(new, 5.0)
    tracked = schedule._jobs[new]
    before = tracked.curve
    _end(schedule, range(JOBS // 2))
    assert tracked.curve is not before
    assert math.isclose(tracked.spent_by(5.0), schedule.lifetimes.over_at_first(JobKind.TRY_ON), rel_tol=0.2)


def test_a_new_job_that_a_list_should_show_is_planned_as_before() -> None:
    """Its first poll brings a better prediction than the age of jobs of which nothing else is known."""
    schedule, new = Schedule(PollPolicy()), job(JOBS, JobKind.IMAGE)
    schedule.add(new, 0.0)
    tracked = schedule._jobs[new]
    curve = tracked.curve
    for number in range(JOBS):
        schedule.add(job(number, JobKind.IMAGE), 0.0)
        schedule.saw(JobPoll(job(number, JobKind.IMAGE)), 4.0, [alive(job(number, JobKind.IMAGE))])
    assert tracked.table.curve is not curve
    assert tracked.curve is curve


@given(st.integers(0, 20_000))
def test_renewals_are_few(observations: int) -> None:
    """A table is outgrown each time that it has learned a quarter more: some dozens of times in all, fading or not."""
    lifetimes = Lifetimes()
    table, renewals = lifetimes.table(JobKind.TRY_ON, Source.AGE, 1.0), 0
    for _ in range(observations):
        table.died(0.0, 5.0)
        renewals += lifetimes.outgrown()
        assert not lifetimes.outgrown()
    assert (renewals > 0) == (observations >= REBUILD_AFTER)
    assert renewals <= 1 + math.log(max(observations, REBUILD_AFTER) / REBUILD_AFTER) / math.log(MUCH_MORE)
