"""Which look is next: a day of polling in milliseconds, without a socket."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.policy import PollPolicy
from topaz_status.core.schedule import JobLook, Schedule
from topaz_status.core.sighting import Sighting
from topaz_status.models.state import JobKind, JobRef

POLICY = PollPolicy()
JOB = JobRef(JobKind.IMAGE, "a")


def looks(
    schedule: Schedule, job: JobRef, *, until: float, start: float = 0.0, remaining: float | None = None
) -> list[float]:
    """Look at a job that never ends whenever it is due; ``remaining`` is what each answer says at time 0."""
    times: list[float] = []
    now = max(start, schedule.next_at(job.kind))
    while now <= until:
        assert schedule.pick(now, [job.kind]) == JobLook(job)
        times.append(now)
        left = None if remaining is None else remaining - now
        schedule.saw(now, [Sighting(job, terminal=False, running=True, remaining=left)])
        now = schedule.next_at(job.kind)
    return times


def test_the_first_look_is_due_when_the_watch_starts() -> None:
    """A job may have ended before anyone watched it."""
    schedule = Schedule(POLICY)
    schedule.add(JOB, 50.0)
    assert schedule.next_at(JobKind.IMAGE) == 50.0
    assert schedule.pick(49.9, list(JobKind)) is None
    assert schedule.pick(50.0, [JobKind.VIDEO]) is None
    assert schedule.pick(50.0, list(JobKind)) == JobLook(JOB)


def test_gaps_grow_as_the_square_root_of_the_age() -> None:
    """Four times as old, twice the gap; a day of a stuck job costs a few hundred looks, not tens of thousands."""
    schedule = Schedule(POLICY)
    schedule.add(JOB, 0.0)
    times = looks(schedule, JOB, until=86_400.0)
    gaps = {now: later - now for now, later in itertools.pairwise(times)}

    def gap_at(age: float) -> float:
        return gaps[min(gaps, key=lambda now: abs(now - age))]

    assert gap_at(4_000) / gap_at(1_000) == pytest.approx(2.0, rel=0.02)
    assert gap_at(0) == pytest.approx(2.0)
    assert len(times) < 1500


def test_a_higher_price_means_fewer_looks() -> None:
    """Ten times the price, the square root of ten times the gap."""
    counts = []
    for price in (0.1, 1.0):
        schedule = Schedule(PollPolicy(price=price))
        schedule.add(JOB, 0.0)
        counts.append(len(looks(schedule, JOB, until=3_600.0)))
    assert counts[0] / counts[1] == pytest.approx(math.sqrt(10), rel=0.1)


def test_a_prediction_draws_the_next_look_in() -> None:
    """A look comes when the job should have ended, and soon again while it is late."""
    schedule = Schedule(POLICY)
    schedule.add(JOB, 0.0)
    times = looks(schedule, JOB, until=120.0, remaining=100.0)
    after = min(now for now in times if now >= 100.0)
    assert after <= 100.3
    assert min(now for now in times if now > after) - after <= 0.5


def test_a_prediction_never_pushes_a_look_out() -> None:
    """An eta of three weeks is a hint like any other: looks come as if it were not there."""
    counts = []
    for remaining in (None, 2e6):
        schedule = Schedule(POLICY)
        schedule.add(JOB, 0.0)
        counts.append(len(looks(schedule, JOB, until=1_000.0, remaining=remaining)))
    assert counts[0] == counts[1]


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6) | st.none(), st.floats(0, 1) | st.none(), st.floats(0, 1e6) | st.none()),
        max_size=40,
    ),
    st.floats(0.1, 1e4),
)
def test_gaps_stay_within_min_interval_and_the_longest_gap(
    answers: list[tuple[float | None, float | None, float | None]], start: float
) -> None:
    """Whatever a service says, no job is hammered and none forgotten."""
    schedule, now = Schedule(POLICY), start
    schedule.add(JOB, now)
    for remaining, progress, estimate in answers:
        schedule.pick(now, [JobKind.IMAGE])
        schedule.saw(
            now,
            [Sighting(JOB, terminal=False, running=True, remaining=remaining, progress=progress, estimate=estimate)],
        )
        due = schedule.next_at(JobKind.IMAGE)
        assert POLICY.min_interval <= due - now + 1e-9
        assert due - now <= POLICY.longest_gap(now - start) + 1e-9
        now = due


def test_a_notice_goes_before_all_others_but_not_at_once_after_a_look() -> None:
    """A webhook is a reason to look now, not to look twice in ``min_interval``."""
    schedule = Schedule(POLICY)
    others = [JobRef(JobKind.IMAGE, f"o{n}") for n in range(20)]
    for job in [*others, JOB]:
        schedule.add(job, 0.0)
    schedule.nudge(JOB, 1.0)
    assert schedule.pick(1.0, list(JobKind)) == JobLook(JOB)
    schedule.saw(1.1, [Sighting(JOB, terminal=False, running=True)])
    schedule.nudge(JOB, 1.1)
    schedule.nudge(JOB, 1.1)
    first, second = schedule.pick(1.1, list(JobKind)), schedule.pick(1.25, list(JobKind))
    assert (first, second) == (JobLook(others[0]), JobLook(JOB))
    assert schedule.pick(1.25, list(JobKind)) != JobLook(JOB)


def test_a_notice_during_a_look_is_kept_for_after_it() -> None:
    """What was on the wire may have been answered before the news."""
    schedule = Schedule(POLICY)
    schedule.add(JOB, 0.0)
    schedule.pick(0.0, list(JobKind))
    schedule.nudge(JOB, 0.1)
    schedule.saw(0.2, [Sighting(JOB, terminal=False, running=True)])
    assert schedule.next_at(JobKind.IMAGE) == pytest.approx(0.25)


def test_a_failed_look_is_repeated_when_it_was_told_to_be() -> None:
    """The spacing after a fault is not the schedule's to decide."""
    schedule = Schedule(POLICY)
    schedule.add(JOB, 0.0)
    look = schedule.pick(0.0, list(JobKind))
    assert look is not None
    schedule.missed(look, 7.5)
    assert schedule.next_at(JobKind.IMAGE) == 7.5
    explanation = schedule.explain(JOB, 1.0)
    assert explanation is not None
    assert explanation.reason == "the last look got no usable answer"


def test_an_ended_or_dropped_job_is_never_looked_at_again() -> None:
    """Neither its heap entries nor its notices survive it."""
    schedule = Schedule(POLICY)
    schedule.add(JOB, 0.0)
    schedule.nudge(JOB, 0.0)
    schedule.drop(JOB)
    assert (schedule.next_at(JobKind.IMAGE), len(schedule)) == (math.inf, 0)
    schedule.add(JOB, 1.0)
    schedule.pick(1.0, list(JobKind))
    schedule.saw(1.1, [Sighting(JOB, terminal=True, running=False)])
    assert (schedule.next_at(JobKind.IMAGE), len(schedule)) == (math.inf, 0)


def test_what_is_due_longest_goes_first() -> None:
    """Under a budget that is too small, jobs are served in turn, and the lateness is told."""
    schedule = Schedule(POLICY)
    jobs = [JobRef(JobKind.IMAGE, str(n)) for n in range(100)]
    for job in jobs:
        schedule.add(job, 0.0)
    order = []
    for tick in range(200):
        look = schedule.pick(float(tick), list(JobKind))
        assert look is not None
        order.append(look.job)
        schedule.saw(tick + 0.1, [Sighting(look.job, terminal=False, running=True)])
    assert order == jobs * 2
    assert schedule.overdue(200.0) == pytest.approx(100.0 - POLICY.longest_gap(200.0))
